/* SPDX-License-Identifier: MIT */
/*
 * Making streams: connecting and listening. Addresses are literals ("127.0.0.1", "::1"), "localhost", and
 * "unix:/path" or "unix:@abstract" (then the port does not matter); to connect also host names.
 */
#ifndef SLUICE_NET_H
#define SLUICE_NET_H

#include "sluice/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sl_listener sl_listener;

struct sl_connect_options {
    const char *address;
    int port;
    const char *local_address; /* the address to come from, a literal; NULL: the system's choice */
    struct sl_tls_config *tls; /* shakes hands, see tls.h; NULL: in the clear. Borrowed during the call */
    const char *server_name;   /* what the certificate must be for; NULL: `address` */
    /*
     * Through a proxy, which looks the name up: "http://host:port" (CONNECT) or "socks5://host:port", with
     * "user:password@" in front of the host if it wants them (other characters as %XX). NULL: directly.
     */
    const char *proxy;
};

/*
 * Connects. Waits, bounded by the scopes around it. 0; SL_EINVAL for what is no address or port (1 to 65535);
 * the system's codes (-ECONNREFUSED, -EHOSTUNREACH, -ENOENT for a Unix socket), with a message that names
 * the address; with `tls` also the codes of sl_tls_client(). For a host name: the codes of sl_resolve() (dns.h);
 * all its addresses are tried, IPv6 and IPv4 in turn, a new one every 250 ms and whenever one fails; the first
 * connection wins (RFC 8305). When none is made, the code of the first failure, and all of them in the message.
 * Through a proxy: -EACCES when it does not let us, -ECONNREFUSED, -EHOSTUNREACH or -ENETUNREACH when it does not get
 * through, SL_EPROTO when it is none, SL_ECONNRESET when it goes away before it has answered.
 */
SL_MUST_CHECK int sl_connect_with(const struct sl_connect_options *options, sl_stream **ret_stream);
/* The same with the address and port alone. */
SL_MUST_CHECK int sl_connect(const char *address, int port, sl_stream **ret_stream);

struct sl_listen_options {
    const char *address;
    int port;        /* 0: the system chooses one, see sl_listener_port() */
    int backlog;     /* connections the system keeps for us; 0: SL_LISTEN_BACKLOG */
    bool reuse_port; /* several listeners share the port, and its connections */
    unsigned mode;   /* permissions of a Unix socket, whatever the umask; 0: 0600 */
};
#define SL_LISTEN_BACKLOG 1024

/*
 * Listens. Does not wait. A Unix socket that nobody listens on any more is
 * replaced; closing removes it. 0, SL_EINVAL, SL_ENOMEM, the system's codes.
 */
SL_MUST_CHECK int sl_listener_open_with(const struct sl_listen_options *options, sl_listener **ret_listener);
/* The same with the address and port alone. */
SL_MUST_CHECK int sl_listener_open(const char *address, int port, sl_listener **ret_listener);

int sl_listener_port(const sl_listener *listener);

/*
 * The next connection. Waits; one task at a time (SL_EBUSY). SL_ECLOSED once the listener is closed, SL_EOF when it
 * is drained; codes of the system such as -EMFILE leave it as it was.
 */
SL_MUST_CHECK int sl_listener_accept(sl_listener *listener, sl_stream **ret_stream);

/*
 * Before closing, for servers that are to lose no client: takes no new connections, as far as the system can be
 * told; sl_listener_accept() then gives those that wait already, and SL_EOF behind the last, also to a task that
 * waits in it. Does not wait. What still arrives between that and the close is reset by it.
 */
void sl_listener_drain(sl_listener *listener);

/* Stops listening; connections that nobody accepted are refused. A waiting task gets SL_ECLOSED. NULL is fine. */
void sl_listener_close(sl_listener *listener);
SL_AUTO_DECLARE(sl_listener, sl_listener_close)

#ifdef __cplusplus
}
#endif

#endif
