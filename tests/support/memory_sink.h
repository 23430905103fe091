/* SPDX-License-Identifier: MIT */
/* A sink in memory that can be told to fail, to be slow, and to store things whose confirmation is lost. */
#ifndef MEMORY_SINK_H
#define MEMORY_SINK_H

#include <stdatomic.h>

#include "sinks/sink.h"
#include "sluice/time.h"

struct memory_sink {
    sl_sink sink;
    /* To be set by the test. */
    atomic_bool down;           /* opening and writing fail */
    atomic_int fail_opens;      /* the next so many fail */
    atomic_int fail_writes;     /* the next so many fail, with nothing stored */
    atomic_int lose_answers;    /* the next so many writes store everything, and fail */
    _Atomic sl_time write_time; /* of each write */
    uint64_t refuses; /* events whose number is a multiple are never taken, nor is a batch with one; 0: none */
    bool forgets;     /* keeps no identity: repeats are stored again */
    /* What came. */
    uint64_t stored;
    uint64_t repeated;
    uint64_t disorder; /* events that came with a lower number than one before, of the same run */
    uint64_t wrong;    /* events that are not sample_event(number - 1) */
    uint64_t run;      /* of the last event */
    uint64_t highest;  /* its number */
    uint64_t *counts;  /* how often each number came, of all runs */
    size_t counts_size;
    int opened, closed, written;
    bool open;
    bool checks; /* events are sample_event(number - 1): compare them */
};

/* Blocking ones run on worker threads. */
struct memory_sink *memory_sink_new(bool blocking);

/* How many of the numbers 1 to `count` came exactly once. */
uint64_t memory_sink_once(const struct memory_sink *sink, uint64_t count);

#endif
