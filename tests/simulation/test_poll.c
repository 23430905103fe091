/* SPDX-License-Identifier: MIT */
/*
 * `kind: poll` in the simulated world, the whole program against the simulated exchange, which counts: the permitted
 * rate is used and never exceeded, everybody has a turn, and what goes wrong harms nobody else.
 */
#include <stdio.h>
#include <string.h>

#include "ingest/poll/poll.h"
#include "ingest/replay.h"
#include "program_rig.h"
#include "scratch_folder.h"
#include "sl_test.h"
#include "sluice/runtime.h"

struct rig {
    struct program_rig rig; /* the first member */
    const char *service;    /* of the configuration */
    const char *more;       /* sections of it; NULL: none */
    int (*conduct)(struct rig *rig);
    uint64_t asked; /* for best prices */
    uint64_t events;
    sl_time at[6]; /* requests came */
    char text[PROGRAM_RIG_CONFIG_BYTES];
};

/* ---- around the program ---- */

static const struct sl_program_service *service_of(const struct rig *rig)
{
    return program_rig_service(&rig->rig, "p");
}

static struct sl_poll_stats stats_of(const struct rig *rig)
{
    struct sl_poll_stats stats = {0};
    (void)sl_poll_get_stats(service_of(rig), &stats);
    return stats;
}

static struct sl_poll_instrument_stats of(const struct rig *rig, size_t at)
{
    struct sl_poll_instrument_stats stats = {0};
    const sl_instrument *ours = program_rig_ours(&rig->rig, at);
    if (ours != NULL) {
        (void)sl_poll_instrument(service_of(rig), ours, &stats);
    }
    return stats;
}

static uint64_t failures_of(const struct rig *rig)
{
    struct sl_poll_stats stats = stats_of(rig);
    uint64_t all = 0;
    for (int at = 0; at < SL_POLL_FAILURES; at++) {
        all += stats.failures[at];
    }
    return all;
}

/* Until all instruments are followed. */
static int until_followed(const struct rig *rig)
{
    while (service_of(rig) == NULL || stats_of(rig).wanted == 0) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(10)));
    }
    return 0;
}

static int conduct(struct program_rig *program)
{
    struct rig *rig = (struct rig *)program;
    SL_TRY(until_followed(rig));
    return rig->conduct(rig);
}

static int run_short_of_memory(struct rig *rig);

static void play(struct rig *rig)
{
    int size = snprintf(rig->text, sizeof rig->text,
                        "services: { p: { kind: poll, venue: %s, sinks: [out], %s } }\n"
                        "sinks: { out: { kind: websocket, listen: \"127.0.0.1:7001\" } }\n%s",
                        sl_venue_name(rig->rig.venue), rig->service, rig->more == NULL ? "" : rig->more);
    assert_in_range(size, 1, sizeof rig->text - 1);
    rig->rig.config = rig->text;
    rig->rig.conduct = conduct;
    int code = program_rig_run(&rig->rig);
    assert_true(code == 0 || (rig->conduct == run_short_of_memory && code == SL_ENOMEM));
}

/* ---- the rate ---- */

#define MANY 20000

/* 6000 a minute at 2 each: a round takes 400 s. */
static int count_the_rate(struct rig *rig)
{
    const struct sl_simulated_stats *exchange = sl_simulated_get_stats(rig->rig.exchange);
    SL_TRY(sl_sleep(SL_SECONDS(10)));
    uint64_t before = exchange->requests;
    sl_time from = sl_now();
    SL_TRY(sl_sleep(SL_SECONDS(300)));
    double permitted = 6000.0 * (double)(sl_now() - from) / (double)SL_SECONDS(60);
    double used = 2.0 * (double)(exchange->requests - before);
    print_message("used %.1f %% of the permitted rate\n", 100 * used / permitted);
    assert_true(used >= 0.95 * permitted);
    assert_true(used <= permitted);
    assert_int_equal(exchange->limited, 0);
    SL_TRY(sl_sleep(SL_SECONDS(150)));
    uint64_t least = UINT64_MAX, most = 0;
    for (size_t at = 0; at < MANY; at++) {
        uint64_t good = of(rig, at).good;
        least = good < least ? good : least;
        most = good > most ? good : most;
    }
    assert_in_range(least, 1, 2);
    assert_in_range(most, least, least + 1); /* in turn */
    assert_int_equal(failures_of(rig), 0);
    assert_int_equal(exchange->limited, 0);
    assert_int_equal(stats_of(rig).stale, 0);
    assert_in_range(stats_of(rig).round, SL_SECONDS(395), SL_SECONDS(425)); /* 40 000 of 6000 a minute */
    return 0;
}

static void twenty_thousand_instruments_use_the_permitted_rate(void **state)
{
    (void)state;
    struct rig rig = {.rig.venue = SL_VENUE_BINANCE_SPOT,
                      .rig.instruments = MANY,
                      .service = "instruments: [\"*\"], channel: best, bulk: never, interval: 0, concurrency: 64",
                      .conduct = count_the_rate};
    play(&rig);
}

static int count_the_bulk(struct rig *rig)
{
    const struct sl_simulated_stats *exchange = sl_simulated_get_stats(rig->rig.exchange);
    SL_TRY(sl_sleep(SL_SECONDS(101)));
    assert_true(stats_of(rig).bulk);
    assert_in_range(exchange->requests, 11, 13); /* the list, and one each ten seconds */
    assert_int_equal(stats_of(rig).wanted, 200);
    for (size_t at = 0; at < 200; at++) {
        assert_in_range(of(rig, at).good, 10, 12);
    }
    assert_in_range(service_of(rig)->events, 2000, 2400);
    assert_in_range(stats_of(rig).round, SL_MILLISECONDS(9900), SL_MILLISECONDS(10100));
    return 0;
}

static void all_at_once_where_that_costs_less(void **state)
{
    (void)state;
    static const char *const channels[] = {"ticker", "best", "funding"};
    for (size_t at = 0; at < 3; at++) {
        char service[128];
        (void)snprintf(service, sizeof service, "instruments: [\"*\"], channel: %s, interval: 10s", channels[at]);
        struct rig rig = {
            .rig.venue = SL_VENUE_BINANCE_USDM, .rig.instruments = 200, .service = service, .conduct = count_the_bulk};
        play(&rig);
    }
}

static int count_the_few(struct rig *rig)
{
    SL_TRY(sl_sleep(SL_SECONDS(62)));
    assert_false(stats_of(rig).bulk);
    assert_int_equal(stats_of(rig).wanted, 2);
    assert_in_range(of(rig, 0).good, 12, 14); /* BTC each 5 s */
    assert_in_range(of(rig, 1).good, 2, 4);   /* ETH each 30 s */
    assert_int_equal(of(rig, 2).good, 0);
    return 0;
}

static void few_are_asked_for_one_by_one(void **state)
{
    (void)state;
    struct rig rig = {.rig.venue = SL_VENUE_BINANCE_USDM,
                      .rig.instruments = 50,
                      .service = "instruments: [\"BTC-*\", \"ETH-*\"], channel: ticker, interval: 30s, "
                                 "intervals: { \"BTC-*\": 5s }",
                      .conduct = count_the_few};
    play(&rig);
}

/* ---- other channels ---- */

static int count_answers(struct rig *rig)
{
    SL_TRY(sl_sleep(SL_SECONDS(21)));
    assert_int_equal(failures_of(rig), 0);
    for (size_t at = 0; at < 5; at++) {
        assert_true(of(rig, at).good >= 2);
    }
    return 0;
}

static void each_channel_is_decoded(void **state)
{
    (void)state;
    static const struct {
        sl_venue venue;
        const char *channel;
        bool bulk_only;
    } cases[] = {
        {SL_VENUE_BINANCE_SPOT, "ticker", false},
        {SL_VENUE_BINANCE_SPOT, "best", false},
        {SL_VENUE_BINANCE_USDM, "funding", false},
        {SL_VENUE_BINANCE_USDM, "open_interest", false},
        {SL_VENUE_BINANCE_USDM, "book", false},
        {SL_VENUE_BINANCE_COINM, "ticker", false},
        {SL_VENUE_BINANCE_COINM, "best", false},
        {SL_VENUE_BINANCE_COINM, "funding", false},
        {SL_VENUE_BYBIT_SPOT, "ticker", false},
        {SL_VENUE_BYBIT_SPOT, "best", false},
        {SL_VENUE_BYBIT_LINEAR, "funding", false},
        {SL_VENUE_BYBIT_INVERSE, "ticker", false},
        {SL_VENUE_OKX, "ticker", false},
        {SL_VENUE_OKX, "best", false},
        {SL_VENUE_BYBIT_LINEAR, "open_interest", true},
    };
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        for (int bulk = cases[at].bulk_only; bulk < 2; bulk++) {
            char service[128];
            (void)snprintf(service, sizeof service,
                           "instruments: [\"*\"], channel: %s, interval: 5s, bulk: %s, depth: 5", cases[at].channel,
                           bulk ? "auto" : "never");
            struct rig rig = {
                .rig.venue = cases[at].venue, .rig.instruments = 5, .service = service, .conduct = count_answers};
            print_message("%s %s\n", sl_venue_name(cases[at].venue), service);
            play(&rig);
        }
    }
}

/* ---- what goes wrong ---- */

static int order(struct rig *rig, sl_fault fault, uint64_t count, sl_time lasts)
{
    const struct sl_fault_order order = {.fault = fault, .count = count, .duration = lasts};
    return sl_simulated_order(rig->rig.exchange, &order);
}

static int be_refused(struct rig *rig)
{
    const struct sl_simulated_stats *exchange = sl_simulated_get_stats(rig->rig.exchange);
    SL_TRY(sl_sleep(SL_SECONDS(5)));
    SL_TRY(order(rig, SL_FAULT_HTTP_429_AFTER, 1, SL_SECONDS(20)));
    while (exchange->limited == 0) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    }
    SL_TRY(sl_sleep(SL_SECONDS(1))); /* those that were under way */
    uint64_t then = exchange->requests;
    SL_TRY(sl_sleep(SL_SECONDS(18)));
    assert_int_equal(exchange->requests, then);
    SL_TRY(sl_sleep(SL_SECONDS(10)));
    assert_true(exchange->requests > then + 100);
    assert_int_equal(exchange->limited, 1);
    assert_int_equal(failures_of(rig), 0); /* nobody has lost a turn by it */
    return 0;
}

static void a_refusal_is_obeyed_for_as_long_as_it_says(void **state)
{
    (void)state;
    struct rig rig = {.rig.venue = SL_VENUE_BINANCE_SPOT,
                      .rig.instruments = 500,
                      .service = "instruments: [\"*\"], channel: best, bulk: never, interval: 0",
                      .conduct = be_refused};
    play(&rig);
}

static int be_banned(struct rig *rig)
{
    const struct sl_simulated_stats *exchange = sl_simulated_get_stats(rig->rig.exchange);
    SL_TRY(sl_sleep(SL_SECONDS(5)));
    SL_TRY(order(rig, SL_FAULT_HTTP_418, 1, SL_SECONDS(120)));
    SL_TRY(sl_sleep(SL_SECONDS(2)));
    uint64_t then = exchange->requests;
    SL_TRY(sl_sleep(SL_SECONDS(110)));
    assert_int_equal(exchange->requests, then);
    SL_TRY(sl_sleep(SL_SECONDS(30)));
    assert_true(exchange->requests > then + 100);
    assert_int_equal(stats_of(rig).failures[SL_POLL_FAILED_STATUS], 0);
    return 0;
}

static void a_ban_is_sat_out(void **state)
{
    (void)state;
    struct rig rig = {.rig.venue = SL_VENUE_BINANCE_SPOT,
                      .rig.instruments = 500,
                      .service = "instruments: [\"*\"], channel: best, bulk: never, interval: 0",
                      .conduct = be_banned};
    play(&rig);
}

static int be_cut(struct rig *rig)
{
    for (int minute = 0; minute < 20; minute++) {
        SL_TRY(sl_sleep(SL_SECONDS(3)));
        SL_TRY(order(rig, SL_FAULT_HTTP_500, 3, 0));
        SL_TRY(order(rig, SL_FAULT_HTTP_403, 1, 0));
    }
    SL_TRY(sl_sleep(SL_SECONDS(30)));
    uint64_t least = UINT64_MAX;
    for (size_t at = 0; at < 50; at++) {
        uint64_t good = of(rig, at).good;
        least = good < least ? good : least;
    }
    assert_true(least >= 10);
    assert_int_equal(stats_of(rig).stale, 0);
    assert_true(stats_of(rig).failures[SL_POLL_FAILED_STATUS] > 0);
    return 0;
}

static void errors_of_the_server_cost_a_turn_at_most(void **state)
{
    (void)state;
    struct rig rig = {.rig.venue = SL_VENUE_BINANCE_SPOT,
                      .rig.instruments = 50,
                      .service = "instruments: [\"*\"], channel: best, bulk: never, interval: 5s",
                      .conduct = be_cut};
    play(&rig);
}

static int come_and_go(struct rig *rig)
{
    SL_TRY(sl_sleep(SL_SECONDS(11)));
    assert_int_equal(stats_of(rig).wanted, 10);
    SL_TRY(order(rig, SL_FAULT_DELIST, 1, 0));
    SL_TRY(sl_simulated_list(rig->rig.exchange, rig->rig.venue, "NEW"));
    SL_TRY(sl_sleep(SL_SECONDS(60))); /* before the next list: who is not known three times in a row is no more */
    assert_int_equal(stats_of(rig).failures[SL_POLL_FAILED_VENUE], 3);
    assert_int_equal(stats_of(rig).wanted, 9);
    SL_TRY(sl_sleep(SL_ACCESS_REFRESH));
    assert_int_equal(stats_of(rig).wanted, 10);
    uint64_t failures = stats_of(rig).failures[SL_POLL_FAILED_VENUE];
    assert_true(of(rig, 10).good > 5);
    SL_TRY(sl_sleep(SL_SECONDS(60)));
    assert_int_equal(stats_of(rig).failures[SL_POLL_FAILED_VENUE], failures);
    assert_int_equal(stats_of(rig).stale, 0);
    return 0;
}

static void instruments_come_and_go(void **state)
{
    (void)state;
    struct rig rig = {.rig.venue = SL_VENUE_BINANCE_SPOT,
                      .rig.instruments = 10,
                      .service = "instruments: [\"*\"], channel: best, bulk: never, interval: 5s",
                      .conduct = come_and_go};
    play(&rig);
}

static int see_nothing_new(struct rig *rig)
{
    SL_TRY(sl_sleep(SL_SECONDS(51)));
    assert_true(of(rig, 0).good >= 10);
    assert_int_equal(service_of(rig)->events, 3); /* the market stands still */
    assert_true(stats_of(rig).unchanged >= 27);
    return 0;
}

static void what_is_the_same_is_dropped(void **state)
{
    (void)state;
    struct rig rig = {.rig.venue = SL_VENUE_BINANCE_USDM,
                      .rig.instruments = 3,
                      .service = "instruments: [\"*\"], channel: best, interval: 5s, only_changed: true",
                      .conduct = see_nothing_new};
    play(&rig);
}

static int fall_behind(struct rig *rig)
{
    SL_TRY(sl_sleep(SL_SECONDS(60)));
    struct sl_poll_stats stats = stats_of(rig);
    uint64_t turns = UINT64_C(5) * 60, asked = stats.answers;
    assert_true(asked < turns / 2);
    assert_in_range(stats.late, turns - asked - 20,
                    turns - asked); /* all that was not asked was left out, and is told */
    return 0;
}

static void turns_that_are_left_out_are_counted(void **state)
{
    (void)state;
    struct rig rig = {.rig.venue = SL_VENUE_BINANCE_SPOT,
                      .rig.instruments = 5,
                      .service =
                          "instruments: [\"*\"], channel: best, bulk: never, interval: 1s, cost: 50, limit: slow",
                      .conduct = fall_behind,
                      .more = "limits: { slow: { rates: [{ rate: 6000/1m, burst: 100, cost: weight }] } }\n"};
    play(&rig);
}

/* ---- recorded ---- */

static int count_events(struct rig *rig)
{
    SL_TRY(sl_sleep(SL_SECONDS(41)));
    rig->events = service_of(rig)->events;
    return 0;
}

static int count_replayed(void *arg, const sl_market_event *event)
{
    (void)event;
    ++*(uint64_t *)arg;
    return 0;
}

static uint64_t replay(const char *path, uint64_t bad)
{
    uint64_t events = 0;
    sl_replay *replay = NULL;
    int code = 1;
    sl_replay_options options = {.paths = &path, .path_count = 1, .arg = &events, .event = count_replayed};
    assert_int_equal(sl_replay_open(&options, &replay), 0);
    while (code == 1) {
        code = sl_replay_next(replay);
    }
    assert_int_equal(code, 0);
    assert_int_equal(sl_replay_get_stats(replay)->bad, bad);
    assert_int_equal(sl_replay_get_stats(replay)->added, 0); /* the list was taken */
    sl_replay_close(replay);
    return events;
}

/* One by one and all at once: each answer is in the recording, with what was asked, and a replay gives the same out. */
static void answers_are_recorded(void **state)
{
    (void)state;
    static const char *const services[] = {"channel: best, bulk: never", "channel: ticker, bulk: always",
                                           "channel: funding, bulk: never", "channel: book, depth: 5"};
    for (size_t at = 0; at < 4; at++) {
        char path[SCRATCH_PATH_MAX + 16], service[128];
        struct scratch_folder folder = scratch_folder_make();
        (void)snprintf(path, sizeof path, "%s/polls.slr", folder.path);
        (void)snprintf(service, sizeof service, "instruments: [\"*\"], interval: 5s, %s", services[at]);
        struct rig rig = {.rig.venue = SL_VENUE_BINANCE_USDM,
                          .rig.instruments = 3,
                          .service = service,
                          .rig.record = path,
                          .conduct = count_events};
        play(&rig);
        assert_true(rig.events >= 20);
        assert_int_equal(replay(path, 0), rig.events);
        scratch_folder_remove(&folder);
    }
}

/* ---- without memory ---- */

static int64_t fail_at;

static int run_short_of_memory(struct rig *rig)
{
    (void)rig;
    sl_memory_fail_after(fail_at);
    int code = sl_sleep(SL_SECONDS(30));
    fail_at = sl_memory_failed() ? fail_at : -1;
    sl_memory_fail_after(-1);
    return code;
}

/* The allocation at each of many places fails: nothing is leaked, nothing hangs, and where it may go on it goes on. */
static void missing_memory_is_survived(void **state)
{
    (void)state;
    for (int64_t at = 0; at >= 0 && at < 4000; at += 1 + at / 8) {
        struct rig rig = {.rig.venue = SL_VENUE_BINANCE_USDM,
                          .rig.instruments = 3,
                          .service = "instruments: [\"*\"], channel: open_interest, interval: 5s, only_changed: true",
                          .conduct = run_short_of_memory};
        fail_at = at;
        play(&rig);
        at = fail_at < 0 ? -1 : at;
        if (at < 0) {
            break;
        }
    }
}

/* ---- a server that spoils its answers ---- */

static const char list[] = "{\"symbols\":[{\"symbol\":\"AUSDT\",\"status\":\"TRADING\",\"baseAsset\":\"A\","
                           "\"quoteAsset\":\"USDT\",\"filters\":[]},{\"symbol\":\"BUSDT\",\"status\":\"TRADING\","
                           "\"baseAsset\":\"B\",\"quoteAsset\":\"USDT\",\"filters\":[]},{\"symbol\":\"CUSDT\","
                           "\"status\":\"TRADING\",\"baseAsset\":\"C\",\"quoteAsset\":\"USDT\",\"filters\":[]}]}";

#define ROW(symbol, bid)                                                                                               \
    "{\"symbol\":\"" symbol "\",\"bidPrice\":\"" bid "\",\"bidQty\":\"1\",\"askPrice\":\"2.00\",\"askQty\":\"1\"}"

/* Says the list; else what is `good`, or (each second time) spoils it. */
static int spoil(struct rig *rig, sl_http_exchange *exchange, const char *good, const char *bad, bool cut)
{
    if (strstr(sl_http_target(exchange->request), "exchangeInfo") != NULL) {
        return sl_http_respond(exchange, 200, "application/json", list, sizeof list - 1);
    }
    if (rig->asked++ % 2 == 0) {
        return sl_http_respond(exchange, 200, "application/json", good, strlen(good));
    }
    if (!cut) {
        return sl_http_respond(exchange, 200, "application/json", bad, strlen(bad));
    }
    SL_TRY(sl_http_begin(exchange, &(struct sl_http_answer){.status = 200, .body_bytes = strlen(good)}));
    SL_TRY(sl_http_write(exchange, good, strlen(good) / 2));
    SL_TRY(sl_http_flush(exchange));
    return SL_ECONNRESET;
}

static int truncate_bodies(void *arg, sl_http_exchange *exchange)
{
    return spoil(arg, exchange, ROW("AUSDT", "1.50"), "{\"symbol\":\"AUSDT\",\"bidPr", false);
}

static int cut_connections(void *arg, sl_http_exchange *exchange)
{
    return spoil(arg, exchange, ROW("AUSDT", "1.50"), "", true);
}

static int spoil_a_row(void *arg, sl_http_exchange *exchange)
{
    static const char bad[] =
        "[" ROW("AUSDT", "1.50") "," ROW("BUSDT", "none") ",{\"symbol\":\"BUSDT\"},7," ROW("CUSDT", "1.70") "]";
    return spoil(arg, exchange, bad, bad, false);
}

static int see_truncated(struct rig *rig)
{
    SL_TRY(sl_sleep(SL_SECONDS(59)));
    assert_true(of(rig, 0).good == 0); /* the exchange's instruments are others */
    struct sl_poll_stats stats = stats_of(rig);
    uint64_t letters = sl_dead_letters_get_stats(sl_program_dead_letters(rig->rig.parts))->bad;
    assert_int_equal(letters, rig->asked / 2);
    assert_int_equal(stats.failures[SL_POLL_FAILED_BODY], letters);
    assert_int_equal(service_of(rig)->events, rig->asked - letters);
    assert_true(letters >= 4 && stats.stale == 0);
    assert_non_null(strstr(service_of(rig)->problem, "AUSDT"));
    return 0;
}

static void a_truncated_body_is_a_dead_letter(void **state)
{
    (void)state;
    struct rig rig = {.rig.venue = SL_VENUE_BINANCE_SPOT,
                      .rig.instruments = 1,
                      .rig.answer = truncate_bodies,
                      .service = "instruments: [A-USDT], channel: best, interval: 5s",
                      .conduct = see_truncated};
    play(&rig);
}

static int see_cut(struct rig *rig)
{
    SL_TRY(sl_sleep(SL_SECONDS(59)));
    struct sl_poll_stats stats = stats_of(rig);
    assert_int_equal(failures_of(rig), 0); /* each is asked for again at once */
    assert_in_range(stats.answers, 11, 13);
    assert_in_range(rig->asked, 2 * stats.answers - 1, 2 * stats.answers);
    assert_int_equal(service_of(rig)->events, stats.answers);
    return 0;
}

static void a_cut_connection_costs_no_turn(void **state)
{
    (void)state;
    struct rig rig = {.rig.venue = SL_VENUE_BINANCE_SPOT,
                      .rig.instruments = 1,
                      .rig.answer = cut_connections,
                      .service = "instruments: [A-USDT], channel: best, interval: 5s",
                      .conduct = see_cut};
    play(&rig);
}

#define CANDLE(open, volume)                                                                                           \
    "[" #open "000,\"1.0\",\"2.0\",\"0.5\",\"1.5\",\"" volume "\"," #open "999,\"9.0\",7,\"3.0\",\"4.0\",\"0\"]"

/* The one that ended last, and that of now, which grows each second time. */
static int say_candles(void *arg, sl_http_exchange *exchange)
{
    return spoil(arg, exchange, "[" CANDLE(1700000000, "5.0") "," CANDLE(1700000060, "1.0") "]",
                 "[" CANDLE(1700000000, "5.0") "," CANDLE(1700000060, "2.0") "]", false);
}

static int see_candles(struct rig *rig)
{
    SL_TRY(sl_sleep(SL_SECONDS(59)));
    assert_true(rig->asked >= 11 && failures_of(rig) == 0);
    assert_int_equal(service_of(rig)->events, 1 + rig->asked);
    assert_int_equal(stats_of(rig).unchanged, rig->asked - 1);
    return 0;
}

static void candles_that_are_the_same_are_dropped(void **state)
{
    (void)state;
    struct rig rig = {.rig.venue = SL_VENUE_BINANCE_SPOT,
                      .rig.instruments = 1,
                      .rig.answer = say_candles,
                      .service =
                          "instruments: [A-USDT], channel: candles, candle: 1m, interval: 5s, only_changed: true",
                      .conduct = see_candles};
    play(&rig);
}

/* ---- keys ---- */

static int say_longer_candles(void *arg, sl_http_exchange *exchange)
{
    struct rig *rig = arg;
    const char *target = sl_http_target(exchange->request);
    rig->events += strstr(target, "klines") != NULL && strstr(target, "interval=15m") == NULL;
    return spoil(rig, exchange, "[]", "[]", false);
}

static int see_longer_candles(struct rig *rig)
{
    SL_TRY(sl_sleep(SL_SECONDS(21)));
    assert_true(rig->asked >= 4);
    assert_int_equal(rig->events, 0);
    return 0;
}

static void candles_are_as_long_as_configured(void **state)
{
    (void)state;
    struct rig rig = {.rig.venue = SL_VENUE_BINANCE_SPOT,
                      .rig.instruments = 1,
                      .rig.answer = say_longer_candles,
                      .service = "instruments: [A-USDT], channel: candles, candle: 15m, interval: 5s",
                      .conduct = see_longer_candles};
    play(&rig);
}

#define SPREAD_ROUNDS 2

/* When each of the first requests came. */
static int note_times(void *arg, sl_http_exchange *exchange)
{
    struct rig *rig = arg;
    bool price = strstr(sl_http_target(exchange->request), "bookTicker") != NULL;
    if (price && rig->asked < (size_t)3 * SPREAD_ROUNDS) {
        rig->at[rig->asked] = sl_now();
    }
    return spoil(rig, exchange, "{}", "{}", false);
}

static int until_all_asked(struct rig *rig)
{
    while (rig->asked < (size_t)3 * SPREAD_ROUNDS) {
        SL_TRY(sl_sleep(SL_SECONDS(1)));
    }
    return 0;
}

static void requests_are_spread_or_not(void **state)
{
    (void)state;
    for (int spread = 0; spread < 2; spread++) {
        char service[128];
        struct rig rig = {.rig.venue = SL_VENUE_BINANCE_SPOT,
                          .rig.instruments = 1,
                          .rig.answer = note_times,
                          .service = service,
                          .conduct = until_all_asked};
        (void)snprintf(service, sizeof service,
                       "instruments: [\"*\"], channel: best, bulk: never, interval: 9s, spread: %s",
                       spread ? "true" : "false");
        play(&rig);
        for (int at = 1; at < 3; at++) {
            sl_time apart = rig.at[at] - rig.at[at - 1];
            assert_in_range(apart, spread ? SL_MILLISECONDS(2900) : 0, spread ? SL_MILLISECONDS(3100) : 100);
        }
    }
}

static int see_a_row(struct rig *rig)
{
    SL_TRY(sl_sleep(SL_SECONDS(49)));
    assert_in_range(rig->asked, 9, 11); /* no later than it should be */
    assert_int_equal(service_of(rig)->events, 2 * rig->asked);
    assert_int_equal(stats_of(rig).failures[SL_POLL_FAILED_BODY], rig->asked);
    assert_int_equal(stats_of(rig).stale, 1);
    return 0;
}

static void a_bad_row_harms_no_other(void **state)
{
    (void)state;
    struct rig rig = {.rig.venue = SL_VENUE_BINANCE_SPOT,
                      .rig.instruments = 1,
                      .rig.answer = spoil_a_row,
                      .service = "instruments: [\"*\"], channel: best, interval: 5s, bulk: always",
                      .conduct = see_a_row};
    play(&rig);
}

/* ---- the list of instruments ---- */

#define LISTED(symbol, tick)                                                                                           \
    "{\"symbol\":\"" symbol "USDT\",\"status\":\"TRADING\",\"baseAsset\":\"" symbol                                    \
    "\",\"quoteAsset\":\"USDT\",\"filters\":[{\"filterType\":\"PRICE_FILTER\",\"tickSize\":\"" tick "\"}]}"

/* The second list has a row that cannot be read, and is without A; the third is without B, too; the fourth is none. */
static int say_lists(void *arg, sl_http_exchange *exchange)
{
    static const char *const texts[] = {
        "{\"symbols\":[" LISTED("A", "0.1") "," LISTED("B", "0.1") "," LISTED("C", "0.1") "]}",
        "{\"symbols\":[" LISTED("B", "none") "," LISTED("C", "0.1") "," LISTED("D", "0.1") "]}",
        "{\"symbols\":[" LISTED("C", "0.1") "," LISTED("D", "0.1") "]}", "{\"symbols\":[7]}"};
    struct rig *rig = arg;
    if (strstr(sl_http_target(exchange->request), "exchangeInfo") == NULL) {
        return sl_http_respond(exchange, 200, "application/json", ROW("CUSDT", "1.50"), strlen(ROW("CUSDT", "1.50")));
    }
    const char *text = texts[rig->events < 3 ? rig->events : 3];
    rig->events++;
    return sl_http_respond(exchange, 200, "application/json", text, strlen(text));
}

static bool is_listed(const struct rig *rig, const char *symbol)
{
    const sl_instrument *found =
        sl_instruments_find(sl_program_instruments(rig->rig.parts), SL_VENUE_BINANCE_SPOT, symbol, strlen(symbol));
    return found != NULL && found->status == SL_STATUS_TRADING;
}

static int see_lists(struct rig *rig)
{
    static const struct {
        const char *listed;
        uint64_t letters;
    } seen[] = {{"ABC", 0}, {"ABCD", 1}, {"CD", 1}, {"CD", 2}};
    const struct sl_dead_letter_stats *letters = sl_dead_letters_get_stats(sl_program_dead_letters(rig->rig.parts));
    for (size_t at = 0; at < 4; at++) {
        assert_int_equal(rig->events, at + 1);
        assert_int_equal(letters->bad, seen[at].letters);
        for (char symbol[] = "AUSDT"; symbol[0] <= 'D'; symbol[0]++) {
            assert_int_equal(is_listed(rig, symbol), strchr(seen[at].listed, symbol[0]) != NULL);
        }
        SL_TRY(sl_sleep(at < 3 ? SL_ACCESS_REFRESH : 0));
    }
    return 0;
}

/* What such a row was to be is not known: nothing is taken for delisted. */
static void a_list_with_a_bad_row_is_taken(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_MAX + 16];
    struct scratch_folder folder = scratch_folder_make();
    (void)snprintf(path, sizeof path, "%s/polls.slr", folder.path);
    struct rig rig = {.rig.venue = SL_VENUE_BINANCE_SPOT,
                      .rig.instruments = 1,
                      .rig.answer = say_lists,
                      .rig.record = path,
                      .service = "instruments: [\"*\"], channel: best, interval: 60s",
                      .conduct = see_lists};
    play(&rig);
    assert_true(replay(path, 2) > 0);
    scratch_folder_remove(&folder);
}

SL_TEST_MAIN(cmocka_unit_test(a_truncated_body_is_a_dead_letter), cmocka_unit_test(a_cut_connection_costs_no_turn),
             cmocka_unit_test(a_bad_row_harms_no_other), cmocka_unit_test(a_list_with_a_bad_row_is_taken),
             cmocka_unit_test(missing_memory_is_survived),
             cmocka_unit_test(twenty_thousand_instruments_use_the_permitted_rate),
             cmocka_unit_test(all_at_once_where_that_costs_less), cmocka_unit_test(few_are_asked_for_one_by_one),
             cmocka_unit_test(each_channel_is_decoded), cmocka_unit_test(a_refusal_is_obeyed_for_as_long_as_it_says),
             cmocka_unit_test(a_ban_is_sat_out), cmocka_unit_test(errors_of_the_server_cost_a_turn_at_most),
             cmocka_unit_test(instruments_come_and_go), cmocka_unit_test(what_is_the_same_is_dropped),
             cmocka_unit_test(candles_that_are_the_same_are_dropped),
             cmocka_unit_test(candles_are_as_long_as_configured), cmocka_unit_test(requests_are_spread_or_not),
             cmocka_unit_test(turns_that_are_left_out_are_counted), cmocka_unit_test(answers_are_recorded))
