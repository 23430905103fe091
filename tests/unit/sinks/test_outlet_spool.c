/* SPDX-License-Identifier: MIT */
/* The outlet's way over the disk; memory that is short, cancellation at each step, trouble at random. */
#include "sl_conformance.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cancel_steps.h"
#include "disk_sync.h"
#include "outlet_rig.h"
#include "sinks/outlet_internal.h"
#include "sluice/sync.h"

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

/* An outlet whose sink is away from the start. */
static int begin_away(struct outlet_rig *rig, const struct spooling *spooling, sl_scope *scope)
{
    CHECK_EQ(outlet_rig_make(rig, false, spooling->options), 0);
    rig->sink->down = true;
    return sl_spawn(scope, sl_outlet_run, rig->outlet);
}

/* The first events, until all of them are in the spool. */
static int feed_spool(struct outlet_rig *rig, uint64_t count)
{
    CHECK_EQ(outlet_rig_feed(rig, count), 0);
    while (sl_outlet_get_stats(rig->outlet)->spooled < count) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(10)), 0);
    }
    return 0;
}

static int end_spooling(struct outlet_rig *rig, const struct spooling *spooling)
{
    outlet_rig_free(rig);
    scratch_folder_remove(&spooling->folder);
    return 0;
}

C_TEST_REAL_FEW(an_outage_goes_over_the_disk_and_back, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    struct outlet_rig rig;
    CHECK_EQ(outlet_rig_make(&rig, false, spooling.options), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(outlet_rig_feed(&rig, 500), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(300)), 0);
    CHECK_EQ(rig.sink->stored, 500);
    CHECK(!sl_outlet_get_stats(rig.outlet)->spooling);
    rig.sink->down = true;
    for (int round = 0; round < 20; round++) {
        CHECK_EQ(outlet_rig_feed(&rig, 500), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(5)), 0);
    }
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(300)), 0);
    const sl_outlet_stats *stats = sl_outlet_get_stats(rig.outlet);
    CHECK(stats->spooling && stats->away);
    CHECK_EQ(stats->spooled, 10000); /* all of it is safe */
    CHECK_EQ(stats->queued, 0);
    CHECK(stats->spool.segments > 5);
    CHECK_EQ(outlet_rig_check_sum(&rig), 0);
    rig.sink->down = false;
    while (sl_outlet_get_stats(rig.outlet)->spooling) { /* fed while it catches up */
        CHECK_EQ(outlet_rig_feed(&rig, 10), 0);
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
        CHECK_EQ(outlet_rig_check_sum(&rig), 0);
    }
    CHECK_EQ(outlet_rig_feed(&rig, 500), 0);
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    CHECK_EQ(outlet_rig_check_all(&rig), 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->spool.segments, 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->written, rig.fed);
    return end_spooling(&rig, &spooling);
}

/* Also the batch that failed is safe on disk, and one that is under way for long is, but is not delivered twice. */
C_TEST_REAL_FEW(the_batch_under_way_is_safe_too, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    struct outlet_rig rig;
    CHECK_EQ(outlet_rig_make(&rig, false, spooling.options), 0);
    rig.sink->forgets = true;
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(50)), 0);
    rig.sink->down = true;
    CHECK_EQ(feed_spool(&rig, 20), 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->in_batch, 0);
    CHECK_EQ(outlet_rig_check_sum(&rig), 0);
    rig.sink->down = false;
    while (sl_outlet_get_stats(rig.outlet)->spooling) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(10)), 0);
    }
    rig.sink->write_time = SL_MILLISECONDS(500);
    CHECK_EQ(outlet_rig_feed(&rig, 20), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(250)), 0); /* they are on their way, and the way over the disk opens */
    CHECK_EQ(outlet_rig_feed(&rig, 1000), 0);
    while (sl_outlet_get_stats(rig.outlet)->spooled < 20) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    CHECK_EQ(outlet_rig_check_sum(&rig), 0);
    rig.sink->write_time = 0;
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    CHECK_EQ(outlet_rig_check_all(&rig), 0);
    return end_spooling(&rig, &spooling);
}

C_TEST_REAL_FEW(what_is_left_at_the_end_is_there_in_the_next_life, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    struct outlet_rig rig;
    SL_SCOPE(scope);
    CHECK_EQ(begin_away(&rig, &spooling, &scope), 0);
    CHECK_EQ(outlet_rig_feed(&rig, 3000), 0);
    sl_time began = sl_now();
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    CHECK(sl_now() - began < SL_SECONDS(5)); /* the sink is away, the disk is not: no use waiting for the drain time */
    const sl_outlet_stats *stats = sl_outlet_get_stats(rig.outlet);
    CHECK_EQ(stats->queued + stats->in_batch, 0);
    CHECK_EQ(stats->spooled, 3000);
    outlet_rig_free(&rig);

    CHECK_EQ(outlet_rig_make(&rig, true, spooling.options), 0);
    rig.sink->checks = false;
    CHECK_EQ(outlet_rig_feed(&rig, 100), 0);
    SL_SCOPE(again);
    CHECK_EQ(sl_spawn(&again, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(outlet_rig_end(&rig, &again), 0);
    CHECK_EQ(rig.sink->stored, 3100);
    CHECK_EQ(rig.sink->disorder, 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->recovered, 3000);
    CHECK_EQ(rig.sink->counts[3000], 1);
    CHECK_EQ(rig.sink->counts[100], 2);
    return end_spooling(&rig, &spooling);
}

C_TEST_REAL_FEW(a_spool_of_somebody_else_stops_the_outlet, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    sl_auto(sl_spool) *other = NULL;
    CHECK_EQ(sl_spool_open(&spooling.options.spool, &other), 0);
    struct outlet_rig rig;
    CHECK_EQ(outlet_rig_make(&rig, false, spooling.options), 0);
    CHECK_EQ(sl_outlet_run(rig.outlet), SL_EBUSY);
    CHECK(sl_outlet_get_stats(rig.outlet)->away);
    CHECK(strstr(sl_outlet_get_stats(rig.outlet)->problem, "another process has it") != NULL);
    return end_spooling(&rig, &spooling);
}

C_TEST_REAL_FEW(a_full_spool_drops_what_comes_and_keeps_what_it_has, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    spooling.options.spool.max_bytes = 200000;
    struct outlet_rig rig;
    SL_SCOPE(scope);
    CHECK_EQ(begin_away(&rig, &spooling, &scope), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(50)), 0);
    CHECK_EQ(outlet_rig_feed(&rig, 10000), 0);
    const sl_outlet_stats *stats = sl_outlet_get_stats(rig.outlet);
    CHECK(stats->dropped_spool > 1000);
    CHECK(stats->spool.bytes <= 200000);
    CHECK(stats->disk_failures > 0);
    CHECK_EQ(outlet_rig_check_sum(&rig), 0);
    uint64_t kept = 10000 - stats->dropped_spool;
    rig.sink->down = false;
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    CHECK_EQ(rig.sink->stored, kept);
    CHECK_EQ(rig.sink->disorder, 0);
    CHECK_EQ(memory_sink_once(rig.sink, 500), 500); /* the oldest are there */
    return end_spooling(&rig, &spooling);
}

/* Where the first segment is, or would be. */
static void name_segment(const struct spooling *spooling, char path[SCRATCH_PATH_MAX + 64])
{
    (void)snprintf(path, SCRATCH_PATH_MAX + 64, "%s/0000000000000001.spool", spooling->path);
}

static int damage(const struct spooling *spooling, long from, int count)
{
    char path[SCRATCH_PATH_MAX + 64];
    name_segment(spooling, path);
    FILE *file = fopen(path, "r+");
    CHECK(file != NULL);
    CHECK_EQ(fseek(file, from, SEEK_SET), 0);
    for (int byte = 0; byte < count; byte++) {
        (void)fputc('x', file);
    }
    CHECK_EQ(fclose(file), 0);
    return 0;
}

/* A folder stands where the first segment would be: nothing can be written to the disk. */
C_TEST_REAL_FEW(without_a_disk_the_queue_is_what_there_is, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    char path[SCRATCH_PATH_MAX + 64];
    CHECK_EQ(mkdir(spooling.path, 0700), 0);
    struct outlet_rig rig;
    SL_SCOPE(scope);
    CHECK_EQ(begin_away(&rig, &spooling, &scope), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(50)), 0);
    name_segment(&spooling, path);
    CHECK_EQ(mkdir(path, 0700), 0);
    CHECK_EQ(outlet_rig_feed(&rig, 5000), 0);
    CHECK(sl_outlet_get_stats(rig.outlet)->dropped_spool > 1000);
    uint64_t kept = 5000 - sl_outlet_get_stats(rig.outlet)->dropped_spool;
    rig.sink->down = false;
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(500)), 0);
    CHECK_EQ(rig.sink->stored, kept); /* once the sink is back, without the disk */
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    CHECK_EQ(rig.sink->disorder, 0);
    return end_spooling(&rig, &spooling);
}

/* What the disk has lost of the spool is told, and nothing else is lost with it. */
C_TEST_REAL_FEW(a_spool_that_is_damaged_is_told, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    struct outlet_rig rig;
    SL_SCOPE(scope);
    CHECK_EQ(begin_away(&rig, &spooling, &scope), 0);
    CHECK_EQ(feed_spool(&rig, 500), 0);
    CHECK_EQ(damage(&spooling, 20000, 1000), 0);
    rig.sink->down = false;
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    const sl_outlet_stats *stats = sl_outlet_get_stats(rig.outlet);
    CHECK(stats->dropped_damaged > 0 && stats->dropped_damaged < 50);
    CHECK_EQ(stats->written + stats->dropped_damaged, 500);
    CHECK_EQ(memory_sink_once(rig.sink, 500), stats->written);
    CHECK_EQ(rig.sink->disorder + rig.sink->wrong, 0);
    return end_spooling(&rig, &spooling);
}

/* The same of what an earlier life has left there. */
C_TEST_REAL_FEW(what_is_damaged_between_two_lives_is_told, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    struct outlet_rig rig;
    {
        SL_SCOPE(scope);
        CHECK_EQ(begin_away(&rig, &spooling, &scope), 0);
        CHECK_EQ(feed_spool(&rig, 500), 0);
        CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
        outlet_rig_free(&rig);
    }
    CHECK_EQ(damage(&spooling, 20000, 10), 0);
    SL_SCOPE(scope);
    CHECK_EQ(outlet_rig_make(&rig, false, spooling.options), 0);
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    const sl_outlet_stats *stats = sl_outlet_get_stats(rig.outlet);
    CHECK_EQ(stats->damaged_before, 1);
    CHECK(stats->recovered >= 497 && stats->recovered < 500);
    CHECK_EQ(stats->written, stats->recovered);
    return end_spooling(&rig, &spooling);
}

/* A disk that does not come back is waited for once, not for each event; then what has no room is dropped. */
C_TEST_REAL_FEW(a_disk_that_hangs_holds_up_the_feed_once, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    spooling.options.spool.sync = true;
    struct outlet_rig rig;
    SL_SCOPE(scope);
    CHECK_EQ(begin_away(&rig, &spooling, &scope), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(50)), 0);
    disk_sync_hangs = true;
    int fed = outlet_rig_feed(&rig, 3000);
    int sum = outlet_rig_check_sum(&rig);
    uint64_t blocked = sl_outlet_get_stats(rig.outlet)->blocked;
    uint64_t dropped = sl_outlet_get_stats(rig.outlet)->dropped_spool;
    disk_sync_hangs = false; /* before anything may end the case */
    rig.sink->down = false;
    CHECK_EQ(fed + sum, 0);
    CHECK(blocked >= 1 && blocked <= 4); /* some room there is until the disk has its batch */
    CHECK(dropped > 0);
    while (sl_outlet_get_stats(rig.outlet)->spooling) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(10)), 0);
    }
    CHECK_EQ(outlet_rig_feed(&rig, 100), 0); /* and it is as before */
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->dropped_spool, dropped);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->written, 3100 - dropped);
    CHECK_EQ(rig.sink->disorder, 0);
    return end_spooling(&rig, &spooling);
}

/* What is in the spool is not delivered; what the disk lost of it will never be, and is not waited for. */
C_TEST_SIMULATED(settling_waits_for_the_spool_but_not_for_what_it_lost, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    struct outlet_rig rig;
    SL_SCOPE(scope);
    CHECK_EQ(begin_away(&rig, &spooling, &scope), 0);
    CHECK_EQ(feed_spool(&rig, 100), 0);
    {
        SL_SCOPE(limited, .timeout = SL_SECONDS(60), .move_on = true);
        CHECK_EQ(sl_fanout_settle(rig.fanout), SL_ECANCELED);
        CHECK_EQ(sl_scope_close(&limited, SL_ECANCELED), 0);
    }
    CHECK_EQ(damage(&spooling, 5000, 95000), 0); /* the last of them, too */
    rig.sink->down = false;
    {
        SL_SCOPE(limited, .timeout = SL_SECONDS(60));
        CHECK_EQ(sl_fanout_settle(rig.fanout), 0);
        CHECK_EQ(sl_scope_close(&limited, 0), 0);
    }
    CHECK(rig.sink->stored > 0 && rig.sink->highest < 100);
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    return end_spooling(&rig, &spooling);
}

/* ---- a disk that is slow ---- */

/*
 * Whoever holds the spool's lock is a disk that does not come back, and virtual time passes meanwhile. The sink is away, and
 * the queue is full in the end.
 */
static int begin_slow(struct outlet_rig *rig, struct spooling *spooling, sl_scope *scope)
{
    begin_spooling(spooling);
    CHECK_EQ(begin_away(rig, spooling, scope), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(50)), 0);
    CHECK_EQ(sl_mutex_lock(&rig->outlet->spool_lock), 0);
    sl_time began = sl_now();
    CHECK_EQ(outlet_rig_feed(rig, 3000), 0);
    CHECK_EQ(sl_now() - began, SL_OUTLET_DISK_PATIENCE); /* once for all of them */
    CHECK(sl_outlet_get_stats(rig->outlet)->dropped_spool > 1000);
    return 0;
}

static int end_slow(struct outlet_rig *rig, struct spooling *spooling, sl_scope *scope)
{
    rig->sink->down = false;
    CHECK_EQ(outlet_rig_end(rig, scope), 0);
    CHECK_EQ(rig->sink->disorder, 0);
    return end_spooling(rig, spooling);
}

/* Feeds more than there is room for: how many were dropped, and how long that took. */
static int feed_more(struct outlet_rig *rig, uint64_t *ret_dropped, sl_time *ret_took)
{
    uint64_t before = sl_outlet_get_stats(rig->outlet)->dropped_spool;
    sl_time began = sl_now();
    CHECK_EQ(outlet_rig_feed(rig, 3000), 0);
    *ret_dropped = sl_outlet_get_stats(rig->outlet)->dropped_spool - before;
    *ret_took = sl_now() - began;
    return 0;
}

C_TEST_SIMULATED(a_slow_disk_is_waited_for_again_once_it_has_taken_something, "", "")
{
    struct spooling spooling;
    struct outlet_rig rig;
    uint64_t dropped = 0;
    sl_time took = 0;
    SL_SCOPE(scope);
    CHECK_EQ(begin_slow(&rig, &spooling, &scope), 0);
    CHECK_EQ(feed_more(&rig, &dropped, &took), 0);
    CHECK_EQ(dropped, 3000);
    CHECK_EQ(took, 0);
    CHECK_EQ(sl_mutex_unlock(&rig.outlet->spool_lock), 0);
    while (sl_outlet_get_stats(rig.outlet)->spooled == 0) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    CHECK(sl_outlet_get_stats(rig.outlet)->spooling); /* the sink is still away: only the disk can have taken it */
    CHECK_EQ(feed_more(&rig, &dropped, &took), 0);
    CHECK_EQ(dropped, 0);
    return end_slow(&rig, &spooling, &scope);
}

C_TEST_SIMULATED(a_disk_that_fails_is_not_waited_for, "", "")
{
    struct spooling spooling;
    struct outlet_rig rig;
    char path[SCRATCH_PATH_MAX + 64];
    uint64_t dropped = 0;
    sl_time took = 0;
    SL_SCOPE(scope);
    begin_spooling(&spooling);
    CHECK_EQ(begin_away(&rig, &spooling, &scope), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(50)), 0);
    name_segment(&spooling, path);
    CHECK_EQ(mkdir(path, 0700), 0);
    CHECK_EQ(outlet_rig_feed(&rig, 50), 0);
    while (!sl_outlet_get_stats(rig.outlet)->disk_failing) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    CHECK_EQ(feed_more(&rig, &dropped, &took), 0);
    CHECK_EQ(took, 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->blocked, 0);
    CHECK(dropped > 1000);
    CHECK_EQ(rmdir(path), 0);
    return end_slow(&rig, &spooling, &scope);
}

static int feed_some(void *arg)
{
    return outlet_rig_feed(arg, 3000);
}

/* Another one that waits for the disk, and is cancelled behind the first one's patience, has learned nothing of it. */
C_TEST_SIMULATED(a_slow_disk_stays_slow_when_a_wait_is_cancelled, "", "")
{
    struct spooling spooling;
    struct outlet_rig rig;
    uint64_t dropped = 0;
    sl_time took = 0;
    SL_SCOPE(scope);
    begin_spooling(&spooling);
    CHECK_EQ(outlet_rig_make(&rig, false, spooling.options), 0);
    sl_auto(sl_fanout) *other = NULL;
    CHECK_EQ(sl_fanout_new(&other), 0);
    CHECK_EQ(sl_fanout_attach(other, rig.outlet), 0);
    rig.sink->down = true;
    CHECK_EQ(sl_spawn(&scope, sl_outlet_run, rig.outlet), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(50)), 0);
    CHECK_EQ(sl_mutex_lock(&rig.outlet->spool_lock), 0);
    SL_SCOPE(feeding);
    CHECK_EQ(sl_spawn(&feeding, feed_some, &rig), 0);
    CHECK_EQ(sl_sleep(SL_OUTLET_DISK_PATIENCE / 2), 0);
    {
        SL_SCOPE(limited, .timeout = SL_OUTLET_DISK_PATIENCE / 4 * 3, .move_on = true);
        sl_market_event event = sample_event(0);
        CHECK_EQ(sl_fanout_write(other, &event), SL_ECANCELED);
        CHECK_EQ(sl_scope_close(&limited, SL_ECANCELED), 0);
    }
    CHECK_EQ(sl_scope_wait(&feeding), 0);
    CHECK_EQ(feed_more(&rig, &dropped, &took), 0);
    CHECK_EQ(took, 0);
    CHECK_EQ(dropped, 3000);
    CHECK_EQ(sl_mutex_unlock(&rig.outlet->spool_lock), 0);
    return end_slow(&rig, &spooling, &scope);
}

/* From slow the disk turned to failing: a folder stands where the segment would be. */
static int begin_failing(struct outlet_rig *rig, struct spooling *spooling, sl_scope *scope)
{
    char path[SCRATCH_PATH_MAX + 64];
    uint64_t dropped = 0;
    sl_time took = 0;
    CHECK_EQ(begin_slow(rig, spooling, scope), 0);
    name_segment(spooling, path);
    CHECK_EQ(mkdir(path, 0700), 0);
    CHECK_EQ(sl_mutex_unlock(&rig->outlet->spool_lock), 0);
    while (!sl_outlet_get_stats(rig->outlet)->disk_failing) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    CHECK_EQ(feed_more(rig, &dropped, &took), 0);
    CHECK_EQ(took, 0); /* nor is one that fails waited for */
    CHECK(dropped > 2900);
    CHECK_EQ(rmdir(path), 0);
    return 0;
}

C_TEST_SIMULATED(a_slow_disk_is_tried_again_when_it_is_needed_again, "", "")
{
    struct spooling spooling;
    struct outlet_rig rig;
    uint64_t dropped = 0;
    sl_time took = 0;
    SL_SCOPE(scope);
    CHECK_EQ(begin_failing(&rig, &spooling, &scope), 0);
    rig.sink->down = false;
    while (sl_outlet_get_stats(rig.outlet)->spooling) { /* the queue goes on directly, before the disk's next attempt */
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->spooled_total, 0);
    CHECK_EQ(feed_more(&rig, &dropped, &took), 0);
    CHECK_EQ(dropped, 0);
    return end_slow(&rig, &spooling, &scope);
}

C_TEST_SIMULATED(a_slow_disk_is_tried_again_in_the_next_run, "", "")
{
    struct spooling spooling;
    struct outlet_rig rig;
    uint64_t dropped = 0;
    sl_time took = 0;
    {
        SL_SCOPE(scope);
        CHECK_EQ(begin_failing(&rig, &spooling, &scope), 0);
        char path[SCRATCH_PATH_MAX + 64];
        name_segment(&spooling, path);
        CHECK_EQ(mkdir(path, 0700), 0); /* what is left stays in memory */
        sl_scope_cancel(&scope, "enough");
        CHECK(sl_scope_close(&scope, 0) <= 0);
        CHECK_EQ(rmdir(path), 0);
    }
    SL_SCOPE(again);
    CHECK_EQ(sl_mutex_lock(&rig.outlet->spool_lock), 0);
    CHECK_EQ(sl_spawn(&again, sl_outlet_run, rig.outlet), 0);
    while (rig.outlet->spool == NULL) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    CHECK_EQ(feed_more(&rig, &dropped, &took), 0);
    CHECK_EQ(took, SL_OUTLET_DISK_PATIENCE);
    CHECK_EQ(sl_mutex_unlock(&rig.outlet->spool_lock), 0);
    return end_slow(&rig, &spooling, &again);
}

/* ---- memory that is short, and cancellation ---- */

/* An outage and its end, with everything that an outlet does. What fails is told; what came in is not lost. */
static int short_story(struct outlet_rig *rig, const struct spooling *spooling)
{
    SL_TRY(outlet_rig_make(rig, true, spooling->options));
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, sl_outlet_run, rig->outlet));
    rig->sink->fail_opens = 1;
    SL_TRY(outlet_rig_feed(rig, 120));
    SL_TRY(sl_sleep(SL_MILLISECONDS(200)));
    rig->sink->lose_answers = 1;
    SL_TRY(outlet_rig_feed(rig, 120));
    SL_TRY(sl_sleep(SL_MILLISECONDS(500)));
    sl_outlet_end(rig->outlet);
    return sl_scope_wait(&scope);
}

struct story {
    struct outlet_rig rig;
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
            CHECK_EQ(outlet_rig_check_sum(&story.rig), 0);
            CHECK_EQ(story.rig.sink->disorder + story.rig.sink->wrong, 0);
        }
        outlet_rig_free(&story.rig);
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
    struct outlet_rig rig = {0};
    (void)arg;
    begin_spooling(&spooling);
    int code = short_story(&rig, &spooling);
    CHECK(code == 0 || code == SL_ECANCELED);
    if (rig.outlet != NULL) {
        const sl_outlet_stats *stats = sl_outlet_get_stats(rig.outlet);
        CHECK_EQ(outlet_rig_check_sum(&rig), 0);
        /* Once it ran, what was fed is at the sink or on disk, whenever it was cancelled. */
        CHECK(stats->spool.appended > 0 || stats->queued + stats->in_batch == 0 || stats->batches == 0);
        CHECK_EQ(rig.sink->disorder + rig.sink->wrong, 0);
    }
    outlet_rig_free(&rig);
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

static int trouble(struct outlet_rig *rig, uint64_t *state)
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
    CHECK_EQ(outlet_rig_feed(rig, drawn(state, 400)), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(drawn(state, 40))), 0);
    return outlet_rig_check_sum(rig);
}

/* Whatever happens, with the spool everything arrives, once and in order. */
C_TEST_SIMULATED(trouble_at_random_loses_nothing, "", "")
{
    struct spooling spooling;
    begin_spooling(&spooling);
    struct outlet_rig rig;
    uint64_t state = sl_conformance_seed() * 77 + 5;
    CHECK_EQ(outlet_rig_make(&rig, drawn(&state, 2) == 0, spooling.options), 0);
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
    CHECK_EQ(outlet_rig_end(&rig, &scope), 0);
    CHECK_EQ(outlet_rig_check_all(&rig), 0);
    CHECK_EQ(sl_outlet_get_stats(rig.outlet)->written + sl_outlet_get_stats(rig.outlet)->repeated, rig.fed);
    return end_spooling(&rig, &spooling);
}

SL_TEST_MAIN(cmocka_unit_test(an_outage_goes_over_the_disk_and_back), cmocka_unit_test(the_batch_under_way_is_safe_too),
             cmocka_unit_test(what_is_left_at_the_end_is_there_in_the_next_life),
             cmocka_unit_test(a_spool_of_somebody_else_stops_the_outlet),
             cmocka_unit_test(a_full_spool_drops_what_comes_and_keeps_what_it_has),
             cmocka_unit_test(without_a_disk_the_queue_is_what_there_is),
             cmocka_unit_test(a_spool_that_is_damaged_is_told),
             cmocka_unit_test(what_is_damaged_between_two_lives_is_told),
             cmocka_unit_test(settling_waits_for_the_spool_but_not_for_what_it_lost),
             cmocka_unit_test(a_slow_disk_is_waited_for_again_once_it_has_taken_something),
             cmocka_unit_test(a_slow_disk_is_tried_again_when_it_is_needed_again),
             cmocka_unit_test(a_slow_disk_is_tried_again_in_the_next_run),
             cmocka_unit_test(a_disk_that_fails_is_not_waited_for),
             cmocka_unit_test(a_slow_disk_stays_slow_when_a_wait_is_cancelled),
             cmocka_unit_test(a_disk_that_hangs_holds_up_the_feed_once), cmocka_unit_test(memory_may_be_short_anywhere),
             cmocka_unit_test(it_may_be_cancelled_at_each_step), cmocka_unit_test(trouble_at_random_loses_nothing))
