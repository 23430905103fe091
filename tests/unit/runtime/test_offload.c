/* SPDX-License-Identifier: MIT */
/* Worker threads beyond behaviours 104 to 109: the pool's end, abandoned functions, limits. */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "runtime/internal.h"
#include "sl_conformance.h"

#define FEW 8
#define MANY (SL_OFFLOAD_THREADS + 20)

/* What functions on threads share; it outlives the run. */
static struct {
    sem_t begun, go;
    sem_t ending; /* the run is about to end */
    atomic_int ended;
    atomic_int released;
} gate;

static void gate_reset(void)
{
    (void)sem_init(&gate.begun, 0, 0);
    (void)sem_init(&gate.go, 0, 0);
    (void)sem_init(&gate.ending, 0, 0);
    atomic_store(&gate.ended, 0);
    atomic_store(&gate.released, 0);
}

static void gate_let_go(int count)
{
    for (int i = 0; i < count; i++) {
        (void)sem_post(&gate.go);
    }
}

static int wait_at_gate(void *arg)
{
    (void)arg;
    (void)sem_post(&gate.begun);
    while (sem_wait(&gate.go) != 0) {
    }
    atomic_fetch_add(&gate.ended, 1);
    return 0;
}

static void on_release(void *arg)
{
    (void)arg;
    atomic_fetch_add(&gate.released, 1);
}

static int abandoning(void *arg)
{
    return sl_offload(wait_at_gate, arg, .abandon = true, .release = on_release);
}

static int waiting(void *arg)
{
    return sl_offload(wait_at_gate, arg, .name = "the long wait");
}

/* Lets the tasks run until `count` functions have begun. A virtual clock stands still meanwhile. */
static int wait_begun(int count)
{
    while (count > 0) {
        count -= sem_trywait(&gate.begun) == 0;
        CHECK_EQ(sl_checkpoint(), 0);
    }
    return 0;
}

static int abandon_some(bool begun)
{
    SL_SCOPE(scope);
    for (int i = 0; i < FEW; i++) {
        CHECK_EQ(sl_spawn(&scope, abandoning, NULL), 0);
    }
    if (begun) {
        SL_TRY(wait_begun(FEW));
    } else {
        CHECK_EQ(sl_checkpoint(), 0);
        CHECK_EQ(sl_checkpoint(), 0);
    }
    sl_scope_cancel(&scope, NULL);
    return sl_scope_wait(&scope);
}

static int abandon_at_once(void *arg)
{
    (void)arg;
    return abandon_some(false);
}

/* The threads take their records with them. */
static void wait_until_freed(int64_t held)
{
    while (sl_memory_held() > held) {
        (void)sched_yield();
    }
}

C_TEST_RUNS(the_run_ends_before_threads_that_have_not_begun, "", "")
{
    gate_reset();
    int64_t held = sl_memory_held();
    SL_TRY(sl_run(options, abandon_at_once, NULL, NULL)); /* does not wait for the gate */
    CHECK_EQ(atomic_load(&gate.ended), 0);
    gate_let_go(FEW);
    wait_until_freed(held);
    CHECK_EQ(atomic_load(&gate.released), FEW); /* by the thread, or by the caller if it never began */
    return 0;
}

/* Lets one function after the other go while the run ends. */
static void *let_go_meanwhile(void *arg)
{
    while (sem_wait(&gate.ending) != 0) {
    }
    for (int i = 0; i < FEW; i++) {
        uint64_t until = uv_hrtime() + *(const uint64_t *)arg;
        while (uv_hrtime() < until) {
        }
        gate_let_go(1);
    }
    return NULL;
}

static int abandon_and_end(void *arg)
{
    (void)arg;
    SL_TRY(abandon_some(true));
    (void)sem_post(&gate.ending);
    return 0;
}

C_TEST_RUNS(threads_may_end_while_the_run_does, "", "")
{
    gate_reset();
    int64_t held = sl_memory_held();
    uint64_t pause_ns = sl_conformance_random() % 50000;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, let_go_meanwhile, &pause_ns), 0);
    int code = sl_run(options, abandon_and_end, NULL, NULL);
    if (code < 0) {
        (void)sem_post(&gate.ending);
    }
    (void)pthread_join(thread, NULL);
    CHECK_EQ(code, 0);
    wait_until_freed(held);
    CHECK_EQ(atomic_load(&gate.ended), FEW);
    CHECK_EQ(atomic_load(&gate.released), FEW);
    return 0;
}

static int sleep_beside_abandoned(void *arg)
{
    (void)arg;
    SL_TRY(abandon_some(true));
    sl_time before = sl_now();
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(2)), 0);
    CHECK(sl_now() - before >= SL_MILLISECONDS(2));
    return 0;
}

C_TEST_RUNS(an_abandoned_function_does_not_stop_a_virtual_clock, "", "")
{
    gate_reset();
    int64_t held = sl_memory_held();
    SL_TRY(sl_run(options, sleep_beside_abandoned, NULL, NULL));
    gate_let_go(FEW);
    wait_until_freed(held);
    return 0;
}

C_TEST_REAL_FEW(the_runtimes_own_limiter_bounds_the_threads, "", "")
{
    gate_reset();
    SL_SCOPE(scope);
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ(sl_spawn(&scope, waiting, NULL), 0);
    }
    SL_TRY(wait_begun(SL_OFFLOAD_THREADS));
    SETTLE();
    struct sl_statistics statistics;
    CHECK_EQ(sl_statistics_get(&statistics), 0);
    CHECK_EQ(statistics.offloads, SL_OFFLOAD_THREADS);
    CHECK_EQ(sem_trywait(&gate.begun), -1);
    gate_let_go(MANY);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sl_statistics_get(&statistics), 0);
    CHECK_EQ(statistics.offloads, 0);
    CHECK_EQ(atomic_load(&gate.ended), MANY);
    return 0;
}

C_TEST_REAL_FEW(a_dump_shows_the_name, "", "")
{
    gate_reset();
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, waiting, NULL), 0);
    SL_TRY(wait_begun(1));
    char *tree = sl_tree_text();
    bool shown = tree != NULL && strstr(tree, "the long wait") != NULL;
    sl_free(tree);
    gate_let_go(1);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK(shown);
    return 0;
}

static int fails_with_a_story(void *arg)
{
    static const char long_one[] = "0123456789012345678901234567890123456789012345678901234567890123456789"
                                   "0123456789012345678901234567890123456789012345678901234567890123456789";
    (void)sl_fail(SL_ECONNRESET, "read %s", arg == NULL ? "the file" : long_one);
    return sl_fail_because(SL_EPROTO, "loading %s", arg == NULL ? "it" : long_one);
}

static int ends_in_another_way(void *arg)
{
    (void)sl_fail(SL_EPROTO, "tried first");
    return *(int *)arg;
}

C_TEST_REAL_FEW(a_function_tells_the_cause_too, "", "")
{
    int other = SL_EPIPE; /* what was told of another failure does not come along */
    CHECK_EQ(sl_offload(ends_in_another_way, &other), SL_EPIPE);
    CHECK(sl_error_last() == NULL);
    CHECK_EQ(sl_offload(fails_with_a_story, NULL), SL_EPROTO);
    CHECK_STRING(sl_error_message(sl_error_last()), "loading it: read the file");
    CHECK_EQ(sl_offload(fails_with_a_story, &gate), SL_EPROTO); /* cut, and nothing worse */
    CHECK(strncmp(sl_error_message(sl_error_last()), "loading 0123", 12) == 0);
    return 0;
}

/* The signals that its thread does not get. */
static int mask_of_the_thread(void *arg)
{
    return pthread_sigmask(SIG_SETMASK, NULL, arg) == 0 ? 0 : SL_EINTERNAL;
}

C_TEST_REAL_FEW(a_worker_thread_gets_no_signals, "", "")
{
    sigset_t before;
    sigset_t mask;
    sigset_t after;
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    CHECK_EQ(sl_offload(mask_of_the_thread, &mask), 0);
    CHECK(sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGPIPE) == 1 && sigismember(&mask, SIGUSR1) == 1);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    CHECK(sigismember(&after, SIGTERM) == sigismember(&before, SIGTERM)); /* ours is as it was */
    return 0;
}

/* ---- in a simulated world ---- */

/* Functions that end in the opposite order of their calls. */
struct relay {
    sem_t ended[FEW];
    size_t calls, ends;
    size_t order[FEW];
    int steps; /* of a task that runs meanwhile */
};

struct runner {
    struct relay *relay;
    size_t place;
};

static int end_behind_the_next(void *arg)
{
    struct runner *runner = arg;
    while (runner->place + 1 < FEW && sem_wait(&runner->relay->ended[runner->place + 1]) != 0) {
    }
    (void)sem_post(&runner->relay->ended[runner->place]);
    return 0;
}

static int run_relay(void *arg)
{
    struct relay *relay = arg;
    struct runner runner = {relay, relay->calls++};
    SL_TRY(sl_offload(end_behind_the_next, &runner));
    CHECK_EQ(relay->steps, MANY); /* it was heard of when nothing else could run */
    relay->order[relay->ends++] = runner.place;
    return 0;
}

static int step_on(void *arg)
{
    struct relay *relay = arg;
    while (relay->calls < FEW) {
        CHECK_EQ(sl_checkpoint(), 0);
    }
    for (uint64_t until = uv_hrtime() + 1000000; uv_hrtime() < until;) { /* the threads have ended by now, as a rule */
        CHECK_EQ(sl_checkpoint(), 0);
    }
    for (; relay->steps < MANY; relay->steps++) {
        CHECK_EQ(sl_checkpoint(), 0);
    }
    return 0;
}

static int relay_all(void *arg)
{
    struct relay *relay = arg;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, step_on, relay), 0);
    for (int i = 0; i < FEW; i++) {
        CHECK_EQ(sl_spawn(&scope, run_relay, relay), 0);
    }
    return sl_scope_wait(&scope);
}

C_TEST_RUNS(how_fast_threads_are_decides_nothing_in_a_simulated_world,
            "functions that end in any order are heard of in the order of their calls, when nothing else can run", "")
{
    if (options->simulation == NULL) {
        return 0;
    }
    struct relay relay = {.calls = 0};
    for (int i = 0; i < FEW; i++) {
        (void)sem_init(&relay.ended[i], 0, 0);
    }
    SL_TRY(sl_run(options, relay_all, &relay, NULL));
    CHECK_EQ(relay.ends, FEW);
    for (size_t i = 0; i < FEW; i++) {
        CHECK_EQ(relay.order[i], i);
        (void)sem_destroy(&relay.ended[i]);
    }
    return 0;
}

/* The functions have ended, and the loop may know; their tasks do not. */
static int abandon_ended(void *arg)
{
    (void)arg;
    SL_SCOPE(scope);
    gate_let_go(FEW);
    for (int i = 0; i < FEW; i++) {
        CHECK_EQ(sl_spawn(&scope, abandoning, NULL), 0);
    }
    while (atomic_load(&gate.released) < FEW) {
        CHECK_EQ(sl_checkpoint(), 0);
    }
    for (uint64_t until = uv_hrtime() + 1000000; uv_hrtime() < until;) {
        CHECK_EQ(sl_checkpoint(), 0);
    }
    sl_scope_cancel(&scope, NULL);
    SL_TRY(sl_scope_wait(&scope));
    struct sl_statistics statistics;
    do { /* the last threads may be about to say so */
        CHECK_EQ(sl_checkpoint(), 0);
        CHECK_EQ(sl_statistics_get(&statistics), 0);
    } while (statistics.offloads > 0);
    return 0;
}

C_TEST_RUNS(a_function_that_has_ended_can_be_abandoned, "", "")
{
    gate_reset();
    int64_t held = sl_memory_held();
    SL_TRY(sl_run(options, abandon_ended, NULL, NULL));
    wait_until_freed(held);
    CHECK_EQ(atomic_load(&gate.ended), FEW);
    return 0;
}

static void release_without_a_task(void **state)
{
    (void)state;
    gate_reset();
    assert_int_equal(sl_offload(wait_at_gate, NULL, .release = on_release), SL_ENOTASK);
    assert_int_equal(atomic_load(&gate.released), 1);
    assert_int_equal(sl_offload_cancelled(NULL, 0), SL_EMISUSE);
}

SL_TEST_MAIN(cmocka_unit_test(the_run_ends_before_threads_that_have_not_begun),
             cmocka_unit_test(threads_may_end_while_the_run_does),
             cmocka_unit_test(an_abandoned_function_does_not_stop_a_virtual_clock),
             cmocka_unit_test(the_runtimes_own_limiter_bounds_the_threads), cmocka_unit_test(a_dump_shows_the_name),
             cmocka_unit_test(a_function_tells_the_cause_too), cmocka_unit_test(a_worker_thread_gets_no_signals),
             cmocka_unit_test(how_fast_threads_are_decides_nothing_in_a_simulated_world),
             cmocka_unit_test(a_function_that_has_ended_can_be_abandoned), cmocka_unit_test(release_without_a_task))
