/* SPDX-License-Identifier: MIT */
/* Writing Binance's JSON. See render.h. */
#include "render.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sluice/json.h"

#define CAPACITY_FIRST 4096
#define NS_PER_MS 1000000

void sl__write_begin(struct sl_render *render)
{
    render->size_bytes = 0;
    render->failed = 0;
}

void sl__write_done(struct sl_render *render)
{
    sl_free(render->data);
    *render = (struct sl_render){0};
}

void sl__write_bytes(struct sl_render *render, const char *data, size_t size_bytes)
{
    if (render->failed != 0) {
        return;
    }
    size_t needed = render->size_bytes + size_bytes + SL_JSON_PADDING;
    if (needed > render->capacity) {
        size_t capacity = render->capacity == 0 ? CAPACITY_FIRST : render->capacity;
        while (capacity < needed) {
            capacity *= 2;
        }
        char *bigger = sl_realloc(render->data, capacity);
        if (bigger == NULL) {
            render->failed = SL_ENOMEM;
            return;
        }
        memset(bigger + render->capacity, 0, capacity - render->capacity);
        render->data = bigger;
        render->capacity = capacity;
    }
    memcpy(render->data + render->size_bytes, data, size_bytes);
    render->size_bytes += size_bytes;
}

void sl__write_text(struct sl_render *render, const char *text)
{
    sl__write_bytes(render, text, strlen(text));
}

void sl__write_int(struct sl_render *render, int64_t value)
{
    char text[24];
    int length = snprintf(text, sizeof(text), "%" PRId64, value);
    sl__write_bytes(render, text, (size_t)length);
}

void sl__write_decimal(struct sl_render *render, sl_decimal decimal)
{
    char text[SL_DECIMAL_TEXT_MAX];
    sl__write_bytes(render, text, sl_decimal_format(decimal, SL_DECIMAL_SCALED, text));
}

void sl__write_level(struct sl_render *render, const sl_level *level, bool first)
{
    sl__write_text(render, first ? "[\"" : ",[\"");
    sl__write_decimal(render, level->price);
    sl__write_text(render, "\",\"");
    sl__write_decimal(render, level->quantity);
    sl__write_text(render, "\"]");
}

static void render_side(struct sl_render *render, const sl_book *book, sl_side side, size_t limit)
{
    sl_book_cursor cursor = sl_book_first(book, side);
    for (size_t count = 0; count < limit; count++) {
        const sl_level *level = sl_book_next(&cursor);
        if (level == NULL) {
            break;
        }
        sl__write_level(render, level, count == 0);
    }
}

void sl__write_snapshot(struct sl_render *render, sl_venue venue, const char *instrument, const sl_book *book,
                        int64_t last_id, int64_t sent_time_ns, int64_t venue_time_ns, size_t limit)
{
    sl__write_text(render, "{\"lastUpdateId\":");
    sl__write_int(render, last_id);
    if (venue != SL_VENUE_BINANCE_SPOT) {
        sl__write_text(render, ",\"E\":");
        sl__write_int(render, sent_time_ns / NS_PER_MS);
        sl__write_text(render, ",\"T\":");
        sl__write_int(render, venue_time_ns / NS_PER_MS);
    }
    if (venue == SL_VENUE_BINANCE_COINM) {
        size_t pair = strcspn(instrument, "_"); /* BTCUSD of BTCUSD_PERP */
        sl__write_text(render, ",\"symbol\":\"");
        sl__write_text(render, instrument);
        sl__write_text(render, "\",\"pair\":\"");
        sl__write_bytes(render, instrument, pair);
        sl__write_text(render, "\"");
    }
    sl__write_text(render, ",\"bids\":[");
    render_side(render, book, SL_SIDE_BUY, limit);
    sl__write_text(render, "],\"asks\":[");
    render_side(render, book, SL_SIDE_SELL, limit);
    sl__write_text(render, "]}");
}
