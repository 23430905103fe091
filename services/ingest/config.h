/* SPDX-License-Identifier: MIT */
/*
 * The configuration of the program: what the YAML files of `sluice run` become. sl_config_load() with sl_conf_root
 * fills a struct sl_conf; the tables in services/ingest/config/ say for each key its type, range, default, reload class
 * and help, and make the JSON Schema and docs/reference/configuration.md.
 *
 * Everything is borrowed from the sl_config it was loaded with and never changes. Who keeps a pointer beyond a reload
 * keeps a reference too (sl_config_ref()). Unless a comment says otherwise a text that was not given is NULL, and a
 * number or duration of 0 means what the comment says.
 */
#ifndef SL_INGEST_CONFIG_H
#define SL_INGEST_CONFIG_H

#include "market/event.h"
#include "sluice/breaker.h"
#include "sluice/bulkhead.h"
#include "sluice/config.h"
#include "sluice/limiter.h"
#include "sluice/retry.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- words; each list is an enum and its texts ---- */

#define SL_CONF_VENUES(X)                                                                                              \
    X(BINANCE, "binance")                                                                                              \
    X(BINANCE_USDM, "binance-usdm")                                                                                    \
    X(BINANCE_COINM, "binance-coinm")                                                                                  \
    X(COINBASE, "coinbase")                                                                                            \
    X(KRAKEN, "kraken")                                                                                                \
    X(BYBIT, "bybit")                                                                                                  \
    X(BYBIT_LINEAR, "bybit-linear")                                                                                    \
    X(BYBIT_INVERSE, "bybit-inverse")                                                                                  \
    X(OKX, "okx")                                                                                                      \
    X(BITSTAMP, "bitstamp")

/* What a service may subscribe to, and what a sink may be limited to. */
#define SL_CONF_CHANNELS(X)                                                                                            \
    X(TRADES, "trades")                                                                                                \
    X(AGG_TRADES, "agg_trades")                                                                                        \
    X(BEST, "best")                                                                                                    \
    X(BOOK, "book")                                                                                                    \
    X(TICKER, "ticker")                                                                                                \
    X(CANDLES, "candles")                                                                                              \
    X(FUNDING, "funding")                                                                                              \
    X(LIQUIDATIONS, "liquidations")                                                                                    \
    X(OPEN_INTEREST, "open_interest")                                                                                  \
    X(STATUS, "status")

#define SL__CONF_VENUE(name, text) SL_CONF_VENUE_##name,
#define SL__CONF_CHANNEL(name, text) SL_CONF_CHANNEL_##name,
enum sl_conf_venue_id { SL_CONF_VENUES(SL__CONF_VENUE) SL_CONF_VENUE_COUNT };
enum sl_conf_channel { SL_CONF_CHANNELS(SL__CONF_CHANNEL) SL_CONF_CHANNEL_COUNT };

enum sl_conf_service_kind {
    SL_CONF_STREAM,
    SL_CONF_BOOK,
    SL_CONF_POLL,
    SL_CONF_BACKFILL,
    SL_CONF_RECEIVE,
    SL_CONF_SERVICE_KINDS
};
enum sl_conf_sink_kind {
    SL_CONF_FILE,
    SL_CONF_SQLITE,
    SL_CONF_REDIS,
    SL_CONF_RABBITMQ,
    SL_CONF_KAFKA,
    SL_CONF_POSTGRESQL,
    SL_CONF_WEBSOCKET,
    SL_CONF_SINK_KINDS
};

/* ---- services ---- */

enum sl_conf_priority { SL_CONF_PRIORITY_LOW, SL_CONF_PRIORITY_NORMAL, SL_CONF_PRIORITY_HIGH };

/* What all services have; the first member of each. Names refer to the maps of struct sl_conf. */
struct sl_conf_service {
    bool enabled;
    struct sl_config_list sinks; /* const char *: names in `sinks` */
    const char *retry;           /* NULL: see sl_conf_retry_of() */
    const char *breaker;         /* NULL: none */
    const char *bulkhead;        /* NULL: none */
    const char *limit;           /* NULL: see sl_conf_limit_of() */
    int priority;                /* enum sl_conf_priority: at the limit */
};

/* Which venue and which of its instruments; the member `market` of all but `receive`. */
struct sl_conf_market {
    int venue;                         /* enum sl_conf_venue_id */
    struct sl_config_list instruments; /* const char *: for sl_instrument_matches(), at least one; changes live */
    struct sl_config_list exclude;     /* const char *: likewise, of what is left out; changes live */
    bool partitioned;                  /* its instruments are split among the replicas */
};

struct sl_conf_connections {
    uint64_t redundancy;  /* copies of each subscription, on connections of their own: 1 or 2 (A/B) */
    uint64_t max_streams; /* subscriptions a connection; 0: what the venue allows */
    sl_time rotate;       /* a connection's age at which it is replaced, make before break; 0: by the venue's limit */
    sl_time connect_timeout; /* name, TCP, TLS and WebSocket handshake together */
    sl_time silence;         /* no frame at all for so long: it is dead; 0: the venue's heartbeat rules */
    bool compression;        /* permessage-deflate is offered */
    uint64_t max_message_bytes;
};

/* kind: stream */
struct sl_conf_stream {
    struct sl_conf_service common;
    struct sl_conf_market market;
    struct sl_config_list channels; /* int: enum sl_conf_channel, at least one, never BOOK */
    struct sl_config_list candles;  /* sl_time: lengths, for the channel CANDLES */
    struct sl_conf_connections connections;
    sl_time stale_after; /* no event of a channel for so long: it is stale; 0: by the channel, quiet markets known */
    bool fill_gaps;      /* missing trades are fetched by REST where the venue lets us */
};

enum sl_conf_emit { SL_CONF_EMIT_DELTAS, SL_CONF_EMIT_TOP, SL_CONF_EMIT_BOTH };

/* kind: book */
struct sl_conf_book {
    struct sl_conf_service common;
    struct sl_conf_market market;
    struct sl_conf_connections connections;
    uint64_t depth;          /* levels a side that are kept; 0: as many as the venue gives */
    uint64_t snapshot_depth; /* levels a side asked for by REST; 0: as `depth`, or the venue's most */
    sl_time interval;        /* of the venue's updates; 0: the fastest without a key */
    int emit;                /* enum sl_conf_emit: what sinks get */
    sl_time verify;          /* compared with a new snapshot so often; 0: never */
    sl_time stale_after;     /* as of a stream */
};

enum sl_conf_bulk { SL_CONF_BULK_AUTO, SL_CONF_BULK_ALWAYS, SL_CONF_BULK_NEVER };

/* kind: poll */
struct sl_conf_poll {
    struct sl_conf_service common;
    struct sl_conf_market market;
    int channel;                    /* enum sl_conf_channel: what is asked for; see sl_conf_poll_request() */
    int bulk;                       /* enum sl_conf_bulk: all instruments in one request, where the venue has that */
    sl_time candle;                 /* length, for CANDLES */
    uint64_t depth;                 /* levels a side, for BOOK; 0: the venue's best bargain */
    struct sl_config_map headers;   /* const char *: secrets */
    sl_time interval;               /* of each instrument; 0: as fast as the limit lets all of them go round */
    struct sl_config_map intervals; /* sl_time, by pattern of instruments: of those that fit, the first one counts */
    bool spread;                    /* begin at different times in the interval */
    uint64_t concurrency;           /* requests at once */
    uint64_t cost;                  /* of one request at the limit; 0: what the venue says */
    sl_time timeout;                /* of one attempt */
    sl_time stale_after;            /* no answer for an instrument for so long: it is stale; 0: by its interval */
    bool only_changed;              /* what equals the one before is dropped */
};

enum sl_conf_queue { SL_CONF_QUEUE_LOCAL, SL_CONF_QUEUE_REDIS };

/* kind: backfill */
struct sl_conf_backfill {
    struct sl_conf_service common;
    struct sl_conf_market market;
    struct sl_config_list channels; /* int: TRADES or CANDLES, at least one */
    struct sl_config_list candles;  /* sl_time */
    const char *from;               /* see sl_conf_time_parse() */
    const char *to;                 /* NULL: until now */
    sl_time chunk;                  /* of time that one job covers */
    uint64_t concurrency;           /* jobs at once in this process */
    int queue;                      /* enum sl_conf_queue: where the jobs are kept */
    const char *state;              /* file with what is done, for the local queue */
};

struct sl_conf_server_tls {
    const char *certificate, *key; /* PEM files */
    const char *client_ca;         /* PEM file: clients must show a certificate signed by it; NULL: need not */
};

struct sl_conf_hmac {
    struct sl_config_map keys;    /* const char *: secrets, by their id; at least one */
    const char *header;           /* with the hexadecimal HMAC-SHA-256 of time, '.' and body */
    const char *timestamp_header; /* with the seconds since 1970 */
    const char *key_header;       /* with the id of the key; where there is but one it may be left out */
    sl_time tolerance;            /* between that time and ours */
};

/* kind: receive */
struct sl_conf_receive {
    struct sl_conf_service common;
    const char *listen; /* see sl_conf_listen_parse() */
    const char *path;
    bool post, websocket;                 /* which ways in there are */
    int venue;                            /* of events that name none; see sl_conf_receive_venue() */
    const char *api_key;                  /* NULL: none is asked for */
    const struct sl_conf_hmac *hmac;      /* NULL: no signature is asked for */
    const struct sl_conf_server_tls *tls; /* NULL: plain */
    uint64_t max_body_bytes;
    uint64_t max_connections;
    struct sl_config_rate rate; /* of requests and messages a client address */
    uint64_t remember;          /* identities of events, so that repeats are not stored again */
};

/* ---- policies ---- */

enum sl_conf_cost { SL_CONF_COST_WEIGHT, SL_CONF_COST_CALL };
enum sl_conf_adapt { SL_CONF_ADAPT_HEADERS, SL_CONF_ADAPT_NONE };
enum sl_conf_shared { SL_CONF_SHARED_LOCAL, SL_CONF_SHARED_REDIS };
enum sl_conf_on_redis_error { SL_CONF_REDIS_ERROR_LOCAL, SL_CONF_REDIS_ERROR_DENY, SL_CONF_REDIS_ERROR_ALLOW };

struct sl_conf_rate {
    struct sl_config_rate rate;
    uint64_t burst; /* 0: a tenth of it */
    int cost;       /* enum sl_conf_cost: what counts */
    bool bucket;    /* the burst comes on top (a venue's token bucket) */
};

struct sl_conf_limit {
    struct sl_config_list rates; /* struct sl_conf_rate */
    int adapt;                   /* enum sl_conf_adapt */
    const char *dialect;         /* of the venue's headers: see sl_limit_dialect_find() */
    int shared;                  /* enum sl_conf_shared: with all replicas by Redis, or not */
    int on_redis_error;          /* enum sl_conf_on_redis_error */
    double safety;               /* the share of the limit that replicas use on their own together */
    sl_time max_wait;            /* 0: no bound */
    uint64_t max_waiting;
    bool shadow; /* decide and count, but let everybody pass */
};

struct sl_conf_budget {
    double ratio;
    uint64_t reserve;
    sl_time window;
};

struct sl_conf_retry {
    uint64_t attempts; /* 0: no bound */
    sl_time initial, max;
    double multiplier;
    int jitter;                          /* enum sl_jitter */
    sl_time total;                       /* 0: no bound */
    sl_time attempt_timeout;             /* 0: none */
    sl_time retry_after_max;             /* 0: no wait is too long */
    sl_time stable_after;                /* 0: the schedule is never begun afresh */
    const struct sl_conf_budget *budget; /* NULL: none */
};

struct sl_conf_breaker {
    double failure_ratio, slow_ratio;
    sl_time slow_call; /* 0: none is */
    uint64_t min_calls, window_calls;
    sl_time window, open_for, open_max;
    uint64_t half_open_calls;
};

struct sl_conf_bulkhead {
    int adapt; /* enum sl_concurrency_kind */
    uint64_t initial, min, max;
    double backoff;
    sl_time slow_call;
    double tolerance;
    sl_time max_wait; /* 0: does not wait */
    uint64_t max_waiting;
};

/* ---- sinks ---- */

enum sl_conf_when_full { SL_CONF_FULL_BLOCK, SL_CONF_FULL_SPOOL, SL_CONF_FULL_DROP_OLDEST, SL_CONF_FULL_CONFLATE };

struct sl_conf_spool {
    const char *path;       /* a folder of its own; NULL: below spool.path of the program, by the sink's name */
    uint64_t max_bytes;     /* on disk */
    uint64_t segment_bytes; /* of one file */
    bool sync;              /* forced to the disk, each time */
};

/* What all sinks have; the first member of each. */
struct sl_conf_sink {
    uint64_t queue;             /* events that wait in memory */
    uint64_t queue_bytes;       /* and bytes of them */
    int when_full;              /* enum sl_conf_when_full */
    struct sl_conf_spool spool; /* for when_full: spool */
    uint64_t batch;             /* events that are written together, at most */
    uint64_t batch_bytes;       /* and bytes of them */
    sl_time flush;              /* and at the latest after this */
    sl_time timeout;            /* of connecting, and of a batch; 0: none */
    sl_time stop_within;        /* what is in the queue must be out so long after a stop */
    const char *retry;          /* NULL: "default" if there is one, else built in: no bound, to 30 s */
    struct sl_config_list only; /* int: enum sl_conf_channel; empty: all */
};

/* Of clients: to Redis, RabbitMQ, Kafka, PostgreSQL and venues. */
struct sl_conf_client_tls {
    const char *ca; /* PEM file; NULL: the system's authorities */
    const char *certificate, *key;
    bool verify;
};

enum sl_conf_compression { SL_CONF_COMPRESSION_NONE, SL_CONF_COMPRESSION_ZSTD };

struct sl_conf_file {
    struct sl_conf_sink common;
    const char *path;      /* folder and beginning of the names; template: <sink> <replica> */
    int compression;       /* enum sl_conf_compression */
    int64_t level;         /* of zstd */
    uint64_t rotate_bytes; /* 0: not by size */
    sl_time rotate;        /* 0: not by time */
    bool sync;             /* each flush is forced to the disk */
};

struct sl_conf_sqlite {
    struct sl_conf_sink common;
    const char *path;
    bool sync; /* survives a power cut, not only a crash */
    sl_time busy_timeout;
};

struct sl_conf_redis {
    struct sl_conf_sink common;
    struct sl_config_url url;
    const char *password;
    const char *stream;  /* template of the key */
    uint64_t max_length; /* of each stream; 0: not trimmed */
    struct sl_conf_client_tls tls;
};

enum sl_conf_exchange_type {
    SL_CONF_EXCHANGE_TOPIC,
    SL_CONF_EXCHANGE_FANOUT,
    SL_CONF_EXCHANGE_DIRECT,
    SL_CONF_EXCHANGE_HEADERS
};

struct sl_conf_rabbitmq {
    struct sl_conf_sink common;
    struct sl_config_url url;
    const char *password;
    const char *exchange;
    int exchange_type;       /* enum sl_conf_exchange_type */
    bool declare;            /* the exchange is made if it is not there */
    const char *routing_key; /* template */
    bool confirm;            /* always true: without it nothing would be known to be delivered */
    bool mandatory, persistent;
    uint64_t window; /* unconfirmed messages under way */
    sl_time heartbeat;
    struct sl_conf_client_tls tls;
};

enum sl_conf_acks { SL_CONF_ACKS_ALL, SL_CONF_ACKS_LEADER, SL_CONF_ACKS_NONE };
enum sl_conf_kafka_compression {
    SL_CONF_KAFKA_NONE,
    SL_CONF_KAFKA_LZ4,
    SL_CONF_KAFKA_ZSTD,
    SL_CONF_KAFKA_SNAPPY,
    SL_CONF_KAFKA_GZIP
};
enum sl_conf_sasl { SL_CONF_SASL_NONE, SL_CONF_SASL_PLAIN, SL_CONF_SASL_SCRAM_256, SL_CONF_SASL_SCRAM_512 };

struct sl_conf_kafka {
    struct sl_conf_sink common;
    struct sl_config_list brokers; /* const char *: host:port, at least one */
    const char *topic, *key;       /* templates */
    int acks;                      /* enum sl_conf_acks */
    bool idempotent;
    int compression; /* enum sl_conf_kafka_compression */
    sl_time linger;
    sl_time message_timeout;
    uint64_t buffer_bytes; /* of librdkafka's own queue */
    int sasl;              /* enum sl_conf_sasl */
    const char *user, *password;
    bool encrypted; /* TLS to the brokers */
    struct sl_conf_client_tls tls;
    struct sl_config_map properties; /* const char *: librdkafka's own, as they are */
};

struct sl_conf_postgresql {
    struct sl_conf_sink common;
    struct sl_config_url url;
    const char *password;
    struct sl_conf_client_tls tls;
};

struct sl_conf_websocket {
    struct sl_conf_sink common;
    const char *listen;
    const char *path;
    const char *token; /* NULL: none is asked for */
    const struct sl_conf_server_tls *tls;
    uint64_t max_clients;
    uint64_t client_queue_bytes; /* of events that wait for one client */
    bool compression;
};

/* ---- the rest ---- */

/* What differs from the venue's own rules. */
struct sl_conf_venue {
    struct sl_config_url stream;                    /* ws, wss: in place of the venue's hosts; paths stay the venue's */
    struct sl_config_url rest;                      /* http, https */
    const char *limit, *retry, *breaker, *bulkhead; /* of its services that name none; NULL: see the lookups below */
    struct sl_config_url proxy;                     /* http (CONNECT), socks5, socks5h */
    struct sl_config_list local_addresses;          /* const char *: connections come from these in turn */
    struct sl_conf_client_tls tls;
};

struct sl_conf_venues {
    const struct sl_conf_venue *at[SL_CONF_VENUE_COUNT]; /* NULL: nothing differs */
};

enum sl_conf_backend { SL_CONF_BACKEND_LOCAL, SL_CONF_BACKEND_REDIS };
enum sl_conf_on_loss { SL_CONF_ON_LOSS_STOP, SL_CONF_ON_LOSS_CONTINUE };

struct sl_conf_coordination {
    int backend; /* enum sl_conf_backend */
    struct sl_config_url url;
    const char *password;
    const char *group;     /* replicas of one group share the work */
    const char *replica;   /* this one's name; NULL: host name and process id */
    uint64_t partitions;   /* 0: 1 when local, 64 with Redis; see sl_conf_partitions() */
    sl_time ttl;           /* of leases: a killed replica's work moves after so long */
    sl_time drain;         /* one that stops follows its partitions for so long at most */
    int on_loss;           /* enum sl_conf_on_loss: when Redis is away for longer than ttl */
    const char *positions; /* with the backend `local`: the file of how far feeds are; NULL: nobody remembers */
    struct sl_conf_client_tls tls;
};

struct sl_conf_admin {
    bool enabled;
    const char *listen;
    const char *token;
    const struct sl_conf_server_tls *tls;
    bool dashboard;
    uint64_t max_connections;
};

enum sl_conf_log_format { SL_CONF_LOG_AUTO, SL_CONF_LOG_TEXT, SL_CONF_LOG_JSON };

struct sl_conf_log {
    int level;     /* enum sl_log_level */
    int format;    /* enum sl_conf_log_format; AUTO: text on a terminal, else JSON */
    sl_time merge; /* repeats of a line within this are counted, not written; 0: all are written */
};

struct sl_conf_runtime {
    uint64_t stack_bytes;  /* of a task; 0: SL_STACK_BYTES */
    sl_time watchdog;      /* 0: off */
    sl_time spin;          /* before the thread sleeps */
    sl_time drain;         /* from the first SIGTERM to the end, at most */
    uint64_t memory_bytes; /* /readyz tells more than this; 0: no bound */
};

struct sl_conf_dead_letter {
    const char *path;   /* NULL: what cannot be decoded is only counted */
    uint64_t max_bytes; /* then the oldest half goes */
};

/* Where sinks spool that do not say it themselves. */
struct sl_conf_spool_root {
    const char *path;
};

struct sl_conf {
    struct sl_config_map services;  /* struct sl_config_variant: see sl_conf_service() */
    struct sl_config_map limits;    /* struct sl_conf_limit */
    struct sl_config_map retry;     /* struct sl_conf_retry */
    struct sl_config_map breakers;  /* struct sl_conf_breaker */
    struct sl_config_map bulkheads; /* struct sl_conf_bulkhead */
    struct sl_config_map sinks;     /* struct sl_config_variant: see sl_conf_sink() */
    struct sl_conf_venues venues;
    struct sl_conf_coordination coordination;
    struct sl_conf_admin admin;
    struct sl_conf_log log;
    struct sl_conf_runtime runtime;
    struct sl_conf_dead_letter dead_letter;
    struct sl_conf_spool_root spool;
};

/* The table, for sl_config_load(); its root is a struct sl_conf. */
extern const struct sl_config_section sl_conf_root;

/* ---- reading it ---- */

/* The kind of an entry of `services` or `sinks`, and its common part: the same address as the struct of the kind. */
enum sl_conf_service_kind sl_conf_service_kind(const struct sl_config_variant *variant);
const struct sl_conf_service *sl_conf_service(const struct sl_config_variant *variant);
enum sl_conf_sink_kind sl_conf_sink_kind(const struct sl_config_variant *variant);
const struct sl_conf_sink *sl_conf_sink(const struct sl_config_variant *variant);

/* The venue and instruments of a service; NULL for `receive`, which has none. */
const struct sl_conf_market *sl_conf_market(const struct sl_config_variant *service);

/* The venue of events that name none: SL_VENUE_EXTERNAL, or one of those that there are. */
sl_venue sl_conf_receive_venue(const struct sl_conf_receive *receive);

/* What a poll service asks its venue for: enum sl_venue_request_kind of venues/venue.h; 0 where there is no such. */
int sl_conf_poll_request(const struct sl_conf_poll *poll);

/* "binance-usdm", "open_interest"; NULL out of range. */
const char *sl_conf_venue_name(int venue);
const char *sl_conf_channel_name(int channel);

/* The same for services/market and services/venues; SL_VENUE_NONE and SL_FEED_NONE out of range. */
sl_venue sl_conf_venue_of(int venue);
sl_feed sl_conf_feed_of(int channel);

/* An entry by name, or NULL. */
const struct sl_config_variant *sl_conf_service_find(const struct sl_conf *conf, const char *name);
const struct sl_config_variant *sl_conf_sink_find(const struct sl_conf *conf, const char *name);

/*
 * Which limit a service's requests go through: the one it names, else the one its venue's section names, else the
 * entry "VENUE-rest", if there is one. NULL: none of these, the venue's built-in limits apply.
 */
const char *sl_conf_limit_of(const struct sl_conf *conf, const struct sl_config_variant *service);

/* Its retry policy, in the same way; the last resort is the entry "default". NULL: the built-in one. */
const char *sl_conf_retry_of(const struct sl_conf *conf, const struct sl_config_variant *service);

/* Its breaker and bulkhead: its own, else its venue's. NULL: none. */
const char *sl_conf_breaker_of(const struct sl_conf *conf, const struct sl_config_variant *service);
const char *sl_conf_bulkhead_of(const struct sl_conf *conf, const struct sl_config_variant *service);

/* How many partitions there are: what was said, or what fits the backend. */
uint64_t sl_conf_partitions(const struct sl_conf *conf);

/* ---- to the policies' own structs ---- */

/* Each entry as the policy object wants it. A NULL entry gives the built-in defaults. */
void sl_conf_retry_policy(const struct sl_conf_retry *retry, struct sl_retry_policy *ret_policy);
/* As a supervisor or outlet wants it: only the waits between attempts. */
struct sl_backoff sl_conf_backoff(const struct sl_conf_retry *retry);
bool sl_conf_retry_budget(const struct sl_conf_retry *retry,
                          struct sl_retry_budget_policy *ret_policy); /* false: none */
void sl_conf_breaker_policy(const struct sl_conf_breaker *breaker, struct sl_breaker_policy *ret_policy);
void sl_conf_bulkhead_options(const struct sl_conf_bulkhead *bulkhead, struct sl_bulkhead_options *ret_options);

/* Writes the limits into `rates`; the count. `limit` must not be NULL. */
size_t sl_conf_limit_rates(const struct sl_conf_limit *limit, struct sl_rate rates[SL_RATES_MAX]);

/* Everything for sl_limiter_create(); `rates` must last until then, `name` is borrowed. */
void sl_conf_limiter_options(const char *name, const struct sl_conf_limit *limit, struct sl_rate rates[SL_RATES_MAX],
                             struct sl_limiter_options *ret_options);

/* Of the runtime; what the configuration does not say is 0. */
void sl_conf_run_options(const struct sl_conf *conf, struct sl_run_options *ret_options);

/* ---- texts ---- */

#define SL_CONF_HOST_MAX 256

/* "127.0.0.1:8080", "[::1]:8080", "localhost:0": host without brackets and port. False: it is none of these. */
bool sl_conf_listen_parse(const char *text, char host[SL_CONF_HOST_MAX], uint16_t *ret_port);

/* Whether only this machine can reach that host: 127.0.0.0/8, ::1, localhost. */
bool sl_conf_host_is_loopback(const char *host);

/*
 * A time: "2026-01-31", "2026-01-31T08:00:00Z" (and with fractions and offsets), or "30d" before `now`. Nanoseconds since
 * 1970. False: it is none of these.
 */
bool sl_conf_time_parse(const char *text, int64_t now_ns, int64_t *ret_ns);

#ifdef __cplusplus
}
#endif

#endif
