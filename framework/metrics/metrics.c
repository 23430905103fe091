/* SPDX-License-Identifier: MIT */
/* The registry: collectors, and a scrape that sorts what they give by family, within its limits. */
#include <string.h>

#include "metrics.h"

#define TABLE_MIN 64
/* What the registry says of itself comes out whatever else was cut. */
#define OWN_FAMILIES 4

struct collector {
    sl_collect_fn collect;
    void *arg;
};

struct family {
    const char *name, *help; /* literals of the collectors */
    enum sl__metric_type type;
    struct sl__metrics_text text; /* its series; memory is kept for the next scrape */
};

struct sl_scrape {
    sl_metrics *metrics;
    size_t series, bytes; /* of all families so far */
    bool own;             /* no limits for this one */
};

struct sl_metrics {
    struct sl_metrics_options limits;
    struct collector *collectors;
    size_t collector_count, collector_capacity;
    struct family *families; /* in the order in which they were met first */
    size_t family_count, family_capacity;
    uint32_t *table; /* of families by name: index + 1; 0 is empty */
    size_t table_size;
    uint64_t *seen; /* hashes of the series of this scrape; 0 is empty */
    size_t seen_size, seen_count;
    struct sl__metrics_text labels; /* of the series that is being written */
    bool scraping;
    uint64_t scrapes, dropped[SL__DROP_REASONS];
    size_t last_series;
    sl_time last_duration;
};

/* FNV-1a, and a last step that spreads it over all bits. */
static uint64_t hash(uint64_t start, const char *data, size_t bytes)
{
    uint64_t value = start ^ UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes; i++) {
        value = (value ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
    }
    return value ^ value >> 29;
}

int sl_metrics_open(const struct sl_metrics_options *options, sl_metrics **ret_metrics)
{
    sl_metrics *metrics = sl_calloc(1, sizeof *metrics);
    if (metrics == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a registry of metrics");
    }
    if (options != NULL) {
        metrics->limits = *options;
    }
    struct sl_metrics_options *limits = &metrics->limits;
    limits->families_max = limits->families_max == 0 ? SL_METRICS_FAMILIES : limits->families_max;
    limits->series_max = limits->series_max == 0 ? SL_METRICS_SERIES : limits->series_max;
    limits->bytes_max = limits->bytes_max == 0 ? SL_METRICS_BYTES : limits->bytes_max;
    *ret_metrics = metrics;
    return 0;
}

void sl_metrics_free(sl_metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    for (size_t i = 0; i < metrics->family_count; i++) {
        sl_free(metrics->families[i].text.data);
    }
    sl_free(metrics->families);
    sl_free(metrics->collectors);
    sl_free(metrics->table);
    sl_free(metrics->seen);
    sl_free(metrics->labels.data);
    sl_free(metrics);
}

int sl_metrics_add(sl_metrics *metrics, sl_collect_fn collect, void *arg)
{
    if (metrics->collector_count == SL_METRICS_COLLECTORS_MAX) {
        return sl_fail(SL_EMSGSIZE, "more than %d collectors of metrics", SL_METRICS_COLLECTORS_MAX);
    }
    if (metrics->collector_count == metrics->collector_capacity) {
        size_t capacity = metrics->collector_capacity == 0 ? 16 : metrics->collector_capacity * 2;
        struct collector *collectors = sl_realloc(metrics->collectors, capacity * sizeof *collectors);
        if (collectors == NULL) {
            return sl_fail(SL_ENOMEM, "no memory for a collector of metrics");
        }
        metrics->collectors = collectors;
        metrics->collector_capacity = capacity;
    }
    metrics->collectors[metrics->collector_count++] = (struct collector){collect, arg};
    return 0;
}

void sl_metrics_remove(sl_metrics *metrics, sl_collect_fn collect, void *arg)
{
    for (size_t i = 0; metrics != NULL && i < metrics->collector_count; i++) {
        struct collector *at = &metrics->collectors[i];
        if (at->collect == collect && at->arg == arg) {
            metrics->collector_count--;
            memmove(at, at + 1, (metrics->collector_count - i) * sizeof *at);
            return;
        }
    }
}

/* ---- families ---- */

static bool table_grow(sl_metrics *metrics)
{
    size_t size = metrics->table_size == 0 ? TABLE_MIN : metrics->table_size * 2;
    uint32_t *table = sl_calloc(size, sizeof *table);
    if (table == NULL) {
        return false;
    }
    for (size_t i = 0; i < metrics->family_count; i++) {
        const char *name = metrics->families[i].name;
        size_t at = hash(0, name, strlen(name)) & (size - 1);
        while (table[at] != 0) {
            at = (at + 1) & (size - 1);
        }
        table[at] = (uint32_t)i + 1;
    }
    sl_free(metrics->table);
    metrics->table = table;
    metrics->table_size = size;
    return true;
}

static struct family *drop(sl_metrics *metrics, enum sl__drop reason)
{
    metrics->dropped[reason]++;
    return NULL;
}

static bool family_room(sl_metrics *metrics)
{
    if (metrics->family_count < metrics->family_capacity) {
        return true;
    }
    size_t capacity = metrics->family_capacity == 0 ? 32 : metrics->family_capacity * 2;
    struct family *families = sl_realloc(metrics->families, capacity * sizeof *families);
    if (families == NULL) {
        return false;
    }
    metrics->families = families;
    metrics->family_capacity = capacity;
    return true;
}

static bool name_fits(const char *name, enum sl__metric_type type)
{
    size_t length = name == NULL ? 0 : strlen(name);
    bool total = length > 6 && strcmp(name + length - 6, "_total") == 0;
    return sl__metric_name_valid(name) && total == (type == SL__COUNTER);
}

/* The family of that name, or NULL after counting why there is none. */
static struct family *family_of(sl_scrape *scrape, const char *name, const char *help, enum sl__metric_type type)
{
    sl_metrics *metrics = scrape->metrics;
    if (!name_fits(name, type) || help == NULL) {
        return drop(metrics, SL__DROP_INVALID);
    }
    if (metrics->family_count * 2 >= metrics->table_size && !table_grow(metrics)) {
        return drop(metrics, SL__DROP_MEMORY);
    }
    size_t at = hash(0, name, strlen(name)) & (metrics->table_size - 1);
    for (; metrics->table[at] != 0; at = (at + 1) & (metrics->table_size - 1)) {
        struct family *family = &metrics->families[metrics->table[at] - 1];
        if (family->name == name || strcmp(family->name, name) == 0) {
            return family->type == type ? family : drop(metrics, SL__DROP_DUPLICATE);
        }
    }
    if (metrics->family_count >= metrics->limits.families_max + (scrape->own ? OWN_FAMILIES : 0)) {
        return drop(metrics, SL__DROP_FAMILIES);
    }
    if (!family_room(metrics)) {
        return drop(metrics, SL__DROP_MEMORY);
    }
    metrics->families[metrics->family_count++] = (struct family){.name = name, .help = help, .type = type};
    metrics->table[at] = (uint32_t)metrics->family_count;
    return &metrics->families[metrics->family_count - 1];
}

/* ---- series ---- */

static bool seen_grow(sl_metrics *metrics)
{
    size_t size = metrics->seen_size == 0 ? TABLE_MIN : metrics->seen_size * 2;
    uint64_t *seen = sl_calloc(size, sizeof *seen);
    if (seen == NULL) {
        return false;
    }
    for (size_t i = 0; i < metrics->seen_size; i++) {
        size_t at = metrics->seen[i] & (size - 1);
        while (metrics->seen[i] != 0 && seen[at] != 0) {
            at = (at + 1) & (size - 1);
        }
        if (metrics->seen[i] != 0) {
            seen[at] = metrics->seen[i];
        }
    }
    sl_free(metrics->seen);
    metrics->seen = seen;
    metrics->seen_size = size;
    return true;
}

/* Remembers the series; SL__DROP_REASONS when it is new, else why not. */
static enum sl__drop see(sl_metrics *metrics, uint64_t key)
{
    key = key == 0 ? 1 : key;
    if (metrics->seen_count * 2 >= metrics->seen_size && !seen_grow(metrics)) {
        return SL__DROP_MEMORY;
    }
    size_t at = key & (metrics->seen_size - 1);
    for (; metrics->seen[at] != 0; at = (at + 1) & (metrics->seen_size - 1)) {
        if (metrics->seen[at] == key) {
            return SL__DROP_DUPLICATE;
        }
    }
    metrics->seen[at] = key;
    metrics->seen_count++;
    return SL__DROP_REASONS;
}

/* The family a series may be written to, its labels in metrics->labels; NULL after counting why not. */
static struct family *begin(sl_scrape *scrape, const char *name, const char *help, enum sl__metric_type type,
                            const struct sl_label *labels)
{
    sl_metrics *metrics = scrape->metrics;
    struct sl__metrics_text *text = &metrics->labels;
    text->bytes = 0;
    text->failed = false;
    struct family *family = family_of(scrape, name, help, type);
    if (family == NULL) {
        return NULL;
    }
    if (!sl__metrics_labels_put(text, labels)) {
        return drop(metrics, SL__DROP_INVALID);
    }
    if (text->failed) {
        return drop(metrics, SL__DROP_MEMORY);
    }
    enum sl__drop reason = see(metrics, hash(hash(0, name, strlen(name)), text->data, text->bytes));
    return reason == SL__DROP_REASONS ? family : drop(metrics, reason);
}

/* Takes the series back when it is over a limit or memory is short. */
static void end(sl_scrape *scrape, struct family *family, size_t before, size_t lines)
{
    sl_metrics *metrics = scrape->metrics;
    size_t bytes = family->text.bytes - before;
    bool full = !scrape->own && scrape->series + lines > metrics->limits.series_max;
    bool large = !scrape->own && scrape->bytes + bytes > metrics->limits.bytes_max;
    if (!family->text.failed && !full && !large) {
        scrape->series += lines;
        scrape->bytes += bytes;
        return;
    }
    (void)drop(metrics, family->text.failed ? SL__DROP_MEMORY : full ? SL__DROP_SERIES : SL__DROP_BYTES);
    family->text.bytes = before;
    family->text.failed = false;
}

/* Name and labels, and the space before the value. */
static void put_head(struct family *family, const struct sl__metrics_text *labels)
{
    sl__metrics_text_puts(&family->text, family->name);
    sl__metrics_text_put(&family->text, labels->data, labels->bytes);
    sl__metrics_text_puts(&family->text, labels->bytes > 0 ? "} " : " ");
}

void sl_scrape_counter(sl_scrape *scrape, const char *name, const char *help, const struct sl_label *labels,
                       uint64_t value)
{
    struct family *family = begin(scrape, name, help, SL__COUNTER, labels);
    if (family == NULL) {
        return;
    }
    size_t before = family->text.bytes;
    put_head(family, &scrape->metrics->labels);
    sl__metrics_text_put_uint64(&family->text, value);
    sl__metrics_text_puts(&family->text, "\n");
    end(scrape, family, before, 1);
}

void sl_scrape_counter_time(sl_scrape *scrape, const char *name, const char *help, const struct sl_label *labels,
                            sl_time value)
{
    struct family *family = begin(scrape, name, help, SL__COUNTER, labels);
    if (family == NULL) {
        return;
    }
    size_t before = family->text.bytes;
    put_head(family, &scrape->metrics->labels);
    sl__metrics_text_put_seconds(&family->text, value > 0 ? (uint64_t)value : 0);
    sl__metrics_text_puts(&family->text, "\n");
    end(scrape, family, before, 1);
}

void sl_scrape_gauge(sl_scrape *scrape, const char *name, const char *help, const struct sl_label *labels, double value)
{
    struct family *family = begin(scrape, name, help, SL__GAUGE, labels);
    if (family == NULL) {
        return;
    }
    size_t before = family->text.bytes;
    put_head(family, &scrape->metrics->labels);
    sl__metrics_text_put_double(&family->text, value);
    sl__metrics_text_puts(&family->text, "\n");
    end(scrape, family, before, 1);
}

/* "name_bucket{labels,le=" for one bound, and the sum and the count behind the last. */
static void put_histogram_line(struct family *family, const struct sl__metrics_text *labels, const char *suffix,
                               sl_time bound)
{
    struct sl__metrics_text *text = &family->text;
    sl__metrics_text_puts(text, family->name);
    sl__metrics_text_puts(text, suffix);
    sl__metrics_text_put(text, labels->data, labels->bytes);
    if (bound == 0) {
        sl__metrics_text_puts(text, labels->bytes > 0 ? "} " : " ");
        return;
    }
    sl__metrics_text_puts(text, labels->bytes > 0 ? ",le=\"" : "{le=\"");
    if (bound == SL_NEVER) {
        sl__metrics_text_puts(text, "+Inf");
    } else {
        sl__metrics_text_put_seconds(text, (uint64_t)bound);
    }
    sl__metrics_text_puts(text, "\"} ");
}

void sl_scrape_histogram(sl_scrape *scrape, const char *name, const char *help, const struct sl_label *labels,
                         const struct sl_histogram *histogram)
{
    struct family *family = begin(scrape, name, help, SL__HISTOGRAM, labels);
    if (family == NULL) {
        return;
    }
    const struct sl__metrics_text *own = &scrape->metrics->labels;
    size_t before = family->text.bytes;
    size_t lines = 2;
    uint64_t count = 0;
    for (unsigned i = 0; i < SL_HISTOGRAM_BUCKETS; i++) {
        count += histogram->buckets[i];
        if (i % 4 == 0 || i == SL_HISTOGRAM_BUCKETS - 1) {
            put_histogram_line(family, own, "_bucket", sl_histogram_bound(i));
            sl__metrics_text_put_uint64(&family->text, count);
            sl__metrics_text_puts(&family->text, "\n");
            lines++;
        }
    }
    put_histogram_line(family, own, "_sum", 0);
    sl__metrics_text_put_seconds(&family->text, histogram->sum_ns);
    sl__metrics_text_puts(&family->text, "\n");
    put_histogram_line(family, own, "_count", 0);
    sl__metrics_text_put_uint64(&family->text, count);
    sl__metrics_text_puts(&family->text, "\n");
    end(scrape, family, before, lines);
}

/* ---- a scrape ---- */

static void collect_own(sl_scrape *scrape)
{
    static const char *const reasons[] = {"invalid", "duplicate", "families", "series", "bytes", "memory"};
    const sl_metrics *metrics = scrape->metrics;
    uint64_t dropped[SL__DROP_REASONS];
    memcpy(dropped, metrics->dropped, sizeof dropped);
    for (int i = 0; i < SL__DROP_REASONS; i++) {
        const struct sl_label labels[] = {{"reason", reasons[i]}, {NULL, NULL}};
        sl_scrape_counter(scrape, "sluice_metrics_dropped_series_total",
                          "Series that were left out of a scrape, by reason.", labels, dropped[i]);
    }
    sl_scrape_counter(scrape, "sluice_metrics_scrapes_total", "Scrapes, this one not counted.", NULL, metrics->scrapes);
    sl_scrape_gauge(scrape, "sluice_metrics_last_scrape_series", "Lines of the last scrape.", NULL,
                    (double)metrics->last_series);
    sl_scrape_gauge(scrape, "sluice_metrics_last_scrape_duration_seconds", "How long the last scrape took.", NULL,
                    (double)metrics->last_duration / 1e9);
}

static int join(const sl_metrics *metrics, char **ret_text, size_t *ret_bytes)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    struct sl__metrics_text out = {NULL, 0, 0, false};
    for (size_t i = 0; i < metrics->family_count; i++) {
        const struct family *family = &metrics->families[i];
        if (family->text.bytes == 0) {
            continue;
        }
        sl__metrics_text_puts(&out, "# HELP ");
        sl__metrics_text_puts(&out, family->name);
        sl__metrics_text_puts(&out, " ");
        sl__metrics_help_put(&out, family->help);
        sl__metrics_text_puts(&out, "\n# TYPE ");
        sl__metrics_text_puts(&out, family->name);
        sl__metrics_text_puts(&out, " ");
        sl__metrics_text_puts(&out, types[family->type]);
        sl__metrics_text_puts(&out, "\n");
        sl__metrics_text_put(&out, family->text.data, family->text.bytes);
    }
    *ret_bytes = out.bytes;
    sl__metrics_text_put(&out, "", 1);
    if (out.failed) {
        sl_free(out.data);
        return sl_fail(SL_ENOMEM, "no memory for %zu bytes of metrics", out.bytes);
    }
    *ret_text = out.data;
    return 0;
}

int sl_metrics_write(sl_metrics *metrics, char **ret_text, size_t *ret_bytes)
{
    if (metrics->scraping) {
        return sl_fail(SL_EMISUSE, "sl_metrics_write(): called by a collector");
    }
    sl_time started = sl_now();
    sl_scrape scrape = {.metrics = metrics};
    for (size_t i = 0; i < metrics->family_count; i++) {
        metrics->families[i].text.bytes = 0;
    }
    if (metrics->seen != NULL) {
        memset(metrics->seen, 0, metrics->seen_size * sizeof *metrics->seen);
    }
    metrics->seen_count = 0;
    metrics->scraping = true;
    for (size_t i = 0; i < metrics->collector_count; i++) {
        metrics->collectors[i].collect(metrics->collectors[i].arg, &scrape);
    }
    scrape.own = true;
    collect_own(&scrape);
    metrics->scraping = false;
    int code = join(metrics, ret_text, ret_bytes);
    metrics->scrapes++;
    metrics->last_series = scrape.series;
    metrics->last_duration = sl_now() - started;
    return code;
}
