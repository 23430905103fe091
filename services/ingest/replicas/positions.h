/* SPDX-License-Identifier: MIT */
/*
 * How far each service's feeds are, so that whoever follows them next (this process after a restart, another replica)
 * knows where the last one ended and can tell what is missing. Two tables: what an earlier life reached and nobody has
 * gone on from yet, and what this life has reached and is still to be stored. No I/O; positions.c knows no places to store.
 *
 * A key is a text, "SERVICE SYMBOL FEED" ("okx BTC-USDT trades"): instruments may be unknown when positions are read.
 */
#ifndef SL_INGEST_POSITIONS_H
#define SL_INGEST_POSITIONS_H

#include "market/event.h"

#ifdef __cplusplus
extern "C" {
#endif

/* With the NUL. */
#define SL_POSITION_KEY_MAX 128

/* Positions of one program, at most: further ones are not remembered. */
#define SL_POSITIONS_MAX ((size_t)1 << 22)

typedef struct sl_positions sl_positions;

SL_MUST_CHECK int sl_positions_new(sl_positions **ret_positions);
void sl_positions_free(sl_positions *positions); /* NULL is fine */
SL_AUTO_DECLARE(sl_positions, sl_positions_free)

/* Writes the key and returns its length. */
size_t sl_position_key(const char *service, const sl_instrument *instrument, sl_feed feed,
                       char key[SL_POSITION_KEY_MAX]);

/* ---- what an earlier life reached ---- */

/* It was at `id`; a second word on the same key replaces the first. 0, SL_EINVAL (a key too long), SL_EMSGSIZE, SL_ENOMEM. */
SL_MUST_CHECK int sl_positions_expect(sl_positions *positions, const char *key, int64_t id, bool seamless);

/* The same, but what an earlier life reached and nobody has gone on from holds: what is missing since then is not told yet. */
SL_MUST_CHECK int sl_positions_keep(sl_positions *positions, const char *key, int64_t id);

/* How many nobody has claimed; the one of a feed, which is then forgotten. */
size_t sl_positions_expected(const sl_positions *positions);
bool sl_positions_claim(sl_positions *positions, const char *service, const sl_instrument *instrument, sl_feed feed,
                        int64_t *ret_id, bool *ret_seamless);

/* Calls `look` for each that nobody has claimed. */
void sl_positions_each_expected(const sl_positions *positions, void (*look)(void *arg, const char *key, int64_t id),
                                void *arg);

/* ---- what this life has reached ---- */

/* It is at `id` now. 0, SL_EMSGSIZE, SL_ENOMEM. */
SL_MUST_CHECK int sl_positions_note(sl_positions *positions, const char *service, const sl_instrument *instrument,
                                    sl_feed feed, int64_t id);

/* Calls `look` for each that was noted, and with `due` only for those noted since they were stored last; a negative code ends it. */
SL_MUST_CHECK int sl_positions_each(const sl_positions *positions, bool due,
                                    int (*look)(void *arg, const char *service, const sl_instrument *instrument,
                                                sl_feed feed, int64_t id),
                                    void *arg);

/* All that was noted of instruments that fit is stored; `fits` NULL: of all. */
void sl_positions_stored(sl_positions *positions, bool (*fits)(void *arg, const sl_instrument *instrument), void *arg);

#ifdef __cplusplus
}
#endif

#endif
