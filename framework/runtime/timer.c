/* SPDX-License-Identifier: MIT */
/*
 * Deadlines in an intrusive leftist heap: arming never allocates, so it cannot fail, and every operation
 * is O(log n) in the worst case. Equal deadlines fire in the order in which they were armed.
 * Source: Crane 1972; Knuth, The Art of Computer Programming, volume 3, 5.2.3.
 */
#include "internal.h"

static inline bool before(const struct sl__timer *a, const struct sl__timer *b)
{
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static inline uint32_t rank(const struct sl__timer *timer)
{
    return timer == NULL ? 0 : timer->rank;
}

/* Restores the leftist property of one node; its rank is the length of its right spine. */
static inline void settle(struct sl__timer *timer)
{
    if (rank(timer->left) < rank(timer->right)) {
        struct sl__timer *left = timer->left;
        timer->left = timer->right;
        timer->right = left;
    }
    timer->rank = rank(timer->right) + 1;
}

static struct sl__timer *merge(struct sl__timer *a, struct sl__timer *b)
{
    struct sl__timer *top = NULL;
    struct sl__timer **link = &top;
    struct sl__timer *up = NULL;
    while (a != NULL && b != NULL) {
        if (before(b, a)) {
            struct sl__timer *swap = a;
            a = b;
            b = swap;
        }
        *link = a;
        a->up = up;
        up = a;
        link = &a->right;
        a = a->right;
    }
    struct sl__timer *rest = a != NULL ? a : b;
    *link = rest;
    if (rest != NULL) {
        rest->up = up;
    }
    for (; up != NULL; up = up->up) {
        settle(up);
    }
    return top;
}

void sl__timer_disarm(struct sl__timers *timers, struct sl__timer *timer)
{
    if (!timer->armed) {
        return;
    }
    timer->armed = false;
    timers->count--;
    struct sl__timer *up = timer->up;
    struct sl__timer *rest = merge(timer->left, timer->right);
    if (rest != NULL) {
        rest->up = up;
    }
    if (up == NULL) {
        timers->root = rest;
        return;
    }
    if (up->left == timer) {
        up->left = rest;
    } else {
        up->right = rest;
    }
    while (up != NULL) {
        uint32_t old = up->rank;
        settle(up);
        if (up->rank == old) {
            break;
        }
        up = up->up;
    }
}

void sl__timer_arm(struct sl__timers *timers, struct sl__timer *timer, sl_time when)
{
    sl__timer_disarm(timers, timer);
    timer->key = when;
    timer->order = timers->next_order++;
    timer->left = timer->right = timer->up = NULL;
    timer->rank = 1;
    timer->armed = true;
    timers->count++;
    timers->root = merge(timers->root, timer);
}

size_t sl__timers_fire(struct sl__timers *timers, sl_time now)
{
    size_t fired = 0;
    while (timers->root != NULL && timers->root->key <= now) {
        struct sl__timer *timer = timers->root;
        sl__timer_disarm(timers, timer);
        timer->fire(timer);
        fired++;
    }
    return fired;
}
