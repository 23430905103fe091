/* SPDX-License-Identifier: MIT */
/*
 * Sluice's side of the runtime benchmark: the figures of few tasks (bench_sluice_many.c has the others).
 * It uses the public API as a program would; only `switch` looks inside, as a bare switch is not public.
 *
 *     bench_sluice FIGURE...    each in a runtime of its own; valgrind --tool=callgrind bench_sluice switch
 *     bench_sluice list         the names
 *
 * Prints name<TAB>value<TAB>unit[<TAB>note]. Exit status 1 when a figure fails.
 */
#include "bench.h"
#include "runtime/context.h"
#include "sluice/channel.h"
#include "sluice/supervisor.h"

#define GROUP 1000 /* tasks spawned before they are joined */
#define BUFFER 64  /* items */

/* ---- switch ---- */

#define SWITCH_STACK_BYTES ((size_t)64 * 1024)

static sl_context context_here, context_there;
static volatile int switching;
static uint64_t switches_back;

static void switch_back(void *argument)
{
    (void)argument;
    sl__context_entered();
    while (switching) {
        switches_back++;
        sl__context_switch(&context_there, &context_here, 0);
    }
    sl__context_switch(&context_there, &context_here, 1);
}

static int run_switch(uint64_t n, double *ret_elapsed_ns)
{
    static char stack[SWITCH_STACK_BYTES] __attribute__((aligned(64)));
    sl__context_adopt(&context_here);
    sl__context_make(&context_there, stack, sizeof stack, switch_back, NULL);
    switching = 1;
    switches_back = 0;
    double start = bench_now_ns();
    for (uint64_t i = 0; i < n / 2; i++) {
        sl__context_switch(&context_here, &context_there, 0);
    }
    *ret_elapsed_ns = bench_now_ns() - start;
    switching = 0;
    sl__context_switch(&context_here, &context_there, 0);
    sl__context_done(&context_there);
    return switches_back == n / 2 ? 0 : SL_EINTERNAL;
}

/* Outside the runtime: a bare switch must not be mixed with its own. */
static int figure_switch(void)
{
    return bench_measure("switch", "one stack to another, no scheduler", run_switch);
}

/* ---- letting others run ---- */

static int yielder(void *arg)
{
    for (uint64_t left = *(const uint64_t *)arg; left > 0; left--) {
        SL_TRY(sl_checkpoint_shielded());
    }
    return 0;
}

static int checker(void *arg)
{
    for (uint64_t left = *(const uint64_t *)arg; left > 0; left--) {
        SL_TRY(sl_checkpoint());
    }
    return 0;
}

static int run_pair(sl_task_fn fn, uint64_t n, sl_time timeout, double *ret_elapsed_ns)
{
    uint64_t half = n / 2;
    double start = bench_now_ns();
    SL_SCOPE(scope, .timeout = timeout);
    SL_TRY(sl_spawn(&scope, fn, &half));
    SL_TRY(sl_spawn(&scope, fn, &half));
    SL_TRY(sl_scope_wait(&scope));
    *ret_elapsed_ns = bench_now_ns() - start;
    return 0;
}

static int run_yield(uint64_t n, double *ret_elapsed_ns)
{
    return run_pair(yielder, n, 0, ret_elapsed_ns);
}

static int run_checkpoint(uint64_t n, double *ret_elapsed_ns)
{
    return run_pair(checker, n, 0, ret_elapsed_ns);
}

static int run_checkpoint_deadline(uint64_t n, double *ret_elapsed_ns)
{
    return run_pair(checker, n, BENCH_HOUR, ret_elapsed_ns);
}

/* ---- spawn and join ---- */

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int run_groups(uint64_t n, uint64_t group, double *ret_elapsed_ns)
{
    uint64_t groups = (n + group - 1) / group;
    double start = bench_now_ns();
    for (uint64_t i = 0; i < groups; i++) {
        SL_SCOPE(scope);
        for (uint64_t j = 0; j < group; j++) {
            SL_TRY(sl_spawn(&scope, nothing, NULL));
        }
        SL_TRY(sl_scope_wait(&scope));
    }
    *ret_elapsed_ns = (bench_now_ns() - start) * (double)n / (double)(groups * group);
    return 0;
}

static int run_spawn_join(uint64_t n, double *ret_elapsed_ns)
{
    return run_groups(n, GROUP, ret_elapsed_ns);
}

static int run_spawn_join_one(uint64_t n, double *ret_elapsed_ns)
{
    return run_groups(n, 1, ret_elapsed_ns);
}

/* ---- scopes ---- */

static int run_scope(uint64_t n, double *ret_elapsed_ns)
{
    double start = bench_now_ns();
    for (uint64_t i = 0; i < n; i++) {
        SL_SCOPE(scope);
        SL_TRY(sl_scope_close(&scope, 0));
    }
    *ret_elapsed_ns = bench_now_ns() - start;
    return 0;
}

static int run_scope_deadline(uint64_t n, double *ret_elapsed_ns)
{
    double start = bench_now_ns();
    for (uint64_t i = 0; i < n; i++) {
        SL_SCOPE(scope, .timeout = BENCH_HOUR);
        SL_TRY(sl_scope_close(&scope, 0));
    }
    *ret_elapsed_ns = bench_now_ns() - start;
    return 0;
}

/* ---- channels ---- */

struct link {
    sl_sender *sender;
    sl_receiver *receiver;
};

static int link_open(struct link *link, size_t capacity)
{
    return sl_channel_open(&(struct sl_channel_options){.capacity = capacity, .item_bytes = sizeof(uint64_t)},
                           &link->sender, &link->receiver);
}

static void link_free(struct link *link)
{
    (void)sl_sender_free(link->sender);
    (void)sl_receiver_free(link->receiver);
}

struct echo {
    sl_receiver *from;
    sl_sender *to;
};

static int echo(void *arg)
{
    const struct echo *ends = arg;
    uint64_t item;
    for (;;) {
        int code = sl_channel_receive(ends->from, &item);
        if (code == SL_EOF) {
            return 0;
        }
        SL_TRY(code);
        SL_TRY(sl_channel_send(ends->to, &item));
    }
}

static int ping(uint64_t n, const struct link *there, const struct link *back, double *ret_elapsed_ns)
{
    struct echo ends = {.from = there->receiver, .to = back->sender};
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, echo, &ends));
    double start = bench_now_ns();
    for (uint64_t i = 0; i < n; i++) {
        uint64_t item;
        SL_TRY(sl_channel_send(there->sender, &i));
        SL_TRY(sl_channel_receive(back->receiver, &item));
        if (item != i) {
            return sl_fail(SL_EPROTO, "wrong item");
        }
    }
    *ret_elapsed_ns = bench_now_ns() - start;
    sl_sender_close(there->sender);
    return sl_scope_wait(&scope);
}

static int run_round_trip(uint64_t n, size_t capacity, double *ret_elapsed_ns)
{
    struct link there = {0}, back = {0};
    int code = link_open(&there, capacity);
    if (code == 0) {
        code = link_open(&back, capacity);
    }
    if (code == 0) {
        code = ping(n, &there, &back, ret_elapsed_ns);
    }
    link_free(&there);
    link_free(&back);
    return code;
}

static int run_round_trip_rendezvous(uint64_t n, double *ret_elapsed_ns)
{
    return run_round_trip(n, 0, ret_elapsed_ns);
}

static int run_round_trip_buffered(uint64_t n, double *ret_elapsed_ns)
{
    return run_round_trip(n, BUFFER, ret_elapsed_ns);
}

struct source {
    sl_sender *sender;
    uint64_t n;
};

static int produce(void *arg)
{
    const struct source *source = arg;
    for (uint64_t i = 0; i < source->n; i++) {
        SL_TRY(sl_channel_send(source->sender, &i));
    }
    sl_sender_close(source->sender);
    return 0;
}

static int consume(uint64_t n, const struct link *link, double *ret_elapsed_ns)
{
    struct source source = {.sender = link->sender, .n = n};
    uint64_t item, expected = 0;
    int code;
    double start = bench_now_ns();
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, produce, &source));
    while ((code = sl_channel_receive(link->receiver, &item)) == 0) {
        if (item != expected++) {
            return sl_fail(SL_EPROTO, "wrong item");
        }
    }
    if (code != SL_EOF || expected != n) {
        return code < 0 && code != SL_EOF ? code : sl_fail(SL_EPROTO, "items were lost");
    }
    SL_TRY(sl_scope_wait(&scope));
    *ret_elapsed_ns = bench_now_ns() - start;
    return 0;
}

static int run_hand_over(uint64_t n, size_t capacity, double *ret_elapsed_ns)
{
    struct link link = {0};
    int code = link_open(&link, capacity);
    if (code == 0) {
        code = consume(n, &link, ret_elapsed_ns);
    }
    link_free(&link);
    return code;
}

static int run_hand_over_rendezvous(uint64_t n, double *ret_elapsed_ns)
{
    return run_hand_over(n, 0, ret_elapsed_ns);
}

static int run_hand_over_buffered(uint64_t n, double *ret_elapsed_ns)
{
    return run_hand_over(n, BUFFER, ret_elapsed_ns);
}

/* ---- restart ---- */

static int flaky(void *arg)
{
    uint64_t *left = arg;
    return (*left)-- > 0 ? SL_ECONNRESET : 0;
}

static int run_restart(uint64_t n, double *ret_elapsed_ns)
{
    uint64_t left = n;
    double start = bench_now_ns();
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE, .max_restarts = SL_UNLIMITED);
    SL_TRY(sl_spawn(&scope, flaky, &left, .restart = SL_ON_FAILURE, .backoff = {.initial = SL_NO_BACKOFF}));
    SL_TRY(sl_scope_wait(&scope));
    *ret_elapsed_ns = bench_now_ns() - start;
    return left == UINT64_MAX ? 0 : sl_fail(SL_EINTERNAL, "not restarted until it ended well");
}

/* ---- the program ---- */

static const struct bench_figure figures[] = {
    {.name = "switch", .plain = figure_switch},
    {.name = "yield", .operation = run_yield, .note = "sl_checkpoint_shielded()"},
    {.name = "checkpoint", .operation = run_checkpoint, .note = "sl_checkpoint()"},
    {.name = "checkpoint_deadline", .operation = run_checkpoint_deadline, .note = "sl_checkpoint()"},
    {.name = "spawn_join", .operation = run_spawn_join, .note = "sl_spawn() and sl_scope_wait()"},
    {.name = "spawn_join_one", .operation = run_spawn_join_one, .note = "a scope each time"},
    {.name = "spawn_join_group", .operation = run_spawn_join, .note = "as above: a scope always does"},
    {.name = "scope", .operation = run_scope, .note = "SL_SCOPE and sl_scope_close()"},
    {.name = "scope_deadline", .operation = run_scope_deadline, .note = "SL_SCOPE with .timeout and sl_scope_close()"},
    {.name = "channel_rendezvous", .operation = run_round_trip_rendezvous},
    {.name = "channel_buffered", .operation = run_round_trip_buffered},
    {.name = "handover_rendezvous", .operation = run_hand_over_rendezvous},
    {.name = "handover_buffered", .operation = run_hand_over_buffered},
    {.name = "restart", .operation = run_restart, .note = "SL_ONE_FOR_ONE, SL_ON_FAILURE, no backoff"},
    {.name = NULL},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, figures);
}
