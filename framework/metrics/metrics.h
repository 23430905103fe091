/* SPDX-License-Identifier: MIT */
/* What the files of metrics share. */
#ifndef SL_METRICS_INTERNAL_H
#define SL_METRICS_INTERNAL_H

#include <stdbool.h>

#include "sluice/metrics.h"

enum sl__metric_type { SL__COUNTER, SL__GAUGE, SL__HISTOGRAM };

/* Why a series was left out. */
enum sl__drop {
    SL__DROP_INVALID,   /* a name or label against the rules */
    SL__DROP_DUPLICATE, /* the same series twice, or one family with two types or helps */
    SL__DROP_FAMILIES,  /* over a limit */
    SL__DROP_SERIES,
    SL__DROP_BYTES,
    SL__DROP_MEMORY,
    SL__DROP_REASONS
};

/* Text that grows; what does not fit any more sets `failed`. */
struct sl__metrics_text {
    char *data;
    size_t bytes, capacity;
    bool failed;
};

void sl__metrics_text_put(struct sl__metrics_text *text, const char *data, size_t bytes);
void sl__metrics_text_puts(struct sl__metrics_text *text, const char *string);
void sl__metrics_text_put_uint64(struct sl__metrics_text *text, uint64_t value);
void sl__metrics_text_put_double(struct sl__metrics_text *text,
                                 double value); /* the shortest that reads back; NaN, +Inf, -Inf */
void sl__metrics_text_put_seconds(struct sl__metrics_text *text, uint64_t value_ns); /* exact */

bool sl__metric_name_valid(const char *name);
bool sl__metrics_label_name_valid(const char *name);
/* `{a="b",c="d"` without the closing brace; nothing without labels. False when they are against the rules. */
bool sl__metrics_labels_put(struct sl__metrics_text *text, const struct sl_label *labels);

/* A value of HELP: backslashes and line feeds escaped. */
void sl__metrics_help_put(struct sl__metrics_text *text, const char *help);

#endif
