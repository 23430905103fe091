/* SPDX-License-Identifier: MIT */
/*
 * A made-up Binance USD-M session, for machines without captured data: the same messages in the same form
 * and about the same mix (bookTicker, trade, depth@0ms, one REST snapshot early on), from a seed. Trade ids
 * are consecutive, the `pu` chain is whole, tickers and trades agree with the book. Same options, same
 * bytes. No I/O, no clock; one thread at a time.
 */
#ifndef SLUICE_EXCHANGE_GENERATE_H
#define SLUICE_EXCHANGE_GENERATE_H

#include "market/event.h"
#include "sluice/json.h"
#include "sluice/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How many messages a session has by default (as the captured one), and at most. */
#define SL_GENERATE_MESSAGES_DEFAULT 93954
#define SL_GENERATE_MESSAGES_MAX UINT64_C(1000000000)

typedef struct sl_generate_options {
    uint64_t seed;
    const char *instrument; /* NULL: "BTCUSDT"; upper-case letters, digits, '_'; copied */
    uint64_t messages;      /* 0: the default */
    int64_t start_time_ns;  /* of the first message; 0: 2024-08-08 23:54:15 UTC */
} sl_generate_options;

/* One line of the session, as a capture file would have it. Borrowed until the next call; padded as for SL_JSON_PADDED. */
typedef struct sl_generated {
    int64_t receive_time_ns;
    sl_json_text text;
} sl_generated;

typedef struct sl_generate sl_generate;

/* 0, SL_EINVAL, SL_ENOMEM. */
SL_MUST_CHECK int sl_generate_new(const sl_generate_options *options, sl_generate **ret_generate);
void sl_generate_free(sl_generate *generate);
SL_AUTO_DECLARE(sl_generate, sl_generate_free)

/* The next message: 1, or 0 at the end; SL_ENOMEM. */
SL_MUST_CHECK int sl_generate_next(sl_generate *generate, sl_generated *ret_message);

#ifdef __cplusplus
}
#endif

#endif
