/* SPDX-License-Identifier: MIT */
/*
 * A market event as bytes that stand alone: levels and the instrument's identity are in them. What the sinks' queues
 * hold and what their spools keep, so that a later process can read it. Little-endian, the first byte is the version.
 *
 * Pure functions; nothing waits. Encoding allocates nothing, reading only for an instrument or a number of levels not
 * seen before.
 */
#ifndef SLUICE_MARKET_RECORD_H
#define SLUICE_MARKET_RECORD_H

#include "market/event.h"
#include "sluice/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_RECORD_VERSION 1

/* No record is smaller. */
#define SL_RECORD_MIN_BYTES ((size_t)50)

/* The largest record; an event with more levels has none. */
#define SL_RECORD_MAX_BYTES ((size_t)8 << 20)

/*
 * What tells one copy of an event handed to a sink from another event: `run` names the queue's life (a time in ns),
 * `number` counts from 1 within it, upwards in the order of the events. Both survive the spool.
 */
typedef struct sl_stamp {
    uint64_t run;
    uint64_t number;
} sl_stamp;

/*
 * A size that the event's record does not exceed; 0 when it has none: no kind, no instrument, over SL_RECORD_MAX_BYTES.
 */
size_t sl_record_bound(const sl_market_event *event);

/* Writes the record of an event that has one, with an empty stamp, to sl_record_bound() bytes; its size. */
size_t sl_record_encode(const sl_market_event *event, void *buffer);

/* Puts a stamp into a record, and gets it from one that sl_record_encode() made. */
void sl_record_set_stamp(void *record, sl_stamp stamp);
sl_stamp sl_record_stamp(const void *record);

/*
 * Whether a later record with the same key makes this one superfluous for somebody who wants only the last state: best
 * prices, tickers, funding, open interest, status, snapshots, and the updates of one candle. False for trades, changes
 * of books, liquidations and gaps: each of them counts.
 */
bool sl_record_state_key(const void *record, size_t size_bytes, uint64_t *ret_key);

/* When the event was received (as in the event). */
int64_t sl_record_receive_time(const void *record);

/* Reads records; has a table of the instruments in them, which its events point to. One thread at a time. */
typedef struct sl_record_reader sl_record_reader;

/* 0, SL_ENOMEM. */
SL_MUST_CHECK int sl_record_reader_new(sl_record_reader **ret_reader);
void sl_record_reader_free(sl_record_reader *reader);
SL_AUTO_DECLARE(sl_record_reader, sl_record_reader_free)

/*
 * The event of a record; its levels are borrowed until the next call, its instrument is the reader's. Any bytes are
 * safe. 0; SL_EPROTO for what is no record, or not one as sl_record_encode() writes it; SL_ENOTSUP for another version; SL_EMSGSIZE when the table is full; SL_ENOMEM.
 */
SL_MUST_CHECK int sl_record_decode(sl_record_reader *reader, const void *record, size_t size_bytes,
                                   sl_market_event *ret_event, sl_stamp *ret_stamp);

/* The text of an event's identity, see below, with its NUL. */
#define SL_EVENT_IDENTITY_MAX 192

/*
 * Writes what names this event for ever, for message ids and unique keys, and returns the length: the venue's own
 * numbers where they do ("binance-usdm:BTCUSDT:trades:4401"), else the stamp's ("...:ticker:18a5c7d2:17").
 */
size_t sl_event_identity(const sl_market_event *event, sl_stamp stamp, char buffer[SL_EVENT_IDENTITY_MAX]);

#ifdef __cplusplus
}
#endif

#endif
