/* SPDX-License-Identifier: MIT */
/* The program's configuration: what a file becomes, and how services read it. */
#include "conf_support.h"

#include "venues/venue.h"

/* The file of the design, word for word. */
static const char example[] =
    "services:\n"
    "  binance-books:\n"
    "    kind: book                       # stream | book | poll | backfill | receive\n"
    "    venue: binance\n"
    "    instruments: [\"BTC-USDT\", \"ETH-*\"]\n"
    "    connections: { redundancy: 2, max_streams: 200 }\n"
    "    retry: default\n"
    "    sinks: [archive, bus]\n"
    "limits:\n"
    "  binance-rest: { rates: [{ rate: 6000/1m, cost: weight }], adapt: headers, shared: redis }\n"
    "retry:\n"
    "  default: { attempts: 0, initial: 250ms, max: 30s, multiplier: 2, jitter: full, total: 0s }\n"
    "coordination: { backend: redis, url: \"redis://localhost:6379\", group: md, partitions: 64, ttl: 10s }\n"
    "sinks:\n"
    "  archive: { kind: sqlite, path: market.db }\n"
    "  bus: { kind: rabbitmq, url: \"amqp://localhost\", exchange: market, confirm: true, when_full: spool }\n"
    "admin: { listen: \"127.0.0.1:8080\" }\n";

static void the_example_becomes_structs(void **state)
{
    (void)state;
    sl_auto(sl_config) *config = conf_loaded(example);
    const struct sl_conf *conf = conf_of(config);
    assert_int_equal(conf->services.count, 1);
    const struct sl_config_variant *service = sl_conf_service_find(conf, "binance-books");
    assert_non_null(service);
    assert_null(sl_conf_service_find(conf, "binance-book"));
    assert_int_equal(sl_conf_service_kind(service), SL_CONF_BOOK);
    const struct sl_conf_book *book = service->value;
    assert_true(book->common.enabled);
    assert_int_equal(book->common.sinks.count, 2);
    assert_int_equal(book->connections.redundancy, 2);
    assert_int_equal(book->connections.max_streams, 200);
    assert_int_equal(book->connections.max_message_bytes, 16 << 20);
    const struct sl_conf_market *market = sl_conf_market(service);
    assert_int_equal(market->venue, SL_CONF_VENUE_BINANCE);
    assert_int_equal(market->instruments.count, 2);
    assert_string_equal(*(const char *const *)sl_config_list_at(&market->instruments, 1), "ETH-*");
    assert_string_equal(sl_conf_limit_of(conf, service), "binance-rest");
    assert_string_equal(sl_conf_retry_of(conf, service), "default");
    assert_null(sl_conf_breaker_of(conf, service));
    assert_int_equal(sl_conf_partitions(conf), 64);
    const struct sl_config_variant *bus = sl_conf_sink_find(conf, "bus");
    assert_int_equal(sl_conf_sink_kind(bus), SL_CONF_RABBITMQ);
    assert_int_equal(sl_conf_sink(bus)->when_full, SL_CONF_FULL_SPOOL);
    assert_int_equal(sl_conf_sink(bus)->queue, 262144);
    struct sl_retry_policy policy;
    sl_conf_retry_policy(sl_config_map_find(&conf->retry, "default"), &policy);
    assert_int_equal(policy.attempts, SL_ATTEMPTS_UNLIMITED);
    assert_int_equal(policy.initial, SL_MILLISECONDS(250));
    assert_int_equal(policy.total, SL_NEVER);
}

/* Redis behind sentinels, as a cluster, by a socket. */
static void redis_has_many_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *url, *host, *path;
        int port;
    } rows[] = {{"redis://u:p@h:1/2", "h", "/2", 1},
                {"rediss://h", "h", "", 0},
                {"redis+sentinel://:p@a:1,b:2,c/master/3", "a", "/master/3", 1},
                {"redis+cluster://[::1]:7,b", "::1", "", 7},
                {"rediss+cluster://a", "a", "", 0},
                {"unix:///run/redis.sock?db=1", "", "/run/redis.sock?db=1", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512];
        (void)snprintf(text, sizeof text, "%ssinks: {db: {kind: redis, url: '%s'}}\n", CONF_SERVICES, rows[i].url);
        sl_auto(sl_config) *config = conf_loaded(text);
        const struct sl_conf_redis *redis = sl_conf_sink_find(conf_of(config), "db")->value;
        assert_string_equal(redis->url.text, rows[i].url);
        assert_string_equal(redis->url.host, rows[i].host);
        assert_string_equal(redis->url.path, rows[i].path);
        assert_int_equal(redis->url.port, rows[i].port);
    }
}

/* ---- which policy a service has ---- */

static void policies_are_looked_up_in_order(void **state)
{
    (void)state;
    static const char rest[] =
        "sinks: {db: {kind: sqlite, path: a.db}}\n"
        "limits: {okx-rest: {rates: [{rate: 1/s}]}, l: {rates: [{rate: 1/s}]}, m: {rates: [{rate: 1/s}]}}\n"
        "retry: {default: {}, r: {}, q: {}}\nbreakers: {b: {}, c: {}}\nbulkheads: {b: {}, c: {}}\n";
    static const struct {
        const char *venue, *own, *limit, *retry, *breaker, *bulkhead;
    } rows[] = {
        {"", "", "okx-rest", "default", NULL, NULL},
        {"limit: l, retry: r, breaker: b, bulkhead: b", "", "l", "r", "b", "b"},
        {"limit: l, retry: r, breaker: b, bulkhead: b", ", limit: m, retry: q, breaker: c, bulkhead: c", "m", "q", "c",
         "c"},
        {"", ", limit: m, retry: q, breaker: c, bulkhead: c", "m", "q", "c", "c"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[2048];
        (void)snprintf(text, sizeof text,
                       "%svenues: {okx: {%s}}\n"
                       "services: {s: {kind: stream, venue: okx, instruments: [X], sinks: [db]%s}}\n",
                       rest, rows[i].venue, rows[i].own);
        sl_auto(sl_config) *config = conf_loaded(text);
        const struct sl_conf *conf = conf_of(config);
        const struct sl_config_variant *service = sl_conf_service_find(conf, "s");
        assert_string_equal(sl_conf_limit_of(conf, service), rows[i].limit);
        assert_string_equal(sl_conf_retry_of(conf, service), rows[i].retry);
        if (rows[i].breaker == NULL) {
            assert_null(sl_conf_breaker_of(conf, service));
            assert_null(sl_conf_bulkhead_of(conf, service));
        } else {
            assert_string_equal(sl_conf_breaker_of(conf, service), rows[i].breaker);
            assert_string_equal(sl_conf_bulkhead_of(conf, service), rows[i].bulkhead);
        }
    }
    sl_auto(sl_config) *config =
        conf_loaded(CONF_SINKS "services: {s: {kind: receive, listen: 'localhost:0', sinks: [db]}, "
                               "t: {kind: poll, venue: okx, instruments: [X], channel: candles, sinks: [db]}}\n");
    const struct sl_conf *conf = conf_of(config);
    const struct sl_config_variant *receive = sl_conf_service_find(conf, "s");
    assert_null(sl_conf_market(receive));
    assert_null(sl_conf_limit_of(conf, receive));
    assert_null(sl_conf_retry_of(conf, receive));
    assert_null(sl_conf_limit_of(conf, sl_conf_service_find(conf, "t")));
    assert_int_equal(sl_conf_partitions(conf), 1);
}

static void candles_of_every_history_may_be_asked_for(void **state)
{
    (void)state;
    for (int venue = SL_CONF_VENUE_BINANCE; venue <= SL_CONF_VENUE_BITSTAMP; venue++) {
        char text[512];
        const char *name = sl_conf_venue_name(venue);
        (void)snprintf(text, sizeof text,
                       CONF_SINKS "services: {s: {kind: backfill, venue: %s, instruments: [X], from: 1h, channels: "
                                  "[candles], candles: [1m, 1h], sinks: [db]}, t: {kind: poll, venue: %s, "
                                  "instruments: [X], channel: candles, sinks: [db]}}\n",
                       name, name);
        sl_auto(sl_config) *config = conf_loaded(text);
        assert_non_null(sl_conf_service_find(conf_of(config), "t"));
    }
}

/* ---- policies ---- */

#define POLICIES                                                                                                       \
    "limits: {l: {rates: [{rate: 6000/1m, burst: 600}, {rate: 10/1s, burst: 15, bucket: true, cost: call}], dialect: " \
    "bapi, max_wait: 5s, max_waiting: 7, shadow: true}}\n"                                                             \
    "retry: {r: {attempts: 3, initial: 1s, max: 2s, multiplier: 3, jitter: equal, total: 0, attempt_timeout: 0, "      \
    "retry_after_max: 0, stable_after: 0, budget: {ratio: 0%, reserve: 0, window: 1s}}, s: {}}\n"                      \
    "breakers: {b: {failure_ratio: 25%, slow_ratio: 30%, slow_call: 1s, min_calls: 2, window_calls: 4, window: 3s, "   \
    "open_for: 4s, open_max: 5s, half_open_calls: 6}}\n"                                                               \
    "bulkheads: {f: {initial: 300}, a: {adapt: aimd, initial: 30, min: 3, max: 33, backoff: 0.5, slow_call: 1s, "      \
    "max_wait: 0, max_waiting: 5}}\n"

static void limits_and_retries_become_policies(void **state)
{
    (void)state;
    sl_auto(sl_config) *config = conf_loaded(CONF_LEAST POLICIES);
    const struct sl_conf *conf = conf_of(config);
    struct sl_rate rates[SL_RATES_MAX];
    struct sl_limiter_options limiter;
    sl_conf_limiter_options("l", sl_config_map_find(&conf->limits, "l"), rates, &limiter);
    assert_int_equal(limiter.rate_count, 2);
    assert_int_equal(rates[0].count, 6000);
    assert_int_equal(rates[0].period, SL_SECONDS(60));
    assert_int_equal(rates[0].burst, 600);
    assert_false(rates[0].per_call || rates[0].bucket);
    assert_true(rates[1].per_call && rates[1].bucket);
    assert_ptr_equal(limiter.dialect, sl_limit_dialect_find("bapi"));
    assert_int_equal(limiter.max_wait, SL_SECONDS(5));
    assert_int_equal(limiter.max_waiting, 7);
    assert_true(limiter.shadow);
    sl_auto(sl_limiter) *made = NULL;
    assert_int_equal(sl_limiter_create(&limiter, &made), 0);

    struct sl_retry_policy retry;
    struct sl_retry_budget_policy budget;
    sl_retry begun;
    sl_conf_retry_policy(sl_config_map_find(&conf->retry, "r"), &retry);
    assert_int_equal(retry.attempts, 3);
    assert_int_equal(retry.max, SL_SECONDS(2));
    assert_int_equal(retry.jitter, SL_JITTER_EQUAL);
    assert_int_equal(retry.total, SL_NEVER);
    assert_int_equal(retry.attempt_timeout, SL_NEVER);
    assert_int_equal(retry.retry_after_max, SL_NEVER);
    assert_int_equal(retry.stable_after, 0);
    assert_int_equal(sl_retry_begin(&begun, &retry, NULL, 1), 0);
    assert_true(sl_conf_retry_budget(sl_config_map_find(&conf->retry, "r"), &budget));
    assert_true(budget.ratio < 0);
    assert_int_equal(budget.reserve, SL_NO_RESERVE);
    assert_false(sl_conf_retry_budget(sl_config_map_find(&conf->retry, "s"), &budget));
    assert_false(sl_conf_retry_budget(NULL, &budget));
    sl_conf_retry_policy(NULL, &retry);
    assert_int_equal(sl_retry_begin(&begun, &retry, NULL, 1), 0);
    assert_int_equal(begun.policy.attempts, 5);
}

static void breakers_and_bulkheads_become_policies(void **state)
{
    (void)state;
    sl_auto(sl_config) *config = conf_loaded(CONF_LEAST POLICIES);
    const struct sl_conf *conf = conf_of(config);
    struct sl_breaker_policy breaker;
    static sl_breaker made;
    sl_conf_breaker_policy(sl_config_map_find(&conf->breakers, "b"), &breaker);
    assert_true(breaker.failure_ratio > 0.24 && breaker.failure_ratio < 0.26);
    assert_int_equal(breaker.slow_call, SL_SECONDS(1));
    assert_int_equal(breaker.min_calls, 2);
    assert_int_equal(breaker.window_calls, 4);
    assert_int_equal(breaker.open_max, SL_SECONDS(5));
    assert_int_equal(breaker.half_open_calls, 6);
    assert_int_equal(sl_breaker_init(&made, &breaker), 0);
    sl_conf_breaker_policy(NULL, &breaker);
    assert_int_equal(sl_breaker_init(&made, &breaker), 0);

    struct sl_bulkhead_options options;
    sl_bulkhead bulkhead;
    sl_conf_bulkhead_options(sl_config_map_find(&conf->bulkheads, "f"), &options);
    assert_int_equal(options.concurrency.kind, SL_CONCURRENCY_FIXED);
    assert_int_equal(sl_bulkhead_init(&bulkhead, &options), 0); /* 300 is more than the max of adaptive ones */
    assert_int_equal(sl_concurrency_limit(&bulkhead.concurrency), 300);
    sl_conf_bulkhead_options(sl_config_map_find(&conf->bulkheads, "a"), &options);
    assert_int_equal(options.concurrency.kind, SL_CONCURRENCY_AIMD);
    assert_int_equal(options.concurrency.min, 3);
    assert_int_equal(options.concurrency.max, 33);
    assert_int_equal(options.max_wait, 0);
    assert_int_equal(options.max_waiting, 5);
    assert_int_equal(sl_bulkhead_init(&bulkhead, &options), 0);
}

/* All corners of the tables are taken by the policy objects: what check lets pass never fails later. */
static void what_check_takes_the_policies_take(void **state)
{
    (void)state;
    static const char *const sets[] = {
        "limits.l.rates=[{rate: 1000000000/1ms, burst: 1000000000}]",
        "limits.l.rates=[{rate: 1/366d}]",
        "limits.l.rates=[{rate: 1/1ms, burst: 1000000000, bucket: true}]",
        "limits.l.max_waiting=1",
        "retry.r.attempts=0",
        "retry.r.multiplier=100",
        "retry.r.initial=1ms",
        "retry.r.max=1d",
        "retry.r.budget={ratio: 1000%, reserve: 1000000, window: 1h}",
        "retry.r.budget={window: 100ms}",
        "breakers.b={failure_ratio: 1%, slow_ratio: 100%, window_calls: 0, min_calls: 100000}",
        "breakers.b={window_calls: 1024, min_calls: 1024}",
        "breakers.b={window: 1d, open_for: 1d, open_max: 1d}",
        "breakers.b={window_calls: 0, window: 100ms, half_open_calls: 1000}",
        "bulkheads.a={initial: 1000000, max: 1000000, adapt: gradient}",
        "bulkheads.a={initial: 1, adapt: aimd, min: 1, max: 1}",
        "bulkheads.a={adapt: aimd, backoff: 0.99, tolerance: 100}",
        "bulkheads.f={initial: 1000000}"};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        sl_auto(sl_config) *config = NULL;
        sl_auto(sl_config_report) *report = NULL;
        if (conf_load(CONF_LEAST POLICIES, &sets[i], 1, &config, &report) != 0) {
            fail_msg("%s: %s", sets[i], sl_config_report_text(report));
        }
        const struct sl_conf *conf = conf_of(config);
        struct sl_rate rates[SL_RATES_MAX];
        struct sl_limiter_options limiter;
        struct sl_retry_policy retry;
        struct sl_retry_budget_policy budget;
        struct sl_breaker_policy breaker;
        struct sl_bulkhead_options bulkhead;
        sl_auto(sl_limiter) *made = NULL;
        sl_retry begun;
        sl_retry_budget made_budget;
        static sl_breaker made_breaker;
        sl_bulkhead made_bulkhead;
        sl_conf_limiter_options("l", sl_config_map_find(&conf->limits, "l"), rates, &limiter);
        sl_conf_retry_policy(sl_config_map_find(&conf->retry, "r"), &retry);
        assert_true(sl_conf_retry_budget(sl_config_map_find(&conf->retry, "r"), &budget));
        sl_conf_breaker_policy(sl_config_map_find(&conf->breakers, "b"), &breaker);
        sl_conf_bulkhead_options(sl_config_map_find(&conf->bulkheads, "a"), &bulkhead);
        if (sl_limiter_create(&limiter, &made) != 0 || sl_retry_begin(&begun, &retry, NULL, 1) != 0 ||
            sl_retry_budget_init(&made_budget, &budget) != 0 || sl_breaker_init(&made_breaker, &breaker) != 0 ||
            sl_bulkhead_init(&made_bulkhead, &bulkhead) != 0) {
            fail_msg("%s is refused later", sets[i]);
        }
    }
}

static void the_runtime_gets_its_options(void **state)
{
    (void)state;
    struct sl_run_options options;
    sl_auto(sl_config) *config =
        conf_loaded(CONF_LEAST "runtime: {stack_size: 128KiB, watchdog: 0, spin: 100us, drain: 7s}\n");
    sl_conf_run_options(conf_of(config), &options);
    assert_int_equal(options.stack_bytes, 131072);
    assert_int_equal(options.watchdog, SL_NEVER);
    assert_int_equal(options.spin, SL_MICROSECONDS(100));
    assert_int_equal(options.grace, SL_SECONDS(7));
    assert_true(options.signals);
}

static int use_much_stack(void *arg)
{
    volatile char much[1 << 20];
    for (size_t at = 0; at < sizeof much; at += 512) {
        much[at] = (char)at;
    }
    *(int *)arg = much[512] != 0;
    return 0;
}

/* Twice as much as it would have by default. */
static void tasks_have_the_stack_that_is_configured(void **state)
{
    (void)state;
    int result = -1;
    struct sl_run_options options;
    sl_auto(sl_config) *config = conf_loaded(CONF_LEAST "runtime: {stack_size: 4MiB}\n");
    sl_conf_run_options(conf_of(config), &options);
    options.signals = false;
    assert_int_equal(sl_run(&options, use_much_stack, &result, NULL), 0);
    assert_int_equal(result, 0);
}

/* ---- texts ---- */

static void addresses_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        int port; /* -1: it is none */
        bool loopback;
    } rows[] = {
        {"127.0.0.1:8080", "127.0.0.1", 8080, true},
        {"127.255.0.9:0", "127.255.0.9", 0, true},
        {"[::1]:65535", "::1", 65535, true},
        {"localhost:80", "localhost", 80, true},
        {"0.0.0.0:80", "0.0.0.0", 80, false},
        {"[::]:80", "::", 80, false},
        {"example.org:80", "example.org", 80, false},
        {"127.0.0.1.evil:1", "127.0.0.1.evil", 1, false},
        {"127.0.0:1", "127.0.0", 1, false},
        {"128.0.0.1:1", "128.0.0.1", 1, false},
        {"localhost.evil:1", "localhost.evil", 1, false},
        {"127.0.0.1.1:1", "127.0.0.1.1", 1, false},
        {"[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", 1, false},
        {"", NULL, -1, false},
        {"80", NULL, -1, false},
        {":80", NULL, -1, false},
        {"h:", NULL, -1, false},
        {"h:65536", NULL, -1, false},
        {"h:000080", NULL, -1, false},
        {"h:-1", NULL, -1, false},
        {"h:8x", NULL, -1, false},
        {"::1:80", NULL, -1, false},
        {"[::1]80", NULL, -1, false},
        {"[::1:80", NULL, -1, false},
        {"[]:80", NULL, -1, false},
        {"[h]:80", NULL, -1, false},
        {"a b:80", NULL, -1, false},
        {"http://h:80", NULL, -1, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char host[SL_CONF_HOST_MAX];
        uint16_t port = 0;
        bool good = sl_conf_listen_parse(rows[i].text, host, &port);
        if (good != (rows[i].port >= 0) || (good && (strcmp(host, rows[i].host) != 0 || port != rows[i].port ||
                                                     sl_conf_host_is_loopback(host) != rows[i].loopback))) {
            fail_msg("%s", rows[i].text);
        }
    }
    char text[SL_CONF_HOST_MAX + 8];
    char host[SL_CONF_HOST_MAX];
    uint16_t port;
    memset(text, 'h', sizeof text);
    (void)snprintf(text + SL_CONF_HOST_MAX, 8, ":80");
    assert_false(sl_conf_listen_parse(text, host, &port));
    assert_true(sl_conf_listen_parse(text + 1, host, &port));
}

static void times_are_read(void **state)
{
    (void)state;
    static const int64_t second = 1000000000;
    static const int64_t now = 1800000000;
    static const struct {
        const char *text;
        int64_t seconds, ns; /* seconds -1: it is none */
    } rows[] = {
        {"1970-01-01", 0, 0},
        {"2026-01-31", 1769817600, 0},
        {"2024-02-29T23:59:59Z", 1709251199, 0},
        {"2000-02-29", 951782400, 0},
        {"2026-01-31T08:00:00Z", 1769846400, 0},
        {"2026-01-31t08:00:00z", 1769846400, 0},
        {"2026-01-31 08:00:00.5Z", 1769846400, 500000000},
        {"2026-01-31T08:00:00.123456789+02:00", 1769839200, 123456789},
        {"2026-01-31T08:00:00-01:30", 1769851800, 0},
        {"30d", 1800000000 - 30 * 86400, 0},
        {"90m", 1800000000 - 5400, 0},
        {"2w", 1800000000 - 1209600, 0},
        {"0s", 1800000000, 0},
        {"999999999w", -1, 0},
        {"", -1, 0},
        {"d", -1, 0},
        {"30", -1, 0},
        {"30d ", -1, 0},
        {"-30d", -1, 0},
        {"1.5d", -1, 0},
        {"9999999999d", -1, 0},
        {"2025-02-29", -1, 0},
        {"1900-01-01", -1, 0},
        {"2201-01-01", -1, 0},
        {"2026-00-01", -1, 0},
        {"2026-13-01", -1, 0},
        {"2026-01-00", -1, 0},
        {"2026-04-31", -1, 0},
        {"2026-1-1", -1, 0},
        {"2026-01-31T", -1, 0},
        {"2026-01-31T08:00Z", -1, 0},
        {"2026-01-31T24:00:00Z", -1, 0},
        {"2026-01-31T08:60:00Z", -1, 0},
        {"2026-01-31T08:00:60Z", -1, 0},
        {"2026-01-31T08:00:00", -1, 0},
        {"2026-01-31T08:00:00.Z", -1, 0},
        {"2026-01-31T08:00:00.1234567890Z", -1, 0},
        {"2026-01-31T08:00:00+24:00", -1, 0},
        {"2026-01-31T08:00:00+0200", -1, 0},
        {"2026-01-31T08:00:00ZZ", -1, 0},
        {"1970-01-01T00:00:00+01:00", -1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t time = 0;
        bool good = sl_conf_time_parse(rows[i].text, now * second, &time);
        if (good != (rows[i].seconds >= 0) || (good && time != rows[i].seconds * second + rows[i].ns)) {
            fail_msg("%s: %d, %lld", rows[i].text, good, (long long)time);
        }
    }
}

/* A venue or feed that is new in services/market is named here too. */
static void names_are_those_of_the_market(void **state)
{
    (void)state;
    assert_int_equal(SL_CONF_VENUE_COUNT, SL_VENUE_EXTERNAL - 1); /* which nobody connects to */
    for (int i = 0; i < SL_CONF_VENUE_COUNT; i++) {
        assert_true(sl_conf_venue_of(i) != SL_VENUE_NONE);
        assert_string_equal(sl_venue_name(sl_conf_venue_of(i)), sl_conf_venue_name(i));
    }
    assert_int_equal(SL_CONF_CHANNEL_COUNT, SL_FEED_COUNT - 2); /* without none and snapshots */
    for (int i = 0; i < SL_CONF_CHANNEL_COUNT; i++) {
        assert_true(sl_conf_feed_of(i) != SL_FEED_NONE && sl_conf_feed_of(i) != SL_FEED_SNAPSHOT);
        assert_true(i == 0 || sl_conf_feed_of(i) != sl_conf_feed_of(i - 1));
    }
    assert_null(sl_conf_venue_name(-1));
    assert_null(sl_conf_venue_name(SL_CONF_VENUE_COUNT));
    assert_int_equal(sl_conf_venue_of(-1), SL_VENUE_NONE);
    assert_int_equal(sl_conf_feed_of(SL_CONF_CHANNEL_COUNT), SL_FEED_NONE);
    assert_string_equal(sl_conf_channel_name(SL_CONF_CHANNEL_OPEN_INTEREST), "open_interest");
}

/* ---- the ready files ---- */

/* What the venues' own pages say (market data reference, section 3): so much in so long. */
static const struct {
    const char *file, *limit;
    uint64_t count;
    sl_time period;
    bool per_call;
} true_limits[] = {
    {"binance", "binance-rest", 6000, SL_SECONDS(60), false},
    {"binance-usdm", "binance-usdm-rest", 2400, SL_SECONDS(60), false},
    {"binance-coinm", "binance-coinm-rest", 2400, SL_SECONDS(60), false},
    {"coinbase", "coinbase-rest", 10, SL_SECONDS(1), true},
    {"kraken", "kraken-rest", 1, SL_SECONDS(1), true},
    {"bybit", "bybit", 600, SL_SECONDS(5), true},
    {"okx", "okx-rest", 200, SL_SECONDS(2), false},
    {"bitstamp", "bitstamp-rest", 400, SL_SECONDS(1), true},
};

static void ready_files_have_the_venues_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof true_limits / sizeof true_limits[0]; i++) {
        char path[512];
        (void)snprintf(path, sizeof path, "%s/deploy/config/%s.yaml", SL_TEST_SOURCE_DIR, true_limits[i].file);
        const struct sl_config_source source = {path, NULL, 0};
        const struct sl_config_options options = {.root = &sl_conf_root, .sources = &source, .source_count = 1};
        sl_auto(sl_config) *config = NULL;
        sl_auto(sl_config_report) *report = NULL;
        if (sl_config_load(&options, &config, &report) != 0) {
            fail_msg("%s", sl_config_report_text(report));
        }
        const struct sl_conf *conf = conf_of(config);
        const struct sl_conf_limit *limit = sl_config_map_find(&conf->limits, true_limits[i].limit);
        assert_non_null(limit);
        struct sl_rate rates[SL_RATES_MAX];
        assert_true(sl_conf_limit_rates(limit, rates) >= 1);
        assert_int_equal(rates[0].count, true_limits[i].count);
        assert_int_equal(rates[0].period, true_limits[i].period);
        assert_int_equal(rates[0].per_call, true_limits[i].per_call);
        /* What is built in for who has no file says the same. */
        const struct sl_config_variant *first = sl_config_map_at(&conf->services, 0);
        const sl_venue_driver *driver = sl_venue_driver_of(sl_conf_venue_of(sl_conf_market(first)->venue));
        bool found = false;
        for (size_t j = 0; j < SL_VENUE_RATES_MAX; j++) {
            found = found || (driver->rates[j].count == rates[0].count && driver->rates[j].period == rates[0].period);
        }
        if (!found) {
            fail_msg("%s: the venue's built-in limit is %llu", true_limits[i].file,
                     (unsigned long long)driver->rates[0].count);
        }
        for (size_t j = 0; j < conf->services.count; j++) {
            const char *name = sl_conf_limit_of(conf, sl_config_map_at(&conf->services, j));
            assert_true(name != NULL && strcmp(name, true_limits[i].limit) == 0);
        }
    }
}

SL_TEST_MAIN(cmocka_unit_test(the_example_becomes_structs), cmocka_unit_test(redis_has_many_addresses),
             cmocka_unit_test(policies_are_looked_up_in_order),
             cmocka_unit_test(candles_of_every_history_may_be_asked_for),
             cmocka_unit_test(limits_and_retries_become_policies),
             cmocka_unit_test(breakers_and_bulkheads_become_policies),
             cmocka_unit_test(what_check_takes_the_policies_take), cmocka_unit_test(the_runtime_gets_its_options),
             cmocka_unit_test(tasks_have_the_stack_that_is_configured), cmocka_unit_test(addresses_are_read),
             cmocka_unit_test(times_are_read), cmocka_unit_test(names_are_those_of_the_market),
             cmocka_unit_test(ready_files_have_the_venues_limits))
