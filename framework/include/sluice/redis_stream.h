/* SPDX-License-Identifier: MIT */
/*
 * Redis Streams: adding with a length limit, reading as a member of a group, taking over what a dead member left, and
 * acknowledging. Reading with a block needs a client of sl_redis_open_blocking().
 *
 *     sl_auto(sl_redis_reply) *reply = NULL;
 *     SL_TRY(sl_redis_stream_read(blocking, &read, &reply));
 *     struct sl_redis_list entries = sl_redis_stream_entries(reply);
 *     struct sl_redis_stream_entry entry;
 *     while (sl_redis_stream_next(&entries, &entry)) { ... ... }
 */
#ifndef SLUICE_REDIS_STREAM_H
#define SLUICE_REDIS_STREAM_H

#include "sluice/redis.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_REDIS_STREAM_ID_BYTES 48
#define SL_REDIS_STREAM_FIELDS_MAX 64

struct sl_redis_stream_add {
    const char *stream;
    const struct sl_bytes *fields; /* name, value, name, value... */
    size_t fields_count;           /* of both: even, 2 to 2 * SL_REDIS_STREAM_FIELDS_MAX */
    const char *id;                /* NULL: the server's choice. With one, a repeat is refused: SL_EEXIST */
    uint64_t max_length;           /* older entries go; 0: no limit */
    bool exact;                    /* not a few more */
    bool no_create;                /* SL_ENOENT when there is no such stream */
};

/* Adds an entry. `ret_id` (SL_REDIS_STREAM_ID_BYTES, may be NULL) gets its id. Codes as sl_redis_send(), SL_EINVAL. */
SL_MUST_CHECK int sl_redis_stream_add(sl_redis *redis, const struct sl_redis_stream_add *add, char *ret_id);

/* Makes a group that begins behind the entry `after` ("0": with the first; "$": with the next), and the stream. A group
 * that is there stays as it is. */
SL_MUST_CHECK int sl_redis_stream_group(sl_redis *redis, const char *stream, const char *group, const char *after);

struct sl_redis_stream_read {
    const char *stream, *group, *consumer;
    uint32_t count; /* at most so many entries; 0: 100 */
    sl_time block;  /* wait so long for one; 0: not at all. Only with sl_redis_open_blocking() */
    bool again;     /* what this consumer was given before and has not acknowledged, from the beginning */
};

/* New entries for this member of the group. 0 also when none came. SL_ENOENT: no such stream or group. */
SL_MUST_CHECK int sl_redis_stream_read(sl_redis *redis, const struct sl_redis_stream_read *read,
                                       sl_redis_reply **ret_reply);

struct sl_redis_stream_claim {
    const char *stream, *group, *consumer;
    sl_time min_idle; /* entries that nobody has acknowledged for so long */
    uint32_t count;   /* looked at; 0: 100 */
};

/*
 * Takes over entries from members that seem dead. `cursor` (SL_REDIS_STREAM_ID_BYTES) says where to go on; "0-0" begins,
 * and is what it is again when all were looked at.
 */
SL_MUST_CHECK int sl_redis_stream_claim(sl_redis *redis, const struct sl_redis_stream_claim *claim, char *cursor,
                                        sl_redis_reply **ret_reply);

/* Done with these (NULL-terminated, up to 100). Harmless when repeated: sent again after a broken connection. */
SL_MUST_CHECK int sl_redis_stream_ack(sl_redis *redis, const char *stream, const char *group, const char *const *ids);

/* Cuts the stream to about (`exact`: just) so many entries; `ret_removed` may be NULL. */
SL_MUST_CHECK int sl_redis_stream_trim(sl_redis *redis, const char *stream, uint64_t max_length, bool exact,
                                       int64_t *ret_removed);

/* The entries of a reply of read or claim, in order. */
struct sl_redis_stream_entry {
    const char *id;               /* borrowed from the reply, as are the fields */
    struct sl_redis_value fields; /* name, value...: sl_redis_value_find(); NIL: the entry was deleted */
};
struct sl_redis_list sl_redis_stream_entries(const sl_redis_reply *reply);
bool sl_redis_stream_next(struct sl_redis_list *entries, struct sl_redis_stream_entry *ret_entry);

#ifdef __cplusplus
}
#endif

#endif
