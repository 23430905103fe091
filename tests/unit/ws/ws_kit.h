/* SPDX-License-Identifier: MIT */
/* For the tests of the WebSocket: frames by hand over a pair in memory, and what became of them as one line. */
#ifndef WS_KIT_H
#define WS_KIT_H

#include <string.h>

#include "sl_conformance.h"
#include "sluice/json.h"
#include "ws/ws.h"

#define WS_KIT_CAPACITY ((size_t)256 * 1024)
#define WS_LOG_BYTES 2048
#define WS_SHOWN_BYTES 40

/* A frame to send: its first byte, and the payload; without `data`: so many letters x. */
struct ws_frame {
    uint8_t first;
    const char *data;
    size_t size_bytes;
};
#define F(first, text)                                                                                                 \
    {                                                                                                                  \
        (first), (text), sizeof(text) - 1                                                                              \
    }
#define FX(first, size)                                                                                                \
    {                                                                                                                  \
        (first), NULL, (size)                                                                                          \
    }

/* How the bytes are delivered. */
enum ws_delivery { WS_WHOLE, WS_BYTEWISE, WS_RANDOM, WS_DELIVERIES };

struct ws_case {
    const char *expected;
    const struct ws_frame *frames;
    size_t count;
    const struct sl_ws_options *options;
    const struct sl__ws_agreed *agreed;
};

static inline int ws_make(size_t capacity, bool server, const struct sl_ws_options *options,
                          const struct sl__ws_agreed *agreed, sl_ws **ret_ws, sl_stream **ret_peer)
{
    sl_stream *stream = NULL;
    SL_TRY(sl_stream_memory_pair(capacity, &stream, ret_peer));
    int code = sl__ws_new(stream, server, options, agreed, "", ret_ws);
    if (code < 0) {
        sl_stream_close(stream);
    }
    return code;
}

/* Two WebSockets that talk to each other. */
static inline int ws_pair(size_t capacity, const struct sl_ws_options *options, const struct sl__ws_agreed *agreed,
                          sl_ws **ret_client, sl_ws **ret_server)
{
    sl_stream *stream = NULL;
    SL_TRY(ws_make(capacity, false, options, agreed, ret_client, &stream));
    int code = sl__ws_new(stream, true, options, agreed, "", ret_server);
    if (code < 0) {
        sl_stream_close(stream);
    }
    return code;
}

/* The bytes of the frames, masked if they go to a server; freed with test_free(). */
static inline char *ws_bytes_of(const struct ws_frame *frames, size_t count, bool masked, size_t *ret_bytes)
{
    size_t total = 1;
    for (size_t i = 0; i < count; i++) {
        total += frames[i].size_bytes + SL__WS_HEAD_BYTES_MAX;
    }
    char *bytes = test_malloc(total);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t random = sl_conformance_random();
        uint8_t key[SL__WS_KEY_BYTES];
        unsigned char head[SL__WS_HEAD_BYTES_MAX];
        memcpy(key, &random, sizeof key);
        size_t head_bytes = sl__ws_head_make(head, frames[i].first, masked ? key : NULL, frames[i].size_bytes);
        memcpy(bytes + at, head, head_bytes);
        at += head_bytes;
        if (frames[i].data != NULL) {
            memcpy(bytes + at, frames[i].data, frames[i].size_bytes);
        } else {
            memset(bytes + at, 'x', frames[i].size_bytes);
        }
        if (masked) {
            for (size_t j = 0; j < frames[i].size_bytes; j++) {
                bytes[at + j] ^= (char)key[j % SL__WS_KEY_BYTES];
            }
        }
        at += frames[i].size_bytes;
    }
    *ret_bytes = at;
    return bytes;
}

struct ws_writer {
    sl_stream *stream;
    const char *bytes;
    size_t size_bytes;
    enum ws_delivery delivery;
    bool stays; /* does not end the connection */
};

static inline size_t ws_step_of(const struct ws_writer *writer, size_t left)
{
    size_t step = left;
    if (writer->delivery == WS_BYTEWISE) {
        step = 1;
    } else if (writer->delivery == WS_RANDOM) {
        step = 1 + (size_t)(sl_conformance_random() % (sl_conformance_random() % 3 == 0 ? 20000 : 7));
    }
    return step < left ? step : left;
}

static inline int ws_write(void *arg)
{
    const struct ws_writer *writer = arg;
    size_t at = 0;
    while (at < writer->size_bytes) {
        size_t step = ws_step_of(writer, writer->size_bytes - at);
        if (sl_stream_write(writer->stream, writer->bytes + at, step) < 0) {
            return 0; /* it was refused */
        }
        at += step;
        if (writer->delivery != WS_WHOLE) {
            SL_TRY(sl_checkpoint());
        }
    }
    return writer->stays ? 0 : sl_stream_shutdown(writer->stream);
}

struct ws_log {
    char text[WS_LOG_BYTES];
    size_t length;
};

static inline void ws_note(struct ws_log *log, const char *text, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes && log->length < sizeof log->text - 1; i++) {
        log->text[log->length++] = text[i];
    }
    log->text[log->length] = '\0';
}

/* "T(hello) ", or "T[65536] " when it is long. */
static inline void ws_note_payload(struct ws_log *log, const char *kind, const char *data, size_t size_bytes)
{
    char number[32];
    bool shown = size_bytes <= WS_SHOWN_BYTES;
    int length = snprintf(number, sizeof number, shown ? "%s(" : "%s[%zu] ", kind, size_bytes);
    ws_note(log, number, (size_t)length);
    for (size_t i = 0; !shown && i < size_bytes; i++) {
        EXPECT(data[i] == 'x');
    }
    if (shown) {
        ws_note(log, data, size_bytes);
        ws_note(log, ") ", 2);
    }
}

/* All that is received, until it ends. */
static inline int ws_receive_all(sl_ws *ws, struct ws_log *log)
{
    struct sl_ws_message message;
    unsigned long behind = 0;
    int code;
    while ((code = sl_ws_receive(ws, &message)) == 0) {
        ws_note_payload(log, message.kind == SL_WS_TEXT ? "T" : "B", message.data, message.size_bytes);
        for (size_t i = 0; i < SL_JSON_PADDING; i++) {
            behind += (unsigned char)message.data[message.size_bytes + i]; /* the address sanitizer looks on */
        }
    }
    EXPECT(behind < 1000000000ul);
    const char *name = code == SL_EOF ? "EOF" : sl_error_name(code);
    ws_note(log, name, strlen(name));
    return code;
}

/* The frames that a peer got, as "P(pong) C1002 ...", and the reason if it is not ours. */
static inline int ws_read_answers(sl_stream *peer, bool masked, struct ws_log *log)
{
    for (;;) {
        struct sl_view view;
        struct sl__ws_head head;
        int head_bytes = 0;
        for (size_t have = 1; head_bytes == 0; have = view.size_bytes + 1) {
            int code = sl_stream_peek(peer, have, &view);
            if (code == SL_EOF || code == SL_ECONNRESET) {
                CHECK(code == SL_ECONNRESET || view.size_bytes == 0);
                return 0;
            }
            CHECK_EQ(code, 0);
            head_bytes = sl__ws_head_parse(view.data, view.size_bytes, &head);
        }
        CHECK(head_bytes > 0);
        CHECK_EQ(head.masked, masked);
        CHECK_EQ(head.rsv, 0);
        CHECK(head.payload_bytes < 60000);
        size_t size_bytes = (size_t)head.payload_bytes;
        CHECK_EQ(sl_stream_peek(peer, (size_t)head_bytes + size_bytes, &view), 0);
        char *data = view.data + head_bytes;
        for (size_t i = 0; masked && i < size_bytes; i++) {
            data[i] ^= (char)head.key[i % SL__WS_KEY_BYTES];
        }
        if (head.opcode == SL__WS_CLOSE) {
            char text[16] = "C";
            if (size_bytes >= 2) {
                (void)snprintf(text, sizeof text, "C%d", (unsigned char)data[0] << 8 | (unsigned char)data[1]);
            }
            CHECK(size_bytes <= 2 || sl_utf8_valid(data + 2, size_bytes - 2));
            ws_note(log, " ", 1);
            ws_note(log, text, strlen(text));
        } else {
            ws_note(log, " ", 1);
            ws_note_payload(log, head.opcode == SL__WS_PONG ? "P" : "?", data, size_bytes);
            log->length -= log->text[log->length - 1] == ' '; /* one blank between, none behind */
            log->text[log->length] = '\0';
        }
        sl_stream_consume(peer, (size_t)head_bytes + size_bytes);
    }
}

/* Gives the bytes to a WebSocket and writes down what it makes of them: "T(hello) EOF P(ping) C1000". */
static inline int ws_play_bytes(const char *bytes, size_t size_bytes, bool server, enum ws_delivery delivery,
                                const struct ws_case *it, struct ws_log *log)
{
    sl_auto(sl_ws) *ws = NULL;
    sl_auto(sl_stream) *peer = NULL;
    *log = (struct ws_log){.length = 0};
    CHECK_EQ(ws_make(WS_KIT_CAPACITY, server, it->options, it->agreed, &ws, &peer), 0);
    struct ws_writer writer = {peer, bytes, size_bytes, delivery, false};
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, ws_write, &writer), 0);
    int code = ws_receive_all(ws, log);
    struct sl_ws_message message;
    CHECK_EQ(sl_ws_receive(ws, &message), code); /* for ever */
    sl_ws_free(ws);
    ws = NULL;
    CHECK_EQ(ws_read_answers(peer, !server, log), 0);
    return sl_scope_wait(&scope);
}

/* A case in both roles and every delivery. */
static inline int ws_play(const struct ws_case *it)
{
    for (int role = 0; role < 2; role++) {
        for (enum ws_delivery delivery = WS_WHOLE; delivery < WS_DELIVERIES; delivery++) {
            size_t size_bytes = 0;
            char *bytes = ws_bytes_of(it->frames, it->count, role == 1, &size_bytes);
            struct ws_log log;
            int code = size_bytes > 4096 && delivery == WS_BYTEWISE
                           ? 1
                           : ws_play_bytes(bytes, size_bytes, role == 1, delivery, it, &log);
            test_free(bytes);
            SL_TRY(code);
            if (code == 0 && strcmp(log.text, it->expected) != 0) {
                char text[WS_LOG_BYTES + 512];
                (void)snprintf(text, sizeof text, "%s, delivery %d: wanted \"%s\", not \"%s\"",
                               role == 1 ? "server" : "client", (int)delivery, it->expected, log.text);
                sl_check_failed(__FILE__, __LINE__, text);
                return SL_CHECK_FAILED;
            }
        }
    }
    return 0;
}

#define WS_PLAY_WITH(the_options, the_agreed, wanted, ...)                                                             \
    do {                                                                                                               \
        static const struct ws_frame ws_frames[] = {__VA_ARGS__};                                                      \
        struct ws_case ws_it = {wanted, ws_frames, sizeof ws_frames / sizeof ws_frames[0], the_options, the_agreed};   \
        CHECK_EQ(ws_play(&ws_it), 0);                                                                                  \
    } while (0)

/* WS_PLAY("T(hi) EOF C1000", F(0x81, "hi"), F(0x88, "\x03\xe8")); */
#define WS_PLAY(wanted, ...) WS_PLAY_WITH(NULL, NULL, wanted, __VA_ARGS__)

#endif
