/* SPDX-License-Identifier: MIT */
/* Two tasks share a limit of four requests a second; one is told to wait by the server: then both wait. */
#include <stdio.h>
#include <string.h>

#include "sluice/limiter.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"

static sl_limiter *limiter;
static sl_time began;
static int requests;

/* Stands for a server: it refuses the third request. */
static const char *header(const void *message, const char *name)
{
    return *(const int *)message == 429 && strcmp(name, "Retry-After") == 0 ? "1" : NULL;
}

static int poll_venue(void *arg)
{
    for (int i = 1; i <= 3; i++) {
        sl_permit permit;
        SL_TRY(sl_limiter_acquire(limiter, 1, SL_PRIORITY_NORMAL, &permit));
        int status = ++requests == 3 ? 429 : 200;
        printf("%5.2f s  %s %d: %d\n", (double)(sl_now() - began) / 1e9, (const char *)arg, i, status);
        sl_limiter_report(limiter, &permit,
                          &(struct sl_response_facts){.status = status, .header = header, .message = &status});
    }
    return 0;
}

static int program(void *arg)
{
    (void)arg;
    const struct sl_rate rate = {.count = 4, .period = SL_SECONDS(1)};
    SL_TRY(sl_limiter_create(&(struct sl_limiter_options){.name = "venue", .rates = &rate, .rate_count = 1}, &limiter));
    began = sl_now();
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, poll_venue, "btc"));
    SL_TRY(sl_spawn(&scope, poll_venue, "eth"));
    int code = sl_scope_wait(&scope);
    sl_limiter_free(limiter);
    return code;
}

int main(void)
{
    const struct sl_run_options options = {.simulation = &(const struct sl_simulation_options){.seed = 1}};
    return sl_run(&options, program, NULL, NULL) < 0; /* with a simulated clock; sl_main() in earnest */
}

/* Output:
 0.00 s  btc 1: 200
 0.25 s  btc 2: 200
 0.50 s  eth 1: 429
 1.50 s  btc 3: 200
 1.75 s  eth 2: 200
 2.00 s  eth 3: 200
*/
