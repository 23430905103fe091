/* SPDX-License-Identifier: MIT */
/* What the files of log share. */
#ifndef SL_LOG_INTERNAL_H
#define SL_LOG_INTERNAL_H

#include <pthread.h>
#include <time.h>

#include "sluice/log.h"

/* ---- render.c: one record as one line ---- */

struct sl__line {
    char *data; /* SL_LOG_LINE_BYTES */
    size_t bytes;
    bool cut;
};

/* "2026-11-21T10:18:05.123456Z"; the date is kept from call to call. */
#define SL_LOG_TIME_BYTES 28
struct sl__log_time {
    sl_time second;
    char text[SL_LOG_TIME_BYTES];
};
const char *sl__log_time(struct sl__log_time *cache, sl_time wall);

/* Without a line feed at the end; The text form may have several lines, all but the first indented. */
void sl__log_render_json(struct sl__line *line, const char *time, uint64_t sequence,
                         const struct sl_log_record *record);
void sl__log_render_text(struct sl__line *line, const char *time, bool colours, const struct sl_log_record *record);

/* ---- filter.c: merges repeats, limits a place that logs without end. Pure but for the clock it is given ---- */

#define SL_LOG_SITES 256
#define SL_LOG_SITE_MESSAGE_BYTES 160
#define SL_LOG_SITE_PATH_BYTES 96

struct sl__log_site {
    const void *site;
    uint64_t key; /* of the last line that was written */
    sl_time written, window;
    uint64_t repeats;        /* of that line since */
    uint64_t limited, count; /* in this window of a second */
    enum sl_log_level level;
    char message[SL_LOG_SITE_MESSAGE_BYTES];
    char path[SL_LOG_SITE_PATH_BYTES];
};

struct sl__log_filter {
    struct sl__log_site sites[SL_LOG_SITES];
    unsigned site_lines;
    sl_time merge; /* 0: no merging */
    uint64_t merged, limited;
    void (*tell)(void *context, const struct sl_log_record *summary);
    void *context;
};

/* Whether the record is to be written. Calls `tell` for what was held back before it, if that is due. */
bool sl__log_filter_take(struct sl__log_filter *filter, const struct sl_log_record *record, sl_time now);
/* Tells what is due; SL_NEVER: all. */
void sl__log_filter_tick(struct sl__log_filter *filter, sl_time now);

/* ---- recent.c: the last lines, in memory that is taken once ---- */

struct sl__recent_line {
    uint64_t sequence;
    uint32_t offset, bytes;
    uint8_t level;
};

struct sl__recent {
    char *data;
    size_t size_bytes, at; /* where the next line goes */
    struct sl__recent_line lines[SL_LOG_RECENT_LINES];
    size_t first, count;
};

void sl__recent_add(struct sl__recent *recent, uint64_t sequence, enum sl_log_level level, const char *json,
                    size_t bytes);
void sl__recent_write(const struct sl__recent *recent, uint64_t after, enum sl_log_level level, size_t lines_max,
                      sl_json_writer *out);

/* ---- writer.c: a queue of bytes and the thread that writes it ---- */

struct sl__log_writer {
    pthread_mutex_t *lock; /* the logger's, around everything but the writing */
    pthread_t thread;
    int descriptor;
    int wake; /* an eventfd */
    char *queue;
    size_t size_bytes, first, bytes; /* a ring */
    bool sleeping;                   /* the thread must be woken */
    bool stop, failed;
    sl_time stop_at; /* monotonic */
    uint64_t dropped;
    void (*tick)(void *context); /* once a second, under the lock */
    void *context;
};

int sl__log_writer_open(struct sl__log_writer *writer, int descriptor, size_t queue_bytes);
void sl__log_writer_close(struct sl__log_writer *writer); /* not under the lock */
/* Under the lock. False, and counted, when there is no room for it. */
bool sl__log_writer_put(struct sl__log_writer *writer, const char *line, size_t bytes);
/* The same without a line feed behind it; without room for it nothing is counted. */
bool sl__log_writer_add(struct sl__log_writer *writer, const char *text, size_t bytes);
sl_time sl__log_clock(void);

#endif
