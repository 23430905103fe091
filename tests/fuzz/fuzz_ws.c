/* SPDX-License-Identifier: MIT */
/*
 * WebSocket frames from a peer that sends anything: as client and as server, with and without compression, cut into
 * pieces that the input chooses. Every message that comes out keeps its promises; the end is always a defined one.
 */
#include <stdlib.h>
#include <string.h>

#include "sluice/runtime.h"
#include "sluice/scope.h"
#include "ws/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

#define CAPACITY ((size_t)256 * 1024)
#define SETUP_BYTES 4

struct input {
    const uint8_t *data;
    size_t size_bytes;
    sl_stream *peer;
};

static int write_input(void *arg)
{
    const struct input *input = arg;
    size_t step = input->data[1] == 0 ? input->size_bytes : input->data[1];
    for (size_t at = SETUP_BYTES; at < input->size_bytes;) {
        size_t left = input->size_bytes - at;
        size_t now = step < left ? step : left;
        if (sl_stream_write(input->peer, input->data + at, now) < 0) {
            return 0;
        }
        at += now;
        SL_TRY(sl_checkpoint());
    }
    return sl_stream_shutdown(input->peer);
}

static int read_answers(void *arg)
{
    const struct input *input = arg;
    char some[1024];
    size_t bytes = 0;
    while (sl_stream_read(input->peer, some, sizeof some, &bytes) == 0) {
    }
    return 0;
}

static void check(const struct sl_ws_message *message, const struct sl_ws_options *options)
{
    unsigned long sum = 0;
    for (size_t i = 0; i < message->size_bytes + SL_JSON_PADDING; i++) {
        sum += (unsigned char)message->data[i];
    }
    if (sum > SIZE_MAX / 2 || message->size_bytes > options->message_bytes_max ||
        (message->kind == SL_WS_TEXT && !sl_utf8_valid(message->data, message->size_bytes))) {
        abort();
    }
}

static int receive(void *arg)
{
    struct input *input = arg;
    uint8_t flags = input->data[0];
    struct sl_ws_options options = {.message_bytes_max = 1 + (size_t)input->data[2] * 400, .fragments_max = 50};
    struct sl__ws_agreed agreed = {(flags & 2) != 0, (flags & 4) != 0, (flags & 4) != 0, 8 + input->data[3] % 8,
                                   8 + input->data[3] / 8 % 8};
    sl_stream *stream = NULL;
    sl_ws *ws = NULL;
    SL_TRY(sl_stream_memory_pair(CAPACITY, &stream, &input->peer));
    SL_TRY(sl__ws_new(stream, (flags & 1) != 0, &options, &agreed, "", &ws));
    sl_scope scope = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&scope, NULL));
    SL_TRY(sl_spawn(&scope, write_input, input));
    SL_TRY(sl_spawn(&scope, read_answers, input));
    struct sl_ws_message message;
    int code;
    while ((code = sl_ws_receive(ws, &message)) == 0) {
        check(&message, &options);
    }
    if (code != SL_EOF && code != SL_EPROTO && code != SL_EMSGSIZE && code != SL_ECONNRESET) {
        abort();
    }
    sl_ws_free(ws);
    (void)sl_scope_close(&scope, 0);
    sl_stream_close(input->peer);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct input input = {data, size_bytes, NULL};
    if (size_bytes < SETUP_BYTES) {
        return 0;
    }
    const struct sl_run_options options = {.simulation = &(const struct sl_simulation_options){.seed = 1},
                                           .watchdog = SL_NEVER};
    if (sl_run(&options, receive, &input, NULL) < 0 || sl_memory_held() != 0) {
        abort();
    }
    return 0;
}
