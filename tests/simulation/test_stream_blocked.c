/* SPDX-License-Identifier: MIT */
/*
 * A stream whose sink makes it wait for long, in the simulated world: its connections are not taken for silent, and
 * whoever waits in it from outside leaves before it is freed. What is told from outside happens at once.
 */
#include "ingest/stream/stream.h"

#include <string.h>

#include "exchange/simulated.h"
#include "ingest/stream/stream_internal.h"
#include "sl_test.h"
#include "sluice/memory.h"
#include "sluice/runtime.h"
#include "sluice/simulation.h"

#define INSTRUMENTS 2
#define MANY 60    /* more that our side knows of */
#define STILL 1e-6 /* steps a second */
#define SILENCE SL_SECONDS(4)
#define NOT_YET 99

struct play {
    sl_venue venue;
    int (*act)(struct play *play);
    sl_instruments *theirs, *ours;
    sl_simulated *exchange;
    sl_http_client *http;
    sl_stream_service *stream;
    sl_scope *scope; /* the stream runs in it */
    bool closed;     /* the dam: nothing passes */
    sl_event open;
    size_t waiting, passed;
    int visited; /* what a visit ended with */
};

static int on_event(void *arg, const sl_market_event *event)
{
    struct play *play = arg;
    (void)event;
    play->waiting++;
    int code = 0;
    while (play->closed && code == 0) {
        code = sl_event_wait(&play->open);
    }
    play->waiting--;
    play->passed += code == 0;
    return code;
}

static void close_dam(struct play *play, bool closed)
{
    play->closed = closed;
    if (closed) {
        sl_event_reset(&play->open);
    } else {
        sl_event_set(&play->open);
    }
}

static int until_passed(const struct play *play, size_t count)
{
    for (int look = 0; look < 1000 && play->passed < count; look++) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(100)));
    }
    return play->passed >= count ? 0 : sl_fail(SL_ETIMEDOUT, "%zu events", play->passed);
}

static int until_waiting(const struct play *play)
{
    for (int look = 0; look < 1000 && play->waiting == 0; look++) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(100)));
    }
    return play->waiting > 0 ? 0 : sl_fail(SL_ETIMEDOUT, "nothing waits");
}

static int open_stream(struct play *play, char *stream_origin, char *rest_origin, size_t size)
{
    const char *venue = sl_venue_name(play->venue);
    (void)snprintf(stream_origin, size, "ws://127.0.0.1:%d/%s", sl_simulated_port(play->exchange), venue);
    (void)snprintf(rest_origin, size, "http://127.0.0.1:%d/%s", sl_simulated_port(play->exchange), venue);
    SL_TRY(sl_http_client_open(&(struct sl_http_client_options){.tls = NULL}, &play->http));
    struct sl_stream_options options = {.name = "blocked",
                                        .driver = sl_venue_driver_of(play->venue),
                                        .instruments = play->ours,
                                        .origin = stream_origin,
                                        .rest_origin = rest_origin,
                                        .http = play->http,
                                        .silence = SILENCE,
                                        .backoff = {.initial = SL_MILLISECONDS(50), .max = SL_SECONDS(2)},
                                        .arg = play,
                                        .event = on_event};
    SL_TRY(sl_stream_new(&options, &play->stream));
    for (size_t at = 0; at < INSTRUMENTS; at++) {
        sl_subscription depth = {.feed = SL_FEED_DEPTH, .instrument = sl_instruments_at(play->ours, at)};
        SL_TRY(sl_stream_add(play->stream, &depth));
    }
    return 0;
}

static void look(void *arg, const sl_instrument *instrument, sl_feed feed, int64_t id)
{
    (void)arg;
    (void)instrument;
    (void)feed;
    (void)id;
}

static int run_stream(void *arg)
{
    struct play *play = arg;
    SL_SCOPE(scope, .name = "life");
    play->scope = &scope;
    int code = sl_spawn(&scope, sl_stream_run, play->stream, .name = "stream");
    code = code == 0 ? sl_scope_join(&scope, SL_NEVER) : code;
    play->scope = NULL;
    code = sl_scope_close(&scope, code);
    sl_time began = sl_now();
    sl_stream_service_close(play->stream);
    bool at_once = sl_now() == began; /* the last visitor's leaving wakes it */
    bool closed = sl_stream_positions(play->stream, look, NULL) == SL_ECLOSED;
    code = !closed ? sl_fail(SL_EINTERNAL, "somebody was let in") : code;
    code = !at_once ? sl_fail(SL_EINTERNAL, "visitors were waited for in vain") : code;
    sl_stream_service_free(play->stream);
    play->stream = NULL;
    return code;
}

static int perform(void *arg)
{
    struct play *play = arg;
    char stream_origin[80], rest_origin[80];
    SL_TRY(sl_network_simulate());
    SL_TRY(sl_network_link(NULL, NULL, &(struct sl_link_options){.latency = SL_MILLISECONDS(100)}));
    struct sl_simulated_options exchange = {.instruments = play->theirs, .seed = 5, .rate = 40};
    SL_TRY(sl_simulated_open(&exchange, &play->exchange));
    SL_TRY(open_stream(play, stream_origin, rest_origin, sizeof stream_origin));
    SL_SCOPE(scope, .name = "play");
    int code = sl_spawn(&scope, sl_simulated_run, play->exchange, .name = "exchange");
    code = code == 0 ? sl_spawn(&scope, run_stream, play, .name = "life") : code;
    code = code == 0 ? play->act(play) : code;
    sl_scope_cancel(&scope, "done");
    code = sl_scope_close(&scope, code);
    sl_http_client_free(play->http);
    sl_simulated_close(play->exchange);
    return code;
}

static void run(sl_venue venue, int (*act)(struct play *play), struct play *play)
{
    *play = (struct play){.venue = venue, .act = act, .visited = NOT_YET};
    int64_t held = sl_memory_held();
    sl_event_init(&play->open);
    assert_int_equal(sl_instruments_new(0, &play->theirs), 0);
    assert_int_equal(sl_instruments_new(0, &play->ours), 0);
    assert_int_equal(sl_simulated_define(play->theirs, venue, INSTRUMENTS), 0);
    assert_int_equal(sl_simulated_define(play->ours, venue, INSTRUMENTS + MANY), 0);
    struct sl_simulation_options simulation = {.seed = 3};
    struct sl_run_options options = {.simulation = &simulation, .watchdog = SL_NEVER};
    sl_error *error = NULL;
    int code = sl_run(&options, perform, play, &error);
    if (code != 0) {
        char story[300] = "";
        (void)sl_error_print(error, story, sizeof story);
        fail_msg("%s: %s", sl_venue_name(venue), story);
    }
    sl_instruments_free(play->theirs);
    sl_instruments_free(play->ours);
    assert_int_equal(sl_memory_held(), held);
}

/* ---- silence ---- */

/* For longer than the venue may be silent, and shorter than it bears one that answers no ping. */
static int wait_long(struct play *play)
{
    SL_TRY(until_passed(play, 100));
    uint64_t reconnects = sl_stream_get_stats(play->stream).reconnects;
    close_dam(play, true);
    SL_TRY(until_waiting(play));
    SL_TRY(sl_sleep(3 * SILENCE));
    close_dam(play, false);
    SL_TRY(until_passed(play, play->passed + 100));
    return sl_stream_get_stats(play->stream).reconnects == reconnects ? 0 : sl_fail(SL_EINTERNAL, "it was cut");
}

static void a_sink_that_makes_wait_is_no_silence_of_the_venue(void **state)
{
    (void)state;
    struct play play;
    run(SL_VENUE_BINANCE_SPOT, wait_long, &play);
    run(SL_VENUE_KRAKEN, wait_long, &play);
}

/* ---- what is left ---- */

static int follow_one(struct play *play)
{
    sl_subscription depth = {.feed = SL_FEED_DEPTH, .instrument = sl_instruments_at(play->ours, 0)};
    return sl_stream_set(play->stream, &(struct sl_stream_wanted){.all = &depth, .count = 1}, NULL);
}

/* A connection is replaced while the venue has not yet heard that an instrument is left: the new one never asks for it. */
static int leave_and_rotate(struct play *play)
{
    size_t count = 0;
    SL_TRY(until_passed(play, 100));
    SL_TRY(sl_simulated_order(play->exchange, &(struct sl_fault_order){.fault = SL_FAULT_LEAVE}));
    SL_TRY(follow_one(play)); /* the venue's notice comes before its answer to that */
    for (int wait = 0; wait < 400 && sl_stream_get_stats(play->stream).connections < 2; wait++) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(5)));
    }
    for (const struct leg *leg = play->stream->shards[0]->legs; leg != NULL; leg = leg->next) {
        count += sl_subscriptions_count(sl_connection_subscriptions(leg->connection));
    }
    return count == 3 ? 0 : sl_fail(SL_EINTERNAL, "%zu subscriptions on both", count);
}

/* What a book came to is counted also when it is left. */
static int count_and_leave(struct play *play)
{
    const struct sl_books_stats *stats = sl_books_get_stats(sl_stream_books(play->stream));
    SL_TRY(until_passed(play, 100));
    int code = sl_stream_resync(play->stream, SL_FEED_DEPTH, sl_instruments_at(play->ours, 1));
    SL_TRY(code);
    SL_TRY(sl_sleep(SL_SECONDS(3)));
    uint64_t gaps = stats->gaps, applied = stats->applied;
    SL_TRY(follow_one(play));
    SL_TRY(sl_sleep(SL_SECONDS(3)));
    return gaps > 0 && stats->gaps >= gaps && stats->applied >= applied ? 0 : sl_fail(SL_EINTERNAL, "it is forgotten");
}

static void what_is_left_is_left_and_counted(void **state)
{
    (void)state;
    struct play play;
    run(SL_VENUE_BINANCE_SPOT, leave_and_rotate, &play);
    run(SL_VENUE_BINANCE_SPOT, count_and_leave, &play);
}

/* ---- visits ---- */

static int ask_positions(void *arg)
{
    struct play *play = arg;
    play->visited = sl_stream_positions(play->stream, look, NULL);
    return 0;
}

static int ask_resync(void *arg)
{
    struct play *play = arg;
    play->visited = sl_stream_resync(play->stream, SL_FEED_DEPTH, sl_instruments_at(play->ours, 0));
    return 0;
}

/* The stream ends while somebody from outside waits for the sink with it, or for whoever waits for that. */
static int end_under(struct play *play, int (*visit)(void *arg), bool first)
{
    SL_TRY(until_passed(play, 100));
    close_dam(play, true);
    SL_TRY(first ? 0 : until_waiting(play));
    SL_SCOPE(scope, .name = "visitor");
    int code = sl_spawn(&scope, visit, play);
    code = code == 0 ? sl_sleep(SL_SECONDS(3)) : code;
    if (code == 0 && play->visited != NOT_YET) {
        code = sl_fail(SL_EINTERNAL, "it did not wait");
    }
    sl_scope_cancel(play->scope, "the configuration has it no more");
    code = code == 0 ? sl_sleep(SL_SECONDS(1)) : code; /* the visitor has a scope of its own */
    if (code == 0 && (play->visited == NOT_YET || play->stream != NULL)) {
        code = sl_fail(SL_EINTERNAL, "somebody still waits");
    }
    return sl_scope_close(&scope, code);
}

static int end_under_positions(struct play *play)
{
    return end_under(play, ask_positions, false);
}

static int end_under_resync(struct play *play)
{
    return end_under(play, ask_resync, false);
}

/* The visitor is the one that waits for the sink: the book's gap is what does not pass. */
static int end_under_a_gap(struct play *play)
{
    return end_under(play, ask_resync, true);
}

static void whoever_waits_in_a_stream_that_ends_leaves_it_first(void **state)
{
    (void)state;
    struct play play;
    run(SL_VENUE_BINANCE_SPOT, end_under_positions, &play);
    run(SL_VENUE_OKX, end_under_resync, &play);
    run(SL_VENUE_BINANCE_USDM, end_under_a_gap, &play);
    assert_int_equal(play.visited, 1); /* what was not told then is told by the next life */
}

static int visit_a_quiet_one(struct play *play)
{
    SL_TRY(until_passed(play, 100));
    SL_TRY(ask_positions(play));
    if (play->visited != 0) {
        return sl_fail(SL_EINTERNAL, "positions: %s", sl_error_name(play->visited));
    }
    SL_TRY(ask_resync(play));
    return play->visited == 1 ? 0 : sl_fail(SL_EINTERNAL, "resync: %d", play->visited);
}

static void visits_of_one_that_runs_give_what_they_are_for(void **state)
{
    (void)state;
    struct play play;
    run(SL_VENUE_BINANCE_SPOT, visit_a_quiet_one, &play);
}

/* ---- at once ---- */

/* What is asked for is answered, and a connection made, within so long: once there and back, or a few times. */
#define ANSWERED SL_MILLISECONDS(250)
#define CONNECTED SL_MILLISECONDS(950)

static int until_live(const struct play *play)
{
    for (int look = 0; look < 1000 && sl_stream_get_stats(play->stream).live == 0; look++) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(10)));
    }
    return 0;
}

/* The second time whoever waits has waited before. */
static int pause_twice(struct play *play)
{
    SL_TRY(until_passed(play, 100));
    for (int time = 0; time < 2; time++) {
        sl_stream_pause(play->stream, true);
        SL_TRY(sl_sleep(SL_SECONDS(100)));
        size_t before = play->passed;
        SL_TRY(sl_sleep(SL_SECONDS(100)));
        if (sl_stream_get_stats(play->stream).live > 0 || play->passed > before) {
            return sl_fail(SL_EINTERNAL, "it goes on while it is paused");
        }
        sl_time began = sl_now();
        sl_stream_pause(play->stream, false);
        SL_TRY(until_live(play));
        if (sl_now() - began > CONNECTED) {
            return sl_fail(SL_EINTERNAL, "live after %lld ms", (long long)((sl_now() - began) / SL_MILLISECONDS(1)));
        }
        SL_TRY(until_passed(play, play->passed + 100));
    }
    return 0;
}

static void a_pause_lasts_until_it_is_over_and_no_longer(void **state)
{
    (void)state;
    struct play play;
    run(SL_VENUE_BINANCE_SPOT, pause_twice, &play);
    run(SL_VENUE_KRAKEN, pause_twice, &play);
}

/* As far as the venue's word has come: whether all is active, and how many there are. */
static bool settled(const struct play *play, size_t count)
{
    const sl_connection *connection = play->stream->shards[0]->legs->connection;
    return sl_connection_get_stats(connection)->state == SL_CONNECTION_LIVE &&
           sl_subscriptions_count(sl_connection_subscriptions(connection)) == count;
}

/* In a market that stands still nothing but our word wakes the connection. */
static int change_what_is_followed(struct play *play)
{
    const sl_subscription depth = {.feed = SL_FEED_DEPTH, .instrument = sl_instruments_at(play->ours, 0)};
    SL_TRY(until_passed(play, 100));
    sl_simulated_pace(play->exchange, STILL);
    SL_TRY(sl_sleep(SL_SECONDS(3)));
    SL_TRY(follow_one(play));
    SL_TRY(sl_sleep(ANSWERED));
    if (!settled(play, 1)) {
        return sl_fail(SL_EINTERNAL, "the venue has not heard that one is left");
    }
    const sl_subscription other = {.feed = SL_FEED_DEPTH, .instrument = sl_instruments_at(play->ours, 1)};
    int code = sl_stream_add(play->stream, &other);
    SL_TRY(code);
    SL_TRY(sl_sleep(ANSWERED));
    if (!settled(play, 2)) {
        return sl_fail(SL_EINTERNAL, "nor of a new one");
    }
    sl_time began = sl_now();
    (void)sl__stream_renew(play->stream, SL_FEED_DEPTH, depth.instrument, 0);
    SL_TRY(sl_sleep(CONNECTED)); /* left, then asked for, as fast as the venue lets us */
    sl_time since = sl__stream_carries_since(play->stream->shards[0]->legs, &depth);
    return since >= began && since != SL_NEVER ? 0 : sl_fail(SL_EINTERNAL, "nor that one begins anew");
}

static void the_venue_hears_at_once_what_is_followed(void **state)
{
    (void)state;
    struct play play;
    run(SL_VENUE_BINANCE_SPOT, change_what_is_followed, &play);
}

/*
 * There is no memory for what is to be sent while a message waits for the sink: the connection ends as soon as that message
 * is dealt with. Nothing else would end it, for nobody looks after it any more.
 */
static int fail_while_busy(struct play *play)
{
    SL_TRY(until_passed(play, 100));
    close_dam(play, true);
    SL_TRY(until_waiting(play));
    sl_simulated_pace(play->exchange, STILL);
    for (size_t at = INSTRUMENTS; at < INSTRUMENTS + MANY; at++) { /* too many for a message that needs no memory */
        sl_subscription what = {.feed = SL_FEED_TRADES, .instrument = sl_instruments_at(play->ours, at)};
        int code = sl_stream_add(play->stream, &what);
        SL_TRY(code);
    }
    sl_memory_fail_after(0);
    SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    bool failed = sl_memory_failed() != 0;
    sl_memory_fail_after(-1);
    SL_TRY(failed ? 0 : sl_fail(SL_EINTERNAL, "nothing failed"));
    uint64_t reconnects = sl_stream_get_stats(play->stream).reconnects;
    SL_TRY(sl_sleep(SL_SECONDS(1)));
    SL_TRY(sl_stream_get_stats(play->stream).reconnects == reconnects ? 0 : sl_fail(SL_EINTERNAL, "amid a message"));
    close_dam(play, false);
    SL_TRY(sl_sleep(ANSWERED));
    return sl_stream_get_stats(play->stream).reconnects == reconnects + 1 ? 0 : sl_fail(SL_EINTERNAL, "it lives on");
}

static void one_that_cannot_send_ends_behind_the_message_in_hand(void **state)
{
    (void)state;
    struct play play;
    run(SL_VENUE_BINANCE_SPOT, fail_while_busy, &play);
}

SL_TEST_MAIN(cmocka_unit_test(a_sink_that_makes_wait_is_no_silence_of_the_venue),
             cmocka_unit_test(whoever_waits_in_a_stream_that_ends_leaves_it_first),
             cmocka_unit_test(what_is_left_is_left_and_counted),
             cmocka_unit_test(visits_of_one_that_runs_give_what_they_are_for),
             cmocka_unit_test(a_pause_lasts_until_it_is_over_and_no_longer),
             cmocka_unit_test(the_venue_hears_at_once_what_is_followed),
             cmocka_unit_test(one_that_cannot_send_ends_behind_the_message_in_hand))
