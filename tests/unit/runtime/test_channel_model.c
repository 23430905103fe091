/* SPDX-License-Identifier: MIT */
/*
 * Random operations on a channel, compared step by step with a naive model: arrays that are searched and
 * shifted, no rings, no hand-over tricks. Between two looks at the tasks several operations happen, so
 * that served tasks are cancelled, overtaken and closed before they run.
 */
#include <string.h>

#include "sl_conformance.h"
#include "sluice/channel.h"

enum { OPERATIONS = 1000, ENDS = 3, WAITERS_MAX = 8, CAPACITY_MAX = 5, KEYS = 4, NO_ITEM = -1 };

struct item {
    int key;
    int value;
};

/* A task that waits, and what the model expects of it. */
struct waiter {
    bool used;
    bool sends;
    int end;
    struct item item; /* sent, or received */
    int code;
    bool done;
    sl_task_ref task;
    /* the model's */
    uint64_t arrival; /* 0: it was served */
    int expected_code;
    int expected_value;
};

struct world {
    sl_sender *senders[ENDS];
    sl_receiver *receivers[ENDS];
    struct waiter waiters[WAITERS_MAX];
    /* the model */
    size_t capacity;
    enum sl_overflow overflow;
    struct item buffer[CAPACITY_MAX];
    size_t used, high_water;
    bool sender_closed[ENDS], receiver_closed[ENDS];
    uint64_t arrivals, sent, received, dropped, conflated;
    int dropped_sum;
    int next_value;
};

/* The sum of what the channel dropped. */
static int really_dropped_sum;

static void on_drop(void *item)
{
    really_dropped_sum += ((struct item *)item)->value;
}

static uint64_t key_of(const void *item)
{
    return (uint64_t)((const struct item *)item)->key;
}

static size_t below(size_t limit)
{
    return (size_t)(sl_conformance_random() % limit);
}

/* ---- the model ---- */

static size_t count_open(const bool *closed)
{
    size_t open = 0;
    for (int i = 0; i < ENDS; i++) {
        open += !closed[i];
    }
    return open;
}

/* The waiter of this side that has waited longest, of one end only if `end` >= 0. */
static struct waiter *model_first(struct world *world, bool sends, int end)
{
    struct waiter *first = NULL;
    for (int i = 0; i < WAITERS_MAX; i++) {
        struct waiter *waiter = &world->waiters[i];
        bool fits = waiter->used && waiter->arrival > 0 && waiter->sends == sends && (end < 0 || waiter->end == end);
        if (fits && (first == NULL || waiter->arrival < first->arrival)) {
            first = waiter;
        }
    }
    return first;
}

static size_t model_count(const struct world *world, bool sends)
{
    size_t count = 0;
    for (int i = 0; i < WAITERS_MAX; i++) {
        count += world->waiters[i].used && world->waiters[i].arrival > 0 && world->waiters[i].sends == sends;
    }
    return count;
}

static void model_serve(struct waiter *waiter, int code, int value)
{
    waiter->arrival = 0;
    waiter->expected_code = code;
    waiter->expected_value = value;
}

static struct item model_take(struct world *world, size_t at)
{
    struct item item = world->buffer[at];
    world->used--;
    memmove(&world->buffer[at], &world->buffer[at + 1], (world->used - at) * sizeof item);
    return item;
}

static void model_put(struct world *world, struct item item)
{
    world->buffer[world->used++] = item;
    world->high_water = world->used > world->high_water ? world->used : world->high_water;
}

static void model_drop(struct world *world, struct item item, uint64_t *counter)
{
    world->dropped_sum += item.value;
    (*counter)++;
}

static bool model_replace(struct world *world, struct item item)
{
    for (size_t i = 0; world->overflow == SL_CONFLATE && i < world->used; i++) {
        if (world->buffer[i].key == item.key) {
            model_drop(world, world->buffer[i], &world->conflated);
            world->buffer[i] = item;
            return true;
        }
    }
    return false;
}

static int model_send(struct world *world, int end, struct item item)
{
    if (world->sender_closed[end]) {
        return SL_ECLOSED;
    }
    if (count_open(world->receiver_closed) == 0) {
        return SL_EBROKEN;
    }
    struct waiter *receiver = model_first(world, false, -1);
    bool full = world->used == world->capacity;
    if (receiver == NULL && full && world->overflow == SL_BLOCK) {
        return SL_EAGAIN;
    }
    world->sent++;
    if (receiver != NULL) {
        world->received++;
        model_serve(receiver, 0, item.value);
    } else if (model_replace(world, item)) {
        return 0;
    } else if (full && world->overflow == SL_DROP_NEWEST) {
        model_drop(world, item, &world->dropped);
    } else {
        if (full) {
            model_drop(world, model_take(world, 0), &world->dropped);
        }
        model_put(world, item);
    }
    return 0;
}

static int model_receive(struct world *world, int end, int *ret_value)
{
    if (world->receiver_closed[end]) {
        return SL_ECLOSED;
    }
    struct waiter *sender = model_first(world, true, -1);
    if (world->used == 0 && sender == NULL) {
        return count_open(world->sender_closed) == 0 ? SL_EOF : SL_EAGAIN;
    }
    world->received++;
    if (sender != NULL) {
        world->sent++;
        model_serve(sender, 0, NO_ITEM);
    }
    if (world->used == 0) {
        *ret_value = sender->item.value;
        return 0;
    }
    *ret_value = model_take(world, 0).value;
    if (sender != NULL) {
        model_put(world, sender->item);
    }
    return 0;
}

static void model_close(struct world *world, bool sends, int end)
{
    bool *closed = sends ? world->sender_closed : world->receiver_closed;
    if (closed[end]) {
        return;
    }
    closed[end] = true;
    struct waiter *waiter;
    while ((waiter = model_first(world, sends, end)) != NULL) {
        model_serve(waiter, SL_ECLOSED, NO_ITEM);
    }
    if (count_open(closed) > 0) {
        return;
    }
    while ((waiter = model_first(world, !sends, -1)) != NULL) {
        model_serve(waiter, sends ? SL_EOF : SL_EBROKEN, NO_ITEM);
    }
    while (!sends && world->used > 0) {
        model_drop(world, model_take(world, 0), &world->dropped);
    }
}

/* ---- the tasks ---- */

static struct world *current;

static int wait_in_task(void *arg)
{
    struct waiter *waiter = arg;
    struct item item = {0, NO_ITEM};
    struct sl_select_clause clause = {.kind = SL_SELECT_RECEIVE, .item = &item};
    bool selects = waiter->expected_value == 1; /* decided at random by its spawner */
    if (waiter->sends && selects) {
        clause = (struct sl_select_clause){
            .kind = SL_SELECT_SEND, .sender = current->senders[waiter->end], .item = &waiter->item};
    } else if (selects) {
        clause.receiver = current->receivers[waiter->end];
    }
    if (selects) {
        int index = sl_select(&clause, 1, SL_NEVER);
        waiter->code = index < 0 ? index : clause.code;
    } else if (waiter->sends) {
        waiter->code = sl_channel_send(current->senders[waiter->end], &waiter->item);
    } else {
        waiter->code = sl_channel_receive(current->receivers[waiter->end], &item);
    }
    if (!waiter->sends) {
        waiter->item = item;
    }
    waiter->done = true;
    return 0;
}

static int check_statistics(const struct world *world)
{
    struct sl_channel_statistics now;
    sl_sender_statistics(world->senders[0], &now);
    CHECK_EQ(now.used, world->used);
    CHECK_EQ(now.high_water, world->high_water);
    CHECK_EQ(now.senders, count_open(world->sender_closed));
    CHECK_EQ(now.receivers, count_open(world->receiver_closed));
    CHECK_EQ(now.senders_waiting, model_count(world, true));
    CHECK_EQ(now.receivers_waiting, model_count(world, false));
    CHECK_EQ(now.sent, world->sent);
    CHECK_EQ(now.received, world->received);
    CHECK_EQ(now.dropped, world->dropped);
    CHECK_EQ(now.conflated, world->conflated);
    CHECK_EQ(really_dropped_sum, world->dropped_sum);
    return 0;
}

/* Lets all tasks run; those that were served must have ended as the model says, the others must wait. */
static int check_tasks(struct world *world)
{
    SETTLE();
    for (int i = 0; i < WAITERS_MAX; i++) {
        struct waiter *waiter = &world->waiters[i];
        if (!waiter->used) {
            continue;
        }
        CHECK_EQ(waiter->done, waiter->arrival == 0);
        if (waiter->done) {
            CHECK_EQ(waiter->code, waiter->expected_code);
            CHECK(waiter->sends || waiter->code < 0 || waiter->item.value == waiter->expected_value);
            waiter->used = false;
        }
    }
    return 0;
}

/* ---- the operations ---- */

static int try_send(struct world *world)
{
    int end = (int)below(ENDS);
    struct item item = {(int)below(KEYS), world->next_value++};
    int expected = model_send(world, end, item);
    CHECK_EQ(sl_channel_try_send(world->senders[end], &item), expected);
    return 0;
}

static int try_receive(struct world *world)
{
    int end = (int)below(ENDS);
    int value = NO_ITEM;
    struct item item = {0, NO_ITEM};
    int expected = model_receive(world, end, &value);
    CHECK_EQ(sl_channel_try_receive(world->receivers[end], &item), expected);
    CHECK_EQ(item.value, value);
    return 0;
}

/* A task that sends or receives, and waits if it must. It is let into its call before anything else happens. */
static int spawn_waiter(struct world *world)
{
    SL_TRY(check_tasks(world));
    struct waiter *waiter = world->waiters;
    while (waiter < world->waiters + WAITERS_MAX && waiter->used) {
        waiter++;
    }
    if (waiter == world->waiters + WAITERS_MAX) {
        return 0;
    }
    *waiter = (struct waiter){.used = true, .sends = below(2) == 0, .end = (int)below(ENDS)};
    waiter->item = (struct item){(int)below(KEYS), waiter->sends ? world->next_value++ : NO_ITEM};
    waiter->expected_value = (int)below(2);
    SL_TRY(sl_spawn(sl_scope_current(), wait_in_task, waiter, .ret_task = &waiter->task));
    SETTLE();
    int value = NO_ITEM;
    int code = waiter->sends ? model_send(world, waiter->end, waiter->item) : model_receive(world, waiter->end, &value);
    model_serve(waiter, code, value);
    if (code == SL_EAGAIN) {
        waiter->arrival = ++world->arrivals;
    }
    return 0;
}

static int cancel_waiter(struct world *world)
{
    struct waiter *waiter = &world->waiters[below(WAITERS_MAX)];
    if (!waiter->used || waiter->done) {
        return 0;
    }
    if (waiter->arrival > 0) {
        model_serve(waiter, SL_ECANCELED, NO_ITEM);
    }
    return sl_task_cancel(waiter->task, NULL);
}

static void close_end(struct world *world)
{
    int end = (int)below(ENDS);
    bool sends = below(2) == 0;
    model_close(world, sends, end);
    if (sends) {
        sl_sender_close(world->senders[end]);
    } else {
        sl_receiver_close(world->receivers[end]);
    }
}

static int step(struct world *world)
{
    size_t chance = below(100);
    if (chance < 28) {
        SL_TRY(try_send(world));
    } else if (chance < 54) {
        SL_TRY(try_receive(world));
    } else if (chance < 80) {
        SL_TRY(spawn_waiter(world));
    } else if (chance < 92) {
        SL_TRY(cancel_waiter(world));
    } else if (chance < 93) {
        close_end(world);
    } else {
        SL_TRY(check_tasks(world));
    }
    return check_statistics(world);
}

static int open_world(struct world *world)
{
    really_dropped_sum = 0;
    world->overflow = (enum sl_overflow)below(4);
    world->capacity = below(CAPACITY_MAX) + (world->overflow == SL_BLOCK ? 0 : 1);
    struct sl_channel_options options = {.capacity = world->capacity,
                                         .item_bytes = sizeof(struct item),
                                         .overflow = world->overflow,
                                         .key = key_of,
                                         .drop = on_drop};
    SL_TRY(sl_channel_open(&options, &world->senders[0], &world->receivers[0]));
    for (int i = 1; i < ENDS; i++) {
        SL_TRY(sl_sender_clone(world->senders[0], &world->senders[i]));
        SL_TRY(sl_receiver_clone(world->receivers[0], &world->receivers[i]));
    }
    return 0;
}

/* Some hundred operations on one channel. */
static int play(struct world *world, int operations)
{
    SL_TRY(open_world(world));
    current = world;
    SL_SCOPE(scope);
    for (int i = 0; i < operations; i++) {
        SL_TRY(step(world));
    }
    for (int i = 0; i < WAITERS_MAX; i++) {
        struct waiter *waiter = &world->waiters[i];
        if (waiter->used && waiter->arrival > 0) {
            model_serve(waiter, SL_ECANCELED, NO_ITEM);
            SL_TRY(sl_task_cancel(waiter->task, NULL));
        }
    }
    SL_TRY(check_tasks(world));
    SL_TRY(check_statistics(world));
    for (int i = 0; i < ENDS; i++) {
        model_close(world, false, i);
        CHECK_EQ(sl_sender_free(world->senders[i]), 0);
        CHECK_EQ(sl_receiver_free(world->receivers[i]), 0);
    }
    CHECK_EQ(really_dropped_sum, world->dropped_sum);
    return sl_scope_wait(&scope);
}

TASK_TEST(random_operations_agree_with_a_naive_model)
{
    for (int done = 0; done < OPERATIONS; done += OPERATIONS / 5) {
        struct world world = {.used = 0};
        SL_TRY(play(&world, OPERATIONS / 5));
    }
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(random_operations_agree_with_a_naive_model))
