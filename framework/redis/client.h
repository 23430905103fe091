/* SPDX-License-Identifier: MIT */
/* What the files of the Redis client share: settings, replies, connections. */
#ifndef SL_REDIS_CLIENT_H
#define SL_REDIS_CLIENT_H

#include "resp.h"
#include "sluice/sync.h"

#define SL__REDIS_HOST_BYTES 256
#define SL__REDIS_PROBLEM_BYTES 192
#define SL__REDIS_HOSTS_MAX 16
#define SL__REDIS_TEXT_BYTES 256 /* of a user, password, name */

/* A large variable that is written before it is read, on a path where clearing it first would be felt. */
#define SL__UNCLEARED __attribute__((uninitialized))

/* ---- settings ---- */

struct sl__redis_address {
    char host[SL__REDIS_HOST_BYTES]; /* as for sl_connect(): also "unix:/path" */
    int port;
};

enum sl__redis_kind { SL__REDIS_SINGLE, SL__REDIS_SENTINEL, SL__REDIS_CLUSTER };

/* Everything a connection has to know; owned by the client. */
struct sl__redis_settings {
    enum sl__redis_kind kind;
    struct sl__redis_address hosts[SL__REDIS_HOSTS_MAX]; /* the server; or sentinels, or nodes of the cluster */
    size_t hosts_count;
    char master[SL__REDIS_TEXT_BYTES]; /* sentinel */
    char user[SL__REDIS_TEXT_BYTES], password[SL__REDIS_TEXT_BYTES];
    char sentinel_user[SL__REDIS_TEXT_BYTES], sentinel_password[SL__REDIS_TEXT_BYTES];
    char name[SL__REDIS_TEXT_BYTES];
    int database;
    bool encrypted;
    struct sl_tls_config *tls; /* NULL unless encrypted */
    int protocol;
    sl_time timeout, connect_timeout, drain_timeout, ping_every;
    struct sl_backoff backoff;
    uint32_t commands_max;
    size_t in_flight_bytes_max, reply_bytes_max;
};

/* Fills the settings from the options. SL_EINVAL never shows the URL. */
int sl__redis_settings_init(struct sl__redis_settings *settings, const struct sl_redis_options *options);
void sl__redis_settings_done(struct sl__redis_settings *settings);
int sl__redis_parse_url(const char *url, struct sl__redis_settings *settings);

/* ---- replies ---- */

/* Small replies and records of commands are used again and again. Counted: replies may outlive the client. */
struct sl__redis_store {
    unsigned holders; /* the client and each reply that is out */
    unsigned kept;
    sl_redis_reply *replies;
};

struct sl__redis_store *sl__redis_store_new(void);
void sl__redis_store_drop(struct sl__redis_store *store);

/* A copy of the bytes of a reply; NULL when memory is short. */
sl_redis_reply *sl__redis_reply_new(struct sl__redis_store *store, struct sl_view bytes);

/* Whether it is an error, and then which. */
bool sl__redis_reply_is_error(const sl_redis_reply *reply, struct sl_redis_value *ret_error);

/* The code that stands for an error reply. */
int sl__redis_problem_code(enum sl_redis_problem problem);

/* ---- connections ---- */

struct sl__redis_command;

/* Where the result of one command goes. */
struct sl__redis_slot {
    int code; /* 0 with a reply; negative: the connection failed */
    bool unsent;
    sl_redis_reply *reply;             /* the taker's */
    struct sl__redis_command *command; /* while it is under way */
};

/* A task that waits for the results of `count` commands. */
struct sl__redis_wait {
    struct sl__redis_connection *connection;
    sl_task *task; /* once it is parked */
    size_t left, count;
    struct sl__redis_slot *slots;
};

/* One command under way, in the order of the connection. */
struct sl__redis_command {
    struct sl__redis_command *next;
    struct sl__redis_wait *wait; /* NULL: nobody waits any more, the reply is thrown away */
    struct sl__redis_slot *slot;
    sl_time deadline; /* for its caller, or, forgotten, from when it may hold up the others */
    uint64_t number;
    size_t bytes;
};

/* A task that waits for the connection, or for room on it. */
struct sl__redis_turn {
    struct sl__redis_turn *next, *prev;
    sl_task *task;
    size_t commands, bytes;
    sl_time deadline;
    bool woken;
};

struct sl__redis_buffer {
    char *data;
    size_t size_bytes, capacity;
};

struct sl__redis_connection;

/* What the owner of a connection wants to know; all called by the connection's task. */
struct sl__redis_hooks {
    void *context;
    /* Where to connect to. May wait. */
    int (*locate)(void *context, struct sl__redis_address *ret_address);
    void *locate_context;
    /* A message out of turn, and whether replies are messages too (RESP2's pub/sub). NULL: thrown away. */
    void (*push)(void *context, struct sl_redis_value message);
    void (*up)(void *context);
    void (*down)(void *context);
    bool all_pushed;
};

struct sl__redis_connection {
    const struct sl__redis_settings *settings;
    struct sl__redis_store *store;
    struct sl_redis_stats *stats;
    struct sl__redis_hooks hooks;
    sl_time patience; /* a command waits no longer for it to come up; 0: as long as its timeout */
    bool alone;       /* for blocking commands: one at a time, cancelled by closing */
    bool ended;       /* its scope has */
    bool cut;         /* a blocking command was cancelled */
    int lost;         /* sl__redis_connection_lose() */
    bool up;          /* commands may be sent */
    int refused;      /* the last greeting was refused: why; commands fail at once */
    int problem;      /* why it is not up, or went down */
    char problem_text[SL__REDIS_PROBLEM_BYTES];
    int protocol;
    struct sl__redis_address address;
    sl_stream *stream;
    struct sl__resp_reader reader;
    sl_event output; /* there is something to write */
    sl_event news;   /* for the watch: something has an earlier deadline */
    struct sl__redis_buffer out, writing;
    uint64_t numbered, handed; /* commands that were put into `out`, and that were given to a write */
    struct sl__redis_command *first, *last;
    uint32_t in_flight;
    size_t in_flight_bytes;
    struct sl__redis_turn *first_turn, *last_turn;
    uint32_t waiting;
    struct sl__redis_command *spare;
    sl_scope *serving; /* while it is up */
    sl_time last_reply;
    sl_time pinged;   /* when it was, if nothing came since; else 0 */
    sl_time watching; /* until when the watch sleeps */
};

/* Makes a connection; sl__redis_connection_start() makes it live in a scope, which must end before it is freed. */
struct sl__redis_connection *sl__redis_connection_new(const struct sl__redis_settings *settings,
                                                      struct sl__redis_store *store, struct sl_redis_stats *stats,
                                                      const struct sl__redis_hooks *hooks);
int sl__redis_connection_start(struct sl__redis_connection *connection, sl_scope *scope);
void sl__redis_connection_free(struct sl__redis_connection *connection);

/* Writes a command whose reply is no reply: over connections where all is pushed. 0, SL_ENOMEM; dropped while it is not up. */
int sl__redis_post(struct sl__redis_connection *connection, const struct sl_bytes *pieces, size_t count);

/* Breaks what is there; it is made anew. */
void sl__redis_connection_lose(struct sl__redis_connection *connection, int code, const char *why);

/* In the connection's task, while it greets: one command and its reply, which is valid until the next. */
int sl__redis_exchange(struct sl__redis_connection *connection, const char *const *texts,
                       struct sl_redis_value *ret_value);
int sl__redis_greet(struct sl__redis_connection *connection);

/*
 * Sends all of them in one go and waits for the results. 0: each slot has a code, or a reply that is the caller's
 * now. Negative: nothing was sent, or the caller was cancelled. SL_ECLOSED: the connection's scope has ended.
 * `deadline` bounds the wait for the connection and, from then on, that for the first reply.
 */
int sl__redis_perform(struct sl__redis_connection *connection, const struct sl_redis_request *requests, size_t count,
                      struct sl__redis_slot *slots, sl_time deadline);

/* ---- requests ---- */

/* Arguments of a request of texts, at most. */
#define SL__REDIS_TEXTS_MAX 128

/* The pieces of a request; `room` holds them when they are texts. SL_EINVAL, SL_EMSGSIZE. */
int sl__redis_pieces(const struct sl_redis_request *request, struct sl_bytes room[SL__REDIS_TEXTS_MAX],
                     const struct sl_bytes **ret_pieces, size_t *ret_count);

/* ASKING, which only the client itself may send: a request is that one when its texts are these. */
extern const char *const sl__redis_asking[];

/* 0, or SL_EINVAL for a command that must not go over this connection. */
int sl__redis_allowed(const struct sl_bytes *pieces, size_t count, bool alone);

/* ---- the client ---- */

#define SL__REDIS_SCRIPTS_KEPT 32

/* A connection of a client, where its settings say. */
struct sl__redis_connection *sl__redis_connection_of(sl_redis *redis, const struct sl__redis_hooks *hooks);
int sl__redis_locate(void *redis, struct sl__redis_address *ret_address);

struct sl__redis_script {
    const char *text;
    size_t size_bytes;
    char hash[41];
};

/* ---- sentinels and clusters ---- */

/* Asks the sentinels, one after the other, where the master is. In the connection's task. */
int sl__redis_ask_sentinels(const struct sl__redis_settings *settings, struct sl__redis_address *ret_address);
/* Whether it is a master that we have reached; SL_ENOTREADY otherwise. */
int sl__redis_check_role(struct sl__redis_connection *connection);

#define SL__REDIS_SLOTS 16384
#define SL__REDIS_NODES_MAX 128

/* The slot of a key: CRC16 of its hash tag, or of all of it. */
unsigned sl__redis_slot_of(struct sl_bytes key);
/* The key that decides where a command goes; false: it may go anywhere. */
bool sl__redis_key_of(const struct sl_redis_request *request, const struct sl_bytes *pieces, size_t count,
                      struct sl_bytes *ret_key);

struct sl__redis_cluster;
int sl__redis_cluster_open(sl_redis *redis);
void sl__redis_cluster_free(struct sl__redis_cluster *cluster);
/* The connection to the node that serves it; asks for the map of slots first when that is not known. Waits. */
int sl__redis_cluster_route(sl_redis *redis, const struct sl_redis_request *request,
                            struct sl__redis_connection **ret_connection);
/* Where "MOVED 1 host:port" or "ASK 1 host:port" points; MOVED is remembered. */
int sl__redis_cluster_follow(sl_redis *redis, const struct sl_redis_value *error, bool urgent,
                             struct sl__redis_connection **ret_connection);

struct sl_redis {
    struct sl__redis_cluster *cluster;   /* NULL unless it is one */
    unsigned located;                    /* attempts to connect: the hosts of a cluster take turns */
    struct sl__redis_settings *settings; /* the owner's */
    struct sl_redis *owner;              /* of a client for blocking commands; else itself */
    sl_scope *scope;
    struct sl__redis_store *store;
    struct sl_redis_stats stats;
    struct sl__redis_connection *main;
    struct sl__redis_connection *urgent; /* made when it is first asked for */
    bool alone;
    struct sl__redis_hub *hub; /* of the ears; made for the first */
    struct sl__redis_script scripts[SL__REDIS_SCRIPTS_KEPT];
};

#endif
