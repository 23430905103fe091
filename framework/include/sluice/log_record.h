/* SPDX-License-Identifier: MIT */
/*
 * Writing to the log: from any task, and from callbacks on the loop. What becomes of it is the sink's business (see
 * log.h); without one a line goes to the `log` of the run's options.
 *
 *     sl_log(SL_LOG_WARNING, "%s is %lld ms behind", name, lag);
 *     sl_log_with(SL_LOG_INFO, "connected", sl_field_text("venue", venue), sl_field_int("port", port));
 *
 * Format and message are literals, as their address tells the place in the code by: repeats and limits count for it.
 */
#ifndef SLUICE_LOG_RECORD_H
#define SLUICE_LOG_RECORD_H

#include <stdbool.h>

#include "sluice/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum sl_log_level { SL_LOG_ERROR, SL_LOG_WARNING, SL_LOG_INFO, SL_LOG_DEBUG };

/* "error", "warning", "info", "debug". */
const char *sl_log_level_name(enum sl_log_level level);

enum sl_field_kind {
    SL_FIELD_TEXT,
    SL_FIELD_INT,
    SL_FIELD_UINT,
    SL_FIELD_REAL,
    SL_FIELD_BOOL,
    SL_FIELD_DURATION, /* nanoseconds; written as seconds */
    SL_FIELD_CODE,     /* an error code, written by its name */
    SL_FIELD_URL,      /* user and password in it become "***" */
    SL_FIELD_SECRET    /* always written as "***" */
};

struct sl_log_field {
    const char *name; /* a literal */
    enum sl_field_kind kind;
    union {
        const char *text; /* borrowed during the call; NULL: "" */
        int64_t integer;
        uint64_t number;
        double real;
    } as;
};

struct sl_log_record {
    enum sl_log_level level;
    const void *site;    /* the place in the code */
    const char *path;    /* of the task it is about; "" outside one */
    const char *message; /* one or several lines, of any bytes */
    const struct sl_log_field *fields;
    size_t field_count;
};

static inline struct sl_log_field sl__field(const char *name, enum sl_field_kind kind)
{
    struct sl_log_field field;
    field.name = name;
    field.kind = kind;
    field.as.text = NULL;
    return field;
}

static inline struct sl_log_field sl_field_text(const char *name, const char *text)
{
    struct sl_log_field field = sl__field(name, SL_FIELD_TEXT);
    field.as.text = text;
    return field;
}

static inline struct sl_log_field sl_field_int(const char *name, int64_t value)
{
    struct sl_log_field field = sl__field(name, SL_FIELD_INT);
    field.as.integer = value;
    return field;
}

static inline struct sl_log_field sl_field_uint(const char *name, uint64_t value)
{
    struct sl_log_field field = sl__field(name, SL_FIELD_UINT);
    field.as.number = value;
    return field;
}

static inline struct sl_log_field sl_field_real(const char *name, double value)
{
    struct sl_log_field field = sl__field(name, SL_FIELD_REAL);
    field.as.real = value;
    return field;
}

static inline struct sl_log_field sl_field_bool(const char *name, bool value)
{
    struct sl_log_field field = sl__field(name, SL_FIELD_BOOL);
    field.as.integer = value ? 1 : 0;
    return field;
}

static inline struct sl_log_field sl_field_duration(const char *name, int64_t duration_ns)
{
    struct sl_log_field field = sl__field(name, SL_FIELD_DURATION);
    field.as.integer = duration_ns;
    return field;
}

static inline struct sl_log_field sl_field_code(const char *name, int code)
{
    struct sl_log_field field = sl__field(name, SL_FIELD_CODE);
    field.as.integer = code;
    return field;
}

static inline struct sl_log_field sl_field_url(const char *name, const char *url)
{
    struct sl_log_field field = sl__field(name, SL_FIELD_URL);
    field.as.text = url;
    return field;
}

static inline struct sl_log_field sl_field_secret(const char *name)
{
    return sl__field(name, SL_FIELD_SECRET);
}

/* Writes a line through the log of this thread's runtime; without a runtime it does nothing. Never waits. */
void sl_log(enum sl_log_level level, const char *format, ...) SL_PRINTF(2, 3);

/* The same with fields: sl_log_with(level, message, field, ...), at least one. C only. */
void sl_log_fields(enum sl_log_level level, const char *message, const struct sl_log_field *fields, size_t count);
#define sl_log_with(level, message, ...)                                                                               \
    sl_log_fields((level), (message), (const struct sl_log_field[]){__VA_ARGS__},                                      \
                  sizeof((const struct sl_log_field[]){__VA_ARGS__}) / sizeof(struct sl_log_field))

/*
 * Has this thread's runtime give its records up to `level` to `sink` from now on, in place of the run's `log`. It
 * must not wait, and may be called on the watchdog's thread too. sl_log_sink_clear() takes it back if it is still
 * the one with this context; when it returns no call is under way.
 */
typedef void (*sl_log_sink_fn)(void *context, const struct sl_log_record *record);
int sl_log_sink_set(sl_log_sink_fn sink, void *context, enum sl_log_level level); /* 0 or SL_ENOTASK: no runtime */
void sl_log_sink_clear(void *context);

#ifdef __cplusplus
}
#endif

#endif
