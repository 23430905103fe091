/* SPDX-License-Identifier: MIT */
/*
 * Many slow clients and one that is not:   slow_clients COUNT SECONDS LIMIT_MS
 *
 * COUNT clients send a request's head, a byte a second; SECONDS is the server's time for a head; LIMIT_MS is what a
 * further client may wait for its answer, connecting included. Three processes, so that none stands in another's way and
 * each stays within the limit of descriptors: the server, the slow clients, the quick one. Prints what was seen; exits
 * with 1 when the quick client waited longer (its 99th of 100), when a slow one was not closed in time, or when the
 * server took more than MEMORY_BYTES_MAX a connection.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sluice/fetch.h"
#include "sluice/runtime.h"
#include "sluice/sluice.h"

#define CLIENTS_MAX 15000
#if defined __SANITIZE_ADDRESS__
#define MEMORY_BYTES_MAX ((int64_t)400 * 1024) /* the sanitizer's own is most of it */
#elif defined __SANITIZE_THREAD__
#define MEMORY_BYTES_MAX ((int64_t)2048 * 1024)
#else
#define MEMORY_BYTES_MAX ((int64_t)20 * 1024)
#endif
#define TRIES_MAX 4000
#define SPARE_DESCRIPTORS 200

struct plan {
    int count, seconds, limit_ms;
    int port_pipe[2]; /* the server says where it listens: to both others */
    int full_pipe[2]; /* ... and that all slow clients are there: to the quick one */
    int port;
};

/* ---- the server ---- */

struct service {
    const struct plan *plan;
    sl_listener *listener;
    struct sl_http_counts counts;
    int64_t base_bytes, full_bytes;
};

static int64_t resident_bytes(void)
{
    int64_t pages = 0;
    char text[128] = "";
    FILE *file = fopen("/proc/self/statm", "r"); /* "virtual resident ..." in pages */
    if (file != NULL) {
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        (void)fclose(file);
    }
    for (const char *at = text + strcspn(text, " "); *at != '\0' && (pages == 0 || *at != ' '); at++) {
        pages = *at >= '0' && *at <= '9' ? pages * 10 + (*at - '0') : pages;
    }
    return pages * sysconf(_SC_PAGESIZE);
}

static int hello(void *arg, sl_http_exchange *exchange)
{
    (void)arg;
    return sl_http_respond(exchange, 200, "text/plain", "hello", 5);
}

static int serve(void *arg)
{
    struct service *service = arg;
    return sl_http_serve_with(service->listener,
                              &(struct sl_http_server_options){.handler = hello,
                                                               .connections_max = CLIENTS_MAX + SPARE_DESCRIPTORS,
                                                               .head_timeout = SL_SECONDS(service->plan->seconds),
                                                               .counts = &service->counts});
}

static bool say(int descriptor, int number)
{
    return write(descriptor, &number, sizeof number) == sizeof number;
}

static int hear(int descriptor)
{
    int number = 0;
    return read(descriptor, &number, sizeof number) == sizeof number ? number : -1;
}

static int run_server(void *arg)
{
    struct service *service = arg;
    const struct plan *plan = service->plan;
    const struct sl_listen_options where = {.address = "127.0.0.1", .backlog = 4096};
    SL_TRY(sl_listener_open_with(&where, &service->listener));
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, serve, service, .daemon = true));
    service->base_bytes = resident_bytes();
    for (int reader = 0; reader < 2; reader++) {
        if (!say(plan->port_pipe[1], sl_listener_port(service->listener))) {
            return SL_EPIPE;
        }
    }
    while (service->counts.open < (uint64_t)plan->count) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(10)));
    }
    if (!say(plan->full_pipe[1], 1)) {
        return SL_EPIPE;
    }
    while (service->counts.timeouts < (uint64_t)plan->count) {
        int64_t bytes = resident_bytes();
        service->full_bytes = bytes > service->full_bytes ? bytes : service->full_bytes;
        SL_TRY(sl_sleep(SL_MILLISECONDS(100)));
    }
    SL_TRY(sl_sleep(SL_SECONDS(1))); /* the quick client ends first */
    int code = sl_scope_close(&scope, 0);
    sl_listener_close(service->listener);
    return code;
}

/* ---- slow clients ---- */

struct crowd {
    const struct plan *plan;
    int connected, closed_in_time, refused_408;
    sl_time longest;
};

static int trickle(void *arg)
{
    struct crowd *crowd = arg;
    static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\nX: ";
    sl_auto(sl_stream) *stream = NULL;
    struct sl_view view;
    SL_TRY(sl_connect("127.0.0.1", crowd->plan->port, &stream));
    sl_time start = sl_now();
    crowd->connected++;
    for (size_t i = 0;; i++) {
        sl_scope second = SL_SCOPE_INIT;
        const char *byte = i < sizeof text - 1 ? &text[i] : "x";
        if (sl_stream_write(stream, byte, 1) < 0) {
            break;
        }
        SL_TRY(sl_scope_open(&second, &(struct sl_scope_options){.timeout = SL_SECONDS(1)}));
        int code = sl_stream_peek(stream, 12, &view);
        int closed = sl_scope_close(&second, code == SL_ECANCELED ? code : 0);
        if (code == 0) {
            crowd->refused_408 += memcmp(view.data, "HTTP/1.1 408", 12) == 0;
            break;
        }
        if (code != SL_ECANCELED || closed != SL_ETIMEDOUT) {
            break;
        }
    }
    sl_time took = sl_now() - start;
    crowd->longest = took > crowd->longest ? took : crowd->longest;
    crowd->closed_in_time += took < SL_SECONDS(crowd->plan->seconds + 5);
    return 0;
}

static int run_crowd(void *arg)
{
    struct crowd *crowd = arg;
    SL_SCOPE(scope);
    for (int i = 0; i < crowd->plan->count; i++) {
        SL_TRY(sl_spawn(&scope, trickle, crowd, .name = "slow"));
        if (i % 100 == 99) {
            SL_TRY(sl_sleep(SL_MILLISECONDS(5)));
        }
    }
    return sl_scope_wait(&scope);
}

static int slow_clients(struct plan *plan)
{
    struct crowd crowd = {.plan = plan};
    plan->port = hear(plan->port_pipe[0]);
    int code = sl_run(NULL, run_crowd, &crowd, NULL);
    (void)printf("slow clients    %d connected, %d told 408, %d closed in time, the last after %.1f s\n",
                 crowd.connected, crowd.refused_408, crowd.closed_in_time, (double)crowd.longest / 1e9);
    return code == 0 && crowd.closed_in_time == plan->count ? 0 : 1;
}

/* ---- the quick one ---- */

struct quick {
    const struct plan *plan;
    double ms[TRIES_MAX];
    int tries;
};

static int fetch_once(const struct quick *quick)
{
    sl_auto(sl_http_client) *client = NULL;
    sl_auto(sl_response) *response = NULL;
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%d/", quick->plan->port);
    SL_TRY(sl_http_client_open(NULL, &client));
    SL_TRY(sl_fetch(client, &(sl_request){.url = url}, &response));
    return sl_response_status(response) == 200 ? 0 : SL_EPROTO;
}

static int run_quick(void *arg)
{
    struct quick *quick = arg;
    sl_time until = sl_now() + SL_SECONDS(quick->plan->seconds) * 6 / 10; /* all slow ones are there so long */
    while (sl_now() < until && quick->tries < TRIES_MAX) {
        sl_time start = sl_now();
        SL_TRY(fetch_once(quick));
        quick->ms[quick->tries++] = (double)(sl_now() - start) / 1e6;
        SL_TRY(sl_sleep(SL_MILLISECONDS(10)));
    }
    return 0;
}

static int ascending(const void *one, const void *other)
{
    double a = *(const double *)one;
    double b = *(const double *)other;
    return (a > b) - (a < b);
}

static int quick_client(struct plan *plan)
{
    static struct quick quick;
    quick.plan = plan;
    plan->port = hear(plan->port_pipe[0]);
    if (hear(plan->full_pipe[0]) != 1) {
        return 1;
    }
    int code = sl_run(NULL, run_quick, &quick, NULL);
    if (code < 0 || quick.tries == 0) {
        (void)printf("quick client    failed: %s\n", sl_error_name(code));
        return 1;
    }
    qsort(quick.ms, (size_t)quick.tries, sizeof quick.ms[0], ascending);
    double high = quick.ms[(quick.tries - 1) * 99 / 100];
    (void)printf("quick client    %d answers; half within %.2f ms, 99 of 100 within %.2f ms, all within %.2f ms\n",
                 quick.tries, quick.ms[quick.tries / 2], high, quick.ms[quick.tries - 1]);
    return high < plan->limit_ms ? 0 : 1;
}

/* ---- the whole ---- */

static pid_t start(struct plan *plan, int (*body)(struct plan *plan))
{
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)close(plan->port_pipe[1]);
        (void)close(plan->full_pipe[1]);
        int status = body(plan);
        (void)fflush(stdout);
        _exit(status);
    }
    return pid;
}

static int end_of(pid_t pid)
{
    int status = 1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int number_of(const char *text, int max)
{
    int number = 0;
    for (; *text >= '0' && *text <= '9' && number <= max; text++) {
        number = number * 10 + (*text - '0');
    }
    return *text == '\0' && number <= max ? number : 0;
}

static bool make_room(int count)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)count + SPARE_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < wanted) {
        (void)fprintf(stderr, "%d clients need a hard limit of %llu descriptors (ulimit -Hn)\n", count,
                      (unsigned long long)wanted);
        return false;
    }
    limit.rlim_cur = limit.rlim_cur > wanted ? limit.rlim_cur : wanted;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

int main(int argc, char **argv)
{
    struct plan plan = {.count = argc == 4 ? number_of(argv[1], CLIENTS_MAX) : 0};
    if (plan.count == 0 || (plan.seconds = number_of(argv[2], 3600)) == 0 ||
        (plan.limit_ms = number_of(argv[3], 10000)) == 0) {
        (void)fprintf(stderr, "usage: slow_clients COUNT SECONDS LIMIT_MS (at most %d clients)\n", CLIENTS_MAX);
        return 2;
    }
    if (!make_room(plan.count) || pipe(plan.port_pipe) != 0 || pipe(plan.full_pipe) != 0) {
        return 1;
    }
    pid_t slow = start(&plan, slow_clients);
    pid_t quick = start(&plan, quick_client);
    struct service service = {.plan = &plan};
    int code = sl_run(NULL, run_server, &service, NULL);
    if (code < 0) {
        (void)kill(slow, SIGKILL);
        (void)kill(quick, SIGKILL);
    }
    int failed = end_of(slow) | end_of(quick) | (code < 0);
    int64_t each = (service.full_bytes - service.base_bytes) / plan.count;
    (void)printf("server          %llu timed out, %llu refused; %.1f MiB, %.1f KiB a connection; ended with %s\n",
                 (unsigned long long)service.counts.timeouts, (unsigned long long)service.counts.refused,
                 (double)service.full_bytes / 1048576, (double)each / 1024, sl_error_name(code));
    return failed || each > MEMORY_BYTES_MAX ? 1 : 0;
}
