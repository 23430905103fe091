/* SPDX-License-Identifier: MIT */
/* Writing Binance's JSON: what the generator and the session of the simulated exchange share. */
#ifndef SLUICE_EXCHANGE_RENDER_H
#define SLUICE_EXCHANGE_RENDER_H

#include "market/book.h"

/* A text that grows and is used again; SL_JSON_PADDING bytes after it are readable. */
struct sl_render {
    char *data;
    size_t size_bytes;
    size_t capacity;
    int failed; /* SL_ENOMEM once memory was short; nothing is added then */
};

/* Empties the text and forgets a failure; keeps the memory. */
void sl__write_begin(struct sl_render *render);
void sl__write_done(struct sl_render *render);

void sl__write_text(struct sl_render *render, const char *text);
void sl__write_bytes(struct sl_render *render, const char *data, size_t size_bytes);
void sl__write_int(struct sl_render *render, int64_t value);
void sl__write_decimal(struct sl_render *render, sl_decimal decimal);

/* `["price","quantity"]`, with a comma before it unless it is the first. */
void sl__write_level(struct sl_render *render, const sl_level *level, bool first);

/* The answer to a depth request: up to `limit` levels a side, best first. Times in ns; spot has none. */
void sl__write_snapshot(struct sl_render *render, sl_venue venue, const char *instrument, const sl_book *book,
                        int64_t last_id, int64_t sent_time_ns, int64_t venue_time_ns, size_t limit);

#endif
