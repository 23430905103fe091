/* SPDX-License-Identifier: MIT */
/* Starts and stops redis-servers for the tests. */
#include "redis_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tls_certificates.h"

#define TRIES 500
#define PORTS_TRIED 5
#define ARGUMENTS_MAX 48

static int free_port(void)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof address;
    if (descriptor >= 0 && bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0) {
        (void)getsockname(descriptor, (struct sockaddr *)&address, &bytes);
    }
    (void)close(descriptor);
    return ntohs(address.sin_port);
}

bool clock_shift_make(const char *path, int64_t **ret_shift)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *memory = MAP_FAILED;
    if (file >= 0 && ftruncate(file, sizeof **ret_shift) == 0) {
        memory = mmap(NULL, sizeof **ret_shift, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    (void)close(file);
    *ret_shift = memory == MAP_FAILED ? NULL : memory;
    return *ret_shift != NULL;
}

static void clock_path(const struct redis_process *process, char path[128])
{
    (void)snprintf(path, 128, "%s/clock", process->folder);
}

static void run_server(const struct redis_process *process)
{
    char clock[128];
    char port[16];
    const char *list[ARGUMENTS_MAX] = {"redis-server"};
    int count = 1;
    (void)snprintf(port, sizeof port, "%d", process->port);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it ends with the test, whatever becomes of that */
    int nothing = open("/dev/null", O_RDWR);
    if (nothing < 0 || chdir(process->folder) != 0 || dup2(nothing, STDOUT_FILENO) < 0 ||
        dup2(nothing, STDIN_FILENO) < 0) {
        _exit(127);
    }
    clock_path(process, clock);
    if (process->shift != NULL &&
        (setenv("LD_PRELOAD", CLOCK_SHIFT_PRELOAD, 1) != 0 || setenv("SL_CLOCK_SHIFT", clock, 1) != 0)) {
        _exit(127);
    }
    if (process->sentinel) {
        list[count++] = "sentinel.conf"; /* in its folder */
        list[count++] = "--sentinel";
    }
    const char *const usual[] = {"--port", port, "--bind", "127.0.0.1", "--dir", process->folder, NULL};
    const char *const volatile_data[] = {"--save", "", "--appendonly", "no", NULL};
    const char *const *const lists[] = {usual, process->sentinel ? usual + 6 : volatile_data, process->arguments};
    for (size_t i = 0; i < 3; i++) {
        for (const char *const *at = lists[i]; at != NULL && *at != NULL && count < ARGUMENTS_MAX - 1; at++) {
            list[count++] = *at;
        }
    }
    execvp(list[0], (char *const *)list);
    _exit(127);
}

/* Whether it is our server that listens there: another test may have got the port in between. */
static bool is_ours(int descriptor, pid_t pid)
{
    static const char question[] = "INFO server\r\n";
    char expected[32];
    char answer[4096] = "";
    size_t length = 0;
    const struct timeval patience = {.tv_sec = 1};
    (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)snprintf(expected, sizeof expected, "process_id:%d\r", (int)pid);
    ssize_t got = send(descriptor, question, sizeof question - 1, MSG_NOSIGNAL);
    while (got > 0 && length < sizeof answer - 1 && strstr(answer, "\r\n\r\n") == NULL) {
        got = recv(descriptor, answer + length, sizeof answer - 1 - length, 0);
        length += got > 0 ? (size_t)got : 0;
        answer[length] = '\0';
        if (strstr(answer, expected) != NULL || strncmp(answer, "-NOAUTH", 7) == 0) {
            return true;
        }
    }
    return false;
}

bool redis_process_restart(struct redis_process *process)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)process->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    process->pid = fork();
    if (process->pid == 0) {
        run_server(process);
    }
    for (int i = 0; i < TRIES && waitpid(process->pid, NULL, WNOHANG) == 0; i++) {
        int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool ours = connect(descriptor, (const struct sockaddr *)&address, sizeof address) == 0 &&
                    is_ours(descriptor, process->pid);
        (void)close(descriptor);
        if (ours) {
            return true;
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    redis_process_kill(process);
    return false;
}

void redis_process_kill(struct redis_process *process)
{
    if (process->pid > 0) {
        (void)kill(process->pid, SIGKILL);
        (void)waitpid(process->pid, NULL, 0);
        process->pid = 0;
    }
}

bool redis_process_start(struct redis_process *process, const char *const *arguments)
{
    process->arguments = arguments;
    if (process->folder[0] == '\0') {
        (void)snprintf(process->folder, sizeof process->folder, "/tmp/sluice-redis-XXXXXX");
        if (mkdtemp(process->folder) == NULL) {
            return false;
        }
    }
    char clock[128];
    clock_path(process, clock);
    if (process->own_clock && !clock_shift_make(clock, &process->shift)) {
        return false;
    }
    for (int i = 0; i < PORTS_TRIED; i++) {
        process->port = free_port();
        if (redis_process_restart(process)) {
            return true;
        }
    }
    return false;
}

bool redis_process_start_tls(struct redis_process *process, int *ret_port)
{
    static char certificate[256], key[256], ca[256], port[16];
    static const char *const arguments[] = {"--tls-port",
                                            port,
                                            "--tls-cert-file",
                                            certificate,
                                            "--tls-key-file",
                                            key,
                                            "--tls-ca-cert-file",
                                            ca,
                                            "--tls-auth-clients",
                                            "no",
                                            NULL};
    (void)snprintf(certificate, sizeof certificate, "%s", tls_identity_file(TLS_SERVER, false));
    (void)snprintf(key, sizeof key, "%s", tls_identity_file(TLS_SERVER, true));
    (void)snprintf(ca, sizeof ca, "%s", tls_identity_file(TLS_CA, false));
    for (int i = 0; i < PORTS_TRIED; i++) { /* should the port be taken meanwhile, the server does not come up */
        *ret_port = free_port();
        (void)snprintf(port, sizeof port, "%d", *ret_port);
        if (redis_process_start(process, arguments)) {
            return true;
        }
    }
    return false;
}

void redis_process_stop(struct redis_process *process)
{
    static const char *const files[] = {"nodes.conf", "sentinel.conf", "dump.rdb", "redis.sock", "clock"};
    redis_process_kill(process);
    if (process->shift != NULL) {
        (void)munmap(process->shift, sizeof *process->shift);
        process->shift = NULL;
    }
    if (process->folder[0] == '\0') {
        return;
    }
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", process->folder, files[i]);
        (void)unlink(path);
    }
    (void)rmdir(process->folder);
    process->folder[0] = '\0';
}

static struct redis_process shared;
static pid_t owner;

static void stop_shared(void)
{
    if (shared.pid > 0 && getpid() == owner) {
        redis_process_stop(&shared);
    }
}

int redis_server_port(void)
{
    if (shared.pid > 0 && getpid() == owner) {
        return shared.port;
    }
    shared = (struct redis_process){.pid = 0};
    owner = getpid();
    (void)atexit(stop_shared);
    return redis_process_start(&shared, NULL) ? shared.port : -1;
}
