/* SPDX-License-Identifier: MIT */
/*
 * What the cases of groups, scopes, deadlines and shields share: a task that tells what happened to it,
 * and one that sees whether others still wait. Nothing here depends on how long something takes.
 */
#ifndef SL_TESTS_SCOPED_H
#define SL_TESTS_SCOPED_H

#include <string.h>

#include "sl_conformance.h"
#include "sluice/sync.h"

#define SCOPED_UNUSED __attribute__((unused))

#define FOREVER SL_SECONDS(100000) /* a wait that only a cancellation ends */
#define SHORT SL_MICROSECONDS(300)

/* OPEN(scope, .timeout = SHORT): opens a zeroed or closed sl_scope, without SL_SCOPE's safety net. */
#define OPEN(...) SCOPED_OPEN(__VA_ARGS__, )
#define SCOPED_OPEN(scope, ...)                                                                                        \
    CHECK_EQ(sl_scope_open(&(scope), &(struct sl_scope_options){.variable = #scope, __VA_ARGS__}), 0)

/* What a child does, and what it saw. All zero: it waits until it is cancelled. */
struct probe {
    sl_event *gate;      /* waits for this one instead */
    sl_event *may_die;   /* once cancelled it unwinds in a shield until this is set */
    int code;            /* its result after a wait that nothing interrupted */
    int failure;         /* its result after a cancellation; 0: the SL_ECANCELED it got */
    const char *message; /* for failures */
    bool entered, ended, pending_at_entry;
    int result; /* of its wait; 1 until then */
    enum sl_cause cause;
    int error_code; /* of the failure behind its cancellation */
    char by[32], text[64];
    sl_task_ref self;
};

SCOPED_UNUSED static int probe(void *arg)
{
    struct probe *self = arg;
    self->entered = true;
    self->self = sl_task_self();
    self->pending_at_entry = sl_cancel_pending();
    self->result = self->gate != NULL ? sl_event_wait(self->gate) : sl_sleep(FOREVER);
    const struct sl_cancel_info *info = sl_cancel_cause();
    if (info != NULL) {
        self->cause = info->cause;
        self->error_code = sl_error_code(info->error);
        (void)snprintf(self->by, sizeof self->by, "%s", info->task);
        (void)snprintf(self->text, sizeof self->text, "%s", info->text);
    }
    if (self->result < 0 && self->may_die != NULL) {
        SL_SCOPE(unwinding, .shield = true, .timeout = FOREVER);
        CHECK_EQ(sl_event_wait(self->may_die), 0);
        CHECK_EQ(sl_scope_close(&unwinding, 0), 0);
    }
    self->ended = true;
    int code = self->result == 0 ? self->code : (self->failure != 0 ? self->failure : self->result);
    return code < 0 && code != SL_ECANCELED ? sl_fail(code, "%s", self->message == NULL ? "" : self->message) : code;
}

/* From `start` on: once all tasks are blocked, sees that nobody has `left`, and lets the slow ones die. */
struct undertaker {
    sl_event start, may_die;
    bool left;
};

SCOPED_UNUSED static int undertaker(void *arg)
{
    struct undertaker *self = arg;
    SL_TRY(sl_event_wait(&self->start));
    SL_TRY(sl_quiescent_wait(0));
    CHECK(!self->left);
    sl_event_set(&self->may_die);
    return 0;
}

#endif
