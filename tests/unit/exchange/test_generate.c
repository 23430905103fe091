/* SPDX-License-Identifier: MIT */
/* The generator: the same bytes from the same seed, and messages that agree with each other. */
#include "sl_test.h"

#include <string.h>

#include "exchange/generate.h"
#include "market/book.h"
#include "market/sequence.h"
#include "market_kit.h"

static sl_generate *open_generate(const sl_generate_options *options)
{
    sl_generate *generate = NULL;
    assert_int_equal(sl_generate_new(options, &generate), 0);
    return generate;
}

/* FNV-1a over a whole session. */
static uint64_t hash_of(uint64_t seed, uint64_t messages)
{
    sl_generate_options options = {.seed = seed, .messages = messages};
    sl_generate *generate = open_generate(&options);
    sl_generated message;
    uint64_t hash = UINT64_C(14695981039346656037);
    uint64_t count = 0;
    for (; sl_generate_next(generate, &message) > 0; count++) {
        for (size_t at = 0; at < message.text.size_bytes; at++) {
            hash = (hash ^ (unsigned char)message.text.data[at]) * UINT64_C(1099511628211);
        }
        hash = (hash ^ (uint64_t)message.receive_time_ns) * UINT64_C(1099511628211);
    }
    assert_int_equal(count, messages);
    assert_int_equal(sl_generate_next(generate, &message), 0);
    sl_generate_free(generate);
    return hash;
}

static void same_seed_same_bytes(void **state)
{
    (void)state;
    assert_true(hash_of(1, 3000) == hash_of(1, 3000));
    assert_true(hash_of(1, 3000) != hash_of(2, 3000));
}

/* What is known of the session so far, by its messages alone. */
struct seen {
    struct market_kit *kit;
    sl_sequence *sequence;
    sl_book *book;
    sl_trade_track trades;
    sl_best best; /* of the last ticker */
    int64_t time_ns;
    uint64_t counts[SL_EVENT_KIND_COUNT];
    uint64_t before_snapshot;
};

static void see_book(struct seen *seen, const sl_market_event *event, const sl_generated *message)
{
    sl_diff diff = {.first_id = event->as.delta.first_id,
                    .last_id = event->as.delta.last_id,
                    .previous_id = event->as.delta.previous_id,
                    .raw = message->text.data,
                    .size_bytes = message->text.size_bytes};
    int action = sl_sequence_diff(seen->sequence, &diff);
    if (action == SL_SEQUENCE_KEPT) {
        seen->before_snapshot++;
        return;
    }
    assert_int_equal(action, SL_SEQUENCE_APPLY);
    assert_int_equal(sl_book_apply(seen->book, &event->as.delta.levels), 0);
    /* tickers are sent before the diff that holds the same changes: both must tell the same best levels */
    const sl_level *bid = sl_book_best(seen->book, SL_SIDE_BUY);
    const sl_level *ask = sl_book_best(seen->book, SL_SIDE_SELL);
    assert_false(sl_book_crossed(seen->book));
    assert_true(sl_decimal_equal(bid->price, seen->best.bid.price));
    assert_true(sl_decimal_equal(bid->quantity, seen->best.bid.quantity));
    assert_true(sl_decimal_equal(ask->price, seen->best.ask.price));
    assert_true(sl_decimal_equal(ask->quantity, seen->best.ask.quantity));
    assert_true(seen->best.update_id <= event->as.delta.last_id);
}

static void see(struct seen *seen, const sl_generated *message)
{
    sl_gap gap;
    sl_diff diff;
    const sl_market_event *event = market_kit_line(seen->kit, message->text.data, message->text.size_bytes);
    assert_true(message->receive_time_ns >= seen->time_ns);
    seen->time_ns = message->receive_time_ns;
    seen->counts[event->kind]++;
    switch (event->kind) {
    case SL_EVENT_TRADE:
        assert_int_equal(sl_trade_track_see(&seen->trades, event->as.trade.first_id, event->as.trade.last_id, &gap),
                         SL_SEQUENCE_APPLY);
        assert_true(event->as.trade.quantity.mantissa > 0 && event->as.trade.price.mantissa > 0);
        break;
    case SL_EVENT_BEST:
        assert_true(event->as.best.update_id > seen->best.update_id);
        assert_true(sl_decimal_compare(event->as.best.bid.price, event->as.best.ask.price) < 0);
        seen->best = event->as.best;
        break;
    case SL_EVENT_BOOK_SNAPSHOT:
        assert_int_equal(sl_sequence_snapshot(seen->sequence, event->as.snapshot.last_id), SL_SEQUENCE_APPLY);
        assert_int_equal(event->as.snapshot.levels.bid_count, 1000);
        assert_int_equal(sl_book_set(seen->book, &event->as.snapshot.levels), 0);
        /* it is at least as new as all diffs so far: none is to be applied, or the last one once more */
        while (sl_sequence_next(seen->sequence, &diff) == SL_SEQUENCE_APPLY) {
            assert_true(diff.last_id == event->as.snapshot.last_id);
        }
        break;
    default:
        see_book(seen, event, message);
        break;
    }
}

static void messages_agree(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        sl_generate_options options = {.seed = seed, .messages = 20000, .start_time_ns = 1000};
        sl_generate *generate = open_generate(&options);
        sl_generated message;
        struct seen seen = {.kit = market_kit_open(SL_VENUE_BINANCE_USDM, "BTCUSDT")};
        assert_int_equal(sl_sequence_new(&(sl_sequence_options){.rule = SL_BOOK_RULE_BINANCE_FUTURES}, &seen.sequence),
                         0);
        assert_int_equal(sl_book_new(0, &seen.book), 0);
        while (sl_generate_next(generate, &message) > 0) {
            see(&seen, &message);
        }
        assert_int_equal(seen.counts[SL_EVENT_BOOK_SNAPSHOT], 1);
        assert_true(seen.before_snapshot > 0);
        assert_true(seen.counts[SL_EVENT_TRADE] > 2000);
        assert_true(seen.counts[SL_EVENT_BEST] > 5000);
        assert_true(seen.counts[SL_EVENT_BOOK_DELTA] > 500);
        sl_generate_free(generate);
        market_kit_close(seen.kit);
        sl_sequence_free(seen.sequence);
        sl_book_free(seen.book);
    }
}

static void options_are_checked(void **state)
{
    (void)state;
    static const char *const names[] = {"", "btcusdt", "A\"B", "A/B", "A234567890123456789012345678901234567890"};
    sl_generate *generate = NULL;
    sl_generated message;
    for (size_t at = 0; at < sizeof(names) / sizeof(names[0]); at++) {
        assert_int_equal(sl_generate_new(&(sl_generate_options){.instrument = names[at]}, &generate), SL_EINVAL);
    }
    assert_int_equal(sl_generate_new(&(sl_generate_options){.messages = SL_GENERATE_MESSAGES_MAX + 1}, &generate),
                     SL_EINVAL);
    assert_int_equal(sl_generate_new(&(sl_generate_options){.start_time_ns = -1}, &generate), SL_EINVAL);
    generate = open_generate(&(sl_generate_options){.instrument = "ETHUSDT_240927", .messages = 1});
    assert_int_equal(sl_generate_next(generate, &message), 1);
    assert_non_null(strstr(message.text.data, "{\"stream\":\"ethusdt_240927@"));
    assert_non_null(strstr(message.text.data, "\"s\":\"ETHUSDT_240927\""));
    assert_int_equal(sl_generate_next(generate, &message), 0);
    sl_generate_free(generate);
}

SL_TEST_MAIN(cmocka_unit_test(same_seed_same_bytes), cmocka_unit_test(messages_agree),
             cmocka_unit_test(options_are_checked))
