/* SPDX-License-Identifier: MIT */
/* Reloading in two phases: which entries differ, who prepares, who commits in which order. */
#include "ingest/program/reload.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "sluice/scope.h"
#include "sluice/signal.h"

#define PATH_BYTES 512
#define PATHS_SHOWN_MAX 3

struct sl_reload {
    struct sl_config_options load;
    struct sl_reload_handler handlers[SL_RELOAD_HANDLERS_MAX];
    size_t handler_count;
    sl_config_reloader *reloader;
    struct sl_reload_status status;
    sl_reload_watch_fn *watch;
    void *watch_arg;
    sl_signals *signals; /* from the start on: what comes before somebody listens waits */
};

/* The order in which sections are committed; what is removed goes the other way, with one exception: see order_of(). */
static const struct section {
    const char *name;
    bool map;
    size_t offset; /* in struct sl_conf */
} sections[] = {
    {"log", false, offsetof(struct sl_conf, log)},
    {"runtime", false, offsetof(struct sl_conf, runtime)},
    {"coordination", false, offsetof(struct sl_conf, coordination)},
    {"dead_letter", false, offsetof(struct sl_conf, dead_letter)},
    {"spool", false, offsetof(struct sl_conf, spool)},
    {"admin", false, offsetof(struct sl_conf, admin)},
    {"retry", true, offsetof(struct sl_conf, retry)},
    {"limits", true, offsetof(struct sl_conf, limits)},
    {"breakers", true, offsetof(struct sl_conf, breakers)},
    {"bulkheads", true, offsetof(struct sl_conf, bulkheads)},
    {"venues", false, offsetof(struct sl_conf, venues)},
    {"sinks", true, offsetof(struct sl_conf, sinks)},
    {"services", true, offsetof(struct sl_conf, services)},
};
#define SECTION_COUNT (sizeof sections / sizeof sections[0])

/* One entry on its way through the phases. */
struct step {
    struct sl_reload_entry entry;
    const struct sl_reload_handler *handler;
    void *prepared;
    size_t section;
};

struct plan {
    const sl_reload *reload;
    const sl_config *before, *after;
    const sl_config_changes *changes;
    struct step *steps;
    size_t count, capacity;
    int code;
};

static const struct sl_conf *root_of(const sl_config *config)
{
    return config == NULL ? NULL : sl_config_root(config);
}

static const struct sl_reload_handler *handler_of(const sl_reload *reload, const char *section)
{
    for (size_t i = 0; i < reload->handler_count; i++) {
        if (strcmp(reload->handlers[i].section, section) == 0) {
            return &reload->handlers[i];
        }
    }
    return NULL;
}

/* ---- which entries differ ---- */

/* How strong a change is at "section" or "section.name". */
static enum sl_config_reload strength(const struct plan *plan, const char *section, const char *name)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s%s%s", section, *name == '\0' ? "" : ".", name);
    return sl_config_changes_under(plan->changes, path);
}

static void add(struct plan *plan, size_t section, enum sl_reload_kind kind, const char *name, const void *old_value,
                const void *new_value)
{
    const char *section_name = sections[section].name;
    const struct sl_reload_handler *handler = handler_of(plan->reload, section_name);
    if (handler == NULL) {
        /* At start and stop a section may be nobody's; a change of it may not go unheard. Venues change with their services. */
        if (plan->changes != NULL && strcmp(section_name, "venues") != 0 && plan->code == 0) {
            plan->code = sl_fail(SL_ENOTSUP, "%s%s%s cannot be changed while the program runs; it needs a new process",
                                 section_name, *name == '\0' ? "" : ".", name);
        }
        return;
    }
    if (plan->count == plan->capacity) {
        size_t capacity = plan->capacity == 0 ? 16 : plan->capacity * 2;
        struct step *steps = sl_realloc(plan->steps, capacity * sizeof *steps);
        if (steps == NULL) {
            plan->code = sl_fail(SL_ENOMEM, "no memory to reload");
            return;
        }
        plan->steps = steps;
        plan->capacity = capacity;
    }
    plan->steps[plan->count++] = (struct step){
        {kind, section_name, name, plan->before, plan->after, old_value, new_value}, handler, NULL, section};
}

static const struct sl_config_map *map_of(const struct sl_conf *conf, size_t section)
{
    return conf == NULL ? NULL : (const struct sl_config_map *)((const char *)conf + sections[section].offset);
}

/* A service that is not enabled is as if it were not there. */
static const void *find(const struct sl_conf *conf, size_t section, const char *name)
{
    if (conf == NULL) {
        return NULL;
    }
    const struct sl_config_map *map = map_of(conf, section);
    const void *value = sections[section].map ? sl_config_map_find(map, name) : map;
    bool service = strcmp(sections[section].name, "services") == 0;
    return value != NULL && service && !sl_conf_service(value)->enabled ? NULL : value;
}

static bool same_name(const char *left, const char *right)
{
    return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

/* What a change of a policy, or another one in its place, is to who uses it. */
static enum sl_config_reload policy_moved(const struct plan *plan, const char *section, const char *before,
                                          const char *after)
{
    return !same_name(before, after) ? SL_CONFIG_RESTART_TASK
           : after == NULL           ? SL_CONFIG_AS_AROUND
                                     : strength(plan, section, after);
}

static enum sl_config_reload stronger(enum sl_config_reload left, enum sl_config_reload right)
{
    return left > right ? left : right;
}

/* A service has to do also with its venue's section, and with its policies: it changes, or begins anew, with them. */
static enum sl_config_reload surroundings_moved(const struct plan *plan, const void *old_value, const void *new_value)
{
    const struct sl_conf *before = root_of(plan->before);
    const struct sl_conf *after = root_of(plan->after);
    const struct sl_conf_market *market = sl_conf_market(new_value);
    const struct {
        const char *section;
        const char *(*of)(const struct sl_conf *conf, const struct sl_config_variant *service);
    } policies[] = {{"limits", sl_conf_limit_of},
                    {"retry", sl_conf_retry_of},
                    {"breakers", sl_conf_breaker_of},
                    {"bulkheads", sl_conf_bulkhead_of}};
    enum sl_config_reload class = SL_CONFIG_AS_AROUND;
    if (market != NULL && strength(plan, "venues", sl_conf_venue_name(market->venue)) != SL_CONFIG_AS_AROUND) {
        class = SL_CONFIG_RESTART_TASK;
    }
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        class = stronger(class, policy_moved(plan, policies[i].section, policies[i].of(before, old_value),
                                             policies[i].of(after, new_value)));
    }
    return class;
}

static void compare(struct plan *plan, size_t section, const char *name)
{
    const void *old_value = find(root_of(plan->before), section, name);
    const void *new_value = find(root_of(plan->after), section, name);
    if (old_value == NULL || new_value == NULL) {
        if (old_value != new_value) {
            add(plan, section, old_value == NULL ? SL_RELOAD_ADDED : SL_RELOAD_REMOVED, name, old_value, new_value);
        }
        return;
    }
    enum sl_config_reload class = strength(plan, sections[section].name, name);
    if (strcmp(sections[section].name, "services") == 0) {
        class = stronger(class, surroundings_moved(plan, old_value, new_value));
    }
    if (class != SL_CONFIG_AS_AROUND) {
        add(plan, section, class == SL_CONFIG_LIVE ? SL_RELOAD_LIVE : SL_RELOAD_RESTART, name, old_value, new_value);
    }
}

static void compare_section(struct plan *plan, size_t section)
{
    if (!sections[section].map) {
        compare(plan, section, "");
        return;
    }
    const struct sl_config_map *before = map_of(root_of(plan->before), section);
    const struct sl_config_map *after = map_of(root_of(plan->after), section);
    for (size_t i = 0; before != NULL && i < before->count && plan->code == 0; i++) {
        compare(plan, section, before->names[i]);
    }
    for (size_t i = 0; after != NULL && i < after->count && plan->code == 0; i++) {
        if (before == NULL || sl_config_map_find(before, after->names[i]) == NULL) {
            compare(plan, section, after->names[i]);
        }
    }
}

/* Refuses what only a new process can do, and names the first of it. */
static int check_process(const sl_config_changes *changes)
{
    char paths[PATH_BYTES] = "";
    size_t found = 0;
    const struct sl_config_change *change;
    for (size_t i = 0; (change = sl_config_changes_at(changes, i)) != NULL; i++) {
        if (change->reload == SL_CONFIG_RESTART_PROCESS && ++found <= PATHS_SHOWN_MAX) {
            size_t length = strlen(paths);
            (void)snprintf(paths + length, sizeof paths - length, "%s%s", length == 0 ? "" : ", ", change->path);
        }
    }
    return found == 0 ? 0
                      : sl_fail(SL_ENOTSUP, "%zu changes need a new process (%s%s); nothing was changed", found, paths,
                                found > PATHS_SHOWN_MAX ? ", ..." : "");
}

/* ---- the phases ---- */

/* Lower goes first. */
static int order_of(const struct step *step)
{
    int section = (int)step->section;
    bool service = section == SECTION_COUNT - 1;
    switch (step->entry.kind) {
    case SL_RELOAD_REMOVED:
        return service ? section * 4 : 1000 - section; /* services that go make room for those that come */
    case SL_RELOAD_ADDED:
        return section * 4 + 2;
    default:
        return section * 4 + 1;
    }
}

/* By insertion: it keeps the files' order among equals, and few entries change at once but at the start, in order. */
static void sort(struct plan *plan)
{
    for (size_t i = 1; i < plan->count; i++) {
        struct step step = plan->steps[i];
        size_t at = i;
        for (; at > 0 && order_of(&plan->steps[at - 1]) > order_of(&step); at--) {
            plan->steps[at] = plan->steps[at - 1];
        }
        plan->steps[at] = step;
    }
}

static int prepare(struct plan *plan)
{
    int code = 0;
    size_t ready = 0;
    for (; ready < plan->count && code == 0; ready++) {
        struct step *step = &plan->steps[ready];
        if (step->handler->prepare != NULL) {
            code = step->handler->prepare(step->handler->arg, &step->entry, &step->prepared);
        }
    }
    if (code < 0) {
        for (ready--; ready-- > 0;) {
            struct step *step = &plan->steps[ready];
            if (step->handler->abandon != NULL) {
                step->handler->abandon(step->handler->arg, &step->entry, step->prepared);
            }
        }
    }
    return code < 0 ? code : 0;
}

/* Plans and does it all. */
static int carry_out(const sl_reload *reload, const sl_config *before, const sl_config *after,
                     const sl_config_changes *changes, size_t *ret_count)
{
    struct plan plan = {.reload = reload, .before = before, .after = after, .changes = changes};
    for (size_t i = 0; i < SECTION_COUNT && plan.code == 0; i++) {
        compare_section(&plan, i);
    }
    sort(&plan);
    int code = plan.code != 0 || after == NULL ? plan.code : prepare(&plan); /* nobody can refuse to stop */
    for (size_t i = 0; i < plan.count && code == 0; i++) {
        struct step *step = &plan.steps[i];
        step->handler->commit(step->handler->arg, &step->entry, step->prepared);
    }
    *ret_count = plan.count;
    sl_free(plan.steps);
    return code;
}

/* ---- what came of it ---- */

SL_PRINTF(3, 4)
static void note(sl_reload *reload, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reload->status.last_text, sizeof reload->status.last_text, format, arguments);
    va_end(arguments);
    reload->status.last_code = code;
    reload->status.last_wall_ns = sl_now_wall();
    sl_log(code < 0 ? SL_LOG_ERROR : SL_LOG_INFO, "configuration: %s", reload->status.last_text);
}

static void tell(const sl_reload *reload, enum sl_reload_phase phase)
{
    if (reload->watch != NULL) {
        reload->watch(reload->watch_arg, phase);
    }
}

static int apply(void *arg, const sl_config *before, const sl_config *after, const sl_config_changes *changes)
{
    sl_reload *reload = arg;
    size_t count = 0;
    SL_TRY(check_process(changes));
    tell(reload, SL_RELOAD_BEGINS);
    int code = carry_out(reload, before, after, changes, &count);
    tell(reload, SL_RELOAD_ENDED);
    SL_TRY(code);
    reload->status.generation++;
    note(reload, 0, "reloaded; %zu values and %zu parts changed",
         sl_config_changes_count(changes) + sl_config_changes_more(changes), count);
    return 0;
}

/* Who asked for a reload waits for a word. */
static void unchanged(void *arg)
{
    note(arg, 0, "read again; nothing has changed");
}

static void refused(void *arg, int code, const sl_config_report *report)
{
    sl_reload *reload = arg;
    const struct sl_config_problem *problem = NULL;
    reload->status.refused++;
    for (size_t i = 0; i < sl_config_report_count(report) && (problem == NULL || problem->warning); i++) {
        problem = sl_config_report_at(report, i);
    }
    if (problem != NULL) {
        char more[40] = "";
        size_t others = sl_config_report_count(report) + sl_config_report_more(report) - 1;
        if (others > 0) {
            (void)snprintf(more, sizeof more, " (and %zu more)", others);
        }
        char place[32] = "";
        if (problem->line > 0) { /* a file that cannot be read has none */
            (void)snprintf(place, sizeof place, ":%u:%u", problem->line, problem->column);
        }
        note(reload, code, "not reloaded, the old one stays: %s%s: %s%s%s%s", problem->file, place, problem->path,
             *problem->path == '\0' ? "" : ": ", problem->message, more);
    } else {
        const char *message = sl_error_message(sl_error_last());
        note(reload, code, "not reloaded, the old one stays: %s", *message == '\0' ? sl_strerror(code) : message);
    }
}

/* ---- life ---- */

int sl_reload_open(const struct sl_config_options *load, sl_config *first, sl_reload **ret_reload)
{
    if (load->root != &sl_conf_root) {
        return sl_fail(SL_EINVAL, "a reload is of the program's configuration");
    }
    sl_reload *reload = sl_calloc(1, sizeof *reload);
    if (reload == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for reloading");
    }
    reload->load = *load;
    const struct sl_config_reloader_options options = {
        .load = *load, .apply = apply, .refused = refused, .unchanged = unchanged, .arg = reload};
    int code = sl_config_reloader_new(&options, first, &reload->reloader);
    if (code < 0) {
        sl_free(reload);
        return code;
    }
    *ret_reload = reload;
    return 0;
}

int sl_reload_register(sl_reload *reload, const struct sl_reload_handler *handler)
{
    size_t known = 0;
    while (known < SECTION_COUNT && strcmp(sections[known].name, handler->section) != 0) {
        known++;
    }
    if (known == SECTION_COUNT || handler->commit == NULL) {
        return sl_fail(SL_EINVAL, "a handler needs commit, and a section that there is: not \"%s\"", handler->section);
    }
    if (handler_of(reload, handler->section) != NULL) {
        return sl_fail(SL_EEXIST, "%s has a handler already", handler->section);
    }
    if (reload->handler_count == SL_RELOAD_HANDLERS_MAX) {
        return sl_fail(SL_EMSGSIZE, "more than %d handlers", SL_RELOAD_HANDLERS_MAX);
    }
    reload->handlers[reload->handler_count++] = *handler;
    return 0;
}

void sl_reload_watch(sl_reload *reload, sl_reload_watch_fn *watch, void *arg)
{
    reload->watch = watch;
    reload->watch_arg = arg;
}

static int open_signals(sl_reload *reload)
{
    const int hangup = SIGHUP;
    return reload->signals != NULL ? 0 : sl_signals_open(&hangup, 1, &reload->signals);
}

int sl_reload_start(sl_reload *reload)
{
    size_t count;
    sl_auto(sl_config) *config = sl_config_reloader_current(reload->reloader);
    SL_TRY(open_signals(reload)); /* first: whoever sees a service run may ask for a reload */
    SL_TRY(carry_out(reload, NULL, config, NULL, &count));
    tell(reload, SL_RELOAD_STARTED);
    return 0;
}

void sl_reload_stop(sl_reload *reload)
{
    size_t count;
    sl_auto(sl_config) *config = sl_config_reloader_current(reload->reloader);
    tell(reload, SL_RELOAD_STOPS);
    (void)carry_out(reload, config, NULL, NULL, &count);
}

void sl_reload_end(sl_reload *reload)
{
    SL_SCOPE(shield, .name = "signals", .shield = true, .timeout = SL_MILLISECONDS(1));
    int code = reload->signals == NULL ? 0 : 1;
    while (code > 0) { /* what nobody has read would be raised again */
        code = sl_signals_next(reload->signals);
    }
    (void)sl_scope_close(&shield, code);
    sl_signals_close(reload->signals);
    reload->signals = NULL;
}

static int listen(void *arg)
{
    sl_reload *reload = arg;
    SL_TRY(open_signals(reload));
    int code = sl_signals_next(reload->signals);
    while (code > 0) {
        sl_reload_request(reload);
        code = sl_signals_next(reload->signals);
    }
    return code;
}

int sl_reload_run(void *arg)
{
    sl_reload *reload = arg;
    SL_SCOPE(scope, .name = "reload");
    SL_TRY(sl_spawn(&scope, listen, reload, .name = "signals"));
    SL_TRY(sl_spawn(&scope, sl_config_reloader_run, reload->reloader, .name = "reloader"));
    return sl_scope_wait(&scope);
}

void sl_reload_request(sl_reload *reload)
{
    sl_config_reloader_request(reload->reloader);
}

int sl_reload_now(sl_reload *reload)
{
    int code = sl_config_reload(reload->reloader);
    return code < 0 && code != SL_ECANCELED && code != SL_ECLOSED && code != SL_ENOTASK
               ? sl_fail(code, "%s", reload->status.last_text)
               : code;
}

sl_config *sl_reload_current(const sl_reload *reload)
{
    return sl_config_reloader_current(reload->reloader);
}

void sl_reload_get_status(const sl_reload *reload, struct sl_reload_status *ret_status)
{
    *ret_status = reload->status;
}

void sl_reload_free(sl_reload *reload)
{
    if (reload != NULL) {
        sl_config_reloader_free(reload->reloader);
        sl_free(reload);
    }
}
