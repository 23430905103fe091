/* SPDX-License-Identifier: MIT */
/*
 * The echo examples against other implementations of WebSocket, as client and as server, with and without
 * compression. What is sent, and what must come back, stands in tests/peers.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sl_test.h"

#define LINE_BYTES 256

struct peer {
    const char *program, *script;
};

static const struct peer websockets = {"/usr/bin/python3", SL_TEST_SOURCE_DIR "/tests/peers/ws_websockets.py"};
static const struct peer aiohttp = {"/usr/bin/python3", SL_TEST_SOURCE_DIR "/tests/peers/ws_aiohttp.py"};
static const struct peer node = {"node", SL_TEST_SOURCE_DIR "/tests/peers/ws_node.js"};

struct program {
    pid_t process;
    FILE *output;
};

/* Its standard output is read here; its errors go to the log of the test. */
static struct program start(const char *const arguments[])
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    struct program program = {.process = fork()};
    assert_true(program.process >= 0);
    if (program.process == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)setenv("NODE_PATH", "/usr/share/nodejs", 1);
        (void)setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execvp(arguments[0], (char *const *)arguments);
        _exit(127);
    }
    (void)close(ends[1]);
    program.output = fdopen(ends[0], "r");
    assert_non_null(program.output);
    return program;
}

/* The next line of what it prints, without its end; "" when there is none. */
static const char *line_of(struct program *program, char line[LINE_BYTES])
{
    line[0] = '\0';
    if (fgets(line, LINE_BYTES, program->output) != NULL) {
        line[strcspn(line, "\n")] = '\0';
    }
    return line;
}

static int end_of(struct program *program)
{
    int status = -1;
    (void)fclose(program->output);
    assert_int_equal(waitpid(program->process, &status, 0), program->process);
    return status;
}

static void their_client(const struct peer *peer, bool deflate)
{
    char line[LINE_BYTES];
    const char *const serve[] = {SL_TEST_BUILD_DIR "/examples/ws_echo_server", "0", deflate ? "--deflate" : NULL, NULL};
    struct program server = start(serve);
    const char *url = strstr(line_of(&server, line), "ws://");
    assert_non_null(url);
    const char *const ask[] = {peer->program, peer->script, "client", url, deflate ? "deflate" : "plain", NULL};
    struct program client = start(ask);
    char answer[LINE_BYTES];
    assert_string_equal(line_of(&client, answer), "ok");
    assert_int_equal(end_of(&client), 0);
    (void)kill(server.process, SIGINT);
    (void)end_of(&server);
}

static void their_server(const struct peer *peer, bool deflate)
{
    char url[LINE_BYTES];
    const char *const serve[] = {peer->program, peer->script, "server", "-", deflate ? "deflate" : "plain", NULL};
    struct program server = start(serve);
    assert_int_equal(strncmp(line_of(&server, url), "ws://", 5), 0);
    const char *const ask[] = {SL_TEST_BUILD_DIR "/examples/ws_echo_client", url, NULL};
    struct program client = start(ask);
    char answer[LINE_BYTES];
    assert_non_null(strstr(line_of(&client, answer), " cases"));
    assert_int_equal(end_of(&client), 0);
    assert_string_equal(line_of(&server, answer), "ok");
    assert_int_equal(end_of(&server), 0);
}

#define PEER(name)                                                                                                     \
    static void name##_client_plain(void **state)                                                                      \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        their_client(&name, false);                                                                                    \
    }                                                                                                                  \
    static void name##_client_deflate(void **state)                                                                    \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        their_client(&name, true);                                                                                     \
    }                                                                                                                  \
    static void name##_server_plain(void **state)                                                                      \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        their_server(&name, false);                                                                                    \
    }                                                                                                                  \
    static void name##_server_deflate(void **state)                                                                    \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        their_server(&name, true);                                                                                     \
    }
#define CASES(name)                                                                                                    \
    cmocka_unit_test(name##_client_plain), cmocka_unit_test(name##_client_deflate),                                    \
        cmocka_unit_test(name##_server_plain), cmocka_unit_test(name##_server_deflate)

PEER(websockets)
PEER(aiohttp)
PEER(node)

SL_TEST_MAIN(CASES(websockets), CASES(aiohttp), CASES(node))
