/* SPDX-License-Identifier: MIT */
/*
 * The JSON cursor, walked in an order that the first bytes of the input choose: any text and any order of
 * calls gives codes, never harm. What is read is written again, and that must be readable.
 */
#include <stdlib.h>
#include <string.h>

#include "sluice/json_write.h"

#define STEPS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static sl_json *json;
static sl_json_writer out;

/* Copies the value under the cursor into the writer; SL_EPROTO where the text is wrong. */
static int copy_value(void)
{
    sl_json_text text;
    int code;
    switch (sl_json_peek(json)) {
    case SL_JSON_OBJECT:
        SL_TRY(sl_json_enter_object(json));
        sl_json_begin_array(&out);
        while ((code = sl_json_next_field(json, &text)) > 0) {
            sl_json_put_string(&out, text.data, text.size_bytes);
            SL_TRY(copy_value());
        }
        sl_json_end_array(&out);
        return code;
    case SL_JSON_ARRAY:
        SL_TRY(sl_json_enter_array(json));
        sl_json_begin_array(&out);
        while ((code = sl_json_next_element(json)) > 0) {
            SL_TRY(copy_value());
        }
        sl_json_end_array(&out);
        return code;
    case SL_JSON_NUMBER:
        SL_TRY(sl_json_get_number(json, &text));
        sl_json_put_number(&out, text.data, text.size_bytes);
        return 0;
    default:
        SL_TRY(sl_json_get_scalar(json, &text));
        sl_json_put_string(&out, text.data, text.size_bytes);
        return 0;
    }
}

static void copy(const char *text, size_t size_bytes)
{
    sl_json_text written;
    if (sl_json_open(json, text, size_bytes, 0) < 0) {
        return;
    }
    sl_json_writer_reset(&out);
    if (copy_value() < 0 || sl_json_finish(json) < 0) {
        return;
    }
    if (sl_json_writer_finish(&out, &written) < 0 || sl_json_open(json, written.data, written.size_bytes, 0) < 0 ||
        sl_json_skip(json) < 0 || sl_json_finish(json) < 0) {
        abort(); /* what we wrote is not JSON */
    }
}

static void step(uint8_t what)
{
    sl_json_text text = {NULL, 0};
    int64_t integer;
    uint64_t natural;
    bool truth;
    int (*const plain[])(sl_json *) = {sl_json_enter_object, sl_json_enter_array, sl_json_next_element, sl_json_skip,
                                       sl_json_leave,        sl_json_get_null,    sl_json_finish};
    int (*const with_text[])(sl_json *, sl_json_text *) = {sl_json_next_field, sl_json_next_string, sl_json_get_string,
                                                           sl_json_get_number, sl_json_get_scalar};
    int code;
    if (what < 7) {
        code = plain[what](json);
    } else if (what < 12) {
        code = with_text[what - 7](json, &text);
    } else if (what == 12) {
        code = sl_json_get_int64(json, &integer);
    } else if (what == 13) {
        code = sl_json_get_uint64(json, &natural);
    } else if (what == 14) {
        code = sl_json_get_bool(json, &truth);
    } else {
        code = sl_json_find_field(json, "a");
    }
    if (code >= 0 && text.size_bytes > 0) {
        volatile char last = text.data[text.size_bytes - 1];
        (void)last;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    if (json == NULL) {
        sl_json_writer_init(&out, 0);
        if (sl_json_new(0, &json) < 0) {
            abort();
        }
    }
    if (size_bytes == 0) {
        return 0;
    }
    size_t steps = data[0];
    if (steps + 1 > size_bytes) {
        return 0;
    }
    const char *text = (const char *)data + 1 + steps;
    size_t text_bytes = size_bytes - 1 - steps;
    copy(text, text_bytes);
    if (sl_json_open(json, text, text_bytes, 0) == 0) {
        for (size_t i = 0; i < STEPS_MAX && steps > 0; i++) {
            step(data[1 + i % steps] & 15);
        }
        if (sl_json_offset(json) > text_bytes || sl_json_depth(json) > SL_JSON_DEPTH_MAX) {
            abort();
        }
    }
    return 0;
}
