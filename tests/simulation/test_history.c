/* SPDX-License-Identifier: MIT */
/*
 * History against the simulated exchange, in virtual time: what comes out of a walk is what truly happened between the
 * two ids or times, at each venue by the ways it has; a walk that is begun again at any of its checkpoints gives the rest.
 */
#include <stdlib.h>
#include <string.h>

#include "exchange/simulated.h"
#include "ingest/history/history.h"
#include "sl_test.h"
#include "sluice/memory.h"
#include "sluice/runtime.h"
#include "sluice/simulation.h"

#define INSTRUMENTS 2
#define TRADES_MAX 12000
#define CHECKPOINTS_MAX 64

struct tale {
    sl_market_event events[TRADES_MAX];
    unsigned seen[TRADES_MAX];
    size_t count;
};

struct play {
    sl_venue venue;
    sl_fault fault;
    sl_instruments *theirs, *ours;
    sl_simulated *exchange;
    struct tale tales[INSTRUMENTS];
    char rest[80];
    struct sl_history_options options;
    const struct sl_history_wish *wish;
    char checkpoints[CHECKPOINTS_MAX][SL_HISTORY_PROGRESS_MAX];
    size_t checkpoint_count;
    uint64_t wrong, answers, candles;
    bool again; /* trades may be given out again */
    sl_decimal volume;
};

static int64_t key_of(const sl_trade *trade)
{
    return trade->id != 0 ? trade->id : (int64_t)trade->uuid.low;
}

static int on_truth(void *arg, const sl_market_event *event)
{
    struct play *play = arg;
    struct tale *tale = &play->tales[event->instrument->index];
    if (event->kind == SL_EVENT_TRADE && tale->count < TRADES_MAX) {
        tale->events[tale->count++] = *event;
    }
    return 0;
}

static int on_event(void *arg, const sl_market_event *event)
{
    struct play *play = arg;
    struct tale *tale = &play->tales[event->instrument->index];
    if (event->kind == SL_EVENT_CANDLE) {
        play->candles++;
        return sl_decimal_add(play->volume, event->as.candle.volume, &play->volume);
    }
    int64_t place = key_of(&event->as.trade) - key_of(&tale->events[0].as.trade);
    bool is = place >= 0 && place < (int64_t)tale->count;
    const sl_trade *truth = is ? &tale->events[place].as.trade : NULL;
    if (!is || !sl_decimal_equal(truth->price, event->as.trade.price) ||
        !sl_decimal_equal(truth->quantity, event->as.trade.quantity) || truth->taker != event->as.trade.taker ||
        (truth->uuid.high != event->as.trade.uuid.high)) {
        play->wrong++;
        return 0;
    }
    tale->seen[place]++;
    return 0;
}

static int on_checkpoint(void *arg, const char *progress)
{
    struct play *play = arg;
    if (play->checkpoint_count < CHECKPOINTS_MAX) {
        (void)snprintf(play->checkpoints[play->checkpoint_count++], SL_HISTORY_PROGRESS_MAX, "%s", progress);
    }
    return 0;
}

static void on_asked(void *arg, size_t rows, size_t size_bytes)
{
    ((struct play *)arg)->answers++;
    (void)rows;
    (void)size_bytes;
}

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            (void)fprintf(stderr, "%s:%d: %s: %s: %s\n", __FILE__, __LINE__, sl_venue_name(play->venue), #condition,   \
                          sl_error_message(sl_error_last()));                                                          \
            return SL_EINTERNAL;                                                                                       \
        }                                                                                                              \
    } while (0)

/* Of those between two places exactly all were seen, at least once (exactly once: `once`); no others. */
static int check_seen(struct play *play, size_t from, size_t to, bool once)
{
    struct tale *tale = &play->tales[0];
    CHECK(play->wrong == 0);
    for (size_t at = 0; at < tale->count; at++) {
        bool inside = at >= from && at < to;
        if ((inside && tale->seen[at] == 0) || (!inside && tale->seen[at] > 0) || (once && tale->seen[at] > 1)) {
            (void)fprintf(stderr, "trade %zu of %zu..%zu was seen %u times\n", at, from, to, tale->seen[at]);
            CHECK(false);
        }
    }
    memset(tale->seen, 0, sizeof tale->seen);
    return 0;
}

/* The whole, then from each checkpoint on: together with what was before it that is the whole. */
static int walk(struct play *play, const struct sl_history_wish *wish, size_t from, size_t to)
{
    play->checkpoint_count = 0;
    play->wish = wish;
    CHECK(sl_history_walk(&play->options, wish, "") == 0);
    SL_TRY(check_seen(play, from, to, !play->again));
    size_t count = play->checkpoint_count;
    for (size_t at = 0; at < count; at += 1 + count / 5) {
        char progress[SL_HISTORY_PROGRESS_MAX];
        (void)snprintf(progress, sizeof progress, "%s", play->checkpoints[at]);
        CHECK(sl_history_walk(&play->options, wish, progress) == 0);
        size_t first = from;
        while (first < to && play->tales[0].seen[first] == 0) {
            first++;
        }
        SL_TRY(check_seen(play, first, to, !play->again));
    }
    return (int)count;
}

static size_t place_of_time(const struct tale *tale, int64_t time_ns)
{
    size_t at = 0;
    while (at < tale->count && tale->events[at].venue_time_ns < time_ns) {
        at++;
    }
    return at;
}

static struct sl_history_wish wish_for(const struct play *play)
{
    return (struct sl_history_wish){.feed = SL_FEED_TRADES, .instrument = sl_instruments_at(play->ours, 0)};
}

/* Whole seconds, as some venues round to them. */
static int walk_times(struct play *play, size_t from, size_t to)
{
    const struct tale *tale = &play->tales[0];
    struct sl_history_wish wish = wish_for(play);
    wish.from_time_ns = tale->events[from].venue_time_ns / SL_SECONDS(1) * SL_SECONDS(1);
    wish.to_time_ns = tale->events[to].venue_time_ns / SL_SECONDS(1) * SL_SECONDS(1);
    return walk(play, &wish, place_of_time(tale, wish.from_time_ns), place_of_time(tale, wish.to_time_ns));
}

static int walk_ids(struct play *play, size_t from, size_t to)
{
    const struct tale *tale = &play->tales[0];
    struct sl_history_wish wish = wish_for(play);
    wish.from_id = tale->events[from].as.trade.id;
    wish.to_id = tale->events[to].as.trade.id;
    return walk(play, &wish, from + 1, to);
}

static int walk_candles(struct play *play, size_t from, size_t to)
{
    const struct tale *tale = &play->tales[0];
    struct sl_history_wish wish = wish_for(play);
    wish.feed = SL_FEED_CANDLES;
    wish.interval_ns = SL_MINUTES(1);
    wish.from_time_ns = tale->events[from].venue_time_ns / SL_MINUTES(1) * SL_MINUTES(1);
    wish.to_time_ns = tale->events[to].venue_time_ns / SL_MINUTES(1) * SL_MINUTES(1);
    sl_decimal volume = {0, 0};
    for (size_t at = 0; at < tale->count; at++) {
        int64_t time = tale->events[at].venue_time_ns;
        if (time >= wish.from_time_ns && time < wish.to_time_ns) {
            SL_TRY(sl_decimal_add(volume, tale->events[at].as.trade.quantity, &volume));
        }
    }
    play->candles = 0;
    play->volume = (sl_decimal){0, 0};
    CHECK(sl_history_walk(&play->options, &wish, "") == 0);
    CHECK(sl_decimal_equal(volume, play->volume));
    CHECK(play->candles > 100 && play->candles <= (uint64_t)((wish.to_time_ns - wish.from_time_ns) / SL_MINUTES(1)));
    return 0;
}

/* Years of weeks, of which the last one has trades. */
static int walk_weeks(struct play *play)
{
    struct sl_history_wish wish = wish_for(play);
    wish.feed = SL_FEED_CANDLES;
    wish.interval_ns = 7 * SL_MINUTES(24 * 60);
    wish.to_time_ns = sl_now_wall();
    wish.from_time_ns = wish.to_time_ns - 150 * wish.interval_ns;
    CHECK(sl_history_walk(&play->options, &wish, "") == 0);
    return 0;
}

static bool is_bybit(sl_venue venue)
{
    return venue >= SL_VENUE_BYBIT_SPOT && venue <= SL_VENUE_BYBIT_INVERSE;
}

/* What came behind a gap is not in the venue's history yet: that is no filled gap. */
static int walk_beyond(struct play *play, size_t from)
{
    const struct tale *tale = &play->tales[0];
    struct sl_history_wish wish = wish_for(play);
    wish.from_id = tale->events[from].as.trade.id;
    wish.to_id = tale->events[tale->count - 1].as.trade.id + 2;
    wish.from_time_ns = tale->events[from].venue_time_ns;
    CHECK(sl_history_walk(&play->options, &wish, "") == SL_EAGAIN);
    size_t missing = 0;
    for (size_t at = from + 1; at < tale->count; at++) {
        missing += tale->seen[at] == 0;
    }
    CHECK(missing == 0);
    memset(play->tales[0].seen, 0, sizeof play->tales[0].seen);
    return 0;
}

/* What each venue can do, and what it says where it cannot. */
static int look_back(struct play *play)
{
    const struct tale *tale = &play->tales[0];
    size_t count = tale->count;
    bool bybit = is_bybit(play->venue), binance = play->venue <= SL_VENUE_BINANCE_COINM;
    CHECK(count > 3000);
    SL_TRY(walk_candles(play, count / 4, count * 3 / 4));
    SL_TRY(play->venue == SL_VENUE_BINANCE_COINM ? walk_weeks(play) : 0);
    if (play->fault != SL_FAULT_NONE) {
        const struct sl_fault_order order = {.fault = play->fault, .count = 3};
        SL_TRY(sl_simulated_order(play->exchange, &order));
    }
    if (bybit) {
        struct sl_history_wish wish = wish_for(play);
        wish.from_time_ns = tale->events[count - 2000].venue_time_ns;
        wish.to_time_ns = sl_now_wall();
        CHECK(sl_history_walk(&play->options, &wish, "") == SL_ERANGE);
        SL_TRY(check_seen(play, tale->count - (play->venue == SL_VENUE_BYBIT_SPOT ? 60 : 1000), tale->count, true));
        SL_TRY(walk_times(play, count - 50, count - 10));
        SL_TRY(play->venue == SL_VENUE_BYBIT_SPOT ? walk_beyond(play, count - 20) : 0);
        return play->venue == SL_VENUE_BYBIT_SPOT ? walk_ids(play, count - 50, count - 10) : 0;
    }
    int pages = walk_times(play, count / 4, count * 3 / 4);
    CHECK(pages >= (play->venue == SL_VENUE_BITSTAMP ? 0 : 1));
    if (binance) { /* single ones only among the latest; aggregates anywhere */
        struct sl_history_wish wish = wish_for(play);
        wish.from_id = tale->events[100].as.trade.id;
        wish.to_id = tale->events[2000].as.trade.id;
        bool needs_key = play->options.driver->trades_need_key;
        CHECK(sl_history_walk(&play->options, &wish, "") == (needs_key ? SL_ERANGE : 0));
        memset(play->tales[0].seen, 0, sizeof play->tales[0].seen);
        wish.feed = SL_FEED_AGG_TRADES;
        CHECK(walk(play, &wish, 101, 2000) > 0);
        SL_TRY(walk_beyond(play, count - 20));
        return walk_ids(play, count - 900, count - 1);
    }
    SL_TRY(walk_beyond(play, count - 20));
    play->again = play->venue == SL_VENUE_KRAKEN; /* it looks for the beginning from the end */
    SL_TRY(walk_ids(play, count / 4, count * 3 / 4));
    return walk_ids(play, count - 20, count - 19); /* nothing between */
}

static int perform(void *arg)
{
    struct play *play = arg;
    SL_TRY(sl_network_simulate());
    struct sl_simulated_options exchange = {.instruments = play->theirs,
                                            .seed = 11,
                                            .rate = 0.5,
                                            .trade_weight = 60,
                                            .history = TRADES_MAX,
                                            .arg = play,
                                            .record = on_truth};
    SL_TRY(sl_simulated_open(&exchange, &play->exchange));
    (void)snprintf(play->rest, sizeof play->rest, "http://127.0.0.1:%d/%s", sl_simulated_port(play->exchange),
                   sl_venue_name(play->venue));
    sl_http_client *http = NULL;
    SL_TRY(sl_http_client_open(NULL, &http));
    play->options = (struct sl_history_options){.driver = sl_venue_driver_of(play->venue),
                                                .instruments = play->ours,
                                                .http = http,
                                                .rest_origin = play->rest,
                                                .arg = play,
                                                .event = on_event,
                                                .checkpoint = on_checkpoint,
                                                .asked = on_asked};
    SL_SCOPE(scope, .name = "play");
    int code = sl_spawn(&scope, sl_simulated_run, play->exchange, .name = "exchange");
    code = code == 0 ? sl_sleep(SL_MINUTES(400)) : code;
    sl_simulated_pace(play->exchange, 0.001);
    code = code == 0 ? look_back(play) : code;
    sl_scope_cancel(&scope, "done");
    code = sl_scope_close(&scope, code < 0 ? code : 0);
    sl_http_client_free(http);
    sl_simulated_close(play->exchange);
    return code;
}

static void history_of(sl_venue venue, sl_fault fault)
{
    struct play *play = calloc(1, sizeof *play);
    assert_non_null(play);
    play->venue = venue;
    play->fault = fault;
    assert_int_equal(sl_instruments_new(0, &play->theirs), 0);
    assert_int_equal(sl_instruments_new(0, &play->ours), 0);
    assert_int_equal(sl_simulated_define(play->theirs, venue, INSTRUMENTS), 0);
    assert_int_equal(sl_simulated_define(play->ours, venue, INSTRUMENTS), 0);
    struct sl_simulation_options simulation = {.seed = 3};
    int64_t held = sl_memory_held();
    sl_error *error = NULL;
    int code = sl_run(&(struct sl_run_options){.simulation = &simulation, .watchdog = SL_NEVER}, perform, play, &error);
    if (code < 0) {
        char story[400];
        (void)sl_error_print(error, story, sizeof story);
        fail_msg("%s: %s", sl_venue_name(venue), story);
    }
    assert_int_equal(sl_memory_held(), held);
    print_message("%s: %llu answers\n", sl_venue_name(venue), (unsigned long long)play->answers);
    sl_instruments_free(play->theirs);
    sl_instruments_free(play->ours);
    free(play);
}

#define HISTORY_OF(name, venue)                                                                                        \
    static void history_##name(void **state)                                                                           \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        history_of(venue, SL_FAULT_NONE);                                                                              \
        history_of(venue, SL_FAULT_HTTP_500);                                                                          \
        history_of(venue, SL_FAULT_BODY_LIMIT);                                                                        \
    }

HISTORY_OF(binance, SL_VENUE_BINANCE_SPOT)
HISTORY_OF(usdm, SL_VENUE_BINANCE_USDM)
HISTORY_OF(coinm, SL_VENUE_BINANCE_COINM)
HISTORY_OF(coinbase, SL_VENUE_COINBASE)
HISTORY_OF(kraken, SL_VENUE_KRAKEN)
HISTORY_OF(bybit, SL_VENUE_BYBIT_SPOT)
HISTORY_OF(bybit_linear, SL_VENUE_BYBIT_LINEAR)
HISTORY_OF(okx, SL_VENUE_OKX)
HISTORY_OF(bitstamp, SL_VENUE_BITSTAMP)

SL_TEST_MAIN(cmocka_unit_test(history_binance), cmocka_unit_test(history_usdm), cmocka_unit_test(history_coinm),
             cmocka_unit_test(history_coinbase), cmocka_unit_test(history_kraken), cmocka_unit_test(history_bybit),
             cmocka_unit_test(history_bybit_linear), cmocka_unit_test(history_okx), cmocka_unit_test(history_bitstamp))
