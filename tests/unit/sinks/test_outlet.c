/* SPDX-License-Identifier: MIT */
/* The outlet: order, batches, policies, attempts, the way over the disk, the end. */
#include "sl_conformance.h"

#include <string.h>
#include <sys/stat.h>

#include "cancel_steps.h"
#include "memory_sink.h"
#include "sample_events.h"
#include "scratch_folder.h"
#include "sinks/outlet.h"
#include "sluice/sync.h"

struct rig {
    struct memory_sink *sink; /* the outlet's */
    sl_outlet *outlet;
    sl_fanout *fanout;
    uint64_t fed;
};

static void free_rig(struct rig *rig)
{
    sl_fanout_free(rig->fanout);
    sl_outlet_free(rig->outlet);
}

/* Made as the options say, with a name. */
static int make_rig(struct rig *rig, bool blocking, sl_outlet_options options)
{
    *rig = (struct rig){.sink = memory_sink_new(blocking)};
    if (rig->sink == NULL) {
        return SL_ENOMEM;
    }
    rig->sink->checks = true;
    options.name = "test";
    SL_TRY(sl_outlet_new(&options, &rig->sink->sink, &rig->outlet));
    SL_TRY(sl_fanout_new(&rig->fanout));
    return sl_fanout_attach(rig->fanout, rig->outlet);
}

/* The next `count` events. */
static int feed(struct rig *rig, uint64_t count)
{
    for (uint64_t index = 0; index < count; index++) {
        sl_market_event event = sample_event(rig->fed);
        SL_TRY(sl_fanout_write(rig->fanout, &event));
        rig->fed++;
    }
    return 0;
}

/* Every event is in exactly one of the figures. */
static int check_sum(const struct rig *rig)
{
    const sl_outlet_stats *stats = sl_outlet_get_stats(rig->outlet);
    uint64_t gone = stats->written + stats->repeated + stats->skipped + stats->refused + stats->unreadable;
    uint64_t dropped = stats->dropped_full + stats->dropped_large + stats->dropped_spool + stats->dropped_damaged +
                       stats->dropped_ended + stats->conflated;
    CHECK_EQ(stats->received + stats->recovered, gone + dropped + stats->queued + stats->in_batch + stats->spooled);
    return 0;
}

static int end_and_wait(struct rig *rig, sl_scope *scope)
{
    sl_outlet_end(rig->outlet);
    CHECK_EQ(sl_scope_join(scope, SL_NEVER), 0);
    return check_sum(rig);
}

/* All came, once, in order, as they were. */
static int check_all(const struct rig *rig)
{
    CHECK_EQ(memory_sink_once(rig->sink, rig->fed), rig->fed);
    CHECK_EQ(rig->sink->disorder, 0);
    CHECK_EQ(rig->sink->wrong, 0);
    return 0;
}

static int deliver_all(bool blocking)
{
    struct rig rig;
    CHECK_EQ(make_rig(&rig, blocking, (sl_outlet_options){.batch_events = 100}), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(feed(&rig, 1000), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(1)), 0);
    CHECK_EQ(rig.sink->stored, 1000);
    CHECK_EQ(feed(&rig, 50), 0);
    CHECK_EQ(end_and_wait(&rig, &scope), 0);
    CHECK_EQ(check_all(&rig), 0);
    CHECK_EQ(rig.sink->opened, 1);
    CHECK(rig.sink->closed >= 1);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->written, 1050);
    CHECK_EQ(feed(&rig, 1), 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->dropped_ended, 1);
    free_rig(&rig);
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
    struct rig rig;
    CHECK_EQ(make_rig(&rig, false, (sl_outlet_options){.batch_events = 10, .batch_age = SL_SECONDS(2)}), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(5)), 0);
    CHECK_EQ(feed(&rig, 9), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(1999)), 0);
    CHECK_EQ(rig.sink->stored, 0);
    CHECK_EQ(feed(&rig, 1), 0); /* ten */
    SETTLE();
    CHECK_EQ(rig.sink->stored, 10);
    CHECK_EQ(feed(&rig, 1), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(1999)), 0);
    CHECK_EQ(rig.sink->stored, 10);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(2)), 0);
    CHECK_EQ(rig.sink->stored, 11);
    CHECK_EQ(end_and_wait(&rig, &scope), 0);
    free_rig(&rig);

    CHECK_EQ(make_rig(&rig, false, (sl_outlet_options){.batch_bytes = 500, .batch_age = SL_SECONDS(2)}), 0);
    SL_SCOPE(other);
    CHECK_EQ(sl_spawn(&other, sl_outlet_run, rig.outlet), 0);
    SETTLE();
    CHECK_EQ(feed(&rig, 100), 0);
    SETTLE();
    CHECK(rig.sink->stored > 90);
    CHECK(rig.sink->written > 10);
    CHECK_EQ(end_and_wait(&rig, &other), 0);
    CHECK_EQ(check_all(&rig), 0);
    free_rig(&rig);
    return 0;
}

C_TEST_SIMULATED(a_sink_that_is_away_is_tried_again_later_and_later, "", "")
{
    struct rig rig;
    sl_outlet_options options = {.retry = {.initial = SL_SECONDS(1), .max = SL_SECONDS(8), .jitter = -1}};
    CHECK_EQ(make_rig(&rig, false, options), 0);
    rig.sink->down = true;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(feed(&rig, 100), 0);
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
    CHECK_EQ(feed(&rig, 100), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(4)), 0);
    CHECK_EQ(rig.sink->stored, 200);
    rig.sink->lose_answers = 1;
    CHECK_EQ(feed(&rig, 100), 0);
    CHECK_EQ(end_and_wait(&rig, &scope), 0);
    CHECK_EQ(rig.sink->repeated, 100);
    CHECK_EQ(check_all(&rig), 0);
    free_rig(&rig);
    return 0;
}

TASK_TEST(a_write_that_hangs_is_given_up)
{
    struct rig rig;
    CHECK_EQ(make_rig(&rig, false, (sl_outlet_options){.write_timeout = SL_MILLISECONDS(20)}), 0);
    rig.sink->write_time = SL_SECONDS(1000);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(feed(&rig, 10), 0);
    while (sl_outlet_get_stats(rig.outlet)->failures == 0) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(10)), 0);
    }
    rig.sink->write_time = 0;
    CHECK_EQ(end_and_wait(&rig, &scope), 0);
    CHECK_EQ(check_all(&rig), 0);
    free_rig(&rig);
    return 0;
}

C_TEST_SIMULATED(what_cannot_be_delivered_in_time_is_reported, "", "")
{
    struct rig rig;
    CHECK_EQ(make_rig(&rig, false, (sl_outlet_options){.drain = SL_SECONDS(30)}), 0);
    rig.sink->down = true;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(feed(&rig, 6000), 0);
    sl_time began = sl_now();
    CHECK_EQ(end_and_wait(&rig, &scope), 0);
    CHECK_EQ(sl_now() - began, SL_SECONDS(30));
    const sl_outlet_stats *stats = sl_outlet_get_stats(rig.outlet);
    CHECK_EQ(stats->queued + stats->in_batch, 6000);
    CHECK_EQ(stats->written, 0);
    free_rig(&rig);
    return 0;
}

/* ---- policies ---- */

C_TEST_SIMULATED(drop_oldest_keeps_the_newest, "", "")
{
    struct rig rig;
    sl_outlet_options options = {.queue_bytes = 65536, .queue_events = 100, .when_full = SL_FULL_DROP_OLDEST};
    CHECK_EQ(make_rig(&rig, false, options), 0);
    rig.sink->down = true;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    sl_time began = sl_now();
    CHECK_EQ(feed(&rig, 20000), 0);
    CHECK_EQ(sl_now(), began); /* it never waited */
    CHECK(sl_outlet_get_stats(rig.outlet)->queued_bytes_max <= 65536);
    CHECK(sl_outlet_get_stats(rig.outlet)->queued <= 100);
    rig.sink->down = false;
    CHECK_EQ(end_and_wait(&rig, &scope), 0);
    const sl_outlet_stats *stats = sl_outlet_get_stats(rig.outlet);
    CHECK(stats->dropped_full > 15000);
    CHECK(stats->written > 50);
    CHECK_EQ(rig.sink->highest, 20000);
    CHECK_EQ(rig.sink->disorder + rig.sink->wrong, 0);
    for (uint64_t number = 20000 - stats->written + 1; number <= 20000; number++) {
        CHECK_EQ(rig.sink->counts[number], 1);
    }
    free_rig(&rig);
    return 0;
}

C_TEST_SIMULATED(conflate_keeps_the_last_state_of_each, "", "")
{
    struct rig rig;
    sl_outlet_options options = {.queue_bytes = 65536, .queue_events = 300, .when_full = SL_FULL_CONFLATE};
    CHECK_EQ(make_rig(&rig, false, options), 0);
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
    CHECK_EQ(end_and_wait(&rig, &scope), 0);
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
    free_rig(&rig);
    return 0;
}

static int feed_many(void *arg)
{
    return feed(arg, 5000);
}

C_TEST_SIMULATED(block_makes_the_feed_wait_and_loses_nothing, "", "")
{
    struct rig rig;
    CHECK_EQ(make_rig(&rig, false, (sl_outlet_options){.queue_bytes = 65536}), 0);
    rig.sink->down = true;
    SL_SCOPE(scope);
    SL_SCOPE(feeding);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(sl_spawn(&feeding, feed_many, &rig), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(100)), 0);
    CHECK(rig.fed < 1000);
    rig.sink->down = false;
    CHECK_EQ(sl_scope_wait(&feeding), 0);
    CHECK_EQ(end_and_wait(&rig, &scope), 0);
    CHECK_EQ(check_all(&rig), 0);
    CHECK(sl_outlet_get_stats(rig.outlet)->blocked > 0);
    free_rig(&rig);
    return 0;
}

static int feed_and_fail(void *arg)
{
    struct rig *rig = arg;
    int code = feed(rig, 5000);
    CHECK_EQ(code, SL_ECANCELED);
    return 0;
}

TASK_TEST(a_feed_that_waits_can_be_cancelled)
{
    struct rig rig;
    CHECK_EQ(make_rig(&rig, false, (sl_outlet_options){.queue_bytes = 65536}), 0);
    SL_SCOPE(feeding);
    CHECK_EQ(sl_spawn(&feeding, feed_and_fail, &rig), 0);
    SETTLE();
    sl_scope_cancel(&feeding, "enough");
    CHECK_EQ(sl_scope_close(&feeding, 0), 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->received, rig.fed);
    CHECK_EQ(check_sum(&rig), 0);
    free_rig(&rig);
    return 0;
}

C_TEST_SIMULATED(a_slow_sink_delays_no_other, "", "")
{
    struct rig fast;
    struct rig slow;
    CHECK_EQ(make_rig(&fast, false, (sl_outlet_options){.batch_age = SL_MILLISECONDS(10)}), 0);
    CHECK_EQ(make_rig(&slow, false, (sl_outlet_options){.queue_bytes = 65536, .when_full = SL_FULL_DROP_OLDEST}), 0);
    CHECK_EQ(sl_fanout_attach(fast.fanout, slow.outlet), 0);
    CHECK_EQ(sl_fanout_attach(fast.fanout, slow.outlet), SL_EEXIST);
    slow.sink->write_time = SL_SECONDS(20);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, fast.outlet), 0);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, slow.outlet), 0);
    sl_time began = sl_now();
    CHECK_EQ(feed(&fast, 20000), 0);
    CHECK_EQ(sl_now(), began);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(100)), 0);
    CHECK_EQ(fast.sink->stored, 20000);
    sl_fanout_detach(fast.fanout, slow.outlet);
    CHECK_EQ(feed(&fast, 10), 0);
    CHECK_EQ(sl_outlet_get_stats(slow.outlet)->received, 20000);
    sl_outlet_end(slow.outlet);
    CHECK_EQ(end_and_wait(&fast, &scope), 0);
    CHECK_EQ(check_sum(&slow), 0);
    free_rig(&fast);
    free_rig(&slow);
    return 0;
}

C_TEST_SIMULATED(settling_waits_for_what_was_given_and_no_more, "", "")
{
    struct rig rig;
    CHECK_EQ(make_rig(&rig, false, (sl_outlet_options){.batch_age = SL_MILLISECONDS(10)}), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_fanout_settle(rig.fanout), 0); /* nothing was given, nothing runs */
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    rig.sink->write_time = SL_SECONDS(3);
    CHECK_EQ(feed(&rig, 100), 0);
    sl_time began = sl_now();
    CHECK_EQ(sl_fanout_settle(rig.fanout), 0);
    CHECK(sl_now() - began >= SL_SECONDS(3));
    CHECK(rig.sink->stored >= 100);
    rig.sink->down = true;
    CHECK_EQ(feed(&rig, 100), 0);
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
    CHECK_EQ(end_and_wait(&rig, &scope), 0);
    free_rig(&rig);
    return 0;
}

TASK_TEST(an_event_larger_than_the_queue_is_dropped_and_counted)
{
    struct rig rig;
    CHECK_EQ(make_rig(&rig, false, (sl_outlet_options){.queue_bytes = 4096}), 0);
    static sl_level levels[1000];
    sl_market_event event = sample_event_of(SL_EVENT_BOOK_SNAPSHOT, 0);
    event.as.snapshot.levels = (sl_levels){levels, NULL, 1000, 0};
    CHECK_EQ(sl_fanout_write(rig.fanout, &event), 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->dropped_large, 1);
    event.instrument = NULL;
    CHECK_EQ(sl_fanout_write(rig.fanout, &event), SL_EMSGSIZE);
    CHECK_EQ(check_sum(&rig), 0);
    free_rig(&rig);
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

/* ---- over the disk ---- */

struct spooling {
    struct scratch_folder folder;
    char path[SCRATCH_PATH_MAX + 16];
    sl_outlet_options options;
};

static void begin_spooling(struct spooling *spooling)
{
    spooling->folder = scratch_folder_make();
    (void)snprintf(spooling->path, sizeof(spooling->path), "%s/spool", spooling->folder.path);
    spooling->options = (sl_outlet_options){.queue_bytes = 65536,
                                            .when_full = SL_FULL_SPOOL,
                                            .batch_events = 50,
                                            .batch_bytes = 8192,
                                            .retry = {.initial = SL_MILLISECONDS(20), .max = SL_MILLISECONDS(100)},
                                            .spool = {.folder = spooling->path, .segment_bytes = 100000}};
}

C_TEST_REAL_FEW(an_outage_goes_over_the_disk_and_back, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    struct rig rig;
    CHECK_EQ(make_rig(&rig, false, spooling.options), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(feed(&rig, 500), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(300)), 0);
    CHECK_EQ(rig.sink->stored, 500);
    CHECK(!sl_outlet_get_stats(rig.outlet)->spooling);
    rig.sink->down = true;
    for (int round = 0; round < 20; round++) {
        CHECK_EQ(feed(&rig, 500), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(5)), 0);
    }
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(300)), 0);
    const sl_outlet_stats *stats = sl_outlet_get_stats(rig.outlet);
    CHECK(stats->spooling && stats->away);
    CHECK_EQ(stats->spooled, 10000); /* all of it is safe */
    CHECK_EQ(stats->queued, 0);
    CHECK(stats->spool.segments > 5);
    CHECK_EQ(check_sum(&rig), 0);
    rig.sink->down = false;
    while (sl_outlet_get_stats(rig.outlet)->spooling) { /* fed while it catches up */
        CHECK_EQ(feed(&rig, 10), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
        CHECK_EQ(check_sum(&rig), 0);
    }
    CHECK_EQ(feed(&rig, 500), 0);
    CHECK_EQ(end_and_wait(&rig, &scope), 0);
    CHECK_EQ(check_all(&rig), 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->spool.segments, 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->written, rig.fed);
    free_rig(&rig);
    scratch_folder_remove(&spooling.folder);
    return 0;
}

/* Also the batch that failed is safe on disk, and one that is under way for long is, but is not delivered twice. */
C_TEST_REAL_FEW(the_batch_under_way_is_safe_too, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    struct rig rig;
    CHECK_EQ(make_rig(&rig, false, spooling.options), 0);
    rig.sink->forgets = true;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(50)), 0);
    rig.sink->down = true;
    CHECK_EQ(feed(&rig, 20), 0);
    while (sl_outlet_get_stats(rig.outlet)->spooled < 20) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(10)), 0);
    }
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->in_batch, 0);
    CHECK_EQ(check_sum(&rig), 0);
    rig.sink->down = false;
    while (sl_outlet_get_stats(rig.outlet)->spooling) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(10)), 0);
    }
    rig.sink->write_time = SL_MILLISECONDS(500);
    CHECK_EQ(feed(&rig, 20), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(250)), 0); /* they are on their way, and the way over the disk opens */
    CHECK_EQ(feed(&rig, 1000), 0);
    while (sl_outlet_get_stats(rig.outlet)->spooled < 20) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    CHECK_EQ(check_sum(&rig), 0);
    rig.sink->write_time = 0;
    CHECK_EQ(end_and_wait(&rig, &scope), 0);
    CHECK_EQ(check_all(&rig), 0);
    free_rig(&rig);
    scratch_folder_remove(&spooling.folder);
    return 0;
}

C_TEST_REAL_FEW(what_is_left_at_the_end_is_there_in_the_next_life, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    struct rig rig;
    CHECK_EQ(make_rig(&rig, false, spooling.options), 0);
    rig.sink->down = true;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(feed(&rig, 3000), 0);
    sl_time began = sl_now();
    CHECK_EQ(end_and_wait(&rig, &scope), 0);
    CHECK(sl_now() - began < SL_SECONDS(5)); /* the sink is away, the disk is not: no use waiting for the drain time */
    const sl_outlet_stats *stats = sl_outlet_get_stats(rig.outlet);
    CHECK_EQ(stats->queued + stats->in_batch, 0);
    CHECK_EQ(stats->spooled, 3000);
    free_rig(&rig);

    CHECK_EQ(make_rig(&rig, true, spooling.options), 0);
    rig.sink->checks = false;
    CHECK_EQ(feed(&rig, 100), 0);
    SL_SCOPE(again);
    CHECK_EQ(sl_spawn(&again, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(end_and_wait(&rig, &again), 0);
    CHECK_EQ(rig.sink->stored, 3100);
    CHECK_EQ(rig.sink->disorder, 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->recovered, 3000);
    CHECK_EQ(rig.sink->counts[3000], 1);
    CHECK_EQ(rig.sink->counts[100], 2);
    free_rig(&rig);
    scratch_folder_remove(&spooling.folder);
    return 0;
}

C_TEST_REAL_FEW(a_spool_of_somebody_else_stops_the_outlet, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    sl_auto(sl_spool) *other = NULL;
    CHECK_EQ(sl_spool_open(&spooling.options.spool, &other), 0);
    struct rig rig;
    CHECK_EQ(make_rig(&rig, false, spooling.options), 0);
    CHECK_EQ(sl_outlet_run(rig.outlet), SL_EBUSY);
    free_rig(&rig);
    scratch_folder_remove(&spooling.folder);
    return 0;
}

C_TEST_REAL_FEW(a_full_spool_drops_what_comes_and_keeps_what_it_has, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    spooling.options.spool.max_bytes = 200000;
    struct rig rig;
    CHECK_EQ(make_rig(&rig, false, spooling.options), 0);
    rig.sink->down = true;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(50)), 0);
    CHECK_EQ(feed(&rig, 10000), 0);
    const sl_outlet_stats *stats = sl_outlet_get_stats(rig.outlet);
    CHECK(stats->dropped_spool > 1000);
    CHECK(stats->spool.bytes <= 200000);
    CHECK(stats->disk_failures > 0);
    CHECK_EQ(check_sum(&rig), 0);
    uint64_t kept = 10000 - stats->dropped_spool;
    rig.sink->down = false;
    CHECK_EQ(end_and_wait(&rig, &scope), 0);
    CHECK_EQ(rig.sink->stored, kept);
    CHECK_EQ(rig.sink->disorder, 0);
    CHECK_EQ(memory_sink_once(rig.sink, 500), 500); /* the oldest are there */
    free_rig(&rig);
    scratch_folder_remove(&spooling.folder);
    return 0;
}

/* A folder stands where the first segment would be: nothing can be written to the disk. */
C_TEST_REAL_FEW(without_a_disk_the_queue_is_what_there_is, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    char path[SCRATCH_PATH_MAX + 64];
    CHECK_EQ(mkdir(spooling.path, 0700), 0);
    struct rig rig;
    CHECK_EQ(make_rig(&rig, false, spooling.options), 0);
    rig.sink->down = true;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(50)), 0);
    (void)snprintf(path, sizeof(path), "%s/0000000000000001.spool", spooling.path);
    CHECK_EQ(mkdir(path, 0700), 0);
    CHECK_EQ(feed(&rig, 5000), 0);
    CHECK(sl_outlet_get_stats(rig.outlet)->dropped_spool > 1000);
    uint64_t kept = 5000 - sl_outlet_get_stats(rig.outlet)->dropped_spool;
    rig.sink->down = false;
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(500)), 0);
    CHECK_EQ(rig.sink->stored, kept); /* once the sink is back, without the disk */
    CHECK_EQ(end_and_wait(&rig, &scope), 0);
    CHECK_EQ(rig.sink->disorder, 0);
    free_rig(&rig);
    scratch_folder_remove(&spooling.folder);
    return 0;
}

/* ---- memory that is short, and cancellation ---- */

/* An outage and its end, with everything that an outlet does. What fails is told; what came in is not lost. */
static int short_story(struct rig *rig, const struct spooling *spooling)
{
    SL_TRY(make_rig(rig, true, spooling->options));
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, sl_outlet_run, rig->outlet));
    rig->sink->fail_opens = 1;
    SL_TRY(feed(rig, 120));
    SL_TRY(sl_sleep(SL_MILLISECONDS(200)));
    rig->sink->lose_answers = 1;
    SL_TRY(feed(rig, 120));
    SL_TRY(sl_sleep(SL_MILLISECONDS(500)));
    sl_outlet_end(rig->outlet);
    return sl_scope_wait(&scope);
}

struct story {
    struct rig rig;
    struct spooling spooling;
    int64_t fail_after;
};

static int tell_story(void *arg)
{
    struct story *story = arg;
    sl_memory_fail_after(story->fail_after);
    return short_story(&story->rig, &story->spooling);
}

C_TEST_RUNS(memory_may_be_short_anywhere, "", "")
{
    struct story story;
    int64_t held = sl_memory_held();
    if (options->simulation == NULL || options->shuffle_seed > 2) {
        return 0; /* the others would tell the same */
    }
    for (int64_t n = 0;; n++) {
        memset(&story, 0, sizeof(story));
        story.fail_after = n;
        begin_spooling(&story.spooling);
        int code = sl_run(options, tell_story, &story, NULL);
        bool failed = sl_memory_failed() != 0;
        sl_memory_fail_after(-1);
        CHECK(code == 0 || (failed && code == SL_ENOMEM));
        if (story.rig.outlet != NULL) {
            CHECK_EQ(check_sum(&story.rig), 0);
            CHECK_EQ(story.rig.sink->disorder + story.rig.sink->wrong, 0);
        }
        free_rig(&story.rig);
        scratch_folder_remove(&story.spooling.folder);
        CHECK_EQ(sl_memory_held(), held);
        if (!failed) {
            CHECK(n > 20);
            return 0;
        }
    }
}

static int story_to_cancel(void *arg)
{
    struct spooling spooling;
    struct rig rig = {0};
    (void)arg;
    begin_spooling(&spooling);
    int code = short_story(&rig, &spooling);
    CHECK(code == 0 || code == SL_ECANCELED);
    if (rig.outlet != NULL) {
        const sl_outlet_stats *stats = sl_outlet_get_stats(rig.outlet);
        CHECK_EQ(check_sum(&rig), 0);
        /* Once it ran, what was fed is at the sink or on disk, whenever it was cancelled. */
        CHECK(stats->spool.appended > 0 || stats->queued + stats->in_batch == 0 || stats->batches == 0);
        CHECK_EQ(rig.sink->disorder + rig.sink->wrong, 0);
    }
    free_rig(&rig);
    scratch_folder_remove(&spooling.folder);
    return code;
}

C_TEST_RUNS(it_may_be_cancelled_at_each_step, "", "")
{
    if (options->simulation == NULL || options->shuffle_seed > 2) {
        return 0;
    }
    int64_t steps = cancel_at_each_step(options, story_to_cancel, NULL);
    CHECK(steps > 20);
    return 0;
}

/* ---- everything at random ---- */

static uint64_t drawn(uint64_t *state, uint64_t below)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (*state >> 33) % below;
}

static int trouble(struct rig *rig, uint64_t *state)
{
    switch (drawn(state, 8)) {
    case 0:
        rig->sink->down = true;
        break;
    case 1:
        rig->sink->fail_writes = 1 + (int)drawn(state, 3);
        break;
    case 2:
        rig->sink->lose_answers = 1 + (int)drawn(state, 3);
        break;
    case 3:
        rig->sink->write_time = SL_MILLISECONDS(drawn(state, 30));
        break;
    case 4:
        rig->sink->fail_opens = 1 + (int)drawn(state, 2);
        break;
    default:
        rig->sink->down = false;
        rig->sink->write_time = 0;
        break;
    }
    CHECK_EQ(feed(rig, drawn(state, 400)), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(drawn(state, 40))), 0);
    return check_sum(rig);
}

/* Whatever happens, with the spool everything arrives, once and in order. */
C_TEST_SIMULATED(trouble_at_random_loses_nothing, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    struct rig rig;
    uint64_t state = sl_conformance_seed() * 77 + 5;
    CHECK_EQ(make_rig(&rig, drawn(&state, 2) == 0, spooling.options), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    for (int round = 0; round < 30; round++) {
        CHECK_EQ(trouble(&rig, &state), 0);
    }
    rig.sink->down = false;
    rig.sink->fail_opens = rig.sink->fail_writes = rig.sink->lose_answers = 0;
    rig.sink->write_time = 0;
    while (sl_outlet_get_stats(rig.outlet)->away) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(50)), 0);
    }
    CHECK_EQ(end_and_wait(&rig, &scope), 0);
    CHECK_EQ(check_all(&rig), 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->written + sl_outlet_get_stats(rig.outlet)->repeated, rig.fed);
    free_rig(&rig);
    scratch_folder_remove(&spooling.folder);
    return 0;
}

SL_TEST_MAIN(
    cmocka_unit_test(all_is_delivered_in_order), cmocka_unit_test(all_is_delivered_by_a_worker_thread),
    cmocka_unit_test(a_batch_ends_by_count_bytes_or_age),
    cmocka_unit_test(a_sink_that_is_away_is_tried_again_later_and_later),
    cmocka_unit_test(a_write_that_hangs_is_given_up), cmocka_unit_test(what_cannot_be_delivered_in_time_is_reported),
    cmocka_unit_test(drop_oldest_keeps_the_newest), cmocka_unit_test(conflate_keeps_the_last_state_of_each),
    cmocka_unit_test(block_makes_the_feed_wait_and_loses_nothing), cmocka_unit_test(a_feed_that_waits_can_be_cancelled),
    cmocka_unit_test(a_slow_sink_delays_no_other), cmocka_unit_test(settling_waits_for_what_was_given_and_no_more),
    cmocka_unit_test(an_event_larger_than_the_queue_is_dropped_and_counted), cmocka_unit_test(bad_options_are_refused),
    cmocka_unit_test(an_outage_goes_over_the_disk_and_back), cmocka_unit_test(the_batch_under_way_is_safe_too),
    cmocka_unit_test(what_is_left_at_the_end_is_there_in_the_next_life),
    cmocka_unit_test(a_spool_of_somebody_else_stops_the_outlet),
    cmocka_unit_test(a_full_spool_drops_what_comes_and_keeps_what_it_has),
    cmocka_unit_test(without_a_disk_the_queue_is_what_there_is), cmocka_unit_test(memory_may_be_short_anywhere),
    cmocka_unit_test(it_may_be_cancelled_at_each_step), cmocka_unit_test(trouble_at_random_loses_nothing))
