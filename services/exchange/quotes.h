/* SPDX-License-Identifier: MIT */
/* What a simulated venue answers for tickers, best prices, funding and open interest, of one instrument or of all. */
#ifndef SLUICE_EXCHANGE_QUOTES_H
#define SLUICE_EXCHANGE_QUOTES_H

#include "exchange/dialect.h"

/* An instrument now, as its truth and its kept trades have it. */
struct sl_quote {
    const sl_instrument *instrument;
    sl_level bid, ask; /* a quantity of 0: there is none */
    sl_decimal last, open, high, low, volume, rate, interest;
};
struct sl_quote sl__quote_of(const struct sl_dialect_host *host, const sl_instrument *instrument);

/* Binance: `what` is the path behind its base ("ticker/24hr"); status 0 for others. */
struct sl_rest_reply sl__binance_quotes(const struct sl_dialect_host *host, const char *what, const char *query,
                                        struct sl_render *text);

/* Bybit's "/v5/market/tickers", OKX's "/api/v5/market/tickers" and the like; status 0 for other paths. */
struct sl_rest_reply sl__bybit_quotes(const struct sl_dialect_host *host, const char *category,
                                      const struct sl_rest_question *question, struct sl_render *text);
struct sl_rest_reply sl__okx_quotes(const struct sl_dialect_host *host, const struct sl_rest_question *question,
                                    struct sl_render *text);

#endif
