/* SPDX-License-Identifier: MIT */
/* Batches: see slots.h and sink.h. */
#include "slots.h"

#include <string.h>

#include <zlib.h>

void sl_sink_free(sl_sink *sink)
{
    if (sink != NULL) {
        sink->driver->free(sink);
    }
}

void sl__slots_free(struct sl__slots *slots)
{
    sl_free(slots->data);
    *slots = (struct sl__slots){0};
}

int sl__slots_reserve(struct sl__slots *slots, size_t size_bytes)
{
    if (size_bytes <= slots->capacity_bytes) {
        return 0;
    }
    uint8_t *data = sl_realloc(slots->data, size_bytes);
    if (data == NULL) {
        return SL_ENOMEM;
    }
    slots->data = data;
    slots->capacity_bytes = size_bytes;
    return 0;
}

void sl__slots_add(struct sl__slots *slots, const void *record, size_t size_bytes)
{
    struct sl__slot_head head = {SL__SLOT_MAGIC, (uint32_t)size_bytes, 0};
    memcpy(slots->data + slots->size_bytes, &head, SL__SLOT_HEAD_BYTES);
    memcpy(slots->data + slots->size_bytes + SL__SLOT_HEAD_BYTES, record, size_bytes);
    slots->size_bytes += SL__SLOT_HEAD_BYTES + size_bytes;
    slots->count++;
}

static struct sl__slot_head head_at(const uint8_t *data, size_t at)
{
    struct sl__slot_head head;
    memcpy(&head, data + at, SL__SLOT_HEAD_BYTES);
    return head;
}

const uint8_t *sl__slots_next(const struct sl__slots *slots, size_t *at, size_t *ret_size_bytes)
{
    if (*at >= slots->size_bytes) {
        return NULL;
    }
    const uint8_t *record = slots->data + *at + SL__SLOT_HEAD_BYTES;
    *ret_size_bytes = head_at(slots->data, *at).length;
    *at += SL__SLOT_HEAD_BYTES + *ret_size_bytes;
    return record;
}

sl_stamp sl__slot_stamp(const uint8_t *record, size_t size_bytes)
{
    return size_bytes < SL_RECORD_MIN_BYTES ? (sl_stamp){0, 0} : sl_record_stamp(record);
}

static uint32_t check_of(const uint8_t *slot, size_t length)
{
    uint32_t check = (uint32_t)crc32(0, slot + 4, 4);
    return (uint32_t)crc32(check, slot + SL__SLOT_HEAD_BYTES, (uInt)length);
}

void sl__slots_seal(struct sl__slots *slots)
{
    for (size_t at = 0; at < slots->size_bytes;) {
        struct sl__slot_head head = head_at(slots->data, at);
        head.check = check_of(slots->data + at, head.length);
        memcpy(slots->data + at, &head, SL__SLOT_HEAD_BYTES);
        at += SL__SLOT_HEAD_BYTES + head.length;
    }
}

/* Whether a whole slot stands there. */
static bool is_slot(const uint8_t *data, size_t size_bytes, size_t at, size_t *ret_end)
{
    if (size_bytes - at < SL__SLOT_HEAD_BYTES) {
        return false;
    }
    struct sl__slot_head head = head_at(data, at);
    if (head.magic != SL__SLOT_MAGIC || head.length > size_bytes - at - SL__SLOT_HEAD_BYTES ||
        head.check != check_of(data + at, head.length)) {
        return false;
    }
    *ret_end = at + SL__SLOT_HEAD_BYTES + head.length;
    return true;
}

bool sl__slots_find(const uint8_t *data, size_t size_bytes, size_t from, bool search, size_t *ret_at, size_t *ret_end)
{
    static const uint32_t magic = SL__SLOT_MAGIC;
    for (size_t at = from; at < size_bytes; at++) {
        if (is_slot(data, size_bytes, at, ret_end)) {
            *ret_at = at;
            return true;
        }
        const uint8_t *next = search ? memmem(data + at + 1, size_bytes - at - 1, &magic, sizeof(magic)) : NULL;
        if (next == NULL) {
            return false;
        }
        at = (size_t)(next - data) - 1;
    }
    return false;
}

int sl_sink_batch_next(sl_sink_batch *batch, sl_market_event *ret_event, sl_stamp *ret_stamp)
{
    const uint8_t *record = NULL;
    size_t size = 0;
    while ((record = sl__slots_next(batch->slots, &batch->at, &size)) != NULL) {
        int code = sl_record_decode(batch->reader, record, size, ret_event, ret_stamp);
        if (code == 0) {
            return 1;
        }
        if (code == SL_ENOMEM) {
            return code;
        }
        batch->unreadable++; /* of another version, or more instruments than a table takes */
    }
    return 0;
}

void sl_sink_batch_rewind(sl_sink_batch *batch)
{
    batch->at = 0;
    batch->unreadable = 0;
}

size_t sl_sink_batch_count(const sl_sink_batch *batch)
{
    return batch->slots->count;
}
