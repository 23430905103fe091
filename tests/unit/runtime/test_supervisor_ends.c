/* SPDX-License-Identifier: MIT */
/* Supervised scopes that end: cancelled, stopped, escalating, with children in backoff, stopping or failing. */
#include "../../conformance/supervisors/supervised.h"

#define FOREVER                                                                                                        \
    {                                                                                                                  \
        1, 1, 1, 1, 1, 1, 1, 1                                                                                         \
    }
#define SLOW .backoff = {.initial = SL_SECONDS(1000), .max = SL_SECONDS(1000), .jitter = -1}

static const enum sl_strategy all_strategies[] = {SL_PROPAGATE, SL_ONE_FOR_ONE, SL_ONE_FOR_ALL, SL_REST_FOR_ONE,
                                                  SL_ISOLATE};
#define STRATEGIES (sizeof all_strategies / sizeof all_strategies[0])

static int cancel_after_a_second(void *arg)
{
    SL_TRY(sl_sleep(SL_SECONDS(1)));
    sl_scope_cancel(arg, "enough");
    return 0;
}

static int stop_after_a_second(void *arg)
{
    SL_TRY(sl_sleep(SL_SECONDS(1)));
    return sl_scope_stop(arg, SL_NEVER);
}

static int fails_below(void *runs)
{
    if (++*(int *)runs > 1) {
        return 0;
    }
    SL_SCOPE(inner, .name = "inner");
    SL_TRY(sl_fail(SL_ECONNRESET, "the cable was cut"));
    return sl_scope_wait(&inner);
}

/* A restart is no reason to keep quiet, nor is one scope more around what failed. */
C_TEST_SIMULATED(a_restart_tells_why, "", "")
{
    int runs = 0;
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, fails_below, &runs, .restart = SL_ON_FAILURE), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(runs, 2);
    CHECK(strstr(sl_conformance_log(),
                 "child 'fails_below' failed and is started again: SL_ECONNRESET: the cable was cut") != NULL);
    return 0;
}

C_TEST_SIMULATED(a_deadline_does_not_wait_for_a_backoff, "", "")
{
    for (size_t i = 0; i < STRATEGIES; i++) {
        struct journal journal = {""};
        struct child child = {.journal = &journal, .letter = 'a', .codes = {SL_EPROTO, 1}};
        sl_time before = sl_now();
        sl_scope scope = SL_SCOPE_INIT;
        CHECK_EQ(
            sl_scope_open(&scope, &(struct sl_scope_options){.timeout = SL_SECONDS(10), .strategy = all_strategies[i]}),
            0);
        CHECK_EQ(sl_spawn(&scope, child_run, &child, .restart = SL_ALWAYS, SLOW), 0);
        CHECK_EQ(sl_scope_close(&scope, 0), SL_ETIMEDOUT);
        CHECK_EQ(sl_now() - before, SL_SECONDS(10));
        CHECK_EQ(child.runs, 1);
    }
    return 0;
}

C_TEST_SIMULATED(a_cancellation_does_not_wait_for_a_backoff, "", "")
{
    for (size_t i = 0; i < STRATEGIES; i++) {
        struct journal journal = {""};
        struct child child = {.journal = &journal, .letter = 'a', .codes = {SL_EPROTO, 1}};
        sl_time before = sl_now();
        SL_SCOPE(outer);
        SL_SCOPE(scope, .strategy = all_strategies[i]);
        CHECK_EQ(sl_spawn(&outer, cancel_after_a_second, &scope), 0);
        CHECK_EQ(sl_spawn(&scope, child_run, &child, .restart = SL_ALWAYS, SLOW), 0);
        CHECK_EQ(sl_scope_close(&scope, 0), 0);
        CHECK_EQ(sl_now() - before, SL_SECONDS(1));
        CHECK(sl_scope_cancel_caught(&scope));
        CHECK_EQ(sl_scope_wait(&outer), 0);
        CHECK_EQ(child.runs, 1);
    }
    return 0;
}

C_TEST_SIMULATED(a_stop_does_not_wait_for_a_backoff, "", "")
{
    for (size_t i = 0; i < 2 * STRATEGIES; i++) {
        struct journal journal = {""};
        struct child child = {.journal = &journal, .letter = 'a', .codes = {SL_EPROTO, 1}};
        sl_time before = sl_now();
        SL_SCOPE(outer);
        SL_SCOPE(scope, .strategy = all_strategies[i / 2], .ordered_stop = i % 2 == 1);
        CHECK_EQ(sl_spawn(&outer, stop_after_a_second, &scope), 0);
        CHECK_EQ(sl_spawn(&scope, child_run, &child, .restart = SL_ALWAYS, SLOW), 0);
        CHECK_EQ(sl_scope_close(&scope, 0), 0);
        CHECK_EQ(sl_now() - before, SL_SECONDS(1));
        CHECK_EQ(sl_scope_wait(&outer), 0);
        CHECK_EQ(child.runs, 1);
    }
    return 0;
}

C_TEST_SIMULATED(a_cancellation_from_further_out_ends_the_backoff_too, "", "")
{
    for (size_t i = 0; i < STRATEGIES; i++) {
        struct journal journal = {""};
        struct child child = {.journal = &journal, .letter = 'a', .codes = {SL_EPROTO, 1}};
        sl_time before = sl_now();
        sl_scope outer = SL_SCOPE_INIT;
        CHECK_EQ(sl_scope_open(&outer, &(struct sl_scope_options){.timeout = SL_SECONDS(10)}), 0);
        sl_scope scope = SL_SCOPE_INIT;
        CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.strategy = all_strategies[i]}), 0);
        CHECK_EQ(sl_spawn(&scope, child_run, &child, .restart = SL_ALWAYS, SLOW), 0);
        CHECK_EQ(sl_scope_close(&scope, 0), SL_ECANCELED);
        CHECK_EQ(sl_scope_close(&outer, SL_ECANCELED), SL_ETIMEDOUT);
        CHECK_EQ(sl_now() - before, SL_SECONDS(10));
        CHECK_EQ(child.runs, 1);
    }
    return 0;
}

C_TEST_SIMULATED(the_budget_to_stop_holds_for_a_cancellation_from_further_out, "", "")
{
    struct journal journal = {""};
    struct child child = {.journal = &journal, .letter = 'a', .codes = FOREVER, .stop_takes = SL_SECONDS(100)};
    sl_time before = sl_now();
    sl_scope outer = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&outer, &(struct sl_scope_options){.timeout = SL_SECONDS(10)}), 0);
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.strategy = SL_ONE_FOR_ONE}), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .restart = SL_ALWAYS, .stop_budget = SL_SECONDS(3)), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&outer, SL_ECANCELED), SL_ETIMEDOUT);
    CHECK_EQ(sl_now() - before, SL_SECONDS(13));
    return 0;
}

static int stop_the_child(void *arg)
{
    CHECK_EQ(sl_child_stop(arg, "a"), 0);
    return 0;
}

/* Stopped by hand at 0 s, or asked at 0 s by an ordered stop; the scope is cancelled after 2 s. */
C_TEST_SIMULATED(the_budget_to_stop_is_counted_once, "", "")
{
    for (int asked = 0; asked < 2; asked++) {
        struct journal journal = {""};
        struct child child = {.journal = &journal, .letter = 'a', .codes = FOREVER, .stop_takes = SL_SECONDS(100)};
        SL_SCOPE(outer);
        SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE, .ordered_stop = true);
        CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = "a", .restart = SL_ALWAYS, .stop_budget = SL_SECONDS(3)), 0);
        SETTLE();
        sl_time before = sl_now();
        if (asked) {
            CHECK_EQ(sl_scope_stop(&scope, SL_NEVER), 0);
        } else {
            CHECK_EQ(sl_spawn(&outer, stop_the_child, &scope), 0);
        }
        CHECK_EQ(sl_sleep(SL_SECONDS(2)), 0);
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_wait(&scope), 0);
        CHECK_EQ(sl_now() - before, asked ? SL_SECONDS(5) : SL_SECONDS(3));
        CHECK_EQ(sl_scope_wait(&outer), 0);
    }
    return 0;
}

static int deep_child(void *arg)
{
    SL_SCOPE(one);
    SL_SCOPE(two);
    CHECK_EQ(sl_spawn(&two, child_run, arg), 0);
    return sl_scope_wait(&two);
}

/* The shields that the end of the budget takes off lie in tasks below the child. */
C_TEST_SIMULATED(the_budget_to_stop_reaches_the_tasks_below, "", "")
{
    struct journal journal = {""};
    struct child child = {.journal = &journal, .letter = 'a', .codes = FOREVER, .stop_takes = SL_SECONDS(100)};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, deep_child, &child, .id = "a", .restart = SL_ALWAYS, .stop_budget = SL_SECONDS(3)), 0);
    SETTLE();
    sl_time before = sl_now();
    CHECK_EQ(sl_child_stop(&scope, "a"), 0);
    CHECK_EQ(sl_now() - before, SL_SECONDS(3));
    return sl_scope_wait(&scope);
}

C_TEST_SIMULATED(a_newcomer_in_a_cancelled_scope_has_a_budget_too, "", "")
{
    struct journal journal = {""};
    struct child child = {.journal = &journal, .letter = 'a', .codes = FOREVER, .stop_takes = SL_SECONDS(100)};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .restart = SL_ALWAYS, .stop_budget = SL_SECONDS(3)), 0);
    sl_time before = sl_now();
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sl_now() - before, SL_SECONDS(3));
    CHECK_EQ(child.runs, 1);
    return 0;
}

C_TEST_SIMULATED(nothing_is_restarted_while_the_scope_escalates, "", "")
{
    struct journal journal = {""};
    struct child waiting = {.journal = &journal, .letter = 'w', .codes = {SL_EPIPE, 1}};
    struct child slow = {.journal = &journal, .letter = 's', .codes = FOREVER, .stop_takes = SL_SECONDS(3)};
    struct child failing = {.journal = &journal, .letter = 'f', .codes = {SL_EPROTO, SL_EPROTO, SL_EPROTO}};
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.strategy = SL_ONE_FOR_ONE, .max_restarts = 2}), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &waiting, .id = "w", .restart = SL_ALWAYS,
                      .backoff = {.initial = SL_SECONDS(1), .jitter = -1}),
             0);
    CHECK_EQ(sl_spawn(&scope, child_run, &slow, .id = "s", .restart = SL_ALWAYS), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &failing, .id = "f", .restart = SL_ALWAYS, FAST), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_EINTENSITY);
    CHECK_EQ(failing.runs, 2);
    CHECK_EQ(waiting.runs, 1);
    CHECK_EQ(slow.runs, 1);
    return 0;
}

C_TEST(an_escalation_ends_the_body_too, "", "")
{
    struct journal journal = {""};
    struct child failing = {.journal = &journal, .letter = 'f', .codes = {SL_EPROTO, SL_EPROTO}};
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &failing, .id = "f", .restart = SL_ALWAYS, FAST), 0);
    int code = sl_sleep(SL_SECONDS(100000));
    CHECK_EQ(code, SL_ECANCELED);
    CHECK_EQ(sl_scope_cause(&scope), SL_CAUSE_SUPERVISOR);
    CHECK_EQ(sl_error_code(sl_scope_cancel_info(&scope)->error), SL_EINTENSITY);
    CHECK_EQ(sl_scope_close(&scope, code), SL_EINTENSITY);
    CHECK_EQ(sl_error_count(sl_error_last()), 1);
    return 0;
}

C_TEST(one_cause_that_fails_the_whole_group_counts_once, "", "")
{
    struct journal journal = {""};
    struct child children[3];
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ALL);
    for (int i = 0; i < 3; i++) {
        children[i] = (struct child){.journal = &journal, .letter = 'a', .codes = {SL_EPIPE, 1}};
        CHECK_EQ(sl_spawn(&scope, child_run, &children[i], .restart = SL_ALWAYS, FAST), 0);
    }
    UNTIL(children[0].runs == 2 && children[1].runs == 2 && children[2].runs == 2);
    CHECK(!sl_scope_cancel_called(&scope));
    sl_scope_cancel(&scope, NULL);
    return sl_scope_wait(&scope);
}

C_TEST_SIMULATED(an_earlier_child_fails_while_the_rest_is_stopped, "", "")
{
    struct journal journal = {""};
    struct child a = {.journal = &journal, .letter = 'a', .codes = {SL_EPIPE, 1}, .lasts = SL_SECONDS(3)};
    struct child b = {.journal = &journal, .letter = 'b', .codes = {SL_EPROTO, 1}, .lasts = SL_SECONDS(1)};
    struct child c = {.journal = &journal, .letter = 'c', .codes = FOREVER, .stop_takes = SL_SECONDS(4)};
    struct child newcomer = {.journal = &journal, .letter = 'n', .codes = FOREVER};
    SL_SCOPE(scope, .strategy = SL_REST_FOR_ONE, .max_restarts = 2);
    CHECK_EQ(sl_spawn(&scope, child_run, &a, .id = "a", .restart = SL_ALWAYS, FAST), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &b, .id = "b", .restart = SL_ALWAYS, FAST), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &c, .id = "c", .restart = SL_ALWAYS, FAST), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(2)), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &newcomer, .id = "n", .restart = SL_ALWAYS, FAST), 0); /* is left alone */
    CHECK_EQ(sl_sleep(SL_SECONDS(2)), 0);
    CHECK_EQ(sl_child_start(&scope, "b"), SL_ERESTARTING);
    CHECK_EQ(sl_child_remove(&scope, "b"), SL_ERESTARTING);
    struct sl_child_info info;
    CHECK_EQ(sl_child_find(&scope, "b", &info), 0);
    CHECK_EQ(info.next_start, SL_NEVER);
    CHECK_EQ(sl_sleep(SL_SECONDS(4)), 0);
    CHECK(a.runs == 2 && b.runs == 2 && c.runs == 2 && newcomer.runs == 1);
    struct sl_child_counts counts = sl_children_count(&scope);
    CHECK(counts.active == 4 && counts.restarting == 0 && counts.stopped == 0);
    sl_scope_cancel(&scope, NULL);
    return sl_scope_wait(&scope);
}

/* c is temporary and stopped by hand while the group stops from b on; b is stopped and removed by hand. */
static int remove_the_group(void *arg)
{
    sl_scope *scope = arg;
    CHECK_EQ(sl_child_stop(scope, "b"), 0);
    CHECK_EQ(sl_child_remove(scope, "b"), 0);
    CHECK_EQ(sl_child_stop(scope, "c"), 0);
    return 0;
}

C_TEST_SIMULATED(a_group_whose_members_are_removed_harms_nobody_else, "", "")
{
    struct journal journal = {""};
    struct child a = {.journal = &journal, .letter = 'a', .codes = FOREVER};
    struct child b = {.journal = &journal, .letter = 'b', .codes = {SL_EPROTO, 1}};
    struct child c = {.journal = &journal, .letter = 'c', .codes = FOREVER, .stop_takes = SL_SECONDS(2)};
    SL_SCOPE(outer);
    SL_SCOPE(scope, .strategy = SL_REST_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, child_run, &a, .id = "a", .restart = SL_ALWAYS, FAST), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &b, .id = "b", .restart = SL_ALWAYS, FAST), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &c, .id = "c"), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(1)), 0);
    CHECK_EQ(sl_spawn(&outer, remove_the_group, &scope), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(9)), 0);
    CHECK(sl_task_alive(a.self));
    CHECK(a.runs == 1 && b.runs == 1 && c.runs == 1);
    CHECK_EQ(sl_children_list(&scope, NULL, 0), 1);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    return sl_scope_wait(&outer);
}

C_TEST_SIMULATED(a_newcomer_fails_while_the_group_starts, "", "")
{
    struct journal journal = {""};
    struct child a = {.journal = &journal,
                      .letter = 'a',
                      .codes = {SL_EPROTO, 1, 1},
                      .lasts = SL_SECONDS(1),
                      .handshake = true,
                      .before_start = SL_SECONDS(5)};
    struct child b = {.journal = &journal, .letter = 'b', .codes = FOREVER};
    struct child newcomer = {.journal = &journal, .letter = 'n', .codes = {SL_EPIPE, 1}, .lasts = SL_SECONDS(1)};
    SL_SCOPE(scope, .strategy = SL_REST_FOR_ONE, .max_restarts = 2);
    CHECK_EQ(sl_spawn(&scope, child_run, &a, .id = "a", .restart = SL_ALWAYS, .handshake = true, FAST), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &b, .id = "b", .restart = SL_ALWAYS, FAST), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(8)), 0); /* a starts anew, b waits for it */
    CHECK(a.runs == 2 && b.runs == 1);
    CHECK_EQ(sl_spawn(&scope, child_run, &newcomer, .id = "n", .restart = SL_ALWAYS, FAST), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(20)), 0);
    CHECK(b.runs == 2 && newcomer.runs == 2);
    struct sl_child_counts counts = sl_children_count(&scope);
    CHECK(counts.active == 3 && counts.restarting == 0);
    sl_scope_cancel(&scope, NULL);
    return sl_scope_wait(&scope);
}

/* 1 s, 2 s, 4 s; a run as long as the window begins anew. */
C_TEST_SIMULATED(a_backoff_grows_until_a_run_is_long, "", "")
{
    for (int group = 0; group < 2; group++) {
        struct journal journal = {""};
        struct child child = {
            .journal = &journal, .letter = 'a', .codes = {SL_EPROTO, SL_EPROTO, SL_EPROTO, SL_EPROTO}};
        sl_time before = sl_now();
        SL_SCOPE(scope, .strategy = group ? SL_ONE_FOR_ALL : SL_ONE_FOR_ONE, .max_restarts = SL_UNLIMITED);
        CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = "a", .restart = SL_ALWAYS,
                          .backoff = {.initial = SL_SECONDS(1), .jitter = -1}),
                 0);
        static const sl_time starts[] = {0, 1, 3, 7};
        for (int i = 0; i < 4; i++) {
            CHECK_EQ(sl_sleep_until(before + SL_SECONDS(starts[i]) + SL_MILLISECONDS(1)), 0);
            CHECK_EQ(child.runs, i + 1);
            if (i == 2) {
                child.lasts = SL_RESTART_WINDOW;
            }
        }
        struct sl_child_info info;
        CHECK_EQ(sl_sleep_until(before + SL_SECONDS(7) + SL_RESTART_WINDOW + SL_MILLISECONDS(1)), 0);
        CHECK_EQ(sl_child_find(&scope, "a", &info), 0);
        CHECK_EQ(info.next_start, before + SL_SECONDS(8) + SL_RESTART_WINDOW);
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

/* The group was about to start when the scope was cancelled; the body takes its time. */
C_TEST_SIMULATED(a_cancelled_scope_stays_over, "", "")
{
    struct journal journal = {""};
    struct child child = {.journal = &journal, .letter = 'a', .codes = {SL_EPROTO, 1}};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ALL);
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = "a", .restart = SL_ALWAYS,
                      .backoff = {.initial = SL_SECONDS(1), .jitter = -1}),
             0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(500)), 0);
    sl_scope_cancel(&scope, NULL);
    {
        SL_SCOPE(shield, .shield = true, .timeout = SL_SECONDS(100));
        CHECK_EQ(sl_sleep(SL_SECONDS(5)), 0);
        CHECK_EQ(sl_child_start(&scope, "a"), SL_ECLOSED);
        CHECK_EQ(sl_scope_close(&shield, 0), 0);
    }
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(child.runs, 1);
    return 0;
}

/* a's backoff would end at 6 s, but a newcomer fails at 3 s, and another one takes until 13 s to stop for it. */
C_TEST_SIMULATED(a_newcomer_fails_while_the_group_waits, "", "")
{
    struct journal journal = {""};
    struct child a = {.journal = &journal, .letter = 'a', .codes = {SL_EPROTO, 1}, .lasts = SL_SECONDS(1)};
    struct child slow = {.journal = &journal, .letter = 's', .codes = FOREVER, .stop_takes = SL_SECONDS(10)};
    struct child newcomer = {.journal = &journal, .letter = 'n', .codes = {SL_EPIPE, 1}, .lasts = SL_SECONDS(1)};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ALL, .max_restarts = 2);
    CHECK_EQ(sl_spawn(&scope, child_run, &a, .restart = SL_ALWAYS, .backoff = {.initial = SL_SECONDS(5), .jitter = -1}),
             0);
    CHECK_EQ(sl_sleep(SL_SECONDS(2)), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &slow, .restart = SL_ALWAYS, .stop_budget = SL_NEVER), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &newcomer, .restart = SL_ALWAYS, FAST), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(10)), 0);
    CHECK(a.runs == 1 && slow.runs == 1 && newcomer.runs == 1);
    CHECK_EQ(sl_sleep(SL_SECONDS(2)), 0);
    CHECK(a.runs == 2 && slow.runs == 2 && newcomer.runs == 2);
    sl_scope_cancel(&scope, NULL);
    return sl_scope_wait(&scope);
}

C_TEST_SIMULATED(a_restarted_daemon_does_not_keep_its_scope, "", "")
{
    struct journal journal = {""};
    for (int backoff = 0; backoff < 2; backoff++) {
        struct child beat = {.journal = &journal, .letter = 'd', .codes = {backoff ? SL_EPROTO : 1, 1}};
        struct child work = {.journal = &journal, .letter = 'w', .codes = {0}, .lasts = SL_SECONDS(1)};
        sl_time before = sl_now();
        SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE, .max_restarts = SL_UNLIMITED);
        CHECK_EQ(sl_spawn(&scope, child_run, &beat, .id = "beat", .restart = SL_ALWAYS, .daemon = true, SLOW), 0);
        CHECK_EQ(sl_spawn(&scope, child_run, &work, .id = "work"), 0);
        CHECK_EQ(sl_scope_wait(&scope), 0);
        CHECK_EQ(sl_now() - before, SL_SECONDS(1));
        CHECK_EQ(beat.runs, 1);
    }
    return 0;
}

/* While its group stops, nothing but a daemon runs; the worker comes back all the same. */
C_TEST_SIMULATED(a_worker_stopped_with_its_group_keeps_the_scope, "", "")
{
    struct journal journal = {""};
    struct child beat = {.journal = &journal, .letter = 'd', .codes = FOREVER, .stop_takes = SL_SECONDS(2)};
    struct child work = {.journal = &journal, .letter = 'w', .codes = {1, 0}, .lasts = SL_SECONDS(1)};
    struct child cause = {.journal = &journal, .letter = 'c', .codes = {SL_EPROTO, 1}, .lasts = SL_SECONDS(1)};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ALL);
    CHECK_EQ(sl_spawn(&scope, child_run, &beat, .restart = SL_ALWAYS, .daemon = true, FAST), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &cause, .restart = SL_ALWAYS, .daemon = true, FAST), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &work, .restart = SL_ON_FAILURE, FAST), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(work.runs == 2 && beat.runs == 2 && cause.runs == 2);
    return 0;
}

C_TEST_SIMULATED(a_restart_is_not_the_end_that_wait_any_waits_for, "", "")
{
    struct journal journal = {""};
    struct child flaky = {.journal = &journal, .letter = 'f', .codes = {SL_EPROTO, 1}, .lasts = SL_SECONDS(1)};
    struct child work = {.journal = &journal, .letter = 'w', .codes = {7}, .lasts = SL_SECONDS(5)};
    sl_time before = sl_now();
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.strategy = SL_ONE_FOR_ONE}), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &flaky, .restart = SL_ALWAYS, FAST), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &work, .restart = SL_ON_FAILURE), 0);
    int any = 0;
    CHECK_EQ(sl_scope_wait_any(&scope, &any), 0);
    CHECK_EQ(any, 7);
    CHECK_EQ(flaky.runs, 2);
    CHECK_EQ(sl_now() - before, SL_SECONDS(5));
    return 0;
}

/* Asked to stop it ends in the given way. */
struct polite {
    struct journal *journal;
    char letter;
    int code;
    sl_time takes, lives; /* `lives`: it ends so by itself, not asked */
};

static int polite(void *arg)
{
    struct polite *self = arg;
    if (self->lives > 0) {
        SL_TRY(sl_sleep(self->lives));
    } else {
        int code = sl_stop_wait();
        if (code == 0 && self->takes > 0) {
            code = sl_sleep(self->takes);
        }
        note(self->journal, code < 0 ? '-' : '.', self->letter);
        SL_TRY(code);
    }
    return self->code < 0 ? sl_fail(self->code, "on its way out") : self->code;
}

C_TEST_SIMULATED(a_stop_from_further_out_is_ordered_too, "", "")
{
    for (int supervised = 0; supervised < 2; supervised++) {
        struct journal journal = {""};
        struct polite children[3] = {
            {&journal, 'a', 0, 0, 0}, {&journal, 'b', 0, SL_SECONDS(1), 0}, {&journal, 'c', 0, SL_SECONDS(2), 0}};
        sl_scope outer = SL_SCOPE_INIT;
        CHECK_EQ(sl_scope_open(&outer, NULL), 0);
        SL_SCOPE(scope, .strategy = supervised ? SL_ONE_FOR_ONE : SL_PROPAGATE, .ordered_stop = true);
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(sl_spawn(&scope, polite, &children[i]), 0);
        }
        SETTLE();
        CHECK_EQ(sl_scope_stop(&outer, SL_SECONDS(100)), 0);
        CHECK_EQ(sl_scope_wait(&scope), 0);
        CHECK_STRING(journal.text, ".c .b .a ");
        CHECK_EQ(sl_scope_close(&outer, 0), 0);
    }
    return 0;
}

C_TEST_SIMULATED(a_late_child_of_an_ordered_stop_is_asked_too, "", "")
{
    for (int supervised = 0; supervised < 2; supervised++) {
        struct journal journal = {""};
        struct polite late = {&journal, 'l', 0, 0, 0};
        SL_SCOPE(scope, .strategy = supervised ? SL_ONE_FOR_ONE : SL_PROPAGATE, .ordered_stop = true);
        CHECK_EQ(sl_scope_stop(&scope, SL_NEVER), 0);
        CHECK_EQ(sl_spawn(&scope, polite, &late), 0);
        CHECK_EQ(sl_scope_wait(&scope), 0);
        CHECK_STRING(journal.text, ".l ");
    }
    /* And one that does not listen has its budget, asked and cancelled. */
    struct journal journal = {""};
    struct child deaf = {.journal = &journal, .letter = 'd', .codes = FOREVER, .stop_takes = SL_SECONDS(100)};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE, .ordered_stop = true);
    CHECK_EQ(sl_scope_stop(&scope, SL_NEVER), 0);
    sl_time before = sl_now();
    CHECK_EQ(sl_spawn(&scope, child_run, &deaf, .stop_budget = SL_SECONDS(1)), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sl_now() - before, SL_SECONDS(2));
    return 0;
}

C_TEST_SIMULATED(a_failure_during_an_ordered_stop_is_kept_and_spares_the_others, "", "")
{
    for (int i = 0; i < 4; i++) {
        int own = i % 2;
        struct journal journal = {""};
        struct polite children[3] = {{&journal, 'a', 0, SL_SECONDS(1), 0},
                                     {&journal, 'b', SL_EPIPE, 0, own ? SL_SECONDS(3) : 0},
                                     {&journal, 'c', 0, SL_SECONDS(4), 0}};
        sl_scope scope = SL_SCOPE_INIT;
        CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.strategy = i < 2 ? SL_ONE_FOR_ONE : SL_PROPAGATE,
                                                                  .ordered_stop = true}),
                 0);
        for (int j = 0; j < 3; j++) {
            CHECK_EQ(sl_spawn(&scope, polite, &children[j], .restart = SL_ON_FAILURE), 0);
        }
        SETTLE();
        CHECK_EQ(sl_scope_stop(&scope, SL_SECONDS(100)), 0);
        CHECK_EQ(sl_scope_close(&scope, 0), SL_EPIPE);
        CHECK_STRING(journal.text, own ? ".c .a " : ".c .b .a ");
        CHECK_EQ(sl_error_count(sl_error_last()), 1);
    }
    return 0;
}

C_TEST_SIMULATED(a_failure_during_a_stop_takes_the_others_only_where_failures_propagate, "", "")
{
    for (size_t i = 0; i < STRATEGIES; i++) {
        struct journal journal = {""};
        struct polite failing = {&journal, 'f', SL_EPIPE, SL_SECONDS(1), 0};
        struct polite sibling = {&journal, 's', 0, SL_SECONDS(4), 0};
        sl_scope scope = SL_SCOPE_INIT;
        CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.strategy = all_strategies[i]}), 0);
        CHECK_EQ(sl_spawn(&scope, polite, &failing, .restart = SL_ALWAYS), 0);
        CHECK_EQ(sl_spawn(&scope, polite, &sibling, .restart = SL_ALWAYS), 0);
        SETTLE();
        CHECK_EQ(sl_scope_stop(&scope, SL_SECONDS(100)), 0);
        CHECK_EQ(sl_scope_close(&scope, 0), SL_EPIPE);
        CHECK_STRING(journal.text, all_strategies[i] == SL_PROPAGATE ? ".f -s " : ".f .s ");
        CHECK_EQ(sl_error_count(sl_error_last()), 1);
    }
    return 0;
}

C_TEST_SIMULATED(a_failure_while_the_scope_escalates_is_kept, "", "")
{
    struct journal journal = {""};
    struct polite sibling = {&journal, 's', SL_EPIPE, 0, SL_SECONDS(2)};
    struct child slow = {.journal = &journal, .letter = 's', .codes = FOREVER, .stop_takes = SL_SECONDS(4)};
    struct child failing = {
        .journal = &journal, .letter = 'f', .codes = {SL_EPROTO, SL_EPROTO}, .lasts = SL_SECONDS(1)};
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.strategy = SL_ONE_FOR_ONE, .max_restarts = 1}), 0);
    CHECK_EQ(sl_spawn(&scope, polite, &sibling, .restart = SL_ALWAYS), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &slow, .restart = SL_ALWAYS), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &failing, .restart = SL_ALWAYS, FAST), 0);
    sibling.lives = SL_SECONDS(3);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_EINTENSITY);
    CHECK_EQ(sl_error_count(sl_error_last()), 2);
    CHECK(sl_error_has(sl_error_last(), SL_EPIPE) && sl_error_has(sl_error_last(), SL_EPROTO));
    return 0;
}

struct hydra {
    sl_scope *scope;
    int heads;
};

/* Each head that is cut off puts a new one in its place, which is cut off from the start. */
static int hydra(void *arg)
{
    struct hydra *self = arg;
    CHECK(self->heads == 0 || sl_cancel_pending());
    self->heads++;
    int code = sl_sleep(SL_SECONDS(1000));
    if (self->heads < 10) {
        CHECK_EQ(sl_spawn(self->scope, hydra, self, .restart = SL_ALWAYS), 0);
    }
    return code;
}

C_TEST_SIMULATED(who_spawns_while_the_scope_escalates_does_not_keep_it, "", "")
{
    struct journal journal = {""};
    struct child failing = {.journal = &journal, .letter = 'f', .codes = {SL_EPROTO, SL_EPROTO}};
    sl_scope scope = SL_SCOPE_INIT;
    struct hydra heads = {.scope = &scope};
    sl_time before = sl_now();
    CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.strategy = SL_ONE_FOR_ONE, .max_restarts = 1}), 0);
    CHECK_EQ(sl_spawn(&scope, hydra, &heads, .restart = SL_ALWAYS), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &failing, .restart = SL_ALWAYS, FAST), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_EINTENSITY);
    CHECK_EQ(sl_now() - before, 0);
    CHECK_EQ(heads.heads, 10);
    return 0;
}

SL_TEST_MAIN(
    cmocka_unit_test(a_restart_tells_why), cmocka_unit_test(a_deadline_does_not_wait_for_a_backoff),
    cmocka_unit_test(a_cancellation_does_not_wait_for_a_backoff), cmocka_unit_test(a_stop_does_not_wait_for_a_backoff),
    cmocka_unit_test(a_cancellation_from_further_out_ends_the_backoff_too),
    cmocka_unit_test(the_budget_to_stop_holds_for_a_cancellation_from_further_out),
    cmocka_unit_test(the_budget_to_stop_is_counted_once), cmocka_unit_test(the_budget_to_stop_reaches_the_tasks_below),
    cmocka_unit_test(a_newcomer_in_a_cancelled_scope_has_a_budget_too),
    cmocka_unit_test(nothing_is_restarted_while_the_scope_escalates), cmocka_unit_test(an_escalation_ends_the_body_too),
    cmocka_unit_test(one_cause_that_fails_the_whole_group_counts_once),
    cmocka_unit_test(an_earlier_child_fails_while_the_rest_is_stopped),
    cmocka_unit_test(a_group_whose_members_are_removed_harms_nobody_else),
    cmocka_unit_test(a_newcomer_fails_while_the_group_starts), cmocka_unit_test(a_backoff_grows_until_a_run_is_long),
    cmocka_unit_test(a_cancelled_scope_stays_over), cmocka_unit_test(a_newcomer_fails_while_the_group_waits),
    cmocka_unit_test(a_restarted_daemon_does_not_keep_its_scope),
    cmocka_unit_test(a_worker_stopped_with_its_group_keeps_the_scope),
    cmocka_unit_test(a_restart_is_not_the_end_that_wait_any_waits_for),
    cmocka_unit_test(a_stop_from_further_out_is_ordered_too),
    cmocka_unit_test(a_late_child_of_an_ordered_stop_is_asked_too),
    cmocka_unit_test(a_failure_during_an_ordered_stop_is_kept_and_spares_the_others),
    cmocka_unit_test(a_failure_during_a_stop_takes_the_others_only_where_failures_propagate),
    cmocka_unit_test(a_failure_while_the_scope_escalates_is_kept),
    cmocka_unit_test(who_spawns_while_the_scope_escalates_does_not_keep_it))
