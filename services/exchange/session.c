/* SPDX-License-Identifier: MIT */
/* The session of the simulated exchange. See session.h. */
#include "session.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "market/capture.h"
#include "market/sequence.h"
#include "render.h"
#include "venues/venue.h"

struct sl_session {
    sl_venue venue;
    sl_capture *capture; /* one of the two */
    sl_generate *generate;
    sl_instruments *instruments; /* the one that is played */
    const sl_instrument *instrument;
    const sl_instrument *unnamed; /* stands for it while a snapshot is all that came: that names none */
    sl_json *json;                /* of the envelope */
    sl_venue_decoder *decoder;
    sl_market_event event; /* what the message gave; its levels belong to the decoder */
    sl_sequence *sequence;
    sl_book *book;
    struct sl_render snapshot;
    int64_t sent_time_ns; /* of the last change in the book */
    int64_t venue_time_ns;
    sl_session_stats stats;
    int failed;
    char problem[SL_VENUE_PROBLEM_MAX + 64];
};

static int fail(sl_session *session, int code, const char *format, ...) SL_PRINTF(3, 4);
static int fail(sl_session *session, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(session->problem, sizeof(session->problem), format, arguments);
    va_end(arguments);
    session->failed = code;
    return sl_fail(code, "session: %s", session->problem);
}

/* The next line, wherever it comes from: 1, 0 or an error. */
static int next_line(sl_session *session, sl_generated *ret_line)
{
    if (session->generate != NULL) {
        int code = sl_generate_next(session->generate, ret_line);
        return code < 0 ? fail(session, code, "cannot generate a message") : code;
    }
    sl_capture_line line;
    int code = sl_capture_next(session->capture, &line);
    if (code < 0) {
        return fail(session, code, "%s", sl_capture_problem(session->capture));
    }
    if (code > 0) {
        *ret_line = (sl_generated){line.receive_time_ns, {line.text, line.size_bytes}};
    }
    return code;
}

/* What stands around and in an event: {"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT",..}}. */
struct envelope {
    sl_json_text stream, symbol;
    size_t data_offset, data_bytes; /* the event's object: all, where there is no "data" */
    bool snapshot;                  /* a REST answer */
};

static int read_envelope(sl_json *json, struct envelope *envelope)
{
    sl_json_text key;
    int code = sl_json_enter_object(json);
    while (code >= 0 && (code = sl_json_next_field(json, &key)) > 0) {
        sl_json_type type = sl_json_peek(json);
        if (type == SL_JSON_STRING && (sl_json_is(key, "s") || sl_json_is(key, "symbol"))) {
            code = sl_json_get_string(json, &envelope->symbol);
        } else if (type == SL_JSON_STRING && sl_json_is(key, "stream")) {
            code = sl_json_get_string(json, &envelope->stream);
        } else if (type == SL_JSON_OBJECT && sl_json_is(key, "data") && sl_json_depth(json) == 1) {
            size_t offset = sl_json_here(json);
            SL_TRY(read_envelope(json, envelope));
            envelope->data_offset = offset;
            envelope->data_bytes = sl_json_behind(json) - offset;
        }
        envelope->snapshot = envelope->snapshot || sl_json_is(key, "lastUpdateId");
    }
    return code;
}

static int open_envelope(sl_session *session, sl_json_text text, struct envelope *ret_envelope)
{
    *ret_envelope = (struct envelope){.stream = {"", 0}, .symbol = {"", 0}, .data_bytes = text.size_bytes};
    int code = sl_json_open(session->json, text.data, text.size_bytes, SL_JSON_PADDED);
    code = code < 0 ? code : read_envelope(session->json, ret_envelope);
    return code < 0
               ? fail(session, code, "%s at byte %zu", sl_json_problem(session->json), sl_json_offset(session->json))
               : 0;
}

/* The first symbol is the one that is played. */
static int meet_symbol(sl_session *session, sl_json_text symbol)
{
    if (session->instrument == NULL) {
        sl_instrument definition = {.venue = session->venue};
        if (symbol.size_bytes >= sizeof(definition.symbol)) {
            return fail(session, SL_EMSGSIZE, "a symbol of %zu bytes", symbol.size_bytes);
        }
        memcpy(definition.symbol, symbol.data, symbol.size_bytes);
        int code = sl_instruments_add(session->instruments, &definition, &session->instrument);
        return code < 0 ? fail(session, code, "cannot take the symbol %s", definition.symbol) : 0;
    }
    if (!sl_json_is(symbol, session->instrument->symbol)) {
        return fail(session, SL_EPROTO, "a second instrument, %.*s beside %s", (int)symbol.size_bytes, symbol.data,
                    session->instrument->symbol);
    }
    return 0;
}

static int keep_event(void *arg, const sl_market_event *event)
{
    ((sl_session *)arg)->event = *event;
    return 0;
}

/* Decodes a message of the stream, or a REST answer, into session->event. */
static int decode(sl_session *session, sl_json_text text, int64_t receive_time_ns, bool snapshot)
{
    const sl_venue_output output = {.arg = session, .event = keep_event};
    const sl_venue_request request = {.kind = SL_REQUEST_SNAPSHOT,
                                      .instrument =
                                          session->instrument != NULL ? session->instrument : session->unnamed};
    sl_venue_message message = {.text = text.data,
                                .size_bytes = text.size_bytes,
                                .json_flags = SL_JSON_PADDED,
                                .receive_time_ns = receive_time_ns};
    sl_venue_answer answer;
    session->event = (sl_market_event){.kind = SL_EVENT_NONE};
    int code = snapshot ? sl_venue_decode_rest(session->decoder, &request, &message, &output, NULL, &answer)
                        : sl_venue_decode(session->decoder, &message, &output);
    return code < 0 ? fail(session, code, "%s", sl_venue_problem(session->decoder)) : 0;
}

/* Puts a diff into the book. */
static int apply(sl_session *session, const sl_market_event *event)
{
    int code = sl_book_apply(session->book, &event->as.delta.levels);
    if (code < 0) {
        return fail(session, code, "cannot apply the diff that ends at %lld", (long long)event->as.delta.last_id);
    }
    session->sent_time_ns = event->sent_time_ns;
    session->venue_time_ns = event->venue_time_ns;
    return 0;
}

static int take_delta(sl_session *session, const sl_market_event *event, sl_json_text text)
{
    const sl_book_delta *delta = &event->as.delta;
    sl_diff diff = {.first_id = delta->first_id,
                    .last_id = delta->last_id,
                    .previous_id = delta->previous_id,
                    .receive_time_ns = event->receive_time_ns,
                    .raw = text.data,
                    .size_bytes = text.size_bytes};
    session->stats.deltas++;
    int action = sl_sequence_diff(session->sequence, &diff);
    switch (action) {
    case SL_SEQUENCE_APPLY:
        return apply(session, event);
    case SL_SEQUENCE_KEPT:
    case SL_SEQUENCE_IGNORE:
        return 0;
    case SL_SEQUENCE_GAP:
    case SL_SEQUENCE_STALE:
        return fail(session, SL_EPROTO, "the diff %lld..%lld does not follow %lld", (long long)delta->first_id,
                    (long long)delta->last_id, (long long)sl_sequence_last_id(session->sequence));
    default:
        return fail(session, action, "cannot keep the diff that ends at %lld", (long long)delta->last_id);
    }
}

/* The capture's snapshot: the book begins with it, then come the diffs kept so far. */
static int take_snapshot(sl_session *session, const sl_market_event *event)
{
    int64_t last_id = event->as.snapshot.last_id;
    session->stats.snapshots++;
    int action = sl_sequence_snapshot(session->sequence, last_id);
    if (action == SL_SEQUENCE_IGNORE) {
        return 0;
    }
    if (action != SL_SEQUENCE_APPLY) {
        return fail(session, SL_EPROTO, "the snapshot at %lld is older than the diffs", (long long)last_id);
    }
    int code = sl_book_set(session->book, &event->as.snapshot.levels);
    if (code < 0) {
        return fail(session, code, "cannot take the snapshot at %lld", (long long)last_id);
    }
    session->sent_time_ns = event->sent_time_ns;
    session->venue_time_ns = event->venue_time_ns;
    sl_diff diff;
    while ((action = sl_sequence_next(session->sequence, &diff)) == SL_SEQUENCE_APPLY) {
        SL_TRY(decode(session, (sl_json_text){diff.raw, diff.size_bytes}, diff.receive_time_ns, false));
        SL_TRY(apply(session, &session->event));
    }
    if (action != SL_SEQUENCE_NOTHING) {
        return fail(session, SL_EPROTO, "the diffs before the snapshot at %lld have a hole", (long long)last_id);
    }
    return 0;
}

static int take(sl_session *session, const sl_market_event *event, sl_json_text text)
{
    switch (event->kind) {
    case SL_EVENT_BOOK_DELTA:
        return take_delta(session, event, text);
    case SL_EVENT_BOOK_SNAPSHOT:
        return take_snapshot(session, event);
    case SL_EVENT_TRADE:
        session->stats.trades++;
        session->stats.last_trade_id = event->as.trade.id;
        return 0;
    case SL_EVENT_BEST:
        session->stats.bests++;
        return 0;
    default:
        return 0;
    }
}

int sl_session_next(sl_session *session, sl_session_message *ret_message)
{
    while (session->failed == 0) {
        sl_generated line = {0};
        struct envelope envelope;
        int code = next_line(session, &line);
        if (code <= 0) {
            return code;
        }
        SL_TRY(open_envelope(session, line.text, &envelope));
        if (envelope.symbol.size_bytes > 0) {
            SL_TRY(meet_symbol(session, envelope.symbol));
        }
        SL_TRY(decode(session, line.text, line.receive_time_ns, envelope.snapshot));
        const sl_market_event event = session->event; /* kept diffs are decoded while it is taken */
        SL_TRY(take(session, &event, line.text));
        if (event.kind != SL_EVENT_BOOK_SNAPSHOT) {
            session->stats.messages++;
            *ret_message = (sl_session_message){.receive_time_ns = line.receive_time_ns,
                                                .kind = event.kind,
                                                .text = line.text,
                                                .stream = envelope.stream,
                                                .data = {line.text.data + envelope.data_offset, envelope.data_bytes}};
            return 1;
        }
    }
    return session->failed;
}

int sl_session_snapshot(sl_session *session, size_t limit, sl_json_text *ret_text)
{
    if (limit > SL_SESSION_LIMIT_MAX) {
        return SL_EINVAL;
    }
    if (!sl_session_ready(session)) {
        return SL_EAGAIN;
    }
    sl__write_begin(&session->snapshot);
    sl__write_snapshot(&session->snapshot, session->venue, session->instrument->symbol, session->book,
                       sl_sequence_last_id(session->sequence), session->sent_time_ns, session->venue_time_ns,
                       limit == 0 ? SL_SESSION_LIMIT_DEFAULT : limit);
    SL_TRY(session->snapshot.failed);
    *ret_text = (sl_json_text){session->snapshot.data, session->snapshot.size_bytes};
    return 0;
}

static int open_parts(sl_session *session, const sl_session_options *options)
{
    sl_sequence_options sequence = {.rule = session->venue == SL_VENUE_BINANCE_SPOT ? SL_BOOK_RULE_BINANCE_SPOT
                                                                                    : SL_BOOK_RULE_BINANCE_FUTURES};
    SL_TRY(sl_instruments_new(2, &session->instruments));
    SL_TRY(sl_instruments_add(session->instruments, &(sl_instrument){.venue = session->venue, .symbol = "?"},
                              &session->unnamed));
    SL_TRY(sl_json_new(0, &session->json));
    SL_TRY(sl_venue_decoder_new(
        &(sl_venue_decoder_options){.venue = session->venue, .instruments = session->instruments}, &session->decoder));
    SL_TRY(sl_sequence_new(&sequence, &session->sequence));
    SL_TRY(sl_book_new(0, &session->book));
    if (options->capture_path != NULL) {
        return sl_capture_open(options->capture_path, 0, &session->capture);
    }
    return sl_generate_new(&options->generate, &session->generate);
}

int sl_session_open(const sl_session_options *options, sl_session **ret_session)
{
    sl_session *session = sl_calloc(1, sizeof(*session));
    if (session == NULL) {
        return SL_ENOMEM;
    }
    session->venue = options->capture_path == NULL ? SL_VENUE_BINANCE_USDM : options->venue;
    int code = open_parts(session, options);
    if (code < 0) {
        sl_session_close(session);
        return code;
    }
    *ret_session = session;
    return 0;
}

void sl_session_close(sl_session *session)
{
    if (session != NULL) {
        sl_capture_close(session->capture);
        sl_generate_free(session->generate);
        sl_venue_decoder_free(session->decoder);
        sl_json_free(session->json);
        sl_instruments_free(session->instruments);
        sl_sequence_free(session->sequence);
        sl_book_free(session->book);
        sl__write_done(&session->snapshot);
        sl_free(session);
    }
}

bool sl_session_ready(const sl_session *session)
{
    return sl_sequence_get_state(session->sequence) == SL_SEQUENCE_JOINED;
}

const sl_book *sl_session_book(const sl_session *session)
{
    return session->book;
}

int64_t sl_session_last_id(const sl_session *session)
{
    return sl_sequence_last_id(session->sequence);
}

sl_venue sl_session_venue(const sl_session *session)
{
    return session->venue;
}

const char *sl_session_instrument(const sl_session *session)
{
    return session->instrument == NULL ? "" : session->instrument->symbol;
}

const sl_session_stats *sl_session_get_stats(const sl_session *session)
{
    return &session->stats;
}

const char *sl_session_problem(const sl_session *session)
{
    return session->problem;
}
