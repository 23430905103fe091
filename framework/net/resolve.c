/* SPDX-License-Identifier: MIT */
/* The resolver of a runtime: answers kept as long as they live, questions shared by who asks the same. */
#include "resolve.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "../runtime/internal.h"

#define CACHE_WAYS 8
#define CACHE_SETS (SL_RESOLVER_CACHE_MAX / CACHE_WAYS)

/* An answer that is kept. */
struct entry {
    sl_time expires;
    int code; /* 0 or SL_ENOHOST */
    struct sl__ips ips;
    char name[];
};

/* A question under way, and those who wait for it. Freed when it is answered and nobody looks at it. */
struct query {
    struct sl__resolver *resolver;
    struct query *next;
    struct sl__wait_queue waiters;
    unsigned holds;
    bool done;
    struct sl__dns_answer answer;
    char name[];
};

struct sl__resolver {
    struct sl__dns *dns;
    struct sl_resolver_options options;
    struct sl_resolver_counts counts;
    struct query *queries;
    struct entry *cache[CACHE_SETS][CACHE_WAYS];
};

/* ---- what is kept ---- */

/* FNV-1a */
static struct entry **set_of(struct sl__resolver *resolver, const char *name)
{
    uint32_t hash = UINT32_C(2166136261);
    for (const char *at = name; *at != '\0'; at++) {
        hash = (hash ^ (unsigned char)*at) * UINT32_C(16777619);
    }
    return resolver->cache[hash % CACHE_SETS];
}

static void forget(struct sl__resolver *resolver, struct entry **place)
{
    resolver->counts.kept -= *place != NULL;
    sl_free(*place);
    *place = NULL;
}

static const struct entry *look_in_cache(struct sl__resolver *resolver, const char *name, int family)
{
    struct entry **set = set_of(resolver, name);
    sl_time now = sl_now();
    for (int i = 0; i < CACHE_WAYS; i++) {
        if (set[i] != NULL && now >= set[i]->expires) {
            forget(resolver, &set[i]);
        } else if (set[i] != NULL && set[i]->ips.family == family && strcmp(set[i]->name, name) == 0) {
            return set[i];
        }
    }
    return NULL;
}

/* Keeps an answer in place of the one that lives shortest. Without memory it is not kept. */
static void keep(struct sl__resolver *resolver, const char *name, const struct sl__dns_answer *answer)
{
    const struct sl_resolver_options *options = &resolver->options;
    sl_time ttl = answer->code == 0 ? answer->ttl : options->ttl_negative;
    ttl = answer->code == 0 && ttl > options->ttl_max ? options->ttl_max : ttl;
    if (ttl <= 0 || (answer->code != 0 && answer->code != SL_ENOHOST)) {
        return;
    }
    size_t bytes = strlen(name) + 1;
    struct entry *entry = sl_malloc(sizeof *entry + bytes);
    if (entry == NULL) {
        return;
    }
    entry->expires = sl_time_add(sl_now(), ttl);
    entry->code = answer->code;
    entry->ips = answer->ips;
    memcpy(entry->name, name, bytes);
    struct entry **set = set_of(resolver, name);
    struct entry **place = &set[0];
    for (int i = 1; i < CACHE_WAYS && *place != NULL; i++) {
        if (set[i] == NULL || set[i]->expires < (*place)->expires) {
            place = &set[i];
        }
    }
    forget(resolver, place);
    *place = entry;
    resolver->counts.kept++;
}

/* ---- questions ---- */

static void query_drop(struct query *query)
{
    if (--query->holds == 0) {
        sl_free(query);
    }
}

static void query_done(void *context, const struct sl__dns_answer *answer)
{
    struct query *query = context;
    struct sl__resolver *resolver = query->resolver;
    struct query **link = &resolver->queries;
    while (*link != query) {
        link = &(*link)->next;
    }
    *link = query->next;
    resolver->counts.under_way--;
    resolver->counts.failed += answer->code == SL_ERESOLVE;
    query->done = true;
    query->answer = *answer;
    keep(resolver, query->name, answer);
    while (sl__wait_queue_wake(&query->waiters, 0)) {
    }
    query_drop(query);
}

static int query_start(struct sl__resolver *resolver, const char *name, int family, struct query **ret_query)
{
    for (struct query *query = resolver->queries; query != NULL; query = query->next) {
        if (query->answer.ips.family == family && strcmp(query->name, name) == 0) {
            resolver->counts.joined++;
            query->holds++;
            *ret_query = query;
            return 0;
        }
    }
    if (resolver->counts.under_way == SL_RESOLVER_QUERIES_MAX) {
        return sl_fail(SL_EBUSY, "%d names are looked up already", SL_RESOLVER_QUERIES_MAX);
    }
    size_t bytes = strlen(name) + 1;
    struct query *query = sl_calloc(1, sizeof *query + bytes);
    if (query == NULL) {
        return sl_fail(SL_ENOMEM, "no memory to look up %s", name);
    }
    query->resolver = resolver;
    query->holds = 2; /* the servers' and the caller's */
    query->answer.ips.family = family;
    memcpy(query->name, name, bytes);
    query->next = resolver->queries;
    resolver->queries = query;
    resolver->counts.under_way++;
    resolver->counts.asked++;
    sl__dns_ask(resolver->dns, query->name, family, query_done, query);
    *ret_query = query;
    return 0;
}

static int fail_with(const char *name, int family, int code, const char *text)
{
    const char *kind = family == AF_INET ? "IPv4" : "IPv6";
    return code == SL_ENOHOST ? sl_fail(code, "%s has no %s address", name, kind)
                              : sl_fail(code, "looking up %s: %s", name, text);
}

static struct sl__resolver *resolver_of_run(void);

int sl__dns_resolve(const char *host, int family, struct sl__ips *ret_ips)
{
    sl_runtime *runtime = sl__runtime;
    struct sl__resolver *resolver = resolver_of_run();
    if (resolver == NULL) {
        return sl_error_last_code() == 0 ? SL_ENOMEM : sl_error_last_code();
    }
    const struct entry *entry = look_in_cache(resolver, host, family);
    if (entry != NULL) {
        resolver->counts.cached++;
        *ret_ips = entry->ips;
        return entry->code == 0 ? 0 : fail_with(host, family, entry->code, "");
    }
    struct query *query = NULL;
    SL_TRY(query_start(resolver, host, family, &query));
    int code = 0;
    if (!query->done) {
        runtime->external++;
        code = sl__wait_queue_park(&query->waiters, "resolve");
        runtime->external--;
    }
    if (code == 0) {
        *ret_ips = query->answer.ips;
        code = query->answer.code;
        code = code == 0 ? 0 : fail_with(host, family, code, query->answer.text);
    }
    query_drop(query);
    return code;
}

/* ---- the resolver ---- */

void sl__resolver_free(struct sl__resolver *resolver)
{
    if (resolver == NULL) {
        return;
    }
    sl__dns_close(resolver->dns);
    for (int set = 0; set < CACHE_SETS; set++) {
        for (int i = 0; i < CACHE_WAYS; i++) {
            sl_free(resolver->cache[set][i]);
        }
    }
    sl_free(resolver);
}

static int resolver_new(const struct sl_resolver_options *options, struct sl__resolver **ret_resolver)
{
    struct sl__resolver *resolver = sl_calloc(1, sizeof *resolver);
    if (resolver == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for the resolver");
    }
    int code = sl__dns_open(options, &resolver->dns);
    if (code < 0) {
        sl_free(resolver);
        return code;
    }
    resolver->options = *options;
    resolver->options.servers = NULL; /* not ours to keep */
    if (options->ttl_max == 0) {
        resolver->options.ttl_max = SL_RESOLVER_TTL_MAX;
    }
    if (options->ttl_negative == 0) {
        resolver->options.ttl_negative = SL_RESOLVER_TTL_NEGATIVE;
    }
    *ret_resolver = resolver;
    return 0;
}

static struct sl__resolver *resolver_of_run(void)
{
    static const struct sl_resolver_options standard;
    struct sl__net *net = sl__net();
    if (net != NULL && net->resolver == NULL) {
        (void)resolver_new(&standard, &net->resolver);
    }
    return net == NULL ? NULL : net->resolver;
}

int sl_resolver_configure(const struct sl_resolver_options *options)
{
    if (sl_current() == NULL) {
        return SL_ENOTASK;
    }
    if (options->timeout < 0 || options->timeout > SL_MINUTES(60) || options->tries < 0 || options->ttl_max < 0 ||
        options->ttl_negative < 0) {
        return sl_fail(SL_EINVAL, "sl_resolver_configure(): an option is out of its range");
    }
    struct sl__net *net = sl__net();
    if (net == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for the resolver");
    }
    if (net->resolver != NULL && net->resolver->queries != NULL) {
        return sl_fail(SL_EBUSY, "names are being looked up");
    }
    struct sl__resolver *resolver = NULL;
    SL_TRY(resolver_new(options, &resolver));
    sl__resolver_free(net->resolver);
    net->resolver = resolver;
    return 0;
}

struct sl_resolver_counts sl_resolver_counts_get(void)
{
    struct sl__net *net = sl__runtime == NULL ? NULL : sl__runtime->net;
    return net == NULL || net->resolver == NULL ? (struct sl_resolver_counts){0} : net->resolver->counts;
}

/* ---- names ---- */

/* Letters as small ones, without the dot at the end; SL_EINVAL for what cannot be a name. */
static int canonical(const char *host, char *ret_name)
{
    size_t length = strlen(host);
    length -= length > 1 && host[length - 1] == '.';
    if (length == 0 || length > SL_NAME_BYTES_MAX) {
        return sl_fail(SL_EINVAL, "a host name has 1 to %d bytes", SL_NAME_BYTES_MAX);
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)host[i];
        if (c <= ' ' || c >= 0x7f || strchr("/:@[]\\\"'<>?#%", c) != NULL) {
            return sl_fail(SL_EINVAL, "'%.*s' is not a host name", (int)length, host);
        }
        ret_name[i] = (char)tolower(c);
    }
    ret_name[length] = '\0';
    return 0;
}

struct sl__address sl__ips_address(const struct sl__ips *ips, size_t index, int port)
{
    struct sl__address address;
    memset(&address, 0, sizeof address);
    if (ips->family == AF_INET) {
        address.size_bytes = sizeof address.is.v4;
        address.is.v4.sin_family = AF_INET;
        address.is.v4.sin_port = htons((uint16_t)port);
        memcpy(&address.is.v4.sin_addr, ips->bytes[index], sizeof address.is.v4.sin_addr);
    } else {
        address.size_bytes = sizeof address.is.v6;
        address.is.v6.sin6_family = AF_INET6;
        address.is.v6.sin6_port = htons((uint16_t)port);
        memcpy(&address.is.v6.sin6_addr, ips->bytes[index], sizeof address.is.v6.sin6_addr);
    }
    return address;
}

/* RFC 6761, 6.3: "localhost" and what is below it never leave the host. */
static bool is_localhost(const char *name)
{
    size_t length = strlen(name);
    return strcmp(name, "localhost") == 0 || (length > 10 && strcmp(name + length - 10, ".localhost") == 0);
}

int sl__resolve_family(const char *host, int family, struct sl__ips *ret_ips)
{
    char name[SL_NAME_BYTES_MAX + 1];
    struct sl__ips ips = {.family = family, .count = 1};
    int other = family == AF_INET ? AF_INET6 : AF_INET;
    if (inet_pton(family, host, ips.bytes[0]) == 1) {
        *ret_ips = ips;
        return 0;
    }
    if (inet_pton(other, host, ips.bytes[0]) == 1) {
        return sl_fail(SL_ENOHOST, "%s is an address of the other family", host);
    }
    SL_TRY(canonical(host, name));
    if (is_localhost(name)) {
        (void)inet_pton(family, family == AF_INET ? "127.0.0.1" : "::1", ips.bytes[0]);
        *ret_ips = ips;
        return 0;
    }
    struct sl__net *net = sl__net();
    if (net == NULL) {
        return sl_fail(SL_ENOMEM, "no memory to look up %s", host);
    }
    return net->network->resolve(name, family, ret_ips);
}

struct half {
    const char *host;
    int code;
    struct sl__ips ips;
};

static int resolve_v6(void *arg)
{
    struct half *half = arg;
    half->code = sl__resolve_family(half->host, AF_INET6, &half->ips);
    return half->code == SL_ECANCELED ? half->code : 0;
}

static void add_addresses(struct sl_addresses *addresses, const struct half *half)
{
    for (size_t i = 0; half->code == 0 && i < half->ips.count; i++) {
        (void)inet_ntop(half->ips.family, half->ips.bytes[i], addresses->text[addresses->count++], SL_IP_TEXT_BYTES);
    }
}

/* What both families gave; SL_ENOHOST only when neither has one. */
static int resolve_any(const char *host, struct half *v4, struct half *v6)
{
    SL_SCOPE(scope, .name = "resolve");
    SL_TRY(sl_spawn(&scope, resolve_v6, v6));
    v4->code = sl__resolve_family(host, AF_INET, &v4->ips);
    SL_TRY(sl_scope_join(&scope, SL_NEVER));
    SL_TRY(sl_scope_wait(&scope));
    if (v4->code == 0 || v6->code == 0) {
        return 0;
    }
    if (v4->code == SL_ENOHOST && v6->code == SL_ENOHOST) {
        return sl_fail(SL_ENOHOST, "%s has no address", host);
    }
    int code = v4->code == SL_ENOHOST ? v6->code : v4->code;
    return sl_fail(code, "looking up %s: %s", host, sl_strerror(code));
}

int sl_resolve(const char *host, enum sl_family family, struct sl_addresses *ret_addresses)
{
    struct half v4 = {.host = host, .code = SL_ENOHOST};
    struct half v6 = {.host = host, .code = SL_ENOHOST};
    if (sl_current() == NULL) {
        return SL_ENOTASK;
    }
    SL_TRY(sl_checkpoint_if_cancelled());
    if (family == SL_FAMILY_ANY) {
        SL_TRY(resolve_any(host, &v4, &v6));
    } else {
        struct half *half = family == SL_FAMILY_V4 ? &v4 : &v6;
        half->code = sl__resolve_family(host, family == SL_FAMILY_V4 ? AF_INET : AF_INET6, &half->ips);
        SL_TRY(half->code);
    }
    ret_addresses->count = 0;
    add_addresses(ret_addresses, &v6);
    add_addresses(ret_addresses, &v4);
    return 0;
}
