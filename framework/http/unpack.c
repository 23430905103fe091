/* SPDX-License-Identifier: MIT */
/* zlib and brotli behind one face. Both allocate through the one door to the heap. */
#include "unpack.h"

#include <brotli/decode.h>
#include <string.h>
#include <zlib.h>

enum kind { GZIP, DEFLATE, BROTLI };

struct sl__unpack {
    enum kind kind;
    bool begun; /* zlib is set up: "deflate" is told by its first byte */
    bool ended;
    bool any;
    z_stream zlib;
    BrotliDecoderState *brotli;
};

static void *zlib_allocate(void *context, unsigned count, unsigned size_bytes)
{
    (void)context;
    return sl_calloc(count, size_bytes);
}

static void zlib_release(void *context, void *memory)
{
    (void)context;
    sl_free(memory);
}

static void *brotli_allocate(void *context, size_t size_bytes)
{
    (void)context;
    return sl_malloc(size_bytes);
}

int sl__unpack_open(struct sl_bytes encoding, struct sl__unpack **ret_unpack)
{
    enum kind kind;
    if (encoding.size_bytes == 0 || sl__http_same(encoding, "identity")) {
        return 1;
    }
    if (sl__http_same(encoding, "gzip") || sl__http_same(encoding, "x-gzip")) {
        kind = GZIP;
    } else if (sl__http_same(encoding, "deflate")) {
        kind = DEFLATE;
    } else if (sl__http_same(encoding, "br")) {
        kind = BROTLI;
    } else {
        return sl_fail(SL_ENOTSUP, "the body is packed by '%.*s', which was not asked for",
                       (int)(encoding.size_bytes < 60 ? encoding.size_bytes : 60), (const char *)encoding.data);
    }
    struct sl__unpack *unpack = sl_calloc(1, sizeof *unpack);
    if (unpack == NULL) {
        return sl_fail(SL_ENOMEM, "no memory to unpack a body");
    }
    unpack->kind = kind;
    unpack->zlib = (z_stream){.zalloc = zlib_allocate, .zfree = zlib_release};
    if (kind == BROTLI) {
        unpack->brotli = BrotliDecoderCreateInstance(brotli_allocate, zlib_release, NULL);
        if (unpack->brotli == NULL) {
            sl_free(unpack);
            return sl_fail(SL_ENOMEM, "no memory to unpack a body");
        }
    }
    *ret_unpack = unpack;
    return 0;
}

/* "deflate" means zlib's format, but many send it bare (RFC 9110, 8.4.1.2). */
static int begin_zlib(struct sl__unpack *unpack, const unsigned char *first)
{
    int window = unpack->kind == GZIP ? 15 + 16 : (*first & 0x0f) == 8 ? 15 : -15;
    if (inflateInit2(&unpack->zlib, window) != Z_OK) {
        return sl_fail(SL_ENOMEM, "no memory to unpack a body");
    }
    unpack->begun = true;
    return 0;
}

static int damaged(const char *why)
{
    return sl_fail(SL_EPROTO, "the packed body is damaged: %s", why == NULL ? "no more is known" : why);
}

static int unpack_zlib(struct sl__unpack *self, struct sl_bytes *in, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    z_stream *zlib = &self->zlib;
    if (self->ended) {
        if (self->kind != GZIP) {
            return damaged("data behind its end");
        }
        (void)inflateReset(zlib); /* another member (RFC 1952, 2.2) */
        self->ended = false;
    }
    if (!self->begun) {
        SL_TRY(begin_zlib(self, in->data));
    }
    zlib->next_in = (unsigned char *)(uintptr_t)in->data;
    zlib->avail_in = in->size_bytes < UINT32_MAX ? (unsigned)in->size_bytes : UINT32_MAX;
    zlib->next_out = buffer;
    zlib->avail_out = size_bytes < UINT32_MAX ? (unsigned)size_bytes : UINT32_MAX;
    int result = inflate(zlib, Z_NO_FLUSH);
    size_t used = (size_t)(zlib->next_in - (const unsigned char *)in->data);
    *in = (struct sl_bytes){zlib->next_in, in->size_bytes - used};
    *ret_bytes = (size_t)(zlib->next_out - (unsigned char *)buffer);
    self->ended = result == Z_STREAM_END;
    if (result == Z_MEM_ERROR) {
        return sl_fail(SL_ENOMEM, "no memory to unpack a body");
    }
    return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR ? 0 : damaged(zlib->msg);
}

static int unpack_brotli(struct sl__unpack *self, struct sl_bytes *in, void *buffer, size_t size_bytes,
                         size_t *ret_bytes)
{
    const uint8_t *next_in = in->data;
    uint8_t *next_out = buffer;
    size_t left = in->size_bytes;
    size_t room = size_bytes;
    if (self->ended) {
        return in->size_bytes > 0 ? damaged("data behind its end") : 0;
    }
    BrotliDecoderResult result = BrotliDecoderDecompressStream(self->brotli, &left, &next_in, &room, &next_out, NULL);
    *in = (struct sl_bytes){next_in, left};
    *ret_bytes = size_bytes - room;
    self->ended = result == BROTLI_DECODER_RESULT_SUCCESS;
    if (result == BROTLI_DECODER_RESULT_ERROR) {
        BrotliDecoderErrorCode why = BrotliDecoderGetErrorCode(self->brotli);
        bool memory =
            why <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES && why >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
        return memory ? sl_fail(SL_ENOMEM, "no memory to unpack a body") : damaged(BrotliDecoderErrorString(why));
    }
    return 0;
}

int sl__unpack(struct sl__unpack *unpack, struct sl_bytes *in, void *buffer, size_t size_bytes, size_t *ret_bytes)
{
    *ret_bytes = 0;
    unpack->any |= in->size_bytes > 0;
    if (in->size_bytes == 0 && (!unpack->begun || unpack->ended) && unpack->kind != BROTLI) {
        return 0;
    }
    return unpack->kind == BROTLI ? unpack_brotli(unpack, in, buffer, size_bytes, ret_bytes)
                                  : unpack_zlib(unpack, in, buffer, size_bytes, ret_bytes);
}

bool sl__unpack_ended(const struct sl__unpack *unpack)
{
    return unpack->ended || !unpack->any; /* an empty body is packed as nothing at all, too */
}

void sl__unpack_free(struct sl__unpack *unpack)
{
    if (unpack != NULL) {
        if (unpack->begun) {
            (void)inflateEnd(&unpack->zlib);
        }
        if (unpack->brotli != NULL) {
            BrotliDecoderDestroyInstance(unpack->brotli);
        }
        sl_free(unpack);
    }
}
