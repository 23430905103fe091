/* SPDX-License-Identifier: MIT */
/* The writer of recordings. See recorder.h. */
#include "recorder.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "block.h"
#include "sluice/memory.h"

#define LEVEL_DEFAULT 3
#define URL_BYTES_MAX 65535

struct sl_recorder {
    FILE *file;
    sl_recorder_options options;
    struct sl__block block; /* `plain` gathers records */
    uint64_t end;           /* of the last whole block in the file */
    sl_recorder_stats stats;
};

size_t sl_recorder_pending(const sl_recorder *recorder)
{
    return recorder->block.plain_bytes;
}

const sl_recorder_stats *sl_recorder_get_stats(const sl_recorder *recorder)
{
    return &recorder->stats;
}

static int reserve_plain(struct sl__block *block, size_t size_bytes)
{
    if (size_bytes <= block->plain_capacity) {
        return 0;
    }
    size_t capacity = block->plain_capacity == 0 ? SL_RECORDER_BLOCK_DEFAULT_BYTES : block->plain_capacity;
    while (capacity < size_bytes) {
        capacity *= 2;
    }
    uint8_t *plain = sl_realloc(block->plain, capacity);
    if (plain == NULL) {
        return SL_ENOMEM;
    }
    block->plain = plain;
    block->plain_capacity = capacity;
    return 0;
}

int sl_recorder_add(sl_recorder *recorder, const sl_capture_line *record)
{
    struct sl__block *block = &recorder->block;
    if ((unsigned)record->kind >= SL_CAPTURE_KIND_COUNT || (unsigned)record->venue >= SL_VENUE_COUNT ||
        record->url_bytes > URL_BYTES_MAX) {
        return SL_EINVAL;
    }
    size_t size_bytes = sl__block_record_bytes(record);
    if (size_bytes > SL_RECORDER_BLOCK_MAX_BYTES - block->plain_bytes) {
        return SL_EMSGSIZE;
    }
    SL_TRY(reserve_plain(block, block->plain_bytes + size_bytes));
    sl__block_put(block->plain + block->plain_bytes, record);
    block->plain_bytes += (uint32_t)size_bytes;
    block->records++;
    return block->plain_bytes >= recorder->options.block_bytes;
}

/* Writes all at the end of the last whole block. */
static int write_all(sl_recorder *recorder, const uint8_t *bytes, size_t size_bytes)
{
    int descriptor = fileno(recorder->file);
    for (size_t done = 0; done < size_bytes;) {
        ssize_t count = pwrite(descriptor, bytes + done, size_bytes - done, (off_t)(recorder->end + done));
        if (count < 0 && errno != EINTR) {
            int code = -errno;
            /* A part of a block is taken away, so that this can be tried again; if it cannot be, readers skip it. */
            (void)(ftruncate(descriptor, (off_t)recorder->end) < 0);
            return sl_fail(code, "cannot write the recording %s: %s", recorder->options.path, sl_strerror(code));
        }
        done += count > 0 ? (size_t)count : 0;
    }
    return 0;
}

int sl_recorder_flush(sl_recorder *recorder)
{
    struct sl__block *block = &recorder->block;
    size_t size_bytes = 0;
    if (block->records == 0) {
        return 0;
    }
    SL_TRY(sl__block_pack(block, recorder->options.level, &size_bytes));
    SL_TRY(write_all(recorder, block->packed, size_bytes));
    recorder->end += size_bytes;
    recorder->stats.records += block->records;
    recorder->stats.blocks++;
    recorder->stats.plain_bytes += block->plain_bytes;
    recorder->stats.file_bytes += size_bytes;
    block->plain_bytes = 0;
    block->records = 0;
    return 0;
}

/* Finds where the last whole block ends; what is behind it was cut off. SL_EEXIST when the file has none at all. */
static int find_end(sl_recorder *recorder)
{
    struct sl__block block = {0};
    uint64_t at = 0;
    int code = fseeko(recorder->file, 0, SEEK_END) == 0 ? 0 : -errno;
    uint64_t size = code == 0 ? (uint64_t)ftello(recorder->file) : 0;
    while (code == 0 && at < size) {
        code = sl__block_read(&block, recorder->file, at, false);
        if (code > 0) {
            at += SL__BLOCK_HEAD_BYTES + block.packed_bytes;
            recorder->end = at;
            code = 0;
        } else if (code == 0) {
            code = sl__block_search(recorder->file, at + 1, &at);
        }
    }
    sl__block_free(&block);
    if (code == 0 && size > 0 && recorder->end == 0) {
        uint8_t first[4] = {0};
        rewind(recorder->file);
        size_t count = fread(first, 1, sizeof(first), recorder->file);
        if (!sl__block_begins(first, count)) {
            return sl_fail(SL_EEXIST, "%s is no recording", recorder->options.path);
        }
    }
    recorder->stats.removed_bytes = size - recorder->end;
    if (code == 0 && size > recorder->end && ftruncate(fileno(recorder->file), (off_t)recorder->end) < 0) {
        code = -errno;
    }
    return code;
}

int sl_recorder_open(const sl_recorder_options *options, sl_recorder **ret_recorder)
{
    if (options->path == NULL || options->block_bytes > SL_RECORDER_BLOCK_MAX_BYTES || options->level < 0 ||
        options->level > 19) {
        return SL_EINVAL;
    }
    sl_recorder *recorder = sl_calloc(1, sizeof(*recorder));
    if (recorder == NULL) {
        return SL_ENOMEM;
    }
    recorder->options = *options;
    recorder->options.block_bytes = options->block_bytes == 0 ? SL_RECORDER_BLOCK_DEFAULT_BYTES : options->block_bytes;
    recorder->options.level = options->level == 0 ? LEVEL_DEFAULT : options->level;
    int code = 0;
    recorder->options.path = sl_strdup(options->path);
    recorder->file = recorder->options.path == NULL ? NULL : fopen(options->path, "a+be");
    if (recorder->options.path == NULL) {
        code = SL_ENOMEM;
    } else if (recorder->file == NULL) {
        code = -errno;
        code = sl_fail(code, "cannot open the recording %s: %s", options->path, sl_strerror(code));
    } else {
        /* Opened to make it if it is not there; appending is not what is wanted then, but writing at a place. */
        FILE *file = freopen(options->path, "r+be", recorder->file);
        recorder->file = file;
        code = file == NULL ? -errno : find_end(recorder);
    }
    if (code < 0) {
        sl_recorder_close(recorder);
        return code;
    }
    *ret_recorder = recorder;
    return 0;
}

void sl_recorder_close(sl_recorder *recorder)
{
    if (recorder != NULL) {
        if (recorder->file != NULL) {
            (void)fclose(recorder->file);
        }
        sl__block_free(&recorder->block);
        sl_free((void *)(uintptr_t)recorder->options.path);
        sl_free(recorder);
    }
}
