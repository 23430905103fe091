/* SPDX-License-Identifier: MIT */
/* What the files of the work queue share: a job in hand, and what a backend does. */
#ifndef SL_COORDINATION_WORK_QUEUE_H
#define SL_COORDINATION_WORK_QUEUE_H

#include "../runtime/internal.h"
#include "sluice/redis_stream.h"
#include "sluice/sync.h"
#include "sluice/work_queue.h"

#define SL__WORK_TOKEN_BYTES 33

/* How a job is settled. */
enum sl__work_how { SL__WORK_DONE, SL__WORK_BACK, SL__WORK_FAIL, SL__WORK_BURY };

struct sl_job {
    sl_work *work;
    sl_scope *scope;
    char token[SL__WORK_TOKEN_BYTES]; /* says whose the job is */
    char *key, *body, *progress;
    size_t body_bytes;
    uint32_t failures;
    int64_t fence;
    char entry[SL_REDIS_STREAM_ID_BYTES]; /* REDIS */
    uint32_t asked;                       /* something was sent that may have taken a job, since the answer was known */
    bool held;
    bool settled;            /* or known to be another's */
    bool ending;             /* it is being settled: no renewal any more */
    enum sl__work_how tried; /* what settling was tried last, and nobody knows what came of it */
    bool maybe_settled;
    const char *lost; /* why; NULL while it is not */
    sl_time expiry,
        boot_expiry; /* it is not taken over before; by sl_now(), and by the clock that goes on in a suspend */
    struct sl__timer deadline;
    sl_time postpone; /* given back: not before so much later */
    sl_event changed; /* for the keeper: it ends */
};

/* What a backend says to somebody who asks for a job. */
struct sl__work_answer {
    bool taken;      /* then the job is filled in */
    bool taken_over; /* from a worker that was silent */
    bool empty;      /* nothing waits, is in hand or is to be tried again */
    sl_time wait;    /* until one may be tried again; SL_NEVER */
};

/* What came of settling one. */
struct sl__work_settled {
    bool ours;
    bool buried;
    bool before; /* an earlier call did it, whose answer was lost */
};

/* The part of the lease that one attempt to say something about a job may take. */
#define SL__WORK_TRY_SHARE 3

struct sl__work_backend {
    int (*add)(sl_work *work, const struct sl_job_spec *spec, bool *ret_added);
    int (*take)(sl_work *work, sl_job *job, struct sl__work_answer *ret_answer);
    /* The job goes on being ours; `progress` (NULL: none) is kept. */
    int (*keep)(sl_work *work, sl_job *job, const char *progress, sl_time timeout, bool *ret_ours);
    int (*settle)(sl_work *work, sl_job *job, enum sl__work_how how, const char *reason,
                  struct sl__work_settled *ret_settled);
    int (*depth)(sl_work *work, struct sl_work_depth *ret_depth);
    int (*dead_list)(sl_work *work, sl_work_dead_fn fn, void *arg);
    int (*revive)(sl_work *work, const char *key);
    int (*open)(sl_work *work);
    void (*close)(sl_work *work);
};

extern const struct sl__work_backend sl__work_local, sl__work_redis;

/* Somebody who waits for a job. */
struct sl__work_taker {
    struct sl_redis_ear ear; /* heard: there may be one */
    struct sl__work_taker *next, *prev;
};

struct sl_work {
    struct sl_work_options options;
    const struct sl__work_backend *backend;
    char name[SL_WORK_NAME_BYTES];
    struct sl_work_stats stats;
    struct sl__work_taker *takers;
    void *state; /* the backend's */
};

/* Everybody who waits here looks again. */
void sl__work_wake(sl_work *work);

/* Fills in what a taken job is; copies. 0 or SL_ENOMEM. */
SL_MUST_CHECK int sl__work_fill(sl_job *job, struct sl_bytes key, struct sl_bytes body, struct sl_bytes progress);

/* Before its next attempt, when it has failed so often. */
sl_time sl__work_delay(const sl_work *work, uint32_t failures);

#endif
