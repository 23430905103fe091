/* SPDX-License-Identifier: MIT */
/*
 * What a stream follows is changed while it runs, against the simulated exchange of each venue: what stays loses nothing,
 * what is left is closed and told, what is new begins with a whole book, and the venue has acknowledged all of it in the end.
 */
#include "ingest/stream/stream.h"

#include <stdlib.h>
#include <string.h>

#include "exchange/simulated.h"
#include "sl_test.h"
#include "sluice/memory.h"
#include "sluice/runtime.h"

#define INSTRUMENTS 6
#define STAY 2 /* the first ones are never left */
#define CHANGES 12
#define RATE 3000
#define TRADES_MAX 20000
#define LOOKS_MAX 1000 /* 10 ms each */
#define SOME 40        /* trades */
#define TURNS 8

struct tale {
    int64_t ids[TRADES_MAX];
    size_t count;
    uint64_t hash;
    uint64_t gaps, left; /* of trades: told as missing; told as left */
    uint64_t depth_left, restarted, delisted;
    size_t snapshots;
};

struct play {
    sl_venue venue;
    unsigned redundancy;
    sl_instruments *theirs, *ours;
    sl_simulated *exchange;
    sl_http_client *http;
    sl_stream_service *stream;
    struct tale truth[INSTRUMENTS], heard[INSTRUMENTS];
    bool followed[INSTRUMENTS];
    uint64_t strays; /* events of what is not followed */
    size_t pending;
    sl_subscription all[INSTRUMENTS * 2];
};

static void note_trade(struct tale *tale, const sl_trade *trade)
{
    assert_true(tale->count < TRADES_MAX);
    uint64_t hash = (uint64_t)trade->id * 31 + trade->uuid.low * 17 + (uint64_t)trade->price.mantissa * 1000003;
    tale->ids[tale->count++] = trade->id;
    tale->hash += hash ^ hash >> 29;
}

static int on_truth(void *arg, const sl_market_event *event)
{
    struct play *play = arg;
    if (event->kind == SL_EVENT_TRADE) {
        note_trade(&play->truth[event->instrument->index], &event->as.trade);
    }
    return 0;
}

static int on_event(void *arg, const sl_market_event *event)
{
    struct play *play = arg;
    struct tale *tale = &play->heard[event->instrument->index];
    if (event->kind == SL_EVENT_GAP) {
        const sl_gap *gap = &event->as.gap;
        bool left = gap->reason == SL_GAP_DISCONNECTED && gap->to_id == 0;
        tale->restarted += gap->reason == SL_GAP_RESTARTED;
        *(event->feed == SL_FEED_DEPTH ? &tale->depth_left : left ? &tale->left : &tale->gaps) += 1;
        return 0;
    }
    if (event->kind == SL_EVENT_STATUS) {
        tale->delisted += event->as.status == SL_STATUS_DELISTED;
        return 0;
    }
    play->strays += !play->followed[event->instrument->index];
    if (event->kind == SL_EVENT_TRADE) {
        note_trade(tale, &event->as.trade);
    }
    tale->snapshots += event->kind == SL_EVENT_BOOK_SNAPSHOT;
    return 0;
}

static void count_pending(void *arg, const sl_subscription *what)
{
    (void)what;
    ((struct play *)arg)->pending++;
}

/* Until the venue has said yes to all and all books are whole. */
static int settle(struct play *play)
{
    for (int look = 0; look < LOOKS_MAX; look++) {
        play->pending = 0;
        sl_stream_each_pending(play->stream, count_pending, play);
        if (play->pending == 0) {
            return 0;
        }
        SL_TRY(sl_sleep(SL_MILLISECONDS(10)));
    }
    return sl_fail(SL_ETIMEDOUT, "%zu subscriptions are pending", play->pending);
}

/* Follows those whose bit is set, trades and books. */
static int follow(struct play *play, unsigned bits, size_t added, size_t left)
{
    size_t count = 0;
    for (size_t at = 0; at < INSTRUMENTS; at++) {
        play->followed[at] = play->followed[at] || (bits >> at & 1) != 0;
        for (int feed = 0; feed < 2 && (bits >> at & 1) != 0; feed++) {
            play->all[count++] = (sl_subscription){.feed = feed == 0 ? SL_FEED_TRADES : SL_FEED_DEPTH,
                                                   .instrument = sl_instruments_at(play->ours, at)};
        }
    }
    struct sl_stream_change change;
    struct sl_stream_wanted wanted = {.all = play->all, .count = count};
    SL_TRY(sl_stream_set(play->stream, &wanted, &change));
    if (change.added != added || change.left != left) {
        return sl_fail(SL_EINTERNAL, "%zu added, %zu left", change.added, change.left);
    }
    for (size_t at = 0; at < INSTRUMENTS; at++) {
        play->followed[at] = (bits >> at & 1) != 0;
        bool there = sl_books_find(sl_stream_books(play->stream), sl_instruments_at(play->ours, at), NULL) != NULL;
        if (there && !play->followed[at]) {
            return sl_fail(SL_EINTERNAL, "a book is still open");
        }
    }
    return 0;
}

static size_t bits_in(unsigned bits)
{
    return (size_t)__builtin_popcount(bits);
}

static size_t heard(const struct play *play)
{
    size_t sum = 0;
    for (size_t at = 0; at < INSTRUMENTS; at++) {
        sum += play->heard[at].count;
    }
    return sum;
}

/* Some trades of each, most likely. */
static int hear_some(const struct play *play)
{
    size_t until = heard(play) + SOME;
    for (int look = 0; look < LOOKS_MAX && heard(play) < until; look++) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(10)));
    }
    return sl_sleep(SL_MILLISECONDS(10));
}

/* What has happened to those that stayed. */
static int hear_all(const struct play *play)
{
    for (int look = 0; look < LOOKS_MAX; look++) {
        size_t behind = 0;
        for (size_t at = 0; at < STAY; at++) {
            const struct tale *truth = &play->truth[at], *heard = &play->heard[at];
            behind += heard->count == 0 || heard->ids[heard->count - 1] != truth->ids[truth->count - 1];
        }
        if (behind == 0) {
            return sl_sleep(SL_MILLISECONDS(50)); /* no stray may follow */
        }
        SL_TRY(sl_sleep(SL_MILLISECONDS(10)));
    }
    return sl_fail(SL_ETIMEDOUT, "the last trades do not come");
}

static int change_often(struct play *play)
{
    unsigned before = (1U << STAY) - 1;
    SL_TRY(follow(play, before, 2 * (size_t)STAY, 0));
    SL_TRY(settle(play));
    for (unsigned change = 1; change <= CHANGES; change++) {
        unsigned bits = (change * 0x2F ^ change << 1) & ((1U << INSTRUMENTS) - 1);
        bits |= (1U << STAY) - 1;
        SL_TRY(follow(play, bits, 2 * bits_in(bits & ~before), 2 * bits_in(before & ~bits)));
        SL_TRY(follow(play, bits, 0, 0)); /* the same again is nothing */
        before = bits;
        SL_TRY(change % 3 == 0 ? settle(play) : hear_some(play));
    }
    SL_TRY(settle(play));
    SL_TRY(sl_simulated_end(play->exchange));
    return hear_all(play);
}

/* Nothing is followed for a while; then something is again. */
static int leave_all(struct play *play)
{
    SL_TRY(follow(play, 3, 4, 0));
    SL_TRY(settle(play));
    SL_TRY(follow(play, 0, 0, 4));
    SL_TRY(follow(play, 4, 2, 0)); /* not on connections that are about to end */
    SL_TRY(settle(play));
    sl_instruments_set_status(play->ours, sl_instruments_at(play->ours, 2), SL_STATUS_DELISTED);
    SL_TRY(follow(play, 0, 0, 2));
    for (int look = 0; look < LOOKS_MAX && sl_stream_get_stats(play->stream).connections > 0; look++) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(10)));
    }
    if (sl_stream_get_stats(play->stream).connections > 0) {
        return sl_fail(SL_EINTERNAL, "connections stay for nothing");
    }
    SL_TRY(follow(play, 1, 2, 0));
    SL_TRY(settle(play));
    SL_TRY(sl_sleep(SL_MILLISECONDS(100)));
    return follow(play, 0, 0, 2);
}

/* What is wanted is left again before its connections have begun, at whichever turn. */
static int leave_at_once(struct play *play)
{
    for (int turns = 0; turns < TURNS; turns++) {
        SL_TRY(follow(play, 3, 4, 0));
        for (int turn = 0; turn < turns; turn++) {
            SL_TRY(sl_checkpoint());
        }
        SL_TRY(follow(play, 0, 0, 4));
        SL_TRY(sl_sleep(SL_MILLISECONDS(20)));
    }
    SL_TRY(follow(play, 4, 2, 0));
    SL_TRY(settle(play));
    for (int look = 0; look < LOOKS_MAX && sl_stream_get_stats(play->stream).connections > 2; look++) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(10)));
    }
    size_t connections = sl_stream_get_stats(play->stream).connections;
    SL_TRY(follow(play, 0, 0, 2));
    return connections > 2 ? sl_fail(SL_EINTERNAL, "%zu connections stay for nothing", connections) : 0;
}

/* Another worker had it until an id that is too old; then one that is not. */
static int take_over(struct play *play)
{
    const sl_instrument *instrument = sl_instruments_at(play->ours, 0);
    SL_TRY(sl_stream_resume(play->stream, instrument, SL_FEED_DEPTH, 1, true));
    SL_TRY(follow(play, 1, 2, 0));
    SL_TRY(settle(play));
    SL_TRY(sl_sleep(SL_MILLISECONDS(50)));
    return sl_stream_resume(play->stream, instrument, SL_FEED_DEPTH, INT64_MAX, true);
}

struct scene {
    struct play *play;
    int (*act)(struct play *play);
};

static int open_all(struct play *play, char *stream_origin, char *rest_origin, size_t size)
{
    struct sl_simulated_options exchange = {
        .instruments = play->theirs, .seed = 11, .rate = RATE, .trade_weight = 50, .arg = play, .record = on_truth};
    SL_TRY(sl_simulated_open(&exchange, &play->exchange));
    const char *venue = sl_venue_name(play->venue);
    (void)snprintf(stream_origin, size, "ws://127.0.0.1:%d/%s", sl_simulated_port(play->exchange), venue);
    (void)snprintf(rest_origin, size, "http://127.0.0.1:%d/%s", sl_simulated_port(play->exchange), venue);
    SL_TRY(sl_http_client_open(&(struct sl_http_client_options){.tls = NULL}, &play->http));
    struct sl_stream_options options = {.name = "changing",
                                        .driver = sl_venue_driver_of(play->venue),
                                        .instruments = play->ours,
                                        .origin = stream_origin,
                                        .rest_origin = rest_origin,
                                        .http = play->http,
                                        .redundancy = play->redundancy,
                                        .per_connection = 5,
                                        .backoff = {.initial = SL_MILLISECONDS(5), .max = SL_MILLISECONDS(20)},
                                        .arg = play,
                                        .event = on_event};
    return sl_stream_new(&options, &play->stream);
}

static int perform(void *arg)
{
    const struct scene *scene = arg;
    struct play *play = scene->play;
    char stream_origin[80], rest_origin[80];
    SL_TRY(open_all(play, stream_origin, rest_origin, sizeof stream_origin));
    SL_SCOPE(scope, .name = "play");
    int code = sl_spawn(&scope, sl_simulated_run, play->exchange, .name = "exchange");
    code = code == 0 ? sl_spawn(&scope, sl_stream_run, play->stream, .name = "stream") : code;
    code = code == 0 ? scene->act(play) : code;
    sl_scope_cancel(&scope, "done");
    code = sl_scope_close(&scope, code);
    sl_stream_service_free(play->stream);
    sl_http_client_free(play->http);
    sl_simulated_close(play->exchange);
    return code;
}

static struct play *run(sl_venue venue, unsigned redundancy, int (*act)(struct play *play))
{
    struct play *play = calloc(1, sizeof *play);
    assert_non_null(play);
    play->venue = venue;
    play->redundancy = redundancy;
    assert_int_equal(sl_instruments_new(0, &play->theirs), 0);
    assert_int_equal(sl_instruments_new(0, &play->ours), 0);
    assert_int_equal(sl_simulated_define(play->theirs, venue, INSTRUMENTS), 0);
    assert_int_equal(sl_simulated_define(play->ours, venue, INSTRUMENTS), 0);
    sl_error *error = NULL;
    struct scene scene = {play, act};
    int code = sl_run(NULL, perform, &scene, &error);
    if (code != 0) {
        while (sl_error_count(error) > 0) {
            error = (sl_error *)sl_error_at(error, 0);
        }
        fail_msg("%s: %d %s", sl_venue_name(venue), code, sl_error_message(error));
    }
    return play;
}

static void done(struct play *play)
{
    sl_instruments_free(play->theirs);
    sl_instruments_free(play->ours);
    free(play);
}

/* From the first that was heard on, all that happened. */
static void check_those_that_stayed(const struct play *play)
{
    for (size_t at = 0; at < STAY; at++) {
        const struct tale *truth = &play->truth[at], *heard = &play->heard[at];
        assert_true(heard->count > 30 && heard->count <= truth->count);
        assert_int_equal(heard->gaps + heard->left + heard->depth_left, 0);
        size_t skipped = truth->count - heard->count; /* before the subscription */
        assert_memory_equal(truth->ids + skipped, heard->ids, heard->count * sizeof *heard->ids);
        assert_int_equal(heard->snapshots, 1);
    }
}

static void what_stays_loses_nothing_while_others_come_and_go(void **state)
{
    (void)state;
    static const sl_venue venues[] = {SL_VENUE_BINANCE_SPOT, SL_VENUE_BINANCE_USDM, SL_VENUE_COINBASE,
                                      SL_VENUE_KRAKEN,       SL_VENUE_BYBIT_LINEAR, SL_VENUE_OKX};
    for (size_t at = 0; at < sizeof venues / sizeof *venues; at++) {
        struct play *play = run(venues[at], 1, change_often);
        check_those_that_stayed(play);
        assert_int_equal(play->strays, 0);
        uint64_t left = 0, gaps = 0;
        for (size_t other = STAY; other < INSTRUMENTS; other++) {
            left += play->heard[other].left;
            gaps += play->heard[other].gaps;
        }
        assert_true(left > 5); /* each time that something had come */
        /* One that comes back before the venue has heard that it was left: what it did not send meanwhile is told. */
        assert_true(gaps <= 3);
        done(play);
    }
}

static void two_connections_change_alike(void **state)
{
    (void)state;
    struct play *play = run(SL_VENUE_BINANCE_USDM, 2, change_often);
    check_those_that_stayed(play);
    assert_int_equal(play->strays, 0);
    done(play);
}

static void what_is_left_before_it_begins_ends_well(void **state)
{
    (void)state;
    static const sl_venue venues[] = {SL_VENUE_BINANCE_USDM, SL_VENUE_OKX};
    for (size_t at = 0; at < sizeof venues / sizeof *venues; at++) {
        struct play *play = run(venues[at], 1, leave_at_once);
        assert_int_equal(play->strays, 0);
        done(play);
    }
}

static void connections_without_subscriptions_end_and_new_ones_are_made(void **state)
{
    (void)state;
    static const sl_venue venues[] = {SL_VENUE_BINANCE_SPOT, SL_VENUE_KRAKEN, SL_VENUE_BITSTAMP};
    for (size_t at = 0; at < sizeof venues / sizeof *venues; at++) {
        struct play *play = run(venues[at], 1, leave_all);
        assert_int_equal(play->strays, 0);
        assert_true(play->heard[0].count > 0 && play->heard[0].snapshots == 2);
        assert_int_equal(play->heard[2].snapshots, 1);
        assert_int_equal(play->heard[2].delisted, 2); /* of its trades and its book */
        assert_int_equal(play->heard[0].delisted, 0);
        done(play);
    }
}

static void a_book_that_another_had_tells_what_nobody_kept(void **state)
{
    (void)state;
    struct play *play = run(SL_VENUE_BINANCE_SPOT, 1, take_over);
    assert_int_equal(play->heard[0].restarted, 2); /* seen and healed; the second time they overlap */
    assert_int_equal(play->heard[0].snapshots, 1);
    done(play);
}

/* ---- without memory ---- */

static int set_without_memory(void *arg)
{
    struct play *play = arg;
    int failed = 0;
    for (int64_t at = 0;; at++) {
        struct sl_stream_options options = {.name = "changing",
                                            .driver = sl_venue_driver_of(play->venue),
                                            .instruments = play->ours,
                                            .redundancy = 2,
                                            .per_connection = 2,
                                            .http = play->http,
                                            .arg = play,
                                            .event = on_event};
        SL_TRY(sl_stream_new(&options, &play->stream));
        sl_memory_fail_after(at);
        int code = follow(play, 7, 6, 0);
        sl_memory_fail_after(-1);
        if (code != 0 && code != SL_ENOMEM) {
            return code;
        }
        struct sl_stream_wanted all = {.all = play->all, .count = 6};
        int again = sl_stream_set(play->stream, &all, NULL); /* the rest, whatever was done of it */
        size_t there = sl_stream_get_stats(play->stream).subscriptions;
        sl_stream_service_free(play->stream);
        if (again != 0 || there != 6) {
            return sl_fail(SL_EINTERNAL, "after failure %d: %d, %zu subscriptions", (int)at, again, there);
        }
        failed += code == SL_ENOMEM;
        if (code == 0) {
            return failed > 10 ? 0 : sl_fail(SL_EINTERNAL, "only %d allocations", failed);
        }
    }
}

static void a_set_that_fails_half_way_is_made_whole_by_the_next(void **state)
{
    (void)state;
    struct play *play = calloc(1, sizeof *play);
    assert_non_null(play);
    play->venue = SL_VENUE_BINANCE_SPOT;
    assert_int_equal(sl_instruments_new(0, &play->theirs), 0);
    assert_int_equal(sl_instruments_new(0, &play->ours), 0);
    assert_int_equal(sl_simulated_define(play->ours, play->venue, INSTRUMENTS), 0);
    int code = sl_run(NULL, set_without_memory, play, NULL);
    if (code != 0) {
        fail_msg("%d %s", code, sl_strerror(code));
    }
    done(play);
}

SL_TEST_MAIN(cmocka_unit_test(what_is_left_before_it_begins_ends_well),
             cmocka_unit_test(what_stays_loses_nothing_while_others_come_and_go),
             cmocka_unit_test(two_connections_change_alike),
             cmocka_unit_test(connections_without_subscriptions_end_and_new_ones_are_made),
             cmocka_unit_test(a_book_that_another_had_tells_what_nobody_kept),
             cmocka_unit_test(a_set_that_fails_half_way_is_made_whole_by_the_next))
