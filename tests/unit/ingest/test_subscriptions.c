/* SPDX-License-Identifier: MIT */
/* The way of subscriptions from wanted to active: services/ingest/stream/subscriptions.h, with a venue made up for it. */
#include "ingest/stream/subscriptions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sl_test.h"

/* ---- a venue: messages are "+id sym sym" and "-id sym" ---- */

static int write_message(const sl_subscription *subscriptions, size_t count, bool off, int64_t id, char *buffer,
                         size_t capacity, size_t *ret_size_bytes)
{
    int size = snprintf(buffer, capacity, "%c%lld", off ? '-' : '+', (long long)id);
    for (size_t at = 0; at < count; at++) {
        if (strcmp(subscriptions[at].instrument->symbol, "BAD") == 0) {
            return at > 0 ? (int)at : SL_EINVAL;
        }
        size += snprintf(buffer + size, capacity - (size_t)size, " %s", subscriptions[at].instrument->symbol);
        *ret_size_bytes = (size_t)size;
    }
    return (int)count;
}

static sl_venue_driver make_driver(void)
{
    return (sl_venue_driver){.title = "a venue of the test",
                             .subscribe = write_message,
                             .limits = {.per_message = 3,
                                        .messages = 2,
                                        .messages_burst = 2,
                                        .messages_per = SL_SECONDS(1),
                                        .acknowledges = true,
                                        .ack_within = SL_SECONDS(5)}};
}

struct kit {
    sl_venue_driver driver;
    sl_instrument instruments[8];
    sl_subscriptions *subscriptions;
    char text[256];
    sl_time when;
};

static void open_kit(struct kit *kit, size_t count)
{
    memset(kit, 0, sizeof *kit);
    kit->driver = make_driver();
    assert_int_equal(sl_subscriptions_new(&kit->driver, NULL, &kit->subscriptions), 0);
    for (size_t at = 0; at < 8; at++) {
        kit->instruments[at].index = (uint32_t)at;
        (void)snprintf(kit->instruments[at].symbol, SL_SYMBOL_MAX, "S%zu", at);
    }
    for (size_t at = 0; at < count; at++) {
        sl_subscription what = {.feed = SL_FEED_TRADES, .instrument = &kit->instruments[at]};
        assert_int_equal(sl_subscriptions_add(kit->subscriptions, &what), 1);
        assert_int_equal(sl_subscriptions_add(kit->subscriptions, &what), 0);
    }
}

static void close_kit(struct kit *kit)
{
    sl_subscriptions_free(kit->subscriptions);
}

/* The next message, "" if there is none. */
static const char *next(struct kit *kit, sl_time now)
{
    size_t size_bytes = 0;
    int code = sl_subscriptions_next(kit->subscriptions, now, kit->text, sizeof kit->text, &size_bytes, &kit->when);
    assert_true(code >= 0);
    kit->text[code == 0 ? 0 : size_bytes] = '\0';
    return kit->text;
}

static size_t count_of(const struct kit *kit, sl_subscription_state state)
{
    return sl_subscriptions_get_stats(kit->subscriptions)->count[state];
}

static int tell(struct kit *kit, sl_notice_kind kind, int64_t id, size_t index, bool permanent, sl_time now)
{
    sl_venue_notice notice = {.kind = kind, .request_id = id, .permanent = permanent, .feed = SL_FEED_TRADES};
    if (id == 0) {
        notice.instrument = &kit->instruments[index];
    }
    return sl_subscriptions_notice(kit->subscriptions, &notice, now);
}

#define T0 SL_SECONDS(100)

static void messages_are_batched_and_paced(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 8);
    assert_string_equal(next(&kit, T0), ""); /* not connected */
    assert_int_equal(kit.when, SL_NEVER);
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    assert_string_equal(next(&kit, T0), "+1 S0 S1 S2");
    assert_string_equal(next(&kit, T0), "+2 S3 S4 S5");
    assert_string_equal(next(&kit, T0), "");
    assert_true(kit.when > T0 && kit.when <= T0 + SL_SECONDS(1));
    assert_string_equal(next(&kit, kit.when), "+3 S6 S7");
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_ASKED), 8);
    assert_false(sl_subscriptions_settled(kit.subscriptions));
    close_kit(&kit);
}

static void an_answer_by_id_is_for_all_of_its_message(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 4);
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    (void)next(&kit, T0);
    (void)next(&kit, T0);
    assert_int_equal(tell(&kit, SL_NOTICE_SUBSCRIBED, 1, 0, false, T0), 1);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_ACTIVE), 3);
    assert_int_equal(tell(&kit, SL_NOTICE_SUBSCRIBED, 1, 0, false, T0), 0); /* answered already */
    assert_int_equal(tell(&kit, SL_NOTICE_SUBSCRIBED, 9, 0, false, T0), 0); /* never asked */
    assert_int_equal(tell(&kit, SL_NOTICE_SUBSCRIBED, 2, 0, false, T0), 1);
    assert_true(sl_subscriptions_settled(kit.subscriptions));
    close_kit(&kit);
}

/* Candles of several lengths are several subscriptions: an answer, or data, that tells the length is for that one. */
static void an_answer_may_tell_the_length_of_candles(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 0);
    sl_subscription lengths[3];
    for (int at = 0; at < 3; at++) {
        lengths[at] = (sl_subscription){
            .feed = SL_FEED_CANDLES, .instrument = &kit.instruments[0], .interval_ns = SL_MINUTES(at + 1)};
        assert_int_equal(sl_subscriptions_add(kit.subscriptions, &lengths[at]), 1);
    }
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    (void)next(&kit, T0);
    sl_venue_notice notice = {.kind = SL_NOTICE_REFUSED,
                              .permanent = true,
                              .feed = SL_FEED_CANDLES,
                              .instrument = &kit.instruments[0],
                              .interval_ns = SL_MINUTES(2)};
    assert_int_equal(sl_subscriptions_notice(kit.subscriptions, &notice, T0), 1);
    assert_int_equal(sl_subscriptions_notice(kit.subscriptions, &notice, T0), 0);
    sl_subscriptions_seen(kit.subscriptions, SL_FEED_CANDLES, &kit.instruments[0], SL_MINUTES(2), T0 + 1);
    sl_subscriptions_seen(kit.subscriptions, SL_FEED_CANDLES, &kit.instruments[0], SL_MINUTES(3), T0 + 2);
    sl_subscriptions_seen(kit.subscriptions, SL_FEED_CANDLES, &kit.instruments[0], SL_MINUTES(3), T0 + 3);
    assert_true(sl_subscriptions_active_since(kit.subscriptions, &lengths[0]) == SL_NEVER);
    assert_true(sl_subscriptions_active_since(kit.subscriptions, &lengths[1]) == SL_NEVER);
    assert_int_equal(sl_subscriptions_active_since(kit.subscriptions, &lengths[2]), T0 + 2);
    notice = (sl_venue_notice){.kind = SL_NOTICE_SUBSCRIBED,
                               .feed = SL_FEED_CANDLES,
                               .instrument = &kit.instruments[0],
                               .interval_ns = SL_MINUTES(1)};
    assert_int_equal(sl_subscriptions_notice(kit.subscriptions, &notice, T0 + 4), 1);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_ACTIVE), 2);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_REFUSED), 1);
    assert_int_equal(sl_subscriptions_renew(kit.subscriptions, SL_FEED_CANDLES, &kit.instruments[0]), 1);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_LEAVING), 2); /* all that are active */
    close_kit(&kit);
}

static void an_answer_by_name_is_for_one(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 3);
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    (void)next(&kit, T0);
    assert_int_equal(tell(&kit, SL_NOTICE_SUBSCRIBED, 0, 1, false, T0), 1);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_ACTIVE), 1);
    sl_subscriptions_seen(kit.subscriptions, SL_FEED_TRADES, &kit.instruments[2], 0,
                          T0 + 5); /* data is an answer, too */
    sl_subscriptions_seen(kit.subscriptions, SL_FEED_DEPTH, &kit.instruments[0], 0,
                          T0 + 5); /* of another feed it is not */
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_ACTIVE), 2);
    const sl_subscription first = {.feed = SL_FEED_TRADES, .instrument = &kit.instruments[1]},
                          second = {.feed = SL_FEED_TRADES, .instrument = &kit.instruments[2]},
                          third = {.feed = SL_FEED_TRADES, .instrument = &kit.instruments[0]};
    assert_int_equal(sl_subscriptions_active_since(kit.subscriptions, &first), T0);
    assert_int_equal(sl_subscriptions_active_since(kit.subscriptions, &second), T0 + 5);
    assert_true(sl_subscriptions_active_since(kit.subscriptions, &third) == SL_NEVER);
    close_kit(&kit);
}

static void what_is_not_answered_is_asked_again_later_and_later(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 1);
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    assert_string_equal(next(&kit, T0), "+1 S0");
    assert_string_equal(next(&kit, T0), "");
    assert_int_equal(kit.when, T0 + SL_SECONDS(5));
    sl_time waits[3];
    sl_time now = kit.when;
    for (int attempt = 0; attempt < 3; attempt++) {
        assert_string_equal(next(&kit, now), ""); /* overdue: it waits before it is asked for again */
        waits[attempt] = kit.when - now;
        now = kit.when;
        assert_true(next(&kit, now)[0] == '+');
        assert_string_equal(next(&kit, now), "");
        now = kit.when;
    }
    assert_int_equal(waits[0], SL_SUBSCRIPTION_RETRY);
    assert_int_equal(waits[1], 2 * SL_SUBSCRIPTION_RETRY);
    assert_int_equal(waits[2], 4 * SL_SUBSCRIPTION_RETRY);
    assert_int_equal(sl_subscriptions_get_stats(kit.subscriptions)->unanswered, 3);
    close_kit(&kit);
}

/* The next message, whenever that is. */
static const char *next_due(struct kit *kit, sl_time *now)
{
    const char *text = next(kit, *now);
    while (*text == '\0') {
        *now = kit->when;
        text = next(kit, *now);
    }
    return text;
}

/* An error that named none of them may have been the answer: the second time each is asked for by itself. */
static void what_is_not_answered_twice_is_asked_in_parts(void **state)
{
    (void)state;
    struct kit kit;
    sl_time now = T0;
    open_kit(&kit, 2);
    sl_subscriptions_connected(kit.subscriptions, true, now);
    assert_string_equal(next_due(&kit, &now), "+1 S0 S1");
    assert_string_equal(next_due(&kit, &now), "+2 S0 S1");
    assert_string_equal(next_due(&kit, &now), "+3 S0");
    assert_string_equal(next_due(&kit, &now), "+4 S1");
    sl_subscriptions_connected(kit.subscriptions, true, now); /* another connection: they may go together again */
    assert_string_equal(next_due(&kit, &now), "+5 S0 S1");
    assert_string_equal(next_due(&kit, &now), "+6 S0 S1"); /* nor do the questions of the old one count */
    close_kit(&kit);
}

static void a_refusal_is_for_good_or_for_now(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 2);
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    (void)next(&kit, T0);
    assert_int_equal(tell(&kit, SL_NOTICE_REFUSED, 0, 0, true, T0), 1);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_REFUSED), 1);
    assert_int_equal(tell(&kit, SL_NOTICE_REFUSED, 0, 1, false, T0), 1);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_WANTED), 1);
    assert_string_equal(next(&kit, T0), "");
    assert_string_equal(next(&kit, T0 + SL_SUBSCRIPTION_RETRY), "+2 S1");
    sl_subscriptions_connected(kit.subscriptions, false, T0);
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_REFUSED), 1); /* a new connection does not make it good */
    sl_subscriptions_forgive(kit.subscriptions, T0);              /* but somebody who asks for it is heard */
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_REFUSED), 0);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_WANTED), 2);
    close_kit(&kit);
}

/* However often a venue says "not now": it is asked again, a minute apart at most, until it agrees. */
static void a_refusal_for_now_is_never_for_ever(void **state)
{
    (void)state;
    struct kit kit;
    sl_time now = T0;
    open_kit(&kit, 1);
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    for (int asked = 1; asked <= 50; asked++) {
        assert_true(next(&kit, now)[0] == '+');
        assert_int_equal(tell(&kit, SL_NOTICE_REFUSED, asked, 0, false, now), 1);
        assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_WANTED), 1);
        assert_string_equal(next(&kit, now), "");
        assert_true(kit.when > now && kit.when - now <= SL_SUBSCRIPTION_RETRY_MAX);
        now = kit.when;
    }
    assert_true(next(&kit, now)[0] == '+');
    assert_int_equal(tell(&kit, SL_NOTICE_SUBSCRIBED, 51, 0, false, now), 1);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_ACTIVE), 1);
    close_kit(&kit);
}

static void a_message_that_is_refused_is_asked_in_parts(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 3);
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    assert_string_equal(next(&kit, T0), "+1 S0 S1 S2");
    assert_int_equal(tell(&kit, SL_NOTICE_REFUSED, 1, 0, true, T0), 1); /* one of them is bad: nobody says which */
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_REFUSED), 0);
    assert_string_equal(next(&kit, T0), "+2 S0");
    sl_time later = T0 + SL_SECONDS(1);
    assert_string_equal(next(&kit, later), "+3 S1");
    later += SL_SECONDS(1);
    assert_string_equal(next(&kit, later), "+4 S2");
    assert_int_equal(tell(&kit, SL_NOTICE_SUBSCRIBED, 2, 0, false, later), 1);
    assert_int_equal(tell(&kit, SL_NOTICE_REFUSED, 3, 0, true, later), 1);
    assert_int_equal(tell(&kit, SL_NOTICE_SUBSCRIBED, 4, 0, false, later), 1);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_REFUSED), 1);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_ACTIVE), 2);
    assert_true(sl_subscriptions_settled(kit.subscriptions));
    close_kit(&kit);
}

static void what_is_refused_when_it_is_left_is_left(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 1);
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    (void)next(&kit, T0);
    assert_int_equal(tell(&kit, SL_NOTICE_SUBSCRIBED, 1, 0, false, T0), 1);
    assert_int_equal(sl_subscriptions_renew(kit.subscriptions, SL_FEED_TRADES, &kit.instruments[0]), 1);
    assert_string_equal(next(&kit, T0), "-2 S0");
    assert_int_equal(tell(&kit, SL_NOTICE_REFUSED, 2, 0, true, T0), 1);
    assert_string_equal(next(&kit, T0 + SL_SECONDS(1)), "+3 S0");
    close_kit(&kit);
}

static void too_many_messages_send_all_that_wait_back(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 5);
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    (void)next(&kit, T0);
    (void)next(&kit, T0);
    assert_int_equal(tell(&kit, SL_NOTICE_SUBSCRIBED, 0, 0, false, T0), 1);
    assert_int_equal(tell(&kit, SL_NOTICE_RATE_LIMITED, 0, 0, false, T0), 1);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_ACTIVE), 1);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_WANTED), 4);
    assert_int_equal(sl_subscriptions_get_stats(kit.subscriptions)->rate_limited, 4);
    close_kit(&kit);
}

static void leaving_and_coming_back(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 3);
    sl_subscription first = {.feed = SL_FEED_TRADES, .instrument = &kit.instruments[0]};
    sl_subscriptions_remove(kit.subscriptions, &first); /* never asked for: simply gone */
    assert_int_equal(sl_subscriptions_count(kit.subscriptions), 2);
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    (void)next(&kit, T0);
    assert_int_equal(tell(&kit, SL_NOTICE_SUBSCRIBED, 1, 0, false, T0), 1);
    sl_subscription one = {.feed = SL_FEED_TRADES, .instrument = &kit.instruments[1]};
    sl_subscriptions_remove(kit.subscriptions, &one);
    assert_int_equal(sl_subscriptions_add(kit.subscriptions, &one), 0); /* nothing was said yet: it stays */
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_ACTIVE), 2);
    sl_subscriptions_remove(kit.subscriptions, &one);
    assert_string_equal(next(&kit, T0), "-2 S1");
    assert_int_equal(sl_subscriptions_add(kit.subscriptions, &one), 0); /* it was said: after that it comes anew */
    assert_int_equal(tell(&kit, SL_NOTICE_UNSUBSCRIBED, 2, 0, false, T0), 1);
    assert_string_equal(next(&kit, T0 + SL_SECONDS(1)), "+3 S1");
    close_kit(&kit);
}

static void renewing_leaves_and_subscribes(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 2);
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    assert_int_equal(sl_subscriptions_renew(kit.subscriptions, SL_FEED_TRADES, &kit.instruments[0]), 0);
    (void)next(&kit, T0);
    assert_int_equal(tell(&kit, SL_NOTICE_SUBSCRIBED, 1, 0, false, T0), 1);
    assert_int_equal(sl_subscriptions_renew(kit.subscriptions, SL_FEED_TRADES, &kit.instruments[0]), 1);
    assert_int_equal(sl_subscriptions_renew(kit.subscriptions, SL_FEED_TRADES, &kit.instruments[0]), 0);
    assert_string_equal(next(&kit, T0), "-2 S0");
    sl_time now = T0 + SL_SECONDS(5); /* the answer to leaving never comes: it is subscribed to anyway */
    assert_string_equal(next(&kit, now), "+3 S0");
    close_kit(&kit);
}

/*
 * What is subscribed to anew begins anew: neither its questions of before count, nor that to leave it. Unanswered, it waits as
 * the first time, and only the second time each is asked for by itself.
 */
static void a_renewal_is_as_patient_as_a_first_time(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 2);
    for (int seen = 0; seen < 2; seen++) { /* both are answered at last, or it shows by what comes */
        sl_time now = T0 + SL_MINUTES(seen);
        sl_subscriptions_connected(kit.subscriptions, true, now);
        for (int asked = 0; asked < 4; asked++) { /* together, together, and each by itself */
            assert_true(next_due(&kit, &now)[0] == '+');
        }
        for (size_t at = 0; at < 2; at++) {
            if (seen) {
                sl_subscriptions_seen(kit.subscriptions, SL_FEED_TRADES, &kit.instruments[at], 0, now);
            } else {
                assert_int_equal(tell(&kit, SL_NOTICE_SUBSCRIBED, 0, at, false, now), 1);
            }
            assert_int_equal(sl_subscriptions_renew(kit.subscriptions, SL_FEED_TRADES, &kit.instruments[at]), 1);
        }
        assert_string_equal(next_due(&kit, &now), seen ? "-14 S0 S1" : "-5 S0 S1");
        for (size_t at = 0; at < 2 && seen; at++) { /* else that is not answered either */
            assert_int_equal(tell(&kit, SL_NOTICE_UNSUBSCRIBED, 0, at, false, now), 1);
        }
        assert_string_equal(next_due(&kit, &now), seen ? "+15 S0 S1" : "+6 S0 S1");
        sl_time asked_at = now;
        assert_string_equal(next_due(&kit, &now), seen ? "+16 S0 S1" : "+7 S0 S1");
        assert_int_equal(now - asked_at, SL_SECONDS(5) + SL_SUBSCRIPTION_RETRY);
        assert_string_equal(next_due(&kit, &now), seen ? "+17 S0" : "+8 S0");
        assert_string_equal(next_due(&kit, &now), seen ? "+18 S1" : "+9 S1");
    }
    close_kit(&kit);
}

/* Who is left and wanted again before that was said has not been answered, so often. */
static void coming_back_forgets_no_unanswered_question(void **state)
{
    (void)state;
    struct kit kit;
    sl_time now = T0;
    open_kit(&kit, 1);
    const sl_subscription one = {.feed = SL_FEED_TRADES, .instrument = &kit.instruments[0]};
    sl_subscriptions_connected(kit.subscriptions, true, now);
    assert_string_equal(next_due(&kit, &now), "+1 S0");
    assert_string_equal(next_due(&kit, &now), "+2 S0");
    sl_time asked_at = now;
    sl_subscriptions_remove(kit.subscriptions, &one);
    assert_int_equal(sl_subscriptions_add(kit.subscriptions, &one), 0);
    assert_string_equal(next_due(&kit, &now), "+3 S0");
    assert_int_equal(now - asked_at, SL_SECONDS(5) + 2 * SL_SUBSCRIPTION_RETRY);
    close_kit(&kit);
}

/* ---- at a connection's end, and in between ---- */

static void what_was_being_left_does_not_come_back_with_the_next_connection(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 3);
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    (void)next(&kit, T0);
    assert_int_equal(tell(&kit, SL_NOTICE_SUBSCRIBED, 1, 0, false, T0), 1);
    for (size_t at = 0; at < 2; at++) { /* one is not said yet, one is not answered yet */
        sl_subscription what = {.feed = SL_FEED_TRADES, .instrument = &kit.instruments[at]};
        sl_subscriptions_remove(kit.subscriptions, &what);
        assert_true(sl_subscriptions_leaves(kit.subscriptions, at));
        assert_string_equal(next(&kit, T0), at == 0 ? "-2 S0" : "");
    }
    assert_int_equal(sl_subscriptions_renew(kit.subscriptions, SL_FEED_TRADES, &kit.instruments[2]), 1);
    assert_false(sl_subscriptions_leaves(kit.subscriptions, 2)); /* that is to come again */
    sl_subscriptions_connected(kit.subscriptions, false, T0);
    assert_int_equal(sl_subscriptions_count(kit.subscriptions), 1);
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    assert_string_equal(next(&kit, T0), "+3 S2");
    close_kit(&kit);
}

static void what_comes_back_unanswered_is_not_believed(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 3);
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    (void)next(&kit, T0);
    sl_subscription one = {.feed = SL_FEED_TRADES, .instrument = &kit.instruments[1]};
    sl_subscriptions_remove(kit.subscriptions, &one);
    assert_int_equal(sl_subscriptions_add(kit.subscriptions, &one), 0);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_ACTIVE), 0);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_ASKED), 3);
    assert_string_equal(next(&kit, T0 + SL_SECONDS(4)), "");
    assert_true(kit.when <= T0 + SL_SECONDS(5)); /* its own answer is still waited for */
    assert_int_equal(tell(&kit, SL_NOTICE_SUBSCRIBED, 1, 0, false, T0), 1);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_ACTIVE), 3);
    close_kit(&kit);
}

static void a_renewal_survives_being_left_and_wanted_again(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 1);
    sl_subscription one = {.feed = SL_FEED_TRADES, .instrument = &kit.instruments[0]};
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    (void)next(&kit, T0);
    assert_int_equal(tell(&kit, SL_NOTICE_SUBSCRIBED, 1, 0, false, T0), 1);
    assert_int_equal(sl_subscriptions_renew(kit.subscriptions, SL_FEED_TRADES, &kit.instruments[0]), 1);
    assert_int_equal(sl_subscriptions_add(kit.subscriptions, &one), 0); /* who wants it does not stop its renewal */
    assert_string_equal(next(&kit, T0), "-2 S0");
    sl_subscriptions_remove(kit.subscriptions, &one);
    assert_int_equal(sl_subscriptions_add(kit.subscriptions, &one), 0);
    assert_int_equal(tell(&kit, SL_NOTICE_UNSUBSCRIBED, 2, 0, false, T0), 1);
    assert_string_equal(next(&kit, T0 + SL_SECONDS(1)), "+3 S0");
    close_kit(&kit);
}

static void one_that_cannot_be_written_harms_no_other(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 3);
    (void)snprintf(kit.instruments[1].symbol, SL_SYMBOL_MAX, "BAD");
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    assert_string_equal(next(&kit, T0), "+1 S0");
    size_t size_bytes = 0;
    assert_int_equal(sl_subscriptions_next(kit.subscriptions, T0, kit.text, sizeof kit.text, &size_bytes, &kit.when),
                     SL_EINVAL);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_REFUSED), 1);
    assert_string_equal(next(&kit, T0 + SL_SECONDS(1)), "+2 S2");
    close_kit(&kit);
}

/* One channel a message, as Kraken has it. */
static int write_one_channel(const sl_subscription *subscriptions, size_t count, bool off, int64_t id, char *buffer,
                             size_t capacity, size_t *ret_size_bytes)
{
    size_t same = 1;
    while (same < count && subscriptions[same].feed == subscriptions[0].feed) {
        same++;
    }
    return write_message(subscriptions, same, off, id, buffer, capacity, ret_size_bytes);
}

static void channels_of_many_instruments_do_not_part_their_messages(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 0);
    kit.driver.subscribe = write_one_channel;
    for (size_t at = 0; at < 8; at++) { /* as services want them: all channels of one, then of the next */
        sl_subscription what = {.feed = at % 2 == 0 ? SL_FEED_TRADES : SL_FEED_TICKER,
                                .instrument = &kit.instruments[at / 2]};
        assert_int_equal(sl_subscriptions_add(kit.subscriptions, &what), 1);
    }
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    assert_string_equal(next(&kit, T0), "+1 S0 S1 S2"); /* trades */
    assert_string_equal(next(&kit, T0), "+2 S0 S1 S2");
    assert_string_equal(next(&kit, T0 + SL_SECONDS(1)), "+3 S3");
    assert_string_equal(next(&kit, T0 + SL_SECONDS(2)), "+4 S3");
    close_kit(&kit);
}

#define MANY 15000

/* As many as one connection may have: each is found at once, whatever comes and goes, also for each event meanwhile. */
static void tens_of_thousands_are_found_at_once(void **state)
{
    (void)state;
    static const sl_feed feeds[] = {SL_FEED_TRADES, SL_FEED_TICKER, SL_FEED_BEST, SL_FEED_DEPTH};
    struct kit kit;
    open_kit(&kit, 0);
    static sl_instrument many[MANY];
    static bool there[MANY * 4];
    uint64_t seed = 7, count = 0;
    for (size_t step = 0; step < 300000; step++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        size_t at = (size_t)(seed >> 33) % ((size_t)MANY * 4);
        many[at / 4].index = (uint32_t)(at / 4 * 3);
        sl_subscription what = {.feed = feeds[at % 4], .instrument = &many[at / 4]};
        if (step % 5 < 3) {
            assert_int_equal(sl_subscriptions_add(kit.subscriptions, &what), !there[at]);
            there[at] = true;
        } else {
            sl_subscriptions_remove(kit.subscriptions, &what);
            there[at] = false;
        }
    }
    for (size_t at = 0; at < (size_t)MANY * 4; at++) {
        count += there[at];
    }
    assert_int_equal(sl_subscriptions_count(kit.subscriptions), count);
    assert_true(count > MANY);
    kit.driver.limits.messages = 0;
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    char *text = calloc(1, 1 << 20);
    size_t size_bytes = 0;
    for (int message = 0; message < 3; message++) { /* some are asked for: events may be what answers that */
        assert_int_equal(sl_subscriptions_next(kit.subscriptions, T0, text, 1 << 20, &size_bytes, &kit.when), 1);
    }
    for (size_t event = 0; event < 3000000; event++) {
        sl_subscriptions_seen(kit.subscriptions, SL_FEED_TRADES, &many[event % MANY], 0, T0);
    }
    assert_true(count_of(&kit, SL_SUBSCRIPTION_ASKED) < 9);
    free(text);
    close_kit(&kit);
}

static void a_venue_that_answers_nothing_is_believed(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 2);
    kit.driver.limits.acknowledges = false;
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    assert_string_equal(next(&kit, T0), "+1 S0 S1");
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_ACTIVE), 2);
    assert_string_equal(next(&kit, T0), "");
    assert_int_equal(kit.when, SL_NEVER);
    close_kit(&kit);
}

/* Of one message those that are alike come first, in whatever order they came. */
static void what_is_left_without_an_answer_is_gone_at_once(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 0);
    kit.driver.limits.acknowledges = false;
    static const sl_feed feeds[] = {SL_FEED_TRADES, SL_FEED_TICKER, SL_FEED_TRADES};
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    for (size_t at = 0; at < 3; at++) {
        sl_subscription what = {.feed = feeds[at], .instrument = &kit.instruments[at]};
        assert_int_equal(sl_subscriptions_add(kit.subscriptions, &what), 1);
    }
    assert_string_equal(next(&kit, T0), "+1 S0 S2 S1");
    assert_int_equal(sl_subscriptions_renew(kit.subscriptions, SL_FEED_TRADES, &kit.instruments[2]), 1);
    for (size_t at = 0; at < 2; at++) {
        sl_subscription what = {.feed = feeds[at], .instrument = &kit.instruments[at]};
        sl_subscriptions_remove(kit.subscriptions, &what);
    }
    assert_string_equal(next(&kit, T0), "-2 S0 S2 S1");
    assert_int_equal(sl_subscriptions_count(kit.subscriptions), 1);
    assert_string_equal(next(&kit, T0 + SL_SECONDS(1)), "+3 S2");
    close_kit(&kit);
}

/* One channel of a venue may bring several feeds: as long as one of them is wanted it is not left. */
static void leaving_one_feed_does_not_end_another_of_its_channel(void **state)
{
    (void)state;
    static const struct {
        sl_venue venue;
        const char *symbol;
        sl_feed stays, goes;
    } channels[] = {{SL_VENUE_COINBASE, "BTC-USD", SL_FEED_TICKER, SL_FEED_BEST},
                    {SL_VENUE_BYBIT_LINEAR, "BTCUSDT", SL_FEED_FUNDING, SL_FEED_TICKER}};
    for (size_t at = 0; at < sizeof channels / sizeof *channels; at++) {
        const sl_venue_driver *driver = sl_venue_driver_of(channels[at].venue);
        sl_instrument one = {.venue = channels[at].venue};
        (void)snprintf(one.symbol, sizeof one.symbol, "%s", channels[at].symbol);
        sl_subscription stays = {.feed = channels[at].stays, .instrument = &one};
        sl_subscription goes = {.feed = channels[at].goes, .instrument = &one};
        sl_auto(sl_subscriptions) *all = NULL;
        char text[1024];
        size_t size_bytes = 0;
        sl_time when = 0, now = T0;
        assert_int_equal(sl_subscriptions_new(driver, NULL, &all), 0);
        assert_int_equal(sl_subscriptions_add(all, &stays), 1);
        assert_int_equal(sl_subscriptions_add(all, &goes), 1);
        sl_subscriptions_connected(all, true, now);
        while (sl_subscriptions_next(all, now, text, sizeof text, &size_bytes, &when) > 0) {
            now += SL_SECONDS(1);
        }
        sl_subscriptions_seen(all, stays.feed, &one, 0, now);
        sl_subscriptions_seen(all, goes.feed, &one, 0, now);
        assert_int_equal(sl_subscriptions_get_stats(all)->count[SL_SUBSCRIPTION_ACTIVE], 2);
        sl_subscriptions_remove(all, &goes);
        assert_int_equal(sl_subscriptions_next(all, now + SL_SECONDS(1), text, sizeof text, &size_bytes, &when), 0);
        assert_int_equal(sl_subscriptions_count(all), 1);
        assert_int_equal(sl_subscriptions_get_stats(all)->count[SL_SUBSCRIPTION_ACTIVE], 1);
        sl_subscriptions_remove(all, &stays);
        assert_int_equal(sl_subscriptions_next(all, now + SL_SECONDS(1), text, sizeof text, &size_bytes, &when), 1);
        assert_non_null(strstr(text, "nsubscribe"));
    }
}

/* Whatever of a channel is asked for already would end with it, answered or not; what only will be is asked for later. */
static void a_channel_that_was_asked_for_twice_is_not_left(void **state)
{
    (void)state;
    struct kit kit; /* its messages name no feed: those of an instrument are one channel */
    open_kit(&kit, 1);
    const sl_subscription trades = {.feed = SL_FEED_TRADES, .instrument = &kit.instruments[0]};
    const sl_subscription ticker = {.feed = SL_FEED_TICKER, .instrument = &kit.instruments[0]};
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    assert_string_equal(next(&kit, T0), "+1 S0");
    for (int answered = 0; answered < 2; answered++) { /* the one that goes is asked for, then active */
        sl_time now = T0 + SL_SECONDS(1 + answered);
        assert_int_equal(sl_subscriptions_add(kit.subscriptions, &ticker), 1);
        assert_string_equal(next(&kit, now), answered ? "+3 S0" : "+2 S0");
        if (answered) {
            sl_subscriptions_seen(kit.subscriptions, SL_FEED_TICKER, &kit.instruments[0], 0, now);
        }
        sl_subscriptions_remove(kit.subscriptions, &ticker);
        assert_string_equal(next(&kit, now), "");
        assert_int_equal(sl_subscriptions_count(kit.subscriptions), 1);
        assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_ASKED), 1);
    }
    assert_int_equal(sl_subscriptions_add(kit.subscriptions, &ticker), 1);
    sl_subscriptions_remove(kit.subscriptions, &trades); /* the other one was not asked for yet */
    assert_string_equal(next(&kit, T0 + SL_SECONDS(4)), "-4 S0");
    assert_string_equal(next(&kit, T0 + SL_SECONDS(4)), "+5 S0");
    close_kit(&kit);
}

/* ---- what only some venues want ---- */

static int write_hello(char *buffer, size_t capacity)
{
    return snprintf(buffer, capacity, "hello");
}

/* A venue that numbers its channels: of S1 it has not told the number. */
static int write_leave(const sl_venue_decoder *decoder, const sl_subscription *subscription, int64_t id, char *buffer,
                       size_t capacity, size_t *ret_size_bytes)
{
    assert_null(decoder); /* the kit has none */
    *ret_size_bytes = 0;
    if (strcmp(subscription->instrument->symbol, "S1") == 0) {
        return 0;
    }
    *ret_size_bytes =
        (size_t)snprintf(buffer, capacity, "leave%lld %s", (long long)id, subscription->instrument->symbol);
    return 1;
}

static void a_connection_is_told_something_first(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 1);
    kit.driver.hello = write_hello;
    for (int times = 0; times < 2; times++) { /* of each connection */
        sl_time now = T0 + times * SL_SECONDS(60);
        sl_subscriptions_connected(kit.subscriptions, true, now);
        assert_string_equal(next(&kit, now), "hello");
        assert_string_equal(next(&kit, now), times == 0 ? "+1 S0" : "+2 S0");
        sl_subscriptions_connected(kit.subscriptions, false, now);
        assert_string_equal(next(&kit, now), "");
    }
    close_kit(&kit);
}

static void a_channel_is_left_by_what_the_venue_told(void **state)
{
    (void)state;
    struct kit kit;
    open_kit(&kit, 3);
    kit.driver.leave = write_leave;
    sl_subscriptions_connected(kit.subscriptions, true, T0);
    assert_string_equal(next(&kit, T0), "+1 S0 S1 S2");
    for (size_t at = 0; at < 3; at++) {
        assert_int_equal(tell(&kit, SL_NOTICE_SUBSCRIBED, 0, at, false, T0), 1);
        assert_int_equal(sl_subscriptions_renew(kit.subscriptions, SL_FEED_TRADES, &kit.instruments[at]), 1);
    }
    sl_time now = T0 + SL_SECONDS(10);
    assert_string_equal(next(&kit, now), "leave2 S0");
    now += SL_SECONDS(1);
    assert_string_equal(next(&kit, now), ""); /* of S1 there is nothing to leave: it is wanted at once */
    assert_int_equal(kit.when, now);
    assert_int_equal(count_of(&kit, SL_SUBSCRIPTION_WANTED), 1);
    now += SL_SECONDS(1);
    assert_string_equal(next(&kit, now), "leave3 S2");
    assert_int_equal(tell(&kit, SL_NOTICE_UNSUBSCRIBED, 0, 0, false, now), 1);
    assert_int_equal(tell(&kit, SL_NOTICE_UNSUBSCRIBED, 0, 2, false, now), 1);
    now += SL_SECONDS(1);
    assert_string_equal(next(&kit, now), "+4 S0 S1 S2");
    close_kit(&kit);
}

SL_TEST_MAIN(
    cmocka_unit_test(messages_are_batched_and_paced), cmocka_unit_test(an_answer_by_id_is_for_all_of_its_message),
    cmocka_unit_test(an_answer_by_name_is_for_one), cmocka_unit_test(an_answer_may_tell_the_length_of_candles),
    cmocka_unit_test(what_is_not_answered_is_asked_again_later_and_later),
    cmocka_unit_test(what_is_not_answered_twice_is_asked_in_parts), cmocka_unit_test(a_refusal_is_for_good_or_for_now),
    cmocka_unit_test(a_refusal_for_now_is_never_for_ever),
    cmocka_unit_test(a_message_that_is_refused_is_asked_in_parts),
    cmocka_unit_test(what_is_refused_when_it_is_left_is_left),
    cmocka_unit_test(too_many_messages_send_all_that_wait_back), cmocka_unit_test(leaving_and_coming_back),
    cmocka_unit_test(renewing_leaves_and_subscribes), cmocka_unit_test(a_renewal_is_as_patient_as_a_first_time),
    cmocka_unit_test(coming_back_forgets_no_unanswered_question),
    cmocka_unit_test(what_was_being_left_does_not_come_back_with_the_next_connection),
    cmocka_unit_test(what_comes_back_unanswered_is_not_believed),
    cmocka_unit_test(a_renewal_survives_being_left_and_wanted_again),
    cmocka_unit_test(leaving_one_feed_does_not_end_another_of_its_channel),
    cmocka_unit_test(a_channel_that_was_asked_for_twice_is_not_left),
    cmocka_unit_test(what_is_left_without_an_answer_is_gone_at_once),
    cmocka_unit_test(one_that_cannot_be_written_harms_no_other), cmocka_unit_test(tens_of_thousands_are_found_at_once),
    cmocka_unit_test(channels_of_many_instruments_do_not_part_their_messages),
    cmocka_unit_test(a_venue_that_answers_nothing_is_believed), cmocka_unit_test(a_connection_is_told_something_first),
    cmocka_unit_test(a_channel_is_left_by_what_the_venue_told))
