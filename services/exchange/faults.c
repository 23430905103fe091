/* SPDX-License-Identifier: MIT */
/* The faults of simulated venues and the orders for them. See faults.h. */
#include "exchange/faults.h"

#include <stdio.h>
#include <string.h>

#include "exchange/simulated_internal.h"
#include "sluice/runtime.h"

/* X(fault, name, way, help). Sources of all: what the venues' documentation and their users tell of. */
#define FAULTS(X)                                                                                                      \
    X(NONE, "none", COUNTED, "nothing")                                                                                \
    X(DROP, "drop", COUNTED, "a change of a book is not sent to one client")                                           \
    X(DROP_TRADE, "drop-trade", COUNTED, "a trade is not sent to one client")                                          \
    X(DUPLICATE, "duplicate", COUNTED, "a message is sent twice")                                                      \
    X(REORDER, "reorder", COUNTED, "a message is sent behind the next one of its stream")                              \
    X(LATE_COPY, "late-copy", COUNTED, "a message is sent once more, several messages later")                          \
    X(BAD_LINK, "bad-link", COUNTED,                                                                                   \
      "a change of a book names another one before it, or has a wrong checksum, though nothing is missing")            \
    X(RENUMBER, "renumber", AT_ONCE, "`count` books begin to number anew (OKX: seqId falls; Bybit: u is 1)")           \
    X(SNAPSHOT_AGAIN, "snapshot-again", COUNTED, "a stream sends its whole book in between")                           \
    X(CUT, "cut", COUNTED, "a connection is cut without a word, with its next message")                                \
    X(CUT_ALL, "cut-all", AT_ONCE, "all connections are cut, as after 24 hours")                                       \
    X(CLOSE, "close", COUNTED, "a connection is closed with 1008")                                                     \
    X(LEAVE, "leave", AT_ONCE, "all are asked to leave, where the venue has a word for it; cut after the duration")    \
    X(HALF_OPEN, "half-open", COUNTED, "a connection stays open, but nothing comes or goes any more")                  \
    X(MUTE, "mute", COUNTED, "a connection is sent no more of one stream of one instrument until it subscribes anew")  \
    X(SILENT, "silent", LASTING, "nothing is sent, connections stay open")                                             \
    X(HEARTBEATS_ONLY, "heartbeats-only", LASTING, "nothing but signs of life")                                        \
    X(DEAF, "deaf", LASTING, "what clients say is not heard: no acknowledgement, no pong")                             \
    X(ACKS, "acks", COUNTED, "a subscription is done, but not answered")                                               \
    X(ACKS_LATE, "acks-late", LASTING, "answers wait until it is over")                                                \
    X(REFUSE_SUBSCRIPTION, "refuse-subscription", COUNTED, "a subscription is refused for now")                        \
    X(MESSAGE_LIMIT, "message-limit", COUNTED, "a message of a client is taken for one too many")                      \
    X(GARBAGE, "garbage", COUNTED, "half a message comes before a good one")                                           \
    X(HOSTILE, "hostile", COUNTED, "a message of a wrong form comes before a good one")                                \
    X(UNKNOWN, "unknown", COUNTED, "a message of an unknown kind comes before a good one")                             \
    X(EXTRA_FIELD, "extra-field", COUNTED, "a message has a field that nobody knows")                                  \
    X(OTHER_SYMBOL, "other-symbol", COUNTED, "a message of an instrument that is not listed comes before a good one")  \
    X(FRAGMENT, "fragment", COUNTED, "a message comes in fragments")                                                   \
    X(PING_INSIDE, "ping-inside", COUNTED, "a message comes in fragments with a ping between them")                    \
    X(PING, "ping", COUNTED, "a WebSocket ping comes; who does not answer within 10 s is cut")                         \
    X(NOTICE, "notice", COUNTED, "the venue tells of its own state, where it has a word for it")                       \
    X(CLOCK_AHEAD, "clock-ahead", AT_ONCE, "the venue's clock is ahead by the duration from now on")                   \
    X(CLOCK_BEHIND, "clock-behind", AT_ONCE, "the venue's clock is behind by the duration from now on")                \
    X(SNAPSHOT_OLD, "snapshot-old", COUNTED, "a request for a book is answered as the one before")                     \
    X(SNAPSHOT_NEVER, "snapshot-never", COUNTED, "a request for a book is not answered")                               \
    X(SNAPSHOT_SLOW, "snapshot-slow", COUNTED, "the answer to a request for a book comes byte by byte")                \
    X(HTTP_429, "http-429", COUNTED, "a request is refused with 429")                                                  \
    X(HTTP_429_AFTER, "http-429-after", COUNTED, "likewise, with the duration in Retry-After")                         \
    X(HTTP_418, "http-418", LASTING, "the address is banned, and told until when")                                     \
    X(HTTP_403, "http-403", COUNTED, "a request is refused with 403")                                                  \
    X(HTTP_500, "http-500", COUNTED, "a request fails with 500")                                                       \
    X(HTTP_GARBAGE, "http-garbage", COUNTED, "a request is answered with half of its JSON")                            \
    X(BODY_LIMIT, "body-limit", COUNTED, "a limit is told in the body of a 200; 429 where the venue does not do that") \
    X(WEIGHT, "weight", AT_ONCE, "other clients of the address use so much of its limit (Binance)")                    \
    X(REFUSE, "refuse", LASTING, "new streams are refused with 503")                                                   \
    X(LIST, "list", AT_ONCE, "so many instruments are listed")                                                         \
    X(HALT, "halt", AT_ONCE, "so many instruments are halted, and traded again after the duration")                    \
    X(DELIST, "delist", AT_ONCE, "so many instruments are no more")

#define NAME_OF(fault, text, way, help) [SL_FAULT_##fault] = (text),
#define WAY_OF(fault, text, way, help) [SL_FAULT_##fault] = SL_FAULT_##way,
#define HELP_OF(fault, text, way, help) [SL_FAULT_##fault] = (help),

const char *const sl_fault_names[SL_FAULT_COUNT] = {FAULTS(NAME_OF)};
static const sl_fault_way ways[SL_FAULT_COUNT] = {FAULTS(WAY_OF)};
static const char *const helps[SL_FAULT_COUNT] = {FAULTS(HELP_OF)};

const char *sl_fault_name(sl_fault fault)
{
    return (unsigned)fault < SL_FAULT_COUNT ? sl_fault_names[fault] : "?";
}

const char *sl_fault_help(sl_fault fault)
{
    return (unsigned)fault < SL_FAULT_COUNT ? helps[fault] : "?";
}

sl_fault_way sl_fault_way_of(sl_fault fault)
{
    return (unsigned)fault < SL_FAULT_COUNT ? ways[fault] : SL_FAULT_AT_ONCE;
}

/* ---- orders ---- */

static bool concerns(const struct order *order, sl_fault fault, const sl_instrument *instrument)
{
    return order->fault == fault &&
           (order->pattern[0] == '\0' || (instrument != NULL && sl_instrument_matches(instrument, order->pattern)));
}

bool sl__fault_take(struct venue *venue, sl_fault fault, const sl_instrument *instrument)
{
    struct orders *orders = &venue->orders;
    if (orders->left[fault] == 0) {
        return false;
    }
    for (size_t at = 0; at < orders->count; at++) {
        struct order *order = &orders->list[at];
        if (order->left > 0 && concerns(order, fault, instrument)) {
            orders->left[fault]--;
            venue->exchange->stats.faults[fault]++;
            if (--order->left == 0) {
                *order = orders->list[--orders->count];
            }
            return true;
        }
    }
    return false;
}

bool sl__fault_holds(const struct venue *venue, sl_fault fault, const sl_instrument *instrument)
{
    sl_time now = sl_now();
    if (venue->orders.until[fault] <= now) {
        return false;
    }
    for (size_t at = 0; at < venue->orders.count; at++) {
        const struct order *order = &venue->orders.list[at];
        if (order->until > now && concerns(order, fault, instrument)) {
            return true;
        }
    }
    return false;
}

sl_time sl__fault_until(const struct venue *venue, sl_fault fault)
{
    return venue->orders.until[fault];
}

/* The order of a fault and a pattern; the list forgets what is over. */
static struct order *order_of(struct orders *orders, sl_fault fault, const char *pattern)
{
    sl_time now = sl_now();
    for (size_t at = orders->count; at-- > 0;) {
        struct order *order = &orders->list[at];
        if (order->fault == fault && strcmp(order->pattern, pattern) == 0) {
            return order;
        }
        if (order->left == 0 && order->until <= now) {
            *order = orders->list[--orders->count];
        }
    }
    if (orders->count == ORDERS_MAX) {
        return NULL;
    }
    struct order *order = &orders->list[orders->count++];
    *order = (struct order){.fault = fault};
    (void)snprintf(order->pattern, sizeof order->pattern, "%s", pattern);
    return order;
}

static int keep(struct venue *venue, const struct sl_fault_order *what, uint64_t count, sl_time duration)
{
    struct orders *orders = &venue->orders;
    const char *pattern = what->instrument == NULL || strcmp(what->instrument, "*") == 0 ? "" : what->instrument;
    if (strlen(pattern) >= sizeof orders->list[0].pattern) {
        return sl_fail(SL_EINVAL, "the pattern '%s' is too long", pattern);
    }
    struct order *order = order_of(orders, what->fault, pattern);
    if (order == NULL) {
        return sl_fail(SL_EMSGSIZE, "more than %d faults of %s at once", ORDERS_MAX,
                       sl_venue_name(venue->dialect->venue));
    }
    if (sl_fault_way_of(what->fault) == SL_FAULT_LASTING) {
        sl_time until = sl_time_add(sl_now(), duration);
        order->until = until > order->until ? until : order->until;
        orders->until[what->fault] = until > orders->until[what->fault] ? until : orders->until[what->fault];
        venue->exchange->stats.faults[what->fault]++;
        return 0;
    }
    order->left += count;
    orders->left[what->fault] += count;
    orders->retry_after = duration;
    return 0;
}

/* ---- what happens at once ---- */

/* Those that were halted are traded again. */
void sl__lift_halts(struct venue *venue)
{
    sl_instruments *table = venue->exchange->options.instruments;
    venue->halted_until = 0;
    for (size_t at = 0; at < sl_instruments_count(table); at++) {
        const sl_instrument *one = sl_instruments_at(table, at);
        if (one->venue == venue->dialect->venue && one->status == SL_STATUS_HALTED) {
            sl_instruments_set_status(table, one, SL_STATUS_TRADING);
        }
    }
}

static void do_to_one(struct venue *venue, sl_fault fault, const sl_instrument *one)
{
    sl_instruments *table = venue->exchange->options.instruments;
    if (fault == SL_FAULT_RENUMBER) {
        sl_truth_renumber(venue->truth, one);
    } else {
        sl_instruments_set_status(table, one, fault == SL_FAULT_HALT ? SL_STATUS_HALTED : SL_STATUS_DELISTED);
    }
}

/* To the next instruments that are traded, the last of the list first: the busy ones go on. */
static void do_to_instruments(struct venue *venue, const struct sl_fault_order *what, uint64_t count)
{
    const sl_instruments *table = venue->exchange->options.instruments;
    for (size_t at = sl_instruments_count(table); at-- > 0 && count > 0;) {
        const sl_instrument *one = sl_instruments_at(table, at);
        bool meant = what->instrument == NULL || sl_instrument_matches(one, what->instrument);
        if (one->venue == venue->dialect->venue && one->status == SL_STATUS_TRADING && meant) {
            do_to_one(venue, what->fault, one);
            count--;
        }
    }
}

static void tell_all_to_leave(struct venue *venue)
{
    struct sl_render text = {0};
    venue->host.now_ns = sl__venue_wall(venue);
    if (venue->dialect->leave != NULL && venue->dialect->leave(&venue->host, &text)) {
        for (struct sl_venue_client *client = venue->clients; client != NULL; client = client->next) {
            sl__client_say(client, &text);
        }
    }
    sl__write_done(&text);
}

void sl__cut_all(struct venue *venue)
{
    for (struct sl_venue_client *client = venue->clients; client != NULL; client = client->next) {
        sl__client_end(client, true, 0);
    }
}

static int list_more(struct venue *venue, uint64_t count)
{
    for (uint64_t at = 0; at < count && at < 1000; at++) {
        char base[SL_ASSET_MAX];
        (void)snprintf(base, sizeof base, "N%05u", venue->listed++ % 100000u);
        SL_TRY(sl_simulated_list(venue->exchange, venue->dialect->venue, base));
    }
    return 0;
}

static int do_now(struct venue *venue, const struct sl_fault_order *what, uint64_t count, sl_time duration)
{
    if (what->fault < SL_FAULT_COUNT) { /* sl_simulated_order() has checked it, which gcc -O2 forgets */
        venue->exchange->stats.faults[what->fault]++;
    }
    switch (what->fault) {
    case SL_FAULT_CUT_ALL:
        sl__cut_all(venue);
        return 0;
    case SL_FAULT_LEAVE:
        venue->leave_at = sl_time_add(sl_now(), duration);
        tell_all_to_leave(venue);
        return 0;
    case SL_FAULT_WEIGHT:
        venue->window_weight += count;
        return 0;
    case SL_FAULT_LIST:
        return list_more(venue, count);
    case SL_FAULT_CLOCK_AHEAD:
    case SL_FAULT_CLOCK_BEHIND:
        venue->skew_ns = what->fault == SL_FAULT_CLOCK_AHEAD ? duration : -duration;
        return 0;
    case SL_FAULT_HALT:
        venue->halted_until = sl_time_add(sl_now(), duration);
        __attribute__((fallthrough));
    default:
        if (what->fault != SL_FAULT_RENUMBER || venue->dialect->renumbers) {
            do_to_instruments(venue, what, count);
        }
        return 0;
    }
}

int sl_simulated_order(sl_simulated *exchange, const struct sl_fault_order *order)
{
    uint64_t count = order->count == 0 ? 1 : order->count;
    sl_time duration = order->duration == 0 ? SL_SECONDS(1) : order->duration;
    if (order->fault <= SL_FAULT_NONE || order->fault >= SL_FAULT_COUNT) {
        return sl_fail(SL_EINVAL, "no such fault");
    }
    for (size_t at = 0; at < exchange->venue_count; at++) {
        struct venue *venue = exchange->list[at];
        if (order->venue == SL_VENUE_NONE || venue->dialect->venue == order->venue) {
            SL_TRY(sl_fault_way_of(order->fault) == SL_FAULT_AT_ONCE ? do_now(venue, order, count, duration)
                                                                     : keep(venue, order, count, duration));
        }
    }
    return 0;
}

void sl_simulated_heal(sl_simulated *exchange)
{
    for (size_t at = 0; at < exchange->venue_count; at++) {
        struct venue *venue = exchange->list[at];
        sl__lift_halts(venue);
        venue->orders = (struct orders){.retry_after = 0};
        venue->leave_at = 0;
        venue->skew_ns = 0;
        sl__release_answers(venue);
        sl__unmute(venue);
    }
}
