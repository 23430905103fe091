/* SPDX-License-Identifier: MIT */
/*
 * Clients of answers that last (sluice tap, the dashboard's server-sent events) that do not read: nobody waits for them,
 * what they miss is told, and they are cut when they read nothing for longer than an answer may take.
 */
#include <stdlib.h>
#include <string.h>

#include "ingest/console/tap.h"
#include "sample_events.h"
#include "sl_test.h"
#include "sluice/memory.h"
#include "sluice/net.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"
#include "sluice/simulation.h"

#define PORT 80
#define WRITE_TIMEOUT SL_SECONDS(5)

struct play {
    sl_listener *listener;
    sl_tap tap;
    size_t streams; /* of server-sent events, open */
    uint64_t passed;
    struct sl_http_counts counts;
    int (*act)(struct play *play, sl_stream *client);
    const char *path;
};

static int send_events(void *arg, sl_http_exchange *exchange)
{
    struct play *play = arg;
    static char data[4000];
    memset(data, 'x', sizeof data - 1);
    play->streams++;
    int code = sl_http_events_begin(exchange);
    while (code == 0) {
        code = sl_http_events_send(exchange, &(struct sl_http_event){.data = data, .data_bytes = sizeof data - 1});
        code = code == 0 ? sl_sleep(SL_MILLISECONDS(1)) : code;
    }
    play->streams--;
    return code;
}

static int serve(void *arg)
{
    struct play *play = arg;
    struct sl_http_route routes[] = {
        {.method = "GET", .pattern = "/tap", .handler = sl_tap_serve, .arg = &play->tap},
        {.method = "GET", .pattern = "/events", .handler = send_events, .arg = play},
    };
    return sl_http_serve_with(play->listener, &(struct sl_http_server_options){.routes = routes,
                                                                               .route_count = 2,
                                                                               .counts = &play->counts,
                                                                               .write_timeout = WRITE_TIMEOUT});
}

static int perform(void *arg)
{
    struct play *play = arg;
    SL_TRY(sl_network_simulate());
    SL_TRY(sl_listener_open("127.0.0.1", PORT, &play->listener));
    SL_SCOPE(scope, .name = "play");
    int code = sl_spawn(&scope, serve, play, .name = "server");
    sl_stream *client = NULL;
    code = code == 0 ? sl_connect("127.0.0.1", PORT, &client) : code;
    char request[100];
    int size = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", play->path);
    code = code == 0 ? sl_stream_write(client, request, (size_t)size) : code;
    code = code == 0 ? sl_sleep(SL_SECONDS(1)) : code;
    code = code == 0 ? play->act(play, client) : code;
    sl_stream_close(client);
    sl_scope_cancel(&scope, "done");
    code = sl_scope_close(&scope, code);
    sl_listener_close(play->listener);
    return code;
}

static void run(const char *path, int (*act)(struct play *play, sl_stream *client))
{
    struct play play = {.path = path, .act = act};
    struct sl_simulation_options simulation = {.seed = 1};
    int64_t held = sl_memory_held();
    sl_error *error = NULL;
    int code =
        sl_run(&(struct sl_run_options){.simulation = &simulation, .watchdog = SL_NEVER}, perform, &play, &error);
    if (code != 0) {
        char story[300] = "";
        (void)sl_error_print(error, story, sizeof story);
        fail_msg("%s", story);
    }
    assert_int_equal(sl_memory_held(), held);
}

static void pass(struct play *play, size_t count)
{
    for (size_t at = 0; at < count; at++) {
        sl_market_event event = sample_event_of(SL_EVENT_TRADE, play->passed++);
        sl_tap_pass(&play->tap, &event);
    }
}

/* ---- sluice tap ---- */

/* Reads until nothing comes for a while: lines of events, and what was said to be dropped. */
static int count_lines(sl_stream *client, uint64_t *ret_events, uint64_t *ret_dropped)
{
    char *text = calloc(1, (size_t)16 << 20);
    size_t size = 0;
    size_t got = 1;
    while (got > 0) {
        SL_SCOPE(scope, .name = "read", .timeout = SL_SECONDS(3), .move_on = true);
        got = 0;
        int code = sl_stream_read(client, text + size, 65536, &got);
        SL_TRY(sl_scope_close(&scope, code));
        size += got;
    }
    text[size] = '\0';
    for (const char *at = text; (at = strstr(at, "{\"kind\"")) != NULL; at++) {
        ++*ret_events;
    }
    for (const char *at = text; (at = strstr(at, "{\"dropped\":")) != NULL; at++) {
        *ret_dropped += strtoull(at + 11, NULL, 10);
    }
    free(text);
    return 0;
}

/* It reads nothing for a while, and then everything. */
static int listen_late(struct play *play, sl_stream *client)
{
    uint64_t events = 0, dropped = 0;
    assert_int_equal(play->tap.listeners, 1);
    for (int round = 0; round < 40; round++) {
        pass(play, 500);
        SL_TRY(sl_sleep(SL_MILLISECONDS(50)));
    }
    assert_int_equal(play->tap.listeners, 1);
    SL_TRY(count_lines(client, &events, &dropped));
    assert_true(dropped > 1000 && events > 1000);
    assert_int_equal(events + dropped, play->passed);
    return 0;
}

static void a_tap_that_reads_late_is_told_what_it_missed(void **state)
{
    (void)state;
    run("/tap?kind=trade", listen_late);
}

static int read_status(struct play *play, sl_stream *client)
{
    char text[512] = "";
    size_t size = 0;
    SL_TRY(sl_stream_read(client, text, sizeof text - 1, &size));
    assert_non_null(strstr(text, " 400 "));
    assert_int_equal(play->tap.listeners, 0);
    return 0;
}

static void a_tap_for_what_never_comes_is_refused(void **state)
{
    (void)state;
    run("/tap?kind=trades", read_status);
    run("/tap?channel=trade", read_status);
    run("/tap?venue=binanse", read_status);
}

/* It never reads: what it has in hand may take as long as the least rate allows for its bytes. */
static int never_listen(struct play *play, sl_stream *client)
{
    (void)client;
    for (int round = 0; round < 6000 && play->tap.listeners + play->streams > 0; round++) {
        pass(play, 500);
        SL_TRY(sl_sleep(SL_MILLISECONDS(100)));
    }
    assert_int_equal(play->tap.listeners, 0);
    assert_int_equal(play->streams, 0);
    assert_int_equal(play->counts.open, 0);
    return 0;
}

static void a_tap_that_never_reads_is_cut(void **state)
{
    (void)state;
    run("/tap", never_listen);
}

/* ---- server-sent events ---- */

static void server_sent_events_that_nobody_reads_are_cut(void **state)
{
    (void)state;
    run("/events", never_listen);
}

SL_TEST_MAIN(cmocka_unit_test(a_tap_that_reads_late_is_told_what_it_missed),
             cmocka_unit_test(a_tap_that_never_reads_is_cut), cmocka_unit_test(a_tap_for_what_never_comes_is_refused),
             cmocka_unit_test(server_sent_events_that_nobody_reads_are_cut))
