/* SPDX-License-Identifier: MIT */
/* Loading what is right: types and their bounds, defaults, layers, variables, secrets, dumps, memory that runs out. */
#include "config_support.h"

#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

static void defaults_without_a_file(void **state)
{
    (void)state;
    sl_config *config = NULL;
    sl_config_report *report = NULL;
    assert_int_equal(sl_config_load(&(struct sl_config_options){.root = &program_section}, &config, &report), 0);
    assert_null(report);
    const struct program *program = sl_config_root(config);
    const struct values *values = &program->values;
    assert_true(values->flag);
    assert_int_equal(values->offset, -1);
    assert_int_equal(values->count, 5);
    assert_true(values->factor == 1.5);
    assert_string_equal(values->name, "sluice");
    assert_null(values->label);
    assert_int_equal(values->wait, SL_MILLISECONDS(250));
    assert_int_equal(values->room, 65536);
    assert_int_equal(values->rate.count, 1200);
    assert_int_equal(values->rate.period, SL_MINUTES(1));
    assert_true(values->share == 0.2);
    assert_int_equal(values->mode, 1);
    assert_string_equal(values->url.host, "example.org");
    assert_null(values->link.text);
    assert_null(values->token);
    assert_int_equal(values->ports.count, 2);
    assert_int_equal(*(const uint64_t *)sl_config_list_at(&values->ports, 1), 443);
    assert_int_equal(values->on.count, 0);
    assert_int_equal(values->delays.count, 0);
    assert_int_equal(program->services.count, 0);
    assert_null(program->tls);
    sl_config_unref(config);
}

static void every_type_of_a_file(void **state)
{
    (void)state;
    sl_config *config = loaded("values:\n"
                               "  flag: false\n"
                               "  offset: +10\n"
                               "  count: \"0\"\n"
                               "  factor: 2.5e3\n"
                               "  name: 123\n"
                               "  label: |\n"
                               "    two\n"
                               "    lines\n"
                               "  wait: 1m30s\n"
                               "  room: 1.5KiB\n"
                               "  rate: 5/s\n"
                               "  share: 100%\n"
                               "  mode: none\n"
                               "  url: wss://me%40home:a%3ab@[::1]:9443/ws?x=1\n"
                               "  link: unix:///run/x.sock\n"
                               "  token: 'true'\n"
                               "  ports: [1, 65535]\n"
                               "  on: [timeout, connect]\n"
                               "  delays: { b: 1s, a: 0 }\n"
                               "tls: { certificate: c, key: k }\n");
    const struct program *program = sl_config_root(config);
    const struct values *values = &program->values;
    assert_false(values->flag);
    assert_int_equal(values->offset, 10);
    assert_int_equal(values->count, 0);
    assert_true(values->factor == 2500);
    assert_string_equal(values->name, "123");
    assert_string_equal(values->label, "two\nlines\n");
    assert_int_equal(values->wait, SL_SECONDS(90));
    assert_int_equal(values->room, 1536);
    assert_int_equal(values->rate.count, 5);
    assert_int_equal(values->rate.period, SL_SECONDS(1));
    assert_true(values->share == 1);
    assert_int_equal(values->mode, 0);
    assert_string_equal(values->url.scheme, "wss");
    assert_string_equal(values->url.user, "me@home");
    assert_string_equal(values->url.password, "a:b");
    assert_string_equal(values->url.host, "::1");
    assert_int_equal(values->url.port, 9443);
    assert_string_equal(values->url.path, "/ws?x=1");
    assert_string_equal(values->link.host, "");
    assert_string_equal(values->link.path, "/run/x.sock");
    assert_string_equal(values->token, "true");
    assert_int_equal(*(const int *)sl_config_list_at(&values->on, 0), 2);
    assert_string_equal(values->delays.names[0], "b");
    assert_int_equal(*(const sl_time *)sl_config_map_at(&values->delays, 1), 0);
    assert_int_equal(*(const sl_time *)sl_config_map_find(&values->delays, "b"), SL_SECONDS(1));
    assert_null(sl_config_map_find(&values->delays, "c"));
    assert_string_equal(program->tls->key, "k");
    assert_true(program->tls->verify);
    sl_config_unref(config);
}

/* The last value that is taken and the first that is not, of each type. */
static void bounds_of_every_type(void **state)
{
    (void)state;
    static const struct {
        const char *key, *good, *bad;
    } rows[] = {
        {"offset", "-10", "-11"},
        {"offset", "10", "11"},
        {"count", "0", "-1"},
        {"count", "100", "101"},
        {"factor", "1", "0.999999"},
        {"factor", "1.7976931348623157e308", "1.8e308"},
        {"name", "x", "\"\""},
        {"name", "12345678", "123456789"},
        {"wait", "1ms", "999999ns"},
        {"wait", "1h", "1h1ns"},
        {"room", "0", "-1B"},
        {"room", "1GiB", "1073741825B"},
        {"rate", "1/1ns", "0/1ns"},
        {"rate", "18446744073709551615/d", "18446744073709551616/d"},
        {"share", "0%", "-0.1%"},
        {"share", "100%", "100.01%"},
        {"mode", "equal", "equals"},
        {"url", "https://a:1", "https://a:0"},
        {"url", "https://a:65535", "https://a:65536"},
        {"token", "1234", "123"},
        {"ports", "[1]", "[]"},
        {"ports", "[1, 2, 3]", "[1, 2, 3, 4]"},
        {"ports", "[65535]", "[65536]"},
        {"delays", "{ a: 0, b: 0 }", "{ a: 0, b: 0, c: 0 }"},
        {"delays", "{ a: 9223372036854775806ns }", "{ a: 9223372036854775807ns }"},
        {"flag", "true", "True"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        (void)snprintf(text, sizeof text, "values: { %s: %s }", rows[i].key, rows[i].good);
        sl_config_unref(loaded(text));
        (void)snprintf(text, sizeof text, "values: { %s: %s }", rows[i].key, rows[i].bad);
        assert_refused(text, rows[i].key);
    }
}

static void durations_and_sizes_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } durations[] = {{"1ns", 1},
                     {"1us", 1000},
                     {"1.5ms", 1500000},
                     {"0.000000001s", 1},
                     {"1h", 3600000000000},
                     {"1d2h", 93600000000000},
                     {"1.25h", 4500000000000},
                     {"0", 0}};
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "values: { delays: { a: %s } }", durations[i].text);
        sl_config *config = loaded(text);
        assert_int_equal(*(const sl_time *)sl_config_map_at(&values_of(config)->delays, 0), durations[i].value);
        sl_config_unref(config);
    }
    static const struct {
        const char *text;
        uint64_t value;
    } sizes[] = {{"1B", 1},          {"1KiB", 1024},        {"1kB", 1000},
                 {"1.5MB", 1500000}, {"0.5GiB", 536870912}, {"1MiB", 1048576}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char text[128];
        (void)snprintf(text, sizeof text, "values: { room: %s }", sizes[i].text);
        sl_config *config = loaded(text);
        assert_int_equal(values_of(config)->room, sizes[i].value);
        sl_config_unref(config);
    }
}

static void aliases_and_merge_keys(void **state)
{
    (void)state;
    sl_config *config = loaded("limits:\n"
                               "  a: &a { rates: &r [{ rate: 1/s, cost: 3 }], max_wait: 1s }\n"
                               "  b: { <<: *a, max_wait: 2s }\n"
                               "  c: { max_wait: 3s, <<: [{ min_wait: 1s }, *a] }\n"
                               "  d: *a\n"
                               "  e: { rates: *r }\n");
    const struct program *program = sl_config_root(config);
    const struct limit *b = sl_config_map_find(&program->limits, "b");
    const struct limit *c = sl_config_map_find(&program->limits, "c");
    const struct limit *e = sl_config_map_find(&program->limits, "e");
    assert_int_equal(b->max_wait, SL_SECONDS(2));
    assert_int_equal(c->max_wait, SL_SECONDS(3));
    assert_int_equal(c->min_wait, SL_SECONDS(1));
    assert_int_equal(((const struct rate *)sl_config_list_at(&c->rates, 0))->cost, 3);
    assert_int_equal(((const struct rate *)sl_config_list_at(&e->rates, 0))->cost, 3);
    assert_int_equal(program->limits.count, 5);
    sl_config_unref(config);
}

static void files_and_set_texts_in_order(void **state)
{
    (void)state;
    static const char base[] = "values: { count: 1, wait: 1s, ports: [1, 2], delays: { a: 1s } }\n"
                               "sinks: { a: { kind: file, path: x }, b: { kind: file, path: y } }\n";
    static const char over[] = "values: { count: 2, ports: [3], delays: { b: 2s }, wait: null }\nsinks: { b: null }\n";
    const struct sl_config_source sources[] = {{"base.yaml", base, strlen(base)}, {"over.yaml", over, strlen(over)}};
    static const char *const sets[] = {"values.count=3",
                                       "values.ports[0]=7",
                                       "values.ports[1]=8",
                                       "values.on=[reset]",
                                       "values.name=a: b",
                                       "values.label=",
                                       "sinks.c={kind: file, path: 'z'}",
                                       "sinks.\"d.e\".kind=file",
                                       "sinks.\"d.e\".path=\"\\u00e4\"",
                                       "limits.l.rates[0].rate=5/s",
                                       "values.delays.a=~"};
    sl_config *config = NULL;
    sl_config_report *report = NULL;
    assert_int_equal(sl_config_load(&(struct sl_config_options){.root = &program_section,
                                                                .sources = sources,
                                                                .source_count = 2,
                                                                .sets = sets,
                                                                .set_count = sizeof sets / sizeof sets[0]},
                                    &config, &report),
                     0);
    assert_null(report);
    const struct program *program = sl_config_root(config);
    assert_int_equal(program->values.count, 3);
    assert_int_equal(program->values.wait, SL_MILLISECONDS(250));
    assert_int_equal(program->values.ports.count, 2);
    assert_int_equal(*(const uint64_t *)sl_config_list_at(&program->values.ports, 1), 8);
    assert_string_equal(program->values.name, "a: b");
    assert_string_equal(program->values.label, "");
    assert_int_equal(program->values.delays.count, 1);
    assert_string_equal(program->values.delays.names[0], "b");
    assert_int_equal(program->sinks.count, 3);
    assert_null(sl_config_map_find(&program->sinks, "b"));
    const struct sl_config_variant *odd = sl_config_map_find(&program->sinks, "d.e");
    assert_ptr_equal(odd->kind, &file_kind);
    assert_string_equal(((const struct file_sink *)odd->value)->path, "\xc3\xa4");
    const struct limit *limit = sl_config_map_find(&program->limits, "l");
    assert_int_equal(limit->rates.count, 1);
    sl_config_unref(config);
}

static const char *fixed_env(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "PORT") == 0      ? "8080"
           : strcmp(name, "EMPTY") == 0   ? ""
           : strcmp(name, "YAML") == 0    ? "x: [1, 2] # {"
           : strcmp(name, "BAD") == 0     ? "\xff"
           : strcmp(name, "TOKEN") == 0   ? "hunter2"
           : strcmp(name, "DOLLARS") == 0 ? "${PORT}$$"
                                          : NULL;
}

static sl_config *load_with_env(const char *text, int expected, sl_config_report **report)
{
    sl_config *config = NULL;
    const struct sl_config_source source = {"a.yaml", text, strlen(text)};
    int code = sl_config_load(
        &(struct sl_config_options){
            .root = &program_section, .sources = &source, .source_count = 1, .get_env = fixed_env},
        &config, report);
    if (code != expected) {
        print_error("%s", sl_config_report_text(*report));
    }
    assert_int_equal(code, expected);
    return config;
}

static void variables_become_text_only(void **state)
{
    (void)state;
    static const struct {
        const char *text, *label;
    } rows[] = {
        {"\"a ${PORT} b\"", "a 8080 b"}, {"${NONE:-x: y}", NULL},       {"'${NONE:-a}${EMPTY:-b}${EMPTY}'", "ab"},
        {"${YAML}", "x: [1, 2] # {"},    {"$$PORT $5 $", "$PORT $5 $"}, {"$${PORT}", "${PORT}"},
        {"${DOLLARS}", "${PORT}$$"},     {"${PORT:?none}", "8080"},     {"${EMPTY}", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[128];
        sl_config_report *report = NULL;
        (void)snprintf(text, sizeof text, "values:\n  label: %s\n  count: ${N:-7}\n", rows[i].text);
        sl_config *config = load_with_env(text, rows[i].label == NULL ? SL_EINVAL : 0, &report);
        if (rows[i].label != NULL) {
            assert_string_equal(values_of(config)->label, rows[i].label);
            assert_int_equal(values_of(config)->count, 7);
        }
        sl_config_unref(config);
        sl_config_report_free(report);
    }
    sl_config_report *report = NULL;
    assert_null(load_with_env("values: { label: '${BAD}' }", SL_EINVAL, &report));
    assert_non_null(strstr(sl_config_report_text(report), "not UTF-8 when expanded"));
    sl_config_report_free(report);
}

static void write_file(const char *path, const void *data, size_t bytes, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void secrets_of_files_and_environment(void **state)
{
    (void)state;
    char folder[] = "/tmp/sluice-config-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[64];
    char yaml[64];
    (void)snprintf(path, sizeof path, "%s/token", folder);
    (void)snprintf(yaml, sizeof yaml, "%s/a.yaml", folder);
    static const char text[] =
        "values: { token: !secret 'file:token' }\ntls: { certificate: x, key: !secret env:TOKEN }\n";
    write_file(yaml, text, strlen(text), 0644);
    static const struct {
        const char *data;
        size_t bytes;
        mode_t mode;
        int code;
        const char *token, *part;
    } rows[] = {
        {"hunter2\n", 8, 0600, 0, "hunter2", ""},
        {"hunter2\r\n", 9, 0640, 0, "hunter2", ""},
        {"hunter2\n\n", 9, 0600, 0, "hunter2\n", ""},
        {"hunter2", 7, 0644, 0, "hunter2", "warning: values.token: others may read or change the secret's file"},
        {"hunter2", 7, 0660, 0, "hunter2", "(mode 660)"},
        {"\n", 1, 0600, SL_EINVAL, NULL, "is empty"},
        {"", 0, 0600, SL_EINVAL, NULL, "is empty"},
        {"hun\0ter", 7, 0600, SL_EINVAL, NULL, "not UTF-8"},
        {"\xff\xfe", 2, 0600, SL_EINVAL, NULL, "not UTF-8"},
        {"hun", 3, 0600, SL_EINVAL, NULL, "the secret has 3 bytes"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_file(path, rows[i].data, rows[i].bytes, rows[i].mode);
        sl_config *config = NULL;
        sl_config_report *report = NULL;
        const struct sl_config_source source = {yaml, NULL, 0};
        assert_int_equal(sl_config_load(
                             &(struct sl_config_options){
                                 .root = &program_section, .sources = &source, .source_count = 1, .get_env = fixed_env},
                             &config, &report),
                         rows[i].code);
        assert_non_null(strstr(sl_config_report_text(report), rows[i].part));
        assert_null(strstr(sl_config_report_text(report), "hunter2"));
        assert_int_equal(*rows[i].part == '\0', report == NULL);
        if (rows[i].token != NULL) {
            assert_string_equal(values_of(config)->token, rows[i].token);
            assert_string_equal(((const struct program *)sl_config_root(config))->tls->key, "hunter2");
        }
        sl_config_unref(config);
        sl_config_report_free(report);
    }
    char *large = calloc(1, SL_CONFIG_SECRET_BYTES_MAX + 1);
    assert_non_null(large);
    memset(large, 'x', SL_CONFIG_SECRET_BYTES_MAX + 1);
    write_file(path, large, SL_CONFIG_SECRET_BYTES_MAX + 1, 0600);
    sl_config *config = NULL;
    sl_config_report *report = NULL;
    const struct sl_config_source source = {yaml, NULL, 0};
    assert_int_equal(sl_config_load(
                         &(struct sl_config_options){
                             .root = &program_section, .sources = &source, .source_count = 1, .get_env = fixed_env},
                         &config, &report),
                     SL_EINVAL);
    assert_non_null(strstr(sl_config_report_text(report), "is too large; expected at most 65536 bytes"));
    sl_config_report_free(report);
    free(large);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(yaml), 0);
    assert_int_equal(rmdir(folder), 0);
}

#define SAMPLE                                                                                                         \
    "values: { flag: false, label: \"a\\n\\\"$$x\\\" \\e \\u00e4\\u2028\\u0085\", wait: 1m30s, url: "                  \
    "'https://me:hunter2@h/', delays: { \"a b\": 1s, \"null\": 2s } }\n"                                               \
    "limits: { r: { rates: [{ rate: 5/s }, { rate: 9/m, cost: 2 }] } }\n"                                              \
    "sinks: { a: { kind: file, path: 'x y' }, b: { kind: redis, url: 'redis://h', password: !secret env:TOKEN } }\n"   \
    "services: { s: { sinks: [a, b], limit: r, tls: { certificate: c, key: hunter2 } } }\n"

/* Without the comments: where it came from differs. */
static void cut_comments(char *text)
{
    char *out = text;
    for (char *at = text; *at != '\0'; at++) {
        if (strncmp(at, " # ", 3) == 0) {
            at += strcspn(at, "\n");
        }
        *out++ = *at;
    }
    *out = '\0';
}

static void a_dump_can_be_loaded_again(void **state)
{
    (void)state;
    sl_config_report *report = NULL;
    sl_config *config = load_with_env(SAMPLE, 0, &report);
    char *first = NULL;
    assert_int_equal(sl_config_dump(config, &first), 0);
    assert_null(strstr(first, "hunter2"));
    assert_non_null(strstr(first, "  url: \"https://me:***@h/\" # a.yaml:1:"));
    assert_non_null(strstr(first, "  count: 5 # default\n"));
    assert_non_null(strstr(first, "      password: \"***\" # a.yaml:3:") == NULL
                        ? strstr(first, "    password: \"***\" # a.yaml:3:")
                        : first);
    sl_config *again = loaded(first);
    assert_string_equal(values_of(again)->label, values_of(config)->label);
    char *second = NULL;
    assert_int_equal(sl_config_dump(again, &second), 0);
    sl_config *third = loaded(second); /* a default list is one line, one of a file several */
    char *text = NULL;
    assert_int_equal(sl_config_dump(third, &text), 0);
    cut_comments(second);
    cut_comments(text);
    assert_string_equal(second, text);
    sl_config_changes *changes = NULL; /* only what was masked differs */
    assert_int_equal(sl_config_compare(config, again, &changes), 0);
    assert_int_equal(sl_config_changes_count(changes), 3);
    assert_string_equal(sl_config_changes_at(changes, 0)->path, "values.url");
    assert_string_equal(sl_config_changes_at(changes, 1)->path, "sinks.b.password");
    assert_string_equal(sl_config_changes_at(changes, 2)->path, "services.s.tls.key");
    sl_config_changes_free(changes);
    sl_config_unref(third);
    sl_free(text);
    sl_free(first);
    sl_free(second);
    sl_config_unref(config);
    sl_config_unref(again);
}

/* Everything that a load, a dump, a schema, a reference page and a comparison allocate, refused one by one. */
static int all_at_once(void)
{
    sl_auto(sl_config) *config = NULL;
    sl_auto(sl_config) *other = NULL;
    sl_auto(sl_config_report) *report = NULL;
    sl_auto(sl_config_changes) *changes = NULL;
    char *texts[3] = {NULL, NULL, NULL};
    static const char *const sets[] = {"values.ports[0]=5", "limits.r.rates=[{rate: 1/s}]", "sinks.c.kind=file",
                                       "sinks.c.path=x"};
    const struct sl_config_source sources[] = {{"a.yaml", SAMPLE, strlen(SAMPLE)}, {"b.yaml", "limits: {}", 10}};
    struct sl_config_options options = {.root = &program_section,
                                        .sources = sources,
                                        .source_count = 2,
                                        .sets = sets,
                                        .set_count = 4,
                                        .get_env = fixed_env};
    SL_TRY(sl_config_load(&options, &config, &report));
    options.set_count = 0;
    SL_TRY(sl_config_load(&options, &other, NULL));
    SL_TRY(sl_config_compare(config, other, &changes));
    int code = sl_config_dump(config, &texts[0]);
    code = code == 0 ? sl_config_schema(&program_section, NULL, &texts[1]) : code;
    code = code == 0 ? sl_config_reference(&program_section, &texts[2]) : code;
    for (size_t i = 0; i < 3; i++) {
        sl_free(texts[i]);
    }
    return code;
}

static int bad_text(void)
{
    sl_config *config = NULL;
    sl_config_report *report = NULL;
    static const char text[] = "values: { cuont: 1, mode: ful, token: x, wait: 5 }\nsinks: { a: { kind: x }, b: 5 "
                               "}\nlimits: { a: {} }\nservices: { s: { sinks: [q] } }\nx: [";
    int code = load_text(text, strlen(text), &config, &report);
    assert_null(config);
    sl_config_report_free(report);
    return code == SL_EINVAL ? 0 : code;
}

static void fail_each(int (*what)(void))
{
    int64_t before = sl_memory_held();
    assert_int_equal(what(), 0);
    assert_int_equal(sl_memory_held(), before);
    int64_t n = 0;
    for (;; n++) {
        sl_memory_fail_after(n);
        int code = what();
        int failed = sl_memory_failed();
        sl_memory_fail_after(-1);
        assert_int_equal(sl_memory_held(), before);
        if (!failed) {
            assert_int_equal(code, 0);
            break;
        }
        if (code != SL_ENOMEM) {
            print_error("allocation %lld\n", (long long)n);
        }
        assert_int_equal(code, SL_ENOMEM);
    }
    print_message("%lld allocations\n", (long long)n);
    assert_true(n > 10);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    fail_each(all_at_once);
    fail_each(bad_text);
}

SL_TEST_MAIN(cmocka_unit_test(defaults_without_a_file), cmocka_unit_test(every_type_of_a_file),
             cmocka_unit_test(bounds_of_every_type), cmocka_unit_test(durations_and_sizes_are_exact),
             cmocka_unit_test(aliases_and_merge_keys), cmocka_unit_test(files_and_set_texts_in_order),
             cmocka_unit_test(variables_become_text_only), cmocka_unit_test(secrets_of_files_and_environment),
             cmocka_unit_test(a_dump_can_be_loaded_again), cmocka_unit_test(each_allocation_may_fail))
