/* SPDX-License-Identifier: MIT */
/* Start, reload and stop, with handlers that only write down what they are told. */
#include "conf_support.h"

#include <signal.h>
#include <unistd.h>

#include "ingest/program/reload.h"
#include "sluice/scope.h"

#define JOURNAL_BYTES 65536

struct fake {
    sl_reload *reload;
    struct sl_config_source source;
    struct sl_config_options load;
    char journal[JOURNAL_BYTES];
    const char *refuses; /* "section.name" whose prepare fails */
    sl_event *hold;      /* commits wait for it */
    int held;
};

static void write_down(struct fake *fake, const char *what, const struct sl_reload_entry *entry, const void *prepared)
{
    static const char *const kinds[] = {"live", "restart", "added", "removed"};
    size_t length = strlen(fake->journal);
    assert_true(length < JOURNAL_BYTES - 256);
    (void)snprintf(fake->journal + length, JOURNAL_BYTES - length, "%s %s %s%s%s%s\n", what, kinds[entry->kind],
                   entry->section, *entry->name == '\0' ? "" : ".", entry->name,
                   prepared == fake || *what == 'p' ? "" : " without its own");
    assert_int_equal(entry->old_value == NULL, entry->kind == SL_RELOAD_ADDED);
    assert_int_equal(entry->new_value == NULL, entry->kind == SL_RELOAD_REMOVED);
}

static int prepare(void *arg, const struct sl_reload_entry *entry, void **ret_prepared)
{
    struct fake *fake = arg;
    char path[128];
    write_down(fake, "prepare", entry, NULL);
    (void)snprintf(path, sizeof path, "%s.%s", entry->section, entry->name);
    *ret_prepared = fake;
    return fake->refuses != NULL && strcmp(path, fake->refuses) == 0 ? sl_fail(SL_EBUSY, "%s is busy", path) : 0;
}

static void commit(void *arg, const struct sl_reload_entry *entry, void *prepared)
{
    struct fake *fake = arg;
    write_down(fake, "commit", entry, entry->after == NULL ? fake : prepared);
    if (fake->hold != NULL && fake->held++ == 0) {
        assert_int_equal(sl_event_wait(fake->hold), 0);
    }
}

static void abandon(void *arg, const struct sl_reload_entry *entry, void *prepared)
{
    write_down(arg, "abandon", entry, prepared);
}

static const char *const sections[] = {"services", "sinks", "limits", "retry", "log", "admin"};

/* Opens with a text and handlers for the sections above. */
static void open_with(struct fake *fake, const char *text)
{
    sl_auto(sl_config) *config = NULL;
    fake->source = (struct sl_config_source){"a.yaml", text, strlen(text)};
    fake->load = (struct sl_config_options){.root = &sl_conf_root, .sources = &fake->source, .source_count = 1};
    assert_int_equal(sl_config_load(&fake->load, &config, NULL), 0);
    assert_int_equal(sl_reload_open(&fake->load, config, &fake->reload), 0);
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        const struct sl_reload_handler handler = {sections[i], fake, prepare, commit, abandon};
        assert_int_equal(sl_reload_register(fake->reload, &handler), 0);
    }
}

static void change_to(struct fake *fake, const char *text)
{
    fake->source = (struct sl_config_source){"a.yaml", text, strlen(text)};
    fake->journal[0] = '\0';
}

/* One reload to `text`; its code and what the handlers were told. */
static void expect_reload(struct fake *fake, const char *text, int code, const char *journal)
{
    change_to(fake, text);
    int got = sl_reload_now(fake->reload);
    if (got != code || strcmp(fake->journal, journal) != 0) {
        print_error("%s\n%s: %s\n---- expected %s:\n%s---- got:\n%s", text, sl_error_name(got),
                    sl_error_message(sl_error_last()), sl_error_name(code), journal, fake->journal);
    }
    assert_int_equal(got, code);
    assert_string_equal(fake->journal, journal);
}

#define A "  a: {kind: stream, venue: binance, instruments: [BTC-USDT], sinks: [db]}\n"
#define B "  b: {kind: book, venue: kraken, instruments: [BTC-USD], sinks: [db]}\n"
#define DB "sinks:\n  db: {kind: sqlite, path: a.db}\n"
#define BASE "services:\n" A B DB

static struct fake *new_fake(const char *text)
{
    struct fake *fake = calloc(1, sizeof *fake);
    assert_non_null(fake);
    open_with(fake, text);
    return fake;
}

static void free_fake(struct fake *fake)
{
    sl_reload_free(fake->reload);
    free(fake);
}

/* Runs `body` in a runtime, with the task of the reload beside it. */
static int run_body(void *arg)
{
    struct {
        int (*body)(struct fake *fake);
        struct fake *fake;
    } *run = arg;
    SL_SCOPE(scope, .name = "test");
    SL_TRY(sl_spawn(&scope, sl_reload_run, run->fake->reload, .daemon = true));
    SL_TRY(sl_quiescent_wait(0));
    int code = sl_scope_close(&scope, run->body(run->fake));
    sl_reload_end(run->fake->reload);
    return code;
}

/* Who sees that a service runs may ask for a reload before anybody listens; and while all ends it does no harm. */
static int early_and_late(void *arg)
{
    struct fake *fake = arg;
    struct sl_reload_status status = {0};
    SL_TRY(sl_reload_start(fake->reload));
    assert_int_equal(raise(SIGHUP), 0);
    fake->journal[0] = '\0';
    change_to(fake, BASE "log: {level: debug}\n");
    SL_SCOPE(scope, .name = "test");
    SL_TRY(sl_spawn(&scope, sl_reload_run, fake->reload, .daemon = true));
    while (status.generation == 0) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
        sl_reload_get_status(fake->reload, &status);
    }
    assert_string_equal(fake->journal, "prepare live log\ncommit live log\n");
    int code = sl_scope_close(&scope, 0);
    sl_reload_stop(fake->reload);
    assert_int_equal(raise(SIGHUP), 0);
    SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    sl_reload_end(fake->reload);
    return code;
}

static void a_hangup_before_and_after_is_survived(void **state)
{
    (void)state;
    struct fake *fake = new_fake(BASE);
    assert_int_equal(sl_run(NULL, early_and_late, fake, NULL), 0);
    free_fake(fake);
}

static void in_runtime(const char *text, int (*body)(struct fake *fake))
{
    struct {
        int (*body)(struct fake *fake);
        struct fake *fake;
    } run = {body, new_fake(text)};
    assert_int_equal(sl_run(NULL, run_body, &run, NULL), 0);
    free_fake(run.fake);
}

/* ---- the cases ---- */

static int starts_and_stops(struct fake *fake)
{
    fake->journal[0] = '\0';
    assert_int_equal(sl_reload_start(fake->reload), 0);
    assert_string_equal(fake->journal,
                        "prepare added log\nprepare added admin\nprepare added sinks.db\nprepare added services.a\n"
                        "prepare added services.b\ncommit added log\ncommit added admin\ncommit added sinks.db\n"
                        "commit added services.a\ncommit added services.b\n");
    fake->journal[0] = '\0';
    sl_reload_stop(fake->reload);
    assert_string_equal(fake->journal, "commit removed services.a\ncommit removed services.b\ncommit removed sinks.db\n"
                                       "commit removed admin\ncommit removed log\n");
    fake->refuses = "sinks.db";
    fake->journal[0] = '\0';
    assert_int_equal(sl_reload_start(fake->reload), SL_EBUSY);
    assert_string_equal(fake->journal, "prepare added log\nprepare added admin\nprepare added sinks.db\n"
                                       "abandon added admin\nabandon added log\n");
    return 0;
}

static void all_is_added_at_the_start_and_removed_at_the_end(void **state)
{
    (void)state;
    in_runtime(BASE, starts_and_stops);
}

#define BOTH(line) "prepare " line "\ncommit " line "\n"

static int tells_differences(struct fake *fake)
{
    expect_reload(fake, BASE, 0, "");
    expect_reload(fake, "services:\n" A DB, 0, BOTH("removed services.b"));
    expect_reload(fake, BASE, 0, BOTH("added services.b"));
    expect_reload(fake, BASE "log: {level: debug}\n", 0, BOTH("live log"));
    expect_reload(fake, BASE, 0, BOTH("live log"));
    /* Instruments in place, the depth of a book not. */
    expect_reload(fake, "services:\n" A "  b: {kind: book, venue: kraken, instruments: [BTC-*], sinks: [db]}\n" DB, 0,
                  BOTH("live services.b"));
    expect_reload(fake,
                  "services:\n" A "  b: {kind: book, venue: kraken, instruments: [BTC-*], depth: 10, sinks: [db]}\n" DB,
                  0, BOTH("restart services.b"));
    expect_reload(fake, BASE, 0, BOTH("restart services.b"));
    /* Disabled is gone. */
    expect_reload(fake,
                  "services:\n" A
                  "  b: {enabled: false, kind: book, venue: kraken, instruments: [BTC-USD], sinks: [db]}\n" DB,
                  0, BOTH("removed services.b"));
    expect_reload(fake,
                  "services:\n" A
                  "  b: {enabled: false, kind: book, venue: kraken, instruments: [X-USD], sinks: [db]}\n" DB,
                  0, "");
    expect_reload(fake, BASE, 0, BOTH("added services.b"));
    /* Another kind under the same name. */
    expect_reload(fake, "services:\n" A "  b: {kind: stream, venue: kraken, instruments: [BTC-USD], sinks: [db]}\n" DB,
                  0, BOTH("restart services.b"));
    expect_reload(fake, BASE, 0, BOTH("restart services.b"));
    struct sl_reload_status status;
    sl_reload_get_status(fake->reload, &status);
    assert_int_equal(status.generation, 12); /* with the one that concerned nobody */
    assert_int_equal(status.last_code, 0);
    assert_int_equal(status.refused, 0);
    assert_true(status.last_wall_ns > 0);
    return 0;
}

static void only_what_differs_is_told(void **state)
{
    (void)state;
    in_runtime(BASE, tells_differences);
}

static int keeps_the_order(struct fake *fake)
{
    expect_reload(
        fake,
        "services:\n" A "  c: {kind: book, venue: kraken, instruments: [BTC-USD], sinks: [new], limit: l}\n"
        "sinks:\n  new: {kind: sqlite, path: b.db}\n  db: {kind: sqlite, path: c.db}\n"
        "limits: {l: {rates: [{rate: 1/1s}]}}\n",
        0,
        "prepare added limits.l\nprepare restart sinks.db\nprepare added sinks.new\nprepare removed services.b\n"
        "prepare added services.c\ncommit added limits.l\ncommit restart sinks.db\ncommit added sinks.new\n"
        "commit removed services.b\ncommit added services.c\n");
    expect_reload(fake, BASE, 0,
                  "prepare restart sinks.db\nprepare removed services.c\nprepare added services.b\n"
                  "prepare removed sinks.new\nprepare removed limits.l\n"
                  "commit restart sinks.db\ncommit removed services.c\ncommit added services.b\n"
                  "commit removed sinks.new\ncommit removed limits.l\n");
    return 0;
}

static void what_is_used_comes_first_and_goes_last(void **state)
{
    (void)state;
    in_runtime(BASE, keeps_the_order);
}

static int follows_surroundings(struct fake *fake)
{
    /* Values of a policy change in place, also for those who use it; a service begins anew when it gets another, or one that begins anew. */
    expect_reload(fake, BASE "limits: {binance-rest: {rates: [{rate: 10/1s}]}}\n", 0,
                  "prepare added limits.binance-rest\nprepare restart services.a\n"
                  "commit added limits.binance-rest\ncommit restart services.a\n");
    expect_reload(fake, BASE "limits: {binance-rest: {rates: [{rate: 20/1s}]}}\n", 0,
                  "prepare live limits.binance-rest\nprepare live services.a\n"
                  "commit live limits.binance-rest\ncommit live services.a\n");
    expect_reload(fake, BASE "limits: {binance-rest: {rates: [{rate: 20/1s}], dialect: bapi}}\n", 0,
                  "prepare restart limits.binance-rest\nprepare restart services.a\n"
                  "commit restart limits.binance-rest\ncommit restart services.a\n");
    expect_reload(fake, BASE, 0,
                  "prepare restart services.a\nprepare removed limits.binance-rest\n"
                  "commit restart services.a\ncommit removed limits.binance-rest\n");
    expect_reload(fake, BASE "retry: {default: {attempts: 3}}\n", 0,
                  "prepare added retry.default\nprepare restart services.a\nprepare restart services.b\n"
                  "commit added retry.default\ncommit restart services.a\ncommit restart services.b\n");
    expect_reload(fake, BASE "retry: {default: {attempts: 4}}\n", 0,
                  "prepare live retry.default\nprepare live services.a\nprepare live services.b\n"
                  "commit live retry.default\ncommit live services.a\ncommit live services.b\n");
    expect_reload(fake, BASE "retry: {default: {attempts: 4}}\nvenues: {kraken: {rest: 'http://127.0.0.1:1'}}\n", 0,
                  BOTH("restart services.b"));
    expect_reload(fake,
                  BASE "retry: {default: {attempts: 4}}\nvenues: {kraken: {rest: 'http://127.0.0.1:2'}, okx: {}}\n", 0,
                  BOTH("restart services.b"));
    return 0;
}

static void services_follow_their_venue_and_policies(void **state)
{
    (void)state;
    in_runtime(BASE, follows_surroundings);
}

static int refuses(struct fake *fake)
{
    struct sl_reload_status status;
    expect_reload(fake, BASE "log: {levle: debug}\n", SL_EINVAL, "");
    sl_reload_get_status(fake->reload, &status);
    assert_string_equal(status.last_text,
                        "not reloaded, the old one stays: a.yaml:6:7: log.levle: unknown key; did you mean "
                        "\"level\"?");
    expect_reload(fake, BASE "log: {levle: debug, lvel: 5, l: x}\n", SL_EINVAL, "");
    sl_reload_get_status(fake->reload, &status);
    assert_non_null(strstr(status.last_text, " (and 2 more)"));
    assert_int_equal(status.last_code, SL_EINVAL);
    assert_non_null(strstr(sl_error_message(sl_error_last()), "did you mean"));
    expect_reload(fake, BASE "log: {level: debug}\ncoordination: {group: x}\nadmin: {listen: '127.0.0.1:1'}\n",
                  SL_ENOTSUP, "");
    sl_reload_get_status(fake->reload, &status);
    assert_string_equal(status.last_text, "not reloaded, the old one stays: 2 changes need a new process "
                                          "(coordination.group, admin.listen); nothing was changed");
    /* Nobody handles bulkheads here. */
    expect_reload(fake, BASE "log: {level: debug}\nbulkheads: {b: {}}\n", SL_ENOTSUP, "");
    sl_reload_get_status(fake->reload, &status);
    assert_string_equal(status.last_text, "not reloaded, the old one stays: bulkheads.b cannot be changed while the "
                                          "program runs; it needs a new process");
    assert_int_equal(status.refused, 4);
    assert_int_equal(status.generation, 0);
    /* A handler that refuses: those before it undo what they prepared, the last first. */
    fake->refuses = "services.c";
    expect_reload(fake, BASE "log: {level: debug}\nlimits: {l: {rates: [{rate: 1/1s}]}}\n", 0,
                  "prepare live log\nprepare added limits.l\ncommit live log\ncommit added limits.l\n");
    expect_reload(fake, "services:\n" A "  c: {kind: book, venue: kraken, instruments: [BTC-USD], sinks: [db]}\n" DB,
                  SL_EBUSY,
                  "prepare live log\nprepare removed services.b\nprepare added services.c\n"
                  "abandon removed services.b\nabandon live log\n");
    assert_string_equal(sl_error_message(sl_error_last()), "not reloaded, the old one stays: services.c is busy");
    sl_auto(sl_config) *current = sl_reload_current(fake->reload);
    assert_non_null(sl_conf_service_find(conf_of(current), "b"));
    assert_null(sl_conf_service_find(conf_of(current), "c"));
    assert_int_equal(conf_of(current)->log.level, SL_LOG_DEBUG);
    return 0;
}

static void a_bad_one_changes_nothing_and_says_so(void **state)
{
    (void)state;
    in_runtime(BASE, refuses);
}

static int merges(struct fake *fake)
{
    sl_event hold = SL_EVENT_INIT;
    struct sl_reload_status status;
    fake->hold = &hold;
    change_to(fake, BASE "log: {level: debug}\n");
    sl_reload_request(fake->reload);
    while (fake->held == 0) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
    }
    change_to(fake, BASE "log: {level: error}\n"); /* while the first is under way: 100 that are one */
    for (int i = 0; i < 50; i++) {
        sl_reload_request(fake->reload);
        assert_int_equal(raise(SIGHUP), 0);
    }
    sl_event_set(&hold);
    fake->hold = NULL;
    SL_TRY(sl_reload_now(fake->reload));
    sl_reload_get_status(fake->reload, &status);
    assert_int_equal(status.generation, 2);
    assert_string_equal(fake->journal, BOTH("live log"));
    return 0;
}

static void requests_that_come_together_are_one(void **state)
{
    (void)state;
    in_runtime(BASE, merges);
}

/* Who asks for a reload that changes nothing is told so, also after one that was refused. */
static int tells_that_nothing_changed(struct fake *fake)
{
    struct sl_reload_status status;
    expect_reload(fake, BASE "log: {levle: debug}\n", SL_EINVAL, "");
    expect_reload(fake, BASE, 0, "");
    sl_reload_get_status(fake->reload, &status);
    assert_string_equal(status.last_text, "read again; nothing has changed");
    assert_int_equal(status.last_code, 0);
    assert_int_equal(status.generation, 0);
    return 0;
}

static void a_reload_that_changes_nothing_says_so(void **state)
{
    (void)state;
    in_runtime(BASE, tells_that_nothing_changed);
}

static int heeds_signals(struct fake *fake)
{
    struct sl_reload_status status = {0};
    change_to(fake, BASE "log: {level: debug}\n");
    assert_int_equal(raise(SIGHUP), 0);
    while (status.generation == 0) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(1)));
        sl_reload_get_status(fake->reload, &status);
    }
    assert_string_equal(fake->journal, BOTH("live log"));
    return 0;
}

static void a_hangup_reloads(void **state)
{
    (void)state;
    in_runtime(BASE, heeds_signals);
}

/* Each allocation of start and reload fails in turn: nothing is half done, nothing is lost. */
static int runs_short(struct fake *fake)
{
    static const char after[] = BASE "retry: {default: {attempts: 3}}\nlog: {level: debug}\n";
    static const char journal[] = "prepare live log\nprepare added retry.default\nprepare restart services.a\n"
                                  "prepare restart services.b\ncommit live log\ncommit added retry.default\n"
                                  "commit restart services.a\ncommit restart services.b\n";
    int failures = 0;
    for (int64_t n = 0;; n++) {
        fake->journal[0] = '\0';
        sl_memory_fail_after(n);
        int code = sl_reload_start(fake->reload);
        bool failed = sl_memory_failed() != 0;
        sl_memory_fail_after(-1);
        assert_true(code == 0 || (failed && code == SL_ENOMEM && strstr(fake->journal, "commit") == NULL));
        failures += failed;
        if (!failed) {
            break;
        }
    }
    assert_true(failures > 0);
    for (int64_t n = 0;; n++) {
        change_to(fake, after);
        sl_memory_fail_after(n);
        int code = sl_reload_now(fake->reload);
        bool failed = sl_memory_failed() != 0;
        sl_memory_fail_after(-1);
        if (code == 0) {
            assert_string_equal(fake->journal, journal);
            change_to(fake, BASE);
            assert_int_equal(sl_reload_now(fake->reload), 0);
        } else {
            assert_true(failed);
            assert_null(strstr(fake->journal, "commit"));
        }
        failures += failed;
        if (!failed) {
            break;
        }
    }
    print_message("%d allocations\n", failures);
    assert_true(failures > 10);
    return 0;
}

static void memory_that_is_short_changes_nothing(void **state)
{
    (void)state;
    in_runtime(BASE, runs_short);
}

static void handlers_are_checked(void **state)
{
    (void)state;
    struct fake *fake = new_fake(BASE);
    const struct sl_reload_handler none = {"nothing", fake, prepare, commit, abandon};
    const struct sl_reload_handler again = {"sinks", fake, prepare, commit, abandon};
    const struct sl_reload_handler idle = {"runtime", fake, prepare, NULL, abandon};
    assert_int_equal(sl_reload_register(fake->reload, &none), SL_EINVAL);
    assert_int_equal(sl_reload_register(fake->reload, &again), SL_EEXIST);
    assert_int_equal(sl_reload_register(fake->reload, &idle), SL_EINVAL);
    assert_int_equal(sl_reload_now(fake->reload), SL_ECLOSED);
    free_fake(fake);
    sl_reload_free(NULL);
}

SL_TEST_MAIN(cmocka_unit_test(all_is_added_at_the_start_and_removed_at_the_end),
             cmocka_unit_test(only_what_differs_is_told), cmocka_unit_test(what_is_used_comes_first_and_goes_last),
             cmocka_unit_test(services_follow_their_venue_and_policies),
             cmocka_unit_test(a_bad_one_changes_nothing_and_says_so),
             cmocka_unit_test(requests_that_come_together_are_one),
             cmocka_unit_test(a_reload_that_changes_nothing_says_so), cmocka_unit_test(a_hangup_reloads),
             cmocka_unit_test(a_hangup_before_and_after_is_survived),
             cmocka_unit_test(memory_that_is_short_changes_nothing), cmocka_unit_test(handlers_are_checked))
