/* SPDX-License-Identifier: MIT */
/*
 * Commands and locks a second against a redis-server that is running: bench_redis PORT FIGURE SECONDS prints one
 * line "figure rate processor commands-a-write commands-a-read", the second in nanoseconds of this process for each. Figures:
 * commands-1, commands-256 (GET bench:key from so many tasks over one connection), lock-1, lock-16 (lock and unlock), and
 * bare-256: a loop without tasks, client or framework that keeps so many of the same GETs under way over one blocking
 * socket and looks at nothing but where each reply ends: what a client could reach that does no work for a caller.
 * With SL_BENCH_SPIN_US the loop looks for input for so long before it sleeps (runtime.spin of a configuration).
 * The figure hand-over prints instead, in microseconds, how long after one gave a lock back another, who waited for it over
 * its own connection, had it: the median, 90 %, 99 %, the worst.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sluice/lock.h"
#include "sluice/runtime.h"

struct bench {
    char url[64];
    const char *figure;
    int port;
    sl_time end;
    sl_redis *redis;
    long long done;
    int next;
    bool over;
};

static double processor_ns(void)
{
    struct rusage usage;
    (void)getrusage(RUSAGE_SELF, &usage);
    return ((double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec) * 1e9 +
           ((double)usage.ru_utime.tv_usec + (double)usage.ru_stime.tv_usec) * 1e3;
}

static void print_figure(const struct bench *bench, double seconds, double used_ns, double writes, double reads)
{
    double done = (double)bench->done;
    (void)printf("%s\t%.0f\t%.0f\t%.1f\t%.1f\n", bench->figure, done / seconds, used_ns / done,
                 done / (writes < 1 ? 1 : writes), done / (reads < 1 ? 1 : reads));
}

/* Ends the others; they look at a flag, as redis-benchmark does at a count. */
static int end_in_time(void *arg)
{
    struct bench *bench = arg;
    int code = sl_sleep_until(bench->end);
    bench->over = true;
    return code;
}

static int free_it(void *arg)
{
    sl_free(arg);
    return 0;
}

static int send_commands(void *arg)
{
    struct bench *bench = arg;
    while (!bench->over) {
        sl_auto(sl_redis_reply) *reply = NULL;
        SL_TRY(sl_redis_do(bench->redis, &reply, "GET", "bench:key"));
        bench->done++;
    }
    return 0;
}

static int lock_and_unlock(void *arg)
{
    struct bench *bench = arg;
    char key[32];
    (void)snprintf(key, sizeof key, "bench:lock:%d", bench->next++);
    while (!bench->over) {
        SL_SCOPE(scope);
        SL_TRY(sl_redis_lock(&scope, bench->redis, key, .ttl = SL_SECONDS(10)));
        SL_TRY(sl_scope_wait(&scope));
        bench->done++;
    }
    return 0;
}

/* ---- from one to the other ---- */

#define HAND_OVERS_MAX 65536

struct hand_over {
    struct bench *bench;
    sl_redis *redis[2];
    sl_time given, times[HAND_OVERS_MAX];
    size_t count;
};

struct side {
    struct hand_over *hand_over;
    int which;
};

/* Holds it until the other one is sure to listen, and gives it back. */
static int take_turns(void *arg)
{
    struct side *side = arg;
    struct hand_over *both = side->hand_over;
    while (sl_now() < both->bench->end && both->count < HAND_OVERS_MAX) {
        SL_SCOPE(scope);
        sl_lock *lock = NULL;
        SL_TRY(sl_redis_lock(&scope, both->redis[side->which], "bench:hand-over", .ttl = SL_SECONDS(10),
                             .ret_lock = &lock));
        if (both->given != 0) {
            both->times[both->count++] = sl_now() - both->given;
        }
        SL_TRY(sl_sleep(SL_MILLISECONDS(2)));
        both->given = sl_now();
        SL_TRY(sl_lock_release(lock));
        SL_TRY(sl_scope_wait(&scope));
    }
    return 0;
}

static int by_size(const void *one, const void *other)
{
    sl_time a = *(const sl_time *)one, b = *(const sl_time *)other;
    return (a > b) - (a < b);
}

static int measure_hand_over(struct bench *bench)
{
    SL_SCOPE(scope);
    struct hand_over *both = sl_calloc(1, sizeof *both);
    SL_TRY(both == NULL ? SL_ENOMEM : sl_defer(&scope, free_it, both, SL_SECONDS(1)));
    both->bench = bench;
    bench->end = sl_time_add(sl_now(), bench->end);
    struct side sides[2] = {{both, 0}, {both, 1}};
    for (int i = 0; i < 2; i++) {
        SL_TRY(sl_redis_open(&scope, &(struct sl_redis_options){.url = bench->url}, &both->redis[i]));
        SL_TRY(sl_redis_do(both->redis[i], NULL, "PING"));
    }
    {
        SL_SCOPE(workers);
        SL_TRY(sl_spawn(&workers, take_turns, &sides[0]));
        SL_TRY(sl_spawn(&workers, take_turns, &sides[1]));
        SL_TRY(sl_scope_wait(&workers));
    }
    qsort(both->times, both->count, sizeof both->times[0], by_size);
    size_t last = both->count - 1;
    (void)printf("hand-over\t%lld\t%lld\t%lld\t%lld\t%zu\n", (long long)(both->times[last / 2] / 1000),
                 (long long)(both->times[last * 9 / 10] / 1000), (long long)(both->times[last * 99 / 100] / 1000),
                 (long long)(both->times[last] / 1000), both->count);
    return sl_scope_wait(&scope);
}

static int run(void *arg)
{
    struct bench *bench = arg;
    if (strcmp(bench->figure, "hand-over") == 0) {
        return measure_hand_over(bench);
    }
    const char *dash = strrchr(bench->figure, '-');
    long tasks = dash == NULL ? 1 : strtoll(dash + 1, NULL, 10);
    SL_SCOPE(scope);
    SL_TRY(sl_redis_open(&scope, &(struct sl_redis_options){.url = bench->url}, &bench->redis));
    SL_TRY(sl_redis_do(bench->redis, NULL, "SET", "bench:key", "xxx"));
    struct sl_redis_stats before, after;
    sl_redis_stats_get(bench->redis, &before);
    double used_ns = processor_ns();
    sl_time begin = sl_now();
    bench->end = sl_time_add(begin, bench->end);
    {
        SL_SCOPE(workers);
        SL_TRY(sl_spawn(&workers, end_in_time, bench));
        for (long i = 0; i < tasks; i++) {
            SL_TRY(sl_spawn(&workers, strncmp(bench->figure, "lock", 4) == 0 ? lock_and_unlock : send_commands, bench));
        }
        SL_TRY(sl_scope_wait(&workers));
    }
    double seconds = (double)(sl_now() - begin) / 1e9;
    used_ns = processor_ns() - used_ns;
    sl_redis_stats_get(bench->redis, &after);
    print_figure(bench, seconds, used_ns, (double)(after.writes - before.writes), (double)(after.reads - before.reads));
    return sl_scope_wait(&scope);
}

/* ---- without any of it ---- */

#define BARE_COMMAND "*2\r\n$3\r\nGET\r\n$9\r\nbench:key\r\n"
#define BARE_REPLY "$3\r\nxxx\r\n"

static int bare_connect(int port)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in where = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return connect(descriptor, (struct sockaddr *)&where, sizeof where) == 0 ? descriptor : -1;
}

/* `count` commands in one call of the system. */
static bool bare_send(int descriptor, size_t count)
{
    static char out[256 * (sizeof BARE_COMMAND - 1)];
    char *at = out;
    for (size_t i = 0; i < count; i++) {
        at = mempcpy(at, BARE_COMMAND, sizeof BARE_COMMAND - 1);
    }
    return send(descriptor, out, (size_t)(at - out), MSG_NOSIGNAL) == at - out;
}

/* As soon as replies are there, as many commands go out again. */
static int run_bare(struct bench *bench, size_t under_way)
{
    static char in[64 * 1024];
    int descriptor = bare_connect(bench->port);
    double used_ns = processor_ns(), calls = 0;
    sl_time begin = sl_now(), now = begin;
    bool well = descriptor >= 0 && under_way <= 256 && bare_send(descriptor, under_way);
    size_t kept = 0;
    while (well && now < sl_time_add(begin, bench->end)) {
        ssize_t bytes = recv(descriptor, in + kept, sizeof in - kept, 0);
        if (bytes <= 0) {
            break;
        }
        size_t have = kept + (size_t)bytes, replies = have / (sizeof BARE_REPLY - 1);
        for (size_t i = 0; i < replies && well; i++) {
            well = memcmp(in + i * (sizeof BARE_REPLY - 1), BARE_REPLY, sizeof BARE_REPLY - 1) == 0;
        }
        kept = have - replies * (sizeof BARE_REPLY - 1);
        memmove(in, in + have - kept, kept);
        well = well && bare_send(descriptor, replies);
        bench->done += (long long)replies;
        calls++;
        now = sl_now();
    }
    (void)close(descriptor);
    if (!well || bench->done == 0) {
        (void)fprintf(stderr, "bench_redis: the bare loop got something else than replies\n");
        return 1;
    }
    print_figure(bench, (double)(now - begin) / 1e9, processor_ns() - used_ns, calls, calls);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench bench = {.next = 0};
    if (argc != 4) {
        (void)fprintf(stderr, "usage: bench_redis PORT FIGURE SECONDS\n");
        return 2;
    }
    (void)snprintf(bench.url, sizeof bench.url, "redis://127.0.0.1:%s", argv[1]);
    bench.port = (int)strtoll(argv[1], NULL, 10);
    bench.figure = argv[2];
    bench.end = (sl_time)(strtod(argv[3], NULL) * 1e9);
    if (strncmp(bench.figure, "bare-", 5) == 0) {
        return run_bare(&bench, (size_t)strtoll(bench.figure + 5, NULL, 10));
    }
    const char *spin_us = getenv("SL_BENCH_SPIN_US");
    struct sl_run_options options = {.signals = true,
                                     .spin = spin_us == NULL ? 0 : SL_MICROSECONDS((sl_time)strtod(spin_us, NULL))};
    return sl_main_with(&options, run, &bench);
}
