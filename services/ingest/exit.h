/* SPDX-License-Identifier: MIT */
/* The exit statuses of the program; help and man page are made of this list. */
#ifndef SL_INGEST_EXIT_H
#define SL_INGEST_EXIT_H

/* X(name, status, what it means). The numbers above 63 are those of sysexits.h, and 128 plus the signal's. */
#define SL_EXITS(X)                                                                                                    \
    X(DONE, 0, "done, or stopped in order by the end of what there was to do")                                         \
    X(FAILED, 1, "failed; standard error says why")                                                                    \
    X(USAGE, 64, "wrong command line")                                                                                 \
    X(CONFIG, 78, "a configuration that cannot be used, or a symbol or address that does not exist")                   \
    X(INTERRUPTED, 130, "stopped by SIGINT, in order; a second signal hurries")                                        \
    X(TERMINATED, 143, "stopped by SIGTERM, in order; a second signal hurries")

#define SL__EXIT_ENUM(name, status, text) SL_EXIT_##name = (status),
enum sl_exit { SL_EXITS(SL__EXIT_ENUM) };

#endif
