/* SPDX-License-Identifier: MIT */
/* Binance's streams: messages as the venue writes them, messages as it should not. */
#include "sl_test.h"

#include <string.h>

#include "market_kit.h"

/* The one event that a message gives. */
static const sl_market_event *event_of(struct market_kit *kit, const char *text)
{
    int code = market_kit_decode(kit, text);
    if (code != 0 || kit->event_count != 1 || kit->notice_count != 0) {
        fail_msg("%s: code %d, %zu events, %s", text, code, kit->event_count, sl_venue_problem(kit->decoder));
    }
    return &kit->events[0];
}

static void trades(void **state)
{
    (void)state;
    struct market_kit *usdm = market_kit_open(SL_VENUE_BINANCE_USDM, "BTCUSDT");
    const sl_market_event *event =
        event_of(usdm, "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1723161256322,"
                       "\"T\":1723161256321,\"s\":\"BTCUSDT\",\"t\":5266583935,\"p\":\"61800.30\",\"q\":\"0.006\","
                       "\"X\":\"MARKET\",\"m\":false}}");
    assert_int_equal(event->kind, SL_EVENT_TRADE);
    assert_int_equal(event->feed, SL_FEED_TRADES);
    assert_int_equal(event->connection, 3);
    assert_int_equal(event->receive_time_ns, 42);
    assert_true(event->venue_time_ns == INT64_C(1723161256321000000));
    assert_true(event->sent_time_ns == INT64_C(1723161256322000000));
    assert_ptr_equal(event->instrument, market_kit_instrument(usdm, "BTCUSDT"));
    assert_true(event->as.trade.id == INT64_C(5266583935));
    assert_true(event->as.trade.first_id == event->as.trade.id && event->as.trade.last_id == event->as.trade.id);
    market_kit_assert_decimal(event->as.trade.price, "61800.30");
    market_kit_assert_decimal(event->as.trade.quantity, "0.006");
    assert_int_equal(event->as.trade.taker, SL_SIDE_BUY);
    assert_false(event->as.trade.off_book);

    event = event_of(usdm, "{\"e\":\"trade\",\"E\":1,\"T\":1,\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"0\",\"q\":\"0\","
                           "\"X\":\"NA\",\"m\":true}");
    assert_true(event->as.trade.off_book);
    assert_int_equal(event->as.trade.taker, SL_SIDE_SELL);
    assert_int_equal(usdm->decoder->stats.decoded, 2);
    assert_int_equal(usdm->decoder->stats.events, 2);
    market_kit_close(usdm);

    /* spot, with times in microseconds, fields in another order and unknown ones */
    struct market_kit *spot = market_kit_open(SL_VENUE_BINANCE_SPOT, "BTCUSDT");
    event =
        event_of(spot, "{\"m\":true,\"M\":true,\"new\":{\"x\":[1,{}]},\"q\":\"0.02000000\",\"p\":\"61837.63000000\","
                       "\"t\":3735683259,\"s\":\"BTCUSDT\",\"T\":1723161255342123,\"E\":1723161255343456,"
                       "\"e\":\"trade\"}");
    assert_true(event->venue_time_ns == INT64_C(1723161255342123000));
    assert_true(event->sent_time_ns == INT64_C(1723161255343456000));
    market_kit_assert_decimal(event->as.trade.price, "61837.63000000");
    market_kit_close(spot);
}

static void aggregate_trades(void **state)
{
    (void)state;
    struct market_kit *usdm = market_kit_open(SL_VENUE_BINANCE_USDM, "BTCUSDT");
    const sl_market_event *event =
        event_of(usdm, "{\"e\":\"aggTrade\",\"E\":123456789,\"s\":\"BTCUSDT\",\"a\":5933014,\"p\":\"0.001\","
                       "\"q\":\"100\",\"f\":100,\"l\":105,\"T\":123456785,\"m\":true}");
    assert_int_equal(event->feed, SL_FEED_AGG_TRADES);
    assert_int_equal(event->as.trade.id, 5933014);
    assert_int_equal(event->as.trade.first_id, 100);
    assert_int_equal(event->as.trade.last_id, 105);
    market_kit_close(usdm);
}

static void depth_updates(void **state)
{
    (void)state;
    struct market_kit *usdm = market_kit_open(SL_VENUE_BINANCE_USDM, "BTCUSDT");
    const sl_market_event *event =
        event_of(usdm, "{\"stream\":\"btcusdt@depth@0ms\", \"data\":{\"e\":\"depthUpdate\",\"E\":1723161256299,"
                       "\"T\":1723161256298,\"s\":\"BTCUSDT\",\"U\":5123107832006,\"u\":5123107837557,"
                       "\"pu\":5123107831937,\"b\":[[\"58710.20\",\"0.014\"],[\"61496.50\",\"0.010\"]],"
                       "\"a\":[[\"61510.90\",\"0.000\",[]]],\"ps\":\"BTCUSDT\",\"st\":1} }");
    assert_int_equal(event->kind, SL_EVENT_BOOK_DELTA);
    assert_int_equal(event->feed, SL_FEED_DEPTH);
    const sl_book_delta *delta = &event->as.delta;
    assert_true(delta->first_id == INT64_C(5123107832006));
    assert_true(delta->last_id == INT64_C(5123107837557));
    assert_true(delta->has_previous);
    assert_true(delta->previous_id == INT64_C(5123107831937));
    assert_false(delta->checksum.given);
    assert_int_equal(delta->levels.bid_count, 2);
    assert_int_equal(delta->levels.ask_count, 1);
    market_kit_assert_level(&delta->levels.bids[0], "58710.20", "0.014");
    market_kit_assert_level(&delta->levels.bids[1], "61496.50", "0.010");
    market_kit_assert_level(&delta->levels.asks[0], "61510.90", "0.000");
    market_kit_close(usdm);

    struct market_kit *spot = market_kit_open(SL_VENUE_BINANCE_SPOT, "BTCUSDT");
    event = event_of(spot, "{\"e\":\"depthUpdate\",\"E\":1723161255208,\"s\":\"BTCUSDT\",\"U\":157,\"u\":160,"
                           "\"b\":[],\"a\":[]}");
    assert_false(event->as.delta.has_previous);
    assert_int_equal(event->as.delta.levels.bid_count, 0);
    assert_true(event->venue_time_ns == event->sent_time_ns);
    market_kit_close(spot);
}

static void partial_books(void **state)
{
    (void)state;
    struct market_kit *spot = market_kit_open(SL_VENUE_BINANCE_SPOT, "BTCUSDT");
    static const char text[] = "{\"lastUpdateId\":160,\"bids\":[[\"0.0024\",\"10\"]],\"asks\":[[\"0.0026\",\"100\"]]}";
    char combined[256];
    (void)snprintf(combined, sizeof(combined), "{\"stream\":\"btcusdt@depth20@100ms\",\"data\":%s}", text);
    const sl_market_event *event = event_of(spot, combined);
    assert_int_equal(event->kind, SL_EVENT_BOOK_SNAPSHOT);
    assert_int_equal(event->feed, SL_FEED_DEPTH);
    assert_ptr_equal(event->instrument, market_kit_instrument(spot, "BTCUSDT"));
    assert_int_equal(event->as.snapshot.depth, 20);
    assert_int_equal(event->as.snapshot.last_id, 160);
    market_kit_assert_level(&event->as.snapshot.levels.asks[0], "0.0026", "100");
    (void)snprintf(combined, sizeof(combined), "{\"data\":%s,\"stream\":\"ethusdt@depth5\"}", text);
    assert_int_equal(market_kit_decode(spot, combined), 0); /* not wanted */
    assert_int_equal(spot->event_count, 0);
    assert_int_equal(spot->decoder->stats.unknown_symbols, 1);
    assert_int_equal(market_kit_decode(spot, text), SL_EPROTO);
    assert_non_null(strstr(sl_venue_problem(spot->decoder), "names no instrument"));
    market_kit_close(spot);

    /* futures send them as depthUpdate; only the stream's name tells */
    struct market_kit *usdm = market_kit_open(SL_VENUE_BINANCE_USDM, "BTCUSDT");
    event = event_of(usdm, "{\"stream\":\"btcusdt@depth5@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":2,\"T\":1,"
                           "\"s\":\"BTCUSDT\",\"U\":3,\"u\":9,\"pu\":2,\"b\":[[\"1\",\"1\"]],\"a\":[[\"2\",\"1\"]]}}");
    assert_int_equal(event->kind, SL_EVENT_BOOK_SNAPSHOT);
    assert_int_equal(event->as.snapshot.depth, 5);
    assert_int_equal(event->as.snapshot.last_id, 9);
    assert_int_equal(event->venue_time_ns, 1000000);
    market_kit_close(usdm);
}

static void best_bid_and_offer(void **state)
{
    (void)state;
    struct market_kit *spot = market_kit_open(SL_VENUE_BINANCE_SPOT, "BNBUSDT");
    const sl_market_event *event =
        event_of(spot, "{\"u\":400900217,\"s\":\"BNBUSDT\",\"b\":\"25.35190000\",\"B\":\"31.21000000\","
                       "\"a\":\"25.36520000\",\"A\":\"40.66000000\"}");
    assert_int_equal(event->kind, SL_EVENT_BEST);
    assert_int_equal(event->venue_time_ns, 0); /* spot tells no time */
    assert_int_equal(event->as.best.update_id, 400900217);
    market_kit_assert_level(&event->as.best.bid, "25.35190000", "31.21000000");
    market_kit_assert_level(&event->as.best.ask, "25.36520000", "40.66000000");
    market_kit_close(spot);

    struct market_kit *coinm = market_kit_open(SL_VENUE_BINANCE_COINM, "BTCUSD_PERP");
    event = event_of(coinm, "{\"stream\":\"btcusd_perp@bookTicker\",\"data\":{\"u\":1007198632021,\"e\":\"bookTicker\","
                            "\"s\":\"BTCUSD_PERP\",\"ps\":\"BTCUSD\",\"b\":\"61804.7\",\"B\":\"35\",\"a\":\"61804.8\","
                            "\"A\":\"1645\",\"T\":1723161257465,\"E\":1723161257476}}");
    assert_true(event->venue_time_ns == INT64_C(1723161257465000000));
    market_kit_close(coinm);
}

/* Figures as the venue's documentation has them. */
static void tickers_candles_funding_and_liquidations(void **state)
{
    (void)state;
    struct market_kit *spot = market_kit_open(SL_VENUE_BINANCE_SPOT, "BNBBTC");
    const sl_market_event *event = event_of(
        spot, "{\"e\":\"24hrTicker\",\"E\":1672515782136,\"s\":\"BNBBTC\",\"p\":\"0.0015\",\"P\":\"250.00\","
              "\"w\":\"0.0018\",\"x\":\"0.0009\",\"c\":\"0.0025\",\"Q\":\"10\",\"b\":\"0.0024\",\"B\":\"10\","
              "\"a\":\"0.0026\",\"A\":\"100\",\"o\":\"0.0010\",\"h\":\"0.0025\",\"l\":\"0.0010\",\"v\":\"10000\","
              "\"q\":\"18\",\"O\":0,\"C\":1675216573749,\"F\":0,\"L\":18150,\"n\":18151}");
    assert_int_equal(event->kind, SL_EVENT_TICKER);
    market_kit_assert_decimal(event->as.ticker.last, "0.0025");
    market_kit_assert_decimal(event->as.ticker.open, "0.0010");
    market_kit_assert_decimal(event->as.ticker.volume, "10000");
    market_kit_assert_decimal(event->as.ticker.quote_volume, "18");
    market_kit_assert_level(&event->as.ticker.ask, "0.0026", "100");
    event = event_of(spot, "{\"e\":\"kline\",\"E\":1672515782136,\"s\":\"BNBBTC\",\"k\":{\"t\":1672515780000,"
                           "\"T\":1672515839999,\"s\":\"BNBBTC\",\"i\":\"1m\",\"f\":100,\"L\":200,\"o\":\"0.0010\","
                           "\"c\":\"0.0020\",\"h\":\"0.0025\",\"l\":\"0.0015\",\"v\":\"1000\",\"n\":100,\"x\":false,"
                           "\"q\":\"1.0000\",\"V\":\"500\",\"Q\":\"0.500\",\"B\":\"123456\"}}");
    assert_int_equal(event->kind, SL_EVENT_CANDLE);
    assert_true(event->as.candle.open_time_ns == INT64_C(1672515780000000000));
    assert_true(event->as.candle.interval_ns == INT64_C(60000000000));
    market_kit_assert_decimal(event->as.candle.open, "0.0010");
    market_kit_assert_decimal(event->as.candle.close, "0.0020");
    market_kit_assert_decimal(event->as.candle.high, "0.0025");
    market_kit_assert_decimal(event->as.candle.low, "0.0015");
    market_kit_assert_decimal(event->as.candle.volume, "1000");
    assert_int_equal(event->as.candle.trades, 100);
    assert_false(event->as.candle.closed);
    assert_int_equal(market_kit_decode(spot, "{\"e\":\"kline\",\"E\":1,\"s\":\"BNBBTC\",\"k\":1}"), SL_EPROTO);
    assert_int_equal(market_kit_decode(spot, "{\"e\":\"kline\",\"E\":1,\"s\":\"BNBBTC\"}"), SL_EPROTO);
    market_kit_close(spot);

    struct market_kit *usdm = market_kit_open(SL_VENUE_BINANCE_USDM, "BTCUSDT BTCUSDT_240927");
    event = event_of(usdm, "{\"e\":\"markPriceUpdate\",\"E\":1562305380000,\"s\":\"BTCUSDT\",\"p\":\"11794.15000000\","
                           "\"i\":\"11784.62659091\",\"P\":\"11784.25641265\",\"r\":\"0.00038167\","
                           "\"T\":1562306400000}");
    assert_int_equal(event->kind, SL_EVENT_FUNDING);
    market_kit_assert_decimal(event->as.funding.mark_price, "11794.15000000");
    market_kit_assert_decimal(event->as.funding.index_price, "11784.62659091");
    market_kit_assert_decimal(event->as.funding.rate, "0.00038167");
    assert_true(event->as.funding.next_time_ns == INT64_C(1562306400000000000));
    assert_true(event->as.funding.has_mark && event->as.funding.has_index && event->as.funding.has_rate);
    event = event_of(usdm, "{\"e\":\"markPriceUpdate\",\"E\":1,\"s\":\"BTCUSDT_240927\",\"p\":\"1\",\"P\":\"1\","
                           "\"r\":\"\",\"T\":0}");
    assert_false(event->as.funding.has_rate || event->as.funding.has_index);
    event = event_of(usdm, "{\"e\":\"forceOrder\",\"E\":1568014460893,\"o\":{\"s\":\"BTCUSDT\",\"S\":\"SELL\","
                           "\"o\":\"LIMIT\",\"f\":\"IOC\",\"q\":\"0.014\",\"p\":\"9910\",\"ap\":\"9910\","
                           "\"X\":\"FILLED\",\"l\":\"0.014\",\"z\":\"0.014\",\"T\":1568014460893}}");
    assert_int_equal(event->kind, SL_EVENT_LIQUIDATION);
    assert_int_equal(event->as.liquidation.side, SL_SIDE_SELL);
    market_kit_assert_decimal(event->as.liquidation.price, "9910");
    market_kit_assert_decimal(event->as.liquidation.quantity, "0.014");
    event = event_of(usdm, "{\"e\":\"contractInfo\",\"E\":1669356423908,\"s\":\"BTCUSDT\",\"ps\":\"BTCUSDT\","
                           "\"ct\":\"PERPETUAL\",\"dt\":4133404800000,\"ot\":1569398400000,\"cs\":\"SETTLING\","
                           "\"bks\":[{\"bs\":1,\"bnf\":0}]}");
    assert_int_equal(event->kind, SL_EVENT_STATUS);
    assert_int_equal(event->as.status, SL_STATUS_HALTED);
    market_kit_close(usdm);
}

static void notices(void **state)
{
    (void)state;
    struct market_kit *kit = market_kit_open(SL_VENUE_BINANCE_SPOT, "BTCUSDT");
    static const struct {
        const char *text;
        sl_notice_kind kind;
        int64_t id, code;
        const char *said;
    } cases[] = {
        {"{\"result\":null,\"id\":7}", SL_NOTICE_SUBSCRIBED, 7, 0, ""},
        {"{\"result\":[\"btcusdt@trade\"],\"id\":8}", SL_NOTICE_SUBSCRIBED, 8, 0, ""},
        {"{\"result\":null,\"id\":\"own\"}", SL_NOTICE_SUBSCRIBED, 0, 0, ""},
        {"{\"error\":{\"code\":2,\"msg\":\"Invalid request\"},\"id\":1}", SL_NOTICE_REFUSED, 1, 2, "Invalid request"},
        {"{\"code\":3,\"msg\":\"Invalid JSON\",\"id\":9}", SL_NOTICE_REFUSED, 9, 3, "Invalid JSON"},
        {"{\"code\":-1121,\"msg\":\"Invalid symbol.\"}", SL_NOTICE_ERROR, 0, -1121, "Invalid symbol."},
        {"{\"e\":\"serverShutdown\",\"E\":1770123456789}", SL_NOTICE_RECONNECT, 0, 0, ""},
        {"{\"stream\":\"!serverShutdown\",\"data\":{\"e\":\"serverShutdown\",\"E\":1}}", SL_NOTICE_RECONNECT, 0, 0, ""},
    };
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        assert_int_equal(market_kit_decode_message(
                             kit, &(sl_venue_message){.text = cases[at].text, .size_bytes = strlen(cases[at].text)}),
                         0);
        assert_int_equal(kit->event_count, 0);
        assert_int_equal(kit->notice_count, 1);
        const sl_venue_notice *notice = &kit->notices[0];
        assert_int_equal(notice->kind, cases[at].kind);
        assert_int_equal(notice->request_id, cases[at].id);
        assert_int_equal(notice->code, cases[at].code);
        assert_int_equal(notice->text.size_bytes, strlen(cases[at].said));
        assert_memory_equal(notice->text.size_bytes == 0 ? "" : notice->text.data, cases[at].said,
                            strlen(cases[at].said));
    }
    assert_int_equal(kit->decoder->stats.notices, sizeof(cases) / sizeof(cases[0]));
    assert_int_equal(kit->decoder->stats.decoded + kit->decoder->stats.bad + kit->decoder->stats.unknown, 0);
    market_kit_close(kit);
}

#define TRADE(fields) "{\"e\":\"trade\",\"E\":1,\"T\":1,\"s\":\"BTCUSDT\",\"t\":1,\"q\":\"1\",\"m\":true," fields "}"
#define DEPTH(fields) "{\"e\":\"depthUpdate\",\"E\":1,\"T\":1,\"s\":\"BTCUSDT\",\"U\":1,\"u\":2," fields "}"
static const struct {
    const char *text;
    int code;
    const char *problem;
} wrong_messages[] = {
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
    {"{\"stream\":\"btcusdt@new\",\"data\":{\"e\":\"new\",\"k\":{}}}", SL_ENOTSUP,
     "\"new\" are not decoded (stream \"btcusdt@new\")"},
    {"{\"code\":1.5,\"msg\":\"?\"}", SL_ERANGE, "\"code\" is no integer"},
    {TRADE("\"x\":1"), SL_EPROTO, "trade: \"p\" is missing"},
    {TRADE("\"p\":1.5"), SL_EPROTO, "trade: \"p\" is of the wrong type"},
    {TRADE("\"p\":\"abc\""), SL_EPROTO, "trade: \"p\" is not a decimal number: \"abc\""},
    {TRADE("\"p\":\"\""), SL_EPROTO, "\"p\" is not a decimal number"},
    {TRADE("\"p\":\"123456789012345678901234567890123456789.1\""), SL_ERANGE, "\"p\" has more digits"},
    {TRADE("\"p\":\"1\",\"t\":\"1\""), SL_EPROTO, "\"t\" is of the wrong type"},
    {TRADE("\"p\":\"1\",\"t\":99999999999999999999"), SL_ERANGE, "\"t\" is no integer of 64 bits"},
    {TRADE("\"p\":\"1\",\"t\":1.5"), SL_ERANGE, "\"t\" is no integer"},
    {"{\"e\":\"trade\",\"E\":1,\"T\":1,\"s\":\"BTCUSDT\",\"t\":9223372036854775807,\"p\":\"1\",\"q\":\"1\",\"m\":"
     "true}",
     SL_EPROTO, "a trade of BTCUSDT has the id 9223372036854775807"},
    {"{\"e\":\"aggTrade\",\"E\":1,\"T\":1,\"s\":\"BTCUSDT\",\"a\":7,\"f\":9,\"l\":8,\"p\":\"1\",\"q\":\"1\",\"m\":"
     "true}",
     SL_EPROTO, "a trade of BTCUSDT has the id 7, of trades 9 to 8"},
    {TRADE("\"p\":\"1\",\"T\":-1"), SL_ERANGE, "\"T\" is out of range for a time"},
    {TRADE("\"p\":\"1\",\"T\":9223372036854775807"), SL_ERANGE, "\"T\" is out of range for a time"},
    {TRADE("\"p\":\"1\",\"m\":1"), SL_EPROTO, "\"m\" is of the wrong type"},
    {TRADE("\"p\":\"1\",\"s\":1"), SL_EPROTO, "\"s\" is of the wrong type"},
    {TRADE("\"p\":01"), SL_EPROTO, "message: a malformed number at byte"},
    {DEPTH("\"pu\":0"), SL_EPROTO, "depthUpdate: \"b\" is missing"},
    {DEPTH("\"pu\":0,\"b\":[]"), SL_EPROTO, "depthUpdate: \"a\" is missing"},
    {DEPTH("\"b\":[],\"a\":[]"), SL_EPROTO, "depthUpdate: \"pu\" is missing"},
    {DEPTH("\"pu\":0,\"b\":\"1\",\"a\":[]"), SL_EPROTO, "\"b\" is of the wrong type"},
    {DEPTH("\"b\":[1]"), SL_EPROTO, "levels: not an array at byte"},
    {DEPTH("\"b\":[[]]"), SL_EPROTO, "levels: less than two elements"},
    {DEPTH("\"b\":[[\"1\"]]"), SL_EPROTO, "levels: less than two elements"},
    {DEPTH("\"b\":[[1,2]]"), SL_EPROTO, "levels: not a string at byte"},
    {DEPTH("\"b\":[[\"1\",\"x\"]]"), SL_EPROTO, "a level: \"x\" is not a decimal number"},
    {DEPTH("\"b\":[[\"1\",\"-1\"]]"), SL_EPROTO, "a negative quantity"},
    {DEPTH("\"b\":[[\"1\",\"2\"}]"), SL_EPROTO, "levels: expected ',' or ']' at byte"},
    {DEPTH("\"b\":[[\"1\",\"1\"]"), SL_EPROTO, "byte"},
    {"{\"e\":\"kline\",\"E\":1,\"k\":{\"s\":\"BTCUSDT\",\"t\":5,\"T\":4,\"o\":\"1\",\"h\":\"1\",\"l\":\"1\","
     "\"c\":\"1\",\"v\":\"1\",\"n\":1,\"x\":true}}",
     SL_EPROTO, "kline: it ends before it begins"},
    {"{\"e\":\"forceOrder\",\"E\":1,\"o\":{\"s\":\"BTCUSDT\",\"T\":4,\"p\":\"1\",\"q\":\"1\",\"S\":\"X\"}}", SL_EPROTO,
     "neither BUY nor SELL"},
    {"{\"s\":\"\xff\"}", SL_EPROTO, "not valid UTF-8 at byte 6"},
};

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    struct market_kit *kit = market_kit_open(SL_VENUE_BINANCE_USDM, "BTCUSDT");
    for (size_t at = 0; at < sizeof(wrong_messages) / sizeof(wrong_messages[0]); at++) {
        int code = market_kit_decode(kit, wrong_messages[at].text);
        if (code != wrong_messages[at].code ||
            strstr(sl_venue_problem(kit->decoder), wrong_messages[at].problem) == NULL) {
            fail_msg("%s: code %d, %s", wrong_messages[at].text, code, sl_venue_problem(kit->decoder));
        }
        assert_int_equal(kit->event_count, 0);
    }
    assert_int_equal(kit->decoder->stats.unknown, 1);
    assert_int_equal(kit->decoder->stats.bad, sizeof(wrong_messages) / sizeof(wrong_messages[0]) - 1);
    /* an instrument that is not wanted is none of these */
    assert_int_equal(market_kit_decode(kit, "{\"e\":\"trade\",\"E\":1,\"T\":1,\"s\":\"OTHER\",\"t\":1}"), 0);
    assert_int_equal(kit->decoder->stats.decoded, 1);
    assert_int_equal(kit->decoder->stats.unknown_symbols, 1);
    market_kit_close(kit);
}

static void foreign_text_in_errors_is_made_harmless(void **state)
{
    (void)state;
    struct market_kit *kit = market_kit_open(SL_VENUE_BINANCE_USDM, "BTCUSDT");
    assert_int_equal(market_kit_decode(kit, "{\"e\":\"\\u001b[31m\\n\xc3\xa9\"}"), SL_ENOTSUP);
    for (const char *at = sl_venue_problem(kit->decoder); *at != '\0'; at++) {
        assert_true(*at >= 0x20 && *at < 0x7f);
    }
    char text[5000];
    memset(text, 'x', sizeof(text));
    memcpy(text, "{\"e\":\"", 6);
    memcpy(text + sizeof(text) - 3, "\"}", 3);
    assert_int_equal(market_kit_decode(kit, text), SL_ENOTSUP);
    assert_true(strlen(sl_venue_problem(kit->decoder)) < 150);
    market_kit_close(kit);
}

static int refuse_event(void *arg, const sl_market_event *event)
{
    (void)arg;
    (void)event;
    return SL_ECANCELED;
}

/* What an output returns ends the message and is returned; it is not the message's fault. */
static void outputs_may_refuse(void **state)
{
    (void)state;
    struct market_kit *kit = market_kit_open(SL_VENUE_BINANCE_SPOT, "BTCUSDT");
    const sl_venue_output output = {.event = refuse_event};
    static const char text[] = "{\"u\":4,\"s\":\"BTCUSDT\",\"b\":\"25\",\"B\":\"31\",\"a\":\"26\",\"A\":\"40\"}";
    const sl_venue_message message = {.text = text, .size_bytes = sizeof(text) - 1};
    assert_int_equal(sl_venue_decode(kit->decoder, &message, &output), SL_ECANCELED);
    assert_int_equal(kit->decoder->stats.decoded, 1);
    assert_int_equal(kit->decoder->stats.bad, 0);
    market_kit_close(kit);
}

static void limits_are_named(void **state)
{
    (void)state;
    sl_venue_decoder *decoder = NULL;
    struct market_kit *kit = market_kit_open(SL_VENUE_BINANCE_USDM, "A");
    sl_venue_decoder_options options = {
        .venue = SL_VENUE_BINANCE_USDM, .instruments = kit->instruments, .levels_max = 2, .message_max_bytes = 120};
    sl_venue_decoder_free(kit->decoder);
    assert_int_equal(sl_venue_decoder_new(&options, &kit->decoder), 0);
#define BOOK(levels) "{\"e\":\"depthUpdate\",\"s\":\"A\",\"T\":1,\"U\":1,\"u\":1,\"pu\":0,\"a\":[],\"b\":[" levels "]}"
    assert_int_equal(market_kit_decode(kit, BOOK("[\"1\",\"1\"],[\"2\",\"1\"]")), 0);
    assert_int_equal(kit->events[0].as.delta.levels.bid_count, 2);
    assert_int_equal(market_kit_decode(kit, BOOK("[\"1\",\"1\"],[\"2\",\"1\"],[\"3\",\"1\"]")), SL_EMSGSIZE);
    assert_non_null(strstr(sl_venue_problem(kit->decoder), "more than 2 levels"));
    assert_int_equal(market_kit_decode(kit, BOOK("[\"1.0000000000000000000000000000000000000000000000000\",\"1\"]")),
                     SL_EMSGSIZE);
    assert_non_null(strstr(sl_venue_problem(kit->decoder), "too large"));
    market_kit_close(kit);
    options.venue = SL_VENUE_NONE;
    assert_int_equal(sl_venue_decoder_new(&options, &decoder), SL_EINVAL);
    options = (sl_venue_decoder_options){.venue = SL_VENUE_BINANCE_SPOT};
    assert_int_equal(sl_venue_decoder_new(&options, &decoder), SL_EINVAL); /* no table */
}

/* A message cut off anywhere, or with any one byte changed, gives events or an error; AddressSanitizer watches. */
static void damaged_messages_are_harmless(void **state)
{
    (void)state;
    static const char text[] = "{\"stream\":\"btcusdt@depth@0ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":1723161256299,"
                               "\"T\":1723161256298,\"s\":\"BTCUSDT\",\"U\":5123107832006,\"u\":5123107837557,"
                               "\"pu\":5123107831937,\"b\":[[\"58710.20\",\"0.014\"],[\"61496.50\",\"0.010\"]],"
                               "\"a\":[[\"61510.90\",\"0.000\"]]}}";
    struct market_kit *kit = market_kit_open(SL_VENUE_BINANCE_USDM, "BTCUSDT");
    char damaged[sizeof(text)];
    for (size_t at = 0; at < sizeof(text) - 1; at++) {
        memcpy(damaged, text, sizeof(text));
        damaged[at] = '\0';
        assert_true(market_kit_decode(kit, damaged) < 0);
        for (int byte = 1; byte < 256; byte++) {
            damaged[at] = (char)byte;
            damaged[sizeof(text) - 1] = '\0';
            (void)(market_kit_decode(kit, damaged) < 0);
        }
    }
    assert_true(kit->decoder->stats.events > 255);
    market_kit_close(kit);
}

static int count_bids(void *arg, const sl_market_event *event)
{
    *(size_t *)arg = event->as.snapshot.levels.bid_count;
    return 0;
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
    struct market_kit *kit = market_kit_open(SL_VENUE_BINANCE_SPOT, "A");
    int64_t held = sl_memory_held();
    bool done = false;
    int64_t n = 0;
    for (; !done; n++) {
        sl_venue_decoder *decoder = NULL;
        size_t bids = 0;
        sl_venue_answer answer;
        sl_venue_decoder_options options = {.venue = SL_VENUE_BINANCE_SPOT, .instruments = kit->instruments};
        sl_venue_message message = {.text = text, .size_bytes = strlen(text)};
        sl_venue_request request = {.kind = SL_REQUEST_SNAPSHOT, .instrument = market_kit_instrument(kit, "A")};
        sl_venue_output output = {.arg = &bids, .event = count_bids};
        sl_memory_fail_after(n);
        int code = sl_venue_decoder_new(&options, &decoder);
        code = code < 0 ? code : sl_venue_decode_rest(decoder, &request, &message, &output, NULL, &answer);
        sl_memory_fail_after(-1);
        done = code == 0;
        assert_true(done || code == SL_ENOMEM);
        if (decoder != NULL) { /* still usable */
            assert_int_equal(sl_venue_decode_rest(decoder, &request, &message, &output, NULL, &answer), 0);
            assert_int_equal(bids, 700);
        }
        sl_venue_decoder_free(decoder);
        assert_int_equal(sl_memory_held(), held);
    }
    assert_true(n >= 5);
    market_kit_close(kit);
}

SL_TEST_MAIN(cmocka_unit_test(trades), cmocka_unit_test(aggregate_trades), cmocka_unit_test(depth_updates),
             cmocka_unit_test(partial_books), cmocka_unit_test(best_bid_and_offer),
             cmocka_unit_test(tickers_candles_funding_and_liquidations), cmocka_unit_test(notices),
             cmocka_unit_test(what_is_wrong_is_told), cmocka_unit_test(outputs_may_refuse),
             cmocka_unit_test(foreign_text_in_errors_is_made_harmless), cmocka_unit_test(limits_are_named),
             cmocka_unit_test(damaged_messages_are_harmless), cmocka_unit_test(survives_every_failed_allocation))
