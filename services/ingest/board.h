/* SPDX-License-Identifier: MIT */
/*
 * What the program shows of itself while it runs: log, metrics, the admin endpoint with its dashboard, and on it the
 * views of a worker. The shapes of the views are docs/reference/admin-api.md's.
 */
#ifndef SL_INGEST_BOARD_H
#define SL_INGEST_BOARD_H

#include "ingest/worker.h"
#include "sluice/admin.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_board sl_board;

struct sl_board_options {
    const char *address; /* NULL: "127.0.0.1" */
    int port;
    const char *token;       /* NULL: one is made up for this run (on a loopback address) */
    enum sl_log_level level; /* of what is written to standard error; what is kept for the dashboard is INFO */
};

/*
 * Starts the log and listens, on another port where that one is taken. Call it in a task; SL_ENOMEM and what
 * sl_admin_open() and sl_logger_open() give.
 */
SL_MUST_CHECK int sl_board_open(const struct sl_board_options *options, sl_board **ret_board);
void sl_board_close(sl_board *board); /* not while it runs; NULL is fine */
SL_AUTO_DECLARE(sl_board, sl_board_close)

/* A task's body: serves until it is cancelled. Spawn it as a daemon. */
SL_MUST_CHECK int sl_board_run(void *board);

/* "http://127.0.0.1:8080/#token=..."; borrowed. */
const char *sl_board_url(const sl_board *board);
int sl_board_port(const sl_board *board);

/* Shows this worker from now on, and takes commands for it; NULL: none any more. */
void sl_board_show(sl_board *board, sl_worker *worker);

#ifdef __cplusplus
}
#endif

#endif
