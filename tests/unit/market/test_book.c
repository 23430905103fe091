/* SPDX-License-Identifier: MIT */
/* The order book against a naive one: two unsorted lists, searched from end to end. */
#include "sl_test.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "market/book.h"

#define NAIVE_MAX 5000

struct naive_side {
    sl_level levels[NAIVE_MAX];
    size_t count;
};

static unsigned seed;

static void begin_random(void)
{
    seed = (unsigned)sl_test_number("SLUICE_SEED", 4711);
    print_message("seed %u (SLUICE_SEED changes it)\n", seed);
}

static int below(int limit)
{
    return rand_r(&seed) % limit;
}

static void naive_set(struct naive_side *side, const sl_level *level)
{
    size_t at = 0;
    while (at < side->count && !sl_decimal_equal(side->levels[at].price, level->price)) {
        at++;
    }
    if (level->quantity.mantissa == 0) {
        if (at < side->count) {
            side->levels[at] = side->levels[--side->count];
        }
        return;
    }
    side->count += at == side->count;
    assert_true(side->count <= NAIVE_MAX);
    side->levels[at] = *level;
}

static int ascending(const void *a, const void *b)
{
    return sl_decimal_compare(((const sl_level *)a)->price, ((const sl_level *)b)->price);
}

static int descending(const void *a, const void *b)
{
    return ascending(b, a);
}

static void assert_side(const sl_book *book, sl_side side, struct naive_side *naive)
{
    qsort(naive->levels, naive->count, sizeof(sl_level), side == SL_SIDE_BUY ? descending : ascending);
    assert_int_equal(sl_book_count(book, side), naive->count);
    sl_book_cursor cursor = sl_book_first(book, side);
    for (size_t at = 0; at < naive->count; at++) {
        const sl_level *level = sl_book_next(&cursor);
        assert_non_null(level);
        assert_true(level->price.mantissa == naive->levels[at].price.mantissa);
        assert_int_equal(level->price.exponent, naive->levels[at].price.exponent);
        assert_true(sl_decimal_equal(level->quantity, naive->levels[at].quantity));
        const sl_decimal *found = sl_book_find(book, side, level->price);
        assert_ptr_equal(found, &level->quantity);
    }
    assert_null(sl_book_next(&cursor));
    assert_null(sl_book_next(&cursor));
    const sl_level *best = sl_book_best(book, side);
    assert_true(naive->count == 0 ? best == NULL : sl_decimal_equal(best->price, naive->levels[0].price));
    assert_int_equal(sl_book_verify(book), 0);
}

static sl_level level_of(int64_t price, int64_t quantity)
{
    return (sl_level){{price, -2}, {quantity, -3}};
}

static void best_find_and_crossed(void **state)
{
    (void)state;
    sl_book *book = NULL;
    assert_int_equal(sl_book_new(0, &book), 0);
    assert_null(sl_book_best(book, SL_SIDE_BUY));
    assert_false(sl_book_crossed(book));
    sl_level bids[] = {level_of(100, 1), level_of(99, 2), level_of(98, 3)};
    sl_level asks[] = {level_of(101, 1), level_of(102, 2), level_of(103, 0)};
    assert_int_equal(sl_book_set(book, &(sl_levels){bids, asks, 3, 3}), 0);
    assert_int_equal(sl_book_best(book, SL_SIDE_BUY)->price.mantissa, 100);
    assert_int_equal(sl_book_best(book, SL_SIDE_SELL)->price.mantissa, 101);
    assert_int_equal(sl_book_count(book, SL_SIDE_SELL), 2);
    assert_false(sl_book_crossed(book));
    assert_null(sl_book_find(book, SL_SIDE_SELL, (sl_decimal){103, -2}));
    assert_int_equal(sl_book_find(book, SL_SIDE_BUY, (sl_decimal){9900, -4})->mantissa, 2); /* by value */
    /* the best bid goes, a level is removed that is not there, an ask changes; written at another scale */
    sl_level changes[] = {level_of(100, 0), level_of(55, 0), {{98, -2}, {7, 0}}};
    sl_level ask = {{10100, -4}, {5, -3}};
    assert_int_equal(sl_book_apply(book, &(sl_levels){changes, &ask, 3, 1}), 0);
    assert_int_equal(sl_book_best(book, SL_SIDE_BUY)->price.mantissa, 99);
    assert_int_equal(sl_book_count(book, SL_SIDE_BUY), 2);
    assert_int_equal(sl_book_count(book, SL_SIDE_SELL), 2);
    assert_int_equal(sl_book_best(book, SL_SIDE_SELL)->quantity.mantissa, 5);
    sl_level crossing = level_of(101, 1);
    assert_int_equal(sl_book_apply(book, &(sl_levels){&crossing, NULL, 1, 0}), 0);
    assert_true(sl_book_crossed(book));
    sl_book_clear(book);
    assert_int_equal(sl_book_count(book, SL_SIDE_BUY) + sl_book_count(book, SL_SIDE_SELL), 0);
    assert_false(sl_book_crossed(book));
    sl_book_free(book);
    sl_book_free(NULL);
    assert_int_equal(sl_book_new(SL_BOOK_LEVELS_MAX + 1, &book), SL_EINVAL);
}

/* Fills `levels` with random changes; sometimes sorted, as venues send them. */
static size_t random_changes(sl_level *levels, size_t max, int spread, bool sorted)
{
    size_t count = (size_t)below((int)max);
    for (size_t at = 0; at < count; at++) {
        levels[at] = level_of(1000 + below(spread), below(5) < 2 ? 0 : 1 + below(1000));
        if (below(50) == 0) {
            levels[at].price = (sl_decimal){levels[at].price.mantissa * 100, -4}; /* another scale */
        }
    }
    if (sorted) {
        qsort(levels, count, sizeof(*levels), below(2) == 0 ? ascending : descending);
    }
    return count;
}

static void random_changes_match_a_naive_book(void **state)
{
    (void)state;
    static struct naive_side bids;
    static struct naive_side asks;
    static sl_level levels[2][400];
    begin_random();
    for (int spread = 10; spread <= 4000; spread *= 20) {
        sl_auto(sl_book) *book = NULL;
        assert_int_equal(sl_book_new(0, &book), 0);
        bids.count = 0;
        asks.count = 0;
        for (int round = 0; round < 1500; round++) {
            bool snapshot = below(200) == 0;
            size_t max = below(10) == 0 ? 400 : 20;
            size_t bid_count = random_changes(levels[0], max, spread, below(4) != 0);
            size_t ask_count = random_changes(levels[1], max, spread, below(4) != 0);
            sl_levels all = {levels[0], levels[1], bid_count, ask_count};
            if (snapshot) {
                bids.count = 0;
                asks.count = 0;
            }
            assert_int_equal(snapshot ? sl_book_set(book, &all) : sl_book_apply(book, &all), 0);
            for (size_t at = 0; at < bid_count; at++) {
                naive_set(&bids, &levels[0][at]);
            }
            for (size_t at = 0; at < ask_count; at++) {
                naive_set(&asks, &levels[1][at]);
            }
            if (round % 10 == 0 || spread == 10) {
                assert_side(book, SL_SIDE_BUY, &bids);
                assert_side(book, SL_SIDE_SELL, &asks);
            }
        }
        /* empty it level by level: blocks merge and go */
        while (bids.count > 0) {
            size_t at = (size_t)below((int)bids.count);
            sl_level gone = bids.levels[at];
            gone.quantity.mantissa = 0;
            assert_int_equal(sl_book_apply(book, &(sl_levels){&gone, NULL, 1, 0}), 0);
            naive_set(&bids, &gone);
            if (bids.count % 64 == 0) {
                assert_side(book, SL_SIDE_BUY, &bids);
            }
        }
        assert_side(book, SL_SIDE_BUY, &bids);
    }
}

static void snapshots_come_in_any_order(void **state)
{
    (void)state;
    static sl_level levels[1000];
    static struct naive_side naive;
    begin_random();
    for (int order = 0; order < 3; order++) {
        sl_auto(sl_book) *book = NULL;
        assert_int_equal(sl_book_new(0, &book), 0);
        naive.count = 0;
        for (int at = 0; at < 1000; at++) {
            int64_t price = order == 0 ? at : order == 1 ? 2000 - at : below(3000);
            levels[at] = level_of(price, 1 + below(100));
            naive_set(&naive, &levels[at]);
        }
        assert_int_equal(sl_book_set(book, &(sl_levels){levels, levels, 1000, 1000}), 0);
        assert_side(book, SL_SIDE_BUY, &naive);
        assert_side(book, SL_SIDE_SELL, &naive);
        assert_int_equal(sl_book_set(book, &(sl_levels){NULL, levels, 0, 1}), 0); /* replaces all */
        assert_int_equal(sl_book_count(book, SL_SIDE_BUY), 0);
        assert_int_equal(sl_book_count(book, SL_SIDE_SELL), 1);
    }
}

static void limit_is_all_or_nothing(void **state)
{
    (void)state;
    sl_auto(sl_book) *book = NULL;
    sl_level levels[11];
    for (int at = 0; at < 11; at++) {
        levels[at] = level_of(100 + at, 1);
    }
    assert_int_equal(sl_book_new(10, &book), 0);
    assert_int_equal(sl_book_set(book, &(sl_levels){levels, NULL, 11, 0}), SL_EMSGSIZE);
    assert_int_equal(sl_book_set(book, &(sl_levels){levels, NULL, 10, 0}), 0);
    assert_int_equal(sl_book_apply(book, &(sl_levels){&levels[10], NULL, 1, 0}), SL_EMSGSIZE);
    assert_int_equal(sl_book_count(book, SL_SIDE_BUY), 10);
    assert_null(sl_book_find(book, SL_SIDE_BUY, levels[10].price));
    /* the other side is not touched either when one is over the limit */
    assert_int_equal(sl_book_apply(book, &(sl_levels){&levels[10], levels, 1, 5}), SL_EMSGSIZE);
    assert_int_equal(sl_book_count(book, SL_SIDE_SELL), 0);
    assert_int_equal(sl_book_apply(book, &(sl_levels){levels, levels, 1, 11}), SL_EMSGSIZE);
    assert_int_equal(sl_book_count(book, SL_SIDE_SELL), 0);
    /* changes of levels that are there, and one for one, always fit */
    assert_int_equal(sl_book_apply(book, &(sl_levels){levels, NULL, 10, 0}), 0);
    sl_level swap[] = {level_of(100, 0), level_of(110, 1)};
    assert_int_equal(sl_book_apply(book, &(sl_levels){swap, NULL, 2, 0}), 0);
    assert_int_equal(sl_book_count(book, SL_SIDE_BUY), 10);
    assert_int_equal(sl_book_verify(book), 0);
}

static void negative_quantities_are_refused(void **state)
{
    (void)state;
    sl_auto(sl_book) *book = NULL;
    sl_level good = level_of(1, 1);
    sl_level bad = level_of(2, -1);
    assert_int_equal(sl_book_new(0, &book), 0);
    assert_int_equal(sl_book_apply(book, &(sl_levels){&good, &bad, 1, 1}), SL_EINVAL);
    assert_int_equal(sl_book_set(book, &(sl_levels){&good, &bad, 1, 1}), SL_EINVAL);
    assert_int_equal(sl_book_count(book, SL_SIDE_BUY), 0);
}

/* The same work with the n-th allocation failing, for every n: SL_ENOMEM, nothing changed, nothing leaked. */
static void survives_every_failed_allocation(void **state)
{
    (void)state;
    static sl_level levels[3000];
    for (int at = 0; at < 3000; at++) {
        levels[at] = level_of(1000 + at * 7 % 3000, 1);
    }
    int64_t held = sl_memory_held();
    int64_t n = 0;
    bool done = false;
    for (; !done; n++) {
        sl_book *book = NULL;
        sl_memory_fail_after(n);
        int code = sl_book_new(0, &book);
        size_t expected = 0;
        if (code == 0) {
            code = sl_book_set(book, &(sl_levels){levels, levels, 500, 500});
            expected = code == 0 ? 500 : 0;
        }
        for (size_t at = 0; code == 0 && at < 3000; at += 500) {
            code = sl_book_apply(book, &(sl_levels){levels + at, levels + at, 500, 500});
            expected = code == 0 ? at + 500 : expected;
        }
        sl_memory_fail_after(-1);
        done = code == 0;
        assert_true(done || code == SL_ENOMEM);
        if (book != NULL) {
            assert_int_equal(sl_book_count(book, SL_SIDE_BUY), expected);
            assert_int_equal(sl_book_count(book, SL_SIDE_SELL), expected);
            assert_int_equal(sl_book_verify(book), 0);
            assert_int_equal(sl_book_set(book, &(sl_levels){levels, levels, 3000, 3000}), 0); /* still usable */
        }
        sl_book_free(book);
        assert_int_equal(sl_memory_held(), held);
    }
    assert_true(n > 10);
}

static void allocates_nothing_once_warm(void **state)
{
    (void)state;
    static sl_level levels[400];
    begin_random();
    sl_auto(sl_book) *book = NULL;
    assert_int_equal(sl_book_new(0, &book), 0);
    int64_t asked = 0;
    for (int round = 0; round < 20000; round++) {
        size_t count = random_changes(levels, round <= 2000 ? 400 : 100, 2000, true);
        assert_int_equal(sl_book_apply(book, &(sl_levels){levels, levels, count, count}), 0);
        if (round == 2000) {
            asked = sl_memory_asked();
        }
    }
    assert_int_equal(sl_memory_asked(), asked);
}

SL_TEST_MAIN(cmocka_unit_test(best_find_and_crossed), cmocka_unit_test(random_changes_match_a_naive_book),
             cmocka_unit_test(snapshots_come_in_any_order), cmocka_unit_test(limit_is_all_or_nothing),
             cmocka_unit_test(negative_quantities_are_refused), cmocka_unit_test(survives_every_failed_allocation),
             cmocka_unit_test(allocates_nothing_once_warm))
