/* SPDX-License-Identifier: MIT */
/*
 * Many instruments of each venue at once, against the simulated exchange as strict as the venues are: streams and bytes of
 * their names on a connection, sizes and rates of control messages, new connections. All is subscribed, and no limit is hit.
 * With books, until each is whole, of the venues where that is dear: Coinbase answers each message with all that the
 * connection has, and Bitstamp's books are asked for one by one.
 *
 *     SL_LIMITS_INSTRUMENTS=20000   so many instead of a few
 */
#include <stdlib.h>

#include "exchange/simulated.h"
#include "ingest/program/access.h"
#include "ingest/stream/stream.h"
#include "sl_test.h"
#include "sluice/runtime.h"
#include "sluice/simulation.h"

#define A_FEW 2600 /* more than two connections of each venue that has a limit */
#define LONGEST SL_MINUTES(60)

struct play {
    sl_venue venue;
    bool books;
    size_t count, all;
    sl_instruments *theirs, *ours;
    sl_simulated *exchange;
    sl_stream_service *stream;
    sl_config *config;
    sl_access *access;
    uint64_t events;
    struct sl_stream_stats stats;
    struct sl_simulated_stats exchange_stats;
    size_t pending;
    sl_time settled_after;
};

static int on_event(void *arg, const sl_market_event *event)
{
    struct play *play = arg;
    play->events += event->kind == SL_EVENT_TRADE;
    return 0;
}

/* A book that is asked for begins with its first change: one without any is not waited for. */
static void count_pending(void *arg, const sl_subscription *what)
{
    struct play *play = arg;
    bool asked = sl_venue_driver_of(play->venue)->book_rule == SL_BOOK_RULE_TIMED;
    bool quiet = what->feed == SL_FEED_DEPTH && asked && sl_stream_get_stats(play->stream).active == play->all &&
                 sl_books_last(sl_stream_books(play->stream), what->instrument) == 0;
    play->pending += !quiet;
}

/* Until the venue has said yes to all. */
static int settle(struct play *play)
{
    sl_time from = sl_now();
    do {
        SL_TRY(sl_sleep(SL_SECONDS(1)));
        play->pending = 0;
        play->all = play->count * (play->books ? 2 : 1);
        sl_stream_each_pending(play->stream, count_pending, play);
    } while (play->pending > 0 && sl_now() - from < LONGEST);
    play->settled_after = sl_now() - from;
    return sl_sleep(SL_SECONDS(20));
}

/* The way to the venue, with its limits, as a program has it. */
static int open_access(struct play *play)
{
    const char *venue = sl_venue_name(play->venue);
    int port = sl_simulated_port(play->exchange);
    char text[512];
    (void)snprintf(text, sizeof text,
                   "services: { play: { kind: book, venue: %s, instruments: ['*'], sinks: [none] } }\n"
                   "sinks: { none: { kind: file, path: none } }\n"
                   "venues: { %s: { stream: 'ws://127.0.0.1:%d/%s', rest: 'http://127.0.0.1:%d/%s' } }\n",
                   venue, venue, port, venue, port, venue);
    struct sl_config_source source = {.path = "play", .text = text, .text_bytes = strlen(text)};
    struct sl_config_options options = {.root = &sl_conf_root, .sources = &source, .source_count = 1};
    sl_auto(sl_config_report) *report = NULL;
    SL_TRY(sl_config_load(&options, &play->config, &report));
    const struct sl_conf *conf = sl_config_root(play->config);
    return sl_access_open(play->config, sl_conf_service_find(conf, "play"), play->ours, NULL, &play->access);
}

static int subscribe(struct play *play)
{
    for (size_t at = 0; at < play->count; at++) {
        const sl_instrument *instrument = sl_instruments_at(play->ours, at);
        sl_subscription trades = {.feed = SL_FEED_TRADES, .instrument = instrument};
        sl_subscription depth = {.feed = SL_FEED_DEPTH, .instrument = instrument};
        SL_TRY(sl_stream_add(play->stream, &trades));
        SL_TRY(play->books ? sl_stream_add(play->stream, &depth) : 0);
    }
    return 0;
}

static int follow(struct play *play)
{
    SL_TRY(open_access(play));
    struct sl_stream_options options = {.name = "limits",
                                        .driver = sl_venue_driver_of(play->venue),
                                        .instruments = play->ours,
                                        .origin = sl_access_stream_origin(play->access),
                                        .connects = sl_access_connects(play->access),
                                        .http = sl_access_http(play->access),
                                        .rest_origin = sl_access_rest_origin(play->access),
                                        .arg = play,
                                        .event = on_event};
    SL_TRY(sl_stream_new(&options, &play->stream));
    SL_TRY(subscribe(play));
    SL_SCOPE(scope, .name = "play");
    int code = sl_spawn(&scope, sl_simulated_run, play->exchange, .name = "exchange");
    code = code == 0 ? sl_spawn(&scope, sl_stream_run, play->stream, .name = "stream") : code;
    code = code == 0 ? settle(play) : code;
    play->stats = sl_stream_get_stats(play->stream);
    play->exchange_stats = *sl_simulated_get_stats(play->exchange);
    sl_scope_cancel(&scope, "done");
    return sl_scope_close(&scope, code);
}

static int perform(void *arg)
{
    struct play *play = arg;
    SL_TRY(sl_network_simulate());
    struct sl_simulated_options exchange = {
        .instruments = play->theirs, .seed = 3, .rate = 20, .trade_weight = 90, .strict = true};
    if (play->books) {
        exchange.rate = (double)play->count / 50;
        exchange.trade_weight = 10;
    }
    exchange.venues[play->venue].levels = 2;
    SL_TRY(sl_simulated_open(&exchange, &play->exchange));
    int code = follow(play);
    sl_stream_service_free(play->stream);
    sl_access_close(play->access);
    sl_config_unref(play->config);
    sl_simulated_close(play->exchange);
    return code;
}

static void run(sl_venue venue, bool books)
{
    struct play play = {
        .venue = venue, .books = books, .count = (size_t)sl_test_number("SL_LIMITS_INSTRUMENTS", A_FEW)};
    assert_int_equal(sl_instruments_new(200000, &play.theirs), 0);
    assert_int_equal(sl_instruments_new(200000, &play.ours), 0);
    assert_int_equal(sl_simulated_define(play.theirs, venue, play.count), 0);
    assert_int_equal(sl_simulated_define(play.ours, venue, play.count), 0);
    struct sl_simulation_options simulation = {.seed = 7};
    struct sl_run_options options = {.simulation = &simulation, .watchdog = SL_NEVER, .log = sl_log_nothing};
    assert_int_equal(sl_run(&options, perform, &play, NULL), 0);
    assert_int_equal(play.stats.active, play.all);
    print_message("%s: %zu of %zu subscribed over %zu connections after %lld s, %llu bytes heard; %llu limits hit\n",
                  sl_venue_name(venue), play.stats.active, play.stats.subscriptions, play.stats.connections,
                  (long long)(play.settled_after / SL_SECONDS(1)), (unsigned long long)play.stats.bytes,
                  (unsigned long long)play.exchange_stats.limited);
    assert_int_equal(play.pending, 0);
    assert_int_equal(play.exchange_stats.limited + play.exchange_stats.refused, 0);
    assert_int_equal(play.stats.live, play.stats.connections);
    assert_int_equal(play.stats.reconnects, 0);
    assert_int_equal(play.exchange_stats.connections, play.stats.connections);
    uint32_t most = sl_venue_driver_of(venue)->limits.per_connection;
    if (most > 0) { /* no more connections than are needed */
        assert_int_equal(play.stats.connections, (play.stats.subscriptions + most - 1) / most);
    }
    assert_true(play.events > 100);
    sl_instruments_free(play.theirs);
    sl_instruments_free(play.ours);
}

#define RUN(name, venue, books)                                                                                        \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        run(venue, books);                                                                                             \
    }

RUN(binance, SL_VENUE_BINANCE_SPOT, false)
RUN(binance_usdm, SL_VENUE_BINANCE_USDM, false)
RUN(binance_coinm, SL_VENUE_BINANCE_COINM, false)
RUN(coinbase, SL_VENUE_COINBASE, false)
RUN(kraken, SL_VENUE_KRAKEN, false)
RUN(bybit, SL_VENUE_BYBIT_SPOT, false)
RUN(bybit_linear, SL_VENUE_BYBIT_LINEAR, false)
RUN(bybit_inverse, SL_VENUE_BYBIT_INVERSE, false)
RUN(okx, SL_VENUE_OKX, false)
RUN(bitstamp, SL_VENUE_BITSTAMP, false)
RUN(coinbase_books, SL_VENUE_COINBASE, true)
RUN(bitstamp_books, SL_VENUE_BITSTAMP, true)

/* ---- room that is given back ---- */

/* Those before have shorter names: each of the others takes as much of what a connection's names may have as any. */
#define FIRST 100
#define SWAPPED 40

static int set(sl_stream_service *stream, const sl_instruments *instruments, size_t from, size_t count)
{
    static sl_subscription all[A_FEW];
    for (size_t at = 0; at < count; at++) {
        all[at] = (sl_subscription){.feed = SL_FEED_TRADES, .instrument = sl_instruments_at(instruments, from + at)};
    }
    return sl_stream_set(stream, &(struct sl_stream_wanted){.all = all, .count = count}, NULL);
}

static int expect_connections(const char *what, const sl_stream_service *stream, size_t expected)
{
    size_t connections = sl_stream_get_stats(stream).connections;
    return connections == expected ? 0 : sl_fail(SL_EINTERNAL, "%s: %zu connections", what, connections);
}

/* As many as one connection can take; then some are left and as many others followed, again and again. */
static int swap(void *arg)
{
    struct play *play = arg;
    struct sl_stream_options options = {.name = "room",
                                        .driver = sl_venue_driver_of(play->venue),
                                        .instruments = play->ours,
                                        .arg = play,
                                        .event = on_event};
    sl_auto(sl_stream_service) *stream = NULL;
    SL_TRY(sl_stream_new(&options, &stream));
    size_t count = 0;
    while (sl_stream_get_stats(stream).connections < 2) {
        SL_TRY(set(stream, play->ours, FIRST, ++count));
    }
    count--;
    size_t from = FIRST;
    for (; from + count < A_FEW; from += SWAPPED) {
        SL_TRY(set(stream, play->ours, from, count));
        SL_TRY(expect_connections("as many as before", stream, 1));
    }
    SL_TRY(set(stream, play->ours, from - SWAPPED, count + 1));
    return expect_connections("one too many", stream, 2);
}

static void what_is_left_gives_its_room_back(void **state)
{
    (void)state;
    struct play play = {.venue = SL_VENUE_BYBIT_LINEAR};
    assert_int_equal(sl_instruments_new(0, &play.ours), 0);
    assert_int_equal(sl_simulated_define(play.ours, play.venue, A_FEW), 0);
    sl_error *error = NULL;
    int code = sl_run(&(struct sl_run_options){.watchdog = SL_NEVER}, swap, &play, &error);
    if (code != 0) {
        char story[300] = "";
        (void)sl_error_print(error, story, sizeof story);
        fail_msg("%s", story);
    }
    sl_instruments_free(play.ours);
}

SL_TEST_MAIN(cmocka_unit_test(binance), cmocka_unit_test(binance_usdm), cmocka_unit_test(binance_coinm),
             cmocka_unit_test(coinbase), cmocka_unit_test(kraken), cmocka_unit_test(bybit),
             cmocka_unit_test(bybit_linear), cmocka_unit_test(bybit_inverse), cmocka_unit_test(okx),
             cmocka_unit_test(bitstamp), cmocka_unit_test(coinbase_books), cmocka_unit_test(bitstamp_books),
             cmocka_unit_test(what_is_left_gives_its_room_back))
