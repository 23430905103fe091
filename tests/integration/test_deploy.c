/* SPDX-License-Identifier: MIT */
/* What is in deploy/, to the liking of the tools that it is for. */
#include "scratch_folder.h"
#include "shell_run.h"
#include "sl_test.h"
#include <stdlib.h>

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

/* ---- Prometheus, Grafana, compose ---- */

static void yaml_is_tidy(void **state)
{
    (void)state;
    shell_expect("cd $SOURCE && yamllint --strict deploy .yamllint 2>&1 && echo tidy", 0, "tidy\n");
}

static void alerts_fire_when_they_should(void **state)
{
    (void)state;
    shell_expect("cp $SOURCE/deploy/prometheus/*.yml . && promtool check rules alerts.yml 2>&1", 0, "SUCCESS");
    shell_expect("promtool test rules alerts_test.yml 2>&1", 0, "SUCCESS");
    shell_expect(
        "echo token-of-this-test >token; sed -i s,/run/secrets/admin_token,token, prometheus.yml && promtool check "
        "config prometheus.yml 2>&1",
        0, "SUCCESS: prometheus.yml is valid");
    shell_expect("sed -i 's/for: 1m/for: 9m/' alerts.yml; promtool test rules alerts_test.yml 2>&1", 1, "FAILED");
}

static void metrics_that_are_looked_at_are_there(void **state)
{
    (void)state;
    shell_expect("$SOURCE/tests/deploy/metric_names.py $SLUICE $SOURCE/deploy/prometheus/alerts.yml "
                 "$SOURCE/deploy/grafana/sluice.json 2>&1",
                 0, "metrics in use");
    shell_expect("echo sluice_feed_joy_total >wrong.yml; $SOURCE/tests/deploy/metric_names.py $SLUICE wrong.yml 2>&1",
                 1, "there is no metric sluice_feed_joy_total");
}

static void compose_points_at_what_is_there(void **state)
{
    (void)state;
    shell_expect("/usr/bin/python3 $SOURCE/tests/deploy/compose.py $SOURCE/deploy/compose.yaml 2>&1", 0, " 0 problems");
    shell_expect("export POSTGRES_PASSWORD=0123456789abcdef RABBITMQ_PASSWORD=0123456789abcdef "
                 "ADMIN_TOKEN=0123456789abcdef; $SLUICE check $SOURCE/deploy/compose/sluice.yaml 2>&1",
                 0, "good: 2 services");
}

/* ---- images ---- */

static void images_have_what_the_build_knows(void **state)
{
    (void)state;
    /* Each library package that the image installs belongs to a -dev package of scripts/setup, by its first letters. */
    shell_expect("for p in $(sed -n '/AS shell/,/rm -rf/p' $SOURCE/Dockerfile | grep -o ' lib[a-z]*' | sort -u); do "
                 "case $p in lib|libstdc) ;; *) grep -q \" $p\" $SOURCE/scripts/setup || echo $p ;; esac; done | "
                 "grep -c lib",
                 1, "0\n");
    shell_expect("$SOURCE/scripts/image-files $SLUICE bare 2>&1 && ls bare/lib64", 0, "ld-linux");
    shell_expect("$SLUICE health --admin http://127.0.0.1:1 2>&1", 1, "127.0.0.1");
}

SL_TEST_MAIN(SCRATCH_CASE(images_have_what_the_build_knows), SCRATCH_CASE(systemd_knows_all_of_the_unit),
             SCRATCH_CASE(the_unit_exposes_little), cmocka_unit_test(yaml_is_tidy),
             SCRATCH_CASE(alerts_fire_when_they_should), SCRATCH_CASE(metrics_that_are_looked_at_are_there),
             cmocka_unit_test(compose_points_at_what_is_there))
