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

/*
 * Latencies in the order of the messages: their quantiles are taken of all of them and of each window of 100 ms by itself.
 * The median of the windows is what a machine shows that stops its guests for milliseconds, at most in every other window.
 */
#define STAMPED_MOST 4000000 /* messages; later ones are not kept */
#define STAMPED_WINDOW 10000 /* messages */

struct stamped {
    uint32_t most[STAMPED_MOST], least[STAMPED_MOST]; /* ns */
    size_t count;
};

static inline uint32_t stamped_between(uint64_t from, uint64_t to)
{
    return to <= from ? 0 : to - from > UINT32_MAX ? UINT32_MAX : (uint32_t)(to - from);
}

/* A message has arrived whose write began at `begun_ns`. One whose write has not ended yet took 0 at least. */
static inline void stamped_add(struct stamped *stamped, stamp_ns *stamps, size_t number, uint64_t begun_ns)
{
    uint64_t now = latency_now();
    uint64_t ended = atomic_load_explicit(&stamps[number % STAMPS], memory_order_acquire);
    if (stamped->count < STAMPED_MOST) {
        stamped->most[stamped->count] = stamped_between(begun_ns, now);
        stamped->least[stamped->count++] = ended < begun_ns ? 0 : stamped_between(ended, now);
    }
}

static inline int stamped_compare(const void *a, const void *b)
{
    const uint32_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

/* Microseconds; sorts the times. */
static inline double stamped_quantile(uint32_t *times, size_t count, double share)
{
    qsort(times, count, sizeof times[0], stamped_compare);
    return count == 0 ? 0 : times[(size_t)((double)(count - 1) * share)] / 1000.0;
}

/* The 99 % of whole windows, their median; sorts each window by itself. */
static inline double stamped_windows(uint32_t *times, size_t count)
{
    uint32_t quantiles[STAMPED_MOST / STAMPED_WINDOW];
    size_t windows = count / STAMPED_WINDOW;
    for (size_t i = 0; i < windows; i++) {
        quantiles[i] = (uint32_t)(stamped_quantile(times + i * STAMPED_WINDOW, STAMPED_WINDOW, 0.99) * 1000);
    }
    return stamped_quantile(quantiles, windows, 0.5);
}

static inline void stamped_print_one(const char *prefix, uint32_t *times, size_t count)
{
    (void)printf("%swindow_p99 %.1f ", prefix, stamped_windows(times, count));
    (void)printf("%sp50 %.1f %sp99 %.1f ", prefix, stamped_quantile(times, count, 0.5), prefix,
                 stamped_quantile(times, count, 0.99));
    (void)printf("%sp999 %.1f ", prefix, stamped_quantile(times, count, 0.999));
}

static inline void stamped_print(struct stamped *stamped)
{
    stamped_print_one("least_", stamped->least, stamped->count);
    stamped_print_one("", stamped->most, stamped->count);
    (void)printf("count %zu\n", stamped->count);
}

#endif
