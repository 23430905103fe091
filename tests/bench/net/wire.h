/* SPDX-License-Identifier: MIT */
/*
 * What the load side and the bare peers of the network benchmark share: blocking sockets, TLS by OpenSSL, the
 * WebSocket handshake and headers, no more. Nothing of Sluice is in here.
 */
#ifndef SL_BENCH_WIRE_H
#define SL_BENCH_WIRE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WIRE_UNUSED __attribute__((unused))

struct wire {
    int fd;
    SSL *tls; /* NULL: clear */
};

WIRE_UNUSED static void die(const char *what)
{
    (void)fprintf(stderr, "bench net: %s: %s\n", what, strerror(errno));
    exit(1);
}

WIRE_UNUSED static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

WIRE_UNUSED static uint64_t nanoseconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

WIRE_UNUSED static double cpu_seconds(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

/* A whole decimal number of the command line, at most eight digits, or the end. */
WIRE_UNUSED static int number(const char *text)
{
    int value = 0;
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > 8 || text[length] != '\0') {
        (void)fprintf(stderr, "bench net: '%s' is no number\n", text);
        exit(2);
    }
    for (size_t i = 0; i < length; i++) {
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

/* As read() and write(); a TLS connection that would block gives -1 with EAGAIN. */
WIRE_UNUSED static ssize_t wire_read(struct wire *wire, void *buffer, size_t bytes)
{
    if (wire->tls == NULL) {
        return read(wire->fd, buffer, bytes);
    }
    int got = SSL_read(wire->tls, buffer, bytes > INT32_MAX ? INT32_MAX : (int)bytes);
    if (got <= 0) {
        int why = SSL_get_error(wire->tls, got);
        errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
        return why == SSL_ERROR_ZERO_RETURN ? 0 : -1;
    }
    return got;
}

WIRE_UNUSED static ssize_t wire_write(struct wire *wire, const void *data, size_t bytes)
{
    if (wire->tls == NULL) {
        return send(wire->fd, data, bytes, MSG_NOSIGNAL);
    }
    int sent = SSL_write(wire->tls, data, (int)bytes);
    if (sent <= 0) {
        int why = SSL_get_error(wire->tls, sent);
        errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
        return -1;
    }
    return sent;
}

WIRE_UNUSED static bool wire_write_all(struct wire *wire, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t sent = wire_write(wire, data, bytes);
        if (sent < 0 && errno == EAGAIN) {
            struct pollfd room = {.fd = wire->fd, .events = POLLOUT};
            (void)poll(&room, 1, -1);
            continue;
        }
        if (sent <= 0) {
            return false;
        }
        data += sent;
        bytes -= (size_t)sent;
    }
    return true;
}

WIRE_UNUSED static void wire_close(struct wire *wire)
{
    if (wire->tls != NULL) {
        SSL_free(wire->tls);
    }
    (void)close(wire->fd);
}

WIRE_UNUSED static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

WIRE_UNUSED static int listen_on(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 1024) != 0) {
        die("listen");
    }
    return fd;
}

WIRE_UNUSED static SSL_CTX *server_tls(const char *certificate, const char *key)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        (void)fprintf(stderr, "bench net: no certificate in %s\n", certificate);
        exit(1);
    }
    return context;
}

WIRE_UNUSED static struct wire wire_accept(int listener, SSL_CTX *context)
{
    struct wire wire = {.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)};
    int on = 1;
    if (wire.fd < 0) {
        die("accept");
    }
    (void)setsockopt(wire.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (context != NULL) {
        wire.tls = SSL_new(context);
        (void)SSL_set_fd(wire.tls, wire.fd);
        (void)SSL_accept(wire.tls);
    }
    return wire;
}

/* The certificate is the benchmark's own, made a moment ago. */
WIRE_UNUSED static struct wire wire_connect(int port, bool tls)
{
    static SSL_CTX *context;
    struct sockaddr_in address = loopback(port);
    struct wire wire = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    int on = 1;
    if (wire.fd < 0 || connect(wire.fd, (struct sockaddr *)&address, sizeof address) != 0) {
        die("connect");
    }
    (void)setsockopt(wire.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (tls) {
        context = context == NULL ? SSL_CTX_new(TLS_client_method()) : context;
        wire.tls = SSL_new(context);
        (void)SSL_set_fd(wire.tls, wire.fd);
        if (SSL_connect(wire.tls) != 1) {
            die("TLS handshake");
        }
    }
    return wire;
}

/* Reads a head byte by byte, so that nothing behind it is taken. */
WIRE_UNUSED static bool read_head(struct wire *wire, char *head, size_t head_bytes)
{
    size_t length = 0;
    while (length + 1 < head_bytes && wire_read(wire, head + length, 1) == 1) {
        head[++length] = '\0';
        if (length >= 4 && memcmp(head + length - 4, "\r\n\r\n", 4) == 0) {
            return true;
        }
    }
    return false;
}

WIRE_UNUSED static bool ws_server_handshake(struct wire *wire)
{
    char head[4096];
    if (!read_head(wire, head, sizeof head)) {
        return false;
    }
    const char *key = strcasestr(head, "Sec-WebSocket-Key:");
    if (key == NULL) {
        return false;
    }
    char joined[128];
    key += strlen("Sec-WebSocket-Key:");
    key += strspn(key, " ");
    (void)snprintf(joined, sizeof joined, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    unsigned char digest[SHA_DIGEST_LENGTH];
    unsigned char accept_key[64];
    (void)SHA1((const unsigned char *)joined, strlen(joined), digest);
    (void)EVP_EncodeBlock(accept_key, digest, sizeof digest);
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Accept: %s\r\n\r\n",
                          accept_key);
    return wire_write_all(wire, head, (size_t)length);
}

WIRE_UNUSED static void ws_client_handshake(struct wire *wire)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    char head[4096];
    if (!wire_write_all(wire, request, sizeof request - 1) || !read_head(wire, head, sizeof head) ||
        strncmp(head, "HTTP/1.1 101", 12) != 0) {
        die("WebSocket handshake");
    }
}

/* Writes an unmasked text header; how long it is. */
WIRE_UNUSED static size_t ws_header(unsigned char *at, size_t payload_bytes)
{
    at[0] = 0x81;
    if (payload_bytes < 126) {
        at[1] = (unsigned char)payload_bytes;
        return 2;
    }
    at[1] = 126;
    at[2] = (unsigned char)(payload_bytes >> 8);
    at[3] = (unsigned char)payload_bytes;
    return 4;
}

/* Walks whole unmasked frames; how many, and in `ret_used` how many bytes they take. */
WIRE_UNUSED static size_t ws_walk(const unsigned char *data, size_t bytes, size_t *ret_used)
{
    size_t count = 0;
    size_t at = 0;
    while (bytes - at >= 4) {
        size_t header = 2;
        size_t payload = data[at + 1] & 0x7f;
        if (payload == 126) {
            header = 4;
            payload = (size_t)data[at + 2] << 8 | data[at + 3];
        }
        if (payload == 127 || bytes - at < header + payload) {
            break;
        }
        at += header + payload;
        count++;
    }
    *ret_used = at;
    return count;
}

#endif
