/* SPDX-License-Identifier: MIT */
/*
 * Streams against the simulated exchange: what comes out of the service is the truth, whatever is ordered to go wrong.
 * What was received is compared with what the exchange recorded, trade for trade. A while before the end nothing goes
 * wrong any more, so that each loss can be noticed.
 */
#include "ingest/stream/stream.h"

#include <stdlib.h>
#include <string.h>

#include "exchange/simulated.h"
#include "sl_test.h"
#include "sluice/runtime.h"

#define INSTRUMENTS 5
#define STEPS 4000
#define RATE 6000 /* steps a second */
#define CALM_FROM (STEPS * 3 / 4)

/* Who is asked to leave is cut after this: a slow one must have had time for another connection. */
#define LEAVE_WITHIN (SL_MILLISECONDS(300) * SL_TEST_SLOWER)

/* What was given out, or truly happened, of one instrument. */
struct tale {
    int64_t ids[STEPS];
    size_t count;
    uint64_t hash; /* over prices, quantities and sides, in any order */
    uint64_t gaps, missing;
};

struct play {
    sl_venue venue;
    sl_fault fault;
    uint64_t fault_count;
    unsigned redundancy;
    sl_instruments *theirs, *ours;
    sl_simulated *exchange;
    sl_stream_service *stream;
    struct tale truth[INSTRUMENTS], heard[INSTRUMENTS];
    uint64_t steps_recorded, fault_at;
    uint64_t bad;
    struct sl_simulated_stats exchange_stats;
    struct sl_stream_stats stream_stats;
};

static uint64_t hash_trade(const sl_trade *trade)
{
    uint64_t hash = (uint64_t)trade->id * 31 + trade->uuid.low * 17;
    hash = hash * 1000003 + (uint64_t)trade->price.mantissa;
    hash = hash * 1000003 + (uint64_t)trade->quantity.mantissa;
    hash = hash * 1000003 + (uint64_t)trade->taker;
    return hash ^ hash >> 29;
}

static void note(struct tale *tale, const sl_market_event *event)
{
    if (event->kind == SL_EVENT_GAP && event->feed == SL_FEED_TRADES) {
        tale->gaps++;
        tale->missing += (uint64_t)(event->as.gap.to_id - event->as.gap.from_id - 1);
    } else if (event->kind == SL_EVENT_TRADE) {
        assert_true(tale->count < STEPS);
        tale->ids[tale->count++] = event->as.trade.id != 0 ? event->as.trade.id : (int64_t)event->as.trade.uuid.low;
        tale->hash += hash_trade(&event->as.trade);
    }
}

/* Of two connections a busy machine may not have the first one back when the second one is cut: that would be a loss. */
static bool may_fail(const struct play *play)
{
    struct sl_stream_stats stats = sl_stream_get_stats(play->stream);
    return play->fault != SL_FAULT_NONE && play->steps_recorded >= play->fault_at && play->steps_recorded < CALM_FROM &&
           (play->redundancy == 1 || stats.live == stats.connections);
}

static int on_truth(void *arg, const sl_market_event *event)
{
    struct play *play = arg;
    note(&play->truth[event->instrument->index], event);
    play->steps_recorded++;
    if (may_fail(play)) {
        play->fault_at = play->steps_recorded + 500;
        return sl_simulated_order(
            play->exchange,
            &(struct sl_fault_order){.fault = play->fault, .count = play->fault_count, .duration = LEAVE_WITHIN});
    }
    return 0;
}

static int on_event(void *arg, const sl_market_event *event)
{
    struct play *play = arg;
    note(&play->heard[event->instrument->index], event);
    return 0;
}

static int on_bad(void *arg, const struct sl_bad_message *message)
{
    (void)message;
    ((struct play *)arg)->bad++;
    return 0;
}

static bool all_heard(const struct play *play)
{
    for (size_t at = 0; at < INSTRUMENTS; at++) {
        const struct tale *truth = &play->truth[at], *heard = &play->heard[at];
        if (truth->count > 0 && (heard->count == 0 || heard->ids[heard->count - 1] != truth->ids[truth->count - 1])) {
            return false;
        }
    }
    return sl_simulated_get_stats(play->exchange)->over;
}

/* Until the last trade of each instrument has come, or nothing comes any more. */
static int wait_for_all(struct play *play)
{
    for (int waited = 0; waited < 1000 && !all_heard(play); waited++) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(10)));
    }
    return 0;
}

static int subscribe(struct play *play)
{
    for (size_t at = 0; at < INSTRUMENTS; at++) {
        sl_subscription what = {.feed = SL_FEED_TRADES, .instrument = sl_instruments_at(play->ours, at)};
        SL_TRY(sl_stream_add(play->stream, &what));
    }
    return 0;
}

static int perform(void *arg)
{
    struct play *play = arg;
    struct sl_simulated_options exchange = {.instruments = play->theirs,
                                            .seed = 7,
                                            .rate = RATE,
                                            .steps = STEPS,
                                            .wait = (size_t)INSTRUMENTS * play->redundancy,
                                            .trade_weight = 60,
                                            .arg = play,
                                            .record = on_truth};
    SL_TRY(sl_simulated_open(&exchange, &play->exchange));
    char origin[80];
    (void)snprintf(origin, sizeof origin, "ws://127.0.0.1:%d/%s", sl_simulated_port(play->exchange),
                   sl_venue_name(play->venue));
    struct sl_stream_options options = {.name = "trades",
                                        .driver = sl_venue_driver_of(play->venue),
                                        .instruments = play->ours,
                                        .origin = origin,
                                        .redundancy = play->redundancy,
                                        .per_connection = 2,
                                        .backoff = {.initial = SL_MILLISECONDS(5), .max = SL_MILLISECONDS(20)},
                                        .arg = play,
                                        .event = on_event,
                                        .bad = on_bad};
    SL_TRY(sl_stream_new(&options, &play->stream));
    SL_TRY(subscribe(play));
    SL_SCOPE(scope, .name = "play");
    int code = sl_spawn(&scope, sl_simulated_run, play->exchange, .name = "exchange");
    code = code == 0 ? sl_spawn(&scope, sl_stream_run, play->stream, .name = "stream") : code;
    code = code == 0 ? wait_for_all(play) : code;
    sl_scope_cancel(&scope, "done");
    code = sl_scope_close(&scope, code);
    play->exchange_stats = *sl_simulated_get_stats(play->exchange);
    play->stream_stats = sl_stream_get_stats(play->stream);
    sl_stream_service_free(play->stream);
    sl_simulated_close(play->exchange);
    return code;
}

static struct play *run(sl_venue venue, sl_fault fault, uint64_t count, unsigned redundancy)
{
    struct play *play = calloc(1, sizeof *play);
    assert_non_null(play);
    play->venue = venue;
    play->fault = fault;
    play->fault_count = count;
    play->fault_at = 250;
    play->redundancy = redundancy;
    assert_int_equal(sl_instruments_new(0, &play->theirs), 0);
    assert_int_equal(sl_instruments_new(0, &play->ours), 0);
    assert_int_equal(sl_simulated_define(play->theirs, venue, INSTRUMENTS), 0);
    assert_int_equal(sl_simulated_define(play->ours, venue, INSTRUMENTS), 0);
    sl_error *error = NULL;
    int code = sl_run(NULL, perform, play, &error);
    if (code != 0) {
        fail_msg("%s: %d %s", sl_venue_name(venue), code, sl_strerror(code));
    }
    return play;
}

static void done(struct play *play)
{
    sl_instruments_free(play->theirs);
    sl_instruments_free(play->ours);
    free(play);
}

/* All that happened was given out once, or told missing; nothing else was. */
static void check(const struct play *play, bool lossless)
{
    uint64_t trades = 0;
    for (size_t at = 0; at < INSTRUMENTS; at++) {
        const struct tale *truth = &play->truth[at], *heard = &play->heard[at];
        trades += truth->count;
        if (lossless) {
            assert_int_equal(heard->count, truth->count);
            assert_int_equal(heard->hash, truth->hash);
            assert_int_equal(heard->gaps, 0);
        } else {
            assert_int_equal(heard->count + heard->missing, truth->count);
        }
    }
    assert_true(trades > STEPS / 4);
}

static void usdm_trades_are_the_truth(void **state)
{
    (void)state;
    struct play *play = run(SL_VENUE_BINANCE_USDM, SL_FAULT_NONE, 0, 1);
    check(play, true);
    assert_int_equal(play->bad, 0);
    done(play);
}

static void cuts_of_the_only_connection_are_gaps(void **state)
{
    (void)state;
    struct play *play = run(SL_VENUE_BINANCE_SPOT, SL_FAULT_CUT, 1, 1);
    check(play, false);
    assert_true(play->stream_stats.reconnects >= 3);
    done(play);
}

static void cuts_of_one_of_two_connections_lose_nothing(void **state)
{
    (void)state;
    struct play *play = run(SL_VENUE_BINANCE_SPOT, SL_FAULT_CUT, 1, 2);
    check(play, true);
    assert_true(play->stream_stats.reconnects >= 3);
    done(play);
}

static void lost_trades_of_one_connection_come_by_the_other(void **state)
{
    (void)state;
    struct play *play = run(SL_VENUE_BINANCE_COINM, SL_FAULT_DROP_TRADE, 1, 2);
    check(play, true);
    assert_int_equal(play->exchange_stats.faults[SL_FAULT_DROP_TRADE], 6);
    done(play);
}

static void lost_trades_of_the_only_connection_are_gaps(void **state)
{
    (void)state;
    struct play *play = run(SL_VENUE_BINANCE_COINM, SL_FAULT_DROP_TRADE, 3, 1);
    check(play, false);
    uint64_t missing = 0;
    for (size_t at = 0; at < INSTRUMENTS; at++) {
        missing += play->heard[at].missing;
    }
    assert_int_equal(missing, 18);
    done(play);
}

static void repeated_garbled_and_unknown_messages_harm_nothing(void **state)
{
    (void)state;
    static const sl_fault faults[] = {SL_FAULT_DUPLICATE, SL_FAULT_GARBAGE, SL_FAULT_UNKNOWN};
    for (size_t at = 0; at < sizeof faults / sizeof *faults; at++) {
        struct play *play = run(SL_VENUE_BINANCE_USDM, faults[at], 5, 1);
        check(play, true);
        assert_int_equal(play->exchange_stats.faults[faults[at]], 30);
        assert_int_equal(play->bad, faults[at] == SL_FAULT_DUPLICATE ? 0 : 30);
        done(play);
    }
}

static void a_venue_that_asks_to_leave_is_left_without_a_loss(void **state)
{
    (void)state;
    struct play *play = run(SL_VENUE_BINANCE_USDM, SL_FAULT_LEAVE, 1, 1);
    check(play, true);
    assert_true(play->stream_stats.rotations >= 1);
    done(play);
}

SL_TEST_MAIN(cmocka_unit_test(usdm_trades_are_the_truth), cmocka_unit_test(cuts_of_the_only_connection_are_gaps),
             cmocka_unit_test(cuts_of_one_of_two_connections_lose_nothing),
             cmocka_unit_test(lost_trades_of_one_connection_come_by_the_other),
             cmocka_unit_test(lost_trades_of_the_only_connection_are_gaps),
             cmocka_unit_test(repeated_garbled_and_unknown_messages_harm_nothing),
             cmocka_unit_test(a_venue_that_asks_to_leave_is_left_without_a_loss))
