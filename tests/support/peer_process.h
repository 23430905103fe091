/* SPDX-License-Identifier: MIT */
/* Another program as a peer of the tests: its standard input and output are a stream. It ends with the test. */
#ifndef PEER_PROCESS_H
#define PEER_PROCESS_H

#include <sys/types.h>

#include "sluice/stream.h"

struct peer_process {
    pid_t pid;
    sl_stream *stream; /* what it reads and prints (errors too) */
};

/* Starts arguments[0], looked up in PATH. NULL-terminated. 0 or a code; a program that is missing ends at once. */
int peer_process_start(const char *const *arguments, struct peer_process *ret_process);

/* Reads up to a line that contains `text` and copies it, cut if need be. SL_EOF when it ended before. */
int peer_process_expect(struct peer_process *process, const char *text, char *line, size_t line_bytes);

/* Kills it and waits for its end. */
void peer_process_stop(struct peer_process *process);

/* A port on 127.0.0.1 that was free just now, for programs that cannot be told to choose one. */
int peer_free_port(void);

#endif
