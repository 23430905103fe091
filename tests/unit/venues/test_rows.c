/* SPDX-License-Identifier: MIT */
/* One row of a list that cannot be read harms no other. */
#include <string.h>

#include "sl_test.h"
#include "venues/venue.h"

#define TEXT_BYTES 4096

/* A list of instruments: a row for each of two symbols, and one between them that cannot be read. */
struct list {
    sl_venue venue;
    const char *head, *before, *behind, *tail; /* around the first row, the bad one and the second row */
    const char *rows[2], *symbols[2];
    const char *bad;
};

#define BINANCE(symbol, step)                                                                                          \
    "{\"symbol\":\"" symbol "\",\"status\":\"TRADING\",\"baseAsset\":\"" symbol "\",\"quoteAsset\":\"USDT\","          \
    "\"filters\":[{\"filterType\":\"PRICE_FILTER\",\"tickSize\":" step "}]}"
#define COINBASE(symbol, step)                                                                                         \
    "{\"id\":\"" symbol "-USD\",\"base_currency\":\"" symbol "\",\"quote_currency\":\"USD\",\"quote_increment\":" step \
    ",\"base_increment\":\"1\",\"status\":\"online\"}"
#define KRAKEN(symbol, decimals)                                                                                       \
    "{\"wsname\":\"" symbol "/USD\",\"pair_decimals\":" decimals ",\"lot_decimals\":8,\"status\":\"online\"}"
#define BYBIT(symbol, step)                                                                                            \
    "{\"symbol\":\"" symbol "USDT\",\"baseCoin\":\"" symbol "\",\"quoteCoin\":\"USDT\",\"status\":\"Trading\","        \
    "\"priceFilter\":{\"tickSize\":" step "}}"
#define OKX(symbol, step)                                                                                              \
    "{\"instType\":\"SPOT\",\"instId\":\"" symbol "-USDT\",\"baseCcy\":\"" symbol                                      \
    "\",\"quoteCcy\":\"USDT\",\"state\":\"live\",\"lotSz\":\"1\",\"tickSz\":" step "}"
#define BITSTAMP(symbol, decimals)                                                                                     \
    "{\"trading\":\"Enabled\",\"base_decimals\":8,\"url_symbol\":\"" symbol "\",\"name\":\"" symbol                    \
    "/USD\",\"counter_decimals\":" decimals "}"

/* Two rows as they should be, and one whose last part is wrong. */
#define LIST(venue, head, before, behind, tail, row, good, wrong, first, second)                                       \
    {                                                                                                                  \
        venue, head, before, behind, tail, {row("A", good), row("B", good)}, {first, second}, row("C", wrong)          \
    }
#define BINANCE_LIST(venue) LIST(venue, "{\"symbols\":[", ",", ",", "]}", BINANCE, "\"0.1\"", "\"much\"", "A", "B")

static const struct list lists[] = {
    BINANCE_LIST(SL_VENUE_BINANCE_SPOT),
    BINANCE_LIST(SL_VENUE_BINANCE_USDM),
    BINANCE_LIST(SL_VENUE_BINANCE_COINM),
    LIST(SL_VENUE_COINBASE, "[", ",", ",", "]", COINBASE, "\"0.1\"", "{}", "A-USD", "B-USD"),
    LIST(SL_VENUE_KRAKEN, "{\"error\":[],\"result\":{\"A\":", ",\"C\":", ",\"B\":", "}}", KRAKEN, "1", "99", "A/USD",
         "B/USD"),
    LIST(SL_VENUE_BYBIT_SPOT, "{\"retCode\":0,\"result\":{\"list\":[", ",", ",", "],\"nextPageCursor\":\"\"}}", BYBIT,
         "\"0.1\"", "\"much\"", "AUSDT", "BUSDT"),
    LIST(SL_VENUE_OKX, "{\"code\":\"0\",\"data\":[", ",", ",", "]}", OKX, "\"0.1\"", "\"much\"", "A-USDT", "B-USDT"),
    LIST(SL_VENUE_BITSTAMP, "[", ",", ",", "]", BITSTAMP, "1", "99", "A", "B"),
};
#define LISTS (sizeof lists / sizeof lists[0])

/* Values of other types than a row's. */
static const char *const others[] = {"7", "\"}\"", "null", "[[{}]]", "true"};
#define OTHERS (sizeof others / sizeof others[0])

struct heard {
    size_t events, rows;
    char row[TEXT_BYTES];
};

static int hear(void *arg, const sl_market_event *event)
{
    struct heard *heard = arg;
    (void)event;
    heard->events++;
    return 0;
}

static void hear_row(void *arg, const char *text, size_t size_bytes, int code)
{
    struct heard *heard = arg;
    heard->rows++;
    assert_true(code < 0 && size_bytes < sizeof heard->row);
    (void)snprintf(heard->row, sizeof heard->row, "%.*s", (int)size_bytes, text);
}

struct world {
    sl_instruments *table;
    sl_venue_decoder *decoder;
    sl_venue_answer answer;
};

static void open_world(struct world *world, sl_venue venue, size_t instruments)
{
    *world = (struct world){.table = NULL};
    assert_int_equal(sl_instruments_new(instruments, &world->table), 0);
    const sl_venue_decoder_options options = {.venue = venue, .instruments = world->table};
    assert_int_equal(sl_venue_decoder_new(&options, &world->decoder), 0);
}

static void close_world(struct world *world)
{
    sl_venue_decoder_free(world->decoder);
    sl_instruments_free(world->table);
}

/* The list with `bad` between its rows; the code. */
static int read_list(struct world *world, const struct list *list, const char *bad, bool told, struct heard *heard)
{
    char text[TEXT_BYTES];
    int size = snprintf(text, sizeof text, "%s%s%s%s%s%s%s", list->head, list->rows[0], list->before, bad, list->behind,
                        list->rows[1], list->tail);
    assert_in_range(size, 1, sizeof text - 1);
    const sl_venue_request request = {.kind = SL_REQUEST_INSTRUMENTS};
    const sl_venue_message message = {.text = text, .size_bytes = (size_t)size, .receive_time_ns = 5};
    const sl_venue_output output = {.arg = heard, .event = hear, .bad_row = told ? hear_row : NULL};
    *heard = (struct heard){.rows = 0};
    return sl_venue_decode_rest(world->decoder, &request, &message, &output, world->table, &world->answer);
}

static void prove_list(const struct list *list, const char *bad, bool told)
{
    struct world world;
    struct heard heard;
    open_world(&world, list->venue, 0);
    int code = read_list(&world, list, bad, told, &heard);
    assert_true(told ? code == 0 : code < 0 && code != SL_ENOMEM);
    assert_int_equal(heard.rows, told);
    assert_string_equal(heard.row, told ? bad : "");
    assert_true(sl_venue_problem(world.decoder)[0] != '\0');
    assert_int_equal(world.decoder->stats.bad, 1);
    assert_int_equal(world.answer.rows, 2);
    for (int at = 0; at < 2; at++) {
        assert_non_null(sl_instruments_find(world.table, list->venue, list->symbols[at], strlen(list->symbols[at])));
    }
    close_world(&world);
}

static void a_bad_instrument_harms_no_other(void **state)
{
    (void)state;
    for (size_t at = 0; at < 2 * LISTS; at++) {
        const struct list *list = &lists[at / 2];
        prove_list(list, list->bad, at % 2 == 0);
        for (size_t other = 0; other < OTHERS; other++) {
            prove_list(list, others[other], at % 2 == 0);
        }
    }
}

/* That is not the row's fault. */
static void a_full_table_ends_a_list(void **state)
{
    (void)state;
    for (size_t at = 0; at < LISTS; at++) {
        struct world world;
        struct heard heard;
        open_world(&world, lists[at].venue, 1);
        assert_int_equal(read_list(&world, &lists[at], lists[at].rows[0], true, &heard), SL_EMSGSIZE);
        assert_int_equal(heard.rows, 0);
        assert_non_null(strstr(sl_venue_problem(world.decoder), lists[at].symbols[1]));
        close_world(&world);
    }
}

static void broken_text_ends_a_list(void **state)
{
    (void)state;
    for (size_t at = 0; at < LISTS; at++) {
        struct world world;
        struct heard heard;
        open_world(&world, lists[at].venue, 0);
        assert_int_equal(read_list(&world, &lists[at], "{\"a\":}", true, &heard), SL_EPROTO);
        assert_int_equal(heard.rows, 0);
        assert_int_equal(sl_instruments_count(world.table), 1);
        close_world(&world);
    }
}

/* ---- streams: the message fails behind its last row ---- */

static const struct {
    sl_venue venue;
    const char *symbol, *text;
} streams[] = {
    {SL_VENUE_KRAKEN, "A/USD",
     "{\"channel\":\"trade\",\"type\":\"update\",\"data\":["
     "{\"symbol\":\"A/USD\",\"side\":\"sell\",\"price\":4,\"qty\":1,\"ord_type\":\"market\",\"trade_id\":1,"
     "\"timestamp\":\"2023-09-25T07:49:37.708706Z\"},"
     "{\"symbol\":\"B/USD\",\"side\":\"sell\",\"price\":\"?\",\"qty\":1,\"ord_type\":\"market\",\"trade_id\":2,"
     "\"timestamp\":\"2023-09-25T07:49:37.708706Z\"},"
     "{\"symbol\":\"A/USD\",\"side\":\"buy\",\"price\":4,\"qty\":1,\"ord_type\":\"market\",\"trade_id\":2,"
     "\"timestamp\":\"2023-09-25T07:49:37.708706Z\"}]}"},
    {SL_VENUE_OKX, "A-USDT",
     "{\"arg\":{\"channel\":\"trades\",\"instId\":\"A-USDT\"},\"data\":["
     "{\"instId\":\"A-USDT\",\"tradeId\":\"1\",\"px\":\"4\",\"sz\":\"1\",\"side\":\"buy\",\"ts\":\"1630048897897\"},"
     "{\"instId\":\"A-USDT\",\"tradeId\":\"2\",\"px\":\"?\",\"sz\":\"1\",\"side\":\"buy\",\"ts\":\"1630048897897\"},"
     "{\"instId\":\"A-USDT\",\"tradeId\":\"3\",\"px\":\"4\",\"sz\":\"1\",\"side\":\"buy\",\"ts\":\"1630048897897\"}]}"},
    {SL_VENUE_BYBIT_SPOT, "AUSDT",
     "{\"topic\":\"publicTrade.AUSDT\",\"type\":\"snapshot\",\"ts\":1672304486868,\"data\":["
     "{\"T\":1672304486865,\"s\":\"AUSDT\",\"S\":\"Buy\",\"v\":\"1\",\"p\":\"4\",\"i\":\"1\",\"BT\":false},"
     "{\"T\":1672304486865,\"s\":\"AUSDT\",\"S\":\"Up\",\"v\":\"1\",\"p\":\"4\",\"i\":\"2\",\"BT\":false},"
     "{\"T\":1672304486865,\"s\":\"AUSDT\",\"S\":\"Buy\",\"v\":\"1\",\"p\":\"4\",\"i\":\"3\",\"BT\":false}]}"},
};

static void rows_behind_a_bad_one_are_given(void **state)
{
    (void)state;
    for (size_t at = 0; at < sizeof streams / sizeof streams[0]; at++) {
        struct world world;
        struct heard heard = {.rows = 0};
        open_world(&world, streams[at].venue, 0);
        sl_instrument definition = {.venue = streams[at].venue, .type = SL_INSTRUMENT_SPOT};
        (void)snprintf(definition.symbol, sizeof definition.symbol, "%s", streams[at].symbol);
        assert_int_equal(sl_instruments_add(world.table, &definition, NULL), 1);
        const sl_venue_message message = {streams[at].text, strlen(streams[at].text), 0, 5};
        const sl_venue_output output = {.arg = &heard, .event = hear};
        assert_int_equal(sl_venue_decode(world.decoder, &message, &output), SL_EPROTO);
        assert_int_equal(heard.events, 2);
        assert_int_equal(world.decoder->stats.bad, 1);
        close_world(&world);
    }
}

SL_TEST_MAIN(cmocka_unit_test(a_bad_instrument_harms_no_other), cmocka_unit_test(a_full_table_ends_a_list),
             cmocka_unit_test(broken_text_ends_a_list), cmocka_unit_test(rows_behind_a_bad_one_are_given))
