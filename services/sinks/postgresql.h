/* SPDX-License-Identifier: MIT */
/*
 * A sink into PostgreSQL: a table for each kind of event, made when they are not there. A batch is one transaction: COPY
 * into a temporary table of each kind, then INSERT ... ON CONFLICT.
 *
 * Identity: rows have keys, which repeats meet: of trades the venue's id, of candles interval and opening time (a later
 * state replaces an earlier one), otherwise the event's stamp (columns run and number). Every table has a column `time`
 * (the venue's, or when it was received where the venue tells none; of candles the opening), which is part of each key,
 * so that TimescaleDB can make hypertables of them: SELECT create_hypertable('trades', 'time').
 *
 * Prices and quantities are NUMERIC with the venue's own digits; times are also there in nanoseconds; levels of books are
 * JSONB arrays of [price, quantity]. The column `instrument` has the name that is the same for all venues, `symbol` the
 * venue's own.
 */
#ifndef SLUICE_SINKS_POSTGRESQL_H
#define SLUICE_SINKS_POSTGRESQL_H

#include "sinks/sink.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SL_POSTGRESQL_TIMEOUT SL_SECONDS(30)
#define SL_POSTGRESQL_TARGET_MAX 1024

/* The version of the tables; kept in the table sluice_schema. */
#define SL_POSTGRESQL_SCHEMA 1

typedef struct sl_postgresql_options {
    /* What libpq takes: "postgresql://user@host/database" or "host=... dbname=..."; may hold a password. */
    const char *target;
    sl_time timeout; /* of connecting, and of each step of a transaction; 0: SL_POSTGRESQL_TIMEOUT */
} sl_postgresql_options;

/* Makes the sink. 0, SL_EINVAL, SL_ENOMEM. */
SL_MUST_CHECK int sl_postgresql_sink_new(const sl_postgresql_options *options, sl_sink **ret_sink);

#ifdef __cplusplus
}
#endif

#endif
