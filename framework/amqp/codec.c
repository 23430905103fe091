/* SPDX-License-Identifier: MIT */
/* AMQP's bytes: see internal.h. Source: AMQP 0-9-1, 4.2. */
#include <string.h>

#include "internal.h"

static bool reserve(struct sl__amqp_out *out, size_t more)
{
    if (out->code < 0) {
        return false;
    }
    if (out->size_bytes + more > out->capacity_bytes) {
        size_t capacity = out->capacity_bytes == 0 ? 4096 : out->capacity_bytes;
        while (capacity < out->size_bytes + more) {
            capacity *= 2;
        }
        uint8_t *data = sl_realloc(out->data, capacity);
        if (data == NULL) {
            out->code = SL_ENOMEM;
            return false;
        }
        out->data = data;
        out->capacity_bytes = capacity;
    }
    return true;
}

void sl__amqp_put(struct sl__amqp_out *out, const void *data, size_t size_bytes)
{
    if (size_bytes > 0 && reserve(out, size_bytes)) {
        memcpy(out->data + out->size_bytes, data, size_bytes);
        out->size_bytes += size_bytes;
    }
}

static void put_number(struct sl__amqp_out *out, uint64_t value, unsigned bytes)
{
    uint8_t data[8];
    for (unsigned at = 0; at < bytes; at++) {
        data[at] = (uint8_t)(value >> (8 * (bytes - 1 - at)));
    }
    sl__amqp_put(out, data, bytes);
}

void sl__amqp_put_u8(struct sl__amqp_out *out, unsigned value)
{
    put_number(out, value, 1);
}

void sl__amqp_put_u16(struct sl__amqp_out *out, unsigned value)
{
    put_number(out, value, 2);
}

void sl__amqp_put_u32(struct sl__amqp_out *out, uint32_t value)
{
    put_number(out, value, 4);
}

void sl__amqp_put_u64(struct sl__amqp_out *out, uint64_t value)
{
    put_number(out, value, 8);
}

void sl__amqp_put_short(struct sl__amqp_out *out, const char *text)
{
    size_t length = text == NULL ? 0 : strlen(text);
    if (length > SL_AMQP_NAME_MAX) {
        out->code = out->code < 0 ? out->code : SL_EINVAL;
        return;
    }
    sl__amqp_put_u8(out, (unsigned)length);
    sl__amqp_put(out, text, length);
}

void sl__amqp_put_long(struct sl__amqp_out *out, const void *data, size_t size_bytes)
{
    sl__amqp_put_u32(out, (uint32_t)size_bytes);
    sl__amqp_put(out, data, size_bytes);
}

size_t sl__amqp_begin_table(struct sl__amqp_out *out)
{
    size_t begun = out->size_bytes;
    sl__amqp_put_u32(out, 0);
    return begun;
}

static void set_u32(struct sl__amqp_out *out, size_t at, size_t value)
{
    if (out->code == 0) {
        for (unsigned byte = 0; byte < 4; byte++) {
            out->data[at + byte] = (uint8_t)(value >> (24 - 8 * byte));
        }
    }
}

void sl__amqp_end_table(struct sl__amqp_out *out, size_t begun)
{
    set_u32(out, begun, out->size_bytes - begun - 4);
}

void sl__amqp_put_field_text(struct sl__amqp_out *out, const char *name, const char *value)
{
    sl__amqp_put_short(out, name);
    sl__amqp_put_u8(out, 'S');
    sl__amqp_put_long(out, value, strlen(value));
}

void sl__amqp_put_field_bool(struct sl__amqp_out *out, const char *name, bool value)
{
    sl__amqp_put_short(out, name);
    sl__amqp_put_u8(out, 't');
    sl__amqp_put_u8(out, value ? 1 : 0);
}

void sl__amqp_put_field_int(struct sl__amqp_out *out, const char *name, uint32_t value)
{
    sl__amqp_put_short(out, name);
    sl__amqp_put_u8(out, 'I');
    sl__amqp_put_u32(out, value);
}

void sl__amqp_begin_frame(struct sl__amqp_out *out, enum sl__amqp_frame_type type, unsigned channel)
{
    out->frame_at = out->size_bytes;
    sl__amqp_put_u8(out, (unsigned)type);
    sl__amqp_put_u16(out, channel);
    sl__amqp_put_u32(out, 0);
}

void sl__amqp_end_frame(struct sl__amqp_out *out)
{
    set_u32(out, out->frame_at + 3, out->size_bytes - out->frame_at - SL__AMQP_HEAD_BYTES);
    sl__amqp_put_u8(out, SL__AMQP_END);
}

void sl__amqp_begin_method(struct sl__amqp_out *out, unsigned channel, enum sl__amqp_method method)
{
    sl__amqp_begin_frame(out, SL__AMQP_METHOD, channel);
    sl__amqp_put_u32(out, (uint32_t)method);
}

/* ---- reading ---- */

static const uint8_t *take(struct sl__amqp_in *in, size_t size_bytes)
{
    static const uint8_t zeros[8];
    if ((size_t)(in->end - in->at) < size_bytes) {
        in->bad = true;
        in->at = in->end;
        return zeros;
    }
    const uint8_t *at = in->at;
    in->at += size_bytes;
    return at;
}

static uint64_t get_number(struct sl__amqp_in *in, unsigned bytes)
{
    const uint8_t *at = take(in, bytes);
    uint64_t value = 0;
    for (unsigned byte = 0; byte < bytes; byte++) {
        value = value << 8 | at[byte];
    }
    return value;
}

unsigned sl__amqp_get_u8(struct sl__amqp_in *in)
{
    return (unsigned)get_number(in, 1);
}

unsigned sl__amqp_get_u16(struct sl__amqp_in *in)
{
    return (unsigned)get_number(in, 2);
}

uint32_t sl__amqp_get_u32(struct sl__amqp_in *in)
{
    return (uint32_t)get_number(in, 4);
}

uint64_t sl__amqp_get_u64(struct sl__amqp_in *in)
{
    return get_number(in, 8);
}

void sl__amqp_get_short(struct sl__amqp_in *in, struct sl__amqp_text *ret_text)
{
    size_t length = sl__amqp_get_u8(in);
    const uint8_t *text = take(in, length);
    length = in->bad ? 0 : length;
    memcpy(ret_text->text, text, length);
    ret_text->text[length] = '\0';
    in->bad = in->bad || strlen(ret_text->text) != length;
}

struct sl_bytes sl__amqp_get_long(struct sl__amqp_in *in)
{
    size_t length = sl__amqp_get_u32(in);
    const uint8_t *data = take(in, length);
    return (struct sl_bytes){data, in->bad ? 0 : length};
}

/* Content class, weight, size, flags, then each property whose flag is set, in the order of the flags. */
void sl__amqp_get_properties(struct sl__amqp_in *in, struct sl__amqp_properties *ret_properties)
{
    struct sl__amqp_text unused;
    *ret_properties = (struct sl__amqp_properties){0};
    in->bad = in->bad || sl__amqp_get_u16(in) != 60;
    (void)sl__amqp_get_u16(in);
    ret_properties->body_bytes = sl__amqp_get_u64(in);
    unsigned flags = sl__amqp_get_u16(in);
    in->bad = in->bad || (flags & 3u) != 0; /* no more flags, and none that the specification lacks */
    for (unsigned bit = 15; bit >= 2 && !in->bad; bit--) {
        if ((flags >> bit & 1u) == 0) {
            continue;
        }
        switch (bit) {
        case 15:
            sl__amqp_get_short(in, &ret_properties->content_type);
            break;
        case 13: /* headers */
            (void)sl__amqp_get_long(in);
            break;
        case 12: /* delivery mode */
        case 11: /* priority */
            (void)sl__amqp_get_u8(in);
            break;
        case 10:
            sl__amqp_get_short(in, &ret_properties->correlation_id);
            break;
        case 7:
            sl__amqp_get_short(in, &ret_properties->message_id);
            break;
        case 6: /* time stamp */
            (void)sl__amqp_get_u64(in);
            break;
        default: /* encoding, reply-to, expiration, type, user, application, cluster */
            sl__amqp_get_short(in, &unused);
            break;
        }
    }
}
