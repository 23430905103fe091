/* SPDX-License-Identifier: MIT */
/* History of a venue that does not go on: it answers what it has answered before, and a walk ends all the same. */
#include <stdio.h>
#include <string.h>

#include "ingest/history/history.h"
#include "scripted_server.h"
#include "sl_test.h"

struct repeat {
    struct scripted_server server;
    sl_instruments *instruments;
    sl_http_client *http;
    uint64_t events;
};

static int count_event(void *arg, const sl_market_event *event)
{
    (void)event;
    ((struct repeat *)arg)->events++;
    return 0;
}

static int forget_checkpoint(void *arg, const char *progress)
{
    (void)arg;
    (void)progress;
    return 0;
}

/* What a walk ends with, and how many requests it took. */
static int walk_again(struct repeat *repeat, sl_venue venue, const struct sl_history_wish *wish, const char *progress)
{
    char origin[sizeof repeat->server.url];
    (void)snprintf(origin, sizeof origin, "%.*s", (int)strlen(repeat->server.url) - 1, repeat->server.url);
    const struct sl_history_options options = {.driver = sl_venue_driver_of(venue),
                                               .instruments = repeat->instruments,
                                               .http = repeat->http,
                                               .rest_origin = origin,
                                               .arg = repeat,
                                               .event = count_event,
                                               .checkpoint = forget_checkpoint};
    struct sl_history_wish full = *wish;
    const sl_instrument *instrument = NULL;
    SL_TRY(sl_instruments_add(repeat->instruments, &(sl_instrument){.venue = venue, .symbol = "A/B"}, &instrument));
    full.instrument = instrument;
    repeat->events = 0;
    return sl_history_walk(&options, &full, progress);
}

static int with_repeat(int (*act)(struct repeat *repeat))
{
    static struct repeat repeat;
    repeat = (struct repeat){.events = 0};
    CHECK_EQ(sl_instruments_new(0, &repeat.instruments), 0);
    CHECK_EQ(sl_http_client_open(NULL, &repeat.http), 0);
    CHECK_EQ(scripted_server_start(&repeat.server), 0);
    int code = act(&repeat);
    int stopped = scripted_server_stop(&repeat.server);
    sl_http_client_free(repeat.http);
    sl_instruments_free(repeat.instruments);
    return code < 0 ? code : stopped;
}

#define AGGREGATE(id)                                                                                                  \
    "{\"a\":" #id ",\"p\":\"1.0\",\"q\":\"1.0\",\"f\":" #id ",\"l\":" #id ",\"T\":1700000000000,\"m\":true}"

static int repeat_ids(struct repeat *repeat)
{
    const struct sl_history_wish between = {.feed = SL_FEED_AGG_TRADES, .from_id = 9, .to_id = 13};
    struct sl_history_wish newest = between;
    newest.to_id = SL_HISTORY_NEWEST;
    SCRIPT(&repeat->server, {.body = "[" AGGREGATE(10) "," AGGREGATE(11) "]"});
    CHECK_EQ(walk_again(repeat, SL_VENUE_BINANCE_SPOT, &between, ""), SL_EAGAIN); /* 12 is missing, so far */
    CHECK_EQ(repeat->server.seen, 2);
    CHECK_EQ(walk_again(repeat, SL_VENUE_BINANCE_SPOT, &newest, ""), 0);
    CHECK_EQ(repeat->server.seen, 4);
    SCRIPT(&repeat->server, {.body = "[" AGGREGATE(10) "]"}, {.body = "[" AGGREGATE(11) "]"},
           {.body = "[" AGGREGATE(12) "]"}); /* small, but further each time */
    CHECK_EQ(walk_again(repeat, SL_VENUE_BINANCE_SPOT, &between, ""), 0);
    CHECK_EQ(repeat->server.seen, 3);
    CHECK_EQ(repeat->events, 3);
    return 0;
}

C_TEST_SIMULATED(the_same_page_again_is_the_end_of_ids, "", "")
{
    return with_repeat(repeat_ids);
}

#define PAGE 1000
#define PAGE_BYTES 65536

/* A full one of Kraken's, of the trades from an id on, a second each. */
static const char *page(char text[PAGE_BYTES], int first_id, int cursor)
{
    size_t size = (size_t)snprintf(text, PAGE_BYTES, "{\"error\":[],\"result\":{\"A/B\":[");
    for (int at = 0; at < PAGE; at++) {
        int id = first_id + at;
        size += (size_t)snprintf(text + size, PAGE_BYTES - size, "%s[\"1.0\",\"1.0\",%d.5,\"b\",\"m\",\"\",%d]",
                                 at == 0 ? "" : ",", 1700000000 + id, id);
    }
    (void)snprintf(text + size, PAGE_BYTES - size, "],\"last\":\"%d\"}}", cursor);
    return text;
}

static int repeat_cursors(struct repeat *repeat)
{
    static char first[PAGE_BYTES], second[PAGE_BYTES], other[PAGE_BYTES];
    const struct sl_history_wish wish = {.feed = SL_FEED_TRADES,
                                         .from_time_ns = SL_SECONDS(INT64_C(1700000000)),
                                         .to_time_ns = SL_SECONDS(INT64_C(1800000000))};
    SCRIPT(&repeat->server, {.body = page(first, 1, 7)}); /* the same for ever */
    CHECK_EQ(walk_again(repeat, SL_VENUE_KRAKEN, &wish, ""), SL_EPROTO);
    CHECK_EQ(repeat->server.seen, 2);
    CHECK_EQ(walk_again(repeat, SL_VENUE_KRAKEN, &wish, "c7"), SL_EPROTO); /* also where a walk goes on */
    CHECK_EQ(repeat->server.seen, 4);
    SCRIPT(&repeat->server, {.body = first}, {.body = page(second, PAGE + 1, 8)}, {.body = first}, {.body = second});
    CHECK_EQ(walk_again(repeat, SL_VENUE_KRAKEN, &wish, ""), SL_EPROTO); /* back to the first */
    CHECK_EQ(repeat->server.seen, 3);
    SCRIPT(&repeat->server, {.body = first}, {.body = page(other, 1, 9)}); /* by another name */
    CHECK_EQ(walk_again(repeat, SL_VENUE_KRAKEN, &wish, ""), SL_EPROTO);
    CHECK_EQ(repeat->server.seen, 2);
    SCRIPT(&repeat->server, {.body = first}, {.body = second},
           {.body = "{\"error\":[],\"result\":{\"A/B\":[],\"last\":\"8\"}}"});
    CHECK_EQ(walk_again(repeat, SL_VENUE_KRAKEN, &wish, ""), 0);
    CHECK_EQ(repeat->events, 2 * PAGE);
    return 0;
}

C_TEST_SIMULATED(the_same_page_again_is_told_where_answers_say_how_to_go_on, "", "")
{
    return with_repeat(repeat_cursors);
}

#define OLD_CANDLE                                                                                                     \
    "[[1700000000000,\"1.0\",\"2.0\",\"0.5\",\"1.5\",\"1.0\",1700000059999,\"9.0\",7,\"3.0\",\"4.0\",\"0\"]]"

static int repeat_candles(struct repeat *repeat)
{
    const struct sl_history_wish wish = {.feed = SL_FEED_CANDLES,
                                         .interval_ns = SL_MINUTES(1),
                                         .from_time_ns = SL_SECONDS(INT64_C(1700000040)),
                                         .to_time_ns = SL_SECONDS(INT64_C(1700000040)) +
                                                       SL_MINUTES(5 * (sl_time)SL_HISTORY_CANDLES)};
    SCRIPT(&repeat->server, {.body = OLD_CANDLE});
    CHECK_EQ(walk_again(repeat, SL_VENUE_BINANCE_SPOT, &wish, ""), 0);
    CHECK_EQ(repeat->server.seen, 5);
    return 0;
}

C_TEST_SIMULATED(the_same_candles_again_do_not_hold_up_a_walk, "", "")
{
    return with_repeat(repeat_candles);
}

SL_TEST_MAIN(cmocka_unit_test(the_same_page_again_is_the_end_of_ids),
             cmocka_unit_test(the_same_page_again_is_told_where_answers_say_how_to_go_on),
             cmocka_unit_test(the_same_candles_again_do_not_hold_up_a_walk))
