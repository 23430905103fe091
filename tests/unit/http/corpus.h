/* SPDX-License-Identifier: MIT */
/* The short way in which both corpora write long texts. */
#ifndef CORPUS_H
#define CORPUS_H

#include <string.h>

static inline size_t corpus_number(const char **at)
{
    size_t number = 0;
    for (; **at >= '0' && **at <= '9'; ++*at) {
        number = number * 10 + (size_t)(**at - '0');
    }
    return number;
}

/* Repeats "<<N text>>"; a text of more than one byte is a line each time. Returns the length. */
static inline size_t corpus_expand(const char *from, char *to)
{
    size_t length = 0;
    while (*from != '\0') {
        const char *end = strncmp(from, "<<", 2) == 0 ? strstr(from, ">>") : NULL;
        if (end == NULL) {
            to[length++] = *from++;
            continue;
        }
        const char *text = from + 2;
        size_t count = corpus_number(&text);
        if (count == 0) {
            to[length++] = '\0';
        }
        for (size_t i = 0; i < count; i++) {
            size_t bytes = (size_t)(end - text - 1);
            memcpy(to + length, text + 1, bytes);
            length += bytes;
            if (bytes > 1) {
                memcpy(to + length, "\r\n", 2);
                length += 2;
            }
        }
        from = end + 2;
    }
    to[length] = '\0';
    return length;
}

#endif
