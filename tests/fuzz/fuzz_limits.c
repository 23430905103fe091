/* SPDX-License-Identifier: MIT */
/*
 * What servers say about their limits: any headers, in every dialect, heeded by limits in use. Nothing they
 * say may do harm, block for longer than SL_RETRY_AFTER_MAX, raise a limit above the configured one or
 * make a decision that the limits forbid.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sluice/rate_limit.h"

#define INPUT_BYTES_MAX 2048
#define LINES_MAX 32

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

/* Lines of "Name: value", cut in place. */
struct lines {
    size_t count;
    const char *names[LINES_MAX], *values[LINES_MAX];
};

static const char *find(const void *message, const char *name)
{
    const struct lines *lines = message;
    for (size_t i = 0; i < lines->count; i++) {
        if (strcasecmp(lines->names[i], name) == 0) {
            return lines->values[i];
        }
    }
    return NULL;
}

static void split(char *text, struct lines *lines)
{
    lines->count = 0;
    while (text != NULL && *text != '\0' && lines->count < LINES_MAX) {
        char *end = strchr(text, '\n');
        if (end != NULL) {
            *end++ = '\0';
        }
        char *colon = strchr(text, ':');
        if (colon != NULL) {
            *colon = '\0';
            lines->names[lines->count] = text;
            lines->values[lines->count++] = colon + 1 + (colon[1] == ' ');
        }
        text = end;
    }
}

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void heed(const struct sl_limit_dialect *dialect, int status, const struct lines *lines, sl_time wall)
{
    static const struct sl_rate limits[] = {{.count = 6000, .period = SL_MINUTES(1), .burst = 600},
                                            {.count = 20, .period = SL_SECONDS(2), .per_call = true},
                                            {.count = 10, .period = SL_SECONDS(1), .bucket = true, .per_call = true}};
    sl_rates rates;
    require(sl_rates_init(&rates, limits, 3) == 0);
    sl_time now = SL_SECONDS(1000);
    for (int round = 0; round < 3; round++) {
        sl_permit permit;
        int code = sl_rates_try(&rates, 5, now, &permit);
        struct sl_limit_news news;
        sl_limit_news_read(dialect, status, find, lines, wall, &news);
        const char *body = find(lines, "Body");
        sl_limit_news_read_body(dialect, body, body == NULL ? 0 : strlen(body), wall, &news);
        require(news.quota_count <= SL_QUOTAS_MAX && news.retry_after <= SL_RETRY_AFTER_MAX);
        (void)sl_rates_heed(&rates, &news, code == 0 ? &permit : NULL, now);
        require(rates.count <= SL_RATES_MAX && rates.blocked_until <= now + SL_RETRY_AFTER_MAX);
        for (size_t i = 0; i < 3; i++) {
            struct sl_rate_state look;
            require(sl_rates_look(&rates, i, now, &look) == 0);
            require(look.rate.count >= 1 && look.rate.count <= limits[i].count && look.remaining <= look.rate.burst);
        }
        sl_time when = sl_rates_when(&rates, 1, now);
        require(when >= now);
        now = when == SL_NEVER ? now + 1 : when;
        require(when == SL_NEVER || sl_rates_try(&rates, 1, now, NULL) == 0);
        wall += SL_MILLISECONDS(1500);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    static const char *const names[] = {"standard", "x-ratelimit", "x-ratelimit-time", "used-weight",
                                        "bapi",     "error-list",  "error-code"};
    static const int statuses[] = {200, 429, 418, 403, 503, 413, 304, 0};
    if (size_bytes < 2 || size_bytes > INPUT_BYTES_MAX) {
        return 0;
    }
    char *text = malloc(size_bytes - 1);
    if (text == NULL) {
        return 0;
    }
    memcpy(text, data + 1, size_bytes - 2);
    text[size_bytes - 2] = '\0';
    struct lines lines;
    split(text, &lines);
    for (size_t i = 0; i < lines.count; i++) {
        sl_time wait = sl_retry_after_parse(lines.values[i], SL_SECONDS(INT64_C(784111777)));
        require(wait >= SL_UNKNOWN && wait <= SL_RETRY_AFTER_MAX);
    }
    heed(sl_limit_dialect_find(names[(data[0] & 15) % 7]), statuses[data[0] >> 5], &lines,
         SL_SECONDS(INT64_C(784111777)));
    free(text);
    return 0;
}
