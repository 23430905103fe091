/* SPDX-License-Identifier: MIT */
/* Arenas, growing texts, and paths in them. */
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define CHUNK_BYTES_MIN ((size_t)4096)
#define CHUNK_BYTES_MAX ((size_t)256 * 1024)
#define ALIGNMENT ((size_t)16)
#define TEXT_BYTES_MIN ((size_t)256)

struct sl__chunk {
    struct sl__chunk *next;
    _Alignas(16) char data[];
};

void *sl__arena_alloc(struct sl__arena *arena, size_t size_bytes)
{
    size_t bytes = (size_bytes + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (bytes < size_bytes || (arena->limit_bytes > 0 && bytes > arena->limit_bytes - arena->total_bytes)) {
        arena->code = SL_EMSGSIZE;
        return NULL;
    }
    if (bytes > arena->left_bytes) {
        size_t chunk_bytes = arena->total_bytes < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : arena->total_bytes;
        chunk_bytes = chunk_bytes > CHUNK_BYTES_MAX ? CHUNK_BYTES_MAX : chunk_bytes & ~(ALIGNMENT - 1);
        chunk_bytes = chunk_bytes < bytes ? bytes : chunk_bytes;
        struct sl__chunk *chunk = sl_calloc(1, sizeof *chunk + chunk_bytes);
        if (chunk == NULL) {
            arena->code = SL_ENOMEM;
            return NULL;
        }
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->at = chunk->data;
        arena->left_bytes = chunk_bytes;
    }
    void *memory = arena->at;
    arena->at += bytes;
    arena->left_bytes -= bytes;
    arena->total_bytes += bytes;
    return memory;
}

char *sl__arena_copy(struct sl__arena *arena, const char *text, size_t size_bytes)
{
    char *copy = sl__arena_alloc(arena, size_bytes + 1);
    if (copy != NULL && size_bytes > 0) {
        memcpy(copy, text, size_bytes);
    }
    return copy;
}

void sl__arena_free(struct sl__arena *arena)
{
    while (arena->chunks != NULL) {
        struct sl__chunk *next = arena->chunks->next;
        sl_free(arena->chunks);
        arena->chunks = next;
    }
}

/* Room for so many bytes more and a NUL; false when there is none. */
static bool reserve(struct sl__text *text, size_t bytes)
{
    if (text->code != 0) {
        return false;
    }
    size_t needed = text->size_bytes + bytes + 1;
    if (needed > text->capacity_bytes) {
        size_t capacity = needed * 2 < TEXT_BYTES_MIN ? TEXT_BYTES_MIN : needed * 2;
        char *data = sl_realloc(text->data, capacity);
        if (data == NULL) {
            text->code = SL_ENOMEM;
            return false;
        }
        text->data = data;
        text->capacity_bytes = capacity;
    }
    return true;
}

void sl__text_put(struct sl__text *text, const char *data, size_t size_bytes)
{
    if (reserve(text, size_bytes)) {
        if (size_bytes > 0) {
            memcpy(text->data + text->size_bytes, data, size_bytes);
        }
        text->size_bytes += size_bytes;
        text->data[text->size_bytes] = '\0';
    }
}

void sl__text_puts(struct sl__text *text, const char *data)
{
    sl__text_put(text, data, strlen(data));
}

void sl__text_printf(struct sl__text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length > 0 && reserve(text, (size_t)length)) {
        va_start(arguments, format);
        (void)vsnprintf(text->data + text->size_bytes, (size_t)length + 1, format, arguments);
        va_end(arguments);
        text->size_bytes += (size_t)length;
    }
}

void sl__text_cut(struct sl__text *text, size_t size_bytes)
{
    if (size_bytes < text->size_bytes) {
        text->size_bytes = size_bytes;
        text->data[size_bytes] = '\0';
    }
}

const char *sl__text_get(const struct sl__text *text)
{
    return text == NULL || text->data == NULL ? "" : text->data;
}

void sl__text_free(struct sl__text *text)
{
    sl_free(text->data);
    *text = (struct sl__text){NULL, 0, 0, 0};
}

void sl__path_key(struct sl__text *path, const char *key)
{
    bool plain = *key != '\0';
    for (const char *at = key; *at != '\0'; at++) {
        plain = plain && *at != '.' && *at != '[' && *at != '"' && *at != '=' && (unsigned char)*at > ' ';
    }
    if (path->size_bytes > 0) {
        sl__text_put(path, ".", 1);
    }
    if (plain) {
        sl__text_puts(path, key);
    } else {
        sl__quote(path, key, strlen(key));
    }
}

void sl__path_index(struct sl__text *path, size_t index)
{
    sl__text_printf(path, "[%zu]", index);
}

int sl__load_short(struct sl__load *load)
{
    if (load->code == 0) {
        load->code = load->arena->code;
    }
    return load->code;
}
