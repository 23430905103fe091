/* SPDX-License-Identifier: MIT */
/*
 * Deadlines in a hierarchical timer wheel: arming and disarming are O(1), never allocate and so cannot
 * fail; a timer moves down at most once a level before it fires, to the nanosecond and, among equals, in
 * the order in which they were armed. Most deadlines are disarmed, and a heap pays for that with a walk
 * through cold memory (docs/decisions/timer-wheel.md has the figures).
 *
 * A timer lies in the level of the highest byte in which its key differs from `base`, in the slot that
 * this byte names. So all keys of a level are larger than all keys of the levels below it.
 * Source: Varghese, Lauck, Hashed and Hierarchical Timing Wheels, 1987.
 */
#include "internal.h"

static void slot_append(struct sl__timers *timers, struct sl__timer *timer)
{
    uint64_t key = (uint64_t)(timer->key > timers->base ? timer->key : timers->base);
    uint64_t differing = key ^ (uint64_t)timers->base;
    unsigned level = differing == 0 ? 0 : (unsigned)(63 - __builtin_clzll(differing)) / 8;
    unsigned slot = (unsigned)(key >> (8 * level)) & 255;
    struct sl__timer_slot *list = &timers->slots[level][slot];
    timer->level = (uint8_t)level;
    timer->slot = (uint8_t)slot;
    timer->next = NULL;
    timer->prev = list->last;
    if (list->last != NULL) {
        list->last->next = timer;
    } else {
        list->first = timer;
        timers->bits[level][slot / 64] |= UINT64_C(1) << (slot % 64);
        timers->levels |= (uint8_t)(1u << level);
    }
    list->last = timer;
}

static void slot_emptied(struct sl__timers *timers, unsigned level, unsigned slot)
{
    uint64_t *bits = timers->bits[level];
    bits[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    if ((bits[0] | bits[1] | bits[2] | bits[3]) == 0) {
        timers->levels &= (uint8_t) ~(1u << level);
    }
}

void sl__timer_remove(struct sl__timers *timers, struct sl__timer *timer)
{
    struct sl__timer_slot *list = &timers->slots[timer->level][timer->slot];
    if (timer->prev != NULL) {
        timer->prev->next = timer->next;
    } else {
        list->first = timer->next;
    }
    if (timer->next != NULL) {
        timer->next->prev = timer->prev;
    } else {
        list->last = timer->prev;
    }
    if (list->first == NULL) {
        slot_emptied(timers, timer->level, timer->slot);
    }
    timer->armed = false;
    timers->count--;
}

void sl__timer_arm(struct sl__timers *timers, struct sl__timer *timer, sl_time when)
{
    sl__timer_disarm(timers, timer);
    timer->key = when;
    timer->armed = true;
    timers->count++;
    timers->earliest = when < timers->earliest ? when : timers->earliest;
    slot_append(timers, timer);
}

/* The first slot that is not empty, and the first moment it stands for; NULL when there is none. */
static struct sl__timer_slot *first_slot(const struct sl__timers *timers, unsigned *ret_level, unsigned *ret_slot,
                                         sl_time *ret_start)
{
    if (timers->levels == 0) {
        return NULL;
    }
    unsigned level = (unsigned)__builtin_ctz(timers->levels);
    unsigned word = 0;
    while (timers->bits[level][word] == 0) {
        word++;
    }
    unsigned slot = word * 64 + (unsigned)__builtin_ctzll(timers->bits[level][word]);
    uint64_t above = level == 7 ? 0 : (uint64_t)timers->base >> (8 * (level + 1)) << (8 * (level + 1));
    *ret_level = level;
    *ret_slot = slot;
    *ret_start = (sl_time)(above | (uint64_t)slot << (8 * level));
    return (struct sl__timer_slot *)&timers->slots[level][slot];
}

/* Time has come to the start of a slot: its timers move to the levels below. */
static void cascade(struct sl__timers *timers, struct sl__timer_slot *list, unsigned level, unsigned slot)
{
    struct sl__timer *timer = list->first;
    list->first = list->last = NULL;
    slot_emptied(timers, level, slot);
    while (timer != NULL) {
        struct sl__timer *next = timer->next;
        slot_append(timers, timer);
        timer = next;
    }
}

size_t sl__timers_fire(struct sl__timers *timers, sl_time now)
{
    size_t fired = 0;
    unsigned level;
    unsigned slot;
    sl_time start = SL_NEVER;
    if (now < timers->earliest) {
        return 0;
    }
    for (;;) {
        struct sl__timer_slot *list = first_slot(timers, &level, &slot, &start);
        if (list == NULL || start > now) {
            timers->earliest = list == NULL ? SL_NEVER : start;
            break;
        }
        timers->base = start;
        if (level > 0) {
            cascade(timers, list, level, slot);
            continue;
        }
        struct sl__timer *timer = list->first;
        sl__timer_remove(timers, timer);
        sl_histogram_record(&timers->lateness, now - timer->key);
        timer->fire(timer);
        fired++;
    }
    timers->base = now > timers->base ? now : timers->base;
    return fired;
}

sl_time sl__timers_next_exact(const struct sl__timers *timers)
{
    unsigned level;
    unsigned slot;
    sl_time start;
    const struct sl__timer_slot *list = first_slot(timers, &level, &slot, &start);
    sl_time earliest = SL_NEVER;
    for (const struct sl__timer *timer = list == NULL ? NULL : list->first; timer != NULL; timer = timer->next) {
        earliest = timer->key < earliest ? timer->key : earliest;
    }
    return earliest;
}
