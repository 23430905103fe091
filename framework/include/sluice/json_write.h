/* SPDX-License-Identifier: MIT */
/*
 * Writing JSON (RFC 8259) into memory, without white space:
 *
 *     sl_json_writer out;
 *     sl_json_writer_init(&out, 0);
 *     sl_json_begin_object(&out);
 *     sl_json_put_key(&out, "symbol");
 *     sl_json_put_text(&out, symbol);
 *     sl_json_end_object(&out);
 *     SL_TRY(sl_json_writer_finish(&out, &text));
 *     ...
 *     sl_json_writer_free(&out);
 *
 * The calls return nothing: the first thing that goes wrong is kept, everything after it is ignored, and
 * sl_json_writer_finish() tells. What comes out is always one well-formed value: a key where none may be, two
 * roots, an end that does not fit are SL_EMISUSE. Nothing blocks; any thread, one at a time a writer.
 */
#ifndef SLUICE_JSON_WRITE_H
#define SLUICE_JSON_WRITE_H

#include "sluice/json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How large a text grows when no limit is given. */
#define SL_JSON_WRITE_DEFAULT_BYTES ((size_t)16 << 20)

/* Its members are the writer's own business. */
typedef struct sl_json_writer {
    char *data;
    size_t size_bytes, capacity_bytes, limit_bytes;
    int code;           /* what went wrong first */
    unsigned depth;     /* open objects and arrays, at most SL_JSON_DEPTH_MAX */
    uint64_t is_object; /* a bit a level, the innermost lowest */
    bool borrowed;      /* the memory is the caller's */
    bool filled;        /* the innermost level (or the root) holds something */
    bool after_key;
} sl_json_writer;

/* For a text up to `limit_bytes` (0: SL_JSON_WRITE_DEFAULT_BYTES) in memory that grows. Allocates nothing yet. */
void sl_json_writer_init(sl_json_writer *writer, size_t limit_bytes);

/* Into memory of the caller's, which must outlive the writer. Never allocates. */
void sl_json_writer_init_in(sl_json_writer *writer, void *memory, size_t memory_bytes);

/* Begins anew, with the memory that it has. */
void sl_json_writer_reset(sl_json_writer *writer);

/* Frees what it holds; it may be used again after sl_json_writer_init(). */
void sl_json_writer_free(sl_json_writer *writer);

void sl_json_begin_object(sl_json_writer *writer);
void sl_json_end_object(sl_json_writer *writer);
void sl_json_begin_array(sl_json_writer *writer);
void sl_json_end_array(sl_json_writer *writer);
void sl_json_put_key(sl_json_writer *writer, const char *key);

/* A string; must be UTF-8 (SL_EINVAL). What JSON does not take as it is gets escaped. */
void sl_json_put_string(sl_json_writer *writer, const void *data, size_t size_bytes);
void sl_json_put_text(sl_json_writer *writer, const char *text); /* NULL: null */

void sl_json_put_int64(sl_json_writer *writer, int64_t value);
void sl_json_put_uint64(sl_json_writer *writer, uint64_t value);

/* The shortest text that reads back as the same double; SL_ERANGE for infinities and what is no number. */
void sl_json_put_double(sl_json_writer *writer, double value);

/* A number as it stands, so that nothing is rounded; SL_EINVAL when it is not one by JSON's grammar. */
void sl_json_put_number(sl_json_writer *writer, const char *text, size_t size_bytes);
/* A value that is JSON already, and known to be: it is not looked at. */
void sl_json_put_json(sl_json_writer *writer, const char *json, size_t size_bytes);
void sl_json_put_bool(sl_json_writer *writer, bool value);
void sl_json_put_null(sl_json_writer *writer);

/* A key and its value. */
void sl_json_put_key_text(sl_json_writer *writer, const char *key, const char *text);
void sl_json_put_key_uint64(sl_json_writer *writer, const char *key, uint64_t value);
void sl_json_put_key_double(sl_json_writer *writer, const char *key, double value);
void sl_json_put_key_bool(sl_json_writer *writer, const char *key, bool value);

/*
 * The text, which is the writer's until the next reset or free and has a NUL behind it. 0; SL_EMISUSE when the
 * calls did not make one whole value; SL_EMSGSIZE over the limit or deeper than SL_JSON_DEPTH_MAX; SL_ENOMEM,
 * SL_EINVAL, SL_ERANGE.
 */
SL_MUST_CHECK int sl_json_writer_finish(sl_json_writer *writer, sl_json_text *ret_text);

#ifdef __cplusplus
}
#endif

#endif
