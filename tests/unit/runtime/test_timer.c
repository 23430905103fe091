/* SPDX-License-Identifier: MIT */
/* The timer wheel against a naive list: same order, nothing early, nothing lost. */
#include <stdlib.h>
#include <string.h>

#include "../../../framework/runtime/internal.h"
#include "sl_test.h"

#define TIMERS 400
#define ROUNDS 3000
#define SEEDS 50

struct tracked {
    struct sl__timer timer;
    sl_time key;
    uint64_t order;
    bool armed;
};

static struct tracked tracked[TIMERS];
static struct sl__timers *wheel;
static uint64_t random_state;
static sl_time fired_key;
static uint64_t fired_order;
static sl_time fire_now;
static size_t fired_count;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void on_fire(struct sl__timer *timer)
{
    struct tracked *self = SL_CONTAINER(timer, struct tracked, timer);
    assert_true(self->armed);
    assert_true(self->key <= fire_now);
    /* A key before the wheel's base counts as the base: only the order among what was due later is kept. */
    assert_true(self->key > fired_key || (self->key == fired_key && self->order > fired_order));
    fired_key = self->key;
    fired_order = self->order;
    self->armed = false;
    fired_count++;
}

/* Distances from nanoseconds to years. */
static sl_time random_distance(void)
{
    return (sl_time)(next_random() >> (1 + next_random() % 62));
}

static size_t due(sl_time now)
{
    size_t count = 0;
    for (size_t i = 0; i < TIMERS; i++) {
        count += tracked[i].armed && tracked[i].key <= now;
    }
    return count;
}

static sl_time earliest(void)
{
    sl_time key = SL_NEVER;
    for (size_t i = 0; i < TIMERS; i++) {
        key = tracked[i].armed && tracked[i].key < key ? tracked[i].key : key;
    }
    return key;
}

static void round_of(sl_time *now, uint64_t *order)
{
    struct tracked *one = &tracked[next_random() % TIMERS];
    switch (next_random() % 4) {
    case 0:
    case 1:
        one->key = sl_time_add(*now, random_distance() + 1);
        one->order = (*order)++;
        one->armed = true;
        sl__timer_arm(wheel, &one->timer, one->key);
        break;
    case 2:
        sl__timer_disarm(wheel, &one->timer);
        one->armed = false;
        break;
    default:
        *now =
            next_random() % 2 == 0 && earliest() != SL_NEVER ? earliest() : sl_time_add(*now, random_distance() / 64);
        if (*now >= SL_NEVER / 4) { /* years have passed: enough */
            *now = SL_NEVER / 4;
        }
        fire_now = *now;
        fired_key = -1;
        fired_count = 0;
        size_t expected = due(*now);
        assert_int_equal(sl__timers_fire(wheel, *now), expected);
        assert_int_equal(fired_count, expected);
        break;
    }
    assert_true(wheel->earliest <= earliest());
    assert_int_equal(sl__timers_next_exact(wheel), earliest());
}

static void agrees_with_a_naive_list(void **state)
{
    (void)state;
    wheel = test_calloc(1, sizeof *wheel);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        memset(wheel, 0, sizeof *wheel);
        memset(tracked, 0, sizeof tracked);
        random_state = seed * UINT64_C(0x9e3779b97f4a7c15);
        sl_time now = (sl_time)(next_random() >> 20);
        uint64_t order = 1;
        wheel->base = now;
        wheel->earliest = SL_NEVER;
        for (size_t i = 0; i < TIMERS; i++) {
            tracked[i].timer.fire = on_fire;
        }
        for (int round = 0; round < ROUNDS; round++) {
            round_of(&now, &order);
        }
        for (size_t i = 0; i < TIMERS; i++) {
            sl__timer_disarm(wheel, &tracked[i].timer);
        }
        assert_int_equal(wheel->count, 0);
        assert_int_equal(wheel->levels, 0);
    }
    test_free(wheel);
}

SL_TEST_MAIN(cmocka_unit_test(agrees_with_a_naive_list))
