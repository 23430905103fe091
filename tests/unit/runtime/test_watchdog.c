/* SPDX-License-Identifier: MIT */
/* The watchdog: names who holds the loop while it still does, once, and nobody else. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/internal.h"
#include "sl_conformance.h"

/* What was logged, by whichever thread. */
static struct {
    pthread_mutex_t lock;
    char text[4096];
    long long longest_ms;
} logged = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void keep(void *context, enum sl_log_level level, const char *text)
{
    (void)context;
    (void)level;
    (void)pthread_mutex_lock(&logged.lock);
    size_t at = strlen(logged.text);
    (void)snprintf(logged.text + at, sizeof logged.text - at, "%s\n", text);
    const char *number = strstr(text, "the loop for ");
    long long held = number == NULL ? 0 : strtoll(number + strlen("the loop for "), NULL, 10);
    logged.longest_ms = held > logged.longest_ms ? held : logged.longest_ms;
    (void)pthread_mutex_unlock(&logged.lock);
}

/* How many times `part` was logged. */
static int count_logged(const char *part)
{
    int count = 0;
    (void)pthread_mutex_lock(&logged.lock);
    for (const char *at = logged.text; (at = strstr(at, part)) != NULL; at++) {
        count++;
    }
    (void)pthread_mutex_unlock(&logged.lock);
    return count;
}

static void forget(void)
{
    (void)pthread_mutex_lock(&logged.lock);
    logged.text[0] = '\0';
    logged.longest_ms = 0;
    (void)pthread_mutex_unlock(&logged.lock);
}

static struct sl_run_options watched(const struct sl_run_options *options, sl_time limit)
{
    struct sl_run_options own = *options;
    own.watchdog = limit;
    own.log = keep;
    forget();
    return own;
}

static void hold_for(sl_time duration)
{
    uint64_t until = uv_hrtime() + (uint64_t)duration;
    while (uv_hrtime() < until) {
    }
}

/* Does not let go of the loop before it has been named. */
static int greedy(void *arg)
{
    const char *name = arg;
    while (count_logged(name) == 0 || count_logged("and still does") == 0) {
    }
    hold_for(SL_MILLISECONDS(5)); /* is not said again when it ends */
    return 0;
}

static int greedy_main(void *arg)
{
    (void)arg;
    struct sl_statistics statistics;
    {
        SL_SCOPE(scope);
        CHECK_EQ(sl_spawn(&scope, greedy, "task 'main/greedy' held the loop for ", .name = "greedy"), 0);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    CHECK_EQ(sl_statistics_get(&statistics), 0);
    CHECK(statistics.hogs >= 1); /* a slow machine may make the main task one too */
    CHECK_EQ(count_logged("'main/greedy'"), 1);
    return 0;
}

C_TEST_RUNS(a_hog_is_named_while_it_holds_the_loop, "", "")
{
    struct sl_run_options own = watched(options, SL_MILLISECONDS(4));
    return sl_run(&own, greedy_main, NULL, NULL);
}

static int deep(void *arg)
{
    int depth = *(int *)arg;
    if (depth == 0) {
        return greedy("/a-name-that-is-as-long-as-they-/a-name-that-is-as-long-as-they-' held the loop for ");
    }
    SL_SCOPE(scope);
    int next = depth - 1;
    CHECK_EQ(sl_spawn(&scope, deep, &next, .name = "a-name-that-is-as-long-as-they-get-and-more"), 0);
    return sl_scope_wait(&scope);
}

static void the_path_is_cut_at_its_start(void **state)
{
    (void)state;
    static const struct sl_run_options none;
    struct sl_run_options own = watched(&none, SL_MILLISECONDS(4));
    int depth = 30;
    assert_int_equal(sl_run(&own, deep, &depth, NULL), 0);
}

#define LONG_MS 160

static void hold_in_a_call(void *arg)
{
    (void)arg;
    hold_for(SL_MILLISECONDS(LONG_MS));
}

static int beside_a_long_call(void *arg)
{
    (void)arg;
    sl_loop_ref *loop = sl_loop_ref_new();
    CHECK(loop != NULL);
    CHECK_EQ(sl_loop_post(loop, hold_in_a_call, NULL, 0), 0);
    uint64_t turns = sl__runtime->polls + 3;
    while (sl__runtime->polls < turns) { /* this task is ready while the call runs */
        CHECK_EQ(sl_checkpoint(), 0);
    }
    sl_loop_ref_free(loop);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(LONG_MS)), 0); /* who waits does not hold the loop */
    return 0;
}

static void no_task_is_blamed_for_a_call_or_a_wait(void **state)
{
    (void)state;
    static const struct sl_run_options none;
    struct sl_run_options own = watched(&none, SL_MILLISECONDS(20));
    assert_int_equal(sl_run(&own, beside_a_long_call, NULL, NULL), 0);
    assert_true(logged.longest_ms < LONG_MS / 2); /* a slow machine may hold up a step, but not for that long */
}

static int sleep_and_work(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(100)), 0); /* long enough for the thread to have gone to sleep */
        forget();
        (void)greedy("task 'main' held the loop for ");
    }
    return 0;
}

static void it_wakes_with_the_loop(void **state)
{
    (void)state;
    static const struct sl_run_options none;
    struct sl_run_options own = watched(&none, SL_MILLISECONDS(2));
    assert_int_equal(sl_run(&own, sleep_and_work, NULL, NULL), 0);
}

static void swallow(void *context, const struct sl_log_record *record)
{
    (void)context;
    (void)record;
}

static int changes_the_sink(void *arg)
{
    for (int i = 0; i < 20; i++) {
        hold_for(SL_MILLISECONDS(5)); /* the watchdog speaks of it */
        SL_TRY(sl_log_sink_set(swallow, arg, i % 2 == 0 ? SL_LOG_DEBUG : SL_LOG_ERROR));
        hold_for(SL_MILLISECONDS(1));
        sl_log_sink_clear(arg);
        SL_TRY(sl_checkpoint());
    }
    return 0;
}

/* ThreadSanitizer sees whether both threads may touch it. */
static void the_sink_changes_while_it_speaks(void **state)
{
    (void)state;
    const struct sl_run_options options = watched(&(struct sl_run_options){0}, SL_MILLISECONDS(2));
    assert_int_equal(sl_run(&options, changes_the_sink, &logged, NULL), 0);
}

SL_TEST_MAIN(cmocka_unit_test(a_hog_is_named_while_it_holds_the_loop), cmocka_unit_test(the_path_is_cut_at_its_start),
             cmocka_unit_test(no_task_is_blamed_for_a_call_or_a_wait), cmocka_unit_test(it_wakes_with_the_loop),
             cmocka_unit_test(the_sink_changes_while_it_speaks))
