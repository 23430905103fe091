/* SPDX-License-Identifier: MIT */
/*
 * The simulated exchange: any of the venues behind one port of 127.0.0.1, each under its own name as the path's
 * beginning ("ws://127.0.0.1:9000/binance-usdm" is the origin of its streams, "http://..." that of its requests). Each
 * has a true market that moves from a seed, speaks the venue's protocol, keeps the venue's limits, and does what is
 * ordered of the faults that venues have.
 */
#ifndef SLUICE_EXCHANGE_SIMULATED_H
#define SLUICE_EXCHANGE_SIMULATED_H

#include "exchange/truth.h"
#include "sluice/time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Clients at once, of all venues. */
#define SL_SIMULATED_CLIENTS_MAX 4096

/* A client that has so much unread is thrown out, as venues do. */
#define SL_SIMULATED_BACKLOG_BYTES ((size_t)8 << 20)

/* With rate 0: so much unread makes the market wait for the slowest client. */
#define SL_SIMULATED_PATIENCE_BYTES ((size_t)1 << 20)

typedef struct sl_simulated sl_simulated;

/* What may go wrong. `count`: so many times; `duration`: for so long. */
typedef enum sl_fault {
    SL_FAULT_NONE = 0,
    SL_FAULT_DROP,            /* count: changes of a book that a client is not sent */
    SL_FAULT_DROP_TRADE,      /* count: trades likewise */
    SL_FAULT_DUPLICATE,       /* count: messages sent twice */
    SL_FAULT_REORDER,         /* count: messages sent behind the next one */
    SL_FAULT_CUT,             /* count: connections cut without a word, one now, the next with the next message */
    SL_FAULT_CUT_ALL,         /* all connections at once, as after 24 hours */
    SL_FAULT_CLOSE,           /* count: connections closed with 1008 */
    SL_FAULT_LEAVE,           /* all clients are asked to leave; `duration` later they are cut */
    SL_FAULT_HALF_OPEN,       /* count: connections that are open, but nothing comes or goes any more */
    SL_FAULT_SILENT,          /* duration: nothing is sent, connections stay open */
    SL_FAULT_HEARTBEATS_ONLY, /* duration: nothing but heartbeats */
    SL_FAULT_DEAF,            /* duration: what clients say is not answered */
    SL_FAULT_ACKS,            /* count: questions that are not answered, though done */
    SL_FAULT_GARBAGE,         /* count: half a message, which is no JSON, before a good one */
    SL_FAULT_UNKNOWN,         /* count: a message of a kind that nobody knows, before a good one */
    SL_FAULT_SNAPSHOT_OLD,    /* count: answers with the book as it was before */
    SL_FAULT_SNAPSHOT_NEVER,  /* count: requests that are not answered */
    SL_FAULT_HTTP_429,        /* count: refused without a Retry-After */
    SL_FAULT_HTTP_429_AFTER,  /* count: refused, and `duration` in Retry-After */
    SL_FAULT_HTTP_418,        /* duration: banned, and told until when */
    SL_FAULT_HTTP_403,        /* count */
    SL_FAULT_HTTP_500,        /* count */
    SL_FAULT_BODY_LIMIT,      /* count: a limit told in the body of a 200, or 429 where the venue does not */
    SL_FAULT_REFUSE,          /* duration: new streams are refused with 503 */
    SL_FAULT_HALT,            /* count: instruments halted; `duration` later all are traded again */
    SL_FAULT_DELIST,          /* count: instruments that are no more */
    SL_FAULT_COUNT,
} sl_fault;

struct sl_simulated_options {
    sl_instruments *instruments; /* its own table, filled: each venue of it is opened; borrowed */
    uint64_t seed;
    double rate;           /* steps a second, all venues together; 0: as fast as the slowest client reads */
    uint64_t steps;        /* the market ends after so many; 0: never */
    size_t wait;           /* nothing happens before clients have so many subscriptions; 0: it does */
    int port;              /* 0: chosen by the system */
    unsigned trade_weight; /* see sl_truth_options */
    void *arg;
    int (*record)(void *arg, const sl_market_event *event); /* the truth as it happens; must not wait; may be NULL */
};

struct sl_simulated_stats {
    size_t clients;
    uint64_t connections, refused, messages, bytes, requests, limited, kicked;
    uint64_t steps;
    uint64_t faults[SL_FAULT_COUNT]; /* times each was done */
    bool over;                       /* all steps were made */
};

/* Adds `count` instruments of a venue to a table: BTC, ETH... against the venue's usual money, then C0001 and so on. */
SL_MUST_CHECK int sl_simulated_define(sl_instruments *instruments, sl_venue venue, size_t count);

/* Opens the port. In a task; does not wait. SL_EINVAL, SL_ENOMEM, codes of listening. */
SL_MUST_CHECK int sl_simulated_open(const struct sl_simulated_options *options, sl_simulated **ret_exchange);
void sl_simulated_close(sl_simulated *exchange);
SL_AUTO_DECLARE(sl_simulated, sl_simulated_close)

/* A task's body (argument: the exchange): serves until it is cancelled. */
SL_MUST_CHECK int sl_simulated_run(void *exchange);

int sl_simulated_port(const sl_simulated *exchange);

/* Orders a fault of a venue (SL_VENUE_NONE: of all). Zero count or duration: once, or a second. Does not wait. */
void sl_simulated_fault(sl_simulated *exchange, sl_venue venue, sl_fault fault, uint64_t count, sl_time duration);

/* Nothing is wrong any more. */
void sl_simulated_heal(sl_simulated *exchange);

/* The market's pace from now on, in steps a second; 0 as in the options. Does not wait. */
void sl_simulated_pace(sl_simulated *exchange, double rate);

/*
 * The market ends: each instrument that is traded has one more trade and one more change of its book, so that whatever
 * was lost before can be noticed. Does not wait. What `record` returned.
 */
SL_MUST_CHECK int sl_simulated_end(sl_simulated *exchange);

/* Lists one more instrument of a venue: of this base against the venue's usual money. */
SL_MUST_CHECK int sl_simulated_list(sl_simulated *exchange, sl_venue venue, const char *base);

/* The true market of a venue, NULL if it has none. Borrowed; changes with each step. */
const sl_truth *sl_simulated_truth(const sl_simulated *exchange, sl_venue venue);

const struct sl_simulated_stats *sl_simulated_get_stats(const sl_simulated *exchange);

/* "drop", "cut-all"; "?" when out of range. The fault of a name, SL_FAULT_NONE if there is none. */
const char *sl_fault_name(sl_fault fault);
sl_fault sl_fault_find(const char *name);

#ifdef __cplusplus
}
#endif

#endif
