/* SPDX-License-Identifier: MIT */
/* Turns of a poll service: order, intervals, who is behind, who comes and goes. */
#include <string.h>

#include "ingest/poll/poll_schedule.h"
#include "sl_test.h"

#define COUNT 50

static sl_instruments *table;
static const sl_instrument *all[COUNT];

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(sl_instruments_new(0, &table), 0);
    for (unsigned at = 0; at < COUNT; at++) {
        sl_instrument definition = {.venue = SL_VENUE_BINANCE_SPOT};
        (void)snprintf(definition.symbol, sizeof definition.symbol, "C%05uUSDT", at);
        assert_int_equal(sl_instruments_add(table, &definition, &all[at]), 1);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sl_instruments_free(table);
    return 0;
}

static const sl_instrument *turn(sl_poll_schedule *schedule, sl_time now)
{
    sl_time when = 0;
    struct sl_poll_item *item = sl_poll_schedule_take(schedule, now, &when);
    const sl_instrument *instrument = item == NULL ? NULL : item->instrument;
    if (item != NULL) {
        sl_poll_schedule_give_back(schedule, item, 0, now);
    }
    return instrument;
}

static void each_is_due_once_in_its_interval(void **state)
{
    (void)state;
    sl_auto(sl_poll_schedule) *schedule = NULL;
    assert_int_equal(sl_poll_schedule_new(&schedule), 0);
    for (unsigned at = 0; at < COUNT; at++) {
        assert_int_equal(sl_poll_schedule_add(schedule, all[at], SL_SECONDS(50), SL_SECONDS(at), 0), 1);
    }
    assert_int_equal(sl_poll_schedule_count(schedule), COUNT);
    for (unsigned second = 0; second < 3 * COUNT; second++) {
        assert_ptr_equal(turn(schedule, SL_SECONDS(second)), all[second % COUNT]);
        assert_null(turn(schedule, SL_SECONDS(second)));
    }
    sl_time when = 0;
    assert_null(sl_poll_schedule_take(schedule, SL_SECONDS(149), &when));
    assert_int_equal(when, SL_SECONDS(150));
}

static void round_and_round_without_an_interval(void **state)
{
    (void)state;
    sl_auto(sl_poll_schedule) *schedule = NULL;
    assert_int_equal(sl_poll_schedule_new(&schedule), 0);
    for (unsigned at = 0; at < COUNT; at++) {
        assert_int_equal(sl_poll_schedule_add(schedule, all[at], 0, 0, 0), 1);
    }
    for (unsigned at = 0; at < 5 * COUNT; at++) {
        assert_ptr_equal(turn(schedule, (sl_time)at * 7), all[at % COUNT]);
    }
}

/* Far too little room: all get as many turns, but for one more or less. */
static void nobody_starves_when_all_are_late(void **state)
{
    (void)state;
    sl_auto(sl_poll_schedule) *schedule = NULL;
    assert_int_equal(sl_poll_schedule_new(&schedule), 0);
    for (unsigned at = 0; at < COUNT; at++) {
        sl_time interval = at < 5 ? SL_SECONDS(1) : SL_SECONDS(10);
        assert_int_equal(sl_poll_schedule_add(schedule, all[at], interval, 0, 0), 1);
    }
    unsigned turns[COUNT] = {0};
    for (unsigned second = 0; second < 40 * COUNT; second++) { /* one a second, 9.5 would be due */
        const sl_instrument *instrument = turn(schedule, SL_SECONDS(second));
        assert_non_null(instrument);
        turns[instrument->index]++;
    }
    unsigned fast = turns[0], slow = turns[10];
    assert_true(fast >= slow);
    for (unsigned at = 0; at < COUNT; at++) {
        assert_in_range(turns[at], 30, 80);
        assert_in_range(turns[at], (at < 5 ? fast : slow) - 2, (at < 5 ? fast : slow) + 2);
        assert_true(sl_poll_schedule_find(schedule, all[at])->late > 0);
    }
}

static void a_short_interval_goes_first_when_both_are_due(void **state)
{
    (void)state;
    sl_auto(sl_poll_schedule) *schedule = NULL;
    assert_int_equal(sl_poll_schedule_new(&schedule), 0);
    assert_int_equal(sl_poll_schedule_add(schedule, all[0], SL_SECONDS(60), 0, 0), 1);
    assert_int_equal(sl_poll_schedule_add(schedule, all[1], SL_SECONDS(5), 0, 0), 1);
    assert_ptr_equal(turn(schedule, SL_SECONDS(1)), all[1]);
    assert_ptr_equal(turn(schedule, SL_SECONDS(1)), all[0]);
}

static void who_fails_comes_later_and_later(void **state)
{
    (void)state;
    sl_auto(sl_poll_schedule) *schedule = NULL;
    assert_int_equal(sl_poll_schedule_new(&schedule), 0);
    assert_int_equal(sl_poll_schedule_add(schedule, all[0], SL_SECONDS(10), 0, 0), 1);
    sl_time now = 0, when = 0, before = 0;
    for (unsigned turns = 1; turns <= 12; turns++) {
        struct sl_poll_item *item = sl_poll_schedule_take(schedule, now, &when);
        assert_non_null(item);
        sl_poll_schedule_give_back(schedule, item, SL_EPROTO, now);
        assert_null(sl_poll_schedule_take(schedule, now, &when));
        assert_true(when - now >= before);
        assert_true(when - now <= SL_POLL_BACKOFF_MAX);
        before = when - now;
        now = when;
    }
    assert_int_equal(before, SL_POLL_BACKOFF_MAX);
    struct sl_poll_item *item = sl_poll_schedule_take(schedule, now, &when);
    assert_int_equal(item->failures, 12);
    assert_int_equal(item->last_code, SL_EPROTO);
    sl_poll_schedule_give_back(schedule, item, 0, now);
    assert_null(sl_poll_schedule_take(schedule, now, &when));
    assert_int_equal(when - now, SL_SECONDS(10));
}

/* How long a turn is waited for after so many failures, each at the time of the turn but for the first, a second later. */
static void assert_waits(sl_time interval, const sl_time waits[3])
{
    sl_auto(sl_poll_schedule) *schedule = NULL;
    sl_time now = 0, when = 0;
    assert_int_equal(sl_poll_schedule_new(&schedule), 0);
    assert_int_equal(sl_poll_schedule_add(schedule, all[0], interval, 0, 0), 1);
    for (size_t at = 0; at < 3; at++) {
        struct sl_poll_item *item = sl_poll_schedule_take(schedule, now, &when);
        assert_non_null(item);
        now += at == 0 ? SL_SECONDS(1) : 0;
        sl_poll_schedule_give_back(schedule, item, SL_EPROTO, now);
        assert_null(sl_poll_schedule_take(schedule, now, &when));
        assert_int_equal(when - now, waits[at]);
        now = when;
    }
}

/* The first failure of one with an interval does not disturb its rhythm. */
static void the_wait_after_a_failure_doubles(void **state)
{
    (void)state;
    assert_waits(SL_SECONDS(10), (const sl_time[]){SL_SECONDS(9), SL_SECONDS(20), SL_SECONDS(40)});
    assert_waits(0, (const sl_time[]){SL_POLL_BACKOFF_STEP, 2 * SL_POLL_BACKOFF_STEP, 4 * SL_POLL_BACKOFF_STEP});
}

static void a_turn_that_was_none_keeps_its_place(void **state)
{
    (void)state;
    sl_auto(sl_poll_schedule) *schedule = NULL;
    assert_int_equal(sl_poll_schedule_new(&schedule), 0);
    for (unsigned at = 0; at < 3; at++) {
        assert_int_equal(sl_poll_schedule_add(schedule, all[at], SL_SECONDS(10), 0, 0), 1);
    }
    sl_time when = 0;
    struct sl_poll_item *item = sl_poll_schedule_take(schedule, 0, &when);
    assert_ptr_equal(item->instrument, all[0]);
    sl_poll_schedule_give_back(schedule, item, SL_EAGAIN, SL_SECONDS(3));
    assert_int_equal(item->taken, 0);
    assert_ptr_equal(turn(schedule, SL_SECONDS(3)), all[0]);
    assert_ptr_equal(turn(schedule, SL_SECONDS(3)), all[1]);
}

static void they_come_and_go_while_one_is_taken(void **state)
{
    (void)state;
    sl_auto(sl_poll_schedule) *schedule = NULL;
    assert_int_equal(sl_poll_schedule_new(&schedule), 0);
    assert_int_equal(sl_poll_schedule_add(schedule, all[0], SL_SECONDS(10), 0, 0), 1);
    assert_int_equal(sl_poll_schedule_add(schedule, NULL, SL_SECONDS(10), SL_SECONDS(5), 0), 1);
    sl_time when = 0;
    struct sl_poll_item *item = sl_poll_schedule_take(schedule, 0, &when);
    assert_ptr_equal(item->instrument, all[0]);
    sl_poll_schedule_remove(schedule, all[0]);
    assert_null(sl_poll_schedule_find(schedule, all[0]));
    assert_int_equal(sl_poll_schedule_add(schedule, all[0], SL_SECONDS(2), SL_SECONDS(1), 0), 1); /* another one */
    sl_poll_schedule_give_back(schedule, item, 0, 0);
    assert_int_equal(sl_poll_schedule_count(schedule), 2);
    assert_null(sl_poll_schedule_take(schedule, 0, &when));
    assert_int_equal(when, SL_SECONDS(1));
    /* A new interval counts at once when it comes sooner. */
    assert_int_equal(sl_poll_schedule_add(schedule, NULL, SL_SECONDS(1), SL_MILLISECONDS(500), 0), 0);
    assert_null(sl_poll_schedule_take(schedule, 0, &when));
    assert_int_equal(when, SL_MILLISECONDS(500));
    sl_poll_schedule_remove(schedule, all[0]);
    sl_poll_schedule_remove(schedule, all[7]); /* was never there */
    sl_poll_schedule_remove(schedule, NULL);
    assert_null(sl_poll_schedule_take(schedule, SL_SECONDS(100), &when));
    assert_int_equal(when, SL_NEVER);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

SL_TEST_MAIN(CASE(each_is_due_once_in_its_interval), CASE(round_and_round_without_an_interval),
             CASE(nobody_starves_when_all_are_late), CASE(a_short_interval_goes_first_when_both_are_due),
             CASE(who_fails_comes_later_and_later), CASE(the_wait_after_a_failure_doubles),
             CASE(a_turn_that_was_none_keeps_its_place), CASE(they_come_and_go_while_one_is_taken))
