/* SPDX-License-Identifier: MIT */
/*
 * The way to one venue: where it is, how requests go there (one HTTP client under one policy, whose limits all services
 * share), how often new connections may be made, and which instruments it lists.
 */
#ifndef SL_INGEST_ACCESS_H
#define SL_INGEST_ACCESS_H

#include "ingest/config.h"
#include "sluice/fetch.h"
#include "sluice/limiter.h"
#include "sluice/policy.h"
#include "sluice/redis.h"
#include "sluice/tls.h"
#include "venues/venue.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How often the list of instruments is asked for again: listings, halts and delistings that streams do not tell. */
#define SL_ACCESS_REFRESH SL_MINUTES(10)

/* Pages of one list, at most. */
#define SL_ACCESS_PAGES_MAX 1000

typedef struct sl_access sl_access;

struct sl_bad_message; /* ingest/stream/connection.h */

struct sl_access_stats {
    uint64_t lists, list_failures;
    size_t listed;     /* instruments of the last list */
    uint64_t delisted; /* that were on an earlier list and are no more */
    uint64_t bad_rows; /* of lists: they could not be read; nothing is delisted by a list that has some */
    char problem[160];
};

/* Where limits with `shared: redis` are shared. */
struct sl_access_sharing {
    sl_scope *scope; /* outlives the access */
    sl_redis *redis;
    const char *group;
    uint32_t members; /* replicas now; see sl_access_set_members() */
};

/*
 * To the venue, as the configuration has it: its section, and the limit, retry, breaker and bulkhead that the service
 * (an entry of `services`) or the venue name. Keeps a reference to `config`; `instruments` is borrowed. `sharing`
 * (NULL: nowhere) is copied. Does not wait. 0, SL_EINVAL with the reason, SL_ENOMEM.
 */
SL_MUST_CHECK int sl_access_open(sl_config *config, const struct sl_config_variant *service,
                                 sl_instruments *instruments, const struct sl_access_sharing *sharing,
                                 sl_access **ret_access);
void sl_access_close(sl_access *access);
SL_AUTO_DECLARE(sl_access, sl_access_close)

/* Whether it is what sl_access_open() would make of the configuration, but for what sl_access_change() can change. */
bool sl_access_fits(const sl_access *access, const struct sl_conf *conf, const struct sl_config_variant *service);

/* New values from a new configuration, in place: limits, retry, breaker, bulkhead. 0, SL_EINVAL: nothing changed. */
SL_MUST_CHECK int sl_access_change(sl_access *access, const struct sl_conf *conf,
                                   const struct sl_config_variant *service);

/* So many replicas share the limit: without Redis each takes its part of it. */
void sl_access_set_members(sl_access *access, uint32_t members);

/* Whether replicas share the limit of requests; and whether Redis is away, so that each decides alone. */
bool sl_access_shared(const sl_access *access, bool *ret_away);

const sl_venue_driver *sl_access_driver(const sl_access *access);
const char *sl_access_stream_origin(const sl_access *access); /* never NULL */
const char *sl_access_rest_origin(const sl_access *access);
sl_http_client *sl_access_http(sl_access *access);
sl_limiter *sl_access_limiter(sl_access *access);  /* of requests */
sl_limiter *sl_access_connects(sl_access *access); /* of new connections; NULL: the venue has no such limit */
sl_tls_config *sl_access_tls(sl_access *access);   /* NULL: the default */
const char *sl_access_proxy(const sl_access *access);
const char *sl_access_local_address(sl_access *access); /* the next one in turn; NULL: the system's choice */
sl_policy *sl_access_policy(sl_access *access);

/* The same for a policy of a service's own, through the same limiter. */
void sl_access_policy_options(const sl_access *access, const struct sl_conf *conf,
                              const struct sl_config_variant *service, struct sl_policy_options *ret_options);

/* Who looks on while a list is read; each may be NULL. */
struct sl_access_watcher {
    void *arg;
    /* Each page as it came, for recordings. It may wait; an error ends the list. */
    int (*answer)(void *arg, const char *url, const char *text, size_t size_bytes, int64_t receive_time_ns);
    /* A row that could not be read. Does not wait. */
    void (*bad)(void *arg, const struct sl_bad_message *message);
};

/*
 * Asks for the venue's list and brings the table up to date; a row that cannot be read harms no other. `watcher` may be
 * NULL. The number listed, or a code: also when no row could be read. Waits.
 */
SL_MUST_CHECK int sl_access_list(sl_access *access, const struct sl_access_watcher *watcher);

const struct sl_access_stats *sl_access_get_stats(const sl_access *access);

/* The venue of a configuration's word: the one with this name. */
sl_venue sl_access_venue(int conf_venue);

#ifdef __cplusplus
}
#endif

#endif
