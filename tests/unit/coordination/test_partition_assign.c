/* SPDX-License-Identifier: MIT */
/* The pure half of partitions: hashes that stay what they are, who gets what, and how little moves. */
#include <stdio.h>
#include <string.h>

#include "sl_test.h"
#include "sluice/partition.h"

#define COUNT 64
#define MOST 16

static void make_names(char names[][32], const char *pointers[], size_t count, unsigned trial)
{
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(names[i], 32, "replica-%u-%zu", trial * 7919, i);
        pointers[i] = names[i];
    }
}

static void hash_is_stable(void **state)
{
    (void)state;
    /* FNV-1a of "" and "a" (Noll's test vectors), then splitmix64's finalizer. */
    assert_true(sl_partition_hash("", 0) == UINT64_C(0xf52a15e9a9b5e89b));
    assert_true(sl_partition_hash("a", 1) == UINT64_C(0x02c0bdbf481420f8));
    uint32_t loads[16] = {0};
    for (int i = 0; i < 16000; i++) {
        char text[48];
        (void)snprintf(text, sizeof text, "binance:spot:coin%d-usdt", i);
        uint32_t partition = sl_partition_of(text, 16);
        assert_true(partition < 16);
        loads[partition]++;
    }
    for (int i = 0; i < 16; i++) {
        assert_in_range(loads[i], 850, 1150);
    }
    assert_int_equal(sl_partition_of("anything", 1), 0);
}

static void nobody_has_more_than_the_cap(void **state)
{
    (void)state;
    for (unsigned trial = 0; trial < 200; trial++) {
        char names[MOST][32];
        const char *members[MOST];
        size_t count = 1 + trial % MOST;
        uint32_t owners[COUNT], loads[MOST] = {0};
        make_names(names, members, count, trial);
        sl_partitions_assign(members, count, COUNT, owners);
        for (int i = 0; i < COUNT; i++) {
            assert_true(owners[i] < count);
            loads[owners[i]]++;
        }
        for (size_t m = 0; m < count; m++) {
            assert_true(loads[m] <= (COUNT + count - 1) / count);
        }
    }
}

static void order_of_members_does_not_matter(void **state)
{
    (void)state;
    char names[MOST][32];
    const char *members[MOST], *turned[MOST];
    uint32_t owners[COUNT], others[COUNT];
    make_names(names, members, MOST, 3);
    for (size_t i = 0; i < MOST; i++) {
        turned[i] = members[(i * 5 + 3) % MOST];
    }
    sl_partitions_assign(members, MOST, COUNT, owners);
    sl_partitions_assign(turned, MOST, COUNT, others);
    for (int i = 0; i < COUNT; i++) {
        assert_string_equal(members[owners[i]], turned[others[i]]);
    }
}

/* One joins, or (seen backwards) leaves: against the least that can move, count / (members + 1). */
static void little_moves(void **state)
{
    (void)state;
    double moved = 0, ideal = 0;
    for (unsigned trial = 0; trial < 200; trial++) {
        char names[MOST][32];
        const char *members[MOST];
        size_t count = 2 + trial % 7;
        uint32_t before[COUNT], after[COUNT];
        make_names(names, members, count + 1, trial);
        sl_partitions_assign(members, count, COUNT, before);
        sl_partitions_assign(members, count + 1, COUNT, after);
        for (int i = 0; i < COUNT; i++) {
            moved += before[i] != after[i];
        }
        ideal += (double)COUNT / (double)(count + 1);
    }
    (void)fprintf(stderr, "moves on join / ideal: %.2f\n", moved / ideal);
    assert_true(moved / ideal < 1.5);
}

static void more_members_than_partitions(void **state)
{
    (void)state;
    char names[MOST][32];
    const char *members[MOST];
    uint32_t owners[4];
    make_names(names, members, MOST, 1);
    sl_partitions_assign(members, MOST, 4, owners);
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < i; k++) {
            assert_true(owners[i] != owners[k]);
        }
    }
}

SL_TEST_MAIN(cmocka_unit_test(hash_is_stable), cmocka_unit_test(nobody_has_more_than_the_cap),
             cmocka_unit_test(order_of_members_does_not_matter), cmocka_unit_test(little_moves),
             cmocka_unit_test(more_members_than_partitions))
