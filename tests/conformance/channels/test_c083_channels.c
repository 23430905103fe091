/* SPDX-License-Identifier: MIT */
/* Behaviours 83 to 93: channels. (94, select: test_c094_select.c.) */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/channel.h"
#include "sluice/sync.h"

/* A task that sends or receives one item and keeps what came of it. */
struct one {
    sl_sender *sender;
    sl_receiver *receiver;
    int item;
    int code;
    bool done;
    sl_task_ref task;
};

static int send_one(void *arg)
{
    struct one *one = arg;
    one->code = sl_channel_send(one->sender, &one->item);
    one->done = true;
    return 0;
}

static int receive_one(void *arg)
{
    struct one *one = arg;
    one->code = sl_channel_receive(one->receiver, &one->item);
    one->done = true;
    return 0;
}

static int open_ints(size_t capacity, sl_sender **ret_sender, sl_receiver **ret_receiver)
{
    struct sl_channel_options options = {.capacity = capacity, .item_bytes = sizeof(int)};
    return sl_channel_open(&options, ret_sender, ret_receiver);
}

static int free_both(sl_sender *sender, sl_receiver *receiver)
{
    CHECK_EQ(sl_sender_free(sender), 0);
    CHECK_EQ(sl_receiver_free(receiver), 0);
    return 0;
}

C_TEST(c083_capacity_zero_is_a_rendezvous,
       "Given capacity 0, when nobody waits on the other end, then try calls would block; when somebody does, the item "
       "is handed over; and a send ends only when its item was received.",
       "trio test_channel.py test_unbuffered; anyio test_memory.py test_receive_then_send_nowait")
{
    sl_sender *sender;
    sl_receiver *receiver;
    int item = 7;
    SL_TRY(open_ints(0, &sender, &receiver));
    CHECK_EQ(sl_channel_try_send(sender, &item), SL_EAGAIN);
    CHECK_EQ(sl_channel_try_receive(receiver, &item), SL_EAGAIN);

    SL_SCOPE(scope);
    struct one getter = {.receiver = receiver};
    SL_TRY(sl_spawn(&scope, receive_one, &getter));
    SETTLE();
    CHECK(!getter.done);
    CHECK_EQ(sl_channel_try_send(sender, &item), 0);
    CHECK_EQ(sl_channel_try_send(sender, &item), SL_EAGAIN);
    SETTLE();
    CHECK(getter.done && getter.code == 0 && getter.item == 7);

    struct one putter = {.sender = sender, .item = 8};
    SL_TRY(sl_spawn(&scope, send_one, &putter));
    SETTLE();
    CHECK(!putter.done);
    CHECK_EQ(sl_channel_try_receive(receiver, &item), 0);
    CHECK_EQ(item, 8);
    CHECK_EQ(sl_channel_try_receive(receiver, &item), SL_EAGAIN);
    SETTLE();
    CHECK(putter.done && putter.code == 0);
    SL_TRY(sl_scope_wait(&scope));
    return free_both(sender, receiver);
}

C_TEST(
    c084_one_receive_releases_one_sender_in_order,
    "Given a full buffer, when tasks send, then they wait; one receive releases exactly the first of them, and items "
    "arrive in the order in which they were sent.",
    "anyio test_memory.py test_send_is_unblocked_after_receive_nowait, test_statistics")
{
    sl_sender *sender;
    sl_receiver *receiver;
    SL_TRY(open_ints(2, &sender, &receiver));
    SL_SCOPE(scope);
    struct one putters[5];
    for (int i = 0; i < 5; i++) {
        putters[i] = (struct one){.sender = sender, .item = i};
        SL_TRY(sl_spawn(&scope, send_one, &putters[i]));
        SETTLE();
        CHECK_EQ(putters[i].done, i < 2);
    }
    for (int i = 0; i < 5; i++) {
        int item = -1;
        CHECK_EQ(sl_channel_receive(receiver, &item), 0);
        CHECK_EQ(item, i);
        SETTLE();
        for (int j = 0; j < 5; j++) {
            CHECK_EQ(putters[j].done, j <= i + 2);
        }
    }
    SL_TRY(sl_scope_wait(&scope));
    return free_both(sender, receiver);
}

C_TEST(c085_last_sender_closes_then_drain_then_end,
       "Given several sending ends, when the last one closes, then receivers drain the buffer and get the end of the "
       "channel, for ever; those who wait get it at once.",
       "trio test_channel.py test_channel, test_channel_multiple_producers; anyio test_receive_after_send_closed")
{
    sl_sender *first;
    sl_sender *second;
    sl_receiver *receiver;
    int item;
    SL_TRY(open_ints(3, &first, &receiver));
    SL_TRY(sl_sender_clone(first, &second));
    SL_SCOPE(scope);
    struct one getter = {.receiver = receiver};
    SL_TRY(sl_spawn(&scope, receive_one, &getter));
    SETTLE();
    sl_sender_close(first);
    sl_sender_close(first);
    SETTLE();
    CHECK(!getter.done);
    for (item = 1; item <= 3; item++) {
        CHECK_EQ(sl_channel_send(second, &item), 0);
    }
    SETTLE();
    CHECK(getter.done && getter.item == 1);
    sl_sender_close(second);
    for (int expected = 2; expected <= 3; expected++) {
        CHECK_EQ(sl_channel_receive(receiver, &item), 0);
        CHECK_EQ(item, expected);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sl_channel_receive(receiver, &item), SL_EOF);
        CHECK_EQ(sl_channel_try_receive(receiver, &item), SL_EOF);
    }
    CHECK_EQ(sl_sender_free(first), 0);
    SL_TRY(free_both(second, receiver));

    SL_TRY(open_ints(0, &first, &receiver));
    getter = (struct one){.receiver = receiver};
    SL_TRY(sl_spawn(&scope, receive_one, &getter));
    SETTLE();
    sl_sender_close(first);
    SETTLE();
    CHECK(getter.done);
    CHECK_EQ(getter.code, SL_EOF);
    SL_TRY(sl_scope_wait(&scope));
    return free_both(first, receiver);
}

C_TEST(
    c086_last_receiver_closes_then_sends_are_broken,
    "Given blocked senders, when the last receiving end closes, then they and all later sends fail BROKEN, for ever.",
    "trio test_channel.py test_close_basics, test_receive_channel_clone_and_close; libdill chan.c ch15")
{
    sl_sender *sender;
    sl_receiver *first;
    sl_receiver *second;
    SL_TRY(open_ints(1, &sender, &first));
    SL_TRY(sl_receiver_clone(first, &second));
    SL_SCOPE(scope);
    struct one putters[3];
    for (int i = 0; i < 3; i++) {
        putters[i] = (struct one){.sender = sender, .item = i};
        SL_TRY(sl_spawn(&scope, send_one, &putters[i]));
        SETTLE();
    }
    sl_receiver_close(first);
    SETTLE();
    CHECK(putters[0].done && !putters[1].done && !putters[2].done);
    sl_receiver_close(second);
    SETTLE();
    CHECK(putters[1].done && putters[2].done);
    CHECK_EQ(putters[1].code, SL_EBROKEN);
    CHECK_EQ(putters[2].code, SL_EBROKEN);
    int item = 9;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sl_channel_send(sender, &item), SL_EBROKEN);
        CHECK_EQ(sl_channel_try_send(sender, &item), SL_EBROKEN);
    }
    CHECK_EQ(sl_receiver_free(first), 0);
    SL_TRY(sl_scope_wait(&scope));
    return free_both(sender, second);
}

C_TEST(
    c087_closing_the_end_a_task_is_blocked_on,
    "Given a task blocked on an end, when another task closes that end, then the blocked call fails CLOSED, and so do "
    "all later calls on it.",
    "trio test_channel.py test_close_basics, test_close_sync")
{
    sl_sender *sender;
    sl_receiver *receiver;
    int item = 1;
    SL_TRY(open_ints(0, &sender, &receiver));
    SL_SCOPE(scope);
    struct one putter = {.sender = sender};
    SL_TRY(sl_spawn(&scope, send_one, &putter));
    SETTLE();
    sl_sender_close(sender);
    SETTLE();
    CHECK(putter.done);
    CHECK_EQ(putter.code, SL_ECLOSED);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sl_channel_send(sender, &item), SL_ECLOSED);
        CHECK_EQ(sl_channel_try_send(sender, &item), SL_ECLOSED);
    }
    SL_TRY(free_both(sender, receiver));

    SL_TRY(open_ints(0, &sender, &receiver));
    struct one getter = {.receiver = receiver};
    SL_TRY(sl_spawn(&scope, receive_one, &getter));
    SETTLE();
    sl_receiver_close(receiver);
    sl_sender_close(sender); /* does not turn it into the end of the channel */
    SETTLE();
    CHECK(getter.done);
    CHECK_EQ(getter.code, SL_ECLOSED);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sl_channel_receive(receiver, &item), SL_ECLOSED);
        CHECK_EQ(sl_channel_try_receive(receiver, &item), SL_ECLOSED);
    }
    SL_TRY(sl_scope_wait(&scope));
    return free_both(sender, receiver);
}

C_TEST(c088_closing_a_clone_wakes_only_its_own_waiters,
       "Given tasks blocked on different clones of an end, when one clone closes, then only its own waiters wake; "
       "cloning a closed end is misuse.",
       "trio test_channel.py test_close_multiple_send_handles, test_close_multiple_receive_handles; anyio "
       "test_clone_closed")
{
    sl_sender *senders[2];
    sl_receiver *receivers[2];
    SL_TRY(open_ints(0, &senders[0], &receivers[0]));
    SL_TRY(sl_sender_clone(senders[0], &senders[1]));
    SL_TRY(sl_receiver_clone(receivers[0], &receivers[1]));
    SL_SCOPE(scope);
    /* The waiters of the two clones alternate in the queue. */
    struct one getters[4];
    for (int i = 0; i < 4; i++) {
        getters[i] = (struct one){.receiver = receivers[i % 2]};
        SL_TRY(sl_spawn(&scope, receive_one, &getters[i]));
        SETTLE();
    }
    sl_receiver_close(receivers[0]);
    SETTLE();
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(getters[i].done, i % 2 == 0);
        CHECK_EQ(getters[i].code, i % 2 == 0 ? SL_ECLOSED : 0);
    }
    for (int item = 10; item < 12; item++) {
        CHECK_EQ(sl_channel_try_send(senders[0], &item), 0);
    }
    SETTLE();
    CHECK(getters[1].done && getters[1].code == 0 && getters[1].item == 10);
    CHECK(getters[3].done && getters[3].code == 0 && getters[3].item == 11);

    struct one putters[4];
    for (int i = 0; i < 4; i++) {
        putters[i] = (struct one){.sender = senders[i % 2], .item = i};
        SL_TRY(sl_spawn(&scope, send_one, &putters[i]));
        SETTLE();
    }
    sl_sender_close(senders[1]);
    SETTLE();
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(putters[i].done, i % 2 == 1);
        CHECK_EQ(putters[i].code, i % 2 == 1 ? SL_ECLOSED : 0);
    }
    for (int i = 0; i < 4; i += 2) {
        int item = -1;
        CHECK_EQ(sl_channel_try_receive(receivers[1], &item), 0);
        CHECK_EQ(item, i);
    }
    sl_sender *no_sender = NULL;
    sl_receiver *no_receiver = NULL;
    CHECK_EQ(sl_sender_clone(senders[1], &no_sender), SL_ECLOSED);
    CHECK_EQ(sl_receiver_clone(receivers[0], &no_receiver), SL_ECLOSED);
    CHECK(no_sender == NULL && no_receiver == NULL);
    SL_TRY(sl_scope_wait(&scope));
    SL_TRY(free_both(senders[1], receivers[0]));
    return free_both(senders[0], receivers[1]);
}

C_TEST(
    c089_what_was_handed_over_cannot_be_taken,
    "Given an item handed to a waiting receiver, or a slot given to a waiting sender, when a try call runs before the "
    "woken task does, then it cannot take it.",
    "trio test_channel.py test_channel_fairness")
{
    sl_sender *sender;
    sl_receiver *receiver;
    int item = 1;
    SL_TRY(open_ints(1, &sender, &receiver));
    SL_SCOPE(scope);
    struct one getter = {.receiver = receiver};
    SL_TRY(sl_spawn(&scope, receive_one, &getter));
    SETTLE();
    CHECK_EQ(sl_channel_try_send(sender, &item), 0);
    CHECK(!getter.done);
    CHECK_EQ(sl_channel_try_receive(receiver, &item), SL_EAGAIN);
    SETTLE();
    CHECK(getter.done && getter.code == 0 && getter.item == 1);

    item = 2;
    CHECK_EQ(sl_channel_try_send(sender, &item), 0);
    struct one putter = {.sender = sender, .item = 3};
    SL_TRY(sl_spawn(&scope, send_one, &putter));
    SETTLE();
    CHECK_EQ(sl_channel_try_receive(receiver, &item), 0);
    CHECK_EQ(item, 2);
    CHECK(!putter.done);
    item = 4;
    CHECK_EQ(sl_channel_try_send(sender, &item), SL_EAGAIN);
    SETTLE();
    CHECK(putter.done && putter.code == 0);
    CHECK_EQ(sl_channel_try_receive(receiver, &item), 0);
    CHECK_EQ(item, 3);
    SL_TRY(sl_scope_wait(&scope));
    return free_both(sender, receiver);
}

C_TEST(c090_cancelled_before_entry_has_no_effect,
       "Given an already cancelled scope, when a task sends or receives, then the call fails and the channel is as "
       "before, though it could have gone on without waiting.",
       "anyio test_memory.py test_receive_when_cancelled, test_send_when_cancelled")
{
    sl_sender *sender;
    sl_receiver *receiver;
    struct sl_channel_statistics before;
    struct sl_channel_statistics after;
    int item = 1;
    SL_TRY(open_ints(2, &sender, &receiver));
    CHECK_EQ(sl_channel_send(sender, &item), 0);
    sl_receiver_statistics(receiver, &before);
    sl_scope cancelled = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&cancelled, NULL), 0);
    sl_scope_cancel(&cancelled, NULL);
    for (int i = 0; i < 2; i++) {
        int other = 5;
        CHECK_EQ(sl_channel_send(sender, &other), SL_ECANCELED);
        CHECK_EQ(sl_channel_receive(receiver, &other), SL_ECANCELED);
        CHECK_EQ(other, 5);
        struct sl_select_clause clauses[] = {{.kind = SL_SELECT_RECEIVE, .receiver = receiver, .item = &other},
                                             {.kind = SL_SELECT_SEND, .sender = sender, .item = &other}};
        CHECK_EQ(sl_select(clauses, 2, SL_NEVER), SL_ECANCELED);
        CHECK_EQ(sl_select(clauses, 2, 0), SL_ECANCELED);
        CHECK_EQ(other, 5);
    }
    CHECK_EQ(sl_scope_close(&cancelled, SL_ECANCELED), 0);
    sl_receiver_statistics(receiver, &after);
    CHECK_EQ(memcmp(&before, &after, sizeof before), 0);
    CHECK_EQ(sl_channel_receive(receiver, &item), 0);
    CHECK_EQ(item, 1);
    return free_both(sender, receiver);
}

/* What many receivers, some of them cancelled, got in total; the rest is still in the channel. */
static int cancel_around_sends(size_t capacity)
{
    enum { TASKS = 24 };
    sl_sender *sender;
    sl_receiver *receiver;
    SL_TRY(open_ints(capacity, &sender, &receiver));
    struct one getters[TASKS];
    bool seen[TASKS] = {false};
    int sent = 0;
    int got = 0;
    {
        SL_SCOPE(scope);
        for (int i = 0; i < TASKS; i++) {
            getters[i] = (struct one){.receiver = receiver};
            SL_TRY(sl_spawn(&scope, receive_one, &getters[i], .ret_task = &getters[i].task));
        }
        for (int i = 0; i < TASKS; i++) {
            uint64_t chance = sl_conformance_random();
            if (chance % 4 == 0) {
                SL_TRY(sl_checkpoint());
            }
            if (chance % 3 == 0) {
                (void)sl_task_cancel(getters[chance / 3 % TASKS].task, NULL);
            }
            int code = sl_channel_try_send(sender, &sent);
            CHECK(code == 0 || code == SL_EAGAIN);
            sent += code == 0;
            if (chance % 5 == 0) {
                (void)sl_task_cancel(getters[chance / 5 % TASKS].task, NULL);
            }
        }
        sl_sender_close(sender);
        SL_TRY(sl_scope_wait(&scope));
    }
    for (int i = 0; i < TASKS; i++) {
        CHECK(getters[i].done);
        CHECK(getters[i].code == 0 || getters[i].code == SL_ECANCELED || getters[i].code == SL_EOF);
        if (getters[i].code == 0) {
            CHECK(!seen[getters[i].item]);
            seen[getters[i].item] = true;
            got++;
        }
    }
    int left;
    while (sl_channel_try_receive(receiver, &left) == 0) {
        CHECK(!seen[left]);
        seen[left] = true;
        got++;
    }
    CHECK_EQ(got, sent);
    return free_both(sender, receiver);
}

C_TEST(
    c091_cancel_around_a_send_neither_loses_nor_doubles,
    "Given a waiting receiver, when it is cancelled around a send, then it got the item and its call succeeds, or the "
    "next receiver gets it; the same for a waiting sender and its slot.",
    "anyio test_memory.py test_cancel_during_receive, test_cancel_during_receive_buffered, "
    "test_send_to_natively_cancelled_receiver; anyio#146")
{
    sl_sender *sender;
    sl_receiver *receiver;
    int item = 1;
    SL_TRY(open_ints(0, &sender, &receiver));
    SL_SCOPE(scope);
    struct one getters[2] = {{.receiver = receiver}, {.receiver = receiver}};
    for (int i = 0; i < 2; i++) {
        SL_TRY(sl_spawn(&scope, receive_one, &getters[i], .ret_task = &getters[i].task));
        SETTLE();
    }
    /* First cancelled, then sent: the next one gets it. */
    CHECK_EQ(sl_task_cancel(getters[0].task, NULL), 0);
    CHECK_EQ(sl_channel_try_send(sender, &item), 0);
    SETTLE();
    CHECK(getters[0].done && getters[0].code == SL_ECANCELED);
    CHECK(getters[1].done && getters[1].code == 0 && getters[1].item == 1);
    /* First sent, then cancelled: it has it. */
    getters[0] = (struct one){.receiver = receiver};
    SL_TRY(sl_spawn(&scope, receive_one, &getters[0], .ret_task = &getters[0].task));
    SETTLE();
    item = 2;
    CHECK_EQ(sl_channel_try_send(sender, &item), 0);
    CHECK_EQ(sl_task_cancel(getters[0].task, NULL), 0);
    SETTLE();
    CHECK(getters[0].done && getters[0].code == 0 && getters[0].item == 2);
    /* The same for senders: cancelled first, its item is not sent; received first, it was. */
    struct one putters[3];
    for (int i = 0; i < 3; i++) {
        putters[i] = (struct one){.sender = sender, .item = i};
        SL_TRY(sl_spawn(&scope, send_one, &putters[i], .ret_task = &putters[i].task));
        SETTLE();
    }
    CHECK_EQ(sl_task_cancel(putters[0].task, NULL), 0);
    CHECK_EQ(sl_channel_try_receive(receiver, &item), 0);
    CHECK_EQ(item, 1);
    CHECK_EQ(sl_task_cancel(putters[1].task, NULL), 0);
    CHECK_EQ(sl_task_cancel(putters[2].task, NULL), 0);
    CHECK_EQ(sl_channel_try_receive(receiver, &item), SL_EAGAIN);
    SETTLE();
    CHECK_EQ(putters[0].code, SL_ECANCELED);
    CHECK_EQ(putters[1].code, 0);
    CHECK_EQ(putters[2].code, SL_ECANCELED);
    SL_TRY(sl_scope_wait(&scope));
    SL_TRY(free_both(sender, receiver));
    SL_TRY(cancel_around_sends(0));
    return cancel_around_sends(3);
}

C_TEST(c092_cancelled_waiters_vanish,
       "Given blocked senders or receivers, when they are cancelled, then a try call says would-block and nobody is "
       "counted as waiting.",
       "anyio test_memory.py test_cancel_receive, test_cancel_send; trio test_channel.py test_553")
{
    sl_sender *sender;
    sl_receiver *receiver;
    struct sl_channel_statistics statistics;
    int item = 1;
    SL_TRY(open_ints(0, &sender, &receiver));
    for (int round = 0; round < 2; round++) {
        SL_SCOPE(scope);
        struct one ones[3];
        for (int i = 0; i < 3; i++) {
            ones[i] = (struct one){.sender = sender, .receiver = receiver};
            SL_TRY(sl_spawn(&scope, round == 0 ? receive_one : send_one, &ones[i]));
        }
        SETTLE();
        sl_sender_statistics(sender, &statistics);
        CHECK_EQ(statistics.receivers_waiting, round == 0 ? 3 : 0);
        CHECK_EQ(statistics.senders_waiting, round == 0 ? 0 : 3);
        CHECK_EQ(round == 0 ? sl_receiver_free(receiver) : sl_sender_free(sender), SL_EBUSY);
        sl_scope_cancel(&scope, NULL);
        sl_sender_statistics(sender, &statistics);
        CHECK_EQ(statistics.receivers_waiting + statistics.senders_waiting, 0);
        CHECK_EQ(round == 0 ? sl_channel_try_send(sender, &item) : sl_channel_try_receive(receiver, &item), SL_EAGAIN);
        CHECK_EQ(sl_scope_close(&scope, 0), 0);
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(ones[i].code, SL_ECANCELED);
        }
    }
    return free_both(sender, receiver);
}

C_TEST(
    c093_statistics,
    "Given a channel, then its statistics show use, capacity, open ends, waiters and a high-water mark that draining "
    "does not reset.",
    "trio test_channel.py test_statistics")
{
    sl_sender *sender;
    sl_sender *clone;
    sl_receiver *receiver;
    struct sl_channel_statistics now;
    SL_TRY(open_ints(3, &sender, &receiver));
    SL_TRY(sl_sender_clone(sender, &clone));
    sl_sender_statistics(sender, &now);
    CHECK(now.used == 0 && now.capacity == 3 && now.high_water == 0 && now.senders == 2 && now.receivers == 1);
    SL_SCOPE(scope);
    struct one putters[5];
    for (int i = 0; i < 5; i++) {
        putters[i] = (struct one){.sender = i % 2 == 0 ? sender : clone, .item = i};
        SL_TRY(sl_spawn(&scope, send_one, &putters[i]));
        SETTLE();
    }
    sl_receiver_statistics(receiver, &now);
    CHECK(now.used == 3 && now.high_water == 3 && now.senders_waiting == 2 && now.receivers_waiting == 0);
    CHECK(now.sent == 3 && now.received == 0);
    for (int i = 0; i < 5; i++) {
        int item;
        CHECK_EQ(sl_channel_receive(receiver, &item), 0);
    }
    struct one getter = {.receiver = receiver};
    SL_TRY(sl_spawn(&scope, receive_one, &getter));
    SETTLE();
    sl_receiver_statistics(receiver, &now);
    CHECK(now.used == 0 && now.high_water == 3 && now.senders_waiting == 0 && now.receivers_waiting == 1);
    CHECK(now.sent == 5 && now.received == 5 && now.dropped == 0 && now.conflated == 0);
    sl_sender_close(clone);
    sl_sender_close(sender);
    sl_receiver_statistics(receiver, &now);
    CHECK(now.senders == 0 && now.receivers == 1 && now.receivers_waiting == 0);
    SL_TRY(sl_scope_wait(&scope));
    CHECK_EQ(sl_sender_free(clone), 0);
    return free_both(sender, receiver);
}

SL_TEST_MAIN(cmocka_unit_test(c083_capacity_zero_is_a_rendezvous),
             cmocka_unit_test(c084_one_receive_releases_one_sender_in_order),
             cmocka_unit_test(c085_last_sender_closes_then_drain_then_end),
             cmocka_unit_test(c086_last_receiver_closes_then_sends_are_broken),
             cmocka_unit_test(c087_closing_the_end_a_task_is_blocked_on),
             cmocka_unit_test(c088_closing_a_clone_wakes_only_its_own_waiters),
             cmocka_unit_test(c089_what_was_handed_over_cannot_be_taken),
             cmocka_unit_test(c090_cancelled_before_entry_has_no_effect),
             cmocka_unit_test(c091_cancel_around_a_send_neither_loses_nor_doubles),
             cmocka_unit_test(c092_cancelled_waiters_vanish), cmocka_unit_test(c093_statistics))
