/* SPDX-License-Identifier: MIT */
/* The join of snapshot and diffs, rule by rule, and against a simulated exchange that loses messages. */
#include "sl_test.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "market/sequence.h"

static sl_sequence *open_sequence(sl_book_rule rule)
{
    sl_sequence *sequence = NULL;
    assert_int_equal(sl_sequence_new(&(sl_sequence_options){.rule = rule}, &sequence), 0);
    return sequence;
}

/* A diff whose raw message is its last id. */
static int push(sl_sequence *sequence, int64_t previous, int64_t first, int64_t last)
{
    char raw[24];
    int length = snprintf(raw, sizeof(raw), "%lld", (long long)last);
    sl_diff diff = {.first_id = first,
                    .last_id = last,
                    .previous_id = previous,
                    .receive_time_ns = last / 2,
                    .raw = raw,
                    .size_bytes = (size_t)length};
    return sl_sequence_diff(sequence, &diff);
}

/* The next kept diff must be the one that ends at `last`. */
static void assert_next(sl_sequence *sequence, int64_t last)
{
    sl_diff diff;
    char raw[24];
    int length = snprintf(raw, sizeof(raw), "%lld", (long long)last);
    assert_int_equal(sl_sequence_next(sequence, &diff), SL_SEQUENCE_APPLY);
    assert_int_equal(diff.last_id, last);
    assert_int_equal(diff.receive_time_ns, last / 2);
    assert_int_equal(diff.size_bytes, length);
    assert_memory_equal(diff.raw, raw, diff.size_bytes);
}

static void assert_drained(sl_sequence *sequence)
{
    sl_diff diff;
    assert_int_equal(sl_sequence_next(sequence, &diff), SL_SEQUENCE_NOTHING);
}

/* One case: three diffs are kept, a snapshot comes; what is to be done, and which diff is the first applied. */
struct join {
    sl_book_rule rule;
    int64_t snapshot;
    sl_sequence_action action;
    int64_t first_applied; /* 0: none */
};

static void snapshot_joins_by_rule(void **state)
{
    (void)state;
    /* spot diffs 11..20, 21..30, 31..40; futures the same with pu 8, 20, 30 */
    static const struct join cases[] = {
        {SL_BOOK_RULE_BINANCE_SPOT, 9, SL_SEQUENCE_STALE, 0},
        {SL_BOOK_RULE_BINANCE_SPOT, 10, SL_SEQUENCE_APPLY, 20}, /* U == L+1 */
        {SL_BOOK_RULE_BINANCE_SPOT, 11, SL_SEQUENCE_APPLY, 20},
        {SL_BOOK_RULE_BINANCE_SPOT, 19, SL_SEQUENCE_APPLY, 20}, /* u == L+1 */
        {SL_BOOK_RULE_BINANCE_SPOT, 20, SL_SEQUENCE_APPLY, 30}, /* u == L is old */
        {SL_BOOK_RULE_BINANCE_SPOT, 35, SL_SEQUENCE_APPLY, 40},
        {SL_BOOK_RULE_BINANCE_SPOT, 40, SL_SEQUENCE_APPLY, 0},
        {SL_BOOK_RULE_BINANCE_SPOT, 99, SL_SEQUENCE_APPLY, 0},
        {SL_BOOK_RULE_BINANCE_SPOT, -1, SL_SEQUENCE_APPLY, 20}, /* a new instrument */
        {SL_BOOK_RULE_BINANCE_SPOT, -2, (sl_sequence_action)SL_EINVAL, 0},
        {SL_BOOK_RULE_BINANCE_FUTURES, 7, SL_SEQUENCE_STALE, 0},
        {SL_BOOK_RULE_BINANCE_FUTURES, 8, SL_SEQUENCE_APPLY, 20},  /* pu == L, no overlap */
        {SL_BOOK_RULE_BINANCE_FUTURES, 10, SL_SEQUENCE_STALE, 0},  /* neither U <= L nor pu == L */
        {SL_BOOK_RULE_BINANCE_FUTURES, 11, SL_SEQUENCE_APPLY, 20}, /* U == L */
        {SL_BOOK_RULE_BINANCE_FUTURES, 20, SL_SEQUENCE_APPLY, 20}, /* u == L is kept here */
        {SL_BOOK_RULE_BINANCE_FUTURES, 21, SL_SEQUENCE_APPLY, 30},
        {SL_BOOK_RULE_BINANCE_FUTURES, 40, SL_SEQUENCE_APPLY, 40},
        {SL_BOOK_RULE_BINANCE_FUTURES, 41, SL_SEQUENCE_APPLY, 0},
    };
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        sl_auto(sl_sequence) *sequence = open_sequence(cases[at].rule);
        assert_true(sl_sequence_wants_snapshot(sequence));
        assert_int_equal(push(sequence, 8, 11, 20), SL_SEQUENCE_KEPT);
        assert_int_equal(push(sequence, 20, 21, 30), SL_SEQUENCE_KEPT);
        assert_int_equal(push(sequence, 30, 31, 40), SL_SEQUENCE_KEPT);
        int action = sl_sequence_snapshot(sequence, cases[at].snapshot);
        if (action != (int)cases[at].action) {
            fail_msg("rule %d, L %lld: action %d", (int)cases[at].rule, (long long)cases[at].snapshot, action);
        }
        assert_int_equal(sl_sequence_wants_snapshot(sequence), action != SL_SEQUENCE_APPLY);
        for (int64_t last = cases[at].first_applied; last != 0 && last <= 40; last += 10) {
            assert_next(sequence, last);
        }
        assert_drained(sequence);
        if (action == SL_SEQUENCE_APPLY) {
            int64_t expected = cases[at].first_applied == 0 ? cases[at].snapshot : 40;
            assert_int_equal(sl_sequence_last_id(sequence), expected);
        } else {
            assert_int_equal(sl_sequence_kept(sequence, NULL), 3);
        }
    }
}

static void live_diffs_follow_the_spot_rule(void **state)
{
    (void)state;
    sl_auto(sl_sequence) *sequence = open_sequence(SL_BOOK_RULE_BINANCE_SPOT);
    sl_gap gap;
    assert_int_equal(sl_sequence_snapshot(sequence, 100), SL_SEQUENCE_APPLY);
    assert_drained(sequence);
    assert_int_equal(push(sequence, 0, 90, 100), SL_SEQUENCE_IGNORE);
    assert_int_equal(push(sequence, 0, 95, 101), SL_SEQUENCE_APPLY);
    assert_int_equal(push(sequence, 0, 102, 110), SL_SEQUENCE_APPLY);
    assert_int_equal(push(sequence, 0, 102, 110), SL_SEQUENCE_IGNORE); /* twice */
    assert_int_equal(push(sequence, 0, 105, 120), SL_SEQUENCE_APPLY);  /* overlap */
    assert_int_equal(sl_sequence_take_gap(sequence, &gap), 0);
    assert_int_equal(push(sequence, 0, 122, 130), SL_SEQUENCE_GAP); /* 121 is missing */
    assert_int_equal(sl_sequence_get_state(sequence), SL_SEQUENCE_BROKEN);
    assert_int_equal(sl_sequence_take_gap(sequence, &gap), 1);
    assert_int_equal(gap.reason, SL_GAP_SEQUENCE);
    assert_int_equal(gap.from_id, 120);
    assert_int_equal(gap.to_id, 122);
    assert_false(gap.healed);
    assert_int_equal(sl_sequence_take_gap(sequence, &gap), 0); /* told once */
    assert_int_equal(push(sequence, 0, 131, 140), SL_SEQUENCE_KEPT);
    assert_int_equal(sl_sequence_snapshot(sequence, 120), SL_SEQUENCE_STALE);
    assert_int_equal(sl_sequence_snapshot(sequence, 125), SL_SEQUENCE_APPLY);
    assert_int_equal(sl_sequence_take_gap(sequence, &gap), 0); /* not proved yet */
    assert_next(sequence, 130);
    assert_int_equal(sl_sequence_take_gap(sequence, &gap), 1);
    assert_true(gap.healed);
    assert_int_equal(gap.from_id, 120);
    assert_int_equal(gap.healed_id, 125);
    assert_next(sequence, 140);
    assert_drained(sequence);
    assert_int_equal(push(sequence, 0, 141, 150), SL_SEQUENCE_APPLY);
    const sl_sequence_stats *stats = sl_sequence_get_stats(sequence);
    assert_int_equal(stats->gaps, 1);
    assert_int_equal(stats->healed, 1);
    assert_int_equal(stats->stale_snapshots, 1);
    assert_int_equal(stats->applied, 6);
    assert_int_equal(stats->ignored, 2);
}

static void live_diffs_follow_the_futures_rule(void **state)
{
    (void)state;
    sl_auto(sl_sequence) *sequence = open_sequence(SL_BOOK_RULE_BINANCE_FUTURES);
    sl_gap gap;
    assert_int_equal(sl_sequence_snapshot(sequence, 100), SL_SEQUENCE_APPLY);
    assert_int_equal(push(sequence, 80, 85, 99), SL_SEQUENCE_IGNORE);
    assert_int_equal(push(sequence, 100, 140, 150), SL_SEQUENCE_APPLY); /* pu == L */
    assert_int_equal(push(sequence, 150, 170, 180), SL_SEQUENCE_APPLY); /* ids jump, pu links */
    assert_int_equal(push(sequence, 150, 170, 180), SL_SEQUENCE_IGNORE);
    assert_int_equal(push(sequence, 185, 181, 190), SL_SEQUENCE_GAP); /* U would fit, pu does not */
    assert_int_equal(sl_sequence_take_gap(sequence, &gap), 1);
    assert_int_equal(gap.from_id, 180);
    assert_int_equal(gap.to_id, 181);
    assert_int_equal(sl_sequence_kept(sequence, NULL), 1);
    assert_int_equal(sl_sequence_snapshot(sequence, 185), SL_SEQUENCE_APPLY);
    assert_next(sequence, 190);
    assert_drained(sequence);
}

static void snapshot_older_than_a_live_diff_is_found_out(void **state)
{
    (void)state;
    sl_auto(sl_sequence) *sequence = open_sequence(SL_BOOK_RULE_BINANCE_SPOT);
    sl_gap gap;
    assert_int_equal(sl_sequence_snapshot(sequence, 100), SL_SEQUENCE_APPLY);
    assert_drained(sequence);
    assert_int_equal(push(sequence, 0, 105, 110), SL_SEQUENCE_STALE);
    assert_int_equal(sl_sequence_get_state(sequence), SL_SEQUENCE_BUFFERING); /* nothing was ever whole: no gap */
    assert_int_equal(sl_sequence_take_gap(sequence, &gap), 0);
    assert_int_equal(sl_sequence_snapshot(sequence, 107), SL_SEQUENCE_APPLY);
    assert_next(sequence, 110);
    assert_drained(sequence);
}

static void diffs_that_come_while_draining_wait(void **state)
{
    (void)state;
    sl_auto(sl_sequence) *sequence = open_sequence(SL_BOOK_RULE_BINANCE_FUTURES);
    sl_gap gap;
    assert_int_equal(push(sequence, 1, 2, 10), SL_SEQUENCE_KEPT);
    assert_int_equal(push(sequence, 10, 11, 20), SL_SEQUENCE_KEPT);
    assert_int_equal(sl_sequence_snapshot(sequence, 5), SL_SEQUENCE_APPLY);
    assert_next(sequence, 10);
    assert_int_equal(push(sequence, 20, 21, 30), SL_SEQUENCE_KEPT);
    assert_int_equal(push(sequence, 35, 36, 40), SL_SEQUENCE_KEPT); /* does not follow: found when it is its turn */
    assert_next(sequence, 20);
    assert_next(sequence, 30);
    sl_diff diff;
    assert_int_equal(sl_sequence_next(sequence, &diff), SL_SEQUENCE_GAP);
    assert_int_equal(sl_sequence_take_gap(sequence, &gap), 1);
    assert_int_equal(gap.from_id, 30);
    assert_int_equal(sl_sequence_kept(sequence, NULL), 1);
    assert_drained(sequence);
    assert_int_equal(sl_sequence_snapshot(sequence, 38), SL_SEQUENCE_APPLY);
    assert_next(sequence, 40);
    assert_int_equal(sl_sequence_snapshot(sequence, 500), SL_SEQUENCE_IGNORE); /* one too many */
    assert_int_equal(sl_sequence_last_id(sequence), 40);
}

static void a_break_among_the_kept_begins_anew(void **state)
{
    (void)state;
    sl_auto(sl_sequence) *sequence = open_sequence(SL_BOOK_RULE_BINANCE_SPOT);
    assert_int_equal(push(sequence, 0, 1, 10), SL_SEQUENCE_KEPT);
    assert_int_equal(push(sequence, 0, 5, 9), SL_SEQUENCE_IGNORE);
    assert_int_equal(push(sequence, 0, 15, 20), SL_SEQUENCE_KEPT);
    assert_int_equal(sl_sequence_kept(sequence, NULL), 1);
    assert_int_equal(sl_sequence_get_stats(sequence)->breaks_waiting, 1);
    assert_int_equal(sl_sequence_snapshot(sequence, 5), SL_SEQUENCE_STALE);
    assert_int_equal(sl_sequence_snapshot(sequence, 15), SL_SEQUENCE_APPLY);
    assert_next(sequence, 20);
}

static void losing_the_connection_is_one_gap(void **state)
{
    (void)state;
    sl_auto(sl_sequence) *sequence = open_sequence(SL_BOOK_RULE_BINANCE_FUTURES);
    sl_gap gap;
    assert_int_equal(push(sequence, 1, 2, 3), SL_SEQUENCE_KEPT);
    sl_sequence_lost(sequence); /* before there was a book: no gap */
    assert_int_equal(sl_sequence_kept(sequence, NULL), 0);
    assert_int_equal(sl_sequence_take_gap(sequence, &gap), 0);
    assert_int_equal(sl_sequence_snapshot(sequence, 10), SL_SEQUENCE_APPLY);
    assert_int_equal(push(sequence, 10, 11, 20), SL_SEQUENCE_APPLY);
    sl_sequence_lost(sequence);
    sl_sequence_lost(sequence);
    assert_int_equal(sl_sequence_take_gap(sequence, &gap), 1);
    assert_int_equal(gap.reason, SL_GAP_DISCONNECTED);
    assert_int_equal(gap.from_id, 20);
    assert_int_equal(gap.to_id, 0);
    assert_int_equal(push(sequence, 90, 91, 99), SL_SEQUENCE_KEPT);
    /* a snapshot was taken, but the connection is lost again before a diff proved it: still the same gap */
    assert_int_equal(sl_sequence_snapshot(sequence, 200), SL_SEQUENCE_APPLY);
    assert_drained(sequence);
    sl_sequence_lost(sequence);
    assert_int_equal(sl_sequence_take_gap(sequence, &gap), 0);
    assert_int_equal(push(sequence, 290, 291, 299), SL_SEQUENCE_KEPT);
    assert_int_equal(sl_sequence_snapshot(sequence, 290), SL_SEQUENCE_APPLY);
    assert_next(sequence, 299);
    assert_int_equal(sl_sequence_take_gap(sequence, &gap), 1);
    assert_true(gap.healed);
    assert_int_equal(gap.from_id, 20);
    assert_int_equal(gap.to_id, 91);
    assert_int_equal(gap.healed_id, 290);
    assert_int_equal(sl_sequence_get_stats(sequence)->gaps, 1);
    assert_int_equal(sl_sequence_get_stats(sequence)->healed, 1);
}

static void the_buffer_is_bounded_in_number(void **state)
{
    (void)state;
    sl_sequence *sequence = NULL;
    sl_sequence_options options = {.rule = SL_BOOK_RULE_BINANCE_SPOT, .diffs_max = 8};
    assert_int_equal(sl_sequence_new(&options, &sequence), 0);
    for (int64_t id = 1; id <= 1000; id++) {
        assert_int_equal(push(sequence, 0, id, id), SL_SEQUENCE_KEPT);
        assert_true(sl_sequence_kept(sequence, NULL) <= 8);
    }
    size_t kept = sl_sequence_kept(sequence, NULL);
    assert_int_equal(sl_sequence_get_stats(sequence)->dropped, 1000 - kept);
    assert_int_equal(sl_sequence_snapshot(sequence, 900), SL_SEQUENCE_STALE); /* those that would join are gone */
    assert_int_equal(sl_sequence_snapshot(sequence, 998), SL_SEQUENCE_APPLY);
    assert_next(sequence, 999);
    assert_next(sequence, 1000);
    assert_drained(sequence);
    sl_sequence_free(sequence);
}

static void the_buffer_is_bounded_in_bytes(void **state)
{
    (void)state;
    static char raw[100000];
    sl_sequence *sequence = NULL;
    sl_sequence_options options = {.rule = SL_BOOK_RULE_BINANCE_SPOT, .bytes_max = 300000};
    assert_int_equal(sl_sequence_new(&options, &sequence), 0);
    memset(raw, 'x', sizeof(raw));
    for (int64_t id = 1; id <= 100; id++) {
        sl_diff diff = {.first_id = id, .last_id = id, .raw = raw, .size_bytes = (size_t)id * 1000};
        size_t bytes = 0;
        assert_int_equal(sl_sequence_diff(sequence, &diff), SL_SEQUENCE_KEPT);
        (void)sl_sequence_kept(sequence, &bytes);
        assert_true(bytes <= 300000 && bytes >= (size_t)id * 1000);
    }
    assert_int_equal(sl_sequence_snapshot(sequence, 99), SL_SEQUENCE_APPLY);
    sl_diff last;
    assert_int_equal(sl_sequence_next(sequence, &last), SL_SEQUENCE_APPLY);
    assert_int_equal(last.size_bytes, 100000);
    assert_memory_equal(last.raw, raw, 100000);
    assert_int_equal(last.raw[100000 + SL_SEQUENCE_PADDING - 1], 0); /* readable beyond it */
    sl_sequence_free(sequence);
    options.bytes_max = 1000;
    assert_int_equal(sl_sequence_new(&options, &sequence), 0);
    assert_int_equal(push(sequence, 0, 1, 1), SL_SEQUENCE_KEPT);
    sl_diff large = {.first_id = 2, .last_id = 2, .raw = raw, .size_bytes = 1001};
    assert_int_equal(sl_sequence_diff(sequence, &large), SL_EMSGSIZE);
    assert_int_equal(sl_sequence_kept(sequence, NULL), 0); /* what was before would not connect any more */
    sl_sequence_free(sequence);
}

static void bad_input_is_refused(void **state)
{
    (void)state;
    sl_sequence *sequence = NULL;
    sl_sequence_options options = {.rule = (sl_book_rule)0};
    assert_int_equal(sl_sequence_new(&options, &sequence), SL_EINVAL);
    options = (sl_sequence_options){.rule = SL_BOOK_RULE_BINANCE_SPOT, .diffs_max = SL_SEQUENCE_DIFFS_MAX + 1};
    assert_int_equal(sl_sequence_new(&options, &sequence), SL_EINVAL);
    sequence = open_sequence(SL_BOOK_RULE_BINANCE_SPOT);
    assert_int_equal(push(sequence, 0, 5, 4), SL_EINVAL);
    assert_int_equal(push(sequence, 0, -1, 4), SL_EINVAL);
    assert_int_equal(push(sequence, 0, 4, INT64_MAX), SL_EINVAL);
    assert_int_equal(sl_sequence_snapshot(sequence, INT64_MAX), SL_EINVAL);
    sl_sequence_free(sequence);
}

/* A venue that numbers its changes, and a consumer that knows only what the tracker tells it. */
static void random_losses_always_heal(void **state)
{
    (void)state;
    const char *given = getenv("SLUICE_SEED");
    unsigned seed = given == NULL ? 99 : 0;
    for (; given != NULL && *given >= '0' && *given <= '9'; given++) {
        seed = seed * 10 + (unsigned)(*given - '0');
    }
    print_message("seed %u (SLUICE_SEED changes it)\n", seed);
    for (int rule = SL_BOOK_RULE_BINANCE_SPOT; rule <= SL_BOOK_RULE_BINANCE_FUTURES; rule++) {
        sl_auto(sl_sequence) *sequence = open_sequence((sl_book_rule)rule);
        int64_t venue = 1000;  /* the venue's last change */
        int64_t sent = venue;  /* the last change that a diff told of */
        int64_t book = -1;     /* what the consumer's book covers without a hole; -1: nothing */
        int64_t snapshot = -1; /* one that is on its way */
        uint64_t gap_news = 0;
        uint64_t joined_rounds = 0;
        for (int round = 0; round < 200000; round++) {
            venue += 1 + rand_r(&seed) % 5;
            bool futures = rule == SL_BOOK_RULE_BINANCE_FUTURES;
            int64_t first = futures ? venue - rand_r(&seed) % (int)(venue - sent) : sent + 1;
            int64_t previous = sent;
            sent = venue;
            int chance = rand_r(&seed) % 100;
            int action = SL_SEQUENCE_IGNORE;
            if (chance == 0) {
                sl_sequence_lost(sequence);
                book = -1;
            } else if (chance > 2) { /* the others are lost */
                action = push(sequence, previous, first, venue);
                if (chance == 3) {
                    int again = push(sequence, previous, first, venue); /* and this one comes twice */
                    assert_true(again == SL_SEQUENCE_IGNORE || again == SL_SEQUENCE_KEPT);
                }
            }
            if (action == SL_SEQUENCE_APPLY) {
                assert_true(book >= previous || (!futures && book + 1 >= first)); /* never over a hole */
                book = venue;
            } else if (action == SL_SEQUENCE_GAP || action == SL_SEQUENCE_STALE) {
                book = -1;
            }
            if (snapshot >= 0 && rand_r(&seed) % 3 == 0) { /* the answer comes */
                action = sl_sequence_snapshot(sequence, snapshot);
                sl_diff diff;
                book = action == SL_SEQUENCE_APPLY ? snapshot : book;
                while (action == SL_SEQUENCE_APPLY && sl_sequence_next(sequence, &diff) == SL_SEQUENCE_APPLY) {
                    assert_true(futures ? diff.previous_id <= book : diff.first_id <= book + 1);
                    book = diff.last_id;
                }
                snapshot = -1;
            }
            if (snapshot < 0 && sl_sequence_wants_snapshot(sequence)) {
                snapshot = venue - rand_r(&seed) % 3; /* the venue's REST servers may be behind */
            }
            sl_gap gap;
            gap_news += (uint64_t)sl_sequence_take_gap(sequence, &gap);
            joined_rounds += sl_sequence_get_state(sequence) == SL_SEQUENCE_JOINED;
        }
        const sl_sequence_stats *stats = sl_sequence_get_stats(sequence);
        assert_true(stats->gaps > 1000);
        assert_true(stats->gaps - stats->healed <= 1);
        assert_true(gap_news >= stats->gaps);
        assert_true(joined_rounds > 100000);
        assert_true(stats->applied > 100000);
    }
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    static char raw[50000];
    memset(raw, 'y', sizeof(raw));
    int64_t held = sl_memory_held();
    bool done = false;
    for (int64_t n = 0; !done; n++) {
        sl_sequence *sequence = NULL;
        sl_sequence_options options = {.rule = SL_BOOK_RULE_BINANCE_SPOT};
        sl_memory_fail_after(n);
        int code = sl_sequence_new(&options, &sequence);
        for (int64_t id = 1; sequence != NULL && id <= 10; id++) {
            sl_diff diff = {.first_id = id, .last_id = id, .raw = raw, .size_bytes = sizeof(raw)};
            int action = sl_sequence_diff(sequence, &diff);
            assert_true(action == SL_SEQUENCE_KEPT || action == SL_ENOMEM);
        }
        done = !sl_memory_failed() || (code == 0 && sl_sequence_kept(sequence, NULL) == 10);
        sl_memory_fail_after(-1);
        if (sequence != NULL) {
            assert_int_equal(sl_sequence_snapshot(sequence, 9), SL_SEQUENCE_APPLY);
        }
        sl_sequence_free(sequence);
        assert_int_equal(sl_memory_held(), held);
        assert_true(n < 100);
    }
}

static void trades_are_counted_once(void **state)
{
    (void)state;
    sl_trade_track track = {0};
    sl_gap gap;
    assert_int_equal(sl_trade_track_see(&track, 100, 100, &gap), SL_SEQUENCE_APPLY);
    assert_int_equal(sl_trade_track_see(&track, 101, 101, &gap), SL_SEQUENCE_APPLY);
    assert_int_equal(sl_trade_track_see(&track, 101, 101, &gap), SL_SEQUENCE_IGNORE);
    assert_int_equal(sl_trade_track_see(&track, 99, 99, &gap), SL_SEQUENCE_IGNORE);
    assert_int_equal(sl_trade_track_see(&track, 105, 109, &gap), SL_SEQUENCE_GAP);
    assert_int_equal(gap.from_id, 101);
    assert_int_equal(gap.to_id, 105);
    assert_int_equal(sl_trade_track_see(&track, 110, 110, &gap), SL_SEQUENCE_APPLY);
    assert_int_equal(sl_trade_track_see(&track, 5, 4, &gap), SL_EINVAL);
    assert_int_equal(sl_trade_track_see(&track, -5, 4, &gap), SL_EINVAL);
    assert_int_equal(track.received, 4);
    assert_int_equal(track.repeated, 2);
    assert_int_equal(track.missing, 3);
    assert_int_equal(track.gaps, 1);
}

SL_TEST_MAIN(cmocka_unit_test(snapshot_joins_by_rule), cmocka_unit_test(live_diffs_follow_the_spot_rule),
             cmocka_unit_test(live_diffs_follow_the_futures_rule),
             cmocka_unit_test(snapshot_older_than_a_live_diff_is_found_out),
             cmocka_unit_test(diffs_that_come_while_draining_wait),
             cmocka_unit_test(a_break_among_the_kept_begins_anew), cmocka_unit_test(losing_the_connection_is_one_gap),
             cmocka_unit_test(the_buffer_is_bounded_in_number), cmocka_unit_test(the_buffer_is_bounded_in_bytes),
             cmocka_unit_test(bad_input_is_refused), cmocka_unit_test(random_losses_always_heal),
             cmocka_unit_test(survives_every_failed_allocation), cmocka_unit_test(trades_are_counted_once))
