/* SPDX-License-Identifier: MIT */
/* Records of events: any bytes are refused or give an event that can be written again and read back the same. */
#include <stdlib.h>
#include <string.h>

#include "market/event_json.h"
#include "market/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static void check(sl_record_reader *reader, const sl_market_event *event, sl_stamp stamp)
{
    sl_market_event again;
    sl_stamp stamp_again;
    char identity[SL_EVENT_IDENTITY_MAX];
    uint64_t key = 0;
    size_t bound = sl_record_bound(event);
    uint8_t *record = sl_malloc(bound + 1);
    char *text = sl_malloc(sl_event_json_bound(event));
    if (record == NULL || text == NULL || bound == 0) {
        abort();
    }
    size_t size = sl_record_encode(event, record);
    sl_record_set_stamp(record, stamp);
    (void)sl_record_state_key(record, size, &key);
    if (size > bound || sl_event_json_write(event, &stamp, text) > sl_event_json_bound(event) ||
        sl_event_identity(event, stamp, identity) >= SL_EVENT_IDENTITY_MAX ||
        sl_record_decode(reader, record, size, &again, &stamp_again) != 0 || again.kind != event->kind ||
        stamp_again.number != stamp.number) {
        abort();
    }
    sl_free(record);
    sl_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    sl_record_reader *reader = NULL;
    sl_record_reader *second = NULL;
    sl_market_event event;
    sl_stamp stamp;
    if (sl_record_reader_new(&reader) < 0 || sl_record_reader_new(&second) < 0) {
        abort();
    }
    if (sl_record_decode(reader, data, size_bytes, &event, &stamp) == 0) {
        check(second, &event, stamp);
    }
    sl_record_reader_free(reader);
    sl_record_reader_free(second);
    return 0;
}
