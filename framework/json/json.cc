/* SPDX-License-Identifier: MIT */
/*
 * The JSON cursor: simdjson's On-Demand token iterator behind a C interface.
 *
 * simdjson finds the tokens and unescapes strings; the grammar between the tokens is walked here, because
 * On-Demand's own value types take a wrong order of calls, and brackets that do not match, for granted.
 */
#include "sluice/json.h"
#include "number.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <new>

#include <simdjson.h>

namespace ondemand = simdjson::ondemand;

static_assert(SL_JSON_PADDING >= simdjson::SIMDJSON_PADDING, "simdjson reads further than SL_JSON_PADDING");
static_assert(SL_JSON_DEPTH_MAX <= 64, "the kinds of the open containers are bits of one word");

/* The smallest size that buffers are made for, so that they grow seldom. */
static constexpr size_t capacity_min_bytes = 4096;

/* The token iterator, with the place behind the last token at hand: it is asked for with each step. */
struct token_stream : ondemand::json_iterator {
    ondemand::token_position end = nullptr;

    void begin() noexcept
    {
        end = end_position();
    }
    bool at_end() const noexcept
    {
        return position() == end;
    }
};

struct sl_json {
    ondemand::parser parser;
    token_stream tokens;
    const char *text; /* the document: the caller's or `copy` */
    size_t size_bytes;
    char *copy; /* own buffer for texts without slack, `copy_bytes` + SL_JSON_PADDING long */
    size_t copy_bytes;
    size_t size_max_bytes;
    uint64_t is_object; /* bit d: the container at depth d + 1 is an object */
    unsigned depth;
    bool on_value; /* the cursor stands on a value that was not read */
    bool first;    /* just entered a container: no comma before the next item */
    bool starved;  /* simdjson could not get all of its memory */
    int failed;    /* code of the error that ended the document, 0 while it is alive */
    const char *problem;
    size_t offset;

    explicit sl_json(size_t limit) noexcept
        : parser(limit), text(""), size_bytes(0), copy(nullptr), copy_bytes(0), size_max_bytes(limit), is_object(0),
          depth(0), on_value(false), first(false), starved(false), failed(SL_EMISUSE), problem(""), offset(0)
    {
    }
};

/* Where the current token begins; the size of the document when there is none left. */
static size_t token_offset(const sl_json *json)
{
    if (json->failed == 0 && !json->tokens.at_end()) {
        return (size_t)(reinterpret_cast<const char *>(json->tokens.peek()) - json->text);
    }
    return json->size_bytes;
}

/* The call failed; the document can be read on. */
static int refuse(sl_json *json, int code, const char *problem)
{
    json->problem = problem;
    json->offset = token_offset(json);
    return code;
}

/* The text is malformed: the document ends here. */
static int broken(sl_json *json, const char *problem)
{
    int code = refuse(json, SL_EPROTO, problem);
    json->failed = code;
    json->on_value = false;
    return code;
}

/* The first character of the current token, 0 at the end. */
static char peek(const sl_json *json)
{
    return json->tokens.at_end() ? '\0' : (char)*json->tokens.peek();
}

static void advance(sl_json *json)
{
    (void)json->tokens.return_current_and_advance();
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The current token without the white space behind it. Not to be called at the end. */
static sl_json_text token_text(const sl_json *json)
{
    sl_json_text token = {reinterpret_cast<const char *>(json->tokens.peek()), json->tokens.peek_length()};
    while (token.size_bytes > 0 && is_space(token.data[token.size_bytes - 1])) {
        token.size_bytes--;
    }
    return token;
}

/* The type that a value has by its first character. */
struct type_table {
    unsigned char types[256];

    constexpr type_table() : types()
    {
        types[(unsigned char)'{'] = SL_JSON_OBJECT;
        types[(unsigned char)'['] = SL_JSON_ARRAY;
        types[(unsigned char)'"'] = SL_JSON_STRING;
        types[(unsigned char)'t'] = SL_JSON_BOOL;
        types[(unsigned char)'f'] = SL_JSON_BOOL;
        types[(unsigned char)'n'] = SL_JSON_NULL;
        types[(unsigned char)'-'] = SL_JSON_NUMBER;
        for (unsigned char digit = '0'; digit <= '9'; digit++) {
            types[digit] = SL_JSON_NUMBER;
        }
    }
};

static constexpr type_table table;

static sl_json_type type_of(char c)
{
    return static_cast<sl_json_type>(table.types[(unsigned char)c]);
}

/* Whether a string has an escape. Looks at 8 bytes at once; the slack makes it safe to look beyond the end. */
static inline bool has_escape(sl_json_text text)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    for (size_t at = 0; at < text.size_bytes; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, text.data + at, sizeof(word));
        word ^= ones * '\\';
        if (((word - ones) & ~word & (ones << 7)) != 0) {
            return memchr(text.data + at, '\\', text.size_bytes - at) != nullptr;
        }
    }
    return false;
}

/* The content of the string token under the cursor; steps over it. */
static int take_string(sl_json *json, sl_json_text *ret_text)
{
    sl_json_text token = token_text(json);
    if (token.size_bytes < 2 || token.data[token.size_bytes - 1] != '"') {
        return broken(json, "a string is not closed");
    }
    sl_json_text content = {token.data + 1, token.size_bytes - 2};
    if (has_escape(content)) {
        std::string_view view;
        ondemand::raw_json_string raw(reinterpret_cast<const uint8_t *>(content.data));
        if (json->tokens.unescape(raw).get(view) != simdjson::SUCCESS) {
            return broken(json, "bad escape in a string");
        }
        content = {view.data(), view.size()};
    }
    advance(json);
    *ret_text = content;
    return 0;
}

/* The cursor must stand on a value of `type`. */
static int expect(sl_json *json, sl_json_type type, const char *problem)
{
    if (json->failed != 0) {
        return json->failed;
    }
    if (!json->on_value) {
        return refuse(json, SL_EMISUSE, "there is no value to read here, or it was read already");
    }
    if (json->tokens.at_end()) {
        return broken(json, "the text ends where a value should be");
    }
    return type_of(peek(json)) == type ? 0 : refuse(json, SL_EPROTO, problem);
}

/* Steps over the value under the cursor; brackets must match. */
static int skip_value(sl_json *json)
{
    uint64_t kinds = 0;
    unsigned depth = 0;
    json->on_value = false;
    do {
        char c = peek(json);
        if (c == '\0' && json->tokens.at_end()) {
            return broken(json, "the text ends inside an object or array");
        }
        if (c == '{' || c == '[') {
            if (json->depth + depth >= SL_JSON_DEPTH_MAX) {
                (void)broken(json, "nested too deeply");
                return json->failed = SL_EMSGSIZE;
            }
            kinds = c == '{' ? kinds | (UINT64_C(1) << depth) : kinds & ~(UINT64_C(1) << depth);
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth == 0) {
                return broken(json, "a bracket where a value should be");
            }
            depth--;
            if (((kinds >> depth) & 1) != (c == '}')) {
                return broken(json, "brackets do not match");
            }
        } else if (depth == 0 && type_of(c) == SL_JSON_NONE) {
            return broken(json, "not a value");
        }
        advance(json);
    } while (depth > 0);
    return 0;
}

/* Goes from one item of the container to the next: 1 when there is one, 0 when the container was left. */
static int next_item(sl_json *json, bool object)
{
    if (json->failed != 0) {
        return json->failed;
    }
    if (json->depth == 0 || ((json->is_object >> (json->depth - 1)) & 1) != (object ? 1u : 0u)) {
        return refuse(json, SL_EMISUSE, object ? "the cursor is not in an object" : "the cursor is not in an array");
    }
    if (json->on_value) {
        SL_TRY(skip_value(json));
    }
    if (json->tokens.at_end()) {
        return broken(json, "the text ends inside an object or array");
    }
    char c = peek(json);
    if (c == (object ? '}' : ']')) {
        advance(json);
        json->depth--;
        json->first = false;
        return 0;
    }
    if (!json->first) {
        if (c != ',') {
            return broken(json, object ? "expected ',' or '}'" : "expected ',' or ']'");
        }
        advance(json);
    }
    json->first = false;
    return 1;
}

static int enter(sl_json *json, bool object)
{
    SL_TRY(object ? expect(json, SL_JSON_OBJECT, "not an object") : expect(json, SL_JSON_ARRAY, "not an array"));
    if (json->depth >= SL_JSON_DEPTH_MAX) {
        (void)broken(json, "nested too deeply");
        return json->failed = SL_EMSGSIZE;
    }
    uint64_t bit = UINT64_C(1) << json->depth;
    json->is_object = object ? json->is_object | bit : json->is_object & ~bit;
    json->depth++;
    json->on_value = false;
    json->first = true;
    advance(json);
    return 0;
}

/* Finds where simdjson's index gave up: it tells what, not where. In steps, then character by character. */
static size_t bad_utf8_offset(const char *text, size_t size_bytes)
{
    size_t good = 0; /* text[0..good) is valid */
    for (size_t step = 4096; good < size_bytes; good += step) {
        step = step < size_bytes - good ? step : size_bytes - good;
        while (good + step < size_bytes && step > 1 && ((unsigned char)text[good + step] & 0xC0) == 0x80) {
            step--; /* not between the bytes of one character */
        }
        if (!simdjson::validate_utf8(text + good, step)) {
            break;
        }
    }
    while (good < size_bytes) {
        size_t length = 1;
        while (length <= 4 && !(good + length <= size_bytes && simdjson::validate_utf8(text + good, length))) {
            length++;
        }
        if (length > 4) {
            break;
        }
        good += length;
    }
    return good;
}

static size_t bad_string_offset(const char *text, size_t size_bytes)
{
    size_t start = 0;
    bool inside = false;
    for (size_t at = 0; at < size_bytes; at++) {
        if (text[at] == '"') {
            inside = !inside;
            start = at;
        } else if (inside && text[at] == '\\') {
            at++;
        } else if (inside && (unsigned char)text[at] < 0x20) {
            return at;
        }
    }
    return inside ? start : size_bytes;
}

/* The index could not be made: says what and where. */
static int open_failed(sl_json *json, simdjson::error_code error)
{
    json->problem = simdjson::error_message(error);
    json->offset = 0;
    json->failed = SL_EPROTO;
    switch (error) {
    case simdjson::MEMALLOC:
        json->problem = "out of memory";
        json->failed = SL_ENOMEM;
        break;
    case simdjson::CAPACITY:
        json->problem = "the document is too large";
        json->failed = SL_EMSGSIZE;
        break;
    case simdjson::EMPTY:
        json->problem = "the document is empty";
        break;
    case simdjson::UTF8_ERROR:
        json->problem = "not valid UTF-8";
        json->offset = bad_utf8_offset(json->text, json->size_bytes);
        break;
    case simdjson::UNCLOSED_STRING:
        json->problem = "a string is not closed";
        json->offset = bad_string_offset(json->text, json->size_bytes);
        break;
    case simdjson::UNESCAPED_CHARS:
        json->problem = "a control character in a string";
        json->offset = bad_string_offset(json->text, json->size_bytes);
        break;
    default:
        break;
    }
    return json->failed;
}

/* Makes room for a document of `size_bytes`; doubles, so that growth is rare. */
static int reserve(sl_json *json, size_t size_bytes, bool copy)
{
    size_t capacity = capacity_min_bytes;
    while (capacity < size_bytes) {
        capacity *= 2;
    }
    if (copy && json->copy_bytes < size_bytes) {
        char *bigger = static_cast<char *>(sl_realloc(json->copy, capacity + SL_JSON_PADDING));
        if (bigger == nullptr) {
            return SL_ENOMEM;
        }
        json->copy = bigger;
        json->copy_bytes = capacity;
    }
    if (json->parser.capacity() < size_bytes || json->parser.capacity() == 0 || json->starved) {
        /* Depth is bounded here, not by simdjson, whose stack of open containers stays unused. */
        simdjson::error_code error = json->parser.allocate(capacity, 1);
        if (error != simdjson::SUCCESS) {
            return error == simdjson::CAPACITY ? SL_EMSGSIZE : SL_ENOMEM;
        }
    }
    return 0;
}

extern "C" int sl_json_new(size_t size_max_bytes, sl_json **ret_json)
{
    if (size_max_bytes > SL_JSON_SIZE_MAX_BYTES) {
        return SL_EINVAL;
    }
    void *memory = sl_malloc(sizeof(sl_json));
    if (memory == nullptr) {
        return SL_ENOMEM;
    }
    /* simdjson's own limit leaves room for the rounding up in reserve(). */
    sl_json *json = new (memory) sl_json(2 * SL_JSON_SIZE_MAX_BYTES);
    json->size_max_bytes = size_max_bytes == 0 ? SL_JSON_SIZE_DEFAULT_BYTES : size_max_bytes;
    json->problem = "no document is open";
    *ret_json = json;
    return 0;
}

extern "C" void sl_json_free(sl_json *json)
{
    if (json != nullptr) {
        sl_free(json->copy);
        json->~sl_json();
        sl_free(json);
    }
}

extern "C" int sl_json_open(sl_json *json, const char *text, size_t size_bytes, unsigned flags)
{
    bool copy = (flags & SL_JSON_PADDED) == 0;
    json->text = text;
    json->size_bytes = size_bytes;
    json->depth = 0;
    json->on_value = false;
    json->first = false;
    json->problem = "";
    json->offset = 0;
    if (size_bytes == 0) {
        return open_failed(json, simdjson::EMPTY);
    }
    if (size_bytes > json->size_max_bytes) {
        return open_failed(json, simdjson::CAPACITY);
    }
    int code = reserve(json, size_bytes, copy);
    if (code < 0) {
        return open_failed(json, code == SL_EMSGSIZE ? simdjson::CAPACITY : simdjson::MEMALLOC);
    }
    if (copy) {
        memcpy(json->copy, text, size_bytes);
        memset(json->copy + size_bytes, 0, SL_JSON_PADDING);
        json->text = json->copy;
    }
    simdjson::padded_string_view view(json->text, size_bytes, size_bytes + simdjson::SIMDJSON_PADDING);
    ondemand::json_iterator &tokens = json->tokens;
    simdjson::error_code error = json->parser.iterate_raw(view).get(tokens);
    /* simdjson does not look whether it got its buffer for strings; with `starved` the next call asks again. */
    json->starved = error == simdjson::SUCCESS && json->tokens.string_buf_loc() == nullptr;
    if (error != simdjson::SUCCESS || json->starved) {
        return open_failed(json, json->starved ? simdjson::MEMALLOC : error);
    }
    json->tokens.begin();
    json->failed = 0;
    json->on_value = true;
    return 0;
}

extern "C" int sl_json_finish(sl_json *json)
{
    while (json->failed == 0 && json->depth > 0) {
        SL_TRY(sl_json_leave(json));
    }
    if (json->failed != 0) {
        return json->failed;
    }
    if (json->on_value) {
        SL_TRY(skip_value(json));
    }
    return json->tokens.at_end() ? 0 : broken(json, "something follows the end of the document");
}

extern "C" sl_json_type sl_json_peek(const sl_json *json)
{
    return json->failed == 0 && json->on_value ? type_of(peek(json)) : SL_JSON_NONE;
}

extern "C" int sl_json_enter_object(sl_json *json)
{
    return enter(json, true);
}

extern "C" int sl_json_enter_array(sl_json *json)
{
    return enter(json, false);
}

extern "C" int sl_json_next_field(sl_json *json, sl_json_text *ret_key)
{
    int code = next_item(json, true);
    if (code <= 0) {
        return code;
    }
    if (peek(json) != '"') {
        return broken(json, "expected a key");
    }
    SL_TRY(take_string(json, ret_key));
    if (peek(json) != ':') {
        return broken(json, "expected ':' after a key");
    }
    advance(json);
    json->on_value = true;
    return 1;
}

extern "C" int sl_json_find_field(sl_json *json, const char *name)
{
    sl_json_text key;
    int code = 0;
    while ((code = sl_json_next_field(json, &key)) > 0) {
        if (sl_json_is(key, name)) {
            return 0;
        }
    }
    return code < 0 ? code : refuse(json, SL_ENOENT, "no such field");
}

extern "C" int sl_json_next_element(sl_json *json)
{
    int code = next_item(json, false);
    if (code > 0) {
        json->on_value = true;
    }
    return code;
}

extern "C" int sl_json_next_string(sl_json *json, sl_json_text *ret_text)
{
    int code = sl_json_next_element(json);
    if (code <= 0) {
        return code;
    }
    SL_TRY(sl_json_get_string(json, ret_text));
    return 1;
}

/* The content of the string token `ahead` of the cursor when it is plain: closed at the next token, no escapes. */
static inline bool plain_string(const sl_json *json, int ahead, sl_json_text *ret_text)
{
    const char *token = reinterpret_cast<const char *>(json->tokens.peek(ahead));
    size_t length = json->tokens.peek_length(ahead);
    *ret_text = {token + 1, length - 2};
    return length >= 2 && token[0] == '"' && token[length - 1] == '"' && !has_escape(*ret_text);
}

/* The usual form of a pair, seven tokens: [ "a" , "b" ] and what follows. Steps over it; false where it is another form. */
static inline bool take_plain_pair(sl_json *json, sl_json_text *ret_first, sl_json_text *ret_second)
{
    if (json->tokens.end - json->tokens.position() < 6 || *json->tokens.peek() != '[' || *json->tokens.peek(2) != ',' ||
        *json->tokens.peek(4) != ']' || !plain_string(json, 1, ret_first) || !plain_string(json, 3, ret_second)) {
        return false;
    }
    for (int token = 0; token < 5; token++) {
        advance(json);
    }
    return true;
}

extern "C" int sl_json_next_pair(sl_json *json, sl_json_text *ret_first, sl_json_text *ret_second)
{
    int code = next_item(json, false);
    if (code <= 0 || (json->depth < SL_JSON_DEPTH_MAX && take_plain_pair(json, ret_first, ret_second))) {
        return code;
    }
    json->on_value = true;
    SL_TRY(sl_json_enter_array(json));
    code = sl_json_next_string(json, ret_first);
    code = code > 0 ? sl_json_next_string(json, ret_second) : code;
    if (code == 0) {
        return broken(json, "less than two elements");
    }
    SL_TRY(code);
    code = sl_json_leave(json);
    return code < 0 ? code : 1;
}

extern "C" int sl_json_skip(sl_json *json)
{
    if (json->failed != 0) {
        return json->failed;
    }
    return json->on_value ? skip_value(json) : refuse(json, SL_EMISUSE, "there is no value to skip here");
}

extern "C" int sl_json_leave(sl_json *json)
{
    if (json->failed != 0) {
        return json->failed;
    }
    if (json->depth == 0) {
        return refuse(json, SL_EMISUSE, "the cursor is in no object or array");
    }
    bool object = ((json->is_object >> (json->depth - 1)) & 1) != 0;
    sl_json_text key;
    int code = 0;
    do {
        code = object ? sl_json_next_field(json, &key) : sl_json_next_element(json);
    } while (code > 0);
    return code;
}

extern "C" int sl_json_get_string(sl_json *json, sl_json_text *ret_text)
{
    SL_TRY(expect(json, SL_JSON_STRING, "not a string"));
    SL_TRY(take_string(json, ret_text));
    json->on_value = false;
    return 0;
}

extern "C" int sl_json_get_number(sl_json *json, sl_json_text *ret_text)
{
    SL_TRY(expect(json, SL_JSON_NUMBER, "not a number"));
    sl_json_text token = token_text(json);
    bool whole = false;
    if (!sl__json_is_number(token, &whole)) {
        return broken(json, "a malformed number");
    }
    advance(json);
    json->on_value = false;
    *ret_text = token;
    return 0;
}

/* What the two integer getters share. */
static int peek_integer(sl_json *json, bool *ret_negative, uint64_t *ret_magnitude)
{
    SL_TRY(expect(json, SL_JSON_NUMBER, "not a number"));
    int code = sl__json_integer(token_text(json), ret_negative, ret_magnitude);
    if (code == SL_EPROTO) {
        return broken(json, "a malformed number");
    }
    return code < 0 ? refuse(json, code, "not a whole number, or too large") : 0;
}

extern "C" int sl_json_get_int64(sl_json *json, int64_t *ret_value)
{
    bool negative = false;
    uint64_t magnitude = 0;
    SL_TRY(peek_integer(json, &negative, &magnitude));
    if (!sl__json_to_int64(negative, magnitude, ret_value)) {
        return refuse(json, SL_ERANGE, "a number too large for 64 bits");
    }
    advance(json);
    json->on_value = false;
    return 0;
}

extern "C" int sl_json_get_uint64(sl_json *json, uint64_t *ret_value)
{
    bool negative = false;
    uint64_t magnitude = 0;
    SL_TRY(peek_integer(json, &negative, &magnitude));
    if (negative && magnitude != 0) {
        return refuse(json, SL_ERANGE, "a negative number");
    }
    advance(json);
    json->on_value = false;
    *ret_value = magnitude;
    return 0;
}

/* Whether the current token is exactly `literal`; steps over it if so. */
static bool take_literal(sl_json *json, const char *literal)
{
    if (!sl_json_is(token_text(json), literal)) {
        return false;
    }
    advance(json);
    json->on_value = false;
    return true;
}

extern "C" int sl_json_get_bool(sl_json *json, bool *ret_value)
{
    SL_TRY(expect(json, SL_JSON_BOOL, "not true or false"));
    bool value = peek(json) == 't';
    if (!take_literal(json, value ? "true" : "false")) {
        return broken(json, "not a value");
    }
    *ret_value = value;
    return 0;
}

extern "C" int sl_json_get_null(sl_json *json)
{
    SL_TRY(expect(json, SL_JSON_NULL, "not null"));
    return take_literal(json, "null") ? 0 : broken(json, "not a value");
}

extern "C" int sl_json_get_scalar(sl_json *json, sl_json_text *ret_text)
{
    sl_json_type type = sl_json_peek(json);
    bool value = false;
    switch (type) {
    case SL_JSON_STRING:
        SL_TRY(sl_json_get_string(json, ret_text));
        return type;
    case SL_JSON_BOOL:
        SL_TRY(sl_json_get_bool(json, &value));
        *ret_text = value ? sl_json_text{"true", 4} : sl_json_text{"false", 5};
        return type;
    case SL_JSON_NULL:
        SL_TRY(sl_json_get_null(json));
        *ret_text = sl_json_text{"null", 4};
        return type;
    case SL_JSON_OBJECT:
    case SL_JSON_ARRAY:
        return refuse(json, SL_EPROTO, "not a string, number, bool or null");
    default:
        SL_TRY(sl_json_get_number(json, ret_text));
        return SL_JSON_NUMBER;
    }
}

extern "C" int sl_json_next_scalar(sl_json *json, sl_json_text *ret_key, sl_json_text *ret_text)
{
    int code = sl_json_next_field(json, ret_key);
    if (code <= 0) {
        return code;
    }
    char c = peek(json);
    if (c == '"') {
        SL_TRY(take_string(json, ret_text));
        json->on_value = false;
        return SL_JSON_STRING;
    }
    if (c == '{' || c == '[') {
        *ret_text = {"", 0};
        return c == '{' ? SL_JSON_OBJECT : SL_JSON_ARRAY;
    }
    return sl_json_get_scalar(json, ret_text);
}

extern "C" size_t sl_json_here(const sl_json *json)
{
    return token_offset(json);
}

extern "C" size_t sl_json_behind(const sl_json *json)
{
    if (json->failed != 0 || json->tokens.at_root()) {
        return 0;
    }
    const char *token = reinterpret_cast<const char *>(json->tokens.peek(-1));
    size_t end = (size_t)(token - json->text) + json->tokens.peek_length(-1);
    while (is_space(json->text[end - 1])) {
        end--;
    }
    return end;
}

extern "C" unsigned sl_json_depth(const sl_json *json)
{
    return json->depth;
}

extern "C" const char *sl_json_problem(const sl_json *json)
{
    return json->problem;
}

extern "C" size_t sl_json_offset(const sl_json *json)
{
    return json->offset;
}

extern "C" bool sl_utf8_valid(const void *data, size_t size_bytes)
{
    return size_bytes == 0 || simdjson::validate_utf8(static_cast<const char *>(data), size_bytes);
}

extern "C" size_t sl__json_double_text(double value, char *text, size_t text_bytes)
{
    if (!std::isfinite(value)) {
        return 0;
    }
    std::to_chars_result result = std::to_chars(text, text + text_bytes, value);
    return result.ec == std::errc() ? static_cast<size_t>(result.ptr - text) : 0;
}
