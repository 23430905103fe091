/* SPDX-License-Identifier: MIT */
/* Rate limits as pure functions: the numbered behaviours of coordination 2.6 that need no task. */
#include <string.h>
#include <strings.h>

#include "sl_test.h"
#include "sluice/rate_limit.h"

#define T0 SL_SECONDS(1000)
#define MS SL_MILLISECONDS(1)

/* A token bucket of `burst` that gains one each `interval_ms`. */
static struct sl_rate bucket(uint64_t burst, int interval_ms)
{
    return (struct sl_rate){.count = 1000, .period = SL_SECONDS(interval_ms), .burst = burst, .bucket = true};
}

static sl_rates one(struct sl_rate rate)
{
    sl_rates rates;
    assert_int_equal(sl_rates_init(&rates, &rate, 1), 0);
    return rates;
}

static uint64_t remaining(const sl_rates *rates, size_t index, sl_time now)
{
    struct sl_rate_state state;
    assert_int_equal(sl_rates_look(rates, index, now, &state), 0);
    return state.remaining;
}

static void rate_b01_burst_from_idle(void **state)
{
    (void)state;
    sl_rates rates = one(bucket(5, 100));
    for (int i = 0; i < 5; i++) {
        assert_int_equal(sl_rates_try(&rates, 1, T0, NULL), 0);
    }
    assert_int_equal(sl_rates_try(&rates, 1, T0, NULL), SL_EAGAIN);
    assert_int_equal(sl_rates_when(&rates, 1, T0), T0 + 100 * MS);
}

/* Takes whatever is admitted, each millisecond, for `length`; the total. */
static uint64_t saturate(sl_rates *rates, sl_time length)
{
    uint64_t admitted = 0;
    for (sl_time now = T0; now < T0 + length; now += MS) {
        while (sl_rates_try(rates, 1, now, NULL) == 0) {
            admitted++;
        }
    }
    return admitted;
}

static void rate_b02_steady_load(void **state)
{
    (void)state;
    sl_rates rates = one(bucket(20, 50));
    uint64_t admitted = saturate(&rates, SL_SECONDS(60));
    assert_in_range(admitted, 20 + 1200 - 1, 20 + 1200 + 1);
    rates = one((struct sl_rate){.count = 1200, .period = SL_SECONDS(60), .burst = 20});
    admitted = saturate(&rates, SL_SECONDS(60));
    assert_in_range(admitted, 1198, 1200); /* with the burst never more than the limit */
}

static void rate_b04_idle_time_does_not_pile_up(void **state)
{
    (void)state;
    sl_rates rates = one(bucket(5, 100));
    assert_int_equal(sl_rates_try(&rates, 5, T0, NULL), 0);
    assert_int_equal(remaining(&rates, 0, T0 + SL_SECONDS(86400)), 5);
    assert_int_equal(sl_rates_try(&rates, 5, T0 + SL_SECONDS(86400), NULL), 0);
    assert_int_equal(sl_rates_try(&rates, 1, T0 + SL_SECONDS(86400), NULL), SL_EAGAIN);
}

static void rate_b05_denied_changes_nothing(void **state)
{
    (void)state;
    sl_rates rates = one(bucket(5, 100));
    assert_int_equal(sl_rates_try(&rates, 4, T0, NULL), 0);
    sl_rates before = rates;
    assert_int_equal(sl_rates_try(&rates, 2, T0, NULL), SL_EAGAIN);
    assert_memory_equal(&rates, &before, sizeof rates);
}

static void rate_b06_peek_changes_nothing(void **state)
{
    (void)state;
    sl_rates rates = one(bucket(5, 100));
    assert_int_equal(sl_rates_try(&rates, 2, T0, NULL), 0);
    sl_rates before = rates;
    assert_int_equal(sl_rates_try(&rates, 0, T0, NULL), 0);
    struct sl_rate_state look;
    assert_int_equal(sl_rates_look(&rates, 0, T0, &look), 0);
    assert_int_equal(look.remaining, 3);
    assert_int_equal(look.reset_after, 200 * MS);
    assert_int_equal(look.used, 2);
    assert_int_equal(look.interval, 100 * MS);
    assert_int_equal(sl_rates_look(&rates, 1, T0, &look), SL_EINVAL);
    assert_memory_equal(&rates, &before, sizeof rates);
}

static void rate_b07_cost_of_the_burst(void **state)
{
    (void)state;
    sl_rates rates = one(bucket(5, 100));
    assert_int_equal(sl_rates_try(&rates, 1, T0, NULL), 0);
    assert_int_equal(sl_rates_when(&rates, 5, T0), T0 + 100 * MS); /* only when full */
    assert_int_equal(sl_rates_try(&rates, 5, T0 + 100 * MS, NULL), 0);
    assert_int_equal(sl_rates_try(&rates, 6, T0, NULL), SL_EINVAL);
    assert_int_equal(sl_rates_when(&rates, 6, T0), SL_NEVER);
    sl_permit permit;
    assert_int_equal(sl_rates_reserve(&rates, 6, SL_NEVER, T0, &permit), SL_EINVAL);
    assert_int_equal(sl_rates_reserve(&rates, UINT64_MAX, SL_NEVER, T0, &permit), SL_EINVAL);
}

static void rate_b08_costs_not_calls(void **state)
{
    (void)state;
    sl_rates rates = one((struct sl_rate){.count = 100, .period = SL_SECONDS(10), .burst = 10});
    uint64_t cost = 0, calls = 0;
    for (sl_time now = T0; now < T0 + SL_SECONDS(10); now += MS) {
        uint64_t wanted = 1 + calls % 7;
        if (sl_rates_try(&rates, wanted, now, NULL) == 0) {
            cost += wanted;
            calls++;
        }
    }
    assert_in_range(cost, 93, 100);
}

static void rate_b09_all_or_nothing(void **state)
{
    (void)state;
    struct sl_rate limits[] = {
        bucket(10, 1), bucket(2, 1000), {.count = 3, .period = SL_SECONDS(10), .burst = 3, .per_call = true}};
    sl_rates rates;
    assert_int_equal(sl_rates_init(&rates, limits, 3), 0);
    assert_int_equal(sl_rates_try(&rates, 2, T0, NULL), 0);
    assert_int_equal(remaining(&rates, 0, T0), 8);
    assert_int_equal(remaining(&rates, 2, T0), 2); /* one call */
    assert_int_equal(sl_rates_try(&rates, 1, T0 + 10 * MS, NULL), SL_EAGAIN);
    assert_int_equal(remaining(&rates, 0, T0 + 10 * MS), 10); /* the looser one was not charged */
    assert_int_equal(sl_rates_when(&rates, 1, T0 + 10 * MS), T0 + 1000 * MS);
}

static void rate_b10_reported_wait_is_exact(void **state)
{
    (void)state;
    sl_rates rates = one((struct sl_rate){.count = 7, .period = SL_SECONDS(3), .burst = 3});
    sl_time now = T0;
    for (uint64_t i = 0; i < 200; i++) {
        uint64_t cost = 1 + i % 3;
        sl_time when = sl_rates_when(&rates, cost, now);
        if (when > now) {
            assert_int_equal(sl_rates_try(&rates, cost, when - 1, NULL), SL_EAGAIN);
        }
        assert_int_equal(sl_rates_try(&rates, cost, when, NULL), 0);
        now = when;
    }
}

static void rate_b11_reservations_in_order(void **state)
{
    (void)state;
    sl_rates rates = one(bucket(1, 1000));
    for (int i = 0; i < 10; i++) {
        sl_permit permit;
        assert_int_equal(sl_rates_reserve(&rates, 1, SL_NEVER, T0, &permit), 0);
        assert_int_equal(permit.when, T0 + SL_SECONDS(i));
    }
    assert_int_equal(sl_rates_when(&rates, 1, T0), T0 + SL_SECONDS(10)); /* nobody goes before them */
}

static void rate_b12_too_long_books_nothing(void **state)
{
    (void)state;
    sl_rates rates = one(bucket(1, 1000));
    sl_permit permit;
    assert_int_equal(sl_rates_reserve(&rates, 1, 0, T0, &permit), 0);
    sl_rates before = rates;
    assert_int_equal(sl_rates_reserve(&rates, 1, 999 * MS, T0, &permit), SL_EAGAIN);
    assert_memory_equal(&rates, &before, sizeof rates);
    assert_int_equal(sl_rates_reserve(&rates, 1, 1000 * MS, T0, &permit), 0);
    /* However patient: never so far that times could overflow. */
    rates = one((struct sl_rate){.count = 6, .period = SL_RATE_PERIOD_MAX, .burst = 6});
    for (int i = 0; i < 2; i++) {
        int code;
        do {
            code = sl_rates_reserve(&rates, 6, SL_NEVER, T0, &permit);
        } while (code == 0);
        assert_int_equal(code, SL_EAGAIN);
        sl_rates_block(&rates, SL_NEVER, T0);
    }
}

static void rate_b13_refunds(void **state)
{
    (void)state;
    sl_rates rates = one(bucket(1, 1000));
    sl_permit permits[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(sl_rates_reserve(&rates, 1, SL_NEVER, T0, &permits[i]), 0);
    }
    assert_false(sl_rates_refund(&rates, &permits[1])); /* in the middle: wasted, and the order holds */
    assert_int_equal(sl_rates_when(&rates, 1, T0), T0 + SL_SECONDS(4));
    assert_true(sl_rates_refund(&rates, &permits[3])); /* the tail, then the one before it */
    assert_int_equal(sl_rates_when(&rates, 1, T0), T0 + SL_SECONDS(3));
    assert_false(sl_rates_refund(&rates, &permits[3])); /* twice is once */
    assert_true(sl_rates_refund(&rates, &permits[2]));
    assert_int_equal(sl_rates_when(&rates, 1, T0), T0 + SL_SECONDS(2));
}

static void rate_b27_proportional_carry(void **state)
{
    (void)state;
    const uint64_t caps[] = {200, 20}, expected[] = {80, 8};
    for (int i = 0; i < 2; i++) {
        sl_rates rates = one(bucket(100, 100));
        assert_int_equal(sl_rates_try(&rates, 60, T0, NULL), 0);
        struct sl_rate next = bucket(caps[i], 100);
        assert_int_equal(sl_rates_change(&rates, &next, 1, SL_CARRY_PROPORTIONAL, 0, T0), 0);
        assert_int_equal(remaining(&rates, 0, T0), expected[i]);
    }
}

static void rate_b28_other_carries(void **state)
{
    (void)state;
    const struct {
        enum sl_rates_carry carry;
        uint64_t cap, expected;
    } cases[] = {{SL_CARRY_AS_IS, 20, 20},   {SL_CARRY_AS_IS, 200, 40},  {SL_CARRY_ADDITIVE, 200, 140},
                 {SL_CARRY_ADDITIVE, 20, 0}, {SL_CARRY_RESET, 200, 200}, {SL_CARRY_RESET, 20, 20}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sl_rates rates = one(bucket(100, 100));
        assert_int_equal(sl_rates_try(&rates, 60, T0, NULL), 0);
        struct sl_rate next = bucket(cases[i].cap, 70); /* another pace, too */
        next.period = SL_SECONDS(100);
        assert_int_equal(sl_rates_change(&rates, &next, 1, cases[i].carry, 0, T0), 0);
        assert_int_equal(remaining(&rates, 0, T0), cases[i].expected);
    }
}

static void rate_b29_revisions(void **state)
{
    (void)state;
    sl_rates rates = one(bucket(10, 100));
    struct sl_rate next = bucket(20, 100), older = bucket(5, 100);
    assert_int_equal(sl_rates_change(&rates, &next, 1, SL_CARRY_RESET, 7, T0), 0);
    assert_int_equal(sl_rates_change(&rates, &older, 1, SL_CARRY_RESET, 7, T0), SL_EALREADY);
    assert_int_equal(sl_rates_change(&rates, &older, 1, SL_CARRY_RESET, 3, T0), SL_EALREADY);
    assert_int_equal(remaining(&rates, 0, T0), 20);
    assert_int_equal(sl_rates_change(&rates, &older, 1, SL_CARRY_RESET, 8, T0), 0);
    assert_int_equal(remaining(&rates, 0, T0), 5);
}

/* ---- headers ---- */

struct header {
    const char *name, *value;
};

static const char *find(const void *message, const char *name)
{
    for (const struct header *header = message; header->name != NULL; header++) {
        if (strcasecmp(header->name, name) == 0) {
            return header->value;
        }
    }
    return NULL;
}

#define HEADERS(...)                                                                                                   \
    (const struct header[])                                                                                            \
    {                                                                                                                  \
        __VA_ARGS__,                                                                                                   \
        {                                                                                                              \
            NULL, NULL                                                                                                 \
        }                                                                                                              \
    }
#define WALL SL_SECONDS(INT64_C(784111777)) /* Sun, 06 Nov 1994 08:49:37 GMT */

static struct sl_limit_news heard(const char *dialect, int status, const struct header *headers)
{
    struct sl_limit_news news;
    sl_limit_news_read(sl_limit_dialect_find(dialect), status, find, headers, WALL, &news);
    return news;
}

static bool heed(sl_rates *rates, const char *dialect, int status, const struct header *headers,
                 const sl_permit *permit, sl_time now)
{
    struct sl_limit_news news = heard(dialect, status, headers);
    return sl_rates_heed(rates, &news, permit, now);
}

static void rate_b30_remaining_zero(void **state)
{
    (void)state;
    sl_rates rates = one((struct sl_rate){.count = 100, .period = SL_SECONDS(60), .burst = 10, .per_call = true});
    assert_true(heed(&rates, "standard", 200, HEADERS({"RateLimit", "\"default\";r=0;t=10"}), NULL, T0));
    assert_int_equal(sl_rates_when(&rates, 1, T0), T0 + SL_SECONDS(10));
    assert_int_equal(sl_rates_try(&rates, 1, T0 + SL_SECONDS(10) - 1, NULL), SL_EAGAIN);
    assert_int_equal(sl_rates_try(&rates, 1, T0 + SL_SECONDS(10), NULL), 0); /* released by itself */
    /* Without any limit of our own it binds as well. */
    assert_int_equal(sl_rates_init(&rates, NULL, 0), 0);
    assert_true(heed(&rates, "standard", 200, HEADERS({"RateLimit", "a;r=2;t=10"}), NULL, T0));
    sl_permit permit;
    assert_int_equal(sl_rates_try(&rates, 1, T0, &permit), 0);
    assert_true(sl_rates_refund(&rates, &permit)); /* it did not go: two are left still */
    assert_int_equal(sl_rates_try(&rates, 1, T0, NULL), 0);
    assert_int_equal(sl_rates_try(&rates, 50, T0, NULL), 0);
    assert_int_equal(sl_rates_when(&rates, 1, T0), T0 + SL_SECONDS(10));
}

static void rate_b31_retry_after_beats_reset(void **state)
{
    (void)state;
    sl_rates rates = one(bucket(10, 1));
    assert_true(heed(&rates, "standard", 429, HEADERS({"Retry-After", "5"}, {"RateLimit", "\"d\";r=0;t=3"}), NULL, T0));
    assert_int_equal(sl_rates_when(&rates, 1, T0), T0 + SL_SECONDS(5));
}

static void rate_b32_retry_after_dates(void **state)
{
    (void)state;
    const struct {
        const char *text;
        sl_time expected;
    } cases[] = {{"120", SL_SECONDS(120)},
                 {" 0 ", 0},
                 {"Sun, 06 Nov 1994 08:49:37 GMT", 0},
                 {"Sun, 06 Nov 1994 08:49:30 GMT", 0},
                 {"Sun, 06 Nov 1994 08:50:07 GMT", SL_SECONDS(30)},
                 {"Sun, 06 Nov 1994 08:49:60 GMT", SL_SECONDS(23)}, /* a leap second */
                 {"Sunday, 06-Nov-94 08:50:07 GMT", SL_SECONDS(30)},
                 {"Sun Nov  6 08:50:07 1994", SL_SECONDS(30)},
                 {"Mon, 07 Nov 1994 08:49:37 GMT", SL_SECONDS(86400)},
                 {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
                 {"Fri, 31 Dec 9999 23:59:59 GMT", SL_RETRY_AFTER_MAX},
                 {"99999999999999999999", SL_RETRY_AFTER_MAX},
                 {"", SL_UNKNOWN},
                 {"-1", SL_UNKNOWN},
                 {"5s", SL_UNKNOWN},
                 {"1.5", SL_UNKNOWN},
                 {"soon", SL_UNKNOWN},
                 {"Sun, 06 Nov 1994 08:49:37", SL_UNKNOWN},
                 {"Sun, 06 Nov 1994 08:49:37 GMT+1", SL_UNKNOWN},
                 {"Sun, 32 Nov 1994 08:49:37 GMT", SL_UNKNOWN},
                 {"Sun, 06 Non 1994 08:49:37 GMT", SL_UNKNOWN},
                 {"Sun, 06 Nov 1994 25:49:37 GMT", SL_UNKNOWN}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(sl_retry_after_parse(cases[i].text, WALL), cases[i].expected);
    }
    /* Two digits of a year: 94 is long past in 2026, 27 is next year. */
    assert_int_equal(sl_retry_after_parse("Sunday, 06-Nov-94 08:50:07 GMT", SL_SECONDS(INT64_C(1767225600))), 0);
    assert_true(sl_retry_after_parse("Friday, 01-Jan-27 00:00:00 GMT", SL_SECONDS(INT64_C(1767225600))) > 0);
    assert_int_equal(sl_retry_after_parse("Sun, 06 Nov 1994 08:49:38 GMT", WALL + SL_MILLISECONDS(400)),
                     SL_MILLISECONDS(600));
    assert_int_equal(heard("standard", 503, HEADERS({"Retry-After", "whenever"})).ignored, 1);
    assert_int_equal(heard("standard", 503, HEADERS({"Retry-After", "whenever"})).retry_after, SL_UNKNOWN);
}

static void rate_b33_malformed_is_ignored(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",        "\"d\";r=-1;t=10", "\"d\";r=0;t=1.5x", "\"d\";t=10", "\"d;r=0;t=10", "\"d\";r=x",
        "\"d\";r", "\"d\";r=0;;t=1",  "\"d\";r=0 t=1",    ";r=0;t=1",   "\"d\";r=0,",   "\"d\";r=99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sl_rates rates = one(bucket(10, 1));
        sl_rates before = rates;
        assert_false(heed(&rates, "standard", 200, HEADERS({"RateLimit", bad[i]}), NULL, T0));
        assert_memory_equal(&rates, &before, sizeof rates);
        assert_int_equal(heard("standard", 200, HEADERS({"RateLimit", bad[i]})).ignored, 1);
    }
    struct sl_limit_news news =
        heard("standard", 200,
              HEADERS({"RateLimit", " \"a\\\"b\" ; r=5;t=7 , c;r=6"},
                      {"RateLimit-Policy",
                       "c;q=10;w=60;pk=:YWI=:, \"a\\\"b\";q=9;w=1;qu=\"requests\", x;q=1;qu=\"content-bytes\""}));
    assert_int_equal(news.ignored, 0);
    assert_int_equal(news.quota_count, 2);
    assert_int_equal(news.quotas[0].limit, 10);
    assert_int_equal(news.quotas[0].remaining, 6);
    assert_int_equal(news.quotas[0].reset, SL_UNKNOWN);
    assert_int_equal(news.quotas[1].limit, 9);
    assert_int_equal(news.quotas[1].remaining, 5);
    assert_int_equal(news.quotas[1].reset, SL_SECONDS(7));
    assert_int_equal(news.quotas[1].period, SL_SECONDS(1));
}

static void rate_b34_cached_says_nothing(void **state)
{
    (void)state;
    sl_rates rates = one(bucket(10, 1));
    assert_false(heed(&rates, "standard", 429, HEADERS({"Age", "3"}, {"Retry-After", "5"}, {"RateLimit", "d;r=0;t=9"}),
                      NULL, T0));
    assert_int_equal(sl_rates_when(&rates, 1, T0), T0);
    assert_true(heed(&rates, "standard", 429, HEADERS({"Age", "0"}, {"Retry-After", "5"}), NULL, T0));
}

static void rate_b35_older_news_do_not_loosen(void **state)
{
    (void)state;
    sl_rates rates = one((struct sl_rate){.count = 100, .period = SL_SECONDS(60), .burst = 10, .per_call = true});
    sl_permit older, newer;
    assert_int_equal(sl_rates_try(&rates, 1, T0, &older), 0);
    assert_int_equal(sl_rates_try(&rates, 1, T0, &newer), 0);
    assert_true(heed(&rates, "standard", 200, HEADERS({"RateLimit", "d;r=0;t=10"}), &newer, T0));
    assert_false(heed(&rates, "standard", 200, HEADERS({"RateLimit", "d;r=80;t=40"}), &older, T0));
    assert_int_equal(sl_rates_when(&rates, 1, T0), T0 + SL_SECONDS(10));
    /* What went after the call that the server speaks of counts against what it left. */
    rates = one((struct sl_rate){.count = 100, .period = SL_SECONDS(60), .burst = 10, .per_call = true});
    assert_int_equal(sl_rates_try(&rates, 1, T0, &older), 0);
    assert_int_equal(sl_rates_try(&rates, 1, T0, NULL), 0);
    assert_int_equal(sl_rates_try(&rates, 1, T0, NULL), 0);
    assert_true(heed(&rates, "standard", 200, HEADERS({"RateLimit", "d;r=3;t=10"}), &older, T0));
    assert_int_equal(sl_rates_try(&rates, 1, T0, NULL), 0);
    assert_int_equal(sl_rates_try(&rates, 1, T0, NULL), SL_EAGAIN);
}

static void announced_limits_bind_and_rise_again(void **state)
{
    (void)state;
    sl_rates rates = one((struct sl_rate){.count = 100, .period = SL_SECONDS(60), .burst = 10, .per_call = true});
    struct sl_rate_state look;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(sl_rates_try(&rates, 1, T0, NULL), 0);
    }
    assert_true(heed(&rates, "standard", 200, HEADERS({"RateLimit-Policy", "d;q=12;w=60"}), NULL, T0));
    assert_int_equal(sl_rates_look(&rates, 0, T0, &look), 0);
    assert_int_equal(look.rate.count, 12);
    uint64_t more = 0;
    for (sl_time now = T0; now < T0 + SL_SECONDS(60); now += SL_MILLISECONDS(10)) {
        more += sl_rates_try(&rates, 1, now, NULL) == 0;
    }
    assert_int_equal(more, 2); /* ten went before */
    assert_true(
        heed(&rates, "standard", 200, HEADERS({"RateLimit-Policy", "d;q=5000;w=60"}), NULL, T0 + SL_SECONDS(60)));
    assert_int_equal(sl_rates_look(&rates, 0, T0, &look), 0);
    assert_int_equal(look.rate.count, 100); /* the operator's word is the most */
    assert_int_equal(look.rate.burst, 10);
    /* A limit we did not know of is learned, and outlives a change of ours. */
    assert_true(heed(&rates, "standard", 200, HEADERS({"RateLimit-Policy", "s;q=2;w=1"}), NULL, T0 + SL_SECONDS(60)));
    struct sl_rate next = {.count = 50, .period = SL_SECONDS(60), .burst = 10, .per_call = true};
    assert_int_equal(sl_rates_change(&rates, &next, 1, SL_CARRY_AS_IS, 0, T0 + SL_SECONDS(61)), 0);
    assert_int_equal(sl_rates_look(&rates, 1, T0, &look), 0);
    assert_int_equal(look.rate.count, 2);
    assert_int_equal(look.rate.period, SL_SECONDS(1));
    assert_int_equal(rates.count, 2);
}

/* What holds must outlive what happens beside it. */
static void caps_and_bookings_hold(void **state)
{
    (void)state;
    struct sl_rate rate = {.count = 100, .period = SL_MINUTES(1), .burst = 10};
    sl_rates rates = one(rate);
    sl_permit permit, booked;
    /* Nobody goes before a reservation, not even one that the server's word would let pass. */
    assert_true(heed(&rates, "used-weight", 200, HEADERS({"X-MBX-USED-WEIGHT-1M", "99"}), NULL, T0));
    assert_int_equal(sl_rates_reserve(&rates, 5, SL_NEVER, T0, &booked), 0);
    assert_int_equal(booked.when, T0 + SL_SECONDS(23));
    assert_int_equal(sl_rates_try(&rates, 1, T0, NULL), SL_EAGAIN);
    assert_true(sl_rates_when(&rates, 1, T0) >= booked.when);
    /* News in between: the place cannot be undone any more. */
    assert_true(heed(&rates, "standard", 429, HEADERS({"Retry-After", "60"}), NULL, T0));
    assert_false(sl_rates_refund(&rates, &booked));
    /* Within a window the server's word only sinks. */
    rate.per_call = true;
    rates = one(rate);
    assert_true(heed(&rates, "standard", 200, HEADERS({"RateLimit", "d;r=2;t=10"}), NULL, T0));
    assert_int_equal(sl_rates_try(&rates, 1, T0, &permit), 0);
    assert_true(heed(&rates, "standard", 200, HEADERS({"RateLimit", "d;r=50;t=10"}), &permit, T0 + 300 * MS));
    assert_int_equal(remaining(&rates, 0, T0 + 300 * MS), 1);
    assert_true(heed(&rates, "standard", 200, HEADERS({"RateLimit", "d;r=5;t=30"}), &permit, T0 + 300 * MS));
    assert_int_equal(remaining(&rates, 0, T0 + 300 * MS), 5); /* another window */
    /* It outlives a change of the limits, and so does the guard that a change leaves, when the same is set again. */
    assert_true(heed(&rates, "standard", 200, HEADERS({"RateLimit", "d;r=0;t=30"}), &permit, T0 + 300 * MS));
    rate.count = 50;
    assert_int_equal(sl_rates_change(&rates, &rate, 1, SL_CARRY_RESET, 0, T0 + 300 * MS), 0);
    assert_int_equal(remaining(&rates, 0, T0 + 300 * MS), 0);
    rates = one(rate);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(sl_rates_try(&rates, 1, T0, NULL), 0);
    }
    rate.count = 12;
    assert_int_equal(sl_rates_change(&rates, &rate, 1, SL_CARRY_RESET, 0, T0), 0);
    assert_int_equal(sl_rates_change(&rates, &rate, 1, SL_CARRY_PROPORTIONAL, 0, T0), 0);
    assert_int_equal(remaining(&rates, 0, T0), 2);
}

/* A venue that calls itself a token bucket and then announces a window is held to the window. */
static void a_bucket_that_is_lowered_becomes_a_window(void **state)
{
    (void)state;
    sl_rates rates =
        one((struct sl_rate){.count = 100, .period = SL_MINUTES(1), .burst = 100, .bucket = true, .per_call = true});
    assert_true(heed(&rates, "standard", 200, HEADERS({"RateLimit-Policy", "d;q=50;w=60"}), NULL, T0));
    uint64_t admitted = 0;
    for (sl_time now = T0; now < T0 + SL_MINUTES(1); now += 10 * MS) {
        admitted += sl_rates_try(&rates, 1, now, NULL) == 0;
    }
    assert_in_range(admitted, 48, 50);
}

static void dialects(void **state)
{
    (void)state;
    assert_null(sl_limit_dialect_find("klingon"));
    /* Binance: weight used in this minute of the wall clock, by everyone behind our address. */
    sl_rates rates = one((struct sl_rate){.count = 6000, .period = SL_MINUTES(1), .burst = 600});
    sl_permit permit;
    assert_int_equal(sl_rates_try(&rates, 250, T0, &permit), 0);
    assert_int_equal(sl_rates_try(&rates, 50, T0, NULL), 0);
    assert_true(heed(&rates, "used-weight", 200, HEADERS({"x-mbx-used-weight-1m", "5900"}), &permit, T0));
    assert_int_equal(remaining(&rates, 0, T0), 50);
    assert_int_equal(sl_rates_when(&rates, 51, T0), T0 + SL_SECONDS(23)); /* it is :37 */
    assert_true(heed(&rates, "used-weight", 418, HEADERS({"Retry-After", "259200"}), NULL, T0));
    assert_int_equal(sl_rates_when(&rates, 1, T0), T0 + SL_SECONDS(259200));
    rates = one(bucket(10, 1));
    assert_true(heed(&rates, "used-weight", 418, HEADERS({"Server", "x"}), NULL, T0));
    assert_int_equal(sl_rates_when(&rates, 1, T0), T0 + SL_MINUTES(2));
    /* Bybit: a time in ms since 1970; 403 bans for ten minutes. */
    rates = one(bucket(10, 1));
    assert_true(heed(
        &rates, "bapi", 200,
        HEADERS({"X-Bapi-Limit", "10"}, {"X-Bapi-Limit-Status", "0"}, {"X-Bapi-Limit-Reset-Timestamp", "784111779500"}),
        NULL, T0));
    assert_int_equal(sl_rates_when(&rates, 1, T0), T0 + SL_MILLISECONDS(2500));
    assert_true(heed(&rates, "bapi", 403, HEADERS({"Server", "x"}), NULL, T0));
    assert_int_equal(sl_rates_when(&rates, 1, T0), T0 + SL_MINUTES(10));
    assert_false(heed(&rates, "standard", 403, HEADERS({"Server", "x"}), NULL, T0)); /* elsewhere it is none */
    /* X-RateLimit in seconds, and as a time. */
    rates = one(bucket(10, 1));
    assert_true(heed(&rates, "x-ratelimit", 200, HEADERS({"X-RateLimit-Remaining", "0"}, {"X-RateLimit-Reset", "7"}),
                     NULL, T0));
    assert_int_equal(sl_rates_when(&rates, 1, T0), T0 + SL_SECONDS(7));
    rates = one(bucket(10, 1));
    assert_true(heed(&rates, "x-ratelimit-time", 200,
                     HEADERS({"X-RateLimit-Remaining", "0"}, {"X-RateLimit-Reset", "784111785"}), NULL, T0));
    assert_int_equal(sl_rates_when(&rates, 1, T0), T0 + SL_SECONDS(8));
    assert_int_equal(heard("x-ratelimit", 200, HEADERS({"X-RateLimit-Remaining", "few"})).ignored, 1);
}

static void refusals_without_a_time(void **state)
{
    (void)state;
    sl_rates rates = one(bucket(1000, 1));
    const struct sl_limit_news news = {.status = 429, .retry_after = SL_UNKNOWN};
    const struct sl_limit_news good = {.status = 200, .retry_after = SL_UNKNOWN};
    sl_permit first, second;
    assert_int_equal(sl_rates_try(&rates, 1, T0, &first), 0);
    assert_int_equal(sl_rates_try(&rates, 1, T0, &second), 0);
    sl_time now = T0 + MS;
    assert_true(sl_rates_heed(&rates, &news, &first, now));
    assert_int_equal(sl_rates_when(&rates, 1, now), now + SL_SECONDS(1));
    assert_false(sl_rates_heed(&rates, &news, &second, now + MS));     /* it was under way: not a second strike */
    assert_false(sl_rates_heed(&rates, &good, &second, now + 2 * MS)); /* nor does its success forgive the first */
    for (sl_time penalty = 2; penalty <= 200; penalty *= 2) {
        now = sl_rates_when(&rates, 1, now);
        assert_int_equal(sl_rates_try(&rates, 1, now, &first), 0);
        assert_true(sl_rates_heed(&rates, &news, &first, now));
        assert_int_equal(sl_rates_when(&rates, 1, now), now + SL_SECONDS(penalty < 60 ? penalty : 60));
    }
    now = sl_rates_when(&rates, 1, now);
    assert_int_equal(sl_rates_try(&rates, 1, now, &first), 0);
    assert_false(sl_rates_heed(&rates, &good, &first, now));
    assert_true(sl_rates_heed(&rates, &news, &first, now));
    assert_int_equal(sl_rates_when(&rates, 1, now), now + SL_SECONDS(1));
}

static void rate_b37_near_limit(void **state)
{
    (void)state;
    sl_rates rates = one((struct sl_rate){.count = 10, .period = SL_SECONDS(1), .burst = 10});
    for (uint64_t i = 1; i <= 10; i++) {
        assert_int_equal(sl_rates_try(&rates, 1, T0, NULL), 0);
        assert_int_equal(rates.near_limit, i > 8 ? i - 8 : 0);
    }
}

static void bad_limits_are_refused(void **state)
{
    (void)state;
    const struct sl_rate bad[] = {{.count = 0, .period = SL_SECONDS(1)},
                                  {.count = SL_RATE_COUNT_MAX + 1, .period = SL_SECONDS(1)},
                                  {.count = 1, .period = 0},
                                  {.count = 1, .period = SL_RATE_PERIOD_MIN - 1},
                                  {.count = 1, .period = SL_RATE_PERIOD_MAX + 1},
                                  {.count = 5, .period = SL_SECONDS(1), .burst = 6},
                                  {.count = 5, .period = SL_SECONDS(1), .burst = SL_RATE_COUNT_MAX + 1, .bucket = true},
                                  {.count = 500000, .period = SL_RATE_PERIOD_MAX, .burst = 500000}};
    sl_rates rates = one(bucket(10, 100));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sl_rates other;
        assert_int_equal(sl_rates_init(&other, &bad[i], 1), SL_EINVAL);
        assert_int_equal(sl_rates_change(&rates, &bad[i], 1, SL_CARRY_AS_IS, 0, T0), SL_EINVAL);
        assert_int_equal(remaining(&rates, 0, T0), 10);
    }
    struct sl_rate many[SL_RATES_MAX + 1];
    for (size_t i = 0; i < SL_RATES_MAX + 1; i++) {
        many[i] = bucket(1, 1);
    }
    assert_int_equal(sl_rates_init(&rates, many, SL_RATES_MAX + 1), SL_EINVAL);
}

/* ---- the table of keys ---- */

static void table_keeps_keys_apart_and_forgets(void **state)
{
    (void)state;
    struct sl_rate limit = bucket(2, 1000);
    sl_rate_table *table = NULL;
    assert_int_equal(sl_rate_table_create(&limit, 1, 1000, 42, &table), 0);
    sl_time when = 0;
    for (uint32_t round = 0; round < 50; round++) { /* fifty times as many keys as fit, one after the other */
        sl_time now = T0 + (sl_time)round * SL_SECONDS(2);
        for (uint32_t i = 0; i < 1000; i++) {
            uint32_t key[3] = {round, i, 7};
            assert_int_equal(sl_rate_table_try(table, key, sizeof key, 2, now, NULL), 0);
        }
        for (uint32_t i = 0; i < 1000; i++) {
            uint32_t key[3] = {round, i, 7};
            assert_int_equal(sl_rate_table_try(table, key, sizeof key, 1, now, &when), SL_EAGAIN);
            assert_int_equal(when, now + SL_SECONDS(1));
        }
    }
    assert_int_equal(sl_rate_table_try(table, "a", 1, 3, T0, NULL), SL_EINVAL);
    sl_rate_table_free(table);
}

static void table_full_refuses_newcomers_only(void **state)
{
    (void)state;
    struct sl_rate limit = bucket(2, 1000);
    sl_rate_table *table = NULL;
    assert_int_equal(sl_rate_table_create(&limit, 1, 5, 42, &table), 0);
    sl_time when = 0;
    uint32_t refused = 0;
    for (uint32_t i = 0; i < 20; i++) {
        int code = sl_rate_table_try(table, &i, sizeof i, 1, T0 + i, &when);
        assert_true(code == 0 || (code == SL_EAGAIN && when == T0 + SL_SECONDS(1)));
        refused += code != 0;
    }
    assert_int_equal(refused, 12); /* eight slots */
    uint32_t first = 0, newest = 19;
    assert_int_equal(sl_rate_table_try(table, &first, sizeof first, 1, T0 + 30, NULL), 0); /* a known key goes on */
    assert_int_equal(sl_rate_table_try(table, &newest, sizeof newest, 1, T0 + SL_SECONDS(1) - 1, &when), SL_EAGAIN);
    assert_int_equal(sl_rate_table_try(table, &newest, sizeof newest, 1, when - 1, NULL), SL_EAGAIN);
    assert_int_equal(sl_rate_table_try(table, &newest, sizeof newest, 1, when, NULL), 0);
    sl_rate_table_free(table);
    assert_int_equal(sl_rate_table_create(&limit, 1, 0, 42, &table), SL_EINVAL);
    assert_int_equal(sl_rate_table_create(&limit, 5, 10, 42, &table), SL_EINVAL);
    sl_memory_fail_after(0);
    assert_int_equal(sl_rate_table_create(&limit, 1, 10, 42, &table), SL_ENOMEM);
    sl_memory_fail_after(-1);
}

SL_TEST_MAIN(cmocka_unit_test(rate_b01_burst_from_idle), cmocka_unit_test(rate_b02_steady_load),
             cmocka_unit_test(rate_b04_idle_time_does_not_pile_up), cmocka_unit_test(rate_b05_denied_changes_nothing),
             cmocka_unit_test(rate_b06_peek_changes_nothing), cmocka_unit_test(rate_b07_cost_of_the_burst),
             cmocka_unit_test(rate_b08_costs_not_calls), cmocka_unit_test(rate_b09_all_or_nothing),
             cmocka_unit_test(rate_b10_reported_wait_is_exact), cmocka_unit_test(rate_b11_reservations_in_order),
             cmocka_unit_test(rate_b12_too_long_books_nothing), cmocka_unit_test(rate_b13_refunds),
             cmocka_unit_test(rate_b27_proportional_carry), cmocka_unit_test(rate_b28_other_carries),
             cmocka_unit_test(rate_b29_revisions), cmocka_unit_test(rate_b30_remaining_zero),
             cmocka_unit_test(rate_b31_retry_after_beats_reset), cmocka_unit_test(rate_b32_retry_after_dates),
             cmocka_unit_test(rate_b33_malformed_is_ignored), cmocka_unit_test(rate_b34_cached_says_nothing),
             cmocka_unit_test(rate_b35_older_news_do_not_loosen),
             cmocka_unit_test(announced_limits_bind_and_rise_again), cmocka_unit_test(dialects),
             cmocka_unit_test(caps_and_bookings_hold), cmocka_unit_test(a_bucket_that_is_lowered_becomes_a_window),
             cmocka_unit_test(refusals_without_a_time), cmocka_unit_test(rate_b37_near_limit),
             cmocka_unit_test(bad_limits_are_refused), cmocka_unit_test(table_keeps_keys_apart_and_forgets),
             cmocka_unit_test(table_full_refuses_newcomers_only))
