/* SPDX-License-Identifier: MIT */
/* Coinbase Exchange's ws-feed and REST, from its side. Source: docs.cdp.coinbase.com/exchange. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exchange/dialect.h"

#define HEARTBEAT_NS INT64_C(1000000000)

static void define(const char *base, const char *quote, sl_instrument *instrument)
{
    (void)snprintf(instrument->symbol, sizeof instrument->symbol, "%s-%s", base, quote);
}

static bool open_path(const struct sl_dialect_host *host, struct sl_venue_client *client,
                      const struct sl_rest_question *target)
{
    (void)host;
    (void)client;
    return strcmp(target->path, "/") == 0 || target->path[0] == '\0';
}

/* ---- subscribing ---- */

static const struct {
    const char *name;
    sl_feed feed;
} channels[] = {{"matches", SL_FEED_TRADES},
                {"ticker", SL_FEED_BEST},
                {"level2", SL_FEED_DEPTH},
                {"level2_batch", SL_FEED_DEPTH},
                {"heartbeat", SL_FEED_STATUS}};

#define CHANNELS (sizeof channels / sizeof *channels)
#define PRODUCTS_MAX 256

/* What one message asks for: channels, and products for all of them or for one. */
struct question {
    bool off;
    bool bad;
    char unknown[40];  /* a product that there is not */
    unsigned channels; /* a bit for each of `channels` */
    const sl_instrument *products[PRODUCTS_MAX];
    size_t count;
};

static void add_channel(struct question *question, sl_json_text name)
{
    for (size_t at = 0; at < CHANNELS; at++) {
        if (sl_json_is(name, channels[at].name)) {
            question->channels |= 1u << at;
            return;
        }
    }
    question->bad = true;
}

static void add_products(const struct sl_dialect_host *host, struct question *question)
{
    sl_json_text name;
    while (sl_json_next_string(host->json, &name) > 0) {
        const sl_instrument *product =
            sl_instruments_find(host->instruments, SL_VENUE_COINBASE, name.data, name.size_bytes);
        if (product == NULL || product->status == SL_STATUS_DELISTED) {
            question->bad = true;
            (void)snprintf(question->unknown, sizeof question->unknown, "%.*s", (int)name.size_bytes, name.data);
        } else if (question->count < PRODUCTS_MAX) {
            question->products[question->count++] = product;
        }
    }
}

/* ["ticker", {"name":"heartbeat","product_ids":[..]}] */
static void add_channels(const struct sl_dialect_host *host, struct question *question)
{
    sl_json_text text, key;
    while (sl_json_next_element(host->json) > 0) {
        if (sl_json_peek(host->json) == SL_JSON_STRING) {
            (void)!sl_json_get_string(host->json, &text);
            add_channel(question, text);
        } else if (sl_json_enter_object(host->json) == 0) {
            while (sl_json_next_field(host->json, &key) > 0) {
                if (sl_json_is(key, "name") && sl_json_get_string(host->json, &text) == 0) {
                    add_channel(question, text);
                } else if (sl_json_is(key, "product_ids") && sl_json_enter_array(host->json) == 0) {
                    add_products(host, question);
                }
            }
        }
    }
}

static void say_error(const struct sl_dialect_host *host, struct sl_venue_client *client, const char *reason)
{
    struct sl_render text = {0};
    sl__write_format(&text, "{\"type\":\"error\",\"message\":\"Failed to subscribe\",\"reason\":\"%s\"}", reason);
    host->say(client, &text);
    sl__write_done(&text);
}

static bool asks_for(const struct question *question, const sl_instrument *product)
{
    for (size_t at = 0; at < question->count; at++) {
        if (question->products[at] == product) {
            return true;
        }
    }
    return false;
}

/* The products of a channel that the client will have: those it has, without or with those of the question. */
static void list_products(const struct sl_dialect_host *host, const struct sl_venue_client *client,
                          const struct question *question, size_t channel, struct sl_render *text)
{
    bool asked = (question->channels >> channel & 1) != 0, first = true;
    const struct sl_wish *wish = NULL;
    while ((wish = host->wished(client, wish)) != NULL) {
        if (strcmp(wish->name, channels[channel].name) == 0 && !(asked && asks_for(question, wish->instrument))) {
            sl__write_format(text, "%s\"%s\"", first ? "" : ",", wish->instrument->symbol);
            first = false;
        }
    }
    for (size_t at = 0; at < question->count && asked && !question->off; at++) {
        sl__write_format(text, "%s\"%s\"", first ? "" : ",", question->products[at]->symbol);
        first = false;
    }
}

/* The answer names all that the client is subscribed to now; then the books begin. */
static void perform(const struct sl_dialect_host *host, struct sl_venue_client *client, const struct question *question)
{
    struct sl_render text = {0};
    sl__write_text(&text, "{\"type\":\"subscriptions\",\"channels\":[");
    for (size_t at = 0; at < CHANNELS; at++) {
        sl__write_format(&text, "%s{\"name\":\"%s\",\"product_ids\":[", at == 0 ? "" : ",", channels[at].name);
        list_products(host, client, question, at, &text);
        sl__write_text(&text, "]}");
    }
    sl__write_text(&text, "]}");
    host->say(client, &text);
    sl__write_done(&text);
    for (size_t at = 0; at < CHANNELS; at++) {
        for (size_t i = 0; i < question->count && (question->channels >> at & 1) != 0; i++) {
            struct sl_wish wish = {.feed = channels[at].feed, .instrument = question->products[i]};
            (void)snprintf(wish.name, sizeof wish.name, "%s", channels[at].name);
            (void)host->wish(client, &wish, question->off);
        }
    }
}

static void hear(const struct sl_dialect_host *host, struct sl_venue_client *client, const char *text,
                 size_t size_bytes)
{
    sl_json *json = host->json;
    sl_json_text key, type = {"", 0};
    struct question question = {0};
    if (sl_json_open(json, text, size_bytes, 0) < 0 || sl_json_enter_object(json) < 0) {
        say_error(host, client, "malformed JSON");
        return;
    }
    while (sl_json_next_field(json, &key) > 0) {
        if (sl_json_is(key, "type")) {
            (void)!sl_json_get_string(json, &type);
        } else if (sl_json_is(key, "product_ids") && sl_json_enter_array(json) == 0) {
            add_products(host, &question);
        } else if (sl_json_is(key, "channels") && sl_json_enter_array(json) == 0) {
            add_channels(host, &question);
        }
    }
    question.off = sl_json_is(type, "unsubscribe");
    if (question.bad || question.count == 0 || (!question.off && !sl_json_is(type, "subscribe"))) {
        char reason[80] = "not a valid channel";
        if (question.unknown[0] != '\0') {
            (void)snprintf(reason, sizeof reason, "%s is not a valid product", question.unknown);
        }
        say_error(host, client, reason);
        return;
    }
    if (host->refuse) {
        say_error(host, client, "the channel is not available just now");
        return;
    }
    perform(host, client, &question);
}

/* ---- messages ---- */

static void render_match(const sl_market_event *event, struct sl_render *text)
{
    const sl_trade *trade = &event->as.trade;
    sl__write_format(text,
                     "{\"type\":\"match\",\"trade_id\":%" PRId64 ",\"maker_order_id\":\"a\",\"taker_order_id\":\"b\","
                     "\"side\":\"%s\",\"size\":\"",
                     trade->id, trade->taker == SL_SIDE_BUY ? "sell" : "buy"); /* the maker's side */
    sl__write_decimal(text, trade->quantity);
    sl__write_text(text, "\",\"price\":\"");
    sl__write_decimal(text, trade->price);
    sl__write_format(text, "\",\"product_id\":\"%s\",\"sequence\":%" PRId64 ",\"time\":\"", event->instrument->symbol,
                     trade->id * 3);
    sl__write_time(text, event->venue_time_ns);
    sl__write_text(text, "\"}");
}

static void render_one_change(struct sl_render *text, const char *side, const sl_level *level, bool first)
{
    sl__write_format(text, "%s[\"%s\",\"", first ? "" : ",", side);
    sl__write_decimal(text, level->price);
    sl__write_text(text, "\",\"");
    sl__write_decimal(text, level->quantity);
    sl__write_text(text, "\"]");
}

static void render_l2update(const sl_market_event *event, struct sl_render *text)
{
    const sl_levels *levels = &event->as.delta.levels;
    sl__write_format(text, "{\"type\":\"l2update\",\"product_id\":\"%s\",\"changes\":[", event->instrument->symbol);
    for (size_t at = 0; at < levels->bid_count; at++) {
        render_one_change(text, "buy", &levels->bids[at], at == 0);
    }
    for (size_t at = 0; at < levels->ask_count; at++) {
        render_one_change(text, "sell", &levels->asks[at], at == 0 && levels->bid_count == 0);
    }
    sl__write_text(text, "],\"time\":\"");
    sl__write_time(text, event->venue_time_ns);
    sl__write_text(text, "\"}");
}

static void render_ticker(const struct sl_dialect_host *host, const sl_market_event *event, struct sl_render *text)
{
    sl_best best = sl_truth_best(host->truth, event->instrument);
    const sl_trade *trade = &event->as.trade;
    sl__write_format(text, "{\"type\":\"ticker\",\"sequence\":%" PRId64 ",\"product_id\":\"%s\",\"price\":\"",
                     trade->id * 3 + 1, event->instrument->symbol);
    sl__write_decimal(text, trade->price);
    const char *const keys[] = {"best_bid", "best_bid_size", "best_ask", "best_ask_size", "last_size"};
    const sl_decimal values[] = {best.bid.price, best.bid.quantity, best.ask.price, best.ask.quantity, trade->quantity};
    for (size_t at = 0; at < sizeof keys / sizeof *keys; at++) {
        sl__write_format(text, "\",\"%s\":\"", keys[at]);
        sl__write_decimal(text, values[at]);
    }
    sl__write_text(text, "\",\"open_24h\":\"1\",\"volume_24h\":\"1\",\"low_24h\":\"1\",\"high_24h\":\"1\","
                         "\"volume_30d\":\"1\",\"side\":\"");
    sl__write_format(text, "%s\",\"trade_id\":%" PRId64 ",\"time\":\"", sl_side_name(trade->taker), trade->id);
    sl__write_time(text, event->venue_time_ns);
    sl__write_text(text, "\"}");
}

static bool render_change(const struct sl_dialect_host *host, const struct sl_wish *wish, const sl_truth_change *change,
                          struct sl_render *text)
{
    bool trade = change->event.kind == SL_EVENT_TRADE;
    if (wish->feed == SL_FEED_TRADES && trade) {
        render_match(&change->event, text);
    } else if (wish->feed == SL_FEED_DEPTH && !trade) {
        render_l2update(&change->event, text);
    } else if (wish->feed == SL_FEED_BEST && trade) {
        render_ticker(host, &change->event, text);
    } else {
        return false;
    }
    return true;
}

static void render_snapshot(const struct sl_dialect_host *host, const struct sl_wish *wish, struct sl_render *text)
{
    sl_truth_state state = sl_truth_look(host->truth, wish->instrument);
    sl__write_format(text, "{\"type\":\"snapshot\",\"product_id\":\"%s\",\"bids\":", wish->instrument->symbol);
    sl__write_side(text, state.book, SL_SIDE_BUY, SIZE_MAX);
    sl__write_text(text, ",\"asks\":");
    sl__write_side(text, state.book, SL_SIDE_SELL, SIZE_MAX);
    sl__write_text(text, ",\"time\":\"");
    sl__write_time(text, host->now_ns);
    sl__write_text(text, "\"}");
}

static bool render_heartbeat(const struct sl_dialect_host *host, const struct sl_wish *wish, struct sl_render *text)
{
    if (wish == NULL || wish->feed != SL_FEED_STATUS) {
        return false;
    }
    sl_truth_state state = sl_truth_look(host->truth, wish->instrument);
    sl__write_format(text,
                     "{\"type\":\"heartbeat\",\"last_trade_id\":%" PRId64 ",\"product_id\":\"%s\",\"sequence\":%" PRId64
                     ",\"time\":\"",
                     state.trade_id, wish->instrument->symbol, state.trade_id * 3 + 2);
    sl__write_time(text, host->now_ns);
    sl__write_text(text, "\"}");
    return true;
}

static void too_many(struct sl_render *text)
{
    sl__write_text(text, "{\"type\":\"error\",\"message\":\"rate limit exceeded\",\"reason\":\"\"}");
}

/* ---- REST ---- */

static struct sl_rest_reply answer_products(const struct sl_dialect_host *host, struct sl_render *text)
{
    bool first = true;
    sl__write_text(text, "[");
    for (size_t at = 0; at < sl_instruments_count(host->instruments); at++) {
        const sl_instrument *one = sl_instruments_at(host->instruments, at);
        if (one->venue == SL_VENUE_COINBASE && one->status != SL_STATUS_DELISTED) {
            bool halted = one->status == SL_STATUS_HALTED;
            sl__write_format(text,
                             "%s{\"id\":\"%s\",\"base_currency\":\"%s\",\"quote_currency\":\"%s\",\"quote_increment\":"
                             "\"0.01\",\"base_increment\":\"0.0001\",\"status\":\"%s\",\"trading_disabled\":%s}",
                             first ? "" : ",", one->symbol, one->base, one->quote, halted ? "offline" : "online",
                             halted ? "true" : "false");
            first = false;
        }
    }
    sl__write_text(text, "]");
    return (struct sl_rest_reply){.status = 200, .weight = 1};
}

static struct sl_rest_reply rest(const struct sl_dialect_host *host, const struct sl_rest_question *question,
                                 struct sl_render *text)
{
    if (strcmp(question->path, "/products") == 0) {
        return answer_products(host, text);
    }
    if (strncmp(question->path, "/products/", 10) != 0) {
        return (struct sl_rest_reply){0};
    }
    const char *symbol = question->path + 10;
    size_t length = strcspn(symbol, "/");
    const sl_instrument *product = sl_instruments_find(host->instruments, SL_VENUE_COINBASE, symbol, length);
    if (product == NULL) {
        sl__write_text(text, "{\"message\":\"NotFound\"}");
        return (struct sl_rest_reply){.status = 404, .weight = 1};
    }
    if (strcmp(symbol + length, "/trades") != 0) {
        return (struct sl_rest_reply){0};
    }
    const sl_market_event *events = NULL;
    size_t count =
        host->history(host->venue, product, 0, (size_t)sl__query_number(question->query, "limit", 1000), &events);
    sl__write_text(text, "[");
    for (size_t at = count; at-- > 0;) { /* newest first */
        const sl_trade *trade = &events[at].as.trade;
        sl__write_format(text, "%s{\"trade_id\":%" PRId64 ",\"side\":\"%s\",\"size\":\"", at + 1 == count ? "" : ",",
                         trade->id, trade->taker == SL_SIDE_BUY ? "sell" : "buy");
        sl__write_decimal(text, trade->quantity);
        sl__write_text(text, "\",\"price\":\"");
        sl__write_decimal(text, trade->price);
        sl__write_text(text, "\",\"time\":\"");
        sl__write_time(text, events[at].venue_time_ns);
        sl__write_text(text, "\"}");
    }
    sl__write_text(text, "]");
    return (struct sl_rest_reply){.status = 200, .weight = 1};
}

const sl_dialect sl__dialect_coinbase = {.venue = SL_VENUE_COINBASE,
                                         .snapshot_first = true,
                                         .heartbeat_ns = HEARTBEAT_NS,
                                         .messages = 100,
                                         .messages_ns = HEARTBEAT_NS,
                                         .connects = 8,
                                         .connects_ns = HEARTBEAT_NS,
                                         .too_many = too_many,
                                         .define = define,
                                         .open = open_path,
                                         .hear = hear,
                                         .change = render_change,
                                         .snapshot = render_snapshot,
                                         .heartbeat = render_heartbeat,
                                         .rest = rest};
