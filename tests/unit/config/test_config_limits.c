/* SPDX-License-Identifier: MIT */
/* Inputs made to hurt: each is refused with a clear error, within a second and 64 MiB. */
#include "config_support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sluice/runtime.h"

#define SECONDS_MAX 1.0
#define MEMORY_KIB_MAX 65536L
#define HUGE_BYTES 100000000L

struct big {
    char *text;
    size_t bytes, capacity;
};

static void add(struct big *big, const char *text)
{
    size_t bytes = strlen(text);
    while (big->bytes + bytes + 1 > big->capacity) {
        big->capacity = big->capacity == 0 ? 65536 : big->capacity * 2;
        big->text = realloc(big->text, big->capacity);
        assert_non_null(big->text);
    }
    memcpy(big->text + big->bytes, text, bytes + 1);
    big->bytes += bytes;
}

static void repeat(struct big *big, const char *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add(big, text);
    }
}

/* The most memory this process has had, in KiB. */
static long memory_peak(void)
{
    char text[4096];
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    size_t bytes = fread(text, 1, sizeof text - 1, file);
    text[bytes] = '\0';
    assert_int_equal(fclose(file), 0);
    const char *at = strstr(text, "VmHWM:");
    assert_non_null(at);
    return strtoll(at + 6, NULL, 10);
}

static double seconds(void)
{
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Takes and frees the text. `part` of the report; NULL: it is fine. */
static void measure(struct big *big, const char *part)
{
    FILE *reset = fopen("/proc/self/clear_refs", "w"); /* the peak begins anew, where the kernel allows it */
    if (reset != NULL) {
        (void)fputs("5", reset);
        (void)fclose(reset);
    }
    long before = memory_peak();
    double begin = seconds();
    if (part != NULL) {
        assert_refused_bytes(big->text, big->bytes, part);
    } else {
        sl_config_unref(loaded(big->text));
    }
    double took = seconds() - begin;
    long peak = memory_peak() - before;
    print_message("%s: %.3f s, %ld KiB\n", part == NULL ? "loaded" : part, took, peak);
    assert_true(took < SECONDS_MAX * SL_TEST_SLOWER);
    assert_true(SL_TEST_SLOWER > 1 || peak < MEMORY_KIB_MAX);
    free(big->text);
    *big = (struct big){NULL, 0, 0};
}

static void aliases_that_multiply(void **state)
{
    (void)state;
    struct big big = {NULL, 0, 0};
    add(&big, "a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (int name = 'b'; name <= 'j'; name++) {
        char line[128];
        (void)snprintf(line, sizeof line, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", name, name, name - 1,
                       name - 1, name - 1, name - 1, name - 1, name - 1, name - 1, name - 1, name - 1);
        add(&big, line);
    }
    measure(&big, "with what the alias *e brings the file is too large; expected at most 100000 values and 24 levels");

    add(&big, "a: &a { k0: x }\n"); /* the same by merge keys, which add little each */
    for (int i = 1; i < 250; i++) {
        char line[128];
        (void)snprintf(line, sizeof line, "b%d: &b%d { <<: *%s%.0d, k%d: { <<: *a } }\n", i, i, i == 1 ? "a" : "b",
                       i == 1 ? 0 : i - 1, i);
        add(&big, line);
    }
    measure(&big, "unknown key");

    add(&big, "a0: &a0 [x]\n"); /* deeper and deeper by names */
    for (int i = 1; i < 100; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "a%d: &a%d [*a%d]\n", i, i, i - 1);
        add(&big, line);
    }
    measure(&big, "24 levels");
}

static void too_many_of_all(void **state)
{
    (void)state;
    struct big big = {NULL, 0, 0};
    add(&big, "values:\n  ports: [");
    repeat(&big, "1,", 1000000);
    add(&big, "1]\n");
    measure(&big, "too many values; expected at most 100000");

    for (int i = 0; i < 400; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "- &a%d x\n", i);
        add(&big, line);
    }
    measure(&big, "too many anchors; expected at most 256 in a file");

    for (int i = 0; i < 90000; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "key%05d: x\n", i);
        add(&big, line);
    }
    measure(&big, "and 89900 more");

    repeat(&big, "values: {}\n", 90000);
    measure(&big, "and 89899 more");

    add(&big, "values: { label: ");
    repeat(&big, "x", 4000000);
    add(&big, " }\n");
    measure(&big, "a text of 4000000 bytes; expected at most 65536");

    add(&big, "values: { label: \"");
    repeat(&big, "x", 4000000);
    measure(&big, "found unexpected end of stream");

    repeat(&big, "- ", 2000000);
    measure(&big, "nested too deeply; expected at most 24 levels");
    repeat(&big, "[", 4000000);
    measure(&big, "nested too deeply");
    repeat(&big, "{a: ", 1000000);
    measure(&big, "nested too deeply");
    repeat(&big, "? ", 2000000);
    measure(&big, "stands as a key");

    repeat(&big, "#\n", 2000000); /* nothing but comments is fine */
    measure(&big, NULL);
    repeat(&big, "\n", 4000000);
    measure(&big, NULL);
}

/* 4 MiB of one error in one line: 100 excerpts of it. */
static void many_errors_in_one_long_line(void **state)
{
    (void)state;
    struct big big = {NULL, 0, 0};
    add(&big, "services: { ");
    for (int i = 0; i < 20000; i++) {
        char text[200];
        (void)snprintf(text, sizeof text,
                       "service-with-a-long-name-%d: { connections: 9, limit: some-limit-%d, unknown: \"%s\" }, ", i, i,
                       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        add(&big, text);
    }
    add(&big, "}");
    measure(&big, "and 59900 more");
}

static const char *large_env(void *arg, const char *name)
{
    (void)name;
    return arg;
}

static void variables_that_multiply(void **state)
{
    (void)state;
    struct big big = {NULL, 0, 0};
    add(&big, "values: { on: [");
    repeat(&big, "'${X}',", 20000);
    add(&big, "x], label: '");
    repeat(&big, "${X}", 10000);
    add(&big, "' }\n");
    char *value = calloc(1, 60001);
    assert_non_null(value);
    memset(value, 'x', 60000);
    const struct sl_config_source source = {"a.yaml", big.text, big.bytes};
    sl_config *config = NULL;
    sl_config_report *report = NULL;
    double begin = seconds();
    assert_int_equal(sl_config_load(&(struct sl_config_options){.root = &program_section,
                                                                .sources = &source,
                                                                .source_count = 1,
                                                                .get_env = large_env,
                                                                .env_arg = value},
                                    &config, &report),
                     SL_EINVAL);
    assert_true(seconds() - begin < SECONDS_MAX * SL_TEST_SLOWER);
    assert_non_null(strstr(sl_config_report_text(report),
                           "the configuration is too large; expected one that takes at most 32 MiB"));
    sl_config_report_free(report);
    free(value);
    free(big.text);
}

static void files_that_are_none(void **state)
{
    (void)state;
    char huge[] = "/tmp/sluice-config-XXXXXX";
    int descriptor = mkstemp(huge);
    assert_true(descriptor >= 0);
    assert_int_equal(ftruncate(descriptor, HUGE_BYTES), 0);
    assert_int_equal(close(descriptor), 0);
    const struct {
        const char *path, *part;
    } rows[] = {
        {huge, ": too large; expected at most 4 MiB a file and 8 MiB in all"},
        {"/nonexistent/a.yaml", "/nonexistent/a.yaml: cannot be read: not found; expected a YAML file"},
        {"/tmp", "/tmp: cannot be read: it is a directory; expected a YAML file"},
        {"/dev/zero", "/dev/zero: too large"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        sl_config *config = NULL;
        sl_config_report *report = NULL;
        const struct sl_config_source source = {rows[i].path, NULL, 0};
        double begin = seconds();
        assert_int_equal(
            sl_config_load(&(struct sl_config_options){.root = &program_section, .sources = &source, .source_count = 1},
                           &config, &report),
            SL_EINVAL);
        assert_true(seconds() - begin < SECONDS_MAX * SL_TEST_SLOWER);
        assert_non_null(strstr(sl_config_report_text(report), rows[i].part));
        sl_config_report_free(report);
    }
    assert_int_equal(unlink(huge), 0);
}

static void too_many_sources(void **state)
{
    (void)state;
    static struct sl_config_source sources[SL_CONFIG_SOURCES_MAX + 1];
    static const char *sets[SL_CONFIG_SETS_MAX + 1];
    for (size_t i = 0; i <= SL_CONFIG_SOURCES_MAX; i++) {
        sources[i] = (struct sl_config_source){"a.yaml", "", 0};
    }
    for (size_t i = 0; i <= SL_CONFIG_SETS_MAX; i++) {
        sets[i] = "values.count=5";
    }
    for (size_t i = 0; i < 3; i++) {
        sl_config *config = NULL;
        sl_config_report *report = NULL;
        struct sl_config_options options = {.root = &program_section,
                                            .sources = sources,
                                            .source_count = SL_CONFIG_SOURCES_MAX + (i == 1),
                                            .sets = sets,
                                            .set_count = SL_CONFIG_SETS_MAX + (i == 2)};
        assert_int_equal(sl_config_load(&options, &config, &report), i == 0 ? 0 : SL_EINVAL);
        assert_true(i == 0 || strstr(sl_config_report_text(report), "expected at most 64 and 256") != NULL);
        sl_config_unref(config);
        sl_config_report_free(report);
    }
}

/* As deep as it goes, with errors and secrets on all levels, on the stack of a task. */
static int load_deep(void *arg)
{
    static const char text[] =
        "limits: {a: {rates: [{rate: 1/s, cots: [[[[[[[[[[[[[[[[[['${X}']]]]]]]]]]]]]]]]]]}]}}\n"
        "services: {s: {sinks: [a], tls: {certificate: !secret env:NONE, key: {a: {b: {c: {d: {e: x}}}}}}}}\n"
        "values: {token: x, url: 'https://u:p@', count: '${NONE:?none}'}\n";
    sl_config *config = NULL;
    sl_config_report *report = NULL;
    int code = load_text(text, strlen(text), &config, &report);
    *(size_t *)arg = sl_config_report_count(report);
    sl_config_report_free(report);
    return code == SL_EINVAL ? 0 : SL_EINTERNAL;
}

static void a_task_can_load(void **state)
{
    (void)state;
    size_t problems = 0;
    assert_int_equal(sl_run(NULL, load_deep, &problems, NULL), 0);
    assert_int_equal(problems, 8); /* with the sink that is not there */
}

/* Wrong tables are misuse, and the report names the key. */
static void tables_that_are_wrong(void **state)
{
    (void)state;
    struct bad {
        int64_t number;
        struct sl_config_list list;
    };
    static const struct sl_config_field fields[][1] = {
        {{SL_CONFIG_AT(struct bad, number), .type = SL_CONFIG_BOOL}},
        {{SL_CONFIG_AT(struct bad, number), .type = SL_CONFIG_INT, .default_text = "many"}},
        {{SL_CONFIG_AT(struct bad, number), .type = SL_CONFIG_INT, .default_text = "5", .max = "4"}},
        {{SL_CONFIG_AT(struct bad, number), .type = SL_CONFIG_INT, .default_text = "5", .max = "four"}},
        {{SL_CONFIG_AT(struct bad, list), .type = SL_CONFIG_LIST}},
        {{SL_CONFIG_AT(struct bad, list), .type = SL_CONFIG_LIST, .element = &port, .default_text = "[1"}},
        {{SL_CONFIG_AT(struct bad, list), .type = SL_CONFIG_LIST, .element = &port, .default_text = "5"}},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const struct sl_config_section section = {SL_CONFIG_TABLE("bad", struct bad, fields[i])};
        sl_config *config = NULL;
        sl_config_report *report = NULL;
        assert_int_equal(sl_config_load(&(struct sl_config_options){.root = &section}, &config, &report), SL_EMISUSE);
        assert_non_null(report);
        sl_config_report_free(report);
    }
}

SL_TEST_MAIN(cmocka_unit_test(aliases_that_multiply), cmocka_unit_test(too_many_of_all),
             cmocka_unit_test(many_errors_in_one_long_line), cmocka_unit_test(variables_that_multiply),
             cmocka_unit_test(files_that_are_none), cmocka_unit_test(too_many_sources),
             cmocka_unit_test(tables_that_are_wrong), cmocka_unit_test(a_task_can_load))
