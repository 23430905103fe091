/* SPDX-License-Identifier: MIT */
/* The log, the metrics and the admin endpoint of a process, put together. */
#include "ingest/console/board.h"

#include <stdio.h>
#include <string.h>

#include "ingest/commands.h"
#include "ingest/console/dashboard.h"

#define URL_BYTES 128

struct sl_board {
    sl_metrics *metrics;
    sl_logger *logger;
    sl_admin *admin;
    struct sl_admin_asset assets[SL_DASHBOARD_FILES];
    char url[URL_BYTES];
};

static int open_admin(sl_board *board, const struct sl_board_options *options)
{
    char made[SL_ADMIN_TOKEN_BYTES] = "";
    struct sl_admin_options admin = options->admin;
    admin.address = admin.address == NULL ? "127.0.0.1" : admin.address;
    if (admin.token == NULL && options->make_token) {
        SL_TRY(sl_admin_make_token(made));
        admin.token = made;
    }
    admin.name = sl_program.name;
    admin.version = sl_program.version;
    admin.metrics = board->metrics;
    admin.logger = board->logger;
    if (!options->no_page) {
        sl_dashboard_assets(board->assets);
        admin.assets = board->assets;
        admin.asset_count = SL_DASHBOARD_FILES;
    }
    SL_TRY(sl_admin_open(&admin, &board->admin));
    (void)snprintf(board->url, sizeof board->url,
                   strchr(admin.address, ':') == NULL ? "%s://%.48s:%d/%s%s" : "%s://[%.48s]:%d/%s%s",
                   admin.tls == NULL ? "http" : "https", admin.address, sl_admin_port(board->admin),
                   made[0] != '\0' ? "#token=" : "", made);
    return 0;
}

static int set_up(sl_board *board, const struct sl_board_options *options)
{
    struct sl_logger_options log = options->log;
    log.recent_level = log.recent_level < SL_LOG_INFO ? SL_LOG_INFO : log.recent_level;
    SL_TRY(sl_logger_open(&log, &board->logger));
    SL_TRY(sl_logger_attach(board->logger));
    SL_TRY(sl_metrics_open(NULL, &board->metrics));
    SL_TRY(sl_metrics_add_runtime(board->metrics));
    SL_TRY(sl_metrics_add(board->metrics, sl_logger_collect, board->logger));
    return options->no_admin ? 0 : open_admin(board, options);
}

int sl_board_open(const struct sl_board_options *options, sl_board **ret_board)
{
    sl_board *board = sl_calloc(1, sizeof *board);
    if (board == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for the admin endpoint");
    }
    int code = set_up(board, options);
    if (code < 0) {
        sl_board_close(board);
        return code;
    }
    *ret_board = board;
    return 0;
}

void sl_board_close(sl_board *board)
{
    if (board != NULL) {
        sl_admin_free(board->admin);
        sl_metrics_free(board->metrics);
        sl_logger_close(board->logger);
        sl_free(board);
    }
}

int sl_board_run(void *board)
{
    sl_admin *admin = ((sl_board *)board)->admin;
    return admin == NULL ? sl_sleep(SL_NEVER) : sl_admin_run(admin);
}

sl_admin *sl_board_admin(const sl_board *board)
{
    return board->admin;
}

sl_metrics *sl_board_metrics(const sl_board *board)
{
    return board->metrics;
}

sl_logger *sl_board_logger(const sl_board *board)
{
    return board->logger;
}

const char *sl_board_url(const sl_board *board)
{
    return board->url;
}
