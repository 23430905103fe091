/* SPDX-License-Identifier: MIT */
/* Behaviours 57 to 64: how failures are gathered and told. */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/memory.h"

static int fail_with(void *arg)
{
    int code = (int)(intptr_t)arg;
    SL_TRY(sl_checkpoint());
    return sl_fail(code, "child says %s", sl_error_name(code));
}

/* Fails on its way out after a cancellation. */
static int fail_in_cleanup(void *arg)
{
    int code = sl_sleep(SL_SECONDS(100));
    return code == SL_ECANCELED ? sl_fail((int)(intptr_t)arg, "cleanup failed") : code;
}

static int sleep_long(void *arg)
{
    (void)arg;
    return sl_sleep(SL_SECONDS(100));
}

#define CODE(code) ((void *)(intptr_t)(code))

C_TEST(c057_every_failure_is_in_the_aggregate,
       "given body and child fail, or two children fail, then both errors are in the aggregate",
       "trio test_main_and_task_both_crash, test_two_child_crashes; anyio test_exception_group_host")
{
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    CHECK_EQ(sl_spawn(&scope, fail_in_cleanup, CODE(SL_EPIPE)), 0);
    CHECK_EQ(sl_checkpoint(), 0);
    CHECK_EQ(sl_scope_close(&scope, sl_fail(SL_EPROTO, "body")), SL_EPROTO);
    CHECK_EQ(sl_error_count(sl_error_last()), 2);
    CHECK_STRING(sl_error_message(sl_error_at(sl_error_last(), 0)), "body");
    CHECK_STRING(sl_error_message(sl_error_at(sl_error_last(), 1)), "cleanup failed");

    sl_scope two = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&two, NULL), 0);
    CHECK_EQ(sl_spawn(&two, fail_with, CODE(SL_EPROTO)), 0);
    CHECK_EQ(sl_spawn(&two, fail_in_cleanup, CODE(SL_EPIPE)), 0);
    CHECK_EQ(sl_scope_close(&two, 0), SL_EPROTO);
    CHECK(sl_error_has(sl_error_last(), SL_EPROTO) && sl_error_has(sl_error_last(), SL_EPIPE));
    CHECK(!sl_error_has(sl_error_last(), SL_ECANCELED));
    CHECK_EQ(sl_error_count(sl_error_last()), 2);
    CHECK(strstr(sl_error_task(sl_error_at(sl_error_last(), 1)), "main/fail_in_cleanup") != NULL);
    return 0;
}

C_TEST(c058_one_failure_has_the_same_shape_as_many, "given a single failure, then it is an aggregate of one",
       "trio test_setting_strict_exception_groups; trio#2301, #2929")
{
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    CHECK_EQ(sl_spawn(&scope, fail_with, CODE(SL_EPROTO)), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_EPROTO);
    const sl_error *all = sl_error_last();
    CHECK_EQ(sl_error_code(all), SL_EPROTO);
    CHECK_EQ(sl_error_count(all), 1);
    CHECK(sl_error_only(all) == sl_error_at(all, 0));
    CHECK_STRING(sl_error_message(sl_error_only(all)), "child says SL_EPROTO");
    return 0;
}

static int inner_group(void *arg)
{
    (void)arg;
    SL_SCOPE(inner);
    SL_TRY(sl_spawn(&inner, fail_in_cleanup, CODE(SL_EPIPE)));
    SL_TRY(sl_spawn(&inner, sleep_long, NULL));
    return sl_scope_wait(&inner);
}

C_TEST(c059_cancellations_are_filtered_at_every_level,
       "given mixed cancellations and errors, then cancellations owned by the scope are filtered at every nesting "
       "level and the tree keeps its shape",
       "trio test_cancel_scope_exceptiongroup_filtering; anyio test_nested_task_group_filtering, "
       "test_nested_exception_group_filtering")
{
    sl_scope outer = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&outer, NULL), 0);
    CHECK_EQ(sl_spawn(&outer, inner_group, NULL), 0);
    CHECK_EQ(sl_spawn(&outer, sleep_long, NULL), 0);
    SETTLE();
    CHECK_EQ(sl_spawn(&outer, fail_with, CODE(SL_EPROTO)), 0);
    CHECK_EQ(sl_scope_close(&outer, 0), SL_EPROTO);
    const sl_error *all = sl_error_last();
    CHECK(!sl_error_has(all, SL_ECANCELED));
    CHECK_EQ(sl_error_count(all), 2);
    const sl_error *inner = sl_error_at(all, 1);
    CHECK_EQ(sl_error_code(inner), SL_EPIPE);
    CHECK_EQ(sl_error_count(inner), 1);
    CHECK_EQ(sl_error_code(sl_error_at(inner, 0)), SL_EPIPE);
    return 0;
}

C_TEST(c060_an_outside_cancel_leaves_as_one_plain_cancel,
       "given only an outside cancel, then one plain cancel leaves the scope, not an aggregate",
       "anyio test_single_cancellation_exc; cpython test_taskgroup_07")
{
    SL_SCOPE(outer, .timeout = SL_MILLISECONDS(1));
    sl_scope inner = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&inner, NULL), 0);
    CHECK_EQ(sl_spawn(&inner, sleep_long, NULL), 0);
    CHECK_EQ(sl_spawn(&inner, sleep_long, NULL), 0);
    CHECK_EQ(sl_scope_close(&inner, 0), SL_ECANCELED);
    CHECK(sl_error_last() == NULL);
    CHECK(!sl_scope_cancel_caught(&inner));
    CHECK_EQ(sl_scope_close(&outer, SL_ECANCELED), SL_ETIMEDOUT);
    return 0;
}

C_TEST(c061_failing_cleanups_win_over_the_cancel,
       "given tasks whose cleanup fails after an outside cancel, then those errors win over the cancel and are all "
       "reported",
       "cpython test_taskgroup_08, _11, _12, _15, _19; kotlinx testCoroutineScopeCancellationVsException")
{
    SL_SCOPE(outer, .timeout = SL_MILLISECONDS(1));
    sl_scope inner = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&inner, NULL), 0);
    CHECK_EQ(sl_spawn(&inner, fail_in_cleanup, CODE(SL_EPROTO)), 0);
    CHECK_EQ(sl_spawn(&inner, fail_in_cleanup, CODE(SL_EPIPE)), 0);
    int code = sl_sleep(SL_SECONDS(100));
    CHECK_EQ(code, SL_ECANCELED);
    code = sl_scope_close(&inner, code);
    CHECK(code == SL_EPROTO || code == SL_EPIPE);
    CHECK_EQ(sl_error_count(sl_error_last()), 2);
    CHECK(sl_error_has(sl_error_last(), SL_EPROTO) && sl_error_has(sl_error_last(), SL_EPIPE));
    CHECK(sl_cancel_pending()); /* the outside cancel is still there */
    CHECK_EQ(sl_scope_close(&outer, code), code);
    return 0;
}

C_TEST(c062_an_aggregate_without_cancellation_passes_a_cancelled_scope,
       "given an aggregate without any cancellation, then a cancelled scope passes it on with caught=false",
       "trio test_cancel_scope_no_cancellederror")
{
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_close(&scope, sl_fail(SL_EPROTO, "not a cancellation")), SL_EPROTO);
    CHECK(sl_scope_cancel_called(&scope));
    CHECK(!sl_scope_cancel_caught(&scope));
    return 0;
}

static int fail_slowly(void *arg)
{
    int code = sl_sleep(SL_SECONDS(100));
    SL_SCOPE(shield, .shield = true, .timeout = SL_SECONDS(1));
    SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    *(bool *)arg = true;
    SL_TRY(sl_scope_close(&shield, 0));
    return code;
}

C_TEST(c063_a_fatal_failure_leaves_unwrapped_after_the_join,
       "given a fatal class of error, then siblings are first cancelled and joined, then it leaves unwrapped",
       "cpython test_taskgroup_20; anyio test_unhandled_exception_group; conc 'WithCancelOnError and panic'")
{
    bool joined = false;
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    CHECK_EQ(sl_spawn(&scope, fail_slowly, &joined), 0);
    CHECK_EQ(sl_spawn(&scope, fail_in_cleanup, CODE(SL_EPIPE)), 0);
    SETTLE();
    CHECK_EQ(sl_spawn(&scope, fail_with, CODE(SL_EINTERNAL)), 0);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_EINTERNAL);
    CHECK(joined);
    CHECK_EQ(sl_error_count(sl_error_last()), 0);
    CHECK_STRING(sl_error_message(sl_error_last()), "child says SL_EINTERNAL");
    return 0;
}

C_TEST(c064_first_error_mode_and_freed_records,
       "given first-error mode then the earliest error only; induced cancel errors are hidden; records are freed with "
       "the scope",
       "conc WithFirstError, WithFailFast; cpython test_exception_refcycles_*")
{
    int64_t held = 0;
    for (int round = 0; round < 2; round++) {
        sl_scope scope = SL_SCOPE_INIT;
        CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.fail_first = true}), 0);
        CHECK_EQ(sl_spawn(&scope, fail_in_cleanup, CODE(SL_EPIPE)), 0);
        CHECK_EQ(sl_spawn(&scope, sleep_long, NULL), 0);
        SETTLE();
        CHECK_EQ(sl_spawn(&scope, fail_with, CODE(SL_EPROTO)), 0);
        CHECK_EQ(sl_scope_close(&scope, 0), SL_EPROTO);
        CHECK_EQ(sl_error_count(sl_error_last()), 1);
        CHECK(!sl_error_has(sl_error_last(), SL_EPIPE) && !sl_error_has(sl_error_last(), SL_ECANCELED));
        if (round == 0) {
            held = sl_memory_held();
        }
    }
    CHECK_EQ(sl_memory_held(), held); /* the second tree took the first one's place */
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(c057_every_failure_is_in_the_aggregate),
             cmocka_unit_test(c058_one_failure_has_the_same_shape_as_many),
             cmocka_unit_test(c059_cancellations_are_filtered_at_every_level),
             cmocka_unit_test(c060_an_outside_cancel_leaves_as_one_plain_cancel),
             cmocka_unit_test(c061_failing_cleanups_win_over_the_cancel),
             cmocka_unit_test(c062_an_aggregate_without_cancellation_passes_a_cancelled_scope),
             cmocka_unit_test(c063_a_fatal_failure_leaves_unwrapped_after_the_join),
             cmocka_unit_test(c064_first_error_mode_and_freed_records))
