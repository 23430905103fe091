/* SPDX-License-Identifier: MIT */
/*
 * `sluice exchange` as a user runs it: a scenario of faults, followed by `sluice run` into files and a database, which
 * hold the truth in the end, event for event; captured sessions served again.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scratch_folder.h"
#include "shell_run.h"
#include "sl_test.h"

static const char *output;

/* Runs a line of the shell in the folder; its status, and what it wrote in `output`. */
static int shell(const char *line)
{
    return shell_run(line, &output);
}

/* Functions of the shell: an exchange in the background, a worker of some venues, waiting. */
#define TOOLS                                                                                                          \
    "TRUTH=$SOURCE/tests/integration/truth.py\n"                                                                       \
    "start() { $SLUICE exchange \"$@\" >ex 2>&1 & exchange=$!\n"                                                       \
    "  for i in $(seq 300); do grep -q 'ws://' ex && break; sleep 0.1; done\n"                                         \
    "  port=$(sed -n 's/listening on 127.0.0.1://p' ex); }\n"                                                          \
    "follow() { { echo 'venues:'; for v in $1; do\n"                                                                   \
    "  echo \"  $v: {stream: \\\"ws://127.0.0.1:$port/$v\\\", rest: \\\"http://127.0.0.1:$port/$v\\\"}\"; done\n"      \
    "  echo 'services:'; for v in $1; do\n"                                                                            \
    "  echo \"  $v-trades: {kind: stream, venue: $v, instruments: ['*'], channels: [trades], sinks: [log, db],"        \
    " connections: {redundancy: $2}}\"\n"                                                                              \
    "  echo \"  $v-books: {kind: book, venue: $v, instruments: ['*'], emit: deltas, sinks: [log, db],"                 \
    " connections: {redundancy: $2}}\"; done\n"                                                                        \
    "  echo 'sinks: {log: {kind: file, path: out}, db: {kind: sqlite, path: market.db}}'; echo 'admin: {listen: "      \
    "\"127.0.0.1:0\"}'; } >run.yaml\n"                                                                                 \
    "  $SLUICE run run.yaml >run 2>run.err & run=$!; }\n"                                                              \
    "settle() { for i in $(seq 300); do grep -q \"$1\" ex && break; sleep 0.1; done\n"                                 \
    "  last=x; for i in $(seq 100); do now=$(cat out-*.ndjson | wc -l); [ $now = $last ] && break; last=$now;"         \
    " sleep $2; done; }\n"                                                                                             \
    "stop() { kill -INT $run; wait $run; kill -INT $exchange; wait $exchange; cat ex run run.err; }\n"

static void run_script(const char *script)
{
    FILE *file = fopen("script.sh", "w");
    assert_non_null(file);
    assert_true(fputs(TOOLS, file) >= 0 && fputs(script, file) >= 0);
    assert_int_equal(fclose(file), 0);
    int status = shell("bash script.sh 2>&1");
    if (status != 0) {
        fail_msg("status %d:\n%s", status, output);
    }
}

/* Faults for three seconds at four venues, on one connection each; then calm until the market ends. */
static void sinks_hold_the_truth_after_a_bad_day(void **state)
{
    (void)state;
    run_script(
        "cat >bad.yaml <<'END'\n"
        "seed: 11\n"
        "rate: 1500\n"
        "steps: 9000\n"
        "wait: 24\n"
        "truth: truth.ndjson\n"
        "venues: { binance-usdm: { instruments: 3 }, kraken: { instruments: 3 }, okx: { instruments: 3, checksums: true"
        " }, binance: { instruments: 3 } }\n"
        "faults:\n"
        "  - { what: [drop, duplicate, reorder, late-copy, bad-link], every: 100ms, random: true, until: "
        "5s }\n"
        "  - { what: [drop-trade], venues: [binance, binance-usdm, kraken], every: 300ms, random: true, until: 3s }\n"
        "  - { what: [garbage, hostile, unknown, extra-field, other-symbol, fragment, ping-inside, ping, notice],\n"
        "      every: 50ms, random: true, until: 3s }\n"
        "  - { what: [cut, close, snapshot-old, http-500, http-garbage, acks], every: 600ms, random: true, until: 3s "
        "}\n"
        "  - { what: [snapshot-again, renumber], every: 500ms, until: 3s }\n"
        "END\n"
        "start bad.yaml\n"
        "follow 'binance-usdm kraken okx binance' 1\n"
        "for i in $(seq 400); do [ \"$(grep -c . truth.ndjson)\" -ge 8500 ] && break; sleep 0.1; done\n"
        "settle listening 1.5\n"
        "stop\n"
        "python3 $TRUTH truth.ndjson out-*.ndjson || exit 1\n"
        "python3 - <<'END' || exit 1\n"
        "import json, sqlite3\n"
        "events = [json.loads(line) for line in open('out-00000001.ndjson')]\n"
        "db = sqlite3.connect('market.db')\n"
        "trades = len({(e['venue'], e['symbol'], e['id']) for e in events if e['kind'] == 'trade'})\n"
        "kept = db.execute('SELECT count(*) FROM trades').fetchone()[0]\n"
        "print('file', trades, 'database', kept)\n"
        "assert trades == kept and trades > 2500\n"
        "END\n");
    assert_non_null(strstr(output, "doubled 0 wrong 0 books 12 books_wrong 0"));
    assert_non_null(strstr(output, "faults     "));
}

/* Two connections, one of them cut again and again: nothing is missing, nothing is twice. */
static void two_connections_lose_nothing(void **state)
{
    (void)state;
    run_script("start --venue binance-usdm --venue coinbase --instruments 3 --rate 1500 --messages 6000 --set wait=24"
               " --set 'faults=[{what: [cut, close], every: 700ms, until: 2s}]' --truth truth.ndjson\n"
               "follow 'binance-usdm coinbase' 2\n"
               "for i in $(seq 300); do [ \"$(grep -c . truth.ndjson)\" -ge 5500 ] && break; sleep 0.1; done\n"
               "settle listening 1.5\n"
               "stop\n"
               "python3 $TRUTH truth.ndjson out-*.ndjson || exit 1\n");
    assert_non_null(strstr(output, " told 0 unseen 0 untold 0 again 0 doubled 0 wrong 0 books 6 books_wrong 0"));
}

/* What was recorded of two venues is served again, as fast as it is read. */
static void a_recording_is_served_as_its_venues(void **state)
{
    (void)state;
    run_script(
        "start --venue kraken --venue binance --instruments 3 --rate 1500 --messages 6000 --set wait=12\n"
        "follow 'kraken binance' 1\n"
        "kill -TERM $run; wait $run; rm -f out-*.ndjson market.db*\n" /* a shell's background ignores INT at first */
        "$SLUICE record run.yaml --to live.rec >record 2>&1 & run=$!\n"
        "for i in $(seq 300); do [ \"$(cat out-*.ndjson 2>/dev/null | wc -l)\" -gt 5000 ] && break; sleep 0.1; done\n"
        "settle listening 1\n"
        "stop >/dev/null\n"
        "grep '\"kind\":\"trade\"' out-*.ndjson | sed 's/.*\"symbol\":\\([^,]*\\).*\"id\":\\([^,]*\\),"
        "\\(\"price.*\\),\"connection.*/\\1 \\2 \\3/' | sort >recorded; rm -f out-*.ndjson market.db*\n"
        "start --capture live.rec --venue kraken --venue binance --speed 0 --set wait=12 --truth truth.ndjson\n"
        "follow 'kraken binance' 1\n"
        "for i in $(seq 300); do [ \"$(cat out-*.ndjson 2>/dev/null | wc -l)\" -gt 4000 ] && break; sleep 0.1; done\n"
        "settle listening 1\n"
        "stop\n"
        "python3 $TRUTH truth.ndjson out-*.ndjson || exit 1\n"
        "grep '\"kind\":\"trade\"' out-*.ndjson | sed 's/.*\"symbol\":\\([^,]*\\).*\"id\":\\([^,]*\\),"
        "\\(\"price.*\\),\"connection.*/\\1 \\2 \\3/' | sort >served\n"
        "wc -l recorded served; cmp recorded served && [ $(wc -l <served) -gt 1000 ] && echo the same trades\n");
    assert_non_null(strstr(output, "the same trades"));
    assert_non_null(strstr(output, "captured   "));
    assert_non_null(strstr(output, "books 6 books_wrong 0"));
}

/* A captured file of others, which says neither its venue nor its instruments, joined at its own snapshot. */
static void a_captured_file_is_served_as_a_venue(void **state)
{
    (void)state;
    const char *path = sl_test_data_path("hftbacktest/usdm-btcusdt_20240808.gz");
    if (access(path, R_OK) != 0) {
        print_message("no captured data at %s\n", path);
        skip();
    }
    assert_int_equal(setenv("CAPTURE", path, 1), 0);
    run_script(
        "start --capture $CAPTURE --venue binance-usdm --speed 0 --set wait=2 --truth truth.ndjson\n"
        "follow binance-usdm 1\n"
        "for i in $(seq 500); do [ \"$(cat out-*.ndjson 2>/dev/null | wc -l)\" -gt 27000 ] && break; sleep 0.1; done\n"
        "settle listening 1.5\n"
        "stop\n"
        "grep -c '\"kind\":\"trade\"' out-00000001.ndjson\n"
        "python3 $TRUTH truth.ndjson out-*.ndjson | tee verdict\n"
        "grep -q 'trades 21313 told 0 unseen 0 untold 0 again 0 doubled 0 wrong 0' verdict\n");
    assert_non_null(strstr(output, "steps      93953"));
}

static void bad_use_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *text;
        int status;
    } cases[] = {
        {"", "venues: no venue; expected at least one", 78},
        {"--venue bynance", "did you mean \\\"binance\\\"?", 78},
        {"--instruments 3", "--instruments goes with --venue", 64},
        {"--venue okx --rate fast", "\\\"fast\\\" is not a number", 78},
        {"--venue okx --fault-every never", "faults[0].every: \\\"never\\\" is not a duration", 78},
        {"nowhere.yaml", "nowhere.yaml: ", 78},
        {"--venue okx --capture /nowhere.gz", "SL_ENOENT", 1},
        {"--venue okx --truth /nowhere/x", "'/nowhere/x' cannot be written", 1},
    };
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        char line[512], text[200];
        (void)snprintf(line, sizeof line, "timeout 20 $SLUICE exchange %s 2>&1", cases[at].arguments);
        int status = shell(line);
        size_t used = 0;
        for (const char *from = cases[at].text; *from != '\0'; from++) {
            text[used] = *from;
            used += *from != '\\';
        }
        text[used] = '\0';
        if (status != cases[at].status || strstr(output, text) == NULL) {
            fail_msg("exchange %s: status %d:\n%s", cases[at].arguments, status, output);
        }
    }
}

SL_TEST_MAIN(SCRATCH_CASE(bad_use_is_told), SCRATCH_CASE(sinks_hold_the_truth_after_a_bad_day),
             SCRATCH_CASE(two_connections_lose_nothing), SCRATCH_CASE(a_recording_is_served_as_its_venues),
             SCRATCH_CASE(a_captured_file_is_served_as_a_venue))
