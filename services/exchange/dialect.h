/* SPDX-License-Identifier: MIT */
/*
 * How one venue speaks, from the venue's side: what its streams and answers look like and what it understands. One
 * file a venue, written from the venues' documentation and not from our decoders, so that the two check each other.
 * No I/O: texts go into a sl_render, questions come as text.
 */
#ifndef SLUICE_EXCHANGE_DIALECT_H
#define SLUICE_EXCHANGE_DIALECT_H

#include "exchange/candles.h"
#include "exchange/render.h"
#include "exchange/truth.h"
#include "sluice/json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The longest name of a stream as a client writes it, with its NUL. */
#define SL_STREAM_NAME_MAX 96

/* Trades that a venue's history keeps for each instrument. */
#define SL_HISTORY_TRADES 1000

struct sl_venue_client;

/* One client's subscription, as it was asked for. */
struct sl_wish {
    sl_feed feed;
    const sl_instrument *instrument;
    uint32_t depth;                /* 0: the venue's default */
    int64_t interval_ns;           /* of candles */
    char name[SL_STREAM_NAME_MAX]; /* of the stream, where the venue's messages carry it; "" otherwise */
};

/* What a dialect may ask of its venue and tell its client. */
struct sl_dialect_host {
    const struct sl_dialect *dialect;
    void *venue;
    const sl_instruments *instruments;
    const sl_truth *truth;
    int64_t now_ns; /* wall clock */
    sl_json *json;  /* a parser for what clients say */
    bool checksums; /* of books are told, where they may be left out (OKX) */
    /* What is wrong with the message that is heard or written now. */
    bool refuse;   /* its subscriptions are refused for now */
    bool limit;    /* it is one too many; what is in it beyond a part is not done */
    bool bad_link; /* the change does not name the one before it, or its checksum is another one */
    /* Sends a text to the client, behind what was sent before. */
    void (*say)(struct sl_venue_client *client, const struct sl_render *text);
    /* Subscribes (or leaves): 1 done, 0 there was (or is not) such a one, SL_EBUSY for a limit. */
    int (*wish)(struct sl_venue_client *client, const struct sl_wish *wish, bool off);
    /* The path that the client came by. */
    const char *(*path)(const struct sl_venue_client *client);
    /* What the client has subscribed to, behind one of those (NULL: the first of them); NULL behind the last. */
    const struct sl_wish *(*wished)(const struct sl_venue_client *client, const struct sl_wish *after);
    /* The trades of an instrument from an id on, oldest first, at most `limit` (the newest ones where from_id is 0). */
    size_t (*history)(void *venue, const sl_instrument *instrument, int64_t from_id, size_t limit,
                      const sl_market_event **ret_events);
};

/* A REST request: the path without the venue's prefix, and what is behind the '?'. */
struct sl_rest_question {
    const char *path;
    const char *query;
};

struct sl_rest_reply {
    int status;                      /* 0: no such path */
    unsigned weight;                 /* what it costs */
    bool snapshot;                   /* it is a book's snapshot */
    const sl_instrument *instrument; /* that it is about; NULL: none */
};

/* What is said of a candle: how it stands as the subscription begins, after a trade, that it has ended. */
enum sl_candle_word { SL_CANDLE_FIRST, SL_CANDLE_GROWS, SL_CANDLE_CLOSED };

typedef struct sl_dialect {
    sl_venue venue;
    size_t levels;                  /* of the books, a side; 0: the default */
    bool timed, consecutive, uuids; /* as in sl_truth_options */
    bool frames;                    /* a message may stand in one that names its stream: where the wish has a name */
    bool renumbers;                 /* ids of books may begin anew while they are followed */
    bool parts_limited;             /* hear() itself answers a message that is one too many, by host->limit */
    unsigned messages;              /* of one client in messages_ns; 0: as many as it likes */
    int64_t messages_ns;
    unsigned streams;     /* of one connection; it is closed for one more. 0: any */
    size_t names_bytes;   /* of their names together */
    size_t message_bytes; /* of one message of a client; it is closed for more */
    unsigned connects;    /* new connections in connects_ns; 0: any */
    int64_t connects_ns;
    bool snapshot_first;   /* the stream of a book begins with a snapshot */
    int64_t ping_every_ns; /* WebSocket pings that it sends; 0: none */
    int64_t heartbeat_ns;  /* time between two heartbeat() messages; 0: none */

    /* Fills the symbol of a listed pair; base, quote and type (spot) are set, settle and what differs it sets too. */
    void (*define)(const char *base, const char *quote, sl_instrument *instrument);

    /* A client has opened a stream on this path: what stands in it is subscribed, a greeting said. False: no such path. */
    bool (*open)(const struct sl_dialect_host *host, struct sl_venue_client *client,
                 const struct sl_rest_question *target);

    /* A client says something; answers are said. */
    void (*hear)(const struct sl_dialect_host *host, struct sl_venue_client *client, const char *text,
                 size_t size_bytes);

    /* Writes what a subscriber is sent of a change; false: nothing. */
    bool (*change)(const struct sl_dialect_host *host, const struct sl_wish *wish, const sl_truth_change *change,
                   struct sl_render *text);

    /* Writes what a subscriber to candles is sent of one; NULL: the venue has no such streams. */
    void (*candle)(const struct sl_dialect_host *host, const struct sl_wish *wish,
                   const struct sl_simulated_candle *candle, enum sl_candle_word word, struct sl_render *text);

    /* Writes the snapshot that the stream of a book begins with. */
    void (*snapshot)(const struct sl_dialect_host *host, const struct sl_wish *wish, struct sl_render *text);

    /* Writes a sign of life for one client, about one of its subscriptions (NULL: it has none); false: none is due. */
    bool (*heartbeat)(const struct sl_dialect_host *host, const struct sl_wish *wish, struct sl_render *text);

    /* Writes the venue's notice that clients should leave; false: it has none. */
    bool (*leave)(const struct sl_dialect_host *host, struct sl_render *text);

    /* Writes what it tells of its own state; false, or NULL: it has no word for that. */
    bool (*notice)(const struct sl_dialect_host *host, struct sl_render *text);

    /* Writes the answer to a message that is one too many; NULL: the client is closed with 1008. */
    void (*too_many)(struct sl_render *text);

    /* Answers a request. */
    struct sl_rest_reply (*rest)(const struct sl_dialect_host *host, const struct sl_rest_question *question,
                                 struct sl_render *text);

    /* Writes what it says, in a 200, to a client over its limit; NULL: it answers 429. */
    void (*limited)(struct sl_render *text);
} sl_dialect;

/* The dialect of a venue, NULL if there is none. */
const sl_dialect *sl_dialect_of(sl_venue venue);

/* ---- what dialects share ---- */

void sl__write_format(struct sl_render *render, const char *format, ...) SL_PRINTF(2, 3);

/* Levels of one side as [["p","q"],...], changes or (from a book) the best `depth` of them. */
void sl__write_changes(struct sl_render *render, const sl_level *levels, size_t count);
void sl__write_side(struct sl_render *render, const sl_book *book, sl_side side, size_t depth);

/* The value of a key of a query ("symbol" of "symbol=BTCUSDT&limit=5"), "" when it has none; its length. */
size_t sl__query_text(const char *query, const char *key, char *buffer, size_t size_bytes);
int64_t sl__query_number(const char *query, const char *key, int64_t otherwise);

/* The instrument of a symbol of any case among those of a venue; NULL. */
const sl_instrument *sl__find_symbol(const sl_instruments *instruments, sl_venue venue, const char *symbol,
                                     size_t size_bytes);

/* A length of candles as a venue writes it, and its seconds. A table ends with a NULL. */
struct sl_candle_length {
    const char *name;
    uint32_t seconds;
};

/* The length of a name in such a table in ns, 0: none has it; and its name. */
int64_t sl__length_of(const struct sl_candle_length *lengths, const char *name, size_t size_bytes);
const char *sl__length_name(const struct sl_candle_length *lengths, int64_t interval_ns);

/* `before`, a number, `after`. */
void sl__write_between(struct sl_render *render, const char *before, sl_decimal number, const char *after);

/* An instant as ISO 8601 with microseconds and a 'Z'. */
void sl__write_time(struct sl_render *render, int64_t time_ns);

extern const sl_dialect sl__dialect_binance_spot, sl__dialect_binance_usdm, sl__dialect_binance_coinm;
extern const sl_dialect sl__dialect_coinbase, sl__dialect_kraken, sl__dialect_okx, sl__dialect_bitstamp;
extern const sl_dialect sl__dialect_bybit_spot, sl__dialect_bybit_linear, sl__dialect_bybit_inverse;

#ifdef __cplusplus
}
#endif

#endif
