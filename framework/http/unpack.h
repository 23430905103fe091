/* SPDX-License-Identifier: MIT */
/* Unpacking of bodies: gzip, deflate, brotli. No I/O. */
#ifndef SL_HTTP_UNPACK_H
#define SL_HTTP_UNPACK_H

#include "message.h"

struct sl__unpack;

/* For the value of Content-Encoding. 0; 1 for what needs no unpacking; SL_ENOTSUP for what is not known; SL_ENOMEM. */
int sl__unpack_open(struct sl_bytes encoding, struct sl__unpack **ret_unpack);

/*
 * Takes from `in` (what is left of it stays there) and fills `buffer`, as far as either goes; `ret_bytes` may be 0. 0;
 * SL_EPROTO for data that is damaged or goes on behind its end; SL_ENOMEM.
 */
int sl__unpack(struct sl__unpack *unpack, struct sl_bytes *in, void *buffer, size_t size_bytes, size_t *ret_bytes);

/* Whether the packed data is complete: otherwise it was cut off. */
bool sl__unpack_ended(const struct sl__unpack *unpack);

void sl__unpack_free(struct sl__unpack *unpack);

#endif
