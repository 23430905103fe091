/* SPDX-License-Identifier: MIT */
/* A cluster of three masters, and a master with a replica and a sentinel: all processes of the test's own. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "redis/client.h"
#include "redis_server.h"
#include "sl_conformance.h"
#include "sluice/lock.h"
#include "sluice/net.h"
#include "sluice/work_queue.h"

#define NODES 3

static struct redis_process nodes[NODES], master, replica, sentinel;

static void stop_all(void)
{
    for (int i = 0; i < NODES; i++) {
        redis_process_stop(&nodes[i]);
    }
    redis_process_stop(&sentinel);
    redis_process_stop(&replica);
    redis_process_stop(&master);
}

static bool run_program(const char *format, ...) __attribute__((format(printf, 1, 2)));
static bool run_program(const char *format, ...)
{
    char command[512];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(command, sizeof command, format, list);
    va_end(list);
    return system(command) == 0;
}

static void pause_10ms(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/* ---- cluster ---- */

static bool start_cluster(void)
{
    static const char *const arguments[] = {
        "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "20000", NULL};
    char list[128] = "";
    stop_all();
    (void)atexit(stop_all);
    for (int i = 0; i < NODES; i++) {
        size_t used = strlen(list);
        if (!redis_process_start(&nodes[i], arguments)) {
            return false;
        }
        (void)snprintf(list + used, sizeof list - used, " 127.0.0.1:%d", nodes[i].port);
    }
    if (!run_program("redis-cli --cluster create %s --cluster-yes >/dev/null", list)) {
        return false;
    }
    for (int i = 0; i < NODES; i++) {
        for (int tries = 0; !run_program("redis-cli -p %d cluster info | grep -q cluster_state:ok", nodes[i].port);
             tries++) {
            if (tries == 500) {
                return false;
            }
            pause_10ms();
        }
    }
    return true;
}

static int open_cluster(sl_scope *scope, sl_redis **ret_redis)
{
    char url[128];
    (void)snprintf(url, sizeof url, "redis+cluster://127.0.0.1:%d", nodes[0].port); /* one will do */
    return sl_redis_open(scope, &(struct sl_redis_options){.url = url}, ret_redis);
}

static int fill(void *arg)
{
    sl_redis *redis = arg;
    static int next;
    int own = next++;
    for (int i = 0; i < 40; i++) {
        char key[32];
        int64_t number = 0;
        (void)snprintf(key, sizeof key, "key-%d-%d", own, i);
        SL_TRY(sl_redis_do(redis, NULL, "SET", key, "42"));
        const char *const get[] = {"GET", key, NULL};
        SL_TRY(sl_redis_send_int(redis, get, &number));
        CHECK_EQ(number, 42);
    }
    return 0;
}

static int note_dead(void *arg, const struct sl_work_dead *dead)
{
    *(int *)arg += strcmp(dead->key, "poison") == 0;
    return 0;
}

/* Queues in different slots; all that one has is in one. */
static int use_queues(sl_redis *redis)
{
    for (int i = 0; i < 6; i++) {
        SL_SCOPE(scope);
        char name[24];
        sl_work *work = NULL;
        sl_job *job = NULL;
        int dead = 0;
        (void)snprintf(name, sizeof name, "queue%d", i);
        const struct sl_work_options options = {
            .backend = SL_WORK_REDIS, .redis = redis, .name = name, .backoff = {.initial = SL_NO_BACKOFF}};
        CHECK_EQ(sl_work_open(&scope, &options, &work), 0);
        CHECK_EQ(sl_work_add(work, &(struct sl_job_spec){.key = "a"}, NULL), 0);
        CHECK_EQ(sl_work_add(work, &(struct sl_job_spec){.key = "poison"}, NULL), 0);
        CHECK_EQ(sl_work_take(work, &scope, &job), 0);
        CHECK_EQ(sl_job_checkpoint(job, "half"), 0);
        CHECK_EQ(sl_job_fail(job, "once"), 0);
        CHECK_EQ(sl_work_take(work, &scope, &job), 0);
        CHECK_EQ(sl_job_bury(job, "hopeless"), 0);
        CHECK_EQ(sl_work_take(work, &scope, &job), 0);
        CHECK_STRING(sl_job_progress(job), "half");
        CHECK_EQ(sl_job_done(job), 0);
        CHECK_EQ(sl_work_dead_list(work, note_dead, &dead), 0);
        CHECK_EQ(dead, 1);
        CHECK_EQ(sl_work_revive(work, "poison"), 0);
        CHECK_EQ(sl_scope_wait(&scope), 0);
    }
    return 0;
}

C_TEST_REAL_FEW(cluster, "commands find their nodes, alone, many at once, in locks and in work queues", "")
{
    CHECK(start_cluster());
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(open_cluster(&scope, &redis), 0);
    {
        SL_SCOPE(tasks);
        for (int i = 0; i < 16; i++) {
            CHECK_EQ(sl_spawn(&tasks, fill, redis), 0);
        }
        CHECK_EQ(sl_scope_wait(&tasks), 0);
    }
    struct sl_redis_stats stats;
    sl_redis_stats_get(redis, &stats);
    CHECK_EQ(stats.redirects, 0); /* the map was asked for first */
    CHECK_EQ(sl_redis_do(redis, NULL, "MGET", "a", "b", "c", "d"), SL_EINVAL);
    CHECK(strstr(sl_error_message(sl_error_last()), "CROSSSLOT") != NULL);
    CHECK_EQ(sl_redis_do(redis, NULL, "MSET", "{tag}a", "1", "x{tag}b", "2"), 0);
    /* Many at once, over all nodes. */
    static char keys[30][16];
    const char *texts[30][4];
    struct sl_redis_request requests[30];
    sl_redis_reply *replies[30];
    for (int i = 0; i < 30; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "n%d", i / 3);
        texts[i][0] = "INCR";
        texts[i][1] = keys[i];
        texts[i][2] = NULL;
        requests[i] = (struct sl_redis_request){.texts = texts[i]};
    }
    CHECK_EQ(sl_redis_send_all(redis, requests, 30, replies), 0);
    for (int i = 0; i < 30; i++) {
        CHECK_EQ(sl_redis_reply_value(replies[i]).integer, i % 3 + 1);
        sl_redis_reply_free(replies[i]);
    }
    /* Locks, with their fences and wake-ups. */
    for (int i = 0; i < 10; i++) {
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, keys[i], .try_only = true), SL_EBUSY); /* somebody's, it seems */
        char key[16];
        (void)snprintf(key, sizeof key, "lock%d", i);
        CHECK_EQ(sl_redis_lock(&inner, redis, key, .fenced = true), 0);
        SL_SCOPE(other);
        CHECK_EQ(sl_redis_lock(&other, redis, key, .wait = SL_MILLISECONDS(20)), SL_ETIMEDOUT);
        CHECK_EQ(sl_scope_wait(&other), 0);
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    CHECK_EQ(use_queues(redis), 0);
    return sl_scope_wait(&scope);
}

/* Moves the slot of "moving" from its master to another, key by key, while it is used. */
C_TEST_REAL_FEW(cluster_moves, "MOVED, ASK and TRYAGAIN while a slot moves", "")
{
    CHECK(start_cluster());
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    CHECK_EQ(open_cluster(&scope, &redis), 0);
    unsigned slot = sl__redis_slot_of(sl_redis_text("{moving}"));
    CHECK_EQ(sl_redis_do(redis, NULL, "SET", "{moving}1", "one"), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "SET", "{moving}2", "two"), 0);
    int from = -1;
    for (int i = 0; i < NODES; i++) {
        if (run_program("redis-cli -p %d get '{moving}1' 2>&1 | grep -q one", nodes[i].port)) {
            from = i;
        }
    }
    CHECK(from >= 0);
    int to = (from + 1) % NODES;
    char ids[NODES][64];
    for (int i = 0; i < NODES; i++) {
        char command[128];
        (void)snprintf(command, sizeof command, "redis-cli -p %d cluster myid", nodes[i].port);
        FILE *pipe = popen(command, "r");
        CHECK(pipe != NULL && fgets(ids[i], sizeof ids[i], pipe) != NULL);
        ids[i][strcspn(ids[i], "\n")] = '\0';
        CHECK_EQ(pclose(pipe), 0);
    }
    CHECK(run_program("redis-cli -p %d cluster setslot %u importing %s >/dev/null", nodes[to].port, slot, ids[from]));
    CHECK(run_program("redis-cli -p %d cluster setslot %u migrating %s >/dev/null", nodes[from].port, slot, ids[to]));
    CHECK(run_program("redis-cli -p %d migrate 127.0.0.1 %d '{moving}1' 0 1000 >/dev/null", nodes[from].port,
                      nodes[to].port));
    sl_auto(sl_redis_reply) *one = NULL;
    CHECK_EQ(sl_redis_do(redis, &one, "GET", "{moving}1"), 0); /* ASK */
    CHECK_STRING(sl_redis_reply_value(one).text, "one");
    sl_auto(sl_redis_reply) *two = NULL;
    CHECK_EQ(sl_redis_do(redis, &two, "GET", "{moving}2"), 0); /* still there */
    CHECK_STRING(sl_redis_reply_value(two).text, "two");
    {
        /* One key here, one there: TRYAGAIN until the time is over. */
        const char *const both[] = {"MGET", "{moving}1", "{moving}2", NULL};
        CHECK_EQ(sl_redis_send(redis, &(struct sl_redis_request){.texts = both, .timeout = SL_MILLISECONDS(150)}, NULL),
                 SL_ETIMEDOUT);
    }
    CHECK(run_program("redis-cli -p %d migrate 127.0.0.1 %d '{moving}2' 0 1000 >/dev/null", nodes[from].port,
                      nodes[to].port));
    for (int i = 0; i < NODES; i++) {
        CHECK(run_program("redis-cli -p %d cluster setslot %u node %s >/dev/null", nodes[(to + i) % NODES].port, slot,
                          ids[to]));
    }
    struct sl_redis_stats before, after;
    sl_redis_stats_get(redis, &before);
    CHECK_EQ(sl_redis_do(redis, NULL, "MGET", "{moving}1", "{moving}2"), 0); /* MOVED */
    CHECK_EQ(sl_redis_do(redis, NULL, "MGET", "{moving}1", "{moving}2"), 0); /* remembered */
    sl_redis_stats_get(redis, &after);
    CHECK_EQ(after.redirects - before.redirects, 1);
    return sl_scope_wait(&scope);
}

/* The slots that the specification gives. */
static void slots(void **state)
{
    (void)state;
    assert_int_equal(sl__redis_slot_of(sl_redis_text("123456789")), 0x31c3);
    assert_int_equal(sl__redis_slot_of(sl_redis_text("foo")), 12182);
    assert_int_equal(sl__redis_slot_of(sl_redis_text("{foo}bar")), 12182);
    assert_int_equal(sl__redis_slot_of(sl_redis_text("x{foo}{bar}")), 12182);
    assert_int_equal(sl__redis_slot_of(sl_redis_text("{}foo")), sl__redis_slot_of(sl_redis_text("{}foo")));
    assert_int_not_equal(sl__redis_slot_of(sl_redis_text("{}foo")), sl__redis_slot_of(sl_redis_text("{}bar")));
    assert_int_not_equal(sl__redis_slot_of(sl_redis_text("{foo")), 12182);
    assert_int_equal(sl__redis_slot_of(sl_redis_text("")), 0);
}

/* ---- sentinel ---- */

static bool start_sentinel(void)
{
    static char port[16];
    static const char *const to_replica[] = {"--replicaof", "127.0.0.1", port, "--repl-diskless-sync-delay", "0", NULL};
    static const char *const to_master[] = {"--repl-diskless-sync-delay", "0", NULL};
    char path[128];
    stop_all();
    (void)atexit(stop_all);
    if (!redis_process_start(&master, to_master)) {
        return false;
    }
    (void)snprintf(port, sizeof port, "%d", master.port);
    if (!redis_process_start(&replica, to_replica)) {
        return false;
    }
    for (int tries = 0; !run_program("redis-cli -p %d info replication | grep -q master_link_status:up", replica.port);
         tries++) {
        if (tries == 1000) {
            return false;
        }
        pause_10ms();
    }
    (void)snprintf(sentinel.folder, sizeof sentinel.folder, "/tmp/sluice-redis-XXXXXX");
    if (mkdtemp(sentinel.folder) == NULL) {
        return false;
    }
    (void)snprintf(path, sizeof path, "%s/sentinel.conf", sentinel.folder);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return false;
    }
    (void)fprintf(file,
                  "sentinel monitor md 127.0.0.1 %d 1\nsentinel down-after-milliseconds md 500\n"
                  "sentinel failover-timeout md 3000\n",
                  master.port);
    (void)fclose(file);
    sentinel.sentinel = true;
    if (!redis_process_start(&sentinel, NULL)) {
        return false;
    }
    /* It has to know the replica before there can be a failover. */
    for (int tries = 0; !run_program("redis-cli -p %d sentinel replicas md | grep -q %d", sentinel.port, replica.port);
         tries++) {
        if (tries == 2000) {
            return false;
        }
        pause_10ms();
    }
    return true;
}

C_TEST_REAL_FEW(sentinel_failover, "the master dies: its replica is found, locks work on",
                "coordination 1.5, Redisson #4822")
{
    char url[128];
    CHECK(start_sentinel());
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    (void)snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:1,127.0.0.1:%d/md", sentinel.port);
    const struct sl_redis_options options = {.url = url, .timeout = SL_SECONDS(60)};
    CHECK_EQ(sl_redis_open(&scope, &options, &redis), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "SET", "before", "1"), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "WAIT", "1", "1000"), SL_EINVAL); /* blocks */
    {
        /* The lock is lost with the master, or found again at the new one: never both, and the next one works. */
        SL_SCOPE(inner);
        CHECK_EQ(sl_redis_lock(&inner, redis, "held", .ttl = SL_SECONDS(2), .loss_is_no_error = true), 0);
        redis_process_kill(&master);
        int code = sl_sleep(SL_SECONDS(8));
        CHECK_EQ(sl_scope_cause(&inner), code == 0 ? SL_CAUSE_NONE : SL_CAUSE_LOST);
        if (code == 0) {
            CHECK(run_program("redis-cli -p %d exists held | grep -q 1", replica.port));
        }
        (void)sl_scope_close(&inner, code);
    }
    {
        SL_SCOPE(inner);
        sl_lock *lock = NULL;
        CHECK_EQ(sl_redis_lock(&inner, redis, "held", .ttl = SL_SECONDS(2), .ret_lock = &lock), 0);
        CHECK_EQ(sl_sleep(SL_SECONDS(3)), 0); /* and is renewed: Redisson #3194, #4822 */
        {
            SL_SCOPE(other);
            CHECK_EQ(sl_redis_lock(&other, redis, "held", .try_only = true), SL_EBUSY);
        }
        CHECK_EQ(sl_scope_wait(&inner), 0);
    }
    const char *const set[] = {"SET", "after", "1", NULL};
    CHECK_EQ(sl_redis_send(redis, &(struct sl_redis_request){.texts = set, .idempotent = true}, NULL), 0);
    CHECK(run_program("redis-cli -p %d get after | grep -q 1", replica.port));
    return sl_scope_wait(&scope);
}

/* A sentinel that always names the same server. */
struct liar {
    sl_listener *listener;
    int port;
};

static int name_it(void *arg)
{
    struct liar *liar = arg;
    for (;;) {
        sl_auto(sl_stream) *client = NULL;
        struct sl_view view;
        char text[64], digits[8];
        SL_TRY(sl_listener_accept(liar->listener, &client));
        int length = snprintf(digits, sizeof digits, "%d", liar->port);
        int bytes = snprintf(text, sizeof text, "*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n", length, digits);
        int code = sl_stream_peek(client, 1, &view);
        code = code == 0 ? sl_stream_write(client, text, (size_t)bytes) : code;
        if (code == SL_ECANCELED) {
            return code;
        }
    }
}

C_TEST_REAL_FEW(
    sentinel_names_no_master,
    "a sentinel that names a server which is a replica, as after a failover it has not heard of: nothing is "
    "asked of that one, until it is a master",
    "")
{
    SL_SCOPE(scope);
    sl_redis *direct = NULL, *redis = NULL;
    struct liar liar = {.port = redis_server_port()};
    char url[64];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", liar.port);
    CHECK_EQ(sl_redis_open(&scope, &(struct sl_redis_options){.url = url}, &direct), 0);
    CHECK_EQ(sl_redis_do(direct, NULL, "REPLICAOF", "127.0.0.1", "1"), 0);
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &liar.listener), 0);
    CHECK_EQ(sl_spawn(&scope, name_it, &liar, .daemon = true), 0);
    (void)snprintf(url, sizeof url, "redis+sentinel://127.0.0.1:%d/md", sl_listener_port(liar.listener));
    const struct sl_redis_options options = {.url = url,
                                             .timeout = SL_MILLISECONDS(500),
                                             .backoff = {.initial = SL_MILLISECONDS(5), .max = SL_MILLISECONDS(20)}};
    CHECK_EQ(sl_redis_open(&scope, &options, &redis), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "GET", "k"), SL_ENOTREADY);
    CHECK(strstr(sl_error_message(sl_error_last()), "master") != NULL);
    CHECK_EQ(sl_redis_do(direct, NULL, "REPLICAOF", "NO", "ONE"), 0);
    while (sl_redis_do(redis, NULL, "SET", "k", "v") != 0) { /* the case's time bounds it */
        CHECK_EQ(sl_checkpoint(), 0);
    }
    CHECK_EQ(sl_scope_wait(&scope), 0);
    sl_listener_close(liar.listener);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(slots), cmocka_unit_test(cluster), cmocka_unit_test(cluster_moves),
             cmocka_unit_test(sentinel_failover), cmocka_unit_test(sentinel_names_no_master))
