/* SPDX-License-Identifier: MIT */
/* Stands in for fdatasync() in programs that use this: counts the calls, also those of libraries, and may let them fail or
 * hang. */
#ifndef DISK_SYNC_H
#define DISK_SYNC_H

#include <stdatomic.h>

extern atomic_int disk_syncs;       /* calls so far */
extern atomic_int disk_sync_errno;  /* what they fail with; 0: they do not */
extern atomic_bool disk_sync_hangs; /* none comes back until this is false again */

#endif
