/* SPDX-License-Identifier: MIT */
/*
 * Rate limits against a log of everything admitted: for random limits, costs, times and changes no window of
 * any limit is ever exceeded, waiting times are exact, and nobody starves.
 */
#include <stdlib.h>
#include <string.h>

#include "sl_conformance.h"
#include "sluice/limiter.h"

#define SEQUENCES 10000
#define STEPS 60
#define TASK_SEQUENCES 150
#define MS SL_MILLISECONDS(1)

static uint64_t random_state;
static uint64_t seed_now;

static uint64_t draw(uint64_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (random_state >> 11) % below;
}

struct entry {
    sl_time when;
    uint64_t cost;
};

struct log {
    size_t count;
    struct entry entries[STEPS * 4];
};

#define HOLDS(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fail_msg("seed %llu: %s", (unsigned long long)seed_now, #condition);                                       \
        }                                                                                                              \
    } while (0)

/* No half-open window that ends with admission number `since` or a later one holds more than the limit. */
static void check_windows(const struct log *log, const struct sl_rate *rate, size_t since)
{
    for (size_t i = 0; i < log->count; i++) {
        uint64_t sum = 0;
        for (size_t k = i; k < log->count; k++) {
            sl_time length = log->entries[k].when - log->entries[i].when;
            sum += rate->per_call ? 1 : log->entries[k].cost;
            if (rate->bucket) {
                long double most = (long double)rate->burst + (long double)length * rate->count / rate->period;
                HOLDS((long double)sum <= most + 1e-6L);
            } else if (length < rate->period && k >= since) {
                HOLDS(sum <= rate->count);
            }
        }
    }
}

static struct sl_rate random_rate(void)
{
    struct sl_rate rate = {
        .count = 1 + draw(draw(2) == 0 ? 10 : 200), .bucket = draw(4) == 0, .per_call = draw(4) == 0};
    rate.period = MS * (sl_time)(1 + draw(20000));
    rate.burst = 1 + draw(rate.count);
    return rate;
}

/* A time step: often none, often tiny, sometimes a rest, sometimes just what is to be waited. */
static sl_time random_step(const sl_rates *rates, uint64_t cost, sl_time now)
{
    sl_time when;
    switch (draw(5)) {
    case 0:
        return 0;
    case 1:
        return (sl_time)draw(100);
    case 2:
        return MS * (sl_time)draw(500);
    case 3:
        return SL_SECONDS((sl_time)draw(30));
    default:
        when = sl_rates_when(rates, cost, now);
        return when == SL_NEVER ? 0 : when - now - (sl_time)(when > now && draw(2) == 0);
    }
}

static void one_sequence(uint64_t seed)
{
    seed_now = seed;
    random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    struct sl_rate limits[4];
    size_t count = 1 + draw(4);
    uint64_t largest = UINT64_MAX;
    for (size_t i = 0; i < count; i++) {
        limits[i] = random_rate();
        uint64_t burst = limits[i].per_call ? UINT64_MAX : limits[i].burst;
        largest = burst < largest ? burst : largest;
    }
    largest = largest < 1000 ? largest : 1000;
    sl_rates rates;
    HOLDS(sl_rates_init(&rates, limits, count) == 0);
    static struct log log;
    log.count = 0;
    sl_time now = SL_SECONDS(1);
    for (int step = 0; step < STEPS; step++) {
        uint64_t cost = 1 + draw(largest);
        now += random_step(&rates, cost, now);
        sl_time when = sl_rates_when(&rates, cost, now);
        HOLDS(when >= now && when != SL_NEVER);
        sl_permit permit;
        if (draw(8) == 0) {
            HOLDS(sl_rates_reserve(&rates, cost, SL_NEVER, now, &permit) == 0 && permit.when == when);
            if (draw(3) == 0) {
                HOLDS(sl_rates_refund(&rates, &permit));
                HOLDS(sl_rates_when(&rates, cost, now) == when);
                continue;
            }
            log.entries[log.count++] = (struct entry){when, cost};
            continue;
        }
        int code = sl_rates_try(&rates, cost, now, &permit);
        HOLDS(code == (when == now ? 0 : SL_EAGAIN));
        if (code == 0) {
            log.entries[log.count++] = (struct entry){now, cost};
            continue;
        }
        sl_rates copy = rates; /* the wait is exact: 1 ns earlier fails, then it succeeds */
        HOLDS(sl_rates_try(&copy, cost, when - 1, NULL) == SL_EAGAIN);
        HOLDS(sl_rates_try(&copy, cost, when, NULL) == 0);
    }
    for (size_t i = 0; i < count; i++) {
        check_windows(&log, &limits[i], 0);
    }
}

static void rate_b03_no_window_is_exceeded_and_waits_are_exact(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEQUENCES; seed++) {
        one_sequence(seed);
    }
}

/* The limit changes, by the operator's word or the server's: from then on no window holds more than the new one. */
static void one_changing_sequence(uint64_t seed)
{
    seed_now = seed;
    random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    struct sl_rate rate = {.count = 1 + draw(100), .period = SL_SECONDS(1 + (sl_time)draw(10)), .per_call = true};
    sl_rates rates;
    HOLDS(sl_rates_init(&rates, &rate, 1) == 0);
    static struct log log;
    log.count = 0;
    sl_time now = SL_SECONDS(1);
    for (int round = 0; round < 4; round++) {
        for (int step = 0; step < STEPS; step++) {
            now += random_step(&rates, 1, now);
            if (sl_rates_try(&rates, 1, now, NULL) == 0) {
                log.entries[log.count++] = (struct entry){now, 1};
            }
        }
        struct sl_rate_state look;
        HOLDS(sl_rates_look(&rates, 0, now, &look) == 0);
        check_windows(&log, &look.rate, 0);
        size_t since = log.count;
        uint64_t count = 1 + draw(100);
        if (draw(2) == 0) {
            rate.count = count;
            HOLDS(sl_rates_change(&rates, &rate, 1, (enum sl_rates_carry)draw(4), 0, now) == 0);
        } else {
            struct sl_limit_news news = {.status = 200, .retry_after = SL_UNKNOWN, .quota_count = 1};
            news.quotas[0] = (struct sl_quota){.period = rate.period,
                                               .limit = (int64_t)count,
                                               .used = SL_UNKNOWN,
                                               .remaining = SL_UNKNOWN,
                                               .reset = SL_UNKNOWN,
                                               .per_call = true,
                                               .policy = true};
            (void)sl_rates_heed(&rates, &news, NULL, now);
        }
        HOLDS(sl_rates_look(&rates, 0, now, &look) == 0);
        for (int step = 0; step < STEPS / 2; step++) { /* as fast as it lets us, across the change */
            now = sl_rates_when(&rates, 1, now);
            HOLDS(now != SL_NEVER && sl_rates_try(&rates, 1, now, NULL) == 0);
            if (log.count < sizeof log.entries / sizeof log.entries[0]) {
                log.entries[log.count++] = (struct entry){now, 1};
            }
        }
        check_windows(&log, &look.rate, since);
        log.count = 0;
        now += rate.period; /* the next round has a log of its own */
    }
}

static void changes_exceed_no_window_either(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEQUENCES / 10; seed++) {
        one_changing_sequence(seed);
    }
}

/* A table of keys decides as a set for each key would. */
static void the_table_agrees_with_sets(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        seed_now = seed;
        random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
        struct sl_rate limits[SL_TABLE_RATES_MAX];
        size_t count = 1 + draw(SL_TABLE_RATES_MAX);
        static sl_rates sets[20];
        for (size_t i = 0; i < count; i++) {
            limits[i] = random_rate();
        }
        for (size_t i = 0; i < 20; i++) {
            HOLDS(sl_rates_init(&sets[i], limits, count) == 0);
        }
        sl_rate_table *table = NULL;
        HOLDS(sl_rate_table_create(limits, count, 100, draw(1000), &table) == 0);
        sl_time now = SL_SECONDS(1);
        for (int step = 0; step < 500; step++) {
            uint64_t key = draw(20), cost = draw(4);
            now += draw(3) == 0 ? MS * (sl_time)draw(3000) : (sl_time)draw(10);
            sl_time when = 0, expected = sl_rates_when(&sets[key], cost, now);
            int code = sl_rate_table_try(table, &key, sizeof key, cost, now, &when);
            HOLDS(code == sl_rates_try(&sets[key], cost, now, NULL));
            HOLDS(code != SL_EAGAIN || when == expected);
        }
        sl_rate_table_free(table);
    }
}

/* ---- with tasks ---- */

struct shared {
    sl_limiter *limiter;
    struct log log;
    uint64_t largest;
    sl_time longest;
};

static int use_it(void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; i < 4; i++) {
        SL_TRY(sl_sleep(MS * (sl_time)(sl_random() % 400)));
        uint64_t cost = 1 + sl_random() % shared->largest;
        enum sl_priority priority = (enum sl_priority)((int)(sl_random() % 3) - 1);
        sl_time asked = sl_now();
        sl_scope scope = SL_SCOPE_INIT;
        struct sl_scope_options options = {.timeout = MS * (sl_time)(1 + sl_random() % 60000), .move_on = true};
        bool hurries = sl_random() % 4 == 0; /* some are cancelled while they wait */
        SL_TRY(sl_scope_open(&scope, hurries ? &options : NULL));
        sl_permit permit;
        int code = sl_limiter_acquire(shared->limiter, cost, priority, &permit);
        if (code == 0) {
            CHECK(permit.when == sl_now());
            shared->log.entries[shared->log.count++] = (struct entry){sl_now(), cost};
            sl_time waited = sl_now() - asked;
            shared->longest = waited > shared->longest ? waited : shared->longest;
        }
        code = sl_scope_close(&scope, code);
        CHECK_EQ(code, 0);
    }
    return 0;
}

struct run {
    uint64_t seed;
};

static int share_a_limiter(void *arg)
{
    const struct run *run = arg;
    random_state = run->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    struct sl_rate limits[3];
    size_t count = 1 + draw(3);
    static struct shared shared;
    shared = (struct shared){.largest = 1000};
    sl_time steady = 0;
    for (size_t i = 0; i < count; i++) {
        limits[i] = random_rate();
        uint64_t burst = limits[i].per_call ? 1000 : limits[i].burst;
        shared.largest = burst < shared.largest ? burst : shared.largest;
    }
    SL_TRY(sl_limiter_create(&(struct sl_limiter_options){.rates = limits, .rate_count = count}, &shared.limiter));
    for (size_t i = 0; i < count; i++) {
        struct sl_rate_state look;
        SL_TRY(sl_limiter_look(shared.limiter, i, &look));
        sl_time each = look.interval * (sl_time)(look.rate.per_call ? 1 : shared.largest);
        steady = each > steady ? each : steady;
    }
    {
        SL_SCOPE(scope);
        for (int i = 0; i < 12; i++) {
            SL_TRY(sl_spawn(&scope, use_it, &shared));
        }
        SL_TRY(sl_scope_wait(&scope));
    }
    /* Eleven others at most go before, each once more by the head starts that end after two of them. */
    CHECK(shared.longest <= 48 * steady + 4 * SL_PRIORITY_HEAD_START);
    struct sl_limiter_info info;
    sl_limiter_info(shared.limiter, &info);
    CHECK_EQ(info.waiting, 0);
    CHECK_EQ(info.admitted, shared.log.count);
    for (size_t i = 0; i < count; i++) {
        check_windows(&shared.log, &limits[i], 0);
    }
    sl_limiter_free(shared.limiter);
    return 0;
}

static void tasks_share_without_starving(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= TASK_SEQUENCES; seed++) {
        seed_now = seed;
        struct run run = {.seed = seed};
        struct sl_simulation_options simulation = {.seed = seed};
        struct sl_run_options options = {.simulation = &simulation, .shuffle_seed = seed, .watchdog = SL_NEVER};
        HOLDS(sl_run(&options, share_a_limiter, &run, NULL) == 0);
    }
}

SL_TEST_MAIN(cmocka_unit_test(rate_b03_no_window_is_exceeded_and_waits_are_exact),
             cmocka_unit_test(changes_exceed_no_window_either), cmocka_unit_test(the_table_agrees_with_sets),
             cmocka_unit_test(tasks_share_without_starving))
