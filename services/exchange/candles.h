/* SPDX-License-Identifier: MIT */
/* Candles of the simulated venues' trades: of the past, and as they grow. */
#ifndef SLUICE_EXCHANGE_CANDLES_H
#define SLUICE_EXCHANGE_CANDLES_H

#include "market/event.h"

struct sl_simulated_candle {
    int64_t open_ns, interval_ns; /* interval_ns 0: none */
    sl_decimal open, high, low, close, volume;
    uint64_t trades;
};

/* The candle of this length that a trade begins. */
struct sl_simulated_candle sl__candle_begin(const sl_market_event *trade, int64_t interval_ns);

/* Adds a trade of its time to a candle. */
void sl__candle_add(struct sl_simulated_candle *candle, const sl_market_event *trade);

static inline bool sl__candle_has(const struct sl_simulated_candle *candle, int64_t time_ns)
{
    return time_ns >= candle->open_ns && time_ns - candle->open_ns < candle->interval_ns;
}

#endif
