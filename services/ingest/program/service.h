/* SPDX-License-Identifier: MIT */
/*
 * A service: one entry of `services`, as program.c makes, starts, changes and stops it. What differs between the kinds
 * (stream and book, poll, backfill, receive) is a struct sl_service_kind; what most of them need, the way to a venue,
 * which of its instruments, the way to the sinks, is here once.
 */
#ifndef SL_INGEST_SERVICE_H
#define SL_INGEST_SERVICE_H

#include "ingest/config.h"
#include "ingest/program/access.h"
#include "ingest/program/dead_letter.h"
#include "ingest/program/patterns.h"
#include "ingest/stream/stream.h"
#include "market/capture.h"
#include "market/instrument.h"
#include "sinks/outlet.h"
#include "sluice/histogram.h"
#include "sluice/metrics.h"
#include "sluice/sync.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sl_program_service;
struct sl_program_parts;

/* How a service stands, in figures that all kinds have; those that mean nothing to a kind are 0. */
struct sl_service_look {
    bool works;         /* it can do what it is for: a connection is live, requests are answered, it listens */
    const char *reason; /* what is not as it should be, for people; NULL: nothing. Borrowed until something changes */
    sl_time quiet_for;  /* no event for longer is a bad sign; 0: silence says nothing */
    bool degraded;      /* it works, but not all of it */
    uint64_t messages, bytes, bad, unknown; /* of this life: frames, answers or requests that came */
    uint64_t reconnects, rotations;
    size_t connections, live, subscriptions; /* now */
    size_t refused; /* of the subscriptions, on each connection: the venue will not have them */
    size_t stale;   /* feeds of instruments, now */
    size_t books, stale_books;
    uint64_t resyncs; /* of books, in this life */
    uint64_t jobs,
        jobs_left; /* of work that has an end: all that is known of, and what is not done; 0: there is none */
};

/* A kind of service. */
struct sl_service_kind {
    /*
     * One life, a task's body (argument: the service): runs until it is cancelled, or fails, and is started anew. What it
     * makes for itself hangs on service->life, and is freed before it ends. Failures are told by the caller.
     */
    int (*run)(void *service);

    /* How it stands; only called while service->life is set. Does not wait. `ret_look` is zeroed. */
    void (*look)(const struct sl_program_service *service, struct sl_service_look *ret_look);

    /* Rests, or goes on, while service->life is set; what passes meanwhile is told as lost. NULL: it is stopped and started. */
    void (*pause)(struct sl_program_service *service, bool paused);

    /* Makes its connections anew, while service->life is set. Does not wait. NULL: it is stopped and started. */
    void (*restart)(struct sl_program_service *service);

    /* How an instrument stands, while service->life is set. `ret_place` is zeroed. NULL: nothing can be said. */
    void (*look_at)(const struct sl_program_service *service, const sl_instrument *instrument,
                    struct sl_stream_place *ret_place);

    /* Makes the feeds of an instrument anew: how many they were. May wait. NULL: it has no such thing. */
    int (*resync)(struct sl_program_service *service, const sl_instrument *instrument);

    /* For replicas, while service->life is set; NULL: it follows nothing. See sl_stream_each_pending(), sl_stream_positions(). */
    bool (*follows)(const struct sl_program_service *service, const sl_instrument *instrument);
    void (*pending)(const struct sl_program_service *service, void (*look)(void *arg, const sl_subscription *what),
                    void *arg);
    int (*positions)(struct sl_program_service *service,
                     void (*look)(void *arg, const sl_instrument *instrument, sl_feed feed, int64_t id), void *arg);

    /* Further figures of its own, while service->life is set; NULL: none. */
    void (*collect)(const struct sl_program_service *service, const struct sl_label *labels, sl_scrape *scrape);
};

/* What came of one instrument. */
struct sl_service_seen {
    uint64_t events;
    sl_time last_at; /* sl_now(); 0: nothing came */
    int64_t lag_ns;  /* of the last event that told when it was sent */
    uint32_t gaps;
};

/* What a view shows of a histogram that only grows: the quantiles of the last second. */
struct sl_service_recent {
    struct sl_histogram before;
    sl_time since; /* 0: nobody has looked yet */
    sl_time p50, p99, max;
};

/* What runs under one name. Who keeps figures of it reads them here; the kind writes them. */
struct sl_program_service {
    char name[64];
    struct sl_program_parts *parts;
    const struct sl_service_kind *kind;
    void *life;                              /* the kind's own, while it runs; NULL between two lives */
    uint32_t number;                         /* in recordings */
    uint64_t made;                           /* its configuration: larger ones are newer */
    sl_config *config;                       /* kept: a reference */
    const struct sl_config_variant *variant; /* in it */
    sl_access *access;                       /* shared with the other services of the venue; NULL: none */
    sl_fanout *fanout;                       /* while it runs */
    sl_event changed;                        /* the configuration, or the list of instruments */
    size_t wanted;                           /* instruments */
    size_t unmatched;                        /* of the configured names and patterns: they fit no instrument there is */
    sl_patterns named, excluded;             /* by the configuration that was made as `named_of` */
    uint64_t named_of;                       /* 0: of none yet */
    signed char *words; /* by the instrument's index: 1 follow it, -1 do not; sl_program_follow() */
    size_t word_count;
    uint64_t chosen; /* as of this generation of sl_replicas_follows() */
    uint64_t events, trades, gaps, missing;
    uint64_t filled;         /* of the missing trades: they came later */
    int64_t began_ns;        /* sl_now_wall(): gaps that were seen before are not among the missing ones */
    sl_time last_event_at;   /* sl_now(); 0: none came */
    struct sl_histogram lag; /* from the venue's sending to our receiving */
    struct sl_service_recent lag_recent;
    struct sl_service_seen *seen; /* by the instrument's index; as far as there was memory for it */
    size_t seen_count;
    bool paused;       /* by hand */
    char problem[160]; /* of its last failure */
    struct sl_program_service *next;
};

/* The kinds, each in a file of its own. */
extern const struct sl_service_kind sl__market_kind;   /* stream and book: market_service.c */
extern const struct sl_service_kind sl__backfill_kind; /* backfill_service.c */
extern const struct sl_service_kind sl__poll_kind;     /* poll.c */
extern const struct sl_service_kind sl__receive_kind;  /* receive.c */

/* The kind of an entry of `services`; NULL: there is none. */
const struct sl_service_kind *sl_service_kind_of(const struct sl_config_variant *variant);

/* The name of its venue, or of that of events that name none. */
const char *sl_service_venue_name(const struct sl_program_service *service);

/* How it stands: false between two lives, and then all is 0. */
bool sl_service_look(const struct sl_program_service *service, struct sl_service_look *ret_look);

/* A task's body (argument: the service): one life with what all kinds have around it. */
SL_MUST_CHECK int sl__service_run(void *service);

/* ---- for the kinds ---- */

/* Opens the way to the service's venue and has its list of instruments at least once. Waits. */
SL_MUST_CHECK int sl__service_reach(struct sl_program_service *service);

/* Whether the configuration (or the console) asks for the instrument, and this replica is the one to follow it. */
bool sl__service_wants(struct sl_program_service *service, const sl_instrument *instrument);

/* Whether another replica is the one that follows the instrument. */
bool sl__service_elsewhere(const struct sl_program_service *service, const sl_instrument *instrument);

/*
 * Tells `follow` of each instrument of the venue whether it is wanted, and then, with NULL, that it was told of all; at
 * once and again whenever the configuration or the venue's list changes. Asks for the list every SL_ACCESS_REFRESH. Returns a code: SL_ECANCELED, or what follow()
 * gave. Waits.
 */
SL_MUST_CHECK int sl__service_keep_choosing(struct sl_program_service *service,
                                            int (*follow)(struct sl_program_service *service,
                                                          const sl_instrument *instrument, bool wanted));

/* Gives an event to the sinks, counted. Waits as sl_fanout_write(). 0, its codes; one that is too large is only logged. */
SL_MUST_CHECK int sl__service_give(struct sl_program_service *service, const sl_market_event *event);

/* Notes when an event came and how old it was. */
void sl__service_saw(struct sl_program_service *service, const sl_market_event *event);

/*
 * Adds to the recording, if there is one: what a connection of the service (0: none) brought. Waits. sl_recording_add()'s codes.
 */
SL_MUST_CHECK int sl__service_record(const struct sl_program_service *service, uint32_t connection,
                                     sl_capture_line *line);
/* An answer to one of its requests (argument: the service), as sl_access_watch() and books want it. */
SL_MUST_CHECK int sl__service_record_answer(void *service, const char *url, const char *text, size_t size_bytes,
                                            int64_t receive_time_ns);

/* A message, or a row of it, that could not be used: into the dead letters, the first of its like into the log. */
void sl__service_bad(void *service, const struct sl_bad_message *message);

/* Writes the deepest message of the current error, or the code's text. */
void sl__service_describe(int code, char *text, size_t size_bytes);

#ifdef __cplusplus
}
#endif

#endif
