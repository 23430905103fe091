/* SPDX-License-Identifier: MIT */
/* What makes an event another one than the last. See tracker_hash.h. */
#include "tracker_hash.h"

#include "tracker.h"

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash ^= value + UINT64_C(0x9e3779b97f4a7c15) + (hash << 6) + (hash >> 2);
    hash *= UINT64_C(0xff51afd7ed558ccd);
    return hash ^ hash >> 33;
}

static uint64_t mix_decimal(uint64_t hash, sl_decimal decimal)
{
    return mix(mix(hash, (uint64_t)decimal.mantissa), (uint64_t)decimal.exponent);
}

uint64_t sl__tracker_identity(const sl_market_event *event)
{
    uint64_t hash = 1;
    if (event->kind == SL_EVENT_TRADE) {
        const sl_trade *trade = &event->as.trade;
        return mix(mix(mix(hash, (uint64_t)trade->id), trade->uuid.high), trade->uuid.low);
    }
    const sl_liquidation *forced = &event->as.liquidation;
    hash = mix(mix(hash, (uint64_t)event->venue_time_ns), (uint64_t)forced->side);
    return mix_decimal(mix_decimal(hash, forced->price), forced->quantity);
}

/* Of a state, by its values. */
static uint64_t hash_state(const sl_market_event *event)
{
    uint64_t hash = (uint64_t)event->kind;
    switch (event->kind) {
    case SL_EVENT_BEST: {
        const sl_best *best = &event->as.best;
        hash = mix_decimal(mix_decimal(hash, best->bid.price), best->bid.quantity);
        return mix_decimal(mix_decimal(hash, best->ask.price), best->ask.quantity);
    }
    case SL_EVENT_TICKER: {
        const sl_ticker *ticker = &event->as.ticker;
        hash = mix_decimal(mix_decimal(mix_decimal(hash, ticker->last), ticker->volume), ticker->high);
        hash = mix_decimal(mix_decimal(mix_decimal(hash, ticker->low), ticker->open), ticker->quote_volume);
        hash = mix_decimal(mix_decimal(hash, ticker->bid.price), ticker->bid.quantity);
        return mix_decimal(mix_decimal(hash, ticker->ask.price), ticker->ask.quantity);
    }
    case SL_EVENT_FUNDING: {
        const sl_funding *funding = &event->as.funding;
        hash = mix(mix_decimal(mix_decimal(hash, funding->mark_price), funding->index_price),
                   (uint64_t)funding->next_time_ns);
        return mix_decimal(hash, funding->rate);
    }
    case SL_EVENT_OPEN_INTEREST:
        return mix_decimal(mix_decimal(hash, event->as.open_interest.quantity), event->as.open_interest.value);
    default:
        return mix(hash, (uint64_t)event->as.status);
    }
}

/*
 * A candle grows: its volume tells which of two is the later one, and what is closed does not open again. (Not every
 * venue tells when it was sent, and one connection may be behind another.)
 */
static bool is_newer_candle(const struct sl__tracker_last *last, const sl_candle *candle,
                            struct sl__tracker_last *ret_news)
{
    *ret_news = (struct sl__tracker_last){.id = (int64_t)candle->volume.exponent * 2 + candle->closed,
                                          .time_ns = candle->open_time_ns,
                                          .hash = (uint64_t)candle->volume.mantissa};
    if (candle->open_time_ns != last->time_ns || last->time_ns == 0) {
        return candle->open_time_ns > last->time_ns || last->time_ns == 0;
    }
    bool was_closed = (last->id & 1) != 0;
    sl_decimal volume = {(int64_t)last->hash, (int32_t)((last->id - was_closed) / 2)};
    int grown = sl_decimal_compare(candle->volume, volume);
    return grown > 0 || (grown == 0 && candle->closed && !was_closed);
}

/* Of two best prices the one with the larger id, unless an older number is newer by its time: the venue counts anew. */
static bool is_newer(const struct sl__tracker_last *last, const struct sl__tracker_last *news)
{
    if (news->id != 0 && last->id != 0) {
        return news->id > last->id || (news->id < last->id && news->time_ns > last->time_ns);
    }
    return news->time_ns > last->time_ns || (news->time_ns == last->time_ns && news->hash != last->hash);
}

static bool is_set_back(struct sl__tracker_last *last, const struct sl__tracker_last *older)
{
    bool by_id = older->id != 0 && last->id != 0;
    int64_t by = by_id ? last->id - older->id : last->time_ns - older->time_ns;
    bool far = by >= (by_id ? SL_TRACKER_FAR : SL_TRACKER_FAR_TIME);
    last->strays += by > 0 && (far || older->connection == last->connection);
    return by > 0 && last->strays >= SL_TRACKER_STRAYS;
}

bool sl__tracker_is_news(struct sl__tracker_last *last, const sl_market_event *event, struct sl__tracker_last *ret_news)
{
    if (event->kind == SL_EVENT_CANDLE) { /* known by when it began, wherever the clock is */
        return is_newer_candle(last, &event->as.candle, ret_news);
    }
    *ret_news = (struct sl__tracker_last){.id = event->kind == SL_EVENT_BEST ? event->as.best.update_id : 0,
                                          .time_ns = event->venue_time_ns,
                                          .hash = hash_state(event),
                                          .connection = event->connection};
    return is_newer(last, ret_news) || is_set_back(last, ret_news);
}
