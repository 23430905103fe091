/* SPDX-License-Identifier: MIT */
/* See program_rig.h. */
#include "program_rig.h"

#include <stdio.h>
#include <string.h>

#include "sl_test.h"
#include "sluice/runtime.h"
#include "sluice/simulation.h"

static int write_config(struct program_rig *rig)
{
    const char *name = sl_venue_name(rig->venue);
    int port = rig->answer == NULL ? sl_simulated_port(rig->exchange) : PROGRAM_RIG_PORT;
    int size = snprintf(rig->text, sizeof rig->text,
                        "%s\nvenues: { %s: { stream: \"ws://127.0.0.1:%d/%s\", rest: \"http://127.0.0.1:%d/%s\"%s } }\n"
                        "admin: { enabled: false }\n",
                        rig->config, name, port, name, port, name, rig->of_venue == NULL ? "" : rig->of_venue);
    return size >= 0 && size < PROGRAM_RIG_CONFIG_BYTES ? 0 : sl_fail(SL_EMSGSIZE, "a long configuration");
}

struct sl_program_service *program_rig_service(const struct program_rig *rig, const char *name)
{
    struct sl_program_service *service = sl_program_services(rig->parts);
    while (service != NULL && strcmp(service->name, name) != 0) {
        service = service->next;
    }
    return service;
}

const sl_instrument *program_rig_ours(const struct program_rig *rig, size_t at)
{
    const sl_instrument *theirs = sl_instruments_at(rig->theirs, at);
    return sl_instruments_find(sl_program_instruments(rig->parts), rig->venue, theirs->symbol, strlen(theirs->symbol));
}

static int conduct(void *arg)
{
    struct program_rig *rig = arg;
    rig->begun = true;
    SL_TRY(rig->conduct(rig));
    return sl_program_stop(rig->parts);
}

static int serve(void *arg)
{
    struct program_rig *rig = arg;
    sl_auto(sl_listener) *listener = NULL;
    SL_TRY(sl_listener_open("127.0.0.1", PROGRAM_RIG_PORT, &listener));
    return sl_http_serve(listener, rig->answer, rig);
}

static int run_parts(struct program_rig *rig)
{
    SL_SCOPE(scope, .name = "rig");
    int code = sl_spawn(&scope, sl_simulated_run, rig->exchange, .name = "exchange", .daemon = true);
    if (code == 0 && rig->answer != NULL) {
        code = sl_spawn(&scope, serve, rig, .name = "server", .daemon = true);
    }
    if (code == 0 && rig->history > 0) {
        code = sl_sleep(rig->history);
        sl_simulated_pace(rig->exchange, 1e-6);
    }
    code = code == 0 ? sl_spawn(&scope, conduct, rig, .name = "conduct") : code;
    code = code == 0 ? sl_program_run(rig->parts) : code;
    code = code == 0 && rig->recording != NULL ? sl_recording_flush(rig->recording) : code;
    return sl_scope_close(&scope, code);
}

static int run_program(struct program_rig *rig)
{
    struct sl_config_source source = {.path = "test", .text = rig->text, .text_bytes = strlen(rig->text)};
    struct sl_config_options load = {.root = &sl_conf_root, .sources = &source, .source_count = 1};
    sl_auto(sl_config) *config = NULL;
    sl_auto(sl_config_report) *problems = NULL;
    int code = sl_config_load(&load, &config, &problems);
    if (code < 0 && code != SL_ENOMEM) {
        print_error("%s\n", sl_config_report_text(problems));
    }
    code = code == 0 ? sl_reload_open(&load, config, &rig->reload) : code;
    code = code == 0 ? sl_program_open(rig->reload, &rig->parts) : code;
    if (code == 0 && rig->record != NULL) {
        code = sl_recording_open(rig->record, &rig->recording);
        sl_program_record(rig->parts, rig->recording);
    }
    code = code == 0 ? run_parts(rig) : code;
    sl_recording_close(rig->recording);
    sl_program_close(rig->parts);
    sl_reload_free(rig->reload);
    return code;
}

int program_rig_play(void *arg)
{
    struct program_rig *rig = arg;
    rig->exchange = NULL;
    rig->reload = NULL;
    rig->parts = NULL;
    rig->recording = NULL;
    rig->begun = false;
    SL_TRY(sl_network_simulate());
    SL_TRY(sl_instruments_new(0, &rig->theirs));
    int code = sl_simulated_define(rig->theirs, rig->venue, rig->instruments);
    struct sl_simulated_options exchange = {
        .instruments = rig->theirs, .seed = 1, .rate = rig->rate > 0 ? rig->rate : 1, .wait = rig->history == 0};
    code = code == 0 ? sl_simulated_open(&exchange, &rig->exchange) : code;
    code = code == 0 ? write_config(rig) : code;
    code = code == 0 ? run_program(rig) : code;
    sl_simulated_close(rig->exchange);
    sl_instruments_free(rig->theirs);
    return code;
}

static void quiet(void *context, enum sl_log_level level, const char *text)
{
    (void)context;
    if (level <= SL_LOG_ERROR) {
        print_error("%s\n", text);
    }
}

int program_rig_run_from(struct program_rig *rig, sl_time start)
{
    const struct sl_simulation_options simulation = {.seed = 1, .start = start};
    sl_error *error = NULL;
    int64_t held = sl_memory_held();
    int code = sl_run(&(struct sl_run_options){.simulation = &simulation, .watchdog = SL_NEVER, .log = quiet},
                      program_rig_play, rig, &error);
    if (code != 0 && code != SL_ENOMEM) {
        char text[1024];
        (void)sl_error_print(error, text, sizeof text);
        print_error("%s\n", text);
    }
    sl_error_unref(error);
    assert_int_equal(sl_memory_held(), held);
    return code;
}

int program_rig_run(struct program_rig *rig)
{
    return program_rig_run_from(rig, 0);
}
