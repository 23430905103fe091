/* SPDX-License-Identifier: MIT */
/* What supervisor.c (the state machine), supervisor_children.c (records) and supervisor_admin.c (calls) share. */
#ifndef SL_RUNTIME_SUPERVISOR_INTERNAL_H
#define SL_RUNTIME_SUPERVISOR_INTERNAL_H

#include "internal.h"
#include "wait_queue.h"

#define SL_CHILD_ID_BYTES 32

/* What a child's timer stands for. */
enum sl__child_timer { SL_TIMER_RESTART, SL_TIMER_STOP, SL_TIMER_HEALTHY };

struct sl__child {
    struct sl__supervisor *supervisor;
    struct sl__child *prev, *next; /* in start order */
    struct sl__child *hash_next;
    uint64_t number; /* grows in start order */
    uint64_t batch;  /* the call of sl_supervise() that added it, or 0 */
    sl_task_fn fn;
    struct sl_spawn_options options; /* its strings point into this record */
    void (*released)(void *arg);     /* the caller's release, called when the record goes */
    char id[SL_CHILD_ID_BYTES];
    char name[SL_TASK_NAME_BYTES];
    enum sl_child_state state;
    sl_task *task;
    bool started;       /* this run called sl_started(), or needs not */
    bool held;          /* stopped by hand: a restart of the group leaves it alone */
    bool first_start;   /* sl_supervise() waits for its first start, and decides when that fails */
    uint8_t stop_stage; /* 0: asked, 1: cancelled, 2: forced */
    enum sl__child_timer timer_kind;
    struct sl__timer timer;
    uint32_t attempts; /* restarts since it was healthy: the exponent of the backoff */
    uint32_t start_failures;
    uint64_t restarts;
    sl_time started_at;
    int last_code;
    sl_error *last_error;
    struct sl__wait_queue starters; /* tasks that wait for its start */
    struct sl__wait_queue stoppers; /* ... for its end */
};

enum sl__supervisor_mode {
    SL_SUPERVISING,
    SL_GROUP_STOP,  /* one_for_all, rest_for_one: stopping from the last child back to `from` */
    SL_GROUP_WAIT,  /* the backoff before the group starts */
    SL_GROUP_START, /* starting from `from` on; waits for a handshake now and then */
    SL_ENDING,      /* all are stopped in reverse order, then the scope ends with `end_code` */
    SL_ENDED        /* cancelled or ended: no more restarts */
};

struct sl__restart_record {
    sl_time when;
    const struct sl__child *child;
};

struct sl__supervisor {
    sl_scope *scope;
    struct sl__child *first, *last;
    size_t count;
    struct sl__child **buckets; /* by id; NULL while they are few */
    size_t bucket_count;
    uint64_t sequence; /* for ids made from names */
    uint64_t numbers, batches;
    enum sl__supervisor_mode mode;
    struct sl__child *from;   /* the group: it and all that were there when the stopping began */
    struct sl__child *cursor; /* who is stopped next, backwards */
    struct sl__child *failed; /* whose failure began the restart of the group: its backoff counts */
    struct sl__timer group_timer;
    bool polite; /* ENDING asks before it cancels */
    int end_code;
    sl_error *end_error;
    struct sl__restart_record *records;
    size_t record_count, record_capacity;
};

/* supervisor_children.c */
int sl__supervisor_of(sl_scope *scope, struct sl__supervisor **ret_supervisor); /* makes it when there is none */
int sl__child_check(const sl_scope *scope, sl_task_fn fn, const struct sl_spawn_options *options);
int sl__child_new(struct sl__supervisor *supervisor, sl_task_fn fn, const struct sl_spawn_options *options,
                  struct sl__child **ret_child);
struct sl__child *sl__child_by_id(const struct sl__supervisor *supervisor, const char *id);
void sl__child_free(struct sl__child *child, bool release); /* not running */
void sl__child_healthy(struct sl__child *child);
bool sl__child_may_restart(struct sl__child *child); /* counts one more restart; false when the budget is used up */
sl_time sl__supervisor_window(const sl_scope *scope);

/* supervisor.c */
int sl__child_run(struct sl__child *child);
int sl__child_run_first(struct sl__child *child); /* the same for one that is new: the scope may be ending already */
void sl__child_reschedule(struct sl__child *child, const struct sl_backoff *backoff, sl_time healthy_after);
void sl__child_stop_begin(struct sl__child *child, bool polite);
bool sl__child_comes_back(const struct sl__child *child); /* it does not run, but will without anybody's doing */
void sl__supervisor_go_on(struct sl__supervisor *supervisor);

#endif
