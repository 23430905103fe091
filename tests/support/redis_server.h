/* SPDX-License-Identifier: MIT */
/* A redis-server of the test's own: on loopback, a port of the system's choice, a folder that goes with it. */
#ifndef REDIS_SERVER_H
#define REDIS_SERVER_H

/*
 * Starts the server on first use and gives its port; it is stopped (by pid) when the process ends, also
 * when that dies. Skips the case where redis-server is not installed. Call it outside tasks the first
 * time, or accept that it blocks for some milliseconds. Negative: it did not start.
 */
int redis_server_port(void);

#endif
