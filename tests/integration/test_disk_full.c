/* SPDX-License-Identifier: MIT */
/*
 * A disk that fills under the whole `sluice run`: the store of a sink, its spool, the file of dead letters, each alone and
 * all together, also before the program starts. The program stays up and tells where and why; a sink on another disk has
 * everything in time; memory stays under its bound; and when there is room again all that was kept arrives, once, and
 * what was not is counted.
 *
 * The disk is a small tmpfs in a mount namespace of the case's own; skipped where the kernel lets nobody have one.
 * SL_DISK_FULL_SECONDS sets for how long there is no room (3).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"
#include "own_server.h"
#include "shell_run.h"
#include "sl_test.h"

#define SLUICE SL_TEST_BUILD_DIR "/sluice"
#define LINE_BYTES 2048
#define PATH_BYTES (SCRATCH_PATH_MAX + 32)
#define INSIDE "SL_DISK_FULL_INSIDE"
#define RATE 1000

/* What the sink on another disk may have to write, at any look: a second's worth, and more on a busy machine. */
#define BEHIND_MAX (RATE * SL_TEST_SLOWER)

/* Queues of 1 MiB, their batches, SQLite's cache, and what the allocator keeps of that. */
#define GROWTH_MAX_KIB (64L * 1024)

struct plan {
    const char *sinks;  /* $S: the folder on the small disk; $F: the one on the other */
    const char *names;  /* of these sinks, in lists */
    const char *more;   /* of the configuration */
    const char *faults; /* of the exchange */
    const char *fails;  /* a metric that is not 0 (or, behind a '!', is 0) when the disk is full; "" none is there */
    const char *says;   /* in the log */
    const char *file, *base; /* what a file sink and SQLite have written at the end; NULL: not compared */
    bool loses;              /* and counts it */
    bool away;               /* the folder $F/away is only made with the room */
    bool from_the_beginning; /* the disk is full before the program starts */
};

struct world {
    const struct plan *plan;
    struct own_server exchange, program;
    char small[PATH_BYTES], ballast[PATH_BYTES + 16];
};

/* ---- a disk of its own ---- */

/* Begins the case anew in a mount namespace, by whichever way the kernel allows. */
static void enter_namespace(const char *name)
{
    const char *output = NULL;
    char self[PATH_BYTES] = "";
    if (getenv(INSIDE) != NULL) {
        return;
    }
    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    const char *way = shell_run("unshare -Urm true 2>/dev/null", &output) == 0 ? "-Urm"
                      : shell_run("unshare -m true 2>/dev/null", &output) == 0 ? "-m"
                                                                               : NULL;
    if (way == NULL) {
        sl_test_skip("THE KERNEL LETS NOBODY MOUNT A SMALL DISK HERE (unshare -Urm): NOTHING IS KNOWN OF FULL DISKS");
    }
    assert_int_equal(setenv(INSIDE, "1", 1), 0);
    (void)fflush(NULL);
    (void)execlp("unshare", "unshare", way, "--propagation", "private", self, name, NULL);
    fail_msg("unshare: %s", strerror(errno));
}

static void pause_ms(long ms)
{
    (void)nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void fill_disk(const struct world *world)
{
    static char block[65536];
    int file = open(world->ballast, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    for (size_t size = sizeof block; size >= 512;) {
        size = write(file, block, size) > 0 ? size : size / 2;
    }
    assert_int_equal(close(file), 0);
}

/* ---- the parts ---- */

/* Writes a text with $S and $F in it. */
static void put(FILE *file, const struct world *world, const char *text)
{
    for (; *text != '\0'; text++) {
        if (text[0] == '$' && (text[1] == 'S' || text[1] == 'F')) {
            (void)fputs(*++text == 'S' ? world->small : world->program.folder.path, file);
        } else {
            (void)fputc(*text, file);
        }
    }
}

static void write_files(const struct world *world)
{
    char path[PATH_BYTES + 32];
    int port = world->exchange.port;
    (void)snprintf(path, sizeof path, "%s/config.yaml", world->program.folder.path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    (void)fprintf(
        file,
        "services: {s: {kind: stream, venue: okx, instruments: ['*'], channels: [trades], sinks: [%s, other]}}\n"
        "venues: {okx: {stream: 'ws://127.0.0.1:%d/okx', rest: 'http://127.0.0.1:%d/okx'}}\n"
        "retry: {default: {attempts: 0, initial: 50ms, max: 200ms}}\n"
        "admin: {listen: '127.0.0.1:%d'}\n",
        world->plan->names, port, port, world->program.port);
    put(file, world, world->plan->more);
    put(file, world, "sinks:\n  other: {kind: file, path: '$F/other', flush: 20ms}\n");
    put(file, world, world->plan->sinks);
    assert_int_equal(fclose(file), 0);
    (void)snprintf(path, sizeof path, "%s/scenario.yaml", world->exchange.folder.path);
    file = fopen(path, "we");
    assert_non_null(file);
    (void)fprintf(file, "rate: %d\ntruth: \"%s/truth.ndjson\"\nvenues: { okx: { instruments: 4 } }\n%s", RATE,
                  world->exchange.folder.path, world->plan->faults);
    assert_int_equal(fclose(file), 0);
}

static void begin(struct world *world, const struct plan *plan)
{
    *world = (struct world){.plan = plan};
    memory_counts();
    own_server_prepare(&world->exchange);
    own_server_prepare(&world->program);
    const struct scratch_folder folder = world->program.folder; /* a copy: gcc sees that nothing overlaps */
    (void)snprintf(world->small, sizeof world->small, "%s/small", folder.path);
    (void)snprintf(world->ballast, sizeof world->ballast, "%s/ballast", world->small);
    assert_int_equal(mkdir(world->small, 0700), 0);
    assert_int_equal(mount("tmpfs", world->small, "tmpfs", 0, "size=32m,mode=700"), 0);
    own_server_shell(&world->exchange, "exec " SLUICE " exchange %s/scenario.yaml --port %d >>%s/log 2>&1",
                     world->exchange.folder.path, world->exchange.port, world->exchange.folder.path);
    own_server_shell(&world->program, "cd %s && exec " SLUICE " run config.yaml >>log 2>&1", folder.path);
    write_files(world);
}

static void end(struct world *world)
{
    own_server_stop(&world->program, SIGKILL);
    (void)umount2(world->small, MNT_DETACH);
    own_server_end(&world->program);
    own_server_end(&world->exchange);
}

/* ---- looking ---- */

static void assert_log_says(const struct world *world, const char *text)
{
    char line[LINE_BYTES];
    const char *output = NULL;
    (void)snprintf(line, sizeof line, "grep -e '%s' %s/log", text, world->program.folder.path);
    if (shell_run(line, &output) != 0) {
        (void)snprintf(line, sizeof line, "cat %s/log", world->program.folder.path);
        (void)shell_run(line, &output);
        fail_msg("the log does not say '%s':\n%s", text, output);
    }
}

/* ---- the course of it ---- */

static bool has_failed(const struct world *world)
{
    return endpoint_metric(world->program.port, world->plan->fails, "") > 0;
}

/* While there is no room: all the time others have what comes, and the process stays what it was. */
static void live_without_room(struct world *world)
{
    double most = 0;
    long before = memory_of(world->program.pid, "VmRSS:");
    time_t until = time(NULL) + (time_t)sl_test_number("SL_DISK_FULL_SECONDS", 3);
    double had = endpoint_metric(world->program.port, "sluice_sink_written_events_total", "sink=\"other\"");
    while (time(NULL) < until || !has_failed(world)) {
        double queued = endpoint_metric(world->program.port, "sluice_sink_queued_events", "sink=\"other\"");
        most = queued > most ? queued : most;
        assert_int_equal(waitpid(world->program.pid, NULL, WNOHANG), 0);
        pause_ms(50);
    }
    double has = endpoint_metric(world->program.port, "sluice_sink_written_events_total", "sink=\"other\"");
    long growth = memory_of(world->program.pid, "VmHWM:") - before;
    print_message("without room: %.0f events to the other disk, at most %.0f of them waited, memory grew by %ld KiB\n",
                  has - had, most, growth);
    assert_true(has > had);
    assert_true(most <= BEHIND_MAX);
    assert_true(growth <= GROWTH_MAX_KIB);
}

static void make_room(const struct world *world)
{
    char path[PATH_BYTES + 16];
    assert_int_equal(unlink(world->ballast), 0);
    if (world->plan->away) {
        (void)snprintf(path, sizeof path, "%s/away", world->program.folder.path);
        assert_int_equal(mkdir(path, 0700), 0);
    }
}

/* Until no spool has anything, and no queues more than that. */
static void wait_until_delivered(const struct world *world, double queued)
{
    int status = 0;
    const char *text = NULL;
    do {
        pause_ms(50);
        text = endpoint_get(world->program.port, "/metrics", &status);
    } while (metric_in(text, "sluice_sink_spooled_events", "") > 0 ||
             metric_in(text, "sluice_sink_queued_events", "") > queued ||
             metric_in(text, "sluice_sink_up", "} 0") == 0);
}

/* How many trades of the truth are what the word says (neither there nor told); that none is there twice or wrong. */
static long look_for(const struct world *world, const char *files, const char *word)
{
    char line[LINE_BYTES];
    const char *output = NULL;
    (void)snprintf(line, sizeof line, "python3 $SOURCE/tests/integration/truth.py --stopped %s/truth.ndjson %s",
                   world->exchange.folder.path, files);
    (void)shell_run(line, &output);
    print_message("%s", output);
    assert_non_null(strstr(output, " doubled 0 wrong 0 "));
    const char *at = strstr(output, word);
    assert_non_null(at);
    return (long)strtod(at + strlen(word), NULL);
}

static long untold(const struct world *world, const char *files)
{
    return look_for(world, files, " untold ");
}

/* What is not in a store is what was counted as dropped. */
static void compare(const struct world *world, long from_file, long from_base)
{
    char text[LINE_BYTES], line[LINE_BYTES];
    const char *folder = world->program.folder.path, *output = NULL;
    (void)snprintf(text, sizeof text, "%s/other-*.ndjson", folder);
    assert_int_equal(untold(world, text), 0);
    if (world->plan->file != NULL) {
        (void)snprintf(text, sizeof text, "%s/%s-*.ndjson", folder, world->plan->file);
        assert_int_equal(untold(world, text), from_file);
    }
    if (world->plan->base != NULL) {
        (void)snprintf(line, sizeof line,
                       "cd $SOURCE/tests/integration && python3 sqlite_events.py %s/%s >%s/base.ndjson && "
                       "echo \"PRAGMA integrity_check;\" | sqlite3 %s/%s",
                       folder, world->plan->base, folder, folder, world->plan->base);
        assert_int_equal(shell_run(line, &output), 0);
        assert_string_equal(output, "ok\n");
        (void)snprintf(text, sizeof text, "%s/base.ndjson", folder);
        assert_int_equal(untold(world, text), from_base);
    }
}

static void start_and_fill(struct world *world, const struct plan *plan)
{
    begin(world, plan);
    assert_int_equal(own_server_start(&world->exchange), 0);
    if (plan->from_the_beginning) {
        fill_disk(world);
    }
    assert_int_equal(own_server_start(&world->program), 0);
    while (endpoint_metric(world->program.port, "sluice_sink_written_events_total", "sink=\"other\"") < 300) {
        pause_ms(20);
    }
    if (!plan->from_the_beginning) {
        fill_disk(world);
    }
    live_without_room(world);
}

static void go_through(const struct plan *plan)
{
    static struct world world;
    int status = 0;
    start_and_fill(&world, plan);
    const char *answer = endpoint_get(world.program.port, "/readyz", &status);
    if (status != (plan->loses ? 503 : 200) ||
        (plan->loses && strstr(answer, "{\"check\":\"sinks\",\"reason\":\"sink ") == NULL)) {
        fail_msg("/readyz says: %s", answer);
    }
    make_room(&world);
    wait_until_delivered(&world, BEHIND_MAX);
    answer = endpoint_get(world.program.port, "/readyz", &status);
    if (status != 200) {
        fail_msg("with room again /readyz says: %s", answer);
    }
    pause_ms(500);
    own_server_stop(&world.exchange, SIGTERM); /* now the truth is known */
    pause_ms(300);
    wait_until_delivered(&world, 0);
    double dropped = endpoint_metric(world.program.port, "sluice_sink_dropped_events_total", "");
    double received = endpoint_metric(world.program.port, "sluice_sink_received_events_total", "");
    double written = endpoint_metric(world.program.port, "sluice_sink_written_events_total", "");
    print_message("received %.0f, written %.0f, dropped %.0f\n", received, written, dropped);
    assert_true(received == written + dropped);
    assert_true(plan->loses ? dropped > 0 : dropped == 0);
    double from_file = endpoint_metric(world.program.port, "sluice_sink_dropped_events_total", "kind=\"file\"");
    own_server_stop(&world.program, SIGTERM);
    assert_log_says(&world, plan->says);
    compare(&world, (long)from_file, (long)(dropped - from_file));
    end(&world);
}

/* ---- cases ---- */

static void a_file_sinks_disk(void **state)
{
    (void)state;
    enter_namespace(__func__);
    go_through(&(const struct plan){
        .names = "full",
        .sinks = "  full: {kind: file, path: '$S/full', flush: 20ms, when_full: spool, queue_size: 1MiB, "
                 "spool: {path: '$F/spool'}}\n",
        .more = "",
        .faults = "",
        .fails = "sluice_sink_failures_total",
        .says = "a sink is away.*cannot write to .*/small/full-00000001.ndjson.*No space left on device",
        .file = "small/full"});
}

static void a_databases_disk(void **state)
{
    (void)state;
    enter_namespace(__func__);
    go_through(&(const struct plan){
        .names = "full",
        .sinks = "  full: {kind: sqlite, path: '$S/market.db', flush: 20ms, when_full: spool, queue_size: 1MiB, "
                 "spool: {path: '$F/spool'}}\n",
        .more = "",
        .faults = "",
        .fails = "sluice_sink_failures_total",
        .says = "a sink is away.*/small/market.db.*disk",
        .base = "small/market.db"});
}

static void a_spools_disk(void **state)
{
    (void)state;
    enter_namespace(__func__);
    go_through(&(const struct plan){
        .names = "full",
        .sinks = "  full: {kind: file, path: '$F/away/full', flush: 20ms, when_full: spool, queue_size: 64KiB, "
                 "batch_size: 16KiB, spool: {path: '$S/spool', segment: 64KiB}}\n",
        .more = "",
        .faults = "",
        .fails = "sluice_sink_dropped_events_total",
        .says = "a spool cannot be written.*/small/spool.*No space left on device",
        .file = "away/full",
        .away = true,
        .loses = true});
}

static void the_disk_of_dead_letters(void **state)
{
    (void)state;
    enter_namespace(__func__);
    go_through(&(const struct plan){.names = "full",
                                    .sinks = "  full: {kind: file, path: '$F/full', flush: 20ms}\n",
                                    .more = "dead_letter: {path: '$S/dead.ndjson'}\n",
                                    .faults = "faults:\n  - { what: [garbage, hostile], every: 50ms, count: 3 }\n",
                                    .fails = "sluice_dead_letters_dropped_total",
                                    .says = "dead letters could not be written.*/small/dead.ndjson",
                                    .file = "full"});
}

#define ALL                                                                                                            \
    "  file: {kind: file, path: '$S/file', flush: 20ms, when_full: spool, queue_size: 64KiB, batch_size: 16KiB, "      \
    "spool: {path: '$S/spool-file', segment: 64KiB}}\n"                                                                \
    "  base: {kind: sqlite, path: '$S/market.db', flush: 20ms, when_full: spool, queue_size: 64KiB, "                  \
    "batch_size: 16KiB, spool: {path: '$S/spool-base', segment: 64KiB}}\n"

#define ALL_MORE "dead_letter: {path: '$S/dead.ndjson'}\ncoordination: {positions: '$S/positions'}\n"

#define ALL_FAULTS "faults:\n  - { what: [garbage, hostile], every: 50ms, count: 3 }\n"

static void all_on_one_disk(void **state)
{
    (void)state;
    enter_namespace(__func__);
    go_through(&(const struct plan){.names = "file, base",
                                    .sinks = ALL,
                                    .more = ALL_MORE,
                                    .faults = ALL_FAULTS,
                                    .fails = "sluice_sink_dropped_events_total",
                                    .says = "a spool cannot be written.*/small/spool-base.*No space left on device",
                                    .file = "small/file",
                                    .base = "small/market.db",
                                    .loses = true});
}

static void all_on_one_disk_from_the_beginning(void **state)
{
    (void)state;
    enter_namespace(__func__);
    go_through(&(const struct plan){.names = "file, base",
                                    .sinks = ALL,
                                    .more = ALL_MORE,
                                    .faults = ALL_FAULTS,
                                    .fails = "sluice_sink_dropped_events_total",
                                    .says = "a spool cannot be written.*/small/spool-file.*No space left on device",
                                    .file = "small/file",
                                    .base = "small/market.db",
                                    .loses = true,
                                    .from_the_beginning = true});
}

/* It ends in its time, and its last word counts what neither the store nor the spool took. */
static void a_stop_without_room(void **state)
{
    static struct world world;
    static char log[1 << 20];
    char files[LINE_BYTES];
    (void)state;
    enter_namespace(__func__);
    start_and_fill(&world,
                   &(const struct plan){.names = "full",
                                        .sinks = "  full: {kind: file, path: '$S/full', flush: 20ms, when_full: spool, "
                                                 "queue_size: 64KiB, batch_size: 16KiB, stop_within: 2s, "
                                                 "spool: {path: '$S/spool', segment: 64KiB}}\n",
                                        .more = "",
                                        .faults = "",
                                        .fails = "sluice_sink_dropped_events_total"});
    own_server_stop(&world.exchange, SIGTERM);
    pause_ms(300);
    time_t before = time(NULL);
    own_server_stop(&world.program, SIGTERM);
    assert_true(time(NULL) - before <= 2 + 5 * SL_TEST_SLOWER);
    const char *lost = strstr(own_server_read(&world.program, "log", log, sizeof log), "\nlost ");
    assert_non_null(lost);
    char *end_of_dropped = NULL;
    double dropped = strtod(lost + strlen("\nlost "), &end_of_dropped);
    const char *others = strstr(end_of_dropped, "dropped by sinks, ");
    assert_non_null(others);
    double waiting = strtod(others + strlen("dropped by sinks, "), NULL);
    print_message("dropped %.0f, not delivered %.0f\n", dropped, waiting);
    assert_true(dropped > 0 && waiting > 0);
    (void)snprintf(files, sizeof files, "%s/other-*.ndjson", world.program.folder.path);
    long unseen = look_for(&world, files, " unseen ");
    (void)snprintf(files, sizeof files, "%s/small/full-*.ndjson", world.program.folder.path);
    assert_int_equal(untold(&world, files) + look_for(&world, files, " unseen ") - unseen, (long)(dropped + waiting));
    end(&world);
}

SL_TEST_MAIN(cmocka_unit_test(a_file_sinks_disk), cmocka_unit_test(a_databases_disk), cmocka_unit_test(a_spools_disk),
             cmocka_unit_test(the_disk_of_dead_letters), cmocka_unit_test(all_on_one_disk),
             cmocka_unit_test(all_on_one_disk_from_the_beginning), cmocka_unit_test(a_stop_without_room))
