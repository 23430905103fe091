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
    uint64_t before; /* trades until the cut */
    sl_time took;    /* from the new connection until the first of the gap's trades; 0: none came in a minute */
};

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
    sl_time back = sl_now();
    uint64_t first = service->trades;
    while (service->trades == first && sl_now() - back < SL_MINUTES(1)) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(200)));
    }
    outcome->took = service->trades > first ? sl_now() - back : 0;
    return first == outcome->before ? sl_sleep(SL_SECONDS(5)) : sl_fail(SL_EINTERNAL, "the market did not stand still");
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

static void lose_and_fill(sl_venue venue)
{
    struct scratch_folder folder = scratch_folder_make();
    char config[SCRATCH_PATH_MAX + 256];
    struct outcome outcome = {0};
    (void)snprintf(config, sizeof config,
                   "services: { p: { kind: stream, venue: %s, sinks: [out], instruments: [\"*\"], "
                   "channels: [trades] } }\nsinks: { out: { kind: file, path: \"%s/out\" } }\n",
                   sl_venue_name(venue), folder.path);
    struct program_rig rig = {
        .venue = venue, .instruments = 1, .rate = 4, .config = config, .arg = &outcome, .conduct = lose_a_while};
    assert_int_equal(program_rig_run(&rig), 0);
    struct found found = read_sink(folder.path);
    print_message("%s: %zu trades, %zu of them after the cut, filled %lld ms after the connection was back\n",
                  sl_venue_name(venue), found.different, found.different - (size_t)outcome.before,
                  (long long)(outcome.took / 1000000));
    assert_in_range(outcome.took, SL_GAP_FILL_SETTLED - SL_SECONDS(1), SL_GAP_FILL_SETTLED + SL_SECONDS(5));
    assert_in_range(found.different, outcome.before + 5, 1000);
    assert_int_equal(found.last - found.first + 1, found.different);
    assert_int_equal(found.told, 2);
    assert_int_equal(found.healed, 1);
    scratch_folder_remove(&folder);
}

/* Where ids do not follow each other, and where only times lead into the history. */
static void a_quiet_feed_has_its_gap_filled(void **state)
{
    (void)state;
    lose_and_fill(SL_VENUE_BITSTAMP);
    lose_and_fill(SL_VENUE_BYBIT_SPOT);
}

SL_TEST_MAIN(cmocka_unit_test(a_quiet_feed_has_its_gap_filled))
