/* SPDX-License-Identifier: MIT */
/*
 * The logger: takes what is logged (log_record.h) and writes it as lines of text or of JSON, each with time, level,
 * task, message and fields. Lines that repeat are merged ("repeated 17 times: ..."), a place in the code that logs
 * without end is limited, control characters and secrets do not come through. A thread writes: when nobody reads,
 * lines are dropped and counted, and the loop does not notice. The last lines are kept for the dashboard.
 */
#ifndef SLUICE_LOG_H
#define SLUICE_LOG_H

#include "sluice/json_write.h"
#include "sluice/log_record.h"
#include "sluice/metrics.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_logger sl_logger;

enum sl_log_format {
    SL_LOG_FORMAT_TEXT, /* for people; in colour when the descriptor is a terminal and NO_COLOR is not set */
    SL_LOG_FORMAT_JSON /* an object a line; a number that is missing in "sequence" is a line that was dropped or only kept */
};

struct sl_logger_options {
    int descriptor; /* borrowed; 0: standard error */
    enum sl_log_format format;
    enum sl_log_level level;        /* the least important that is written; 0 is SL_LOG_ERROR, so set it */
    enum sl_log_level recent_level; /* the least important that is kept, if that is more than `level` */
    size_t queue_bytes;             /* lines that wait to be written; 0: SL_LOG_QUEUE_BYTES */
    size_t recent_bytes;            /* lines kept for sl_logger_recent(); 0: SL_LOG_RECENT_BYTES */
    unsigned site_lines;            /* lines a second from one place in the code; 0: SL_LOG_SITE_LINES */
    sl_time merge; /* a line like the last one from its place is merged for so long; 0: SL_LOG_MERGE; negative: never */
};

#define SL_LOG_QUEUE_BYTES ((size_t)1 << 20)
#define SL_LOG_RECENT_BYTES ((size_t)256 << 10)
#define SL_LOG_RECENT_LINES 1000
#define SL_LOG_SITE_LINES 20
#define SL_LOG_MERGE SL_SECONDS(10)
/* A longer line is cut, and says so. */
#define SL_LOG_LINE_BYTES 4096
/* What is queued when the logger closes is written for this long at most. */
#define SL_LOG_CLOSE SL_SECONDS(1)

/* Starts one with its thread. 0, SL_EINVAL for a queue of less than SL_LOG_LINE_BYTES, SL_ENOMEM, SL_EAGAIN. */
SL_MUST_CHECK int sl_logger_open(const struct sl_logger_options *options, sl_logger **ret_logger);

/*
 * Writes what is queued, for SL_LOG_CLOSE at most, and ends it. Holds the calling thread so long: for the end of a
 * program. Takes it off this thread's runtime; no other one may use it any more. NULL is fine.
 */
void sl_logger_close(sl_logger *logger);
SL_AUTO_DECLARE(sl_logger, sl_logger_close)

/* This thread's runtime logs to it until it is closed or the run ends. 0, SL_ENOTASK without a runtime. */
SL_MUST_CHECK int sl_logger_attach(sl_logger *logger);

/*
 * Another format, level and merging from now on, each as in the options. By the thread of the runtime that it is attached to.
 * Codes of sl_logger_attach().
 */
SL_MUST_CHECK int sl_logger_change(sl_logger *logger, enum sl_log_format format, enum sl_log_level level,
                                   sl_time merge);

/* A footer is cut to that. */
#define SL_LOG_FOOTER_BYTES 120

/*
 * On a terminal, in the text form: a line that stays below the last one, such as a bar of progress; "" takes it away.
 * Anywhere else nothing happens. Any thread. Never waits.
 */
void sl_logger_footer(sl_logger *logger, const char *text);

/* Takes one record; any thread. Never waits. */
void sl_logger_take(sl_logger *logger, const struct sl_log_record *record);

/* What became of the records; any thread. */
struct sl_logger_stats {
    uint64_t written[4]; /* lines put into the queue, by level */
    uint64_t merged;     /* records counted in "repeated ... times" */
    uint64_t limited;    /* records over `site_lines` */
    uint64_t dropped;    /* lines that found the queue full, or whose descriptor failed */
    uint64_t queued_bytes;
};
void sl_logger_get_stats(sl_logger *logger, struct sl_logger_stats *ret_stats);
/* Registers them; to be removed (sl_metrics_remove(metrics, sl_logger_collect, logger)) before it closes. */
void sl_logger_collect(void *logger, sl_scrape *scrape);

/*
 * Writes the kept lines with a number above `after` and a level up to `level`, the last `lines_max` of them, as an array of
 * objects in the order of their numbers: {"sequence": 7, "time": "...", "level": "info", "task": "...",
 * "message": "...", fields}. Any thread.
 */
void sl_logger_recent(sl_logger *logger, uint64_t after, enum sl_log_level level, size_t lines_max,
                      sl_json_writer *out);

#ifdef __cplusplus
}
#endif

#endif
