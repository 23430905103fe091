/* SPDX-License-Identifier: MIT */
/* Many tasks over one connection: their commands go out in waves, before all of them have had their turn. */
#include <signal.h>
#include <string.h>

#include "redis/client.h"
#include "redis_server.h"
#include "sl_conformance.h"
#include "sluice/redis.h"
#include "sluice/tls.h"
#include "tls_certificates.h"

#define TASKS 96
#define LARGE_BYTES ((size_t)80 * 1024) /* so much of all does not fit into the system's buffers */

struct worker {
    sl_redis *redis;
    int number, rounds;
    size_t bytes; /* of what it sends */
    int done, failed;
};

static int open_at(sl_scope *scope, int port, sl_redis **ret_redis)
{
    char url[64];
    CHECK(port > 0);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", port);
    const struct sl_redis_options options = {.url = url,
                                             .backoff = {.initial = SL_MILLISECONDS(1), .max = SL_MILLISECONDS(2)}};
    CHECK_EQ(sl_redis_open(scope, &options, ret_redis), 0);
    return sl_redis_do(*ret_redis, NULL, "FLUSHALL");
}

static void set_up(struct worker *workers, sl_redis *redis, int rounds, size_t bytes)
{
    for (int i = 0; i < TASKS; i++) {
        workers[i] = (struct worker){redis, i, rounds, bytes, 0, 0};
    }
}

/* Its own bytes, there and back. */
static int echo(struct worker *worker, char *text)
{
    sl_auto(sl_redis_reply) *reply = NULL;
    memset(text, 'a' + worker->number % 26, worker->bytes);
    (void)snprintf(text, worker->bytes, "%d/%d/", worker->number, worker->done);
    const struct sl_bytes pieces[] = {{"ECHO", 4}, {text, worker->bytes}};
    SL_TRY(sl_redis_send(worker->redis, &(struct sl_redis_request){.arguments = pieces, .count = 2}, &reply));
    struct sl_redis_value value = sl_redis_reply_value(reply);
    CHECK(value.size_bytes == worker->bytes && memcmp(value.text, text, worker->bytes) == 0);
    worker->done++;
    return 0;
}

static int echo_all(void *arg)
{
    struct worker *worker = arg;
    char *text = sl_malloc(worker->bytes);
    CHECK(text != NULL);
    int code = 0;
    while (code == 0 && worker->done < worker->rounds) {
        code = echo(worker, text);
    }
    sl_free(text);
    return code;
}

/* The large buffers do not stay. */
static int check_buffers(sl_redis *redis)
{
    CHECK(redis->main->out.capacity + redis->main->writing.capacity <= (size_t)2 * 256 * 1024);
    return 0;
}

static int echo_together(sl_redis *redis, int rounds, size_t bytes)
{
    struct worker workers[TASKS];
    set_up(workers, redis, rounds, bytes);
    SL_SCOPE(tasks);
    for (int i = 0; i < TASKS; i++) {
        CHECK_EQ(sl_spawn(&tasks, echo_all, &workers[i]), 0);
    }
    return sl_scope_wait(&tasks);
}

C_TEST_REAL_FEW(waves,
                "a quarter of what is under way is written as soon as it is there; a few wait for the turn's end", "")
{
    /* With 96: after 4, 8, 12, 16, 22, 30, 40, 54, 72 and 96. */
    static const struct {
        int tasks;
        unsigned writes;
    } cases[] = {{3, 0}, {4, 1}, {16, 4}, {21, 4}, {22, 5}, {TASKS, 10}};
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct worker workers[TASKS];
    CHECK_EQ(open_at(&scope, redis_server_port(), &redis), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_redis_stats before, after;
        sl_redis_stats_get(redis, &before);
        set_up(workers, redis, 1, 16);
        SL_SCOPE(tasks);
        for (int j = 0; j < cases[i].tasks; j++) {
            CHECK_EQ(sl_spawn(&tasks, echo_all, &workers[j]), 0);
        }
        /* Each of them has its turn, and then this task, and only then the one that writes. */
        CHECK_EQ(sl_checkpoint(), 0);
        sl_redis_stats_get(redis, &after);
        bool in_order = sl_conformance_seed() == 0; /* drawn otherwise, the one that writes may come earlier */
        CHECK_EQ(after.commands - before.commands, cases[i].tasks);
        CHECK(after.writes - before.writes == cases[i].writes || !in_order);
        CHECK_EQ(sl_scope_wait(&tasks), 0);
        sl_redis_stats_get(redis, &after);
        CHECK_EQ(after.replies - before.replies, cases[i].tasks);
        bool rest = cases[i].tasks == 3 || cases[i].tasks == 21;
        CHECK(after.writes - before.writes == cases[i].writes + rest || !in_order); /* nothing twice */
        for (int j = 0; j < cases[i].tasks; j++) {
            CHECK_EQ(workers[j].done, 1);
        }
    }
    CHECK_EQ(echo_together(redis, 1, (size_t)16 * 1024), 0);
    CHECK_EQ(check_buffers(redis), 0);
    return sl_scope_wait(&scope);
}

/* More than the system takes while the server stands still: the rest of a wave, and those behind it, are the writer's. */
static int too_much(const struct redis_process *server, sl_redis *redis)
{
    struct worker workers[TASKS];
    struct sl_redis_stats stats;
    set_up(workers, redis, 2, LARGE_BYTES);
    CHECK_EQ(sl_redis_do(redis, NULL, "PING"), 0);
    CHECK_EQ(kill(server->pid, SIGSTOP), 0);
    SL_SCOPE(tasks);
    for (int i = 0; i < TASKS; i++) {
        CHECK_EQ(sl_spawn(&tasks, echo_all, &workers[i]), 0);
    }
    CHECK_EQ(sl_checkpoint(), 0);
    CHECK_EQ(sl_checkpoint(), 0);
    sl_redis_stats_get(redis, &stats);
    CHECK_EQ(stats.in_flight, TASKS);
    CHECK(stats.writes > 1);
    CHECK_EQ(kill(server->pid, SIGCONT), 0);
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    sl_redis_stats_get(redis, &stats);
    CHECK_EQ(stats.connects, 1);
    CHECK_EQ(stats.retried, 0);
    return check_buffers(redis);
}

C_TEST_REAL_FEW(waves_larger_than_the_socket, "a wave that the system takes in part is whole in the end", "")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct redis_process server = {0};
    CHECK(redis_process_start(&server, NULL));
    int code = open_at(&scope, server.port, &redis);
    code = code == 0 ? too_much(&server, redis) : code;
    redis_process_stop(&server);
    return code;
}

C_TEST_REAL_FEW(waves_over_tls, "the same over TLS, where a part may be encrypted already", "")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    struct redis_process server = {0};
    int port = 0;
    char url[64];
    sl_auto(sl_tls_config) *tls = NULL;
    CHECK(redis_process_start_tls(&server, &port));
    CHECK_EQ(sl_tls_config_open(&(struct sl_tls_options){.ca_pem = tls_identity(TLS_CA)->certificate}, &tls), 0);
    (void)snprintf(url, sizeof url, "rediss://localhost:%d", port);
    const struct sl_redis_options options = {.url = url, .tls = tls, .timeout = SL_SECONDS(20)};
    CHECK_EQ(sl_redis_open(&scope, &options, &redis), 0);
    int code = too_much(&server, redis);
    code = sl_scope_close(&scope, code);
    redis_process_stop(&server);
    return code;
}

/* Counts up its own key until somebody cuts the connection, which is no error here. */
static int count_up(void *arg)
{
    struct worker *worker = arg;
    char key[16];
    (void)snprintf(key, sizeof key, "n%d", worker->number);
    for (int i = 0; i < worker->rounds; i++) {
        int64_t value = 0;
        int code = sl_redis_do_int(worker->redis, &value, "INCR", key);
        worker->done += code == 0;
        worker->failed += code == SL_ECONNRESET;
        if (code != SL_ECONNRESET) {
            SL_TRY(code);
        }
    }
    return 0;
}

C_TEST_REAL_FEW(waves_are_cut, "a connection that breaks in the midst of waves: nothing is carried out twice", "")
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL, *killer = NULL;
    struct worker workers[TASKS];
    struct sl_redis_stats stats;
    CHECK_EQ(open_at(&scope, redis_server_port(), &redis), 0);
    CHECK_EQ(open_at(&scope, redis_server_port(), &killer), 0);
    set_up(workers, redis, 100, 0);
    SL_SCOPE(tasks);
    for (int i = 0; i < TASKS; i++) {
        CHECK_EQ(sl_spawn(&tasks, count_up, &workers[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(sl_sleep(SL_MICROSECONDS(sl_conformance_random() % 3000)), 0);
        CHECK_EQ(sl_redis_do(killer, NULL, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"), 0);
    }
    CHECK_EQ(sl_scope_wait(&tasks), 0);
    sl_redis_stats_get(redis, &stats);
    CHECK(stats.losses > 0);
    int failed = 0;
    for (int i = 0; i < TASKS; i++) {
        char key[16];
        int64_t value = 0;
        (void)snprintf(key, sizeof key, "n%d", i);
        CHECK_EQ(sl_redis_do_int(redis, &value, "INCRBY", key, "0"), 0);
        CHECK(value >= workers[i].done && value <= workers[i].done + workers[i].failed);
        CHECK_EQ(workers[i].done + workers[i].failed, 100);
        failed += workers[i].failed;
    }
    CHECK(failed > 0);
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(cmocka_unit_test(waves), cmocka_unit_test(waves_larger_than_the_socket), cmocka_unit_test(waves_over_tls),
             cmocka_unit_test(waves_are_cut))
