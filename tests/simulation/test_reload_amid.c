/* SPDX-License-Identifier: MIT */
/* Services whose configuration changes while they wait for something: that of before is gone then. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program_rig.h"
#include "scratch_folder.h"
#include "sl_test.h"
#include "sluice/runtime.h"

#define JOBS ((size_t)100800) /* of each of two channels: more than the queue takes */

static int reload_with(const struct program_rig *rig, char *place, const char *text)
{
    memcpy(place, text, strlen(text));
    int code = SL_ECLOSED;
    while (code == SL_ECLOSED) { /* nobody listens yet */
        SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
        code = sl_reload_now(rig->reload);
    }
    return code;
}

/* Another number of jobs at once, while there is no room for all of the first channel's jobs. */
static int reload_while_planning(struct program_rig *rig)
{
    struct sl_service_look look = {.jobs = 0};
    const struct sl_program_service *service = NULL;
    const struct sl_fault_order busy = {.fault = SL_FAULT_HTTP_500, .count = 2}; /* the list comes a little later */
    char *at_once = strstr(rig->text, "concurrency: 4");
    SL_TRY(sl_simulated_order(rig->exchange, &busy));
    while (service == NULL || service->access == NULL) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
        service = program_rig_service(rig, "p");
    }
    SL_TRY(reload_with(rig, at_once, "concurrency: 6")); /* the first one lives as long as the program */
    while (!sl_service_look(service, &look) || look.jobs == 0) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    }
    bool planning = look.jobs == JOBS;
    SL_TRY(reload_with(rig, at_once, "concurrency: 5"));
    for (int tries = 0; tries < 10000 && sl_service_look(service, &look) && look.jobs == JOBS; tries++) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(100)));
    }
    return planning && look.jobs == 2 * JOBS ? 0 : sl_fail(SL_EINTERNAL, "%d jobs", (int)look.jobs);
}

static void a_reload_while_jobs_are_planned(void **state)
{
    (void)state;
    char config[PROGRAM_RIG_CONFIG_BYTES];
    struct scratch_folder folder = scratch_folder_make();
    (void)snprintf(config, sizeof config,
                   "services: { p: { kind: backfill, venue: binance, sinks: [out], instruments: [\"*\"], "
                   "channels: [trades, candles], candles: [1m], chunk: 1m, concurrency: 4, "
                   "from: \"2024-05-01\", to: \"2024-07-10\", state: \"%s/jobs\" } }\n"
                   "sinks: { out: { kind: websocket, listen: \"127.0.0.1:7001\" } }\n",
                   folder.path);
    struct program_rig rig = {
        .venue = SL_VENUE_BINANCE_SPOT, .instruments = 1, .config = config, .conduct = reload_while_planning};
    assert_int_equal(program_rig_run(&rig), 0);
    scratch_folder_remove(&folder);
}

/* The sink's folder is a file at first: it is away until its queue is full. */
static int reload_while_the_sink_is_full(struct program_rig *rig)
{
    char *left_out = strstr(rig->text, "exclude: [A]");
    const char *folder = rig->arg;
    const struct sl_program_service *service = NULL;
    while (service == NULL || service->events == 0) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
        service = program_rig_service(rig, "p");
    }
    struct sl_program_sink *sink = sl_program_sinks(rig->parts);
    SL_TRY(reload_with(rig, left_out, "exclude: [B]")); /* the first one lives as long as the program */
    while (sl_outlet_get_stats(sink->outlet)->blocked == 0) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(100)));
    }
    uint64_t before = sl_outlet_get_stats(sink->outlet)->received;
    SL_TRY(reload_with(rig, left_out, "exclude: [C]"));
    assert_int_equal(unlink(folder), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    while (sl_outlet_get_stats(sink->outlet)->received < before + 2) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(100)));
    }
    return 0;
}

static void a_reload_while_a_sink_makes_wait(void **state)
{
    (void)state;
    char config[PROGRAM_RIG_CONFIG_BYTES], path[SCRATCH_PATH_MAX + 16];
    struct scratch_folder folder = scratch_folder_make();
    (void)snprintf(path, sizeof path, "%s/sub", folder.path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fclose(file);
    (void)snprintf(
        config, sizeof config,
        "services: { p: { kind: book, venue: kraken, sinks: [out], instruments: [\"*\"], exclude: [A], emit: both } }\n"
        "sinks: { out: { kind: file, path: \"%s/out\", queue_size: 16KiB, when_full: block } }\n",
        path);
    struct program_rig rig = {.venue = SL_VENUE_KRAKEN,
                              .instruments = 1,
                              .rate = 20,
                              .config = config,
                              .arg = path,
                              .conduct = reload_while_the_sink_is_full};
    assert_int_equal(program_rig_run(&rig), 0);
    scratch_folder_remove(&folder);
}

SL_TEST_MAIN(cmocka_unit_test(a_reload_while_jobs_are_planned), cmocka_unit_test(a_reload_while_a_sink_makes_wait))
