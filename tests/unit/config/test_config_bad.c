/* SPDX-License-Identifier: MIT */
/* Bad inputs and the exact report of each, in bad/NAME.txt; see tests/support/bad_config.h. */
#include "bad_config.h"

#include "tables.h"

#define BAD(name)                                                                                                      \
    static void reports_of_##name(void **state)                                                                        \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        bad_config_run(&program_section, "config/bad/" #name);                                                         \
    }

BAD(syntax)
BAD(structure)
BAD(keys)
BAD(values)
BAD(texts)
BAD(variables)
BAD(secrets)
BAD(layers)

SL_TEST_MAIN(cmocka_unit_test(reports_of_syntax), cmocka_unit_test(reports_of_structure),
             cmocka_unit_test(reports_of_keys), cmocka_unit_test(reports_of_values), cmocka_unit_test(reports_of_texts),
             cmocka_unit_test(reports_of_variables), cmocka_unit_test(reports_of_secrets),
             cmocka_unit_test(reports_of_layers))
