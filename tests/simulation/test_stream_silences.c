/* SPDX-License-Identifier: MIT */
/*
 * When a silence is too long, in virtual time: of a connection, by how long its market was silent of late; of one subscription
 * on one of two connections, by what the other one brings. Trades of one instrument, whose market moves when a case says so.
 */
#include <string.h>

#include "exchange/simulated.h"
#include "ingest/stream/stream_internal.h"
#include "sl_test.h"
#include "sluice/runtime.h"
#include "sluice/simulation.h"

#define STILL 1e-6 /* steps a second */

/* How late it may be noticed that something is due. */
#define SWEEP (SL_STREAM_SWEEP + SL_MILLISECONDS(200))

struct play {
    unsigned redundancy;
    int (*act)(struct play *play);
    sl_instruments *theirs, *ours;
    sl_simulated *exchange;
    sl_stream_service *stream;
    sl_time last, longest; /* event, and between two of them */
    uint64_t told;         /* subscriptions whose loss was told because they were mute */
    uint32_t mute;         /* the connection on which they are */
};

static int on_event(void *arg, const sl_market_event *event)
{
    struct play *play = arg;
    sl_time quiet = play->last == 0 ? 0 : sl_now() - play->last;
    if (event->kind == SL_EVENT_TRADE) {
        play->longest = quiet > play->longest ? quiet : play->longest;
        play->last = sl_now();
    }
    return 0;
}

static int on_lost(void *arg, const sl_connection *connection, const sl_subscription *what, bool last)
{
    struct play *play = arg;
    (void)what;
    (void)last;
    play->told += sl_connection_number(connection) == play->mute;
    return 0;
}

static int perform(void *arg)
{
    struct play *play = arg;
    char origin[80];
    SL_TRY(sl_network_simulate());
    struct sl_simulated_options exchange = {
        .instruments = play->theirs, .seed = 5, .rate = STILL, .wait = play->redundancy, .trade_weight = 100};
    SL_TRY(sl_simulated_open(&exchange, &play->exchange));
    (void)snprintf(origin, sizeof origin, "ws://127.0.0.1:%d/binance-usdm", sl_simulated_port(play->exchange));
    struct sl_stream_options options = {.name = "silences",
                                        .driver = sl_venue_driver_of(SL_VENUE_BINANCE_USDM),
                                        .instruments = play->ours,
                                        .origin = origin,
                                        .redundancy = play->redundancy,
                                        .silence = SL_MINUTES(60 * 24), /* signs of life are not what this is about */
                                        .backoff = {.initial = SL_MILLISECONDS(50), .max = SL_SECONDS(1)},
                                        .arg = play,
                                        .event = on_event,
                                        .lost = on_lost};
    SL_TRY(sl_stream_new(&options, &play->stream));
    sl_subscription trades = {.feed = SL_FEED_TRADES, .instrument = sl_instruments_at(play->ours, 0)};
    int code = sl_stream_add(play->stream, &trades);
    SL_SCOPE(scope, .name = "play");
    code = code > 0 ? sl_spawn(&scope, sl_simulated_run, play->exchange, .name = "exchange") : code;
    code = code == 0 ? sl_spawn(&scope, sl_stream_run, play->stream, .name = "stream") : code;
    code = code == 0 ? sl_sleep(SL_SECONDS(2)) : code;
    code = code == 0 ? play->act(play) : code;
    sl_scope_cancel(&scope, "done");
    code = sl_scope_close(&scope, code);
    sl_stream_service_free(play->stream);
    sl_simulated_close(play->exchange);
    return code;
}

static void run(unsigned redundancy, int (*act)(struct play *play))
{
    struct play play = {.redundancy = redundancy, .act = act};
    assert_int_equal(sl_instruments_new(0, &play.theirs), 0);
    assert_int_equal(sl_instruments_new(0, &play.ours), 0);
    assert_int_equal(sl_simulated_define(play.theirs, SL_VENUE_BINANCE_USDM, 1), 0);
    assert_int_equal(sl_simulated_define(play.ours, SL_VENUE_BINANCE_USDM, 1), 0);
    struct sl_simulation_options simulation = {.seed = 3};
    struct sl_run_options options = {.simulation = &simulation, .watchdog = SL_NEVER, .log = sl_log_nothing};
    sl_error *error = NULL;
    int code = sl_run(&options, perform, &play, &error);
    if (code != 0) {
        char story[300] = "";
        (void)sl_error_print(error, story, sizeof story);
        fail_msg("%s", story);
    }
    sl_instruments_free(play.theirs);
    sl_instruments_free(play.ours);
}

static int expect_time(const char *what, sl_time took, sl_time from, sl_time to)
{
    if (took >= from && took <= to) {
        return 0;
    }
    return sl_fail(SL_EINTERNAL, "%s: %lld ms, not %lld to %lld", what, (long long)(took / SL_MILLISECONDS(1)),
                   (long long)(from / SL_MILLISECONDS(1)), (long long)(to / SL_MILLISECONDS(1)));
}

static int expect_count(const char *what, uint64_t count, uint64_t expected)
{
    return count == expected ? 0
                             : sl_fail(SL_EINTERNAL, "%s: %llu, not %llu", what, (unsigned long long)count,
                                       (unsigned long long)expected);
}

/* ---- a connection ---- */

static uint64_t reconnects(const struct play *play)
{
    return sl_stream_get_stats(play->stream).reconnects;
}

/* The market moves for so long, then stands still. */
static int trade_for(const struct play *play, double rate, sl_time duration)
{
    sl_simulated_pace(play->exchange, rate);
    SL_TRY(sl_sleep(duration));
    sl_simulated_pace(play->exchange, STILL);
    return sl_sleep(SL_SECONDS(2));
}

/* From the last event until the connection is made anew: that long, and no longer. */
static int expect_cut_after(const struct play *play, const char *what, sl_time limit)
{
    uint64_t before = reconnects(play);
    while (reconnects(play) == before && sl_now() - play->last < limit + SL_SECONDS(60)) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(100)));
    }
    return expect_time(what, sl_now() - play->last, limit, limit + SL_MILLISECONDS(200));
}

static int be_quiet(struct play *play)
{
    SL_TRY(trade_for(play, 50, SL_SECONDS(1)));
    SL_TRY(sl_sleep(SL_MINUTES(60)));
    SL_TRY(expect_count("cut after a few events", reconnects(play), 0));
    SL_TRY(trade_for(play, 50, SL_SECONDS(5)));
    SL_TRY(sl_sleep(SL_MINUTES(90))); /* four times the hour is borne, twice it when an hour has passed */
    return expect_count("cut within what an hour's silence allows", reconnects(play), 0);
}

/* Who has heard little, or has heard the market be silent for an hour, takes no silence for the venue's. */
static void a_market_that_is_usually_quiet_may_be_quiet(void **state)
{
    (void)state;
    run(1, be_quiet);
}

static int be_busy(struct play *play)
{
    SL_TRY(trade_for(play, 100, SL_SECONDS(5)));
    SL_TRY(expect_cut_after(play, "a busy market", SL_CONNECTION_QUIET_MIN));
    play->longest = 0; /* for longer than it is borne: as long as that silence was it was the market's */
    SL_TRY(sl_sleep(SL_SECONDS(140)));
    SL_TRY(trade_for(play, 100, SL_SECONDS(5)));
    SL_TRY(expect_time("the silence", play->longest, SL_SECONDS(190), SL_SECONDS(210)));
    return expect_cut_after(play, "a silence over two lives", play->longest * SL_CONNECTION_QUIET_FACTOR);
}

/* A time without a connection was no silence of the market. */
static int be_away(struct play *play)
{
    SL_TRY(trade_for(play, 100, SL_SECONDS(5)));
    sl_stream_pause(play->stream, true);
    SL_TRY(sl_sleep(SL_MINUTES(10)));
    sl_stream_pause(play->stream, false);
    SL_TRY(trade_for(play, 100, SL_SECONDS(5)));
    return expect_cut_after(play, "after a pause", SL_CONNECTION_QUIET_MIN);
}

static void a_busy_market_may_not_unless_it_was_quiet_before(void **state)
{
    (void)state;
    run(1, be_busy);
    run(1, be_away);
}

static int forget(struct play *play)
{
    SL_TRY(trade_for(play, 100, SL_SECONDS(5)));
    SL_TRY(sl_sleep(SL_SECONDS(55)));
    SL_TRY(trade_for(play, 2, SL_SECONDS(5)));
    SL_TRY(sl_sleep(SL_SECONDS(212)));
    SL_TRY(trade_for(play, 2, SL_SECONDS(5)));
    sl_time longest = play->longest; /* of late, some 214 s */
    SL_TRY(trade_for(play, 2, SL_MINUTES(61)));
    return expect_cut_after(play, "after an hour", longest / 2 * SL_CONNECTION_QUIET_FACTOR);
}

/* A shorter silence than the longest one ever counts when that has faded. */
static int forget_and_learn(struct play *play)
{
    SL_TRY(trade_for(play, 100, SL_SECONDS(5)));
    SL_TRY(sl_sleep(SL_SECONDS(50)));
    SL_TRY(trade_for(play, 2, SL_MINUTES(61)));
    play->longest = 0;
    SL_TRY(sl_sleep(SL_SECONDS(36)));
    SL_TRY(trade_for(play, 2, SL_SECONDS(5)));
    SL_TRY(expect_time("the silence", play->longest, SL_SECONDS(36), SL_SECONDS(42)));
    return expect_cut_after(play, "by the new longest", play->longest * SL_CONNECTION_QUIET_FACTOR);
}

static void what_a_silence_allows_fades(void **state)
{
    (void)state;
    run(1, forget);
    run(1, forget_and_learn);
}

/* ---- one of two ---- */

/* The market stands still: what the connections bring is played into their counts, which is all that is compared. */
struct two {
    struct leg *silent, *other;
    sl_subscription what;
};

static struct two both(struct play *play)
{
    struct leg *first = play->stream->shards[0]->legs;
    play->mute = sl_connection_number(first->connection);
    return (struct two){first, first->next, {.feed = SL_FEED_TRADES, .instrument = sl_instruments_at(play->ours, 0)}};
}

static void bring(const struct leg *leg, const sl_subscription *what, uint32_t events)
{
    struct sl_subscription_heard *heard = sl_connection_heard(leg->connection, what);
    for (uint32_t event = 0; event < events; event++) {
        heard->events++;
        memmove(&heard->last[1], &heard->last[0], sizeof heard->last - sizeof *heard->last);
        heard->last[0] = sl_now();
    }
}

static uint64_t renewed(const struct play *play)
{
    return sl_stream_get_stats(play->stream).muted;
}

/* The other one brings an event each second until the silent one is made anew: after so long, but for the comparing. */
static int expect_renewed_after(const struct play *play, const struct two *two, sl_time limit)
{
    uint64_t before = renewed(play);
    sl_time began = sl_now();
    while (renewed(play) == before && sl_now() - began < limit + SL_SECONDS(60)) {
        bring(two->other, &two->what, 1);
        SL_TRY(sl_sleep(SL_SECONDS(1)));
    }
    return expect_time("made anew", sl_now() - began, limit - SWEEP, limit + SL_STREAM_COMPARE + 2 * SWEEP);
}

static int stay_mute(struct play *play)
{
    struct two two = both(play);
    bring(two.silent, &two.what, 1);
    for (int time = 0; time < 9; time++) { /* six times twice as long as before */
        SL_TRY(expect_renewed_after(play, &two, SL_STREAM_MUTE_MIN << (time < 6 ? time : 6)));
    }
    bring(two.silent, &two.what, 1); /* it helped */
    return expect_renewed_after(play, &two, SL_STREAM_MUTE_MIN);
}

static void each_renewal_that_did_not_help_doubles_the_time_to_the_next(void **state)
{
    (void)state;
    run(2, stay_mute);
}

/* Comparisons are SL_STREAM_COMPARE apart; after that time there was one. */
#define COMPARED (SL_STREAM_COMPARE + SWEEP)

static int until_compared(const struct play *play)
{
    sl_time before = play->stream->compared_at;
    while (play->stream->compared_at == before) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(10)));
    }
    return sl_sleep(SL_MILLISECONDS(10)); /* what comes now came later */
}

static int bring_now_and_then(struct play *play)
{
    struct two two = both(play);
    bring(two.silent, &two.what, 1);
    SL_TRY(sl_sleep(COMPARED));
    bring(two.other, &two.what, SL_STREAM_MUTE_EVENTS - 1);
    SL_TRY(sl_sleep(COMPARED));
    bring(two.silent, &two.what, 1);
    SL_TRY(sl_sleep(COMPARED));
    bring(two.other, &two.what, 1);
    SL_TRY(sl_sleep(SL_SECONDS(60)));
    SL_TRY(expect_count("made anew for one event", renewed(play), 0));
    bring(two.other, &two.what, SL_STREAM_MUTE_EVENTS - 1); /* two and this one: now it has missed enough */
    SL_TRY(sl_sleep(COMPARED));
    SL_TRY(expect_count("made anew", renewed(play), 1));
    SL_TRY(sl_sleep(SL_MINUTES(10)));
    return expect_count("made anew in a market that stands still", renewed(play), 1);
}

static int begin_anew_in_between(struct play *play)
{
    struct two two = both(play);
    SL_TRY(until_compared(play));
    bring(two.other, &two.what, SL_STREAM_MUTE_EVENTS);
    SL_TRY(sl_sleep(SL_SECONDS(1)));
    (void)sl__stream_renew(play->stream, two.what.feed, two.what.instrument, play->mute);
    SL_TRY(sl_sleep(SL_SECONDS(60)));
    return expect_count("made anew for what was before it", renewed(play), 0);
}

/* What it missed before it brought something, or before it was made anew, does not count (again). */
static void only_what_it_missed_since_counts(void **state)
{
    (void)state;
    run(2, bring_now_and_then);
    run(2, begin_anew_in_between);
}

/* Ends a connection as a venue would; the next life follows at once. */
static int cut(struct leg *leg)
{
    leg->cut = true;
    sl_connection_end(leg->connection, leg->scope, "cut");
    return sl_sleep(SL_SECONDS(1));
}

/* The other one ends before it has brought enough to tell that the first is mute: what both did not bring is told then. */
static int miss_what_neither_brought(const struct two *two, sl_time until_renewed)
{
    SL_TRY(sl_sleep(SL_SECONDS(1)));
    SL_TRY(cut(two->other));
    bring(two->other, &two->what, SL_STREAM_MUTE_EVENTS);
    SL_TRY(sl_sleep(COMPARED));
    bring(two->other, &two->what, SL_STREAM_MUTE_EVENTS);
    return sl_sleep(until_renewed + COMPARED);
}

/* One brings something, the other one what makes the first mute, and ends. */
static int end_the_other(struct play *play, const struct two *two)
{
    SL_TRY(trade_for(play, 10, SL_SECONDS(1))); /* both carry it, and then they fall silent */
    SL_TRY(until_compared(play));
    bring(two->silent, &two->what, 1); /* since the last comparison, but before the other's */
    SL_TRY(sl_sleep(SL_STREAM_PATIENCE));
    bring(two->other, &two->what, SL_STREAM_MUTE_EVENTS);
    return cut(two->other);
}

static int stay_mute_alone(struct play *play)
{
    struct two two = both(play);
    SL_TRY(end_the_other(play, &two));
    SL_TRY(sl_sleep(SL_STREAM_MUTE_MIN + COMPARED));
    SL_TRY(expect_count("made anew", renewed(play), 1));
    SL_TRY(expect_count("told", play->told, 0)); /* by the other's end */
    SL_TRY(miss_what_neither_brought(&two, 2 * SL_STREAM_MUTE_MIN));
    SL_TRY(expect_count("made anew again", renewed(play), 2));
    return expect_count("told", play->told, 1); /* that end told nothing of this */
}

/* The same where it brings something before it is made anew. */
static int speak_alone(struct play *play)
{
    struct two two = both(play);
    SL_TRY(end_the_other(play, &two));
    SL_TRY(sl_sleep(COMPARED));
    bring(two.silent, &two.what, 1);
    SL_TRY(sl_sleep(SL_MINUTES(1)));
    SL_TRY(expect_count("made anew", renewed(play), 0));
    SL_TRY(miss_what_neither_brought(&two, SL_STREAM_MUTE_MIN));
    SL_TRY(expect_count("made anew", renewed(play), 1));
    return expect_count("told", play->told, 1);
}

/* With nobody left to be compared with, what the other one had brought before its end is enough. */
static void a_mute_one_is_made_anew_also_when_the_other_has_ended(void **state)
{
    (void)state;
    run(2, stay_mute_alone);
    run(2, speak_alone);
}

static int miss_again_and_again(struct play *play)
{
    struct two two = both(play);
    for (uint64_t time = 1; time <= 3; time++) {
        bool helped = time < 3; /* before the last time the silent one brings nothing, though it was made anew */
        bring(two.silent, &two.what, helped);
        SL_TRY(sl_sleep(COMPARED));
        SL_TRY(miss_what_neither_brought(&two, helped ? SL_STREAM_MUTE_MIN : 2 * SL_STREAM_MUTE_MIN));
        SL_TRY(expect_count("made anew", renewed(play), time));
        SL_TRY(expect_count("told", play->told, time));
    }
    return 0;
}

static void what_neither_brought_is_told_each_time(void **state)
{
    (void)state;
    run(2, miss_again_and_again);
}

SL_TEST_MAIN(cmocka_unit_test(a_market_that_is_usually_quiet_may_be_quiet),
             cmocka_unit_test(a_busy_market_may_not_unless_it_was_quiet_before),
             cmocka_unit_test(what_a_silence_allows_fades),
             cmocka_unit_test(each_renewal_that_did_not_help_doubles_the_time_to_the_next),
             cmocka_unit_test(only_what_it_missed_since_counts),
             cmocka_unit_test(a_mute_one_is_made_anew_also_when_the_other_has_ended),
             cmocka_unit_test(what_neither_brought_is_told_each_time))
