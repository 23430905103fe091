/* SPDX-License-Identifier: MIT */
/* Posts beyond behaviour 110: the bound, coalescing of many, the end of the run, tasks beside endless posts. */
#include <pthread.h>
#include <string.h>

#include "runtime/internal.h"
#include "sl_conformance.h"

static sl_loop_ref *loop;
static size_t calls;
static size_t out_of_order;

static void reset(void)
{
    loop = NULL;
    calls = out_of_order = 0;
}

static void in_order(void *arg)
{
    out_of_order += (uintptr_t)arg != calls;
    calls++;
}

static int fill(void *arg)
{
    (void)arg;
    loop = sl_loop_ref_new();
    CHECK(loop != NULL);
    for (size_t i = 0; i < SL_POSTS_MAX; i++) {
        CHECK_EQ(sl_loop_post(loop, in_order, (void *)(uintptr_t)i, 0), 0);
    }
    CHECK_EQ(sl_loop_post(loop, in_order, NULL, 0), SL_EBUSY);
    CHECK_EQ(sl_loop_post(loop, in_order, NULL, SL_POST_COALESCE), SL_EBUSY);
    struct sl_statistics statistics;
    CHECK_EQ(sl_statistics_get(&statistics), 0);
    CHECK_EQ(statistics.posts_queued, SL_POSTS_MAX);
    while (calls < SL_POSTS_MAX) {
        CHECK_EQ(sl_checkpoint(), 0);
    }
    CHECK_EQ(sl_loop_post(loop, in_order, (void *)(uintptr_t)SL_POSTS_MAX, 0), 0);
    return 0;
}

static void the_queue_is_bounded(void **state)
{
    (void)state;
    reset();
    int64_t held = sl_memory_held();
    assert_int_equal(sl_run(NULL, fill, NULL, NULL), 0);
    assert_int_equal(calls, SL_POSTS_MAX + 1);
    assert_int_equal(out_of_order, 0);
    sl_loop_ref_free(loop);
    assert_int_equal(sl_memory_held(), held);
}

#define DISTINCT 20000
static unsigned char called[DISTINCT];

static void count_one(void *arg)
{
    called[(uintptr_t)arg]++;
}

static int coalesce_many(void *arg)
{
    (void)arg;
    loop = sl_loop_ref_new();
    CHECK(loop != NULL);
    for (int round = 0; round < 3; round++) {
        for (uintptr_t i = 0; i < DISTINCT; i++) {
            CHECK_EQ(sl_loop_post(loop, count_one, (void *)i, SL_POST_COALESCE), 0);
        }
    }
    CHECK_EQ(sl__posts_queued(sl__runtime), DISTINCT);
    /* Another function with the same argument is another post; so is one without the flag. */
    CHECK_EQ(sl_loop_post(loop, in_order, (void *)(uintptr_t)0, SL_POST_COALESCE), 0);
    CHECK_EQ(sl_loop_post(loop, count_one, (void *)(uintptr_t)7, 0), 0);
    CHECK_EQ(sl__posts_queued(sl__runtime), DISTINCT + 2);
    while (sl__posts_queued(sl__runtime) > 0) {
        CHECK_EQ(sl_checkpoint(), 0);
    }
    CHECK_EQ(calls, 1);
    for (size_t i = 0; i < DISTINCT; i++) {
        CHECK_EQ(called[i], i == 7 ? 2 : 1);
    }
    CHECK_EQ(sl_loop_post(loop, count_one, (void *)(uintptr_t)3, SL_POST_COALESCE), 0); /* re-armed */
    sl_loop_ref_free(loop);
    return 0;
}

static void each_of_many_is_called_once(void **state)
{
    (void)state;
    reset();
    assert_int_equal(sl_run(NULL, coalesce_many, NULL, NULL), 0);
    assert_int_equal(called[3], 2);
}

static bool enough;

static void for_ever(void *arg)
{
    calls++;
    if (!enough) {
        EXPECT(sl_loop_post(loop, for_ever, arg, 0) == 0);
    }
}

static int run_beside_posts(void *arg)
{
    (void)arg;
    enough = false;
    loop = sl_loop_ref_new();
    CHECK(loop != NULL);
    CHECK_EQ(sl_loop_post(loop, for_ever, NULL, 0), 0);
    CHECK_EQ(sl_loop_post(loop, for_ever, NULL, 0), 0);
    uint64_t turns = sl__runtime->polls + 20;
    while (sl__runtime->polls < turns) {
        CHECK_EQ(sl_checkpoint(), 0);
    }
    CHECK(calls > 20);
    CHECK(calls <= (size_t)20 * 256); /* a batch a turn at most */
    CHECK_EQ(sl_sleep(SL_MICROSECONDS(10)), 0);
    enough = true;
    sl_loop_ref_free(loop);
    return 0;
}

C_TEST_RUNS(endless_posts_starve_no_task, "", "")
{
    reset();
    return sl_run(options, run_beside_posts, NULL, NULL);
}

static int refused_code;

static void post_again(void *arg)
{
    (void)arg;
    calls++;
    refused_code = sl_loop_post(loop, post_again, NULL, 0);
}

static int leave_a_post(void *arg)
{
    (void)arg;
    loop = sl_loop_ref_new();
    CHECK(loop != NULL);
    return sl_loop_post(loop, post_again, NULL, 0);
}

C_TEST_RUNS(what_is_left_is_called_once_at_the_end, "", "")
{
    reset();
    SL_TRY(sl_run(options, leave_a_post, NULL, NULL));
    CHECK_EQ(calls, 1);
    CHECK_EQ(refused_code, SL_ECLOSED);
    CHECK_EQ(sl_loop_post(loop, post_again, NULL, 0), SL_ECLOSED);
    sl_loop_ref_free(loop);
    return 0;
}

#define THREADS 3
#define POSTS_EACH 300

/* A thread that posts, also while the run ends. Calls of one thread come in its order. */
struct poster {
    pthread_t thread;
    sl_loop_ref *loop;
    size_t accepted, refused, called, out_of_order;
    struct numbered {
        struct poster *poster;
        size_t number;
    } posts[POSTS_EACH];
};

static struct poster posters[THREADS];

static void count_post(void *arg)
{
    const struct numbered *post = arg;
    post->poster->out_of_order += post->number != post->poster->called;
    post->poster->called++;
}

static void *post_many(void *arg)
{
    struct poster *poster = arg;
    for (size_t i = 0; i < POSTS_EACH; i++) {
        poster->posts[i].poster = poster;
        poster->posts[i].number = i;
        int code = sl_loop_post(poster->loop, count_post, &poster->posts[i], 0);
        poster->accepted += code == 0;
        poster->refused += code == SL_ECLOSED;
    }
    sl_loop_ref_free(poster->loop);
    return NULL;
}

static int end_amid_posts(void *arg)
{
    (void)arg;
    memset(posters, 0, sizeof posters);
    for (size_t i = 0; i < THREADS; i++) {
        posters[i].loop = sl_loop_ref_new();
        CHECK(posters[i].loop != NULL);
        CHECK_EQ(pthread_create(&posters[i].thread, NULL, post_many, &posters[i]), 0);
    }
    for (uint64_t i = sl_conformance_random() % 32; i > 0; i--) {
        CHECK_EQ(sl_checkpoint(), 0);
    }
    return 0;
}

C_TEST_RUNS(a_post_is_called_or_refused, "", "")
{
    int code = sl_run(options, end_amid_posts, NULL, NULL);
    for (size_t i = 0; i < THREADS; i++) {
        (void)pthread_join(posters[i].thread, NULL);
        CHECK_EQ(posters[i].accepted + posters[i].refused, POSTS_EACH);
        CHECK_EQ(posters[i].called, posters[i].accepted);
        CHECK_EQ(posters[i].out_of_order, 0);
    }
    return code;
}

static void outside_a_runtime(void **state)
{
    (void)state;
    assert_null(sl_loop_ref_new());
    assert_int_equal(sl_loop_post(NULL, in_order, NULL, 0), SL_EINVAL);
    sl_loop_ref_free(NULL);
}

SL_TEST_MAIN(cmocka_unit_test(the_queue_is_bounded), cmocka_unit_test(each_of_many_is_called_once),
             cmocka_unit_test(endless_posts_starve_no_task), cmocka_unit_test(what_is_left_is_called_once_at_the_end),
             cmocka_unit_test(a_post_is_called_or_refused), cmocka_unit_test(outside_a_runtime))
