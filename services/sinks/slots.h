/* SPDX-License-Identifier: MIT */
/*
 * A buffer of records behind one another, each with a head: what a batch is made of, in the very form in which the
 * spool keeps it on disk. Internal to the sinks.
 */
#ifndef SLUICE_SINKS_SLOTS_H
#define SLUICE_SINKS_SLOTS_H

#include "sinks/sink.h"

/* Before each record. The check covers the length and the record. */
struct sl__slot_head {
    uint32_t magic;
    uint32_t length; /* of the record */
    uint32_t check;  /* CRC-32; 0 in memory, set when it is written to disk */
};

#define SL__SLOT_MAGIC 0x7e51a7c3u
#define SL__SLOT_HEAD_BYTES ((size_t)12)

struct sl__slots {
    uint8_t *data;
    size_t size_bytes, capacity_bytes;
    size_t count;
};

void sl__slots_free(struct sl__slots *slots);

/* Room for `size_bytes` in all. 0, SL_ENOMEM. */
SL_MUST_CHECK int sl__slots_reserve(struct sl__slots *slots, size_t size_bytes);

/* Adds a record; the caller reserved the room. */
void sl__slots_add(struct sl__slots *slots, const void *record, size_t size_bytes);

/* The record at `at`, which goes on behind it; NULL at the end. */
const uint8_t *sl__slots_next(const struct sl__slots *slots, size_t *at, size_t *ret_size_bytes);

/* The stamp of a record; empty for what is too short to be one. */
sl_stamp sl__slot_stamp(const uint8_t *record, size_t size_bytes);

/* Sets the checks of all. */
void sl__slots_seal(struct sl__slots *slots);

/*
 * The first whole and undamaged slot at or behind `from`: its place and the place behind it, or false. Without
 * `search` only the one exactly at `from`.
 */
bool sl__slots_find(const uint8_t *data, size_t size_bytes, size_t from, bool search, size_t *ret_at, size_t *ret_end);

struct sl_sink_batch {
    const struct sl__slots *slots;
    sl_record_reader *reader;
    size_t at;
    uint64_t unreadable; /* records that could not be decoded, in the last pass */
};

#endif
