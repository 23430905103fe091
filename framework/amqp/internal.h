/* SPDX-License-Identifier: MIT */
/* What the files of the AMQP client share. codec.c knows bytes, url.c addresses, connection.c the conversation. */
#ifndef SL_AMQP_INTERNAL_H
#define SL_AMQP_INTERNAL_H

#include "sluice/amqp.h"
#include "sluice/sync.h"

/* Frames, 2.3.5. The whole of one must fit what a stream shows at once. */
#define SL__AMQP_FRAME_MAX 32768u
#define SL__AMQP_FRAME_MIN 4096u
#define SL__AMQP_HEAD_BYTES 7
#define SL__AMQP_END 0xce
enum sl__amqp_frame_type { SL__AMQP_METHOD = 1, SL__AMQP_HEADER = 2, SL__AMQP_BODY = 3, SL__AMQP_HEARTBEAT = 8 };

/* Class and method in one number. */
#define SL__AMQP_ID(class_id, method_id) ((uint32_t)(class_id) << 16 | (method_id))
enum sl__amqp_method {
    SL__CONNECTION_START = SL__AMQP_ID(10, 10),
    SL__CONNECTION_START_OK = SL__AMQP_ID(10, 11),
    SL__CONNECTION_TUNE = SL__AMQP_ID(10, 30),
    SL__CONNECTION_TUNE_OK = SL__AMQP_ID(10, 31),
    SL__CONNECTION_OPEN = SL__AMQP_ID(10, 40),
    SL__CONNECTION_OPEN_OK = SL__AMQP_ID(10, 41),
    SL__CONNECTION_CLOSE = SL__AMQP_ID(10, 50),
    SL__CONNECTION_CLOSE_OK = SL__AMQP_ID(10, 51),
    SL__CONNECTION_BLOCKED = SL__AMQP_ID(10, 60),
    SL__CONNECTION_UNBLOCKED = SL__AMQP_ID(10, 61),
    SL__CHANNEL_OPEN = SL__AMQP_ID(20, 10),
    SL__CHANNEL_OPEN_OK = SL__AMQP_ID(20, 11),
    SL__CHANNEL_FLOW = SL__AMQP_ID(20, 20),
    SL__CHANNEL_FLOW_OK = SL__AMQP_ID(20, 21),
    SL__CHANNEL_CLOSE = SL__AMQP_ID(20, 40),
    SL__CHANNEL_CLOSE_OK = SL__AMQP_ID(20, 41),
    SL__EXCHANGE_DECLARE = SL__AMQP_ID(40, 10),
    SL__EXCHANGE_DECLARE_OK = SL__AMQP_ID(40, 11),
    SL__QUEUE_DECLARE = SL__AMQP_ID(50, 10),
    SL__QUEUE_DECLARE_OK = SL__AMQP_ID(50, 11),
    SL__QUEUE_BIND = SL__AMQP_ID(50, 20),
    SL__QUEUE_BIND_OK = SL__AMQP_ID(50, 21),
    SL__QUEUE_DELETE = SL__AMQP_ID(50, 40),
    SL__QUEUE_DELETE_OK = SL__AMQP_ID(50, 41),
    SL__BASIC_QOS = SL__AMQP_ID(60, 10),
    SL__BASIC_QOS_OK = SL__AMQP_ID(60, 11),
    SL__BASIC_CONSUME = SL__AMQP_ID(60, 20),
    SL__BASIC_CONSUME_OK = SL__AMQP_ID(60, 21),
    SL__BASIC_CANCEL = SL__AMQP_ID(60, 30),
    SL__BASIC_PUBLISH = SL__AMQP_ID(60, 40),
    SL__BASIC_RETURN = SL__AMQP_ID(60, 50),
    SL__BASIC_DELIVER = SL__AMQP_ID(60, 60),
    SL__BASIC_ACK = SL__AMQP_ID(60, 80),
    SL__BASIC_NACK = SL__AMQP_ID(60, 120),
    SL__CONFIRM_SELECT = SL__AMQP_ID(85, 10),
    SL__CONFIRM_SELECT_OK = SL__AMQP_ID(85, 11),
};

/* ---- codec.c: writing; the first failure stays ---- */

struct sl__amqp_out {
    uint8_t *data;
    size_t size_bytes, capacity_bytes;
    size_t frame_at; /* the open frame's head */
    int code;
};

void sl__amqp_put(struct sl__amqp_out *out, const void *data, size_t size_bytes);
void sl__amqp_put_u8(struct sl__amqp_out *out, unsigned value);
void sl__amqp_put_u16(struct sl__amqp_out *out, unsigned value);
void sl__amqp_put_u32(struct sl__amqp_out *out, uint32_t value);
void sl__amqp_put_u64(struct sl__amqp_out *out, uint64_t value);
void sl__amqp_put_short(struct sl__amqp_out *out, const char *text); /* NULL: ""; SL_EINVAL when it is too long */
void sl__amqp_put_long(struct sl__amqp_out *out, const void *data, size_t size_bytes);
/* A table is put between these; what begin returns goes to end. */
size_t sl__amqp_begin_table(struct sl__amqp_out *out);
void sl__amqp_end_table(struct sl__amqp_out *out, size_t begun);
void sl__amqp_put_field_text(struct sl__amqp_out *out, const char *name, const char *value);
void sl__amqp_put_field_bool(struct sl__amqp_out *out, const char *name, bool value);
void sl__amqp_put_field_int(struct sl__amqp_out *out, const char *name, uint32_t value);
void sl__amqp_begin_frame(struct sl__amqp_out *out, enum sl__amqp_frame_type type, unsigned channel);
void sl__amqp_end_frame(struct sl__amqp_out *out);
/* begin_frame() of a method, up to its arguments. */
void sl__amqp_begin_method(struct sl__amqp_out *out, unsigned channel, enum sl__amqp_method method);

/* ---- codec.c: reading; `bad` stays ---- */

struct sl__amqp_in {
    const uint8_t *at, *end;
    bool bad;
};

struct sl__amqp_text {
    char text[SL_AMQP_NAME_MAX + 1];
};

unsigned sl__amqp_get_u8(struct sl__amqp_in *in);
unsigned sl__amqp_get_u16(struct sl__amqp_in *in);
uint32_t sl__amqp_get_u32(struct sl__amqp_in *in);
uint64_t sl__amqp_get_u64(struct sl__amqp_in *in);
void sl__amqp_get_short(struct sl__amqp_in *in, struct sl__amqp_text *ret_text); /* NUL inside: bad */
struct sl_bytes sl__amqp_get_long(struct sl__amqp_in *in);

/* The properties of a content header that we use. */
struct sl__amqp_properties {
    uint64_t body_bytes;
    struct sl__amqp_text content_type, message_id, correlation_id;
};
void sl__amqp_get_properties(struct sl__amqp_in *in, struct sl__amqp_properties *ret_properties);

/* ---- url.c ---- */

struct sl__amqp_url {
    bool tls;
    int port;
    char host[256], user[128], password[128], vhost[128];
};
SL_MUST_CHECK int sl__amqp_parse_url(const char *text, struct sl__amqp_url *ret_url);

/* ---- the connection ---- */

/* A message that comes in parts. */
struct sl__amqp_content {
    uint32_t method; /* BASIC_DELIVER, BASIC_RETURN; 0: none is expected */
    bool has_header;
    uint64_t tag;
    bool redelivered;
    struct sl__amqp_text exchange, key;
    struct sl__amqp_properties properties;
    char *body;
    size_t body_bytes;
    struct sl__amqp_content *next;
};

struct sl_amqp {
    sl_stream *stream;
    sl_time heartbeat; /* 0: none was agreed on */
    uint32_t frame_max;
    struct sl__amqp_out out; /* under `writing` */
    sl_mutex writing;
    sl_mutex calling; /* one question to the server at a time */
    sl_mutex publishing;
    bool wrote, read; /* since the heartbeat task looked */
    unsigned silent;  /* times it found nothing read */
    int broken;       /* why every call fails now; 0: none does */
    char problem[256];
    /* The answer that a call waits for. */
    uint32_t expected;
    sl_event answered;
    uint32_t answer_count; /* of QUEUE_DECLARE_OK */
    /* Confirms: what became of the last `window` tags. */
    uint32_t window;
    uint8_t *outcomes;
    uint64_t published, settled; /* tags up to `settled` are all answered */
    sl_event progress;
    bool blocked;
    /* Consuming. */
    struct sl__amqp_content incoming;
    struct sl__amqp_content *first, *last; /* received, not taken; the server's prefetch bounds them */
    struct sl__amqp_content *taken;        /* lent by sl_amqp_receive() */
    uint32_t queued, prefetch;
    bool canceled;
    sl_event delivered;
    struct sl_amqp_stats stats;
};

/* connection.c: everything fails from now on; who waits is told. Returns `code`. */
int sl__amqp_break(sl_amqp *amqp, int code, const char *text);
/* connection.c: 0, or the failure that every call gives. */
SL_MUST_CHECK int sl__amqp_check(const sl_amqp *amqp);
/* connection.c: sends what is in `out`; the caller holds `writing`. */
SL_MUST_CHECK int sl__amqp_flush(sl_amqp *amqp);
/* connection.c: sends the method that put(amqp, arg) writes and waits for `answer` (0: for none). */
SL_MUST_CHECK int sl__amqp_call(sl_amqp *amqp, void (*put)(sl_amqp *amqp, const void *arg), const void *arg,
                                uint32_t answer);
/* receive.c: one frame. */
SL_MUST_CHECK int sl__amqp_take_frame(sl_amqp *amqp, unsigned type, unsigned channel, struct sl__amqp_in *in);
/* publish.c: the server's answers. */
int sl__amqp_take_confirm(sl_amqp *amqp, uint64_t tag, bool multiple, enum sl_amqp_outcome outcome);
void sl__amqp_take_return(sl_amqp *amqp, uint64_t tag);
void sl__amqp_content_free(struct sl__amqp_content *content);

#endif
