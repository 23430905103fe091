/* SPDX-License-Identifier: MIT */
/*
 * Sinks under fire: a process that writes events through outlets into a file, packed files and SQLite is killed at
 * random moments, again and again, while its sinks fail now and then so that events go over the disk. Then a last life
 * delivers what is left, and the stores are looked through: every event that was told to be delivered or spooled is
 * there, none is there twice, nothing is half-written.
 *
 * SL_FIRE_KILLS sets how often (20); SL_FIRE_SEED the first seed.
 */
#include "sl_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>
#include <zstd.h>

#include "event_reader.h"
#include "sample_events.h"
#include "scratch_folder.h"
#include "sinks/file.h"
#include "sinks/outlet.h"
#include "sinks/sqlite.h"
#include "sluice/runtime.h"

#define SINKS 3
#define LIVES_MAX 1000
#define PATH_BYTES 400

/* What the dying process has said, in memory that survives it. Of each sink and life: its run, and up to which number
 * events are delivered or in the spool. */
struct witness {
    _Atomic uint64_t runs[SINKS][LIVES_MAX];
    _Atomic uint64_t safe[SINKS][LIVES_MAX];
    _Atomic uint64_t fed[LIVES_MAX];
};

static struct witness *witness;
static struct scratch_folder folder;

/* Wraps a sink: every call may fail, before or after it was carried out. */
struct faulty {
    sl_sink sink;
    sl_sink *inner;
    uint64_t random;
    int failing; /* so many further calls fail */
};

static bool fails(struct faulty *faulty)
{
    faulty->random = faulty->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    if (faulty->failing > 0) {
        faulty->failing--;
        return true;
    }
    if ((faulty->random >> 33) % 12 == 0) {
        faulty->failing = (int)(faulty->random >> 40) % 4;
        return true;
    }
    return false;
}

static int faulty_open(sl_sink *base, sl_scope *scope)
{
    struct faulty *faulty = (struct faulty *)base;
    return fails(faulty) ? SL_ECONNRESET : faulty->inner->driver->open(faulty->inner, scope);
}

static int faulty_write(sl_sink *base, sl_sink_batch *batch, sl_sink_result *result)
{
    struct faulty *faulty = (struct faulty *)base;
    bool before = fails(faulty);
    int code = before ? SL_ECONNRESET : faulty->inner->driver->write(faulty->inner, batch, result);
    return code == 0 && fails(faulty) ? SL_ECONNRESET : code;
}

static void faulty_close(sl_sink *base)
{
    struct faulty *faulty = (struct faulty *)base;
    faulty->inner->driver->close(faulty->inner);
}

static void faulty_free(sl_sink *base)
{
    sl_sink_free(((struct faulty *)base)->inner);
    sl_free(base);
}

static sl_sink *wrap(sl_sink *inner, uint64_t seed)
{
    static const sl_sink_driver driver = {"faulty", true, faulty_open, faulty_write, faulty_close, faulty_free};
    struct faulty *faulty = sl_calloc(1, sizeof(*faulty));
    assert_non_null(faulty);
    *faulty = (struct faulty){.sink = {.driver = &driver}, .inner = inner, .random = seed};
    return &faulty->sink;
}

static void path_in(char path[PATH_BYTES], const char *name)
{
    (void)snprintf(path, PATH_BYTES, "%s/%s", folder.path, name);
}

static sl_outlet *make_outlet(int which, uint64_t seed)
{
    static const char *const names[SINKS] = {"file", "zstd", "sqlite"};
    char path[PATH_BYTES];
    char spool[PATH_BYTES + 16];
    sl_sink *sink = NULL;
    sl_outlet *outlet = NULL;
    path_in(path, names[which]);
    (void)snprintf(spool, sizeof(spool), "%s-spool", path);
    if (which == 2) {
        assert_int_equal(sl_sqlite_sink_new(&(sl_sqlite_options){.path = path}, &sink), 0);
    } else {
        sl_file_options options = {.path = path, .zstd = which == 1, .level = 1, .rotate_bytes = 1 << 20};
        assert_int_equal(sl_file_sink_new(&options, &sink), 0);
    }
    sl_outlet_options options = {.name = names[which],
                                 .queue_bytes = 1 << 18,
                                 .when_full = SL_FULL_SPOOL,
                                 .batch_events = 200,
                                 .batch_age = SL_MILLISECONDS(2),
                                 .retry = {.initial = SL_MILLISECONDS(1), .max = SL_MILLISECONDS(5)},
                                 .drain = SL_SECONDS(60),
                                 .spool = {.folder = spool, .segment_bytes = 1 << 17}};
    assert_int_equal(sl_outlet_new(&options, seed == 0 ? sink : wrap(sink, seed), &outlet), 0);
    return outlet;
}

struct life {
    int number;
    uint64_t seed; /* 0: the last one, which drains everything */
    sl_outlet *outlets[SINKS];
    sl_fanout *fanout;
};

/* What is delivered or on disk now: everything but what is in memory. */
static void testify(const struct life *life, uint64_t fed)
{
    for (int which = 0; which < SINKS; which++) {
        const sl_outlet_stats *stats = sl_outlet_get_stats(life->outlets[which]);
        atomic_store(&witness->runs[which][life->number], stats->run);
        atomic_store(&witness->safe[which][life->number], fed - stats->queued - stats->in_batch - stats->dropped_spool);
    }
    atomic_store(&witness->fed[life->number], fed);
}

/* Its numbers begin at 1 in each life; events are sample_event(number - 1). */
static int live(void *arg)
{
    struct life *life = arg;
    SL_SCOPE(scope);
    for (int which = 0; which < SINKS; which++) {
        SL_TRY(sl_spawn(&scope, sl_outlet_run, life->outlets[which]));
    }
    for (uint64_t fed = 0; life->seed != 0;) {
        for (int count = 0; count < 20; count++) {
            sl_market_event event = sample_event(fed++);
            SL_TRY(sl_fanout_write(life->fanout, &event));
        }
        testify(life, fed);
        SL_TRY(sl_sleep(fed % 2000 == 0 ? SL_MILLISECONDS(2) : 0));
    }
    for (int which = 0; which < SINKS; which++) {
        sl_outlet_end(life->outlets[which]);
    }
    return sl_scope_wait(&scope);
}

static int run_life(int number, uint64_t seed)
{
    struct life life = {.number = number, .seed = seed};
    assert_int_equal(sl_fanout_new(&life.fanout), 0);
    for (int which = 0; which < SINKS; which++) {
        life.outlets[which] = make_outlet(which, seed == 0 ? 0 : seed + (uint64_t)which);
        assert_int_equal(sl_fanout_attach(life.fanout, life.outlets[which]), 0);
    }
    int code = sl_run(NULL, live, &life, NULL);
    for (int which = 0; which < SINKS; which++) {
        sl_outlet_free(life.outlets[which]);
    }
    sl_fanout_free(life.fanout);
    return code;
}

/* ---- looking through what is there ---- */

/* Counts of each number, of one run. */
struct seen {
    uint64_t run;
    uint64_t last; /* number */
    uint64_t count;
};

static struct seen seen_runs[LIVES_MAX];
static int seen_count;

/* Within a run numbers come in order, each once; holes are what was in memory when it died, at its end: none. */
static void see(uint64_t run, uint64_t number)
{
    if (seen_count == 0 || seen_runs[seen_count - 1].run != run) {
        for (int at = 0; at < seen_count; at++) {
            assert_true(seen_runs[at].run != run); /* a run does not come back */
        }
        assert_true(seen_count < LIVES_MAX);
        seen_runs[seen_count++] = (struct seen){.run = run};
    }
    struct seen *seen = &seen_runs[seen_count - 1];
    assert_int_equal(number, seen->last + 1);
    seen->last = number;
    seen->count++;
}

static void see_lines(struct event_reader *reader, const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        assert_non_null(end);
        sl_market_event event;
        sl_stamp stamp;
        size_t length = (size_t)(end - text) - at;
        if (event_reader_read(reader, text + at, length, &event, &stamp) < 0) {
            fail_msg("%s: %.*s", event_reader_problem(reader), (int)length, text + at);
        }
        sl_market_event expected = sample_event(stamp.number - 1);
        assert_true(sample_events_equal(&event, &expected));
        see(stamp.run, stamp.number);
        at += length + 1;
    }
}

static void see_file(struct event_reader *reader, const char *path, bool zstd)
{
    int file = open(path, O_RDONLY);
    assert_true(file >= 0);
    off_t end = lseek(file, 0, SEEK_END);
    size_t size = (size_t)end;
    if (size > 0) {
        char *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
        assert_true(data != MAP_FAILED);
        for (size_t at = 0; at < size;) {
            size_t frame = zstd ? ZSTD_findFrameCompressedSize(data + at, size - at) : size;
            assert_false(zstd && ZSTD_isError(frame));
            size_t plain = zstd ? (size_t)ZSTD_getFrameContentSize(data + at, size - at) : size;
            char *text = sl_malloc(plain);
            assert_non_null(text);
            if (zstd) {
                assert_int_equal(ZSTD_decompress(text, plain, data + at, frame), plain);
            } else {
                memcpy(text, data, plain);
            }
            see_lines(reader, text, plain);
            sl_free(text);
            at += frame;
        }
        (void)munmap(data, size);
    }
    (void)close(file);
}

static void see_files(const char *name, bool zstd)
{
    struct event_reader *reader = event_reader_new();
    for (int number = 1;; number++) {
        char path[PATH_BYTES];
        char file[64];
        (void)snprintf(file, sizeof(file), "%s-%08d.ndjson%s", name, number, zstd ? ".zst" : "");
        path_in(path, file);
        if (access(path, F_OK) != 0) {
            break;
        }
        see_file(reader, path, zstd);
    }
    event_reader_free(reader);
}

/* Tables whose rows have stamps; trades, candles and gaps go by the venue's numbers, which the lives share. */
static void see_database(void)
{
    char path[PATH_BYTES];
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    static const char sql[] =
        "SELECT run, number FROM book_deltas UNION ALL SELECT run, number FROM book_snapshots"
        " UNION ALL SELECT run, number FROM tickers UNION ALL SELECT run, number FROM funding"
        " UNION ALL SELECT run, number FROM liquidations UNION ALL SELECT run, number FROM open_interest"
        " UNION ALL SELECT run, number FROM instrument_status ORDER BY 1, 2";
    path_in(path, "sqlite");
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        uint64_t run = (uint64_t)sqlite3_column_int64(statement, 0);
        uint64_t number = (uint64_t)sqlite3_column_int64(statement, 1);
        struct seen *seen = &seen_runs[seen_count > 0 ? seen_count - 1 : 0];
        if (seen_count == 0 || seen->run != run) {
            seen = &seen_runs[seen_count++];
            *seen = (struct seen){.run = run};
        }
        /* The kinds between are in the other tables. */
        for (uint64_t between = seen->last + 1; between < number; between++) {
            sl_event_kind kind = sample_event(between - 1).kind;
            assert_true(kind == SL_EVENT_TRADE || kind == SL_EVENT_BEST || kind == SL_EVENT_CANDLE ||
                        kind == SL_EVENT_GAP);
        }
        seen->last = number;
        seen->count++;
    }
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(database);
}

/* What was safe is there. In the database the last kinds of a life may be in tables without stamps: eleven at most. */
static void check_safe(int which, int lives, uint64_t slack)
{
    uint64_t total = 0;
    for (int life = 0; life < lives; life++) {
        uint64_t safe = atomic_load(&witness->safe[which][life]);
        uint64_t run = atomic_load(&witness->runs[which][life]);
        uint64_t last = 0;
        for (int at = 0; at < seen_count; at++) {
            last = seen_runs[at].run == run ? seen_runs[at].last : last;
        }
        if (last + slack < safe) {
            fail_msg("sink %d, life %d: %llu were safe, %llu are there", which, life, (unsigned long long)safe,
                     (unsigned long long)last);
        }
        total += safe;
    }
    assert_true(total > 0);
    print_message("sink %d: %d runs seen, %llu events were safe\n", which, seen_count, (unsigned long long)total);
}

static void killed_at_random_moments(void **state)
{
    (void)state;
    int kills = (int)sl_test_number("SL_FIRE_KILLS", 20);
    uint64_t seed = sl_test_number("SL_FIRE_SEED", (uint64_t)time(NULL));
    print_message("seed %llu\n", (unsigned long long)seed);
    assert_in_range(kills, 1, LIVES_MAX - 2);
    folder = scratch_folder_make();
    witness = mmap(NULL, sizeof(*witness), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(witness != MAP_FAILED);
    uint64_t random = seed;
    for (int life = 0; life < kills; life++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)run_life(life, (random >> 20) + 1);
            _exit(1); /* it is killed before */
        }
        while (random >> 62 != 0 && atomic_load(&witness->fed[life]) == 0) { /* some die before they have begun */
            (void)usleep(1000);
        }
        struct timespec pause = {.tv_nsec = 20000000 + (long)((random >> 33) % 150000000)};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        int status = 0;
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
    }
    assert_int_equal(run_life(kills, 0), 0);
    seen_count = 0;
    see_files("file", false);
    check_safe(0, kills, 0);
    seen_count = 0;
    see_files("zstd", true);
    check_safe(1, kills, 0);
    seen_count = 0;
    see_database();
    check_safe(2, kills, SL_EVENT_KIND_COUNT);
    (void)munmap(witness, sizeof(*witness));
    scratch_folder_remove(&folder);
}

SL_TEST_MAIN(cmocka_unit_test(killed_at_random_moments))
