/* SPDX-License-Identifier: MIT */
/* What `sluice run` says of itself when something is not as it should be: /readyz, the views, the log, commands. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "endpoint.h"
#include "own_server.h"
#include "scratch_folder.h"
#include "shell_run.h"
#include "sl_test.h"

#define SLUICE SL_TEST_BUILD_DIR "/sluice"
#define TEXT_BYTES 65536

struct world {
    struct own_server exchange, program;
    char config[512], text[TEXT_BYTES];
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    *state = world;
    own_server_prepare(&world->exchange);
    own_server_prepare(&world->program);
    (void)snprintf(world->config, sizeof world->config, "%s/config.yaml", world->program.folder.path);
    own_server_shell(&world->exchange,
                     "exec " SLUICE " exchange --venue okx --instruments 2 --rate 200 --port %d >/dev/null 2>&1",
                     world->exchange.port);
    own_server_shell(&world->program, "cd %s && exec " SLUICE " run config.yaml >log 2>&1", world->program.folder.path);
    return own_server_start(&world->exchange);
}

static int tear_down(void **state)
{
    struct world *world = *state;
    own_server_end(&world->program);
    own_server_end(&world->exchange);
    free(world);
    return 0;
}

/* One service with what is given, into one sink. */
static void write_config(const struct world *world, const char *service, const char *sink)
{
    FILE *file = fopen(world->config, "we");
    assert_non_null(file);
    (void)fprintf(file,
                  "services: { it: { kind: %s, venue: okx, instruments: [\"*\"], sinks: [out] } }\n"
                  "sinks: { out: { kind: file, %s } }\n"
                  "venues: { okx: { stream: \"ws://127.0.0.1:%d/okx\", rest: \"http://127.0.0.1:%d/okx\" } }\n"
                  "admin: { listen: \"127.0.0.1:%d\" }\n",
                  service, sink, world->exchange.port, world->exchange.port, world->program.port);
    assert_int_equal(fclose(file), 0);
}

/* Waits until the answer has the text. */
static const char *wait_for(struct world *world, const char *path, const char *text, int status)
{
    for (;;) {
        int its = 0;
        const char *answer = endpoint_get(world->program.port, path, &its);
        if (its == status && strstr(answer, text) != NULL) {
            (void)snprintf(world->text, sizeof world->text, "%s", answer);
            return world->text;
        }
        (void)usleep(50000);
    }
}

/* What "sluice health --ready" prints, errors too. */
static const char *health(struct world *world, const char *more)
{
    char line[256];
    (void)snprintf(line, sizeof line, SLUICE " health --ready %s --admin http://127.0.0.1:%d 2>&1; echo status $?",
                   more, world->program.port);
    FILE *output = popen(line, "r");
    assert_non_null(output);
    world->text[fread(world->text, 1, sizeof world->text - 1, output)] = '\0';
    (void)pclose(output);
    return world->text;
}

/* The simulated OKX has no books of five levels: nothing will ever come. */
static void a_service_that_the_venue_refuses_is_down(void **state)
{
    struct world *world = *state;
    write_config(world, "book, depth: 5", "path: out");
    assert_int_equal(own_server_start(&world->program), 0);
    (void)wait_for(world, "/api/feeds", "\"state\":\"down\",\"reason\":\"the venue refused 2 subscriptions", 200);
    (void)wait_for(world, "/readyz", "service it: the venue refused 2 subscriptions", 503);
    (void)wait_for(world, "/metrics", "\nsluice_feed_refused_subscriptions{service=\"it\",venue=\"okx\"} 2\n", 200);
    static const char first[] = "sluice: not ready: service it: the venue refused 2 subscriptions; the log has why\n";
    assert_ptr_equal(strstr(health(world, ""), first), world->text);
    assert_non_null(strstr(world->text, "\nstatus 1\n"));
    assert_non_null(strstr(health(world, "--json"), "\"ready\":false}\nstatus 1\n"));
    own_server_stop(&world->program, SIGTERM);
}

/* A sink that cannot have its spool does not even begin: it is not up. */
static void a_sink_without_its_spool_is_down(void **state)
{
    struct world *world = *state;
    char path[512];
    (void)snprintf(path, sizeof path, "%s/spool", world->program.folder.path);
    FILE *file = fopen(path, "we"); /* a file where the folder would be */
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    write_config(world, "stream", "path: out, when_full: spool }, too: { kind: file, path: too, when_full: spool");
    assert_int_equal(own_server_start(&world->program), 0);
    (void)wait_for(world, "/readyz", "/too': cannot make the folder: Not a directory (and 1 more)", 503);
    (void)wait_for(world, "/api/sinks", "\"state\":\"down\",\"reason\":\"spool 'spool/out': cannot make", 200);
    (void)wait_for(world, "/metrics", "\nsluice_sink_up{sink=\"out\",kind=\"file\"} 0\n", 200);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)wait_for(world, "/metrics", "\nsluice_sink_up{sink=\"out\",kind=\"file\"} 1\n", 200);
    assert_int_equal(unlink(world->config), 0);
    assert_int_equal(kill(world->program.pid, SIGHUP), 0);
    while (strstr(own_server_read(&world->program, "log", world->text, sizeof world->text),
                  "the old one stays: config.yaml: cannot be read: not found") == NULL) {
        (void)usleep(50000);
    }
    own_server_stop(&world->program, SIGTERM);
    assert_non_null(strstr(own_server_read(&world->program, "log", world->text, sizeof world->text),
                           "lost       0 dropped by sinks, 0 not delivered"));
}

SL_TEST_MAIN(cmocka_unit_test_setup_teardown(a_service_that_the_venue_refuses_is_down, set_up, tear_down),
             cmocka_unit_test_setup_teardown(a_sink_without_its_spool_is_down, set_up, tear_down))
