/* SPDX-License-Identifier: MIT */
/* Blocks of recordings: see block.h and recorder.h. */
#include "block.h"

#include <errno.h>
#include <string.h>

#include <zlib.h>
#include <zstd.h>

#include "sluice/json.h"
#include "sluice/memory.h"

#define VERSION 1
#define SEARCH_BYTES 65536

static const uint8_t magic[4] = {'S', 'L', 'R', 'C'};

static void put32(uint8_t *at, uint32_t value)
{
    for (int byte = 0; byte < 4; byte++) {
        at[byte] = (uint8_t)(value >> (8 * byte));
    }
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

void sl__block_free(struct sl__block *block)
{
    sl_free(block->packed);
    sl_free(block->plain);
    *block = (struct sl__block){0};
}

bool sl__block_begins(const uint8_t *bytes, size_t size_bytes)
{
    return size_bytes >= sizeof(magic) && memcmp(bytes, magic, sizeof(magic)) == 0;
}

static int reserve(uint8_t **memory, size_t *capacity, size_t size_bytes)
{
    if (size_bytes > *capacity) {
        uint8_t *bigger = sl_realloc(*memory, size_bytes);
        if (bigger == NULL) {
            return SL_ENOMEM;
        }
        *memory = bigger;
        *capacity = size_bytes;
    }
    return 0;
}

static uint32_t check_of(const uint8_t *block, size_t packed_bytes)
{
    uLong check = crc32(0, block, SL__BLOCK_HEAD_BYTES - 4);
    return (uint32_t)crc32(check, block + SL__BLOCK_HEAD_BYTES, (uInt)packed_bytes);
}

/* All of `size_bytes` at `offset`: 1, or 0 when the file ends before. */
static int read_at(FILE *file, uint64_t offset, uint8_t *buffer, size_t size_bytes)
{
    if (fseeko(file, (off_t)offset, SEEK_SET) != 0) {
        return -errno;
    }
    errno = 0;
    size_t count = fread(buffer, 1, size_bytes, file);
    if (count < size_bytes && ferror(file) != 0) {
        clearerr(file);
        return errno > 0 ? -errno : SL_EINTERNAL;
    }
    return count == size_bytes;
}

static int unpack_block(struct sl__block *block)
{
    SL_TRY(reserve(&block->plain, &block->plain_capacity, block->plain_bytes + SL_JSON_PADDING));
    size_t size =
        ZSTD_decompress(block->plain, block->plain_bytes, block->packed + SL__BLOCK_HEAD_BYTES, block->packed_bytes);
    memset(block->plain + block->plain_bytes, 0, SL_JSON_PADDING);
    return size == block->plain_bytes; /* an error's code is no such size */
}

int sl__block_read(struct sl__block *block, FILE *file, uint64_t offset, bool unpack)
{
    SL_TRY(reserve(&block->packed, &block->packed_capacity, SL__BLOCK_HEAD_BYTES));
    int code = read_at(file, offset, block->packed, SL__BLOCK_HEAD_BYTES);
    if (code <= 0) {
        return code;
    }
    block->packed_bytes = get32(block->packed + 8);
    block->plain_bytes = get32(block->packed + 12);
    block->records = get32(block->packed + 16);
    if (!sl__block_begins(block->packed, SL__BLOCK_HEAD_BYTES) || get32(block->packed + 4) != VERSION ||
        block->plain_bytes > SL_RECORDER_BLOCK_MAX_BYTES ||
        block->packed_bytes > ZSTD_COMPRESSBOUND(SL_RECORDER_BLOCK_MAX_BYTES)) {
        return 0;
    }
    SL_TRY(reserve(&block->packed, &block->packed_capacity, SL__BLOCK_HEAD_BYTES + block->packed_bytes));
    code = read_at(file, offset + SL__BLOCK_HEAD_BYTES, block->packed + SL__BLOCK_HEAD_BYTES, block->packed_bytes);
    if (code <= 0) {
        return code;
    }
    if (get32(block->packed + 20) != check_of(block->packed, block->packed_bytes)) {
        return 0;
    }
    return unpack ? unpack_block(block) : 1;
}

int sl__block_search(FILE *file, uint64_t offset, uint64_t *ret_offset)
{
    uint8_t buffer[SEARCH_BYTES / 32];
    for (;;) {
        if (fseeko(file, (off_t)offset, SEEK_SET) != 0) {
            return -errno;
        }
        errno = 0;
        size_t count = fread(buffer, 1, sizeof(buffer), file);
        if (ferror(file) != 0) {
            clearerr(file);
            return errno > 0 ? -errno : SL_EINTERNAL;
        }
        for (size_t at = 0; at + sizeof(magic) <= count; at++) {
            if (sl__block_begins(buffer + at, count - at)) {
                *ret_offset = offset + at;
                return 0;
            }
        }
        if (count < sizeof(buffer)) {
            *ret_offset = offset + count;
            return 0;
        }
        offset += count - sizeof(magic) + 1;
    }
}

int sl__block_pack(struct sl__block *block, int level, size_t *ret_size_bytes)
{
    size_t bound = ZSTD_compressBound(block->plain_bytes);
    SL_TRY(reserve(&block->packed, &block->packed_capacity, SL__BLOCK_HEAD_BYTES + bound));
    size_t size = ZSTD_compress(block->packed + SL__BLOCK_HEAD_BYTES, bound, block->plain, block->plain_bytes, level);
    if (ZSTD_isError(size) != 0) {
        return sl_fail(SL_EINTERNAL, "zstd: %s", ZSTD_getErrorName(size));
    }
    block->packed_bytes = (uint32_t)size;
    memcpy(block->packed, magic, sizeof(magic));
    put32(block->packed + 4, VERSION);
    put32(block->packed + 8, block->packed_bytes);
    put32(block->packed + 12, block->plain_bytes);
    put32(block->packed + 16, block->records);
    put32(block->packed + 20, check_of(block->packed, size));
    *ret_size_bytes = SL__BLOCK_HEAD_BYTES + size;
    return 0;
}

size_t sl__block_record_bytes(const sl_capture_line *record)
{
    return SL__BLOCK_RECORD_BYTES + strlen(sl_venue_name(record->venue)) + record->url_bytes + record->size_bytes;
}

void sl__block_put(uint8_t *at, const sl_capture_line *record)
{
    const char *venue = sl_venue_name(record->venue);
    size_t venue_bytes = strlen(venue);
    put32(at, (uint32_t)(sl__block_record_bytes(record) - 4));
    at[4] = (uint8_t)record->kind;
    at[5] = (uint8_t)venue_bytes;
    at[6] = (uint8_t)(record->url_bytes & 0xff);
    at[7] = (uint8_t)(record->url_bytes >> 8);
    put32(at + 8, record->connection);
    put32(at + 12, (uint32_t)record->status);
    put32(at + 16, (uint32_t)(uint64_t)record->receive_time_ns);
    put32(at + 20, (uint32_t)((uint64_t)record->receive_time_ns >> 32));
    at += SL__BLOCK_RECORD_BYTES;
    memcpy(at, venue, venue_bytes);
    if (record->url_bytes > 0) {
        memcpy(at + venue_bytes, record->url, record->url_bytes);
    }
    if (record->size_bytes > 0) {
        memcpy(at + venue_bytes + record->url_bytes, record->text, record->size_bytes);
    }
}

int sl__block_next(const struct sl__block *block, size_t *at, sl_capture_line *ret_record)
{
    size_t left = block->plain_bytes - *at;
    const uint8_t *record = block->plain + *at;
    char venue[64];
    if (left == 0) {
        return 0;
    }
    if (left < SL__BLOCK_RECORD_BYTES) {
        return SL_EPROTO;
    }
    size_t size_bytes = (size_t)get32(record) + 4;
    size_t venue_bytes = record[5];
    size_t url_bytes = (size_t)record[6] | (size_t)record[7] << 8;
    if (size_bytes > left || size_bytes < SL__BLOCK_RECORD_BYTES + venue_bytes + url_bytes ||
        venue_bytes >= sizeof(venue) || record[4] >= SL_CAPTURE_KIND_COUNT) {
        return SL_EPROTO;
    }
    const char *texts = (const char *)record + SL__BLOCK_RECORD_BYTES;
    memcpy(venue, texts, venue_bytes);
    venue[venue_bytes] = '\0';
    *ret_record = (sl_capture_line){.receive_time_ns =
                                        (int64_t)((uint64_t)get32(record + 16) | (uint64_t)get32(record + 20) << 32),
                                    .text = texts + venue_bytes + url_bytes,
                                    .size_bytes = size_bytes - SL__BLOCK_RECORD_BYTES - venue_bytes - url_bytes,
                                    .kind = (sl_capture_kind)record[4],
                                    .venue = sl_venue_find(venue),
                                    .connection = get32(record + 8),
                                    .status = (int)get32(record + 12),
                                    .url = texts + venue_bytes,
                                    .url_bytes = url_bytes};
    *at += size_bytes;
    return 1;
}
