/* SPDX-License-Identifier: MIT */
/* See own_server.h. */
#include "own_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "peer_process.h"
#include "sl_test.h"

#define TRIES 3000
#define PAUSE_NS 20000000

void own_server_need(const char *program)
{
    char command[256];
    (void)snprintf(command, sizeof(command), "command -v '%s' >/dev/null", program);
    if (system(command) != 0) {
        sl_test_skip("no %s here", program);
    }
}

void own_server_prepare(struct own_server *server)
{
    *server = (struct own_server){.port = peer_free_port(), .folder = scratch_folder_make()};
}

void own_server_shell(struct own_server *server, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(server->line, sizeof(server->line), format, arguments);
    va_end(arguments);
    assert_in_range(length, 1, sizeof(server->line) - 1);
}

const char *own_server_read(const struct own_server *server, const char *name, char *text, size_t text_bytes)
{
    char path[SCRATCH_PATH_MAX + 64];
    (void)snprintf(path, sizeof(path), "%s/%s", server->folder.path, name);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    text[fread(text, 1, text_bytes - 1, file)] = '\0';
    (void)fclose(file);
    return text;
}

static void run(const struct own_server *server)
{
    const char *const shell[] = {"/bin/sh", "-c", server->line, NULL};
    const char *const *arguments = server->arguments == NULL ? shell : server->arguments;
    char log[SCRATCH_PATH_MAX + 16];
    (void)snprintf(log, sizeof(log), "%s/log", server->folder.path);
    int file = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (server->group) {
        (void)setpgid(0, 0);
    }
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it ends with the test, whatever becomes of that */
    (void)dup2(file, STDOUT_FILENO);
    (void)dup2(file, STDERR_FILENO);
    for (const char *const *pair = server->environment; pair != NULL && *pair != NULL; pair++) {
        (void)putenv((char *)(uintptr_t)*pair);
    }
    (void)execvp(arguments[0], (char *const *)(uintptr_t)arguments);
    _exit(127);
}

static int port_is_open(const struct own_server *server)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons((uint16_t)server->port)};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int code = connect(descriptor, (struct sockaddr *)&address, sizeof(address));
    (void)close(descriptor);
    return code;
}

int own_server_start(struct own_server *server)
{
    server->pid = fork();
    if (server->pid == 0) {
        run(server);
    }
    for (int i = 0; i < TRIES && waitpid(server->pid, NULL, WNOHANG) == 0; i++) {
        if ((server->ready == NULL ? port_is_open : server->ready)(server) == 0) {
            return 0;
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    (void)fprintf(stderr, "%s did not start; see %s/log\n",
                  server->arguments == NULL ? server->line : server->arguments[0], server->folder.path);
    own_server_stop(server, SIGKILL);
    return -1;
}

void own_server_stop(struct own_server *server, int signal)
{
    if (server->pid > 0) {
        (void)kill(server->group ? -server->pid : server->pid, signal);
        (void)waitpid(server->pid, NULL, 0);
        server->pid = 0;
    }
}

void own_server_end(struct own_server *server)
{
    own_server_stop(server, SIGKILL);
    scratch_folder_remove(&server->folder);
}

/*
 * A server that is killed within a write leaves a transaction without its end in its file. Redis 7.0 passes over it but
 * leaves it there, where the next load takes it for the beginning of what came after: so the file is mended before.
 */
static const char mend_and_start[] = "manifest=$0/appendonlydir/appendonly.aof.manifest; "
                                     "if [ -e \"$manifest\" ]; then yes | redis-check-aof --fix \"$manifest\"; fi; "
                                     "exec redis-server \"$@\"";

void own_redis_prepare(struct own_server *server, struct redis_arguments *arguments)
{
    own_server_need("redis-server");
    own_server_prepare(server);
    (void)snprintf(arguments->port, sizeof(arguments->port), "%d", server->port);
    const char *const list[] = {"sh",
                                "-c",
                                mend_and_start,
                                server->folder.path,
                                "--port",
                                arguments->port,
                                "--bind",
                                "127.0.0.1",
                                "--save",
                                "",
                                "--requirepass",
                                OWN_REDIS_PASSWORD,
                                "--appendonly",
                                "yes",
                                "--appendfsync",
                                "always",
                                "--dir",
                                server->folder.path,
                                NULL};
    memcpy(arguments->list, list, sizeof(list));
    server->arguments = arguments->list;
}
