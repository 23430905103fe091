/* SPDX-License-Identifier: MIT */
/* A play of the simulated exchange and a stream service. See simulate.h. The faults of a seed are in simulate_mixture.c. */
#include "ingest/demo/simulate.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ingest/program/access.h"
#include "sluice/memory.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"
#include "sluice/simulation.h"

#define TRADES_MAX 20000
#define CHANGES_MAX 20000
#define GAPS_MAX 4096
#define STALL_MAX SL_SECONDS(4)
#define CALM_RATE 4
#define LIST_EVERY SL_SECONDS(2)
#define HEAL_BUDGET SL_SECONDS(1200)
#define LAST_BUDGET SL_SECONDS(60)

/* A gap of trades: the ids between are said to be missing, or (ids 0) all that is not there just then. */
struct hole {
    int64_t from_id, to_id;
    int64_t from_ns; /* where ids do not tell: all that is missing is after it, by the venue's clock; 0: not known */
    int64_t above;   /* the newest trade that was given out before it; -1 */
    int64_t made;    /* trades that there were then */
    uint64_t at;     /* among all that was given out */
};

struct tale {
    int64_t first_key;
    size_t trades, changes, holes;
    uint64_t trade_hash[TRADES_MAX];
    int64_t trade_ns[TRADES_MAX]; /* by the venue's clock */
    uint32_t heard[TRADES_MAX];
    uint64_t heard_at[TRADES_MAX];
    int64_t newest; /* place of the newest trade that was given out; -1 */
    struct hole hole[GAPS_MAX];
    int64_t change_id[CHANGES_MAX];
    uint64_t book_hash[CHANGES_MAX]; /* of the true book after the change */
    sl_book *book;                   /* of whoever applies what is given out */
    bool stale, crossed;
    uint64_t given;
};

struct play {
    const struct sl_simulate_options *options;
    struct sl_simulate_result *result;
    sl_instruments *theirs, *ours;
    bool wrong; /* things go wrong now */
    sl_simulated *exchange;
    sl_stream_service *stream;
    sl_access *access; /* to the venue, as the program has it */
    sl_config *ours_config;
    struct tale *tales;
    sl_config *config;
    struct sl_scenario scenario; /* of the one venue */
    struct sl_scenario_venue venue;
};

static void complain(struct play *play, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void complain(struct play *play, const char *format, ...)
{
    if (play->result->problem[0] == '\0') {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(play->result->problem, sizeof play->result->problem, format, arguments);
        va_end(arguments);
    }
}

/* ---- hashes ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static uint64_t hash_decimal(uint64_t hash, sl_decimal value)
{
    while (value.mantissa != 0 && value.mantissa % 10 == 0) {
        value.mantissa /= 10;
        value.exponent++;
    }
    return mix(mix(hash, (uint64_t)value.mantissa), (uint64_t)(int64_t)value.exponent);
}

static uint64_t hash_trade(const sl_trade *trade)
{
    return mix(hash_decimal(hash_decimal(1, trade->price), trade->quantity), (uint64_t)trade->taker);
}

static uint64_t hash_book(const sl_book *book)
{
    uint64_t hash = 0;
    for (int side = SL_SIDE_BUY; side <= SL_SIDE_SELL; side++) {
        sl_book_cursor cursor = sl_book_first(book, (sl_side)side);
        const sl_level *level = NULL;
        hash = mix(hash, (uint64_t)side);
        while ((level = sl_book_next(&cursor)) != NULL) {
            hash = hash_decimal(hash_decimal(hash, level->price), level->quantity);
        }
    }
    return hash;
}

static int64_t key_of(const sl_trade *trade)
{
    return trade->id != 0 ? trade->id : (int64_t)trade->uuid.low;
}

/* ---- the truth ---- */

static int on_truth(void *arg, const sl_market_event *event)
{
    struct play *play = arg;
    if (event->instrument->index >= SL_SIMULATE_INSTRUMENTS) {
        return 0; /* listed meanwhile: nobody follows it */
    }
    struct tale *tale = &play->tales[event->instrument->index];
    if (event->kind == SL_EVENT_TRADE && tale->trades < TRADES_MAX) {
        tale->first_key = tale->trades == 0 ? key_of(&event->as.trade) : tale->first_key;
        tale->trade_ns[tale->trades] = event->venue_time_ns;
        tale->trade_hash[tale->trades++] = hash_trade(&event->as.trade);
    } else if (event->kind == SL_EVENT_BOOK_DELTA && tale->changes < CHANGES_MAX) {
        const sl_truth *truth = sl_simulated_truth(play->exchange, play->options->venue);
        tale->change_id[tale->changes] = event->as.delta.last_id;
        tale->book_hash[tale->changes++] = hash_book(sl_truth_look(truth, event->instrument).book);
    }
    return 0;
}

/* ---- what is given out ---- */

static void take_trade(struct play *play, struct tale *tale, const sl_market_event *event)
{
    int64_t place = key_of(&event->as.trade) - tale->first_key;
    if (tale->trades == 0 || place < 0 || place >= (int64_t)tale->trades ||
        tale->trade_hash[place] != hash_trade(&event->as.trade)) {
        play->result->wrong++;
        complain(play, "%s: trade %lld was never made so", event->instrument->symbol,
                 (long long)key_of(&event->as.trade));
        return;
    }
    play->result->doubled += ++tale->heard[place] > 1;
    if (tale->heard[place] > 1) {
        complain(play, "%s: trade %lld twice", event->instrument->symbol, (long long)key_of(&event->as.trade));
    }
    tale->heard_at[place] = tale->given;
    tale->newest = place > tale->newest ? place : tale->newest;
}

static void take_gap(struct play *play, struct tale *tale, const sl_market_event *event)
{
    const sl_gap *gap = &event->as.gap;
    if (event->feed == SL_FEED_DEPTH) {
        play->result->book_gaps += !gap->healed;
        play->result->healed += gap->healed;
        tale->stale = !gap->healed;
        tale->crossed = false;
    } else if (event->feed == SL_FEED_TRADES) {
        play->result->gaps++;
        if (tale->holes < GAPS_MAX) {
            tale->hole[tale->holes++] = (struct hole){
                gap->from_id, gap->to_id, event->venue_time_ns, tale->newest, (int64_t)tale->trades, tale->given};
        }
    }
}

/* Where the venue's ids are the truth's, a book that is not stale has to be the true one after each change. */
static void compare_now(struct play *play, struct tale *tale, const sl_instrument *instrument, int64_t last_id)
{
    size_t at = tale->changes; /* from the newest on: ids may have begun anew */
    while (at > 0 && tale->change_id[at - 1] != last_id) {
        at--;
    }
    if (last_id > 0 && at > 0 && tale->book_hash[at - 1] != hash_book(tale->book)) {
        play->result->silently_wrong++;
        complain(play, "%s: the book is not the true one at %lld", instrument->symbol, (long long)last_id);
    }
}

static int take_book(struct play *play, struct tale *tale, const sl_market_event *event)
{
    bool snapshot = event->kind == SL_EVENT_BOOK_SNAPSHOT;
    if (tale->crossed && !tale->stale) {
        play->result->crossed++;
        complain(play, "%s: the book was crossed, and nobody said so", event->instrument->symbol);
    }
    uint32_t depth = snapshot ? event->as.snapshot.depth : event->as.delta.depth;
    SL_TRY(snapshot ? sl_book_set(tale->book, &event->as.snapshot.levels)
                    : sl_book_apply(tale->book, &event->as.delta.levels));
    if (depth > 0) {
        sl_book_cut(tale->book, depth);
    }
    tale->crossed = sl_book_crossed(tale->book);
    if (!tale->stale && !snapshot) {
        compare_now(play, tale, event->instrument, event->as.delta.last_id);
    }
    return 0;
}

static int on_event(void *arg, const sl_market_event *event)
{
    struct play *play = arg;
    struct tale *tale = &play->tales[event->instrument->index];
    if (play->wrong && play->options->stalls > 0 && sl_random_unit() < play->options->stalls) {
        SL_TRY(sl_sleep((sl_time)(sl_random_unit() * (double)STALL_MAX))); /* cancelled: it was not taken */
    }
    tale->given++;
    switch (event->kind) {
    case SL_EVENT_TRADE:
        take_trade(play, tale, event);
        return 0;
    case SL_EVENT_GAP:
        take_gap(play, tale, event);
        return 0;
    case SL_EVENT_BOOK_DELTA:
    case SL_EVENT_BOOK_SNAPSHOT:
        return take_book(play, tale, event);
    default:
        return 0;
    }
}

static int on_bad(void *arg, const struct sl_bad_message *message)
{
    (void)message;
    ((struct play *)arg)->result->bad++;
    return 0;
}

/* ---- the comparison in the end ---- */

/* Nobody can follow it any more. */
static bool is_gone(const struct play *play, size_t at)
{
    return sl_instruments_at(play->theirs, at)->status == SL_STATUS_DELISTED;
}

static bool is_told(const struct tale *tale, int64_t place, int64_t next)
{
    int64_t id = tale->first_key + place;
    for (size_t at = 0; at < tale->holes; at++) {
        const struct hole *hole = &tale->hole[at];
        bool by_id = hole->to_id > 0 && hole->from_id < id && id < hole->to_id;
        bool in_order = hole->to_id == 0 && hole->above < place && (next < 0 || hole->at < tale->heard_at[next]);
        bool by_time =
            hole->to_id == 0 && hole->from_ns != 0 && tale->trade_ns[place] > hole->from_ns && place < hole->made;
        if (by_id || in_order || by_time) {
            return true;
        }
    }
    return false;
}

static void compare_trades(struct play *play, const sl_instrument *instrument)
{
    const struct tale *tale = &play->tales[instrument->index];
    struct sl_simulate_result *result = play->result;
    int64_t next = -1; /* the next one that was given out */
    int64_t first = 0;
    while (first < (int64_t)tale->trades && tale->heard[first] == 0) {
        first++;
    }
    for (int64_t place = (int64_t)tale->trades - 1; place >= 0; place--) {
        result->trades++;
        if (tale->heard[place] > 0) {
            result->heard++;
            next = place;
        } else if (is_told(tale, place, next)) {
            result->told++;
        } else if (place < first || (next < 0 && is_gone(play, instrument->index))) {
            result->unseen++;
        } else {
            result->untold++;
            complain(play, "%s: trade %lld is missing, and nobody said so", instrument->symbol,
                     (long long)tale->first_key + (long long)place);
        }
    }
}

static void compare_books(struct play *play, const sl_instrument *instrument)
{
    struct tale *tale = &play->tales[instrument->index];
    const sl_instrument *of_theirs = sl_instruments_at(play->theirs, instrument->index);
    const sl_book *truth = sl_truth_look(sl_simulated_truth(play->exchange, instrument->venue), of_theirs).book;
    bool stale = true;
    const sl_book *kept = sl_books_find(sl_stream_books(play->stream), instrument, &stale);
    const char *what = kept == NULL                               ? "is not there"
                       : stale                                    ? "is stale"
                       : hash_book(kept) != hash_book(truth)      ? "is not the true one"
                       : hash_book(tale->book) != hash_book(kept) ? "is not what was given out"
                                                                  : NULL;
    if (what != NULL) {
        play->result->books_wrong++;
        complain(play, "%s: the book %s in the end", instrument->symbol, what);
    }
}

/* ---- the play ---- */

/* As the program does, but more often: instruments are listed, halted and gone while others are followed. */
static int keep_listing(void *arg)
{
    struct play *play = arg;
    for (;;) {
        int code = sl_access_list(play->access, NULL);
        if (code == SL_ECANCELED) {
            return code;
        }
        play->result->lists += code >= 0;
        play->result->list_failures += code < 0;
        SL_TRY(sl_sleep(LIST_EVERY));
    }
}

/* Whether the table has what the venue lists, with its status. */
static bool lists_are_equal(const struct play *play)
{
    for (size_t at = 0; at < sl_instruments_count(play->theirs); at++) {
        const sl_instrument *one = sl_instruments_at(play->theirs, at);
        const sl_instrument *own =
            sl_instruments_find(play->ours, play->options->venue, one->symbol, strlen(one->symbol));
        if (one->status != SL_STATUS_DELISTED && (own == NULL || own->status != one->status)) {
            return false;
        }
    }
    return true;
}

static bool is_well(const struct play *play)
{
    struct sl_stream_stats stats = sl_stream_get_stats(play->stream);
    /* Books that are verified by subscribing anew are never all settled. */
    bool live = stats.live == stats.connections || play->options->verify > 0;
    bool well = stats.connections > 0 && live && lists_are_equal(play);
    for (size_t at = 0; at < SL_SIMULATE_INSTRUMENTS; at++) {
        bool stale = true;
        if (is_gone(play, at)) {
            continue;
        }
        well = well &&
               sl_books_find(sl_stream_books(play->stream), sl_instruments_at(play->ours, at), &stale) != NULL &&
               !stale;
    }
    return well;
}

static bool all_heard(const struct play *play)
{
    for (size_t at = 0; at < SL_SIMULATE_INSTRUMENTS; at++) {
        const struct tale *tale = &play->tales[at];
        if (!is_gone(play, at) && tale->trades > 0 && tale->heard[tale->trades - 1] == 0) {
            return false;
        }
    }
    return true;
}

static bool orders(const struct play *play, sl_fault fault)
{
    const struct sl_scenario_fault *faults = play->scenario.faults.items;
    for (size_t at = 0; at < play->scenario.faults.count; at++) {
        for (size_t i = 0; i < faults[at].what.count; i++) {
            if (((const int *)faults[at].what.items)[i] == (int)fault) {
                return true;
            }
        }
    }
    return false;
}

/* A connection that is half open is noticed by its silence alone, which takes as long as the venue's rules make it. */
static sl_time calm_of(const struct play *play)
{
    const struct sl_simulate_options *options = play->options;
    sl_time calm = options->calm == 0 ? SL_SECONDS(5) : options->calm;
    sl_time silence = sl_venue_driver_of(options->venue)->limits.silence + SL_SECONDS(30);
    return orders(play, SL_FAULT_HALF_OPEN) && calm < silence ? silence : calm;
}

/* A daemon: what people do. */
static int steer(void *arg)
{
    const struct play *play = arg;
    for (;;) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(200 + sl_random() % 5000)));
        switch (sl_random() % 3) {
        case 0:
            sl_stream_restart(play->stream);
            break;
        case 1: {
            sl_stream_pause(play->stream, true);
            int code = sl_sleep(SL_MILLISECONDS(sl_random() % 1500));
            sl_stream_pause(play->stream, false);
            SL_TRY(code);
            break;
        }
        default: {
            const sl_instrument *one = sl_instruments_at(play->ours, sl_random() % SL_SIMULATE_INSTRUMENTS);
            int code = sl_stream_resync(play->stream, SL_FEED_DEPTH, one);
            SL_TRY(code);
        }
        }
    }
}

/* Things go wrong for so many steps. */
static int go_wrong(struct play *play)
{
    uint64_t steps = play->options->steps == 0 ? 900 : play->options->steps;
    while (sl_simulated_get_stats(play->exchange)->steps == 0) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(100)));
    }
    sl_auto(sl_scenario_run) *run = NULL;
    SL_TRY(sl_scenario_begin(&play->scenario, play->exchange, &run));
    SL_SCOPE(scope, .name = "faults");
    play->wrong = true;
    int code = sl_spawn(&scope, sl_scenario_play, run, .daemon = true, .name = "scenario");
    if (code == 0 && play->options->steered) {
        code = sl_spawn(&scope, steer, play, .daemon = true, .name = "people");
    }
    while (code == 0 && sl_simulated_get_stats(play->exchange)->steps < steps) {
        code = sl_sleep(SL_MILLISECONDS(100));
    }
    play->wrong = false;
    return sl_scope_close(&scope, code);
}

/* The market's own end: faults, calm, the last word. */
static int conduct(struct play *play)
{
    SL_TRY(go_wrong(play));
    sl_simulated_heal(play->exchange);
    sl_simulated_pace(play->exchange, CALM_RATE);
    sl_time from = sl_now(), calm = calm_of(play), past = 0;
    for (bool well = false; past < calm || (!well && past < HEAL_BUDGET); past = sl_now() - from) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(100)));
        well = is_well(play);
        play->result->healed_after = well ? play->result->healed_after : sl_now() - from;
    }
    if (!is_well(play)) {
        struct sl_stream_stats stats = sl_stream_get_stats(play->stream);
        play->result->never_healed++;
        complain(play, "not well: %zu of %zu connections live; %s", stats.live, stats.connections,
                 sl_books_get_stats(sl_stream_books(play->stream))->problem);
    }
    SL_TRY(sl_simulated_end(play->exchange));
    for (from = sl_now(); !all_heard(play) && sl_now() - from < LAST_BUDGET;) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(100)));
    }
    return sl_sleep(SL_STREAM_PATIENCE * 2); /* holes before the last trades are told, books are whole */
}

static int subscribe(struct play *play)
{
    for (size_t at = 0; at < SL_SIMULATE_INSTRUMENTS; at++) {
        sl_subscription trades = {.feed = SL_FEED_TRADES, .instrument = sl_instruments_at(play->ours, at)};
        sl_subscription depth = {.feed = SL_FEED_DEPTH, .instrument = sl_instruments_at(play->ours, at)};
        SL_TRY(sl_stream_add(play->stream, &trades));
        SL_TRY(sl_stream_add(play->stream, &depth));
    }
    return 0;
}

/* A configuration with this venue, at the exchange. */
static int open_access(struct play *play)
{
    const char *venue = sl_venue_name(play->options->venue);
    int port = sl_simulated_port(play->exchange);
    char text[512];
    (void)snprintf(text, sizeof text,
                   "services: { play: { kind: book, venue: %s, instruments: ['*'], sinks: [none] } }\n"
                   "sinks: { none: { kind: file, path: none } }\n"
                   "venues: { %s: { stream: 'ws://127.0.0.1:%d/%s', rest: 'http://127.0.0.1:%d/%s' } }\n",
                   venue, venue, port, venue, port, venue);
    struct sl_config_source source = {.path = "play", .text = text, .text_bytes = strlen(text)};
    struct sl_config_options options = {.root = &sl_conf_root, .sources = &source, .source_count = 1};
    sl_auto(sl_config_report) *report = NULL;
    int code = sl_config_load(&options, &play->ours_config, &report);
    if (code < 0) {
        complain(play, "the configuration: %s", sl_config_report_text(report));
        return code;
    }
    const struct sl_conf *conf = sl_config_root(play->ours_config);
    return sl_access_open(play->ours_config, sl_conf_service_find(conf, "play"), play->ours, NULL, &play->access);
}

static int open_stream(struct play *play)
{
    const struct sl_simulate_options *options = play->options;
    SL_TRY(open_access(play));
    struct sl_stream_options stream = {.name = "market",
                                       .driver = sl_venue_driver_of(options->venue),
                                       .instruments = play->ours,
                                       .origin = sl_access_stream_origin(play->access),
                                       .redundancy = options->redundancy,
                                       .deflate = options->deflate,
                                       .per_connection = options->per_connection,
                                       .backoff = {.initial = SL_MILLISECONDS(50), .max = SL_SECONDS(2)},
                                       .connects = sl_access_connects(play->access),
                                       .http = sl_access_http(play->access),
                                       .rest_origin = sl_access_rest_origin(play->access),
                                       .verify = options->verify,
                                       .arg = play,
                                       .event = on_event,
                                       .bad = on_bad};
    SL_TRY(sl_stream_new(&stream, &play->stream));
    SL_TRY(subscribe(play));
    SL_SCOPE(scope, .name = "play");
    int code = sl_spawn(&scope, sl_simulated_run, play->exchange, .name = "exchange");
    code = code == 0 ? sl_spawn(&scope, sl_stream_run, play->stream, .name = "stream") : code;
    code = code == 0 ? sl_spawn(&scope, keep_listing, play, .name = "lists") : code;
    code = code == 0 ? conduct(play) : code;
    for (size_t at = 0; at < SL_SIMULATE_INSTRUMENTS && code == 0; at++) {
        if (!is_gone(play, at)) {
            compare_books(play, sl_instruments_at(play->ours, at));
        }
    }
    play->result->exchange = *sl_simulated_get_stats(play->exchange);
    play->result->books = *sl_books_get_stats(sl_stream_books(play->stream));
    sl_scope_cancel(&scope, "done");
    code = sl_scope_close(&scope, code);
    play->result->stream = sl_stream_get_stats(play->stream);
    return code;
}

static int perform(void *arg)
{
    struct play *play = arg;
    const struct sl_simulate_options *options = play->options;
    SL_TRY(sl_network_simulate());
    if (options->chunk_bytes > 0) {
        SL_TRY(sl_network_link(NULL, NULL, &(struct sl_link_options){.chunk_bytes = options->chunk_bytes}));
    }
    struct sl_simulated_options exchange;
    SL_TRY(sl_scenario_prepare(&play->scenario, play->theirs, &exchange));
    exchange.wait = (size_t)2 * SL_SIMULATE_INSTRUMENTS * options->redundancy;
    exchange.strict = true;
    exchange.cuts = options->cuts;
    exchange.cut_count = options->cut_count;
    exchange.arg = play;
    exchange.record = on_truth;
    SL_TRY(sl_simulated_open(&exchange, &play->exchange));
    int code = open_stream(play);
    sl_stream_service_free(play->stream);
    sl_access_close(play->access);
    sl_config_unref(play->ours_config);
    for (size_t at = 0; at < SL_SIMULATE_INSTRUMENTS && code == 0; at++) {
        compare_trades(play, sl_instruments_at(play->ours, at));
    }
    sl_simulated_close(play->exchange);
    return code;
}

/* Loads the text as a scenario. */
static int load_text(struct play *play, const char *text)
{
    char venue[80];
    (void)snprintf(venue, sizeof venue, "venues.%s.instruments=%d", sl_venue_name(play->options->venue),
                   SL_SIMULATE_INSTRUMENTS);
    const char *set = venue;
    struct sl_config_source source = {.path = "scenario", .text = text, .text_bytes = strlen(text)};
    struct sl_config_options config = {
        .root = &sl_scenario_root, .sources = &source, .source_count = 1, .sets = &set, .set_count = 1};
    sl_auto(sl_config_report) *report = NULL;
    int code = sl_config_load(&config, &play->config, &report);
    if (code < 0) {
        complain(play, "the scenario: %s", sl_config_report_text(report));
    }
    return code;
}

/* The scenario, with what the play itself decides laid over it. */
static int load(struct play *play)
{
    const struct sl_simulate_options *options = play->options;
    if (options->loaded == NULL) {
        SL_TRY(load_text(play, options->scenario == NULL ? "" : options->scenario));
    }
    play->scenario =
        *(options->loaded != NULL ? options->loaded : (const struct sl_scenario *)sl_config_root(play->config));
    const struct sl_scenario_venue *one = play->scenario.venues[options->venue];
    play->venue = one != NULL ? *one : (struct sl_scenario_venue){.instruments = 0};
    play->venue.instruments = SL_SIMULATE_INSTRUMENTS;
    memset(play->scenario.venues, 0, sizeof play->scenario.venues);
    play->scenario.venues[options->venue] = &play->venue;
    play->scenario.capture = (struct sl_config_list){.count = 0};
    play->scenario.seed = options->seed;
    play->scenario.rate = options->rate == 0 ? 40 : options->rate;
    play->scenario.steps = 0;
    play->scenario.port = 0;
    return 0;
}

static int prepare(struct play *play)
{
    SL_TRY(load(play));
    SL_TRY(sl_instruments_new(0, &play->theirs));
    SL_TRY(sl_instruments_new(0, &play->ours));
    SL_TRY(sl_simulated_define(play->ours, play->options->venue, SL_SIMULATE_INSTRUMENTS));
    play->tales = sl_calloc(SL_SIMULATE_INSTRUMENTS, sizeof *play->tales);
    if (play->tales == NULL) {
        return SL_ENOMEM;
    }
    for (size_t at = 0; at < SL_SIMULATE_INSTRUMENTS; at++) {
        play->tales[at].newest = -1;
        SL_TRY(sl_book_new(0, &play->tales[at].book));
    }
    return 0;
}

int sl_simulate(const struct sl_simulate_options *options, struct sl_simulate_result *ret_result)
{
    *ret_result = (struct sl_simulate_result){.trades = 0};
    int64_t held = sl_memory_held();
    struct play play = {.options = options, .result = ret_result};
    int code = prepare(&play);
    sl_error *error = NULL;
    if (code == 0) {
        struct sl_simulation_options simulation = {.seed = options->seed};
        struct sl_run_options run = {
            .simulation = &simulation, .shuffle_seed = options->seed, .watchdog = SL_NEVER, .log = sl_log_nothing};
        code = sl_run(&run, perform, &play, &error);
    }
    if (code < 0) {
        char story[200] = "";
        (void)sl_error_print(error, story, sizeof story);
        complain(&play, "the run gave %s: %s", sl_error_name(code), story);
    }
    sl_error_unref(error);
    for (size_t at = 0; play.tales != NULL && at < SL_SIMULATE_INSTRUMENTS; at++) {
        sl_book_free(play.tales[at].book);
    }
    sl_free(play.tales);
    sl_config_unref(play.config);
    sl_instruments_free(play.theirs);
    sl_instruments_free(play.ours);
    ret_result->leaked = sl_memory_held() - held;
    if (ret_result->leaked != 0) {
        complain(&play, "%lld allocations are left", (long long)ret_result->leaked);
    }
    return code;
}

bool sl_simulate_is_true(const struct sl_simulate_result *result)
{
    return result->untold == 0 && result->doubled == 0 && result->wrong == 0 && result->books_wrong == 0 &&
           result->silently_wrong == 0 && result->crossed == 0 && result->never_healed == 0 && result->leaked == 0 &&
           result->problem[0] == '\0' && result->heard > 0;
}
