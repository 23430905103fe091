/* SPDX-License-Identifier: MIT */
/* Names made of an event: see template.h. */
#include "template.h"

#include <string.h>

static const char *const marks[] = {"<kind>", "<feed>", "<venue>", "<instrument>", "<symbol>"};

#define MARKS (sizeof(marks) / sizeof(marks[0]))

/* The mark that `text` begins with, MARKS when with none. */
static size_t mark_at(const char *text)
{
    size_t mark = 0;
    while (mark < MARKS && strncmp(text, marks[mark], strlen(marks[mark])) != 0) {
        mark++;
    }
    return mark;
}

int sl_template_check(const char *text)
{
    if (text == NULL || text[0] == '\0' || strlen(text) >= SL_TEMPLATE_MAX) {
        return sl_fail(SL_EINVAL, "a name must have 1 to %d characters", SL_TEMPLATE_MAX - 1);
    }
    for (const char *at = strchr(text, '<'); at != NULL; at = strchr(at + 1, '<')) {
        if (mark_at(at) == MARKS) {
            return sl_fail(SL_EINVAL, "'%s': known are <kind>, <feed>, <venue>, <instrument> and <symbol>", text);
        }
    }
    return 0;
}

static const char *value_of(size_t mark, const sl_market_event *event)
{
    switch (mark) {
    case 0:
        return sl_event_kind_name(event->kind);
    case 1:
        return sl_feed_name(event->feed);
    case 2:
        return sl_venue_name(event->instrument->venue);
    case 3:
        return event->instrument->name;
    default:
        return event->instrument->symbol;
    }
}

size_t sl_template_expand(const char *text, const sl_market_event *event, char buffer[SL_TEMPLATE_NAME_MAX])
{
    size_t length = 0;
    while (*text != '\0') {
        size_t mark = *text == '<' ? mark_at(text) : MARKS;
        const char *value = mark < MARKS ? value_of(mark, event) : text;
        size_t size = mark < MARKS ? strlen(value) : 1;
        size = size < SL_TEMPLATE_NAME_MAX - 1 - length ? size : SL_TEMPLATE_NAME_MAX - 1 - length;
        memcpy(buffer + length, value, size);
        length += size;
        text += mark < MARKS ? strlen(marks[mark]) : 1;
    }
    buffer[length] = '\0';
    return length;
}
