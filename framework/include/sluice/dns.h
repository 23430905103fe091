/* SPDX-License-Identifier: MIT */
/*
 * Looking up names. sl_connect() does it by itself; these are for those who want the addresses.
 *
 * A look-up waits for nothing but its own answer. Look-ups of the same name at the same time share one question.
 * Answers are kept as long as their records live (at most `ttl_max`), also the answer that there is no such
 * name. In a simulated network the names are those of its hosts.
 */
#ifndef SLUICE_DNS_H
#define SLUICE_DNS_H

#include "sluice/net.h"

#ifdef __cplusplus
extern "C" {
#endif

enum sl_family { SL_FAMILY_ANY, SL_FAMILY_V4, SL_FAMILY_V6 };

/* Addresses of one family that are used; more are ignored. */
#define SL_RESOLVE_MAX 16
#define SL_IP_TEXT_BYTES 46

struct sl_addresses {
    size_t count;
    char text[2 * SL_RESOLVE_MAX][SL_IP_TEXT_BYTES]; /* "192.0.2.1", "2001:db8::1"; IPv6 first */
};

/*
 * The addresses of `host`, in the order the servers gave. A literal and "localhost" are answered at once;
 * /etc/hosts (or the file that the environment names in CARES_HOSTS) goes before the name servers. Waits.
 * 0 and at least one address; SL_ENOHOST; SL_ERESOLVE when the servers do not answer or fail; SL_EINVAL for what
 * is no name; SL_EBUSY when SL_RESOLVER_QUERIES_MAX look-ups are under way; SL_ENOMEM; SL_ECANCELED.
 */
SL_MUST_CHECK int sl_resolve(const char *host, enum sl_family family, struct sl_addresses *ret_addresses);

struct sl_resolver_options {
    const char *servers;  /* "192.0.2.53,[2001:db8::53]:5353", without search domains; NULL: the system's, with its */
    sl_time timeout;      /* for a server's answer, when first asked; 0: SL_RESOLVER_TIMEOUT */
    int tries;            /* of each server; 0: SL_RESOLVER_TRIES */
    sl_time ttl_max;      /* 0: SL_RESOLVER_TTL_MAX; SL_NEVER: what the records say */
    sl_time ttl_negative; /* how long "no such name" is kept; 0: SL_RESOLVER_TTL_NEGATIVE */
};
#define SL_RESOLVER_TIMEOUT SL_SECONDS(2)
#define SL_RESOLVER_TRIES 3
#define SL_RESOLVER_TTL_MAX SL_MINUTES(60)
#define SL_RESOLVER_TTL_NEGATIVE SL_SECONDS(30)
#define SL_RESOLVER_QUERIES_MAX 1024
#define SL_RESOLVER_CACHE_MAX 1024

/* Sets the resolver of this runtime and forgets what it kept. 0; SL_EINVAL; SL_EBUSY while names are looked up; SL_ENOMEM. */
SL_MUST_CHECK int sl_resolver_configure(const struct sl_resolver_options *options);

struct sl_resolver_counts {
    uint64_t asked;  /* questions: a look-up of any family is two */
    uint64_t cached; /* answered by what was kept */
    uint64_t joined; /* that shared a question under way */
    uint64_t failed; /* without an answer: SL_ERESOLVE */
    size_t kept, under_way;
};
struct sl_resolver_counts sl_resolver_counts_get(void);

#ifdef __cplusplus
}
#endif

#endif
