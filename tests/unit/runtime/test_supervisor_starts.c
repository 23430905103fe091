/* SPDX-License-Identifier: MIT */
/* How supervised children start: tables, handshakes, starts that fail, what their ends then mean. */
#include "../../conformance/supervisors/supervised.h"
#include "sluice/memory.h"

#define FOREVER                                                                                                        \
    {                                                                                                                  \
        1, 1, 1, 1, 1, 1, 1, 1                                                                                         \
    }

static int released;

static void release(void *arg)
{
    released += arg != NULL;
}

static int fail_to_start(void *arg)
{
    struct child *child = arg;
    child->runs++;
    SL_TRY(sl_sleep(SL_SECONDS(5)));
    return sl_fail(SL_EPIPE, "no");
}

static int supervise_a_failing_table(void *arg)
{
    struct child unstarted = {0};
    struct child first = {.journal = &(struct journal){""}, .letter = 'f', .codes = FOREVER};
    struct sl_child_spec specs[] = {
        SPEC(&first, "first", .restart = SL_ALWAYS),
        {.fn = fail_to_start, .options = {.arg = &unstarted, .id = "x", .handshake = true}}};
    int code = sl_supervise(arg, specs, 2);
    return code == SL_EPIPE ? 0 : SL_EINTERNAL;
}

C_TEST_SIMULATED(a_table_that_fails_takes_only_its_own_children_with_it, "", "")
{
    struct journal journal = {""};
    struct child old = {.journal = &journal, .letter = 'o', .codes = FOREVER};
    struct child last = {.journal = &journal, .letter = 'l', .codes = {0}, .lasts = SL_SECONDS(2)};
    struct child newer = {.journal = &journal, .letter = 'n', .codes = FOREVER};
    SL_SCOPE(outer);
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, child_run, &old, .id = "o", .restart = SL_ALWAYS), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &last, .id = "l"), 0); /* the last before the table; gone when that fails */
    CHECK_EQ(sl_spawn(&outer, supervise_a_failing_table, &scope), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(3)), 0);
    CHECK_EQ(sl_spawn(&scope, child_run, &newer, .id = "n", .restart = SL_ALWAYS), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(3)), 0);
    struct sl_child_info info;
    CHECK_EQ(sl_children_list(&scope, NULL, 0), 2);
    CHECK(sl_child_find(&scope, "o", &info) == 0 && info.state == SL_CHILD_RUNNING);
    CHECK(sl_child_find(&scope, "n", &info) == 0 && info.state == SL_CHILD_RUNNING);
    CHECK(old.runs == 1 && newer.runs == 1);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    return sl_scope_wait(&outer);
}

C_TEST_SIMULATED(a_temporary_child_that_fails_to_start_is_not_tried_again, "", "")
{
    for (int propagate = 0; propagate < 2; propagate++) {
        struct child child = {0};
        sl_scope scope = SL_SCOPE_INIT;
        CHECK_EQ(
            sl_scope_open(&scope, &(struct sl_scope_options){.strategy = propagate ? SL_PROPAGATE : SL_ONE_FOR_ONE}),
            0);
        CHECK_EQ(sl_spawn(&scope, fail_to_start, &child, .handshake = true, FAST), 0);
        CHECK_EQ(sl_scope_close(&scope, 0), propagate ? SL_EPIPE : 0);
        CHECK_EQ(child.runs, 1);
        CHECK(propagate || strstr(sl_conformance_log(), "SL_EPIPE") != NULL);
    }
    return 0;
}

static int ends_before_it_started(void *arg)
{
    struct child *child = arg;
    return ++child->runs < 3 ? 0 : child_run(arg);
}

C_TEST_SIMULATED(who_is_restarted_after_a_start_that_came_to_nothing, "", "")
{
    /* Ended well but never acknowledged: a failed start for transient and permanent ones. */
    static const int runs[] = {1, 4, 4};
    for (int i = 0; i < 3; i++) {
        struct journal journal = {""};
        struct child child = {.journal = &journal, .letter = 'x', .codes = FOREVER};
        SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
        CHECK_EQ(
            sl_spawn(&scope, ends_before_it_started, &child, .handshake = true, .restart = (enum sl_restart)i, FAST),
            0);
        SETTLE();
        CHECK_EQ(child.runs, runs[i]);
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

/* Every other start fails: never two in a row. */
C_TEST_SIMULATED(failed_starts_count_in_a_row, "", "")
{
    struct journal journal = {""};
    struct child child = {.journal = &journal,
                          .letter = 'x',
                          .codes = {0, SL_EPROTO, 0, SL_EPROTO, 0, SL_EPROTO, 0, 1},
                          .start_codes = {SL_EPIPE, 0, SL_EPIPE, 0, SL_EPIPE, 0, SL_EPIPE, 0},
                          .handshake = true};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE, .max_start_failures = 1, .max_restarts = 3);
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .restart = SL_ALWAYS, .handshake = true, FAST), 0);
    SETTLE();
    CHECK_EQ(child.runs, 8);
    CHECK(!sl_scope_cancel_called(&scope));
    sl_scope_cancel(&scope, NULL);
    return sl_scope_wait(&scope);
}

C_TEST_SIMULATED(a_cancelled_task_is_restarted_when_it_is_permanent, "", "")
{
    for (int i = 0; i < 6; i++) {
        struct journal journal = {""};
        struct child child = {.journal = &journal, .letter = 'x', .codes = FOREVER};
        enum sl_restart type = (enum sl_restart)(i % 3);
        child.before_start = i < 3 ? 0 : SL_SECONDS(1);
        SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
        CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = "x", .handshake = i >= 3, .restart = type, FAST), 0);
        SETTLE();
        CHECK_EQ(sl_task_cancel(child.self, "by hand"), 0);
        SETTLE();
        CHECK_EQ(child.runs, type == SL_ALWAYS ? 2 : 1);
        struct sl_child_info info;
        CHECK(sl_child_find(&scope, "x", &info) == (type == SL_NEVER_RESTART ? SL_ENOENT : 0));
        CHECK(type != SL_ON_FAILURE || info.state == SL_CHILD_STOPPED);
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

static int stop_the_slow_one(void *arg)
{
    SL_TRY(sl_sleep(SL_SECONDS(1)));
    return sl_child_stop(arg, "slow");
}

C_TEST_SIMULATED(a_child_stopped_before_it_started_fails_its_table, "", "")
{
    struct journal journal = {""};
    struct child child = {.journal = &journal, .letter = 's', .codes = FOREVER, .before_start = SL_SECONDS(5)};
    struct sl_child_spec spec = SPEC(&child, "slow", .restart = SL_ALWAYS, .handshake = true);
    SL_SCOPE(outer);
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&outer, stop_the_slow_one, &scope), 0);
    CHECK_EQ(sl_supervise(&scope, &spec, 1), SL_ENOTSTARTED);
    CHECK_EQ(sl_children_list(&scope, NULL, 0), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    return sl_scope_wait(&outer);
}

static int opts_out_when_cancelled(void *arg)
{
    ((struct child *)arg)->runs++;
    return sl_sleep(SL_SECONDS(1000)) < 0 ? SL_EIGNORE : 0;
}

/* a fails after 2 s and takes with it what the table is starting; b then starts with the group, c opts out. */
C_TEST_SIMULATED(a_table_goes_on_after_its_group_was_restarted, "", "")
{
    for (int opt_out = 0; opt_out < 2; opt_out++) {
        struct journal journal = {""};
        struct child a = {.journal = &journal, .letter = 'a', .codes = {SL_EPROTO, 1}, .lasts = SL_SECONDS(2)};
        struct child b = {
            .journal = &journal, .letter = 'b', .codes = FOREVER, .handshake = true, .before_start = SL_SECONDS(5)};
        struct child c = {0};
        sl_time before = sl_now();
        SL_SCOPE(scope, .strategy = SL_ONE_FOR_ALL);
        CHECK_EQ(sl_spawn(&scope, child_run, &a, .id = "a", .restart = SL_ALWAYS, FAST), 0);
        struct sl_child_spec table[] = {SPEC(&b, "b", .restart = SL_ALWAYS, .handshake = true, FAST),
                                        {.fn = opts_out_when_cancelled,
                                         .options = {.arg = &c, .id = "c", .handshake = true, .restart = SL_ALWAYS}}};
        CHECK_EQ(sl_supervise(&scope, &table[opt_out], 1), 0);
        CHECK_EQ(sl_now() - before, opt_out ? SL_SECONDS(2) : SL_SECONDS(7));
        CHECK(opt_out ? c.runs == 1 : b.runs == 2);
        CHECK_EQ(sl_children_list(&scope, NULL, 0), opt_out ? 1 : 2);
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

C_TEST(who_opts_out_after_its_start_has_failed, "", "")
{
    struct journal journal = {""};
    struct child child = {.journal = &journal, .letter = 'x', .codes = {SL_EIGNORE, 1}};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = "x", .restart = SL_ALWAYS, FAST), 0);
    SETTLE();
    CHECK_EQ(child.runs, 2);
    CHECK_EQ(sl_children_list(&scope, NULL, 0), 1);
    sl_scope_cancel(&scope, NULL);
    return sl_scope_wait(&scope);
}

C_TEST(a_temporary_child_goes_at_once_also_while_its_scope_ends, "", "")
{
    struct journal journal = {""};
    struct child child = {.journal = &journal, .letter = 'x', .codes = {0}, .lasts = SL_MICROSECONDS(500)};
    released = 0;
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .release = release), 0);
    CHECK_EQ(sl_scope_stop(&scope, SL_NEVER), 0);
    UNTIL(released == 1);
    CHECK_EQ(sl_children_list(&scope, NULL, 0), 0);
    return sl_scope_wait(&scope);
}

C_TEST(a_temporary_child_that_ends_well_harms_no_sibling, "", "")
{
    for (size_t i = SL_PROPAGATE; i <= SL_ISOLATE; i++) {
        struct journal journal = {""};
        struct child child = {.journal = &journal, .letter = 'x', .codes = {0}};
        struct child other = {.journal = &journal, .letter = 'y', .codes = FOREVER};
        struct child sibling = {.journal = &journal, .letter = 's', .codes = FOREVER};
        SL_SCOPE(scope, .strategy = (enum sl_strategy)i);
        CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = "x"), 0);
        CHECK_EQ(sl_spawn(&scope, child_run, &other, .id = "y"), 0);
        CHECK_EQ(sl_spawn(&scope, child_run, &sibling, .id = "s"), 0);
        SETTLE();
        CHECK_EQ(sl_task_cancel(other.self, NULL), 0);
        SETTLE();
        CHECK(sl_task_alive(sibling.self) && !sl_scope_cancel_called(&scope));
        CHECK_EQ(sl_children_list(&scope, NULL, 0), 1);
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

C_TEST_SIMULATED(health_counts_from_the_start_acknowledged, "", "")
{
    struct journal journal = {""};
    struct child child = {.journal = &journal,
                          .letter = 'h',
                          .codes = {SL_EPROTO, SL_EPROTO, SL_EPROTO, 1},
                          .lasts = SL_SECONDS(2),
                          .handshake = true,
                          .before_start = SL_SECONDS(5)};
    for (int well = 0; well < 2; well++) {
        child.runs = 0;
        sl_scope scope = SL_SCOPE_INIT;
        CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.strategy = SL_ONE_FOR_ONE,
                                                                  .window = SL_SECONDS(1000),
                                                                  .timeout = SL_SECONDS(100)}),
                 0);
        CHECK_EQ(sl_spawn(&scope, child_run, &child, .restart = SL_ALWAYS, .handshake = true, FAST,
                          .healthy_after = well ? SL_SECONDS(2) : SL_SECONDS(2) + 1),
                 0);
        CHECK_EQ(sl_scope_close(&scope, 0), well ? SL_ETIMEDOUT : SL_EINTENSITY);
        CHECK_EQ(child.runs, well ? 4 : 2);
    }
    return 0;
}

static int hold_a_stack(void *arg)
{
    (void)arg;
    return sl_sleep(SL_SECONDS(1000));
}

/* A restart without memory is a failed start: it has its own budget, and is tried again. */
C_TEST_SIMULATED(a_restart_without_memory_is_tried_again, "", "")
{
    enum { BIG = 2 << 20 };
    struct journal journal = {""};
    struct child child = {.journal = &journal, .letter = 'a', .codes = {SL_EPROTO, 1}};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_spawn(&scope, child_run, &child, .id = "a", .restart = SL_ALWAYS, .stack_bytes = BIG,
                      .backoff = {.initial = SL_SECONDS(1), .multiplier = 1, .jitter = -1}),
             0);
    SETTLE();
    /* Whatever stacks of this size lie in the pool are taken, and all of the slab that is mapped then. */
    struct sl_statistics before;
    struct sl_statistics after;
    size_t slab = 0;
    for (size_t more = 1; more > 0; more--) {
        CHECK_EQ(sl_statistics_get(&before), 0);
        CHECK_EQ(sl_spawn(&scope, hold_a_stack, NULL, .stack_bytes = BIG), 0);
        CHECK_EQ(sl_statistics_get(&after), 0);
        if (slab == 0) {
            slab = after.stacks_mapped - before.stacks_mapped;
            more += slab == 0 ? 1 : slab - 1;
        }
    }
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(900)), 0);
    sl_memory_fail_after(0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(200)), 0);
    CHECK(sl_memory_failed());
    sl_memory_fail_after(-1);
    struct sl_child_info info;
    CHECK_EQ(sl_child_find(&scope, "a", &info), 0);
    CHECK(info.state == SL_CHILD_BACKOFF && info.last_code == SL_ENOMEM && info.recent == 1 && child.runs == 1);
    CHECK_EQ(sl_sleep(SL_SECONDS(1)), 0);
    CHECK_EQ(sl_child_find(&scope, "a", &info), 0);
    CHECK(info.state == SL_CHILD_RUNNING && info.restarts == 2 && child.runs == 2);
    sl_scope_cancel(&scope, NULL);
    return sl_scope_wait(&scope);
}

C_TEST_SIMULATED(a_positive_end_before_the_start_fails_the_table, "", "")
{
    struct journal journal = {""};
    struct child early = {.journal = &journal, .letter = 'e', .start_codes = {7}, .handshake = true};
    struct child later = {.journal = &journal, .letter = 'l', .codes = FOREVER};
    const struct sl_child_spec specs[] = {SPEC(&early, "e", .restart = SL_ALWAYS, .handshake = true),
                                          SPEC(&later, "l", .restart = SL_ALWAYS)};
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE);
    CHECK_EQ(sl_supervise(&scope, specs, 2), SL_ENOTSTARTED);
    CHECK_EQ(sl_children_list(&scope, NULL, 0), 0);
    CHECK_EQ(later.runs, 0);
    return sl_scope_wait(&scope);
}

C_TEST_SIMULATED(restarts_a_whole_window_apart_do_not_meet, "", "")
{
    for (int closer = 0; closer < 2; closer++) {
        struct journal journal = {""};
        struct child child = {.journal = &journal,
                              .letter = 'w',
                              .codes = {SL_EPROTO, SL_EPROTO, SL_EPROTO, 1},
                              .lasts = SL_SECONDS(10) - closer};
        sl_scope scope = SL_SCOPE_INIT;
        const struct sl_scope_options options = {
            .strategy = SL_ONE_FOR_ONE, .max_restarts = 1, .window = SL_SECONDS(10), .timeout = SL_SECONDS(100)};
        CHECK_EQ(sl_scope_open(&scope, &options), 0);
        CHECK_EQ(sl_spawn(&scope, child_run, &child, .restart = SL_ON_FAILURE, FAST), 0);
        CHECK_EQ(sl_scope_close(&scope, 0), closer ? SL_EINTENSITY : SL_ETIMEDOUT);
        CHECK_EQ(child.runs, closer ? 2 : 4);
    }
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(restarts_a_whole_window_apart_do_not_meet),
             cmocka_unit_test(a_positive_end_before_the_start_fails_the_table),
             cmocka_unit_test(a_table_that_fails_takes_only_its_own_children_with_it),
             cmocka_unit_test(a_temporary_child_that_fails_to_start_is_not_tried_again),
             cmocka_unit_test(who_is_restarted_after_a_start_that_came_to_nothing),
             cmocka_unit_test(failed_starts_count_in_a_row),
             cmocka_unit_test(a_cancelled_task_is_restarted_when_it_is_permanent),
             cmocka_unit_test(a_child_stopped_before_it_started_fails_its_table),
             cmocka_unit_test(a_table_goes_on_after_its_group_was_restarted),
             cmocka_unit_test(who_opts_out_after_its_start_has_failed),
             cmocka_unit_test(a_temporary_child_goes_at_once_also_while_its_scope_ends),
             cmocka_unit_test(a_temporary_child_that_ends_well_harms_no_sibling),
             cmocka_unit_test(health_counts_from_the_start_acknowledged),
             cmocka_unit_test(a_restart_without_memory_is_tried_again))
