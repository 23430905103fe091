/* SPDX-License-Identifier: MIT */
/* What the files of the simulated exchange share. */
#ifndef SLUICE_EXCHANGE_SIMULATED_INTERNAL_H
#define SLUICE_EXCHANGE_SIMULATED_INTERNAL_H

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
    struct sl_render held; /* a message that is to go behind the next one */
    struct wish *next;     /* of the client */
};

/* Who is told of an instrument, and its past trades. */
struct board {
    struct wish **wishes;
    size_t count, capacity;
    sl_market_event *trades; /* the newest are last; at most twice SL_HISTORY_TRADES */
    size_t trade_count, trade_capacity;
};

/* Texts on their way to a client: a length of four bytes before each. */
struct outbox {
    char *data;
    size_t size_bytes, capacity;
};

struct sl_venue_client {
    struct venue *venue;
    sl_ws *ws;
    sl_scope *scope;
    struct wish *wishes;
    struct outbox outbox;
    sl_event filled;
    bool gone; /* cut, closed or kicked: nothing more is said */
    bool cut;  /* without a word */
    bool mute; /* half open: it hears and is told nothing any more */
    int close_code;
    sl_time said_from; /* the second in which it said... */
    unsigned said;     /* ... so many messages */
    struct sl_venue_client *next;
};

/* Faults that are ordered. */
struct orders {
    uint64_t left[SL_FAULT_COUNT];
    sl_time until[SL_FAULT_COUNT];
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
    struct orders orders;
    sl_time heartbeat_at;
    sl_time window_from; /* of the requests' weight: a minute */
    uint64_t window_weight;
    uint64_t over_limit; /* requests in spite of 429 */
    struct sl_render text;
    struct sl_render old_snapshot;
    char old_query[128]; /* what it was asked for with */
};

struct sl_simulated {
    struct sl_simulated_options options;
    struct venue *venues[SL_VENUE_COUNT]; /* by venue; NULL: none */
    struct venue *list[SL_VENUE_COUNT];   /* those there are */
    size_t venue_count;
    size_t client_count;
    size_t wishes; /* of all clients */
    sl_listener *listener;
    sl_event somebody;    /* has subscribed */
    sl_event drained;     /* a client has sent what it had */
    sl_time paced_from;   /* since when the rate holds... */
    uint64_t paced_steps; /* ... and the steps there were then */
    struct sl_simulated_stats stats;
};

/* Whether a counted fault is ordered, which it uses up; whether a lasting one holds now. */
bool sl__fault_take(struct venue *venue, sl_fault fault);
bool sl__fault_holds(const struct venue *venue, sl_fault fault);

/* simulated_client.c: a stream is served as long as it lasts. */
int sl__venue_stream(struct venue *venue, sl_http_exchange *request, const struct sl_rest_question *target);
/* Tells a step to all who have subscribed; a sign of life to all. */
void sl__venue_publish(struct venue *venue, const sl_truth_change *change);
void sl__venue_heartbeat(struct venue *venue, sl_time now);
void sl__client_say(struct sl_venue_client *client, const struct sl_render *text);
void sl__client_end(struct sl_venue_client *client, bool cut, int close_code);
int sl__client_wish(struct sl_venue_client *client, const struct sl_wish *wish, bool off);

/* simulated_rest.c: a request is answered. */
int sl__venue_rest(struct venue *venue, sl_http_exchange *request, const struct sl_rest_question *question);

#endif
