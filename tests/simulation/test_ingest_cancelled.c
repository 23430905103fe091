/* SPDX-License-Identifier: MIT */
/*
 * A stream with books, and a walk through a venue's history, cancelled after each step, and with each allocation failing:
 * they end, with a code that says why, and leave nothing behind.
 */
#include <string.h>

#include "cancel_steps.h"
#include "exchange/simulated.h"
#include "ingest/history/history.h"
#include "ingest/stream/stream.h"
#include "sl_test.h"
#include "sluice/memory.h"
#include "sluice/runtime.h"
#include "sluice/simulation.h"

#define INSTRUMENTS 2

struct play {
    sl_venue venue;
    int (*act)(struct play *play);
    sl_instruments *theirs, *ours;
    sl_simulated *exchange;
    sl_http_client *http;
    sl_stream_service *stream;
    char stream_origin[80], rest_origin[80];
    size_t events;
};

static int on_event(void *arg, const sl_market_event *event)
{
    (void)event;
    ((struct play *)arg)->events++;
    return 0;
}

/* ---- a stream ---- */

static int until(const struct play *play, size_t events)
{
    while (play->events < events) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(20)));
    }
    return 0;
}

static int follow(struct play *play, size_t instruments)
{
    sl_subscription all[2 * INSTRUMENTS];
    size_t count = 0;
    for (size_t at = 0; at < instruments; at++) {
        const sl_instrument *instrument = sl_instruments_at(play->ours, at);
        all[count++] = (sl_subscription){.feed = SL_FEED_TRADES, .instrument = instrument};
        all[count++] = (sl_subscription){.feed = SL_FEED_DEPTH, .instrument = instrument};
    }
    return sl_stream_set(play->stream, &(struct sl_stream_wanted){.all = all, .count = count}, NULL);
}

/* Instruments come and go, a book is made anew, connections are. */
static int steer(struct play *play)
{
    SL_TRY(follow(play, 2));
    SL_TRY(until(play, 6));
    SL_TRY(follow(play, 1));
    SL_TRY(until(play, 9));
    int code = sl_stream_resync(play->stream, SL_FEED_DEPTH, sl_instruments_at(play->ours, 0));
    SL_TRY(code);
    SL_TRY(follow(play, 2));
    sl_stream_restart(play->stream);
    return until(play, 14);
}

static int run_stream(struct play *play)
{
    struct sl_stream_options options = {.name = "short",
                                        .driver = sl_venue_driver_of(play->venue),
                                        .instruments = play->ours,
                                        .origin = play->stream_origin,
                                        .rest_origin = play->rest_origin,
                                        .http = play->http,
                                        .redundancy = 2,
                                        .backoff = {.initial = SL_MILLISECONDS(50), .max = SL_SECONDS(1)},
                                        .arg = play,
                                        .event = on_event};
    SL_TRY(sl_stream_new(&options, &play->stream));
    SL_SCOPE(scope, .name = "life");
    int code = sl_spawn(&scope, sl_stream_run, play->stream, .name = "stream");
    code = code == 0 ? steer(play) : code;
    sl_scope_cancel(&scope, "done");
    code = sl_scope_close(&scope, code);
    sl_stream_service_close(play->stream);
    sl_stream_service_free(play->stream);
    return code;
}

/* ---- history ---- */

static int keep_nothing(void *arg, const char *progress)
{
    (void)arg;
    (void)progress;
    return 0;
}

static int walk(struct play *play)
{
    SL_TRY(sl_sleep(SL_SECONDS(90)));
    sl_simulated_pace(play->exchange, 0.001);
    struct sl_history_options options = {.driver = sl_venue_driver_of(play->venue),
                                         .instruments = play->ours,
                                         .http = play->http,
                                         .rest_origin = play->rest_origin,
                                         .arg = play,
                                         .event = on_event,
                                         .checkpoint = keep_nothing};
    struct sl_history_wish wish = {.feed = SL_FEED_TRADES,
                                   .instrument = sl_instruments_at(play->ours, 0),
                                   .from_time_ns = sl_now_wall() - SL_SECONDS(80),
                                   .to_time_ns = sl_now_wall() - SL_SECONDS(5)};
    SL_TRY(sl_history_walk(&options, &wish, ""));
    return play->events > 0 ? 0 : sl_fail(SL_EINTERNAL, "no history");
}

/* ---- around them ---- */

static int run_exchange(struct play *play)
{
    const char *venue = sl_venue_name(play->venue);
    struct sl_simulated_options options = {.instruments = play->theirs, .seed = 5, .rate = play->act == walk ? 0.5 : 5};
    SL_TRY(sl_simulated_define(play->theirs, play->venue, INSTRUMENTS));
    SL_TRY(sl_simulated_define(play->ours, play->venue, INSTRUMENTS));
    SL_TRY(sl_simulated_open(&options, &play->exchange));
    int port = sl_simulated_port(play->exchange);
    (void)snprintf(play->stream_origin, sizeof play->stream_origin, "ws://127.0.0.1:%d/%s", port, venue);
    (void)snprintf(play->rest_origin, sizeof play->rest_origin, "http://127.0.0.1:%d/%s", port, venue);
    SL_TRY(sl_http_client_open(&(struct sl_http_client_options){.tls = NULL}, &play->http));
    SL_SCOPE(scope, .name = "play");
    int code = sl_spawn(&scope, sl_simulated_run, play->exchange, .name = "exchange", .daemon = true);
    code = code == 0 ? play->act(play) : code;
    return sl_scope_close(&scope, code);
}

static int perform(void *arg)
{
    struct play play = *(const struct play *)arg;
    SL_TRY(sl_network_simulate());
    int code = sl_instruments_new(0, &play.theirs);
    code = code == 0 ? sl_instruments_new(0, &play.ours) : code;
    code = code == 0 ? run_exchange(&play) : code;
    sl_http_client_free(play.http);
    sl_simulated_close(play.exchange);
    sl_instruments_free(play.theirs);
    sl_instruments_free(play.ours);
    return code;
}

static const struct sl_simulation_options simulation = {.seed = 3};
static const struct sl_run_options run = {.simulation = &simulation, .watchdog = SL_NEVER, .log = sl_log_nothing};

static void cancel(sl_venue venue, int (*act)(struct play *play), int64_t least)
{
    struct play play = {.venue = venue, .act = act};
    int64_t steps = cancel_at_each_step(&run, perform, &play);
    print_message("%s: %lld steps\n", sl_venue_name(venue), (long long)steps);
    assert_true(steps > least);
}

/* Each allocation at first, later ones further and further apart. */
static void run_short(sl_venue venue, int (*act)(struct play *play))
{
    struct play play = {.venue = venue, .act = act};
    int64_t held = sl_memory_held();
    for (int64_t at = 0;; at += 1 + at / 40) {
        sl_memory_fail_after(at);
        sl_error *error = NULL;
        int code = sl_run(&run, perform, &play, &error);
        bool failed = sl_memory_failed();
        sl_memory_fail_after(-1);
        sl_error_unref(error);
        assert_int_equal(sl_memory_held(), held);
        if (!failed) {
            assert_int_equal(code, 0);
            assert_true(at > 40);
            return;
        }
        if (code != 0 && code != SL_ENOMEM && code != SL_ECONNRESET && code != SL_EOF && code != SL_EPIPE) {
            fail_msg("allocation %lld: %s", (long long)at,
                     sl_error_name(code)); /* the exchange may be the one without */
        }
    }
}

static void a_stream_is_cancelled_at_each_step(void **state)
{
    (void)state;
    cancel(SL_VENUE_BINANCE_SPOT, run_stream, 200);
    cancel(SL_VENUE_OKX, run_stream, 200);
}

static void a_walk_is_cancelled_at_each_step(void **state)
{
    (void)state;
    cancel(SL_VENUE_KRAKEN, walk, 40);
}

static void a_stream_without_memory(void **state)
{
    (void)state;
    run_short(SL_VENUE_BINANCE_SPOT, run_stream);
}

static void a_walk_without_memory(void **state)
{
    (void)state;
    run_short(SL_VENUE_COINBASE, walk);
}

SL_TEST_MAIN(cmocka_unit_test(a_stream_is_cancelled_at_each_step), cmocka_unit_test(a_walk_is_cancelled_at_each_step),
             cmocka_unit_test(a_stream_without_memory), cmocka_unit_test(a_walk_without_memory))
