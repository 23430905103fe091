/* SPDX-License-Identifier: MIT */
/* The true market. See truth.h. */
#include "truth.h"

#include <string.h>

#include "sluice/memory.h"

#define TRADE_WEIGHT 40

/* Prices are whole ticks around a middle that walks; quantities whole lots. */
#define FIRST_MIDDLE 1000000
#define LOWEST_MIDDLE 10000
#define NEAR 8          /* most orders come so near the middle, in ticks */
#define LEVELS_A_STEP 4 /* changes of one step, without what they push out */
#define PRICE_EXPONENT (-2)
#define QUANTITY_EXPONENT (-4)

/* Where the levels are that never change: no other one comes there. */
#define DEEP_BIDS_MAX 8000
#define DEEP_ASKS INT64_C(1000000000000)

struct side {
    sl_level levels[SL_TRUTH_CHANGES_MAX];
    size_t count;
};

/* One instrument. */
struct listing {
    const sl_instrument *instrument;
    sl_book *book;
    int64_t middle; /* no bid is at or above it, no ask at or below */
    int64_t book_id, trade_id;
    uint64_t trades, changes;
    bool renumber; /* the next change begins the numbering anew */
    bool first_of_numbering;
};

struct sl_truth {
    sl_truth_options options;
    struct listing *listings;
    size_t count, capacity;
    uint32_t *place; /* by the instrument's index: number of its listing, from 1 */
    size_t place_count;
    uint64_t random;
    struct side bids, asks;
    sl_book *nothing; /* where the market is somebody else's: of instruments that are not known yet */
};

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t draw(sl_truth *truth)
{
    uint64_t z = truth->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t below(sl_truth *truth, uint64_t limit)
{
    return draw(truth) % limit;
}

static sl_decimal price_of(int64_t ticks)
{
    return (sl_decimal){ticks, PRICE_EXPONENT};
}

static sl_decimal some_quantity(sl_truth *truth)
{
    return (sl_decimal){(int64_t)below(truth, 500000) + 1, QUANTITY_EXPONENT};
}

/* ---- listings ---- */

static void put(struct side *side, int64_t ticks, sl_decimal quantity)
{
    if (side->count < SL_TRUTH_CHANGES_MAX) {
        side->levels[side->count++] = (sl_level){price_of(ticks), quantity};
    }
}

static size_t deep_of(const sl_truth *truth, sl_side side)
{
    size_t deep = truth->options.deep;
    return side == SL_SIDE_BUY && deep > DEEP_BIDS_MAX ? DEEP_BIDS_MAX : deep;
}

/* The levels that never change. */
static int fill_deep(sl_truth *truth, struct listing *listing)
{
    size_t bids = deep_of(truth, SL_SIDE_BUY), asks = deep_of(truth, SL_SIDE_SELL);
    if (asks == 0) {
        return 0;
    }
    sl_level *levels = sl_calloc(bids + asks, sizeof *levels);
    if (levels == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for %zu levels", bids + asks);
    }
    for (size_t at = 0; at < bids; at++) {
        levels[at] = (sl_level){price_of((int64_t)(bids - at)), some_quantity(truth)};
    }
    for (size_t at = 0; at < asks; at++) {
        levels[bids + at] = (sl_level){price_of(DEEP_ASKS + (int64_t)at), some_quantity(truth)};
    }
    sl_levels all = {levels, levels + bids, bids, asks};
    int code = sl_book_apply(listing->book, &all);
    sl_free(levels);
    return code;
}

/* A book to begin with. */
static int fill(sl_truth *truth, struct listing *listing)
{
    truth->bids.count = truth->asks.count = 0;
    for (int64_t at = 1; at <= NEAR; at++) {
        put(&truth->bids, listing->middle - at, some_quantity(truth));
        put(&truth->asks, listing->middle + at, some_quantity(truth));
    }
    sl_levels levels = {truth->bids.levels, truth->asks.levels, truth->bids.count, truth->asks.count};
    SL_TRY(sl_book_set(listing->book, &levels));
    return fill_deep(truth, listing);
}

static int make_places(sl_truth *truth, uint32_t index)
{
    if (index < truth->place_count) {
        return 0;
    }
    size_t count = truth->place_count == 0 ? 64 : truth->place_count;
    while (count <= index) {
        count *= 2;
    }
    uint32_t *place = sl_realloc(truth->place, count * sizeof *place);
    if (place == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for %zu instruments", count);
    }
    memset(place + truth->place_count, 0, (count - truth->place_count) * sizeof *place);
    truth->place = place;
    truth->place_count = count;
    return 0;
}

int sl_truth_list(sl_truth *truth, const sl_instrument *instrument)
{
    SL_TRY(make_places(truth, instrument->index));
    if (truth->place[instrument->index] != 0) {
        return 0;
    }
    if (truth->count == truth->capacity) {
        size_t capacity = truth->capacity == 0 ? 16 : truth->capacity * 2;
        struct listing *listings = sl_realloc(truth->listings, capacity * sizeof *listings);
        if (listings == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for %zu instruments", capacity);
        }
        truth->listings = listings;
        truth->capacity = capacity;
    }
    struct listing *listing = &truth->listings[truth->count];
    *listing = (struct listing){.instrument = instrument,
                                .middle = FIRST_MIDDLE + (int64_t)below(truth, FIRST_MIDDLE),
                                .book_id = (int64_t)below(truth, 1000000) + 1000,
                                .trade_id = (int64_t)below(truth, 1000000) + 1000};
    SL_TRY(sl_book_new(truth->options.levels + truth->options.deep + SL_TRUTH_CHANGES_MAX, &listing->book));
    int code = fill(truth, listing);
    if (code < 0) {
        sl_book_free(listing->book);
        return code;
    }
    truth->place[instrument->index] = (uint32_t)++truth->count;
    return 0;
}

int sl_truth_new(const sl_truth_options *options, sl_truth **ret_truth)
{
    if (options->levels > SL_TRUTH_LEVELS_MAX || options->deep > SL_TRUTH_DEEP_MAX || options->trade_weight > 100) {
        return sl_fail(SL_EINVAL, "at most %d levels, %d below them and 100 %% trades", SL_TRUTH_LEVELS_MAX,
                       SL_TRUTH_DEEP_MAX);
    }
    sl_auto(sl_truth) *truth = sl_calloc(1, sizeof *truth);
    if (truth == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a market");
    }
    truth->options = *options;
    truth->options.levels = options->levels == 0 ? SL_TRUTH_LEVELS_DEFAULT : options->levels;
    truth->options.trade_weight = options->trade_weight == 0 ? TRADE_WEIGHT : options->trade_weight;
    truth->random = options->seed;
    if (options->look != NULL) {
        SL_TRY(sl_book_new(0, &truth->nothing));
        *ret_truth = truth;
        truth = NULL;
        return 0;
    }
    for (size_t at = 0; at < sl_instruments_count(options->instruments); at++) {
        const sl_instrument *instrument = sl_instruments_at(options->instruments, at);
        if (instrument->venue == options->venue) {
            SL_TRY(sl_truth_list(truth, instrument));
        }
    }
    if (truth->count == 0) {
        return sl_fail(SL_EINVAL, "no instrument of %s", sl_venue_name(options->venue));
    }
    *ret_truth = truth;
    truth = NULL;
    return 0;
}

void sl_truth_free(sl_truth *truth)
{
    if (truth == NULL) {
        return;
    }
    for (size_t at = 0; at < truth->count; at++) {
        sl_book_free(truth->listings[at].book);
    }
    sl_book_free(truth->nothing);
    sl_free(truth->listings);
    sl_free(truth->place);
    sl_free(truth);
}

/* ---- a step ---- */

/* The middle moves; levels that it has reached are taken away. */
static void walk(sl_truth *truth, struct listing *listing)
{
    int64_t move = (int64_t)below(truth, 3) - 1;
    if (below(truth, 50) == 0) {
        move *= 5;
    }
    if (listing->middle + move < LOWEST_MIDDLE) {
        move = 1;
    }
    listing->middle += move;
    const sl_level *level = NULL;
    sl_decimal nothing = {0, QUANTITY_EXPONENT};
    sl_book_cursor bids = sl_book_first(listing->book, SL_SIDE_BUY);
    while ((level = sl_book_next(&bids)) != NULL && level->price.mantissa >= listing->middle) {
        put(&truth->bids, level->price.mantissa, nothing);
    }
    sl_book_cursor asks = sl_book_first(listing->book, SL_SIDE_SELL);
    while ((level = sl_book_next(&asks)) != NULL && level->price.mantissa <= listing->middle) {
        put(&truth->asks, level->price.mantissa, nothing);
    }
}

/* A distance from the middle: near ones are common. */
static int64_t distance(sl_truth *truth)
{
    uint64_t reach = below(truth, 8) == 0 ? truth->options.levels : NEAR;
    return (int64_t)below(truth, reach) + 1;
}

static void change_levels(sl_truth *truth, const struct listing *listing)
{
    uint64_t count = below(truth, LEVELS_A_STEP) + 1;
    for (uint64_t i = 0; i < count; i++) {
        bool bid = below(truth, 2) == 0;
        int64_t ticks = listing->middle + (bid ? -distance(truth) : distance(truth));
        sl_decimal quantity = some_quantity(truth);
        if (below(truth, 4) == 0) { /* often one that is not there: venues do that, too */
            quantity.mantissa = 0;
        }
        put(bid ? &truth->bids : &truth->asks, ticks, quantity);
    }
}

/* What is beyond the book's limit goes, the worst first. */
static size_t push_out(sl_truth *truth, const struct listing *listing, sl_side name, struct side *side)
{
    size_t count = sl_book_count(listing->book, name) - deep_of(truth, name);
    size_t before = side->count;
    if (count > truth->options.levels) {
        size_t skip = truth->options.levels;
        sl_book_cursor cursor = sl_book_first(listing->book, name);
        const sl_level *level = NULL;
        while (count > 0 && (level = sl_book_next(&cursor)) != NULL) {
            count--;
            if (skip > 0) {
                skip--;
            } else {
                put(side, level->price.mantissa, (sl_decimal){0, QUANTITY_EXPONENT});
            }
        }
    }
    return side->count - before;
}

static bool same_best(const sl_best *a, const sl_best *b)
{
    return sl_decimal_equal(a->bid.price, b->bid.price) && sl_decimal_equal(a->bid.quantity, b->bid.quantity) &&
           sl_decimal_equal(a->ask.price, b->ask.price) && sl_decimal_equal(a->ask.quantity, b->ask.quantity);
}

/* The ids of a change. */
static void number(sl_truth *truth, struct listing *listing, int64_t wall_ns, sl_book_delta *delta)
{
    listing->renumber = listing->renumber && listing->book_id > 1; /* from 1 to 1 would be no change */
    listing->first_of_numbering = listing->renumber;
    delta->first_id = listing->renumber ? 1 : listing->book_id + 1;
    if (listing->renumber || truth->options.consecutive) {
        listing->book_id = delta->first_id;
    } else if (truth->options.timed) {
        listing->book_id = wall_ns / 1000 > listing->book_id ? wall_ns / 1000 : listing->book_id + 1;
        delta->first_id = listing->book_id;
    } else {
        listing->book_id += (int64_t)below(truth, LEVELS_A_STEP) + 1;
    }
    listing->renumber = false;
}

static int change_book(sl_truth *truth, struct listing *listing, int64_t wall_ns, sl_truth_change *change)
{
    sl_best before = sl_truth_best(truth, listing->instrument);
    walk(truth, listing);
    change_levels(truth, listing);
    sl_levels levels = {truth->bids.levels, truth->asks.levels, truth->bids.count, truth->asks.count};
    SL_TRY(sl_book_apply(listing->book, &levels));
    change->fallen_bids = push_out(truth, listing, SL_SIDE_BUY, &truth->bids);
    change->fallen_asks = push_out(truth, listing, SL_SIDE_SELL, &truth->asks);
    sl_levels fallen = {truth->bids.levels + levels.bid_count, truth->asks.levels + levels.ask_count,
                        change->fallen_bids, change->fallen_asks};
    SL_TRY(sl_book_apply(listing->book, &fallen));
    sl_book_delta *delta = &change->event.as.delta;
    change->event.kind = SL_EVENT_BOOK_DELTA;
    change->event.feed = SL_FEED_DEPTH;
    delta->previous_id = listing->book_id;
    delta->has_previous = true;
    number(truth, listing, wall_ns, delta);
    delta->last_id = listing->book_id;
    delta->levels = (sl_levels){truth->bids.levels, truth->asks.levels, truth->bids.count, truth->asks.count};
    sl_best after = sl_truth_best(truth, listing->instrument);
    change->top = !same_best(&before, &after);
    listing->changes++;
    return 0;
}

static void trade(sl_truth *truth, struct listing *listing, sl_truth_change *change)
{
    bool buy = below(truth, 2) == 0;
    const sl_level *best = sl_book_best(listing->book, buy ? SL_SIDE_SELL : SL_SIDE_BUY);
    sl_trade *made = &change->event.as.trade;
    change->event.kind = SL_EVENT_TRADE;
    change->event.feed = SL_FEED_TRADES;
    listing->trade_id++;
    listing->trades++;
    *made = (sl_trade){.price = best != NULL ? best->price : price_of(listing->middle),
                       .quantity = some_quantity(truth),
                       .taker = buy ? SL_SIDE_BUY : SL_SIDE_SELL};
    if (truth->options.uuids) {
        made->uuid = (sl_uuid){draw(truth) | 1, (uint64_t)listing->trade_id};
    } else {
        made->id = made->first_id = made->last_id = listing->trade_id;
    }
}

static int step(sl_truth *truth, struct listing *listing, int64_t wall_ns, sl_truth_change *change)
{
    *change = (sl_truth_change){.event = {.instrument = listing->instrument,
                                          .venue_time_ns = wall_ns,
                                          .sent_time_ns = wall_ns,
                                          .receive_time_ns = wall_ns}};
    truth->bids.count = truth->asks.count = 0;
    if (below(truth, 100) < truth->options.trade_weight) {
        trade(truth, listing, change);
        return 0;
    }
    return change_book(truth, listing, wall_ns, change);
}

static bool is_traded(const sl_instrument *instrument)
{
    return instrument->status != SL_STATUS_HALTED && instrument->status != SL_STATUS_DELISTED;
}

int sl_truth_step(sl_truth *truth, int64_t wall_ns, sl_truth_change *ret_change)
{
    if (truth->count == 0) {
        return SL_EAGAIN;
    }
    uint64_t a = below(truth, truth->count), b = below(truth, truth->count);
    size_t first = a < b ? a : b;
    for (size_t at = 0; at < truth->count; at++) {
        struct listing *listing = &truth->listings[(first + at) % truth->count];
        if (is_traded(listing->instrument)) {
            return step(truth, listing, wall_ns, ret_change);
        }
    }
    return SL_EAGAIN;
}

static struct listing *find(const sl_truth *truth, const sl_instrument *instrument)
{
    uint32_t number = instrument->index < truth->place_count ? truth->place[instrument->index] : 0;
    return number == 0 ? NULL : &truth->listings[number - 1];
}

int sl_truth_step_of(sl_truth *truth, const sl_instrument *instrument, int64_t wall_ns, sl_truth_change *ret_change)
{
    struct listing *listing = find(truth, instrument);
    if (listing == NULL) {
        return sl_fail(SL_ENOENT, "%s is not traded here", instrument->symbol);
    }
    return step(truth, listing, wall_ns, ret_change);
}

sl_truth_state sl_truth_look(const sl_truth *truth, const sl_instrument *instrument)
{
    if (truth->options.look != NULL) {
        sl_truth_state state = truth->options.look(truth->options.arg, instrument);
        state.book = state.book == NULL ? truth->nothing : state.book;
        return state;
    }
    const struct listing *listing = find(truth, instrument);
    if (listing == NULL) {
        return (sl_truth_state){0};
    }
    return (sl_truth_state){listing->book,   listing->book_id, listing->trade_id,
                            listing->trades, listing->changes, listing->first_of_numbering};
}

void sl_truth_renumber(sl_truth *truth, const sl_instrument *instrument)
{
    struct listing *listing = find(truth, instrument);
    if (listing != NULL) {
        listing->renumber = true;
    }
}

sl_best sl_truth_best(const sl_truth *truth, const sl_instrument *instrument)
{
    sl_best best = {.bid = {{0, PRICE_EXPONENT}, {0, QUANTITY_EXPONENT}},
                    .ask = {{0, PRICE_EXPONENT}, {0, QUANTITY_EXPONENT}}};
    sl_truth_state state = sl_truth_look(truth, instrument);
    if (state.book != NULL) {
        const sl_level *bid = sl_book_best(state.book, SL_SIDE_BUY);
        const sl_level *ask = sl_book_best(state.book, SL_SIDE_SELL);
        best.update_id = state.book_id;
        best.bid = bid == NULL ? best.bid : *bid;
        best.ask = ask == NULL ? best.ask : *ask;
    }
    return best;
}
