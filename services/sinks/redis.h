/* SPDX-License-Identifier: MIT */
/*
 * A sink into Redis Streams: XADD of entries with one field "event", the JSON form (docs/reference/events.md), trimmed
 * by MAXLEN ~.
 *
 * Identity: entries go in by a script that first looks at a key which holds the number of the last event that is in.
 * There is one such key for each life of the outlet's queue ("market:sluice:NAME:RUN"; it expires), events of one life
 * come in the order of their numbers, and a script is carried out whole or not at all: a repeat is left out, however
 * the answer to the first attempt was lost, and however many writers share a stream. (Entry ids made of our numbers
 * would do without the key, but a stream takes only growing ids: two writers would shut each other out.)
 *
 * In a cluster all keys of a call must be in one slot: give the stream's name a hash tag, "{market}:<kind>".
 */
#ifndef SLUICE_SINKS_REDIS_H
#define SLUICE_SINKS_REDIS_H

#include "sinks/sink.h"
#include "sluice/redis.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_REDIS_STREAM_DEFAULT "market:<kind>"
#define SL_REDIS_STREAM_EVENTS_DEFAULT UINT64_C(1000000)
#define SL_REDIS_SEEN_SECONDS_DEFAULT 604800

typedef struct sl_redis_sink_options {
    const struct sl_redis_options *client; /* borrowed as long as the sink lives */
    const char *name;                      /* of this sink; part of the key that keeps identity */
    const char *stream;                    /* a template (template.h); NULL: SL_REDIS_STREAM_DEFAULT */
    uint64_t max_events;                   /* a stream keeps about so many; 0: the default; UINT64_MAX: all */
    uint32_t seen_seconds; /* so long a spool may keep events that were half-delivered; 0: the default */
} sl_redis_sink_options;

/* Makes the sink. 0, SL_EINVAL, SL_ENOMEM. */
SL_MUST_CHECK int sl_redis_sink_new(const sl_redis_sink_options *options, sl_sink **ret_sink);

#ifdef __cplusplus
}
#endif

#endif
