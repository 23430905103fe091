/* SPDX-License-Identifier: MIT */
/*
 * The simulated exchange: any of the venues behind one port of 127.0.0.1, each under its own name as the path's
 * beginning ("ws://127.0.0.1:9000/binance-usdm" is the origin of its streams, "http://..." that of its requests). Each
 * has a true market that moves from a seed, speaks the venue's protocol, keeps the venue's limits, and does what is
 * ordered of the faults that venues have.
 */
#ifndef SLUICE_EXCHANGE_SIMULATED_H
#define SLUICE_EXCHANGE_SIMULATED_H

#include "exchange/captured.h"
#include "exchange/faults.h"
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

/* How one venue differs. */
struct sl_simulated_venue {
    size_t levels;  /* a side of its books; 0: the dialect's */
    size_t deep;    /* further levels a side that never change: for snapshots of megabytes */
    bool checksums; /* OKX: as before 2026-06-23, when they were more than 0 */
};

/* With the `told`-th message to the client that came as number `client` (from 1), the one that came as `cut` is cut. */
struct sl_simulated_cut {
    unsigned client, cut;
    uint64_t told;
};

struct sl_simulated_options {
    sl_instruments *instruments; /* its own table, filled: each venue of it is opened; borrowed */
    uint64_t seed;
    double rate;           /* steps a second, all venues together; 0: as fast as the slowest client reads */
    uint64_t steps;        /* the market ends after so many; 0: never */
    size_t wait;           /* nothing happens before clients have so many subscriptions; 0: it does */
    int port;              /* 0: chosen by the system */
    sl_captured *captured; /* is played instead of a market that is made up; borrowed; NULL: none */
    double speed;          /* of it, times real time; 0: as fast as the slowest client reads */
    unsigned trade_weight; /* see sl_truth_options */
    bool strict;           /* new connections are limited, as the venue says */
    size_t history;        /* trades of each instrument that requests find, at least; 0: SL_HISTORY_TRADES */
    struct sl_simulated_venue venues[SL_VENUE_COUNT]; /* how each differs from what is usual; all 0: not at all */
    const struct sl_simulated_cut *cuts;              /* borrowed */
    size_t cut_count;
    void *arg;
    int (*record)(void *arg, const sl_market_event *event); /* the truth as it happens; must not wait; may be NULL */
};

struct sl_simulated_stats {
    size_t clients;
    uint64_t connections, refused, messages, bytes, requests, limited, kicked;
    uint64_t steps;                  /* or messages of a captured session */
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

/*
 * Orders a fault. Does not wait. 0, SL_EINVAL (no such fault, a pattern that is too long), SL_EMSGSIZE (too many at
 * once), SL_ENOMEM. What a venue has no word for (a notice, numbers that begin anew) does not happen there.
 */
SL_MUST_CHECK int sl_simulated_order(sl_simulated *exchange, const struct sl_fault_order *order);

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

#ifdef __cplusplus
}
#endif

#endif
