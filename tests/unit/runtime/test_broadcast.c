/* SPDX-License-Identifier: MIT */
/* Broadcast: every subscriber gets every item, or learns how many it lost. */
#include "sl_conformance.h"
#include "sluice/channel.h"
#include "sluice/memory.h"

struct getting {
    sl_subscriber *subscriber;
    int item;
    int code;
    bool done;
    sl_task_ref task;
};

static int get_one(void *arg)
{
    struct getting *getting = arg;
    getting->done = false;
    getting->code = sl_subscriber_receive(getting->subscriber, &getting->item, NULL);
    getting->done = true;
    return 0;
}

static int send_range(sl_broadcast *broadcast, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        CHECK_EQ(sl_broadcast_send(broadcast, &i), 0);
    }
    return 0;
}

static int expect_range(sl_subscriber *subscriber, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        int item = -1;
        CHECK_EQ(sl_subscriber_receive(subscriber, &item, NULL), 0);
        CHECK_EQ(item, i);
    }
    int none;
    CHECK_EQ(sl_subscriber_try_receive(subscriber, &none, NULL), SL_EAGAIN);
    return 0;
}

TASK_TEST(every_subscriber_gets_every_later_item)
{
    sl_broadcast *broadcast = NULL;
    sl_subscriber *early;
    sl_subscriber *late;
    CHECK_EQ(sl_broadcast_open(0, 4, &broadcast), SL_EINVAL);
    CHECK_EQ(sl_broadcast_open(SL_CHANNEL_CAPACITY_MAX + 1, 4, &broadcast), SL_EINVAL);
    CHECK_EQ(sl_broadcast_open(1, SL_CHANNEL_ITEM_BYTES_MAX + 1, &broadcast), SL_EINVAL);
    CHECK(broadcast == NULL);
    SL_TRY(sl_broadcast_open(5, sizeof(int), &broadcast));
    SL_TRY(sl_broadcast_subscribe(broadcast, &early));
    SL_TRY(send_range(broadcast, 0, 3));
    SL_TRY(sl_broadcast_subscribe(broadcast, &late));
    SL_TRY(send_range(broadcast, 3, 2));
    SL_TRY(expect_range(early, 0, 5));
    SL_TRY(expect_range(late, 3, 2));

    SL_SCOPE(scope);
    struct getting both[2] = {{.subscriber = early}, {.subscriber = late}};
    for (int i = 0; i < 2; i++) {
        SL_TRY(sl_spawn(&scope, get_one, &both[i]));
    }
    SETTLE();
    CHECK_EQ(sl_subscriber_free(early), SL_EBUSY);
    /* Handed over at once: what follows does not push it out of the ring. */
    SL_TRY(send_range(broadcast, 5, 6));
    SL_TRY(sl_scope_wait(&scope));
    for (int i = 0; i < 2; i++) {
        CHECK(both[i].done && both[i].code == 0 && both[i].item == 5);
    }
    SL_TRY(expect_range(early, 6, 5));
    CHECK_EQ(sl_subscriber_free(early), 0);
    CHECK_EQ(sl_subscriber_free(NULL), 0);
    sl_broadcast_unref(broadcast);
    sl_broadcast_unref(NULL);
    int item = -1;
    for (int i = 6; i < 11; i++) { /* the handle is gone, the items are not */
        CHECK_EQ(sl_subscriber_receive(late, &item, NULL), 0);
        CHECK_EQ(item, i);
    }
    CHECK_EQ(sl_subscriber_receive(late, &item, NULL), SL_EOF);
    CHECK_EQ(sl_subscriber_try_receive(late, &item, NULL), SL_EOF);
    return sl_subscriber_free(late);
}

TASK_TEST(who_falls_behind_learns_how_much_it_lost)
{
    sl_broadcast *broadcast;
    sl_subscriber *subscriber;
    int item = -1;
    SL_TRY(sl_broadcast_open(3, sizeof(int), &broadcast)); /* not a power of two: the ring has four slots */
    SL_TRY(sl_broadcast_subscribe(broadcast, &subscriber));
    SL_TRY(send_range(broadcast, 0, 3));
    SL_TRY(expect_range(subscriber, 0, 3));
    SL_TRY(send_range(broadcast, 3, 4));
    uint64_t lost = 0;
    CHECK_EQ(sl_subscriber_receive(subscriber, &item, &lost), SL_ELAGGED);
    CHECK_EQ(lost, 1);
    CHECK_EQ(item, -1);
    SL_TRY(expect_range(subscriber, 4, 3));
    SL_TRY(send_range(broadcast, 7, 100));
    CHECK_EQ(sl_subscriber_try_receive(subscriber, &item, &lost), SL_ELAGGED);
    CHECK_EQ(lost, 97);
    SL_TRY(expect_range(subscriber, 104, 3));
    SL_TRY(send_range(broadcast, 107, 10));
    CHECK_EQ(sl_subscriber_receive(subscriber, &item, NULL), SL_ELAGGED);
    sl_broadcast_close(broadcast);
    sl_broadcast_close(broadcast);
    CHECK_EQ(sl_broadcast_send(broadcast, &item), SL_ECLOSED);
    sl_subscriber *none = NULL;
    CHECK_EQ(sl_broadcast_subscribe(broadcast, &none), SL_ECLOSED);
    CHECK(none == NULL);
    for (int i = 114; i < 117; i++) {
        CHECK_EQ(sl_subscriber_receive(subscriber, &item, NULL), 0);
        CHECK_EQ(item, i);
    }
    CHECK_EQ(sl_subscriber_receive(subscriber, &item, NULL), SL_EOF);
    sl_broadcast_unref(broadcast);
    return sl_subscriber_free(subscriber);
}

TASK_TEST(tasks_may_share_a_subscriber)
{
    enum { TASKS = 4 };
    sl_broadcast *broadcast;
    sl_subscriber *shared;
    sl_subscriber *other;
    struct getting getting[TASKS];
    SL_TRY(sl_broadcast_open(8, sizeof(int), &broadcast));
    SL_TRY(sl_broadcast_subscribe(broadcast, &shared));
    SL_TRY(sl_broadcast_subscribe(broadcast, &other));
    SL_SCOPE(scope);
    for (int i = 0; i < TASKS; i++) {
        getting[i] = (struct getting){.subscriber = shared};
        SL_TRY(sl_spawn(&scope, get_one, &getting[i], .ret_task = &getting[i].task));
        SETTLE();
    }
    CHECK_EQ(sl_task_cancel(getting[0].task, NULL), 0); /* before: the next one gets the item */
    SL_TRY(send_range(broadcast, 10, 2));
    CHECK_EQ(sl_task_cancel(getting[1].task, NULL), 0); /* after: it has the item */
    sl_broadcast_close(broadcast);
    SL_TRY(sl_scope_wait(&scope));
    CHECK_EQ(getting[0].code, SL_ECANCELED);
    CHECK(getting[1].code == 0 && getting[1].item == 10);
    CHECK(getting[2].code == 0 && getting[2].item == 11);
    CHECK_EQ(getting[3].code, SL_EOF);
    int item;
    for (int i = 10; i < 12; i++) {
        CHECK_EQ(sl_subscriber_try_receive(other, &item, NULL), 0);
        CHECK_EQ(item, i);
    }
    CHECK_EQ(sl_subscriber_free(shared), 0);
    CHECK_EQ(sl_subscriber_free(other), 0);
    sl_broadcast_unref(broadcast);
    return 0;
}

TASK_TEST(cancelled_before_entry_takes_nothing)
{
    sl_broadcast *broadcast;
    sl_subscriber *subscriber;
    int item = -1;
    SL_TRY(sl_broadcast_open(2, sizeof(int), &broadcast));
    SL_TRY(sl_broadcast_subscribe(broadcast, &subscriber));
    SL_TRY(send_range(broadcast, 0, 5));
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    sl_scope_cancel(&scope, NULL);
    uint64_t lost = 0;
    CHECK_EQ(sl_subscriber_receive(subscriber, &item, &lost), SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scope, SL_ECANCELED), 0);
    CHECK_EQ(sl_subscriber_receive(subscriber, &item, &lost), SL_ELAGGED);
    CHECK_EQ(lost, 3);
    SL_TRY(expect_range(subscriber, 3, 2));
    sl_broadcast_unref(broadcast);
    return sl_subscriber_free(subscriber);
}

TASK_TEST(every_allocation_may_fail)
{
    bool failed = true;
    for (int64_t n = 0; failed; n++) {
        sl_broadcast *broadcast = NULL;
        sl_subscriber *subscriber = NULL;
        sl_memory_fail_after(n);
        int code = sl_broadcast_open(3, 0, &broadcast);
        int other = code == 0 ? sl_broadcast_subscribe(broadcast, &subscriber) : code;
        failed = sl_memory_failed();
        sl_memory_fail_after(-1);
        CHECK_EQ(other, failed ? SL_ENOMEM : 0);
        CHECK_EQ(broadcast == NULL, code < 0);
        CHECK_EQ(subscriber == NULL, other < 0);
        if (other == 0) { /* items of no bytes are counted all the same */
            CHECK_EQ(sl_broadcast_send(broadcast, NULL), 0);
            CHECK_EQ(sl_subscriber_receive(subscriber, NULL, NULL), 0);
            CHECK_EQ(sl_subscriber_try_receive(subscriber, NULL, NULL), SL_EAGAIN);
        }
        CHECK_EQ(sl_subscriber_free(subscriber), 0);
        sl_broadcast_unref(broadcast);
        CHECK(n < 10);
    }
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(every_subscriber_gets_every_later_item),
             cmocka_unit_test(who_falls_behind_learns_how_much_it_lost), cmocka_unit_test(tasks_may_share_a_subscriber),
             cmocka_unit_test(cancelled_before_entry_takes_nothing), cmocka_unit_test(every_allocation_may_fail))
