/* SPDX-License-Identifier: MIT */
/*
 * A small name server on 127.0.0.1, in a thread of its own, that does to each name what the name says:
 *
 *     a.NAME       one address of each family          many.NAME    twenty of them
 *     four.NAME    IPv4 only                            alias.NAME   CNAME to a.NAME
 *     ttl.NAME     lives one second (others 300)        nx.NAME      there is no such name
 *     slow.NAME    answered after 50 ms                 lost.NAME    the first question of a family is lost
 *     never.NAME   never answered                       fail.NAME    SERVFAIL
 *     big.NAME     truncated over UDP, whole over TCP   garbage.NAME bytes that are no answer
 *     nov6.NAME    IPv4 at once, IPv6 never
 */
#ifndef DNS_SERVER_H
#define DNS_SERVER_H

/* Starts it, once a process; "127.0.0.1:port" for sl_resolver_options.servers. */
const char *dns_server(void);

/* Questions that it got for names that begin with `prefix`, since the process began. */
int dns_server_asked(const char *prefix);

#endif
