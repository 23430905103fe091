/* SPDX-License-Identifier: MIT */
/*
 * What could not be decoded, kept in a file for people: one JSON object a line, with time, service, venue, connection,
 * code, reason and the text (as "hex" when it is no UTF-8; cut at SL_DEAD_LETTER_TEXT_BYTES, "bytes" is its true size).
 *
 * The file is bounded: at half of its size it becomes PATH.old, whose lines go then. Lines wait in memory, at most
 * SL_DEAD_LETTER_QUEUE_BYTES, and are written by a worker thread; what has no room is counted.
 *
 * Of messages of a kind that is not known the first of each problem is kept and logged; such a kind comes again and
 * again, and would drive out all the rest.
 */
#ifndef SL_INGEST_DEAD_LETTER_H
#define SL_INGEST_DEAD_LETTER_H

#include "ingest/stream/connection.h"
#include "sluice/sync.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_DEAD_LETTER_TEXT_BYTES ((size_t)16 << 10)
#define SL_DEAD_LETTER_QUEUE_BYTES ((size_t)256 << 10)

/* Different problems that are told apart; those beyond are only counted. */
#define SL_DEAD_LETTER_PROBLEMS 256

typedef struct sl_dead_letters sl_dead_letters;

struct sl_dead_letter_stats {
    uint64_t bad, unknown;     /* that came */
    uint64_t written, dropped; /* lines; dropped: no room in memory, or the disk did not take them */
    uint64_t turned;           /* times the oldest half went */
    char problem[160];         /* of the disk, the last one */
};

/* `path` NULL: only told of and counted. Copied. Does not wait. 0, SL_ENOMEM, SL_EMSGSIZE (a path over 1023 bytes). */
SL_MUST_CHECK int sl_dead_letters_open(const char *path, uint64_t max_bytes, sl_dead_letters **ret_letters);
/* Not while it runs. NULL is fine. What was not written is lost. */
void sl_dead_letters_close(sl_dead_letters *letters);
SL_AUTO_DECLARE(sl_dead_letters, sl_dead_letters_close)

/* Takes a copy of the message. Whether its problem is a new one, to be logged. Does not wait; NULL is fine (true). */
bool sl_dead_letters_put(sl_dead_letters *letters, const char *service, sl_venue venue,
                         const struct sl_bad_message *message);

/*
 * Writes what comes until it is cancelled, and then what is left: a task's body (argument: the letters). The file is there
 * from the start; that it cannot be is logged, and `problem` in the counts.
 */
SL_MUST_CHECK int sl_dead_letters_run(void *letters);

const struct sl_dead_letter_stats *sl_dead_letters_get_stats(const sl_dead_letters *letters);

#ifdef __cplusplus
}
#endif

#endif
