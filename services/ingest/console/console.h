/* SPDX-License-Identifier: MIT */
/*
 * What `sluice run` shows of itself: metrics and the admin endpoint with its dashboard, filled from the parts of the
 * program. The shapes of the views are docs/reference/admin-api.md's.
 */
#ifndef SL_INGEST_CONSOLE_H
#define SL_INGEST_CONSOLE_H

#include "ingest/console/board.h"
#include "ingest/program/program.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_console sl_console;

/* All is borrowed and must outlive the console. */
struct sl_console_options {
    sl_program_parts *parts;
    sl_reload *reload;
    sl_board *board;
};

/*
 * How the program's configuration wants it to be watched; `ret_tls` (NULL: in the clear) must outlive the board. SL_EINVAL
 * for an address that is none, codes of reading certificates.
 */
SL_MUST_CHECK int sl_console_board_options(const struct sl_conf *conf, char host[SL_CONF_HOST_MAX],
                                           sl_tls_config **ret_tls, struct sl_board_options *ret_options);

/* Fills the board with what the parts do, until it is closed. 0, SL_ENOMEM. */
SL_MUST_CHECK int sl_console_open(const struct sl_console_options *options, sl_console **ret_console);
void sl_console_close(sl_console *console); /* before the board; NULL is fine */
SL_AUTO_DECLARE(sl_console, sl_console_close)

#ifdef __cplusplus
}
#endif

#endif
