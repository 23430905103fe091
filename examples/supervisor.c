/* SPDX-License-Identifier: MIT */
/* A supervisor with a flaky child: restarted with backoff, until it is out of luck for too long. */
#include <stdio.h>

#include "sluice/runtime.h"
#include "sluice/supervisor.h"

struct feed {
    int runs;
    int good_run; /* the run that works; 0: none */
};

static int stream(void *arg)
{
    struct feed *feed = arg;
    feed->runs++;
    if (feed->runs != feed->good_run) {
        return sl_fail(SL_ECONNRESET, "run %d: connection reset", feed->runs);
    }
    printf("run %d works\n", feed->runs);
    return 0; /* SL_ON_FAILURE: a good end is the end */
}

static int supervise(struct feed *feed)
{
    SL_SCOPE(scope, .strategy = SL_ONE_FOR_ONE, .max_restarts = 3, .window = SL_SECONDS(10));
    SL_TRY(sl_spawn(&scope, stream, feed, .restart = SL_ON_FAILURE,
                    .backoff = {.initial = SL_MILLISECONDS(5), .max = SL_MILLISECONDS(20)}));
    return sl_scope_wait(&scope);
}

static int program(void *arg)
{
    (void)arg;
    struct feed lucky = {.good_run = 3};
    printf("lucky: %s\n", sl_error_name(supervise(&lucky)));
    struct feed unlucky = {.good_run = 0};
    int code = supervise(&unlucky);
    printf("unlucky: %s after %d runs\n", sl_error_name(code), unlucky.runs);
    return 0;
}

int main(void)
{
    return sl_main(program, NULL);
}

/* Output:
run 3 works
lucky: SL_OK
unlucky: SL_EINTENSITY after 4 runs
*/
