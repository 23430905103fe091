/* SPDX-License-Identifier: MIT */
/* Binance: messages as the venue writes them, messages as it should not, names and paths. */
#include "sl_test.h"

#include <string.h>

#include "venues/binance/binance.h"

static sl_binance *open_decoder(sl_venue venue)
{
    sl_binance *decoder = NULL;
    assert_int_equal(sl_binance_new(&(sl_binance_options){.venue = venue, .connection = 3}, &decoder), 0);
    return decoder;
}

/* Decodes from a heap block with no byte to spare. */
static int decode_for(sl_binance *decoder, const char *text, const char *instrument, sl_market_event *event)
{
    size_t size_bytes = strlen(text);
    char *exact = sl_malloc(size_bytes);
    assert_non_null(exact);
    memcpy(exact, text, size_bytes);
    sl_binance_message message = {
        .text = exact, .size_bytes = size_bytes, .receive_time_ns = 42, .instrument = instrument};
    int code = sl_binance_decode(decoder, &message, event);
    sl_free(exact);
    return code;
}

static int decode(sl_binance *decoder, const char *text, sl_market_event *event)
{
    return decode_for(decoder, text, NULL, event);
}

static void assert_decimal(sl_decimal decimal, const char *expected)
{
    char text[SL_DECIMAL_TEXT_MAX];
    (void)sl_decimal_format(decimal, SL_DECIMAL_SCALED, text);
    assert_string_equal(text, expected);
}

static void assert_level(const sl_level *level, const char *price, const char *quantity)
{
    assert_decimal(level->price, price);
    assert_decimal(level->quantity, quantity);
}

static void trades(void **state)
{
    (void)state;
    sl_market_event event = {0};
    sl_auto(sl_binance) *usdm = open_decoder(SL_VENUE_BINANCE_USDM);
    assert_int_equal(decode(usdm,
                            "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1723161256322,"
                            "\"T\":1723161256321,\"s\":\"BTCUSDT\",\"t\":5266583935,\"p\":\"61800.30\",\"q\":\"0.006\","
                            "\"X\":\"MARKET\",\"m\":false}}",
                            &event),
                     0);
    assert_int_equal(event.kind, SL_EVENT_TRADE);
    assert_int_equal(event.venue, SL_VENUE_BINANCE_USDM);
    assert_int_equal(event.feed, SL_FEED_TRADES);
    assert_int_equal(event.connection, 3);
    assert_int_equal(event.receive_time_ns, 42);
    assert_true(event.venue_time_ns == INT64_C(1723161256321000000));
    assert_true(event.sent_time_ns == INT64_C(1723161256322000000));
    assert_string_equal(event.instrument, "BTCUSDT");
    assert_true(event.as.trade.id == INT64_C(5266583935));
    assert_true(event.as.trade.first_id == event.as.trade.id && event.as.trade.last_id == event.as.trade.id);
    assert_decimal(event.as.trade.price, "61800.30");
    assert_decimal(event.as.trade.quantity, "0.006");
    assert_int_equal(event.as.trade.taker, SL_SIDE_BUY);
    assert_false(event.as.trade.off_book);
    assert_true(sl_json_is(sl_binance_stream_of(usdm), "btcusdt@trade"));

    assert_int_equal(decode(usdm,
                            "{\"e\":\"trade\",\"E\":1,\"T\":1,\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"0\",\"q\":\"0\","
                            "\"X\":\"NA\",\"m\":true}",
                            &event),
                     0);
    assert_true(event.as.trade.off_book);
    assert_int_equal(event.as.trade.taker, SL_SIDE_SELL);
    assert_int_equal(sl_binance_stream_of(usdm).size_bytes, 0);

    /* spot, with times in microseconds, fields in another order and unknown ones */
    sl_auto(sl_binance) *spot = open_decoder(SL_VENUE_BINANCE_SPOT);
    assert_int_equal(
        decode(spot,
               "{\"m\":true,\"M\":true,\"new\":{\"x\":[1,{}]},\"q\":\"0.02000000\",\"p\":\"61837.63000000\","
               "\"t\":3735683259,\"s\":\"BTCUSDT\",\"T\":1723161255342123,\"E\":1723161255343456,"
               "\"e\":\"trade\"}",
               &event),
        0);
    assert_true(event.venue_time_ns == INT64_C(1723161255342123000));
    assert_true(event.sent_time_ns == INT64_C(1723161255343456000));
    assert_decimal(event.as.trade.price, "61837.63000000");
    assert_false(event.as.trade.off_book);
}

static void aggregate_trades(void **state)
{
    (void)state;
    sl_market_event event = {0};
    sl_auto(sl_binance) *usdm = open_decoder(SL_VENUE_BINANCE_USDM);
    assert_int_equal(decode(usdm,
                            "{\"e\":\"aggTrade\",\"E\":123456789,\"s\":\"BTCUSDT\",\"a\":5933014,\"p\":\"0.001\","
                            "\"q\":\"100\",\"f\":100,\"l\":105,\"T\":123456785,\"m\":true}",
                            &event),
                     0);
    assert_int_equal(event.feed, SL_FEED_AGG_TRADES);
    assert_int_equal(event.as.trade.id, 5933014);
    assert_int_equal(event.as.trade.first_id, 100);
    assert_int_equal(event.as.trade.last_id, 105);
}

static void depth_updates(void **state)
{
    (void)state;
    sl_market_event event = {0};
    sl_auto(sl_binance) *usdm = open_decoder(SL_VENUE_BINANCE_USDM);
    static const char text[] = "{\"stream\":\"btcusdt@depth@0ms\", \"data\":{\"e\":\"depthUpdate\",\"E\":1723161256299,"
                               "\"T\":1723161256298,\"s\":\"BTCUSDT\",\"U\":5123107832006,\"u\":5123107837557,"
                               "\"pu\":5123107831937,\"b\":[[\"58710.20\",\"0.014\"],[\"61496.50\",\"0.010\"]],"
                               "\"a\":[[\"61510.90\",\"0.000\",[]]]} }";
    assert_int_equal(decode(usdm, text, &event), 0);
    assert_int_equal(event.kind, SL_EVENT_BOOK_DELTA);
    assert_int_equal(event.feed, SL_FEED_DEPTH);
    assert_true(event.as.delta.first_id == INT64_C(5123107832006));
    assert_true(event.as.delta.last_id == INT64_C(5123107837557));
    assert_true(event.as.delta.has_previous);
    assert_true(event.as.delta.previous_id == INT64_C(5123107831937));
    assert_int_equal(event.as.delta.levels.bid_count, 2);
    assert_int_equal(event.as.delta.levels.ask_count, 1);
    assert_level(&event.as.delta.levels.bids[0], "58710.20", "0.014");
    assert_level(&event.as.delta.levels.bids[1], "61496.50", "0.010");
    assert_level(&event.as.delta.levels.asks[0], "61510.90", "0.000");
    size_t offset = 0;
    size_t size_bytes = 0;
    sl_binance_data_of(usdm, &offset, &size_bytes);
    assert_int_equal(offset, strlen("{\"stream\":\"btcusdt@depth@0ms\", \"data\":"));
    assert_int_equal(offset + size_bytes, strlen(text) - 2);

    sl_auto(sl_binance) *spot = open_decoder(SL_VENUE_BINANCE_SPOT);
    assert_int_equal(decode(spot,
                            "{\"e\":\"depthUpdate\",\"E\":1723161255208,\"s\":\"BTCUSDT\",\"U\":157,\"u\":160,"
                            "\"b\":[],\"a\":[]}",
                            &event),
                     0);
    assert_false(event.as.delta.has_previous);
    assert_int_equal(event.as.delta.levels.bid_count, 0);
    assert_true(event.venue_time_ns == event.sent_time_ns);
}

static void best_bid_and_offer(void **state)
{
    (void)state;
    sl_market_event event = {0};
    sl_auto(sl_binance) *spot = open_decoder(SL_VENUE_BINANCE_SPOT);
    assert_int_equal(decode(spot,
                            "{\"u\":400900217,\"s\":\"BNBUSDT\",\"b\":\"25.35190000\",\"B\":\"31.21000000\","
                            "\"a\":\"25.36520000\",\"A\":\"40.66000000\"}",
                            &event),
                     0);
    assert_int_equal(event.kind, SL_EVENT_BEST);
    assert_int_equal(event.venue_time_ns, 0); /* spot tells no time */
    assert_int_equal(event.as.best.update_id, 400900217);
    assert_level(&event.as.best.bid, "25.35190000", "31.21000000");
    assert_level(&event.as.best.ask, "25.36520000", "40.66000000");

    sl_auto(sl_binance) *coinm = open_decoder(SL_VENUE_BINANCE_COINM);
    assert_int_equal(decode(coinm,
                            "{\"stream\":\"btcusd_perp@bookTicker\",\"data\":{\"u\":1007198632021,\"e\":\"bookTicker\","
                            "\"s\":\"BTCUSD_PERP\",\"ps\":\"BTCUSD\",\"b\":\"61804.7\",\"B\":\"35\",\"a\":\"61804.8\","
                            "\"A\":\"1645\",\"T\":1723161257465,\"E\":1723161257476}}",
                            &event),
                     0);
    assert_string_equal(event.instrument, "BTCUSD_PERP");
    assert_true(event.venue_time_ns == INT64_C(1723161257465000000));
}

static void snapshots(void **state)
{
    (void)state;
    sl_market_event event = {0};
    sl_auto(sl_binance) *spot = open_decoder(SL_VENUE_BINANCE_SPOT);
    static const char text[] = "{\"lastUpdateId\":160,\"bids\":[[\"0.0024\",\"10\"]],\"asks\":[[\"0.0026\",\"100\"]]}";
    assert_int_equal(decode_for(spot, text, "BNBBTC", &event), 0);
    assert_int_equal(event.kind, SL_EVENT_BOOK_SNAPSHOT);
    assert_int_equal(event.feed, SL_FEED_SNAPSHOT);
    assert_string_equal(event.instrument, "BNBBTC");
    assert_int_equal(event.as.snapshot.last_id, 160);
    assert_level(&event.as.snapshot.levels.asks[0], "0.0026", "100");
    assert_int_equal(decode(spot, text, &event), SL_EPROTO);
    assert_non_null(strstr(sl_binance_problem(spot), "no instrument"));
    assert_int_equal(event.kind, SL_EVENT_NONE);
    assert_int_equal(decode_for(spot, "{\"lastUpdateId\":-1,\"bids\":[],\"asks\":[]}", "NEW", &event), 0);
    assert_int_equal(event.as.snapshot.last_id, -1);

    sl_auto(sl_binance) *coinm = open_decoder(SL_VENUE_BINANCE_COINM);
    assert_int_equal(decode(coinm,
                            "{\"lastUpdateId\":1007198635033,\"E\":1723161257835,\"T\":1723161257823,"
                            "\"symbol\":\"BTCUSD_PERP\",\"pair\":\"BTCUSD\",\"bids\":[],\"asks\":[]}",
                            &event),
                     0);
    assert_string_equal(event.instrument, "BTCUSD_PERP");
    assert_true(event.venue_time_ns == INT64_C(1723161257823000000));
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
#define TRADE(fields) "{\"e\":\"trade\",\"E\":1,\"T\":1,\"s\":\"BTCUSDT\",\"t\":1,\"q\":\"1\",\"m\":true," fields "}"
#define DEPTH(fields) "{\"e\":\"depthUpdate\",\"E\":1,\"T\":1,\"s\":\"BTCUSDT\",\"U\":1,\"u\":2," fields "}"
    static const struct {
        const char *text;
        int code;
        const char *problem;
    } cases[] = {
        {"", SL_EPROTO, "empty"},
        {"hello", SL_EPROTO, "not an object at byte 0"},
        {"[]", SL_EPROTO, "not an object"},
        {"{}", SL_EPROTO, "unknown form"},
        {"{\"stream\":\"x\"}", SL_EPROTO, "unknown form"},
        {"{\"stream\":\"x\",\"data\":[]}", SL_EPROTO, "unknown form"},
        {"{\"stream\":\"x\",\"data\":{}}", SL_EPROTO, "unknown form"},
        {"{\"a\":1", SL_EPROTO, "byte 6"},
        {"{\"e\":\"trade\"} x", SL_EPROTO, "something follows"},
        {"{\"e\":1}", SL_EPROTO, "\"e\" is of the wrong type"},
        {"{\"e\":{\"x\":1}}", SL_EPROTO, "\"e\" is of the wrong type"},
        {"{\"stream\":\"btcusdt@kline_1m\",\"data\":{\"e\":\"kline\",\"k\":{}}}", SL_ENOTSUP,
         "\"kline\" are not decoded (stream \"btcusdt@kline_1m\")"},
        {"{\"e\":\"serverShutdown\",\"E\":1}", SL_ENOTSUP, "serverShutdown"},
        {"{\"result\":null,\"id\":1}", SL_ENOTSUP, "an answer to a request"},
        {"{\"result\":[\"a@trade\"],\"id\":\"x\"}", SL_ENOTSUP, "an answer to a request"},
        {"{\"code\":-1121,\"msg\":\"Invalid symbol.\"}", SL_EPROTO,
         "the venue answered with error -1121: Invalid symbol."},
        {"{\"error\":{\"code\":2,\"msg\":\"Invalid request\"},\"id\":1}", SL_EPROTO, "error 2: Invalid request"},
        {TRADE("\"x\":1"), SL_EPROTO, "trade: \"p\" is missing"},
        {TRADE("\"p\":1.5"), SL_EPROTO, "trade: \"p\" is of the wrong type"},
        {TRADE("\"p\":\"abc\""), SL_EPROTO, "trade: \"p\" is not a decimal number: \"abc\""},
        {TRADE("\"p\":\"\""), SL_EPROTO, "\"p\" is not a decimal number"},
        {TRADE("\"p\":\"12345678901234567890.1\""), SL_ERANGE, "\"p\" has more digits"},
        {TRADE("\"p\":\"1\",\"t\":\"1\""), SL_EPROTO, "\"t\" is of the wrong type"},
        {TRADE("\"p\":\"1\",\"t\":99999999999999999999"), SL_ERANGE, "\"t\" is no integer of 64 bits"},
        {TRADE("\"p\":\"1\",\"t\":1.5"), SL_ERANGE, "\"t\" is no integer"},
        {TRADE("\"p\":\"1\",\"T\":-1"), SL_ERANGE, "\"T\" is out of range for a time"},
        {TRADE("\"p\":\"1\",\"T\":9223372036854775807"), SL_ERANGE, "\"T\" is out of range for a time"},
        {TRADE("\"p\":\"1\",\"m\":1"), SL_EPROTO, "\"m\" is of the wrong type"},
        {TRADE("\"p\":\"1\",\"s\":\"\""), SL_EMSGSIZE, "\"s\" is empty or too long"},
        {TRADE("\"p\":\"1\",\"s\":\"12345678901234567890123456789012\""), SL_EMSGSIZE, "\"s\" is empty or too long"},
        {TRADE("\"p\":01"), SL_EPROTO, "p: a malformed number at byte"},
        {DEPTH("\"pu\":0"), SL_EPROTO, "depthUpdate: \"b\" is missing"},
        {DEPTH("\"pu\":0,\"b\":[]"), SL_EPROTO, "depthUpdate: \"a\" is missing"},
        {DEPTH("\"b\":[],\"a\":[]"), SL_EPROTO, "depthUpdate: \"pu\" is missing"},
        {DEPTH("\"pu\":0,\"b\":\"1\",\"a\":[]"), SL_EPROTO, "\"b\" is of the wrong type"},
        {DEPTH("\"b\":[1]"), SL_EPROTO, "levels: not an array at byte"},
        {DEPTH("\"b\":[[]]"), SL_EPROTO, "a level with less than a price and a quantity"},
        {DEPTH("\"b\":[[\"1\"]]"), SL_EPROTO, "a level with less than a price and a quantity"},
        {DEPTH("\"b\":[[1,2]]"), SL_EPROTO, "a level: not a string at byte"},
        {DEPTH("\"b\":[[\"1\",\"x\"]]"), SL_EPROTO, "a level: \"x\" is not a decimal number"},
        {DEPTH("\"b\":[[\"1\",\"-1\"]]"), SL_EPROTO, "a negative quantity"},
        {DEPTH("\"b\":[[\"1\",\"2\"}]"), SL_EPROTO, "levels: expected ',' or ']' at byte"},
        {DEPTH("\"b\":[[\"1\",\"1\"]"), SL_EPROTO, "byte"},
        {"{\"lastUpdateId\":1,\"bids\":[],\"symbol\":\"A\"}", SL_EPROTO, "depth snapshot: \"a\" is missing"},
        {"{\"s\":\"\xff\"}", SL_EPROTO, "not valid UTF-8 at byte 6"},
    };
    sl_auto(sl_binance) *decoder = open_decoder(SL_VENUE_BINANCE_USDM);
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        sl_market_event event = {0};
        int code = decode(decoder, cases[at].text, &event);
        if (code != cases[at].code || strstr(sl_binance_problem(decoder), cases[at].problem) == NULL) {
            fail_msg("%s: code %d, %s", cases[at].text, code, sl_binance_problem(decoder));
        }
    }
}

static void foreign_text_in_errors_is_made_harmless(void **state)
{
    (void)state;
    sl_market_event event = {0};
    sl_auto(sl_binance) *decoder = open_decoder(SL_VENUE_BINANCE_USDM);
    assert_int_equal(decode(decoder, "{\"e\":\"\\u001b[31m\\n\xc3\xa9\"}", &event), SL_ENOTSUP);
    for (const char *at = sl_binance_problem(decoder); *at != '\0'; at++) {
        assert_true(*at >= 0x20 && *at < 0x7f);
    }
    char text[5000];
    memset(text, 'x', sizeof(text));
    memcpy(text, "{\"e\":\"", 6);
    memcpy(text + sizeof(text) - 3, "\"}", 3);
    assert_int_equal(decode(decoder, text, &event), SL_ENOTSUP);
    assert_true(strlen(sl_binance_problem(decoder)) < 150);
}

static void the_venues_errors_have_their_number(void **state)
{
    (void)state;
    sl_market_event event = {0};
    sl_auto(sl_binance) *decoder = open_decoder(SL_VENUE_BINANCE_USDM);
    assert_int_equal(decode(decoder, "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}", &event), SL_EPROTO);
    assert_int_equal(sl_binance_error(decoder), SL_BINANCE_NO_SYMBOL);
    assert_int_equal(decode(decoder, "{\"code\":1.5,\"msg\":\"?\"}", &event), SL_EPROTO);
    assert_int_equal(sl_binance_error(decoder), 0);
    assert_int_equal(decode(decoder, "{\"code\":-1003,\"msg\":\"Too many requests.\"}", &event), SL_EPROTO);
    assert_int_equal(sl_binance_error(decoder), -1003);
    assert_int_equal(decode(decoder, "{}", &event), SL_EPROTO);
    assert_int_equal(sl_binance_error(decoder), 0);
}

static void limits_are_named(void **state)
{
    (void)state;
    sl_binance *decoder = NULL;
    sl_market_event event = {0};
    sl_binance_options options = {.venue = SL_VENUE_BINANCE_SPOT, .levels_max = 2, .message_max_bytes = 80};
    assert_int_equal(sl_binance_new(&options, &decoder), 0);
    static const char *const texts[] = {
        "{\"lastUpdateId\":1,\"bids\":[[\"1\",\"1\"],[\"2\",\"1\"]],\"asks\":[]}",
        "{\"lastUpdateId\":1,\"bids\":[[\"1\",\"1\"],[\"2\",\"1\"],[\"3\",\"1\"]],\"asks\":[]}",
        "{\"lastUpdateId\":1,\"bids\":[[\"1.0000000000000000000000000000000000000000000\",\"1\"]],\"asks\":[]}"};
    assert_int_equal(decode_for(decoder, texts[0], "A", &event), 0);
    assert_int_equal(decode_for(decoder, texts[1], "A", &event), SL_EMSGSIZE);
    assert_non_null(strstr(sl_binance_problem(decoder), "more than 2 levels"));
    assert_int_equal(decode_for(decoder, texts[2], "A", &event), SL_EMSGSIZE);
    assert_non_null(strstr(sl_binance_problem(decoder), "too large"));
    sl_binance_free(decoder);
    options.venue = SL_VENUE_NONE;
    assert_int_equal(sl_binance_new(&options, &decoder), SL_EINVAL);
    options = (sl_binance_options){.venue = SL_VENUE_BINANCE_SPOT, .levels_max = SL_BINANCE_LEVELS_MAX + 1};
    assert_int_equal(sl_binance_new(&options, &decoder), SL_EINVAL);
}

/* A message cut off anywhere, or with any one byte changed, gives an event or an error; AddressSanitizer watches. */
static void damaged_messages_are_harmless(void **state)
{
    (void)state;
    static const char text[] = "{\"stream\":\"btcusdt@depth@0ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":1723161256299,"
                               "\"T\":1723161256298,\"s\":\"BTCUSDT\",\"U\":5123107832006,\"u\":5123107837557,"
                               "\"pu\":5123107831937,\"b\":[[\"58710.20\",\"0.014\"],[\"61496.50\",\"0.010\"]],"
                               "\"a\":[[\"61510.90\",\"0.000\"]]}}";
    sl_auto(sl_binance) *decoder = open_decoder(SL_VENUE_BINANCE_USDM);
    char damaged[sizeof(text)];
    int decoded = 0;
    for (size_t at = 0; at < sizeof(text) - 1; at++) {
        sl_market_event event = {0};
        memcpy(damaged, text, sizeof(text));
        damaged[at] = '\0';
        assert_true(decode(decoder, damaged, &event) < 0);
        for (int byte = 1; byte < 256; byte++) {
            damaged[at] = (char)byte;
            damaged[sizeof(text) - 1] = '\0';
            decoded += decode(decoder, damaged, &event) == 0;
        }
    }
    assert_true(decoded > 255);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    static char text[20000];
    size_t length = (size_t)snprintf(text, sizeof(text), "{\"lastUpdateId\":1,\"asks\":[],\"bids\":[[\"0\",\"1\"]");
    for (int at = 1; at < 700; at++) {
        length += (size_t)snprintf(text + length, sizeof(text) - length, ",[\"%d\",\"1\"]", at);
    }
    (void)snprintf(text + length, sizeof(text) - length, "]}");
    int64_t held = sl_memory_held();
    bool done = false;
    int64_t n = 0;
    for (; !done; n++) {
        sl_binance *decoder = NULL;
        sl_market_event event = {0};
        sl_binance_options options = {.venue = SL_VENUE_BINANCE_SPOT};
        sl_binance_message message = {.text = text, .size_bytes = strlen(text), .instrument = "A"};
        sl_memory_fail_after(n);
        int code = sl_binance_new(&options, &decoder);
        code = code < 0 ? code : sl_binance_decode(decoder, &message, &event);
        sl_memory_fail_after(-1);
        done = code == 0;
        assert_true(done || code == SL_ENOMEM);
        if (decoder != NULL) {
            assert_int_equal(sl_binance_decode(decoder, &message, &event), 0); /* still usable */
            assert_int_equal(event.as.snapshot.levels.bid_count, 700);
        }
        sl_binance_free(decoder);
        assert_int_equal(sl_memory_held(), held);
    }
    assert_true(n >= 5);
}

static void stream_names_and_paths(void **state)
{
    (void)state;
    static const struct {
        sl_venue venue;
        sl_binance_stream stream;
        const char *expected;
    } names[] = {
        {SL_VENUE_BINANCE_SPOT, {SL_FEED_TRADES, "BTCUSDT", 0}, "btcusdt@trade"},
        {SL_VENUE_BINANCE_SPOT, {SL_FEED_AGG_TRADES, "btcusdt", 0}, "btcusdt@aggTrade"},
        {SL_VENUE_BINANCE_SPOT, {SL_FEED_BEST, "1000SATSUSDT", 0}, "1000satsusdt@bookTicker"},
        {SL_VENUE_BINANCE_SPOT, {SL_FEED_DEPTH, "BTCUSDT", 0}, "btcusdt@depth@100ms"},
        {SL_VENUE_BINANCE_SPOT, {SL_FEED_DEPTH, "BTCUSDT", 1000}, "btcusdt@depth"},
        {SL_VENUE_BINANCE_USDM, {SL_FEED_DEPTH, "BTCUSDT", 0}, "btcusdt@depth@0ms"},
        {SL_VENUE_BINANCE_USDM, {SL_FEED_DEPTH, "BTCUSDT", 100}, "btcusdt@depth@100ms"},
        {SL_VENUE_BINANCE_USDM, {SL_FEED_DEPTH, "BTCUSDT", 250}, "btcusdt@depth"},
        {SL_VENUE_BINANCE_COINM, {SL_FEED_DEPTH, "BTCUSD_PERP", 500}, "btcusd_perp@depth@500ms"},
    };
    char buffer[256];
    for (size_t at = 0; at < sizeof(names) / sizeof(names[0]); at++) {
        int length = sl_binance_stream_name(names[at].venue, &names[at].stream, buffer, sizeof(buffer));
        assert_int_equal(length, strlen(names[at].expected));
        assert_string_equal(buffer, names[at].expected);
        assert_int_equal(sl_binance_stream_name(names[at].venue, &names[at].stream, buffer, (size_t)length),
                         SL_EMSGSIZE);
    }
    sl_binance_stream streams[] = {{SL_FEED_DEPTH, "BTCUSDT", 0}, {SL_FEED_TRADES, "ETHUSDT", 0}};
    assert_true(sl_binance_stream_path(SL_VENUE_BINANCE_SPOT, streams, 2, buffer, sizeof(buffer)) > 0);
    assert_string_equal(buffer, "/stream?streams=btcusdt@depth@100ms/ethusdt@trade");
    assert_true(sl_binance_stream_path(SL_VENUE_BINANCE_USDM, streams, 2, buffer, sizeof(buffer)) > 0);
    assert_string_equal(buffer, "/public/stream?streams=btcusdt@depth@0ms/ethusdt@trade");
    streams[1].feed = SL_FEED_AGG_TRADES;
    assert_int_equal(sl_binance_stream_path(SL_VENUE_BINANCE_USDM, streams, 2, buffer, sizeof(buffer)), SL_EINVAL);
    assert_true(sl_binance_stream_path(SL_VENUE_BINANCE_USDM, &streams[1], 1, buffer, sizeof(buffer)) > 0);
    assert_string_equal(buffer, "/market/stream?streams=ethusdt@aggTrade");
    assert_int_equal(sl_binance_stream_path(SL_VENUE_BINANCE_USDM, streams, 0, buffer, sizeof(buffer)), SL_EINVAL);
    assert_int_equal(sl_binance_stream_path(SL_VENUE_BINANCE_USDM, streams, 1, buffer, 10), SL_EMSGSIZE);
}

static void bad_names_are_refused(void **state)
{
    (void)state;
    static const char *const symbols[] = {
        "", "BTC USDT", "BTC/USDT", "BTC?x=1", "BTC-USDT", "\xc3\xa9", "A2345678901234567890123456789012"};
    char buffer[256];
    for (size_t at = 0; at < sizeof(symbols) / sizeof(symbols[0]); at++) {
        sl_binance_stream stream = {SL_FEED_TRADES, symbols[at], 0};
        assert_int_equal(sl_binance_stream_name(SL_VENUE_BINANCE_SPOT, &stream, buffer, sizeof(buffer)), SL_EINVAL);
        assert_int_equal(sl_binance_depth_path(SL_VENUE_BINANCE_SPOT, symbols[at], 5, buffer, sizeof(buffer)),
                         SL_EINVAL);
    }
    sl_binance_stream stream = {SL_FEED_SNAPSHOT, "BTCUSDT", 0};
    assert_int_equal(sl_binance_stream_name(SL_VENUE_BINANCE_SPOT, &stream, buffer, sizeof(buffer)), SL_EINVAL);
    stream = (sl_binance_stream){SL_FEED_TRADES, "BTCUSDT", 100};
    assert_int_equal(sl_binance_stream_name(SL_VENUE_BINANCE_SPOT, &stream, buffer, sizeof(buffer)), SL_EINVAL);
    assert_int_equal(sl_binance_stream_name(SL_VENUE_NONE, &stream, buffer, sizeof(buffer)), SL_EINVAL);
}

static void depth_requests(void **state)
{
    (void)state;
    char buffer[128];
    assert_true(sl_binance_depth_path(SL_VENUE_BINANCE_SPOT, "btcusdt", 5000, buffer, sizeof(buffer)) > 0);
    assert_string_equal(buffer, "/api/v3/depth?symbol=BTCUSDT&limit=5000");
    assert_true(sl_binance_depth_path(SL_VENUE_BINANCE_USDM, "BTCUSDT", 1000, buffer, sizeof(buffer)) > 0);
    assert_string_equal(buffer, "/fapi/v1/depth?symbol=BTCUSDT&limit=1000");
    assert_true(sl_binance_depth_path(SL_VENUE_BINANCE_COINM, "BTCUSD_PERP", 5, buffer, sizeof(buffer)) > 0);
    assert_string_equal(buffer, "/dapi/v1/depth?symbol=BTCUSD_PERP&limit=5");
    assert_int_equal(sl_binance_depth_path(SL_VENUE_BINANCE_USDM, "BTCUSDT", 5000, buffer, sizeof(buffer)), SL_EINVAL);
    assert_int_equal(sl_binance_depth_path(SL_VENUE_BINANCE_SPOT, "BTCUSDT", 0, buffer, sizeof(buffer)), SL_EINVAL);
    assert_int_equal(sl_binance_depth_path(SL_VENUE_BINANCE_SPOT, "BTCUSDT", 5, buffer, 20), SL_EMSGSIZE);
    assert_int_equal(sl_binance_depth_limit(SL_VENUE_BINANCE_SPOT), 5000);
    assert_int_equal(sl_binance_depth_limit(SL_VENUE_NONE), 0);
    assert_string_equal(sl_binance_stream_origin(SL_VENUE_BINANCE_USDM), "wss://fstream.binance.com");
    assert_string_equal(sl_binance_rest_origin(SL_VENUE_BINANCE_SPOT), "https://api.binance.com");
    assert_null(sl_binance_rest_origin(SL_VENUE_NONE));
}

SL_TEST_MAIN(cmocka_unit_test(trades), cmocka_unit_test(aggregate_trades), cmocka_unit_test(depth_updates),
             cmocka_unit_test(best_bid_and_offer), cmocka_unit_test(snapshots), cmocka_unit_test(what_is_wrong_is_told),
             cmocka_unit_test(the_venues_errors_have_their_number),
             cmocka_unit_test(foreign_text_in_errors_is_made_harmless), cmocka_unit_test(limits_are_named),
             cmocka_unit_test(damaged_messages_are_harmless), cmocka_unit_test(survives_every_failed_allocation),
             cmocka_unit_test(stream_names_and_paths), cmocka_unit_test(bad_names_are_refused),
             cmocka_unit_test(depth_requests))
