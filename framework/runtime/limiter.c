/* SPDX-License-Identifier: MIT */
/*
 * The capacity limiter. Tokens in use lie in a digital search tree, linked through the callers' own
 * storage: the path of a token is the bits of its borrower's address, well mixed, so that a look-up
 * takes about log2(n) steps, and never more than 64. Source: Coffman and Eve 1970; Knuth, The Art of
 * Computer Programming, volume 3, 6.3.
 */
#include "internal.h"

struct limiter_waiter {
    struct sl__waiter waiter;
    const void *borrower;
    sl_token *token;
};

/* One to one, so that different addresses have different paths. Source: the finaliser of splitmix64. */
static uint64_t path_of(const void *borrower)
{
    uint64_t z = (uint64_t)(uintptr_t)borrower;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Where the borrower's token is linked, or where it would be: then *link is NULL. */
static sl_token **find(sl_capacity_limiter *limiter, const void *borrower)
{
    uint64_t path = path_of(borrower);
    sl_token **link = &limiter->tokens;
    while (*link != NULL && (*link)->borrower != borrower) {
        link = &(*link)->child[path & 1];
        path >>= 1;
    }
    return link;
}

static void lend(sl_capacity_limiter *limiter, sl_token **link, const void *borrower, sl_token *token)
{
    *token = (sl_token){.borrower = borrower};
    *link = token;
    limiter->borrowed++;
}

/* Any leaf below the token may take its place: it shares the path so far. */
static void take_back(sl_capacity_limiter *limiter, sl_token **link)
{
    sl_token *token = *link;
    sl_token **leaf = link;
    while ((*leaf)->child[0] != NULL || (*leaf)->child[1] != NULL) {
        leaf = &(*leaf)->child[(*leaf)->child[0] == NULL];
    }
    sl_token *heir = *leaf;
    *leaf = NULL;
    if (heir != token) {
        heir->child[0] = token->child[0];
        heir->child[1] = token->child[1];
        *link = heir;
    }
    limiter->borrowed--;
}

/* Serves who waits while there are tokens. A borrower that got one meanwhile, for another task, has it already. */
static void serve(sl_capacity_limiter *limiter)
{
    while (limiter->borrowed < limiter->total && limiter->waiters.first != NULL) {
        struct limiter_waiter *next = SL_CONTAINER(limiter->waiters.first, struct limiter_waiter, waiter);
        sl_token **link = find(limiter, next->borrower);
        bool has_one = *link != NULL;
        if (!has_one) {
            lend(limiter, link, next->borrower, next->token);
        }
        sl__waiter_wake(&next->waiter, has_one ? SL_EALREADY : 0);
    }
}

void sl_capacity_limiter_init(sl_capacity_limiter *limiter, uint64_t total)
{
    *limiter = (sl_capacity_limiter){.total = total};
}

static int fail_already(void)
{
    return sl__misuse(SL_EALREADY, "sl_capacity_limiter_acquire(): this borrower has a token already");
}

int sl_capacity_limiter_try_acquire(sl_capacity_limiter *limiter, const void *borrower, sl_token *token)
{
    borrower = borrower == NULL ? sl__self() : borrower;
    if (borrower == NULL) {
        return SL_ENOTASK;
    }
    sl_token **link = find(limiter, borrower);
    if (*link != NULL) {
        return fail_already();
    }
    /* While somebody waits no token is free: returns and resizing serve those who wait first. */
    if (limiter->borrowed >= limiter->total) {
        return SL_EAGAIN;
    }
    lend(limiter, link, borrower, token);
    return 0;
}

int sl_capacity_limiter_acquire(sl_capacity_limiter *limiter, const void *borrower, sl_token *token)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    sl__coop(task); /* before: others run while this task holds nothing yet */
    if (sl__cancelled(task)) {
        return SL_ECANCELED;
    }
    borrower = borrower == NULL ? task : borrower;
    int code = sl_capacity_limiter_try_acquire(limiter, borrower, token);
    if (code == SL_EAGAIN) {
        struct limiter_waiter waiter = {.waiter = {.task = task}, .borrower = borrower, .token = token};
        sl__wait_queue_push(&limiter->waiters, &waiter.waiter);
        code = sl_park(sl__wait_queue_abort, &waiter.waiter, "capacity limiter");
        if (code == SL_EALREADY) {
            return fail_already();
        }
    }
    return code;
}

int sl_capacity_limiter_release(sl_capacity_limiter *limiter, const void *borrower)
{
    borrower = borrower == NULL ? sl__self() : borrower;
    if (borrower == NULL) {
        return SL_ENOTASK;
    }
    sl_token **link = find(limiter, borrower);
    if (*link == NULL) {
        return sl__misuse(SL_ENOTOWNER, "sl_capacity_limiter_release(): this borrower has no token");
    }
    take_back(limiter, link);
    serve(limiter);
    return 0;
}

void sl_capacity_limiter_resize(sl_capacity_limiter *limiter, uint64_t total)
{
    limiter->total = total;
    serve(limiter);
}
