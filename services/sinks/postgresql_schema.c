/* SPDX-License-Identifier: MIT */
/* PostgreSQL's tables and rows: see postgresql_schema.h. */
#include "postgresql_schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "market/event_json.h"

#define ROW_MAX 3072

const char sl__postgresql_head[] = "time timestamptz NOT NULL, venue text NOT NULL, instrument text NOT NULL,"
                                   " symbol text NOT NULL, channel text NOT NULL, venue_time_ns bigint NOT NULL,"
                                   " receive_time_ns bigint NOT NULL, run bigint NOT NULL, number bigint NOT NULL";

#define NOTHING "DO NOTHING"
#define KEPT_BY_STAMP "run, number, time", NOTHING, NULL, NULL, NULL
#define A_TRADE "venue, symbol, channel, trade_id"

/*
 * A trade is the same at another time: Bitstamp's REST has whole seconds, its stream has microseconds. Asked row by row, by the
 * key's index, however large the table is; the bounds keep TimescaleDB to the chunks near it.
 */
#define TRADE_KNOWN                                                                                                    \
    "(SELECT true FROM trades t WHERE t.venue = s.venue AND t.symbol = s.symbol AND t.channel = s.channel"             \
    " AND t.trade_id = s.trade_id AND t.time BETWEEN s.time - interval '1 second' AND s.time + interval '1 second'"    \
    " LIMIT 1)"

const struct sl__postgresql_table sl__postgresql_tables[SL_EVENT_KIND_COUNT] = {
    [SL_EVENT_TRADE] =
        {"trades",
         "trade_id text NOT NULL, first_id bigint NOT NULL, last_id bigint NOT NULL,"
         " price numeric NOT NULL, quantity numeric NOT NULL, taker text NOT NULL, off_book bool NOT NULL",
         A_TRADE ", time", NOTHING, A_TRADE ", time DESC", TRADE_KNOWN, A_TRADE},
    [SL_EVENT_BOOK_DELTA] = {"book_deltas",
                             "first_id bigint NOT NULL, last_id bigint NOT NULL, previous_id bigint, checksum bigint,"
                             " depth bigint NOT NULL, bids jsonb NOT NULL, asks jsonb NOT NULL",
                             KEPT_BY_STAMP},
    [SL_EVENT_BOOK_SNAPSHOT] = {"book_snapshots",
                                "last_id bigint NOT NULL, checksum bigint, depth bigint NOT NULL, bids jsonb NOT NULL,"
                                " asks jsonb NOT NULL",
                                KEPT_BY_STAMP},
    [SL_EVENT_BEST] = {"top_of_book",
                       "update_id bigint NOT NULL, bid_price numeric NOT NULL, bid_quantity numeric NOT NULL,"
                       " ask_price numeric NOT NULL, ask_quantity numeric NOT NULL",
                       KEPT_BY_STAMP},
    [SL_EVENT_TICKER] = {"tickers",
                         "last numeric NOT NULL, open numeric NOT NULL, high numeric NOT NULL, low numeric NOT NULL,"
                         " volume numeric NOT NULL, quote_volume numeric NOT NULL, bid_price numeric NOT NULL,"
                         " bid_quantity numeric NOT NULL, ask_price numeric NOT NULL, ask_quantity numeric NOT NULL",
                         KEPT_BY_STAMP},
    [SL_EVENT_CANDLE] =
        {"candles",
         "interval_ns bigint NOT NULL, open numeric NOT NULL, high numeric NOT NULL,"
         " low numeric NOT NULL, close numeric NOT NULL, volume numeric NOT NULL, trades bigint NOT NULL,"
         " closed bool NOT NULL",
         "venue, symbol, interval_ns, time",
         "DO UPDATE SET venue_time_ns = excluded.venue_time_ns,"
         " receive_time_ns = excluded.receive_time_ns, run = excluded.run, number = excluded.number,"
         " open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,"
         " volume = excluded.volume, trades = excluded.trades, closed = excluded.closed"
         " WHERE (excluded.closed, excluded.receive_time_ns, excluded.run, excluded.number)"
         " > (candles.closed, candles.receive_time_ns, candles.run, candles.number)",
         "venue, symbol, interval_ns, time, closed DESC, receive_time_ns DESC, run DESC, number DESC", NULL, NULL},
    [SL_EVENT_FUNDING] = {"funding", "mark_price numeric, index_price numeric, rate numeric, next_time_ns bigint",
                          KEPT_BY_STAMP},
    [SL_EVENT_LIQUIDATION] = {"liquidations", "side text NOT NULL, price numeric NOT NULL, quantity numeric NOT NULL",
                              KEPT_BY_STAMP},
    [SL_EVENT_OPEN_INTEREST] = {"open_interest", "quantity numeric NOT NULL, value numeric NOT NULL", KEPT_BY_STAMP},
    [SL_EVENT_STATUS] = {"instrument_status", "status text NOT NULL", KEPT_BY_STAMP},
    [SL_EVENT_GAP] = {"gaps",
                      "reason text NOT NULL, from_id bigint NOT NULL, to_id bigint NOT NULL, healed bool NOT NULL,"
                      " healed_id bigint",
                      KEPT_BY_STAMP},
};

/* ---- rows: values behind one another, each with a tab before it ---- */

static char *put_text(char *at, const char *text)
{
    size_t length = strlen(text);
    *at++ = '\t';
    memcpy(at, text, length);
    return at + length;
}

/* A symbol or name: printable ASCII; only the backslash means something to COPY. */
static char *put_name(char *at, const char *text)
{
    *at++ = '\t';
    for (; *text != '\0'; text++) {
        if (*text == '\\') {
            *at++ = '\\';
        }
        *at++ = *text;
    }
    return at;
}

static char *put_null(char *at)
{
    return put_text(at, "\\N");
}

static char *put_int(char *at, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, value);
    return put_text(at, text);
}

static char *put_int_if(char *at, int64_t value, bool given)
{
    return given ? put_int(at, value) : put_null(at);
}

static char *put_decimal(char *at, sl_decimal decimal)
{
    *at++ = '\t';
    return at + sl_decimal_format(decimal, SL_DECIMAL_SCALED, at);
}

static char *put_decimal_if(char *at, sl_decimal decimal, bool given)
{
    return given ? put_decimal(at, decimal) : put_null(at);
}

static char *put_bool(char *at, bool value)
{
    return put_text(at, value ? "t" : "f");
}

static char *put_level(char *at, const sl_level *level)
{
    return put_decimal(put_decimal(at, level->price), level->quantity);
}

static char *put_levels(char *at, const sl_levels *levels)
{
    *at++ = '\t';
    at += sl_levels_json_write(levels->bids, levels->bid_count, at);
    *at++ = '\t';
    return at + sl_levels_json_write(levels->asks, levels->ask_count, at);
}

static char *put_trade(char *at, const sl_trade *trade, sl_stamp stamp)
{
    char id[SL_STAMP_TEXT_MAX > SL_TRADE_ID_MAX ? SL_STAMP_TEXT_MAX : SL_TRADE_ID_MAX];
    if (trade->id != 0 || trade->uuid.high != 0 || trade->uuid.low != 0) {
        (void)sl_trade_id_format(trade, id);
    } else {
        (void)sl_stamp_format(stamp, id);
    }
    at = put_int(put_int(put_text(at, id), trade->first_id), trade->last_id);
    at = put_decimal(put_decimal(at, trade->price), trade->quantity);
    return put_bool(put_text(at, sl_side_name(trade->taker)), trade->off_book);
}

static char *put_delta(char *at, const sl_book_delta *delta)
{
    at = put_int(put_int(at, delta->first_id), delta->last_id);
    at = put_int_if(at, delta->previous_id, delta->has_previous);
    at = put_int_if(at, delta->checksum.value, delta->checksum.given);
    return put_levels(put_int(at, delta->depth), &delta->levels);
}

static char *put_snapshot(char *at, const sl_book_snapshot *snapshot)
{
    at = put_int_if(put_int(at, snapshot->last_id), snapshot->checksum.value, snapshot->checksum.given);
    return put_levels(put_int(at, snapshot->depth), &snapshot->levels);
}

static char *put_ticker(char *at, const sl_ticker *ticker)
{
    at = put_decimal(put_decimal(at, ticker->last), ticker->open);
    at = put_decimal(put_decimal(at, ticker->high), ticker->low);
    at = put_decimal(put_decimal(at, ticker->volume), ticker->quote_volume);
    return put_level(put_level(at, &ticker->bid), &ticker->ask);
}

static char *put_candle(char *at, const sl_candle *candle)
{
    at = put_decimal(put_decimal(put_int(at, candle->interval_ns), candle->open), candle->high);
    at = put_decimal(put_decimal(at, candle->low), candle->close);
    at = put_int(put_decimal(at, candle->volume), (int64_t)candle->trades);
    return put_bool(at, candle->closed);
}

static char *put_funding(char *at, const sl_funding *funding)
{
    at = put_decimal_if(at, funding->mark_price, funding->has_mark);
    at = put_decimal_if(at, funding->index_price, funding->has_index);
    at = put_decimal_if(at, funding->rate, funding->has_rate);
    return put_int_if(at, funding->next_time_ns, funding->next_time_ns != 0);
}

static char *put_gap(char *at, const sl_gap *gap)
{
    at = put_int(put_int(put_text(at, sl_gap_reason_name(gap->reason)), gap->from_id), gap->to_id);
    return put_int_if(put_bool(at, gap->healed), gap->healed_id, gap->healed);
}

static char *put_body(char *at, const sl_market_event *event, sl_stamp stamp)
{
    switch (event->kind) {
    case SL_EVENT_TRADE:
        return put_trade(at, &event->as.trade, stamp);
    case SL_EVENT_BOOK_DELTA:
        return put_delta(at, &event->as.delta);
    case SL_EVENT_BOOK_SNAPSHOT:
        return put_snapshot(at, &event->as.snapshot);
    case SL_EVENT_BEST:
        at = put_int(at, event->as.best.update_id);
        return put_level(put_level(at, &event->as.best.bid), &event->as.best.ask);
    case SL_EVENT_TICKER:
        return put_ticker(at, &event->as.ticker);
    case SL_EVENT_CANDLE:
        return put_candle(at, &event->as.candle);
    case SL_EVENT_FUNDING:
        return put_funding(at, &event->as.funding);
    case SL_EVENT_LIQUIDATION:
        at = put_text(at, sl_side_name(event->as.liquidation.side));
        return put_decimal(put_decimal(at, event->as.liquidation.price), event->as.liquidation.quantity);
    case SL_EVENT_OPEN_INTEREST:
        return put_decimal(put_decimal(at, event->as.open_interest.quantity), event->as.open_interest.value);
    case SL_EVENT_STATUS:
        return put_text(at, sl_instrument_status_name(event->as.status));
    default:
        return put_gap(at, &event->as.gap);
    }
}

/* "2024-11-21 10:21:40.123456+00": PostgreSQL keeps microseconds. */
static char *put_time(char *at, int64_t time_ns)
{
    int64_t second = time_ns / 1000000000 - (time_ns % 1000000000 < 0 ? 1 : 0);
    int64_t rest = time_ns - second * 1000000000;
    time_t clock = (time_t)second;
    struct tm parts;
    char text[64] = "epoch";
    if (gmtime_r(&clock, &parts) != NULL) {
        (void)snprintf(text, sizeof(text), "%04d-%02d-%02d %02d:%02d:%02d.%06d+00", parts.tm_year + 1900,
                       parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, (int)(rest / 1000));
    }
    size_t length = strlen(text);
    memcpy(at, text, length);
    return at + length;
}

static int64_t time_of(const sl_market_event *event)
{
    if (event->kind == SL_EVENT_CANDLE) {
        return event->as.candle.open_time_ns;
    }
    return event->venue_time_ns != 0 ? event->venue_time_ns : event->receive_time_ns;
}

size_t sl__postgresql_row_bound(const sl_market_event *event)
{
    size_t bids = 0;
    size_t asks = 0;
    if (event->kind == SL_EVENT_BOOK_DELTA || event->kind == SL_EVENT_BOOK_SNAPSHOT) {
        const sl_levels *levels =
            event->kind == SL_EVENT_BOOK_DELTA ? &event->as.delta.levels : &event->as.snapshot.levels;
        bids = levels->bid_count;
        asks = levels->ask_count;
    }
    return ROW_MAX + sl_levels_json_bound(bids) + sl_levels_json_bound(asks);
}

size_t sl__postgresql_row_write(const sl_market_event *event, sl_stamp stamp, char *buffer)
{
    char *at = put_time(buffer, time_of(event));
    at = put_name(put_text(at, sl_venue_name(event->instrument->venue)), event->instrument->name);
    at = put_text(put_name(at, event->instrument->symbol), sl_feed_name(event->feed));
    at = put_int(put_int(at, event->venue_time_ns), event->receive_time_ns);
    at = put_int(put_int(at, (int64_t)(stamp.run & INT64_MAX)), (int64_t)(stamp.number & INT64_MAX));
    at = put_body(at, event, stamp);
    *at++ = '\n';
    return (size_t)(at - buffer);
}
