/* SPDX-License-Identifier: MIT */
/*
 * What strangers send as events: any text is read to its end, each item either refused with a reason or an event that,
 * written and read again, is the same.
 */
#include <stdlib.h>
#include <string.h>

#include "market/event_json.h"
#include "market/event_read.h"
#include "sluice/memory.h"

#define TEXT_MAX ((size_t)1 << 20)
#define TIME 1700000000000000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static void check(sl_event_reader *reader, const sl_market_event *event, sl_stamp stamp)
{
    sl_market_event again;
    sl_stamp stamp_again;
    size_t bound = sl_event_json_bound(event);
    char *text = sl_malloc(bound), *second = sl_malloc(bound);
    if (text == NULL || second == NULL) {
        abort();
    }
    size_t size = sl_event_json_write(event, &stamp, text);
    sl_event_reader_open(reader, text, size, TIME);
    if (size > bound || sl_event_reader_next(reader, &again, &stamp_again) != 1 ||
        sl_event_json_write(&again, &stamp_again, second) != size || memcmp(text, second, size) != 0) {
        abort();
    }
    sl_free(text);
    sl_free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    sl_event_reader *reader = NULL;
    sl_event_reader *second = NULL;
    sl_market_event event;
    sl_stamp stamp;
    if (size_bytes > TEXT_MAX || sl_event_reader_new(TEXT_MAX, SL_VENUE_EXTERNAL, &reader) < 0 ||
        sl_event_reader_new(0, SL_VENUE_NONE, &second) < 0) {
        return 0;
    }
    char *text = sl_malloc(size_bytes + 1); /* exactly so many bytes may be read */
    if (text == NULL) {
        abort();
    }
    if (size_bytes > 0) {
        memcpy(text, data, size_bytes);
    }
    sl_event_reader_open(reader, text, size_bytes, TIME);
    int code = 1;
    for (size_t items = 0; code != 0; items++) {
        code = sl_event_reader_next(reader, &event, &stamp);
        if (code == 1) {
            check(second, &event, stamp);
        } else if (code < 0) {
            const struct sl_event_problem *problem = sl_event_reader_problem(reader);
            if (code != SL_EPROTO || problem->text[0] == '\0' || problem->item != items ||
                problem->offset_bytes > size_bytes) {
                abort();
            }
        }
        if (items > size_bytes) {
            abort();
        }
    }
    sl_free(text);
    sl_event_reader_free(reader);
    sl_event_reader_free(second);
    return 0;
}
