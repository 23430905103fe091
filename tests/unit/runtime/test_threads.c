/* SPDX-License-Identifier: MIT */
/* Two runtimes on two threads: channels between them; and the watchdog, which is a thread too. */
#include <pthread.h>
#include <string.h>

#include "sl_conformance.h"
#include "sluice/channel.h"
#include "sluice/memory.h"
#include "sluice/thread.h"

#define ITEMS 20000

struct side {
    sl_thread_channel *channel;
    int code;
    int64_t sum;
    int count, cancelled;
};

static int send_all(void *arg)
{
    struct side *side = arg;
    for (int64_t i = 1; i <= ITEMS; i++) {
        SL_TRY(sl_thread_channel_send(side->channel, &i));
    }
    sl_thread_channel_close(side->channel);
    return 0;
}

/* Receives, and is cancelled in the middle of it now and then: nothing may be lost or come twice. */
static int receive_all(void *arg)
{
    struct side *side = arg;
    int64_t last = 0;
    for (int round = 0;; round++) {
        int64_t item = 0;
        sl_scope scope = SL_SCOPE_INIT;
        SL_TRY(sl_scope_open(&scope,
                             &(struct sl_scope_options){.timeout = round % 7 == 0 ? SL_MICROSECONDS(5) : SL_SECONDS(60),
                                                        .move_on = true}));
        int code = sl_thread_channel_receive(side->channel, &item);
        side->cancelled += code == SL_ECANCELED;
        SL_TRY(sl_scope_close(&scope, code == SL_EOF ? 0 : code));
        if (code == SL_EOF) {
            return 0;
        }
        if (item != 0) {
            CHECK_EQ(item, last + 1);
            last = item;
            side->sum += item;
            side->count++;
        }
    }
}

static void *sending_thread(void *arg)
{
    struct side *side = arg;
    side->code = sl_run(NULL, send_all, side, NULL);
    return NULL;
}

static void channels_carry_between_threads(void **state)
{
    (void)state;
    static const size_t capacities[] = {1, 16, 1024};
    for (size_t i = 0; i < 3; i++) {
        struct side sender = {0};
        assert_int_equal(sl_thread_channel_open(capacities[i], sizeof(int64_t), &sender.channel), 0);
        struct side receiver = {.channel = sl_thread_channel_ref(sender.channel)};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, sending_thread, &sender), 0);
        assert_int_equal(sl_run(NULL, receive_all, &receiver, NULL), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(sender.code, 0);
        assert_int_equal(receiver.count, ITEMS);
        assert_true(receiver.sum == (int64_t)ITEMS * (ITEMS + 1) / 2);
        sl_thread_channel_unref(receiver.channel);
        sl_thread_channel_unref(sender.channel);
        assert_int_equal(sl_memory_held(), 0);
    }
}

C_TEST_REAL(thread_channels_on_one_thread, "codes of the calls: full, empty, closed, cancelled, no task", "")
{
    sl_thread_channel *channel = NULL;
    int item = 5;
    CHECK_EQ(sl_thread_channel_open(0, 4, &channel), SL_EINVAL);
    CHECK_EQ(sl_thread_channel_open(1, sizeof item, &channel), 0);
    CHECK_EQ(sl_thread_channel_try_receive(channel, &item), SL_EAGAIN);
    CHECK_EQ(sl_thread_channel_try_send(channel, &item), 0);
    CHECK_EQ(sl_thread_channel_try_send(channel, &item), SL_EAGAIN);
    {
        SL_SCOPE(limit, .timeout = SL_MICROSECONDS(300));
        CHECK_EQ(sl_scope_close(&limit, sl_thread_channel_send(channel, &item)), SL_ETIMEDOUT);
    }
    int got = 0;
    CHECK_EQ(sl_thread_channel_receive(channel, &got), 0);
    CHECK_EQ(got, 5);
    CHECK_EQ(sl_thread_channel_try_receive(channel, &got), SL_EAGAIN); /* the cancelled send left nothing */
    CHECK_EQ(sl_thread_channel_send(channel, &item), 0);
    sl_thread_channel_close(channel);
    CHECK_EQ(sl_thread_channel_send(channel, &item), SL_EBROKEN);
    CHECK_EQ(sl_thread_channel_receive(channel, &got), 0);
    CHECK_EQ(sl_thread_channel_receive(channel, &got), SL_EOF);
    sl_thread_channel_unref(channel);
    return 0;
}

struct log {
    char text[512];
};

static void keep_log(void *context, enum sl_log_level level, const char *text)
{
    (void)level;
    struct log *log = context;
    (void)snprintf(log->text, sizeof log->text, "%s", text);
}

static int hog(void *arg)
{
    (void)arg;
    struct sl_statistics statistics = {.hogs = 0};
    while (statistics.hogs == 0) { /* until it is noticed, however late on a busy machine */
        SL_TRY(sl_statistics_get(&statistics));
    }
    return sl_checkpoint();
}

static int run_hog(void *arg)
{
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, hog, arg, .name = "greedy"));
    SL_TRY(sl_scope_wait(&scope));
    struct sl_statistics statistics;
    SL_TRY(sl_statistics_get(&statistics));
    return (int)statistics.hogs;
}

static void the_watchdog_names_the_hog(void **state)
{
    (void)state;
    struct log log = {""};
    struct sl_run_options options = {.watchdog = SL_MILLISECONDS(10), .log = keep_log, .log_context = &log};
    assert_true(sl_run(&options, run_hog, NULL, NULL) >= 1);
    assert_non_null(strstr(log.text, "task 'main/greedy' held the loop for "));
}

SL_TEST_MAIN(cmocka_unit_test(channels_carry_between_threads), cmocka_unit_test(thread_channels_on_one_thread),
             cmocka_unit_test(the_watchdog_names_the_hog))
