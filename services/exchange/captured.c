/* SPDX-License-Identifier: MIT */
/* A captured session as a market. See captured.h. */
#include "exchange/captured.h"

#include <string.h>

#include "market/keeper.h"
#include "venues/lines.h"
#include "venues/venue.h"

/* A connection of the files, with the decoder of its messages. */
struct line_decoder {
    sl_venue venue;
    uint32_t connection;
    sl_venue_decoder *decoder;
};

#define CONNECTIONS_MAX 65536

/* What is known of an instrument. */
struct listed {
    sl_keeper *keeper;
    int64_t trade_id;
    uint32_t source[SL_FEED_COUNT]; /* the connection whose copy of the feed counts, from 1; 0: the next one's */
};

struct source {
    sl_capture *capture;
    sl_capture_line line;
    int code;
};

struct sl_captured {
    struct sl_captured_options options;
    struct source sources[SL_CAPTURED_FILES_MAX];
    struct line_decoder *decoders;
    size_t decoder_count, decoder_capacity;
    sl_venue_decoder *answers[SL_VENUE_COUNT];
    struct listed *listed; /* by the instrument's index */
    size_t listed_count;
    struct sl_captured_message message;
    uint32_t connection; /* of the line */
    bool doubled;        /* another connection's copy counts */
    int64_t now;
    int (*record)(void *arg, const sl_market_event *event);
    void *record_arg;
    struct sl_captured_stats stats;
};

/* ---- what is known of an instrument ---- */

static int keep_book(void *arg, const sl_market_event *event)
{
    const sl_captured *captured = arg;
    return captured->record == NULL || event->kind == SL_EVENT_GAP ? 0 : captured->record(captured->record_arg, event);
}

static int listed_of(sl_captured *captured, const sl_instrument *instrument, struct listed **ret_listed)
{
    if (instrument->index >= captured->listed_count) {
        size_t count = captured->listed_count == 0 ? 64 : captured->listed_count;
        while (count <= instrument->index) {
            count *= 2;
        }
        struct listed *listed = sl_realloc(captured->listed, count * sizeof *listed);
        if (listed == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for %zu instruments", count);
        }
        memset(listed + captured->listed_count, 0, (count - captured->listed_count) * sizeof *listed);
        captured->listed = listed;
        captured->listed_count = count;
    }
    *ret_listed = &captured->listed[instrument->index];
    return 0;
}

static int to_book(sl_captured *captured, struct listed *listed, const sl_market_event *event)
{
    const sl_venue_driver *driver = sl_venue_driver_of(event->instrument->venue);
    if (driver->book_rule == SL_BOOK_RULE_NONE) {
        return 0;
    }
    if (listed->keeper == NULL) {
        sl_keeper_options options = {.rule = driver->book_rule,
                                     .instrument = event->instrument,
                                     .checksum = driver->book_checksum,
                                     .arg = captured,
                                     .event = keep_book};
        SL_TRY(sl_keeper_new(&options, &listed->keeper));
    }
    bool asked = event->kind == SL_EVENT_BOOK_SNAPSHOT && event->feed != SL_FEED_DEPTH;
    int code = asked ? sl_keeper_snapshot(listed->keeper, event, captured->now)
                     : sl_keeper_event(listed->keeper, event, captured->now);
    return code > 0 || code == SL_EINVAL || code == SL_EMSGSIZE ? 0 : code;
}

static void note_about(sl_captured *captured, const sl_market_event *event)
{
    struct sl_captured_message *message = &captured->message;
    const struct sl_captured_about *last = &message->about[message->about_count - (message->about_count > 0)];
    bool same = message->about_count > 0 && last->instrument == event->instrument && last->feed == event->feed;
    if (!same && message->about_count < SL_CAPTURED_ABOUT_MAX) {
        message->about[message->about_count++] =
            (struct sl_captured_about){event->instrument, event->feed, event->kind};
    }
}

static int on_event(void *arg, const sl_market_event *event)
{
    sl_captured *captured = arg;
    struct listed *listed = NULL;
    SL_TRY(listed_of(captured, event->instrument, &listed));
    uint32_t *source = &listed->source[event->feed];
    *source = *source == 0 ? captured->connection + 1 : *source;
    if (*source != captured->connection + 1) {
        captured->doubled = true;
        return 0;
    }
    note_about(captured, event);
    if (event->kind == SL_EVENT_BOOK_DELTA || event->kind == SL_EVENT_BOOK_SNAPSHOT) {
        return to_book(captured, listed, event);
    }
    if (event->kind == SL_EVENT_TRADE) {
        listed->trade_id = event->as.trade.id > listed->trade_id ? event->as.trade.id : listed->trade_id;
        return captured->record == NULL ? 0 : captured->record(captured->record_arg, event);
    }
    return 0;
}

/* An answer's book: it is about no stream. */
static int on_snapshot(void *arg, const sl_market_event *event)
{
    sl_captured *captured = arg;
    struct listed *listed = NULL;
    SL_TRY(listed_of(captured, event->instrument, &listed));
    return to_book(captured, listed, event);
}

/* ---- lines ---- */

static sl_venue venue_of(const sl_captured *captured, const sl_capture_line *line)
{
    return line->venue != SL_VENUE_NONE ? line->venue : captured->options.venue;
}

static int decoder_of(sl_captured *captured, sl_venue venue, uint32_t connection, sl_venue_decoder **ret_decoder)
{
    for (size_t at = captured->decoder_count; at-- > 0;) {
        if (captured->decoders[at].venue == venue && captured->decoders[at].connection == connection) {
            *ret_decoder = captured->decoders[at].decoder;
            return 0;
        }
    }
    if (captured->decoder_count == CONNECTIONS_MAX) {
        return sl_fail(SL_EMSGSIZE, "more than %d connections in one session", CONNECTIONS_MAX);
    }
    if (captured->decoder_count == captured->decoder_capacity) {
        size_t capacity = captured->decoder_capacity == 0 ? 8 : captured->decoder_capacity * 2;
        struct line_decoder *decoders = sl_realloc(captured->decoders, capacity * sizeof *decoders);
        if (decoders == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for %zu decoders", capacity);
        }
        captured->decoders = decoders;
        captured->decoder_capacity = capacity;
    }
    sl_venue_decoder_options options = {
        .venue = venue, .instruments = captured->options.instruments, .connection = connection};
    SL_TRY(sl_venue_decoder_new(&options, ret_decoder));
    captured->decoders[captured->decoder_count++] = (struct line_decoder){venue, connection, *ret_decoder};
    return 0;
}

static bool is_only_bad(int code)
{
    return code == SL_EPROTO || code == SL_ENOTSUP || code == SL_ERANGE || code == SL_EMSGSIZE || code == SL_EAGAIN;
}

/* The answer to a request: a book, or a list of instruments. */
static int take_answer(sl_captured *captured, const sl_capture_line *line, bool lists_only)
{
    sl_venue venue = venue_of(captured, line);
    sl_instruments *instruments = captured->options.instruments;
    sl_venue_request request = {.kind = SL_REQUEST_INSTRUMENTS};
    if (sl_line_is_snapshot(line)) {
        request = (sl_venue_request){.kind = SL_REQUEST_SNAPSHOT,
                                     .instrument = sl_line_snapshot_of(instruments, venue, line)};
        if (request.instrument == NULL || lists_only) {
            return 0;
        }
    }
    sl_venue_decoder **decoder = &captured->answers[venue];
    if (*decoder == NULL) {
        sl_venue_decoder_options options = {.venue = venue, .instruments = instruments};
        SL_TRY(sl_venue_decoder_new(&options, decoder));
    }
    sl_venue_message message = {line->text, line->size_bytes, SL_JSON_PADDED, line->receive_time_ns};
    sl_venue_output output = {.arg = captured, .event = on_snapshot};
    sl_venue_answer answer = {0};
    int code = sl_venue_decode_rest(*decoder, &request, &message, &output,
                                    request.kind == SL_REQUEST_INSTRUMENTS ? instruments : NULL, &answer);
    captured->stats.answers += !lists_only;
    return is_only_bad(code) ? 0 : code;
}

static int no_notice(void *arg, const sl_venue_notice *notice)
{
    (void)arg;
    (void)notice;
    return 0;
}

/* A message of a stream: 1 when it is one for clients. */
static int take_message(sl_captured *captured, const sl_capture_line *line)
{
    sl_venue venue = venue_of(captured, line);
    sl_venue_decoder *decoder = NULL;
    SL_TRY(decoder_of(captured, venue, line->connection, &decoder));
    struct sl_captured_message *message = &captured->message;
    message->time_ns = line->receive_time_ns;
    message->venue = venue;
    message->text = line->text;
    message->size_bytes = line->size_bytes;
    message->about_count = 0;
    captured->connection = line->connection;
    captured->doubled = false;
    sl_venue_message raw = {line->text, line->size_bytes, SL_JSON_PADDED, line->receive_time_ns};
    sl_venue_output output = {.arg = captured, .event = on_event, .notice = no_notice};
    uint64_t unknown = decoder->stats.unknown_symbols, notices = decoder->stats.notices;
    int code = sl_venue_decode(decoder, &raw, &output);
    if (code == 0 && decoder->stats.unknown_symbols > unknown && message->about_count == 0) {
        int added = sl_line_add_symbols(captured->options.instruments, venue, line);
        SL_TRY(added);
        code = added > 0 ? sl_venue_decode(decoder, &raw, &output) : 0;
    }
    SL_TRY(is_only_bad(code) ? 0 : code);
    captured->stats.notices += decoder->stats.notices - notices;
    captured->stats.messages += message->about_count > 0;
    captured->stats.unused += code < 0 || captured->doubled;
    return message->about_count > 0;
}

/* A connection has ended: another one's copies count from now on. */
static void end_connection(sl_captured *captured, uint32_t connection)
{
    for (size_t at = 0; at < captured->listed_count; at++) {
        for (int feed = 0; feed < SL_FEED_COUNT; feed++) {
            uint32_t *source = &captured->listed[at].source[feed];
            *source = *source == connection + 1 ? 0 : *source;
        }
    }
}

static int take_line(sl_captured *captured, const sl_capture_line *line)
{
    if (venue_of(captured, line) == SL_VENUE_NONE || sl_venue_driver_of(venue_of(captured, line)) == NULL) {
        return sl_fail(SL_EINVAL, "the capture does not say of which venue it is: name it");
    }
    captured->now = line->receive_time_ns > captured->now ? line->receive_time_ns : captured->now;
    switch (line->kind) {
    case SL_CAPTURE_RECEIVED:
        return sl_line_is_snapshot(line) ? take_answer(captured, line, false) : take_message(captured, line);
    case SL_CAPTURE_RESPONSE:
        return take_answer(captured, line, false);
    case SL_CAPTURE_CLOSED:
        end_connection(captured, line->connection);
        return 0;
    default:
        return 0;
    }
}

/* ---- files ---- */

static int read_line(sl_captured *captured, size_t at)
{
    struct source *source = &captured->sources[at];
    source->code = sl_capture_next(source->capture, &source->line);
    return source->code < 0
               ? sl_fail(source->code, "%s: %s", captured->options.paths[at], sl_capture_problem(source->capture))
               : 0;
}

/* The file whose line is the earliest; path_count: none. */
static size_t next_source(const sl_captured *captured)
{
    size_t first = captured->options.path_count;
    for (size_t at = 0; at < captured->options.path_count; at++) {
        bool none = first == captured->options.path_count;
        if (captured->sources[at].code > 0 &&
            (none || captured->sources[at].line.receive_time_ns < captured->sources[first].line.receive_time_ns)) {
            first = at;
        }
    }
    return first;
}

int sl_captured_next(sl_captured *captured, int (*record)(void *arg, const sl_market_event *event), void *arg,
                     const struct sl_captured_message **ret_message)
{
    captured->record = record;
    captured->record_arg = arg;
    for (;;) {
        /* The line that was given out last is borrowed until now. */
        for (size_t at = 0; at < captured->options.path_count; at++) {
            if (captured->sources[at].code == 2) {
                SL_TRY(read_line(captured, at));
            }
        }
        size_t at = next_source(captured);
        if (at == captured->options.path_count) {
            return 0;
        }
        int code = take_line(captured, &captured->sources[at].line);
        SL_TRY(code);
        captured->sources[at].code = 2; /* used */
        if (code > 0) {
            *ret_message = &captured->message;
            return 1;
        }
    }
}

/* Lists what the files list, and what their first messages name. */
static int scan(sl_captured *captured, const char *path)
{
    sl_auto(sl_capture) *capture = NULL;
    sl_capture_line line;
    int code = 0;
    SL_TRY(sl_capture_open(path, 0, &capture));
    for (int lines = 0; lines < SL_CAPTURED_SCAN_LINES && (code = sl_capture_next(capture, &line)) > 0; lines++) {
        sl_venue venue = venue_of(captured, &line);
        if (venue == SL_VENUE_NONE) {
            return sl_fail(SL_EINVAL, "%s does not say of which venue it is: name it", path);
        }
        if (line.kind == SL_CAPTURE_RESPONSE) {
            SL_TRY(take_answer(captured, &line, true));
        } else if (line.kind == SL_CAPTURE_RECEIVED) {
            int added = sl_line_add_symbols(captured->options.instruments, venue, &line);
            SL_TRY(added);
        }
    }
    return code < 0 ? sl_fail(code, "%s: %s", path, sl_capture_problem(capture)) : 0;
}

int sl_captured_open(const struct sl_captured_options *options, sl_captured **ret_captured)
{
    if (options->path_count == 0 || options->path_count > SL_CAPTURED_FILES_MAX) {
        return sl_fail(SL_EINVAL, "a session of 1 to %d files", SL_CAPTURED_FILES_MAX);
    }
    sl_auto(sl_captured) *captured = sl_calloc(1, sizeof *captured);
    if (captured == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a captured session");
    }
    captured->options = *options;
    for (size_t at = 0; at < options->path_count; at++) {
        SL_TRY(scan(captured, options->paths[at]));
    }
    if (sl_instruments_count(options->instruments) == 0) {
        return sl_fail(SL_EPROTO, "%s names no instrument of %s", options->paths[0], sl_venue_name(options->venue));
    }
    for (size_t at = 0; at < options->path_count; at++) {
        SL_TRY(sl_capture_open(options->paths[at], 0, &captured->sources[at].capture));
        SL_TRY(read_line(captured, at));
    }
    *ret_captured = captured;
    captured = NULL;
    return 0;
}

void sl_captured_close(sl_captured *captured)
{
    if (captured == NULL) {
        return;
    }
    for (size_t at = 0; at < SL_CAPTURED_FILES_MAX; at++) {
        sl_capture_close(captured->sources[at].capture);
    }
    for (size_t at = 0; at < captured->decoder_count; at++) {
        sl_venue_decoder_free(captured->decoders[at].decoder);
    }
    for (size_t at = 0; at < SL_VENUE_COUNT; at++) {
        sl_venue_decoder_free(captured->answers[at]);
    }
    for (size_t at = 0; at < captured->listed_count; at++) {
        sl_keeper_free(captured->listed[at].keeper);
    }
    sl_free(captured->listed);
    sl_free(captured->decoders);
    sl_free(captured);
}

struct sl_captured_state sl_captured_look(const sl_captured *captured, const sl_instrument *instrument)
{
    if (instrument->index >= captured->listed_count) {
        return (struct sl_captured_state){.book = NULL};
    }
    const struct listed *listed = &captured->listed[instrument->index];
    bool live = listed->keeper != NULL && sl_keeper_get_state(listed->keeper) == SL_KEEPER_LIVE;
    return (struct sl_captured_state){.book = live ? sl_keeper_book(listed->keeper) : NULL,
                                      .book_id = live ? sl_keeper_last_id(listed->keeper) : 0,
                                      .trade_id = listed->trade_id};
}

const struct sl_captured_stats *sl_captured_get_stats(const sl_captured *captured)
{
    return &captured->stats;
}
