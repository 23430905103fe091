/* SPDX-License-Identifier: MIT */
/* The recorder behind a mutex, with its blocks written off the loop. See recording.h. */
#include "ingest/program/recording.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/thread.h"

#define POLL "#poll:"
#define FRAGMENT_BYTES (SL_SYMBOL_MAX + 64)

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

/* ---- polls ---- */

int sl_recording_poll_url(const char *url, const sl_venue_request *request, char *buffer, size_t capacity)
{
    int size = snprintf(buffer, capacity, "%s" POLL "%d:%" PRId64 ":%s", url, (int)request->kind, request->interval_ns,
                        request->instrument == NULL ? "" : request->instrument->symbol);
    return size >= 0 && (size_t)size < capacity ? 0 : sl_fail(SL_EMSGSIZE, "an address of %zu bytes", strlen(url));
}

/* The last one in the URL, NUL-terminated: whether there is one. */
static bool fragment_of(const sl_capture_line *line, char fragment[FRAGMENT_BYTES])
{
    size_t mark = sizeof POLL - 1;
    for (size_t at = line->url_bytes < mark ? 0 : line->url_bytes - mark + 1; at-- > 0;) {
        size_t size = line->url_bytes - at - mark;
        if (memcmp(line->url + at, POLL, mark) == 0 && size < FRAGMENT_BYTES) {
            memcpy(fragment, line->url + at + mark, size);
            fragment[size] = '\0';
            return true;
        }
    }
    return false;
}

int sl_recording_poll_of(const sl_capture_line *line, const sl_instruments *instruments, sl_venue venue,
                         sl_venue_request *ret_request)
{
    char fragment[FRAGMENT_BYTES];
    if (line->kind != SL_CAPTURE_RESPONSE || !fragment_of(line, fragment)) {
        return 0;
    }
    char *rest = NULL;
    long long kind = strtoll(fragment, &rest, 10);
    long long interval_ns = *rest == ':' ? strtoll(rest + 1, &rest, 10) : -1;
    if (kind <= SL_REQUEST_NONE || kind >= SL_REQUEST_KIND_COUNT || interval_ns < 0 || *rest != ':') {
        return sl_fail(SL_EPROTO, "a poll of nothing: \"%.60s\"", fragment);
    }
    *ret_request = (sl_venue_request){.kind = (sl_venue_request_kind)kind, .interval_ns = interval_ns};
    if (rest[1] != '\0') {
        ret_request->instrument = sl_instruments_find(instruments, venue, rest + 1, strlen(rest + 1));
        return ret_request->instrument != NULL ? 1
                                               : sl_fail(SL_EPROTO, "a poll of what no list has: \"%.60s\"", rest + 1);
    }
    return 1;
}

const sl_recorder_stats *sl_recording_get_stats(const sl_recording *recording)
{
    return sl_recorder_get_stats(recording->recorder);
}
