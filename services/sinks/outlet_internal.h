/* SPDX-License-Identifier: MIT */
/* What the files of the outlet share: outlet.c has the queue's side, outlet_send.c the sink's and the disk's. */
#ifndef SLUICE_SINKS_OUTLET_INTERNAL_H
#define SLUICE_SINKS_OUTLET_INTERNAL_H

#include "sinks/outlet.h"
#include "sinks/ring.h"

/* What a task of the outlet waits for, so that the feed wakes it only for that. */
enum sl__outlet_wait {
    SL__WAIT_NOTHING = 0,
    SL__WAIT_STATE,    /* a change of state; it ends the others, too */
    SL__WAIT_ANY,      /* an event in the queue */
    SL__WAIT_FULL,     /* a whole batch in the queue */
    SL__WAIT_PRESSURE, /* the queue is half full */
};

struct sl__outlet_waiter {
    enum sl__outlet_wait what;
    sl_event event;
};

struct sl_outlet {
    sl_outlet_options options;
    char name[SL_OUTLET_NAME_MAX];
    char folder[SL_SPOOL_PATH_MAX];
    sl_sink *sink;
    sl_record_reader *reader;
    struct sl__ring ring;
    sl_stamp stamp;        /* of the last event that came */
    sl_time waiting_since; /* the oldest event came into an empty queue then */
    sl_scope *scope;       /* around all of it, while it runs */
    bool ended;
    bool last_try; /* made after the end, because the sink was away */
    /* The sender's batch: being written, or kept until it is. */
    struct sl__slots batch;
    bool batch_from_spool; /* it was read from there, and is there until it is delivered */
    bool batch_on_disk;    /* it is in the spool, too */
    uint64_t delivered;    /* events of this life up to this number are done with */
    uint32_t attempts;     /* failures in a row */
    struct sl__outlet_waiter sender, spooler;
    sl_event room; /* somebody waits for room in the queue */
    bool room_wanted;
    /* The spool, NULL but with SL_FULL_SPOOL while it runs. */
    sl_spool *spool;
    sl_mutex spool_lock;
    uint64_t spool_damaged;    /* places that it has told of */
    bool spool_of_before;      /* what is read next may be an earlier life's */
    struct sl__slots spooling; /* on its way to the disk */
    bool disk_busy;            /* `spooling` is being written */
    bool disk_failed;          /* `spooling` could not be written, and is kept */
    bool disk_slow;            /* the feed has waited in vain: it waits no more until the disk has taken something */
    sl_outlet_stats stats;
    struct sl_histogram latency;
};

/* outlet.c: moves the oldest events from the queue to `slots`, up to a batch; how many. */
SL_MUST_CHECK int sl__outlet_fill(sl_outlet *outlet, struct sl__slots *slots);

/* outlet.c: there is room in the queue; the state has changed. */
void sl__outlet_tell_room(sl_outlet *outlet);
void sl__outlet_tell_all(sl_outlet *outlet);

/* outlet.c: from now on the queue goes to disk. */
void sl__outlet_start_spooling(sl_outlet *outlet);

/* outlet.c: whether a whole batch is in the queue. */
bool sl__outlet_batch_full(const sl_outlet *outlet);

/* outlet.c: keeps the story of the last failure as the outlet's problem, or as its spool's. */
void sl__outlet_note(sl_outlet *outlet, int code);
void sl__outlet_note_disk(sl_outlet *outlet, int code);

/* outlet_send.c, outlet_spool.c: the two tasks of an outlet. */
int sl__outlet_send(void *outlet);
int sl__outlet_spool(void *outlet);

/* outlet.c: waits for that, or until the time (absolute) has come. */
SL_MUST_CHECK int sl__outlet_wait(struct sl__outlet_waiter *waiter, enum sl__outlet_wait what, sl_time until);

/* outlet.c: when the oldest event in the queue makes a batch, however small. */
sl_time sl__outlet_due(const sl_outlet *outlet);

/* outlet_spool.c: opens the spool; fills the sender's batch from it (1, or 0 when nothing waits there); notes that
 * the batch is delivered; leaves it for the direct way (1 when that gave the sender a batch). */
SL_MUST_CHECK int sl__outlet_spool_open(sl_outlet *outlet);
SL_MUST_CHECK int sl__outlet_spool_read(sl_outlet *outlet);
SL_MUST_CHECK int sl__outlet_spool_advance(sl_outlet *outlet);
int sl__outlet_spool_leave(sl_outlet *outlet);
/* outlet_spool.c: a cleanup: what is left in memory goes to disk, and the spool is closed. */
int sl__outlet_spool_rest(void *outlet);

#endif
