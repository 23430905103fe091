/* SPDX-License-Identifier: MIT */
/* What is in deploy/, to the liking of the tools that it is for. */
#include <stdlib.h>
#include <unistd.h>

#include "scratch_folder.h"
#include "shell_run.h"
#include "sl_test.h"

static struct scratch_folder folder;

static int set_up(void **state)
{
    (void)state;
    folder = scratch_folder_make();
    return chdir(folder.path);
}

static int tear_down(void **state)
{
    (void)state;
    scratch_folder_remove(&folder);
    return chdir("/");
}

/* ---- systemd ---- */

static void systemd_knows_all_of_the_unit(void **state)
{
    (void)state;
    /* The program is looked for where the unit says. */
    const char *said;
    shell_expect("sed \"s,/usr/bin/sluice,$SLUICE,\" $SOURCE/deploy/systemd/sluice.service >sluice.service", 0, "");
    assert_int_equal(shell_run("systemd-analyze verify --man=no ./sluice.service 2>&1 | grep sluice.service", &said),
                     1);
    assert_string_equal(said, "");
    /* It does look. */
    shell_expect("sed -i 's/^WatchdogSec/WatchDogSec/' sluice.service; systemd-analyze verify --man=no "
                 "./sluice.service 2>&1",
                 0, "Unknown key 'WatchDogSec'");
}

static void the_unit_exposes_little(void **state)
{
    (void)state;
    shell_expect("systemd-analyze security --offline=true --threshold=20 --no-pager "
                 "$SOURCE/deploy/systemd/sluice.service 2>&1",
                 0, "Overall exposure level");
    shell_expect(
        "grep -v '^Protect\\|^Private\\|^Restrict\\|^Dynamic' $SOURCE/deploy/systemd/sluice.service >weak.service; "
        "systemd-analyze security --offline=true --threshold=20 --no-pager ./weak.service >said 2>&1; "
        "test $? -ne 0 && tail -n 1 said",
        0, "Overall exposure level");
}

SL_TEST_MAIN(cmocka_unit_test_setup_teardown(systemd_knows_all_of_the_unit, set_up, tear_down),
             cmocka_unit_test_setup_teardown(the_unit_exposes_little, set_up, tear_down))
