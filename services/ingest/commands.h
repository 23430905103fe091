/* SPDX-License-Identifier: MIT */
/* The commands of the program: each is defined in a file of services/ingest/commands/ and listed in commands.c. */
#ifndef SL_INGEST_COMMANDS_H
#define SL_INGEST_COMMANDS_H

#include "ingest/cli.h"
#include "sluice/config.h"
#include "sluice/json_write.h"
#include "sluice/task.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_PROGRAM_VERSION "0.1.0"

extern const struct sl_cli sl_program;

extern const struct sl_cli_command sl__command_run, sl__command_demo, sl__command_exchange, sl__command_simulate;
extern const struct sl_cli_command sl__command_check, sl__command_config_dump, sl__command_schema;
extern const struct sl_cli_command sl__command_top, sl__command_feeds, sl__command_tasks, sl__command_tap,
    sl__command_ctl, sl__command_health;
extern const struct sl_cli_command sl__command_replay, sl__command_record, sl__command_venues;
extern const struct sl_cli_command sl__command_new_worker;
extern const struct sl_cli_command sl__command_version, sl__command_completion, sl__command_man;

/* Prints what was written as a line on standard output, and frees the writer. What sl_json_writer_finish() gives. */
SL_MUST_CHECK int sl_command_print_json(sl_json_writer *writer);

/* ---- for commands that take configurations ---- */

/* Of commands whose operands are files: which, and what is laid over them. */
struct sl_command_files {
    struct sl_cli_texts sets;
};

/* An option of a struct that begins with a struct sl_command_files. */
#define SL_COMMAND_SET_OPTION                                                                                          \
    {                                                                                                                  \
        SL_CLI_OPTION("set", struct sl_command_files, sets),                                                           \
            .type = SL_CLI_TEXTS, .value = "PATH=VALUE",                                                               \
            .help = "lay this over the files, e.g. log.level=debug; may be repeated"                                   \
    }

/*
 * Loads the operands as the program's configuration, "-" being standard input. 0; SL_EINVAL when it is bad; SL_ENOMEM.
 * *ret_report is as sl_config_load()'s; free it.
 */
SL_MUST_CHECK int sl_command_load(const struct sl_cli_arguments *arguments, sl_config **ret_config,
                                  sl_config_report **ret_report);

/*
 * How the operands are loaded, to load them again; free *ret_sources when the options are not used any more. 0, SL_ENOMEM.
 */
SL_MUST_CHECK int sl_command_sources(const struct sl_cli_arguments *arguments, struct sl_config_source **ret_sources,
                                     struct sl_config_options *ret_options);

/* Tells on standard error what is wrong with what was loaded. The exit status. */
int sl_command_status(int code, const sl_config_report *report);

/* The same for commands that only go on with a good one: what is wrong is told on standard error. The exit status. */
SL_MUST_CHECK int sl_command_load_or_tell(const struct sl_cli_arguments *arguments, sl_config **ret_config);

/* What the main task of a command that runs a configuration is handed. */
struct sl_command_running {
    const void *options; /* the command's own */
    struct sl_config_options load;
    sl_config *config;
};

/* Loads the operands and runs fn(struct sl_command_running *) as they say of the runtime. The exit status. */
SL_MUST_CHECK int sl_command_run(const struct sl_cli_arguments *arguments, sl_task_fn fn);

#ifdef __cplusplus
}
#endif

#endif
