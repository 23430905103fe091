/* SPDX-License-Identifier: MIT */
/*
 * How fast captured messages are decoded and put into the book: `decode CAPTURE [VENUE [ROUNDS]]`. The
 * messages are read into memory first; each round decodes all of them, joins and keeps the book from scratch. Prints the best round of each stage; it asserts no time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "market/capture.h"
#include "market/keeper.h"
#include "venues/venue.h"

#define ROUNDS_DEFAULT 10
#define ROUNDS_MAX 1000
#define MESSAGES_MAX 10000000

struct message {
    size_t offset;
    size_t size_bytes;
    int64_t receive_time_ns;
};

struct session {
    char *bytes;
    size_t used;
    size_t capacity;
    struct message *messages;
    size_t count;
    size_t messages_capacity;
};

struct worker {
    sl_instruments *instruments;
    sl_venue_decoder *decoder;
    sl_keeper *keeper;
    uint64_t counts[SL_EVENT_KIND_COUNT];
    uint64_t levels;
    bool with_book;
    bool rest; /* the message is a snapshot that was asked for */
};

static int64_t now_ns(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static int add(struct session *session, const char *text, size_t size_bytes, int64_t receive_time_ns)
{
    size_t needed = session->used + size_bytes + SL_JSON_PADDING;
    if (session->bytes == NULL || needed > session->capacity) {
        size_t capacity = needed * 2;
        char *bytes = sl_realloc(session->bytes, capacity);
        if (bytes == NULL) {
            return SL_ENOMEM;
        }
        session->bytes = bytes;
        session->capacity = capacity;
    }
    if (session->count == session->messages_capacity) {
        size_t capacity = session->messages_capacity == 0 ? 1024 : session->messages_capacity * 2;
        struct message *messages = sl_realloc(session->messages, capacity * sizeof(*messages));
        if (messages == NULL || capacity > MESSAGES_MAX) {
            return SL_ENOMEM;
        }
        session->messages = messages;
        session->messages_capacity = capacity;
    }
    memcpy(session->bytes + session->used, text, size_bytes);
    memset(session->bytes + session->used + size_bytes, 0, SL_JSON_PADDING);
    session->messages[session->count++] = (struct message){session->used, size_bytes, receive_time_ns};
    session->used = needed;
    return 0;
}

static int load_capture(struct session *session, const char *path)
{
    sl_auto(sl_capture) *capture = NULL;
    sl_capture_line line;
    SL_TRY(sl_capture_open(path, 0, &capture));
    int code = 0;
    while ((code = sl_capture_next(capture, &line)) > 0) {
        SL_TRY(add(session, line.text, line.size_bytes, line.receive_time_ns));
    }
    return code;
}

/* What the keeper gives out; a gap means that the capture is not whole. */
static int applied(void *arg, const sl_market_event *event)
{
    (void)arg;
    return event->kind == SL_EVENT_GAP ? SL_EPROTO : 0;
}

static int take(void *arg, const sl_market_event *event)
{
    struct worker *worker = arg;
    worker->counts[event->kind]++;
    if (event->kind == SL_EVENT_BOOK_DELTA) {
        worker->levels += event->as.delta.levels.bid_count + event->as.delta.levels.ask_count;
    } else if (event->kind != SL_EVENT_BOOK_SNAPSHOT) {
        return 0;
    }
    if (!worker->with_book) {
        return 0;
    }
    if (!worker->rest) {
        return sl_keeper_event(worker->keeper, event, 0);
    }
    int joined = sl_keeper_snapshot(worker->keeper, event, 0);
    return joined == 0 ? SL_EPROTO : joined < 0 ? joined : 0;
}

/* One round over all messages; with the book or only the decoder. */
static int run(struct session *session, struct worker *worker, bool with_book)
{
    static const char snapshot[] = "{\"lastUpdateId\"";
    const sl_venue_output output = {.arg = worker, .event = take};
    const sl_venue_request request = {.kind = SL_REQUEST_SNAPSHOT,
                                      .instrument = sl_instruments_at(worker->instruments, 0)};
    sl_venue_answer answer;
    memset(worker->counts, 0, sizeof(worker->counts));
    worker->levels = 0;
    worker->with_book = with_book;
    for (size_t at = 0; at < session->count; at++) {
        sl_venue_message message = {.text = session->bytes + session->messages[at].offset,
                                    .size_bytes = session->messages[at].size_bytes,
                                    .json_flags = SL_JSON_PADDED,
                                    .receive_time_ns = session->messages[at].receive_time_ns};
        worker->rest = strncmp(message.text, snapshot, sizeof(snapshot) - 1) == 0;
        SL_TRY(worker->rest ? sl_venue_decode_rest(worker->decoder, &request, &message, &output, NULL, &answer)
                            : sl_venue_decode(worker->decoder, &message, &output));
    }
    return 0;
}

/* The least ns of `rounds` rounds. */
static int measure(struct session *session, sl_venue venue, int rounds, bool with_book, struct worker *worker,
                   int64_t *ret_ns)
{
    const sl_keeper_options options = {.rule = sl_venue_driver_of(venue)->book_rule,
                                       .instrument = sl_instruments_at(worker->instruments, 0),
                                       .event = applied};
    int64_t best_ns = INT64_MAX;
    for (int round = 0; round < rounds; round++) {
        sl_keeper_free(worker->keeper);
        worker->keeper = NULL;
        SL_TRY(sl_keeper_new(&options, &worker->keeper));
        int64_t start_ns = now_ns();
        SL_TRY(run(session, worker, with_book));
        int64_t took_ns = now_ns() - start_ns;
        best_ns = took_ns < best_ns ? took_ns : best_ns;
    }
    *ret_ns = best_ns;
    return 0;
}

static void print_rate(const char *what, const struct session *session, int64_t took_ns)
{
    double seconds = (double)took_ns / 1e9;
    (void)printf("%-18s %9.0f messages/s  %7.0f MB/s  %6.0f ns a message\n", what, (double)session->count / seconds,
                 (double)session->used / seconds / 1e6, (double)took_ns / (double)session->count);
}

static int benchmark(struct session *session, sl_venue venue, int rounds, struct worker *worker)
{
    int64_t decode_ns = 0;
    int64_t both_ns = 0;
    sl_instrument instrument = {.venue = venue, .symbol = "BTCUSDT"};
    if (venue == SL_VENUE_BINANCE_COINM) {
        (void)snprintf(instrument.symbol, sizeof(instrument.symbol), "BTCUSD_PERP");
    }
    SL_TRY(sl_instruments_new(0, &worker->instruments));
    (void)(sl_instruments_add(worker->instruments, &instrument, NULL) < 0);
    SL_TRY(sl_venue_decoder_new(&(sl_venue_decoder_options){.venue = venue, .instruments = worker->instruments},
                                &worker->decoder));
    SL_TRY(measure(session, venue, rounds, false, worker, &decode_ns));
    SL_TRY(measure(session, venue, rounds, true, worker, &both_ns));
    (void)printf("%zu messages, %.1f MB: %" PRIu64 " trades, %" PRIu64 " diffs with %" PRIu64 " levels, %" PRIu64
                 " best, %" PRIu64 " snapshots; best of %d rounds\n",
                 session->count, (double)session->used / 1e6, worker->counts[SL_EVENT_TRADE],
                 worker->counts[SL_EVENT_BOOK_DELTA], worker->levels, worker->counts[SL_EVENT_BEST],
                 worker->counts[SL_EVENT_BOOK_SNAPSHOT], rounds);
    print_rate("decode", session, decode_ns);
    print_rate("decode and book", session, both_ns);
    const sl_book *book = sl_keeper_book(worker->keeper);
    if (worker->levels > 0 && book != NULL) {
        (void)printf("%-18s %9.1f ns a level (book of %zu bids, %zu asks)\n", "book alone",
                     (double)(both_ns - decode_ns) / (double)worker->levels, sl_book_count(book, SL_SIDE_BUY),
                     sl_book_count(book, SL_SIDE_SELL));
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct session session = {0};
    struct worker worker = {0};
    int64_t rounds = ROUNDS_DEFAULT;
    sl_venue venue = argc > 2 ? sl_venue_find(argv[2]) : SL_VENUE_BINANCE_USDM;
    if (argc > 3 && (sl_json_text_int64((sl_json_text){argv[3], strlen(argv[3])}, &rounds) < 0 || rounds < 1 ||
                     rounds > ROUNDS_MAX)) {
        (void)fprintf(stderr, "rounds: 1 to %d\n", ROUNDS_MAX);
        return 2;
    }
    if (argc < 2) {
        (void)fprintf(stderr, "decode CAPTURE [VENUE [ROUNDS]]\n");
        return 2;
    }
    int code = load_capture(&session, argv[1]);
    if (code < 0) {
        (void)fprintf(stderr, "cannot read the messages: %s\n", sl_strerror(code));
        return 1;
    }
    code = benchmark(&session, venue, (int)rounds, &worker);
    if (code < 0) {
        (void)fprintf(stderr, "failed: %s %s\n", sl_strerror(code),
                      worker.decoder == NULL ? "" : sl_venue_problem(worker.decoder));
    }
    sl_venue_decoder_free(worker.decoder);
    sl_instruments_free(worker.instruments);
    sl_keeper_free(worker.keeper);
    sl_free(session.bytes);
    sl_free(session.messages);
    return code < 0;
}
