/* SPDX-License-Identifier: MIT */
/* The WebSocket sink: patterns, clients that come and go, one that does not read. */
#include "sl_conformance.h"

#include <string.h>

#include "event_reader.h"
#include "sink_rig.h"
#include "sinks/websocket.h"
#include "sluice/ws.h"

struct setting {
    sl_sink *sink;
    struct sink_rig rig;
};

static int begin(struct setting *setting, sl_websocket_options options)
{
    *setting = (struct setting){0};
    CHECK_EQ(sl_websocket_sink_new(&options, &setting->sink), 0);
    return sink_rig_make(&setting->rig, setting->sink, (sl_outlet_options){.batch_age = SL_MILLISECONDS(1)});
}

static int start(struct setting *setting, sl_scope *scope)
{
    CHECK_EQ(sl_spawn(scope, sl_outlet_run, setting->rig.outlet), 0);
    while (sl_websocket_sink_port(setting->sink) == 0) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    return 0;
}

static int join(struct setting *setting, const char *control, const char *expected, sl_ws **ret_ws)
{
    char url[64];
    struct sl_ws_message message;
    (void)snprintf(url, sizeof(url), "ws://127.0.0.1:%d/stream", sl_websocket_sink_port(setting->sink));
    CHECK_EQ(sl_ws_connect(url, ret_ws), 0);
    CHECK_EQ(sl_ws_send(*ret_ws, SL_WS_TEXT, control, strlen(control)), 0);
    CHECK_EQ(sl_ws_receive(*ret_ws, &message), 0);
    CHECK_EQ(message.size_bytes, strlen(expected));
    CHECK(memcmp(message.data, expected, message.size_bytes) == 0);
    return 0;
}

static bool wanted(const sl_market_event *event, int who)
{
    if (who == 0) {
        return true;
    }
    return (event->instrument->venue == SL_VENUE_KRAKEN && event->kind == SL_EVENT_TRADE) ||
           (strncmp(event->instrument->name, "BTC-", 4) == 0 && event->kind == SL_EVENT_BEST);
}

/* Takes events until that of number `last` - 1: exactly those that are wanted, in order. */
static int take_events(struct setting *setting, sl_ws *ws, int who, uint64_t last)
{
    struct event_reader *reader = event_reader_new();
    uint64_t next = 0;
    while (next < last) {
        struct sl_ws_message message;
        CHECK_EQ(sl_ws_receive(ws, &message), 0);
        for (size_t at = 0; at < message.size_bytes;) {
            const char *end = memchr(message.data + at, '\n', message.size_bytes - at);
            size_t length = end == NULL ? message.size_bytes - at : (size_t)(end - message.data) - at;
            sl_market_event event;
            sl_stamp stamp;
            CHECK_EQ(event_reader_read(reader, message.data + at, length, &event, &stamp), 0);
            for (; next < stamp.number - 1; next++) {
                sl_market_event between = sink_rig_event(&setting->rig, next);
                CHECK(!wanted(&between, who));
            }
            sl_market_event expected = sink_rig_event(&setting->rig, next++);
            CHECK(wanted(&expected, who) && sample_events_equal(&event, &expected));
            at += length + 1;
        }
        if (next + 40 > last && who == 1) {
            break; /* the last ones may not be wanted */
        }
    }
    event_reader_free(reader);
    return 0;
}

C_TEST_REAL_FEW(clients_get_what_they_want, "", "")
{
    struct setting setting;
    CHECK_EQ(begin(&setting, (sl_websocket_options){0}), 0);
    SL_SCOPE(scope);
    CHECK_EQ(start(&setting, &scope), 0);
    sl_auto(sl_ws) *all = NULL;
    sl_auto(sl_ws) *some = NULL;
    sl_auto(sl_ws) *none = NULL;
    CHECK_EQ(join(&setting, "{\"subscribe\":[\"*:*:*\"]}", "{\"subscribed\":[\"*:*:*\"]}", &all), 0);
    CHECK_EQ(join(&setting,
                  "{\"subscribe\":[\"kraken:*:trade\",\"*:BTC-*:best\",\"x:y:z\"],\"unsubscribe\":[\"x:y:z\"]}",
                  "{\"subscribed\":[\"kraken:*:trade\",\"*:BTC-*:best\"]}", &some),
             0);
    CHECK_EQ(join(&setting, "{\"subscribe\":[]}", "{\"subscribed\":[]}", &none), 0);
    CHECK_EQ(sink_rig_feed(&setting.rig, 2000), 0);
    CHECK_EQ(take_events(&setting, all, 0, 2000), 0);
    CHECK_EQ(take_events(&setting, some, 1, 2000), 0);
    CHECK_EQ(sl_websocket_sink_stats(setting.sink)->clients, 3);
    CHECK_EQ(sl_ws_close(none, 1000, "bye"), 0);
    while (sl_websocket_sink_stats(setting.sink)->clients == 3) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(sl_outlet_get_stats(setting.rig.outlet)->written, 2000);
    CHECK_EQ(sl_websocket_sink_stats(setting.sink)->clients, 0);
    CHECK_EQ(sl_websocket_sink_port(setting.sink), 0);
    sl_ws_free(all);
    sl_ws_free(some);
    sl_ws_free(none);
    all = some = none = NULL;
    sink_rig_free(&setting.rig);
    return 0;
}

/* Who has not the token is turned away; who has gets events, packed if it wants that. */
C_TEST_REAL_FEW(a_token_is_asked_for, "", "")
{
    static const char *const headers[] = {NULL, "Authorization: Bearer 0123456789abcdeX\r\n",
                                          "Authorization: Bearer 0123456789abcdef\r\n"};
    struct setting setting;
    CHECK_EQ(begin(&setting, (sl_websocket_options){.token = "0123456789abcdef", .deflate = true}), 0);
    SL_SCOPE(scope);
    CHECK_EQ(start(&setting, &scope), 0);
    char url[64];
    (void)snprintf(url, sizeof(url), "ws://127.0.0.1:%d/stream", sl_websocket_sink_port(setting.sink));
    for (int at = 0; at < 3; at++) {
        sl_auto(sl_ws) *ws = NULL;
        struct sl_ws_options options = {.url = url, .headers = headers[at], .deflate = {.on = true}};
        int code = sl_ws_connect_with(&options, &ws);
        CHECK_EQ(code, at == 2 ? 0 : SL_EPROTO);
        CHECK_EQ(sl_websocket_sink_stats(setting.sink)->unauthorized, at == 0 ? 1 : 2);
        if (at == 2) {
            struct sl_ws_message message;
            static const char wish[] = "{\"subscribe\":[\"*:*:*\"]}";
            CHECK_EQ(sl_ws_send(ws, SL_WS_TEXT, wish, sizeof wish - 1), 0);
            CHECK_EQ(sl_ws_receive(ws, &message), 0);
            CHECK_EQ(sink_rig_feed(&setting.rig, 50), 0);
            CHECK_EQ(take_events(&setting, ws, 0, 50), 0);
        }
    }
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    sink_rig_free(&setting.rig);
    return 0;
}

C_TEST_REAL_FEW(nonsense_is_answered_and_harms_nobody, "", "")
{
    static const char *const nonsense[] = {"",
                                           "[]",
                                           "{\"subscribe\":\"*\"}",
                                           "{\"subscribe\":[1]}",
                                           "{\"hello\":[]}",
                                           "{\"subscribe\":[\"*:*:*\"]",
                                           "{\"subscribe\":[\"*\"]}",
                                           "{\"subscribe\":[\"*:*\"]}",
                                           "{\"subscribe\":[\":*:\"]}",
                                           "{\"subscribe\":[\"*::*\"]}",
                                           "{\"subscribe\":[\"\\u0000:a:b\"]}"};
    struct setting setting;
    CHECK_EQ(begin(&setting, (sl_websocket_options){.clients_max = 1}), 0);
    SL_SCOPE(scope);
    CHECK_EQ(start(&setting, &scope), 0);
    sl_ws *ws = NULL;
    sl_ws *second = NULL;
    CHECK_EQ(join(&setting, "{}", "{\"subscribed\":[]}", &ws), 0);
    for (size_t at = 0; at < sizeof(nonsense) / sizeof(nonsense[0]); at++) {
        struct sl_ws_message message;
        CHECK_EQ(sl_ws_send(ws, SL_WS_TEXT, nonsense[at], strlen(nonsense[at])), 0);
        CHECK_EQ(sl_ws_receive(ws, &message), 0);
        CHECK(message.size_bytes > 10 && memcmp(message.data, "{\"error\":\"", 10) == 0);
    }
    char url[64];
    (void)snprintf(url, sizeof(url), "ws://127.0.0.1:%d/stream", sl_websocket_sink_port(setting.sink));
    CHECK_EQ(sl_ws_connect(url, &second), SL_EPROTO);
    CHECK(strstr(sl_error_message(sl_error_last()), "503") != NULL);
    CHECK_EQ(sl_websocket_sink_stats(setting.sink)->refused, 1);
    sl_ws_free(ws);
    sl_outlet_end(setting.rig.outlet);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    sink_rig_free(&setting.rig);
    return 0;
}

/* One that reads nothing: with states alone it gets the last ones later; what counts singly gets it cut. */
C_TEST_REAL_FEW(a_client_that_does_not_read, "", "")
{
    for (int kind = SL_EVENT_TRADE; kind <= SL_EVENT_BEST; kind += SL_EVENT_BEST - SL_EVENT_TRADE) {
        struct setting setting;
        CHECK_EQ(begin(&setting, (sl_websocket_options){.queue_bytes = 16384}), 0);
        setting.rig.kind = (sl_event_kind)kind;
        SL_SCOPE(scope);
        CHECK_EQ(start(&setting, &scope), 0);
        sl_ws *ws = NULL;
        CHECK_EQ(join(&setting, "{\"subscribe\":[\"*:*:*\"]}", "{\"subscribed\":[\"*:*:*\"]}", &ws), 0);
        const sl_websocket_stats *stats = sl_websocket_sink_stats(setting.sink);
        for (int round = 0; round < 2000 && stats->cut == 0 && stats->conflated < 1000; round++) {
            CHECK_EQ(sink_rig_feed(&setting.rig, 200), 0);
            CHECK_EQ(sink_rig_settle(&setting.rig, SL_SECONDS(20)), 0); /* the sink does not wait for it */
        }
        CHECK_EQ(stats->cut, kind == SL_EVENT_TRADE ? 1 : 0);
        CHECK_EQ(stats->conflated >= 1000, kind == SL_EVENT_BEST);
        sl_ws_cut(ws);
        sl_outlet_end(setting.rig.outlet);
        CHECK_EQ(sl_scope_wait(&scope), 0);
        CHECK_EQ(stats->clients, 0);
        sink_rig_free(&setting.rig);
    }
    return 0;
}

TASK_TEST(bad_options_are_refused)
{
    sl_sink *sink = NULL;
    CHECK_EQ(sl_websocket_sink_new(&(sl_websocket_options){.path = "stream"}, &sink), SL_EINVAL);
    CHECK_EQ(sl_websocket_sink_new(&(sl_websocket_options){.port = 65536}, &sink), SL_EINVAL);
    CHECK_EQ(sl_websocket_sink_new(&(sl_websocket_options){.queue_bytes = 100}, &sink), SL_EINVAL);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(clients_get_what_they_want), cmocka_unit_test(a_token_is_asked_for),
             cmocka_unit_test(nonsense_is_answered_and_harms_nobody), cmocka_unit_test(a_client_that_does_not_read),
             cmocka_unit_test(bad_options_are_refused))
