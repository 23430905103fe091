/* SPDX-License-Identifier: MIT */
/* Candles of the simulated venues: how they are made of trades, and when who has subscribed is told of them. */
#include "exchange/candles.h"

#include "exchange/simulated_internal.h"

struct sl_simulated_candle sl__candle_begin(const sl_market_event *trade, int64_t interval_ns)
{
    struct sl_simulated_candle candle = {.open_ns = trade->venue_time_ns - trade->venue_time_ns % interval_ns,
                                         .interval_ns = interval_ns,
                                         .open = trade->as.trade.price,
                                         .high = trade->as.trade.price,
                                         .low = trade->as.trade.price};
    sl__candle_add(&candle, trade);
    return candle;
}

void sl__candle_add(struct sl_simulated_candle *candle, const sl_market_event *event)
{
    const sl_trade *trade = &event->as.trade;
    sl_decimal sum;
    candle->high = sl_decimal_compare(trade->price, candle->high) > 0 ? trade->price : candle->high;
    candle->low = sl_decimal_compare(trade->price, candle->low) < 0 ? trade->price : candle->low;
    candle->close = trade->price;
    if (sl_decimal_add(candle->volume, trade->quantity, &sum) == 0) {
        candle->volume = sum;
    }
    candle->trades++;
}

/* ---- telling ---- */

static void tell(struct venue *venue, struct wish *wish, enum sl_candle_word word)
{
    sl__write_begin(&venue->text);
    if (!wish->client->gone && !wish->client->mute && venue->dialect->candle != NULL) {
        venue->dialect->candle(&venue->host, &wish->what, &wish->candle, word, &venue->text);
        if (venue->text.failed == 0) {
            sl__client_deliver(venue, wish, SL_EVENT_CANDLE, &venue->text);
        }
    }
}

void sl__candle_subscribed(struct venue *venue, struct wish *wish)
{
    const struct board *board = sl__board_of(venue, wish->what.instrument);
    int64_t interval_ns = wish->what.interval_ns;
    int64_t from_ns = venue->host.now_ns - venue->host.now_ns % interval_ns;
    for (size_t at = 0; board != NULL && at < board->trade_count; at++) {
        const sl_market_event *trade = &board->trades[at];
        if (trade->venue_time_ns >= from_ns && wish->candle.interval_ns == 0) {
            wish->candle = sl__candle_begin(trade, interval_ns);
        } else if (trade->venue_time_ns >= from_ns) {
            sl__candle_add(&wish->candle, trade);
        }
    }
    if (wish->candle.interval_ns != 0) {
        tell(venue, wish, SL_CANDLE_FIRST);
    }
}

static void close_candle(struct venue *venue, struct wish *wish)
{
    if (wish->candle.interval_ns != 0) {
        tell(venue, wish, SL_CANDLE_CLOSED);
        wish->candle.interval_ns = 0;
    }
}

void sl__candle_trade(struct venue *venue, struct wish *wish, const sl_market_event *trade)
{
    if (!sl__candle_has(&wish->candle, trade->venue_time_ns)) {
        close_candle(venue, wish);
        wish->candle = sl__candle_begin(trade, wish->what.interval_ns);
    } else {
        sl__candle_add(&wish->candle, trade);
    }
    tell(venue, wish, SL_CANDLE_GROWS);
}

void sl__candle_beat(struct venue *venue)
{
    venue->host.now_ns = sl__venue_wall(venue);
    for (struct sl_venue_client *client = venue->clients; client != NULL; client = client->next) {
        for (struct wish *wish = client->wishes; wish != NULL; wish = wish->next) {
            if (wish->candle.interval_ns != 0 && !sl__candle_has(&wish->candle, venue->host.now_ns)) {
                close_candle(venue, wish);
            }
        }
    }
}
