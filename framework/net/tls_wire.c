/* SPDX-License-Identifier: MIT */
/* OpenSSL's reading and writing, on a stream of ours; see tls_wire.h. */
#include "tls_wire.h"

#include <openssl/bio.h>
#include <string.h>

#include "network.h"

/* ---- reading ---- */

static void remember_first(struct sl__tls_peer *peer, const char *data, size_t size_bytes)
{
    while (peer->first_count < sizeof peer->first && size_bytes-- > 0) {
        peer->first[peer->first_count++] = (unsigned char)*data++;
    }
}

static int wire_read(BIO *bio, char *data, size_t size_bytes, size_t *ret_bytes)
{
    struct sl__tls_wire *wire = BIO_get_data(bio);
    struct sl_view view = sl_stream_buffered(wire->inner);
    int code = wire->read_code;
    BIO_clear_retry_flags(bio);
    if (view.size_bytes == 0 && code == 0) {
        code = sl__stream_fill_now(wire->inner);
        view = sl_stream_buffered(wire->inner);
    }
    if (view.size_bytes == 0) {
        if (code == SL_EAGAIN) {
            wire->starved = true;
            BIO_set_retry_read(bio);
        } else {
            wire->read_code = code;
        }
        return 0;
    }
    size_t bytes = size_bytes < view.size_bytes ? size_bytes : view.size_bytes;
    memcpy(data, view.data, bytes);
    remember_first(wire->peer, view.data, bytes);
    sl_stream_consume(wire->inner, bytes);
    *ret_bytes = bytes;
    return 1;
}

/* ---- writing ---- */

void sl__tls_wire_drop(struct sl__tls_wire *wire)
{
    sl__net_buffer_put(wire->queue);
    wire->queue = NULL;
    wire->queue_start = wire->queue_end = 0;
}

static int end_writing(struct sl__tls_wire *wire, int code)
{
    wire->write_code = code;
    sl__tls_wire_drop(wire);
    return code;
}

static int enqueue(struct sl__tls_wire *wire, const char *data, size_t size_bytes)
{
    if (wire->queue == NULL && (wire->queue = sl__net_buffer_get()) == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a write buffer");
    }
    if (SL_TLS_QUEUE_BYTES_MAX - wire->queue_end < size_bytes) {
        memmove(wire->queue, wire->queue + wire->queue_start, wire->queue_end - wire->queue_start);
        wire->queue_end -= wire->queue_start;
        wire->queue_start = 0;
    }
    if (SL_TLS_QUEUE_BYTES_MAX - wire->queue_end < size_bytes) {
        return sl_fail(SL_EPROTO, "the peer makes us answer, and does not read the answers");
    }
    memcpy(wire->queue + wire->queue_end, data, size_bytes);
    wire->queue_end += (uint32_t)size_bytes;
    return 0;
}

/* Sends what the stream takes now and moves on behind it: 0 when that was all, SL_EAGAIN or an error. */
static int send_now(sl_stream *inner, const char **data, size_t *size_bytes)
{
    while (*size_bytes > 0) {
        struct sl_bytes piece = {*data, *size_bytes};
        size_t sent = 0;
        SL_TRY(inner->ops->send(inner, &piece, 1, &sent));
        *data += sent;
        *size_bytes -= sent;
    }
    return 0;
}

int sl__tls_wire_flush(struct sl__tls_wire *wire)
{
    if (wire->queue == NULL) {
        return wire->write_code;
    }
    const char *data = wire->queue + wire->queue_start;
    size_t left = wire->queue_end - wire->queue_start;
    int code = send_now(wire->inner, &data, &left);
    wire->queue_start = wire->queue_end - (uint32_t)left;
    if (code == SL_EAGAIN) {
        return code;
    }
    if (code < 0) {
        return end_writing(wire, code);
    }
    sl__tls_wire_drop(wire);
    return 0;
}

/* Never fails as OpenSSL sees it: reading goes on, which often tells better why the peer is gone. */
static int wire_write(BIO *bio, const char *data, size_t size_bytes, size_t *ret_bytes)
{
    struct sl__tls_wire *wire = BIO_get_data(bio);
    size_t left = size_bytes;
    BIO_clear_retry_flags(bio);
    *ret_bytes = size_bytes;
    if (wire->write_code == 0) {
        int code = wire->queue == NULL ? send_now(wire->inner, &data, &left) : SL_EAGAIN;
        code = code == SL_EAGAIN ? enqueue(wire, data, left) : code;
        if (code < 0) {
            (void)end_writing(wire, code);
        }
    }
    return 1;
}

/* ---- the BIO ---- */

static long wire_control(BIO *bio, int command, long number, void *pointer)
{
    const struct sl__tls_wire *wire = BIO_get_data(bio);
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return wire->read_code == SL_EOF;
    default:
        return 0;
    }
}

static int wire_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *sl__tls_wire_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");
    if (method != NULL) {
        (void)BIO_meth_set_read_ex(method, wire_read);
        (void)BIO_meth_set_write_ex(method, wire_write);
        (void)BIO_meth_set_ctrl(method, wire_control);
        (void)BIO_meth_set_create(method, wire_create);
    }
    return method;
}
