/* SPDX-License-Identifier: MIT */
/*
 * Sluice's side of the network benchmark:
 *   bench_net receive PORT SECONDS     WebSocket messages a second
 *   bench_net latency PORT SECONDS     from the sender's write to the task that asked
 */
#include <stdlib.h>
#include <string.h>

#include "latency.h"
#include "sluice/sluice.h"

struct job {
    const char *mode;
    int port;
    sl_time lasts;
    struct latency latency;
};

#define LOOKS_AT_CLOCK 1024

static int receive(void *arg)
{
    struct job *job = arg;
    bool timed = strcmp(job->mode, "latency") == 0;
    char url[64];
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%d/", job->port);
    sl_auto(sl_ws) *ws = NULL;
    SL_TRY(sl_ws_connect(url, &ws));
    sl_time since = sl_now();
    uint64_t messages = 0;
    while (messages % LOOKS_AT_CLOCK != 0 || sl_now() - since < job->lasts) {
        struct sl_ws_message message;
        SL_TRY(sl_ws_receive(ws, &message));
        if (timed) {
            latency_add(&job->latency, message.data);
        }
        messages++;
    }
    if (timed) {
        latency_print(&job->latency);
    } else {
        (void)printf("rate %.0f\n", (double)messages / ((double)(sl_now() - since) / 1e9));
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct job job;
    if (argc < 4) {
        (void)fprintf(stderr, "usage: bench_net receive|latency PORT SECONDS\n");
        return 2;
    }
    job.mode = argv[1];
    job.port = (int)strtod(argv[2], NULL);
    job.lasts = (sl_time)(strtod(argv[3], NULL) * 1e9);
    return sl_main(receive, &job);
}
