/* SPDX-License-Identifier: MIT */
/* A stream around another one that passes few bytes at a time, and cancels a scope at the n-th wait. */
#ifndef TRAP_STREAM_H
#define TRAP_STREAM_H

#include "sluice/scope.h"
#include "sluice/stream.h"

struct trap {
    size_t step;     /* bytes that one call passes on at most; 0: any number */
    int waits;       /* until the trap springs; 0: never. Counts down */
    sl_scope *scope; /* that is cancelled then */
    bool sprung;
};

/* Takes `inner` over, also when it fails. The trap is the caller's and outlives the stream. */
int trap_stream_open(sl_stream *inner, struct trap *trap, sl_stream **ret_stream);

#endif
