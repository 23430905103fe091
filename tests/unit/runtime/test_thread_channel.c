/* SPDX-License-Identifier: MIT */
/* Channels between runtimes on different threads: codes, hand-over against cancellation, a stress. */
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>

#include "runtime/internal.h"
#include "sl_conformance.h"
#include "sluice/channel.h"

static void codes_and_limits(void **state)
{
    (void)state;
    sl_thread_channel *channel = NULL;
    assert_int_equal(sl_thread_channel_open(0, 4, &channel), SL_EINVAL);
    assert_int_equal(sl_thread_channel_open(SL_CHANNEL_CAPACITY_MAX + 1, 4, &channel), SL_EINVAL);
    assert_int_equal(sl_thread_channel_open(1, SL_CHANNEL_ITEM_BYTES_MAX + 1, &channel), SL_EINVAL);
    assert_int_equal(sl_thread_channel_open(2, sizeof(int), &channel), 0);
    int item = 0;
    assert_int_equal(sl_thread_channel_try_receive(channel, &item), SL_EAGAIN);
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(sl_thread_channel_try_send(channel, &i), 0);
    }
    assert_int_equal(sl_thread_channel_try_send(channel, &item), SL_EAGAIN);
    assert_int_equal(sl_thread_channel_send(channel, &item), SL_ENOTASK); /* no runtime here */
    assert_int_equal(sl_thread_channel_receive(channel, &item), SL_ENOTASK);
    sl_thread_channel *second = sl_thread_channel_ref(channel);
    sl_thread_channel_unref(channel);
    sl_thread_channel_close(second);
    sl_thread_channel_close(second);
    assert_int_equal(sl_thread_channel_try_send(second, &item), SL_EBROKEN);
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(sl_thread_channel_try_receive(second, &item), 0);
        assert_int_equal(item, i);
    }
    assert_int_equal(sl_thread_channel_try_receive(second, &item), SL_EOF);
    sl_thread_channel_unref(second);
    sl_thread_channel_unref(NULL);
    assert_int_equal(sl_thread_channel_open(1, 0, &channel), 0); /* only the signal counts */
    assert_int_equal(sl_thread_channel_try_send(channel, NULL), 0);
    assert_int_equal(sl_thread_channel_try_receive(channel, NULL), 0);
    sl_thread_channel_unref(channel);
}

struct call {
    sl_thread_channel *channel;
    int item;
    int code;
};

static int receiving(void *arg)
{
    struct call *call = arg;
    call->code = sl_thread_channel_receive(call->channel, &call->item);
    return 0;
}

static int sending(void *arg)
{
    struct call *call = arg;
    call->code = sl_thread_channel_send(call->channel, &call->item);
    return 0;
}

/* Until the task waits on the channel. */
static int wait_parked(sl_task_ref task)
{
    while (task.task->what == NULL || strcmp(task.task->what, "thread channel") != 0) {
        CHECK_EQ(sl_checkpoint(), 0);
    }
    return 0;
}

C_TEST(what_is_handed_over_cannot_be_cancelled, "", "")
{
    struct call call = {.code = 1};
    CHECK_EQ(sl_thread_channel_open(1, sizeof(int), &call.channel), 0);
    sl_task_ref task;
    {
        SL_SCOPE(scope);
        CHECK_EQ(sl_spawn(&scope, receiving, &call, .ret_task = &task), 0);
        SL_TRY(wait_parked(task));
        CHECK_EQ(sl_thread_channel_try_send(call.channel, &(int){7}), 0); /* its wake-up is posted, no more */
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    CHECK_EQ(call.code, 0);
    CHECK_EQ(call.item, 7);
    CHECK_EQ(sl_thread_channel_try_send(call.channel, &(int){1}), 0);
    {
        SL_SCOPE(scope);
        call.item = 2;
        CHECK_EQ(sl_spawn(&scope, sending, &call, .ret_task = &task), 0);
        SL_TRY(wait_parked(task));
        int item;
        CHECK_EQ(sl_thread_channel_try_receive(call.channel, &item), 0);
        CHECK_EQ(item, 1);
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_wait(&scope), 0);
        CHECK_EQ(call.code, 0);
        CHECK_EQ(sl_thread_channel_try_receive(call.channel, &item), 0);
        CHECK_EQ(item, 2);
    }
    sl_thread_channel_unref(call.channel);
    return 0;
}

C_TEST(a_cancelled_wait_has_no_effect, "", "")
{
    struct call call = {.code = 1, .item = 5};
    CHECK_EQ(sl_thread_channel_open(1, sizeof(int), &call.channel), 0);
    sl_task_ref task;
    for (int i = 0; i < 2; i++) {
        SL_SCOPE(scope);
        CHECK_EQ(sl_spawn(&scope, i == 0 ? receiving : sending, &call, .ret_task = &task), 0);
        SL_TRY(wait_parked(task));
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_wait(&scope), 0);
        CHECK_EQ(call.code, SL_ECANCELED);
        CHECK_EQ(sl_thread_channel_try_send(call.channel, &(int){8}), i == 0 ? 0 : SL_EAGAIN);
    }
    int item;
    CHECK_EQ(sl_thread_channel_try_receive(call.channel, &item), 0);
    CHECK_EQ(item, 8);
    CHECK_EQ(sl_thread_channel_try_receive(call.channel, &item), SL_EAGAIN);
    CHECK_EQ(sl__runtime->external, 0);
    sl_thread_channel_unref(call.channel);
    return 0;
}

C_TEST(close_wakes_who_waits, "", "")
{
    struct call calls[4];
    sl_thread_channel *channels[2];
    SL_SCOPE(scope);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(sl_thread_channel_open(1, sizeof(int), &channels[i]), 0);
    }
    CHECK_EQ(sl_thread_channel_try_send(channels[1], &(int){1}), 0);
    for (int i = 0; i < 4; i++) {
        calls[i] = (struct call){.channel = channels[i / 2], .code = 1};
        sl_task_ref task;
        CHECK_EQ(sl_spawn(&scope, i < 2 ? receiving : sending, &calls[i], .ret_task = &task), 0);
        SL_TRY(wait_parked(task));
    }
    for (int i = 0; i < 2; i++) {
        sl_thread_channel_close(channels[i]);
    }
    CHECK_EQ(sl_scope_wait(&scope), 0);
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(calls[i].code, i < 2 ? SL_EOF : SL_EBROKEN);
        sl_thread_channel_unref(i % 2 == 0 ? channels[i / 2] : NULL);
    }
    return 0;
}

struct answer {
    sem_t asked;
    sl_thread_channel *channel;
};

static void *answer_once(void *arg)
{
    struct answer *answer = arg;
    while (sem_wait(&answer->asked) != 0) {
    }
    EXPECT(sl_thread_channel_try_send(answer->channel, &(int){42}) == 0);
    return NULL;
}

C_TEST(a_virtual_clock_waits_for_the_other_thread, "", "")
{
    struct answer answer;
    (void)sem_init(&answer.asked, 0, 0);
    CHECK_EQ(sl_thread_channel_open(1, sizeof(int), &answer.channel), 0);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, answer_once, &answer), 0);
    int item = 0;
    int code;
    {
        SL_SCOPE(limit, .timeout = SL_SECONDS(100));
        (void)sem_post(&answer.asked);
        code = sl_thread_channel_receive(answer.channel, &item);
        CHECK_EQ(sl_scope_close(&limit, 0), 0);
    }
    (void)pthread_join(thread, NULL);
    sl_thread_channel_unref(answer.channel);
    CHECK_EQ(code, 0);
    CHECK_EQ(item, 42);
    return 0;
}

/* ---- stress: runtimes on three threads send to each other and cancel at random ---- */

#define RUNTIMES 3
#define PAIRS 2
#define ITEMS 60
#define SENDERS (RUNTIMES * PAIRS)

static struct {
    const struct sl_run_options *options;
    sl_thread_channel *channel;
    atomic_int senders_left;
    atomic_int arrived[SENDERS * ITEMS];
    atomic_long cancelled;
} stress;

struct worker {
    uint64_t random;
    int number;
};

struct attempt {
    sl_scope *scope;
    uint64_t rounds;
};

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int cancel_later(void *arg)
{
    const struct attempt *attempt = arg;
    for (uint64_t i = 0; i < attempt->rounds; i++) {
        SL_TRY(sl_checkpoint());
    }
    sl_scope_cancel(attempt->scope, NULL);
    return 0;
}

/* One send or receive that a sibling cancels after some turns, if it has not happened by then. */
static int try_once(struct worker *worker, int *item, bool send)
{
    SL_SCOPE(scope);
    struct attempt attempt = {&scope, next_random(&worker->random) % 8};
    CHECK_EQ(sl_spawn(&scope, cancel_later, &attempt, .daemon = true), 0);
    int code = send ? sl_thread_channel_send(stress.channel, item) : sl_thread_channel_receive(stress.channel, item);
    atomic_fetch_add(&stress.cancelled, code == SL_ECANCELED);
    int closed = sl_scope_close(&scope, 0);
    CHECK_EQ(closed, 0);
    return code;
}

static int send_all(void *arg)
{
    struct worker *worker = arg;
    for (int i = 0; i < ITEMS; i++) {
        int item = worker->number * ITEMS + i;
        int code;
        while ((code = try_once(worker, &item, true)) == SL_ECANCELED) { /* it is still ours */
        }
        CHECK_EQ(code, 0);
    }
    if (atomic_fetch_sub(&stress.senders_left, 1) == 1) {
        sl_thread_channel_close(stress.channel);
    }
    return 0;
}

static int receive_all(void *arg)
{
    struct worker *worker = arg;
    for (;;) {
        int item = -1;
        int code = try_once(worker, &item, false);
        if (code == SL_EOF) {
            return 0;
        }
        if (code != SL_ECANCELED) {
            CHECK_EQ(code, 0);
            CHECK(item >= 0 && item < SENDERS * ITEMS);
            atomic_fetch_add(&stress.arrived[item], 1);
        }
    }
}

static int stress_main(void *arg)
{
    int runtime = *(int *)arg;
    struct worker workers[PAIRS * 2];
    SL_SCOPE(scope);
    for (int i = 0; i < PAIRS * 2; i++) {
        workers[i] =
            (struct worker){sl_conformance_seed() * 1000 + (uint64_t)(runtime * 10 + i), runtime * PAIRS + i / 2};
        CHECK_EQ(sl_spawn(&scope, i % 2 == 0 ? send_all : receive_all, &workers[i]), 0);
    }
    return sl_scope_wait(&scope);
}

static void *stress_thread(void *arg)
{
    EXPECT(sl_run(stress.options, stress_main, arg, NULL) == 0);
    return NULL;
}

C_TEST_RUNS(nothing_is_lost_or_doubled, "", "")
{
    stress.options = options;
    atomic_store(&stress.senders_left, SENDERS);
    for (int i = 0; i < SENDERS * ITEMS; i++) {
        atomic_store(&stress.arrived[i], 0);
    }
    size_t capacity = 1 + (size_t)(sl_conformance_random() % 3);
    CHECK_EQ(sl_thread_channel_open(capacity, sizeof(int), &stress.channel), 0);
    pthread_t threads[RUNTIMES];
    int numbers[RUNTIMES];
    for (int i = 0; i < RUNTIMES; i++) {
        numbers[i] = i;
        CHECK_EQ(pthread_create(&threads[i], NULL, stress_thread, &numbers[i]), 0);
    }
    for (int i = 0; i < RUNTIMES; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    sl_thread_channel_unref(stress.channel);
    for (int i = 0; i < SENDERS * ITEMS; i++) {
        CHECK_EQ(atomic_load(&stress.arrived[i]), 1);
    }
    CHECK(atomic_load(&stress.cancelled) > 0);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(codes_and_limits), cmocka_unit_test(what_is_handed_over_cannot_be_cancelled),
             cmocka_unit_test(a_cancelled_wait_has_no_effect), cmocka_unit_test(close_wakes_who_waits),
             cmocka_unit_test(a_virtual_clock_waits_for_the_other_thread), cmocka_unit_test(nothing_is_lost_or_doubled))
