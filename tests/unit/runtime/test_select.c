/* SPDX-License-Identifier: MIT */
/* Select: events, stop requests, timeouts, limits, and what it leaves behind. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/channel.h"
#include "sluice/sync.h"

enum { CLAUSES = SL_SELECT_CLAUSES_MAX };

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

struct selecting {
    struct sl_select_clause *clauses;
    size_t count;
    sl_time timeout;
    int index;
    bool done;
    bool sleeps; /* for three seconds, when it is through */
    sl_task_ref task;
};

static int select_once(void *arg)
{
    struct selecting *selecting = arg;
    selecting->done = false;
    selecting->index = sl_select(selecting->clauses, selecting->count, selecting->timeout);
    selecting->done = true;
    return selecting->sleeps ? sl_sleep(SL_SECONDS(3)) : 0;
}

TASK_TEST(wrong_arguments_are_refused)
{
    sl_event event = SL_EVENT_INIT;
    struct sl_select_clause clauses[CLAUSES + 1];
    for (int i = 0; i <= CLAUSES; i++) {
        clauses[i] = (struct sl_select_clause){.kind = SL_SELECT_EVENT, .event = &event};
    }
    CHECK_EQ(sl_select(clauses, CLAUSES + 1, 0), SL_EINVAL);
    CHECK_EQ(sl_select(clauses, CLAUSES, 0), SL_EAGAIN);
    CHECK_EQ(sl_select(clauses, 1, -1), SL_EINVAL);
    const struct sl_select_clause wrong[] = {{.kind = SL_SELECT_SEND},
                                             {.kind = SL_SELECT_RECEIVE},
                                             {.kind = SL_SELECT_EVENT},
                                             {.kind = (enum sl_select_kind)9, .event = &event}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        clauses[1] = wrong[i];
        CHECK_EQ(sl_select(clauses, 2, 0), SL_EINVAL);
        CHECK_EQ(sl_select(clauses, 2, SL_NEVER), SL_EINVAL);
    }
    return 0;
}

TASK_TEST(an_event_fires_its_clause)
{
    sl_event events[2] = {SL_EVENT_INIT, SL_EVENT_INIT};
    struct sl_select_clause clauses[] = {{.kind = SL_SELECT_EVENT, .event = &events[0], .code = 1},
                                         {.kind = SL_SELECT_EVENT, .event = &events[1], .code = 1},
                                         {.kind = SL_SELECT_EVENT, .event = &events[1], .code = 1}};
    struct selecting selecting = {.clauses = clauses, .count = 3, .timeout = SL_NEVER};
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, select_once, &selecting));
    SETTLE();
    CHECK_EQ(events[1].waiters.count, 2);
    sl_event_set(&events[1]);
    CHECK(events[0].waiters.count == 0 && events[1].waiters.count == 0);
    sl_event_set(&events[0]); /* too late: the second has fired */
    SETTLE();
    CHECK(selecting.done);
    CHECK_EQ(selecting.index, 1);
    CHECK(clauses[0].code == 1 && clauses[1].code == 0 && clauses[2].code == 1);
    CHECK_EQ(sl_select(clauses, 3, 0), 0);
    return sl_scope_wait(&scope);
}

TASK_TEST(a_stop_request_fires_its_clause)
{
    sl_event event = SL_EVENT_INIT;
    struct sl_select_clause clauses[] = {{.kind = SL_SELECT_EVENT, .event = &event},
                                         {.kind = SL_SELECT_STOP, .code = 1},
                                         {.kind = SL_SELECT_STOP, .code = 1}};
    struct selecting stopping = {.clauses = clauses, .count = 3, .timeout = SL_NEVER};
    struct sl_select_clause other_clause = clauses[0];
    struct selecting other = {.clauses = &other_clause, .count = 1, .timeout = SL_NEVER};
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, select_once, &stopping, .ret_task = &stopping.task));
    SL_TRY(sl_spawn(&scope, select_once, &other, .ret_task = &other.task));
    SETTLE();
    CHECK_EQ(sl_select(clauses, 3, 0), SL_EAGAIN);
    CHECK_EQ(sl_task_stop(stopping.task), 0);
    CHECK_EQ(sl_task_stop(other.task), 0); /* did not ask for it: not woken */
    CHECK_EQ(event.waiters.count, 1);
    SETTLE();
    CHECK(stopping.done && !other.done);
    CHECK_EQ(stopping.index, 1);
    CHECK(clauses[1].code == 0 && clauses[2].code == 1);
    sl_event_set(&event);
    SETTLE();
    CHECK(other.done && other.index == 0);

    /* Asked before: it fires at once, in its place in the array. */
    sl_event_reset(&event);
    SL_TRY(sl_scope_stop(&scope, SL_NEVER));
    CHECK(sl_stop_requested());
    CHECK_EQ(sl_select(clauses, 3, SL_NEVER), 1);
    sl_event_set(&event);
    CHECK_EQ(sl_select(clauses, 3, SL_NEVER), 0);
    return sl_scope_wait(&scope);
}

/* A clause that fires, then a stop and a cancellation in the same step: the first one counts. */
TASK_TEST(only_the_first_cause_counts)
{
    sl_sender *sender;
    sl_receiver *receiver;
    sl_event event = SL_EVENT_INIT;
    int got = 0;
    int item = 5;
    SL_TRY(open_ints(0, &sender, &receiver));
    struct sl_select_clause clauses[] = {{.kind = SL_SELECT_STOP},
                                         {.kind = SL_SELECT_EVENT, .event = &event},
                                         {.kind = SL_SELECT_RECEIVE, .receiver = receiver, .item = &got}};
    SL_SCOPE(scope);
    struct selecting selecting = {.clauses = clauses, .count = 3, .timeout = SL_NEVER};
    SL_TRY(sl_spawn(&scope, select_once, &selecting, .ret_task = &selecting.task));
    SETTLE();
    CHECK_EQ(sl_channel_try_send(sender, &item), 0);
    sl_event_set(&event);
    CHECK_EQ(sl_task_stop(selecting.task), 0);
    CHECK_EQ(sl_task_cancel(selecting.task, NULL), 0);
    CHECK_EQ(sl_channel_try_send(sender, &item), SL_EAGAIN);
    SETTLE();
    CHECK(selecting.done);
    CHECK_EQ(selecting.index, 2);
    CHECK_EQ(got, 5);

    sl_event_reset(&event);
    SL_TRY(sl_spawn(&scope, select_once, &selecting, .ret_task = &selecting.task));
    SETTLE();
    CHECK_EQ(sl_task_cancel(selecting.task, NULL), 0);
    CHECK_EQ(sl_channel_try_send(sender, &item), SL_EAGAIN);
    CHECK_EQ(event.waiters.count, 0);
    SETTLE();
    CHECK(selecting.done);
    CHECK_EQ(selecting.index, SL_ECANCELED);
    SL_TRY(sl_scope_wait(&scope));
    return free_both(sender, receiver);
}

TASK_TEST(a_timeout_leaves_nothing_behind)
{
    sl_sender *sender;
    sl_receiver *receiver;
    struct sl_channel_statistics statistics;
    int item = 1;
    SL_TRY(open_ints(0, &sender, &receiver));
    struct sl_select_clause clauses[] = {{.kind = SL_SELECT_RECEIVE, .receiver = receiver, .item = &item},
                                         {.kind = SL_SELECT_SEND, .sender = sender, .item = &item}};
    sl_time begin = sl_now();
    CHECK_EQ(sl_select(clauses, 2, SL_MILLISECONDS(3)), SL_ETIMEDOUT);
    CHECK(sl_now() - begin >= SL_MILLISECONDS(3));
    sl_sender_statistics(sender, &statistics);
    CHECK(statistics.senders_waiting == 0 && statistics.receivers_waiting == 0);
    CHECK_EQ(sl_channel_try_send(sender, &item), SL_EAGAIN);
    if (sl_conformance_simulated()) { /* served in time: its timer must not fire into what the task does next */
        SL_SCOPE(scope);
        struct selecting selecting = {.clauses = clauses, .count = 1, .timeout = SL_SECONDS(1), .sleeps = true};
        SL_TRY(sl_spawn(&scope, select_once, &selecting));
        SETTLE();
        CHECK_EQ(sl_channel_try_send(sender, &item), 0);
        SL_TRY(sl_scope_wait(&scope));
        CHECK_EQ(selecting.index, 0);
        CHECK(sl_now() - begin >= SL_SECONDS(3));
    }
    return free_both(sender, receiver);
}

TASK_TEST(as_many_clauses_as_allowed)
{
    static sl_sender *senders[CLAUSES];
    static sl_receiver *receivers[CLAUSES];
    static struct sl_select_clause clauses[CLAUSES];
    static int got[CLAUSES];
    for (int i = 0; i < CLAUSES; i++) {
        SL_TRY(open_ints(0, &senders[i], &receivers[i]));
        got[i] = -1;
        clauses[i] = (struct sl_select_clause){.kind = SL_SELECT_RECEIVE, .receiver = receivers[i], .item = &got[i]};
    }
    for (int i = CLAUSES - 1; i >= 0; i--) {
        SL_SCOPE(scope);
        struct selecting selecting = {.clauses = clauses, .count = CLAUSES, .timeout = SL_SECONDS(60)};
        SL_TRY(sl_spawn(&scope, select_once, &selecting));
        CHECK_EQ(sl_channel_send(senders[i], &i), 0);
        SL_TRY(sl_scope_wait(&scope));
        CHECK_EQ(selecting.index, i);
        CHECK_EQ(got[i], i);
    }
    for (int i = 0; i < CLAUSES; i++) {
        SL_TRY(free_both(senders[i], receivers[i]));
    }
    return 0;
}

/* Closing an end whose waiters are plain calls and selects with several clauses, mixed with those of another end. */
TASK_TEST(closing_an_end_wakes_each_select_once)
{
    enum { TASKS = 6 };
    sl_sender *sender;
    sl_receiver *ends[2];
    struct sl_select_clause clauses[TASKS][3];
    struct selecting selecting[TASKS];
    int item = 0;
    SL_TRY(open_ints(0, &sender, &ends[0]));
    SL_TRY(sl_receiver_clone(ends[0], &ends[1]));
    SL_SCOPE(scope);
    for (int i = 0; i < TASKS; i++) {
        sl_receiver *only = i % 3 == 2 ? ends[1] : ends[0];
        clauses[i][0] = (struct sl_select_clause){.kind = SL_SELECT_RECEIVE, .receiver = ends[1], .item = &item};
        clauses[i][1] = (struct sl_select_clause){.kind = SL_SELECT_RECEIVE, .receiver = only, .item = &item};
        clauses[i][2] = clauses[i][1];
        selecting[i] = (struct selecting){.clauses = clauses[i], .count = 3, .timeout = SL_NEVER};
        SL_TRY(sl_spawn(&scope, select_once, &selecting[i]));
        SETTLE();
    }
    sl_receiver_close(ends[0]);
    SETTLE();
    for (int i = 0; i < TASKS; i++) {
        CHECK_EQ(selecting[i].done, i % 3 != 2);
        CHECK(!selecting[i].done || (selecting[i].index == 1 && clauses[i][1].code == SL_ECLOSED));
    }
    sl_sender_close(sender);
    SETTLE();
    for (int i = 2; i < TASKS; i += 3) {
        CHECK(selecting[i].done);
        CHECK_EQ(selecting[i].index, 0);
        CHECK_EQ(clauses[i][0].code, SL_EOF);
    }
    SL_TRY(sl_scope_wait(&scope));
    CHECK_EQ(sl_receiver_free(ends[0]), 0);
    return free_both(sender, ends[1]);
}

static void outside_a_task(void **state)
{
    (void)state;
    assert_int_equal(sl_select(NULL, 0, 0), SL_ENOTASK);
}

SL_TEST_MAIN(cmocka_unit_test(wrong_arguments_are_refused), cmocka_unit_test(an_event_fires_its_clause),
             cmocka_unit_test(a_stop_request_fires_its_clause), cmocka_unit_test(only_the_first_cause_counts),
             cmocka_unit_test(a_timeout_leaves_nothing_behind), cmocka_unit_test(as_many_clauses_as_allowed),
             cmocka_unit_test(closing_an_end_wakes_each_select_once), cmocka_unit_test(outside_a_task))
