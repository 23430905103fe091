/* SPDX-License-Identifier: MIT */
/* What is logged, on its way to the sink, or as plain text to the hook of the run's options. */
#include "sluice/log_record.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define LINE_BYTES 1024
#define PATH_BYTES 256

const char *sl_log_level_name(enum sl_log_level level)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    return (size_t)level < sizeof names / sizeof names[0] ? names[level] : "?";
}

static void log_to_stderr(void *context, enum sl_log_level level, const char *text)
{
    (void)context;
    if (level <= SL_LOG_WARNING) {
        (void)fprintf(stderr, "sluice %s: %s\n", sl_log_level_name(level), text);
    }
}

void sl_log_nothing(void *context, enum sl_log_level level, const char *text)
{
    (void)context;
    (void)level;
    (void)text;
}

void sl__log_open(sl_runtime *runtime)
{
    (void)pthread_mutex_init(&runtime->log_lock, NULL);
    atomic_init(&runtime->log_level, SL_LOG_DEBUG);
    runtime->options.log = runtime->options.log == NULL ? log_to_stderr : runtime->options.log;
}

void sl__log_close(sl_runtime *runtime)
{
    (void)pthread_mutex_destroy(&runtime->log_lock);
}

int sl_log_sink_set(sl_log_sink_fn sink, void *context, enum sl_log_level level)
{
    sl_runtime *runtime = sl__runtime;
    if (runtime == NULL) {
        return SL_ENOTASK;
    }
    (void)pthread_mutex_lock(&runtime->log_lock);
    runtime->log_sink = sink;
    runtime->log_sink_context = context;
    atomic_store_explicit(&runtime->log_level, (int)level, memory_order_relaxed);
    (void)pthread_mutex_unlock(&runtime->log_lock);
    return 0;
}

void sl_log_sink_clear(void *context)
{
    if (sl__runtime != NULL && sl__runtime->log_sink_context == context) {
        (void)sl_log_sink_set(NULL, NULL, SL_LOG_DEBUG);
    }
}

/* ---- as text, for runs without a sink ---- */

static size_t put_field(char *text, size_t room, const struct sl_log_field *field)
{
    int length = 0;
    switch (field->kind) {
    case SL_FIELD_TEXT:
        length = snprintf(text, room, " %s=%s", field->name, field->as.text == NULL ? "" : field->as.text);
        break;
    case SL_FIELD_INT:
        length = snprintf(text, room, " %s=%" PRId64, field->name, field->as.integer);
        break;
    case SL_FIELD_UINT:
        length = snprintf(text, room, " %s=%" PRIu64, field->name, field->as.number);
        break;
    case SL_FIELD_REAL:
        length = snprintf(text, room, " %s=%g", field->name, field->as.real);
        break;
    case SL_FIELD_BOOL:
        length = snprintf(text, room, " %s=%s", field->name, field->as.integer != 0 ? "true" : "false");
        break;
    case SL_FIELD_DURATION:
        length = snprintf(text, room, " %s=%gs", field->name, (double)field->as.integer / 1e9);
        break;
    case SL_FIELD_CODE:
        length = snprintf(text, room, " %s=%s", field->name, sl_error_name((int)field->as.integer));
        break;
    case SL_FIELD_URL: /* what is secret in it is the sink's to find; here none of it is shown */
    case SL_FIELD_SECRET:
        length = snprintf(text, room, " %s=***", field->name);
        break;
    }
    return length < 0 ? 0 : (size_t)length < room ? (size_t)length : room - 1;
}

static void as_text(sl_runtime *runtime, const struct sl_log_record *record)
{
    if (record->field_count == 0) {
        runtime->options.log(runtime->options.log_context, record->level, record->message);
        return;
    }
    char line[LINE_BYTES];
    (void)snprintf(line, sizeof line, "%s", record->message);
    size_t length = strlen(line);
    for (size_t i = 0; i < record->field_count; i++) {
        length += put_field(line + length, sizeof line - length, &record->fields[i]);
    }
    runtime->options.log(runtime->options.log_context, record->level, line);
}

/* ---- on the way ---- */

static void emit(sl_runtime *runtime, const struct sl_log_record *record)
{
    SL_ASSERT(runtime != NULL);
    bool own_thread = sl__runtime == runtime;
    if (!own_thread) {
        (void)pthread_mutex_lock(&runtime->log_lock);
    }
    if (runtime->log_sink != NULL) {
        runtime->log_sink(runtime->log_sink_context, record);
    } else {
        as_text(runtime, record);
    }
    if (!own_thread) {
        (void)pthread_mutex_unlock(&runtime->log_lock);
    }
}

static void log_about(sl_runtime *runtime, sl_task *task, const struct sl_log_record *record)
{
    char path[PATH_BYTES] = "";
    struct sl_log_record whole = *record;
    if (task != NULL && runtime->log_sink != NULL) {
        (void)sl_task_path(sl_task_ref_of(task), path, sizeof path);
    }
    whole.path = path;
    emit(runtime, &whole);
}

static bool is_wanted(sl_runtime *runtime, enum sl_log_level level)
{
    return (int)level <= atomic_load_explicit(&runtime->log_level, memory_order_relaxed);
}

SL_PRINTF(3, 0)
static void log_format(sl_runtime *runtime, enum sl_log_level level, const char *format, va_list arguments)
{
    char line[LINE_BYTES];
    if (!is_wanted(runtime, level)) {
        return;
    }
    (void)vsnprintf(line, sizeof line, format, arguments);
    log_about(runtime, sl__self(), &(struct sl_log_record){.level = level, .site = format, .message = line});
}

void sl__log(sl_runtime *runtime, enum sl_log_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_format(runtime, level, format, arguments);
    va_end(arguments);
}

void sl_log(enum sl_log_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (sl__runtime != NULL) {
        log_format(sl__runtime, level, format, arguments);
    }
    va_end(arguments);
}

void sl_log_fields(enum sl_log_level level, const char *message, const struct sl_log_field *fields, size_t count)
{
    sl_runtime *runtime = sl__runtime;
    if (runtime != NULL && is_wanted(runtime, level)) {
        log_about(runtime, sl__self(),
                  &(struct sl_log_record){
                      .level = level, .site = message, .message = message, .fields = fields, .field_count = count});
    }
}

void sl__log_error(sl_runtime *runtime, sl_task *task, int code, const sl_error *error)
{
    static const char site[] = "uncollected error";
    char path[PATH_BYTES] = "";
    char text[LINE_BYTES - PATH_BYTES] = "";
    char line[LINE_BYTES + 64];
    (void)sl_task_path(sl_task_ref_of(task), path, sizeof path);
    size_t length = sl_error_print(error, text, sizeof text);
    if (length > 0 && length < sizeof text) {
        text[length - 1] = '\0'; /* the last line feed */
    }
    (void)snprintf(line, sizeof line, "%s in task '%s': %s", site, path, text[0] != '\0' ? text : sl_error_name(code));
    emit(runtime, &(struct sl_log_record){.level = SL_LOG_ERROR, .site = site, .path = path, .message = line});
}
