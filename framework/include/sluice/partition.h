/* SPDX-License-Identifier: MIT */
/*
 * Work split among replicas. What is to be done falls into a number of partitions; each is owned by one replica at a
 * time, for whose ownership a task runs, with a fencing token that only grows.
 *
 *     static int serve(void *arg, const struct sl_partition *partition)
 *     {
 *         ... until sl_stop_requested(); what is written carries partition->index and partition->fence ...
 *     }
 *
 *     SL_TRY(sl_partitions_run(&(struct sl_partitions_options){
 *         .backend = SL_PARTITIONS_REDIS, .redis = redis, .group = "feeds", .count = 64, .on_owned = serve}));
 *
 * Members beat in Redis; each computes the same assignment from the list of them, gives back what is not its own any
 * more and takes what is. A replica that stops hands over at once, one that dies is followed within the TTL.
 * With the backend `local` the only replica owns all, without a server. Nothing above can tell which it is.
 *
 * A replica that is frozen for longer than the TTL may write once more after it wakes, before it is cancelled: what must be
 * right in spite of that has the token checked where it is written (a sink that has seen 34 of a partition refuses 33).
 *
 * Keys: sluice:{GROUP}:members, a sorted set of members by when they expire; sluice:{GROUP}:p:N, the lock of a
 * partition, with :fence behind it; sluice:{GROUP}:owners, for views and to know when data was lost; the channel sluice:{GROUP}:events, a hint.
 * Sources: Thaler and Ravishankar, "Using name-based mappings to increase hit rates" (rendezvous hashing).
 */
#ifndef SLUICE_PARTITION_H
#define SLUICE_PARTITION_H

#include "sluice/lock.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- which partition, and whose: pure functions ---- */

#define SL_PARTITIONS_MAX 1024
#define SL_PARTITION_MEMBERS_MAX 256
#define SL_PARTITION_NAME_BYTES 64 /* of groups and replicas, with the NUL */

/*
 * A stable hash: FNV-1a of 64 bits, its bits mixed by splitmix64's finalizer. The same in each release and on each
 * machine: stored data may depend on it.
 */
uint64_t sl_partition_hash(const void *bytes, size_t size_bytes);

/* The partition, 0 to count - 1, of a text such as an instrument's name. `count` is 1 or more. */
uint32_t sl_partition_of(const char *text, uint32_t count);

/*
 * Whose each partition is: ret_owners[i] is the index of a member. Rendezvous hashing, but nobody gets more than
 * ceil(count / members). The answer depends on the set of names alone, not on their order, nor on what was before.
 * `members_count` is 1 or more; names differ. O(count * members_count), never waits.
 */
void sl_partitions_assign(const char *const *members, size_t members_count, uint32_t count, uint32_t *ret_owners);

/* ---- owning ---- */

typedef struct sl_partitions sl_partitions;

enum sl_partitions_backend { SL_PARTITIONS_LOCAL, SL_PARTITIONS_REDIS };

/* A partition that is owned. */
struct sl_partition {
    uint32_t index;
    int64_t fence;       /* larger than those of all owners before */
    const sl_lock *lock; /* its lease: sl_lock_left(); NULL with the backend `local` */
};

/*
 * Runs in a task and a scope of its own for as long as the partition is owned. When it is to be handed over
 * sl_stop_requested() turns true; after `drain`, or at once when the lease is lost (SL_CAUSE_LOST), it is cancelled. Returned with 0, the partition
 * is still owned. SL_ELOCKLOST (a sink has refused its token): it is given back and tried for anew, with a larger token. Other errors end
 * sl_partitions_run().
 */
typedef int (*sl_partition_fn)(void *arg, const struct sl_partition *partition);

#define SL_PARTITIONS_DRAIN SL_SECONDS(5)
#define SL_PARTITIONS_TTL_MIN SL_MILLISECONDS(300)
#define SL_PARTITIONS_TTL_MAX SL_MINUTES(10)

struct sl_partitions_options {
    enum sl_partitions_backend backend;
    sl_redis *redis;     /* REDIS: borrowed */
    const char *group;   /* who shares work has the same; no braces; NULL: "default" */
    const char *replica; /* this process' name, unique in the group; NULL: made from the process and a random number */
    uint32_t count;      /* of partitions, the same in all replicas; 1 to SL_PARTITIONS_MAX */
    sl_time ttl;         /* a dead replica is followed after this; 0: SL_LOCK_TTL */
    sl_time drain;       /* for a partition's task to end when it is asked to; 0: SL_PARTITIONS_DRAIN */
    sl_partition_fn on_owned;
    void *arg;
    sl_partitions **ret_partitions; /* set while it runs, then NULL: for views; may be NULL */
};

/*
 * Takes part until the scope around it is stopped or cancelled, then hands everything over. While Redis is away what is
 * owned stays so until its lease ends. 0 after a stop; SL_ECANCELED; an error of on_owned; SL_EINVAL; SL_ENOMEM;
 * -EACCES. Cancellation point.
 */
SL_MUST_CHECK int sl_partitions_run(const struct sl_partitions_options *options);

/* ---- views ---- */

struct sl_partitions_stats {
    const char *replica; /* borrowed */
    uint32_t count, members, wanted, owned;
    uint64_t taken;       /* leases */
    uint64_t handed_over; /* of which given back */
    uint64_t lost;        /* of which lost: expired, or refused by a sink */
    uint64_t beats, beats_failed, takes_failed;
};
void sl_partitions_stats_get(const sl_partitions *partitions, struct sl_partitions_stats *ret_stats);

/* Whether this replica owns it, and its token. Never waits. */
bool sl_partitions_owned(const sl_partitions *partitions, uint32_t index, int64_t *ret_fence);

struct sl_partition_owner {
    char replica[SL_PARTITION_NAME_BYTES]; /* "" : nobody, or it has not said so yet */
    int64_t fence;
};

/* Who owns what in all the group, asked of the server. `ret_owners` has `count` places. Cancellation point. */
SL_MUST_CHECK int sl_partitions_owners(sl_partitions *partitions, struct sl_partition_owner *ret_owners);

#ifdef __cplusplus
}
#endif

#endif
