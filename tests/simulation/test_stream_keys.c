/* SPDX-License-Identifier: MIT */
/* Keys of streams, by what they do: each case fails when the key is ignored. */
#include <stdio.h>
#include <string.h>

#include "ingest/program/program_internal.h"
#include "ingest/replicas/replicas_internal.h"
#include "program_rig.h"
#include "sl_test.h"
#include "sluice/runtime.h"
#include "sluice/supervisor.h"

#define SINK "sinks: { out: { kind: websocket, listen: \"127.0.0.1:7001\" } }\n"

static uint64_t reconnects_of(const struct program_rig *rig)
{
    struct sl_service_look look;
    (void)sl_service_look(program_rig_service(rig, "p"), &look);
    return look.reconnects;
}

/* The venue says nothing for 30 s, half of what its rules allow: whether that was too long. */
static int be_silent(struct program_rig *rig)
{
    const struct sl_fault_order silent = {.fault = SL_FAULT_SILENT, .duration = SL_SECONDS(30)};
    const struct sl_program_service *service = NULL;
    while (service == NULL || service->events < 3) {
        SL_TRY(sl_sleep(SL_SECONDS(1)));
        service = program_rig_service(rig, "p");
    }
    uint64_t before = reconnects_of(rig);
    SL_TRY(sl_simulated_order(rig->exchange, &silent));
    SL_TRY(sl_sleep(SL_SECONDS(25)));
    *(uint64_t *)rig->arg = reconnects_of(rig) - before;
    return 0;
}

static void a_connection_may_be_silent_for_so_long(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        uint64_t least, most;
    } cases[] = {{"0", 0, 0}, {"8s", 1, 3}, {"40s", 0, 0}};
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        char config[512];
        uint64_t reconnects = 0;
        (void)snprintf(config, sizeof config,
                       "services: { p: { kind: stream, venue: coinbase, sinks: [out], instruments: [\"*\"], "
                       "connections: { silence: %s } } }\n" SINK,
                       cases[at].key);
        struct program_rig rig = {
            .venue = SL_VENUE_COINBASE, .instruments = 1, .config = config, .arg = &reconnects, .conduct = be_silent};
        assert_int_equal(program_rig_run(&rig), 0);
        assert_in_range(reconnects, cases[at].least, cases[at].most);
    }
}

/* ---- a new life ---- */

/* The market stands still: nothing is known of how far a life has come. */
static int live_twice(struct program_rig *rig)
{
    const struct sl_program_service *service = NULL;
    while (service == NULL || service->chosen == 0) {
        SL_TRY(sl_sleep(SL_SECONDS(1)));
        service = program_rig_service(rig, "p");
    }
    uint64_t gaps = service->gaps;
    for (uint32_t at = 0; at < rig->parts->replicas->count; at++) { /* as when its owner had died */
        rig->parts->replicas->all[at].unclean = true;
        rig->parts->replicas->all[at].claimed = service->chosen;
    }
    SL_TRY(sl_child_restart(rig->parts->services_scope, "p"));
    sl_simulated_pace(rig->exchange, 4);
    SL_TRY(sl_sleep(SL_SECONDS(5)));
    *(uint64_t *)rig->arg = program_rig_service(rig, "p")->gaps - gaps;
    return 0;
}

/* What it had chosen before says nothing of this one, which has to tell what may be missing. */
static void a_new_life_has_chosen_nothing(void **state)
{
    (void)state;
    uint64_t gaps = 0;
    struct program_rig rig = {.venue = SL_VENUE_COINBASE,
                              .instruments = 1,
                              .history = SL_SECONDS(5),
                              .config = "services: { p: { kind: stream, venue: coinbase, sinks: [out], "
                                        "instruments: [\"*\"] } }\n" SINK,
                              .arg = &gaps,
                              .conduct = live_twice};
    assert_int_equal(program_rig_run(&rig), 0);
    assert_int_equal(gaps, 1);
}

SL_TEST_MAIN(cmocka_unit_test(a_connection_may_be_silent_for_so_long), cmocka_unit_test(a_new_life_has_chosen_nothing))
