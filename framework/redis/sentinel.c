/* SPDX-License-Identifier: MIT */
/*
 * Sentinels: each new connection asks where the master is, one sentinel after the other, and makes sure that it is
 * one. A failover breaks the connections to the old master (sentinels see to it), so that asking again is enough.
 * Source: redis.io, "Guidelines for Redis clients with support for Sentinel".
 */
#include <string.h>

#include "client.h"
#include "sluice/net.h"

#define SENTINEL_TIMEOUT SL_SECONDS(1)

static int log_in(struct sl__redis_connection *connection)
{
    const struct sl__redis_settings *settings = connection->settings;
    const char *texts[4] = {"AUTH"};
    size_t count = 1;
    struct sl_redis_value value;
    if (settings->sentinel_password[0] == '\0') {
        return 0;
    }
    if (settings->sentinel_user[0] != '\0') {
        texts[count++] = settings->sentinel_user;
    }
    texts[count] = settings->sentinel_password;
    SL_TRY(sl__redis_exchange(connection, texts, &value));
    return value.type == SL_REDIS_ERROR ? sl_fail(-EACCES, "sentinel: %s", value.text) : 0;
}

static int ask(struct sl__redis_connection *connection, const struct sl__redis_address *sentinel,
               struct sl__redis_address *ret_address)
{
    const struct sl__redis_settings *settings = connection->settings;
    const char *const question[] = {"SENTINEL", "get-master-addr-by-name", settings->master, NULL};
    const struct sl_connect_options options = {.address = sentinel->host, .port = sentinel->port, .tls = settings->tls};
    struct sl_redis_value value;
    SL_TRY(sl_connect_with(&options, &connection->stream));
    SL_TRY(log_in(connection));
    SL_TRY(sl__redis_exchange(connection, question, &value));
    struct sl_redis_value host = sl_redis_value_at(&value, 0);
    struct sl_redis_value port = sl_redis_value_at(&value, 1);
    int64_t number = 0;
    if (value.type == SL_REDIS_ERROR) {
        return sl_fail(sl__redis_problem_code(sl_redis_problem_of(&value)), "sentinel: %s", value.text);
    }
    if (value.count != 2) {
        return sl_fail(SL_ENOTREADY, "the sentinel knows no master '%s'", settings->master);
    }
    SL_TRY(sl_redis_value_int(&port, &number));
    if (number < 1 || number > 65535 || host.size_bytes == 0 || host.size_bytes >= sizeof ret_address->host) {
        return sl_fail(SL_EPROTO, "the sentinel gives no address");
    }
    memcpy(ret_address->host, host.text, host.size_bytes + 1);
    ret_address->port = (int)number;
    return 0;
}

static int ask_in_time(struct sl__redis_connection *connection, const struct sl__redis_address *sentinel,
                       struct sl__redis_address *ret_address)
{
    sl_scope limit = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&limit, &(struct sl_scope_options){.name = "sentinel", .timeout = SENTINEL_TIMEOUT}));
    sl__resp_init(&connection->reader, SL__RESP_LINE_BYTES_MAX);
    int code = sl_scope_close(&limit, ask(connection, sentinel, ret_address));
    sl_stream_close(connection->stream);
    connection->stream = NULL;
    sl__resp_done(&connection->reader);
    return code;
}

int sl__redis_ask_sentinels(const struct sl__redis_settings *settings, struct sl__redis_address *ret_address)
{
    struct sl__redis_connection *connection = sl_calloc(1, sizeof *connection);
    int code = SL_ENOTREADY;
    if (connection == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a connection to a sentinel");
    }
    connection->settings = settings;
    for (size_t i = 0; i < settings->hosts_count && code < 0 && code != SL_ECANCELED; i++) {
        code = ask_in_time(connection, &settings->hosts[i], ret_address);
    }
    sl_free(connection);
    return code;
}

int sl__redis_check_role(struct sl__redis_connection *connection)
{
    const char *const question[] = {"ROLE", NULL};
    struct sl_redis_value value;
    SL_TRY(sl__redis_exchange(connection, question, &value));
    struct sl_redis_value role = sl_redis_value_at(&value, 0);
    if (!sl_redis_value_is(&role, "master")) {
        return sl_fail(SL_ENOTREADY, "the sentinels' master is none yet");
    }
    return 0;
}
