/* SPDX-License-Identifier: MIT */
/* Names to addresses: what net's files and other networks share. */
#ifndef SL_NET_RESOLVE_H
#define SL_NET_RESOLVE_H

#include "network.h"
#include "sluice/dns.h"

#define SL_NAME_BYTES_MAX 253 /* RFC 1035, 2.3.4, as text */

struct sl__ips {
    int family; /* AF_INET or AF_INET6 */
    size_t count;
    unsigned char bytes[SL_RESOLVE_MAX][16];
};

/* The addresses of one family. Waits. 0 and at least one, or an error of sl_resolve(). */
int sl__resolve_family(const char *host, int family, struct sl__ips *ret_ips);
struct sl__address sl__ips_address(const struct sl__ips *ips, size_t index, int port);

/* The name servers; `resolve` of the network of sockets. */
int sl__dns_resolve(const char *host, int family, struct sl__ips *ret_ips);

/* The wire: c-ares in the event loop. `done` may be called before sl__dns_ask() returns. */
struct sl__dns;
struct sl__dns_answer {
    int code;
    const char *text; /* of the failure; static */
    sl_time ttl;      /* SL_NEVER when no record says */
    struct sl__ips ips;
};
typedef void (*sl__dns_done_fn)(void *context, const struct sl__dns_answer *answer);
int sl__dns_open(const struct sl_resolver_options *options, struct sl__dns **ret_dns);
void sl__dns_ask(struct sl__dns *dns, const char *host, int family, sl__dns_done_fn done, void *context);
void sl__dns_close(struct sl__dns *dns); /* questions under way end with SL_ECLOSED */

void sl__resolver_free(struct sl__resolver *resolver);

#endif
