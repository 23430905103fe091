/* SPDX-License-Identifier: MIT */
/*
 * Captured sessions through the real path: decoder, tracker, keeper of the book. What comes out is what a stream
 * service would have given out when the messages came.
 *
 * There is no clock in it: "now" is the time at which a message was received, so that what comes out depends on the
 * files alone, however fast they are played and however often. Reading them blocks on the disk.
 *
 * What a poll asked for is given out as it came: of all instruments of an answer, and also where it was the same again.
 *
 * Instruments come from the captured lists of the venues. Where a capture has none, an instrument is added when a
 * message names its symbol for the first time, as far as the venue's form names it.
 */
#ifndef SL_INGEST_REPLAY_H
#define SL_INGEST_REPLAY_H

#include "market/capture.h"
#include "market/keeper.h"
#include "market/tracker.h"
#include "sluice/time.h"
#include "venues/venue.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Files of one replay, venues and services in them, connections of all of these. */
#define SL_REPLAY_FILES_MAX 64
#define SL_REPLAY_STREAMS_MAX 256
#define SL_REPLAY_CONNECTIONS_MAX 65536

/* A recording's connection: the number of the service in its upper bits, what the service calls it in the others. */
#define SL_REPLAY_SERVICE_SHIFT 24
#define SL_REPLAY_CONNECTION_MASK ((UINT32_C(1) << SL_REPLAY_SERVICE_SHIFT) - 1)

typedef struct sl_replay_options {
    const char *const *paths;
    size_t path_count;
    sl_venue venue; /* of lines that do not say it; SL_VENUE_NONE: all must */
    bool in_turn;   /* one file after the other; else together, in the order of their times */
    const char *const *symbols;
    size_t symbol_count; /* instruments of `venue` that are known before */
    sl_time patience;    /* for holes; 0: none */
    void *arg;
    int (*event)(void *arg, const sl_market_event *event); /* what is given out. May wait. */
    /* A line that was not used; `problem` is borrowed. May be NULL. */
    void (*bad)(void *arg, const char *path, const sl_capture_line *line, int code, const char *problem);
} sl_replay_options;

typedef struct sl_replay_stats {
    uint64_t lines, messages, requests;    /* requests: bodies of answers */
    uint64_t notices, bad, unknown;        /* bad and unknown: messages and bodies that were not used */
    uint64_t unknown_symbols;              /* events left out: the list has not the instrument */
    uint64_t found[SL_EVENT_KIND_COUNT];   /* by the decoders */
    uint64_t given[SL_EVENT_KIND_COUNT];   /* out */
    uint64_t gaps, healed, missing_trades; /* gaps: told as open */
    uint64_t refused;                      /* events whose numbers the tracker did not take */
    uint64_t repeated;                     /* copies that trackers dropped */
    uint64_t instruments, added;           /* added: on first sight */
    uint64_t damaged_bytes;                /* of recordings, skipped */
    int64_t first_ns, last_ns;             /* received */
    struct {
        uint64_t books, live, crossed, broken; /* now; broken: the book's own check fails */
        uint64_t joins, applied, repeated, stale_snapshots, dropped, crossings, checksums, checksum_failures;
    } book;
} sl_replay_stats;

typedef struct sl_replay sl_replay;

/* Opens the files and reads their first lines. 0, SL_EINVAL, SL_ENOMEM, codes of sl_capture_open() and _next(). */
SL_MUST_CHECK int sl_replay_open(const sl_replay_options *options, sl_replay **ret_replay);
void sl_replay_close(sl_replay *replay);
SL_AUTO_DECLARE(sl_replay, sl_replay_close)

/* When the next line was received; false: there is none. */
bool sl_replay_peek(const sl_replay *replay, int64_t *ret_time_ns);

/*
 * Plays the next line: 1, or 0 at the end (holes that still wait are told then). Codes of sl_capture_next(),
 * SL_ENOMEM, SL_EMSGSIZE over a limit, what `event` returned. A line that cannot be decoded is no error.
 */
SL_MUST_CHECK int sl_replay_next(sl_replay *replay);

/* How much of the files has been read, 0 to 1. */
double sl_replay_progress(const sl_replay *replay);

/* Counts what there is to count; borrowed until the next call. */
const sl_replay_stats *sl_replay_get_stats(sl_replay *replay);

#ifdef __cplusplus
}
#endif

#endif
