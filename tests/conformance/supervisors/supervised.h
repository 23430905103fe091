/* SPDX-License-Identifier: MIT */
/* Children for the supervisor cases: each does what its plan says, and all write in one journal. */
#ifndef SUPERVISED_H
#define SUPERVISED_H

#include <stdio.h>
#include <string.h>

#include "sl_conformance.h"
#include "sluice/supervisor.h"
#include "sluice/sync.h"

#define JOURNAL_BYTES 512

struct journal {
    char text[JOURNAL_BYTES];
};

struct child {
    struct journal *journal;
    char letter;
    int runs;
    int codes[8];  /* how run n ends; 1: it runs until it is cancelled */
    sl_time lasts; /* before it ends by plan */
    bool handshake;
    sl_time before_start;
    int start_codes[8]; /* not 0: run n ends with it before sl_started() */
    sl_time stop_takes; /* shielded, on its way out */
    sl_task_ref self;
};

static inline void note(struct journal *journal, char sign, char letter)
{
    size_t length = strlen(journal->text);
    (void)snprintf(journal->text + length, sizeof journal->text - length, "%c%c ", sign, letter);
}

/* "+a" it started, "-a" it was stopped, "!a" it ended by itself. */
static inline int child_run(void *arg)
{
    struct child *child = arg;
    int run = child->runs < 7 ? child->runs : 7;
    child->runs++;
    child->self = sl_task_self();
    if (child->before_start > 0) {
        SL_TRY(sl_sleep(child->before_start));
    }
    if (child->start_codes[run] != 0) {
        note(child->journal, '?', child->letter);
        return child->start_codes[run];
    }
    note(child->journal, '+', child->letter);
    if (child->handshake) {
        SL_TRY(sl_started(NULL));
    }
    int code = child->codes[run];
    int slept = sl_sleep(code == 1 ? SL_SECONDS(100000) : child->lasts);
    if (slept < 0 && child->stop_takes > 0) {
        SL_SCOPE(shield, .shield = true, .timeout = SL_SECONDS(10000));
        (void)sl_scope_close(&shield, sl_sleep(child->stop_takes));
    }
    note(child->journal, slept < 0 ? '-' : '!', child->letter);
    return slept < 0 ? slept : code;
}

/* Waits for what must come; a case that waits for ever is ended by the harness. */
#define UNTIL(condition)                                                                                               \
    do {                                                                                                               \
        while (!(condition)) {                                                                                         \
            CHECK_EQ(sl_sleep(SL_MICROSECONDS(200)), 0);                                                               \
        }                                                                                                              \
        SETTLE();                                                                                                      \
    } while (0)

#define FAST .backoff = {.initial = SL_NO_BACKOFF}
#define SPEC(child_pointer, child_id, ...)                                                                             \
    {                                                                                                                  \
        .fn = child_run, .options = {.arg = (child_pointer), .id = (child_id), __VA_ARGS__ }                           \
    }

#endif
