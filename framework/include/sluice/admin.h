/* SPDX-License-Identifier: MIT */
/*
 * The admin endpoint: health, metrics, the state of the program as JSON, live views, and actions. The interface is
 * docs/reference/admin-api.md; what is served:
 *
 *     /livez /readyz /startupz   200, or 503 with the reasons as JSON
 *     /metrics                   Prometheus text
 *     /api/tasks /api/logs /api/runtime /api/version /api/schema, and every view that was added
 *     /api/events?views=a,b      server-sent events: each view once a second while it changes
 *     POST /api/ctl/NAME         actions that were added; always with the token
 *     /                          the page, where there is one
 *
 * It listens on this machine only, unless there is a token. What changes something always needs the token
 * ("Authorization: Bearer TOKEN"); what reads needs it too, except on a loopback address (unless `guard_reads`). Only
 * the health checks and the page itself are open to all. A request whose Host is neither an address nor a name of
 * this machine is refused on a loopback address: a page of a foreign origin could read otherwise (DNS rebinding).
 *
 * All calls: the thread of the runtime. What is registered must live until it is removed or the endpoint is freed.
 */
#ifndef SLUICE_ADMIN_H
#define SLUICE_ADMIN_H

#include "sluice/http.h"
#include "sluice/json_write.h"
#include "sluice/log.h"
#include "sluice/metrics.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_admin sl_admin;

/* A file of the page; everything is borrowed. */
struct sl_admin_asset {
    const char *path; /* "/app.js"; "/" for the page itself */
    const char *content_type;
    const void *data;
    size_t bytes;
};

struct sl_admin_options {
    const char *address;                 /* NULL: "127.0.0.1" */
    int port;                            /* 0: the system chooses */
    bool any_port;                       /* when the port is taken, the system chooses another one */
    const char *token;                   /* SL_ADMIN_TOKEN_BYTES_MIN characters at least; NULL: no actions. Copied */
    bool guard_reads;                    /* reading needs the token on a loopback address too */
    sl_tls_config *tls;                  /* NULL: in the clear. Must outlive the endpoint */
    const char *const *hosts;            /* further names it is called by, NULL-terminated; copied. NULL: none */
    const char *name, *version;          /* of the program; borrowed */
    sl_metrics *metrics;                 /* NULL: none. Borrowed */
    sl_logger *logger;                   /* NULL: none. Borrowed */
    const struct sl_admin_asset *assets; /* of the page; borrowed; NULL: none */
    size_t asset_count;
    size_t connections_max; /* 0: SL_ADMIN_CONNECTIONS_MAX */
};

#define SL_ADMIN_CONNECTIONS_MAX 128
#define SL_ADMIN_LISTENERS_MAX 16 /* clients of /api/events at once */
#define SL_ADMIN_VIEWS_MAX 64
#define SL_ADMIN_ACTIONS_MAX 64
#define SL_ADMIN_HANDLERS_MAX 16
#define SL_ADMIN_CHECKS_MAX 256
#define SL_ADMIN_HOSTS_MAX 16
#define SL_ADMIN_TOKEN_BYTES_MIN 16
#define SL_ADMIN_TOKEN_BYTES_MAX 256
#define SL_ADMIN_VIEW_BYTES_MAX ((size_t)4 << 20)
#define SL_ADMIN_PERIOD SL_SECONDS(1) /* of the live views */

/*
 * Makes it and listens; it answers once it runs. 0; SL_EINVAL for an address other than loopback without a
 * token, a token that is too short, a bad address; SL_ENOMEM; the system's codes (-EADDRINUSE).
 */
SL_MUST_CHECK int sl_admin_open(const struct sl_admin_options *options, sl_admin **ret_admin);
/* Not while it runs. NULL is fine. */
void sl_admin_free(sl_admin *admin);
SL_AUTO_DECLARE(sl_admin, sl_admin_free)

int sl_admin_port(const sl_admin *admin);

/* A new token of 32 characters, from the system's entropy. 0 or the system's code. */
#define SL_ADMIN_TOKEN_BYTES 33
SL_MUST_CHECK int sl_admin_make_token(char text[SL_ADMIN_TOKEN_BYTES]);

/* Another token from now on, as in the options; NULL (loopback only): no actions. Codes as sl_admin_open(). */
SL_MUST_CHECK int sl_admin_set_token(sl_admin *admin, const char *token);

/*
 * Serves, as a task's body: sl_spawn(&scope, sl_admin_run, admin, .daemon = true). When the task is asked to stop,
 * /readyz turns 503 and it serves on, so that one can watch the end: it ends when it is cancelled, as a daemon is
 * with its scope.
 */
SL_MUST_CHECK int sl_admin_run(void *admin);

/* /startupz answers 200 from now on. */
void sl_admin_started(sl_admin *admin);
/* /readyz answers 503 from now on, at once. */
void sl_admin_drain(sl_admin *admin);

/* Why it is not ready: false, and the reason as text. Must not wait. */
typedef bool (*sl_admin_check_fn)(void *arg, char *reason, size_t reason_bytes);
/* 0, SL_EMSGSIZE over SL_ADMIN_CHECKS_MAX, SL_ENOMEM. The name is borrowed. */
SL_MUST_CHECK int sl_admin_add_check(sl_admin *admin, const char *name, sl_admin_check_fn check, void *arg);

/*
 * A view: GET `path` ("/api/feeds") answers what `view` writes, one JSON value. It must not wait. For
 * /api/events its name is what follows "/api/". 0, SL_EINVAL for another path, SL_EEXIST, SL_EMSGSIZE, SL_ENOMEM. The
 * path is borrowed.
 */
typedef void (*sl_admin_view_fn)(void *arg, sl_json_writer *out);
SL_MUST_CHECK int sl_admin_add(sl_admin *admin, const char *path, sl_admin_view_fn view, void *arg);

/*
 * The same for what is no view: GET `path` is the handler's to answer, once the request was let in as a reading one. For
 * answers that last it calls sl_http_watch(). Codes as sl_admin_add().
 */
SL_MUST_CHECK int sl_admin_add_handler(sl_admin *admin, const char *path, sl_http_handler handler, void *arg);

/*
 * An action: POST `path` ("/api/ctl/reload") with the token runs it. It may wait, in the request's task. It reads its
 * parameters with sl_admin_param() and may write one JSON value to `out` ({"ok": true} when it does not). A negative
 * code becomes a status (400 SL_EINVAL, 404 SL_ENOENT, 409 SL_EBUSY SL_EEXIST SL_EALREADY, 501 SL_ENOTSUP, else 500)
 * with the text of sl_fail(). Codes as sl_admin_add().
 */
typedef struct sl_admin_request sl_admin_request;
typedef int (*sl_admin_action_fn)(void *arg, const sl_admin_request *request, sl_json_writer *out);
SL_MUST_CHECK int sl_admin_add_action(sl_admin *admin, const char *path, sl_admin_action_fn action, void *arg);

/*
 * In an action: a member of the request's body, a JSON object, as text (a number or bool as it stands). 0, SL_ENOENT;
 * SL_EINVAL for a body that is no object, or a member that is an object, an array, or has a NUL in it; SL_EMSGSIZE.
 */
SL_MUST_CHECK int sl_admin_param(const sl_admin_request *request, const char *name, char *text, size_t text_bytes);

/* Removes the view, handler or action at that path, or the check of that name; none is fine. */
void sl_admin_remove(sl_admin *admin, const char *path_or_name);

struct sl_admin_counts {
    uint64_t requests;
    uint64_t unauthorized; /* without the token, or with a wrong one */
    uint64_t misdirected;  /* refused for their Host */
    uint64_t actions, failed_actions;
    uint64_t listeners; /* of /api/events now */
    struct sl_http_counts http;
};
const struct sl_admin_counts *sl_admin_get_counts(const sl_admin *admin);

#ifdef __cplusplus
}
#endif

#endif
