/* SPDX-License-Identifier: MIT */
/* `kind: receive` as others meet it: curl, aiohttp, websockets, plain sockets; see tests/peers/receive.py. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "own_server.h"
#include "shell_run.h"
#include "sl_test.h"
#include "tls_certificates.h"

#define PEER "PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 $SOURCE/tests/peers/receive.py "
#define LINE_BYTES 1024

struct world {
    struct own_server program, redis;
    struct redis_arguments redis_arguments;
    char config[512];
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    *state = world;
    own_server_prepare(&world->program);
    const char *folder = world->program.folder.path;
    (void)snprintf(world->config, sizeof world->config, "%s/config.yaml", folder);
    own_server_shell(&world->program, "exec " SL_TEST_BUILD_DIR "/sluice run %s >%s/log 2>&1", world->config, folder);
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    own_server_end(&world->program);
    if (world->redis.folder.path[0] != '\0') {
        own_server_end(&world->redis);
    }
    free(world);
    return 0;
}

/* With more keys of the service, and its sink. */
static void write_config(const struct world *world, const char *more, const char *sink)
{
    FILE *file = fopen(world->config, "we");
    assert_non_null(file);
    (void)fprintf(file,
                  "services: { in: { kind: receive, listen: \"127.0.0.1:%d\", sinks: [out]%s } }\n"
                  "sinks: { out: { %s } }\nadmin: { enabled: false }\n",
                  world->program.port, more, sink);
    assert_int_equal(fclose(file), 0);
}

static void start(struct world *world, const char *more, const char *sink)
{
    write_config(world, more, sink);
    assert_int_equal(own_server_start(&world->program), 0);
}

static void start_with_file(struct world *world, const char *more)
{
    char sink[LINE_BYTES];
    (void)snprintf(sink, sizeof sink, "kind: file, path: \"%s/out\"", world->program.folder.path);
    start(world, more, sink);
}

/* Lines of the file sink with the text, after the program's end. */
static void expect_lines(struct world *world, const char *text, int count)
{
    char line[LINE_BYTES], wanted[32];
    own_server_stop(&world->program, SIGTERM);
    (void)snprintf(line, sizeof line, "cat %s/out* | grep -c '%s'", world->program.folder.path, text);
    (void)snprintf(wanted, sizeof wanted, "%d\n", count);
    shell_expect(line, 0, wanted);
    (void)snprintf(line, sizeof line, "cat %s/log", world->program.folder.path);
    shell_expect(line, 0, "0 dropped by sinks, 0 not delivered");
}

static void play(const struct world *world, const char *scenario, const char *rest)
{
    char line[LINE_BYTES];
    (void)snprintf(line, sizeof line, PEER "%s %d %s 2>&1", scenario, world->program.port, rest);
    shell_expect(line, 0, "good\n");
}

static void curl_sends_events(void **state)
{
    struct world *world = *state;
    char line[LINE_BYTES];
    start_with_file(world, "");
    (void)snprintf(line, sizeof line,
                   "curl -s -w '%%{http_code} %%{content_type}' -d '{\"kind\":\"status\",\"venue\":\"okx\","
                   "\"instrument\":\"A-B\",\"status\":\"halted\"}' http://127.0.0.1:%d/ingest",
                   world->program.port);
    shell_expect(line, 0,
                 "{\"status\":200,\"accepted\":1,\"repeated\":0,\"refused\":0,\"errors\":[]}200 application/json");
    (void)snprintf(line, sizeof line,
                   "curl -s -d '{\"kind\":\"status\",\"instrument\":\"A-B\",\"status\":\"shut\"}' "
                   "http://127.0.0.1:%d/ingest",
                   world->program.port);
    shell_expect(
        line, 0,
        "{\"status\":422,\"accepted\":0,\"repeated\":0,\"refused\":1,\"errors\":[{\"item\":0,\"offset\":0,"
        "\"path\":\"status\",\"problem\":\"\\\"shut\\\" is not known; expected one of unknown, trading, halted, "
        "delisted\"}]}");
    (void)snprintf(
        line, sizeof line,
        "for n in $(seq 300); do echo \"{\\\"kind\\\":\\\"trade\\\",\\\"instrument\\\":\\\"A-B\\\",\\\"id\\\":$n,"
        "\\\"price\\\":\\\"1\\\",\\\"quantity\\\":\\\"1\\\",\\\"taker\\\":\\\"none\\\"}\"; done | "
        "curl -s -H 'Transfer-Encoding: chunked' -H 'Expect: 100-continue' --data-binary @- "
        "http://127.0.0.1:%d/ingest",
        world->program.port);
    shell_expect(line, 0, "\"accepted\":300,");
    expect_lines(world, "\"kind\":", 301);
}

static void posts_and_messages_are_answered_one_by_one(void **state)
{
    struct world *world = *state;
    start_with_file(world, ", max_body: 64KiB");
    play(world, "plain", "");
    expect_lines(world, "\"kind\":\"trade\"", 205);
}

static void strangers_and_replays_are_turned_away(void **state)
{
    struct world *world = *state;
    start_with_file(world,
                    ", api_key: an api key of the tests, hmac: { keys: { new: a secret of the tests, old: an older "
                    "secret of them } }");
    play(world, "guarded", "");
    char line[LINE_BYTES];
    (void)snprintf(line, sizeof line, "cat %s/log", world->program.folder.path);
    const char *log = NULL;
    (void)shell_run(line, &log);
    assert_null(strstr(log, "of the tests"));
    expect_lines(world, "\"kind\":\"trade\"", 2);
}

static void tls_is_spoken(void **state)
{
    struct world *world = *state;
    char more[LINE_BYTES];
    (void)snprintf(more, sizeof more, ", tls: { certificate: \"%s\", key: \"%s\" }",
                   tls_identity_file(TLS_SERVER, false), tls_identity_file(TLS_SERVER, true));
    start_with_file(world, more);
    play(world, "tls", tls_identity_file(TLS_CA, false));
    expect_lines(world, "\"kind\":\"trade\"", 2);
}

static void slow_clients_keep_nobody_waiting(void **state)
{
    struct world *world = *state;
    start_with_file(world, "");
    play(world, "slow", "");
    expect_lines(world, "\"kind\":\"trade\"", 100);
}

static void an_address_has_a_rate(void **state)
{
    struct world *world = *state;
    start_with_file(world, ", rate: 20/1m");
    play(world, "fast", "");
}

/* Keys and rates change while it serves, and a connection that was there goes on. */
static void another_key_counts_at_once(void **state)
{
    struct world *world = *state;
    char sink[LINE_BYTES], line[LINE_BYTES];
    (void)snprintf(sink, sizeof sink, "kind: file, path: \"%s/out\"", world->program.folder.path);
    start(world, ", api_key: the first key of all, path: /here", sink);
    for (int change = 0; change < 4; change++) {
        const char *key = change % 2 == 0 ? "the second key there is" : "the first key of all";
        char more[LINE_BYTES];
        (void)snprintf(more, sizeof more, ", api_key: %s, path: /here, rate: %d/1s", key, 500 + change);
        write_config(world, more, sink);
        assert_int_equal(kill(world->program.pid, SIGHUP), 0);
        (void)snprintf(line, sizeof line,
                       "for n in $(seq 200); do curl -s -H 'X-API-Key: %s' -d '{\"kind\":\"status\",\"instrument\":"
                       "\"A-B\",\"status\":\"halted\"}' http://127.0.0.1:%d/here | grep '\"accepted\":1,' && exit 0; "
                       "sleep 0.1; done; exit 1",
                       key, world->program.port);
        shell_expect(line, 0, "\"status\":200");
    }
    expect_lines(world, "\"halted\"", 4);
}

/* The sink's server is away: nothing is taken that there is no room for, and in the end everything is there once. */
static void a_full_sink_is_told_and_nothing_is_lost(void **state)
{
    struct world *world = *state;
    char sink[LINE_BYTES], line[LINE_BYTES * 2];
    own_server_need("redis-server");
    own_redis_prepare(&world->redis, &world->redis_arguments);
    (void)snprintf(sink, sizeof sink,
                   "kind: redis, url: \"redis://:" OWN_REDIS_PASSWORD "@127.0.0.1:%d\", stream: events, queue: 1000, "
                   "batch: 200",
                   world->redis.port);
    start(world, "", sink);
    (void)snprintf(line, sizeof line, "(" PEER "pressed %d 5000 2>&1) >%s/said & echo started", world->program.port,
                   world->program.folder.path);
    shell_expect(line, 0, "started");
    (void)snprintf(line, sizeof line, "for n in $(seq 600); do grep -q full %s/said && exit 0; sleep 0.1; done; exit 1",
                   world->program.folder.path);
    shell_expect(line, 0, "");
    assert_int_equal(own_server_start(&world->redis), 0);
    (void)snprintf(line, sizeof line,
                   "for n in $(seq 600); do grep -q good %s/said && exit 0; sleep 0.1; done; "
                   "cat %s/said; exit 1",
                   world->program.folder.path, world->program.folder.path);
    shell_expect(line, 0, "");
    own_server_stop(&world->program, SIGTERM);
    (void)snprintf(line, sizeof line,
                   "redis-cli --no-auth-warning -a " OWN_REDIS_PASSWORD " -p %d xrange events - + | grep -o "
                   "'\"id\":[0-9]*' | sort | uniq -c | awk '{ n++; twice += $1 > 1 } END { print n, twice + 0 }'",
                   world->redis.port);
    shell_expect(line, 0, "5000 0\n");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

SL_TEST_MAIN(CASE(curl_sends_events), CASE(posts_and_messages_are_answered_one_by_one),
             CASE(strangers_and_replays_are_turned_away), CASE(tls_is_spoken), CASE(slow_clients_keep_nobody_waiting),
             CASE(an_address_has_a_rate), CASE(another_key_counts_at_once),
             CASE(a_full_sink_is_told_and_nothing_is_lost))
