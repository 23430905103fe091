/* SPDX-License-Identifier: MIT */
/*
 * Names made of an event: "market:<kind>:<venue>". <kind>, <feed>, <venue>, <instrument> and <symbol> stand for the
 * event's; everything else stands for itself.
 */
#ifndef SLUICE_SINKS_TEMPLATE_H
#define SLUICE_SINKS_TEMPLATE_H

#include "market/event.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_TEMPLATE_MAX 128
#define SL_TEMPLATE_NAME_MAX 256 /* names are cut there; with their NUL */

/* 0; SL_EINVAL with a message: empty, too long, a '<' that begins none of these. */
SL_MUST_CHECK int sl_template_check(const char *text);

/* The name, with its NUL; its length. `text` was checked. */
size_t sl_template_expand(const char *text, const sl_market_event *event, char buffer[SL_TEMPLATE_NAME_MAX]);

#ifdef __cplusplus
}
#endif

#endif
