/* SPDX-License-Identifier: MIT */
/*
 * For tests of venues' drivers: a decoder whose events and notices become lines of text, tables of messages with
 * the lines that they have to give, and what has to hold of every message however it is spoiled.
 */
#ifndef VENUE_KIT_H
#define VENUE_KIT_H

#include "sl_test.h"

#include "venues/venue.h"

/* When messages are received, unless a case says otherwise: 2023-11-14T22:13:20Z. */
#define VENUE_KIT_NOW_NS INT64_C(1700000000000000000)

#define VENUE_KIT_TEXT_MAX ((size_t)1 << 20)

typedef struct venue_kit {
    const sl_venue_driver *driver;
    sl_instruments *instruments;
    sl_venue_decoder *decoder;
    sl_venue_answer answer; /* of the last request */
    uint64_t events, notices;
    int refuse;  /* what the output returns from now on, 0: it takes everything */
    bool silent; /* counts, and writes no lines */
    void *arg;   /* for `event` */
    int (*event)(void *arg, const sl_market_event *event); /* sees each event first; may be NULL */
    size_t length;
    char *text; /* what came out: one line each */
} venue_kit;

/* An instrument of the kit's table, spot unless its type says otherwise. */
typedef struct venue_kit_instrument {
    const char *symbol, *base, *quote, *settle;
    sl_instrument_type type;
    const char *tick, *lot; /* NULL: not known */
} venue_kit_instrument;

/* Opens a decoder on a table of these instruments; the last one has no symbol. */
void venue_kit_open(venue_kit *kit, sl_venue venue, const venue_kit_instrument *instruments);
void venue_kit_close(venue_kit *kit);

/* Decodes a message from a block of its own; the lines are in kit->text. What the driver returns. */
int venue_kit_decode(venue_kit *kit, const char *text, size_t size_bytes);
int venue_kit_answer(venue_kit *kit, const sl_venue_request *request, const char *text, size_t size_bytes);

/* A message and what it has to come to: the code, and the lines; or, of errors, a piece of the problem. */
typedef struct venue_case {
    const char *json;
    int code;
    const char *text;
} venue_case;

/* Decodes each of them (by one decoder, in their order) and compares. The last one has no json. */
void venue_kit_expect(venue_kit *kit, const venue_case *cases);

/* The same of answers to one request. */
void venue_kit_expect_answer(venue_kit *kit, const sl_venue_request *request, const venue_case *cases);

/*
 * Spoils each message in every way of a set: cut at each byte, each value replaced by each other type, random bytes
 * changed. Each must give a documented code with a text, be counted once, and give out only sound events. With
 * `request` the messages are answers to it.
 */
void venue_kit_spoil(venue_kit *kit, const sl_venue_request *request, const venue_case *cases);

/*
 * All that has to hold of a decoder and its messages, each in a decoder of its own: they come to what the table says;
 * spoiled ones do no harm; no allocation once each message was seen; each allocation may fail; an output that refuses
 * ends the message with its code.
 */
void venue_kit_prove(sl_venue venue, const venue_kit_instrument *instruments, const venue_case *cases);

/* Answers to requests of a kind. */
typedef struct venue_kind_cases {
    sl_venue_request_kind kind;
    const venue_case *cases;
} venue_kind_cases;

/*
 * The same of answers: they come to what the tables say, and spoiled ones do no harm. Requests are about the first
 * instrument, candles of a minute. The last kind has no cases.
 */
void venue_kit_prove_answers(sl_venue venue, const venue_kit_instrument *instruments, const venue_kind_cases *kinds);

/* Compares what subscribe() writes, and how many it took. */
void venue_kit_expect_subscribe(const sl_venue_driver *driver, const sl_subscription *subscriptions, size_t count,
                                bool off, int taken, const char *text);

/* Compares what rest_path() writes; a negative code is expected with a NULL text. */
void venue_kit_expect_path(const sl_venue_driver *driver, const sl_venue_request *request, int code, const char *text);

/*
 * The captured lines of a file of ../shared/data/cryptofeed, gzipped: each `ts: message` that was received. Skips the
 * case where the file is missing. `take` gets a text that ends in NUL.
 */
void venue_kit_capture(const char *name, void (*take)(void *arg, int64_t time_ns, const char *text, size_t size_bytes),
                       void *arg);

/* The REST answers of such a file: `URL -> ts: body`. */
void venue_kit_capture_rest(const char *name,
                            void (*take)(void *arg, const char *url, const char *text, size_t size_bytes), void *arg);

#endif
