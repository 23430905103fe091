/* SPDX-License-Identifier: MIT */
/*
 * Binance's decoder: any message of a stream, or any answer to a request, for each of the markets. The first byte says
 * which. Whatever comes, events are of instruments that are known, their quantities not negative, and the decoder
 * counts each message once. A message of a stream is decoded twice: what is read in one pass (plain.c) has to be what
 * the JSON cursor reads.
 */
#include <stdlib.h>
#include <string.h>

#include "market/record.h"
#include "venues/venue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_levels(const sl_level *levels, size_t count)
{
    for (size_t at = 0; at < count; at++) {
        require(levels[at].quantity.mantissa >= 0);
    }
}

/* What a message gave: its events as records. */
struct given {
    const sl_instrument *instrument;
    uint8_t *records;
    size_t size_bytes, notices;
};

static void keep_record(struct given *given, const sl_market_event *event)
{
    uint8_t *records = sl_realloc(given->records, given->size_bytes + sl_record_bound(event));
    require(records != NULL);
    given->records = records;
    given->size_bytes += sl_record_encode(event, records + given->size_bytes);
}

static int check_event(void *arg, const sl_market_event *event)
{
    struct given *given = arg;
    const sl_levels *levels = event->kind == SL_EVENT_BOOK_DELTA ? &event->as.delta.levels : &event->as.snapshot.levels;
    char text[SL_EVENT_TEXT_MAX];
    require(event->instrument == given->instrument);
    keep_record(given, event);
    require(event->kind > SL_EVENT_NONE && event->kind < SL_EVENT_KIND_COUNT && event->feed != SL_FEED_NONE);
    require(sl_event_describe(event, text) == strlen(text));
    if (event->kind == SL_EVENT_BOOK_DELTA || event->kind == SL_EVENT_BOOK_SNAPSHOT) {
        check_levels(levels->bids, levels->bid_count);
        check_levels(levels->asks, levels->ask_count);
    }
    return 0;
}

static int check_notice(void *arg, const sl_venue_notice *notice)
{
    ((struct given *)arg)->notices++;
    require(notice->kind > SL_NOTICE_NONE && notice->kind < SL_NOTICE_COUNT);
    require(notice->text.size_bytes == 0 || notice->text.data != NULL);
    return 0;
}

/* The message once more, padded, as the network gives it: the plain form is read in one pass then. */
static void decode_padded(sl_venue_decoder *decoder, const sl_venue_message *message, const struct given *expected,
                          int expected_code)
{
    struct given given = {.instrument = expected->instrument};
    sl_venue_output output = {.arg = &given, .event = check_event, .notice = check_notice};
    char *padded = sl_malloc(message->size_bytes + SL_JSON_PADDING);
    require(padded != NULL);
    memcpy(padded, message->text, message->size_bytes);
    memset(padded + message->size_bytes, '"', SL_JSON_PADDING);
    sl_venue_message again = {padded, message->size_bytes, SL_JSON_PADDED, message->receive_time_ns};
    require(sl_venue_decode(decoder, &again, &output) == expected_code);
    require(given.size_bytes == expected->size_bytes && given.notices == expected->notices);
    require(given.size_bytes == 0 || memcmp(given.records, expected->records, given.size_bytes) == 0);
    sl_free(given.records);
    sl_free(padded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    sl_auto(sl_instruments) *instruments = NULL;
    sl_auto(sl_venue_decoder) *decoder = NULL;
    const sl_instrument *instrument = NULL;
    if (size_bytes == 0) {
        return 0;
    }
    sl_venue venue = (sl_venue)(SL_VENUE_BINANCE_SPOT + data[0] % 3);
    sl_venue_request_kind kind = (sl_venue_request_kind)(data[0] / 3 % SL_REQUEST_KIND_COUNT);
    sl_instrument definition = {.venue = venue, .symbol = "BTCUSDT"};
    require(sl_instruments_new(100, &instruments) == 0);
    require(sl_instruments_add(instruments, &definition, &instrument) == 1);
    sl_venue_decoder_options options = {.venue = venue, .instruments = instruments};
    require(sl_venue_decoder_new(&options, &decoder) == 0);
    struct given given = {.instrument = instrument};
    sl_venue_output output = {.arg = &given, .event = check_event, .notice = check_notice};
    sl_venue_message message = {.text = (const char *)data + 1, .size_bytes = size_bytes - 1, .receive_time_ns = 1};
    sl_venue_request request = {
        .kind = kind, .instrument = instrument, .feed = data[0] >= 128 ? SL_FEED_AGG_TRADES : SL_FEED_NONE};
    sl_venue_answer answer;
    int code = kind == SL_REQUEST_NONE
                   ? sl_venue_decode(decoder, &message, &output)
                   : sl_venue_decode_rest(decoder, &request, &message, &output, instruments, &answer);
    const sl_venue_stats *stats = &decoder->stats;
    require(stats->decoded + stats->notices + stats->unknown + stats->bad == 1);
    require((code < 0) == (stats->unknown + stats->bad == 1));
    require(code == 0 || *sl_venue_problem(decoder) != '\0');
    if (kind == SL_REQUEST_NONE) {
        decode_padded(decoder, &message, &given, code);
    }
    sl_free(given.records);
    return 0;
}
