/* SPDX-License-Identifier: MIT */
/*
 * Connecting to a host name by both families (RFC 8305): look-ups side by side; attempts one after the other, the
 * next one when the last has failed or not answered for a while; the first connection wins. Each look-up and each
 * attempt is a task of one scope, so that what lost is cancelled and closed before the call returns.
 */
#include <stdio.h>
#include <string.h>

#include "../runtime/internal.h"
#include "connect.h"

#define RESOLUTION_DELAY SL_MILLISECONDS(50) /* for IPv6's addresses, when IPv4's are there: section 3 */
#define ATTEMPT_DELAY SL_MILLISECONDS(250)   /* section 5 */
#define STORY_BYTES 512

enum { V6, V4, FAMILIES };

struct lookup {
    struct race *race;
    bool done;
    int code;
    size_t tried;
    struct sl__ips ips;
};

struct race {
    const char *host;
    int port;
    const struct sl__address *local;
    sl_scope scope;
    sl_event news; /* a look-up or an attempt has ended */
    struct lookup lookups[FAMILIES];
    int last_family; /* of the last attempt */
    size_t running;
    sl_stream *winner;
    int code; /* of the first attempt that failed */
    char story[STORY_BYTES];
};

struct attempt {
    struct race *race;
    struct sl__address where;
};

/* ---- look-ups ---- */

static int look_up(void *arg)
{
    struct lookup *lookup = arg;
    struct race *race = lookup->race;
    int family = lookup == &race->lookups[V6] ? AF_INET6 : AF_INET;
    lookup->code = sl__resolve_family(race->host, family, &lookup->ips);
    lookup->done = true;
    sl_event_set(&race->news);
    return 0;
}

/* Until attempts may begin: with IPv6's addresses, or with IPv4's once IPv6's had their time. */
static int wait_for_addresses(struct race *race)
{
    struct lookup *v6 = &race->lookups[V6];
    struct lookup *v4 = &race->lookups[V4];
    while (!v6->done && !v4->done) {
        sl_event_reset(&race->news);
        SL_TRY(sl_event_wait(&race->news));
    }
    if (v6->done && (v6->code == 0 || v4->done)) {
        return 0;
    }
    SL_SCOPE(limit, .timeout = v6->done || v4->code != 0 ? 0 : RESOLUTION_DELAY, .move_on = true);
    struct lookup *other = v6->done ? v4 : v6;
    int code = 0;
    while (!other->done && code == 0) {
        sl_event_reset(&race->news);
        code = sl_event_wait(&race->news);
    }
    return sl_scope_close(&limit, code);
}

/* ---- attempts ---- */

static void tell(struct race *race, const struct sl__address *where, int code)
{
    char text[SL_ADDRESS_TEXT_BYTES];
    size_t used = strlen(race->story);
    sl__address_text(where, text, sizeof text);
    (void)snprintf(race->story + used, sizeof race->story - used, "%s%s %s", used == 0 ? "" : "; ", text,
                   sl_strerror(code));
    race->code = race->code == 0 ? code : race->code;
}

static int try_address(void *arg)
{
    struct attempt *attempt = arg;
    struct race *race = attempt->race;
    sl_stream *stream = NULL;
    int code = sl__runtime_network()->connect(&attempt->where, race->local, &stream);
    race->running--;
    if (code == 0 && race->winner == NULL) {
        race->winner = stream;
    } else if (code == 0) {
        sl_stream_close(stream); /* second in the same instant */
    } else if (code != SL_ECANCELED) {
        tell(race, &attempt->where, code);
    }
    sl_event_set(&race->news);
    return 0;
}

/* Whose address is tried next: the other family than last time, if it has one; NULL when all are tried. */
static struct lookup *next_lookup(struct race *race)
{
    for (int i = 1; i <= FAMILIES; i++) {
        struct lookup *lookup = &race->lookups[(race->last_family + i) % FAMILIES];
        if (lookup->done && lookup->code == 0 && lookup->tried < lookup->ips.count) {
            return lookup;
        }
    }
    return NULL;
}

static int start_attempt(struct race *race, const struct sl__address *where)
{
    if (race->local != NULL && race->local->is.any.sa_family != where->is.any.sa_family) {
        tell(race, where, -EAFNOSUPPORT);
        return 0;
    }
    struct attempt *attempt = sl_malloc(sizeof *attempt);
    if (attempt == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a connection");
    }
    *attempt = (struct attempt){race, *where};
    int code = sl_spawn(&race->scope, try_address, attempt, .name = "connect", .release = sl_free);
    if (code < 0) {
        sl_free(attempt);
        return code;
    }
    race->running++;
    return 0;
}

/* Until something has ended, or it is time (> 0) for the next attempt. */
static int wait_for_news(struct race *race, sl_time next_at)
{
    SL_SCOPE(limit, .deadline = next_at, .move_on = true);
    sl_event_reset(&race->news);
    return sl_scope_close(&limit, sl_event_wait(&race->news));
}

static bool looking_up(const struct race *race)
{
    return !race->lookups[V6].done || !race->lookups[V4].done;
}

static int run_attempts(struct race *race)
{
    sl_time next_at = 0;
    while (race->winner == NULL) {
        size_t running = race->running;
        struct lookup *next = next_lookup(race);
        if (next != NULL && (running == 0 || sl_now() >= next_at)) {
            race->last_family = (int)(next - race->lookups);
            struct sl__address where = sl__ips_address(&next->ips, next->tried++, race->port);
            SL_TRY(start_attempt(race, &where));
            next_at = sl_time_add(sl_now(), ATTEMPT_DELAY);
            continue;
        }
        if (running == 0 && !looking_up(race)) {
            return 0; /* all tried */
        }
        SL_TRY(wait_for_news(race, next == NULL ? SL_NEVER : next_at));
        if (race->running < running) {
            next_at = 0; /* one has failed: the next at once */
        }
    }
    return 0;
}

static int begin(struct race *race)
{
    for (int i = 0; i < FAMILIES; i++) {
        race->lookups[i].race = race;
        SL_TRY(sl_spawn(&race->scope, look_up, &race->lookups[i], .name = i == V6 ? "look-up-v6" : "look-up-v4"));
    }
    SL_TRY(wait_for_addresses(race));
    return run_attempts(race);
}

static int lost(const struct race *race)
{
    const struct lookup *v6 = &race->lookups[V6];
    const struct lookup *v4 = &race->lookups[V4];
    if (race->code != 0) {
        return sl_fail(race->code, "connect to %s:%d: %s", race->host, race->port, race->story);
    }
    int code = v4->code == SL_ENOHOST ? v6->code : v4->code;
    if (code == SL_ENOHOST) {
        return sl_fail(code, "connect to %s:%d: there is no such host, or it has no address", race->host, race->port);
    }
    return sl_fail(code, "connect to %s:%d: looking up the name: %s", race->host, race->port, sl_strerror(code));
}

int sl__connect_by_name(const char *host, int port, const struct sl__address *local, sl_stream **ret_stream)
{
    struct race *race = sl_calloc(1, sizeof *race);
    if (race == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a connection");
    }
    race->host = host;
    race->port = port;
    race->local = local;
    race->last_family = V4;
    int code = sl_scope_open(&race->scope, &(struct sl_scope_options){.name = "happy-eyeballs"});
    if (code == 0) {
        code = begin(race);
        sl_scope_cancel(&race->scope, "the race is over");
        code = sl_scope_close(&race->scope, code);
    }
    if (code == 0 && race->winner == NULL) {
        code = lost(race);
    }
    if (code == 0) {
        *ret_stream = race->winner;
    } else {
        sl_stream_close(race->winner);
    }
    sl_free(race);
    return code;
}
