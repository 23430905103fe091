/* SPDX-License-Identifier: MIT */
/* Limits that a server reports in the body of its answer. Sources: REST manuals of Binance, Bybit, Kraken and OKX. */
#include <string.h>

#include "sluice/json.h"
#include "sluice/rate_limit.h"

#define SECOND_DIGITS_MAX 12

static bool begins_with(sl_json_text text, const char *with)
{
    size_t length = strlen(with);
    return text.size_bytes >= length && memcmp(text.data, with, length) == 0;
}

/* The code that the text is, or begins with; NULL: none. */
static const char *find_code(const struct sl_limit_dialect *dialect, sl_json_text text, bool whole)
{
    for (size_t i = 0; i < SL_LIMIT_CODES_MAX && dialect->body_codes[i] != NULL; i++) {
        const char *code = dialect->body_codes[i];
        if (begins_with(text, code) && (!whole || strlen(code) == text.size_bytes)) {
            return code;
        }
    }
    return NULL;
}

/* ": 1659146400" behind the code: until then; else SL_UNKNOWN. */
static sl_time wait_of(sl_json_text text, size_t code_bytes, sl_time wall)
{
    int64_t second = 0;
    size_t at = code_bytes;
    if (text.size_bytes < code_bytes + 3 || text.data[at] != ':' || text.data[at + 1] != ' ' ||
        text.size_bytes - at - 2 > SECOND_DIGITS_MAX) {
        return SL_UNKNOWN;
    }
    for (at += 2; at < text.size_bytes; at++) {
        if (text.data[at] < '0' || text.data[at] > '9') {
            return SL_UNKNOWN;
        }
        second = second * 10 + (text.data[at] - '0');
    }
    if (second > wall / SL_SECONDS(1) + SL_RETRY_AFTER_MAX / SL_SECONDS(1)) {
        return SL_RETRY_AFTER_MAX;
    }
    sl_time until = SL_SECONDS(second);
    return until > wall ? until - wall : 0;
}

static void heard(struct sl_limit_news *news, sl_json_text text, const char *code, sl_time wall)
{
    size_t length = text.size_bytes < sizeof news->reason - 1 ? text.size_bytes : sizeof news->reason - 1;
    sl_time wait = wait_of(text, strlen(code), wall);
    news->refused = true;
    news->retry_after = news->retry_after >= 0 ? news->retry_after : wait;
    memcpy(news->reason, text.data, length);
    news->reason[length] = '\0';
}

static void look(const struct sl_limit_dialect *dialect, sl_json *json, sl_time wall, struct sl_limit_news *news)
{
    sl_json_text text;
    const char *code;
    if (sl_json_enter_object(json) < 0 || sl_json_find_field(json, dialect->body_key) < 0) {
        return;
    }
    if (sl_json_peek(json) == SL_JSON_ARRAY && sl_json_enter_array(json) == 0) {
        while (!news->refused && sl_json_next_string(json, &text) > 0) {
            code = find_code(dialect, text, false);
            if (code != NULL) {
                heard(news, text, code, wall);
            }
        }
        return;
    }
    bool got = sl_json_peek(json) == SL_JSON_STRING ? sl_json_get_string(json, &text) == 0
                                                    : sl_json_get_number(json, &text) == 0;
    code = got ? find_code(dialect, text, true) : NULL;
    if (code != NULL) {
        heard(news, text, code, wall);
    }
}

void sl_limit_news_read_body(const struct sl_limit_dialect *dialect, const char *body, size_t body_bytes, sl_time wall,
                             struct sl_limit_news *news)
{
    sl_json *json = NULL;
    if (dialect->body_key == NULL || body == NULL || body_bytes == 0 || body_bytes > SL_LIMIT_BODY_BYTES_MAX ||
        body[0] != '{' || news->status == 0) { /* 0: from a cache */
        return;
    }
    if (sl_json_new(SL_LIMIT_BODY_BYTES_MAX, &json) == 0 && sl_json_open(json, body, body_bytes, 0) == 0) {
        look(dialect, json, wall, news);
    }
    sl_json_free(json);
}
