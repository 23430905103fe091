/* SPDX-License-Identifier: MIT */
/* What drivers share for REST answers and for composing messages and paths. See rest.h. */
#include "rest.h"

int sl__rest_begin(sl__rest *rest, sl_venue_decoder *decoder, const sl_venue_request *request,
                   const sl_venue_message *message, const sl_venue_output *output, sl_instruments *instruments,
                   sl_venue_answer *ret_answer)
{
    static const char *const kinds[SL_REQUEST_KIND_COUNT] = {"answer",       "instruments", "book snapshot",
                                                             "trades",       "candles",     "open interest",
                                                             "24 h tickers", "best prices", "funding"};
    *ret_answer = (sl_venue_answer){0};
    rest->request = request;
    rest->instruments = instruments;
    rest->answer = ret_answer;
    rest->oldest_id = 0;
    if ((unsigned)request->kind >= SL_REQUEST_KIND_COUNT || (decoder->driver->requests >> request->kind & 1) == 0) {
        return sl__refuse(decoder, SL_ENOTSUP, "the venue is not asked such a thing");
    }
    if (request->kind == SL_REQUEST_INSTRUMENTS
            ? instruments == NULL
            : request->instrument == NULL && (decoder->driver->bulk >> request->kind & 1) == 0) {
        return sl__refuse(decoder, SL_EINVAL, "the request has no instrument or table");
    }
    int code = sl__reading_begin(&rest->reading, decoder, message, output);
    rest->reading.what = kinds[request->kind];
    if (code < 0 || (sl_json_peek(decoder->json) != SL_JSON_OBJECT && sl_json_peek(decoder->json) != SL_JSON_ARRAY)) {
        sl_json_text body = {message->text, message->size_bytes < 512 ? message->size_bytes : 512};
        if (sl__contains(body, "too frequent") || sl__contains(body, "too many") || sl__contains(body, "rate limit")) {
            return sl__rest_fault(rest, SL__FAULT_RATE, 0, body);
        }
        return code < 0 ? code : sl__bad(&rest->reading, SL_EPROTO, "neither an object nor an array");
    }
    return 0;
}

int sl__rest_fault(sl__rest *rest, enum sl__rest_fault fault, int64_t code, sl_json_text text)
{
    rest->answer->error_code = code;
    rest->answer->rate_limited = fault == SL__FAULT_RATE;
    rest->answer->no_symbol = fault == SL__FAULT_SYMBOL;
    return sl__bad(&rest->reading, fault == SL__FAULT_AGAIN || fault == SL__FAULT_RATE ? SL_EAGAIN : SL_EPROTO,
                   "the venue answered with error %lld: %s", (long long)code, sl__excerpt(text).text);
}

/* ---- instruments ---- */

int sl__define(sl_venue_decoder *decoder, sl_instruments *instruments, sl_instrument *definition,
               sl_venue_answer *answer)
{
    definition->venue = decoder->options.venue;
    int code = sl_instruments_add(instruments, definition, NULL);
    if (code == SL_EINVAL) {
        decoder->stats.unknown_symbols++;
        return 0;
    }
    answer->rows += code >= 0 ? 1 : 0;
    decoder->output_code = code < 0 ? code : 0; /* the table's fault: no other row goes in, either */
    return code < 0 ? sl__refuse(decoder, code, "\"%s\" does not go into the table", definition->symbol) : 0;
}

int sl__rest_add(sl__rest *rest, sl_instrument *definition)
{
    return sl__define(rest->reading.decoder, rest->instruments, definition, rest->answer);
}

static bool copy(sl_json_text text, char *to, size_t size_bytes)
{
    if (text.size_bytes == 0 || text.size_bytes >= size_bytes) {
        return false;
    }
    memcpy(to, text.data, text.size_bytes);
    to[text.size_bytes] = '\0';
    return true;
}

bool sl__define_symbol(const sl__fields *fields, unsigned field, sl_instrument *definition)
{
    return copy(sl__field_or_empty(fields, field), definition->symbol, sizeof(definition->symbol));
}

bool sl__define_asset(sl_json_text text, char asset[SL_ASSET_MAX])
{
    if (sl_json_is(text, "XBT")) {
        text = (sl_json_text){"BTC", 3};
    } else if (sl_json_is(text, "XDG")) {
        text = (sl_json_text){"DOGE", 4};
    }
    if (!copy(text, asset, SL_ASSET_MAX)) {
        return false;
    }
    for (char *at = asset; *at != '\0'; at++) {
        *at = *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
    }
    return true;
}

bool sl__define_pair(sl_json_text text, char separator, sl_instrument *definition)
{
    const char *middle = text.size_bytes == 0 ? NULL : memchr(text.data, separator, text.size_bytes);
    if (middle == NULL) {
        return false;
    }
    size_t base_bytes = (size_t)(middle - text.data);
    return sl__define_asset((sl_json_text){text.data, base_bytes}, definition->base) &&
           sl__define_asset((sl_json_text){middle + 1, text.size_bytes - base_bytes - 1}, definition->quote);
}

/* ---- rows ---- */

int sl__rest_rows(sl__rest *rest, int (*read)(sl__rest *rest))
{
    sl__rows rows;
    int code = sl__rows_enter(&rows, &rest->reading);
    while (code >= 0 && (code = sl__rows_next(&rows)) > 0) {
        code = sl__rows_take(&rows, read(rest));
    }
    return sl__rows_end(&rows, code);
}

int sl__give_candle(sl__reading *reading, const sl__candle_columns *columns, const sl_json_text *texts,
                    const sl_instrument *instrument, int64_t interval_ns, const bool *closed)
{
    sl_venue_decoder *decoder = reading->decoder;
    sl_market_event event = sl__event_of(reading, SL_EVENT_CANDLE, SL_FEED_CANDLES, instrument);
    sl_candle *candle = &event.as.candle;
    int64_t count = 0;
    int64_t end_ns = 0;
    const struct {
        unsigned char column;
        const char *name;
        sl_decimal *value;
    } values[] = {
        {columns->open, "open", &candle->open},       {columns->high, "high", &candle->high},
        {columns->low, "low", &candle->low},          {columns->close, "close", &candle->close},
        {columns->volume, "volume", &candle->volume},
    };
    SL_TRY(sl__text_when(reading, "time", texts[columns->time], columns->unit_ns, &candle->open_time_ns));
    for (size_t at = 0; at < sizeof(values) / sizeof(values[0]); at++) {
        SL_TRY(sl__text_decimal(decoder, reading->what, values[at].name, texts[values[at].column], values[at].value));
    }
    if (columns->count != 0) {
        SL_TRY(sl__text_int(decoder, reading->what, "count", texts[columns->count], &count));
        candle->trades = count > 0 ? (uint64_t)count : 0;
    }
    candle->interval_ns = interval_ns;
    bool ended = !__builtin_add_overflow(candle->open_time_ns, interval_ns, &end_ns) &&
                 end_ns <= reading->message->receive_time_ns;
    candle->closed = closed != NULL ? *closed : ended;
    event.venue_time_ns = candle->open_time_ns;
    return sl__give(reading, &event);
}

void sl__rest_saw_trade(sl__rest *rest, int64_t id)
{
    rest->answer->rows++;
    rest->answer->last_id = id > rest->answer->last_id ? id : rest->answer->last_id;
    rest->oldest_id = rest->oldest_id == 0 || id < rest->oldest_id ? id : rest->oldest_id;
}

void sl__rest_more(sl__rest *rest, int64_t cursor)
{
    struct sl__writer writer = sl__writer(rest->answer->cursor, sizeof(rest->answer->cursor));
    sl__put_int(&writer, cursor);
    rest->answer->more = true;
}

int sl__interval_find(int64_t interval_ns, const uint32_t *seconds, size_t count)
{
    for (size_t at = 0; at < count; at++) {
        if (interval_ns == seconds[at] * SL__S) {
            return (int)at;
        }
    }
    return -1;
}

/* ---- composing ---- */

int sl__compose(sl__put_fn put, const sl__batch *batch, char *buffer, size_t size_bytes, size_t *ret_size_bytes)
{
    bool limited = batch->message_bytes != 0 && batch->message_bytes < size_bytes;
    if (batch->count == 0) {
        return SL_EINVAL;
    }
    for (size_t tried = batch->count < batch->most ? batch->count : batch->most; tried > 0; tried = tried * 3 / 4) {
        struct sl__writer writer = sl__writer(buffer, limited ? batch->message_bytes + 1 : size_bytes);
        SL_TRY(put(&writer, batch->subscriptions, tried, batch->off, batch->request_id));
        if (!writer.full) {
            *ret_size_bytes = writer.length;
            return (int)tried;
        }
    }
    return SL_EMSGSIZE;
}

int sl__compose_text(const char *text, char *buffer, size_t size_bytes)
{
    struct sl__writer writer = sl__writer(buffer, size_bytes);
    sl__put(&writer, text);
    return sl__written(&writer);
}

/* ---- decoders ---- */

void *sl__beside(struct sl__beside *beside, const sl_instrument *instrument, size_t item_bytes)
{
    if (instrument->index >= beside->count) {
        size_t count = beside->count == 0 ? 64 : beside->count;
        while (count <= instrument->index) {
            count *= 2;
        }
        char *items = sl_realloc(beside->items, count * item_bytes);
        if (items == NULL) {
            return NULL;
        }
        memset(items + beside->count * item_bytes, 0, (count - beside->count) * item_bytes);
        beside->items = items;
        beside->count = count;
    }
    return beside->items + (size_t)instrument->index * item_bytes;
}

const sl_instrument *sl__find(const sl__reading *reading, sl_json_text symbol)
{
    const sl_venue_decoder_options *options = &reading->decoder->options;
    return sl_instruments_find(options->instruments, options->venue, symbol.data, symbol.size_bytes);
}

sl_json_text sl__between(sl_json_text text, const char *before, const char *ends)
{
    size_t skip = strlen(before);
    for (size_t from = 0; from + skip <= text.size_bytes; from++) {
        if (memcmp(text.data + from, before, skip) == 0) {
            size_t to = from + skip;
            while (to < text.size_bytes && strchr(ends, text.data[to]) == NULL) {
                to++;
            }
            return (sl_json_text){text.data + from + skip, to - from - skip};
        }
    }
    return (sl_json_text){"", 0};
}
