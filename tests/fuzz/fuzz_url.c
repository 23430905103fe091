/* SPDX-License-Identifier: MIT */
/*
 * URLs, and references resolved against them: the input up to the first line feed is the URL, the rest is the
 * reference. What is accepted has no characters that could end a header line, and parses again to itself.
 */
#include <stdlib.h>
#include <string.h>

#include "http/url.h"

#define TEXT_BYTES_MAX 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static void check(const struct sl__url *url)
{
    struct sl__url *again = NULL;
    for (const unsigned char *at = (const unsigned char *)url->text; *at != '\0'; at++) {
        if (*at <= ' ' || *at >= 0x7f) {
            abort();
        }
    }
    if (url->port < 1 || url->port > 65535 || url->host[0] == '\0' || sl__url_target(url)[0] != '/' ||
        strchr(url->text, '#') != NULL) {
        abort();
    }
    if (sl__url_parse(url->text, &again) != 0 || strcmp(again->text, url->text) != 0 ||
        !sl__url_same_origin(url, again)) {
        abort();
    }
    sl_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
    char text[TEXT_BYTES_MAX + 1];
    size_t length = size_bytes < TEXT_BYTES_MAX ? size_bytes : TEXT_BYTES_MAX;
    memcpy(text, data, length);
    text[length] = '\0';
    char *reference = strchr(text, '\n');
    if (reference != NULL) {
        *reference++ = '\0';
    }
    struct sl__url *url = NULL;
    struct sl__url *resolved = NULL;
    if (sl__url_parse(text, &url) == 0) {
        check(url);
        if (reference != NULL && sl__url_resolve(url, reference, &resolved) == 0) {
            check(resolved);
        }
    }
    sl_free(resolved);
    sl_free(url);
    return 0;
}
