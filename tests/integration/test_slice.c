/* SPDX-License-Identifier: MIT */
/*
 * The demo as a user runs it: the program itself, on made-up markets and on a captured session, with cuts, with a lock,
 * interrupted and killed.
 */
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "redis_server.h"
#include "shell_run.h"
#include "sl_test.h"

#define ARGUMENTS_MAX 24
#define OUTPUT_BYTES 16384

static char folder[64];
static char database[128];
static char output[OUTPUT_BYTES];

struct process {
    pid_t pid;
    int out;
};

/* What the next process finds: its standard output closed, files limited in size. */
static bool output_closed;
static rlim_t file_bytes_max;

static void prepare_child(void)
{
    if (output_closed) {
        (void)close(STDOUT_FILENO);
    }
    if (file_bytes_max > 0) {
        const struct rlimit limit = {file_bytes_max, file_bytes_max};
        (void)setrlimit(RLIMIT_FSIZE, &limit);
    }
}

/* Starts `sluice COMMAND...`; the list ends with NULL. Standard error joins the output if `all` is set. */
static struct process start_as_is(const char *const *arguments, bool all)
{
    char *argv[ARGUMENTS_MAX] = {"sluice"};
    for (size_t i = 0; arguments[i] != NULL; i++) {
        argv[i + 1] = (char *)arguments[i];
    }
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        if (all) {
            (void)dup2(ends[1], STDERR_FILENO);
        }
        (void)close(ends[0]);
        (void)close(ends[1]);
        prepare_child();
        (void)execv(SL_TEST_BUILD_DIR "/sluice", argv);
        _exit(127);
    }
    (void)close(ends[1]);
    return (struct process){pid, ends[0]};
}

/* The same with the database in a folder of its own and without the live line. */
static struct process start(const char *const *arguments)
{
    const char *all[ARGUMENTS_MAX] = {NULL};
    size_t count = 0;
    for (; arguments[count] != NULL; count++) {
        all[count] = arguments[count];
    }
    all[count++] = "--quiet";
    all[count++] = "--database";
    all[count++] = database;
    return start_as_is(all, false);
}

/* Reads what it prints and gives its exit status, or minus the signal that ended it. */
static int finish(struct process process)
{
    size_t length = 0;
    ssize_t got;
    while (length < sizeof output - 1 && (got = read(process.out, output + length, sizeof output - 1 - length)) > 0) {
        length += (size_t)got;
    }
    output[length] = '\0';
    (void)close(process.out);
    int status = 0;
    assert_int_equal(waitpid(process.pid, &status, 0), process.pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/sluice-slice-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(database, sizeof database, "%s/market.db", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const endings[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        char path[160];
        (void)snprintf(path, sizeof path, "%s%s", database, endings[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
    return 0;
}

static long long query(const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open_v2(database, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    (void)sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    long long value = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    return value;
}

/* The number before a word of the report: "12 trades". */
static long long said(const char *line, const char *word)
{
    const char *at = strstr(output, line);
    assert_non_null(at);
    at = strstr(at, word);
    assert_non_null(at);
    while (at > output && at[-1] == ' ') {
        at--;
    }
    long long value = 0;
    long long unit = 1;
    for (; at > output && at[-1] >= '0' && at[-1] <= '9'; at--, unit *= 10) {
        value += (at[-1] - '0') * unit;
    }
    return value;
}

/* What must be true of every session of one market that was played to its end; how many trades were lost. */
static long long check_whole(void)
{
    assert_non_null(strstr(output, "1 of 1 books equal the exchange's"));
    assert_non_null(strstr(output, ", as was told"));
    long long sent = said("exchange ", "of them trades");
    long long lost = said("verdict ", "were lost");
    long long early = said("verdict ", "were before");
    assert_int_equal(query("SELECT count(*) FROM trades"), sent - lost - early);
    assert_int_equal(query("SELECT count(DISTINCT trade_id) FROM trades"), sent - lost - early);
    /* Every hole is in a gap that was told, and all that is in gaps but not stored is what was lost. */
    assert_int_equal(
        query("SELECT count(*) FROM (SELECT trade_id, lag(trade_id) OVER (ORDER BY trade_id) AS before FROM trades)"
              " WHERE trade_id <> before + 1 AND NOT EXISTS (SELECT 1 FROM gaps WHERE channel = 'trades'"
              " AND from_id <= before AND to_id >= trade_id)"),
        0);
    assert_int_equal(
        query("SELECT coalesce(sum(to_id - from_id - 1), 0) - (SELECT count(DISTINCT trade_id) FROM trades t"
              " JOIN gaps g ON t.trade_id > g.from_id AND t.trade_id < g.to_id AND g.channel = 'trades')"
              " FROM gaps WHERE channel = 'trades'"),
        lost);
    assert_int_equal(query("SELECT count(*) FROM gaps WHERE channel = 'depth' AND healed_id IS NULL"), 0);
    assert_true(query("SELECT count(*) FROM top_of_book") > 0);
    assert_int_equal(said("lost ", "dropped by sinks"), 0);
    assert_int_equal(said("lost ", "not delivered"), 0);
    return lost;
}

static void a_session_without_cuts_is_stored_whole(void **state)
{
    (void)state;
    const char *const arguments[] = {"demo",    "--generate", "--messages",  "30000", "--seed", "7",
                                     "--speed", "max",        "--cut-every", "0",     NULL};
    assert_int_equal(finish(start(arguments)), 0);
    assert_int_equal(check_whole(), 0);
    assert_int_equal(query("SELECT count(*) FROM gaps"), 0);
}

static void cuts_are_gaps_that_heal(void **state)
{
    (void)state;
    const char *const arguments[] = {"demo", "--generate",  "--messages", "20000", "--speed",
                                     "50",   "--cut-every", "500ms",      NULL};
    assert_int_equal(finish(start(arguments)), 0);
    (void)check_whole();
    assert_true(said("exchange ", "times") > 2);
    assert_true(said("reconnects ", ",") > 2);
    assert_true(query("SELECT count(*) FROM gaps WHERE channel = 'depth'") > 0);
    assert_true(query("SELECT count(*) FROM gaps WHERE channel = 'trades'") > 0);
}

/* So often that many cuts come before the book is whole again after the one before, or at all. */
static void cuts_all_the_time_are_told_too(void **state)
{
    (void)state;
    const char *const arguments[] = {"demo",    "--generate", "--messages",  "60000", "--seed", "4",
                                     "--speed", "max",        "--cut-every", "15ms",  NULL};
    assert_int_equal(finish(start(arguments)), 0);
    assert_true(check_whole() > 0);
    assert_true(said("exchange ", "times") > 1);
}

static void the_captured_session_has_21_313_trades(void **state)
{
    (void)state;
    const char *path = sl_test_data_path("hftbacktest/usdm-btcusdt_20240808.gz");
    const char *const arguments[] = {"demo", "--capture", path, "--speed", "max", "--cut-every", "0", NULL};
    assert_int_equal(finish(start(arguments)), 0);
    assert_int_equal(check_whole(), 0);
    assert_int_equal(query("SELECT count(*) FROM trades"), 21313);
}

static void the_captured_session_with_cuts_is_all_accounted_for(void **state)
{
    (void)state;
    const char *path = sl_test_data_path("hftbacktest/usdm-btcusdt_20240808.gz");
    const char *const arguments[] = {"demo", "--capture", path, "--speed", "50", "--cut-every", "1s", NULL};
    assert_int_equal(finish(start(arguments)), 0);
    long long lost = check_whole();
    assert_true(said("exchange ", "times") > 1);
    assert_int_equal(query("SELECT count(*) FROM trades") + lost + said("verdict ", "were before"), 21313);
}

static void wait_ms(long milliseconds)
{
    (void)nanosleep(&(struct timespec){.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000}, NULL);
}

/* Waits until the write-ahead log has grown by batches of rows; looking into the database could disturb its opening. */
static void wait_for_rows(void)
{
    char log[160];
    (void)snprintf(log, sizeof log, "%s-wal", database);
    for (int i = 0; i < 12000; i++) {
        struct stat status;
        if (stat(log, &status) == 0 && status.st_size > 150000) {
            return;
        }
        wait_ms(5);
    }
    fail_msg("no rows came");
}

/* 1 while the lock's key is there. */
static bool locked(int port)
{
    char command[128];
    (void)snprintf(command, sizeof command, "redis-cli -p %d EXISTS sluice:demo", port);
    FILE *reply = popen(command, "r");
    assert_non_null(reply);
    char text[16] = "";
    assert_non_null(fgets(text, sizeof text, reply));
    (void)pclose(reply);
    return text[0] == '1';
}

static int start_redis(char url[64])
{
    int port = redis_server_port();
    assert_true(port > 0);
    (void)snprintf(url, 64, "redis://127.0.0.1:%d", port);
    return port;
}

static void an_interrupt_stops_in_order(void **state)
{
    (void)state;
    char url[64];
    int port = start_redis(url);
    const char *const arguments[] = {"demo", "--generate", "--speed", "50", "--cut-every", "0", "--redis", url, NULL};
    struct process process = start(arguments);
    wait_for_rows();
    assert_true(locked(port));
    assert_int_equal(kill(process.pid, SIGINT), 0);
    assert_int_equal(finish(process), 130);
    assert_false(locked(port)); /* at once, not after the TTL */
    assert_non_null(strstr(output, "stopped before the end"));
    assert_int_equal(said("lost ", "not delivered"), 0);
    assert_int_equal(said("written ", "to sinks"), /* what came was written */
                     query("SELECT (SELECT count(*) FROM trades) + (SELECT count(*) FROM top_of_book)"
                           " + (SELECT count(*) FROM gaps)"));
}

static void a_killed_workers_lock_expires(void **state)
{
    (void)state;
    char url[64];
    int port = start_redis(url);
    const char *const arguments[] = {"demo",    "--generate", "--speed",    "5",  "--cut-every", "0",
                                     "--redis", url,          "--lock-ttl", "2s", NULL};
    struct process process = start(arguments);
    wait_for_rows();
    assert_int_equal(kill(process.pid, SIGKILL), 0);
    assert_int_equal(finish(process), -SIGKILL);
    assert_true(locked(port));
    /* The next one waits for what is left of the two seconds, then works, on the same file. */
    const char *const again[] = {"demo",    "--generate", "--messages",  "3000", "--speed", "max",
                                 "--redis", url,          "--cut-every", "0",    NULL};
    assert_int_equal(finish(start(again)), 0);
    assert_non_null(strstr(output, "1 of 1 books equal the exchange's"));
    assert_false(locked(port));
    assert_int_equal(query("SELECT count(*) - count(DISTINCT trade_id) FROM trades"), 0);
}

/* Reads until the text comes, as far as the output goes. */
static void wait_for_text(const struct process *process, const char *text)
{
    size_t length = 0;
    output[0] = '\0';
    while (strstr(output, text) == NULL) {
        ssize_t got = read(process->out, output + length, sizeof output - 1 - length);
        assert_true(got > 0);
        length += (size_t)got;
        output[length] = '\0';
    }
}

static void an_interrupt_ends_the_wait_for_the_lock(void **state)
{
    (void)state;
    char url[64];
    char command[128];
    int port = start_redis(url);
    (void)snprintf(command, sizeof command, "redis-cli -p %d SET sluice:demo other PX 60000 >/dev/null", port);
    assert_int_equal(system(command), 0);
    const char *const arguments[] = {"demo", "--admin-port", "0", "--redis", url, "--database", database, NULL};
    struct process process = start_as_is(arguments, false);
    wait_for_text(&process, "waiting for the lock sluice:demo\n");
    struct timespec begin;
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    assert_int_equal(kill(process.pid, SIGINT), 0);
    assert_int_equal(finish(process), 130);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - begin.tv_sec < 8); /* the grace is 10 s */
    assert_true(locked(port));                  /* the other's lock is not ours to release */
}

/* Under one lock the second works only when the first is done. */
static void demos_under_one_lock_take_turns(void **state)
{
    (void)state;
    char url[64];
    int port = start_redis(url);
    const char *const first[] = {"demo", "--generate",   "--messages", "4000",    "--speed", "20", "--cut-every",
                                 "0",    "--admin-port", "0",          "--redis", url,       NULL};
    const char *const second[] = {"demo", "--generate", "--messages", "500",          "--cut-every", "0", "--redis",
                                  url,    "--database", database,     "--admin-port", "0",           NULL};
    struct process one = start(first);
    wait_for_rows();
    struct process other = start_as_is(second, false);
    wait_for_text(&other, "waiting for the lock sluice:demo\n");
    assert_int_equal(finish(one), 0);
    long long trades = said("verdict ", "are written");
    assert_int_equal(trades, said("exchange ", "of them trades"));
    assert_int_equal(finish(other), 0);
    assert_non_null(strstr(output, ", as was told"));
    assert_false(locked(port));
}

/* As by `sluice demo | head -n 1`. */
static void a_reader_that_leaves_ends_it_in_order(void **state)
{
    (void)state;
    char url[64];
    int port = start_redis(url);
    const char *const arguments[] = {"demo",    "--generate", "--speed",    "50",     "--cut-every", "0",
                                     "--redis", url,          "--database", database, NULL};
    struct process process = start_as_is(arguments, false);
    wait_for_text(&process, "\n");
    (void)close(process.out);
    int status = 0;
    assert_int_equal(waitpid(process.pid, &status, 0), process.pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_false(locked(port));
    assert_true(query("SELECT count(*) FROM trades") > 0);
}

/* Files cannot grow: what is not stored is counted, the lock is given back. */
static void a_full_disk_ends_it_in_order(void **state)
{
    (void)state;
    char url[64];
    int port = start_redis(url);
    const char *const arguments[] = {"demo",    "--generate", "--speed", "max",        "--cut-every", "0",
                                     "--redis", url,          "--quiet", "--database", database,      NULL};
    file_bytes_max = 1 << 20;
    assert_int_equal(finish(start_as_is(arguments, true)), 1);
    file_bytes_max = 0;
    assert_false(locked(port));
    assert_non_null(strstr(output, "database   "));
    assert_non_null(strstr(output, "events the database has not got "));
    long long stored = query("SELECT (SELECT count(*) FROM trades) + (SELECT count(*) FROM top_of_book)");
    assert_true(stored > 0);
    assert_int_equal(said("written ", "to sinks"), stored);
    assert_true(said("lost ", "not delivered") > 0);
}

/* The first file that is opened would be standard output. */
static void a_closed_output_is_no_place_for_the_database(void **state)
{
    (void)state;
    const char *const arguments[] = {"demo",        "--generate", "--messages", "3000",   "--speed", "max",
                                     "--cut-every", "0",          "--database", database, NULL};
    output_closed = true;
    assert_int_equal(finish(start_as_is(arguments, false)), 0);
    output_closed = false;
    assert_true(query("SELECT count(*) FROM trades") > 0);
    assert_int_equal(query("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
}

/* The status of a command line, and that its output holds a text. */
static void check_line(const char *const *arguments, int status, const char *text)
{
    assert_int_equal(finish(start_as_is(arguments, true)), status);
    if (strstr(output, text) == NULL) {
        fail_msg("'%s' is not in: %s", text, output);
    }
}

static void wrong_options_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *arguments[6];
        const char *text;
    } wrong[] = {{{"demo", "--speed", "fast"}, "--speed: 'fast' where a factor above 0, or max was expected"},
                 {{"demo", "--speed", "0x10"}, "--speed: '0x10' where"},
                 {{"demo", "--speed"}, "--speed: '' where a value was expected"},
                 {{"demo", "--cut-every", "10 parsecs"}, "where a duration like 250ms, 10s or 5m was expected"},
                 {{"demo", "--cut-every", "1us"}, "where 1ms or more was expected"},
                 {{"demo", "--lock-ttl", "99ms"}, "where 100ms to 1h was expected"},
                 {{"demo", "--messages", "0"}, "where 1 to 1000000000 was expected"},
                 {{"demo", "--messages", "1.5"}, "where a whole number was expected"},
                 {{"demo", "--seed", "-1"}, "where a whole number was expected"},
                 {{"demo", "--port", "70000"}, "where a port, 0 to 65535 was expected"},
                 {{"demo", "--quiet=yes"}, "--quiet: 'yes' where no value was expected"},
                 {{"demo", "--databse", "x"}, "no option '--databse'; did you mean --database?"},
                 {{"demo", "--sepeed=3"}, "no option '--sepeed'; did you mean --speed?"},
                 {{"demo", "--nonsense"}, "no option '--nonsense'; see: sluice demo --help"},
                 {{"demo", "fast"}, "unexpected argument 'fast'"},
                 {{"exchange", "--redis", "redis://127.0.0.1"}, "--redis is no option of 'exchange'"},
                 {{"version", "--quiet"}, "--quiet is no option of 'version'"},
                 {{"demo", "--generate", "--capture", "x.gz"}, "exclude each other"},
                 {{"demo", "--messages", "5", "--capture", "x.gz"}, "a --capture has its own --messages and --rate"},
                 {{"dmeo"}, "no command 'dmeo'; did you mean 'demo'?"},
                 {{"nonsense"}, "no command 'nonsense'; see: sluice help"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        check_line(wrong[i].arguments, 64, wrong[i].text);
    }
    check_line((const char *const[]){"demo", "--capture", "/nonexistent.gz", NULL}, 1, "cannot open the capture");
    check_line((const char *const[]){"demo", "--generate", "--messages", "50", "--admin-port", "0", "--database",
                                     "/nonexistent/x.db", NULL},
               1, "database '/nonexistent/x.db': cannot open the file");
}

static void help_names_what_there_is(void **state)
{
    (void)state;
    check_line((const char *const[]){"version", NULL}, 0, "sluice 0.1.0");
    check_line((const char *const[]){"--version", NULL}, 0, "sluice 0.1.0");
    check_line((const char *const[]){"help", NULL}, 0, "  0    done");
    check_line((const char *const[]){"help", "demo", NULL}, 0, "--lock-ttl DURATION");
    check_line((const char *const[]){"--help", NULL}, 0, "  demo ");
    check_line((const char *const[]){"exchange", "--rate", "3", "--help", NULL}, 0, "--fault-every DURATION");
    assert_null(strstr(output, "--redis"));
}

/* Trades come over two connections: what one loses the other has. Books that lose theirs are joined anew. */
static void three_venues_with_cuts_lose_no_trade(void **state)
{
    (void)state; /* a connection is back before the next one is cut */
    const char *const arguments[] = {"demo", "--messages",  "20000", "--rate",       "4000", "--instruments",
                                     "5",    "--cut-every", "900ms", "--admin-port", "0",    NULL};
    assert_int_equal(finish(start(arguments)), 0);
    assert_true(said("exchange ", "times") > 2);
    assert_int_equal(query("SELECT count(*) FROM trades"), said("exchange ", "of them trades"));
    assert_int_equal(query("SELECT count(DISTINCT venue) FROM trades"), 3);
    assert_int_equal(query("SELECT count(*) FROM gaps WHERE healed_time_ns IS NULL"), 0);
    assert_int_equal(said("lost ", "dropped by sinks"), 0);
    assert_int_equal(said("lost ", "not delivered"), 0);
}

static void an_interrupt_ends_three_venues_in_order(void **state)
{
    (void)state;
    const char *const arguments[] = {"demo", "--cut-every", "0", "--admin-port", "0", NULL};
    struct process process = start(arguments);
    for (int waited = 0; access(database, R_OK) != 0 && waited < 200; waited++) {
        (void)usleep(50000);
    }
    assert_int_equal(kill(process.pid, SIGINT), 0);
    assert_int_equal(finish(process), 130);
    assert_non_null(strstr(output, "stopped before the end"));
    assert_int_equal(said("lost ", "not delivered"), 0);
}

#define SLICE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* The second one would take the first one's file away. */
static void two_demos_do_not_share_a_file(void **state)
{
    (void)state;
    assert_int_equal(chdir(folder), 0);
    shell_expect("flock sluice-demo.db $SLUICE demo --admin-port 0 2>&1", 1,
                 "another demo writes to sluice-demo.db in this folder");
    shell_expect("$SLUICE demo --admin-port 0 --messages 300 --speed max 2>&1", 0, "60 of 60 books equal");
    (void)unlink("sluice-demo.db");
}

SL_TEST_MAIN(SLICE(a_session_without_cuts_is_stored_whole), SLICE(cuts_are_gaps_that_heal),
             SLICE(cuts_all_the_time_are_told_too), SLICE(the_captured_session_with_cuts_is_all_accounted_for),
             SLICE(demos_under_one_lock_take_turns), SLICE(the_captured_session_has_21_313_trades),
             SLICE(an_interrupt_stops_in_order), SLICE(a_killed_workers_lock_expires),
             SLICE(an_interrupt_ends_the_wait_for_the_lock), SLICE(a_reader_that_leaves_ends_it_in_order),
             SLICE(a_full_disk_ends_it_in_order), SLICE(a_closed_output_is_no_place_for_the_database),
             SLICE(wrong_options_are_told), SLICE(help_names_what_there_is),
             SLICE(three_venues_with_cuts_lose_no_trade), SLICE(two_demos_do_not_share_a_file),
             SLICE(an_interrupt_ends_three_venues_in_order))
