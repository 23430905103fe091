/* SPDX-License-Identifier: MIT */
/* The files of the dashboard; cmake/SluiceEmbed.cmake makes the arrays. */
#include "ingest/console/dashboard.h"

#define HTML "text/html; charset=utf-8"
#define CSS "text/css; charset=utf-8"
#define JS "text/javascript; charset=utf-8"

#define FILES(X)                                                                                                       \
    X("/", HTML, sl__page_html)                                                                                        \
    X("/style.css", CSS, sl__page_style)                                                                               \
    X("/app.js", JS, sl__page_app)                                                                                     \
    X("/views.js", JS, sl__page_views)                                                                                 \
    X("/instruments.js", JS, sl__page_instruments)                                                                     \
    X("/plots.js", JS, sl__page_plots)                                                                                 \
    X("/uplot.js", JS, sl__page_uplot)                                                                                 \
    X("/uplot.css", CSS, sl__page_uplot_style)

#define DECLARE(path, type, name)                                                                                      \
    extern const unsigned char name[];                                                                                 \
    extern const size_t name##_bytes;
FILES(DECLARE)

void sl_dashboard_assets(struct sl_admin_asset assets[SL_DASHBOARD_FILES])
{
    size_t count = 0;
#define ASSET(path, type, name) assets[count++] = (struct sl_admin_asset){path, type, name, name##_bytes};
    FILES(ASSET)
#undef ASSET
    (void)count;
}
