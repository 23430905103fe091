/* SPDX-License-Identifier: MIT */
/*
 * Waiting for rate limits. A waiter lies on its task's stack, in the queue of its priority. Only the one
 * that goes next has a deadline: when it goes, or leaves, it wakes its successor. Whoever wakes looks at the
 * limits anew, so that news only have to wake the first.
 */
#include "sluice/limiter.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rates.h"
#include "sluice/memory.h"
#include "sluice/scope.h"

#define NAME_BYTES 32
#define PRIORITIES 3

struct waiter {
    struct waiter *next, *prev;
    sl_task *task;
    sl_time rank;  /* when it came, less its head start */
    sl_time limit; /* when its patience or a scope's deadline ends */
    bool parked;
};

struct queue {
    struct waiter *first, *last;
};

struct sl_limiter {
    sl_rates rates;
    struct queue queues[PRIORITIES];
    size_t waiting;
    const struct sl_limit_dialect *dialect;
    sl_time max_wait;
    size_t max_waiting;
    bool fixed;
    bool shadow;
    struct sl_limiter_shared shared;
    uint64_t admitted, admitted_cost, delayed, refused, shadowed, tightened, ignored_fields;
    char name[NAME_BYTES];
    char reason[SL_LIMITER_REASON_BYTES];
};

static void copy_text(char *to, size_t to_bytes, const char *text)
{
    size_t length = strnlen(text, to_bytes - 1);
    memcpy(to, text, length);
    to[length] = '\0';
}

int sl_limiter_create(const struct sl_limiter_options *options, sl_limiter **ret_limiter)
{
    if (options->max_wait < 0) {
        return sl_fail(SL_EINVAL, "a limiter's max_wait is negative");
    }
    sl_limiter *limiter = sl_calloc(1, sizeof *limiter);
    if (limiter == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a limiter");
    }
    int code = sl_rates_init(&limiter->rates, options->rates, options->rate_count);
    if (code < 0) {
        sl_free(limiter);
        return code;
    }
    limiter->dialect = options->dialect != NULL ? options->dialect : sl_limit_dialect_find("standard");
    limiter->max_wait = options->max_wait != 0 ? options->max_wait : SL_NEVER;
    limiter->max_waiting = options->max_waiting != 0 ? options->max_waiting : SL_LIMITER_WAITING_MAX;
    limiter->fixed = options->fixed;
    limiter->shadow = options->shadow;
    limiter->shared = options->shared;
    copy_text(limiter->name, sizeof limiter->name, options->name != NULL ? options->name : "limiter");
    *ret_limiter = limiter;
    return 0;
}

void sl_limiter_free(sl_limiter *limiter)
{
    assert(limiter == NULL || limiter->waiting == 0);
    sl_free(limiter);
}

/* ---- the queues ---- */

static struct waiter *first_of(const sl_limiter *limiter)
{
    struct waiter *first = NULL;
    for (int i = PRIORITIES - 1; i >= 0; i--) { /* of equal ranks the higher priority */
        struct waiter *waiter = limiter->queues[i].first;
        if (waiter != NULL && (first == NULL || waiter->rank < first->rank)) {
            first = waiter;
        }
    }
    return first;
}

static void push(sl_limiter *limiter, struct queue *queue, struct waiter *waiter)
{
    waiter->prev = queue->last;
    *(queue->last == NULL ? &queue->first : &queue->last->next) = waiter;
    queue->last = waiter;
    limiter->waiting++;
}

static void take_off(sl_limiter *limiter, struct queue *queue, struct waiter *waiter)
{
    *(waiter->prev == NULL ? &queue->first : &waiter->prev->next) = waiter->next;
    *(waiter->next == NULL ? &queue->last : &waiter->next->prev) = waiter->prev;
    limiter->waiting--;
}

static void wake(struct waiter *waiter)
{
    if (waiter->parked) {
        waiter->parked = false;
        sl_unpark(waiter->task, 0);
    }
}

/* The one that goes next looks at the limits anew. */
static void wake_first(sl_limiter *limiter)
{
    struct waiter *first = first_of(limiter);
    if (first != NULL) {
        wake(first);
    }
}

/* A block stops at once also those behind who cannot outwait it. */
static void wake_blocked(sl_limiter *limiter)
{
    for (int i = 0; i < PRIORITIES; i++) {
        for (struct waiter *waiter = limiter->queues[i].first; waiter != NULL; waiter = waiter->next) {
            if (limiter->rates.blocked_until > waiter->limit) {
                wake(waiter);
            }
        }
    }
    wake_first(limiter);
}

static bool abort_wait(sl_task *task, void *object)
{
    (void)task;
    ((struct waiter *)object)->parked = false;
    return true; /* the task takes itself off when it runs */
}

/* Parks until it is woken or `until` comes: 0; SL_ECANCELED. */
static int wait_until(struct waiter *waiter, sl_time until)
{
    sl_scope scope = SL_SCOPE_INIT;
    int code = sl_scope_open(&scope, &(struct sl_scope_options){.name = "limiter", .deadline = until, .move_on = true});
    if (code == 0) {
        waiter->parked = true;
        code = sl_park(abort_wait, waiter, "rate limiter");
        code = sl_scope_close(&scope, code);
    }
    return code == 0 && sl_cancel_pending() ? SL_ECANCELED : code;
}

/* ---- acquiring ---- */

static void admitted(sl_limiter *limiter, uint64_t cost, bool waited)
{
    limiter->admitted++;
    limiter->admitted_cost += cost;
    limiter->delayed += waited;
}

static int refuse(sl_limiter *limiter, sl_time when, sl_time now)
{
    limiter->refused++;
    if (limiter->rates.blocked_until > now) {
        sl_time wait_ms = (limiter->rates.blocked_until - now) / SL_MILLISECONDS(1);
        return sl_fail(SL_ELIMITED, "%s: blocked for another %" PRId64 " ms%s%s", limiter->name, wait_ms,
                       limiter->reason[0] != '\0' ? ": " : "", limiter->reason);
    }
    if (when == SL_NEVER) {
        return sl_fail(SL_ELIMITED, "%s: the server has lowered a limit below the cost of this call", limiter->name);
    }
    return sl_fail(SL_ELIMITED, "%s: no turn within %" PRId64 " ms, %zu wait", limiter->name,
                   limiter->max_wait / SL_MILLISECONDS(1), limiter->waiting);
}

/* A cost that no configured limit admits, ever. */
static int check_cost(const sl_limiter *limiter, uint64_t cost)
{
    for (size_t i = 0; i < limiter->rates.count; i++) {
        const struct sl_rate *rate = &limiter->rates.limits[i].configured;
        if (rate->count != 0 && !rate->per_call && cost > rate->burst) {
            return sl_fail(SL_EINVAL, "%s: a cost of %" PRIu64 " can never pass limit %zu, whose burst is %" PRIu64,
                           limiter->name, cost, i, rate->burst);
        }
    }
    return cost == 0 ? sl_fail(SL_EINVAL, "%s: a call costs at least 1", limiter->name) : 0;
}

/* Asks those who share the limits. 0 with `ret_when` now: it may go. A block counts here too. */
static int ask_others(sl_limiter *limiter, uint64_t cost, sl_time *ret_when)
{
    struct sl_limiter_answer answer = {.wait = 0};
    if (limiter->shared.book == NULL) {
        return 0;
    }
    SL_TRY(limiter->shared.book(limiter->shared.arg, cost, &answer));
    sl_time now = sl_now();
    if (answer.revision > limiter->rates.revision) {
        SL_TRY(sl_rates_change(&limiter->rates, answer.rates, answer.rate_count, answer.carry, answer.revision, now));
        wake_first(limiter);
    }
    if (answer.blocked_for > 0 && sl_time_add(now, answer.blocked_for) > limiter->rates.blocked_until) {
        sl_rates_block(&limiter->rates, sl_time_add(now, answer.blocked_for), now);
        copy_text(limiter->reason, sizeof limiter->reason, "another replica was told to wait");
        wake_blocked(limiter);
    }
    *ret_when = sl_time_add(now, answer.wait);
    return 0;
}

static int wait_turn(sl_limiter *limiter, struct waiter *waiter, uint64_t cost, sl_permit *ret_permit)
{
    sl_time give_up = sl_time_add(sl_now(), limiter->max_wait);
    sl_time deadline = sl_effective_deadline();
    waiter->limit = give_up < deadline ? give_up : deadline;
    for (;;) {
        sl_time now = sl_now();
        sl_time when = SL_NEVER;
        if (limiter->rates.blocked_until > waiter->limit && limiter->rates.blocked_until > now) {
            return refuse(limiter, limiter->rates.blocked_until, now);
        }
        if (first_of(limiter) == waiter) {
            when = sl_rates_when(&limiter->rates, cost, now);
            if (when <= now) {
                SL_TRY(ask_others(limiter, cost, &when));
                now = sl_now();
            }
            if (when <= now && sl_rates_when(&limiter->rates, cost, now) <= now) {
                return sl_rates_try(&limiter->rates, cost, now, ret_permit);
            }
            if (when == SL_NEVER) {
                return refuse(limiter, when, now);
            }
        }
        if (now >= give_up) {
            return refuse(limiter, now, now);
        }
        SL_TRY(wait_until(waiter, when < give_up ? when : give_up));
    }
}

int sl_limiter_acquire(sl_limiter *limiter, uint64_t cost, enum sl_priority priority, sl_permit *ret_permit)
{
    if (sl_current() == NULL) {
        return SL_ENOTASK;
    }
    SL_TRY(sl_checkpoint_if_cancelled());
    SL_TRY(check_cost(limiter, cost));
    sl_time now = sl_now();
    bool free = sl_rates_when(&limiter->rates, cost, now) <= now;
    if (limiter->shadow && !free) {
        limiter->shadowed++;
        if (ret_permit != NULL) {
            *ret_permit = (sl_permit){.when = now, .operation = limiter->rates.operation};
            ret_permit->calls = limiter->rates.calls;
            ret_permit->cost = limiter->rates.cost;
        }
        admitted(limiter, cost, false);
        return 0;
    }
    if (free && (limiter->shadow || (limiter->waiting == 0 && limiter->shared.book == NULL))) {
        admitted(limiter, cost, false);
        return sl_rates_try(&limiter->rates, cost, now, ret_permit);
    }
    if (limiter->waiting >= limiter->max_waiting) {
        limiter->refused++;
        return sl_fail(SL_EBUSY, "%s: %zu calls wait already", limiter->name, limiter->waiting);
    }
    int level = priority < 0 ? -1 : (priority > 0 ? 1 : 0);
    struct queue *queue = &limiter->queues[level + 1];
    struct waiter waiter = {.task = sl_current(), .rank = now - level * SL_PRIORITY_HEAD_START};
    push(limiter, queue, &waiter);
    int code = wait_turn(limiter, &waiter, cost, ret_permit);
    take_off(limiter, queue, &waiter);
    wake_first(limiter);
    if (code == 0) {
        admitted(limiter, cost, true);
    }
    return code;
}

int sl_limiter_try_acquire(sl_limiter *limiter, uint64_t cost, sl_permit *ret_permit)
{
    SL_TRY(check_cost(limiter, cost));
    sl_time now = sl_now();
    if (limiter->shared.book != NULL || limiter->waiting > 0 || sl_rates_when(&limiter->rates, cost, now) > now) {
        limiter->refused++;
        return SL_EAGAIN;
    }
    admitted(limiter, cost, false);
    return sl_rates_try(&limiter->rates, cost, now, ret_permit);
}

/* ---- news ---- */

bool sl_limiter_refund(sl_limiter *limiter, const sl_permit *permit)
{
    if (limiter->shared.book != NULL || !sl_rates_refund(&limiter->rates, permit)) {
        return false;
    }
    limiter->admitted--;
    limiter->admitted_cost -= permit->weight;
    wake_first(limiter);
    return true;
}

static sl_time used_up_until(const struct sl__cap *cap)
{
    return cap->left == 0 ? cap->until : 0;
}

/* Blocks, and that the server has nothing left for anybody, hold for all who share the limits. */
static void tell_others(sl_limiter *limiter, sl_time blocked_before)
{
    const sl_rates *rates = &limiter->rates;
    sl_time until = rates->blocked_until != blocked_before ? rates->blocked_until : 0;
    if (limiter->shared.block == NULL) {
        return;
    }
    for (size_t i = 0; i <= rates->count; i++) {
        sl_time used_up = used_up_until(i < rates->count ? &rates->limits[i].told : &rates->told);
        until = used_up > until ? used_up : until;
    }
    if (until > sl_now()) {
        limiter->shared.block(limiter->shared.arg, until);
    }
}

bool sl_limiter_report(sl_limiter *limiter, const sl_permit *permit, const struct sl_response_facts *facts)
{
    if (facts->cached || facts->status == 0) {
        return false;
    }
    struct sl_limit_news news;
    sl_time now = sl_now();
    sl_time wall = sl_now_wall();
    sl_limit_news_read(limiter->dialect, facts->status, facts->header, facts->message, wall, &news);
    sl_limit_news_read_body(limiter->dialect, facts->body, facts->body_bytes, wall, &news);
    limiter->ignored_fields += news.ignored;
    sl_time blocked_until = limiter->rates.blocked_until;
    bool refused = news.refused || news.status == 429 || news.ban > 0;
    if (limiter->fixed || !sl_rates_heed(&limiter->rates, &news, permit, now)) {
        return refused;
    }
    limiter->tightened++;
    if (limiter->rates.blocked_until != blocked_until) {
        (void)snprintf(limiter->reason, sizeof limiter->reason, "the server answered %d%s%s", facts->status,
                       news.refused ? " with " : "", news.refused ? news.reason : "");
    }
    tell_others(limiter, blocked_until);
    wake_blocked(limiter);
    return refused;
}

void sl_limiter_block(sl_limiter *limiter, sl_time until, const char *reason)
{
    sl_time before = limiter->rates.blocked_until;
    sl_rates_block(&limiter->rates, until, sl_now());
    if (limiter->rates.blocked_until != before) {
        copy_text(limiter->reason, sizeof limiter->reason, reason != NULL ? reason : "");
        tell_others(limiter, before);
        wake_blocked(limiter);
    }
}

int sl_limiter_change(sl_limiter *limiter, const struct sl_rate *rates, size_t count, enum sl_rates_carry carry,
                      uint64_t revision)
{
    bool shared = limiter->shared.change != NULL;
    if (shared && count == 0) {
        return sl_fail(SL_EINVAL, "%s: limits that are shared cannot be none", limiter->name);
    }
    revision = shared && revision == 0 ? limiter->rates.revision + 1 : revision;
    SL_TRY(sl_rates_change(&limiter->rates, rates, count, carry, revision, sl_now()));
    int code = shared ? limiter->shared.change(limiter->shared.arg, rates, count, carry, revision) : 0;
    wake_first(limiter);
    return code;
}

void sl_limiter_info(const sl_limiter *limiter, struct sl_limiter_info *ret_info)
{
    bool blocked = limiter->rates.blocked_until > sl_now();
    *ret_info = (struct sl_limiter_info){.name = limiter->name,
                                         .waiting = limiter->waiting,
                                         .admitted = limiter->admitted,
                                         .admitted_cost = limiter->admitted_cost,
                                         .delayed = limiter->delayed,
                                         .refused = limiter->refused,
                                         .shadowed = limiter->shadowed,
                                         .near_limit = limiter->rates.near_limit,
                                         .tightened = limiter->tightened,
                                         .ignored_fields = limiter->ignored_fields,
                                         .blocked_until = blocked ? limiter->rates.blocked_until : 0};
    if (blocked) {
        memcpy(ret_info->reason, limiter->reason, sizeof ret_info->reason);
    }
}

int sl_limiter_look(const sl_limiter *limiter, size_t index, struct sl_rate_state *ret_state)
{
    return sl_rates_look(&limiter->rates, index, sl_now(), ret_state);
}
