/* SPDX-License-Identifier: MIT */
/*
 * Sluice's side of the market data benchmark: a stream service with Binance's driver, as "sluice run" has it, from the
 * socket to the call of a sink that counts.
 *   bench_market trades|depth|books|latency PORT SECONDS INSTRUMENTS [tls]
 * "depth" only decodes: a connection without books. TLS trusts the certificate in the file that SL_BENCH_CA names.
 * Prints messages a second, calls of the heap a message (Sluice's, and all; after the first tenth of the time, when each
 * instrument was seen), and, for "latency", microseconds from the readable socket to the sink (stamps.h); there the loop spins
 * for SL_BENCH_SPIN_US before it sleeps.
 */
#include <stdlib.h>
#include <string.h>

#include "ingest/stream/stream.h"
#include "sluice/sluice.h"
#include "stamps.h"

#define LOOKS_AT_CLOCK 1024

struct bench {
    const char *mode;
    int port;
    sl_time lasts;
    size_t instrument_count;
    bool tls;
    sl_venue_driver driver; /* Binance's, but for its limits */
    sl_instruments *instruments;
    sl_stream_service *stream;
    sl_connection *connection; /* "depth" */
    sl_scope *scope;
    bool timed, warm, done;
    uint64_t received, counted_from;
    sl_time began, counting_since, ended;
    uint64_t heap_calls;
    int64_t own_calls; /* Sluice's share of them */
    double busy;       /* processor time, as heap_calls: of what was counted */
    stamp_ns *stamps;  /* "latency" */
    struct stamped latency;
};

/* ---- the heap, counted for the whole process ---- */

extern void *__libc_malloc(size_t size_bytes);
extern void *__libc_calloc(size_t count, size_t size_bytes);
extern void *__libc_realloc(void *memory, size_t size_bytes);
extern void *__libc_memalign(size_t alignment, size_t size_bytes);

static uint64_t heap_calls;

void *malloc(size_t size_bytes)
{
    heap_calls++;
    return __libc_malloc(size_bytes);
}

void *calloc(size_t count, size_t size_bytes)
{
    heap_calls++;
    return __libc_calloc(count, size_bytes);
}

void *realloc(void *memory, size_t size_bytes)
{
    heap_calls++;
    return __libc_realloc(memory, size_bytes);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t size_bytes)
{
    heap_calls++;
    *ret_memory = __libc_memalign(alignment, size_bytes);
    return *ret_memory == NULL ? 12 : 0; /* ENOMEM */
}

/* ---- the sink ---- */

static double busy_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Warm after a tenth of the time: then all that is held for an instrument is there. */
static void look_at_clock(struct bench *bench)
{
    sl_time now = sl_now();
    if (!bench->warm && now - bench->began > bench->lasts / 10 && bench->received >= 2 * bench->instrument_count) {
        bench->warm = true;
        bench->counting_since = now;
        bench->counted_from = bench->received;
        bench->heap_calls = heap_calls;
        bench->own_calls = sl_memory_asked();
        bench->busy = busy_seconds();
    }
    if (bench->done || !bench->warm || now - bench->counting_since <= bench->lasts) {
        return;
    }
    bench->done = true;
    bench->ended = now;
    bench->heap_calls = heap_calls - bench->heap_calls;
    bench->own_calls = sl_memory_asked() - bench->own_calls;
    bench->busy = busy_seconds() - bench->busy;
    sl_scope_cancel(bench->scope, "measured");
}

static void note_latency(struct bench *bench, const sl_market_event *event)
{
    sl_decimal sent = event->as.trade.quantity;
    int64_t sent_ns = sent.mantissa;
    for (int exponent = sent.exponent; exponent > -9; exponent--) {
        sent_ns *= 10;
    }
    size_t number = (size_t)(event->as.trade.price.mantissa / 100 - STAMPS_PRICE);
    stamped_add(&bench->latency, bench->stamps, number, (uint64_t)(sent_ns - SENT_FROM_NS));
}

static int sink(void *arg, const sl_market_event *event)
{
    struct bench *bench = arg;
    if (event->kind == SL_EVENT_GAP) {
        return sl_fail(SL_EPROTO, "a gap in a feed without any");
    }
    if (bench->timed && bench->warm) {
        note_latency(bench, event);
    }
    if (bench->received++ % LOOKS_AT_CLOCK == 0) {
        look_at_clock(bench);
    }
    return 0;
}

static int complain(void *arg, const struct sl_bad_message *bad)
{
    (void)arg;
    return sl_fail(bad->code, "a message was refused: %s", bad->problem);
}

/* ---- the run ---- */

static int add_instruments(struct bench *bench)
{
    SL_TRY(sl_instruments_new(bench->instrument_count, &bench->instruments));
    for (size_t at = 0; at < bench->instrument_count; at++) {
        sl_instrument definition = {.venue = SL_VENUE_BINANCE_USDM};
        (void)snprintf(definition.symbol, sizeof(definition.symbol), "S%05zuUSDT", at);
        int code = sl_instruments_add(bench->instruments, &definition, NULL);
        SL_TRY(code);
    }
    return 0;
}

static int subscribe(struct bench *bench, sl_feed feed)
{
    for (size_t at = 0; at < bench->instrument_count; at++) {
        sl_subscription what = {.feed = feed, .instrument = sl_instruments_at(bench->instruments, at)};
        int code = bench->connection != NULL ? sl_connection_add(bench->connection, &what)
                                             : sl_stream_add(bench->stream, &what);
        SL_TRY(code < 0 ? code : 0);
    }
    return 0;
}

/* The feed sends everything without being asked, and reads nothing: it is asked for many at once with few bytes. */
static int ask_for_all(const sl_subscription *subscriptions, size_t count, bool off, int64_t request_id, char *buffer,
                       size_t size_bytes, size_t *ret_size_bytes)
{
    (void)subscriptions;
    (void)off;
    (void)request_id;
    *ret_size_bytes = (size_t)snprintf(buffer, size_bytes, "{}");
    return (int)count;
}

/* All on one connection, which is what is measured. */
static int set_up(struct bench *bench, const char *origin, sl_tls_config *tls)
{
    sl_venue_driver *driver = &bench->driver;
    *driver = *sl_venue_driver_of(SL_VENUE_BINANCE_USDM);
    driver->limits = (sl_venue_stream_limits){0};
    driver->subscribe = ask_for_all;
    SL_TRY(add_instruments(bench));
    bool depth = strcmp(bench->mode, "depth") == 0;
    bool books = strcmp(bench->mode, "books") == 0;
    if (depth) {
        SL_TRY(sl_connection_new(&(struct sl_connection_options){.driver = driver,
                                                                 .instruments = bench->instruments,
                                                                 .origin = origin,
                                                                 .tls = tls,
                                                                 .output = {.arg = bench, .event = sink},
                                                                 .bad = complain},
                                 &bench->connection));
        return subscribe(bench, SL_FEED_DEPTH);
    }
    SL_TRY(sl_stream_new(&(struct sl_stream_options){.name = "bench",
                                                     .driver = driver,
                                                     .instruments = bench->instruments,
                                                     .origin = origin,
                                                     .tls = tls,
                                                     .arg = bench,
                                                     .event = sink,
                                                     .bad = complain},
                         &bench->stream));
    return subscribe(bench, books ? SL_FEED_DEPTH : SL_FEED_TRADES);
}

static int run_in_scope(struct bench *bench)
{
    SL_SCOPE(scope, .name = "measured", .move_on = true);
    bench->scope = &scope;
    bench->began = sl_now();
    int code = bench->connection != NULL ? sl_spawn(&scope, sl_connection_run, bench->connection)
                                         : sl_spawn(&scope, sl_stream_run, bench->stream);
    return sl_scope_close(&scope, code);
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
    code = code < 0 ? code : run_in_scope(bench);
    uint64_t counted = bench->received - bench->counted_from;
    if (code == 0 && bench->done) {
        (void)printf("rate %.0f rate_cpu %.0f allocations %.6f all_allocations %.6f ",
                     (double)counted * 1e9 / (double)(bench->ended - bench->counting_since),
                     (double)counted / bench->busy, (double)bench->own_calls / (double)counted,
                     (double)bench->heap_calls / (double)counted);
        if (bench->timed) {
            stamped_print(&bench->latency);
        }
        (void)printf("\n");
    }
    sl_connection_free(bench->connection);
    sl_stream_service_free(bench->stream);
    sl_instruments_free(bench->instruments);
    return code == 0 && !bench->done ? SL_EINTERNAL : code;
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
    bench.stamps = bench.timed ? stamps_open() : NULL;
    if (bench.timed && bench.stamps == NULL) {
        (void)fprintf(stderr, "bench_market: \"latency\" wants a file for the feed's times (SL_BENCH_STAMPS)\n");
        return 2;
    }
    const char *spin_us = getenv("SL_BENCH_SPIN_US");
    struct sl_run_options options = {.signals = true,
                                     .spin = spin_us == NULL ? 0 : SL_MICROSECONDS((sl_time)strtod(spin_us, NULL))};
    return sl_main_with(&options, run, &bench);
}
