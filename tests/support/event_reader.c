/* SPDX-License-Identifier: MIT */
/* See event_reader.h. One table says what each kind's members are. */
#include "event_reader.h"

#include <stdio.h>
#include <string.h>

#define LEVELS_MAX 20000

enum type {
    DECIMAL,
    INTEGER,
    UNSIGNED32,
    BOOLEAN,
    LEVEL,
    BIDS,
    ASKS,
    SIDE,
    REASON,
    STATUS,
    TRADE_ID,
    CHECKSUM,
    PREVIOUS,
    MARK,
    INDEX,
    RATE,
};

struct member {
    sl_event_kind kind; /* SL_EVENT_NONE: of all */
    const char *name;
    enum type type;
    size_t offset;
};

#define AT(kind, name, type, place)                                                                                    \
    {                                                                                                                  \
        kind, name, type, offsetof(sl_market_event, place)                                                             \
    }

static const struct member members[] = {
    AT(SL_EVENT_NONE, "venue_time_ns", INTEGER, venue_time_ns),
    AT(SL_EVENT_NONE, "sent_time_ns", INTEGER, sent_time_ns),
    AT(SL_EVENT_NONE, "receive_time_ns", INTEGER, receive_time_ns),
    AT(SL_EVENT_NONE, "connection", UNSIGNED32, connection),
    AT(SL_EVENT_TRADE, "id", TRADE_ID, as.trade.id),
    AT(SL_EVENT_TRADE, "first_id", INTEGER, as.trade.first_id),
    AT(SL_EVENT_TRADE, "last_id", INTEGER, as.trade.last_id),
    AT(SL_EVENT_TRADE, "price", DECIMAL, as.trade.price),
    AT(SL_EVENT_TRADE, "quantity", DECIMAL, as.trade.quantity),
    AT(SL_EVENT_TRADE, "taker", SIDE, as.trade.taker),
    AT(SL_EVENT_TRADE, "off_book", BOOLEAN, as.trade.off_book),
    AT(SL_EVENT_BOOK_DELTA, "first_id", INTEGER, as.delta.first_id),
    AT(SL_EVENT_BOOK_DELTA, "last_id", INTEGER, as.delta.last_id),
    AT(SL_EVENT_BOOK_DELTA, "previous_id", PREVIOUS, as.delta.previous_id),
    AT(SL_EVENT_BOOK_DELTA, "checksum", CHECKSUM, as.delta.checksum),
    AT(SL_EVENT_BOOK_DELTA, "depth", UNSIGNED32, as.delta.depth),
    AT(SL_EVENT_BOOK_DELTA, "bids", BIDS, as.delta.levels),
    AT(SL_EVENT_BOOK_DELTA, "asks", ASKS, as.delta.levels),
    AT(SL_EVENT_BOOK_SNAPSHOT, "last_id", INTEGER, as.snapshot.last_id),
    AT(SL_EVENT_BOOK_SNAPSHOT, "checksum", CHECKSUM, as.snapshot.checksum),
    AT(SL_EVENT_BOOK_SNAPSHOT, "depth", UNSIGNED32, as.snapshot.depth),
    AT(SL_EVENT_BOOK_SNAPSHOT, "bids", BIDS, as.snapshot.levels),
    AT(SL_EVENT_BOOK_SNAPSHOT, "asks", ASKS, as.snapshot.levels),
    AT(SL_EVENT_BEST, "update_id", INTEGER, as.best.update_id),
    AT(SL_EVENT_BEST, "bid", LEVEL, as.best.bid),
    AT(SL_EVENT_BEST, "ask", LEVEL, as.best.ask),
    AT(SL_EVENT_TICKER, "last", DECIMAL, as.ticker.last),
    AT(SL_EVENT_TICKER, "open", DECIMAL, as.ticker.open),
    AT(SL_EVENT_TICKER, "high", DECIMAL, as.ticker.high),
    AT(SL_EVENT_TICKER, "low", DECIMAL, as.ticker.low),
    AT(SL_EVENT_TICKER, "volume", DECIMAL, as.ticker.volume),
    AT(SL_EVENT_TICKER, "quote_volume", DECIMAL, as.ticker.quote_volume),
    AT(SL_EVENT_TICKER, "bid", LEVEL, as.ticker.bid),
    AT(SL_EVENT_TICKER, "ask", LEVEL, as.ticker.ask),
    AT(SL_EVENT_CANDLE, "open_time_ns", INTEGER, as.candle.open_time_ns),
    AT(SL_EVENT_CANDLE, "interval_ns", INTEGER, as.candle.interval_ns),
    AT(SL_EVENT_CANDLE, "open", DECIMAL, as.candle.open),
    AT(SL_EVENT_CANDLE, "high", DECIMAL, as.candle.high),
    AT(SL_EVENT_CANDLE, "low", DECIMAL, as.candle.low),
    AT(SL_EVENT_CANDLE, "close", DECIMAL, as.candle.close),
    AT(SL_EVENT_CANDLE, "volume", DECIMAL, as.candle.volume),
    AT(SL_EVENT_CANDLE, "trades", INTEGER, as.candle.trades),
    AT(SL_EVENT_CANDLE, "closed", BOOLEAN, as.candle.closed),
    AT(SL_EVENT_FUNDING, "mark_price", MARK, as.funding.mark_price),
    AT(SL_EVENT_FUNDING, "index_price", INDEX, as.funding.index_price),
    AT(SL_EVENT_FUNDING, "rate", RATE, as.funding.rate),
    AT(SL_EVENT_FUNDING, "next_time_ns", INTEGER, as.funding.next_time_ns),
    AT(SL_EVENT_LIQUIDATION, "side", SIDE, as.liquidation.side),
    AT(SL_EVENT_LIQUIDATION, "price", DECIMAL, as.liquidation.price),
    AT(SL_EVENT_LIQUIDATION, "quantity", DECIMAL, as.liquidation.quantity),
    AT(SL_EVENT_OPEN_INTEREST, "quantity", DECIMAL, as.open_interest.quantity),
    AT(SL_EVENT_OPEN_INTEREST, "value", DECIMAL, as.open_interest.value),
    AT(SL_EVENT_STATUS, "status", STATUS, as.status),
    AT(SL_EVENT_GAP, "reason", REASON, as.gap.reason),
    AT(SL_EVENT_GAP, "from_id", INTEGER, as.gap.from_id),
    AT(SL_EVENT_GAP, "to_id", INTEGER, as.gap.to_id),
    AT(SL_EVENT_GAP, "seen_time_ns", INTEGER, as.gap.seen_time_ns),
    AT(SL_EVENT_GAP, "healed", BOOLEAN, as.gap.healed),
    AT(SL_EVENT_GAP, "healed_id", INTEGER, as.gap.healed_id),
};

struct event_reader {
    sl_json *json;
    sl_instrument instrument;
    sl_level levels[2][LEVELS_MAX];
    char problem[160];
};

struct event_reader *event_reader_new(void)
{
    struct event_reader *reader = sl_calloc(1, sizeof(*reader));
    if (reader != NULL && sl_json_new(0, &reader->json) < 0) {
        sl_free(reader);
        return NULL;
    }
    return reader;
}

void event_reader_free(struct event_reader *reader)
{
    if (reader != NULL) {
        sl_json_free(reader->json);
        sl_free(reader);
    }
}

const char *event_reader_problem(const struct event_reader *reader)
{
    return reader->problem;
}

static int bad(struct event_reader *reader, const char *what, sl_json_text text)
{
    (void)snprintf(reader->problem, sizeof(reader->problem), "%s '%.*s' (%s)", what, (int)text.size_bytes, text.data,
                   sl_json_problem(reader->json));
    return SL_EPROTO;
}

static int read_decimal(struct event_reader *reader, sl_decimal *ret_decimal)
{
    sl_json_text text;
    SL_TRY(sl_json_get_string(reader->json, &text));
    return sl_decimal_parse(text.data, text.size_bytes, ret_decimal);
}

static int read_level(struct event_reader *reader, sl_level *ret_level)
{
    SL_TRY(sl_json_enter_array(reader->json));
    for (int at = 0; at < 2; at++) {
        int code = sl_json_next_element(reader->json);
        SL_TRY(code == 0 ? SL_EPROTO : code);
        SL_TRY(read_decimal(reader, at == 0 ? &ret_level->price : &ret_level->quantity));
    }
    return sl_json_next_element(reader->json) == 0 ? 0 : SL_EPROTO;
}

static int read_side(struct event_reader *reader, sl_level *levels, size_t *ret_count)
{
    int code = 0;
    *ret_count = 0;
    SL_TRY(sl_json_enter_array(reader->json));
    while ((code = sl_json_next_element(reader->json)) > 0) {
        if (*ret_count == LEVELS_MAX) {
            return SL_EMSGSIZE;
        }
        SL_TRY(read_level(reader, &levels[(*ret_count)++]));
    }
    return code;
}

/* The number of a name among those that name_of() gives from 0 to `count` - 1. */
#define READ_NAME(reader, name_of, count, ret_value)                                                                   \
    do {                                                                                                               \
        sl_json_text read_text;                                                                                        \
        SL_TRY(sl_json_get_string((reader)->json, &read_text));                                                        \
        for (int value = 0; value < (int)(count); value++) {                                                           \
            if (sl_json_is(read_text, name_of(value))) {                                                               \
                *(ret_value) = value;                                                                                  \
                return 0;                                                                                              \
            }                                                                                                          \
        }                                                                                                              \
        return bad(reader, "no such name", read_text);                                                                 \
    } while (0)

static const char *side_name(int value)
{
    return sl_side_name((sl_side)value);
}

static const char *reason_name(int value)
{
    return sl_gap_reason_name((sl_gap_reason)value);
}

static const char *status_name(int value)
{
    return sl_instrument_status_name((sl_instrument_status)value);
}

static const char *venue_name(int value)
{
    return sl_venue_name((sl_venue)value);
}

static const char *feed_name(int value)
{
    return sl_feed_name((sl_feed)value);
}

static const char *kind_name(int value)
{
    return sl_event_kind_name((sl_event_kind)value);
}

static int read_name_of(struct event_reader *reader, enum type type, int *ret_value)
{
    switch (type) {
    case SIDE:
        READ_NAME(reader, side_name, SL_SIDE_SELL + 1, ret_value);
    case REASON:
        READ_NAME(reader, reason_name, SL_GAP_REASON_COUNT, ret_value);
    default:
        READ_NAME(reader, status_name, SL_STATUS_COUNT, ret_value);
    }
}

static int read_trade_id(struct event_reader *reader, sl_trade *trade)
{
    sl_json_text text;
    unsigned long long parts[5] = {0};
    if (sl_json_peek(reader->json) != SL_JSON_STRING) {
        SL_TRY(sl_json_get_int64(reader->json, &trade->id));
        trade->first_id = trade->id; /* members that differ come behind it */
        trade->last_id = trade->id;
        return 0;
    }
    SL_TRY(sl_json_get_string(reader->json, &text));
    for (size_t at = 0, part = 0; at < text.size_bytes; at++) {
        static const char digits[] = "0123456789abcdef";
        const char *digit = memchr(digits, text.data[at], 16);
        if (text.data[at] == '-' && part < 4) {
            part++;
        } else if (digit != NULL) {
            parts[part] = parts[part] << 4 | (unsigned long long)(digit - digits);
        } else {
            return bad(reader, "no UUID", text);
        }
    }
    trade->uuid = (sl_uuid){parts[0] << 32 | parts[1] << 16 | parts[2], parts[3] << 48 | parts[4]};
    return text.size_bytes == 36 ? 0 : bad(reader, "no UUID", text);
}

static int read_value(struct event_reader *reader, const struct member *member, sl_market_event *event)
{
    void *place = (char *)event + member->offset;
    sl_levels *levels = place;
    sl_funding *funding = &event->as.funding;
    int64_t integer = 0;
    switch (member->type) {
    case DECIMAL:
        return read_decimal(reader, place);
    case INTEGER:
        return sl_json_get_int64(reader->json, place);
    case UNSIGNED32:
        SL_TRY(sl_json_get_int64(reader->json, &integer));
        *(uint32_t *)place = (uint32_t)integer;
        return 0;
    case BOOLEAN:
        return sl_json_get_bool(reader->json, place);
    case LEVEL:
        return read_level(reader, place);
    case BIDS:
        levels->bids = reader->levels[0];
        return read_side(reader, reader->levels[0], &levels->bid_count);
    case ASKS:
        levels->asks = reader->levels[1];
        return read_side(reader, reader->levels[1], &levels->ask_count);
    case TRADE_ID:
        return read_trade_id(reader, &event->as.trade);
    case CHECKSUM:
        SL_TRY(sl_json_get_int64(reader->json, &integer));
        *(sl_book_checksum *)place = (sl_book_checksum){true, (uint32_t)integer};
        return 0;
    case PREVIOUS:
        event->as.delta.has_previous = true;
        return sl_json_get_int64(reader->json, place);
    case MARK:
    case INDEX:
    case RATE:
        funding->has_mark = funding->has_mark || member->type == MARK;
        funding->has_index = funding->has_index || member->type == INDEX;
        funding->has_rate = funding->has_rate || member->type == RATE;
        return read_decimal(reader, place);
    default: {
        int value = 0;
        SL_TRY(read_name_of(reader, member->type, &value));
        memcpy(place, &value, sizeof(value)); /* the enumerations are ints */
        return 0;
    }
    }
}

static int copy_text(struct event_reader *reader, char *text, size_t size_bytes)
{
    sl_json_text from;
    SL_TRY(sl_json_get_string(reader->json, &from));
    if (from.size_bytes >= size_bytes) {
        return bad(reader, "too long", from);
    }
    memcpy(text, from.data, from.size_bytes);
    text[from.size_bytes] = '\0';
    return 0;
}

static int read_venue(struct event_reader *reader, int *ret_value)
{
    READ_NAME(reader, venue_name, SL_VENUE_COUNT, ret_value);
}

static int read_feed(struct event_reader *reader, int *ret_value)
{
    READ_NAME(reader, feed_name, SL_FEED_COUNT, ret_value);
}

static int read_kind(struct event_reader *reader, int *ret_value)
{
    READ_NAME(reader, kind_name, SL_EVENT_KIND_COUNT, ret_value);
}

/* What every event has in front; 1 when it was that. */
static int read_head(struct event_reader *reader, sl_json_text key, sl_market_event *event, sl_stamp *stamp)
{
    int value = 0;
    sl_json_text text;
    if (sl_json_is(key, "kind")) {
        SL_TRY(read_kind(reader, &value));
        event->kind = (sl_event_kind)value;
    } else if (sl_json_is(key, "venue")) {
        SL_TRY(read_venue(reader, &value));
        reader->instrument.venue = (sl_venue)value;
    } else if (sl_json_is(key, "feed")) {
        SL_TRY(read_feed(reader, &value));
        event->feed = (sl_feed)value;
    } else if (sl_json_is(key, "instrument")) {
        SL_TRY(copy_text(reader, reader->instrument.name, SL_INSTRUMENT_NAME_MAX));
    } else if (sl_json_is(key, "symbol")) {
        SL_TRY(copy_text(reader, reader->instrument.symbol, SL_SYMBOL_MAX));
    } else if (sl_json_is(key, "stamp")) {
        SL_TRY(sl_json_get_string(reader->json, &text));
        SL_TRY(sl_stamp_parse(text.data, text.size_bytes, stamp));
    } else {
        return 0;
    }
    return 1;
}

static int read_member(struct event_reader *reader, sl_json_text key, sl_market_event *event)
{
    for (size_t at = 0; at < sizeof(members) / sizeof(members[0]); at++) {
        const struct member *member = &members[at];
        if ((member->kind == SL_EVENT_NONE || member->kind == event->kind) && sl_json_is(key, member->name)) {
            return read_value(reader, member, event);
        }
    }
    return bad(reader, "unknown member", key);
}

int event_reader_read(struct event_reader *reader, const char *text, size_t size_bytes, sl_market_event *ret_event,
                      sl_stamp *ret_stamp)
{
    sl_json_text key;
    int code = 0;
    reader->problem[0] = '\0';
    memset(ret_event, 0, sizeof(*ret_event));
    memset(&reader->instrument, 0, sizeof(reader->instrument));
    *ret_stamp = (sl_stamp){0, 0};
    ret_event->instrument = &reader->instrument;
    SL_TRY(sl_json_open(reader->json, text, size_bytes, 0));
    SL_TRY(sl_json_enter_object(reader->json));
    while ((code = sl_json_next_field(reader->json, &key)) > 0) {
        int done = read_head(reader, key, ret_event, ret_stamp);
        SL_TRY(done < 0 ? done : 0);
        SL_TRY(done > 0 ? 0 : read_member(reader, key, ret_event));
    }
    SL_TRY(code);
    return sl_json_finish(reader->json);
}
