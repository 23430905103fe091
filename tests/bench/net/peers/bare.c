/* SPDX-License-Identifier: MIT */
/*
 * The floor of receiving: recv() and a walk over the frame headers, nothing else.
 *   bare receive PORT SECONDS [tls]      messages a second
 *   bare latency PORT SECONDS [tls]      from the sender's write to this program, of messages that carry their time
 */
#include "../wire.h"

#include "../latency.h"

#define BUFFER_BYTES ((size_t)256 * 1024)

int main(int argc, char **argv)
{
    static unsigned char buffer[BUFFER_BYTES];
    static struct latency latency;
    if (argc < 4) {
        return 2;
    }
    bool timed = strcmp(argv[1], "latency") == 0;
    struct wire wire = wire_connect(number(argv[2]), strcmp(argv[argc - 1], "tls") == 0);
    ws_client_handshake(&wire);
    double since = seconds();
    double lasts = strtod(argv[3], NULL);
    double cpu_since = cpu_seconds();
    uint64_t messages = 0;
    size_t have = 0;
    while (seconds() - since < lasts) {
        ssize_t got = wire_read(&wire, buffer + have, sizeof buffer - have);
        if (got <= 0) {
            die("receive");
        }
        have += (size_t)got;
        size_t used = 0;
        if (timed) {
            latency_walk(&latency, buffer, have);
        }
        messages += ws_walk(buffer, have, &used);
        memmove(buffer, buffer + used, have - used);
        have -= used;
    }
    double lasted = seconds() - since;
    if (timed) {
        latency_print(&latency);
    } else {
        (void)printf("rate %.0f busy %.2f\n", (double)messages / lasted, (cpu_seconds() - cpu_since) / lasted);
    }
    return 0;
}
