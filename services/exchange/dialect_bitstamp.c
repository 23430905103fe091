/* SPDX-License-Identifier: MIT */
/* Bitstamp v2, from its side. Source: www.bitstamp.net/websocket/v2, www.bitstamp.net/api. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exchange/dialect.h"

#define US(ns) ((ns) / 1000)
#define SECONDS(ns) ((ns) / 1000000000)

static void define(const char *base, const char *quote, sl_instrument *instrument)
{
    int size = snprintf(instrument->symbol, sizeof instrument->symbol, "%s%s", base, quote);
    for (int at = 0; at < size; at++) {
        instrument->symbol[at] = (char)tolower((unsigned char)instrument->symbol[at]);
    }
}

static bool open_path(const struct sl_dialect_host *host, struct sl_venue_client *client,
                      const struct sl_rest_question *target)
{
    (void)host;
    (void)client;
    return strcmp(target->path, "/") == 0 || target->path[0] == '\0';
}

/* ---- subscribing ---- */

static bool parse_channel(const struct sl_dialect_host *host, sl_json_text channel, struct sl_wish *wish)
{
    static const struct {
        const char *prefix;
        sl_feed feed;
    } kinds[] = {{"live_trades_", SL_FEED_TRADES}, {"diff_order_book_", SL_FEED_DEPTH}};
    *wish = (struct sl_wish){.depth = 0};
    for (size_t at = 0; at < sizeof kinds / sizeof *kinds; at++) {
        size_t length = strlen(kinds[at].prefix);
        if (channel.size_bytes > length && channel.size_bytes < sizeof wish->name &&
            memcmp(channel.data, kinds[at].prefix, length) == 0) {
            wish->feed = kinds[at].feed;
            wish->instrument = sl_instruments_find(host->instruments, SL_VENUE_BITSTAMP, channel.data + length,
                                                   channel.size_bytes - length);
            memcpy(wish->name, channel.data, channel.size_bytes);
        }
    }
    return wish->instrument != NULL && wish->instrument->status != SL_STATUS_DELISTED;
}

static void read_question(sl_json *json, const char *text, size_t size_bytes, sl_json_text *ret_event,
                          sl_json_text *ret_channel)
{
    sl_json_text key;
    if (sl_json_open(json, text, size_bytes, 0) < 0 || sl_json_enter_object(json) < 0) {
        return;
    }
    while (sl_json_next_field(json, &key) > 0) {
        if (sl_json_is(key, "event")) {
            (void)!sl_json_get_string(json, ret_event);
        } else if (sl_json_is(key, "data") && sl_json_peek(json) == SL_JSON_OBJECT && sl_json_enter_object(json) == 0) {
            while (sl_json_next_field(json, &key) > 0) {
                if (sl_json_is(key, "channel")) {
                    (void)!sl_json_get_string(json, ret_channel);
                }
            }
        }
    }
}

static void hear(const struct sl_dialect_host *host, struct sl_venue_client *client, const char *text,
                 size_t size_bytes)
{
    sl_json_text event = {"", 0}, channel = {"", 0};
    read_question(host->json, text, size_bytes, &event, &channel);
    struct sl_render answer = {0};
    struct sl_wish wish;
    bool off = sl_json_is(event, "bts:unsubscribe");
    bool known = false;
    if (host->refuse && sl_json_is(event, "bts:subscribe")) {
        sl__write_format(
            &answer,
            "{\"event\":\"bts:error\",\"channel\":\"%.*s\",\"data\":{\"code\":null,\"message\":\"Service is "
            "temporarily unavailable.\"}}",
            (int)(channel.size_bytes < 64 ? channel.size_bytes : 64), channel.data);
    } else if (sl_json_is(event, "bts:heartbeat")) {
        sl__write_text(&answer, "{\"event\":\"bts:heartbeat\",\"channel\":\"\",\"data\":{\"status\":\"success\"}}");
    } else if ((off || sl_json_is(event, "bts:subscribe")) && parse_channel(host, channel, &wish)) {
        known = true;
        sl__write_format(&answer, "{\"event\":\"bts:%s\",\"channel\":\"%s\",\"data\":{}}",
                         off ? "unsubscription_succeeded" : "subscription_succeeded", wish.name);
    } else {
        sl__write_format(
            &answer,
            "{\"event\":\"bts:error\",\"channel\":\"%.*s\",\"data\":{\"code\":null,\"message\":\"Bad subscription "
            "string.\"}}",
            (int)(channel.size_bytes < 64 ? channel.size_bytes : 64), channel.data);
    }
    host->say(client, &answer);
    sl__write_done(&answer);
    if (known) {
        (void)host->wish(client, &wish, off);
    }
}

/* ---- messages ---- */

static void render_trade(const struct sl_wish *wish, const sl_market_event *event, struct sl_render *text)
{
    const sl_trade *trade = &event->as.trade;
    sl__write_format(text, "{\"data\":{\"id\":%" PRId64 ",\"timestamp\":\"%" PRId64 "\",\"amount\":", trade->id,
                     SECONDS(event->venue_time_ns));
    sl__write_decimal(text, trade->quantity);
    sl__write_text(text, ",\"amount_str\":\"");
    sl__write_decimal(text, trade->quantity);
    sl__write_text(text, "\",\"price\":");
    sl__write_decimal(text, trade->price);
    sl__write_text(text, ",\"price_str\":\"");
    sl__write_decimal(text, trade->price);
    sl__write_format(text,
                     "\",\"type\":%d,\"microtimestamp\":\"%" PRId64 "\",\"buy_order_id\":1,\"sell_order_id\":2},"
                     "\"channel\":\"%s\",\"event\":\"trade\"}",
                     trade->taker == SL_SIDE_BUY ? 0 : 1, US(event->venue_time_ns), wish->name);
}

static bool render_change(const struct sl_dialect_host *host, const struct sl_wish *wish, const sl_truth_change *change,
                          struct sl_render *text)
{
    (void)host;
    bool trade = change->event.kind == SL_EVENT_TRADE;
    const sl_book_delta *delta = &change->event.as.delta;
    if (wish->feed == SL_FEED_TRADES && trade) {
        render_trade(wish, &change->event, text);
    } else if (wish->feed == SL_FEED_DEPTH && !trade) {
        sl__write_format(text, "{\"data\":{\"timestamp\":\"%" PRId64 "\",\"microtimestamp\":\"%" PRId64 "\",\"bids\":",
                         delta->last_id / 1000000, delta->last_id);
        sl__write_changes(text, delta->levels.bids, delta->levels.bid_count);
        sl__write_text(text, ",\"asks\":");
        sl__write_changes(text, delta->levels.asks, delta->levels.ask_count);
        sl__write_format(text, "},\"channel\":\"%s\",\"event\":\"data\"}", wish->name);
    } else {
        return false;
    }
    return true;
}

static bool leave(const struct sl_dialect_host *host, struct sl_render *text)
{
    (void)host;
    sl__write_text(text, "{\"event\":\"bts:request_reconnect\",\"channel\":\"\",\"data\":\"\"}");
    return true;
}

static void too_many(struct sl_render *text)
{
    sl__write_text(text, "{\"event\":\"bts:error\",\"channel\":\"\",\"data\":{\"code\":null,\"message\":\"Too many "
                         "messages: rate limit exceeded.\"}}");
}

/* ---- REST ---- */

static struct sl_rest_reply answer_pairs(const struct sl_dialect_host *host, struct sl_render *text)
{
    bool first = true;
    sl__write_text(text, "[");
    for (size_t at = 0; at < sl_instruments_count(host->instruments); at++) {
        const sl_instrument *one = sl_instruments_at(host->instruments, at);
        if (one->venue == SL_VENUE_BITSTAMP && one->status != SL_STATUS_DELISTED) {
            sl__write_format(text,
                             "%s{\"name\":\"%s/%s\",\"url_symbol\":\"%s\",\"base_decimals\":4,\"counter_decimals\":2,"
                             "\"trading\":\"%s\",\"minimum_order\":\"10 USD\",\"description\":\"\"}",
                             first ? "" : ",", one->base, one->quote, one->symbol,
                             one->status == SL_STATUS_HALTED ? "Disabled" : "Enabled");
            first = false;
        }
    }
    sl__write_text(text, "]");
    return (struct sl_rest_reply){.status = 200, .weight = 1};
}

static struct sl_rest_reply answer_book(const struct sl_dialect_host *host, const sl_instrument *instrument,
                                        struct sl_render *text)
{
    sl_truth_state state = sl_truth_look(host->truth, instrument);
    sl__write_format(text, "{\"timestamp\":\"%" PRId64 "\",\"microtimestamp\":\"%" PRId64 "\",\"bids\":",
                     state.book_id / 1000000, state.book_id);
    sl__write_side(text, state.book, SL_SIDE_BUY, SIZE_MAX);
    sl__write_text(text, ",\"asks\":");
    sl__write_side(text, state.book, SL_SIDE_SELL, SIZE_MAX);
    sl__write_text(text, "}");
    return (struct sl_rest_reply){.status = 200, .weight = 1, .snapshot = true, .instrument = instrument};
}

static struct sl_rest_reply rest(const struct sl_dialect_host *host, const struct sl_rest_question *question,
                                 struct sl_render *text)
{
    const char *path = question->path;
    if (strcmp(path, "/api/v2/trading-pairs-info/") == 0 || strcmp(path, "/api/v2/trading-pairs-info") == 0) {
        return answer_pairs(host, text);
    }
    if (strncmp(path, "/api/v2/order_book/", 19) != 0) {
        return (struct sl_rest_reply){0};
    }
    const char *symbol = path + 19;
    const sl_instrument *instrument =
        sl_instruments_find(host->instruments, SL_VENUE_BITSTAMP, symbol, strcspn(symbol, "/"));
    if (instrument == NULL) {
        sl__write_text(text, "{\"status\":\"error\",\"reason\":\"Not found.\"}");
        return (struct sl_rest_reply){.status = 404, .weight = 1};
    }
    return answer_book(host, instrument, text);
}

const sl_dialect sl__dialect_bitstamp = {.venue = SL_VENUE_BITSTAMP,
                                         .timed = true,
                                         .define = define,
                                         .open = open_path,
                                         .hear = hear,
                                         .change = render_change,
                                         .leave = leave,
                                         .too_many = too_many,
                                         .rest = rest};
