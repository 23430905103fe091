/* SPDX-License-Identifier: MIT */
/*
 * Sluice's side of the market data benchmark: a connection with Binance's driver, what it decodes checked for its
 * sequence and kept in books, and counted.
 *   bench_market trades|depth|books|latency PORT SECONDS INSTRUMENTS [tls]
 * "depth" only decodes. TLS trusts the certificate in the file that SL_BENCH_CA names. Prints messages a second, heap
 * allocations a message after the first tenth of the time, and, for "latency", times from the sender's write.
 */
#include <stdlib.h>
#include <string.h>

#include "../net/latency.h"
#include "ingest/connection.h"
#include "market/keeper.h"
#include "market/tracker.h"
#include "sluice/sluice.h"

#define BEGIN_LEVELS 100
#define FIRST_ID INT64_C(10000000000)           /* as in feed.c */
#define SENT_FROM_NS INT64_C(10000000000000000) /* as in feed.c */
#define LOOKS_AT_CLOCK 1024

struct bench {
    const char *mode;
    int port;
    sl_time lasts;
    size_t instrument_count;
    bool tls;
    sl_instruments *instruments;
    sl_tracker *tracker;
    sl_keeper **keepers; /* "books" */
    sl_connection *connection;
    bool timed, warm;
    uint64_t received, given, counted_from;
    sl_time began, counting_since, ended;
    int64_t allocations;
    double busy; /* processor time, as allocations: of what was counted */
    struct latency latency;
};

static double busy_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* What a sink would get. */
static int give(void *arg, const sl_market_event *event)
{
    struct bench *bench = arg;
    bench->given++;
    if (event->kind == SL_EVENT_GAP) {
        return sl_fail(SL_EPROTO, "a gap in a feed without any");
    }
    if (bench->timed) {
        sl_decimal sent = event->as.trade.quantity;
        int64_t sent_ns = sent.mantissa;
        for (int exponent = sent.exponent; exponent > -9; exponent--) {
            sent_ns *= 10;
        }
        latency_add_ns(&bench->latency, (uint64_t)(sent_ns - SENT_FROM_NS));
    }
    return 0;
}

/* Warm after a tenth of the time: then all that is held for an instrument is there. SL_EOF ends the connection. */
static int look_at_clock(struct bench *bench)
{
    sl_time now = sl_now();
    if (!bench->warm && now - bench->began > bench->lasts / 10 && bench->received >= 2 * bench->instrument_count) {
        bench->warm = true;
        bench->counting_since = now;
        bench->counted_from = bench->received;
        bench->allocations = sl_memory_asked();
        bench->busy = busy_seconds();
    }
    bench->ended = now;
    if (!bench->warm || now - bench->counting_since <= bench->lasts) {
        return 0;
    }
    bench->allocations = sl_memory_asked() - bench->allocations;
    bench->busy = busy_seconds() - bench->busy;
    return SL_EOF;
}

static int take(void *arg, const sl_market_event *event)
{
    struct bench *bench = arg;
    if (bench->received++ % LOOKS_AT_CLOCK == 0) {
        SL_TRY(look_at_clock(bench));
    }
    if (bench->keepers != NULL) {
        return sl_keeper_event(bench->keepers[event->instrument->index], event, event->receive_time_ns);
    }
    if (event->kind == SL_EVENT_TRADE) {
        int code = sl_tracker_event(bench->tracker, event, event->receive_time_ns);
        return code < 0 ? code : 0;
    }
    return 0;
}

static int complain(void *arg, const struct sl_bad_message *bad)
{
    (void)arg;
    return sl_fail(bad->code, "a message was refused: %s", bad->problem);
}

static int begin_books(struct bench *bench)
{
    sl_level bids[BEGIN_LEVELS];
    sl_level asks[BEGIN_LEVELS];
    bench->keepers = sl_calloc(bench->instrument_count, sizeof(sl_keeper *));
    if (bench->keepers == NULL) {
        return SL_ENOMEM;
    }
    for (int level = 0; level < BEGIN_LEVELS; level++) {
        bids[level] = (sl_level){{6180000 - level, -2}, {14, -3}};
        asks[level] = (sl_level){{6180001 + level, -2}, {14, -3}};
    }
    for (size_t at = 0; at < bench->instrument_count; at++) {
        const sl_instrument *instrument = sl_instruments_at(bench->instruments, at);
        sl_keeper_options options = {
            .rule = SL_BOOK_RULE_BINANCE_FUTURES, .instrument = instrument, .arg = bench, .event = give};
        sl_market_event event = {.kind = SL_EVENT_BOOK_SNAPSHOT, .feed = SL_FEED_SNAPSHOT, .instrument = instrument};
        event.as.snapshot = (sl_book_snapshot){.last_id = FIRST_ID, .levels = {bids, asks, BEGIN_LEVELS, BEGIN_LEVELS}};
        SL_TRY(sl_keeper_new(&options, &bench->keepers[at]));
        int code = sl_keeper_snapshot(bench->keepers[at], &event, 0);
        SL_TRY(code);
    }
    return 0;
}

static int set_up(struct bench *bench, const char *origin, sl_tls_config *tls)
{
    SL_TRY(sl_instruments_new(bench->instrument_count, &bench->instruments));
    for (size_t at = 0; at < bench->instrument_count; at++) {
        sl_instrument definition = {.venue = SL_VENUE_BINANCE_USDM};
        (void)snprintf(definition.symbol, sizeof(definition.symbol), "S%05zuUSDT", at);
        int code = sl_instruments_add(bench->instruments, &definition, NULL);
        SL_TRY(code);
    }
    if (strcmp(bench->mode, "books") == 0) {
        SL_TRY(begin_books(bench));
    }
    const sl_venue_driver *driver = sl_venue_driver_of(SL_VENUE_BINANCE_USDM);
    SL_TRY(sl_tracker_new(&(sl_tracker_options){.consecutive_trades = true, .arg = bench, .event = give},
                          &bench->tracker));
    SL_TRY(sl_connection_new(&(struct sl_connection_options){.driver = driver,
                                                             .instruments = bench->instruments,
                                                             .origin = origin,
                                                             .tls = tls,
                                                             .output = {.arg = bench, .event = take},
                                                             .bad = complain},
                             &bench->connection));
    bool depth = bench->keepers != NULL || strcmp(bench->mode, "depth") == 0;
    sl_subscription what = {.feed = depth ? SL_FEED_DEPTH : SL_FEED_TRADES,
                            .instrument = sl_instruments_at(bench->instruments, 0)};
    int code = sl_connection_add(bench->connection, &what);
    return code < 0 ? code : 0;
}

static void tear_down(struct bench *bench)
{
    sl_connection_free(bench->connection);
    sl_tracker_free(bench->tracker);
    for (size_t at = 0; bench->keepers != NULL && at < bench->instrument_count; at++) {
        sl_keeper_free(bench->keepers[at]);
    }
    sl_free(bench->keepers);
    sl_instruments_free(bench->instruments);
}

static int run(void *arg)
{
    struct bench *bench = arg;
    sl_auto(sl_tls_config) *tls = NULL;
    char origin[64];
    (void)snprintf(origin, sizeof origin, "%s://127.0.0.1:%d", bench->tls ? "wss" : "ws", bench->port);
    if (bench->tls) {
        SL_TRY(sl_tls_config_open(&(struct sl_tls_options){.ca_file = getenv("SL_BENCH_CA")}, &tls));
    }
    int code = set_up(bench, origin, tls);
    bench->began = sl_now();
    code = code < 0 ? code : sl_connection_run(bench->connection);
    uint64_t counted = bench->received - bench->counted_from;
    if (code == SL_EOF && bench->warm && counted > 0) {
        (void)printf("rate %.0f rate_cpu %.0f allocations %.6f ",
                     (double)counted * 1e9 / (double)(bench->ended - bench->counting_since),
                     (double)counted / bench->busy, (double)bench->allocations / (double)counted);
        if (bench->timed) {
            latency_print(&bench->latency);
        }
        (void)printf("\n");
        code = 0;
    }
    tear_down(bench);
    return code;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    if (argc < 5) {
        (void)fprintf(stderr, "usage: see the top of bench_market.c\n");
        return 2;
    }
    bench.mode = argv[1];
    bench.port = (int)strtod(argv[2], NULL);
    bench.lasts = (sl_time)(strtod(argv[3], NULL) * 1e9);
    bench.instrument_count = (size_t)strtod(argv[4], NULL);
    bench.tls = argc > 5;
    bench.timed = strcmp(bench.mode, "latency") == 0;
    return sl_main(run, &bench);
}
