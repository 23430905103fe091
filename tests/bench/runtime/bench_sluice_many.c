/* SPDX-License-Identifier: MIT */
/*
 * Sluice's side of the runtime benchmark: the figures of many tasks (cancelling sleepers, timers, live
 * tasks) and whether the cost of one grows with their number ("linear"). Called as bench_sluice is.
 */
#include <sys/mman.h>

#include "bench.h"
#include "sluice/memory.h"
#include "sluice/sync.h"

#define MILLION 1000000
#define SLEEPERS 10000
#define NESTED 100 /* deadlines a task, of the timer figures */
#define PAST_HOLD SL_MILLISECONDS(20)

/* ---- cancel and join ---- */

struct life {
    size_t count;
    double start_ns, stop_ns; /* a task */
};

/* Starts sleepers until all of them sleep, then cancels and joins them. */
static int live_and_die(struct life *life)
{
    SL_SCOPE(scope);
    double start = bench_now_ns();
    for (size_t i = 0; i < life->count; i++) {
        SL_TRY(sl_spawn(&scope, bench_sleeper, NULL));
    }
    SL_TRY(sl_quiescent_wait(0));
    life->start_ns = (bench_now_ns() - start) / (double)life->count;
    start = bench_now_ns();
    sl_scope_cancel(&scope, "enough");
    SL_TRY(sl_scope_close(&scope, 0));
    life->stop_ns = (bench_now_ns() - start) / (double)life->count;
    return 0;
}

static int figure_cancel_join(void *arg)
{
    double results[BENCH_REPETITIONS];
    (void)arg;
    for (size_t i = 0; i < BENCH_REPETITIONS; i++) {
        struct life life = {.count = SLEEPERS};
        SL_TRY(live_and_die(&life));
        results[i] = life.stop_ns;
    }
    bench_emit("cancel_join", bench_median(results, BENCH_REPETITIONS), "ns", "sl_scope_cancel() and sl_scope_close()");
    return 0;
}

/* ---- deadlines among many ---- */

/* Deadlines lie between `lead` and `lead + window` from now: arming is over before the first of them. */
struct crowd {
    size_t count;
    sl_time lead, window;
    double insert_ns, expire_ns; /* each */
};

static struct crowd crowd_of(size_t count)
{
    sl_time lead = SL_MILLISECONDS(5) + SL_NANOSECONDS((sl_time)count * 1500);
    return (struct crowd){.count = count, .lead = lead, .window = lead / 3};
}

static double crowd_hold_end(const struct crowd *crowd, double from)
{
    return from + (double)(crowd->lead + crowd->window + PAST_HOLD);
}

struct holders {
    sl_scope *scopes;
    size_t count; /* of scopes, a multiple of NESTED */
    sl_event release;
};

struct holder {
    sl_scope *scopes;
    sl_event *release;
};

/* A scope whose deadline passed, or that lay in one, closes with a code that says so. */
static int close_scopes(sl_scope *scopes, size_t count)
{
    int result = 0;
    while (count-- > 0) {
        int code = sl_scope_close(&scopes[count], 0);
        if (code < 0 && code != SL_ETIMEDOUT && code != SL_ECANCELED && result == 0) {
            result = code;
        }
    }
    return result;
}

static int wait_shielded(sl_event *release)
{
    SL_SCOPE(scope, .shield = true, .timeout = BENCH_HOUR);
    return sl_scope_close(&scope, sl_event_wait(release));
}

static int holder(void *arg)
{
    const struct holder *own = arg;
    size_t opened = 0;
    int code = 0;
    while (opened < NESTED && code == 0) {
        code = sl_scope_open(&own->scopes[opened], NULL);
        opened += code == 0;
    }
    if (code == 0) {
        code = wait_shielded(own->release);
    }
    int closed = close_scopes(own->scopes, opened);
    return code < 0 ? code : closed;
}

static int with_holders(struct holders *holders, struct holder *own, int (*run)(struct holders *holders, void *arg),
                        void *arg)
{
    SL_SCOPE(scope);
    for (size_t i = 0; i < holders->count / NESTED; i++) {
        own[i] = (struct holder){.scopes = &holders->scopes[i * NESTED], .release = &holders->release};
        SL_TRY(sl_spawn(&scope, holder, &own[i]));
    }
    SL_TRY(sl_quiescent_wait(0));
    int code = run(holders, arg);
    sl_event_set(&holders->release);
    return sl_scope_close(&scope, code);
}

/* Calls run() while `count` scopes are open, NESTED in each of some waiting tasks. */
static int with_scopes(size_t count, int (*run)(struct holders *holders, void *arg), void *arg)
{
    struct holders holders = {.count = count, .release = SL_EVENT_INIT};
    holders.scopes = sl_calloc(count, sizeof *holders.scopes);
    struct holder *own = sl_calloc(count / NESTED, sizeof *own);
    int code = SL_ENOMEM;
    if (holders.scopes != NULL && own != NULL) {
        code = with_holders(&holders, own, run, arg);
    }
    sl_free(own);
    sl_free(holders.scopes);
    return code;
}

static size_t timers_armed(void)
{
    struct sl_statistics statistics = {0};
    (void)sl_statistics_get(&statistics);
    return statistics.timers;
}

static int insert_and_expire(struct holders *holders, void *arg)
{
    struct crowd *crowd = arg;
    uint64_t seed = 1;
    size_t others = timers_armed();
    double begin = bench_now_ns();
    sl_time now = sl_now();
    double start = bench_now_ns();
    for (size_t i = 0; i < crowd->count; i++) {
        sl_time when = now + crowd->lead + (sl_time)(bench_random(&seed) % (uint64_t)crowd->window);
        SL_TRY(sl_scope_set_deadline(&holders->scopes[i], when));
    }
    crowd->insert_ns = (bench_now_ns() - start) / (double)crowd->count;
    bench_hold_until(crowd_hold_end(crowd, begin));
    start = bench_now_ns();
    while (timers_armed() > others) {
        SL_TRY(sl_checkpoint());
    }
    crowd->expire_ns = (bench_now_ns() - start) / (double)crowd->count;
    for (size_t i = 0; i < crowd->count; i++) {
        if (!sl_scope_cancel_called(&holders->scopes[i])) {
            return sl_fail(SL_EPROTO, "a deadline was lost");
        }
    }
    return 0;
}

static int figure_timer(void *arg)
{
    char note[128];
    struct crowd crowd = crowd_of(MILLION);
    (void)arg;
    SL_TRY(with_scopes(crowd.count, insert_and_expire, &crowd));
    (void)snprintf(note, sizeof note, "deadlines of 1 000 000 scopes: insert %.0f + expire %.0f", crowd.insert_ns,
                   crowd.expire_ns);
    bench_emit("timer", crowd.insert_ns + crowd.expire_ns, "ns", note);
    return 0;
}

/* What the operation below works on; it takes no argument. */
static struct {
    struct holders *holders;
    uint64_t seed;
} updates;

static int run_updates(uint64_t n, double *ret_elapsed_ns)
{
    sl_time base = sl_now() + BENCH_HOUR;
    double start = bench_now_ns();
    for (uint64_t i = 0; i < n; i++) {
        sl_scope *scope = &updates.holders->scopes[bench_random(&updates.seed) % updates.holders->count];
        sl_time when = base + (sl_time)(bench_random(&updates.seed) % (uint64_t)BENCH_HOUR);
        SL_TRY(sl_scope_set_deadline(scope, when));
    }
    *ret_elapsed_ns = bench_now_ns() - start;
    return 0;
}

static int update_deadlines(struct holders *holders, void *arg)
{
    updates.holders = holders;
    updates.seed = 1;
    sl_time base = sl_now() + BENCH_HOUR;
    for (size_t i = 0; i < holders->count; i++) {
        sl_time when = base + (sl_time)(bench_random(&updates.seed) % (uint64_t)BENCH_HOUR);
        SL_TRY(sl_scope_set_deadline(&holders->scopes[i], when));
    }
    return bench_measure(arg, "sl_scope_set_deadline()", run_updates);
}

static int figure_deadline_update(void *arg)
{
    (void)arg;
    return with_scopes(MILLION, update_deadlines, "deadline_update");
}

/* ---- sleeping among many ---- */

struct nappers {
    size_t left;
    sl_event begin, armed;
};

struct nap {
    struct nappers *all;
    sl_time delay;
};

static int napper(void *arg)
{
    const struct nap *nap = arg;
    struct nappers *all = nap->all;
    SL_TRY(sl_event_wait(&all->begin));
    if (--all->left == 0) {
        sl_event_set(&all->armed);
    }
    return sl_sleep(nap->delay);
}

static int sleep_and_wake(struct crowd *crowd, struct nap *naps)
{
    struct nappers all = {.left = crowd->count, .begin = SL_EVENT_INIT, .armed = SL_EVENT_INIT};
    uint64_t seed = 1;
    SL_SCOPE(scope);
    for (size_t i = 0; i < crowd->count; i++) {
        naps[i].all = &all;
        naps[i].delay = crowd->lead + (sl_time)(bench_random(&seed) % (uint64_t)crowd->window);
        SL_TRY(sl_spawn(&scope, napper, &naps[i]));
    }
    SL_TRY(sl_quiescent_wait(0));
    double start = bench_now_ns();
    sl_event_set(&all.begin);
    SL_TRY(sl_event_wait(&all.armed));
    SL_TRY(sl_checkpoint()); /* the last one goes to sleep */
    crowd->insert_ns = (bench_now_ns() - start) / (double)crowd->count;
    bench_hold_until(crowd_hold_end(crowd, bench_now_ns()));
    start = bench_now_ns();
    SL_TRY(sl_scope_wait(&scope));
    crowd->expire_ns = (bench_now_ns() - start) / (double)crowd->count;
    return 0;
}

static int run_sleep(struct crowd *crowd)
{
    struct nap *naps = sl_calloc(crowd->count, sizeof *naps);
    int code = naps == NULL ? SL_ENOMEM : sleep_and_wake(crowd, naps);
    sl_free(naps);
    return code;
}

static int figure_sleep(void *arg)
{
    char note[128];
    struct crowd crowd = crowd_of(MILLION);
    (void)arg;
    SL_TRY(run_sleep(&crowd));
    (void)snprintf(note, sizeof note, "sl_sleep(): go to sleep %.0f + wake and join %.0f", crowd.insert_ns,
                   crowd.expire_ns);
    bench_emit("sleep", crowd.insert_ns + crowd.expire_ns, "ns", note);
    return 0;
}

/* ---- live tasks ---- */

static int waiter(void *arg)
{
    return sl_event_wait(arg);
}

static void emit_part(const char *name, const char *part, double value, const char *unit)
{
    char row[64];
    (void)snprintf(row, sizeof row, "%s.%s", name, part);
    bench_emit(row, value, unit, NULL);
}

static int live(const char *name, size_t count)
{
    sl_event never = SL_EVENT_INIT;
    double resident = bench_resident_bytes(), tables = bench_page_table_bytes();
    SL_SCOPE(scope);
    double start = bench_now_ns();
    for (size_t i = 0; i < count; i++) {
        SL_TRY(sl_spawn(&scope, waiter, &never));
    }
    SL_TRY(sl_quiescent_wait(0));
    double begun = bench_now_ns() - start;
    resident = bench_resident_bytes() - resident;
    tables = bench_page_table_bytes() - tables;
    start = bench_now_ns();
    sl_scope_cancel(&scope, "enough");
    SL_TRY(sl_scope_close(&scope, 0));
    double ended = bench_now_ns() - start;
    emit_part(name, "start", begun / (double)count, "ns");
    emit_part(name, "bytes", resident / (double)count, "B");
    emit_part(name, "tables", tables / (double)count, "B");
    emit_part(name, "stop", ended / (double)count, "ns");
    return 0;
}

static int figure_live_100k(void *arg)
{
    (void)arg;
    return live("live_100k", 100000);
}

static int figure_live_1m(void *arg)
{
    (void)arg;
    return live("live_1m", MILLION);
}

/* ---- memory ---- */

/*
 * Touches memory as the largest figures do, but no more than half of what is available. A virtual machine
 * may get memory from its host at the first touch, at many times the cost; that must not count against
 * whoever comes first.
 */
static void warm(double bytes)
{
    double half = bench_proc_number("/proc/meminfo", "MemAvailable:", 0) * 1024 / 2;
    size_t size_bytes = (size_t)(bytes < half ? bytes : half);
    void *memory = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory != MAP_FAILED) {
        (void)munmap(memory, size_bytes);
    }
}

static int warm_1(void)
{
    warm(1e9);
    return 0;
}

static int warm_5(void)
{
    warm(5e9);
    return 0;
}

/* ---- does the cost of one grow with their number? ---- */

/* Every repetition has a runtime of its own, so that no size profits from stacks that were used before. */
enum {
    LINEAR_SPAWN_JOIN,
    LINEAR_START,
    LINEAR_STOP,
    LINEAR_RUN,
    LINEAR_SLEEP,
    LINEAR_WAKE,
    LINEAR_INSERT,
    LINEAR_EXPIRE,
    LINEAR_PARTS
};
static const char *const linear_names[LINEAR_PARTS] = {"spawn_join", "start",     "cancel_join", "run",
                                                       "sleep",      "wake_join", "insert",      "expire"};
#define LINEAR_REPETITIONS_MAX 15
#define LINEAR_TASK_BYTES 5000.0
#define LINEAR_COLD_BYTES 200e6

struct linear {
    size_t count;
    double values[LINEAR_PARTS];
};

static int end_at_once(void *arg)
{
    (void)arg;
    return 0;
}

static int linear_spawn_join(void *arg)
{
    struct linear *linear = arg;
    double start = bench_now_ns();
    SL_SCOPE(scope);
    for (size_t i = 0; i < linear->count; i++) {
        SL_TRY(sl_spawn(&scope, end_at_once, NULL));
    }
    SL_TRY(sl_scope_wait(&scope));
    linear->values[LINEAR_SPAWN_JOIN] = (bench_now_ns() - start) / (double)linear->count;
    return 0;
}

static int linear_cancel_join(void *arg)
{
    struct linear *linear = arg;
    struct life life = {.count = linear->count};
    SL_TRY(live_and_die(&life));
    linear->values[LINEAR_START] = life.start_ns;
    linear->values[LINEAR_STOP] = life.stop_ns;
    return 0;
}

static int linear_sleep(void *arg)
{
    struct linear *linear = arg;
    struct crowd crowd = crowd_of(linear->count);
    SL_TRY(run_sleep(&crowd));
    linear->values[LINEAR_SLEEP] = crowd.insert_ns;
    linear->values[LINEAR_WAKE] = crowd.expire_ns;
    return 0;
}

static int linear_timer(void *arg)
{
    struct linear *linear = arg;
    struct crowd crowd = crowd_of(linear->count);
    SL_TRY(with_scopes(crowd.count, insert_and_expire, &crowd));
    linear->values[LINEAR_INSERT] = crowd.insert_ns;
    linear->values[LINEAR_EXPIRE] = crowd.expire_ns;
    return 0;
}

static int linear_update(void *arg)
{
    const struct linear *linear = arg;
    char name[64];
    (void)snprintf(name, sizeof name, "linear.deadline_update.%zu", linear->count);
    return with_scopes(linear->count, update_deadlines, name);
}

/* Every run begins with the caches full of other things, so that small ones are not measured in them. */
static void linear_prepare(const struct linear *linear)
{
    double bytes = (double)linear->count * LINEAR_TASK_BYTES;
    warm(bytes > LINEAR_COLD_BYTES ? bytes : LINEAR_COLD_BYTES);
}

static int linear_run(sl_task_fn fn, struct linear *linear)
{
    linear_prepare(linear);
    return bench_run(fn, linear);
}

static int linear_size(size_t count, size_t repetitions)
{
    double results[LINEAR_PARTS][LINEAR_REPETITIONS_MAX];
    struct linear linear = {.count = count};
    for (size_t r = 0; r < repetitions; r++) {
        SL_TRY(linear_run(linear_spawn_join, &linear));
        linear_prepare(&linear);
        double start = bench_now_ns();
        SL_TRY(bench_run(linear_cancel_join, &linear));
        linear.values[LINEAR_RUN] = (bench_now_ns() - start) / (double)count;
        SL_TRY(linear_run(linear_sleep, &linear));
        SL_TRY(linear_run(linear_timer, &linear));
        for (size_t part = 0; part < LINEAR_PARTS; part++) {
            results[part][r] = linear.values[part];
        }
    }
    for (size_t part = 0; part < LINEAR_PARTS; part++) {
        char name[64];
        (void)snprintf(name, sizeof name, "linear.%s.%zu", linear_names[part], count);
        bench_emit(name, bench_median(results[part], repetitions), "ns", NULL);
    }
    return bench_run(linear_update, &linear);
}

static int figure_linear(void)
{
    SL_TRY(linear_size(1000, LINEAR_REPETITIONS_MAX));
    SL_TRY(linear_size(10000, 7));
    SL_TRY(linear_size(100000, 3));
    return linear_size(MILLION, 1);
}

static const struct bench_figure figures[] = {
    {.name = "cancel_join", .task = figure_cancel_join},
    {.name = "timer", .task = figure_timer},
    {.name = "sleep", .task = figure_sleep},
    {.name = "deadline_update", .task = figure_deadline_update},
    {.name = "live_100k", .task = figure_live_100k},
    {.name = "live_1m", .task = figure_live_1m},
    {.name = "linear", .plain = figure_linear},
    {.name = "warm_1", .plain = warm_1},
    {.name = "warm_5", .plain = warm_5},
    {.name = NULL},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, figures);
}
