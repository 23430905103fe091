/* SPDX-License-Identifier: MIT */
/* Scenarios over virtual time: what is ordered when, of which venue and instrument; and the ready ones are good. */
#include "exchange/scenario.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "sl_test.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"
#include "sluice/simulation.h"

struct stage {
    const char *text;
    int (*act)(struct stage *stage);
    sl_config *config;
    const struct sl_scenario *scenario;
    sl_instruments *instruments;
    sl_simulated *exchange;
    uint64_t seen[8];
};

static int load(const char *text, const char *path, sl_config **ret_config)
{
    struct sl_config_source source = {.path = path, .text = text, .text_bytes = text == NULL ? 0 : strlen(text)};
    struct sl_config_options options = {.root = &sl_scenario_root, .sources = &source, .source_count = 1};
    sl_auto(sl_config_report) *report = NULL;
    int code = sl_config_load(&options, ret_config, &report);
    if (code < 0) {
        print_error("%s", sl_config_report_text(report));
    }
    return code;
}

static int perform(void *arg)
{
    struct stage *stage = arg;
    struct sl_simulated_options options;
    sl_auto(sl_scenario_run) *run = NULL;
    SL_TRY(sl_network_simulate());
    SL_TRY(sl_scenario_prepare(stage->scenario, stage->instruments, &options));
    SL_TRY(sl_simulated_open(&options, &stage->exchange));
    SL_TRY(sl_scenario_begin(stage->scenario, stage->exchange, &run));
    SL_SCOPE(scope, .name = "stage");
    int code = sl_spawn(&scope, sl_scenario_play, run, .daemon = true);
    code = code == 0 ? stage->act(stage) : code;
    code = sl_scope_close(&scope, code);
    sl_simulated_close(stage->exchange);
    stage->exchange = NULL;
    return code;
}

static struct stage play(const char *text, int (*act)(struct stage *stage))
{
    struct stage stage = {.text = text, .act = act};
    assert_int_equal(load(text, "scenario", &stage.config), 0);
    stage.scenario = sl_config_root(stage.config);
    assert_int_equal(sl_instruments_new(0, &stage.instruments), 0);
    sl_error *error = NULL;
    struct sl_simulation_options simulation = {.seed = 1};
    struct sl_run_options run = {.simulation = &simulation, .watchdog = SL_NEVER};
    assert_int_equal(sl_run(&run, perform, &stage, &error), 0);
    sl_instruments_free(stage.instruments);
    sl_config_unref(stage.config);
    return stage;
}

static uint64_t times(const struct stage *stage, sl_fault fault)
{
    return sl_simulated_get_stats(stage->exchange)->faults[fault];
}

/* cut-all is done at once, so that it is counted when it is ordered. */
static int look_each_second(struct stage *stage)
{
    SL_TRY(sl_sleep(SL_MILLISECONDS(500)));
    for (size_t at = 0; at < 8; at++) {
        stage->seen[at] = times(stage, SL_FAULT_CUT_ALL);
        SL_TRY(sl_sleep(SL_SECONDS(1)));
    }
    return 0;
}

static void once_again_and_again_and_until(void **state)
{
    (void)state;
    static const uint64_t once[] = {0, 0, 1, 1, 1, 1, 1, 1}, again[] = {0, 0, 1, 1, 2, 2, 3, 3},
                          later[] = {0, 1, 2, 3, 4, 5, 6, 7}, until[] = {0, 1, 2, 3, 3, 3, 3, 3},
                          both[] = {0, 2, 2, 2, 3, 3, 3, 4};
    struct stage stage = play("venues: { okx: {} }\nfaults: [{ what: [cut-all], at: 2s }]", look_each_second);
    assert_memory_equal(stage.seen, once, sizeof once);
    stage = play("venues: { okx: {} }\nfaults: [{ what: [cut-all], every: 2s }]", look_each_second);
    assert_memory_equal(stage.seen, again, sizeof again);
    stage = play("venues: { okx: {} }\nfaults: [{ what: [cut-all], at: 1s, every: 1s }]", look_each_second);
    assert_memory_equal(stage.seen, later, sizeof later);
    stage = play("venues: { okx: {} }\nfaults: [{ what: [cut-all], every: 1s, until: 3s }]", look_each_second);
    assert_memory_equal(stage.seen, until, sizeof until);
    stage = play("venues: { okx: {} }\nfaults: [{ what: [cut-all], at: 1s }, { what: [cut-all], at: 1s, every: 3s }]",
                 look_each_second);
    assert_memory_equal(stage.seen, both, sizeof both);
}

static int look_after_long(struct stage *stage)
{
    SL_TRY(sl_sleep(SL_SECONDS(10000)));
    stage->seen[0] = times(stage, SL_FAULT_CUT_ALL);
    stage->seen[1] = times(stage, SL_FAULT_LEAVE);
    return 0;
}

/* Drawn times have the mean that was asked for, drawn faults are of all kinds, and a seed gives the same again. */
static void what_is_drawn_is_drawn_by_the_seed(void **state)
{
    (void)state;
    static const char text[] = "seed: 5\nrate: 0.001\nvenues: { okx: {} }\n"
                               "faults: [{ what: [cut-all, leave], every: 10s, random: true }]";
    struct stage one = play(text, look_after_long), same = play(text, look_after_long);
    uint64_t all = one.seen[0] + one.seen[1];
    assert_in_range(all, 900, 1100);
    assert_in_range(one.seen[0], all * 2 / 5, all * 3 / 5);
    assert_memory_equal(one.seen, same.seen, sizeof one.seen);
    struct stage other = play("seed: 6\nrate: 0.001\nvenues: { okx: {} }\n"
                              "faults: [{ what: [cut-all, leave], every: 10s, random: true }]",
                              look_after_long);
    assert_true(other.seen[0] != one.seen[0] || other.seen[1] != one.seen[1]);
}

static int look_at_statuses(struct stage *stage)
{
    SL_TRY(sl_sleep(SL_SECONDS(5)));
    for (size_t at = 0; at < sl_instruments_count(stage->instruments); at++) {
        const sl_instrument *one = sl_instruments_at(stage->instruments, at);
        bool okx = one->venue == SL_VENUE_OKX, eth = strcmp(one->base, "ETH") == 0;
        stage->seen[0] += one->status == SL_STATUS_HALTED && okx && eth;
        stage->seen[1] += one->status == SL_STATUS_HALTED && !(okx && eth);
        stage->seen[2] += one->status == SL_STATUS_DELISTED && one->venue == SL_VENUE_KRAKEN;
        stage->seen[3] += one->status == SL_STATUS_DELISTED && one->venue != SL_VENUE_KRAKEN;
    }
    stage->seen[4] = sl_instruments_count(stage->instruments);
    return 0;
}

static void only_of_the_venues_and_instruments_that_are_named(void **state)
{
    (void)state;
    struct stage stage = play("venues: { okx: { instruments: 5 }, kraken: { instruments: 5 } }\n"
                              "faults:\n"
                              "  - { what: [halt], venues: [okx], instrument: ETH-*, at: 1s, count: 3, for: 1h }\n"
                              "  - { what: [delist], venues: [kraken], at: 1s, count: 2 }\n"
                              "  - { what: [list], venues: [okx, kraken], at: 1s, count: 4 }\n",
                              look_at_statuses);
    assert_int_equal(stage.seen[0], 1);
    assert_int_equal(stage.seen[1], 0);
    assert_int_equal(stage.seen[2], 2);
    assert_int_equal(stage.seen[3], 0);
    assert_int_equal(stage.seen[4], 18);
}

static int refuse_wrong_orders(struct stage *stage)
{
    char pattern[200];
    memset(pattern, 'x', sizeof pattern - 1);
    pattern[sizeof pattern - 1] = '\0';
    assert_int_equal(sl_simulated_order(stage->exchange, &(struct sl_fault_order){.fault = SL_FAULT_COUNT}), SL_EINVAL);
    assert_int_equal(
        sl_simulated_order(stage->exchange, &(struct sl_fault_order){.fault = SL_FAULT_DROP, .instrument = pattern}),
        SL_EINVAL);
    int code = 0;
    unsigned made = 0;
    for (; code == 0 && made < 1000; made++) { /* each pattern is an order of its own */
        (void)snprintf(pattern, sizeof pattern, "X%u", made);
        code = sl_simulated_order(stage->exchange,
                                  &(struct sl_fault_order){.fault = SL_FAULT_DROP, .instrument = pattern});
    }
    assert_int_equal(code, SL_EMSGSIZE);
    assert_int_equal(made, 65);
    sl_simulated_heal(stage->exchange);
    return sl_simulated_order(stage->exchange, &(struct sl_fault_order){.fault = SL_FAULT_DROP, .instrument = "Y"});
}

static void orders_are_bounded(void **state)
{
    (void)state;
    (void)play("venues: { okx: {} }", refuse_wrong_orders);
}

static void the_ready_scenarios_are_good(void **state)
{
    (void)state;
    DIR *folder = opendir(SL_TEST_SOURCE_DIR "/examples/scenarios");
    assert_non_null(folder);
    int count = 0;
    for (const struct dirent *entry = NULL; (entry = readdir(folder)) != NULL;) {
        if (strstr(entry->d_name, ".yaml") != NULL) {
            char path[512];
            sl_config *config = NULL;
            (void)snprintf(path, sizeof path, SL_TEST_SOURCE_DIR "/examples/scenarios/%s", entry->d_name);
            assert_int_equal(load(NULL, path, &config), 0);
            sl_config_unref(config);
            count++;
        }
    }
    assert_int_equal(closedir(folder), 0);
    assert_int_equal(count, 3);
}

static void faults_have_names_and_help(void **state)
{
    (void)state;
    for (int fault = SL_FAULT_NONE + 1; fault < SL_FAULT_COUNT; fault++) {
        assert_true(strlen(sl_fault_name((sl_fault)fault)) > 1);
        assert_true(strlen(sl_fault_help((sl_fault)fault)) > 5);
    }
    assert_string_equal(sl_fault_name(SL_FAULT_COUNT), "?");
    assert_string_equal(sl_fault_help(SL_FAULT_COUNT), "?");
}

SL_TEST_MAIN(cmocka_unit_test(once_again_and_again_and_until), cmocka_unit_test(what_is_drawn_is_drawn_by_the_seed),
             cmocka_unit_test(only_of_the_venues_and_instruments_that_are_named), cmocka_unit_test(orders_are_bounded),
             cmocka_unit_test(the_ready_scenarios_are_good), cmocka_unit_test(faults_have_names_and_help))
