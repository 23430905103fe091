/* SPDX-License-Identifier: MIT */
/* Trades whose ids go back, or have no end: services/market/tracker.h. */
#include "market/tracker.h"

#include <stdlib.h>

#include "sl_test.h"

struct kit {
    sl_market_event last;
    size_t count;
    int refuse; /* gives this code instead of taking */
    sl_instruments *instruments;
    const sl_instrument *btc;
    sl_tracker *tracker;
};

static int take(void *arg, const sl_market_event *event)
{
    struct kit *kit = arg;
    if (kit->refuse != 0) {
        return kit->refuse;
    }
    kit->last = kit->last.kind == SL_EVENT_GAP ? kit->last : *event; /* the first gap stays */
    kit->count++;
    return 0;
}

static struct kit *open_kit_with(bool consecutive, sl_time patience)
{
    struct kit *kit = calloc(1, sizeof *kit);
    assert_non_null(kit);
    assert_int_equal(sl_instruments_new(0, &kit->instruments), 0);
    sl_instrument one = {.venue = SL_VENUE_KRAKEN, .symbol = "BTC/USD"};
    assert_int_equal(sl_instruments_add(kit->instruments, &one, &kit->btc), 1);
    sl_tracker_options options = {.consecutive_trades = consecutive, .patience = patience, .arg = kit, .event = take};
    assert_int_equal(sl_tracker_new(&options, &kit->tracker), 0);
    return kit;
}

static struct kit *open_kit(void)
{
    return open_kit_with(true, 0);
}

static void close_kit(struct kit *kit)
{
    sl_tracker_free(kit->tracker);
    sl_instruments_free(kit->instruments);
    free(kit);
}

static int see(struct kit *kit, int64_t id, int64_t venue_time_ns)
{
    sl_market_event event = {
        .kind = SL_EVENT_TRADE, .feed = SL_FEED_TRADES, .instrument = kit->btc, .venue_time_ns = venue_time_ns};
    event.as.trade = (sl_trade){.id = id, .first_id = id, .last_id = id, .price = {1, 0}, .quantity = {1, 0}};
    return sl_tracker_event(kit->tracker, &event, 1);
}

/* A venue that counts anew at a number not far below: its trades are later than the newest, so they are no copies. */
static void later_trades_with_older_ids_are_followed(void **state)
{
    (void)state;
    struct kit *kit = open_kit();
    assert_int_equal(see(kit, 5000, SL_SECONDS(100)), 1);
    for (int64_t id = 4000; id < 5000; id++) { /* copies are not later */
        assert_int_equal(see(kit, id, SL_SECONDS(100) - id), 0);
    }
    assert_int_equal(kit->count, 1);
    for (int64_t id = 1; id <= (int64_t)3 * SL_TRACKER_STRAYS; id++) {
        assert_int_equal(see(kit, id, SL_SECONDS(102) + id), id >= SL_TRACKER_STRAYS);
    }
    assert_int_equal(kit->last.kind, SL_EVENT_GAP);
    assert_int_equal(kit->last.as.gap.from_id, 5000);
    assert_int_equal(kit->last.as.gap.to_id, 0);
    close_kit(kit);
}

/* A heartbeat told of trades that come late and are later than the last that was seen: they are what was missing. */
static void trades_that_a_heartbeat_told_of_are_late_not_new(void **state)
{
    (void)state;
    struct kit *kit = open_kit();
    assert_int_equal(see(kit, 100, SL_SECONDS(100)), 1);
    assert_int_equal(sl_tracker_last_trade(kit->tracker, kit->btc, 150, 2, 2), 0);
    for (int64_t id = 101; id <= 150; id++) {
        assert_int_equal(see(kit, id, SL_SECONDS(130)), 1);
    }
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->gaps, 1);
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->late, 50);
    close_kit(kit);
}

/* Behind the last number there is none: it is refused wherever it comes from. */
static void the_last_number_is_refused(void **state)
{
    (void)state;
    struct kit *kit = open_kit();
    assert_int_equal(sl_tracker_resume(kit->tracker, kit->btc, SL_FEED_TRADES, INT64_MAX, false, 1), 0);
    assert_int_equal(see(kit, INT64_MAX - 2, 1), 1);
    for (int64_t at = 0; at < (int64_t)2 * SL_TRACKER_STRAYS; at++) {
        assert_int_equal(see(kit, INT64_MAX, 2), SL_EINVAL);
        assert_int_equal(sl_tracker_last_trade(kit->tracker, kit->btc, INT64_MAX, 2, 2), 0);
    }
    assert_int_equal(see(kit, INT64_MAX - 1, 3), 1);
    assert_int_equal(see(kit, INT64_MAX, 4), SL_EINVAL);
    close_kit(kit);
}

static void what_is_waited_for_is_told_before_it_begins_anew(void **state)
{
    (void)state;
    struct kit *kit = open_kit_with(true, 1000);
    assert_int_equal(see(kit, 100, SL_SECONDS(100)), 1);
    assert_int_equal(see(kit, 103, SL_SECONDS(100)), 1);
    assert_int_equal(kit->count, 2);
    for (int64_t id = 1; id <= SL_TRACKER_STRAYS; id++) {
        assert_int_equal(see(kit, id, SL_SECONDS(102) + id), id >= SL_TRACKER_STRAYS);
    }
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->gaps, 2);
    assert_int_equal(sl_tracker_get_stats(kit->tracker)->missing, 2);
    assert_int_equal(kit->last.as.gap.from_id, 100);
    assert_int_equal(kit->last.as.gap.to_id, 103);
    close_kit(kit);
}

static void as_many_recent_ids_are_known_as_is_said(void **state)
{
    (void)state;
    struct kit *kit = open_kit_with(false, 0);
    for (int64_t again = 0; again < 2; again++) {
        for (int64_t id = 1; id <= SL_TRACKER_RECENT; id++) {
            assert_int_equal(see(kit, id, id), again == 0);
        }
    }
    assert_int_equal(see(kit, SL_TRACKER_RECENT + 1, 1), 1);
    assert_int_equal(see(kit, 2, 2), 0);
    assert_int_equal(see(kit, 1, 1), 1);
    close_kit(kit);
}

/* Somebody had it before, nobody knows how far, and it is left before anything came: who did not take that is told again. */
static void what_nobody_took_is_told_the_next_time(void **state)
{
    (void)state;
    struct kit *kit = open_kit();
    assert_int_equal(sl_tracker_resume(kit->tracker, kit->btc, SL_FEED_TRADES, 0, false, 1), 0);
    kit->refuse = SL_ECANCELED;
    assert_int_equal(sl_tracker_left(kit->tracker, kit->btc, SL_FEED_TRADES, true, 9), SL_ECANCELED);
    kit->refuse = 0;
    assert_int_equal(sl_tracker_left(kit->tracker, kit->btc, SL_FEED_TRADES, true, 9), 0);
    assert_int_equal(kit->last.kind, SL_EVENT_GAP);
    assert_int_equal(kit->last.as.gap.reason, SL_GAP_RESTARTED);
    close_kit(kit);
}

SL_TEST_MAIN(cmocka_unit_test(what_is_waited_for_is_told_before_it_begins_anew),
             cmocka_unit_test(as_many_recent_ids_are_known_as_is_said),
             cmocka_unit_test(what_nobody_took_is_told_the_next_time),
             cmocka_unit_test(later_trades_with_older_ids_are_followed),
             cmocka_unit_test(trades_that_a_heartbeat_told_of_are_late_not_new),
             cmocka_unit_test(the_last_number_is_refused))
