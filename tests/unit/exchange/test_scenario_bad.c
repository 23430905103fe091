/* SPDX-License-Identifier: MIT */
/* Bad scenarios and the exact report of each, in bad/scenario.txt; see tests/support/bad_config.h. */
#include "bad_config.h"

#include "exchange/scenario.h"

static void reports_of_scenarios(void **state)
{
    (void)state;
    bad_config_run(&sl_scenario_root, "exchange/bad/scenario");
}

SL_TEST_MAIN(cmocka_unit_test(reports_of_scenarios))
