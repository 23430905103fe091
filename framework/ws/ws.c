/* SPDX-License-Identifier: MIT */
/* A WebSocket's life: options, the close handshake seen from the caller, the end. */
#include "ws.h"

#include <string.h>

#include "sluice/runtime.h"
#include "sluice/scope.h"

/* Read and thrown away while the peer is to end the connection. */
#define DISCARD_BYTES ((size_t)4096)

static sl_time time_or(sl_time given, sl_time otherwise)
{
    return given == 0 ? otherwise : given;
}

static size_t size_or(size_t given, size_t otherwise)
{
    return given == 0 ? otherwise : given;
}

static bool bits_ok(int bits)
{
    return bits == 0 || (bits >= 8 && bits <= 15);
}

int sl__ws_check_options(const struct sl_ws_options *options)
{
    const struct sl_ws_deflate *deflate = &options->deflate;
    if (options->message_bytes_max > SIZE_MAX / 4 || options->handshake_timeout < 0 || options->close_timeout < 0 ||
        options->ping_interval < 0 || options->pong_timeout < 0) {
        return sl_fail(SL_EINVAL, "WebSocket options: a size or time out of its range");
    }
    if (!bits_ok(deflate->client_max_window_bits) || !bits_ok(deflate->server_max_window_bits) || deflate->level < 0 ||
        deflate->level > 9) {
        return sl_fail(SL_EINVAL, "WebSocket options: window bits are 8 to 15, the level is 1 to 9");
    }
    return 0;
}

int sl__ws_new(sl_stream *stream, bool server, const struct sl_ws_options *options, const struct sl__ws_agreed *agreed,
               const char *subprotocol, sl_ws **ret_ws)
{
    static const struct sl_ws_options defaults;
    options = options == NULL ? &defaults : options;
    size_t subprotocol_bytes = strlen(subprotocol) + 1;
    sl_ws *ws = sl_calloc(1, sizeof *ws + subprotocol_bytes);
    if (ws == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a WebSocket");
    }
    memcpy(ws->subprotocol, subprotocol, subprotocol_bytes);
    ws->stream = stream;
    ws->server = server;
    ws->masked = server ? SL__WS_MASKED : 0;
    ws->plain = true;
    ws->options = *options;
    ws->agreed = agreed == NULL ? (struct sl__ws_agreed){.on = false} : *agreed;
    struct sl_ws_options *set = &ws->options;
    set->message_bytes_max = size_or(set->message_bytes_max, SL_WS_MESSAGE_BYTES_MAX);
    /* Data that does not compress grows a little. */
    set->frame_bytes_max =
        size_or(set->frame_bytes_max, set->message_bytes_max + (ws->agreed.on ? set->message_bytes_max / 8 + 1024 : 0));
    set->fragments_max = set->fragments_max == 0 ? SL_WS_FRAGMENTS_MAX : set->fragments_max;
    set->close_timeout = time_or(set->close_timeout, SL_WS_CLOSE_TIMEOUT);
    set->ping_interval = time_or(set->ping_interval, SL_WS_PING_INTERVAL);
    set->pong_timeout = time_or(set->pong_timeout, SL_WS_PONG_TIMEOUT);
    size_t quick = set->message_bytes_max < set->frame_bytes_max ? set->message_bytes_max : set->frame_bytes_max;
    ws->quick_bytes_max = (uint16_t)(quick < UINT16_MAX ? quick : UINT16_MAX);
    sl_mutex_init(&ws->sending);
    sl_mutex_init(&ws->writing);
    sl_event_init(&ws->closed);
    *ret_ws = ws;
    return 0;
}

static void release(sl_ws *ws, bool reset)
{
    if (ws == NULL) {
        return;
    }
    if (reset) {
        sl_stream_reset(ws->stream);
    } else {
        sl_stream_close(ws->stream);
    }
    sl__ws_buffer_free(&ws->message);
    sl__inflater_free(ws->inflater);
    sl__deflater_free(ws->deflater);
    sl_free(ws);
}

void sl_ws_free(sl_ws *ws)
{
    release(ws, false);
}

void sl_ws_cut(sl_ws *ws)
{
    release(ws, true);
}

/* ---- closing ---- */

/* Until the peer's close frame has come, or receiving has ended otherwise. */
static int await_close(sl_ws *ws)
{
    while (ws->ended == 0) {
        struct sl_ws_message thrown_away;
        int code = ws->receiving ? sl_event_wait(&ws->closed) : sl_ws_receive(ws, &thrown_away);
        if (code < 0 && ws->ended == 0) {
            return code;
        }
    }
    return ws->ended == SL_EOF ? 0 : ws->ended;
}

/* The server ends the connection first; whatever it still sends does not count. RFC 6455, 7.1.1. */
static int await_end(sl_ws *ws)
{
    int code = 0;
    while (code == 0) {
        struct sl_view view;
        code = sl_stream_peek(ws->stream, 1, &view);
        if (code == 0) {
            sl_stream_consume(ws->stream, view.size_bytes);
        }
    }
    return code == SL_ECANCELED ? code : 0;
}

int sl_ws_close(sl_ws *ws, int code, const char *reason)
{
    sl_scope limit = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(
        &limit, &(struct sl_scope_options){.name = "close", .timeout = ws->options.close_timeout, .move_on = true}));
    int result = sl_ws_send_close(ws, code, reason);
    if (result == 0) {
        result = await_close(ws);
    }
    if (result == 0 && !ws->server) {
        result = await_end(ws);
    }
    int closed = sl_scope_close(&limit, result == SL_ECANCELED ? result : 0);
    if (result != SL_ECANCELED) {
        return result;
    }
    if (closed < 0) {
        return closed;
    }
    return ws->ended == SL_EOF ? 0 : sl_fail(SL_ETIMEDOUT, "WebSocket peer: no answer to the close frame");
}

/* ---- looking ---- */

int sl_ws_close_code(const sl_ws *ws)
{
    return ws->close_code;
}

const char *sl_ws_close_reason(const sl_ws *ws)
{
    return ws->close_reason.data;
}

const char *sl_ws_subprotocol(const sl_ws *ws)
{
    return ws->subprotocol;
}

bool sl_ws_compresses(const sl_ws *ws)
{
    return ws->agreed.on;
}

struct sl_view sl_ws_ahead(const sl_ws *ws)
{
    return (struct sl_view){ws->at, (size_t)(ws->end - ws->at)};
}

const sl_stream *sl_ws_stream(const sl_ws *ws)
{
    return ws->stream;
}

uint64_t sl_ws_pongs(const sl_ws *ws, struct sl_bytes *ret_last)
{
    if (ret_last != NULL) {
        *ret_last = (struct sl_bytes){ws->last_pong.data, ws->last_pong.size_bytes};
    }
    return ws->pongs;
}
