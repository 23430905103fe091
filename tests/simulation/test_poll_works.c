/* SPDX-License-Identifier: MIT */
/* `kind: poll` at a venue that stops to answer: after so many turns in a row the service says that it does not work. */
#include <stdio.h>
#include <string.h>

#include "ingest/poll/poll.h"
#include "program_rig.h"
#include "sl_test.h"
#include "sluice/runtime.h"

#define IN_A_ROW 16

struct rig {
    struct program_rig rig; /* the first member */
    enum { SAY_PRICE, SAY_NONSENSE, BREAK_DOWN } mood;
};

static int answer(void *arg, sl_http_exchange *exchange)
{
    static const char list[] = "{\"symbols\":[{\"symbol\":\"AUSDT\",\"status\":\"TRADING\",\"baseAsset\":\"A\","
                               "\"quoteAsset\":\"USDT\",\"filters\":[]}]}",
                      price[] = "{\"symbol\":\"AUSDT\",\"bidPrice\":\"1.5\",\"bidQty\":\"1\",\"askPrice\":\"2.0\","
                                "\"askQty\":\"1\"}";
    struct rig *rig = arg;
    if (strstr(sl_http_target(exchange->request), "exchangeInfo") != NULL) {
        return sl_http_respond(exchange, 200, "application/json", list, sizeof list - 1);
    }
    const char *body = rig->mood == SAY_PRICE ? price : "[[";
    return sl_http_respond(exchange, rig->mood == BREAK_DOWN ? 500 : 200, "application/json", body, strlen(body));
}

static struct sl_service_look look_at(const struct rig *rig)
{
    struct sl_service_look look = {.works = false};
    (void)sl_service_look(program_rig_service(&rig->rig, "p"), &look);
    return look;
}

static struct sl_poll_stats stats_of(const struct rig *rig)
{
    struct sl_poll_stats stats = {.held = 0};
    (void)sl_poll_get_stats(program_rig_service(&rig->rig, "p"), &stats);
    return stats;
}

static int until_followed(const struct rig *rig)
{
    while (program_rig_service(&rig->rig, "p") == NULL || stats_of(rig).wanted == 0) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(10)));
    }
    return 0;
}

/* Turns that end so: so many of them, one after the other. */
static int turns(struct rig *rig, bool good, uint64_t count)
{
    const uint64_t *events = &program_rig_service(&rig->rig, "p")->events;
    uint64_t before = good ? *events : stats_of(rig).failures[SL_POLL_FAILED_BODY], now = before;
    rig->mood = good ? SAY_PRICE : SAY_NONSENSE;
    while (now < before + count) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(100)));
        now = good ? *events : stats_of(rig).failures[SL_POLL_FAILED_BODY];
    }
    assert_int_equal(now, before + count);
    return 0;
}

static int fail_in_a_row(struct program_rig *program)
{
    struct rig *rig = (struct rig *)program;
    SL_TRY(until_followed(rig));
    SL_TRY(turns(rig, true, 1));
    for (int again = 0; again < 3; again++) { /* one answer, and it begins to count anew */
        SL_TRY(turns(rig, false, IN_A_ROW - 1));
        assert_true(look_at(rig).works);
        SL_TRY(turns(rig, true, 1));
        assert_true(look_at(rig).works);
    }
    SL_TRY(turns(rig, false, IN_A_ROW));
    assert_false(look_at(rig).works);
    assert_string_equal(look_at(rig).reason, "requests are not answered");
    SL_TRY(turns(rig, false, IN_A_ROW));
    assert_false(look_at(rig).works);
    SL_TRY(turns(rig, true, 1));
    assert_true(look_at(rig).works);
    return 0;
}

/* The venue said that it broke down, or the breaker refused to let it be asked once more. */
static uint64_t failures_of(const struct rig *rig)
{
    struct sl_poll_stats stats = stats_of(rig);
    return stats.failures[SL_POLL_FAILED_STATUS] + stats.failures[SL_POLL_FAILED_NETWORK];
}

/* Turns that are put off because the breaker is open are neither failures nor answers. */
static int fail_and_wait(struct program_rig *program)
{
    struct rig *rig = (struct rig *)program;
    SL_TRY(until_followed(rig));
    SL_TRY(turns(rig, true, 1));
    rig->mood = BREAK_DOWN;
    for (int seconds = 0; failures_of(rig) < IN_A_ROW; seconds++) {
        assert_true(look_at(rig).works);
        assert_true(seconds < 36000);
        SL_TRY(sl_sleep(SL_SECONDS(1)));
    }
    assert_false(look_at(rig).works);
    assert_true(stats_of(rig).held > IN_A_ROW);
    return 0;
}

static void play(int attempts, const char *more, int (*act)(struct program_rig *program))
{
    char config[PROGRAM_RIG_CONFIG_BYTES];
    (void)snprintf(config, sizeof config,
                   "services: { p: { kind: poll, venue: binance, sinks: [out], instruments: [A-USDT], channel: best, "
                   "interval: 5s, breaker: b, retry: r } }\n"
                   "retry: { r: { attempts: %d } }\n"
                   "breakers: { b: { %s } }\n"
                   "sinks: { out: { kind: websocket, listen: \"127.0.0.1:7001\" } }\n",
                   attempts, more);
    struct rig rig = {
        .rig = {.venue = SL_VENUE_BINANCE_SPOT, .instruments = 1, .answer = answer, .config = config, .conduct = act}};
    assert_int_equal(program_rig_run(&rig.rig), 0);
}

static void a_service_works_until_so_many_turns_in_a_row_fail(void **state)
{
    (void)state;
    play(1, "", fail_in_a_row);
}

static void a_turn_that_is_put_off_does_not_count(void **state)
{
    (void)state;
    for (int attempts = 1; attempts <= 3; attempts++) { /* with more, the breaker may refuse what a turn asks again */
        play(attempts, "min_calls: 4, window_calls: 4, open_for: 30s", fail_and_wait);
    }
}

SL_TEST_MAIN(cmocka_unit_test(a_service_works_until_so_many_turns_in_a_row_fail),
             cmocka_unit_test(a_turn_that_is_put_off_does_not_count))
