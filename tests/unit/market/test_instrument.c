/* SPDX-License-Identifier: MIT */
/* The table of instruments: names, look-ups, growth, patterns, failures. */
#include "sl_test.h"

#include <string.h>

#include "market/instrument.h"

static sl_instrument definition_of(sl_venue venue, const char *symbol)
{
    sl_instrument definition = {.venue = venue};
    (void)snprintf(definition.symbol, sizeof(definition.symbol), "%s", symbol);
    return definition;
}

static const sl_instrument *add(sl_instruments *table, const sl_instrument *definition, int expected)
{
    const sl_instrument *instrument = NULL;
    assert_int_equal(sl_instruments_add(table, definition, &instrument), expected);
    return instrument;
}

static void names_are_made(void **state)
{
    (void)state;
    static const struct {
        const char *symbol, *base, *quote, *settle;
        sl_instrument_type type;
        int64_t expiry_s;
        const char *expected;
    } cases[] = {
        {"BTCUSDT", "BTC", "USDT", "", SL_INSTRUMENT_SPOT, 0, "BTC-USDT"},
        {"ETHUSDT", "eth", "usdt", "USDT", SL_INSTRUMENT_SPOT, 0, "ETH-USDT"},
        {"BTCUSDT_P", "BTC", "USDT", "USDT", SL_INSTRUMENT_PERPETUAL, 0, "BTC-USDT-USDT"},
        {"BTCUSD_PERP", "BTC", "USD", "BTC", SL_INSTRUMENT_PERPETUAL, 0, "BTC-USD-BTC"},
        {"BTCUSDT_240927", "BTC", "USDT", "USDT", SL_INSTRUMENT_FUTURE, 1727424000, "BTC-USDT-USDT-20240927"},
        {"XbtUsd", "", "USD", "", SL_INSTRUMENT_UNKNOWN, 0, "XBTUSD"},
        {"\xe5\xb8\x81USDT", "\xe5\xb8\x81", "USDT", "USDT", SL_INSTRUMENT_PERPETUAL, 0, "\xe5\xb8\x81-USDT-USDT"},
    };
    sl_auto(sl_instruments) *table = NULL;
    assert_int_equal(sl_instruments_new(0, &table), 0);
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        sl_instrument definition = definition_of(SL_VENUE_BINANCE_SPOT, cases[at].symbol);
        (void)snprintf(definition.base, sizeof(definition.base), "%s", cases[at].base);
        (void)snprintf(definition.quote, sizeof(definition.quote), "%s", cases[at].quote);
        (void)snprintf(definition.settle, sizeof(definition.settle), "%s", cases[at].settle);
        definition.type = cases[at].type;
        definition.expiry_ns = cases[at].expiry_s * INT64_C(1000000000);
        const sl_instrument *instrument = add(table, &definition, 1);
        assert_string_equal(instrument->name, cases[at].expected);
        assert_int_equal(instrument->index, at);
        assert_ptr_equal(sl_instruments_find_name(table, SL_VENUE_BINANCE_SPOT, cases[at].expected), instrument);
        assert_ptr_equal(sl_instruments_at(table, at), instrument);
    }
    assert_null(sl_instruments_at(table, sizeof(cases) / sizeof(cases[0])));
}

static void a_second_definition_updates(void **state)
{
    (void)state;
    sl_auto(sl_instruments) *table = NULL;
    assert_int_equal(sl_instruments_new(0, &table), 0);
    assert_null(sl_instruments_find(table, SL_VENUE_KRAKEN, "BTC/USD", 7));
    assert_null(sl_instruments_find_name(table, SL_VENUE_KRAKEN, "BTC-USD"));
    sl_instrument definition = definition_of(SL_VENUE_KRAKEN, "BTC/USD");
    memcpy(definition.name, "BTC-USD", 8);
    definition.status = SL_STATUS_TRADING;
    definition.tick = (sl_decimal){1, -1};
    const sl_instrument *first = add(table, &definition, 1);
    definition = definition_of(SL_VENUE_KRAKEN, "BTC/USD");
    memcpy(definition.base, "BTC", 4);
    definition.lot = (sl_decimal){1, -8};
    definition.type = SL_INSTRUMENT_SPOT;
    assert_ptr_equal(add(table, &definition, 0), first);
    assert_string_equal(first->name, "BTC-USD");
    assert_string_equal(first->base, "BTC");
    assert_int_equal(first->status, SL_STATUS_TRADING);
    assert_int_equal(first->tick.exponent, -1);
    assert_int_equal(first->lot.exponent, -8);
    assert_int_equal(first->type, SL_INSTRUMENT_SPOT);
    sl_instruments_set_status(table, first, SL_STATUS_DELISTED);
    assert_int_equal(first->status, SL_STATUS_DELISTED);
    /* the venue uses the name again: the listed one is meant from now on */
    assert_ptr_equal(sl_instruments_find_name(table, SL_VENUE_KRAKEN, "BTC-USD"), first);
    definition = definition_of(SL_VENUE_KRAKEN, "BTC2/USD");
    memcpy(definition.name, "BTC-USD", 8);
    const sl_instrument *second = add(table, &definition, 1);
    assert_ptr_equal(sl_instruments_find_name(table, SL_VENUE_KRAKEN, "BTC-USD"), second);
    assert_null(sl_instruments_find_name(table, SL_VENUE_OKX, "BTC-USD"));
    assert_int_equal(sl_instruments_count(table), 2);
}

static void many_keep_their_places(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    sl_auto(sl_instruments) *table = NULL;
    const sl_instrument **addresses = test_calloc(COUNT, sizeof(*addresses));
    assert_int_equal(sl_instruments_new(COUNT, &table), 0);
    char symbol[SL_SYMBOL_MAX];
    for (int at = 0; at < COUNT; at++) {
        (void)snprintf(symbol, sizeof(symbol),
                       at % 3 == 0   ? "%d"
                       : at % 3 == 1 ? "A%dUSDT"
                                     : "LONGER%dUSDT_240927",
                       at);
        sl_instrument definition = definition_of(at % 2 == 0 ? SL_VENUE_OKX : SL_VENUE_BITSTAMP, symbol);
        addresses[at] = add(table, &definition, 1);
    }
    for (int at = 0; at < COUNT; at++) {
        const sl_instrument *one = addresses[at];
        assert_int_equal(one->index, at);
        assert_ptr_equal(sl_instruments_find(table, one->venue, one->symbol, strlen(one->symbol)), one);
        assert_ptr_equal(sl_instruments_find_name(table, one->venue, one->name), one);
        assert_null(sl_instruments_find(table, SL_VENUE_COINBASE, one->symbol, strlen(one->symbol)));
        assert_null(sl_instruments_find(table, one->venue, one->symbol,
                                        strlen(one->symbol) - 1 > 0 ? strlen(one->symbol) + 1 : 0));
    }
    sl_instrument late = definition_of(SL_VENUE_OKX, "LATE");
    assert_int_equal(sl_instruments_add(table, &late, NULL), SL_EMSGSIZE);
    late = *addresses[5];
    assert_int_equal(sl_instruments_add(table, &late, NULL), 0); /* an update is fine */
    test_free(addresses);
}

/* Symbols are compared by words: each length, and each place where two of them may differ. */
static void each_character_counts(void **state)
{
    (void)state;
    char symbol[SL_SYMBOL_MAX] = "";
    sl_auto(sl_instruments) *table = NULL;
    assert_int_equal(sl_instruments_new(0, &table), 0);
    for (size_t length = 1; length < SL_SYMBOL_MAX; length++) {
        memset(symbol, 'A', length);
        symbol[length] = '\0';
        sl_instrument definition = definition_of(SL_VENUE_OKX, symbol);
        const sl_instrument *plain = add(table, &definition, 1);
        assert_ptr_equal(sl_instruments_find(table, SL_VENUE_OKX, symbol, length), plain);
        assert_null(sl_instruments_find(table, SL_VENUE_KRAKEN, symbol, length));
        for (size_t at = 0; at < length; at++) {
            symbol[at] = 'B';
            assert_null(sl_instruments_find(table, SL_VENUE_OKX, symbol, length));
            definition = definition_of(SL_VENUE_OKX, symbol);
            const sl_instrument *other = add(table, &definition, 1);
            assert_ptr_equal(sl_instruments_find(table, SL_VENUE_OKX, symbol, length), other);
            symbol[at] = 'A';
        }
    }
}

static void bad_definitions_are_refused(void **state)
{
    (void)state;
    static const char *const symbols[] = {"", "A B", "A\n", "\x7f", "\xff"};
    sl_auto(sl_instruments) *table = NULL;
    assert_int_equal(sl_instruments_new(SL_INSTRUMENTS_MAX + 1, &table), SL_EINVAL);
    assert_int_equal(sl_instruments_new(0, &table), 0);
    for (size_t at = 0; at < sizeof(symbols) / sizeof(symbols[0]); at++) {
        sl_instrument definition = definition_of(SL_VENUE_OKX, symbols[at]);
        assert_int_equal(sl_instruments_add(table, &definition, NULL), SL_EINVAL);
        definition = definition_of(SL_VENUE_OKX, "A");
        (void)snprintf(definition.base, sizeof(definition.base), "%s", symbols[at]);
        assert_int_equal(sl_instruments_add(table, &definition, NULL), at == 0 ? 1 : SL_EINVAL);
    }
    sl_instrument definition = definition_of(SL_VENUE_NONE, "A");
    assert_int_equal(sl_instruments_add(table, &definition, NULL), SL_EINVAL);
    definition.venue = SL_VENUE_COUNT;
    assert_int_equal(sl_instruments_add(table, &definition, NULL), SL_EINVAL);
    definition.venue = SL_VENUE_OKX;
    memset(definition.symbol, 'A', sizeof(definition.symbol)); /* no NUL */
    assert_int_equal(sl_instruments_add(table, &definition, NULL), SL_EINVAL);
    assert_int_equal(sl_instruments_count(table), 1);
}

static void patterns(void **state)
{
    (void)state;
    static const sl_instrument btc = {.symbol = "BTCUSDT", .name = "BTC-USDT-USDT"};
    static const struct {
        const char *pattern;
        bool expected;
    } cases[] = {
        {"BTC-USDT-USDT", true},
        {"btc-usdt-usdt", true},
        {"BTCUSDT", true},
        {"BTC-USDT", false},
        {"BTC-*", true},
        {"*USDT", true},
        {"*", true},
        {"**", true},
        {"", false},
        {"BTC?USDT", false},
        {"BTC????T", false},
        {"BTC????", true},
        {"*-*-*-*", false},
        {"*-*-*", true},
        {"B*C*U*T", true},
        {"*USDC", false},
        {"BTCUSDT?", false},
        {"*a*b*c*d*", false},
        {"BTCUSDT*", true},
    };
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        if (sl_instrument_matches(&btc, cases[at].pattern) != cases[at].expected) {
            fail_msg("%s", cases[at].pattern);
        }
    }
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    int64_t held = sl_memory_held();
    bool done = false;
    for (int64_t n = 0; !done; n++) {
        sl_instruments *table = NULL;
        char symbol[SL_SYMBOL_MAX];
        sl_memory_fail_after(n);
        int code = sl_instruments_new(0, &table);
        for (int at = 0; at < 600 && code >= 0; at++) {
            (void)snprintf(symbol, sizeof(symbol), "S%d", at);
            sl_instrument definition = definition_of(SL_VENUE_OKX, symbol);
            code = sl_instruments_add(table, &definition, NULL);
        }
        sl_memory_fail_after(-1);
        done = code >= 0;
        assert_true(done || code == SL_ENOMEM);
        for (size_t at = 0; table != NULL && at < sl_instruments_count(table); at++) {
            const sl_instrument *one = sl_instruments_at(table, at);
            assert_ptr_equal(sl_instruments_find(table, one->venue, one->symbol, strlen(one->symbol)), one);
        }
        sl_instruments_free(table);
        assert_int_equal(sl_memory_held(), held);
        assert_true(n < 100);
    }
}

static void what_is_not_on_the_next_list_is_delisted(void **state)
{
    (void)state;
    sl_auto(sl_instruments) *table = NULL;
    assert_int_equal(sl_instruments_new(0, &table), 0);
    const sl_instrument one = {.venue = SL_VENUE_KRAKEN, .symbol = "BTC/USD", .status = SL_STATUS_TRADING};
    const sl_instrument two = {.venue = SL_VENUE_KRAKEN, .symbol = "ETH/USD"};
    const sl_instrument other = {.venue = SL_VENUE_OKX, .symbol = "BTC-USDT", .status = SL_STATUS_TRADING};
    const sl_instrument unlisted = {.venue = SL_VENUE_KRAKEN, .symbol = "XRP/USD"};
    const sl_instrument *btc = NULL, *eth = NULL, *okx = NULL, *xrp = NULL;
    assert_int_equal(sl_instruments_add(table, &unlisted, &xrp), 1);
    uint32_t first = sl_instruments_begin_list(table);
    assert_int_equal(sl_instruments_add(table, &one, &btc), 1);
    assert_int_equal(sl_instruments_add(table, &two, &eth), 1);
    assert_int_equal(sl_instruments_add(table, &other, &okx), 1);
    assert_int_equal(sl_instruments_end_list(table, SL_VENUE_KRAKEN, first), 0);
    uint32_t second = sl_instruments_begin_list(table);
    assert_int_equal(sl_instruments_add(table, &one, NULL), 0);
    assert_int_equal(sl_instruments_end_list(table, SL_VENUE_KRAKEN, second), 1);
    assert_int_equal(btc->status, SL_STATUS_TRADING);
    assert_int_equal(eth->status, SL_STATUS_DELISTED);
    assert_int_equal(okx->status, SL_STATUS_TRADING); /* that was another venue's list */
    assert_int_equal(xrp->status, SL_STATUS_UNKNOWN); /* no list had it */
    assert_int_equal(sl_instruments_end_list(table, SL_VENUE_KRAKEN, second), 0);
    uint32_t third = sl_instruments_begin_list(table);
    assert_int_equal(sl_instruments_add(table, &two, NULL), 0);
    assert_int_equal(sl_instruments_end_list(table, SL_VENUE_KRAKEN, third), 1);
    assert_int_equal(btc->status, SL_STATUS_DELISTED);
    assert_int_equal(eth->status, SL_STATUS_UNKNOWN); /* it is back */
}

SL_TEST_MAIN(cmocka_unit_test(what_is_not_on_the_next_list_is_delisted), cmocka_unit_test(names_are_made),
             cmocka_unit_test(a_second_definition_updates), cmocka_unit_test(many_keep_their_places),
             cmocka_unit_test(each_character_counts), cmocka_unit_test(bad_definitions_are_refused),
             cmocka_unit_test(patterns), cmocka_unit_test(survives_every_failed_allocation))
