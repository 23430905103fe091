/* SPDX-License-Identifier: MIT */
/*
 * Compressing and inflating messages with zlib. A message's compressed form ends in an empty block that is not
 * sent. Source: RFC 7692, section 7.2.
 */
#include "deflate.h"

#include <string.h>
#include <zlib.h>

#include "sluice/json.h"

#define GROW_BYTES_MIN ((size_t)4096)
#define GROW_BYTES_MAX ((size_t)1024 * 1024) /* at once, whatever a peer announces */
#define TAIL_BYTES 4
#define INFLATE_OUT_MIN 64

static const unsigned char tail[TAIL_BYTES] = {0x00, 0x00, 0xff, 0xff};

/* ---- the message ---- */

int sl__ws_buffer_grow(struct sl__ws_buffer *buffer, size_t wanted)
{
    size_t room = buffer->capacity - buffer->size_bytes;
    if (room > 0 && room >= wanted) {
        return 0;
    }
    wanted = wanted < GROW_BYTES_MAX ? wanted : GROW_BYTES_MAX;
    size_t more = wanted > buffer->size_bytes ? wanted : buffer->size_bytes;
    size_t capacity = buffer->size_bytes + (more < GROW_BYTES_MIN ? GROW_BYTES_MIN : more);
    if (capacity <= buffer->capacity) {
        return 0; /* less than wanted, but some */
    }
    char *data = sl_realloc(buffer->data, capacity + SL_JSON_PADDING);
    if (data == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a WebSocket message");
    }
    *buffer = (struct sl__ws_buffer){data, buffer->size_bytes, capacity};
    return 0;
}

void sl__ws_buffer_free(struct sl__ws_buffer *buffer)
{
    sl_free(buffer->data);
    *buffer = (struct sl__ws_buffer){NULL, 0, 0};
}

/* ---- inflating ---- */

struct sl_inflater {
    z_stream z;
    bool keep_context;
    bool ended; /* by a final block, and nothing came behind it */
};

static void *take(void *unused, unsigned count, unsigned size_bytes)
{
    (void)unused;
    return sl_calloc(count, size_bytes);
}

static void give_back(void *unused, void *memory)
{
    (void)unused;
    sl_free(memory);
}

int sl__inflater_new(int window_bits, bool keep_context, sl_inflater **ret_inflater)
{
    sl_inflater *inflater = sl_calloc(1, sizeof *inflater);
    if (inflater == NULL) {
        return sl_fail(SL_ENOMEM, "no memory to inflate");
    }
    inflater->z.zalloc = take;
    inflater->z.zfree = give_back;
    inflater->keep_context = keep_context;
    if (inflateInit2(&inflater->z, -window_bits) != Z_OK) {
        sl_free(inflater);
        return sl_fail(SL_ENOMEM, "no memory to inflate");
    }
    *ret_inflater = inflater;
    return 0;
}

void sl__inflater_free(sl_inflater *inflater)
{
    if (inflater != NULL) {
        (void)inflateEnd(&inflater->z);
        sl_free(inflater);
    }
}

#define WINDOW_BYTES_MAX 32768

/* Behind a final block the data goes on, and may refer to what was before. */
static int restart(sl_inflater *inflater)
{
    unsigned char *window = sl_malloc(WINDOW_BYTES_MAX);
    if (window == NULL) {
        return sl_fail(SL_ENOMEM, "no memory to inflate");
    }
    unsigned window_bytes = 0;
    int result = inflateGetDictionary(&inflater->z, window, &window_bytes);
    result = result == Z_OK ? inflateReset(&inflater->z) : result;
    result = result == Z_OK ? inflateSetDictionary(&inflater->z, window, window_bytes) : result;
    sl_free(window);
    return result == Z_OK ? 0 : sl_fail(SL_ENOMEM, "no memory to inflate");
}

static int failure_of(int result)
{
    return result == Z_MEM_ERROR ? sl_fail(SL_ENOMEM, "no memory to inflate") : SL_EPROTO;
}

int sl__inflate(sl_inflater *inflater, const void *data, size_t size_bytes, struct sl__ws_buffer *to, size_t bytes_max)
{
    z_stream *z = &inflater->z;
    z->next_in = (z_const Bytef *)data;
    z->avail_in = (uInt)size_bytes;
    for (;;) {
        if (inflater->ended) {
            if (z->avail_in == 0) {
                return 0;
            }
            SL_TRY(restart(inflater));
            inflater->ended = false;
        }
        SL_TRY(sl__ws_buffer_grow(to, INFLATE_OUT_MIN));
        size_t room = to->capacity - to->size_bytes;
        size_t allowed = bytes_max - to->size_bytes;
        room = room <= allowed ? room : allowed + 1; /* the one too many tells */
        z->next_out = (Bytef *)to->data + to->size_bytes;
        z->avail_out = (uInt)(room < GROW_BYTES_MAX ? room : GROW_BYTES_MAX);
        uInt before = z->avail_out;
        int result = inflate(z, Z_SYNC_FLUSH);
        to->size_bytes += before - z->avail_out;
        if (to->size_bytes > bytes_max) {
            return SL_EMSGSIZE;
        }
        inflater->ended = result == Z_STREAM_END;
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
            return failure_of(result);
        }
        if (!inflater->ended && z->avail_out > 0) {
            return 0; /* all of it was taken */
        }
    }
}

int sl__inflate_end(sl_inflater *inflater, struct sl__ws_buffer *to, size_t bytes_max)
{
    if (!inflater->ended) {
        SL_TRY(sl__inflate(inflater, tail, TAIL_BYTES, to, bytes_max));
        if ((inflater->z.data_type & 128) == 0) {
            return SL_EPROTO; /* in the middle of a block: the message was cut short */
        }
    }
    if (!inflater->keep_context) {
        inflater->ended = false;
        (void)inflateReset(&inflater->z);
    }
    return 0;
}

/* ---- compressing ---- */

struct sl_deflater {
    z_stream z;
    bool keep_context;
    size_t held; /* bytes at the start of `out` that may be the tail */
    unsigned char out[SL__DEFLATER_OUT_BYTES];
};

/*
 * zlib refuses a raw window of 256 bytes. With one of 512 it reaches back 250 bytes at most (it keeps
 * MIN_LOOKAHEAD = 262 free), so a peer with 256 can follow.
 */
static int zlib_window_bits(int window_bits)
{
    return window_bits == 8 ? 9 : window_bits;
}

int sl__deflater_new(int window_bits, bool keep_context, int level, sl_deflater **ret_deflater)
{
    sl_deflater *deflater = sl_malloc(sizeof *deflater);
    if (deflater == NULL) {
        return sl_fail(SL_ENOMEM, "no memory to compress");
    }
    deflater->z = (z_stream){.zalloc = take, .zfree = give_back};
    deflater->keep_context = keep_context;
    deflater->held = 0;
    if (deflateInit2(&deflater->z, level == 0 ? Z_DEFAULT_COMPRESSION : level, Z_DEFLATED,
                     -zlib_window_bits(window_bits), 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        sl_free(deflater);
        return sl_fail(SL_ENOMEM, "no memory to compress");
    }
    *ret_deflater = deflater;
    return 0;
}

void sl__deflater_free(sl_deflater *deflater)
{
    if (deflater != NULL) {
        (void)deflateEnd(&deflater->z);
        sl_free(deflater);
    }
}

bool sl__deflater_keeps_context(const sl_deflater *deflater)
{
    return deflater->keep_context;
}

/* The last bytes are kept back until it is known whether they are the tail. */
int sl__deflate(sl_deflater *deflater, const char **data, size_t *size_bytes, bool last, struct sl_view *ret_out,
                bool *ret_done)
{
    z_stream *z = &deflater->z;
    memcpy(deflater->out, deflater->out + sizeof deflater->out - deflater->held, deflater->held);
    size_t taken = *size_bytes < GROW_BYTES_MAX ? *size_bytes : GROW_BYTES_MAX;
    bool all = taken == *size_bytes;
    z->next_in = (z_const Bytef *)*data;
    z->avail_in = (uInt)taken;
    z->next_out = deflater->out + deflater->held;
    z->avail_out = (uInt)(sizeof deflater->out - deflater->held);
    int result = deflate(z, last && all ? Z_SYNC_FLUSH : Z_NO_FLUSH);
    if (result != Z_OK && result != Z_BUF_ERROR) {
        return sl_fail(SL_EINTERNAL, "zlib does not compress: %d", result);
    }
    taken -= z->avail_in;
    *data += taken;
    *size_bytes -= taken;
    if (last && *size_bytes == 0 && z->avail_out == sizeof deflater->out) {
        deflater->out[0] = 0x00; /* nothing at all: RFC 7692, 7.2.3.6 */
        *ret_out = (struct sl_view){(char *)deflater->out, 1};
        *ret_done = true;
        return 0;
    }
    size_t out_bytes = sizeof deflater->out - z->avail_out;
    bool done = *size_bytes == 0 && z->avail_out > 0;
    size_t held = out_bytes < TAIL_BYTES ? out_bytes : TAIL_BYTES;
    *ret_out = (struct sl_view){(char *)deflater->out, out_bytes - held};
    *ret_done = done;
    if (!done || !last) {
        memmove(deflater->out + sizeof deflater->out - held, deflater->out + out_bytes - held, held);
        deflater->held = held;
    } else {
        deflater->held = 0; /* it is the tail */
    }
    return 0;
}
