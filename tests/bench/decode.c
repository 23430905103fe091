/* SPDX-License-Identifier: MIT */
/*
 * How fast captured messages are decoded and put into the book: `decode [CAPTURE [VENUE [ROUNDS]]]`. Without
 * a capture a generated session is used. The messages are read into memory first; each round decodes all of
 * them, joins and keeps the book from scratch. Prints the best round of each stage; it asserts no time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "exchange/generate.h"
#include "market/book.h"
#include "market/capture.h"
#include "market/sequence.h"
#include "venues/binance/binance.h"

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
    sl_binance *decoder;
    sl_sequence *sequence;
    sl_book *book;
    uint64_t counts[SL_EVENT_KIND_COUNT];
    uint64_t levels;
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

static int load_generated(struct session *session)
{
    sl_auto(sl_generate) *generate = NULL;
    sl_generated line;
    SL_TRY(sl_generate_new(&(sl_generate_options){.seed = 1}, &generate));
    int code = 0;
    while ((code = sl_generate_next(generate, &line)) > 0) {
        SL_TRY(add(session, line.text.data, line.text.size_bytes, line.receive_time_ns));
    }
    return code;
}

static int apply_snapshot(struct worker *worker, const sl_market_event *event)
{
    sl_diff diff;
    sl_market_event kept = {0};
    if (sl_sequence_snapshot(worker->sequence, event->as.snapshot.last_id) != SL_SEQUENCE_APPLY) {
        return SL_EPROTO;
    }
    SL_TRY(sl_book_set(worker->book, &event->as.snapshot.levels));
    while (sl_sequence_next(worker->sequence, &diff) == SL_SEQUENCE_APPLY) {
        sl_binance_message message = {.text = diff.raw, .size_bytes = diff.size_bytes, .json_flags = SL_JSON_PADDED};
        SL_TRY(sl_binance_decode(worker->decoder, &message, &kept));
        SL_TRY(sl_book_apply(worker->book, &kept.as.delta.levels));
    }
    return 0;
}

static int apply(struct worker *worker, const sl_market_event *event, const char *text, size_t size_bytes)
{
    if (event->kind == SL_EVENT_BOOK_SNAPSHOT) {
        return apply_snapshot(worker, event);
    }
    if (event->kind != SL_EVENT_BOOK_DELTA) {
        return 0;
    }
    const sl_book_delta *delta = &event->as.delta;
    sl_diff diff = {.first_id = delta->first_id,
                    .last_id = delta->last_id,
                    .previous_id = delta->previous_id,
                    .raw = text,
                    .size_bytes = size_bytes};
    worker->levels += delta->levels.bid_count + delta->levels.ask_count;
    int action = sl_sequence_diff(worker->sequence, &diff);
    if (action == SL_SEQUENCE_APPLY) {
        return sl_book_apply(worker->book, &delta->levels);
    }
    return action == SL_SEQUENCE_GAP || action == SL_SEQUENCE_STALE ? SL_EPROTO : action < 0 ? action : 0;
}

/* One round over all messages; with the book or only the decoder. */
static int run(struct session *session, struct worker *worker, bool with_book)
{
    sl_market_event event = {0};
    memset(worker->counts, 0, sizeof(worker->counts));
    worker->levels = 0;
    for (size_t at = 0; at < session->count; at++) {
        const char *text = session->bytes + session->messages[at].offset;
        sl_binance_message message = {.text = text,
                                      .size_bytes = session->messages[at].size_bytes,
                                      .json_flags = SL_JSON_PADDED,
                                      .receive_time_ns = session->messages[at].receive_time_ns,
                                      .instrument = "SNAPSHOT"};
        SL_TRY(sl_binance_decode(worker->decoder, &message, &event));
        worker->counts[event.kind]++;
        if (with_book) {
            SL_TRY(apply(worker, &event, text, message.size_bytes));
        }
    }
    return 0;
}

/* The least ns of `rounds` rounds. */
static int measure(struct session *session, sl_venue venue, int rounds, bool with_book, struct worker *worker,
                   int64_t *ret_ns)
{
    sl_sequence_options options = {.rule = venue == SL_VENUE_BINANCE_SPOT ? SL_SEQUENCE_BINANCE_SPOT
                                                                          : SL_SEQUENCE_BINANCE_FUTURES};
    int64_t best_ns = INT64_MAX;
    for (int round = 0; round < rounds; round++) {
        sl_sequence_free(worker->sequence);
        worker->sequence = NULL;
        SL_TRY(sl_sequence_new(&options, &worker->sequence));
        sl_book_clear(worker->book);
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
    SL_TRY(sl_binance_new(&(sl_binance_options){.venue = venue}, &worker->decoder));
    SL_TRY(sl_book_new(0, &worker->book));
    SL_TRY(measure(session, venue, rounds, false, worker, &decode_ns));
    SL_TRY(measure(session, venue, rounds, true, worker, &both_ns));
    (void)printf("%zu messages, %.1f MB: %" PRIu64 " trades, %" PRIu64 " diffs with %" PRIu64 " levels, %" PRIu64
                 " best, %" PRIu64 " snapshots; best of %d rounds\n",
                 session->count, (double)session->used / 1e6, worker->counts[SL_EVENT_TRADE],
                 worker->counts[SL_EVENT_BOOK_DELTA], worker->levels, worker->counts[SL_EVENT_BEST],
                 worker->counts[SL_EVENT_BOOK_SNAPSHOT], rounds);
    print_rate("decode", session, decode_ns);
    print_rate("decode and book", session, both_ns);
    if (worker->levels > 0) {
        (void)printf("%-18s %9.1f ns a level (book of %zu bids, %zu asks)\n", "book alone",
                     (double)(both_ns - decode_ns) / (double)worker->levels, sl_book_count(worker->book, SL_SIDE_BUY),
                     sl_book_count(worker->book, SL_SIDE_SELL));
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
    int code = argc > 1 ? load_capture(&session, argv[1]) : load_generated(&session);
    if (code < 0) {
        (void)fprintf(stderr, "cannot read the messages: %s\n", sl_strerror(code));
        return 1;
    }
    code = benchmark(&session, venue, (int)rounds, &worker);
    if (code < 0) {
        (void)fprintf(stderr, "failed: %s %s\n", sl_strerror(code),
                      worker.decoder == NULL ? "" : sl_binance_problem(worker.decoder));
    }
    sl_binance_free(worker.decoder);
    sl_sequence_free(worker.sequence);
    sl_book_free(worker.book);
    sl_free(session.bytes);
    sl_free(session.messages);
    return code < 0;
}
