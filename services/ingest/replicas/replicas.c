/* SPDX-License-Identifier: MIT */
/* Which partitions this replica follows, and how they change hands. See replicas.h. */
#include "ingest/replicas/replicas.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ingest/replicas/replicas_internal.h"
#include "sluice/channel.h"
#include "sluice/log_record.h"
#include "sluice/runtime.h"

/* Between two looks at who owns what, for views. */
#define OWNERS_EVERY SL_SECONDS(2)

uint32_t sl__replicas_partition_of(const sl_replicas *replicas, const sl_instrument *instrument)
{
    return sl_partition_of(instrument->symbol, replicas->count);
}

bool sl_replicas_follows(const sl_replicas *replicas, const sl_instrument *instrument)
{
    return replicas == NULL || replicas->all[sl__replicas_partition_of(replicas, instrument)].state != SL__PART_AWAY;
}

bool sl_replicas_lost(const sl_replicas *replicas, const sl_instrument *instrument)
{
    return replicas != NULL && replicas->all[sl__replicas_partition_of(replicas, instrument)].lost;
}

bool sl_replicas_unclean(const sl_replicas *replicas, const sl_instrument *instrument, uint64_t since)
{
    const struct sl__replica_part *part = &replicas->all[sl__replicas_partition_of(replicas, instrument)];
    return part->unclean && part->claimed > since;
}

uint64_t sl_replicas_generation(const sl_replicas *replicas)
{
    return replicas == NULL ? 0 : replicas->generation;
}

bool sl_replicas_shared(const sl_replicas *replicas)
{
    return replicas != NULL && replicas->redis != NULL;
}

uint32_t sl_replicas_members(const sl_replicas *replicas)
{
    return replicas == NULL || replicas->members == 0 ? 1 : replicas->members;
}

sl_positions *sl_replicas_positions(sl_replicas *replicas)
{
    return replicas->positions;
}

/* Not before what happened ahead of us has been told: whoever follows must not begin behind that. */
bool sl__replicas_may_save(const sl_replicas *replicas, const struct sl__replica_part *part)
{
    return part->state != SL__PART_AWAY && part->joined && replicas->taken_chosen >= part->claimed;
}

bool sl__replicas_is_told(const sl_replicas *replicas, const struct sl__replica_part *part)
{
    for (const struct sl_program_service *service = sl_program_services(replicas->parts); service != NULL;
         service = service->next) {
        if (service->kind->positions != NULL && service->chosen < part->claimed) {
            return false;
        }
    }
    return true;
}

/* Services look anew at what they follow. */
static uint64_t tell_services(sl_replicas *replicas)
{
    replicas->generation++;
    for (struct sl_program_service *service = sl_program_services(replicas->parts); service != NULL;
         service = service->next) {
        sl_event_set(&service->changed);
    }
    return replicas->generation;
}

/* ---- leases ---- */

static int take_over(sl_replicas *replicas, struct sl__replica_part *part, const struct sl__told *told)
{
    int64_t fence = part->fence;
    bool ours = part->before != 0 && told->fence == part->before; /* and nothing has passed us since */
    SL_TRY(sl__store_take(replicas, part, ours || told->seen == fence));
    if (part->fence != fence || part->state == SL__PART_AWAY) { /* lost while we asked */
        return 0;
    }
    part->joined = true;
    part->unclean = told->open > 0;
    part->claimed = tell_services(replicas);
    return 0;
}

static void begin(sl_replicas *replicas, struct sl__replica_part *part, int64_t fence)
{
    bool back = part->state == SL__PART_LEAVING; /* we never ceased to follow it */
    sl_time wait = replicas->conf->drain + SL_REPLICAS_MARGIN + SL_REPLICAS_PATIENCE;
    *part = (struct sl__replica_part){.index = part->index,
                                      .state = SL__PART_OWNED,
                                      .fence = fence,
                                      .before = !back          ? 0
                                                : part->joined ? part->fence
                                                               : part->before,
                                      .claimed = part->claimed,
                                      .join_by = sl_time_add(sl_now(), wait)};
    part->generation = tell_services(replicas);
    sl_event_set(&replicas->changed);
}

/* Before anything of it is followed: whoever comes later must find out that somebody did. */
static int say_begins(sl_replicas *replicas, const struct sl__replica_part *part, int64_t fence)
{
    for (;;) {
        int code = sl__store_open(replicas, part->index, fence, part->state == SL__PART_LEAVING ? part->fence : 0);
        if (code == 0 || code == SL_ECANCELED || sl_stop_requested()) {
            return code;
        }
        SL_TRY(sl_sleep(SL_REPLICAS_LOOK_EVERY)); /* until the lease is lost */
    }
}

static void away(sl_replicas *replicas, struct sl__replica_part *part)
{
    part->state = SL__PART_AWAY;
    (void)tell_services(replicas);
}

/* The lease is to be given back: whoever follows finds out that we go on until it has begun. */
static int give_back(sl_replicas *replicas, struct sl__replica_part *part)
{
    struct sl_partitions_stats stats;
    sl_partitions_stats_get(replicas->partitions, &stats);
    replicas->members = stats.members;
    part->state = SL__PART_LEAVING;
    part->leave_by = sl_time_add(sl_now(), replicas->conf->drain + SL_REPLICAS_PATIENCE);
    part->alone = stats.members < 2;
    part->heir = 0;
    part->leave_from = 0;
    sl_event_set(&replicas->changed);
    int code = part->alone ? 0 : sl__store_handing(replicas, part);
    return code == SL_ECANCELED ? code : 0; /* the heir finds an owner that said nothing, and tells a gap to be sure */
}

/* A lease that was lost may be another's already: nothing is known of it. */
static void lose(sl_replicas *replicas, struct sl__replica_part *part)
{
    if (replicas->conf->on_loss == SL_CONF_ON_LOSS_CONTINUE) {
        part->state = SL__PART_LEAVING;
        part->leave_by = SL_NEVER;
        part->heir = 0;
        part->leave_from = 0;
        sl_event_set(&replicas->changed);
    } else {
        part->lost = true;
        away(replicas, part);
    }
}

static int own(void *arg, const struct sl_partition *partition)
{
    sl_replicas *replicas = arg;
    struct sl__replica_part *part = &replicas->all[partition->index];
    int code = say_begins(replicas, part, partition->fence);
    if (code < 0) {
        return code == SL_ECANCELED ? code : 0; /* nothing of it was followed for this lease */
    }
    begin(replicas, part, partition->fence);
    code = sl_stop_wait();
    if (code == 0) {
        return give_back(replicas, part);
    }
    lose(replicas, part);
    return code;
}

/* ---- a new owner ---- */

/* Those before may still be writing: their last words say how far they came. */
static int join(sl_replicas *replicas, struct sl__replica_part *part)
{
    struct sl__told told;
    SL_TRY(sl__store_look(replicas, part, &told));
    if (part->state != SL__PART_OWNED || (told.handing > 0 && sl_now() < part->join_by)) {
        return 0;
    }
    return take_over(replicas, part, &told);
}

static void count_pending(void *arg, const sl_subscription *what)
{
    const sl_replicas *replicas = arg;
    replicas->pending[sl__replicas_partition_of(replicas, what->instrument)]++;
}

/* Whether all services follow what they should since `generation`; and what of that does not come yet. */
static bool count_all_pending(sl_replicas *replicas, uint64_t generation)
{
    bool chosen = true;
    memset(replicas->pending, 0, replicas->count * sizeof *replicas->pending);
    for (const struct sl_program_service *service = sl_program_services(replicas->parts); service != NULL;
         service = service->next) {
        if (service->kind->pending == NULL || service->paused) {
            continue;
        }
        chosen = chosen && service->life != NULL && service->chosen >= generation;
        if (service->life != NULL) {
            service->kind->pending(service, count_pending, replicas);
        }
    }
    return chosen;
}

static int announce(sl_replicas *replicas, struct sl__replica_part *part)
{
    int64_t fence = part->fence;
    SL_TRY(sl__store_live(replicas, part));
    if (part->fence == fence && part->state == SL__PART_OWNED) { /* still, after the wait */
        sl_time by = sl_time_add(sl_now(), SL_REPLICAS_OVERLAP + replicas->conf->drain + SL_REPLICAS_MARGIN);
        part->live = true;
        part->join_by = by < part->join_by ? by : part->join_by;
    }
    return 0;
}

static int tend_owned(sl_replicas *replicas)
{
    uint64_t generation = 0;
    bool any = false;
    for (uint32_t at = 0; at < replicas->count; at++) {
        struct sl__replica_part *part = &replicas->all[at];
        if (part->state == SL__PART_OWNED && !part->live) {
            any = true;
            generation = part->generation > generation ? part->generation : generation;
        }
    }
    bool chosen = any && count_all_pending(replicas, generation);
    for (uint32_t at = 0; at < replicas->count; at++) {
        struct sl__replica_part *part = &replicas->all[at];
        /* One that came while we told of others was not counted. */
        bool counted = chosen && part->generation <= generation;
        if (part->state == SL__PART_OWNED && !part->live && counted && replicas->pending[at] == 0) {
            SL_TRY(announce(replicas, part));
        }
        if (part->state == SL__PART_OWNED && !part->joined) {
            SL_TRY(join(replicas, part));
        }
    }
    return 0;
}

/* ---- an old owner ---- */

/* Whether somebody has all of it, or nobody is there who could. */
static int look_for_heir(sl_replicas *replicas, struct sl__replica_part *part)
{
    struct sl__told told;
    SL_TRY(sl__store_look(replicas, part, &told));
    if (part->state != SL__PART_LEAVING) { /* it came back while we asked */
        return 0;
    }
    if (told.live > part->fence) {
        part->heir = told.live;
        part->leave_from = sl_time_add(sl_now(), SL_REPLICAS_OVERLAP);
        replicas->take_next = part->leave_from;
    } else if (replicas->stopping && told.members == 0) {
        part->alone = true;
    }
    return 0;
}

/* Nobody came: it is ours no more, all the same. */
static void give_up(sl_replicas *replicas, struct sl__replica_part *part)
{
    sl_log_with(SL_LOG_WARNING, "a partition was left before anybody said that it has all of it",
                sl_field_uint("partition", part->index));
    part->heir = -1;
    part->leave_from = sl_now();
    replicas->take_next = part->leave_from;
}

/*
 * Nothing of it is followed any more. In order: an heir has all of it, and the sinks what we had; or the last positions are
 * stored and services had told what was missing before them.
 */
static int leave(sl_replicas *replicas, struct sl__replica_part *part, bool in_order)
{
    int code = sl__store_left(replicas, part,
                              in_order && (part->joined ? sl__replicas_is_told(replicas, part) : part->heir > 0));
    if (part->state == SL__PART_LEAVING) {
        away(replicas, part);
    }
    return code;
}

static int tend_all_leaving(sl_replicas *replicas)
{
    int code = 0;
    for (uint32_t at = 0; at < replicas->count && code != SL_ECANCELED; at++) {
        struct sl__replica_part *part = &replicas->all[at];
        if (part->state != SL__PART_LEAVING || part->alone || part->heir != 0) {
            continue;
        }
        code = code == 0 ? look_for_heir(replicas, part) : code; /* a server that does not answer is asked once */
        if (part->state == SL__PART_LEAVING && part->heir == 0 && !part->alone && sl_now() >= part->leave_by) {
            give_up(replicas, part);
        }
    }
    return code;
}

static bool is_leaving(const sl_replicas *replicas)
{
    for (uint32_t at = 0; at < replicas->count; at++) {
        if (replicas->all[at].state == SL__PART_LEAVING && !replicas->all[at].alone) {
            return true;
        }
    }
    return false;
}

static bool is_changing(const sl_replicas *replicas)
{
    for (uint32_t at = 0; at < replicas->count; at++) {
        const struct sl__replica_part *part = &replicas->all[at];
        if (part->state == SL__PART_OWNED && (!part->live || !part->joined)) {
            return true;
        }
    }
    return is_leaving(replicas);
}

/* ---- positions ---- */

struct taking {
    sl_replicas *replicas;
    const char *service;
    int code;
};

static void note(void *arg, const sl_instrument *instrument, sl_feed feed, int64_t id)
{
    struct taking *taking = arg;
    if (taking->code == 0 && sl_replicas_follows(taking->replicas, instrument)) {
        taking->code = sl_positions_note(taking->replicas->positions, taking->service, instrument, feed, id);
    }
}

static void mark_sinks(sl_replicas *replicas)
{
    replicas->mark_count = 0;
    for (const struct sl_program_sink *sink = sl_program_sinks(replicas->parts);
         sink != NULL && replicas->mark_count < SL_PROGRAM_PARTS_MAX; sink = sink->next) {
        struct sl__mark *mark = &replicas->marks[replicas->mark_count++];
        memcpy(mark->sink, sink->name, sizeof mark->sink);
        mark->received = sl_outlet_get_stats(sink->outlet)->received;
    }
}

/* How far all services are now; it counts when the sinks have stored what they were given until now. */
static int take_positions(sl_replicas *replicas)
{
    sl_time now = sl_now();
    uint64_t chosen = replicas->generation;
    for (struct sl_program_service *service = sl_program_services(replicas->parts); service != NULL;
         service = service->next) {
        const struct sl_conf_market *market = sl_conf_market(service->variant);
        bool split = market == NULL || market->partitioned || replicas->redis == NULL; /* else each has its own */
        if (split && service->kind->positions != NULL && service->life != NULL) {
            struct taking taking = {replicas, service->name, 0};
            chosen = service->chosen < chosen ? service->chosen : chosen;
            int code = service->kind->positions(service, note, &taking);
            if (code == SL_ECLOSED) { /* it has ended meanwhile, and may be gone: all are asked once more */
                return 0;
            }
            SL_TRY(code);
            SL_TRY(taking.code);
        }
    }
    mark_sinks(replicas);
    replicas->taken_chosen = chosen;
    replicas->taken = true;
    replicas->taken_at = now;
    return 0;
}

/* Events leave an outlet in order; what is in its spool survives this process. */
static bool has_stored(const struct sl_program_sink *sink, uint64_t received)
{
    const sl_outlet_stats *stats = sl_outlet_get_stats(sink->outlet);
    uint64_t waiting = stats->queued + stats->in_batch;
    return stats->received - waiting - stats->spooled >= received || waiting == 0;
}

static bool is_stored(const sl_replicas *replicas)
{
    for (size_t at = 0; at < replicas->mark_count; at++) {
        const struct sl__mark *mark = &replicas->marks[at];
        for (const struct sl_program_sink *sink = sl_program_sinks(replicas->parts); sink != NULL; sink = sink->next) {
            if (strcmp(sink->name, mark->sink) == 0 && !has_stored(sink, mark->received)) {
                return false;
            }
        }
    }
    return true;
}

static int leave_those_told(sl_replicas *replicas, sl_time stored_at)
{
    int code = 0;
    for (uint32_t at = 0; at < replicas->count && code != SL_ECANCELED; at++) {
        struct sl__replica_part *part = &replicas->all[at];
        bool ready = part->state == SL__PART_LEAVING && part->leave_from != 0;
        bool late = ready && sl_now() >= sl_time_add(part->leave_from, replicas->conf->drain);
        bool told = part->leave_from <= stored_at && (sl__replicas_may_save(replicas, part) || !part->joined);
        if (ready && (told || late)) {
            int one = leave(replicas, part, told);
            code = code < 0 ? code : one;
        }
    }
    return code;
}

static int tend_positions(sl_replicas *replicas)
{
    sl_time stored_at = 0;
    int code = 0;
    bool kept = replicas->redis != NULL || replicas->conf->positions != NULL;
    if (kept && !replicas->taken && sl_now() >= replicas->take_next) {
        code = take_positions(replicas);
    }
    if (code == 0 && replicas->taken && is_stored(replicas)) {
        sl_time taken_at = replicas->taken_at;
        code = sl__store_save(replicas);
        stored_at = code == 0 ? taken_at : 0;
        replicas->taken = false;
        sl_time next = sl_time_add(sl_now(), SL_REPLICAS_STORE_EVERY);
        replicas->take_next = replicas->take_next > taken_at && replicas->take_next < next ? replicas->take_next : next;
    }
    int left = leave_those_told(replicas, stored_at);
    return code < 0 ? code : left;
}

/* ---- the loop ---- */

static int refresh_views(sl_replicas *replicas)
{
    if (replicas->partitions == NULL) {
        return 0;
    }
    struct sl_partitions_stats stats;
    sl_partitions_stats_get(replicas->partitions, &stats);
    replicas->members = stats.members;
    sl__program_set_members(replicas->parts, sl_replicas_members(replicas));
    if (sl_now() < replicas->owners_next) {
        return 0;
    }
    replicas->owners_next = sl_time_add(sl_now(), OWNERS_EVERY);
    return sl_partitions_owners(replicas->partitions, replicas->owners);
}

static int tend_once(sl_replicas *replicas)
{
    int (*const steps[])(sl_replicas * replicas) = {tend_owned, tend_all_leaving, tend_positions, refresh_views};
    int code = 0;
    for (size_t at = 0; at < sizeof steps / sizeof *steps && code != SL_ECANCELED; at++) {
        int one = steps[at](replicas); /* one that fails keeps no other from its time limits */
        code = one == SL_ECANCELED || code == 0 ? one : code;
    }
    return code;
}

/* A store that is away is told of once, and tried again. */
static int tend(sl_replicas *replicas)
{
    int code = tend_once(replicas);
    if (code == SL_ECANCELED || code == SL_ENOMEM) {
        return code;
    }
    if (code < 0 && replicas->store_code == 0) {
        sl_log_with(SL_LOG_WARNING, "what replicas share cannot be stored, or read",
                    sl_field_text("problem", sl_error_message(sl_error_last())), sl_field_code("code", code));
    }
    replicas->store_code = code;
    return 0;
}

static int tend_always(void *arg)
{
    sl_replicas *replicas = arg;
    for (;;) {
        sl_event_reset(&replicas->changed);
        SL_TRY(tend(replicas));
        struct sl_select_clause clause = {.kind = SL_SELECT_EVENT, .event = &replicas->changed};
        bool soon = is_changing(replicas) || replicas->taken;
        int code = sl_select(&clause, 1, soon ? SL_REPLICAS_LOOK_EVERY : SL_REPLICAS_STORE_EVERY);
        if (code < 0 && code != SL_ETIMEDOUT) {
            return code;
        }
    }
}

/* There is an end now to the time that others have for taking over. */
static void hurry(sl_replicas *replicas)
{
    replicas->stopping = true;
    for (uint32_t at = 0; at < replicas->count; at++) {
        replicas->all[at].leave_by = sl_time_add(sl_now(), replicas->conf->drain);
    }
}

/* Until all is handed over, or nobody is there to take it. */
static int wait_for_heirs(const sl_replicas *replicas)
{
    while (is_leaving(replicas)) {
        SL_TRY(sl_sleep(SL_REPLICAS_LOOK_EVERY / 4));
    }
    return 0;
}

static int take_part(sl_replicas *replicas)
{
    const struct sl_conf_coordination *conf = replicas->conf;
    return sl_partitions_run(
        &(struct sl_partitions_options){.backend = replicas->redis != NULL ? SL_PARTITIONS_REDIS : SL_PARTITIONS_LOCAL,
                                        .redis = replicas->redis,
                                        .group = conf->group,
                                        .replica = replicas->replica,
                                        .count = replicas->count,
                                        .ttl = conf->ttl,
                                        .drain = conf->drain,
                                        .on_owned = own,
                                        .arg = replicas,
                                        .ret_partitions = &replicas->partitions});
}

int sl_replicas_run(void *arg)
{
    sl_replicas *replicas = arg;
    SL_SCOPE(scope, .name = "replicas");
    replicas->stopping = false;
    int code = sl_spawn(&scope, tend_always, replicas, .daemon = true, .name = "positions");
    code = code == 0 ? take_part(replicas) : code;
    hurry(replicas);
    sl_event_set(&replicas->changed);
    code = code == 0 ? wait_for_heirs(replicas) : code;
    return sl_scope_close(&scope, code);
}

void sl_replicas_end(sl_replicas *replicas)
{
    if (replicas == NULL || sl_program_get_totals(replicas->parts).queued > 0) {
        return; /* what was stored before is what the sinks have for sure */
    }
    int code = sl__store_save_last(replicas);
    if (code < 0 && code != SL_ECANCELED) {
        sl_log_with(SL_LOG_WARNING, "the last positions could not be stored",
                    sl_field_text("problem", sl_error_message(sl_error_last())), sl_field_code("code", code));
    }
}

/* ---- made and freed ---- */

/* "host-pid": the host may have had another one with this number before, so there is a bit of chance in it, too. */
static void name_replica(sl_replicas *replicas)
{
    if (replicas->conf->replica != NULL) {
        (void)snprintf(replicas->replica, sizeof replicas->replica, "%s", replicas->conf->replica);
        return;
    }
    char host[33] = "";
    (void)gethostname(host, sizeof host - 1);
    (void)snprintf(replicas->replica, sizeof replicas->replica, "%s-%ld-%04" PRIx64, host[0] == '\0' ? "replica" : host,
                   (long)getpid(), sl_random() & 0xffff);
}

int sl_replicas_open(struct sl_program_parts *parts, const struct sl_conf *conf, sl_redis *redis,
                     sl_replicas **ret_replicas)
{
    uint32_t count = (uint32_t)sl_conf_partitions(conf);
    sl_auto(sl_replicas) *replicas = sl_calloc(1, sizeof *replicas + count * sizeof replicas->all[0]);
    if (replicas == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for %" PRIu32 " partitions", count);
    }
    replicas->parts = parts;
    replicas->conf = &conf->coordination;
    replicas->redis = redis;
    replicas->count = count;
    replicas->file_lock = -1;
    sl_event_init(&replicas->changed);
    for (uint32_t at = 0; at < count; at++) {
        replicas->all[at].index = at;
    }
    name_replica(replicas);
    replicas->owners = sl_calloc(count, sizeof *replicas->owners);
    replicas->followed = sl_calloc(count, sizeof *replicas->followed);
    replicas->pending = sl_calloc(count, sizeof *replicas->pending);
    if (replicas->owners == NULL || replicas->followed == NULL || replicas->pending == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for %" PRIu32 " partitions", count);
    }
    SL_TRY(sl_positions_new(&replicas->positions));
    SL_TRY(sl__store_lock(replicas));
    *ret_replicas = replicas;
    replicas = NULL;
    return 0;
}

void sl_replicas_close(sl_replicas *replicas)
{
    if (replicas != NULL) {
        if (replicas->file_lock >= 0) {
            (void)close(replicas->file_lock);
        }
        sl_positions_free(replicas->positions);
        sl_free(replicas->owners);
        sl_free(replicas->followed);
        sl_free(replicas->pending);
        sl_free(replicas);
    }
}
