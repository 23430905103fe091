/* SPDX-License-Identifier: MIT */
/* The resolver, against a name server of the test's own. Time to live passes on the virtual clock. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dns_server.h"
#include "sl_conformance.h"
#include "sluice/dns.h"
#include "sluice/memory.h"

static int configure(void)
{
    return sl_resolver_configure(&(struct sl_resolver_options){.servers = dns_server(), .timeout = SL_SECONDS(2)});
}

/* A name that no other run asks for: counts begin anew. */
static const char *fresh(const char *kind)
{
    static char name[64];
    static int number;
    (void)snprintf(name, sizeof name, "%s.n%d.test", kind, ++number);
    return name;
}

C_TEST_SIMULATED(addresses, "both families, aliases, truncated answers, more addresses than are used", "")
{
    struct sl_addresses addresses;
    CHECK_EQ(configure(), 0);
    CHECK_EQ(sl_resolve(fresh("a"), SL_FAMILY_ANY, &addresses), 0);
    CHECK_EQ(addresses.count, 2);
    CHECK_STRING(addresses.text[0], "2001:db8::1");
    CHECK_STRING(addresses.text[1], "127.0.0.1");
    CHECK_EQ(sl_resolve(fresh("four"), SL_FAMILY_ANY, &addresses), 0);
    CHECK_EQ(addresses.count, 1);
    CHECK_EQ(sl_resolve(fresh("four"), SL_FAMILY_V6, &addresses), SL_ENOHOST);
    CHECK_EQ(sl_resolve(fresh("alias"), SL_FAMILY_V4, &addresses), 0);
    CHECK_STRING(addresses.text[0], "127.0.0.1");
    CHECK_EQ(sl_resolve(fresh("big"), SL_FAMILY_V4, &addresses), 0);
    CHECK_EQ(addresses.count, SL_RESOLVE_MAX);
    CHECK_EQ(sl_resolve(fresh("many"), SL_FAMILY_ANY, &addresses), 0);
    CHECK_EQ(addresses.count, 2 * SL_RESOLVE_MAX);
    return 0;
}

C_TEST_SIMULATED(failures, "no such name, servers that fail, bad names: each its own error", "")
{
    struct sl_addresses addresses;
    CHECK_EQ(configure(), 0);
    CHECK_EQ(sl_resolve(fresh("nx"), SL_FAMILY_ANY, &addresses), SL_ENOHOST);
    CHECK(strstr(sl_error_message(sl_error_last()), "nx.n") != NULL);
    CHECK_EQ(sl_resolve(fresh("fail"), SL_FAMILY_V4, &addresses), SL_ERESOLVE);
    CHECK(strstr(sl_error_message(sl_error_last()), "fail.n") != NULL);
    CHECK_EQ(sl_resolve("", SL_FAMILY_V4, &addresses), SL_EINVAL);
    CHECK_EQ(sl_resolve("a b", SL_FAMILY_V4, &addresses), SL_EINVAL);
    CHECK_EQ(sl_resolve("http://a.test", SL_FAMILY_V4, &addresses), SL_EINVAL);
    CHECK_EQ(sl_resolve("a..test", SL_FAMILY_V4, &addresses), SL_EINVAL);
    char longer[300];
    memset(longer, 'x', sizeof longer);
    longer[299] = '\0';
    CHECK_EQ(sl_resolve(longer, SL_FAMILY_V4, &addresses), SL_EINVAL);
    struct sl_resolver_options bad = {.servers = "nonsense"};
    CHECK_EQ(sl_resolver_configure(&bad), SL_EINVAL);
    bad = (struct sl_resolver_options){.tries = -1};
    CHECK_EQ(sl_resolver_configure(&bad), SL_EINVAL);
    return 0;
}

C_TEST_REAL_FEW(lost_questions, "a lost question is asked again; servers that never answer are an error in time", "")
{
    struct sl_addresses addresses;
    struct sl_resolver_options options = {.servers = dns_server(), .timeout = SL_MILLISECONDS(50), .tries = 6};
    CHECK_EQ(sl_resolver_configure(&options), 0);
    CHECK_EQ(sl_resolve(fresh("lost"), SL_FAMILY_V4, &addresses), 0);
    options.tries = 2;
    CHECK_EQ(sl_resolver_configure(&options), 0);
    CHECK_EQ(sl_resolve(fresh("never"), SL_FAMILY_V4, &addresses), SL_ERESOLVE);
    CHECK_EQ(sl_resolve(fresh("garbage"), SL_FAMILY_V4, &addresses), SL_ERESOLVE);
    CHECK_EQ(sl_resolver_counts_get().failed, 2);
    return 0;
}

C_TEST_SIMULATED(kept_for_their_ttl, "answers are kept while they live, also that there is none", "")
{
    struct sl_addresses addresses;
    CHECK_EQ(configure(), 0);
    const char *name = fresh("ttl");
    CHECK_EQ(sl_resolve(name, SL_FAMILY_V4, &addresses), 0);
    CHECK_EQ(sl_resolve(name, SL_FAMILY_V4, &addresses), 0);
    CHECK_EQ(dns_server_asked(name), 1);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(999)), 0);
    CHECK_EQ(sl_resolve(name, SL_FAMILY_V4, &addresses), 0);
    CHECK_EQ(dns_server_asked(name), 1);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    CHECK_EQ(sl_resolve(name, SL_FAMILY_V4, &addresses), 0);
    CHECK_EQ(dns_server_asked(name), 2);
    name = fresh("nx");
    CHECK_EQ(sl_resolve(name, SL_FAMILY_V4, &addresses), SL_ENOHOST);
    CHECK_EQ(sl_resolve(name, SL_FAMILY_V4, &addresses), SL_ENOHOST);
    CHECK_EQ(dns_server_asked(name), 1);
    CHECK_EQ(sl_sleep(SL_RESOLVER_TTL_NEGATIVE), 0);
    CHECK_EQ(sl_resolve(name, SL_FAMILY_V4, &addresses), SL_ENOHOST);
    CHECK_EQ(dns_server_asked(name), 2);
    name = fresh("alias"); /* lives as long as its alias, two seconds */
    CHECK_EQ(sl_resolve(name, SL_FAMILY_V4, &addresses), 0);
    CHECK_EQ(sl_sleep(SL_SECONDS(2)), 0);
    CHECK_EQ(sl_resolve(name, SL_FAMILY_V4, &addresses), 0);
    CHECK_EQ(dns_server_asked(name), 2);
    name = fresh("fail"); /* not kept */
    CHECK_EQ(sl_resolve(name, SL_FAMILY_V4, &addresses), SL_ERESOLVE);
    int asked = dns_server_asked(name);
    CHECK_EQ(sl_resolve(name, SL_FAMILY_V4, &addresses), SL_ERESOLVE);
    CHECK(dns_server_asked(name) > asked);
    CHECK_EQ(sl_resolver_configure(&(struct sl_resolver_options){
                 .servers = dns_server(), .timeout = SL_SECONDS(2), .ttl_max = SL_MILLISECONDS(300)}),
             0);
    name = fresh("ttl"); /* a second, but not longer than we want */
    CHECK_EQ(sl_resolve(name, SL_FAMILY_V4, &addresses), 0);
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(300)), 0);
    CHECK_EQ(sl_resolve(name, SL_FAMILY_V4, &addresses), 0);
    CHECK_EQ(dns_server_asked(name), 2);
    name = fresh("A");
    CHECK_EQ(sl_resolve(name, SL_FAMILY_V4, &addresses), 0);
    CHECK_EQ(configure(), 0); /* forgets */
    CHECK_EQ(sl_resolver_counts_get().kept, 0);
    return 0;
}

struct asker {
    const char *name;
    int code;
};

static int ask(void *arg)
{
    struct asker *asker = arg;
    struct sl_addresses addresses;
    asker->code = sl_resolve(asker->name, SL_FAMILY_V4, &addresses);
    return asker->code == SL_ECANCELED ? asker->code : 0;
}

C_TEST_SIMULATED(shared, "look-ups of one name at the same time share one question", "")
{
    CHECK_EQ(configure(), 0);
    struct asker askers[10];
    const char *name = fresh("slow");
    SL_SCOPE(scope);
    for (int i = 0; i < 10; i++) {
        askers[i] = (struct asker){name, 1};
        CHECK_EQ(sl_spawn(&scope, ask, &askers[i]), 0);
    }
    CHECK_EQ(sl_scope_wait(&scope), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(askers[i].code, 0);
    }
    CHECK_EQ(dns_server_asked(name), 1);
    CHECK_EQ(sl_resolver_counts_get().joined, 9);
    CHECK_EQ(sl_resolver_counts_get().under_way, 0);
    return 0;
}

C_TEST_REAL_FEW(not_held_up, "a look-up that gets no answer holds up no other, and can be left", "")
{
    struct sl_addresses addresses;
    CHECK_EQ(configure(), 0);
    struct asker stuck[50];
    char names[50][64];
    SL_SCOPE(scope);
    for (int i = 0; i < 50; i++) {
        (void)snprintf(names[i], sizeof names[i], "never.%d.%s", i, fresh("x"));
        stuck[i] = (struct asker){names[i], 1};
        CHECK_EQ(sl_spawn(&scope, ask, &stuck[i]), 0);
    }
    CHECK_EQ(sl_checkpoint(), 0);
    {
        SL_SCOPE(limit, .timeout = SL_SECONDS(1)); /* far less than the others' patience */
        CHECK_EQ(sl_scope_close(&limit, sl_resolve(fresh("a"), SL_FAMILY_V4, &addresses)), 0);
    }
    CHECK_EQ(sl_resolver_counts_get().under_way, 50);
    CHECK_EQ(sl_resolver_configure(&(struct sl_resolver_options){.tries = 1}), SL_EBUSY);
    sl_scope_cancel(&scope, NULL);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    return 0;
}

C_TEST_SIMULATED(bounded, "what is kept is bounded", "")
{
    struct sl_addresses addresses;
    if (sl_conformance_seed() > 1) {
        return 0;
    }
    CHECK_EQ(configure(), 0);
    for (int i = 0; i < SL_RESOLVER_CACHE_MAX + 500; i++) {
        CHECK_EQ(sl_resolve(fresh("a"), SL_FAMILY_V4, &addresses), 0);
    }
    CHECK(sl_resolver_counts_get().kept <= SL_RESOLVER_CACHE_MAX);
    CHECK(sl_resolver_counts_get().kept > SL_RESOLVER_CACHE_MAX / 2);
    return 0;
}

C_TEST_SIMULATED(hosts_file, "the hosts file and localhost ask no server", "")
{
    struct sl_addresses addresses;
    char path[] = "/tmp/sluice-hosts-XXXXXX";
    static const char line[] = "127.0.0.77 here.test\n";
    int file = mkstemp(path);
    CHECK(file >= 0 && write(file, line, sizeof line - 1) == sizeof line - 1);
    (void)close(file);
    (void)setenv("CARES_HOSTS", path, 1);
    CHECK_EQ(configure(), 0);
    int code = sl_resolve("here.test", SL_FAMILY_V4, &addresses);
    (void)unlink(path);
    (void)unsetenv("CARES_HOSTS");
    CHECK_EQ(code, 0);
    CHECK_STRING(addresses.text[0], "127.0.0.77");
    CHECK_EQ(dns_server_asked("here.test"), 0);
    CHECK_EQ(sl_resolve("localhost", SL_FAMILY_ANY, &addresses), 0);
    CHECK_EQ(sl_resolve("a.LocalHost.", SL_FAMILY_V4, &addresses), 0);
    CHECK_STRING(addresses.text[0], "127.0.0.1");
    CHECK_EQ(sl_resolver_counts_get().asked, 1);
    return 0;
}

/* ---- connecting by name ---- */

C_TEST_REAL(connects_by_name, "sl_connect() takes names, also when IPv6's answer never comes", "")
{
    CHECK_EQ(configure(), 0);
    sl_auto(sl_listener) *listener = NULL;
    CHECK_EQ(sl_listener_open("127.0.0.1", 0, &listener), 0);
    int port = sl_listener_port(listener);
    const char *kinds[] = {"four", "nov6"};
    for (int i = 0; i < 2; i++) {
        sl_auto(sl_stream) *stream = NULL;
        sl_auto(sl_stream) *other = NULL;
        CHECK_EQ(sl_connect(fresh(kinds[i]), port, &stream), 0);
        CHECK_EQ(sl_listener_accept(listener, &other), 0);
    }
    sl_stream *none = NULL;
    CHECK_EQ(sl_connect(fresh("nx"), port, &none), SL_ENOHOST);
    return 0;
}

/* ---- ways out ---- */

static const char *one_name;

static int look_up_and_connect(void *arg)
{
    struct sl_addresses addresses;
    (void)arg;
    SL_TRY(configure());
    SL_TRY(sl_resolve(one_name, SL_FAMILY_V4, &addresses));
    return sl_resolve(one_name, SL_FAMILY_V4, &addresses);
}

static void every_allocation_may_fail(void **state)
{
    static const struct sl_simulation_options simulation = {.seed = 1};
    const struct sl_run_options options = {.simulation = &simulation};
    (void)state;
    one_name = fresh("four");
    (void)dns_server();
    assert_int_equal(sl_run(&options, look_up_and_connect, NULL, NULL), 0);
    int64_t held = sl_memory_held();
    for (int64_t n = 0;; n++) {
        sl_memory_fail_after(n);
        int code = sl_run(&options, look_up_and_connect, NULL, NULL);
        int failed = sl_memory_failed();
        sl_memory_fail_after(-1);
        assert_int_equal(sl_memory_held(), held);
        if (!failed) {
            assert_int_equal(code, 0);
            assert_true(n > 10);
            return;
        }
        if (code != 0 && code != SL_ENOMEM && code != SL_ERESOLVE) {
            print_error("allocation %lld: %s\n", (long long)n, sl_error_name(code));
        }
        /* c-ares tells some of its own as a question that failed. */
        assert_true(code == 0 || code == SL_ENOMEM || code == SL_ERESOLVE);
    }
}

SL_TEST_MAIN(cmocka_unit_test(addresses), cmocka_unit_test(failures), cmocka_unit_test(lost_questions),
             cmocka_unit_test(kept_for_their_ttl), cmocka_unit_test(shared), cmocka_unit_test(not_held_up),
             cmocka_unit_test(bounded), cmocka_unit_test(hosts_file), cmocka_unit_test(connects_by_name),
             cmocka_unit_test(every_allocation_may_fail))
