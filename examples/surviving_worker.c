/* SPDX-License-Identifier: MIT */
/*
 * A worker that goes on whatever happens: the server hangs up or is away, answers errors or too late; Redis dies, and
 * with it the lock; another replica was first. `surviving_worker REDIS_URL STREAM_URL PAGE_URL`; start as many as you like.
 */
#include <stdio.h>

#include "sluice/sluice.h"

struct worker {
    const char *redis_url, *stream_url, *page_url;
    sl_redis *redis;
    sl_http_client *client;
};

static int say(const char *what, long long number)
{
    return printf("%s %lld\n", what, number) < 0 || fflush(stdout) != 0 ? sl_fail(SL_EPIPE, "nobody listens") : 0;
}

static int follow(void *arg) /* one connection; a peer that falls silent is one that hung up */
{
    struct worker *worker = arg;
    struct sl_ws_message message;
    sl_auto(sl_ws) *ws = NULL;
    SL_TRY(sl_ws_connect(worker->stream_url, &ws));
    for (unsigned count = 1;; count++) {
        SL_TRY(sl_ws_receive(ws, &message));
        SL_TRY(sl_healthy()); /* after it the backoff begins afresh */
        SL_TRY(say(count == 1 ? "first message" : "message", count));
    }
}

static int poll(void *arg) /* each fetch waits for the limit and is tried again, as the policy says */
{
    struct worker *worker = arg;
    for (;;) {
        sl_auto(sl_response) *response = NULL;
        SL_TRY(sl_fetch(worker->client, &(sl_request){.url = worker->page_url}, &response));
        SL_TRY(say("page", sl_response_status(response)));
        SL_TRY(sl_sleep(SL_MILLISECONDS(500)));
    }
}

static int lead(void *arg) /* for as long as the lock is held: its loss ends the scope, and what runs in it */
{
    struct worker *worker = arg;
    SL_SCOPE(scope, .name = "lead", .strategy = SL_ONE_FOR_ONE, .max_restarts = SL_UNLIMITED);
    SL_TRY(sl_redis_lock(&scope, worker->redis, "surviving_worker", .ttl = SL_SECONDS(2)));
    SL_TRY(say("leads, ttl", 2));
    SL_TRY(sl_spawn(&scope, follow, worker, .restart = SL_ALWAYS, .backoff = {.max = SL_SECONDS(2)}));
    SL_TRY(sl_spawn(&scope, poll, worker, .restart = SL_ALWAYS, .backoff = {.max = SL_SECONDS(2)}));
    return sl_scope_wait(&scope);
}

static int run(void *arg)
{
    struct worker *worker = arg;
    const struct sl_rate rate = {.count = 60, .period = SL_SECONDS(10)};
    sl_auto(sl_limiter) *limiter = NULL; /* freed in reverse order */
    sl_auto(sl_policy) *policy = NULL;
    sl_auto(sl_http_client) *client = NULL;
    SL_TRY(sl_limiter_create(&(struct sl_limiter_options){.rates = &rate, .rate_count = 1}, &limiter));
    SL_TRY(sl_policy_create(&(struct sl_policy_options){.retry = {.attempts = 3}, .limiters = {limiter}}, &policy));
    SL_TRY(sl_http_client_open(&(struct sl_http_client_options){.policy = policy}, &client));
    worker->client = client;
    SL_SCOPE(scope, .name = "worker", .strategy = SL_ONE_FOR_ONE, .max_restarts = SL_UNLIMITED);
    SL_TRY(sl_redis_open(&scope, &(struct sl_redis_options){.url = worker->redis_url}, &worker->redis));
    SL_TRY(sl_spawn(&scope, lead, worker, .restart = SL_ALWAYS, .backoff = {.max = SL_SECONDS(2)}));
    return sl_scope_wait(&scope);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fprintf(stderr, "usage: surviving_worker REDIS_URL STREAM_URL PAGE_URL\n");
        return 64;
    }
    struct worker worker = {.redis_url = argv[1], .stream_url = argv[2], .page_url = argv[3]};
    return sl_main_with(&(struct sl_run_options){.signals = true, .grace = 1}, run, &worker);
}
