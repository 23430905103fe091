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

/* What the main task is handed. */
struct running {
    const struct sl_config_options *load;
    sl_config *config;
    bool quiet;
};

static int run_parts(const struct running *running, sl_board *board)
{
    sl_auto(sl_reload) *reload = NULL;
    sl_auto(sl_program_parts) *parts = NULL;
    sl_auto(sl_notify) *notify = NULL;
    SL_TRY(sl_notify_open(&notify));
    SL_TRY(sl_reload_open(running->load, running->config, &reload));
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
    if (!running->quiet) {
        sl_program_report(parts, stdout);
    }
    return code;
}

static int run_all(void *arg)
{
    const struct running *running = arg;
    const struct sl_conf *conf = sl_config_root(running->config);
    char host[SL_CONF_HOST_MAX];
    struct sl_board_options options;
    sl_auto(sl_tls_config) *tls = NULL;
    sl_auto(sl_board) *board = NULL;
    SL_TRY(sl_console_board_options(conf, host, &tls, &options));
    SL_TRY(sl_board_open(&options, &board));
    return run_parts(running, board);
}

/* As sl_main(), with what the configuration says of the runtime. */
static int run_configured(struct running *running)
{
    struct sl_run_options options;
    sl_conf_run_options(sl_config_root(running->config), &options);
    return sl_main_with(&options, run_all, running);
}

static int run_command(const struct sl_cli_arguments *arguments)
{
    const struct run *run = arguments->options;
    sl_auto(sl_config) *config = NULL;
    int status = sl_command_load_or_tell(arguments, &config);
    if (status != SL_EXIT_DONE) {
        return status;
    }
    struct sl_config_source *sources = NULL;
    struct sl_config_options load;
    if (sl_command_sources(arguments, &sources, &load) < 0) {
        return SL_EXIT_FAILED;
    }
    struct running running = {.load = &load, .config = config, .quiet = run->quiet};
    status = run_configured(&running);
    sl_free(sources);
    return status;
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
