/* SPDX-License-Identifier: MIT */
/*
 * A sink into files: one JSON object a line (docs/reference/events.md), as text or as zstd frames, one frame a batch.
 * Files are numbered, PATH-00000001.ndjson (.zst), the highest is the one that grows; a new one begins when it is large
 * or old enough.
 *
 * Identity: each line has its event's stamp. When a file is opened again, what a process that died left half-written
 * at its end is cut off, and events up to the last line's stamp are known to be there: a repeat of them is counted and
 * left out. So every event stands there once, whenever the process dies.
 *
 * The file that grows is locked (flock): another sink or process of the same path is away, with SL_EBUSY, as long as this
 * one has it open.
 *
 * A batch is complete in the file (in the system's memory; with `sync` on the disk) when write() has returned.
 */
#ifndef SLUICE_SINKS_FILE_H
#define SLUICE_SINKS_FILE_H

#include "sinks/sink.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_FILE_PATH_MAX 1024
#define SL_FILE_ZSTD_LEVEL_DEFAULT 3

typedef struct sl_file_options {
    const char *path; /* folder and beginning of the name; the folder must be there */
    bool zstd;
    int level;             /* 1 to 19; 0: SL_FILE_ZSTD_LEVEL_DEFAULT */
    uint64_t rotate_bytes; /* a file takes no more batches when it is as large; 0: however large */
    sl_time rotate_age;    /* or as old, since the first batch that this process wrote to it; 0: however old */
    bool sync;             /* tell the disk to keep each batch */
} sl_file_options;

/* Makes the sink; files are opened by the outlet. 0, SL_EINVAL, SL_ENOMEM. */
SL_MUST_CHECK int sl_file_sink_new(const sl_file_options *options, sl_sink **ret_sink);

#ifdef __cplusplus
}
#endif

#endif
