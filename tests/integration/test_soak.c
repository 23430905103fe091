/* SPDX-License-Identifier: MIT */
/* The soak programs in a short version: see tests/soak and ./dev soak. */
#include <stdlib.h>

#include "sl_test.h"

/* A sanitized server on a machine that others use is slow; ./dev soak asks for the real 50 ms. */
static void slow_clients(void **state)
{
    (void)state;
    assert_int_equal(system(SL_TEST_BUILD_DIR "/tests/soak/slow_clients 1000 6 400"), 0);
}

SL_TEST_MAIN(cmocka_unit_test(slow_clients))
