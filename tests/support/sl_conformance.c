/* SPDX-License-Identifier: MIT */
/* Runs one case in each of its worlds and orders; see sl_conformance.h. */
#include "sl_conformance.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sluice/memory.h"

#define FAILURE_BYTES 1024
#define LOG_BYTES 8192

/* The run that is going on. One at a time: cmocka runs cases one after another. */
static struct {
    pthread_mutex_t lock; /* checks may fail on worker threads */
    const char *name;
    const char *world;
    uint64_t seed;
    uint64_t random;
    bool simulated;
    bool failed;
    char failure[FAILURE_BYTES];
    char log[LOG_BYTES];
    size_t log_bytes;
    char hang[256]; /* what to say if it does not end */
    size_t hang_bytes;
} run = {.lock = PTHREAD_MUTEX_INITIALIZER};

uint64_t sl_conformance_seed(void)
{
    return run.seed;
}

bool sl_conformance_simulated(void)
{
    return run.simulated;
}

/* splitmix64 (Steele, Lea, Flood 2014) */
uint64_t sl_conformance_random(void)
{
    uint64_t z = (run.random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

const char *sl_conformance_log(void)
{
    return run.log;
}

void sl_check_failed(const char *file, int line, const char *text)
{
    (void)pthread_mutex_lock(&run.lock);
    if (run.name == NULL) {
        (void)fprintf(stderr, "%s:%d: %s\n", file, line, text); /* outside a case of ours: nobody else will say it */
    } else if (!run.failed) {
        run.failed = true;
        (void)snprintf(run.failure, sizeof run.failure, "%s:%d: %s", file, line, text);
    }
    (void)pthread_mutex_unlock(&run.lock);
}

static void print_number(char *buffer, size_t size_bytes, long long number)
{
    const char *name = number < 0 && number > -10000 ? sl_error_name((int)number) : "UNKNOWN";
    if (strcmp(name, "UNKNOWN") == 0) {
        (void)snprintf(buffer, size_bytes, "%lld", number);
    } else {
        (void)snprintf(buffer, size_bytes, "%lld (%s)", number, name);
    }
}

void sl_check_failed_numbers(const char *file, int line, const char *text, long long left, long long right)
{
    char left_text[64];
    char right_text[64];
    char all[FAILURE_BYTES / 2];
    print_number(left_text, sizeof left_text, left);
    print_number(right_text, sizeof right_text, right);
    (void)snprintf(all, sizeof all, "%s: %s is not %s", text, left_text, right_text);
    sl_check_failed(file, line, all);
}

static void keep_log(void *context, enum sl_log_level level, const char *text)
{
    (void)context;
    (void)level;
    (void)pthread_mutex_lock(&run.lock);
    int added = snprintf(run.log + run.log_bytes, sizeof run.log - run.log_bytes, "%s\n", text);
    size_t room = sizeof run.log - run.log_bytes - 1;
    run.log_bytes += added < 0 ? 0 : ((size_t)added < room ? (size_t)added : room);
    (void)pthread_mutex_unlock(&run.lock);
}

static void on_hang(int number)
{
    (void)number;
    (void)!write(STDERR_FILENO, run.hang, run.hang_bytes);
    abort();
}

static void begin(const char *name, const char *world, bool simulated, uint64_t seed)
{
    run.name = name;
    run.world = world;
    run.simulated = simulated;
    run.seed = seed;
    run.random = seed;
    run.failed = false;
    run.failure[0] = '\0';
    run.log[0] = '\0';
    run.log_bytes = 0;
    (void)snprintf(run.hang, sizeof run.hang, "%s hangs (%s world, seed %llu)\n", name, world,
                   (unsigned long long)seed);
    run.hang_bytes = strlen(run.hang);
}

/* False when the run failed, after printing why and how to get it again. */
static bool run_once(const struct sl_conformance *conformance, bool simulated, uint64_t seed)
{
    struct sl_simulation_options simulation = {.seed = seed};
    struct sl_run_options options = {
        .shuffle_seed = seed,
        .simulation = simulated ? &simulation : NULL,
        .watchdog = seed == 0 && !simulated ? 0 : SL_NEVER,
        .log = keep_log,
    };
    begin(conformance->name, simulated ? "simulated" : "real", simulated, seed);
    int64_t held = sl_memory_held();
    sl_error *error = NULL;
    int code =
        conformance->body != NULL ? sl_run(&options, conformance->body, NULL, &error) : conformance->outer(&options);
    if (!run.failed && code < 0) {
        char text[64];
        char story[FAILURE_BYTES / 2];
        print_number(text, sizeof text, code);
        (void)sl_error_print(error, story, sizeof story);
        (void)snprintf(run.failure, sizeof run.failure, "the case returned %s\n%s", text, story);
        run.failed = true;
    }
    sl_error_unref(error);
    if (!run.failed && sl_memory_held() != held) {
        (void)snprintf(run.failure, sizeof run.failure, "%lld allocations are left over",
                       (long long)(sl_memory_held() - held));
        run.failed = true;
    }
    if (run.failed) {
        print_error("%s (%s world, seed %llu)\n  %s\n%s", conformance->name, run.world, (unsigned long long)seed,
                    run.failure, run.log);
    }
    return !run.failed;
}

void sl_conformance_run(const struct sl_conformance *conformance)
{
    uint64_t seeds = sl_test_number("SL_CONFORMANCE_SEEDS", SL_CONFORMANCE_SEEDS);
    uint64_t only = sl_test_number("SL_CONFORMANCE_SEED", 0);
    bool real = (conformance->worlds & SL_WORLD_REAL) != 0;
    bool simulated = (conformance->worlds & SL_WORLD_SIMULATED) != 0;
    seeds = (conformance->worlds & SL_WORLD_FEW) != 0 && seeds > 2 ? 2 : seeds;
    bool passed = true;
    void (*before)(int) = signal(SIGALRM, on_hang);
    (void)alarm(SL_CONFORMANCE_SECONDS);
    if (only != 0) {
        passed = run_once(conformance, simulated, only);
    } else {
        passed = (!real || run_once(conformance, false, 0)) && (!simulated || run_once(conformance, true, 0));
        for (uint64_t seed = 1; passed && seed <= seeds; seed++) {
            passed = run_once(conformance, simulated, seed);
        }
    }
    (void)alarm(0);
    (void)signal(SIGALRM, before);
    assert_true(passed);
}
