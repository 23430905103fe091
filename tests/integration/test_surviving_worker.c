/* SPDX-License-Identifier: MIT */
/* The example surviving_worker against an exchange and a Redis that are killed and come back. */
#include <signal.h>

#include "peer_process.h"
#include "redis_server.h"
#include "sl_conformance.h"

static int start_exchange(const char *port, struct peer_process *exchange)
{
    static const char program[] = SL_TEST_BUILD_DIR "/sluice";
    const char *const arguments[] = {program, "exchange", "--venue", "binance", "--instruments", "1", "--rate",
                                     "200",   "--port",   port,      NULL};
    char line[128];
    SL_TRY(peer_process_start(arguments, exchange));
    return peer_process_expect(exchange, "listening", line, sizeof line);
}

static int start_worker(int redis_port, const char *port, struct peer_process *worker)
{
    static const char program[] = SL_TEST_BUILD_DIR "/examples/surviving_worker";
    char redis[64], stream[96], page[96];
    (void)snprintf(redis, sizeof redis, "redis://127.0.0.1:%d", redis_port);
    (void)snprintf(stream, sizeof stream, "ws://127.0.0.1:%s/binance/stream?streams=btcusdt@trade", port);
    (void)snprintf(page, sizeof page, "http://127.0.0.1:%s/binance/api/v3/depth?symbol=BTCUSDT&limit=5", port);
    const char *const arguments[] = {program, redis, stream, page, NULL};
    return peer_process_start(arguments, worker);
}

/* A stream from its first message on, and a page. */
static int works(struct peer_process *worker)
{
    char line[128];
    SL_TRY(peer_process_expect(worker, "first message", line, sizeof line));
    return peer_process_expect(worker, "page 200", line, sizeof line);
}

C_TEST_REAL_FEW(a_worker_survives,
                "given a worker whose server and whose Redis are killed and come back, then it works again each time; "
                "a second one takes over when it is killed itself",
                "")
{
    struct redis_process redis = {0};
    struct peer_process exchange = {0}, worker = {0}, other = {0};
    char port[16], line[128];
    CHECK(redis_process_start(&redis, NULL));
    (void)snprintf(port, sizeof port, "%d", peer_free_port());
    SL_SCOPE(scope, .timeout = SL_SECONDS(120));
    CHECK_EQ(start_worker(redis.port, port, &worker), 0); /* before there is a server */
    CHECK_EQ(peer_process_expect(&worker, "leads", line, sizeof line), 0);
    CHECK_EQ(start_exchange(port, &exchange), 0);
    CHECK_EQ(works(&worker), 0);

    peer_process_stop(&exchange); /* kill -9 */
    CHECK_EQ(start_exchange(port, &exchange), 0);
    CHECK_EQ(works(&worker), 0);

    redis_process_kill(&redis);
    CHECK_EQ(sl_sleep(SL_SECONDS(3)), 0); /* longer than the lock lives */
    CHECK(redis_process_restart(&redis));
    CHECK_EQ(peer_process_expect(&worker, "leads", line, sizeof line), 0);
    CHECK_EQ(works(&worker), 0);

    CHECK_EQ(start_worker(redis.port, port, &other), 0);
    peer_process_stop(&worker);
    CHECK_EQ(peer_process_expect(&other, "leads", line, sizeof line), 0);
    CHECK_EQ(works(&other), 0);
    CHECK_EQ(kill(other.pid, SIGTERM), 0);
    while (peer_process_expect(&other, "\n", line, sizeof line) == 0) {
    }
    peer_process_stop(&other);
    peer_process_stop(&exchange);
    redis_process_stop(&redis);
    return sl_scope_wait(&scope);
}

SL_TEST_MAIN(cmocka_unit_test(a_worker_survives))
