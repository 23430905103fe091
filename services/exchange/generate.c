/* SPDX-License-Identifier: MIT */
/*
 * The generator of sessions. It keeps the exchange's book, changes it step by step, and tells of the changes
 * as the venue does: at once by bookTicker and trade, gathered every 50 ms by depthUpdate.
 */
#include "generate.h"

#include <string.h>

#include "render.h"

/* The market: price in ticks of 0.10 (written with two places), quantity in thousandths. */
#define TICK_MANTISSA 10
#define PRICE_EXPONENT (-2)
#define QUANTITY_EXPONENT (-3)
#define FIRST_BID_TICKS 618002

/* Levels a side: at the beginning, the most, and what is never undercut. */
#define LEVELS_FIRST 1500
#define LEVELS_MAX 5000
#define LEVELS_MIN 200

/* A depth message tells of at most so many levels; when it is full it goes out early. */
#define CHANGES_MAX 400

/* A step of the market changes fewer levels than this. */
#define STEP_CHANGES_MAX 8

/* How far from the best price levels are changed, in ticks. */
#define DISTANCE_MAX 4000

/* The snapshot comes as this message, or as the last of a shorter session; one of a single message has none. */
#define SNAPSHOT_AT 54
#define SNAPSHOT_LIMIT 1000

#define DEPTH_INTERVAL_NS INT64_C(50000000)
#define STEP_MAX_NS INT64_C(7000000)
#define START_TIME_NS INT64_C(1723161255000000000)
#define NS_PER_MS INT64_C(1000000)

struct change {
    sl_side side;
    sl_decimal price;
};

struct sl_generate {
    sl_generate_options options;
    char instrument[SL_SYMBOL_MAX];
    char stream[SL_SYMBOL_MAX]; /* the instrument in lower case */
    uint64_t random;
    sl_book *book;
    struct sl_render text;
    uint64_t made; /* messages so far */
    int64_t now_ns;
    int64_t depth_due_ns;
    int64_t update_id;   /* of the last change of the book */
    int64_t first_id;    /* of the first change that no depth message told of yet */
    int64_t previous_id; /* the last id of the last depth message */
    int64_t trade_id;
    struct change changes[CHANGES_MAX];
    size_t change_count;
    bool ticker_due;
    sl_level sold; /* the trade that is due, if its quantity is not 0 */
    sl_side taker;
};

/* splitmix64 by Sebastiano Vigna (public domain): the same on every machine. */
static uint64_t draw(sl_generate *generate)
{
    uint64_t z = generate->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 .. limit - 1; the small bias does not matter here. */
static int64_t below(sl_generate *generate, int64_t limit)
{
    return (int64_t)(draw(generate) % (uint64_t)limit);
}

/* Small numbers often, large ones seldom: 0 .. limit - 1. */
static int64_t mostly_small(sl_generate *generate, int64_t limit)
{
    int64_t range = limit;
    for (int round = 0; round < 3 && range > 1; round++) {
        range = 1 + below(generate, range);
    }
    return range - 1;
}

static sl_decimal price_of(int64_t ticks)
{
    return (sl_decimal){ticks * TICK_MANTISSA, PRICE_EXPONENT};
}

static int64_t ticks_of(sl_decimal price)
{
    return price.mantissa / TICK_MANTISSA;
}

static sl_decimal some_quantity(sl_generate *generate)
{
    return (sl_decimal){1 + mostly_small(generate, 20000), QUANTITY_EXPONENT};
}

/* Remembers that a level is to be told of by the next depth message. */
static void note_change(sl_generate *generate, sl_side side, sl_decimal price)
{
    generate->update_id += 1 + below(generate, 400); /* ids are shared with other instruments */
    if (generate->change_count == 0) {
        generate->first_id = generate->update_id;
    }
    for (size_t at = 0; at < generate->change_count; at++) {
        if (generate->changes[at].side == side && sl_decimal_equal(generate->changes[at].price, price)) {
            return;
        }
    }
    generate->changes[generate->change_count++] = (struct change){side, price};
}

static int set_level(sl_generate *generate, sl_side side, sl_level level)
{
    const sl_level *best = sl_book_best(generate->book, side);
    bool at_best = best == NULL || sl_decimal_equal(best->price, level.price) ||
                   (sl_decimal_compare(level.price, best->price) > 0) == (side == SL_SIDE_BUY);
    sl_levels levels = {.bids = side == SL_SIDE_BUY ? &level : NULL,
                        .asks = side == SL_SIDE_SELL ? &level : NULL,
                        .bid_count = side == SL_SIDE_BUY,
                        .ask_count = side == SL_SIDE_SELL};
    SL_TRY(sl_book_apply(generate->book, &levels));
    note_change(generate, side, level.price);
    generate->ticker_due = generate->ticker_due || at_best;
    return 0;
}

/* Removes the level that is farthest from the market: keeps the book from growing while the price wanders. */
static int remove_worst(sl_generate *generate, sl_side side)
{
    sl_book_cursor cursor = sl_book_first(generate->book, side);
    const sl_level *level = NULL;
    const sl_level *worst = NULL;
    while ((level = sl_book_next(&cursor)) != NULL) {
        worst = level;
    }
    return worst == NULL ? 0 : set_level(generate, side, (sl_level){worst->price, {0, QUANTITY_EXPONENT}});
}

/* An order is placed, changed or cancelled somewhere on its own side of the market. */
static int change_level(sl_generate *generate)
{
    sl_side side = below(generate, 2) == 0 ? SL_SIDE_BUY : SL_SIDE_SELL;
    sl_side other = side == SL_SIDE_BUY ? SL_SIDE_SELL : SL_SIDE_BUY;
    int64_t away = 1 + mostly_small(generate, DISTANCE_MAX);
    int64_t other_best = ticks_of(sl_book_best(generate->book, other)->price);
    sl_level level = {price_of(side == SL_SIDE_BUY ? other_best - away : other_best + away), some_quantity(generate)};
    size_t count = sl_book_count(generate->book, side);
    bool there = sl_book_find(generate->book, side, level.price) != NULL;
    if (level.price.mantissa <= 0) {
        return 0; /* the market has wandered down to nothing */
    }
    if (there ? below(generate, 3) == 0 : below(generate, 20) == 0) {
        level.quantity.mantissa = 0; /* a cancel; now and then of a level that is not there, as at the venue */
    }
    if (level.quantity.mantissa == 0 && count <= LEVELS_MIN) {
        return 0;
    }
    if (!there && level.quantity.mantissa != 0 && count >= LEVELS_MAX) {
        SL_TRY(remove_worst(generate, side));
    }
    return set_level(generate, side, level);
}

/* An order takes from the best level of the other side. */
static int trade(sl_generate *generate)
{
    generate->taker = below(generate, 2) == 0 ? SL_SIDE_BUY : SL_SIDE_SELL;
    sl_side maker = generate->taker == SL_SIDE_BUY ? SL_SIDE_SELL : SL_SIDE_BUY;
    sl_level level = *sl_book_best(generate->book, maker);
    int64_t taken = 1 + mostly_small(generate, level.quantity.mantissa);
    if (taken == level.quantity.mantissa && sl_book_count(generate->book, maker) <= LEVELS_MIN) {
        return 0;
    }
    generate->sold = (sl_level){level.price, {taken, QUANTITY_EXPONENT}};
    level.quantity.mantissa -= taken;
    return set_level(generate, maker, level);
}

static void begin_message(sl_generate *generate, const char *stream)
{
    sl__write_begin(&generate->text);
    sl__write_text(&generate->text, "{\"stream\":\"");
    sl__write_text(&generate->text, generate->stream);
    sl__write_text(&generate->text, stream);
    sl__write_text(&generate->text, "\",\"data\":{\"e\":\"");
}

static void render_field(sl_generate *generate, const char *name, int64_t value)
{
    sl__write_text(&generate->text, name);
    sl__write_int(&generate->text, value);
}

static void render_number(sl_generate *generate, const char *name, sl_decimal value)
{
    sl__write_text(&generate->text, name);
    sl__write_decimal(&generate->text, value);
    sl__write_text(&generate->text, "\"");
}

static void render_instrument(sl_generate *generate)
{
    sl__write_text(&generate->text, ",\"s\":\"");
    sl__write_text(&generate->text, generate->instrument);
    sl__write_text(&generate->text, "\"");
}

static void render_trade(sl_generate *generate)
{
    begin_message(generate, "@trade");
    render_field(generate, "trade\",\"E\":", generate->now_ns / NS_PER_MS);
    render_field(generate, ",\"T\":", generate->now_ns / NS_PER_MS);
    render_instrument(generate);
    render_field(generate, ",\"t\":", ++generate->trade_id);
    render_number(generate, ",\"p\":\"", generate->sold.price);
    render_number(generate, ",\"q\":\"", generate->sold.quantity);
    sl__write_text(&generate->text, ",\"X\":\"MARKET\",\"m\":");
    sl__write_text(&generate->text, generate->taker == SL_SIDE_SELL ? "true}}" : "false}}");
    generate->sold.quantity.mantissa = 0;
}

static void render_ticker(sl_generate *generate)
{
    const sl_level *bid = sl_book_best(generate->book, SL_SIDE_BUY);
    const sl_level *ask = sl_book_best(generate->book, SL_SIDE_SELL);
    begin_message(generate, "@bookTicker");
    render_field(generate, "bookTicker\",\"u\":", generate->update_id);
    render_instrument(generate);
    render_number(generate, ",\"b\":\"", bid->price);
    render_number(generate, ",\"B\":\"", bid->quantity);
    render_number(generate, ",\"a\":\"", ask->price);
    render_number(generate, ",\"A\":\"", ask->quantity);
    render_field(generate, ",\"T\":", generate->now_ns / NS_PER_MS);
    render_field(generate, ",\"E\":", generate->now_ns / NS_PER_MS);
    sl__write_text(&generate->text, "}}");
    generate->ticker_due = false;
}

static void render_changes(sl_generate *generate, sl_side side)
{
    bool first = true;
    for (size_t at = 0; at < generate->change_count; at++) {
        const struct change *change = &generate->changes[at];
        if (change->side == side) {
            const sl_decimal *quantity = sl_book_find(generate->book, side, change->price);
            sl_level level = {change->price, quantity == NULL ? (sl_decimal){0, QUANTITY_EXPONENT} : *quantity};
            sl__write_level(&generate->text, &level, first);
            first = false;
        }
    }
}

static void render_depth(sl_generate *generate)
{
    begin_message(generate, "@depth@0ms");
    render_field(generate, "depthUpdate\",\"E\":", generate->now_ns / NS_PER_MS);
    render_field(generate, ",\"T\":", generate->now_ns / NS_PER_MS);
    render_instrument(generate);
    render_field(generate, ",\"U\":", generate->first_id);
    render_field(generate, ",\"u\":", generate->update_id);
    render_field(generate, ",\"pu\":", generate->previous_id);
    sl__write_text(&generate->text, ",\"b\":[");
    render_changes(generate, SL_SIDE_BUY);
    sl__write_text(&generate->text, "],\"a\":[");
    render_changes(generate, SL_SIDE_SELL);
    sl__write_text(&generate->text, "]}}");
    generate->previous_id = generate->update_id;
    generate->change_count = 0;
    generate->depth_due_ns = generate->now_ns + DEPTH_INTERVAL_NS;
}

/* Lets time pass and the market move until there is something to tell; false when there is nothing yet. */
static int make_message(sl_generate *generate)
{
    uint64_t last = generate->options.messages - 1;
    uint64_t snapshot_at = last < SNAPSHOT_AT ? last : SNAPSHOT_AT;
    if (generate->made == snapshot_at && snapshot_at > 0) {
        sl__write_begin(&generate->text);
        sl__write_snapshot(&generate->text, SL_VENUE_BINANCE_USDM, generate->instrument, generate->book,
                           generate->update_id, generate->now_ns, generate->now_ns, SNAPSHOT_LIMIT);
    } else if (generate->sold.quantity.mantissa != 0) {
        render_trade(generate);
    } else if (generate->ticker_due) {
        render_ticker(generate);
    } else if (generate->change_count > 0 && (generate->now_ns >= generate->depth_due_ns ||
                                              generate->change_count >= CHANGES_MAX - STEP_CHANGES_MAX)) {
        render_depth(generate);
    } else {
        generate->now_ns += below(generate, STEP_MAX_NS);
        if (below(generate, 3) == 0) {
            SL_TRY(trade(generate));
        }
        for (int64_t count = below(generate, 4); count > 0; count--) {
            SL_TRY(change_level(generate));
        }
        return 0;
    }
    return generate->text.failed != 0 ? generate->text.failed : 1;
}

int sl_generate_next(sl_generate *generate, sl_generated *ret_message)
{
    if (generate->made == generate->options.messages) {
        return 0;
    }
    int code = 0;
    do {
        code = make_message(generate);
    } while (code == 0);
    SL_TRY(code);
    generate->made++;
    *ret_message = (sl_generated){generate->now_ns, {generate->text.data, generate->text.size_bytes}};
    return 1;
}

/* The book that the session begins with: no message tells of it but the snapshot. */
static int fill_book(sl_generate *generate)
{
    for (int side = SL_SIDE_BUY; side <= SL_SIDE_SELL; side++) {
        int64_t ticks = side == SL_SIDE_BUY ? FIRST_BID_TICKS : FIRST_BID_TICKS + 1;
        for (int at = 0; at < LEVELS_FIRST; at++) {
            SL_TRY(set_level(generate, (sl_side)side, (sl_level){price_of(ticks), some_quantity(generate)}));
            generate->change_count = 0;
            ticks += (side == SL_SIDE_BUY ? -1 : 1) * (1 + mostly_small(generate, 20));
        }
    }
    generate->previous_id = generate->update_id;
    generate->ticker_due = false;
    return 0;
}

static int set_instrument(sl_generate *generate, const char *instrument)
{
    size_t length = strlen(instrument);
    if (length == 0 || length >= SL_SYMBOL_MAX) {
        return SL_EINVAL;
    }
    for (size_t at = 0; at < length; at++) {
        char c = instrument[at];
        bool upper = c >= 'A' && c <= 'Z';
        if (!upper && !(c >= '0' && c <= '9') && c != '_') {
            return SL_EINVAL;
        }
        generate->instrument[at] = c;
        generate->stream[at] = upper ? (char)(c - 'A' + 'a') : c;
    }
    return 0;
}

int sl_generate_new(const sl_generate_options *options, sl_generate **ret_generate)
{
    if (options->messages > SL_GENERATE_MESSAGES_MAX || options->start_time_ns < 0) {
        return SL_EINVAL;
    }
    sl_generate *generate = sl_calloc(1, sizeof(*generate));
    if (generate == NULL) {
        return SL_ENOMEM;
    }
    generate->options = *options;
    if (options->messages == 0) {
        generate->options.messages = SL_GENERATE_MESSAGES_DEFAULT;
    }
    generate->random = options->seed;
    generate->now_ns = options->start_time_ns == 0 ? START_TIME_NS : options->start_time_ns;
    generate->depth_due_ns = generate->now_ns;
    generate->update_id = INT64_C(5123107832006);
    generate->trade_id = INT64_C(5266583934);
    int code = set_instrument(generate, options->instrument == NULL ? "BTCUSDT" : options->instrument);
    code = code < 0 ? code : sl_book_new(LEVELS_MAX + LEVELS_FIRST, &generate->book);
    code = code < 0 ? code : fill_book(generate);
    if (code < 0) {
        sl_generate_free(generate);
        return code;
    }
    generate->options.instrument = NULL; /* copied */
    *ret_generate = generate;
    return 0;
}

void sl_generate_free(sl_generate *generate)
{
    if (generate != NULL) {
        sl_book_free(generate->book);
        sl__write_done(&generate->text);
        sl_free(generate);
    }
}
