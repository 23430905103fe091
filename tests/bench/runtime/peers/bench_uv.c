/* SPDX-License-Identifier: MIT */
/*
 * The bare libuv side of the runtime benchmark: an event loop and callbacks, no tasks. A "task" is a
 * heap record with a handle and a callback that is called once by the loop. What has no meaning
 * without tasks is "n/a". Prints name<TAB>value<TAB>unit[<TAB>note].
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define MINIMUM_NS 100000000.0 /* of one measurement, by doubling the number of operations */
#define REPETITIONS 3
#define GROUP 1000 /* callbacks started before all have ended */
#define BUFFER 64
#define SLEEPERS 10000
#define TIMERS 1000000
#define HOUR_MS UINT64_C(3600000)
#define LEAD_MS 1500
#define WINDOW_MS 500
#define PAST_HOLD_MS 20

typedef double (*operation_fn)(uint64_t n); /* does n operations, returns the nanoseconds they took */

static uv_loop_t loop;

static void check(int code)
{
    if (code != 0) {
        (void)fprintf(stderr, "bench_uv: %s\n", uv_strerror(code));
        exit(1);
    }
}

static void *must_allocate(size_t size_bytes)
{
    void *memory = calloc(1, size_bytes);
    if (memory == NULL) {
        (void)fprintf(stderr, "bench_uv: out of memory\n");
        exit(1);
    }
    return memory;
}

static double now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static uint64_t random_next(uint64_t *state) /* splitmix64, as in the other programs */
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int compare_double(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_double);
    return values[count / 2];
}

static double measure(operation_fn operation)
{
    uint64_t n = 1000;
    double results[REPETITIONS];
    while (operation(n) < MINIMUM_NS) {
        n *= 2;
    }
    for (size_t i = 0; i < REPETITIONS; i++) {
        results[i] = operation(n) / (double)n;
    }
    return median(results, REPETITIONS);
}

static void emit(const char *name, double value, const char *unit, const char *note)
{
    (void)printf("%s\t%.1f\t%s\t%s\n", name, value, unit, note);
}

/* ---- a turn of the loop: the nearest thing to letting others run ---- */

static void on_nothing(uv_timer_t *timer)
{
    (void)timer;
}

struct turner {
    uv_idle_t idle;
    uint64_t left;
    const volatile bool *cancelled;
};

static void on_turn(uv_idle_t *idle)
{
    struct turner *turner = idle->data;
    if (*turner->cancelled || --turner->left == 0) {
        uv_close((uv_handle_t *)idle, NULL);
    }
}

static double run_turns(uint64_t n)
{
    static volatile bool cancelled = false;
    struct turner turners[2];
    double start = now_ns();
    for (size_t i = 0; i < 2; i++) {
        turners[i].left = n / 2;
        turners[i].cancelled = &cancelled;
        check(uv_idle_init(&loop, &turners[i].idle));
        turners[i].idle.data = &turners[i];
        check(uv_idle_start(&turners[i].idle, on_turn));
    }
    check(uv_run(&loop, UV_RUN_DEFAULT));
    return now_ns() - start;
}

static double run_turns_deadline(uint64_t n)
{
    uv_timer_t timer;
    check(uv_timer_init(&loop, &timer));
    check(uv_timer_start(&timer, on_nothing, HOUR_MS, 0));
    uv_unref((uv_handle_t *)&timer);
    double elapsed = run_turns(n);
    uv_close((uv_handle_t *)&timer, NULL);
    check(uv_run(&loop, UV_RUN_DEFAULT));
    return elapsed;
}

/* ---- spawn and join ---- */

struct child {
    uv_idle_t idle;
    size_t *live;
};

static void on_child_closed(uv_handle_t *handle)
{
    struct child *child = handle->data;
    *child->live -= 1;
    free(child);
}

static void on_child(uv_idle_t *idle)
{
    uv_close((uv_handle_t *)idle, on_child_closed);
}

static double run_groups(uint64_t n, size_t group)
{
    uint64_t groups = (n + group - 1) / group;
    double start = now_ns();
    for (uint64_t i = 0; i < groups; i++) {
        size_t live = group;
        for (size_t j = 0; j < group; j++) {
            struct child *child = must_allocate(sizeof *child);
            check(uv_idle_init(&loop, &child->idle));
            child->idle.data = child;
            child->live = &live;
            check(uv_idle_start(&child->idle, on_child));
        }
        check(uv_run(&loop, UV_RUN_DEFAULT));
        if (live != 0) {
            check(UV_EINVAL);
        }
    }
    return (now_ns() - start) * (double)n / (double)(groups * group);
}

static double run_group(uint64_t n)
{
    return run_groups(n, GROUP);
}

static double run_one(uint64_t n)
{
    return run_groups(n, 1);
}

/* ---- a deadline set and dropped ---- */

static double run_deadline(uint64_t n)
{
    uv_timer_t timer;
    check(uv_timer_init(&loop, &timer));
    double start = now_ns();
    for (uint64_t i = 0; i < n; i++) {
        check(uv_timer_start(&timer, on_nothing, HOUR_MS, 0));
        check(uv_timer_stop(&timer));
    }
    double elapsed = now_ns() - start;
    uv_close((uv_handle_t *)&timer, NULL);
    check(uv_run(&loop, UV_RUN_DEFAULT));
    return elapsed;
}

/* ---- queues between callbacks: the other side's idle handle is started when it has something to do ---- */

struct queue {
    uint64_t items[BUFFER];
    size_t first, count;
};

static bool queue_put(struct queue *queue, uint64_t item)
{
    if (queue->count == BUFFER) {
        return false;
    }
    queue->items[(queue->first + queue->count++) % BUFFER] = item;
    return true;
}

static bool queue_take(struct queue *queue, uint64_t *ret_item)
{
    if (queue->count == 0) {
        return false;
    }
    *ret_item = queue->items[queue->first];
    queue->first = (queue->first + 1) % BUFFER;
    queue->count--;
    return true;
}

static struct pipeline {
    uv_idle_t left, right;
    struct queue there, back;
    uint64_t n, sent, received;
} pipeline;

static void on_echo(uv_idle_t *idle);

static void on_ping(uv_idle_t *idle)
{
    uint64_t item;
    (void)uv_idle_stop(idle);
    if (queue_take(&pipeline.back, &item) && item != pipeline.received++) {
        check(UV_EINVAL);
    }
    if (pipeline.sent == pipeline.n) {
        uv_close((uv_handle_t *)&pipeline.left, NULL);
        uv_close((uv_handle_t *)&pipeline.right, NULL);
        return;
    }
    (void)queue_put(&pipeline.there, pipeline.sent++);
    check(uv_idle_start(&pipeline.right, on_echo));
}

static void on_echo(uv_idle_t *idle)
{
    uint64_t item = 0;
    (void)queue_take(&pipeline.there, &item);
    (void)queue_put(&pipeline.back, item);
    (void)uv_idle_stop(idle);
    check(uv_idle_start(&pipeline.left, on_ping));
}

static void on_consume(uv_idle_t *idle);

static void on_produce(uv_idle_t *idle)
{
    while (pipeline.sent < pipeline.n && queue_put(&pipeline.there, pipeline.sent)) {
        pipeline.sent++;
    }
    (void)uv_idle_stop(idle);
    check(uv_idle_start(&pipeline.right, on_consume));
}

static void on_consume(uv_idle_t *idle)
{
    uint64_t item;
    while (queue_take(&pipeline.there, &item)) {
        if (item != pipeline.received++) {
            check(UV_EINVAL);
        }
    }
    if (pipeline.received == pipeline.n) {
        uv_close((uv_handle_t *)&pipeline.left, NULL);
        uv_close((uv_handle_t *)&pipeline.right, NULL);
        return;
    }
    (void)uv_idle_stop(idle);
    check(uv_idle_start(&pipeline.left, on_produce));
}

static double run_pipeline(uint64_t n, uv_idle_cb first)
{
    pipeline = (struct pipeline){.n = n};
    check(uv_idle_init(&loop, &pipeline.left));
    check(uv_idle_init(&loop, &pipeline.right));
    double start = now_ns();
    check(uv_idle_start(&pipeline.left, first));
    check(uv_run(&loop, UV_RUN_DEFAULT));
    return now_ns() - start;
}

static double run_round_trip(uint64_t n)
{
    return run_pipeline(n, on_ping);
}

static double run_hand_over(uint64_t n)
{
    return run_pipeline(n, on_produce);
}

/* ---- cancel and join ---- */

struct sleeper {
    uv_timer_t timer;
    size_t *live;
};

static void on_sleeper_closed(uv_handle_t *handle)
{
    struct sleeper *sleeper = handle->data;
    *sleeper->live -= 1;
    free(sleeper);
}

static struct sleeper *sleeper_start(size_t *live)
{
    struct sleeper *sleeper = must_allocate(sizeof *sleeper);
    check(uv_timer_init(&loop, &sleeper->timer));
    sleeper->timer.data = sleeper;
    sleeper->live = live;
    *live += 1;
    check(uv_timer_start(&sleeper->timer, on_nothing, HOUR_MS, 0));
    return sleeper;
}

static double sleepers_stop(struct sleeper **sleepers, size_t count, const size_t *live)
{
    double start = now_ns();
    for (size_t i = 0; i < count; i++) {
        uv_close((uv_handle_t *)&sleepers[i]->timer, on_sleeper_closed);
    }
    check(uv_run(&loop, UV_RUN_DEFAULT));
    if (*live != 0) {
        check(UV_EINVAL);
    }
    return (now_ns() - start) / (double)count;
}

static void figure_cancel_join(void)
{
    static struct sleeper *sleepers[SLEEPERS];
    double results[REPETITIONS];
    for (size_t r = 0; r < REPETITIONS; r++) {
        size_t live = 0;
        for (size_t i = 0; i < SLEEPERS; i++) {
            sleepers[i] = sleeper_start(&live);
        }
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        results[r] = sleepers_stop(sleepers, SLEEPERS, &live);
    }
    emit("cancel_join", median(results, REPETITIONS), "ns", "uv_close of a timer and its callback");
}

/* ---- timers ---- */

static uint64_t fired;

static void on_fire(uv_timer_t *timer)
{
    (void)timer;
    fired++;
}

/* Blocks the loop's thread until all deadlines are past: waiting is not part of the figure. */
static void hold_until(double end_ns)
{
    int64_t left_ns = (int64_t)(end_ns - now_ns());
    while (left_ns > 0) {
        struct timespec rest = {.tv_sec = left_ns / 1000000000, .tv_nsec = left_ns % 1000000000};
        (void)nanosleep(&rest, NULL);
        left_ns = (int64_t)(end_ns - now_ns());
    }
}

static void figure_timer(void)
{
    uv_timer_t *timers = must_allocate(TIMERS * sizeof *timers);
    uint64_t *delays = must_allocate(TIMERS * sizeof *delays);
    uint64_t seed = 1;
    char note[128];
    for (size_t i = 0; i < TIMERS; i++) {
        delays[i] = LEAD_MS + random_next(&seed) % WINDOW_MS;
        check(uv_timer_init(&loop, &timers[i]));
    }
    uv_update_time(&loop);
    double start = now_ns(), end = start + (LEAD_MS + WINDOW_MS + PAST_HOLD_MS) * 1e6;
    for (size_t i = 0; i < TIMERS; i++) {
        check(uv_timer_start(&timers[i], on_fire, delays[i], 0));
    }
    double insert = (now_ns() - start) / TIMERS;
    hold_until(end);
    start = now_ns();
    while (fired < TIMERS) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    }
    double expire = (now_ns() - start) / TIMERS;
    (void)snprintf(note, sizeof note, "uv_timer_t, whole milliseconds: insert %.0f + expire %.0f", insert, expire);
    emit("timer", insert + expire, "ns", note);
    free(delays);
    /* The handles stay: the program ends here. */
}

static uv_timer_t *armed;
static uint64_t update_seed = 1;

static double run_updates(uint64_t n)
{
    double start = now_ns();
    for (uint64_t i = 0; i < n; i++) {
        uv_timer_t *timer = &armed[random_next(&update_seed) % TIMERS];
        check(uv_timer_start(timer, on_nothing, HOUR_MS + random_next(&update_seed) % HOUR_MS, 0));
    }
    return now_ns() - start;
}

static void figure_deadline_update(void)
{
    armed = must_allocate(TIMERS * sizeof *armed);
    for (size_t i = 0; i < TIMERS; i++) {
        check(uv_timer_init(&loop, &armed[i]));
        check(uv_timer_start(&armed[i], on_nothing, HOUR_MS + random_next(&update_seed) % HOUR_MS, 0));
    }
    emit("deadline_update", measure(run_updates), "ns", "uv_timer_start of one among 1 000 000");
}

/* ---- restart ---- */

static struct supervised {
    uv_idle_t idle;
    uint64_t left;
} supervised;

static void on_run(uv_idle_t *idle);

static void on_ended(uv_handle_t *handle)
{
    if (supervised.left-- > 0) {
        check(uv_idle_init(handle->loop, &supervised.idle));
        check(uv_idle_start(&supervised.idle, on_run));
    }
}

static void on_run(uv_idle_t *idle) /* fails at once */
{
    uv_close((uv_handle_t *)idle, on_ended);
}

static double run_restarts(uint64_t n)
{
    supervised.left = n;
    check(uv_idle_init(&loop, &supervised.idle));
    double start = now_ns();
    check(uv_idle_start(&supervised.idle, on_run));
    check(uv_run(&loop, UV_RUN_DEFAULT));
    return now_ns() - start;
}

/* ---- live "tasks" ---- */

static double proc_field(const char *path, const char *label, int field)
{
    char line[256];
    double value = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return 0;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, label, strlen(label)) == 0) {
            char *rest = line + strlen(label);
            for (int i = 0; i <= field; i++) {
                value = strtod(rest, &rest);
            }
            break;
        }
    }
    (void)fclose(file);
    return value;
}

static void figure_live(const char *name, size_t count)
{
    struct sleeper **sleepers = must_allocate(count * sizeof(struct sleeper *));
    char row[64];
    size_t live = 0;
    (void)memset(sleepers, 1, count * sizeof(struct sleeper *)); /* resident before the count begins */
    double resident = proc_field("/proc/self/statm", "", 1), tables = proc_field("/proc/self/status", "VmPTE:", 0);
    double start = now_ns();
    for (size_t i = 0; i < count; i++) {
        sleepers[i] = sleeper_start(&live);
    }
    double begun = (now_ns() - start) / (double)count;
    resident = (proc_field("/proc/self/statm", "", 1) - resident) * (double)sysconf(_SC_PAGESIZE);
    tables = (proc_field("/proc/self/status", "VmPTE:", 0) - tables) * 1024;
    double ended = sleepers_stop(sleepers, count, &live);
    (void)snprintf(row, sizeof row, "%s.start", name);
    emit(row, begun, "ns", "a heap record with a timer, no stack");
    (void)snprintf(row, sizeof row, "%s.bytes", name);
    emit(row, resident / (double)count, "B", "a heap record with a timer, no stack");
    (void)snprintf(row, sizeof row, "%s.tables", name);
    emit(row, tables / (double)count, "B", "");
    (void)snprintf(row, sizeof row, "%s.stop", name);
    emit(row, ended, "ns", "a heap record with a timer, no stack");
    free(sleepers);
}

static void run_figure(const char *name)
{
    static const struct {
        const char *name;
        operation_fn operation;
        const char *note;
    } figures[] = {
        {"yield", run_turns, "two idle callbacks and one poll a turn of the loop"},
        {"checkpoint", run_turns, "two idle callbacks and one poll a turn of the loop"},
        {"checkpoint_deadline", run_turns_deadline, "two idle callbacks and one poll a turn of the loop"},
        {"spawn_join", run_group, "malloc, idle callback, uv_close, free"},
        {"spawn_join_one", run_one, "malloc, idle callback, uv_close, free"},
        {"scope_deadline", run_deadline, "uv_timer_start and uv_timer_stop"},
        {"channel_buffered", run_round_trip, "hand-written queues and idle callbacks"},
        {"handover_buffered", run_hand_over, "hand-written queue and idle callbacks"},
        {"restart", run_restarts, "uv_close, and a new handle in its callback"},
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        if (strcmp(name, figures[i].name) == 0) {
            emit(name, measure(figures[i].operation), "ns", figures[i].note);
        }
    }
    if (strcmp(name, "switch") == 0) {
        (void)printf("switch\tn/a\t\tcallbacks have no stacks to switch\n");
    } else if (strcmp(name, "cancel_join") == 0) {
        figure_cancel_join();
    } else if (strcmp(name, "timer") == 0) {
        figure_timer();
    } else if (strcmp(name, "deadline_update") == 0) {
        figure_deadline_update();
    } else if (strcmp(name, "live_100k") == 0) {
        figure_live(name, 100000);
    } else if (strcmp(name, "live_1m") == 0) {
        figure_live(name, 1000000);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "version") == 0) {
        (void)printf("libuv %s\n", uv_version_string());
        return 0;
    }
    check(uv_loop_init(&loop));
    for (int i = 1; i < argc; i++) {
        run_figure(argv[i]);
    }
    return 0;
}
