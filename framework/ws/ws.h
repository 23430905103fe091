/* SPDX-License-Identifier: MIT */
/* What the handshake and the frames share. */
#ifndef SL_WS_WS_H
#define SL_WS_WS_H

#include "sluice/ws.h"

/* Takes the stream over once it returns 0; `leftover` was read from it before. */
int sl__ws_new(sl_stream *stream, bool server, struct sl_bytes leftover, sl_ws **ret_ws);

#endif
