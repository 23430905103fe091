/* SPDX-License-Identifier: MIT */
/* An HTTP server that answers as a script says, one line a request, and notes what came when. */
#ifndef SL_TESTS_SCRIPTED_SERVER_H
#define SL_TESTS_SCRIPTED_SERVER_H

#include "sl_conformance.h"
#include "sluice/fetch.h"

#define SCRIPTED_TIMES_MAX 4096
#define SCRIPTED_HEADERS_MAX 3

struct scripted_answer {
    int status; /* 0: 200 */
    struct sl_http_field headers[SCRIPTED_HEADERS_MAX];
    const char *body;
    sl_time delay;
    bool cut; /* the connection ends within the answer */
};

struct scripted_server {
    sl_listener *listener;
    char url[64]; /* "http://127.0.0.1:PORT/" */
    struct scripted_answer script[32];
    size_t script_count, at; /* the last answer is repeated; none: 200 */
    size_t seen, under_way, most_under_way, cancelled;
    sl_time times[SCRIPTED_TIMES_MAX]; /* when requests came */
    char last_method[16];
    sl_scope scope;
    bool open;
};

/* Listens on 127.0.0.1, in the simulated network when the world is simulated, and serves in a task of server->scope. */
int scripted_server_start(struct scripted_server *server);
/* Also after a start that failed. */
int scripted_server_stop(struct scripted_server *server);

/* A new script; forgets what was noted. */
#define SCRIPT(server, ...)                                                                                            \
    scripted_server_script((server), (const struct scripted_answer[]){__VA_ARGS__},                                    \
                           sizeof((const struct scripted_answer[]){__VA_ARGS__}) / sizeof(struct scripted_answer))
void scripted_server_script(struct scripted_server *server, const struct scripted_answer *script, size_t count);

/* The most requests that came within any such stretch of time. */
size_t scripted_server_most_within(const struct scripted_server *server, sl_time period);

#endif
