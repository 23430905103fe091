/* SPDX-License-Identifier: MIT */
/*
 * /api/instruments: each instrument of each service, a page at a time, chosen by service, name and state. A worker
 * follows tens of thousands of them: what is asked for is bounded, and counting them all is a walk over arrays.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "ingest/console/console_internal.h"
#include "sluice/runtime.h"

#define FILTER_BYTES 64
#define PAGE_DEFAULT 100
#define PAGE_MAX 500

/* What is asked for, and how far it is. */
struct page {
    char service[FILTER_BYTES], find[FILTER_BYTES], state[FILTER_BYTES]; /* "": all */
    uint64_t offset, limit;
    uint64_t total; /* that fit */
    sl_json_writer *out;
};

/* A number of the query. */
static int number_of(const sl_http_exchange *exchange, const char *name, uint64_t max, uint64_t *ret_number)
{
    char text[FILTER_BYTES];
    int code = sl_http_query(exchange->request, name, text, sizeof text);
    if (code == SL_ENOENT) {
        return 0;
    }
    SL_TRY(code);
    uint64_t number = 0;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || number > max) {
            return sl_fail(SL_EINVAL, "%s is a number up to %llu", name, (unsigned long long)max);
        }
        number = number * 10 + (uint64_t)(*at - '0');
    }
    if (text[0] == '\0' || number > max) {
        return sl_fail(SL_EINVAL, "%s is a number up to %llu", name, (unsigned long long)max);
    }
    *ret_number = number;
    return 0;
}

static int text_of(const sl_http_exchange *exchange, const char *name, char text[FILTER_BYTES])
{
    int code = sl_http_query(exchange->request, name, text, FILTER_BYTES);
    if (code == SL_ENOENT) {
        text[0] = '\0';
        return 0;
    }
    return code == 0 ? 0 : sl_fail(SL_EINVAL, "%s: no text of up to %d bytes", name, FILTER_BYTES - 1);
}

static int read_query(const sl_http_exchange *exchange, struct page *page)
{
    page->limit = PAGE_DEFAULT;
    SL_TRY(text_of(exchange, "service", page->service));
    SL_TRY(text_of(exchange, "find", page->find));
    SL_TRY(text_of(exchange, "state", page->state));
    SL_TRY(number_of(exchange, "offset", UINT32_MAX, &page->offset));
    return number_of(exchange, "limit", PAGE_MAX, &page->limit);
}

static const char *state_of(const struct sl_program_service *service, const struct sl_service_seen *seen,
                            const struct sl_stream_place *place)
{
    if (service->paused) {
        return "paused";
    }
    if (service->life == NULL) {
        return "down";
    }
    if (place->book_stale) {
        return seen->events == 0 ? "waiting" : "degraded";
    }
    if (place->stale != 0) {
        return "stale";
    }
    return seen->events == 0 ? "waiting" : "ok";
}

static void put_price(sl_json_writer *out, const char *key, const sl_book *book, sl_side side)
{
    const sl_level *best = book == NULL ? NULL : sl_book_best(book, side);
    char text[SL_DECIMAL_TEXT_MAX];
    if (best != NULL) {
        (void)sl_decimal_format(best->price, SL_DECIMAL_SCALED, text);
        sl__console_put_text(out, key, text);
    }
}

static void put(const struct page *page, const struct sl_program_service *service, const sl_instrument *instrument,
                const struct sl_service_seen *seen, const struct sl_stream_place *place, const char *state)
{
    sl_json_writer *out = page->out;
    sl_json_begin_object(out);
    char id[2 * SL_INSTRUMENT_NAME_MAX + FILTER_BYTES];
    (void)snprintf(id, sizeof id, "%s:%s", service->name, instrument->symbol);
    sl__console_put_text(out, "id", id);
    sl__console_put_text(out, "service", service->name);
    sl__console_put_text(out, "venue", sl_venue_name(instrument->venue));
    sl__console_put_text(out, "symbol", instrument->symbol);
    sl__console_put_text(out, "instrument", instrument->name);
    sl__console_put_text(out, "state", state);
    sl_json_put_key_uint64(out, "events", seen->events);
    sl_json_put_key_uint64(out, "gaps", seen->gaps);
    sl__console_put_age(out, "age_seconds", seen->last_at);
    if (seen->lag_ns > 0) {
        sl__console_put_seconds(out, "lag_seconds", seen->lag_ns);
    }
    if ((place->feeds & SL_FEED_BIT(SL_FEED_DEPTH)) != 0) {
        sl_json_put_key_bool(out, "book_stale", place->book_stale);
        put_price(out, "bid", place->book, SL_SIDE_BUY);
        put_price(out, "ask", place->book, SL_SIDE_SELL);
    }
    sl_json_end_object(out);
}

static bool is_found(const struct page *page, const sl_instrument *instrument)
{
    return page->find[0] == '\0' || strcasestr(instrument->name, page->find) != NULL ||
           strcasestr(instrument->symbol, page->find) != NULL;
}

static void put_service(struct page *page, const struct sl_program_service *service, const sl_instruments *table)
{
    static const struct sl_service_seen nothing;
    for (size_t at = 0; at < sl_instruments_count(table); at++) {
        const sl_instrument *instrument = sl_instruments_at(table, at);
        const struct sl_service_seen *seen = at < service->seen_count ? &service->seen[at] : &nothing;
        struct sl_stream_place place = {0};
        if (service->life != NULL && service->kind->look_at != NULL) {
            service->kind->look_at(service, instrument, &place);
        }
        if ((place.feeds == 0 && seen->events == 0) || !is_found(page, instrument)) {
            continue;
        }
        if (place.feeds == 0 && service->life != NULL && service->kind->look_at != NULL) { /* it was left */
            continue;
        }
        const char *state = state_of(service, seen, &place);
        if (page->state[0] != '\0' && strcmp(page->state, state) != 0) {
            continue;
        }
        if (page->total >= page->offset && page->total - page->offset < page->limit) {
            put(page, service, instrument, seen, &place, state);
        }
        page->total++;
    }
}

static void put_page(const struct sl_console *console, struct page *page)
{
    sl_json_writer *out = page->out;
    sl_program_parts *parts = console->options.parts;
    sl_json_begin_object(out);
    sl_json_put_key_uint64(out, "time_ms", (uint64_t)(sl_now_wall() / SL_MILLISECONDS(1)));
    sl_json_put_key_uint64(out, "offset", page->offset);
    sl_json_put_key(out, "instruments");
    sl_json_begin_array(out);
    for (const struct sl_program_service *service = sl_program_services(parts); service != NULL;
         service = service->next) {
        if (page->service[0] == '\0' || strcmp(page->service, service->name) == 0) {
            put_service(page, service, sl_program_instruments(parts));
        }
    }
    sl_json_end_array(out);
    sl_json_put_key_uint64(out, "total", page->total);
    sl_json_end_object(out);
}

static int refuse(sl_http_exchange *exchange, int code)
{
    sl_json_writer out;
    sl_json_text text;
    char buffer[512];
    const sl_error *error = sl_error_last();
    sl_json_writer_init_in(&out, buffer, sizeof buffer);
    sl_json_begin_object(&out);
    sl_json_put_key(&out, "error");
    sl_json_begin_object(&out);
    sl__console_put_text(&out, "code", sl_error_name(code));
    sl__console_put_text(&out, "message", error == NULL ? sl_strerror(code) : sl_error_message(error));
    sl_json_end_object(&out);
    sl_json_end_object(&out);
    SL_TRY(sl_json_writer_finish(&out, &text));
    return sl_http_respond(exchange, 400, "application/json", text.data, text.size_bytes);
}

int sl__console_instruments(void *arg, sl_http_exchange *exchange)
{
    struct page page = {.service = ""};
    int code = read_query(exchange, &page);
    if (code < 0) {
        return refuse(exchange, code);
    }
    sl_json_writer out;
    sl_json_text text;
    sl_json_writer_init(&out, SL_ADMIN_VIEW_BYTES_MAX);
    page.out = &out;
    put_page(arg, &page);
    code = sl_json_writer_finish(&out, &text);
    code = code == 0 ? sl_http_respond(exchange, 200, "application/json", text.data, text.size_bytes) : code;
    sl_json_writer_free(&out);
    return code;
}
