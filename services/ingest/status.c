/* SPDX-License-Identifier: MIT */
/* The live line, once a second: on a terminal in place, else as lines of a log. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <unistd.h>

#include "ingest/worker.h"
#include "sluice/runtime.h"
#include "sluice/thread.h"

#define LINE_BYTES 512

/* Runs on a thread: whoever reads the output may have stopped reading. */
static int print(void *line)
{
    errno = 0;
    if (fputs(line, stdout) != EOF && fflush(stdout) == 0) {
        return 0;
    }
    clearerr(stdout);
    return errno > 0 ? -errno : SL_EPIPE;
}

int sl__worker_say(const char *format, ...)
{
    char *line = sl_malloc(LINE_BYTES);
    if (line == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a line of output");
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, LINE_BYTES, format, arguments);
    va_end(arguments);
    const struct sl_offload_options options = {.arg = line, .name = "output", .abandon = true, .release = sl_free};
    return sl_offload_with(print, &options);
}

static int print_line(const sl_worker *worker, const struct sl_worker_stats *before)
{
    struct sl_worker_stats now = worker->stats;
    char bid[SL_DECIMAL_TEXT_MAX] = "-";
    char ask[SL_DECIMAL_TEXT_MAX] = "-";
    const sl_level *best = sl_book_best(worker->book, SL_SIDE_BUY);
    if (best != NULL) {
        (void)sl_decimal_format(best->price, SL_DECIMAL_SCALED, bid);
    }
    best = sl_book_best(worker->book, SL_SIDE_SELL);
    if (best != NULL) {
        (void)sl_decimal_format(best->price, SL_DECIMAL_SCALED, ask);
    }
    bool terminal = isatty(STDOUT_FILENO) != 0;
    const char *clear = terminal ? "\r\033[K" : "";
    if (now.problems > before->problems) {
        int code = sl__worker_say("%s%s\n", clear, worker->problem);
        if (code < 0) {
            return code;
        }
    }
    return sl__worker_say("%s%s  %" PRIu64 " msg/s  %" PRIu64 " trades/s  %" PRIu64
                          " rows/s  bid %s ask %s  gaps %" PRIu64 " (healed %" PRIu64 ")  lost %" PRIu64
                          "  connections %" PRIu64 "%s",
                          clear, worker->options.symbol, now.messages - before->messages, now.trades - before->trades,
                          now.sink.written - before->sink.written, bid, ask, now.gaps, now.healed, now.lost,
                          now.connections, terminal ? "" : "\n");
}

/* Output that fails for other reasons (a full disk) is no reason to stop the work. */
int sl__worker_status(void *arg)
{
    sl_worker *worker = arg;
    for (;;) {
        struct sl_worker_stats before = worker->stats;
        SL_TRY(sl_sleep(SL_SECONDS(1)));
        int code = print_line(worker, &before);
        if (code == SL_EPIPE) {
            worker->unheard = true;
            return sl_scope_stop(worker->scope, SL_GRACE);
        }
    }
}
