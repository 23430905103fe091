/* SPDX-License-Identifier: MIT */
/* See own_rabbitmq.h. */
#include "own_rabbitmq.h"

#include <arpa/inet.h>
#include <glob.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer_process.h"
#include "sl_test.h"

static char program[256];

/* It serves when it greets, not when its port is open. */
static int ready(const struct own_server *server)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons((uint16_t)server->port)};
    char answer[8] = "";
    const struct timeval patience = {.tv_sec = 2};
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    bool greets = connect(descriptor, (struct sockaddr *)&address, sizeof(address)) == 0 &&
                  send(descriptor, "AMQP\0\0\x09\x01", 8, MSG_NOSIGNAL) == 8 &&
                  recv(descriptor, answer, sizeof(answer), 0) == sizeof(answer) && answer[0] == 1;
    (void)close(descriptor);
    return greets ? 0 : -1;
}

static void set(struct own_rabbitmq *rabbitmq, int at, const char *name, const char *value)
{
    (void)snprintf(rabbitmq->texts[at], sizeof(rabbitmq->texts[at]), "%s=%s", name, value);
    rabbitmq->environment[at] = rabbitmq->texts[at];
}

static void set_path(struct own_rabbitmq *rabbitmq, int at, const char *name, const char *file)
{
    (void)snprintf(rabbitmq->texts[at], sizeof(rabbitmq->texts[at]), "%s=%s%s", name, rabbitmq->server.folder.path,
                   file);
    rabbitmq->environment[at] = rabbitmq->texts[at];
}

static void set_number(struct own_rabbitmq *rabbitmq, int at, const char *name, int number)
{
    (void)snprintf(rabbitmq->texts[at], sizeof(rabbitmq->texts[at]), "%s=%d", name, number);
    rabbitmq->environment[at] = rabbitmq->texts[at];
}

static void write_file(const struct own_rabbitmq *rabbitmq, const char *name, const char *text)
{
    char path[SCRATCH_PATH_MAX + 64];
    (void)snprintf(path, sizeof(path), "%s/%s", rabbitmq->server.folder.path, name);
    FILE *file = fopen(path, "w");
    if (file != NULL) {
        (void)fputs(text, file);
        (void)fclose(file);
    }
}

static int start_mapper(struct own_rabbitmq *rabbitmq)
{
    static char port[16];
    own_server_prepare(&rabbitmq->mapper);
    (void)snprintf(port, sizeof(port), "%d", rabbitmq->mapper.port);
    const char *const words[] = {"epmd", "-port", port, "-address", "127.0.0.1", NULL};
    memcpy(rabbitmq->mapper_arguments, words, sizeof(words));
    rabbitmq->mapper.arguments = rabbitmq->mapper_arguments;
    return own_server_start(&rabbitmq->mapper);
}

static int find_program(void)
{
    glob_t found;
    if (glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server", 0, NULL, &found) != 0) {
        return -1;
    }
    (void)snprintf(program, sizeof(program), "%s", found.gl_pathv[0]);
    globfree(&found);
    return 0;
}

int own_rabbitmq_start(struct own_rabbitmq *rabbitmq)
{
    return own_rabbitmq_start_with(rabbitmq, "");
}

int own_rabbitmq_start_with(struct own_rabbitmq *rabbitmq, const char *settings)
{
    char conf[4096];
    memset(rabbitmq, 0, sizeof(*rabbitmq));
    if (find_program() < 0) {
        sl_test_skip("no RabbitMQ here");
    }
    own_server_prepare(&rabbitmq->server);
    if (start_mapper(rabbitmq) < 0) {
        return -1;
    }
    write_file(rabbitmq, "plugins", "[].\n");
    (void)snprintf(conf, sizeof(conf), "log.console.level = warning\n%s", settings);
    write_file(rabbitmq, "rabbitmq.conf", conf);
    set_path(rabbitmq, 0, "HOME", "");
    set(rabbitmq, 1, "RABBITMQ_NODENAME", "test@localhost");
    set(rabbitmq, 2, "RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1");
    set_number(rabbitmq, 3, "RABBITMQ_NODE_PORT", rabbitmq->server.port);
    set_number(rabbitmq, 4, "RABBITMQ_DIST_PORT", peer_free_port());
    set(rabbitmq, 5, "ERL_EPMD_ADDRESS", "127.0.0.1");
    set_number(rabbitmq, 6, "ERL_EPMD_PORT", rabbitmq->mapper.port);
    set_path(rabbitmq, 7, "RABBITMQ_MNESIA_BASE", "/mnesia");
    set_path(rabbitmq, 8, "RABBITMQ_LOG_BASE", "/logs");
    set_path(rabbitmq, 9, "RABBITMQ_ENABLED_PLUGINS_FILE", "/plugins");
    set_path(rabbitmq, 10, "RABBITMQ_CONFIG_FILE", "/rabbitmq.conf");
    set(rabbitmq, 11, "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1");
    rabbitmq->arguments[0] = program;
    rabbitmq->server.arguments = rabbitmq->arguments;
    rabbitmq->server.environment = rabbitmq->environment;
    rabbitmq->server.ready = ready;
    rabbitmq->server.group = true; /* the script starts the server */
    (void)snprintf(rabbitmq->url, sizeof(rabbitmq->url), "amqp://127.0.0.1:%d", rabbitmq->server.port);
    return own_server_start(&rabbitmq->server);
}

void own_rabbitmq_kill(struct own_rabbitmq *rabbitmq)
{
    own_server_stop(&rabbitmq->server, SIGKILL);
}

int own_rabbitmq_restart(struct own_rabbitmq *rabbitmq)
{
    return own_server_start(&rabbitmq->server);
}

int own_rabbitmq_control(const struct own_rabbitmq *rabbitmq, const char *words)
{
    char command[4096];
    size_t length = (size_t)snprintf(command, sizeof(command), "env");
    for (int at = 0; rabbitmq->environment[at] != NULL; at++) {
        length += (size_t)snprintf(command + length, sizeof(command) - length, " '%s'", rabbitmq->environment[at]);
    }
    char folder[256];
    (void)snprintf(folder, sizeof(folder), "%s", program);
    *strrchr(folder, '/') = '\0';
    (void)snprintf(command + length, sizeof(command) - length,
                   " %s/rabbitmqctl -q -n test@localhost %s >/dev/null 2>&1", folder, words);
    return system(command);
}

void own_rabbitmq_end(struct own_rabbitmq *rabbitmq)
{
    own_server_end(&rabbitmq->server);
    own_server_end(&rabbitmq->mapper);
}
