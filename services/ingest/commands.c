/* SPDX-License-Identifier: MIT */
/* The list of the program's commands, and how they load configurations. */
#include "ingest/commands.h"

#include <string.h>

#include "ingest/config.h"

static const struct sl_cli_command *const commands[] = {
    &sl__command_run,      &sl__command_demo,       &sl__command_check,   &sl__command_config_dump, &sl__command_schema,
    &sl__command_exchange, &sl__command_simulate,   &sl__command_top,     &sl__command_feeds,       &sl__command_tasks,
    &sl__command_replay,   &sl__command_record,     &sl__command_venues,  &sl__command_tap,         &sl__command_ctl,
    &sl__command_health,   &sl__command_new_worker, &sl__command_version, &sl__command_completion,  &sl__command_man};

const struct sl_cli sl_program = {.name = "sluice",
                                  .version = SL_PROGRAM_VERSION,
                                  .summary = "Live market data, from venues' sockets to your sinks.",
                                  .commands = commands,
                                  .command_count = sizeof commands / sizeof commands[0]};

int sl_command_print_json(sl_json_writer *writer)
{
    sl_json_text text;
    int code = sl_json_writer_finish(writer, &text);
    if (code == 0) {
        (void)printf("%.*s\n", (int)text.size_bytes, text.data);
    }
    sl_json_writer_free(writer);
    return code;
}

int sl_command_sources(const struct sl_cli_arguments *arguments, struct sl_config_source **ret_sources,
                       struct sl_config_options *ret_options)
{
    const struct sl_command_files *files = arguments->options;
    struct sl_config_source *sources = sl_calloc(arguments->operand_count + 1, sizeof *sources);
    if (sources == NULL) {
        return sl_fail(SL_ENOMEM, "no memory to load a configuration");
    }
    for (size_t i = 0; i < arguments->operand_count; i++) {
        const char *path = arguments->operands[i];
        sources[i].path = strcmp(path, "-") == 0 ? "/dev/stdin" : path;
    }
    *ret_sources = sources;
    *ret_options = (struct sl_config_options){.root = &sl_conf_root,
                                              .sources = sources,
                                              .source_count = arguments->operand_count,
                                              .sets = files->sets.items,
                                              .set_count = files->sets.count};
    return 0;
}

int sl_command_load(const struct sl_cli_arguments *arguments, sl_config **ret_config, sl_config_report **ret_report)
{
    struct sl_config_source *sources = NULL;
    struct sl_config_options options;
    *ret_config = NULL;
    *ret_report = NULL;
    SL_TRY(sl_command_sources(arguments, &sources, &options));
    int code = sl_config_load(&options, ret_config, ret_report);
    sl_free(sources);
    return code;
}

int sl_command_status(int code, const sl_config_report *report)
{
    (void)fputs(sl_config_report_text(report), stderr);
    if (code < 0 && code != SL_EINVAL) {
        (void)fprintf(stderr, "sluice: %s\n", sl_strerror(code));
    }
    return code == 0 ? SL_EXIT_DONE : code == SL_EINVAL ? SL_EXIT_CONFIG : SL_EXIT_FAILED;
}

int sl_command_load_or_tell(const struct sl_cli_arguments *arguments, sl_config **ret_config)
{
    sl_auto(sl_config_report) *report = NULL;
    int code = sl_command_load(arguments, ret_config, &report); /* before its report is looked at */
    return sl_command_status(code, report);
}

int sl_command_run(const struct sl_cli_arguments *arguments, sl_task_fn fn)
{
    sl_auto(sl_config) *config = NULL;
    int status = sl_command_load_or_tell(arguments, &config);
    if (status != SL_EXIT_DONE) {
        return status;
    }
    struct sl_config_source *sources = NULL;
    struct sl_command_running running = {.options = arguments->options, .config = config};
    if (sl_command_sources(arguments, &sources, &running.load) < 0) {
        return SL_EXIT_FAILED;
    }
    struct sl_run_options run;
    sl_conf_run_options(sl_config_root(config), &run);
    status = sl_main_with(&run, fn, &running);
    sl_free(sources);
    return status;
}
