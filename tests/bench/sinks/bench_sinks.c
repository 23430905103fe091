/* SPDX-License-Identifier: MIT */
/*
 * How many events a second reach each kind of sink, what fan-out costs an event, and how quick the spool is.
 *     bench_sinks FOLDER [sink=URL...]      redis=redis://... postgresql=host=... amqp=amqp://... kafka=mock
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "market/event_json.h"
#include "sinks/file.h"
#include "sinks/outlet.h"
#include "sinks/redis.h"
#include "sinks/sqlite.h"
#include "sluice/runtime.h"

#define EVENTS 2000000
#define SLOW_EVENTS 500000
#define INSTRUMENTS 100
#define LEVELS 20

static sl_instrument instruments[INSTRUMENTS];
static sl_level levels[2 * LEVELS];
static const char *folder;

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Processor time of all threads: what the wall clock shows too when nobody else wants the core. */
static double busy_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void prepare(void)
{
    for (int at = 0; at < INSTRUMENTS; at++) {
        instruments[at] = (sl_instrument){.index = (uint32_t)at, .venue = SL_VENUE_BINANCE_USDM};
        (void)snprintf(instruments[at].symbol, SL_SYMBOL_MAX, "COIN%dUSDT", at);
        (void)snprintf(instruments[at].name, SL_INSTRUMENT_NAME_MAX, "COIN%d-USDT-USDT", at);
    }
    for (int at = 0; at < 2 * LEVELS; at++) {
        levels[at] = (sl_level){{6180020 + at, -2}, {1234 + at, -3}};
    }
}

/* A trade of Binance's form; ids follow each other for an instrument. */
static sl_market_event trade(int64_t number)
{
    int64_t id = 5266583935 + number / INSTRUMENTS;
    return (sl_market_event){.kind = SL_EVENT_TRADE,
                             .feed = SL_FEED_TRADES,
                             .connection = 3,
                             .instrument = &instruments[number % INSTRUMENTS],
                             .venue_time_ns = 1723161256322000000 + number * 1000000,
                             .sent_time_ns = 1723161256323000000 + number * 1000000,
                             .receive_time_ns = 1723161256423456789 + number,
                             .as.trade = {.id = id,
                                          .first_id = id,
                                          .last_id = id,
                                          .price = {6180020 + number % 1000, -2},
                                          .quantity = {14 + number % 100, -3},
                                          .taker = SL_SIDE_SELL}};
}

static sl_market_event depth(int64_t number)
{
    sl_market_event event = trade(number);
    event.kind = SL_EVENT_BOOK_DELTA;
    event.feed = SL_FEED_DEPTH;
    event.as.delta = (sl_book_delta){
        .first_id = number * 10, .last_id = number * 10 + 9, .levels = {levels, levels + LEVELS, LEVELS, LEVELS}};
    return event;
}

/* ---- fan-out ---- */

static sl_outlet *idle_outlet(int number)
{
    static char names[8][32];
    sl_sink *sink = NULL;
    sl_outlet *outlet = NULL;
    (void)snprintf(names[number], sizeof(names[number]), "idle-%d", number);
    if (sl_file_sink_new(&(sl_file_options){.path = names[number]}, &sink) < 0 ||
        sl_outlet_new(&(sl_outlet_options){.name = names[number], .when_full = SL_FULL_DROP_OLDEST}, sink, &outlet) <
            0) {
        abort();
    }
    return outlet;
}

static int fan_out(void *arg)
{
    (void)arg;
    for (int count = 1; count <= 4; count += 3) {
        for (int books = 0; books < 2; books++) {
            sl_fanout *fanout = NULL;
            sl_outlet *outlets[4];
            SL_TRY(sl_fanout_new(&fanout));
            for (int at = 0; at < count; at++) {
                outlets[at] = idle_outlet(at);
                SL_TRY(sl_fanout_attach(fanout, outlets[at]));
            }
            double began = busy_seconds();
            for (int64_t number = 0; number < EVENTS; number++) {
                sl_market_event event = books == 0 ? trade(number) : depth(number);
                SL_TRY(sl_fanout_write(fanout, &event));
            }
            double took = busy_seconds() - began;
            (void)printf("fan-out to %d, %-32s %8.0f ns an event, %.2f million a second\n", count,
                         books == 0 ? "trades" : "books of 20 and 20 levels", took / EVENTS * 1e9,
                         EVENTS / took * 1e-6);
            sl_fanout_free(fanout);
            for (int at = 0; at < count; at++) {
                sl_outlet_free(outlets[at]);
            }
        }
    }
    return 0;
}

/* ---- the spool ---- */

static int spool_rate(void)
{
    char path[512];
    uint8_t record[512];
    struct sl__slots slots = {0};
    sl_spool *spool = NULL;
    (void)snprintf(path, sizeof(path), "%s/spool", folder);
    SL_TRY(sl_spool_open(&(sl_spool_options){.folder = path}, &spool));
    SL_TRY(sl__slots_reserve(&slots, 1 << 20));
    double began = seconds();
    for (int64_t number = 0; number < EVENTS;) {
        slots.size_bytes = 0;
        slots.count = 0;
        for (int count = 0; count < 5000; count++) {
            sl_market_event event = trade(number++);
            sl__slots_add(&slots, record, sl_record_encode(&event, record));
        }
        SL_TRY(sl_spool_append(spool, &slots));
    }
    double took = seconds() - began;
    uint64_t bytes = sl_spool_get_stats(spool)->bytes;
    (void)printf("spool, written                              %8.2f million events a second, %.0f MB/s\n",
                 EVENTS / took * 1e-6, (double)bytes / took * 1e-6);
    began = seconds();
    uint64_t read = 0;
    while (sl_spool_read(spool, &slots) > 0) {
        read += slots.count;
        SL_TRY(sl_spool_advance(spool));
    }
    took = seconds() - began;
    (void)printf("spool, read and let go                      %8.2f million events a second%s\n", EVENTS / took * 1e-6,
                 read == EVENTS ? "" : " (LOST SOME)");
    sl_spool_close(spool);
    sl__slots_free(&slots);
    return 0;
}

/* ---- sinks ---- */

struct job {
    const char *name;
    sl_sink *sink;
    int64_t events;
};

static int run_job(void *arg)
{
    struct job *job = arg;
    sl_outlet *outlet = NULL;
    sl_fanout *fanout = NULL;
    SL_TRY(sl_outlet_new(&(sl_outlet_options){.name = "bench", .drain = SL_SECONDS(120)}, job->sink, &outlet));
    SL_TRY(sl_fanout_new(&fanout));
    SL_TRY(sl_fanout_attach(fanout, outlet));
    sl_scope scope = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&scope, NULL));
    SL_TRY(sl_spawn(&scope, sl_outlet_run, outlet));
    double began = seconds();
    double busy = busy_seconds();
    int code = 0;
    for (int64_t number = 0; number < job->events && code == 0; number++) {
        sl_market_event event = trade(number);
        code = sl_fanout_write(fanout, &event);
    }
    sl_outlet_end(outlet);
    code = sl_scope_close(&scope, code);
    double took = seconds() - began;
    busy = busy_seconds() - busy;
    const sl_outlet_stats *stats = sl_outlet_get_stats(outlet);
    (void)printf("%-12s %8.0f events a second, %8.0f a second of processor time (%.0f of %lld stored in %.1f s)%s%s\n",
                 job->name, (double)stats->written / took, (double)stats->written / busy, (double)stats->written,
                 (long long)job->events, took, stats->problem[0] != '\0' ? ": " : "", stats->problem);
    sl_fanout_free(fanout);
    sl_outlet_free(outlet);
    return code;
}

static int run_sink(const char *name, sl_sink *sink, int64_t events)
{
    struct job job = {name, sink, events};
    int code = sl_run(NULL, run_job, &job, NULL);
    (void)fflush(stdout);
    return code;
}

static int run_given(const char *argument)
{
    const char *value = strchr(argument, '=');
    sl_sink *sink = NULL;
    if (value == NULL) {
        return SL_EINVAL;
    }
    value++;
    if (strncmp(argument, "redis=", 6) == 0) {
        struct sl_redis_options client = {.url = value};
        SL_TRY(sl_redis_sink_new(&(sl_redis_sink_options){.client = &client, .name = "bench"}, &sink));
        return run_sink("redis", sink, SLOW_EVENTS);
    }
    return SL_EINVAL;
}

static int run_all(int argc, char **argv)
{
    char path[512];
    sl_sink *sink = NULL;
    SL_TRY(sl_run(NULL, fan_out, NULL, NULL));
    SL_TRY(spool_rate());
    (void)snprintf(path, sizeof(path), "%s/plain", folder);
    SL_TRY(sl_file_sink_new(&(sl_file_options){.path = path}, &sink));
    SL_TRY(run_sink("file", sink, EVENTS));
    (void)snprintf(path, sizeof(path), "%s/packed", folder);
    SL_TRY(sl_file_sink_new(&(sl_file_options){.path = path, .zstd = true}, &sink));
    SL_TRY(run_sink("file, zstd", sink, EVENTS));
    (void)snprintf(path, sizeof(path), "%s/market.db", folder);
    SL_TRY(sl_sqlite_sink_new(&(sl_sqlite_options){.path = path}, &sink));
    SL_TRY(run_sink("sqlite", sink, EVENTS));
    for (int at = 2; at < argc; at++) {
        SL_TRY(run_given(argv[at]));
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: bench_sinks FOLDER [sink=URL...]\n");
        return 2;
    }
    folder = argv[1];
    prepare();
    int code = run_all(argc, argv);
    if (code < 0) {
        (void)fprintf(stderr, "failed: %s\n", sl_strerror(code));
    }
    return code < 0 ? 1 : 0;
}
