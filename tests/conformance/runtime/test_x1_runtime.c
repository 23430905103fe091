/* SPDX-License-Identifier: MIT */
/* X1 to X5, X7, X8: the test kit and the runtime itself. (X6, signals, has a file of its own.) */
#include <string.h>

#include "../../../framework/runtime/internal.h"
#include "sl_conformance.h"

/* ---- X1 ---- */

#define TRACE 64

struct trace {
    char steps[TRACE + 1];
    size_t length;
};

struct tracer {
    struct trace *trace;
    char letter;
};

static int trace_steps(void *arg)
{
    struct tracer *tracer = arg;
    for (int i = 0; i < 4; i++) {
        if (tracer->trace->length < TRACE) {
            tracer->trace->steps[tracer->trace->length++] = tracer->letter;
        }
        SL_TRY(sl_checkpoint());
    }
    return 0;
}

static int trace_run(void *arg)
{
    struct trace *trace = arg;
    struct tracer tracers[8];
    SL_SCOPE(scope);
    for (int i = 0; i < 8; i++) {
        tracers[i] = (struct tracer){trace, (char)('a' + i)};
        SL_TRY(sl_spawn(&scope, trace_steps, &tracers[i]));
    }
    return sl_scope_wait(&scope);
}

C_TEST_RUNS(x1_same_seed_same_trace, "the same seed gives the same trace, different runs shuffle",
            "trio test_scheduler_determinism.py")
{
    struct trace traces[8] = {{.length = 0}};
    struct sl_run_options own = *options;
    int different = 0;
    for (uint64_t i = 0; i < 8; i++) {
        own.shuffle_seed = options->shuffle_seed + (i < 2 ? 1 : i); /* the first two are alike */
        SL_TRY(sl_run(&own, trace_run, &traces[i], NULL));
        CHECK_EQ(traces[i].length, 32);
        different += strcmp(traces[0].steps, traces[i].steps) != 0;
    }
    CHECK_STRING(traces[0].steps, traces[1].steps);
    CHECK(different >= 4); /* two seeds may agree by chance, not most of them */
    struct trace fifo = {.length = 0};
    own.shuffle_seed = 0;
    SL_TRY(sl_run(&own, trace_run, &fifo, NULL));
    CHECK_STRING(fifo.steps, "abcdefghabcdefghabcdefghabcdefgh");
    return 0;
}

/* ---- X2 ---- */

static int sleep_for(void *arg)
{
    return sl_sleep(*(sl_time *)arg);
}

C_TEST_SIMULATED(
    x2_the_virtual_clock,
    "no going back, rate, jump; autojump only when all tasks are blocked; a changed threshold counts at once",
    "trio test_mock_clock.py")
{
    sl_time start = sl_now();
    CHECK_EQ(sl_now(), start); /* stands still while tasks run */
    CHECK_EQ(sl_clock_jump(-1), SL_EINVAL);
    CHECK_EQ(sl_clock_jump(SL_SECONDS(5)), 0);
    CHECK_EQ(sl_now(), start + SL_SECONDS(5));
    CHECK_EQ(sl_sleep(SL_SECONDS(1000)), 0); /* autojump */
    CHECK_EQ(sl_now(), start + SL_SECONDS(1005));

    /* Another task that can run holds the jump up. */
    sl_time hour = SL_SECONDS(3600);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sleep_for, &hour), 0);
    sl_time before = sl_now();
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(sl_checkpoint(), 0);
    }
    CHECK_EQ(sl_now(), before);

    /* Without autojump the clock stands, until it is moved by hand. */
    CHECK_EQ(sl_clock_set_autojump(-1), SL_EINVAL);
    CHECK_EQ(sl_clock_set_autojump(SL_NEVER), 0);
    SETTLE();
    CHECK_EQ(sl_now(), before);
    CHECK_EQ(sl_clock_jump(hour), 0);
    CHECK_EQ(sl_scope_join(&scope, SL_NEVER), 0);
    CHECK_EQ(sl_now(), before + hour);

    /* A rate: virtual time flows, a thousand times as fast. */
    CHECK_EQ(sl_clock_set_rate(-1), SL_EINVAL);
    CHECK_EQ(sl_clock_set_rate(1e6), 0);
    before = sl_now();
    CHECK_EQ(sl_sleep(SL_SECONDS(100)), 0);
    CHECK(sl_now() >= before + SL_SECONDS(100));
    CHECK_EQ(sl_clock_set_rate(0), 0);

    /* A threshold of real time, which counts at once. */
    CHECK_EQ(sl_clock_set_autojump(SL_MICROSECONDS(200)), 0);
    before = sl_now();
    CHECK_EQ(sl_sleep(SL_SECONDS(50)), 0);
    CHECK_EQ(sl_now(), before + SL_SECONDS(50));
    return sl_scope_wait(&scope);
}

/* ---- X3 ---- */

struct order {
    char text[8];
    size_t length;
};

struct waiter {
    struct order *order;
    sl_time cushion, sleep;
    char letter;
};

static int wait_and_note(void *arg)
{
    struct waiter *waiter = arg;
    SL_TRY(waiter->sleep > 0 ? sl_sleep(waiter->sleep) : sl_quiescent_wait(waiter->cushion));
    waiter->order->text[waiter->order->length++] = waiter->letter;
    return 0;
}

C_TEST(x3_quiescence_goes_before_autojump,
       "quiescence wait and autojump 0 coexist in a fixed order; shorter cushions first",
       "trio test_mock_clock_autojump_0_and_wait_all_tasks_blocked_0, _nonzero")
{
    struct order order = {"", 0};
    struct waiter waiters[] = {{&order, 0, SL_MILLISECONDS(2), 's'},
                               {&order, SL_MICROSECONDS(500), 0, 'c'},
                               {&order, 0, 0, 'q'},
                               {&order, SL_MILLISECONDS(50), 0, 'z'}};
    SL_SCOPE(scope);
    sl_time before = sl_now();
    for (size_t i = 0; i < 4; i++) {
        CHECK_EQ(sl_spawn(&scope, wait_and_note, &waiters[i]), 0);
    }
    CHECK_EQ(sl_scope_join(&scope, SL_NEVER), 0);
    CHECK_STRING(order.text, "qcsz");
    CHECK(sl_now() - before >= SL_MILLISECONDS(50));
    return sl_scope_wait(&scope);
}

/* ---- X4 ---- */

struct counts {
    int spawned, scheduled, before, after, ended, waits, fail_at;
};

static int on_spawned(void *context, sl_task_ref task)
{
    ((struct counts *)context)->spawned++;
    return sl_task_alive(task) ? 0 : -1;
}

static int on_scheduled(void *context, sl_task_ref task)
{
    (void)task;
    ((struct counts *)context)->scheduled++;
    return 0;
}

static int on_before(void *context, sl_task_ref task)
{
    (void)task;
    struct counts *counts = context;
    return ++counts->before == counts->fail_at ? SL_EINTERNAL : 0;
}

static int on_after(void *context, sl_task_ref task)
{
    (void)task;
    ((struct counts *)context)->after++;
    return 0;
}

static int on_ended(void *context, sl_task_ref task, int code)
{
    (void)task;
    ((struct counts *)context)->ended += code == 0;
    return 0;
}

static int on_wait(void *context, sl_time timeout)
{
    (void)timeout;
    ((struct counts *)context)->waits++;
    return 0;
}

static struct sl_hooks instrument_of(struct counts *counts)
{
    return (struct sl_hooks){.context = counts,
                             .task_spawned = on_spawned,
                             .task_scheduled = on_scheduled,
                             .before_step = on_before,
                             .after_step = on_after,
                             .task_ended = on_ended,
                             .before_wait = on_wait};
}

static int three_steps(void *arg)
{
    (void)arg;
    SL_TRY(sl_checkpoint());
    SL_TRY(sl_checkpoint());
    return sl_sleep(SL_MICROSECONDS(10));
}

C_TEST_RUNS(x4_a_failing_instrument_is_removed, "a failing instrument is removed and logged, others go on",
            "trio test_instrumentation.py test_instruments_crash")
{
    struct counts good = {.fail_at = -1};
    struct counts faulty = {.fail_at = 2};
    struct sl_hooks instruments[] = {instrument_of(&faulty), instrument_of(&good)};
    const struct sl_hooks *list[] = {&instruments[0], &instruments[1], NULL};
    struct sl_run_options own = *options;
    own.instruments = list;
    SL_TRY(sl_run(&own, three_steps, NULL, NULL));
    CHECK_EQ(good.spawned, 1);
    CHECK_EQ(good.scheduled, 4);
    CHECK_EQ(good.before, 4);
    CHECK_EQ(good.after, 4);
    CHECK_EQ(good.ended, 1);
    CHECK(good.waits >= 1);
    CHECK_EQ(faulty.before, 2);
    CHECK_EQ(faulty.ended, 0);
    CHECK(strstr(sl_conformance_log(), "before_step") != NULL);
    return 0;
}

/* ---- X5 ---- */

struct pair {
    sl_task *ping, *pong;
    bool stop;
    long rounds;
};

static bool no_abort(sl_task *task, void *object)
{
    (void)task;
    (void)object;
    return false;
}

static int ping(void *arg)
{
    struct pair *pair = arg;
    while (!pair->stop) {
        pair->rounds++;
        if (pair->pong != NULL) {
            sl_unpark(pair->pong, 0);
            pair->pong = NULL;
        }
        pair->ping = sl_current();
        SL_TRY(sl_park(no_abort, NULL, "ping"));
    }
    return 0;
}

static int pong(void *arg)
{
    struct pair *pair = arg;
    while (!pair->stop) {
        if (pair->ping != NULL) {
            sl_task *other = pair->ping;
            pair->ping = NULL;
            sl_unpark(other, 0);
            pair->pong = sl_current();
            SL_TRY(sl_park(no_abort, NULL, "pong"));
        } else {
            SL_TRY(sl_checkpoint());
        }
    }
    return 0;
}

static int spin(void *arg)
{
    while (!*(bool *)arg) {
        SL_TRY(sl_sleep(0));
    }
    return 0;
}

static void on_uv_timer(uv_timer_t *timer)
{
    sl_unpark(timer->data, 0);
}

static int io_wait(uv_timer_t *timer)
{
    timer->data = sl_current();
    if (uv_timer_start(timer, on_uv_timer, 1, 0) != 0) {
        return SL_EINTERNAL;
    }
    return sl_park(no_abort, NULL, "I/O");
}

C_TEST_REAL(x5_busy_tasks_starve_nobody,
            "a zero-sleep loop or a ping-pong pair starves neither I/O nor timers nor other tasks",
            "curio test_sleep_0_starvation, test_ping_pong_starvation")
{
    uv_timer_t timer;
    CHECK_EQ(uv_timer_init(&sl__runtime->loop, &timer), 0);
    bool stop = false;
    struct pair pair = {.stop = false};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, spin, &stop), 0);
    CHECK_EQ(sl_spawn(&scope, ping, &pair), 0);
    CHECK_EQ(sl_spawn(&scope, pong, &pair), 0);
    CHECK_EQ(io_wait(&timer), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    CHECK(pair.rounds > 10);
    stop = pair.stop = true;
    while (sl_scope_children(&scope) > 0) {
        if (pair.ping != NULL && pair.ping->state == SL_TASK_PARKED) {
            sl_unpark(pair.ping, 0);
        }
        if (pair.pong != NULL && pair.pong->state == SL_TASK_PARKED) {
            sl_unpark(pair.pong, 0);
        }
        CHECK_EQ(sl_checkpoint(), 0);
    }
    uv_close((uv_handle_t *)&timer, NULL);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sl_sleep(SL_MICROSECONDS(10)), 0);
    }
    return sl_scope_wait(&scope);
}

/* ---- X7 ---- */

C_TEST(x7_statistics_tell_what_is_there, "live, runnable and queued counts and the next deadline are right",
       "trio test_current_statistics")
{
    struct sl_statistics now;
    CHECK_EQ(sl_statistics_get(&now), 0);
    CHECK_EQ(now.tasks, 1);
    CHECK_EQ(now.runnable, 0);
    CHECK_EQ(now.next_deadline, SL_NEVER);
    sl_time long_sleep = SL_SECONDS(100);
    sl_time short_sleep = SL_SECONDS(30);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sleep_for, &long_sleep), 0);
    CHECK_EQ(sl_spawn(&scope, sleep_for, &short_sleep), 0);
    sl_time before = sl_now();
    CHECK_EQ(sl_statistics_get(&now), 0);
    CHECK_EQ(now.tasks, 3);
    CHECK_EQ(now.runnable, 2);
    CHECK_EQ(sl_checkpoint(), 0);
    CHECK_EQ(sl_checkpoint(), 0);
    SETTLE();
    CHECK_EQ(sl_statistics_get(&now), 0);
    CHECK_EQ(now.runnable, 0);
    CHECK_EQ(now.timers, 2);
    CHECK(now.next_deadline >= before + short_sleep && now.next_deadline < before + short_sleep + SL_SECONDS(20));
    CHECK(now.spawned == 3 && now.steps >= 3);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sl_statistics_get(&now), 0);
    CHECK_EQ(now.tasks, 1);
    CHECK_EQ(now.timers, 0);
    return 0;
}

/* ---- X8 ---- */

static int system_task(void *arg)
{
    SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    return *(int *)arg;
}

struct user {
    int slept;
    bool cleaned;
    int system_code;
};

static int user_main(void *arg)
{
    struct user *user = arg;
    SL_TRY(sl__spawn_system(sl__runtime, system_task, &user->system_code, "system"));
    user->slept = sl_sleep(SL_MILLISECONDS(20));
    SL_SCOPE(shield, .shield = true, .timeout = SL_SECONDS(1));
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    user->cleaned = true;
    SL_TRY(sl_scope_close(&shield, 0));
    return user->slept;
}

C_TEST_RUNS(x8_a_crashed_system_task_ends_the_run,
            "a crash in a system task ends the run with an internal error after cancelling user tasks",
            "trio test_system_task_crash")
{
    struct user user = {.slept = 1, .system_code = SL_EPROTO};
    CHECK_EQ(sl_run(options, user_main, &user, NULL), SL_EINTERNAL);
    CHECK_EQ(user.slept, SL_ECANCELED);
    CHECK(user.cleaned);
    CHECK(strstr(sl_conformance_log(), "system task 'system' failed") != NULL);
    struct user fine = {.slept = 1};
    CHECK_EQ(sl_run(options, user_main, &fine, NULL), 0);
    CHECK_EQ(fine.slept, 0);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(x1_same_seed_same_trace), cmocka_unit_test(x2_the_virtual_clock),
             cmocka_unit_test(x3_quiescence_goes_before_autojump), cmocka_unit_test(x4_a_failing_instrument_is_removed),
             cmocka_unit_test(x5_busy_tasks_starve_nobody), cmocka_unit_test(x7_statistics_tell_what_is_there),
             cmocka_unit_test(x8_a_crashed_system_task_ends_the_run))
