/* SPDX-License-Identifier: MIT */
/* How long a configuration of 5 000 lines takes: reading, checking, comparing, dumping, and with errors everywhere. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../unit/config/tables.h"

#define ENTRIES 500 /* ten lines each */
#define ROUNDS 21
#define TARGET_MS 50.0

static double milliseconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Limits, sinks, and services that refer to both. */
static size_t write_text(char *text, size_t bytes, const char *key)
{
    size_t length = (size_t)snprintf(text, bytes, "limits:\n");
    for (int i = 0; i < ENTRIES; i++) {
        length +=
            (size_t)snprintf(text + length, bytes - length, "  venue-%d:\n    rates:\n      - rate: 1200/1m\n", i);
    }
    length += (size_t)snprintf(text + length, bytes - length, "sinks:\n");
    for (int i = 0; i < ENTRIES; i++) {
        length += (size_t)snprintf(text + length, bytes - length,
                                   "  archive-%d:\n    kind: file\n    path: /var/lib/sluice/archive\n", i);
    }
    length += (size_t)snprintf(text + length, bytes - length, "services:\n");
    for (int i = 0; i < ENTRIES; i++) {
        length +=
            (size_t)snprintf(text + length, bytes - length,
                             "  books-%d:\n    sinks: [archive-%d]\n    limit: venue-%d\n    %s: 4\n", i, i, i, key);
    }
    return length;
}

static double median(double *times)
{
    qsort(times, ROUNDS, sizeof *times, ascending);
    return times[ROUNDS / 2];
}

int main(void)
{
    static char good[1 << 20];
    static char bad[1 << 20];
    const struct sl_config_source sources[] = {{"good.yaml", good, write_text(good, sizeof good, "connections")},
                                               {"bad.yaml", bad, write_text(bad, sizeof bad, "conections")}};
    size_t lines = 0;
    for (const char *at = good; *at != '\0'; at++) {
        lines += *at == '\n';
    }
    double times[4][ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        sl_config *config = NULL;
        sl_config *other = NULL;
        sl_config_changes *changes = NULL;
        char *text = NULL;
        double begin = milliseconds();
        struct sl_config_options options = {.root = &program_section, .sources = &sources[0], .source_count = 1};
        int code = sl_config_load(&options, &config, NULL);
        times[0][i] = milliseconds() - begin;
        options.sources = &sources[1];
        begin = milliseconds();
        code = code == 0 && sl_config_load(&options, &other, NULL) == SL_EINVAL ? 0 : SL_EINTERNAL;
        times[1][i] = milliseconds() - begin;
        begin = milliseconds();
        code = code == 0 ? sl_config_compare(config, config, &changes) : code;
        times[2][i] = milliseconds() - begin;
        begin = milliseconds();
        code = code == 0 ? sl_config_dump(config, &text) : code;
        times[3][i] = milliseconds() - begin;
        sl_free(text);
        sl_config_changes_free(changes);
        sl_config_unref(config);
        if (code < 0) {
            return 1;
        }
    }
    static const char *const names[] = {"load", "load, 500 errors", "compare", "dump"};
    printf("%zu lines, %zu bytes, median of %d\n", lines, sources[0].text_bytes, ROUNDS);
    for (size_t i = 0; i < 4; i++) {
        printf("%-18s %8.2f ms\n", names[i], median(times[i]));
    }
    printf("target: load in %.0f ms or less\n", TARGET_MS);
    return 0;
}
