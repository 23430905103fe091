/* SPDX-License-Identifier: MIT */
/*
 * All venues' decoders. The input's first byte chooses the venue, its second one what the rest is: 0 messages of a
 * stream, else the answer to a request of that kind; lines are messages, read one after the other by one decoder.
 * Whatever comes: a documented code with a text, one count more, sound events, and the same from a padded text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "venues/venue.h"

#define NOW_NS INT64_C(1700000000000000000)
#define MESSAGES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static const struct {
    const char *symbol;
    sl_venue venue;
} instruments[] = {
    {"BTCUSDT", SL_VENUE_BINANCE_SPOT}, {"BTCUSDT", SL_VENUE_BINANCE_USDM}, {"BTCUSD_PERP", SL_VENUE_BINANCE_COINM},
    {"BTC-USD", SL_VENUE_COINBASE},     {"BTC/USD", SL_VENUE_KRAKEN},       {"MATIC/USD", SL_VENUE_KRAKEN},
    {"BTCUSDT", SL_VENUE_BYBIT_SPOT},   {"BTCUSDT", SL_VENUE_BYBIT_LINEAR}, {"BTCUSD", SL_VENUE_BYBIT_INVERSE},
    {"BTC-USDT", SL_VENUE_OKX},         {"BTC-USDT-SWAP", SL_VENUE_OKX},    {"btcusd", SL_VENUE_BITSTAMP},
};

/* One decoder with what it gave out, added up. */
struct side {
    sl_venue venue;
    sl_instruments *table;
    sl_venue_decoder *decoder;
    uint64_t sum;
    uint64_t given;
};

static void add(struct side *side, uint64_t value)
{
    side->sum = (side->sum ^ value) * UINT64_C(0x100000001b3);
}

static void add_levels(struct side *side, const sl_levels *levels)
{
    add(side, levels->bid_count);
    for (size_t at = 0; at < levels->bid_count; at++) {
        add(side, (uint64_t)levels->bids[at].price.mantissa);
        add(side, (uint64_t)levels->bids[at].quantity.mantissa);
    }
    for (size_t at = 0; at < levels->ask_count; at++) {
        if (levels->asks[at].quantity.mantissa < 0) {
            abort();
        }
        add(side, (uint64_t)levels->asks[at].quantity.exponent);
    }
}

static int on_event(void *arg, const sl_market_event *event)
{
    struct side *side = arg;
    char text[SL_EVENT_TEXT_MAX];
    if (event->kind <= SL_EVENT_NONE || event->kind >= SL_EVENT_GAP || event->feed <= SL_FEED_NONE ||
        event->feed >= SL_FEED_COUNT || event->instrument == NULL || event->instrument->venue != side->venue ||
        event->receive_time_ns != NOW_NS || event->venue_time_ns < 0 || event->sent_time_ns < 0) {
        abort();
    }
    side->given++;
    add(side, event->kind);
    add(side, (uint64_t)event->venue_time_ns);
    if (event->kind == SL_EVENT_BOOK_DELTA) {
        add_levels(side, &event->as.delta.levels);
    } else if (event->kind == SL_EVENT_BOOK_SNAPSHOT) {
        add_levels(side, &event->as.snapshot.levels);
    }
    size_t length = sl_event_describe(event, text);
    for (size_t at = 0; at < length; at++) {
        add(side, (unsigned char)text[at]);
    }
    return 0;
}

static int on_notice(void *arg, const sl_venue_notice *notice)
{
    struct side *side = arg;
    if (notice->kind <= SL_NOTICE_NONE || notice->kind >= SL_NOTICE_COUNT) {
        abort();
    }
    add(side, notice->kind);
    for (size_t at = 0; at < notice->text.size_bytes; at++) {
        add(side, (unsigned char)notice->text.data[at]);
    }
    for (size_t at = 0; at < notice->symbol.size_bytes; at++) {
        add(side, (unsigned char)notice->symbol.data[at]);
    }
    return 0;
}

/* A read outside of the message is seen. */
static void on_bad_row(void *arg, const char *text, size_t size_bytes, int code)
{
    struct side *side = arg;
    add(side, (uint64_t)code);
    if (code >= 0 || size_bytes == 0 || sl_venue_problem(side->decoder)[0] == '\0') {
        abort();
    }
    for (size_t at = 0; at < size_bytes; at++) {
        add(side, (unsigned char)text[at]);
    }
}

static void open_side(struct side *side, sl_venue venue)
{
    *side = (struct side){.venue = venue};
    if (sl_instruments_new(1000, &side->table) < 0) {
        abort();
    }
    for (size_t at = 0; at < sizeof(instruments) / sizeof(instruments[0]); at++) {
        sl_instrument definition = {.venue = instruments[at].venue, .type = SL_INSTRUMENT_PERPETUAL, .tick = {1, -2}};
        (void)snprintf(definition.symbol, sizeof(definition.symbol), "%s", instruments[at].symbol);
        if (sl_instruments_add(side->table, &definition, NULL) < 0) {
            abort();
        }
    }
    sl_venue_decoder_options options = {.venue = venue, .instruments = side->table, .levels_max = 2000};
    if (sl_venue_decoder_new(&options, &side->decoder) < 0) {
        abort();
    }
}

static void close_side(struct side *side)
{
    sl_venue_decoder_free(side->decoder);
    sl_instruments_free(side->table);
}

static const sl_instrument *first_of(const struct side *side)
{
    const sl_instrument *instrument = NULL;
    for (size_t at = 0; (instrument = sl_instruments_at(side->table, at)) != NULL; at++) {
        if (instrument->venue == side->venue) {
            return instrument;
        }
    }
    (void)fprintf(stderr, "%s has no symbol in the table above\n", sl_venue_name(side->venue));
    abort();
}

/* In the kind of a request: of all instruments, where the venue has that; and rows that cannot be read are told. */
#define ALL 128
#define TELL 64

/* A copy of the line, padded or exactly as long, so that a read behind its end is seen. */
static int decode(struct side *side, uint8_t kind, const uint8_t *data, size_t size_bytes, bool padded)
{
    const sl_venue_output output = {
        .arg = side, .event = on_event, .notice = on_notice, .bad_row = (kind & TELL) != 0 ? on_bad_row : NULL};
    const sl_venue_stats *stats = &side->decoder->stats;
    char *text = calloc(1, size_bytes + (padded ? SL_JSON_PADDING : 1));
    if (text == NULL) {
        abort();
    }
    memcpy(text, data, size_bytes);
    sl_venue_message message = {text, size_bytes, padded ? SL_JSON_PADDED : 0, NOW_NS};
    uint64_t before = stats->decoded + stats->notices + stats->unknown + stats->bad;
    int code = 0;
    if (kind == 0) {
        code = sl_venue_decode(side->decoder, &message, &output);
    } else {
        sl_venue_answer answer;
        sl_venue_request_kind what = (sl_venue_request_kind)(kind & ~(ALL | TELL));
        bool all = (kind & ALL) != 0 && (side->decoder->driver->bulk >> what & 1) != 0;
        sl_venue_request request = {
            .kind = what, .instrument = all ? NULL : first_of(side), .interval_ns = SL_MINUTES(1)};
        code = sl_venue_decode_rest(side->decoder, &request, &message, &output, side->table, &answer);
        add(side, answer.rows);
        if (memchr(answer.cursor, '\0', sizeof(answer.cursor)) == NULL) {
            abort();
        }
    }
    bool known = code == 0 || code == SL_EPROTO || code == SL_ENOTSUP || code == SL_ERANGE || code == SL_EMSGSIZE ||
                 (kind != 0 && code == SL_EAGAIN);
    if (!known || (code < 0 && sl_venue_problem(side->decoder)[0] == '\0') ||
        stats->decoded + stats->notices + stats->unknown + stats->bad != before + 1 || stats->events != side->given) {
        abort();
    }
    free(text);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    struct side exact, padded;
    if (size_bytes < 2) {
        return 0;
    }
    sl_venue venue = (sl_venue)(1 + data[0] % (SL_VENUE_EXTERNAL - 1));
    uint8_t kind = data[1] % SL_REQUEST_KIND_COUNT;
    kind |= kind != 0 ? data[1] & (ALL | TELL) : 0;
    data += 2;
    size_bytes -= 2;
    open_side(&exact, venue);
    open_side(&padded, venue);
    for (int count = 0; count < MESSAGES_MAX && size_bytes > 0; count++) {
        const uint8_t *end = memchr(data, '\n', size_bytes);
        size_t line_bytes = end == NULL ? size_bytes : (size_t)(end - data);
        if (decode(&exact, kind, data, line_bytes, false) != decode(&padded, kind, data, line_bytes, true) ||
            exact.sum != padded.sum) {
            abort();
        }
        line_bytes += end == NULL ? 0 : 1;
        data += line_bytes;
        size_bytes -= line_bytes;
    }
    close_side(&exact);
    close_side(&padded);
    return 0;
}
