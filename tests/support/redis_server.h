/* SPDX-License-Identifier: MIT */
/* redis-servers of the test's own: on loopback, ports of the system's choice, a folder that goes with them. */
#ifndef REDIS_SERVER_H
#define REDIS_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct redis_process {
    pid_t pid; /* 0: not running */
    int port;
    char folder[64];
    const char *const *arguments; /* further ones, NULL-terminated; borrowed */
    bool sentinel;
    bool own_clock; /* its wall clock can be set */
    int64_t *shift; /* by how many seconds it is off; NULL unless own_clock */
};

/*
 * Starts one, in plain TCP on a free port whatever else the arguments say, and waits until it answers. `arguments`
 * (may be NULL) are of the form "--option", "value", ... It ends with the test, also when that dies. These calls block the
 * thread for some milliseconds. False: it did not come up.
 */
bool redis_process_start(struct redis_process *process, const char *const *arguments);

/*
 * The same with a port for TLS, for which nobody needs a certificate: that of TLS_SERVER in tls_certificates.h. One at a
 * time.
 */
bool redis_process_start_tls(struct redis_process *process, int *ret_port);

/* kill -9; and again with the same port, folder and arguments. */
void redis_process_kill(struct redis_process *process);
bool redis_process_restart(struct redis_process *process);

/*
 * A file with a wall clock's shift, mapped: *ret_shift may be changed at any time. A program that is started with
 * CLOCK_SHIFT_PRELOAD as LD_PRELOAD and this file as SL_CLOCK_SHIFT heeds it. False: no such file.
 */
#define CLOCK_SHIFT_PRELOAD SL_TEST_BUILD_DIR "/tests/preload/clock_shift.so"
bool clock_shift_make(const char *path, int64_t **ret_shift);

/* Kills it and removes its folder. */
void redis_process_stop(struct redis_process *process);

/*
 * One for the whole test program: starts on first use and gives its port. Negative: it did not start.
 */
int redis_server_port(void);

#endif
