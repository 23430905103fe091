/* SPDX-License-Identifier: MIT */
/*
 * The load side of the network benchmark, on plain sockets:
 *   load send PORT BYTES [CERT KEY]          serves a WebSocket that sends messages of that size as fast as they are taken
 *   load pace PORT BYTES RATE [CERT KEY]     the same at RATE messages a second, each with the time it was sent
 *   load echo PORT BYTES CONNECTIONS SECONDS DEPTH [tls]   keeps DEPTH messages on their way on each connection
 *   load hold PORT CONNECTIONS [tls]         opens connections, each echoes once, then stays idle until the input ends
 * "send" and "pace" say after each connection how much of a core they used: below 1, they waited for the other side.
 */
#include <fcntl.h>
#include <sys/epoll.h>

#include "wire.h"

#define CHUNK_BYTES ((size_t)1024 * 1024)
#define STAMP_DIGITS 20
#define CONNECTIONS_MAX 8192
#define MASK_BYTES 4

/* A message like a trade: printable ASCII that begins with a place for a time. */
static void fill_payload(char *at, size_t bytes)
{
    static const char text[] =
        "{\"e\":\"trade\",\"E\":1672515782136,\"s\":\"BNBBTC\",\"t\":12345,\"p\":\"0.00100000\"}";
    for (size_t i = 0; i < bytes; i++) {
        at[i] = text[i % (sizeof text - 1)];
    }
}

/* ---- serving ---- */

static void report(const char *what, double since, double cpu_since)
{
    (void)printf("%s busy %.2f\n", what, (cpu_seconds() - cpu_since) / (seconds() - since));
    (void)fflush(stdout);
}

static void send_for_ever(struct wire *wire, size_t payload_bytes)
{
    static unsigned char chunk[CHUNK_BYTES];
    size_t used = 0;
    while (used + 4 + payload_bytes <= sizeof chunk) {
        used += ws_header(chunk + used, payload_bytes);
        fill_payload((char *)chunk + used, payload_bytes);
        used += payload_bytes;
    }
    double since = seconds();
    double cpu_since = cpu_seconds();
    while (wire_write_all(wire, (const char *)chunk, used)) {
    }
    report("send", since, cpu_since);
}

static void send_paced(struct wire *wire, size_t payload_bytes, double rate)
{
    char frame[4096];
    size_t header = ws_header((unsigned char *)frame, payload_bytes);
    fill_payload(frame + header, payload_bytes);
    double since = seconds();
    double cpu_since = cpu_seconds();
    for (uint64_t sent = 0;; sent++) {
        double due = since + (double)sent / rate;
        while (seconds() < due) {
        }
        char stamp[STAMP_DIGITS + 1];
        (void)snprintf(stamp, sizeof stamp, "%0*llu", STAMP_DIGITS, (unsigned long long)nanoseconds());
        memcpy(frame + header, stamp, STAMP_DIGITS);
        if (!wire_write_all(wire, frame, header + payload_bytes)) {
            break;
        }
    }
    report("pace", since, cpu_since);
}

static void serve(int port, size_t payload_bytes, double rate, SSL_CTX *context)
{
    int listener = listen_on(port);
    (void)printf("ready\n");
    (void)fflush(stdout);
    for (;;) {
        struct wire wire = wire_accept(listener, context);
        if (ws_server_handshake(&wire)) {
            if (rate > 0) {
                send_paced(&wire, payload_bytes, rate);
            } else {
                send_for_ever(&wire, payload_bytes);
            }
        }
        wire_close(&wire);
    }
}

/* ---- asking ---- */

struct asker {
    struct wire wire;
    size_t have; /* bytes of the answer so far */
    unsigned char buffer[64 * 1024];
};

/* A masked frame; the mask is zero, which changes nothing for the server but the values. */
static size_t masked_frame(unsigned char *at, size_t payload_bytes)
{
    size_t header = ws_header(at, payload_bytes);
    at[1] |= 0x80;
    memset(at + header, 0, MASK_BYTES);
    fill_payload((char *)at + header + MASK_BYTES, payload_bytes);
    return header + MASK_BYTES + payload_bytes;
}

static struct asker *open_asker(int port, bool tls)
{
    struct asker *asker = malloc(sizeof *asker);
    if (asker == NULL) {
        die("malloc");
    }
    asker->wire = wire_connect(port, tls);
    asker->have = 0;
    ws_client_handshake(&asker->wire);
    return asker;
}

/* Takes what came; how many whole answers. */
static size_t take_answers(struct asker *asker)
{
    size_t answers = 0;
    for (;;) {
        ssize_t got = wire_read(&asker->wire, asker->buffer + asker->have, sizeof asker->buffer - asker->have);
        if (got <= 0) {
            if (got == 0 || errno != EAGAIN) {
                die("the server ended the connection");
            }
            return answers;
        }
        asker->have += (size_t)got;
        size_t used = 0;
        answers += ws_walk(asker->buffer, asker->have, &used);
        asker->have -= used;
        memmove(asker->buffer, asker->buffer + used, asker->have);
    }
}

static void echo(int port, size_t payload_bytes, int connections, double lasts, int depth, bool tls)
{
    static unsigned char frames[64][2048];
    if (payload_bytes > sizeof frames[0] - 16 || depth < 1 || depth > 64) {
        errno = EINVAL;
        die("echo: at most 2032 bytes and 64 on their way");
    }
    size_t frame_bytes = masked_frame(frames[0], payload_bytes);
    unsigned char *batch = malloc(frame_bytes * (size_t)depth);
    if (batch == NULL) {
        die("malloc");
    }
    int loop = epoll_create1(0);
    for (int i = 0; i < depth; i++) {
        memcpy(batch + (size_t)i * frame_bytes, frames[0], frame_bytes);
    }
    for (int i = 0; i < connections; i++) {
        struct asker *asker = open_asker(port, tls);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = asker};
        (void)epoll_ctl(loop, EPOLL_CTL_ADD, asker->wire.fd, &event);
        (void)wire_write_all(&asker->wire, (const char *)batch, frame_bytes * (size_t)depth);
        (void)fcntl(asker->wire.fd, F_SETFL, O_NONBLOCK);
    }
    double since = seconds();
    double cpu_since = cpu_seconds();
    uint64_t answers = 0;
    struct epoll_event events[256];
    while (seconds() - since < lasts) {
        int ready = epoll_wait(loop, events, 256, 100);
        for (int i = 0; i < ready; i++) {
            struct asker *asker = events[i].data.ptr;
            size_t count = take_answers(asker);
            answers += count;
            (void)wire_write_all(&asker->wire, (const char *)batch, frame_bytes * count);
        }
    }
    double lasted = seconds() - since;
    free(batch);
    (void)printf("rate %.0f load-busy %.2f\n", (double)answers / lasted, (cpu_seconds() - cpu_since) / lasted);
}

static void hold(int port, int connections, bool tls)
{
    unsigned char frame[64];
    size_t frame_bytes = masked_frame(frame, 16);
    for (int i = 0; i < connections; i++) {
        struct asker *asker = open_asker(port, tls);
        (void)wire_write_all(&asker->wire, (const char *)frame, frame_bytes);
        char answer[18];
        for (size_t have = 0; have < sizeof answer;) {
            ssize_t got = wire_read(&asker->wire, answer + have, sizeof answer - have);
            if (got <= 0) {
                die("no echo");
            }
            have += (size_t)got;
        }
    }
    (void)printf("holding\n");
    (void)fflush(stdout);
    (void)getchar();
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const char *mode = argc > 1 ? argv[1] : "";
    bool tls = strcmp(argv[argc - 1], "tls") == 0;
    if (strcmp(mode, "send") == 0 && (argc == 4 || argc == 6)) {
        serve(number(argv[2]), (size_t)number(argv[3]), 0, argc == 6 ? server_tls(argv[4], argv[5]) : NULL);
    } else if (strcmp(mode, "pace") == 0 && (argc == 5 || argc == 7)) {
        serve(number(argv[2]), (size_t)number(argv[3]), number(argv[4]),
              argc == 7 ? server_tls(argv[5], argv[6]) : NULL);
    } else if (strcmp(mode, "echo") == 0 && argc >= 7) {
        echo(number(argv[2]), (size_t)number(argv[3]), number(argv[4]), number(argv[5]), number(argv[6]), tls);
    } else if (strcmp(mode, "hold") == 0 && argc >= 4) {
        hold(number(argv[2]), number(argv[3]), tls);
    } else {
        (void)fprintf(stderr, "load: see the top of load.c\n");
        return 2;
    }
    return 0;
}
