/* SPDX-License-Identifier: MIT */
/* What the dashboard shows of the demo's worker. The shapes of the views are docs/reference/admin-api.md's. */
#ifndef SL_INGEST_DEMO_VIEWS_H
#define SL_INGEST_DEMO_VIEWS_H

#include "ingest/board.h"
#include "ingest/worker.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_demo_views sl_demo_views;

/* Registers them; SL_ENOMEM. They must be freed after the board was closed, also when this failed half way. */
SL_MUST_CHECK int sl_demo_views_open(sl_board *board, sl_demo_views **ret_views);
void sl_demo_views_free(sl_demo_views *views); /* NULL is fine */
SL_AUTO_DECLARE(sl_demo_views, sl_demo_views_free)

/* What the worker is to be given, so that its rows can be watched; the views own it. */
struct sl_tap *sl_demo_views_tap(sl_demo_views *views);

/* Shows this worker from now on, and takes commands for it; NULL: none any more. */
void sl_demo_views_show(sl_demo_views *views, sl_worker *worker);

#ifdef __cplusplus
}
#endif

#endif
