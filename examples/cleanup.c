/* SPDX-License-Identifier: MIT */
/* A cleanup may wait although its task is cancelled: it runs shielded, within a budget of its own. */
#include <stdio.h>

#include "sluice/runtime.h"
#include "sluice/scope.h"

static int give_lock_back(void *arg)
{
    (void)arg;
    printf("releasing the lock\n");
    SL_TRY(sl_sleep(SL_MILLISECONDS(20))); /* think of a round trip to Redis */
    printf("released\n");
    return 0;
}

static int hang(void *arg)
{
    (void)arg;
    SL_TRY(sl_sleep(SL_SECONDS(60)));
    return 0;
}

static int holder(void *arg)
{
    (void)arg;
    SL_SCOPE(scope);
    /* Reserved first, so that nothing can fail between taking the lock and registering its release. */
    sl_cleanup *release;
    SL_TRY(sl_cleanup_reserve(&scope, &release));
    printf("lock taken\n");
    SL_TRY(sl_cleanup_arm(release, give_lock_back, NULL, SL_SECONDS(1)));
    SL_TRY(sl_defer(&scope, hang, NULL, SL_MILLISECONDS(10)));
    SL_TRY(sl_sleep(SL_SECONDS(60)));
    return sl_scope_wait(&scope);
}

static int program(void *arg)
{
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, holder, arg));
    SL_TRY(sl_sleep(SL_MILLISECONDS(20)));
    sl_scope_cancel(&scope, "enough");
    printf("cancelled\n");
    printf("%s\n", sl_error_name(sl_scope_wait(&scope))); /* the hanging cleanup is reported, and stopped nothing */
    return 0;
}

int main(void)
{
    return sl_main(program, NULL);
}

/* Output:
lock taken
cancelled
releasing the lock
released
SL_ESTUCK
*/
