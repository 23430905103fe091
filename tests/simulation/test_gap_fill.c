/* SPDX-License-Identifier: MIT */
/* Gaps whose end no later trade tells: the market stands still before the connection is back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/history/gap_fill.h"
#include "ingest/program/program.h"
#include "program_rig.h"
#include "scratch_folder.h"
#include "sl_test.h"
#include "sluice/runtime.h"

#define STILL 1e-6 /* steps a second */

/* What a run came to. */
struct outcome {
    sl_time mute_for; /* one connection, before the other is cut */
    uint64_t before;  /* trades until the cut */
    sl_time
        took; /* until the first of the gap's trades, since the feed could be carried anew; 0: none came in a minute */
};

static int wait_for_the_gap(const struct sl_program_service *service, struct outcome *outcome)
{
    sl_time back = sl_now();
    uint64_t first = service->trades;
    while (service->trades == first && sl_now() - back < SL_MINUTES(1)) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(200)));
    }
    outcome->took = service->trades > first ? sl_now() - back : 0;
    return first == outcome->before ? sl_sleep(SL_SECONDS(5)) : sl_fail(SL_EINTERNAL, "the market did not stand still");
}

/* The connection is lost for 20 s; the market moves for the first half of that. */
static int lose_a_while(struct program_rig *rig)
{
    const struct sl_fault_order cut = {.fault = SL_FAULT_CUT_ALL};
    const struct sl_fault_order refuse = {.fault = SL_FAULT_REFUSE, .duration = SL_SECONDS(20)};
    struct outcome *outcome = rig->arg;
    const struct sl_program_service *service = NULL;
    while (service == NULL || service->trades < 5) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(200)));
        service = program_rig_service(rig, "p");
    }
    outcome->before = service->trades;
    SL_TRY(sl_simulated_order(rig->exchange, &refuse));
    SL_TRY(sl_simulated_order(rig->exchange, &cut));
    SL_TRY(sl_sleep(SL_SECONDS(10)));
    sl_simulated_pace(rig->exchange, STILL);
    struct sl_service_look look = {.live = 0};
    while (!sl_service_look(service, &look) || look.live == 0) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(200)));
    }
    return wait_for_the_gap(service, outcome);
}

/*
 * One of two connections has long been there, and is mute, when the other one is lost: where the gap ends the mute one does
 * not know until it is subscribed anew.
 */
static int lose_beside_a_mute_one(struct program_rig *rig)
{
    const struct sl_fault_order mute = {.fault = SL_FAULT_MUTE}, cut = {.fault = SL_FAULT_CUT};
    const struct sl_fault_order refuse = {.fault = SL_FAULT_REFUSE, .duration = SL_MINUTES(2)};
    const struct sl_simulated_stats *exchange = sl_simulated_get_stats(rig->exchange);
    struct outcome *outcome = rig->arg;
    SL_TRY(sl_sleep(2 * SL_GAP_FILL_SETTLED));
    const struct sl_program_service *service = program_rig_service(rig, "p");
    SL_TRY(sl_simulated_order(rig->exchange, &mute));
    SL_TRY(sl_sleep(outcome->mute_for));
    SL_TRY(sl_simulated_order(rig->exchange, &refuse));
    SL_TRY(sl_simulated_order(rig->exchange, &cut));
    while (exchange->faults[SL_FAULT_CUT] == 0) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(10)));
    }
    outcome->before = service->trades;
    SL_TRY(sl_sleep(SL_SECONDS(4)));
    sl_simulated_pace(rig->exchange, STILL);
    return wait_for_the_gap(service, outcome);
}

/* Trades by their ids, and gaps, in the sink's files. */
struct found {
    long long first, last;
    size_t trades, different, told, healed;
};

static struct found read_sink(const char *folder)
{
    static char line[4096];
    static bool seen[10000];
    char command[SCRATCH_PATH_MAX + 32];
    struct found found = {.first = 0};
    memset(seen, 0, sizeof seen);
    (void)snprintf(command, sizeof command, "cat %s/out*", folder);
    FILE *file = popen(command, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        const char *id = strstr(line, "\"id\":");
        if (strstr(line, "\"gap\"") != NULL) {
            found.told++;
            found.healed += strstr(line, "\"healed\":true") != NULL;
        } else if (id != NULL) {
            long long number = strtoll(id + 5, NULL, 10);
            found.first = found.trades == 0 ? number : found.first;
            found.last = number > found.last ? number : found.last;
            found.trades++;
            assert_in_range(number, found.first, found.first + 9999);
            found.different += !seen[number - found.first];
            seen[number - found.first] = true;
        }
    }
    (void)pclose(file);
    return found;
}

/* Nothing of it is missing in the end, and the one gap was told and healed. */
static void lose_and_fill(sl_venue venue, unsigned connections, sl_time mute_for,
                          int (*conduct)(struct program_rig *rig))
{
    struct scratch_folder folder = scratch_folder_make();
    char config[SCRATCH_PATH_MAX + 256];
    struct outcome outcome = {.mute_for = mute_for};
    (void)snprintf(config, sizeof config,
                   "services: { p: { kind: stream, venue: %s, sinks: [out], instruments: [\"*\"], "
                   "channels: [trades], connections: { redundancy: %u } } }\n"
                   "sinks: { out: { kind: file, path: \"%s/out\" } }\n",
                   sl_venue_name(venue), connections, folder.path);
    struct program_rig rig = {
        .venue = venue, .instruments = 1, .rate = 4, .config = config, .arg = &outcome, .conduct = conduct};
    assert_int_equal(program_rig_run(&rig), 0);
    struct found found = read_sink(folder.path);
    print_message("%s: %zu trades, %zu of them after the cut, filled %lld ms after the connection was back\n",
                  sl_venue_name(venue), found.different, found.different - (size_t)outcome.before,
                  (long long)(outcome.took / 1000000));
    assert_in_range(outcome.took, SL_GAP_FILL_SETTLED - SL_SECONDS(1), SL_GAP_FILL_SETTLED + SL_STREAM_MUTE_MIN);
    assert_in_range(found.different, outcome.before + 3, 1000);
    assert_int_equal(found.last - found.first + 1, found.different);
    assert_int_equal(found.told, 2);
    assert_int_equal(found.healed, 1);
    scratch_folder_remove(&folder);
}

/* Where ids do not follow each other, and where only times lead into the history. */
static void a_quiet_feed_has_its_gap_filled(void **state)
{
    (void)state;
    lose_and_fill(SL_VENUE_BITSTAMP, 1, 0, lose_a_while);
    lose_and_fill(SL_VENUE_BYBIT_SPOT, 1, 0, lose_a_while);
}

/* What was missing and what of it came later, in the service's figures. */
struct figures {
    uint64_t gaps, missing, filled;
};

static int lose_amid_trades(struct program_rig *rig)
{
    const struct sl_fault_order cut = {.fault = SL_FAULT_CUT_ALL};
    const struct sl_fault_order refuse = {.fault = SL_FAULT_REFUSE, .duration = SL_SECONDS(10)};
    struct figures *figures = rig->arg;
    SL_TRY(sl_sleep(SL_SECONDS(20)));
    SL_TRY(sl_simulated_order(rig->exchange, &refuse));
    SL_TRY(sl_simulated_order(rig->exchange, &cut));
    SL_TRY(sl_sleep(SL_MINUTES(2)));
    const struct sl_program_service *service = program_rig_service(rig, "p");
    *figures = (struct figures){service->gaps, service->missing, service->filled};
    return 0;
}

static struct figures lose_and_count(sl_venue venue)
{
    struct scratch_folder folder = scratch_folder_make();
    char config[SCRATCH_PATH_MAX + 256];
    struct figures figures = {0};
    (void)snprintf(config, sizeof config,
                   "services: { p: { kind: stream, venue: %s, sinks: [out], instruments: [\"*\"], "
                   "channels: [trades] } }\nsinks: { out: { kind: file, path: \"%s/out\" } }\n",
                   sl_venue_name(venue), folder.path);
    struct program_rig rig = {
        .venue = venue, .instruments = 1, .rate = 4, .config = config, .arg = &figures, .conduct = lose_amid_trades};
    assert_int_equal(program_rig_run(&rig), 0);
    scratch_folder_remove(&folder);
    return figures;
}

/* Ids that do not follow each other do not tell how many trades are missing: neither before nor when they have come. */
static void no_more_comes_later_than_was_missing(void **state)
{
    (void)state;
    struct figures figures = lose_and_count(SL_VENUE_BITSTAMP);
    assert_int_equal(figures.gaps, 1);
    assert_int_equal(figures.missing, 0);
    assert_int_equal(figures.filled, 0);
    figures = lose_and_count(SL_VENUE_BINANCE_SPOT);
    assert_int_equal(figures.gaps, 1);
    assert_in_range(figures.missing, 1, 1000);
    assert_int_equal(figures.filled, figures.missing);
}

static int ignore_event(void *arg, const sl_market_event *event)
{
    (void)arg;
    (void)event;
    return 0;
}

/* At once, so that none of them can be queued meanwhile. */
static int see_too_many(struct program_rig *rig)
{
    struct sl_program_service *service;
    while ((service = program_rig_service(rig, "p")) == NULL || service->trades == 0) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(200)));
    }
    sl_auto(sl_stream_service) *stream = NULL;
    SL_TRY(sl_stream_new(&(struct sl_stream_options){.name = "own",
                                                     .driver = sl_access_driver(service->access),
                                                     .instruments = sl_program_instruments(service->parts),
                                                     .event = ignore_event},
                         &stream));
    sl_gap_fill *fill = NULL;
    SL_SCOPE(scope);
    int code = sl_gap_fill_open(&scope, service, stream, &fill);
    assert_int_equal(code, 0);
    for (int at = 0; at < SL_GAP_FILL_READY_MAX + 7; at++) {
        sl_market_event event = {
            .kind = SL_EVENT_GAP, .feed = SL_FEED_TRADES, .instrument = program_rig_ours(rig, 0), .as.gap.from_id = at};
        sl_gap_fill_see(fill, &event);
    }
    assert_int_equal(sl_gap_fill_stats(fill)->given_up, 7);
    assert_int_equal(sl_gap_fill_open_count(fill), SL_GAP_FILL_READY_MAX);
    sl_scope_cancel(&scope, NULL);
    code = sl_scope_close(&scope, 0);
    sl_gap_fill_free(fill);
    return code == SL_ECANCELED ? 0 : code;
}

/* They stay told; somebody can see that they will not be filled. */
static void gaps_that_are_too_many_are_given_up(void **state)
{
    (void)state;
    struct program_rig rig = {.venue = SL_VENUE_BITSTAMP,
                              .instruments = 1,
                              .rate = 4,
                              .config =
                                  "services: { p: { kind: stream, venue: bitstamp, sinks: [out], instruments: "
                                  "[\"*\"], channels: [trades] } }\nsinks: { out: { kind: file, path: /dev/null } }\n",
                              .conduct = see_too_many};
    assert_int_equal(program_rig_run(&rig), 0);
}

static void a_mute_connection_does_not_end_a_gap(void **state)
{
    (void)state;
    /* Soon after it fell silent, and when it is known to be mute but not made anew yet. */
    const sl_time mute_for[] = {SL_SECONDS(6), SL_SECONDS(8), 2 * SL_STREAM_COMPARE + SL_SECONDS(2)};
    for (size_t at = 0; at < sizeof mute_for / sizeof *mute_for; at++) {
        lose_and_fill(SL_VENUE_BITSTAMP, 2, mute_for[at], lose_beside_a_mute_one);
        lose_and_fill(SL_VENUE_BYBIT_SPOT, 2, mute_for[at], lose_beside_a_mute_one);
    }
}

SL_TEST_MAIN(cmocka_unit_test(a_quiet_feed_has_its_gap_filled), cmocka_unit_test(a_mute_connection_does_not_end_a_gap),
             cmocka_unit_test(no_more_comes_later_than_was_missing),
             cmocka_unit_test(gaps_that_are_too_many_are_given_up))
