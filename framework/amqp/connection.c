/* SPDX-License-Identifier: MIT */
/*
 * The conversation with an AMQP server: greeting, questions and answers, heartbeats, the end. A task reads, another sends
 * heartbeats; whoever has something to say writes it under a lock. Source: AMQP 0-9-1, 2.2.4 and 4.2.7.
 */
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "sluice/net.h"
#include "sluice/tls.h"

#define CLOSE_TIMEOUT SL_SECONDS(5)
#define FLUSH_BYTES ((size_t)256 * 1024)

/* ---- the end ---- */

int sl__amqp_break(sl_amqp *amqp, int code, const char *text)
{
    if (amqp->broken == 0) {
        amqp->broken = code;
        (void)snprintf(amqp->problem, sizeof amqp->problem, "%s", text);
        sl_event_set(&amqp->answered);
        sl_event_set(&amqp->progress);
        sl_event_set(&amqp->delivered);
    }
    return code;
}

int sl__amqp_check(const sl_amqp *amqp)
{
    if (amqp->broken == 0) {
        return 0;
    }
    if (sl_cancel_pending()) { /* the reader may have been the first to see it */
        return SL_ECANCELED;
    }
    return sl_fail(amqp->broken, "AMQP: %s", amqp->problem);
}

static void free_amqp(sl_amqp *amqp)
{
    sl_stream_close(amqp->stream);
    sl_free(amqp->out.data);
    sl_free(amqp->outcomes);
    sl_free(amqp->incoming.body);
    sl__amqp_content_free(amqp->taken);
    while (amqp->first != NULL) {
        struct sl__amqp_content *next = amqp->first->next;
        sl__amqp_content_free(amqp->first);
        amqp->first = next;
    }
    sl_free(amqp);
}

static int free_with_scope(void *arg)
{
    free_amqp(arg);
    return 0;
}

/* ---- writing ---- */

int sl__amqp_flush(sl_amqp *amqp)
{
    struct sl__amqp_out *out = &amqp->out;
    int code = out->code;
    if (code == 0 && out->size_bytes > 0) {
        code = sl_stream_write(amqp->stream, out->data, out->size_bytes);
        amqp->wrote = true;
        if (code < 0 && code != SL_ECANCELED) {
            (void)sl__amqp_break(amqp, code, "the connection does not take what is written");
        }
    }
    out->size_bytes = 0;
    out->code = 0;
    if (out->capacity_bytes > 4 * FLUSH_BYTES) { /* not kept for one large message */
        sl_free(out->data);
        *out = (struct sl__amqp_out){0};
    }
    return code;
}

int sl__amqp_call(sl_amqp *amqp, void (*put)(sl_amqp *amqp, const void *arg), const void *arg, uint32_t answer)
{
    SL_TRY(sl__amqp_check(amqp));
    SL_TRY(sl_mutex_lock(&amqp->calling));
    int code = sl_mutex_lock(&amqp->writing);
    if (code == 0) {
        amqp->expected = answer;
        sl_event_reset(&amqp->answered);
        put(amqp, arg);
        code = sl__amqp_flush(amqp);
        (void)sl_mutex_unlock(&amqp->writing);
    }
    while (code == 0 && answer != 0 && amqp->expected != 0 && amqp->broken == 0) {
        code = sl_event_wait(&amqp->answered);
    }
    if (code == 0) {
        code = sl__amqp_check(amqp);
    } else if (answer != 0) {
        (void)sl__amqp_break(amqp, SL_ECLOSED, "a call was given up, and its answer is still to come");
    }
    (void)sl_mutex_unlock(&amqp->calling);
    return code;
}

/* ---- tasks ---- */

/* Shows the next frame whole: type, channel, payload. */
static int next_frame(sl_amqp *amqp, unsigned *ret_type, unsigned *ret_channel, struct sl__amqp_in *ret_payload)
{
    struct sl_view view;
    SL_TRY(sl_stream_peek(amqp->stream, SL__AMQP_HEAD_BYTES, &view));
    struct sl__amqp_in in = {(const uint8_t *)view.data, (const uint8_t *)view.data + view.size_bytes, false};
    *ret_type = sl__amqp_get_u8(&in);
    *ret_channel = sl__amqp_get_u16(&in);
    uint32_t size = sl__amqp_get_u32(&in);
    if (memcmp(view.data, "AMQP", 4) == 0) {
        return sl_fail(SL_EPROTO, "AMQP: the server speaks another version");
    }
    if (size > amqp->frame_max - SL__AMQP_HEAD_BYTES - 1) {
        return sl_fail(SL_EPROTO, "AMQP: a frame of %u bytes", (unsigned)size);
    }
    SL_TRY(sl_stream_peek(amqp->stream, SL__AMQP_HEAD_BYTES + size + 1, &view));
    const uint8_t *payload = (const uint8_t *)view.data + SL__AMQP_HEAD_BYTES;
    if (payload[size] != SL__AMQP_END) {
        return sl_fail(SL_EPROTO, "AMQP: a frame without its end");
    }
    *ret_payload = (struct sl__amqp_in){payload, payload + size, false};
    amqp->read = true;
    return 0;
}

static int take_frames(sl_amqp *amqp)
{
    for (;;) {
        unsigned type = 0;
        unsigned channel = 0;
        struct sl__amqp_in payload;
        SL_TRY(next_frame(amqp, &type, &channel, &payload));
        size_t size = (size_t)(payload.end - payload.at) + SL__AMQP_HEAD_BYTES + 1;
        SL_TRY(sl__amqp_take_frame(amqp, type, channel, &payload));
        sl_stream_consume(amqp->stream, size);
        if (amqp->broken != 0) {
            return amqp->broken == SL_ECLOSED ? 0 : sl__amqp_check(amqp);
        }
        SL_TRY(sl_checkpoint_cheap());
    }
}

/* The reader. Its failure is the scope's, unless we said goodbye. */
static int read_frames(void *arg)
{
    sl_amqp *amqp = arg;
    int code = take_frames(amqp);
    if (code < 0 && code != SL_ECANCELED) {
        const char *text = sl_error_message(sl_error_last());
        (void)sl__amqp_break(amqp, code, *text == '\0' ? "the connection is lost" : text);
        return sl_fail(code, "AMQP: %s", amqp->problem);
    }
    (void)sl__amqp_break(amqp, SL_ECLOSED, "the connection is closed");
    return code;
}

/* Looks twice a heartbeat: says something if nobody else did, and hears whether the server lives. */
static int beat(void *arg)
{
    sl_amqp *amqp = arg;
    while (amqp->broken == 0) {
        amqp->wrote = false;
        amqp->read = false;
        SL_TRY(sl_sleep(amqp->heartbeat / 2));
        amqp->silent = amqp->read ? 0 : amqp->silent + 1;
        if (amqp->silent >= 4) {
            return sl_fail(sl__amqp_break(amqp, SL_ETIMEDOUT, "the server is silent"), "AMQP: the server is silent");
        }
        if (!amqp->wrote && amqp->broken == 0 && sl_mutex_try_lock(&amqp->writing) == 0) {
            sl__amqp_begin_frame(&amqp->out, SL__AMQP_HEARTBEAT, 0);
            sl__amqp_end_frame(&amqp->out);
            int code = sl__amqp_flush(amqp);
            (void)sl_mutex_unlock(&amqp->writing);
            SL_TRY(code);
        }
    }
    return 0;
}

/* ---- greeting ---- */

/* Waits for a method of the connection, with nobody else reading yet. */
static int await_method(sl_amqp *amqp, enum sl__amqp_method method, struct sl__amqp_in *ret_in)
{
    for (;;) {
        unsigned type = 0;
        unsigned channel = 0;
        SL_TRY(next_frame(amqp, &type, &channel, ret_in));
        if (type == SL__AMQP_HEARTBEAT) {
            sl_stream_consume(amqp->stream, SL__AMQP_HEAD_BYTES + 1);
            continue;
        }
        uint32_t id = sl__amqp_get_u32(ret_in);
        if (type == SL__AMQP_METHOD && id == (uint32_t)method && !ret_in->bad) {
            return 0;
        }
        if (type == SL__AMQP_METHOD && id == SL__CONNECTION_CLOSE) {
            struct sl__amqp_text text;
            unsigned reply = sl__amqp_get_u16(ret_in);
            sl__amqp_get_short(ret_in, &text);
            bool refused = reply == 403 || reply == 530;
            return sl_fail(refused ? -EACCES : SL_EREPLY, "AMQP: the server refuses: %u %s", reply, text.text);
        }
        return sl_fail(SL_EPROTO, "AMQP: method %u.%u instead of %u.%u", (unsigned)(id >> 16), (unsigned)(id & 0xffff),
                       (unsigned)method >> 16, (unsigned)method & 0xffff);
    }
}

/* Takes the frame that await_method() showed. */
static void consume(sl_amqp *amqp, const struct sl__amqp_in *in)
{
    struct sl_view view = sl_stream_buffered(amqp->stream);
    sl_stream_consume(amqp->stream, (size_t)(in->end - (const uint8_t *)view.data) + 1);
}

static void put_start_ok(sl_amqp *amqp, const struct sl__amqp_url *url, const char *name)
{
    struct sl__amqp_out *out = &amqp->out;
    char response[sizeof url->user + sizeof url->password + 2];
    size_t user = strlen(url->user);
    size_t password = strlen(url->password);
    sl__amqp_begin_method(out, 0, SL__CONNECTION_START_OK);
    size_t properties = sl__amqp_begin_table(out);
    sl__amqp_put_field_text(out, "product", "Sluice");
    sl__amqp_put_field_text(out, "connection_name", name);
    sl__amqp_put_short(out, "capabilities");
    sl__amqp_put_u8(out, 'F');
    size_t capabilities = sl__amqp_begin_table(out);
    sl__amqp_put_field_bool(out, "publisher_confirms", true);
    sl__amqp_put_field_bool(out, "basic.nack", true);
    sl__amqp_put_field_bool(out, "connection.blocked", true);
    sl__amqp_put_field_bool(out, "consumer_cancel_notify", true);
    sl__amqp_put_field_bool(out, "authentication_failure_close", true);
    sl__amqp_end_table(out, capabilities);
    sl__amqp_end_table(out, properties);
    sl__amqp_put_short(out, "PLAIN");
    response[0] = '\0';
    memcpy(response + 1, url->user, user + 1);
    memcpy(response + user + 2, url->password, password);
    sl__amqp_put_long(out, response, user + password + 2);
    sl__amqp_put_short(out, "en_US");
    sl__amqp_end_frame(out);
    explicit_bzero(response, sizeof response);
}

static uint32_t lower(uint32_t ours, uint32_t theirs)
{
    return theirs == 0 || ours < theirs ? ours : theirs; /* 0: no limit */
}

static int tune(sl_amqp *amqp, struct sl__amqp_in *in, const struct sl__amqp_url *url)
{
    struct sl__amqp_out *out = &amqp->out;
    (void)sl__amqp_get_u16(in);
    uint32_t frame_max = lower(SL__AMQP_FRAME_MAX, sl__amqp_get_u32(in));
    uint32_t seconds = lower((uint32_t)(amqp->heartbeat / SL_SECONDS(1)), sl__amqp_get_u16(in));
    if (in->bad || frame_max < SL__AMQP_FRAME_MIN) {
        return sl_fail(SL_EPROTO, "AMQP: the server's limits are none");
    }
    amqp->frame_max = frame_max;
    amqp->heartbeat = SL_SECONDS(seconds == 0 ? 1 : seconds);
    sl__amqp_begin_method(out, 0, SL__CONNECTION_TUNE_OK);
    sl__amqp_put_u16(out, 1);
    sl__amqp_put_u32(out, frame_max);
    sl__amqp_put_u16(out, seconds == 0 ? 1 : seconds);
    sl__amqp_end_frame(out);
    sl__amqp_begin_method(out, 0, SL__CONNECTION_OPEN);
    sl__amqp_put_short(out, url->vhost);
    sl__amqp_put_short(out, "");
    sl__amqp_put_u8(out, 0);
    sl__amqp_end_frame(out);
    return sl__amqp_flush(amqp);
}

static int greet(sl_amqp *amqp, const struct sl__amqp_url *url, const char *name)
{
    struct sl__amqp_in in;
    SL_TRY(sl_stream_write(amqp->stream, "AMQP\0\0\x09\x01", 8));
    SL_TRY(await_method(amqp, SL__CONNECTION_START, &in));
    consume(amqp, &in);
    put_start_ok(amqp, url, name);
    int code = sl__amqp_flush(amqp);
    if (amqp->out.data != NULL) {
        explicit_bzero(amqp->out.data, amqp->out.capacity_bytes); /* the password was there */
    }
    SL_TRY(code);
    SL_TRY(await_method(amqp, SL__CONNECTION_TUNE, &in));
    code = tune(amqp, &in, url);
    consume(amqp, &in);
    SL_TRY(code);
    SL_TRY(await_method(amqp, SL__CONNECTION_OPEN_OK, &in));
    consume(amqp, &in);
    sl__amqp_begin_method(&amqp->out, 1, SL__CHANNEL_OPEN);
    sl__amqp_put_short(&amqp->out, "");
    sl__amqp_end_frame(&amqp->out);
    SL_TRY(sl__amqp_flush(amqp));
    SL_TRY(await_method(amqp, SL__CHANNEL_OPEN_OK, &in));
    consume(amqp, &in);
    sl__amqp_begin_method(&amqp->out, 1, SL__CONFIRM_SELECT);
    sl__amqp_put_u8(&amqp->out, 0);
    sl__amqp_end_frame(&amqp->out);
    SL_TRY(sl__amqp_flush(amqp));
    SL_TRY(await_method(amqp, SL__CONFIRM_SELECT_OK, &in));
    consume(amqp, &in);
    return 0;
}

static int connect_and_greet(sl_amqp *amqp, const struct sl_amqp_options *options, const struct sl__amqp_url *url)
{
    struct sl_connect_options to = {.address = url->host, .port = url->port, .tls = options->tls};
    if (url->tls && to.tls == NULL) {
        SL_TRY(sl_tls_default(&to.tls));
    }
    to.tls = url->tls ? to.tls : NULL;
    SL_TRY(sl_connect_with(&to, &amqp->stream));
    return greet(amqp, url, options->name == NULL ? "sluice" : options->name);
}

static int make(const struct sl_amqp_options *options, sl_amqp **ret_amqp)
{
    sl_amqp *amqp = sl_calloc(1, sizeof *amqp);
    if (amqp == NULL) {
        return SL_ENOMEM;
    }
    amqp->window = options->window == 0 ? SL_AMQP_WINDOW : options->window;
    amqp->heartbeat = options->heartbeat == 0 ? SL_AMQP_HEARTBEAT : options->heartbeat;
    amqp->frame_max = SL__AMQP_FRAME_MAX;
    sl_mutex_init(&amqp->writing);
    sl_mutex_init(&amqp->calling);
    sl_mutex_init(&amqp->publishing);
    sl_event_init(&amqp->answered);
    sl_event_init(&amqp->progress);
    sl_event_init(&amqp->delivered);
    amqp->outcomes = sl_calloc(amqp->window, 1);
    if (amqp->outcomes == NULL) {
        sl_free(amqp);
        return SL_ENOMEM;
    }
    *ret_amqp = amqp;
    return 0;
}

int sl_amqp_open(sl_scope *scope, const struct sl_amqp_options *options, sl_amqp **ret_amqp)
{
    struct sl__amqp_url url;
    sl_amqp *amqp = NULL;
    sl_time timeout = options->connect_timeout == 0 ? SL_AMQP_CONNECT_TIMEOUT : options->connect_timeout;
    if (options->window > SL_AMQP_WINDOW_MAX || timeout < 0 || options->heartbeat < 0 ||
        (options->heartbeat > 0 && options->heartbeat < SL_SECONDS(1))) {
        return sl_fail(SL_EINVAL, "AMQP: the window, the heartbeat or the timeout is out of range");
    }
    int code = sl__amqp_parse_url(options->url, &url);
    code = code == 0 ? make(options, &amqp) : code;
    if (code < 0 || amqp == NULL) {
        explicit_bzero(&url, sizeof url);
        return code;
    }
    code = sl_defer(scope, free_with_scope, amqp, SL_SECONDS(1));
    if (code < 0) {
        free_amqp(amqp);
        return code;
    }
    sl_scope limit = SL_SCOPE_INIT;
    code = sl_scope_open(&limit, &(struct sl_scope_options){.name = "greeting", .timeout = timeout});
    if (code == 0) {
        code = sl_scope_close(&limit, connect_and_greet(amqp, options, &url));
    }
    explicit_bzero(&url, sizeof url);
    SL_TRY(code);
    SL_TRY(sl_spawn(scope, read_frames, amqp, .name = "amqp-read", .daemon = true));
    SL_TRY(sl_spawn(scope, beat, amqp, .name = "amqp-heartbeat", .daemon = true));
    *ret_amqp = amqp;
    return 0;
}

static void put_close(sl_amqp *amqp, const void *arg)
{
    (void)arg;
    sl__amqp_begin_method(&amqp->out, 0, SL__CONNECTION_CLOSE);
    sl__amqp_put_u16(&amqp->out, 200);
    sl__amqp_put_short(&amqp->out, "bye");
    sl__amqp_put_u16(&amqp->out, 0);
    sl__amqp_put_u16(&amqp->out, 0);
    sl__amqp_end_frame(&amqp->out);
}

int sl_amqp_close(sl_amqp *amqp)
{
    sl_scope limit = SL_SCOPE_INIT;
    SL_TRY(sl__amqp_check(amqp));
    SL_TRY(sl_scope_open(&limit, &(struct sl_scope_options){.name = "goodbye", .timeout = CLOSE_TIMEOUT}));
    int code = sl__amqp_call(amqp, put_close, NULL, SL__CONNECTION_CLOSE_OK);
    code = sl_scope_close(&limit, code == SL_ECLOSED ? 0 : code); /* which is what the answer makes of it */
    (void)sl__amqp_break(amqp, SL_ECLOSED, "the connection is closed");
    return code;
}

bool sl_amqp_blocked(const sl_amqp *amqp)
{
    return amqp->blocked;
}

void sl_amqp_stats_get(const sl_amqp *amqp, struct sl_amqp_stats *ret_stats)
{
    *ret_stats = amqp->stats;
    ret_stats->unconfirmed = (uint32_t)(amqp->published - amqp->settled);
}
