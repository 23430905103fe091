/* SPDX-License-Identifier: MIT */
/* The program's configuration: what a file becomes, and how services read it. */
#include "conf_support.h"

/* The file of the design, word for word. */
static const char example[] =
    "services:\n"
    "  binance-books:\n"
    "    kind: book                       # stream | book | poll | backfill | receive\n"
    "    venue: binance\n"
    "    instruments: [\"BTC-USDT\", \"ETH-*\"]\n"
    "    connections: { redundancy: 2, max_streams: 200 }\n"
    "    retry: default\n"
    "    sinks: [archive, bus]\n"
    "limits:\n"
    "  binance-rest: { rates: [{ rate: 6000/1m, cost: weight }], adapt: headers, shared: redis }\n"
    "retry:\n"
    "  default: { attempts: 0, initial: 250ms, max: 30s, multiplier: 2, jitter: full, total: 0s }\n"
    "coordination: { backend: redis, url: \"redis://localhost:6379\", group: md, partitions: 64, ttl: 10s }\n"
    "sinks:\n"
    "  archive: { kind: sqlite, path: market.db }\n"
    "  bus: { kind: rabbitmq, url: \"amqp://localhost\", exchange: market, confirm: true, when_full: spool }\n"
    "admin: { listen: \"127.0.0.1:8080\" }\n";

static void the_example_becomes_structs(void **state)
{
    (void)state;
    sl_auto(sl_config) *config = conf_loaded(example);
    const struct sl_conf *conf = conf_of(config);
    assert_int_equal(conf->services.count, 1);
    const struct sl_config_variant *service = sl_conf_service_find(conf, "binance-books");
    assert_non_null(service);
    assert_null(sl_conf_service_find(conf, "binance-book"));
    assert_int_equal(sl_conf_service_kind(service), SL_CONF_BOOK);
    const struct sl_conf_book *book = service->value;
    assert_true(book->common.enabled);
    assert_int_equal(book->common.sinks.count, 2);
    assert_int_equal(book->connections.redundancy, 2);
    assert_int_equal(book->connections.max_streams, 200);
    assert_int_equal(book->connections.max_message_bytes, 16 << 20);
    const struct sl_conf_market *market = sl_conf_market(service);
    assert_int_equal(market->venue, SL_CONF_VENUE_BINANCE);
    assert_int_equal(market->instruments.count, 2);
    assert_string_equal(*(const char *const *)sl_config_list_at(&market->instruments, 1), "ETH-*");
    assert_string_equal(sl_conf_limit_of(conf, service), "binance-rest");
    assert_string_equal(sl_conf_retry_of(conf, service), "default");
    assert_null(sl_conf_breaker_of(conf, service));
    assert_int_equal(sl_conf_partitions(conf), 64);
    const struct sl_config_variant *bus = sl_conf_sink_find(conf, "bus");
    assert_int_equal(sl_conf_sink_kind(bus), SL_CONF_RABBITMQ);
    assert_int_equal(sl_conf_sink(bus)->when_full, SL_CONF_FULL_SPOOL);
    assert_int_equal(sl_conf_sink(bus)->queue, 65536);
    struct sl_retry_policy policy;
    sl_conf_retry_policy(sl_config_map_find(&conf->retry, "default"), &policy);
    assert_int_equal(policy.attempts, SL_ATTEMPTS_UNLIMITED);
    assert_int_equal(policy.initial, SL_MILLISECONDS(250));
    assert_int_equal(policy.total, SL_NEVER);
}

SL_TEST_MAIN(cmocka_unit_test(the_example_becomes_structs))
