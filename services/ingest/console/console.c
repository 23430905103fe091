/* SPDX-License-Identifier: MIT */
/* The admin endpoint of `sluice run`: its life, its actions, its checks. See console.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ingest/console/console_internal.h"
#include "sluice/log_record.h"
#include "sluice/runtime.h"

/* ---- actions ---- */

static int act_reload(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    (void)request;
    (void)out;
    return sl_reload_now(((struct sl_console *)arg)->options.reload);
}

static int act_drain(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    (void)request;
    (void)out;
    struct sl_console *console = arg;
    sl_admin_drain(sl_board_admin(console->options.board));
    return sl_program_stop(console->options.parts);
}

/* The service that a request names: {"feed": NAME}, or {"service": NAME}. */
static int service_of(const sl_admin_request *request, char name[64])
{
    int code = sl_admin_param(request, "feed", name, 64);
    code = code == SL_ENOENT ? sl_admin_param(request, "service", name, 64) : code;
    return code == SL_ENOENT ? sl_fail(SL_EINVAL, "which feed? {\"feed\": ID}") : code;
}

static int act_pause(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    (void)out;
    char name[64];
    SL_TRY(service_of(request, name));
    return sl_program_pause(((struct sl_console *)arg)->options.parts, name, true);
}

static int act_resume(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    (void)out;
    char name[64];
    SL_TRY(service_of(request, name));
    return sl_program_pause(((struct sl_console *)arg)->options.parts, name, false);
}

static int act_restart(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    (void)out;
    char name[64];
    SL_TRY(service_of(request, name));
    return sl_program_restart(((struct sl_console *)arg)->options.parts, name);
}

/* {"feed": SERVICE}: all its instruments; {"feed": SERVICE, "instrument": SYMBOL or name}: that one. */
static int act_resync(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    (void)out;
    char name[64], symbol[SL_INSTRUMENT_NAME_MAX];
    SL_TRY(service_of(request, name));
    int code = sl_admin_param(request, "instrument", symbol, sizeof symbol);
    SL_TRY(code == SL_ENOENT ? 0 : code);
    return sl_program_resync(((struct sl_console *)arg)->options.parts, name, code == SL_ENOENT ? NULL : symbol);
}

/* {"feed": SERVICE, "instrument": SYMBOL or name} */
static int follow(const struct sl_console *console, const sl_admin_request *request, bool wanted)
{
    char name[64], symbol[SL_INSTRUMENT_NAME_MAX];
    SL_TRY(service_of(request, name));
    int code = sl_admin_param(request, "instrument", symbol, sizeof symbol);
    if (code == SL_ENOENT) {
        return sl_fail(SL_EINVAL, "which instrument? {\"instrument\": NAME}");
    }
    return code < 0 ? code : sl_program_follow(console->options.parts, name, symbol, wanted);
}

static int act_add(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    (void)out;
    return follow(arg, request, true);
}

static int act_remove(void *arg, const sl_admin_request *request, sl_json_writer *out)
{
    (void)out;
    return follow(arg, request, false);
}

/* The first one's reason, and how many there are besides: none is hidden. Whether there is none at all. */
static bool none_is_bad(size_t bad, char *reason, size_t reason_bytes)
{
    if (bad > 1) {
        size_t used = strlen(reason);
        (void)snprintf(reason + used, reason_bytes - used, " (and %zu more)", bad - 1);
    }
    return bad == 0;
}

static bool check_services(void *arg, char *reason, size_t reason_bytes)
{
    const struct sl_console *console = arg;
    size_t bad = 0;
    for (struct sl_program_service *service = sl_program_services(console->options.parts); service != NULL;
         service = service->next) {
        struct sl_service_look look;
        if (service->paused) { /* somebody wants it so */
            continue;
        }
        if ((!sl_service_look(service, &look) || !look.works) && bad++ == 0) {
            const char *problem = sl__console_problem(service);
            (void)snprintf(reason, reason_bytes, "service %s: %s%s%s", service->name,
                           look.reason == NULL ? "it does not run" : look.reason, problem[0] == '\0' ? "" : ": ",
                           problem);
        }
    }
    return none_is_bad(bad, reason, reason_bytes);
}

/* What comes is lost soon, or keeps the services waiting: the store is away, and no spool takes it in its place. */
static bool check_sinks(void *arg, char *reason, size_t reason_bytes)
{
    const struct sl_console *console = arg;
    size_t bad = 0;
    for (struct sl_program_sink *sink = sl_program_sinks(console->options.parts); sink != NULL; sink = sink->next) {
        const sl_outlet_stats *stats = sl_outlet_get_stats(sink->outlet);
        if ((stats->disk_failing || (stats->away && !stats->spooling)) && bad++ == 0) {
            (void)snprintf(reason, reason_bytes, "sink %s: %s", sink->name,
                           stats->disk_failing ? stats->disk_problem : stats->problem);
        }
    }
    return none_is_bad(bad, reason, reason_bytes);
}

/* ---- the configuration's own sections ---- */

static bool wants_json(const struct sl_conf_log *log)
{
    return log->format == SL_CONF_LOG_JSON || (log->format == SL_CONF_LOG_AUTO && isatty(STDERR_FILENO) == 0);
}

static void commit_log(void *arg, const struct sl_reload_entry *entry, void *prepared)
{
    (void)prepared;
    const struct sl_console *console = arg;
    const struct sl_conf_log *log = entry->new_value;
    if (log == NULL || entry->before == NULL) {
        return;
    }
    int code = sl_logger_change(sl_board_logger(console->options.board),
                                wants_json(log) ? SL_LOG_FORMAT_JSON : SL_LOG_FORMAT_TEXT,
                                (enum sl_log_level)log->level, log->merge == 0 ? -1 : log->merge);
    if (code < 0) {
        sl_log_with(SL_LOG_ERROR, "what is logged could not be changed", sl_field_code("code", code));
    }
}

static void commit_admin(void *arg, const struct sl_reload_entry *entry, void *prepared)
{
    (void)prepared;
    const struct sl_console *console = arg;
    const struct sl_conf_admin *admin = entry->new_value;
    if (admin == NULL || entry->before == NULL) {
        return;
    }
    int code = sl_admin_set_token(sl_board_admin(console->options.board), admin->token);
    if (code < 0) {
        sl_log_with(SL_LOG_ERROR, "the token of the endpoint could not be changed", sl_field_code("code", code));
    }
}

/* What the process has in use, by the system's account. */
static size_t resident_bytes(void)
{
    unsigned long long pages = 0;
    char text[64] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        (void)!fgets(text, sizeof text, file);
        (void)fclose(file);
    }
    const char *at = strchr(text, ' ');
    for (at = at == NULL ? "" : at + 1; *at >= '0' && *at <= '9'; at++) {
        pages = pages * 10 + (unsigned long long)(*at - '0');
    }
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static bool check_memory(void *arg, char *reason, size_t reason_bytes)
{
    const struct sl_console *console = arg;
    size_t used = resident_bytes();
    if (console->memory_bytes == 0 || used <= console->memory_bytes) {
        return true;
    }
    (void)snprintf(reason, reason_bytes, "%zu MiB are in use, more than the %zu MiB of runtime.memory", used >> 20,
                   console->memory_bytes >> 20);
    return false;
}

static int register_sections(struct sl_console *console)
{
    sl_config *config = sl_reload_current(console->options.reload);
    console->memory_bytes = ((const struct sl_conf *)sl_config_root(config))->runtime.memory_bytes;
    sl_config_unref(config);
    const struct sl_reload_handler log = {.section = "log", .arg = console, .commit = commit_log};
    const struct sl_reload_handler admin = {.section = "admin", .arg = console, .commit = commit_admin};
    SL_TRY(sl_reload_register(console->options.reload, &log));
    return sl_reload_register(console->options.reload, &admin);
}

/* ---- the whole ---- */

static const struct {
    const char *path;
    sl_admin_view_fn view;
} views[] = {{"/api/feeds", sl__console_feeds},
             {"/api/sinks", sl__console_sinks},
             {"/api/gaps", sl__console_gaps},
             {"/api/limits", sl__console_limits},
             {"/api/partitions", sl__console_partitions}};

static const struct {
    const char *path;
    sl_admin_action_fn action;
} actions[] = {{"/api/ctl/reload", act_reload}, {"/api/ctl/drain", act_drain},   {"/api/ctl/resync", act_resync},
               {"/api/ctl/pause", act_pause},   {"/api/ctl/resume", act_resume}, {"/api/ctl/restart", act_restart},
               {"/api/ctl/add", act_add},       {"/api/ctl/remove", act_remove}};

static bool check_replicas(void *arg, char *reason, size_t reason_bytes)
{
    const struct sl_console *console = arg;
    const sl_replicas *replicas = sl_program_replicas(console->options.parts);
    return replicas == NULL || sl_replicas_ready(replicas, reason, reason_bytes);
}

static const struct {
    const char *name;
    sl_admin_check_fn check;
} checks[] = {
    {"services", check_services}, {"sinks", check_sinks}, {"replicas", check_replicas}, {"memory", check_memory}};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int fill(struct sl_console *console)
{
    sl_admin *admin = sl_board_admin(console->options.board);
    SL_TRY(sl_metrics_add(sl_board_metrics(console->options.board), sl__console_collect, console));
    for (size_t at = 0; at < COUNT(views); at++) {
        SL_TRY(sl_admin_add(admin, views[at].path, views[at].view, console));
    }
    for (size_t at = 0; at < COUNT(actions); at++) {
        SL_TRY(sl_admin_add_action(admin, actions[at].path, actions[at].action, console));
    }
    for (size_t at = 0; at < COUNT(checks); at++) {
        SL_TRY(sl_admin_add_check(admin, checks[at].name, checks[at].check, console));
    }
    SL_TRY(sl_admin_add_handler(admin, "/api/instruments", sl__console_instruments, console));
    SL_TRY(sl_admin_add_handler(admin, "/api/tap", sl_tap_serve, sl_program_tap(console->options.parts)));
    SL_TRY(register_sections(console));
    sl_admin_started(admin);
    return 0;
}

void sl_console_close(sl_console *console)
{
    if (console == NULL) {
        return;
    }
    sl_admin *admin = sl_board_admin(console->options.board);
    for (size_t at = 0; at < COUNT(views); at++) {
        sl_admin_remove(admin, views[at].path);
    }
    for (size_t at = 0; at < COUNT(actions); at++) {
        sl_admin_remove(admin, actions[at].path);
    }
    for (size_t at = 0; at < COUNT(checks); at++) {
        sl_admin_remove(admin, checks[at].name);
    }
    sl_admin_remove(admin, "/api/instruments");
    sl_admin_remove(admin, "/api/tap");
    sl_metrics_remove(sl_board_metrics(console->options.board), sl__console_collect, console);
    sl_free(console);
}

int sl_console_open(const struct sl_console_options *options, sl_console **ret_console)
{
    struct sl_console *console = sl_calloc(1, sizeof *console);
    if (console == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for the views");
    }
    console->options = *options;
    int code = fill(console);
    if (code < 0) {
        sl_console_close(console);
        return code;
    }
    *ret_console = console;
    return 0;
}

int sl_console_board_options(const struct sl_conf *conf, char host[SL_CONF_HOST_MAX], sl_tls_config **ret_tls,
                             struct sl_board_options *ret_options)
{
    const struct sl_conf_log *log = &conf->log;
    uint16_t port = 0;
    *ret_tls = NULL;
    if (!sl_conf_listen_parse(conf->admin.listen, host, &port)) {
        return sl_fail(SL_EINVAL, "admin.listen: '%s' is no address", conf->admin.listen);
    }
    SL_TRY(conf->admin.enabled && conf->admin.tls != NULL ? sl__server_tls(conf->admin.tls, ret_tls) : 0);
    *ret_options =
        (struct sl_board_options){.log = {.format = wants_json(log) ? SL_LOG_FORMAT_JSON : SL_LOG_FORMAT_TEXT,
                                          .level = (enum sl_log_level)log->level,
                                          .merge = log->merge == 0 ? -1 : log->merge},
                                  .admin = {.address = host,
                                            .port = port,
                                            .token = conf->admin.token,
                                            .tls = *ret_tls,
                                            .connections_max = conf->admin.max_connections},
                                  .no_page = !conf->admin.dashboard,
                                  .no_admin = !conf->admin.enabled};
    return 0;
}
