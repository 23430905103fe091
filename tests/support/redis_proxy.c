/* SPDX-License-Identifier: MIT */
/* See redis_proxy.h. */
#include "redis_proxy.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "redis/resp.h"
#include "sl_conformance.h"

#define PLAN_MAX 4
#define ACK_BYTES 16384

struct link {
    struct redis_proxy *proxy;
    sl_stream *client, *server;
    struct sl__resp_reader reader;
    bool cut, mute, deaf, late;
};

static enum redis_proxy_kind kind_of(const struct sl_redis_value *command)
{
    struct sl_redis_value name = sl_redis_value_at(command, 0);
    struct sl_redis_value last = sl_redis_value_at(command, command->count - 1);
    struct sl_redis_value fourth = sl_redis_value_at(command, 3);
    if (sl_redis_value_is(&name, "SET") && sl_redis_value_is(&fourth, "NX")) {
        return REDIS_PROXY_TAKE;
    }
    if (sl_redis_value_is(&name, "SUBSCRIBE")) {
        return REDIS_PROXY_SUBSCRIBE;
    }
    if (!sl_redis_value_is(&name, "EVALSHA") && !sl_redis_value_is(&name, "EVAL")) {
        return REDIS_PROXY_OTHER;
    }
    if (strncmp(last.text, "sluice:wake:", 12) == 0) {
        return REDIS_PROXY_GIVE;
    }
    struct sl_redis_value jobs = sl_redis_value_at(command, 3), progress = sl_redis_value_at(command, 11);
    if (jobs.size_bytes > 5 && strcmp(jobs.text + jobs.size_bytes - 5, ":jobs") == 0) {
        bool flag = sl_redis_value_is(&progress, "0") || sl_redis_value_is(&progress, "1");
        return command->count == 14   ? REDIS_PROXY_TAKE
               : command->count == 16 ? REDIS_PROXY_GIVE
               : flag                 ? REDIS_PROXY_RENEW
                                      : REDIS_PROXY_OTHER;
    }
    struct sl_redis_value keys = sl_redis_value_at(command, 2);
    bool one = sl_redis_value_is(&keys, "1"), fenced = sl_redis_value_is(&keys, "2");
    return (one && command->count == 10) || (fenced && command->count == 11) ? REDIS_PROXY_TAKE
           : one && command->count == 7                                      ? REDIS_PROXY_RENEW
                                                                             : REDIS_PROXY_OTHER;
}

static int pass_on(const struct redis_proxy *proxy, sl_stream *stream, const char *data, size_t size_bytes)
{
    size_t step = proxy->split ? 1 : size_bytes;
    for (size_t i = 0; i < size_bytes; i += step) {
        SL_TRY(sl_stream_write(stream, data + i, step));
        if (proxy->split) {
            SL_TRY(sl_checkpoint());
        }
    }
    return 0;
}

static void kill_owner(struct redis_proxy *proxy)
{
    if (proxy->kill > 0) {
        (void)kill(proxy->kill, SIGKILL);
        proxy->kill = 0;
    }
}

static int obey(struct link *link, struct sl_view bytes)
{
    struct redis_proxy *proxy = link->proxy;
    char copy[ACK_BYTES];
    CHECK(bytes.size_bytes <= sizeof copy);
    memcpy(copy, bytes.data, bytes.size_bytes); /* looking at values ends texts with NUL */
    struct sl_redis_value command = sl__resp_value(bytes.data);
    enum redis_proxy_kind kind = kind_of(&command);
    int number = proxy->counts[kind]++;
    enum redis_proxy_act act = proxy->plan[kind][number < PLAN_MAX ? number : PLAN_MAX - 1];
    proxy->last = kind == REDIS_PROXY_OTHER ? proxy->last : kind;
    if (act == REDIS_PROXY_CUT_BEFORE) {
        kill_owner(proxy);
        return SL_EOF;
    }
    link->cut |= act == REDIS_PROXY_CUT_AFTER;
    link->mute |= act == REDIS_PROXY_MUTE || act == REDIS_PROXY_SWALLOW;
    link->deaf |= act == REDIS_PROXY_SWALLOW || proxy->deaf;
    link->late |= act == REDIS_PROXY_DELAY;
    return link->deaf ? 0 : pass_on(proxy, link->server, copy, bytes.size_bytes);
}

static int forward(void *arg)
{
    struct link *link = arg;
    for (;;) {
        struct sl_view view, command;
        size_t used = 0;
        SL_TRY(sl_stream_peek(link->client, 1, &view));
        int code = sl__resp_feed(&link->reader, view.data, view.size_bytes, &used, &command);
        sl_stream_consume(link->client, used);
        SL_TRY(code);
        if (code == 1) {
            SL_TRY(obey(link, command));
        }
    }
}

static int answer(struct link *link)
{
    for (;;) {
        struct sl_view view;
        SL_TRY(sl_stream_peek(link->server, 1, &view));
        if (link->cut) {
            kill_owner(link->proxy);
            return SL_EOF;
        }
        if (link->late) {
            link->late = false;
            SL_TRY(sl_sleep(link->proxy->delay));
        }
        link->mute |= link->proxy->mute; /* for good: what follows would be no answer to what was asked */
        if (!link->mute) {
            SL_TRY(pass_on(link->proxy, link->client, view.data, view.size_bytes));
        }
        sl_stream_consume(link->server, view.size_bytes);
    }
}

/* A connection that ends is no failure of the test. */
static int talk(void *arg)
{
    struct link *link = arg;
    sl_scope scope = SL_SCOPE_INIT;
    SL_TRY(sl_scope_open(&scope, NULL));
    int code = sl_spawn(&scope, forward, link);
    code = code == 0 ? answer(link) : code;
    code = sl_scope_close(&scope, code);
    return code == SL_ECANCELED || code == SL_CHECK_FAILED ? code : 0;
}

static void hang_up(void *arg)
{
    struct link *link = arg;
    sl_stream_close(link->client);
    sl_stream_close(link->server);
    sl__resp_done(&link->reader);
    sl_free(link);
}

static int serve(void *arg)
{
    struct redis_proxy *proxy = arg;
    SL_SCOPE(scope);
    for (;;) {
        sl_auto(sl_stream) *client = NULL;
        SL_TRY(sl_listener_accept(proxy->listener, &client));
        proxy->connections++;
        if (proxy->refuse) {
            continue;
        }
        sl_auto(sl_stream) *server = NULL;
        SL_TRY(sl_connect("127.0.0.1", proxy->server_port, &server));
        struct link *link = sl_calloc(1, sizeof *link);
        CHECK(link != NULL);
        *link = (struct link){.proxy = proxy, .client = client, .server = server};
        client = server = NULL;
        sl__resp_init(&link->reader, ACK_BYTES);
        SL_TRY(sl_spawn(&scope, talk, link, .release = hang_up));
    }
}

int redis_proxy_begin(struct redis_proxy *proxy, sl_scope *scope, int server_port)
{
    /* An address of this process alone: a client of another test, whose server was killed, may look for it at this port. */
    char address[32];
    int pid = (int)getpid();
    (void)snprintf(address, sizeof address, "127.%d.%d.%d", 1 + pid / 65536 % 250, pid / 256 % 256, 2 + pid % 250);
    proxy->server_port = server_port;
    SL_TRY(sl_listener_open(address, 0, &proxy->listener));
    (void)snprintf(proxy->url, sizeof proxy->url, "redis://%s:%d", address, sl_listener_port(proxy->listener));
    return sl_spawn(scope, serve, proxy, .daemon = true);
}

void redis_proxy_end(struct redis_proxy *proxy)
{
    sl_listener_close(proxy->listener);
    proxy->listener = NULL;
}
