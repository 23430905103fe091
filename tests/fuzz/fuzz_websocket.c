/* SPDX-License-Identifier: MIT */
/*
 * A WebSocket, either side, with and without compression, whose peer sends anything. The first byte chooses the
 * side and the extension, the second how the bytes are cut; the rest is what the peer sends.
 */
#include "fuzz_run.h"
#include "sluice/ws.h"
#include "ws/ws.h"

#define MESSAGE_BYTES_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static int receive_all(sl_ws *ws)
{
    struct sl_ws_message message;
    int code;
    while ((code = sl_ws_receive(ws, &message)) == 0) {
        if (message.size_bytes > MESSAGE_BYTES_MAX ||
            (message.kind == SL_WS_TEXT && !sl_utf8_valid(message.data, message.size_bytes))) {
            abort();
        }
        code = sl_ws_send(ws, message.kind, message.data, message.size_bytes);
        if (code < 0 && code != SL_EPIPE && code != SL_ECONNRESET) {
            abort();
        }
    }
    if (sl_ws_receive(ws, &message) != code) { /* an end is for ever */
        abort();
    }
    return code == SL_ECANCELED ? code : 0;
}

static int session(void *arg)
{
    struct fuzz_input *input = arg;
    uint8_t how = fuzz_byte(input);
    struct fuzz_writer writer = {.chunk_bytes = fuzz_byte(input)};
    writer.input = *input;
    sl_stream *ours = NULL;
    SL_TRY(sl_stream_memory_pair(4096, &ours, &writer.stream));
    sl_auto(sl_stream) *theirs = writer.stream;
    struct sl__ws_agreed agreed = {.on = (how & 2) != 0,
                                   .client_no_context_takeover = (how & 4) != 0,
                                   .server_no_context_takeover = (how & 8) != 0,
                                   .client_max_window_bits = (how & 16) != 0 ? 9 : 15,
                                   .server_max_window_bits = (how & 32) != 0 ? 9 : 15};
    struct sl_ws_options options = {.message_bytes_max = MESSAGE_BYTES_MAX};
    sl_auto(sl_ws) *ws = NULL;
    int code = sl__ws_new(ours, (how & 1) != 0, &options, &agreed, "", &ws);
    if (code < 0) {
        sl_stream_close(ours);
        return code;
    }
    SL_SCOPE(scope, .timeout = FUZZ_PATIENCE);
    SL_TRY(sl_spawn(&scope, fuzz_write, &writer));
    SL_TRY(sl_spawn(&scope, fuzz_drain, theirs));
    SL_TRY(receive_all(ws));
    sl_ws_free(ws);
    ws = NULL;
    return sl_scope_wait(&scope);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct fuzz_input input = {data, size_bytes};
    fuzz_run(session, &input);
    return 0;
}
