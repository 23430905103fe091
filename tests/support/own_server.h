/* SPDX-License-Identifier: MIT */
/* Servers that tests start, kill, stop for a while and start again on the same port, with a folder of their own. */
#ifndef OWN_SERVER_H
#define OWN_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "scratch_folder.h"

#define OWN_SERVER_LINE_BYTES 2048

struct own_server {
    pid_t pid; /* 0: not running */
    int port;
    struct scratch_folder folder;
    const char *const *arguments;                  /* NULL-terminated; borrowed; NULL: the line is run */
    char line[OWN_SERVER_LINE_BYTES];              /* see own_server_shell() */
    const char *const *environment;                /* "NAME=value"...; NULL-terminated, or NULL; borrowed */
    bool group;                                    /* it starts further processes: they are ended with it */
    int (*ready)(const struct own_server *server); /* 0 when it serves; NULL: when its port is open */
};

/* Chooses a port of 127.0.0.1 and makes the folder, to be put into the arguments. */
void own_server_prepare(struct own_server *server);

/* Has it run a line of the shell, that begins with "exec" or "cd FOLDER && exec". Instead of arguments. */
void own_server_shell(struct own_server *server, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Starts it and waits until it serves, at most a minute. 0; -1 after a line on standard error. Blocks. */
int own_server_start(struct own_server *server);

/* Sends the signal and waits for its end. Blocks. */
void own_server_stop(struct own_server *server, int signal);

/* What a file of its folder holds, such as "log": `text`, cut at `text_bytes`. */
const char *own_server_read(const struct own_server *server, const char *name, char *text, size_t text_bytes);

/* Kills it if it runs and removes the folder. */
void own_server_end(struct own_server *server);

/* Clients of other tests, whose server had the same port a moment ago, must not get in, nor we into theirs. */
#define OWN_REDIS_PASSWORD "of-this-test-alone"

/* A redis-server that keeps every write on disk. The arguments must live as long as the server. */
struct redis_arguments {
    char port[16];
    const char *list[24];
};
void own_redis_prepare(struct own_server *server, struct redis_arguments *arguments);

/* Skips the case when there is no such program. */
void own_server_need(const char *program);

#endif
