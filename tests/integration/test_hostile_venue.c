/* SPDX-License-Identifier: MIT */
/* `sluice run` against venues that do what the simulated exchange does not: tests/peers/hostile_venue.py. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "own_server.h"
#include "sl_test.h"

#define SLUICE SL_TEST_BUILD_DIR "/sluice"
#define VENUE "exec env PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 " SL_TEST_SOURCE_DIR "/tests/peers/hostile_venue.py "
#define TEXT_BYTES 65536
#define STEP_US 20000

struct world {
    struct own_server venue, program;
    char venue_line[1024], program_line[1024];
    const char *venue_arguments[4], *program_arguments[4];
    char text[TEXT_BYTES];
};

/* The venue in this mode, and a worker with this service. */
static struct world *begin(void **state, const char *mode, const char *service)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    *state = world;
    own_server_prepare(&world->venue);
    own_server_prepare(&world->program);
    const char *folder = world->program.folder.path;
    int port = world->venue.port;
    char path[512];
    (void)snprintf(path, sizeof path, "%s/config.yaml", folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fprintf(file,
                  "services: { a: { %s, venue: binance, instruments: [\"*\"], sinks: [file] } }\n"
                  "venues: { binance: { stream: \"ws://127.0.0.1:%d\", rest: \"http://127.0.0.1:%d\" } }\n"
                  "sinks: { file: { kind: file, path: \"%s/out\" } }\n"
                  "dead_letter: { path: \"%s/letters\" }\n"
                  "admin: { listen: \"127.0.0.1:%d\" }\n",
                  service, port, port, folder, folder, world->program.port);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(world->venue_line, sizeof world->venue_line, VENUE "%d %s/venue %s", port, folder, mode);
    (void)snprintf(world->program_line, sizeof world->program_line, "exec " SLUICE " run %s/config.yaml >%s/log 2>&1",
                   folder, folder);
    const char *venue[] = {"/bin/sh", "-c", world->venue_line, NULL};
    const char *program[] = {"/bin/sh", "-c", world->program_line, NULL};
    memcpy(world->venue_arguments, venue, sizeof venue);
    memcpy(world->program_arguments, program, sizeof program);
    world->venue.arguments = world->venue_arguments;
    world->program.arguments = world->program_arguments;
    assert_int_equal(own_server_start(&world->venue), 0);
    assert_int_equal(own_server_start(&world->program), 0);
    return world;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    own_server_end(&world->program);
    own_server_end(&world->venue);
    free(world);
    return 0;
}

/* The beginning of a file of the worker's folder; "" when it is not there. */
static const char *text_of(struct world *world, const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", world->program.folder.path, name);
    FILE *file = fopen(path, "re");
    world->text[file == NULL ? 0 : fread(world->text, 1, sizeof world->text - 1, file)] = '\0';
    if (file != NULL) {
        (void)fclose(file);
    }
    return world->text;
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what)) {
        count++;
    }
    return count;
}

/* A case that waits for ever is ended from outside. */
static void wait_for(struct world *world, const char *name, const char *text, size_t least)
{
    while (count_of(text_of(world, name), text) < least) {
        (void)usleep(STEP_US);
    }
}

/* Until /api/feeds has this text. */
static void wait_for_feeds(const struct world *world, const char *text)
{
    char line[512];
    (void)snprintf(line, sizeof line, "curl --silent http://127.0.0.1:%d/api/feeds | grep -q \"%s\"",
                   world->program.port, text);
    while (system(line) != 0) {
        (void)usleep(STEP_US);
    }
}

/* It is called less and less often, not as often as it lets anybody connect; and the log has its own words. */
static void a_venue_that_accepts_and_cuts_is_not_hammered(void **state)
{
    struct world *world = begin(state, "cut", "kind: stream, channels: [trades]");
    wait_for(world, "venue", "connection ", 2);
    (void)usleep(5000000);
    size_t count = count_of(text_of(world, "venue"), "connection ");
    assert_in_range(count, 3, 15); /* without waits that grow some 25 */
    assert_non_null(strstr(text_of(world, "log"), "closed by the venue: 1008 go away"));
    own_server_stop(&world->program, SIGTERM);
}

/* Its book waits, with the reason; the answer is kept; the other book knows nothing of it. */
static void a_snapshot_that_is_none_is_told(void **state)
{
    struct world *world = begin(state, "snapshot", "kind: book");
    wait_for(world, "venue", "depth?symbol=AAAUSDT", 3);
    wait_for(world, "out-00000001.ndjson", "\"symbol\":\"BBBUSDT\"", 20);
    const char *letters = text_of(world, "letters");
    assert_non_null(strstr(letters, "AAAUSDT: HTTP status 200"));
    assert_non_null(strstr(letters, "<html>Back soon.</html>"));
    wait_for_feeds(world, "books wait for their snapshots; AAAUSDT: HTTP status 200");
    own_server_stop(&world->program, SIGTERM);
    const char *log = text_of(world, "log");
    assert_non_null(strstr(log, "a snapshot of a book failed"));
    assert_null(strstr(log, "not used   0 bad"));
}

static void one_that_never_answers_is_told(void **state)
{
    struct world *world = begin(state, "mute", "kind: stream");
    wait_for_feeds(world, "the venue's list of instruments is awaited");
    own_server_stop(&world->program, SIGTERM);
}

static void one_that_answers_nonsense_is_told_with_its_address(void **state)
{
    struct world *world = begin(state, "nonsense", "kind: stream");
    wait_for_feeds(world, "the instruments of Binance spot: http://127.0.0.1:[0-9]*: HTTP: ");
    own_server_stop(&world->program, SIGTERM);
}

SL_TEST_MAIN(cmocka_unit_test_teardown(one_that_never_answers_is_told, tear_down),
             cmocka_unit_test_teardown(one_that_answers_nonsense_is_told_with_its_address, tear_down),
             cmocka_unit_test_teardown(a_venue_that_accepts_and_cuts_is_not_hammered, tear_down),
             cmocka_unit_test_teardown(a_snapshot_that_is_none_is_told, tear_down))
