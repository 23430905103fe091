/* SPDX-License-Identifier: MIT */
/*
 * Reading what a response says about limits. Sources: draft-ietf-httpapi-ratelimit-headers-10 (RateLimit,
 * RateLimit-Policy: RFC 8941 lists), -06 (RateLimit-Limit and its like); Binance and Bybit REST manuals.
 */
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "sluice/rate_limit.h"

#define BAN_418 SL_MINUTES(2) /* the shortest that Binance documents */

static const struct sl_limit_dialect dialects[] = {
    {.name = "standard",
     .limit = "RateLimit-Limit",
     .remaining = "RateLimit-Remaining",
     .reset = "RateLimit-Reset",
     .reset_unit = SL_SECONDS(1),
     .per_call = true,
     .ban_418 = BAN_418},
    {.name = "x-ratelimit",
     .limit = "X-RateLimit-Limit",
     .remaining = "X-RateLimit-Remaining",
     .reset = "X-RateLimit-Reset",
     .reset_unit = SL_SECONDS(1),
     .per_call = true,
     .ban_418 = BAN_418},
    {.name = "x-ratelimit-time",
     .limit = "X-RateLimit-Limit",
     .remaining = "X-RateLimit-Remaining",
     .reset = "X-RateLimit-Reset",
     .reset_unit = SL_SECONDS(1),
     .reset_is_time = true,
     .per_call = true,
     .ban_418 = BAN_418},
    {.name = "used-weight",
     .body_key = "code",
     .body_codes = {"-1003"},
     .used = "X-MBX-USED-WEIGHT-",
     .used_aligned = true,
     .ban_418 = BAN_418},
    {.name = "bapi",
     .body_key = "retCode",
     .body_codes = {"10006", "10018", "10429"},
     .limit = "X-Bapi-Limit",
     .remaining = "X-Bapi-Limit-Status",
     .reset = "X-Bapi-Limit-Reset-Timestamp",
     .reset_unit = SL_MILLISECONDS(1),
     .reset_is_time = true,
     .per_call = true,
     .ban_403 = SL_MINUTES(10)},
    {.name = "error-list",
     .body_key = "error",
     .body_codes = {"EAPI:Rate limit exceeded", "EGeneral:Too many requests", "EService:Throttled",
                    "EService: Throttled"},
     .ban_418 = BAN_418},
    {.name = "error-code", .body_key = "code", .body_codes = {"50011", "50061"}, .ban_418 = BAN_418},
};

const struct sl_limit_dialect *sl_limit_dialect_find(const char *name)
{
    for (size_t i = 0; i < sizeof dialects / sizeof dialects[0]; i++) {
        if (strcmp(dialects[i].name, name) == 0) {
            return &dialects[i];
        }
    }
    return NULL;
}

static const char *after_spaces(const char *at)
{
    while (*at == ' ' || *at == '\t') {
        at++;
    }
    return at;
}

/* Digits from *at on, which moves behind them; SL_UNKNOWN when there are none or more than 15. */
static int64_t read_number(const char **at)
{
    const char *begin = *at;
    int64_t number = 0;
    while (**at >= '0' && **at <= '9' && *at - begin < 16) {
        number = number * 10 + (**at - '0');
        (*at)++;
    }
    return *at == begin || *at - begin > 15 ? SL_UNKNOWN : number;
}

/* A header that is one whole number (`list`: the first of a list). Absent: SL_UNKNOWN; senseless: counted, too. */
static int64_t number_header(sl_header_fn header, const void *message, const char *name, bool list, uint32_t *ignored)
{
    const char *text = name == NULL ? NULL : header(message, name);
    if (text == NULL) {
        return SL_UNKNOWN;
    }
    text = after_spaces(text);
    int64_t number = read_number(&text);
    text = after_spaces(text);
    if (number < 0 || (*text != '\0' && !(list && (*text == ',' || *text == ';')))) {
        (*ignored)++;
        return SL_UNKNOWN;
    }
    return number;
}

/* ---- the IETF fields ---- */

struct item {
    char name[32];
    int64_t q, w, r, t; /* SL_UNKNOWN: absent */
    bool requests;      /* its unit is requests */
};

/* Copies a string or token into `to` (cut, NUL-terminated) and moves *at behind it. */
static bool read_word(const char **at, char *to, size_t to_bytes)
{
    size_t length = 0;
    bool quoted = **at == '"';
    *at += quoted;
    const char *begin = *at;
    for (; **at != '\0' && (quoted ? **at != '"' : strchr(" \t,;=\"", **at) == NULL); (*at)++) {
        if (quoted && **at == '\\' && *++(*at) == '\0') {
            return false;
        }
        if (length + 1 < to_bytes) {
            to[length++] = **at;
        }
    }
    to[length] = '\0';
    if (quoted) {
        return *(*at)++ == '"';
    }
    return *at != begin;
}

static bool read_parameter(const char **at, struct item *item)
{
    char key[8], word[32] = "";
    if (!read_word(at, key, sizeof key)) {
        return false;
    }
    if (**at != '=') {
        return true; /* a flag */
    }
    ++*at;
    if (**at >= '0' && **at <= '9') {
        int64_t number = read_number(at);
        int64_t *place = key[0] == '\0' || key[1] != '\0' ? NULL
                         : key[0] == 'q'                  ? &item->q
                         : key[0] == 'w'                  ? &item->w
                         : key[0] == 'r'                  ? &item->r
                         : key[0] == 't'                  ? &item->t
                                                          : NULL;
        if (place != NULL) {
            *place = number;
        }
        return number >= 0;
    }
    if (**at == ':') { /* bytes: whose partition it is */
        const char *end = strchr(*at + 1, ':');
        *at = end == NULL ? *at : end + 1;
        return end != NULL;
    }
    bool known = strlen(key) == 1 && strchr("qwrt", key[0]) != NULL;
    if (known || !read_word(at, word, sizeof word)) {
        return false; /* these are numbers, and not negative ones */
    }
    if (strcmp(key, "qu") == 0) {
        item->requests = strcmp(word, "requests") == 0;
    }
    return true;
}

/* Items of a list, at most `most`; SL_UNKNOWN when the field is malformed. */
static int read_items(const char *text, struct item *items, int most)
{
    int count = 0;
    for (const char *at = after_spaces(text);; at = after_spaces(at + 1)) {
        struct item item = {.q = SL_UNKNOWN, .w = SL_UNKNOWN, .r = SL_UNKNOWN, .t = SL_UNKNOWN, .requests = true};
        if (!read_word(&at, item.name, sizeof item.name)) {
            return SL_UNKNOWN;
        }
        while (*(at = after_spaces(at)) == ';') {
            at = after_spaces(at + 1);
            if (!read_parameter(&at, &item)) {
                return SL_UNKNOWN;
            }
        }
        if (count < most) {
            items[count++] = item;
        }
        if (*at != ',') {
            return *at == '\0' ? count : SL_UNKNOWN;
        }
    }
}

/* The items of one field in which `needed` is present in each; none when the field is absent or malformed. */
static int field_items(sl_header_fn header, const void *message, const char *name, struct item *items,
                       uint32_t *ignored)
{
    const char *text = header(message, name);
    int count = text == NULL ? 0 : read_items(text, items, SL_QUOTAS_MAX);
    bool state = strcmp(name, "RateLimit") == 0;
    for (int i = 0; i < count; i++) {
        if ((state ? items[i].r : items[i].q) < 0) {
            count = SL_UNKNOWN;
        }
    }
    *ignored += count < 0;
    return count < 0 ? 0 : count;
}

static sl_time seconds(int64_t count)
{
    return count < SL_RETRY_AFTER_MAX / SL_SECONDS(1) ? SL_SECONDS(count) : SL_RETRY_AFTER_MAX;
}

static struct sl_quota *new_quota(struct sl_limit_news *news)
{
    if (news->quota_count == SL_QUOTAS_MAX) {
        return NULL;
    }
    struct sl_quota *quota = &news->quotas[news->quota_count++];
    *quota = (struct sl_quota){.limit = SL_UNKNOWN, .used = SL_UNKNOWN, .remaining = SL_UNKNOWN, .reset = SL_UNKNOWN};
    quota->per_call = true;
    return quota;
}

static void read_ietf(struct sl_limit_news *news, sl_header_fn header, const void *message)
{
    struct item policies[SL_QUOTAS_MAX], states[SL_QUOTAS_MAX];
    int policy_count = field_items(header, message, "RateLimit-Policy", policies, &news->ignored);
    int state_count = field_items(header, message, "RateLimit", states, &news->ignored);
    bool told[SL_QUOTAS_MAX] = {false};
    for (int i = 0; i < policy_count; i++) {
        struct sl_quota *quota = policies[i].requests ? new_quota(news) : NULL;
        if (quota == NULL) {
            continue;
        }
        quota->limit = policies[i].q;
        quota->period = policies[i].w > 0 ? SL_SECONDS(policies[i].w < 31622400 ? policies[i].w : 31622400) : 0;
        quota->policy = quota->period > 0;
        for (int k = 0; k < state_count; k++) {
            if (!told[k] && strcmp(states[k].name, policies[i].name) == 0) {
                told[k] = true;
                quota->remaining = states[k].r;
                quota->reset = states[k].t < 0 ? SL_UNKNOWN : seconds(states[k].t);
            }
        }
    }
    for (int k = 0; k < state_count; k++) {
        struct sl_quota *quota = told[k] ? NULL : new_quota(news);
        if (quota != NULL) {
            quota->remaining = states[k].r;
            quota->reset = states[k].t < 0 ? SL_UNKNOWN : seconds(states[k].t);
        }
    }
}

/* ---- the dialects ---- */

static void read_trio(struct sl_limit_news *news, const struct sl_limit_dialect *dialect, sl_header_fn header,
                      const void *message, sl_time wall)
{
    int64_t limit = number_header(header, message, dialect->limit, true, &news->ignored);
    int64_t remaining = number_header(header, message, dialect->remaining, false, &news->ignored);
    int64_t reset = number_header(header, message, dialect->reset, false, &news->ignored);
    struct sl_quota *quota = limit < 0 && remaining < 0 ? NULL : new_quota(news);
    if (quota == NULL) {
        return;
    }
    quota->limit = limit;
    quota->remaining = remaining;
    quota->per_call = dialect->per_call;
    quota->period = dialect->period;
    quota->policy = dialect->period > 0 && limit > 0;
    if (reset >= 0) {
        sl_time most = (INT64_MAX - SL_SECONDS(1)) / dialect->reset_unit;
        sl_time at = (reset < most ? reset : most) * dialect->reset_unit;
        at = dialect->reset_is_time ? at - wall : at;
        quota->reset = at < 0 ? 0 : (at < SL_RETRY_AFTER_MAX ? at : SL_RETRY_AFTER_MAX);
    }
}

static void read_used(struct sl_limit_news *news, const struct sl_limit_dialect *dialect, sl_header_fn header,
                      const void *message, sl_time wall)
{
    static const struct {
        const char *name;
        sl_time period;
    } periods[] = {{"1S", SL_SECONDS(1)}, {"10S", SL_SECONDS(10)}, {"1M", SL_MINUTES(1)},
                   {"5M", SL_MINUTES(5)}, {"1H", SL_MINUTES(60)},  {"1D", SL_MINUTES(1440)}};
    for (size_t i = 0; i < sizeof periods / sizeof periods[0]; i++) {
        char name[64] = "";
        size_t length = strlen(dialect->used);
        if (length + strlen(periods[i].name) >= sizeof name) {
            return;
        }
        memcpy(name, dialect->used, length);
        memcpy(name + length, periods[i].name, strlen(periods[i].name));
        int64_t used = number_header(header, message, name, false, &news->ignored);
        struct sl_quota *quota = used < 0 ? NULL : new_quota(news);
        if (quota == NULL) {
            continue;
        }
        quota->used = used;
        quota->per_call = dialect->per_call;
        quota->period = periods[i].period;
        quota->reset = dialect->used_aligned ? periods[i].period - wall % periods[i].period : SL_UNKNOWN;
    }
}

void sl_limit_news_read(const struct sl_limit_dialect *dialect, int status, sl_header_fn header, const void *message,
                        sl_time wall, struct sl_limit_news *ret_news)
{
    *ret_news = (struct sl_limit_news){.retry_after = SL_UNKNOWN};
    struct sl_limit_news *news = ret_news;
    uint32_t age_ignored = 0;
    if (header != NULL && number_header(header, message, "Age", false, &age_ignored) > 0) {
        return; /* from a cache: not the server's word of now */
    }
    news->status = status;
    news->ban = status == 418 ? dialect->ban_418 : (status == 403 ? dialect->ban_403 : 0);
    if (header == NULL) {
        return;
    }
    const char *retry_after = header(message, "Retry-After");
    if (retry_after != NULL) {
        news->retry_after = sl_retry_after_parse(retry_after, wall);
        news->ignored += news->retry_after < 0;
    }
    read_ietf(news, header, message);
    if (dialect->limit != NULL || dialect->remaining != NULL) {
        read_trio(news, dialect, header, message, wall);
    }
    if (dialect->used != NULL) {
        read_used(news, dialect, header, message, wall);
    }
}
