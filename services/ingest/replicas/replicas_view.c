/* SPDX-License-Identifier: MIT */
/* How the partitions of this replica stand, for views and metrics. See replicas.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ingest/replicas/replicas_internal.h"

bool sl_replicas_ready(const sl_replicas *replicas, char *reason, size_t reason_bytes)
{
    struct sl_partitions_stats stats = {.members = 0};
    uint32_t live = 0;
    if (replicas->partitions != NULL) {
        sl_partitions_stats_get(replicas->partitions, &stats);
    }
    if (stats.members == 0) {
        (void)snprintf(reason, reason_bytes, "not in the group '%s' yet", replicas->conf->group);
        return false;
    }
    for (uint32_t at = 0; at < replicas->count; at++) {
        live += replicas->all[at].state == SL__PART_OWNED && replicas->all[at].live;
    }
    if (live < stats.wanted) {
        (void)snprintf(reason, reason_bytes, "%" PRIu32 " of its %" PRIu32 " partitions are not live yet",
                       stats.wanted - live, stats.wanted);
        return false;
    }
    return true;
}

void sl_replicas_collect(const sl_replicas *replicas, sl_scrape *scrape)
{
    struct sl_partitions_stats stats = {.count = replicas->count};
    if (replicas->partitions != NULL) {
        sl_partitions_stats_get(replicas->partitions, &stats);
    }
    const struct sl_label *labels = SL_LABELS({"group", replicas->conf->group});
    sl_scrape_gauge(scrape, "sluice_replicas", "Replicas in the group, by the last beat.", labels, stats.members);
    sl_scrape_gauge(scrape, "sluice_partitions", "Partitions of the group.", labels, stats.count);
    sl_scrape_gauge(scrape, "sluice_partitions_owned", "Partitions whose lease this replica has.", labels, stats.owned);
    sl_scrape_counter(scrape, "sluice_partitions_taken_total", "Leases of partitions taken.", labels, stats.taken);
    sl_scrape_counter(scrape, "sluice_partitions_handed_over_total", "Leases given back in order.", labels,
                      stats.handed_over);
    sl_scrape_counter(scrape, "sluice_partitions_lost_total", "Leases that ran out or were refused.", labels,
                      stats.lost);
    sl_scrape_counter(scrape, "sluice_partitions_failed_beats_total", "Signs of life that did not reach the group.",
                      labels, stats.beats_failed);
}

/* What others own is known from the server; our own needs no asking. */
static const char *owner_of(const sl_replicas *replicas, uint32_t index, int64_t *ret_fence)
{
    const struct sl__replica_part *part = &replicas->all[index];
    const struct sl_partition_owner *owner = &replicas->owners[index];
    bool ours = part->state == SL__PART_OWNED;
    bool old = !ours && strcmp(owner->replica, replicas->replica) == 0;
    *ret_fence = ours ? part->fence : old ? 0 : owner->fence;
    return ours ? replicas->replica : old ? "" : owner->replica;
}

static void count_followed(sl_replicas *replicas)
{
    const sl_instruments *table = sl_program_instruments(replicas->parts);
    memset(replicas->followed, 0, replicas->count * sizeof *replicas->followed);
    for (size_t at = 0; at < sl_instruments_count(table); at++) {
        const sl_instrument *instrument = sl_instruments_at(table, at);
        bool followed = false;
        for (const struct sl_program_service *service = sl_program_services(replicas->parts);
             service != NULL && !followed; service = service->next) {
            followed =
                service->life != NULL && service->kind->follows != NULL && service->kind->follows(service, instrument);
        }
        if (followed) {
            replicas->followed[sl__replicas_partition_of(replicas, instrument)]++;
        }
    }
}

static void put_replicas(const sl_replicas *replicas, sl_json_writer *out)
{
    sl_json_put_key(out, "replicas");
    sl_json_begin_array(out);
    for (uint32_t at = 0; at < replicas->count; at++) {
        int64_t fence = 0;
        const char *name = owner_of(replicas, at, &fence);
        uint64_t count = 0;
        bool seen = name[0] == '\0';
        for (uint32_t other = 0; other < replicas->count && !seen; other++) {
            bool same = strcmp(owner_of(replicas, other, &fence), name) == 0;
            seen = same && other < at;
            count += same;
        }
        if (!seen) {
            sl_json_begin_object(out);
            sl_json_put_key_text(out, "id", name);
            sl_json_put_key_uint64(out, "partitions", count);
            sl_json_end_object(out);
        }
    }
    sl_json_end_array(out);
}

static void put_partition(const sl_replicas *replicas, uint32_t index, sl_json_writer *out)
{
    static const char *const states[] = {
        [SL__PART_AWAY] = "away", [SL__PART_OWNED] = "owned", [SL__PART_LEAVING] = "leaving"};
    const struct sl__replica_part *part = &replicas->all[index];
    int64_t fence = 0;
    const char *owner = owner_of(replicas, index, &fence);
    sl_json_begin_object(out);
    sl_json_put_key_uint64(out, "id", index);
    sl_json_put_key(out, "owner");
    if (owner[0] == '\0') {
        sl_json_put_null(out);
    } else {
        sl_json_put_text(out, owner);
    }
    sl_json_put_key(out, "token");
    sl_json_put_int64(out, fence);
    sl_json_put_key_text(
        out, "state", part->state == SL__PART_OWNED && !(part->live && part->joined) ? "joining" : states[part->state]);
    if (part->state != SL__PART_AWAY) {
        sl_json_put_key_uint64(out, "instruments", replicas->followed[index]);
    }
    sl_json_end_object(out);
}

void sl_replicas_view(sl_replicas *replicas, sl_json_writer *out)
{
    count_followed(replicas);
    sl_json_begin_object(out);
    sl_json_put_key_text(out, "backend", replicas->redis != NULL ? "redis" : "local");
    sl_json_put_key_text(out, "replica", replicas->replica);
    sl_json_put_key_text(out, "group", replicas->conf->group);
    put_replicas(replicas, out);
    sl_json_put_key(out, "partitions");
    sl_json_begin_array(out);
    for (uint32_t at = 0; at < replicas->count; at++) {
        put_partition(replicas, at, out);
    }
    sl_json_end_array(out);
    sl_json_end_object(out);
}
