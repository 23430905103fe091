/* SPDX-License-Identifier: MIT */
/*
 * WebSocket sessions (connect, upgrade, messages, close) over the simulated network with faults of all kinds, a
 * seed each: every session ends by itself, with an error that is known, and nothing is left behind.
 *
 * The second case does the same over TLS: a cut must never look like the end of a message.
 *
 * SL_SIMULATE_SEEDS: how many (100; ./dev simulate has more). SL_SIMULATE_SEED: the first one (1).
 */
#include <stdlib.h>
#include <string.h>

#include "sl_test.h"
#include "sluice/memory.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"
#include "sluice/simulation.h"
#include "sluice/ws.h"
#include "tls_pair.h"

#define SEEDS UINT64_C(100)
#define CLIENTS 3
#define MESSAGES 12
#define MESSAGE_BYTES_MAX 20000
#define END_OF_TIME SL_SECONDS(86400) /* virtual: who is there then hangs */
#define SERVER_PORT 443
#define VENUE "server.test" /* which the certificate is for */

enum outcome { WELL, CUT, TIMED_OUT, OUTCOMES };

struct world {
    sl_listener *listener;
    bool tls;
    sl_tls_config *of_server, *of_client; /* NULL: in the clear */
    unsigned clients[OUTCOMES], servers[OUTCOMES];
    int unknown; /* a code that nobody should see, or 0 */
    const char *who;
    uint64_t trace;
    struct sl_network_counts counts;
    size_t left_open;
};

static void note_end(struct world *world, unsigned *outcomes, const char *who, int code)
{
    switch (code) {
    case 0:
    case SL_EOF:
        outcomes[WELL]++;
        return;
    case SL_ECONNRESET:
    case SL_EPIPE:
    case -ECONNREFUSED:
        outcomes[CUT]++;
        return;
    case SL_ETIMEDOUT:
        outcomes[TIMED_OUT]++;
        return;
    case SL_ECANCELED:
        return;
    default:
        world->unknown = code;
        world->who = who;
    }
}

/* ---- the server ---- */

static int echo(sl_ws *ws)
{
    struct sl_ws_message message;
    int code;
    while ((code = sl_ws_receive(ws, &message)) == 0) {
        SL_TRY(sl_ws_send(ws, message.kind, message.data, message.size_bytes));
    }
    return code;
}

static int handle(void *arg, sl_http_exchange *exchange)
{
    struct world *world = arg;
    sl_auto(sl_ws) *ws = NULL;
    struct sl_ws_options options = {.deflate.on = true};
    int code = sl_ws_accept_with(exchange, &options, &ws);
    if (code == 0) {
        code = echo(ws);
    }
    note_end(world, world->servers, "the server", code);
    return code == SL_ECANCELED ? code : 0;
}

static int serve(void *arg)
{
    struct world *world = arg;
    return sl_http_serve_with(
        world->listener, &(struct sl_http_server_options){.handler = handle, .arg = world, .tls = world->of_server});
}

/* ---- the clients ---- */

static void fill(char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        text[i] = (char)('a' + sl_random() % 3);
    }
}

static int one_message(sl_ws *ws, char *text)
{
    size_t bytes = sl_random() % 3 == 0 ? sl_random() % MESSAGE_BYTES_MAX : sl_random() % 200;
    struct sl_ws_message message;
    fill(text, bytes);
    SL_TRY(sl_ws_send(ws, SL_WS_TEXT, text, bytes));
    SL_TRY(sl_ws_receive(ws, &message));
    if (message.size_bytes != bytes || memcmp(message.data, text, bytes) != 0) {
        return SL_EPROTO;
    }
    return sl_sleep(SL_MILLISECONDS(sl_random() % 500));
}

static int session(const struct world *world, char *text)
{
    sl_auto(sl_ws) *ws = NULL;
    bool tls = world->of_client != NULL;
    struct sl_ws_options options = {.url = tls ? "wss://" VENUE "/stream" : "ws://" VENUE ":443/stream",
                                    .tls = world->of_client,
                                    .deflate.on = sl_random() % 2 == 0};
    SL_TRY(sl_ws_connect_with(&options, &ws));
    for (int i = 0; i < MESSAGES; i++) {
        SL_TRY(one_message(ws, text));
    }
    return sl_ws_close(ws, 1000, "done");
}

static int client(void *arg)
{
    struct world *world = arg;
    char *text = sl_malloc(MESSAGE_BYTES_MAX);
    if (text == NULL) {
        return SL_ENOMEM;
    }
    int code = session(world, text);
    sl_free(text);
    note_end(world, world->clients, "a client", code);
    return code == SL_ECANCELED ? code : 0;
}

static int all_clients(void *arg)
{
    struct world *world = arg;
    SL_SCOPE(scope);
    for (int i = 0; i < CLIENTS; i++) {
        SL_TRY(sl_spawn(&scope, client, world));
    }
    SL_TRY(sl_scope_wait(&scope));
    sl_listener_close(world->listener);
    world->listener = NULL;
    return 0;
}

/* ---- a run ---- */

static int build_world(struct world *world)
{
    uint64_t drawn = sl_random();
    struct sl_link_options link = {
        .latency = SL_MICROSECONDS(drawn % 80000),
        .jitter = SL_MICROSECONDS(drawn % 9000),
        .bytes_per_second = drawn % 3 == 0 ? 0 : 5000 + drawn % 500000,
        .buffer_bytes = drawn / 3 % 2 == 0 ? 0 : 1 + drawn % 3000,
        .chunk_bytes = drawn / 6 % 2 == 0 ? 0 : 1 + drawn % 1000,
        .refuse = 0.03,
        .ignore = 0.03,
        .cut = drawn / 12 % 2 == 0 ? 0 : 0.002,
        .cut_after_bytes = drawn / 24 % 4 == 0 ? 1 + drawn % 50000 : 0,
    };
    struct sl_chaos_options chaos = {.every = SL_MILLISECONDS(50 + drawn % 5000), .duration = SL_SECONDS(60)};
    SL_TRY(sl_network_simulate());
    SL_TRY(sl_network_host(VENUE, NULL));
    SL_TRY(sl_network_link(NULL, NULL, &link));
    SL_TRY(sl_network_chaos(&chaos));
    SL_TRY(sl_network_enter(VENUE));
    SL_TRY(sl_listener_open("0.0.0.0", SERVER_PORT, &world->listener));
    return 0;
}

static int play(struct world *world)
{
    SL_TRY(build_world(world));
    SL_SCOPE(scope, .timeout = END_OF_TIME);
    SL_TRY(sl_spawn(&scope, serve, world)); /* on the venue's host */
    SL_TRY(sl_network_enter(SL_NETWORK_HOME));
    SL_TRY(sl_spawn(&scope, all_clients, world));
    return sl_scope_wait(&scope);
}

static int play_a_run(void *arg)
{
    struct world *world = arg;
    struct sl_tls_options of_server = tls_server_options(TLS_SERVER);
    struct sl_tls_options of_client = tls_client_options();
    if (world->tls) {
        SL_TRY(sl_tls_config_open(&of_server, &world->of_server));
        SL_TRY(sl_tls_config_open(&of_client, &world->of_client));
    }
    int code = play(world);
    sl_tls_config_free(world->of_server);
    sl_tls_config_free(world->of_client);
    sl_listener_close(world->listener);
    world->listener = NULL;
    world->counts = sl_network_counts_get();
    world->left_open = world->counts.open;
    world->trace = sl_network_trace();
    return code;
}

static int run_seed(uint64_t seed, bool tls, struct world *ret_world, sl_error **reterr_error)
{
    struct sl_simulation_options simulation = {.seed = seed};
    struct sl_run_options options = {
        .simulation = &simulation, .shuffle_seed = seed, .watchdog = SL_NEVER, .log = sl_log_nothing};
    *ret_world = (struct world){.tls = tls};
    return sl_run(&options, play_a_run, ret_world, reterr_error);
}

/* True when the seed ended as it should; prints why not, and how to get it again. */
static bool seed_is_good(uint64_t seed, bool tls, struct world *total)
{
    struct world world;
    sl_error *error = NULL;
    int64_t held = sl_memory_held();
    int code = run_seed(seed, tls, &world, &error);
    char story[1024] = "";
    (void)sl_error_print(error, story, sizeof story);
    sl_error_unref(error);
    bool good = code == 0 && world.unknown == 0 && world.left_open == 0 && sl_memory_held() == held;
    if (!good) {
        print_error("SL_SIMULATE_SEED=%llu: the run gave %s, %s got %s, %zu connections and %lld allocations are "
                    "left\n%s\n",
                    (unsigned long long)seed, sl_error_name(code), world.unknown == 0 ? "nobody" : world.who,
                    sl_error_name(world.unknown), world.left_open, (long long)(sl_memory_held() - held), story);
    }
    for (int i = 0; i < OUTCOMES; i++) {
        total->clients[i] += world.clients[i];
        total->servers[i] += world.servers[i];
    }
    total->counts.bytes += world.counts.bytes;
    return good;
}

static void sessions(bool tls)
{
    uint64_t first = sl_test_number("SL_SIMULATE_SEED", 1);
    uint64_t seeds = sl_test_number("SL_SIMULATE_SEEDS", getenv("SL_SIMULATE_SEED") == NULL ? SEEDS : 1);
    struct world total = {.unknown = 0};
    uint64_t bad = 0;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        bad += !seed_is_good(seed, tls, &total);
    }
    print_message("%llu seeds, %llu bad; clients: %u well, %u cut, %u timed out; server: %u, %u, %u; %llu bytes\n",
                  (unsigned long long)seeds, (unsigned long long)bad, total.clients[WELL], total.clients[CUT],
                  total.clients[TIMED_OUT], total.servers[WELL], total.servers[CUT], total.servers[TIMED_OUT],
                  (unsigned long long)total.counts.bytes);
    assert_int_equal(bad, 0);
    if (seeds >= SEEDS) { /* there was something to see */
        assert_true(total.clients[WELL] > seeds / 4 && total.clients[CUT] > seeds / 4);
        assert_true(total.clients[TIMED_OUT] > 0);
    }
}

static void sessions_with_faults(void **state)
{
    (void)state;
    sessions(false);
}

/* Keys and signatures come from OpenSSL's own randomness: these runs are not the same each time, down to the byte. */
static void sessions_over_tls_with_faults(void **state)
{
    (void)state;
    sessions(true);
}

static void same_seed_same_session(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world one;
        struct world other;
        assert_int_equal(run_seed(seed, false, &one, NULL), 0);
        assert_int_equal(run_seed(seed, false, &other, NULL), 0);
        assert_true(one.trace == other.trace);
    }
}

SL_TEST_MAIN(cmocka_unit_test(sessions_with_faults), cmocka_unit_test(sessions_over_tls_with_faults),
             cmocka_unit_test(same_seed_same_session))
