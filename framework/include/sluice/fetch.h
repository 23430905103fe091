/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 client: a pool of connections, and one call for a request. With a policy (policy.h) the same call retries,
 * waits for rate limits and asks the circuit breaker.
 *
 *     sl_auto(sl_response) *response = NULL;
 *     SL_TRY(sl_fetch(client, &(sl_request){.url = "https://api.example/v1/time"}, &response));
 *     if (sl_response_status(response) == 200) { use(sl_response_body(response, NULL)); }
 *
 * Every wait is a cancellation point, bounded by the scopes around it and by the timeouts of the options. Source: RFC
 * 9110, RFC 9112, RFC 3986.
 */
#ifndef SLUICE_FETCH_H
#define SLUICE_FETCH_H

#include "sluice/http.h"
#include "sluice/tls.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_http_client sl_http_client;
typedef struct sl_response sl_response;

#define SL_HTTP_CLIENT_CONNECTIONS 8
#define SL_HTTP_CLIENT_IDLE_MAX 64
#define SL_HTTP_CLIENT_ORIGINS_MAX 1024
#define SL_HTTP_REDIRECTS_MAX 10
#define SL_HTTP_STREAM_BYTES_MAX ((uint64_t)64 * 1024 * 1024 * 1024)
#define SL_HTTP_UNLIMITED UINT64_MAX
#define SL_HTTP_URL_BYTES_MAX ((size_t)8 * 1024)

/*
 * What decides whether, when and how often a request is made: retries, limits and the like. sluice/policy.h makes them;
 * see the end of this file for how.
 */
typedef struct sl_policy sl_policy;

struct sl_http_client_options {
    sl_tls_config *tls;        /* for https; NULL: sl_tls_default(). Must outlive the client */
    const char *local_address; /* the address to come from; NULL: the system's choice */
    const char *proxy; /* of all connections, as in sl_connect_with(); NULL: none. Both texts must outlive the client */
    const char *user_agent;        /* NULL: "sluice" */
    size_t connections_per_origin; /* requests beyond wait their turn; 0: SL_HTTP_CLIENT_CONNECTIONS */
    size_t idle_max;               /* idle connections of all origins; 0: SL_HTTP_CLIENT_IDLE_MAX */
    sl_time idle_timeout;          /* one that is idle for longer is not used again; 0: 30 s */
    sl_time connect_timeout;       /* 0: 10 s */
    sl_time tls_timeout;           /* 0: 10 s */
    sl_time first_byte_timeout;    /* from the request's last byte to the whole head of the answer; 0: 30 s */
    sl_time total_timeout;         /* of a fetch with its redirects and body; 0: 60 s, or the policy's; SL_NEVER */
    size_t head_bytes_max;         /* 0: 32 KiB; at most 48 KiB */
    size_t body_bytes_max;         /* of an answer, unpacked; 0: SL_HTTP_BODY_BYTES_MAX */
    unsigned redirects_max;        /* 0: SL_HTTP_REDIRECTS_MAX */
    bool no_redirects;             /* 3xx are answers like others */
    bool allow_downgrade;          /* follow redirects from https to http */
    bool no_decoding;              /* gzip, deflate and brotli are neither asked for nor unpacked */
    sl_policy *policy;             /* must outlive the client; NULL: each request is made once, at once */
};

/* `options` may be NULL. Does not wait. 0, SL_EINVAL, SL_ENOMEM. Belongs to the thread that made it. */
SL_MUST_CHECK int sl_http_client_open(const struct sl_http_client_options *options, sl_http_client **ret_client);

/* Closes idle connections. No fetch may be going on, and all responses must have been freed. NULL is fine. */
void sl_http_client_free(sl_http_client *client);
SL_AUTO_DECLARE(sl_http_client, sl_http_client_free)

/* What a client has done, and holds now. */
struct sl_http_client_counts {
    uint64_t attempts;
    uint64_t connects; /* new connections */
    uint64_t reuses;
    uint64_t stale; /* idle connections that had died; their requests were made again */
    uint64_t redirects;
    uint64_t waiting; /* fetches that wait for a connection now */
    uint64_t busy;    /* connections in use now */
    uint64_t idle;
};
struct sl_http_client_counts sl_http_client_counts_get(const sl_http_client *client);

typedef struct sl_request {
    const char *method; /* NULL: "GET" */
    const char *url;    /* http:// or https://; no user in it */
    /*
     * A redirect to another origin (scheme, host or port) takes none of them along, since any may hold a key, but
     * Accept, Accept-Encoding, Accept-Language, User-Agent and, with the body, Content-Type, -Encoding and -Language.
     */
    const struct sl_http_field *headers;
    size_t header_count;
    const void *body;
    size_t body_bytes;
    /*
     * A body piece by piece, instead: fills `buffer` with at least a byte, or gives SL_EOF. May wait. Such a request is
     * made once: neither again nor redirected with its body. `body_bytes` states its length; 0: it is chunked.
     */
    int (*body_next)(void *context, void *buffer, size_t size_bytes, size_t *ret_bytes);
    void *body_context;
    bool expect_continue; /* the body is sent when the server says so, or says nothing for a second */
    bool stream;          /* the answer's body is left for sl_response_read() */
    /*
     * With `stream`: an unpacked body of more bytes is SL_EMSGSIZE. 0: SL_HTTP_STREAM_BYTES_MAX; SL_HTTP_UNLIMITED: as long
     * as it comes. Memory does not grow with it: what is not read waits at the server.
     */
    uint64_t stream_bytes_max;
    sl_time total_timeout; /* 0: the client's */
    /* For the policy. */
    sl_policy *policy; /* instead of the client's; NULL: the client's */
    bool idempotent;   /* safe to repeat whatever its method: it has an idempotency key, or only asks */
    uint32_t cost;     /* of this request under the limits; 0: 1 */
    int priority;      /* enum sl_priority: below or above 0 */
} sl_request;

/*
 * Makes a request and gives its answer, whatever its status. 0; SL_EINVAL for a URL or header that is none, with
 * the reason; SL_ETIMEDOUT with a message that says in which part; SL_EPROTO for what is no HTTP, a body that
 * does not unpack or too many redirects; SL_EMSGSIZE over a limit; SL_ECONNRESET when the server hung up; codes of
 * connecting and of TLS; those of the policy. A connection that died while it was idle is replaced unseen, where that is
 * safe: nothing of an answer had come, and the method is idempotent.
 */
SL_MUST_CHECK int sl_fetch(sl_http_client *client, const sl_request *request, sl_response **ret_response);

int sl_response_status(const sl_response *response);
/* The first header of that name, whatever its case; NULL when there is none. Borrowed, as all texts are. */
const char *sl_response_header(const sl_response *response, const char *name);
size_t sl_response_header_count(const sl_response *response);
struct sl_http_field sl_response_header_at(const sl_response *response, size_t index);
/* Where it came from, after redirects. */
const char *sl_response_url(const sl_response *response);
/* The whole body, unpacked, with a NUL behind it; "" with `stream`. `ret_bytes` may be NULL. */
const char *sl_response_body(const sl_response *response, size_t *ret_bytes);

/*
 * The next part of a streamed body, unpacked: at least one byte. SL_EOF at its end, when the connection goes back to the
 * pool; other codes as sl_fetch(), after which it gives the same again. Waits.
 */
SL_MUST_CHECK int sl_response_read(sl_response *response, void *buffer, size_t size_bytes, size_t *ret_bytes);

/* A body that was not read to its end costs the connection. NULL is fine. Never waits. */
void sl_response_free(sl_response *response);
SL_AUTO_DECLARE(sl_response, sl_response_free)

/* ---- for those who make policies ---- */

/* A request to be made: each redirect is one more. Borrowed during the call. */
struct sl_http_call {
    const sl_request *request;
    const char *method, *url; /* as redirects left them */
    bool
        repeatable; /* made again it does no harm: its method is idempotent or it says so, its body can be sent again */
    char *story;    /* room for a policy that is interrupted: what it has done so far, for the message */
    size_t story_bytes;
    struct sl__fetch *fetch; /* private */
};

/* One attempt's end. */
struct sl_http_attempt {
    sl_response *response; /* when it gave an answer: its body read, unless streamed or redirected; free it */
    bool unsent;           /* no byte of the request was written */
};

/*
 * Makes the request, once: 0 and an answer, whatever its status, or the code of what went wrong. Waits; bounded by the
 * scopes around it. Several tasks may do so at once when the call is repeatable.
 */
SL_MUST_CHECK int sl_http_attempt_make(const struct sl_http_call *call, struct sl_http_attempt *ret_attempt);

/* The first member of whatever is a policy. */
struct sl_policy {
    /* In the task that fetches, within the scope that bounds the whole fetch: 0 and an answer, or a negative code. */
    int (*call)(sl_policy *policy, const struct sl_http_call *call, sl_response **ret_response);
    sl_time total_timeout; /* of a fetch that says nothing itself, waits and all; SL_NEVER */
};

#ifdef __cplusplus
}
#endif

#endif
