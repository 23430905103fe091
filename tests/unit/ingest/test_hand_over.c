/* SPDX-License-Identifier: MIT */
/*
 * One partition that changes hands among replicas over a real Redis, or between the lives of one process. Their services are scripted: how far they are and what
 * they have is the test's word; what they are told to go on from is what it looks at.
 */
#include <stdio.h>
#include <string.h>

#include "conf_support.h"
#include "ingest/program/program_internal.h"
#include "ingest/replicas/replicas_internal.h"
#include "redis_server.h"
#include "scratch_folder.h"
#include "sl_conformance.h"
#include "sluice/memory.h"
#include "sluice/partition.h"
#include "sluice/redis.h"
#include "sluice/runtime.h"

#define UNTIL(condition)                                                                                               \
    while (!(condition)) {                                                                                             \
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);                                                                     \
    }

/* One process, as far as a partition has to do with it. */
struct replica {
    struct sl_program_parts parts;
    struct sl_program_service service;
    sl_config *config;
    sl_replicas *replicas;
    sl_scope *scope;
    const sl_instrument *instrument;
    int64_t id;   /* how far the book is; 0: there is none yet */
    bool pending; /* it is not whole */
    bool ended;
    /* What the service was told to go on from. */
    size_t claims, unknown;
    int64_t from_id;
    bool seamless;
};

static void pending(const struct sl_program_service *service, void (*look)(void *arg, const sl_subscription *what),
                    void *arg)
{
    const struct replica *replica = service->life;
    if (replica->pending && sl_replicas_follows(replica->replicas, replica->instrument)) {
        look(arg, &(sl_subscription){.feed = SL_FEED_DEPTH, .instrument = replica->instrument});
    }
}

static int positions(struct sl_program_service *service,
                     void (*look)(void *arg, const sl_instrument *instrument, sl_feed feed, int64_t id), void *arg)
{
    const struct replica *replica = service->life;
    if (replica->id != 0 && sl_replicas_follows(replica->replicas, replica->instrument)) {
        look(arg, replica->instrument, SL_FEED_DEPTH, replica->id);
    }
    return 0;
}

static void look_at(const struct sl_program_service *service, struct sl_service_look *ret_look)
{
    (void)service;
    ret_look->works = true;
}

static const struct sl_service_kind kind = {.look = look_at, .pending = pending, .positions = positions};

/* What market_service.c does. */
static int choose(void *arg)
{
    struct replica *replica = arg;
    for (;;) {
        uint64_t generation = sl_replicas_generation(replica->replicas);
        sl_event_reset(&replica->service.changed);
        if (!sl_replicas_follows(replica->replicas, replica->instrument)) {
            replica->id = 0;
        } else if (sl_positions_claim(sl_replicas_positions(replica->replicas), "books", replica->instrument,
                                      SL_FEED_DEPTH, &replica->from_id, &replica->seamless)) {
            replica->claims++;
        } else if (sl_replicas_unclean(replica->replicas, replica->instrument, replica->service.chosen)) {
            replica->unknown++;
        }
        replica->service.chosen = generation;
        SL_TRY(sl_event_wait(&replica->service.changed));
    }
}

static int run_replica(void *arg)
{
    struct replica *replica = arg;
    SL_SCOPE(scope);
    replica->scope = &scope;
    int code = sl_spawn(&scope, choose, replica, .daemon = true);
    code = code == 0 ? sl_replicas_run(replica->replicas) : code;
    sl_replicas_end(replica->replicas);
    replica->scope = NULL;
    replica->ended = true;
    return sl_scope_close(&scope, code);
}

static int open_with(sl_scope *scope, struct replica *replica, const char *coordination, sl_redis *redis)
{
    char text[1024];
    *replica = (struct replica){.pending = true};
    (void)snprintf(text, sizeof text,
                   "services: {books: {kind: book, venue: binance, instruments: ['*'], sinks: [db]}}\n" CONF_SINKS
                   "coordination: {%s}\n",
                   coordination);
    replica->config = conf_loaded(text);
    CHECK_EQ(sl_instruments_new(0, &replica->parts.instruments), 0);
    CHECK_EQ(sl_instruments_add(replica->parts.instruments,
                                &(sl_instrument){.venue = SL_VENUE_BINANCE_SPOT, .symbol = "BTCUSDT"},
                                &replica->instrument),
             1);
    replica->parts.services = &replica->service;
    replica->service.parts = &replica->parts;
    replica->service.kind = &kind;
    replica->service.life = replica;
    replica->service.variant = sl_conf_service_find(conf_of(replica->config), "books");
    (void)snprintf(replica->service.name, sizeof replica->service.name, "books");
    sl_event_init(&replica->service.changed);
    SL_TRY(sl_replicas_open(&replica->parts, conf_of(replica->config), redis, &replica->replicas));
    return sl_spawn(scope, run_replica, replica);
}

static int open_replica(sl_scope *scope, struct replica *replica, const char *name, sl_redis *redis)
{
    char text[256];
    (void)snprintf(text, sizeof text,
                   "backend: redis, url: 'redis://127.0.0.1', group: test, partitions: 1, ttl: 10s, drain: 1s, "
                   "replica: %s",
                   name);
    return open_with(scope, replica, text, redis);
}

static void close_replica(struct replica *replica)
{
    sl_replicas_close(replica->replicas);
    sl_instruments_free(replica->parts.instruments);
    sl_config_unref(replica->config);
}

static bool owns(const struct replica *replica)
{
    return sl_replicas_follows(replica->replicas, replica->instrument);
}

/* It has the lease, the service has chosen, and nobody is waited for. */
static bool is_ready(const struct replica *replica)
{
    char reason[128];
    return sl_replicas_ready(replica->replicas, reason, sizeof reason);
}

/* And what those before it left behind is known, and told. */
static bool is_told(const struct replica *replica)
{
    const struct sl__replica_part *part = &replica->replicas->all[0];
    return part->joined && sl__replicas_is_told(replica->replicas, part);
}

/* A number in the partition's hash; 0 when there is none. */
static int number(sl_redis *redis, const char *field, int64_t *ret_number)
{
    const char *const texts[] = {"HSTRLEN", "sluice:{test}:position:0", field, NULL};
    SL_TRY(sl_redis_send_int(redis, texts, ret_number));
    if (*ret_number > 0) {
        const char *const get[] = {"HINCRBY", "sluice:{test}:position:0", field, "0", NULL};
        SL_TRY(sl_redis_send_int(redis, get, ret_number));
    }
    return 0;
}

#define UNTIL_STORED(redis, id)                                                                                        \
    for (int64_t stored = 0; stored != (id);) {                                                                        \
        CHECK_EQ(number(redis, "books BTCUSDT depth", &stored), 0);                                                    \
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(5)), 0);                                                                     \
    }

/* Two names: when both are there the partition is the second one's. */
static void name_two(char first[24], char second[24])
{
    uint32_t owner = 0;
    (void)snprintf(first, 24, "first");
    for (int at = 0; owner != 1; at++) {
        (void)snprintf(second, 24, "second-%d", at);
        sl_partitions_assign((const char *const[]){first, second}, 2, 1, &owner);
    }
}

struct two {
    char names[2][24];
    struct replica first, second;
    sl_redis *redis;
};

/*
 * The first has the partition but not the book; the second comes, has the book, and is still waiting for the first one's
 * last word.
 */
static int begin(sl_scope *scope, sl_scope *tasks, struct two *two)
{
    char url[64];
    int port = redis_server_port();
    CHECK(port > 0);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", port);
    CHECK_EQ(sl_redis_open(scope, &(struct sl_redis_options){.url = url}, &two->redis), 0);
    CHECK_EQ(sl_redis_do(two->redis, NULL, "FLUSHALL"), 0);
    name_two(two->names[0], two->names[1]);
    CHECK_EQ(open_replica(tasks, &two->first, two->names[0], two->redis), 0);
    UNTIL(owns(&two->first));
    CHECK_EQ(open_replica(tasks, &two->second, two->names[1], two->redis), 0);
    UNTIL(owns(&two->second));
    two->second.id = 1000;
    return 0;
}

static int end(sl_scope *scope, sl_scope *tasks, struct two *two)
{
    struct replica *all[] = {&two->first, &two->second};
    for (size_t at = 0; at < 2; at++) {
        if (all[at]->scope != NULL) {
            CHECK_EQ(sl_scope_stop(all[at]->scope, SL_SECONDS(10)), 0);
        }
    }
    CHECK_EQ(sl_scope_wait(tasks), 0);
    close_replica(&two->first);
    close_replica(&two->second);
    sl_scope_cancel(scope, NULL);
    int code = sl_scope_wait(scope);
    return code == SL_ECANCELED ? 0 : code;
}

C_TEST_REAL_FEW(a_lease_that_comes_back_may_have_been_anothers,
                "given a replica whose lease comes back while it still hands it over, and that between the two another "
                "one had it and ended before anybody had all of it, then what that one had is told as missing",
                "")
{
    SL_SCOPE(scope);
    SL_SCOPE(tasks);
    static struct two two; /* too large for a task's stack */
    CHECK_EQ(begin(&scope, &tasks, &two), 0);
    CHECK_EQ(two.first.unknown, 0);
    CHECK_EQ(sl_scope_stop(two.second.scope, SL_SECONDS(10)), 0); /* the first has no book: after `drain` it ends */
    UNTIL(two.second.ended);
    two.first.pending = false;
    two.first.id = 2000;
    UNTIL(is_ready(&two.first) && two.first.unknown == 1);
    UNTIL_STORED(two.redis, 2000);
    return end(&scope, &tasks, &two);
}

C_TEST_REAL_FEW(a_lease_that_comes_back_in_order_has_no_gap,
                "given the same, but that the other one ends only after the first has all of it, then nothing is told",
                "")
{
    SL_SCOPE(scope);
    SL_SCOPE(tasks);
    static struct two two; /* too large for a task's stack */
    CHECK_EQ(begin(&scope, &tasks, &two), 0);
    two.first.pending = false;
    two.first.id = 900;
    UNTIL_STORED(two.redis, 900); /* it goes on storing while it hands over */
    CHECK_EQ(sl_scope_stop(two.second.scope, SL_SECONDS(10)), 0);
    UNTIL(two.second.ended && is_ready(&two.first));
    two.first.id = 2000;
    UNTIL_STORED(two.redis, 2000);
    CHECK_EQ(two.first.unknown, 0);
    CHECK(two.first.claims == 0 || two.first.seamless);
    return end(&scope, &tasks, &two);
}

C_TEST_REAL_FEW(a_replica_that_dies_before_it_is_alone_leaves_a_trace,
                "given a replica that had the lease and dies before the one before it has said its last word, then "
                "whoever follows tells that something may be missing",
                "")
{
    SL_SCOPE(scope);
    SL_SCOPE(tasks);
    static struct two two; /* too large for a task's stack */
    CHECK_EQ(begin(&scope, &tasks, &two), 0);
    sl_scope_cancel(two.second.scope, "dies");
    UNTIL(two.second.ended);
    two.first.pending = false;
    UNTIL(is_ready(&two.first) && two.first.unknown == 1);
    return end(&scope, &tasks, &two);
}

C_TEST_REAL_FEW(a_change_of_owner_in_order_is_seamless,
                "given a replica that has all and one that takes over, then the last word of the first is what the "
                "second goes on from, without a seam",
                "")
{
    SL_SCOPE(scope);
    SL_SCOPE(tasks);
    static struct two two; /* too large for a task's stack */
    CHECK_EQ(begin(&scope, &tasks, &two), 0);
    two.first.id = 1500;
    two.second.pending = false;
    UNTIL(two.second.claims == 1);
    CHECK_EQ(two.second.from_id, 1500);
    CHECK(two.second.seamless);
    CHECK_EQ(two.second.unknown, 0);
    UNTIL(!owns(&two.first));
    two.second.id = 1600;
    UNTIL_STORED(two.redis, 1600);
    return end(&scope, &tasks, &two);
}

C_TEST_REAL_FEW(nobody_leaves_for_a_newcomer_that_never_has_all,
                "given a new owner whose books do not become whole, then the one before goes on for as long as it may",
                "")
{
    SL_SCOPE(scope);
    SL_SCOPE(tasks);
    static struct two two; /* too large for a task's stack */
    CHECK_EQ(begin(&scope, &tasks, &two), 0);
    two.first.id = 1500;
    CHECK_EQ(sl_sleep(SL_SECONDS(4)), 0); /* `drain` and the margin have passed */
    CHECK(owns(&two.first));
    CHECK_EQ(two.second.claims + two.second.unknown, 0);
    two.first.id = 1700;
    two.second.pending = false;
    UNTIL(two.second.claims == 1);
    CHECK_EQ(two.second.from_id, 1700);
    CHECK(two.second.seamless);
    return end(&scope, &tasks, &two);
}

C_TEST_REAL_FEW(a_stale_owner_stores_nothing,
                "given an owner whose partition another one has by a newer token, though it does not know, then it "
                "changes nothing of what is stored",
                "docs/decisions/stale-owners.md")
{
    SL_SCOPE(scope);
    SL_SCOPE(tasks);
    static struct two two;
    CHECK_EQ(begin(&scope, &tasks, &two), 0);
    two.second.pending = two.first.pending = false;
    UNTIL(!owns(&two.first));
    UNTIL_STORED(two.redis, 1000);
    static const char *const newer[] = {"HSET", "sluice:{test}:position:0", "@fence", "9007199254740991", NULL};
    CHECK_EQ(sl_redis_send(two.redis, &(struct sl_redis_request){.texts = newer}, NULL), 0);
    two.second.id = 5000;
    int64_t stored = 0;
    CHECK_EQ(sl_sleep(2 * SL_REPLICAS_STORE_EVERY + SL_MILLISECONDS(500)), 0);
    CHECK_EQ(number(two.redis, "books BTCUSDT depth", &stored), 0);
    CHECK_EQ(stored, 1000);
    CHECK_EQ(sl_scope_stop(two.second.scope, SL_SECONDS(10)), 0); /* nor with its last word */
    UNTIL(two.second.ended);
    CHECK_EQ(number(two.redis, "books BTCUSDT depth", &stored), 0);
    CHECK_EQ(stored, 1000);
    return end(&scope, &tasks, &two);
}

/* ---- alone, with a file ---- */

/* One that runs until it is killed (`id` 0), or until its position is stored and it is stopped. */
static int live_alone(struct replica *replica, const char *path, int64_t id, bool killed)
{
    char text[SCRATCH_PATH_MAX + 64], expected[64], found[256] = "";
    SL_SCOPE(scope);
    (void)snprintf(text, sizeof text, "positions: '%s'", path);
    (void)snprintf(expected, sizeof expected, "%lld books BTCUSDT depth\n", (long long)id);
    CHECK_EQ(open_with(&scope, replica, text, NULL), 0);
    replica->pending = false;
    UNTIL(is_ready(replica) && is_told(replica));
    replica->id = id;
    while (id != 0 && strstr(found, expected) == NULL) {
        CHECK_EQ(sl_sleep(SL_MILLISECONDS(5)), 0);
        FILE *file = fopen(path, "re");
        found[file == NULL ? 0 : fread(found, 1, sizeof found - 1, file)] = '\0';
        (void)(file != NULL && fclose(file));
    }
    if (killed) {
        sl_scope_cancel(&scope, "dies");
    } else {
        CHECK_EQ(sl_scope_stop(replica->scope, SL_SECONDS(10)), 0);
    }
    int code = sl_scope_close(&scope, 0);
    close_replica(replica);
    return code == SL_ECANCELED && killed ? 0 : code;
}

C_TEST_REAL_FEW(a_process_alone_that_dies_leaves_a_trace,
                "given a process without Redis that is killed before it has stored a position, then the next one tells "
                "that something may be missing; one that ends in order, or has stored it, is gone on from",
                "")
{
    char path[SCRATCH_PATH_MAX + 16];
    struct scratch_folder folder = scratch_folder_make();
    static struct replica replica;
    (void)snprintf(path, sizeof path, "%s/positions", folder.path);
    CHECK_EQ(live_alone(&replica, path, 0, true), 0);
    CHECK_EQ(replica.claims + replica.unknown, 0); /* nobody was here before */
    CHECK_EQ(live_alone(&replica, path, 0, true), 0);
    CHECK_EQ(replica.unknown, 1);
    CHECK_EQ(live_alone(&replica, path, 0, false), 0); /* the first one's trace is still there, until it was told */
    CHECK_EQ(replica.unknown, 1);
    CHECK_EQ(live_alone(&replica, path, 0, false), 0);
    CHECK_EQ(replica.claims + replica.unknown, 0);
    CHECK_EQ(live_alone(&replica, path, 7, true), 0);
    CHECK_EQ(replica.claims + replica.unknown, 0);
    CHECK_EQ(live_alone(&replica, path, 0, false), 0);
    CHECK_EQ(replica.unknown, 0);
    CHECK_EQ(replica.claims, 1);
    CHECK_EQ(replica.from_id, 7);
    scratch_folder_remove(&folder);
    return 0;
}

C_TEST_REAL_FEW(
    two_processes_alone_do_not_share_a_file,
    "given a process that keeps its positions in a file, when another one has the same, then it is refused, "
    "for as long as the first is there",
    "")
{
    char text[SCRATCH_PATH_MAX + 64];
    struct scratch_folder folder = scratch_folder_make();
    static struct replica one, two;
    (void)snprintf(text, sizeof text, "positions: '%s/positions'", folder.path);
    for (int round = 0; round < 2; round++) {
        SL_SCOPE(scope);
        CHECK_EQ(open_with(&scope, &one, text, NULL), 0);
        CHECK_EQ(open_with(&scope, &two, text, NULL), SL_EBUSY);
        CHECK(strstr(sl_error_message(sl_error_last()), folder.path) != NULL);
        close_replica(&two);
        sl_scope_cancel(&scope, "enough");
        int code = sl_scope_close(&scope, 0);
        CHECK(code == 0 || code == SL_ECANCELED);
        close_replica(&one);
    }
    scratch_folder_remove(&folder);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(a_lease_that_comes_back_may_have_been_anothers),
             cmocka_unit_test(a_lease_that_comes_back_in_order_has_no_gap),
             cmocka_unit_test(a_replica_that_dies_before_it_is_alone_leaves_a_trace),
             cmocka_unit_test(a_change_of_owner_in_order_is_seamless),
             cmocka_unit_test(nobody_leaves_for_a_newcomer_that_never_has_all),
             cmocka_unit_test(a_stale_owner_stores_nothing), cmocka_unit_test(a_process_alone_that_dies_leaves_a_trace),
             cmocka_unit_test(two_processes_alone_do_not_share_a_file))
