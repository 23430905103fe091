/* SPDX-License-Identifier: MIT */
/* A deadline bounds everything in its scope, however deep; nobody below passes a timeout along. */
#include <stdio.h>

#include "sluice/runtime.h"
#include "sluice/scope.h"

static int slow_request(void)
{
    SL_TRY(sl_sleep(SL_SECONDS(60)));
    return 0;
}

static int fetch(sl_time timeout)
{
    sl_scope scope = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&scope, &(struct sl_scope_options){.name = "fetch", .timeout = timeout}));
    return sl_scope_close(&scope, slow_request()); /* turns "cancelled" into "my deadline passed" */
}

static int program(void *arg)
{
    (void)arg;
    int code = fetch(SL_MILLISECONDS(20));
    printf("alone: %s: %s\n", sl_error_name(code), sl_error_message(sl_error_last()));

    /* The outer deadline comes first: the inner scope only sees a cancellation. */
    sl_scope outer = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&outer, &(struct sl_scope_options){.name = "outer", .timeout = SL_MILLISECONDS(20)}));
    code = fetch(SL_SECONDS(10));
    printf("inner: %s\n", sl_error_name(code));
    code = sl_scope_close(&outer, code);
    printf("outer: %s\n", sl_error_name(code));

    /* Some timeouts are no failure. */
    {
        SL_SCOPE(patience, .timeout = SL_MILLISECONDS(20), .move_on = true);
        code = sl_scope_close(&patience, slow_request());
    }
    printf("moved on: %s\n", sl_error_name(code));
    return 0;
}

int main(void)
{
    return sl_main(program, NULL);
}

/* Output:
alone: SL_ETIMEDOUT: the deadline of scope 'fetch' passed
inner: SL_ECANCELED
outer: SL_ETIMEDOUT
moved on: SL_OK
*/
