/* SPDX-License-Identifier: MIT */
/*
 * What each kind of stream provides, and how their tasks wait. The calls of a kind never wait: they say
 * SL_EAGAIN, and stream.c waits, so that cancellation, closing and fairness are in one place.
 */
#ifndef SL_NET_STREAM_H
#define SL_NET_STREAM_H

#include "sluice/net.h"

enum sl__side { SL_READABLE, SL_WRITABLE };

/*
 * The tasks that wait on a record, and how long it lives: until it is closed, the system has let go of it,
 * and every task that waited has left it. The first member of each such record.
 */
struct sl__waits {
    sl_task *tasks[2];
    unsigned holds; /* the owner's and system's together one; each waiting task's */
    bool closed;
    bool outside; /* woken by the outside world: a simulated clock must not jump meanwhile */
};

void sl__waits_init(struct sl__waits *waits, bool outside);
/* Waits for a wake-up. 0 or what it was woken with, SL_ECANCELED; SL_ECLOSED: do not touch the record any more. */
int sl__waits_park(struct sl__waits *waits, enum sl__side side, const char *what);
void sl__waits_wake(struct sl__waits *waits, enum sl__side side, int result);
/* By close: wakes both with SL_ECLOSED. */
void sl__waits_close(struct sl__waits *waits);
/* One more reason to keep the record; letting go of the last frees it. True if it was closed meanwhile. */
void sl__waits_hold(struct sl__waits *waits);
bool sl__waits_drop(struct sl__waits *waits);

struct sl_stream_ops {
    /* 0 and at least one byte; SL_EAGAIN, SL_EOF or an error. */
    int (*receive)(sl_stream *stream, void *buffer, size_t size_bytes, size_t *ret_bytes);
    /* 0 and at least one byte of the pieces (not empty) taken; SL_EAGAIN or an error. */
    int (*send)(sl_stream *stream, const struct sl_bytes *pieces, size_t count, size_t *ret_bytes);
    /* 0, SL_EAGAIN or an error. */
    int (*shutdown)(sl_stream *stream);
    /* Sees to it that sl__waits_wake() comes when `side` may go on. NULL when it comes anyway. */
    void (*arm)(sl_stream *stream, enum sl__side side);
    /* The next receive is to ask the system, whatever is known of it. NULL when it does so anyway. */
    void (*look_anew)(sl_stream *stream);
    /* Waits where a wake-up is not enough: for streams on top of streams. NULL: arm and park. */
    int (*wait)(sl_stream *stream, enum sl__side side);
    /* Lets go of the system's things; the record's first hold is dropped when nothing refers to it any more. */
    void (*close)(sl_stream *stream, bool reset);
    void (*describe)(const sl_stream *stream, bool peer, char *text, size_t text_bytes);
};

struct sl_stream {
    struct sl__waits waits; /* first */
    const struct sl_stream_ops *ops;
    char *buffer; /* of the runtime's; NULL while nothing is unread and the reader waits */
    uint32_t start, end;
    bool in_read, in_write;
    bool write_broken;
    bool shut;     /* no more writes ... */
    bool shut_all; /* ... and the peer was told */
    struct sl_stream_counts counts;
};

void sl__stream_init(sl_stream *stream, const struct sl_stream_ops *ops, bool outside);
/* For streams on top of this one. Receives into its buffer what is there; SL_EAGAIN when nothing is. */
int sl__stream_fill_now(sl_stream *stream);
int sl__stream_wait(sl_stream *stream, enum sl__side side);
void sl__stream_look_anew(sl_stream *stream);

struct sl_listener_ops {
    /* 0 and a stream, SL_EAGAIN, or an error. */
    int (*accept)(sl_listener *listener, sl_stream **ret_stream);
    void (*arm)(sl_listener *listener);
    void (*drain)(sl_listener *listener); /* takes no more */
    void (*close)(sl_listener *listener);
};

struct sl_listener {
    struct sl__waits waits; /* first */
    const struct sl_listener_ops *ops;
    int port;
    bool draining;
};

#endif
