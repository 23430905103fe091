/* SPDX-License-Identifier: MIT */
/* sluice record: runs a configuration and keeps all that comes, for `sluice replay`. */
#include <inttypes.h>
#include <stdio.h>

#include "ingest/commands.h"
#include "ingest/program/program.h"
#include "sluice/runtime.h"

#define FLUSH_EVERY SL_SECONDS(1)
#define FLUSH_BUDGET SL_SECONDS(5)

struct options {
    struct sl_command_files files;
    const char *to;
};

static int keep_flushing(void *recording)
{
    for (;;) {
        SL_TRY(sl_sleep(FLUSH_EVERY));
        SL_TRY(sl_recording_flush(recording));
    }
}

static int flush_last(sl_recording *recording, int code)
{
    SL_SCOPE(shield, .name = "last block", .shield = true, .timeout = FLUSH_BUDGET);
    int last = sl_scope_close(&shield, sl_recording_flush(recording));
    return code < 0 ? code : last;
}

static int record_all(void *arg)
{
    const struct sl_command_running *running = arg;
    const struct options *options = running->options;
    sl_auto(sl_recording) *recording = NULL;
    sl_auto(sl_reload) *reload = NULL;
    sl_auto(sl_program_parts) *parts = NULL;
    SL_TRY(sl_recording_open(options->to, &recording));
    SL_TRY(sl_reload_open(&running->load, running->config, &reload));
    SL_TRY(sl_program_open(reload, &parts));
    sl_program_record(parts, recording);
    SL_SCOPE(scope, .name = "program");
    int code = sl_spawn(&scope, keep_flushing, recording, .name = "recording", .daemon = true);
    code = code == 0 ? sl_program_run(parts) : code;
    code = flush_last(recording, sl_scope_close(&scope, code));
    const sl_recorder_stats *stats = sl_recording_get_stats(recording);
    sl_program_report(parts, stdout);
    (void)printf("recorded   %" PRIu64 " frames and answers, %" PRIu64 " bytes in %s\n", stats->records,
                 stats->file_bytes, options->to);
    return code;
}

static int run_record(const struct sl_cli_arguments *arguments)
{
    const struct options *options = arguments->options;
    if (options->to == NULL) {
        (void)fprintf(stderr, "sluice: record needs --to FILE\n");
        return SL_EXIT_USAGE;
    }
    return sl_command_run(arguments, record_all);
}

static const struct sl_cli_option record_options[] = {
    SL_COMMAND_SET_OPTION,
    {SL_CLI_OPTION("to", struct options, to), .type = SL_CLI_FILE, .help = "the recording; one that is there grows"}};

const struct sl_cli_command sl__command_record = {
    .name = "record",
    .summary = "run a configuration and record all that the venues send",
    .description = "As `sluice run`, with each frame and each answer kept for `sluice replay`. Written each second.",
    .operands = "CONFIG...",
    .operand_min = 1,
    .operand_max = SL_CONFIG_SOURCES_MAX,
    SL_CLI_OPTIONS(record_options, struct options),
    .run = run_record};
