/* SPDX-License-Identifier: MIT */
/*
 * Random operations on streams over the simulated network: whatever order they come in, bytes arrive in order and
 * unharmed, waits end at their deadlines, and nothing is left at the end.
 */
#include <stdlib.h>
#include <string.h>

#include "sluice/memory.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"
#include "sluice/simulation.h"

#define PAIRS 4
#define STEPS_MAX 400
#define PORT 80
#define WAIT SL_MILLISECONDS(200)
#define STUCK SL_SECONDS(86400)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

/* Both ends of a connection; end i has sent the bytes 0, 1, 2, ... up to `sent` to the other. */
struct pair {
    sl_stream *ends[2];
    uint8_t sent[2], received[2];
};

struct input {
    const uint8_t *data;
    size_t left;
    struct pair pairs[PAIRS];
    sl_listener *listener;
};

static uint8_t take(struct input *input)
{
    if (input->left == 0) {
        return 0;
    }
    input->left--;
    return *input->data++;
}

static void check(int condition)
{
    if (!condition) {
        abort();
    }
}

static void close_pair(struct pair *pair)
{
    sl_stream_close(pair->ends[0]);
    sl_stream_close(pair->ends[1]);
    *pair = (struct pair){{NULL, NULL}, {0, 0}, {0, 0}};
}

/* ---- operations; their codes do not matter ---- */

/* Accepts until it is the connection that comes from `client`. */
static int accept_from(struct input *input, const sl_stream *client, sl_stream **ret_stream)
{
    char from[SL_ADDRESS_TEXT_BYTES];
    char peer[SL_ADDRESS_TEXT_BYTES];
    sl_stream_local(client, from, sizeof from);
    for (;;) {
        sl_stream *stream = NULL;
        SL_TRY(sl_listener_accept(input->listener, &stream));
        sl_stream_peer(stream, peer, sizeof peer);
        if (strcmp(from, peer) == 0) {
            *ret_stream = stream;
            return 0;
        }
        sl_stream_close(stream);
    }
}

static int do_connect(struct input *input, struct pair *pair)
{
    close_pair(pair);
    SL_TRY(sl_connect("other", PORT, &pair->ends[0]));
    return accept_from(input, pair->ends[0], &pair->ends[1]);
}

static int do_write(struct pair *pair, int side, size_t bytes)
{
    uint8_t buffer[256];
    for (size_t i = 0; i < bytes; i++) {
        buffer[i] = (uint8_t)(pair->sent[side] + i);
    }
    int code = pair->ends[side] == NULL ? 0 : sl_stream_write(pair->ends[side], buffer, bytes);
    pair->sent[side] = (uint8_t)(pair->sent[side] + bytes); /* after a failure nothing more can be sent */
    return code;
}

static int do_read(struct pair *pair, int side, size_t room)
{
    uint8_t buffer[256];
    size_t bytes = 0;
    if (pair->ends[side] == NULL) {
        return 0;
    }
    SL_TRY(sl_stream_read(pair->ends[side], buffer, room, &bytes));
    for (size_t i = 0; i < bytes; i++) {
        check(buffer[i] == pair->received[side]++);
    }
    return 0;
}

static int do_link(uint8_t how)
{
    struct sl_link_options options = {
        .latency = SL_MILLISECONDS(how & 7),
        .jitter = (how & 8) != 0 ? SL_MILLISECONDS(5) : 0,
        .bytes_per_second = (how & 16) != 0 ? 10000 : 0,
        .buffer_bytes = (how & 32) != 0 ? 50 : 0,
        .chunk_bytes = (how & 64) != 0 ? 3 : 0,
        .cut = (how & 128) != 0 ? 0.1 : 0,
    };
    return sl_network_link(NULL, NULL, &options);
}

static void do_close(struct pair *pair, int side, bool reset)
{
    if (reset && pair->ends[side] != NULL) {
        sl_stream_reset(pair->ends[side]);
    } else {
        sl_stream_close(pair->ends[side]);
    }
    pair->ends[side] = NULL;
}

static int do_shutdown(const struct pair *pair, int side)
{
    return pair->ends[side] == NULL ? 0 : sl_stream_shutdown(pair->ends[side]);
}

static int step(struct input *input)
{
    uint8_t what = take(input);
    uint8_t how = take(input);
    struct pair *pair = &input->pairs[what >> 6];
    int side = (what >> 5) & 1;
    switch (what & 15) {
    case 0:
    case 1:
        return do_connect(input, pair);
    case 2:
    case 3:
        return do_write(pair, side, how);
    case 4:
    case 5:
        return do_read(pair, side, (size_t)how + 1);
    case 6:
        return do_shutdown(pair, side);
    case 7:
        do_close(pair, side, (how & 1) != 0);
        return 0;
    case 8:
        return do_link(how);
    case 9:
        return sl_network_partition(NULL, NULL);
    case 10:
        return sl_network_heal(NULL, NULL);
    case 11:
        return sl_network_cut(NULL, NULL, (enum sl_cut)(how & 3));
    case 12:
        return sl_sleep(SL_MILLISECONDS(how));
    case 13:
        return sl_sleep(SL_SECONDS((sl_time)how * 10)); /* past everybody's patience */
    case 14:
        return sl_network_chaos(
            &(struct sl_chaos_options){.every = SL_MILLISECONDS(20), .duration = SL_SECONDS(how + 1)});
    default:
        return sl_network_chaos(NULL);
    }
}

static int play(void *arg)
{
    struct input *input = arg;
    SL_SCOPE(scope, .timeout = STUCK);
    SL_TRY(sl_network_simulate());
    SL_TRY(sl_network_host("other", NULL));
    SL_TRY(sl_network_enter("other"));
    SL_TRY(sl_listener_open("0.0.0.0", PORT, &input->listener));
    SL_TRY(sl_network_enter(SL_NETWORK_HOME));
    for (int i = 0; i < STEPS_MAX && input->left > 0; i++) {
        sl_time start = sl_now();
        SL_SCOPE(limit, .timeout = (input->data[0] & 15) == 13 ? 0 : WAIT);
        int code = sl_scope_close(&limit, step(input));
        check(code != SL_ECANCELED && sl_now() - start <= SL_SECONDS(2550));
    }
    for (int i = 0; i < PAIRS; i++) {
        close_pair(&input->pairs[i]);
    }
    sl_listener_close(input->listener);
    check(sl_network_counts_get().open == 0);
    return sl_scope_wait(&scope);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct input input = {.data = data, .left = size_bytes};
    struct sl_simulation_options simulation = {.seed = size_bytes > 0 ? data[0] : 0};
    struct sl_run_options options = {.simulation = &simulation, .watchdog = SL_NEVER, .log = sl_log_nothing};
    int64_t held = sl_memory_held();
    check(sl_run(&options, play, &input, NULL) == 0);
    check(sl_memory_held() == held);
    return 0;
}
