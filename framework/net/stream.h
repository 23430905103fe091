/* SPDX-License-Identifier: MIT */
/* What each kind of stream provides. */
#ifndef SL_NET_STREAM_H
#define SL_NET_STREAM_H

#include "sluice/stream.h"

struct sl_stream_ops {
    int (*read)(sl_stream *stream, void *buffer, size_t size_bytes, size_t *ret_bytes);
    int (*write)(sl_stream *stream, const struct sl_bytes *pieces, size_t count);
    int (*shutdown)(sl_stream *stream);
    void (*close)(sl_stream *stream, bool reset);
};

struct sl_stream {
    const struct sl_stream_ops *ops;
};

#endif
