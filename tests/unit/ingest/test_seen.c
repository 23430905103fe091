/* SPDX-License-Identifier: MIT */
/* What was seen is known, for as long as there is room, and compared with a plain list. */
#include <string.h>

#include "ingest/receive/seen.h"
#include "sl_test.h"

static struct sl_seen_key key_of(unsigned number)
{
    struct sl_seen_key key;
    assert_int_equal(sl_seen_key_of(&number, sizeof number, &key), 0);
    return key;
}

static void the_last_ones_are_known(void **state)
{
    (void)state;
    sl_auto(sl_seen) *seen = NULL;
    assert_int_equal(sl_seen_new(100, &seen), 0);
    for (unsigned at = 0; at < 5000; at++) {
        assert_false(sl_seen_has(seen, key_of(at)));
        assert_int_equal(sl_seen_add(seen, key_of(at), at, 0), 0);
        assert_int_equal(sl_seen_add(seen, key_of(at), at, 0), 0); /* again: no second place */
        for (unsigned back = 0; back < 150 && back <= at; back += 7) {
            assert_int_equal(sl_seen_has(seen, key_of(at - back)), back < 100);
        }
    }
}

/* Keys that all want the same place: those that were moved are found. */
static void crowded_places_are_searched(void **state)
{
    (void)state;
    sl_auto(sl_seen) *seen = NULL;
    assert_int_equal(sl_seen_new(7, &seen), 0);
    for (uint64_t at = 0; at < 400; at++) {
        struct sl_seen_key key = {{14 + at % 3, at}};
        assert_int_equal(sl_seen_add(seen, key, (sl_time)at, 0), 0);
        for (uint64_t back = 0; back < 10 && back <= at; back++) {
            assert_int_equal(sl_seen_has(seen, (struct sl_seen_key){{14 + (at - back) % 3, at - back}}), back < 7);
        }
    }
}

static void nothing_young_gives_way(void **state)
{
    (void)state;
    sl_auto(sl_seen) *seen = NULL;
    assert_int_equal(sl_seen_new(2, &seen), 0);
    assert_int_equal(sl_seen_add(seen, key_of(1), SL_SECONDS(1), SL_SECONDS(10)), 0);
    assert_int_equal(sl_seen_add(seen, key_of(2), SL_SECONDS(2), SL_SECONDS(10)), 0);
    assert_true(sl_seen_is_full(seen, SL_SECONDS(10), SL_SECONDS(10)));
    assert_int_equal(sl_seen_add(seen, key_of(3), SL_SECONDS(10), SL_SECONDS(10)), SL_EBUSY);
    assert_true(sl_seen_has(seen, key_of(1)));
    assert_int_equal(sl_seen_add(seen, key_of(3), SL_SECONDS(11), SL_SECONDS(10)), 0);
    assert_false(sl_seen_has(seen, key_of(1)));
}

static void none_and_too_many(void **state)
{
    (void)state;
    sl_auto(sl_seen) *none = NULL;
    assert_int_equal(sl_seen_new(0, &none), 0);
    assert_int_equal(sl_seen_add(none, key_of(1), 1, 0), 0);
    assert_false(sl_seen_has(none, key_of(1)));
    assert_false(sl_seen_is_full(none, 1, 1));
    sl_seen *seen = NULL;
    assert_int_equal(sl_seen_new(SL_SEEN_MAX + 1, &seen), SL_EINVAL);
    for (int64_t at = 0; at < 3; at++) {
        sl_memory_fail_after(at);
        assert_int_equal(sl_seen_new(10, &seen), SL_ENOMEM);
    }
    sl_memory_fail_after(-1);
}

SL_TEST_MAIN(cmocka_unit_test(the_last_ones_are_known), cmocka_unit_test(crowded_places_are_searched),
             cmocka_unit_test(nothing_young_gives_way), cmocka_unit_test(none_and_too_many))
