/* SPDX-License-Identifier: MIT */
/*
 * Signals as streams, and the run's own reactions to SIGINT, SIGTERM and SIGUSR1. libuv delivers them on
 * the loop; it resets a signal to its default when its last watcher stops, so the old handler is kept
 * here and put back. Handlers belong to the process, not to a runtime: their table is shared by all
 * threads. The handles keep their reference on the loop, as libuv polls nothing without one.
 */
#include "sluice/signal.h"

#include <pthread.h>
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
};

/* A task in sl_signals_next(); it lies on its stack until it runs again, also when the stream has gone. */
struct reader {
    sl_signals *signals; /* NULL: closed, or cancelled */
    sl_task *task;
    int number; /* handed over, 0 while it waits */
};

struct sl_signals {
    bool own; /* the run's reactions, not a stream */
    struct reader *reader;
    size_t next; /* whose turn it is */
    size_t count;
    size_t handles; /* that libuv has not closed yet */
    struct source sources[];
};

struct sl__signal_hub {
    sl_signals *streams[SIGNALS_LIMIT]; /* who has a number */
    sl_signals *own;
};

/* What the process did with each signal before the first watcher of any runtime came. */
static struct {
    pthread_mutex_t lock;
    struct {
        size_t watchers;
        struct sigaction old;
    } numbers[SIGNALS_LIMIT];
} process = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_signal(uv_signal_t *handle, int number)
{
    struct source *source = handle->data;
    sl_signals *signals = source->signals;
    sl_runtime *runtime = sl__runtime;
    if (!signals->own) {
        struct reader *reader = signals->reader;
        if (reader != NULL && reader->number == 0) {
            reader->number = number;
            signals->next = (size_t)(source - signals->sources) + 1;
            sl_unpark(reader->task, number);
        } else if (reader == NULL || reader->number != number) {
            source->pending = true;
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

static int watch(struct source *source)
{
    int number = source->number;
    struct sigaction old;
    (void)pthread_mutex_lock(&process.lock);
    int code = sigaction(number, NULL, &old) == 0 ? uv_signal_start(&source->handle, on_signal, number) : SL_EINVAL;
    if (code == 0 && process.numbers[number].watchers++ == 0) {
        process.numbers[number].old = old;
    }
    (void)pthread_mutex_unlock(&process.lock);
    return code;
}

/* True when that was the last watcher of the number, so that it has its old handler again. */
static bool unwatch(struct source *source)
{
    int number = source->number;
    sigset_t only;
    sigset_t before;
    (void)sigemptyset(&only);
    (void)sigaddset(&only, number);
    (void)pthread_mutex_lock(&process.lock);
    /* libuv puts the default in for a moment: what this thread gets then waits for the old handler. */
    (void)pthread_sigmask(SIG_BLOCK, &only, &before);
    (void)uv_signal_stop(&source->handle);
    bool last = --process.numbers[number].watchers == 0;
    if (last) {
        (void)sigaction(number, &process.numbers[number].old, NULL);
    }
    (void)pthread_mutex_unlock(&process.lock);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return last;
}

static bool own_watches(const sl_runtime *runtime, int number)
{
    const sl_signals *own = runtime->signals->own;
    for (size_t i = 0; own != NULL && i < own->count; i++) {
        if (own->sources[i].number == number) {
            return true;
        }
    }
    return false;
}

/*
 * Ends the watch of a stream's signal and raises it again if nobody read it: for the old handler, or for
 * the run's own reaction, which left it to the stream. What libuv has caught but the loop has not yet
 * dispatched is lost with the stream, but reaches the own reaction without our help.
 */
static void unwatch_and_raise(const sl_runtime *runtime, struct source *source)
{
    bool last = unwatch(source);
    bool undispatched = source->handle.caught_signals != source->handle.dispatched_signals;
    bool again = last && (source->pending || undispatched);
    if (own_watches(runtime, source->number)) {
        again = source->pending && !undispatched;
    }
    if (again) {
        (void)raise(source->number);
    }
}

/* Stops the first `started` of its sources; the record is freed once libuv lets go of them. */
static void stop(const sl_runtime *runtime, sl_signals *signals, size_t started)
{
    size_t handles = signals->handles;
    for (size_t i = 0; i < handles; i++) {
        struct source *source = &signals->sources[i];
        if (i < started && signals->own) {
            (void)unwatch(source);
        } else if (i < started) {
            unwatch_and_raise(runtime, source);
        }
        uv_close((uv_handle_t *)&source->handle, on_closed);
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
        int code = uv_signal_init(&runtime->loop, &source->handle);
        if (code == 0) {
            signals->handles++;
            code = watch(source);
        }
        if (code < 0) {
            stop(runtime, signals, i);
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
    if (hub->own != NULL) {
        stop(runtime, hub->own, hub->own->count);
    }
    runtime->signals = NULL;
    sl_free(hub);
}

/* Signals that tell of a fault would come again and again: the faulting instruction is repeated. */
static bool can_be_caught(int number)
{
    static const int never[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        if (number == never[i]) {
            return false;
        }
    }
    return number >= 1 && number < SIGNALS_LIMIT;
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
        if (!can_be_caught(number)) {
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
    struct reader *reader = object;
    reader->signals->reader = NULL;
    reader->signals = NULL;
    return true;
}

int sl_signals_next(sl_signals *signals)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    if (signals->reader != NULL) {
        return sl__misuse(SL_EBUSY, "sl_signals_next(): task '%s' waits already", signals->reader->task->name);
    }
    if (sl__cancelled(task)) {
        return SL_ECANCELED;
    }
    for (size_t i = 0; i < signals->count; i++) {
        struct source *source = &signals->sources[(signals->next + i) % signals->count];
        if (source->pending) {
            source->pending = false;
            signals->next = (size_t)(source - signals->sources) + 1;
            sl__coop(task);
            return source->number;
        }
    }
    struct reader reader = {.signals = signals, .task = task};
    signals->reader = &reader;
    int result = sl_park(stop_waiting, &reader, "signal");
    if (reader.signals != NULL) {
        signals->reader = NULL;
    }
    return result;
}

void sl_signals_close(sl_signals *signals)
{
    if (signals == NULL) {
        return;
    }
    for (size_t i = 0; i < signals->count; i++) {
        sl__runtime->signals->streams[signals->sources[i].number] = NULL;
    }
    struct reader *reader = signals->reader;
    if (reader != NULL) {
        reader->signals = NULL;
        if (reader->number == 0) {
            sl_unpark(reader->task, SL_ECLOSED);
        }
    }
    stop(sl__runtime, signals, signals->count);
}
