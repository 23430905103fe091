/* SPDX-License-Identifier: MIT */
/*
 * How fast each venue's messages are decoded, on one core: `venues [NAME [SECONDS]]`, NAME a part of a line's name.
 * One message of each common kind again and again, padded as the network gives it. Time is the processor's, so that a
 * busy machine does not count; allocations are counted, and no time is asserted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "venues/venue.h"

#define LEVELS 20

static const struct {
    const char *name;
    sl_venue venue;
    const char *symbol;
    const char *text; /* %B, %K, %C: half of the levels, or all, as the venue writes them; %O: both sides */
} kinds[] = {
    {"binance trade", SL_VENUE_BINANCE_SPOT, "BTCUSDT",
     "{\"e\":\"trade\",\"E\":1723161255343,\"s\":\"BTCUSDT\",\"t\":3735683259,\"p\":\"61837.63000000\",\"q\":\"0."
     "02000000\","
     "\"T\":1723161255342,\"m\":true,\"M\":true}"},
    {"coinbase trade", SL_VENUE_COINBASE, "BTC-USD",
     "{\"type\":\"match\",\"trade_id\":865127782,\"maker_order_id\":\"ac928c66-ca53-498f-9c13-a110027a60e8\","
     "\"taker_order_id\":\"132fb6ae-456b-4654-b4e0-d681ac05cea1\",\"side\":\"sell\",\"size\":\"0.01000000\",\"price\":"
     "\"61837.63\",\"product_id\":\"BTC-USD\",\"sequence\":37475248783,\"time\":\"2023-10-19T23:28:22.061769Z\"}"},
    {"coinbase depth", SL_VENUE_COINBASE, "BTC-USD",
     "{\"type\":\"l2update\",\"product_id\":\"BTC-USD\",\"changes\":[%C],\"time\":\"2023-10-19T23:28:22.061769Z\"}"},
    {"kraken trade", SL_VENUE_KRAKEN, "BTC/USD",
     "{\"channel\":\"trade\",\"type\":\"update\",\"data\":[{\"symbol\":\"BTC/"
     "USD\",\"side\":\"buy\",\"price\":61837.6,\"qty\":"
     "0.01000000,\"ord_type\":\"limit\",\"trade_id\":4665846,\"timestamp\":\"2023-09-25T07:48:36.925533Z\"}]}"},
    {"kraken depth", SL_VENUE_KRAKEN, "BTC/USD",
     "{\"channel\":\"book\",\"type\":\"update\",\"data\":[{\"symbol\":\"BTC/"
     "USD\",%O,\"checksum\":2114181697,\"timestamp\":"
     "\"2023-10-06T17:35:55.440295Z\"}]}"},
    {"bybit trade", SL_VENUE_BYBIT_LINEAR, "BTCUSDT",
     "{\"topic\":\"publicTrade.BTCUSDT\",\"type\":\"snapshot\",\"ts\":1672304486868,\"data\":[{\"T\":1672304486865,"
     "\"s\":"
     "\"BTCUSDT\",\"S\":\"Buy\",\"v\":\"0.001\",\"p\":\"16578.50\",\"L\":\"PlusTick\",\"i\":"
     "\"20f43950-d8dd-5b31-9112-a178eb6023af\",\"BT\":false,\"seq\":1783284617}]}"},
    {"bybit depth", SL_VENUE_BYBIT_LINEAR, "BTCUSDT",
     "{\"topic\":\"orderbook.50.BTCUSDT\",\"type\":\"delta\",\"ts\":1672304484978,\"data\":{\"s\":\"BTCUSDT\",\"b\":[%"
     "B],"
     "\"a\":[%B],\"u\":18521288,\"seq\":7961638724},\"cts\":1672304484976}"},
    {"okx trade", SL_VENUE_OKX, "BTC-USDT",
     "{\"arg\":{\"channel\":\"trades\",\"instId\":\"BTC-USDT\"},\"data\":[{\"instId\":\"BTC-USDT\",\"tradeId\":"
     "\"130639474\","
     "\"px\":\"42219.9\",\"sz\":\"0.12060306\",\"side\":\"buy\",\"ts\":\"1630048897897\",\"count\":\"3\"}]}"},
    {"okx depth", SL_VENUE_OKX, "BTC-USDT",
     "{\"arg\":{\"channel\":\"books\",\"instId\":\"BTC-USDT\"},\"action\":\"update\",\"data\":[{\"asks\":[%K],\"bids\":"
     "[%K],"
     "\"ts\":\"1597026383085\",\"checksum\":0,\"prevSeqId\":123456,\"seqId\":123457}]}"},
    {"bitstamp trade", SL_VENUE_BITSTAMP, "btcusd",
     "{\"data\":{\"id\":216000477,\"timestamp\":\"1641343699\",\"amount\":0.0792,\"amount_str\":\"0.07920000\","
     "\"price\":"
     "3805.44,\"price_str\":\"3805.44\",\"type\":0,\"microtimestamp\":\"1641343699596000\",\"buy_order_id\":"
     "1443875737346049,"
     "\"sell_order_id\":1443875731320832},\"channel\":\"live_trades_btcusd\",\"event\":\"trade\"}"},
    {"bitstamp depth", SL_VENUE_BITSTAMP, "btcusd",
     "{\"data\":{\"timestamp\":\"1641343691\",\"microtimestamp\":\"1641343691244908\",\"bids\":[%B],\"asks\":[%B]},"
     "\"channel\":\"diff_order_book_btcusd\",\"event\":\"data\"}"},
};

static int64_t now_ns(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

/* Writes half of the levels in one of the forms. */
static size_t put_levels(char *to, size_t room, char form)
{
    size_t length = 0;
    for (int at = 0; at < LEVELS / 2; at++) {
        length += (size_t)snprintf(to + length, room - length, "%s", at == 0 ? "" : ",");
        switch (form) {
        case 'B':
            length += (size_t)snprintf(to + length, room - length, "[\"61%03d.20\",\"0.%03d\"]", at, at + 1);
            break;
        case 'K':
            length += (size_t)snprintf(to + length, room - length, "[\"61%03d.2\",\"0.%03d\",\"0\",\"3\"]", at, at + 1);
            break;
        case 'C':
            length += (size_t)snprintf(to + length, room - length,
                                       "[\"buy\",\"61%03d.20\",\"0.%03d\"],[\"sell\",\"61%03d.20\",\"0.%03d\"]", at,
                                       at + 1, at + 100, at + 1);
            break;
        default:
            length +=
                (size_t)snprintf(to + length, room - length, "{\"price\":61%03d.2,\"qty\":0.%03d00000}", at, at + 1);
            break;
        }
    }
    return length;
}

/* The message with its levels. */
static size_t expand(const char *text, char *to, size_t room)
{
    size_t length = 0;
    for (; *text != '\0'; text++) {
        if (*text == '%' && text[1] == 'O') {
            length += (size_t)snprintf(to + length, room - length, "\"bids\":[");
            length += put_levels(to + length, room - length, 'O');
            length += (size_t)snprintf(to + length, room - length, "],\"asks\":[");
            length += put_levels(to + length, room - length, 'O');
            length += (size_t)snprintf(to + length, room - length, "]");
            text++;
        } else if (*text == '%') {
            length += put_levels(to + length, room - length, *++text);
        } else {
            to[length++] = *text;
        }
    }
    return length;
}

static int count_event(void *arg, const sl_market_event *event)
{
    *(uint64_t *)arg += event->kind != SL_EVENT_NONE;
    return 0;
}

static int count_notice(void *arg, const sl_venue_notice *notice)
{
    (void)arg;
    (void)notice;
    return 0;
}

static int measure(size_t kind, double seconds)
{
    static char text[16384];
    uint64_t events = 0;
    const sl_venue_output output = {.arg = &events, .event = count_event, .notice = count_notice};
    sl_auto(sl_instruments) *table = NULL;
    sl_auto(sl_venue_decoder) *decoder = NULL;
    sl_instrument definition = {.venue = kinds[kind].venue, .tick = {1, -1}, .lot = {1, -8}};
    (void)snprintf(definition.symbol, sizeof(definition.symbol), "%s", kinds[kind].symbol);
    SL_TRY(sl_instruments_new(0, &table));
    SL_TRY(sl_instruments_add(table, &definition, NULL));
    sl_venue_decoder_options options = {.venue = kinds[kind].venue, .instruments = table};
    SL_TRY(sl_venue_decoder_new(&options, &decoder));
    memset(text, 0, sizeof(text));
    size_t size_bytes = expand(kinds[kind].text, text, sizeof(text) - SL_JSON_PADDING);
    sl_venue_message message = {text, size_bytes, SL_JSON_PADDED, 1};
    uint64_t messages = 0;
    for (int warm = 0; warm < 1000; warm++) {
        SL_TRY(sl_venue_decode(decoder, &message, &output));
    }
    int64_t asked = sl_memory_asked();
    int64_t begin = now_ns();
    int64_t end = begin + (int64_t)(seconds * 1e9);
    int64_t now = begin;
    while (now < end) {
        for (int batch = 0; batch < 1000; batch++) {
            SL_TRY(sl_venue_decode(decoder, &message, &output));
        }
        messages += 1000;
        now = now_ns();
    }
    double took = (double)(now - begin);
    printf("%-16s %5zu bytes  %9.0f messages/s  %7.0f ns each  %5.0f MB/s  %" PRId64 " allocations\n", kinds[kind].name,
           size_bytes, (double)messages * 1e9 / took, took / (double)messages,
           (double)messages * (double)size_bytes * 1e3 / took, sl_memory_asked() - asked);
    return events >= messages ? 0 : SL_EINTERNAL;
}

int main(int argc, char **argv)
{
    const char *filter = argc > 1 ? argv[1] : "";
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 1.0;
    for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        int code = strstr(kinds[kind].name, filter) == NULL ? 0 : measure(kind, seconds);
        if (code < 0) {
            (void)fprintf(stderr, "%s: %s\n", kinds[kind].name, sl_strerror(code));
            return 1;
        }
    }
    return 0;
}
