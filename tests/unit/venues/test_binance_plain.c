/* SPDX-License-Identifier: MIT */
/* Binance's messages of the plain form, read in one pass: what comes of them is what the JSON cursor makes of them. */
#include "sl_test.h"

#include <stdlib.h>
#include <string.h>

#include "market/record.h"
#include "market_kit.h"
#include "venues/binance/binance.h"

#define MESSAGE_BYTES 1024
#define MUTATIONS 4000

/* Which of the two readers is looked at: that for any processor, or that by vectors, where this one has them. */
static bool by_vectors;

static const char *const messages[] = {
    "{\"e\":\"trade\",\"E\":1723161256322,\"T\":1723161256321,\"s\":\"BTCUSDT\",\"t\":5266583935,\"p\":\"61800.30\","
    "\"q\":\"0.006\",\"X\":\"MARKET\",\"m\":false}",
    "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1723161255343,\"s\":\"BTCUSDT\",\"t\":3735683259,"
    "\"p\":\"61837.63000000\",\"q\":\"0.02000000\",\"T\":1723161255342,\"m\":true,\"M\":true}}",
    "{\"stream\":\"btcusdt@depth@0ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":1723161256299,\"T\":1723161256298,"
    "\"s\":\"BTCUSDT\",\"U\":5012345678901,\"u\":5012345678999,\"pu\":5012345678900,"
    "\"b\":[[\"61800.10\",\"0.000\"],[\"1\",\"12345678\"],[\"0.00000100\",\"123456789.12345678\"]],"
    "\"a\":[[\"61800.20\",\"14.5\"],[\"99999999.9\",\"0.0\"],[\"1234567.12000000\",\"123456789.00000000\"],"
    "[\"61800.2\",\"123456789.12345678\"],[\"12345678901.12345678\",\"0.1\"],[\"12345678\",\"0\"]]}}",
    "{\"e\":\"depthUpdate\",\"E\":1723161255208,\"s\":\"BTCUSDT\",\"U\":157,\"u\":160,\"b\":[],\"a\":[[\"1.5\",\"2\"]]"
    "}",
    "{\"stream\":\"btcusdt@depth20@100ms\",\"data\":{\"lastUpdateId\":160,\"bids\":[[\"0.0024\",\"10\"]],"
    "\"asks\":[[\"0.0026\",\"100\"]]}}",
    "{\"u\":400900217,\"s\":\"BTCUSDT\",\"b\":\"25.35190000\",\"B\":\"31.21000000\",\"a\":\"25.36520000\","
    "\"A\":\"40.66000000\"}",
    "{\"e\":\"aggTrade\",\"E\":1,\"s\":\"BTCUSDT\",\"a\":26129,\"p\":\"0.01633102\",\"q\":\"4.70443515\",\"f\":27781,"
    "\"l\":27781,\"T\":1498793709153,\"m\":true,\"M\":true}",
    "{\"e\":\"24hrTicker\",\"E\":1672515782136,\"s\":\"BTCUSDT\",\"c\":\"0.0025\",\"b\":\"0.0024\",\"B\":\"10\","
    "\"a\":\"0.0026\",\"A\":\"100\",\"o\":\"0.0010\",\"h\":\"0.0025\",\"l\":\"0.0010\",\"v\":\"10000\",\"q\":\"18\","
    "\"O\":0,\"C\":1675216573749,\"F\":0,\"L\":18150,\"n\":18151}",
    "{\"e\":\"markPriceUpdate\",\"E\":1562305380000,\"s\":\"BTCUSDT\",\"p\":\"11794.15\",\"i\":\"11784.62659091\","
    "\"P\":\"11784.25641265\",\"r\":\"0.00038167\",\"T\":1562306400000}",
    "{\"e\":\"trade\",\"E\":1723161255343,\"s\":\"BTCUSDT\",\"t\":0,\"p\":\"1234567890123.45\",\"q\":\"0.0\","
    "\"T\":123456789012345678,\"m\":false,\"M\":false}",
    "{\"e\":\"depthUpdate\",\"E\":1,\"T\":1,\"s\":\"BTCUSDT\",\"U\":1,\"u\":2,\"pu\":0,\"b\":[[\"0.1\",\"0.1\"],"
    "[\"12345678901234.5\",\"1.2\"],[\"1.2\",\"12345678901234.5\"],[\"123456789012345.5\",\"1.2\"],[\"1234567890.12\","
    "\"123456789012.1\"],[\"10.0\",\"0.00000000000001\"],[\"7\",\"1.5\"],[\"1.5\",\"7\"]],\"a\":[[\"2.0\",\"10.25\"]]}",
    "{\"result\":null,\"id\":7}",
    "{\"code\":3,\"msg\":\"Invalid JSON\",\"id\":9}",
};

#define COUNT (sizeof(messages) / sizeof(messages[0]))

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* A copy in the middle of what may lie behind it in a stream's buffer: more of the same. */
static char *padded_copy(const char *text, size_t size_bytes)
{
    char *padded = sl_malloc(size_bytes + SL_JSON_PADDING);
    assert_non_null(padded);
    memcpy(padded, text, size_bytes);
    for (size_t at = 0; at < SL_JSON_PADDING; at++) {
        padded[size_bytes + at] = size_bytes == 0 ? '"' : text[at % size_bytes];
    }
    return padded;
}

static void assert_same_event(const sl_market_event *one, const sl_market_event *other, const char *text)
{
    static uint8_t records[2][65536];
    assert_true(sl_record_bound(one) <= sizeof(records[0]) && sl_record_bound(other) <= sizeof(records[0]));
    size_t size_bytes = sl_record_encode(one, records[0]);
    if (sl_record_encode(other, records[1]) != size_bytes || memcmp(records[0], records[1], size_bytes) != 0) {
        fail_msg("another event than by the cursor: %s", text);
    }
}

/* Decodes the text in both ways, which have to agree in all; whether the plain way read it. */
static bool assert_same(struct market_kit *plain, struct market_kit *cursor, const char *text, size_t size_bytes)
{
    char *padded = padded_copy(text, size_bytes);
    char *exact = sl_malloc(size_bytes + 1);
    memcpy(exact, text, size_bytes);
    exact[size_bytes] = '\0';
    sl_venue_message message = {padded, size_bytes, SL_JSON_PADDED, 42};
    struct sl__binance *binance = (struct sl__binance *)plain->decoder;
    binance->read_plain = by_vectors ? sl__binance_read_plain_avx2 : sl__binance_read_plain;
    bool read = binance->read_plain(binance, &message, &(sl_venue_output){.event = NULL});
    int code = market_kit_decode_message(plain, &message);
    message = (sl_venue_message){exact, size_bytes, 0, 42};
    assert_int_equal(market_kit_decode_message(cursor, &message), code);
    assert_int_equal(plain->event_count, cursor->event_count);
    assert_int_equal(plain->notice_count, cursor->notice_count);
    for (size_t at = 0; at < plain->event_count; at++) {
        assert_same_event(&plain->events[at], &cursor->events[at], exact);
    }
    for (size_t at = 0; at < plain->notice_count; at++) {
        const sl_venue_notice *one = &plain->notices[at], *other = &cursor->notices[at];
        assert_int_equal(one->kind, other->kind);
        assert_true(one->request_id == other->request_id && one->code == other->code);
        assert_int_equal(one->text.size_bytes, other->text.size_bytes);
        assert_true(one->text.size_bytes == 0 || memcmp(one->text.data, other->text.data, one->text.size_bytes) == 0);
    }
    if (code < 0) {
        assert_string_equal(sl_venue_problem(plain->decoder), sl_venue_problem(cursor->decoder));
    }
    assert_memory_equal(&plain->decoder->stats, &cursor->decoder->stats, sizeof(sl_venue_stats));
    sl_free(padded);
    sl_free(exact);
    return read;
}

static void usual_messages_are_read_in_one_pass(void **state)
{
    (void)state;
    for (int venue = SL_VENUE_BINANCE_SPOT; venue <= SL_VENUE_BINANCE_COINM; venue++) {
        struct market_kit *plain = market_kit_open((sl_venue)venue, "BTCUSDT");
        struct market_kit *cursor = market_kit_open((sl_venue)venue, "BTCUSDT");
        for (size_t at = 0; at < COUNT; at++) {
            assert_true(assert_same(plain, cursor, messages[at], strlen(messages[at])));
        }
        market_kit_close(plain);
        market_kit_close(cursor);
    }
}

/* Forms that are left to the cursor, though most of them are right. */
static void other_forms_are_left_alone(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{}",
        "[]",
        " {\"id\":1}",
        "{\"id\":1} ",
        "{\"id\": 1}",
        "{\"id\":-1,\"result\":null}",
        "{\"id\":1.5,\"result\":null}",
        "{\"id\":01,\"result\":null}",
        "{\"id\":1e3,\"result\":null}",
        "{\"id\":1,\"result\":nul}",
        "{\"id\":1,\"result\":[]}",
        "{\"id\":1,\"result\":null",
        "{\"id\":1,\"result\":null}}",
        "{\"id\":1,\"result\":null,}",
        "{\"id\":1\"result\":null}",
        "{\"\\u0069d\":1,\"result\":null}",
        "{\"id\":\"\\u0031\",\"result\":null}",
        "{\"id\":\"\xc3\xa9\",\"result\":null}",
        "{\"id\":\"\x01\",\"result\":null}",
        "{\"error\":{\"code\":2,\"msg\":\"Invalid request\"},\"id\":1}",
        "{\"b\":[[\"1\",\"-1\"]]}",
        "{\"b\":[[\"1\"]]}",
        "{\"b\":[[\"1\",\"2\",\"3\"]]}",
        "{\"b\":[[\"1\",\"2\"],]}",
        "{\"b\":[[\"1.5\",\"2.5\"],]}",
        "{\"b\":[[\"1.5\",\"2.5\"]",
        "{\"b\":[[\"1.5\",\"2.5\"],[\"1.5\"",
        "{\"b\":[[\"1.5\",\"2.5\",\"3.5\"]]}",
        "{\"b\":[[\"01.5\",\"2.5\"]]}",
        "{\"b\":[[\"1.5\",\"02.5\"]]}",
        "{\"b\":[[\"1.\",\"2.5\"]]}",
        "{\"b\":[[\"1.5\",\".5\"]]}",
        "{\"b\":[[\"1.5\",\"2.5.5\"]]}",
        "{\"b\":[[\"1.5\" \"2.5\"]]}",
        "{\"b\":[[\"1,5\",\"2.5\"]]}",
        "{\"b\":[[\"1.5\",\"2]5\"]]}",
        ("{\"e\":\"trade\",\"E\":1,\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"1.5\",\"q\":\"2.5\",\"T\":1,\"m\":true,\"M\":true,"
         "}"),
        "{\"e\":\"trade\",\"E\":1,\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"1.5\",\"q\":\"2.5\",\"T\":1,\"m\":true,\"M\":true",
        ("{\"e\":\"trade\",\"E\":-1,\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"1.5\",\"q\":\"2.5\",\"T\":1,\"m\":true,\"M\":"
         "true}"),
        "{\"b\":[[\"1\",\"2\"]",
        "{\"b\":[[\"01\",\"2\"]]}",
        "{\"b\":[[\"01.5\",\"2\"]]}",
        "{\"b\":[[\"1\",\"00.5\"]]}",
        "{\"b\":[[\"1.5.2\",\"2\"]]}",
        "{\"b\":[[\"\",\"2\"]]}",
        "{\"b\":[[\"1.\",\"2\"]]}",
        "{\"b\":[[\".1\",\"2\"]]}",
        "{\"b\":[[\"1:3\",\"2\"]]}",
        "{\"b\":[[\"123456789012345678901\",\"2\"]]}",
        "{\"b\":[[\"1\",\"1.1234567890123456789012345678901234567890\"]]}",
        "{\"b\":[[1,2]]}",
    };
    struct market_kit *plain = market_kit_open(SL_VENUE_BINANCE_SPOT, "BTCUSDT");
    struct market_kit *cursor = market_kit_open(SL_VENUE_BINANCE_SPOT, "BTCUSDT");
    for (size_t at = 0; at < sizeof(texts) / sizeof(texts[0]); at++) {
        if (assert_same(plain, cursor, texts[at], strlen(texts[at]))) {
            fail_msg("was read as plain: %s", texts[at]);
        }
    }
    market_kit_close(plain);
    market_kit_close(cursor);
}

/* One change to a message: a character, a piece that is gone or comes twice, a piece of another message, its end. */
static size_t mutate(char text[MESSAGE_BYTES], size_t size_bytes, uint64_t *random)
{
    static const char characters[] = "\"\"\"\\{}[],,::0019.-eEtfn \n\x7f\x80\xc3";
    size_t at = next_random(random) % size_bytes;
    size_t length = 1 + next_random(random) % 12;
    length = length < size_bytes - at ? length : size_bytes - at;
    const char *other = messages[next_random(random) % COUNT];
    size_t from = next_random(random) % strlen(other);
    switch (next_random(random) % 5) {
    case 0:
        text[at] = characters[next_random(random) % (sizeof(characters) - 1)];
        return size_bytes;
    case 1:
        memmove(text + at, text + at + length, size_bytes - at - length);
        return size_bytes - length;
    case 2:
        length = length < MESSAGE_BYTES - size_bytes ? length : MESSAGE_BYTES - size_bytes;
        memmove(text + at + length, text + at, size_bytes - at);
        return size_bytes + length;
    case 3:
        length = length < strlen(other + from) ? length : strlen(other + from);
        memcpy(text + at, other + from, length);
        return size_bytes;
    default:
        return next_random(random) % 4 == 0 ? at : size_bytes;
    }
}

static void broken_messages_are_read_alike(void **state)
{
    (void)state;
    uint64_t seed = sl_test_number("SL_PLAIN_SEED", 1);
    uint64_t random = seed;
    size_t plain_count = 0;
    print_message("seed %llu (SL_PLAIN_SEED)\n", (unsigned long long)seed);
    struct market_kit *plain = market_kit_open(SL_VENUE_BINANCE_USDM, "BTCUSDT");
    struct market_kit *cursor = market_kit_open(SL_VENUE_BINANCE_USDM, "BTCUSDT");
    for (int round = 0; round < MUTATIONS; round++) {
        char text[MESSAGE_BYTES];
        const char *message = messages[next_random(&random) % COUNT];
        size_t size_bytes = strlen(message);
        memcpy(text, message, size_bytes);
        for (uint64_t changes = 1 + next_random(&random) % 3; changes > 0 && size_bytes > 0; changes--) {
            size_bytes = mutate(text, size_bytes, &random);
        }
        plain_count += assert_same(plain, cursor, text, size_bytes);
    }
    assert_in_range(plain_count, MUTATIONS / 20, MUTATIONS - 1); /* both ways were taken */
    market_kit_close(plain);
    market_kit_close(cursor);
}

/* The same for the reader by vectors; where the processor has none that is the other one again. */
static void vectors_read_usual_messages(void **state)
{
    by_vectors = sl__binance_has_avx2();
    usual_messages_are_read_in_one_pass(state);
}

static void vectors_leave_other_forms_alone(void **state)
{
    by_vectors = sl__binance_has_avx2();
    other_forms_are_left_alone(state);
}

static void vectors_read_broken_messages_alike(void **state)
{
    by_vectors = sl__binance_has_avx2();
    broken_messages_are_read_alike(state);
}

/* A look at what comes next changes nothing, whatever that is, and reads nothing behind it. */
static void looking_ahead_harms_nothing(void **state)
{
    (void)state;
    struct market_kit *kit = market_kit_open(SL_VENUE_BINANCE_USDM, "BTCUSDT");
    sl_venue_stats before = kit->decoder->stats;
    for (size_t at = 0; at < COUNT; at++) {
        for (size_t size_bytes = 0; size_bytes <= strlen(messages[at]); size_bytes++) {
            char *exact = sl_malloc(size_bytes); /* no byte more: the sanitizer sees it */
            memcpy(exact, messages[at] + strlen(messages[at]) - size_bytes, size_bytes);
            sl__binance_look_ahead(kit->decoder, exact, size_bytes);
            sl_free(exact);
        }
    }
    assert_memory_equal(&kit->decoder->stats, &before, sizeof before);
    market_kit_close(kit);
}

SL_TEST_MAIN(cmocka_unit_test(usual_messages_are_read_in_one_pass), cmocka_unit_test(other_forms_are_left_alone),
             cmocka_unit_test(broken_messages_are_read_alike), cmocka_unit_test(vectors_read_usual_messages),
             cmocka_unit_test(vectors_leave_other_forms_alone), cmocka_unit_test(vectors_read_broken_messages_alike),
             cmocka_unit_test(looking_ahead_harms_nothing))
