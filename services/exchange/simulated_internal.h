/* SPDX-License-Identifier: MIT */
/* What the files of the simulated exchange share. */
#ifndef SLUICE_EXCHANGE_SIMULATED_INTERNAL_H
#define SLUICE_EXCHANGE_SIMULATED_INTERNAL_H

#include "exchange/candles.h"
#include "exchange/dialect.h"
#include "exchange/simulated.h"
#include "sluice/http.h"
#include "sluice/net.h"
#include "sluice/scope.h"
#include "sluice/sync.h"
#include "sluice/ws.h"

struct venue;

/* A subscription of a client, in its list and in that of its instrument. */
struct wish {
    struct sl_wish what;
    struct sl_venue_client *client;
    struct sl_render held;             /* a message that is to go behind the next one */
    struct sl_render copy;             /* one that is to go once more... */
    unsigned copy_in;                  /* ... behind so many others */
    bool mute;                         /* nothing of it is sent any more */
    struct sl_simulated_candle candle; /* of candles: the one that grows */
    struct wish *next, **link;         /* of the client; what points to this one */
};

/* Who is told of an instrument, and its past trades. */
struct board {
    struct wish **wishes;
    size_t count, capacity;
    sl_market_event *trades; /* the newest are last; at most twice SL_HISTORY_TRADES */
    size_t trade_count, trade_capacity;
    struct sl_render old_snapshot; /* that was given last... */
    char old_query[128];           /* ... to this question */
};

/* Texts on their way to a client: before each four bytes of its length, and how it goes out. */
struct outbox {
    char *data;
    size_t size_bytes, capacity;
};

struct sl_venue_client {
    struct venue *venue;
    sl_ws *ws;
    sl_scope *scope;
    struct wish *wishes;
    size_t wish_count, names_bytes;
    struct outbox outbox;
    struct outbox late; /* answers that wait */
    sl_event filled;
    bool gone; /* cut, closed or kicked: nothing more is said */
    bool cut;  /* without a word */
    bool mute; /* half open: it hears and is told nothing any more */
    int close_code;
    bool unanswered;   /* what it just said is not answered */
    sl_time said_from; /* the time in which it said... */
    unsigned said;     /* ... so many messages */
    sl_time ping_at;   /* the next one, where the venue pings */
    sl_time pinged_at; /* not answered yet; 0: none */
    uint64_t pongs;    /* that had come then */
    uint64_t told;     /* the captured message that it was told last */
    uint64_t number;   /* it came as, from 1 */
    uint64_t sent;     /* messages to it */
    char path[64];     /* that it came by */
    struct sl_venue_client *next;
};

/* Orders of one venue at once: of different faults or patterns. */
#define ORDERS_MAX 64

/* One fault, of any instrument or of those that fit a pattern. */
struct order {
    sl_fault fault;
    char pattern[SL_INSTRUMENT_NAME_MAX];
    uint64_t left;
    sl_time until;
};

struct orders {
    struct order list[ORDERS_MAX];
    size_t count;
    uint64_t left[SL_FAULT_COUNT]; /* of all orders: most of the time none */
    sl_time until[SL_FAULT_COUNT]; /* of the one that lasts longest */
    sl_time retry_after;
};

struct venue {
    sl_simulated *exchange;
    const sl_dialect *dialect;
    struct sl_dialect_host host;
    sl_truth *truth;
    sl_json *json;
    struct board *boards; /* by the instrument's index */
    size_t board_count;
    struct sl_venue_client *clients;
    size_t candle_wishes;
    struct orders orders;
    sl_time leave_at, halted_until; /* 0: neither */
    int64_t skew_ns;                /* of its clock */
    uint32_t listed;                /* by orders */
    uint32_t hostile;               /* which form is next */
    sl_time heartbeat_at;
    sl_time connects_from; /* the window of new connections */
    unsigned connects;     /* in it */
    sl_time window_from;   /* of the requests' weight: a minute */
    uint64_t window_weight;
    uint64_t over_limit;  /* requests in spite of 429 */
    sl_time banned_until; /* for those */
    struct sl_render text, spoiled;
};

struct sl_simulated {
    struct sl_simulated_options options;
    struct venue *venues[SL_VENUE_COUNT]; /* by venue; NULL: none */
    struct venue *list[SL_VENUE_COUNT];   /* those there are */
    size_t venue_count;
    size_t client_count;
    size_t wishes; /* of all clients */
    sl_listener *listener;
    sl_event somebody;     /* has subscribed */
    sl_event drained;      /* a client has sent what it had */
    sl_time paced_from;    /* since when the rate holds... */
    uint64_t paced_steps;  /* ... and the steps there were then */
    int64_t captured_from; /* time of the captured session when it was `paced_from`; 0: not begun */
    struct sl_simulated_stats stats;
};

/* Whether a counted fault is ordered for an instrument (NULL: what concerns none), which it uses up; whether a lasting
 * one holds now, and until when any does. */
bool sl__fault_take(struct venue *venue, sl_fault fault, const sl_instrument *instrument);
bool sl__fault_holds(const struct venue *venue, sl_fault fault, const sl_instrument *instrument);
sl_time sl__fault_until(const struct venue *venue, sl_fault fault);
void sl__lift_halts(struct venue *venue);
void sl__cut_all(struct venue *venue);

/* Now, by the venue's clock. */
int64_t sl__venue_wall(const struct venue *venue);

/* simulated_client.c: a stream is served as long as it lasts. */
int sl__venue_stream(struct venue *venue, sl_http_exchange *request, const struct sl_rest_question *target);
/* Tells a step to all who have subscribed; a sign of life to all. */
void sl__venue_publish(struct venue *venue, const sl_truth_change *change);
/* Tells a captured message, as it is, to all who have subscribed to what it is about. */
void sl__venue_forward(struct venue *venue, const struct sl_captured_message *message);
void sl__venue_heartbeat(struct venue *venue, sl_time now);
void sl__venue_ping(struct venue *venue, sl_time now);
void sl__client_say(struct sl_venue_client *client, const struct sl_render *text);
/* An unasked text to one client. */
void sl__client_send(struct sl_venue_client *client, const char *text, size_t size_bytes);
void sl__client_end(struct sl_venue_client *client, bool cut, int close_code);
/* One message to one subscriber, with what is wrong just now. */
void sl__client_deliver(struct venue *venue, struct wish *wish, sl_event_kind kind, const struct sl_render *text);
void sl__release_answers(struct venue *venue);
void sl__unmute(struct venue *venue);
const char *sl__client_path(const struct sl_venue_client *client);
const struct sl_wish *sl__client_wished(const struct sl_venue_client *client, const struct sl_wish *after);
int sl__client_wish(struct sl_venue_client *client, const struct sl_wish *wish, bool off);

/* candles.c: a subscription to candles has begun; a trade came; some may have ended. */
void sl__candle_subscribed(struct venue *venue, struct wish *wish);
void sl__candle_trade(struct venue *venue, struct wish *wish, const sl_market_event *trade);
void sl__candle_beat(struct venue *venue);

/* simulated_disturb.c: sends what comes before a message when something is wrong; the message as it is to be sent. */
const struct sl_render *sl__disturb(struct venue *venue, struct sl_venue_client *client, const sl_instrument *one,
                                    const struct sl_render *text);

/* The board of an instrument, made if there was none; NULL: no memory. */
struct board *sl__board_of(struct venue *venue, const sl_instrument *instrument);

/* simulated_rest.c: a request is answered. */
int sl__venue_rest(struct venue *venue, sl_http_exchange *request, const struct sl_rest_question *question);

/* simulated_history.c: past trades and candles; status 0: it asks for something else. */
struct sl_rest_reply sl__history_rest(const struct sl_dialect_host *host, const struct sl_rest_question *question,
                                      struct sl_render *text);

#endif
