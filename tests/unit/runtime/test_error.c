/* SPDX-License-Identifier: MIT */
/* Codes and their names, causes, trees, printing; releasing trees of any depth without recursion. */
#include <string.h>

#include "../../../framework/runtime/internal.h"
#include "sl_conformance.h"

static void codes_have_names_and_texts(void **state)
{
    (void)state;
    assert_string_equal(sl_error_name(SL_ECANCELED), "SL_ECANCELED");
    assert_string_equal(sl_error_name(0), "SL_OK");
    assert_string_equal(sl_error_name(-123456), "UNKNOWN");
    assert_string_equal(sl_strerror(-123456), "unknown error");
    assert_string_equal(sl_strerror(7), "success");
    assert_string_equal(sl_strerror(UV_EADDRINUSE), uv_strerror(UV_EADDRINUSE));
    assert_int_equal(SL_EOF, UV_EOF);
    assert_int_equal(SL_ECANCELED, UV_ECANCELED);
    for (int code = -5001; code >= -5021; code--) {
        bool unused = code == -5012 || code == -5018;
        assert_true(unused || strcmp(sl_error_name(code), "UNKNOWN") != 0);
    }
    assert_int_equal(sl_fail(SL_EPROTO, "outside a task"), SL_EPROTO);
    assert_null(sl_error_last());
}

C_TEST(a_story_of_causes, "sl_fail_because() keeps what was recorded as the cause, printed below it", "")
{
    CHECK_EQ(sl_fail(SL_ECONNRESET, "read from %s", "venue"), SL_ECONNRESET);
    CHECK_EQ(sl_fail_because(SL_EPROTO, "price of %s", "BTC-USDT"), SL_EPROTO);
    CHECK_EQ(sl_error_last_code(), SL_EPROTO);
    CHECK_EQ(sl_error_code(sl_error_cause(sl_error_last())), SL_ECONNRESET);
    CHECK(sl_error_has(sl_error_last(), SL_ECONNRESET) && !sl_error_has(sl_error_last(), SL_ENOENT));
    CHECK_STRING(sl_error_task(sl_error_last()), "main");
    char text[256];
    static const char expected[] = "SL_EPROTO: price of BTC-USDT [main]\n"
                                   "  because SL_ECONNRESET: read from venue [main]\n";
    CHECK_EQ(sl_error_print(sl_error_last(), text, sizeof text), sizeof expected - 1);
    CHECK_STRING(text, expected);
    char small[10];
    CHECK_EQ(sl_error_print(sl_error_last(), small, sizeof small), sizeof expected - 1);
    CHECK_STRING(small, "SL_EPROTO");
    CHECK_EQ(sl_error_print(NULL, text, sizeof text), 0);
    CHECK_STRING(text, "");
    CHECK_EQ(sl_error_print(sl_error_last(), NULL, 0), sizeof expected - 1);

    /* A reference outlives the task's slot. */
    sl_error *kept = sl_error_ref(sl_error_last());
    CHECK_EQ(sl_fail(SL_ENOENT, "something else"), SL_ENOENT);
    CHECK_STRING(sl_error_message(kept), "price of BTC-USDT");
    sl_error_unref(kept);
    sl_error_unref(NULL);
    CHECK_EQ(sl_error_code(NULL), 0);
    CHECK_STRING(sl_error_message(NULL), "");
    CHECK(sl_error_at(NULL, 0) == NULL && sl_error_only(NULL) == NULL && sl_error_cause(NULL) == NULL);
    return 0;
}

static int count_causes(const sl_error *error)
{
    int count = 0;
    while ((error = sl_error_cause(error)) != NULL) {
        count++;
    }
    return count;
}

C_TEST(causes_are_bounded, "a task that fails again and again keeps the newest causes, not all of them", "")
{
    char before[32] = "the first";
    CHECK_EQ(sl_fail(SL_EPROTO, "%s", before), SL_EPROTO);
    for (int i = 0; i < 100 * SL_ERROR_CAUSES_MAX; i++) {
        sl_error *kept = sl_error_ref(sl_error_last());
        int depth = count_causes(kept);
        CHECK_EQ(sl_fail_because(SL_EPIPE, "number %d", i), SL_EPIPE);
        CHECK_EQ(count_causes(kept), depth); /* what others hold stays as it is */
        sl_error_unref(kept);
        CHECK_STRING(sl_error_message(sl_error_cause(sl_error_last())), before);
        CHECK(count_causes(sl_error_last()) <= SL_ERROR_CAUSES_MAX);
        CHECK(i >= SL_ERROR_CAUSES_MAX || count_causes(sl_error_last()) == i + 1);
        (void)snprintf(before, sizeof before, "number %d", i);
    }
    return 0;
}

#define DEEP 100000

static int deep_trees(void *arg)
{
    (void)arg;
    sl_task *task = sl_current();
    sl_error *chain = NULL;
    sl_error *nest = sl__error_plain(task, SL_EPROTO, "leaf");
    for (int i = 0; i < DEEP; i++) {
        sl_error *error = sl__error_plain(task, SL_EPIPE, "link %d", i);
        CHECK(error != NULL);
        sl__error_set_cause(error, chain);
        chain = error;
        sl_error *around = sl__error_plain(task, SL_EPIPE, "level %d", i);
        CHECK(around != NULL && sl__error_append(around, nest) == 0);
        nest = around;
    }
    CHECK_EQ(sl_error_code(sl_error_only(nest)), SL_EPROTO);
    char text[64];
    CHECK(sl_error_print(nest, text, sizeof text) > sizeof text); /* as deep as it looks */
    CHECK(sl_error_has(nest, SL_EPIPE));
    sl_error_unref(chain);
    sl_error_unref(nest);
    return 0;
}

static void a_deep_tree_needs_no_deep_stack(void **state)
{
    (void)state;
    assert_int_equal(sl_run(NULL, deep_trees, NULL, NULL), 0);
    assert_int_equal(sl_memory_held(), 0);
}

static int fails(void *arg)
{
    (void)arg;
    return sl_fail(SL_EPROTO, "child");
}

static int leaves_early(void *arg)
{
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, fails, arg));
    SL_TRY(sl_checkpoint_shielded());
    return 0; /* does not ask how it went */
}

C_TEST(an_error_nobody_collects_is_logged, "a scope left early whose child failed unnoticed logs it with the path", "")
{
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, leaves_early, NULL, .name = "careless"), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    if (sl_conformance_seed() == 0) {
        CHECK(strstr(sl_conformance_log(), "main/careless") != NULL);
        CHECK(strstr(sl_conformance_log(), "SL_EPROTO: child") != NULL);
    }
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(codes_have_names_and_texts), cmocka_unit_test(a_story_of_causes),
             cmocka_unit_test(causes_are_bounded), cmocka_unit_test(a_deep_tree_needs_no_deep_stack),
             cmocka_unit_test(an_error_nobody_collects_is_logged))
