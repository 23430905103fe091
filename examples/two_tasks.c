/* SPDX-License-Identifier: MIT */
/* Two tasks and a failure: one fails, the other is cancelled and cleans up, the scope tells the story. */
#include <stdio.h>

#include "sluice/runtime.h"
#include "sluice/scope.h"

static int ticker(void *arg)
{
    const char *name = arg;
    for (int i = 1;; i++) {
        int code = sl_sleep(SL_MILLISECONDS(20));
        if (code < 0) {
            printf("%s: %s, on my way out\n", name, sl_strerror(code));
            return code; /* the one rule: a negative code that you do not handle is returned */
        }
        printf("%s: tick %d\n", name, i);
    }
}

static int doomed(void *arg)
{
    (void)arg;
    SL_TRY(sl_sleep(SL_MILLISECONDS(50)));
    return sl_fail(SL_ECONNRESET, "the venue hung up");
}

static int program(void *arg)
{
    (void)arg;
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, ticker, "ticker"));
    SL_TRY(sl_spawn(&scope, doomed, NULL));
    int code = sl_scope_wait(&scope); /* both have ended when this returns */
    char story[512];
    (void)sl_error_print(sl_error_last(), story, sizeof story);
    printf("scope: %s\n%s", sl_error_name(code), story);
    return 0;
}

int main(void)
{
    return sl_main(program, NULL);
}

/* Output:
ticker: tick 1
ticker: tick 2
ticker: cancelled, on my way out
scope: SL_ECONNRESET
SL_ECONNRESET: failures in scope 'scope' [main]
  SL_ECONNRESET: the venue hung up [main/doomed]
*/
