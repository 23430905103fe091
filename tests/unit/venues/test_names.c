/* SPDX-License-Identifier: MIT */
/*
 * Names that venues give their instruments, odd ones too, as their lists have them: what they are called here, what is
 * left out, and that no two of a venue are called the same.
 */
#include "venue_kit.h"

#include <string.h>

struct listing {
    sl_venue venue;
    const char *json;     /* the venue's answer */
    const char *names[8]; /* "SYMBOL NAME", in the table's order */
};

#define BINANCE_SPOT(symbol, base, quote)                                                                              \
    "{\"symbol\":\"" symbol "\",\"status\":\"TRADING\",\"baseAsset\":\"" base "\",\"quoteAsset\":\"" quote "\"}"
#define BINANCE_FUTURE(symbol, status, type, delivery, base, quote, margin)                                            \
    "{\"symbol\":\"" symbol "\",\"" status "\":\"TRADING\",\"contractType\":\"" type "\",\"deliveryDate\":" delivery   \
    ",\"baseAsset\":\"" base "\",\"quoteAsset\":\"" quote "\",\"marginAsset\":\"" margin "\"}"
#define BYBIT(symbol, type, base, quote, settle, delivery)                                                             \
    "{\"symbol\":\"" symbol "\",\"contractType\":\"" type "\",\"status\":\"Trading\",\"baseCoin\":\"" base             \
    "\",\"quoteCoin\":\"" quote "\",\"settleCoin\":\"" settle "\",\"deliveryTime\":\"" delivery "\"}"
#define BYBIT_LIST(rows) "{\"retCode\":0,\"result\":{\"list\":[" rows "],\"nextPageCursor\":\"\"}}"
#define OKX(type, id, base, quote, settle, under, expiry)                                                              \
    "{\"instType\":\"" type "\",\"instId\":\"" id "\",\"baseCcy\":\"" base "\",\"quoteCcy\":\"" quote                  \
    "\",\"settleCcy\":\"" settle "\",\"uly\":\"" under "\",\"instFamily\":\"" under "\",\"ctVal\":\"1\","              \
    "\"expTime\":\"" expiry "\",\"tickSz\":\"0.1\",\"lotSz\":\"1\",\"state\":\"live\"}"
#define OKX_LIST(rows) "{\"code\":\"0\",\"msg\":\"\",\"data\":[" rows "]}"
#define KRAKEN(key, name)                                                                                              \
    "\"" key "\":{\"wsname\":\"" name "\",\"pair_decimals\":2,\"lot_decimals\":8,\"status\":\"online\"}"
#define BITSTAMP(symbol, name)                                                                                         \
    "{\"url_symbol\":\"" symbol "\",\"name\":\"" name                                                                  \
    "\",\"trading\":\"Enabled\",\"base_decimals\":8,\"counter_decimals\":2}"
#define COINBASE(id, base, quote)                                                                                      \
    "{\"id\":\"" id "\",\"base_currency\":\"" base "\",\"quote_currency\":\"" quote                                    \
    "\",\"base_increment\":\"0.1\",\"quote_increment\":\"0.1\",\"status\":\"online\"}"

static const struct listing listings[] = {
    {SL_VENUE_BINANCE_SPOT,
     "{\"symbols\":[" BINANCE_SPOT("1000SHIBUSDT", "1000SHIB", "USDT") "," BINANCE_SPOT(
         "C98USDT", "C98", "USDT") "," BINANCE_SPOT("1INCHBTC", "1INCH",
                                                    "BTC") "," BINANCE_SPOT("1000000MOGUSDT", "1000000MOG",
                                                                            "USDT") "," BINANCE_SPOT("\xe5\xb8\x81USDT",
                                                                                                     "\xe5\xb8\x81",
                                                                                                     "USDT") "]}",
     {"1000SHIBUSDT 1000SHIB-USDT", "C98USDT C98-USDT", "1INCHBTC 1INCH-BTC", "1000000MOGUSDT 1000000MOG-USDT",
      "\xe5\xb8\x81USDT \xe5\xb8\x81-USDT"}},
    {SL_VENUE_BINANCE_USDM,
     "{\"symbols\":[" BINANCE_FUTURE(
         "BTCUSDT", "status", "PERPETUAL", "4133404800000", "BTC", "USDT",
         "USDT") "," BINANCE_FUTURE("BTCUSDC", "status", "PERPETUAL", "4133404800000", "BTC", "USDC",
                                    "USDC") "," BINANCE_FUTURE("BTCUSDT_240329", "status", "CURRENT_QUARTER",
                                                               "1711699200000", "BTC", "USDT", "USDT") "]}",
     {"BTCUSDT BTC-USDT-USDT", "BTCUSDC BTC-USDC-USDC", "BTCUSDT_240329 BTC-USDT-USDT-20240329"}},
    {SL_VENUE_BINANCE_COINM,
     "{\"symbols\":[" BINANCE_FUTURE("BTCUSD_PERP", "contractStatus", "PERPETUAL", "4133404800000", "BTC", "USD",
                                     "BTC") "," BINANCE_FUTURE("ETHUSD_240628", "contractStatus", "NEXT_QUARTER",
                                                               "1719561600000", "ETH", "USD", "ETH") "]}",
     {"BTCUSD_PERP BTC-USD-BTC", "ETHUSD_240628 ETH-USD-ETH-20240628"}},
    {SL_VENUE_COINBASE,
     "[" COINBASE("BTC-USD", "BTC", "USD") "," COINBASE("00-USD", "00", "USD") "," COINBASE("1INCH-GBP", "1INCH",
                                                                                            "GBP") "]",
     {"BTC-USD BTC-USD", "00-USD 00-USD", "1INCH-GBP 1INCH-GBP"}},
    {SL_VENUE_KRAKEN,
     "{\"error\":[],\"result\":{" KRAKEN("XXBTZUSD", "XBT/USD") "," KRAKEN("XDGUSD", "XDG/USD") "," KRAKEN(
         "ETHXBT", "ETH/XBT") "," KRAKEN("0GUSD", "0G/USD") "}}",
     {"BTC/USD BTC-USD", "DOGE/USD DOGE-USD", "ETH/BTC ETH-BTC", "0G/USD 0G-USD"}},
    {SL_VENUE_BYBIT_SPOT,
     BYBIT_LIST(BYBIT("BTCUSDT", "", "BTC", "USDT", "", "0") "," BYBIT("BTC3LUSDT", "", "BTC3L", "USDT", "", "0")),
     {"BTCUSDT BTC-USDT", "BTC3LUSDT BTC3L-USDT"}},
    {SL_VENUE_BYBIT_LINEAR,
     BYBIT_LIST(BYBIT("10000SATSUSDT", "LinearPerpetual", "10000SATS", "USDT", "USDT",
                      "0") "," BYBIT("BTCPERP", "LinearPerpetual", "BTC", "USDC", "USDC",
                                     "0") "," BYBIT("BTC-29MAR24", "LinearFutures", "BTC", "USDC", "USDC",
                                                    "1711699200000") "," BYBIT("BTCUSDT-29MAR24", "LinearFutures",
                                                                               "BTC", "USDT", "USDT", "1711699200000")),
     {"10000SATSUSDT 10000SATS-USDT-USDT", "BTCPERP BTC-USDC-USDC", "BTC-29MAR24 BTC-USDC-USDC-20240329",
      "BTCUSDT-29MAR24 BTC-USDT-USDT-20240329"}},
    {SL_VENUE_BYBIT_INVERSE,
     BYBIT_LIST(BYBIT("BTCUSD", "InversePerpetual", "BTC", "USD", "BTC",
                      "0") "," BYBIT("BTCUSDH24", "InverseFutures", "BTC", "USD", "BTC", "1711699200000")),
     {"BTCUSD BTC-USD-BTC", "BTCUSDH24 BTC-USD-BTC-20240329"}},
    {SL_VENUE_OKX,
     OKX_LIST(OKX("SPOT", "BTC-USDT", "BTC", "USDT", "", "",
                  "") "," OKX("SWAP", "BTC-USD-SWAP", "", "", "BTC", "BTC-USD",
                              "") "," OKX("SWAP", "BTC-USDT-SWAP", "", "", "USDT", "BTC-USDT",
                                          "") "," OKX("FUTURES", "BTC-USD-240329", "", "", "BTC", "BTC-USD",
                                                      "1711699200000") "," OKX("OPTION", "BTC-USD-240329-50000-C", "",
                                                                               "", "BTC", "BTC-USD", "1711699200000")),
     {"BTC-USDT BTC-USDT", "BTC-USD-SWAP BTC-USD-BTC", "BTC-USDT-SWAP BTC-USDT-USDT",
      "BTC-USD-240329 BTC-USD-BTC-20240329"}},
    {SL_VENUE_BITSTAMP,
     "[" BITSTAMP("btcusd", "BTC/USD") "," BITSTAMP("1incheur", "1INCH/EUR") "," BITSTAMP("usdcusdt", "USDC/USDT") "]",
     {"btcusd BTC-USD", "1incheur 1INCH-EUR", "usdcusdt USDC-USDT"}},
};
#define LISTINGS (sizeof listings / sizeof *listings)

static void list(venue_kit *kit, const char *json)
{
    sl_venue_request request = {.kind = SL_REQUEST_INSTRUMENTS};
    int code = venue_kit_answer(kit, &request, json, strlen(json));
    if (code != 0) {
        fail_msg("%s: %s", kit->driver->title, sl_venue_problem(kit->decoder));
    }
}

static void odd_names_are_normalised(void **state)
{
    (void)state;
    for (size_t at = 0; at < LISTINGS; at++) {
        venue_kit kit;
        venue_kit_open(&kit, listings[at].venue, &(venue_kit_instrument){.symbol = NULL});
        (void)sl_instruments_begin_list(kit.instruments);
        list(&kit, listings[at].json);
        size_t count = 0;
        for (; listings[at].names[count] != NULL; count++) {
            const sl_instrument *one = sl_instruments_at(kit.instruments, count);
            char text[SL_SYMBOL_MAX + SL_INSTRUMENT_NAME_MAX + 2];
            assert_non_null(one);
            (void)snprintf(text, sizeof text, "%s %s", one->symbol, one->name);
            assert_string_equal(text, listings[at].names[count]);
            assert_ptr_equal(sl_instruments_find_name(kit.instruments, one->venue, one->name), one);
            assert_ptr_equal(sl_instruments_find(kit.instruments, one->venue, one->symbol, strlen(one->symbol)), one);
        }
        assert_int_equal(sl_instruments_count(kit.instruments), count);
        assert_int_equal(sl_instruments_clashes(kit.instruments, NULL), 0);
        venue_kit_close(&kit);
    }
}

/* Of two on a list that come to one name the second one goes by its symbol, and somebody hears of it. */
static void no_two_have_one_name(void **state)
{
    (void)state;
    static const char both[] = "[" BITSTAMP("btcusd", "BTC/USD") "," BITSTAMP("btcusd2", "BTC/USD") "]";
    static const char second[] = "[" BITSTAMP("btcusd3", "BTC/USD") "]";
    const sl_instrument *last = NULL;
    venue_kit kit;
    venue_kit_open(&kit, SL_VENUE_BITSTAMP, &(venue_kit_instrument){.symbol = NULL});
    uint32_t number = sl_instruments_begin_list(kit.instruments);
    list(&kit, both);
    assert_int_equal(sl_instruments_clashes(kit.instruments, &last), 1);
    assert_string_equal(last->symbol, "btcusd2");
    assert_string_equal(last->name, "BTCUSD2");
    assert_string_equal(sl_instruments_find_name(kit.instruments, SL_VENUE_BITSTAMP, "BTC-USD")->symbol, "btcusd");
    assert_ptr_equal(sl_instruments_find_name(kit.instruments, SL_VENUE_BITSTAMP, "BTCUSD2"), last);
    list(&kit, both); /* the same list again is no news */
    assert_int_equal(sl_instruments_clashes(kit.instruments, NULL), 1);
    assert_int_equal(sl_instruments_end_list(kit.instruments, SL_VENUE_BITSTAMP, number), 0);
    /* What takes the place of one that is no longer listed takes its name, too. */
    number = sl_instruments_begin_list(kit.instruments);
    list(&kit, second);
    assert_int_equal(sl_instruments_end_list(kit.instruments, SL_VENUE_BITSTAMP, number), 2);
    assert_int_equal(sl_instruments_clashes(kit.instruments, NULL), 1);
    assert_string_equal(sl_instruments_find_name(kit.instruments, SL_VENUE_BITSTAMP, "BTC-USD")->symbol, "btcusd3");
    venue_kit_close(&kit);
}

SL_TEST_MAIN(cmocka_unit_test(odd_names_are_normalised), cmocka_unit_test(no_two_have_one_name))
