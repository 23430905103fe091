/* SPDX-License-Identifier: MIT */
/*
 * An instrument that is left and followed again in a market that stands still: who had it meanwhile may have told of another
 * best bid and offer, so its snapshot's is told.
 */
#include <stdio.h>
#include <string.h>

#include "program_rig.h"
#include "scratch_folder.h"
#include "sl_test.h"
#include "sluice/runtime.h"

#define STILL 1e-6 /* steps a second */

/* What was given out until the market stood still, until the instrument was left, and after it was followed again. */
struct given {
    uint64_t before, left, again;
};

static int exclude(const struct program_rig *rig, char *place, const char *pattern)
{
    memcpy(place, pattern, strlen(pattern));
    SL_TRY(sl_reload_now(rig->reload));
    return sl_sleep(SL_SECONDS(20));
}

static int leave_and_come_back(struct program_rig *rig)
{
    struct given *given = rig->arg;
    char *pattern = strstr(rig->text, "NONE-*");
    const struct sl_program_service *service = NULL;
    while (service == NULL || service->events < 10) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(100)));
        service = program_rig_service(rig, "p");
    }
    sl_simulated_pace(rig->exchange, STILL);
    SL_TRY(sl_sleep(SL_SECONDS(1)));
    given->before = service->events;
    SL_TRY(exclude(rig, pattern, "BTC-*\"  "));
    given->left = service->events;
    SL_TRY(exclude(rig, pattern, "NONE-*\" "));
    given->again = service->events;
    return 0;
}

/* By the last line of the sink's file. */
static bool ends_with_a_best(const char *folder)
{
    char command[SCRATCH_PATH_MAX + 32], line[4096] = "";
    (void)snprintf(command, sizeof command, "cat %s/out* | tail -n 1", folder);
    FILE *file = popen(command, "re");
    assert_non_null(file);
    bool read = fgets(line, sizeof line, file) != NULL;
    (void)pclose(file);
    return read && strstr(line, "{\"kind\":\"best\"") == line;
}

static void the_best_is_told_when_it_is_followed_again(void **state)
{
    (void)state;
    char config[PROGRAM_RIG_CONFIG_BYTES];
    struct scratch_folder folder = scratch_folder_make();
    struct given given = {0};
    (void)snprintf(config, sizeof config,
                   "services: { p: { kind: book, venue: kraken, sinks: [out], instruments: [\"*\"], emit: top, "
                   "exclude: [\"NONE-*\"   ] } }\nsinks: { out: { kind: file, path: \"%s/out\" } }\n",
                   folder.path);
    struct program_rig rig = {.venue = SL_VENUE_KRAKEN,
                              .instruments = 1,
                              .rate = 20,
                              .config = config,
                              .arg = &given,
                              .conduct = leave_and_come_back};
    assert_int_equal(program_rig_run(&rig), 0);
    assert_int_equal(given.left, given.before + 1);               /* that it is left */
    assert_in_range(given.again, given.left + 1, given.left + 3); /* the gap may be told once more, as healed */
    assert_true(ends_with_a_best(folder.path));
    scratch_folder_remove(&folder);
}

SL_TEST_MAIN(cmocka_unit_test(the_best_is_told_when_it_is_followed_again))
