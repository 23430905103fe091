/* SPDX-License-Identifier: MIT */
/* What the files of the console share: console.c has its life and its actions, console_views.c what it shows. */
#ifndef SL_INGEST_CONSOLE_INTERNAL_H
#define SL_INGEST_CONSOLE_INTERNAL_H

#include "ingest/console/console.h"

struct sl_console {
    struct sl_console_options options;
    size_t memory_bytes; /* more in use and it is not ready; 0: no bound */
};

/* console_views.c: /api/feeds, sinks, gaps, limits, partitions; views of the endpoint (argument: the console). */
void sl__console_feeds(void *console, sl_json_writer *out);
void sl__console_sinks(void *console, sl_json_writer *out);
void sl__console_gaps(void *console, sl_json_writer *out);
void sl__console_limits(void *console, sl_json_writer *out);
void sl__console_partitions(void *console, sl_json_writer *out);
void sl__console_collect(void *console, sl_scrape *scrape); /* for /metrics */

/* console_instruments.c: /api/instruments; a handler of requests (argument: the console). */
SL_MUST_CHECK int sl__console_instruments(void *console, sl_http_exchange *exchange);

/* Members of an object. A text that is no UTF-8 is told to be none. */
void sl__console_put_text(sl_json_writer *out, const char *key, const char *value);

/* Why a service does not work; "": it does, or is not known. Borrowed until something happens. */
const char *sl__console_problem(const struct sl_program_service *service);
void sl__console_put_seconds(sl_json_writer *out, const char *key, int64_t duration_ns);
/* Since sl_now() was `at`; null when that is 0. */
void sl__console_put_age(sl_json_writer *out, const char *key, sl_time at);

#endif
