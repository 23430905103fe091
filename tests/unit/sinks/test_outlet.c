/* SPDX-License-Identifier: MIT */
/* The outlet: order, batches, policies, attempts, events that the sink refuses, the end. */
#include "sl_conformance.h"

#include <string.h>

#include "outlet_rig.h"
#include "sluice/sync.h"

static int deliver_all(bool blocking)
{
    struct outlet_rig rig;
    CHECK_EQ(outlet_rig_make(&rig, blocking, (sl_outlet_options){.batch_events = 100}), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(outlet_rig_feed(&rig, 1000), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(1)), 0);
    CHECK_EQ(rig.sink->stored, 1000);
    CHECK_EQ(outlet_rig_feed(&rig, 50), 0);
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    CHECK_EQ(outlet_rig_check_all(&rig), 0);
    CHECK_EQ(rig.sink->opened, 1);
    CHECK(rig.sink->closed >= 1);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->written, 1050);
    CHECK_EQ(outlet_rig_feed(&rig, 1), 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->dropped_ended, 1);
    outlet_rig_free(&rig);
    return 0;
}

TASK_TEST(all_is_delivered_in_order)
{
    return deliver_all(false);
}

C_TEST_REAL_FEW(all_is_delivered_by_a_worker_thread, "", "")
{
    return deliver_all(true);
}

C_TEST_SIMULATED(a_batch_ends_by_count_bytes_or_age, "", "")
{
    struct outlet_rig rig;
    CHECK_EQ(outlet_rig_make(&rig, false, (sl_outlet_options){.batch_events = 10, .batch_age = SL_SECONDS(2)}), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(5)), 0);
    CHECK_EQ(outlet_rig_feed(&rig, 9), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(1999)), 0);
    CHECK_EQ(rig.sink->stored, 0);
    CHECK_EQ(outlet_rig_feed(&rig, 1), 0); /* ten */
    SETTLE();
    CHECK_EQ(rig.sink->stored, 10);
    CHECK_EQ(outlet_rig_feed(&rig, 1), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(1999)), 0);
    CHECK_EQ(rig.sink->stored, 10);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(2)), 0);
    CHECK_EQ(rig.sink->stored, 11);
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    outlet_rig_free(&rig);

    CHECK_EQ(outlet_rig_make(&rig, false, (sl_outlet_options){.batch_bytes = 500, .batch_age = SL_SECONDS(2)}), 0);
    SL_SCOPE(other);
    CHECK_EQ(sl_spawn(&other, sl_outlet_run, rig.outlet), 0);
    SETTLE();
    CHECK_EQ(outlet_rig_feed(&rig, 100), 0);
    SETTLE();
    CHECK(rig.sink->stored > 90);
    CHECK(rig.sink->written > 10);
    CHECK_EQ(outlet_rig_end(&rig, &other), 0);
    CHECK_EQ(outlet_rig_check_all(&rig), 0);
    outlet_rig_free(&rig);
    return 0;
}

C_TEST_SIMULATED(a_sink_that_is_away_is_tried_again_later_and_later, "", "")
{
    struct outlet_rig rig;
    sl_outlet_options options = {.retry = {.initial = SL_SECONDS(1), .max = SL_SECONDS(8), .jitter = -1}};
    CHECK_EQ(outlet_rig_make(&rig, false, options), 0);
    rig.sink->down = true;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(outlet_rig_feed(&rig, 100), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(16500)), 0); /* at 0, 1, 3, 7, 15 */
    CHECK_EQ(rig.sink->opened, 5);
    CHECK(sl_outlet_get_stats(rig.outlet)->away);
    CHECK_STRING(sl_outlet_get_stats(rig.outlet)->problem, "the memory is away");
    CHECK_EQ(sl_sleep(SL_SECONDS(8)), 0);
    CHECK_EQ(rig.sink->opened, 6);
    rig.sink->down = false;
    CHECK_EQ(sl_sleep(SL_SECONDS(8)), 0);
    CHECK_EQ(rig.sink->stored, 100);
    CHECK(!sl_outlet_get_stats(rig.outlet)->away);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->failures, 6);
    /* A write that fails: the batch is written again, and once more when only the answer was lost. */
    rig.sink->fail_writes = 2;
    CHECK_EQ(outlet_rig_feed(&rig, 100), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(4)), 0);
    CHECK_EQ(rig.sink->stored, 200);
    rig.sink->lose_answers = 1;
    CHECK_EQ(outlet_rig_feed(&rig, 100), 0);
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    CHECK_EQ(rig.sink->repeated, 100);
    CHECK_EQ(outlet_rig_check_all(&rig), 0);
    outlet_rig_free(&rig);
    return 0;
}

TASK_TEST(a_write_that_hangs_is_given_up)
{
    struct outlet_rig rig;
    CHECK_EQ(outlet_rig_make(&rig, false, (sl_outlet_options){.write_timeout = SL_MILLISECONDS(20)}), 0);
    rig.sink->write_time = SL_SECONDS(1000);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(outlet_rig_feed(&rig, 10), 0);
    while (sl_outlet_get_stats(rig.outlet)->failures == 0) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(10)), 0);
    }
    CHECK_STRING(sl_outlet_get_stats(rig.outlet)->problem, "a batch was not written within 20 ms");
    rig.sink->write_time = 0;
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    CHECK_EQ(outlet_rig_check_all(&rig), 0);
    outlet_rig_free(&rig);
    return 0;
}

C_TEST_SIMULATED(what_cannot_be_delivered_in_time_is_reported, "", "")
{
    struct outlet_rig rig;
    CHECK_EQ(outlet_rig_make(&rig, false, (sl_outlet_options){.drain = SL_SECONDS(30)}), 0);
    rig.sink->down = true;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(outlet_rig_feed(&rig, 6000), 0);
    sl_time began = sl_now();
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    CHECK_EQ(sl_now() - began, SL_SECONDS(30));
    const sl_outlet_stats *stats = sl_outlet_get_stats(rig.outlet);
    CHECK_EQ(stats->queued + stats->in_batch, 6000);
    CHECK_EQ(stats->written, 0);
    outlet_rig_free(&rig);
    return 0;
}

/* ---- policies ---- */

C_TEST_SIMULATED(drop_oldest_keeps_the_newest, "", "")
{
    struct outlet_rig rig;
    sl_outlet_options options = {.queue_bytes = 65536, .queue_events = 100, .when_full = SL_FULL_DROP_OLDEST};
    CHECK_EQ(outlet_rig_make(&rig, false, options), 0);
    rig.sink->down = true;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    sl_time began = sl_now();
    CHECK_EQ(outlet_rig_feed(&rig, 20000), 0);
    CHECK_EQ(sl_now(), began); /* it never waited */
    CHECK(sl_outlet_get_stats(rig.outlet)->queued_bytes_max <= 65536);
    CHECK(sl_outlet_get_stats(rig.outlet)->queued <= 100);
    rig.sink->down = false;
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    const sl_outlet_stats *stats = sl_outlet_get_stats(rig.outlet);
    CHECK(stats->dropped_full > 15000);
    CHECK(stats->written > 50);
    CHECK_EQ(rig.sink->highest, 20000);
    CHECK_EQ(rig.sink->disorder + rig.sink->wrong, 0);
    for (uint64_t number = 20000 - stats->written + 1; number <= 20000; number++) {
        CHECK_EQ(rig.sink->counts[number], 1);
    }
    outlet_rig_free(&rig);
    return 0;
}

C_TEST_SIMULATED(conflate_keeps_the_last_state_of_each, "", "")
{
    struct outlet_rig rig;
    sl_outlet_options options = {.queue_bytes = 65536, .queue_events = 300, .when_full = SL_FULL_CONFLATE};
    CHECK_EQ(outlet_rig_make(&rig, false, options), 0);
    rig.sink->down = true;
    rig.sink->checks = false;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    for (uint64_t number = 0; number < 5000; number++) { /* every tenth a trade */
        sl_market_event event = sample_event_of(number % 10 == 0 ? SL_EVENT_TRADE : SL_EVENT_BEST, number);
        CHECK_EQ(sl_fanout_write(rig.fanout, &event), 0);
        if (number == 1000) { /* so far no trade had to go: states make room first */
            CHECK_EQ(sl_outlet_get_stats(rig.outlet)->dropped_full, 0);
        }
    }
    CHECK(sl_outlet_get_stats(rig.outlet)->conflated > 3000);
    rig.sink->down = false;
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    CHECK_EQ(rig.sink->disorder, 0);
    /* The last state of each instrument, and the last trades, are there. */
    bool seen[SAMPLE_INSTRUMENTS] = {false};
    for (uint64_t number = 4999; number > 4900; number--) {
        sl_market_event event = sample_event_of(number % 10 == 0 ? SL_EVENT_TRADE : SL_EVENT_BEST, number);
        size_t index = event.instrument->index;
        if (event.kind == SL_EVENT_TRADE || !seen[index]) {
            CHECK_EQ(rig.sink->counts[number + 1], 1);
        }
        seen[index] = seen[index] || event.kind == SL_EVENT_BEST;
    }
    outlet_rig_free(&rig);
    return 0;
}

/* Fills a queue of 80 with trades and so many states of one instrument, then brings one more. */
static int overfill(struct outlet_rig *rig, uint64_t states)
{
    sl_outlet_options options = {.queue_bytes = 65536, .queue_events = 80, .when_full = SL_FULL_CONFLATE};
    CHECK_EQ(outlet_rig_make(rig, false, options), 0);
    for (uint64_t number = 0; number < 80; number++) {
        sl_market_event event = sample_event_of(number < states ? SL_EVENT_BEST : SL_EVENT_TRADE, number);
        event.instrument = sample_instrument(0);
        CHECK_EQ(sl_fanout_write(rig->fanout, &event), 0);
    }
    const sl_outlet_stats *stats = sl_outlet_get_stats(rig->outlet);
    CHECK_EQ(stats->queued, 80); /* as long as there is room nothing is left out */
    CHECK_EQ(stats->conflated + stats->dropped_full, 0);
    sl_market_event last = sample_event_of(SL_EVENT_TRADE, 80);
    CHECK_EQ(sl_fanout_write(rig->fanout, &last), 0);
    CHECK_EQ(sl_outlet_get_stats(rig->outlet)->received, 81);
    return outlet_rig_check_sum(rig);
}

/* Leaving out states is enough when it frees more than an eighth of the queue; else the oldest go as well. */
C_TEST_SIMULATED(conflating_spares_the_oldest_where_it_frees_an_eighth, "", "")
{
    static const struct {
        uint64_t states, conflated, dropped, queued;
    } cases[] = {{12, 11, 0, 70}, {11, 10, 1, 70}, {1, 0, 11, 70}, {80, 79, 0, 2}};
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        struct outlet_rig rig;
        CHECK_EQ(overfill(&rig, cases[at].states), 0);
        const sl_outlet_stats *stats = sl_outlet_get_stats(rig.outlet);
        CHECK_EQ(stats->conflated, cases[at].conflated);
        CHECK_EQ(stats->dropped_full, cases[at].dropped);
        CHECK_EQ(stats->queued, cases[at].queued);
        outlet_rig_free(&rig);
    }
    return 0;
}

static int feed_many(void *arg)
{
    return outlet_rig_feed(arg, 5000);
}

C_TEST_SIMULATED(block_makes_the_feed_wait_and_loses_nothing, "", "")
{
    struct outlet_rig rig;
    CHECK_EQ(outlet_rig_make(&rig, false, (sl_outlet_options){.queue_bytes = 65536}), 0);
    rig.sink->down = true;
    SL_SCOPE(scope);
    SL_SCOPE(feeding);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(sl_spawn(&feeding, feed_many, &rig), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(100)), 0);
    CHECK(rig.fed < 1000);
    rig.sink->down = false;
    CHECK_EQ(sl_scope_wait(&feeding), 0);
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    CHECK_EQ(outlet_rig_check_all(&rig), 0);
    CHECK(sl_outlet_get_stats(rig.outlet)->blocked > 0);
    outlet_rig_free(&rig);
    return 0;
}

static int feed_and_fail(void *arg)
{
    struct outlet_rig *rig = arg;
    int code = outlet_rig_feed(rig, 5000);
    CHECK_EQ(code, SL_ECANCELED);
    return 0;
}

TASK_TEST(a_feed_that_waits_can_be_cancelled)
{
    struct outlet_rig rig;
    CHECK_EQ(outlet_rig_make(&rig, false, (sl_outlet_options){.queue_bytes = 65536}), 0);
    SL_SCOPE(feeding);
    CHECK_EQ(sl_spawn(&feeding, feed_and_fail, &rig), 0);
    SETTLE();
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->received, rig.fed); /* not the one that waits */
    CHECK_EQ(outlet_rig_check_sum(&rig), 0);
    sl_scope_cancel(&feeding, "enough");
    CHECK_EQ(sl_scope_close(&feeding, 0), 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->received, rig.fed);
    CHECK_EQ(outlet_rig_check_sum(&rig), 0);
    outlet_rig_free(&rig);
    return 0;
}

C_TEST_SIMULATED(a_slow_sink_delays_no_other, "", "")
{
    struct outlet_rig fast;
    struct outlet_rig slow;
    CHECK_EQ(outlet_rig_make(&fast, false, (sl_outlet_options){.batch_age = SL_MILLISECONDS(10)}), 0);
    CHECK_EQ(outlet_rig_make(&slow, false, (sl_outlet_options){.queue_bytes = 65536, .when_full = SL_FULL_DROP_OLDEST}),
             0);
    CHECK_EQ(sl_fanout_attach(fast.fanout, slow.outlet), 0);
    CHECK_EQ(sl_fanout_attach(fast.fanout, slow.outlet), SL_EEXIST);
    slow.sink->write_time = SL_SECONDS(20);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, fast.outlet), 0);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, slow.outlet), 0);
    sl_time began = sl_now();
    CHECK_EQ(outlet_rig_feed(&fast, 20000), 0);
    CHECK_EQ(sl_now(), began);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(100)), 0);
    CHECK_EQ(fast.sink->stored, 20000);
    sl_fanout_detach(fast.fanout, slow.outlet);
    CHECK_EQ(outlet_rig_feed(&fast, 10), 0);
    CHECK_EQ(sl_outlet_get_stats(slow.outlet)->received, 20000);
    sl_outlet_end(slow.outlet);
    CHECK_EQ(outlet_rig_end(&fast, &scope), 0);
    CHECK_EQ(outlet_rig_check_sum(&slow), 0);
    outlet_rig_free(&fast);
    outlet_rig_free(&slow);
    return 0;
}

/* Of two outlets that block the first takes nothing for a while, and the feed waits amid an event. */
struct two_that_block {
    struct outlet_rig away, other;
    sl_scope running, feeding;
};

static int begin_two(struct two_that_block *two)
{
    const sl_outlet_options options = {.queue_bytes = 65536, .batch_age = SL_MILLISECONDS(10)};
    CHECK_EQ(outlet_rig_make(&two->away, false, options), 0);
    CHECK_EQ(outlet_rig_make(&two->other, false, options), 0);
    CHECK_EQ(sl_fanout_attach(two->away.fanout, two->other.outlet), 0);
    two->away.sink->down = true;
    CHECK_EQ(sl_spawn(&two->running, sl_outlet_run, two->away.outlet), 0);
    CHECK_EQ(sl_spawn(&two->running, sl_outlet_run, two->other.outlet), 0);
    CHECK_EQ(sl_spawn(&two->feeding, feed_many, &two->away), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(1)), 0);
    CHECK(two->away.fed > 0 && two->away.fed < 1000);
    return 0;
}

static int end_two(struct two_that_block *two)
{
    two->away.sink->down = false;
    CHECK_EQ(sl_scope_wait(&two->feeding), 0);
    sl_outlet_end(two->away.outlet);
    CHECK_EQ(outlet_rig_end(&two->other, &two->running), 0);
    CHECK_EQ(sl_scope_close(&two->running, 0), 0);
    CHECK_EQ(memory_sink_once(two->other.sink, 5000), 5000);
    CHECK_EQ(sl_outlet_get_stats(two->other.outlet)->received, 5000);
    return 0;
}

C_TEST_SIMULATED(an_outlet_that_goes_amid_an_event_takes_it_from_no_other, "", "")
{
    struct two_that_block two = {.running = SL_SCOPE_INIT, .feeding = SL_SCOPE_INIT};
    CHECK_EQ(sl_scope_open(&two.running, &(struct sl_scope_options){.name = "running"}), 0);
    CHECK_EQ(sl_scope_open(&two.feeding, &(struct sl_scope_options){.name = "feeding"}), 0);
    CHECK_EQ(begin_two(&two), 0);
    uint64_t before = two.away.fed;
    sl_fanout_detach(two.away.fanout, two.away.outlet);
    sl_outlet_end(two.away.outlet);
    CHECK_EQ(end_two(&two), 0);
    CHECK_EQ(sl_outlet_get_stats(two.away.outlet)->received, before + 1);
    outlet_rig_free(&two.away);
    outlet_rig_free(&two.other);
    return 0;
}

C_TEST_SIMULATED(an_outlet_that_comes_amid_an_event_doubles_it_for_no_other, "", "")
{
    struct outlet_rig late;
    struct two_that_block two = {.running = SL_SCOPE_INIT, .feeding = SL_SCOPE_INIT};
    CHECK_EQ(outlet_rig_make(&late, false, (sl_outlet_options){.when_full = SL_FULL_DROP_OLDEST}), 0);
    CHECK_EQ(sl_scope_open(&two.running, &(struct sl_scope_options){.name = "running"}), 0);
    CHECK_EQ(sl_scope_open(&two.feeding, &(struct sl_scope_options){.name = "feeding"}), 0);
    CHECK_EQ(begin_two(&two), 0);
    uint64_t before = two.away.fed;
    CHECK_EQ(sl_fanout_attach(two.away.fanout, late.outlet), 0); /* before those that block */
    CHECK_EQ(end_two(&two), 0);
    CHECK_EQ(sl_outlet_get_stats(two.away.outlet)->received, 5000);
    CHECK_EQ(sl_outlet_get_stats(late.outlet)->received, 5000 - before - 1); /* not the one that was on its way */
    outlet_rig_free(&two.away);
    outlet_rig_free(&two.other);
    outlet_rig_free(&late);
    return 0;
}

C_TEST_SIMULATED(settling_waits_for_what_was_given_and_no_more, "", "")
{
    struct outlet_rig rig;
    CHECK_EQ(outlet_rig_make(&rig, false, (sl_outlet_options){.batch_age = SL_MILLISECONDS(10)}), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_fanout_settle(rig.fanout), 0); /* nothing was given, nothing runs */
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    rig.sink->write_time = SL_SECONDS(3);
    CHECK_EQ(outlet_rig_feed(&rig, 100), 0);
    sl_time began = sl_now();
    CHECK_EQ(sl_fanout_settle(rig.fanout), 0);
    CHECK(sl_now() - began >= SL_SECONDS(3));
    CHECK(rig.sink->stored >= 100);
    rig.sink->down = true;
    CHECK_EQ(outlet_rig_feed(&rig, 100), 0);
    {
        SL_SCOPE(limited, .timeout = SL_SECONDS(60), .move_on = true);
        CHECK_EQ(sl_fanout_settle(rig.fanout), SL_ECANCELED);
        CHECK_EQ(sl_scope_close(&limited, SL_ECANCELED), 0);
    }
    CHECK_EQ(rig.sink->stored, 100);
    sl_fanout_detach(rig.fanout, rig.outlet); /* who is gone is waited for no more */
    CHECK_EQ(sl_fanout_settle(rig.fanout), 0);
    rig.sink->down = false;
    CHECK_EQ(sl_sleep(SL_SECONDS(120)), 0); /* until it is tried again */
    CHECK_EQ(rig.sink->stored, 200);
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    outlet_rig_free(&rig);
    return 0;
}

static int feed_for_ever(void *arg)
{
    for (;;) {
        SL_TRY(outlet_rig_feed(arg, 1));
        SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    }
}

/* The queue is never empty: what came after it began is not waited for. */
C_TEST_SIMULATED(settling_ends_though_more_is_given_all_the_time, "", "")
{
    struct outlet_rig rig;
    CHECK_EQ(outlet_rig_make(&rig, false, (sl_outlet_options){.batch_age = SL_MILLISECONDS(10)}), 0);
    rig.sink->write_time = SL_MILLISECONDS(20);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    SL_SCOPE(feeding);
    CHECK_EQ(sl_spawn(&feeding, feed_for_ever, &rig), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(100)), 0);
    uint64_t given = rig.fed;
    {
        SL_SCOPE(limited, .timeout = SL_SECONDS(1));
        CHECK_EQ(sl_fanout_settle(rig.fanout), 0);
        CHECK_EQ(sl_scope_close(&limited, 0), 0);
    }
    CHECK(rig.sink->stored >= given && rig.fed > given);
    sl_scope_cancel(&feeding, "enough");
    CHECK_EQ(sl_scope_close(&feeding, 0), 0);
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    outlet_rig_free(&rig);
    return 0;
}

struct settling {
    sl_fanout *fanout;
    bool done;
};

static int settle(void *arg)
{
    struct settling *settling = arg;
    SL_TRY(sl_fanout_settle(settling->fanout));
    settling->done = true;
    return 0;
}

/* Of two outlets the one that is away is waited for, until it is taken out: at once, not when it is back. */
C_TEST_SIMULATED(settling_waits_for_each_outlet_that_is_there, "", "")
{
    struct outlet_rig away, other;
    const sl_outlet_options options = {.batch_age = SL_MILLISECONDS(10)};
    CHECK_EQ(outlet_rig_make(&away, false, options), 0);
    CHECK_EQ(outlet_rig_make(&other, false, options), 0);
    CHECK_EQ(sl_fanout_attach(other.fanout, away.outlet), 0);
    away.sink->down = true;
    SL_SCOPE(scope);
    SL_SCOPE(waiting);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, away.outlet), 0);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, other.outlet), 0);
    CHECK_EQ(outlet_rig_feed(&other, 100), 0);
    struct settling settling = {other.fanout, false};
    CHECK_EQ(sl_spawn(&waiting, settle, &settling), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(10)), 0);
    CHECK_EQ(other.sink->stored, 100);
    CHECK(!settling.done);
    sl_fanout_detach(other.fanout, away.outlet);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(10)), 0);
    CHECK(settling.done);
    CHECK_EQ(sl_scope_wait(&waiting), 0);
    away.sink->down = false;
    sl_outlet_end(away.outlet);
    CHECK_EQ(outlet_rig_end(&other, &scope), 0);
    outlet_rig_free(&away);
    outlet_rig_free(&other);
    return 0;
}

TASK_TEST(an_event_larger_than_the_queue_is_dropped_and_counted)
{
    struct outlet_rig rig;
    CHECK_EQ(outlet_rig_make(&rig, false, (sl_outlet_options){.queue_bytes = 4096}), 0);
    static sl_level levels[1000];
    sl_market_event event = sample_event_of(SL_EVENT_BOOK_SNAPSHOT, 0);
    event.as.snapshot.levels = (sl_levels){levels, NULL, 1000, 0};
    CHECK_EQ(sl_fanout_write(rig.fanout, &event), 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->dropped_large, 1);
    event.instrument = NULL;
    CHECK_EQ(sl_fanout_write(rig.fanout, &event), SL_EMSGSIZE);
    CHECK_EQ(outlet_rig_check_sum(&rig), 0);
    outlet_rig_free(&rig);
    return 0;
}

TASK_TEST(bad_options_are_refused)
{
    static const struct {
        sl_outlet_options options;
    } bad[] = {{{.name = NULL}},
               {{.name = "a", .queue_bytes = 100}},
               {{.name = "a", .queue_bytes = SIZE_MAX}},
               {{.name = "a", .queue_events = SIZE_MAX}},
               {{.name = "a", .batch_age = -1}},
               {{.name = "a", .batch_bytes = SIZE_MAX}},
               {{.name = "a", .drain = -1}},
               {{.name = "a", .write_timeout = -1}},
               {{.name = "a", .retry = {.multiplier = 0.5}}},
               {{.name = "a", .retry = {.jitter = 2}}},
               {{.name = "a", .when_full = SL_FULL_COUNT}},
               {{.name = "a", .when_full = SL_FULL_SPOOL}},
               {{.name = "0123456789012345678901234567890123456789012345678901234567890123"}}};
    for (size_t at = 0; at < sizeof(bad) / sizeof(bad[0]); at++) {
        struct memory_sink *sink = memory_sink_new(false);
        CHECK(sink != NULL);
        sl_outlet *outlet = NULL;
        CHECK_EQ(sl_outlet_new(&bad[at].options, &sink->sink, &outlet), SL_EINVAL);
    }
    return 0;
}

/* ---- events that the sink will never take ---- */

struct refusals {
    uint64_t count, sum;
    bool told;
};

static void note_refusal(void *arg, const sl_market_event *event, sl_stamp stamp, const char *reason)
{
    struct refusals *refusals = arg;
    char expected[64];
    sl_market_event fed = sample_event(stamp.number - 1);
    (void)snprintf(expected, sizeof(expected), "the memory hates %d", (int)stamp.number);
    refusals->told =
        (refusals->count == 0 || refusals->told) && strcmp(reason, expected) == 0 && sample_events_equal(event, &fed);
    refusals->count++;
    refusals->sum += stamp.number;
}

static int leave_out_bad_ones(bool blocking, uint64_t every, uint64_t count, bool trouble)
{
    struct outlet_rig rig;
    struct refusals refusals = {0};
    sl_outlet_options options = {.batch_events = 500, .refused = note_refusal, .refused_arg = &refusals};
    CHECK_EQ(outlet_rig_make(&rig, blocking, options), 0);
    rig.sink->refuses = every;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(outlet_rig_feed(&rig, count), 0);
    for (int round = 0; trouble && round < 20; round++) {
        rig.sink->fail_writes = round % 2;
        rig.sink->lose_answers = (round + 1) % 2;
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(50)), 0);
    }
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    const sl_outlet_stats *stats = sl_outlet_get_stats(rig.outlet);
    uint64_t bad = count / every;
    CHECK_EQ(stats->refused, bad);
    CHECK_EQ(stats->written + stats->repeated, count - bad);
    CHECK_EQ(memory_sink_once(rig.sink, count), count - bad);
    CHECK_EQ(rig.sink->disorder + rig.sink->wrong, 0);
    CHECK(trouble || stats->failures == 0);
    CHECK(trouble || (refusals.count == bad && refusals.sum == every * bad * (bad + 1) / 2));
    CHECK(refusals.count >= bad && refusals.told);
    CHECK(strncmp(stats->problem, "the memory hates ", 17) == 0 || trouble);
    outlet_rig_free(&rig);
    return 0;
}

C_TEST_SIMULATED(a_bad_event_is_left_out_and_harms_no_other, "", "")
{
    CHECK_EQ(leave_out_bad_ones(false, 97, 2000, false), 0);
    CHECK_EQ(leave_out_bad_ones(false, 1, 40, false), 0);
    CHECK_EQ(leave_out_bad_ones(false, 2, 999, false), 0);
    CHECK_EQ(leave_out_bad_ones(false, 500, 500, false), 0);
    return leave_out_bad_ones(false, 97, 2000, true);
}

C_TEST_REAL_FEW(a_worker_thread_leaves_them_out_too, "", "")
{
    return leave_out_bad_ones(true, 97, 2000, false);
}

SL_TEST_MAIN(cmocka_unit_test(all_is_delivered_in_order), cmocka_unit_test(all_is_delivered_by_a_worker_thread),
             cmocka_unit_test(a_batch_ends_by_count_bytes_or_age),
             cmocka_unit_test(a_sink_that_is_away_is_tried_again_later_and_later),
             cmocka_unit_test(a_write_that_hangs_is_given_up),
             cmocka_unit_test(what_cannot_be_delivered_in_time_is_reported),
             cmocka_unit_test(drop_oldest_keeps_the_newest), cmocka_unit_test(conflate_keeps_the_last_state_of_each),
             cmocka_unit_test(conflating_spares_the_oldest_where_it_frees_an_eighth),
             cmocka_unit_test(block_makes_the_feed_wait_and_loses_nothing),
             cmocka_unit_test(a_feed_that_waits_can_be_cancelled), cmocka_unit_test(a_slow_sink_delays_no_other),
             cmocka_unit_test(an_outlet_that_goes_amid_an_event_takes_it_from_no_other),
             cmocka_unit_test(an_outlet_that_comes_amid_an_event_doubles_it_for_no_other),
             cmocka_unit_test(settling_waits_for_what_was_given_and_no_more),
             cmocka_unit_test(settling_ends_though_more_is_given_all_the_time),
             cmocka_unit_test(settling_waits_for_each_outlet_that_is_there),
             cmocka_unit_test(an_event_larger_than_the_queue_is_dropped_and_counted),
             cmocka_unit_test(bad_options_are_refused), cmocka_unit_test(a_bad_event_is_left_out_and_harms_no_other),
             cmocka_unit_test(a_worker_thread_leaves_them_out_too))
