/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 client: a pool of connections, and one call for a request.
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
#define SL_HTTP_URL_BYTES_MAX ((size_t)8 * 1024)

/* What a hook is told about one attempt. Borrowed during the call. */
struct sl_http_attempt {
    unsigned number; /* 1 for the first */
    const char *method;
    const char *url;
    bool repeatable;             /* doing it again does no harm: its method is idempotent, its body can be sent again */
    int code;                    /* after: 0 or why it failed */
    const sl_response *response; /* after: its head when code is 0, else NULL */
};

struct sl_http_client_options {
    sl_tls_config *tls;            /* for https; NULL: sl_tls_default(). Must outlive the client */
    const char *local_address;     /* the address to come from; NULL: the system's choice */
    const char *user_agent;        /* NULL: "sluice" */
    size_t connections_per_origin; /* requests beyond wait their turn; 0: SL_HTTP_CLIENT_CONNECTIONS */
    size_t idle_max;               /* idle connections of all origins; 0: SL_HTTP_CLIENT_IDLE_MAX */
    sl_time idle_timeout;          /* one that is idle for longer is not used again; 0: 30 s */
    sl_time connect_timeout;       /* 0: 10 s */
    sl_time tls_timeout;           /* 0: 10 s */
    sl_time first_byte_timeout;    /* from the request's last byte to the whole head of the answer; 0: 30 s */
    sl_time total_timeout;  /* of a fetch with its redirects and body, not of what hooks wait; 0: 60 s; SL_NEVER */
    size_t head_bytes_max;  /* 0: 32 KiB; at most 48 KiB */
    size_t body_bytes_max;  /* of an answer, unpacked; 0: SL_HTTP_BODY_BYTES_MAX */
    unsigned redirects_max; /* 0: SL_HTTP_REDIRECTS_MAX */
    bool no_redirects;      /* 3xx are answers like others */
    bool allow_downgrade;   /* follow redirects from https to http */
    bool no_decoding;       /* gzip, deflate and brotli are neither asked for nor unpacked */
    /*
     * Called around each attempt, in the task that fetches; they may wait. A negative code of before_attempt ends the
     * fetch with it. after_attempt gives 0 to take the attempt's result, 1 to have it made again, or a negative code.
     * Either may be NULL.
     */
    int (*before_attempt)(void *context, const struct sl_http_attempt *attempt);
    int (*after_attempt)(void *context, const struct sl_http_attempt *attempt);
    void *context;
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
    bool expect_continue;  /* the body is sent when the server says so, or says nothing for a second */
    bool stream;           /* the answer's body is left for sl_response_read() */
    sl_time total_timeout; /* 0: the client's */
} sl_request;

/*
 * Makes a request and gives its answer, whatever its status. 0; SL_EINVAL for a URL or header that is none, with
 * the reason; SL_ETIMEDOUT with a message that says in which part; SL_EPROTO for what is no HTTP, a body that
 * does not unpack or too many redirects; SL_EMSGSIZE over a limit; SL_ECONNRESET when the server hung up; codes of
 * connecting and of TLS; those of the hooks. A connection that died while it was idle is replaced unseen, where that is safe:
 * nothing of an answer had come, and the method is idempotent.
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

#ifdef __cplusplus
}
#endif

#endif
