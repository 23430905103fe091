/* SPDX-License-Identifier: MIT */
/*
 * What a venue is to the rest: a table of facts and of functions without I/O. One folder a venue; what is the
 * same for all (connections, subscriptions' states, books, limits, heartbeats) lives in services/ingest and
 * services/market and asks this table. Sources of each fact stand in the venue's own file.
 *
 * Streams:  stream_path() says where to connect, subscribe() what to send, decode() what came.
 * Requests: rest_path() says what to GET, decode_rest() what the answer means.
 *
 * Nothing here waits or allocates a message once the largest one was seen; one thread at a time a decoder.
 */
#ifndef SLUICE_VENUES_VENUE_H
#define SLUICE_VENUES_VENUE_H

#include "market/book.h"
#include "market/event.h"
#include "market/keeper.h"
#include "sluice/json.h"
#include "sluice/memory.h"
#include "sluice/rate_limit.h"
#include "sluice/time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A decoder's limits: levels a side in one message, and a message's size; defaults. */
#define SL_VENUE_LEVELS_DEFAULT 100000
#define SL_VENUE_MESSAGE_DEFAULT_BYTES ((size_t)16 << 20)

/* The longest text that sl_venue_problem() gives, with its NUL. */
#define SL_VENUE_PROBLEM_MAX 256

/* A buffer for one control message, and for a path with its query; limits of venues below it apply first. */
#define SL_VENUE_CONTROL_MAX ((size_t)64 << 10)
#define SL_VENUE_PATH_MAX ((size_t)32 << 10)

/* One thing to subscribe to. Equal ones are the same subscription. */
typedef struct sl_subscription {
    sl_feed feed;
    const sl_instrument *instrument; /* of the driver's venue */
    uint32_t depth;                  /* DEPTH: levels a side, one the venue offers (0: its default) */
    int64_t interval_ns;             /* CANDLES: length; DEPTH: between messages (0: the fastest) */
} sl_subscription;

/* What a message was, when it is not market data. */
typedef enum sl_notice_kind {
    SL_NOTICE_NONE = 0,
    SL_NOTICE_SUBSCRIBED,   /* acknowledged: what request_id, feed and instrument, as far as set, all fit */
    SL_NOTICE_UNSUBSCRIBED, /* likewise; Binance answers both alike: there the request_id says what it was */
    SL_NOTICE_REFUSED,      /* a subscription was refused: `text` says why; permanent when `permanent` */
    SL_NOTICE_HEARTBEAT,    /* the venue is alive */
    SL_NOTICE_PONG,         /* the answer to our ping */
    SL_NOTICE_PING,         /* to be answered with `text` as it is */
    SL_NOTICE_RECONNECT,    /* the venue will cut this connection soon: make another one first */
    SL_NOTICE_RATE_LIMITED, /* too many of our messages; those not acknowledged have to be sent again, slower */
    SL_NOTICE_STATUS,       /* the venue's own state: `text` ("online", "maintenance") */
    SL_NOTICE_ERROR,        /* any other error of the venue: `code` and `text` */
    SL_NOTICE_LAST_TRADE,   /* a heartbeat that names the last trade: `id`, of `instrument` (Coinbase) */
    SL_NOTICE_COUNT,
} sl_notice_kind;

typedef struct sl_venue_notice {
    sl_notice_kind kind;
    bool permanent;
    int64_t request_id;  /* 0: none */
    sl_feed feed;        /* SL_FEED_NONE: not told */
    int64_t interval_ns; /* of candles; 0: not told */
    const sl_instrument *instrument;
    sl_json_text symbol; /* as the venue wrote it, when `instrument` is NULL because the table has none */
    int64_t code;        /* the venue's own number, or 0 */
    int64_t id;
    sl_json_text text; /* borrowed until the next message; foreign text: not to be trusted, may be empty */
} sl_venue_notice;

/*
 * Where a decoder gives what it found, in the message's order. Each may return an error, which ends the message
 * and is what decode() returns. They may wait: the decoder keeps nothing of the task.
 */
typedef struct sl_venue_output {
    void *arg;
    int (*event)(void *arg, const sl_market_event *event);
    int (*notice)(void *arg, const sl_venue_notice *notice);
    /*
     * Such an event is likely to come next, as soon as the rest of the message is read: what is held of the instrument
     * may be fetched into the processor's cache meanwhile. Must not wait or change anything. May be NULL; decoders may
     * never call it.
     */
    void (*expect)(void *arg, const sl_instrument *instrument, sl_feed feed);
    /*
     * A row of a list that could not be read (sl_venue_problem() says why): it is left out, the others are read, and the
     * message is no failure. The text is the message's. NULL: the message fails behind its last row.
     */
    void (*bad_row)(void *arg, const char *text, size_t size_bytes, int code);
} sl_venue_output;

/* A message to decode. */
typedef struct sl_venue_message {
    const char *text;
    size_t size_bytes;
    unsigned json_flags;     /* SL_JSON_PADDED or 0 */
    int64_t receive_time_ns; /* put into the events */
} sl_venue_message;

typedef struct sl_venue_decoder sl_venue_decoder;

typedef struct sl_venue_decoder_options {
    sl_venue venue;
    const sl_instruments *instruments; /* symbols are looked up here; those it lacks are counted and skipped */
    uint32_t connection;               /* put into each event */
    size_t levels_max;                 /* 0: SL_VENUE_LEVELS_DEFAULT */
    size_t message_max_bytes;          /* 0: SL_VENUE_MESSAGE_DEFAULT_BYTES */
} sl_venue_decoder_options;

/* What a decoder has seen; every message is in exactly one of decoded, notices, unknown and bad (also by one row). */
typedef struct sl_venue_stats {
    uint64_t decoded;         /* gave at least one event, or would have but for instruments that are not wanted */
    uint64_t notices;         /* control messages */
    uint64_t unknown;         /* well-formed, but of a kind that is not known: SL_ENOTSUP */
    uint64_t bad;             /* malformed or hostile */
    uint64_t events;          /* given out */
    uint64_t unknown_symbols; /* events left out: their instrument is not in the table */
} sl_venue_stats;

/* What is asked of a venue by REST. */
typedef enum sl_venue_request_kind {
    SL_REQUEST_NONE = 0,
    SL_REQUEST_INSTRUMENTS,   /* the list; page by page with `cursor` */
    SL_REQUEST_SNAPSHOT,      /* the book of an instrument, `limit` levels */
    SL_REQUEST_TRADES,        /* past trades of an instrument, from `from_id` or `from_time_ns` on */
    SL_REQUEST_CANDLES,       /* past candles of an instrument */
    SL_REQUEST_OPEN_INTEREST, /* of an instrument */
    SL_REQUEST_TICKER,        /* statistics of the last 24 hours; this and the next two: see `bulk` of the driver */
    SL_REQUEST_BEST,          /* best bid and offer */
    SL_REQUEST_FUNDING,       /* mark price, index price, funding rate */
    SL_REQUEST_KIND_COUNT,
} sl_venue_request_kind;

#define SL_VENUE_CURSOR_MAX 256

/* The most limits that a venue has for its requests. */
#define SL_VENUE_RATES_MAX 4

typedef struct sl_venue_request {
    sl_venue_request_kind kind;
    const sl_instrument *instrument; /* but for INSTRUMENTS; NULL: of all at once, where the venue has that */
    sl_feed feed;                    /* TRADES: SL_FEED_AGG_TRADES for those, if the venue has them; else single ones */
    uint32_t limit;                  /* levels or rows; 0: the most that the venue gives at the lowest cost a row */
    int64_t from_id;                 /* TRADES: the first id wanted; 0: by time */
    int64_t from_time_ns;            /* TRADES, CANDLES: ns since 1970; 0: the latest */
    int64_t to_time_ns;              /* CANDLES: where the venue wants an end; 0: none */
    int64_t interval_ns;             /* CANDLES */
    char cursor[SL_VENUE_CURSOR_MAX]; /* "" for the first page; then what the answer said */
} sl_venue_request;

/* What came of an answer, besides its events. */
typedef struct sl_venue_answer {
    size_t rows;                      /* events or instruments in it */
    bool more;                        /* there are further rows: ask again with `cursor` or the last id */
    char cursor[SL_VENUE_CURSOR_MAX]; /* of the next page */
    int64_t last_id;                  /* of trades: the last one in it */
    int64_t error_code;               /* the venue's own, when the answer is an error (SL_EPROTO, SL_EAGAIN…) */
    bool no_symbol;                   /* the venue does not know the instrument: asking again is no use */
    bool rate_limited;                /* it is a limit's answer, in whatever status (body of a 200, too) */
} sl_venue_answer;

/* The limits of a venue's streams. 0: none known. */
typedef struct sl_venue_stream_limits {
    uint32_t per_connection; /* subscriptions */
    uint32_t per_message;    /* subscriptions in one control message */
    size_t message_bytes;    /* of one control message */
    size_t connection_bytes; /* of all subscriptions' names on one connection (Bybit) */
    uint32_t messages,
        messages_burst; /* control messages per `messages_per` of one connection; the burst is part of them */
    sl_time messages_per;
    uint32_t connects; /* new connections per `connects_per` of one address */
    sl_time connects_per;
    sl_time max_age;    /* the venue cuts a connection at this age: renew before */
    sl_time ping_every; /* we have to ping (with ping(), or a WebSocket ping where that is NULL) */
    sl_time silence;    /* a connection without any message for so long is dead */
    bool acknowledges;  /* each subscription is answered */
    sl_time ack_within; /* or it is asked again */
} sl_venue_stream_limits;

typedef struct sl_venue_driver {
    sl_venue venue;
    const char *title;         /* "Binance USD-M futures" */
    const char *stream_origin; /* "wss://fstream.binance.com" */
    const char *rest_origin;   /* "https://fapi.binance.com" */
    unsigned feeds;            /* SL_FEED_BIT() of those that streams offer */
    unsigned requests;         /* 1u << SL_REQUEST_… of those that REST offers */
    unsigned bulk;             /* of these, those that may be asked without an instrument: of all of the venue */
    bool consecutive_trades;   /* trade ids have no holes: a hole is a loss */
    unsigned trade_ranges; /* SL_FEED_BIT() of feeds whose one event is all ids from first_id to last_id; else `id` */
    bool trades_need_key;  /* requests for single trades by `from_id` want an API key in a header */
    sl_book_rule book_rule;
    sl_book_checksum_fn book_checksum; /* NULL where the venue tells none */
    sl_venue_stream_limits limits;
    struct sl_rate
        rates[SL_VENUE_RATES_MAX]; /* of REST requests, in units of cost(), of one address; count 0: no more */
    const char *limit_dialect;     /* how its answers tell of limits: see sl_limit_dialect_find(); NULL: "standard" */

    /* A decoder for one connection. 0, SL_EINVAL, SL_ENOMEM. */
    int (*decoder_new)(const sl_venue_decoder_options *options, sl_venue_decoder **ret_decoder);

    /*
     * One message of a stream; to be called through sl_venue_decode(), which counts. 0; SL_EPROTO (malformed, a field missing or of the wrong kind), SL_ENOTSUP (a
     * well-formed message of a kind that is not known), SL_ERANGE (a number that cannot be represented),
     * SL_EMSGSIZE (over a limit), SL_ENOMEM, or what an output returned. What was given out before an error
     * stands. Text: sl_venue_problem().
     */
    int (*decode)(sl_venue_decoder *decoder, const sl_venue_message *message, const sl_venue_output *output);

    /*
     * Bytes that have come behind the message that is decoded next, unchecked: what the one behind it will need may be
     * fetched into the processor's cache meanwhile. Changes nothing. May be NULL.
     */
    void (*look_ahead)(const sl_venue_decoder *decoder, const char *bytes, size_t size_bytes);

    /*
     * Writes the path and query to connect to for these subscriptions, NUL-terminated; returns its length,
     * SL_EINVAL (they cannot share a connection; a symbol with characters that do not belong there), SL_EMSGSIZE.
     */
    int (*stream_path)(const sl_subscription *subscriptions, size_t count, char *buffer, size_t size_bytes);

    /*
     * Whether two subscriptions may be on one connection (USD-M has routes by feed). NULL: any may.
     */
    bool (*together)(const sl_subscription *a, const sl_subscription *b);

    /*
     * Writes the control message that subscribes to (or, with `off`, leaves) the first of these subscriptions that
     * fit into one message. Returns how many they are (> 0) and the text's length; SL_EINVAL, SL_EMSGSIZE.
     */
    int (*subscribe)(const sl_subscription *subscriptions, size_t count, bool off, int64_t request_id, char *buffer,
                     size_t size_bytes, size_t *ret_size_bytes);

    /* Writes what a connection is told first, before anything is subscribed to; its length. NULL: nothing. */
    int (*hello)(char *buffer, size_t size_bytes);

    /*
     * Instead of subscribe() with `off`, where that takes what the venue has told the decoder of its connection (a number
     * of its own for the channel). 1 and the text's length; 0: the venue has told nothing of it; SL_EINVAL, SL_EMSGSIZE.
     */
    int (*leave)(const sl_venue_decoder *decoder, const sl_subscription *subscription, int64_t request_id, char *buffer,
                 size_t size_bytes, size_t *ret_size_bytes);

    /* Writes the text of a client's ping; its length. NULL: the venue wants WebSocket pings, or none. */
    int (*ping)(int64_t request_id, char *buffer, size_t size_bytes);

    /* Writes path and query of a request, NUL-terminated; its length, SL_EINVAL, SL_ENOTSUP, SL_EMSGSIZE. */
    int (*rest_path)(const sl_venue_request *request, char *buffer, size_t size_bytes);

    /*
     * The answer to a request, whatever its HTTP status; through sl_venue_decode_rest(). Events go to `output`; of INSTRUMENTS, definitions go
     * into `instruments` (those that were there are updated). Errors as decode(), and SL_EAGAIN for the venue's
     * own errors that may be asked again.
     */
    int (*decode_rest)(sl_venue_decoder *decoder, const sl_venue_request *request, const sl_venue_message *message,
                       const sl_venue_output *output, sl_instruments *instruments, sl_venue_answer *ret_answer);

    /* What a request costs of the venue's limits, in its own units ("weight"); NULL: 1. */
    uint32_t (*cost)(const sl_venue_request *request);

    void (*decoder_free)(sl_venue_decoder *decoder);
} sl_venue_driver;

/* Private: levels of one side of a message; grows, never shrinks. */
struct sl__venue_side {
    sl_level *levels;
    size_t count;
    size_t capacity;
};

/* Every driver begins its decoder with this; see decode.h. */
struct sl_venue_decoder {
    const sl_venue_driver *driver;
    sl_venue_decoder_options options;
    sl_venue_stats stats;
    sl_json *json;
    struct sl__venue_side bids, asks;
    bool gave_event, gave_notice; /* by this message */
    bool left_row;                /* of this message: it could not be read */
    int output_code;              /* what an output returned, if negative */
    char problem[SL_VENUE_PROBLEM_MAX];
};

/* The driver of a venue, NULL if there is none. */
const sl_venue_driver *sl_venue_driver_of(sl_venue venue);

/* What a request costs of the venue's limits, in its own units. */
uint32_t sl_venue_cost(const sl_venue_driver *driver, const sl_venue_request *request);

/* A decoder of the driver of options->venue; SL_EINVAL when there is none. */
SL_MUST_CHECK int sl_venue_decoder_new(const sl_venue_decoder_options *options, sl_venue_decoder **ret_decoder);
void sl_venue_decoder_free(sl_venue_decoder *decoder);
SL_AUTO_DECLARE(sl_venue_decoder, sl_venue_decoder_free)

/* The driver's decode() and decode_rest(), counted in the decoder's stats. */
SL_MUST_CHECK int sl_venue_decode(sl_venue_decoder *decoder, const sl_venue_message *message,
                                  const sl_venue_output *output);
SL_MUST_CHECK int sl_venue_decode_rest(sl_venue_decoder *decoder, const sl_venue_request *request,
                                       const sl_venue_message *message, const sl_venue_output *output,
                                       sl_instruments *instruments, sl_venue_answer *ret_answer);

/* What was wrong with the last message that failed, "" if none has. */
static inline const char *sl_venue_problem(const sl_venue_decoder *decoder)
{
    return decoder->problem;
}

#ifdef __cplusplus
}
#endif

#endif
