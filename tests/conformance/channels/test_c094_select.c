/* SPDX-License-Identifier: MIT */
/* Behaviour 94: select. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/channel.h"
#include "sluice/sync.h"

enum { KIB = 1024 };

static int open_bytes(size_t capacity, size_t item_bytes, sl_sender **ret_sender, sl_receiver **ret_receiver)
{
    struct sl_channel_options options = {.capacity = capacity, .item_bytes = item_bytes};
    return sl_channel_open(&options, ret_sender, ret_receiver);
}

static int free_both(sl_sender *sender, sl_receiver *receiver)
{
    CHECK_EQ(sl_sender_free(sender), 0);
    CHECK_EQ(sl_receiver_free(receiver), 0);
    return 0;
}

/* A task that selects among its clauses once. */
struct selecting {
    struct sl_select_clause clauses[4];
    size_t count;
    int index;
    bool done;
};

static int select_once(void *arg)
{
    struct selecting *selecting = arg;
    selecting->index = sl_select(selecting->clauses, selecting->count, SL_NEVER);
    selecting->done = true;
    return 0;
}

static int array_order_and_polling(void)
{
    sl_sender *senders[2];
    sl_receiver *receivers[2];
    int item = 1;
    int got[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        SL_TRY(open_bytes(1, sizeof(int), &senders[i], &receivers[i]));
    }
    struct sl_select_clause clauses[] = {{.kind = SL_SELECT_RECEIVE, .receiver = receivers[0], .item = &got[0]},
                                         {.kind = SL_SELECT_RECEIVE, .receiver = receivers[1], .item = &got[1]}};
    CHECK_EQ(sl_select(clauses, 2, 0), SL_EAGAIN);
    CHECK_EQ(sl_channel_try_send(senders[1], &item), 0);
    CHECK_EQ(sl_channel_try_send(senders[0], &item), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(sl_select(clauses, 2, SL_NEVER), i);
        CHECK_EQ(clauses[i].code, 0);
        CHECK_EQ(got[i], 1);
    }
    CHECK_EQ(sl_select(clauses, 2, 0), SL_EAGAIN);
    CHECK_EQ(sl_select(clauses, 2, SL_MILLISECONDS(1)), SL_ETIMEDOUT);
    CHECK_EQ(sl_select(NULL, 0, 0), SL_EAGAIN);
    sl_time begin = sl_now();
    CHECK_EQ(sl_select(NULL, 0, SL_MILLISECONDS(2)), SL_ETIMEDOUT);
    CHECK(sl_now() - begin >= SL_MILLISECONDS(2));
    for (int i = 0; i < 2; i++) {
        SL_TRY(free_both(senders[i], receivers[i]));
    }
    return 0;
}

static int finished_channels(void)
{
    sl_sender *sender;
    sl_receiver *receiver;
    int item = 1;
    SL_TRY(open_bytes(0, sizeof(int), &sender, &receiver));
    struct sl_select_clause receive = {.kind = SL_SELECT_RECEIVE, .receiver = receiver, .item = &item};
    struct sl_select_clause send = {.kind = SL_SELECT_SEND, .sender = sender, .item = &item};
    SL_SCOPE(scope);
    struct selecting waiting = {.clauses = {receive}, .count = 1};
    SL_TRY(sl_spawn(&scope, select_once, &waiting));
    SETTLE();
    CHECK(!waiting.done);
    sl_sender_close(sender);
    SETTLE();
    CHECK(waiting.done);
    CHECK_EQ(waiting.index, 0);
    CHECK_EQ(waiting.clauses[0].code, SL_EOF);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(sl_select(&receive, 1, SL_NEVER), 0);
        CHECK_EQ(receive.code, SL_EOF);
        CHECK_EQ(sl_select(&send, 1, SL_NEVER), 0);
        CHECK_EQ(send.code, SL_ECLOSED);
    }
    SL_TRY(free_both(sender, receiver));

    SL_TRY(open_bytes(0, sizeof(int), &sender, &receiver));
    send.sender = sender;
    waiting = (struct selecting){.clauses = {send}, .count = 1};
    SL_TRY(sl_spawn(&scope, select_once, &waiting));
    SETTLE();
    sl_receiver_close(receiver);
    SETTLE();
    CHECK(waiting.done);
    CHECK_EQ(waiting.clauses[0].code, SL_EBROKEN);
    SL_TRY(sl_scope_wait(&scope));
    return free_both(sender, receiver);
}

/* One clause fires, the others are as if they had never been. */
static int same_channel_twice(void)
{
    sl_sender *sender;
    sl_receiver *receiver;
    struct sl_channel_statistics statistics;
    int got[3] = {0, 0, 0};
    int mine = 9;
    int item = 4;
    SL_TRY(open_bytes(0, sizeof(int), &sender, &receiver));
    SL_SCOPE(scope);
    struct selecting waiting = {.clauses = {{.kind = SL_SELECT_RECEIVE, .receiver = receiver, .item = &got[0]},
                                            {.kind = SL_SELECT_SEND, .sender = sender, .item = &mine},
                                            {.kind = SL_SELECT_RECEIVE, .receiver = receiver, .item = &got[1]}},
                                .count = 3};
    SL_TRY(sl_spawn(&scope, select_once, &waiting));
    SETTLE();
    CHECK(!waiting.done);
    CHECK_EQ(sl_channel_try_send(sender, &item), 0);
    CHECK_EQ(sl_channel_try_send(sender, &item), SL_EAGAIN);
    CHECK_EQ(sl_channel_try_receive(receiver, &item), SL_EAGAIN);
    sl_sender_statistics(sender, &statistics);
    CHECK(statistics.senders_waiting == 0 && statistics.receivers_waiting == 0);
    SETTLE();
    CHECK(waiting.done);
    CHECK_EQ(waiting.index, 0);
    CHECK(got[0] == 4 && got[1] == 0);
    /* Closing the end on which two clauses wait wakes the task once. */
    waiting.done = false;
    SL_TRY(sl_spawn(&scope, select_once, &waiting));
    SETTLE();
    sl_receiver_close(receiver);
    SETTLE();
    CHECK(waiting.done);
    CHECK_EQ(waiting.index, 0);
    CHECK_EQ(waiting.clauses[0].code, SL_ECLOSED);
    SL_TRY(sl_scope_wait(&scope));
    return free_both(sender, receiver);
}

static int message_sizes(size_t item_bytes)
{
    sl_sender *sender;
    sl_receiver *receiver;
    unsigned char sent[KIB];
    unsigned char received[KIB];
    for (size_t capacity = 0; capacity < 2; capacity++) {
        SL_TRY(open_bytes(capacity, item_bytes, &sender, &receiver));
        memset(sent, 0x5a, sizeof sent);
        memset(received, 0, sizeof received);
        SL_SCOPE(scope);
        struct selecting waiting = {
            .clauses = {{.kind = SL_SELECT_RECEIVE, .receiver = receiver, .item = item_bytes > 0 ? received : NULL}},
            .count = 1};
        SL_TRY(sl_spawn(&scope, select_once, &waiting));
        CHECK_EQ(sl_channel_send(sender, item_bytes > 0 ? sent : NULL), 0);
        SL_TRY(sl_scope_wait(&scope));
        CHECK(waiting.done && waiting.index == 0 && waiting.clauses[0].code == 0);
        CHECK_EQ(memcmp(sent, received, item_bytes), 0);
        SL_TRY(free_both(sender, receiver));
    }
    return 0;
}

C_TEST(
    c094_select,
    "Given several clauses, then the first ready one in array order wins; timeout 0 polls; an empty set times out; a "
    "finished channel fires; the same channel twice is harmless; messages of no bytes and of 1 KiB pass.",
    "libdill choose.c, chan.c")
{
    SL_TRY(array_order_and_polling());
    SL_TRY(finished_channels());
    SL_TRY(same_channel_twice());
    SL_TRY(message_sizes(0));
    return message_sizes(KIB);
}

SL_TEST_MAIN(cmocka_unit_test(c094_select))
