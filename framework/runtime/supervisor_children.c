/* SPDX-License-Identifier: MIT */
/* The records of supervised children: making, finding, freeing them, and what counts against their budgets. */
#include <stdio.h>
#include <string.h>

#include "sluice/supervisor.h"
#include "supervisor_internal.h"

int sl__supervisor_of(sl_scope *scope, struct sl__supervisor **ret_supervisor)
{
    if (scope->supervisor == NULL) {
        struct sl__supervisor *supervisor = sl_calloc(1, sizeof *supervisor);
        uint32_t restarts = scope->max_restarts == 0 ? SL_MAX_RESTARTS : scope->max_restarts;
        size_t capacity = restarts == SL_UNLIMITED ? 0 : restarts;
        struct sl__restart_record *records = sl_calloc(capacity, sizeof *records);
        if (supervisor == NULL || records == NULL) {
            sl_free(supervisor);
            sl_free(records);
            return sl_fail(SL_ENOMEM, "no memory for a supervisor");
        }
        supervisor->scope = scope;
        supervisor->records = records;
        supervisor->record_capacity = capacity;
        scope->supervisor = supervisor;
        if (scope->effective || scope->stop_effective) {
            supervisor->mode = SL_ENDED;
        }
    }
    *ret_supervisor = scope->supervisor;
    return 0;
}

static const char *wrong_with(const sl_scope *scope, sl_task_fn fn, const struct sl_spawn_options *options)
{
    const struct sl_backoff *backoff = &options->backoff;
    if (fn == NULL) {
        return "no function";
    }
    if (options->id != NULL && strnlen(options->id, SL_CHILD_ID_BYTES) == SL_CHILD_ID_BYTES) {
        return "its id is longer than 31 bytes";
    }
    if ((unsigned)options->restart > SL_ALWAYS) {
        return "unknown restart";
    }
    if (backoff->initial < SL_NO_BACKOFF || backoff->max < 0 || options->healthy_after < 0 ||
        options->stop_budget < SL_STOP_BRUTAL) {
        return "negative time";
    }
    if ((backoff->multiplier != 0 && !(backoff->multiplier >= 1)) || !(backoff->jitter <= 1)) {
        return "backoff: multiplier below 1 or jitter above 1";
    }
    if (options->significant && options->restart == SL_ALWAYS) {
        return "a permanent child cannot be significant";
    }
    if (options->significant && scope->auto_shutdown == SL_SHUTDOWN_NEVER) {
        return "a significant child in a scope without auto_shutdown";
    }
    return NULL;
}

int sl__child_check(const sl_scope *scope, sl_task_fn fn, const struct sl_spawn_options *options)
{
    const char *wrong = wrong_with(scope, fn, options);
    return wrong == NULL ? 0 : sl_fail(SL_EINVAL, "supervised child: %s", wrong);
}

/* ---- by id: a list while they are few, then a table that doubles; without memory for it, still the list ---- */

#define TABLE_FROM 16

/* FNV-1a */
static size_t bucket_of(const struct sl__supervisor *supervisor, const char *id)
{
    uint32_t hash = UINT32_C(2166136261);
    for (; *id != '\0'; id++) {
        hash = (hash ^ (unsigned char)*id) * UINT32_C(16777619);
    }
    return hash & (supervisor->bucket_count - 1);
}

struct sl__child *sl__child_by_id(const struct sl__supervisor *supervisor, const char *id)
{
    if (supervisor == NULL) {
        return NULL;
    }
    bool table = supervisor->buckets != NULL;
    struct sl__child *child = table ? supervisor->buckets[bucket_of(supervisor, id)] : supervisor->first;
    while (child != NULL && strcmp(child->id, id) != 0) {
        child = table ? child->hash_next : child->next;
    }
    return child;
}

static void table_add(struct sl__supervisor *supervisor, struct sl__child *child)
{
    struct sl__child **bucket = &supervisor->buckets[bucket_of(supervisor, child->id)];
    child->hash_next = *bucket;
    *bucket = child;
}

static void table_remove(struct sl__supervisor *supervisor, const struct sl__child *child)
{
    struct sl__child **link = &supervisor->buckets[bucket_of(supervisor, child->id)];
    while (*link != child) {
        link = &(*link)->hash_next;
    }
    *link = child->hash_next;
}

/* Before a child comes in: true if it has to be put into the table. */
static bool table_grow(struct sl__supervisor *supervisor)
{
    if (supervisor->count >= TABLE_FROM && supervisor->count >= supervisor->bucket_count) {
        size_t wanted = supervisor->bucket_count == 0 ? (size_t)4 * TABLE_FROM : 2 * supervisor->bucket_count;
        struct sl__child **buckets = sl_calloc(wanted, sizeof(struct sl__child *));
        if (buckets != NULL) {
            sl_free(supervisor->buckets);
            supervisor->buckets = buckets;
            supervisor->bucket_count = wanted;
            for (struct sl__child *child = supervisor->first; child != NULL; child = child->next) {
                table_add(supervisor, child);
            }
        }
    }
    return supervisor->buckets != NULL;
}

/* ---- making and freeing ---- */

static void set_id(struct sl__supervisor *supervisor, struct sl__child *child, const char *wanted)
{
    (void)snprintf(child->id, sizeof child->id, "%s", wanted);
    while (sl__child_by_id(supervisor, child->id) != NULL) { /* a name that is taken; ids were looked up before */
        (void)snprintf(child->id, sizeof child->id, "%.16s#%llu", wanted, (unsigned long long)++supervisor->sequence);
    }
}

static void append(struct sl__supervisor *supervisor, struct sl__child *child)
{
    if (table_grow(supervisor)) {
        table_add(supervisor, child);
    }
    child->number = ++supervisor->numbers;
    child->prev = supervisor->last;
    *(supervisor->last != NULL ? &supervisor->last->next : &supervisor->first) = child;
    supervisor->last = child;
    supervisor->count++;
}

int sl__child_new(struct sl__supervisor *supervisor, sl_task_fn fn, const struct sl_spawn_options *options,
                  struct sl__child **ret_child)
{
    const char *name = options->name != NULL ? options->name : options->function;
    name = name != NULL ? name : (options->id != NULL ? options->id : "task");
    if (options->id != NULL && sl__child_by_id(supervisor, options->id) != NULL) {
        return sl_fail(SL_EEXIST, "a child '%s' is there already", options->id);
    }
    struct sl__child *child = sl_calloc(1, sizeof *child);
    if (child == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for child '%s'", name);
    }
    child->supervisor = supervisor;
    child->fn = fn;
    child->options = *options;
    child->options.ret_task = NULL;
    child->options.release = NULL; /* the argument lives as long as the record */
    (void)snprintf(child->name, sizeof child->name, "%s", name);
    child->options.name = child->name;
    set_id(supervisor, child, options->id != NULL ? options->id : name);
    child->options.id = child->id;
    child->state = SL_CHILD_STOPPED;
    append(supervisor, child);
    *ret_child = child;
    return 0;
}

static void forget_records(struct sl__supervisor *supervisor, const struct sl__child *child)
{
    size_t kept = 0;
    for (size_t i = 0; i < supervisor->record_count; i++) {
        if (supervisor->records[i].child != child) {
            supervisor->records[kept++] = supervisor->records[i];
        }
    }
    supervisor->record_count = kept;
}

void sl__child_free(struct sl__child *child, bool release)
{
    struct sl__supervisor *supervisor = child->supervisor;
    while (sl__wait_queue_wake(&child->starters, SL_ENOTSTARTED) || sl__wait_queue_wake(&child->stoppers, 0)) {
    }
    sl__timer_disarm(&sl__runtime->timers, &child->timer);
    forget_records(supervisor, child);
    if (supervisor->from == child) {
        supervisor->from = child->next;
    }
    if (supervisor->cursor == child) {
        supervisor->cursor = child->prev;
    }
    if (supervisor->failed == child) {
        supervisor->failed = NULL;
    }
    *(child->prev != NULL ? &child->prev->next : &supervisor->first) = child->next;
    *(child->next != NULL ? &child->next->prev : &supervisor->last) = child->prev;
    supervisor->count--;
    if (supervisor->buckets != NULL) {
        table_remove(supervisor, child);
    }
    if (release && child->released != NULL) {
        child->released(child->options.arg);
    }
    sl_error_unref(child->last_error);
    sl_free(child);
}

void sl__supervisor_free(sl_scope *scope)
{
    struct sl__supervisor *supervisor = scope->supervisor;
    scope->supervisor = NULL;
    while (supervisor->first != NULL) {
        sl__child_free(supervisor->first, true);
    }
    sl__timer_disarm(&sl__runtime->timers, &supervisor->group_timer);
    sl_error_unref(supervisor->end_error);
    sl_free(supervisor->buckets);
    sl_free(supervisor->records);
    sl_free(supervisor);
}

/* ---- health and budgets ---- */

void sl__child_healthy(struct sl__child *child)
{
    child->attempts = 0;
    forget_records(child->supervisor, child);
}

int sl_healthy(void)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    if (task->child == NULL) {
        return sl__misuse(SL_EMISUSE, "sl_healthy(): the task is not a supervised child");
    }
    sl__child_healthy(task->child);
    return 0;
}

sl_time sl__supervisor_window(const sl_scope *scope)
{
    return scope->window == 0 ? SL_RESTART_WINDOW : scope->window;
}

bool sl__child_may_restart(struct sl__child *child)
{
    struct sl__supervisor *supervisor = child->supervisor;
    if (supervisor->scope->max_restarts == SL_UNLIMITED) {
        return true;
    }
    sl_time now = sl_now();
    size_t kept = 0;
    for (size_t i = 0; i < supervisor->record_count; i++) {
        if (now - supervisor->records[i].when < sl__supervisor_window(supervisor->scope)) {
            supervisor->records[kept++] = supervisor->records[i];
        }
    }
    supervisor->record_count = kept;
    if (kept >= supervisor->record_capacity) {
        return false;
    }
    supervisor->records[supervisor->record_count++] = (struct sl__restart_record){now, child};
    return true;
}
