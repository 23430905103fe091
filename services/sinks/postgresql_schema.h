/* SPDX-License-Identifier: MIT */
/* PostgreSQL's tables, and events as rows of them in the text form of COPY. Internal to the sinks. */
#ifndef SLUICE_SINKS_POSTGRESQL_SCHEMA_H
#define SLUICE_SINKS_POSTGRESQL_SCHEMA_H

#include "market/record.h"

struct sl__postgresql_table {
    const char *name;
    const char *columns; /* behind those that all tables have, with their types */
    const char *key;
    const char *conflict; /* what INSERT says when the key is there, and how rows of one batch are told apart */
    const char *order;    /* NULL, or "key columns, which is best first": only the first of each key is inserted */
    const char *known;    /* NULL, or a condition on a row `s` of a batch: it is there under another key */
    const char *same;     /* NULL: the key; or the columns that tell rows of one batch apart, where `order` is given */
};

/* By kind; SL_EVENT_NONE has none. */
extern const struct sl__postgresql_table sl__postgresql_tables[SL_EVENT_KIND_COUNT];

/* The columns of all tables, with their types. */
extern const char sl__postgresql_head[];

/* Room for the row of an event, and writing it, with its newline; the length. */
size_t sl__postgresql_row_bound(const sl_market_event *event);
size_t sl__postgresql_row_write(const sl_market_event *event, sl_stamp stamp, char *buffer);

#endif
