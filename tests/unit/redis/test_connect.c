/* SPDX-License-Identifier: MIT */
/* Ways to a server: TLS, users with a password, Unix sockets, names, databases; and what is refused. */
#include <stdlib.h>
#include <string.h>

#include "redis_server.h"
#include "sl_conformance.h"
#include "sluice/redis.h"
#include "sluice/tls.h"
#include "tls_certificates.h"

static struct redis_process server;

static void stop(void)
{
    redis_process_stop(&server);
}

static int start(const char *const *arguments)
{
    stop();
    (void)atexit(stop);
    CHECK(redis_process_start(&server, arguments));
    return 0;
}

static int try_url(const char *url, struct sl_redis_options options, int expected)
{
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    options.url = url;
    options.timeout = SL_SECONDS(3);
    CHECK_EQ(sl_redis_open(&scope, &options, &redis), 0);
    sl_time before = sl_now();
    CHECK_EQ(sl_redis_do(redis, NULL, "SET", "k", "v"), expected);
    CHECK(sl_now() - before < SL_SECONDS(2)); /* a refusal is told at once */
    CHECK(strstr(sl_error_last() == NULL ? "" : sl_error_message(sl_error_last()), "se%cret") == NULL);
    return sl_scope_wait(&scope);
}

C_TEST_REAL_FEW(over_tls, "rediss:// checks the certificate; a wrong authority is refused", "")
{
    int port = 0;
    (void)atexit(stop);
    CHECK(redis_process_start_tls(&server, &port));
    char url[64];
    sl_auto(sl_tls_config) *tls = NULL;
    sl_auto(sl_tls_config) *wrong = NULL;
    CHECK_EQ(sl_tls_config_open(&(struct sl_tls_options){.ca_pem = tls_identity(TLS_CA)->certificate}, &tls), 0);
    CHECK_EQ(sl_tls_config_open(&(struct sl_tls_options){.ca_pem = tls_identity(TLS_OTHER_CA)->certificate}, &wrong),
             0);
    (void)snprintf(url, sizeof url, "rediss://localhost:%d", port);
    SL_TRY(try_url(url, (struct sl_redis_options){.tls = tls}, 0));
    SL_TRY(try_url(url, (struct sl_redis_options){.tls = wrong}, SL_ECERTIFICATE));
    stop();
    return 0;
}

C_TEST_REAL_FEW(users, "password and ACL user, from the URL or the options, in both protocols; rights", "")
{
    static const char *const arguments[] = {"--requirepass", "se%cret", "--user", "reader", "on",
                                            ">se%cret",      "~*",      "+@all",  "-set",   NULL};
    char url[96];
    SL_TRY(start(arguments));
    for (int protocol = 0; protocol <= 3; protocol += protocol == 0 ? 2 : 1) {
        const struct sl_redis_options options = {.protocol = protocol};
        (void)snprintf(url, sizeof url, "redis://:se%%25cret@127.0.0.1:%d", server.port);
        SL_TRY(try_url(url, options, 0));
        (void)snprintf(url, sizeof url, "redis://:wrong@127.0.0.1:%d", server.port);
        SL_TRY(try_url(url, options, -EACCES));
        (void)snprintf(url, sizeof url, "redis://reader:se%%25cret@127.0.0.1:%d", server.port);
        SL_TRY(try_url(url, options, -EACCES)); /* may do all but SET */
        (void)snprintf(url, sizeof url, "redis://nobody:se%%25cret@127.0.0.1:%d", server.port);
        SL_TRY(try_url(url, options, -EACCES));
        (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", server.port);
        SL_TRY(try_url(url, options, -EACCES));
        SL_TRY(try_url(url, (struct sl_redis_options){.protocol = protocol, .password = "se%cret"}, 0));
    }
    stop();
    return 0;
}

C_TEST_REAL_FEW(sockets_names_databases, "unix://, CLIENT SETNAME, SELECT; a database that is none", "")
{
    static const char *const arguments[] = {"--unixsocket", "redis.sock", "--unixsocketperm", "600", NULL};
    char url[128];
    SL_TRY(start(arguments));
    SL_SCOPE(scope);
    sl_redis *redis = NULL, *other = NULL;
    (void)snprintf(url, sizeof url, "unix://%s/redis.sock?db=3", server.folder);
    CHECK_EQ(sl_redis_open(&scope, &(struct sl_redis_options){.url = url, .name = "my-name"}, &redis), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "SET", "k", "v"), 0);
    sl_auto(sl_redis_reply) *name = NULL;
    CHECK_EQ(sl_redis_do(redis, &name, "CLIENT", "GETNAME"), 0);
    CHECK_STRING(sl_redis_reply_value(name).text, "my-name");
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d/3", server.port);
    CHECK_EQ(sl_redis_open(&scope, &(struct sl_redis_options){.url = url}, &other), 0);
    int64_t there = 0;
    CHECK_EQ(sl_redis_do_int(other, &there, "EXISTS", "k"), 0);
    CHECK_EQ(there, 1);
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d/99", server.port);
    SL_TRY(try_url(url, (struct sl_redis_options){0}, SL_EREPLY));
    CHECK_EQ(sl_redis_open(&scope, &(struct sl_redis_options){.url = url, .name = "two words"}, &other), SL_EINVAL);
    CHECK_EQ(sl_redis_open(&scope, &(struct sl_redis_options){.url = url, .protocol = 4}, &other), SL_EINVAL);
    CHECK_EQ(sl_redis_open(&scope, &(struct sl_redis_options){.url = url, .timeout = -1}, &other), SL_EINVAL);
    CHECK_EQ(sl_redis_open(&scope, &(struct sl_redis_options){.url = "redis://user@h"}, &other), SL_EINVAL);
    CHECK_EQ(sl_redis_open(&scope, &(struct sl_redis_options){0}, &other), SL_EINVAL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    stop();
    return 0;
}

C_TEST_REAL_FEW(a_server_that_is_killed, "killed and started again: the same client works on", "coordination 4.6.5")
{
    SL_TRY(start(NULL));
    SL_SCOPE(scope);
    sl_redis *redis = NULL;
    char url[64];
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%d", server.port);
    CHECK_EQ(sl_redis_open(&scope, &(struct sl_redis_options){.url = url}, &redis), 0);
    CHECK_EQ(sl_redis_do(redis, NULL, "SET", "k", "v"), 0);
    redis_process_kill(&server);
    CHECK(redis_process_restart(&server));
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(20)), 0);
    int64_t there = 1;
    const char *const exists[] = {"EXISTS", "k", NULL};
    sl_auto(sl_redis_reply) *reply = NULL;
    CHECK_EQ(sl_redis_send(redis, &(struct sl_redis_request){.texts = exists, .idempotent = true}, &reply), 0);
    struct sl_redis_value value = sl_redis_reply_value(reply);
    CHECK_EQ(sl_redis_value_int(&value, &there), 0);
    CHECK_EQ(there, 0);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    stop();
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(over_tls), cmocka_unit_test(users), cmocka_unit_test(sockets_names_databases),
             cmocka_unit_test(a_server_that_is_killed))
