/* SPDX-License-Identifier: MIT */
/*
 * Sinks that are slower than what comes, for long: Redis behind a line that takes a part of it, with each policy that a sink
 * can have, under the whole `sluice run`. All the time every event is in exactly one of the figures, memory stays under its
 * bound, and a file sink of the same service has what comes in time. In the end Redis has exactly what is said to be
 * written, and against the truth there is missing exactly what is said to be dropped, or told as a gap where the venue
 * was kept waiting.
 *
 * SL_SLOW_SECONDS sets for how long (6).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"
#include "own_server.h"
#include "shell_run.h"
#include "sl_test.h"

#define SLUICE SL_TEST_BUILD_DIR "/sluice"
#define LINE_BYTES 2048
#define RATE 1500

/* Of each connection: a tenth of the trades. */
#define LINE_RATE "20000"

/* What one who does not wait may have to write, at any look: a second's worth, and more on a busy machine. */
#define BEHIND_MAX (RATE * SL_TEST_SLOWER)

/* Queues, their batches, and what the allocator keeps of that. */
#define GROWTH_MAX_KIB (32L * 1024)

static const char throttle[] = SL_TEST_SOURCE_DIR "/tests/integration/throttle.py";

enum which { SPOOL, SMALL_SPOOL, DROP, CONFLATE, BLOCK, OTHER, SINKS };

static const char *const names[SINKS] = {"spool", "small", "drop", "conflate", "block", "other"};

/* Of one sink, from one scrape. */
struct figures {
    double received, written, repeated, dropped, conflated, queued, spooled;
};

struct world {
    struct own_server redis, line, exchange, program;
    struct redis_arguments redis_arguments;
    char redis_port[16], line_port[16];
    const char *line_arguments[6];
    double behind; /* the most that the file sink had to write at any look */
};

static void pause_ms(long ms)
{
    (void)nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* ---- the parts ---- */

static void write_config(const struct world *world)
{
    static const char *const policies[] = {
        [SPOOL] = "when_full: spool, only: [trades]",
        [SMALL_SPOOL] = "when_full: spool, only: [trades], spool: {max_size: 1MiB, segment: 256KiB}",
        [DROP] = "when_full: drop_oldest, only: [trades]",
        [CONFLATE] = "when_full: conflate, only: [best]",
        [BLOCK] = "when_full: block",
    };
    char path[SCRATCH_PATH_MAX + 32];
    const char *folder = world->program.folder.path;
    int port = world->exchange.port;
    (void)snprintf(path, sizeof path, "%s/config.yaml", folder);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fprintf(file,
                  "services:\n"
                  "  s: {kind: stream, venue: okx, instruments: ['*'], channels: [trades, best], fill_gaps: false, "
                  "sinks: [spool, small, drop, conflate, other]}\n"
                  "  b: {kind: stream, venue: coinbase, instruments: ['*'], channels: [trades], fill_gaps: false, "
                  "sinks: [block]}\n"
                  "venues:\n"
                  "  okx: {stream: 'ws://127.0.0.1:%d/okx', rest: 'http://127.0.0.1:%d/okx'}\n"
                  "  coinbase: {stream: 'ws://127.0.0.1:%d/coinbase', rest: 'http://127.0.0.1:%d/coinbase'}\n"
                  "spool: {path: '%s/spool'}\nadmin: {listen: '127.0.0.1:%d'}\n"
                  "sinks:\n  other: {kind: file, path: '%s/other', flush: 20ms}\n",
                  port, port, port, port, folder, world->program.port, folder);
    for (size_t at = 0; at < OTHER; at++) {
        (void)fprintf(file,
                      "  %s: {kind: redis, url: 'redis://127.0.0.1:%d', password: '%s', stream: '%s', max_length: 0, "
                      "queue_size: 64KiB, batch_size: 8KiB, flush: 50ms, %s}\n",
                      names[at], world->line.port, OWN_REDIS_PASSWORD, names[at], policies[at]);
    }
    assert_int_equal(fclose(file), 0);
}

static void begin(struct world *world)
{
    memory_counts();
    own_redis_prepare(&world->redis, &world->redis_arguments);
    own_server_prepare(&world->line);
    own_server_prepare(&world->exchange);
    own_server_prepare(&world->program);
    (void)snprintf(world->redis_port, sizeof world->redis_port, "%d", world->redis.port);
    (void)snprintf(world->line_port, sizeof world->line_port, "%d", world->line.port);
    const char *line[] = {"python3", throttle, world->line_port, world->redis_port, LINE_RATE, NULL};
    own_server_shell(&world->exchange,
                     "exec " SLUICE " exchange --venue okx --venue coinbase --instruments 4 --rate %d --port %d "
                     "--truth %s/truth.ndjson >%s/log 2>&1",
                     RATE, world->exchange.port, world->exchange.folder.path, world->exchange.folder.path);
    own_server_shell(&world->program, "cd %s && exec " SLUICE " run config.yaml >>log 2>&1",
                     world->program.folder.path);
    memcpy(world->line_arguments, line, sizeof line);
    world->line.arguments = world->line_arguments;
    write_config(world);
    assert_int_equal(own_server_start(&world->redis), 0);
    assert_int_equal(own_server_start(&world->line), 0);
    assert_int_equal(own_server_start(&world->exchange), 0);
    assert_int_equal(own_server_start(&world->program), 0);
}

static void end(struct world *world)
{
    own_server_end(&world->program);
    own_server_end(&world->exchange);
    own_server_end(&world->line);
    own_server_end(&world->redis);
}

/* ---- looking ---- */

/* One look; every event is in exactly one of the figures. */
static void look(struct world *world, struct figures all[SINKS])
{
    int status = 0;
    const char *text = endpoint_get(world->program.port, "/metrics", &status);
    assert_int_equal(status, 200);
    for (size_t at = 0; at < SINKS; at++) {
        char sink[64];
        (void)snprintf(sink, sizeof sink, "sink=\"%s\"", names[at]);
        struct figures *of = &all[at];
        *of = (struct figures){.received = metric_in(text, "sluice_sink_received_events_total", sink),
                               .written = metric_in(text, "sluice_sink_written_events_total", sink),
                               .repeated = metric_in(text, "sluice_sink_repeated_events_total", sink),
                               .dropped = metric_in(text, "sluice_sink_dropped_events_total", sink),
                               .conflated = metric_in(text, "sluice_sink_conflated_events_total", sink),
                               .queued = metric_in(text, "sluice_sink_queued_events", sink),
                               .spooled = metric_in(text, "sluice_sink_spooled_events", sink)};
        double sum = of->written + of->repeated + of->dropped + of->conflated + of->queued + of->spooled;
        if (of->received != sum) {
            fail_msg("%s: %.0f came, %.0f are accounted for: written %.0f, dropped %.0f, conflated %.0f, queued %.0f, "
                     "spooled %.0f",
                     names[at], of->received, sum, of->written, of->dropped, of->conflated, of->queued, of->spooled);
        }
    }
    world->behind = all[OTHER].queued > world->behind ? all[OTHER].queued : world->behind;
}

static void print(const struct figures all[SINKS])
{
    for (size_t at = 0; at < SINKS; at++) {
        print_message("%-9s received %.0f, written %.0f, dropped %.0f, conflated %.0f, queued %.0f, spooled %.0f\n",
                      names[at], all[at].received, all[at].written, all[at].dropped, all[at].conflated, all[at].queued,
                      all[at].spooled);
    }
}

static double number_of(const struct world *world, const char *command)
{
    char line[LINE_BYTES];
    const char *output = NULL;
    (void)snprintf(line, sizeof line, "redis-cli -p %s -a %s --no-auth-warning --raw %s", world->redis_port,
                   OWN_REDIS_PASSWORD, command);
    assert_int_equal(shell_run(line, &output), 0);
    return strtod(output, NULL);
}

static long number_behind(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    assert_non_null(at);
    return (long)strtod(at + strlen(word), NULL);
}

/* Of the truth's trades: neither there nor told; the same, but before the first one or at the very end. */
struct missing {
    long untold, unseen;
};

/* Trades of the truth of one venue that are neither in the stream (or, NULL, the file) nor told; none is there twice or wrong. */
static struct missing look_for(const struct world *world, const char *venue, const char *stream)
{
    char line[LINE_BYTES];
    const char *output = NULL, *folder = world->program.folder.path;
    (void)snprintf(line, sizeof line, "grep '\"venue\":\"%s\"' %s/truth.ndjson >%s/truth.ndjson", venue,
                   world->exchange.folder.path, folder);
    assert_int_equal(shell_run(line, &output), 0);
    if (stream != NULL) {
        (void)snprintf(line, sizeof line,
                       "redis-cli -p %s -a %s --no-auth-warning --raw XRANGE %s - + | grep '^{' >%s/%s.lines",
                       world->redis_port, OWN_REDIS_PASSWORD, stream, folder, stream);
        assert_int_equal(shell_run(line, &output), 0);
    }
    (void)snprintf(line, sizeof line, "python3 $SOURCE/tests/integration/truth.py %s %s/truth.ndjson %s/%s",
                   stream == names[BLOCK] ? "--behind" : "--stopped", folder, folder,
                   stream == NULL ? "other-*.ndjson" : "");
    if (stream != NULL) {
        size_t length = strlen(line);
        (void)snprintf(line + length, sizeof line - length, "%s.lines", stream);
    }
    (void)shell_run(line, &output);
    print_message("%s: %s", stream == NULL ? "other" : stream, output);
    assert_non_null(strstr(output, " doubled 0 wrong 0 "));
    return (struct missing){number_behind(output, " untold "), number_behind(output, " unseen ")};
}

/* ---- the course of it ---- */

static void live_with_slow_lines(struct world *world)
{
    struct figures all[SINKS];
    time_t until = time(NULL) + (time_t)sl_test_number("SL_SLOW_SECONDS", 6);
    long before = 0;
    bool begun = false;
    do {
        pause_ms(100);
        look(world, all);
        if (!begun && all[DROP].dropped > 0 && all[CONFLATE].conflated > 0 && all[SPOOL].spooled > 0) {
            begun = true; /* each policy is at work: from now on memory does not grow */
            before = memory_of(world->program.pid, "VmRSS:");
        }
    } while (time(NULL) < until || !begun);
    long growth = memory_of(world->program.pid, "VmHWM:") - before;
    print(all);
    print_message("at most %.0f events waited for the file, memory grew by %ld KiB\n", world->behind, growth);
    assert_true(all[SPOOL].dropped == 0);
    assert_true(all[BLOCK].dropped == 0 && all[BLOCK].conflated == 0 && all[BLOCK].spooled == 0);
    assert_true(all[OTHER].dropped == 0 && all[OTHER].spooled == 0);
    assert_true(world->behind <= BEHIND_MAX);
    assert_true(growth <= GROWTH_MAX_KIB);
    assert_true(all[SPOOL].written * 2 < all[SPOOL].received); /* they are slower than what comes */
    assert_true(all[BLOCK].received < all[SPOOL].received);
}

static void slower_than_what_comes(void **state)
{
    static struct world world;
    struct figures all[SINKS];
    (void)state;
    begin(&world);
    live_with_slow_lines(&world);
    own_server_stop(&world.exchange, SIGTERM); /* now the truth is known */
    assert_int_equal(kill(world.line.pid, SIGUSR1), 0);
    bool waits = true;
    while (waits) {
        pause_ms(100);
        look(&world, all);
        waits = false;
        for (size_t at = 0; at < SINKS; at++) {
            waits = waits || all[at].queued > 0 || all[at].spooled > 0;
        }
    }
    print(all);
    own_server_stop(&world.program, SIGTERM);
    for (size_t at = 0; at < OTHER; at++) {
        char command[64];
        (void)snprintf(command, sizeof command, "XLEN %s", names[at]);
        assert_true(number_of(&world, command) >=
                    all[at].written); /* a word of the end of the venue may have followed */
        assert_true(number_of(&world, command) <= all[at].written + 16);
    }
    struct missing other = look_for(&world, "okx", NULL);
    assert_int_equal(other.untold, 0);
    assert_int_equal(look_for(&world, "okx", names[SPOOL]).untold, 0);
    assert_int_equal(look_for(&world, "coinbase", names[BLOCK]).untold, 0);
    for (size_t at = SMALL_SPOOL; at <= DROP; at++) {
        struct missing missing = look_for(&world, "okx", names[at]);
        assert_int_equal(missing.untold + missing.unseen - other.unseen, (long)all[at].dropped);
    }
    end(&world);
}

SL_TEST_MAIN(cmocka_unit_test(slower_than_what_comes))
