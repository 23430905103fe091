/* SPDX-License-Identifier: MIT */
/* Behaviours 111 to 115: cleanups. */
#include <stdio.h>
#include <string.h>

#include "sl_conformance.h"
#include "sluice/sync.h"

struct journal {
    char text[128];
};

static void note(struct journal *journal, const char *what)
{
    size_t length = strlen(journal->text);
    (void)snprintf(journal->text + length, sizeof journal->text - length, "%s ", what);
}

struct entry {
    struct journal *journal;
    const char *what;
    sl_time wait;
    int code, waited;
};

static int clean(void *arg)
{
    struct entry *entry = arg;
    entry->waited = entry->wait > 0 ? sl_sleep(entry->wait) : 0;
    note(entry->journal, entry->what);
    return entry->waited < 0 ? entry->waited : entry->code;
}

C_TEST(
    c111_cleanups_block_only_within_shield_and_budget,
    "given a cancelled scope, an unshielded blocking cleanup fails; within shield and deadline it completes or times "
    "out",
    "kotlinx testNonCancellableFinally; anyio test_shielded_cleanup_after_cancel; runnel executor.release")
{
    struct journal journal = {""};
    struct entry quick = {.journal = &journal, .what = "quick", .wait = SL_MILLISECONDS(1)};
    struct entry stuck = {.journal = &journal, .what = "stuck", .wait = SL_SECONDS(100)};
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    CHECK_EQ(sl_defer(&scope, clean, &quick, SL_SECONDS(1)), 0);
    CHECK_EQ(sl_defer(&scope, clean, &stuck, SL_MILLISECONDS(2)), 0);
    sl_scope_cancel(&scope, "enough");
    struct entry unshielded = {.journal = &journal, .what = "unshielded", .wait = SL_MILLISECONDS(1)};
    CHECK_EQ(clean(&unshielded), SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scope, SL_ECANCELED), SL_ESTUCK);
    CHECK_EQ(quick.waited, 0);
    CHECK_EQ(stuck.waited, SL_ECANCELED);
    CHECK_STRING(journal.text, "unshielded stuck quick ");
    CHECK_EQ(sl_error_count(sl_error_last()), 1);
    return 0;
}

static int inner_function(struct journal *journal, struct entry *entry)
{
    SL_SCOPE(scope);
    CHECK_EQ(sl_defer(&scope, clean, entry, SL_SECONDS(1)), 0);
    note(journal, "body");
    SL_TRY(sl_sleep(SL_SECONDS(100)));
    return sl_scope_wait(&scope);
}

static int child_with_cleanup(void *arg)
{
    struct entry *entries = arg;
    SL_SCOPE(scope);
    CHECK_EQ(sl_defer(&scope, clean, &entries[0], SL_SECONDS(1)), 0);
    SL_TRY(inner_function(entries[0].journal, &entries[1]));
    return sl_scope_wait(&scope);
}

C_TEST(
    c112_every_cleanup_has_run_when_the_scope_returns,
    "by the time the scope's exit returns, every cancelled child's cleanup has run; those of an inner function before "
    "its caller's",
    "trio test_locals_destroyed_promptly_on_cancel; anyio test_cancel_exiting_task_group; quattro test_defer_nested")
{
    struct journal journal = {""};
    struct entry entries[2] = {{.journal = &journal, .what = "caller", .wait = SL_MILLISECONDS(1)},
                               {.journal = &journal, .what = "inner", .wait = SL_MILLISECONDS(1)}};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, child_with_cleanup, entries), 0);
    SETTLE();
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_STRING(journal.text, "body inner caller ");
    return 0;
}

C_TEST(c113_a_cleanup_error_stands_beside_the_original,
       "an error in cleanup is reported beside the original and leaves no stray cancel pending",
       "cpython test_taskgroup_context_manager_exit_raises; cpython#95289")
{
    struct journal journal = {""};
    struct entry failing = {.journal = &journal, .what = "failing", .code = SL_EPIPE};
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, NULL), 0);
    CHECK_EQ(sl_defer(&scope, clean, &failing, SL_SECONDS(1)), 0);
    CHECK_EQ(sl_scope_close(&scope, sl_fail(SL_EPROTO, "original")), SL_EPROTO);
    CHECK_EQ(sl_error_count(sl_error_last()), 2);
    CHECK_EQ(sl_error_code(sl_error_at(sl_error_last(), 0)), SL_EPROTO);
    CHECK_EQ(sl_error_code(sl_error_at(sl_error_last(), 1)), SL_EPIPE);
    CHECK(!sl_cancel_pending());
    CHECK_EQ(sl_checkpoint(), 0);
    return 0;
}

struct sleepy {
    int in_cleanup;
    bool ended;
};

static int cancelled_sleeper(void *arg)
{
    struct sleepy *sleepy = arg;
    SL_SCOPE(limit, .timeout = SL_MILLISECONDS(3)); /* would pass in the middle of the cleanup */
    int code = sl_sleep(SL_SECONDS(100));
    {
        SL_SCOPE(shield, .shield = true, .timeout = SL_SECONDS(1));
        sleepy->in_cleanup = sl_sleep(SL_MILLISECONDS(6));
        CHECK_EQ(sl_scope_close(&shield, 0), 0);
    }
    sleepy->ended = true;
    return sl_scope_close(&limit, code);
}

C_TEST(c114_a_sleeping_cleanup_is_joined,
       "given a cancelled task that sleeps in cleanup, it is joined before its canceller goes on; its old timeout does "
       "not fire into the cleanup",
       "curio test_task_cancel_timeout; libdill go3.c")
{
    struct sleepy sleepy = {.in_cleanup = 1};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, cancelled_sleeper, &sleepy), 0);
    SETTLE();
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sleepy.in_cleanup, 0);
    CHECK(sleepy.ended);
    return 0;
}

static int cleanup_with_clock(void *arg)
{
    int *codes = arg;
    {
        sl_scope limit = SL_SCOPE_INIT;
        CHECK_EQ(sl_scope_open(&limit, &(struct sl_scope_options){.timeout = SL_MILLISECONDS(2)}), 0);
        codes[0] = sl_scope_close(&limit, sl_sleep(SL_SECONDS(100)));
    }
    codes[1] = sl_sleep(SL_MILLISECONDS(1));
    return 0;
}

C_TEST(c115_a_timeout_inside_cleanup_has_its_own_clock,
       "a timeout inside cleanup has its own clock, though the surrounding scope expired",
       "cpython test_nested_timeout_in_finally, test_timeout_after_cancellation; anyio test_nested_shield")
{
    int codes[2] = {1, 1};
    sl_scope scope = SL_SCOPE_INIT;
    CHECK_EQ(sl_scope_open(&scope, &(struct sl_scope_options){.timeout = SL_MILLISECONDS(1)}), 0);
    CHECK_EQ(sl_defer(&scope, cleanup_with_clock, codes, SL_SECONDS(1)), 0);
    int code = sl_sleep(SL_SECONDS(100));
    sl_time before = sl_now();
    CHECK_EQ(sl_scope_close(&scope, code), SL_ETIMEDOUT);
    CHECK_EQ(codes[0], SL_ETIMEDOUT);
    CHECK_EQ(codes[1], 0);
    CHECK(sl_now() - before >= SL_MILLISECONDS(3));
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(c111_cleanups_block_only_within_shield_and_budget),
             cmocka_unit_test(c112_every_cleanup_has_run_when_the_scope_returns),
             cmocka_unit_test(c113_a_cleanup_error_stands_beside_the_original),
             cmocka_unit_test(c114_a_sleeping_cleanup_is_joined),
             cmocka_unit_test(c115_a_timeout_inside_cleanup_has_its_own_clock))
