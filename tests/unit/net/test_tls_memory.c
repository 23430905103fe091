/* SPDX-License-Identifier: MIT */
/*
 * What OpenSSL allocates for our connections: how much an idle one holds, that nothing stays, and what happens
 * when it gets no memory. OpenSSL's allocator is replaced for the whole program, so these cases have their own.
 */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "sl_conformance.h"
#include "tls_pair.h"

#define PAIRS 10
#define HEADER_BYTES 16

/* OpenSSL's part of an idle connection, both sides together: SSL objects, sessions, one certificate; no buffers. */
#define IDLE_BYTES_MAX ((int64_t)36 * 1024)

/* The session that is kept is not always of the same size. */
#define SLACK_BYTES ((int64_t)4096)

static int64_t held_bytes;
static int64_t fail_in = -1; /* allocations from now; -1: never */

static void *get(size_t size_bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    if (fail_in >= 0 && fail_in-- == 0) {
        return NULL;
    }
    size_t *memory = malloc(size_bytes + HEADER_BYTES);
    *memory = size_bytes;
    held_bytes += (int64_t)size_bytes;
    return (char *)memory + HEADER_BYTES;
}

static void put(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    if (memory != NULL) {
        size_t *real = (size_t *)(void *)((char *)memory - HEADER_BYTES);
        held_bytes -= (int64_t)*real;
        free(real);
    }
}

static void *change(void *memory, size_t size_bytes, const char *file, int line)
{
    if (memory == NULL || size_bytes == 0) {
        put(memory, file, line);
        return size_bytes == 0 ? NULL : get(size_bytes, file, line);
    }
    size_t before = *(size_t *)(void *)((char *)memory - HEADER_BYTES);
    void *moved = get(size_bytes, file, line);
    if (moved != NULL) {
        memcpy(moved, memory, before < size_bytes ? before : size_bytes);
        put(memory, file, line);
    }
    return moved;
}

__attribute__((constructor)) static void replace_allocator(void)
{
    if (CRYPTO_set_mem_functions(get, change, put) != 1) {
        abort();
    }
}

static int wait_for_end(void *arg)
{
    struct sl_view view;
    int code;
    while ((code = sl_stream_peek(arg, 1, &view)) == 0) {
        sl_stream_consume(arg, view.size_bytes);
    }
    CHECK_EQ(code, SL_EOF);
    return 0;
}

struct configs {
    sl_tls_config *client, *server;
};

static int open_configs(struct configs *configs)
{
    struct sl_tls_options client = tls_client_options();
    struct sl_tls_options server = tls_server_options(TLS_SERVER);
    CHECK_EQ(sl_tls_config_open(&client, &configs->client), 0);
    CHECK_EQ(sl_tls_config_open(&server, &configs->server), 0);
    return 0;
}

static int open_pair(const struct configs *configs, struct tls_pair *ret_pair)
{
    struct tls_shake shake = {.client = configs->client, .server = configs->server};
    SL_TRY(tls_plain_pair(TLS_OVER_MEMORY, 100000, &shake.one, &shake.other));
    return tls_shake(&shake, ret_pair);
}

/* A pair that has talked; a reader waits on each side of it. */
static int make_idle(sl_scope *scope, const struct configs *configs, struct tls_pair *pair)
{
    char byte;
    size_t bytes = 0;
    CHECK_EQ(open_pair(configs, pair), 0);
    CHECK_EQ(sl_stream_write(pair->client, "x", 1), 0);
    CHECK_EQ(sl_stream_read(pair->server, &byte, 1, &bytes), 0);
    CHECK_EQ(sl_stream_write(pair->server, "x", 1), 0);
    CHECK_EQ(sl_stream_read(pair->client, &byte, 1, &bytes), 0);
    CHECK_EQ(sl_spawn(scope, wait_for_end, pair->client), 0);
    CHECK_EQ(sl_spawn(scope, wait_for_end, pair->server), 0);
    return 0;
}

static int talk(const struct configs *configs)
{
    struct tls_pair pair = {NULL, NULL};
    struct sl_view view;
    int code = open_pair(configs, &pair);
    code = code == 0 ? sl_stream_write(pair.client, "hello", 5) : code;
    code = code == 0 ? sl_stream_peek(pair.server, 5, &view) : code;
    code = code == 0 ? sl_stream_write(pair.server, "hello", 5) : code;
    code = code == 0 ? sl_stream_peek(pair.client, 5, &view) : code; /* now it has a session to keep */
    code = code == 0 ? sl_stream_shutdown(pair.client) : code;
    tls_pair_close(&pair);
    return code;
}

C_TEST_REAL_FEW(tls_idle_memory, "an idle connection holds no buffers, and a closed one nothing", "")
{
    struct configs configs;
    struct tls_pair pairs[PAIRS];
    SL_SCOPE(scope);
    CHECK_EQ(open_configs(&configs), 0);
    CHECK_EQ(talk(&configs), 0); /* what is kept for ever comes first, and a session */
    int64_t before = held_bytes;
    for (size_t i = 0; i < PAIRS; i++) {
        CHECK_EQ(make_idle(&scope, &configs, &pairs[i]), 0);
    }
    SETTLE();
    int64_t each = (held_bytes - before) / PAIRS;
    print_message("an idle pair holds %lld bytes of OpenSSL's\n", (long long)each);
    CHECK(each < IDLE_BYTES_MAX);
    for (size_t i = 0; i < PAIRS; i++) { /* a write beside a reader that waits leaves no buffer either */
        CHECK_EQ(sl_stream_write(pairs[i].client, "x", 1), 0);
    }
    SETTLE();
    CHECK((held_bytes - before) / PAIRS < IDLE_BYTES_MAX);
    for (size_t i = 0; i < PAIRS; i++) {
        CHECK_EQ(sl_stream_shutdown(pairs[i].client), 0);
        CHECK_EQ(sl_stream_shutdown(pairs[i].server), 0);
    }
    CHECK_EQ(sl_scope_join(&scope, SL_NEVER), 0);
    for (size_t i = 0; i < PAIRS; i++) {
        tls_pair_close(&pairs[i]);
    }
    CHECK(held_bytes <= before + SLACK_BYTES);
    sl_tls_config_free(configs.client);
    sl_tls_config_free(configs.server);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(tls_openssl_without_memory,
                "an allocation of OpenSSL fails: an error, nothing left, and the next works", "")
{
    struct configs configs;
    bool failed = true;
    CHECK_EQ(open_configs(&configs), 0);
    CHECK_EQ(talk(&configs), 0);
    int64_t before = held_bytes;
    for (int64_t n = 0; failed; n += 1 + n / 50) {
        fail_in = n;
        int code = talk(&configs);
        failed = fail_in < 0;
        fail_in = -1;
        CHECK(failed || code == 0);
        CHECK_EQ(ERR_peek_error(), 0);
        CHECK_EQ(talk(&configs), 0);
        CHECK(held_bytes <= before + SLACK_BYTES);
    }
    sl_tls_config_free(configs.client);
    sl_tls_config_free(configs.server);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(tls_idle_memory), cmocka_unit_test(tls_openssl_without_memory))
