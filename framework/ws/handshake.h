/* SPDX-License-Identifier: MIT */
/* What both sides of the opening handshake need. Source: RFC 6455, sections 4 and 9.1. */
#ifndef SL_WS_HANDSHAKE_H
#define SL_WS_HANDSHAKE_H

#include "ws.h"

#define SL__WS_KEY_TEXT_BYTES 25    /* base64 of 16 bytes, with its NUL */
#define SL__WS_ACCEPT_TEXT_BYTES 29 /* base64 of a SHA-1 */
#define SL__WS_LIST_BYTES 1024      /* of all headers of one name together */

int sl__ws_accept_of(const char *key, char text[SL__WS_ACCEPT_TEXT_BYTES]);

/* How many headers have the name; `ret_first` (may be NULL) gets the first value. */
size_t sl__ws_headers(const sl_http_message *message, const char *name, const char **ret_first);

/* Whether one of the headers of that name lists the token, whatever its case. */
bool sl__ws_lists(const sl_http_message *message, const char *name, const char *token);

/* All headers of one name as one list. SL_EMSGSIZE. */
int sl__ws_join(const sl_http_message *message, const char *name, char text[SL__WS_LIST_BYTES]);

/* The next element of a list of tokens: its length, 0 at the end. `*at` moves behind it, `*ret_token` to its start. */
size_t sl__ws_next_token(const char **at, const char **ret_token);
/* Whether a list has an element exactly as it is. */
bool sl__ws_has_exactly(const char *list, const char *token, size_t token_bytes);

/* Lines "Name: value\r\n"..., or NULL: 0 or SL_EINVAL. A list of tokens, or NULL: the same. */
int sl__ws_check_headers(const char *headers);
int sl__ws_check_subprotocols(const char *subprotocols);

#endif
