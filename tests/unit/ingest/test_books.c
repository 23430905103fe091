/* SPDX-License-Identifier: MIT */
/*
 * Books that go on from where another owner, or an earlier life, had them: what is told, and what a position is. And, in
 * virtual time, how often what heals a book is asked for.
 */
#include "ingest/stream/books.h"

#include <string.h>

#include "scripted_server.h"
#include "sl_test.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"
#include "sluice/simulation.h"

#define SEEN_MAX 16

struct kit {
    sl_instruments *instruments;
    const sl_instrument *instrument;
    sl_mutex mutex;
    sl_books *books;
    sl_market_event seen[SEEN_MAX];
    size_t count;
    int refuse_after; /* so many further events are taken, then none; -1: all */
    int renewals;     /* that were asked for */
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
    (void)instrument;
    (void)connection;
    ((struct kit *)arg)->renewals++;
}

static struct kit *open_kit_with(sl_venue venue, const char *origin, sl_http_client *http)
{
    static struct kit kit;
    kit = (struct kit){.refuse_after = -1};
    sl_mutex_init(&kit.mutex);
    assert_int_equal(sl_instruments_new(0, &kit.instruments), 0);
    assert_int_equal(
        sl_instruments_add(kit.instruments, &(sl_instrument){.venue = venue, .symbol = "BTC-USD"}, &kit.instrument), 1);
    struct sl_books_options options = {.driver = sl_venue_driver_of(venue),
                                       .instruments = kit.instruments,
                                       .origin = origin,
                                       .http = http,
                                       .arg = &kit,
                                       .mutex = &kit.mutex,
                                       .event = see,
                                       .renew = renew};
    assert_int_equal(sl_books_new(&options, &kit.books), 0);
    return &kit;
}

static struct kit *open_kit(sl_venue venue)
{
    return open_kit_with(venue, NULL, NULL);
}

static void close_kit(struct kit *kit)
{
    sl_books_free(kit->books);
    sl_instruments_free(kit->instruments);
}

static int snapshot_of(const struct kit *kit, int64_t last_id, const sl_level *bid)
{
    sl_market_event event = {
        .kind = SL_EVENT_BOOK_SNAPSHOT, .feed = SL_FEED_DEPTH, .connection = 1, .instrument = kit->instrument};
    event.as.snapshot.last_id = last_id;
    event.as.snapshot.levels = (sl_levels){.bids = bid, .bid_count = bid != NULL};
    return sl_books_event(kit->books, &event, 1);
}

static int snapshot(const struct kit *kit, int64_t last_id)
{
    return snapshot_of(kit, last_id, NULL);
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

/* ---- a stream that is to begin anew ---- */

static int change_of(const struct kit *kit, const sl_instrument *instrument, uint32_t connection, int64_t id)
{
    sl_market_event event = {
        .kind = SL_EVENT_BOOK_DELTA, .feed = SL_FEED_DEPTH, .connection = connection, .instrument = instrument};
    event.as.delta = (sl_book_delta){.first_id = id, .last_id = id, .previous_id = id - 1, .has_previous = true};
    return sl_books_event(kit->books, &event, sl_now());
}

static int change(const struct kit *kit, uint32_t connection, int64_t id)
{
    return change_of(kit, kit->instrument, connection, id);
}

#define RENEWAL_PATIENCE SL_SECONDS(20)
#define STEADY SL_MINUTES(1)

static int renew_by_changes(struct kit *kit)
{
    CHECK_EQ(snapshot(kit, 50), 0);
    CHECK(sl_books_resync(kit->books, kit->instrument));
    CHECK_EQ(kit->renewals, 1);
    for (int again = 1; again <= 3; again++) { /* the stream goes on as if nobody had asked */
        CHECK_EQ(sl_sleep(RENEWAL_PATIENCE - 1), 0);
        CHECK_EQ(change(kit, 1, 50 + 2 * again), 0);
        CHECK_EQ(kit->renewals, again);
        CHECK_EQ(sl_sleep(1), 0);
        CHECK_EQ(change(kit, 1, 51 + 2 * again), 0);
        CHECK_EQ(kit->renewals, again + 1);
    }
    CHECK_EQ(snapshot(kit, 60), 0);
    CHECK_EQ(sl_sleep(STEADY + 1), 0);
    CHECK(sl_books_resync(kit->books, kit->instrument));
    CHECK_EQ(kit->renewals, 5);
    CHECK_EQ(sl_books_lost(kit->books, kit->instrument, 1, true, sl_now()), 0);
    CHECK_EQ(kit->renewals, 5);
    CHECK_EQ(change(kit, 2, 70), 0); /* a connection of which nothing was asked yet */
    CHECK_EQ(kit->renewals, 6);
    return 0;
}

/* The question may be lost, or be answered without a snapshot. */
C_TEST_SIMULATED(a_stream_is_asked_again_to_begin_anew, "", "")
{
    struct kit *kit = open_kit(SL_VENUE_OKX);
    int code = renew_by_changes(kit);
    close_kit(kit);
    return code;
}

#define TRIES 13

/* From 100 ms on twice as long each time, to half a minute; of which up to a half is drawn by lot. */
static int check_waits(const sl_time *times)
{
    sl_time most = SL_MILLISECONDS(100);
    for (size_t at = 1; at <= TRIES; at++) {
        sl_time waited = times[at] - times[at - 1];
        CHECK(waited >= most / 2 && waited <= most + most / 10 + SL_MILLISECONDS(10));
        most = 2 * most < SL_SECONDS(30) ? 2 * most : SL_SECONDS(30);
    }
    return 0;
}

/* Snapshots that are none, or good ones of books that go wrong at once. */
static int renew_in_vain(struct kit *kit, bool good)
{
    const sl_level none = {.price = {1, 0}, .quantity = {-1, 0}};
    sl_time times[TRIES + 1], last = sl_now();
    int before = kit->renewals;
    CHECK_EQ(snapshot(kit, 50), 0);
    CHECK(sl_books_resync(kit->books, kit->instrument));
    for (size_t at = 0; at <= TRIES; at++) {
        for (int64_t id = 60; change(kit, 1, id) == 0 && kit->renewals < before + (int)at + 1; id += 2) {
            CHECK_EQ(sl_sleep(SL_MILLISECONDS(1) + (sl_now() - last) / 20), 0); /* the market goes on, with holes */
        }
        times[at] = last = sl_now();
        kit->count = 0;
        CHECK_EQ(good ? snapshot(kit, 50) : snapshot_of(kit, 50, &none), 0);
        CHECK_EQ(kit->renewals, before + (int)at + 1);
    }
    return check_waits(times);
}

/* What helps nothing is not done as fast as the venue answers. */
C_TEST_SIMULATED(a_stream_that_begins_anew_in_vain_is_asked_later_and_later, "", "")
{
    struct kit *kit = open_kit(SL_VENUE_OKX);
    int code = 0;
    for (int again = 0; again < 4 && code == 0; again++) { /* each time as if it were the first */
        code = renew_in_vain(kit, again % 2 == 1);
        code = code == 0 ? snapshot(kit, 50) : code;
        code = code == 0 ? sl_sleep(STEADY + SL_SECONDS(1)) : code;
    }
    close_kit(kit);
    return code;
}

static int renew_in_silence(struct kit *kit)
{
    SL_SCOPE(scope, .name = "books");
    CHECK_EQ(sl_spawn(&scope, sl_books_run, kit->books, .name = "books", .daemon = true), 0);
    CHECK_EQ(snapshot(kit, 50), 0);
    CHECK(sl_books_resync(kit->books, kit->instrument));
    CHECK_EQ(sl_sleep(RENEWAL_PATIENCE - SL_SECONDS(1)), 0);
    CHECK_EQ(kit->renewals, 1);
    CHECK_EQ(sl_sleep(SL_SECONDS(2)), 0);
    CHECK_EQ(kit->renewals, 2);
    CHECK_EQ(sl_sleep(RENEWAL_PATIENCE), 0);
    CHECK_EQ(kit->renewals, 3);
    CHECK_EQ(snapshot(kit, 60), 0);
    CHECK_EQ(sl_sleep(2 * RENEWAL_PATIENCE), 0);
    CHECK_EQ(kit->renewals, 3);
    return sl_scope_close(&scope, 0);
}

/* Where the market is quiet no change reminds of it. */
C_TEST_SIMULATED(a_quiet_stream_is_asked_again_too, "", "")
{
    struct kit *kit = open_kit(SL_VENUE_OKX);
    int code = renew_in_silence(kit);
    close_kit(kit);
    return code;
}

/* ---- snapshots that fail ---- */

#define TOO_OLD "{\"lastUpdateId\":5,\"bids\":[[\"1.0\",\"1\"]],\"asks\":[[\"2.0\",\"1\"]]}"

static int fail_snapshots(struct kit *kit, struct scripted_server *server)
{
    SL_SCOPE(scope, .name = "books");
    CHECK_EQ(sl_spawn(&scope, sl_books_run, kit->books, .name = "books", .daemon = true), 0);
    for (int64_t id = 10; id <= 30; id += 10) { /* each time as if it were the first */
        char good[128];
        struct scripted_answer script[TRIES + 1] = {{.body = TOO_OLD}};
        (void)snprintf(good, sizeof good, "{\"lastUpdateId\":%d,\"bids\":[],\"asks\":[]}", (int)id);
        for (size_t at = 1; at < TRIES; at++) {
            script[at].status = 500;
        }
        script[TRIES].body = good;
        scripted_server_script(server, script, TRIES + 1);
        CHECK_EQ(change(kit, 1, id), 0);
        CHECK_EQ(sl_sleep(SL_MINUTES(10)), 0);
        CHECK_EQ(server->seen, TRIES + 1);
        CHECK_EQ(check_waits(server->times), 0);
        bool stale = true;
        CHECK(sl_books_find(kit->books, kit->instrument, &stale) != NULL && !stale);
        CHECK(sl_books_resync(kit->books, kit->instrument));
    }
    CHECK_EQ(kit->renewals, 0);
    return sl_scope_close(&scope, 0);
}

/* Good snapshots of a book that goes wrong at once. */
static int fetch_in_vain(struct kit *kit, struct scripted_server *server)
{
    SL_SCOPE(scope, .name = "books");
    CHECK_EQ(sl_spawn(&scope, sl_books_run, kit->books, .name = "books", .daemon = true), 0);
    for (int again = 0; again < 2; again++) {
        SCRIPT(server, {.body = "{\"lastUpdateId\":5,\"bids\":[],\"asks\":[]}"});
        while (server->seen <= TRIES) {
            bool stale = false;
            (void)sl_books_find(kit->books, kit->instrument, &stale);
            if (!stale) {
                kit->count = 0;
                (void)sl_books_resync(kit->books, kit->instrument);
                CHECK_EQ(change(kit, 1, 5), 0);
            }
            CHECK_EQ(sl_sleep(SL_MILLISECONDS(5)), 0);
        }
        CHECK_EQ(check_waits(server->times), 0);
        CHECK_EQ(sl_sleep(STEADY + SL_SECONDS(1)), 0);
    }
    return sl_scope_close(&scope, 0);
}

#define FAILING 8 /* more than there are fetchers */

static int fail_some(struct kit *kit, struct scripted_server *server)
{
    SL_SCOPE(scope, .name = "books");
    CHECK_EQ(sl_spawn(&scope, sl_books_run, kit->books, .name = "books", .daemon = true), 0);
    SCRIPT(server, {.status = 500});
    for (int at = 0; at < FAILING; at++) {
        const sl_instrument *instrument = NULL;
        sl_instrument other = {.venue = SL_VENUE_BINANCE_SPOT};
        (void)snprintf(other.symbol, sizeof other.symbol, "A%d-USD", at);
        CHECK_EQ(sl_instruments_add(kit->instruments, &other, &instrument), 1);
        CHECK_EQ(change_of(kit, instrument, 1, 10), 0);
    }
    for (size_t before = SIZE_MAX; before != server->seen;) { /* until nothing is due for a while */
        before = server->seen;
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1500)), 0);
    }
    CHECK_EQ(change(kit, 1, 10), 0);
    sl_time began = sl_now();
    while (strstr(sl_books_get_stats(kit->books)->problem, kit->instrument->symbol) == NULL) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    }
    CHECK(sl_now() - began <= SL_MILLISECONDS(10));
    return sl_scope_close(&scope, 0);
}

static int with_server(int (*act)(struct kit *kit, struct scripted_server *server))
{
    static struct scripted_server server;
    char origin[sizeof server.url];
    sl_auto(sl_http_client) *http = NULL;
    CHECK_EQ(scripted_server_start(&server), 0);
    CHECK_EQ(sl_http_client_open(NULL, &http), 0);
    (void)snprintf(origin, sizeof origin, "%.*s", (int)strlen(server.url) - 1, server.url); /* without the '/' */
    struct kit *kit = open_kit_with(SL_VENUE_BINANCE_SPOT, origin, http);
    int code = act(kit, &server);
    close_kit(kit);
    int stopped = scripted_server_stop(&server);
    return code < 0 ? code : stopped;
}

C_TEST_SIMULATED(a_snapshot_that_fails_is_asked_for_later_and_later, "", "")
{
    return with_server(fail_snapshots);
}

C_TEST_SIMULATED(a_snapshot_that_does_not_help_is_asked_for_later_and_later, "", "")
{
    return with_server(fetch_in_vain);
}

C_TEST_SIMULATED(books_that_wait_hold_up_no_other, "", "")
{
    return with_server(fail_some);
}

SL_TEST_MAIN(cmocka_unit_test(a_restart_is_behind_us_only_when_the_snapshot_was_taken),
             cmocka_unit_test(what_no_id_will_tell_is_told_at_the_latest_when_another_goes_on),
             cmocka_unit_test(a_stream_is_asked_again_to_begin_anew),
             cmocka_unit_test(a_quiet_stream_is_asked_again_too),
             cmocka_unit_test(a_stream_that_begins_anew_in_vain_is_asked_later_and_later),
             cmocka_unit_test(a_snapshot_that_fails_is_asked_for_later_and_later),
             cmocka_unit_test(a_snapshot_that_does_not_help_is_asked_for_later_and_later),
             cmocka_unit_test(books_that_wait_hold_up_no_other))
