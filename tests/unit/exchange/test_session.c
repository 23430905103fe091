/* SPDX-License-Identifier: MIT */
/*
 * Whole sessions, captured and generated: the true book against a naive second implementation that shares no
 * code with the first (texts found with strstr, levels in a sorted table of strings), and a consumer that
 * joins at any place against the true book.
 */
#include "sl_test.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exchange/session.h"
#include "market/sequence.h"
#include "market_kit.h"

/* The naive book: per side, price and quantity as texts, sorted by the price's text. */
#define NAIVE_MAX 20000
#define NAIVE_TEXT 24

struct naive_level {
    char price[NAIVE_TEXT];
    char quantity[NAIVE_TEXT];
};

struct naive_side {
    struct naive_level levels[NAIVE_MAX];
    size_t count;
};

struct naive {
    struct naive_side sides[2]; /* bids, asks */
    char *waiting[1000];        /* diffs before the snapshot */
    size_t waiting_count;
    int64_t last_id;
    bool begun;
};

static int64_t naive_int(const char *json, const char *name)
{
    const char *at = strstr(json, name);
    int64_t value = 0;
    if (at == NULL) {
        return -1;
    }
    for (at += strlen(name); *at >= '0' && *at <= '9'; at++) {
        value = value * 10 + (*at - '0');
    }
    return value;
}

static void naive_set(struct naive_side *side, const struct naive_level *level)
{
    size_t low = 0;
    size_t high = side->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(side->levels[middle].price, level->price) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool there = low < side->count && strcmp(side->levels[low].price, level->price) == 0;
    bool removes = strspn(level->quantity, "0.") == strlen(level->quantity);
    if (there && removes) {
        side->count--;
        memmove(&side->levels[low], &side->levels[low + 1], (side->count - low) * sizeof(*level));
    } else if (!removes) {
        if (!there) {
            assert_true(side->count < NAIVE_MAX);
            memmove(&side->levels[low + 1], &side->levels[low], (side->count - low) * sizeof(*level));
            side->count++;
        }
        side->levels[low] = *level;
    }
}

/* Copies a text in quotes; returns what is behind it. */
static const char *naive_text(const char *at, char text[NAIVE_TEXT])
{
    size_t length = strcspn(at + 1, "\"");
    assert_true(*at == '"' && length < NAIVE_TEXT);
    memcpy(text, at + 1, length);
    text[length] = '\0';
    return at + length + 2;
}

static void naive_levels(struct naive_side *side, const char *json, const char *name)
{
    const char *at = strstr(json, name);
    assert_non_null(at);
    at += strlen(name);
    while (*at == '[' || *at == ',') {
        struct naive_level level;
        at += *at == ',';
        at = naive_text(at + 1, level.price);
        at = naive_text(at + 1, level.quantity) + 1;
        naive_set(side, &level);
    }
}

static void naive_diff(struct naive *naive, const char *json)
{
    naive_levels(&naive->sides[0], json, "\"b\":[");
    naive_levels(&naive->sides[1], json, "\"a\":[");
    naive->last_id = naive_int(json, "\"u\":");
}

static void naive_message(struct naive *naive, const char *json)
{
    if (strstr(json, "\"lastUpdateId\"") != NULL) {
        int64_t snapshot = naive_int(json, "\"lastUpdateId\":");
        naive_levels(&naive->sides[0], json, "\"bids\":[");
        naive_levels(&naive->sides[1], json, "\"asks\":[");
        naive->last_id = snapshot;
        naive->begun = true;
        for (size_t at = 0; at < naive->waiting_count; at++) {
            if (naive_int(naive->waiting[at], "\"u\":") >= snapshot) {
                naive_diff(naive, naive->waiting[at]);
            }
            sl_free(naive->waiting[at]);
        }
    } else if (strstr(json, "\"depthUpdate\"") != NULL) {
        if (naive->begun) {
            naive_diff(naive, json);
        } else {
            assert_true(naive->waiting_count < 1000);
            naive->waiting[naive->waiting_count++] = sl_strndup(json, strlen(json));
        }
    }
}

/* Each level of the book is in the table with the same texts, in falling order of goodness, and no other is. */
static void assert_equals_naive(const sl_book *book, int64_t last_id, const struct naive *naive)
{
    assert_true(last_id == naive->last_id);
    for (int side = 0; side < 2; side++) {
        const struct naive_side *expected = &naive->sides[side];
        sl_book_cursor cursor = sl_book_first(book, side == 0 ? SL_SIDE_BUY : SL_SIDE_SELL);
        const sl_level *level = NULL;
        double previous = 0;
        size_t count = 0;
        for (; (level = sl_book_next(&cursor)) != NULL; count++) {
            char price[SL_DECIMAL_TEXT_MAX];
            char quantity[SL_DECIMAL_TEXT_MAX];
            (void)sl_decimal_format(level->price, SL_DECIMAL_SCALED, price);
            (void)sl_decimal_format(level->quantity, SL_DECIMAL_SCALED, quantity);
            size_t low = 0;
            size_t high = expected->count;
            while (low < high) {
                size_t middle = (low + high) / 2;
                if (strcmp(expected->levels[middle].price, price) < 0) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            assert_true(low < expected->count);
            assert_string_equal(expected->levels[low].price, price);
            assert_string_equal(expected->levels[low].quantity, quantity);
            double number = strtod(price, NULL);
            assert_true(count == 0 || (side == 0 ? number < previous : number > previous));
            previous = number;
        }
        assert_int_equal(count, expected->count);
    }
    assert_int_equal(sl_book_verify(book), 0);
}

/* One side of what a diff changed: the book has it as the naive one does. With equal counts before, both are equal. */
static void assert_changes(const sl_book *book, sl_side name, const struct naive_side *side, const char *json,
                           const char *key)
{
    const char *at = strstr(json, key);
    assert_non_null(at);
    at += strlen(key);
    while (*at == '[' || *at == ',') {
        struct naive_level level;
        sl_decimal price = {0, 0};
        at += *at == ',';
        at = naive_text(at + 1, level.price);
        at = naive_text(at + 1, level.quantity) + 1;
        assert_int_equal(sl_decimal_parse(level.price, strlen(level.price), &price), 0);
        const sl_decimal *quantity = sl_book_find(book, name, price);
        const char *last = strspn(level.quantity, "0.") == strlen(level.quantity) ? NULL : level.quantity;
        if (last == NULL) {
            assert_null(quantity);
        } else {
            char text[SL_DECIMAL_TEXT_MAX] = "";
            assert_non_null(quantity);
            (void)sl_decimal_format(*quantity, SL_DECIMAL_SCALED, text);
            assert_string_equal(text, last);
        }
    }
    assert_int_equal(sl_book_count(book, name), side->count);
}

/* What a whole session must give. */
struct expected {
    uint64_t trades;
    uint64_t deltas;
    uint64_t bests;
};

static void play_against_naive(const sl_session_options *options, FILE *raw, const struct expected *expected)
{
    static struct naive naive; /* too large for a stack */
    memset(&naive, 0, sizeof(naive));
    sl_session *session = NULL;
    sl_session_message message;
    sl_json_text json;
    int64_t first_trade = 0;
    int code = 0;
    assert_int_equal(sl_session_open(options, &session), 0);
    assert_int_equal(sl_session_snapshot(session, 0, &json), SL_EAGAIN);
    static char line[200000];
    while ((code = sl_session_next(session, &message)) > 0) {
        const sl_session_stats *stats = sl_session_get_stats(session);
        first_trade = stats->trades == 1 ? stats->last_trade_id : first_trade;
        /* the naive book reads the file itself, the snapshot with it */
        while (raw != NULL && fgets(line, sizeof(line), raw) != NULL) {
            const char *text = strchr(line, '{');
            naive_message(&naive, text);
            if (strstr(text, "\"lastUpdateId\"") == NULL) {
                break;
            }
        }
        if (message.kind == SL_EVENT_BOOK_DELTA && sl_session_ready(session)) {
            const sl_book *book = sl_session_book(session);
            assert_false(sl_book_crossed(book));
            if (naive.begun) { /* at every update */
                assert_changes(book, SL_SIDE_BUY, &naive.sides[0], message.text.data, "\"b\":[");
                assert_changes(book, SL_SIDE_SELL, &naive.sides[1], message.text.data, "\"a\":[");
            }
            if (stats->deltas % 500 == 0) {
                assert_equals_naive(sl_session_book(session), sl_session_last_id(session), &naive);
            }
        }
    }
    if (code < 0) {
        fail_msg("%s", sl_session_problem(session));
    }
    const sl_session_stats *stats = sl_session_get_stats(session);
    assert_true(sl_session_ready(session));
    assert_equals_naive(sl_session_book(session), sl_session_last_id(session), &naive);
    assert_int_equal(stats->trades, expected->trades);
    assert_int_equal(stats->deltas, expected->deltas);
    assert_int_equal(stats->bests, expected->bests);
    assert_int_equal(stats->messages, expected->trades + expected->deltas + expected->bests);
    assert_int_equal(stats->snapshots, 1);
    assert_int_equal(stats->last_trade_id - first_trade + 1, expected->trades); /* consecutive: none lost */
    sl_session_close(session);
}

static void play_capture(const char *name, sl_venue venue, const struct expected *expected)
{
    char path[1024];
    char command[1100];
    (void)snprintf(path, sizeof(path), "%s", sl_test_data_path(name));
    (void)snprintf(command, sizeof(command), "gzip -dc '%s'", path);
    FILE *raw = popen(command, "r");
    assert_non_null(raw);
    sl_session_options options = {.capture_path = path, .venue = venue};
    play_against_naive(&options, raw, expected);
    assert_int_equal(pclose(raw), 0);
}

static void captured_usdm_session(void **state)
{
    (void)state;
    play_capture("hftbacktest/usdm-btcusdt_20240808.gz", SL_VENUE_BINANCE_USDM, &(struct expected){21313, 6551, 66089});
}

static void captured_spot_session(void **state)
{
    (void)state;
    play_capture("hftbacktest/spot-btcusdt_20240808.gz", SL_VENUE_BINANCE_SPOT, &(struct expected){9757, 3451, 28040});
}

static void captured_coinm_session(void **state)
{
    (void)state;
    play_capture("hftbacktest/cm-btcusd_perp_20240808.gz", SL_VENUE_BINANCE_COINM,
                 &(struct expected){2286, 26847, 19136});
}

/* Writes a generated session as a capture file and plays that: both ways of playing must agree. */
static void generated_session_as_a_file(void **state)
{
    (void)state;
    char path[] = "/tmp/sluice-session-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *out = fdopen(fd, "wb");
    assert_non_null(out);
    sl_generate_options options = {.seed = 5, .messages = 20000};
    sl_generate *generate = NULL;
    sl_generated line;
    struct expected expected = {0, 0, 0};
    assert_int_equal(sl_generate_new(&options, &generate), 0);
    while (sl_generate_next(generate, &line) > 0) {
        (void)fprintf(out, "%lld %.*s\n", (long long)line.receive_time_ns, (int)line.text.size_bytes, line.text.data);
        expected.trades += strstr(line.text.data, "\"trade\"") != NULL;
        expected.deltas += strstr(line.text.data, "\"depthUpdate\"") != NULL;
        expected.bests += strstr(line.text.data, "\"bookTicker\"") != NULL;
    }
    sl_generate_free(generate);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(expected.trades + expected.deltas + expected.bests, 19999);
    for (int as_file = 0; as_file < 2; as_file++) {
        FILE *raw = fopen(path, "rb");
        assert_non_null(raw);
        sl_session_options session = {
            .capture_path = as_file ? path : NULL, .venue = SL_VENUE_BINANCE_USDM, .generate = options};
        play_against_naive(&session, raw, &expected);
        assert_int_equal(fclose(raw), 0);
    }
    (void)unlink(path);
}

/* A consumer of its own: decoder, tracker, book. */
struct consumer {
    struct market_kit *kit;
    sl_sequence *sequence;
    sl_book *book;
};

static void consume(struct consumer *consumer, const char *text, size_t size_bytes)
{
    const sl_market_event *event = market_kit_line(consumer->kit, text, size_bytes);
    if (event->kind == SL_EVENT_BOOK_DELTA) {
        sl_diff diff = {.first_id = event->as.delta.first_id,
                        .last_id = event->as.delta.last_id,
                        .previous_id = event->as.delta.previous_id,
                        .raw = text,
                        .size_bytes = size_bytes};
        int action = sl_sequence_diff(consumer->sequence, &diff);
        assert_true(action == SL_SEQUENCE_APPLY || action == SL_SEQUENCE_KEPT || action == SL_SEQUENCE_IGNORE);
        if (action == SL_SEQUENCE_APPLY) {
            assert_int_equal(sl_book_apply(consumer->book, &event->as.delta.levels), 0);
        }
    } else if (event->kind == SL_EVENT_BOOK_SNAPSHOT) {
        assert_int_equal(sl_sequence_snapshot(consumer->sequence, event->as.snapshot.last_id), SL_SEQUENCE_APPLY);
        assert_int_equal(sl_book_set(consumer->book, &event->as.snapshot.levels), 0);
        sl_diff diff;
        while (sl_sequence_next(consumer->sequence, &diff) == SL_SEQUENCE_APPLY) {
            event = market_kit_line(consumer->kit, diff.raw, diff.size_bytes);
            assert_int_equal(sl_book_apply(consumer->book, &event->as.delta.levels), 0);
        }
    }
}

static void assert_same_top(const sl_book *a, const sl_book *b, sl_side side, size_t levels)
{
    sl_book_cursor cursors[] = {sl_book_first(a, side), sl_book_first(b, side)};
    for (size_t at = 0; at < levels; at++) {
        const sl_level *left = sl_book_next(&cursors[0]);
        const sl_level *right = sl_book_next(&cursors[1]);
        assert_true((left == NULL) == (right == NULL));
        if (left == NULL || right == NULL) {
            return;
        }
        assert_true(sl_decimal_equal(left->price, right->price) && sl_decimal_equal(left->quantity, right->quantity));
    }
}

/* Begins to listen at `start`, asks for the snapshot `wait` messages later, is checked to the end. */
static void join_at(uint64_t start, uint64_t wait, bool raw_stream)
{
    sl_session_options options = {.generate = {.seed = 11, .messages = 12000}};
    sl_session *session = NULL;
    struct consumer consumer = {0};
    sl_session_message message;
    uint64_t at = 0;
    assert_int_equal(sl_session_open(&options, &session), 0);
    consumer.kit = market_kit_open(SL_VENUE_BINANCE_USDM, "BTCUSDT");
    assert_int_equal(sl_sequence_new(&(sl_sequence_options){.rule = SL_BOOK_RULE_BINANCE_FUTURES}, &consumer.sequence),
                     0);
    assert_int_equal(sl_book_new(0, &consumer.book), 0);
    while (sl_session_next(session, &message) > 0) {
        at++;
        if (at > start) {
            sl_json_text text = raw_stream ? message.data : message.text;
            consume(&consumer, text.data, text.size_bytes);
        }
        if (at == start + wait) {
            sl_json_text snapshot;
            assert_int_equal(sl_session_snapshot(session, SL_SESSION_LIMIT_MAX, &snapshot), 0);
            consume(&consumer, snapshot.data, snapshot.size_bytes);
        }
        if (at >= start + wait && message.kind == SL_EVENT_BOOK_DELTA) {
            assert_true(sl_sequence_last_id(consumer.sequence) == sl_session_last_id(session));
            assert_same_top(consumer.book, sl_session_book(session), SL_SIDE_BUY, 20);
            assert_same_top(consumer.book, sl_session_book(session), SL_SIDE_SELL, 20);
        }
    }
    assert_same_top(consumer.book, sl_session_book(session), SL_SIDE_BUY, SIZE_MAX);
    assert_same_top(consumer.book, sl_session_book(session), SL_SIDE_SELL, SIZE_MAX);
    assert_int_equal(sl_sequence_get_stats(consumer.sequence)->gaps, 0);
    market_kit_close(consumer.kit);
    sl_sequence_free(consumer.sequence);
    sl_book_free(consumer.book);
    sl_session_close(session);
}

static void a_consumer_joins_at_any_place(void **state)
{
    (void)state;
    for (uint64_t start = 60; start < 10000; start += 1709) {
        join_at(start, 1, start % 2 == 0);
        join_at(start, 2 + start % 40, start % 2 != 0);
        join_at(start, 900, false);
    }
}

static void snapshots_have_the_venues_form(void **state)
{
    (void)state;
    sl_session_options options = {.generate = {.seed = 1, .messages = 200}};
    sl_session *session = NULL;
    sl_session_message message;
    sl_json_text json;
    struct market_kit *kit = market_kit_open(SL_VENUE_BINANCE_USDM, "BTCUSDT");
    assert_int_equal(sl_session_open(&options, &session), 0);
    while (!sl_session_ready(session)) {
        assert_int_equal(sl_session_snapshot(session, 5, &json), SL_EAGAIN);
        assert_int_equal(sl_session_next(session, &message), 1);
    }
    assert_string_equal(sl_session_instrument(session), "BTCUSDT");
    assert_int_equal(sl_session_snapshot(session, SL_SESSION_LIMIT_MAX + 1, &json), SL_EINVAL);
    for (size_t limit = 0; limit <= 1000; limit += 500) {
        assert_int_equal(sl_session_snapshot(session, limit, &json), 0);
        assert_int_equal(strncmp(json.data, "{\"lastUpdateId\":", 16), 0);
        const sl_market_event *event = market_kit_line(kit, json.data, json.size_bytes);
        assert_true(event->as.snapshot.last_id == sl_session_last_id(session));
        assert_int_equal(event->as.snapshot.levels.bid_count, limit == 0 ? SL_SESSION_LIMIT_DEFAULT : limit);
        assert_int_equal(event->as.snapshot.levels.ask_count, limit == 0 ? SL_SESSION_LIMIT_DEFAULT : limit);
        assert_true(event->sent_time_ns > 0 && event->venue_time_ns > 0);
    }
    market_kit_close(kit);
    sl_session_close(session);
}

/* Plays a file made of `text`: the code it ends with, its problem in `problem`. */
static int play_text(const char *text, char problem[512])
{
    char path[] = "/tmp/sluice-session-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
    sl_session_options options = {.capture_path = path, .venue = SL_VENUE_BINANCE_SPOT};
    sl_session *session = NULL;
    sl_session_message message;
    int code = 0;
    assert_int_equal(sl_session_open(&options, &session), 0);
    while ((code = sl_session_next(session, &message)) > 0) {
        assert_true(message.text.size_bytes > 0);
    }
    assert_int_equal(sl_session_next(session, &message), code);
    (void)snprintf(problem, 512, "%s", sl_session_problem(session));
    sl_session_close(session);
    (void)unlink(path);
    return code;
}

static void bad_captures_are_told(void **state)
{
    (void)state;
#define DIFF(symbol, first, last)                                                                                      \
    "1 {\"e\":\"depthUpdate\",\"E\":1,\"s\":\"" symbol "\",\"U\":" first ",\"u\":" last ",\"b\":[],\"a\":[]}\n"
#define SNAPSHOT(id) "1 {\"lastUpdateId\":" id ",\"bids\":[],\"asks\":[]}\n"
    static const struct {
        const char *text;
        int code;
        const char *problem;
    } cases[] = {
        {"", 0, ""},
        {DIFF("A", "1", "5") SNAPSHOT("3") DIFF("A", "6", "7"), 0, ""},
        {SNAPSHOT("3") DIFF("A", "1", "5") SNAPSHOT("3") DIFF("A", "6", "7"), 0, ""},
        {DIFF("A", "1", "5") SNAPSHOT("3") DIFF("A", "7", "8"), SL_EPROTO, "the diff 7..8 does not follow 5"},
        {DIFF("A", "5", "6") SNAPSHOT("3"), SL_EPROTO, "the snapshot at 3 is older than the diffs"},
        {SNAPSHOT("3") DIFF("A", "5", "6"), SL_EPROTO, "does not follow 3"},
        {DIFF("A", "1", "5") DIFF("B", "6", "7"), SL_EPROTO, "a second instrument, B beside A"},
        {DIFF("A", "5", "1"), SL_EINVAL, "cannot keep the diff"},
        {"1 {}\n", SL_EPROTO, "unknown form"},
        {"1 {}", SL_EPROTO, "unknown form"},
        {"x\n", SL_EPROTO, "line 1: not of the form"},
    };
    for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
        char problem[512];
        int code = play_text(cases[at].text, problem);
        if (code != cases[at].code || strstr(problem, cases[at].problem) == NULL) {
            fail_msg("%s: code %d, %s", cases[at].text, code, problem);
        }
    }
    sl_session *session = NULL;
    sl_session_options options = {.capture_path = "/nonexistent.gz", .venue = SL_VENUE_BINANCE_SPOT};
    assert_int_equal(sl_session_open(&options, &session), SL_ENOENT);
    options.venue = SL_VENUE_NONE;
    assert_int_equal(sl_session_open(&options, &session), SL_EINVAL);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    int64_t held = sl_memory_held();
    bool done = false;
    int64_t n = 0;
    for (; !done; n++) {
        sl_session_options options = {.generate = {.seed = 2, .messages = 120}};
        sl_session *session = NULL;
        sl_session_message message;
        sl_json_text json;
        sl_memory_fail_after(n);
        int code = sl_session_open(&options, &session);
        while (code == 0 && (code = sl_session_next(session, &message)) > 0) {
            code = 0;
        }
        if (session != NULL && code == 0) {
            code = sl_session_snapshot(session, 0, &json);
        }
        sl_memory_fail_after(-1);
        done = code == 0;
        assert_true(done || code == SL_ENOMEM);
        sl_session_close(session);
        assert_int_equal(sl_memory_held(), held);
    }
    assert_in_range(n, 20, 1000);
}

SL_TEST_MAIN(cmocka_unit_test(captured_usdm_session), cmocka_unit_test(captured_spot_session),
             cmocka_unit_test(captured_coinm_session), cmocka_unit_test(generated_session_as_a_file),
             cmocka_unit_test(a_consumer_joins_at_any_place), cmocka_unit_test(snapshots_have_the_venues_form),
             cmocka_unit_test(bad_captures_are_told), cmocka_unit_test(survives_every_failed_allocation))
