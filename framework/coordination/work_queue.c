/* SPDX-License-Identifier: MIT */
/*
 * The queue and the life of a job in hand, whatever keeps it: as with a lock, a slot for giving it back is armed before
 * anything is sent, so that whatever becomes of the answer it is given back; then a task keeps it and a timer watches.
 */
#include "work_queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lock.h"
#include "sluice/channel.h"
#include "sluice/runtime.h"

/* The longest that one who waits for a job sleeps without having heard anything. */
#define POLL_MAX SL_SECONDS(1)
#define POLL_JITTER SL_MILLISECONDS(20)

/* The part of the lease that is not relied on: for clocks that differ, and for unwinding. */
#define MARGIN_SHARE 10

/* How often a scope's end tries to give the job back, within its budget. */
#define GIVE_BACK_TRIES 3
#define GIVE_BACK_BUDGET SL_SECONDS(4)

/* ---- the queue ---- */

static int check(const struct sl_work_options *options)
{
    if ((unsigned)options->backend > SL_WORK_REDIS || (options->backend == SL_WORK_REDIS) != (options->redis != NULL)) {
        return sl_fail(SL_EINVAL, "a work queue is local, or has a client of Redis");
    }
    if (options->path != NULL && options->backend != SL_WORK_LOCAL) {
        return sl_fail(SL_EINVAL, "only a local work queue has a file");
    }
    if (options->name != NULL && (*options->name == '\0' || strlen(options->name) >= SL_WORK_NAME_BYTES ||
                                  strpbrk(options->name, "{}") != NULL)) {
        return sl_fail(SL_EINVAL, "a work queue's name has 1 to %d bytes and no braces", SL_WORK_NAME_BYTES - 1);
    }
    if (options->lease != 0 && (options->lease < SL_WORK_LEASE_MIN || options->lease > SL_WORK_LEASE_MAX)) {
        return sl_fail(SL_EINVAL, "a work queue's lease is 300 ms to 1 h");
    }
    if (options->remember < 0 || options->backoff.max < 0 || options->backoff.initial < SL_NO_BACKOFF) {
        return sl_fail(SL_EINVAL, "a work queue's times are not negative");
    }
    return 0;
}

static void set_defaults(struct sl_work_options *options)
{
    options->attempts = options->attempts == 0 ? SL_WORK_ATTEMPTS : options->attempts;
    options->lease = options->lease == 0 ? SL_WORK_LEASE : options->lease;
    options->backoff.initial = options->backoff.initial == 0 ? SL_WORK_BACKOFF_INITIAL : options->backoff.initial;
    options->backoff.max = options->backoff.max == 0 ? SL_WORK_BACKOFF_MAX : options->backoff.max;
    options->jobs_max = options->jobs_max == 0 ? SL_WORK_JOBS_MAX : options->jobs_max;
    options->dead_max = options->dead_max == 0 ? SL_WORK_DEAD_MAX : options->dead_max;
    options->remember = options->remember == 0 ? SL_WORK_REMEMBER : options->remember;
}

static int end_work(void *arg)
{
    sl_work *work = arg;
    work->backend->close(work);
    sl_free(work);
    return 0;
}

int sl_work_open(sl_scope *scope, const struct sl_work_options *options, sl_work **ret_work)
{
    static const struct sl_work_options defaults = {0};
    sl_cleanup *cleanup = NULL;
    options = options == NULL ? &defaults : options;
    SL_TRY(check(options));
    SL_TRY(sl_cleanup_reserve(scope, &cleanup));
    sl_work *work = sl_calloc(1, sizeof *work);
    if (work == NULL) {
        sl_cleanup_disarm(cleanup);
        return sl_fail(SL_ENOMEM, "no memory for a work queue");
    }
    work->options = *options;
    set_defaults(&work->options);
    (void)snprintf(work->name, sizeof work->name, "%s", options->name == NULL ? "work" : options->name);
    work->options.name = work->name;
    work->backend = options->backend == SL_WORK_REDIS ? &sl__work_redis : &sl__work_local;
    int code = work->backend->open(work);
    code = code == 0 ? sl_cleanup_arm(cleanup, end_work, work, GIVE_BACK_BUDGET) : code;
    if (code < 0) {
        sl_cleanup_disarm(cleanup);
        (void)end_work(work);
        return code;
    }
    *ret_work = work;
    return 0;
}

void sl_work_stats_get(const sl_work *work, struct sl_work_stats *ret_stats)
{
    *ret_stats = work->stats;
}

int sl_work_depth(sl_work *work, struct sl_work_depth *ret_depth)
{
    return work->backend->depth(work, ret_depth);
}

int sl_work_dead_list(sl_work *work, sl_work_dead_fn fn, void *arg)
{
    return work->backend->dead_list(work, fn, arg);
}

void sl__work_wake(sl_work *work)
{
    for (struct sl__work_taker *taker = work->takers; taker != NULL; taker = taker->next) {
        sl_event_set(&taker->ear.heard);
    }
}

sl_time sl__work_delay(const sl_work *work, uint32_t failures)
{
    const struct sl_backoff *backoff = &work->options.backoff;
    return backoff->initial == SL_NO_BACKOFF ? 0 : sl_backoff_delay(backoff, failures, sl_random_unit());
}

int sl_work_add(sl_work *work, const struct sl_job_spec *spec, bool *ret_added)
{
    struct sl_job_spec own = *spec;
    bool added = false;
    if (spec->key == NULL || *spec->key == '\0' || strlen(spec->key) >= SL_WORK_KEY_BYTES || spec->delay < 0) {
        return sl_fail(SL_EINVAL, "a job's key has 1 to %d bytes, its delay is not negative", SL_WORK_KEY_BYTES - 1);
    }
    own.body_bytes = spec->body == NULL ? 0 : spec->body_bytes == 0 ? strlen(spec->body) : spec->body_bytes;
    own.body = spec->body == NULL ? "" : spec->body;
    if (own.body_bytes > SL_WORK_BODY_MAX) {
        return sl_fail(SL_EMSGSIZE, "the body of job '%s' is larger than %zu bytes", spec->key, SL_WORK_BODY_MAX);
    }
    int code = work->backend->add(work, &own, &added);
    if (code == 0) {
        *(added ? &work->stats.added : &work->stats.known) += 1;
        sl__work_wake(work);
    }
    work->stats.refused += code == SL_EAGAIN;
    if (ret_added != NULL) {
        *ret_added = added;
    }
    return code;
}

int sl_work_revive(sl_work *work, const char *key)
{
    SL_TRY(work->backend->revive(work, key));
    sl__work_wake(work);
    return 0;
}

/* ---- what a job is ---- */

const char *sl_job_key(const sl_job *job)
{
    return job->key;
}

const char *sl_job_body(const sl_job *job, size_t *ret_bytes)
{
    if (ret_bytes != NULL) {
        *ret_bytes = job->body_bytes;
    }
    return job->body;
}

const char *sl_job_progress(const sl_job *job)
{
    return job->progress;
}

uint32_t sl_job_failures(const sl_job *job)
{
    return job->failures;
}

int64_t sl_job_fence(const sl_job *job)
{
    return job->fence;
}

int sl__work_fill(sl_job *job, struct sl_bytes key, struct sl_bytes body, struct sl_bytes progress)
{
    job->key = sl_strndup(key.data, key.size_bytes);
    job->body = sl_malloc(body.size_bytes + 1);
    job->progress = sl_strndup(progress.data, progress.size_bytes);
    if (job->key == NULL || job->body == NULL || job->progress == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a job");
    }
    memcpy(job->body, body.data, body.size_bytes);
    job->body[body.size_bytes] = '\0';
    job->body_bytes = body.size_bytes;
    return 0;
}

static void free_job(sl_job *job)
{
    sl_free(job->key);
    sl_free(job->body);
    sl_free(job->progress);
    sl_free(job);
}

/* ---- losing it ---- */

static void let_go(sl_job *job)
{
    job->work->stats.in_hand -= job->held;
    job->held = false;
    sl__timer_disarm(&sl__runtime->timers, &job->deadline);
}

static void lose(sl_job *job, const char *why)
{
    if (job->held && job->lost == NULL && !job->ending) {
        job->lost = why;
        job->work->stats.lost++;
        sl_scope_cancel_for(job->scope, SL_CAUSE_LOST, why);
    }
}

static void on_deadline(struct sl__timer *timer)
{
    lose((sl_job *)((char *)timer - offsetof(sl_job, deadline)), "the job could not be kept in time");
}

sl_time sl_job_left(const sl_job *job)
{
    if (job->expiry == SL_NEVER) {
        return job->held ? SL_NEVER : 0;
    }
    sl_time left = job->boot_expiry - job->work->options.lease / MARGIN_SHARE - sl__lock_clock();
    return job->held && job->lost == NULL && left > 0 ? left : 0;
}

/* It is taken over no earlier than a lease after these moments, which were before the request. */
static void set_expiry(sl_job *job, sl_time before, sl_time boot_before)
{
    if (job->work->options.backend == SL_WORK_LOCAL) {
        job->expiry = SL_NEVER;
        return;
    }
    sl_time lease = job->work->options.lease;
    job->expiry = sl_time_add(before, lease);
    job->boot_expiry = sl_time_add(boot_before, lease);
    sl__timer_arm(&sl__runtime->timers, &job->deadline, job->expiry - lease / MARGIN_SHARE);
}

static int not_ours(sl_job *job)
{
    job->settled = true;
    lose(job, "the job is another worker's by now, or unknown to the server");
    return sl_fail(SL_ELOCKLOST, "job '%s' is another worker's by now, or unknown to the server",
                   job->key == NULL ? "?" : job->key);
}

/* ---- keeping it ---- */

static int renew(sl_job *job)
{
    struct sl_work_stats *stats = &job->work->stats;
    sl_time lease = job->work->options.lease;
    for (sl_time left = sl_job_left(job); left > 0 && !job->ending; left = sl_job_left(job)) {
        sl_time before = sl_now(), boot_before = sl__lock_clock();
        bool ours = false;
        int code = job->work->backend->keep(job->work, job, NULL, lease / 6 < left ? lease / 6 : left, &ours);
        if (code == SL_ECANCELED || job->ending) {
            return code == SL_ECANCELED ? code : 0;
        }
        *(code == 0 && ours ? &stats->renewals : &stats->renewals_failed) += 1;
        if (code == 0 && !ours) {
            (void)not_ours(job);
            return 0;
        }
        if (code == 0) {
            set_expiry(job, before, boot_before);
            return 0;
        }
        SL_TRY(sl_sleep(lease / 20));
    }
    lose(job, "the job could not be kept in time");
    return 0;
}

/* The daemon: each third of the lease, however the last time went. */
static int keep(void *arg)
{
    sl_job *job = arg;
    sl_time lease = job->work->options.lease;
    while (!job->ending && job->lost == NULL) {
        sl_time wait = job->expiry - lease / 3 * 2 - sl_now();
        struct sl_select_clause changed = {.kind = SL_SELECT_EVENT, .event = &job->changed};
        int code = sl_select(&changed, 1, wait > 0 ? wait : 0);
        if (code == SL_ECANCELED) {
            return code;
        }
        sl_event_reset(&job->changed);
        if (code < 0) {
            SL_TRY(renew(job));
        }
    }
    return 0;
}

/* What no second attempt can help. */
static bool is_final(int code)
{
    return code == SL_ECANCELED || code == SL_ENOMEM || code == SL_EINVAL || code == -EACCES || code == SL_EREPLY ||
           code == SL_ENOTASK || code == SL_EMSGSIZE;
}

/* Whether to say it once more: as long as the job is surely ours. */
static bool try_again(const sl_job *job, int code)
{
    return !is_final(code) && job->expiry != SL_NEVER && sl_job_left(job) > 0 &&
           sl_sleep(job->work->options.lease / 20) == 0;
}

int sl_job_checkpoint(sl_job *job, const char *progress)
{
    bool ours = false;
    if (job->settled || job->ending) {
        return job->lost != NULL ? not_ours(job) : sl_fail(SL_EALREADY, "job '%s' is settled", job->key);
    }
    if (strlen(progress) > SL_WORK_PROGRESS_MAX) {
        return sl_fail(SL_EMSGSIZE, "the progress of job '%s' is longer than %zu bytes", job->key,
                       SL_WORK_PROGRESS_MAX);
    }
    sl_time before, boot_before;
    int code;
    do {
        before = sl_now();
        boot_before = sl__lock_clock();
        code = job->work->backend->keep(job->work, job, progress, job->work->options.lease / SL__WORK_TRY_SHARE, &ours);
    } while (code < 0 && try_again(job, code));
    SL_TRY(code);
    if (!ours) {
        return not_ours(job);
    }
    job->work->stats.checkpoints++;
    if (job->lost == NULL && !job->ending) {
        set_expiry(job, before, boot_before);
    }
    return 0;
}

/* ---- settling it ---- */

static void count_settled(sl_work *work, enum sl__work_how how, bool buried)
{
    struct sl_work_stats *stats = &work->stats;
    stats->done += how == SL__WORK_DONE;
    stats->given_back += how == SL__WORK_BACK;
    stats->failed += how == SL__WORK_FAIL;
    stats->buried += buried;
}

static int settle(sl_job *job, enum sl__work_how how, const char *reason)
{
    struct sl__work_settled settled = {.ours = false};
    if (job->settled) {
        return job->lost != NULL ? not_ours(job) : sl_fail(SL_EALREADY, "job '%s' is settled", job->key);
    }
    job->ending = true;
    sl_event_set(&job->changed);
    int code;
    do {
        code = job->work->backend->settle(job->work, job, how, reason, &settled);
        if (code < 0 && !(job->maybe_settled && how == SL__WORK_BACK)) {
            job->tried = how;
            job->maybe_settled = true;
        }
    } while (code < 0 && try_again(job, code));
    SL_TRY(code);
    bool held = job->held;
    job->settled = true;
    let_go(job);
    if (settled.ours) {
        count_settled(job->work, settled.before && job->maybe_settled ? job->tried : how, settled.buried);
        sl__work_wake(job->work);
    } else if (held) {
        job->work->stats.lost += job->lost == NULL;
        job->lost = job->lost == NULL ? "another worker has taken it over" : job->lost;
        return not_ours(job);
    }
    return 0;
}

int sl_job_done(sl_job *job)
{
    return settle(job, SL__WORK_DONE, "");
}

int sl_job_give_back(sl_job *job)
{
    return settle(job, SL__WORK_BACK, "");
}

int sl_job_postpone(sl_job *job, sl_time delay)
{
    if (delay <= 0) {
        return sl_fail(SL_EINVAL, "a job is postponed for some time");
    }
    job->postpone = delay;
    return settle(job, SL__WORK_BACK, "");
}

int sl_job_fail(sl_job *job, const char *reason)
{
    return settle(job, SL__WORK_FAIL, reason == NULL ? "" : reason);
}

int sl_job_bury(sl_job *job, const char *reason)
{
    return settle(job, SL__WORK_BURY, reason == NULL ? "" : reason);
}

/* The scope's cleanup: shielded, within its budget. */
static int end_job(void *arg)
{
    sl_job *job = arg;
    int code = 0;
    for (int tries = 0; tries < GIVE_BACK_TRIES && job->asked > 0 && !job->settled && code != SL_ECANCELED; tries++) {
        SL_SCOPE(attempt, .name = "give back", .timeout = GIVE_BACK_BUDGET / (GIVE_BACK_TRIES + 1));
        code = sl_scope_close(&attempt, settle(job, SL__WORK_BACK, ""));
    }
    let_go(job);
    if (job->lost != NULL) {
        code = sl_fail(SL_ELOCKLOST, "job '%s' was lost: %s", job->key == NULL ? "?" : job->key, job->lost);
    }
    free_job(job);
    return code;
}

/* ---- taking one ---- */

/* 1 when there is one; 0 when there is none. */
static int attempt(sl_job *job, struct sl__work_answer *ret_answer)
{
    sl_work *work = job->work;
    sl_time before = sl_now(), boot_before = sl__lock_clock();
    *ret_answer = (struct sl__work_answer){.wait = SL_NEVER};
    SL_TRY(work->backend->take(work, job, ret_answer));
    if (!ret_answer->taken) {
        job->asked = 0;
        return 0;
    }
    job->held = true;
    work->stats.in_hand++;
    work->stats.taken++;
    work->stats.taken_over += ret_answer->taken_over;
    set_expiry(job, before, boot_before);
    if (sl_job_left(job) == 0) {
        return sl_fail(SL_ETIMEDOUT, "a job came too late to be kept");
    }
    return 1;
}

/* Until there may be one, or it is time to look anyway. */
static int await_news(struct sl__work_taker *taker, sl_time wait)
{
    wait = wait > POLL_MAX ? POLL_MAX - (sl_time)(sl_random_unit() * (double)POLL_JITTER) : wait;
    struct sl_select_clause clauses[] = {{.kind = SL_SELECT_STOP},
                                         {.kind = SL_SELECT_EVENT, .event = &taker->ear.heard}};
    int code = sl_select(clauses, 2, wait > 0 ? wait : 0);
    return code == 0 ? sl_fail(SL_ECLOSED, "stopped while waiting for a job") : code == SL_ECANCELED ? code : 0;
}

static int wait_and_take(sl_job *job, struct sl__work_taker *taker, bool until_empty)
{
    while (!sl_stop_requested()) {
        struct sl__work_answer answer;
        sl_event_reset(&taker->ear.heard);
        int code = attempt(job, &answer);
        if (code != 0) {
            return code < 0 ? code : 0;
        }
        if (answer.empty && until_empty) {
            return SL_ENOENT;
        }
        SL_TRY(await_news(taker, answer.wait));
    }
    return sl_fail(SL_ECLOSED, "stopped while waiting for a job");
}

static void begin_to_listen(sl_work *work, struct sl__work_taker *taker, char *channel, size_t size_bytes)
{
    sl_event_init(&taker->ear.heard);
    taker->next = work->takers;
    if (work->takers != NULL) {
        work->takers->prev = taker;
    }
    work->takers = taker;
    if (work->options.backend == SL_WORK_REDIS) {
        (void)snprintf(channel, size_bytes, "sluice:{%s}:work", work->name);
        sl_redis_listen(work->options.redis, &taker->ear, channel);
    }
}

static void end_to_listen(sl_work *work, struct sl__work_taker *taker)
{
    if (work->options.backend == SL_WORK_REDIS) {
        sl_redis_unlisten(work->options.redis, &taker->ear);
    }
    *(taker->prev != NULL ? &taker->prev->next : &work->takers) = taker->next;
    if (taker->next != NULL) {
        taker->next->prev = taker->prev;
    }
}

static int acquire(sl_job *job, bool until_empty)
{
    struct sl__work_taker taker = {.next = NULL};
    char channel[SL_WORK_NAME_BYTES + 16];
    begin_to_listen(job->work, &taker, channel, sizeof channel);
    int code = wait_and_take(job, &taker, until_empty);
    end_to_listen(job->work, &taker);
    if (code == 0 && job->work->options.backend != SL_WORK_LOCAL) {
        code = sl_spawn(job->scope, keep, job, .name = "job keeper", .daemon = true);
    }
    return code;
}

/* SL_ENOENT: nothing is left, and `until_empty`. */
static int take(sl_work *work, sl_scope *scope, bool until_empty, sl_job **ret_job)
{
    sl_cleanup *cleanup = NULL;
    SL_TRY(sl_cleanup_reserve(scope, &cleanup));
    sl_job *job = sl_calloc(1, sizeof *job);
    if (job == NULL) {
        sl_cleanup_disarm(cleanup);
        return sl_fail(SL_ENOMEM, "no memory for a job");
    }
    job->work = work;
    job->scope = scope;
    job->deadline.fire = on_deadline;
    sl_event_init(&job->changed);
    (void)snprintf(job->token, sizeof job->token, "%016" PRIx64 "%016" PRIx64, sl_random(), sl_random());
    SL_TRY(sl_cleanup_arm(cleanup, end_job, job, GIVE_BACK_BUDGET));
    int code = acquire(job, until_empty);
    if (code < 0) {
        let_go(job);                   /* what is said then is `code` */
        (void)sl_cleanup_run(cleanup); /* also when the outcome is unknown */
        return code;
    }
    *ret_job = job;
    return 0;
}

int sl_work_take(sl_work *work, sl_scope *scope, sl_job **ret_job)
{
    return take(work, scope, false, ret_job);
}

/* ---- working ---- */

#define TROUBLE_MAX SL_SECONDS(5)

struct runner {
    sl_work *work;
    const struct sl_work_run *run;
    uint32_t trouble; /* failed takes in a row */
};

/* What to write about a failure: the innermost message. */
static const char *reason_of(int code)
{
    const sl_error *error = sl_error_last();
    while (sl_error_count(error) > 0) {
        error = sl_error_at(error, 0);
    }
    const char *text = sl_error_message(error);
    return *text == '\0' || sl_error_code(error) != code ? sl_strerror(code) : text;
}

static int settle_by(sl_job *job, int code)
{
    if (job->settled || job->lost != NULL) {
        return 0; /* the scope's end says what is to be said */
    }
    if (code == SL_ECANCELED && sl_cancel_pending()) {
        return code; /* which gives it back */
    }
    char reason[SL_WORK_REASON_BYTES] = "";
    if (code < 0) {
        (void)snprintf(reason, sizeof reason, "%s", reason_of(code));
        sl_log_with(SL_LOG_WARNING, "a job failed", sl_field_text("queue", job->work->name),
                    sl_field_text("job", job->key), sl_field_text("problem", reason),
                    sl_field_uint("failures", job->failures + 1));
    }
    return code < 0 ? sl_job_fail(job, reason) : sl_job_done(job);
}

/* The server is away, or a job was lost: no reason to end. */
static int ride_out(struct runner *runner, const char *what, int code)
{
    static const struct sl_backoff backoff = {.initial = SL_MILLISECONDS(100), .max = TROUBLE_MAX};
    if (runner->trouble == 0) {
        sl_log_with(SL_LOG_WARNING, what, sl_field_text("queue", runner->work->name), sl_field_code("code", code));
    }
    struct sl_select_clause stop = {.kind = SL_SELECT_STOP};
    int waited = sl_select(&stop, 1, sl_backoff_delay(&backoff, runner->trouble++, sl_random_unit()));
    return waited == SL_ECANCELED ? waited : 0;
}

/* One job. 0; SL_ECLOSED, SL_ENOENT: no further one. */
static int work_once(struct runner *runner)
{
    sl_job *job = NULL;
    SL_SCOPE(scope, .name = "job");
    int code = take(runner->work, &scope, runner->run->until_empty, &job);
    if (code < 0) {
        int closed = sl_scope_close(&scope, 0);
        return closed < 0 ? closed : code;
    }
    runner->trouble = 0;
    code = runner->run->on_job(runner->run->arg, job);
    return sl_scope_close(&scope, settle_by(job, code));
}

static int work_on(void *arg)
{
    struct runner runner = *(const struct runner *)arg;
    while (!sl_stop_requested()) {
        int code = work_once(&runner);
        if (code == SL_ECLOSED || code == SL_ENOENT) {
            return 0;
        }
        if (is_final(code)) {
            return code;
        }
        if (code < 0) {
            SL_TRY(
                ride_out(&runner, code == SL_ELOCKLOST ? "a job was lost" : "the work queue cannot be reached", code));
        }
    }
    return 0;
}

int sl_work_run(sl_work *work, const struct sl_work_run *run)
{
    struct runner runner = {.work = work, .run = run};
    uint32_t count = run->concurrency == 0 ? 1 : run->concurrency;
    if (run->on_job == NULL || count > SL_WORK_CONCURRENCY_MAX) {
        return sl_fail(SL_EINVAL, "work has a function, and up to %d jobs at once", SL_WORK_CONCURRENCY_MAX);
    }
    SL_SCOPE(scope, .name = work->name);
    int code = 0;
    for (uint32_t i = 0; i < count && code == 0; i++) {
        code = sl_spawn(&scope, work_on, &runner, .name = "worker");
    }
    return sl_scope_close(&scope, code);
}
