/* SPDX-License-Identifier: MIT */
/*
 * A small protocol over the simulated network with faults of all kinds: it ends, in each seed, with an error that
 * is known, and leaves nothing behind; the same seed gives the same run; so does each way out of it: a failed
 * allocation, a cancellation wherever it waits.
 */
#include <string.h>

#include "cancel_steps.h"
#include "sl_conformance.h"
#include "sluice/memory.h"
#include "sluice/simulation.h"

#define CLIENTS 4
#define MESSAGES 20
#define RUNS_A_SEED 5
#define PORT 80
#define END_OF_TIME SL_SECONDS(86400) /* of a run: whoever lives then hangs */
#define PATIENCE SL_SECONDS(60)

struct world {
    sl_scope *scope;
    sl_listener *listener;
    uint64_t seed;
    bool patient;      /* it does without timeouts */
    int unknown;       /* a code that nobody expects, or 0 */
    unsigned ended[3]; /* well, cut, timed out */
};

struct peer {
    struct world *world;
    sl_stream *stream;
};

static void note_end(struct world *world, int code)
{
    switch (code) {
    case 0:
    case SL_EOF:
        world->ended[0]++;
        return;
    case SL_ECONNRESET:
    case SL_EPIPE:
    case -ECONNREFUSED:
        world->ended[1]++;
        return;
    case SL_ETIMEDOUT:
        world->ended[2]++;
        return;
    case SL_ECANCELED:
        return;
    default:
        world->unknown = code;
    }
}

/* Messages: a length byte, then as many bytes of its value. */
static int read_message(sl_stream *stream, unsigned char *ret_length)
{
    struct sl_view view;
    SL_TRY(sl_stream_peek(stream, 1, &view));
    unsigned char length = (unsigned char)view.data[0];
    SL_TRY(sl_stream_peek(stream, 1 + (size_t)length, &view));
    for (unsigned i = 0; i <= length; i++) {
        if ((unsigned char)view.data[i] != length) {
            return SL_EPROTO;
        }
    }
    sl_stream_consume(stream, 1 + (size_t)length);
    *ret_length = length;
    return 0;
}

static int write_message(sl_stream *stream, unsigned char length)
{
    char message[256];
    memset(message, length, sizeof message);
    return sl_stream_write(stream, message, 1 + (size_t)length);
}

static int echo(sl_stream *stream)
{
    unsigned char length = 0;
    int code;
    while ((code = read_message(stream, &length)) == 0) {
        SL_TRY(write_message(stream, length));
    }
    return code;
}

static int serve_one(void *arg)
{
    struct peer *peer = arg;
    SL_SCOPE(limit, .timeout = peer->world->patient ? 0 : PATIENCE);
    int code = sl_scope_close(&limit, echo(peer->stream));
    note_end(peer->world, code);
    sl_stream_close(peer->stream);
    sl_free(peer);
    return code == SL_ENOMEM ? code : 0;
}

static int serve(void *arg)
{
    struct world *world = arg;
    for (;;) {
        struct peer *peer = sl_calloc(1, sizeof *peer);
        if (peer == NULL) {
            return SL_ENOMEM;
        }
        peer->world = world;
        int code = sl_listener_accept(world->listener, &peer->stream);
        if (code == 0) {
            code = sl_spawn(world->scope, serve_one, peer);
        }
        if (code < 0) {
            sl_stream_close(peer->stream);
            sl_free(peer);
            return code == SL_ECLOSED ? 0 : code;
        }
    }
}

static int talk(sl_stream *stream)
{
    for (int i = 0; i < MESSAGES; i++) {
        unsigned char sent = (unsigned char)sl_random();
        unsigned char got = 0;
        SL_TRY(write_message(stream, sent));
        SL_TRY(read_message(stream, &got));
        if (got != sent) {
            return SL_EPROTO;
        }
        SL_TRY(sl_sleep(SL_MILLISECONDS(sl_random() % 100)));
    }
    return 0;
}

static int client(void *arg)
{
    struct world *world = arg;
    sl_auto(sl_stream) *stream = NULL;
    SL_SCOPE(limit, .timeout = world->patient ? 0 : PATIENCE);
    int code = sl_connect(sl_network_address("server"), PORT, &stream);
    if (code == 0) {
        code = talk(stream);
    }
    if (code == 0) {
        code = sl_stream_shutdown(stream);
    }
    code = sl_scope_close(&limit, code);
    note_end(world, code);
    return code == SL_ENOMEM || code == SL_ECANCELED ? code : 0;
}

static int clients(void *arg)
{
    struct world *world = arg;
    SL_SCOPE(scope);
    for (int i = 0; i < CLIENTS; i++) {
        SL_TRY(sl_spawn(&scope, client, world));
    }
    int code = sl_scope_wait(&scope);
    sl_listener_close(world->listener);
    world->listener = NULL;
    return code;
}

static int build_world(struct world *world, const struct sl_link_options *options, const struct sl_chaos_options *chaos)
{
    SL_TRY(sl_network_simulate());
    SL_TRY(sl_network_host("server", NULL));
    SL_TRY(sl_network_link(NULL, NULL, options));
    SL_TRY(sl_network_chaos(chaos));
    SL_TRY(sl_network_enter("server"));
    SL_TRY(sl_listener_open("0.0.0.0", PORT, &world->listener));
    return sl_network_enter(SL_NETWORK_HOME);
}

static int play(struct world *world, const struct sl_link_options *options, const struct sl_chaos_options *chaos)
{
    int code = build_world(world, options, chaos);
    if (code == 0) {
        SL_SCOPE(scope, .timeout = END_OF_TIME);
        world->scope = &scope;
        code = sl_spawn(&scope, serve, world);
        code = code == 0 ? sl_spawn(&scope, clients, world) : code;
        code = sl_scope_close(&scope, code);
    }
    sl_listener_close(world->listener);
    world->listener = NULL;
    return code;
}

/* Links and faults of a seed. */
static int play_seed(struct world *world)
{
    uint64_t drawn = sl_random();
    struct sl_link_options link = {
        .latency = SL_MICROSECONDS(drawn % 50000),
        .jitter = SL_MICROSECONDS(drawn % 7000),
        .bytes_per_second = drawn % 3 == 0 ? 0 : 1000 + drawn % 100000,
        .buffer_bytes = drawn / 3 % 2 == 0 ? 0 : 1 + drawn % 1000,
        .chunk_bytes = drawn / 6 % 2 == 0 ? 0 : 1 + drawn % 100,
        .refuse = 0.05,
        .ignore = 0.05,
        .cut = drawn / 12 % 2 == 0 ? 0 : 0.005,
        .cut_after_bytes = drawn / 24 % 4 == 0 ? 1 + drawn % 5000 : 0,
    };
    struct sl_chaos_options chaos = {.every = SL_MILLISECONDS(10 + drawn % 2000), .duration = SL_SECONDS(30)};
    return play(world, &link, &chaos);
}

static int play_in_a_run(void *arg)
{
    struct world *world = arg;
    int code = play_seed(world);
    EXPECT(sl_network_counts_get().open == 0);
    uint64_t trace = sl_network_trace();
    world->seed = trace; /* tells its run */
    return code;
}

static int run_seed(const struct sl_run_options *options, uint64_t seed, struct world *ret_world)
{
    struct sl_simulation_options simulation = {.seed = seed};
    struct sl_run_options own = *options;
    own.simulation = &simulation;
    *ret_world = (struct world){.seed = seed};
    return sl_run(&own, play_in_a_run, ret_world, NULL);
}

static unsigned all_ends[3];

C_TEST_RUNS(echo_with_faults, "every seed ends, with a known error on each side, and leaves nothing", "")
{
    if (options->simulation == NULL) {
        return 0;
    }
    for (uint64_t i = 0; i < RUNS_A_SEED; i++) {
        uint64_t seed = options->simulation->seed * RUNS_A_SEED + i;
        struct world world;
        int code = run_seed(options, seed, &world);
        if (code != 0 || world.unknown != 0) {
            print_error("seed %llu of the network: %s, %s\n", (unsigned long long)seed, sl_error_name(code),
                        sl_error_name(world.unknown));
        }
        CHECK_EQ(code, 0);
        CHECK_EQ(world.unknown, 0);
        for (int k = 0; k < 3; k++) {
            all_ends[k] += world.ended[k];
        }
    }
    if (options->simulation->seed == SL_CONFORMANCE_SEEDS) {
        print_message("%u ends well, %u cut, %u timed out\n", all_ends[0], all_ends[1], all_ends[2]);
        CHECK(all_ends[0] > 100 && all_ends[1] > 100 && all_ends[2] > 10);
    }
    return 0;
}

C_TEST_RUNS(same_seed_same_run, "the trace of a seed is always the same, and no other seed's", "")
{
    if (options->simulation == NULL) {
        return 0;
    }
    struct world one;
    struct world other;
    uint64_t seed = options->simulation->seed + 7;
    CHECK_EQ(run_seed(options, seed, &one), 0);
    CHECK_EQ(run_seed(options, seed, &other), 0);
    CHECK(one.seed == other.seed);
    CHECK_EQ(run_seed(options, seed + 1, &other), 0);
    CHECK(one.seed != other.seed);
    return 0;
}

/* ---- a hang is noticed ---- */

static int play_half_open(void *arg)
{
    struct world *world = arg;
    world->patient = true;
    struct sl_link_options link = {.latency = SL_MILLISECONDS(1), .cut_after_bytes = 500, .cut_how = SL_CUT_SILENT};
    return play(world, &link, NULL);
}

C_TEST_RUNS(hangs_are_found, "who waits without a deadline for a silent peer is there at the end of time", "")
{
    if (options->simulation == NULL) {
        return 0;
    }
    struct world world = {.seed = 0};
    CHECK_EQ(sl_run(options, play_half_open, &world, NULL), SL_ETIMEDOUT);
    return 0;
}

/* ---- ways out ---- */

static int play_quietly(void *arg)
{
    return play(arg, &(struct sl_link_options){.latency = SL_MILLISECONDS(1)}, NULL);
}

C_TEST_RUNS(every_allocation_may_fail, "the n-th allocation fails, for every n: SL_ENOMEM, and nothing is left", "")
{
    if (options->simulation == NULL || options->shuffle_seed > 2) {
        return 0;
    }
    int64_t held = sl_memory_held();
    for (int64_t n = 0;; n++) {
        struct world world = {.seed = 0};
        sl_memory_fail_after(n);
        int code = sl_run(options, play_quietly, &world, NULL);
        int failed = sl_memory_failed();
        sl_memory_fail_after(-1);
        CHECK_EQ(sl_memory_held(), held);
        CHECK(code == 0 || code == SL_ENOMEM);
        CHECK_EQ(world.unknown == SL_ENOMEM ? 0 : world.unknown, 0);
        if (!failed) {
            CHECK(n > 50);
            return code;
        }
    }
}

static int play_afresh(void *arg)
{
    struct world *world = arg;
    *world = (struct world){.seed = 0};
    int code = play_quietly(world);
    EXPECT(world->unknown == 0);
    return code;
}

C_TEST_RUNS(cancelled_anywhere, "cancelled after the n-th step, for every n, it leaves nothing behind", "")
{
    if (options->simulation == NULL || options->shuffle_seed > 2) {
        return 0;
    }
    struct world world;
    CHECK(cancel_at_each_step(options, play_afresh, &world) > 100);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(echo_with_faults), cmocka_unit_test(same_seed_same_run),
             cmocka_unit_test(hangs_are_found), cmocka_unit_test(every_allocation_may_fail),
             cmocka_unit_test(cancelled_anywhere))
