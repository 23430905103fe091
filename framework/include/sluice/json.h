/* SPDX-License-Identifier: MIT */
/*
 * Reading JSON: one forward-only cursor over a document, on top of simdjson (structural index by SIMD,
 * UTF-8 checked). No allocation a document once the parser has seen its largest one.
 *
 *     SL_TRY(sl_json_open(json, text, size, 0));
 *     SL_TRY(sl_json_enter_object(json));
 *     while ((code = sl_json_next_field(json, &key)) > 0) {
 *         if (sl_json_is(key, "price")) {
 *             SL_TRY(sl_json_get_string(json, &price));
 *         }                                      // a value that is not read is skipped by the next step
 *     }
 *     SL_TRY(code);
 *     SL_TRY(sl_json_finish(json));
 *
 * The parser is the cursor: it stands on one value at a time, and a value is read once. A call that does
 * not fit the place (an element asked of an object, a value read twice) returns SL_EMISUSE and changes
 * nothing. Malformed text returns SL_EPROTO and ends the document: each later call gives the same code.
 * A value of another type returns SL_EPROTO too, but the cursor stays on it.
 *
 * Checking is lazy, as in simdjson: encoding, strings' control characters and closing quotes are checked
 * for the whole document by sl_json_open(); brackets where the cursor passes, skipped values included;
 * commas and colons on its way; numbers, literals and escapes only where they are read.
 *
 * Functions never block and may be called outside a task; one thread at a time a parser. They record no
 * sl_error: sl_json_problem() and sl_json_offset() tell what was wrong and where.
 */
#ifndef SLUICE_JSON_H
#define SLUICE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "sluice/error.h"
#include "sluice/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Readable bytes (of any value) that must follow the text for sl_json_open() to parse it in place. */
#define SL_JSON_PADDING 64

/* The deepest nesting of objects and arrays; deeper is SL_EMSGSIZE. */
#define SL_JSON_DEPTH_MAX 64

/* The default limit of a document's size, and the largest one that sl_json_new() takes. */
#define SL_JSON_SIZE_DEFAULT_BYTES ((size_t)64 << 20)
#define SL_JSON_SIZE_MAX_BYTES ((size_t)1 << 30)

typedef struct sl_json sl_json;

/* A piece of text, not NUL-terminated. */
typedef struct sl_json_text {
    const char *data;
    size_t size_bytes;
} sl_json_text;

typedef enum sl_json_type {
    SL_JSON_NONE = 0, /* the cursor stands on no value, or on something that is none */
    SL_JSON_OBJECT,
    SL_JSON_ARRAY,
    SL_JSON_STRING,
    SL_JSON_NUMBER,
    SL_JSON_BOOL,
    SL_JSON_NULL,
} sl_json_type;

/* Flags of sl_json_open(). */
#define SL_JSON_PADDED 1u /* SL_JSON_PADDING bytes after the text are readable: do not copy it */

/*
 * A parser for documents up to `size_max_bytes` (0: SL_JSON_SIZE_DEFAULT_BYTES). It grows with its largest
 * document, about 8 bytes for each byte of it; simdjson takes its part with the C++ allocator, not with
 * sl_malloc(). Returns 0, SL_EINVAL, SL_ENOMEM.
 */
SL_MUST_CHECK int sl_json_new(size_t size_max_bytes, sl_json **ret_json);
void sl_json_free(sl_json *json);
SL_AUTO_DECLARE(sl_json, sl_json_free)

/*
 * Begins a document and puts the cursor on its root value, whatever state the last one was left in.
 * Without SL_JSON_PADDED the text is copied. With it the text must stay unchanged while the document is
 * read. All texts handed out live until the next sl_json_open() (and as long as the padded text itself).
 * Returns 0, SL_EPROTO (empty, bad UTF-8, unclosed string, control character in a string), SL_EMSGSIZE,
 * SL_ENOMEM.
 */
SL_MUST_CHECK int sl_json_open(sl_json *json, const char *text, size_t size_bytes, unsigned flags);

/*
 * Checks that the document ends here: the root value was read (what is left of it is skipped) and nothing
 * follows. Optional: without it what lies behind the last value read stays unchecked. 0 or SL_EPROTO.
 */
SL_MUST_CHECK int sl_json_finish(sl_json *json);

/* The type of the value under the cursor, by its first character. Never fails. */
sl_json_type sl_json_peek(const sl_json *json);

/* Goes into the object or array under the cursor. 0, SL_EPROTO, SL_EMSGSIZE (too deep), SL_EMISUSE. */
SL_MUST_CHECK int sl_json_enter_object(sl_json *json);
SL_MUST_CHECK int sl_json_enter_array(sl_json *json);

/*
 * The next field of the object the cursor is in: 1 and its key (escapes resolved), the cursor on its
 * value; 0 when there is none left: the object is left and its parent goes on. What was not read of the
 * field before is skipped. SL_EPROTO, SL_EMISUSE.
 */
SL_MUST_CHECK int sl_json_next_field(sl_json *json, sl_json_text *ret_key);

/*
 * Goes forward to the field `name` (fields before the cursor are not seen again): 0 with the cursor on its
 * value. SL_ENOENT when the object has no more such field; the object is left then.
 */
SL_MUST_CHECK int sl_json_find_field(sl_json *json, const char *name);

/* The next element of the array the cursor is in: 1, or 0 when the array is left. As sl_json_next_field(). */
SL_MUST_CHECK int sl_json_next_element(sl_json *json);

/* sl_json_next_element() and sl_json_get_string() in one: 1 and the text, or 0 when the array is left. */
SL_MUST_CHECK int sl_json_next_string(sl_json *json, sl_json_text *ret_text);

/*
 * In an array of arrays: the next inner array's first two elements, which must be strings; what it has beyond them is
 * skipped. 1 and the texts, or 0 when the outer array is left. SL_EPROTO also for an inner array with fewer elements.
 */
SL_MUST_CHECK int sl_json_next_pair(sl_json *json, sl_json_text *ret_first, sl_json_text *ret_second);

/* Skips the value under the cursor; skips what is left of the object or array the cursor is in and leaves it. */
SL_MUST_CHECK int sl_json_skip(sl_json *json);
SL_MUST_CHECK int sl_json_leave(sl_json *json);

/*
 * Read the value under the cursor. On SL_EPROTO because of its type, and on SL_ERANGE, the value is still
 * there to be read in another way. A string without escapes is a view into the document, otherwise into
 * the parser's own buffer. A number's text is checked against the JSON grammar and given as it stands, so
 * that nothing is rounded. The integers accept no fraction and no exponent (SL_ERANGE).
 */
SL_MUST_CHECK int sl_json_get_string(sl_json *json, sl_json_text *ret_text);
SL_MUST_CHECK int sl_json_get_number(sl_json *json, sl_json_text *ret_text);
SL_MUST_CHECK int sl_json_get_int64(sl_json *json, int64_t *ret_value);
SL_MUST_CHECK int sl_json_get_uint64(sl_json *json, uint64_t *ret_value);
SL_MUST_CHECK int sl_json_get_bool(sl_json *json, bool *ret_value);
SL_MUST_CHECK int sl_json_get_null(sl_json *json);

/*
 * Reads a string, number, bool or null, whichever it is: its type (> 0) and its text ("true", "12.50";
 * of a string the content). SL_EPROTO for an object or array, and for malformed text.
 */
SL_MUST_CHECK int sl_json_get_scalar(sl_json *json, sl_json_text *ret_text);

/* The text of an integer as a number: 0, SL_EPROTO (not a JSON number), SL_ERANGE (does not fit, not whole). */
SL_MUST_CHECK int sl_json_text_int64(sl_json_text text, int64_t *ret_value);
SL_MUST_CHECK int sl_json_text_uint64(sl_json_text text, uint64_t *ret_value);

/*
 * sl_json_next_field() and sl_json_get_scalar() in one: the type of the next field's value (> 0), its key, and its text;
 * of an object or array the cursor stays on it, and the text is empty. 0 when the object is left.
 */
SL_MUST_CHECK int sl_json_next_scalar(sl_json *json, sl_json_text *ret_key, sl_json_text *ret_text);

/*
 * Where the value under the cursor begins, and where what the cursor passed last ends, as offsets into the
 * text: the text of a whole value lies from sl_json_here() before it is read to sl_json_behind() after.
 */
size_t sl_json_here(const sl_json *json);
size_t sl_json_behind(const sl_json *json);

/* How deep the cursor is: 0 at the root. */
unsigned sl_json_depth(const sl_json *json);

/* Of the last call that failed: what was wrong (static text, "" if nothing yet), and the byte where. */
const char *sl_json_problem(const sl_json *json);
size_t sl_json_offset(const sl_json *json);

/* Whether a text is equal to a C string. */
static inline bool sl_json_is(sl_json_text text, const char *name)
{
    size_t size_bytes = strlen(name);
    return text.size_bytes == size_bytes && memcmp(text.data, name, size_bytes) == 0;
}

/* Whether `size_bytes` bytes at `data` are valid UTF-8 (simdjson's validator); any thread. */
bool sl_utf8_valid(const void *data, size_t size_bytes);

#ifdef __cplusplus
}
#endif

#endif
