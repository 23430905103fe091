/* SPDX-License-Identifier: MIT */
/* Reading events from strangers. See event_read.h. */
#include "event_read.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "event_form.h"
#include "market/event_json.h"
#include "sluice/memory.h"

/* What was read of one item. */
struct item {
    uint64_t present;
    sl_json_text texts[MEMBERS];
    int64_t numbers[MEMBERS];
    sl_decimal decimals[MEMBERS];
    bool bools[MEMBERS];
    sl_level bid, ask;
};

struct side {
    sl_level *levels;
    size_t count, capacity;
};

struct sl_event_reader {
    sl_json *json;
    sl_instruments *instruments;
    sl_venue otherwise;
    const char *text, *end;
    const char *at;    /* the next line */
    const char *line;  /* the one that is open */
    bool array, ended; /* the text is an array; there is no more of it */
    unsigned depth;    /* of the cursor around an item */
    int64_t receive_time_ns;
    size_t next_item;
    struct side bids, asks;
    struct item item;
    struct sl_event_problem problem;
};

/* ---- what is wrong ---- */

static int bad(sl_event_reader *reader, const char *path, const char *format, ...) SL_PRINTF(3, 4);
static int bad(sl_event_reader *reader, const char *path, const char *format, ...)
{
    (void)snprintf(reader->problem.path, sizeof reader->problem.path, "%s", path);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reader->problem.text, sizeof reader->problem.text, format, arguments);
    va_end(arguments);
    return SL_EPROTO;
}

/* The text is no JSON: nothing behind that can be read. */
static int broken(sl_event_reader *reader, const char *path)
{
    reader->problem.offset_bytes = (size_t)(reader->line - reader->text) + sl_json_offset(reader->json);
    return bad(reader, path, "no JSON: %s", sl_json_problem(reader->json));
}

/* A piece of foreign text for a message, printable. */
struct piece {
    char text[33];
};

static struct piece piece_of(sl_json_text text)
{
    struct piece piece;
    size_t size = text.size_bytes < sizeof piece.text - 1 ? text.size_bytes : sizeof piece.text - 1;
    for (size_t at = 0; at < size; at++) {
        piece.text[at] = (char)(text.data[at] >= ' ' && text.data[at] <= '~' ? text.data[at] : '?');
    }
    piece.text[size] = '\0';
    return piece;
}

/* ---- values ---- */

static int read_decimal(sl_event_reader *reader, const char *path, bool negative, sl_decimal *ret_value)
{
    sl_json_text text;
    if (sl_json_peek(reader->json) != SL_JSON_STRING) {
        return bad(reader, path, "expected a number in quotes, such as \"12.50\"");
    }
    if (sl_json_get_string(reader->json, &text) < 0) {
        return broken(reader, path);
    }
    int code = sl_decimal_parse(text.data, text.size_bytes, ret_value);
    if (code == SL_ERANGE) {
        return bad(reader, path, "\"%s\" has too many digits; expected at most 18, and 64 zeros", piece_of(text).text);
    }
    if (code < 0) {
        return bad(reader, path, "\"%s\" is no number; expected one such as \"12.50\"", piece_of(text).text);
    }
    return negative || ret_value->mantissa >= 0 ? 0 : bad(reader, path, "%s is negative", piece_of(text).text);
}

/* ["price","quantity"] */
static int read_level(sl_event_reader *reader, const char *path, sl_level *ret_level)
{
    char inner[80];
    if (sl_json_peek(reader->json) != SL_JSON_ARRAY) {
        return bad(reader, path, "expected [\"price\", \"quantity\"]");
    }
    int code = sl_json_enter_array(reader->json);
    for (int at = 0; at < 2 && code >= 0; at++) {
        code = sl_json_next_element(reader->json);
        if (code == 0) {
            return bad(reader, path, "%d of 2 elements; expected [\"price\", \"quantity\"]", at);
        }
        if (code > 0) {
            (void)snprintf(inner, sizeof inner, "%s[%d]", path, at);
            SL_TRY(read_decimal(reader, inner, at == 0, at == 0 ? &ret_level->price : &ret_level->quantity));
        }
    }
    code = code < 0 ? code : sl_json_next_element(reader->json);
    return code < 0   ? broken(reader, path)
           : code > 0 ? bad(reader, path, "more than 2 elements; expected [\"price\", \"quantity\"]")
                      : 0;
}

static int add_level(sl_event_reader *reader, struct side *side, const char *path, sl_level **ret_level)
{
    if (side->count == side->capacity) {
        size_t capacity = side->capacity == 0 ? 64 : side->capacity * 2;
        if (side->count >= SL_EVENT_READ_LEVELS) {
            return bad(reader, path, "more than %d levels", SL_EVENT_READ_LEVELS);
        }
        sl_level *levels = sl_realloc(side->levels, capacity * sizeof *levels);
        if (levels == NULL) {
            return SL_ENOMEM;
        }
        side->levels = levels;
        side->capacity = capacity;
    }
    *ret_level = &side->levels[side->count++];
    return 0;
}

static int read_levels(sl_event_reader *reader, const char *path, struct side *side)
{
    side->count = 0;
    if (sl_json_peek(reader->json) != SL_JSON_ARRAY) {
        return bad(reader, path, "expected an array of [\"price\", \"quantity\"]");
    }
    int code = sl_json_enter_array(reader->json);
    while (code >= 0 && (code = sl_json_next_element(reader->json)) > 0) {
        char inner[48];
        sl_level *level = NULL;
        (void)snprintf(inner, sizeof inner, "%s[%zu]", path, side->count);
        SL_TRY(add_level(reader, side, inner, &level));
        SL_TRY(read_level(reader, inner, level));
    }
    return code < 0 ? broken(reader, path) : 0;
}

static int read_number(sl_event_reader *reader, enum member member)
{
    const char *name = sl__event_members[member].name;
    enum type type = sl__event_members[member].type;
    int64_t least = type == T_INT || type == T_TRADE_ID ? INT64_MIN : 0;
    int64_t most = type == T_UNSIGNED ? UINT32_MAX : INT64_MAX;
    int64_t *value = &reader->item.numbers[member];
    if (sl_json_peek(reader->json) != SL_JSON_NUMBER) {
        return bad(reader, name, "expected a whole number, without quotes");
    }
    int code = sl_json_get_int64(reader->json, value);
    if (code == SL_ERANGE || (code == 0 && (*value < least || *value > most))) {
        return type == T_UNSIGNED ? bad(reader, name, "out of range; expected 0 to 4294967295")
               : least == 0       ? bad(reader, name, "no whole number of 63 bits; expected 0 or more")
                                  : bad(reader, name, "no whole number of 64 bits");
    }
    return code < 0 ? broken(reader, name) : 0;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* 8-4-4-4-12 hexadecimal digits. */
static bool parse_uuid(sl_json_text text, sl_uuid *ret_uuid)
{
    uint64_t halves[2] = {0, 0};
    unsigned digits = 0;
    if (text.size_bytes != 36) {
        return false;
    }
    for (size_t at = 0; at < 36; at++) {
        bool dash = at == 8 || at == 13 || at == 18 || at == 23;
        int value = hex_value(text.data[at]);
        if (dash ? text.data[at] != '-' : value < 0) {
            return false;
        }
        if (!dash) {
            halves[digits / 16] = halves[digits / 16] << 4 | (uint64_t)value;
            digits++;
        }
    }
    *ret_uuid = (sl_uuid){halves[0], halves[1]};
    return halves[0] != 0 || halves[1] != 0;
}

static int read_text(sl_event_reader *reader, enum member member)
{
    if (sl_json_peek(reader->json) != SL_JSON_STRING) {
        return bad(reader, sl__event_members[member].name, "expected a text in quotes");
    }
    return sl_json_get_string(reader->json, &reader->item.texts[member]) < 0
               ? broken(reader, sl__event_members[member].name)
               : 0;
}

static int read_bool(sl_event_reader *reader, enum member member)
{
    if (sl_json_peek(reader->json) != SL_JSON_BOOL) {
        return bad(reader, sl__event_members[member].name, "expected true or false");
    }
    return sl_json_get_bool(reader->json, &reader->item.bools[member]) < 0
               ? broken(reader, sl__event_members[member].name)
               : 0;
}

static int read_value(sl_event_reader *reader, enum member member)
{
    const char *name = sl__event_members[member].name;
    struct item *item = &reader->item;
    switch (sl__event_members[member].type) {
    case T_TEXT:
        return read_text(reader, member);
    case T_TRADE_ID:
        return sl_json_peek(reader->json) == SL_JSON_STRING ? read_text(reader, member) : read_number(reader, member);
    case T_DECIMAL:
    case T_QUANTITY:
        return read_decimal(reader, name, sl__event_members[member].type == T_DECIMAL, &item->decimals[member]);
    case T_BOOL:
        return read_bool(reader, member);
    case T_LEVEL:
        return read_level(reader, name, member == M_BID ? &item->bid : &item->ask);
    case T_LEVELS:
        return read_levels(reader, name, member == M_BIDS ? &reader->bids : &reader->asks);
    default:
        return read_number(reader, member);
    }
}

/* ---- an item ---- */

static int member_of(sl_json_text key)
{
    for (int at = 0; at < MEMBERS; at++) {
        if (sl_json_is(key, sl__event_members[at].name)) {
            return at;
        }
    }
    return -1;
}

static bool has(const struct item *item, enum member member)
{
    return (item->present >> member & 1) != 0;
}

/* The object under the cursor: all of its members, whatever its kind. */
static int read_members(sl_event_reader *reader)
{
    sl_json_text key;
    reader->item.present = 0;
    if (sl_json_peek(reader->json) != SL_JSON_OBJECT) {
        return bad(reader, "", "expected an event, {\"kind\": ...}");
    }
    int code = sl_json_enter_object(reader->json);
    while (code >= 0 && (code = sl_json_next_field(reader->json, &key)) > 0) {
        int member = member_of(key);
        if (member < 0) {
            return bad(reader, piece_of(key).text, "no such member");
        }
        if (has(&reader->item, (enum member)member)) {
            return bad(reader, sl__event_members[member].name, "given twice");
        }
        SL_TRY(read_value(reader, (enum member)member));
        reader->item.present |= UINT64_C(1) << member;
    }
    return code < 0 ? broken(reader, "") : 0;
}

/* The number of a word in a list of names, from `first` on; -1. */
static int word_of(sl_json_text text, const char *(*name)(int number), int first, int count)
{
    for (int at = first; at < count; at++) {
        if (sl_json_is(text, name(at))) {
            return at;
        }
    }
    return -1;
}

static const char *kind_name(int number)
{
    return sl_event_kind_name((sl_event_kind)number);
}

static const char *venue_name(int number)
{
    return sl_venue_name((sl_venue)number);
}

static const char *feed_name(int number)
{
    return sl_feed_name((sl_feed)number);
}

static const char *side_name(int number)
{
    return sl_side_name((sl_side)number);
}

static const char *status_name(int number)
{
    return sl_instrument_status_name((sl_instrument_status)number);
}

static const char *reason_name(int number)
{
    return sl_gap_reason_name((sl_gap_reason)number);
}

static int unknown_word(sl_event_reader *reader, enum member member, const char *(*name)(int number), int first,
                        int count)
{
    char list[160];
    size_t used = 0;
    list[0] = '\0';
    for (int at = first; at < count && used < sizeof list; at++) {
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", at == first ? "" : ", ", name(at));
    }
    return bad(reader, sl__event_members[member].name, "\"%s\" is not known; expected one of %s",
               piece_of(reader->item.texts[member]).text, list);
}

static int get_word(sl_event_reader *reader, enum member member, const char *(*name)(int number), int first, int count,
                    int *ret_number)
{
    *ret_number = word_of(reader->item.texts[member], name, first, count);
    return *ret_number < 0 ? unknown_word(reader, member, name, first, count) : 0;
}

/* The feeds that a kind's events come from, the first one where none is named. */
static const unsigned char feeds[SL_EVENT_KIND_COUNT][3] = {
    [SL_EVENT_TRADE] = {SL_FEED_TRADES, SL_FEED_AGG_TRADES},
    [SL_EVENT_BOOK_DELTA] = {SL_FEED_DEPTH},
    [SL_EVENT_BOOK_SNAPSHOT] = {SL_FEED_DEPTH, SL_FEED_SNAPSHOT},
    [SL_EVENT_BEST] = {SL_FEED_BEST, SL_FEED_DEPTH, SL_FEED_SNAPSHOT},
    [SL_EVENT_TICKER] = {SL_FEED_TICKER},
    [SL_EVENT_CANDLE] = {SL_FEED_CANDLES},
    [SL_EVENT_FUNDING] = {SL_FEED_FUNDING},
    [SL_EVENT_LIQUIDATION] = {SL_FEED_LIQUIDATIONS},
    [SL_EVENT_OPEN_INTEREST] = {SL_FEED_OPEN_INTEREST},
    [SL_EVENT_STATUS] = {SL_FEED_STATUS},
    [SL_EVENT_GAP] = {SL_FEED_NONE}, /* any */
};

static int get_feed(sl_event_reader *reader, sl_market_event *event)
{
    const unsigned char *fitting = feeds[event->kind];
    int feed = fitting[0];
    if (!has(&reader->item, M_FEED)) {
        event->feed = (sl_feed)feed;
        return event->kind == SL_EVENT_GAP ? bad(reader, "feed", "missing; expected what the gap is in") : 0;
    }
    SL_TRY(get_word(reader, M_FEED, feed_name, 1, SL_FEED_COUNT, &feed));
    event->feed = (sl_feed)feed;
    bool fits = event->kind == SL_EVENT_GAP || feed == fitting[0];
    for (int at = 1; at < 3; at++) {
        fits = fits || (fitting[at] != 0 && feed == fitting[at]);
    }
    return fits ? 0
                : bad(reader, "feed", "a %s does not come from %s; expected %s", kind_name((int)event->kind),
                      feed_name(feed), feed_name(fitting[0]));
}

/* Members that the kind does not have, and those that it must. */
static int check_members(sl_event_reader *reader, sl_event_kind kind)
{
    unsigned bit = 1u << kind;
    for (int at = 0; at < MEMBERS; at++) {
        bool given = has(&reader->item, (enum member)at);
        if (given && (sl__event_members[at].may & bit) == 0) {
            return bad(reader, sl__event_members[at].name, "a %s has no such member", kind_name((int)kind));
        }
        if (!given && (sl__event_members[at].must & bit) != 0) {
            return bad(reader, sl__event_members[at].name, "missing");
        }
    }
    return 0;
}

static int check_name(sl_event_reader *reader, enum member member, size_t max_bytes, char *ret_name)
{
    sl_json_text text = reader->item.texts[member];
    bool clean = text.size_bytes > 0 && text.size_bytes < max_bytes;
    for (size_t at = 0; at < text.size_bytes && clean; at++) {
        clean = text.data[at] > ' ' && text.data[at] <= '~';
    }
    if (!clean) {
        return bad(reader, sl__event_members[member].name,
                   "\"%s\" is no name; expected 1 to %zu printable characters, no spaces", piece_of(text).text,
                   max_bytes - 1);
    }
    memcpy(ret_name, text.data, text.size_bytes);
    ret_name[text.size_bytes] = '\0';
    return 0;
}

/* The last thing that is done with an item: the table only grows by good ones. */
static int get_instrument(sl_event_reader *reader, sl_market_event *event)
{
    sl_instrument definition = {.venue = reader->otherwise};
    int venue = (int)reader->otherwise;
    if (has(&reader->item, M_VENUE)) {
        SL_TRY(get_word(reader, M_VENUE, venue_name, 1, SL_VENUE_COUNT, &venue));
    } else if (venue == SL_VENUE_NONE) {
        return bad(reader, "venue", "missing");
    }
    definition.venue = (sl_venue)venue;
    SL_TRY(check_name(reader, M_INSTRUMENT, sizeof definition.name, definition.name));
    enum member symbol = has(&reader->item, M_SYMBOL) ? M_SYMBOL : M_INSTRUMENT;
    SL_TRY(check_name(reader, symbol, sizeof definition.symbol, definition.symbol));
    const sl_instrument *known =
        sl_instruments_find(reader->instruments, definition.venue, definition.symbol, strlen(definition.symbol));
    if (known == NULL) {
        int code = sl_instruments_add(reader->instruments, &definition, &known);
        if (code == SL_EMSGSIZE) {
            return bad(reader, "instrument", "more than %d instruments", SL_EVENT_READ_INSTRUMENTS);
        }
        SL_TRY(code < 0 ? code : 0);
    }
    if (strcmp(known->name, definition.name) != 0) {
        return bad(reader, "instrument", "the symbol \"%s\" is that of \"%s\" already", definition.symbol, known->name);
    }
    event->instrument = known;
    return 0;
}

/* ---- an event of its members ---- */

static int fill_trade(sl_event_reader *reader, sl_trade *trade)
{
    const struct item *item = &reader->item;
    int side = 0;
    if (item->texts[M_TRADE_ID].data == NULL) {
        trade->id = item->numbers[M_TRADE_ID];
    } else if (!parse_uuid(item->texts[M_TRADE_ID], &trade->uuid)) {
        return bad(reader, "id", "\"%s\" is no UUID; expected one, or a number without quotes",
                   piece_of(item->texts[M_TRADE_ID]).text);
    }
    SL_TRY(get_word(reader, M_TAKER, side_name, 0, SL_SIDE_SELL + 1, &side));
    trade->first_id = has(item, M_FIRST_ID) ? item->numbers[M_FIRST_ID] : trade->id;
    trade->last_id = has(item, M_LAST_ID) ? item->numbers[M_LAST_ID] : trade->id;
    trade->price = item->decimals[M_PRICE];
    trade->quantity = item->decimals[M_QUANTITY];
    trade->taker = (sl_side)side;
    trade->off_book = item->bools[M_OFF_BOOK];
    return 0;
}

static void fill_book(const sl_event_reader *reader, sl_market_event *event)
{
    const struct item *item = &reader->item;
    sl_levels levels = {reader->bids.levels, reader->asks.levels, reader->bids.count, reader->asks.count};
    sl_book_checksum checksum = {has(item, M_CHECKSUM), (uint32_t)item->numbers[M_CHECKSUM]};
    uint32_t depth = (uint32_t)item->numbers[M_DEPTH];
    if (event->kind == SL_EVENT_BOOK_DELTA) {
        event->as.delta = (sl_book_delta){.first_id = item->numbers[M_FIRST_ID],
                                          .last_id = item->numbers[M_LAST_ID],
                                          .previous_id = item->numbers[M_PREVIOUS_ID],
                                          .has_previous = has(item, M_PREVIOUS_ID),
                                          .checksum = checksum,
                                          .depth = depth,
                                          .levels = levels};
    } else {
        event->as.snapshot = (sl_book_snapshot){
            .last_id = item->numbers[M_LAST_ID], .checksum = checksum, .depth = depth, .levels = levels};
    }
}

static int fill_candle(sl_event_reader *reader, sl_candle *candle)
{
    const struct item *item = &reader->item;
    *candle = (sl_candle){.open_time_ns = item->numbers[M_OPEN_TIME],
                          .interval_ns = item->numbers[M_INTERVAL],
                          .open = item->decimals[M_OPEN],
                          .high = item->decimals[M_HIGH],
                          .low = item->decimals[M_LOW],
                          .close = item->decimals[M_CLOSE],
                          .volume = item->decimals[M_VOLUME],
                          .trades = (uint64_t)item->numbers[M_TRADES],
                          .closed = item->bools[M_CLOSED]};
    return candle->interval_ns > 0 ? 0 : bad(reader, "interval_ns", "0; expected more");
}

static int fill_funding(sl_event_reader *reader, sl_funding *funding)
{
    const struct item *item = &reader->item;
    *funding = (sl_funding){.mark_price = item->decimals[M_MARK_PRICE],
                            .index_price = item->decimals[M_INDEX_PRICE],
                            .rate = item->decimals[M_RATE],
                            .next_time_ns = item->numbers[M_NEXT_TIME],
                            .has_mark = has(item, M_MARK_PRICE),
                            .has_index = has(item, M_INDEX_PRICE),
                            .has_rate = has(item, M_RATE)};
    return funding->has_mark || funding->has_index || funding->has_rate
               ? 0
               : bad(reader, "", "a funding without any of mark_price, index_price, rate");
}

static int fill_liquidation(sl_event_reader *reader, sl_liquidation *liquidation)
{
    const struct item *item = &reader->item;
    int side = 0;
    SL_TRY(get_word(reader, M_SIDE, side_name, 1, SL_SIDE_SELL + 1, &side));
    *liquidation = (sl_liquidation){(sl_side)side, item->decimals[M_PRICE], item->decimals[M_QUANTITY]};
    return 0;
}

static int fill_gap(sl_event_reader *reader, sl_gap *gap)
{
    const struct item *item = &reader->item;
    int reason = 0;
    SL_TRY(get_word(reader, M_REASON, reason_name, 1, SL_GAP_REASON_COUNT, &reason));
    *gap = (sl_gap){.reason = (sl_gap_reason)reason,
                    .from_id = item->numbers[M_FROM_ID],
                    .to_id = item->numbers[M_TO_ID],
                    .healed = item->bools[M_HEALED],
                    .healed_id = item->numbers[M_HEALED_ID],
                    .seen_time_ns = item->numbers[M_SEEN_TIME]};
    return gap->healed || !has(item, M_HEALED_ID) ? 0 : bad(reader, "healed_id", "of a gap that is not healed");
}

static void fill_ticker(const struct item *item, sl_ticker *ticker)
{
    *ticker = (sl_ticker){.last = item->decimals[M_LAST],
                          .open = item->decimals[M_OPEN],
                          .high = item->decimals[M_HIGH],
                          .low = item->decimals[M_LOW],
                          .volume = item->decimals[M_VOLUME],
                          .quote_volume = item->decimals[M_QUOTE_VOLUME],
                          .bid = item->bid,
                          .ask = item->ask};
}

static int fill(sl_event_reader *reader, sl_market_event *event)
{
    const struct item *item = &reader->item;
    int status = 0;
    switch (event->kind) {
    case SL_EVENT_TRADE:
        return fill_trade(reader, &event->as.trade);
    case SL_EVENT_BOOK_DELTA:
    case SL_EVENT_BOOK_SNAPSHOT:
        fill_book(reader, event);
        return 0;
    case SL_EVENT_BEST:
        event->as.best = (sl_best){item->numbers[M_UPDATE_ID], item->bid, item->ask};
        return 0;
    case SL_EVENT_TICKER:
        fill_ticker(item, &event->as.ticker);
        return 0;
    case SL_EVENT_CANDLE:
        return fill_candle(reader, &event->as.candle);
    case SL_EVENT_FUNDING:
        return fill_funding(reader, &event->as.funding);
    case SL_EVENT_LIQUIDATION:
        return fill_liquidation(reader, &event->as.liquidation);
    case SL_EVENT_OPEN_INTEREST:
        event->as.open_interest = (sl_open_interest){item->decimals[M_QUANTITY], item->decimals[M_VALUE]};
        return 0;
    case SL_EVENT_STATUS:
        SL_TRY(get_word(reader, M_STATUS, status_name, 0, SL_STATUS_COUNT, &status));
        event->as.status = (sl_instrument_status)status;
        return 0;
    default:
        return fill_gap(reader, &event->as.gap);
    }
}

static int read_item(sl_event_reader *reader, sl_market_event *event, sl_stamp *stamp)
{
    int kind = 0;
    const struct item *item = &reader->item;
    reader->item = (struct item){.present = 0};
    SL_TRY(read_members(reader));
    if (!has(item, M_KIND)) {
        return bad(reader, "kind", "missing");
    }
    SL_TRY(get_word(reader, M_KIND, kind_name, 1, SL_EVENT_KIND_COUNT, &kind));
    *event = (sl_market_event){.kind = (sl_event_kind)kind,
                               .venue_time_ns = item->numbers[M_VENUE_TIME],
                               .sent_time_ns = item->numbers[M_SENT_TIME],
                               .receive_time_ns = reader->receive_time_ns};
    SL_TRY(check_members(reader, event->kind));
    SL_TRY(get_feed(reader, event));
    *stamp = (sl_stamp){0, 0};
    sl_json_text text = item->texts[M_STAMP];
    if (has(item, M_STAMP) && sl_stamp_parse(text.data, text.size_bytes, stamp) < 0) {
        return bad(reader, "stamp", "\"%s\" is none; expected one such as \"18a5c7d2-17\"", piece_of(text).text);
    }
    SL_TRY(fill(reader, event));
    return get_instrument(reader, event);
}

/* ---- items of a text ---- */

void sl_event_reader_open(sl_event_reader *reader, const char *text, size_t size_bytes, int64_t receive_time_ns)
{
    reader->text = reader->at = reader->line = text;
    reader->end = text + size_bytes;
    reader->array = reader->ended = false;
    reader->receive_time_ns = receive_time_ns;
    reader->next_item = 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Where a document ends: at the end of its line, or, for one that begins the text and goes on, of the text. */
static const char *end_of_line(const sl_event_reader *reader)
{
    const char *line = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));
    return line == NULL ? reader->end : line;
}

/* An object that is written over several lines, as for people, is the only one of its text. */
static bool is_alone(const sl_event_reader *reader, const char *line_end)
{
    const char *last = line_end;
    while (last > reader->at && is_space(last[-1])) {
        last--;
    }
    return reader->next_item == 0 && *reader->at == '{' && strchr(",{[", last[-1]) != NULL;
}

/* Opens the next document: 1, or 0 at the end of the text. */
static int open_document(sl_event_reader *reader)
{
    while (reader->at < reader->end && is_space(*reader->at)) {
        reader->at++;
    }
    if (reader->at == reader->end) {
        return 0;
    }
    bool array = *reader->at == '[';
    const char *end = end_of_line(reader);
    end = array || is_alone(reader, end) ? reader->end : end;
    reader->line = reader->at;
    reader->at = end;
    reader->problem.offset_bytes = (size_t)(reader->line - reader->text);
    int code = sl_json_open(reader->json, reader->line, (size_t)(end - reader->line), 0);
    if (code == 0 && array) {
        code = sl_json_enter_array(reader->json);
        reader->array = code == 0;
        reader->depth = sl_json_depth(reader->json);
    }
    if (code < 0) {
        reader->problem.item = reader->next_item++;
        return code == SL_ENOMEM ? code : broken(reader, "");
    }
    return 1;
}

/* The next element of an array: 1; 0 when there is none, and nothing behind it. */
static int next_element(sl_event_reader *reader)
{
    int code = sl_json_next_element(reader->json);
    if (code == 0) {
        reader->ended = true;
        code = sl_json_finish(reader->json);
    }
    if (code < 0) {
        reader->ended = true;
        reader->problem.item = reader->next_item++;
        return broken(reader, "");
    }
    if (code > 0) {
        reader->problem.offset_bytes = (size_t)(reader->line - reader->text) + sl_json_here(reader->json);
    }
    return code;
}

/* What was not read of an element is left, so that the next one can be. */
static void leave_element(sl_event_reader *reader)
{
    while (sl_json_depth(reader->json) > reader->depth) {
        if (sl_json_leave(reader->json) < 0) {
            return; /* the next step says why */
        }
    }
}

int sl_event_reader_next(sl_event_reader *reader, sl_market_event *ret_event, sl_stamp *ret_stamp)
{
    if (reader->ended) {
        return 0;
    }
    int code = reader->array ? 1 : open_document(reader);
    code = code > 0 && reader->array ? next_element(reader) : code;
    if (code <= 0) {
        reader->ended = reader->ended || code == 0;
        return code;
    }
    reader->problem.item = reader->next_item++;
    code = read_item(reader, ret_event, ret_stamp);
    if (reader->array) {
        leave_element(reader);
    } else if (code == 0 && sl_json_finish(reader->json) < 0) {
        code = broken(reader, "");
    }
    return code < 0 ? code : 1;
}

const struct sl_event_problem *sl_event_reader_problem(const sl_event_reader *reader)
{
    return &reader->problem;
}

size_t sl_event_reader_instruments(const sl_event_reader *reader)
{
    return sl_instruments_count(reader->instruments);
}

/* ---- made and freed ---- */

void sl_event_reader_free(sl_event_reader *reader)
{
    if (reader != NULL) {
        sl_json_free(reader->json);
        sl_instruments_free(reader->instruments);
        sl_free(reader->bids.levels);
        sl_free(reader->asks.levels);
        sl_free(reader);
    }
}

int sl_event_reader_new(size_t text_max, sl_venue otherwise, sl_event_reader **ret_reader)
{
    sl_auto(sl_event_reader) *reader = sl_calloc(1, sizeof *reader);
    if (reader == NULL) {
        return SL_ENOMEM;
    }
    reader->otherwise = otherwise;
    reader->ended = true;
    SL_TRY(sl_json_new(text_max, &reader->json));
    SL_TRY(sl_instruments_new(SL_EVENT_READ_INSTRUMENTS, &reader->instruments));
    *ret_reader = reader;
    reader = NULL;
    return 0;
}
