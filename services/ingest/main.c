/* SPDX-License-Identifier: MIT */
/* The program. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "ingest/commands.h"

/*
 * What a closed output must not do: kill us while a lock is held (SIGPIPE; SIGXFSZ is the same for a file at
 * its limit), or have the database opened in its place.
 */
static int secure_output(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    for (int descriptor = 0; descriptor <= STDERR_FILENO; descriptor++) {
        if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != descriptor) {
            return -1;
        }
    }
    return 0;
}

/* The status, or 1 if not all that was said could be written. */
static int finish(int status)
{
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && status == 0) {
        (void)fprintf(stderr, "sluice: standard output could not be written\n");
        return 1;
    }
    return status;
}

int main(int argc, char **argv)
{
    if (secure_output() < 0) {
        return SL_EXIT_FAILED;
    }
    return finish(sl_cli_main(&sl_program, argc, argv));
}
