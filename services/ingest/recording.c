/* SPDX-License-Identifier: MIT */
/* The recorder behind a mutex, with its blocks written off the loop. See recording.h. */
#include "ingest/recording.h"

#include "sluice/thread.h"

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

const sl_recorder_stats *sl_recording_get_stats(const sl_recording *recording)
{
    return sl_recorder_get_stats(recording->recorder);
}
