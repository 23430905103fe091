/* SPDX-License-Identifier: MIT */
/* What observing costs: recording, scraping, logging, the task tree. Figures as name, value, unit. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sluice/log.h"
#include "sluice/metrics.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"

#define FEEDS 100
#define TASKS 1000

struct feed {
    char name[16];
    uint64_t counters[10];
    struct sl_histogram lag, latency;
};

/* These loops never wait: the processor's time for them, so that whatever else runs does not count. */
static double cpu_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static volatile uint64_t keep; /* results that must not be optimised away */

static void tell(const char *name, double value, const char *unit)
{
    printf("%s\t%.1f\t%s\n", name, value, unit);
}

static void record(void)
{
    static struct sl_histogram histogram;
    const uint64_t n = 100000000;
    uint64_t random = 1;
    double began = cpu_now_ns();
    for (uint64_t i = 0; i < n; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        sl_histogram_record(&histogram, (sl_time)(random >> 40));
    }
    tell("histogram_record", (cpu_now_ns() - began) / (double)n, "ns");
    keep = histogram.sum_ns;
}

static void collect(void *arg, sl_scrape *scrape)
{
    static const char *const names[] = {"b_a_total", "b_b_total", "b_c_total", "b_d_total", "b_e_total",
                                        "b_f_total", "b_g_total", "b_h_total", "b_i_total", "b_j_total"};
    const struct feed *feed = arg;
    const struct sl_label *labels = SL_LABELS({"venue", "binance"}, {"instrument", feed->name});
    for (size_t i = 0; i < 10; i++) {
        sl_scrape_counter(scrape, names[i], "Help.", labels, feed->counters[i]);
    }
    sl_scrape_histogram(scrape, "b_lag_seconds", "Help.", labels, &feed->lag);
    sl_scrape_histogram(scrape, "b_latency_seconds", "Help.", labels, &feed->latency);
}

static int scrape(sl_metrics *metrics, const char *name, int rounds)
{
    double began = cpu_now_ns();
    size_t bytes = 0;
    for (int i = 0; i < rounds; i++) {
        char *text = NULL;
        SL_TRY(sl_metrics_write(metrics, &text, &bytes));
        sl_free(text);
    }
    tell(name, (cpu_now_ns() - began) / rounds / 1000, "us");
    printf("%s_bytes\t%zu\tbytes\n", name, bytes);
    return 0;
}

static int scrapes(void)
{
    static struct feed feeds[FEEDS];
    sl_auto(sl_metrics) *metrics = NULL;
    SL_TRY(sl_metrics_open(NULL, &metrics));
    SL_TRY(sl_metrics_add_runtime(metrics));
    SL_TRY(scrape(metrics, "scrape_runtime", 2000));
    for (int i = 0; i < FEEDS; i++) {
        (void)snprintf(feeds[i].name, sizeof feeds[i].name, "SYM%d-USDT", i);
        for (int k = 0; k < 1000; k++) {
            feeds[i].counters[k % 10] += (uint64_t)k * 1000;
            sl_histogram_record(&feeds[i].lag, SL_MICROSECONDS(k));
        }
        SL_TRY(sl_metrics_add(metrics, collect, &feeds[i]));
    }
    return scrape(metrics, "scrape_100_feeds", 200);
}

static int lines(enum sl_log_format format, const char *name)
{
    const int n = 200000;
    sl_logger *logger = NULL;
    int sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
    SL_TRY(sl_logger_open(&(struct sl_logger_options){.descriptor = sink,
                                                      .format = format,
                                                      .level = SL_LOG_INFO,
                                                      .site_lines = 1000000000,
                                                      .queue_bytes = (size_t)64 << 20},
                          &logger));
    SL_TRY(sl_logger_attach(logger));
    double began = cpu_now_ns();
    for (int i = 0; i < n; i++) {
        sl_log_with(SL_LOG_INFO, "connected", sl_field_text("venue", "binance"), sl_field_int("port", i),
                    sl_field_duration("took", SL_MILLISECONDS(12)));
    }
    tell(name, (cpu_now_ns() - began) / n, "ns");
    if (format == SL_LOG_FORMAT_JSON) {
        began = cpu_now_ns();
        for (int i = 0; i < n; i++) {
            sl_log_with(SL_LOG_INFO, "again", sl_field_text("venue", "binance"), sl_field_int("port", 443));
        }
        tell("log_line_merged", (cpu_now_ns() - began) / n, "ns");
        began = cpu_now_ns();
        for (int i = 0; i < n; i++) {
            sl_log_with(SL_LOG_DEBUG, "unwanted", sl_field_text("venue", "binance"), sl_field_int("port", 443));
        }
        tell("log_line_below_level", (cpu_now_ns() - began) / n, "ns");
    }
    sl_logger_close(logger);
    (void)close(sink);
    return 0;
}

static int idle(void *arg)
{
    (void)arg;
    return sl_sleep(SL_SECONDS(3600));
}

static int tree(void)
{
    SL_SCOPE(scope);
    for (int i = 0; i < TASKS; i++) {
        SL_TRY(sl_spawn(&scope, idle, NULL, .name = "idle", .daemon = true));
    }
    SL_TRY(sl_sleep(SL_MILLISECONDS(10)));
    double began = cpu_now_ns();
    for (int i = 0; i < 20; i++) {
        char *text = sl_tree_json();
        keep = text == NULL ? 0 : strlen(text);
        sl_free(text);
    }
    tell("tree_of_1000_tasks", (cpu_now_ns() - began) / 20 / 1000, "us");
    return 0;
}

static int all(void *arg)
{
    (void)arg;
    record();
    SL_TRY(scrapes());
    SL_TRY(lines(SL_LOG_FORMAT_TEXT, "log_line_text"));
    SL_TRY(lines(SL_LOG_FORMAT_JSON, "log_line_json"));
    return tree();
}

int main(void)
{
    return sl_run(&(struct sl_run_options){.watchdog = SL_NEVER}, all, NULL, NULL) == 0 ? 0 : 1;
}
