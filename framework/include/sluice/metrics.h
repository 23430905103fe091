/* SPDX-License-Identifier: MIT */
/*
 * Metrics in the text format of Prometheus, collected when somebody asks. Modules count in plain structs of their
 * own, an increment a message, and register a function that reads them:
 *
 *     static void collect(void *arg, sl_scrape *scrape)
 *     {
 *         const struct feed *feed = arg;
 *         const struct sl_label *labels = SL_LABELS({"venue", feed->venue}, {"feed", feed->name});
 *         sl_scrape_counter(scrape, "sluice_feed_messages_total", "Messages received.", labels, feed->messages);
 *         sl_scrape_gauge(scrape, "sluice_feed_subscribed", "Whether it is subscribed.", labels, feed->subscribed);
 *         sl_scrape_histogram(scrape, "sluice_feed_lag_seconds", "Exchange to receive.", labels, &feed->lag);
 *     }
 *     ...
 *     SL_TRY(sl_metrics_add(metrics, collect, feed));
 *
 * Several collectors may give series of one family; they come out together. What no scraper would take (a name
 * against the rules, a series twice, a family with two types) is left out and counted in
 * sluice_metrics_dropped_series_total by reason, as is what is over a limit. Names: sluice_<module>_<what>_<unit>,
 * base units (seconds, bytes), counters end in _total. Label values come from configuration, never from the
 * wire. All calls: the thread of the runtime; nothing waits.
 */
#ifndef SLUICE_METRICS_H
#define SLUICE_METRICS_H

#include "sluice/histogram.h"
#include "sluice/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The registry: the program has one and passes it along. */
typedef struct sl_metrics sl_metrics;
/* One collection under way. */
typedef struct sl_scrape sl_scrape;

struct sl_label {
    const char *name;  /* letters, digits and '_', not a digit first, not "__" first, not "le" */
    const char *value; /* any UTF-8 up to SL_METRICS_LABEL_BYTES; NULL: "" */
};

/* Labels of a series, for the calls below. Lives as long as the block it stands in. C only. */
#define SL_LABELS(...) ((const struct sl_label[]){__VA_ARGS__, {NULL, NULL}})

#define SL_METRICS_COLLECTORS_MAX 10000
#define SL_METRICS_LABELS_MAX 8
#define SL_METRICS_LABEL_BYTES 200

struct sl_metrics_options {
    size_t families_max; /* 0: SL_METRICS_FAMILIES */
    size_t series_max;   /* lines of a scrape: a histogram has 30; 0: SL_METRICS_SERIES */
    size_t bytes_max;    /* of a scrape; 0: SL_METRICS_BYTES */
};
#define SL_METRICS_FAMILIES 512
#define SL_METRICS_SERIES 50000
#define SL_METRICS_BYTES ((size_t)8 << 20)

/* A registry; options may be NULL. 0, SL_ENOMEM. */
SL_MUST_CHECK int sl_metrics_open(const struct sl_metrics_options *options, sl_metrics **ret_metrics);
void sl_metrics_free(sl_metrics *metrics); /* NULL is fine */
SL_AUTO_DECLARE(sl_metrics, sl_metrics_free)

/* Called at each scrape; must not wait, and may only read. */
typedef void (*sl_collect_fn)(void *arg, sl_scrape *scrape);

/*
 * Registers a collector until it is removed; `arg` must live as long. 0, SL_ENOMEM, SL_EMSGSIZE when
 * SL_METRICS_COLLECTORS_MAX are there. Removing one that is not there, or from NULL, is fine. Not while a scrape runs.
 */
SL_MUST_CHECK int sl_metrics_add(sl_metrics *metrics, sl_collect_fn collect, void *arg);
void sl_metrics_remove(sl_metrics *metrics, sl_collect_fn collect, void *arg);

/*
 * Registers the runtime of the calling thread and its process: tasks, loop, stacks, restarts, memory, descriptors,
 * processor time. Codes as sl_metrics_add().
 */
SL_MUST_CHECK int sl_metrics_add_runtime(sl_metrics *metrics);

/*
 * In a collector: one series. `name` and `help` are literals (they are kept), `labels` end with a row without a
 * name and may be NULL.
 */
void sl_scrape_counter(sl_scrape *scrape, const char *name, const char *help, const struct sl_label *labels,
                       uint64_t value);
/* A counter of time: name it ..._seconds_total. Negative durations count as 0. */
void sl_scrape_counter_time(sl_scrape *scrape, const char *name, const char *help, const struct sl_label *labels,
                            sl_time value);
void sl_scrape_gauge(sl_scrape *scrape, const char *name, const char *help, const struct sl_label *labels,
                     double value);
/* In seconds; its buckets are the octaves of the histogram. */
void sl_scrape_histogram(sl_scrape *scrape, const char *name, const char *help, const struct sl_label *labels,
                         const struct sl_histogram *histogram);

/*
 * Runs all collectors and gives the text (content type SL_METRICS_CONTENT_TYPE), to be freed with sl_free(). 0,
 * SL_ENOMEM; SL_EMISUSE when a collector calls it.
 */
#define SL_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
SL_MUST_CHECK int sl_metrics_write(sl_metrics *metrics, char **ret_text, size_t *ret_bytes);

#ifdef __cplusplus
}
#endif

#endif
