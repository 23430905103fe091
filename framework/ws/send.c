/* SPDX-License-Identifier: MIT */
/*
 * Sending. A server's frame goes to the system as head and payload, uncopied; a client masks through a small
 * buffer. `sending` keeps messages apart, `writing` frames, so that control frames pass between fragments.
 * Sources: RFC 6455, sections 5 and 7; RFC 7692, section 6.1.
 */
#include <string.h>

#include "sluice/runtime.h"
#include "ws.h"

/* A client's frame up to this size is masked on the stack, a longer one through a buffer of the other size. */
#define STACK_BYTES 1024
#define MASK_BYTES ((size_t)32 * 1024)

/* ---- frames ---- */

/* Masks and writes in pieces; `head` goes before the first one. Nothing is sent when memory is short. */
static int write_masked(sl_ws *ws, const unsigned char *head, size_t head_bytes, const char *data, size_t size_bytes)
{
    const uint8_t *key = head + head_bytes - SL__WS_KEY_BYTES;
    char small[STACK_BYTES];
    char *large = NULL;
    if (size_bytes > sizeof small && (large = sl_malloc(MASK_BYTES)) == NULL) {
        return sl_fail(SL_ENOMEM, "no memory to mask a WebSocket frame");
    }
    char *buffer = large == NULL ? small : large;
    struct sl_bytes pieces[2] = {{head, head_bytes}, {buffer, 0}};
    int code = 0;
    size_t at = 0;
    do {
        size_t now = size_bytes - at < MASK_BYTES ? size_bytes - at : MASK_BYTES;
        sl__ws_mask(buffer, data + at, now, key, at);
        pieces[1].size_bytes = now;
        code = sl_stream_write_pieces(ws->stream, at == 0 ? pieces : pieces + 1, at == 0 ? 2 : 1);
        at += now;
    } while (code == 0 && at < size_bytes);
    sl_free(large);
    return code;
}

/* One frame; `writing` is held. */
static int write_frame(sl_ws *ws, uint8_t first, const void *data, size_t size_bytes)
{
    unsigned char head[SL__WS_HEAD_BYTES_MAX];
    if (!ws->server) {
        uint64_t random = sl_random();
        uint8_t key[SL__WS_KEY_BYTES];
        memcpy(key, &random, sizeof key);
        size_t head_bytes = sl__ws_head_make(head, first, key, size_bytes);
        return write_masked(ws, head, head_bytes, data, size_bytes);
    }
    struct sl_bytes pieces[2] = {{head, sl__ws_head_make(head, first, NULL, size_bytes)}, {data, size_bytes}};
    return sl_stream_write_pieces(ws->stream, pieces, 2);
}

/* Lets go of `writing`; what receiving could not send meanwhile goes first. */
static int unlock_frames(sl_ws *ws, int code)
{
    while (code == 0 && !ws->close_sent && (ws->pong_waits || ws->ping_waits)) {
        struct sl__ws_control control = {0};
        uint8_t opcode = ws->pong_waits ? SL__WS_PONG : SL__WS_PING;
        if (ws->pong_waits) {
            control = ws->pong;
            ws->pong_waits = false;
        } else {
            ws->ping_waits = false;
        }
        code = write_frame(ws, SL__WS_FIN | opcode, control.data, control.size_bytes);
    }
    (void)sl_mutex_unlock(&ws->writing);
    return code;
}

static int closing(void)
{
    return sl_fail(SL_EPIPE, "the WebSocket is closing");
}

static int send_frame(sl_ws *ws, uint8_t first, const void *data, size_t size_bytes)
{
    SL_TRY(sl_mutex_lock(&ws->writing));
    if (ws->close_sent) {
        (void)sl_mutex_unlock(&ws->writing);
        return closing();
    }
    return unlock_frames(ws, write_frame(ws, first, data, size_bytes));
}

/* ---- control frames ---- */

/*
 * Receiving must not wait behind a writer whose peer does not read: that peer may wait for us to read. Only the last
 * ping needs an answer: RFC 6455, 5.5.3.
 */
int sl__ws_send_control(sl_ws *ws, uint8_t opcode, const void *data, size_t size_bytes)
{
    if (ws->close_sent || ws->broken) {
        return 0;
    }
    int code = sl_mutex_try_lock(&ws->writing);
    if (code == SL_EAGAIN || code == SL_EBROKEN) {
        if (opcode == SL__WS_PONG) {
            ws->pong.size_bytes = (uint8_t)size_bytes;
            memcpy(ws->pong.data, data, size_bytes);
        }
        ws->pong_waits |= opcode == SL__WS_PONG;
        ws->ping_waits |= opcode == SL__WS_PING;
        return 0;
    }
    SL_TRY(code);
    code = unlock_frames(ws, write_frame(ws, SL__WS_FIN | opcode, data, size_bytes));
    /* A peer that does not read any more may still have sent something: receiving finds the end itself. */
    return code == SL_EPIPE || code == SL_ECONNRESET ? 0 : code;
}

int sl_ws_ping(sl_ws *ws, const void *data, size_t size_bytes)
{
    if (size_bytes > SL__WS_CONTROL_BYTES_MAX) {
        return sl_fail(SL_EINVAL, "a ping of more than %d bytes", SL__WS_CONTROL_BYTES_MAX);
    }
    return send_frame(ws, SL__WS_FIN | SL__WS_PING, data, size_bytes);
}

int sl_ws_send_close(sl_ws *ws, int code, const char *reason)
{
    size_t length = reason == NULL ? 0 : strlen(reason);
    if ((code != 0 && !sl__ws_close_code_ok(code)) || length > SL_WS_REASON_BYTES_MAX || (code == 0 && length > 0) ||
        !sl__utf8_whole(reason, length)) {
        return sl_fail(SL_EINVAL, "not a code and reason for a close frame: %d", code);
    }
    unsigned char payload[SL__WS_CONTROL_BYTES_MAX] = {(unsigned char)(code >> 8), (unsigned char)code};
    if (length > 0) {
        memcpy(payload + 2, reason, length);
    }
    SL_TRY(sl_mutex_lock(&ws->writing));
    int result = 0;
    if (!ws->close_sent) {
        ws->close_sent = true; /* nothing may follow, not even after half of it */
        result = write_frame(ws, SL__WS_FIN | SL__WS_CLOSE, payload, code == 0 ? 0 : length + 2);
    }
    return unlock_frames(ws, result);
}

/* ---- messages ---- */

static bool sends_part(const sl_ws *ws)
{
    return ws->message_begun && ws->sending.owner.task == sl_current();
}

static int open_deflater(sl_ws *ws)
{
    if (ws->deflater != NULL) {
        return 0;
    }
    const struct sl__ws_agreed *agreed = &ws->agreed;
    bool keep = ws->server ? !agreed->server_no_context_takeover : !agreed->client_no_context_takeover;
    return sl__deflater_new(ws->server ? agreed->server_max_window_bits : agreed->client_max_window_bits, keep,
                            ws->options.deflate.level, &ws->deflater);
}

static int begin_message(sl_ws *ws, enum sl_ws_kind kind, size_t size_bytes, bool last)
{
    SL_TRY(sl_mutex_lock(&ws->sending));
    int code = ws->close_sent ? closing() : ws->broken ? sl_fail(SL_EPIPE, "an earlier message was not finished") : 0;
    bool compress = ws->agreed.on && (!last || (size_bytes > 0 && size_bytes >= ws->options.deflate.threshold_bytes));
    if (code == 0 && compress) {
        code = open_deflater(ws);
    }
    if (code < 0) {
        (void)sl_mutex_unlock(&ws->sending);
        return code;
    }
    ws->message_begun = true;
    ws->message_compressed = compress;
    ws->message_first = (uint8_t)(kind | (compress ? SL__WS_RSV1 : 0u));
    return 0;
}

static int send_fragment(sl_ws *ws, const void *data, size_t size_bytes, bool last)
{
    uint8_t first = ws->message_first;
    int code = send_frame(ws, (uint8_t)(first | (last ? SL__WS_FIN : 0u)), data, size_bytes);
    ws->broken |= code < 0 && (code != SL_ENOMEM || first == SL__WS_CONTINUATION);
    ws->message_first = SL__WS_CONTINUATION;
    return code;
}

static int send_compressed(sl_ws *ws, const char *data, size_t size_bytes, bool last)
{
    bool done = false;
    int code = 0;
    while (code == 0 && !done) {
        struct sl_view out = {NULL, 0};
        code = sl__deflate(ws->deflater, &data, &size_bytes, last, &out, &done);
        if (code == 0 && (out.size_bytes > 0 || (done && last))) {
            code = send_fragment(ws, out.data, out.size_bytes, done && last);
        }
    }
    ws->broken |= code < 0; /* the peer's window is no longer ours */
    if (code < 0 || (last && !sl__deflater_keeps_context(ws->deflater))) {
        sl__deflater_free(ws->deflater);
        ws->deflater = NULL;
    }
    return code;
}

/* Whether text goes on as UTF-8, and ends as such. */
static int check_text(struct sl__utf8 *text, const void *data, size_t size_bytes, bool first, bool last)
{
    bool good = first && last ? sl__utf8_whole(data, size_bytes)
                              : sl__utf8_feed(text, data, size_bytes) && !(last && text->count > 0);
    return good ? 0 : sl_fail(SL_EINVAL, "text that is not UTF-8 cannot be sent");
}

static int begin_checked(sl_ws *ws, enum sl_ws_kind kind, const void *data, size_t size_bytes, bool last)
{
    struct sl__utf8 text = {.count = 0};
    bool check = kind == SL_WS_TEXT && !ws->options.trust_text;
    if (kind != SL_WS_TEXT && kind != SL_WS_BINARY) {
        return sl_fail(SL_EINVAL, "a message is SL_WS_TEXT or SL_WS_BINARY");
    }
    SL_TRY(check ? check_text(&text, data, size_bytes, true, last) : 0);
    SL_TRY(begin_message(ws, kind, size_bytes, last));
    ws->message_text = check;
    ws->sent_text = text;
    return 0;
}

int sl_ws_send_part(sl_ws *ws, enum sl_ws_kind kind, const void *data, size_t size_bytes, bool last)
{
    int code = 0;
    if (!sends_part(ws)) {
        SL_TRY(begin_checked(ws, kind, data, size_bytes, last));
    } else if (ws->message_text) {
        code = check_text(&ws->sent_text, data, size_bytes, false, last);
        ws->broken |= code < 0;
    }
    if (code == 0) {
        code = ws->message_compressed ? send_compressed(ws, data, size_bytes, last)
                                      : send_fragment(ws, data, size_bytes, last);
    }
    if (code < 0 || last) {
        ws->message_begun = false;
        (void)sl_mutex_unlock(&ws->sending);
    }
    return code;
}

int sl_ws_send(sl_ws *ws, enum sl_ws_kind kind, const void *data, size_t size_bytes)
{
    if (sends_part(ws)) {
        return sl_fail(SL_EBUSY, "sl_ws_send() within a message of sl_ws_send_part()");
    }
    return sl_ws_send_part(ws, kind, data, size_bytes, true);
}
