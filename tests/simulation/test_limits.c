/* SPDX-License-Identifier: MIT */
/*
 * Many instruments of each venue at once, against the simulated exchange as strict as the venues are: streams and bytes of
 * their names on a connection, sizes and rates of control messages, new connections. All is subscribed, and no limit is hit.
 *
 *     SL_LIMITS_INSTRUMENTS=20000   so many instead of a few
 */
#include <stdlib.h>

#include "exchange/simulated.h"
#include "ingest/stream/stream.h"
#include "sl_test.h"
#include "sluice/rate_limit.h"
#include "sluice/runtime.h"
#include "sluice/simulation.h"

#define A_FEW 2600 /* more than two connections of each venue that has a limit */
#define LONGEST SL_MINUTES(60)

struct play {
    sl_venue venue;
    size_t count;
    sl_instruments *theirs, *ours;
    sl_simulated *exchange;
    sl_stream_service *stream;
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

static void count_pending(void *arg, const sl_subscription *what)
{
    (void)what;
    ((struct play *)arg)->pending++;
}

/* Until the venue has said yes to all. */
static int settle(struct play *play)
{
    sl_time from = sl_now();
    do {
        SL_TRY(sl_sleep(SL_SECONDS(1)));
        play->pending = 0;
        sl_stream_each_pending(play->stream, count_pending, play);
    } while (play->pending > 0 && sl_now() - from < LONGEST);
    play->settled_after = sl_now() - from;
    return sl_sleep(SL_SECONDS(20));
}

static int perform(void *arg)
{
    struct play *play = arg;
    const sl_venue_driver *driver = sl_venue_driver_of(play->venue);
    SL_TRY(sl_network_simulate());
    struct sl_simulated_options exchange = {
        .instruments = play->theirs, .seed = 3, .rate = 20, .trade_weight = 90, .strict = true};
    exchange.venues[play->venue].levels = 2;
    SL_TRY(sl_simulated_open(&exchange, &play->exchange));
    char origin[80];
    (void)snprintf(origin, sizeof origin, "ws://127.0.0.1:%d/%s", sl_simulated_port(play->exchange),
                   sl_venue_name(play->venue));
    /* As access.c makes it for a program. */
    struct sl_rate connects = {.count = driver->limits.connects, .period = driver->limits.connects_per};
    struct sl_limiter_options limiter = {.name = "connects", .rates = &connects, .rate_count = 1};
    sl_auto(sl_limiter) *limit = NULL;
    if (driver->limits.connects > 0) {
        SL_TRY(sl_limiter_create(&limiter, &limit));
    }
    struct sl_stream_options options = {.name = "limits",
                                        .driver = driver,
                                        .instruments = play->ours,
                                        .origin = origin,
                                        .connects = limit,
                                        .arg = play,
                                        .event = on_event};
    SL_TRY(sl_stream_new(&options, &play->stream));
    for (size_t at = 0; at < play->count; at++) {
        sl_subscription what = {.feed = SL_FEED_TRADES, .instrument = sl_instruments_at(play->ours, at)};
        SL_TRY(sl_stream_add(play->stream, &what));
    }
    SL_SCOPE(scope, .name = "play");
    int code = sl_spawn(&scope, sl_simulated_run, play->exchange, .name = "exchange");
    code = code == 0 ? sl_spawn(&scope, sl_stream_run, play->stream, .name = "stream") : code;
    code = code == 0 ? settle(play) : code;
    play->stats = sl_stream_get_stats(play->stream);
    play->exchange_stats = *sl_simulated_get_stats(play->exchange);
    sl_scope_cancel(&scope, "done");
    code = sl_scope_close(&scope, code);
    sl_stream_service_free(play->stream);
    sl_simulated_close(play->exchange);
    return code;
}

static void run(sl_venue venue)
{
    struct play play = {.venue = venue, .count = (size_t)sl_test_number("SL_LIMITS_INSTRUMENTS", A_FEW)};
    assert_int_equal(sl_instruments_new(200000, &play.theirs), 0);
    assert_int_equal(sl_instruments_new(200000, &play.ours), 0);
    assert_int_equal(sl_simulated_define(play.theirs, venue, play.count), 0);
    assert_int_equal(sl_simulated_define(play.ours, venue, play.count), 0);
    struct sl_simulation_options simulation = {.seed = 7};
    struct sl_run_options options = {.simulation = &simulation, .watchdog = SL_NEVER, .log = sl_log_nothing};
    assert_int_equal(sl_run(&options, perform, &play, NULL), 0);
    print_message("%s: %zu subscribed over %zu connections after %lld s; %llu limits hit\n", sl_venue_name(venue),
                  play.count - play.pending, play.stats.connections, (long long)(play.settled_after / SL_SECONDS(1)),
                  (unsigned long long)play.exchange_stats.limited);
    assert_int_equal(play.pending, 0);
    assert_int_equal(play.exchange_stats.limited + play.exchange_stats.refused, 0);
    assert_int_equal(play.stats.live, play.stats.connections);
    assert_int_equal(play.stats.reconnects, 0);
    assert_int_equal(play.exchange_stats.connections, play.stats.connections);
    uint32_t most = sl_venue_driver_of(venue)->limits.per_connection;
    if (most > 0) { /* no more connections than are needed */
        assert_int_equal(play.stats.connections, (play.count + most - 1) / most);
    }
    assert_true(play.events > 100);
    sl_instruments_free(play.theirs);
    sl_instruments_free(play.ours);
}

#define RUN(name, venue)                                                                                               \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        run(venue);                                                                                                    \
    }

RUN(binance, SL_VENUE_BINANCE_SPOT)
RUN(binance_usdm, SL_VENUE_BINANCE_USDM)
RUN(binance_coinm, SL_VENUE_BINANCE_COINM)
RUN(coinbase, SL_VENUE_COINBASE)
RUN(kraken, SL_VENUE_KRAKEN)
RUN(bybit, SL_VENUE_BYBIT_SPOT)
RUN(bybit_linear, SL_VENUE_BYBIT_LINEAR)
RUN(bybit_inverse, SL_VENUE_BYBIT_INVERSE)
RUN(okx, SL_VENUE_OKX)
RUN(bitstamp, SL_VENUE_BITSTAMP)

SL_TEST_MAIN(cmocka_unit_test(binance), cmocka_unit_test(binance_usdm), cmocka_unit_test(binance_coinm),
             cmocka_unit_test(coinbase), cmocka_unit_test(kraken), cmocka_unit_test(bybit),
             cmocka_unit_test(bybit_linear), cmocka_unit_test(bybit_inverse), cmocka_unit_test(okx),
             cmocka_unit_test(bitstamp))
