/* SPDX-License-Identifier: MIT */
/* The live line, once a second: on a terminal in place, else as lines of a log. */
#include <inttypes.h>
#include <unistd.h>

#include "ingest/worker.h"

static void print_line(const sl_worker *worker, const struct sl_worker_stats *before)
{
    const struct sl_worker_stats *now = &worker->stats;
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
    if (now->failures > before->failures) {
        printf("%sthe stream failed: %s\n", terminal ? "\r\033[K" : "", worker->problem);
    }
    printf("%s%s  %" PRIu64 " msg/s  %" PRIu64 " trades/s  %" PRIu64 " rows/s  bid %s ask %s  gaps %" PRIu64
           " (healed %" PRIu64 ")  lost %" PRIu64 "  connections %" PRIu64 "%s",
           terminal ? "\r\033[K" : "", worker->options.symbol, now->messages - before->messages,
           now->trades - before->trades, now->sink.written - before->sink.written, bid, ask, now->gaps, now->healed,
           now->lost, now->connections, terminal ? "" : "\n");
    (void)fflush(stdout);
}

int sl__worker_status(void *arg)
{
    const sl_worker *worker = arg;
    for (;;) {
        struct sl_worker_stats before = worker->stats;
        SL_TRY(sl_sleep(SL_SECONDS(1)));
        print_line(worker, &before);
    }
}
