/* SPDX-License-Identifier: MIT */
/* The keeper of a book against a naive one, by each venue's rule: the first byte says which. */
#include "../support/keeper_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    if (size_bytes > 0) {
        keeper_model_run((sl_book_rule)(1 + data[0] % SL_BOOK_RULE_TIMED), data + 1, size_bytes - 1);
    }
    return 0;
}
