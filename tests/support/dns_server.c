/* SPDX-License-Identifier: MIT */
/* See dns_server.h. RFC 1035. */
#include "dns_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES 2048
#define NAME_BYTES 256
#define LATER_MAX 256
#define LOG_MAX 65536
#define SLOW_MS 50
#define TYPE_A 1
#define TYPE_CNAME 5
#define TYPE_AAAA 28

struct later {
    int64_t due_ms;
    struct sockaddr_in to;
    size_t bytes;
    unsigned char message[512];
};

static struct {
    int udp, tcp;
    char text[64];
    pthread_mutex_t lock;
    char *log[LOG_MAX]; /* "type name" */
    int logged;
    struct later later[LATER_MAX];
    int later_count;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* How often this question came before. */
static int note(int type, const char *name)
{
    char line[NAME_BYTES + 16];
    int before = 0;
    (void)snprintf(line, sizeof line, "%d %s", type, name);
    (void)pthread_mutex_lock(&server.lock);
    for (int i = 0; i < server.logged; i++) {
        before += strcmp(server.log[i], line) == 0;
    }
    if (server.logged < LOG_MAX) {
        server.log[server.logged++] = strdup(line);
    }
    (void)pthread_mutex_unlock(&server.lock);
    return before;
}

int dns_server_asked(const char *prefix)
{
    int count = 0;
    (void)pthread_mutex_lock(&server.lock);
    for (int i = 0; i < server.logged; i++) {
        const char *name = strchr(server.log[i], ' ') + 1;
        count += strncmp(name, prefix, strlen(prefix)) == 0;
    }
    (void)pthread_mutex_unlock(&server.lock);
    return count;
}

/* The question's name as text, its type, and where it ends; 0 when it is broken. */
static size_t read_question(const unsigned char *message, size_t bytes, char *name, int *ret_type)
{
    size_t at = 12;
    size_t length = 0;
    while (at < bytes && message[at] != 0) {
        size_t label = message[at++];
        if (label > 63 || at + label >= bytes || length + label + 2 > NAME_BYTES) {
            return 0;
        }
        for (size_t i = 0; i < label; i++) {
            name[length++] = (char)message[at++];
        }
        name[length++] = '.';
    }
    if (at + 5 > bytes || length == 0) {
        return 0;
    }
    name[length - 1] = '\0';
    *ret_type = message[at + 1] << 8 | message[at + 2];
    return at + 5;
}

static size_t add_record(unsigned char *message, size_t at, int type, uint32_t ttl, const void *data, size_t bytes)
{
    const unsigned char head[] = {0xc0,
                                  12,
                                  0,
                                  (unsigned char)type,
                                  0,
                                  1,
                                  0,
                                  0,
                                  (unsigned char)(ttl >> 8),
                                  (unsigned char)ttl,
                                  0,
                                  (unsigned char)bytes};
    memcpy(message + at, head, sizeof head);
    memcpy(message + at + sizeof head, data, bytes);
    message[7]++;
    return at + sizeof head + bytes;
}

static size_t add_addresses(unsigned char *message, size_t at, int type, const char *name)
{
    int count = strncmp(name, "many.", 5) == 0 || strncmp(name, "big.", 4) == 0 ? 20 : 1;
    bool has_v6 = strncmp(name, "four.", 5) != 0;
    uint32_t ttl = strncmp(name, "ttl.", 4) == 0 ? 1 : 300;
    for (int i = 0; i < count; i++) {
        unsigned char v4[4] = {127, 0, 0, (unsigned char)(i + 1)};
        unsigned char v6[16] = {0x20, 1, 0x0d, 0xb8};
        v6[15] = (unsigned char)(i + 1);
        if (type == TYPE_A) {
            at = add_record(message, at, TYPE_A, ttl, v4, sizeof v4);
        } else if (type == TYPE_AAAA && has_v6) {
            at = add_record(message, at, TYPE_AAAA, ttl, v6, sizeof v6);
        }
    }
    return at;
}

/* Turns the question in `message` into its answer; 0: none. */
static size_t answer(unsigned char *message, size_t bytes, bool tcp, int *ret_delay_ms)
{
    char name[NAME_BYTES];
    int type = 0;
    size_t end = bytes < 12 ? 0 : read_question(message, bytes, name, &type);
    if (end == 0) {
        return 0;
    }
    int before = note(type, name);
    bool never = strncmp(name, "never.", 6) == 0 || (strncmp(name, "nov6.", 5) == 0 && type == TYPE_AAAA);
    if (never || (strncmp(name, "lost.", 5) == 0 && before == 0)) {
        return 0;
    }
    *ret_delay_ms = strncmp(name, "slow.", 5) == 0 ? SLOW_MS : 0;
    message[2] = 0x81; /* a response; recursion desired */
    message[3] = 0x80;
    memset(message + 6, 0, 6);
    if (strncmp(name, "garbage.", 8) == 0) {
        memset(message + 6, 0xff, end - 6);
        return end;
    }
    if (strncmp(name, "nx.", 3) == 0 || strncmp(name, "fail.", 5) == 0) {
        message[3] |= name[0] == 'n' ? 3 : 2;
        return end;
    }
    if (strncmp(name, "big.", 4) == 0 && !tcp) {
        message[2] |= 2; /* truncated */
        return end;
    }
    if (strncmp(name, "alias.", 6) == 0) {
        /* CNAME: "a" and what is behind the first label of the question; then the address of that. */
        const unsigned char to[] = {1, 'a', 0xc0, 12 + 6};
        size_t at = add_record(message, end, TYPE_CNAME, 2, to, sizeof to);
        size_t target = at - sizeof to;
        at = add_addresses(message, at, type, "a.");
        size_t record = target + sizeof to; /* the address record's name is the target */
        message[record] = (unsigned char)(0xc0 | target >> 8);
        message[record + 1] = (unsigned char)target;
        return at;
    }
    return add_addresses(message, end, type, name);
}

static void serve_udp(void)
{
    unsigned char message[MESSAGE_BYTES];
    struct sockaddr_in from;
    socklen_t from_bytes = sizeof from;
    ssize_t bytes = recvfrom(server.udp, message, 512, 0, (struct sockaddr *)&from, &from_bytes);
    int delay = 0;
    size_t length = bytes <= 0 ? 0 : answer(message, (size_t)bytes, false, &delay);
    if (length == 0) {
        return;
    }
    if (delay > 0 && server.later_count < LATER_MAX && length <= sizeof server.later[0].message) {
        struct later *later = &server.later[server.later_count++];
        *later = (struct later){.due_ms = now_ms() + delay, .to = from, .bytes = length};
        memcpy(later->message, message, length);
        return;
    }
    (void)sendto(server.udp, message, length, 0, (struct sockaddr *)&from, sizeof from);
}

static void serve_tcp(void)
{
    unsigned char message[MESSAGE_BYTES + 2];
    int connection = accept(server.tcp, NULL, NULL);
    ssize_t bytes = recv(connection, message, 2, MSG_WAITALL);
    size_t length = bytes == 2 ? (size_t)message[0] << 8 | message[1] : 0;
    if (length > 0 && length < 512 && recv(connection, message + 2, length, MSG_WAITALL) == (ssize_t)length) {
        int delay;
        size_t out = answer(message + 2, length, true, &delay);
        message[0] = (unsigned char)(out >> 8);
        message[1] = (unsigned char)out;
        (void)!send(connection, message, out + 2, MSG_NOSIGNAL);
    }
    (void)close(connection);
}

/* Sends what is due; how long until the next. */
static int send_later(void)
{
    int64_t now = now_ms();
    int wait = -1;
    for (int i = 0; i < server.later_count;) {
        struct later *later = &server.later[i];
        if (later->due_ms <= now) {
            (void)sendto(server.udp, later->message, later->bytes, 0, (struct sockaddr *)&later->to, sizeof later->to);
            *later = server.later[--server.later_count];
        } else {
            int left = (int)(later->due_ms - now);
            wait = wait < 0 || left < wait ? left : wait;
            i++;
        }
    }
    return wait;
}

static void *serve(void *arg)
{
    for (;;) {
        struct pollfd watched[] = {{server.udp, POLLIN, 0}, {server.tcp, POLLIN, 0}};
        (void)poll(watched, 2, send_later());
        if ((watched[0].revents & POLLIN) != 0) {
            serve_udp();
        }
        if ((watched[1].revents & POLLIN) != 0) {
            serve_tcp();
        }
    }
    return arg;
}

static void start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    pthread_t thread;
    bool bound = false;
    for (int i = 0; i < 100 && !bound; i++) { /* one port for both */
        server.udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        server.tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        address.sin_port = 0;
        bound = bind(server.udp, (struct sockaddr *)&address, sizeof address) == 0 &&
                getsockname(server.udp, (struct sockaddr *)&address, &bytes) == 0 &&
                bind(server.tcp, (struct sockaddr *)&address, sizeof address) == 0 && listen(server.tcp, 100) == 0;
        if (!bound) {
            (void)close(server.udp);
            (void)close(server.tcp);
        }
    }
    if (!bound || pthread_create(&thread, NULL, serve, NULL) != 0) {
        (void)fprintf(stderr, "the test's name server does not start\n");
        abort();
    }
    (void)pthread_detach(thread);
    (void)snprintf(server.text, sizeof server.text, "127.0.0.1:%d", ntohs(address.sin_port));
}

const char *dns_server(void)
{
    if (server.text[0] == '\0') {
        start();
    }
    return server.text;
}
