/* SPDX-License-Identifier: MIT */
/* See disk_sync.h. */
#include "disk_sync.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

atomic_int disk_syncs;
atomic_int disk_sync_errno;
atomic_bool disk_sync_hangs;

int fdatasync(int file)
{
    atomic_fetch_add(&disk_syncs, 1);
    while (atomic_load(&disk_sync_hangs)) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    int failure = atomic_load(&disk_sync_errno);
    if (failure != 0) {
        errno = failure;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, file);
}
