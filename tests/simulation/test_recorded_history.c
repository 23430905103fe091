/* SPDX-License-Identifier: MIT */
/*
 * What a backfill brings, and what fills the gaps of a stream, is in the recording: a replay gives the same events as the
 * program gave its sinks.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/replay.h"
#include "market/event_json.h"
#include "program_rig.h"
#include "scratch_folder.h"
#include "sl_test.h"
#include "sluice/runtime.h"

#define LINES_MAX 20000

/* Events as lines of JSON, without what differs by nature: stamps. */
struct lines {
    char *items[LINES_MAX];
    size_t count;
};

static void add_line(struct lines *lines, const char *text, size_t size_bytes)
{
    char *line = calloc(1, size_bytes + 1);
    assert_non_null(line);
    assert_true(lines->count < LINES_MAX);
    memcpy(line, text, size_bytes);
    lines->items[lines->count++] = line;
}

static int compare_lines(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void free_lines(struct lines *lines)
{
    for (size_t at = 0; at < lines->count; at++) {
        free(lines->items[at]);
    }
    free(lines);
}

static int on_event(void *arg, const sl_market_event *event)
{
    static char text[8192];
    assert_true(sl_event_json_bound(event) <= sizeof text);
    add_line(arg, text, sl_event_json_write(event, NULL, text));
    return 0;
}

static struct lines *lines_of_replay(const char *path)
{
    struct lines *lines = calloc(1, sizeof *lines);
    sl_replay *replay = NULL;
    int code = 1;
    sl_replay_options options = {.paths = &path, .path_count = 1, .arg = lines, .event = on_event};
    assert_non_null(lines);
    assert_int_equal(sl_replay_open(&options, &replay), 0);
    while (code == 1) {
        code = sl_replay_next(replay);
    }
    assert_int_equal(code, 0);
    assert_int_equal(sl_replay_get_stats(replay)->bad, 0);
    sl_replay_close(replay);
    return lines;
}

static struct lines *lines_of_sink(const struct scratch_folder *folder)
{
    static char line[8192];
    char command[SCRATCH_PATH_MAX + 32];
    struct lines *lines = calloc(1, sizeof *lines);
    (void)snprintf(command, sizeof command, "cat %s/out*", folder->path);
    FILE *file = popen(command, "re");
    assert_non_null(lines);
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        char *stamp = strstr(line, ",\"stamp\":");
        assert_non_null(stamp);
        memcpy(stamp, "}", 2);
        add_line(lines, line, strlen(line));
    }
    (void)pclose(file);
    return lines;
}

static void expect_the_same(struct lines *live, struct lines *replayed, size_t least)
{
    print_message("%zu events, replayed %zu\n", live->count, replayed->count);
    qsort(live->items, live->count, sizeof *live->items, compare_lines);
    qsort(replayed->items, replayed->count, sizeof *replayed->items, compare_lines);
    for (size_t at = 0; at < live->count && at < replayed->count; at++) {
        assert_string_equal(live->items[at], replayed->items[at]);
    }
    assert_int_equal(live->count, replayed->count);
    assert_true(live->count >= least);
}

static void record_and_replay(struct program_rig *rig, const char *service, size_t least)
{
    char config[PROGRAM_RIG_CONFIG_BYTES], path[SCRATCH_PATH_MAX + 16];
    struct scratch_folder folder = scratch_folder_make();
    bool backfill = strstr(service, "backfill") != NULL;
    (void)snprintf(path, sizeof path, "%s/recording", folder.path);
    int size = snprintf(config, sizeof config,
                        "services: { p: { venue: %s, sinks: [out], instruments: [\"*\"], %s%s%s%s } }\n"
                        "sinks: { out: { kind: file, path: \"%s/out\" } }\n",
                        sl_venue_name(rig->venue), service, backfill ? ", state: " : "", backfill ? folder.path : "",
                        backfill ? "/jobs" : "", folder.path);
    assert_in_range(size, 1, sizeof config - 1);
    rig->config = config;
    rig->record = path;
    assert_int_equal(program_rig_run(rig), 0);
    struct lines *live = lines_of_sink(&folder), *replayed = lines_of_replay(path);
    expect_the_same(live, replayed, least);
    free_lines(live);
    free_lines(replayed);
    scratch_folder_remove(&folder);
}

/* ---- a backfill ---- */

static int until_all_is_there(struct program_rig *rig)
{
    struct sl_service_look look = {.jobs = 0};
    for (int tries = 0; tries < 3000 && (look.jobs == 0 || look.jobs_left > 0); tries++) {
        const struct sl_program_service *service = program_rig_service(rig, "p");
        SL_TRY(sl_sleep(SL_SECONDS(1)));
        look.jobs = service == NULL || !sl_service_look(service, &look) ? 0 : look.jobs;
    }
    return look.jobs > 0 && look.jobs_left == 0 ? 0 : SL_ETIMEDOUT;
}

static void history_is_recorded(void **state)
{
    (void)state;
    static const struct {
        sl_venue venue;
        const char *channels;
    } cases[] = {{SL_VENUE_BINANCE_SPOT, "trades, candles"},
                 {SL_VENUE_COINBASE, "trades, candles"},
                 {SL_VENUE_KRAKEN, "trades"},
                 {SL_VENUE_OKX, "trades, candles"},
                 {SL_VENUE_BITSTAMP, "trades, candles"}};
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        char service[200];
        struct program_rig rig = {
            .venue = cases[at].venue, .instruments = 2, .history = SL_MINUTES(30), .conduct = until_all_is_there};
        (void)snprintf(service, sizeof service,
                       "kind: backfill, channels: [%s], from: \"2024-08-09T00:00:00Z\", "
                       "to: \"2024-08-09T00:20:00Z\", chunk: 7m",
                       cases[at].channels);
        print_message("%s: ", sl_venue_name(cases[at].venue));
        record_and_replay(&rig, service, 100);
    }
}

/* ---- gaps of a stream ---- */

static int until_gaps_are_filled(struct program_rig *rig)
{
    const struct sl_fault_order drop = {.fault = SL_FAULT_DROP_TRADE, .count = 4};
    const struct sl_program_service *service = NULL;
    while (service == NULL || service->trades < 20) {
        SL_TRY(sl_sleep(SL_SECONDS(1)));
        service = program_rig_service(rig, "p");
    }
    for (int times = 0; times < 3; times++) {
        SL_TRY(sl_simulated_order(rig->exchange, &drop));
        SL_TRY(sl_sleep(SL_SECONDS(30)));
    }
    for (int tries = 0; tries < 300 && service->filled < service->missing; tries++) {
        SL_TRY(sl_sleep(SL_SECONDS(1)));
    }
    return service->filled >= 10 && service->filled == service->missing ? 0 : SL_ETIMEDOUT;
}

static void what_fills_gaps_is_recorded(void **state)
{
    (void)state;
    static const sl_venue venues[] = {SL_VENUE_BINANCE_SPOT, SL_VENUE_COINBASE, SL_VENUE_OKX};
    for (size_t at = 0; at < sizeof venues / sizeof *venues; at++) {
        struct program_rig rig = {.venue = venues[at], .instruments = 2, .rate = 8, .conduct = until_gaps_are_filled};
        print_message("%s: ", sl_venue_name(venues[at]));
        record_and_replay(&rig, "kind: stream, channels: [trades]", 100);
    }
}

SL_TEST_MAIN(cmocka_unit_test(history_is_recorded), cmocka_unit_test(what_fills_gaps_is_recorded))
