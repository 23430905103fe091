/* SPDX-License-Identifier: MIT */
/* The keeper of a book: each rule under random losses, and what is hard to meet by chance. */
#include "sl_test.h"

#include <string.h>

#include "keeper_model.h"

/* ---- random lives ---- */

#define LIVES 400
#define LIFE_BYTES 1500

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void live(sl_book_rule rule)
{
    uint8_t bytes[LIFE_BYTES];
    uint64_t first = sl_test_number("SLUICE_SEED", 1);
    for (uint64_t life = 0; life < LIVES; life++) {
        uint64_t seed = first + life;
        uint64_t random = seed;
        size_t size_bytes = 20 + next(&random) % (sizeof(bytes) - 20);
        for (size_t at = 0; at < size_bytes; at++) {
            bytes[at] = (uint8_t)next(&random);
        }
        print_message("seed %llu\n", (unsigned long long)seed);
        keeper_model_run(rule, bytes, size_bytes);
    }
}

#define LIFE(name, rule)                                                                                               \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        live(rule);                                                                                                    \
    }

LIFE(lives_by_spot, SL_BOOK_RULE_BINANCE_SPOT)
LIFE(lives_by_futures, SL_BOOK_RULE_BINANCE_FUTURES)
LIFE(lives_by_consecutive, SL_BOOK_RULE_CONSECUTIVE)
LIFE(lives_by_linked, SL_BOOK_RULE_LINKED)
LIFE(lives_by_checksum, SL_BOOK_RULE_CHECKSUM)
LIFE(lives_by_trusted, SL_BOOK_RULE_TRUSTED)
LIFE(lives_by_timed, SL_BOOK_RULE_TIMED)

/* ---- by hand ---- */

struct seen {
    sl_keeper *keeper;
    sl_market_event last; /* of any kind; its levels are gone */
    sl_gap gaps[16];
    size_t gap_count, deltas, snapshots;
    int refuse; /* what `event` returns */
};

static const sl_instrument btc = {.venue = SL_VENUE_BINANCE_USDM, .symbol = "BTCUSDT", .name = "BTCUSDT"};

static int see(void *arg, const sl_market_event *event)
{
    struct seen *seen = arg;
    seen->last = *event;
    seen->deltas += event->kind == SL_EVENT_BOOK_DELTA;
    seen->snapshots += event->kind == SL_EVENT_BOOK_SNAPSHOT;
    if (event->kind == SL_EVENT_GAP) {
        assert_true(seen->gap_count < 16);
        seen->gaps[seen->gap_count++] = event->as.gap;
    }
    return seen->refuse;
}

static void open_keeper(struct seen *seen, sl_keeper_options options)
{
    options.instrument = &btc;
    options.arg = seen;
    options.event = see;
    *seen = (struct seen){.refuse = 0};
    assert_int_equal(sl_keeper_new(&options, &seen->keeper), 0);
}

static sl_market_event delta(uint32_t connection, int64_t previous, int64_t first, int64_t last, const sl_level *bid)
{
    sl_market_event event = {.kind = SL_EVENT_BOOK_DELTA,
                             .feed = SL_FEED_DEPTH,
                             .connection = connection,
                             .instrument = &btc,
                             .receive_time_ns = last};
    event.as.delta = (sl_book_delta){.first_id = first,
                                     .last_id = last,
                                     .previous_id = previous,
                                     .has_previous = true,
                                     .levels = {.bids = bid, .bid_count = bid != NULL}};
    return event;
}

static sl_market_event snapshot(uint32_t connection, int64_t last, const sl_level *bids, size_t count)
{
    sl_market_event event = {.kind = SL_EVENT_BOOK_SNAPSHOT,
                             .feed = SL_FEED_SNAPSHOT,
                             .connection = connection,
                             .instrument = &btc,
                             .receive_time_ns = last};
    event.as.snapshot = (sl_book_snapshot){.last_id = last, .levels = {.bids = bids, .bid_count = count}};
    return event;
}

static const sl_level level_1 = {{100, 0}, {1, 0}};

static int feed(struct seen *seen, sl_market_event event, sl_time now)
{
    return sl_keeper_event(seen->keeper, &event, now);
}

static int answer(struct seen *seen, sl_market_event event)
{
    return sl_keeper_snapshot(seen->keeper, &event, 1);
}

static sl_keeper_want wants(const struct seen *seen)
{
    uint32_t connection = 0;
    return sl_keeper_wants(seen->keeper, &connection);
}

/* Where times are ids: what has the same time is the same, and a snapshot joins what was kept from its own time on. */
static void times_at_their_edges(void **state)
{
    (void)state;
    struct seen seen;
    open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_TIMED});
    assert_int_equal(feed(&seen, delta(1, 0, 51, 51, NULL), 1), 0);
    assert_int_equal(wants(&seen), SL_KEEPER_SNAPSHOT);
    assert_int_equal(answer(&seen, snapshot(1, 50, &level_1, 1)), 0); /* what came between the two is not known */
    assert_int_equal(answer(&seen, snapshot(1, 51, &level_1, 1)), 1);
    assert_int_equal(seen.deltas, 0); /* it is in the snapshot */
    assert_int_equal(feed(&seen, delta(1, 0, 51, 51, NULL), 1), 0);
    assert_int_equal(seen.deltas, 0);
    assert_int_equal(feed(&seen, delta(1, 0, 52, 52, NULL), 1), 0);
    assert_int_equal(feed(&seen, delta(1, 0, 52, 52, NULL), 1), 0);
    assert_int_equal(seen.deltas, 1);
    sl_keeper_free(seen.keeper);
}

/* The futures' rules at their edges: as documented, and pu == L as met on live streams. */
static void futures_join(void **state)
{
    (void)state;
    static const struct {
        int64_t previous, first, last; /* the first change after the snapshot at 100 */
        bool joins;
    } cases[] = {
        {90, 95, 105, true},  {90, 100, 100, true},   {100, 101, 105, true},  {100, 107, 109, true},
        {99, 101, 105, true}, {101, 102, 105, false}, {105, 106, 109, false},
    };
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        struct seen seen;
        open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_BINANCE_FUTURES});
        assert_int_equal(wants(&seen), SL_KEEPER_NOTHING); /* before a change came a snapshot would be too early */
        assert_int_equal(feed(&seen, delta(0, cases[at].previous, cases[at].first, cases[at].last, &level_1), 1), 0);
        assert_int_equal(wants(&seen), SL_KEEPER_SNAPSHOT);
        assert_null(sl_keeper_book(seen.keeper));
        assert_int_equal(answer(&seen, snapshot(0, 100, &level_1, 1)), cases[at].joins);
        assert_int_equal(sl_keeper_get_stats(seen.keeper)->stale_snapshots, !cases[at].joins);
        assert_int_equal(wants(&seen), cases[at].joins ? SL_KEEPER_NOTHING : SL_KEEPER_SNAPSHOT);
        assert_int_equal(seen.deltas, cases[at].joins && cases[at].last > 100);
        sl_keeper_free(seen.keeper);
    }
}

static void spot_joins_an_empty_new_book(void **state)
{
    (void)state;
    struct seen seen;
    open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_BINANCE_SPOT});
    assert_int_equal(feed(&seen, delta(0, 0, 57, 60, &level_1), 1), 0);
    assert_int_equal(answer(&seen, snapshot(0, 50, NULL, 0)), 0); /* 51 to 56 are missing */
    assert_int_equal(answer(&seen, snapshot(0, -1, NULL, 0)), 1);
    assert_int_equal(sl_keeper_last_id(seen.keeper), 60);
    assert_int_equal(answer(&seen, snapshot(0, 99, NULL, 0)), 0); /* none is needed any more */
    assert_int_equal(feed(&seen, delta(0, 0, 61, 62, NULL), 1), 0);
    assert_int_equal(feed(&seen, delta(0, 0, 62, 64, NULL), 1), 0); /* overlaps */
    assert_int_equal(feed(&seen, delta(0, 0, 64, 64, NULL), 1), 0); /* repeated */
    assert_int_equal(sl_keeper_get_stats(seen.keeper)->repeated, 1);
    assert_int_equal(feed(&seen, delta(0, 0, 66, 66, NULL), 1), 0);
    assert_int_equal(seen.gap_count, 1);
    assert_int_equal(seen.gaps[0].reason, SL_GAP_SEQUENCE);
    assert_int_equal(seen.gaps[0].from_id, 64);
    assert_int_equal(seen.gaps[0].to_id, 66);
    assert_int_equal(sl_book_count(sl_keeper_book(seen.keeper), SL_SIDE_BUY), 1); /* served on */
    assert_int_equal(feed(&seen, delta(0, 0, 67, 67, NULL), 1), 0);
    assert_int_equal(answer(&seen, snapshot(0, 66, NULL, 0)), 1);
    assert_int_equal(seen.gap_count, 2);
    assert_true(seen.gaps[1].healed);
    assert_int_equal(seen.gaps[1].healed_id, 66);
    assert_int_equal(sl_keeper_last_id(seen.keeper), 67);
    assert_int_equal(sl_book_count(sl_keeper_book(seen.keeper), SL_SIDE_BUY), 0);
    sl_keeper_free(seen.keeper);
}

/* What one connection misses the other one brings, within the patience. */
static void two_connections_fill_each_other(void **state)
{
    (void)state;
    struct seen seen;
    sl_time when = 0;
    open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_CONSECUTIVE, .patience = 50});
    assert_int_equal(feed(&seen, snapshot(1, 10, &level_1, 1), 1), 0);
    assert_int_equal(feed(&seen, snapshot(2, 10, &level_1, 1), 1), 0); /* the second copy */
    assert_int_equal(seen.snapshots, 1);
    assert_int_equal(feed(&seen, delta(1, 0, 11, 11, NULL), 2), 0);
    assert_int_equal(feed(&seen, delta(1, 0, 13, 13, NULL), 3), 0); /* 12 is lost here */
    assert_int_equal(feed(&seen, delta(1, 0, 14, 14, NULL), 4), 0);
    assert_int_equal(sl_keeper_expire(seen.keeper, 52, &when), 0);
    assert_int_equal(when, 53);
    assert_int_equal(seen.gap_count, 0);
    assert_int_equal(feed(&seen, delta(2, 0, 11, 11, NULL), 52), 0);
    assert_int_equal(feed(&seen, delta(2, 0, 12, 12, NULL), 52), 0);
    assert_int_equal(sl_keeper_last_id(seen.keeper), 14);
    assert_int_equal(sl_keeper_expire(seen.keeper, 60, &when), 0);
    assert_true(when == SL_NEVER);
    assert_int_equal(feed(&seen, delta(1, 0, 16, 16, NULL), 70), 0); /* 15 is lost on both */
    assert_int_equal(sl_keeper_lost(seen.keeper, 2, false, 71), 0);
    assert_int_equal(sl_keeper_expire(seen.keeper, 120, &when), 0);
    assert_int_equal(seen.gap_count, 1);
    assert_int_equal(wants(&seen), SL_KEEPER_RENEWAL);
    assert_int_equal(feed(&seen, snapshot(1, 15, &level_1, 1), 121), 0);
    assert_int_equal(sl_keeper_last_id(seen.keeper), 15); /* what was kept comes again behind it */
    assert_int_equal(feed(&seen, delta(1, 0, 16, 16, NULL), 121), 0);
    assert_int_equal(sl_keeper_last_id(seen.keeper), 16);
    assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_LIVE);
    assert_int_equal(sl_keeper_lost(seen.keeper, 1, true, 122), 0);
    assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_STALE);
    assert_int_equal(wants(&seen), SL_KEEPER_NOTHING); /* the next connection begins anew by itself */
    assert_int_equal(seen.gaps[seen.gap_count - 1].reason, SL_GAP_DISCONNECTED);
    sl_keeper_free(seen.keeper);
}

/* What waits is put in order, and a snapshot that would leave a hole in it is too old. */
static void what_waits_is_in_order_and_whole(void **state)
{
    (void)state;
    struct seen seen;
    open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_CONSECUTIVE, .patience = 50});
    assert_int_equal(feed(&seen, snapshot(1, 10, &level_1, 1), 1), 0);
    assert_int_equal(feed(&seen, delta(1, 0, 13, 13, NULL), 2), 0);
    assert_int_equal(feed(&seen, delta(2, 0, 12, 12, NULL), 3), 0); /* came later, belongs before it */
    assert_int_equal(sl_keeper_last_id(seen.keeper), 10);
    assert_int_equal(feed(&seen, delta(2, 0, 11, 11, NULL), 4), 0);
    assert_int_equal(sl_keeper_last_id(seen.keeper), 13);
    assert_int_equal(seen.gap_count, 0);
    sl_keeper_free(seen.keeper);
    open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_BINANCE_SPOT});
    assert_int_equal(feed(&seen, delta(1, 0, 5, 5, NULL), 1), 0);
    assert_int_equal(feed(&seen, delta(1, 0, 7, 7, NULL), 1), 0);
    assert_int_equal(answer(&seen, snapshot(1, 4, NULL, 0)), 0); /* joins 5, but 6 is missing */
    assert_int_equal(seen.snapshots, 0);
    assert_int_equal(answer(&seen, snapshot(1, 6, NULL, 0)), 1);
    assert_int_equal(sl_keeper_last_id(seen.keeper), 7);
    sl_keeper_free(seen.keeper);
}

/* Without ids a second connection's book stands by, and takes over when the first is lost or wrong. */
static void a_book_stands_by(void **state)
{
    (void)state;
    static const sl_level two[] = {{{100, 0}, {1, 0}}, {{99, 0}, {2, 0}}};
    struct seen seen;
    uint32_t connection = 0;
    open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_TRUSTED});
    assert_int_equal(feed(&seen, delta(1, 0, 0, 0, &level_1), 1), 0); /* without a snapshot before it */
    assert_int_equal(sl_keeper_wants(seen.keeper, &connection), SL_KEEPER_RENEWAL);
    assert_int_equal(connection, 1);
    assert_int_equal(feed(&seen, snapshot(1, 0, &level_1, 1), 1), 0);
    assert_int_equal(feed(&seen, delta(2, 0, 0, 0, &level_1), 1), 0);
    assert_int_equal(sl_keeper_wants(seen.keeper, &connection), SL_KEEPER_RENEWAL); /* of the second */
    assert_int_equal(connection, 2);
    assert_int_equal(feed(&seen, snapshot(2, 0, two, 2), 1), 0);
    assert_int_equal(sl_keeper_wants(seen.keeper, &connection), SL_KEEPER_NOTHING);
    assert_int_equal(seen.snapshots, 1);
    assert_int_equal(sl_keeper_lost(seen.keeper, 1, false, 1), 0);
    assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_LIVE);
    assert_int_equal(sl_book_count(sl_keeper_book(seen.keeper), SL_SIDE_BUY), 2);
    assert_int_equal(seen.snapshots, 2);
    assert_int_equal(seen.gap_count, 2);
    assert_true(seen.gaps[1].healed && seen.gaps[1].reason == SL_GAP_DISCONNECTED);
    assert_int_equal(feed(&seen, delta(2, 0, 0, 0, &level_1), 1), 0);
    assert_int_equal(seen.deltas, 1);
    assert_int_equal(sl_keeper_distrust(seen.keeper, SL_GAP_CHECKSUM, 1), 0); /* none stands by now */
    assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_STALE);
    assert_int_equal(sl_keeper_wants(seen.keeper, &connection), SL_KEEPER_RENEWAL);
    assert_int_equal(connection, 2);
    sl_keeper_free(seen.keeper);
}

static void crossed_books_are_doubted_once(void **state)
{
    (void)state;
    static const sl_level ask = {{101, 0}, {1, 0}};
    static const sl_level high = {{102, 0}, {1, 0}};
    struct seen seen;
    open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_CONSECUTIVE});
    sl_market_event event = snapshot(1, 5, &level_1, 1);
    event.as.snapshot.levels.asks = &ask;
    event.as.snapshot.levels.ask_count = 1;
    assert_int_equal(feed(&seen, event, 1), 0);
    assert_int_equal(feed(&seen, delta(1, 0, 6, 6, &high), 1), 0);
    assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_STALE);
    assert_int_equal(seen.gaps[0].reason, SL_GAP_CROSSED);
    assert_int_equal(wants(&seen), SL_KEEPER_RENEWAL);
    event.as.snapshot.levels.bids = &high; /* the venue itself says so: an auction */
    event.as.snapshot.last_id = 7;
    assert_int_equal(feed(&seen, event, 1), 0);
    assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_LIVE);
    assert_int_equal(feed(&seen, delta(1, 0, 8, 8, &high), 1), 0);
    assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_LIVE);
    assert_int_equal(seen.gap_count, 2);
    assert_int_equal(sl_keeper_get_stats(seen.keeper)->crossed, 2);
    sl_keeper_free(seen.keeper);
}

static uint32_t count_levels(const sl_book *book)
{
    return (uint32_t)sl_book_count(book, SL_SIDE_BUY);
}

static void depth_and_checksums(void **state)
{
    (void)state;
    sl_level bids[5];
    for (int at = 0; at < 5; at++) {
        bids[at] = (sl_level){{100 - at, 0}, {1, 0}};
    }
    struct seen seen;
    open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_CHECKSUM, .checksum = count_levels});
    sl_market_event event = snapshot(1, 0, bids, 5);
    event.as.snapshot.depth = 3;
    event.as.snapshot.checksum = (sl_book_checksum){true, 5};
    assert_int_equal(feed(&seen, event, 1), 0); /* cut to 3 before the checksum */
    assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_STALE);
    assert_int_equal(seen.gaps[0].reason, SL_GAP_CHECKSUM);
    event.as.snapshot.checksum.value = 3;
    assert_int_equal(feed(&seen, event, 1), 0);
    assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_LIVE);
    static const sl_level better = {{101, 0}, {1, 0}};
    sl_market_event change = delta(1, 0, 0, 0, &better);
    change.as.delta.depth = 3;
    change.as.delta.checksum = (sl_book_checksum){true, 3};
    assert_int_equal(feed(&seen, change, 1), 0);
    assert_null(sl_book_find(sl_keeper_book(seen.keeper), SL_SIDE_BUY, bids[2].price));
    assert_int_equal(sl_keeper_get_stats(seen.keeper)->checksums, 3);
    change.as.delta.checksum.value = 4;
    assert_int_equal(feed(&seen, change, 1), 0);
    assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_STALE);
    assert_int_equal(wants(&seen), SL_KEEPER_RENEWAL);
    assert_int_equal(sl_keeper_get_stats(seen.keeper)->checksum_failures, 2);
    sl_keeper_free(seen.keeper);
}

static void links_may_go_back_once(void **state)
{
    (void)state;
    struct seen seen;
    open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_LINKED});
    assert_int_equal(feed(&seen, snapshot(1, 100, &level_1, 1), 1), 0);
    assert_int_equal(feed(&seen, delta(1, 100, 101, 105, NULL), 1), 0);
    assert_int_equal(feed(&seen, delta(1, 105, 105, 105, NULL), 1), 0); /* nothing new */
    assert_int_equal(seen.deltas, 1);
    assert_int_equal(feed(&seen, delta(1, 105, 3, 3, NULL), 1), 0); /* maintenance: ids begin anew, the link holds */
    assert_int_equal(feed(&seen, delta(1, 3, 4, 4, NULL), 1), 0);
    assert_int_equal(seen.deltas, 3);
    assert_int_equal(seen.gap_count, 0);
    sl_keeper_free(seen.keeper);
}

/* A venue that counts anew without saying so is noticed, and not ignored for ever. */
static void numbers_that_begin_anew_are_noticed(void **state)
{
    (void)state;
    struct seen seen;
    open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_CONSECUTIVE});
    assert_int_equal(feed(&seen, snapshot(1, 1000, &level_1, 1), 1), 0);
    assert_int_equal(feed(&seen, delta(1, 0, 1001, 1001, NULL), 1), 0);
    assert_int_equal(feed(&seen, delta(1, 0, 1, 1, NULL), 1), 0);
    assert_int_equal(wants(&seen), SL_KEEPER_RENEWAL);
    assert_int_equal(feed(&seen, snapshot(1, 1000, &level_1, 1), 1), 0);
    assert_int_equal(feed(&seen, delta(1, 0, 1001, 1001, NULL), 1), 0);
    for (int64_t id = 2; id < 11; id++) {
        assert_int_equal(feed(&seen, delta(1, 0, id, id, NULL), 1), 0);
        assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_LIVE);
    }
    assert_int_equal(feed(&seen, delta(1, 0, 11, 11, NULL), 1), 0);
    assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_STALE);
    assert_int_equal(feed(&seen, snapshot(1, 1000, &level_1, 1), 1), 0); /* also right behind a snapshot */
    for (int64_t id = 12; id < 22; id++) {
        assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_LIVE);
        assert_int_equal(feed(&seen, delta(1, 0, id, id, NULL), 1), 0);
    }
    assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_STALE);
    sl_keeper_free(seen.keeper);
}

/* Where numbers began anew on one connection, the other one's higher ids are of the past until it comes there, too. */
static void who_lags_behind_a_new_beginning_is_not_believed(void **state)
{
    (void)state;
    struct seen seen;
    open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_LINKED, .patience = 50});
    assert_int_equal(feed(&seen, snapshot(1, 100, &level_1, 1), 1), 0);
    assert_int_equal(feed(&seen, snapshot(2, 100, &level_1, 1), 1), 0);
    assert_int_equal(feed(&seen, delta(1, 100, 101, 105, NULL), 1), 0);
    assert_int_equal(feed(&seen, delta(1, 105, 3, 3, NULL), 1), 0);     /* anew */
    assert_int_equal(feed(&seen, delta(2, 100, 101, 105, NULL), 1), 0); /* a copy of what is past */
    assert_int_equal(feed(&seen, delta(1, 3, 4, 4, NULL), 1), 0);
    assert_int_equal(feed(&seen, delta(2, 105, 3, 3, NULL), 1), 0); /* there it is */
    assert_int_equal(feed(&seen, delta(2, 3, 4, 4, NULL), 1), 0);
    assert_int_equal(feed(&seen, delta(2, 4, 6, 6, NULL), 1), 0); /* now it may be the first */
    assert_int_equal(seen.deltas, 4);
    assert_int_equal(sl_keeper_last_id(seen.keeper), 6);
    sl_time when = 0;
    assert_int_equal(sl_keeper_expire(seen.keeper, 1000, &when), 0);
    assert_int_equal(seen.gap_count, 0);
    assert_int_equal(feed(&seen, delta(1, 6, 1, 1, NULL), 1), 0); /* once more, and who knows of it is cut */
    assert_int_equal(sl_keeper_lost(seen.keeper, 1, false, 2), 0);
    assert_int_equal(feed(&seen, delta(2, 1, 2, 2, NULL), 2), 0);
    assert_int_equal(sl_keeper_last_id(seen.keeper), 2);
    assert_int_equal(feed(&seen, delta(2, 9, 4, 4, NULL), 3), 0); /* anew behind one that never came: a hole */
    assert_int_equal(sl_keeper_expire(seen.keeper, 1000, &when), 0);
    assert_int_equal(seen.gap_count, 1);
    sl_keeper_free(seen.keeper);
}

static void bad_messages_make_the_book_stale(void **state)
{
    (void)state;
    static const sl_level negative = {{100, 0}, {-1, 0}};
    static const sl_level many[] = {{{1, 0}, {1, 0}}, {{2, 0}, {1, 0}}, {{3, 0}, {1, 0}}};
    struct seen seen;
    sl_market_event bad[] = {delta(1, 5, -1, 6, NULL), delta(1, 5, 7, 6, NULL), delta(1, 5, 6, INT64_MAX, NULL),
                             delta(1, 5, 6, 6, &negative), delta(1, 5, 6, 6, NULL)};
    static const int codes[] = {SL_EINVAL, SL_EINVAL, SL_EINVAL, SL_EINVAL, SL_EMSGSIZE};
    bad[4].as.delta.levels = (sl_levels){.bids = many, .bid_count = 3};
    for (size_t at = 0; at < sizeof(bad) / sizeof(bad[0]); at++) {
        open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_BINANCE_FUTURES, .levels_max = 2});
        assert_int_equal(feed(&seen, delta(1, 0, 1, 5, NULL), 1), 0);
        assert_int_equal(answer(&seen, snapshot(1, 5, NULL, 0)), 1);
        assert_int_equal(feed(&seen, bad[at], 1), codes[at]);
        assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_STALE);
        assert_int_equal(seen.gap_count, 1);
        assert_int_equal(sl_book_count(sl_keeper_book(seen.keeper), SL_SIDE_BUY), 0);
        assert_int_equal(feed(&seen, delta(1, 6, 7, 8, NULL), 1), 0);
        assert_int_equal(wants(&seen), SL_KEEPER_SNAPSHOT);
        assert_int_equal(answer(&seen, snapshot(1, 7, NULL, 0)), 1);
        assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_LIVE);
        sl_keeper_free(seen.keeper);
    }
    open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_TRUSTED});
    sl_market_event trade = {.kind = SL_EVENT_TRADE, .instrument = &btc};
    assert_int_equal(feed(&seen, trade, 1), SL_EINVAL);
    assert_int_equal(sl_keeper_distrust(seen.keeper, SL_GAP_NONE, 1), SL_EINVAL);
    seen.refuse = SL_ECANCELED;
    assert_int_equal(feed(&seen, snapshot(1, 0, &level_1, 1), 1), SL_ECANCELED);
    sl_keeper_free(seen.keeper);
    static const sl_keeper_options wrong[] = {
        {.rule = SL_BOOK_RULE_NONE, .instrument = &btc, .event = see},
        {.rule = SL_BOOK_RULE_TIMED + 1, .instrument = &btc, .event = see},
        {.rule = SL_BOOK_RULE_TIMED, .event = see},
        {.rule = SL_BOOK_RULE_TIMED, .instrument = &btc},
        {.rule = SL_BOOK_RULE_TIMED, .instrument = &btc, .event = see, .patience = -1},
        {.rule = SL_BOOK_RULE_TIMED, .instrument = &btc, .event = see, .levels_max = SL_BOOK_LEVELS_MAX + 1},
    };
    for (size_t at = 0; at < sizeof(wrong) / sizeof(wrong[0]); at++) {
        sl_keeper *keeper = NULL;
        assert_int_equal(sl_keeper_new(&wrong[at], &keeper), SL_EINVAL);
    }
}

/*
 * Whoever brings a change is cancelled while a sink makes it wait: the change is in no sink. The position stays before
 * it, and the book is given out anew, with the gap told.
 */
static void what_nobody_took_is_no_position(void **state)
{
    (void)state;
    struct seen seen;
    open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_BINANCE_FUTURES, .patience = 5});
    assert_int_equal(feed(&seen, delta(1, 0, 1, 5, NULL), 1), 0);
    seen.refuse = SL_ECANCELED;
    assert_int_equal(answer(&seen, snapshot(1, 5, &level_1, 1)), SL_ECANCELED);
    assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_EMPTY);
    assert_int_equal(sl_keeper_last_id(seen.keeper), 0);
    seen.refuse = 0;
    assert_int_equal(answer(&seen, snapshot(1, 5, &level_1, 1)), 1);
    assert_int_equal(feed(&seen, delta(1, 5, 6, 7, NULL), 1), 0);
    seen.refuse = SL_ECANCELED;
    assert_int_equal(feed(&seen, delta(1, 7, 8, 9, NULL), 1), SL_ECANCELED);
    assert_int_equal(sl_keeper_last_id(seen.keeper), 7);
    assert_int_equal(sl_keeper_get_state(seen.keeper), SL_KEEPER_STALE);
    seen.refuse = 0;
    assert_int_equal(seen.gap_count, 0);
    assert_int_equal(feed(&seen, delta(2, 9, 10, 11, NULL), 1), 0); /* by another connection it goes on */
    assert_int_equal(sl_keeper_last_id(seen.keeper), 7);
    assert_int_equal(wants(&seen), SL_KEEPER_SNAPSHOT);
    seen.refuse = SL_ECANCELED;
    assert_int_equal(answer(&seen, snapshot(1, 10, &level_1, 1)), SL_ECANCELED);
    assert_int_equal(sl_keeper_last_id(seen.keeper), 7);
    seen.refuse = 0;
    assert_int_equal(answer(&seen, snapshot(1, 10, &level_1, 1)), 1);
    assert_int_equal(seen.gap_count, 2); /* seen and healed, though it could not be told when it was seen */
    assert_int_equal(seen.gaps[0].from_id, 7);
    assert_false(seen.gaps[0].healed);
    assert_true(seen.gaps[1].healed);
    assert_int_equal(seen.gaps[1].from_id, 7);
    assert_int_equal(seen.gaps[1].healed_id, 10);
    assert_int_equal(sl_keeper_last_id(seen.keeper), 11);
    sl_keeper_free(seen.keeper);
    /* Where the stream begins with a snapshot it is to begin anew. */
    open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_TRUSTED});
    assert_int_equal(feed(&seen, snapshot(1, 0, &level_1, 1), 1), 0);
    seen.refuse = SL_ECANCELED;
    assert_int_equal(feed(&seen, delta(1, 0, 0, 0, NULL), 1), SL_ECANCELED);
    seen.refuse = 0;
    assert_int_equal(wants(&seen), SL_KEEPER_RENEWAL);
    assert_int_equal(feed(&seen, snapshot(1, 0, &level_1, 1), 1), 0);
    assert_int_equal(seen.gap_count, 2);
    assert_int_equal(wants(&seen), SL_KEEPER_NOTHING);
    sl_keeper_free(seen.keeper);
}

/* What waits is bounded in number and bytes, and its memory goes when it goes. */
static void waiting_is_bounded(void **state)
{
    (void)state;
    struct seen seen;
    open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_BINANCE_SPOT, .deltas_max = 10});
    int64_t held = sl_memory_held();
    for (int64_t id = 1; id <= 100; id++) {
        assert_int_equal(feed(&seen, delta(1, 0, id, id, &level_1), 1), 0);
        assert_true(sl_memory_held() <= held + 11);
    }
    assert_int_equal(sl_keeper_get_stats(seen.keeper)->dropped, 90);
    assert_int_equal(answer(&seen, snapshot(1, 89, NULL, 0)), 0); /* 90 is gone */
    assert_int_equal(answer(&seen, snapshot(1, 95, NULL, 0)), 1);
    assert_int_equal(seen.deltas, 5);
    sl_keeper_free(seen.keeper);
    size_t three = 3 * (sizeof(sl_market_event) + sizeof(sl_level)); /* and not four */
    open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_BINANCE_SPOT, .bytes_max = three + 100});
    for (int64_t id = 1; id <= 100; id++) {
        assert_int_equal(feed(&seen, delta(1, 0, id, id, &level_1), 1), 0);
        assert_true(sl_memory_held() <= held + 5);
    }
    assert_int_equal(answer(&seen, snapshot(1, 98, NULL, 0)), 1);
    assert_int_equal(seen.deltas, 2);
    assert_int_equal(sl_keeper_lost(seen.keeper, 1, true, 1), 0);
    sl_market_event huge = delta(1, 0, 101, 101, NULL);
    sl_level levels[40];
    for (int at = 0; at < 40; at++) {
        levels[at] = level_1;
    }
    huge.as.delta.levels = (sl_levels){.bids = levels, .bid_count = 40};
    assert_int_equal(feed(&seen, huge, 1), SL_EMSGSIZE);
    assert_int_equal(wants(&seen), SL_KEEPER_NOTHING); /* nothing is kept that a snapshot could join */
    sl_keeper_free(seen.keeper);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    int64_t held = sl_memory_held();
    bool done = false;
    for (int64_t n = 0; !done; n++) {
        struct seen seen = {.refuse = 0};
        sl_keeper_options options = {.rule = SL_BOOK_RULE_TRUSTED, .instrument = &btc, .arg = &seen, .event = see};
        sl_memory_fail_after(n);
        int code = sl_keeper_new(&options, &seen.keeper);
        code = code < 0 ? code : feed(&seen, snapshot(1, 0, &level_1, 1), 1);
        code = code < 0 ? code : feed(&seen, snapshot(2, 0, &level_1, 1), 1);
        code = code < 0 ? code : feed(&seen, delta(1, 0, 0, 0, &level_1), 1);
        code = code < 0 ? code : sl_keeper_lost(seen.keeper, 1, false, 1);
        sl_memory_fail_after(-1);
        done = code == 0;
        assert_true(done || code == SL_ENOMEM);
        sl_keeper_free(seen.keeper);
        assert_int_equal(sl_memory_held(), held);
        assert_true(n < 100);
    }
    done = false;
    for (int64_t n = 0; !done; n++) { /* what is kept */
        struct seen seen;
        open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_BINANCE_SPOT});
        sl_memory_fail_after(n);
        int code = 0;
        for (int64_t id = 1; id <= 40 && code == 0; id++) {
            code = feed(&seen, delta(1, 0, id, id, &level_1), 1);
        }
        sl_memory_fail_after(-1);
        done = code == 0;
        assert_true(done || code == SL_ENOMEM);
        assert_int_equal(feed(&seen, delta(1, 0, 41, 41, &level_1), 1), 0); /* still usable */
        assert_int_equal(answer(&seen, snapshot(1, 40, NULL, 0)), 1);
        assert_int_equal(sl_keeper_last_id(seen.keeper), 41);
        sl_keeper_free(seen.keeper);
        assert_int_equal(sl_memory_held(), held);
    }
}

/* Once a book has had its size nothing is allocated any more. */
static void a_message_allocates_nothing(void **state)
{
    (void)state;
    struct seen seen;
    open_keeper(&seen, (sl_keeper_options){.rule = SL_BOOK_RULE_BINANCE_FUTURES});
    assert_int_equal(feed(&seen, delta(1, 0, 1, 1, NULL), 1), 0);
    assert_int_equal(answer(&seen, snapshot(1, 1, &level_1, 1)), 1);
    int64_t id = 1;
    int64_t asked = 0;
    for (int round = 0; round < 3; round++) {
        asked = sl_memory_asked();
        for (int at = 0; at < 3000; at++, id++) {
            sl_level level = {{1 + at * 7919 % 1000, -2}, {at % 4, -3}};
            assert_int_equal(feed(&seen, delta(1, id, id + 1, id + 1, &level), 1), 0);
        }
    }
    assert_int_equal(sl_memory_asked(), asked);
    sl_keeper_free(seen.keeper);
}

SL_TEST_MAIN(cmocka_unit_test(lives_by_spot), cmocka_unit_test(lives_by_futures),
             cmocka_unit_test(lives_by_consecutive), cmocka_unit_test(lives_by_linked),
             cmocka_unit_test(lives_by_checksum), cmocka_unit_test(lives_by_trusted), cmocka_unit_test(lives_by_timed),
             cmocka_unit_test(futures_join), cmocka_unit_test(spot_joins_an_empty_new_book),
             cmocka_unit_test(two_connections_fill_each_other), cmocka_unit_test(a_book_stands_by),
             cmocka_unit_test(what_waits_is_in_order_and_whole), cmocka_unit_test(crossed_books_are_doubted_once),
             cmocka_unit_test(depth_and_checksums), cmocka_unit_test(links_may_go_back_once),
             cmocka_unit_test(numbers_that_begin_anew_are_noticed),
             cmocka_unit_test(who_lags_behind_a_new_beginning_is_not_believed),
             cmocka_unit_test(what_nobody_took_is_no_position), cmocka_unit_test(times_at_their_edges),
             cmocka_unit_test(bad_messages_make_the_book_stale), cmocka_unit_test(waiting_is_bounded),
             cmocka_unit_test(survives_every_failed_allocation), cmocka_unit_test(a_message_allocates_nothing))
