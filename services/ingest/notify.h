/* SPDX-License-Identifier: MIT */
/*
 * Tells the service manager that started us how we are: ready, reloading, stopping, and alive. The protocol is that of
 * sd_notify(3): lines of text in datagrams to the socket in NOTIFY_SOCKET. Without one all of it does nothing.
 */
#ifndef SL_INGEST_NOTIFY_H
#define SL_INGEST_NOTIFY_H

#include "ingest/program/reload.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_notify sl_notify;

/*
 * By NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. 0 (also when nobody wants to be told), SL_ENOMEM, SL_EINVAL (a path that is
 * none), codes of socket().
 */
SL_MUST_CHECK int sl_notify_open(sl_notify **ret_notify);
void sl_notify_close(sl_notify *notify); /* NULL is fine */
SL_AUTO_DECLARE(sl_notify, sl_notify_close)

/* One state, "READY=1", lines apart by "\n". Does not wait, and what cannot be sent is lost. */
void sl_notify_send(sl_notify *notify, const char *state);

/* A watcher of a reload (argument: the notify): READY, RELOADING, STOPPING. */
void sl_notify_phase(void *notify, enum sl_reload_phase phase);

/* A task's body (argument: the notify): says that the loop turns, twice in the time the watchdog allows, until it is cancelled. */
SL_MUST_CHECK int sl_notify_run(void *notify);

#ifdef __cplusplus
}
#endif

#endif
