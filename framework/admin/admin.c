/* SPDX-License-Identifier: MIT */
/* The endpoint's life: listening, what is registered, serving, draining. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "admin.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"

#define HEAD_TIMEOUT SL_SECONDS(5)
#define BODY_BYTES_MAX ((size_t)64 << 10)
#define STOP_GRACE SL_SECONDS(1)

int sl_admin_make_token(char text[SL_ADMIN_TOKEN_BYTES])
{
    unsigned char random[(SL_ADMIN_TOKEN_BYTES - 1) / 2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        return sl_fail(-EIO, "no random bytes for a token");
    }
    for (size_t i = 0; i < sizeof random; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", random[i]);
    }
    return 0;
}

/* Characters that a header may have and people can type. */
static int check_token(const sl_admin *admin, const char *token)
{
    if (token == NULL) {
        return admin->loopback && !admin->options.guard_reads
                   ? 0
                   : sl_fail(SL_EINVAL, "the admin endpoint needs a token to listen on %s, which others can reach",
                             admin->options.address);
    }
    size_t bytes = strlen(token);
    if (bytes < SL_ADMIN_TOKEN_BYTES_MIN || bytes > SL_ADMIN_TOKEN_BYTES_MAX) {
        return sl_fail(SL_EINVAL, "the token of the admin endpoint must have %d to %d characters",
                       SL_ADMIN_TOKEN_BYTES_MIN, SL_ADMIN_TOKEN_BYTES_MAX);
    }
    for (const char *at = token; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~') {
            return sl_fail(SL_EINVAL, "the token of the admin endpoint has a character other than visible ASCII");
        }
    }
    return 0;
}

int sl_admin_set_token(sl_admin *admin, const char *token)
{
    SL_TRY(check_token(admin, token));
    char *copy = token == NULL ? NULL : sl_strdup(token);
    if (token != NULL && copy == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a token");
    }
    sl_free(admin->token);
    admin->token = copy;
    return 0;
}

static int open_listener(sl_admin *admin)
{
    const struct sl_admin_options *options = &admin->options;
    int code = sl_listener_open(options->address, options->port, &admin->listener);
    if (code == -EADDRINUSE && options->any_port) {
        code = sl_listener_open(options->address, 0, &admin->listener);
    }
    return code;
}

static int set_up(sl_admin *admin)
{
    const struct sl_admin_options *options = &admin->options;
    admin->loopback = sl__admin_is_loopback(options->address);
    SL_TRY(sl_admin_set_token(admin, options->token));
    for (size_t i = 0; options->hosts != NULL && options->hosts[i] != NULL; i++) {
        if (i == SL_ADMIN_HOSTS_MAX) {
            return sl_fail(SL_EMSGSIZE, "the admin endpoint takes %d names", SL_ADMIN_HOSTS_MAX);
        }
        admin->hosts[i] = sl_strdup(options->hosts[i]);
        if (admin->hosts[i] == NULL) {
            return sl_fail(SL_ENOMEM, "no memory for a name");
        }
        admin->host_count++;
    }
    SL_TRY(sl_admin_add(admin, "/api/", sl__admin_index, admin));
    SL_TRY(sl_admin_add(admin, "/api/version", sl__admin_version, admin));
    SL_TRY(sl_admin_add(admin, "/api/runtime", sl__admin_runtime, admin));
    SL_TRY(sl_admin_add(admin, "/api/tasks", sl__admin_tasks, admin));
    return open_listener(admin);
}

int sl_admin_open(const struct sl_admin_options *options, sl_admin **ret_admin)
{
    sl_admin *admin = sl_calloc(1, sizeof *admin);
    if (admin == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for the admin endpoint");
    }
    admin->options = *options;
    admin->options.address = options->address == NULL ? "127.0.0.1" : options->address;
    admin->since = sl_now_wall();
    int code = set_up(admin);
    admin->options.address = NULL; /* borrowed for the call only, as are these */
    admin->options.token = NULL;
    admin->options.hosts = NULL;
    if (code < 0) {
        sl_admin_free(admin);
        return code;
    }
    *ret_admin = admin;
    return 0;
}

void sl_admin_free(sl_admin *admin)
{
    if (admin == NULL) {
        return;
    }
    sl_listener_close(admin->listener);
    for (size_t i = 0; i < admin->view_count; i++) {
        sl__admin_text_unref(admin->views[i].text);
    }
    for (size_t i = 0; i < admin->host_count; i++) {
        sl_free(admin->hosts[i]);
    }
    sl_free(admin->token);
    sl_free(admin);
}

int sl_admin_port(const sl_admin *admin)
{
    return sl_listener_port(admin->listener);
}

const struct sl_admin_counts *sl_admin_get_counts(const sl_admin *admin)
{
    return &admin->counts;
}

/* ---- what is registered ---- */

static int check_path(const sl_admin *admin, const char *path)
{
    static const char *const own[] = {"/api/logs", "/api/schema", "/api/events"};
    if (strncmp(path, "/api/", 5) != 0 || path[strcspn(path, "?#% \r\n")] != '\0') {
        return sl_fail(SL_EINVAL, "the admin endpoint has no path '%s'", path);
    }
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (strcmp(own[i], path) == 0) {
            return sl_fail(SL_EEXIST, "'%s' is the endpoint's own", path);
        }
    }
    for (size_t i = 0; i < admin->view_count; i++) {
        if (strcmp(admin->views[i].path, path) == 0) {
            return sl_fail(SL_EEXIST, "the admin endpoint has a view '%s' already", path);
        }
    }
    for (size_t i = 0; i < admin->action_count; i++) {
        if (strcmp(admin->actions[i].path, path) == 0) {
            return sl_fail(SL_EEXIST, "the admin endpoint has an action '%s' already", path);
        }
    }
    for (size_t i = 0; i < admin->handler_count; i++) {
        if (strcmp(admin->handlers[i].path, path) == 0) {
            return sl_fail(SL_EEXIST, "the admin endpoint has a handler '%s' already", path);
        }
    }
    return 0;
}

int sl_admin_add_handler(sl_admin *admin, const char *path, sl_http_handler handler, void *arg)
{
    SL_TRY(check_path(admin, path));
    if (admin->handler_count == SL_ADMIN_HANDLERS_MAX) {
        return sl_fail(SL_EMSGSIZE, "more than %d handlers", SL_ADMIN_HANDLERS_MAX);
    }
    admin->handlers[admin->handler_count++] = (struct sl__admin_handler){path, handler, arg};
    return 0;
}

int sl_admin_add(sl_admin *admin, const char *path, sl_admin_view_fn view, void *arg)
{
    SL_TRY(check_path(admin, path));
    if (admin->view_count == SL_ADMIN_VIEWS_MAX) {
        return sl_fail(SL_EMSGSIZE, "more than %d views", SL_ADMIN_VIEWS_MAX);
    }
    admin->views[admin->view_count++] = (struct sl__admin_view){.path = path, .view = view, .arg = arg};
    return 0;
}

int sl_admin_add_action(sl_admin *admin, const char *path, sl_admin_action_fn action, void *arg)
{
    SL_TRY(check_path(admin, path));
    if (admin->action_count == SL_ADMIN_ACTIONS_MAX) {
        return sl_fail(SL_EMSGSIZE, "more than %d actions", SL_ADMIN_ACTIONS_MAX);
    }
    admin->actions[admin->action_count++] = (struct sl__admin_action){path, action, arg};
    return 0;
}

int sl_admin_add_check(sl_admin *admin, const char *name, sl_admin_check_fn check, void *arg)
{
    if (admin->check_count == SL_ADMIN_CHECKS_MAX) {
        return sl_fail(SL_EMSGSIZE, "more than %d checks of readiness", SL_ADMIN_CHECKS_MAX);
    }
    admin->checks[admin->check_count++] = (struct sl__admin_check){name, check, arg};
    return 0;
}

void sl_admin_remove(sl_admin *admin, const char *path_or_name)
{
    for (size_t i = 0; i < admin->view_count; i++) {
        if (strcmp(admin->views[i].path, path_or_name) == 0) {
            sl__admin_text_unref(admin->views[i].text);
            admin->views[i] = admin->views[--admin->view_count];
            return;
        }
    }
    for (size_t i = 0; i < admin->action_count; i++) {
        if (strcmp(admin->actions[i].path, path_or_name) == 0) {
            admin->actions[i] = admin->actions[--admin->action_count];
            return;
        }
    }
    for (size_t i = 0; i < admin->handler_count; i++) {
        if (strcmp(admin->handlers[i].path, path_or_name) == 0) {
            admin->handlers[i] = admin->handlers[--admin->handler_count];
            return;
        }
    }
    for (size_t i = 0; i < admin->check_count; i++) {
        if (strcmp(admin->checks[i].name, path_or_name) == 0) {
            admin->checks[i] = admin->checks[--admin->check_count];
            return;
        }
    }
}

/* ---- serving ---- */

void sl_admin_started(sl_admin *admin)
{
    admin->started = true;
}

void sl_admin_drain(sl_admin *admin)
{
    admin->draining = true;
}

static int drain_when_stopped(void *arg)
{
    SL_TRY(sl_stop_wait());
    sl_admin_drain(arg);
    return 0;
}

int sl_admin_run(void *arg)
{
    sl_admin *admin = arg;
    const struct sl_admin_options *options = &admin->options;
    const struct sl_http_server_options server = {
        .handler = sl__admin_dispatch,
        .arg = admin,
        .tls = options->tls,
        .counts = &admin->counts.http,
        .connections_max = options->connections_max == 0 ? SL_ADMIN_CONNECTIONS_MAX : options->connections_max,
        .head_timeout = HEAD_TIMEOUT,
        .body_bytes_max = BODY_BYTES_MAX,
        .stop_grace = STOP_GRACE,
        .serve_while_stopping = true};
    SL_SCOPE(scope, .name = "admin");
    SL_TRY(sl_spawn(&scope, drain_when_stopped, admin, .name = "drain", .daemon = true));
    return sl_scope_close(&scope, sl_http_serve_with(admin->listener, &server));
}
