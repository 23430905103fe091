/* SPDX-License-Identifier: MIT */
/* sluice simulate, as a user runs it. That its verdicts are right is tests/simulation/test_market's. */
#include <stdlib.h>
#include <string.h>

#include "shell_run.h"
#include "sl_test.h"

static void seeds_without_a_scenario(void **state)
{
    (void)state;
    shell_expect("$SLUICE simulate --seeds 5", 0, "5 seeds, 0 bad: ");
    shell_expect("$SLUICE simulate --seeds 2 --seed 7 --venue okx --venue kraken --json | grep -c "
                 "'\"good\":true,\"problem\":null,'",
                 0, "2\n");
}

static void the_same_seed_is_the_same_again(void **state)
{
    (void)state;
    shell_expect(
        "a=$($SLUICE simulate --seeds 1 --seed 4 --json); b=$($SLUICE simulate --seeds 1 --seed 4 --json); "
        "c=$($SLUICE simulate --seeds 1 --seed 14 --json); test \"$a\" = \"$b\" -a \"$a\" != \"$c\" && echo same",
        0, "same");
}

/* Bitstamp's changes have no numbers: one that is lost is not seen. */
static void what_is_lost_in_silence_is_told(void **state)
{
    (void)state;
    const char *output;
    int status = shell_run("printf 'venues: { bitstamp: {} }\\nfaults: [{ what: [drop], every: 2s }]\\n' | "
                           "$SLUICE simulate --seeds 2 -",
                           &output);
    assert_int_equal(status, 1);
    assert_non_null(strstr(output, "seed 1, bitstamp, "));
    assert_non_null(strstr(output, "the book is not the true one"));
    assert_non_null(strstr(output, "2 seeds, 2 bad: "));
    shell_expect("printf 'venues: { kraken: {} }\\nfaults: [{ what: [drop], every: 2s }]\\n' | "
                 "$SLUICE simulate --seeds 2 - --connections 1",
                 0, "2 seeds, 0 bad: ");
}

static void ready_scenarios(void **state)
{
    (void)state;
    shell_expect("$SLUICE simulate --seeds 1 $SOURCE/examples/scenarios/calm.yaml", 0,
                 "1 seed, 0 bad: 0 faults, 0 reconnects; ");
    shell_expect("$SLUICE simulate --seeds 1 $SOURCE/examples/scenarios/listings.yaml", 0, "1 seed, 0 bad: ");
}

static void what_cannot_be_simulated_is_refused(void **state)
{
    (void)state;
    shell_expect("$SLUICE simulate --venue okxx 2>&1", 64, "no venue 'okxx'");
    shell_expect("$SLUICE simulate --connections 3 2>&1", 64, "--connections: '3' where 1 or 2 was expected");
    shell_expect("$SLUICE simulate --seeds 0 2>&1", 64, "1 to 1000000");
    shell_expect("$SLUICE simulate --set venues.okx.instruments=2 --set 'faults=[{what: [dorp], at: 1s}]' 2>&1", 78,
                 "did you mean \"drop\"?");
    shell_expect("$SLUICE simulate no-such-file.yaml 2>&1", 78, "no-such-file.yaml");
}

SL_TEST_MAIN(cmocka_unit_test(seeds_without_a_scenario), cmocka_unit_test(the_same_seed_is_the_same_again),
             cmocka_unit_test(what_is_lost_in_silence_is_told), cmocka_unit_test(ready_scenarios),
             cmocka_unit_test(what_cannot_be_simulated_is_refused))
