/* SPDX-License-Identifier: MIT */
/* What the files of replicas share. */
#ifndef SL_INGEST_REPLICAS_INTERNAL_H
#define SL_INGEST_REPLICAS_INTERNAL_H

#include "ingest/program/program.h"
#include "ingest/replicas/replicas.h"
#include "sluice/partition.h"

enum sl__part_state {
    SL__PART_AWAY,    /* another's, or nobody's */
    SL__PART_OWNED,   /* ours: the lease is */
    SL__PART_LEAVING, /* the lease is given back or lost, but we follow it until somebody else does */
};

/* One partition, as this replica sees it. */
struct sl__replica_part {
    uint32_t index;
    enum sl__part_state state;
    int64_t fence;       /* of our last lease; 0: never had one */
    int64_t before;      /* of an earlier one that we stored positions by, if we have followed it ever since; 0 */
    uint64_t generation; /* of what services follow, since it is owned */
    bool joined;         /* what those before reached is known, */
    bool unclean;        /* one of them has not said its last word: what is not known of may be missing, too */
    uint64_t claimed;    /* and services that have chosen since this generation go on from there */
    bool live;           /* OWNED: all of it comes, and the others know */
    sl_time join_by;     /* OWNED: until then those before may still say their last word */
    sl_time leave_by;    /* LEAVING: with or without an heir; SL_NEVER: with one only */
    int64_t heir;        /* LEAVING: the token of the one that has all; 0: none yet */
    sl_time leave_from;  /* LEAVING: positions taken from then on are the last; 0: not known yet */
    bool lost;           /* AWAY: the lease was, so that nobody may follow it now */
    bool alone;          /* LEAVING: nobody is there to hand it to: all ends in order soon */
};

/* How far a sink was when positions were taken: they count once it has stored so much. */
struct sl__mark {
    char sink[SL_OUTLET_NAME_MAX];
    uint64_t received;
};

struct sl_replicas {
    struct sl_program_parts *parts;
    const struct sl_conf_coordination *conf;
    sl_redis *redis; /* NULL: local */
    sl_partitions *partitions;
    char replica[SL_PARTITION_NAME_BYTES];
    sl_positions *positions;
    uint64_t generation;
    uint32_t members;
    sl_event changed;
    bool stopping;
    /* The positions that are on their way to the store. */
    bool taken;
    uint64_t taken_chosen; /* all services had chosen since this generation */
    sl_time taken_at, take_next;
    struct sl__mark marks[SL_PROGRAM_PARTS_MAX];
    size_t mark_count;
    int store_code; /* of the last try, for telling it once */
    /* Of the file: it says that we follow something; it said so of one before us; what it had is known; it is ours. */
    bool file_opened, file_unclean, file_taken;
    int file_lock; /* a descriptor, or -1 */
    /* For views. */
    struct sl_partition_owner *owners;
    sl_time owners_next;
    uint32_t *followed; /* instruments here, by partition */
    uint32_t *pending;  /* subscriptions that bring nothing yet, by partition; between two waits */
    uint32_t count;
    struct sl__replica_part all[];
};

uint32_t sl__replicas_partition_of(const sl_replicas *replicas, const sl_instrument *instrument);

/* Whether the positions that were taken may be stored. */
bool sl__replicas_may_save(const sl_replicas *replicas, const struct sl__replica_part *part);

/* Whether services that have had a life since know of all that happened ahead of us. */
bool sl__replicas_is_told(const sl_replicas *replicas, const struct sl__replica_part *part);

/* ---- replicas_store.c: where positions are kept ---- */

/* What is said of a partition. */
struct sl__told {
    int64_t fence;   /* of the one whose positions are there */
    int64_t live;    /* of the one that has all of it */
    int64_t seen;    /* the heir that the one of `fence` has seen live, before it left */
    int64_t members; /* of the group, live ones */
    size_t open;     /* others with older leases who have not left in order, ... */
    size_t handing;  /* ... of them those who go on until somebody has all of it */
};

/* The file is nobody else's from now on: 0 (also where it cannot be: saving tells of that); SL_EBUSY. */
SL_MUST_CHECK int sl__store_lock(sl_replicas *replicas);

/* We begin to follow it: until we leave in order it is known that we may have had what nobody has a position of. */
SL_MUST_CHECK int sl__store_open(sl_replicas *replicas, uint32_t index, int64_t fence, int64_t before);

SL_MUST_CHECK int sl__store_look(sl_replicas *replicas, const struct sl__replica_part *part, struct sl__told *ret_told);

/* The partition's positions become ours: what is there is expected by the services. */
SL_MUST_CHECK int sl__store_take(sl_replicas *replicas, const struct sl__replica_part *part, bool seamless);

/* Says that we have all of it. */
SL_MUST_CHECK int sl__store_live(sl_replicas *replicas, const struct sl__replica_part *part);

/* Says that we go on until somebody else has all of it. */
SL_MUST_CHECK int sl__store_handing(sl_replicas *replicas, const struct sl__replica_part *part);

/* Says that we follow it no more: `in_order`, so that nothing that we had is missing behind its position, or an heir has it. */
SL_MUST_CHECK int sl__store_left(sl_replicas *replicas, const struct sl__replica_part *part, bool in_order);

/* Stores what was noted since the last time, of all partitions that are ours to tell of. */
SL_MUST_CHECK int sl__store_save(sl_replicas *replicas);

/* Stores what the services had reached when they ended. */
SL_MUST_CHECK int sl__store_save_last(sl_replicas *replicas);

#endif
