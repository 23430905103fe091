/* SPDX-License-Identifier: MIT */
/* What a new connection says first: protocol, who we are, our name, the database. */
#include <stdio.h>
#include <string.h>

#include "client.h"

static int refused(const struct sl_redis_value *value)
{
    int code = sl__redis_problem_code(sl_redis_problem_of(value));
    return sl_fail(code, "Redis: %s", value->text);
}

/* A command whose reply is not interesting unless it is an error. */
static int demand(struct sl__redis_connection *connection, const char *const *texts)
{
    struct sl_redis_value value;
    SL_TRY(sl__redis_exchange(connection, texts, &value));
    return value.type == SL_REDIS_ERROR ? refused(&value) : 0;
}

/* RESP3, with the password in the same breath. 0: the server cannot do it. */
static int hello(struct sl__redis_connection *connection)
{
    const struct sl__redis_settings *settings = connection->settings;
    const char *texts[8] = {"HELLO", "3"};
    size_t count = 2;
    if (settings->password[0] != '\0') {
        texts[count++] = "AUTH";
        texts[count++] = settings->user[0] == '\0' ? "default" : settings->user;
        texts[count++] = settings->password;
    }
    struct sl_redis_value value;
    SL_TRY(sl__redis_exchange(connection, texts, &value));
    if (value.type != SL_REDIS_ERROR) {
        return 1;
    }
    bool unknown = strncmp(value.text, "NOPROTO", 7) == 0 || strstr(value.text, "unknown command") != NULL;
    return unknown && settings->protocol == 0 ? 0 : refused(&value);
}

static int authenticate(struct sl__redis_connection *connection)
{
    const struct sl__redis_settings *settings = connection->settings;
    if (settings->password[0] == '\0') {
        return 0;
    }
    const char *const with_user[] = {"AUTH", settings->user, settings->password, NULL};
    const char *const without[] = {"AUTH", settings->password, NULL};
    return demand(connection, settings->user[0] != '\0' ? with_user : without);
}

int sl__redis_greet(struct sl__redis_connection *connection)
{
    const struct sl__redis_settings *settings = connection->settings;
    int code = settings->protocol == 2 ? 0 : hello(connection);
    if (code < 0) {
        return code;
    }
    connection->protocol = code == 1 ? 3 : 2;
    if (code == 0) {
        SL_TRY(authenticate(connection));
    }
    if (settings->name[0] != '\0') {
        const char *const name[] = {"CLIENT", "SETNAME", settings->name, NULL};
        SL_TRY(demand(connection, name));
    }
    if (settings->database != 0) {
        char number[16];
        (void)snprintf(number, sizeof number, "%d", settings->database);
        const char *const select[] = {"SELECT", number, NULL};
        SL_TRY(demand(connection, select));
    }
    if (settings->password[0] == '\0' && code == 0) {
        const char *const ping[] = {"PING", NULL}; /* tells whether a password is wanted, or the server still loads */
        SL_TRY(demand(connection, ping));
    }
    return 0;
}
