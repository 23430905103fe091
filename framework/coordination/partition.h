/* SPDX-License-Identifier: MIT */
/* What the files of the partitions share: what a backend does. */
#ifndef SL_COORDINATION_PARTITION_H
#define SL_COORDINATION_PARTITION_H

#include "sluice/partition.h"

/* The group as a beat found it. */
struct sl__members {
    size_t count;
    char names[SL_PARTITION_MEMBERS_MAX][SL_PARTITION_NAME_BYTES];
    int64_t born; /* when the group's data began; another value than before: the server had lost it */
    sl_time age;  /* how long ago that is */
    sl_time next; /* until another member may be found dead; SL_NEVER */
};

struct sl__partition_backend {
    /* Says that we live, and asks who else does. */
    int (*beat)(sl_partitions *partitions, struct sl__members *ret_members);
    int (*leave)(sl_partitions *partitions);
    /* Waits until the partition is ours, until `scope` ends. */
    int (*take)(sl_partitions *partitions, sl_scope *scope, uint32_t index, struct sl_partition *ret_partition);
    int (*owners)(sl_partitions *partitions, struct sl_partition_owner *ret_owners);
    /* Begins and ends to hear of changes. */
    void (*listen)(sl_partitions *partitions);
    void (*unlisten)(sl_partitions *partitions);
};

extern const struct sl__partition_backend sl__partitions_redis;

/* One partition, in this replica. */
struct sl__part {
    sl_partitions *partitions;
    uint32_t index;
    bool wanted, running, owned;
    int64_t fence;
    uint32_t refusals; /* by a sink, in a row */
    sl_scope *scope;   /* of its task, while it waits or owns; NULL */
};

#define SL__PARTITION_KEY_BYTES (SL_PARTITION_NAME_BYTES + 40)

struct sl_partitions {
    struct sl_partitions_options options;
    const struct sl__partition_backend *backend;
    char group[SL_PARTITION_NAME_BYTES], replica[SL_PARTITION_NAME_BYTES];
    char members_key[SL__PARTITION_KEY_BYTES], owners_key[SL__PARTITION_KEY_BYTES],
        channel[SL__PARTITION_KEY_BYTES]; /* REDIS */
    struct sl_redis_ear ear;              /* heard: the group may have changed */
    int64_t top; /* the largest token that is known of the group: it outlives the server's data */
    bool joined, left;
    int64_t born; /* as of the newest assignment */
    int64_t born_seen;
    sl_time settled; /* from when on what is seen may count */
    bool settling;   /* the others have time to beat */
    struct sl__members *members;
    uint32_t *assignment;
    struct sl_partitions_stats stats;
    struct sl__part parts[];
};

#endif
