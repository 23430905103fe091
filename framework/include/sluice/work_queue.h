/* SPDX-License-Identifier: MIT */
/*
 * A queue of jobs that outlive whoever works on them: added by anyone, each done by one worker at a time, taken over from
 * a worker that died, tried again with backoff when it fails, put aside with its reason when it fails too often.
 *
 *     static int fetch_day(void *arg, sl_job *job)
 *     {
 *         ... from sl_job_progress(job) on, telling sl_job_checkpoint(job, "page 7") now and then ...
 *         return 0;        it is done; an error: tried again later
 *     }
 *
 *     SL_TRY(sl_work_open(&scope, &(struct sl_work_options){.redis = redis, .name = "history"}, &work));
 *     SL_TRY(sl_work_add(work, &(struct sl_job_spec){.key = "btc:2024-01-01", .body = "..."}, NULL));
 *     SL_TRY(sl_work_run(work, &(struct sl_work_run){.on_job = fetch_day, .concurrency = 4}));
 *
 * A job in hand belongs to a scope and is given back on every way out of it. What is promised is "at least once": a
 * worker that was cut off may do a piece that another one does again, so what a job does must be harmless when it is
 * repeated, or check sl_job_fence() where it writes. A key is one job: while it is queued, in hand, put aside, or was
 * done not longer ago than `remember`, adding it again has no effect.
 *
 * Backends: `local` (this process' memory, and a file that keeps it if one is named; no server) and `redis` (a stream
 * with a consumer group). What they have in common is what a broker with acknowledgements can give, too (RabbitMQ: add = a confirmed
 * publish with the key as message id, in hand = unacknowledged, retry = a delayed copy, checkpoint = a copy with the
 * progress in place of the message).
 *
 * Keys in Redis (6.2 or later), all in one slot: sluice:{NAME}:jobs, the stream of jobs that wait or are in hand, an
 * entry goes when its job does; :later, a sorted set of jobs by when they may be tried again; :job:KEY, what is known of
 * a job; :dead, the stream of dead letters, trimmed; the channel sluice:{NAME}:work, a hint. Each step is one script,
 * harmless when sent twice.
 */
#ifndef SLUICE_WORK_QUEUE_H
#define SLUICE_WORK_QUEUE_H

#include "sluice/redis.h"
#include "sluice/scope.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_work sl_work;
typedef struct sl_job sl_job;

enum sl_work_backend { SL_WORK_LOCAL, SL_WORK_REDIS };

#define SL_WORK_NAME_BYTES 64 /* with the NUL */
#define SL_WORK_KEY_BYTES 256 /* of a job, with the NUL */
#define SL_WORK_BODY_MAX ((size_t)64 * 1024)
#define SL_WORK_PROGRESS_MAX ((size_t)4 * 1024)
#define SL_WORK_REASON_BYTES 256 /* longer ones are cut */

#define SL_WORK_ATTEMPTS 5
#define SL_WORK_LEASE SL_SECONDS(30)
#define SL_WORK_LEASE_MIN SL_MILLISECONDS(300)
#define SL_WORK_LEASE_MAX SL_MINUTES(60)
#define SL_WORK_JOBS_MAX 100000
#define SL_WORK_DEAD_MAX 1000
#define SL_WORK_REMEMBER SL_MINUTES(1440)
#define SL_WORK_BACKOFF_INITIAL SL_SECONDS(1)
#define SL_WORK_BACKOFF_MAX SL_MINUTES(5)
#define SL_WORK_CONCURRENCY_MAX 1024

/* Zero: the defaults. All workers of a queue should have the same. */
struct sl_work_options {
    enum sl_work_backend backend;
    sl_redis *redis;   /* REDIS: borrowed; its scope must not end before this one's */
    const char *path;  /* LOCAL: the file that keeps it over restarts, of this process alone; NULL: none */
    const char *name;  /* of the queue; no braces; NULL: "work" */
    uint32_t attempts; /* failures, a worker's death among them, after which a job is put aside; 0: SL_WORK_ATTEMPTS */
    sl_time lease;     /* a job whose worker is silent for so long is taken over; 0: SL_WORK_LEASE */
    struct sl_backoff backoff; /* before the next attempt; zeros: SL_WORK_BACKOFF_INITIAL, SL_WORK_BACKOFF_MAX */
    size_t jobs_max;           /* that wait, are in hand or are to be tried again; 0: SL_WORK_JOBS_MAX */
    size_t dead_max;           /* dead letters that are kept, about; 0: SL_WORK_DEAD_MAX */
    sl_time remember;          /* the key of a job that is done or dead is kept for so long; 0: SL_WORK_REMEMBER */
};

/*
 * A queue that ends with `scope`. Does not wait: what the server says shows in the other calls. Texts are copied. 0;
 * SL_EINVAL (a value out of its range, a backend without its client); SL_ENOMEM; SL_ECLOSED; of a file: SL_EBUSY
 * (another process has it), SL_EPROTO (it is none of ours), the system's codes. A file is written as jobs change, and is
 * as a killed process left it; a power cut may take the last changes.
 */
SL_MUST_CHECK int sl_work_open(sl_scope *scope, const struct sl_work_options *options, sl_work **ret_work);

/* ---- adding ---- */

struct sl_job_spec {
    const char *key;   /* what it is: 1 to SL_WORK_KEY_BYTES - 1 bytes */
    const char *body;  /* any bytes; NULL: none */
    size_t body_bytes; /* up to SL_WORK_BODY_MAX; 0 with a body: it is a text */
    sl_time delay;     /* not before so much later; 0: at once */
};

/*
 * Adds a job, unless its key is known. `ret_added` (may be NULL) says whether. 0; SL_EAGAIN: the queue is full, add it
 * later; SL_EINVAL; SL_EMSGSIZE; SL_ENOMEM; what the client gives: then nobody knows, and it may be added again.
 * Cancellation point.
 */
SL_MUST_CHECK int sl_work_add(sl_work *work, const struct sl_job_spec *spec, bool *ret_added);

/* ---- working ---- */

/*
 * Waits for a job, which then belongs to `scope` (of the calling task) until it is settled: kept by a daemon while it is worked on, given back
 * at once when the scope ends, and when it is lost (its worker was silent for too long, the server forgot it) the scope
 * is cancelled (SL_CAUSE_LOST), its result SL_ELOCKLOST. `job` is valid until the scope has closed. 0; SL_ECLOSED: the
 * task was asked to stop; SL_ECANCELED (a job that was taken unseen was given back); what the client gives.
 * Cancellation point.
 */
SL_MUST_CHECK int sl_work_take(sl_work *work, sl_scope *scope, sl_job **ret_job);

/* What it is; borrowed from the job. The body and the progress have a NUL behind them; progress is "" at first. */
const char *sl_job_key(const sl_job *job);
const char *sl_job_body(const sl_job *job, size_t *ret_bytes);
const char *sl_job_progress(const sl_job *job);

/* How often it has failed before. */
uint32_t sl_job_failures(const sl_job *job);

/* Grows with each worker that takes the job: who has seen 3 of a key may refuse 2. */
int64_t sl_job_fence(const sl_job *job);

/*
 * Keeps how far it has come, for whoever goes on: up to SL_WORK_PROGRESS_MAX bytes of text, in place of what was kept
 * before. 0; SL_ELOCKLOST: it is someone else's now; SL_EALREADY: settled; SL_EMSGSIZE; what the client gives.
 * Cancellation point.
 */
SL_MUST_CHECK int sl_job_checkpoint(sl_job *job, const char *progress);

/*
 * Settling, once: 0; SL_ELOCKLOST, SL_EALREADY as above. After any other code nobody knows: it may be called again.
 * Cancellation points.
 *   done: it will not be seen again.
 *   give_back: someone goes on at once; no failure.
 *   postpone: someone goes on after `delay` (more than 0), because it is too early; no failure.
 *   fail: counts one; it is tried again after the backoff, or put aside when that was the last attempt.
 *   bury: put aside at once: trying again is no use.
 */
SL_MUST_CHECK int sl_job_done(sl_job *job);
SL_MUST_CHECK int sl_job_give_back(sl_job *job);
SL_MUST_CHECK int sl_job_postpone(sl_job *job, sl_time delay);
SL_MUST_CHECK int sl_job_fail(sl_job *job, const char *reason);
SL_MUST_CHECK int sl_job_bury(sl_job *job, const char *reason);

/* For how long the job may still be relied on; SL_NEVER with the backend `local`. Never waits. */
sl_time sl_job_left(const sl_job *job);

/*
 * One job, in a scope of its own that is cancelled when the job is lost. What it returns settles it, unless that was
 * done: 0: done; SL_ECANCELED because of a scope further out: given back; any other code: failed, with the error's
 * message as the reason. When sl_stop_requested() it should checkpoint, sl_job_give_back() and return 0.
 */
typedef int (*sl_job_fn)(void *arg, sl_job *job);

struct sl_work_run {
    sl_job_fn on_job;
    void *arg;
    uint32_t concurrency; /* jobs at once, up to SL_WORK_CONCURRENCY_MAX; 0: 1 */
    bool until_empty;     /* ends when nothing waits, is in hand or is to be tried again, of anyone */
};

/*
 * Works until it is asked to stop, with a job in hand until that ends; while the server is away it waits. 0;
 * SL_ECANCELED; SL_ENOMEM; SL_EINVAL; -EACCES. Cancellation point.
 */
SL_MUST_CHECK int sl_work_run(sl_work *work, const struct sl_work_run *run);

/* ---- views ---- */

/* Counters of this process. */
struct sl_work_stats {
    uint64_t added;
    uint64_t known;   /* not added: the key was known */
    uint64_t refused; /* not added: full */
    uint64_t taken;
    uint64_t taken_over; /* of which from a worker that was silent */
    uint64_t done, given_back, failed, buried;
    uint64_t lost; /* in hand, and then someone else's */
    uint64_t checkpoints, renewals, renewals_failed;
    uint32_t in_hand; /* just now */
};
void sl_work_stats_get(const sl_work *work, struct sl_work_stats *ret_stats);

/* What the queue holds, of all workers. Cancellation point. */
struct sl_work_depth {
    uint64_t waiting, in_hand, later, dead;
};
SL_MUST_CHECK int sl_work_depth(sl_work *work, struct sl_work_depth *ret_depth);

/* A job that was put aside. Texts are borrowed during the call. */
struct sl_work_dead {
    const char *key, *body, *reason, *progress;
    size_t body_bytes;
    uint32_t failures;
    int64_t time_ns; /* since 1970 */
};
typedef int (*sl_work_dead_fn)(void *arg, const struct sl_work_dead *dead);

/* Tells of each, oldest first, up to `dead_max`; ends when the function returns not 0, with that. Cancellation point. */
SL_MUST_CHECK int sl_work_dead_list(sl_work *work, sl_work_dead_fn fn, void *arg);

/* Puts it back into the queue with its progress and no failures. 0; SL_ENOENT; SL_EAGAIN: full. Cancellation point. */
SL_MUST_CHECK int sl_work_revive(sl_work *work, const char *key);

#ifdef __cplusplus
}
#endif

#endif
