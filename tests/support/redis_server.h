/* SPDX-License-Identifier: MIT */
/* redis-servers of the test's own: on loopback, ports of the system's choice, a folder that goes with them. */
#ifndef REDIS_SERVER_H
#define REDIS_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct redis_process {
    pid_t pid; /* 0: not running */
    int port;
    char folder[64];
    const char *const *arguments; /* further ones, NULL-terminated; borrowed */
    bool sentinel;
};

/*
 * Starts one, in plain TCP on a free port whatever else the arguments say, and waits until it answers. `arguments`
 * (may be NULL) are of the form "--option", "value", ... It ends with the test, also when that dies. These calls block the
 * thread for some milliseconds. False: it did not come up.
 */
bool redis_process_start(struct redis_process *process, const char *const *arguments);

/* kill -9; and again with the same port, folder and arguments. */
void redis_process_kill(struct redis_process *process);
bool redis_process_restart(struct redis_process *process);

/* Kills it and removes its folder. */
void redis_process_stop(struct redis_process *process);

/*
 * One for the whole test program: starts on first use and gives its port. Negative: it did not start.
 */
int redis_server_port(void);

#endif
