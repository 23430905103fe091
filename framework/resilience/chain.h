/* SPDX-License-Identifier: MIT */
/* What the calls for tasks share: scopes around attempts, and the words for how they went. */
#ifndef SL_RESILIENCE_CHAIN_H
#define SL_RESILIENCE_CHAIN_H

#include "sluice/retry.h"
#include "sluice/scope.h"

#define SL__HISTORY_BYTES 256

/* "503, SL_ECONNRESET, ..., 503" */
void sl__retry_history(const sl_retry *retry, char *text, size_t text_bytes);

/* Why it was not tried again: EXHAUSTED, TOO_LATE, REFUSED or NO_BUDGET. */
const char *sl__retry_reason(enum sl_verdict verdict);

/*
 * Closes a scope around calls that failed with `code`: an interruption becomes what lies behind it; other errors keep
 * their story as it is, without a tree around it for each scope.
 */
int sl__close_plainly(sl_scope *scope, int code);

/* Whether a result speaks against the called, for a breaker. */
bool sl__call_failed(int code);

#endif
