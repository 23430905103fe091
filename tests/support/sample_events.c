/* SPDX-License-Identifier: MIT */
/* See sample_events.h. */
#include "sample_events.h"

#include <string.h>

#define LEVELS_MAX 40
#define BASE_TIME INT64_C(1732184500000000000)

static const sl_instrument instruments[SAMPLE_INSTRUMENTS] = {
    {.index = 0, .venue = SL_VENUE_BINANCE_USDM, .symbol = "BTCUSDT", .name = "BTC-USDT-USDT"},
    {.index = 1, .venue = SL_VENUE_BINANCE_SPOT, .symbol = "BTCUSDT", .name = "BTC-USDT"},
    {.index = 2, .venue = SL_VENUE_KRAKEN, .symbol = "XBT/USD", .name = "BTC-USD"},
    {.index = 3, .venue = SL_VENUE_COINBASE, .symbol = "ETH-USD", .name = "ETH-USD"},
    {.index = 4, .venue = SL_VENUE_BYBIT_LINEAR, .symbol = "1000PEPEUSDT", .name = "1000PEPE-USDT-USDT"},
    {.index = 5, .venue = SL_VENUE_OKX, .symbol = "BTC-USD-241227", .name = "BTC-USD-BTC-20241227"},
    {.index = 6, .venue = SL_VENUE_BITSTAMP, .symbol = "a\"b\\c", .name = "A\"B\\C"},
};

static uint64_t mix(uint64_t number)
{
    number += UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}

const sl_instrument *sample_instrument(size_t index)
{
    return &instruments[index % SAMPLE_INSTRUMENTS];
}

/* Now and then a large, a negative or an odd one. */
static sl_decimal number_of(uint64_t seed)
{
    uint64_t random = mix(seed);
    switch (random % 16) {
    case 0:
        return (sl_decimal){(int64_t)(random >> 1), -12};
    case 1:
        return (sl_decimal){-(int64_t)(random >> 20), -8};
    case 2:
        return (sl_decimal){0, 0};
    case 3:
        return (sl_decimal){(int64_t)(random >> 40), 0};
    default:
        return (sl_decimal){(int64_t)(random >> 36), -2 - (int32_t)(random >> 8 & 3)};
    }
}

static sl_levels levels_of(uint64_t seed)
{
    static _Thread_local sl_level levels[2 * LEVELS_MAX];
    size_t bids = mix(seed) % LEVELS_MAX;
    size_t asks = mix(seed + 1) % LEVELS_MAX;
    bool plain = mix(seed + 2) % 2 == 0; /* one scale for all, small numbers: the usual form */
    for (size_t at = 0; at < bids + asks; at++) {
        levels[at].price = plain ? (sl_decimal){(int64_t)(6180000 + at), -2} : number_of(seed * 131 + at);
        levels[at].quantity = plain ? (sl_decimal){(int64_t)(mix(seed + at) >> 40), -3} : number_of(seed * 137 + at);
    }
    return (sl_levels){levels, levels + bids, bids, asks};
}

static void fill_book(sl_market_event *event, uint64_t number)
{
    sl_book_checksum checksum = {number % 3 == 0, number % 3 == 0 ? (uint32_t)mix(number) : 0};
    if (event->kind == SL_EVENT_BOOK_DELTA) {
        event->as.delta = (sl_book_delta){.first_id = (int64_t)number * 10 + 1,
                                          .last_id = (int64_t)number * 10 + 10,
                                          .previous_id = number % 2 == 0 ? (int64_t)number * 10 : 0,
                                          .has_previous = number % 2 == 0,
                                          .checksum = checksum,
                                          .depth = number % 5 == 0 ? 10 : 0,
                                          .levels = levels_of(number)};
        event->feed = SL_FEED_DEPTH;
    } else {
        event->as.snapshot = (sl_book_snapshot){
            .last_id = (int64_t)number * 10, .checksum = checksum, .depth = 1000, .levels = levels_of(number)};
        event->feed = SL_FEED_SNAPSHOT;
    }
}

static void fill_trade(sl_market_event *event, uint64_t number)
{
    event->feed = number % 5 == 0 ? SL_FEED_AGG_TRADES : SL_FEED_TRADES;
    event->as.trade = (sl_trade){.id = (int64_t)number + 1,
                                 .price = number_of(number),
                                 .quantity = number_of(number + 7),
                                 .taker = (sl_side)(number % 3),
                                 .off_book = number % 11 == 0};
    event->as.trade.first_id = event->as.trade.id - (number % 5 == 0 ? 3 : 0);
    event->as.trade.last_id = event->as.trade.id;
    if (event->instrument->venue == SL_VENUE_BYBIT_LINEAR) {
        event->as.trade.id = event->as.trade.first_id = event->as.trade.last_id = 0;
        event->as.trade.uuid = (sl_uuid){mix(number), mix(number + 1)};
    }
}

static void fill_rest(sl_market_event *event, uint64_t number)
{
    sl_decimal some = number_of(number);
    sl_decimal other = number_of(number + 3);
    switch (event->kind) {
    case SL_EVENT_BEST:
        event->feed = SL_FEED_BEST;
        event->as.best = (sl_best){(int64_t)number + 1, {some, other}, {other, some}};
        break;
    case SL_EVENT_TICKER:
        event->feed = SL_FEED_TICKER;
        event->as.ticker = (sl_ticker){some, other, some, other, some, other, {some, other}, {other, some}};
        break;
    case SL_EVENT_CANDLE:
        event->feed = SL_FEED_CANDLES;
        event->as.candle = (sl_candle){.open_time_ns = BASE_TIME + (int64_t)number * 60000000000,
                                       .interval_ns = 60000000000,
                                       .open = some,
                                       .high = other,
                                       .low = some,
                                       .close = other,
                                       .volume = some,
                                       .trades = number % 4,
                                       .closed = number % 2 == 0};
        break;
    case SL_EVENT_FUNDING:
        event->feed = SL_FEED_FUNDING;
        event->as.funding = (sl_funding){.mark_price = number % 2 == 0 ? some : (sl_decimal){0, 0},
                                         .rate = other,
                                         .next_time_ns = number % 3 == 0 ? BASE_TIME : 0,
                                         .has_mark = number % 2 == 0,
                                         .has_rate = true};
        break;
    case SL_EVENT_LIQUIDATION:
        event->feed = SL_FEED_LIQUIDATIONS;
        event->as.liquidation = (sl_liquidation){(sl_side)(1 + number % 2), some, other};
        break;
    case SL_EVENT_OPEN_INTEREST:
        event->feed = SL_FEED_OPEN_INTEREST;
        event->as.open_interest = (sl_open_interest){some, other};
        break;
    case SL_EVENT_STATUS:
        event->feed = SL_FEED_STATUS;
        event->as.status = (sl_instrument_status)(number % SL_STATUS_COUNT);
        break;
    default:
        event->feed = SL_FEED_DEPTH;
        event->as.gap = (sl_gap){.reason = (sl_gap_reason)(1 + number % (SL_GAP_REASON_COUNT - 1)),
                                 .from_id = (int64_t)number * 10,
                                 .to_id = (int64_t)number * 10 + 5,
                                 .seen_time_ns = (int64_t)(number / 2) * 1000,
                                 .healed = number % 2 == 1,
                                 .healed_id = number % 2 == 1 ? (int64_t)number * 10 + 7 : 0};
        break;
    }
}

sl_market_event sample_event_of(sl_event_kind kind, uint64_t number)
{
    sl_market_event event;
    memset(&event, 0, sizeof(event));
    event.kind = kind;
    event.connection = (uint32_t)(number % 5);
    event.instrument = sample_instrument(mix(number) % SAMPLE_INSTRUMENTS);
    event.venue_time_ns = number % 7 == 0 ? 0 : BASE_TIME + (int64_t)number * 1000;
    event.sent_time_ns = number % 3 == 0 ? BASE_TIME + (int64_t)number * 1000 + 1 : 0;
    event.receive_time_ns = BASE_TIME + (int64_t)number * 1000 + 2;
    if (kind == SL_EVENT_TRADE) {
        fill_trade(&event, number);
    } else if (kind == SL_EVENT_BOOK_DELTA || kind == SL_EVENT_BOOK_SNAPSHOT) {
        fill_book(&event, number);
    } else {
        fill_rest(&event, number);
    }
    return event;
}

sl_market_event sample_event(uint64_t number)
{
    return sample_event_of((sl_event_kind)(1 + number % (SL_EVENT_KIND_COUNT - 1)), number);
}

/* ---- comparing ---- */

static bool same_number(sl_decimal a, sl_decimal b)
{
    return a.mantissa == b.mantissa && a.exponent == b.exponent;
}

static bool same_level(const sl_level *a, const sl_level *b)
{
    return same_number(a->price, b->price) && same_number(a->quantity, b->quantity);
}

static bool same_levels(const sl_levels *a, const sl_levels *b)
{
    bool same = a->bid_count == b->bid_count && a->ask_count == b->ask_count;
    for (size_t at = 0; same && at < a->bid_count; at++) {
        same = same_level(&a->bids[at], &b->bids[at]);
    }
    for (size_t at = 0; same && at < a->ask_count; at++) {
        same = same_level(&a->asks[at], &b->asks[at]);
    }
    return same;
}

static bool same_checksum(sl_book_checksum a, sl_book_checksum b)
{
    return a.given == b.given && a.value == b.value;
}

static bool same_trade(const sl_trade *a, const sl_trade *b)
{
    return a->id == b->id && a->first_id == b->first_id && a->last_id == b->last_id && a->uuid.high == b->uuid.high &&
           a->uuid.low == b->uuid.low && same_number(a->price, b->price) && same_number(a->quantity, b->quantity) &&
           a->taker == b->taker && a->off_book == b->off_book;
}

static bool same_ticker(const sl_ticker *a, const sl_ticker *b)
{
    return same_number(a->last, b->last) && same_number(a->open, b->open) && same_number(a->high, b->high) &&
           same_number(a->low, b->low) && same_number(a->volume, b->volume) &&
           same_number(a->quote_volume, b->quote_volume) && same_level(&a->bid, &b->bid) &&
           same_level(&a->ask, &b->ask);
}

static bool same_candle(const sl_candle *a, const sl_candle *b)
{
    return a->open_time_ns == b->open_time_ns && a->interval_ns == b->interval_ns && same_number(a->open, b->open) &&
           same_number(a->high, b->high) && same_number(a->low, b->low) && same_number(a->close, b->close) &&
           same_number(a->volume, b->volume) && a->trades == b->trades && a->closed == b->closed;
}

static bool same_funding(const sl_funding *a, const sl_funding *b)
{
    return same_number(a->mark_price, b->mark_price) && same_number(a->index_price, b->index_price) &&
           same_number(a->rate, b->rate) && a->next_time_ns == b->next_time_ns && a->has_mark == b->has_mark &&
           a->has_index == b->has_index && a->has_rate == b->has_rate;
}

static bool same_book(const sl_market_event *a, const sl_market_event *b)
{
    const sl_book_delta *one = &a->as.delta;
    const sl_book_delta *other = &b->as.delta;
    if (a->kind == SL_EVENT_BOOK_SNAPSHOT) {
        return a->as.snapshot.last_id == b->as.snapshot.last_id && a->as.snapshot.depth == b->as.snapshot.depth &&
               same_checksum(a->as.snapshot.checksum, b->as.snapshot.checksum) &&
               same_levels(&a->as.snapshot.levels, &b->as.snapshot.levels);
    }
    return one->first_id == other->first_id && one->last_id == other->last_id &&
           one->previous_id == other->previous_id && one->has_previous == other->has_previous &&
           one->depth == other->depth && same_checksum(one->checksum, other->checksum) &&
           same_levels(&one->levels, &other->levels);
}

static bool same_body(const sl_market_event *a, const sl_market_event *b)
{
    switch (a->kind) {
    case SL_EVENT_TRADE:
        return same_trade(&a->as.trade, &b->as.trade);
    case SL_EVENT_BOOK_DELTA:
    case SL_EVENT_BOOK_SNAPSHOT:
        return same_book(a, b);
    case SL_EVENT_BEST:
        return a->as.best.update_id == b->as.best.update_id && same_level(&a->as.best.bid, &b->as.best.bid) &&
               same_level(&a->as.best.ask, &b->as.best.ask);
    case SL_EVENT_TICKER:
        return same_ticker(&a->as.ticker, &b->as.ticker);
    case SL_EVENT_CANDLE:
        return same_candle(&a->as.candle, &b->as.candle);
    case SL_EVENT_FUNDING:
        return same_funding(&a->as.funding, &b->as.funding);
    case SL_EVENT_LIQUIDATION:
        return a->as.liquidation.side == b->as.liquidation.side &&
               same_number(a->as.liquidation.price, b->as.liquidation.price) &&
               same_number(a->as.liquidation.quantity, b->as.liquidation.quantity);
    case SL_EVENT_OPEN_INTEREST:
        return same_number(a->as.open_interest.quantity, b->as.open_interest.quantity) &&
               same_number(a->as.open_interest.value, b->as.open_interest.value);
    case SL_EVENT_STATUS:
        return a->as.status == b->as.status;
    default:
        return a->as.gap.reason == b->as.gap.reason && a->as.gap.from_id == b->as.gap.from_id &&
               a->as.gap.to_id == b->as.gap.to_id && a->as.gap.healed == b->as.gap.healed &&
               a->as.gap.healed_id == b->as.gap.healed_id && a->as.gap.seen_time_ns == b->as.gap.seen_time_ns;
    }
}

bool sample_events_equal(const sl_market_event *a, const sl_market_event *b)
{
    return a->kind == b->kind && a->feed == b->feed && a->connection == b->connection &&
           a->instrument->venue == b->instrument->venue && strcmp(a->instrument->symbol, b->instrument->symbol) == 0 &&
           strcmp(a->instrument->name, b->instrument->name) == 0 && a->venue_time_ns == b->venue_time_ns &&
           a->sent_time_ns == b->sent_time_ns && a->receive_time_ns == b->receive_time_ns && same_body(a, b);
}
