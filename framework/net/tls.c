/* SPDX-License-Identifier: MIT */
/*
 * TLS as a stream on top of a stream. OpenSSL is only ever called without waiting; the waits are the inner
 * stream's. Its reader and writer may wait for the same thing (a message of the handshake that came in
 * pieces has to be complete before anything is written): then one waits below, and wakes the other.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "../runtime/internal.h"
#include "network.h"
#include "tls_wire.h"

/* RFC 8446 section 5.1 */
#define RECORD_BYTES_MAX ((size_t)16384)
/* Pieces smaller than this are copied together into one record. */
#define GATHER_BYTES ((size_t)4096)
/* Records without data that one call takes; then other tasks have their turn. */
#define QUIET_RECORDS_MAX 32

struct tls_stream {
    sl_stream base;
    struct sl__tls_wire wire;
    struct sl__tls_peer peer;
    SSL *ssl;
    size_t taken;        /* bytes of the current write that are records now, not all sent yet */
    bool waits_below[2]; /* a task waits on the inner stream for this side */
    bool writer_reads;   /* the writer cannot go on before something was read */
    bool closing;        /* close_notify is on its way */
    int failed;
    sl_error *failure; /* its story, told to each later call */
    char name[];       /* of the peer */
};

static struct tls_stream *self_of(sl_stream *stream)
{
    return (struct tls_stream *)stream;
}

/* ---- how OpenSSL's calls end ---- */

/* What is tried without being asked for does not replace the story of what went wrong before. */
static sl_error *keep_story(void)
{
    return sl_current() == NULL ? NULL : sl__error_take(sl_current());
}

static void restore_story(sl_error *story)
{
    if (sl_current() != NULL) {
        sl__error_put(sl_current(), story);
    }
}

static void try_to_flush(struct tls_stream *self)
{
    if (self->wire.queue != NULL) {
        sl_error *story = keep_story();
        (void)sl__tls_wire_flush(&self->wire);
        restore_story(story);
    }
}

static int tell_again(struct tls_stream *self)
{
    return sl_fail(self->failed, "%s", sl_error_message(self->failure));
}

static int remember(struct tls_stream *self, int code)
{
    self->failed = code;
    self->failure = sl_error_ref(sl_error_last());
    return code;
}

/* Why the bytes of the peer ended. */
static int cut_off(const struct tls_stream *self)
{
    if (self->wire.read_code != SL_EOF && self->wire.read_code != 0) {
        return sl_fail_because(self->wire.read_code, "TLS with '%s'", self->name);
    }
    if (self->peer.shaking) {
        return sl_fail(SL_ECONNRESET, "'%s' closed the connection in the TLS handshake", self->name);
    }
    return sl_fail(SL_ECONNRESET, "'%s' ended the TLS connection without close_notify: truncated?", self->name);
}

/* The code of a call that gave `result`; SL_EAGAIN when it has to read more. Errors stay. */
static int ended(struct tls_stream *self, int result)
{
    int kind = SSL_get_error(self->ssl, result);
    if (self->peer.renegotiation) {
        return remember(self, sl_fail(SL_ETLS, "'%s' asked for a TLS renegotiation, which is refused", self->name));
    }
    switch (kind) {
    case SSL_ERROR_NONE:
        return 0;
    case SSL_ERROR_WANT_READ:
        return SL_EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        if (self->peer.shaking) {
            return remember(self, cut_off(self));
        }
        return SL_EOF;
    default:
        return remember(self, self->wire.read_code < 0 ? cut_off(self) : sl__tls_explain(self->ssl, &self->peer));
    }
}

static void before_call(struct tls_stream *self)
{
    if (ERR_peek_error() != 0) { /* looking is much cheaper than clearing */
        ERR_clear_error();
    }
    self->wire.starved = false;
}

/* ---- reading ---- */

/* Whether OpenSSL has, or may get now, anything to read: asking it in vain takes as long as reading a short record. */
static bool has_input(struct tls_stream *self)
{
    struct sl__tls_wire *wire = &self->wire;
    bool ended = wire->read_code != 0 || (SSL_get_shutdown(self->ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
    if (ended || SSL_has_pending(self->ssl) == 1 || sl_stream_buffered(wire->inner).size_bytes > 0) {
        return true;
    }
    int code = sl__stream_fill_now(wire->inner);
    wire->starved = code == SL_EAGAIN;
    wire->read_code = code == SL_EAGAIN ? 0 : code;
    return code != SL_EAGAIN;
}

static int tls_receive(sl_stream *stream, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    struct tls_stream *self = self_of(stream);
    size_t room = size_bytes < SL_STREAM_READ_AHEAD_BYTES ? size_bytes : SL_STREAM_READ_AHEAD_BYTES;
    size_t total = 0;
    int code = 0;
    if (self->failed < 0) {
        return tell_again(self);
    }
    try_to_flush(self); /* answers, if the writer does not come for them */
    for (int quiet = 0; total < room && quiet < QUIET_RECORDS_MAX;) {
        size_t bytes = 0;
        if (!has_input(self)) {
            code = SL_EAGAIN;
            break;
        }
        before_call(self);
        int result = SSL_read_ex(self->ssl, (char *)buffer + total, room - total, &bytes);
        total += bytes;
        code = result == 1 ? 0 : ended(self, result);
        if (code < 0 && (code != SL_EAGAIN || self->wire.starved)) {
            break;
        }
        quiet += code == SL_EAGAIN;
    }
    *ret_bytes = total;
    return total > 0 ? 0 : code;
}

/* ---- writing ---- */

/* One record of the first pieces; how many bytes of them it took. */
static int encrypt(struct tls_stream *self, const void *data, size_t size_bytes, size_t *ret_bytes)
{
    before_call(self);
    int result =
        SSL_write_ex(self->ssl, data, size_bytes < RECORD_BYTES_MAX ? size_bytes : RECORD_BYTES_MAX, ret_bytes);
    int code = result == 1 ? self->wire.write_code : ended(self, result);
    self->writer_reads = code == SL_EAGAIN;
    return code;
}

static int encrypt_gathered(struct tls_stream *self, const struct sl_bytes *pieces, size_t count, size_t *ret_bytes)
{
    char *record = sl__net_buffer_get();
    size_t total = 0;
    if (record == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a write buffer");
    }
    for (size_t i = 0; i < count && total < RECORD_BYTES_MAX; i++) {
        size_t room = RECORD_BYTES_MAX - total;
        size_t bytes = pieces[i].size_bytes < room ? pieces[i].size_bytes : room;
        if (bytes > 0) {
            memcpy(record + total, pieces[i].data, bytes);
            total += bytes;
        }
    }
    int code = encrypt(self, record, total, ret_bytes);
    sl__net_buffer_put(record);
    return code;
}

static int can_write(struct tls_stream *self)
{
    self->writer_reads = false;
    if (self->failed < 0) {
        return tell_again(self);
    }
    if (self->wire.write_code < 0) {
        return sl_fail(self->wire.write_code, "TLS with '%s': an answer to it could not be sent", self->name);
    }
    return sl__tls_wire_flush(&self->wire);
}

static int tls_send(sl_stream *stream, const struct sl_bytes *pieces, size_t count, size_t *ret_bytes)
{
    struct tls_stream *self = self_of(stream);
    SL_TRY(can_write(self));
    if (self->taken == 0) {
        bool alone = count == 1 || pieces->size_bytes >= GATHER_BYTES;
        SL_TRY(alone ? encrypt(self, pieces->data, pieces->size_bytes, &self->taken)
                     : encrypt_gathered(self, pieces, count, &self->taken));
        if (self->wire.queue != NULL) {
            return SL_EAGAIN; /* nothing of it counts before all of the record is sent */
        }
    }
    if (self->waits_below[SL_READABLE]) {
        (void)SSL_free_buffers(
            self->ssl); /* a connection whose reader waits holds none; OpenSSL's own mode is slower */
    }
    *ret_bytes = self->taken;
    self->taken = 0;
    return 0;
}

/* ---- waiting ---- */

static int tls_wait(sl_stream *stream, enum sl__side side)
{
    struct tls_stream *self = self_of(stream);
    enum sl__side below = side == SL_WRITABLE && !self->writer_reads ? SL_WRITABLE : SL_READABLE;
    if (side == SL_READABLE && !self->wire.starved) { /* there is more to read: only its turn is over */
        sl__waits_hold(&stream->waits);
        int code = sl_checkpoint();
        return sl__waits_drop(&stream->waits) ? SL_ECLOSED : code;
    }
    if (self->waits_below[below]) {
        return sl__waits_park(&stream->waits, side, side == SL_READABLE ? "read" : "write");
    }
    if (below == SL_READABLE) {
        (void)SSL_free_buffers(self->ssl);
    }
    self->waits_below[below] = true;
    int code = sl__stream_wait(self->wire.inner, below);
    if (code != SL_ECLOSED) {
        self->waits_below[below] = false;
        sl__waits_wake(&stream->waits, side == SL_READABLE ? SL_WRITABLE : SL_READABLE, 0);
    }
    return code;
}

/* ---- the end ---- */

/* close_notify; may stay in the queue. */
static int say_goodbye(struct tls_stream *self)
{
    before_call(self);
    if (SSL_in_init(self->ssl)) { /* in the middle of a message of the peer */
        int result = SSL_do_handshake(self->ssl);
        int code = result == 1 ? 0 : ended(self, result);
        self->writer_reads = code == SL_EAGAIN;
        SL_TRY(code);
        before_call(self);
    }
    self->closing = true;
    int result = SSL_shutdown(self->ssl);
    return result >= 0 ? self->wire.write_code : ended(self, result);
}

static int tls_shutdown(sl_stream *stream)
{
    struct tls_stream *self = self_of(stream);
    if (stream->write_broken) {
        return sl_fail(SL_EPIPE, "an earlier write was not completed: the peer must not take it for the end");
    }
    SL_TRY(can_write(self));
    if (!self->closing) {
        SL_TRY(say_goodbye(self));
    }
    return sl__tls_wire_flush(&self->wire);
}

static void destroy(struct tls_stream *self, bool reset)
{
    if (self->ssl != NULL) {
        SSL_set_shutdown(self->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else its session is forgotten */
        SSL_free(self->ssl);
    }
    sl__tls_wire_drop(&self->wire);
    (reset ? sl_stream_reset : sl_stream_close)(self->wire.inner);
    sl__tls_session_free(self->peer.session);
    sl_tls_config_free(self->peer.config);
    sl_error_unref(self->failure);
    (void)sl__waits_drop(&self->base.waits);
}

static void tls_close(sl_stream *stream, bool reset)
{
    struct tls_stream *self = self_of(stream);
    sl_error *story = keep_story();
    /* A write that was left in the middle must look cut off. */
    if (!reset && !stream->in_write && !stream->write_broken && !self->closing && can_write(self) == 0) {
        (void)say_goodbye(self);
    }
    ERR_clear_error();
    restore_story(story);
    destroy(self, reset);
}

static void tls_look_anew(sl_stream *stream)
{
    sl__stream_look_anew(self_of(stream)->wire.inner);
}

static void tls_describe(const sl_stream *stream, bool peer, char *text, size_t text_bytes)
{
    const sl_stream *inner = ((const struct tls_stream *)stream)->wire.inner;
    inner->ops->describe(inner, peer, text, text_bytes);
}

static const struct sl_stream_ops tls_ops = {.receive = tls_receive,
                                             .send = tls_send,
                                             .shutdown = tls_shutdown,
                                             .wait = tls_wait,
                                             .look_anew = tls_look_anew,
                                             .close = tls_close,
                                             .describe = tls_describe};

/* ---- the handshake ---- */

static int shake(struct tls_stream *self)
{
    for (;;) {
        before_call(self);
        int result = SSL_do_handshake(self->ssl);
        int code = result == 1 ? 0 : ended(self, result);
        if (code != SL_EAGAIN || (self->wire.starved && self->wire.write_code < 0)) {
            return code == 0 || code == SL_EAGAIN ? self->wire.write_code : code;
        }
        if (!self->wire.starved) {
            continue;
        }
        int unsent = sl__tls_wire_flush(&self->wire);
        if (unsent == 0 || unsent == SL_EAGAIN) {
            SL_TRY(sl__stream_wait(self->wire.inner, unsent == 0 ? SL_READABLE : SL_WRITABLE));
        }
    }
}

/* A client is done when its last message is sent; a server's tickets may follow when there is room. */
static int finish_sending(struct tls_stream *self)
{
    int code = 0;
    while (!self->peer.config->server && (code = sl__tls_wire_flush(&self->wire)) == SL_EAGAIN) {
        SL_TRY(sl__stream_wait(self->wire.inner, SL_WRITABLE));
    }
    return code;
}

/* Makes the record; on failure the inner stream is still the caller's. */
static int make(sl_stream *inner, sl_tls_config *config, const char *name, struct tls_stream **ret_self)
{
    size_t length = strlen(name);
    struct tls_stream *self = sl_calloc(1, sizeof *self + length + 1);
    (void)pthread_mutex_lock(&config->lock);
    SSL *ssl = SSL_new(config->context);
    (void)pthread_mutex_unlock(&config->lock);
    BIO *bio = BIO_new(config->wire);
    struct sl__tls_session *session = config->server ? NULL : sl__tls_session_new(name, inner);
    if (self == NULL || ssl == NULL || bio == NULL || (!config->server && session == NULL) ||
        SSL_set_app_data(ssl, &self->peer) != 1) {
        sl_free(self);
        SSL_free(ssl);
        (void)BIO_free(bio);
        sl__tls_session_free(session);
        return sl_fail(SL_ENOMEM, "no memory for a TLS connection");
    }
    memcpy(self->name, name, length + 1);
    sl__stream_init(&self->base, &tls_ops, false);
    sl__tls_config_ref(config);
    self->peer = (struct sl__tls_peer){.name = self->name, .config = config, .session = session, .shaking = true};
    self->wire = (struct sl__tls_wire){.inner = inner, .peer = &self->peer};
    self->ssl = ssl;
    BIO_set_data(bio, &self->wire);
    SSL_set_bio(ssl, bio, bio);
    *ret_self = self;
    return 0;
}

/* Whom the certificate must be for, and the session to resume. */
static int prepare_client(struct tls_stream *self, const char *name)
{
    X509_VERIFY_PARAM *verify = SSL_get0_param(self->ssl);
    SSL_set_connect_state(self->ssl);
    if (X509_VERIFY_PARAM_set1_ip_asc(verify, name) != 1) {
        X509_VERIFY_PARAM_set_hostflags(verify,
                                        X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
        if (X509_VERIFY_PARAM_set1_host(verify, name, 0) != 1 || SSL_set_tlsext_host_name(self->ssl, name) != 1) {
            return sl_fail(SL_ENOMEM, "no memory for a TLS connection");
        }
    }
    SSL_SESSION *session = sl__tls_session_find(self->peer.config, self->peer.session->key);
    if (session != NULL) {
        (void)SSL_set_session(self->ssl, session);
        SSL_SESSION_free(session);
    }
    return 0;
}

/* Takes the inner stream over, whatever happens. */
static int handshake(sl_stream *inner, sl_tls_config *config, const char *name, sl_stream **ret_stream)
{
    struct tls_stream *self = NULL;
    int code = sl_current() == NULL ? SL_ENOTASK : sl_checkpoint_if_cancelled();
    if (code == 0 && (inner->in_read || inner->in_write || inner->write_broken || inner->shut)) {
        code = sl_fail(SL_EINVAL, "TLS needs a stream that nobody uses and that was not shut down");
    }
    ERR_clear_error();
    code = code == 0 ? make(inner, config, name, &self) : code;
    if (code != 0) {
        sl_stream_close(inner);
        return code;
    }
    inner->in_read = inner->in_write = true; /* nobody else may */
    if (config->server) {
        SSL_set_accept_state(self->ssl);
    } else {
        code = prepare_client(self, name);
    }
    code = code == 0 ? shake(self) : code;
    code = code == 0 ? finish_sending(self) : code;
    if (code < 0) {
        if (self->peer.session != NULL && code != SL_ECANCELED) { /* the next attempt does without */
            sl__tls_session_forget(config, self->peer.session->key);
        }
        ERR_clear_error();
        destroy(self, false);
        return code;
    }
    self->peer.shaking = false;
    *ret_stream = &self->base;
    return 0;
}

/* The name as certificates and SNI have it: without the dot behind it (RFC 6066 section 3). */
static int check_name(const char *name, char *text)
{
    size_t length = name == NULL ? 0 : strlen(name);
    length -= length > 0 && name[length - 1] == '.';
    if (length == 0 || length >= SL_TLS_NAME_BYTES_MAX) {
        return sl_fail(SL_EINVAL, "a server's name has 1 to %d bytes", SL_TLS_NAME_BYTES_MAX - 1);
    }
    for (size_t i = 0; i < length; i++) {
        if (name[i] <= ' ' || name[i] > '~') {
            return sl_fail(SL_EINVAL, "a server's name is plain ASCII without spaces");
        }
    }
    memcpy(text, name, length);
    text[length] = '\0';
    return 0;
}

int sl_tls_client(sl_stream *inner, sl_tls_config *config, const char *server_name, sl_stream **ret_stream)
{
    char name[SL_TLS_NAME_BYTES_MAX];
    int code = config->server ? sl_fail(SL_EINVAL, "sl_tls_client(): the configuration is for servers")
                              : check_name(server_name, name);
    if (code < 0) {
        sl_stream_close(inner);
        return code;
    }
    return handshake(inner, config, name, ret_stream);
}

int sl_tls_server(sl_stream *inner, sl_tls_config *config, sl_stream **ret_stream)
{
    if (!config->server) {
        sl_stream_close(inner);
        return sl_fail(SL_EINVAL, "sl_tls_server(): the configuration is for clients");
    }
    int code = sl__tls_renew(config);
    if (code < 0) {
        sl_stream_close(inner);
        return code;
    }
    return handshake(inner, config, "the client", ret_stream);
}

/* ---- looking ---- */

int sl_tls_info(const sl_stream *stream, struct sl_tls_info *ret_info)
{
    if (stream->ops != &tls_ops) {
        return sl_fail(SL_EINVAL, "sl_tls_info(): not a TLS stream");
    }
    const SSL *ssl = ((const struct tls_stream *)stream)->ssl;
    const unsigned char *alpn = NULL;
    unsigned int length = 0;
    SSL_get0_alpn_selected(ssl, &alpn, &length);
    *ret_info = (struct sl_tls_info){
        .version = SSL_get_version(ssl), .cipher = SSL_get_cipher_name(ssl), .resumed = SSL_session_reused(ssl) == 1};
    if (length > 0 && length < sizeof ret_info->alpn) {
        memcpy(ret_info->alpn, alpn, length);
    }
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (certificate != NULL) {
        sl__tls_subject(X509_get_subject_name(certificate), ret_info->peer_subject, sizeof ret_info->peer_subject);
    }
    return 0;
}
