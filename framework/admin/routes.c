/* SPDX-License-Identifier: MIT */
/* Every request: is it let in, what does it ask for, what is answered. */
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"

#define PATH_BYTES 256
#define BODY_BYTES_MAX ((size_t)64 << 10)
#define LOG_LINES_MAX 500
#define ACTION_LOG_BYTES 256 /* of a request, in the log */

#define JSON "application/json"

/* ---- views ---- */

void sl__admin_text_unref(struct sl__admin_text *text)
{
    if (text != NULL && --text->references == 0) {
        sl_free(text);
    }
}

static int write_view(sl_admin_view_fn view, void *arg, struct sl__admin_text **ret_text)
{
    sl_json_writer out;
    sl_json_text written;
    sl_json_writer_init(&out, SL_ADMIN_VIEW_BYTES_MAX);
    view(arg, &out);
    int code = sl_json_writer_finish(&out, &written);
    struct sl__admin_text *text = code == 0 ? sl_malloc(sizeof *text + written.size_bytes) : NULL;
    if (text != NULL) {
        text->references = 1;
        text->bytes = written.size_bytes;
        memcpy(text->data, written.data, written.size_bytes);
        *ret_text = text;
    }
    sl_json_writer_free(&out);
    return code == 0 && text == NULL ? SL_ENOMEM : code;
}

int sl__admin_text_of(struct sl__admin_view *view, sl_time younger_than, struct sl__admin_text **ret_text)
{
    sl_time now = sl_now();
    if (view->text == NULL || now - view->made >= younger_than) {
        struct sl__admin_text *text = NULL;
        int code = write_view(view->view, view->arg, &text);
        if (text == NULL) {
            return code < 0 ? code : SL_ENOMEM;
        }
        sl__admin_text_unref(view->text);
        view->text = text;
        view->made = now;
    }
    view->text->references++;
    *ret_text = view->text;
    return 0;
}

static int respond_text(sl_http_exchange *exchange, int status, struct sl__admin_text *text)
{
    int code = sl__admin_respond(exchange, status, JSON, text->data, text->bytes, NULL, 0);
    sl__admin_text_unref(text);
    return code;
}

static int serve_failed(sl_http_exchange *exchange, int code)
{
    return sl__admin_refuse(exchange, code == SL_ENOMEM ? 503 : 500, sl_error_name(code),
                            code == SL_EMSGSIZE ? "larger than its limit" : sl_strerror(code));
}

static int serve_view(sl_http_exchange *exchange, struct sl__admin_view *view)
{
    struct sl__admin_text *text = NULL;
    int code = sl__admin_text_of(view, 0, &text);
    return code < 0 ? serve_failed(exchange, code) : respond_text(exchange, 200, text);
}

/* ---- health and metrics ---- */

static int serve_health(sl_admin *admin, sl_http_exchange *exchange, const char *path)
{
    sl_json_writer out;
    sl_json_text text;
    bool good = true;
    sl_json_writer_init(&out, 0);
    if (strcmp(path, "/readyz") == 0) {
        good = sl__admin_ready(admin, &out);
    } else {
        bool live = strcmp(path, "/livez") == 0;
        good = live || admin->started;
        sl_json_begin_object(&out);
        sl_json_put_key(&out, live ? "live" : "started");
        sl_json_put_bool(&out, good);
        sl_json_end_object(&out);
    }
    int code = sl_json_writer_finish(&out, &text);
    code = code < 0 ? serve_failed(exchange, code)
                    : sl__admin_respond(exchange, good ? 200 : 503, JSON, text.data, text.size_bytes, NULL, 0);
    sl_json_writer_free(&out);
    return code;
}

static int serve_metrics(const sl_admin *admin, sl_http_exchange *exchange)
{
    char *text = NULL;
    size_t bytes = 0;
    if (admin->options.metrics == NULL) {
        return sl__admin_refuse(exchange, 404, "SL_ENOENT", "no metrics are kept");
    }
    int code = sl_metrics_write(admin->options.metrics, &text, &bytes);
    code = code < 0 ? serve_failed(exchange, code)
                    : sl__admin_respond(exchange, 200, SL_METRICS_CONTENT_TYPE, text, bytes, NULL, 0);
    sl_free(text);
    return code;
}

/* ---- logs ---- */

/* A number of the query, or `missing`; false when it is none. */
static bool query_number(const sl_http_exchange *exchange, const char *name, uint64_t missing, uint64_t *ret_value)
{
    char text[24];
    int code = sl_http_query(exchange->request, name, text, sizeof text);
    *ret_value = missing;
    if (code == SL_ENOENT) {
        return true;
    }
    return code == 0 && sl_json_text_uint64((sl_json_text){text, strlen(text)}, ret_value) == 0;
}

static bool query_level(const sl_http_exchange *exchange, enum sl_log_level *ret_level)
{
    char text[16];
    int code = sl_http_query(exchange->request, "level", text, sizeof text);
    *ret_level = SL_LOG_DEBUG;
    if (code == SL_ENOENT) {
        return true;
    }
    for (int level = SL_LOG_ERROR; code == 0 && level <= SL_LOG_DEBUG; level++) {
        if (strcmp(text, sl_log_level_name((enum sl_log_level)level)) == 0) {
            *ret_level = (enum sl_log_level)level;
            return true;
        }
    }
    return false;
}

static int serve_logs(const sl_admin *admin, sl_http_exchange *exchange)
{
    uint64_t after = 0;
    uint64_t lines = 0;
    enum sl_log_level level;
    if (admin->options.logger == NULL) {
        return sl__admin_refuse(exchange, 404, "SL_ENOENT", "no log is kept");
    }
    if (!query_number(exchange, "after", 0, &after) || !query_number(exchange, "lines", LOG_LINES_MAX, &lines) ||
        !query_level(exchange, &level)) {
        return sl__admin_refuse(exchange, 400, "SL_EINVAL",
                                "after and lines are numbers, level is one of error, warning, info, debug");
    }
    sl_json_writer out;
    sl_json_text text;
    sl_json_writer_init(&out, SL_ADMIN_VIEW_BYTES_MAX);
    sl_json_begin_object(&out);
    sl_json_put_key(&out, "lines");
    sl_logger_recent(admin->options.logger, after, level, lines < LOG_LINES_MAX ? lines : LOG_LINES_MAX, &out);
    sl_json_end_object(&out);
    int code = sl_json_writer_finish(&out, &text);
    code = code < 0 ? serve_failed(exchange, code)
                    : sl__admin_respond(exchange, 200, JSON, text.data, text.size_bytes, NULL, 0);
    sl_json_writer_free(&out);
    return code;
}

/* ---- the page ---- */

/* One that a browser has already, by a hash of it, is not sent again. */
static int serve_asset(sl_http_exchange *exchange, const struct sl_admin_asset *asset)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const unsigned char *data = asset->data;
    for (size_t i = 0; i < asset->bytes; i++) {
        hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
    }
    char tag[24];
    (void)snprintf(tag, sizeof tag, "\"%016llx\"", (unsigned long long)hash);
    const struct sl_http_field more[] = {{"ETag", tag}};
    const char *known = sl_http_header(exchange->request, "If-None-Match");
    if (known != NULL && strcmp(known, tag) == 0) {
        return sl__admin_respond(exchange, 304, NULL, NULL, 0, more, 1);
    }
    return sl__admin_respond(exchange, 200, asset->content_type, asset->data, asset->bytes, more, 1);
}

static const struct sl_admin_asset *asset_at(const sl_admin *admin, const char *path)
{
    for (size_t i = 0; i < admin->options.asset_count; i++) {
        if (strcmp(admin->options.assets[i].path, path) == 0) {
            return &admin->options.assets[i];
        }
    }
    return NULL;
}

/* ---- actions ---- */

int sl_admin_param(const sl_admin_request *request, const char *name, char *text, size_t text_bytes)
{
    size_t body_bytes = 0;
    const char *body = sl_http_body(request->message, &body_bytes);
    if (body_bytes == 0) {
        return SL_ENOENT;
    }
    sl_auto(sl_json) *json = NULL;
    sl_json_text value;
    SL_TRY(sl_json_new(BODY_BYTES_MAX, &json));
    int code = sl_json_open(json, body, body_bytes, 0);
    code = code < 0 ? code : sl_json_enter_object(json);
    if (code < 0) {
        return code == SL_ENOMEM ? code : sl_fail(SL_EINVAL, "the body is no JSON object: %s", sl_json_problem(json));
    }
    code = sl_json_find_field(json, name);
    if (code == SL_ENOENT) {
        return code;
    }
    code = code < 0 ? code : sl_json_get_scalar(json, &value);
    if (code < 0 || memchr(value.data, '\0', value.size_bytes) != NULL) {
        return sl_fail(SL_EINVAL, "\"%s\" is no text, number or bool", name);
    }
    if (value.size_bytes >= text_bytes) {
        return sl_fail(SL_EMSGSIZE, "\"%s\" is longer than %zu bytes", name, text_bytes - 1);
    }
    memcpy(text, value.data, value.size_bytes);
    text[value.size_bytes] = '\0';
    return 0;
}

static int status_of(int code)
{
    switch (code) {
    case SL_EINVAL:
    case SL_EMSGSIZE:
        return 400;
    case SL_ENOENT:
        return 404;
    case SL_EBUSY:
    case SL_EEXIST:
    case SL_EALREADY:
    case SL_ERUNNING:
        return 409;
    case SL_ENOTSUP:
        return 501;
    default:
        return 500;
    }
}

static int refuse_with_error(sl_http_exchange *exchange, int code)
{
    const sl_error *error = sl_error_last();
    const char *message = sl_error_code(error) == code ? sl_error_message(error) : "";
    char text[512];
    (void)snprintf(text, sizeof text, "%s", *message == '\0' ? sl_strerror(code) : message);
    return sl__admin_refuse(exchange, status_of(code), sl_error_name(code),
                            sl_utf8_valid(text, strlen(text)) ? text : sl_strerror(code));
}

/* Each is a line of its own: who looks for what was done finds all of it. */
static void log_action(const char *path, const sl_admin_request *request, uint64_t number, int code)
{
    char body[ACTION_LOG_BYTES];
    size_t bytes = 0;
    const char *sent = sl_http_body(request->message, &bytes);
    (void)snprintf(body, sizeof body, "%.*s", (int)(bytes < sizeof body ? bytes : sizeof body - 1),
                   bytes == 0 ? "" : sent);
    sl_log_with(code < 0 ? SL_LOG_WARNING : SL_LOG_INFO, "admin: action", sl_field_text("path", path),
                sl_field_text("request", sl_utf8_valid(body, strlen(body)) ? body : "(not UTF-8)"),
                sl_field_code("code", code < 0 ? code : 0), sl_field_uint("number", number));
}

static int run_action(sl_admin *admin, sl_http_exchange *exchange, const struct sl__admin_action *action)
{
    static const char fine[] = "{\"ok\":true}";
    const sl_admin_request request = {exchange->request};
    const char *path = action->path; /* the action may remove itself */
    sl_json_writer out;
    sl_json_text text = {fine, sizeof fine - 1};
    sl_json_writer_init(&out, SL_ADMIN_VIEW_BYTES_MAX);
    uint64_t number = ++admin->counts.actions;
    int code = action->action(action->arg, &request, &out);
    if (code >= 0 && out.size_bytes > 0) {
        code = sl_json_writer_finish(&out, &text);
    }
    log_action(path, &request, number, code);
    if (code < 0) {
        admin->counts.failed_actions++;
    }
    code = code == SL_ECANCELED ? code
           : code < 0           ? refuse_with_error(exchange, code)
                                : sl__admin_respond(exchange, 200, JSON, text.data, text.size_bytes, NULL, 0);
    sl_json_writer_free(&out);
    return code;
}

/* ---- dispatch ---- */

static struct sl__admin_view *view_at(sl_admin *admin, const char *path)
{
    for (size_t i = 0; i < admin->view_count; i++) {
        if (strcmp(admin->views[i].path, path) == 0) {
            return &admin->views[i];
        }
    }
    return NULL;
}

static const struct sl__admin_action *action_at(const sl_admin *admin, const char *path)
{
    for (size_t i = 0; i < admin->action_count; i++) {
        if (strcmp(admin->actions[i].path, path) == 0) {
            return &admin->actions[i];
        }
    }
    return NULL;
}

static bool is_health(const char *path)
{
    return strcmp(path, "/livez") == 0 || strcmp(path, "/readyz") == 0 || strcmp(path, "/startupz") == 0;
}

static int get(sl_admin *admin, sl_http_exchange *exchange, const char *path)
{
    struct sl__admin_view *view = view_at(admin, path);
    if (view != NULL) {
        return serve_view(exchange, view);
    }
    for (size_t i = 0; i < admin->handler_count; i++) {
        if (strcmp(admin->handlers[i].path, path) == 0) {
            return admin->handlers[i].handler(admin->handlers[i].arg, exchange);
        }
    }
    if (strcmp(path, "/metrics") == 0) {
        return serve_metrics(admin, exchange);
    }
    if (strcmp(path, "/api/logs") == 0) {
        return serve_logs(admin, exchange);
    }
    if (strcmp(path, "/api/schema") == 0) {
        return sl__admin_respond(exchange, 200, "application/schema+json", sl__admin_schema, sl__admin_schema_bytes,
                                 NULL, 0);
    }
    if (strcmp(path, "/api/events") == 0) {
        return sl__admin_events(admin, exchange);
    }
    return action_at(admin, path) != NULL
               ? sl__admin_refuse(exchange, 405, "SL_EINVAL", "an action is a POST")
               : sl__admin_refuse(exchange, 404, "SL_ENOENT", "there is nothing here; /api/ lists the views");
}

static int unauthorized(sl_admin *admin, sl_http_exchange *exchange, const char *why)
{
    admin->counts.unauthorized++;
    return sl__admin_refuse(exchange, 401, "unauthorized", why);
}

int sl__admin_dispatch(void *arg, sl_http_exchange *exchange)
{
    sl_admin *admin = arg;
    const char *method = sl_http_method(exchange->request);
    struct sl_bytes raw = sl_http_path(exchange->request);
    char path[PATH_BYTES];
    admin->counts.requests++;
    if (!sl__admin_host_allowed(admin, sl_http_header(exchange->request, "Host"))) {
        admin->counts.misdirected++;
        return sl__admin_refuse(exchange, 421, "misdirected", "this Host is not one of ours");
    }
    if (raw.size_bytes >= sizeof path) {
        return sl__admin_refuse(exchange, 404, "SL_ENOENT", "there is nothing here");
    }
    memcpy(path, raw.data, raw.size_bytes);
    path[raw.size_bytes] = '\0';
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    const struct sl_admin_asset *asset = asset_at(admin, path);
    if (reads && is_health(path)) {
        return serve_health(admin, exchange, path);
    }
    if (reads && asset != NULL) {
        return serve_asset(exchange, asset);
    }
    bool open = reads && admin->loopback && !admin->options.guard_reads;
    if (!open && !sl_http_bearer_fits(exchange->request, admin->token)) {
        return unauthorized(admin, exchange,
                            admin->token == NULL ? "no token is set, so nothing can be changed from here"
                                                 : "this needs the token: Authorization: Bearer TOKEN");
    }
    if (reads) {
        return get(admin, exchange, path);
    }
    const struct sl__admin_action *action = action_at(admin, path);
    if (action == NULL || strcmp(method, "POST") != 0) {
        return action == NULL && view_at(admin, path) == NULL
                   ? sl__admin_refuse(exchange, 404, "SL_ENOENT", "there is no such action")
                   : sl__admin_refuse(exchange, 405, "SL_EINVAL", "this method is not for this path");
    }
    return run_action(admin, exchange, action);
}
