/* SPDX-License-Identifier: MIT */
/* sluice run: the services of a configuration, until they are asked to stop. */
#include <stdio.h>

#include "ingest/commands.h"
#include "ingest/console/console.h"
#include "ingest/notify.h"
#include "ingest/program/program.h"
#include "ingest/progress.h"
#include "sluice/runtime.h"

struct run {
    struct sl_command_files files;
    bool quiet;
};

static int run_parts(const struct sl_command_running *running, sl_board *board)
{
    sl_auto(sl_reload) *reload = NULL;
    sl_auto(sl_program_parts) *parts = NULL;
    sl_auto(sl_notify) *notify = NULL;
    SL_TRY(sl_notify_open(&notify));
    SL_TRY(sl_reload_open(&running->load, running->config, &reload));
    sl_reload_watch(reload, sl_notify_phase, notify);
    SL_TRY(sl_program_open(reload, &parts));
    sl_auto(sl_console) *console = NULL;
    if (sl_board_admin(board) != NULL) {
        SL_TRY(sl_console_open(&(struct sl_console_options){parts, reload, board}, &console));
    }
    struct sl_progress progress = {.parts = parts, .logger = sl_board_logger(board)};
    SL_SCOPE(scope, .name = "program");
    int code = sl_spawn(&scope, sl_board_run, board, .name = "admin", .daemon = true);
    code = code == 0 ? sl_spawn(&scope, sl_notify_run, notify, .name = "notify", .daemon = true) : code;
    code = code == 0 ? sl_spawn(&scope, sl_progress_run, &progress, .name = "progress", .daemon = true) : code;
    code = code == 0 ? sl_program_run(parts) : code;
    code = sl_scope_close(&scope, code);
    if (!((const struct run *)running->options)->quiet) {
        sl_program_report(parts, stdout);
    }
    return code;
}

static int run_all(void *arg)
{
    const struct sl_command_running *running = arg;
    const struct sl_conf *conf = sl_config_root(running->config);
    char host[SL_CONF_HOST_MAX];
    struct sl_board_options options;
    sl_auto(sl_tls_config) *tls = NULL;
    sl_auto(sl_board) *board = NULL;
    SL_TRY(sl_console_board_options(conf, host, &tls, &options));
    SL_TRY(sl_board_open(&options, &board));
    return run_parts(running, board);
}

static int run_command(const struct sl_cli_arguments *arguments)
{
    return sl_command_run(arguments, run_all);
}

static const struct sl_cli_option run_options[] = {
    SL_COMMAND_SET_OPTION,
    {SL_CLI_OPTION("quiet", struct run, quiet), .type = SL_CLI_FLAG, .help = "no report at the end"}};

const struct sl_cli_command sl__command_run = {
    .name = "run",
    .summary = "run the services of a configuration",
    .description =
        "Follows the venues that the files name and brings what they send to the sinks, until it is asked to\n"
        "stop. SIGHUP reads the files again: only what changed begins anew. SIGINT and SIGTERM stop it in\n"
        "order: services first, then each sink delivers what it has.",
    .operands = "CONFIG...",
    .operand_min = 1,
    .operand_max = SL_CONFIG_SOURCES_MAX,
    SL_CLI_OPTIONS(run_options, struct run),
    .run = run_command};
