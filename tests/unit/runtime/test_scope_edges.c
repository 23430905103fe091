/* SPDX-License-Identifier: MIT */
/* Corners of scopes, cancellation, cleanups and starts that faults planted in the runtime showed to be unwatched. */
#include "../../conformance/runtime/scoped.h"

C_TEST_SIMULATED(a_deadline_that_only_a_child_saw_is_reported, "", "")
{
    struct probe child = {0};
    sl_scope scope = SL_SCOPE_INIT;
    OPEN(scope, .timeout = SL_SECONDS(1));
    CHECK_EQ(sl_spawn(&scope, probe, &child), 0);
    {
        SL_SCOPE(shield, .shield = true, .timeout = SL_SECONDS(100));
        CHECK_EQ(sl_sleep(SL_SECONDS(5)), 0);
        CHECK_EQ(sl_scope_close(&shield, 0), 0);
    }
    CHECK_EQ(child.result, SL_ECANCELED);
    CHECK_EQ(sl_scope_close(&scope, 0), SL_ETIMEDOUT);
    CHECK(sl_scope_cancel_caught(&scope));
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(a_deadline_that_only_a_child_saw_is_reported))
