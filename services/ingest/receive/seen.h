/* SPDX-License-Identifier: MIT */
/*
 * The last so many things that were seen, by 128 bits of a hash of each: to know a repeat of an event, or of a signature.
 * All memory is allocated at once; a new one takes the place of the oldest.
 */
#ifndef SL_INGEST_SEEN_H
#define SL_INGEST_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sluice/error.h"
#include "sluice/memory.h"
#include "sluice/time.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_SEEN_MAX ((size_t)10000000)

typedef struct sl_seen sl_seen;

struct sl_seen_key {
    uint64_t words[2];
};

/* The first 128 bits of the text's SHA-256. 0, SL_ENOMEM. */
SL_MUST_CHECK int sl_seen_key_of(const void *text, size_t size_bytes, struct sl_seen_key *ret_key);

/* Room for `count` (0: it remembers nothing). 0, SL_EINVAL over SL_SEEN_MAX, SL_ENOMEM. */
SL_MUST_CHECK int sl_seen_new(size_t count, sl_seen **ret_seen);
void sl_seen_free(sl_seen *seen);
SL_AUTO_DECLARE(sl_seen, sl_seen_free)

bool sl_seen_has(const sl_seen *seen, struct sl_seen_key key);

/* Whether the next new one would have to be refused: see sl_seen_add(). */
bool sl_seen_is_full(const sl_seen *seen, sl_time now, sl_time keep);

/*
 * Remembers one that is not there; the oldest goes when there is no room. 0, or SL_EBUSY when that one came within
 * `keep` before `now`: nothing has changed then.
 */
SL_MUST_CHECK int sl_seen_add(sl_seen *seen, struct sl_seen_key key, sl_time now, sl_time keep);

#ifdef __cplusplus
}
#endif

#endif
