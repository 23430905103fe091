/* SPDX-License-Identifier: MIT */
/* sluice simulate: venues, streams and books in virtual time, with faults from seeds, compared with the truth. */
#include <inttypes.h>
#include <stdio.h>

#include "ingest/commands.h"
#include "ingest/demo/simulate.h"
#include "sluice/json_write.h"
#include "sluice/memory.h"

#define SEEDS_MAX 1000000
#define STEPS_MAX 15000 /* more trades than a simulation compares */

struct options {
    struct sl_command_files files;
    struct sl_cli_texts venues;
    uint64_t seeds, seed, connections, steps;
    bool json;
};

/* What all seeds came to. */
struct sums {
    uint64_t seeds, bad, faults, trades, told, gaps, reconnects;
    sl_time longest;
};

/* The venues to take by turns: those named, else those of the scenario, else all. 0 when a name is none. */
static size_t choose(const struct options *options, const struct sl_scenario *scenario, sl_venue venues[SL_VENUE_COUNT])
{
    bool wanted[SL_VENUE_COUNT] = {false}, some = options->venues.count > 0;
    size_t count = 0;
    for (size_t at = 0; at < options->venues.count; at++) {
        sl_venue venue = sl_venue_find(options->venues.items[at]);
        if (venue == SL_VENUE_NONE || sl_venue_driver_of(venue) == NULL) {
            (void)fprintf(stderr, "sluice: no venue '%s'; sluice venues lists them\n", options->venues.items[at]);
            return 0;
        }
        wanted[venue] = true;
    }
    for (int venue = 0; venue < SL_VENUE_COUNT && scenario != NULL && options->venues.count == 0; venue++) {
        wanted[venue] = scenario->venues[venue] != NULL;
        some = some || wanted[venue];
    }
    for (int venue = 1; venue < SL_VENUE_COUNT; venue++) {
        if ((wanted[venue] || !some) && sl_venue_driver_of((sl_venue)venue) != NULL) {
            venues[count++] = (sl_venue)venue;
        }
    }
    return count;
}

/* ---- what came of it ---- */

static uint64_t faults_of(const struct sl_simulate_result *result)
{
    uint64_t faults = 0;
    for (int fault = SL_FAULT_NONE + 1; fault < SL_FAULT_COUNT; fault++) {
        faults += result->exchange.faults[fault];
    }
    return faults;
}

static void add(struct sums *sums, const struct sl_simulate_result *result, bool good)
{
    sums->seeds++;
    sums->bad += !good;
    sums->faults += faults_of(result);
    sums->trades += result->trades;
    sums->told += result->told;
    sums->gaps += result->book_gaps;
    sums->reconnects += result->stream.reconnects;
    sums->longest = result->healed_after > sums->longest ? result->healed_after : sums->longest;
}

static void print_sums(const struct sums *sums)
{
    (void)printf("%" PRIu64 " seed%s, %" PRIu64 " bad: %" PRIu64 " faults, %" PRIu64 " reconnects; %" PRIu64
                 " trades, %" PRIu64 " of them told missing; books wrong %" PRIu64
                 " times and told so; all well %.1f s after the last fault at most\n",
                 sums->seeds, sums->seeds == 1 ? "" : "s", sums->bad, sums->faults, sums->reconnects, sums->trades,
                 sums->told, sums->gaps, (double)sums->longest / 1e9);
}

/* A line of JSON for a seed. */
static int print_json(const struct sl_simulate_options *run, const struct sl_simulate_result *result, bool good)
{
    sl_json_writer out;
    sl_json_writer_init(&out, 0);
    sl_json_begin_object(&out);
    sl_json_put_key_uint64(&out, "seed", run->seed);
    sl_json_put_key_text(&out, "venue", sl_venue_name(run->venue));
    sl_json_put_key_uint64(&out, "connections", run->redundancy);
    sl_json_put_key_bool(&out, "good", good);
    sl_json_put_key_text(&out, "problem", good ? NULL : result->problem);
    sl_json_put_key_uint64(&out, "faults", faults_of(result));
    sl_json_put_key_uint64(&out, "reconnects", result->stream.reconnects);
    sl_json_put_key_uint64(&out, "trades", result->trades);
    sl_json_put_key_uint64(&out, "told_missing", result->told);
    sl_json_put_key_uint64(&out, "silently_missing", result->untold);
    sl_json_put_key_uint64(&out, "doubled", result->doubled);
    sl_json_put_key_uint64(&out, "book_gaps", result->book_gaps);
    sl_json_put_key_uint64(&out, "books_wrong", result->books_wrong + result->silently_wrong + result->crossed);
    sl_json_put_key_double(&out, "healed_seconds", (double)result->healed_after / 1e9);
    sl_json_end_object(&out);
    return sl_command_print_json(&out);
}

/* ---- the seeds ---- */

/* One seed at its turn's venue. */
static int simulate(const struct options *options, const struct sl_scenario *scenario, sl_venue venue, uint64_t turn,
                    struct sums *sums)
{
    char mixture[SL_SIMULATE_MIXTURE_BYTES];
    unsigned redundancy = options->connections > 0 ? (unsigned)options->connections : 1 + (unsigned)turn % 2;
    struct sl_simulate_options run = sl_simulate_mixture(venue, options->seed + sums->seeds, redundancy, mixture);
    struct sl_simulate_result result;
    run.loaded = scenario;
    run.steps = options->steps;
    int code = sl_simulate(&run, &result);
    bool good = code == 0 && sl_simulate_is_true(&result);
    add(sums, &result, good);
    if (options->json) {
        return print_json(&run, &result, good);
    }
    if (!good) {
        (void)printf("seed %" PRIu64 ", %s, %u connection%s: %s\n", run.seed, sl_venue_name(venue), redundancy,
                     redundancy == 1 ? "" : "s", result.problem);
    }
    return 0;
}

static int simulate_all(const struct options *options, const struct sl_scenario *scenario)
{
    sl_venue venues[SL_VENUE_COUNT];
    struct sums sums = {.seeds = 0};
    size_t count = choose(options, scenario, venues);
    if (count == 0) {
        return SL_EXIT_USAGE;
    }
    while (sums.seeds < options->seeds) {
        uint64_t seed = options->seed + sums.seeds;
        if (simulate(options, scenario, venues[seed % count], seed / count, &sums) < 0) {
            return SL_EXIT_FAILED;
        }
    }
    if (!options->json) {
        print_sums(&sums);
    }
    return sums.bad == 0 ? SL_EXIT_DONE : SL_EXIT_FAILED;
}

static int load(const struct sl_cli_arguments *arguments, sl_config **ret_config)
{
    struct sl_config_source *sources = NULL;
    struct sl_config_options options;
    sl_auto(sl_config_report) *report = NULL;
    int code = sl_command_sources(arguments, &sources, &options);
    if (code == 0) {
        options.root = &sl_scenario_root;
        code = sl_config_load(&options, ret_config, &report);
    }
    sl_free(sources);
    return sl_command_status(code, report);
}

static int run_simulate(const struct sl_cli_arguments *arguments)
{
    sl_auto(sl_config) *config = NULL;
    const struct options *options = arguments->options;
    if (arguments->operand_count == 0 && options->files.sets.count == 0) {
        return simulate_all(options, NULL);
    }
    int status = load(arguments, &config);
    return status == SL_EXIT_DONE ? simulate_all(options, sl_config_root(config)) : status;
}

static const struct sl_cli_option simulate_options[] = {
    {SL_CLI_OPTION("venue", struct options, venues), .type = SL_CLI_TEXTS, .value = "NAME",
     .help = "at this venue; may be repeated; else those of the scenario, or all by turns"},
    {SL_CLI_OPTION("seeds", struct options, seeds), .type = SL_CLI_COUNT, .default_text = "20", .min = 1,
     .max = SEEDS_MAX, .range = "1 to 1000000", .help = "so many simulations"},
    {SL_CLI_OPTION("seed", struct options, seed), .type = SL_CLI_COUNT, .default_text = "1",
     .help = "the first one's; the next has the next number"},
    {SL_CLI_OPTION("connections", struct options, connections), .type = SL_CLI_COUNT, .max = 2, .min = 1,
     .range = "1 or 2", .help = "that bring the same; else one and two by turns"},
    {SL_CLI_OPTION("messages", struct options, steps), .type = SL_CLI_COUNT, .max = STEPS_MAX, .min = 1,
     .default_text = "900", .range = "1 to 15000", .help = "of the market while things go wrong"},
    SL_COMMAND_SET_OPTION,
    {SL_CLI_OPTION("json", struct options, json), .type = SL_CLI_FLAG, .help = "a line of JSON for each seed"}};

const struct sl_cli_command sl__command_simulate = {
    .name = "simulate",
    .summary = "streams and books against faulty venues in virtual time, compared with the truth",
    .description =
        "For each seed the simulated exchange and a worker's stream with trades and books run over a simulated\n"
        "network, in virtual time. Things go wrong as the scenario's files say, or, without one, all faults that\n"
        "can be seen at the venue at times that the seed draws. Then nothing more goes wrong, and what the worker\n"
        "gave out is compared with what truly happened: what is missing and was not told, what came twice, and\n"
        "books that are not the true ones are told with their seed, which gives the same again; the exit status\n"
        "is 1 then. A fault that a venue's protocol does not show (docs/reference/faults.md) is found so, too.",
    .operands = "[SCENARIO...]",
    .operand_max = SL_CONFIG_SOURCES_MAX,
    SL_CLI_OPTIONS(simulate_options, struct options),
    .run = run_simulate};
