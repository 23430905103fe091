/* SPDX-License-Identifier: MIT */
/* The table of scenario files, and their orders over time. See scenario.h. */
#include "exchange/scenario.h"

#include <math.h>
#include <string.h>

#include "sluice/runtime.h"

/* Between two times that are drawn, at least. */
#define STEP_MIN SL_MILLISECONDS(1)

/* A mean time is exceeded by at most so many times itself. */
#define DRAWN_MAX 8.0

static const char *const venue_words[SL_VENUE_EXTERNAL] = {
    /* those that can be simulated */
    [SL_VENUE_NONE] = "none",
    [SL_VENUE_BINANCE_SPOT] = "binance",
    [SL_VENUE_BINANCE_USDM] = "binance-usdm",
    [SL_VENUE_BINANCE_COINM] = "binance-coinm",
    [SL_VENUE_COINBASE] = "coinbase",
    [SL_VENUE_KRAKEN] = "kraken",
    [SL_VENUE_BYBIT_SPOT] = "bybit",
    [SL_VENUE_BYBIT_LINEAR] = "bybit-linear",
    [SL_VENUE_BYBIT_INVERSE] = "bybit-inverse",
    [SL_VENUE_OKX] = "okx",
    [SL_VENUE_BITSTAMP] = "bitstamp",
};

/* ---- venues ---- */

static const struct sl_config_field venue_fields[] = {
    {SL_CONFIG_AT(struct sl_scenario_venue, instruments), .type = SL_CONFIG_UINT, .default_text = "10", .min = "1",
     .max = "100000", .help = "BTC, ETH, SOL and so on against the venue's usual money, then C00010, C00011..."},
    {SL_CONFIG_AT(struct sl_scenario_venue, levels), .type = SL_CONFIG_UINT, .default_text = "0", .max = "1000",
     .help = "Of each book a side; 0: as many as is usual at the venue."},
    {SL_CONFIG_AT(struct sl_scenario_venue, deep), .type = SL_CONFIG_UINT, .default_text = "0", .max = "100000",
     .help = "Further levels a side that never change, for snapshots of megabytes. Coinbase and Bitstamp only."},
    {SL_CONFIG_AT(struct sl_scenario_venue, checksums), .type = SL_CONFIG_BOOL, .default_text = "false",
     .help = "OKX's checksums as before 2026-06-23, when they were more than 0."},
};

static const struct sl_config_section venue_section = {SL_CONFIG_TABLE("venue", struct sl_scenario_venue, venue_fields),
                                                       .help = "How much of it there is."};

struct venues {
    const struct sl_scenario_venue *at[SL_VENUE_COUNT];
};

#define VENUE(word, name)                                                                                              \
    {                                                                                                                  \
        .key = (word), .offset = offsetof(struct venues, at[SL_VENUE_##name]),                                         \
        .size_bytes = sizeof(struct sl_scenario_venue *), .type = SL_CONFIG_SECTION, .section = &venue_section,        \
        .optional = true, .help = "The venue is there."                                                                \
    }

static const struct sl_config_field venues_fields[] = {VENUE("binance", BINANCE_SPOT),
                                                       VENUE("binance-usdm", BINANCE_USDM),
                                                       VENUE("binance-coinm", BINANCE_COINM),
                                                       VENUE("coinbase", COINBASE),
                                                       VENUE("kraken", KRAKEN),
                                                       VENUE("bybit", BYBIT_SPOT),
                                                       VENUE("bybit-linear", BYBIT_LINEAR),
                                                       VENUE("bybit-inverse", BYBIT_INVERSE),
                                                       VENUE("okx", OKX),
                                                       VENUE("bitstamp", BITSTAMP)};

static void check_venues(const void *value, sl_config_check *check)
{
    const struct venues *venues = value;
    bool any = false;
    for (int venue = 0; venue < SL_VENUE_EXTERNAL; venue++) {
        const struct sl_scenario_venue *one = venues->at[venue];
        any = any || one != NULL;
        if (one != NULL && one->deep > 0 && venue != SL_VENUE_COINBASE && venue != SL_VENUE_BITSTAMP) {
            const char *const keys[] = {venue_words[venue], "deep"};
            sl_config_reject_below(check, keys, 2, "the venue never gives its whole book; expected 0");
        }
    }
    if (!any) {
        sl_config_reject(check, NULL, "no venue; expected at least one, such as okx: {}");
    }
}

static const struct sl_config_section venues_section = {SL_CONFIG_TABLE("venues", struct venues, venues_fields),
                                                        .check = check_venues, .help = "The venues that it is."};

/* ---- faults ---- */

static const struct sl_config_field what_element = {
    .type = SL_CONFIG_ENUM, .size_bytes = sizeof(int), .choices = sl_fault_names, .choice_count = SL_FAULT_COUNT};
static const struct sl_config_field venue_element = {
    .type = SL_CONFIG_ENUM, .size_bytes = sizeof(int), .choices = venue_words, .choice_count = SL_VENUE_EXTERNAL};

static const struct sl_config_field fault_fields[] = {
    {SL_CONFIG_AT(struct sl_scenario_fault, what), .type = SL_CONFIG_LIST, .element = &what_element, .required = true,
     .min = "1", .max = "64", .help = "Names of faults; each time one of them is drawn."},
    {SL_CONFIG_AT(struct sl_scenario_fault, venues), .type = SL_CONFIG_LIST, .element = &venue_element, .max = "10",
     .help = "Where, all of them each time; none: all of the scenario."},
    {SL_CONFIG_AT(struct sl_scenario_fault, instrument), .type = SL_CONFIG_STRING, .min = "1", .max = "63",
     .help = "A pattern as in a configuration, such as BTC-*: only its messages, requests and statuses; else any."},
    {SL_CONFIG_AT(struct sl_scenario_fault, at), .type = SL_CONFIG_DURATION, .max = "31d",
     .help = "The first time, from the beginning; else after `every`."},
    {SL_CONFIG_AT(struct sl_scenario_fault, every), .type = SL_CONFIG_DURATION, .default_text = "0", .max = "31d",
     .help = "Then again and again; 0: once."},
    {SL_CONFIG_AT(struct sl_scenario_fault, random), .type = SL_CONFIG_BOOL, .default_text = "false",
     .help = "at and every are means: the times are drawn, exponentially, from the seed."},
    {SL_CONFIG_AT(struct sl_scenario_fault, until), .type = SL_CONFIG_DURATION, .default_text = "0", .max = "31d",
     .help = "None after this, from the beginning; 0: always."},
    {SL_CONFIG_AT(struct sl_scenario_fault, count), .type = SL_CONFIG_UINT, .default_text = "1", .min = "1",
     .max = "1000000", .help = "How often at a time, or of how many instruments."},
    {SL_CONFIG_KEY("for", struct sl_scenario_fault, duration), .type = SL_CONFIG_DURATION, .default_text = "1s",
     .min = "1ms", .max = "31d", .help = "How long, or by how much."},
};

static bool has_none(const struct sl_config_list *list)
{
    for (size_t at = 0; at < list->count; at++) {
        if (((const int *)list->items)[at] == 0) {
            return true;
        }
    }
    return false;
}

static void check_fault(const void *value, sl_config_check *check)
{
    const struct sl_scenario_fault *fault = value;
    if (fault->until > 0 && fault->until < fault->at) {
        sl_config_reject(check, "until", "before at; expected a later time, or 0");
    }
    if (fault->every > 0 && fault->every < STEP_MIN) {
        sl_config_reject(check, "every", "too often; expected at least 1ms, or 0");
    }
    if (has_none(&fault->venues)) {
        sl_config_reject(check, "venues", "none is no venue; expected their names, or no such key for all");
    }
}

static const struct sl_config_section fault_section = {SL_CONFIG_TABLE("fault", struct sl_scenario_fault, fault_fields),
                                                       .check = check_fault,
                                                       .help = "Something that goes wrong at times."};
static const struct sl_config_field fault_element = {
    .type = SL_CONFIG_SECTION, .size_bytes = sizeof(struct sl_scenario_fault), .section = &fault_section};

/* ---- the root ---- */

static const struct sl_config_field capture_element = {.type = SL_CONFIG_STRING, .min = "1", .max = "1024"};

static const struct sl_config_field root_fields[] = {
    {SL_CONFIG_AT(struct sl_scenario, seed), .type = SL_CONFIG_UINT, .default_text = "1",
     .help = "Of all that is drawn: the market, the faults and their times."},
    {SL_CONFIG_AT(struct sl_scenario, port), .type = SL_CONFIG_UINT, .default_text = "0", .max = "65535",
     .help = "On 127.0.0.1; 0: the system chooses."},
    {SL_CONFIG_AT(struct sl_scenario, rate), .type = SL_CONFIG_DOUBLE, .default_text = "1000", .min = "0",
     .max = "10000000", .help = "Events a second of all venues together; 0: as fast as clients read."},
    {SL_CONFIG_AT(struct sl_scenario, steps), .type = SL_CONFIG_UINT, .default_text = "0", .max = "1000000000000",
     .help = "Then the market ends; 0: never."},
    {SL_CONFIG_AT(struct sl_scenario, wait), .type = SL_CONFIG_UINT, .default_text = "0", .max = "1000000000",
     .help = "Nothing happens before there are so many subscriptions."},
    {SL_CONFIG_AT(struct sl_scenario, trades), .type = SL_CONFIG_PERCENT, .default_text = "40%", .min = "1%",
     .max = "99%", .help = "Of the events; the others are changes of books."},
    {SL_CONFIG_AT(struct sl_scenario, truth), .type = SL_CONFIG_STRING, .min = "1", .max = "1024",
     .help = "A file for what truly happens, an event a line, the books at the end last."},
    {SL_CONFIG_AT(struct sl_scenario, capture), .type = SL_CONFIG_LIST, .element = &capture_element, .max = "16",
     .help =
         "Files of one captured session, which is played instead of a market that is made up: recordings of `sluice "
         "record`, or others of the one venue named. Its instruments, levels and rate are the venue's then."},
    {SL_CONFIG_AT(struct sl_scenario, speed), .type = SL_CONFIG_DOUBLE, .default_text = "1", .min = "0",
     .max = "1000000", .help = "Of the captured session, times real time; 0: as fast as clients read."},
    {SL_CONFIG_AT(struct sl_scenario, venues), .type = SL_CONFIG_SECTION, .section = &venues_section,
     .help = "Which there are."},
    {SL_CONFIG_AT(struct sl_scenario, faults), .type = SL_CONFIG_LIST, .element = &fault_element, .max = "256",
     .help = "What goes wrong, and when."},
};

static void check_root(const void *value, sl_config_check *check)
{
    const struct sl_scenario *scenario = value;
    const struct sl_scenario_fault *faults = scenario->faults.items;
    for (size_t at = 0; at < scenario->faults.count; at++) {
        for (size_t i = 0; i < faults[at].venues.count; i++) {
            int venue = ((const int *)faults[at].venues.items)[i];
            if (venue > 0 && scenario->venues[venue] == NULL) {
                sl_config_reject(check, "faults",
                                 "entry %zu names %s, which the scenario has not; expected one of its "
                                 "venues",
                                 at + 1, venue_words[venue]);
            }
        }
    }
}

const struct sl_config_section sl_scenario_root = {SL_CONFIG_TABLE("scenario", struct sl_scenario, root_fields),
                                                   .check = check_root,
                                                   .help = "What `sluice exchange SCENARIO` plays."};

/* ---- what it makes ---- */

int sl_scenario_prepare(const struct sl_scenario *scenario, sl_instruments *instruments,
                        struct sl_simulated_options *ret_options)
{
    *ret_options = (struct sl_simulated_options){.instruments = instruments,
                                                 .seed = scenario->seed,
                                                 .rate = scenario->rate,
                                                 .steps = scenario->steps,
                                                 .wait = (size_t)scenario->wait,
                                                 .port = (int)scenario->port,
                                                 .speed = scenario->speed,
                                                 .trade_weight = (unsigned)(scenario->trades * 100)};
    unsigned named = 0;
    sl_venue only = SL_VENUE_NONE;
    for (int venue = 0; venue < SL_VENUE_COUNT; venue++) {
        const struct sl_scenario_venue *one = scenario->venues[venue];
        if (one != NULL && scenario->capture.count > 0) {
            named++;
            only = (sl_venue)venue;
        } else if (one != NULL) {
            ret_options->venues[venue] = (struct sl_simulated_venue){
                .levels = (size_t)one->levels, .deep = (size_t)one->deep, .checksums = one->checksums};
            SL_TRY(sl_simulated_define(instruments, (sl_venue)venue, (size_t)one->instruments));
        }
    }
    if (scenario->capture.count == 0) {
        return 0;
    }
    struct sl_captured_options captured = {.paths = scenario->capture.items,
                                           .path_count = scenario->capture.count,
                                           .venue = named == 1 ? only : SL_VENUE_NONE,
                                           .instruments = instruments};
    return sl_captured_open(&captured, &ret_options->captured);
}

/* ---- over time ---- */

struct sl_scenario_run {
    const struct sl_scenario *scenario;
    sl_simulated *exchange;
    sl_time from;
    uint64_t random;
    sl_time due[]; /* of each fault: from the beginning; SL_NEVER */
};

/* SplitMix64 (Steele, Lea, Flood 2014): what is drawn does not depend on what the program draws. */
static uint64_t draw(sl_scenario_run *run)
{
    uint64_t z = run->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* A time of this mean, exponentially distributed, or the time itself. */
static sl_time some_time(sl_scenario_run *run, sl_time mean, bool random)
{
    if (!random) {
        return mean;
    }
    double unit = ((double)(draw(run) >> 11) + 1) / 9007199254740993.0; /* (0, 1) */
    double factor = -log(unit);
    sl_time time = (sl_time)((double)mean * (factor < DRAWN_MAX ? factor : DRAWN_MAX));
    return time < STEP_MIN ? STEP_MIN : time;
}

static void plan(const struct sl_scenario_fault *fault, sl_time *due, sl_time next)
{
    *due = fault->until > 0 && next > fault->until ? SL_NEVER : next;
}

int sl_scenario_begin(const struct sl_scenario *scenario, sl_simulated *exchange, sl_scenario_run **ret_run)
{
    size_t count = scenario->faults.count;
    sl_scenario_run *run = sl_calloc(1, sizeof *run + count * sizeof run->due[0]);
    if (run == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a scenario");
    }
    *run = (sl_scenario_run){
        .scenario = scenario, .exchange = exchange, .from = sl_now(), .random = scenario->seed ^ UINT64_C(0x5ce0a810)};
    const struct sl_scenario_fault *faults = scenario->faults.items;
    for (size_t at = 0; at < count; at++) {
        sl_time first = faults[at].at > 0 ? faults[at].at : faults[at].every;
        plan(&faults[at], &run->due[at], some_time(run, first, faults[at].random));
    }
    *ret_run = run;
    return 0;
}

void sl_scenario_end(sl_scenario_run *run)
{
    sl_free(run);
}

static int order(sl_scenario_run *run, const struct sl_scenario_fault *fault)
{
    struct sl_fault_order order = {.fault = (sl_fault)((const int *)fault->what.items)[draw(run) % fault->what.count],
                                   .instrument = fault->instrument,
                                   .count = fault->count,
                                   .duration = fault->duration};
    if (order.fault == SL_FAULT_NONE) {
        return 0;
    }
    for (size_t at = 0; at < fault->venues.count; at++) {
        order.venue = (sl_venue)((const int *)fault->venues.items)[at];
        SL_TRY(sl_simulated_order(run->exchange, &order));
    }
    return fault->venues.count > 0 ? 0 : sl_simulated_order(run->exchange, &order);
}

/* The fault that is next; false: none will be any more. */
static bool next(const sl_scenario_run *run, size_t *ret_at)
{
    sl_time soonest = SL_NEVER;
    for (size_t at = 0; at < run->scenario->faults.count; at++) {
        if (run->due[at] < soonest) {
            soonest = run->due[at];
            *ret_at = at;
        }
    }
    return soonest != SL_NEVER;
}

int sl_scenario_play(void *arg)
{
    sl_scenario_run *run = arg;
    const struct sl_scenario_fault *faults = run->scenario->faults.items;
    size_t at = 0;
    while (run->scenario->wait > 0 && sl_simulated_get_stats(run->exchange)->steps == 0) {
        SL_TRY(sl_sleep(STEP_MIN));
        run->from = sl_now(); /* the beginning is that of the market */
    }
    while (next(run, &at)) {
        sl_time now = sl_now() - run->from;
        if (run->due[at] > now) {
            SL_TRY(sl_sleep(run->due[at] - now));
        }
        SL_TRY(order(run, &faults[at]));
        sl_time every = faults[at].every;
        if (every == 0) {
            run->due[at] = SL_NEVER;
        } else {
            plan(&faults[at], &run->due[at], sl_time_add(run->due[at], some_time(run, every, faults[at].random)));
        }
    }
    return 0;
}
