/* SPDX-License-Identifier: MIT */
/* Channels: options, overflow policies, dropped items, names, short memory, fairness. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/channel.h"
#include "sluice/memory.h"
#include "sluice/sync.h"

/* Items that know their key; dropped ones are noted here. */
struct item {
    uint32_t key;
    uint32_t value;
};

enum { DROPPED_MAX = 64 };
static struct item dropped[DROPPED_MAX];
static size_t dropped_count;

static void note_dropped(void *item)
{
    EXPECT(dropped_count < DROPPED_MAX);
    memcpy(&dropped[dropped_count++ % DROPPED_MAX], item, sizeof(struct item));
}

static uint64_t key_of(const void *item)
{
    return ((const struct item *)item)->key;
}

static int open_items(size_t capacity, enum sl_overflow overflow, sl_sender **ret_sender, sl_receiver **ret_receiver)
{
    dropped_count = 0;
    struct sl_channel_options options = {.capacity = capacity,
                                         .item_bytes = sizeof(struct item),
                                         .overflow = overflow,
                                         .key = key_of,
                                         .drop = note_dropped,
                                         .name = "trades"};
    return sl_channel_open(&options, ret_sender, ret_receiver);
}

static int free_both(sl_sender *sender, sl_receiver *receiver)
{
    CHECK_EQ(sl_sender_free(sender), 0);
    CHECK_EQ(sl_receiver_free(receiver), 0);
    return 0;
}

static int send_many(sl_sender *sender, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct item item = {first + i, first + i};
        CHECK_EQ(sl_channel_send(sender, &item), 0);
    }
    return 0;
}

static int expect_item(sl_receiver *receiver, uint32_t key, uint32_t value)
{
    struct item item = {0, 0};
    CHECK_EQ(sl_channel_try_receive(receiver, &item), 0);
    CHECK_EQ(item.key, key);
    CHECK_EQ(item.value, value);
    return 0;
}

static int expect_balance(const sl_sender *sender, uint64_t sent, uint64_t received, uint64_t drops, uint64_t conflated)
{
    struct sl_channel_statistics now;
    sl_sender_statistics(sender, &now);
    CHECK_EQ(now.sent, sent);
    CHECK_EQ(now.received, received);
    CHECK_EQ(now.dropped, drops);
    CHECK_EQ(now.conflated, conflated);
    CHECK_EQ(now.sent, now.received + now.dropped + now.conflated + now.used);
    return 0;
}

TASK_TEST(wrong_options_are_refused)
{
    sl_sender *sender = NULL;
    sl_receiver *receiver = NULL;
    const struct sl_channel_options wrong[] = {
        {.capacity = SL_CHANNEL_CAPACITY_MAX + 1, .item_bytes = 1},
        {.capacity = 1, .item_bytes = SL_CHANNEL_ITEM_BYTES_MAX + 1},
        {.capacity = SIZE_MAX, .item_bytes = SIZE_MAX},
        {.capacity = 0, .item_bytes = 1, .overflow = SL_DROP_OLDEST},
        {.capacity = 0, .item_bytes = 1, .overflow = SL_DROP_NEWEST},
        {.capacity = 0, .item_bytes = 1, .overflow = SL_CONFLATE, .key = key_of},
        {.capacity = 4, .item_bytes = 8, .overflow = SL_CONFLATE},
        {.capacity = 4, .item_bytes = 8, .overflow = (enum sl_overflow)17},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        CHECK_EQ(sl_channel_open(&wrong[i], &sender, &receiver), SL_EINVAL);
        CHECK(sender == NULL && receiver == NULL);
    }
    CHECK_EQ(sl_sender_free(NULL), 0);
    CHECK_EQ(sl_receiver_free(NULL), 0);
    return 0;
}

TASK_TEST(drop_oldest_keeps_the_newest)
{
    sl_sender *sender;
    sl_receiver *receiver;
    SL_TRY(open_items(3, SL_DROP_OLDEST, &sender, &receiver));
    SL_TRY(send_many(sender, 0, 8));
    SL_TRY(expect_balance(sender, 8, 0, 5, 0));
    CHECK_EQ(dropped_count, 5);
    for (uint32_t i = 0; i < 8; i++) {
        if (i < 5) {
            CHECK_EQ(dropped[i].value, i);
        } else {
            SL_TRY(expect_item(receiver, i, i));
        }
    }
    SL_TRY(expect_balance(sender, 8, 3, 5, 0));
    return free_both(sender, receiver);
}

TASK_TEST(drop_newest_keeps_the_oldest)
{
    sl_sender *sender;
    sl_receiver *receiver;
    SL_TRY(open_items(3, SL_DROP_NEWEST, &sender, &receiver));
    SL_TRY(send_many(sender, 0, 8));
    CHECK_EQ(dropped_count, 5);
    for (uint32_t i = 0; i < 3; i++) {
        SL_TRY(expect_item(receiver, i, i));
    }
    CHECK_EQ(dropped[0].value, 3);
    SL_TRY(expect_balance(sender, 8, 3, 5, 0));
    return free_both(sender, receiver);
}

TASK_TEST(conflate_replaces_in_place)
{
    sl_sender *sender;
    sl_receiver *receiver;
    SL_TRY(open_items(3, SL_CONFLATE, &sender, &receiver));
    const struct item items[] = {{1, 10}, {2, 20}, {1, 11}, {3, 30}, {2, 21}, {4, 40}, {1, 12}};
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        CHECK_EQ(sl_channel_try_send(sender, &items[i]), 0);
    }
    /* 1:10 and 2:20 were replaced; 4 drove out 1:11, the oldest; then 1:12 drove out 2:21. */
    const uint32_t gone[] = {10, 20, 11, 21};
    CHECK_EQ(dropped_count, 4);
    for (size_t i = 0; i < 4; i++) {
        CHECK_EQ(dropped[i].value, gone[i]);
    }
    SL_TRY(expect_balance(sender, 7, 0, 2, 2));
    SL_TRY(expect_item(receiver, 3, 30));
    SL_TRY(expect_item(receiver, 4, 40));
    SL_TRY(expect_item(receiver, 1, 12));
    /* A key that was received is new again. */
    CHECK_EQ(sl_channel_try_send(sender, &items[0]), 0);
    SL_TRY(expect_item(receiver, 1, 10));
    SL_TRY(expect_balance(sender, 8, 4, 2, 2));
    return free_both(sender, receiver);
}

TASK_TEST(what_is_left_is_dropped_once)
{
    sl_sender *sender;
    sl_receiver *receiver;
    sl_receiver *clone;
    SL_TRY(open_items(4, SL_BLOCK, &sender, &receiver));
    SL_TRY(sl_receiver_clone(receiver, &clone));
    SL_TRY(send_many(sender, 0, 4));
    SL_TRY(expect_item(receiver, 0, 0));
    sl_receiver_close(receiver);
    CHECK_EQ(dropped_count, 0);
    SL_TRY(expect_item(clone, 1, 1));
    CHECK_EQ(sl_sender_free(sender), 0); /* the items stay for the receivers */
    CHECK_EQ(dropped_count, 0);
    CHECK_EQ(sl_receiver_free(receiver), 0);
    CHECK_EQ(sl_receiver_free(clone), 0);
    CHECK_EQ(dropped_count, 2);
    CHECK(dropped[0].value == 2 && dropped[1].value == 3);

    SL_TRY(open_items(4, SL_BLOCK, &sender, &receiver));
    SL_TRY(send_many(sender, 0, 2));
    sl_receiver_close(receiver);
    CHECK_EQ(dropped_count, 2);
    SL_TRY(expect_balance(sender, 2, 0, 2, 0));
    SL_TRY(free_both(sender, receiver));
    CHECK_EQ(dropped_count, 2);
    return 0;
}

static int send_blocked(void *arg)
{
    struct item item = {1, 1};
    CHECK_EQ(sl_channel_send(arg, &item), SL_ECANCELED);
    return SL_ECANCELED;
}

static int receive_blocked(void *arg)
{
    struct item item;
    CHECK_EQ(sl_channel_receive(arg, &item), SL_ECANCELED);
    return SL_ECANCELED;
}

TASK_TEST(dumps_name_the_channel)
{
    sl_sender *sender;
    sl_receiver *receiver;
    SL_TRY(open_items(0, SL_BLOCK, &sender, &receiver));
    for (int i = 0; i < 2; i++) {
        SL_SCOPE(scope);
        SL_TRY(i == 0 ? sl_spawn(&scope, send_blocked, sender) : sl_spawn(&scope, receive_blocked, receiver));
        SETTLE();
        char *text = sl_tree_text();
        CHECK(text != NULL);
        bool found = strstr(text, i == 0 ? "send to trades" : "receive from trades") != NULL;
        sl_free(text);
        CHECK(found);
        CHECK_EQ(i == 0 ? sl_sender_free(sender) : sl_receiver_free(receiver), SL_EBUSY);
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_close(&scope, 0), 0);
    }
    return free_both(sender, receiver);
}

/* Loops over one call that never has to wait. */
enum { SENDS, RECEIVES_THE_END, POLLS, SELECTS, LOOPS };

struct busy {
    int loop;
    sl_sender *sender;
    sl_receiver *receiver;
    bool stop;
    int rounds;
};

static int loop_without_waiting(void *arg)
{
    struct busy *busy = arg;
    struct item item = {1, 1};
    sl_event event = SL_EVENT_INIT;
    struct sl_select_clause clause = {.kind = SL_SELECT_EVENT, .event = &event};
    sl_event_set(&event);
    while (!busy->stop) {
        CHECK(++busy->rounds < 1000000);
        if (busy->loop == SENDS) {
            CHECK_EQ(sl_channel_send(busy->sender, &item), 0);
        } else if (busy->loop == RECEIVES_THE_END) {
            CHECK_EQ(sl_channel_receive(busy->receiver, &item), SL_EOF);
        } else if (busy->loop == POLLS) {
            CHECK_EQ(sl_select(NULL, 0, 0), SL_EAGAIN);
        } else {
            CHECK_EQ(sl_select(&clause, 1, SL_NEVER), 0);
        }
    }
    return 0;
}

TASK_TEST(a_task_that_never_waits_starves_nobody)
{
    for (int loop = 0; loop < LOOPS; loop++) {
        struct busy busy = {.loop = loop};
        struct sl_channel_options options = {
            .capacity = 4, .item_bytes = sizeof(struct item), .overflow = SL_DROP_OLDEST};
        SL_TRY(sl_channel_open(&options, &busy.sender, &busy.receiver));
        if (loop == RECEIVES_THE_END) {
            sl_sender_close(busy.sender);
        }
        SL_SCOPE(scope);
        SL_TRY(sl_spawn(&scope, loop_without_waiting, &busy));
        for (int i = 0; busy.rounds == 0; i++) {
            CHECK(i < 1000);
            SL_TRY(sl_checkpoint());
        }
        SL_TRY(sl_checkpoint()); /* comes back, though the other never waits */
        busy.stop = true;
        SL_TRY(sl_scope_wait(&scope));
        SL_TRY(free_both(busy.sender, busy.receiver));
    }
    return 0;
}

TASK_TEST(every_allocation_may_fail)
{
    int64_t held = sl_memory_held();
    for (int policy = SL_BLOCK; policy <= SL_CONFLATE; policy++) {
        bool failed = true;
        for (int64_t n = 0; failed; n++) {
            sl_sender *senders[2] = {NULL, NULL};
            sl_receiver *receivers[2] = {NULL, NULL};
            sl_memory_fail_after(n);
            int code = open_items(5, (enum sl_overflow)policy, &senders[0], &receivers[0]);
            int clone = code == 0 ? sl_sender_clone(senders[0], &senders[1]) : code;
            int other = code == 0 ? sl_receiver_clone(receivers[0], &receivers[1]) : code;
            failed = sl_memory_failed();
            sl_memory_fail_after(-1);
            CHECK_EQ(failed, code < 0 || clone < 0 || other < 0);
            CHECK(code == 0 || code == SL_ENOMEM);
            CHECK(code == 0 || (senders[0] == NULL && receivers[0] == NULL));
            CHECK(clone == 0 || (clone == SL_ENOMEM && senders[1] == NULL));
            CHECK(other == 0 || (other == SL_ENOMEM && receivers[1] == NULL));
            CHECK(n < 20);
            for (int i = 0; i < 2; i++) {
                SL_TRY(free_both(senders[i], receivers[i]));
            }
        }
    }
    (void)sl_fail(SL_EINVAL, "lets go of the last recorded error");
    CHECK(sl_memory_held() <= held + 1);
    return 0;
}

/* Without a runtime: what does not wait works, what would wait says so. */
static void outside_a_task(void **state)
{
    (void)state;
    sl_sender *sender;
    sl_receiver *receiver;
    struct item item = {1, 2};
    assert_int_equal(open_items(1, SL_BLOCK, &sender, &receiver), 0);
    assert_int_equal(sl_channel_send(sender, &item), SL_ENOTASK);
    assert_int_equal(sl_channel_receive(receiver, &item), SL_ENOTASK);
    assert_int_equal(sl_channel_try_send(sender, &item), 0);
    assert_int_equal(sl_channel_try_send(sender, &item), SL_EAGAIN);
    assert_int_equal(sl_channel_try_receive(receiver, &item), 0);
    assert_int_equal(sl_sender_free(sender), 0);
    assert_int_equal(sl_channel_try_receive(receiver, &item), SL_EOF);
    assert_int_equal(sl_receiver_free(receiver), 0);
}

SL_TEST_MAIN(cmocka_unit_test(wrong_options_are_refused), cmocka_unit_test(drop_oldest_keeps_the_newest),
             cmocka_unit_test(drop_newest_keeps_the_oldest), cmocka_unit_test(conflate_replaces_in_place),
             cmocka_unit_test(what_is_left_is_dropped_once), cmocka_unit_test(dumps_name_the_channel),
             cmocka_unit_test(a_task_that_never_waits_starves_nobody), cmocka_unit_test(every_allocation_may_fail),
             cmocka_unit_test(outside_a_task))
