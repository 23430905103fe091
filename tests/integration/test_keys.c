/* SPDX-License-Identifier: MIT */
/* What keys of the configuration do that no other test sees; keys.sh runs the program with them. */
#include "shell_run.h"
#include "sl_test.h"

#define CASE(name)                                                                                                     \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        shell_expect("$SOURCE/tests/integration/keys.sh " #name " 2>&1", 0, "fine\n");                                 \
    }

CASE(connections_are_split)
CASE(a_message_that_is_too_large_ends_the_connection)
CASE(a_connection_has_its_time_and_its_offer)
CASE(requests_have_priority_and_headers)
CASE(books_are_asked_for_and_verified_by_so_many_levels)
CASE(the_endpoint_has_no_page_and_few_places)
CASE(the_endpoint_speaks_tls_and_takes_renewed_certificates)

SL_TEST_MAIN(cmocka_unit_test(connections_are_split), cmocka_unit_test(a_message_that_is_too_large_ends_the_connection),
             cmocka_unit_test(a_connection_has_its_time_and_its_offer),
             cmocka_unit_test(requests_have_priority_and_headers),
             cmocka_unit_test(books_are_asked_for_and_verified_by_so_many_levels),
             cmocka_unit_test(the_endpoint_has_no_page_and_few_places),
             cmocka_unit_test(the_endpoint_speaks_tls_and_takes_renewed_certificates))
