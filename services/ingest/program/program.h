/* SPDX-License-Identifier: MIT */
/*
 * The running program: what `sluice run` makes of its configuration. Sinks behind outlets, one way to each venue,
 * services that bring events from the venues to the outlets; each added, changed and removed while the rest runs.
 *
 * Order of the end: services first, so that nothing comes any more; then each outlet delivers what it has.
 */
#ifndef SL_INGEST_PROGRAM_H
#define SL_INGEST_PROGRAM_H

#include "ingest/config.h"
#include "ingest/console/tap.h"
#include "ingest/program/access.h"
#include "ingest/program/dead_letter.h"
#include "ingest/program/recording.h"
#include "ingest/program/reload.h"
#include "ingest/program/service.h"
#include "ingest/replicas/replicas.h"
#include "ingest/stream/stream.h"
#include "market/instrument.h"
#include "sinks/outlet.h"
#include "sluice/metrics.h"
#include "sluice/scope.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Services and sinks of one program, at most. */
#define SL_PROGRAM_PARTS_MAX 256

typedef struct sl_program_parts sl_program_parts;

/* Gaps that are remembered for people. */
#define SL_PROGRAM_GAPS 64

struct sl_program_gap {
    char service[64];
    sl_feed feed;
    int64_t wall_ns;
    sl_gap gap;
};

/* A sink that runs. */
struct sl_program_sink {
    char name[SL_OUTLET_NAME_MAX];
    sl_program_parts *parts;
    sl_outlet *outlet;
    struct sl__sink_kit *kit; /* what the sink borrows */
    struct sl_service_recent latency_recent;
    bool leaving; /* another one has taken its place */
    struct sl_program_sink *next;
};

/* Registers with the reload, which must outlive it. Does not wait. 0, SL_ENOMEM, codes of registering. */
SL_MUST_CHECK int sl_program_open(sl_reload *reload, sl_program_parts **ret_parts);

/* Not while it runs. NULL is fine. */
void sl_program_close(sl_program_parts *parts);
SL_AUTO_DECLARE(sl_program_parts, sl_program_close)

/*
 * Runs all that the configuration says until the running task is asked to stop or its scope is cancelled: a task's
 * body (argument: the parts). Then ends in order. A part that fails is its own supervisor's business. A configuration that
 * cannot be started is the handler's code. Waits.
 */
SL_MUST_CHECK int sl_program_run(void *parts);

sl_instruments *sl_program_instruments(sl_program_parts *parts);

/* Before it runs: have all that comes recorded. Borrowed. */
void sl_program_record(sl_program_parts *parts, sl_recording *recording);
sl_recording *sl_program_recording(const sl_program_parts *parts);

/* Those that run; borrowed, until something changes. */
struct sl_program_sink *sl_program_sinks(const sl_program_parts *parts);
struct sl_program_service *sl_program_services(const sl_program_parts *parts);

/* What could not be decoded; NULL before the first run. */
sl_dead_letters *sl_program_dead_letters(const sl_program_parts *parts);

/* The last gaps, a ring of SL_PROGRAM_GAPS: number n is at n % SL_PROGRAM_GAPS; how many there were. */
const struct sl_program_gap *sl_program_gaps(const sl_program_parts *parts, uint64_t *ret_total);

/* Ends the run in order, as a stop does. 0, or SL_ECLOSED when it does not run. Does not wait. */
SL_MUST_CHECK int sl_program_stop(sl_program_parts *parts);

/* The part that this replica has in the work; NULL while nothing runs. The client of coordination.url, NULL without one. */
sl_replicas *sl_program_replicas(const sl_program_parts *parts);
sl_redis *sl_program_redis(const sl_program_parts *parts);

/*
 * Has a service (stream, book, poll) follow an instrument (symbol or name) of its venue, or leave it, whatever the
 * configuration says, until the service begins anew by a reload or the program ends. Does not wait: the service does it. 0; SL_ENOENT with what
 * there is none of; SL_ENOTSUP when another replica has the instrument; SL_ENOMEM.
 */
SL_MUST_CHECK int sl_program_follow(sl_program_parts *parts, const char *service, const char *instrument, bool follow);

/*
 * A service rests until it is told to go on, and connects anew; what passes it meanwhile is told as lost. 0, SL_ENOENT;
 * SL_EALREADY when it is so already. May wait.
 */
SL_MUST_CHECK int sl_program_pause(sl_program_parts *parts, const char *service, bool paused);
SL_MUST_CHECK int sl_program_restart(sl_program_parts *parts, const char *service);

/* Who listens to events as they pass: all that services give to sinks. */
sl_tap *sl_program_tap(sl_program_parts *parts);

/* Makes a service's feeds of an instrument (symbol or name; NULL: of all) anew. 0, SL_ENOENT, SL_ENOTSUP. May wait. */
SL_MUST_CHECK int sl_program_resync(sl_program_parts *parts, const char *service, const char *instrument);

/* What one has come to, in plain figures. */
struct sl_program_totals {
    uint64_t messages, bytes, events, trades, gaps, missing, filled, reconnects, rotations;
    uint64_t received, written, repeated, dropped, spooled, queued; /* of all sinks together */
    size_t services, sinks, connections, live, subscriptions, books, stale_books;
};
struct sl_program_totals sl_program_get_totals(const sl_program_parts *parts);

/* Adds the figures of an outlet to those of the sinks. */
void sl__program_add_outlet(struct sl_program_totals *totals, sl_outlet *outlet);

/* Writes what came of it, as text. */
void sl_program_report(const sl_program_parts *parts, FILE *out);

/* ---- between the files of the program ---- */

/*
 * sink_factory.c: the sink of an entry of `sinks`, and its outlet. What they borrow is the kit's, which keeps a reference
 * to the configuration and outlives the outlet. `sink` is told of refused events; NULL: nobody is. SL_EINVAL with the reason, SL_ENOMEM, codes of reading certificates.
 */
struct sl__sink_kit;
SL_MUST_CHECK int sl__sink_kit_new(const sl_config *config, struct sl__sink_kit **ret_kit);
void sl__sink_kit_free(struct sl__sink_kit *kit);
SL_MUST_CHECK int sl__make_outlet(struct sl__sink_kit *kit, const char *name, const struct sl_config_variant *variant,
                                  struct sl_program_sink *sink, sl_outlet **ret_outlet);

/* sink_factory.c: the schedule of its attempts; NULL: the built-in one. */
const struct sl_conf_retry *sl__sink_retry(const struct sl_conf *conf, const struct sl_config_variant *sink);

/* access.c: as the configuration wants it for a client; NULL: the default. */
SL_MUST_CHECK int sl__client_tls(const struct sl_conf_client_tls *conf, sl_tls_config **ret_tls);
/* access.c: as the configuration wants it for a server. */
SL_MUST_CHECK int sl__server_tls(const struct sl_conf_server_tls *conf, sl_tls_config **ret_tls);

/* program.c: the outlets a service names, for its fan-out. */
SL_MUST_CHECK int sl__program_attach(sl_program_parts *parts, struct sl_program_service *service);
SL_MUST_CHECK int sl__program_access(sl_program_parts *parts, struct sl_program_service *service);
/* program.c: what was said of the instrument by sl_program_follow(), else `otherwise`. */
bool sl__program_asks_for(const struct sl_program_service *service, const sl_instrument *instrument, bool otherwise);
/* program.c: so many replicas share the limits. */
void sl__program_set_members(sl_program_parts *parts, uint32_t members);
/* program.c: keeps a gap for people. */
void sl__program_note_gap(sl_program_parts *parts, const char *service, const sl_market_event *event);
/* program.c: a service's life ends; its figures stay in the totals. */
void sl__program_life_gone(const struct sl_program_service *service);

#ifdef __cplusplus
}
#endif

#endif
