/* SPDX-License-Identifier: MIT */
/* sd_notify(3) without libsystemd: a datagram a state. See notify.h. */
#include "ingest/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "sluice/memory.h"
#include "sluice/scope.h"

#define WATCHDOG_USEC_MAX UINT64_C(86400000000) /* a day; more is as good as none */

struct sl_notify {
    int descriptor; /* -1: nobody wants to be told */
    struct sockaddr_un address;
    socklen_t address_bytes;
    sl_time watchdog; /* between two signs of life; 0: none are wanted */
};

/* A whole number in the environment; 0 when there is none. */
static uint64_t number_of(const char *name)
{
    const char *text = getenv(name);
    uint64_t number = 0;
    for (; text != NULL && *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || number > UINT64_MAX / 10 - 1) {
            return 0;
        }
        number = number * 10 + (uint64_t)(*text - '0');
    }
    return number;
}

/* "/path", or "@name" for one without a file. */
static int set_address(sl_notify *notify, const char *path)
{
    size_t length = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || length < 2 || length >= sizeof notify->address.sun_path) {
        return sl_fail(SL_EINVAL, "NOTIFY_SOCKET: '%s' is no path of a socket", path);
    }
    notify->address.sun_family = AF_UNIX;
    memcpy(notify->address.sun_path, path, length + 1);
    if (path[0] == '@') {
        notify->address.sun_path[0] = '\0';
    }
    notify->address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    return 0;
}

int sl_notify_open(sl_notify **ret_notify)
{
    const char *path = getenv("NOTIFY_SOCKET");
    sl_auto(sl_notify) *notify = sl_calloc(1, sizeof *notify);
    if (notify == NULL) {
        return sl_fail(SL_ENOMEM, "no memory to tell the service manager");
    }
    notify->descriptor = -1;
    if (path != NULL && *path != '\0') {
        SL_TRY(set_address(notify, path));
        notify->descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (notify->descriptor < 0) {
            return sl_fail(-errno, "a socket to the service manager: %s", strerror(errno));
        }
        uint64_t pid = number_of("WATCHDOG_PID"), watchdog_usec = number_of("WATCHDOG_USEC");
        if ((pid == 0 || pid == (uint64_t)getpid()) && watchdog_usec <= WATCHDOG_USEC_MAX) {
            notify->watchdog = (sl_time)watchdog_usec * SL_MICROSECONDS(1) / 2;
        }
    }
    *ret_notify = notify;
    notify = NULL;
    return 0;
}

void sl_notify_close(sl_notify *notify)
{
    if (notify != NULL) {
        if (notify->descriptor >= 0) {
            (void)close(notify->descriptor);
        }
        sl_free(notify);
    }
}

void sl_notify_send(sl_notify *notify, const char *state)
{
    if (notify->descriptor >= 0) {
        (void)sendto(notify->descriptor, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&notify->address,
                     notify->address_bytes);
    }
}

void sl_notify_phase(void *arg, enum sl_reload_phase phase)
{
    sl_notify *notify = arg;
    char text[96];
    struct timespec now = {0};
    switch (phase) {
    case SL_RELOAD_STARTED:
    case SL_RELOAD_ENDED:
        sl_notify_send(notify, "READY=1");
        break;
    case SL_RELOAD_BEGINS:
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                       (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
        sl_notify_send(notify, text);
        break;
    case SL_RELOAD_STOPS:
        sl_notify_send(notify, "STOPPING=1");
        break;
    }
}

int sl_notify_run(void *arg)
{
    sl_notify *notify = arg;
    int code = 0;
    while (code == 0 && notify->watchdog > 0) {
        sl_notify_send(notify, "WATCHDOG=1");
        code = sl_sleep(notify->watchdog);
    }
    return code;
}
