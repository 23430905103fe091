/* SPDX-License-Identifier: MIT */
/*
 * Owning partitions: the body beats and assigns; a task for each partition that is wanted waits for its lease, runs the
 * callback in the lease's scope, and gives it back. A replica that stops leaves the group before it gives back its
 * leases, so that the others wait for them already.
 */
#include "partition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sluice/channel.h"
#include "sluice/memory.h"
#include "sluice/runtime.h"

#define RETRY_MIN SL_MILLISECONDS(50)
#define RETRY_MAX SL_MILLISECONDS(250)

/* Tokens are microseconds, as long as clocks are right: a second, doubled up to ten times. */
#define FENCE_STEP ((int64_t)1000000)
#define FENCE_STEPS_MAX 10

static sl_time earlier(sl_time one, sl_time other)
{
    return one < other ? one : other;
}

static sl_time retry_pause(void)
{
    return RETRY_MIN + (sl_time)(sl_random_unit() * (double)(RETRY_MAX - RETRY_MIN));
}

/* What no waiting mends. */
static bool is_fatal(int code)
{
    return code == SL_EINVAL || code == -EACCES || code == SL_EREPLY;
}

/* ---- the only replica ---- */

static int local_beat(sl_partitions *partitions, struct sl__members *ret_members)
{
    ret_members->count = 1;
    ret_members->next = SL_NEVER;
    memcpy(ret_members->names[0], partitions->replica, sizeof partitions->replica);
    return 0;
}

static int local_leave(sl_partitions *partitions)
{
    (void)partitions;
    return 0;
}

/* The wall clock grows from one life of the process to the next; within one the count does. */
static int local_take(sl_partitions *partitions, sl_scope *scope, uint32_t index, struct sl_partition *ret_partition)
{
    (void)scope;
    int64_t last = partitions->parts[index].fence;
    int64_t fence = sl_now_wall() / 1000;
    *ret_partition = (struct sl_partition){.index = index, .fence = fence > last ? fence : last + 1};
    return 0;
}

static int local_owners(sl_partitions *partitions, struct sl_partition_owner *ret_owners)
{
    for (uint32_t i = 0; i < partitions->options.count; i++) {
        ret_owners[i] = (struct sl_partition_owner){.fence = 0};
        if (sl_partitions_owned(partitions, i, &ret_owners[i].fence)) {
            memcpy(ret_owners[i].replica, partitions->replica, sizeof partitions->replica);
        }
    }
    return sl_checkpoint_if_cancelled();
}

static void local_listen(sl_partitions *partitions)
{
    (void)partitions;
}

static const struct sl__partition_backend local = {local_beat,   local_leave,  local_take,
                                                   local_owners, local_listen, local_listen};

/* ---- one partition ---- */

static int own(struct sl__part *part, const struct sl_partition *partition)
{
    const struct sl_partitions_options *options = &part->partitions->options;
    part->owned = true;
    part->fence = partition->fence;
    part->partitions->stats.taken++;
    part->partitions->stats.owned++;
    int code = options->on_owned(options->arg, partition);
    code = code == 0 ? sl_stop_wait() : code;
    part->owned = false; /* though its lease may last until it is given back */
    part->partitions->stats.owned--;
    return code;
}

/* A sink has seen a larger token, who knows how much: the next one is larger by more each time. */
static void outbid(struct sl__part *part, int64_t fence)
{
    sl_partitions *partitions = part->partitions;
    int64_t above = fence + (FENCE_STEP << part->refusals);
    partitions->top = above > partitions->top ? above : partitions->top;
    part->refusals += part->refusals < FENCE_STEPS_MAX;
}

/* Waits for the lease and holds it for as long as it can and should be. */
static int hold(struct sl__part *part)
{
    sl_partitions *partitions = part->partitions;
    struct sl_partition partition;
    SL_SCOPE(scope, .name = "partition");
    part->scope = &scope;
    int failed = 0;
    int code = partitions->backend->take(partitions, &scope, part->index, &partition);
    bool taken = code == 0;
    if (taken) {
        code = own(part, &partition);
    } else if (code != SL_ECANCELED && !is_fatal(code)) {
        failed = code;
        code = 0;
    }
    bool refused = code == SL_ELOCKLOST;
    if (refused) {
        outbid(part, partition.fence);
    }
    bool well = code == 0 || code == SL_ECANCELED || refused;
    code = sl_scope_close(&scope, refused ? 0 : code);
    part->scope = NULL;
    if (well && code < 0 && code != SL_ECANCELED) { /* it could not be given back: it expires */
        sl_log(SL_LOG_WARNING, "partition %" PRIu32 " of '%s' was not given back: %s", part->index, partitions->group,
               sl_error_message(sl_error_last()));
        failed = code;
        code = 0;
    }
    if (taken) {
        part->refusals = refused ? part->refusals : 0;
        bool lost = refused || sl_scope_cause(&scope) == SL_CAUSE_LOST;
        *(lost ? &partitions->stats.lost : &partitions->stats.handed_over) += 1;
        if (lost) {
            sl_log(SL_LOG_WARNING, "partition %" PRIu32 " of '%s' was lost", part->index, partitions->group);
        }
        failed = refused ? code : failed;
    }
    if (code == 0 && failed < 0) {
        partitions->stats.takes_failed++;
        code = sl_sleep(retry_pause());
    }
    return code;
}

static int keep(void *arg)
{
    struct sl__part *part = arg;
    int code = 0;
    while (code == 0 && part->wanted && !sl_stop_requested()) {
        code = hold(part);
    }
    part->running = false;
    return code;
}

/* ---- the group ---- */

static int want(sl_partitions *partitions, sl_scope *scope, struct sl__part *part, bool wanted)
{
    partitions->stats.wanted += wanted ? 1 : 0;
    if (wanted == part->wanted) {
        return 0;
    }
    part->wanted = wanted;
    if (wanted && !part->running) {
        SL_TRY(sl_spawn(scope, keep, part, .name = "partition"));
        part->running = true;
    } else if (!wanted && part->scope != NULL && part->owned) {
        return sl_scope_stop(part->scope, partitions->options.drain);
    } else if (!wanted && part->scope != NULL) {
        sl_scope_cancel(part->scope, "another replica's");
    }
    return 0;
}

static int assign(sl_partitions *partitions, sl_scope *scope)
{
    const struct sl__members *members = partitions->members;
    const char *names[SL_PARTITION_MEMBERS_MAX];
    size_t self = members->count;
    for (size_t i = 0; i < members->count; i++) {
        names[i] = members->names[i];
        self = strcmp(names[i], partitions->replica) == 0 ? i : self;
    }
    partitions->stats.members = (uint32_t)members->count;
    partitions->stats.wanted = 0;
    if (self == members->count) {
        return sl_fail(SL_EPROTO, "the group '%s' does not know this replica after its beat", partitions->group);
    }
    sl_partitions_assign(names, members->count, partitions->options.count, partitions->assignment);
    for (uint32_t i = 0; i < partitions->options.count; i++) {
        SL_TRY(want(partitions, scope, &partitions->parts[i], partitions->assignment[i] == self));
    }
    return 0;
}

/*
 * One beat; `ret_pause` until the next. When the server has lost the group's data, others may not have beaten since: what
 * is wanted stays as it is until they had the time to.
 */
static int beat(sl_partitions *partitions, sl_scope *scope, sl_time *ret_pause)
{
    sl_time ttl = partitions->options.ttl;
    int code = partitions->backend->beat(partitions, partitions->members);
    partitions->stats.beats++;
    if (code == SL_ECANCELED || is_fatal(code)) {
        return code;
    }
    if (code < 0) {
        partitions->stats.beats_failed++;
        *ret_pause = earlier(retry_pause(), ttl / 6);
        return 0;
    }
    const struct sl__members *members = partitions->members;
    if (partitions->joined && members->born != partitions->born) {
        if (members->born != partitions->born_seen) {
            sl_time age = members->age < 0 ? 0 : members->age; /* the server's clock may have been set back since */
            partitions->born_seen = members->born;
            partitions->settled = sl_now() + ttl / 2 - age;
        }
        *ret_pause = partitions->settled - sl_now();
        partitions->settling = *ret_pause > 0;
        if (partitions->settling) {
            return 0;
        }
    }
    partitions->settling = false;
    partitions->born = members->born;
    *ret_pause = earlier(ttl / 3, members->next);
    partitions->joined = true;
    return assign(partitions, scope);
}

static int leave(void *arg)
{
    sl_partitions *partitions = arg;
    if (partitions->left) {
        return 0;
    }
    partitions->left = true;
    int code = partitions->backend->leave(partitions);
    if (code < 0 && code != SL_ECANCELED) {
        sl_log(SL_LOG_WARNING, "leaving the group '%s': %s", partitions->group, sl_error_message(sl_error_last()));
    }
    return 0; /* the others find out by themselves */
}

/* Until the stop: 0. */
static int take_part(sl_partitions *partitions, sl_scope *scope)
{
    while (!sl_stop_requested()) {
        sl_time pause = 0;
        sl_event_reset(&partitions->ear.heard);
        SL_TRY(beat(partitions, scope, &pause));
        struct sl_select_clause clauses[] = {{.kind = SL_SELECT_STOP},
                                             {.kind = SL_SELECT_EVENT, .event = &partitions->ear.heard}};
        int code = sl_select(clauses, partitions->settling ? 1 : 2, pause); /* news do not hurry what must wait */
        if (code == SL_ECANCELED) {
            return code;
        }
    }
    return 0;
}

static int run(sl_partitions *partitions)
{
    SL_SCOPE(scope, .name = "partitions");
    sl_cleanup *cleanup = NULL;
    SL_TRY(sl_cleanup_reserve(&scope, &cleanup));
    SL_TRY(sl_cleanup_arm(cleanup, leave, partitions, SL_LOCK_RELEASE_BUDGET));
    partitions->backend->listen(partitions);
    int code = take_part(partitions, &scope);
    partitions->backend->unlisten(partitions);
    (void)sl_cleanup_run(cleanup);
    if (code == 0) {
        (void)sl_scope_stop(&scope, partitions->options.drain);
    }
    return sl_scope_close(&scope, code);
}

/* ---- making it ---- */

static int check_name(const char *what, const char *name)
{
    size_t length = strnlen(name, SL_PARTITION_NAME_BYTES);
    if (length == 0 || length >= SL_PARTITION_NAME_BYTES || strpbrk(name, "{} \r\n") != NULL) {
        return sl_fail(SL_EINVAL, "partitions: the name of a %s has 1 to %d bytes, no spaces and no braces", what,
                       SL_PARTITION_NAME_BYTES - 1);
    }
    return 0;
}

static int check(const struct sl_partitions_options *options)
{
    if (options->count == 0 || options->count > SL_PARTITIONS_MAX) {
        return sl_fail(SL_EINVAL, "partitions: 1 to %d of them", SL_PARTITIONS_MAX);
    }
    if (options->on_owned == NULL || (options->backend == SL_PARTITIONS_REDIS && options->redis == NULL)) {
        return sl_fail(SL_EINVAL, "partitions: on_owned, and for the backend Redis a client, are missing");
    }
    if (options->ttl != 0 && (options->ttl < SL_PARTITIONS_TTL_MIN || options->ttl > SL_PARTITIONS_TTL_MAX)) {
        return sl_fail(SL_EINVAL, "partitions: the TTL is 300 ms to 10 min");
    }
    if (options->drain < 0) {
        return sl_fail(SL_EINVAL, "partitions: drain is negative");
    }
    SL_TRY(check_name("group", options->group != NULL ? options->group : "default"));
    return check_name("replica", options->replica != NULL ? options->replica : "made");
}

static void set_up(sl_partitions *partitions, const struct sl_partitions_options *options)
{
    partitions->options = *options;
    partitions->options.ttl = options->ttl != 0 ? options->ttl : SL_LOCK_TTL;
    partitions->options.drain = options->drain != 0 ? options->drain : SL_PARTITIONS_DRAIN;
    partitions->backend = options->backend == SL_PARTITIONS_REDIS ? &sl__partitions_redis : &local;
    const char *group = options->group != NULL ? options->group : "default";
    (void)snprintf(partitions->group, sizeof partitions->group, "%s", group);
    if (options->replica != NULL) {
        (void)snprintf(partitions->replica, sizeof partitions->replica, "%s", options->replica);
    } else {
        (void)snprintf(partitions->replica, sizeof partitions->replica, "%ld-%016" PRIx64, (long)getpid(), sl_random());
    }
    (void)snprintf(partitions->members_key, sizeof partitions->members_key, "sluice:{%s}:members", group);
    (void)snprintf(partitions->owners_key, sizeof partitions->owners_key, "sluice:{%s}:owners", group);
    (void)snprintf(partitions->channel, sizeof partitions->channel, "sluice:{%s}:events", group);
    sl_event_init(&partitions->ear.heard);
    partitions->stats.replica = partitions->replica;
    partitions->stats.count = options->count;
    for (uint32_t i = 0; i < options->count; i++) {
        partitions->parts[i] = (struct sl__part){.partitions = partitions, .index = i};
    }
}

int sl_partitions_run(const struct sl_partitions_options *options)
{
    SL_TRY(check(options));
    sl_partitions *partitions = sl_calloc(1, sizeof *partitions + options->count * sizeof partitions->parts[0]);
    struct sl__members *members = sl_calloc(1, sizeof *members);
    uint32_t *assignment = sl_calloc(options->count, sizeof *assignment);
    int code;
    if (partitions == NULL || members == NULL || assignment == NULL) {
        code = sl_fail(SL_ENOMEM, "no memory for %" PRIu32 " partitions", options->count);
    } else {
        set_up(partitions, options);
        partitions->members = members;
        partitions->assignment = assignment;
        if (options->ret_partitions != NULL) {
            *options->ret_partitions = partitions;
        }
        code = run(partitions);
        if (options->ret_partitions != NULL) {
            *options->ret_partitions = NULL;
        }
    }
    sl_free(assignment);
    sl_free(members);
    sl_free(partitions);
    return code;
}

/* ---- views ---- */

void sl_partitions_stats_get(const sl_partitions *partitions, struct sl_partitions_stats *ret_stats)
{
    *ret_stats = partitions->stats;
}

bool sl_partitions_owned(const sl_partitions *partitions, uint32_t index, int64_t *ret_fence)
{
    bool owned = index < partitions->options.count && partitions->parts[index].owned;
    if (owned && ret_fence != NULL) {
        *ret_fence = partitions->parts[index].fence;
    }
    return owned;
}

int sl_partitions_owners(sl_partitions *partitions, struct sl_partition_owner *ret_owners)
{
    return partitions->backend->owners(partitions, ret_owners);
}
