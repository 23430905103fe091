/* SPDX-License-Identifier: MIT */
/* A PostgreSQL server of the test's own, on loopback, whose user "postgres" needs no password. */
#ifndef OWN_POSTGRESQL_H
#define OWN_POSTGRESQL_H

#include "own_server.h"

struct own_postgresql {
    struct own_server server;
    char port[16];
    char data[SCRATCH_PATH_MAX + 16];
    char binary[256];
    char program[320];
    const char *arguments[16];
    char target[256]; /* for libpq */
    char answer[512];
};

/* Makes a database and starts the server; skips the case where PostgreSQL is not installed. 0 or -1. Blocks. */
int own_postgresql_start(struct own_postgresql *postgresql);

/* A file of the database's folder with this text, as the server's user has it. 0 or -1. */
int own_postgresql_put(const struct own_postgresql *postgresql, const char *name, const char *text);

/* The first value of the first row, or what went wrong. Valid until the next call. Blocks. */
const char *own_postgresql_ask(struct own_postgresql *postgresql, const char *sql);

/* SIGSTOP or SIGCONT to the server and those that it has started for its clients. */
void own_postgresql_signal(const struct own_postgresql *postgresql, int signal);

void own_postgresql_end(struct own_postgresql *postgresql);

#endif
