/* SPDX-License-Identifier: MIT */
/*
 * The two worlds. Real: libuv polls, one libuv timer stands for the head of our heap. Simulated: time
 * stands still while anything can run, then jumps to the next deadline.
 */
#include <poll.h>
#include <string.h>
#include <time.h>

#include "internal.h"

#define WAIT_MAX_MS UINT64_C(3600000)
#define NS_IN_MS 1000000

struct sl__quiescent {
    sl_task *task;
    sl_time cushion;
    struct sl__quiescent *next; /* by cushion, then by arrival */
};

/* ---- waiting for libuv ---- */

/*
 * libuv 1.44 fires timers before it polls: when the thread was away until this one was over, the poll would
 * have no timer left and last for ever. Stopped, it does not wait.
 */
static void on_wake(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* Lets libuv block until something happens or `timeout` has passed, to the nanosecond. */
static void block(sl_runtime *runtime, sl_time timeout)
{
    uv_loop_t *loop = &runtime->loop;
    uint64_t milliseconds = (uint64_t)timeout / NS_IN_MS;
    if (milliseconds > 0) {
        uv_update_time(loop);
        (void)uv_timer_start(&runtime->wake_timer, on_wake, milliseconds < WAIT_MAX_MS ? milliseconds : WAIT_MAX_MS, 0);
        (void)uv_run(loop, UV_RUN_ONCE);
        (void)uv_timer_stop(&runtime->wake_timer);
        return;
    }
    /* libuv counts in milliseconds: the rest of the last one is waited for on its descriptor. */
    (void)uv_run(loop, UV_RUN_NOWAIT);
    /* A loop without handles would say 0 too. */
    if (runtime->ready.first != NULL || (uv_loop_alive(loop) != 0 && uv_backend_timeout(loop) == 0)) {
        return;
    }
    struct pollfd descriptor = {.fd = uv_backend_fd(loop), .events = POLLIN};
    struct timespec rest = {.tv_sec = 0, .tv_nsec = (long)timeout};
    if (ppoll(&descriptor, 1, &rest, NULL) > 0) {
        (void)uv_run(loop, UV_RUN_NOWAIT);
    }
}

static void poll_once(sl_runtime *runtime)
{
    (void)uv_run(&runtime->loop, UV_RUN_NOWAIT);
}

/* ---- quiescence ---- */

static bool quiescent_abort(sl_task *task, void *object)
{
    for (struct sl__quiescent **link = &task->runtime->quiescent; *link != NULL; link = &(*link)->next) {
        if (*link == object) {
            *link = (*link)->next;
            break;
        }
    }
    return true;
}

int sl_quiescent_wait(sl_time cushion)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    if (cushion < 0) {
        return sl_fail(SL_EINVAL, "sl_quiescent_wait(): negative cushion");
    }
    struct sl__quiescent waiter = {.task = task, .cushion = cushion};
    struct sl__quiescent **link = &task->runtime->quiescent;
    while (*link != NULL && (*link)->cushion <= cushion) {
        link = &(*link)->next;
    }
    waiter.next = *link;
    *link = &waiter;
    return sl_park(quiescent_abort, &waiter, "quiescence");
}

/* When the first waiter's cushion is over, if nothing runs until then. */
static sl_time quiet_at(const sl_runtime *runtime)
{
    return runtime->quiescent == NULL ? SL_NEVER : sl_time_add(runtime->quiet_since, runtime->quiescent->cushion);
}

bool sl__quiescent_wake(sl_runtime *runtime)
{
    struct sl__quiescent *waiter = runtime->quiescent;
    if (waiter == NULL) {
        return false;
    }
    runtime->quiescent = waiter->next;
    sl_unpark(waiter->task, 0);
    return true;
}

/* ---- the real world ---- */

static sl_time real_now(sl_runtime *runtime)
{
    (void)runtime;
    return (sl_time)uv_hrtime();
}

static sl_time real_wall(sl_runtime *runtime)
{
    (void)runtime;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (sl_time)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void real_wait(sl_runtime *runtime, sl_time deadline)
{
    if (deadline == 0) {
        poll_once(runtime);
        return;
    }
    sl_time now = real_now(runtime);
    sl_time quiet = quiet_at(runtime);
    sl_time until = quiet < deadline ? quiet : deadline;
    if (until > now) {
        block(runtime, until - now);
    } else {
        poll_once(runtime);
    }
    if (runtime->ready.first == NULL && quiet <= deadline && real_now(runtime) >= quiet) {
        (void)sl__quiescent_wake(runtime);
    }
}

const struct sl__world_ops sl__world_real = {real_now, real_wait, real_wall};

/* ---- the simulated world ---- */

static sl_time simulated_now(sl_runtime *runtime)
{
    struct sl__simulated *simulated = &runtime->simulated;
    if (simulated->options.rate > 0) {
        uint64_t real = uv_hrtime();
        double passed = (double)(real - simulated->real_base) * simulated->options.rate + simulated->rest;
        sl_time left = SL_NEVER - simulated->now; /* the end of time is as far as it goes */
        sl_time whole = passed < (double)left ? (sl_time)passed : left;
        simulated->now += whole;
        simulated->rest = whole < left ? passed - (double)whole : 0;
        simulated->real_base = real;
    }
    return simulated->now;
}

static sl_time simulated_wall(sl_runtime *runtime)
{
    /* Some day in 2024, so that dates look like dates; the same in every run of a seed. */
    sl_time start = INT64_C(1723161255000000000) + (sl_time)(runtime->simulated.options.seed % 1000000);
    return sl_time_add(start, simulated_now(runtime));
}

/* Real nanoseconds until virtual time gets to `deadline` by itself. */
static sl_time real_until(sl_runtime *runtime, sl_time deadline)
{
    double rate = runtime->simulated.options.rate;
    if (rate <= 0 || deadline == SL_NEVER) {
        return SL_NEVER;
    }
    double wait = (double)(deadline - simulated_now(runtime)) / rate;
    return wait < 0 ? 0 : (wait > 9e18 ? SL_NEVER : (sl_time)wait + 1);
}

/* What the loop has called meanwhile woke nobody, left the next deadline as it was and the clock before it. */
static bool still_waits(const sl_runtime *runtime, sl_time deadline)
{
    return runtime->ready.first == NULL && sl__timers_next_exact(&runtime->timers) == deadline &&
           (deadline == SL_NEVER || deadline > runtime->simulated.now);
}

/*
 * Nothing can run. First comes who waits for quiescence, then the jump; both only while no thread or
 * socket of the outside world works for us.
 */
static void simulated_wait(sl_runtime *runtime, sl_time deadline)
{
    poll_once(runtime);
    if (deadline == 0 || !still_waits(runtime, deadline) || sl__offloads_deliver(runtime)) {
        return;
    }
    struct sl__simulated *simulated = &runtime->simulated;
    sl_time quiet = quiet_at(runtime);
    if (runtime->external == 0 && quiet <= deadline && quiet != SL_NEVER) {
        simulated->now = quiet > simulated->now ? quiet : simulated->now;
        (void)sl__quiescent_wake(runtime);
        return;
    }
    sl_time wait = real_until(runtime, deadline);
    bool may_jump = runtime->external == 0 && deadline != SL_NEVER && simulated->options.autojump != SL_NEVER;
    if (may_jump && simulated->options.autojump < wait) {
        if (simulated->options.autojump > 0) {
            block(runtime, simulated->options.autojump);
        }
        if (still_waits(runtime, deadline) && runtime->external == 0) {
            simulated->now = deadline;
        }
        return;
    }
    block(runtime, wait);
}

const struct sl__world_ops sl__world_simulated = {simulated_now, simulated_wait, simulated_wall};

static struct sl__simulated *simulated_world(void)
{
    return sl__runtime == NULL || sl__runtime->options.simulation == NULL ? NULL : &sl__runtime->simulated;
}

int sl_clock_jump(sl_time duration)
{
    struct sl__simulated *simulated = simulated_world();
    if (simulated == NULL) {
        return SL_ENOTSUP;
    }
    if (duration < 0) {
        return sl_fail(SL_EINVAL, "sl_clock_jump(): a clock does not go back");
    }
    simulated->now = sl_time_add(simulated_now(sl__runtime), duration);
    return 0;
}

int sl_clock_set_autojump(sl_time threshold)
{
    struct sl__simulated *simulated = simulated_world();
    if (simulated == NULL) {
        return SL_ENOTSUP;
    }
    if (threshold < 0) {
        return sl_fail(SL_EINVAL, "sl_clock_set_autojump(): negative threshold");
    }
    simulated->options.autojump = threshold;
    return 0;
}

int sl_clock_set_rate(double rate)
{
    struct sl__simulated *simulated = simulated_world();
    if (simulated == NULL) {
        return SL_ENOTSUP;
    }
    if (!(rate >= 0 && rate <= 1e9)) {
        return sl_fail(SL_EINVAL, "sl_clock_set_rate(): not between 0 and 1e9");
    }
    (void)simulated_now(sl__runtime);
    simulated->real_base = uv_hrtime();
    simulated->options.rate = rate;
    return 0;
}

/* ---- time and chance ---- */

sl_time sl_time_add(sl_time when, sl_time duration)
{
    sl_time sum;
    if (when == SL_NEVER || duration == SL_NEVER || __builtin_add_overflow(when, duration, &sum)) {
        return SL_NEVER;
    }
    return sum;
}

sl_time sl_now(void)
{
    sl_runtime *runtime = sl__runtime;
    return runtime == NULL ? (sl_time)uv_hrtime() : runtime->world->now(runtime);
}

sl_time sl_now_wall(void)
{
    sl_runtime *runtime = sl__runtime;
    return runtime == NULL ? real_wall(NULL) : runtime->world->wall(runtime);
}

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t rotate(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

/* xoshiro256** (Blackman, Vigna 2018). */
uint64_t sl__random_next(sl_runtime *runtime)
{
    uint64_t *s = runtime->rng;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t sl_random(void)
{
    return sl__runtime == NULL ? 0 : sl__random_next(sl__runtime);
}

double sl_random_unit(void)
{
    return (double)(sl_random() >> 11) * 0x1p-53;
}

void sl__world_open(sl_runtime *runtime)
{
    uint64_t seed = 0;
    const struct sl_simulation_options *options = runtime->options.simulation;
    if (options != NULL) {
        runtime->world = &sl__world_simulated;
        runtime->simulated.options = *options;
        runtime->simulated.now = options->start > 0 ? options->start : SL_SECONDS(1);
        runtime->simulated.real_base = uv_hrtime();
        seed = options->seed;
    } else {
        runtime->world = &sl__world_real;
        if (uv_random(NULL, NULL, &seed, sizeof seed, 0, NULL) != 0) {
            seed = uv_hrtime();
        }
    }
    for (size_t i = 0; i < 4; i++) {
        runtime->rng[i] = splitmix(&seed);
    }
}
