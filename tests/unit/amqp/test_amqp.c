/* SPDX-License-Identifier: MIT */
/* The AMQP client against a scripted server in the simulated network: cut links, short memory, cancellation, bad URLs. */
#include "sl_conformance.h"

#include <string.h>

#include "amqp/internal.h"
#include "cancel_steps.h"
#include "sluice/net.h"
#include "sluice/simulation.h"

#define PORT 5672
#define MESSAGES 40

/* Takes one frame of the client's: its type and, of a method, which. */
static int take(sl_stream *stream, unsigned *ret_type, uint32_t *ret_method)
{
    struct sl_view view;
    SL_TRY(sl_stream_peek(stream, 7, &view));
    struct sl__amqp_in in = {(const uint8_t *)view.data, (const uint8_t *)view.data + 7, false};
    *ret_type = sl__amqp_get_u8(&in);
    (void)sl__amqp_get_u16(&in);
    size_t size = sl__amqp_get_u32(&in);
    SL_TRY(sl_stream_peek(stream, size + 8, &view));
    in = (struct sl__amqp_in){(const uint8_t *)view.data + 7, (const uint8_t *)view.data + 7 + size, false};
    *ret_method = *ret_type == SL__AMQP_METHOD ? sl__amqp_get_u32(&in) : 0;
    sl_stream_consume(stream, size + 8);
    return 0;
}

static int reply(sl_stream *stream, struct sl__amqp_out *out)
{
    sl__amqp_end_frame(out);
    int code = out->code < 0 ? out->code : sl_stream_write(stream, out->data, out->size_bytes);
    out->size_bytes = 0;
    out->code = 0;
    return code;
}

static int start(sl_stream *stream, struct sl__amqp_out *out)
{
    char greeting[8];
    size_t bytes = 0;
    for (size_t at = 0; at < 8; at += bytes) {
        SL_TRY(sl_stream_read(stream, greeting + at, 8 - at, &bytes));
    }
    sl__amqp_begin_method(out, 0, SL__CONNECTION_START);
    sl__amqp_put_u16(out, 9);
    sl__amqp_put_u32(out, 0);
    sl__amqp_put_long(out, "PLAIN", 5);
    sl__amqp_put_long(out, "en_US", 5);
    return reply(stream, out);
}

/* What the server says to a method; 1 when it has said goodbye. */
static int answer(sl_stream *stream, struct sl__amqp_out *out, uint32_t method)
{
    switch (method) {
    case SL__CONNECTION_START_OK:
        sl__amqp_begin_method(out, 0, SL__CONNECTION_TUNE);
        sl__amqp_put_u16(out, 100);
        sl__amqp_put_u32(out, 4096);
        sl__amqp_put_u16(out, 5);
        return reply(stream, out);
    case SL__CONNECTION_OPEN:
        sl__amqp_begin_method(out, 0, SL__CONNECTION_OPEN_OK);
        sl__amqp_put_short(out, "");
        return reply(stream, out);
    case SL__CHANNEL_OPEN:
        sl__amqp_begin_method(out, 1, SL__CHANNEL_OPEN_OK);
        sl__amqp_put_u32(out, 0);
        return reply(stream, out);
    case SL__CONFIRM_SELECT:
        sl__amqp_begin_method(out, 1, SL__CONFIRM_SELECT_OK);
        return reply(stream, out);
    case SL__CONNECTION_CLOSE:
        sl__amqp_begin_method(out, 0, SL__CONNECTION_CLOSE_OK);
        SL_TRY(reply(stream, out));
        return 1;
    default:
        return 0;
    }
}

static int talk(sl_stream *stream, struct sl__amqp_out *out)
{
    uint64_t tag = 0;
    int code = start(stream, out);
    while (code == 0) {
        unsigned type = 0;
        uint32_t method = 0;
        SL_TRY(take(stream, &type, &method));
        code = answer(stream, out, method);
        tag += method == SL__BASIC_PUBLISH ? 1 : 0;
        if (type == SL__AMQP_BODY && (tag % 7 == 0 || tag == MESSAGES)) {
            sl__amqp_begin_method(out, 1, SL__BASIC_ACK);
            sl__amqp_put_u64(out, tag);
            sl__amqp_put_u8(out, 1);
            SL_TRY(reply(stream, out));
        }
    }
    return code;
}

/* Serves one client; what becomes of it is the client's test. */
static int serve(void *arg)
{
    sl_auto(sl_stream) *stream = NULL;
    struct sl__amqp_out out = {0};
    SL_TRY(sl_listener_accept(arg, &stream));
    int code = talk(stream, &out);
    sl_free(out.data);
    return code == SL_ECANCELED ? code : 0;
}

static int publish_all(void)
{
    struct sl_amqp_message messages[MESSAGES];
    enum sl_amqp_outcome outcomes[MESSAGES];
    sl_amqp *amqp = NULL;
    SL_SCOPE(scope);
    struct sl_amqp_options options = {.url = "amqp://me:you@127.0.0.1", .window = 16, .heartbeat = SL_SECONDS(2)};
    SL_TRY(sl_amqp_open(&scope, &options, &amqp));
    for (int at = 0; at < MESSAGES; at++) {
        messages[at] = (struct sl_amqp_message){.key = "queue", .body = "body", .body_bytes = 4};
    }
    int code = sl_amqp_publish(amqp, messages, MESSAGES, outcomes);
    for (int at = 0; at < MESSAGES; at++) { /* what is said of them is true in any case */
        CHECK(code == 0 ? outcomes[at] == SL_AMQP_CONFIRMED : outcomes[at] <= SL_AMQP_CONFIRMED);
    }
    SL_TRY(code);
    SL_TRY(sl_amqp_close(amqp));
    return sl_scope_wait(&scope);
}

/* 0 for a whole session and one that failed as it may. */
static int session(void *arg)
{
    const struct sl_link_options *link = arg;
    sl_auto(sl_listener) *listener = NULL;
    SL_TRY(sl_network_simulate());
    if (link != NULL) {
        SL_TRY(sl_network_link(NULL, NULL, link));
    }
    SL_TRY(sl_listener_open("127.0.0.1", PORT, &listener));
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, serve, listener, .daemon = true));
    int code = publish_all();
    if (link != NULL && code < 0 && code != SL_CHECK_FAILED) {
        code = 0; /* cut links are allowed to be noticed */
    }
    sl_scope_cancel(&scope, "done");
    return sl_scope_close(&scope, code);
}

C_TEST_SIMULATED(a_whole_session, "", "")
{
    return session(NULL);
}

C_TEST_RUNS(links_that_are_cut_anywhere, "", "")
{
    for (uint64_t bytes = 1; bytes < 4000 && options->shuffle_seed < 3; bytes += 7) {
        struct sl_link_options link = {.cut_after_bytes = bytes, .chunk_bytes = bytes % 3 == 0 ? 5 : 0};
        int64_t held = sl_memory_held();
        if (options->simulation == NULL) {
            return 0;
        }
        CHECK_EQ(sl_run(options, session, &link, NULL), 0);
        CHECK_EQ(sl_memory_held(), held);
    }
    return 0;
}

static int session_or_memory(void *arg)
{
    sl_memory_fail_after(*(int64_t *)arg);
    int code = session(NULL);
    bool failed = sl_memory_failed() != 0;
    sl_memory_fail_after(-1);
    CHECK(code == 0 || (failed && code != SL_CHECK_FAILED));
    *(int64_t *)arg = failed ? 1 : 0;
    return 0;
}

C_TEST_RUNS(memory_may_be_short_anywhere, "", "")
{
    for (int64_t n = 0; options->simulation != NULL && options->shuffle_seed < 3; n++) {
        int64_t arg = n;
        int64_t held = sl_memory_held();
        int code = sl_run(options, session_or_memory, &arg, NULL);
        sl_memory_fail_after(-1);
        CHECK(code == 0 || code == SL_ENOMEM);
        CHECK_EQ(sl_memory_held(), held);
        if (code == 0 && arg == 0) {
            CHECK(n > 10);
            break;
        }
    }
    return 0;
}

static int session_to_cancel(void *arg)
{
    (void)arg;
    int code = session(NULL);
    return code == SL_ECANCELED ? 0 : code;
}

C_TEST_RUNS(it_may_be_cancelled_at_each_step, "", "")
{
    if (options->simulation == NULL || options->shuffle_seed >= 3) {
        return 0;
    }
    CHECK(cancel_at_each_step(options, session_to_cancel, NULL) > 20);
    return 0;
}

static void urls(void **state)
{
    (void)state;
    struct sl__amqp_url url;
    assert_int_equal(sl__amqp_parse_url("amqp://", &url), 0);
    assert_string_equal(url.host, "localhost");
    assert_string_equal(url.vhost, "/");
    assert_string_equal(url.user, "guest");
    assert_int_equal(url.port, 5672);
    assert_int_equal(sl__amqp_parse_url("amqps://u%40:p%3a@[::1]:99/a%2fb", &url), 0);
    assert_true(url.tls);
    assert_string_equal(url.host, "::1");
    assert_string_equal(url.user, "u@");
    assert_string_equal(url.password, "p:");
    assert_string_equal(url.vhost, "a/b");
    assert_int_equal(url.port, 99);
    assert_int_equal(sl__amqp_parse_url("amqp://host/", &url), 0);
    assert_string_equal(url.vhost, "");
    static const char *const bad[] = {"",
                                      "http://host",
                                      "amqp://host:0",
                                      "amqp://host:65536",
                                      "amqp://host:1x",
                                      "amqp://host:",
                                      "amqp://host/a/b",
                                      "amqp://host?x",
                                      "amqp://[::1]x",
                                      "amqp://a%2",
                                      "amqp://a%zz@host",
                                      "amqp://a%00@host"};
    for (size_t at = 0; at < sizeof(bad) / sizeof(bad[0]); at++) {
        if (sl__amqp_parse_url(bad[at], &url) != SL_EINVAL) {
            fail_msg("%s", bad[at]);
        }
    }
    assert_int_equal(sl__amqp_parse_url(NULL, &url), SL_EINVAL);
}

SL_TEST_MAIN(cmocka_unit_test(a_whole_session), cmocka_unit_test(links_that_are_cut_anywhere),
             cmocka_unit_test(memory_may_be_short_anywhere), cmocka_unit_test(it_may_be_cancelled_at_each_step),
             cmocka_unit_test(urls))
