/* SPDX-License-Identifier: MIT */
/* What captured lines are about, where nothing but themselves tells it: for replays and for captures served again. */
#ifndef SLUICE_VENUES_LINES_H
#define SLUICE_VENUES_LINES_H

#include "market/capture.h"
#include "market/instrument.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Adds the instruments that a message names to a table, as far as the venue's form names them: how many were new.
 * Base and quote are guessed from the symbol. SL_ENOMEM, SL_EMSGSIZE of the table.
 */
SL_MUST_CHECK int sl_line_add_symbols(sl_instruments *instruments, sl_venue venue, const sl_capture_line *line);

/* Adds one by its symbol: 1, or 0 when it was there or is none. Codes as above. */
SL_MUST_CHECK int sl_line_add_symbol(sl_instruments *instruments, sl_venue venue, const char *symbol,
                                     size_t size_bytes);

/* Whether the line is a book that was asked for. Other answers are lists of instruments. */
bool sl_line_is_snapshot(const sl_capture_line *line);

/* The instrument of such a book: the URL names it, or the table has only one of the venue; else NULL. */
const sl_instrument *sl_line_snapshot_of(const sl_instruments *instruments, sl_venue venue,
                                         const sl_capture_line *line);

#ifdef __cplusplus
}
#endif

#endif
