/* SPDX-License-Identifier: MIT */
/*
 * From configurations to running parts, and from one configuration to the next. Who runs services, sinks, limits and so
 * on registers a handler for its section; the handlers are told entry by entry what is added, changed and removed: all of
 * it when the program starts, the differences on SIGHUP or sl_reload_now(), the rest when it stops.
 *
 * A reload is two phases. All handlers prepare: what may fail (opening files, checking what tables cannot) happens
 * there, beside what runs. Only when all have agreed they commit, in this order: policies, sinks, then services that go,
 * that change and that come; then sinks and policies that go. A file that cannot be read, a change that needs a new process
 * and a handler that refuses leave everything as it was, and the reason is told.
 *
 * All calls are for the runtime's thread.
 */
#ifndef SL_INGEST_RELOAD_H
#define SL_INGEST_RELOAD_H

#include "ingest/config.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_reload sl_reload;

enum sl_reload_kind {
    SL_RELOAD_LIVE,    /* only values changed that count in place */
    SL_RELOAD_RESTART, /* what runs by this entry has to begin anew */
    SL_RELOAD_ADDED,
    SL_RELOAD_REMOVED
};

/* One entry of a section, or (name "") a section that is no map. Borrowed for the call of the handler. */
struct sl_reload_entry {
    enum sl_reload_kind kind;
    const char *section;             /* "services" */
    const char *name;                /* "binance-books" */
    const sl_config *before, *after; /* NULL when the program starts, or stops; keep a reference to keep values of it */
    /* The entry's struct: struct sl_config_variant in services and sinks, struct sl_conf_limit in limits, and so on. NULL: it
     * is not there. A service that is not enabled is not there. */
    const void *old_value, *new_value;
};

/* All are called in the task that starts, reloads or stops, and may wait. */
struct sl_reload_handler {
    const char *section; /* static; one handler each */
    void *arg;
    /* Gets all ready without touching what runs; what it makes comes back in the commit or abandon. NULL: always agrees. Not asked when the program stops. */
    int (*prepare)(void *arg, const struct sl_reload_entry *entry, void **ret_prepared);
    /* Cannot refuse any more. What fails from here on is the entry's own business: its supervisor tries again. */
    void (*commit)(void *arg, const struct sl_reload_entry *entry, void *prepared);
    /* Another one refused. NULL: there is nothing to undo. */
    void (*abandon)(void *arg, const struct sl_reload_entry *entry, void *prepared);
};

#define SL_RELOAD_HANDLERS_MAX 16
#define SL_RELOAD_TEXT_BYTES 512

struct sl_reload_status {
    uint64_t generation;                  /* 0 after the start; one more for each reload that changed something */
    uint64_t refused;                     /* reloads that changed nothing because they could not */
    int last_code;                        /* of the last reload, 0 when there was none */
    int64_t last_wall_ns;                 /* its end, since 1970; 0: there was none */
    char last_text[SL_RELOAD_TEXT_BYTES]; /* "3 entries changed", or why not */
};

/*
 * `load` is kept, with all it points to, which must outlive the reload; its root must be sl_conf_root. Takes a reference to
 * `first`, which was loaded by it. 0, SL_EINVAL, SL_ENOMEM.
 */
SL_MUST_CHECK int sl_reload_open(const struct sl_config_options *load, sl_config *first, sl_reload **ret_reload);

/* Before the start. 0, SL_EINVAL (no such section, no commit), SL_EEXIST, SL_EMSGSIZE (too many). */
SL_MUST_CHECK int sl_reload_register(sl_reload *reload, const struct sl_reload_handler *handler);

/* What a watcher is told, in the task that does it: all runs; a new configuration is put in force, or was not; the end begins. */
enum sl_reload_phase { SL_RELOAD_STARTED, SL_RELOAD_BEGINS, SL_RELOAD_ENDED, SL_RELOAD_STOPS };
typedef void sl_reload_watch_fn(void *arg, enum sl_reload_phase phase);

/* One watcher, told without waiting for it; NULL: none. */
void sl_reload_watch(sl_reload *reload, sl_reload_watch_fn *watch, void *arg);

/* From now on a SIGHUP does not end the process. Everything is added. A negative code of a handler comes back and nothing runs. Waits as handlers do. */
SL_MUST_CHECK int sl_reload_start(sl_reload *reload);

/* Everything is removed, services first. Waits as handlers do. */
void sl_reload_stop(sl_reload *reload);

/* What SIGHUP did before the start it does again: when nothing is to be delivered any more. In the runtime. */
void sl_reload_end(sl_reload *reload);

/*
 * A task's body (its argument is the reload): waits for SIGHUP and requests, and reloads. Until it is cancelled; other codes
 * as sl_signals_open().
 */
int sl_reload_run(void *reload);

/* Asks for a reload; does not wait. Those that are asked for before one begins are one. */
void sl_reload_request(sl_reload *reload);

/*
 * Asks, and waits for the end: 0 (also when nothing had changed), or the code with its reason in the task's error:
 * SL_EINVAL (the files), SL_ENOTSUP (a change that needs a new process, or that nobody handles), a handler's code, SL_ECLOSED when no
 * task runs it. Cancellation point.
 */
SL_MUST_CHECK int sl_reload_now(sl_reload *reload);

/* A reference to the configuration in force; give it back. */
sl_config *sl_reload_current(const sl_reload *reload);

void sl_reload_get_status(const sl_reload *reload, struct sl_reload_status *ret_status);

/* No task may run it. NULL is fine. */
void sl_reload_free(sl_reload *reload);
SL_AUTO_DECLARE(sl_reload, sl_reload_free)

#ifdef __cplusplus
}
#endif

#endif
