/* SPDX-License-Identifier: MIT */
/* The client's parts: pool.c keeps connections, request.c writes, response.c reads, fetch.c decides. */
#ifndef SL_HTTP_CLIENT_H
#define SL_HTTP_CLIENT_H

#include "sluice/scope.h"
#include "sluice/sync.h"
#include "unpack.h"
#include "url.h"

struct sl__origin {
    struct sl__origin *next;
    sl_semaphore permits; /* to use a connection; idle ones hold none */
    size_t users;         /* that wait for or hold a permit */
    size_t idle;
    bool secure;
    int port;
    char host[SL_HTTP_HOST_BYTES];
};

/* One connection. */
struct sl__link {
    sl_stream *stream;
    struct sl__origin *origin;
    struct sl__link *newer, *older; /* among the idle ones */
    sl_time idle_since;
    bool reused;
};

struct sl_http_client {
    struct sl_http_client_options options; /* defaults filled in */
    bool total_is_default;                 /* then a policy's counts */
    struct sl_http_client_counts counts;
    struct sl__origin *origins;
    size_t origin_count;
    struct sl__link *newest, *oldest; /* idle */
};

/* Waits for a permit, then takes an idle connection, unless it is to be `fresh`, or makes one. */
int sl__link_acquire(sl_http_client *client, const struct sl__url *url, bool fresh, struct sl__link **ret_link);
/* Gives it back; never waits. */
void sl__link_release(sl_http_client *client, struct sl__link *link, bool reusable);

/* Runs something within a part of a fetch that has its own time: begin, do it, end with what it gave. */
int sl__phase_begin(sl_scope *scope, sl_time timeout, const char *name);
int sl__phase_end(sl_scope *scope, int code, sl_time timeout, const char *what);

/* What one fetch is about, changed by redirects. */
struct sl__fetch {
    sl_http_client *client;
    const sl_request *request;
    const char *method;
    struct sl__url *url;
    sl_time deadline;
    sl_policy *policy; /* or NULL */
    bool without_body; /* a redirect made it a GET */
    bool abroad;       /* a redirect went to another origin: only harmless headers go along */
    bool written;      /* something of the request was sent in this attempt */
    bool body_begun;   /* of a body that comes piece by piece */
    unsigned redirects;
};

/* request.c */
int sl__request_check(const sl_request *request);
bool sl__request_is_idempotent(const char *method);
int sl__request_write_head(struct sl__fetch *fetch, sl_stream *stream);
bool sl__request_has_body(const struct sl__fetch *fetch);
int sl__request_write_body(struct sl__fetch *fetch, sl_stream *stream);

/* response.c */
struct sl_response {
    sl_http_message head;
    struct sl__http_limits limits;
    sl_http_client *client;
    struct sl__link *link; /* until the body has been read */
    struct sl__url *url;
    bool owns_url; /* else it is the fetch's */
    struct sl__http_body raw;
    struct sl__unpack *unpack;
    struct sl_bytes packed; /* not unpacked yet; in the stream's buffer */
    bool packed_ended, unpacked_full;
    uint64_t bytes_left; /* that it may still have, unpacked */
    int result;          /* of reading, once it has ended */
    sl_time deadline;
    char *body;
    size_t body_bytes;
};

int sl__response_new(struct sl__fetch *fetch, sl_response **ret_response);
/* Reads the next head: of an interim answer, or of the final one. */
int sl__response_read_one_head(struct sl__fetch *fetch, sl_response *response, sl_stream *stream);
/* Reads the head of the final answer. */
int sl__response_read_head(struct sl__fetch *fetch, sl_response *response, sl_stream *stream);
/* The body can be read from now on; the link belongs to the response. */
int sl__response_begin_body(sl_response *response, struct sl__link *link);
int sl__response_read_whole(sl_response *response);
/* Throws a short body away, for the sake of the connection. */
void sl__response_discard(sl_response *response);

#endif
