/* SPDX-License-Identifier: MIT */
/* Comparing configurations, and the reloader. */
#include "config_support.h"

#include "sluice/runtime.h"
#include "sluice/scope.h"
#include "sluice/sync.h"

#define BASE                                                                                                           \
    "values: { count: 1, wait: 1s, mode: full, on: [reset] }\n"                                                        \
    "sinks: { a: { kind: file, path: x }, b: { kind: file, path: y } }\n"                                              \
    "services: { s: { sinks: [a] }, t: { sinks: [b], tls: { certificate: c, key: k } } }\n"

static sl_config_changes *compared(const char *before, const char *after)
{
    sl_config *left = loaded(before);
    sl_config *right = loaded(after);
    sl_config_changes *changes = NULL;
    assert_int_equal(sl_config_compare(left, right, &changes), 0);
    sl_config_unref(left);
    sl_config_unref(right); /* the changes stand alone */
    return changes;
}

static void one_change_each(void **state)
{
    (void)state;
    static const struct {
        const char *set, *path;
        enum sl_config_change_type type;
        enum sl_config_reload reload;
    } rows[] = {
        {"values.count=2", "values.count", SL_CONFIG_CHANGED, SL_CONFIG_LIVE},
        {"values.mode=none", "values.mode", SL_CONFIG_CHANGED, SL_CONFIG_RESTART_TASK},
        {"values.on=[timeout]", "values.on", SL_CONFIG_CHANGED, SL_CONFIG_LIVE},
        {"values.on=[reset, reset]", "values.on", SL_CONFIG_CHANGED, SL_CONFIG_LIVE},
        {"values.label=x", "values.label", SL_CONFIG_CHANGED, SL_CONFIG_LIVE},
        {"values.token=hunter2", "values.token", SL_CONFIG_CHANGED, SL_CONFIG_LIVE},
        {"values.rate=5/s", "values.rate", SL_CONFIG_CHANGED, SL_CONFIG_LIVE},
        {"values.share=21%", "values.share", SL_CONFIG_CHANGED, SL_CONFIG_LIVE},
        {"values.flag=false", "values.flag", SL_CONFIG_CHANGED, SL_CONFIG_LIVE},
        {"values.url=https://x", "values.url", SL_CONFIG_CHANGED, SL_CONFIG_LIVE},
        {"values.delays.a=5s", "values.delays.a", SL_CONFIG_ADDED, SL_CONFIG_LIVE},
        {"sinks.a.path=z", "sinks.a.path", SL_CONFIG_CHANGED, SL_CONFIG_RESTART_TASK},
        {"sinks.\"c.d\"={kind: file, path: z}", "sinks.\"c.d\"", SL_CONFIG_ADDED, SL_CONFIG_RESTART_TASK},
        {"services.s=null", "services.s", SL_CONFIG_REMOVED, SL_CONFIG_RESTART_TASK},
        {"services.t.connections=2", "services.t.connections", SL_CONFIG_CHANGED, SL_CONFIG_LIVE},
        {"services.t.tls=null", "services.t.tls", SL_CONFIG_REMOVED, SL_CONFIG_RESTART_TASK},
        {"services.t.tls.verify=false", "services.t.tls.verify", SL_CONFIG_CHANGED, SL_CONFIG_LIVE},
        {"tls={certificate: c, key: k}", "tls", SL_CONFIG_ADDED, SL_CONFIG_RESTART_PROCESS},
        {"values.wait=1000ms", NULL, SL_CONFIG_CHANGED, SL_CONFIG_AS_AROUND}, /* the same, said otherwise */
        {"values.count='1'", NULL, SL_CONFIG_CHANGED, SL_CONFIG_AS_AROUND},
        {"values.name=sluice", NULL, SL_CONFIG_CHANGED, SL_CONFIG_AS_AROUND}, /* the default */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct sl_config_source source = {"a.yaml", BASE, strlen(BASE)};
        struct sl_config_options options = {
            .root = &program_section, .sources = &source, .source_count = 1, .sets = &rows[i].set, .set_count = 1};
        sl_config *before = loaded(BASE);
        sl_config *after = NULL;
        sl_config_changes *changes = NULL;
        assert_int_equal(sl_config_load(&options, &after, NULL), 0);
        assert_int_equal(sl_config_compare(before, after, &changes), 0);
        assert_int_equal(sl_config_changes_count(changes), rows[i].path != NULL);
        if (rows[i].path != NULL) {
            const struct sl_config_change *change = sl_config_changes_at(changes, 0);
            assert_string_equal(change->path, rows[i].path);
            assert_int_equal(change->type, rows[i].type);
            assert_int_equal(change->reload, rows[i].reload);
        }
        assert_int_equal(sl_config_changes_under(changes, ""), rows[i].reload);
        sl_config_changes_free(changes);
        sl_config_unref(before);
        sl_config_unref(after);
    }
}

static void a_kind_that_changes(void **state)
{
    (void)state;
    sl_config_changes *changes =
        compared("sinks: { a: { kind: file, path: x }, ab: { kind: file, path: x } }",
                 "sinks: { ab: { kind: file, path: y }, a: { kind: redis, url: 'redis://h' } }");
    assert_int_equal(sl_config_changes_count(changes), 2);
    assert_string_equal(sl_config_changes_at(changes, 0)->path, "sinks.a");
    assert_int_equal(sl_config_changes_under(changes, "sinks.a.path"), SL_CONFIG_RESTART_TASK); /* around it */
    assert_int_equal(sl_config_changes_under(changes, "sinks.ab"), SL_CONFIG_RESTART_TASK);
    assert_int_equal(sl_config_changes_under(changes, "sinks.b"), SL_CONFIG_AS_AROUND);
    assert_int_equal(sl_config_changes_under(changes, "sink"), SL_CONFIG_AS_AROUND);
    assert_null(sl_config_changes_at(changes, 2));
    sl_config_changes_free(changes);
}

static void more_changes_than_are_kept(void **state)
{
    (void)state;
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    size_t length = (size_t)snprintf(text, 64, "values: { count: 2 }\nsinks:\n");
    for (int i = 0; i < SL_CONFIG_CHANGES_MAX + 5; i++) {
        length += (size_t)snprintf(text + length, 64, "  s%d: { kind: file, path: x }\n", i);
    }
    sl_config_changes *changes = compared("{}", text);
    assert_int_equal(sl_config_changes_count(changes), SL_CONFIG_CHANGES_MAX);
    assert_int_equal(sl_config_changes_more(changes), 6);
    assert_int_equal(sl_config_changes_under(changes, "nothing"), SL_CONFIG_RESTART_TASK); /* nobody knows */
    sl_config_changes_free(changes);
    free(text);
}

/* ---- the reloader ---- */

struct owner {
    struct sl_config_source source;
    char text[1024];
    int applied, refused, code, apply_code;
    char changed[64], why[256];
    sl_config_reloader *reloader;
    sl_event *hold; /* apply waits for it */
    sl_event holding;
};

static int apply(void *arg, const sl_config *before, const sl_config *after, const sl_config_changes *changes)
{
    struct owner *owner = arg;
    if (before == after || sl_config_changes_count(changes) == 0) {
        return SL_EINTERNAL;
    }
    (void)snprintf(owner->changed, sizeof owner->changed, "%s", sl_config_changes_at(changes, 0)->path);
    if (owner->hold != NULL) {
        sl_event_set(&owner->holding);
        SL_TRY(sl_event_wait(owner->hold));
    }
    if (owner->apply_code == 0) {
        owner->applied++;
    }
    return owner->apply_code;
}

static void refused(void *arg, int code, const sl_config_report *report)
{
    struct owner *owner = arg;
    owner->refused++;
    owner->code = code;
    (void)snprintf(owner->why, sizeof owner->why, "%s", sl_config_report_text(report));
}

static void write_text(struct owner *owner, const char *text)
{
    (void)snprintf(owner->text, sizeof owner->text, "%s", text);
    owner->source.text_bytes = strlen(owner->text);
}

static uint64_t current_count(const struct owner *owner)
{
    sl_auto(sl_config) *config = sl_config_reloader_current(owner->reloader);
    return values_of(config)->count;
}

static int ask(void *arg)
{
    struct owner *owner = arg;
    return sl_config_reload(owner->reloader);
}

static int reload_steps(struct owner *owner)
{
    sl_auto(sl_config) *old = sl_config_reloader_current(owner->reloader);
    if (sl_config_reload(owner->reloader) != SL_ECLOSED) {
        return 1; /* nobody runs it yet */
    }
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, sl_config_reloader_run, owner->reloader));
    SL_TRY(sl_checkpoint());
    SL_TRY(sl_config_reload(owner->reloader)); /* nothing changed */
    if (owner->applied != 0 || sl_config_reloader_generation(owner->reloader) != 0) {
        return 2;
    }
    write_text(owner, "values: { count: 2 }");
    SL_TRY(sl_config_reload(owner->reloader));
    if (owner->applied != 1 || current_count(owner) != 2 || strcmp(owner->changed, "values.count") != 0 ||
        values_of(old)->count != 5) { /* who keeps the old one still has it */
        return 3;
    }
    write_text(owner, "values: { cuont: 3 }");
    if (sl_config_reload(owner->reloader) != SL_EINVAL || owner->refused != 1 || current_count(owner) != 2 ||
        strstr(owner->why, "did you mean \"count\"?") == NULL) {
        return 4;
    }
    write_text(owner, "values: { count: 3 }");
    owner->apply_code = SL_EBUSY;
    if (sl_config_reload(owner->reloader) != SL_EBUSY || owner->code != SL_EBUSY || current_count(owner) != 2) {
        return 5;
    }
    owner->apply_code = 0;
    SL_TRY(sl_config_reload(owner->reloader));
    if (sl_config_reloader_generation(owner->reloader) != 2 || current_count(owner) != 3) {
        return 6;
    }
    sl_scope_cancel(&scope, "enough");
    (void)sl_scope_close(&scope, 0);
    return sl_config_reload(owner->reloader) == SL_ECLOSED ? 0 : 7;
}

/* 200 requests while one reload is held: one more reload serves them all. */
static int many_at_once(struct owner *owner)
{
    sl_event go = SL_EVENT_INIT;
    owner->hold = &go;
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, sl_config_reloader_run, owner->reloader));
    SL_TRY(sl_checkpoint());
    write_text(owner, "values: { count: 2 }");
    sl_config_reloader_request(owner->reloader);
    SL_TRY(sl_event_wait(&owner->holding));
    write_text(owner, "values: { count: 4 }");
    sl_scope askers = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&askers, NULL));
    for (int i = 0; i < 200; i++) {
        int code = sl_spawn(&askers, ask, owner);
        if (code < 0) {
            return sl_scope_close(&askers, code);
        }
    }
    SL_TRY(sl_checkpoint());
    owner->hold = NULL;
    sl_event_set(&go);
    SL_TRY(sl_scope_close(&askers, 0));
    if (owner->applied != 2 || current_count(owner) != 4) {
        return 2;
    }
    /* One who leaves while it waits takes nothing along. */
    owner->hold = &go;
    sl_event_reset(&go);
    sl_event_reset(&owner->holding);
    write_text(owner, "values: { count: 5 }");
    SL_TRY(sl_scope_open(&askers, NULL));
    SL_TRY(sl_spawn(&askers, ask, owner));
    SL_TRY(sl_event_wait(&owner->holding));
    sl_scope_cancel(&askers, "left");
    (void)sl_scope_close(&askers, 0);
    owner->hold = NULL;
    sl_event_set(&go);
    SL_TRY(sl_config_reload(owner->reloader));
    if (current_count(owner) != 5) {
        return 3;
    }
    /* Nor does a reloader that ends while others wait. */
    owner->hold = &go;
    sl_event_reset(&go);
    sl_event_reset(&owner->holding);
    write_text(owner, "values: { count: 6 }");
    SL_TRY(sl_scope_open(&askers, NULL));
    SL_TRY(sl_spawn(&askers, ask, owner));
    SL_TRY(sl_event_wait(&owner->holding));
    sl_scope_cancel(&scope, "enough");
    (void)sl_scope_close(&askers, 0);
    (void)sl_scope_close(&scope, 0);
    return current_count(owner) == 5 ? 0 : 4;
}

struct run {
    int (*steps)(struct owner *owner);
};

static int with_reloader(void *arg)
{
    struct run *run = arg;
    struct owner owner = {.source = {"a.yaml", owner.text, 0}};
    sl_event_init(&owner.holding);
    sl_config *first = NULL;
    const struct sl_config_reloader_options options = {
        .load = {.root = &program_section, .sources = &owner.source, .source_count = 1},
        .apply = apply,
        .refused = refused,
        .arg = &owner};
    SL_TRY(sl_config_load(&options.load, &first, NULL));
    int code = sl_config_reloader_new(&options, first, &owner.reloader);
    sl_config_unref(first);
    if (code == 0) {
        code = run->steps(&owner);
        sl_config_reloader_free(owner.reloader);
    }
    return code;
}

static void run_steps(int (*steps)(struct owner *owner))
{
    int64_t before = sl_memory_held();
    struct run run = {steps};
    assert_int_equal(sl_run(NULL, with_reloader, &run, NULL), 0);
    assert_int_equal(sl_memory_held(), before);
}

static void reloads_and_refuses(void **state)
{
    (void)state;
    run_steps(reload_steps);
}

static void merges_what_arrives_together(void **state)
{
    (void)state;
    run_steps(many_at_once);
}

static void reloader_wants_its_parts(void **state)
{
    (void)state;
    sl_config *config = loaded("");
    sl_config_reloader *reloader = NULL;
    struct sl_config_reloader_options options = {.load = {.root = &program_section}, .apply = apply};
    assert_int_equal(sl_config_reloader_new(&options, NULL, &reloader), SL_EINVAL);
    options.apply = NULL;
    assert_int_equal(sl_config_reloader_new(&options, config, &reloader), SL_EINVAL);
    options = (struct sl_config_reloader_options){.load = {.root = &tls_section}, .apply = apply};
    assert_int_equal(sl_config_reloader_new(&options, config, &reloader), SL_EINVAL);
    sl_config_reloader_free(NULL);
    sl_config_unref(config);
}

SL_TEST_MAIN(cmocka_unit_test(one_change_each), cmocka_unit_test(a_kind_that_changes),
             cmocka_unit_test(more_changes_than_are_kept), cmocka_unit_test(reloads_and_refuses),
             cmocka_unit_test(merges_what_arrives_together), cmocka_unit_test(reloader_wants_its_parts))
