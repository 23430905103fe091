/* SPDX-License-Identifier: MIT */
/* The texts of JSON's numbers: grammar, and integers without rounding. Private to framework/json. */
#ifndef SLUICE_JSON_NUMBER_H
#define SLUICE_JSON_NUMBER_H

#include "sluice/json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether the whole text is a number of the JSON grammar; *ret_whole: without fraction and exponent. */
bool sl__json_is_number(sl_json_text text, bool *ret_whole);

/* Sign and magnitude of an integer's text: 0, SL_EPROTO (no JSON number), SL_ERANGE (not whole, over 64 bits). */
SL_MUST_CHECK int sl__json_integer(sl_json_text text, bool *ret_negative, uint64_t *ret_magnitude);

/* Puts sign and magnitude together; false when they do not fit. */
bool sl__json_to_int64(bool negative, uint64_t magnitude, int64_t *ret_value);

/* The shortest text that reads back as the same double, whatever the locale; 0 for what JSON cannot say. json.cc. */
size_t sl__json_double_text(double value, char *text, size_t text_bytes);

#ifdef __cplusplus
}
#endif

#endif
