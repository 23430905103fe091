/* SPDX-License-Identifier: MIT */
/* The n-th allocation fails, for every n: the run ends with SL_ENOMEM or well, and nothing is left over. */
#include "sl_test.h"
#include "sluice/channel.h"
#include "sluice/memory.h"
#include "sluice/runtime.h"
#include "sluice/supervisor.h"
#include "sluice/sync.h"
#include "sluice/thread.h"

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int fails(void *arg)
{
    (void)arg;
    SL_TRY(sl_checkpoint());
    return sl_fail(SL_EPROTO, "on purpose");
}

static int starts(void *arg)
{
    SL_TRY(sl_started(arg));
    return sl_checkpoint();
}

static int flaky(void *arg)
{
    int *runs = arg;
    return ++*runs < 3 ? SL_EPIPE : 0;
}

static int locals_and_cleanups(void)
{
    static const char key;
    SL_SCOPE(scope);
    SL_TRY(sl_local_set(&key, &scope));
    SL_TRY(sl_defer(&scope, nothing, NULL, SL_SECONDS(1)));
    sl_cleanup *cleanup;
    SL_TRY(sl_cleanup_reserve(&scope, &cleanup));
    SL_TRY(sl_cleanup_arm(cleanup, nothing, NULL, SL_SECONDS(1)));
    SL_TRY(sl_start(&scope, starts, NULL, NULL));
    SL_TRY(sl_spawn(&scope, nothing, NULL, .name = "with a name", .stack_bytes = (size_t)1 << 20));
    return sl_scope_wait(&scope);
}

/* A failing child; memory may be short for its story, its code stays. */
static int collected_failure(void)
{
    sl_scope scope = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&scope, NULL));
    int code = sl_spawn(&scope, fails, NULL);
    code = sl_scope_close(&scope, code);
    return code == SL_EPROTO ? 0 : code;
}

static int supervised(void)
{
    int runs = 0;
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE, .max_restarts = 10);
    SL_TRY(sl_spawn(&scope, flaky, &runs, .restart = SL_ON_FAILURE, .backoff = {.initial = 1}));
    return sl_scope_wait(&scope);
}

static int channels(void)
{
    sl_sender *sender = NULL;
    sl_receiver *receiver = NULL;
    int item = 1;
    SL_TRY(sl_channel_open(&(struct sl_channel_options){.capacity = 4, .item_bytes = sizeof item}, &sender, &receiver));
    int code = sl_channel_send(sender, &item);
    if (code == 0) {
        code = sl_channel_receive(receiver, &item);
    }
    (void)sl_sender_free(sender);
    (void)sl_receiver_free(receiver);
    return code;
}

static int offloads(void)
{
    SL_TRY(sl_offload(nothing, NULL));
    sl_loop_ref *loop = sl_loop_ref_new();
    if (loop == NULL) {
        return SL_ENOMEM;
    }
    int code = sl_loop_post(loop, (sl_post_fn)NULL, NULL, 0) == SL_EINVAL ? 0 : SL_EINTERNAL;
    sl_loop_ref_free(loop);
    return code;
}

static int everything(void *arg)
{
    (void)arg;
    SL_TRY(locals_and_cleanups());
    SL_TRY(collected_failure());
    SL_TRY(supervised());
    SL_TRY(channels());
    return offloads();
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static const struct sl_simulation_options simulation = {.seed = 1};
    struct sl_run_options options = {.simulation = &simulation, .log = sl_log_nothing};
    sl_memory_fail_after(-1);
    assert_int_equal(sl_run(&options, everything, NULL, NULL), 0);
    assert_int_equal(sl_memory_held(), 0);
    int64_t n = 0;
    int64_t refused = 0;
    for (;; n++) {
        sl_memory_fail_after(n);
        int code = sl_run(&options, everything, NULL, NULL);
        int failed = sl_memory_failed();
        sl_memory_fail_after(-1);
        assert_int_equal(sl_memory_held(), 0);
        if (!failed) {
            assert_int_equal(code, 0);
            break;
        }
        if (code != 0 && code != SL_ENOMEM) {
            print_message("allocation %lld: %s\n", (long long)n, sl_error_name(code));
        }
        assert_true(code == 0 || code == SL_ENOMEM);
        refused += code == SL_ENOMEM;
    }
    print_message("%lld allocations, %lld of them ended the run\n", (long long)n, (long long)refused);
    assert_true(n > 20 && refused > 10);
}

SL_TEST_MAIN(cmocka_unit_test(every_allocation_may_fail))
