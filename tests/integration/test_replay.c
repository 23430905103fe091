/* SPDX-License-Identifier: MIT */
/*
 * `sluice replay` as a user runs it: what it tells of each captured session, and that what it writes depends on the files
 * alone. Captures that are not there are told of and skipped.
 */
#include <stdlib.h>
#include <string.h>

#include "scratch_folder.h"
#include "shell_run.h"
#include "sl_test.h"

static const char *output;

/* Runs a line of the shell in the folder; its status, and what it wrote in `output`. */
static int shell(const char *line)
{
    return shell_run(line, &output);
}

/* The names of captures, by spaces, as absolute paths. */
static void with_paths(const char *line, const char *names, const char *rest, char *buffer, size_t size_bytes)
{
    char list[512];
    char *rest_of_list = NULL;
    size_t used = (size_t)snprintf(buffer, size_bytes, "%s", line);
    (void)snprintf(list, sizeof list, "%s", names);
    for (char *name = strtok_r(list, " ", &rest_of_list); name != NULL; name = strtok_r(NULL, " ", &rest_of_list)) {
        used += (size_t)snprintf(buffer + used, size_bytes - used, " %s", sl_test_data_path(name));
    }
    (void)snprintf(buffer + used, size_bytes - used, " %s", rest);
}

/* Each part, separated by newlines, stands in what the program says of the captures. */
static void expect(const char *names, const char *rest, const char *parts)
{
    char line[4096];
    char wanted[2048];
    char *more = NULL;
    with_paths("$SLUICE replay", names, rest, line, sizeof line);
    assert_int_equal(shell(line), 0);
    (void)snprintf(wanted, sizeof wanted, "%s", parts);
    for (char *part = strtok_r(wanted, "\n", &more); part != NULL; part = strtok_r(NULL, "\n", &more)) {
        if (strstr(output, part) == NULL) {
            fail_msg("%s\nhas no \"%s\":\n%s", line, part, output);
        }
    }
}

static void hftbacktest_sessions(void **state)
{
    (void)state;
    expect("hftbacktest/spot-btcusdt_20240808.gz", "--venue binance",
           "messages   41248, 1 answers to requests, 0 notices, 0 bad, 0 of unknown kinds\n"
           "instruments 1, 1 of them added on first sight; 0 events of others left out\n"
           "book_delta      3451 decoded\ntrade           9757 decoded, 9757 given out\n"
           "gaps       0, 0 healed; 0 trades missing, 0 copies dropped, 0 events refused\n"
           "books      1 of 1 live, 0 crossed, 0 broken; 1 snapshots joined, 0 too old");
    expect("hftbacktest/usdm-btcusdt_20240808.gz", "--venue binance-usdm",
           "messages   93953, 1 answers to requests, 0 notices, 0 bad, 0 of unknown kinds\n"
           "book_delta      6551 decoded, 6547 given out\ntrade           21313 decoded, 21313 given out\n"
           "best            66089 decoded\n"
           "gaps       0, 0 healed; 0 trades missing, 0 copies dropped, 0 events refused\n"
           "books      1 of 1 live, 0 crossed, 0 broken; 1 snapshots joined, 0 too old; 6547 updates applied, 4 stale");
    expect("hftbacktest/cm-btcusd_perp_20240808.gz", "--venue binance-coinm",
           "0 bad, 0 of unknown kinds\nbook_delta      26847 decoded\ntrade           2286 decoded, 2286 given out\n"
           "gaps       0, 0 healed; 0 trades missing\nbooks      1 of 1 live, 0 crossed, 0 broken; 1 snapshots joined");
}

static void cryptofeed_binance(void **state)
{
    (void)state;
    expect("cryptofeed/BINANCE.0.gz cryptofeed/BINANCE.ws.1.0.gz cryptofeed/BINANCE.http.0.0.gz", "--venue binance",
           "0 bad, 0 of unknown kinds\n0 of them added on first sight; 0 events of others left out\n"
           "book_delta      177 decoded, 172 given out\ngaps       0, 0 healed; 0 trades missing\n"
           "books      4 of 4 live, 0 crossed, 0 broken; 4 snapshots joined, 0 too old");
    expect("cryptofeed/BINANCE_FUTURES.0.gz cryptofeed/BINANCE_FUTURES.ws.1.0.gz "
           "cryptofeed/BINANCE_FUTURES.http.0.0.gz",
           "--venue binance-usdm",
           "0 bad, 0 of unknown kinds\nbook_delta      764 decoded, 749 given out\n"
           "gaps       0, 0 healed; 0 trades missing\n"
           "books      4 of 4 live, 0 crossed, 0 broken; 4 snapshots joined, 0 too old");
}

static void cryptofeed_others(void **state)
{
    (void)state;
    expect("cryptofeed/COINBASE.0.gz cryptofeed/COINBASE.ws.28.0.gz", "--venue coinbase",
           "messages   9946, 1 answers to requests, 3 notices, 0 bad, 0 of unknown kinds\n"
           "trade           107 decoded, 107 given out\nticker          107 decoded\n"
           "book_delta      9719 decoded, 9719 given out\nbook_snapshot   10 decoded, 10 given out\n"
           "gaps       0, 0 healed; 0 trades missing\nbooks      10 of 10 live, 0 crossed, 0 broken");
    expect("cryptofeed/KRAKEN.0.gz cryptofeed/KRAKEN.ws.48.0.gz cryptofeed/KRAKEN.ws.49.0.gz "
           "cryptofeed/KRAKEN.ws.50.0.gz",
           "--venue kraken",
           "0 bad, 0 of unknown kinds\ntrade           10 decoded, 10 given out\n"
           "book_delta      4269 decoded, 4269 given out\nchecksums  4269 of 4269 matched\n"
           "books      10 of 10 live, 0 crossed, 0 broken; 10 snapshots joined, 0 too old\n0 events refused");
    expect("cryptofeed/OKX.0.gz cryptofeed/OKX.ws.1.0.gz", "--venue okx",
           "0 bad, 0 of unknown kinds\nchecksums  290 of 290 matched\nbooks      3 of 3 live, 0 crossed, 0 broken");
    /* The client that was recorded read nothing while it fetched the snapshots: they belong behind the stream. */
    expect(
        "cryptofeed/BITSTAMP.0.gz cryptofeed/BITSTAMP.ws.1.0.gz cryptofeed/BITSTAMP.http.0.0.gz",
        "--venue bitstamp --in-turn",
        "0 bad, 0 of unknown kinds\nbook_delta      717 decoded, 615 given out\n"
        "gaps       0, 0 healed; 0 trades missing\n"
        "books      9 of 10 live, 0 crossed, 0 broken; 9 snapshots joined, 1 too old; 615 updates applied, 102 stale");
}

static void unknown_form_is_told_of(void **state)
{
    (void)state;
    expect("cryptofeed/BYBIT.0.gz cryptofeed/BYBIT.ws.26.0.gz", "--venue bybit 2>&1",
           "line 8: not supported here: message: the topic \"orderBookL2_25.EOSUSD\" is not decoded\n"
           "and 1094 more lines that could not be used\n1 bad, 1098 of unknown kinds\n"
           "0 of them added on first sight");
}

/* At the recorded speed, at full speed, and at full speed into the file that has it: the same bytes. */
static void speed_changes_nothing(void **state)
{
    (void)state;
    char line[4096];
    const char *names = "cryptofeed/BITSTAMP.0.gz cryptofeed/BITSTAMP.ws.1.0.gz cryptofeed/BITSTAMP.http.0.0.gz";
    with_paths("$SLUICE replay --in-turn --venue bitstamp", names,
               ">1 && wc -l <max-00000001.ndjson && sha256sum <max-00000001.ndjson >max.sum", line, sizeof line);
    const char *const kept[] = {"--sink file:max --json", "--sink file:max --json",
                                "--sink file:real --speed 1 --json"};
    for (size_t at = 0; at < 3; at++) {
        char rest[256];
        (void)snprintf(rest, sizeof rest, "%s", kept[at]);
        with_paths("$SLUICE replay --in-turn --venue bitstamp", names, rest, line, sizeof line);
        assert_int_equal(shell(line), 0);
        assert_non_null(strstr(output, at == 1
                                           ? "\"sinks\":{\"received\":634,\"written\":0,\"repeated\":634,\"dropped\":0,"
                                           : "\"sinks\":{\"received\":634,\"written\":634,\"repeated\":0,"));
    }
    assert_int_equal(shell("cmp max-00000001.ndjson real-00000001.ndjson && wc -l <max-00000001.ndjson"), 0);
    assert_string_equal(output, "634\n");
    names = "hftbacktest/usdm-btcusdt_20240808.gz";
    for (size_t at = 0; at < 2; at++) {
        char rest[256];
        (void)snprintf(rest, sizeof rest, "--sink file:%s --speed %s", at == 0 ? "a" : "b", at == 0 ? "max" : "150");
        with_paths("$SLUICE replay --venue binance-usdm", names, rest, line, sizeof line);
        assert_int_equal(shell(line), 0);
        assert_non_null(strstr(output, "93950 written, 0 repeats ignored, 0 dropped, 0 left"));
    }
    assert_int_equal(shell("cmp a-00000001.ndjson b-00000001.ndjson && wc -l <a-00000001.ndjson"), 0);
    assert_string_equal(output, "93950\n");
}

/* Messages that are missing in a capture are told as gaps: of a book, and of trades. */
static void holes_are_told(void **state)
{
    (void)state;
    char line[4096];
    with_paths(
        "zcat", "hftbacktest/usdm-btcusdt_20240808.gz",
        "| awk '/depthUpdate/ && ++d == 3000 {next} /\"e\":\"trade\"/ && ++t > 500 && t <= 507 {next} 1' >holes &&"
        " $SLUICE replay holes --venue binance-usdm",
        line, sizeof line);
    assert_int_equal(shell(line), 0);
    assert_non_null(strstr(output, "gaps       2, 0 healed; 7 trades missing"));
    assert_non_null(strstr(output, "books      0 of 1 live"));
}

static void bad_use(void **state)
{
    (void)state;
    assert_int_equal(shell("$SLUICE replay none.gz --venue binance 2>&1"), 1);
    assert_non_null(strstr(output, "none.gz"));
    assert_int_equal(shell("$SLUICE replay none.gz --venue binanse 2>&1"), 64);
    assert_int_equal(shell("echo '1 {}' >one && $SLUICE replay one 2>&1"), 1);
    assert_non_null(strstr(output, "does not say of which venue"));
    assert_int_equal(shell("$SLUICE replay one --venue binance --sink db:x 2>&1"), 1);
    assert_non_null(strstr(output, "where file:PATH was expected"));
    assert_int_equal(shell("$SLUICE replay one --venue binance --sink file:nowhere/out 2>&1"), 1);
    assert_non_null(strstr(output, "no files can be written into 'nowhere/'"));
    assert_int_equal(shell("$SLUICE replay . --venue binance 2>&1"), 1);
    assert_non_null(strstr(output, "cannot open the capture .: "));
    assert_int_equal(shell("$SLUICE replay one --venue binance --json 2>/dev/null"), 0);
    assert_non_null(strstr(output, "{\"messages\":1,"));
}

/* The sinks of a configuration get them too. */
static void sinks_of_a_configuration(void **state)
{
    (void)state;
    FILE *file = fopen("sinks.yaml", "w");
    assert_non_null(file);
    assert_true(fputs("sinks: {db: {kind: sqlite, path: market.db}, log: {kind: file, path: events}}\n"
                      "services: {a: {kind: stream, venue: okx, instruments: ['*'], sinks: [db, log]}}\n",
                      file) >= 0);
    assert_int_equal(fclose(file), 0);
    expect("cryptofeed/OKX.0.gz cryptofeed/OKX.ws.1.0.gz", "--venue okx --config sinks.yaml",
           "sinks      784 written, 0 repeats ignored, 0 dropped, 0 left");
}

/* One that cannot write is told of while it is waited for, and what it has not got is a failure in the end. */
static void a_sink_that_cannot_write_is_told(void **state)
{
    (void)state;
    FILE *file = fopen("sinks.yaml", "w");
    assert_non_null(file);
    assert_true(fputs("sinks: {log: {kind: file, path: none/events, stop_within: 2s}}\n"
                      "services: {a: {kind: stream, venue: okx, instruments: ['*'], sinks: [log]}}\n",
                      file) >= 0);
    assert_int_equal(fclose(file), 0);
    char line[1024];
    with_paths("$SLUICE replay", "cryptofeed/OKX.0.gz cryptofeed/OKX.ws.1.0.gz", "--venue okx --config sinks.yaml 2>&1",
               line, sizeof line);
    assert_int_equal(shell(line), 1);
    assert_non_null(strstr(output, "sluice: sink log: events wait for it: "));
    assert_non_null(strstr(output, "sink log: 392 events were not written and 0 are lost: "));
}

/*
 * What a live run wrote, and what its recording gives, is the same but for the stamps and for when gaps were noticed. The
 * exchange ends first, so that nothing is on its way when the recording ends; then its cut connections are gaps.
 */
static void recording_gives_the_same_events(void **state)
{
    (void)state;
    FILE *file = fopen("live.sh", "w");
    assert_non_null(file);
    assert_true(
        fputs(
            "$SLUICE exchange --venue kraken --venue binance --rate 2000 --instruments 4 >ex 2>&1 &\n"
            "exchange=$!\n"
            "for i in $(seq 200); do grep -q binance ex && break; sleep 0.1; done\n"
            "port=$(sed -n 's/listening on 127.0.0.1://p' ex)\n"
            "{ echo 'venues:'; for v in kraken binance; do\n"
            "echo \"  $v: {stream: \\\"ws://127.0.0.1:$port/$v\\\", rest: \\\"http://127.0.0.1:$port/$v\\\"}\"; done\n"
            "echo 'services:'; for v in kraken binance; do\n"
            "echo \"  $v-trades: {kind: stream, venue: $v, instruments: ['*'], channels: [trades], sinks: [log]}\"\n"
            "echo \"  $v-books: {kind: book, venue: $v, instruments: ['*'], emit: deltas, sinks: [log]}\"; done\n"
            "echo 'sinks: {log: {kind: file, path: live, when_full: block}}'; } >live.yaml\n"
            "$SLUICE record live.yaml --to live.rec >record 2>record.err &\n"
            "record=$!\n"
            "for i in $(seq 200); do [ \"$(cat live-*.ndjson 2>/dev/null | wc -l)\" -gt 5000 ] && break; sleep 0.1; "
            "done\n"
            "kill -9 $exchange; wait $exchange 2>/dev/null; sleep 1\n"
            "kill -INT $record; wait $record; echo ended $?\n"
            "cat record record.err\n"
            "$SLUICE replay live.rec --sink file:again || exit 1\n"
            "for f in live again; do grep -v '\"kind\":\"gap\"' $f-*.ndjson | sed 's/,*\"stamp\":\"[^\"]*\"//' | sort "
            ">$f.txt; done\n"
            "wc -l <live.txt; cmp live.txt again.txt && [ \"$(wc -l <live.txt)\" -gt 5000 ] && echo the same\n",
            file) >= 0);
    assert_int_equal(fclose(file), 0);
    int status = shell("bash live.sh 2>&1");
    if (status != 0 || strstr(output, "the same\n") == NULL) {
        fail_msg("status %d:\n%s", status, output);
    }
    assert_non_null(strstr(output, "0 bad, 0 of unknown kinds\ninstruments 8, 0 of them added"));
}

static void venues_are_listed(void **state)
{
    (void)state;
    assert_int_equal(shell("$SLUICE venues"), 0);
    assert_non_null(strstr(output, "binance-usdm: "));
    assert_non_null(strstr(output, "bitstamp: "));
    assert_int_equal(shell("$SLUICE venues --json | python3 -c 'import json, sys; v = json.load(sys.stdin)[\"venues\"];"
                           " print(len(v), all(x[\"feeds\"] and x[\"rest_origin\"] for x in v))'"),
                     0);
    assert_string_equal(output, "10 True\n");
}

SL_TEST_MAIN(SCRATCH_CASE(hftbacktest_sessions), SCRATCH_CASE(cryptofeed_binance), SCRATCH_CASE(cryptofeed_others),
             SCRATCH_CASE(unknown_form_is_told_of), SCRATCH_CASE(speed_changes_nothing), SCRATCH_CASE(holes_are_told),
             SCRATCH_CASE(bad_use), SCRATCH_CASE(sinks_of_a_configuration),
             SCRATCH_CASE(a_sink_that_cannot_write_is_told), SCRATCH_CASE(recording_gives_the_same_events),
             SCRATCH_CASE(venues_are_listed))
