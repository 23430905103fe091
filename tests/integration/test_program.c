/* SPDX-License-Identifier: MIT */
/* The program's commands about configurations and about itself, as a user runs them. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "scratch_folder.h"
#include "shell_run.h"
#include "sl_test.h"

#define PROGRAM SL_TEST_BUILD_DIR "/sluice"

static const char *output;

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Runs a line of the shell in the folder; its status, and what it wrote in `output`. */
static int shell(const char *line)
{
    return shell_run(line, &output);
}

static void expect(const char *line, int status, const char *part)
{
    output = shell_expect(line, status, part);
}

static const char good[] = "services:\n"
                           "  trades: {kind: stream, venue: binance, instruments: [BTC-USDT], sinks: [db]}\n"
                           "  books: {kind: book, venue: kraken, instruments: [BTC-USD], sinks: [db]}\n"
                           "sinks: {db: {kind: redis, url: 'rediss://me:hunter2@127.0.0.1', tls: {ca: a.pem}}}\n";

static void check_says_what_is_good(void **state)
{
    (void)state;
    write_file("a.yaml", good);
    expect("$SLUICE check a.yaml 2>&1", 0,
           "good: 2 services (1 stream, 1 book), 1 sink (1 redis), 0 limits; one process, no replicas\n");
    expect("$SLUICE check --quiet a.yaml 2>&1 | wc -c", 0, "0\n");
    expect("$SLUICE check - <a.yaml 2>&1", 0, "good: ");
    expect("$SLUICE check --json a.yaml", 0, "{\"good\":true,\"problems\":[],\"more\":0}\n");
    expect("$SLUICE check a.yaml --set services.books=null 2>&1", 0, "good: 1 service (1 stream)");
    write_file("b.yaml", "services: {books: null}\n");
    expect("$SLUICE check a.yaml b.yaml", 0, "good: 1 service (1 stream)");
}

static void check_says_all_that_is_wrong(void **state)
{
    (void)state;
    write_file("a.yaml", "services:\n  trades: {kind: strem, venue: binance}\n  books: {kind: book, venue: krakn, "
                         "instruments: [], sinks: [d]}\nsinks: {db: {kind: sqlite}}\nadmin: {listen: 80}\n");
    assert_int_equal(shell("$SLUICE check a.yaml 2>&1 >/dev/null"), 78);
    assert_string_equal(
        output,
        "a.yaml:2:18: services.trades.kind: \"strem\" is not known; expected stream, book, poll, backfill or receive; "
        "did "
        "you mean \"stream\"?\n      trades: {kind: strem, venue: ***}\n                     ^\n"
        "a.yaml:3:30: services.books.venue: \"krakn\" is not known; expected binance, binance-usdm, binance-coinm, "
        "coinbase, kraken, bybit, bybit-linear, bybit-inverse, okx or bitstamp; did you mean \"kraken\"?\n"
        "      books: {kind: book, venue: krakn, instruments: [], sinks: [d]}\n                                 ^\n"
        "a.yaml:3:50: services.books.instruments: it has 0 items; expected a list of 1 to 65536 items\n"
        "      books: {kind: book, venue: krakn, instruments: [], sinks: [d]}\n"
        "                                                     ^\n"
        "a.yaml:3:62: services.books.sinks[0]: \"d\" is not in sinks; expected the name of an entry of it\n"
        "      books: {kind: book, venue: krakn, instruments: [], sinks: [d]}\n"
        "                                                                 ^\n"
        "a.yaml:4:13: sinks.db.path: missing; expected a text of 1 to 1024 bytes\n    sinks: {db: {kind: sqlite}}\n"
        "                ^\n"
        "a.yaml:5:17: admin.listen: no address; expected host:port, such as 127.0.0.1:8080 or [::1]:8080\n"
        "    admin: {listen: 80}\n                    ^\n");
    expect(
        "$SLUICE check --json a.yaml 2>&1", 78,
        "{\"severity\":\"error\",\"file\":\"a.yaml\",\"line\":4,\"column\":13,\"path\":\"sinks.db.path\",\"message\":"
        "\"missing; expected a text of 1 to 1024 bytes\"}");
    expect("$SLUICE check none.yaml 2>&1", 78, "none.yaml: cannot be read: not found; expected a YAML file");
    expect("$SLUICE check 2>&1", 64, "check needs CONFIG...");
}

static void dump_shows_origins_and_hides_secrets(void **state)
{
    (void)state;
    write_file("a.yaml", good);
    expect("$SLUICE config dump a.yaml --set log.level=debug 2>&1", 0, "level: debug # --set:1:11\n");
    assert_non_null(strstr(output, "venue: kraken # a.yaml:3:30\n"));
    assert_non_null(strstr(output, "when_full: block # default\n"));
    assert_non_null(strstr(output, "rediss://me:***@127.0.0.1"));
    assert_null(strstr(output, "hunter2"));
    expect("$SLUICE config dump --json a.yaml --set log.level=debug --set log.format=json 2>&1", 0,
           "\"level\":\"debug\"");
    assert_non_null(strstr(output, "\"log.format\":\"--set:2:12\""));
    assert_non_null(strstr(output, "\"log.level\":\"--set:1:11\""));
    assert_non_null(strstr(output, "\"url\":\"rediss://me:***@127.0.0.1\""));
    assert_null(strstr(output, "hunter2"));
    /* What it shows can be loaded again and means the same. */
    expect("$SLUICE config dump a.yaml >b.yaml && sed -i 's/:\\*\\*\\*@/:hunter2@/' b.yaml && "
           "$SLUICE config dump --json a.yaml | sed 's/,\"origins.*//' >1 && "
           "$SLUICE config dump --json b.yaml | sed 's/,\"origins.*//' >2 && cmp 1 2 && echo the same",
           0, "the same\n");
    expect("$SLUICE config dump none.yaml 2>&1", 78, "cannot be read");
    expect("$SLUICE run none.yaml 2>&1", 78, "cannot be read");
    expect("$SLUICE run --quiet none.yaml 2>&1", 78, "cannot be read");
    expect("$SLUICE record --to x.rec none.yaml 2>&1", 78, "cannot be read");
}

static void schema_has_two_forms(void **state)
{
    (void)state;
    expect("$SLUICE schema", 0, "\"$schema\":\"https://json-schema.org/draft/2020-12/schema\"");
    expect("$SLUICE schema --format markdown", 0, "# Sluice configuration\n");
    expect("$SLUICE schema --format=xml 2>&1", 64, "--format: 'xml' where json or markdown was expected");
}

/* ---- inputs made to hurt ---- */

/* Runs a line; the processor's time in seconds that it and what it starts took, by the kernel's account. */
static double measure(const char *line, int status, const char *part, long *ret_peak_kib)
{
    struct rusage before;
    struct rusage after;
    assert_int_equal(getrusage(RUSAGE_CHILDREN, &before), 0);
    expect(line, status, part);
    assert_int_equal(getrusage(RUSAGE_CHILDREN, &after), 0);
    *ret_peak_kib = after.ru_maxrss; /* the largest of all children so far */
    return (double)(after.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_utime.tv_sec - before.ru_stime.tv_sec) +
           (double)(after.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_utime.tv_usec -
                    before.ru_stime.tv_usec) /
               1e6;
}

/* Within a second and 64 MiB, with what makes the input. */
static void expect_refusal(const char *line, const char *part)
{
    long peak_kib;
    double took = measure(line, 78, part, &peak_kib);
    print_message("%-50.50s  %.3f s, at most %ld KiB\n", part, took, peak_kib);
    assert_true(took < SL_TEST_SLOWER);
    assert_true(SL_TEST_SLOWER > 1 || peak_kib <= 65536);
}

static void bombs_are_refused(void **state)
{
    (void)state;
    expect_refusal("truncate -s 100000000 huge.yaml && $SLUICE check huge.yaml 2>&1",
                   "too large; expected at most 4 MiB");
    expect_refusal("head -c 100000000 /dev/zero | $SLUICE check - 2>&1", "too large; expected at most 4 MiB");
    expect_refusal("awk 'BEGIN { printf \"a0: &a0 [x]\\n\"; for (i = 1; i < 30; i++) { printf \"a%d: &a%d [\", i, i; "
                   "for (j = 0; j "
                   "< 9; j++) printf \"*a%d, \", i - 1; print \"]\" } }' >bomb.yaml; $SLUICE check bomb.yaml 2>&1",
                   "the file is too large; expected at most 100000 values");
    expect_refusal(
        "awk 'BEGIN { for (i = 0; i < 1000000; i++) printf \"[\" }' >deep.yaml; $SLUICE check deep.yaml 2>&1",
        "nested too deeply; expected at most 24 levels");
    expect_refusal(
        "awk 'BEGIN { for (i = 0; i < 4000000; i++) printf \"x\" }' >long.yaml; $SLUICE check long.yaml 2>&1",
        "expected");
    expect_refusal("awk 'BEGIN { print \"services:\"; for (i = 0; i < 40000; i++) print \"  s\" i \": {kind: strem, a: "
                   "\" i \", b: "
                   "x}\" }' >many.yaml; $SLUICE check many.yaml 2>&1",
                   "expected stream, book");
    expect_refusal("printf 'services: &a [*a]\\n' >cycle.yaml; $SLUICE check cycle.yaml 2>&1", "expected");
    expect_refusal("printf 'services: \\377\\376\\n' >text.yaml; $SLUICE check text.yaml 2>&1", "UTF-8");
}

/* 5 000 lines: 625 services, each with its own lines. */
static void a_large_configuration_loads_quickly(void **state)
{
    (void)state;
    FILE *file = fopen("large.yaml", "w");
    assert_non_null(file);
    int lines = 2;
    (void)fprintf(file, "sinks:\n  db: {kind: sqlite, path: a.db}\nlimits:\n");
    for (int i = 0; i < 100; i++, lines += 4) {
        (void)fprintf(file,
                      "  l%d:\n    rates:\n      - {rate: %d/1m, cost: weight}\n      - {rate: 10/1s, cost: call}\n", i,
                      i + 1);
    }
    (void)fprintf(file, "services:\n");
    for (int i = 0; lines < 5000; i++, lines += 8) {
        (void)fprintf(file,
                      "  s%d:\n    kind: stream\n    venue: okx\n    instruments: [BTC-USDT, ETH-*, \"X%d-USDT\"]\n"
                      "    channels: [trades, best]\n    connections: {redundancy: 2, rotate: 20h}\n    limit: l7\n"
                      "    sinks: [db]\n",
                      i, i);
    }
    assert_int_equal(fclose(file), 0);
    double best = 1e9;
    for (int i = 0; i < 5; i++) {
        long peak_kib;
        double took = measure("$SLUICE check large.yaml 2>&1", 0, "good: 575 services (575 stream)", &peak_kib);
        best = took < best ? took : best;
    }
    print_message("5 000 lines in %.1f ms, with the start of the process\n", best * 1e3);
    assert_true(best < 0.05 * SL_TEST_SLOWER);
}

/* ---- about itself ---- */

/* Each venue by name, with words for all that it has. */
static void venues_are_listed(void **state)
{
    (void)state;
    for (int json = 0; json < 2; json++) {
        assert_int_equal(shell(json ? "$SLUICE venues --json" : "$SLUICE venues"), 0);
        assert_null(strstr(output, "null"));
        static const char *const words[] = {"binance-coinm", "bitstamp",      "agg_trades", "liquidations", "ticker",
                                            "funding",       "open_interest", "candles",    "snapshot"};
        for (size_t at = 0; at < sizeof words / sizeof *words; at++) {
            assert_non_null(strstr(output, words[at]));
        }
    }
}

static void completion_works_in_bash(void **state)
{
    (void)state;
    static const struct {
        const char *words, *answer;
    } rows[] = {{"sluice ch", "check\n"},
                {"sluice config ''", "dump\n"},
                {"sluice config dump --j", "--json\n"},
                {"sluice schema --format m", "markdown\n"},
                {"sluice completion z", "zsh\n"},
                {"sluice demo --cap", "--capture\n"},
                {"sluice demo --capture fi", "file.gz\n"},
                {"sluice check fi", "file.gz\n"},
                {"sluice version fi", "\n"},
                {"sluice demo --seed fi", "\n"}};
    write_file("file.gz", "");
    expect("$SLUICE completion bash >c.bash && bash -n c.bash && echo good", 0, "good\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char line[512];
        (void)snprintf(line, sizeof line,
                       "bash -c 'source ./c.bash; COMP_WORDS=(%.*s \"$1\"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
                       "_sluice 2>&1; echo ${COMPREPLY[@]}' - %s",
                       (int)(strrchr(rows[i].words, ' ') - rows[i].words), rows[i].words,
                       strrchr(rows[i].words, ' ') + 1);
        assert_int_equal(shell(line), 0);
        if (strcmp(output, rows[i].answer) != 0) {
            fail_msg("%s: \"%s\", expected \"%s\"", rows[i].words, output, rows[i].answer);
        }
    }
}

static void completion_is_valid_in_zsh_and_fish(void **state)
{
    (void)state;
    expect("$SLUICE completion zsh >_sluice && zsh -n _sluice && echo good", 0, "good\n");
    expect("$SLUICE completion fish >s.fish && fish -n s.fish && echo good", 0, "good\n");
    expect("fish --no-config -c 'source s.fish; complete -C \"sluice ch\"'", 0, "check\t");
    expect("fish --no-config -c 'source s.fish; complete -C \"sluice config \"'", 0, "dump\t");
    expect("fish --no-config -c 'source s.fish; complete -C \"sluice schema --format m\"'", 0, "markdown");
    expect("fish --no-config -c 'source s.fish; complete -C \"sluice config dump --js\"'", 0, "--json\t");
    expect("$SLUICE completion tcsh 2>&1", 64, "no completion for 'tcsh'; expected bash, zsh or fish");
}

static void the_page_is_valid(void **state)
{
    (void)state;
    expect("$SLUICE man >sluice.1 && man --warnings -l sluice.1 2>&1 >/dev/null | wc -l", 0, "0\n");
    expect("MANWIDTH=100 man -l sluice.1 2>/dev/null | col -b", 0, "sluice config dump [OPTIONS] CONFIG...");
    assert_non_null(strstr(output, "EXIT STATUS"));
    assert_non_null(strstr(output, "--lock-ttl DURATION"));
}

SL_TEST_MAIN(SCRATCH_CASE(check_says_what_is_good), SCRATCH_CASE(check_says_all_that_is_wrong),
             SCRATCH_CASE(dump_shows_origins_and_hides_secrets), SCRATCH_CASE(schema_has_two_forms),
             SCRATCH_CASE(bombs_are_refused), SCRATCH_CASE(a_large_configuration_loads_quickly),
             SCRATCH_CASE(venues_are_listed), SCRATCH_CASE(completion_works_in_bash),
             SCRATCH_CASE(completion_is_valid_in_zsh_and_fish), SCRATCH_CASE(the_page_is_valid))
