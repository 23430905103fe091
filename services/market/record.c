/* SPDX-License-Identifier: MIT */
/*
 * Events as bytes: see record.h. A head of fixed places, the instrument's symbol and name, then what the kind has.
 * Levels take 4 or 8 bytes a number, as the largest of their side needs, and one exponent for all where that is so.
 */
#include "record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are written as they lie in memory");

/* Places in the head. */
#define AT_KIND 1
#define AT_FEED 2
#define AT_VENUE 3
#define AT_CONNECTION 4
#define AT_RUN 8
#define AT_NUMBER 16
#define AT_VENUE_TIME 24
#define AT_SENT_TIME 32
#define AT_RECEIVE_TIME 40
#define AT_SYMBOL_SIZE 48
#define AT_NAME_SIZE 49
#define AT_TEXTS 50
_Static_assert(AT_TEXTS == SL_RECORD_MIN_BYTES, "the head is always there");

/* Head, texts and the largest body without levels (a ticker: 10 decimals), and the heads of two sides. */
#define FIXED_MAX 320
#define LEVEL_MAX 18

/* Bits of the first byte of a body; each kind has its own. */
#define TRADE_RANGE 1u /* first and last id differ from the id */
#define TRADE_UUID 2u
#define TRADE_OFF_BOOK 4u
#define BOOK_PREVIOUS 1u
#define BOOK_CHECKSUM 2u
#define CANDLE_CLOSED 1u
#define FUNDING_MARK 1u
#define FUNDING_INDEX 2u
#define FUNDING_RATE 4u
#define GAP_HEALED 1u

/* Bits of a side of levels. */
#define SIDE_WIDE_PRICES 1u
#define SIDE_WIDE_QUANTITIES 2u
#define SIDE_EXPONENTS 4u /* each level has its own */

struct sl_record_reader {
    sl_instruments *instruments;
    sl_level *levels;
    size_t levels_capacity;
};

/* ---- writing ---- */

static uint8_t *put_u8(uint8_t *at, unsigned value)
{
    *at = (uint8_t)value;
    return at + 1;
}

static uint8_t *put_u32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

static uint8_t *put_i64(uint8_t *at, int64_t value)
{
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

static uint8_t *put_decimal(uint8_t *at, sl_decimal decimal)
{
    return put_u8(put_i64(at, decimal.mantissa), (unsigned)decimal.exponent & 0xff);
}

static uint8_t *put_number(uint8_t *at, int64_t value, bool wide)
{
    return wide ? put_i64(at, value) : put_u32(at, (uint32_t)value);
}

static uint8_t *put_side(uint8_t *at, const sl_level *levels, size_t count)
{
    uint64_t prices = 0;
    uint64_t quantities = 0;
    unsigned flags = 0;
    for (size_t index = 0; index < count; index++) {
        const sl_level *level = &levels[index];
        prices |= (uint64_t)level->price.mantissa;
        quantities |= (uint64_t)level->quantity.mantissa;
        if (level->price.exponent != levels[0].price.exponent ||
            level->quantity.exponent != levels[0].quantity.exponent) {
            flags |= SIDE_EXPONENTS;
        }
    }
    flags |= prices > UINT32_MAX ? SIDE_WIDE_PRICES : 0;
    flags |= quantities > UINT32_MAX ? SIDE_WIDE_QUANTITIES : 0;
    at = put_u32(at, (uint32_t)count);
    if (count == 0) {
        return at;
    }
    at = put_u8(at, flags);
    for (size_t index = 0; index < count; index++) {
        const sl_level *level = &levels[index];
        if (index == 0 || (flags & SIDE_EXPONENTS) != 0) {
            at = put_u8(at, (unsigned)level->price.exponent & 0xff);
            at = put_u8(at, (unsigned)level->quantity.exponent & 0xff);
        }
        at = put_number(at, level->price.mantissa, (flags & SIDE_WIDE_PRICES) != 0);
        at = put_number(at, level->quantity.mantissa, (flags & SIDE_WIDE_QUANTITIES) != 0);
    }
    return at;
}

static uint8_t *put_levels(uint8_t *at, const sl_levels *levels)
{
    at = put_side(at, levels->bids, levels->bid_count);
    return put_side(at, levels->asks, levels->ask_count);
}

static uint8_t *put_level(uint8_t *at, sl_level level)
{
    return put_decimal(put_decimal(at, level.price), level.quantity);
}

static uint8_t *put_trade(uint8_t *at, const sl_trade *trade)
{
    bool range = trade->first_id != trade->id || trade->last_id != trade->id;
    bool uuid = trade->uuid.high != 0 || trade->uuid.low != 0;
    at = put_u8(at, (range ? TRADE_RANGE : 0) | (uuid ? TRADE_UUID : 0) | (trade->off_book ? TRADE_OFF_BOOK : 0));
    at = put_u8(at, trade->taker);
    at = put_i64(at, trade->id);
    if (range) {
        at = put_i64(put_i64(at, trade->first_id), trade->last_id);
    }
    if (uuid) {
        at = put_i64(put_i64(at, (int64_t)trade->uuid.high), (int64_t)trade->uuid.low);
    }
    return put_decimal(put_decimal(at, trade->price), trade->quantity);
}

static uint8_t *put_delta(uint8_t *at, const sl_book_delta *delta)
{
    at = put_u8(at, (delta->has_previous ? BOOK_PREVIOUS : 0) | (delta->checksum.given ? BOOK_CHECKSUM : 0));
    at = put_u32(put_u32(at, delta->checksum.value), delta->depth);
    at = put_i64(put_i64(put_i64(at, delta->first_id), delta->last_id), delta->previous_id);
    return put_levels(at, &delta->levels);
}

static uint8_t *put_snapshot(uint8_t *at, const sl_book_snapshot *snapshot)
{
    at = put_u8(at, snapshot->checksum.given ? BOOK_CHECKSUM : 0);
    at = put_u32(put_u32(at, snapshot->checksum.value), snapshot->depth);
    return put_levels(put_i64(at, snapshot->last_id), &snapshot->levels);
}

static uint8_t *put_ticker(uint8_t *at, const sl_ticker *ticker)
{
    at = put_decimal(put_decimal(at, ticker->last), ticker->open);
    at = put_decimal(put_decimal(at, ticker->high), ticker->low);
    at = put_decimal(put_decimal(at, ticker->volume), ticker->quote_volume);
    return put_level(put_level(at, ticker->bid), ticker->ask);
}

static uint8_t *put_candle(uint8_t *at, const sl_candle *candle)
{
    at = put_u8(at, candle->closed ? CANDLE_CLOSED : 0);
    at = put_i64(put_i64(at, candle->open_time_ns), candle->interval_ns);
    at = put_i64(at, (int64_t)candle->trades);
    at = put_decimal(put_decimal(at, candle->open), candle->high);
    at = put_decimal(put_decimal(at, candle->low), candle->close);
    return put_decimal(at, candle->volume);
}

static uint8_t *put_funding(uint8_t *at, const sl_funding *funding)
{
    at = put_u8(at, (funding->has_mark ? FUNDING_MARK : 0) | (funding->has_index ? FUNDING_INDEX : 0) |
                        (funding->has_rate ? FUNDING_RATE : 0));
    at = put_i64(at, funding->next_time_ns);
    at = put_decimal(put_decimal(at, funding->mark_price), funding->index_price);
    return put_decimal(at, funding->rate);
}

static uint8_t *put_gap(uint8_t *at, const sl_gap *gap)
{
    at = put_u8(put_u8(at, gap->healed ? GAP_HEALED : 0), gap->reason);
    return put_i64(put_i64(put_i64(put_i64(at, gap->from_id), gap->to_id), gap->healed_id), gap->seen_time_ns);
}

static uint8_t *put_body(uint8_t *at, const sl_market_event *event)
{
    switch (event->kind) {
    case SL_EVENT_TRADE:
        return put_trade(at, &event->as.trade);
    case SL_EVENT_BOOK_DELTA:
        return put_delta(at, &event->as.delta);
    case SL_EVENT_BOOK_SNAPSHOT:
        return put_snapshot(at, &event->as.snapshot);
    case SL_EVENT_BEST:
        return put_level(put_level(put_i64(at, event->as.best.update_id), event->as.best.bid), event->as.best.ask);
    case SL_EVENT_TICKER:
        return put_ticker(at, &event->as.ticker);
    case SL_EVENT_CANDLE:
        return put_candle(at, &event->as.candle);
    case SL_EVENT_FUNDING:
        return put_funding(at, &event->as.funding);
    case SL_EVENT_LIQUIDATION:
        at = put_u8(at, event->as.liquidation.side);
        return put_decimal(put_decimal(at, event->as.liquidation.price), event->as.liquidation.quantity);
    case SL_EVENT_OPEN_INTEREST:
        return put_decimal(put_decimal(at, event->as.open_interest.quantity), event->as.open_interest.value);
    case SL_EVENT_STATUS:
        return put_u8(at, event->as.status);
    case SL_EVENT_GAP:
        return put_gap(at, &event->as.gap);
    default:
        return at;
    }
}

static const sl_levels *levels_of(const sl_market_event *event)
{
    if (event->kind == SL_EVENT_BOOK_DELTA) {
        return &event->as.delta.levels;
    }
    return event->kind == SL_EVENT_BOOK_SNAPSHOT ? &event->as.snapshot.levels : NULL;
}

size_t sl_record_bound(const sl_market_event *event)
{
    if (event->kind <= SL_EVENT_NONE || event->kind >= SL_EVENT_KIND_COUNT || event->instrument == NULL) {
        return 0;
    }
    const sl_levels *levels = levels_of(event);
    if (levels == NULL) {
        return FIXED_MAX;
    }
    size_t room = (SL_RECORD_MAX_BYTES - FIXED_MAX) / LEVEL_MAX;
    if (levels->bid_count > room || levels->ask_count > room - levels->bid_count) {
        return 0;
    }
    return FIXED_MAX + (levels->bid_count + levels->ask_count) * LEVEL_MAX;
}

size_t sl_record_encode(const sl_market_event *event, void *buffer)
{
    uint8_t *record = buffer;
    const sl_instrument *instrument = event->instrument;
    size_t symbol = strnlen(instrument->symbol, SL_SYMBOL_MAX - 1);
    size_t name = strnlen(instrument->name, SL_INSTRUMENT_NAME_MAX - 1);
    record[0] = SL_RECORD_VERSION;
    record[AT_KIND] = (uint8_t)event->kind;
    record[AT_FEED] = (uint8_t)event->feed;
    record[AT_VENUE] = (uint8_t)instrument->venue;
    (void)put_u32(record + AT_CONNECTION, event->connection);
    (void)put_i64(put_i64(record + AT_RUN, 0), 0);
    (void)put_i64(put_i64(put_i64(record + AT_VENUE_TIME, event->venue_time_ns), event->sent_time_ns),
                  event->receive_time_ns);
    record[AT_SYMBOL_SIZE] = (uint8_t)symbol;
    record[AT_NAME_SIZE] = (uint8_t)name;
    memcpy(record + AT_TEXTS, instrument->symbol, symbol);
    memcpy(record + AT_TEXTS + symbol, instrument->name, name);
    return (size_t)(put_body(record + AT_TEXTS + symbol + name, event) - record);
}

void sl_record_set_stamp(void *record, sl_stamp stamp)
{
    uint8_t *bytes = record;
    (void)put_i64(put_i64(bytes + AT_RUN, (int64_t)stamp.run), (int64_t)stamp.number);
}

sl_stamp sl_record_stamp(const void *record)
{
    sl_stamp stamp;
    memcpy(&stamp.run, (const uint8_t *)record + AT_RUN, sizeof(stamp.run));
    memcpy(&stamp.number, (const uint8_t *)record + AT_NUMBER, sizeof(stamp.number));
    return stamp;
}

int64_t sl_record_receive_time(const void *record)
{
    int64_t time;
    memcpy(&time, (const uint8_t *)record + AT_RECEIVE_TIME, sizeof(time));
    return time;
}

/* FNV-1a with a final mix. */
static uint64_t hash_bytes(uint64_t hash, const uint8_t *data, size_t size_bytes)
{
    for (size_t at = 0; at < size_bytes; at++) {
        hash = (hash ^ data[at]) * UINT64_C(0x100000001b3);
    }
    return hash ^ hash >> 32;
}

bool sl_record_state_key(const void *record, size_t size_bytes, uint64_t *ret_key)
{
    const uint8_t *bytes = record;
    sl_event_kind kind = (sl_event_kind)bytes[AT_KIND];
    if (kind == SL_EVENT_TRADE || kind == SL_EVENT_BOOK_DELTA || kind == SL_EVENT_LIQUIDATION || kind == SL_EVENT_GAP) {
        return false;
    }
    size_t texts = (size_t)bytes[AT_SYMBOL_SIZE] + bytes[AT_NAME_SIZE];
    uint64_t hash = hash_bytes(UINT64_C(0xcbf29ce484222325), bytes + AT_KIND, 3);
    hash = hash_bytes(hash, bytes + AT_TEXTS, bytes[AT_SYMBOL_SIZE]);
    if (kind == SL_EVENT_CANDLE && AT_TEXTS + texts + 17 <= size_bytes) {
        hash = hash_bytes(hash, bytes + AT_TEXTS + texts + 1, 16); /* when it opened, and its interval */
    }
    *ret_key = hash;
    return true;
}

/* ---- reading ---- */

/* What is left to read; `bad` once it was too little or out of range, for ever. */
struct input {
    const uint8_t *at, *end;
    bool bad;
};

static const uint8_t *take(struct input *in, size_t size_bytes)
{
    static const uint8_t zeros[AT_TEXTS];
    if ((size_t)(in->end - in->at) < size_bytes) {
        in->bad = true;
        return size_bytes <= sizeof(zeros) ? zeros : NULL;
    }
    const uint8_t *at = in->at;
    in->at += size_bytes;
    return at;
}

static unsigned get_u8(struct input *in)
{
    return *take(in, 1);
}

static uint32_t get_u32(struct input *in)
{
    uint32_t value;
    memcpy(&value, take(in, sizeof(value)), sizeof(value));
    return value;
}

static int64_t get_i64(struct input *in)
{
    int64_t value;
    memcpy(&value, take(in, sizeof(value)), sizeof(value));
    return value;
}

/* A number below `count`. */
static unsigned get_choice(struct input *in, unsigned count)
{
    unsigned value = get_u8(in);
    if (value >= count) {
        in->bad = true;
        return 0;
    }
    return value;
}

/* A set of bits, no others than those of `known`. */
static unsigned get_flags(struct input *in, unsigned known)
{
    unsigned flags = get_u8(in);
    in->bad = in->bad || (flags & ~known) != 0;
    return flags & known;
}

static int32_t get_exponent(struct input *in)
{
    int32_t exponent = (int32_t)(get_u8(in) ^ 0x80) - 0x80; /* its sign */
    if (exponent < SL_DECIMAL_EXPONENT_MIN || exponent > SL_DECIMAL_EXPONENT_MAX) {
        in->bad = true;
        return 0;
    }
    return exponent;
}

static int64_t get_mantissa(struct input *in, bool wide)
{
    int64_t value = wide ? get_i64(in) : (int64_t)get_u32(in);
    if (value < -SL_DECIMAL_MANTISSA_MAX) {
        in->bad = true;
        return 0;
    }
    return value;
}

static sl_decimal get_decimal(struct input *in)
{
    sl_decimal decimal;
    decimal.mantissa = get_mantissa(in, true);
    decimal.exponent = get_exponent(in);
    return decimal;
}

static sl_level get_level(struct input *in)
{
    sl_level level;
    level.price = get_decimal(in);
    level.quantity = get_decimal(in);
    return level;
}

/* Reads a side to `levels`, where it has room: the bytes were counted before. */
static void get_side(struct input *in, sl_level *levels, size_t count)
{
    unsigned flags = count == 0 ? 0 : get_flags(in, SIDE_WIDE_PRICES | SIDE_WIDE_QUANTITIES | SIDE_EXPONENTS);
    int32_t price_exponent = 0;
    int32_t quantity_exponent = 0;
    for (size_t index = 0; index < count; index++) {
        if (index == 0 || (flags & SIDE_EXPONENTS) != 0) {
            price_exponent = get_exponent(in);
            quantity_exponent = get_exponent(in);
        }
        levels[index].price = (sl_decimal){get_mantissa(in, (flags & SIDE_WIDE_PRICES) != 0), price_exponent};
        levels[index].quantity = (sl_decimal){get_mantissa(in, (flags & SIDE_WIDE_QUANTITIES) != 0), quantity_exponent};
    }
}

static int reserve_levels(sl_record_reader *reader, size_t count)
{
    if (count <= reader->levels_capacity) {
        return 0;
    }
    sl_level *levels = sl_realloc(reader->levels, count * sizeof(*levels));
    if (levels == NULL) {
        return SL_ENOMEM;
    }
    reader->levels = levels;
    reader->levels_capacity = count;
    return 0;
}

/* Both sides. A level takes at least 8 bytes: what the record claims cannot make us allocate much more than it has. */
static int get_levels(sl_record_reader *reader, struct input *in, sl_levels *ret_levels)
{
    size_t bids = get_u32(in);
    if (bids > (size_t)(in->end - in->at) / 8) {
        return SL_EPROTO;
    }
    SL_TRY(reserve_levels(reader, bids));
    get_side(in, reader->levels, bids);
    size_t asks = get_u32(in);
    if (in->bad || asks > (size_t)(in->end - in->at) / 8) {
        return SL_EPROTO;
    }
    SL_TRY(reserve_levels(reader, bids + asks));
    get_side(in, reader->levels + bids, asks);
    *ret_levels = (sl_levels){reader->levels, reader->levels + bids, bids, asks};
    return 0;
}

static void get_trade(struct input *in, sl_trade *trade)
{
    unsigned flags = get_flags(in, TRADE_RANGE | TRADE_UUID | TRADE_OFF_BOOK);
    trade->off_book = (flags & TRADE_OFF_BOOK) != 0;
    trade->taker = (sl_side)get_choice(in, SL_SIDE_SELL + 1);
    trade->id = get_i64(in);
    trade->first_id = trade->id;
    trade->last_id = trade->id;
    trade->uuid = (sl_uuid){0, 0};
    if ((flags & TRADE_RANGE) != 0) {
        trade->first_id = get_i64(in);
        trade->last_id = get_i64(in);
    }
    if ((flags & TRADE_UUID) != 0) {
        trade->uuid.high = (uint64_t)get_i64(in);
        trade->uuid.low = (uint64_t)get_i64(in);
    }
    trade->price = get_decimal(in);
    trade->quantity = get_decimal(in);
}

static int get_delta(sl_record_reader *reader, struct input *in, sl_book_delta *delta)
{
    unsigned flags = get_flags(in, BOOK_PREVIOUS | BOOK_CHECKSUM);
    delta->has_previous = (flags & BOOK_PREVIOUS) != 0;
    delta->checksum.given = (flags & BOOK_CHECKSUM) != 0;
    delta->checksum.value = get_u32(in);
    delta->depth = get_u32(in);
    delta->first_id = get_i64(in);
    delta->last_id = get_i64(in);
    delta->previous_id = get_i64(in);
    return get_levels(reader, in, &delta->levels);
}

static int get_snapshot(sl_record_reader *reader, struct input *in, sl_book_snapshot *snapshot)
{
    snapshot->checksum.given = get_flags(in, BOOK_CHECKSUM) != 0;
    snapshot->checksum.value = get_u32(in);
    snapshot->depth = get_u32(in);
    snapshot->last_id = get_i64(in);
    return get_levels(reader, in, &snapshot->levels);
}

static void get_ticker(struct input *in, sl_ticker *ticker)
{
    ticker->last = get_decimal(in);
    ticker->open = get_decimal(in);
    ticker->high = get_decimal(in);
    ticker->low = get_decimal(in);
    ticker->volume = get_decimal(in);
    ticker->quote_volume = get_decimal(in);
    ticker->bid = get_level(in);
    ticker->ask = get_level(in);
}

static void get_candle(struct input *in, sl_candle *candle)
{
    candle->closed = get_flags(in, CANDLE_CLOSED) != 0;
    candle->open_time_ns = get_i64(in);
    candle->interval_ns = get_i64(in);
    candle->trades = (uint64_t)get_i64(in);
    candle->open = get_decimal(in);
    candle->high = get_decimal(in);
    candle->low = get_decimal(in);
    candle->close = get_decimal(in);
    candle->volume = get_decimal(in);
}

static void get_funding(struct input *in, sl_funding *funding)
{
    unsigned flags = get_flags(in, FUNDING_MARK | FUNDING_INDEX | FUNDING_RATE);
    funding->has_mark = (flags & FUNDING_MARK) != 0;
    funding->has_index = (flags & FUNDING_INDEX) != 0;
    funding->has_rate = (flags & FUNDING_RATE) != 0;
    funding->next_time_ns = get_i64(in);
    funding->mark_price = get_decimal(in);
    funding->index_price = get_decimal(in);
    funding->rate = get_decimal(in);
}

static void get_gap(struct input *in, sl_gap *gap)
{
    gap->healed = get_flags(in, GAP_HEALED) != 0;
    gap->reason = (sl_gap_reason)get_choice(in, SL_GAP_REASON_COUNT);
    gap->from_id = get_i64(in);
    gap->to_id = get_i64(in);
    gap->healed_id = get_i64(in);
    gap->seen_time_ns = get_i64(in);
}

static int get_body(sl_record_reader *reader, struct input *in, sl_market_event *event)
{
    switch (event->kind) {
    case SL_EVENT_TRADE:
        get_trade(in, &event->as.trade);
        return 0;
    case SL_EVENT_BOOK_DELTA:
        return get_delta(reader, in, &event->as.delta);
    case SL_EVENT_BOOK_SNAPSHOT:
        return get_snapshot(reader, in, &event->as.snapshot);
    case SL_EVENT_BEST:
        event->as.best.update_id = get_i64(in);
        event->as.best.bid = get_level(in);
        event->as.best.ask = get_level(in);
        return 0;
    case SL_EVENT_TICKER:
        get_ticker(in, &event->as.ticker);
        return 0;
    case SL_EVENT_CANDLE:
        get_candle(in, &event->as.candle);
        return 0;
    case SL_EVENT_FUNDING:
        get_funding(in, &event->as.funding);
        return 0;
    case SL_EVENT_LIQUIDATION:
        event->as.liquidation.side = (sl_side)get_choice(in, SL_SIDE_SELL + 1);
        event->as.liquidation.price = get_decimal(in);
        event->as.liquidation.quantity = get_decimal(in);
        return 0;
    case SL_EVENT_OPEN_INTEREST:
        event->as.open_interest.quantity = get_decimal(in);
        event->as.open_interest.value = get_decimal(in);
        return 0;
    case SL_EVENT_STATUS:
        event->as.status = (sl_instrument_status)get_choice(in, SL_STATUS_COUNT);
        return 0;
    default:
        get_gap(in, &event->as.gap);
        return 0;
    }
}

int sl_record_reader_new(sl_record_reader **ret_reader)
{
    sl_record_reader *reader = sl_calloc(1, sizeof(*reader));
    if (reader == NULL) {
        return SL_ENOMEM;
    }
    int code = sl_instruments_new(SL_INSTRUMENTS_MAX, &reader->instruments);
    if (code < 0) {
        sl_free(reader);
        return code;
    }
    *ret_reader = reader;
    return 0;
}

void sl_record_reader_free(sl_record_reader *reader)
{
    if (reader != NULL) {
        sl_instruments_free(reader->instruments);
        sl_free(reader->levels);
        sl_free(reader);
    }
}

/* The instrument of the two texts. */
static int find_instrument(sl_record_reader *reader, sl_venue venue, struct input *in, size_t symbol_bytes,
                           size_t name_bytes, const sl_instrument **ret_instrument)
{
    if (symbol_bytes == 0 || symbol_bytes >= SL_SYMBOL_MAX || name_bytes >= SL_INSTRUMENT_NAME_MAX) {
        return SL_EPROTO;
    }
    const char *symbol = (const char *)take(in, symbol_bytes);
    const char *name = (const char *)take(in, name_bytes);
    if (in->bad) {
        return SL_EPROTO;
    }
    const sl_instrument *known = sl_instruments_find(reader->instruments, venue, symbol, symbol_bytes);
    if (known == NULL) {
        sl_instrument definition = {.venue = venue};
        memcpy(definition.symbol, symbol, symbol_bytes);
        memcpy(definition.name, name, name_bytes);
        int code = sl_instruments_add(reader->instruments, &definition, &known);
        if (code < 0) { /* texts that no table would take are the record's fault */
            return code == SL_EINVAL ? SL_EPROTO : code;
        }
    }
    *ret_instrument = known;
    return 0;
}

int sl_record_decode(sl_record_reader *reader, const void *record, size_t size_bytes, sl_market_event *ret_event,
                     sl_stamp *ret_stamp)
{
    const uint8_t *bytes = record;
    if (size_bytes < AT_TEXTS || size_bytes > SL_RECORD_MAX_BYTES) {
        return SL_EPROTO;
    }
    if (bytes[0] != SL_RECORD_VERSION) {
        return SL_ENOTSUP;
    }
    struct input in = {bytes + AT_KIND, bytes + size_bytes, false};
    sl_market_event *event = ret_event;
    event->kind = (sl_event_kind)get_choice(&in, SL_EVENT_KIND_COUNT);
    event->feed = (sl_feed)get_choice(&in, SL_FEED_COUNT);
    sl_venue venue = (sl_venue)get_choice(&in, SL_VENUE_COUNT);
    event->connection = get_u32(&in);
    *ret_stamp = sl_record_stamp(record);
    in.at = bytes + AT_VENUE_TIME;
    event->venue_time_ns = get_i64(&in);
    event->sent_time_ns = get_i64(&in);
    event->receive_time_ns = get_i64(&in);
    size_t symbol = get_u8(&in);
    size_t name = get_u8(&in);
    if (in.bad || event->kind == SL_EVENT_NONE) {
        return SL_EPROTO;
    }
    SL_TRY(find_instrument(reader, venue, &in, symbol, name, &event->instrument));
    SL_TRY(get_body(reader, &in, event));
    return in.bad || in.at != in.end ? SL_EPROTO : 0;
}

/* ---- identity ---- */

size_t sl_event_identity(const sl_market_event *event, sl_stamp stamp, char buffer[SL_EVENT_IDENTITY_MAX])
{
    const sl_trade *trade = &event->as.trade;
    char what[64];
    int length = -1;
    bool numbered = trade->id != 0 || trade->uuid.high != 0 || trade->uuid.low != 0;
    if (event->kind == SL_EVENT_TRADE && numbered) {
        char id[SL_TRADE_ID_MAX];
        (void)sl_trade_id_format(trade, id);
        length = snprintf(what, sizeof(what), "%s", id);
    } else if (event->kind == SL_EVENT_BOOK_DELTA && event->as.delta.last_id != 0) {
        /* Ids may begin again when a venue restarts its service: the time tells them apart. */
        length = snprintf(what, sizeof(what), "%" PRId64 "-%" PRId64 "@%" PRId64, event->as.delta.first_id,
                          event->as.delta.last_id, event->venue_time_ns);
    } else if (event->kind == SL_EVENT_CANDLE && event->as.candle.closed) {
        length = snprintf(what, sizeof(what), "%" PRId64 "+%" PRId64, event->as.candle.open_time_ns,
                          event->as.candle.interval_ns);
    }
    if (length < 0) {
        (void)snprintf(what, sizeof(what), "%" PRIx64 ":%" PRIu64, stamp.run, stamp.number);
    }
    const char *kind = event->kind == SL_EVENT_GAP || event->feed == SL_FEED_NONE ? sl_event_kind_name(event->kind)
                                                                                  : sl_feed_name(event->feed);
    length = snprintf(buffer, SL_EVENT_IDENTITY_MAX, "%s:%s:%s:%s", sl_venue_name(event->instrument->venue),
                      event->instrument->symbol, kind, what);
    return length > 0 ? (size_t)length : 0;
}
