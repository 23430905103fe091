/* SPDX-License-Identifier: MIT */
/* Bad configurations of the program and the exact report of each, in bad/NAME.txt; see tests/support/bad_config.h. */
#include "bad_config.h"

#include "ingest/config.h"

#define BAD(name)                                                                                                      \
    static void reports_of_##name(void **state)                                                                        \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        bad_config_run(&sl_conf_root, "ingest/bad/" #name);                                                            \
    }

BAD(services)
BAD(sinks)
BAD(policies)
BAD(process)
BAD(together)

SL_TEST_MAIN(cmocka_unit_test(reports_of_services), cmocka_unit_test(reports_of_sinks),
             cmocka_unit_test(reports_of_policies), cmocka_unit_test(reports_of_process),
             cmocka_unit_test(reports_of_together))
