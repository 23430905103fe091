/* SPDX-License-Identifier: MIT */
/* Limits with `shared: redis`, as a configuration has them: two replicas in one process, a Redis of their own. */
#include "conf_support.h"

#include <stdio.h>

#include "ingest/program/access.h"
#include "redis_server.h"
#include "sluice/runtime.h"

#define SECONDS 2

struct played {
    struct redis_process redis;
    const char *on_redis_error;
    char url[64];
    size_t admitted[2]; /* with Redis, then without */
    bool shared, away_before, away_after;
};

struct caller {
    sl_limiter *limiter;
    sl_time until;
    size_t admitted;
};

static int call(void *arg)
{
    struct caller *caller = arg;
    for (;;) {
        SL_SCOPE(scope, .deadline = caller->until);
        int code = sl_limiter_acquire(caller->limiter, 1, SL_PRIORITY_NORMAL, NULL);
        code = sl_scope_close(&scope, code);
        if (code < 0) {
            return 0; /* time is over */
        }
        caller->admitted++;
    }
}

/* Both call as often as they may, for a while. */
static int call_both(sl_access *const accesses[2], size_t *ret_admitted)
{
    struct caller callers[2];
    SL_SCOPE(scope);
    for (size_t at = 0; at < 2; at++) {
        callers[at] =
            (struct caller){.limiter = sl_access_limiter(accesses[at]), .until = sl_now() + SL_SECONDS(SECONDS)};
        SL_TRY(sl_spawn(&scope, call, &callers[at]));
    }
    SL_TRY(sl_scope_wait(&scope));
    *ret_admitted = callers[0].admitted + callers[1].admitted;
    return 0;
}

static int open_both(const struct played *played, sl_scope *scope, sl_config *config, sl_instruments *instruments,
                     sl_access *accesses[2])
{
    const struct sl_config_variant *service = sl_conf_service_find(conf_of(config), "s");
    for (size_t at = 0; at < 2; at++) {
        sl_redis *redis = NULL;
        const struct sl_redis_options options = {.url = played->url};
        SL_TRY(sl_redis_open(scope, &options, &redis));
        const struct sl_access_sharing sharing = {.scope = scope, .redis = redis, .group = "test", .members = 1};
        SL_TRY(sl_access_open(config, service, instruments, &sharing, &accesses[at]));
        sl_access_set_members(accesses[at], 2);
    }
    return 0;
}

static int play_with(struct played *played, sl_config *config, sl_instruments *instruments)
{
    sl_access *accesses[2] = {NULL, NULL};
    SL_SCOPE(scope);
    int code = open_both(played, &scope, config, instruments, accesses);
    code = code == 0 ? call_both(accesses, &played->admitted[0]) : code;
    if (code == 0) {
        played->shared = sl_access_shared(accesses[0], &played->away_before);
        redis_process_kill(&played->redis);
        code = call_both(accesses, &played->admitted[1]);
        (void)sl_access_shared(accesses[0], &played->away_after);
    }
    sl_access_close(accesses[0]);
    sl_access_close(accesses[1]);
    return sl_scope_close(&scope, code);
}

static int play(void *arg)
{
    struct played *played = arg;
    char text[1024];
    (void)snprintf(text, sizeof text,
                   CONF_LEAST "limits: {l: {rates: [{rate: 100/1s, burst: 10, cost: call}], shared: redis, "
                              "on_redis_error: %s, safety: 80%%}}\n"
                              "venues: {binance: {limit: l}}\n"
                              "coordination: {backend: redis, url: '%s'}\n",
                   played->on_redis_error, played->url);
    sl_auto(sl_config) *config = conf_loaded(text);
    sl_auto(sl_instruments) *instruments = NULL;
    SL_TRY(sl_instruments_new(0, &instruments));
    return play_with(played, config, instruments);
}

static struct played run(const char *on_redis_error)
{
    struct played played = {.on_redis_error = on_redis_error};
    assert_true(redis_process_start(&played.redis, NULL));
    (void)snprintf(played.url, sizeof played.url, "redis://127.0.0.1:%d", played.redis.port);
    assert_int_equal(sl_run(NULL, play, &played, NULL), 0);
    redis_process_stop(&played.redis);
    (void)printf("with Redis %zu, without %zu\n", played.admitted[0], played.admitted[1]);
    assert_true(played.shared && !played.away_before && played.away_after);
    assert_true(played.admitted[0] > 100 && played.admitted[0] <= 100 * SECONDS + 10); /* together */
    return played;
}

static void without_redis_each_takes_its_part(void **state)
{
    (void)state;
    struct played played = run("local");
    assert_true(played.admitted[1] > 60 && played.admitted[1] <= 80 * SECONDS + 10);
}

static void without_redis_nobody_goes_if_that_is_wanted(void **state)
{
    (void)state;
    struct played played = run("deny");
    assert_int_equal(played.admitted[1], 0);
}

static void without_redis_everybody_goes_if_that_is_wanted(void **state)
{
    (void)state;
    struct played played = run("allow");
    assert_true(played.admitted[1] > 100 * SECONDS + 10);
}

SL_TEST_MAIN(cmocka_unit_test(without_redis_each_takes_its_part),
             cmocka_unit_test(without_redis_nobody_goes_if_that_is_wanted),
             cmocka_unit_test(without_redis_everybody_goes_if_that_is_wanted))
