/* SPDX-License-Identifier: MIT */
/*
 * Events as they pass, for `sluice tap`: GET /api/tap at the admin endpoint answers with one JSON object a line until the
 * client goes, of all events or some: ?kind= ("trade"), ?channel= ("trades", "book"), ?venue=, ?instrument= (a symbol, a
 * name, or a pattern such as BTC-*). While nobody listens an event costs a look at a pointer; a listener that reads too
 * slowly loses events, and is told how many: {"dropped": 17}.
 */
#ifndef SL_INGEST_TAP_H
#define SL_INGEST_TAP_H

#include "market/event.h"
#include "sluice/http.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sl__tap_listener;

/* Zeroed: nobody listens. Must outlive the endpoint that serves it. */
typedef struct sl_tap {
    struct sl__tap_listener *first;
    size_t listeners;
} sl_tap;

#define SL_TAP_LISTENERS_MAX 4
#define SL_TAP_QUEUE_BYTES ((size_t)256 << 10) /* of events that wait for one listener, at most */

/* An event passes. Never waits, never fails. */
void sl__tap_pass(sl_tap *tap, const sl_market_event *event);
static inline void sl_tap_pass(sl_tap *tap, const sl_market_event *event)
{
    if (tap != NULL && tap->first != NULL) {
        sl__tap_pass(tap, event);
    }
}

/* A handler of HTTP requests; its argument is the tap. */
SL_MUST_CHECK int sl_tap_serve(void *tap, sl_http_exchange *exchange);

#ifdef __cplusplus
}
#endif

#endif
