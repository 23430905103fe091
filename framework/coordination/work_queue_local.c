/* SPDX-License-Identifier: MIT */
/*
 * The work queue of one process. Each job that is known is in a table by its key and, but for those in hand, in the list
 * of its state. What changes is noted in the file first: then it is so.
 */
#include <stdio.h>
#include <string.h>

#include "sluice/partition.h"
#include "sluice/runtime.h"
#include "work_journal.h"
#include "work_queue.h"

#define BUCKETS_FIRST 64

enum state { WAITING, LATER, DONE, DEAD, STATES, IN_HAND = STATES };

/* The journal's lines. Of a job that is put aside NUMBER is its failures, WHEN the time; likewise of one that failed. */
enum op {
    OP_ADD = 'a',      /* TEXT is the body, WHEN (not 0) when it may begin */
    OP_PROGRESS = 'p', /* TEXT */
    OP_TAKE = 't',     /* NUMBER is the fence; whatever follows ends that */
    OP_BACK = 'b',
    OP_FAIL = 'f', /* or postponed: TEXT is the reason, WHEN the next attempt's time */
    OP_DEAD = 'x',
    OP_DONE = 'd',
    OP_REVIVE = 'r'
};

struct known {
    struct known *same;        /* in the same bucket */
    struct known *prev, *next; /* in the list of its state */
    uint64_t hash;
    enum state state;
    char *key, *body, *progress, *reason; /* body and later: NULL is "" */
    size_t body_bytes;
    uint32_t failures;
    int64_t fence;
    int64_t when; /* wall clock: LATER: when it is due; DONE, DEAD: when it came to that */
    char owner[SL__WORK_TOKEN_BYTES];
};

struct list {
    struct known *first, *last;
    size_t count;
};

struct local_work {
    sl_work *work;
    struct known **buckets;
    size_t bucket_count, count, in_hand;
    struct list lists[STATES];
    struct sl__work_journal journal;
};

/* ---- the table ---- */

static const char *text_of(const char *text)
{
    return text == NULL ? "" : text;
}

static struct known **bucket_of(const struct local_work *local, uint64_t hash)
{
    return &local->buckets[hash & (local->bucket_count - 1)]; /* a power of two */
}

static struct known *find(const struct local_work *local, const char *key)
{
    uint64_t hash = sl_partition_hash(key, strlen(key));
    struct known *at = *bucket_of(local, hash);
    while (at != NULL && (at->hash != hash || strcmp(at->key, key) != 0)) {
        at = at->same;
    }
    return at;
}

/* Without memory it stays as it is, and is slower. */
static void grow(struct local_work *local)
{
    size_t count = local->bucket_count * 2;
    struct known **buckets = sl_calloc(count, sizeof *buckets);
    if (buckets == NULL) {
        return;
    }
    for (size_t i = 0; i < local->bucket_count; i++) {
        for (struct known *at = local->buckets[i], *next; at != NULL; at = next) {
            next = at->same;
            at->same = buckets[at->hash & (count - 1)];
            buckets[at->hash & (count - 1)] = at;
        }
    }
    sl_free(local->buckets);
    local->buckets = buckets;
    local->bucket_count = count;
}

static void insert(struct local_work *local, struct known *known)
{
    if (local->count++ >= local->bucket_count) {
        grow(local);
    }
    known->hash = sl_partition_hash(known->key, strlen(known->key));
    struct known **bucket = bucket_of(local, known->hash);
    known->same = *bucket;
    *bucket = known;
}

static void free_known(struct known *known)
{
    sl_free(known->key);
    sl_free(known->body);
    sl_free(known->progress);
    sl_free(known->reason);
    sl_free(known);
}

/* ---- states ---- */

static void leave(struct local_work *local, struct known *known)
{
    if (known->state == IN_HAND) {
        local->in_hand--;
        known->owner[0] = '\0';
        return;
    }
    struct list *list = &local->lists[known->state];
    *(known->prev != NULL ? &known->prev->next : &list->first) = known->next;
    *(known->next != NULL ? &known->next->prev : &list->last) = known->prev;
    list->count--;
}

/* At the end of its list; those for later are in the order of their times. */
static void enter(struct local_work *local, struct known *known, enum state state)
{
    known->state = state;
    if (state == IN_HAND) {
        local->in_hand++;
        return;
    }
    struct list *list = &local->lists[state];
    struct known *before = list->last;
    while (state == LATER && before != NULL && before->when > known->when) {
        before = before->prev;
    }
    known->prev = before;
    known->next = before == NULL ? list->first : before->next;
    *(known->prev != NULL ? &known->prev->next : &list->first) = known;
    *(known->next != NULL ? &known->next->prev : &list->last) = known;
    list->count++;
}

static void move(struct local_work *local, struct known *known, enum state state)
{
    leave(local, known);
    enter(local, known, state);
}

static void forget(struct local_work *local, struct known *known)
{
    struct known **at = bucket_of(local, known->hash);
    while (*at != known) {
        at = &(*at)->same;
    }
    *at = known->same;
    local->count--;
    leave(local, known);
    free_known(known);
}

static bool is_over(const struct local_work *local, const struct known *known)
{
    return sl_now_wall() - known->when > local->work->options.remember;
}

/* What is done is remembered for its time, and no more than there may be jobs. */
static void forget_old(struct local_work *local)
{
    const struct sl_work_options *options = &local->work->options;
    struct list *done = &local->lists[DONE], *dead = &local->lists[DEAD];
    while (done->first != NULL && (done->count > options->jobs_max || is_over(local, done->first))) {
        forget(local, done->first);
    }
    while (dead->count > options->dead_max) {
        forget(local, dead->first);
    }
}

static size_t jobs(const struct local_work *local)
{
    return local->lists[WAITING].count + local->lists[LATER].count + local->in_hand;
}

/* ---- the file ---- */

static int note(struct local_work *local, enum op op, const struct known *known, int64_t number, int64_t when,
                struct sl_bytes text)
{
    return sl__work_journal_note(
        &local->journal,
        &(struct sl__work_note){.op = (char)op, .key = known->key, .number = number, .when = when, .text = text});
}

static struct sl_bytes as_bytes(const char *text)
{
    return (struct sl_bytes){text_of(text), strlen(text_of(text))};
}

static int tell_one(struct local_work *local, const struct known *known)
{
    bool live = known->state != DONE;
    int64_t begin = known->state == LATER && known->failures == 0 ? known->when : 0;
    SL_TRY(note(local, OP_ADD, known, 0, begin, (struct sl_bytes){text_of(known->body), known->body_bytes}));
    if (live && known->progress != NULL) {
        SL_TRY(note(local, OP_PROGRESS, known, 0, 0, as_bytes(known->progress)));
    }
    if (known->fence > 0) {
        SL_TRY(note(local, OP_TAKE, known, known->fence, 0, as_bytes("")));
    }
    if (known->state == DEAD) {
        return note(local, OP_DEAD, known, known->failures, known->when, as_bytes(known->reason));
    }
    if (known->failures > 0) {
        SL_TRY(note(local, OP_FAIL, known, known->failures, known->when, as_bytes(known->reason)));
    }
    if (known->state == DONE) {
        return note(local, OP_DONE, known, 0, known->when, as_bytes(""));
    }
    if (known->state == IN_HAND) {
        return note(local, OP_TAKE, known, known->fence, 0, as_bytes(""));
    }
    return known->state == WAITING && known->fence > 0 ? note(local, OP_BACK, known, 0, 0, as_bytes("")) : 0;
}

static int tell_all(void *arg, struct sl__work_journal *journal)
{
    struct local_work *local = arg;
    struct sl__work_journal before = local->journal;
    int code = 0;
    local->journal = *journal;
    static const enum state order[] = {DONE, DEAD, LATER, WAITING};
    for (size_t i = 0; i < sizeof order / sizeof *order && code == 0; i++) {
        for (struct known *at = local->lists[order[i]].first; at != NULL && code == 0; at = at->next) {
            code = tell_one(local, at);
        }
    }
    for (size_t i = 0; i < local->bucket_count && code == 0; i++) {
        for (struct known *at = local->buckets[i]; at != NULL && code == 0; at = at->same) {
            code = at->state == IN_HAND ? tell_one(local, at) : 0;
        }
    }
    *journal = local->journal;
    local->journal = before;
    return code;
}

/* ---- making one ---- */

static int known_new(const char *key, const char *body, size_t body_bytes, struct known **ret_known)
{
    struct known *known = sl_calloc(1, sizeof *known);
    if (known != NULL) {
        known->key = sl_strdup(key);
        known->body = body_bytes == 0 ? NULL : sl_malloc(body_bytes);
    }
    if (known == NULL || known->key == NULL || (body_bytes > 0 && known->body == NULL)) {
        if (known != NULL) {
            free_known(known);
        }
        return sl_fail(SL_ENOMEM, "no memory for a job");
    }
    if (body_bytes > 0) {
        memcpy(known->body, body, body_bytes);
    }
    known->body_bytes = body_bytes;
    *ret_known = known;
    return 0;
}

/* Short of memory a reason is dropped. */
static void set_text(char **text, const char *to, size_t size_bytes)
{
    char *copy = size_bytes == 0 ? NULL : sl_strndup(to, size_bytes);
    sl_free(*text);
    *text = copy;
}

/* ---- replay ---- */

static void replay_settled(struct local_work *local, struct known *known, const struct sl__work_note *line)
{
    switch ((enum op)line->op) {
    case OP_TAKE:
        known->fence = line->number;
        move(local, known, IN_HAND);
        break;
    case OP_FAIL:
        known->failures = (uint32_t)line->number;
        known->when = line->when;
        set_text(&known->reason, line->text.data, line->text.size_bytes);
        move(local, known, LATER);
        break;
    case OP_DEAD:
        known->failures = (uint32_t)line->number;
        known->when = line->when;
        set_text(&known->reason, line->text.data, line->text.size_bytes);
        move(local, known, DEAD);
        break;
    case OP_DONE:
        known->when = line->when;
        move(local, known, DONE);
        break;
    case OP_REVIVE:
        known->failures = 0;
        move(local, known, WAITING);
        break;
    default:
        move(local, known, WAITING);
        break;
    }
}

static int replay(void *arg, const struct sl__work_note *line)
{
    struct local_work *local = arg;
    struct known *known = find(local, line->key);
    if (line->op == OP_ADD) {
        if (known != NULL) { /* it had been forgotten */
            forget(local, known);
        }
        SL_TRY(known_new(line->key, line->text.data, line->text.size_bytes, &known));
        known->when = line->when;
        insert(local, known);
        enter(local, known, line->when > 0 ? LATER : WAITING);
        return 0;
    }
    if (known == NULL || strchr("ptbfxdr", line->op) == NULL) {
        return sl_fail(SL_EPROTO, "a work queue's file speaks of '%s' in a way that is not known", line->key);
    }
    if (line->op == OP_PROGRESS) {
        set_text(&known->progress, line->text.data, line->text.size_bytes);
        return known->progress == NULL && line->text.size_bytes > 0 ? sl_fail(SL_ENOMEM, "no memory for a job") : 0;
    }
    replay_settled(local, known, line);
    return 0;
}

/* What was in hand when the process ended so suddenly has failed: it may be why. */
static void fail_orphans(struct local_work *local)
{
    const struct sl_work_options *options = &local->work->options;
    for (size_t i = 0; i < local->bucket_count; i++) {
        for (struct known *at = local->buckets[i]; at != NULL; at = at->same) {
            if (at->state == IN_HAND) {
                bool last = ++at->failures >= options->attempts;
                if (last) {
                    at->when = sl_now_wall();
                    set_text(&at->reason, "its worker fell silent", strlen("its worker fell silent"));
                }
                move(local, at, last ? DEAD : WAITING);
            }
        }
    }
}

/* ---- steps ---- */

static int local_add(sl_work *work, const struct sl_job_spec *spec, bool *ret_added)
{
    struct local_work *local = work->state;
    SL_TRY(sl_checkpoint_cheap());
    forget_old(local);
    struct known *known = find(local, spec->key);
    if (known != NULL && known->state == DEAD && is_over(local, known)) {
        forget(local, known);
        known = NULL;
    }
    *ret_added = known == NULL;
    if (known != NULL) {
        return 0;
    }
    if (jobs(local) >= work->options.jobs_max) {
        return sl_fail(SL_EAGAIN, "the work queue '%s' is full (%zu jobs)", work->name, work->options.jobs_max);
    }
    SL_TRY(known_new(spec->key, spec->body, spec->body_bytes, &known));
    known->when = spec->delay > 0 ? sl_now_wall() + spec->delay : 0;
    int code = note(local, OP_ADD, known, 0, known->when, (struct sl_bytes){spec->body, spec->body_bytes});
    if (code < 0) {
        free_known(known);
        return code;
    }
    insert(local, known);
    enter(local, known, spec->delay > 0 ? LATER : WAITING);
    sl__work_journal_tidy(&local->journal, tell_all, local);
    return 0;
}

/* Those that may be tried again wait with the others. */
static sl_time release_due(struct local_work *local)
{
    struct list *later = &local->lists[LATER];
    int64_t now = sl_now_wall();
    while (later->first != NULL && later->first->when <= now) {
        move(local, later->first, WAITING);
    }
    return later->first == NULL ? SL_NEVER : later->first->when - now;
}

static int local_take(sl_work *work, sl_job *job, struct sl__work_answer *ret_answer)
{
    struct local_work *local = work->state;
    SL_TRY(sl_checkpoint_cheap());
    ret_answer->wait = release_due(local);
    struct known *known = local->lists[WAITING].first;
    if (known == NULL) {
        ret_answer->empty = jobs(local) == 0;
        return 0;
    }
    SL_TRY(sl__work_fill(job, as_bytes(known->key), (struct sl_bytes){text_of(known->body), known->body_bytes},
                         as_bytes(known->progress)));
    SL_TRY(note(local, OP_TAKE, known, known->fence + 1, 0, as_bytes("")));
    job->asked = 1;
    job->failures = known->failures;
    job->fence = ++known->fence;
    move(local, known, IN_HAND);
    memcpy(known->owner, job->token, sizeof known->owner);
    ret_answer->taken = true;
    return 0;
}

/* The job that is in this hand. */
static struct known *held_by(const struct local_work *local, const sl_job *job)
{
    struct known *known = job->key == NULL ? NULL : find(local, job->key);
    return known != NULL && known->state == IN_HAND && strcmp(known->owner, job->token) == 0 ? known : NULL;
}

static int local_keep(sl_work *work, sl_job *job, const char *progress, sl_time timeout, bool *ret_ours)
{
    struct local_work *local = work->state;
    (void)timeout;
    SL_TRY(sl_checkpoint_cheap());
    struct known *known = held_by(local, job);
    *ret_ours = known != NULL;
    if (known == NULL || progress == NULL) {
        return 0;
    }
    char *copy = sl_strdup(progress);
    if (copy == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for the progress of a job");
    }
    int code = note(local, OP_PROGRESS, known, 0, 0, as_bytes(progress));
    if (code < 0) {
        sl_free(copy);
        return code;
    }
    sl_free(known->progress);
    known->progress = copy;
    sl__work_journal_tidy(&local->journal, tell_all, local);
    return 0;
}

static int settle_failed(struct local_work *local, struct known *known, bool bury, const char *reason, bool *ret_buried)
{
    sl_work *work = local->work;
    size_t reason_bytes = strnlen(reason, SL_WORK_REASON_BYTES - 1);
    bool dead = bury || known->failures + 1 >= work->options.attempts;
    int64_t when = sl_now_wall() + (dead ? 0 : sl__work_delay(work, known->failures));
    SL_TRY(note(local, dead ? OP_DEAD : OP_FAIL, known, known->failures + 1, when,
                (struct sl_bytes){reason, reason_bytes}));
    known->failures++;
    known->when = when;
    set_text(&known->reason, reason, reason_bytes);
    move(local, known, dead ? DEAD : LATER);
    *ret_buried = dead;
    return 0;
}

/* Here it is done whatever the file takes: without the line a restart would take it for a failure. */
static void give_back(struct local_work *local, struct known *known, sl_time postpone)
{
    int64_t when = postpone > 0 ? sl_now_wall() + postpone : 0;
    int code = postpone > 0 ? note(local, OP_FAIL, known, known->failures, when, as_bytes(known->reason))
                            : note(local, OP_BACK, known, 0, 0, as_bytes(""));
    if (code < 0) {
        sl_log(SL_LOG_WARNING, "a job was given back, but its file does not say so");
    }
    known->when = when;
    move(local, known, postpone > 0 ? LATER : WAITING);
}

static int local_settle(sl_work *work, sl_job *job, enum sl__work_how how, const char *reason,
                        struct sl__work_settled *ret_settled)
{
    struct local_work *local = work->state;
    struct known *known = held_by(local, job);
    *ret_settled = (struct sl__work_settled){.ours = known != NULL};
    if (known == NULL) {
        return 0;
    }
    if (how == SL__WORK_FAIL || how == SL__WORK_BURY) {
        SL_TRY(settle_failed(local, known, how == SL__WORK_BURY, reason, &ret_settled->buried));
    } else if (how == SL__WORK_BACK) {
        give_back(local, known, job->postpone);
    } else {
        int64_t now = sl_now_wall();
        SL_TRY(note(local, OP_DONE, known, 0, now, as_bytes("")));
        known->when = now;
        set_text(&known->progress, "", 0);
        set_text(&known->body, "", 0);
        known->body_bytes = 0;
        move(local, known, DONE);
    }
    forget_old(local);
    sl__work_journal_tidy(&local->journal, tell_all, local);
    return 0;
}

/* ---- views ---- */

static int local_depth(sl_work *work, struct sl_work_depth *ret_depth)
{
    const struct local_work *local = work->state;
    SL_TRY(sl_checkpoint_cheap());
    *ret_depth = (struct sl_work_depth){.waiting = local->lists[WAITING].count,
                                        .in_hand = local->in_hand,
                                        .later = local->lists[LATER].count,
                                        .dead = local->lists[DEAD].count};
    return 0;
}

static int local_dead_list(sl_work *work, sl_work_dead_fn fn, void *arg)
{
    const struct local_work *local = work->state;
    SL_TRY(sl_checkpoint_cheap());
    for (struct known *at = local->lists[DEAD].first, *next; at != NULL; at = next) {
        const struct sl_work_dead dead = {.key = at->key,
                                          .body = text_of(at->body),
                                          .reason = text_of(at->reason),
                                          .progress = text_of(at->progress),
                                          .body_bytes = at->body_bytes,
                                          .failures = at->failures,
                                          .time_ns = at->when};
        next = at->next;
        int code = fn(arg, &dead);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

static int local_revive(sl_work *work, const char *key)
{
    struct local_work *local = work->state;
    SL_TRY(sl_checkpoint_cheap());
    struct known *known = find(local, key);
    if (known == NULL || known->state != DEAD) {
        return sl_fail(SL_ENOENT, "there is no dead job '%s'", key);
    }
    if (jobs(local) >= work->options.jobs_max) {
        return sl_fail(SL_EAGAIN, "the work queue '%s' is full (%zu jobs)", work->name, work->options.jobs_max);
    }
    SL_TRY(note(local, OP_REVIVE, known, 0, 0, as_bytes("")));
    known->failures = 0;
    move(local, known, WAITING);
    return 0;
}

/* ---- its life ---- */

static void local_close(sl_work *work)
{
    struct local_work *local = work->state;
    if (local == NULL) {
        return;
    }
    for (size_t i = 0; i < local->bucket_count; i++) {
        for (struct known *at = local->buckets[i], *next; at != NULL; at = next) {
            next = at->same;
            free_known(at);
        }
    }
    sl__work_journal_close(&local->journal);
    sl_free(local->buckets);
    sl_free(local);
    work->state = NULL;
}

static int local_open(sl_work *work)
{
    struct local_work *local = sl_calloc(1, sizeof *local);
    struct known **buckets = sl_calloc(BUCKETS_FIRST, sizeof *buckets);
    if (local == NULL || buckets == NULL) {
        sl_free(local);
        sl_free(buckets);
        return sl_fail(SL_ENOMEM, "no memory for a work queue");
    }
    *local =
        (struct local_work){.work = work, .buckets = buckets, .bucket_count = BUCKETS_FIRST, .journal = {.file = -1}};
    work->state = local;
    if (work->options.path == NULL) {
        return 0;
    }
    SL_TRY(sl__work_journal_open(&local->journal, work->options.path, replay, local));
    fail_orphans(local);
    return sl__work_journal_renew(&local->journal, tell_all, local);
}

const struct sl__work_backend sl__work_local = {.add = local_add,
                                                .take = local_take,
                                                .keep = local_keep,
                                                .settle = local_settle,
                                                .depth = local_depth,
                                                .dead_list = local_dead_list,
                                                .revive = local_revive,
                                                .open = local_open,
                                                .close = local_close};
