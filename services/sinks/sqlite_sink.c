/* SPDX-License-Identifier: MIT */
/* SQLite as a sink: one transaction a batch. See sqlite.h. */
#include <string.h>

#include "sinks/sqlite.h"

#define PATH_BYTES 1024

typedef struct sl_sqlite_sink {
    sl_sink sink;
    sl_sqlite_options options;
    char path[PATH_BYTES];
    sl_sqlite *store; /* while it is open */
} sl_sqlite_sink;

static int sqlite_open(sl_sink *base, sl_scope *scope)
{
    sl_sqlite_sink *sink = (sl_sqlite_sink *)base;
    char problem[SL_SQLITE_PROBLEM_MAX] = "";
    (void)scope;
    int code = sink->store != NULL ? 0 : sl_sqlite_open(&sink->options, &sink->store, problem);
    return code < 0 ? sl_fail(code, "database '%s': %s", sink->path, problem) : 0;
}

static int write_all(sl_sqlite *store, sl_sink_batch *batch)
{
    sl_market_event event;
    sl_stamp stamp;
    for (;;) {
        int code = sl_sink_batch_next(batch, &event, &stamp);
        if (code <= 0) {
            return code;
        }
        stamp.run &= INT64_MAX; /* a column is signed */
        SL_TRY(sl_sqlite_write_stamped(store, &event, stamp));
    }
}

static int sqlite_write(sl_sink *base, sl_sink_batch *batch, sl_sink_result *result)
{
    sl_sqlite_sink *sink = (sl_sqlite_sink *)base;
    const sl_sqlite_stats before = *sl_sqlite_get_stats(sink->store);
    int code = write_all(sink->store, batch);
    code = code == 0 ? sl_sqlite_flush(sink->store) : code;
    if (code < 0) {
        return sl_fail(code, "database '%s': %s", sink->path, sl_sqlite_problem(sink->store));
    }
    const sl_sqlite_stats *after = sl_sqlite_get_stats(sink->store);
    result->written = after->written - before.written;
    result->repeated = after->repeated - before.repeated;
    result->skipped = after->skipped - before.skipped;
    return 0;
}

static void sqlite_close(sl_sink *base)
{
    sl_sqlite_sink *sink = (sl_sqlite_sink *)base;
    sl_sqlite_close(sink->store);
    sink->store = NULL;
}

static void sqlite_free(sl_sink *base)
{
    sqlite_close(base);
    sl_free(base);
}

int sl_sqlite_sink_new(const sl_sqlite_options *options, sl_sink **ret_sink)
{
    static const sl_sink_driver driver = {"sqlite", true, sqlite_open, sqlite_write, sqlite_close, sqlite_free};
    if (options->path == NULL || strlen(options->path) >= PATH_BYTES) {
        return sl_fail(SL_EINVAL, "sink sqlite: it needs a path, of less than %d bytes", PATH_BYTES);
    }
    sl_sqlite_sink *sink = sl_calloc(1, sizeof(*sink));
    if (sink == NULL) {
        return SL_ENOMEM;
    }
    sink->sink.driver = &driver;
    memcpy(sink->path, options->path, strlen(options->path) + 1);
    sink->options = *options;
    sink->options.path = sink->path;
    sink->options.batch_events = SL_SQLITE_BATCH_MAX;
    *ret_sink = &sink->sink;
    return 0;
}
