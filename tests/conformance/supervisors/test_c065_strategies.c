/* SPDX-License-Identifier: MIT */
/* Behaviours 65 to 73: strategies, restart types, budgets. */
#include "supervised.h"

#define FOREVER                                                                                                        \
    {                                                                                                                  \
        1, 1, 1, 1, 1, 1, 1, 1                                                                                         \
    }

C_TEST(c065_one_for_one_replaces_only_the_dead, "one_for_one: when a child dies, only it is replaced",
       "otp supervisor_SUITE one_for_one")
{
    struct journal journal = {""};
    struct child children[3] = {
        {.journal = &journal, .letter = 'a', .codes = FOREVER},
        {.journal = &journal, .letter = 'b', .codes = {SL_EPROTO, 1}, .lasts = SL_MILLISECONDS(1)},
        {.journal = &journal, .letter = 'c', .codes = FOREVER}};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    struct sl_child_spec specs[] = {SPEC(&children[0], "a", .restart = SL_ALWAYS, FAST),
                                    SPEC(&children[1], "b", .restart = SL_ALWAYS, FAST),
                                    SPEC(&children[2], "c", .restart = SL_ALWAYS, FAST)};
    CHECK_EQ(sl_supervise(&scope, specs, 3), 0);
    UNTIL(children[1].runs == 2);
    CHECK_EQ(children[0].runs, 1);
    CHECK_EQ(children[1].runs, 2);
    CHECK_EQ(children[2].runs, 1);
    CHECK(strstr(journal.text, "-") == NULL);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    return 0;
}

C_TEST(c066_one_for_all_restarts_all, "one_for_all: when a child dies, all others are stopped and all are started anew",
       "otp one_for_all")
{
    struct journal journal = {""};
    struct child children[3] = {
        {.journal = &journal, .letter = 'a', .codes = FOREVER, .handshake = true},
        {.journal = &journal, .letter = 'b', .codes = {SL_EPROTO, 1}, .lasts = SL_MILLISECONDS(1), .handshake = true},
        {.journal = &journal, .letter = 'c', .codes = FOREVER, .handshake = true}};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ALL);
    struct sl_child_spec specs[] = {SPEC(&children[0], "a", .restart = SL_ALWAYS, .handshake = true, FAST),
                                    SPEC(&children[1], "b", .restart = SL_ALWAYS, .handshake = true, FAST),
                                    SPEC(&children[2], "c", .restart = SL_ON_FAILURE, .handshake = true, FAST)};
    CHECK_EQ(sl_supervise(&scope, specs, 3), 0);
    UNTIL(children[2].runs == 2);
    CHECK_STRING(journal.text, "+a +b +c !b -c -a +a +b +c ");
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    return 0;
}

C_TEST(c067_rest_for_one_restarts_the_later_ones,
       "rest_for_one: later children are stopped in reverse order, then restarted in order; earlier ones untouched",
       "otp rest_for_one, order_of_children")
{
    struct journal journal = {""};
    struct child children[4] = {
        {.journal = &journal, .letter = 'a', .codes = FOREVER, .handshake = true},
        {.journal = &journal, .letter = 'b', .codes = {SL_EPROTO, 1}, .lasts = SL_MILLISECONDS(1), .handshake = true},
        {.journal = &journal, .letter = 'c', .codes = FOREVER, .handshake = true},
        {.journal = &journal, .letter = 'd', .codes = FOREVER, .handshake = true}};
    SL_SCOPE(scope, .strategy = SL_REST_FOR_ONE);
    struct sl_child_spec specs[] = {SPEC(&children[0], "a", .restart = SL_ALWAYS, .handshake = true, FAST),
                                    SPEC(&children[1], "b", .restart = SL_ALWAYS, .handshake = true, FAST),
                                    SPEC(&children[2], "c", .restart = SL_ALWAYS, .handshake = true, FAST),
                                    SPEC(&children[3], "d", .restart = SL_ALWAYS, .handshake = true, FAST)};
    CHECK_EQ(sl_supervise(&scope, specs, 4), 0);
    UNTIL(children[3].runs == 2);
    CHECK_STRING(journal.text, "+a +b +c +d !b -d -c +b +c +d ");
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    return 0;
}

C_TEST(c068_restart_types,
       "permanent restarts on normal and abnormal ends; transient on abnormal only; temporary never",
       "otp permanent_*, transient_*, temporary_*")
{
    static const struct {
        enum sl_restart restart;
        int code;
        int runs;
    } table[] = {{SL_ALWAYS, 0, 2},
                 {SL_ALWAYS, SL_EPROTO, 2},
                 {SL_ALWAYS, SL_ESHUTDOWN, 2},
                 {SL_ON_FAILURE, 0, 1},
                 {SL_ON_FAILURE, SL_EPROTO, 2},
                 {SL_NEVER_RESTART, 0, 1},
                 {SL_NEVER_RESTART, SL_EPROTO, 1}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct journal journal = {""};
        struct child child = {.journal = &journal, .letter = 'a', .codes = {table[i].code, 1}};
        SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
        CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = "a", .restart = table[i].restart, FAST), 0);
        SETTLE();
        CHECK_EQ(child.runs, table[i].runs);
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

C_TEST(c069_temporary_children_leave_nothing,
       "temporary children leave no spec behind, and are not restarted as bystanders of one_for_all / rest_for_one",
       "otp temporary_bystander, do_not_save_child_specs_for_temporary_children")
{
    static const enum sl_strategy strategies[] = {SL_ONE_FOR_ALL, SL_REST_FOR_ONE};
    for (int i = 0; i < 2; i++) {
        struct journal journal = {""};
        struct child keeper = {
            .journal = &journal, .letter = 'k', .codes = {SL_EPROTO, 1}, .lasts = SL_MILLISECONDS(2)};
        struct child short_one = {.journal = &journal, .letter = 's', .codes = {0}};
        struct child bystander = {.journal = &journal, .letter = 'b', .codes = FOREVER};
        SL_SCOPE(scope, .strategy = strategies[i]);
        CHECK_EQ(sl_spawn(&scope, child_run, &keeper, .id = "k", .restart = SL_ALWAYS, FAST), 0);
        CHECK_EQ(sl_spawn(&scope, child_run, &short_one, .id = "s"), 0);
        CHECK_EQ(sl_spawn(&scope, child_run, &bystander, .id = "b"), 0);
        struct sl_child_info info;
        UNTIL(sl_child_find(&scope, "s", &info) == SL_ENOENT);
        UNTIL(keeper.runs == 2);
        CHECK_EQ(bystander.runs, 1);
        CHECK_EQ(sl_child_find(&scope, "b", &info), SL_ENOENT);
        CHECK_EQ(sl_children_list(&scope, NULL, 0), 1);
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

C_TEST(c070_too_many_restarts_escalate,
       "when more than max_restarts fall within the window, then all children are stopped and the scope ends with an "
       "error that its parent sees",
       "otp one_for_one, *_escalation")
{
    static const enum sl_strategy strategies[] = {SL_ONE_FOR_ONE, SL_ONE_FOR_ALL, SL_REST_FOR_ONE, SL_PROPAGATE};
    for (int i = 0; i < 4; i++) {
        struct journal journal = {""};
        struct child steady = {.journal = &journal, .letter = 's', .codes = FOREVER};
        struct child failing = {.journal = &journal,
                                .letter = 'f',
                                .codes = {SL_EPROTO, SL_EPROTO, SL_EPROTO, SL_EPROTO, SL_EPROTO, SL_EPROTO}};
        sl_scope scope = SL_SCOPE_INIT;
        CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.strategy = strategies[i], .max_restarts = 3}), 0);
        CHECK_EQ(sl_spawn(&scope, child_run, &steady, .id = "s", .restart = SL_ALWAYS, FAST), 0);
        CHECK_EQ(sl_spawn(&scope, child_run, &failing, .id = "f", .restart = SL_ALWAYS, FAST), 0);
        CHECK_EQ(sl_scope_close(&scope, 0), SL_EINTENSITY);
        CHECK_EQ(failing.runs, 4);
        CHECK(strstr(journal.text, "-s ") != NULL);
        CHECK(sl_error_has(sl_error_last(), SL_EPROTO)); /* what it died of, in the end */
        CHECK(strstr(sl_error_message(sl_error_only(sl_error_last())), "'f'") != NULL);
    }
    return 0;
}

C_TEST(c071_restarts_wider_than_the_window_never_trip, "restarts spaced wider than the window never trip it",
       "otp multiple_restarts")
{
    struct journal journal = {""};
    struct child child = {.journal = &journal,
                          .letter = 'a',
                          .codes = {SL_EPROTO, SL_EPROTO, SL_EPROTO, SL_EPROTO, SL_EPROTO, SL_EPROTO, 1, 1},
                          .lasts = SL_MILLISECONDS(2)};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE, .max_restarts = 1, .window = SL_MILLISECONDS(1));
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = "a", .restart = SL_ALWAYS, FAST), 0);
    while (child.runs < 7) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
        CHECK(!sl_scope_cancel_called(&scope));
    }
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);

    /* And a child that says it is healthy starts with a fresh count. */
    struct child talker = {
        .journal = &journal, .letter = 't', .codes = {SL_EPROTO, SL_EPROTO, SL_EPROTO, SL_EPROTO, 1}};
    SL_SCOPE(other, .strategy = SL_ONE_FOR_ONE, .max_restarts = 1, .window = SL_SECONDS(1000));
    CHECK_EQ(sl_spawn(&other, child_run, &talker, .id = "t", .restart = SL_ALWAYS, FAST, .healthy_after = 1), 0);
    talker.lasts = SL_MILLISECONDS(1);
    while (talker.runs < 5) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
        CHECK(!sl_scope_cancel_called(&other));
    }
    sl_scope_cancel(&other, NULL);
    return sl_scope_wait(&other);
}

C_TEST(c072_failed_starts_are_retried_between_other_requests,
       "a restart whose start fails counts as a further restart and is retried through the queue, so stop requests are "
       "served between tries",
       "otp hanging_restart_loop, _rest_for_one, _simple")
{
    static const enum sl_strategy strategies[] = {SL_ONE_FOR_ONE, SL_ONE_FOR_ALL, SL_REST_FOR_ONE};
    for (int i = 0; i < 3; i++) {
        struct journal journal = {""};
        struct child child = {.journal = &journal,
                              .letter = 'a',
                              .codes = {SL_EPROTO},
                              .handshake = true,
                              .start_codes = {0, SL_EPIPE, SL_EPIPE, SL_EPIPE, SL_EPIPE, SL_EPIPE, SL_EPIPE, SL_EPIPE}};
        SL_SCOPE(scope, .strategy = strategies[i], .max_start_failures = SL_UNLIMITED, .max_restarts = 5);
        struct sl_child_spec spec = SPEC(&child, "a", .restart = SL_ALWAYS, .handshake = true,
                                         .backoff = {.initial = SL_MICROSECONDS(200), .multiplier = 1});
        CHECK_EQ(sl_supervise(&scope, &spec, 1), 0);
        while (child.runs < 5) {
            CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
        }
        CHECK_EQ(sl_child_stop(&scope, "a"), 0);
        int runs = child.runs;
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(3)), 0);
        CHECK_EQ(child.runs, runs);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    /* The budget for starts is one of its own. */
    struct journal journal = {""};
    struct child child = {.journal = &journal,
                          .letter = 'a',
                          .codes = {SL_EPROTO},
                          .handshake = true,
                          .start_codes = {0, SL_EPIPE, SL_EPIPE, SL_EPIPE, SL_EPIPE, SL_EPIPE, SL_EPIPE, SL_EPIPE}};
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.strategy = SL_ONE_FOR_ONE, .max_start_failures = 2}), 0);
    struct sl_child_spec spec = SPEC(&child, "a", .restart = SL_ALWAYS, .handshake = true, FAST);
    CHECK_EQ(sl_supervise(&scope, &spec, 1), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_EINTENSITY);
    CHECK_EQ(child.runs, 4);
    return 0;
}

C_TEST(c073_a_later_child_fails_to_restart,
       "one_for_all: if a later child fails to restart, those already restarted are stopped again; rest_for_one: only "
       "the failed one and those after it are retried",
       "otp one_for_all_other_child_fails_restart, rest_for_one_other_child_fails_restart")
{
    for (int all = 0; all < 2; all++) {
        struct journal journal = {""};
        struct child children[3] = {
            {.journal = &journal,
             .letter = 'a',
             .codes = {SL_EPROTO, 1, 1},
             .lasts = SL_MILLISECONDS(1),
             .handshake = true},
            {.journal = &journal, .letter = 'b', .codes = FOREVER, .handshake = true, .start_codes = {0, SL_EPIPE}},
            {.journal = &journal, .letter = 'c', .codes = FOREVER, .handshake = true}};
        SL_SCOPE(scope, .strategy = all ? SL_ONE_FOR_ALL : SL_REST_FOR_ONE);
        struct sl_child_spec specs[] = {SPEC(&children[0], "a", .restart = SL_ALWAYS, .handshake = true, FAST),
                                        SPEC(&children[1], "b", .restart = SL_ALWAYS, .handshake = true, FAST),
                                        SPEC(&children[2], "c", .restart = SL_ALWAYS, .handshake = true, FAST)};
        CHECK_EQ(sl_supervise(&scope, specs, 3), 0);
        UNTIL(children[2].runs == 2);
        CHECK_STRING(journal.text, all ? "+a +b +c !a -c -b +a ?b -a +a +b +c " : "+a +b +c !a -c -b +a ?b +b +c ");
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(c065_one_for_one_replaces_only_the_dead), cmocka_unit_test(c066_one_for_all_restarts_all),
             cmocka_unit_test(c067_rest_for_one_restarts_the_later_ones), cmocka_unit_test(c068_restart_types),
             cmocka_unit_test(c069_temporary_children_leave_nothing), cmocka_unit_test(c070_too_many_restarts_escalate),
             cmocka_unit_test(c071_restarts_wider_than_the_window_never_trip),
             cmocka_unit_test(c072_failed_starts_are_retried_between_other_requests),
             cmocka_unit_test(c073_a_later_child_fails_to_restart))
