/* SPDX-License-Identifier: MIT */
/*
 * /api/events: the views that a client named, as server-sent events, each once a period if it has changed. A view
 * is written once a period for all who listen, and not at all while nobody does.
 */
#include <string.h>

#include "admin.h"
#include "sluice/scope.h"

#define VIEWS_BYTES 512
#define NAMES_MAX 16
#define LOG_LINES_MAX 200
#define SIGN_OF_LIFE SL_SECONDS(15)

struct listener {
    sl_admin *admin;
    sl_http_exchange *exchange;
    char names[VIEWS_BYTES]; /* each ended by a NUL */
    const char *name[NAMES_MAX];
    uint64_t sent[NAMES_MAX]; /* hash of what was sent last */
    size_t count;
    bool logs;
    uint64_t log_after;
    sl_time spoke;
};

/* "a,b,c"; false when there are too many. */
static bool split(struct listener *listener)
{
    char *at = listener->names;
    while (*at != '\0') {
        size_t bytes = strcspn(at, ",");
        bool last = at[bytes] == '\0';
        at[bytes] = '\0';
        if (strcmp(at, "logs") == 0) {
            listener->logs = listener->admin->options.logger != NULL;
        } else if (bytes > 0) {
            if (listener->count == NAMES_MAX) {
                return false;
            }
            listener->name[listener->count++] = at;
        }
        at += last ? bytes : bytes + 1;
    }
    return true;
}

static struct sl__admin_view *view_named(sl_admin *admin, const char *name)
{
    for (size_t i = 0; i < admin->view_count; i++) {
        if (strcmp(admin->views[i].path + strlen("/api/"), name) == 0) {
            return &admin->views[i];
        }
    }
    return NULL;
}

static uint64_t hash_of(const char *data, size_t bytes)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < bytes; i++) {
        hash = (hash ^ (unsigned char)data[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static int send(struct listener *listener, const char *name, const char *data, size_t bytes)
{
    listener->spoke = sl_now();
    return sl_http_events_send(listener->exchange,
                               &(struct sl_http_event){.event = name, .data = data, .data_bytes = bytes});
}

static int send_view(struct listener *listener, size_t index)
{
    struct sl__admin_view *view = view_named(listener->admin, listener->name[index]);
    struct sl__admin_text *text = NULL;
    if (view == NULL || sl__admin_text_of(view, SL_ADMIN_PERIOD / 2, &text) < 0) {
        return 0; /* it may come later */
    }
    uint64_t hash = hash_of(text->data, text->bytes);
    int code = 0;
    if (hash != listener->sent[index]) {
        listener->sent[index] = hash;
        code = send(listener, listener->name[index], text->data, text->bytes);
    }
    sl__admin_text_unref(text);
    return code;
}

/* The number of the last line in an array of them, which is the largest; 0 when there is none. */
static uint64_t last_number(const char *data, size_t bytes)
{
    static const char key[] = "{\"sequence\":";
    uint64_t number = 0;
    const char *at = data;
    while ((at = memmem(at, bytes - (size_t)(at - data), key, sizeof key - 1)) != NULL) {
        at += sizeof key - 1;
        size_t digits = strspn(at, "0123456789");
        if (sl_json_text_uint64((sl_json_text){at, digits}, &number) < 0) {
            break;
        }
    }
    return number;
}

static int send_logs(struct listener *listener)
{
    sl_json_writer out;
    sl_json_text text;
    sl_json_writer_init(&out, SL_ADMIN_VIEW_BYTES_MAX);
    sl_logger_recent(listener->admin->options.logger, listener->log_after, SL_LOG_DEBUG, LOG_LINES_MAX, &out);
    int code = sl_json_writer_finish(&out, &text);
    if (code == 0 && text.size_bytes > 2) {
        listener->log_after = last_number(text.data, text.size_bytes);
        code = send(listener, "logs", text.data, text.size_bytes);
    }
    sl_json_writer_free(&out);
    return code;
}

static int send_all(struct listener *listener)
{
    for (size_t i = 0; i < listener->count; i++) {
        SL_TRY(send_view(listener, i));
    }
    if (listener->logs) {
        SL_TRY(send_logs(listener));
    }
    if (sl_now() - listener->spoke >= SIGN_OF_LIFE) {
        listener->spoke = sl_now();
        return sl_http_events_comment(listener->exchange, "still here");
    }
    return 0;
}

static int listen(struct listener *listener)
{
    listener->spoke = sl_now();
    SL_TRY(sl_http_events_begin(listener->exchange));
    for (;;) {
        SL_TRY(send_all(listener));
        sl_time now = sl_now(); /* all listeners at the same moments: one writing serves them all */
        SL_TRY(sl_sleep_until(now - now % SL_ADMIN_PERIOD + SL_ADMIN_PERIOD));
    }
}

int sl__admin_events(sl_admin *admin, sl_http_exchange *exchange)
{
    if (strcmp(sl_http_method(exchange->request), "GET") != 0) {
        return sl__admin_refuse(exchange, 405, "SL_EINVAL", "events are for GET");
    }
    if (admin->counts.listeners >= SL_ADMIN_LISTENERS_MAX) {
        return sl__admin_refuse(exchange, 503, "SL_EBUSY", "too many listen already");
    }
    struct listener *listener = sl_calloc(1, sizeof *listener);
    if (listener == NULL) {
        return sl__admin_refuse(exchange, 503, "SL_ENOMEM", "no memory");
    }
    listener->admin = admin;
    listener->exchange = exchange;
    int code = sl_http_query(exchange->request, "views", listener->names, sizeof listener->names);
    if (code < 0 || !split(listener)) {
        code = sl__admin_refuse(exchange, 400, "SL_EINVAL", "views=NAME,NAME: which views, 16 at most");
    } else {
        admin->counts.listeners++;
        code = listen(listener);
        admin->counts.listeners--;
    }
    sl_free(listener);
    return code;
}
