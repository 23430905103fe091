/* SPDX-License-Identifier: MIT */
/* The page at / of the admin endpoint, compiled into the program: files of services/ingest/dashboard/, and uPlot. */
#ifndef SL_INGEST_DASHBOARD_H
#define SL_INGEST_DASHBOARD_H

#include "sluice/admin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_DASHBOARD_FILES 8

/* Fills in the files of the page; what they point to is there for ever. */
void sl_dashboard_assets(struct sl_admin_asset assets[SL_DASHBOARD_FILES]);

#ifdef __cplusplus
}
#endif

#endif
