/* SPDX-License-Identifier: MIT */
/*
 * When the writes of the last messages ended: the feed tells it in a file that who receives them maps too. A message
 * over loopback is readable before its write has ended, and not before it has begun: from the one to the sink's call is
 * the least that the way from the readable socket took, from the other the most.
 */
#ifndef SL_BENCH_STAMPS_H
#define SL_BENCH_STAMPS_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../net/latency.h"

#define STAMPS 1000000                          /* the message's number, modulo this, is in its price, */
#define STAMPS_PRICE 1000000                    /* behind this */
#define SENT_FROM_NS INT64_C(10000000000000000) /* and when its write began in its quantity, behind this */

typedef _Atomic uint64_t stamp_ns;

/* NULL: nobody has named a file (SL_BENCH_STAMPS). */
static inline stamp_ns *stamps_open(void)
{
    const char *path = getenv("SL_BENCH_STAMPS");
    int file = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
        return NULL;
    }
    void *memory = MAP_FAILED;
    if (ftruncate(file, STAMPS * sizeof(stamp_ns)) == 0) {
        memory = mmap(NULL, STAMPS * sizeof(stamp_ns), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
    }
    (void)close(file);
    return memory == MAP_FAILED ? NULL : memory;
}

struct stamped {
    struct latency most, least;
};

/* A message has arrived whose write began at `begun_ns`. One whose write has not ended yet took 0 at least. */
static inline void stamped_add(struct stamped *stamped, stamp_ns *stamps, size_t number, uint64_t begun_ns)
{
    uint64_t now = latency_now();
    uint64_t ended = atomic_load_explicit(&stamps[number % STAMPS], memory_order_acquire);
    latency_add_between(&stamped->most, begun_ns, now);
    latency_add_between(&stamped->least, ended < begun_ns ? now : ended, now);
}

static inline void stamped_print(const struct stamped *stamped)
{
    (void)printf("least_p50 %.1f least_p99 %.1f least_p999 %.1f ", latency_at(&stamped->least, 0.5),
                 latency_at(&stamped->least, 0.99), latency_at(&stamped->least, 0.999));
    latency_print(&stamped->most);
}

#endif
