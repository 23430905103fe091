/* SPDX-License-Identifier: MIT */
/*
 * Redis: a client that belongs to a scope. Many tasks share its connection; what they send in one turn of the loop
 * goes out in one write, replies come back in order.
 *
 *     sl_redis *redis;
 *     SL_TRY(sl_redis_open(&scope, &(struct sl_redis_options){.url = "redis://127.0.0.1:6379"}, &redis));
 *     sl_auto(sl_redis_reply) *reply = NULL;
 *     SL_TRY(sl_redis_do(redis, &reply, "GET", "price:btc"));
 *     struct sl_redis_value price = sl_redis_reply_value(reply);
 *
 * A command that is cancelled, or whose own timeout passes, is forgotten by its caller only: its late reply is read and
 * thrown away, so that no other command gets it. It may have been carried out. Protocol: RESP3 where the server has it,
 * else RESP2. All calls are for tasks of the thread that opened the client.
 *
 * Codes of commands: SL_EREPLY (the server says no; its text is the message), SL_ENOTREADY (it says: not now; see
 * sl_redis_problem_retryable()), -EACCES (password, user or rights), SL_ETIMEDOUT, SL_ECONNRESET (the connection broke
 * after the command was sent: it may have been carried out), SL_EPROTO (what came is not Redis' protocol),
 * SL_EMSGSIZE (a limit), SL_ECANCELED, and what connecting gives (-ECONNREFUSED, SL_ECERTIFICATE...) when no connection
 * came about within the timeout.
 */
#ifndef SLUICE_REDIS_H
#define SLUICE_REDIS_H

#include "sluice/scope.h"
#include "sluice/stream.h"
#include "sluice/sync.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_redis sl_redis;
typedef struct sl_redis_reply sl_redis_reply;
struct sl_tls_config;

/* ---- the client ---- */

#define SL_REDIS_TIMEOUT SL_SECONDS(5)
#define SL_REDIS_CONNECT_TIMEOUT SL_SECONDS(5)
#define SL_REDIS_DRAIN_TIMEOUT SL_SECONDS(1)
#define SL_REDIS_PING_EVERY SL_SECONDS(30)
#define SL_REDIS_BACKOFF_INITIAL SL_MILLISECONDS(50)
#define SL_REDIS_BACKOFF_MAX SL_SECONDS(2)
#define SL_REDIS_COMMANDS_MAX 4096
#define SL_REDIS_IN_FLIGHT_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define SL_REDIS_REPLY_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define SL_REDIS_ARGUMENTS_MAX 65536
#define SL_REDIS_DEPTH_MAX 16

/* All zero but the URL: the defaults. */
struct sl_redis_options {
    /*
     * redis://[[user]:password@]host[:port][/db]     rediss://... the same over TLS     unix:///path/of/socket[?db=n]
     * redis+sentinel://[[user]:password@]host[:port][,host[:port]...]/master[/db]: the master is asked for
     * redis+cluster://[[user]:password@]host[:port][,...]: a cluster, of which these are some nodes
     * rediss+sentinel, rediss+cluster: over TLS. In user and password other characters are written %XX.
     */
    const char *url;
    const char *user, *password;                   /* instead of the URL's; NULL: those */
    const char *sentinel_user, *sentinel_password; /* of the sentinels; NULL: none */
    const char *name;                              /* CLIENT SETNAME; NULL: none. No spaces or control characters */
    struct sl_tls_config *tls; /* for rediss://; borrowed as long as the client lives; NULL: the system's authorities */
    int protocol;              /* 2 or 3; 0: 3 where the server has it */
    sl_time timeout;           /* of a command, its wait for a connection included; 0: SL_REDIS_TIMEOUT; SL_NEVER */
    sl_time connect_timeout;   /* of connecting and greeting; 0: SL_REDIS_CONNECT_TIMEOUT */
    sl_time drain_timeout;     /* a forgotten reply that holds up the others so long closes the connection; 0:
                                    SL_REDIS_DRAIN_TIMEOUT */
    sl_time ping_every;        /* an idle connection is tried out so often; 0: SL_REDIS_PING_EVERY; SL_NEVER */
    struct sl_backoff backoff; /* between attempts to connect; zeros: SL_REDIS_BACKOFF_INITIAL, SL_REDIS_BACKOFF_MAX */
    uint32_t commands_max;     /* in flight on a connection; further callers wait; 0: SL_REDIS_COMMANDS_MAX */
    size_t in_flight_bytes_max; /* of their requests; a larger one goes alone; 0: SL_REDIS_IN_FLIGHT_BYTES_MAX */
    size_t reply_bytes_max;     /* a longer reply ends the connection; 0: SL_REDIS_REPLY_BYTES_MAX */
};

/*
 * Makes a client whose connection is a daemon in `scope`; it ends with the scope and is made anew, with backoff, as
 * often as it breaks. Commands wait until it is up; this does not (but for
 * rediss:// without `tls`, see sl_tls_default()). Cleanups of the same scope that were registered
 * after this call may still send commands. Everything in the options but `tls` is copied. 0; SL_EINVAL with a message
 * (never the URL: it may hold a password); SL_ENOMEM; SL_ECLOSED; for rediss:// without `tls` the codes of
 * sl_tls_default().
 */
SL_MUST_CHECK int sl_redis_open(sl_scope *scope, const struct sl_redis_options *options, sl_redis **ret_redis);

/*
 * A client of the same server, with the same options, for commands that block in the server (BLPOP, XREADGROUP BLOCK,
 * WAIT): nothing else goes over its connection, and only the request's own timeout bounds them. One command at a time;
 * others wait. Cancelling one closes the connection, so that what it would have taken stays where it is. Belongs to
 * `scope`, which must end before the client's. Not for a cluster's slots: it talks to one node of it.
 */
SL_MUST_CHECK int sl_redis_open_blocking(sl_scope *scope, sl_redis *redis, sl_redis **ret_redis);

/* Counters since the client was opened. */
struct sl_redis_stats {
    uint64_t commands;  /* written to a connection */
    uint64_t replies;   /* that reached their caller */
    uint64_t errors;    /* of which the server's errors */
    uint64_t discarded; /* replies that nobody waited for any more */
    uint64_t retried;   /* commands that were sent again */
    uint64_t connects, connect_failures, losses, timeouts;
    uint64_t pushes;        /* messages out of turn (RESP3) */
    uint64_t writes, reads; /* calls; commands / writes is the batching */
    uint64_t written_bytes, read_bytes;
    uint64_t redirects;          /* MOVED and ASK */
    uint32_t in_flight, waiting; /* just now */
    bool connected;
};
void sl_redis_stats_get(const sl_redis *redis, struct sl_redis_stats *ret_stats);

/* ---- commands ---- */

struct sl_redis_request {
    /* The command and its arguments: `count` pieces of bytes, or (count 0) a NULL-terminated list of texts. */
    const struct sl_bytes *arguments;
    size_t count;
    const char *const *texts;
    sl_time timeout;    /* 0: the client's; SL_NEVER */
    bool idempotent;    /* is sent again when the connection broke and nobody knows whether it was carried out */
    bool keep_errors;   /* an error of the server is a reply (SL_REDIS_ERROR), not a code */
    bool urgent;        /* over a connection of its own that carries only such commands: never behind bulk work */
    size_t key;         /* cluster: which argument is the key that decides the node; 0: known by the command's name */
    uint32_t *ret_sent; /* is raised each time it is sent, also when the call fails; may be NULL */
};

/*
 * Sends a command and waits for its reply. `ret_reply` may be NULL; otherwise it is set on success, to be freed by
 * sl_redis_reply_free(). Nothing is borrowed after the call. Commands that change what a shared connection means
 * (SELECT, AUTH, MULTI, SUBSCRIBE...) or that block in the server are refused: SL_EINVAL. What was never sent, and what is
 * idempotent, is tried again while the timeout lasts. Cancellation point.
 */
SL_MUST_CHECK int sl_redis_send(sl_redis *redis, const struct sl_redis_request *request, sl_redis_reply **ret_reply);

/*
 * `count` (up to SL_REDIS_COMMANDS_MAX / 2) commands in one go, in order, and waits for all replies. `ret_replies` (may be NULL)
 * has `count` places; all are set, errors of the server too (SL_REDIS_ERROR), on success; all are NULL after a failure, when
 * any part may have been carried out. Not atomic (that is what scripts are for), not sent again unless all are
 * idempotent. Timeout and `urgent` are the first one's.
 */
SL_MUST_CHECK int sl_redis_send_all(sl_redis *redis, const struct sl_redis_request *requests, size_t count,
                                    sl_redis_reply **ret_replies);

/* sl_redis_do(redis, &reply, "SET", key, value, "NX"): a command of texts. `ret_reply` may be NULL. */
#define sl_redis_do(redis, ret_reply, ...)                                                                             \
    sl_redis_send_texts((redis), (const char *const[]){__VA_ARGS__, NULL}, (ret_reply))
SL_MUST_CHECK int sl_redis_send_texts(sl_redis *redis, const char *const *texts, sl_redis_reply **ret_reply);

/* The same for a reply that is a number. */
#define sl_redis_do_int(redis, ret_integer, ...)                                                                       \
    sl_redis_send_int((redis), (const char *const[]){__VA_ARGS__, NULL}, (ret_integer))
SL_MUST_CHECK int sl_redis_send_int(sl_redis *redis, const char *const *texts, int64_t *ret_integer);

/* ---- scripts ---- */

struct sl_redis_eval {
    const char *script; /* static: it is known by its address */
    const struct sl_bytes *keys;
    size_t keys_count; /* up to SL_REDIS_SCRIPT_PIECES_MAX together with the arguments */
    const struct sl_bytes *arguments;
    size_t arguments_count;
    sl_time timeout; /* as in struct sl_redis_request, like the rest */
    bool idempotent, keep_errors, urgent;
    uint32_t *ret_sent;
};

#define SL_REDIS_SCRIPT_PIECES_MAX 200

/* EVALSHA; the script itself follows only to a server that does not know it. */
SL_MUST_CHECK int sl_redis_eval(sl_redis *redis, const struct sl_redis_eval *eval, sl_redis_reply **ret_reply);

/* A text as bytes. NULL: nothing. */
struct sl_bytes sl_redis_text(const char *text);

/* ---- publish and subscribe ---- */

typedef struct sl_redis_pubsub sl_redis_pubsub;

#define SL_REDIS_CHANNELS_MAX 4096
#define SL_REDIS_MESSAGES_MAX 1024
#define SL_REDIS_MESSAGES_BYTES_MAX ((size_t)4 * 1024 * 1024)

struct sl_redis_pubsub_options {
    size_t messages_max;       /* that nobody took yet; then the oldest is dropped (a GAP); 0: SL_REDIS_MESSAGES_MAX */
    size_t messages_bytes_max; /* 0: SL_REDIS_MESSAGES_BYTES_MAX */
};

enum sl_redis_news {
    SL_REDIS_MESSAGE,
    SL_REDIS_SUBSCRIBED, /* the server has confirmed this channel or pattern: nothing is missed from here on */
    SL_REDIS_GAP         /* messages may have been missed: the connection was made anew, or the queue was full */
};

/* Borrowed until the next call; texts have NUL behind them. */
struct sl_redis_message {
    enum sl_redis_news kind;
    const char *channel; /* "" for a GAP */
    const char *pattern; /* by which it came; "" for none */
    const char *text;
    size_t size_bytes;
    uint64_t dropped; /* GAP: messages that were dropped here; 0: the connection was lost */
};

/*
 * A connection of its own for messages, as a daemon in `scope`, which must end before the client's. After each loss
 * everything is subscribed again, behind a GAP. `options` may be NULL. 0, SL_EINVAL, SL_ENOMEM, SL_ECLOSED.
 */
SL_MUST_CHECK int sl_redis_pubsub_open(sl_scope *scope, sl_redis *redis, const struct sl_redis_pubsub_options *options,
                                       sl_redis_pubsub **ret_pubsub);

/* Adds or takes a channel or (`pattern`) a glob of channels; again: no effect. Does not wait. 0; SL_EMSGSIZE; SL_ENOMEM. */
SL_MUST_CHECK int sl_redis_subscribe(sl_redis_pubsub *pubsub, const char *channel, bool pattern);
int sl_redis_unsubscribe(sl_redis_pubsub *pubsub, const char *channel, bool pattern);

/* The next piece of news. One task at a time (SL_EBUSY). 0; SL_ECLOSED at the scope's end. Cancellation point. */
SL_MUST_CHECK int sl_redis_pubsub_next(sl_redis_pubsub *pubsub, struct sl_redis_message *ret_message);

/*
 * An ear: `heard` is set when something may have been published on a channel: a message came, the subscription was
 * confirmed, or messages may have been missed. All ears of a client share one connection, opened for the first. A hint, no more:
 * who waits for it has a timer too. Kept by the caller, who resets the event.
 */
struct sl_redis_ear {
    sl_event heard;
    const char *channel;              /* borrowed while it listens */
    struct sl_redis_ear *next, *prev; /* private, as what follows */
    bool listening;
};

/* Begins and ends to listen. Without memory, and when the client's scope ends, nothing is heard. They do not wait. */
void sl_redis_listen(sl_redis *redis, struct sl_redis_ear *ear, const char *channel);
void sl_redis_unlisten(sl_redis *redis, struct sl_redis_ear *ear);

/* ---- replies ---- */

enum sl_redis_type {
    SL_REDIS_NIL,
    SL_REDIS_STRING, /* also verbatim strings, without their type */
    SL_REDIS_STATUS,
    SL_REDIS_ERROR,
    SL_REDIS_INTEGER,
    SL_REDIS_DOUBLE, /* RESP3; RESP2 sends a string */
    SL_REDIS_BOOLEAN,
    SL_REDIS_BIG_NUMBER, /* as text */
    SL_REDIS_ARRAY,
    SL_REDIS_SET,
    SL_REDIS_MAP, /* key, value, key, value... RESP2 sends an array */
    SL_REDIS_PUSH
};

/* One value of a reply; its text is a view into the reply. */
struct sl_redis_value {
    enum sl_redis_type type;
    int64_t integer;  /* INTEGER; BOOLEAN: 0 or 1 */
    double number;    /* DOUBLE, INTEGER */
    const char *text; /* STRING, STATUS, ERROR, BIG_NUMBER, DOUBLE; never NULL, NUL behind it */
    size_t size_bytes;
    size_t count;       /* values inside; of a map two for each pair */
    const char *inside; /* private */
};

/* Back to the client's store. NULL is fine. A reply may outlive its client. */
void sl_redis_reply_free(sl_redis_reply *reply);
SL_AUTO_DECLARE(sl_redis_reply, sl_redis_reply_free)

/* The whole reply as a value (NIL for NULL); valid, like all values within, until it is freed. */
struct sl_redis_value sl_redis_reply_value(const sl_redis_reply *reply);

/* The values inside, in order: while (sl_redis_list_next(&list, &item)) {...} begins again after the last. */
struct sl_redis_list {
    const char *next; /* private, both */
    size_t left;
};
struct sl_redis_list sl_redis_value_list(const struct sl_redis_value *value);
bool sl_redis_list_next(struct sl_redis_list *list, struct sl_redis_value *ret_value);

/* The value inside at `index`, NIL beyond the end; and the one behind `key`, in a map or an array of pairs. O(n). */
struct sl_redis_value sl_redis_value_at(const struct sl_redis_value *value, size_t index);
struct sl_redis_value sl_redis_value_find(const struct sl_redis_value *value, const char *key);

/* A whole number: INTEGER, BOOLEAN, or text that is one. 0 or SL_EPROTO. */
SL_MUST_CHECK int sl_redis_value_int(const struct sl_redis_value *value, int64_t *ret_integer);

/* Whether it is this text (STRING or STATUS). */
bool sl_redis_value_is(const struct sl_redis_value *value, const char *text);

/* What the server's error text says. */
enum sl_redis_problem {
    SL_REDIS_OTHER, /* ERR and all that are not below */
    SL_REDIS_LOADING,
    SL_REDIS_READONLY,
    SL_REDIS_OOM,
    SL_REDIS_MASTERDOWN,
    SL_REDIS_CLUSTERDOWN,
    SL_REDIS_TRYAGAIN,
    SL_REDIS_BUSY, /* a script runs for too long */
    SL_REDIS_NOREPLICAS,
    SL_REDIS_MISCONF, /* it cannot write to its disk */
    SL_REDIS_MAXCLIENTS,
    SL_REDIS_MOVED,
    SL_REDIS_ASK,
    SL_REDIS_CROSSSLOT,
    SL_REDIS_NOSCRIPT,
    SL_REDIS_NOAUTH, /* also WRONGPASS and NOPERM */
    SL_REDIS_WRONGTYPE,
    SL_REDIS_BUSYGROUP,
    SL_REDIS_NOGROUP,
    SL_REDIS_UNBLOCKED
};
enum sl_redis_problem sl_redis_problem_of(const struct sl_redis_value *error);

/* Whether it may go away by itself: LOADING to MAXCLIENTS. Such a command was not carried out. */
bool sl_redis_problem_retryable(enum sl_redis_problem problem);

#ifdef __cplusplus
}
#endif

#endif
