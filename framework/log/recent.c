/* SPDX-License-Identifier: MIT */
/* The last lines of the log, whole, in one block of memory used in a circle. */
#include <string.h>

#include "log.h"

static struct sl__recent_line *line_at(const struct sl__recent *recent, size_t index)
{
    return (struct sl__recent_line *)&recent->lines[(recent->first + index) % SL_LOG_RECENT_LINES];
}

static void forget_oldest(struct sl__recent *recent)
{
    recent->first = (recent->first + 1) % SL_LOG_RECENT_LINES;
    recent->count--;
}

void sl__recent_add(struct sl__recent *recent, uint64_t sequence, enum sl_log_level level, const char *json,
                    size_t bytes)
{
    if (bytes > recent->size_bytes) {
        return;
    }
    if (recent->at + bytes > recent->size_bytes) { /* what stands behind is older than what stands in front */
        while (recent->count > 0 && line_at(recent, 0)->offset >= recent->at) {
            forget_oldest(recent);
        }
        recent->at = 0;
    }
    while (recent->count > 0 &&
           (recent->count == SL_LOG_RECENT_LINES ||
            (line_at(recent, 0)->offset >= recent->at && line_at(recent, 0)->offset < recent->at + bytes))) {
        forget_oldest(recent);
    }
    *line_at(recent, recent->count++) = (struct sl__recent_line){
        .sequence = sequence, .offset = (uint32_t)recent->at, .bytes = (uint32_t)bytes, .level = (uint8_t)level};
    memcpy(recent->data + recent->at, json, bytes);
    recent->at += bytes;
}

void sl__recent_write(const struct sl__recent *recent, uint64_t after, enum sl_log_level level, size_t lines_max,
                      sl_json_writer *out)
{
    size_t first = recent->count;
    size_t found = 0;
    while (first > 0 && found < lines_max && line_at(recent, first - 1)->sequence > after) {
        found += line_at(recent, --first)->level <= (uint8_t)level ? 1 : 0;
    }
    sl_json_begin_array(out);
    for (; first < recent->count; first++) {
        const struct sl__recent_line *line = line_at(recent, first);
        if (line->level <= (uint8_t)level) {
            sl_json_put_json(out, recent->data + line->offset, line->bytes);
        }
    }
    sl_json_end_array(out);
}
