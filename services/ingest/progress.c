/* SPDX-License-Identifier: MIT */
/* Bars of progress. See progress.h. */
#include "ingest/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sluice/runtime.h"

#define CELLS 30
#define EVERY SL_MILLISECONDS(500)

bool sl_progress_wanted(int descriptor)
{
    const char *terminal = getenv("TERM");
    return isatty(descriptor) != 0 && (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

void sl_progress_bar(double part, char bar[SL_PROGRESS_BAR_BYTES])
{
    char cells[CELLS + 1];
    part = part > 0 ? part < 1 ? part : 1 : 0;
    memset(cells, ' ', CELLS);
    memset(cells, '#', (size_t)(part * CELLS));
    cells[CELLS] = '\0';
    (void)snprintf(bar, SL_PROGRESS_BAR_BYTES, "[%s] %3d %%", cells, (int)(part * 100)); /* 100 only when all is done */
}

/* "" when nothing is left to do. */
static void tell(const sl_program_parts *parts, char text[SL_LOG_FOOTER_BYTES])
{
    uint64_t jobs = 0, left = 0;
    size_t count = 0;
    const char *name = "";
    for (const struct sl_program_service *service = sl_program_services(parts); service != NULL;
         service = service->next) {
        struct sl_service_look look;
        if (sl_service_look(service, &look) && look.jobs_left > 0) {
            jobs += look.jobs;
            left += look.jobs_left;
            name = count++ == 0 ? service->name : "backfills";
        }
    }
    char bar[SL_PROGRESS_BAR_BYTES];
    sl_progress_bar(jobs == 0 ? 0 : (double)(jobs - left) / (double)jobs, bar);
    text[0] = '\0';
    if (left > 0) {
        (void)snprintf(text, SL_LOG_FOOTER_BYTES, "%.16s %s  %" PRIu64 " of %" PRIu64, name, bar, jobs - left, jobs);
    }
}

int sl_progress_run(void *arg)
{
    const struct sl_progress *progress = arg;
    int code = 0;
    while (code == 0 && sl_progress_wanted(STDERR_FILENO)) {
        char text[SL_LOG_FOOTER_BYTES];
        tell(progress->parts, text);
        sl_logger_footer(progress->logger, text);
        code = sl_sleep(EVERY);
    }
    sl_logger_footer(progress->logger, "");
    return code;
}
