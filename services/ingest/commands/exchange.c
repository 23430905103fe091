/* SPDX-License-Identifier: MIT */
/* sluice exchange: the simulated exchange, by a scenario's files or by options that stand for one. */
#include <stdio.h>
#include <string.h>

#include "exchange/serve.h"
#include "ingest/commands.h"
#include "sluice/runtime.h"

/* Venues, and what one of the texts that options become takes. */
#define TEXTS_MAX 32
#define TEXT_BYTES 256

struct exchange {
    struct sl_cli_texts sets;
    struct sl_cli_texts venues;
    struct sl_cli_texts captures;
    const char *speed;
    const char *instruments, *rate, *steps, *seed, *port, *truth, *fault_every;
};

/* Options as texts that are laid over the files. */
struct texts {
    const char *items[SL_CLI_TEXTS_MAX + TEXTS_MAX];
    size_t count;
    char text[TEXTS_MAX][TEXT_BYTES];
    size_t made;
};

static bool add(struct texts *texts, const char *path, const char *value)
{
    if (value == NULL) {
        return true;
    }
    char *text = texts->text[texts->made];
    if (texts->made == TEXTS_MAX || snprintf(text, TEXT_BYTES, "%s=%s", path, value) >= TEXT_BYTES) {
        return false;
    }
    texts->items[texts->count++] = text;
    texts->made++;
    return true;
}

/* What `--fault-every` orders: what a worker heals from by itself. */
#define USUAL_FAULTS                                                                                                   \
    "what: [drop, drop-trade, duplicate, reorder, cut, garbage, unknown, leave, snapshot-old, http-429-after]"

static bool make_texts(const struct exchange *options, struct texts *texts)
{
    bool fits = add(texts, "rate", options->rate) && add(texts, "steps", options->steps) &&
                add(texts, "seed", options->seed) && add(texts, "port", options->port) &&
                add(texts, "truth", options->truth) && add(texts, "speed", options->speed);
    for (size_t at = 0; at < options->captures.count && fits; at++) {
        char path[TEXT_BYTES];
        (void)snprintf(path, sizeof path, "capture[%zu]", at);
        fits = add(texts, path, options->captures.items[at]);
    }
    for (size_t at = 0; at < options->venues.count && fits; at++) {
        char path[TEXT_BYTES];
        fits = snprintf(path, sizeof path, "venues.%s.instruments", options->venues.items[at]) < TEXT_BYTES &&
               add(texts, path, options->instruments == NULL ? "10" : options->instruments);
    }
    if (options->fault_every != NULL && fits) {
        char value[TEXT_BYTES];
        fits = snprintf(value, sizeof value, "[{%s, every: %s}]", USUAL_FAULTS, options->fault_every) < TEXT_BYTES &&
               add(texts, "faults", value);
    }
    for (size_t at = 0; at < options->sets.count; at++) { /* the last word */
        texts->items[texts->count++] = options->sets.items[at];
    }
    return fits;
}

static int load(const struct sl_cli_arguments *arguments, sl_config **ret_config)
{
    const struct exchange *options = arguments->options;
    struct sl_config_source sources[SL_CONFIG_SOURCES_MAX];
    struct texts texts = {.count = 0};
    if (!make_texts(options, &texts)) {
        (void)fprintf(stderr, "sluice: too many venues, or a value of more than %d characters\n", TEXT_BYTES);
        return SL_EXIT_USAGE;
    }
    for (size_t at = 0; at < arguments->operand_count; at++) {
        const char *path = arguments->operands[at];
        sources[at] = (struct sl_config_source){.path = strcmp(path, "-") == 0 ? "/dev/stdin" : path};
    }
    struct sl_config_options config = {.root = &sl_scenario_root,
                                       .sources = sources,
                                       .source_count = arguments->operand_count,
                                       .sets = texts.items,
                                       .set_count = texts.count};
    sl_auto(sl_config_report) *report = NULL;
    int code = sl_config_load(&config, ret_config, &report); /* before its report is looked at */
    return sl_command_status(code, report);
}

static int run_exchange(const struct sl_cli_arguments *arguments)
{
    const struct exchange *options = arguments->options;
    sl_auto(sl_config) *config = NULL;
    if (options->instruments != NULL && options->venues.count == 0) {
        (void)fprintf(stderr, "sluice: --instruments goes with --venue; a scenario has its own\n");
        return SL_EXIT_USAGE;
    }
    int status = load(arguments, &config);
    /* The scenario is only read: it is the configuration's own struct. */
    return status != SL_EXIT_DONE ? status : sl_main(sl_exchange_serve, (void *)sl_config_root(config));
}

static const struct sl_cli_option exchange_options[] = {
    {SL_CLI_OPTION("set", struct exchange, sets), .type = SL_CLI_TEXTS, .value = "PATH=VALUE",
     .help = "lay this over the scenario, e.g. venues.okx.checksums=true; may be repeated"},
    {SL_CLI_OPTION("venue", struct exchange, venues), .type = SL_CLI_TEXTS, .value = "NAME",
     .help = "be this venue; may be repeated"},
    {SL_CLI_OPTION("capture", struct exchange, captures), .type = SL_CLI_TEXTS, .value = "FILE",
     .help = "play this recording, or captured file of the one --venue; may be repeated for one session"},
    {SL_CLI_OPTION("speed", struct exchange, speed), .type = SL_CLI_TEXT, .value = "NUMBER",
     .help = "of a capture, times real time, 0 as fast as clients read; else 1"},
    {SL_CLI_OPTION("instruments", struct exchange, instruments), .type = SL_CLI_TEXT, .value = "NUMBER",
     .help = "of each --venue, else 10"},
    {SL_CLI_OPTION("rate", struct exchange, rate), .type = SL_CLI_TEXT, .value = "NUMBER",
     .help = "events a second, 0 as fast as clients read; else 1000"},
    {SL_CLI_OPTION("messages", struct exchange, steps), .type = SL_CLI_TEXT, .value = "NUMBER",
     .help = "events until the market ends; else it never does"},
    {SL_CLI_OPTION("seed", struct exchange, seed), .type = SL_CLI_TEXT, .value = "NUMBER",
     .help = "of all that is drawn"},
    {SL_CLI_OPTION("truth", struct exchange, truth), .type = SL_CLI_FILE,
     .help = "write what truly happens there, an event a line"},
    {SL_CLI_OPTION("fault-every", struct exchange, fault_every), .type = SL_CLI_TEXT, .value = "DURATION",
     .help = "let something go wrong so often"},
    {SL_CLI_OPTION("port", struct exchange, port), .type = SL_CLI_TEXT, .value = "PORT",
     .help = "to listen on; else the system chooses"}};

const struct sl_cli_command sl__command_exchange = {
    .name = "exchange",
    .summary = "the simulated exchange: venues as they are and as they fail",
    .description =
        "Speaks the venues' own protocols on 127.0.0.1, as the scenario's files say: which venues, how many\n"
        "instruments, how fast, and what goes wrong when. Options stand for entries of a scenario, and are\n"
        "laid over the files. docs/reference/scenario.md has all of it; examples/scenarios/ some to begin\n"
        "with.",
    .operands = "[SCENARIO...]",
    .operand_max = SL_CONFIG_SOURCES_MAX,
    SL_CLI_OPTIONS(exchange_options, struct exchange),
    .run = run_exchange};
