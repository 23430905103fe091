/* SPDX-License-Identifier: MIT */
/* Books that go on from where another owner, or an earlier life, had them: what is told, and what a position is. */
#include "ingest/stream/books.h"

#include "sl_test.h"

#define SEEN_MAX 16

struct kit {
    sl_instruments *instruments;
    const sl_instrument *instrument;
    sl_mutex mutex;
    sl_books *books;
    sl_market_event seen[SEEN_MAX];
    size_t count;
    int refuse_after; /* so many further events are taken, then none; -1: all */
};

static int see(void *arg, const sl_market_event *event)
{
    struct kit *kit = arg;
    if (kit->refuse_after == 0) {
        return SL_ECANCELED;
    }
    kit->refuse_after -= kit->refuse_after > 0;
    assert_true(kit->count < SEEN_MAX);
    kit->seen[kit->count++] = *event;
    return 0;
}

static void renew(void *arg, const sl_instrument *instrument, uint32_t connection)
{
    (void)arg;
    (void)instrument;
    (void)connection;
}

static struct kit *open_kit(sl_venue venue)
{
    static struct kit kit;
    kit = (struct kit){.refuse_after = -1};
    sl_mutex_init(&kit.mutex);
    assert_int_equal(sl_instruments_new(0, &kit.instruments), 0);
    assert_int_equal(
        sl_instruments_add(kit.instruments, &(sl_instrument){.venue = venue, .symbol = "BTC-USD"}, &kit.instrument), 1);
    struct sl_books_options options = {.driver = sl_venue_driver_of(venue),
                                       .instruments = kit.instruments,
                                       .arg = &kit,
                                       .mutex = &kit.mutex,
                                       .event = see,
                                       .renew = renew};
    assert_int_equal(sl_books_new(&options, &kit.books), 0);
    return &kit;
}

static void close_kit(struct kit *kit)
{
    sl_books_free(kit->books);
    sl_instruments_free(kit->instruments);
}

static int snapshot(const struct kit *kit, int64_t last_id)
{
    sl_market_event event = {
        .kind = SL_EVENT_BOOK_SNAPSHOT, .feed = SL_FEED_DEPTH, .connection = 1, .instrument = kit->instrument};
    event.as.snapshot.last_id = last_id;
    return sl_books_event(kit->books, &event, 1);
}

static bool position(const struct kit *kit, int64_t *ret_id)
{
    return sl_books_position(kit->books, kit->instrument, ret_id);
}

static const sl_gap *gap(const struct kit *kit, size_t at)
{
    assert_true(at < kit->count);
    assert_int_equal(kit->seen[at].kind, SL_EVENT_GAP);
    assert_int_equal(kit->seen[at].as.gap.reason, SL_GAP_RESTARTED);
    return &kit->seen[at].as.gap;
}

/* Who brings it is cancelled, at each of the words that there are to say: the next life still has to say them. */
static void a_restart_is_behind_us_only_when_the_snapshot_was_taken(void **state)
{
    (void)state;
    for (int taken = 0; taken < 3; taken++) {
        struct kit *kit = open_kit(SL_VENUE_OKX);
        int64_t id = 0;
        assert_false(position(kit, &id));
        assert_int_equal(sl_books_resume(kit->books, kit->instrument, 40, false, 7), 0);
        kit->refuse_after = taken;
        assert_int_equal(snapshot(kit, 50), SL_ECANCELED);
        assert_true(position(kit, &id));
        assert_int_equal(id, 40);
        kit->count = 0;
        kit->refuse_after = -1;
        assert_int_equal(snapshot(kit, 60), 0);
        assert_int_equal(kit->count, 3);
        assert_int_equal(gap(kit, 0)->from_id, 40);
        assert_int_equal(gap(kit, 0)->to_id, 60);
        assert_true(gap(kit, 1)->healed);
        assert_int_equal(kit->seen[2].kind, SL_EVENT_BOOK_SNAPSHOT);
        assert_true(position(kit, &id));
        assert_int_equal(id, 60);
        close_kit(kit);
    }
}

/* Where ids will tell the next owner, they do; where there are none, whoever leaves does. */
static void what_no_id_will_tell_is_told_at_the_latest_when_another_goes_on(void **state)
{
    (void)state;
    static const struct {
        sl_venue venue;
        int64_t id;
        bool seamless, told;
    } cases[] = {
        {SL_VENUE_COINBASE, 0, false, true}, {SL_VENUE_COINBASE, 0, true, false},  {SL_VENUE_OKX, 40, false, false},
        {SL_VENUE_OKX, 0, false, true},      {SL_VENUE_BITSTAMP, 40, false, true},
    };
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        struct kit *kit = open_kit(cases[at].venue);
        assert_int_equal(sl_books_left(kit->books, kit->instrument, 8), 0); /* nothing is known of it */
        assert_int_equal(sl_books_resume(kit->books, kit->instrument, cases[at].id, cases[at].seamless, 7), 0);
        assert_int_equal(sl_books_left(kit->books, kit->instrument, 8), 0);
        assert_int_equal(kit->count, cases[at].told);
        if (cases[at].told) {
            assert_int_equal(gap(kit, 0)->from_id, cases[at].id);
            assert_int_equal(gap(kit, 0)->to_id, 0);
        }
        close_kit(kit);
    }
    struct kit *kit = open_kit(SL_VENUE_COINBASE);
    assert_int_equal(sl_books_resume(kit->books, kit->instrument, 0, false, 7), 0);
    assert_int_equal(snapshot(kit, 0), 0);
    size_t before = kit->count;
    assert_int_equal(sl_books_left(kit->books, kit->instrument, 8), 0); /* the other one goes on from here */
    assert_int_equal(kit->count, before);
    close_kit(kit);
}

SL_TEST_MAIN(cmocka_unit_test(a_restart_is_behind_us_only_when_the_snapshot_was_taken),
             cmocka_unit_test(what_no_id_will_tell_is_told_at_the_latest_when_another_goes_on))
