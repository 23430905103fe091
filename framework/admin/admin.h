/* SPDX-License-Identifier: MIT */
/* What the files of admin share. */
#ifndef SL_ADMIN_INTERNAL_H
#define SL_ADMIN_INTERNAL_H

#include "sluice/admin.h"

/* The JSON of a view, shared by those that are sending it. */
struct sl__admin_text {
    size_t references;
    size_t bytes;
    char data[];
};

struct sl__admin_view {
    const char *path;
    sl_admin_view_fn view;
    void *arg;
    struct sl__admin_text *text; /* as of `made`; NULL before anybody asked */
    sl_time made;
};

struct sl__admin_action {
    const char *path;
    sl_admin_action_fn action;
    void *arg;
};

struct sl__admin_handler {
    const char *path;
    sl_http_handler handler;
    void *arg;
};

struct sl__admin_check {
    const char *name;
    sl_admin_check_fn check;
    void *arg;
};

struct sl_admin {
    struct sl_admin_options options;
    char *token;
    char *hosts[SL_ADMIN_HOSTS_MAX];
    size_t host_count;
    bool loopback, started, draining;
    sl_listener *listener;
    sl_time since; /* wall clock */
    struct sl__admin_view views[SL_ADMIN_VIEWS_MAX];
    struct sl__admin_action actions[SL_ADMIN_ACTIONS_MAX];
    struct sl__admin_handler handlers[SL_ADMIN_HANDLERS_MAX];
    struct sl__admin_check checks[SL_ADMIN_CHECKS_MAX];
    size_t view_count, action_count, handler_count, check_count;
    struct sl_admin_counts counts;
};

struct sl_admin_request {
    const sl_http_message *message;
};

/* guard.c */
bool sl__admin_is_loopback(const char *address);
bool sl__admin_host_allowed(const sl_admin *admin, const char *host);
/* Answers with the headers that every answer has. */
int sl__admin_respond(sl_http_exchange *exchange, int status, const char *content_type, const void *body,
                      size_t body_bytes, const struct sl_http_field *more, size_t more_count);
/* {"error": {"code": ..., "message": ...}} */
int sl__admin_refuse(sl_http_exchange *exchange, int status, const char *code, const char *message);

/* routes.c: every request */
int sl__admin_dispatch(void *admin, sl_http_exchange *exchange);
/* Writes a view into a new text, or gives the one of this period. 0, SL_ENOMEM, what the writer says. */
int sl__admin_text_of(struct sl__admin_view *view, sl_time younger_than, struct sl__admin_text **ret_text);
void sl__admin_text_unref(struct sl__admin_text *text);

/* views.c: what the endpoint itself shows */
void sl__admin_tasks(void *admin, sl_json_writer *out);
void sl__admin_runtime(void *admin, sl_json_writer *out);
void sl__admin_version(void *admin, sl_json_writer *out);
void sl__admin_index(void *admin, sl_json_writer *out);
bool sl__admin_ready(const sl_admin *admin, sl_json_writer *out);

/* schema.c, made from schema.json */
extern const unsigned char sl__admin_schema[];
extern const size_t sl__admin_schema_bytes;

/* live.c: /api/events */
int sl__admin_events(sl_admin *admin, sl_http_exchange *exchange);

#endif
