/* SPDX-License-Identifier: MIT */
/* The texts of SQLite's tables and statements. Internal to the sinks. */
#ifndef SLUICE_SINKS_SQLITE_SCHEMA_H
#define SLUICE_SINKS_SQLITE_SCHEMA_H

#include "market/event.h"

/* Behind SL__SQLITE_KINDS comes one for each kind of event, SL_EVENT_NONE (which has none) included. */
enum sl__sqlite_statement {
    SL__SQLITE_BEGIN,
    SL__SQLITE_COMMIT,
    SL__SQLITE_ROLLBACK,
    SL__SQLITE_INSTRUMENT,
    SL__SQLITE_KINDS,
    SL__SQLITE_STATEMENTS = SL__SQLITE_KINDS + SL_EVENT_KIND_COUNT,
};

extern const char *const sl__sqlite_schema[]; /* one a table; NULL-terminated */
extern const char *const sl__sqlite_texts[SL__SQLITE_STATEMENTS];

/* What the statements are for, in messages. */
extern const char *const sl__sqlite_purposes[SL__SQLITE_STATEMENTS];

#endif
