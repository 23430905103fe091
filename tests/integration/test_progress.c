/* SPDX-License-Identifier: MIT */
/*
 * Bars of progress as people see them: of a replay, and of a backfill below its log and in `sluice top`. On a terminal (one of
 * script(1)) alone; what is piped, or wanted as JSON, has no bar and no escape codes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "own_server.h"
#include "scratch_folder.h"
#include "shell_run.h"
#include "sl_test.h"

#define SLUICE SL_TEST_BUILD_DIR "/sluice"
#define ERASE "\r\033[K"
#define ON_A_TERMINAL(command) "TERM=xterm script -qefc \"" command "\" /dev/null </dev/null"

struct world {
    struct own_server exchange, program;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    *state = world;
    own_server_prepare(&world->exchange);
    own_server_prepare(&world->program); /* a folder, and a port for its endpoint */
    own_server_shell(&world->exchange,
                     "exec " SLUICE " exchange --venue okx --instruments 2 --rate 1000 --port %d >/dev/null 2>&1",
                     world->exchange.port);
    char config[600];
    (void)snprintf(config, sizeof config, "%s/c.yaml", world->program.folder.path);
    FILE *file = fopen(config, "we");
    assert_non_null(file);
    (void)fprintf(file,
                  "venues: { okx: { stream: \"ws://127.0.0.1:%d/okx\", rest: \"http://127.0.0.1:%d/okx\" } }\n"
                  "admin: { listen: \"127.0.0.1:%d\" }\n"
                  "sinks: { db: { kind: sqlite, path: \"market.db\" } }\n",
                  world->exchange.port, world->exchange.port, world->program.port);
    assert_int_equal(fclose(file), 0);
    char admin[64];
    (void)snprintf(admin, sizeof admin, "http://127.0.0.1:%d", world->program.port);
    if (setenv("ADMIN", admin, 1) < 0 || chdir(world->program.folder.path) < 0) {
        return -1;
    }
    return own_server_start(&world->exchange);
}

static int tear_down(void **state)
{
    struct world *world = *state;
    int code = chdir("/");
    own_server_end(&world->program);
    own_server_end(&world->exchange);
    free(world);
    return code;
}

static const char *output_of(const char *line, int status)
{
    const char *output = NULL;
    int got = shell_run(line, &output);
    if (got != status) {
        fail_msg("%s\nends with %d:\n%s", line, got, output);
    }
    return output;
}

static void expect(const char *output, const char *part)
{
    if (strstr(output, part) == NULL) {
        fail_msg("no \"%s\" in:\n%s", part, output);
    }
}

static void expect_no_bar(const char *output)
{
    if (strpbrk(output, "\033\r") != NULL || strstr(output, "##") != NULL) {
        fail_msg("a bar, or an escape code, in:\n%s", output);
    }
}

static void a_replay_shows_how_far_it_is(void **state)
{
    (void)state;
    (void)output_of(
        "cat >> c.yaml <<'END'\n"
        "services: { okx: { kind: stream, venue: okx, instruments: [\"*\"], channels: [trades], sinks: [db] } }\n"
        "END\n"
        "$SLUICE record --to frames.rec c.yaml >log 2>&1 & recorder=$!\n"
        "until [ \"$(stat -c %s frames.rec 2>/dev/null || echo 0)\" -gt 60000 ]; do sleep 0.1; done\n"
        "kill $recorder; wait $recorder",
        143);
    const char *output = output_of(ON_A_TERMINAL("$SLUICE replay frames.rec"), 0);
    expect(output, ERASE "[");
    expect(output, "# ");
    expect(output, " %  ");
    expect(output, ERASE "messages "); /* the bar is gone when the figures come */
    expect_no_bar(output_of("$SLUICE replay frames.rec 2>&1", 0));
    expect_no_bar(output_of(
        "TERM=dumb script -qefc '$SLUICE replay frames.rec 2>&1 | cat' /dev/null </dev/null | tr -d '\\r'", 0));
    output = output_of(
        ON_A_TERMINAL("$SLUICE replay --json frames.rec") " | tee json | python3 -m json.tool >/dev/null; cat json", 0);
    assert_null(strchr(output, '\033'));
}

#define BACKFILL                                                                                                       \
    "cat >> c.yaml <<'END'\n"                                                                                          \
    "services: { past: { kind: backfill, venue: okx, instruments: [\"*\"], from: 10m, chunk: 1m, sinks: [db],"         \
    " limit: slow, state: work.db } }\n"                                                                               \
    "limits: { slow: { rates: [{ rate: 40/1s, burst: 1, cost: call }] } }\n"                                           \
    "END\n"

static void a_backfill_shows_how_far_it_is(void **state)
{
    (void)state;
    (void)output_of(
        BACKFILL "(" ON_A_TERMINAL(
            "echo \\$\\$ >pid; exec $SLUICE run c.yaml") "; echo \"ended $?\") >screen 2>&1 &\n"
                                                         "until grep -aq 'past \\[#' screen; do sleep 0.1; done\n"
                                                         "$SLUICE top --once --admin $ADMIN >top.piped 2>&1\n"
                                                         "TERM=xterm script -qefc \"$SLUICE top --once --admin "
                                                         "$ADMIN\" "
                                                         "/dev/null </dev/null >top.screen\n"
                                                         "TERM=xterm script -qefc \"stty cols 80; $SLUICE feeds "
                                                         "--admin $ADMIN\" /dev/null </dev/null >narrow.screen\n"
                                                         "$SLUICE top --once --json --admin $ADMIN >top.json\n"
                                                         "$SLUICE feeds --json --admin $ADMIN >feeds.json\n"
                                                         "until grep -aq 'all history is there' screen; do sleep 0.1; "
                                                         "done\n"
                                                         "sleep 1.5\n"
                                                         "$SLUICE feeds --admin $ADMIN >feeds.end\n"
                                                         "kill $(cat pid)\n"
                                                         "wait",
        0);
    const char *screen = output_of("cat screen", 0);
    expect(screen, ERASE "past [");
    expect(screen, " of 2");       /* 2 instruments, ten minutes of each and some: 22 pieces at most */
    expect(screen, "chosen");      /* lines of the log above it, */
    expect(screen, "\nreceived "); /* and no rest of it below */
    expect(screen, "ended 143");
    const char *top = output_of("cat top.piped", 0);
    expect(top, "DONE");
    expect(top, " %");
    expect_no_bar(top);
    expect(output_of("cat top.screen", 0), "[#");
    (void)output_of("python3 -m json.tool top.json >/dev/null && test $(wc -l <top.json) = 1 && "
                    "awk '{ if (length($0) > 81) { print; exit 1 } }' narrow.screen && grep -q 'past' narrow.screen",
                    0);
    (void)output_of("python3 -c '\n"
                    "import json\n"
                    "feed = json.load(open(\"feeds.json\"))[\"feeds\"][0]\n"
                    "assert 20 <= feed[\"jobs\"] <= 22 and 0 < feed[\"jobs_left\"] < feed[\"jobs\"], feed\n"
                    "assert abs(feed[\"progress\"] - 1 + feed[\"jobs_left\"] / feed[\"jobs\"]) < 1e-6, feed'",
                    0);
    expect(output_of("cat feeds.end", 0), "100 %");
}

static void a_backfill_that_is_piped_has_no_bar(void **state)
{
    (void)state;
    const char *output = output_of(BACKFILL "$SLUICE run c.yaml >log 2>&1 & worker=$!\n"
                                            "until grep -q 'all history is there' log; do sleep 0.1; done\n"
                                            "kill $worker; wait $worker; test $? = 143 && cat log",
                                   0);
    expect_no_bar(output);
    expect(output, "\"jobs_done_here\":2");
}

#define RUN(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

SL_TEST_MAIN(RUN(a_replay_shows_how_far_it_is), RUN(a_backfill_shows_how_far_it_is),
             RUN(a_backfill_that_is_piped_has_no_bar))
