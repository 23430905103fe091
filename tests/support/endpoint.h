/* SPDX-License-Identifier: MIT */
/* What a running program tells of itself: its endpoint, by curl, and the system's account of its memory. */
#ifndef ENDPOINT_H
#define ENDPOINT_H

#include <sys/types.h>

/* The body of the answer, followed by its status; valid until the next call of this or of shell_run(). */
const char *endpoint_get(int port, const char *path, int *ret_status);

/* The sum of the samples whose line has the name and the part ("": all); -1: there is none. */
double metric_in(const char *text, const char *name, const char *part);

/* The same of what /metrics says now. */
double endpoint_metric(int port, const char *name, const char *part);

/* Of programs that are started from now on memory that is freed is not kept for long, also under AddressSanitizer. */
void memory_counts(void);

/* KiB of a line of /proc/PID/status ("VmRSS:"). */
long memory_of(pid_t pid, const char *what);

#endif
