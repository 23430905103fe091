/* SPDX-License-Identifier: MIT */
/* See cancel_steps.h. */
#include "cancel_steps.h"

#include "sluice/simulation.h"

struct cancelling {
    sl_task_fn body;
    void *arg;
    int64_t steps_left;
    sl_scope *scope; /* while the body runs */
};

static struct cancelling *current; /* run */

void cancel_steps_aim(sl_scope *scope)
{
    current->scope = scope;
}

static int count_step(void *context, sl_task_ref task)
{
    struct cancelling *cancelling = context;
    (void)task;
    if (cancelling->steps_left-- == 0 && cancelling->scope != NULL) {
        sl_scope_cancel(cancelling->scope, "at the n-th step");
    }
    return 0;
}

static int run_body(void *arg)
{
    struct cancelling *cancelling = arg;
    SL_SCOPE(scope);
    cancelling->scope = &scope;
    current = cancelling;
    int code = cancelling->body(cancelling->arg);
    cancelling->scope = NULL;
    code = sl_scope_close(&scope, code);
    EXPECT(sl_network_counts_get().open == 0);
    return code;
}

int cancel_at_step(const struct sl_run_options *options, sl_task_fn body, void *arg, int64_t n)
{
    int64_t held = sl_memory_held();
    struct cancelling cancelling = {.body = body, .arg = arg, .steps_left = n};
    const struct sl_hooks instrument = {.context = &cancelling, .after_step = count_step};
    const struct sl_hooks *const instruments[] = {&instrument, NULL};
    struct sl_run_options own = *options;
    own.instruments = instruments;
    CHECK_EQ(sl_run(&own, run_body, &cancelling, NULL), 0);
    CHECK_EQ(sl_memory_held(), held);
    return cancelling.steps_left < 0;
}

int64_t cancel_at_each_step(const struct sl_run_options *options, sl_task_fn body, void *arg)
{
    for (int64_t n = 0;; n++) {
        int code = cancel_at_step(options, body, arg, n);
        if (code <= 0) {
            return code < 0 ? code : n;
        }
    }
}
