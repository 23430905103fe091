/* SPDX-License-Identifier: MIT */
/* The text of a scrape: exact, within its limits, and to promtool's liking. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sl_conformance.h"
#include "sluice/metrics.h"

static char *scrape(sl_metrics *metrics)
{
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(sl_metrics_write(metrics, &text, &bytes), 0);
    assert_int_equal(strlen(text), bytes);
    return text;
}

static void expect(sl_metrics *metrics, const char *wanted)
{
    char *text = scrape(metrics);
    if (strstr(text, wanted) == NULL) {
        fail_msg("missing:\n%s\nin:\n%s", wanted, text);
    }
    sl_free(text);
}

static void expect_none(sl_metrics *metrics, const char *unwanted)
{
    char *text = scrape(metrics);
    assert_null(strstr(text, unwanted));
    sl_free(text);
}

static sl_metrics *open_with(const struct sl_metrics_options *options, sl_collect_fn collect, void *arg)
{
    sl_metrics *metrics = NULL;
    assert_int_equal(sl_metrics_open(options, &metrics), 0);
    assert_int_equal(sl_metrics_add(metrics, collect, arg), 0);
    return metrics;
}

static void collect_two(void *arg, sl_scrape *scrape)
{
    const char *feed = arg;
    sl_scrape_counter(scrape, "x_messages_total", "Messages \\ with\na break.", SL_LABELS({"feed", feed}), 7);
    sl_scrape_gauge(scrape, "x_depth", "Depth.", NULL, 0.1);
}

static void text_is_exact(void **state)
{
    (void)state;
    sl_metrics *metrics = open_with(NULL, collect_two, "a\"b\\c\nd");
    char *text = scrape(metrics);
    static const char wanted[] = "# HELP x_messages_total Messages \\\\ with\\na break.\n"
                                 "# TYPE x_messages_total counter\n"
                                 "x_messages_total{feed=\"a\\\"b\\\\c\\nd\"} 7\n"
                                 "# HELP x_depth Depth.\n"
                                 "# TYPE x_depth gauge\n"
                                 "x_depth 0.1\n"
                                 "# HELP sluice_metrics_dropped_series_total ";
    assert_memory_equal(text, wanted, sizeof wanted - 1);
    sl_free(text);
    sl_metrics_free(metrics);
}

static void families_of_several_collectors_come_out_together(void **state)
{
    (void)state;
    sl_metrics *metrics = open_with(NULL, collect_two, "one");
    assert_int_equal(sl_metrics_add(metrics, collect_two, "two"), 0);
    expect(metrics, "x_messages_total{feed=\"one\"} 7\nx_messages_total{feed=\"two\"} 7\n# HELP x_depth");
    expect(metrics, "x_depth 0.1\n# HELP"); /* once */
    expect(metrics, "dropped_series_total{reason=\"duplicate\"} 3\n");
    sl_metrics_remove(metrics, collect_two, "three");
    sl_metrics_remove(metrics, collect_two, "one");
    expect_none(metrics, "feed=\"one\"");
    expect(metrics, "x_messages_total counter\nx_messages_total{feed=\"two\"} 7\n");
    sl_metrics_remove(metrics, collect_two, "two");
    expect_none(metrics, "x_messages_total");
    sl_metrics_free(metrics);
}

static void collect_numbers(void *arg, sl_scrape *scrape)
{
    static const double values[] = {0, 1, -1, 1e300, 0.1, 1.0 / 3, 123456789012345, 2.5e-7, -0.5};
    (void)arg;
    sl_scrape_gauge(scrape, "n", "N.", SL_LABELS({"v", "nan"}), NAN);
    sl_scrape_gauge(scrape, "n", "N.", SL_LABELS({"v", "inf"}), INFINITY);
    sl_scrape_gauge(scrape, "n", "N.", SL_LABELS({"v", "-inf"}), -INFINITY);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const char name[2] = {(char)('a' + i), '\0'};
        sl_scrape_gauge(scrape, "n", "N.", SL_LABELS({"v", name}), values[i]);
    }
    sl_scrape_counter(scrape, "c_total", "C.", NULL, UINT64_MAX);
    sl_scrape_counter_time(scrape, "t_seconds_total", "T.", SL_LABELS({"v", "a"}), SL_SECONDS(3));
    sl_scrape_counter_time(scrape, "t_seconds_total", "T.", SL_LABELS({"v", "b"}), SL_NANOSECONDS(1500000001));
    sl_scrape_counter_time(scrape, "t_seconds_total", "T.", SL_LABELS({"v", "c"}), -1);
}

static void numbers_read_back(void **state)
{
    (void)state;
    sl_metrics *metrics = open_with(NULL, collect_numbers, NULL);
    expect(metrics, "n{v=\"nan\"} NaN\nn{v=\"inf\"} +Inf\nn{v=\"-inf\"} -Inf\nn{v=\"a\"} 0\nn{v=\"b\"} 1\n"
                    "n{v=\"c\"} -1\nn{v=\"d\"} 1e+300\nn{v=\"e\"} 0.1\nn{v=\"f\"} 0.3333333333333333\n"
                    "n{v=\"g\"} 123456789012345\nn{v=\"h\"} 2.5e-07\nn{v=\"i\"} -0.5\n");
    expect(metrics, "c_total 18446744073709551615\n");
    expect(metrics, "{v=\"a\"} 3\nt_seconds_total{v=\"b\"} 1.500000001\nt_seconds_total{v=\"c\"} 0\n");
    sl_metrics_free(metrics);
}

static void collect_histogram(void *arg, sl_scrape *scrape)
{
    sl_scrape_histogram(scrape, "h_seconds", "H.", SL_LABELS({"a", "b"}), arg);
    sl_scrape_histogram(scrape, "bare_seconds", "H.", NULL, arg);
}

static void histograms_are_cumulative(void **state)
{
    (void)state;
    struct sl_histogram histogram = {0};
    sl_histogram_record(&histogram, 1024);
    sl_histogram_record(&histogram, 1025);
    sl_histogram_record(&histogram, 2049);
    sl_histogram_record(&histogram, SL_MINUTES(10));
    sl_metrics *metrics = open_with(NULL, collect_histogram, &histogram);
    expect(metrics, "# TYPE h_seconds histogram\nh_seconds_bucket{a=\"b\",le=\"0.000001024\"} 1\n"
                    "h_seconds_bucket{a=\"b\",le=\"0.000002048\"} 2\nh_seconds_bucket{a=\"b\",le=\"0.000004096\"} 3\n");
    expect(metrics, "h_seconds_bucket{a=\"b\",le=\"137.438953472\"} 3\nh_seconds_bucket{a=\"b\",le=\"+Inf\"} 4\n"
                    "h_seconds_sum{a=\"b\"} 600.000004098\nh_seconds_count{a=\"b\"} 4\n");
    expect(metrics, "bare_seconds_bucket{le=\"+Inf\"} 4\nbare_seconds_sum 600.000004098\nbare_seconds_count 4\n");
    sl_metrics_free(metrics);
}

static void collect_bad(void *arg, sl_scrape *scrape)
{
    static char large[SL_METRICS_LABEL_BYTES + 2];
    memset(large, 'x', sizeof large - 1);
    (void)arg;
    sl_scrape_counter(scrape, "bad_counter", "No _total.", NULL, 1);
    sl_scrape_gauge(scrape, "bad_gauge_total", "One too many.", NULL, 1);
    sl_scrape_gauge(scrape, "bad-name", "Bad.", NULL, 1);
    sl_scrape_gauge(scrape, "0bad", "Bad.", NULL, 1);
    sl_scrape_gauge(scrape, "", "Bad.", NULL, 1);
    sl_scrape_gauge(scrape, NULL, "Bad.", NULL, 1);
    sl_scrape_gauge(scrape, "bad_help", NULL, NULL, 1);
    sl_scrape_gauge(scrape, "bad_label", "Bad.", SL_LABELS({"a-b", ""}), 1);
    sl_scrape_gauge(scrape, "bad_label", "Bad.", SL_LABELS({"__a", ""}), 1);
    sl_scrape_gauge(scrape, "bad_label", "Bad.", SL_LABELS({"le", ""}), 1);
    sl_scrape_gauge(scrape, "bad_label", "Bad.", SL_LABELS({"a", "1"}, {"a", "2"}), 1);
    sl_scrape_gauge(scrape, "bad_label", "Bad.", SL_LABELS({"a", "\xff"}), 1);
    sl_scrape_gauge(scrape, "bad_label", "Bad.", SL_LABELS({"a", large}), 1);
    sl_scrape_gauge(
        scrape, "bad_label", "Bad.",
        SL_LABELS({"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}, {"e", ""}, {"f", ""}, {"g", ""}, {"h", ""}, {"i", ""}),
        1);
    sl_scrape_gauge(scrape, "good", "Good.", SL_LABELS({"a", NULL}), 1); /* 14 bad ones above */
    sl_scrape_histogram(scrape, "good", "Good.", NULL, &(const struct sl_histogram){0});
}

static void what_no_scraper_takes_is_left_out_and_counted(void **state)
{
    (void)state;
    sl_metrics *metrics = open_with(NULL, collect_bad, NULL);
    expect_none(metrics, "bad");
    expect(metrics, "# TYPE good gauge\ngood{a=\"\"} 1\n# HELP sluice");
    expect(metrics, "{reason=\"invalid\"} 42\nsluice_metrics_dropped_series_total{reason=\"duplicate\"} 3\n");
    sl_metrics_free(metrics);
}

static void collect_many(void *arg, sl_scrape *scrape)
{
    static const char *const names[] = {"f0", "f1", "f2", "f3", "f4", "f5"};
    (void)arg;
    for (size_t i = 0; i < 6; i++) {
        for (int letter = 'a'; letter <= 'z'; letter++) {
            const char value[2] = {(char)letter, '\0'};
            sl_scrape_gauge(scrape, names[i], "F.", SL_LABELS({"l", value}), 1);
        }
    }
}

static size_t count_lines(const char *text, const char *prefix)
{
    size_t count = 0;
    for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n' ? 1 : 0;
        count += strncmp(at, prefix, strlen(prefix)) == 0 ? 1 : 0;
    }
    return count;
}

static void limits_hold(void **state)
{
    (void)state;
    sl_metrics *metrics = open_with(&(struct sl_metrics_options){.families_max = 4}, collect_many, NULL);
    char *text = scrape(metrics);
    assert_int_equal(count_lines(text, "f"), 4 * 26);
    assert_non_null(strstr(text, "{reason=\"families\"} 52\n"));
    sl_free(text);
    sl_metrics_free(metrics);

    metrics = open_with(&(struct sl_metrics_options){.series_max = 30}, collect_many, NULL);
    text = scrape(metrics);
    assert_int_equal(count_lines(text, "f"), 30);
    assert_non_null(strstr(text, "{reason=\"series\"} 126\n"));
    assert_null(strstr(text, "TYPE f3"));
    sl_free(text);
    expect(metrics, "{reason=\"series\"} 252\n");
    sl_metrics_free(metrics);

    metrics = open_with(&(struct sl_metrics_options){.bytes_max = 100}, collect_many, NULL);
    text = scrape(metrics);
    assert_int_equal(count_lines(text, "f"), 8); /* f0{l="a"} 1 */
    assert_non_null(strstr(text, "{reason=\"bytes\"} 148\n"));
    sl_free(text);
    sl_metrics_free(metrics);
}

static void collectors_are_bounded(void **state)
{
    (void)state;
    sl_metrics *metrics = NULL;
    assert_int_equal(sl_metrics_open(NULL, &metrics), 0);
    for (int i = 0; i < SL_METRICS_COLLECTORS_MAX; i++) {
        assert_int_equal(sl_metrics_add(metrics, collect_two, NULL), 0);
    }
    assert_int_equal(sl_metrics_add(metrics, collect_two, NULL), SL_EMSGSIZE);
    sl_metrics_free(metrics);
    sl_metrics_free(NULL);
    sl_metrics_remove(NULL, collect_two, NULL);
}

static void collect_recursive(void *arg, sl_scrape *scrape)
{
    char *text = NULL;
    size_t bytes = 0;
    (void)scrape;
    assert_int_equal(sl_metrics_write(*(sl_metrics **)arg, &text, &bytes), SL_EMISUSE);
}

static void a_collector_may_not_scrape(void **state)
{
    (void)state;
    sl_metrics *metrics = NULL;
    metrics = open_with(NULL, collect_recursive, &metrics);
    expect(metrics, "sluice_metrics_scrapes_total 0\n");
    expect(metrics, "sluice_metrics_scrapes_total 1\n");
    sl_metrics_free(metrics);
}

/*
 * One attempt at everything, whose n-th allocation fails. The code of the call that failed; SL_EMSGSIZE when the next
 * scrape tells that something was left out; 0 when nothing failed.
 */
static int whole(int64_t n)
{
    sl_metrics *metrics = NULL;
    char *text = NULL;
    size_t bytes = 0;
    sl_memory_fail_after(n);
    int code = sl_metrics_open(NULL, &metrics);
    if (code == 0) {
        code = sl_metrics_add(metrics, collect_many, NULL);
    }
    if (code == 0) {
        code = sl_metrics_write(metrics, &text, &bytes);
    }
    bool failed = sl_memory_failed() != 0;
    sl_memory_fail_after(-1);
    sl_free(text);
    if (code == 0) {
        text = scrape(metrics);
        bool told = strstr(text, "{reason=\"memory\"} 0\n") == NULL;
        assert_int_equal(told, failed);
        code = told ? SL_EMSGSIZE : 0;
        sl_free(text);
    }
    sl_metrics_free(metrics);
    return code;
}

static void every_failed_allocation_is_told(void **state)
{
    (void)state;
    int64_t held = sl_memory_held();
    int64_t n = 0;
    int code;
    while ((code = whole(n)) != 0) {
        assert_true(code == SL_ENOMEM || code == SL_EMSGSIZE);
        assert_int_equal(sl_memory_held(), held);
        n++;
    }
    assert_true(n > 10);
}

/* What promtool says of the text; "" when it is content. */
static void promtool(const char *text, char *said, size_t room)
{
    char path[] = "/tmp/sl-metrics-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text));
    (void)close(file);
    char command[128];
    (void)snprintf(command, sizeof command, "promtool check metrics <%s 2>&1; echo status $?", path);
    FILE *output = popen(command, "r");
    assert_non_null(output);
    said[fread(said, 1, room - 1, output)] = '\0';
    (void)pclose(output);
    (void)unlink(path);
}

static int scrape_in_run(void *arg)
{
    sl_metrics *metrics = arg;
    size_t bytes = 0;
    char *text = NULL;
    SL_TRY(sl_sleep(SL_MILLISECONDS(2)));
    SL_TRY(sl_metrics_write(metrics, &text, &bytes));
    static const char *const wanted[] = {"sluice_runtime_tasks{state=\"running\"} 1\n",
                                         "sluice_runtime_tasks{state=\"ready\"} 0\n",
                                         "sluice_runtime_tasks_started_total 1\n",
                                         "sluice_runtime_timer_lag_seconds_count 1\n",
                                         "\nprocess_cpu_seconds_total 0.",
                                         "\nprocess_resident_memory_bytes ",
                                         "\nprocess_open_fds ",
                                         "\nprocess_start_time_seconds 1",
                                         "sluice_runtime_restarts_total 0\n"};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        CHECK(strstr(text, wanted[i]) != NULL);
    }
    char said[1024];
    promtool(text, said, sizeof said);
    sl_free(text);
    CHECK_STRING(said, "status 0\n");
    return 0;
}

static void the_runtime_is_told_of_as_promtool_wants_it(void **state)
{
    (void)state;
    sl_metrics *metrics = NULL;
    assert_int_equal(sl_metrics_open(NULL, &metrics), 0);
    assert_int_equal(sl_metrics_add_runtime(metrics), 0);
    assert_int_equal(sl_run(&(struct sl_run_options){.watchdog = SL_NEVER}, scrape_in_run, metrics, NULL), 0);
    sl_metrics_free(metrics);
    char said[1024];
    promtool("x_seconds 1\n", said, sizeof said); /* it does look */
    assert_null(strstr(said, "status 0"));
}

SL_TEST_MAIN(cmocka_unit_test(text_is_exact), cmocka_unit_test(families_of_several_collectors_come_out_together),
             cmocka_unit_test(numbers_read_back), cmocka_unit_test(histograms_are_cumulative),
             cmocka_unit_test(what_no_scraper_takes_is_left_out_and_counted), cmocka_unit_test(limits_hold),
             cmocka_unit_test(collectors_are_bounded), cmocka_unit_test(a_collector_may_not_scrape),
             cmocka_unit_test(every_failed_allocation_is_told),
             cmocka_unit_test(the_runtime_is_told_of_as_promtool_wants_it))
