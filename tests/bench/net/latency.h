/* SPDX-License-Identifier: MIT */
/* Times of messages that begin with their time of sending, 20 digits of nanoseconds of the monotonic clock. */
#ifndef SL_BENCH_LATENCY_H
#define SL_BENCH_LATENCY_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define LATENCY_SLOTS 100000 /* of 100 ns: up to 10 ms, the last one holds all that is longer */
#define LATENCY_SLOT_NS 100
#define LATENCY_DIGITS 20

struct latency {
    uint64_t slots[LATENCY_SLOTS];
    uint64_t count;
};

/* Both: nanoseconds of the monotonic clock. */
static inline void latency_add_between(struct latency *latency, uint64_t sent, uint64_t now)
{
    uint64_t slot = now > sent ? (now - sent) / LATENCY_SLOT_NS : 0;
    latency->slots[slot < LATENCY_SLOTS ? slot : LATENCY_SLOTS - 1]++;
    latency->count++;
}

static inline uint64_t latency_now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static inline void latency_add(struct latency *latency, const char *message)
{
    uint64_t sent = 0;
    for (int i = 0; i < LATENCY_DIGITS; i++) {
        sent = sent * 10 + (uint64_t)(message[i] - '0');
    }
    latency_add_between(latency, sent, latency_now());
}

/* All whole unmasked frames with payloads of 126 to 65 535 bytes. */
static inline void latency_walk(struct latency *latency, const unsigned char *data, size_t bytes)
{
    for (size_t at = 0; bytes - at >= 4;) {
        size_t payload = (size_t)data[at + 2] << 8 | data[at + 3];
        if (bytes - at < 4 + payload) {
            break;
        }
        latency_add(latency, (const char *)data + at + 4);
        at += 4 + payload;
    }
}

static inline double latency_at(const struct latency *latency, double share)
{
    uint64_t wanted = (uint64_t)((double)latency->count * share);
    uint64_t seen = 0;
    for (int i = 0; i < LATENCY_SLOTS; i++) {
        seen += latency->slots[i];
        if (seen > wanted) {
            return (double)i * LATENCY_SLOT_NS / 1000.0;
        }
    }
    return 0;
}

static inline void latency_print(const struct latency *latency)
{
    (void)printf("p50 %.1f p99 %.1f p999 %.1f count %llu\n", latency_at(latency, 0.5), latency_at(latency, 0.99),
                 latency_at(latency, 0.999), (unsigned long long)latency->count);
}

#endif
