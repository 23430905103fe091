/* SPDX-License-Identifier: MIT */
/* Starts and stops a redis-server for the tests. */
#include "redis_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRIES 500
#define PORTS_TRIED 5

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

/* Whether it is our server that listens there: another test may have got the port in between. */
static bool is_ours(int descriptor)
{
    static const char question[] = "INFO server\r\n";
    char expected[32];
    char answer[4096] = "";
    size_t length = 0;
    const struct timeval patience = {.tv_sec = 1};
    (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)snprintf(expected, sizeof expected, "process_id:%d\r", (int)server);
    ssize_t got = send(descriptor, question, sizeof question - 1, MSG_NOSIGNAL);
    while (got > 0 && length < sizeof answer - 1 && strstr(answer, "\r\n\r\n") == NULL) {
        got = recv(descriptor, answer + length, sizeof answer - 1 - length, 0);
        length += got > 0 ? (size_t)got : 0;
        answer[length] = '\0';
        if (strstr(answer, expected) != NULL) {
            return true;
        }
    }
    return false;
}

/* Starts one on a port that was free a moment ago. False when it did not come up there. */
static bool start_server(void)
{
    struct sockaddr_in address;
    int probe = bind_any(&address);
    (void)close(probe);
    server_port = ntohs(address.sin_port);
    owner = getpid();
    server = fork();
    if (server == 0) {
        run_server(server_port);
    }
    for (int i = 0; i < TRIES && waitpid(server, NULL, WNOHANG) == 0; i++) {
        int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool ours = connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0 && is_ours(descriptor);
        (void)close(descriptor);
        if (ours) {
            return true;
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    (void)kill(server, SIGKILL);
    (void)waitpid(server, NULL, 0);
    server = 0;
    return false;
}

int redis_server_port(void)
{
    if (server > 0 && getpid() == owner) {
        return server_port;
    }
    (void)snprintf(folder, sizeof folder, "/tmp/sluice-redis-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)atexit(stop_server);
    for (int i = 0; i < PORTS_TRIED; i++) {
        if (start_server()) {
            return server_port;
        }
    }
    return -1;
}
