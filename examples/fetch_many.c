/* SPDX-License-Identifier: MIT */
/* fetch_many URL COUNT CONCURRENCY: fetches a URL many times, several at once over kept connections. */
#include <stdio.h>

#include "sluice/sluice.h"

struct job {
    const char *url;
    sl_http_client *client;
    int left, concurrency;
    int good, bad;
};

static int work(void *arg)
{
    struct job *job = arg;
    while (job->left > 0) {
        job->left--;
        sl_auto(sl_response) *response = NULL;
        SL_TRY(sl_fetch(job->client, &(sl_request){.url = job->url}, &response));
        *(sl_response_status(response) == 200 ? &job->good : &job->bad) += 1;
    }
    return 0;
}

static int run(void *arg)
{
    struct job *job = arg;
    sl_auto(sl_http_client) *client = NULL;
    size_t connections = (size_t)job->concurrency;
    struct sl_http_client_options options = {.connections_per_origin = connections, .idle_max = connections};
    SL_TRY(sl_http_client_open(&options, &client));
    job->client = client;
    sl_time start = sl_now();
    SL_SCOPE(scope);
    for (int i = 0; i < job->concurrency; i++) {
        SL_TRY(sl_spawn(&scope, work, job));
    }
    SL_TRY(sl_scope_wait(&scope));
    (void)fprintf(stderr, "%.0f a second\n", (job->good + job->bad) / ((double)(sl_now() - start) / 1e9));
    (void)printf("%d good, %d bad\n", job->good, job->bad);
    return 0;
}

int main(int argc, char **argv)
{
    struct job job = {.url = argc == 4 ? argv[1] : NULL};
    for (int i = 2; argc == 4 && i < 4; i++) {
        int *number = i == 2 ? &job.left : &job.concurrency;
        for (const char *at = argv[i]; *at >= '0' && *at <= '9' && *number < 100000000; at++) {
            *number = *number * 10 + (*at - '0');
        }
    }
    if (job.left == 0 || job.concurrency == 0) {
        (void)fprintf(stderr, "usage: fetch_many URL COUNT CONCURRENCY\n");
        return 2;
    }
    return sl_main(run, &job);
}
