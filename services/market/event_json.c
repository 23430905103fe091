/* SPDX-License-Identifier: MIT */
/* Events as JSON: see event_json.h. Written by hand into room that was reckoned before: this is a hot path. */
#include "event_json.h"

#include <inttypes.h>
#include <string.h>

/* All members but the levels, with the longest names, numbers and texts; symbols have no control characters, and at
 * most each of theirs is escaped. */
#define FIXED_MAX 2048
#define LEVEL_MAX (2 * SL_DECIMAL_TEXT_MAX + 8)

static const char hex_digits[] = "0123456789abcdef";

#define PUT(at, literal) put_text((at), (literal), sizeof(literal) - 1)

static char *put_text(char *at, const char *text, size_t length)
{
    memcpy(at, text, length);
    return at + length;
}

static char *put_name(char *at, const char *name)
{
    return put_text(at, name, strlen(name));
}

static char *put_unsigned(char *at, uint64_t value)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (count > 0) {
        *at++ = digits[--count];
    }
    return at;
}

static char *put_integer(char *at, int64_t value)
{
    if (value < 0) {
        *at++ = '-';
        return put_unsigned(at, UINT64_C(0) - (uint64_t)value);
    }
    return put_unsigned(at, (uint64_t)value);
}

/* A symbol or name: printable ASCII, in which two characters need a backslash. */
static char *put_string(char *at, const char *text)
{
    *at++ = '"';
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            *at++ = '\\';
        }
        *at++ = *text;
    }
    *at++ = '"';
    return at;
}

static char *put_decimal(char *at, sl_decimal decimal)
{
    *at++ = '"';
    at += sl_decimal_format(decimal, SL_DECIMAL_SCALED, at);
    *at++ = '"';
    return at;
}

static char *put_bool(char *at, bool value)
{
    return value ? PUT(at, "true") : PUT(at, "false");
}

static char *put_level(char *at, const sl_level *level)
{
    *at++ = '[';
    at = put_decimal(at, level->price);
    *at++ = ',';
    at = put_decimal(at, level->quantity);
    *at++ = ']';
    return at;
}

static char *put_side(char *at, const sl_level *levels, size_t count)
{
    *at++ = '[';
    for (size_t index = 0; index < count; index++) {
        if (index > 0) {
            *at++ = ',';
        }
        at = put_level(at, &levels[index]);
    }
    *at++ = ']';
    return at;
}

static char *put_levels(char *at, const sl_levels *levels)
{
    at = put_side(PUT(at, ",\"bids\":"), levels->bids, levels->bid_count);
    return put_side(PUT(at, ",\"asks\":"), levels->asks, levels->ask_count);
}

static char *put_trade(char *at, const sl_trade *trade)
{
    at = PUT(at, ",\"id\":");
    if (trade->uuid.high != 0 || trade->uuid.low != 0) {
        *at++ = '"';
        at += sl_trade_id_format(trade, at);
        *at++ = '"';
    } else {
        at = put_integer(at, trade->id);
    }
    if (trade->first_id != trade->id || trade->last_id != trade->id) {
        at = put_integer(PUT(at, ",\"first_id\":"), trade->first_id);
        at = put_integer(PUT(at, ",\"last_id\":"), trade->last_id);
    }
    at = put_decimal(PUT(at, ",\"price\":"), trade->price);
    at = put_decimal(PUT(at, ",\"quantity\":"), trade->quantity);
    at = put_name(PUT(at, ",\"taker\":\""), sl_side_name(trade->taker));
    *at++ = '"';
    return trade->off_book ? PUT(at, ",\"off_book\":true") : at;
}

static char *put_checksum(char *at, const sl_book_checksum *checksum)
{
    return checksum->given ? put_unsigned(PUT(at, ",\"checksum\":"), checksum->value) : at;
}

static char *put_depth(char *at, uint32_t depth)
{
    return depth != 0 ? put_unsigned(PUT(at, ",\"depth\":"), depth) : at;
}

static char *put_delta(char *at, const sl_book_delta *delta)
{
    at = put_integer(PUT(at, ",\"first_id\":"), delta->first_id);
    at = put_integer(PUT(at, ",\"last_id\":"), delta->last_id);
    if (delta->has_previous) {
        at = put_integer(PUT(at, ",\"previous_id\":"), delta->previous_id);
    }
    at = put_depth(put_checksum(at, &delta->checksum), delta->depth);
    return put_levels(at, &delta->levels);
}

static char *put_snapshot(char *at, const sl_book_snapshot *snapshot)
{
    at = put_integer(PUT(at, ",\"last_id\":"), snapshot->last_id);
    at = put_depth(put_checksum(at, &snapshot->checksum), snapshot->depth);
    return put_levels(at, &snapshot->levels);
}

static char *put_best(char *at, const sl_best *best)
{
    at = put_integer(PUT(at, ",\"update_id\":"), best->update_id);
    at = put_level(PUT(at, ",\"bid\":"), &best->bid);
    return put_level(PUT(at, ",\"ask\":"), &best->ask);
}

static char *put_ticker(char *at, const sl_ticker *ticker)
{
    at = put_decimal(PUT(at, ",\"last\":"), ticker->last);
    at = put_decimal(PUT(at, ",\"open\":"), ticker->open);
    at = put_decimal(PUT(at, ",\"high\":"), ticker->high);
    at = put_decimal(PUT(at, ",\"low\":"), ticker->low);
    at = put_decimal(PUT(at, ",\"volume\":"), ticker->volume);
    at = put_decimal(PUT(at, ",\"quote_volume\":"), ticker->quote_volume);
    at = put_level(PUT(at, ",\"bid\":"), &ticker->bid);
    return put_level(PUT(at, ",\"ask\":"), &ticker->ask);
}

static char *put_candle(char *at, const sl_candle *candle)
{
    at = put_integer(PUT(at, ",\"open_time_ns\":"), candle->open_time_ns);
    at = put_integer(PUT(at, ",\"interval_ns\":"), candle->interval_ns);
    at = put_decimal(PUT(at, ",\"open\":"), candle->open);
    at = put_decimal(PUT(at, ",\"high\":"), candle->high);
    at = put_decimal(PUT(at, ",\"low\":"), candle->low);
    at = put_decimal(PUT(at, ",\"close\":"), candle->close);
    at = put_decimal(PUT(at, ",\"volume\":"), candle->volume);
    at = candle->trades != 0 ? put_unsigned(PUT(at, ",\"trades\":"), candle->trades) : at;
    return put_bool(PUT(at, ",\"closed\":"), candle->closed);
}

static char *put_funding(char *at, const sl_funding *funding)
{
    at = funding->has_mark ? put_decimal(PUT(at, ",\"mark_price\":"), funding->mark_price) : at;
    at = funding->has_index ? put_decimal(PUT(at, ",\"index_price\":"), funding->index_price) : at;
    at = funding->has_rate ? put_decimal(PUT(at, ",\"rate\":"), funding->rate) : at;
    return funding->next_time_ns != 0 ? put_integer(PUT(at, ",\"next_time_ns\":"), funding->next_time_ns) : at;
}

static char *put_liquidation(char *at, const sl_liquidation *liquidation)
{
    at = put_name(PUT(at, ",\"side\":\""), sl_side_name(liquidation->side));
    at = put_decimal(PUT(at, "\",\"price\":"), liquidation->price);
    return put_decimal(PUT(at, ",\"quantity\":"), liquidation->quantity);
}

static char *put_gap(char *at, const sl_gap *gap)
{
    at = put_name(PUT(at, ",\"reason\":\""), sl_gap_reason_name(gap->reason));
    at = put_integer(PUT(at, "\",\"from_id\":"), gap->from_id);
    at = put_integer(PUT(at, ",\"to_id\":"), gap->to_id);
    if (gap->seen_time_ns != 0) {
        at = put_integer(PUT(at, ",\"seen_time_ns\":"), gap->seen_time_ns);
    }
    at = put_bool(PUT(at, ",\"healed\":"), gap->healed);
    return gap->healed ? put_integer(PUT(at, ",\"healed_id\":"), gap->healed_id) : at;
}

static char *put_body(char *at, const sl_market_event *event)
{
    switch (event->kind) {
    case SL_EVENT_TRADE:
        return put_trade(at, &event->as.trade);
    case SL_EVENT_BOOK_DELTA:
        return put_delta(at, &event->as.delta);
    case SL_EVENT_BOOK_SNAPSHOT:
        return put_snapshot(at, &event->as.snapshot);
    case SL_EVENT_BEST:
        return put_best(at, &event->as.best);
    case SL_EVENT_TICKER:
        return put_ticker(at, &event->as.ticker);
    case SL_EVENT_CANDLE:
        return put_candle(at, &event->as.candle);
    case SL_EVENT_FUNDING:
        return put_funding(at, &event->as.funding);
    case SL_EVENT_LIQUIDATION:
        return put_liquidation(at, &event->as.liquidation);
    case SL_EVENT_OPEN_INTEREST:
        at = put_decimal(PUT(at, ",\"quantity\":"), event->as.open_interest.quantity);
        return put_decimal(PUT(at, ",\"value\":"), event->as.open_interest.value);
    case SL_EVENT_STATUS:
        at = put_name(PUT(at, ",\"status\":\""), sl_instrument_status_name(event->as.status));
        *at++ = '"';
        return at;
    case SL_EVENT_GAP:
        return put_gap(at, &event->as.gap);
    default:
        return at;
    }
}

size_t sl_event_json_bound(const sl_market_event *event)
{
    size_t levels = 0;
    if (event->kind == SL_EVENT_BOOK_DELTA) {
        levels = event->as.delta.levels.bid_count + event->as.delta.levels.ask_count;
    } else if (event->kind == SL_EVENT_BOOK_SNAPSHOT) {
        levels = event->as.snapshot.levels.bid_count + event->as.snapshot.levels.ask_count;
    }
    return FIXED_MAX + levels * LEVEL_MAX;
}

size_t sl_levels_json_bound(size_t count)
{
    return 2 + count * LEVEL_MAX;
}

size_t sl_levels_json_write(const sl_level *levels, size_t count, char *buffer)
{
    return (size_t)(put_side(buffer, levels, count) - buffer);
}

static char *put_stamp(char *at, sl_stamp stamp)
{
    unsigned shift = 60;
    while (shift > 0 && stamp.run >> shift == 0) {
        shift -= 4;
    }
    for (;; shift -= 4) {
        *at++ = hex_digits[stamp.run >> shift & 15];
        if (shift == 0) {
            break;
        }
    }
    *at++ = '-';
    return put_unsigned(at, stamp.number);
}

size_t sl_event_json_write(const sl_market_event *event, const sl_stamp *stamp, char *buffer)
{
    const sl_instrument *instrument = event->instrument;
    char *at = put_name(PUT(buffer, "{\"kind\":\""), sl_event_kind_name(event->kind));
    at = put_name(PUT(at, "\",\"venue\":\""), sl_venue_name(instrument->venue));
    at = put_string(PUT(at, "\",\"instrument\":"), instrument->name);
    at = put_string(PUT(at, ",\"symbol\":"), instrument->symbol);
    at = put_name(PUT(at, ",\"feed\":\""), sl_feed_name(event->feed));
    at = PUT(at, "\"");
    if (event->venue_time_ns != 0) {
        at = put_integer(PUT(at, ",\"venue_time_ns\":"), event->venue_time_ns);
    }
    if (event->sent_time_ns != 0) {
        at = put_integer(PUT(at, ",\"sent_time_ns\":"), event->sent_time_ns);
    }
    at = put_integer(PUT(at, ",\"receive_time_ns\":"), event->receive_time_ns);
    at = put_body(at, event);
    at = put_unsigned(PUT(at, ",\"connection\":"), event->connection);
    if (stamp != NULL) {
        at = put_stamp(PUT(at, ",\"stamp\":\""), *stamp);
        *at++ = '"';
    }
    *at++ = '}';
    return (size_t)(at - buffer);
}

size_t sl_stamp_format(sl_stamp stamp, char buffer[SL_STAMP_TEXT_MAX])
{
    char *end = put_stamp(buffer, stamp);
    *end = '\0';
    return (size_t)(end - buffer);
}

int sl_stamp_parse(const char *text, size_t size_bytes, sl_stamp *ret_stamp)
{
    sl_stamp stamp = {0, 0};
    size_t at = 0;
    for (; at < size_bytes && text[at] != '-'; at++) {
        const char *digit = memchr(hex_digits, text[at], 16);
        if (digit == NULL || at == 16) {
            return SL_EPROTO;
        }
        stamp.run = stamp.run << 4 | (uint64_t)(digit - hex_digits);
    }
    size_t dash = at++;
    if (dash == 0 || at >= size_bytes) {
        return SL_EPROTO;
    }
    for (; at < size_bytes; at++) {
        unsigned digit = (unsigned)(unsigned char)text[at] - '0';
        if (digit > 9 || stamp.number > (UINT64_MAX - digit) / 10) {
            return SL_EPROTO;
        }
        stamp.number = stamp.number * 10 + digit;
    }
    *ret_stamp = stamp;
    return 0;
}
