/* SPDX-License-Identifier: MIT */
/* RESP2 and RESP3 without I/O, see resp.h. */
#include "resp.h"

#include <string.h>

#define KEEP_BYTES ((size_t)64 * 1024) /* of memory from one reply to the next */
#define STEP_BYTES ((size_t)512)       /* taken at a time while the end of a line is looked for */
#define INTEGER_DIGITS_MAX 20
#define PLAIN_DIGITS_MAX 9

void sl__resp_init(struct sl__resp_reader *reader, size_t bytes_max)
{
    *reader = (struct sl__resp_reader){.bytes_max = bytes_max, .left = {1}};
}

void sl__resp_done(struct sl__resp_reader *reader)
{
    sl_free(reader->built);
    *reader = (struct sl__resp_reader){0};
}

static void begin_reply(struct sl__resp_reader *reader)
{
    reader->built_bytes = reader->scanned = reader->searched = reader->body = 0;
    reader->depth = 0;
    reader->left[0] = 1;
}

/* "-12" up to `end`. */
bool sl__resp_integer(const char *text, const char *end, int64_t *ret_integer)
{
    bool negative = text < end && *text == '-';
    text += text < end && (*text == '-' || *text == '+');
    uint64_t value = 0;
    if (text == end || end - text > INTEGER_DIGITS_MAX) {
        return false;
    }
    for (; text < end; text++) {
        unsigned digit = (unsigned)(unsigned char)*text - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (value > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *ret_integer = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* ---- finding the end ---- */

/* One value is complete, and perhaps what it is in. True when the whole reply is. */
static bool value_done(struct sl__resp_reader *reader)
{
    while (--reader->left[reader->depth] == 0) {
        if (reader->depth == 0) {
            return true;
        }
        reader->depth--;
    }
    return false;
}

/* A header of `count` values. 1: the reply is complete. */
static int open_list(struct sl__resp_reader *reader, char type, int64_t count)
{
    bool pairs = type == '%' || type == '|';
    if (count == -1 && type == '*') {
        return value_done(reader);
    }
    /* No value is shorter than three bytes. */
    if (count < 0 || (uint64_t)count > reader->bytes_max / 3) {
        return sl_fail(count < 0 ? SL_EPROTO : SL_EMSGSIZE, "a Redis reply of %lld values", (long long)count);
    }
    if (type == '|') {
        reader->left[reader->depth]++; /* it comes before a value and is none */
    }
    if (count == 0) {
        return value_done(reader);
    }
    if (reader->depth == SL_REDIS_DEPTH_MAX) {
        return sl_fail(SL_EMSGSIZE, "a Redis reply nested more than %d deep", SL_REDIS_DEPTH_MAX);
    }
    reader->left[++reader->depth] = (uint64_t)count * (pairs ? 2 : 1);
    return 0;
}

static int open_text(struct sl__resp_reader *reader, char type, int64_t size)
{
    if (size == -1 && type == '$') {
        return value_done(reader);
    }
    if (size < 0 || (type == '=' && size < 4)) {
        return sl_fail(SL_EPROTO, "a Redis text of %lld bytes", (long long)size);
    }
    if ((uint64_t)size > reader->bytes_max) {
        return sl_fail(SL_EMSGSIZE, "a Redis reply is over the limit of %zu bytes", reader->bytes_max);
    }
    reader->body = (size_t)size + 2;
    return 0;
}

/* The line from `line` to `end` (its CR). 1: the reply is complete. */
static int take_line(struct sl__resp_reader *reader, const char *line, const char *end)
{
    int64_t number = 0;
    char type = *line++;
    switch (type) {
    case '+':
    case '-':
    case ',':
    case '(':
        return value_done(reader);
    case '_':
        return line == end ? (int)value_done(reader) : sl_fail(SL_EPROTO, "a Redis null with a value");
    case '#':
        if (end - line != 1 || (*line != 't' && *line != 'f')) {
            return sl_fail(SL_EPROTO, "a Redis boolean that is neither t nor f");
        }
        return value_done(reader);
    default:
        break;
    }
    if (strchr(":$=!*~>%|", type) == NULL || type == '\0') {
        return sl_fail(SL_EPROTO, "not a Redis reply: it begins with byte 0x%02x", (unsigned)(unsigned char)type);
    }
    if (!sl__resp_integer(line, end, &number)) {
        return sl_fail(SL_EPROTO, "a Redis reply has a bad number behind '%c'", type);
    }
    if (type == ':') {
        return value_done(reader);
    }
    return type == '$' || type == '=' || type == '!' ? open_text(reader, type, number)
                                                     : open_list(reader, type, number);
}

/* Goes on in the reply at `base`, of which `size` bytes are there. 1: complete, 0: more is needed. */
static int scan(struct sl__resp_reader *reader, const char *base, size_t size)
{
    int code = 0;
    while (code == 0) {
        const char *at = base + reader->scanned;
        size_t rest = size - reader->scanned;
        if (reader->body > 0) {
            if (rest < reader->body) {
                return 0;
            }
            if (at[reader->body - 2] != '\r' || at[reader->body - 1] != '\n') {
                return sl_fail(SL_EPROTO, "a Redis text is longer than it says");
            }
            reader->scanned += reader->body;
            reader->body = 0;
            code = value_done(reader);
            continue;
        }
        const char *feed =
            rest > reader->searched ? memchr(at + reader->searched, '\n', rest - reader->searched) : NULL;
        size_t length = feed == NULL ? rest : (size_t)(feed - at);
        if (length > SL__RESP_LINE_BYTES_MAX) {
            return sl_fail(SL_EMSGSIZE, "a line of a Redis reply is over %zu bytes", SL__RESP_LINE_BYTES_MAX);
        }
        if (feed == NULL) {
            reader->searched = rest;
            return 0;
        }
        if (length < 2 || feed[-1] != '\r') {
            return sl_fail(SL_EPROTO, "a line of a Redis reply does not end in CR LF");
        }
        reader->scanned += length + 1;
        reader->searched = 0;
        code = take_line(reader, at, feed - 1);
        if (reader->scanned > reader->bytes_max && code >= 0) {
            return sl_fail(SL_EMSGSIZE, "a Redis reply is over the limit of %zu bytes", reader->bytes_max);
        }
    }
    return code;
}

/* Keeps more bytes of a reply that comes in pieces. */
static int keep(struct sl__resp_reader *reader, const char *data, size_t size_bytes)
{
    size_t needed = reader->built_bytes + size_bytes;
    if (needed > reader->bytes_max + SL__RESP_LINE_BYTES_MAX + STEP_BYTES) {
        return sl_fail(SL_EMSGSIZE, "a Redis reply is over the limit of %zu bytes", reader->bytes_max);
    }
    if (needed > reader->built_capacity) {
        size_t capacity = reader->built_capacity == 0 ? 1024 : reader->built_capacity;
        while (capacity < needed) {
            capacity *= 2;
        }
        char *built = sl_realloc(reader->built, capacity);
        if (built == NULL) {
            return sl_fail(SL_ENOMEM, "no memory for a Redis reply");
        }
        reader->built = built;
        reader->built_capacity = capacity;
    }
    memcpy(reader->built + reader->built_bytes, data, size_bytes);
    reader->built_bytes = needed;
    return 0;
}

/* Goes on with a reply of which a part is kept. */
static int feed_kept(struct sl__resp_reader *reader, const char *data, size_t size_bytes, size_t *ret_used,
                     struct sl_view *ret_reply)
{
    size_t used = 0;
    int code = 0;
    while (code == 0 && used < size_bytes) {
        size_t rest = size_bytes - used;
        size_t want = reader->body > 0 ? reader->scanned + reader->body - reader->built_bytes : STEP_BYTES;
        size_t take = want < rest ? want : rest;
        SL_TRY(keep(reader, data + used, take));
        used += take;
        code = scan(reader, reader->built, reader->built_bytes);
    }
    if (code == 1) {
        used -= reader->built_bytes - reader->scanned; /* the next reply's */
        *ret_reply = (struct sl_view){reader->built, reader->scanned};
        begin_reply(reader);
    }
    *ret_used = used;
    return code;
}

/*
 * Most replies are one short text, a number or OK, and whole: how long such a one is. 0: it is something else, or not well
 * formed, for scan() to look at.
 */
static size_t whole_and_plain(const char *data, size_t size_bytes)
{
    static const char ok[] = "+OK\r\n";
    size_t at = 1, number = 0;
    if (size_bytes < 4) {
        return 0;
    }
    if (*data != '$' && *data != ':') {
        return size_bytes >= sizeof ok - 1 && memcmp(data, ok, sizeof ok - 1) == 0 ? sizeof ok - 1 : 0;
    }
    for (; at < size_bytes && at <= PLAIN_DIGITS_MAX && data[at] >= '0' && data[at] <= '9'; at++) {
        number = number * 10 + (size_t)(data[at] - '0');
    }
    if (at == 1 || size_bytes - at < 2 || data[at] != '\r' || data[at + 1] != '\n') {
        return 0;
    }
    at += 2;
    if (*data == ':') {
        return at;
    }
    bool ended = number <= size_bytes - at && size_bytes - at - number >= 2 && data[at + number] == '\r' &&
                 data[at + number + 1] == '\n';
    return ended ? at + number + 2 : 0;
}

int sl__resp_feed(struct sl__resp_reader *reader, const char *data, size_t size_bytes, size_t *ret_used,
                  struct sl_view *ret_reply)
{
    if (reader->built_bytes > 0) {
        return feed_kept(reader, data, size_bytes, ret_used, ret_reply);
    }
    if (reader->built_capacity > KEEP_BYTES) {
        sl_free(reader->built);
        reader->built = NULL;
        reader->built_capacity = 0;
    }
    size_t plain = whole_and_plain(data, size_bytes);
    if (plain > 0 && plain <= reader->bytes_max) {
        *ret_used = plain;
        *ret_reply = (struct sl_view){(char *)(uintptr_t)data, plain};
        return 1;
    }
    int code = scan(reader, data, size_bytes);
    if (code == 1) {
        *ret_used = reader->scanned;
        *ret_reply = (struct sl_view){(char *)(uintptr_t)data, reader->scanned};
        begin_reply(reader);
    } else if (code == 0) {
        *ret_used = size_bytes;
        code = keep(reader, data, size_bytes);
    }
    return code;
}

/* ---- values ---- */

/* The CR of the line that begins at `text`. Lines of an accepted reply have one LF, at their end. */
static const char *line_end(const char *text)
{
    while (*text != '\n') {
        text++;
    }
    return text - 1;
}

static void set_text(struct sl_redis_value *value, const char *text, size_t size_bytes)
{
    value->text = text;
    value->size_bytes = size_bytes;
    ((char *)(uintptr_t)text)[size_bytes] = '\0'; /* where its CR was */
}

/* "3.5", "1e10", "inf", "-inf", "nan"; exact to the last bits only, the text has all of them. */
static double parse_double(const char *text)
{
    double sign = *text == '-' ? -1 : 1;
    text += *text == '-' || *text == '+';
    if (*text == 'i') {
        return sign * __builtin_inf();
    }
    if (*text == 'n') {
        return __builtin_nan("");
    }
    double value = 0;
    int places = 0;
    for (bool point = false; (*text >= '0' && *text <= '9') || (*text == '.' && !point); text++) {
        point = point || *text == '.';
        if (*text != '.') {
            value = value * 10 + (*text - '0');
            places -= point;
        }
    }
    if (*text == 'e' || *text == 'E') {
        bool down = text[1] == '-';
        int exponent = 0;
        for (text += 1 + (text[1] == '-' || text[1] == '+'); *text >= '0' && *text <= '9' && exponent < 1000; text++) {
            exponent = exponent * 10 + (*text - '0');
        }
        places += down ? -exponent : exponent;
    }
    for (; places > 0 && value < __builtin_inf(); places--) {
        value *= 10;
    }
    double divisor = 1;
    for (; places < 0 && value != 0; places++) {
        if (divisor >= 1e300) {
            value /= divisor;
            divisor = 1;
        }
        divisor *= 10;
    }
    return sign * (value / divisor);
}

static void read_line_value(struct sl_redis_value *value, char type, const char *text, const char *end)
{
    switch (type) {
    case '+':
    case '-':
    case '(':
        value->type = type == '+' ? SL_REDIS_STATUS : type == '-' ? SL_REDIS_ERROR : SL_REDIS_BIG_NUMBER;
        set_text(value, text, (size_t)(end - text));
        break;
    case ':':
        value->type = SL_REDIS_INTEGER;
        (void)sl__resp_integer(text, end, &value->integer);
        value->number = (double)value->integer;
        break;
    case ',':
        value->type = SL_REDIS_DOUBLE;
        set_text(value, text, (size_t)(end - text));
        value->number = parse_double(text);
        break;
    case '#':
        value->type = SL_REDIS_BOOLEAN;
        value->integer = *text == 't';
        break;
    default:
        break;
    }
}

/* What is behind the attributes in front of a value. */
static const char *skip_attributes(const char *text)
{
    while (*text == '|') {
        const char *end = line_end(text);
        int64_t pairs = 0;
        (void)sl__resp_integer(text + 1, end, &pairs);
        text = end + 2;
        for (int64_t i = 0; i < 2 * pairs; i++) {
            text = sl__resp_skip(text);
        }
    }
    return text;
}

struct sl_redis_value sl__resp_value(const char *text)
{
    struct sl_redis_value value = {.type = SL_REDIS_NIL, .text = ""};
    text = skip_attributes(text);
    const char *end = line_end(text);
    char type = *text++;
    int64_t number = 0;
    if (strchr("$=!*~>%", type) == NULL) {
        read_line_value(&value, type, text, end);
        return value;
    }
    (void)sl__resp_integer(text, end, &number);
    if (number < 0) {
        return value;
    }
    if (type == '$' || type == '=' || type == '!') {
        size_t prefix = type == '=' ? 4 : 0; /* "txt:" */
        value.type = type == '!' ? SL_REDIS_ERROR : SL_REDIS_STRING;
        set_text(&value, end + 2 + prefix, (size_t)number - prefix);
        return value;
    }
    value.type = type == '~' ? SL_REDIS_SET : type == '>' ? SL_REDIS_PUSH : type == '%' ? SL_REDIS_MAP : SL_REDIS_ARRAY;
    value.count = (size_t)number * (type == '%' ? 2 : 1);
    value.inside = end + 2;
    return value;
}

const char *sl__resp_skip(const char *text)
{
    uint64_t left = 1;
    for (; left > 0; left--) {
        const char *end = line_end(text);
        char type = *text++;
        int64_t number = 0;
        bool sized = strchr("$=!*~>%|", type) != NULL;
        if (sized) {
            (void)sl__resp_integer(text, end, &number);
        }
        text = end + 2;
        if (!sized || number < 0) {
            continue;
        }
        if (type == '$' || type == '=' || type == '!') {
            text += number + 2;
        } else {
            left += (uint64_t)number * (type == '%' || type == '|' ? 2 : 1) + (type == '|');
        }
    }
    return text;
}

/* ---- commands ---- */

static unsigned digits_of(size_t value)
{
    unsigned digits = 1;
    for (; value >= 10; value /= 10) {
        digits++;
    }
    return digits;
}

size_t sl__resp_command_bytes(const struct sl_bytes *arguments, size_t count)
{
    size_t bytes = 3 + digits_of(count);
    for (size_t i = 0; i < count; i++) {
        bytes += 5 + digits_of(arguments[i].size_bytes) + arguments[i].size_bytes;
    }
    return bytes;
}

static inline char *put_header(char *out, char type, size_t value)
{
    unsigned digits = digits_of(value);
    *out = type;
    out += digits;
    for (char *at = out;; at--, value /= 10) {
        *at = (char)('0' + value % 10);
        if (value < 10) {
            break;
        }
    }
    out[1] = '\r';
    out[2] = '\n';
    return out + 3;
}

char *sl__resp_command_put(char *out, const struct sl_bytes *arguments, size_t count)
{
    out = put_header(out, '*', count);
    for (size_t i = 0; i < count; i++) {
        out = put_header(out, '$', arguments[i].size_bytes);
        if (arguments[i].size_bytes > 0) {
            memcpy(out, arguments[i].data, arguments[i].size_bytes);
        }
        out += arguments[i].size_bytes;
        *out++ = '\r';
        *out++ = '\n';
    }
    return out;
}
