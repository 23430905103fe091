/* SPDX-License-Identifier: MIT */
/* Which partition, and whose: rendezvous hashing with a cap. */
#include <assert.h>
#include <string.h>

#include "sluice/partition.h"

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t sl_partition_hash(const void *bytes, size_t size_bytes)
{
    const unsigned char *at = bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size_bytes; i++) {
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return mix(hash);
}

uint32_t sl_partition_of(const char *text, uint32_t count)
{
    assert(count > 0);
    return (uint32_t)(((sl_partition_hash(text, strlen(text)) >> 32) * count) >> 32);
}

void sl_partitions_assign(const char *const *members, size_t members_count, uint32_t count, uint32_t *ret_owners)
{
    assert(members_count > 0 && members_count <= SL_PARTITION_MEMBERS_MAX && count <= SL_PARTITIONS_MAX);
    uint64_t hashes[SL_PARTITION_MEMBERS_MAX];
    uint16_t loads[SL_PARTITION_MEMBERS_MAX] = {0};
    size_t cap = (count + members_count - 1) / members_count;
    for (size_t m = 0; m < members_count; m++) {
        hashes[m] = sl_partition_hash(members[m], strlen(members[m]));
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t best = members_count;
        uint64_t best_score = 0;
        for (size_t m = 0; m < members_count; m++) {
            uint64_t score = mix(hashes[m] + (i + 1) * UINT64_C(0x9e3779b97f4a7c15));
            bool better = best == members_count || score > best_score ||
                          (score == best_score && strcmp(members[m], members[best]) < 0);
            if (loads[m] < cap && better) {
                best = m;
                best_score = score;
            }
        }
        loads[best]++;
        ret_owners[i] = (uint32_t)best;
    }
}
