/* SPDX-License-Identifier: MIT */
/* examples/work_queue as two processes over one Redis: one is killed in the middle of a job, the other goes on. */
#include <stdlib.h>
#include <string.h>

#include "peer_process.h"
#include "redis_server.h"
#include "sl_conformance.h"

static int start(const char *name, struct peer_process *ret_process)
{
    char url[64], path[1024];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", redis_server_port());
    (void)snprintf(path, sizeof path, "%s/examples/work_queue", SL_TEST_BUILD_DIR);
    const char *const arguments[] = {path, url, name, NULL};
    return peer_process_start(arguments, ret_process);
}

C_TEST_REAL_FEW(a_killed_worker_is_followed,
                "kill -9 with a job in hand: another worker goes on from its last checkpoint, and does the rest",
                "issue 5: work queue")
{
    CHECK(redis_server_port() > 0);
    struct peer_process first = {0}, second = {0};
    char line[256];
    {
        char command[128];
        (void)snprintf(command, sizeof command, "redis-cli -p %d flushall >/dev/null", redis_server_port());
        CHECK_EQ(system(command), 0);
    }
    CHECK_EQ(start("first", &first), 0);
    CHECK_EQ(peer_process_expect(&first, "first: sheep counted to 2", line, sizeof line), 0);
    CHECK_EQ(peer_process_expect(&first, "first: sheep counted to 3", line, sizeof line), 0);
    peer_process_stop(&first); /* kill -9: 2 is kept, 3 perhaps */
    CHECK_EQ(start("second", &second), 0);
    CHECK_EQ(peer_process_expect(&second, "second: goats are done, failures: 0", line, sizeof line), 0);
    sl_time begin = sl_now();
    CHECK_EQ(peer_process_expect(&second, "second: sheep counted to", line, sizeof line), 0);
    CHECK(sl_now() - begin < SL_MILLISECONDS(4000)); /* the lease is 2 s */
    CHECK(strstr(line, "counted to 3") != NULL || strstr(line, "counted to 4") != NULL);
    CHECK_EQ(peer_process_expect(&second, "second: sheep are done, failures: 1", line, sizeof line), 0);
    peer_process_stop(&second);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(a_killed_worker_is_followed))
