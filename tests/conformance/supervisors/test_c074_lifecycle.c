/* SPDX-License-Identifier: MIT */
/* Behaviours 74 to 82: order, stopping, defaults, bad specs, administration, nesting, significance. */
#include "supervised.h"

#define FOREVER                                                                                                        \
    {                                                                                                                  \
        1, 1, 1, 1, 1, 1, 1, 1                                                                                         \
    }

C_TEST(c074_started_in_order_stopped_in_reverse,
       "children start in declared order, each after the previous acknowledged; stop in exact reverse",
       "otp order_of_children")
{
    struct journal journal = {""};
    struct child children[3] = {
        {.journal = &journal, .letter = 'a', .codes = FOREVER, .handshake = true, .before_start = SL_MICROSECONDS(300)},
        {.journal = &journal, .letter = 'b', .codes = FOREVER, .handshake = true, .before_start = SL_MICROSECONDS(200)},
        {.journal = &journal, .letter = 'c', .codes = FOREVER, .handshake = true, .stop_takes = SL_MICROSECONDS(300)}};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE, .ordered_stop = true);
    struct sl_child_spec specs[] = {
        SPEC(&children[0], "a", .restart = SL_ALWAYS, .handshake = true, .stop_budget = SL_MILLISECONDS(20)),
        SPEC(&children[1], "b", .restart = SL_ALWAYS, .handshake = true, .stop_budget = SL_MILLISECONDS(20)),
        SPEC(&children[2], "c", .restart = SL_ALWAYS, .handshake = true, .stop_budget = SL_MILLISECONDS(20))};
    CHECK_EQ(sl_supervise(&scope, specs, 3), 0);
    CHECK_STRING(journal.text, "+a +b +c ");
    CHECK_EQ(sl_scope_stop(&scope, SL_SECONDS(1000)), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_STRING(journal.text, "+a +b +c -c -b -a ");
    return 0;
}

C_TEST_SIMULATED(c075_a_child_that_does_not_end_is_killed,
                 "stop: a child that doesn't end within its timeout is killed; brutal means at once; infinity waits",
                 "otp sup_stop_timeout, sup_stop_brutal_kill, sup_stop_infinity")
{
    static const struct {
        sl_time budget, takes, expected;
    } table[] = {{SL_SECONDS(3), SL_SECONDS(100), SL_SECONDS(3)},
                 {SL_SECONDS(3), SL_SECONDS(1), SL_SECONDS(1)},
                 {SL_STOP_BRUTAL, SL_SECONDS(100), 0},
                 {SL_NEVER, SL_SECONDS(100), SL_SECONDS(100)},
                 {0, SL_SECONDS(100), SL_STOP_BUDGET}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct journal journal = {""};
        struct child child = {.journal = &journal, .letter = 'a', .codes = FOREVER, .stop_takes = table[i].takes};
        SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
        CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = "a", .restart = SL_ALWAYS, .stop_budget = table[i].budget),
                 0);
        SETTLE();
        sl_time before = sl_now();
        CHECK_EQ(sl_child_stop(&scope, "a"), 0);
        CHECK_EQ(sl_now() - before, table[i].expected);
        CHECK_STRING(journal.text, "+a -a ");
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

C_TEST_SIMULATED(c076_dynamic_children_stop_together, "dynamic children: stopped concurrently on one shared timer",
                 "otp simple_one_for_one_shutdown")
{
    struct journal journal = {""};
    struct child children[8];
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    for (int i = 0; i < 8; i++) {
        children[i] =
            (struct child){.journal = &journal, .letter = 'a', .codes = FOREVER, .stop_takes = SL_SECONDS(i + 1)};
        CHECK_EQ(sl_spawn(&scope, child_run, &children[i], .restart = SL_ALWAYS, .stop_budget = SL_SECONDS(4)), 0);
    }
    SETTLE();
    sl_time before = sl_now();
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sl_now() - before, SL_SECONDS(4));
    return 0;
}

C_TEST_SIMULATED(c077_defaults, "defaults: 5 s to stop, 1 restart per 5 s, propagate; a supervisor's own children wait",
                 "otp sup_start_map; supervisor.erl docs")
{
    struct journal journal = {""};
    struct child child = {.journal = &journal, .letter = 'a', .codes = {SL_EPROTO, SL_EPROTO, SL_EPROTO}};
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .restart = SL_ALWAYS), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_EINTENSITY);
    CHECK_EQ(child.runs, 1 + SL_MAX_RESTARTS);

    struct child spaced = {
        .journal = &journal, .letter = 'b', .codes = {SL_EPROTO, SL_EPROTO, SL_EPROTO, 0}, .lasts = SL_RESTART_WINDOW};
    SL_SCOPE(other);
    CHECK_EQ(sl_spawn(&other, child_run, &spaced, .restart = SL_ON_FAILURE), 0);
    sl_time before = sl_now();
    CHECK_EQ(sl_scope_wait(&other), 0);
    CHECK_EQ(spaced.runs, 4);
    sl_time waited = sl_now() - before - 4 * SL_RESTART_WINDOW;
    CHECK(waited >= 3 * SL_BACKOFF_INITIAL / 2 && waited <= 3 * SL_BACKOFF_INITIAL); /* half of it is jitter */
    return 0;
}

C_TEST(c078_bad_specs_are_refused,
       "bad specs (no id, no function, duplicate id, unknown restart or strategy, negative times) are refused before "
       "anything starts",
       "otp child_specs, sup_flags, sup_start_map_faulty_specs")
{
    struct journal journal = {""};
    struct child child = {.journal = &journal, .letter = 'a', .codes = FOREVER};
    const struct sl_child_spec good = SPEC(&child, "good", .restart = SL_ALWAYS);
    const struct {
        struct sl_child_spec spec;
        int code;
    } bad[] = {{SPEC(&child, NULL, .restart = SL_ALWAYS), SL_EINVAL},
               {{.fn = NULL, .options = {.id = "x"}}, SL_EINVAL},
               {SPEC(&child, "good", .restart = SL_ALWAYS), SL_EEXIST},
               {SPEC(&child, "there", .restart = SL_ALWAYS), SL_EEXIST},
               {SPEC(&child, "x", .restart = (enum sl_restart)7), SL_EINVAL},
               {SPEC(&child, "x", .stop_budget = -2), SL_EINVAL},
               {SPEC(&child, "x", .healthy_after = -1), SL_EINVAL},
               {SPEC(&child, "x", .backoff = {.initial = -2}), SL_EINVAL},
               {SPEC(&child, "x", .backoff = {.max = -1}), SL_EINVAL},
               {SPEC(&child, "x", .backoff = {.multiplier = 0.5}), SL_EINVAL},
               {SPEC(&child, "x", .backoff = {.jitter = 1.5}), SL_EINVAL},
               {SPEC(&child, "x", .significant = true), SL_EINVAL},
               {SPEC(&child, "x", .restart = SL_ALWAYS, .significant = true), SL_EINVAL}};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    struct child there = {.journal = &journal, .letter = 't', .codes = FOREVER};
    CHECK_EQ(sl_spawn(&scope, child_run, &there, .id = "there", .restart = SL_ALWAYS), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sl_child_spec table[] = {good, bad[i].spec};
        CHECK_EQ(sl_supervise(&scope, table, 2), bad[i].code);
    }
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = "there"), SL_EEXIST);
    SETTLE();
    CHECK_EQ(child.runs, 0);
    CHECK_EQ(sl_children_list(&scope, NULL, 0), 1);
    sl_scope_cancel(&scope, NULL);
    return sl_scope_wait(&scope);
}

C_TEST(c079_a_failed_initial_start,
       "if child k fails its initial start, earlier ones are stopped in reverse and the call fails naming the child; a "
       "child may opt out",
       "otp faulty_application_shutdown, sup_start_ignore_*")
{
    struct journal journal = {""};
    struct child children[4] = {
        {.journal = &journal, .letter = 'a', .codes = FOREVER, .handshake = true},
        {.journal = &journal, .letter = 'i', .codes = FOREVER, .start_codes = {SL_EIGNORE}, .handshake = true},
        {.journal = &journal, .letter = 'c', .codes = FOREVER, .handshake = true},
        {.journal = &journal, .letter = 'd', .start_codes = {SL_EPIPE}, .handshake = true}};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    struct sl_child_spec specs[] = {SPEC(&children[0], "a", .restart = SL_ALWAYS, .handshake = true),
                                    SPEC(&children[1], "i", .restart = SL_ALWAYS, .handshake = true),
                                    SPEC(&children[2], "c", .restart = SL_ALWAYS, .handshake = true),
                                    SPEC(&children[3], "d", .restart = SL_ALWAYS, .handshake = true)};
    CHECK_EQ(sl_supervise(&scope, specs, 3), 0); /* without the failing one */
    CHECK_STRING(journal.text, "+a ?i +c ");
    struct sl_child_info info;
    CHECK_EQ(sl_child_find(&scope, "i", &info), SL_ENOENT);
    CHECK_EQ(sl_children_list(&scope, NULL, 0), 2);
    for (int i = 0; i < 2; i++) {
        const char *id = i == 0 ? "a" : "c";
        CHECK_EQ(sl_child_stop(&scope, id), 0);
        CHECK_EQ(sl_child_remove(&scope, id), 0);
    }
    memset(&journal, 0, sizeof journal);
    CHECK_EQ(sl_supervise(&scope, specs, 4), SL_EPIPE);
    CHECK_STRING(journal.text, "+a +i +c ?d -c -i -a "); /* i opts out on its first run only */
    CHECK(strstr(sl_error_message(sl_error_last()), "'d'") != NULL);
    CHECK_EQ(sl_children_list(&scope, NULL, 0), 0);
    CHECK(!sl_scope_cancel_called(&scope));
    return sl_scope_wait(&scope);
}

C_TEST(c080_administration,
       "terminate is idempotent and keeps the spec; restart and delete only when stopped; distinct errors running / "
       "restarting / not found / already present; counts are right mid-restart",
       "otp child_adm, count_restarting_children")
{
    struct journal journal = {""};
    struct child a = {.journal = &journal, .letter = 'a', .codes = FOREVER};
    struct child b = {.journal = &journal, .letter = 'b', .codes = {SL_EPROTO, 1}};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, child_run, &a, .id = "a", .restart = SL_ALWAYS), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &b, .id = "b", .restart = SL_ALWAYS,
                      .backoff = {.initial = SL_SECONDS(1000), .max = SL_SECONDS(1000)}),
             0);
    SETTLE();
    struct sl_child_counts counts = sl_children_count(&scope);
    CHECK(counts.specs == 2 && counts.active == 1 && counts.restarting == 1 && counts.stopped == 0);
    struct sl_child_info info[2];
    CHECK_EQ(sl_children_list(&scope, info, 2), 2);
    CHECK_STRING(info[0].id, "a");
    CHECK(info[0].state == SL_CHILD_RUNNING && sl_task_alive(info[0].task));
    CHECK(info[1].state == SL_CHILD_BACKOFF && info[1].last_code == SL_EPROTO && info[1].recent == 1);
    CHECK(info[1].next_start > sl_now() && info[1].next_start != SL_NEVER);

    CHECK_EQ(sl_child_start(&scope, "a"), SL_ERUNNING);
    CHECK_EQ(sl_child_remove(&scope, "a"), SL_ERUNNING);
    CHECK_EQ(sl_child_start(&scope, "b"), SL_ERESTARTING);
    CHECK_EQ(sl_child_remove(&scope, "b"), SL_ERESTARTING);
    CHECK_EQ(sl_child_stop(&scope, "nobody"), SL_ENOENT);
    CHECK_EQ(sl_child_start(&scope, "nobody"), SL_ENOENT);
    CHECK_EQ(sl_child_remove(&scope, "nobody"), SL_ENOENT);
    CHECK_EQ(sl_spawn(&scope, child_run, &a, .id = "a"), SL_EEXIST);

    CHECK_EQ(sl_child_stop(&scope, "b"), 0);
    CHECK_EQ(sl_child_stop(&scope, "a"), 0);
    CHECK_EQ(sl_child_stop(&scope, "a"), 0);
    CHECK(strstr(journal.text, "!b ") != NULL && strstr(journal.text, "-a ") != NULL);
    counts = sl_children_count(&scope);
    CHECK(counts.specs == 2 && counts.active == 0 && counts.restarting == 0 && counts.stopped == 2);
    CHECK_EQ(sl_child_start(&scope, "a"), 0);
    CHECK_EQ(sl_child_restart(&scope, "a"), 0);
    SETTLE();
    CHECK_EQ(sl_child_find(&scope, "a", &info[0]), 0);
    CHECK_EQ(info[0].state, SL_CHILD_RUNNING);
    CHECK_EQ(sl_child_stop(&scope, "a"), 0);
    CHECK_EQ(sl_child_remove(&scope, "a"), 0);
    CHECK_EQ(sl_child_remove(&scope, "a"), SL_ENOENT);
    CHECK_EQ(sl_scope_wait(&scope), 0); /* stopped children keep no scope open */
    return 0;
}

struct branch {
    struct journal *journal;
    int runs;
    struct child fixed, dynamic, failing;
};

/* A supervisor of its own, which gives up in its first run. */
static int branch(void *arg)
{
    struct branch *self = arg;
    bool first = self->runs++ == 0;
    self->fixed = (struct child){.journal = self->journal, .letter = 'f', .codes = FOREVER};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE, .max_restarts = 1);
    SL_TRY(sl_spawn(&scope, child_run, &self->fixed, .id = "fixed", .restart = SL_ALWAYS));
    if (first) {
        self->dynamic = (struct child){.journal = self->journal, .letter = 'd', .codes = FOREVER};
        self->failing = (struct child){.journal = self->journal,
                                       .letter = 'x',
                                       .codes = {SL_EPROTO, SL_EPROTO, SL_EPROTO},
                                       .lasts = SL_MICROSECONDS(200)};
        SL_TRY(sl_spawn(&scope, child_run, &self->dynamic, .id = "dynamic", .restart = SL_ALWAYS));
        SL_TRY(sl_spawn(&scope, child_run, &self->failing, .id = "failing", .restart = SL_ALWAYS, FAST));
    }
    return sl_scope_wait(&scope);
}

C_TEST(c081_a_nested_supervisor_is_restarted,
       "a nested supervisor that escalates is restarted by its parent with its static children; dynamic ones are not "
       "recreated",
       "otp tree")
{
    struct journal journal = {""};
    struct branch tree = {.journal = &journal};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, branch, &tree, .id = "branch", .restart = SL_ALWAYS, FAST), 0);
    UNTIL(tree.runs == 2);
    CHECK_EQ(tree.fixed.runs, 1);
    CHECK(sl_task_alive(tree.fixed.self));
    CHECK(!sl_task_alive(tree.dynamic.self));
    CHECK_EQ(tree.dynamic.runs, 1);
    CHECK_EQ(tree.failing.runs, 2);
    struct sl_child_info info;
    CHECK_EQ(sl_child_find(&scope, "branch", &info), 0);
    CHECK_EQ(info.last_code, SL_EINTENSITY);
    CHECK_EQ(info.restarts, 1);
    sl_scope_cancel(&scope, NULL);
    return sl_scope_wait(&scope);
}

C_TEST(c082_significant_children,
       "any/all significant children end the scope with `shutdown` when they end without being restarted; bystanders "
       "stopped by the supervisor don't count. Isolation: a child's failure leaves siblings alive, a body failure or "
       "outside cancel takes all",
       "otp significant_temporary, significant_transient, significant_bystander, significant_escalation; kotlinx "
       "SupervisorTest")
{
    for (int all = 0; all < 2; all++) {
        struct journal journal = {""};
        struct child steady = {.journal = &journal, .letter = 's', .codes = FOREVER};
        struct child first = {.journal = &journal, .letter = 'f', .codes = {0}, .lasts = SL_MICROSECONDS(200)};
        struct child second = {
            .journal = &journal, .letter = 'g', .codes = {SL_EPROTO, 0}, .lasts = SL_MILLISECONDS(2)};
        sl_scope scope = SL_SCOPE_INIT;
        struct sl_scope_options options = {.strategy = SL_ONE_FOR_ONE,
                                           .auto_shutdown =
                                               all ? SL_SHUTDOWN_ALL_SIGNIFICANT : SL_SHUTDOWN_ANY_SIGNIFICANT};
        CHECK_EQ(sl_scope_open(&scope, &options), 0);
        CHECK_EQ(sl_spawn(&scope, child_run, &steady, .id = "s", .restart = SL_ALWAYS), 0);
        CHECK_EQ(sl_spawn(&scope, child_run, &first, .id = "f", .significant = true), 0);
        CHECK_EQ(sl_spawn(&scope, child_run, &second, .id = "g", .restart = SL_ON_FAILURE, .significant = true, FAST),
                 0);
        CHECK_EQ(sl_scope_close(&scope, 0), SL_ESHUTDOWN);
        CHECK_EQ(second.runs, all ? 2 : 1); /* its failure was a restart, not an end */
        CHECK(strstr(journal.text, "-s ") != NULL);
    }
    /* A significant child stopped by hand or with its group does not end the scope. */
    struct journal journal = {""};
    struct child bystander = {.journal = &journal, .letter = 'b', .codes = FOREVER};
    struct child failing = {.journal = &journal, .letter = 'f', .codes = {SL_EPROTO, 1}, .lasts = SL_MILLISECONDS(1)};
    {
        SL_SCOPE(scope, .strategy = SL_ONE_FOR_ALL, .auto_shutdown = SL_SHUTDOWN_ANY_SIGNIFICANT);
        CHECK_EQ(sl_spawn(&scope, child_run, &bystander, .id = "b", .restart = SL_ON_FAILURE, .significant = true), 0);
        CHECK_EQ(sl_spawn(&scope, child_run, &failing, .id = "f", .restart = SL_ALWAYS, FAST), 0);
        UNTIL(bystander.runs == 2);
        CHECK_EQ(sl_child_stop(&scope, "b"), 0);
        SETTLE();
        CHECK(!sl_scope_cancel_called(&scope));
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    struct child alone = {.journal = &journal, .letter = 'a', .codes = {SL_EPROTO}};
    struct child sibling = {.journal = &journal, .letter = 'l', .codes = FOREVER};
    sl_scope isolated = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&isolated, &(struct sl_scope_options){.strategy = SL_ISOLATE}), 0);
    CHECK_EQ(sl_spawn(&isolated, child_run, &alone), 0);
    CHECK_EQ(sl_spawn(&isolated, child_run, &sibling), 0);
    SETTLE();
    CHECK(!sl_task_alive(alone.self) && sl_task_alive(sibling.self));
    CHECK_EQ(sl_scope_close(&isolated, sl_fail(SL_EPIPE, "the body")), SL_EPIPE);
    CHECK(!sl_task_alive(sibling.self));
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(c074_started_in_order_stopped_in_reverse),
             cmocka_unit_test(c075_a_child_that_does_not_end_is_killed),
             cmocka_unit_test(c076_dynamic_children_stop_together), cmocka_unit_test(c077_defaults),
             cmocka_unit_test(c078_bad_specs_are_refused), cmocka_unit_test(c079_a_failed_initial_start),
             cmocka_unit_test(c080_administration), cmocka_unit_test(c081_a_nested_supervisor_is_restarted),
             cmocka_unit_test(c082_significant_children))
