/* SPDX-License-Identifier: MIT */
/* sluice top, feeds, tasks and ctl against a running `sluice demo`; tables of any answer. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ingest/commands/table.h"
#include "sl_test.h"
#include "sluice/memory.h"

#define TEXT_BYTES 65536
#define SLUICE SL_TEST_BUILD_DIR "/sluice"

struct world {
    FILE *demo;
    char url[128], token[64], text[TEXT_BYTES];
    int status; /* of the last command */
};

/* Runs "sluice COMMAND" and keeps what it prints, errors too. */
static const char *run(struct world *world, const char *command)
{
    char line[1024];
    (void)snprintf(line, sizeof line, SLUICE " %s --admin %s 2>&1", command, world->url);
    FILE *output = popen(line, "r");
    assert_non_null(output);
    world->text[fread(world->text, 1, sizeof world->text - 1, output)] = '\0';
    int status = pclose(output);
    world->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return world->text;
}

static void expect(struct world *world, const char *command, int status, const char *wanted)
{
    const char *text = run(world, command);
    if (world->status != status || strstr(text, wanted) == NULL) {
        fail_msg("sluice %s: status %d, without '%s':\n%s", command, world->status, wanted, text);
    }
}

static void start(struct world *world)
{
    char line[1024];
    (void)snprintf(line, sizeof line,
                   "exec " SLUICE
                   " demo --instruments 4 --rate 400 --cut-every 0 --quiet --admin-port 0 --database " SL_TEST_BUILD_DIR
                   "/watch-demo.db");
    (void)unlink(SL_TEST_BUILD_DIR "/watch-demo.db");
    world->demo = popen(line, "r");
    assert_non_null(world->demo);
    while (fgets(world->text, sizeof world->text, world->demo) != NULL) {
        char *url = strstr(world->text, "http://");
        char *token = strstr(world->text, "/#token=");
        if (url != NULL && token != NULL) {
            (void)snprintf(world->url, sizeof world->url, "%.*s", (int)(token - url), url);
            (void)snprintf(world->token, sizeof world->token, "%.*s", (int)strcspn(token + 8, "\n"), token + 8);
            return;
        }
    }
    fail_msg("the demo says no address");
}

/* Events come while somebody reads; when nobody does any more it ends in peace. */
static void check_tap(struct world *world)
{
    char line[1024];
    (void)snprintf(line, sizeof line,
                   "{ " SLUICE " tap --kind trade --instrument BTCUSDT --admin %s 2>&1; echo status $? >&2; } 2>&1 "
                   ">/dev/null | cat; " SLUICE
                   " tap --venue binance-usdm --channel trades --instrument 'BTC-*' --admin %s "
                   "2>&1 | head -n 3",
                   "http://127.0.0.1:1", world->url);
    FILE *output = popen(line, "r");
    assert_non_null(output);
    world->text[fread(world->text, 1, sizeof world->text - 1, output)] = '\0';
    (void)pclose(output);
    assert_non_null(strstr(world->text, "status 1\n"));
    const char *event = strstr(world->text, "{\"kind\":\"trade\",\"venue\":\"binance-usdm\",\"instrument\":\"BTC-USDT");
    assert_non_null(event);
    assert_null(strstr(world->text, "kraken"));
    assert_null(strstr(world->text, "ETHUSDT"));
    assert_null(strstr(world->text, "\"best\""));
    assert_int_equal(world->text[strlen(world->text) - 1], '\n');
    assert_null(strstr(world->text, "EPIPE"));
}

static void commands_show_and_steer_a_demo(void **state)
{
    (void)state;
    static struct world world;
    start(&world);
    while (strstr(run(&world, "feeds kraken-books --state ok"), "XRP/USD") == NULL) {
        assert_int_equal(world.status, 0);
    }
    expect(&world, "feeds", 0, "FEED                 STATE  ");
    expect(&world, "feeds kraken-books", 0, "kraken-books  BTC/USD  ");
    expect(&world, "feeds kraken-books --find eth", 0, "ETH/USD");
    assert_null(strstr(world.text, "BTC/USD"));
    expect(&world, "feeds kraken-books --state down --json", 0, "\"instruments\":[],\"total\":0}");
    expect(&world, "feeds nothing --json", 0, "\"total\":0}");
    expect(&world, "tap --channel nonsense", 1, "status 400");
    expect(&world, "feeds --json", 0, "{\"time_ms\":");
    expect(&world, "tasks", 0, " stream ");
    expect(&world, "tasks --json", 0, "\"name\":\"stream\"");
    expect(&world, "top --once", 0, "\nSINK ");
    expect(&world, "top --once", 0, "  SPOOL  WHY\n");
    expect(&world, "top --once", 0, "sluice  up ");
    assert_null(strstr(world.text, "\033")); /* not on a terminal */
    expect(&world, "top --once --json", 0, "\"turn_seconds\":");
    check_tap(&world);
    assert_int_equal(setenv("SLUICE_TOKEN", "wrong-wrong-wrong-wrong", 1), 0);
    expect(&world, "ctl pause kraken-trades", 1, "status 401: this needs the token");
    assert_int_equal(setenv("SLUICE_TOKEN", world.token, 1), 0);
    expect(&world, "ctl pause kraken-trades", 0, "pause: done");
    expect(&world, "feeds", 0, "paused");
    expect(&world, "ctl pause kraken-trades", 1, "status 409: 'kraken-trades' is paused already");
    expect(&world, "ctl resume kraken-trades --json", 0, "{\"ok\":true}");
    expect(&world, "ctl resync nothing", 1, "status 404: there is no service 'nothing'");
    expect(&world, "ctl resume kraken-trades", 1, "status 409: 'kraken-trades' is not paused");
    expect(&world, "ctl resync kraken-books ETH-USD", 0, "resync: done");
    expect(&world, "ctl resync kraken-books NONE-USD", 1, "status 404: 'kraken-books' does not follow NONE-USD");
    expect(&world, "ctl restart kraken-books", 0, "restart: done");
    expect(&world, "ctl remove kraken-books XRP-USD", 0, "remove: done");
    while (strstr(run(&world, "feeds kraken-books"), "XRP/USD") != NULL) {
        assert_int_equal(world.status, 0);
    }
    expect(&world, "ctl add kraken-books XRP-USD", 0, "add: done");
    while (strstr(run(&world, "feeds kraken-books --state ok"), "XRP/USD") == NULL) {
        assert_int_equal(world.status, 0);
    }
    expect(&world, "ctl add kraken-books NONE-USD", 1,
           "status 404: the venue of 'kraken-books' has no instrument 'NONE-USD'");
    expect(&world, "ctl remove kraken-books", 1, "status 400: which instrument?");
    expect(&world, "health", 0, "alive");
    expect(&world, "health --ready", 0, "ready");
    expect(&world, "ctl restart", 1, "status 400: which feed?");
    expect(&world, "ctl fly", 1, "status 404");
    expect(&world, "ctl drain", 0, "drain: done");
    while (fgets(world.text, sizeof world.text, world.demo) != NULL) {
    }
    int status = pclose(world.demo);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    expect(&world, "feeds", 1, "connection refused");
    assert_ptr_equal(strstr(world.text, "sluice: "), world.text); /* one line, for people */
    assert_ptr_equal(strchr(world.text, '\n') + 1, world.text + strlen(world.text));
}

/* ---- tables ---- */

static const struct sl_table_column columns[] = {{"A", "a", SL_TABLE_TEXT, 0},
                                                 {"N", "n", SL_TABLE_COUNT, 0},
                                                 {"P", "q.p", SL_TABLE_SECONDS, 0},
                                                 {"B", "b", SL_TABLE_BYTES, 0},
                                                 {"R", "n", SL_TABLE_RATE, 0}};

static int table(const char *json, char text[1024])
{
    FILE *out = fmemopen(text, 1024, "w");
    assert_non_null(out);
    int code = sl_table_print(json, strlen(json), "rows", columns, 4, NULL, out);
    (void)fclose(out);
    return code;
}

static void tables_are_aligned_and_harmless(void **state)
{
    (void)state;
    char text[1024];
    assert_int_equal(
        table("{\"x\":[{}],\"rows\":[{\"a\":\"long name\",\"n\":12345,\"q\":{\"o\":1,\"p\":0.0025},\"z\":[1]},"
              "{\"b\":1536,\"a\":\"\\u001b[2J\\u009b\",\"n\":null,\"q\":3},{}]}",
              text),
        0);
    assert_string_equal(text, "A               N       P        B\n"
                              "long name  12.3 k  2.5 ms        -\n"
                              "?[2J??          -       -  1.5 KiB\n"
                              "-               -       -        -\n");
    /* What is for people to read is not cut where nothing is too narrow for it. */
    assert_int_equal(
        table("{\"rows\":[{\"a\":\"0123456789012345678901234567890123456789012345678901234567890123456789 end\"}]}",
              text),
        0);
    assert_non_null(strstr(text, " end  "));
    assert_int_equal(table("{\"rows\":[]}", text), 0);
    assert_string_equal(text, "A  N  P  B\n");
    static const char *const bad[] = {
        "", "[]", "{}", "{\"rows\":{}}", "{\"rows\":[1]}", "{\"rows\":[{\"a\":\"x\"}", "nonsense"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(table(bad[i], text), SL_EPROTO);
    }
}

static void tables_are_bounded(void **state)
{
    (void)state;
    size_t room = (size_t)SL_TABLE_ROWS_MAX * 12 + 64;
    char *json = sl_malloc(room);
    char text[1024];
    size_t length = (size_t)snprintf(json, room, "{\"rows\":[");
    for (int i = 0; i <= SL_TABLE_ROWS_MAX; i++) {
        length += (size_t)snprintf(json + length, room - length, "%s{\"n\":1}", i == 0 ? "" : ",");
    }
    (void)snprintf(json + length, room - length, "]}");
    assert_int_equal(table(json, text), SL_EMSGSIZE);
    sl_free(json);
}

static void numbers_are_for_people(void **state)
{
    (void)state;
    static const struct {
        enum sl_table_kind kind;
        double value;
        const char *text;
    } cases[] = {{SL_TABLE_COUNT, 0, "0"},
                 {SL_TABLE_COUNT, 9999, "9999"},
                 {SL_TABLE_COUNT, 10000, "10.0 k"},
                 {SL_TABLE_COUNT, 2.5e9, "2.5 G"},
                 {SL_TABLE_BYTES, 1023, "1023 B"},
                 {SL_TABLE_BYTES, 1048576, "1.0 MiB"},
                 {SL_TABLE_SECONDS, 0, "0 us"},
                 {SL_TABLE_SECONDS, 0.000042, "42 us"},
                 {SL_TABLE_SECONDS, 0.25, "250.0 ms"},
                 {SL_TABLE_SECONDS, 3.14159, "3.1 s"},
                 {SL_TABLE_SECONDS, 86400, "86400 s"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char cell[SL_TABLE_CELL_BYTES];
        sl_table_number(cases[i].kind, cases[i].value, cell);
        assert_string_equal(cell, cases[i].text);
    }
}

SL_TEST_MAIN(cmocka_unit_test(commands_show_and_steer_a_demo), cmocka_unit_test(tables_are_aligned_and_harmless),
             cmocka_unit_test(tables_are_bounded), cmocka_unit_test(numbers_are_for_people))
