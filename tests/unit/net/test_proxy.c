/* SPDX-License-Identifier: MIT */
/* Connecting through proxies: small ones of the test's own, over the simulated network, well behaved and not. */
#include <string.h>

#include "cancel_steps.h"
#include "sl_conformance.h"
#include "sluice/memory.h"
#include "sluice/simulation.h"

#define PORT 3128

/* What a proxy expects and says, step by step: after all of `expect` it sends `say`. */
struct step {
    const char *expect;
    size_t expect_bytes;
    const char *say;
    size_t say_bytes;
};

#define STEP(expected, said)                                                                                           \
    {                                                                                                                  \
        expected, sizeof(expected) - 1, said, sizeof(said) - 1                                                         \
    }

struct script {
    const struct step *steps;
    size_t count;
    bool slow;   /* a byte a second */
    bool hangs;  /* says nothing after its steps, and keeps the connection */
    bool closes; /* after its steps; otherwise it echoes */
    bool as_expected;
    sl_listener *listener;
};

static int speak(sl_stream *stream, const struct script *script, const struct step *step)
{
    for (size_t i = 0; script->slow && i < step->say_bytes; i++) {
        SL_TRY(sl_sleep(SL_SECONDS(1)));
        SL_TRY(sl_stream_write(stream, step->say + i, 1));
    }
    return script->slow ? 0 : sl_stream_write(stream, step->say, step->say_bytes);
}

static int echo(sl_stream *stream)
{
    char buffer[64];
    size_t bytes = 0;
    for (;;) {
        SL_TRY(sl_stream_read(stream, buffer, sizeof buffer, &bytes));
        SL_TRY(sl_stream_write(stream, buffer, bytes));
    }
}

static int play(struct script *script, sl_stream *stream)
{
    for (size_t i = 0; i < script->count; i++) {
        const struct step *step = &script->steps[i];
        struct sl_view view;
        if (step->expect_bytes > 0) {
            SL_TRY(sl_stream_peek(stream, step->expect_bytes, &view));
            if (memcmp(view.data, step->expect, step->expect_bytes) != 0) {
                print_error("unexpected: %.*s\n", (int)view.size_bytes, view.data);
                script->as_expected = false;
            }
            sl_stream_consume(stream, step->expect_bytes);
        }
        SL_TRY(speak(stream, script, step));
    }
    if (script->closes) {
        return 0;
    }
    return script->hangs ? sl_sleep(SL_SECONDS(1000000)) : echo(stream);
}

static int serve(void *arg)
{
    struct script *script = arg;
    sl_auto(sl_stream) *stream = NULL;
    SL_TRY(sl_listener_accept(script->listener, &stream));
    int code = play(script, stream);
    return code == SL_ECANCELED || code == SL_ENOMEM ? code : 0;
}

/* Connects through the proxy and, if that works, says something to the other side. */
static int connect_and_talk(const struct sl_connect_options *options)
{
    sl_auto(sl_stream) *stream = NULL;
    struct sl_view view;
    SL_TRY(sl_connect_with(options, &stream));
    SL_TRY(sl_stream_write(stream, "hello", 5));
    SL_TRY(sl_stream_peek(stream, 5, &view));
    CHECK(memcmp(view.data, "hello", 5) == 0);
    return 0;
}

/* Plays a script against sl_connect_with(); its code. */
static int through(const char *proxy, const char *host, int port, struct script *script)
{
    script->as_expected = true;
    int code = sl_network_simulate();
    if (code != SL_EALREADY) {
        SL_TRY(code);
        SL_TRY(sl_network_host("proxy", NULL));
        SL_TRY(sl_network_link(NULL, NULL, &(struct sl_link_options){.latency = 1, .chunk_bytes = 7}));
    }
    SL_TRY(sl_network_enter("proxy"));
    SL_TRY(sl_listener_open("0.0.0.0", PORT, &script->listener));
    code = sl_network_enter(SL_NETWORK_HOME);
    if (code == 0) {
        SL_SCOPE(scope, .strategy = SL_ISOLATE);
        code = sl_spawn(&scope, serve, script, .daemon = true);
        struct sl_connect_options options = {.address = host, .port = port, .proxy = proxy};
        code = code == 0 ? connect_and_talk(&options) : code;
        int ended = sl_scope_close(&scope, 0);
        code = code == 0 ? ended : code;
    }
    sl_listener_close(script->listener);
    return code;
}

static int simple(const char *proxy, struct script script)
{
    int code = through(proxy, "example.test", 443, &script);
    return script.as_expected ? code : SL_CHECK_FAILED;
}

static bool told(const char *text)
{
    const char *message = sl_error_message(sl_error_last());
    bool found = strstr(message, text) != NULL && strstr(message, "secret") == NULL;
    if (!found) {
        print_error("the message is: %s\n", message);
    }
    return found;
}

/* ---- HTTP ---- */

#define REQUEST "CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n\r\n"

C_TEST_SIMULATED(http_connects, "CONNECT with the name; what follows the answer is the other side's", "")
{
    const struct step steps[] = {STEP(REQUEST, "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")};
    CHECK_EQ(simple("http://proxy:3128", (struct script){.steps = steps, .count = 1}), 0);
    const struct step interim[] = {
        STEP(REQUEST, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 204 \r\nContent-Length: 5\r\n\r\n")};
    CHECK_EQ(simple("http://proxy:3128/", (struct script){.steps = interim, .count = 1}), 0);
    const struct step slow[] = {STEP(REQUEST, "HTTP/1.1 200 \r\n\r\n")};
    CHECK_EQ(simple("http://proxy:3128", (struct script){.steps = slow, .count = 1, .slow = true}), 0);
    const struct step v6[] = {
        STEP("CONNECT [2001:db8::1]:80 HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", "HTTP/1.1 200 \r\n\r\nhello")};
    struct script script = {.steps = v6, .count = 1, .hangs = true}; /* the "hello" came with the answer */
    CHECK_EQ(through("http://proxy:3128", "2001:db8::1", 80, &script), 0);
    CHECK(script.as_expected);
    return 0;
}

C_TEST_SIMULATED(http_authorizes, "with a user name and a password, which no message shows", "")
{
    const struct step right[] = {STEP("CONNECT example.test:443 HTTP/1.1\r\nHost: example.test:443\r\n"
                                      "Proxy-Authorization: Basic dXNlcjpzZWNyZXRA\r\n\r\n",
                                      "HTTP/1.1 200 OK\r\n\r\n")};
    CHECK_EQ(simple("http://user:secret%40@proxy:3128", (struct script){.steps = right, .count = 1}), 0);
    const struct step wants[] = {STEP("CONNECT ", "HTTP/1.1 407 Authenticate, secret\r\n\r\n")};
    CHECK_EQ(simple("http://user:secret@proxy:3128", (struct script){.steps = wants, .count = 1}), -EACCES);
    CHECK(told("proxy proxy:3128 does not accept the user name and password"));
    CHECK_EQ(simple("http://proxy:3128", (struct script){.steps = wants, .count = 1}), -EACCES);
    CHECK(told("wants a user name"));
    return 0;
}

C_TEST_SIMULATED(http_refuses, "refusals, garbage and proxies that go away: each a clear error", "")
{
    static const struct {
        const char *answer;
        int code;
        const char *text;
    } cases[] = {
        {"HTTP/1.1 403 Forbidden\r\n\r\n", -EACCES, "refused to connect: 403 Forbidden"},
        {"HTTP/1.1 502 Bad \x1b[31m\r\nX: y\r\n\r\n", -ECONNREFUSED, "refused to connect: 502 Bad ?[31m"},
        {"HTTP/1.1 302\r\n\r\n", -ECONNREFUSED, "302"},
        {"SSH-2.0-OpenSSH\r\n", SL_EPROTO, "does not speak HTTP"},
        {"HTTP/1.1 abc\r\n\r\n", SL_EPROTO, "does not speak HTTP"},
        {"HTTP/1.1 099 x\r\n\r\n", SL_EPROTO, "does not speak HTTP"},
        {"HTTP/1.x\r\n\r\n", SL_EPROTO, "does not speak HTTP"},
        {"HTTP/1.1 200 OK\r\nVia", SL_ECONNRESET, "closed the connection before"},
        {"", SL_ECONNRESET, "closed the connection before"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct step steps[] = {{REQUEST, sizeof REQUEST - 1, cases[i].answer, strlen(cases[i].answer)}};
        CHECK_EQ(simple("http://proxy:3128", (struct script){.steps = steps, .count = 1, .closes = true}),
                 cases[i].code);
        CHECK(told(cases[i].text));
    }
    char endless[10000];
    memset(endless, 'x', sizeof endless);
    memcpy(endless, "HTTP/1.1 200 ", 13);
    const struct step steps[] = {{REQUEST, sizeof REQUEST - 1, endless, sizeof endless}};
    CHECK_EQ(simple("http://proxy:3128", (struct script){.steps = steps, .count = 1}), SL_EMSGSIZE);
    CHECK_EQ(sl_network_counts_get().open, 0);
    return 0;
}

/* ---- SOCKS5 ---- */

#define GREETING STEP("\5\1\0", "\5\0")
#define ASK "\5\1\0\3\14example.test\1\273"

C_TEST_SIMULATED(socks_connects, "SOCKS5 with a name, an address of each family, and each kind of answer", "")
{
    const struct step name[] = {GREETING, STEP(ASK, "\5\0\0\1\12\0\0\1\0\120")};
    CHECK_EQ(simple("socks5://proxy:3128", (struct script){.steps = name, .count = 2}), 0);
    CHECK_EQ(simple("socks5h://proxy:3128", (struct script){.steps = name, .count = 2, .slow = true}), 0);
    const struct step v4[] = {GREETING, STEP("\5\1\0\1\300\0\2\1\0\120", "\5\0\0\3\4abcd\0\120")};
    struct script script = {.steps = v4, .count = 2};
    CHECK_EQ(through("socks5://proxy:3128", "192.0.2.1", 80, &script), 0);
    CHECK(script.as_expected);
    const struct step v6[] = {GREETING, STEP("\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\120",
                                             "\5\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\120hello")};
    script = (struct script){.steps = v6, .count = 2, .hangs = true};
    CHECK_EQ(through("socks5://proxy:3128", "::1", 80, &script), 0);
    CHECK(script.as_expected);
    return 0;
}

C_TEST_SIMULATED(socks_authorizes, "with a user name and a password (RFC 1929)", "")
{
    const struct step right[] = {STEP("\5\2\0\2", "\5\2"), STEP("\1\4user\6secret", "\1\0"),
                                 STEP(ASK, "\5\0\0\1\12\0\0\1\0\120")};
    CHECK_EQ(simple("socks5://user:secret@proxy:3128", (struct script){.steps = right, .count = 3}), 0);
    const struct step wrong[] = {STEP("\5\2\0\2", "\5\2"), STEP("\1\4user\6secret", "\1\1")};
    CHECK_EQ(simple("socks5://user:secret@proxy:3128", (struct script){.steps = wrong, .count = 2}), -EACCES);
    CHECK(told("does not accept the user name and password"));
    const struct step wants[] = {STEP("\5\1\0", "\5\377")};
    CHECK_EQ(simple("socks5://proxy:3128", (struct script){.steps = wants, .count = 1}), -EACCES);
    CHECK(told("wants a user name"));
    return 0;
}

C_TEST_SIMULATED(socks_refuses, "refusals, garbage and proxies that go away: each a clear error", "")
{
    static const int codes[] = {-ECONNREFUSED, -EACCES,    -ENETUNREACH, -EHOSTUNREACH, -ECONNREFUSED,
                                -EHOSTUNREACH, SL_ENOTSUP, SL_ENOTSUP,   SL_EPROTO};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        const char answer[] = {5, (char)(i + 1), 0, 1, 0, 0, 0, 0, 0, 0};
        const struct step steps[] = {GREETING, {ASK, sizeof ASK - 1, answer, sizeof answer}};
        CHECK_EQ(simple("socks5://proxy:3128", (struct script){.steps = steps, .count = 2, .closes = true}), codes[i]);
        CHECK(told("proxy proxy:3128"));
    }
    static const struct {
        const char *greeting, *answer;
        size_t greeting_bytes, answer_bytes;
        int code;
    } cases[] = {
        {"HTTP/1.1 400 Bad\r\n\r\n", "", 20, 0, SL_EPROTO},
        {"\5\2", "", 2, 0, SL_EPROTO},
        {"\5", "", 1, 0, SL_ECONNRESET},
        {"\5\0", "\5\0\0\1", 2, 4, SL_ECONNRESET},
        {"\5\0", "\4\0\0\1\0\0\0\0\0\0", 2, 10, SL_EPROTO},
        {"\5\0", "\5\0\0\7\0\0\0\0\0\0", 2, 10, SL_EPROTO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct step steps[] = {{"\5\1\0", 3, cases[i].greeting, cases[i].greeting_bytes},
                                     {ASK, sizeof ASK - 1, cases[i].answer, cases[i].answer_bytes}};
        size_t count = cases[i].answer_bytes > 0 ? 2 : 1;
        CHECK_EQ(simple("socks5://proxy:3128", (struct script){.steps = steps, .count = count, .closes = true}),
                 cases[i].code);
    }
    CHECK_EQ(sl_network_counts_get().open, 0);
    return 0;
}

/* ---- both ---- */

C_TEST_SIMULATED(hanging_proxies, "a proxy that says nothing is bounded by the scope's deadline", "")
{
    const char *proxies[] = {"http://proxy:3128", "socks5://proxy:3128"};
    for (int i = 0; i < 2; i++) {
        struct script script = {.hangs = true};
        SL_SCOPE(limit, .timeout = SL_SECONDS(5));
        CHECK_EQ(sl_scope_close(&limit, through(proxies[i], "example.test", 443, &script)), SL_ETIMEDOUT);
    }
    sl_stream *stream = NULL;
    struct sl_connect_options away = {.address = "x", .port = 1, .proxy = "http://user:secret@proxy:99"};
    CHECK_EQ(sl_connect_with(&away, &stream), -ECONNREFUSED);
    CHECK(told("proxy proxy:99 is not reached"));
    CHECK_EQ(sl_network_counts_get().open, 0);
    return 0;
}

C_TEST_SIMULATED(bad_addresses, "what is no proxy, and what no proxy is told", "")
{
    static const char *const bad[] = {"",
                                      "proxy:3128",
                                      "https://proxy:3128",
                                      "http://",
                                      "http://:80",
                                      "http://proxy:0",
                                      "http://proxy:65536",
                                      "http://proxy:99999999999999999999",
                                      "http://proxy:80/path",
                                      "http://proxy:8x",
                                      "http://[::1",
                                      "http://[::1]x",
                                      "http://@proxy:80",
                                      "http://:secret@proxy:80",
                                      "http://a%3ab:secret@proxy:80",
                                      "http://secret%4@proxy:80",
                                      "http://secret%zz@proxy:80",
                                      "http://secret%00@proxy:80",
                                      "socks5://secret@proxy:80"};
    sl_stream *stream = NULL;
    CHECK_EQ(sl_network_simulate(), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct sl_connect_options options = {.address = "x", .port = 1, .proxy = bad[i]};
        CHECK_EQ(sl_connect_with(&options, &stream), SL_EINVAL);
        CHECK(told("a proxy is given as"));
    }
    static const char *const targets[] = {"", "a b", "a\r\nX: y", "unix:/x", "user@host"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct sl_connect_options options = {.address = targets[i], .port = 1, .proxy = "http://proxy:80"};
        CHECK_EQ(sl_connect_with(&options, &stream), SL_EINVAL);
    }
    struct sl_connect_options options = {.address = "x", .port = 0, .proxy = "http://proxy:80"};
    CHECK_EQ(sl_connect_with(&options, &stream), SL_EINVAL);
    options.port = 1;
    options.proxy = "http://[::1]"; /* well formed: nobody listens there */
    CHECK_EQ(sl_connect_with(&options, &stream), -ECONNREFUSED);
    return 0;
}

/* ---- ways out ---- */

static int both_kinds(void *arg)
{
    const struct step http[] = {STEP(REQUEST, "HTTP/1.1 200 OK\r\n\r\n")};
    const struct step socks[] = {GREETING, STEP(ASK, "\5\0\0\1\12\0\0\1\0\120")};
    (void)arg;
    SL_TRY(simple("http://proxy:3128", (struct script){.steps = http, .count = 1}));
    return simple("socks5://proxy:3128", (struct script){.steps = socks, .count = 2});
}

C_TEST_RUNS(every_allocation_may_fail, "the n-th allocation fails, for every n", "")
{
    if (options->simulation == NULL || options->shuffle_seed > 2) {
        return 0;
    }
    int64_t held = sl_memory_held();
    for (int64_t n = 0;; n++) {
        sl_memory_fail_after(n);
        int code = sl_run(options, both_kinds, NULL, NULL);
        int failed = sl_memory_failed();
        sl_memory_fail_after(-1);
        CHECK_EQ(sl_memory_held(), held);
        if (!failed) {
            CHECK(n > 20);
            return code;
        }
        /* When it is the proxy that has no memory, it goes away. */
        if (code != SL_ECONNRESET && code != SL_EOF && code != 0) {
            CHECK_EQ(code, SL_ENOMEM);
        }
    }
}

C_TEST_RUNS(cancelled_anywhere, "cancelled after the n-th step, for every n", "")
{
    if (options->simulation == NULL || options->shuffle_seed > 2) {
        return 0;
    }
    CHECK(cancel_at_each_step(options, both_kinds, NULL) > 20);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(http_connects), cmocka_unit_test(http_authorizes), cmocka_unit_test(http_refuses),
             cmocka_unit_test(socks_connects), cmocka_unit_test(socks_authorizes), cmocka_unit_test(socks_refuses),
             cmocka_unit_test(hanging_proxies), cmocka_unit_test(bad_addresses),
             cmocka_unit_test(every_allocation_may_fail), cmocka_unit_test(cancelled_anywhere))
