/* SPDX-License-Identifier: MIT */
/*
 * Bad configurations and the exact report of each, in a file of cases:
 *
 *     ### case          its name
 *     ### env NAME=V    a variable of the environment (any number)
 *     ### set TEXT      laid over the files (any number)
 *     ### file NAME     the lines of a file (any number, shown as NAME; \xHH is that byte, \c at the end of the last
 *                       line leaves its line break out)
 *     ### report        the lines of the report
 *
 * With SL_CONFIG_BAD_WRITE set the reports are written as they are now: read every line of the difference then.
 */
#ifndef BAD_CONFIG_H
#define BAD_CONFIG_H

#include "sl_test.h"
#include "sluice/config.h"

/* Runs all cases of tests/unit/NAME.txt against a table; fails when a report is another one, and shows both. */
void bad_config_run(const struct sl_config_section *root, const char *name);

#endif
