/* SPDX-License-Identifier: MIT */
/*
 * What every process of the program has to be watched by: its log, its metrics, the admin endpoint with the dashboard.
 * Services register their views, actions, checks and collectors with the parts. The shapes of the views are
 * docs/reference/admin-api.md's.
 */
#ifndef SL_INGEST_BOARD_H
#define SL_INGEST_BOARD_H

#include "sluice/admin.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_board sl_board;

struct sl_board_options {
    struct sl_logger_options log;  /* recent_level: INFO if it is less than that */
    struct sl_admin_options admin; /* name, version, metrics, logger and assets are the board's */
    bool make_token; /* without a token one is made up, which sl_board_url() shows: for loopback addresses */
    bool no_page;
    bool no_admin; /* nothing listens: log and metrics alone; sl_board_admin() is NULL */
};

/* Starts the log, takes this thread's runtime's, and listens. SL_ENOMEM, codes of sl_admin_open() and sl_logger_open(). */
SL_MUST_CHECK int sl_board_open(const struct sl_board_options *options, sl_board **ret_board);
void sl_board_close(sl_board *board); /* not while it runs; NULL is fine */
SL_AUTO_DECLARE(sl_board, sl_board_close)

/* A task's body: serves until it is cancelled. Spawn it as a daemon. */
SL_MUST_CHECK int sl_board_run(void *board);

/* Valid until it closes. */
sl_admin *sl_board_admin(const sl_board *board);
sl_metrics *sl_board_metrics(const sl_board *board);
sl_logger *sl_board_logger(const sl_board *board);

/* "http://127.0.0.1:8080/", with a token that was made up behind it: "#token=..."; borrowed. */
const char *sl_board_url(const sl_board *board);

#ifdef __cplusplus
}
#endif

#endif
