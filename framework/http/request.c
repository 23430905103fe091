/* SPDX-License-Identifier: MIT */
/* Writing requests. */
#include <stdio.h>
#include <string.h>

#include "client.h"

#define BODY_PIECE_BYTES ((size_t)16 * 1024)
#define CHUNK_HEAD_BYTES 20

static struct sl_bytes bytes_of(const char *text)
{
    return (struct sl_bytes){text, strlen(text)};
}

/* ---- checks ---- */

/* What this client says itself, or must not say. */
static bool is_reserved(struct sl_bytes name)
{
    static const char *const names[] = {
        "host", "content-length", "transfer-encoding", "connection", "upgrade", "expect", "te", "trailer"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (sl__http_same(name, names[i])) {
            return true;
        }
    }
    return false;
}

int sl__request_check(const sl_request *request)
{
    struct sl_bytes method = bytes_of(request->method == NULL ? "GET" : request->method);
    if (method.size_bytes == 0 || !sl__http_all(method, sl__http_is_token) || sl__http_same(method, "connect")) {
        return sl_fail(SL_EINVAL, "'%.40s' is no method for a request", (const char *)method.data);
    }
    for (size_t i = 0; i < request->header_count; i++) {
        struct sl_bytes name = bytes_of(request->headers[i].name);
        struct sl_bytes value = bytes_of(request->headers[i].value);
        if (name.size_bytes == 0 || !sl__http_all(name, sl__http_is_token) || !sl__http_all(value, sl__http_is_value)) {
            return sl_fail(SL_EINVAL, "header %zu of the request has characters that none may have", i);
        }
        if (is_reserved(name)) {
            return sl_fail(SL_EINVAL, "the header '%s' is the client's own to set", request->headers[i].name);
        }
    }
    return 0;
}

/* RFC 9110, 9.2.2 */
bool sl__request_is_idempotent(const char *method)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (strcmp(method, methods[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool sl__request_has_body(const struct sl__fetch *fetch)
{
    const sl_request *request = fetch->request;
    return !fetch->without_body && (request->body_bytes > 0 || request->body_next != NULL);
}

/* ---- the head ---- */

struct text {
    char *data;
    size_t length, capacity;
    bool failed;
};

static void add(struct text *text, const char *data)
{
    size_t length = strlen(data);
    if (text->length + length > text->capacity && !text->failed) {
        size_t capacity = (text->length + length) * 2 + 512;
        char *larger = sl_realloc(text->data, capacity);
        text->failed = larger == NULL;
        text->data = larger == NULL ? text->data : larger;
        text->capacity = larger == NULL ? text->capacity : capacity;
    }
    if (!text->failed && length > 0) {
        memcpy(text->data + text->length, data, length);
        text->length += length;
    }
}

static void add_field(struct text *text, const char *name, const char *value)
{
    add(text, name);
    add(text, ": ");
    add(text, value);
    add(text, "\r\n");
}

/*
 * Keys come in headers of any name (Authorization, Cookie, X-MBX-APIKEY, OK-ACCESS-SIGN...), so those that may go to
 * another origin are listed, not those that may not.
 */
static bool may_go_abroad(struct sl_bytes name)
{
    static const char *const names[] = {"accept",       "accept-encoding",  "accept-language", "user-agent",
                                        "content-type", "content-encoding", "content-language"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (sl__http_same(name, names[i])) {
            return true;
        }
    }
    return false;
}

static bool given(const sl_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (sl__http_same(bytes_of(request->headers[i].name), name)) {
            return true;
        }
    }
    return false;
}

static void add_fields(struct text *text, const struct sl__fetch *fetch)
{
    const sl_request *request = fetch->request;
    const struct sl_http_client_options *options = &fetch->client->options;
    for (size_t i = 0; i < request->header_count; i++) {
        struct sl_bytes name = bytes_of(request->headers[i].name);
        bool about_body = name.size_bytes > 8 && sl__http_same((struct sl_bytes){name.data, 8}, "content-");
        if (!(fetch->abroad && !may_go_abroad(name)) && !(fetch->without_body && about_body)) {
            add_field(text, request->headers[i].name, request->headers[i].value);
        }
    }
    if (!given(request, "user-agent")) {
        add_field(text, "User-Agent", options->user_agent);
    }
    if (!given(request, "accept")) {
        add_field(text, "Accept", "*/*");
    }
    if (!options->no_decoding && !given(request, "accept-encoding")) {
        add_field(text, "Accept-Encoding", "gzip, deflate, br");
    }
}

static void add_framing(struct text *text, const struct sl__fetch *fetch)
{
    const sl_request *request = fetch->request;
    bool expects_one =
        strcmp(fetch->method, "POST") == 0 || strcmp(fetch->method, "PUT") == 0 || strcmp(fetch->method, "PATCH") == 0;
    if (sl__request_has_body(fetch) && request->body_next != NULL && request->body_bytes == 0) {
        add_field(text, "Transfer-Encoding", "chunked");
    } else if (sl__request_has_body(fetch) || expects_one) {
        char length[24];
        (void)snprintf(length, sizeof length, "%zu", fetch->without_body ? 0 : request->body_bytes);
        add_field(text, "Content-Length", length);
    }
    if (sl__request_has_body(fetch) && request->expect_continue) {
        add_field(text, "Expect", "100-continue");
    }
}

/* With a body that is at hand, unless the server is asked first. */
int sl__request_write_head(struct sl__fetch *fetch, sl_stream *stream)
{
    struct text text = {.data = NULL};
    const sl_request *request = fetch->request;
    add(&text, fetch->method);
    add(&text, " ");
    add(&text, sl__url_target(fetch->url));
    add(&text, " HTTP/1.1\r\n");
    add_field(&text, "Host", fetch->url->authority);
    add_fields(&text, fetch);
    add_framing(&text, fetch);
    add(&text, "\r\n");
    if (text.failed) {
        sl_free(text.data);
        return sl_fail(SL_ENOMEM, "no memory for a request");
    }
    bool at_hand = sl__request_has_body(fetch) && request->body_next == NULL && !request->expect_continue;
    struct sl_bytes pieces[] = {{text.data, text.length}, {request->body, at_hand ? request->body_bytes : 0}};
    fetch->written = true;
    int code = sl_stream_write_pieces(stream, pieces, 2);
    sl_free(text.data);
    return code;
}

/* ---- bodies ---- */

static int write_piece(sl_stream *stream, const char *data, size_t size_bytes, bool chunked)
{
    char head[CHUNK_HEAD_BYTES];
    int length = chunked ? snprintf(head, sizeof head, "%zx\r\n", size_bytes) : 0;
    struct sl_bytes pieces[] = {{head, (size_t)length}, {data, size_bytes}, {"\r\n", chunked ? 2 : 0}};
    return sl_stream_write_pieces(stream, pieces, 3);
}

static int write_pieces(const sl_request *request, sl_stream *stream, char *buffer)
{
    bool chunked = request->body_bytes == 0;
    uint64_t total = 0;
    for (;;) {
        size_t bytes = 0;
        int code = request->body_next(request->body_context, buffer, BODY_PIECE_BYTES, &bytes);
        if (code == SL_EOF) {
            break;
        }
        SL_TRY(code);
        total += bytes;
        if (bytes == 0 || bytes > BODY_PIECE_BYTES || (!chunked && total > request->body_bytes)) {
            return sl_fail(SL_EMISUSE, "a request's body_next() gave nothing, or more than the body has");
        }
        SL_TRY(write_piece(stream, buffer, bytes, chunked));
    }
    if (!chunked && total < request->body_bytes) {
        return sl_fail(SL_EMISUSE, "a request's body_next() ended before its length");
    }
    return chunked ? sl_stream_write(stream, "0\r\n\r\n", 5) : 0;
}

int sl__request_write_body(struct sl__fetch *fetch, sl_stream *stream)
{
    const sl_request *request = fetch->request;
    if (!sl__request_has_body(fetch)) {
        return 0;
    }
    if (request->body_next == NULL) {
        return sl_stream_write(stream, request->body, request->expect_continue ? request->body_bytes : 0);
    }
    char *buffer = sl_malloc(BODY_PIECE_BYTES);
    if (buffer == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a request's body");
    }
    fetch->body_begun = true;
    int code = write_pieces(request, stream, buffer);
    sl_free(buffer);
    return code;
}
