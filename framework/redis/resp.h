/* SPDX-License-Identifier: MIT */
/*
 * RESP2 and RESP3 without I/O: where a reply ends in a stream of bytes, what its values are, and commands as bytes.
 * A reply is kept as the bytes it came in; values are views into them. Source: redis.io, "RESP protocol description".
 */
#ifndef SL_REDIS_RESP_H
#define SL_REDIS_RESP_H

#include "sluice/redis.h"

/* A line longer than this (a number, a status, an error) is no reply. */
#define SL__RESP_LINE_BYTES_MAX ((size_t)16 * 1024)

struct sl__resp_reader {
    size_t bytes_max; /* of one reply */
    char *built;      /* a reply that did not come in one piece, so far */
    size_t built_bytes, built_capacity;
    size_t scanned;  /* bytes of it whose meaning is known */
    size_t searched; /* bytes behind these that hold no end of line */
    size_t body;     /* bytes of a text, with its end of line, that come next; 0: a line does */
    uint32_t depth;
    uint64_t left[SL_REDIS_DEPTH_MAX + 1]; /* values that are still to come at each depth */
};

void sl__resp_init(struct sl__resp_reader *reader, size_t bytes_max);
void sl__resp_done(struct sl__resp_reader *reader);

/*
 * Takes bytes: up to the end of a reply (1: `ret_reply` shows it, until the next call) or all (0: more are
 * needed). SL_EPROTO, SL_EMSGSIZE, SL_ENOMEM: the stream cannot be read any further.
 */
int sl__resp_feed(struct sl__resp_reader *reader, const char *data, size_t size_bytes, size_t *ret_used,
                  struct sl_view *ret_reply);

/* The value that begins at `text`, in a reply that sl__resp_feed() has accepted; and where it ends. Ends texts with NUL. */
struct sl_redis_value sl__resp_value(const char *text);
const char *sl__resp_skip(const char *text);

/* "-12", from `text` up to `end`. False when it is no whole number of 64 bits. */
bool sl__resp_integer(const char *text, const char *end, int64_t *ret_integer);

/* Commands. */
size_t sl__resp_command_bytes(const struct sl_bytes *arguments, size_t count);
char *sl__resp_command_put(char *out, const struct sl_bytes *arguments, size_t count); /* where it ends */

#endif
