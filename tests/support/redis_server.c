/* SPDX-License-Identifier: MIT */
/* Starts and stops a redis-server for the tests. */
#include "redis_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRIES 500

static pid_t server;
static pid_t owner;
static int server_port;
static char folder[64];

static void stop_server(void)
{
    if (server > 0 && getpid() == owner) {
        (void)kill(server, SIGKILL);
        (void)waitpid(server, NULL, 0);
        (void)rmdir(folder);
        server = 0;
    }
}

static int bind_any(struct sockaddr_in *address)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t bytes = sizeof *address;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (descriptor >= 0 && bind(descriptor, (struct sockaddr *)address, sizeof *address) == 0) {
        (void)getsockname(descriptor, (struct sockaddr *)address, &bytes);
    }
    return descriptor;
}

static void run_server(int port)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", port);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it ends with the test, whatever becomes of that */
    if (freopen("/dev/null", "w", stdout) == NULL) {
        _exit(127);
    }
    execlp("redis-server", "redis-server", "--port", text, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
           "--dir", folder, (char *)NULL);
    _exit(127);
}

int redis_server_port(void)
{
    if (server > 0 && getpid() == owner) {
        return server_port;
    }
    struct sockaddr_in address;
    int probe = bind_any(&address);
    (void)close(probe);
    server_port = ntohs(address.sin_port);
    (void)snprintf(folder, sizeof folder, "/tmp/sluice-redis-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    owner = getpid();
    server = fork();
    if (server == 0) {
        run_server(server_port);
    }
    (void)atexit(stop_server);
    for (int i = 0; i < TRIES; i++) {
        int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int connected = connect(descriptor, (struct sockaddr *)&address, sizeof address);
        (void)close(descriptor);
        if (connected == 0) {
            return server_port;
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return -1;
}
