/* SPDX-License-Identifier: MIT */
/* Captured files, merged by time, through decoders, trackers and keepers. See replay.h. */
#include "ingest/replay.h"
#include "ingest/program/recording.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "venues/lines.h"

/* What one service got of a venue, or all of a capture that knows no services. */
struct stream {
    sl_replay *replay;
    const sl_venue_driver *driver;
    uint32_t service;
    sl_tracker *tracker;
    sl_keeper **keepers; /* by the instrument's index */
    size_t keeper_count;
    sl_venue_decoder *requests; /* the decoder of answers */
    bool listed;                /* the venue's list was seen */
    int bad_row;                /* of an answer: it could not be read; 0: there was none */
    sl_time expires;            /* when a hole may have waited long enough; SL_NEVER */
};

struct line_decoder {
    struct stream *stream;
    uint32_t connection;
    sl_venue_decoder *decoder;
};

struct source {
    sl_capture *capture;
    sl_capture_line line;
    int code; /* of reading `line`: 1, 0 at the end */
};

struct sl_replay {
    sl_replay_options options;
    sl_instruments *instruments;
    struct source sources[SL_REPLAY_FILES_MAX];
    struct stream *streams[SL_REPLAY_STREAMS_MAX];
    size_t stream_count;
    struct line_decoder *decoders;
    size_t decoder_count, decoder_capacity, last_decoder;
    sl_time now; /* never goes back */
    bool ended;
    sl_replay_stats stats;
};

/* ---- what comes out ---- */

static int give(void *arg, const sl_market_event *event)
{
    struct stream *stream = arg;
    sl_replay_stats *stats = &stream->replay->stats;
    stats->given[event->kind]++;
    if (event->kind == SL_EVENT_GAP) {
        const sl_gap *gap = &event->as.gap;
        stats->gaps += !gap->healed;
        stats->healed += gap->healed;
        if (!gap->healed && event->feed != SL_FEED_DEPTH && gap->from_id > 0 && gap->to_id > gap->from_id) {
            stats->missing_trades += (uint64_t)(gap->to_id - gap->from_id - 1);
        }
    }
    return stream->replay->options.event(stream->replay->options.arg, event);
}

static int keeper_of(struct stream *stream, const sl_instrument *instrument, sl_keeper **ret_keeper)
{
    if (instrument->index >= stream->keeper_count) {
        size_t count = stream->keeper_count == 0 ? 64 : stream->keeper_count;
        while (count <= instrument->index) {
            count *= 2;
        }
        sl_keeper **keepers = sl_realloc(stream->keepers, count * sizeof(sl_keeper *));
        if (keepers == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for %zu books", count);
        }
        memset(keepers + stream->keeper_count, 0, (count - stream->keeper_count) * sizeof(sl_keeper *));
        stream->keepers = keepers;
        stream->keeper_count = count;
    }
    *ret_keeper = stream->keepers[instrument->index];
    if (*ret_keeper != NULL) {
        return 0;
    }
    sl_keeper_options options = {.rule = stream->driver->book_rule,
                                 .instrument = instrument,
                                 .checksum = stream->driver->book_checksum,
                                 .patience = stream->replay->options.patience,
                                 .arg = stream,
                                 .event = give};
    SL_TRY(sl_keeper_new(&options, &stream->keepers[instrument->index]));
    *ret_keeper = stream->keepers[instrument->index];
    return 0;
}

/* A hole that this message opened may wait so long. */
static void watch_holes(struct stream *stream)
{
    sl_time until = sl_time_add(stream->replay->now, stream->replay->options.patience);
    bool sooner = stream->replay->options.patience > 0 && until < stream->expires;
    stream->expires = sooner ? until : stream->expires;
}

/* A message whose levels make no book costs its book, not the replay: it is stale then. */
static int to_book(struct stream *stream, const sl_market_event *event)
{
    sl_keeper *keeper = NULL;
    SL_TRY(keeper_of(stream, event->instrument, &keeper));
    bool requested = event->kind == SL_EVENT_BOOK_SNAPSHOT && event->feed != SL_FEED_DEPTH;
    int code = requested ? sl_keeper_snapshot(keeper, event, stream->replay->now)
                         : sl_keeper_event(keeper, event, stream->replay->now);
    watch_holes(stream);
    return code > 0 || code == SL_EINVAL || code == SL_EMSGSIZE ? 0 : code;
}

static int on_event(void *arg, const sl_market_event *event)
{
    struct stream *stream = arg;
    stream->replay->stats.found[event->kind]++;
    if (event->kind == SL_EVENT_BOOK_DELTA || event->kind == SL_EVENT_BOOK_SNAPSHOT) {
        return stream->driver->book_rule == SL_BOOK_RULE_NONE ? 0 : to_book(stream, event);
    }
    if (event->kind == SL_EVENT_STATUS) {
        sl_instruments_set_status(stream->replay->instruments, event->instrument, event->as.status);
    }
    if (event->kind == SL_EVENT_TRADE && event->as.trade.id == 0 && stream->driver->consecutive_trades) {
        return give(stream, event); /* an old form without ids (Kraken v1): there is nothing to be compared */
    }
    int code = sl_tracker_event(stream->tracker, event, stream->replay->now);
    watch_holes(stream);
    if (code == SL_EINVAL) { /* the venue's numbers make no sense: counted, and the others go on */
        stream->replay->stats.refused++;
        return 0;
    }
    return code > 0 ? 0 : code;
}

static int on_notice(void *arg, const sl_venue_notice *notice)
{
    struct stream *stream = arg;
    if (notice->kind != SL_NOTICE_LAST_TRADE || notice->instrument == NULL) {
        return 0;
    }
    return sl_tracker_last_trade(stream->tracker, notice->instrument, notice->id, stream->replay->now,
                                 stream->replay->now);
}

/* Tells the holes that have waited long enough at `now`. */
static int expire(struct stream *stream, sl_time now)
{
    sl_time next = SL_NEVER;
    sl_time when = SL_NEVER;
    SL_TRY(sl_tracker_expire(stream->tracker, now, &next));
    for (size_t at = 0; at < stream->keeper_count; at++) {
        if (stream->keepers[at] != NULL) {
            SL_TRY(sl_keeper_expire(stream->keepers[at], now, &when));
            next = when < next ? when : next;
        }
    }
    stream->expires = next;
    return 0;
}

/* ---- streams and decoders ---- */

static int stream_of(sl_replay *replay, sl_venue venue, uint32_t service, struct stream **ret_stream)
{
    for (size_t at = 0; at < replay->stream_count; at++) {
        if (replay->streams[at]->driver->venue == venue && replay->streams[at]->service == service) {
            *ret_stream = replay->streams[at];
            return 0;
        }
    }
    const sl_venue_driver *driver = sl_venue_driver_of(venue);
    if (driver == NULL) {
        return sl_fail(SL_EINVAL, "the capture does not say of which venue it is: name it");
    }
    if (replay->stream_count == SL_REPLAY_STREAMS_MAX) {
        return sl_fail(SL_EMSGSIZE, "more than %d services in one replay", SL_REPLAY_STREAMS_MAX);
    }
    struct stream *stream = sl_calloc(1, sizeof *stream);
    if (stream == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a stream");
    }
    replay->streams[replay->stream_count++] = stream;
    *stream = (struct stream){.replay = replay, .driver = driver, .service = service, .expires = SL_NEVER};
    sl_tracker_options tracker = {.consecutive_trades = driver->consecutive_trades,
                                  .trade_ranges = driver->trade_ranges,
                                  .patience = replay->options.patience,
                                  .arg = stream,
                                  .event = give};
    SL_TRY(sl_tracker_new(&tracker, &stream->tracker));
    sl_venue_decoder_options decoder = {.venue = venue, .instruments = replay->instruments};
    SL_TRY(sl_venue_decoder_new(&decoder, &stream->requests));
    *ret_stream = stream;
    return 0;
}

static int decoder_of(sl_replay *replay, struct stream *stream, uint32_t connection, sl_venue_decoder **ret_decoder)
{
    for (size_t i = 0; i < replay->decoder_count; i++) { /* the one of the last message is looked at first */
        size_t at = (replay->last_decoder + i) % replay->decoder_count;
        if (replay->decoders[at].stream == stream && replay->decoders[at].connection == connection) {
            replay->last_decoder = at;
            *ret_decoder = replay->decoders[at].decoder;
            return 0;
        }
    }
    if (replay->decoder_count == SL_REPLAY_CONNECTIONS_MAX) {
        return sl_fail(SL_EMSGSIZE, "more than %d connections in one replay", SL_REPLAY_CONNECTIONS_MAX);
    }
    if (replay->decoder_count == replay->decoder_capacity) {
        size_t capacity = replay->decoder_capacity == 0 ? 8 : replay->decoder_capacity * 2;
        struct line_decoder *decoders = sl_realloc(replay->decoders, capacity * sizeof *decoders);
        if (decoders == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for %zu decoders", capacity);
        }
        replay->decoders = decoders;
        replay->decoder_capacity = capacity;
    }
    sl_venue_decoder_options options = {
        .venue = stream->driver->venue, .instruments = replay->instruments, .connection = connection};
    SL_TRY(sl_venue_decoder_new(&options, ret_decoder));
    replay->last_decoder = replay->decoder_count;
    replay->decoders[replay->decoder_count++] = (struct line_decoder){stream, connection, *ret_decoder};
    return 0;
}

/* ---- lines ---- */

static void note_bad(sl_replay *replay, size_t source, int code, const char *problem)
{
    replay->stats.unknown += code == SL_ENOTSUP;
    replay->stats.bad += code != SL_ENOTSUP;
    if (replay->options.bad != NULL) {
        replay->options.bad(replay->options.arg, replay->options.paths[source], &replay->sources[source].line, code,
                            problem);
    }
}

/* What is wrong with a message is told; all else ends the replay. */
static int judge(sl_replay *replay, size_t source, int code, const char *problem)
{
    switch (code) {
    case SL_EPROTO:
    case SL_ENOTSUP:
    case SL_ERANGE:
    case SL_EMSGSIZE:
    case SL_EAGAIN:
        note_bad(replay, source, code, problem);
        return 0;
    default:
        return code;
    }
}

/* What is asked for again and again is given out as it is. */
static int on_polled(void *arg, const sl_market_event *event)
{
    struct stream *stream = arg;
    stream->replay->stats.found[event->kind]++;
    return give(stream, event);
}

static int play_poll(sl_replay *replay, struct stream *stream, size_t source, const sl_venue_request *request)
{
    const sl_capture_line *line = &replay->sources[source].line;
    const sl_venue_output output = {.arg = stream, .event = on_polled};
    sl_venue_message message = {line->text, line->size_bytes, SL_JSON_PADDED, line->receive_time_ns};
    sl_venue_answer answer = {0};
    replay->stats.requests++;
    int code = sl_venue_decode_rest(stream->requests, request, &message, &output, NULL, &answer);
    return judge(replay, source, code, sl_venue_problem(stream->requests));
}

/* Of the answer, what was wished for: the rest had come before, or was another job's. */
struct past {
    struct stream *stream;
    struct sl_history_wish wish;
};

static int on_past(void *arg, const sl_market_event *event)
{
    const struct past *past = arg;
    return sl_history_wishes(&past->wish, event) ? on_polled(past->stream, event) : 0;
}

static int play_history(sl_replay *replay, struct past *past, size_t source, const sl_venue_request *request)
{
    const sl_capture_line *line = &replay->sources[source].line;
    const sl_venue_output output = {.arg = past, .event = on_past};
    sl_venue_message message = {line->text, line->size_bytes, SL_JSON_PADDED, line->receive_time_ns};
    sl_venue_answer answer = {0};
    replay->stats.requests++;
    int code = sl_venue_decode_rest(past->stream->requests, request, &message, &output, NULL, &answer);
    return judge(replay, source, code, sl_venue_problem(past->stream->requests));
}

static void on_bad_row(void *arg, const char *text, size_t size_bytes, int code)
{
    struct stream *stream = arg;
    (void)text;
    (void)size_bytes;
    stream->bad_row = code;
}

static int play_answer(sl_replay *replay, struct stream *stream, size_t source)
{
    const sl_capture_line *line = &replay->sources[source].line;
    const sl_venue_output output = {.arg = stream, .event = on_event, .notice = on_notice, .bad_row = on_bad_row};
    sl_venue_message message = {line->text, line->size_bytes, SL_JSON_PADDED, line->receive_time_ns};
    sl_venue_request request = {.kind = SL_REQUEST_INSTRUMENTS};
    sl_venue_answer answer = {0};
    replay->stats.requests++;
    stream->bad_row = 0;
    if (sl_line_is_snapshot(line)) {
        request =
            (sl_venue_request){.kind = SL_REQUEST_SNAPSHOT,
                               .instrument = sl_line_snapshot_of(replay->instruments, stream->driver->venue, line)};
        if (request.instrument == NULL) {
            note_bad(replay, source, SL_EPROTO, "a snapshot of an instrument that nothing names");
            return 0;
        }
    }
    int code = sl_venue_decode_rest(stream->requests, &request, &message, &output,
                                    request.kind == SL_REQUEST_INSTRUMENTS ? replay->instruments : NULL, &answer);
    stream->listed = stream->listed || (code == 0 && request.kind == SL_REQUEST_INSTRUMENTS && answer.rows > 0);
    return judge(replay, source, code < 0 ? code : stream->bad_row, sl_venue_problem(stream->requests));
}

/* Whether a list of the venue was seen, by any of its services. */
static bool listed(const sl_replay *replay, sl_venue venue)
{
    for (size_t at = 0; at < replay->stream_count; at++) {
        if (replay->streams[at]->driver->venue == venue && replay->streams[at]->listed) {
            return true;
        }
    }
    return false;
}

static int play_message(sl_replay *replay, struct stream *stream, uint32_t connection, size_t source)
{
    const sl_capture_line *line = &replay->sources[source].line;
    const sl_venue_output output = {.arg = stream, .event = on_event, .notice = on_notice};
    sl_venue_message message = {line->text, line->size_bytes, SL_JSON_PADDED, line->receive_time_ns};
    sl_venue_decoder *decoder = NULL;
    SL_TRY(decoder_of(replay, stream, connection, &decoder));
    replay->stats.messages++;
    const sl_venue_stats before = decoder->stats;
    int code = sl_venue_decode(decoder, &message, &output);
    uint64_t left_out = decoder->stats.unknown_symbols - before.unknown_symbols;
    if (code == 0 && left_out > 0 && !listed(replay, stream->driver->venue)) {
        int added = sl_line_add_symbols(replay->instruments, stream->driver->venue, line);
        SL_TRY(added);
        replay->stats.added += (uint64_t)added;
        if (added > 0 && decoder->stats.events == before.events) { /* nothing of it was used yet */
            uint64_t unknown = decoder->stats.unknown_symbols;
            code = sl_venue_decode(decoder, &message, &output);
            left_out = decoder->stats.unknown_symbols - unknown;
        }
    }
    replay->stats.unknown_symbols += left_out;
    replay->stats.notices += decoder->stats.notices - before.notices;
    return judge(replay, source, code, sl_venue_problem(decoder));
}

static int lose_one(struct stream *stream, uint32_t connection, const char *feed, const char *symbol, bool last)
{
    const sl_instrument *instrument =
        sl_instruments_find(stream->replay->instruments, stream->driver->venue, symbol, strlen(symbol));
    for (int at = 1; at < SL_FEED_COUNT && instrument != NULL; at++) {
        if (strcmp(sl_feed_name((sl_feed)at), feed) != 0) {
            continue;
        }
        if (at == SL_FEED_DEPTH && stream->driver->book_rule != SL_BOOK_RULE_NONE) {
            sl_keeper *keeper = NULL;
            SL_TRY(keeper_of(stream, instrument, &keeper));
            return sl_keeper_lost(keeper, connection, last, stream->replay->now);
        }
        return last
                   ? sl_tracker_lost(stream->tracker, instrument, (sl_feed)at, stream->replay->now, stream->replay->now)
                   : 0;
    }
    return 0;
}

/* Our recordings say what a connection carried when it ended: lines of "FEED SYMBOL last|carried". */
static int play_end(struct stream *stream, uint32_t connection, const sl_capture_line *line)
{
    const char *at = line->text;
    const char *end = line->text + line->size_bytes;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop == NULL ? end : stop;
        char text[SL_SYMBOL_MAX + 64];
        if ((size_t)(stop - at) < sizeof text) {
            memcpy(text, at, (size_t)(stop - at));
            text[stop - at] = '\0';
            char *symbol = strchr(text, ' ');
            char *how = strrchr(text, ' ');
            if (symbol != NULL && how != symbol) {
                *symbol++ = '\0';
                *how++ = '\0';
                SL_TRY(lose_one(stream, connection, text, symbol, strcmp(how, "last") == 0));
            }
        }
        at = stop + 1;
    }
    return 0;
}

/* An answer: to a poll, to a request for history, a gap that was filled by that, or a list or snapshot. */
static int play_response(sl_replay *replay, struct stream *stream, size_t source)
{
    const sl_capture_line *line = &replay->sources[source].line;
    sl_venue venue = stream->driver->venue;
    sl_venue_request request;
    struct past past = {.stream = stream};
    sl_market_event gap;
    int code = sl_recording_poll_of(line, replay->instruments, venue, &request);
    if (code > 0) {
        return play_poll(replay, stream, source, &request);
    }
    code = code < 0 ? code : sl_recording_history_of(line, replay->instruments, venue, &request, &past.wish);
    if (code > 0) {
        return play_history(replay, &past, source, &request);
    }
    code = code < 0 ? code : sl_recording_healed_of(line, replay->instruments, venue, &gap);
    if (code > 0) {
        gap.receive_time_ns = line->receive_time_ns;
        return give(stream, &gap);
    }
    return code == 0 ? play_answer(replay, stream, source)
                     : judge(replay, source, code, "an answer about what no list names");
}

static int play_line(sl_replay *replay, size_t source)
{
    const sl_capture_line *line = &replay->sources[source].line;
    replay->stats.lines++;
    replay->stats.first_ns = replay->stats.first_ns == 0 ? line->receive_time_ns : replay->stats.first_ns;
    replay->stats.last_ns = line->receive_time_ns;
    replay->now = line->receive_time_ns > replay->now ? line->receive_time_ns : replay->now;
    struct stream *stream = NULL;
    sl_venue venue = line->venue != SL_VENUE_NONE ? line->venue : replay->options.venue;
    SL_TRY(stream_of(replay, venue, line->connection >> SL_REPLAY_SERVICE_SHIFT, &stream));
    uint32_t connection = line->connection & SL_REPLAY_CONNECTION_MASK;
    if (stream->expires <= replay->now) {
        SL_TRY(expire(stream, replay->now));
    }
    switch (line->kind) {
    case SL_CAPTURE_RECEIVED:
        return sl_line_is_snapshot(line) ? play_answer(replay, stream, source)
                                         : play_message(replay, stream, connection, source);
    case SL_CAPTURE_RESPONSE:
        return play_response(replay, stream, source);
    case SL_CAPTURE_CLOSED:
        return play_end(stream, connection, line);
    default:
        return 0;
    }
}

/* ---- files ---- */

static int read_line(sl_replay *replay, size_t at)
{
    struct source *source = &replay->sources[at];
    source->code = sl_capture_next(source->capture, &source->line);
    return source->code < 0
               ? sl_fail(source->code, "%s: %s", replay->options.paths[at], sl_capture_problem(source->capture))
               : 0;
}

/* The file whose line is next; path_count: none. */
static size_t next_source(const sl_replay *replay)
{
    size_t first = replay->options.path_count;
    for (size_t at = 0; at < replay->options.path_count; at++) {
        const struct source *source = &replay->sources[at];
        if (source->code <= 0) {
            continue;
        }
        if (replay->options.in_turn) {
            return at;
        }
        if (first == replay->options.path_count ||
            source->line.receive_time_ns < replay->sources[first].line.receive_time_ns) {
            first = at;
        }
    }
    return first;
}

int sl_replay_open(const sl_replay_options *options, sl_replay **ret_replay)
{
    if (options->path_count == 0 || options->path_count > SL_REPLAY_FILES_MAX || options->event == NULL) {
        return sl_fail(SL_EINVAL, "a replay of 1 to %d files", SL_REPLAY_FILES_MAX);
    }
    sl_auto(sl_replay) *replay = sl_calloc(1, sizeof *replay);
    if (replay == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a replay");
    }
    replay->options = *options;
    SL_TRY(sl_instruments_new(0, &replay->instruments));
    for (size_t at = 0; at < options->symbol_count; at++) {
        int code =
            sl_line_add_symbol(replay->instruments, options->venue, options->symbols[at], strlen(options->symbols[at]));
        SL_TRY(code);
    }
    for (size_t at = 0; at < options->path_count; at++) {
        SL_TRY(sl_capture_open(options->paths[at], 0, &replay->sources[at].capture));
        SL_TRY(read_line(replay, at));
    }
    *ret_replay = replay;
    replay = NULL;
    return 0;
}

void sl_replay_close(sl_replay *replay)
{
    if (replay == NULL) {
        return;
    }
    for (size_t at = 0; at < SL_REPLAY_FILES_MAX; at++) {
        sl_capture_close(replay->sources[at].capture);
    }
    for (size_t at = 0; at < replay->decoder_count; at++) {
        sl_venue_decoder_free(replay->decoders[at].decoder);
    }
    sl_free(replay->decoders);
    for (size_t at = 0; at < replay->stream_count; at++) {
        struct stream *stream = replay->streams[at];
        for (size_t i = 0; i < stream->keeper_count; i++) {
            sl_keeper_free(stream->keepers[i]);
        }
        sl_free(stream->keepers);
        sl_tracker_free(stream->tracker);
        sl_venue_decoder_free(stream->requests);
        sl_free(stream);
    }
    sl_instruments_free(replay->instruments);
    sl_free(replay);
}

bool sl_replay_peek(const sl_replay *replay, int64_t *ret_time_ns)
{
    size_t source = next_source(replay);
    if (source == replay->options.path_count) {
        return false;
    }
    *ret_time_ns = replay->sources[source].line.receive_time_ns;
    return true;
}

int sl_replay_next(sl_replay *replay)
{
    size_t source = next_source(replay);
    if (source < replay->options.path_count) {
        SL_TRY(play_line(replay, source));
        SL_TRY(read_line(replay, source));
        return 1;
    }
    for (size_t at = 0; at < replay->stream_count && !replay->ended; at++) {
        SL_TRY(expire(replay->streams[at], SL_NEVER - 1));
    }
    replay->ended = true;
    return 0;
}

double sl_replay_progress(const sl_replay *replay)
{
    double sum = 0;
    for (size_t at = 0; at < replay->options.path_count; at++) {
        sum += replay->sources[at].code <= 0 ? 1 : sl_capture_progress(replay->sources[at].capture);
    }
    return sum / (double)replay->options.path_count;
}

static void count_books(const struct stream *stream, sl_replay_stats *stats)
{
    for (size_t at = 0; at < stream->keeper_count; at++) {
        const sl_keeper *keeper = stream->keepers[at];
        if (keeper == NULL) {
            continue;
        }
        const sl_keeper_stats *one = sl_keeper_get_stats(keeper);
        bool live = sl_keeper_get_state(keeper) == SL_KEEPER_LIVE;
        stats->book.books++;
        stats->book.live += live;
        stats->book.crossed += live && sl_book_crossed(sl_keeper_book(keeper));
        stats->book.broken += live && sl_book_verify(sl_keeper_book(keeper)) < 0;
        stats->book.joins += one->snapshots;
        stats->book.applied += one->applied;
        stats->book.repeated += one->repeated;
        stats->book.stale_snapshots += one->stale_snapshots;
        stats->book.dropped += one->dropped;
        stats->book.crossings += one->crossed;
        stats->book.checksums += one->checksums;
        stats->book.checksum_failures += one->checksum_failures;
    }
}

const sl_replay_stats *sl_replay_get_stats(sl_replay *replay)
{
    sl_replay_stats *stats = &replay->stats;
    memset(&stats->book, 0, sizeof stats->book);
    stats->repeated = 0;
    stats->damaged_bytes = 0;
    stats->instruments = sl_instruments_count(replay->instruments);
    for (size_t at = 0; at < replay->stream_count; at++) {
        stats->repeated += sl_tracker_get_stats(replay->streams[at]->tracker)->repeated;
        count_books(replay->streams[at], stats);
    }
    for (size_t at = 0; at < replay->options.path_count; at++) {
        stats->damaged_bytes += sl_capture_damaged(replay->sources[at].capture);
    }
    return stats;
}
