/* SPDX-License-Identifier: MIT */
/* See memory_sink.h. */
#include "memory_sink.h"

#include <string.h>
#include <time.h>

#include "sample_events.h"

static int memory_open(sl_sink *base, sl_scope *scope)
{
    struct memory_sink *sink = (struct memory_sink *)base;
    (void)scope;
    sink->opened++;
    if (sink->down || sink->fail_opens > 0) {
        sink->fail_opens -= sink->fail_opens > 0 ? 1 : 0;
        return sl_fail(-ECONNREFUSED, "the memory is away");
    }
    sink->open = true;
    return 0;
}

static int look_for_refused(const struct memory_sink *sink, sl_sink_batch *batch)
{
    sl_market_event event;
    sl_stamp stamp;
    while (sink->refuses != 0) {
        int code = sl_sink_batch_next(batch, &event, &stamp);
        if (code <= 0) {
            sl_sink_batch_rewind(batch);
            return code;
        }
        if (stamp.number % sink->refuses == 0) {
            return sl_fail(SL_EINVAL, "the memory hates %d", (int)stamp.number);
        }
    }
    return 0;
}

static int store(struct memory_sink *sink, const sl_market_event *event, sl_stamp stamp, sl_sink_result *result)
{
    if (stamp.number >= sink->counts_size) {
        size_t size = (size_t)stamp.number * 2 + 64;
        uint64_t *counts = sl_realloc(sink->counts, size * sizeof(*counts));
        if (counts == NULL) {
            return SL_ENOMEM;
        }
        memset(counts + sink->counts_size, 0, (size - sink->counts_size) * sizeof(*counts));
        sink->counts = counts;
        sink->counts_size = size;
    }
    if (!sink->forgets && stamp.run == sink->run && stamp.number <= sink->highest) {
        sink->repeated++;
        result->repeated++;
        return 0;
    }
    sink->disorder += stamp.run == sink->run && stamp.number <= sink->highest ? 1 : 0;
    if (sink->checks) {
        sl_market_event expected = sample_event(stamp.number - 1);
        sink->wrong += sample_events_equal(event, &expected) ? 0 : 1;
    }
    sink->run = stamp.run;
    sink->highest = stamp.number;
    sink->counts[stamp.number]++;
    sink->stored++;
    result->written++;
    return 0;
}

static int memory_write(sl_sink *base, sl_sink_batch *batch, sl_sink_result *result)
{
    struct memory_sink *sink = (struct memory_sink *)base;
    sl_market_event event;
    sl_stamp stamp;
    if (sink->write_time > 0 && !base->driver->blocking) {
        SL_TRY(sl_sleep(sink->write_time));
    } else if (sink->write_time > 0) {
        struct timespec pause = {.tv_nsec = (long)sink->write_time};
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    if (sink->down || sink->fail_writes > 0) {
        sink->fail_writes -= sink->fail_writes > 0 ? 1 : 0;
        return sl_fail(SL_ECONNRESET, "the memory went away");
    }
    sink->written++;
    SL_TRY(look_for_refused(sink, batch));
    for (;;) {
        int code = sl_sink_batch_next(batch, &event, &stamp);
        if (code <= 0) {
            SL_TRY(code);
            break;
        }
        SL_TRY(store(sink, &event, stamp, result));
    }
    if (sink->lose_answers > 0) {
        sink->lose_answers--;
        return sl_fail(SL_ECONNRESET, "the memory's answer was lost");
    }
    return 0;
}

static void memory_close(sl_sink *base)
{
    struct memory_sink *sink = (struct memory_sink *)base;
    sink->closed++;
    sink->open = false;
}

static void memory_free(sl_sink *base)
{
    sl_free(((struct memory_sink *)base)->counts);
    sl_free(base);
}

struct memory_sink *memory_sink_new(bool blocking)
{
    static const sl_sink_driver drivers[2] = {
        {"memory", false, memory_open, memory_write, memory_close, memory_free},
        {"memory", true, memory_open, memory_write, memory_close, memory_free},
    };
    struct memory_sink *sink = sl_calloc(1, sizeof(*sink));
    if (sink != NULL) {
        sink->sink.driver = &drivers[blocking ? 1 : 0];
    }
    return sink;
}

uint64_t memory_sink_once(const struct memory_sink *sink, uint64_t count)
{
    uint64_t once = 0;
    for (uint64_t number = 1; number <= count && number < sink->counts_size; number++) {
        once += sink->counts[number] == 1 ? 1 : 0;
    }
    return once;
}
