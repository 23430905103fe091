/* SPDX-License-Identifier: MIT */
/* Reading one message from a stream. */
#ifndef SL_HTTP_MESSAGE_H
#define SL_HTTP_MESSAGE_H

#include "sluice/http.h"

enum sl__http_kind { SL_HTTP_REQUEST, SL_HTTP_RESPONSE };

/*
 * Reads a message. `leftover` (may be empty) was read before and comes first. SL_EOF when the peer ends
 * before the first byte. Responses to a request that asked for an upgrade end with their head.
 */
int sl__http_read(sl_stream *stream, enum sl__http_kind kind, struct sl_bytes leftover, sl_http_message **ret_message);
bool sl__http_keep_alive(const sl_http_message *message);

#endif
