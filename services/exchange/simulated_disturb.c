/* SPDX-License-Identifier: MIT */
/* Messages that are none, or not as they should be: what comes before a good message, and what is put into it. */
#include <ctype.h>
#include <string.h>

#include "exchange/simulated_internal.h"

#define NESTED 3000
#define DIGITS 400

/* ---- wrong forms, one after the other ---- */

static void make_empty(struct sl_render *out, const struct sl_render *text)
{
    (void)text;
    sl__write_text(out, " ");
}

static void make_deep(struct sl_render *out, const struct sl_render *text)
{
    (void)text;
    for (int at = 0; at < NESTED; at++) {
        sl__write_text(out, "[");
    }
}

/* The first number has hundreds of digits. */
static void make_huge(struct sl_render *out, const struct sl_render *text)
{
    size_t at = 0;
    while (at < text->size_bytes && !isdigit((unsigned char)text->data[at])) {
        at++;
    }
    sl__write_bytes(out, text->data, at);
    for (int i = 0; i < DIGITS; i++) {
        sl__write_text(out, "9");
    }
    sl__write_bytes(out, text->data + at, text->size_bytes - at);
}

static void make_without_digits(struct sl_render *out, const struct sl_render *text)
{
    sl__write_bytes(out, text->data, text->size_bytes);
    for (size_t at = 0; out->failed == 0 && at < out->size_bytes; at++) {
        out->data[at] = isdigit((unsigned char)out->data[at]) ? 'x' : out->data[at];
    }
}

static void make_twice(struct sl_render *out, const struct sl_render *text)
{
    sl__write_bytes(out, text->data, text->size_bytes);
    sl__write_bytes(out, text->data, text->size_bytes);
}

static void make_with_nul(struct sl_render *out, const struct sl_render *text)
{
    sl__write_bytes(out, text->data, text->size_bytes);
    if (out->failed == 0 && out->size_bytes > 2) {
        out->data[out->size_bytes / 2] = '\0';
    }
}

static void make_object(struct sl_render *out, const struct sl_render *text)
{
    (void)text;
    sl__write_text(out, "{}");
}

static void make_null(struct sl_render *out, const struct sl_render *text)
{
    (void)text;
    sl__write_text(out, "null");
}

/* Objects where lists should be. */
static void make_mistyped(struct sl_render *out, const struct sl_render *text)
{
    for (size_t at = 0; at < text->size_bytes; at++) {
        char c = text->data[at];
        sl__write_bytes(out, c == '[' ? "{" : c == ']' ? "}" : &c, 1);
    }
}

static void send_hostile(struct venue *venue, struct sl_venue_client *client, const struct sl_render *text)
{
    static void (*const forms[])(struct sl_render * out, const struct sl_render *text) = {
        make_empty,    make_deep,   make_huge, make_without_digits, make_twice,
        make_with_nul, make_object, make_null, make_mistyped};
    struct sl_render out = {0};
    forms[venue->hostile++ % (sizeof forms / sizeof *forms)](&out, text);
    if (out.failed == 0) {
        sl__client_send(client, out.data, out.size_bytes);
    }
    sl__write_done(&out);
}

/* ---- others ---- */

static bool same_letters(const char *text, const char *symbol, size_t size_bytes)
{
    for (size_t at = 0; at < size_bytes; at++) {
        if (tolower((unsigned char)text[at]) != tolower((unsigned char)symbol[at])) {
            return false;
        }
    }
    return true;
}

/* The message with another symbol, which nobody lists. */
static void send_other_symbol(struct sl_venue_client *client, const sl_instrument *one, const struct sl_render *text)
{
    struct sl_render out = {0};
    size_t length = strlen(one->symbol);
    sl__write_bytes(&out, text->data, text->size_bytes);
    for (size_t at = 0; out.failed == 0 && at + length <= out.size_bytes; at++) {
        for (size_t i = 0; same_letters(text->data + at, one->symbol, length) && i < length; i++) {
            char c = out.data[at + i];
            out.data[at + i] = (char)(isupper((unsigned char)c) ? 'Z' : islower((unsigned char)c) ? 'z' : c);
        }
    }
    if (out.failed == 0) {
        sl__client_send(client, out.data, out.size_bytes);
    }
    sl__write_done(&out);
}

static void send_notice(struct venue *venue, struct sl_venue_client *client)
{
    struct sl_render out = {0};
    if (venue->dialect->notice != NULL && venue->dialect->notice(&venue->host, &out) && out.failed == 0) {
        sl__client_send(client, out.data, out.size_bytes);
    }
    sl__write_done(&out);
}

/* One more field, the first one of the message. */
static const struct sl_render *with_extra_field(struct venue *venue, const struct sl_render *text)
{
    struct sl_render *out = &venue->spoiled;
    sl__write_begin(out);
    sl__write_text(out, "{\"neverSeen\":{\"a\":[1,\"x\",null,{\"b\":-0.5e3}],\"data\":[]},");
    sl__write_bytes(out, text->data + 1, text->size_bytes - 1);
    return out->failed == 0 ? out : text;
}

const struct sl_render *sl__disturb(struct venue *venue, struct sl_venue_client *client, const sl_instrument *one,
                                    const struct sl_render *text)
{
    static const char unknown[] = "{\"e\":\"somethingNew\",\"type\":\"something_new\",\"event\":\"something_new\","
                                  "\"channel\":\"something_new\",\"topic\":\"something.new\",\"data\":[{\"x\":1}]}";
    if (sl__fault_take(venue, SL_FAULT_GARBAGE, one)) {
        sl__client_send(client, text->data, text->size_bytes / 2);
    }
    if (sl__fault_take(venue, SL_FAULT_HOSTILE, one)) {
        send_hostile(venue, client, text);
    }
    if (sl__fault_take(venue, SL_FAULT_UNKNOWN, one)) {
        sl__client_send(client, unknown, sizeof unknown - 1);
    }
    if (sl__fault_take(venue, SL_FAULT_OTHER_SYMBOL, one)) {
        send_other_symbol(client, one, text);
    }
    if (sl__fault_take(venue, SL_FAULT_NOTICE, one)) {
        send_notice(venue, client);
    }
    if (sl__fault_take(venue, SL_FAULT_DUPLICATE, one)) {
        sl__client_send(client, text->data, text->size_bytes);
    }
    bool object = text->size_bytes > 2 && text->data[0] == '{';
    return object && sl__fault_take(venue, SL_FAULT_EXTRA_FIELD, one) ? with_extra_field(venue, text) : text;
}
