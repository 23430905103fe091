/* SPDX-License-Identifier: MIT */
/*
 * Candles of several lengths on one stream of each venue that has them, against the simulated exchange under virtual
 * time: each that began and ended meanwhile comes once as closed, and is what the trades make it.
 */
#include <stdlib.h>
#include <string.h>

#include "exchange/simulated.h"
#include "ingest/stream/stream.h"
#include "sl_test.h"
#include "sluice/runtime.h"
#include "sluice/simulation.h"

#define INSTRUMENTS 2
#define MINUTES 34
#define RATE 3
#define SPACE 64 /* candles of one length */

static const int64_t lengths[] = {1, 5, 15}; /* minutes; all venues have them */
#define LENGTHS (sizeof lengths / sizeof *lengths)

struct tally {
    sl_candle candles[SPACE];
    uint64_t closed[SPACE]; /* times it was told */
    size_t count;
};

struct play {
    sl_venue venue;
    unsigned redundancy;
    sl_fault fault;
    sl_instruments *theirs, *ours;
    sl_simulated *exchange;
    sl_stream_service *stream;
    struct tally truth[INSTRUMENTS][LENGTHS], heard[INSTRUMENTS][LENGTHS];
    uint64_t grown, shrunk, wrong_length;
    int64_t subscribed_ns;
};

/* The place of a length; LENGTHS for one that was not asked for. */
static size_t place_of(int64_t interval_ns)
{
    size_t at = 0;
    while (at < LENGTHS && SL_MINUTES(lengths[at]) != interval_ns) {
        at++;
    }
    return at;
}

/* The candle that began at a time; the last one is tried first. */
static size_t find(struct tally *tally, int64_t open_ns)
{
    for (size_t at = tally->count; at-- > 0;) {
        if (tally->candles[at].open_time_ns == open_ns) {
            return at;
        }
    }
    assert_true(tally->count < SPACE);
    tally->candles[tally->count] = (sl_candle){.open_time_ns = open_ns};
    return tally->count++;
}

/* Written anew, not as the exchange does it. */
static int on_truth(void *arg, const sl_market_event *event)
{
    struct play *play = arg;
    for (size_t at = 0; at < LENGTHS && event->kind == SL_EVENT_TRADE; at++) {
        struct tally *tally = &play->truth[event->instrument->index][at];
        int64_t length = SL_MINUTES(lengths[at]);
        sl_candle *candle = &tally->candles[find(tally, event->venue_time_ns / length * length)];
        const sl_trade *trade = &event->as.trade;
        if (candle->trades++ == 0) {
            candle->open = candle->high = candle->low = trade->price;
        }
        candle->high = sl_decimal_compare(candle->high, trade->price) < 0 ? trade->price : candle->high;
        candle->low = sl_decimal_compare(candle->low, trade->price) > 0 ? trade->price : candle->low;
        candle->close = trade->price;
        assert_int_equal(sl_decimal_add(candle->volume, trade->quantity, &candle->volume), 0);
    }
    return 0;
}

static int on_event(void *arg, const sl_market_event *event)
{
    struct play *play = arg;
    if (event->kind != SL_EVENT_CANDLE) {
        return 0;
    }
    size_t length = place_of(event->as.candle.interval_ns);
    if (length == LENGTHS) {
        play->wrong_length++;
        return 0;
    }
    struct tally *tally = &play->heard[event->instrument->index][length];
    size_t at = find(tally, event->as.candle.open_time_ns);
    play->shrunk += sl_decimal_compare(event->as.candle.volume, tally->candles[at].volume) < 0 || tally->closed[at] > 0;
    play->grown++;
    tally->candles[at] = event->as.candle;
    tally->closed[at] += event->as.candle.closed;
    return 0;
}

static int subscribe(struct play *play)
{
    for (size_t at = 0; at < INSTRUMENTS; at++) {
        for (size_t length = 0; length < LENGTHS; length++) {
            sl_subscription what = {.feed = SL_FEED_CANDLES,
                                    .instrument = sl_instruments_at(play->ours, at),
                                    .interval_ns = SL_MINUTES(lengths[length])};
            int code = sl_stream_add(play->stream, &what);
            assert_int_equal(code, 1);
            assert_int_equal(sl_stream_add(play->stream, &what), 0);
        }
    }
    return 0;
}

static int go_on(struct play *play)
{
    SL_TRY(sl_sleep(SL_SECONDS(20)));
    play->subscribed_ns = sl_now_wall();
    for (int minute = 0; minute < MINUTES; minute++) {
        if (play->fault != SL_FAULT_NONE) {
            struct sl_fault_order order = {.fault = play->fault, .count = 2};
            SL_TRY(sl_simulated_order(play->exchange, &order));
        }
        SL_TRY(sl_sleep(SL_MINUTES(1)));
    }
    return 0;
}

static int perform(void *arg)
{
    struct play *play = arg;
    SL_TRY(sl_network_simulate());
    struct sl_simulated_options exchange = {.instruments = play->theirs,
                                            .seed = 3,
                                            .rate = RATE,
                                            .trade_weight = 60,
                                            .history = 4000,
                                            .arg = play,
                                            .record = on_truth};
    SL_TRY(sl_simulated_open(&exchange, &play->exchange));
    char origin[80];
    (void)snprintf(origin, sizeof origin, "ws://127.0.0.1:%d/%s", sl_simulated_port(play->exchange),
                   sl_venue_name(play->venue));
    struct sl_stream_options options = {.name = "candles",
                                        .driver = sl_venue_driver_of(play->venue),
                                        .instruments = play->ours,
                                        .origin = origin,
                                        .redundancy = play->redundancy,
                                        .backoff = {.initial = SL_MILLISECONDS(50), .max = SL_SECONDS(1)},
                                        .arg = play,
                                        .event = on_event};
    SL_TRY(sl_stream_new(&options, &play->stream));
    SL_TRY(subscribe(play));
    SL_SCOPE(scope, .name = "play");
    int code = sl_spawn(&scope, sl_simulated_run, play->exchange, .name = "exchange");
    code = code == 0 ? sl_spawn(&scope, sl_stream_run, play->stream, .name = "stream") : code;
    code = code == 0 ? go_on(play) : code;
    struct sl_stream_stats stats = sl_stream_get_stats(play->stream);
    if (code == 0 && play->fault == SL_FAULT_NONE) {
        assert_int_equal(stats.subscriptions, INSTRUMENTS * LENGTHS);
        assert_int_equal(stats.live, stats.connections);
        assert_int_equal(stats.bad + stats.unknown + stats.unfollowed + stats.stale, 0);
        unsigned apart = play->venue == SL_VENUE_KRAKEN ? LENGTHS : 1; /* one length of a symbol on a connection */
        assert_int_equal(stats.connections, apart * play->redundancy);
    }
    sl_scope_cancel(&scope, "done");
    code = sl_scope_close(&scope, code);
    sl_stream_service_free(play->stream);
    sl_simulated_close(play->exchange);
    return code;
}

static bool same(const sl_candle *a, const sl_candle *b)
{
    return sl_decimal_equal(a->open, b->open) && sl_decimal_equal(a->high, b->high) &&
           sl_decimal_equal(a->low, b->low) && sl_decimal_equal(a->close, b->close) &&
           sl_decimal_equal(a->volume, b->volume);
}

/* What was closed is the truth; with no fault nothing is left out. */
static size_t compare(struct play *play)
{
    size_t closed = 0;
    for (size_t at = 0; at < INSTRUMENTS * LENGTHS; at++) {
        struct tally *truth = &play->truth[at / LENGTHS][at % LENGTHS],
                     *heard = &play->heard[at / LENGTHS][at % LENGTHS];
        for (size_t i = 0; i + 1 < truth->count; i++) { /* the last one has not ended */
            size_t other = find(heard, truth->candles[i].open_time_ns);
            bool needed = play->fault == SL_FAULT_NONE && truth->candles[i].open_time_ns >= play->subscribed_ns;
            if (heard->closed[other] > 1 || (needed && heard->closed[other] == 0) ||
                (heard->closed[other] == 1 && !same(&heard->candles[other], &truth->candles[i]))) {
                fail_msg("%s, %s: the candle of %lld minutes number %zu was told %llu times, or is another one",
                         sl_venue_name(play->venue), sl_fault_name(play->fault), (long long)lengths[at % LENGTHS], i,
                         (unsigned long long)heard->closed[other]);
            }
            closed += heard->closed[other];
        }
    }
    assert_int_equal(play->shrunk + play->wrong_length, 0);
    return closed;
}

static size_t run(sl_venue venue, unsigned redundancy, sl_fault fault)
{
    struct play *play = calloc(1, sizeof *play);
    assert_non_null(play);
    play->venue = venue;
    play->redundancy = redundancy;
    play->fault = fault;
    assert_int_equal(sl_instruments_new(0, &play->theirs), 0);
    assert_int_equal(sl_instruments_new(0, &play->ours), 0);
    assert_int_equal(sl_simulated_define(play->theirs, venue, INSTRUMENTS), 0);
    assert_int_equal(sl_simulated_define(play->ours, venue, INSTRUMENTS), 0);
    struct sl_simulation_options simulation = {.seed = 7};
    struct sl_run_options options = {.simulation = &simulation, .watchdog = SL_NEVER, .log = sl_log_nothing};
    assert_int_equal(sl_run(&options, perform, play, NULL), 0);
    size_t closed = compare(play);
    assert_true(play->grown > closed);
    sl_instruments_free(play->theirs);
    sl_instruments_free(play->ours);
    free(play);
    return closed;
}

static const sl_venue venues[] = {SL_VENUE_BINANCE_SPOT, SL_VENUE_BINANCE_USDM, SL_VENUE_BINANCE_COINM, SL_VENUE_KRAKEN,
                                  SL_VENUE_BYBIT_SPOT,   SL_VENUE_BYBIT_LINEAR, SL_VENUE_BYBIT_INVERSE, SL_VENUE_OKX};
#define VENUES (sizeof venues / sizeof *venues)

static void each_candle_comes_closed_once(void **state)
{
    (void)state;
    for (size_t at = 0; at < VENUES; at++) {
        for (unsigned redundancy = 1; redundancy <= 2; redundancy++) {
            size_t closed = run(venues[at], redundancy, SL_FAULT_NONE);
            assert_true(closed >= (size_t)INSTRUMENTS * (MINUTES - 2 + MINUTES / 5 - 1 + MINUTES / 15 - 1));
        }
    }
}

static void whatever_goes_wrong_a_closed_candle_is_true(void **state)
{
    (void)state;
    static const sl_fault faults[] = {SL_FAULT_CUT,       SL_FAULT_DUPLICATE,   SL_FAULT_REORDER,
                                      SL_FAULT_LATE_COPY, SL_FAULT_GARBAGE,     SL_FAULT_HOSTILE,
                                      SL_FAULT_DROP,      SL_FAULT_EXTRA_FIELD, SL_FAULT_OTHER_SYMBOL};
    for (size_t at = 0; at < VENUES; at++) {
        for (size_t fault = at % 3; fault < sizeof faults / sizeof *faults; fault += 3) {
            (void)run(venues[at], 1 + fault % 2, faults[fault]);
        }
    }
}

/* All that has candles on its streams is here. */
static void each_venue_with_candles_is_tried(void **state)
{
    (void)state;
    size_t with = 0;
    for (int venue = SL_VENUE_NONE + 1; venue < SL_VENUE_EXTERNAL; venue++) {
        with += (sl_venue_driver_of((sl_venue)venue)->feeds & SL_FEED_BIT(SL_FEED_CANDLES)) != 0;
    }
    assert_int_equal(with, VENUES);
}

SL_TEST_MAIN(cmocka_unit_test(each_candle_comes_closed_once),
             cmocka_unit_test(whatever_goes_wrong_a_closed_candle_is_true),
             cmocka_unit_test(each_venue_with_candles_is_tried))
