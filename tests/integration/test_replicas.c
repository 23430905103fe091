/* SPDX-License-Identifier: MIT */
/*
 * Three `sluice run`, one Redis, one simulated exchange: replicas restart one after the other, are killed, read changed
 * files. What their sinks hold together is what truly happened (check_union.py compares with what the exchange wrote).
 *
 * SL_REPLICAS_SECONDS sets how long the mixed case goes on (0: each fault once); SL_REPLICAS_SEED its seed.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "own_postgresql.h"
#include "own_rabbitmq.h"
#include "own_server.h"
#include "sl_test.h"
#include "sluice/amqp.h"
#include "sluice/runtime.h"

#define SLUICE SL_TEST_BUILD_DIR "/sluice"
#define REPLICAS 3
#define PARTITIONS 12
#define ANSWER_BYTES 65536
#define LOOKS 3000 /* of 20 ms */
#define LIVES 2    /* of a process alone */
#define FAULTS 5
#define SHORT 3 /* those that the short version does, once each */

struct replica {
    struct own_server server;
    char config[SCRATCH_PATH_MAX + 32];
};

struct world {
    struct own_server redis, exchange;
    struct redis_arguments redis_arguments;
    struct own_rabbitmq rabbitmq;
    struct own_postgresql postgresql;
    bool bus, store, local, go_on; /* go_on: without Redis */
    struct replica replicas[REPLICAS];
    const char *exclude;
    char answer[ANSWER_BYTES];
    uint64_t randomness;
};

static void pause_ms(long ms)
{
    (void)nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static double seconds(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- the parts ---- */

static void write_config(const struct world *world, const struct replica *replica)
{
    FILE *file = fopen(replica->config, "we");
    assert_non_null(file);
    int port = world->exchange.port;
    const char *fill = world->local ? "false" : "true";
    const char *sinks = world->bus ? "[file, bus]" : world->store ? "[file, store]" : "[file]";
    (void)fprintf(file,
                  "services:\n"
                  "  trades: { kind: stream, venue: binance-usdm, instruments: [\"*\"], exclude: [%s], sinks: %s, "
                  "fill_gaps: %s }\n"
                  "  other: { kind: stream, venue: okx, instruments: [\"*\"], sinks: %s, fill_gaps: %s }\n"
                  "  books: { kind: book, venue: binance-usdm, instruments: [\"*\"], sinks: %s }\n"
                  "sinks:\n"
                  "  file: { kind: file, path: \"%s/out\" }\n",
                  world->exclude, sinks, fill, sinks, fill, world->store ? sinks : "[file]",
                  replica->server.folder.path);
    if (world->store) {
        (void)fprintf(file, "  store: { kind: postgresql, url: \"postgresql://postgres@127.0.0.1:%d/postgres\" }\n",
                      world->postgresql.server.port);
    }
    if (world->bus) {
        (void)fprintf(file,
                      "  bus: { kind: rabbitmq, url: \"%s\", exchange: market, exchange_type: topic, "
                      "when_full: block }\n",
                      world->rabbitmq.url);
    }
    if (world->local) {
        (void)fprintf(file, "coordination: { positions: \"%s/positions\" }\n", replica->server.folder.path);
    } else {
        (void)fprintf(file,
                      "coordination: { backend: redis, url: \"redis://127.0.0.1:%d\", password: \"%s\", group: test, "
                      "partitions: %d, ttl: 3s, on_loss: %s }\n",
                      world->redis.port, OWN_REDIS_PASSWORD, PARTITIONS, world->go_on ? "continue" : "stop");
    }
    (void)fprintf(file,
                  "venues:\n"
                  "  okx: { stream: \"ws://127.0.0.1:%d/okx\", rest: \"http://127.0.0.1:%d/okx\" }\n"
                  "  binance-usdm: { stream: \"ws://127.0.0.1:%d/binance-usdm\", "
                  "rest: \"http://127.0.0.1:%d/binance-usdm\" }\n"
                  "admin: { listen: \"127.0.0.1:%d\" }\n",
                  port, port, port, port, replica->server.port);
    assert_int_equal(fclose(file), 0);
}

static int set_up_with(void **state, bool bus)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    *state = world;
    world->exclude = "";
    own_redis_prepare(&world->redis, &world->redis_arguments);
    own_server_prepare(&world->exchange);
    if (own_server_start(&world->redis) < 0 || (bus && own_rabbitmq_start(&world->rabbitmq) < 0)) {
        return -1;
    }
    world->bus = bus;
    own_server_shell(&world->exchange,
                     "exec " SLUICE " exchange --venue binance-usdm --venue okx --instruments 20 --rate 800 --port %d"
                     " --truth %s/truth >/dev/null 2>&1",
                     world->exchange.port, world->exchange.folder.path);
    for (size_t at = 0; at < REPLICAS; at++) {
        struct replica *replica = &world->replicas[at];
        own_server_prepare(&replica->server);
        const struct scratch_folder folder = replica->server.folder; /* a copy: gcc sees that nothing overlaps */
        (void)snprintf(replica->config, sizeof replica->config, "%s/config.yaml", folder.path);
        own_server_shell(&replica->server, "exec " SLUICE " run %s/config.yaml >>%s/log 2>&1", folder.path,
                         folder.path);
        write_config(world, replica);
    }
    return own_server_start(&world->exchange);
}

static int set_up(void **state)
{
    return set_up_with(state, false);
}

static int set_up_bus(void **state)
{
    return set_up_with(state, true);
}

static int tear_down(void **state)
{
    struct world *world = *state;
    for (size_t at = 0; at < REPLICAS; at++) {
        own_server_end(&world->replicas[at].server);
    }
    own_server_end(&world->exchange);
    own_server_end(&world->redis);
    if (world->bus) {
        own_rabbitmq_end(&world->rabbitmq);
    }
    if (world->store) {
        own_postgresql_end(&world->postgresql);
    }
    free(world);
    return 0;
}

/* ---- looking ---- */

/* The answer to a GET of a replica's endpoint; "" when there is none. */
static const char *get(struct world *world, const struct replica *replica, const char *path)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons((uint16_t)replica->server.port)};
    char request[256];
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n",
                        path, replica->server.port);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t have = 0;
    const struct timeval patience = {.tv_sec = 5};
    (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0 &&
        send(descriptor, request, (size_t)size, MSG_NOSIGNAL) == size) {
        ssize_t got = 0;
        while (have < sizeof world->answer - 1 &&
               (got = recv(descriptor, world->answer + have, sizeof world->answer - 1 - have, 0)) > 0) {
            have += (size_t)got;
        }
    }
    world->answer[have] = '\0';
    (void)close(descriptor);
    return world->answer;
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++) {
        count++;
    }
    return count;
}

/* Until each partition has one owner that has all of it, shared evenly among those that run, and nothing is on its way. */
static void wait_until_settled(struct world *world)
{
    size_t owned = 0, moving = 1;
    for (int look = 0; look < LOOKS && (owned != PARTITIONS || moving > 0); look++) {
        size_t running = 0;
        owned = moving = 0;
        for (size_t at = 0; at < REPLICAS; at++) {
            running += world->replicas[at].server.pid != 0;
        }
        for (size_t at = 0; at < REPLICAS; at++) {
            if (world->replicas[at].server.pid != 0) {
                const char *answer = get(world, &world->replicas[at], "/api/partitions");
                size_t mine = count_of(answer, "\"state\":\"owned\"");
                owned += mine;
                moving += count_of(answer, "\"joining\"") + count_of(answer, "\"leaving\"") +
                          (mine > (PARTITIONS + running - 1) / running);
            }
        }
        pause_ms(20);
    }
    if (owned != PARTITIONS || moving > 0) {
        for (size_t at = 0; at < REPLICAS; at++) {
            if (world->replicas[at].server.pid != 0) {
                (void)printf("%s\n", get(world, &world->replicas[at], "/api/partitions"));
            }
        }
        fail_msg("%zu partitions are owned, %zu on their way", owned, moving);
    }
}

static void start(const struct replica *replica)
{
    assert_int_equal(own_server_start((struct own_server *)(uintptr_t)&replica->server), 0);
}

/* How it ended, as a shell has it; in seconds how long that took. */
static int end(struct replica *replica, int signal, double *ret_seconds)
{
    double before = seconds();
    int status = 0;
    assert_int_equal(kill(replica->server.pid, signal), 0);
    assert_int_equal(waitpid(replica->server.pid, &status, 0), replica->server.pid);
    replica->server.pid = 0;
    *ret_seconds = seconds() - before;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The exchange ends, so that the truth is known; then the replicas. */
static void end_all(struct world *world)
{
    own_server_stop(&world->exchange, SIGTERM);
    pause_ms(300);
    for (size_t at = 0; at < REPLICAS; at++) {
        if (world->replicas[at].server.pid != 0) {
            (void)kill(world->replicas[at].server.pid, SIGTERM);
        }
    }
    for (size_t at = 0; at < REPLICAS; at++) {
        own_server_stop(&world->replicas[at].server, SIGTERM);
    }
}

static void compare(const struct world *world, const char *mode, const char *files)
{
    char command[4096];
    (void)snprintf(command, sizeof command,
                   "python3 " SL_TEST_SOURCE_DIR "/tests/integration/check_union.py %s/truth %s %s",
                   world->exchange.folder.path, mode, files);
    assert_int_equal(system(command), 0);
}

static void compare_files(const struct world *world, const char *mode)
{
    char files[3 * (SCRATCH_PATH_MAX + 64)];
    /* Those that there are. */
    (void)snprintf(files, sizeof files, "$(ls %s/out-*.ndjson %s/out-*.ndjson %s/out-*.ndjson 2>/dev/null)",
                   world->replicas[0].server.folder.path, world->replicas[1].server.folder.path,
                   world->replicas[2].server.folder.path);
    compare(world, mode, files);
}

static void start_all(struct world *world)
{
    for (size_t at = 0; at < REPLICAS; at++) {
        start(&world->replicas[at]);
    }
    wait_until_settled(world);
}

/* ---- cases ---- */

static void a_rolling_restart_loses_nothing(void **state)
{
    struct world *world = *state;
    start_all(world);
    pause_ms(500);
    for (size_t at = 0; at < REPLICAS; at++) {
        double took = 0;
        assert_int_equal(end(&world->replicas[at], SIGTERM, &took), 143);
        (void)printf("handed over and ended in %.2f s\n", took);
        wait_until_settled(world);
        start(&world->replicas[at]);
        wait_until_settled(world);
    }
    pause_ms(500);
    end_all(world);
    compare_files(world, "strict");
}

/* Killed, in the middle of writing: the others take over within the TTL, and what nobody heard is told. */
static void fault_kill(struct world *world, struct replica *replica)
{
    double took = 0;
    assert_int_equal(end(replica, SIGKILL, &took), 128 + SIGKILL);
    wait_until_settled(world);
    start(replica);
    wait_until_settled(world);
}

static void fault_restart(struct world *world, struct replica *replica)
{
    double took = 0;
    assert_int_equal(end(replica, SIGTERM, &took), 143);
    start(replica);
    wait_until_settled(world);
}

/* Each leaves one instrument, and follows it again: the services go on. */
static void fault_reload(struct world *world, struct replica *replica)
{
    static const char *const excluded[] = {"BTC-*", ""};
    (void)replica;
    for (size_t change = 0; change < 2; change++) {
        world->exclude = excluded[change];
        for (size_t at = 0; at < REPLICAS; at++) {
            write_config(world, &world->replicas[at]);
            assert_int_equal(kill(world->replicas[at].server.pid, SIGHUP), 0);
        }
        pause_ms(700);
    }
    wait_until_settled(world);
}

/* Away for longer than the leases last: all lose what they have, and tell so; its data stays. */
static void fault_redis(struct world *world, struct replica *replica)
{
    (void)replica;
    own_server_stop(&world->redis, SIGKILL);
    pause_ms(4000);
    assert_int_equal(own_server_start(&world->redis), 0);
    wait_until_settled(world);
}

/* Frozen for longer than its leases last: it finds out that others have what it had. */
static void fault_freeze(struct world *world, struct replica *replica)
{
    assert_int_equal(kill(replica->server.pid, SIGSTOP), 0);
    pause_ms(5000);
    assert_int_equal(kill(replica->server.pid, SIGCONT), 0);
    pause_ms(1000);
    wait_until_settled(world);
}

static uint32_t draw(struct world *world, uint32_t below)
{
    world->randomness = world->randomness * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(world->randomness >> 33) % below;
}

static void each_fault_again_and_again(struct world *world)
{
    static void (*const faults[])(struct world * world, struct replica * replica) = {
        fault_kill, fault_reload, fault_restart, fault_redis, fault_freeze};
    uint64_t least = sl_test_number("SL_REPLICAS_SECONDS", 0);
    world->randomness = sl_test_number("SL_REPLICAS_SEED", (uint64_t)time(NULL));
    (void)printf("seed %llu\n", (unsigned long long)world->randomness);
    double begin = seconds();
    size_t done[FAULTS] = {0};
    for (size_t at = 0; at < SHORT || seconds() - begin < (double)least; at++) {
        uint32_t which = at < SHORT ? (uint32_t)at : draw(world, FAULTS);
        faults[which](world, &world->replicas[draw(world, REPLICAS)]);
        done[which]++;
        pause_ms(draw(world, 1000));
    }
    (void)printf(
        "%.0f s: killed %zu times, %zu reloads twice over, %zu restarts, Redis away %zu times, frozen %zu times\n",
        seconds() - begin, done[0], done[1], done[2], done[3], done[4]);
}

/* ---- what the bus has ---- */

struct draining {
    const struct world *world;
    FILE *file;
    uint64_t messages;
};

static int open_queue(const struct draining *draining, sl_scope *scope, sl_amqp **ret_amqp)
{
    SL_TRY(sl_amqp_open(scope, &(struct sl_amqp_options){.url = draining->world->rabbitmq.url}, ret_amqp));
    SL_TRY(sl_amqp_declare_exchange(*ret_amqp, "market", "topic", true));
    SL_TRY(sl_amqp_declare_queue(*ret_amqp, &(struct sl_amqp_queue){.name = "all", .durable = true}, NULL));
    return sl_amqp_bind_queue(*ret_amqp, "all", "market", "#");
}

static int make_queue(void *arg)
{
    sl_amqp *amqp = NULL;
    SL_SCOPE(scope);
    SL_TRY(open_queue(arg, &scope, &amqp));
    return sl_scope_close(&scope, sl_amqp_close(amqp));
}

/* All that is in the queue, a line each. */
static int drain_queue(void *arg)
{
    struct draining *draining = arg;
    sl_amqp *amqp = NULL;
    uint32_t messages = 0;
    SL_SCOPE(scope);
    SL_TRY(open_queue(draining, &scope, &amqp));
    SL_TRY(sl_amqp_declare_queue(amqp, &(struct sl_amqp_queue){.name = "all", .durable = true}, &messages));
    SL_TRY(messages == 0 ? 0 : sl_amqp_consume(amqp, "all", 1000));
    for (uint32_t at = 0; at < messages; at++) {
        struct sl_amqp_delivery delivery;
        SL_TRY(sl_amqp_receive(amqp, &delivery));
        (void)fwrite(delivery.body, 1, delivery.body_bytes, draining->file);
        (void)fputc('\n', draining->file);
        if (at % 500 == 499 || at + 1 == messages) {
            SL_TRY(sl_amqp_ack(amqp, delivery.tag, true));
        }
    }
    draining->messages = messages;
    return sl_scope_close(&scope, sl_amqp_close(amqp));
}

static void what_is_killed_or_reloaded_loses_nothing_untold(void **state)
{
    struct world *world = *state;
    struct draining draining = {.world = world};
    char path[SCRATCH_PATH_MAX + 32];
    assert_int_equal(sl_run(NULL, make_queue, &draining, NULL), 0);
    start_all(world);
    each_fault_again_and_again(world);
    end_all(world);
    compare_files(world, "gaps");
    (void)snprintf(path, sizeof path, "%s/bus", world->exchange.folder.path);
    draining.file = fopen(path, "we");
    assert_non_null(draining.file);
    assert_int_equal(sl_run(NULL, drain_queue, &draining, NULL), 0);
    assert_int_equal(fclose(draining.file), 0);
    for (size_t at = 0; at < REPLICAS; at++) {
        char command[SCRATCH_PATH_MAX + 64];
        (void)snprintf(command, sizeof command, "grep '^lost' %s/log", world->replicas[at].server.folder.path);
        (void)!system(command); /* what it could not deliver; nothing where it had to be killed */
    }
    (void)printf("%llu messages in the queue\n", (unsigned long long)draining.messages);
    compare(world, "gaps", path);
}

/* ---- a stale owner ---- */

static int set_up_store(void **state)
{
    struct world *world = NULL;
    if (set_up(state) < 0) {
        return -1;
    }
    world = *state;
    if (own_postgresql_start(&world->postgresql) < 0) {
        return -1;
    }
    world->store = true;
    (void)own_postgresql_ask(&world->postgresql, "ALTER SYSTEM SET track_commit_timestamp = on");
    own_server_stop(&world->postgresql.server, SIGINT);
    for (size_t at = 0; at < REPLICAS; at++) {
        write_config(world, &world->replicas[at]);
    }
    return own_server_start(&world->postgresql.server);
}

/* The tables as the lines of a file sink. */
static const char as_lines[] =
    "COPY (SELECT json_build_object('kind', 'trade', 'venue', venue, 'symbol', symbol, 'id', trade_id, 'price', "
    "price::text, 'quantity', quantity::text, 'taker', taker) FROM trades UNION ALL "
    "SELECT json_build_object('kind', 'book_delta', 'venue', venue, 'symbol', symbol, 'last_id', last_id) "
    "FROM book_deltas UNION ALL SELECT json_build_object('kind', 'book_snapshot', 'venue', venue, 'symbol', symbol, "
    "'last_id', last_id) FROM book_snapshots UNION ALL "
    "SELECT json_build_object('kind', 'gap', 'venue', venue, 'symbol', symbol, 'feed', channel, 'reason', reason, "
    "'from_id', from_id, 'to_id', to_id, 'healed', healed, 'healed_id', coalesce(healed_id, 0)) FROM gaps) TO ";

/*
 * docs/decisions/stale-owners.md: what a replica writes after it was frozen for longer than its leases last is refused by no sink,
 * and need not be: it is true, it doubles no trade, and it replaces nothing that is newer.
 */
static void what_a_stale_owner_writes_is_true(void **state)
{
    struct world *world = *state;
    struct own_postgresql *store = &world->postgresql;
    char command[sizeof as_lines + SCRATCH_PATH_MAX + 64], path[SCRATCH_PATH_MAX + 32];
    start_all(world);
    pause_ms(1500);
    fault_freeze(world, &world->replicas[1]);
    pause_ms(500);
    end_all(world);
    (void)snprintf(command, sizeof command, "grep -q 'of .test. was lost' %s/log",
                   world->replicas[1].server.folder.path);
    assert_int_equal(system(command), 0);
    (void)snprintf(path, sizeof path, "%s/events", store->data);
    (void)snprintf(command, sizeof command, "%s'%s'", as_lines, path);
    assert_string_equal(own_postgresql_ask(store, command), "");
    compare_files(world, "gaps");
    compare(world, "gaps", path);
    /* Trades of that time the heir has had from the venue's history meanwhile: then the late ones found their places taken. */
    const char *late = own_postgresql_ask(store, "SELECT count(*) FROM book_deltas WHERE extract(epoch FROM "
                                                 "pg_xact_commit_timestamp(xmin)) - venue_time_ns / 1e9 > 3");
    (void)printf("changes that an owner wrote that had been none for long: %s\n", late);
    assert_true(late[0] >= '1' && late[0] <= '9');
    assert_string_equal(own_postgresql_ask(store,
                                           "SELECT count(*) - count(DISTINCT (venue, symbol, channel, trade_id)) "
                                           "FROM trades"),
                        "0");
    assert_string_equal(
        own_postgresql_ask(store,
                           "SELECT count(*) FROM (SELECT 1 FROM book_deltas GROUP BY venue, symbol, last_id HAVING "
                           "count(DISTINCT (first_id, bids::text, asks::text)) > 1) AS differ"),
        "0");
}

/* ---- the dashboards ---- */

static void prepare_browser(void)
{
    assert_int_equal(system("cd " SL_TEST_SOURCE_DIR " && scripts/fetch-npm browser tests/browser"), 0);
    assert_int_equal(setenv("NODE_PATH", SL_TEST_SOURCE_DIR "/build/npm/browser/node_modules", 1), 0);
}

/* Each of those that run shows in a browser who owns what: tests/browser/replicas.js. */
static void browse(const struct world *world, const char *name)
{
    char command[2048];
    size_t size = (size_t)snprintf(command, sizeof command,
                                   "node " SL_TEST_SOURCE_DIR "/tests/browser/replicas.js " SL_TEST_BUILD_DIR
                                   "/screenshots %s %d",
                                   name, PARTITIONS);
    for (size_t at = 0; at < REPLICAS; at++) {
        const struct own_server *server = &world->replicas[at].server;
        if (server->pid != 0) {
            size += (size_t)snprintf(command + size, sizeof command - size, " http://127.0.0.1:%d", server->port);
        }
    }
    assert_int_equal(system(command), 0);
}

static void each_dashboard_shows_who_owns_what(void **state)
{
    struct world *world = *state;
    double took = 0;
    prepare_browser();
    start_all(world);
    browse(world, "three");
    assert_int_equal(end(&world->replicas[2], SIGKILL, &took), 128 + SIGKILL);
    wait_until_settled(world);
    browse(world, "one-killed");
    start(&world->replicas[2]);
    wait_until_settled(world);
    browse(world, "three-again");
    end_all(world);
    compare_files(world, "gaps");
}

/* One process without Redis: what it missed between two lives is told, from where its sinks were. */
static void restart_alone(struct world *world, int signal, int status)
{
    struct replica *replica = &world->replicas[0];
    double took = 0;
    for (int life = 0; life < LIVES; life++) {
        write_config(world, replica);
        start(replica);
        pause_ms(2500);
        if (life + 1 < LIVES) {
            assert_int_equal(end(replica, signal, &took), status);
            pause_ms(500);
        }
    }
    end_all(world);
}

static int set_up_local(void **state)
{
    int code = set_up(state);
    if (code == 0) {
        struct world *world = *state;
        world->local = true;
    }
    return code;
}

static void a_process_alone_tells_exactly_what_it_missed(void **state)
{
    restart_alone(*state, SIGTERM, 143);
    compare_files(*state, "exact");
}

static void a_process_alone_that_is_killed_tells_at_least_what_it_missed(void **state)
{
    struct world *world = *state;
    restart_alone(world, SIGKILL, 128 + SIGKILL);
    compare_files(world, "gaps");
    /* Of a gap whose beginning nobody knows nobody counts the trades. */
    const char *log = own_server_read(&world->replicas[0].server, "log", world->answer, sizeof world->answer);
    const char *told = strstr(log, " gaps with ");
    assert_non_null(told);
    assert_true(strtod(told + strlen(" gaps with "), NULL) < 20000);
}

/* With on_loss: continue the lease may be lost, but not an event. */
static void without_redis_it_goes_on_if_that_is_wanted(void **state)
{
    struct world *world = *state;
    struct replica *replica = &world->replicas[0];
    world->go_on = true;
    write_config(world, replica);
    start(replica);
    wait_until_settled(world);
    own_server_stop(&world->redis, SIGKILL);
    for (int look = 0; look < LOOKS && count_of(get(world, replica, "/api/partitions"), "\"leaving\"") < PARTITIONS;
         look++) {
        pause_ms(20);
    }
    assert_int_equal(count_of(get(world, replica, "/api/partitions"), "\"leaving\""), PARTITIONS);
    pause_ms(500);
    assert_int_equal(own_server_start(&world->redis), 0);
    wait_until_settled(world);
    end_all(world);
    compare_files(world, "strict");
}

SL_TEST_MAIN(cmocka_unit_test_setup_teardown(a_rolling_restart_loses_nothing, set_up, tear_down),
             cmocka_unit_test_setup_teardown(what_is_killed_or_reloaded_loses_nothing_untold, set_up_bus, tear_down),
             cmocka_unit_test_setup_teardown(what_a_stale_owner_writes_is_true, set_up_store, tear_down),
             cmocka_unit_test_setup_teardown(each_dashboard_shows_who_owns_what, set_up, tear_down),
             cmocka_unit_test_setup_teardown(a_process_alone_tells_exactly_what_it_missed, set_up_local, tear_down),
             cmocka_unit_test_setup_teardown(a_process_alone_that_is_killed_tells_at_least_what_it_missed, set_up_local,
                                             tear_down),
             cmocka_unit_test_setup_teardown(without_redis_it_goes_on_if_that_is_wanted, set_up, tear_down))
