/* SPDX-License-Identifier: MIT */
/* How far feeds are: what earlier lives reached, and what this one has. */
#include "ingest/replicas/positions.h"

#include <stdio.h>
#include <string.h>

#include "sl_test.h"
#include "sluice/memory.h"

#define MANY 5000

struct kit {
    sl_instruments *instruments;
    const sl_instrument *btc, *eth;
    sl_positions *positions;
};

static int set_up(void **state)
{
    static struct kit kit;
    kit = (struct kit){.btc = NULL};
    assert_int_equal(sl_instruments_new(0, &kit.instruments), 0);
    assert_int_equal(
        sl_instruments_add(kit.instruments, &(sl_instrument){.venue = SL_VENUE_OKX, .symbol = "BTC-USDT"}, &kit.btc),
        1);
    assert_int_equal(
        sl_instruments_add(kit.instruments, &(sl_instrument){.venue = SL_VENUE_OKX, .symbol = "ETH-USDT"}, &kit.eth),
        1);
    assert_int_equal(sl_positions_new(&kit.positions), 0);
    *state = &kit;
    return 0;
}

static int tear_down(void **state)
{
    struct kit *kit = *state;
    sl_positions_free(kit->positions);
    sl_instruments_free(kit->instruments);
    return 0;
}

static void what_was_reached_is_claimed_once(void **state)
{
    const struct kit *kit = *state;
    char key[SL_POSITION_KEY_MAX];
    int64_t id = 0;
    bool seamless = false;
    assert_int_equal(sl_position_key("okx", kit->btc, SL_FEED_TRADES, key), strlen("okx BTC-USDT trades"));
    assert_string_equal(key, "okx BTC-USDT trades");
    assert_false(sl_positions_claim(kit->positions, "okx", kit->btc, SL_FEED_TRADES, &id, &seamless));
    assert_int_equal(sl_positions_expect(kit->positions, key, 5, false), 0);
    assert_int_equal(sl_positions_expect(kit->positions, key, 7, true), 0); /* the second word holds */
    assert_int_equal(sl_positions_expected(kit->positions), 1);
    assert_false(sl_positions_claim(kit->positions, "okx", kit->eth, SL_FEED_TRADES, &id, &seamless));
    assert_false(sl_positions_claim(kit->positions, "okx", kit->btc, SL_FEED_DEPTH, &id, &seamless));
    assert_false(sl_positions_claim(kit->positions, "other", kit->btc, SL_FEED_TRADES, &id, &seamless));
    assert_true(sl_positions_claim(kit->positions, "okx", kit->btc, SL_FEED_TRADES, &id, &seamless));
    assert_int_equal(id, 7);
    assert_true(seamless);
    assert_int_equal(sl_positions_expected(kit->positions), 0);
    assert_false(sl_positions_claim(kit->positions, "okx", kit->btc, SL_FEED_TRADES, &id, &seamless));
    assert_int_equal(sl_positions_expect(kit->positions, key, 9, false), 0); /* in the place of the claimed one */
    assert_true(sl_positions_claim(kit->positions, "okx", kit->btc, SL_FEED_TRADES, &id, &seamless));
    assert_int_equal(id, 9);
}

/* A life that ends before it has told what is missing since an earlier one leaves that to the next. */
static void what_nobody_has_gone_on_from_is_kept(void **state)
{
    const struct kit *kit = *state;
    static const char key[] = "okx BTC-USDT trades";
    int64_t id = 0;
    bool seamless = true;
    assert_int_equal(sl_positions_keep(kit->positions, key, 3), 0);
    assert_int_equal(sl_positions_keep(kit->positions, key, 8), 0);
    assert_true(sl_positions_claim(kit->positions, "okx", kit->btc, SL_FEED_TRADES, &id, &seamless));
    assert_int_equal(id, 3);
    assert_false(seamless);
    assert_int_equal(sl_positions_keep(kit->positions, key, 9), 0);
    assert_true(sl_positions_claim(kit->positions, "okx", kit->btc, SL_FEED_TRADES, &id, &seamless));
    assert_int_equal(id, 9);
    assert_int_equal(sl_positions_keep(kit->positions, "", 9), SL_EINVAL);
}

static void no_key_is_refused(void **state)
{
    const struct kit *kit = *state;
    char key[SL_POSITION_KEY_MAX + 1];
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    assert_int_equal(sl_positions_expect(kit->positions, "", 1, false), SL_EINVAL);
    assert_int_equal(sl_positions_expect(kit->positions, key, 1, false), SL_EINVAL);
    key[SL_POSITION_KEY_MAX - 1] = '\0';
    assert_int_equal(sl_positions_expect(kit->positions, key, 1, false), 0);
}

static void add_id(void *arg, const char *key, int64_t id)
{
    (void)key;
    *(int64_t *)arg += id;
}

static void many_come_and_go(void **state)
{
    const struct kit *kit = *state;
    char key[SL_POSITION_KEY_MAX];
    for (int round = 0; round < 3; round++) {
        int64_t sum = 0, left = 0;
        for (int at = 0; at < MANY; at++) {
            (void)snprintf(key, sizeof key, "okx C%d trades", at);
            assert_int_equal(sl_positions_expect(kit->positions, key, at, false), 0);
            sum += at;
        }
        assert_int_equal(sl_positions_expected(kit->positions), MANY);
        sl_positions_each_expected(kit->positions, add_id, &left);
        assert_int_equal(left, sum);
        for (int at = 0; at < MANY; at++) {
            sl_instrument one = {.venue = SL_VENUE_OKX};
            int64_t id = -1;
            bool seamless = true;
            (void)snprintf(one.symbol, sizeof one.symbol, "C%d", at);
            assert_true(sl_positions_claim(kit->positions, "okx", &one, SL_FEED_TRADES, &id, &seamless));
            assert_int_equal(id, at);
        }
    }
}

struct seen {
    size_t count;
    int64_t sum;
    int code;
};

static int see(void *arg, const char *service, const sl_instrument *instrument, sl_feed feed, int64_t id)
{
    struct seen *seen = arg;
    (void)service;
    (void)instrument;
    (void)feed;
    seen->count++;
    seen->sum += id;
    return seen->code;
}

static struct seen look(const struct kit *kit, bool due)
{
    struct seen seen = {0};
    assert_int_equal(sl_positions_each(kit->positions, due, see, &seen), 0);
    return seen;
}

static bool is_btc(void *arg, const sl_instrument *instrument)
{
    return instrument == ((const struct kit *)arg)->btc;
}

static void only_what_is_new_is_due(void **state)
{
    struct kit *kit = *state;
    assert_int_equal(sl_positions_note(kit->positions, "okx", kit->btc, SL_FEED_TRADES, 0), 0);
    assert_int_equal(sl_positions_note(kit->positions, "okx", kit->eth, SL_FEED_DEPTH, 20), 0);
    assert_int_equal(sl_positions_note(kit->positions, "two", kit->eth, SL_FEED_AGG_TRADES, 300), 0);
    assert_int_equal(sl_positions_note(kit->positions, "two", kit->eth, SL_FEED_TICKER, 4000), 0); /* has no position */
    assert_int_equal(look(kit, true).count, 3);
    assert_int_equal(look(kit, true).sum, 320);
    sl_positions_stored(kit->positions, is_btc, kit);
    assert_int_equal(look(kit, true).count, 2); /* also one without ids is stored once */
    sl_positions_stored(kit->positions, NULL, NULL);
    assert_int_equal(look(kit, true).count, 0);
    assert_int_equal(look(kit, false).count, 3);
    assert_int_equal(sl_positions_note(kit->positions, "okx", kit->eth, SL_FEED_DEPTH, 21), 0);
    assert_int_equal(look(kit, true).sum, 21);
    struct seen refuses = {.code = SL_ENOMEM};
    assert_int_equal(sl_positions_each(kit->positions, false, see, &refuses), SL_ENOMEM);
    assert_int_equal(refuses.count, 1);
}

static int use_all(const struct kit *kit)
{
    sl_auto(sl_positions) *positions = NULL;
    SL_TRY(sl_positions_new(&positions));
    SL_TRY(sl_positions_note(positions, "okx", kit->btc, SL_FEED_TRADES, 1));
    return sl_positions_expect(positions, "okx BTC-USDT trades", 1, false);
}

static void each_allocation_may_fail(void **state)
{
    const struct kit *kit = *state;
    int code = SL_ENOMEM;
    int failures = 0;
    for (; code == SL_ENOMEM && failures < 100; failures++) {
        sl_memory_fail_after(failures);
        code = use_all(kit);
        sl_memory_fail_after(-1);
    }
    assert_int_equal(code, 0);
    assert_true(failures >= 3);
}

#define RUN(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

SL_TEST_MAIN(RUN(what_was_reached_is_claimed_once), RUN(what_nobody_has_gone_on_from_is_kept), RUN(no_key_is_refused),
             RUN(many_come_and_go), RUN(only_what_is_new_is_due), RUN(each_allocation_may_fail))
