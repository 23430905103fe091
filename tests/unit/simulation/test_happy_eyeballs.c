/* SPDX-License-Identifier: MIT */
/* Connecting to names by both families (RFC 8305), on virtual time. */
#include <string.h>

#include "cancel_steps.h"
#include "sl_conformance.h"
#include "sluice/dns.h"
#include "sluice/memory.h"
#include "sluice/simulation.h"

#define LATENCY SL_MILLISECONDS(10)
#define PORT 443

/* "both" has both families; "six" and "four" one each, and the name "service" stands for the two. */
static int build(void)
{
    SL_TRY(sl_network_simulate());
    SL_TRY(sl_network_host(SL_NETWORK_HOME, "fd00::1"));
    SL_TRY(sl_network_host("both", "192.0.2.1"));
    SL_TRY(sl_network_host("both", "2001:db8::1"));
    SL_TRY(sl_network_host("six", "2001:db8::6"));
    SL_TRY(sl_network_host("four", "192.0.2.4"));
    SL_TRY(sl_network_alias("service", "six"));
    SL_TRY(sl_network_alias("service", "four"));
    return sl_network_link(NULL, NULL, &(struct sl_link_options){.latency = LATENCY});
}

static int listen_at(const char *host, const char *address, sl_listener **ret_listener)
{
    SL_TRY(sl_network_enter(host));
    SL_TRY(sl_listener_open(address, PORT, ret_listener));
    return sl_network_enter(SL_NETWORK_HOME);
}

/* Connects and closes; where to, and how long it took. */
static int connect_and_see(const char *host, char *ret_peer, sl_time *ret_needed)
{
    sl_auto(sl_stream) *stream = NULL;
    sl_time start = sl_now();
    int code = sl_connect(host, PORT, &stream);
    *ret_needed = sl_now() - start;
    if (code == 0) {
        sl_stream_peer(stream, ret_peer, SL_ADDRESS_TEXT_BYTES);
    }
    return code;
}

C_TEST_SIMULATED(prefers_v6, "IPv6 goes first; when it answers in time IPv4 is not tried", "")
{
    char peer[SL_ADDRESS_TEXT_BYTES];
    sl_time needed;
    CHECK_EQ(build(), 0);
    sl_auto(sl_listener) *listener = NULL;
    CHECK_EQ(listen_at("both", "::", &listener), 0);
    CHECK_EQ(connect_and_see("both", peer, &needed), 0);
    CHECK_STRING(peer, "[2001:db8::1]:443");
    CHECK_EQ(needed, 2 * LATENCY);
    CHECK_EQ(sl_network_counts_get().attempts, 1);
    CHECK_EQ(connect_and_see("BOTH.", peer, &needed), 0);
    return 0;
}

C_TEST_SIMULATED(refused_goes_on_at_once, "when an attempt fails the next begins at once", "")
{
    char peer[SL_ADDRESS_TEXT_BYTES];
    sl_time needed;
    CHECK_EQ(build(), 0);
    sl_auto(sl_listener) *listener = NULL;
    CHECK_EQ(listen_at("both", "0.0.0.0", &listener), 0);
    CHECK_EQ(connect_and_see("both", peer, &needed), 0);
    CHECK_STRING(peer, "192.0.2.1:443");
    CHECK_EQ(needed, 4 * LATENCY);
    return 0;
}

C_TEST_SIMULATED(silent_waits_250_ms, "when an attempt is not answered the next begins after 250 ms", "")
{
    char peer[SL_ADDRESS_TEXT_BYTES];
    sl_time needed;
    CHECK_EQ(build(), 0);
    sl_auto(sl_listener) *listener = NULL;
    CHECK_EQ(listen_at("four", "0.0.0.0", &listener), 0);
    CHECK_EQ(sl_network_link("six", NULL, &(struct sl_link_options){.ignore = 1}), 0);
    CHECK_EQ(connect_and_see("service", peer, &needed), 0);
    CHECK_STRING(peer, "192.0.2.4:443");
    CHECK_EQ(needed, SL_MILLISECONDS(250) + 2 * LATENCY);
    CHECK_EQ(sl_network_counts_get().open, 1); /* the listener's: the attempt that lost is closed */
    return 0;
}

C_TEST_SIMULATED(failure_brings_the_next, "when one fails the next begins at once, also while another still waits", "")
{
    char peer[SL_ADDRESS_TEXT_BYTES];
    sl_time needed;
    CHECK_EQ(build(), 0);
    CHECK_EQ(sl_network_alias("service", "both"), 0);
    sl_auto(sl_listener) *listener = NULL;
    CHECK_EQ(listen_at("both", "::", &listener), 0);
    CHECK_EQ(sl_network_link("six", NULL, &(struct sl_link_options){.ignore = 1}), 0);
    CHECK_EQ(connect_and_see("service", peer, &needed), 0); /* "four" refuses */
    CHECK_STRING(peer, "[2001:db8::1]:443");
    CHECK_EQ(needed, SL_MILLISECONDS(250) + 4 * LATENCY);
    CHECK_EQ(sl_network_counts_get().attempts, 3);
    return 0;
}

C_TEST_SIMULATED(slow_may_still_win, "the first attempt wins when it answers before the second", "")
{
    char peer[SL_ADDRESS_TEXT_BYTES];
    sl_time needed;
    CHECK_EQ(build(), 0);
    sl_auto(sl_listener) *six = NULL;
    sl_auto(sl_listener) *four = NULL;
    CHECK_EQ(listen_at("six", "::", &six), 0);
    CHECK_EQ(listen_at("four", "0.0.0.0", &four), 0);
    CHECK_EQ(sl_network_link("six", NULL, &(struct sl_link_options){.latency = SL_MILLISECONDS(130)}), 0);
    CHECK_EQ(connect_and_see("service", peer, &needed), 0);
    CHECK_STRING(peer, "[2001:db8::6]:443");
    CHECK_EQ(needed, SL_MILLISECONDS(260));
    CHECK_EQ(sl_network_counts_get().attempts, 2);
    /* Both in the same instant: one of them is closed. */
    CHECK_EQ(sl_network_link("six", NULL, &(struct sl_link_options){.latency = SL_MILLISECONDS(135)}), 0);
    CHECK_EQ(connect_and_see("service", peer, &needed), 0);
    CHECK_EQ(needed, SL_MILLISECONDS(270));
    for (int i = 0; i < 2; i++) {
        sl_auto(sl_stream) *stream = NULL;
        CHECK_EQ(sl_listener_accept(six, &stream), 0);
    }
    return 0;
}

C_TEST_SIMULATED(all_fail, "each failed attempt is told, the code is that of the first", "")
{
    char peer[SL_ADDRESS_TEXT_BYTES];
    sl_time needed;
    CHECK_EQ(build(), 0);
    CHECK_EQ(connect_and_see("both", peer, &needed), -ECONNREFUSED);
    const char *story = sl_error_message(sl_error_last());
    CHECK(strstr(story, "both:443") != NULL && strstr(story, "[2001:db8::1]:443 connection refused") != NULL &&
          strstr(story, "192.0.2.1:443 connection refused") != NULL);
    CHECK_EQ(sl_network_link("six", NULL, &(struct sl_link_options){.ignore = 1}), 0);
    CHECK_EQ(connect_and_see("service", peer, &needed), -ECONNREFUSED);
    CHECK_EQ(needed, SL_NETWORK_CONNECT_GIVE_UP);
    CHECK(strstr(sl_error_message(sl_error_last()), "[2001:db8::6]:443 ") != NULL);
    CHECK_EQ(connect_and_see("nobody", peer, &needed), SL_ENOHOST);
    CHECK_EQ(connect_and_see("no name", peer, &needed), SL_EINVAL);
    CHECK_EQ(sl_connect("both", 0, NULL), SL_EINVAL);
    {
        SL_SCOPE(limit, .timeout = SL_MILLISECONDS(100));
        CHECK_EQ(sl_scope_close(&limit, connect_and_see("service", peer, &needed)), SL_ETIMEDOUT);
    }
    sl_stream *stream = NULL;
    struct sl_connect_options from = {.address = "both", .port = PORT, .local_address = "10.0.0.1"};
    CHECK_EQ(sl_connect_with(&from, &stream), -EAFNOSUPPORT); /* and IPv4 refused */
    CHECK_EQ(sl_network_counts_get().open, 0);
    return 0;
}

C_TEST_SIMULATED(names_of_hosts, "names are looked up among the hosts", "")
{
    struct sl_addresses addresses;
    CHECK_EQ(build(), 0);
    CHECK_EQ(sl_resolve("both", SL_FAMILY_ANY, &addresses), 0);
    CHECK_EQ(addresses.count, 2);
    CHECK_STRING(addresses.text[0], "2001:db8::1");
    CHECK_STRING(addresses.text[1], "192.0.2.1");
    CHECK_EQ(sl_resolve("four", SL_FAMILY_V6, &addresses), SL_ENOHOST);
    CHECK_EQ(sl_resolve("four", SL_FAMILY_V4, &addresses), 0);
    CHECK_EQ(sl_resolve("nobody", SL_FAMILY_ANY, &addresses), SL_ENOHOST);
    CHECK_EQ(sl_resolve("localhost", SL_FAMILY_ANY, &addresses), 0);
    CHECK_STRING(addresses.text[0], "::1");
    CHECK_EQ(sl_resolve("192.0.2.77", SL_FAMILY_ANY, &addresses), 0);
    CHECK_EQ(addresses.count, 1);
    CHECK_EQ(sl_network_alias("x", "nobody"), SL_ENOENT);
    return 0;
}

/* ---- ways out ---- */

static int race(void *arg)
{
    char peer[SL_ADDRESS_TEXT_BYTES];
    sl_time needed;
    (void)arg;
    SL_TRY(build());
    sl_auto(sl_listener) *listener = NULL;
    SL_TRY(listen_at("four", "0.0.0.0", &listener));
    SL_TRY(sl_network_link("six", NULL, &(struct sl_link_options){.ignore = 1}));
    int code = connect_and_see("service", peer, &needed);
    EXPECT(sl_network_counts_get().open <= 1);
    return code;
}

C_TEST_RUNS(every_allocation_may_fail, "the n-th allocation fails, for every n", "")
{
    if (options->simulation == NULL || options->shuffle_seed > 2) {
        return 0;
    }
    int64_t held = sl_memory_held();
    for (int64_t n = 0;; n++) {
        sl_memory_fail_after(n);
        int code = sl_run(options, race, NULL, NULL);
        int failed = sl_memory_failed();
        sl_memory_fail_after(-1);
        CHECK_EQ(sl_memory_held(), held);
        if (!failed) {
            CHECK(n > 20);
            return code;
        }
        CHECK(code == 0 || code == SL_ENOMEM);
    }
}

C_TEST_RUNS(cancelled_anywhere, "cancelled after the n-th step, for every n", "")
{
    if (options->simulation == NULL) {
        return 0;
    }
    CHECK(cancel_at_each_step(options, race, NULL) > 5);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(prefers_v6), cmocka_unit_test(refused_goes_on_at_once),
             cmocka_unit_test(silent_waits_250_ms), cmocka_unit_test(failure_brings_the_next),
             cmocka_unit_test(slow_may_still_win), cmocka_unit_test(all_fail), cmocka_unit_test(names_of_hosts),
             cmocka_unit_test(every_allocation_may_fail), cmocka_unit_test(cancelled_anywhere))
