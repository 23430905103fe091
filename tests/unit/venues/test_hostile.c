/* SPDX-License-Identifier: MIT */
/*
 * Each kind of message of each venue (messages.txt), broken in every way that a hostile or mistaken sender may think of:
 * it is counted, its problem has a text, what comes out of it is sound and of no other instrument, and what the decoder
 * gives of another instrument meanwhile is event for event what a decoder gives that has seen nothing of this.
 */
#include "message_samples.h"
#include "venue_kit.h"

#define TEXT_BYTES ((size_t)8 << 20)
#define VALUES_MAX 400
#define LEVELS 100001

struct attack {
    sl_venue venue;
    venue_kit dirty, clean; /* the second one hears of the bystander only */
    const struct samples *samples;
    size_t bystander; /* its next sample */
    uint64_t tried, refused;
    char *text;
};

static int on_attacked(void *arg, const sl_market_event *event)
{
    const struct attack *attack = arg;
    const char *bystander = sample_symbols[attack->venue][1];
    if (strcmp(event->instrument->symbol, bystander) == 0) {
        fail_msg("%s: an event of the bystander", sl_venue_name(attack->venue));
    }
    if (event->kind == SL_EVENT_TRADE) {
        assert_true(event->as.trade.id >= 0 && event->as.trade.price.mantissa >= 0 &&
                    event->as.trade.quantity.mantissa >= 0 && event->as.trade.taker != SL_SIDE_NONE);
    } else if (event->kind == SL_EVENT_BEST) {
        assert_true(event->as.best.bid.price.mantissa >= 0 && event->as.best.ask.quantity.mantissa >= 0);
    } else if (event->kind == SL_EVENT_CANDLE) {
        assert_true(event->as.candle.interval_ns > 0 && event->as.candle.volume.mantissa >= 0);
    }
    const sl_levels *levels = event->kind == SL_EVENT_BOOK_DELTA      ? &event->as.delta.levels
                              : event->kind == SL_EVENT_BOOK_SNAPSHOT ? &event->as.snapshot.levels
                                                                      : NULL;
    for (size_t at = 0; levels != NULL && at < levels->bid_count; at++) {
        assert_true(levels->bids[at].price.mantissa >= 0 && levels->bids[at].quantity.mantissa >= 0);
    }
    return 0;
}

/* Lines of market data: notices may be of the connection as a whole. */
static void keep_events(const venue_kit *kit, char *lines, size_t size_bytes)
{
    lines[0] = '\0';
    for (const char *line = kit->text; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (line[0] != '!') {
            size_t used = strlen(lines);
            (void)snprintf(lines + used, size_bytes - used, "%.*s\n", (int)strcspn(line, "\n"), line);
        }
    }
}

/* The bystander's next message means the same to both. */
static void pass_by(struct attack *attack)
{
    static char dirty[8192], clean[8192];
    char text[SAMPLE_BYTES];
    do {
        attack->bystander = (attack->bystander + 1) % attack->samples->count;
    } while (!sample_is_of(&attack->samples->all[attack->bystander], attack->venue));
    const struct sample *sample = &attack->samples->all[attack->bystander];
    size_t size_bytes = sample_write(sample, sample_symbols[attack->venue][1], text, sizeof text);
    attack->dirty.event = NULL;
    int one = venue_kit_decode(&attack->dirty, text, size_bytes);
    attack->dirty.event = on_attacked;
    int other = venue_kit_decode(&attack->clean, text, size_bytes);
    keep_events(&attack->dirty, dirty, sizeof dirty);
    keep_events(&attack->clean, clean, sizeof clean);
    if (one != other || strcmp(dirty, clean) != 0) {
        fail_msg("%s: after a hostile message %s\n  gave %d %s  not  %d %s", sl_venue_name(attack->venue), text, one,
                 dirty, other, clean);
    }
}

static void try(struct attack *attack, const char *text, size_t size_bytes)
{
    venue_kit *kit = &attack->dirty;
    const sl_venue_stats *stats = &kit->decoder->stats;
    uint64_t before = stats->decoded + stats->notices + stats->unknown + stats->bad,
             refused = stats->bad + stats->unknown;
    kit->decoder->problem[0] = '\0';
    kit->silent = true;
    int code = venue_kit_decode(kit, text, size_bytes);
    kit->silent = false;
    bool known = code == 0 || code == SL_EPROTO || code == SL_ENOTSUP || code == SL_ERANGE || code == SL_EMSGSIZE;
    if (!known || (code < 0 && sl_venue_problem(kit->decoder)[0] == '\0')) {
        fail_msg("%s: %.*s\n  gave %d \"%s\"", sl_venue_name(attack->venue), (int)size_bytes, text, code,
                 sl_venue_problem(kit->decoder));
    }
    assert_int_equal(stats->decoded + stats->notices + stats->unknown + stats->bad - before, 1);
    assert_int_equal(stats->bad + stats->unknown - refused, code < 0);
    attack->refused += code < 0;
    if (attack->tried++ % 7 == 0) {
        pass_by(attack);
    }
}

/* ---- where values are ---- */

struct piece {
    size_t from, to;   /* the value */
    size_t field_from; /* the key before it, with a comma if there is one; from where there is none */
    bool array, string, key;
};

struct pieces {
    struct piece all[VALUES_MAX];
    size_t count;
};

/* Reads the value at `at` and all in it; its end. The samples are well-formed. */
static size_t scan(const char *json, size_t at, size_t field_from, struct pieces *pieces)
{
    assert_true(pieces->count < VALUES_MAX);
    struct piece *piece = &pieces->all[pieces->count++];
    *piece = (struct piece){.from = at, .field_from = field_from, .array = json[at] == '[', .string = json[at] == '"'};
    if (json[at] == '{' || json[at] == '[') {
        char close = json[at] == '{' ? '}' : ']';
        bool object = close == '}';
        for (at++; json[at] != close;) {
            size_t from = json[at] == ',' ? at++ : at;
            if (object) {
                assert_true(pieces->count < VALUES_MAX);
                struct piece *key = &pieces->all[pieces->count++];
                *key = (struct piece){.from = at, .field_from = at, .key = true};
                for (at++; json[at] != '"'; at++) {
                }
                key->to = ++at;
                at++; /* the colon */
            }
            at = scan(json, at, object ? from : at, pieces);
        }
        at++;
    } else if (json[at] == '"') {
        for (at++; json[at] != '"'; at += json[at] == '\\' ? 2 : 1) {
        }
        at++;
    } else {
        at += strcspn(json + at, ",]}");
    }
    piece->to = at;
    return at;
}

/* ---- ways to break one ---- */

/* json with [from, to) replaced by the bytes. */
static void replace(struct attack *attack, const char *json, size_t from, size_t to, const char *bytes, size_t count)
{
    size_t size_bytes = strlen(json);
    assert_true(size_bytes + count < TEXT_BYTES);
    memcpy(attack->text, json, from);
    memcpy(attack->text + from, bytes, count);
    memcpy(attack->text + from + count, json + to, size_bytes - to);
    try(attack, attack->text, size_bytes - (to - from) + count);
}

#define REPLACE(attack, json, piece, text) replace(attack, json, (piece)->from, (piece)->to, text, sizeof(text) - 1)

static void break_value(struct attack *attack, const char *json, const struct piece *piece)
{
    static char digits[512], nested[6001];
    memset(digits, '9', 400);
    digits[0] = '"';
    digits[400] = '"';
    memset(nested, '[', 3000);
    memset(nested + 3000, ']', 3000);
    REPLACE(attack, json, piece, "null");
    REPLACE(attack, json, piece, "true");
    REPLACE(attack, json, piece, "{}");
    REPLACE(attack, json, piece, "[]");
    REPLACE(attack, json, piece, "[[[]]]");
    REPLACE(attack, json, piece, "{\"a\":{\"b\":[1]}}");
    REPLACE(attack, json, piece, "\"\"");
    REPLACE(attack, json, piece, "\"-1\"");
    REPLACE(attack, json, piece, "-1");
    REPLACE(attack, json, piece, "-0");
    REPLACE(attack, json, piece, "1e5");
    REPLACE(attack, json, piece, "\"1e400\"");
    REPLACE(attack, json, piece, "1e400");
    REPLACE(attack, json, piece, "NaN");
    REPLACE(attack, json, piece, "\"NaN\"");
    REPLACE(attack, json, piece, "\"Infinity\"");
    REPLACE(attack, json, piece, "9223372036854775807");
    REPLACE(attack, json, piece, "9223372036854775808");
    REPLACE(attack, json, piece, "\"18446744073709551616\"");
    REPLACE(attack, json, piece, "-9223372036854775808");
    REPLACE(attack, json, piece, "0.00000000000000000000000000000000001");
    REPLACE(attack, json, piece, "\"\xff\xfe\"");
    REPLACE(attack, json, piece, "\"\xed\xa0\x80\"");
    REPLACE(attack, json, piece, "\"a\0b\"");
    REPLACE(attack, json, piece, "\"\\u0000\"");
    REPLACE(attack, json, piece, "\"\\ud800\"");
    REPLACE(attack, json, piece, "\"1\",\"1\"");
    replace(attack, json, piece->from, piece->to, digits, 401);
    replace(attack, json, piece->from, piece->to, digits + 1, 399);
    replace(attack, json, piece->from, piece->to, nested, 6000);
    replace(attack, json, piece->from, piece->to, nested, 3000);
}

/* The whole field is missing, there twice, or by another name. */
static void break_field(struct attack *attack, const char *json, const struct piece *piece)
{
    static char twice[2 * SAMPLE_BYTES];
    replace(attack, json, piece->field_from, piece->to, "", 0);
    int length = snprintf(twice, sizeof twice, "%.*s%s%.*s", (int)(piece->to - piece->field_from),
                          json + piece->field_from, json[piece->field_from] == ',' ? "" : ",",
                          (int)(piece->to - piece->field_from), json + piece->field_from);
    assert_true(length > 0 && (size_t)length < sizeof twice);
    replace(attack, json, piece->field_from, piece->to, twice, (size_t)length);
}

static void break_case(struct attack *attack, const char *json, const struct piece *piece)
{
    char other[SAMPLE_BYTES];
    size_t count = piece->to - piece->from;
    for (int upper = 0; upper < 2; upper++) {
        for (size_t at = 0; at < count; at++) {
            unsigned char c = (unsigned char)json[piece->from + at];
            other[at] = (char)(upper ? toupper(c) : tolower(c));
        }
        if (memcmp(other, json + piece->from, count) != 0) {
            replace(attack, json, piece->from, piece->to, other, count);
        }
    }
}

/* An array with its first element a hundred thousand times: more levels than a book may have. */
static void blow_up(struct attack *attack, const char *json, const struct piece *piece, const struct piece *first)
{
    size_t element = first->to - first->from, used = 0;
    if (first->from >= piece->to || LEVELS * (element + 1) + SAMPLE_BYTES > TEXT_BYTES) {
        return;
    }
    memcpy(attack->text, json, piece->from + 1);
    used = piece->from + 1;
    for (size_t at = 0; at < LEVELS; at++) {
        memcpy(attack->text + used, json + first->from, element);
        used += element;
        attack->text[used++] = ',';
    }
    used--;
    size_t rest = strlen(json + piece->to - 1);
    memcpy(attack->text + used, json + piece->to - 1, rest);
    try(attack, attack->text, used + rest);
    pass_by(attack);
}

static void break_all(struct attack *attack, const struct sample *sample, bool *large)
{
    static struct pieces pieces;
    static char json[SAMPLE_BYTES];
    for (int symbol = 0; symbol < 2; symbol++) { /* the attacked one's, and one that nobody lists */
        size_t size_bytes =
            sample_write(sample, symbol == 0 ? sample_symbols[attack->venue][0] : "Z9Z", json, sizeof json);
        try(attack, json, size_bytes);
    }
    size_t size_bytes = sample_write(sample, sample_symbols[attack->venue][0], json, sizeof json);
    for (size_t at = 0; at < size_bytes; at++) {
        try(attack, json, at);
    }
    if (json[0] != '{' && json[0] != '[') {
        return;
    }
    pieces.count = 0;
    assert_int_equal(scan(json, 0, 0, &pieces), size_bytes);
    for (size_t at = 0; at < pieces.count; at++) {
        const struct piece *piece = &pieces.all[at];
        break_value(attack, json, piece);
        if (piece->string || piece->key) {
            break_case(attack, json, piece);
        }
        if (!piece->key && piece->field_from < piece->from) {
            break_field(attack, json, piece);
        }
        bool nested = piece->array && at + 1 < pieces.count && pieces.all[at + 1].array;
        if (nested && !*large) {
            *large = true; /* once for each kind of book is enough */
            blow_up(attack, json, piece, &pieces.all[at + 1]);
        }
    }
}

static void open_kit(venue_kit *kit, sl_venue venue)
{
    venue_kit_instrument instruments[4] = {{.symbol = NULL}};
    for (size_t at = 0; at < 3; at++) {
        static const char *const bases[] = {"BTC", "ETH", "SOL"};
        instruments[at] = (venue_kit_instrument){
            .symbol = sample_symbols[venue][at], .base = bases[at], .quote = "USD", .tick = "0.01", .lot = "0.0001"};
    }
    venue_kit_open(kit, venue, instruments);
}

static void attack_venue(sl_venue venue)
{
    struct samples *samples = samples_read();
    struct attack attack = {.venue = venue, .samples = samples, .text = malloc(TEXT_BYTES)};
    assert_non_null(attack.text);
    open_kit(&attack.dirty, venue);
    open_kit(&attack.clean, venue);
    attack.dirty.arg = &attack;
    attack.dirty.event = on_attacked;
    for (size_t at = 0; at < samples->count; at++) {
        bool large = false;
        if (sample_is_of(&samples->all[at], venue)) {
            break_all(&attack, &samples->all[at], &large);
        }
    }
    print_message("%s: %llu messages, %llu refused\n", sl_venue_name(venue), (unsigned long long)attack.tried,
                  (unsigned long long)attack.refused);
    assert_true(attack.refused > attack.tried / 3 && attack.tried > 3000);
    venue_kit_close(&attack.dirty);
    venue_kit_close(&attack.clean);
    free(attack.text);
    free(samples);
}

#define ATTACK(name, venue)                                                                                            \
    static void name(void **state)                                                                                     \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        attack_venue(venue);                                                                                           \
    }

#define VENUES(X)                                                                                                      \
    X(binance, SL_VENUE_BINANCE_SPOT)                                                                                  \
    X(binance_usdm, SL_VENUE_BINANCE_USDM)                                                                             \
    X(binance_coinm, SL_VENUE_BINANCE_COINM)                                                                           \
    X(coinbase, SL_VENUE_COINBASE)                                                                                     \
    X(kraken, SL_VENUE_KRAKEN)                                                                                         \
    X(bybit, SL_VENUE_BYBIT_SPOT)                                                                                      \
    X(bybit_linear, SL_VENUE_BYBIT_LINEAR)                                                                             \
    X(bybit_inverse, SL_VENUE_BYBIT_INVERSE)                                                                           \
    X(okx, SL_VENUE_OKX)                                                                                               \
    X(bitstamp, SL_VENUE_BITSTAMP)

VENUES(ATTACK)

#define ATTACKED(name, venue) [venue] = true,
#define CASE(name, venue) cmocka_unit_test(name),

static void none_is_left_out(void **state)
{
    (void)state;
    static const bool attacked[SL_VENUE_EXTERNAL] = {VENUES(ATTACKED)};
    for (int venue = SL_VENUE_NONE + 1; venue < SL_VENUE_EXTERNAL; venue++) {
        if (!attacked[venue]) {
            fail_msg("%s is not among the venues of this file", sl_venue_name((sl_venue)venue));
        }
    }
}

SL_TEST_MAIN(VENUES(CASE) cmocka_unit_test(none_is_left_out))
