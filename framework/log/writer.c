/* SPDX-License-Identifier: MIT */
/*
 * The thread that writes. It asks the descriptor before it writes, and no more than a pipe takes at once: so it can
 * always be ended, whoever does not read. (The descriptor is not ours to make non-blocking: others share it.)
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "log.h"

#define TICK_MS 1000
#define THREAD_STACK_BYTES ((size_t)128 * 1024)

sl_time sl__log_clock(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return SL_SECONDS(now.tv_sec) + now.tv_nsec;
}

static void wake(const struct sl__log_writer *writer)
{
    uint64_t one = 1;
    (void)!write(writer->wake, &one, sizeof one);
}

bool sl__log_writer_add(struct sl__log_writer *writer, const char *text, size_t bytes)
{
    if (writer->failed || writer->size_bytes - writer->bytes < bytes) {
        return false;
    }
    size_t at = (writer->first + writer->bytes) % writer->size_bytes;
    size_t behind = writer->size_bytes - at < bytes ? writer->size_bytes - at : bytes;
    memcpy(writer->queue + at, text, behind);
    memcpy(writer->queue, text + behind, bytes - behind);
    writer->bytes += bytes;
    if (writer->sleeping) {
        writer->sleeping = false;
        wake(writer);
    }
    return true;
}

bool sl__log_writer_put(struct sl__log_writer *writer, const char *line, size_t bytes)
{
    if (writer->size_bytes - writer->bytes < bytes + 1 || !sl__log_writer_add(writer, line, bytes)) {
        writer->dropped++;
        return false;
    }
    return sl__log_writer_add(writer, "\n", 1);
}

/* Takes up to PIPE_BUF bytes off the queue. */
static size_t take(struct sl__log_writer *writer, char *chunk)
{
    size_t bytes = writer->bytes < PIPE_BUF ? writer->bytes : PIPE_BUF;
    size_t behind = writer->size_bytes - writer->first < bytes ? writer->size_bytes - writer->first : bytes;
    memcpy(chunk, writer->queue + writer->first, behind);
    memcpy(chunk + behind, writer->queue, bytes - behind);
    writer->first = (writer->first + bytes) % writer->size_bytes;
    writer->bytes -= bytes;
    return bytes;
}

/* Waits for something to do, not under the lock. True when the descriptor takes bytes. */
static bool wait_for(const struct sl__log_writer *writer, bool has_bytes, sl_time until)
{
    sl_time left = (until - sl__log_clock()) / SL_MILLISECONDS(1) + 1;
    struct pollfd wanted[2] = {{.fd = writer->wake, .events = POLLIN},
                               {.fd = has_bytes ? writer->descriptor : -1, .events = POLLOUT}};
    if (poll(wanted, 2, left < 0 ? 0 : left > TICK_MS ? TICK_MS : (int)left) <= 0) {
        return false;
    }
    if ((wanted[0].revents & POLLIN) != 0) {
        uint64_t count;
        (void)!read(writer->wake, &count, sizeof count);
    }
    return wanted[1].revents != 0;
}

/* What is left of the chunk after one attempt; -1 when nobody will ever read it. */
static ssize_t write_some(int descriptor, const char *chunk, size_t bytes)
{
    ssize_t written = write(descriptor, chunk, bytes);
    if (written < 0) {
        return errno == EAGAIN || errno == EINTR ? (ssize_t)bytes : -1;
    }
    return (ssize_t)bytes - written;
}

static void *run(void *arg)
{
    struct sl__log_writer *writer = arg;
    char chunk[PIPE_BUF];
    size_t from = 0;
    size_t left = 0;
    sl_time next_tick = sl__log_clock() + SL_MILLISECONDS(TICK_MS);
    (void)pthread_mutex_lock(writer->lock);
    for (;;) {
        sl_time now = sl__log_clock();
        if (now >= next_tick) {
            writer->tick(writer->context);
            next_tick = now + SL_MILLISECONDS(TICK_MS);
        }
        if (left == 0) {
            from = 0;
            left = take(writer, chunk);
        }
        if (writer->stop && (left == 0 || now >= writer->stop_at)) {
            break;
        }
        writer->sleeping = left == 0;
        sl_time until = writer->stop && writer->stop_at < next_tick ? writer->stop_at : next_tick;
        (void)pthread_mutex_unlock(writer->lock);
        ssize_t rest = (ssize_t)left;
        if (wait_for(writer, left > 0, until)) {
            rest = write_some(writer->descriptor, chunk + from, left);
        }
        (void)pthread_mutex_lock(writer->lock);
        writer->sleeping = false;
        if (rest < 0) {
            writer->failed = true;
            writer->dropped++;
            writer->bytes = 0;
            rest = 0;
        }
        from += left - (size_t)rest;
        left = (size_t)rest;
    }
    writer->failed = true;
    (void)pthread_mutex_unlock(writer->lock);
    return NULL;
}

static int start(struct sl__log_writer *writer)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    int code = -pthread_attr_init(&attributes);
    if (code < 0) {
        return code;
    }
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    (void)sigfillset(&all); /* a closed pipe is an error here, not the end of the program */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    code = -pthread_create(&writer->thread, &attributes, run, writer);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return code;
}

int sl__log_writer_open(struct sl__log_writer *writer, int descriptor, size_t queue_bytes)
{
    writer->descriptor = descriptor;
    writer->size_bytes = queue_bytes;
    writer->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (writer->wake < 0) {
        return -errno;
    }
    writer->queue = sl_malloc(queue_bytes);
    int code = writer->queue == NULL ? SL_ENOMEM : start(writer);
    if (code < 0) {
        (void)close(writer->wake);
        sl_free(writer->queue);
        writer->queue = NULL;
    }
    return code;
}

void sl__log_writer_close(struct sl__log_writer *writer)
{
    (void)pthread_mutex_lock(writer->lock);
    writer->stop = true;
    writer->stop_at = sl__log_clock() + SL_LOG_CLOSE;
    wake(writer);
    (void)pthread_mutex_unlock(writer->lock);
    (void)pthread_join(writer->thread, NULL);
    (void)close(writer->wake);
    sl_free(writer->queue);
}
