/* SPDX-License-Identifier: MIT */
/* What the files of the program share: program.c makes it of its configuration, program_steer.c is what people tell it. */
#ifndef SL_INGEST_PROGRAM_INTERNAL_H
#define SL_INGEST_PROGRAM_INTERNAL_H

#include "ingest/program/program.h"

struct old_access {
    sl_access *access;
    struct old_access *next;
};

struct sl_program_parts {
    sl_reload *reload;
    sl_instruments *instruments;
    sl_scope *sinks_scope, *services_scope; /* while it runs */
    struct sl_program_sink *sinks;
    struct sl_program_service *services;
    sl_access *accesses[SL_VENUE_COUNT];
    uint64_t made_of[SL_VENUE_COUNT]; /* the newest configuration that each was held against */
    uint64_t last_made;
    struct old_access *old_accesses; /* whose venue was configured anew, while a service still uses them */
    sl_tap tap;
    struct sl_program_totals gone; /* of parts that are no more */
    struct sl_program_gap gaps[SL_PROGRAM_GAPS];
    uint64_t gap_count;
    sl_event stopped;        /* somebody wants the run to end */
    sl_recording *recording; /* NULL: none */
    uint32_t last_service;
    sl_dead_letters *dead_letters; /* from the first run on */
    sl_redis *redis;               /* while it runs, as what follows; NULL: no replicas */
    sl_replicas *replicas;
    sl_scope *shared_scope; /* of what is shared by Redis */
};

/* program.c: NULL when there is none of that name. */
struct sl_program_service *sl__program_service(const sl_program_parts *parts, const char *name);

#endif
