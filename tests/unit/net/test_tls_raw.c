/* SPDX-License-Identifier: MIT */
/* Our TLS against a peer that is driven by hand: it renegotiates, changes keys, stops in the middle, and lies. */
#include <string.h>

#include "raw_tls.h"
#include "sl_conformance.h"
#include "tls_pair.h"

#define PIPE_BYTES ((size_t)3000)
#define MUCH_BYTES ((size_t)100000)

struct ours {
    sl_tls_config *config;
    sl_stream *inner;
    bool server;
    sl_stream *stream;
};

static int shake_ours(void *arg)
{
    struct ours *ours = arg;
    return ours->server ? sl_tls_server(ours->inner, ours->config, &ours->stream)
                        : sl_tls_client(ours->inner, ours->config, "server.test", &ours->stream);
}

/* Our end, server or client, and a raw one of that version at the other. */
static int open_both(bool server, int version, size_t capacity, struct raw_tls *ret_raw, sl_stream **ret_stream)
{
    struct sl_tls_options options = server ? tls_server_options(TLS_SERVER) : tls_client_options();
    sl_auto(sl_tls_config) *config = NULL;
    sl_stream *other = NULL;
    SL_SCOPE(scope);
    if (server) {
        options.ca_pem = tls_identity(TLS_CA)->certificate;
        options.client_certificates = SL_TLS_CLIENTS_MUST_CERTIFY;
    }
    SL_TRY(sl_tls_config_open(&options, &config));
    struct ours ours = {.config = config, .server = server};
    SL_TRY(sl_stream_memory_pair(capacity, &ours.inner, &other));
    raw_tls_open(ret_raw, !server, version, other);
    SL_TRY(sl_spawn(&scope, shake_ours, &ours));
    SL_TRY(raw_tls_shake(ret_raw));
    SL_TRY(sl_scope_wait(&scope));
    *ret_stream = ours.stream;
    return 0;
}

static int renegotiation(bool server)
{
    struct raw_tls raw;
    sl_stream *stream = NULL;
    struct sl_view view;
    CHECK_EQ(open_both(server, TLS1_2_VERSION, 100000, &raw, &stream), 0);
    CHECK_EQ(raw_tls_write(&raw, "before", 6), 0);
    CHECK_EQ(sl_stream_peek(stream, 6, &view), 0);
    sl_stream_consume(stream, 6);
    CHECK_EQ(SSL_renegotiate(raw.ssl), 1);
    (void)SSL_do_handshake(raw.ssl);
    CHECK_EQ(raw_tls_give(&raw, SIZE_MAX), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(sl_stream_peek(stream, 1, &view), SL_ETLS);
        CHECK_STRING(sl_error_message(sl_error_last()),
                     server ? "'the client' asked for a TLS renegotiation, which is refused"
                            : "'server.test' asked for a TLS renegotiation, which is refused");
    }
    CHECK_EQ(sl_stream_write(stream, "x", 1), SL_ETLS);
    sl_stream_close(stream);
    raw_tls_close(&raw);
    return 0;
}

C_TEST_REAL_FEW(tls_renegotiation, "a peer that renegotiates is refused, and the error says so", "RFC 5746")
{
    CHECK_EQ(renegotiation(true), 0);
    return renegotiation(false);
}

C_TEST_REAL_FEW(tls_old_versions, "TLS 1.1 is refused on both sides", "RFC 8996")
{
    for (int server = 0; server < 2; server++) {
        struct sl_tls_options options = server == 1 ? tls_server_options(TLS_SERVER) : tls_client_options();
        sl_auto(sl_tls_config) *config = NULL;
        sl_stream *inner = NULL;
        sl_stream *other = NULL;
        struct raw_tls raw;
        CHECK_EQ(sl_tls_config_open(&options, &config), 0);
        CHECK_EQ(sl_stream_memory_pair(100000, &inner, &other), 0);
        struct ours ours = {.config = config, .inner = inner, .server = server == 1};
        raw_tls_open(&raw, server == 0, TLS1_1_VERSION, other);
        if (server == 1) {
            (void)SSL_do_handshake(raw.ssl);
            CHECK_EQ(raw_tls_give(&raw, SIZE_MAX), 0);
            CHECK_EQ(shake_ours(&ours), SL_ETLS);
            CHECK_STRING(sl_error_message(sl_error_last()),
                         "TLS handshake with 'the client': no protocol version in common");
        } else {
            SL_SCOPE(scope, .fail_first = true);
            CHECK_EQ(sl_spawn(&scope, shake_ours, &ours), 0);
            (void)raw_tls_shake(&raw);
            CHECK_EQ(sl_scope_wait(&scope), SL_ETLS);
            CHECK_STRING(sl_error_message(sl_error_only(sl_error_last())),
                         "TLS handshake with 'server.test': no protocol version in common, the peer says");
        }
        raw_tls_close(&raw);
    }
    return 0;
}

/* ---- new keys while both directions are busy ---- */

static int write_much(void *arg)
{
    char *data = test_malloc(MUCH_BYTES);
    for (size_t i = 0; i < MUCH_BYTES; i++) {
        data[i] = (char)(i * 31 + i / 257);
    }
    int code = sl_stream_write(arg, data, MUCH_BYTES);
    test_free(data);
    return code;
}

C_TEST(tls_new_keys_in_the_middle, "the reader answers a key update while a write is under way: neither is harmed",
       "RFC 8446 section 4.6.3")
{
    struct raw_tls raw;
    sl_stream *stream = NULL;
    struct sl_view view;
    CHECK_EQ(open_both(false, TLS1_3_VERSION, PIPE_BYTES, &raw, &stream), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, write_much, stream), 0);
    SETTLE(); /* it is in the middle of a record */
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(SSL_key_update(raw.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        CHECK_EQ(raw_tls_write(&raw, "data", 4), 0);
        CHECK_EQ(sl_stream_peek(stream, 4, &view), 0);
        CHECK_EQ(view.size_bytes, 4);
        sl_stream_consume(stream, 4);
    }
    char *data = test_malloc(MUCH_BYTES);
    CHECK_EQ(raw_tls_read(&raw, data, MUCH_BYTES), 0);
    for (size_t i = 0; i < MUCH_BYTES; i++) {
        CHECK(data[i] == (char)(i * 31 + i / 257));
    }
    test_free(data);
    CHECK_EQ(sl_scope_join(&scope, SL_NEVER), 0);
    sl_stream_close(stream);
    raw_tls_close(&raw);
    return sl_scope_wait(&scope);
}

static int read_some(void *arg)
{
    struct sl_view view;
    SL_TRY(sl_stream_peek(arg, 4, &view));
    sl_stream_consume(arg, 4);
    return 0;
}

C_TEST_REAL_FEW(tls_flood_of_new_keys, "a peer that makes us answer and reads no answer costs bounded memory", "")
{
    struct raw_tls raw;
    sl_stream *stream = NULL;
    CHECK_EQ(open_both(false, TLS1_3_VERSION, 1000, &raw, &stream), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, read_some, stream), 0);
    for (int i = 0; i < 5000; i++) { /* 22 bytes and more for each answer */
        CHECK_EQ(SSL_key_update(raw.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        CHECK_EQ(SSL_do_handshake(raw.ssl), 1);
        CHECK_EQ(raw_tls_give(&raw, SIZE_MAX), 0);
    }
    CHECK_EQ(raw_tls_write(&raw, "data", 4), 0); /* reading goes on */
    CHECK_EQ(sl_scope_join(&scope, SL_NEVER), 0);
    CHECK_EQ(sl_stream_write(stream, "x", 1), SL_EPROTO);
    sl_stream_close(stream);
    raw_tls_close(&raw);
    return sl_scope_wait(&scope);
}

static int tick(void *arg)
{
    int *ticks = arg;
    while (sl_checkpoint() == 0) {
        (*ticks)++;
    }
    return 0;
}

C_TEST_REAL_FEW(tls_records_without_data, "a peer that sends much and says nothing does not hold the other tasks up",
                "")
{
    struct raw_tls raw;
    sl_stream *stream = NULL;
    struct sl_view view;
    int ticks = 0;
    CHECK_EQ(open_both(false, TLS1_3_VERSION, 100000, &raw, &stream), 0);
    for (int i = 0; i < 2000; i++) {
        CHECK_EQ(SSL_key_update(raw.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        CHECK_EQ(SSL_do_handshake(raw.ssl), 1);
    }
    CHECK_EQ(raw_tls_write(&raw, "data", 4), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, tick, &ticks, .daemon = true), 0);
    CHECK_EQ(sl_stream_peek(stream, 4, &view), 0);
    CHECK(ticks >= 50);
    sl_stream_close(stream);
    raw_tls_close(&raw);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(tls_closed_between_records, "a stream that is closed while its reader lets others run", "")
{
    struct raw_tls raw;
    sl_stream *stream = NULL;
    CHECK_EQ(open_both(false, TLS1_3_VERSION, 100000, &raw, &stream), 0);
    for (int i = 0; i < 2000; i++) {
        CHECK_EQ(SSL_key_update(raw.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        CHECK_EQ(SSL_do_handshake(raw.ssl), 1);
    }
    CHECK_EQ(raw_tls_give(&raw, SIZE_MAX), 0);
    SL_SCOPE(scope, .fail_first = true);
    CHECK_EQ(sl_spawn(&scope, read_some, stream), 0);
    CHECK_EQ(sl_checkpoint(), 0);
    CHECK_EQ(sl_checkpoint(), 0);
    sl_stream_close(stream);
    CHECK_EQ(sl_scope_wait(&scope), SL_ECLOSED);
    raw_tls_close(&raw);
    return 0;
}

/* ---- a message of the handshake in several records: a writer has to wait for the rest of it ---- */

static int write_hello(void *arg)
{
    return sl_stream_write(arg, "hello", 5);
}

static int shut_down(void *arg)
{
    return sl_stream_shutdown(arg);
}

static int expect_eof(void *arg)
{
    struct sl_view view;
    return sl_stream_peek(arg, 1, &view) == SL_EOF ? 0 : SL_EPROTO;
}

/* A ticket with a certificate in it, in records of 512 bytes; gives the first of them. */
static int give_half_a_ticket(struct raw_tls *raw)
{
    CHECK_EQ(SSL_set_max_send_fragment(raw->ssl, 512), 1);
    CHECK_EQ(SSL_new_session_ticket(raw->ssl), 1);
    CHECK_EQ(SSL_do_handshake(raw->ssl), 1);
    CHECK(BIO_ctrl_pending(raw->out) > 550);
    return raw_tls_give(raw, 540); /* the first record has 534 */
}

static int open_for_a_ticket(struct raw_tls *raw, sl_stream **ret_stream)
{
    struct sl_tls_options options = tls_client_options();
    sl_auto(sl_tls_config) *config = NULL;
    sl_stream *other = NULL;
    SL_SCOPE(scope);
    options.certificate_pem = tls_identity(TLS_CLIENT)->certificate;
    options.key_pem = tls_identity(TLS_CLIENT)->key;
    CHECK_EQ(sl_tls_config_open(&options, &config), 0);
    struct ours ours = {.config = config};
    CHECK_EQ(sl_stream_memory_pair(100000, &ours.inner, &other), 0);
    raw_tls_open(raw, true, TLS1_3_VERSION, other);
    SSL_set_verify(raw->ssl, SSL_VERIFY_PEER, NULL);
    CHECK_EQ(SSL_CTX_load_verify_locations(raw->context, tls_identity_file(TLS_CA, false), NULL), 1);
    CHECK_EQ(SSL_set_session_id_context(raw->ssl, (const unsigned char *)"x", 1), 1);
    CHECK_EQ(sl_spawn(&scope, shake_ours, &ours), 0);
    CHECK_EQ(raw_tls_shake(raw), 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    *ret_stream = ours.stream;
    return 0;
}

/* What the tasks of our end do meanwhile, and in which order they begin. */
static int with_half_a_ticket(sl_task_fn first, sl_task_fn second)
{
    struct raw_tls raw;
    sl_stream *stream = NULL;
    CHECK_EQ(open_for_a_ticket(&raw, &stream), 0);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, read_some, stream), 0);
    CHECK_EQ(give_half_a_ticket(&raw), 0);
    SETTLE();
    CHECK_EQ(raw_tls_give(&raw, 1), 0);
    SETTLE();
    CHECK_EQ(sl_spawn(&scope, first, stream), 0);
    SETTLE();
    CHECK_EQ(sl_scope_children(&scope), 2); /* both wait for the rest of the ticket */
    CHECK_EQ(raw_tls_give(&raw, SIZE_MAX), 0);
    SETTLE();
    CHECK_EQ(sl_scope_children(&scope), 1); /* the writer is done, the reader goes on */
    CHECK_EQ(raw_tls_write(&raw, "data", 4), 0);
    CHECK_EQ(sl_scope_join(&scope, SL_NEVER), 0);
    if (second != NULL) {
        CHECK_EQ(sl_spawn(&scope, second, stream), 0);
        CHECK_EQ(SSL_shutdown(raw.ssl), 0);
        CHECK_EQ(raw_tls_give(&raw, SIZE_MAX), 0);
    }
    int code = sl_scope_wait(&scope);
    sl_stream_close(stream);
    raw_tls_close(&raw);
    return code;
}

C_TEST(tls_writer_waits_for_a_message, "a write that comes in the middle of a message waits until it is complete", "")
{
    return with_half_a_ticket(write_hello, NULL);
}

C_TEST(tls_shutdown_waits_for_a_message, "so does the end", "")
{
    return with_half_a_ticket(shut_down, expect_eof);
}

C_TEST(tls_reader_leaves_the_writer, "the reader is cancelled, the writer waits on for the message by itself", "")
{
    struct raw_tls raw;
    sl_stream *stream = NULL;
    CHECK_EQ(open_for_a_ticket(&raw, &stream), 0);
    SL_SCOPE(all);
    {
        SL_SCOPE(readers);
        CHECK_EQ(sl_spawn(&readers, read_some, stream), 0);
        CHECK_EQ(give_half_a_ticket(&raw), 0);
        SETTLE();
        CHECK_EQ(sl_spawn(&all, write_hello, stream), 0);
        SETTLE();
        sl_scope_cancel(&readers, "enough");
    }
    SETTLE();
    CHECK_EQ(sl_scope_children(&all), 1);
    CHECK_EQ(sl_spawn(&all, read_some, stream), 0); /* now it is the reader who comes second */
    SETTLE();
    CHECK_EQ(raw_tls_give(&raw, SIZE_MAX), 0);
    char buffer[5];
    CHECK_EQ(raw_tls_read(&raw, buffer, 5), 0);
    CHECK(memcmp(buffer, "hello", 5) == 0);
    CHECK_EQ(raw_tls_write(&raw, "data", 4), 0);
    CHECK_EQ(sl_scope_wait(&all), 0);
    sl_stream_close(stream);
    raw_tls_close(&raw);
    return 0;
}

/* ---- ends and damage ---- */

static int ends_with(struct raw_tls *raw, sl_stream *stream, int code, const char *message)
{
    struct sl_view view;
    CHECK_EQ(sl_stream_peek(stream, 6, &view), code);
    CHECK_EQ(view.size_bytes, 5); /* what came before is not lost */
    CHECK(memcmp(view.data, "hello", 5) == 0);
    if (message != NULL) {
        CHECK_STRING(sl_error_message(sl_error_last()), message);
    }
    sl_stream_close(stream);
    raw_tls_close(raw);
    return 0;
}

C_TEST_REAL_FEW(tls_truncated, "an end without close_notify is no end", "RFC 8446 section 6.1")
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        for (int half = 0; half < 3; half++) {
            struct raw_tls raw;
            sl_stream *stream = NULL;
            CHECK_EQ(open_both(false, version, 100000, &raw, &stream), 0);
            CHECK_EQ(raw_tls_write(&raw, "hello", 5), 0);
            if (half == 1) { /* in the middle of a record */
                CHECK_EQ(SSL_write(raw.ssl, "world", 5), 5);
                CHECK_EQ(raw_tls_give(&raw, 20), 0);
            } else if (half == 2) {
                CHECK_EQ(SSL_shutdown(raw.ssl), 0);
                CHECK_EQ(raw_tls_give(&raw, SIZE_MAX), 0);
            }
            CHECK_EQ(sl_stream_shutdown(raw.stream), 0);
            CHECK_EQ(
                ends_with(&raw, stream, half == 2 ? SL_EOF : SL_ECONNRESET,
                          half == 2 ? NULL : "'server.test' ended the TLS connection without close_notify: truncated?"),
                0);
        }
    }
    return 0;
}

C_TEST_REAL_FEW(tls_damaged, "a damaged record ends the connection", "")
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct raw_tls raw;
        sl_stream *stream = NULL;
        char record[100];
        CHECK_EQ(open_both(false, version, 100000, &raw, &stream), 0);
        CHECK_EQ(raw_tls_write(&raw, "hello", 5), 0);
        CHECK_EQ(SSL_write(raw.ssl, "world", 5), 5);
        int bytes = BIO_read(raw.out, record, sizeof record);
        CHECK(bytes > 20);
        record[bytes - 1] ^= 1;
        CHECK_EQ(sl_stream_write(raw.stream, record, (size_t)bytes), 0);
        CHECK_EQ(ends_with(&raw, stream, SL_ETLS, "TLS with 'server.test': a record was damaged on its way"), 0);
    }
    return 0;
}

/* ---- how much goes into a record ---- */

/* The sizes of the records that lie in the stream. */
static int records_in(sl_stream *stream, size_t *sizes, size_t count)
{
    struct sl_view view;
    SETTLE();
    CHECK_EQ(sl_stream_peek(stream, 1, &view), 0);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        CHECK(at + 5 <= view.size_bytes);
        sizes[i] = (unsigned char)view.data[at + 3] * 256u + (unsigned char)view.data[at + 4];
        at += 5 + sizes[i];
    }
    CHECK_EQ(at, view.size_bytes);
    sl_stream_consume(stream, at);
    return 0;
}

C_TEST_REAL_FEW(tls_records, "small pieces of a write share a record; large ones are cut at 16 KiB", "")
{
    static const char zeros[40000];
    struct raw_tls raw;
    sl_stream *stream = NULL;
    size_t sizes[3];
    CHECK_EQ(open_both(false, TLS1_3_VERSION, 100000, &raw, &stream), 0);
    struct sl_bytes small[] = {{zeros, 4}, {zeros, 10}, {NULL, 0}, {zeros, 200}};
    CHECK_EQ(sl_stream_write_pieces(stream, small, 4), 0);
    CHECK_EQ(records_in(raw.stream, sizes, 1), 0);
    CHECK_EQ(sizes[0], 214 + 17); /* content type and tag */
    struct sl_bytes large[] = {{zeros, 10}, {zeros, 16384 * 2 - 10}, {zeros, 1}};
    CHECK_EQ(sl_stream_write_pieces(stream, large, 3), 0);
    CHECK_EQ(records_in(raw.stream, sizes, 3), 0);
    CHECK_EQ(sizes[0], 16384 + 17);
    CHECK_EQ(sizes[1], 16384 + 17);
    CHECK_EQ(sizes[2], 1 + 17);
    sl_stream_close(stream);
    raw_tls_close(&raw);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(tls_renegotiation), cmocka_unit_test(tls_old_versions),
             cmocka_unit_test(tls_new_keys_in_the_middle), cmocka_unit_test(tls_flood_of_new_keys),
             cmocka_unit_test(tls_records_without_data), cmocka_unit_test(tls_closed_between_records),
             cmocka_unit_test(tls_writer_waits_for_a_message), cmocka_unit_test(tls_shutdown_waits_for_a_message),
             cmocka_unit_test(tls_reader_leaves_the_writer), cmocka_unit_test(tls_truncated),
             cmocka_unit_test(tls_damaged), cmocka_unit_test(tls_records))
