/* SPDX-License-Identifier: MIT */
/* See peer_process.h. */
#include "peer_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/socket.h"

static void become(const char *const *arguments, int descriptor)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it ends with the test, whatever becomes of that */
    if (dup2(descriptor, STDIN_FILENO) < 0 || dup2(descriptor, STDOUT_FILENO) < 0 ||
        dup2(descriptor, STDERR_FILENO) < 0) {
        _exit(127);
    }
    execvp(arguments[0], (char *const *)arguments);
    _exit(127);
}

int peer_process_start(const char *const *arguments, struct peer_process *ret_process)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return -errno;
    }
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    pid_t pid = fork();
    if (pid == 0) {
        become(arguments, ends[1]);
    }
    (void)close(ends[1]);
    ret_process->pid = pid;
    ret_process->stream = NULL;
    return sl__socket_stream(ends[0], &ret_process->stream);
}

int peer_process_expect(struct peer_process *process, const char *text, char *line, size_t line_bytes)
{
    size_t wanted = 1;
    for (;;) {
        struct sl_view view;
        SL_TRY(sl_stream_peek(process->stream, wanted, &view));
        const char *end = memchr(view.data, '\n', view.size_bytes);
        if (end == NULL) {
            wanted = view.size_bytes + 1;
            continue;
        }
        size_t length = (size_t)(end - view.data);
        (void)snprintf(line, line_bytes, "%.*s", (int)length, view.data);
        sl_stream_consume(process->stream, length + 1);
        wanted = 1;
        if (strstr(line, text) != NULL) {
            return 0;
        }
    }
}

void peer_process_stop(struct peer_process *process)
{
    if (process->pid > 0) {
        (void)kill(process->pid, SIGKILL);
        (void)waitpid(process->pid, NULL, 0);
    }
    sl_stream_close(process->stream);
    *process = (struct peer_process){.pid = 0};
}

int peer_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof address;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor >= 0 && bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0) {
        (void)getsockname(descriptor, (struct sockaddr *)&address, &bytes);
    }
    (void)close(descriptor);
    return ntohs(address.sin_port);
}
