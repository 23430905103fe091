/* SPDX-License-Identifier: MIT */
/*
 * How `sluice run` ends: /readyz says so at once, sinks deliver within their limit, a second signal hurries, and the exit
 * status tells what it was. One sink never answers, so that the end takes its time.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "own_server.h"
#include "sl_test.h"

#define SLUICE SL_TEST_BUILD_DIR "/sluice"
#define LINE_BYTES 1024
#define TEXT_BYTES 65536
#define TRIES 5 /* of what a busy machine may delay */

struct world {
    struct own_server exchange, program;
    char config[SCRATCH_PATH_MAX + 32], text[TEXT_BYTES];
    int hole, hole_port; /* connections are taken, nothing is ever answered */
};

static double seconds(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void pause_ms(long ms)
{
    (void)nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void open_hole(struct world *world)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    world->hole = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(world->hole, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(world->hole, 64), 0);
    assert_int_equal(getsockname(world->hole, (struct sockaddr *)&address, &size), 0);
    world->hole_port = ntohs(address.sin_port);
}

static void write_config(struct world *world, const char *stop_within, const char *more)
{
    FILE *file = fopen(world->config, "we");
    assert_non_null(file);
    (void)fprintf(file,
                  "services:\n"
                  "  okx: { kind: stream, venue: okx, instruments: [\"*\"], sinks: [file, hole] }\n"
                  "sinks:\n"
                  "  file: { kind: file, path: \"%s/out\" }\n"
                  "  hole: { kind: redis, url: \"redis://127.0.0.1:%d\", when_full: drop_oldest, stop_within: %s }\n"
                  "venues:\n"
                  "  okx: { stream: \"ws://127.0.0.1:%d/okx\", rest: \"http://127.0.0.1:%d/okx\" }\n"
                  "admin: { listen: \"127.0.0.1:%d\", token: a-token-of-this-test }\n%s",
                  world->program.folder.path, world->hole_port, stop_within, world->exchange.port, world->exchange.port,
                  world->program.port, more);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    *state = world;
    own_server_prepare(&world->exchange);
    own_server_prepare(&world->program);
    open_hole(world);
    (void)snprintf(world->config, sizeof world->config, "%s/config.yaml", world->program.folder.path);
    own_server_shell(&world->exchange,
                     "exec " SLUICE " exchange --venue okx --instruments 4 --rate 1000 --port %d >/dev/null 2>&1",
                     world->exchange.port);
    own_server_shell(&world->program, "exec " SLUICE " run %s >%s/log 2>&1", world->config, world->program.folder.path);
    return own_server_start(&world->exchange);
}

static int tear_down(void **state)
{
    struct world *world = *state;
    own_server_end(&world->program);
    own_server_end(&world->exchange);
    (void)close(world->hole);
    free(world);
    return 0;
}

/* The status of an answer of the endpoint; 0: there is none. */
static int get(struct world *world, const char *method, const char *path)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons((uint16_t)world->program.port)};
    char request[256];
    int size = snprintf(request, sizeof request,
                        "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n"
                        "Authorization: Bearer a-token-of-this-test\r\nContent-Length: 0\r\n\r\n",
                        method, path, world->program.port);
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = {.tv_sec = 5};
    (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    size_t have = 0;
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0 &&
        send(descriptor, request, (size_t)size, MSG_NOSIGNAL) == size) {
        ssize_t got = 0;
        while (have < sizeof world->text - 1 &&
               (got = recv(descriptor, world->text + have, sizeof world->text - 1 - have, 0)) > 0) {
            have += (size_t)got;
        }
    }
    world->text[have] = '\0';
    (void)close(descriptor);
    return have > 12 ? (int)strtoull(world->text + 9, NULL, 10) : 0;
}

/* Events have come, so that there is something to deliver. */
static void start(struct world *world)
{
    assert_int_equal(own_server_start(&world->program), 0);
    for (int look = 0; look < 1500 && get(world, "GET", "/readyz") != 200; look++) {
        pause_ms(20);
    }
    assert_int_equal(get(world, "GET", "/readyz"), 200);
    pause_ms(200);
}

static int end_of(struct world *world)
{
    int status = 0;
    assert_int_equal(waitpid(world->program.pid, &status, 0), world->program.pid);
    world->program.pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static const char *log_of(struct world *world)
{
    return own_server_read(&world->program, "log", world->text, sizeof world->text);
}

static void send_signal(const struct world *world, int signal)
{
    assert_int_equal(kill(world->program.pid, signal), 0);
}

/* ---- cases ---- */

static double until_not_ready(struct world *world)
{
    double begin = seconds();
    send_signal(world, SIGTERM);
    while (get(world, "GET", "/readyz") == 200) {
    }
    return seconds() - begin;
}

static void readyz_turns_at_once_and_the_drain_keeps_its_limit(void **state)
{
    struct world *world = *state;
    write_config(world, "1s", "");
    double best = 1e9, took = 0;
    for (int try = 0; try < TRIES && best > 0.1; try++) {
        start(world);
        double until = until_not_ready(world), begin = seconds();
        best = until < best ? until : best;
        assert_int_equal(get(world, "GET", "/livez"), 200); /* it still works */
        assert_int_equal(get(world, "GET", "/readyz"), 503);
        assert_int_equal(end_of(world), 143);
        took = seconds() - begin;
    }
    (void)printf("not ready after %.0f ms, ended after %.2f s\n", best * 1000, took);
    assert_true(best <= 0.1);
    assert_true(took > 0.5 && took < 10); /* 1 s for the sink that never answers */
    const char *log = log_of(world);
    assert_non_null(strstr(log, "received "));
    assert_non_null(strstr(log, "not delivered"));
    assert_null(strstr(log, " 0 not delivered")); /* and it says so */
}

static void a_second_signal_ends_it_at_once(void **state)
{
    struct world *world = *state;
    write_config(world, "20s", "");
    start(world);
    send_signal(world, SIGTERM);
    pause_ms(500);
    assert_int_equal(waitpid(world->program.pid, NULL, WNOHANG), 0);
    double begin = seconds();
    send_signal(world, SIGTERM);
    assert_int_equal(end_of(world), 143);
    (void)printf("ended %.0f ms after the second signal\n", (seconds() - begin) * 1000);
    assert_true(seconds() - begin < 5);
}

static void the_limit_of_the_whole_holds_too(void **state)
{
    struct world *world = *state;
    write_config(world, "20s", "runtime: { drain: 1s }\n");
    start(world);
    double begin = seconds();
    send_signal(world, SIGTERM);
    assert_int_equal(end_of(world), 143);
    assert_true(seconds() - begin < 10);
}

static void each_end_has_its_status(void **state)
{
    struct world *world = *state;
    write_config(world, "100ms", "");
    start(world);
    send_signal(world, SIGINT);
    assert_int_equal(end_of(world), 130);
    start(world);
    send_signal(world, SIGTERM);
    assert_int_equal(end_of(world), 143);
    start(world);
    assert_int_equal(get(world, "POST", "/api/ctl/drain"), 200);
    assert_int_equal(end_of(world), 0);
    write_config(world, "100ms", "nonsense: 1\n");
    assert_int_equal(system(SLUICE " run /nowhere.yaml >/dev/null 2>&1") >> 8, 78);
    char line[LINE_BYTES];
    (void)snprintf(line, sizeof line, SLUICE " run %s >/dev/null 2>&1", world->config);
    assert_int_equal(system(line) >> 8, 78);
    assert_int_equal(system(SLUICE " run >/dev/null 2>&1") >> 8, 64);
    assert_int_equal(system(SLUICE " run --nonsense x >/dev/null 2>&1") >> 8, 64);
    write_config(world, "100ms", "");
    (void)snprintf(line, sizeof line, "timeout 30 " SLUICE " run %s --set admin.listen=127.0.0.1:%d >/dev/null 2>&1",
                   world->config, world->exchange.port);
    assert_int_equal(system(line) >> 8, 1); /* the port is another's */
}

#define RUN(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

SL_TEST_MAIN(RUN(readyz_turns_at_once_and_the_drain_keeps_its_limit), RUN(a_second_signal_ends_it_at_once),
             RUN(the_limit_of_the_whole_holds_too), RUN(each_end_has_its_status))
