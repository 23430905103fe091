/* SPDX-License-Identifier: MIT */
/* The recorder behind a mutex, with its blocks written off the loop. See recording.h. */
#include "ingest/program/recording.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/thread.h"

#define POLL "#poll:"
#define HISTORY "#history:"
#define HEALED "#healed:"
#define FRAGMENT_BYTES (SL_SYMBOL_MAX + 200)

struct sl_recording {
    sl_recorder *recorder;
    sl_mutex mutex;
};

int sl_recording_open(const char *path, sl_recording **ret_recording)
{
    sl_auto(sl_recording) *recording = sl_calloc(1, sizeof *recording);
    if (recording == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a recording");
    }
    sl_mutex_init(&recording->mutex);
    SL_TRY(sl_recorder_open(&(sl_recorder_options){.path = path}, &recording->recorder));
    *ret_recording = recording;
    recording = NULL;
    return 0;
}

void sl_recording_close(sl_recording *recording)
{
    if (recording != NULL) {
        sl_recorder_close(recording->recorder);
        sl_free(recording);
    }
}

static int flush(void *arg)
{
    return sl_recorder_flush(((sl_recording *)arg)->recorder);
}

int sl_recording_add(sl_recording *recording, const sl_capture_line *line)
{
    SL_TRY(sl_mutex_lock(&recording->mutex));
    int code = sl_recorder_add(recording->recorder, line);
    code = code == 1 ? sl_offload(flush, recording) : code;
    (void)sl_mutex_unlock(&recording->mutex);
    return code;
}

int sl_recording_flush(sl_recording *recording)
{
    SL_TRY(sl_mutex_lock(&recording->mutex));
    int code = sl_offload(flush, recording);
    (void)sl_mutex_unlock(&recording->mutex);
    return code;
}

/* ---- what was asked, behind the URL ---- */

/* The last one of that kind in the URL, behind its mark, NUL-terminated: whether there is one. */
static bool fragment_of(const sl_capture_line *line, const char *mark, char fragment[FRAGMENT_BYTES])
{
    size_t mark_bytes = strlen(mark);
    if (line->kind != SL_CAPTURE_RESPONSE) {
        return false;
    }
    for (size_t at = line->url_bytes < mark_bytes ? 0 : line->url_bytes - mark_bytes + 1; at-- > 0;) {
        size_t size = line->url_bytes - at - mark_bytes;
        if (memcmp(line->url + at, mark, mark_bytes) == 0 && size < FRAGMENT_BYTES) {
            memcpy(fragment, line->url + at + mark_bytes, size);
            fragment[size] = '\0';
            return true;
        }
    }
    return false;
}

/* "NUMBER:NUMBER:...:SYMBOL". 1 or SL_EPROTO; `ret_instrument` is NULL where the symbol is empty. */
static int read_fragment(const char *fragment, int64_t *numbers, size_t count, const sl_instruments *instruments,
                         sl_venue venue, const sl_instrument **ret_instrument)
{
    const char *at = fragment;
    for (size_t i = 0; i < count; i++) {
        char *rest = NULL;
        numbers[i] = strtoll(at, &rest, 10);
        if (rest == at || *rest != ':') {
            return sl_fail(SL_EPROTO, "a request of nothing: \"%.60s\"", fragment);
        }
        at = rest + 1;
    }
    *ret_instrument = *at == '\0' ? NULL : sl_instruments_find(instruments, venue, at, strlen(at));
    return *at == '\0' || *ret_instrument != NULL ? 1
                                                  : sl_fail(SL_EPROTO, "a request of what no list has: \"%.60s\"", at);
}

SL_PRINTF(3, 4)
static int print_url(char *buffer, size_t capacity, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(buffer, capacity, format, arguments);
    va_end(arguments);
    return size >= 0 && (size_t)size < capacity ? 0 : sl_fail(SL_EMSGSIZE, "an address of %d bytes", size);
}

/* ---- polls ---- */

int sl_recording_poll_url(const char *url, const sl_venue_request *request, char *buffer, size_t capacity)
{
    return print_url(buffer, capacity, "%s" POLL "%d:%" PRId64 ":%s", url, (int)request->kind, request->interval_ns,
                     request->instrument == NULL ? "" : request->instrument->symbol);
}

int sl_recording_poll_of(const sl_capture_line *line, const sl_instruments *instruments, sl_venue venue,
                         sl_venue_request *ret_request)
{
    enum { KIND, INTERVAL, NUMBERS };
    char fragment[FRAGMENT_BYTES];
    int64_t numbers[NUMBERS];
    const sl_instrument *instrument = NULL;
    if (!fragment_of(line, POLL, fragment)) {
        return 0;
    }
    SL_TRY(read_fragment(fragment, numbers, NUMBERS, instruments, venue, &instrument) < 0 ? SL_EPROTO : 0);
    if (numbers[KIND] <= SL_REQUEST_NONE || numbers[KIND] >= SL_REQUEST_KIND_COUNT || numbers[INTERVAL] < 0) {
        return sl_fail(SL_EPROTO, "a poll of nothing: \"%.60s\"", fragment);
    }
    *ret_request = (sl_venue_request){
        .kind = (sl_venue_request_kind)numbers[KIND], .interval_ns = numbers[INTERVAL], .instrument = instrument};
    return 1;
}

/* ---- history ---- */

int sl_recording_history_url(const char *url, const sl_venue_request *request, const struct sl_history_wish *wish,
                             char *buffer, size_t capacity)
{
    return print_url(buffer, capacity,
                     "%s" HISTORY "%d:%" PRId64 ":%" PRId64 ":%" PRId64 ":%" PRIu32 ":%" PRId64 ":%" PRId64 ":%" PRId64
                     ":%" PRId64 ":%s",
                     url, (int)wish->feed, wish->interval_ns, request->from_id, request->from_time_ns, request->limit,
                     wish->from_id, wish->to_id, wish->from_time_ns, wish->to_time_ns, wish->instrument->symbol);
}

int sl_recording_history_of(const sl_capture_line *line, const sl_instruments *instruments, sl_venue venue,
                            sl_venue_request *ret_request, struct sl_history_wish *ret_wish)
{
    enum { FEED, INTERVAL, ASKED_ID, ASKED_TIME, LIMIT, FROM_ID, TO_ID, FROM_TIME, TO_TIME, NUMBERS };
    char fragment[FRAGMENT_BYTES];
    int64_t numbers[NUMBERS];
    const sl_instrument *instrument = NULL;
    if (!fragment_of(line, HISTORY, fragment)) {
        return 0;
    }
    SL_TRY(read_fragment(fragment, numbers, NUMBERS, instruments, venue, &instrument) < 0 ? SL_EPROTO : 0);
    int64_t feed = numbers[FEED];
    if (instrument == NULL || (feed != SL_FEED_TRADES && feed != SL_FEED_AGG_TRADES && feed != SL_FEED_CANDLES) ||
        numbers[LIMIT] < 0 || numbers[LIMIT] > UINT32_MAX) {
        return sl_fail(SL_EPROTO, "history of nothing: \"%.60s\"", fragment);
    }
    *ret_request = (sl_venue_request){.kind = feed == SL_FEED_CANDLES ? SL_REQUEST_CANDLES : SL_REQUEST_TRADES,
                                      .instrument = instrument,
                                      .feed = (sl_feed)feed,
                                      .interval_ns = numbers[INTERVAL],
                                      .from_id = numbers[ASKED_ID],
                                      .from_time_ns = numbers[ASKED_TIME],
                                      .limit = (uint32_t)numbers[LIMIT]};
    *ret_wish = (struct sl_history_wish){.feed = (sl_feed)feed,
                                         .instrument = instrument,
                                         .interval_ns = numbers[INTERVAL],
                                         .from_id = numbers[FROM_ID],
                                         .to_id = numbers[TO_ID],
                                         .from_time_ns = numbers[FROM_TIME],
                                         .to_time_ns = numbers[TO_TIME]};
    return 1;
}

int sl_recording_healed_url(const sl_market_event *gap, char *buffer, size_t capacity)
{
    return print_url(buffer, capacity, HEALED "%d:%d:%" PRId64 ":%" PRId64 ":%" PRId64 ":%s", (int)gap->feed,
                     (int)gap->as.gap.reason, gap->as.gap.from_id, gap->as.gap.to_id, gap->as.gap.seen_time_ns,
                     gap->instrument->symbol);
}

int sl_recording_healed_of(const sl_capture_line *line, const sl_instruments *instruments, sl_venue venue,
                           sl_market_event *ret_gap)
{
    enum { FEED, REASON, FROM_ID, TO_ID, SEEN_TIME, NUMBERS };
    char fragment[FRAGMENT_BYTES];
    int64_t numbers[NUMBERS];
    const sl_instrument *instrument = NULL;
    if (!fragment_of(line, HEALED, fragment)) {
        return 0;
    }
    SL_TRY(read_fragment(fragment, numbers, NUMBERS, instruments, venue, &instrument) < 0 ? SL_EPROTO : 0);
    if (instrument == NULL || numbers[FEED] <= 0 || numbers[FEED] >= SL_FEED_COUNT || numbers[REASON] <= 0 ||
        numbers[REASON] >= SL_GAP_REASON_COUNT) {
        return sl_fail(SL_EPROTO, "a gap of nothing: \"%.60s\"", fragment);
    }
    *ret_gap = (sl_market_event){.kind = SL_EVENT_GAP, .feed = (sl_feed)numbers[FEED], .instrument = instrument};
    ret_gap->as.gap = (sl_gap){.reason = (sl_gap_reason)numbers[REASON],
                               .from_id = numbers[FROM_ID],
                               .to_id = numbers[TO_ID],
                               .seen_time_ns = numbers[SEEN_TIME],
                               .healed = true,
                               .healed_id = numbers[TO_ID]};
    return 1;
}

const sl_recorder_stats *sl_recording_get_stats(const sl_recording *recording)
{
    return sl_recorder_get_stats(recording->recorder);
}
