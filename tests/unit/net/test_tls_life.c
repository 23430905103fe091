/* SPDX-License-Identifier: MIT */
/* TLS connections that are cancelled, closed or short of memory at every point: nothing is left behind. */
#include <string.h>

#include "sl_conformance.h"
#include "stream_cases.h"
#include "tls_pair.h"
#include "trap_stream.h"

#define MESSAGE_BYTES ((size_t)20000)
#define ATTEMPTS_MAX 2000

/* One end of a session: handshake, a message there and one back, the end. */
struct session {
    sl_stream *inner;
    sl_tls_config *config;
    bool server;
    int code;
    bool done;
};

static int read_message(sl_stream *stream)
{
    char buffer[3000];
    for (size_t total = 0, bytes = 0; total < MESSAGE_BYTES; total += bytes) {
        SL_TRY(sl_stream_read(stream, buffer, sizeof buffer, &bytes));
    }
    return 0;
}

static int write_message(sl_stream *stream)
{
    static const char zeros[MESSAGE_BYTES];
    struct sl_bytes pieces[] = {{zeros, 100}, {zeros + 100, MESSAGE_BYTES - 100}};
    return sl_stream_write_pieces(stream, pieces, 2);
}

static int talk(struct session *session)
{
    sl_auto(sl_stream) *stream = NULL;
    sl_stream *inner = session->inner;
    char byte;
    size_t bytes = 0;
    session->inner = NULL;
    if (session->server) {
        SL_TRY(sl_tls_server(inner, session->config, &stream));
        SL_TRY(read_message(stream));
        SL_TRY(write_message(stream));
    } else {
        SL_TRY(sl_tls_client(inner, session->config, "server.test", &stream));
        SL_TRY(write_message(stream));
        SL_TRY(read_message(stream));
    }
    SL_TRY(sl_stream_shutdown(stream));
    int code = sl_stream_read(stream, &byte, 1, &bytes);
    return code == SL_EOF ? 0 : code;
}

static int run_session(void *arg)
{
    struct session *session = arg;
    session->code = talk(session);
    session->done = session->code == 0;
    return session->code;
}

static int run_peer(void *arg)
{
    struct session *session = arg;
    session->code = talk(session);
    return 0; /* whatever became of the other one */
}

/* A session whose client or server is cancelled at its n-th wait (0: never), if there are that many. */
static int trapped_session(sl_tls_config *const configs[2], bool server, size_t step, int n, bool *ret_done)
{
    struct trap trap = {.step = step, .waits = n};
    sl_stream *ends[2] = {NULL, NULL};
    SL_SCOPE(all);
    CHECK_EQ(sl_stream_memory_pair(700, &ends[0], &ends[1]), 0);
    sl_stream *plain = ends[server];
    CHECK_EQ(trap_stream_open(plain, &trap, &ends[server]), 0);
    struct session mine = {.inner = ends[server], .config = configs[server], .server = server};
    struct session peer = {.inner = ends[!server], .config = configs[!server], .server = !server};
    CHECK_EQ(sl_spawn(&all, run_peer, &peer), 0);
    {
        SL_SCOPE(scope);
        trap.scope = &scope;
        int code = run_session(&mine);
        CHECK(code == 0 || (code == SL_ECANCELED && trap.sprung));
        CHECK_EQ(sl_scope_close(&scope, 0), 0);
        trap.scope = NULL;
    }
    CHECK_EQ(sl_scope_wait(&all), 0);
    CHECK(!mine.done || peer.code == 0);
    CHECK(mine.done || peer.code < 0);
    CHECK(mine.done == !trap.sprung);
    *ret_done = mine.done;
    return 0;
}

static int cancelled_everywhere(bool server, size_t step)
{
    struct sl_tls_options options[] = {tls_client_options(), tls_server_options(TLS_SERVER)};
    sl_tls_config *configs[2] = {NULL, NULL};
    bool done = false;
    int attempts = 0;
    CHECK_EQ(sl_tls_config_open(&options[0], &configs[0]), 0);
    CHECK_EQ(sl_tls_config_open(&options[1], &configs[1]), 0);
    while (!done) {
        CHECK(attempts < ATTEMPTS_MAX);
        CHECK_EQ(trapped_session(configs, server, step, ++attempts, &done), 0);
    }
    CHECK(attempts > 10);
    sl_tls_config_free(configs[0]);
    sl_tls_config_free(configs[1]);
    return 0;
}

C_TEST_REAL_FEW(tls_client_cancelled_everywhere, "a client is cancelled at each of its waits", "")
{
    return cancelled_everywhere(false, 0);
}

C_TEST_REAL_FEW(tls_server_cancelled_everywhere, "a server is cancelled at each of its waits", "")
{
    return cancelled_everywhere(true, 0);
}

C_TEST_REAL_FEW(tls_one_byte_at_a_time, "a stream below that takes and gives single bytes", "")
{
    struct sl_tls_options options[] = {tls_client_options(), tls_server_options(TLS_SERVER)};
    sl_tls_config *configs[2] = {NULL, NULL};
    CHECK_EQ(sl_tls_config_open(&options[0], &configs[0]), 0);
    CHECK_EQ(sl_tls_config_open(&options[1], &configs[1]), 0);
    for (int server = 0; server < 2; server++) {
        bool done = false;
        CHECK_EQ(trapped_session(configs, server == 1, 1, 0, &done), 0);
        CHECK(done);
    }
    sl_tls_config_free(configs[0]);
    sl_tls_config_free(configs[1]);
    return 0;
}

/* ---- memory ---- */

static int session_with_failure(int64_t allocations, bool *ret_failed)
{
    struct tls_pair pair = {NULL, NULL};
    sl_memory_fail_after(allocations);
    int code = tls_pair_open(TLS_OVER_MEMORY, 700, &pair);
    if (code == 0) {
        struct sl_view view;
        code = sl_stream_write(pair.client, "hello", 5);
        code = code == 0 ? sl_stream_peek(pair.server, 5, &view) : code;
        code = code == 0 ? sl_stream_shutdown(pair.client) : code;
    }
    *ret_failed = sl_memory_failed() != 0;
    sl_memory_fail_after(-1);
    tls_pair_close(&pair);
    return code;
}

C_TEST_REAL_FEW(tls_short_of_memory, "the n-th allocation of a session fails, for each n: SL_ENOMEM", "")
{
    bool failed = true;
    (void)tls_identity(TLS_CA);
    for (int64_t n = 0; failed; n++) {
        CHECK(n < ATTEMPTS_MAX);
        int code = session_with_failure(n, &failed);
        /* The one end has no memory, the other sees it go. */
        CHECK(failed ? code == SL_ENOMEM || code == SL_ECONNRESET : code == 0);
    }
    return 0;
}

C_TEST_REAL_FEW(tls_config_short_of_memory, "the n-th allocation of a configuration fails, for each n", "")
{
    static const char *const alpn[] = {"h2", NULL};
    struct sl_tls_options options = tls_server_options(TLS_SERVER);
    bool failed = true;
    options.alpn = alpn;
    for (int64_t n = 0; failed; n++) {
        sl_tls_config *config = NULL;
        sl_memory_fail_after(n);
        int code = sl_tls_config_open(&options, &config);
        failed = sl_memory_failed() != 0;
        sl_memory_fail_after(-1);
        CHECK_EQ(code, failed ? SL_ENOMEM : 0);
        sl_tls_config_free(config);
    }
    return 0;
}

/* ---- closing ---- */

static int pair_over(enum tls_under under, sl_stream **ret_one, sl_stream **ret_other)
{
    struct tls_pair pair;
    SL_TRY(tls_pair_open(under, 5000, &pair));
    *ret_one = pair.client;
    *ret_other = pair.server;
    return 0;
}

static int over_memory(sl_stream **ret_one, sl_stream **ret_other)
{
    return pair_over(TLS_OVER_MEMORY, ret_one, ret_other);
}

static int over_tcp(sl_stream **ret_one, sl_stream **ret_other)
{
    return pair_over(TLS_OVER_TCP, ret_one, ret_other);
}

C_TEST(tls_closed_under_waiters, "reader and writer get SL_ECLOSED, also when both ends are gone by then", "")
{
    return stream_closed_under_waiters(over_memory);
}

C_TEST_REAL_FEW(tls_tcp_closed_under_waiters, "the same over TCP", "")
{
    return stream_closed_under_waiters(over_tcp);
}

C_TEST(tls_check, "a look tells what came, and the end", "")
{
    return stream_check_tells_the_end(over_memory);
}

C_TEST_REAL_FEW(tls_tcp_check, "the same over TCP", "")
{
    return stream_check_tells_the_end(over_tcp);
}

/* The code that the server reads after all that came. */
static int code_at_the_end(sl_stream *stream)
{
    struct sl_view view;
    int code;
    while ((code = sl_stream_peek(stream, 1, &view)) == 0) {
        sl_stream_consume(stream, view.size_bytes);
    }
    return code;
}

C_TEST(tls_write_cancelled, "a write that was cancelled breaks the stream, and the peer sees it cut off", "")
{
    struct tls_pair pair;
    CHECK_EQ(tls_pair_open(TLS_OVER_MEMORY, 5000, &pair), 0);
    {
        SL_SCOPE(scope, .timeout = SL_MILLISECONDS(20), .move_on = true);
        static const char zeros[7000]; /* 5000 of the record go, the rest would fit once those were taken */
        CHECK_EQ(sl_stream_write(pair.client, zeros, sizeof zeros), SL_ECANCELED);
    }
    CHECK_EQ(sl_stream_write(pair.client, "x", 1), SL_EPIPE);
    CHECK_EQ(sl_stream_shutdown(pair.client), SL_EPIPE);
    CHECK_EQ(sl_stream_write(pair.server, "still", 5), 0); /* reading was not harmed */
    struct sl_view view;
    CHECK_EQ(sl_stream_peek(pair.client, 5, &view), 0);
    {
        SL_SCOPE(scope, .timeout = SL_MILLISECONDS(20), .move_on = true);
        CHECK_EQ(sl_stream_peek(pair.server, 1, &view), SL_ECANCELED); /* now there would be room for a close_notify */
    }
    sl_stream_close(pair.client);
    CHECK_EQ(code_at_the_end(pair.server), SL_ECONNRESET);
    CHECK_STRING(sl_error_message(sl_error_last()),
                 "'the client' ended the TLS connection without close_notify: truncated?");
    CHECK_EQ(code_at_the_end(pair.server), SL_ECONNRESET); /* each time */
    sl_stream_close(pair.server);
    return 0;
}

C_TEST(tls_shutdown_cancelled, "a shutdown that had no room is not over: it goes on when it is repeated", "")
{
    struct tls_pair pair;
    size_t bytes = 0;
    CHECK_EQ(tls_pair_open(TLS_OVER_MEMORY, 5000, &pair), 0);
    static const char zeros[4960]; /* with what TLS adds nearly all that fits */
    CHECK_EQ(sl_stream_write_now(pair.client, zeros, sizeof zeros, &bytes), 0);
    CHECK_EQ(bytes, sizeof zeros);
    for (int i = 0; i < 2; i++) {
        SL_SCOPE(scope, .timeout = SL_MILLISECONDS(20), .move_on = true);
        CHECK_EQ(sl_stream_shutdown(pair.client), SL_ECANCELED);
    }
    CHECK_EQ(sl_stream_write(pair.client, "x", 1), SL_EPIPE);
    struct sl_view view;
    CHECK_EQ(sl_stream_peek(pair.server, sizeof zeros, &view), 0); /* makes room */
    CHECK_EQ(sl_stream_shutdown(pair.client), 0);
    CHECK_EQ(sl_stream_shutdown(pair.client), 0);
    CHECK_EQ(code_at_the_end(pair.server), SL_EOF);
    tls_pair_close(&pair);
    return 0;
}

static int write_and_close(void *arg)
{
    int code = write_message(arg);
    sl_stream_close(arg);
    return code;
}

C_TEST(tls_closed_after_a_write, "a write is over when all is sent: closing behind it loses nothing", "")
{
    struct tls_pair pair;
    SL_SCOPE(scope);
    CHECK_EQ(tls_pair_open(TLS_OVER_MEMORY, 200, &pair), 0);
    CHECK_EQ(sl_spawn(&scope, write_and_close, pair.client), 0);
    CHECK_EQ(read_message(pair.server), 0);
    int code = code_at_the_end(pair.server); /* a close_notify if there was room for it */
    CHECK(code == SL_EOF || code == SL_ECONNRESET);
    sl_stream_close(pair.server);
    return sl_scope_wait(&scope);
}

C_TEST(tls_reset, "a reset is seen by the peer", "")
{
    struct tls_pair pair;
    CHECK_EQ(tls_pair_open(TLS_OVER_MEMORY, 5000, &pair), 0);
    sl_stream_reset(pair.client);
    CHECK_EQ(code_at_the_end(pair.server), SL_ECONNRESET);
    CHECK_STRING(sl_error_message(sl_error_last()), "TLS with 'the client'");
    CHECK_STRING(sl_error_message(sl_error_cause(sl_error_last())), "the peer reset the stream");
    sl_stream_close(pair.server);
    return 0;
}

C_TEST_REAL_FEW(tls_close_keeps_the_story, "closing does not replace what the task recorded before", "")
{
    struct tls_pair pair;
    CHECK_EQ(tls_pair_open(TLS_OVER_TCP, 0, &pair), 0);
    sl_stream_reset(pair.server);
    while (sl_stream_write(pair.client, "x", 1) == 0) {
        CHECK_EQ(sl_checkpoint(), 0);
    }
    CHECK_EQ(sl_fail(SL_EPROTO, "what matters"), SL_EPROTO);
    sl_stream_close(pair.client);
    CHECK_STRING(sl_error_message(sl_error_last()), "what matters");
    return 0;
}

static int reads_message(void *arg)
{
    return read_message(arg);
}

C_TEST(tls_in_tls, "TLS through TLS, as behind a proxy that speaks it", "")
{
    struct sl_tls_options options[] = {tls_client_options(), tls_server_options(TLS_SERVER)};
    sl_auto(sl_tls_config) *client = NULL;
    sl_auto(sl_tls_config) *server = NULL;
    struct tls_pair outer;
    struct tls_pair pair;
    CHECK_EQ(tls_pair_open(TLS_OVER_MEMORY, 3000, &outer), 0);
    CHECK_EQ(sl_tls_config_open(&options[0], &client), 0);
    CHECK_EQ(sl_tls_config_open(&options[1], &server), 0);
    struct tls_shake shake = {.one = outer.client, .other = outer.server, .client = client, .server = server};
    CHECK_EQ(tls_shake(&shake, &pair), 0);
    char byte;
    size_t bytes = 0;
    CHECK_EQ(sl_stream_read(outer.client, &byte, 1, &bytes), SL_EBUSY); /* it belongs to the TLS on it */
    CHECK_EQ(sl_stream_write(outer.server, &byte, 1), SL_EBUSY);
    SL_SCOPE(scope);
    CHECK_EQ(sl_spawn(&scope, reads_message, pair.server), 0);
    CHECK_EQ(write_message(pair.client), 0);
    CHECK_EQ(sl_scope_join(&scope, SL_NEVER), 0);
    CHECK_EQ(sl_stream_shutdown(pair.client), 0);
    CHECK_EQ(code_at_the_end(pair.server), SL_EOF);
    tls_pair_close(&pair);
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(cmocka_unit_test(tls_client_cancelled_everywhere), cmocka_unit_test(tls_server_cancelled_everywhere),
             cmocka_unit_test(tls_one_byte_at_a_time), cmocka_unit_test(tls_short_of_memory),
             cmocka_unit_test(tls_config_short_of_memory), cmocka_unit_test(tls_closed_under_waiters),
             cmocka_unit_test(tls_tcp_closed_under_waiters), cmocka_unit_test(tls_check),
             cmocka_unit_test(tls_tcp_check), cmocka_unit_test(tls_write_cancelled),
             cmocka_unit_test(tls_shutdown_cancelled), cmocka_unit_test(tls_closed_after_a_write),
             cmocka_unit_test(tls_reset), cmocka_unit_test(tls_close_keeps_the_story), cmocka_unit_test(tls_in_tls))
