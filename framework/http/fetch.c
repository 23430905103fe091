/* SPDX-License-Identifier: MIT */
/* One request from beginning to end: attempts, connections that turn out dead, redirects. */
#include <stdio.h>
#include <string.h>

#include "client.h"

#define CONTINUE_TIMEOUT SL_SECONDS(1)
#define STORY_BYTES 256 /* of a policy */

/* ---- one exchange on one connection ---- */

/* Within its time, which begins with the call. */
static int read_head(struct sl__fetch *fetch, sl_response *response, sl_stream *stream,
                     int (*read)(struct sl__fetch *, sl_response *, sl_stream *))
{
    char what[SL_HTTP_HOST_BYTES + 48];
    sl_scope scope = SL_SCOPE_INIT;
    sl_time timeout = fetch->client->options.first_byte_timeout;
    (void)snprintf(what, sizeof what, "waiting for the answer of %s", fetch->url->authority);
    SL_TRY(sl__phase_begin(&scope, timeout, "answer"));
    return sl__phase_end(&scope, read(fetch, response, stream), timeout, what);
}

/* Asked to wait, the server says to go on, or answers at once; silence means to go on (RFC 9110, 10.1.1). */
static int await_continue(struct sl__fetch *fetch, sl_response *response, sl_stream *stream, bool *ret_answered)
{
    sl_scope scope = SL_SCOPE_INIT;
    struct sl_view view;
    *ret_answered = false;
    SL_TRY(sl__phase_begin(&scope, CONTINUE_TIMEOUT, "100"));
    int code = sl__phase_end(&scope, sl_stream_peek(stream, 1, &view), CONTINUE_TIMEOUT, "100");
    if (code == SL_ETIMEDOUT) {
        return 0;
    }
    SL_TRY(code);
    SL_TRY(read_head(fetch, response, stream, sl__response_read_one_head));
    *ret_answered = sl_http_status(&response->head) >= 200;
    if (*ret_answered) {
        response->head.keep_alive = false; /* the body that was announced does not come */
    }
    return 0;
}

static int converse(struct sl__fetch *fetch, sl_response *response, sl_stream *stream)
{
    bool answered = false;
    int code = sl__request_write_head(fetch, stream);
    if (code == 0 && fetch->request->expect_continue && sl__request_has_body(fetch)) {
        SL_TRY(await_continue(fetch, response, stream, &answered));
    }
    if (answered) {
        return 0;
    }
    code = code == 0 ? sl__request_write_body(fetch, stream) : code;
    if (code == SL_EPIPE || code == SL_ECONNRESET) {
        /* Servers that refuse a request may hang up before they have all of it: the answer says why. */
        int late = read_head(fetch, response, stream, sl__response_read_head);
        response->head.keep_alive = false;
        return late == SL_ECANCELED ? late : late < 0 ? code : 0;
    }
    SL_TRY(code);
    return read_head(fetch, response, stream, sl__response_read_head);
}

static bool died_idle(int code)
{
    return code == SL_EOF || code == SL_ECONNRESET || code == SL_EPIPE;
}

/* 1: the connection had died while it was idle, and the same can be done on a new one. */
static int on_link(struct sl__fetch *fetch, sl_response *response, struct sl__link *link)
{
    uint64_t received = sl_stream_counts_get(link->stream).received_bytes;
    fetch->written = false;
    int code = converse(fetch, response, link->stream);
    if (code == 0) {
        code = sl__response_begin_body(response, link);
        if (code < 0) {
            return code; /* the link is the response's already */
        }
        return 0;
    }
    bool silent = sl_stream_counts_get(link->stream).received_bytes == received;
    bool again = died_idle(code) && silent && link->reused && !fetch->body_begun &&
                 (sl__request_is_idempotent(fetch->method) || !fetch->written);
    sl__link_release(fetch->client, link, false);
    if (again) {
        fetch->client->counts.stale++;
        return 1;
    }
    return code == SL_EOF ? sl_fail(SL_ECONNRESET, "%s hung up without an answer", fetch->url->authority) : code;
}

/* An answer whose body has not been read yet. */
static int exchange(struct sl__fetch *fetch, sl_response **ret_response)
{
    sl_response *response = NULL;
    bool fresh = false;
    int code;
    do {
        struct sl__link *link = NULL;
        sl_response_free(response);
        response = NULL;
        SL_TRY(sl__response_new(fetch, &response));
        code = sl__link_acquire(fetch->client, fetch->url, fresh, &link);
        code = code == 0 ? on_link(fetch, response, link) : code;
        fresh = true;
    } while (code == 1);
    if (code < 0) {
        sl_response_free(response);
        return code;
    }
    *ret_response = response;
    return 0;
}

/* ---- attempts ---- */

static bool is_redirect(const struct sl__fetch *fetch, const sl_response *response)
{
    int status = sl_response_status(response);
    bool one = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    return one && !fetch->client->options.no_redirects && sl_response_header(response, "Location") != NULL;
}

int sl_http_attempt_make(const struct sl_http_call *call, struct sl_http_attempt *ret_attempt)
{
    struct sl__fetch *fetch = call->fetch;
    struct sl__fetch once = *fetch; /* attempts may be under way side by side */
    sl_response *response = NULL;
    once.written = false;
    fetch->client->counts.attempts++;
    int code = exchange(&once, &response);
    if (code == 0 && !once.request->stream && !is_redirect(fetch, response)) {
        code = sl__response_read_whole(response);
    }
    fetch->body_begun |= once.body_begun;
    if (code < 0) {
        sl_response_free(response);
        response = NULL;
    }
    *ret_attempt = (struct sl_http_attempt){.response = response, .unsent = !once.written};
    return code;
}

static int call_once(struct sl__fetch *fetch, const struct sl_http_call *call, sl_response **ret_response)
{
    if (fetch->policy != NULL) {
        return fetch->policy->call(fetch->policy, call, ret_response);
    }
    struct sl_http_attempt attempt;
    int code = sl_http_attempt_make(call, &attempt);
    *ret_response = attempt.response;
    return code;
}

/* ---- redirects (RFC 9110, 15.4) ---- */

static int follow(struct sl__fetch *fetch, const sl_response *response)
{
    const struct sl_http_client_options *options = &fetch->client->options;
    int status = sl_response_status(response);
    struct sl__url *url = NULL;
    if (fetch->redirects++ == options->redirects_max) {
        return sl_fail(SL_EPROTO, "more than %u redirects, the last one at %s", options->redirects_max,
                       fetch->url->text);
    }
    SL_TRY(sl__url_resolve(fetch->url, sl_response_header(response, "Location"), &url));
    if (fetch->url->secure && !url->secure && !options->allow_downgrade) {
        sl_free(url);
        return sl_fail(SL_EPROTO, "%s redirects from https to http", fetch->url->text);
    }
    bool post = strcmp(fetch->method, "POST") == 0;
    if ((status == 303 && strcmp(fetch->method, "HEAD") != 0) || (post && (status == 301 || status == 302))) {
        fetch->method = "GET";
        fetch->without_body = true;
    }
    fetch->abroad |= !sl__url_same_origin(fetch->url, url);
    sl_free(fetch->url);
    fetch->url = url;
    fetch->client->counts.redirects++;
    if (fetch->body_begun && !fetch->without_body) {
        return sl_fail(SL_ENOTSUP, "redirected to %s, and the body comes piece by piece, once", url->text);
    }
    return 0;
}

/* ---- the whole ---- */

static int run(struct sl__fetch *fetch, char *story, size_t story_bytes, sl_response **ret_response)
{
    const sl_request *request = fetch->request;
    for (;;) {
        struct sl_http_call call = {.request = request,
                                    .method = fetch->method,
                                    .url = fetch->url->text,
                                    .story = story,
                                    .story_bytes = story_bytes,
                                    .fetch = fetch};
        sl_response *response = NULL;
        call.repeatable =
            (sl__request_is_idempotent(fetch->method) || request->idempotent) && request->body_next == NULL;
        SL_TRY(call_once(fetch, &call, &response));
        if (!is_redirect(fetch, response)) {
            *ret_response = response;
            return 0;
        }
        int code = follow(fetch, response);
        sl__response_discard(response);
        sl_response_free(response);
        SL_TRY(code);
    }
}

static int within_deadline(struct sl__fetch *fetch, sl_response **ret_response)
{
    char story[STORY_BYTES] = "";
    sl_scope scope = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&scope, &(struct sl_scope_options){.name = "fetch", .deadline = fetch->deadline}));
    int code = run(fetch, story, sizeof story, ret_response);
    int ended = sl__http_bounded(&scope, code);
    return code == SL_ECANCELED && ended == SL_ETIMEDOUT
               ? sl_fail(ended, "the fetch of %s took longer than it may in all%s%s", fetch->url->text,
                         story[0] == '\0' ? "" : "; ", story)
               : ended;
}

int sl_fetch(sl_http_client *client, const sl_request *request, sl_response **ret_response)
{
    struct sl__fetch fetch = {.client = client, .request = request};
    sl_response *response = NULL;
    SL_TRY(sl__request_check(request));
    SL_TRY(sl__url_parse(request->url, &fetch.url));
    fetch.method = request->method == NULL ? "GET" : request->method;
    fetch.policy = request->policy != NULL ? request->policy : client->options.policy;
    sl_time total = request->total_timeout != 0                        ? request->total_timeout
                    : fetch.policy != NULL && client->total_is_default ? fetch.policy->total_timeout
                                                                       : client->options.total_timeout;
    fetch.deadline = sl_time_add(sl_now(), total);
    int code = within_deadline(&fetch, &response);
    if (code == 0) {
        response->owns_url = true;
        *ret_response = response;
        return 0;
    }
    sl_free(fetch.url);
    sl_response_free(response);
    return code;
}
