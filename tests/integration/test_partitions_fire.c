/* SPDX-License-Identifier: MIT */
/*
 * Partitions under fire: three processes share 64 partitions through a Redis of their own, and write with their tokens
 * into a sink that checks them, in memory that all share. Each round does something bad: kill -9, SIGSTOP beyond the TTL and
 * SIGCONT, SIGTERM, Redis killed and started with and without its data, CLIENT PAUSE shorter and longer than the TTL, all
 * connections cut, Redis' clock set forward and back by a minute. The sink sees to it that no
 * two owners are ever accepted under one token, none under an older one, and how long nobody wrote; Redis is looked through for locks
 * that a replica left behind which has ended.
 *
 * SL_PARTITION_ROUNDS sets how many rounds (12); SL_PARTITION_SEED the seed; SL_FIRE_LOG a file for what replicas say.
 */
#include "sl_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "redis_server.h"
#include "sluice/partition.h"
#include "sluice/runtime.h"

#define COUNT 64
#define REPLICAS 3
#define TTL_MS 2000
#define WRITE_EVERY_MS 20
#define ID_BITS 12
#define ROUNDS_MAX 4000
#define SETTLE_MS 30000
#define STOPPED ((128 + SIGTERM) << 8) /* sl_main()'s exit code after a signal, as waitpid() has it */

/* The sink. Of each partition the newest token with who brought it, and when it was last written to. */
struct sink {
    _Atomic uint64_t newest[COUNT];
    _Atomic int64_t written[COUNT];
    _Atomic int64_t gap; /* the longest of the round */
    _Atomic uint64_t accepted, refused, doubled;
};

static struct sink *sink;
static struct redis_process redis;
static pid_t pids[REPLICAS];
static uint32_t ids[REPLICAS], lives;
static uint64_t randomness;

static int64_t now_ms(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void pause_ms(int64_t ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

static uint32_t draw(uint32_t below)
{
    randomness = randomness * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(randomness >> 33) % below;
}

/* False: a newer token was seen. */
static bool sink_write(uint32_t partition, uint64_t fence, uint32_t id)
{
    uint64_t mine = fence << ID_BITS | id;
    uint64_t seen = atomic_load(&sink->newest[partition]);
    while (seen >> ID_BITS < fence && !atomic_compare_exchange_weak(&sink->newest[partition], &seen, mine)) {
    }
    if (seen >> ID_BITS > fence) {
        atomic_fetch_add(&sink->refused, 1);
        return false;
    }
    if (seen >> ID_BITS == fence && seen != mine) {
        atomic_fetch_add(&sink->doubled, 1);
    }
    int64_t now = now_ms();
    int64_t gap = now - atomic_exchange(&sink->written[partition], now);
    int64_t worst = atomic_load(&sink->gap);
    while (gap > worst && !atomic_compare_exchange_weak(&sink->gap, &worst, gap)) {
    }
    atomic_fetch_add(&sink->accepted, 1);
    return true;
}

/* ---- a replica ---- */

static int serve(void *arg, const struct sl_partition *partition)
{
    while (!sl_stop_requested()) {
        if (!sink_write(partition->index, (uint64_t)partition->fence, *(const uint32_t *)arg)) {
            return sl_fail(SL_ELOCKLOST, "the sink has seen a newer token");
        }
        SL_TRY(sl_sleep(SL_MILLISECONDS(WRITE_EVERY_MS)));
    }
    return 0;
}

static int replica_main(void *arg)
{
    char url[64], name[32];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", redis.port);
    (void)snprintf(name, sizeof name, "life-%u", *(const uint32_t *)arg);
    SL_SCOPE(scope);
    sl_redis *client = NULL;
    const struct sl_redis_options options = {.url = url,
                                             .timeout = SL_MILLISECONDS(1000),
                                             .backoff = {.initial = SL_MILLISECONDS(10), .max = SL_MILLISECONDS(50)}};
    SL_TRY(sl_redis_open(&scope, &options, &client));
    int code = sl_partitions_run(&(struct sl_partitions_options){.backend = SL_PARTITIONS_REDIS,
                                                                 .redis = client,
                                                                 .group = "fire",
                                                                 .replica = name,
                                                                 .count = COUNT,
                                                                 .ttl = SL_MILLISECONDS(TTL_MS),
                                                                 .on_owned = serve,
                                                                 .arg = arg});
    return sl_scope_close(&scope, code);
}

static void start(int which)
{
    uint32_t id = ++lives % ((1U << ID_BITS) - 1) + 1;
    ids[which] = id;
    pids[which] = fork();
    if (pids[which] == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        const char *log = getenv("SL_FIRE_LOG");
        int null = open(log != NULL ? log : "/dev/null", O_WRONLY | O_APPEND);
        (void)dup2(null, STDERR_FILENO);
        _exit(sl_main(replica_main, &id));
    }
    assert_true(pids[which] > 0);
}

static int end_of(int which)
{
    int status = 0;
    assert_int_equal(waitpid(pids[which], &status, 0), pids[which]);
    return status;
}

/* ---- faults ---- */

static void tell_redis(const char *words)
{
    char command[128];
    (void)snprintf(command, sizeof command, "redis-cli -p %d %s >/dev/null", redis.port, words);
    assert_int_equal(system(command), 0);
}

static void fault_kill(int which)
{
    (void)kill(pids[which], SIGKILL);
    (void)end_of(which);
    if (draw(2) == 0) {
        pause_ms(draw(TTL_MS * 2));
    }
    start(which);
}

static void fault_freeze(int which)
{
    (void)kill(pids[which], SIGSTOP);
    pause_ms(TTL_MS * 3 / 2 + draw(TTL_MS));
    (void)kill(pids[which], SIGCONT);
}

static long rounds_done;
static const char *last_kind = "nothing";
static int64_t handed_over[ROUNDS_MAX];
static size_t handed_over_count;

static bool owns_any(uint32_t id)
{
    for (int i = 0; i < COUNT; i++) {
        if ((atomic_load(&sink->newest[i]) & ((1U << ID_BITS) - 1)) == id) {
            return true;
        }
    }
    return false;
}

/* How many locks there are, or how many a replica holds by what it has said of itself. */
static int64_t locks_of(const char *name)
{
    static const char script[] =
        "local n = 0 for i = 0, 63 do local key = 'sluice:{fire}:p:' .. i if redis.call('EXISTS', key) == 1 then "
        "local said = redis.call('HGET', 'sluice:{fire}:owners', i) local fence = redis.call('GET', key .. ':fence') "
        "if ARGV[1] == '' or (said and fence and said == fence .. ' ' .. ARGV[1]) then n = n + 1 end end end return n";
    char command[1024], line[64] = "";
    (void)snprintf(command, sizeof command, "redis-cli -p %d EVAL \"%s\" 0 '%s'", redis.port, script, name);
    FILE *answer = popen(command, "r");
    assert_non_null(answer);
    assert_non_null(fgets(line, sizeof line, answer));
    assert_int_equal(pclose(answer), 0);
    return strtoll(line, NULL, 10);
}

static void fault_stop(int which)
{
    pause_ms(TTL_MS * 3 / 4); /* a Redis without its data has all wait for half a TTL */
    int64_t before = now_ms();
    (void)kill(pids[which], SIGTERM);
    int64_t stalled = 0; /* for so long a busy machine did not let us run either */
    while (owns_any(ids[which]) && now_ms() - before < SETTLE_MS) {
        int64_t asleep = now_ms();
        pause_ms(1);
        asleep = now_ms() - asleep;
        stalled += asleep > 5 ? asleep : 0;
    }
    int64_t took = now_ms() - before;
    handed_over[handed_over_count++] = took - stalled;
    if (took > 100) {
        (void)fprintf(stderr, "round %ld: handed over in %lld ms, %lld of which the machine stood still, after %s\n",
                      rounds_done, (long long)took, (long long)stalled, last_kind);
    }
    char name[32];
    (void)snprintf(name, sizeof name, "life-%u", ids[which]);
    assert_int_equal(end_of(which), STOPPED);
    assert_int_equal(locks_of(name), 0);
    start(which);
}

/* For so long Redis gave no answers in this round beyond what was meant: SAVE waits for the disk, which others use, too. */
static int64_t redis_late;

static void fault_redis(bool keep_data)
{
    char path[128];
    int64_t before = now_ms(), pause = draw(300);
    (void)snprintf(path, sizeof path, "%s/dump.rdb", redis.folder);
    if (keep_data) {
        tell_redis("SAVE");
    } else {
        (void)unlink(path);
    }
    redis_process_kill(&redis);
    pause_ms(pause);
    assert_true(redis_process_restart(&redis));
    redis_late = now_ms() - before - pause;
}

/* It ends by Redis' clock, so that setting that back must not come too early. */
static void fault_pause(int64_t ms)
{
    char words[32];
    (void)snprintf(words, sizeof words, "CLIENT PAUSE %lld", (long long)ms);
    int64_t before = now_ms();
    tell_redis(words);
    pause_ms(ms);
    tell_redis("PING");
    redis_late = now_ms() - before - ms;
}

/* All connections, whatever is on its way over them; a few times, so that some are cut in between. */
static void fault_cut(void)
{
    for (uint32_t i = 0; i < 5; i++) {
        tell_redis("CLIENT KILL TYPE normal");
        tell_redis("CLIENT KILL TYPE pubsub");
        pause_ms(draw(60));
    }
}

/* What is set back makes leases longer until they are renewed. */
static void fault_clock(int64_t seconds)
{
    *redis.shift += seconds;
    pause_ms(TTL_MS);
}

/* Until every partition was written to after this moment. */
static void settle(const char *after)
{
    int64_t since = now_ms();
    for (int i = 0; i < COUNT; i++) {
        while (atomic_load(&sink->written[i]) <= since) {
            if (now_ms() - since > SETTLE_MS) {
                fail_msg("after %s nobody writes to partition %d", after, i);
            }
            pause_ms(2);
        }
    }
}

static int by_size(const void *one, const void *other)
{
    int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
    return (a > b) - (a < b);
}

static const char *const kinds[] = {
    "kill -9",     "SIGSTOP",          "SIGTERM", "Redis with data", "Redis without data",
    "short PAUSE", "PAUSE beyond TTL", "cut",     "clock forward",   "clock back"};
#define KINDS (sizeof kinds / sizeof kinds[0])

static void round_of(uint32_t kind, int64_t worst[])
{
    int which = (int)draw(REPLICAS);
    atomic_store(&sink->gap, 0);
    redis_late = 0;
    switch (kind) {
    case 0:
        fault_kill(which);
        break;
    case 1:
        fault_freeze(which);
        break;
    case 2:
        fault_stop(which);
        break;
    case 3:
        fault_redis(true);
        break;
    case 4:
        fault_redis(false);
        break;
    case 5:
        fault_pause(700);
        break;
    case 6:
        fault_pause(2400);
        break;
    case 7:
        fault_cut();
        break;
    case 8:
        fault_clock(60);
        break;
    default:
        fault_clock(-60);
    }
    settle(kinds[kind]);
    int64_t gap = atomic_load(&sink->gap);
    worst[kind] = gap > worst[kind] ? gap : worst[kind];
    last_kind = kinds[kind];
    rounds_done++;
    pause_ms(draw(500));
    if (gap > TTL_MS + 1000 + WRITE_EVERY_MS + redis_late) {
        fail_msg("round with %s: a partition was unowned for %lld ms; Redis was away %lld ms longer than meant",
                 kinds[kind], (long long)gap, (long long)redis_late);
    }
}

static void partitions_under_fire(void **state)
{
    (void)state;
    long rounds = (long)sl_test_number("SL_PARTITION_ROUNDS", 12);
    randomness = sl_test_number("SL_PARTITION_SEED", (uint64_t)now_ms());
    (void)fprintf(stderr, "seed %llu\n", (unsigned long long)randomness);
    assert_in_range(rounds, 1, ROUNDS_MAX);
    sink = mmap(NULL, sizeof *sink, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(sink != MAP_FAILED);
    redis.own_clock = true;
    assert_true(redis_process_start(&redis, NULL));
    for (int i = 0; i < REPLICAS; i++) {
        start(i);
    }
    settle("the start");
    pause_ms(TTL_MS);
    int64_t worst[KINDS] = {0};
    for (long i = 0; i < rounds; i++) {
        round_of(i < (long)KINDS ? (uint32_t)i : draw(KINDS), worst);
        assert_int_equal(atomic_load(&sink->doubled), 0);
    }
    for (int i = 0; i < REPLICAS; i++) {
        (void)kill(pids[i], SIGTERM);
        assert_int_equal(end_of(i), STOPPED);
    }
    assert_int_equal(locks_of(""), 0);
    redis_process_stop(&redis);
    qsort(handed_over, handed_over_count, sizeof handed_over[0], by_size);
    (void)fprintf(stderr, "%ld rounds, %llu writes, %llu refused by their token, %llu accepted from two owners\n",
                  rounds, (unsigned long long)sink->accepted, (unsigned long long)sink->refused,
                  (unsigned long long)sink->doubled);
    for (size_t i = 0; i < KINDS; i++) {
        (void)fprintf(stderr, "%s: nobody wrote for up to %lld ms\n", kinds[i], (long long)worst[i]);
    }
    (void)fprintf(stderr,
                  "handed over after SIGTERM: %zu times, median %lld ms, 90 %% %lld ms, 99 %% %lld ms, worst %lld ms\n",
                  handed_over_count, (long long)handed_over[handed_over_count / 2],
                  (long long)handed_over[handed_over_count * 9 / 10],
                  (long long)handed_over[handed_over_count * 99 / 100], (long long)handed_over[handed_over_count - 1]);
    assert_true(handed_over[handed_over_count - 1] <= 100);
    (void)munmap(sink, sizeof *sink);
}

SL_TEST_MAIN(cmocka_unit_test(partitions_under_fire))
