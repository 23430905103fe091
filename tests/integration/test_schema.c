/* SPDX-License-Identifier: MIT */
/*
 * The JSON Schema and the reference page of the program's configuration: up to date, true to the ready files in
 * deploy/config by a validator of others, and as strict as the program itself.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ingest/config.h"
#include "scratch_folder.h"
#include "shell_run.h"
#include "sl_test.h"

#define OUTPUT_BYTES ((size_t)1 << 20)
#define PROGRAM SL_TEST_BUILD_DIR "/sluice"
#define CONFIGS SL_TEST_SOURCE_DIR "/deploy/config"
#define MODULES SL_TEST_SOURCE_DIR "/build/npm/schema/node_modules"

static const char *output;

/* Runs a line of the shell in the folder; its status, and what it wrote in `output`. */
static int shell(const char *line)
{
    return shell_run(line, &output);
}

static char *contents(const char *path)
{
    char *text = calloc(1, OUTPUT_BYTES);
    FILE *file = fopen(path, "r");
    if (file == NULL || text == NULL) {
        fail_msg("no %s; ./dev docs writes it", path);
    }
    assert_true(fread(text, 1, OUTPUT_BYTES - 1, file) < OUTPUT_BYTES - 1);
    assert_int_equal(fclose(file), 0);
    return text;
}

/* Without the white space between values. */
static void squeeze(char *json)
{
    char *to = json;
    bool quoted = false;
    for (const char *from = json; *from != '\0'; from++) {
        if (quoted && *from == '\\') {
            *to++ = *from++;
        } else if (*from == '"') {
            quoted = !quoted;
        } else if (!quoted && (*from == ' ' || *from == '\n')) {
            continue;
        }
        *to++ = *from;
    }
    *to = '\0';
}

static void the_pages_are_up_to_date(void **state)
{
    (void)state;
    char *page = contents(SL_TEST_SOURCE_DIR "/docs/reference/configuration.md");
    char *schema = contents(SL_TEST_SOURCE_DIR "/docs/reference/configuration.schema.json");
    assert_int_equal(shell(PROGRAM " schema --format markdown"), 0);
    if (strcmp(output, page) != 0) {
        fail_msg("docs/reference/configuration.md is not what the tables say; run ./dev docs");
    }
    assert_int_equal(shell(PROGRAM " schema"), 0);
    char *shown = strdup(output);
    assert_non_null(shown);
    squeeze(shown);
    squeeze(schema);
    if (strcmp(shown, schema) != 0) {
        fail_msg("docs/reference/configuration.schema.json is not what the tables say; run ./dev docs");
    }
    free(page);
    free(schema);
    free(shown);
    page = contents(SL_TEST_SOURCE_DIR "/docs/reference/scenario.md");
    assert_int_equal(shell(PROGRAM " schema --of scenario --format markdown"), 0);
    if (strcmp(output, page) != 0) {
        fail_msg("docs/reference/scenario.md is not what the tables say; run ./dev docs");
    }
    free(page);
}

/* Runs ajv on files that the shell names; its exit status. */
static int ajv(const char *files)
{
    char line[1024];
    if (access(MODULES "/ajv/package.json", R_OK) != 0) {
        fail_msg("ajv is not in build/npm/schema; scripts/setup test installs it");
    }
    assert_int_equal(shell(PROGRAM " schema >schema.json"), 0);
    (void)snprintf(line, sizeof line, "node " SL_TEST_SOURCE_DIR "/tests/schema/ajv.js " MODULES " schema.json %s 2>&1",
                   files);
    return shell(line);
}

static void ready_files_are_good(void **state)
{
    (void)state;
    static const char *const names[] = {"binance", "binance-usdm", "binance-coinm", "coinbase", "kraken",   "bybit",
                                        "okx",     "bitstamp",     "demo",          "polling",  "receiving"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char line[512];
        (void)snprintf(line, sizeof line, PROGRAM " check " CONFIGS "/%s.yaml 2>&1", names[i]);
        if (shell(line) != 0 || strncmp(output, "good: ", 6) != 0) {
            fail_msg("%s: %s", names[i], output);
        }
    }
    assert_int_equal(shell("ls " CONFIGS "/*.yaml | wc -l"), 0);
    assert_int_equal(strtoull(output, NULL, 10), sizeof names / sizeof names[0]); /* none is left out here */
}

static void ajv_agrees_on_the_ready_files(void **state)
{
    (void)state;
    int status = ajv(CONFIGS "/*.yaml");
    if (status != 0) {
        print_error("%s", output);
    }
    assert_int_equal(status, 0);
    size_t good = 0;
    for (const char *at = output; (at = strstr(at, "good /")) != NULL; at++) {
        good++;
    }
    assert_int_equal(good, 11);
}

#define SERVICE "kind: stream, venue: okx, instruments: [X], sinks: [d]"
#define GOOD_SERVICES "services: {s: {" SERVICE "}}\n"
#define GOOD_SINKS "sinks: {d: {kind: sqlite, path: a.db}}\n"

/* Each is refused by ajv and by the program. */
static const char *const bad[] = {
    "services: []\n" GOOD_SINKS,
    "services: {}\n" GOOD_SINKS,
    GOOD_SERVICES,
    GOOD_SINKS,
    GOOD_SERVICES GOOD_SINKS "srevices: {}\n",
    GOOD_SERVICES "sinks: {d: {kind: sqlit, path: a.db}}\n",
    GOOD_SERVICES "sinks: {d: {path: a.db}}\n",
    GOOD_SERVICES "sinks: {d: {kind: sqlite}}\n",
    GOOD_SERVICES "sinks: {d: {kind: sqlite, path: a.db, url: 'redis://h'}}\n",
    GOOD_SERVICES "sinks: {d: {kind: sqlite, path: ''}}\n",
    GOOD_SERVICES "sinks: {d: {kind: sqlite, path: a.db, queue: 15}}\n",
    GOOD_SERVICES "sinks: {d: {kind: sqlite, path: a.db, queue: many}}\n",
    GOOD_SERVICES "sinks: {d: {kind: sqlite, path: a.db, flush: 200}}\n",
    GOOD_SERVICES "sinks: {d: {kind: sqlite, path: a.db, flush: soon}}\n",
    GOOD_SERVICES "sinks: {d: {kind: sqlite, path: a.db, when_full: explode}}\n",
    GOOD_SERVICES "sinks: {d: {kind: redis, url: 'http://h'}}\n",
    GOOD_SERVICES "sinks: {d: {kind: redis, url: 'redissentinel://h'}}\n",
    GOOD_SERVICES "sinks: {d: {kind: kafka, brokers: []}}\n",
    GOOD_SERVICES "sinks: {d: {kind: kafka, brokers: h:1}}\n",
    GOOD_SERVICES "sinks: {d: {kind: sqlite, path: a.db, spool: {max_size: 5 GB}}}\n",
    "services: {s: {kind: stream, venue: oxk, instruments: [X], sinks: [d]}}\n" GOOD_SINKS,
    "services: {s: {kind: stream, venue: okx, instruments: [], sinks: [d]}}\n" GOOD_SINKS,
    "services: {s: {kind: stream, venue: okx, instruments: X, sinks: [d]}}\n" GOOD_SINKS,
    "services: {s: {kind: stream, venue: okx, instruments: [X], sinks: []}}\n" GOOD_SINKS,
    "services: {s: {kind: stream, venue: okx, sinks: [d]}}\n" GOOD_SINKS,
    "services: {s: {" SERVICE ", channels: [trade]}}\n" GOOD_SINKS,
    "services: {s: {" SERVICE ", depth: 5}}\n" GOOD_SINKS,
    "services: {s: {" SERVICE ", enabled: maybe}}\n" GOOD_SINKS,
    "services: {s: {" SERVICE ", connections: {redundancy: 3}}}\n" GOOD_SINKS,
    "services: {s: {" SERVICE ", connections: 2}}\n" GOOD_SINKS,
    GOOD_SERVICES GOOD_SINKS "limits: {l: {rates: []}}\n",
    GOOD_SERVICES GOOD_SINKS "limits: {l: {rates: [{rate: 5}]}}\n",
    GOOD_SERVICES GOOD_SINKS "limits: {l: {rates: [{rate: 5/week}]}}\n",
    GOOD_SERVICES GOOD_SINKS "limits: {l: {}}\n",
    GOOD_SERVICES GOOD_SINKS "limits: {l: {rates: [{rate: 5/1s}], safety: 0.8}}\n",
    GOOD_SERVICES GOOD_SINKS "retry: {r: {multiplier: 0.5}}\n",
    GOOD_SERVICES GOOD_SINKS "retry: {r: {attempts: -1}}\n",
    GOOD_SERVICES GOOD_SINKS "retry: {r: {jitter: some}}\n",
    GOOD_SERVICES GOOD_SINKS "venues: {nasdaq: {}}\n",
    GOOD_SERVICES GOOD_SINKS "venues: {okx: {rest: 'ftp://h'}}\n",
    GOOD_SERVICES GOOD_SINKS "coordination: {partitions: 5000}\n",
    GOOD_SERVICES GOOD_SINKS "admin: {tls: {key: k}}\n",
    GOOD_SERVICES GOOD_SINKS "log: {level: loud}\n",
    GOOD_SERVICES GOOD_SINKS "log: debug\n",
};

static void ajv_refuses_the_bad_ones(void **state)
{
    (void)state;
    size_t count = sizeof bad / sizeof bad[0];
    for (size_t i = 0; i < count; i++) {
        char name[32];
        char line[128];
        (void)snprintf(name, sizeof name, "bad%02zu.yaml", i);
        FILE *file = fopen(name, "w");
        assert_non_null(file);
        assert_true(fputs(bad[i], file) >= 0);
        assert_int_equal(fclose(file), 0);
        (void)snprintf(line, sizeof line, PROGRAM " check %s 2>&1", name);
        if (shell(line) != 78) {
            fail_msg("the program takes this:\n%s%s", bad[i], output);
        }
    }
    assert_int_equal(ajv("bad*.yaml"), 1);
    for (size_t i = 0; i < count; i++) {
        char line[32];
        (void)snprintf(line, sizeof line, "bad bad%02zu.yaml: ", i);
        if (strstr(output, line) == NULL) {
            fail_msg("ajv takes this:\n%s", bad[i]);
        }
    }
    /* What they have in common is good, and so is an address with signs in its scheme. */
    FILE *file = fopen("good.yaml", "w");
    assert_non_null(file);
    assert_true(fputs(GOOD_SERVICES GOOD_SINKS "coordination: {backend: redis, url: 'redis+sentinel://a:1,b:2/m'}\n",
                      file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(shell(PROGRAM " check good.yaml"), 0);
    assert_int_equal(ajv("good.yaml"), 0);
}

SL_TEST_MAIN(SCRATCH_CASE(the_pages_are_up_to_date), SCRATCH_CASE(ready_files_are_good),
             SCRATCH_CASE(ajv_agrees_on_the_ready_files), SCRATCH_CASE(ajv_refuses_the_bad_ones))
