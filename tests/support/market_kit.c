/* SPDX-License-Identifier: MIT */
/* See market_kit.h. */
#include "market_kit.h"

#include <string.h>

#include "sl_test.h"

struct market_kit *market_kit_open(sl_venue venue, const char *symbols)
{
    struct market_kit *kit = test_calloc(1, sizeof(*kit));
    assert_int_equal(sl_instruments_new(0, &kit->instruments), 0);
    while (*symbols != '\0') {
        sl_instrument definition = {.venue = venue};
        size_t length = strcspn(symbols, " ");
        assert_true(length < sizeof(definition.symbol));
        memcpy(definition.symbol, symbols, length);
        assert_int_equal(sl_instruments_add(kit->instruments, &definition, NULL), 1);
        symbols += length;
        symbols += strspn(symbols, " ");
    }
    sl_venue_decoder_options options = {.venue = venue, .instruments = kit->instruments, .connection = 3};
    assert_int_equal(sl_venue_decoder_new(&options, &kit->decoder), 0);
    return kit;
}

void market_kit_close(struct market_kit *kit)
{
    sl_venue_decoder_free(kit->decoder);
    sl_instruments_free(kit->instruments);
    test_free(kit);
}

const sl_instrument *market_kit_instrument(const struct market_kit *kit, const char *symbol)
{
    const sl_instrument *instrument =
        sl_instruments_find(kit->instruments, kit->decoder->options.venue, symbol, strlen(symbol));
    assert_non_null(instrument);
    return instrument;
}

static int keep_event(void *arg, const sl_market_event *event)
{
    struct market_kit *kit = arg;
    assert_true(kit->event_count < MARKET_KIT_EVENTS);
    kit->events[kit->event_count++] = *event;
    return 0;
}

static int keep_notice(void *arg, const sl_venue_notice *notice)
{
    struct market_kit *kit = arg;
    assert_true(kit->notice_count < MARKET_KIT_NOTICES);
    kit->notices[kit->notice_count++] = *notice;
    return 0;
}

static sl_venue_output output_of(struct market_kit *kit)
{
    kit->event_count = 0;
    kit->notice_count = 0;
    return (sl_venue_output){.arg = kit, .event = keep_event, .notice = keep_notice};
}

int market_kit_decode_message(struct market_kit *kit, const sl_venue_message *message)
{
    sl_venue_output output = output_of(kit);
    return sl_venue_decode(kit->decoder, message, &output);
}

int market_kit_rest_message(struct market_kit *kit, const sl_venue_request *request, const sl_venue_message *message)
{
    sl_venue_output output = output_of(kit);
    return sl_venue_decode_rest(kit->decoder, request, message, &output, kit->instruments, &kit->answer);
}

/* A copy with no byte to spare: what is read behind it, AddressSanitizer sees. */
static char *exact_copy(const char *text)
{
    size_t size_bytes = strlen(text);
    char *exact = sl_malloc(size_bytes);
    assert_non_null(exact);
    memcpy(exact, text, size_bytes);
    return exact;
}

int market_kit_decode(struct market_kit *kit, const char *text)
{
    char *exact = exact_copy(text);
    int code = market_kit_decode_message(
        kit, &(sl_venue_message){.text = exact, .size_bytes = strlen(text), .receive_time_ns = 42});
    sl_free(exact);
    return code;
}

int market_kit_rest(struct market_kit *kit, const sl_venue_request *request, const char *text)
{
    char *exact = exact_copy(text);
    int code = market_kit_rest_message(
        kit, request, &(sl_venue_message){.text = exact, .size_bytes = strlen(text), .receive_time_ns = 42});
    sl_free(exact);
    return code;
}

const sl_market_event *market_kit_line(struct market_kit *kit, const char *text, size_t size_bytes)
{
    static const char snapshot[] = "{\"lastUpdateId\"";
    sl_venue_message message = {.text = text, .size_bytes = size_bytes, .json_flags = SL_JSON_PADDED};
    sl_venue_request request = {.kind = SL_REQUEST_SNAPSHOT, .instrument = sl_instruments_at(kit->instruments, 0)};
    int code = strncmp(text, snapshot, sizeof(snapshot) - 1) == 0 ? market_kit_rest_message(kit, &request, &message)
                                                                  : market_kit_decode_message(kit, &message);
    if (code < 0 || kit->event_count != 1) {
        fail_msg("%.200s: code %d, %zu events, %s", text, code, kit->event_count, sl_venue_problem(kit->decoder));
    }
    return &kit->events[0];
}

void market_kit_assert_decimal(sl_decimal decimal, const char *expected)
{
    char text[SL_DECIMAL_TEXT_MAX];
    (void)sl_decimal_format(decimal, SL_DECIMAL_SCALED, text);
    assert_string_equal(text, expected);
}

void market_kit_assert_level(const sl_level *level, const char *price, const char *quantity)
{
    market_kit_assert_decimal(level->price, price);
    market_kit_assert_decimal(level->quantity, quantity);
}
