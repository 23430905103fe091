/* SPDX-License-Identifier: MIT */
/*
 * Replicas of one program: the instruments fall into partitions, each replica follows those of the partitions that it owns
 * (sluice/partition.h), and a change of owner loses no event.
 *
 *     old owner                                new owner
 *     says "handing over", gives the lease back
 *     goes on following it                     has the lease; subscribes; books are whole: says "live"
 *     goes on for SL_REPLICAS_OVERLAP, leaves
 *     it, says how far the sinks have it       compares that with what came first here: a gap is told, if there is any
 *
 * So both write for a while: sinks know the doubles by their identity, which is why events carry no fencing token (docs/decisions/stale-owners.md). An owner that
 * dies has stored how far its sinks were a moment ago; the next one begins there, and tells what is missing as a gap.
 * A lease may change hands again before the one before the last has left. Whoever has one says so before it follows
 * anything, and takes that back only when it leaves in order: the next owner waits for all who are handing over, and
 * where one never says its last word, what nobody has a position of is told as well.
 * With the backend `local` there is one partition, and positions are kept in a file if the configuration names one. It
 * says there, too, that it follows something, before it does: the next process tells a gap "restarted" from an unknown
 * beginning (id 0) of every feed of which one that was killed had not yet stored a position.
 *
 * Keys in Redis, beside those of sluice/partition.h: sluice:{GROUP}:position:N, a hash: "@fence" whom positions are from,
 * "@live" who follows it now, "@seen" whom the one of "@fence" had seen live when it left, "@open:TOKEN" for each lease whose
 * holder has not left in order ("owned", "handing", "gone"), and by key of position the id.
 */
#ifndef SL_INGEST_REPLICAS_H
#define SL_INGEST_REPLICAS_H

#include "ingest/config.h"
#include "ingest/replicas/positions.h"
#include "sluice/json_write.h"
#include "sluice/metrics.h"
#include "sluice/redis.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How long an old owner goes on after the new one has all: what is on its way to the slower of both. */
#define SL_REPLICAS_OVERLAP SL_MILLISECONDS(500)

/* How often positions are stored. */
#define SL_REPLICAS_STORE_EVERY SL_SECONDS(1)

/* How often the state of a change of owner is looked at; and otherwise. */
#define SL_REPLICAS_LOOK_EVERY SL_MILLISECONDS(100)

/* A new owner waits for the old one's last word so much longer than that may take; */
#define SL_REPLICAS_MARGIN SL_SECONDS(2)

/* and before it has all of it itself so much longer still, as the old one does: a book that nobody changes never becomes whole. */
#define SL_REPLICAS_PATIENCE SL_MINUTES(10)

typedef struct sl_replicas sl_replicas;
struct sl_program_parts;
struct sl_program_service;

/*
 * `conf` and `redis` (NULL with the backend `local`) are borrowed and must outlive it; so must the parts. Does not wait. 0,
 * SL_EINVAL, SL_ENOMEM; SL_EBUSY when another process keeps its positions in the same file (PATH.lock is locked by flock).
 */
SL_MUST_CHECK int sl_replicas_open(struct sl_program_parts *parts, const struct sl_conf *conf, sl_redis *redis,
                                   sl_replicas **ret_replicas);
void sl_replicas_close(sl_replicas *replicas); /* not while it runs; NULL is fine */
SL_AUTO_DECLARE(sl_replicas, sl_replicas_close)

/*
 * A task's body (argument: the replicas): takes part until it is asked to stop, then hands everything over, as long as
 * others are there and `drain` lasts. 0, or the codes of sl_partitions_run().
 */
SL_MUST_CHECK int sl_replicas_run(void *replicas);

/* After the services and sinks have ended in order: stores how far they came. Waits. */
void sl_replicas_end(sl_replicas *replicas);

/* Whether this replica follows the instrument: it owns its partition, or hands it over just now. NULL: it follows all. */
bool sl_replicas_follows(const sl_replicas *replicas, const sl_instrument *instrument);

/* Whether that is because its lease was lost: it was not handed over, and perhaps nobody follows it. */
bool sl_replicas_lost(const sl_replicas *replicas, const sl_instrument *instrument);

/*
 * Whether the instrument has come since that generation from an owner that died: what nobody stored a position of may
 * have been followed as well.
 */
bool sl_replicas_unclean(const sl_replicas *replicas, const sl_instrument *instrument, uint64_t since);

/* Grows whenever sl_replicas_follows() may say something else. */
uint64_t sl_replicas_generation(const sl_replicas *replicas);

/* Whether others may have what this one has not: an empty replica is no fault then. */
bool sl_replicas_shared(const sl_replicas *replicas);

/* How many replicas there are, as of the last beat; 1 at least. */
uint32_t sl_replicas_members(const sl_replicas *replicas);

sl_positions *sl_replicas_positions(sl_replicas *replicas);

/*
 * Whether it has all of what it is to have: it belongs to its group, its partitions are its own, and all of them comes.
 * False with the reason. Does not wait.
 */
bool sl_replicas_ready(const sl_replicas *replicas, char *reason, size_t reason_bytes);

/* Adds the figures of its part in the group. Does not wait. */
void sl_replicas_collect(const sl_replicas *replicas, sl_scrape *scrape);

/* Writes /api/partitions. Does not wait. */
void sl_replicas_view(sl_replicas *replicas, sl_json_writer *out);

#ifdef __cplusplus
}
#endif

#endif
