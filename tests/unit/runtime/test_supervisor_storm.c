/* SPDX-License-Identifier: MIT */
/*
 * Random trees of supervised scopes, with random failures, calls, stops and cancellations, each from one
 * seed. Whatever happens: no child runs twice at once, no more restarts than the budget, each argument is
 * released once and not while its child runs, the listing agrees with what runs, each scope ends in time and
 * for a reason that it has, and nothing is left over. SLUICE_STORM_SEEDS=n runs more, SLUICE_STORM_SEED=n one.
 */
#include <stdlib.h>
#include <string.h>

#include "sl_test.h"
#include "sluice/memory.h"
#include "sluice/runtime.h"
#include "sluice/supervisor.h"

#define SEEDS 400
#define NODES 96
#define ARENAS 16
#define DECISIONS 512

struct arena {
    sl_scope scope;
    struct sl_scope_options options;
    bool open, own_budget; /* its restarts can be counted one by one */
    sl_time decisions[DECISIONS];
    size_t decision_count;
    uint32_t ends; /* of children, by themselves */
    bool timed;
};

struct node {
    struct arena *arena;
    char id[8];
    bool running, handshake, nests;
    int released, entries, hand, hand_total;
    sl_time last_end;
};

static struct {
    uint64_t seed;
    struct node nodes[NODES];
    struct arena arenas[ARENAS];
    size_t node_count, arena_count;
    bool short_of_memory;
    uint64_t runs, restarts, calls, refused;
} storm;

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            (void)fprintf(stderr, "%s:%d: %s (SLUICE_STORM_SEED=%llu)\n", __FILE__, __LINE__, #condition,              \
                          (unsigned long long)storm.seed);                                                             \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static uint64_t below(uint64_t limit)
{
    return sl_random() % limit;
}

static bool chance(uint64_t percent)
{
    return below(100) < percent;
}

static sl_time up_to(sl_time most)
{
    return chance(15) ? 0 : (sl_time)below((uint64_t)most);
}

static int run_arena(void);

static void release_node(void *arg)
{
    struct node *node = arg;
    MUST(!node->running && node->entries > 0);
    MUST(++node->released == 1);
}

/* ---- calls ---- */

static struct node *new_node(struct arena *arena)
{
    if (storm.node_count == NODES) {
        return NULL;
    }
    struct node *node = &storm.nodes[storm.node_count];
    (void)snprintf(node->id, sizeof node->id, "n%zu", storm.node_count++);
    node->arena = arena;
    node->handshake = !arena->own_budget && chance(40);
    node->nests = chance(25);
    return node;
}

static int node_run(void *arg);

static struct sl_spawn_options options_of(struct node *node)
{
    const struct arena *arena = node->arena;
    static const sl_time budgets[] = {0, SL_STOP_BRUTAL, SL_SECONDS(1), SL_SECONDS(3)};
    struct sl_spawn_options options = {.arg = node,
                                       .id = node->id,
                                       .release = release_node,
                                       .restart = (enum sl_restart)below(3),
                                       .handshake = node->handshake,
                                       .stop_budget = budgets[below(4)],
                                       .daemon = chance(10),
                                       .backoff = {.initial = chance(30) ? SL_NO_BACKOFF : 1 + up_to(SL_SECONDS(2))}};
    options.healthy_after = arena->own_budget || chance(60) ? 0 : 1 + up_to(SL_SECONDS(3));
    options.significant =
        arena->options.auto_shutdown != SL_SHUTDOWN_NEVER && options.restart != SL_ALWAYS && chance(50);
    return options;
}

static int add(struct arena *arena)
{
    struct node *node = new_node(arena);
    if (node == NULL) {
        return 0;
    }
    struct sl_spawn_options options = options_of(node);
    return sl_spawn_with(&arena->scope, node_run, &options);
}

static int add_table(struct arena *arena)
{
    struct sl_child_spec specs[4];
    size_t count = 0;
    for (size_t wanted = 1 + below(4); count < wanted; count++) {
        struct node *node = new_node(arena);
        if (node == NULL) {
            break;
        }
        specs[count] = (struct sl_child_spec){.fn = node_run, .options = options_of(node)};
    }
    return sl_supervise(&arena->scope, specs, count);
}

static struct node *node_by_id(const char *id)
{
    struct node *node = storm.nodes;
    while (strcmp(node->id, id) != 0) {
        MUST(++node < storm.nodes + storm.node_count);
    }
    return node;
}

/* The listing against what the children themselves know. */
static void look(const struct arena *arena)
{
    struct sl_child_info rows[NODES];
    bool seen[NODES] = {false};
    size_t count = sl_children_list(&arena->scope, rows, NODES);
    struct sl_child_counts counts = sl_children_count(&arena->scope);
    size_t active = 0;
    size_t restarting = 0;
    for (size_t i = 0; i < count; i++) {
        struct node *node = node_by_id(rows[i].id);
        bool alive = sl_task_alive(rows[i].task);
        bool idle =
            rows[i].state == SL_CHILD_BACKOFF || rows[i].state == SL_CHILD_STOPPED || rows[i].state == SL_CHILD_FAILED;
        MUST(node->arena == arena && node->released == 0);
        MUST(!seen[node - storm.nodes]);
        seen[node - storm.nodes] = true;
        MUST(alive ? !idle : idle && !node->running);
        MUST(node->entries <= 1 + (int)rows[i].restarts + node->hand_total);
        MUST(rows[i].next_start == SL_NEVER || rows[i].state == SL_CHILD_BACKOFF);
        active += alive;
        restarting += rows[i].state == SL_CHILD_BACKOFF;
    }
    for (size_t i = 0; i < storm.node_count; i++) { /* and none that runs is missing */
        MUST(storm.nodes[i].arena != arena || !storm.nodes[i].running || seen[i]);
    }
    MUST(counts.specs == count && counts.active == active && counts.restarting == restarting);
    MUST(counts.active + counts.restarting + counts.stopped == counts.specs);
}

static void start_by_hand(struct node *node, bool restart)
{
    struct sl_child_info info;
    if (sl_child_find(&node->arena->scope, node->id, &info) == 0 && sl_task_alive(info.task) && !node->running) {
        return; /* about to run: that run would pass for the one that is begun here */
    }
    node->hand++;
    node->hand_total++;
    int code =
        restart ? sl_child_restart(&node->arena->scope, node->id) : sl_child_start(&node->arena->scope, node->id);
    if (code < 0) {
        node->hand--;
        node->hand_total--;
        storm.refused++;
    }
}

static void call(struct arena *arena)
{
    storm.calls++;
    struct sl_child_info rows[NODES];
    size_t count = sl_children_list(&arena->scope, rows, NODES);
    if (!arena->open || count == 0 || chance(15)) {
        if (arena->open) {
            (void)(chance(50) ? add(arena) : add_table(arena));
        }
        return;
    }
    struct node *node = node_by_id(rows[below(count)].id);
    uint64_t what = below(100);
    int code = 0;
    if (what < 30) {
        code = sl_child_stop(&arena->scope, node->id);
        MUST(code == 0 || code == SL_ECANCELED);
    } else if (what < 75) {
        start_by_hand(node, what < 50);
    } else if (what < 90) {
        code = sl_child_remove(&arena->scope, node->id);
        MUST(code == 0 || code == SL_ERUNNING || code == SL_ERESTARTING);
        MUST(code != 0 || node->released == 1);
        arena->own_budget &= code != 0; /* its restarts no longer count */
    } else if (what < 97) {
        (void)sl_task_cancel(rows[0].task, "by chance");
    } else if (what < 98) {
        sl_scope_cancel(&arena->scope, "by chance");
    } else {
        (void)sl_scope_stop(&arena->scope, up_to(SL_SECONDS(5)));
    }
}

static int administrator(void *arg)
{
    (void)arg;
    for (;;) {
        SL_TRY(sl_sleep(up_to(SL_SECONDS(1))));
        struct arena *arena = &storm.arenas[below(storm.arena_count + 1) % ARENAS];
        if (arena->open) {
            look(arena);
            call(arena);
        }
    }
}

/* ---- children ---- */

static int random_end(void)
{
    static const int codes[] = {0, 0, 0, SL_EPROTO, SL_EPROTO, SL_EPROTO, SL_ESHUTDOWN};
    int code = codes[below(sizeof codes / sizeof codes[0])];
    return code < 0 && chance(50) ? sl_fail(code, "by chance") : code;
}

static int act(struct node *node)
{
    if (node->handshake) {
        SL_TRY(sl_sleep(up_to(SL_MILLISECONDS(500))));
        if (chance(25)) {
            return chance(20) ? SL_EIGNORE : (chance(20) ? 0 : SL_EPIPE);
        }
        SL_TRY(sl_started(NULL));
    }
    if (node->nests && storm.arena_count < ARENAS) {
        return run_arena();
    }
    if (chance(5)) {
        call(node->arena); /* of its own scope, perhaps on itself */
    }
    if (chance(10)) {
        (void)sl_healthy(); /* counted only where no budget is looked at */
        node->arena->own_budget = false;
    }
    int code = chance(20) ? sl_stop_wait() : sl_sleep(up_to(SL_SECONDS(4)));
    if (code < 0 && chance(50)) {
        SL_SCOPE(shield, .shield = true, .timeout = SL_SECONDS(6));
        (void)sl_scope_close(&shield, sl_sleep(up_to(SL_SECONDS(5))));
    }
    if (code < 0 && chance(10)) {
        return sl_fail(SL_ECONNRESET, "on its way out");
    }
    return code < 0 ? code : random_end();
}

static int node_run(void *arg)
{
    struct node *node = arg;
    struct arena *arena = node->arena;
    MUST(!node->running && node->released == 0 && arena->open);
    node->running = true;
    storm.runs++;
    bool by_hand = node->hand > 0;
    node->hand -= by_hand;
    if (node->entries++ > 0 && !by_hand) {
        storm.restarts++;
        if (arena->decision_count < DECISIONS) {
            arena->decisions[arena->decision_count++] = node->last_end;
        }
    }
    int code = act(node);
    MUST(node->running && node->released == 0);
    node->running = false;
    node->last_end = sl_now();
    arena->ends++;
    return code;
}

/* ---- scopes ---- */

/* No window holds more decisions to restart than are allowed. */
static void check_budget(const struct arena *arena)
{
    sl_time window = arena->options.window == 0 ? SL_RESTART_WINDOW : arena->options.window;
    size_t most = arena->options.max_restarts == 0 ? SL_MAX_RESTARTS : arena->options.max_restarts;
    for (size_t i = 0; i < arena->decision_count; i++) {
        size_t within = 0;
        for (size_t j = 0; j < arena->decision_count; j++) {
            sl_time ago = arena->decisions[i] - arena->decisions[j];
            within += ago >= 0 && ago < window;
        }
        MUST(within <= most);
    }
}

static void check_end(const struct arena *arena, int code, int body)
{
    for (size_t i = 0; i < storm.node_count; i++) {
        const struct node *node = &storm.nodes[i];
        if (node->arena == arena) {
            MUST(!node->running);
            MUST(node->released == (node->entries > 0));
        }
    }
    bool group = arena->options.strategy == SL_ONE_FOR_ALL || arena->options.strategy == SL_REST_FOR_ONE;
    if (arena->own_budget && !group && arena->options.max_restarts != SL_UNLIMITED) {
        check_budget(arena);
    }
    if (storm.short_of_memory) {
        return;
    }
    MUST(code != SL_EINTENSITY || arena->ends > 0);
    MUST(code != SL_ETIMEDOUT || arena->timed || arena->options.strategy == SL_PROPAGATE || arena->ends > 0);
    MUST(code != SL_ESHUTDOWN || arena->options.auto_shutdown != SL_SHUTDOWN_NEVER || arena->ends > 0);
    MUST(code >= 0 || code == SL_ECANCELED || code == SL_ETIMEDOUT || sl_error_has(sl_error_last(), code));
    MUST(body != SL_EPIPE || code < 0);
}

static int run_arena(void)
{
    struct arena *arena = &storm.arenas[storm.arena_count++];
    arena->options = (struct sl_scope_options){.name = "arena",
                                               .strategy = (enum sl_strategy)below(SL_ISOLATE + 1),
                                               .ordered_stop = chance(40),
                                               .fail_first = chance(20),
                                               .max_restarts = chance(10) ? SL_UNLIMITED : (uint32_t)below(9),
                                               .window = up_to(SL_SECONDS(10)),
                                               .max_start_failures = (uint32_t)below(5),
                                               .auto_shutdown = (enum sl_auto_shutdown)(chance(70) ? 0 : 1 + below(2)),
                                               .timeout = chance(25) ? 1 + up_to(SL_SECONDS(20)) : 0};
    arena->timed = arena->options.timeout != 0;
    arena->own_budget = chance(50);
    SL_TRY(sl_scope_open(&arena->scope, &arena->options));
    arena->open = true;
    int code = 0;
    for (uint64_t i = 1 + below(4); i > 0 && code == 0; i--) {
        code = chance(50) ? add(arena) : add_table(arena);
    }
    if (code == 0 && chance(50)) {
        code = sl_sleep(up_to(SL_SECONDS(10)));
    }
    if (code == 0 && chance(10)) {
        code = sl_fail(SL_EPIPE, "the body failed by chance");
    }
    int result = sl_scope_close(&arena->scope, code);
    arena->open = false;
    check_end(arena, result, code);
    return result;
}

static int root_task(void *arg)
{
    (void)arg;
    (void)run_arena();
    return 0;
}

/* All is over within the budgets once it is cancelled, and well before the day is. */
static int weather(void *arg)
{
    (void)arg;
    sl_time limit = 0;
    SL_SCOPE(outer);
    int code = sl_spawn(&outer, root_task, NULL);
    for (uint64_t i = 1 + below(3); i > 0 && code == 0; i--) {
        code = sl_spawn(&outer, administrator, NULL, .daemon = true);
    }
    if (code == 0) {
        if (storm.short_of_memory) {
            sl_memory_fail_after((int64_t)below(300));
        }
        code = sl_sleep(up_to(SL_SECONDS(60)));
        if (chance(50)) {
            (void)sl_scope_stop(&outer, up_to(SL_SECONDS(20)));
            limit = SL_SECONDS(20);
        } else {
            sl_scope_cancel(&outer, "the storm is over");
        }
    }
    sl_time before = sl_now();
    int result = sl_scope_close(&outer, code);
    sl_memory_fail_after(-1);
    MUST(sl_now() - before <= limit + SL_SECONDS(60));
    MUST(storm.short_of_memory || result == 0);
    return 0;
}

static void storm_of(uint64_t seed)
{
    struct sl_simulation_options simulation = {.seed = seed};
    struct sl_run_options options = {
        .simulation = &simulation, .shuffle_seed = seed, .log = sl_log_nothing, .watchdog = SL_NEVER};
    uint64_t runs = storm.runs;
    uint64_t restarts = storm.restarts;
    uint64_t calls = storm.calls;
    memset(&storm, 0, sizeof storm);
    storm.seed = seed;
    storm.short_of_memory = seed % 4 == 0;
    int code = sl_run(&options, weather, NULL, NULL);
    sl_memory_fail_after(-1);
    MUST(code == 0 || storm.short_of_memory);
    MUST(sl_memory_held() == 0);
    storm.runs += runs;
    storm.restarts += restarts;
    storm.calls += calls;
}

static void every_storm_blows_over(void **state)
{
    (void)state;
    uint64_t only = sl_test_number("SLUICE_STORM_SEED", 0);
    uint64_t seeds = sl_test_number("SLUICE_STORM_SEEDS", SEEDS);
    for (uint64_t seed = only != 0 ? only : 1; seed <= (only != 0 ? only : seeds); seed++) {
        storm_of(seed);
    }
    print_message("%llu runs of children, %llu restarts, %llu calls\n", (unsigned long long)storm.runs,
                  (unsigned long long)storm.restarts, (unsigned long long)storm.calls);
    assert_true(only != 0 || (storm.restarts > seeds && storm.calls > seeds));
}

SL_TEST_MAIN(cmocka_unit_test(every_storm_blows_over))
