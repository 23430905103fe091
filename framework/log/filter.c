/* SPDX-License-Identifier: MIT */
/* Repeats are merged, and a place in the code that logs without end is limited; what is held back is told later. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

#define WINDOW SL_SECONDS(1)
/* Places with one hash: then the one that was quiet longest makes room. */
#define PROBES 8

static uint64_t mix(uint64_t value, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    for (size_t i = 0; i < bytes; i++) {
        value = (value ^ at[i]) * UINT64_C(0x100000001b3);
    }
    return value;
}

static uint64_t mix_text(uint64_t value, const char *text)
{
    return text == NULL ? value : mix(value, text, strlen(text) + 1);
}

/* What makes two records the same line. */
static uint64_t key_of(const struct sl_log_record *record)
{
    uint64_t key = mix(UINT64_C(0xcbf29ce484222325), &record->level, sizeof record->level);
    key = mix_text(mix_text(key, record->path), record->message);
    for (size_t i = 0; i < record->field_count; i++) {
        const struct sl_log_field *field = &record->fields[i];
        key = mix_text(key, field->name);
        if (field->kind == SL_FIELD_TEXT || field->kind == SL_FIELD_URL) {
            key = mix_text(key, field->as.text);
        } else {
            key = mix(key, &field->as.number, sizeof field->as.number);
        }
    }
    return key;
}

SL_PRINTF(3, 4)
static void tell(struct sl__log_filter *filter, const struct sl__log_site *site, const char *format, ...)
{
    char message[SL_LOG_SITE_MESSAGE_BYTES + 64];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    filter->tell(
        filter->context,
        &(struct sl_log_record){.level = site->level, .site = site->site, .path = site->path, .message = message});
}

static void tell_repeats(struct sl__log_filter *filter, struct sl__log_site *site)
{
    if (site->repeats > 0) {
        tell(filter, site, "repeated %" PRIu64 " time%s: %s", site->repeats, site->repeats == 1 ? "" : "s",
             site->message);
        site->repeats = 0;
    }
}

static void tell_limited(struct sl__log_filter *filter, struct sl__log_site *site)
{
    if (site->limited > 0) {
        tell(filter, site, "left out %" PRIu64 " more line%s from the place of: %s", site->limited,
             site->limited == 1 ? "" : "s", site->message);
        site->limited = 0;
    }
}

static void tell_due(struct sl__log_filter *filter, struct sl__log_site *site, sl_time now)
{
    if (now - site->window >= WINDOW) {
        tell_limited(filter, site);
    }
    if (now - site->written >= filter->merge) {
        tell_repeats(filter, site);
        site->key = 0; /* the next one is a line again */
    }
}

static struct sl__log_site *site_of(struct sl__log_filter *filter, const void *place, sl_time now)
{
    uint64_t start = ((uint64_t)(uintptr_t)place * UINT64_C(0x9e3779b97f4a7c15)) >> 56;
    struct sl__log_site *oldest = NULL;
    for (unsigned i = 0; i < PROBES; i++) {
        struct sl__log_site *site = &filter->sites[(start + i) % SL_LOG_SITES];
        if (site->site == place) {
            return site;
        }
        if (oldest == NULL || (oldest->site != NULL && (site->site == NULL || site->window < oldest->window))) {
            oldest = site;
        }
    }
    tell_limited(filter, oldest);
    tell_repeats(filter, oldest);
    *oldest = (struct sl__log_site){.site = place, .window = now};
    return oldest;
}

/* No more than the room has, cut where a character ends. */
static void keep_text(char *to, size_t room, const char *text)
{
    size_t length = strnlen(text, room);
    if (length == room) {
        for (length--; length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80;) {
            length--;
        }
    }
    memcpy(to, text, length);
    to[length] = '\0';
}

bool sl__log_filter_take(struct sl__log_filter *filter, const struct sl_log_record *record, sl_time now)
{
    struct sl__log_site *site = site_of(filter, record->site, now);
    uint64_t key = key_of(record) | 1;
    tell_due(filter, site, now);
    if (key == site->key) {
        site->repeats++;
        filter->merged++;
        return false;
    }
    if (now - site->window >= WINDOW) {
        site->window = now;
        site->count = 0;
    }
    if (site->count >= filter->site_lines) {
        site->limited++;
        filter->limited++;
        return false;
    }
    tell_repeats(filter, site);
    site->count++;
    site->key = key;
    site->written = now;
    site->level = record->level;
    keep_text(site->message, sizeof site->message, record->message);
    keep_text(site->path, sizeof site->path, record->path);
    return true;
}

void sl__log_filter_tick(struct sl__log_filter *filter, sl_time now)
{
    for (size_t i = 0; i < SL_LOG_SITES; i++) {
        struct sl__log_site *site = &filter->sites[i];
        if (now == SL_NEVER) {
            tell_limited(filter, site);
            tell_repeats(filter, site);
        } else if (site->limited > 0 || site->repeats > 0) {
            tell_due(filter, site, now);
        }
    }
}
