/* SPDX-License-Identifier: MIT */
/* What `sluice run` tells the service manager that started it, on the socket of sd_notify(3). */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scratch_folder.h"
#include "sl_test.h"

#define STATES_MAX 2000 /* that pass before the expected one: signs of life */

/* A service whose venue cannot be reached, and a sink: enough to be ready. */
static void write_config(const char *name, const char *extra)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_true(fprintf(file,
                        "services: {a: {kind: stream, venue: kraken, instruments: [BTC-USD], sinks: [f]}}\n"
                        "venues: {kraken: {stream: 'ws://127.0.0.1:1', rest: 'http://127.0.0.1:1'}}\n"
                        "sinks: {f: {kind: file, path: events}}\nadmin: {listen: '127.0.0.1:0'}\n%s",
                        extra) > 0);
    assert_int_equal(fclose(file), 0);
}

/* The manager's end: what is told must come within half a minute. */
static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (path[0] == '@') {
        address.sun_path[0] = '\0';
    }
    const struct timeval patience = {.tv_sec = 30};
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(descriptor >= 0);
    assert_int_equal(bind(descriptor, (const struct sockaddr *)&address, bytes), 0);
    assert_int_equal(setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    return descriptor;
}

/* Reads up to a state that begins so; everything else must be a sign of life. */
static void expect_state(int descriptor, const char *begins)
{
    char text[256];
    for (int at = 0; at < STATES_MAX; at++) {
        ssize_t bytes = recv(descriptor, text, sizeof text - 1, 0);
        if (bytes < 0) {
            print_error("nothing came; expected %s\n", begins);
        }
        assert_true(bytes > 0);
        text[bytes] = '\0';
        if (strncmp(text, begins, strlen(begins)) == 0) {
            return;
        }
        assert_string_equal(text, "WATCHDOG=1");
    }
    fail_msg("only signs of life; expected %s", begins);
}

static pid_t start(const char *path, const char *watchdog_usec, const char *watchdog_pid)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)setenv("NOTIFY_SOCKET", path, 1);
        (void)setenv("WATCHDOG_USEC", watchdog_usec, 1);
        (void)setenv("WATCHDOG_PID", watchdog_pid, 1);
        (void)execl(SL_TEST_BUILD_DIR "/sluice", "sluice", "run", "--quiet", "a.yaml", (char *)NULL);
        _exit(127);
    }
    return pid;
}

static int end_of(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_life_is_told(const char *path)
{
    write_config("a.yaml", "");
    int descriptor = listen_at(path);
    pid_t pid = start(path, "100000", "");
    expect_state(descriptor, "READY=1");
    expect_state(descriptor, "WATCHDOG=1");
    expect_state(descriptor, "WATCHDOG=1");
    write_config("a.yaml", "retry: {default: {initial: 2s, max: 4s}}\n");
    assert_int_equal(kill(pid, SIGHUP), 0);
    expect_state(descriptor, "RELOADING=1\nMONOTONIC_USEC=");
    expect_state(descriptor, "READY=1");
    assert_int_equal(kill(pid, SIGTERM), 0);
    expect_state(descriptor, "STOPPING=1");
    assert_int_equal(end_of(pid), 143);
    assert_int_equal(close(descriptor), 0);
}

static void by_a_file(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_MAX + 8];
    (void)snprintf(path, sizeof path, "%s/notify", scratch_folder_entered());
    a_life_is_told(path);
}

static void by_a_name_without_a_file(void **state)
{
    (void)state;
    char path[64];
    (void)snprintf(path, sizeof path, "@sluice-notify-%d", (int)getpid());
    a_life_is_told(path);
}

/* The watchdog of another process is not ours: nothing but READY and STOPPING. */
static void no_signs_of_life_for_another(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_MAX + 8], text[64] = "";
    (void)snprintf(path, sizeof path, "%s/notify", scratch_folder_entered());
    write_config("a.yaml", "");
    int descriptor = listen_at(path);
    pid_t pid = start(path, "1000", "1");
    assert_int_equal(recv(descriptor, text, sizeof text - 1, 0), 7);
    assert_string_equal(text, "READY=1");
    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(recv(descriptor, text, sizeof text - 1, 0), 10);
    assert_string_equal(text, "STOPPING=1");
    assert_int_equal(end_of(pid), 143);
    assert_int_equal(close(descriptor), 0);
}

/* A socket that is gone is no reason to stop; one that cannot be is told, and nothing runs. */
static void sockets_that_are_none(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_MAX + 8];
    (void)snprintf(path, sizeof path, "%s/notify", scratch_folder_entered());
    write_config("a.yaml", "");
    int descriptor = listen_at(path);
    pid_t pid = start(path, "20000", "");
    expect_state(descriptor, "READY=1");
    assert_int_equal(close(descriptor), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(end_of(pid), 143);
    assert_int_equal(end_of(start("notify", "0", "")), 1);
}

SL_TEST_MAIN(SCRATCH_CASE(by_a_file), SCRATCH_CASE(by_a_name_without_a_file),
             SCRATCH_CASE(no_signs_of_life_for_another), SCRATCH_CASE(sockets_that_are_none))
