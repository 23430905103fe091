/* SPDX-License-Identifier: MIT */
/* The true market: never crossed, ids that grow as each venue's do, changes that make the book that it shows. */
#include "exchange/truth.h"

#include "exchange/dialect.h"
#include "exchange/simulated.h"
#include "sl_test.h"

#define STEPS 20000
#define INSTRUMENTS 4

static const sl_venue venues[] = {SL_VENUE_BINANCE_SPOT, SL_VENUE_COINBASE, SL_VENUE_KRAKEN,
                                  SL_VENUE_BYBIT_LINEAR, SL_VENUE_OKX,      SL_VENUE_BITSTAMP};

struct market {
    sl_instruments *instruments;
    sl_truth *truth;
};

static struct market open_market(sl_venue venue, uint64_t seed)
{
    struct market market = {0};
    const sl_dialect *dialect = sl_dialect_of(venue);
    assert_int_equal(sl_instruments_new(0, &market.instruments), 0);
    assert_int_equal(sl_simulated_define(market.instruments, venue, INSTRUMENTS), 0);
    sl_truth_options options = {.instruments = market.instruments,
                                .venue = venue,
                                .seed = seed,
                                .levels = dialect->levels,
                                .timed = dialect->timed,
                                .uuids = dialect->uuids};
    assert_int_equal(sl_truth_new(&options, &market.truth), 0);
    return market;
}

static void close_market(struct market *market)
{
    sl_truth_free(market->truth);
    sl_instruments_free(market->instruments);
}

static bool same_books(const sl_book *one, const sl_book *other)
{
    for (int side = SL_SIDE_BUY; side <= SL_SIDE_SELL; side++) {
        sl_book_cursor a = sl_book_first(one, (sl_side)side), b = sl_book_first(other, (sl_side)side);
        const sl_level *left = NULL, *right = NULL;
        do {
            left = sl_book_next(&a);
            right = sl_book_next(&b);
            if ((left == NULL) != (right == NULL) ||
                (left != NULL && (sl_decimal_compare(left->price, right->price) != 0 ||
                                  sl_decimal_compare(left->quantity, right->quantity) != 0))) {
                return false;
            }
        } while (left != NULL);
    }
    return true;
}

/* Copies the book as it is at first: what follows is only changes. */
static sl_book *copy_of(const sl_book *book)
{
    sl_level levels[2][SL_TRUTH_LEVELS_MAX];
    size_t count[2] = {0, 0};
    for (int side = 0; side < 2; side++) {
        sl_book_cursor cursor = sl_book_first(book, side == 0 ? SL_SIDE_BUY : SL_SIDE_SELL);
        const sl_level *level = NULL;
        while ((level = sl_book_next(&cursor)) != NULL) {
            levels[side][count[side]++] = *level;
        }
    }
    sl_book *copy = NULL;
    sl_levels all = {levels[0], levels[1], count[0], count[1]};
    assert_int_equal(sl_book_new(0, &copy), 0);
    assert_int_equal(sl_book_set(copy, &all), 0);
    return copy;
}

static void changes_make_the_book_and_it_is_never_crossed(void **state)
{
    (void)state;
    for (size_t at = 0; at < sizeof venues / sizeof *venues; at++) {
        struct market market = open_market(venues[at], 11 + at);
        sl_book *books[INSTRUMENTS];
        int64_t book_id[INSTRUMENTS], trade_id[INSTRUMENTS];
        for (size_t i = 0; i < INSTRUMENTS; i++) {
            sl_truth_state first = sl_truth_look(market.truth, sl_instruments_at(market.instruments, i));
            books[i] = copy_of(first.book);
            book_id[i] = first.book_id;
            trade_id[i] = first.trade_id;
        }
        for (int64_t step = 0; step < STEPS; step++) {
            sl_truth_change change;
            assert_int_equal(sl_truth_step(market.truth, INT64_C(1700000000000000000) + step * 100, &change), 0);
            uint32_t i = change.event.instrument->index;
            sl_truth_state now = sl_truth_look(market.truth, change.event.instrument);
            if (change.event.kind == SL_EVENT_TRADE) {
                assert_int_equal(now.trade_id, ++trade_id[i]);
                continue;
            }
            const sl_book_delta *delta = &change.event.as.delta;
            assert_true(delta->previous_id == book_id[i] && delta->last_id > book_id[i]);
            assert_true(delta->first_id > book_id[i] && delta->first_id <= delta->last_id);
            book_id[i] = delta->last_id;
            assert_int_equal(sl_book_apply(books[i], &delta->levels), 0);
            assert_false(sl_book_crossed(now.book));
            assert_true(same_books(books[i], now.book));
        }
        for (size_t i = 0; i < INSTRUMENTS; i++) {
            sl_book_free(books[i]);
        }
        close_market(&market);
    }
}

static void one_seed_is_one_market(void **state)
{
    (void)state;
    struct market one = open_market(SL_VENUE_OKX, 5), same = open_market(SL_VENUE_OKX, 5);
    struct market other = open_market(SL_VENUE_OKX, 6);
    unsigned differences = 0;
    for (int step = 0; step < 1000; step++) {
        sl_truth_change a, b, c;
        assert_int_equal(sl_truth_step(one.truth, step, &a), 0);
        assert_int_equal(sl_truth_step(same.truth, step, &b), 0);
        assert_int_equal(sl_truth_step(other.truth, step, &c), 0);
        assert_int_equal(a.event.kind, b.event.kind);
        assert_int_equal(a.event.instrument->index, b.event.instrument->index);
        differences += a.event.kind != c.event.kind;
    }
    const sl_instrument *first = sl_instruments_at(one.instruments, 0);
    assert_true(same_books(sl_truth_look(one.truth, first).book,
                           sl_truth_look(same.truth, sl_instruments_at(same.instruments, 0)).book));
    assert_true(differences > 100);
    close_market(&one);
    close_market(&same);
    close_market(&other);
}

static void what_is_halted_is_not_traded(void **state)
{
    (void)state;
    struct market market = open_market(SL_VENUE_KRAKEN, 5);
    sl_truth_change change;
    sl_instruments_set_status(market.instruments, sl_instruments_at(market.instruments, 0), SL_STATUS_HALTED);
    for (int step = 0; step < 1000; step++) {
        assert_int_equal(sl_truth_step(market.truth, step, &change), 0);
        assert_int_not_equal(change.event.instrument->index, 0);
    }
    for (size_t i = 1; i < INSTRUMENTS; i++) {
        sl_instruments_set_status(market.instruments, sl_instruments_at(market.instruments, i), SL_STATUS_DELISTED);
    }
    assert_int_equal(sl_truth_step(market.truth, 1000, &change), SL_EAGAIN);
    close_market(&market);
}

SL_TEST_MAIN(cmocka_unit_test(changes_make_the_book_and_it_is_never_crossed), cmocka_unit_test(one_seed_is_one_market),
             cmocka_unit_test(what_is_halted_is_not_traded))
