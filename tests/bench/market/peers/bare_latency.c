/* SPDX-License-Identifier: MIT */
/*
 * The floor of latency: read() and a walk over the frames of the feed, in a blocking loop, or (SL_BENCH_SPIN_US) in one that
 * never sleeps: "bare_latency latency PORT SECONDS". Prints as bench_market does for "latency".
 */
#include "../stamps.h"

#include "../../net/wire.h"

#define BUFFER_BYTES ((size_t)256 * 1024)
#define TIME_FROM 10000000 /* seconds, as in feed.c */

/* The digits behind a name in a message of the feed, up to their end or a point. */
static uint64_t digits_of(const char **at, const char *name)
{
    uint64_t value = 0;
    *at = strstr(*at, name) + strlen(name);
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        value = value * 10 + (uint64_t)(**at - '0');
    }
    return value;
}

static void note(struct stamped *stamped, stamp_ns *stamps, const char *text)
{
    const char *at = text;
    size_t number = digits_of(&at, "\"p\":\"") - STAMPS_PRICE;
    uint64_t whole = digits_of(&at, "\"q\":\"") - TIME_FROM;
    stamped_add(stamped, stamps, number, whole * 1000000000 + digits_of(&at, "."));
}

/* Frames of 126 bytes and more, one message each; how many bytes they were. */
static size_t walk(struct stamped *stamped, stamp_ns *stamps, const unsigned char *data, size_t bytes)
{
    size_t at = 0;
    while (bytes - at >= 4) {
        size_t payload = (size_t)data[at + 2] << 8 | data[at + 3];
        if (bytes - at < 4 + payload) {
            break;
        }
        note(stamped, stamps, (const char *)data + at + 4);
        at += 4 + payload;
    }
    return at;
}

int main(int argc, char **argv)
{
    static unsigned char buffer[BUFFER_BYTES];
    static struct stamped stamped;
    stamp_ns *stamps = stamps_open();
    if (argc < 4 || stamps == NULL) {
        return 2;
    }
    struct wire wire = wire_connect(number(argv[2]), false);
    ws_client_handshake(&wire);
    int flags = getenv("SL_BENCH_SPIN_US") == NULL ? 0 : MSG_DONTWAIT;
    double since = seconds(), lasts = strtod(argv[3], NULL), now = since;
    for (size_t have = 0; now - since < lasts * 1.1; now = seconds()) {
        ssize_t got = recv(wire.fd, buffer + have, sizeof buffer - 1 - have, flags);
        if (got < 0 && errno == EAGAIN) {
            continue;
        }
        if (got <= 0) {
            die("receive");
        }
        have += (size_t)got;
        buffer[have] = '\0';
        size_t used = walk(&stamped, stamps, buffer, have);
        memmove(buffer, buffer + used, have - used);
        have -= used;
        if (now - since < lasts / 10) { /* as the others: warm by then */
            stamped.count = 0;
        }
    }
    stamped_print(&stamped);
    return 0;
}
