/* SPDX-License-Identifier: MIT */
/* What the tests of the work queue share: queues of both backends, and steps that are the same for both. */
#ifndef WORK_KIT_H
#define WORK_KIT_H

#include "lock_kit.h"
#include "sluice/work_queue.h"

/* Quick ones: no backoff, three attempts, a lease of 600 ms. */
#define WORK_OPTIONS(...)                                                                                              \
    (&(const struct sl_work_options){                                                                                  \
        .lease = SL_MILLISECONDS(600), .attempts = 3, .backoff = {.initial = SL_NO_BACKOFF}, __VA_ARGS__})

static inline int work_add(sl_work *work, const char *key, const char *body)
{
    bool added = false;
    SL_TRY(sl_work_add(work, &(struct sl_job_spec){.key = key, .body = body}, &added));
    return added ? 1 : 0;
}

#define CHECK_DEPTH(work, are_waiting, are_in_hand, are_later, are_dead)                                               \
    do {                                                                                                               \
        struct sl_work_depth work_depth;                                                                               \
        CHECK_EQ(sl_work_depth((work), &work_depth), 0);                                                               \
        CHECK_EQ(work_depth.waiting, are_waiting);                                                                     \
        CHECK_EQ(work_depth.in_hand, are_in_hand);                                                                     \
        CHECK_EQ(work_depth.later, are_later);                                                                         \
        CHECK_EQ(work_depth.dead, are_dead);                                                                           \
    } while (0)

/* The only dead letter, or none. */
struct work_dead {
    int count;
    char key[64], reason[SL_WORK_REASON_BYTES], progress[64];
    uint32_t failures;
};

static inline int work_note_dead(void *arg, const struct sl_work_dead *dead)
{
    struct work_dead *noted = arg;
    noted->count++;
    noted->failures = dead->failures;
    (void)snprintf(noted->key, sizeof noted->key, "%s", dead->key);
    (void)snprintf(noted->reason, sizeof noted->reason, "%s", dead->reason);
    (void)snprintf(noted->progress, sizeof noted->progress, "%s", dead->progress);
    return 0;
}

#endif
