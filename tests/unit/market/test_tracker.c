/* SPDX-License-Identifier: MIT */
/* First copies and holes: services/market/tracker.h. */
#include "market/tracker.h"

#include <stdlib.h>
#include <string.h>

#include "sl_test.h"
#include "sluice/memory.h"

#define SEEN_MAX 4096

/* What the tracker gave out. */
struct seen {
    sl_market_event events[SEEN_MAX];
    size_t count;
    int refuse; /* gives this code instead of taking */
};

static int take(void *arg, const sl_market_event *event)
{
    struct seen *seen = arg;
    if (seen->refuse != 0) {
        return seen->refuse;
    }
    assert_true(seen->count < SEEN_MAX);
    seen->events[seen->count++] = *event;
    return 0;
}

struct kit {
    struct seen seen;
    sl_instruments *instruments;
    const sl_instrument *btc, *eth;
    sl_tracker *tracker;
};

static struct kit *open_kit(bool consecutive, sl_time patience)
{
    struct kit *kit = calloc(1, sizeof *kit);
    assert_non_null(kit);
    assert_int_equal(sl_instruments_new(0, &kit->instruments), 0);
    sl_instrument one = {.venue = SL_VENUE_KRAKEN, .symbol = "BTC/USD"};
    assert_int_equal(sl_instruments_add(kit->instruments, &one, &kit->btc), 1);
    one = (sl_instrument){.venue = SL_VENUE_KRAKEN, .symbol = "ETH/USD"};
    assert_int_equal(sl_instruments_add(kit->instruments, &one, &kit->eth), 1);
    sl_tracker_options options = {
        .consecutive_trades = consecutive, .patience = patience, .arg = &kit->seen, .event = take};
    assert_int_equal(sl_tracker_new(&options, &kit->tracker), 0);
    return kit;
}

static void close_kit(struct kit *kit)
{
    sl_tracker_free(kit->tracker);
    sl_instruments_free(kit->instruments);
    free(kit);
}

static sl_market_event trade(const struct kit *kit, int64_t id, uint32_t connection)
{
    sl_market_event event = {.kind = SL_EVENT_TRADE,
                             .feed = SL_FEED_TRADES,
                             .connection = connection,
                             .instrument = kit->btc,
                             .venue_time_ns = id,
                             .receive_time_ns = id * 10};
    event.as.trade = (sl_trade){.id = id, .first_id = id, .last_id = id, .price = {id, 0}, .quantity = {1, 0}};
    return event;
}

static int see(struct kit *kit, int64_t id, uint32_t connection, sl_time now)
{
    sl_market_event event = trade(kit, id, connection);
    return sl_tracker_event(kit->tracker, &event, now);
}

static const sl_market_event *last(const struct kit *kit)
{
    assert_true(kit->seen.count > 0);
    return &kit->seen.events[kit->seen.count - 1];
}

static void the_first_copy_wins(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 0);
    assert_int_equal(see(kit, 5, 1, 1), 1);
    assert_int_equal(see(kit, 5, 2, 2), 0);
    assert_int_equal(see(kit, 6, 2, 3), 1);
    assert_int_equal(see(kit, 6, 1, 4), 0);
    assert_int_equal(see(kit, 4, 1, 5), 0); /* before the beginning: not told as late */
    assert_int_equal(kit->seen.count, 2);
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->repeated, 3);
    assert_int_equal(sl_tracker_last_id(kit->tracker, kit->btc, SL_FEED_TRADES), 6);
    close_kit(kit);
}

static void without_patience_a_hole_is_a_gap_at_once(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 0);
    assert_int_equal(see(kit, 5, 1, 1), 1);
    assert_int_equal(see(kit, 9, 1, 2), 1);
    assert_int_equal(kit->seen.count, 3);
    const sl_market_event *gap = &kit->seen.events[1];
    assert_int_equal(gap->kind, SL_EVENT_GAP);
    assert_int_equal(gap->feed, SL_FEED_TRADES);
    assert_ptr_equal(gap->instrument, kit->btc);
    assert_int_equal(gap->as.gap.from_id, 5);
    assert_int_equal(gap->as.gap.to_id, 9);
    assert_int_equal(gap->as.gap.reason, SL_GAP_SEQUENCE);
    assert_false(gap->as.gap.healed);
    assert_int_equal(last(kit)->as.trade.id, 9);
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->missing, 3);
    assert_int_equal(see(kit, 7, 2, 3), 1); /* it comes yet: better late than never */
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->late, 1);
    close_kit(kit);
}

/* One id that is far too high does not make all that follow repeats for ever; late copies are no such thing. */
static void numbers_that_begin_anew_are_followed(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 100);
    const int64_t high = INT64_C(5000000000);
    assert_int_equal(see(kit, 1000, 1, 1), 1);
    assert_int_equal(see(kit, high, 1, 2), 1);
    size_t count = kit->seen.count; /* with the gap between them */
    for (int64_t id = 1001; id < 1000 + SL_TRACKER_STRAYS; id++) {
        assert_int_equal(see(kit, id, 1, 3), 0);
    }
    assert_int_equal(kit->seen.count, count);
    assert_int_equal(see(kit, 1000 + SL_TRACKER_STRAYS, 1, 4), 1);
    assert_int_equal(kit->seen.count, count + 2);
    const sl_market_event *gap = &kit->seen.events[count];
    assert_int_equal(gap->kind, SL_EVENT_GAP);
    assert_int_equal(gap->as.gap.from_id, high);
    assert_int_equal(gap->as.gap.to_id, 0);
    assert_int_equal(see(kit, 1001 + SL_TRACKER_STRAYS, 1, 5), 1);
    assert_int_equal(see(kit, 1001 + SL_TRACKER_STRAYS, 2, 6), 0); /* the other connection's copy */
    assert_int_equal(see(kit, high, 1, 7), 1);
    for (int64_t id = 0; id < 100; id++) { /* one that is old in between, or not so old, is only that */
        assert_int_equal(see(kit, 5, 2, 8), 0);
        assert_int_equal(see(kit, high + id - 5000, 2, 8), 0);
        assert_int_equal(see(kit, high + id + 1, 1, 8), 1);
    }
    close_kit(kit);
}

static void with_patience_another_connection_fills_a_hole(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 100);
    sl_time when = 0;
    assert_int_equal(see(kit, 1, 1, 1), 1);
    assert_int_equal(see(kit, 5, 1, 10), 1);
    assert_int_equal(kit->seen.count, 2);
    assert_int_equal(sl_tracker_expire(kit->tracker, 20, &when), 0);
    assert_int_equal(when, 110);
    for (int64_t id = 1; id <= 5; id++) {
        assert_int_equal(see(kit, id, 2, 30), id > 1 && id < 5);
    }
    assert_int_equal(sl_tracker_expire(kit->tracker, 200, &when), 0);
    assert_int_equal(when, SL_NEVER);
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->gaps, 0);
    assert_int_equal(kit->seen.count, 5);
    close_kit(kit);
}

static void what_nobody_filled_is_told_when_patience_is_over(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 100);
    sl_time when = 0;
    assert_int_equal(see(kit, 1, 1, 1), 1);
    assert_int_equal(see(kit, 8, 1, 10), 1);
    assert_int_equal(see(kit, 2, 2, 20), 1);
    assert_int_equal(see(kit, 5, 2, 20), 1);
    assert_int_equal(see(kit, 7, 2, 20), 1);
    assert_int_equal(sl_tracker_expire(kit->tracker, 110, &when), 0);
    assert_int_equal(last(kit)->kind, SL_EVENT_GAP);
    assert_int_equal(last(kit)->as.gap.from_id, 2);
    assert_int_equal(last(kit)->as.gap.to_id, 7);
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->missing, 3); /* 3, 4 and 6 */
    close_kit(kit);
}

static void a_large_hole_is_counted_whole(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 100);
    assert_int_equal(see(kit, 10, 1, 1), 1);
    assert_int_equal(see(kit, 10 + 5 * SL_TRACKER_WINDOW, 1, 2), 1);
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->missing, 5 * SL_TRACKER_WINDOW - 1);
    assert_int_equal(kit->seen.events[1].as.gap.to_id, 10 + 5 * SL_TRACKER_WINDOW);
    close_kit(kit);
}

static void an_event_that_was_not_taken_comes_again(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 0);
    assert_int_equal(see(kit, 5, 1, 1), 1);
    kit->seen.refuse = SL_ECANCELED;
    assert_int_equal(see(kit, 6, 1, 2), SL_ECANCELED);
    assert_int_equal(see(kit, 9, 1, 2), SL_ECANCELED); /* the gap was not taken either */
    kit->seen.refuse = 0;
    assert_int_equal(see(kit, 6, 2, 3), 1);
    assert_int_equal(see(kit, 7, 2, 3), 1);
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->gaps, 0);
    assert_int_equal(kit->seen.count, 3);
    close_kit(kit);
}

static void a_heartbeat_tells_of_trades_that_did_not_come(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 0);
    assert_int_equal(sl_tracker_last_trade(kit->tracker, kit->btc, 7, 1, 1), 0); /* nothing to compare with */
    assert_int_equal(see(kit, 5, 1, 1), 1);
    assert_int_equal(sl_tracker_last_trade(kit->tracker, kit->btc, 5, 1, 1), 0);
    assert_int_equal(kit->seen.count, 1);
    assert_int_equal(sl_tracker_last_trade(kit->tracker, kit->btc, 7, 2, 22), 0);
    assert_int_equal(kit->seen.count, 2);
    assert_int_equal(last(kit)->as.gap.from_id, 5);
    assert_int_equal(last(kit)->as.gap.to_id, 8);
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->missing, 2);
    assert_int_equal(see(kit, 7, 1, 3), 1); /* only late */
    close_kit(kit);
}

static int resume(struct kit *kit, int64_t id, bool seamless)
{
    return sl_tracker_resume(kit->tracker, kit->btc, SL_FEED_TRADES, id, seamless, 77);
}

static void assert_restart(const sl_market_event *event, int64_t from, int64_t to)
{
    assert_int_equal(event->kind, SL_EVENT_GAP);
    assert_int_equal(event->as.gap.reason, SL_GAP_RESTARTED);
    assert_int_equal(event->as.gap.from_id, from);
    assert_int_equal(event->as.gap.to_id, to);
}

static void a_new_worker_goes_on_where_the_old_one_stood(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 0);
    assert_int_equal(resume(kit, 100, false), 0);
    int64_t id = 0;
    assert_true(sl_tracker_position(kit->tracker, kit->btc, SL_FEED_TRADES, &id));
    assert_int_equal(id, 100);
    assert_int_equal(see(kit, 104, 1, 1), 1);
    assert_restart(&kit->seen.events[0], 100, 104);
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->missing, 3);
    assert_true(sl_tracker_position(kit->tracker, kit->btc, SL_FEED_TRADES, &id));
    assert_int_equal(id, 104);
    assert_int_equal(see(kit, 106, 1, 1), 1);
    assert_int_equal(kit->seen.events[2].as.gap.reason, SL_GAP_SEQUENCE); /* a later one is none of the restart */
    close_kit(kit);
}

static void a_new_worker_that_began_before_the_old_one_ended_tells_only_what_is_missing(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 0);
    assert_int_equal(see(kit, 104, 1, 1), 1);
    assert_int_equal(see(kit, 105, 1, 1), 1);
    assert_int_equal(resume(kit, 104, true), 0); /* they overlap */
    assert_int_equal(resume(kit, 103, true), 0); /* they meet */
    assert_int_equal(kit->seen.count, 2);
    assert_int_equal(resume(kit, 101, true), 0);
    assert_restart(last(kit), 101, 104);
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->missing, 2);
    close_kit(kit);
}

static void a_position_that_nobody_knows_is_told_too(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 0);
    assert_int_equal(resume(kit, 0, true), 0);
    assert_int_equal(resume(kit, 0, false), 0);
    assert_int_equal(kit->seen.count, 0);
    assert_int_equal(see(kit, 104, 1, 1), 1);
    assert_restart(&kit->seen.events[0], 0, 104);
    assert_int_equal(see(kit, 105, 1, 1), 1);
    assert_int_equal(kit->seen.count, 3);
    assert_int_equal(resume(kit, 0, false), 0); /* it was known too late */
    assert_restart(last(kit), 0, 104);
    sl_tracker_forget(kit->tracker, kit->btc, SL_FEED_TRADES, 0);
    assert_int_equal(resume(kit, 0, false), 0);
    int64_t id = -1;
    assert_true(
        sl_tracker_position(kit->tracker, kit->btc, SL_FEED_TRADES, &id)); /* the next life is not to forget it */
    assert_int_equal(id, 0);
    assert_int_equal(sl_tracker_left(kit->tracker, kit->btc, SL_FEED_TRADES, true, 9), 0);
    assert_restart(last(kit), 0, 0);
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->missing, 0);
    close_kit(kit);
}

static void who_had_it_before_may_have_been_ahead(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 0);
    assert_int_equal(resume(kit, 100, true), 0);
    assert_int_equal(see(kit, 98, 1, 1), 1); /* not a repeat of ours; the sinks know it */
    assert_int_equal(see(kit, 99, 1, 1), 1);
    assert_int_equal(see(kit, 98, 1, 1), 0);
    assert_int_equal(kit->seen.count, 2);
    close_kit(kit);
}

static void without_consecutive_ids_a_restart_is_always_a_gap(void **state)
{
    (void)state;
    struct kit *kit = open_kit(false, 0);
    assert_int_equal(resume(kit, 100, false), 0);
    assert_int_equal(kit->seen.count, 0);
    assert_int_equal(see(kit, 107, 1, 1), 1);
    assert_restart(&kit->seen.events[0], 100, 107);
    assert_int_equal(see(kit, 109, 1, 1), 1);
    assert_int_equal(resume(kit, 101, true), 0); /* seamless: nobody can tell more */
    assert_int_equal(kit->seen.count, 3);
    assert_int_equal(resume(kit, 101, false), 0);
    assert_restart(last(kit), 101, 107);
    close_kit(kit);
}

/* A loss that is found out late lies behind what was given out before it, not behind what came last. */
static void a_loss_that_is_seen_late_is_told_with_where_it_was(void **state)
{
    (void)state;
    struct kit *kit = open_kit(false, 0);
    int64_t second = SL_SECONDS(1);
    for (int64_t id = 1; id <= 500; id++) { /* one a second */
        sl_market_event event = trade(kit, id, 1);
        event.venue_time_ns = (1000 + id) * second;
        assert_int_equal(sl_tracker_event(kit->tracker, &event, id * second), 1);
    }
    const struct {
        int64_t since, least_id, most_id;
    } cases[] = {{500, 500, 500}, {600, 500, 500}, {499, 490, 499}, {450, 440, 450}, {385, 376, 385}};
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        assert_int_equal(
            sl_tracker_lost(kit->tracker, kit->btc, SL_FEED_TRADES, cases[at].since * second, 9000 * second), 0);
        const sl_market_event *gap = last(kit);
        assert_in_range(gap->as.gap.from_id, cases[at].least_id, cases[at].most_id);
        assert_int_equal(gap->venue_time_ns, (1000 + gap->as.gap.from_id) * second);
    }
    /* So long ago that nobody remembers: by the time that has passed. */
    assert_int_equal(sl_tracker_lost(kit->tracker, kit->btc, SL_FEED_TRADES, 100 * second, 9000 * second), 0);
    assert_int_equal(last(kit)->as.gap.from_id, 0);
    assert_int_equal(last(kit)->venue_time_ns, 1100 * second);
    close_kit(kit);
}

/* It was there before the other one ended, but nothing had come yet: then its connection was lost. */
static void what_is_lost_before_the_first_event_of_a_feed_that_was_taken_over_is_told(void **state)
{
    (void)state;
    struct kit *kit = open_kit(false, 0);
    assert_int_equal(sl_tracker_lost(kit->tracker, kit->btc, SL_FEED_TRADES, 1, 9), 0);
    assert_int_equal(resume(kit, 100, true), 0);
    int64_t id = 0;
    assert_true(sl_tracker_position(kit->tracker, kit->btc, SL_FEED_TRADES, &id));
    assert_int_equal(id, 100);
    assert_int_equal(kit->seen.count, 0);
    assert_int_equal(sl_tracker_lost(kit->tracker, kit->btc, SL_FEED_TRADES, 1, 9), 0);
    assert_int_equal(kit->seen.count, 1);
    assert_int_equal(last(kit)->as.gap.reason, SL_GAP_DISCONNECTED);
    assert_int_equal(last(kit)->as.gap.from_id, 100);
    close_kit(kit);
}

static void a_restart_is_told_at_the_latest_when_another_goes_on(void **state)
{
    (void)state;
    struct kit *kit = open_kit(false, 0);
    assert_int_equal(resume(kit, 100, false), 0);
    int64_t id = 0;
    assert_true(sl_tracker_position(kit->tracker, kit->btc, SL_FEED_TRADES, &id));
    assert_int_equal(id, 100);
    assert_int_equal(sl_tracker_left(kit->tracker, kit->btc, SL_FEED_TRADES, true, 9), 0);
    assert_restart(last(kit), 100, 0);
    sl_tracker_forget(kit->tracker, kit->btc, SL_FEED_TRADES, 0);
    assert_int_equal(see(kit, 107, 1, 1), 1);
    assert_int_equal(sl_tracker_left(kit->tracker, kit->btc, SL_FEED_TRADES, true, 9), 0);
    assert_int_equal(kit->seen.count, 2); /* the other one goes on from 107 */
    close_kit(kit);
}

static void what_is_left_is_told_and_begins_anew(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 100);
    assert_int_equal(sl_tracker_left(kit->tracker, kit->btc, SL_FEED_TRADES, false, 9), 0);
    assert_int_equal(kit->seen.count, 0); /* nothing had come */
    assert_int_equal(see(kit, 5, 1, 1), 1);
    assert_int_equal(see(kit, 8, 1, 1), 1);
    int64_t id = 0;
    assert_true(sl_tracker_position(kit->tracker, kit->btc, SL_FEED_TRADES, &id));
    assert_int_equal(id, 5); /* 6 and 7 are waited for */
    assert_int_equal(sl_tracker_left(kit->tracker, kit->btc, SL_FEED_TRADES, false, 9), 0);
    assert_int_equal(kit->seen.count, 4);
    assert_int_equal(kit->seen.events[2].as.gap.from_id, 5);
    assert_int_equal(kit->seen.events[2].as.gap.to_id, 8);
    assert_int_equal(last(kit)->as.gap.reason, SL_GAP_DISCONNECTED);
    assert_int_equal(last(kit)->as.gap.from_id, 8);
    assert_int_equal(last(kit)->as.gap.to_id, 0);
    sl_tracker_forget(kit->tracker, kit->btc, SL_FEED_TRADES, 0);
    sl_time when = 0;
    assert_int_equal(sl_tracker_expire(kit->tracker, 1000, &when), 0);
    assert_int_equal(see(kit, 50, 1, 1), 1);
    assert_int_equal(kit->seen.count, 5);
    close_kit(kit);
}

static void other_ids_are_compared_with_recent_ones(void **state)
{
    (void)state;
    struct kit *kit = open_kit(false, 0);
    for (int64_t id = 0; id < INT64_C(3) * SL_TRACKER_RECENT; id++) {
        sl_market_event event = trade(kit, 0, 1);
        event.as.trade.uuid = (sl_uuid){(uint64_t)id + 1, 77};
        assert_int_equal(sl_tracker_event(kit->tracker, &event, 1), 1);
        event.connection = 2;
        assert_int_equal(sl_tracker_event(kit->tracker, &event, 1), 0);
    }
    assert_int_equal(kit->seen.count, 3 * SL_TRACKER_RECENT);
    assert_int_equal(sl_tracker_lost(kit->tracker, kit->btc, SL_FEED_TRADES, 1, 99), 0);
    assert_int_equal(last(kit)->kind, SL_EVENT_GAP);
    assert_int_equal(last(kit)->as.gap.reason, SL_GAP_DISCONNECTED);
    assert_int_equal(sl_tracker_lost(kit->tracker, kit->eth, SL_FEED_TRADES, 1, 99), 0); /* it had none */
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->gaps, 1);
    close_kit(kit);
}

static void of_a_state_only_what_is_newer_counts(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 0);
    sl_market_event event = {.kind = SL_EVENT_BEST, .feed = SL_FEED_BEST, .instrument = kit->btc};
    event.as.best.update_id = 10;
    assert_int_equal(sl_tracker_event(kit->tracker, &event, 1), 1);
    assert_int_equal(sl_tracker_event(kit->tracker, &event, 1), 0);
    event.as.best.update_id = 9;
    assert_int_equal(sl_tracker_event(kit->tracker, &event, 1), 0);
    event.as.best.update_id = 11;
    assert_int_equal(sl_tracker_event(kit->tracker, &event, 1), 1);
    sl_market_event ticker = {
        .kind = SL_EVENT_TICKER, .feed = SL_FEED_TICKER, .instrument = kit->btc, .venue_time_ns = 50};
    assert_int_equal(sl_tracker_event(kit->tracker, &ticker, 1), 1);
    assert_int_equal(sl_tracker_event(kit->tracker, &ticker, 1), 0);
    ticker.as.ticker.last = (sl_decimal){5, 0};
    assert_int_equal(sl_tracker_event(kit->tracker, &ticker, 1), 1); /* the same time, another content */
    ticker.venue_time_ns = 49;
    assert_int_equal(sl_tracker_event(kit->tracker, &ticker, 1), 0);
    close_kit(kit);
}

/* Numbers of best prices that begin anew (a service that was restarted) are known by their time. */
static void best_prices_may_be_numbered_anew(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 0);
    sl_market_event event = {
        .kind = SL_EVENT_BEST, .feed = SL_FEED_BEST, .instrument = kit->btc, .venue_time_ns = 1000};
    event.as.best.update_id = 5000;
    assert_int_equal(sl_tracker_event(kit->tracker, &event, 1), 1);
    event.as.best.update_id = 4999; /* a late copy */
    assert_int_equal(sl_tracker_event(kit->tracker, &event, 1), 0);
    event.as.best.update_id = 5000;
    event.venue_time_ns = 1500; /* sent again, as nothing has changed */
    assert_int_equal(sl_tracker_event(kit->tracker, &event, 1), 0);
    event.as.best.update_id = 1;
    event.venue_time_ns = 2000;
    assert_int_equal(sl_tracker_event(kit->tracker, &event, 1), 1);
    assert_int_equal(sl_tracker_event(kit->tracker, &event, 1), 0);
    event.as.best.update_id = 2;
    assert_int_equal(sl_tracker_event(kit->tracker, &event, 1), 1);
    close_kit(kit);
}

static int see_candle(struct kit *kit, int64_t minutes, int64_t open_ns, sl_decimal volume, bool closed)
{
    sl_market_event event = {
        .kind = SL_EVENT_CANDLE, .feed = SL_FEED_CANDLES, .instrument = kit->btc, .venue_time_ns = open_ns};
    event.as.candle =
        (sl_candle){.open_time_ns = open_ns, .interval_ns = SL_MINUTES(minutes), .volume = volume, .closed = closed};
    return sl_tracker_event(kit->tracker, &event, open_ns);
}

/* Two connections, one of them behind: a candle only grows, and once closed stays so. */
static void candles_only_grow(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 0);
    assert_int_equal(see_candle(kit, 1, 60, (sl_decimal){0, 0}, false), 1);
    assert_int_equal(see_candle(kit, 1, 60, (sl_decimal){15, -1}, false), 1);
    assert_int_equal(see_candle(kit, 1, 60, (sl_decimal){9, -1}, false), 0);
    assert_int_equal(see_candle(kit, 1, 60, (sl_decimal){150, -2}, false), 0); /* the same, written otherwise */
    assert_int_equal(see_candle(kit, 1, 60, (sl_decimal){2, 0}, false), 1);
    assert_int_equal(see_candle(kit, 1, 60, (sl_decimal){2, 0}, true), 1);
    assert_int_equal(see_candle(kit, 1, 60, (sl_decimal){2, 0}, true), 0);
    assert_int_equal(see_candle(kit, 1, 60, (sl_decimal){2, 0}, false), 0);
    assert_int_equal(see_candle(kit, 1, 120, (sl_decimal){1, -3}, false), 1); /* the next one */
    assert_int_equal(see_candle(kit, 1, 60, (sl_decimal){3, 0}, true), 0);
    close_kit(kit);
}

static void candles_of_each_length_are_apart(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 0);
    for (int64_t minutes = 1; minutes <= SL_TRACKER_LENGTHS; minutes++) {
        assert_int_equal(see_candle(kit, minutes, 600, (sl_decimal){minutes, 0}, false), 1);
        assert_int_equal(see_candle(kit, minutes, 600, (sl_decimal){minutes, 0}, false), 0);
    }
    for (int64_t minutes = SL_TRACKER_LENGTHS; minutes > 0; minutes--) {
        assert_int_equal(see_candle(kit, minutes, 600, (sl_decimal){minutes + 1, 0}, false), 1);
        assert_int_equal(sl_tracker_get_pulse(kit->tracker, kit->btc, SL_FEED_CANDLES, SL_MINUTES(minutes)).events, 3);
    }
    sl_tracker_forget(kit->tracker, kit->btc, SL_FEED_CANDLES, SL_MINUTES(3));
    assert_int_equal(see_candle(kit, 3, 600, (sl_decimal){1, 0}, false), 1);
    assert_int_equal(see_candle(kit, 2, 600, (sl_decimal){1, 0}, false), 0);
    (void)see_candle(kit, 1000, 600, (sl_decimal){900, 0}, false); /* one more shares a place: nothing breaks */
    (void)see_candle(kit, 1001, 660, (sl_decimal){1, 0}, false);
    close_kit(kit);
}

/* The venue's clock is set back, or its numbers begin anew: what follows is no repeat of what there was. */
static void states_that_begin_anew_are_heard_again(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 0);
    sl_market_event ticker = {.kind = SL_EVENT_TICKER,
                              .feed = SL_FEED_TICKER,
                              .connection = 1,
                              .instrument = kit->btc,
                              .venue_time_ns = SL_SECONDS(1000)};
    sl_market_event best = {.kind = SL_EVENT_BEST, .feed = SL_FEED_BEST, .connection = 1, .instrument = kit->btc};
    best.as.best.update_id = 5000;
    assert_int_equal(sl_tracker_event(kit->tracker, &ticker, 1), 1);
    assert_int_equal(sl_tracker_event(kit->tracker, &best, 1), 1);
    for (int64_t at = 1; at <= (int64_t)3 * SL_TRACKER_STRAYS; at++) {
        ticker.venue_time_ns = SL_SECONDS(900) + at;
        best.as.best.update_id = at;
        bool heard = at >= SL_TRACKER_STRAYS;
        assert_int_equal(sl_tracker_event(kit->tracker, &ticker, 1), heard);
        assert_int_equal(sl_tracker_event(kit->tracker, &best, 1), heard);
        assert_int_equal(heard ? sl_tracker_event(kit->tracker, &best, 1) : 0, 0);
    }
    for (int64_t at = 1; at <= (int64_t)3 * SL_TRACKER_STRAYS;
         at++) { /* copies by another connection that is behind a little */
        ticker.connection = best.connection = 2;
        ticker.venue_time_ns = SL_SECONDS(899) + at;
        best.as.best.update_id = at;
        assert_int_equal(sl_tracker_event(kit->tracker, &ticker, 1), 0);
        assert_int_equal(sl_tracker_event(kit->tracker, &best, 1), 0);
    }
    for (int64_t at = 1; at <= SL_TRACKER_STRAYS; at++) { /* far behind they are no copies */
        ticker.venue_time_ns = SL_SECONDS(100) + at;
        assert_int_equal(sl_tracker_event(kit->tracker, &ticker, 1), at == SL_TRACKER_STRAYS);
    }
    close_kit(kit);
}

static void books_are_not_its_business(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 0);
    sl_market_event event = {.kind = SL_EVENT_BOOK_DELTA, .feed = SL_FEED_DEPTH, .instrument = kit->btc};
    assert_int_equal(sl_tracker_event(kit->tracker, &event, 1), SL_EINVAL);
    sl_market_event bad = trade(kit, -1, 1);
    assert_int_equal(sl_tracker_event(kit->tracker, &bad, 1), SL_EINVAL);
    close_kit(kit);
}

static void a_pulse_knows_the_usual_interval(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 0);
    for (int64_t id = 1; id <= 50; id++) {
        assert_int_equal(see(kit, id, 1, id * 1000), 1);
    }
    sl_tracker_pulse pulse = sl_tracker_get_pulse(kit->tracker, kit->btc, SL_FEED_TRADES, 0);
    assert_int_equal(pulse.last, 50000);
    assert_int_equal(pulse.usual, 1000);
    assert_int_equal(pulse.events, 50);
    assert_int_equal(sl_tracker_get_pulse(kit->tracker, kit->eth, SL_FEED_TRADES, 0).events, 0);
    close_kit(kit);
}

/* ---- random sequences: each id is given out once, or told missing, and never both or neither ---- */

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

#define IDS 800

static void check_all(const struct kit *kit, const bool *sent, uint64_t seed)
{
    int given[IDS + 2] = {0};
    uint64_t missing = 0, gaps = 0;
    for (size_t at = 0; at < kit->seen.count; at++) {
        const sl_market_event *event = &kit->seen.events[at];
        if (event->kind == SL_EVENT_TRADE) {
            given[event->as.trade.id]++;
        } else {
            gaps++;
        }
    }
    for (int64_t id = 1; id <= IDS; id++) {
        if (given[id] != (sent[id] ? 1 : 0)) {
            fail_msg("seed %llu: id %lld was given %d times", (unsigned long long)seed, (long long)id, given[id]);
        }
        missing += !sent[id] && id < sl_tracker_last_id(kit->tracker, kit->btc, SL_FEED_TRADES);
    }
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->missing, missing);
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->gaps, gaps);
}

/* Two connections carry the same trades; each loses some and is late by up to 20. */
static void random_losses_of_two_connections(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct kit *kit = open_kit(true, 200);
        uint64_t random = seed * 2654435761u + 1;
        bool sent[IDS + 2] = {false};
        int64_t at[2] = {1, 1};
        sl_time now = 1, when = 0;
        while (at[0] <= IDS || at[1] <= IDS) {
            size_t leg = next_random(&random) % 2;
            if (at[leg] > IDS || at[leg] > at[1 - leg] + 20) {
                leg = 1 - leg;
            }
            int64_t id = at[leg]++;
            if (id > 1 && next_random(&random) % 10 == 0) {
                continue; /* lost */
            }
            sent[id] = true;
            assert_true(see(kit, id, (uint32_t)leg, now++) >= 0);
            assert_int_equal(sl_tracker_expire(kit->tracker, now, &when), 0);
        }
        assert_int_equal(sl_tracker_expire(kit->tracker, now + 1000, &when), 0);
        assert_int_equal(when, SL_NEVER);
        check_all(kit, sent, seed);
        close_kit(kit);
    }
}

/* ---- events of several ids ---- */

static struct kit *open_ranges(sl_time patience)
{
    struct kit *kit = open_kit(true, patience);
    sl_tracker_free(kit->tracker);
    sl_tracker_options options = {.consecutive_trades = true,
                                  .trade_ranges = SL_FEED_BIT(SL_FEED_AGG_TRADES),
                                  .patience = patience,
                                  .arg = &kit->seen,
                                  .event = take};
    assert_int_equal(sl_tracker_new(&options, &kit->tracker), 0);
    return kit;
}

static int see_range(struct kit *kit, int64_t first, int64_t last_id, sl_time now)
{
    sl_market_event event = trade(kit, last_id, 1);
    event.feed = SL_FEED_AGG_TRADES;
    event.as.trade.first_id = first;
    return sl_tracker_event(kit->tracker, &event, now);
}

static void one_event_may_be_several_trades(void **state)
{
    (void)state;
    struct kit *kit = open_ranges(0);
    assert_int_equal(see_range(kit, 5, 7, 1), 1);
    assert_int_equal(see_range(kit, 8, 8, 2), 1);
    assert_int_equal(see_range(kit, 5, 7, 3), 0);
    assert_int_equal(kit->seen.count, 2);
    assert_int_equal(see_range(kit, 12, 13, 4), 1); /* 9 to 11 are missing */
    const sl_market_event *gap = &kit->seen.events[2];
    assert_int_equal(gap->kind, SL_EVENT_GAP);
    assert_int_equal(gap->as.gap.from_id, 8);
    assert_int_equal(gap->as.gap.to_id, 12);
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->missing, 3);
    assert_int_equal(see_range(kit, 10, 12, 5), 1); /* of these two are new */
    assert_int_equal(see_range(kit, 10, 11, 6), 0);
    assert_int_equal(see_range(kit, 13, 15, 7), 1); /* one is known: what is new is not lost */
    assert_int_equal(see_range(kit, 16, 16, 8), 1);
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->gaps, 1);
    assert_int_equal(see_range(kit, 9, 8, 9), SL_EINVAL);
    assert_int_equal(see_range(kit, 18, 17, 9), SL_EINVAL);
    assert_int_equal(see_range(kit, 0, 17, 9), SL_EINVAL);
    assert_int_equal(see(kit, 5, 1, 10), 1); /* the other feed counts by itself */
    close_kit(kit);
}

/* Numbers that no venue has cost no time and break nothing that comes behind them. */
static void a_range_may_be_absurd(void **state)
{
    (void)state;
    struct kit *kit = open_ranges(10);
    assert_int_equal(see_range(kit, 5, 7, 1), 1);
    assert_int_equal(see_range(kit, 1, INT64_MAX / 100, 2), 1);
    assert_int_equal(see_range(kit, 1, INT64_MAX / 100, 2), 0);
    for (int64_t id = 8; id < 8 + SL_TRACKER_STRAYS + 1; id++) {
        (void)see_range(kit, id, id, 3);
    }
    size_t count = kit->seen.count;
    assert_int_equal(see_range(kit, 100, 103, 4), 1);
    assert_true(kit->seen.count > count);
    close_kit(kit);
}

static void a_range_that_was_not_taken_comes_again(void **state)
{
    (void)state;
    for (int64_t skipped = 0; skipped < 2; skipped++) {
        struct kit *kit = open_ranges(0);
        assert_int_equal(see_range(kit, 1, 3, 1), 1);
        kit->seen.refuse = SL_ECANCELED;
        assert_int_equal(see_range(kit, 4 + skipped, 9, 2), SL_ECANCELED);
        kit->seen.refuse = 0;
        assert_int_equal(see_range(kit, 4 + skipped, 9, 3), 1);
        assert_int_equal(see_range(kit, 4 + skipped, 9, 4), 0);
        assert_int_equal(see_range(kit, 10, 10, 5), 1);
        assert_int_equal(sl_tracker_get_stats(kit->tracker)->missing, (uint64_t)skipped);
        close_kit(kit);
    }
}

static int scenario(sl_instruments *instruments, const sl_instrument *btc)
{
    (void)instruments;
    struct seen *seen = calloc(1, sizeof *seen);
    assert_non_null(seen);
    sl_tracker *tracker = NULL;
    sl_tracker_options options = {.consecutive_trades = true, .patience = 10, .arg = seen, .event = take};
    int code = sl_tracker_new(&options, &tracker);
    const struct kit kit = {.btc = btc};
    for (int64_t id = 1; code >= 0 && id < 40; id += id % 7 == 0 ? 3 : 1) {
        sl_market_event event = trade(&kit, id, 1);
        code = sl_tracker_event(tracker, &event, id);
    }
    sl_tracker_free(tracker);
    free(seen);
    return code;
}

static void memory_may_be_short_at_any_place(void **state)
{
    (void)state;
    struct kit *kit = open_kit(true, 0);
    int failed = 0;
    for (int64_t at = 0; at < 100; at++) {
        sl_memory_fail_after(at);
        int code = scenario(kit->instruments, kit->btc);
        sl_memory_fail_after(-1);
        assert_true(code >= 0 || code == SL_ENOMEM);
        failed += code == SL_ENOMEM;
    }
    assert_true(failed >= 4);
    close_kit(kit);
}

SL_TEST_MAIN(cmocka_unit_test(the_first_copy_wins), cmocka_unit_test(without_patience_a_hole_is_a_gap_at_once),
             cmocka_unit_test(numbers_that_begin_anew_are_followed),
             cmocka_unit_test(with_patience_another_connection_fills_a_hole),
             cmocka_unit_test(what_nobody_filled_is_told_when_patience_is_over),
             cmocka_unit_test(a_large_hole_is_counted_whole), cmocka_unit_test(an_event_that_was_not_taken_comes_again),
             cmocka_unit_test(a_heartbeat_tells_of_trades_that_did_not_come),
             cmocka_unit_test(a_new_worker_goes_on_where_the_old_one_stood),
             cmocka_unit_test(a_new_worker_that_began_before_the_old_one_ended_tells_only_what_is_missing),
             cmocka_unit_test(a_position_that_nobody_knows_is_told_too),
             cmocka_unit_test(who_had_it_before_may_have_been_ahead),
             cmocka_unit_test(without_consecutive_ids_a_restart_is_always_a_gap),
             cmocka_unit_test(what_is_lost_before_the_first_event_of_a_feed_that_was_taken_over_is_told),
             cmocka_unit_test(a_loss_that_is_seen_late_is_told_with_where_it_was),
             cmocka_unit_test(a_restart_is_told_at_the_latest_when_another_goes_on),
             cmocka_unit_test(what_is_left_is_told_and_begins_anew),
             cmocka_unit_test(other_ids_are_compared_with_recent_ones),
             cmocka_unit_test(of_a_state_only_what_is_newer_counts), cmocka_unit_test(best_prices_may_be_numbered_anew),
             cmocka_unit_test(states_that_begin_anew_are_heard_again), cmocka_unit_test(candles_only_grow),
             cmocka_unit_test(candles_of_each_length_are_apart), cmocka_unit_test(books_are_not_its_business),
             cmocka_unit_test(a_pulse_knows_the_usual_interval), cmocka_unit_test(random_losses_of_two_connections),
             cmocka_unit_test(one_event_may_be_several_trades), cmocka_unit_test(a_range_may_be_absurd),
             cmocka_unit_test(a_range_that_was_not_taken_comes_again),
             cmocka_unit_test(memory_may_be_short_at_any_place))
