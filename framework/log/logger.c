/* SPDX-License-Identifier: MIT */
/* The logger: one lock around filter, rendering, the recent lines and the queue of the writing thread. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

struct sl_logger {
    pthread_mutex_t lock;
    struct sl_logger_options options;
    enum sl_log_level most; /* the least important that anything is done with */
    bool terminal, colours;
    char footer[SL_LOG_FOOTER_BYTES];
    struct sl__log_filter filter;
    struct sl__recent recent;
    struct sl__log_writer writer;
    struct sl__log_time time;
    struct sl__line line;
    uint64_t sequence;
    uint64_t told_dropped; /* of writer.dropped, how many a line has told of */
    uint64_t written[4];
};

static void erase_footer(sl_logger *logger)
{
    if (logger->footer[0] != '\0') {
        (void)sl__log_writer_add(&logger->writer, "\r\033[K", 4);
    }
}

static void draw_footer(sl_logger *logger)
{
    (void)sl__log_writer_add(&logger->writer, logger->footer, strlen(logger->footer));
}

static void write_line(sl_logger *logger, const struct sl_log_record *record)
{
    const char *time = sl__log_time(&logger->time, sl_now_wall());
    struct sl__line *line = &logger->line;
    sl__log_render_json(line, time, ++logger->sequence, record);
    sl__recent_add(&logger->recent, logger->sequence, record->level, line->data, line->bytes);
    if (record->level > logger->options.level) {
        return;
    }
    if (logger->options.format == SL_LOG_FORMAT_TEXT) {
        sl__log_render_text(line, time, logger->colours, record);
    }
    erase_footer(logger);
    if (sl__log_writer_put(&logger->writer, line->data, line->bytes) && (size_t)record->level < 4) {
        logger->written[record->level]++;
    }
    draw_footer(logger);
}

/* Nobody read for a while, now somebody does: the gap is told before the next line. */
static void tell_dropped(sl_logger *logger)
{
    uint64_t dropped = logger->writer.dropped - logger->told_dropped;
    size_t room = logger->writer.size_bytes - logger->writer.bytes;
    if (dropped == 0 || room < (size_t)2 * SL_LOG_LINE_BYTES) {
        return;
    }
    logger->told_dropped = logger->writer.dropped;
    const struct sl_log_field fields[] = {sl_field_uint("lines", dropped)};
    write_line(logger, &(struct sl_log_record){.level = SL_LOG_WARNING,
                                               .path = "",
                                               .message = "lines of the log were dropped, as nobody read them",
                                               .fields = fields,
                                               .field_count = 1});
}

static void tell(void *context, const struct sl_log_record *summary)
{
    write_line(context, summary);
}

static void tick(void *context)
{
    sl_logger *logger = context;
    tell_dropped(logger);
    sl__log_filter_tick(&logger->filter, sl__log_clock());
}

void sl_logger_take(sl_logger *logger, const struct sl_log_record *record)
{
    if (record->level > logger->most) {
        return;
    }
    (void)pthread_mutex_lock(&logger->lock);
    if (sl__log_filter_take(&logger->filter, record, sl__log_clock())) {
        tell_dropped(logger);
        write_line(logger, record);
    }
    (void)pthread_mutex_unlock(&logger->lock);
}

static void sink(void *context, const struct sl_log_record *record)
{
    sl_logger_take(context, record);
}

int sl_logger_attach(sl_logger *logger)
{
    return sl_log_sink_set(sink, logger, logger->most);
}

static void take_level(sl_logger *logger, enum sl_log_level level, sl_time merge)
{
    struct sl_logger_options *own = &logger->options;
    own->level = level;
    logger->most = own->recent_level > own->level ? own->recent_level : own->level;
    logger->filter.merge = merge == 0 ? SL_LOG_MERGE : merge < 0 ? 0 : merge;
}

int sl_logger_change(sl_logger *logger, enum sl_log_format format, enum sl_log_level level, sl_time merge)
{
    (void)pthread_mutex_lock(&logger->lock);
    logger->options.format = format;
    take_level(logger, level, merge);
    (void)pthread_mutex_unlock(&logger->lock);
    return sl_logger_attach(logger);
}

void sl_logger_footer(sl_logger *logger, const char *text)
{
    (void)pthread_mutex_lock(&logger->lock);
    bool shown = logger->terminal && logger->options.format == SL_LOG_FORMAT_TEXT;
    text = shown ? text : "";
    if (strncmp(logger->footer, text, sizeof logger->footer - 1) != 0) {
        erase_footer(logger);
        (void)snprintf(logger->footer, sizeof logger->footer, "%s", text);
        draw_footer(logger);
    }
    (void)pthread_mutex_unlock(&logger->lock);
}

static void release(sl_logger *logger)
{
    (void)pthread_mutex_destroy(&logger->lock);
    sl_free(logger->recent.data);
    sl_free(logger->line.data);
    sl_free(logger);
}

int sl_logger_open(const struct sl_logger_options *options, sl_logger **ret_logger)
{
    sl_logger *logger = sl_calloc(1, sizeof *logger);
    if (logger == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a logger");
    }
    struct sl_logger_options *own = &logger->options;
    *own = *options;
    own->descriptor = own->descriptor == 0 ? STDERR_FILENO : own->descriptor;
    take_level(logger, own->level, own->merge);
    own->queue_bytes = own->queue_bytes == 0 ? SL_LOG_QUEUE_BYTES : own->queue_bytes;
    own->recent_bytes = own->recent_bytes == 0 ? SL_LOG_RECENT_BYTES : own->recent_bytes;
    own->site_lines = own->site_lines == 0 ? SL_LOG_SITE_LINES : own->site_lines;
    const char *no_colour = getenv("NO_COLOR");
    logger->terminal = isatty(own->descriptor) != 0;
    logger->colours = (no_colour == NULL || *no_colour == '\0') && logger->terminal;
    logger->filter.site_lines = own->site_lines;
    logger->filter.tell = tell;
    logger->filter.context = logger->writer.context = logger;
    logger->writer.tick = tick;
    logger->writer.lock = &logger->lock;
    logger->recent.size_bytes = own->recent_bytes;
    (void)pthread_mutex_init(&logger->lock, NULL);
    logger->recent.data = sl_malloc(own->recent_bytes);
    logger->line.data = sl_malloc(SL_LOG_LINE_BYTES);
    int code = logger->recent.data == NULL || logger->line.data == NULL ? SL_ENOMEM
               : own->queue_bytes < SL_LOG_LINE_BYTES || own->recent_bytes > UINT32_MAX
                   ? SL_EINVAL
                   : sl__log_writer_open(&logger->writer, own->descriptor, own->queue_bytes);
    if (code < 0) {
        release(logger);
        return sl_fail(code, "the logger cannot start: %s", sl_strerror(code));
    }
    *ret_logger = logger;
    return 0;
}

void sl_logger_close(sl_logger *logger)
{
    if (logger == NULL) {
        return;
    }
    sl_log_sink_clear(logger);
    (void)pthread_mutex_lock(&logger->lock);
    tell_dropped(logger);
    sl__log_filter_tick(&logger->filter, SL_NEVER);
    (void)pthread_mutex_unlock(&logger->lock);
    sl__log_writer_close(&logger->writer);
    release(logger);
}

void sl_logger_get_stats(sl_logger *logger, struct sl_logger_stats *ret_stats)
{
    (void)pthread_mutex_lock(&logger->lock);
    *ret_stats = (struct sl_logger_stats){.merged = logger->filter.merged,
                                          .limited = logger->filter.limited,
                                          .dropped = logger->writer.dropped,
                                          .queued_bytes = logger->writer.bytes};
    for (int i = 0; i < 4; i++) {
        ret_stats->written[i] = logger->written[i];
    }
    (void)pthread_mutex_unlock(&logger->lock);
}

void sl_logger_collect(void *logger, sl_scrape *scrape)
{
    struct sl_logger_stats stats;
    sl_logger_get_stats(logger, &stats);
    for (int i = 0; i < 4; i++) {
        sl_scrape_counter(scrape, "sluice_log_lines_total", "Lines given to the writer of the log, by level.",
                          SL_LABELS({"level", sl_log_level_name((enum sl_log_level)i)}), stats.written[i]);
    }
    sl_scrape_counter(scrape, "sluice_log_merged_total", "Records that were merged with the line before.", NULL,
                      stats.merged);
    sl_scrape_counter(scrape, "sluice_log_limited_total", "Records over the limit of their place in the code.", NULL,
                      stats.limited);
    sl_scrape_counter(scrape, "sluice_log_dropped_total", "Lines that were dropped as nobody read them.", NULL,
                      stats.dropped);
    sl_scrape_gauge(scrape, "sluice_log_queued_bytes", "Bytes that wait to be written.", NULL,
                    (double)stats.queued_bytes);
}

void sl_logger_recent(sl_logger *logger, uint64_t after, enum sl_log_level level, size_t lines_max, sl_json_writer *out)
{
    (void)pthread_mutex_lock(&logger->lock);
    sl__recent_write(&logger->recent, after, level, lines_max, out);
    (void)pthread_mutex_unlock(&logger->lock);
}
