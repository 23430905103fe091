/* SPDX-License-Identifier: MIT */
/* Blocks of recordings, for their writer and their reader. The format is described in recorder.h. */
#ifndef SLUICE_MARKET_BLOCK_H
#define SLUICE_MARKET_BLOCK_H

#include <stdio.h>

#include "recorder.h"

#define SL__BLOCK_HEAD_BYTES ((size_t)24)
#define SL__BLOCK_RECORD_BYTES ((size_t)24) /* before a record's texts, its first field is not counted in it */

struct sl__block {
    uint32_t packed_bytes, plain_bytes, records;
    uint8_t *packed; /* the block as it is in the file */
    size_t packed_capacity;
    uint8_t *plain; /* records; SL_JSON_PADDING bytes behind them */
    size_t plain_capacity;
};

void sl__block_free(struct sl__block *block);

/* Whether these bytes begin a block. */
bool sl__block_begins(const uint8_t *bytes, size_t size_bytes);

/*
 * Reads the block at `offset`: 1; 0: there is no whole and undamaged one. -errno, SL_ENOMEM. With `unpack` its records
 * are in `plain`.
 */
SL_MUST_CHECK int sl__block_read(struct sl__block *block, FILE *file, uint64_t offset, bool unpack);

/* The next place at or behind `offset` that may begin a block; the file's end if there is none. -errno. */
SL_MUST_CHECK int sl__block_search(FILE *file, uint64_t offset, uint64_t *ret_offset);

/* Packs `plain` into `packed`, head and all; its size. SL_ENOMEM, SL_EINTERNAL. */
SL_MUST_CHECK int sl__block_pack(struct sl__block *block, int level, size_t *ret_size_bytes);

/* A record at `*at`, which goes on behind it: 1, 0 at the end, SL_EPROTO. Writes one: its size. */
SL_MUST_CHECK int sl__block_next(const struct sl__block *block, size_t *at, sl_capture_line *ret_record);
size_t sl__block_record_bytes(const sl_capture_line *record);
void sl__block_put(uint8_t *at, const sl_capture_line *record);

#endif
