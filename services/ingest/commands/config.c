/* SPDX-License-Identifier: MIT */
/* sluice check | config dump | schema: what a configuration is, without running it. */
#include <stdio.h>

#include "exchange/scenario.h"
#include "ingest/commands.h"
#include "ingest/config.h"
#include "sluice/json_write.h"

#define FILES_OPERANDS .operands = "CONFIG...", .operand_min = 1, .operand_max = SL_CONFIG_SOURCES_MAX

/* ---- check ---- */

struct check {
    struct sl_command_files files;
    bool json, quiet;
};

static void put_problem(sl_json_writer *out, const struct sl_config_problem *problem)
{
    sl_json_begin_object(out);
    sl_json_put_key_text(out, "severity", problem->warning ? "warning" : "error");
    sl_json_put_key_text(out, "file", problem->file);
    sl_json_put_key_uint64(out, "line", problem->line);
    sl_json_put_key_uint64(out, "column", problem->column);
    sl_json_put_key_text(out, "path", problem->path);
    sl_json_put_key_text(out, "message", problem->message);
    sl_json_end_object(out);
}

/* {"good": false, "problems": [...], "more": 0} */
static int print_json(const sl_config_report *report, bool good)
{
    sl_json_writer out;
    sl_json_writer_init(&out, 0);
    sl_json_begin_object(&out);
    sl_json_put_key_bool(&out, "good", good);
    sl_json_put_key(&out, "problems");
    sl_json_begin_array(&out);
    const struct sl_config_problem *problem;
    for (size_t i = 0; (problem = sl_config_report_at(report, i)) != NULL; i++) {
        put_problem(&out, problem);
    }
    sl_json_end_array(&out);
    sl_json_put_key_uint64(&out, "more", sl_config_report_more(report));
    sl_json_end_object(&out);
    return sl_command_print_json(&out);
}

static const struct sl_config_section *kind_at(const struct sl_config_map *map, size_t index)
{
    return ((const struct sl_config_variant *)sl_config_map_at(map, index))->kind;
}

/* "3 services (2 stream, 1 book)" */
static void print_kinds(const struct sl_config_map *map, const char *what)
{
    printf("%zu %s%s", map->count, what, map->count == 1 ? "" : "s");
    const char *separator = " (";
    for (size_t i = 0; i < map->count; i++) {
        size_t before = 0;
        size_t count = 1;
        for (size_t j = 0; j < map->count; j++) {
            before += j < i && kind_at(map, j) == kind_at(map, i);
            count += j > i && kind_at(map, j) == kind_at(map, i);
        }
        if (before == 0) {
            printf("%s%zu %s", separator, count, kind_at(map, i)->name);
            separator = ", ";
        }
    }
    printf(")");
}

static void print_summary(const struct sl_conf *conf)
{
    printf("good: ");
    print_kinds(&conf->services, "service");
    printf(", ");
    print_kinds(&conf->sinks, "sink");
    printf(", %zu limit%s; %s\n", conf->limits.count, conf->limits.count == 1 ? "" : "s",
           conf->coordination.backend == SL_CONF_BACKEND_REDIS ? "replicas share the work by Redis"
                                                               : "one process, no replicas");
}

static int run_check(const struct sl_cli_arguments *arguments)
{
    const struct check *check = arguments->options;
    sl_auto(sl_config) *config = NULL;
    sl_auto(sl_config_report) *report = NULL;
    int code = sl_command_load(arguments, &config, &report);
    if (code < 0 && code != SL_EINVAL) {
        (void)fprintf(stderr, "sluice: the configuration could not be loaded: %s\n%s", sl_strerror(code),
                      sl_config_report_text(report));
        return SL_EXIT_FAILED;
    }
    if (check->json) {
        code = print_json(report, code == 0) < 0 ? SL_ENOMEM : code;
    } else {
        (void)fputs(sl_config_report_text(report), stderr);
        if (code == 0 && !check->quiet) {
            print_summary(sl_config_root(config));
        }
    }
    return code == 0 ? SL_EXIT_DONE : code == SL_EINVAL ? SL_EXIT_CONFIG : SL_EXIT_FAILED;
}

static const struct sl_cli_option check_options[] = {
    SL_COMMAND_SET_OPTION,
    {SL_CLI_OPTION("json", struct check, json), .type = SL_CLI_FLAG,
     .help = "what is wrong as JSON, on standard output"},
    {SL_CLI_OPTION("quiet", struct check, quiet), .type = SL_CLI_FLAG, .help = "say nothing when all is good"}};

const struct sl_cli_command sl__command_check = {
    .name = "check",
    .summary = "say all that is wrong with a configuration",
    .description =
        "Reads the files as `sluice run` would, without running or connecting to anything, and says all that\n"
        "is wrong with its place and what was expected. Several files are laid over each other; - is standard\n"
        "input. The exit status is 78 when anything is wrong.",
    FILES_OPERANDS,
    SL_CLI_OPTIONS(check_options, struct check),
    .run = run_check};

/* ---- config dump ---- */

struct dump {
    struct sl_command_files files;
    bool json;
};

static int run_dump(const struct sl_cli_arguments *arguments)
{
    const struct dump *dump = arguments->options;
    sl_auto(sl_config) *config = NULL;
    char *text = NULL;
    int status = sl_command_load_or_tell(arguments, &config);
    if (status != SL_EXIT_DONE) {
        return status;
    }
    int code = dump->json ? sl_config_dump_json(config, &text) : sl_config_dump(config, &text);
    if (code < 0) {
        (void)fprintf(stderr, "sluice: the configuration could not be written: %s\n", sl_strerror(code));
        return SL_EXIT_FAILED;
    }
    (void)fputs(text, stdout);
    sl_free(text);
    return SL_EXIT_DONE;
}

static const struct sl_cli_option dump_options[] = {SL_COMMAND_SET_OPTION,
                                                    {SL_CLI_OPTION("json", struct dump, json), .type = SL_CLI_FLAG,
                                                     .help = "as JSON, with the origins beside the values"}};

const struct sl_cli_command sl__command_config_dump = {
    .name = "config dump",
    .summary = "show the effective configuration and where each value comes from",
    .description =
        "Shows what the files, the variables and --set make together, defaults filled in. Behind each value\n"
        "stands its file, line and column, or \"default\". Secrets are shown as ***.",
    FILES_OPERANDS,
    SL_CLI_OPTIONS(dump_options, struct dump),
    .run = run_dump};

/* ---- schema ---- */

#define SCHEMA_ID "https://sluice.example/schema/configuration.json"

#define SCENARIO_ID "https://sluice.example/schema/scenario.json"

struct schema {
    int format, of;
};

/* What the names of faults mean: behind the page that the table makes. */
static void print_faults(void)
{
    static const char *const ways[] = {[SL_FAULT_COUNTED] = "`count` times, with what comes next",
                                       [SL_FAULT_LASTING] = "`for` so long",
                                       [SL_FAULT_AT_ONCE] = "at once"};
    printf("\n## Faults\n\n| name | what happens | when |\n|---|---|---|\n");
    for (int fault = 1; fault < SL_FAULT_COUNT; fault++) {
        printf("| `%s` | %s | %s |\n", sl_fault_name((sl_fault)fault), sl_fault_help((sl_fault)fault),
               ways[sl_fault_way_of((sl_fault)fault)]);
    }
}

static int run_schema(const struct sl_cli_arguments *arguments)
{
    const struct schema *schema = arguments->options;
    char *text = NULL;
    const struct sl_config_section *root = schema->of == 0 ? &sl_conf_root : &sl_scenario_root;
    int code = schema->format == 0 ? sl_config_schema(root, schema->of == 0 ? SCHEMA_ID : SCENARIO_ID, &text)
                                   : sl_config_reference(root, &text);
    if (code < 0) {
        (void)fprintf(stderr, "sluice: the schema could not be written: %s\n", sl_strerror(code));
        return SL_EXIT_FAILED;
    }
    printf(schema->format == 0 ? "%s\n" : "%s", text);
    sl_free(text);
    if (schema->format != 0 && schema->of != 0) {
        print_faults();
    }
    return SL_EXIT_DONE;
}

static const char *const schema_formats[] = {"json", "markdown", NULL};
static const char *const schema_kinds[] = {"config", "scenario", NULL};
static const struct sl_cli_option schema_options[] = {
    {SL_CLI_OPTION("of", struct schema, of), .type = SL_CLI_CHOICE, .default_text = "config", .choices = schema_kinds,
     .range = "config or scenario", .help = "of configurations, or of the simulated exchange's scenarios"},
    {SL_CLI_OPTION("format", struct schema, format), .type = SL_CLI_CHOICE, .default_text = "json",
     .choices = schema_formats, .range = "json or markdown", .help = "JSON Schema, or the reference page"}};

const struct sl_cli_command sl__command_schema = {
    .name = "schema",
    .summary = "print the JSON Schema of configurations or scenarios, or their reference page",
    .description = "An editor that knows YAML language servers checks and completes a file that begins with\n"
                   "# yaml-language-server: $schema=PATH, with the output of this command in PATH.",
    SL_CLI_OPTIONS(schema_options, struct schema),
    .run = run_schema};
