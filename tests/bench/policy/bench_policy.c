/* SPDX-License-Identifier: MIT */
/* What policy decisions cost, and what a limited key weighs: figures as name, value, unit, note. */
#include "../runtime/bench.h"
#include "sluice/breaker.h"
#include "sluice/limiter.h"
#include "sluice/rate_limit.h"
#include "sluice/retry.h"

#define KEYS ((uint32_t)1000000)

static struct sl_rate rates_of_three[] = {{.count = 6000, .period = SL_MINUTES(1), .burst = 600},
                                          {.count = 300, .period = SL_SECONDS(10), .burst = 100, .per_call = true},
                                          {.count = 1000000, .period = SL_SECONDS(86400), .burst = 10000}};
/* These loops never wait: the processor's time for them, so that whatever else runs does not count. */
static double cpu_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static volatile uint64_t keep; /* results that must not be optimised away */

static int limiter_decisions(size_t rate_count, uint64_t n, double *ret_elapsed_ns)
{
    sl_rates rates;
    SL_TRY(sl_rates_init(&rates, rates_of_three, rate_count));
    sl_time now = SL_SECONDS(1);
    uint64_t admitted = 0;
    double began = cpu_now_ns();
    for (uint64_t i = 0; i < n; i++) { /* half of them are admitted */
        now += SL_MILLISECONDS(25);
        admitted += sl_rates_try(&rates, 1 + i % 9, now, NULL) == 0;
    }
    *ret_elapsed_ns = cpu_now_ns() - began;
    keep = admitted;
    return 0;
}

static int limiter_one(uint64_t n, double *ret_elapsed_ns)
{
    return limiter_decisions(1, n, ret_elapsed_ns);
}

static int limiter_three(uint64_t n, double *ret_elapsed_ns)
{
    return limiter_decisions(3, n, ret_elapsed_ns);
}

static int retry_decision(uint64_t n, double *ret_elapsed_ns)
{
    static const struct sl_outcome overloaded = {.status = 503, .idempotent = true};
    sl_retry_budget budget;
    struct sl_retry_budget_policy shares = {.ratio = 1, .reserve = 1000000};
    SL_TRY(sl_retry_budget_init(&budget, &shares));
    sl_retry retry;
    struct sl_retry_policy policy = {.attempts = SL_ATTEMPTS_UNLIMITED, .total = SL_NEVER};
    sl_time now = SL_SECONDS(1);
    SL_TRY(sl_retry_begin(&retry, &policy, &budget, now));
    uint64_t sum = 0;
    double began = cpu_now_ns();
    for (uint64_t i = 0; i < n; i++) {
        sl_time delay = 0;
        now += SL_MILLISECONDS(1);
        sum += (uint64_t)sl_retry_next(&retry, &overloaded, (double)(i & 1023) / 1024, now, &delay) + (uint64_t)delay;
        if ((i & 7) == 0) { /* as many attempts as a call has */
            retry.step = 0;
        }
    }
    *ret_elapsed_ns = cpu_now_ns() - began;
    keep = sum;
    return 0;
}

static int breaker_call(const struct sl_breaker_policy *policy, uint64_t n, double *ret_elapsed_ns)
{
    sl_breaker breaker;
    SL_TRY(sl_breaker_init(&breaker, policy));
    sl_time now = SL_SECONDS(1);
    uint64_t admitted = 0;
    double began = cpu_now_ns();
    for (uint64_t i = 0; i < n; i++) { /* admission and result */
        sl_breaker_pass pass;
        now += SL_MICROSECONDS(100);
        if (sl_breaker_admit(&breaker, now, &pass, NULL) == 0) {
            sl_breaker_done(&breaker, &pass, i % 8 == 0 ? SL_CALL_FAILED : SL_CALL_SUCCEEDED, now);
            admitted++;
        }
    }
    *ret_elapsed_ns = cpu_now_ns() - began;
    keep = admitted;
    return admitted == n ? 0 : SL_EINTERNAL;
}

static int breaker_time(uint64_t n, double *ret_elapsed_ns)
{
    return breaker_call(&(struct sl_breaker_policy){0}, n, ret_elapsed_ns);
}

static int breaker_count(uint64_t n, double *ret_elapsed_ns)
{
    return breaker_call(&(struct sl_breaker_policy){.window_calls = 100}, n, ret_elapsed_ns);
}

static sl_rate_table *table;

static int fill_table(size_t rate_count)
{
    SL_TRY(sl_rate_table_create(rates_of_three, rate_count, KEYS, 42, &table));
    for (uint32_t key = 0; key < KEYS; key++) {
        uint32_t name[3] = {key, key * 7, 1};
        SL_TRY(sl_rate_table_try(table, name, sizeof name, 1, SL_SECONDS(1), NULL));
    }
    return 0;
}

/* A million keys, all in use at once; none may be refused. */
static int keys(void)
{
    for (size_t count = 1; count <= 3; count += 2) {
        double before = bench_resident_bytes();
        SL_TRY(fill_table(count));
        double after = bench_resident_bytes();
        char note[64];
        (void)snprintf(note, sizeof note, "%.1f resident, 1 000 000 keys in use", (after - before) / KEYS);
        bench_emit(count == 1 ? "key_bytes" : "key_bytes_3", (double)sl_rate_table_bytes(table) / KEYS, "B", note);
        sl_rate_table_free(table);
        table = NULL;
    }
    return 0;
}

static int key_decision(uint64_t n, double *ret_elapsed_ns)
{
    if (table == NULL) {
        SL_TRY(fill_table(1));
    }
    uint64_t admitted = 0;
    uint32_t key = 1;
    double began = cpu_now_ns();
    for (uint64_t i = 0; i < n; i++) {
        key = (key * 1664525u + 1013904223u);
        uint32_t number = key % KEYS;
        uint32_t name[3] = {number, number * 7, 1};
        admitted += sl_rate_table_try(table, name, sizeof name, 1, SL_SECONDS(2), NULL) == 0;
    }
    *ret_elapsed_ns = cpu_now_ns() - began;
    keep = admitted;
    return 0;
}

static int acquire(uint64_t n, double *ret_elapsed_ns)
{
    sl_limiter *limiter = NULL;
    struct sl_rate rate = {.count = 1000000000, .period = SL_MILLISECONDS(1), .burst = 1000000000, .bucket = true};
    SL_TRY(sl_limiter_create(&(struct sl_limiter_options){.rates = &rate, .rate_count = 1}, &limiter));
    double began = cpu_now_ns();
    for (uint64_t i = 0; i < n; i++) {
        sl_permit permit;
        SL_TRY(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, &permit));
    }
    *ret_elapsed_ns = cpu_now_ns() - began;
    sl_limiter_free(limiter);
    return 0;
}

static const struct bench_figure figures[] = {
    {.name = "limiter", .operation = limiter_one, .note = "decision, one limit; target 60"},
    {.name = "limiter_3", .operation = limiter_three, .note = "decision, three limits, all or nothing"},
    {.name = "acquire", .operation = acquire, .note = "by a task, with the clock, nobody waits"},
    {.name = "retry", .operation = retry_decision, .note = "decision with budget; target 30"},
    {.name = "breaker", .operation = breaker_time, .note = "admission and result, window of time; target 20"},
    {.name = "breaker_count", .operation = breaker_count, .note = "the same, window of the last 100 calls"},
    {.name = "keys", .plain = keys},
    {.name = "key", .operation = key_decision, .note = "decision for a random one of 1 000 000 keys"},
    {0},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, figures);
}
