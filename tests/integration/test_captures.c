/* SPDX-License-Identifier: MIT */
/*
 * Captured sessions of all venues through the real path: reader, decoder, keeper of the book. Chains are whole, snapshots
 * join, prices come out as the text that came in. Skipped where the captures are not there.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exchange/captured.h"
#include "market/capture.h"
#include "market/keeper.h"
#include "market_kit.h"
#include "sl_test.h"

#define SYMBOLS_MAX 4096

/* What came of a session. */
struct play {
    sl_instruments *instruments;
    sl_venue_decoder *decoder;
    sl_keeper *keepers[SYMBOLS_MAX]; /* by instrument */
    uint64_t kinds[SL_EVENT_KIND_COUNT];
    uint64_t messages, notices, gaps, joins, given;
    const char *text; /* of the message that is decoded */
    size_t text_bytes;
};

static int count_given(void *arg, const sl_market_event *event)
{
    struct play *play = arg;
    play->given++;
    play->gaps += event->kind == SL_EVENT_GAP;
    return 0;
}

static sl_keeper *keeper_of(struct play *play, const sl_instrument *instrument)
{
    assert_true(instrument->index < SYMBOLS_MAX);
    sl_keeper **keeper = &play->keepers[instrument->index];
    if (*keeper == NULL) {
        sl_keeper_options options = {.rule = sl_venue_driver_of(instrument->venue)->book_rule,
                                     .instrument = instrument,
                                     .checksum = sl_venue_driver_of(instrument->venue)->book_checksum,
                                     .arg = play,
                                     .event = count_given};
        assert_int_equal(sl_keeper_new(&options, keeper), 0);
    }
    return *keeper;
}

/* The text of a decimal stands in the message, in quotes. */
static void assert_in_text(const struct play *play, sl_decimal decimal)
{
    char text[SL_DECIMAL_TEXT_MAX + 2] = "\"";
    size_t length = sl_decimal_format(decimal, SL_DECIMAL_SCALED, text + 1);
    memcpy(text + 1 + length, "\"", 2);
    if (memmem(play->text, play->text_bytes, text, length + 2) == NULL) {
        fail_msg("%s is not in %.200s", text, play->text);
    }
}

static void assert_exact(const struct play *play, const sl_market_event *event)
{
    if (event->kind == SL_EVENT_TRADE) {
        assert_in_text(play, event->as.trade.price);
        assert_in_text(play, event->as.trade.quantity);
    } else if (event->kind == SL_EVENT_BEST) {
        assert_in_text(play, event->as.best.bid.price);
        assert_in_text(play, event->as.best.ask.quantity);
    } else if (event->kind == SL_EVENT_BOOK_DELTA && event->as.delta.levels.bid_count < 50) {
        for (size_t at = 0; at < event->as.delta.levels.bid_count; at++) {
            assert_in_text(play, event->as.delta.levels.bids[at].price);
            assert_in_text(play, event->as.delta.levels.bids[at].quantity);
        }
    }
}

static int take_event(void *arg, const sl_market_event *event)
{
    struct play *play = arg;
    play->kinds[event->kind]++;
    assert_exact(play, event);
    bool snapshot = event->kind == SL_EVENT_BOOK_SNAPSHOT && event->feed == SL_FEED_DEPTH; /* in the stream */
    if (event->kind == SL_EVENT_BOOK_DELTA || snapshot) {
        assert_int_equal(sl_keeper_event(keeper_of(play, event->instrument), event, event->receive_time_ns), 0);
        play->joins += snapshot;
    } else if (event->kind == SL_EVENT_BOOK_SNAPSHOT) {
        int code = sl_keeper_snapshot(keeper_of(play, event->instrument), event, event->receive_time_ns);
        assert_true(code >= 0);
        play->joins += code == 1;
    }
    return 0;
}

static int take_notice(void *arg, const sl_venue_notice *notice)
{
    (void)notice;
    ((struct play *)arg)->notices++;
    return 0;
}

/* Behind a word in a line's URL; NULL without it. */
static const char *behind(const sl_capture_line *line, const char *word)
{
    size_t length = strlen(word);
    const char *at = line->url_bytes == 0 ? NULL : memmem(line->url, line->url_bytes, word, length);
    return at == NULL ? NULL : at + length;
}

/* The instrument that a URL names (Binance's query, Bitstamp's path), or the only one. */
static const sl_instrument *named_by(const struct play *play, const sl_capture_line *line)
{
    const char *at = behind(line, "symbol=");
    at = at == NULL ? behind(line, "order_book/") : at;
    if (at == NULL) {
        return sl_instruments_at(play->instruments, 0);
    }
    size_t left = (size_t)(line->url + line->url_bytes - at);
    const char *end = memchr(at, '&', left);
    return sl_instruments_find(play->instruments, play->decoder->options.venue, at,
                               end == NULL ? left : (size_t)(end - at));
}

static void take_line(struct play *play, const sl_capture_line *line)
{
    static const char snapshot[] = "{\"lastUpdateId\"";
    const sl_venue_output output = {.arg = play, .event = take_event, .notice = take_notice};
    sl_venue_message message = {line->text, line->size_bytes, SL_JSON_PADDED, line->receive_time_ns};
    sl_venue_answer answer;
    int code = 0;
    char *text = sl_strndup(line->text, line->size_bytes); /* to be searched in */
    assert_non_null(text);
    play->text = text;
    play->text_bytes = line->size_bytes;
    if (strncmp(line->text, snapshot, sizeof(snapshot) - 1) == 0 || behind(line, "order_book/") != NULL) {
        sl_venue_request request = {.kind = SL_REQUEST_SNAPSHOT, .instrument = named_by(play, line)};
        code = sl_venue_decode_rest(play->decoder, &request, &message, &output, NULL, &answer);
    } else if (line->kind == SL_CAPTURE_RESPONSE) {
        sl_venue_request request = {.kind = SL_REQUEST_INSTRUMENTS};
        code = sl_venue_decode_rest(play->decoder, &request, &message, &output, play->instruments, &answer);
    } else if (line->kind == SL_CAPTURE_RECEIVED) {
        play->messages++;
        code = sl_venue_decode(play->decoder, &message, &output);
    }
    if (code < 0) {
        fail_msg("line %llu: %s", (unsigned long long)line->number, sl_venue_problem(play->decoder));
    }
    sl_free(text);
}

static void begin(struct play *play, sl_venue venue, const char *symbol)
{
    memset(play, 0, sizeof(*play));
    assert_int_equal(sl_instruments_new(SYMBOLS_MAX, &play->instruments), 0);
    if (symbol != NULL) {
        sl_instrument definition = {.venue = venue};
        (void)snprintf(definition.symbol, sizeof(definition.symbol), "%s", symbol);
        assert_int_equal(sl_instruments_add(play->instruments, &definition, NULL), 1);
    }
    sl_venue_decoder_options options = {.venue = venue, .instruments = play->instruments};
    assert_int_equal(sl_venue_decoder_new(&options, &play->decoder), 0);
}

static void end(struct play *play)
{
    for (size_t at = 0; at < SYMBOLS_MAX; at++) {
        sl_keeper_free(play->keepers[at]);
    }
    sl_venue_decoder_free(play->decoder);
    sl_instruments_free(play->instruments);
}

/* Plays captures together, in the order of their times. */
static void play_files(struct play *play, const char *const *names, size_t count)
{
    sl_capture *captures[4] = {NULL};
    sl_capture_line lines[4];
    int codes[4] = {0};
    for (size_t at = 0; at < count; at++) {
        assert_int_equal(sl_capture_open(sl_test_data_path(names[at]), 0, &captures[at]), 0);
        codes[at] = sl_capture_next(captures[at], &lines[at]);
    }
    for (;;) {
        size_t first = count;
        for (size_t at = 0; at < count; at++) {
            assert_true(codes[at] >= 0);
            if (codes[at] > 0 && (first == count || lines[at].receive_time_ns < lines[first].receive_time_ns)) {
                first = at;
            }
        }
        if (first == count) {
            break;
        }
        take_line(play, &lines[first]);
        codes[first] = sl_capture_next(captures[first], &lines[first]);
    }
    for (size_t at = 0; at < count; at++) {
        sl_capture_close(captures[at]);
    }
}

/* All books are live, none is crossed, and nothing was missing. */
static void assert_whole(const struct play *play, uint64_t books)
{
    uint64_t live = 0;
    for (size_t at = 0; at < SYMBOLS_MAX; at++) {
        if (play->keepers[at] != NULL) {
            const sl_keeper_stats *stats = sl_keeper_get_stats(play->keepers[at]);
            live += sl_keeper_get_state(play->keepers[at]) == SL_KEEPER_LIVE;
            assert_int_equal(stats->gaps, 0);
            assert_int_equal(stats->stale_snapshots, 0);
            assert_int_equal(stats->dropped, 0);
            assert_false(sl_book_crossed(sl_keeper_book(play->keepers[at])));
            assert_int_equal(sl_book_verify(sl_keeper_book(play->keepers[at])), 0);
        }
    }
    assert_int_equal(live, books);
    assert_int_equal(play->joins, books);
    assert_int_equal(play->gaps, 0);
    assert_int_equal(play->decoder->stats.bad + play->decoder->stats.unknown, 0);
}

/* A whole session; its book in the end is that of the exchange's own way of reading it. */
static void whole_session(const char *name, sl_venue venue, const char *symbol, uint64_t deltas, uint64_t trades)
{
    struct play *play = test_malloc(sizeof(*play));
    begin(play, venue, symbol);
    play_files(play, &name, 1);
    assert_whole(play, 1);
    assert_int_equal(play->kinds[SL_EVENT_BOOK_DELTA], deltas);
    assert_int_equal(play->kinds[SL_EVENT_TRADE], trades);
    const char *path = sl_test_data_path(name);
    sl_instruments *instruments = NULL;
    sl_captured *captured = NULL;
    const struct sl_captured_message *message = NULL;
    assert_int_equal(sl_instruments_new(0, &instruments), 0);
    struct sl_captured_options options = {.paths = &path, .path_count = 1, .venue = venue, .instruments = instruments};
    assert_int_equal(sl_captured_open(&options, &captured), 0);
    while (sl_captured_next(captured, NULL, NULL, &message) > 0) {
    }
    struct sl_captured_state state = sl_captured_look(captured, sl_instruments_at(instruments, 0));
    assert_true(state.book_id == sl_keeper_last_id(play->keepers[0]));
    for (int side = SL_SIDE_BUY; side <= SL_SIDE_SELL; side++) {
        sl_book_cursor one = sl_book_first(state.book, (sl_side)side);
        sl_book_cursor other = sl_book_first(sl_keeper_book(play->keepers[0]), (sl_side)side);
        const sl_level *level = NULL;
        while ((level = sl_book_next(&one)) != NULL) {
            const sl_level *same = sl_book_next(&other);
            assert_true(same != NULL && sl_decimal_equal(level->price, same->price) &&
                        sl_decimal_equal(level->quantity, same->quantity));
        }
        assert_null(sl_book_next(&other));
    }
    sl_captured_close(captured);
    sl_instruments_free(instruments);
    end(play);
    test_free(play);
}

static void hftbacktest_spot(void **state)
{
    (void)state;
    whole_session("hftbacktest/spot-btcusdt_20240808.gz", SL_VENUE_BINANCE_SPOT, "BTCUSDT", 3451, 9757);
}

static void hftbacktest_usdm(void **state)
{
    (void)state;
    whole_session("hftbacktest/usdm-btcusdt_20240808.gz", SL_VENUE_BINANCE_USDM, "BTCUSDT", 6551, 21313);
}

static void hftbacktest_coinm(void **state)
{
    (void)state;
    whole_session("hftbacktest/cm-btcusd_perp_20240808.gz", SL_VENUE_BINANCE_COINM, "BTCUSD_PERP", 26847, 2286);
}

static void cryptofeed_spot(void **state)
{
    (void)state;
    static const char *const files[] = {"cryptofeed/BINANCE.0.gz", "cryptofeed/BINANCE.ws.1.0.gz",
                                        "cryptofeed/BINANCE.http.0.0.gz"};
    struct play *play = test_malloc(sizeof(*play));
    begin(play, SL_VENUE_BINANCE_SPOT, NULL);
    play_files(play, files, 3);
    assert_int_equal(play->kinds[SL_EVENT_BOOK_DELTA], 177);
    assert_whole(play, 4);
    assert_true(sl_instruments_count(play->instruments) > 1000);
    const sl_instrument *instrument = sl_instruments_find_name(play->instruments, SL_VENUE_BINANCE_SPOT, "RUNE-EUR");
    assert_non_null(instrument);
    assert_string_equal(instrument->symbol, "RUNEEUR");
    assert_true(play->kinds[SL_EVENT_BEST] > 0 && play->kinds[SL_EVENT_CANDLE] > 0);
    end(play);
    test_free(play);
}

static void cryptofeed_futures(void **state)
{
    (void)state;
    static const char *const files[] = {"cryptofeed/BINANCE_FUTURES.0.gz", "cryptofeed/BINANCE_FUTURES.ws.1.0.gz",
                                        "cryptofeed/BINANCE_FUTURES.http.0.0.gz"};
    struct play *play = test_malloc(sizeof(*play));
    begin(play, SL_VENUE_BINANCE_USDM, NULL);
    play_files(play, files, 3);
    assert_int_equal(play->kinds[SL_EVENT_BOOK_DELTA], 764);
    assert_whole(play, 4);
    assert_non_null(sl_instruments_find_name(play->instruments, SL_VENUE_BINANCE_USDM, "SUSHI-USDT-USDT"));
    end(play);
    test_free(play);
}

/* A session of files of cryptofeed; all its books are whole in the end. */
static struct play *play_venue(sl_venue venue, const char *const *files, size_t count, uint64_t books)
{
    struct play *play = test_malloc(sizeof(*play));
    begin(play, venue, NULL);
    play_files(play, files, count);
    assert_whole(play, books);
    return play;
}

/* Of all books together. */
static sl_keeper_stats sum_of(const struct play *play)
{
    sl_keeper_stats sum = {0};
    for (size_t at = 0; at < SYMBOLS_MAX; at++) {
        if (play->keepers[at] != NULL) {
            const sl_keeper_stats *stats = sl_keeper_get_stats(play->keepers[at]);
            sum.applied += stats->applied;
            sum.repeated += stats->repeated;
            sum.checksums += stats->checksums;
            sum.checksum_failures += stats->checksum_failures;
            sum.crossed += stats->crossed;
        }
    }
    return sum;
}

static void close_play(struct play *play)
{
    end(play);
    test_free(play);
}

static void cryptofeed_coinbase(void **state)
{
    (void)state;
    static const char *const files[] = {"cryptofeed/COINBASE.0.gz", "cryptofeed/COINBASE.ws.28.0.gz"};
    struct play *play = play_venue(SL_VENUE_COINBASE, files, 2, 10);
    assert_int_equal(play->kinds[SL_EVENT_BOOK_DELTA], 9719);
    assert_int_equal(play->kinds[SL_EVENT_TRADE], 97 + 10); /* and the last one before, of each of the ten */
    assert_int_equal(play->kinds[SL_EVENT_TICKER], 107);
    assert_int_equal(sum_of(play).crossed, 0);
    close_play(play);
}

static void cryptofeed_kraken(void **state)
{
    (void)state;
    static const char *const files[] = {"cryptofeed/KRAKEN.0.gz", "cryptofeed/KRAKEN.ws.48.0.gz",
                                        "cryptofeed/KRAKEN.ws.49.0.gz", "cryptofeed/KRAKEN.ws.50.0.gz"};
    struct play *play = play_venue(SL_VENUE_KRAKEN, files, 4, 10);
    sl_keeper_stats sum = sum_of(play);
    assert_int_equal(play->kinds[SL_EVENT_BOOK_DELTA], 4269);
    assert_int_equal(sum.checksums, 4269);
    assert_int_equal(sum.checksum_failures, 0);
    assert_non_null(sl_instruments_find_name(play->instruments, SL_VENUE_KRAKEN, "KSM-BTC"));
    close_play(play);
}

static void cryptofeed_okx(void **state)
{
    (void)state;
    static const char *const files[] = {"cryptofeed/OKX.0.gz", "cryptofeed/OKX.ws.1.0.gz"};
    struct play *play = play_venue(SL_VENUE_OKX, files, 2, 3);
    sl_keeper_stats sum = sum_of(play);
    assert_int_equal(sum.checksums, 290);
    assert_int_equal(sum.checksum_failures, 0);
    assert_non_null(sl_instruments_find_name(play->instruments, SL_VENUE_OKX, "BTC-USD-BTC-20220527"));
    close_play(play);
}

/*
 * The client that was recorded read nothing while it fetched the snapshots: all are older than what it had waiting. So
 * they are played after the stream, whose messages are kept until then. Of one pair no message came: without one
 * nothing proves that none is missing, and its snapshot stays too old.
 */
static void cryptofeed_bitstamp(void **state)
{
    (void)state;
    static const char *const files[] = {"cryptofeed/BITSTAMP.0.gz", "cryptofeed/BITSTAMP.ws.1.0.gz",
                                        "cryptofeed/BITSTAMP.http.0.0.gz"};
    struct play *play = test_malloc(sizeof(*play));
    uint64_t live = 0;
    begin(play, SL_VENUE_BITSTAMP, NULL);
    play_files(play, files, 2);
    play_files(play, files + 2, 1);
    sl_keeper_stats sum = sum_of(play);
    for (size_t at = 0; at < SYMBOLS_MAX; at++) {
        if (play->keepers[at] != NULL && sl_keeper_get_state(play->keepers[at]) == SL_KEEPER_LIVE) {
            live++;
            assert_false(sl_book_crossed(sl_keeper_book(play->keepers[at])));
        }
    }
    assert_int_equal(live, 9);
    assert_int_equal(play->joins, 9);
    assert_int_equal(play->gaps, 0);
    assert_int_equal(play->kinds[SL_EVENT_BOOK_DELTA], 717);
    assert_int_equal(sum.repeated, 102); /* older than the snapshot */
    assert_int_equal(sum.applied, 717 - 102);
    assert_int_equal(play->decoder->stats.bad + play->decoder->stats.unknown, 0);
    close_play(play);
}

SL_TEST_MAIN(cmocka_unit_test(hftbacktest_spot), cmocka_unit_test(hftbacktest_usdm),
             cmocka_unit_test(hftbacktest_coinm), cmocka_unit_test(cryptofeed_spot),
             cmocka_unit_test(cryptofeed_futures), cmocka_unit_test(cryptofeed_coinbase),
             cmocka_unit_test(cryptofeed_kraken), cmocka_unit_test(cryptofeed_okx),
             cmocka_unit_test(cryptofeed_bitstamp))
