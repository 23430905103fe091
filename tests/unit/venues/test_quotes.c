/* SPDX-License-Identifier: MIT */
/* Answers about tickers, best prices, funding and open interest, as the venues' documentation has them. */
#include <string.h>

#include "sl_test.h"
#include "venues/venue.h"

#define EVENTS_MAX 8

struct heard {
    sl_market_event events[EVENTS_MAX];
    size_t count;
};

static sl_instruments *table;

static const sl_instrument *instrument(sl_venue venue, const char *symbol, sl_instrument_type type)
{
    sl_instrument definition = {.venue = venue, .type = type};
    const sl_instrument *added = NULL;
    (void)snprintf(definition.symbol, sizeof definition.symbol, "%s", symbol);
    assert_true(sl_instruments_add(table, &definition, &added) >= 0);
    return added;
}

static int set_up(void **state)
{
    (void)state;
    return sl_instruments_new(0, &table);
}

static int tear_down(void **state)
{
    (void)state;
    sl_instruments_free(table);
    return 0;
}

static int hear(void *arg, const sl_market_event *event)
{
    struct heard *heard = arg;
    assert_true(heard->count < EVENTS_MAX);
    heard->events[heard->count++] = *event;
    return 0;
}

/* Of all instruments where `one` is NULL. */
static int decode(sl_venue venue, sl_venue_request_kind kind, const sl_instrument *one, const char *text,
                  struct heard *heard, sl_venue_answer *answer)
{
    sl_auto(sl_venue_decoder) *decoder = NULL;
    sl_venue_decoder_options options = {.venue = venue, .instruments = table};
    assert_int_equal(sl_venue_decoder_new(&options, &decoder), 0);
    sl_venue_request request = {.kind = kind, .instrument = one};
    sl_venue_message message = {.text = text, .size_bytes = strlen(text), .receive_time_ns = 5};
    sl_venue_output output = {.arg = heard, .event = hear};
    *heard = (struct heard){.count = 0};
    int code = sl_venue_decode_rest(decoder, &request, &message, &output, NULL, answer);
    if (code < 0) {
        assert_true(sl_venue_problem(decoder)[0] != '\0');
    }
    assert_int_equal(decoder->stats.decoded + decoder->stats.bad + decoder->stats.unknown, 1);
    return code;
}

static void expect(sl_decimal value, const char *text)
{
    char buffer[SL_DECIMAL_TEXT_MAX];
    (void)sl_decimal_format(value, SL_DECIMAL_SCALED, buffer);
    assert_string_equal(buffer, text);
}

static void binance_24_hours(void **state)
{
    (void)state;
    static const char row[] =
        "{\"symbol\":\"BNBBTC\",\"priceChange\":\"-94.99999800\",\"priceChangePercent\":\"-95.960\","
        "\"weightedAvgPrice\":"
        "\"0.29628482\",\"prevClosePrice\":\"0.10002000\",\"lastPrice\":\"4.00000200\",\"lastQty\":\"200.00000000\","
        "\"bidPrice\":\"4.00000000\",\"bidQty\":\"100.00000000\",\"askPrice\":\"4.00000200\",\"askQty\":\"100."
        "00000000\","
        "\"openPrice\":\"99.00000000\",\"highPrice\":\"100.00000000\",\"lowPrice\":\"0.10000000\",\"volume\":"
        "\"8913.30000000\",\"quoteVolume\":\"15.30000000\",\"openTime\":1499783499040,\"closeTime\":1499869899040,"
        "\"firstId\":28385,\"lastId\":28460,\"count\":76}";
    char all[2048];
    struct heard heard;
    sl_venue_answer answer;
    const sl_instrument *bnb = instrument(SL_VENUE_BINANCE_SPOT, "BNBBTC", SL_INSTRUMENT_SPOT);
    (void)snprintf(all, sizeof all, "[{\"symbol\":\"NONE\"},%s]", row);
    for (int bulk = 0; bulk < 2; bulk++) {
        assert_int_equal(
            decode(SL_VENUE_BINANCE_SPOT, SL_REQUEST_TICKER, bulk ? NULL : bnb, bulk ? all : row, &heard, &answer), 0);
        assert_int_equal(heard.count, 1);
        const sl_market_event *event = &heard.events[0];
        assert_int_equal(event->kind, SL_EVENT_TICKER);
        assert_ptr_equal(event->instrument, bnb);
        assert_int_equal(event->venue_time_ns, 1499869899040000000);
        expect(event->as.ticker.last, "4.00000200");
        expect(event->as.ticker.open, "99.00000000");
        expect(event->as.ticker.volume, "8913.30000000");
        expect(event->as.ticker.quote_volume, "15.30000000");
        expect(event->as.ticker.bid.price, "4.00000000");
        expect(event->as.ticker.ask.quantity, "100.00000000");
        assert_int_equal(answer.rows, bulk ? 2 : 1);
    }
}

static void binance_best_and_funding(void **state)
{
    (void)state;
    struct heard heard;
    sl_venue_answer answer;
    const sl_instrument *btc = instrument(SL_VENUE_BINANCE_USDM, "BTCUSDT", SL_INSTRUMENT_PERPETUAL);
    assert_int_equal(
        decode(SL_VENUE_BINANCE_USDM, SL_REQUEST_BEST, btc,
               "{\"symbol\":\"BTCUSDT\",\"bidPrice\":\"4.00000000\",\"bidQty\":\"431.00000000\",\"askPrice\":"
               "\"4.00000200\",\"askQty\":\"9.00000000\",\"time\":1589437530011}",
               &heard, &answer),
        0);
    expect(heard.events[0].as.best.bid.quantity, "431.00000000");
    expect(heard.events[0].as.best.ask.price, "4.00000200");
    assert_int_equal(
        decode(SL_VENUE_BINANCE_USDM, SL_REQUEST_FUNDING, NULL,
               "[{\"symbol\":\"BTCUSDT\",\"markPrice\":\"11793.63104562\",\"indexPrice\":\"11781.80495970\","
               "\"estimatedSettlePrice\":\"11781.16138815\",\"lastFundingRate\":\"0.00038246\","
               "\"interestRate\":\"0.00010000\",\"nextFundingTime\":1597392000000,\"time\":1597370495002},"
               "{\"symbol\":\"BTCUSDT\",\"markPrice\":\"1.5\",\"indexPrice\":\"\",\"lastFundingRate\":\"\","
               "\"nextFundingTime\":0,\"time\":1597370495002}]",
               &heard, &answer),
        0);
    assert_int_equal(heard.count, 2);
    expect(heard.events[0].as.funding.rate, "0.00038246");
    assert_int_equal(heard.events[0].as.funding.next_time_ns, 1597392000000000000);
    assert_false(heard.events[1].as.funding.has_rate || heard.events[1].as.funding.has_index);
    assert_int_equal(heard.events[1].as.funding.next_time_ns, 0);
    assert_int_equal(decode(SL_VENUE_BINANCE_USDM, SL_REQUEST_BEST, btc, "{\"code\":-1121,\"msg\":\"Invalid symbol.\"}",
                            &heard, &answer),
                     SL_EPROTO);
    assert_true(answer.no_symbol && heard.count == 0);
}

static void bybit_tickers(void **state)
{
    (void)state;
    static const char text[] =
        "{\"retCode\":0,\"retMsg\":\"OK\",\"result\":{\"category\":\"inverse\",\"list\":[{\"symbol\":\"BTCUSD\","
        "\"lastPrice\":\"16597.00\",\"indexPrice\":\"16598.54\",\"markPrice\":\"16596.00\",\"prevPrice24h\":\"16464."
        "50\","
        "\"price24hPcnt\":\"0.008047\",\"highPrice24h\":\"30912.50\",\"lowPrice24h\":\"15700.00\",\"prevPrice1h\":"
        "\"16595.50\",\"openInterest\":\"373504107\",\"openInterestValue\":\"22505.67\",\"turnover24h\":\"2352."
        "94950046\","
        "\"volume24h\":\"49337318\",\"fundingRate\":\"-0.001034\",\"nextFundingTime\":\"1672387200000\","
        "\"predictedDelivery"
        "Price\":\"\",\"basisRate\":\"\",\"deliveryFeeRate\":\"\",\"deliveryTime\":\"0\",\"ask1Size\":\"1\","
        "\"bid1Price\":"
        "\"16596.00\",\"ask1Price\":\"16597.50\",\"bid1Size\":\"1\",\"basis\":\"\"}]},\"retExtInfo\":{},"
        "\"time\":1672376496682}";
    struct heard heard;
    sl_venue_answer answer;
    const sl_instrument *btc = instrument(SL_VENUE_BYBIT_INVERSE, "BTCUSD", SL_INSTRUMENT_PERPETUAL);
    assert_int_equal(decode(SL_VENUE_BYBIT_INVERSE, SL_REQUEST_TICKER, NULL, text, &heard, &answer), 0);
    expect(heard.events[0].as.ticker.open, "16464.50");
    assert_ptr_equal(heard.events[0].instrument, btc);
    assert_int_equal(decode(SL_VENUE_BYBIT_INVERSE, SL_REQUEST_BEST, btc, text, &heard, &answer), 0);
    expect(heard.events[0].as.best.ask.price, "16597.50");
    assert_int_equal(decode(SL_VENUE_BYBIT_INVERSE, SL_REQUEST_FUNDING, NULL, text, &heard, &answer), 0);
    expect(heard.events[0].as.funding.rate, "-0.001034");
    assert_int_equal(heard.events[0].as.funding.next_time_ns, 1672387200000000000);
    assert_int_equal(decode(SL_VENUE_BYBIT_INVERSE, SL_REQUEST_OPEN_INTEREST, NULL, text, &heard, &answer), 0);
    expect(heard.events[0].as.open_interest.quantity, "373504107");
    expect(heard.events[0].as.open_interest.value, "22505.67");
    assert_int_equal(decode(SL_VENUE_BYBIT_INVERSE, SL_REQUEST_TICKER, btc,
                            "{\"retCode\":10001,\"retMsg\":\"params error: symbol invalid\",\"result\":{}}", &heard,
                            &answer),
                     SL_EPROTO);
    assert_true(answer.no_symbol);
}

static void okx_tickers(void **state)
{
    (void)state;
    static const char text[] =
        "{\"code\":\"0\",\"msg\":\"\",\"data\":[{\"instType\":\"SWAP\",\"instId\":\"LTC-USD-SWAP\",\"last\":\"9999."
        "99\","
        "\"lastSz\":\"1\",\"askPx\":\"9999.99\",\"askSz\":\"11\",\"bidPx\":\"8888.88\",\"bidSz\":\"5\",\"open24h\":"
        "\"9000\","
        "\"high24h\":\"10000\",\"low24h\":\"8888.88\",\"volCcy24h\":\"2222\",\"vol24h\":\"2222\",\"sodUtc0\":\"0.1\","
        "\"sodUtc8\":\"0.1\",\"ts\":\"1597026383085\"}]}";
    struct heard heard;
    sl_venue_answer answer;
    const sl_instrument *ltc = instrument(SL_VENUE_OKX, "LTC-USD-SWAP", SL_INSTRUMENT_PERPETUAL);
    assert_int_equal(decode(SL_VENUE_OKX, SL_REQUEST_TICKER, NULL, text, &heard, &answer), 0);
    expect(heard.events[0].as.ticker.last, "9999.99");
    assert_int_equal(heard.events[0].venue_time_ns, 1597026383085000000);
    assert_true(answer.more); /* swaps and futures come behind spot */
    assert_string_equal(answer.cursor, "SWAP");
    assert_int_equal(decode(SL_VENUE_OKX, SL_REQUEST_BEST, ltc, text, &heard, &answer), 0);
    expect(heard.events[0].as.best.bid.quantity, "5");
    assert_false(answer.more);
    const sl_instrument *new = instrument(SL_VENUE_OKX, "VANA-USDT-SWAP", SL_INSTRUMENT_PERPETUAL);
    static const char untraded[] =
        "{\"code\":\"0\",\"msg\":\"\",\"data\":[{\"instType\":\"SWAP\",\"instId\":\"VANA-USDT-SWAP\",\"last\":\"\","
        "\"lastSz\":\"0\",\"askPx\":\"25\",\"askSz\":\"1000\",\"bidPx\":\"22.827\",\"bidSz\":\"21\",\"open24h\":\"\","
        "\"high24h\":\"\",\"low24h\":\"\",\"volCcy24h\":\"0\",\"vol24h\":\"0\",\"ts\":\"1734408027222\"}]}";
    assert_int_equal(decode(SL_VENUE_OKX, SL_REQUEST_TICKER, NULL, untraded, &heard, &answer), 0);
    assert_int_equal(heard.count, 1);
    assert_ptr_equal(heard.events[0].instrument, new);
    assert_int_equal(heard.events[0].as.ticker.last.mantissa, 0);
    expect(heard.events[0].as.ticker.bid.price, "22.827");
    assert_int_equal(
        decode(SL_VENUE_OKX, SL_REQUEST_FUNDING, ltc,
               "{\"code\":\"0\",\"data\":[{\"fundingRate\":\"0.0000182221218054\",\"fundingTime\":"
               "\"1743609600000\",\"instId\":\"LTC-USD-SWAP\",\"instType\":\"SWAP\",\"nextFundingRate\":\"\","
               "\"ts\":\"1743588686291\"}],\"msg\":\"\"}",
               &heard, &answer),
        0);
    expect(heard.events[0].as.funding.rate, "0.0000182221218054");
    assert_int_equal(heard.events[0].as.funding.next_time_ns, 1743609600000000000);
    assert_int_equal(
        decode(SL_VENUE_OKX, SL_REQUEST_OPEN_INTEREST, NULL,
               "{\"code\":\"0\",\"msg\":\"\",\"data\":[{\"instType\":\"SWAP\",\"instId\":\"LTC-USD-SWAP\",\"oi\":"
               "\"2125419473\",\"oiCcy\":\"2.5\",\"oiUsd\":\"79.5\",\"ts\":\"1597026383085\"}]}",
               &heard, &answer),
        0);
    expect(heard.events[0].as.open_interest.quantity, "2125419473");
    assert_string_equal(answer.cursor, "FUTURES");
}

static void bitstamp_tickers(void **state)
{
    (void)state;
    static const char row[] =
        "{\"timestamp\":\"1643640186\",\"open\":\"2211.00\",\"high\":\"2811.00\",\"low\":\"2188.97\",\"last\":"
        "\"2211.00\",\"volume\":\"213.26801100\",\"vwap\":\"2189.80\",\"bid\":\"2188.97\",\"ask\":\"2211.00\","
        "\"side\":\"0\",\"open_24\":\"2211.00\",\"percent_change_24\":\"13.57\",\"pair\":\"BTC/USD\"}";
    char all[1024];
    struct heard heard;
    sl_venue_answer answer;
    const sl_instrument *btc = instrument(SL_VENUE_BITSTAMP, "btcusd", SL_INSTRUMENT_SPOT);
    (void)snprintf(all, sizeof all, "[{\"pair\":7},%s,{\"pair\":\"NO/NE\"}]", row);
    assert_int_equal(decode(SL_VENUE_BITSTAMP, SL_REQUEST_TICKER, NULL, all, &heard, &answer), SL_EPROTO);
    assert_int_equal(heard.count, 1);
    assert_ptr_equal(heard.events[0].instrument, btc);
    assert_int_equal(decode(SL_VENUE_BITSTAMP, SL_REQUEST_TICKER, btc, row, &heard, &answer), 0);
    assert_int_equal(heard.events[0].venue_time_ns, 1643640186000000000);
    expect(heard.events[0].as.ticker.volume, "213.26801100");
    expect(heard.events[0].as.ticker.bid.price, "2188.97");
    assert_int_equal(decode(SL_VENUE_BITSTAMP, SL_REQUEST_TICKER, btc,
                            "{\"status\":\"error\",\"reason\":\"Rate limit\",\"code\":\"400.002\"}", &heard, &answer),
                     SL_EAGAIN);
    assert_true(answer.rate_limited);
    const sl_instrument *perpetual = instrument(SL_VENUE_BITSTAMP, "btcusd-perp", SL_INSTRUMENT_PERPETUAL);
    assert_int_equal(
        decode(SL_VENUE_BITSTAMP, SL_REQUEST_TICKER, NULL,
               "[{\"timestamp\":\"1643640186\",\"last\":\"2211\",\"market\":\"BTC/USD\",\"pair\":\"BTC/USD\"},"
               "{\"timestamp\":\"1643640187\",\"last\":\"2212\",\"market\":\"BTC/USD-PERP\"}]",
               &heard, &answer),
        0);
    assert_int_equal(heard.count, 2);
    assert_ptr_equal(heard.events[0].instrument, btc);
    assert_ptr_equal(heard.events[1].instrument, perpetual);
}

/* A row that cannot be read harms no other, and the answer is said to be bad. */
static void bad_rows(void **state)
{
    (void)state;
    static const struct {
        sl_venue venue;
        const char *begin, *good, *end;
    } forms[] = {
        {SL_VENUE_BINANCE_SPOT, "[",
         "{\"symbol\":\"A\",\"bidPrice\":\"1\",\"bidQty\":\"2\",\"askPrice\":\"3\",\"askQty\":\"4\"}", "]"},
        {SL_VENUE_BYBIT_SPOT, "{\"retCode\":0,\"result\":{\"list\":[",
         "{\"symbol\":\"A\",\"bid1Price\":\"1\",\"bid1Size\":\"2\",\"ask1Price\":\"3\",\"ask1Size\":\"4\"}", "]}}"},
        {SL_VENUE_OKX, "{\"code\":\"0\",\"msg\":\"\",\"data\":[",
         "{\"instId\":\"A\",\"bidPx\":\"1\",\"bidSz\":\"2\",\"askPx\":\"3\",\"askSz\":\"4\"}", "]}"},
    };
    static const char *const rows[] = {"7",
                                       "{}",
                                       "[[{}]]",
                                       "{\"symbol\":\"A\",\"instId\":\"A\",\"x\":[[{}",
                                       "\"",
                                       "{\"symbol\":\"A\",\"instId\":\"A\"}",
                                       "{\"instId\":7,\"symbol\":7,\"x\":{\"y\":[1]}}"};
    for (size_t form = 0; form < sizeof forms / sizeof *forms; form++) {
        (void)instrument(forms[form].venue, "A", SL_INSTRUMENT_SPOT);
        for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
            char text[1024];
            struct heard heard;
            sl_venue_answer answer;
            bool broken = row == 3 || row == 4;
            (void)snprintf(text, sizeof text, "%s%s,%s,%s%s", forms[form].begin, forms[form].good, rows[row],
                           forms[form].good, forms[form].end);
            int code = decode(forms[form].venue, SL_REQUEST_BEST, NULL, text, &heard, &answer);
            assert_int_equal(code, form == 0 && row == 6 ? 0 : SL_EPROTO); /* a number is a symbol that nobody has */
            if (heard.count != (broken ? (row == 4 ? 0 : 1) : 2)) {
                fail_msg("%s: %zu events", text, heard.count);
            }
        }
    }
}

static void paths_and_costs(void **state)
{
    (void)state;
    const sl_instrument *btc = instrument(SL_VENUE_BINANCE_SPOT, "BTCUSDT", SL_INSTRUMENT_SPOT);
    const sl_instrument *coin = instrument(SL_VENUE_BINANCE_COINM, "BTCUSD_PERP", SL_INSTRUMENT_PERPETUAL);
    const sl_instrument *linear = instrument(SL_VENUE_BYBIT_LINEAR, "BTCUSDT", SL_INSTRUMENT_PERPETUAL);
    const sl_instrument *okx = instrument(SL_VENUE_OKX, "BTC-USDT-SWAP", SL_INSTRUMENT_PERPETUAL);
    const struct {
        sl_venue venue;
        sl_venue_request_kind kind;
        const sl_instrument *one;
        const char *cursor, *path; /* NULL: there is none */
        uint32_t cost;
    } rows[] = {
        {SL_VENUE_BINANCE_SPOT, SL_REQUEST_TICKER, NULL, "", "/api/v3/ticker/24hr", 80},
        {SL_VENUE_BINANCE_SPOT, SL_REQUEST_TICKER, btc, "", "/api/v3/ticker/24hr?symbol=BTCUSDT", 2},
        {SL_VENUE_BINANCE_SPOT, SL_REQUEST_BEST, NULL, "", "/api/v3/ticker/bookTicker", 4},
        {SL_VENUE_BINANCE_SPOT, SL_REQUEST_FUNDING, NULL, "", NULL, 0},
        {SL_VENUE_BINANCE_USDM, SL_REQUEST_FUNDING, NULL, "", "/fapi/v1/premiumIndex", 10},
        {SL_VENUE_BINANCE_COINM, SL_REQUEST_FUNDING, coin, "", "/dapi/v1/premiumIndex?symbol=BTCUSD_PERP", 10},
        {SL_VENUE_BYBIT_LINEAR, SL_REQUEST_BEST, NULL, "", "/v5/market/tickers?category=linear", 1},
        {SL_VENUE_BYBIT_LINEAR, SL_REQUEST_FUNDING, linear, "", "/v5/market/tickers?category=linear&symbol=BTCUSDT", 1},
        {SL_VENUE_BYBIT_SPOT, SL_REQUEST_FUNDING, NULL, "", NULL, 0},
        {SL_VENUE_OKX, SL_REQUEST_TICKER, NULL, "", "/api/v5/market/tickers?instType=SPOT", 10},
        {SL_VENUE_OKX, SL_REQUEST_TICKER, NULL, "FUTURES", "/api/v5/market/tickers?instType=FUTURES", 10},
        {SL_VENUE_OKX, SL_REQUEST_OPEN_INTEREST, NULL, "", "/api/v5/public/open-interest?instType=SWAP", 10},
        {SL_VENUE_OKX, SL_REQUEST_FUNDING, okx, "", "/api/v5/public/funding-rate?instId=BTC-USDT-SWAP", 10},
        {SL_VENUE_OKX, SL_REQUEST_FUNDING, NULL, "", NULL, 0},
        {SL_VENUE_BITSTAMP, SL_REQUEST_TICKER, NULL, "", "/api/v2/ticker/", 1},
    };
    for (size_t at = 0; at < sizeof rows / sizeof *rows; at++) {
        char path[512];
        const sl_venue_driver *driver = sl_venue_driver_of(rows[at].venue);
        sl_venue_request request = {.kind = rows[at].kind, .instrument = rows[at].one};
        (void)snprintf(request.cursor, sizeof request.cursor, "%s", rows[at].cursor);
        int code = driver->rest_path(&request, path, sizeof path);
        if (rows[at].path == NULL) {
            assert_true(code < 0);
            continue;
        }
        assert_int_equal(code, (int)strlen(rows[at].path));
        assert_string_equal(path, rows[at].path);
        assert_int_equal(sl_venue_cost(driver, &request), rows[at].cost);
        assert_true((driver->requests >> rows[at].kind & 1) != 0);
        assert_true(rows[at].one != NULL || (driver->bulk >> rows[at].kind & 1) != 0);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

SL_TEST_MAIN(CASE(binance_24_hours), CASE(binance_best_and_funding), CASE(bybit_tickers), CASE(okx_tickers),
             CASE(bitstamp_tickers), CASE(bad_rows), CASE(paths_and_costs))
