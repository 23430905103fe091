/* SPDX-License-Identifier: MIT */
/*
 * Signals as streams, and the run's own reactions to SIGINT, SIGTERM and SIGUSR1. libuv delivers them on
 * the loop; it resets a signal to its default when its last watcher stops, so the old handler is kept
 * here and put back.
 */
#include "sluice/signal.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

#define SIGNALS_LIMIT 65

struct source {
    uv_signal_t handle;
    sl_signals *signals;
    int number;
    bool pending;
    struct sigaction old;
};

struct sl_signals {
    bool own; /* the run's reactions, not a stream */
    sl_task *waiting;
    size_t next; /* whose turn it is */
    size_t count;
    size_t handles; /* that libuv has not closed yet */
    struct source sources[];
};

struct sl__signal_hub {
    sl_signals *streams[SIGNALS_LIMIT]; /* who has a number */
    sl_signals *own;
};

static void on_signal(uv_signal_t *handle, int number)
{
    struct source *source = handle->data;
    sl_signals *signals = source->signals;
    sl_runtime *runtime = sl__runtime;
    if (!signals->own) {
        source->pending = true;
        sl_task *task = signals->waiting;
        if (task != NULL) {
            signals->waiting = NULL;
            sl_unpark(task, 0);
        }
    } else if (runtime->signals->streams[number] != NULL) {
        return; /* a stream has taken the number over */
    } else if (number == SIGUSR1) {
        sl__tree_print(runtime, stderr);
    } else {
        sl__runtime_interrupt(runtime, number);
    }
}

static void on_closed(uv_handle_t *handle)
{
    sl_signals *signals = ((struct source *)handle->data)->signals;
    if (--signals->handles == 0) {
        sl_free(signals);
    }
}

/* Stops the first `started` of its sources; the record is freed once libuv lets go of them. */
static void stop(sl_signals *signals, size_t started)
{
    size_t handles = signals->handles;
    for (size_t i = 0; i < handles; i++) {
        struct source *source = &signals->sources[i];
        if (i < started) {
            (void)uv_signal_stop(&source->handle);
            (void)sigaction(source->number, &source->old, NULL);
        }
        uv_close((uv_handle_t *)&source->handle, on_closed);
        if (source->pending) {
            (void)raise(source->number); /* unread: it is the old handler's */
        }
    }
    if (handles == 0) {
        sl_free(signals);
    }
}

static int start(sl_runtime *runtime, const int *numbers, size_t count, bool own, sl_signals **ret_signals)
{
    sl_signals *signals = sl_calloc(1, sizeof *signals + count * sizeof signals->sources[0]);
    if (signals == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for signals");
    }
    signals->own = own;
    signals->count = count;
    for (size_t i = 0; i < count; i++) {
        struct source *source = &signals->sources[i];
        source->signals = signals;
        source->number = numbers[i];
        source->handle.data = source;
        int code = sigaction(numbers[i], NULL, &source->old) == 0 ? 0 : SL_EINVAL;
        code = code == 0 ? uv_signal_init(&runtime->loop, &source->handle) : code;
        if (code == 0) {
            signals->handles++;
            code = uv_signal_start(&source->handle, on_signal, numbers[i]);
        }
        if (code < 0) {
            stop(signals, i);
            return sl_fail(code, "signal %d cannot be watched", numbers[i]);
        }
    }
    *ret_signals = signals;
    return 0;
}

static int hub_open(sl_runtime *runtime)
{
    if (runtime->signals == NULL) {
        runtime->signals = sl_calloc(1, sizeof *runtime->signals);
    }
    return runtime->signals == NULL ? sl_fail(SL_ENOMEM, "no memory for signals") : 0;
}

int sl__signals_watch(sl_runtime *runtime)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGUSR1};
    SL_TRY(hub_open(runtime));
    return start(runtime, numbers, sizeof numbers / sizeof numbers[0], true, &runtime->signals->own);
}

void sl__signals_close(sl_runtime *runtime)
{
    struct sl__signal_hub *hub = runtime->signals;
    if (hub == NULL) {
        return;
    }
    for (size_t i = 0; i < SIGNALS_LIMIT; i++) {
        sl_signals_close(hub->streams[i]); /* left open by its task */
    }
    runtime->signals = NULL;
    if (hub->own != NULL) {
        stop(hub->own, hub->own->count);
    }
    sl_free(hub);
}

int sl_signals_open(const int *numbers, size_t count, sl_signals **ret_signals)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    if (count == 0 || count > SL_SIGNALS_MAX) {
        return sl_fail(SL_EINVAL, "sl_signals_open(): %zu signals, not 1 to %d", count, SL_SIGNALS_MAX);
    }
    SL_TRY(hub_open(task->runtime));
    struct sl__signal_hub *hub = task->runtime->signals;
    for (size_t i = 0; i < count; i++) {
        int number = numbers[i];
        if (number < 1 || number >= SIGNALS_LIMIT || number == SIGKILL || number == SIGSTOP) {
            return sl_fail(SL_EINVAL, "signal %d cannot be caught", number);
        }
        for (size_t j = 0; j < i; j++) {
            if (numbers[j] == number) {
                return sl_fail(SL_EINVAL, "signal %d is named twice", number);
            }
        }
        if (hub->streams[number] != NULL) {
            return sl_fail(SL_EBUSY, "signal %d has a stream already", number);
        }
    }
    sl_signals *signals = NULL;
    SL_TRY(start(task->runtime, numbers, count, false, &signals));
    for (size_t i = 0; i < count; i++) {
        hub->streams[numbers[i]] = signals;
    }
    *ret_signals = signals;
    return 0;
}

static bool stop_waiting(sl_task *task, void *object)
{
    (void)task;
    ((sl_signals *)object)->waiting = NULL;
    return true;
}

int sl_signals_next(sl_signals *signals)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    if (signals->waiting != NULL) {
        return sl__misuse(SL_EBUSY, "sl_signals_next(): task '%s' waits already", signals->waiting->name);
    }
    if (sl__cancelled(task)) {
        return SL_ECANCELED;
    }
    for (;;) {
        for (size_t i = 0; i < signals->count; i++) {
            struct source *source = &signals->sources[(signals->next + i) % signals->count];
            if (source->pending) {
                source->pending = false;
                signals->next = (size_t)(source - signals->sources) + 1;
                sl__coop(task);
                return source->number;
            }
        }
        signals->waiting = task;
        SL_TRY(sl_park(stop_waiting, signals, "signal"));
    }
}

void sl_signals_close(sl_signals *signals)
{
    if (signals == NULL) {
        return;
    }
    for (size_t i = 0; i < signals->count; i++) {
        sl__runtime->signals->streams[signals->sources[i].number] = NULL;
    }
    if (signals->waiting != NULL) {
        sl_unpark(signals->waiting, SL_ECLOSED);
        signals->waiting = NULL;
    }
    stop(signals, signals->count);
}
