/* SPDX-License-Identifier: MIT */
/*
 * How fast made-up messages of Binance's form go through decoder, tracker and books: `books [INSTRUMENTS [ROUNDS]]`.
 * Trades of about 135 bytes, decoded and their ids tracked; changes of 20 levels (about 750 bytes), decoded, and
 * decoded and kept in as many books as there are instruments (20000), each begun with 200 levels. Messages go round
 * the instruments, so that each book is cold. Rates are of the thread's own CPU time, of the best round; heap
 * allocations a message are counted and must be 0.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "market/keeper.h"
#include "market/tracker.h"
#include "venues/venue.h"

#define INSTRUMENTS_DEFAULT 20000
#define INSTRUMENTS_LIMIT 100000
#define ROUNDS_DEFAULT 5
#define ROUNDS_MAX 1000
#define MESSAGES 100000
#define LEVELS 10 /* a side, in one message */
#define BEGIN_LEVELS 100
#define MESSAGE_BYTES 1024

struct bench {
    size_t instrument_count;
    int rounds;
    sl_instruments *instruments;
    sl_venue_decoder *decoder;
    sl_keeper **keepers;
    sl_tracker *tracker;
    int64_t *last_ids;
    char *texts; /* MESSAGES of MESSAGE_BYTES each */
    size_t *sizes;
    bool with_books;
    uint64_t events;
    uint64_t random;
};

static int64_t now_ns(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static uint64_t draw(struct bench *bench)
{
    uint64_t z = bench->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int ignore_event(void *arg, const sl_market_event *event)
{
    (void)arg;
    (void)event;
    return 0;
}

static int take(void *arg, const sl_market_event *event)
{
    struct bench *bench = arg;
    bench->events++;
    if (event->kind == SL_EVENT_TRADE) {
        int code = sl_tracker_event(bench->tracker, event, 0);
        return code < 0 ? code : 0;
    }
    return bench->with_books ? sl_keeper_event(bench->keepers[event->instrument->index], event, 0) : 0;
}

static void make_trades(struct bench *bench)
{
    for (size_t at = 0; at < MESSAGES; at++) {
        size_t index = at % bench->instrument_count;
        int length = snprintf(bench->texts + at * MESSAGE_BYTES, MESSAGE_BYTES,
                              "{\"e\":\"trade\",\"E\":1723161256322,\"T\":1723161256321,\"s\":\"%s\",\"t\":%" PRId64
                              ",\"p\":\"%u.%02u\",\"q\":\"0.%03u\",\"X\":\"MARKET\",\"m\":%s}",
                              sl_instruments_at(bench->instruments, index)->symbol, ++bench->last_ids[index] + 1,
                              (unsigned)(61000 + draw(bench) % 1000), (unsigned)(draw(bench) % 100),
                              (unsigned)(draw(bench) % 1000), draw(bench) % 2 == 0 ? "true" : "false");
        bench->sizes[at] = (size_t)length;
    }
}

/* Levels of one side, best first; now and then one is removed. */
static size_t put_side(struct bench *bench, char *at, bool bids, unsigned base)
{
    size_t length = 0;
    for (unsigned level = 0; level < LEVELS; level++) {
        unsigned away = level * 10 + (unsigned)(draw(bench) % 10);
        unsigned price = bids ? base - away : base + 1 + away;
        unsigned quantity = draw(bench) % 4 == 0 ? 0 : (unsigned)(draw(bench) % 20000);
        length += (size_t)snprintf(at + length, 64, "%s[\"%u.%02u\",\"%u.%03u\"]", level == 0 ? "" : ",", price / 100,
                                   price % 100, quantity / 1000, quantity % 1000);
    }
    return length;
}

static void make_depth(struct bench *bench)
{
    for (size_t at = 0; at < MESSAGES; at++) {
        size_t index = at % bench->instrument_count;
        const char *symbol = sl_instruments_at(bench->instruments, index)->symbol;
        char *text = bench->texts + at * MESSAGE_BYTES;
        int64_t previous = bench->last_ids[index];
        unsigned base = 6180000 + (unsigned)index;
        bench->last_ids[index] += 5;
        size_t length = (size_t)snprintf(text, MESSAGE_BYTES,
                                         "{\"stream\":\"%s@depth@0ms\",\"data\":{\"e\":\"depthUpdate\","
                                         "\"E\":1723161256299,\"T\":1723161256298,\"s\":\"%s\",\"U\":%" PRId64
                                         ",\"u\":%" PRId64 ",\"pu\":%" PRId64 ",\"b\":[",
                                         symbol, symbol, previous + 3, previous + 5, previous);
        length += put_side(bench, text + length, true, base);
        length += (size_t)snprintf(text + length, 16, "],\"a\":[");
        length += put_side(bench, text + length, false, base);
        length += (size_t)snprintf(text + length, 16, "]}}");
        bench->sizes[at] = length;
    }
}

/* Each instrument has had its first trade: what the tracker allocates then does not count. */
static int begin_tracker(struct bench *bench)
{
    const sl_tracker_options options = {.consecutive_trades = true, .event = ignore_event};
    sl_tracker_free(bench->tracker);
    bench->tracker = NULL;
    SL_TRY(sl_tracker_new(&options, &bench->tracker));
    for (size_t at = 0; at < bench->instrument_count; at++) {
        const sl_market_event event = {.kind = SL_EVENT_TRADE,
                                       .feed = SL_FEED_TRADES,
                                       .instrument = sl_instruments_at(bench->instruments, at),
                                       .as.trade.id = 1};
        int code = sl_tracker_event(bench->tracker, &event, 0);
        if (code < 0) {
            return code;
        }
    }
    return 0;
}

/* Each book begins with a snapshot around its own price. */
static int begin_books(struct bench *bench)
{
    sl_level bids[BEGIN_LEVELS];
    sl_level asks[BEGIN_LEVELS];
    for (size_t at = 0; at < bench->instrument_count; at++) {
        const sl_instrument *instrument = sl_instruments_at(bench->instruments, at);
        sl_keeper_options options = {
            .rule = SL_BOOK_RULE_BINANCE_FUTURES, .instrument = instrument, .event = ignore_event};
        sl_market_event event = {.kind = SL_EVENT_BOOK_SNAPSHOT, .feed = SL_FEED_SNAPSHOT, .instrument = instrument};
        for (int level = 0; level < BEGIN_LEVELS; level++) {
            bids[level] = (sl_level){{6180000 + (int64_t)at - level, -2}, {14, -3}};
            asks[level] = (sl_level){{6180001 + (int64_t)at + level, -2}, {14, -3}};
        }
        event.as.snapshot = (sl_book_snapshot){.levels = {bids, asks, BEGIN_LEVELS, BEGIN_LEVELS}};
        sl_keeper_free(bench->keepers[at]);
        bench->keepers[at] = NULL;
        SL_TRY(sl_keeper_new(&options, &bench->keepers[at]));
        int code = sl_keeper_snapshot(bench->keepers[at], &event, 0);
        SL_TRY(code);
    }
    return 0;
}

static int run_once(struct bench *bench, int64_t *ret_ns, int64_t *ret_allocations)
{
    const sl_venue_output output = {.arg = bench, .event = take};
    int64_t asked = sl_memory_asked();
    int64_t start_ns = now_ns();
    for (size_t at = 0; at < MESSAGES; at++) {
        const sl_venue_message message = {.text = bench->texts + at * MESSAGE_BYTES,
                                          .size_bytes = bench->sizes[at],
                                          .json_flags = SL_JSON_PADDED,
                                          .receive_time_ns = start_ns};
        SL_TRY(sl_venue_decode(bench->decoder, &message, &output));
    }
    *ret_ns = now_ns() - start_ns;
    *ret_allocations = sl_memory_asked() - asked;
    return 0;
}

static int measure(struct bench *bench, const char *what, bool with_books)
{
    int64_t best_ns = INT64_MAX;
    int64_t allocations = 0;
    size_t bytes = 0;
    bench->with_books = with_books;
    for (int round = 0; round < bench->rounds; round++) {
        int64_t took_ns = 0;
        SL_TRY(begin_tracker(bench));
        if (with_books) {
            SL_TRY(begin_books(bench));
        }
        bench->events = 0;
        SL_TRY(run_once(bench, &took_ns, &allocations));
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    for (size_t at = 0; at < MESSAGES; at++) {
        bytes += bench->sizes[at];
    }
    (void)printf("%-24s %9.0f messages/s  %6.0f ns a message of %zu bytes  %" PRIu64 " events, %.5f allocations each\n",
                 what, MESSAGES * 1e9 / (double)best_ns, (double)best_ns / MESSAGES, bytes / MESSAGES, bench->events,
                 (double)allocations / MESSAGES);
    return bench->events == MESSAGES ? 0 : SL_EPROTO;
}

static int set_up(struct bench *bench)
{
    sl_venue_decoder_options options = {.venue = SL_VENUE_BINANCE_USDM};
    SL_TRY(sl_instruments_new(bench->instrument_count, &bench->instruments));
    for (size_t at = 0; at < bench->instrument_count; at++) {
        sl_instrument definition = {.venue = SL_VENUE_BINANCE_USDM};
        (void)snprintf(definition.symbol, sizeof(definition.symbol), "S%05zuUSDT", at);
        int code = sl_instruments_add(bench->instruments, &definition, NULL);
        SL_TRY(code);
    }
    options.instruments = bench->instruments;
    SL_TRY(sl_venue_decoder_new(&options, &bench->decoder));
    bench->keepers = sl_calloc(bench->instrument_count, sizeof(sl_keeper *));
    bench->last_ids = sl_calloc(bench->instrument_count, sizeof(*bench->last_ids));
    bench->texts = sl_calloc(MESSAGES, MESSAGE_BYTES);
    bench->sizes = sl_calloc(MESSAGES, sizeof(*bench->sizes));
    return bench->keepers == NULL || bench->last_ids == NULL || bench->texts == NULL || bench->sizes == NULL ? SL_ENOMEM
                                                                                                             : 0;
}

static int run(struct bench *bench)
{
    SL_TRY(set_up(bench));
    make_trades(bench);
    SL_TRY(measure(bench, "trades", false));
    memset(bench->last_ids, 0, bench->instrument_count * sizeof(*bench->last_ids));
    make_depth(bench);
    SL_TRY(measure(bench, "depth, decoded", false));
    return measure(bench, "depth, kept in books", true);
}

static void tear_down(struct bench *bench)
{
    for (size_t at = 0; bench->keepers != NULL && at < bench->instrument_count; at++) {
        sl_keeper_free(bench->keepers[at]);
    }
    sl_free(bench->keepers);
    sl_tracker_free(bench->tracker);
    sl_free(bench->last_ids);
    sl_free(bench->texts);
    sl_free(bench->sizes);
    sl_venue_decoder_free(bench->decoder);
    sl_instruments_free(bench->instruments);
}

int main(int argc, char **argv)
{
    int64_t numbers[2] = {INSTRUMENTS_DEFAULT, ROUNDS_DEFAULT};
    for (int at = 1; at < argc && at <= 2; at++) {
        if (sl_json_text_int64((sl_json_text){argv[at], strlen(argv[at])}, &numbers[at - 1]) < 0 ||
            numbers[at - 1] < 1 || numbers[at - 1] > (at == 1 ? INSTRUMENTS_LIMIT : ROUNDS_MAX)) {
            (void)fprintf(stderr, "usage: books [INSTRUMENTS [ROUNDS]]\n");
            return 2;
        }
    }
    struct bench bench = {.instrument_count = (size_t)numbers[0], .rounds = (int)numbers[1], .random = 1};
    int code = run(&bench);
    if (code < 0) {
        (void)fprintf(stderr, "failed: %s %s\n", sl_strerror(code),
                      bench.decoder == NULL ? "" : sl_venue_problem(bench.decoder));
    }
    tear_down(&bench);
    return code < 0;
}
