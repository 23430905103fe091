/* SPDX-License-Identifier: MIT */
/* examples/locked_worker as two processes: one works, the other takes over when the first is killed, or stopped. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "peer_process.h"
#include "redis_server.h"
#include "sl_conformance.h"

static int start(const char *name, struct peer_process *ret_process)
{
    char url[64], path[1024];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", redis_server_port());
    (void)snprintf(path, sizeof path, "%s/examples/locked_worker", SL_TEST_BUILD_DIR);
    const char *const arguments[] = {path, url, name, NULL};
    return peer_process_start(arguments, ret_process);
}

static long long number_in(const char *line)
{
    const char *space = strrchr(line, ' ');
    return space == NULL ? -1 : strtoll(space + 1, NULL, 10);
}

C_TEST_REAL_FEW(locked_worker_takes_over, "killed: within the TTL; stopped: at once; no number twice, tokens grow",
                "issue 5: examples/locked_worker")
{
    CHECK(redis_server_port() > 0);
    struct peer_process first = {0}, second = {0};
    char line[256];
    CHECK_EQ(start("first", &first), 0);
    CHECK_EQ(peer_process_expect(&first, "works under the token", line, sizeof line), 0);
    long long token = number_in(line);
    CHECK_EQ(start("second", &second), 0);
    CHECK_EQ(peer_process_expect(&second, "waits", line, sizeof line), 0);
    CHECK_EQ(peer_process_expect(&first, "did", line, sizeof line), 0);
    CHECK_EQ(peer_process_expect(&first, "did", line, sizeof line), 0);
    sl_time before = sl_now();
    peer_process_stop(&first); /* kill -9 */
    CHECK_EQ(peer_process_expect(&second, "works under the token", line, sizeof line), 0);
    sl_time killed = sl_now() - before;
    CHECK(killed < SL_MILLISECONDS(3500)); /* TTL 2 s */
    CHECK(number_in(line) > token);
    token = number_in(line);
    CHECK_EQ(start("third", &first), 0);
    CHECK_EQ(peer_process_expect(&first, "waits", line, sizeof line), 0);
    CHECK_EQ(peer_process_expect(&second, "did", line, sizeof line), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(300)), 0); /* it listens by now */
    before = sl_now();
    CHECK_EQ(kill(second.pid, SIGTERM), 0);
    CHECK_EQ(peer_process_expect(&first, "works under the token", line, sizeof line), 0);
    sl_time stopped = sl_now() - before;
    CHECK(number_in(line) > token);
    CHECK(stopped < SL_MILLISECONDS(1000));
    (void)fprintf(stderr, "taken over %lld ms after a kill, %lld ms after a stop\n", (long long)(killed / 1000000),
                  (long long)(stopped / 1000000));
    peer_process_stop(&first);
    peer_process_stop(&second);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(locked_worker_takes_over))
