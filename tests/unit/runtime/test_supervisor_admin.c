/* SPDX-License-Identifier: MIT */
/* Calls on supervised children in every state, and what children do that no child should. */
#include <pthread.h>

#include "../../conformance/supervisors/supervised.h"
#include "sluice/memory.h"

#define FOREVER                                                                                                        \
    {                                                                                                                  \
        1, 1, 1, 1, 1, 1, 1, 1                                                                                         \
    }
#define SLOW .backoff = {.initial = SL_SECONDS(1000), .max = SL_SECONDS(1000), .jitter = -1}

static int released;

static void release(void *arg)
{
    released += arg != NULL;
}

/* Cancelled, it goes on in a shield, and says that it has started. */
static int late_starter(void *arg)
{
    struct child *child = arg;
    child->runs++;
    int code = sl_sleep(SL_SECONDS(1000));
    SL_SCOPE(shield, .shield = true, .timeout = SL_SECONDS(1000));
    SL_TRY(sl_sleep(SL_SECONDS(1)));
    SL_TRY(sl_started(NULL));
    SL_TRY(sl_sleep(SL_SECONDS(100)));
    CHECK_EQ(sl_scope_close(&shield, 0), 0);
    return code;
}

C_TEST_SIMULATED(a_child_that_starts_while_it_is_stopped, "", "")
{
    struct child child = {0};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, late_starter, &child, .id = "l", .restart = SL_ALWAYS, .handshake = true,
                      .stop_budget = SL_SECONDS(10), .healthy_after = SL_SECONDS(500)),
             0);
    SETTLE();
    sl_time before = sl_now();
    struct sl_child_info info;
    CHECK(sl_child_find(&scope, "l", &info) == 0 && info.state == SL_CHILD_STARTING);
    CHECK_EQ(sl_child_stop(&scope, "l"), 0);
    CHECK_EQ(sl_now() - before, SL_SECONDS(10)); /* neither its start nor its health ended the wait or the budget */
    CHECK(sl_child_find(&scope, "l", &info) == 0 && info.state == SL_CHILD_STOPPED);
    return sl_scope_wait(&scope);
}

C_TEST_SIMULATED(the_health_of_a_late_starter_leaves_its_budget_alone, "", "")
{
    struct child child = {0};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, late_starter, &child, .id = "l", .restart = SL_ALWAYS, .handshake = true,
                      .stop_budget = SL_SECONDS(10), .healthy_after = SL_SECONDS(50)),
             0);
    SETTLE();
    sl_time before = sl_now();
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sl_now() - before, SL_SECONDS(10));
    return 0;
}

static int fails_at_once(void *arg)
{
    struct child *child = arg;
    child->runs++;
    return sl_fail(SL_EPROTO, "again");
}

C_TEST_SIMULATED(the_first_child_of_a_scope_that_stops_is_not_restarted, "", "")
{
    struct child child = {0};
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.strategy = SL_ONE_FOR_ONE}), 0);
    CHECK_EQ(sl_scope_stop(&scope, SL_SECONDS(5000)), 0);
    CHECK_EQ(sl_spawn(&scope, fails_at_once, &child, .id = "f", .restart = SL_ALWAYS, SLOW), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_EPROTO);
    CHECK_EQ(child.runs, 1);
    return 0;
}

C_TEST_SIMULATED(a_new_schedule_holds_for_who_waits_and_for_who_runs, "", "")
{
    struct child child = {0};
    const struct sl_backoff quick = {.initial = SL_SECONDS(2), .max = SL_SECONDS(2), .jitter = -1};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE, .max_restarts = SL_UNLIMITED, .max_start_failures = SL_UNLIMITED);
    CHECK_EQ(sl_spawn(&scope, fails_at_once, &child, .id = "f", .restart = SL_ALWAYS, SLOW), 0);
    SETTLE();
    struct sl_child_info info;
    CHECK(sl_child_find(&scope, "f", &info) == 0 && info.state == SL_CHILD_BACKOFF);
    CHECK_EQ(info.next_start - sl_now(), SL_SECONDS(1000));
    CHECK_EQ(sl_child_reschedule(&scope, "f", &quick, 0), 0);
    CHECK(sl_child_find(&scope, "f", &info) == 0 && info.next_start - sl_now() == SL_SECONDS(2));
    CHECK_EQ(sl_sleep(SL_SECONDS(9)), 0);
    CHECK_EQ(child.runs, 5);
    const struct sl_backoff slow = {.initial = SL_SECONDS(50), .max = SL_SECONDS(90), .jitter = -1};
    CHECK_EQ(sl_child_reschedule(&scope, "f", &slow, 0), 0);
    CHECK(sl_child_find(&scope, "f", &info) == 0 &&
          info.next_start - sl_now() <= SL_SECONDS(2)); /* no longer than it was */
    CHECK_EQ(sl_child_reschedule(&scope, "f", &(struct sl_backoff){.multiplier = 0.5}, 0), SL_EINVAL);
    CHECK_EQ(sl_child_reschedule(&scope, "f", &quick, -1), SL_EINVAL);
    CHECK_EQ(sl_child_reschedule(&scope, "g", &quick, 0), SL_ENOENT);
    CHECK_EQ(sl_child_stop(&scope, "f"), 0);
    return sl_scope_wait(&scope);
}

C_TEST_SIMULATED(a_new_schedule_holds_for_a_group_that_waits, "", "")
{
    struct journal journal = {""};
    struct child child = {0};
    struct child other = {.journal = &journal, .letter = 'o', .codes = FOREVER};
    const struct sl_backoff quick = {.initial = SL_SECONDS(2), .max = SL_SECONDS(2), .jitter = -1};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ALL, .max_restarts = SL_UNLIMITED, .max_start_failures = SL_UNLIMITED);
    CHECK_EQ(sl_spawn(&scope, child_run, &other, .id = "o", .restart = SL_ALWAYS), 0);
    CHECK_EQ(sl_spawn(&scope, fails_at_once, &child, .id = "f", .restart = SL_ALWAYS, SLOW), 0);
    SETTLE();
    struct sl_child_info info;
    CHECK(sl_child_find(&scope, "o", &info) == 0 && info.next_start - sl_now() == SL_SECONDS(1000));
    CHECK_EQ(sl_child_reschedule(&scope, "o", &quick, 0), 0); /* it waits for the other one's delay */
    CHECK(sl_child_find(&scope, "o", &info) == 0 && info.next_start - sl_now() == SL_SECONDS(1000));
    CHECK_EQ(sl_child_reschedule(&scope, "f", &quick, 0), 0);
    CHECK(sl_child_find(&scope, "o", &info) == 0 && info.next_start - sl_now() == SL_SECONDS(2));
    CHECK_EQ(sl_sleep(SL_SECONDS(3)), 0);
    CHECK(child.runs == 2 && other.runs == 2);
    sl_scope_cancel(&scope, NULL);
    return sl_scope_wait(&scope);
}

C_TEST_SIMULATED(a_new_schedule_leaves_the_budget_to_stop_alone, "", "")
{
    struct journal journal = {""};
    struct child child = {.journal = &journal, .letter = 's', .codes = FOREVER, .stop_takes = SL_SECONDS(100)};
    const struct sl_backoff backoff = {0};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = "s", .restart = SL_ALWAYS, .stop_budget = SL_SECONDS(10)), 0);
    SETTLE();
    sl_time before = sl_now();
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_child_reschedule(&scope, "s", &backoff, SL_SECONDS(50)), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sl_now() - before, SL_SECONDS(10));
    return 0;
}

C_TEST_SIMULATED(a_start_by_hand_is_a_new_beginning, "", "")
{
    const struct sl_backoff growing = {
        .initial = SL_SECONDS(1), .max = SL_SECONDS(1000), .multiplier = 10, .jitter = -1};
    struct child child = {0};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE, .max_restarts = SL_UNLIMITED, .max_start_failures = 3);
    CHECK_EQ(
        sl_spawn(&scope, fails_at_once, &child, .id = "f", .restart = SL_ALWAYS, .backoff = growing, .handshake = true),
        0);
    for (int i = 0; i < 5; i++) {
        struct sl_child_info info;
        CHECK_EQ(sl_sleep(SL_SECONDS(1 + 10 + 5)), 0);
        CHECK(sl_child_find(&scope, "f", &info) == 0 && info.state == SL_CHILD_BACKOFF);
        CHECK_EQ(child.runs, 3 * (i + 1));
        CHECK_EQ(sl_child_stop(&scope, "f"), 0);
        CHECK_EQ(sl_child_start(&scope, "f"), 0);
    }
    return sl_child_stop(&scope, "f");
}

C_TEST_SIMULATED(a_significant_child_that_waits_for_its_restart_keeps_the_scope, "", "")
{
    struct journal journal = {""};
    struct child back = {.journal = &journal, .letter = 'b', .codes = {SL_EPROTO, 0}, .lasts = SL_SECONDS(5)};
    struct child work = {.journal = &journal, .letter = 'w', .codes = {0}, .lasts = SL_SECONDS(10)};
    sl_scope scope = SL_SCOPE_INIT;
    const struct sl_scope_options options = {.strategy = SL_ONE_FOR_ONE, .auto_shutdown = SL_SHUTDOWN_ALL_SIGNIFICANT};
    CHECK_EQ(sl_scope_open(&scope, &options), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &back, .id = "b", .restart = SL_ON_FAILURE, .significant = true, SLOW), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &work, .id = "w", .significant = true), 0);
    sl_time before = sl_now();
    CHECK_EQ(sl_scope_close(&scope, 0), SL_ESHUTDOWN);
    CHECK_EQ(sl_now() - before, SL_SECONDS(5 + 1000 + 5));
    CHECK_EQ(back.runs, 2);
    return 0;
}

static int stop_after_a_while(void *arg)
{
    SL_TRY(sl_sleep(SL_SECONDS(5)));
    CHECK_EQ(sl_child_stop(arg, "f"), 0);
    return 0;
}

C_TEST_SIMULATED(a_scope_whose_last_child_is_stopped_in_its_backoff_ends, "", "")
{
    struct child child = {0};
    SL_SCOPE(outer);
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, fails_at_once, &child, .id = "f", .restart = SL_ALWAYS, SLOW), 0);
    CHECK_EQ(sl_spawn(&outer, stop_after_a_while, &scope), 0);
    sl_time before = sl_now();
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sl_now() - before, SL_SECONDS(5));
    CHECK_EQ(child.runs, 1);
    return sl_scope_wait(&outer);
}

C_TEST_SIMULATED(what_a_removed_child_used_up_is_there_for_others, "", "")
{
    struct child children[2] = {{0}, {0}};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE, .max_restarts = 1, .window = SL_SECONDS(1000));
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(sl_spawn(&scope, fails_at_once, &children[i], .id = "f", .restart = SL_ALWAYS, SLOW), 0);
        SETTLE();
        CHECK_EQ(children[i].runs, 1);
        CHECK_EQ(sl_child_stop(&scope, "f"), 0);
        CHECK_EQ(sl_child_remove(&scope, "f"), 0);
    }
    CHECK(!sl_scope_cancel_called(&scope));
    return sl_scope_wait(&scope);
}

/* Ends with a failure after so long. */
static int runs_for_a_minute(void *arg)
{
    struct child *child = arg;
    child->runs++;
    SL_TRY(sl_sleep(SL_SECONDS(60)));
    return sl_fail(SL_EPROTO, "again");
}

C_TEST_SIMULATED(what_is_healthy_changes_while_it_runs, "", "")
{
    struct child child = {0};
    const struct sl_backoff backoff = {
        .initial = SL_SECONDS(1), .max = SL_SECONDS(1000), .multiplier = 10, .jitter = -1};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE, .max_restarts = SL_UNLIMITED, .max_start_failures = SL_UNLIMITED);
    CHECK_EQ(sl_spawn(&scope, runs_for_a_minute, &child, .id = "m", .restart = SL_ALWAYS, .backoff = backoff,
                      .healthy_after = SL_SECONDS(1000)),
             0);
    CHECK_EQ(sl_sleep(SL_SECONDS(60 + 1 + 60 + 5)), 0);
    struct sl_child_info info;
    CHECK(sl_child_find(&scope, "m", &info) == 0 && info.state == SL_CHILD_BACKOFF);
    CHECK_EQ(info.next_start - sl_now(), SL_SECONDS(5)); /* the second wait is ten times the first */
    CHECK_EQ(sl_sleep(SL_SECONDS(10)), 0);
    CHECK_EQ(sl_child_reschedule(&scope, "m", &backoff, SL_SECONDS(30)), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(55500)), 0);
    CHECK(sl_child_find(&scope, "m", &info) == 0 && info.state == SL_CHILD_BACKOFF);
    CHECK(info.next_start - sl_now() <= SL_SECONDS(1)); /* it ran long enough: the first again */
    CHECK_EQ(sl_child_stop(&scope, "m"), 0);
    return sl_scope_wait(&scope);
}

static int stop_it(void *arg)
{
    CHECK_EQ(sl_child_stop(arg, "t"), 0);
    return 0;
}

C_TEST_SIMULATED(two_may_stop_the_same_temporary_child, "", "")
{
    struct journal journal = {""};
    struct child child = {.journal = &journal, .letter = 't', .codes = FOREVER, .stop_takes = SL_SECONDS(3)};
    SL_SCOPE(outer);
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = "t"), 0);
    SETTLE();
    sl_time before = sl_now();
    CHECK_EQ(sl_spawn(&outer, stop_it, &scope), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(1)), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = "t"), SL_EEXIST); /* it still runs */
    CHECK_EQ(sl_child_restart(&scope, "t"), SL_ENOENT); /* a temporary one has gone when it has ended */
    CHECK_EQ(sl_now() - before, SL_SECONDS(3));
    CHECK_EQ(sl_children_list(&scope, NULL, 0), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    return sl_scope_wait(&outer);
}

static int ends_with_shutdown(void *arg)
{
    ((struct child *)arg)->runs++;
    return sl_fail(SL_ESHUTDOWN, "its work is done");
}

C_TEST_SIMULATED(a_transient_child_that_shuts_down_is_not_restarted, "", "")
{
    struct child child = {0};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, ends_with_shutdown, &child, .id = "s", .restart = SL_ON_FAILURE, FAST), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(child.runs, 1);
    return 0;
}

C_TEST_SIMULATED(significance_counts_who_runs, "", "")
{
    struct journal journal = {""};
    /* f ended well, but its group restarts it: while it runs, the scope does not end for g. */
    struct child f = {.journal = &journal, .letter = 'f', .codes = {0, 0}, .lasts = SL_SECONDS(5)};
    struct child g = {.journal = &journal, .letter = 'g', .codes = {SL_EPROTO, 0}, .lasts = SL_SECONDS(7)};
    struct child h = {.journal = &journal, .letter = 'h', .codes = FOREVER};
    sl_scope scope = SL_SCOPE_INIT;
    struct sl_scope_options options = {.strategy = SL_ONE_FOR_ALL, .auto_shutdown = SL_SHUTDOWN_ALL_SIGNIFICANT};
    CHECK_EQ(sl_scope_open(&scope, &options), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &f, .id = "f", .restart = SL_ON_FAILURE, .significant = true, FAST), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &g, .id = "g", .restart = SL_ON_FAILURE, .significant = true, FAST), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &h, .id = "h", .restart = SL_ALWAYS, FAST), 0);
    sl_time before = sl_now();
    CHECK_EQ(sl_sleep(SL_SECONDS(8)), 0);
    f.lasts = SL_SECONDS(20); /* of its third run, by hand */
    CHECK_EQ(sl_child_restart(&scope, "f"), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_ESHUTDOWN);
    CHECK_EQ(sl_now() - before, SL_SECONDS(28));
    CHECK(f.runs == 3 && g.runs == 2);
    /* One that was stopped by hand does not keep the scope when the other ends. */
    struct child other = {.journal = &journal, .letter = 'o', .codes = FOREVER};
    struct child work = {.journal = &journal, .letter = 'w', .codes = {0}, .lasts = SL_SECONDS(5)};
    options.strategy = SL_ONE_FOR_ONE;
    CHECK_EQ(sl_scope_open(&scope, &options), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &other, .id = "o", .restart = SL_ON_FAILURE, .significant = true), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &work, .id = "w", .significant = true), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &h, .id = "h", .restart = SL_ALWAYS), 0);
    CHECK_EQ(sl_child_stop(&scope, "o"), 0);
    return sl_scope_close(&scope, 0) == SL_ESHUTDOWN ? 0 : SL_EINTERNAL;
}

struct self_admin {
    sl_scope *scope;
    int runs, code;
    bool restart, shielded;
};

static int self_admin(void *arg)
{
    struct self_admin *self = arg;
    self->runs++;
    SL_SCOPE(scope, .shield = self->shielded, .timeout = SL_SECONDS(1000));
    self->code = self->restart ? sl_child_restart(self->scope, "me") : sl_child_stop(self->scope, "me");
    return sl_scope_close(&scope, sl_sleep(SL_SECONDS(1)));
}

C_TEST_SIMULATED(a_child_that_stops_or_restarts_itself, "", "")
{
    for (int i = 0; i < 4; i++) {
        struct self_admin self = {.restart = i % 2 == 1, .shielded = i >= 2};
        SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
        self.scope = &scope;
        sl_time before = sl_now();
        CHECK_EQ(sl_spawn(&scope, self_admin, &self, .id = "me", .restart = SL_ON_FAILURE, FAST), 0);
        CHECK_EQ(sl_scope_wait(&scope), 0);
        CHECK_EQ(self.code, self.restart ? SL_EMISUSE : SL_ECANCELED);
        CHECK_EQ(self.runs, 1);
        CHECK(sl_now() - before <= SL_SECONDS(1));
    }
    return 0;
}

static int restart_it(void *arg)
{
    int code = sl_child_restart(arg, "a");
    return code == 0 || code == SL_ECLOSED ? 0 : code;
}

/* The scope's owner waits while another task restarts its only child, and while the scope is stopped meanwhile. */
C_TEST_SIMULATED(a_restart_by_hand_keeps_the_scope, "", "")
{
    for (int stop = 0; stop < 2; stop++) {
        struct journal journal = {""};
        struct child child = {
            .journal = &journal, .letter = 'a', .codes = {1, 0}, .lasts = SL_SECONDS(1), .stop_takes = SL_SECONDS(2)};
        SL_SCOPE(outer);
        {
            SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
            CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = "a", .restart = SL_ON_FAILURE), 0);
            SETTLE();
            CHECK_EQ(sl_spawn(&outer, restart_it, &scope), 0);
            CHECK_EQ(sl_sleep(SL_SECONDS(1)), 0);
            if (stop) {
                CHECK_EQ(sl_scope_stop(&scope, SL_NEVER), 0);
            }
            CHECK_EQ(sl_scope_wait(&scope), 0);
        }
        CHECK_EQ(child.runs, stop ? 1 : 2);
        CHECK_EQ(sl_scope_wait(&outer), 0);
    }
    return 0;
}

C_TEST_SIMULATED(calls_in_every_state, "", "")
{
    struct journal journal = {""};
    struct child backoff = {.journal = &journal, .letter = 'b', .codes = {SL_EPROTO, 1, 1, 1}};
    struct child starting = {.journal = &journal, .letter = 's', .codes = FOREVER, .before_start = SL_SECONDS(1000)};
    struct child failed = {.journal = &journal, .letter = 'f', .codes = {0, 1}};
    struct sl_child_info info;
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, child_run, &backoff, .id = "b", .restart = SL_ALWAYS, SLOW), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &starting, .id = "s", .restart = SL_ALWAYS, .handshake = true), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &failed, .id = "f", .restart = SL_ON_FAILURE), 0);
    SETTLE();
    CHECK(sl_child_start(&scope, "b") == SL_ERESTARTING && sl_child_remove(&scope, "b") == SL_ERESTARTING);
    CHECK(sl_child_start(&scope, "s") == SL_ERUNNING && sl_child_remove(&scope, "s") == SL_ERUNNING);
    CHECK(sl_child_stop(&scope, NULL) == SL_EINVAL && sl_child_find(&scope, NULL, &info) == SL_ENOENT);
    CHECK_EQ(sl_child_restart(&scope, "b"), 0); /* out of its backoff, at once */
    CHECK_EQ(sl_child_restart(&scope, "s"), 0);
    CHECK_EQ(sl_child_restart(&scope, "f"), 0);
    SETTLE();
    CHECK(backoff.runs == 2 && starting.runs == 2 && failed.runs == 2);
    struct sl_child_counts counts = sl_children_count(&scope);
    CHECK(counts.specs == 3 && counts.active == 3 && counts.restarting == 0 && counts.stopped == 0);
    CHECK(sl_child_find(&scope, "b", &info) == 0 && info.restarts == 0 && info.recent == 1);
    CHECK_EQ(sl_scope_stop(&scope, SL_NEVER), 0);
    CHECK_EQ(sl_child_stop(&scope, "b"), 0);
    CHECK_EQ(sl_child_start(&scope, "b"), SL_ECLOSED);
    CHECK_EQ(sl_child_remove(&scope, "b"), 0);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(sl_child_stop(&scope, "s") == SL_ENOENT && sl_child_start(&scope, "s") == SL_ENOENT);
    CHECK(sl_children_list(&scope, NULL, 0) == 0 && sl_children_count(&scope).specs == 0);
    return 0;
}

C_TEST(ids_are_whole_or_refused, "", "")
{
    static const char thirty_one[] = "abcdefghijklmnopqrstuvwxyz01234";
    static const char longer[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    struct journal journal = {""};
    struct child child = {.journal = &journal, .letter = 'a', .codes = FOREVER};
    sl_task_ref task = {NULL, 0};
    struct sl_child_info info[4];
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = longer), SL_EINVAL);
    struct sl_child_spec spec = SPEC(&child, longer, FAST);
    CHECK_EQ(sl_supervise(&scope, &spec, 1), SL_EINVAL);
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = thirty_one), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = thirty_one), SL_EEXIST);
    /* Ids made from names are cut and told apart, also from ids that look as if they were made so. */
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = "abcdefghijklmnop#1"), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .name = longer), 0);
    spec = (struct sl_child_spec)SPEC(&child, "with a reference", .ret_task = &task);
    CHECK_EQ(sl_supervise(&scope, &spec, 1), 0);
    CHECK(sl_task_alive(task));
    CHECK_EQ(sl_children_list(&scope, info, 4), 4);
    CHECK_STRING(info[0].id, thirty_one);
    CHECK_STRING(info[2].id, "abcdefghijklmnop#2");
    CHECK(sl_child_find(&scope, "abcdefghijklmnop#2", &info[0]) == 0 && info[0].task.id == info[2].task.id);
    sl_scope_cancel(&scope, NULL);
    return sl_scope_wait(&scope);
}

/* Ten thousand at a time; with a search through all of them for each this case would not end in time. */
C_TEST_SIMULATED(children_by_the_ten_thousand, "", "")
{
#ifdef __SANITIZE_THREAD__
    enum { CHILDREN = 5000 }; /* it knows of no more than 8128 at once */
#else
    enum { CHILDREN = 10000 };
#endif
    if (sl_conformance_seed() > 1) {
        return 0;
    }
    struct journal journal = {""};
    static struct child child;
    child = (struct child){.journal = &journal, .letter = 'x', .codes = FOREVER, .start_codes = {0}};
    released = 0;
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE, .ordered_stop = true);
    char id[32];
    for (int i = 0; i < CHILDREN; i++) {
        (void)snprintf(id, sizeof id, "child %d", i);
        child.runs = 0;
        CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = id, .restart = i % 2 ? SL_ALWAYS : SL_NEVER_RESTART,
                          .release = release, .stop_budget = SL_SECONDS(1)),
                 0);
    }
    CHECK_EQ(sl_sleep(1), 0);
    struct sl_child_info info;
    for (int i = 0; i < CHILDREN; i += 3) {
        (void)snprintf(id, sizeof id, "child %d", i);
        CHECK(sl_child_find(&scope, id, &info) == 0 && strcmp(info.id, id) == 0);
        CHECK_EQ(sl_child_stop(&scope, id), 0);
    }
    CHECK_EQ(sl_children_count(&scope).active, CHILDREN - (CHILDREN + 2) / 3);
    CHECK_EQ(released, (CHILDREN + 5) / 6);
    CHECK_EQ(sl_scope_stop(&scope, SL_NEVER), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(released, CHILDREN);
    return 0;
}

C_TEST_SIMULATED(started_again_by_hand_it_belongs_to_its_group_again, "", "")
{
    struct journal journal = {""};
    struct child a = {.journal = &journal, .letter = 'a', .codes = {SL_EPROTO, 1}, .lasts = SL_SECONDS(1)};
    struct child b = {.journal = &journal, .letter = 'b', .codes = FOREVER};
    struct child c = {.journal = &journal, .letter = 'c', .codes = FOREVER};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ALL);
    CHECK_EQ(sl_spawn(&scope, child_run, &a, .id = "a", .restart = SL_ALWAYS, FAST), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &b, .id = "b", .restart = SL_ALWAYS, FAST), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &c, .id = "c", .restart = SL_ALWAYS, FAST), 0);
    SETTLE();
    CHECK_EQ(sl_child_stop(&scope, "c"), 0); /* stays down */
    CHECK_EQ(sl_child_stop(&scope, "b"), 0);
    CHECK_EQ(sl_child_start(&scope, "b"), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(3)), 0);
    CHECK(a.runs == 2 && b.runs == 3 && c.runs == 1);
    sl_scope_cancel(&scope, NULL);
    return sl_scope_wait(&scope);
}

/* ---- what is refused ---- */

C_TEST(options_that_no_scope_takes, "", "")
{
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.max_restarts = SL_MAX_RESTARTS_LIMIT + 1}), SL_EINVAL);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_EINVAL);
    CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.max_restarts = SL_MAX_RESTARTS_LIMIT}), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), 0);
    return 0;
}

static int spawn_into_own_root(void *arg)
{
    sl_cleanup *cleanup = NULL;
    CHECK_EQ(sl_spawn(sl_scope_current(), child_run, arg), SL_ECLOSED);
    CHECK_EQ(sl_defer(sl_scope_current(), child_run, arg, SL_SECONDS(1)), SL_ECLOSED);
    CHECK_EQ(sl_cleanup_reserve(sl_scope_current(), &cleanup), SL_ECLOSED);
    return 0;
}

C_TEST(a_tasks_own_root_takes_no_children, "", "")
{
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, spawn_into_own_root, NULL), 0);
    return sl_scope_wait(&scope);
}

static int meddle(void *arg)
{
    sl_scope *scope = arg;
    struct child child = {0};
    const struct sl_child_spec spec = SPEC(&child, "x", FAST);
    CHECK_EQ(sl_spawn(scope, child_run, &child), SL_EMISUSE);
    CHECK_EQ(sl_start(scope, child_run, NULL, &child), SL_EMISUSE);
    CHECK_EQ(sl_supervise(scope, &spec, 1), SL_EMISUSE);
    CHECK_EQ(sl_child_stop(scope, "a"), SL_EMISUSE);
    CHECK_EQ(sl_child_start(scope, "a"), SL_EMISUSE);
    CHECK_EQ(sl_child_restart(scope, "a"), SL_EMISUSE);
    CHECK_EQ(sl_child_remove(scope, "a"), SL_EMISUSE);
    sl_cleanup *cleanup = NULL;
    CHECK_EQ(sl_defer(scope, child_run, &child, SL_SECONDS(1)), SL_EMISUSE);
    CHECK_EQ(sl_cleanup_reserve(scope, &cleanup), SL_EMISUSE);
    SL_SCOPE(own);
    CHECK_EQ(sl_cleanup_reserve(&own, &cleanup), 0);
    CHECK_EQ(sl_cleanup_move(cleanup, scope), SL_EMISUSE);
    CHECK_EQ(sl_scope_stop(scope, 0), SL_EMISUSE);
    CHECK_EQ(sl_scope_set_deadline(scope, 1), SL_EMISUSE);
    CHECK_EQ(sl_scope_set_shield(scope, false), SL_EMISUSE);
    sl_scope_cancel(scope, NULL);
    return 0;
}

static void *meddling_thread(void *arg)
{
    static const struct sl_run_options quiet = {.watchdog = SL_NEVER};
    return sl_run(&quiet, meddle, arg, NULL) == 0 ? arg : NULL;
}

C_TEST(another_threads_scope_is_left_alone, "", "")
{
    struct journal journal = {""};
    struct child child = {.journal = &journal, .letter = 'a', .codes = FOREVER};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = "a", .restart = SL_ALWAYS), 0);
    SETTLE();
    pthread_t thread;
    void *result = NULL;
    CHECK_EQ(pthread_create(&thread, NULL, meddling_thread, &scope), 0);
    CHECK_EQ(pthread_join(thread, &result), 0);
    CHECK(result == &scope);
    CHECK(!sl_scope_cancel_called(&scope) && sl_task_alive(child.self));
    sl_scope_cancel(&scope, NULL);
    return sl_scope_wait(&scope);
}

/* ---- without memory ---- */

static int taken; /* arguments that were handed over: for each of them `release` is due */

static int take_over(sl_scope *scope, struct child *child, struct sl_child_spec *specs)
{
    int code = sl_spawn(scope, child_run, child, .id = "s", .restart = SL_ALWAYS, .release = release);
    taken += code == 0;
    SL_TRY(code);
    uint64_t runs = 0;
    struct sl_statistics before;
    struct sl_statistics after;
    SL_TRY(sl_statistics_get(&before));
    code = sl_supervise(scope, specs, 3);
    SL_TRY(sl_statistics_get(&after));
    runs = after.spawned - before.spawned; /* who was begun is released, whatever came of it */
    taken += (int)runs;
    SL_TRY(code);
    SL_TRY(sl_child_stop(scope, "b"));
    SL_TRY(sl_child_start(scope, "b"));
    return sl_child_restart(scope, "s");
}

static int short_of_memory(void *arg)
{
    struct journal journal = {""};
    struct child child = {.journal = &journal, .letter = 'x', .codes = FOREVER, .handshake = true};
    struct sl_child_spec specs[] = {
        SPEC(&child, "a", .restart = SL_ALWAYS, .release = release, .handshake = true),
        SPEC(&child, "b", .restart = SL_ALWAYS, .release = release, .handshake = true),
        SPEC(&child, "c", .restart = SL_NEVER_RESTART, .release = release, .handshake = true)};
    (void)arg;
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ALL);
    int code = take_over(&scope, &child, specs);
    sl_scope_cancel(&scope, NULL);
    SL_TRY(sl_scope_close(&scope, 0));
    return code;
}

static void each_allocation_may_fail_and_each_argument_is_released_once(void **state)
{
    (void)state;
    static const struct sl_simulation_options simulation = {.seed = 1};
    struct sl_run_options options = {.simulation = &simulation, .log = sl_log_nothing};
    int refused = 0;
    for (int64_t n = 0;; n++) {
        released = taken = 0;
        sl_memory_fail_after(n);
        int code = sl_run(&options, short_of_memory, NULL, NULL);
        int failed = sl_memory_failed();
        sl_memory_fail_after(-1);
        assert_int_equal(sl_memory_held(), 0);
        assert_int_equal(released, taken);
        assert_true(code == 0 || (code == SL_ENOMEM && failed));
        refused += code == SL_ENOMEM;
        if (!failed) {
            assert_int_equal(taken, 4);
            break;
        }
    }
    assert_true(refused > 8);
}

SL_TEST_MAIN(cmocka_unit_test(a_child_that_starts_while_it_is_stopped),
             cmocka_unit_test(a_new_schedule_holds_for_who_waits_and_for_who_runs),
             cmocka_unit_test(a_new_schedule_holds_for_a_group_that_waits),
             cmocka_unit_test(a_new_schedule_leaves_the_budget_to_stop_alone),
             cmocka_unit_test(a_start_by_hand_is_a_new_beginning),
             cmocka_unit_test(the_health_of_a_late_starter_leaves_its_budget_alone),
             cmocka_unit_test(the_first_child_of_a_scope_that_stops_is_not_restarted),
             cmocka_unit_test(a_significant_child_that_waits_for_its_restart_keeps_the_scope),
             cmocka_unit_test(a_scope_whose_last_child_is_stopped_in_its_backoff_ends),
             cmocka_unit_test(what_a_removed_child_used_up_is_there_for_others),
             cmocka_unit_test(what_is_healthy_changes_while_it_runs),
             cmocka_unit_test(two_may_stop_the_same_temporary_child),
             cmocka_unit_test(a_transient_child_that_shuts_down_is_not_restarted),
             cmocka_unit_test(significance_counts_who_runs), cmocka_unit_test(a_child_that_stops_or_restarts_itself),
             cmocka_unit_test(a_restart_by_hand_keeps_the_scope), cmocka_unit_test(calls_in_every_state),
             cmocka_unit_test(ids_are_whole_or_refused), cmocka_unit_test(children_by_the_ten_thousand),
             cmocka_unit_test(started_again_by_hand_it_belongs_to_its_group_again),
             cmocka_unit_test(options_that_no_scope_takes), cmocka_unit_test(a_tasks_own_root_takes_no_children),
             cmocka_unit_test(another_threads_scope_is_left_alone),
             cmocka_unit_test(each_allocation_may_fail_and_each_argument_is_released_once))
