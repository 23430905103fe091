/* SPDX-License-Identifier: MIT */
/* Between a client and a redis-server: sees every command, and does to the n-th of a kind what it is told to. */
#ifndef REDIS_PROXY_H
#define REDIS_PROXY_H

#include "sluice/net.h"
#include "sluice/scope.h"

/* Kinds of commands; those of locks and work queues are known by the shape of their scripts' calls. */
enum redis_proxy_kind {
    REDIS_PROXY_OTHER,
    REDIS_PROXY_TAKE,
    REDIS_PROXY_RENEW,
    REDIS_PROXY_GIVE,
    REDIS_PROXY_SUBSCRIBE,
    REDIS_PROXY_KINDS
};

enum redis_proxy_act {
    REDIS_PROXY_PASS,
    REDIS_PROXY_CUT_BEFORE, /* the command does not reach the server */
    REDIS_PROXY_CUT_AFTER,  /* it does; its reply is lost with the connection */
    REDIS_PROXY_MUTE,       /* it does; nothing comes back on this connection any more */
    REDIS_PROXY_SWALLOW,    /* it does not, nor does anything after it; the connection stays */
    REDIS_PROXY_DELAY       /* its reply comes late, with all behind it */
};

struct redis_proxy {
    sl_listener *listener;
    int server_port;
    char url[64];
    /* What is done to the n-th command of a kind (from 0); the last entry to all that follow. */
    enum redis_proxy_act plan[REDIS_PROXY_KINDS][4];
    sl_time delay;
    bool split;  /* bytes go one at a time, both ways */
    bool refuse; /* new connections are closed at once */
    bool deaf;   /* nothing reaches the server any more, on no connection */
    bool mute;   /* nothing comes back from it */
    int kill;    /* a process that dies (SIGKILL) when a connection is cut by the plan; 0: none */
    int counts[REDIS_PROXY_KINDS];
    int connections;
    enum redis_proxy_kind last; /* kind of the last command that was not OTHER */
};

/* Listens; serves as a daemon of `scope`. 0 or a code. Then the plan is changed at any time. */
int redis_proxy_begin(struct redis_proxy *proxy, sl_scope *scope, int server_port);
void redis_proxy_end(struct redis_proxy *proxy);

#endif
