/* SPDX-License-Identifier: MIT */
/* A table of an answer of the admin endpoint: an array of objects, some of their members as columns. */
#ifndef SL_INGEST_TABLE_H
#define SL_INGEST_TABLE_H

#include <stdio.h>

#include "sluice/json.h"
#include "sluice/time.h"

#ifdef __cplusplus
extern "C" {
#endif

enum sl_table_kind {
    SL_TABLE_TEXT,
    SL_TABLE_COUNT,   /* 12.3 k */
    SL_TABLE_BYTES,   /* 12.3 KiB */
    SL_TABLE_SECONDS, /* 12.3 ms */
    SL_TABLE_RATE,    /* how much the count grew a second since the table before */
    SL_TABLE_SHARE,   /* of 1: a percentage, on a terminal with a bar; the column goes when no row has one */
    SL_TABLE_TREE     /* text, indented below the row whose "id" is this one's "parent" */
};

struct sl_table_column {
    const char *title;
    const char *key; /* a member of the row; "lag_seconds.p99": a member of a member */
    enum sl_table_kind kind;
    unsigned spare; /* a terminal that is too narrow goes without the columns with the largest first; 0: never.
                       A text that stands last is cut to its room before it goes */
};

#define SL_TABLE_COLUMNS_MAX 12
#define SL_TABLE_ROWS_MAX 5000
#define SL_TABLE_CELL_BYTES 256

/* What is remembered from one table to the next, for rates. Zeroed: nothing yet. */
struct sl_table_memory {
    sl_time when;
    uint64_t *hashes;
    double *counts;
    size_t count;
};
void sl_table_memory_free(struct sl_table_memory *memory);

/*
 * Reads the array `name` of the object `text` and prints it. `memory` may be NULL. 0; SL_EPROTO for what is no such
 * answer; SL_ENOMEM; SL_EMSGSIZE for more than SL_TABLE_ROWS_MAX rows.
 */
SL_MUST_CHECK int sl_table_print(const char *text, size_t bytes, const char *name,
                                 const struct sl_table_column *columns, size_t column_count,
                                 struct sl_table_memory *memory, FILE *out);

/* A number as people read it, into `cell`. */
void sl_table_number(enum sl_table_kind kind, double value, char cell[SL_TABLE_CELL_BYTES]);

#ifdef __cplusplus
}
#endif

#endif
