/* SPDX-License-Identifier: MIT */
/* Behaviours 104 to 110 and X6: worker threads, posts, signals. */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>

#include "../../../framework/runtime/internal.h"
#include "sl_conformance.h"
#include "sluice/signal.h"

/* A function on a thread that says when it has begun and waits to be let go. */
struct gate {
    sem_t begun, go;
    int runs;
    int code;
    pthread_t thread;
    _Atomic int released;
    int polled;
    char reason[64];
};

static void gate_open(struct gate *gate)
{
    memset(gate, 0, sizeof *gate);
    (void)sem_init(&gate->begun, 0, 0);
    (void)sem_init(&gate->go, 0, 0);
}

static int through_gate(void *arg)
{
    struct gate *gate = arg;
    gate->runs++;
    gate->thread = pthread_self();
    (void)sem_post(&gate->begun);
    while (sem_wait(&gate->go) != 0) {
    }
    gate->polled = sl_offload_cancelled(gate->reason, sizeof gate->reason);
    return gate->code < 0 ? sl_fail(gate->code, "told on the thread") : gate->code;
}

static void on_release(void *arg)
{
    ((struct gate *)arg)->released++;
}

C_TEST_REAL(c104_the_call_returns_what_the_function_returns,
            "the call returns the function's value or error; the function runs off the loop",
            "trio test_threads.py test_run_in_worker_thread; anyio test_run_in_thread_exception")
{
    struct gate gate;
    gate_open(&gate);
    gate.code = 42;
    (void)sem_post(&gate.go);
    CHECK_EQ(sl_offload(through_gate, &gate, .release = on_release), 42);
    CHECK(!pthread_equal(gate.thread, pthread_self()));
    CHECK_EQ(gate.released, 1);
    gate.code = SL_EPROTO;
    (void)sem_post(&gate.go);
    CHECK_EQ(sl_offload(through_gate, &gate), SL_EPROTO);
    CHECK_STRING(sl_error_message(sl_error_last()), "told on the thread");
    CHECK_EQ(sl_offload(NULL, NULL), SL_EINVAL);
    return 0;
}

C_TEST_REAL(c105_cancelled_at_entry_it_never_starts, "already cancelled at entry: the function never starts",
            "anyio test_run_in_thread_cancelled; trio test_run_in_worker_thread_cancellation")
{
    struct gate gate;
    gate_open(&gate);
    SL_SCOPE(scope);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_offload(through_gate, &gate, .release = on_release), SL_ECANCELED);
    CHECK_EQ(gate.runs, 0);
    CHECK_EQ(gate.released, 1);
    return 0;
}

struct call {
    struct gate *gate;
    bool abandon;
    sl_capacity_limiter *limiter;
    int code, after;
    bool left;
};

static int offloading(void *arg)
{
    struct call *call = arg;
    call->code =
        sl_offload(through_gate, call->gate, .abandon = call->abandon, .limiter = call->limiter, .release = on_release);
    call->left = true;
    call->after = sl_checkpoint();
    return call->after;
}

/* The begin of a call, seen from another task without blocking the loop. */
static int wait_begun(struct gate *gate)
{
    while (sem_trywait(&gate->begun) != 0) { /* a virtual clock would stand still while the thread runs */
        CHECK_EQ(sl_checkpoint(), 0);
    }
    return 0;
}

C_TEST_REAL(c106_a_cancelled_task_waits_for_its_thread,
            "default: a cancelled task waits for its thread, then sees the cancel",
            "anyio test_cancel_worker_thread[noabandon]")
{
    struct gate gate;
    gate_open(&gate);
    gate.code = 7;
    struct call call = {.gate = &gate};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, offloading, &call), 0);
    SL_TRY(wait_begun(&gate));
    sl_scope_cancel(&scope, "enough");
    CHECK_EQ(sl_checkpoint_shielded(), 0);
    CHECK(!call.left);
    (void)sem_post(&gate.go);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(call.code, 7); /* what it did is not lost */
    CHECK_EQ(call.after, SL_ECANCELED);
    return 0;
}

static int abandon_main(void *arg)
{
    struct call *call = arg;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, offloading, call), 0);
    SL_TRY(wait_begun(call->gate));
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(call->code, SL_ECANCELED);
    return 0;
}

C_TEST_RUNS(c107_abandoned_threads_end_in_silence,
            "abandon mode: the task leaves at once; a late finish, even after the runtime ended, is silent and safe",
            "trio test_run_in_worker_thread_abandoned; anyio test_cancel_wait_on_thread")
{
    static struct gate gate; /* outlives the run, as what an abandoned function uses must */
    gate_open(&gate);
    struct call call = {.gate = &gate, .abandon = true};
    int64_t held = sl_memory_held();
    SL_TRY(sl_run(options, abandon_main, &call, NULL));
    CHECK_EQ(gate.released, 0);
    (void)sem_post(&gate.go);
    while (sl_memory_held() > held) { /* the thread takes its records with it */
        (void)sched_yield();
    }
    CHECK_EQ(gate.released, 1);
    return 0;
}

C_TEST_REAL(
    c108_the_token_is_the_threads,
    "the limiter's token is held until the thread ends, also when abandoned; failing to start a thread returns it",
    "trio test_run_in_worker_thread_limiter, _fail_to_spawn")
{
    struct gate gate;
    gate_open(&gate);
    sl_capacity_limiter limiter;
    sl_capacity_limiter_init(&limiter, 1);
    struct call call = {.gate = &gate, .abandon = true, .limiter = &limiter};
    {
        SL_SCOPE(scope);
        CHECK_EQ(sl_spawn(&scope, offloading, &call), 0);
        SL_TRY(wait_begun(&gate));
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    CHECK_EQ(limiter.borrowed, 1);
    (void)sem_post(&gate.go);
    while (limiter.borrowed > 0) {
        CHECK_EQ(sl_sleep(SL_MICROSECONDS(50)), 0);
    }
    sl_capacity_limiter none;
    sl_capacity_limiter_init(&none, 1);
    /* All idle threads are gone in a fresh runtime only: make a second job need a second thread. */
    struct gate busy;
    gate_open(&busy);
    struct call holder = {.gate = &busy};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, offloading, &holder), 0);
    SL_TRY(wait_begun(&busy));
    sl__runtime->fail_threads = true;
    int code = sl_offload(through_gate, &gate, .limiter = &none, .release = on_release);
    sl__runtime->fail_threads = false;
    CHECK_EQ(code, SL_EAGAIN);
    CHECK_EQ(none.borrowed, 0);
    CHECK_EQ(gate.released, 2);
    (void)sem_post(&busy.go);
    return sl_scope_wait(&scope);
}

C_TEST_REAL(c109_a_thread_can_ask_whether_it_was_cancelled,
            "a thread can poll 'was my host cancelled' with the reason; from a foreign thread that is misuse",
            "trio test_from_thread_check_cancelled_*; anyio test_thread_cancelled_not_in_worker_thread")
{
    struct gate gate;
    gate_open(&gate);
    struct call call = {.gate = &gate};
    (void)sem_post(&gate.go);
    CHECK_EQ(offloading(&call), 0);
    CHECK_EQ(gate.polled, 0);
    CHECK_EQ(sem_wait(&gate.begun), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, offloading, &call), 0);
    SL_TRY(wait_begun(&gate));
    sl_scope_cancel(&scope, "market closed");
    (void)sem_post(&gate.go);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(gate.polled, SL_ECANCELED);
    CHECK_STRING(gate.reason, "market closed");
    CHECK_EQ(sl_offload_cancelled(NULL, 0), SL_EMISUSE);
    return 0;
}

struct posts {
    sl_loop_ref *loop;
    int order[64];
    int count;
    int coalesced;
    int refused;
    sl_event done;
};

struct numbered {
    struct posts *posts;
    int number;
};

static void note_number(void *arg)
{
    struct numbered *numbered = arg;
    numbered->posts->order[numbered->posts->count++] = numbered->number;
}

static void count_coalesced(void *arg)
{
    struct posts *posts = arg;
    /* The call has begun: a new post counts again. */
    if (++posts->coalesced == 2 && sl_loop_post(posts->loop, count_coalesced, posts, SL_POST_COALESCE) < 0) {
        posts->refused++;
    }
}

static void set_done(void *arg)
{
    sl_event_set(&((struct posts *)arg)->done);
}

static struct numbered posted[32];

static void *post_from_thread(void *arg)
{
    struct posts *posts = arg;
    for (int i = 0; i < 32; i++) {
        posted[i] = (struct numbered){posts, i};
        posts->refused += sl_loop_post(posts->loop, note_number, &posted[i], 0) < 0;
        posts->refused += sl_loop_post(posts->loop, count_coalesced, posts, i == 0 ? 0 : SL_POST_COALESCE) < 0;
    }
    posts->refused += sl_loop_post(posts->loop, set_done, posts, 0) < 0;
    return NULL;
}

static int posting_main(void *arg)
{
    struct posts *posts = arg;
    posts->loop = sl_loop_ref_new();
    CHECK(posts->loop != NULL);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, post_from_thread, posts), 0);
    (void)pthread_join(thread, NULL); /* all are queued before the first is called */
    CHECK_EQ(posts->count, 0);
    CHECK_EQ(sl_event_wait(&posts->done), 0);
    CHECK_EQ(posts->count, 32);
    for (int i = 0; i < 32; i++) {
        CHECK_EQ(posts->order[i], i);
    }
    while (posts->coalesced < 3) { /* the plain one, the coalesced rest, the one posted by the first call */
        CHECK_EQ(sl_checkpoint(), 0);
    }
    CHECK_EQ(sl_loop_post(posts->loop, NULL, NULL, 0), SL_EINVAL);
    return sl_loop_post(posts->loop, count_coalesced, posts, 0); /* left over: called at the end of the run */
}

C_TEST_RUNS(c110_posts_to_the_loop,
            "post to the loop from any thread: in order, optional coalescing that re-arms once the call began, cannot "
            "starve tasks, reports 'closed' after the end",
            "trio test_TrioToken_run_sync_soon_*")
{
    struct posts posts = {.done = SL_EVENT_INIT};
    SL_TRY(sl_run(options, posting_main, &posts, NULL));
    CHECK(posts.coalesced >= 3 && posts.coalesced <= 4);
    CHECK_EQ(posts.refused, 0);
    CHECK_EQ(sl_loop_post(posts.loop, count_coalesced, &posts, 0), SL_ECLOSED);
    sl_loop_ref_free(posts.loop);
    return 0;
}

/* ---- X6 ---- */

static volatile sig_atomic_t old_calls;

static void old_handler(int number)
{
    (void)number;
    old_calls++;
}

static int next_signal(void *arg)
{
    sl_signals *signals = arg;
    return sl_signals_next(signals);
}

C_TEST_REAL(
    x6_signals_as_a_stream,
    "repeats coalesce, two signals alternate, undelivered ones go to the old handler on exit; one reader at a time",
    "trio test_signals.py")
{
    struct sigaction before;
    struct sigaction mine = {.sa_handler = old_handler};
    CHECK_EQ(sigaction(SIGUSR2, &mine, &before), 0);
    old_calls = 0;
    static const int numbers[] = {SIGUSR2, SIGHUP};
    sl_signals *signals = NULL;
    sl_signals *second = NULL;
    CHECK_EQ(sl_signals_open((int[]){SIGKILL}, 1, &signals), SL_EINVAL);
    CHECK_EQ(sl_signals_open((int[]){0}, 1, &signals), SL_EINVAL);
    CHECK_EQ(sl_signals_open(numbers, 0, &signals), SL_EINVAL);
    CHECK_EQ(sl_signals_open(numbers, 2, &signals), 0);
    CHECK_EQ(sl_signals_open(numbers, 1, &second), SL_EBUSY);
    CHECK_EQ(raise(SIGUSR2) | raise(SIGUSR2) | raise(SIGHUP), 0);
    CHECK_EQ(sl_signals_next(signals), SIGUSR2);
    CHECK_EQ(raise(SIGUSR2), 0);
    CHECK_EQ(sl_signals_next(signals), SIGHUP); /* its turn, though the other is there again */
    CHECK_EQ(sl_signals_next(signals), SIGUSR2);
    {
        SL_SCOPE(scope);
        sl_task_ref reader;
        CHECK_EQ(sl_spawn(&scope, next_signal, signals, .ret_task = &reader), 0);
        while (strcmp(sl_task_alive(reader) && reader.task->what != NULL ? reader.task->what : "", "signal") != 0) {
            CHECK_EQ(sl_checkpoint(), 0);
        }
        CHECK_EQ(sl_signals_next(signals), SL_EBUSY);
        sl_scope_cancel(&scope, NULL);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    CHECK_EQ(old_calls, 0);
    CHECK_EQ(raise(SIGUSR2), 0);
    for (int i = 0; i < 3; i++) { /* libuv has taken it up */
        CHECK_EQ(sl_sleep(SL_MICROSECONDS(100)), 0);
    }
    sl_signals_close(signals);
    CHECK_EQ(old_calls, 1);
    CHECK_EQ(raise(SIGUSR2), 0);
    CHECK_EQ(old_calls, 2);
    CHECK_EQ(sigaction(SIGUSR2, &before, NULL), 0);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(c104_the_call_returns_what_the_function_returns),
             cmocka_unit_test(c105_cancelled_at_entry_it_never_starts),
             cmocka_unit_test(c106_a_cancelled_task_waits_for_its_thread),
             cmocka_unit_test(c107_abandoned_threads_end_in_silence), cmocka_unit_test(c108_the_token_is_the_threads),
             cmocka_unit_test(c109_a_thread_can_ask_whether_it_was_cancelled), cmocka_unit_test(c110_posts_to_the_loop),
             cmocka_unit_test(x6_signals_as_a_stream))
