/* SPDX-License-Identifier: MIT */
/*
 * Writes recordings: raw frames of streams both ways and REST bodies, with receive times, as sl_capture reads them.
 * Records are gathered and written as a block at once: packed with zstd, with a checksum over all of it. After a kill
 * the file is whole up to its last flush; a block that was cut off is found and taken away when the file is opened to
 * go on. Blocks stand alone, so that files may be put behind one another, and what is damaged costs only its block.
 *
 *     block:  "SLRC", version 1 (2 bytes), 0 (2), packed bytes (4), plain bytes (4), records (4), CRC-32 (4) of the 20
 *             bytes before it and of what follows; then a zstd frame of records
 *     record: bytes behind this field (4), kind (1), bytes of the venue's name (1), of the URL (2), connection (4),
 *             status (4), receive time in ns (8); then venue, URL, text. All numbers little-endian.
 *
 * One thread at a time. sl_recorder_add() only copies; sl_recorder_flush() packs and blocks on the disk.
 */
#ifndef SLUICE_MARKET_RECORDER_H
#define SLUICE_MARKET_RECORDER_H

#include "capture.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A block is due when it has this many bytes: default; and the largest one, with which a record must fit too. */
#define SL_RECORDER_BLOCK_DEFAULT_BYTES ((size_t)256 << 10)
#define SL_RECORDER_BLOCK_MAX_BYTES ((size_t)64 << 20)

typedef struct sl_recorder_options {
    const char *path;   /* made if it is not there; else gone on with */
    size_t block_bytes; /* 0: the default */
    int level;          /* of zstd, 1 to 19; 0: 3 */
} sl_recorder_options;

typedef struct sl_recorder_stats {
    uint64_t records, blocks;         /* written */
    uint64_t plain_bytes, file_bytes; /* of those blocks */
    uint64_t removed_bytes;           /* that were cut off at the end when the file was opened */
} sl_recorder_stats;

typedef struct sl_recorder sl_recorder;

/* 0, SL_EINVAL, SL_ENOMEM, SL_EEXIST (a file of another kind), -errno of opening, reading and cutting. */
SL_MUST_CHECK int sl_recorder_open(const sl_recorder_options *options, sl_recorder **ret_recorder);

/* What was not flushed is lost. */
void sl_recorder_close(sl_recorder *recorder);
SL_AUTO_DECLARE(sl_recorder, sl_recorder_close)

/*
 * Adds a copy of a record; its number means nothing here. 0; 1: a block is due, flush; SL_EINVAL (an unknown kind or
 * venue, a URL of 64 KiB), SL_EMSGSIZE (over the largest block: flush first, or it is too large for any), SL_ENOMEM.
 */
SL_MUST_CHECK int sl_recorder_add(sl_recorder *recorder, const sl_capture_line *record);

/*
 * Writes what was added as one block. 0, also with nothing to write; -errno (what was added is kept, and the file is
 * cut to its last whole block, so that this can be tried again), SL_ENOMEM, SL_EINTERNAL.
 */
SL_MUST_CHECK int sl_recorder_flush(sl_recorder *recorder);

/* Bytes that wait for the next flush. */
size_t sl_recorder_pending(const sl_recorder *recorder);

const sl_recorder_stats *sl_recorder_get_stats(const sl_recorder *recorder);

#ifdef __cplusplus
}
#endif

#endif
