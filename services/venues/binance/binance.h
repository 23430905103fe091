/* SPDX-License-Identifier: MIT */
/*
 * Binance: turns the messages of its spot, USD-M and COIN-M markets into events, and makes the names of
 * streams and the paths of requests. No I/O. Sources: binance-spot-api-docs, developers.binance.com.
 *
 * Decoded are depthUpdate, trade, aggTrade, bookTicker and depth snapshots, each raw or inside a combined
 * stream's {"stream":..,"data":..}. Anything else is an error that says what and where; nothing is guessed.
 */
#ifndef SLUICE_BINANCE_H
#define SLUICE_BINANCE_H

#include "market/event.h"
#include "sluice/json.h"
#include "sluice/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Levels a side in one message: default limit and most. The largest REST answer has 5000. */
#define SL_BINANCE_LEVELS_DEFAULT 10000
#define SL_BINANCE_LEVELS_MAX 1000000

/* Default limit of a message's size. */
#define SL_BINANCE_MESSAGE_DEFAULT_BYTES ((size_t)4 << 20)

/* The longest text that sl_binance_problem() gives, with its NUL. */
#define SL_BINANCE_PROBLEM_MAX 256

/* The longest name of a stream, with its NUL. */
#define SL_BINANCE_STREAM_MAX 64

typedef struct sl_binance_options {
    sl_venue venue;           /* SL_VENUE_BINANCE_…: which market's messages */
    uint32_t connection;      /* put into each event */
    size_t levels_max;        /* 0: the default */
    size_t message_max_bytes; /* 0: the default */
} sl_binance_options;

/* A message to decode. */
typedef struct sl_binance_message {
    const char *text;
    size_t size_bytes;
    unsigned json_flags;     /* SL_JSON_PADDED or 0 */
    int64_t receive_time_ns; /* put into the event */
    const char *instrument;  /* for forms that name none (REST snapshots, partial books); may be NULL for the others */
} sl_binance_message;

typedef struct sl_binance sl_binance;

/* A decoder; one thread at a time. 0, SL_EINVAL (venue, limits), SL_ENOMEM. */
SL_MUST_CHECK int sl_binance_new(const sl_binance_options *options, sl_binance **ret_decoder);
void sl_binance_free(sl_binance *decoder);
SL_AUTO_DECLARE(sl_binance, sl_binance_free)

/*
 * Decodes one message. The event's levels belong to the decoder and live until the next call. No
 * allocation once the largest message was seen; never blocks. Returns 0, or
 * SL_EPROTO (malformed, an unknown form, a field missing or of the wrong kind, an error told by the venue),
 * SL_ENOTSUP (a well-formed event of a type that is not decoded, or an answer to a request),
 * SL_ERANGE (a number that cannot be represented), SL_EMSGSIZE (over a limit), SL_ENOMEM;
 * the text is in sl_error_last() of the task and in sl_binance_problem().
 */
SL_MUST_CHECK int sl_binance_decode(sl_binance *decoder, const sl_binance_message *message, sl_market_event *ret_event);

/* What was wrong with the last message that failed, "" if none has. */
const char *sl_binance_problem(const sl_binance *decoder);

/* The venue's own number when the last message was one of its errors ({"code":-1121,"msg":..}), else 0. */
int64_t sl_binance_error(const sl_binance *decoder);
#define SL_BINANCE_NO_SYMBOL (-1121)

/* Of the last message: its stream's name (empty for raw ones), and where in it the event's own object lies. */
sl_json_text sl_binance_stream_of(const sl_binance *decoder);
void sl_binance_data_of(const sl_binance *decoder, size_t *ret_offset, size_t *ret_size_bytes);

/* One stream to subscribe to. */
typedef struct sl_binance_stream {
    sl_feed feed;       /* TRADES, AGG_TRADES, DEPTH or BEST */
    const char *symbol; /* "BTCUSDT"; case does not matter */
    int interval_ms;    /* DEPTH only: 0 the fastest (100 ms spot, 0 ms futures), else what the venue offers */
} sl_binance_stream;

/*
 * Writes the name of a stream ("btcusdt@depth@100ms"), NUL-terminated. Returns its length, SL_EINVAL for a
 * symbol with other characters than letters, digits and '_' or a feed without stream, SL_EMSGSIZE.
 */
SL_MUST_CHECK int sl_binance_stream_name(sl_venue venue, const sl_binance_stream *stream, char *buffer,
                                         size_t size_bytes);

/*
 * Writes the path of a combined-stream connection ("/stream?streams=a/b"; USD-M "/public/stream?streams=a").
 * USD-M serves aggTrade on another route than the rest: SL_EINVAL when streams of both are asked for.
 * Returns its length, SL_EINVAL, SL_EMSGSIZE.
 */
SL_MUST_CHECK int sl_binance_stream_path(sl_venue venue, const sl_binance_stream *streams, size_t count, char *buffer,
                                         size_t size_bytes);

/*
 * Writes the path and query of a depth snapshot request ("/fapi/v1/depth?symbol=BTCUSDT&limit=1000"). `limit`
 * in levels: spot 1 to 5000; futures 5, 10, 20, 50, 100, 500 or 1000. Length, SL_EINVAL, SL_EMSGSIZE.
 */
SL_MUST_CHECK int sl_binance_depth_path(sl_venue venue, const char *symbol, int limit, char *buffer, size_t size_bytes);

/* The largest limit for sl_binance_depth_path(). 0 for a venue that is not Binance. */
int sl_binance_depth_limit(sl_venue venue);

/* Where the venue is ("wss://fstream.binance.com", "https://fapi.binance.com"); NULL for a venue that is not Binance. */
const char *sl_binance_stream_origin(sl_venue venue);
const char *sl_binance_rest_origin(sl_venue venue);

#ifdef __cplusplus
}
#endif

#endif
