/* SPDX-License-Identifier: MIT */
/* What makes an event another one than the last. See tracker_hash.h. */
#include "tracker_hash.h"

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

uint64_t sl__tracker_state(const sl_market_event *event)
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
    case SL_EVENT_CANDLE: {
        const sl_candle *candle = &event->as.candle;
        hash = mix(mix(mix(hash, (uint64_t)candle->open_time_ns), (uint64_t)candle->interval_ns), candle->closed);
        hash = mix_decimal(mix_decimal(mix_decimal(hash, candle->open), candle->high), candle->low);
        return mix(mix_decimal(mix_decimal(hash, candle->close), candle->volume), candle->trades);
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
