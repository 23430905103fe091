/* SPDX-License-Identifier: MIT */
/* For tests of venues' drivers. See venue_kit.h; the spoiling is in venue_spoil.c. */
#include "venue_kit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void put(venue_kit *kit, const char *format, ...) SL_PRINTF(2, 3);
static void put(venue_kit *kit, const char *format, ...)
{
    va_list arguments;
    if (kit->silent) {
        return;
    }
    va_start(arguments, format);
    int length = vsnprintf(kit->text + kit->length, VENUE_KIT_TEXT_MAX - kit->length, format, arguments);
    va_end(arguments);
    assert_true(length >= 0 && (size_t)length < VENUE_KIT_TEXT_MAX - kit->length);
    kit->length += (size_t)length;
}

static void put_decimal(venue_kit *kit, const char *before, sl_decimal number)
{
    char text[SL_DECIMAL_TEXT_MAX];
    (void)sl_decimal_format(number, SL_DECIMAL_SCALED, text);
    put(kit, "%s%s", before, text);
}

static void put_level(venue_kit *kit, const char *before, sl_level level)
{
    put_decimal(kit, before, level.price);
    put_decimal(kit, "x", level.quantity);
}

static void put_levels(venue_kit *kit, const sl_levels *levels, const sl_book_checksum *checksum, uint32_t depth)
{
    if (checksum->given) {
        put(kit, " sum=%" PRIu32, checksum->value);
    }
    if (depth != 0) {
        put(kit, " cut=%" PRIu32, depth);
    }
    for (size_t at = 0; at < levels->bid_count; at++) {
        put_level(kit, at == 0 ? " b " : ",", levels->bids[at]);
    }
    for (size_t at = 0; at < levels->ask_count; at++) {
        put_level(kit, at == 0 ? " a " : ",", levels->asks[at]);
    }
}

static void put_trade(venue_kit *kit, const sl_trade *trade)
{
    char id[SL_TRADE_ID_MAX];
    (void)sl_trade_id_format(trade, id);
    put(kit, " %s", id);
    if (trade->first_id != trade->id || trade->last_id != trade->id) {
        put(kit, "(%" PRId64 "-%" PRId64 ")", trade->first_id, trade->last_id);
    }
    put_decimal(kit, " ", trade->price);
    put_decimal(kit, "x", trade->quantity);
    put(kit, " %s%s", sl_side_name(trade->taker), trade->off_book ? " off" : "");
}

static void put_ticker(venue_kit *kit, const sl_ticker *ticker)
{
    put_decimal(kit, " last=", ticker->last);
    put_decimal(kit, " open=", ticker->open);
    put_decimal(kit, " high=", ticker->high);
    put_decimal(kit, " low=", ticker->low);
    put_decimal(kit, " volume=", ticker->volume);
    put_decimal(kit, " quote=", ticker->quote_volume);
    put_level(kit, " b ", ticker->bid);
    put_level(kit, " a ", ticker->ask);
}

static void put_candle(venue_kit *kit, const sl_candle *candle)
{
    put(kit, " %" PRId64 "s", candle->interval_ns / 1000000000);
    put_decimal(kit, " ", candle->open);
    put_decimal(kit, " ", candle->high);
    put_decimal(kit, " ", candle->low);
    put_decimal(kit, " ", candle->close);
    put_decimal(kit, " ", candle->volume);
    put(kit, " n=%" PRIu64 "%s", candle->trades, candle->closed ? " closed" : "");
}

static void put_rest(venue_kit *kit, const sl_market_event *event)
{
    const sl_funding *funding = &event->as.funding;
    switch (event->kind) {
    case SL_EVENT_FUNDING:
        put_decimal(kit, funding->has_mark ? " mark=" : " -", funding->mark_price);
        put_decimal(kit, funding->has_index ? " index=" : " -", funding->index_price);
        put_decimal(kit, funding->has_rate ? " rate=" : " -", funding->rate);
        put(kit, " next=%" PRId64, funding->next_time_ns / 1000000);
        break;
    case SL_EVENT_LIQUIDATION:
        put(kit, " %s", sl_side_name(event->as.liquidation.side));
        put_decimal(kit, " ", event->as.liquidation.price);
        put_decimal(kit, "x", event->as.liquidation.quantity);
        break;
    case SL_EVENT_OPEN_INTEREST:
        put_decimal(kit, " ", event->as.open_interest.quantity);
        put_decimal(kit, " value=", event->as.open_interest.value);
        break;
    case SL_EVENT_STATUS:
        put(kit, " %s", sl_instrument_status_name(event->as.status));
        break;
    default:
        fail_msg("an event of kind %d", event->kind);
    }
}

static void put_event(venue_kit *kit, const sl_market_event *event)
{
    put(kit, "%s %s", sl_event_kind_name(event->kind), event->instrument->name);
    switch (event->kind) {
    case SL_EVENT_TRADE:
        put_trade(kit, &event->as.trade);
        break;
    case SL_EVENT_BOOK_DELTA:
        put(kit, " %" PRId64 "-%" PRId64, event->as.delta.first_id, event->as.delta.last_id);
        if (event->as.delta.has_previous) {
            put(kit, " prev=%" PRId64, event->as.delta.previous_id);
        }
        put_levels(kit, &event->as.delta.levels, &event->as.delta.checksum, event->as.delta.depth);
        break;
    case SL_EVENT_BOOK_SNAPSHOT:
        put(kit, " %" PRId64, event->as.snapshot.last_id);
        put_levels(kit, &event->as.snapshot.levels, &event->as.snapshot.checksum, event->as.snapshot.depth);
        break;
    case SL_EVENT_BEST:
        put(kit, " %" PRId64, event->as.best.update_id);
        put_level(kit, " b ", event->as.best.bid);
        put_level(kit, " a ", event->as.best.ask);
        break;
    case SL_EVENT_TICKER:
        put_ticker(kit, &event->as.ticker);
        break;
    case SL_EVENT_CANDLE:
        put_candle(kit, &event->as.candle);
        break;
    default:
        put_rest(kit, event);
        break;
    }
    if (event->feed == SL_FEED_AGG_TRADES || event->feed == SL_FEED_SNAPSHOT) {
        put(kit, " [%s]", sl_feed_name(event->feed));
    }
    if (event->venue_time_ns != 0) {
        put(kit, " @%" PRId64, event->venue_time_ns);
    }
    if (event->sent_time_ns != 0) {
        put(kit, " ^%" PRId64, event->sent_time_ns / 1000000);
    }
    put(kit, "\n");
}

static int on_event(void *arg, const sl_market_event *event)
{
    venue_kit *kit = arg;
    kit->events++;
    assert_true(event->kind > SL_EVENT_NONE && event->kind < SL_EVENT_GAP);
    assert_true(event->feed > SL_FEED_NONE && event->feed < SL_FEED_COUNT);
    assert_non_null(event->instrument);
    assert_int_equal(event->instrument->venue, kit->driver->venue);
    assert_true(event->receive_time_ns == VENUE_KIT_NOW_NS);
    assert_int_equal(event->connection, 7);
    if (kit->event != NULL) {
        assert_int_equal(kit->event(kit->arg, event), 0);
    }
    put_event(kit, event);
    return kit->refuse;
}

static int on_notice(void *arg, const sl_venue_notice *notice)
{
    static const char *const kinds[SL_NOTICE_COUNT] = {"none",         "subscribed", "unsubscribed", "refused",
                                                       "heartbeat",    "pong",       "ping",         "reconnect",
                                                       "rate limited", "status",     "error",        "last trade"};
    venue_kit *kit = arg;
    kit->notices++;
    assert_true(notice->kind > SL_NOTICE_NONE && notice->kind < SL_NOTICE_COUNT);
    put(kit, "! %s", kinds[notice->kind]);
    if (notice->permanent) {
        put(kit, " for good");
    }
    if (notice->request_id != 0) {
        put(kit, " #%" PRId64, notice->request_id);
    }
    if (notice->feed != SL_FEED_NONE) {
        put(kit, " %s", sl_feed_name(notice->feed));
    }
    if (notice->interval_ns != 0) {
        put(kit, " %" PRId64 "s", notice->interval_ns / 1000000000);
    }
    if (notice->instrument != NULL) {
        put(kit, " %s", notice->instrument->name);
    } else if (notice->symbol.size_bytes > 0) {
        put(kit, " ?%.*s", (int)notice->symbol.size_bytes, notice->symbol.data);
    }
    if (notice->code != 0) {
        put(kit, " code=%" PRId64, notice->code);
    }
    if (notice->id != 0) {
        put(kit, " id=%" PRId64, notice->id);
    }
    if (notice->text.size_bytes > 0) {
        put(kit, " \"%.*s\"", (int)notice->text.size_bytes, notice->text.data);
    }
    put(kit, "\n");
    return kit->refuse;
}

static sl_decimal decimal_of(const char *text)
{
    sl_decimal number = {0, 0};
    if (text != NULL) {
        assert_int_equal(sl_decimal_parse(text, strlen(text), &number), 0);
    }
    return number;
}

static void add_instrument(venue_kit *kit, sl_venue venue, const venue_kit_instrument *given)
{
    sl_instrument definition = {.venue = venue, .type = given->type, .status = SL_STATUS_TRADING};
    definition.type = given->type == SL_INSTRUMENT_UNKNOWN ? SL_INSTRUMENT_SPOT : given->type;
    (void)snprintf(definition.symbol, sizeof(definition.symbol), "%s", given->symbol);
    (void)snprintf(definition.base, sizeof(definition.base), "%s", given->base);
    (void)snprintf(definition.quote, sizeof(definition.quote), "%s", given->quote);
    (void)snprintf(definition.settle, sizeof(definition.settle), "%s", given->settle == NULL ? "" : given->settle);
    definition.tick = decimal_of(given->tick);
    definition.lot = decimal_of(given->lot);
    assert_true(sl_instruments_add(kit->instruments, &definition, NULL) >= 0);
}

void venue_kit_open(venue_kit *kit, sl_venue venue, const venue_kit_instrument *instruments)
{
    *kit = (venue_kit){.driver = sl_venue_driver_of(venue)};
    if (kit->driver == NULL) {
        fail_msg("%s has no driver: services/venues/venue.c lacks its line", sl_venue_name(venue));
    }
    kit->text = malloc(VENUE_KIT_TEXT_MAX);
    assert_non_null(kit->text);
    kit->text[0] = '\0';
    assert_int_equal(sl_instruments_new(0, &kit->instruments), 0);
    for (; instruments->symbol != NULL; instruments++) {
        add_instrument(kit, venue, instruments);
    }
    sl_venue_decoder_options options = {.venue = venue, .instruments = kit->instruments, .connection = 7};
    int code = sl_venue_decoder_new(&options, &kit->decoder);
    if (code < 0) { /* an allocation that was made to fail */
        assert_int_equal(code, SL_ENOMEM);
        kit->decoder = NULL;
    }
}

void venue_kit_close(venue_kit *kit)
{
    sl_venue_decoder_free(kit->decoder);
    sl_instruments_free(kit->instruments);
    free(kit->text);
}

/* From a block of its own without slack, so that AddressSanitizer sees a read behind the end. */
static int decode_exact(venue_kit *kit, const sl_venue_request *request, const char *text, size_t size_bytes)
{
    sl_venue_output output = {.arg = kit, .event = on_event, .notice = on_notice};
    char *exact = malloc(size_bytes > 0 ? size_bytes : 1);
    assert_non_null(exact);
    memcpy(exact, text, size_bytes);
    sl_venue_message message = {.text = exact, .size_bytes = size_bytes, .receive_time_ns = VENUE_KIT_NOW_NS};
    kit->length = 0;
    kit->text[0] = '\0';
    int code = request == NULL
                   ? sl_venue_decode(kit->decoder, &message, &output)
                   : sl_venue_decode_rest(kit->decoder, request, &message, &output, kit->instruments, &kit->answer);
    free(exact);
    return code;
}

int venue_kit_decode(venue_kit *kit, const char *text, size_t size_bytes)
{
    return decode_exact(kit, NULL, text, size_bytes);
}

int venue_kit_answer(venue_kit *kit, const sl_venue_request *request, const char *text, size_t size_bytes)
{
    return decode_exact(kit, request, text, size_bytes);
}

/* Whether a message came to what the case says. */
static bool is_as_expected(const venue_kit *kit, const venue_case *one, int code)
{
    const char *problem = code < 0 ? sl_venue_problem(kit->decoder) : "";
    if (code != one->code) {
        print_error("%s\n  gave %s: %s\n%s  instead of %s\n", one->json, sl_error_name(code), problem, kit->text,
                    sl_error_name(one->code));
        return false;
    }
    if (code == 0 && strcmp(kit->text, one->text) != 0) {
        print_error("%s\n  gave:\n%s  instead of:\n%s\n", one->json, kit->text, one->text);
        return false;
    }
    if (code < 0 && strstr(problem, one->text) == NULL) {
        print_error("%s\n  said: %s\n  without: %s\n", one->json, problem, one->text);
        return false;
    }
    return true;
}

/* All that are not as expected are told at once. */
static void expect(venue_kit *kit, const sl_venue_request *request, const venue_case *cases)
{
    size_t wrong = 0;
    for (; cases->json != NULL; cases++) {
        int code = decode_exact(kit, request, cases->json, strlen(cases->json));
        wrong += !is_as_expected(kit, cases, code);
    }
    if (wrong > 0) {
        fail_msg("%zu of the cases above came to something else", wrong);
    }
}

void venue_kit_expect(venue_kit *kit, const venue_case *cases)
{
    expect(kit, NULL, cases);
}

void venue_kit_expect_answer(venue_kit *kit, const sl_venue_request *request, const venue_case *cases)
{
    expect(kit, request, cases);
}

void venue_kit_expect_subscribe(const sl_venue_driver *driver, const sl_subscription *subscriptions, size_t count,
                                bool off, int taken, const char *text)
{
    static char buffer[SL_VENUE_CONTROL_MAX];
    size_t size_bytes = 0;
    int code = driver->subscribe(subscriptions, count, off, 42, buffer, sizeof(buffer), &size_bytes);
    assert_int_equal(code, taken);
    if (code > 0 && text != NULL) {
        assert_int_equal(size_bytes, strlen(buffer));
        assert_string_equal(buffer, text);
    }
}

void venue_kit_expect_path(const sl_venue_driver *driver, const sl_venue_request *request, int code, const char *text)
{
    static char buffer[SL_VENUE_PATH_MAX];
    int length = driver->rest_path(request, buffer, sizeof(buffer));
    if (code < 0) {
        assert_int_equal(length, code);
        return;
    }
    assert_true(length > 0);
    assert_string_equal(buffer, text);
    assert_int_equal(length, strlen(text));
    assert_true(sl_venue_cost(driver, request) > 0);
    assert_int_equal(driver->rest_path(request, buffer, (size_t)length), SL_EMSGSIZE);
}

/* ---- captures ---- */

#define LINE_MAX_BYTES ((size_t)8 << 20)

static char *line;

/* The next line without its end; false at the end of the file. */
static bool read_line(gzFile file, size_t *ret_size_bytes)
{
    if (gzgets(file, line, (int)LINE_MAX_BYTES) == NULL) {
        return false;
    }
    size_t size_bytes = strlen(line);
    assert_true(size_bytes < LINE_MAX_BYTES - 1);
    while (size_bytes > 0 && (line[size_bytes - 1] == '\n' || line[size_bytes - 1] == '\r')) {
        line[--size_bytes] = '\0';
    }
    *ret_size_bytes = size_bytes;
    return true;
}

static gzFile open_capture(const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "cryptofeed/%s.gz", name);
    gzFile file = gzopen(sl_test_data_path(path), "rb");
    assert_non_null(file);
    line = malloc(LINE_MAX_BYTES);
    assert_non_null(line);
    return file;
}

static void close_capture(gzFile file)
{
    free(line);
    (void)gzclose(file);
}

void venue_kit_capture(const char *name, void (*take)(void *arg, int64_t time_ns, const char *text, size_t size_bytes),
                       void *arg)
{
    gzFile file = open_capture(name);
    size_t size_bytes = 0;
    while (read_line(file, &size_bytes)) {
        char *text = strstr(line, ": ");
        if (line[0] >= '0' && line[0] <= '9' && text != NULL) {
            *text = '\0';
            text += 2;
            take(arg, (int64_t)(strtod(line, NULL) * 1e9), text, size_bytes - (size_t)(text - line));
        }
    }
    close_capture(file);
}

void venue_kit_capture_rest(const char *name,
                            void (*take)(void *arg, const char *url, const char *text, size_t size_bytes), void *arg)
{
    gzFile file = open_capture(name);
    size_t size_bytes = 0;
    while (read_line(file, &size_bytes)) {
        char *url_end = strstr(line, " -> ");
        char *text = url_end == NULL ? NULL : strstr(url_end, ": ");
        if (text != NULL) {
            *url_end = '\0';
            text += 2;
            take(arg, line, text, size_bytes - (size_t)(text - line));
        }
    }
    close_capture(file);
}
