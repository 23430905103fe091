/* SPDX-License-Identifier: MIT */
/* Whether a database that the SQLite sink wrote has the trades that it should have, or tells of those it has not. */
#ifndef SLUICE_SINKS_SQLITE_CHECK_H
#define SLUICE_SINKS_SQLITE_CHECK_H

#include "market/instrument.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of one instrument whose trades' ids follow each other. */
typedef struct sl_sqlite_trades {
    int64_t first_id, last_id; /* that there are, in the range that was asked for; 0: none */
    uint64_t count;
    uint64_t untold; /* holes between two of them that no gap tells of */
} sl_sqlite_trades;

typedef struct sl_sqlite_check sl_sqlite_check;

/* Opens the file, which nobody writes meanwhile. All of this blocks on the disk. SL_EINTERNAL with the reason, SL_ENOMEM. */
SL_MUST_CHECK int sl_sqlite_check_open(const char *path, sl_sqlite_check **ret_check);
void sl_sqlite_check_close(sl_sqlite_check *check); /* NULL is fine */
SL_AUTO_DECLARE(sl_sqlite_check, sl_sqlite_check_close)

/* The trades with ids from `first_id` to `last_id`. 0, SL_EINTERNAL with the reason. */
SL_MUST_CHECK int sl_sqlite_check_trades(sl_sqlite_check *check, const sl_instrument *instrument, int64_t first_id,
                                         int64_t last_id, sl_sqlite_trades *ret_trades);

#ifdef __cplusplus
}
#endif

#endif
