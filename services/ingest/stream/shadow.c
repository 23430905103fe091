/* SPDX-License-Identifier: MIT */
/* A second copy of a book. See shadow.h. */
#include "ingest/stream/shadow.h"

#include "sluice/memory.h"

struct sl_shadow {
    sl_keeper *keeper;
    sl_time until;
    bool joined;
    bool limited[2];     /* the snapshot has levels of this side */
    sl_decimal worst[2]; /* the last of them: beyond it a snapshot of few levels says nothing */
};

static int ignore(void *arg, const sl_market_event *event)
{
    (void)arg;
    (void)event;
    return 0;
}

int sl_shadow_new(sl_book_rule rule, const sl_instrument *instrument, sl_time until, sl_shadow **ret_shadow)
{
    sl_shadow *shadow = sl_calloc(1, sizeof *shadow);
    if (shadow == NULL) {
        return SL_ENOMEM;
    }
    shadow->until = until;
    sl_keeper_options options = {.rule = rule, .instrument = instrument, .event = ignore};
    int code = sl_keeper_new(&options, &shadow->keeper);
    if (code < 0) {
        sl_free(shadow);
        return code;
    }
    *ret_shadow = shadow;
    return 0;
}

void sl_shadow_free(sl_shadow *shadow)
{
    if (shadow != NULL) {
        sl_keeper_free(shadow->keeper);
        sl_free(shadow);
    }
}

int sl_shadow_event(sl_shadow *shadow, const sl_market_event *event, sl_time now)
{
    int code = sl_keeper_event(shadow->keeper, event, now);
    shadow->joined = shadow->joined && sl_keeper_get_state(shadow->keeper) == SL_KEEPER_LIVE;
    return code;
}

int sl_shadow_snapshot(sl_shadow *shadow, const sl_market_event *event, sl_time now)
{
    const sl_levels *levels = &event->as.snapshot.levels;
    int joined = sl_keeper_snapshot(shadow->keeper, event, now);
    if (joined <= 0) {
        return joined;
    }
    shadow->joined = true;
    shadow->limited[0] = shadow->limited[1] = false;
    for (size_t at = 0; at < levels->bid_count; at++) {
        sl_decimal price = levels->bids[at].price;
        shadow->worst[0] =
            !shadow->limited[0] || sl_decimal_compare(price, shadow->worst[0]) < 0 ? price : shadow->worst[0];
        shadow->limited[0] = true;
    }
    for (size_t at = 0; at < levels->ask_count; at++) {
        sl_decimal price = levels->asks[at].price;
        shadow->worst[1] =
            !shadow->limited[1] || sl_decimal_compare(price, shadow->worst[1]) > 0 ? price : shadow->worst[1];
        shadow->limited[1] = true;
    }
    return 1;
}

bool sl_shadow_wants(const sl_shadow *shadow)
{
    uint32_t connection = 0;
    return sl_keeper_wants(shadow->keeper, &connection) == SL_KEEPER_SNAPSHOT;
}

sl_time sl_shadow_until(const sl_shadow *shadow)
{
    return shadow->until;
}

/* The next level that the snapshot could tell of; NULL: there is none. */
static const sl_level *next_within(const sl_shadow *shadow, sl_book_cursor *cursor)
{
    bool ask = cursor->side == SL_SIDE_SELL;
    const sl_level *level = sl_book_next(cursor);
    if (level == NULL || !shadow->limited[ask]) {
        return NULL;
    }
    int order = sl_decimal_compare(level->price, shadow->worst[ask]);
    return (ask ? order <= 0 : order >= 0) ? level : NULL;
}

static bool same_side(const sl_shadow *shadow, const sl_book *served, sl_side side)
{
    sl_book_cursor one = sl_book_first(sl_keeper_book(shadow->keeper), side);
    sl_book_cursor other = sl_book_first(served, side);
    for (;;) {
        const sl_level *a = next_within(shadow, &one), *b = next_within(shadow, &other);
        if (a == NULL || b == NULL) {
            return a == b;
        }
        if (sl_decimal_compare(a->price, b->price) != 0 || sl_decimal_compare(a->quantity, b->quantity) != 0) {
            return false;
        }
    }
}

sl_shadow_verdict sl_shadow_compare(const sl_shadow *shadow, const sl_keeper *served)
{
    if (!shadow->joined || sl_keeper_get_state(shadow->keeper) != SL_KEEPER_LIVE ||
        sl_keeper_get_state(served) != SL_KEEPER_LIVE ||
        sl_keeper_last_id(shadow->keeper) != sl_keeper_last_id(served)) {
        return SL_SHADOW_OPEN;
    }
    const sl_book *book = sl_keeper_book(served);
    return same_side(shadow, book, SL_SIDE_BUY) && same_side(shadow, book, SL_SIDE_SELL) ? SL_SHADOW_SAME
                                                                                         : SL_SHADOW_DIFFERENT;
}
