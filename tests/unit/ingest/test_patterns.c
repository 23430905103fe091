/* SPDX-License-Identifier: MIT */
/* Many names and patterns of instruments: services/ingest/program/patterns.h, against the way one by one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/program/patterns.h"
#include "sl_test.h"

static sl_instrument instrument(const char *symbol, const char *name)
{
    sl_instrument made = {.venue = SL_VENUE_BINANCE_SPOT};
    (void)snprintf(made.symbol, sizeof made.symbol, "%s", symbol);
    (void)snprintf(made.name, sizeof made.name, "%s", name);
    return made;
}

static void each_way_to_name_one(void **state)
{
    (void)state;
    static const char *const texts[] = {"ETH-*",    "btc-USDT", "BTCUSDT", "solusdt",
                                        "BTC-USDT", "?RP-USDT", "nobody",  "*-NONE"};
    const struct sl_config_list list = {.items = texts, .count = sizeof texts / sizeof texts[0]};
    const sl_instrument btc = instrument("BTCUSDT", "BTC-USDT"), eth = instrument("ETHEUR", "ETH-EUR");
    const sl_instrument sol = instrument("SOLUSDT", "SOL-USDT"), xrp = instrument("XRPUSDT", "XRP-USDT");
    const sl_instrument ada = instrument("ADAUSDT", "ADA-USDT");
    const char *one = NULL;
    sl_patterns patterns = {0};
    assert_false(sl_patterns_match(&patterns, &btc));
    assert_int_equal(sl_patterns_set(&patterns, &list), 0);
    assert_int_equal(sl_patterns_unmatched(&patterns, &one), 7); /* one name stands there twice */
    assert_true(sl_patterns_match(&patterns, &btc));
    assert_true(sl_patterns_match(&patterns, &eth));
    assert_true(sl_patterns_match(&patterns, &sol));
    assert_true(sl_patterns_match(&patterns, &xrp));
    assert_false(sl_patterns_match(&patterns, &ada));
    assert_int_equal(sl_patterns_unmatched(&patterns, &one), 2);
    assert_string_equal(one, "nobody");
    sl_patterns_unmark(&patterns);
    assert_int_equal(sl_patterns_unmatched(&patterns, &one), 7);
    assert_int_equal(sl_patterns_set(&patterns, &(struct sl_config_list){0}), 0);
    assert_false(sl_patterns_match(&patterns, &btc));
    assert_int_equal(sl_patterns_unmatched(&patterns, &one), 0);
    assert_string_equal(one, "");
    sl_patterns_clear(&patterns);
}

/* Few letters, so that all meet each other. */
static void random_text(unsigned *seed, char *text)
{
    static const char letters[] = "abAB-*?";
    size_t length = 1 + (size_t)rand_r(seed) % 4;
    for (size_t at = 0; at < length; at++) {
        text[at] = letters[(size_t)rand_r(seed) % (sizeof letters - 1)];
    }
    text[length] = '\0';
}

#define LISTED 12

static void as_one_by_one(void **state)
{
    (void)state;
    unsigned seed = (unsigned)sl_test_number("SL_PATTERN_SEED", 1);
    print_message("seed %u\n", seed);
    for (int round = 0; round < 3000; round++) {
        char texts[LISTED][8];
        const char *items[LISTED];
        sl_patterns patterns = {0};
        const struct sl_config_list list = {.items = items, .count = (size_t)rand_r(&seed) % (LISTED + 1)};
        for (size_t at = 0; at < list.count; at++) {
            random_text(&seed, texts[at]);
            items[at] = texts[at];
        }
        assert_int_equal(sl_patterns_set(&patterns, &list), 0);
        for (int look = 0; look < 8; look++) {
            char symbol[8], name[8];
            random_text(&seed, symbol);
            random_text(&seed, name);
            const sl_instrument one = instrument(symbol, name);
            bool expected = false;
            for (size_t at = 0; at < list.count; at++) {
                expected = expected || sl_instrument_matches(&one, texts[at]);
            }
            assert_int_equal(sl_patterns_match(&patterns, &one), expected);
        }
        sl_patterns_clear(&patterns);
    }
}

#define MANY 50000

/* One by one this takes minutes. */
static void fifty_thousand_names(void **state)
{
    (void)state;
    static char texts[MANY][24];
    static const char *items[MANY];
    sl_patterns patterns = {0};
    const char *one = NULL;
    for (int at = 0; at < MANY; at++) {
        (void)snprintf(texts[at], sizeof texts[at], "S%05d-USDT", at);
        items[at] = texts[at];
    }
    assert_int_equal(sl_patterns_set(&patterns, &(struct sl_config_list){.items = items, .count = MANY}), 0);
    for (int at = 0; at < 2 * MANY; at += 2) {
        char symbol[24], name[24];
        (void)snprintf(symbol, sizeof symbol, "S%05dUSDT", at);
        (void)snprintf(name, sizeof name, "S%05d-USDT", at);
        const sl_instrument known = instrument(symbol, name);
        assert_int_equal(sl_patterns_match(&patterns, &known), at < MANY);
    }
    assert_int_equal(sl_patterns_unmatched(&patterns, &one), MANY / 2);
    assert_string_equal(one, "S00001-USDT");
    sl_patterns_clear(&patterns);
}

SL_TEST_MAIN(cmocka_unit_test(each_way_to_name_one), cmocka_unit_test(as_one_by_one),
             cmocka_unit_test(fifty_thousand_names))
