/* SPDX-License-Identifier: MIT */
/* Two heaps: those that wait for their time, and those that are due. See poll_schedule.h. */
#include "ingest/poll/poll_schedule.h"

#include <string.h>

struct heap {
    struct sl_poll_item **items; /* the first is at 1 */
    size_t count, capacity;
};

struct sl_poll_schedule {
    struct heap waiting;         /* by when they are due */
    struct heap ready;           /* by when their interval ends */
    struct sl_poll_item **table; /* by the instrument's index + 1; 0: all at once */
    size_t capacity, count;
    uint64_t last_number, late;
};

/* ---- heaps ---- */

static bool before(const struct sl_poll_item *a, const struct sl_poll_item *b)
{
    sl_time left = a->ready ? a->deadline : a->due, right = b->ready ? b->deadline : b->due;
    return left != right ? left < right : a->number < b->number;
}

static void put(struct heap *heap, size_t place, struct sl_poll_item *item)
{
    heap->items[place] = item;
    item->place = place;
}

static void rise(struct heap *heap, size_t place, struct sl_poll_item *item)
{
    for (; place > 1 && before(item, heap->items[place / 2]); place /= 2) {
        put(heap, place, heap->items[place / 2]);
    }
    put(heap, place, item);
}

static void sink(struct heap *heap, size_t place, struct sl_poll_item *item)
{
    for (size_t child = 2 * place; child <= heap->count; child = 2 * place) {
        child += child < heap->count && before(heap->items[child + 1], heap->items[child]);
        if (!before(heap->items[child], item)) {
            break;
        }
        put(heap, place, heap->items[child]);
        place = child;
    }
    put(heap, place, item);
}

static void push(struct heap *heap, struct sl_poll_item *item)
{
    rise(heap, ++heap->count, item);
}

static void take_out(struct heap *heap, struct sl_poll_item *item)
{
    size_t place = item->place;
    struct sl_poll_item *last = heap->items[heap->count--];
    item->place = 0;
    if (last != item) {
        sink(heap, place, last);
        rise(heap, last->place, last);
    }
}

/* Room for all items in either heap, so that moving one cannot fail. */
static int reserve(struct heap *heap, size_t count)
{
    if (count + 1 > heap->capacity) {
        size_t capacity = heap->capacity == 0 ? 64 : heap->capacity * 2;
        struct sl_poll_item **items = sl_realloc(heap->items, capacity * sizeof *items);
        if (items == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for a schedule of %zu", capacity);
        }
        heap->items = items;
        heap->capacity = capacity;
    }
    return 0;
}

/* ---- items ---- */

static size_t slot_of(const sl_instrument *instrument)
{
    return instrument == NULL ? 0 : (size_t)instrument->index + 1;
}

struct sl_poll_item *sl_poll_schedule_find(const sl_poll_schedule *schedule, const sl_instrument *instrument)
{
    size_t slot = slot_of(instrument);
    return slot < schedule->capacity ? schedule->table[slot] : NULL;
}

static int grow_table(sl_poll_schedule *schedule, size_t slot)
{
    size_t capacity = schedule->capacity == 0 ? 64 : schedule->capacity;
    while (capacity <= slot) {
        capacity *= 2;
    }
    if (capacity > schedule->capacity) {
        struct sl_poll_item **table = sl_realloc(schedule->table, capacity * sizeof *table);
        if (table == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for %zu instruments", capacity);
        }
        memset(table + schedule->capacity, 0, (capacity - schedule->capacity) * sizeof *table);
        schedule->table = table;
        schedule->capacity = capacity;
    }
    return 0;
}

static void wait_until(sl_poll_schedule *schedule, struct sl_poll_item *item, sl_time due)
{
    item->due = due;
    item->ready = false;
    item->number = ++schedule->last_number;
    push(&schedule->waiting, item);
}

/* There already: of a shorter interval it comes sooner. */
static int change(sl_poll_schedule *schedule, struct sl_poll_item *item, sl_time interval, sl_time first)
{
    bool other = item->interval != interval;
    item->interval = interval;
    if (other && item->place != 0 && !item->ready && first < item->due) {
        take_out(&schedule->waiting, item);
        wait_until(schedule, item, first);
    }
    return 0;
}

int sl_poll_schedule_add(sl_poll_schedule *schedule, const sl_instrument *instrument, sl_time interval, sl_time first,
                         sl_time now)
{
    struct sl_poll_item *item = sl_poll_schedule_find(schedule, instrument);
    if (item != NULL) {
        return change(schedule, item, interval, first);
    }
    SL_TRY(grow_table(schedule, slot_of(instrument)));
    SL_TRY(reserve(&schedule->waiting, schedule->count + 1));
    SL_TRY(reserve(&schedule->ready, schedule->count + 1));
    item = sl_calloc(1, sizeof *item);
    if (item == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for an instrument");
    }
    item->instrument = instrument;
    item->interval = interval;
    item->added_at = now;
    schedule->table[slot_of(instrument)] = item;
    schedule->count++;
    wait_until(schedule, item, first);
    return 1;
}

void sl_poll_schedule_remove(sl_poll_schedule *schedule, const sl_instrument *instrument)
{
    struct sl_poll_item *item = sl_poll_schedule_find(schedule, instrument);
    if (item == NULL) {
        return;
    }
    schedule->table[slot_of(instrument)] = NULL;
    schedule->count--;
    if (item->place == 0) {
        item->gone = true; /* whoever has it gives it back */
        return;
    }
    take_out(item->ready ? &schedule->ready : &schedule->waiting, item);
    sl_free(item);
}

/* ---- turns ---- */

struct sl_poll_item *sl_poll_schedule_take(sl_poll_schedule *schedule, sl_time now, sl_time *ret_when)
{
    struct heap *waiting = &schedule->waiting, *ready = &schedule->ready;
    while (waiting->count > 0 && waiting->items[1]->due <= now) {
        struct sl_poll_item *item = waiting->items[1];
        take_out(waiting, item);
        item->deadline = sl_time_add(item->due, item->interval);
        item->ready = true;
        push(ready, item);
    }
    if (ready->count == 0) {
        *ret_when = waiting->count == 0 ? SL_NEVER : waiting->items[1]->due;
        return NULL;
    }
    struct sl_poll_item *item = ready->items[1];
    take_out(ready, item);
    item->round = item->taken > 0 ? now - item->last_taken_at : 0;
    item->last_taken_at = now;
    return item;
}

/* The next time in its own rhythm; turns that are over are left out. */
static sl_time next_turn(sl_poll_schedule *schedule, struct sl_poll_item *item, sl_time now)
{
    if (item->interval <= 0) {
        return now;
    }
    sl_time next = sl_time_add(item->due, item->interval);
    if (next <= now) {
        sl_time missed = (now - next) / item->interval + 1;
        item->late += (uint64_t)missed;
        schedule->late += (uint64_t)missed;
        next = sl_time_add(next, missed * item->interval);
    }
    return next;
}

static sl_time later_turn(const struct sl_poll_item *item, sl_time now)
{
    sl_time wait = item->interval > 0 ? item->interval : SL_POLL_BACKOFF_STEP;
    sl_time most = wait > SL_POLL_BACKOFF_MAX ? wait : SL_POLL_BACKOFF_MAX;
    for (uint32_t turn = 1; turn < item->failed_turns && wait < most; turn++) {
        wait *= 2;
    }
    return sl_time_add(now, wait < most ? wait : most);
}

void sl_poll_schedule_give_back(sl_poll_schedule *schedule, struct sl_poll_item *item, int code, sl_time now)
{
    if (item->gone) {
        sl_free(item);
        return;
    }
    if (code == SL_EAGAIN) { /* its number and its deadline are those it had */
        push(&schedule->ready, item);
        return;
    }
    item->taken++;
    if (code == 0) {
        item->good++;
        item->failed_turns = 0;
        item->last_good_at = now;
        wait_until(schedule, item, next_turn(schedule, item, now));
        return;
    }
    item->failures++;
    item->failed_turns++;
    item->last_code = code;
    /* The first failure of an instrument that has an interval is no reason to come late. */
    bool soon = item->interval > 0 && item->failed_turns == 1;
    wait_until(schedule, item, soon ? next_turn(schedule, item, now) : later_turn(item, now));
}

/* ---- looking ---- */

size_t sl_poll_schedule_count(const sl_poll_schedule *schedule)
{
    return schedule->count;
}

size_t sl_poll_schedule_ready(const sl_poll_schedule *schedule)
{
    return schedule->ready.count;
}

uint64_t sl_poll_schedule_late(const sl_poll_schedule *schedule)
{
    return schedule->late;
}

void sl_poll_schedule_each(const sl_poll_schedule *schedule, void (*look)(void *arg, struct sl_poll_item *item),
                           void *arg)
{
    for (size_t slot = 0; slot < schedule->capacity; slot++) {
        if (schedule->table[slot] != NULL) {
            look(arg, schedule->table[slot]);
        }
    }
}

int sl_poll_schedule_new(sl_poll_schedule **ret_schedule)
{
    sl_poll_schedule *schedule = sl_calloc(1, sizeof *schedule);
    if (schedule == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a schedule");
    }
    *ret_schedule = schedule;
    return 0;
}

static void free_item(void *arg, struct sl_poll_item *item)
{
    (void)arg;
    sl_free(item);
}

void sl_poll_schedule_free(sl_poll_schedule *schedule)
{
    if (schedule != NULL) {
        sl_poll_schedule_each(schedule, free_item, NULL);
        sl_free(schedule->waiting.items);
        sl_free(schedule->ready.items);
        sl_free(schedule->table);
        sl_free(schedule);
    }
}
