/* SPDX-License-Identifier: MIT */
/* Events from their JSON form: what was written is read back, and what is wrong is said where and why. */
#include <string.h>

#include "market/event_json.h"
#include "market/event_read.h"
#include "sample_events.h"
#include "sl_test.h"
#include "sluice/memory.h"

#define TIME INT64_C(1700000000000000000)

static sl_event_reader *reader;

static int set_up(void **state)
{
    (void)state;
    return sl_event_reader_new(0, SL_VENUE_EXTERNAL, &reader);
}

static int tear_down(void **state)
{
    (void)state;
    sl_event_reader_free(reader);
    return 0;
}

/* Samples have quantities below zero, which nobody may send: the sign goes. */
static size_t without_signs(char *text, size_t size)
{
    size_t kept = 0;
    for (size_t at = 0; at < size; at++) {
        if (text[at] != '-' || text[at - 1] != '"') {
            text[kept++] = text[at];
        }
    }
    return kept;
}

static void what_was_written_is_read_back(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < 2000; number++) {
        sl_market_event event = sample_event(number), again;
        sl_stamp stamp = {number, number + 1}, stamp_again;
        event.connection = 0; /* is the receiver's own */
        char *text = sl_malloc(sl_event_json_bound(&event)), *second = sl_malloc(sl_event_json_bound(&event));
        assert_non_null(text);
        assert_non_null(second);
        size_t size = without_signs(text, sl_event_json_write(&event, &stamp, text));
        sl_event_reader_open(reader, text, size, event.receive_time_ns);
        int code = sl_event_reader_next(reader, &again, &stamp_again);
        if (code != 1) {
            fail_msg("%.*s: %s: %s", (int)size, text, sl_event_reader_problem(reader)->path,
                     sl_event_reader_problem(reader)->text);
        }
        if (sl_event_json_write(&again, &stamp_again, second) != size || memcmp(text, second, size) != 0) {
            fail_msg("%.*s\n%.*s", (int)size, text, (int)size, second);
        }
        assert_int_equal(stamp_again.run, stamp.run);
        assert_int_equal(stamp_again.number, stamp.number);
        assert_int_equal(sl_event_reader_next(reader, &again, &stamp_again), 0);
        sl_free(text);
        sl_free(second);
    }
}

#define TRADE                                                                                                          \
    "\"kind\":\"trade\",\"instrument\":\"A-B\",\"id\":7,\"price\":\"1.50\",\"quantity\":\"2\",\"taker\":\"buy\""

static size_t count_good(const char *text)
{
    sl_market_event event;
    sl_stamp stamp;
    size_t good = 0;
    int code = 1;
    sl_event_reader_open(reader, text, strlen(text), TIME);
    while ((code = sl_event_reader_next(reader, &event, &stamp)) != 0) {
        assert_true(code == 1 || code == SL_EPROTO);
        good += code == 1;
        if (code == 1) {
            assert_int_equal(event.receive_time_ns, TIME);
            assert_int_equal(event.instrument->venue, SL_VENUE_EXTERNAL);
            assert_string_equal(event.instrument->symbol, "A-B");
        }
    }
    assert_int_equal(sl_event_reader_next(reader, &event, &stamp), 0);
    return good;
}

static void one_an_array_or_lines(void **state)
{
    (void)state;
    assert_int_equal(count_good("{" TRADE "}"), 1);
    assert_int_equal(count_good(" \r\n {" TRADE "}  \n\n"), 1);
    assert_int_equal(count_good("{" TRADE "}\n{" TRADE "}\r\n{" TRADE "}"), 3);
    assert_int_equal(count_good("[{" TRADE "},{" TRADE "}]"), 2);
    assert_int_equal(count_good("[\n  {" TRADE "},\n  {" TRADE "}\n]\n"), 2);
    assert_int_equal(
        count_good("{\n  \"kind\": \"status\",\n  \"instrument\": \"A-B\",\n  \"status\": \"halted\"\n}\n"), 1);
    assert_int_equal(count_good(""), 0);
    assert_int_equal(count_good(" \n "), 0);
    assert_int_equal(count_good("[]"), 0);
    /* A bad one harms no other. */
    assert_int_equal(count_good("{" TRADE "}\n{\"kind\":\n{" TRADE "}"), 2);
    assert_int_equal(
        count_good("[{" TRADE "},7,{\"kind\":[[1],{}]},{" TRADE ",\"bids\":[[\"1\",{\"a\":[]}]]},{" TRADE "}]"), 2);
    assert_int_equal(count_good("{\"kind\":\n{" TRADE "}\n{" TRADE "}"), 2);
    assert_int_equal(count_good("nonsense\n{" TRADE "}"), 1);
    assert_int_equal(count_good("[{" TRADE "},{" TRADE "}"), 2); /* but what it ends with is refused */
    assert_int_equal(sl_event_reader_problem(reader)->item, 2);
}

/* ---- what is wrong ---- */

#define BODY(members) "{\"kind\":" members ",\"instrument\":\"A-B\"}"

static const struct {
    const char *text, *path, *problem;
    size_t offset;
} cases[] = {
#include "bad_events.inc"
};

static void what_is_wrong_is_said_exactly(void **state)
{
    (void)state;
    size_t wrong = 0;
    for (size_t at = 0; at < sizeof cases / sizeof *cases; at++) {
        sl_market_event event;
        sl_stamp stamp;
        sl_event_reader_open(reader, cases[at].text, strlen(cases[at].text), TIME);
        int code = sl_event_reader_next(reader, &event, &stamp);
        const struct sl_event_problem *problem = sl_event_reader_problem(reader);
        if (code != SL_EPROTO || strcmp(problem->path, cases[at].path) != 0 ||
            strcmp(problem->text, cases[at].problem) != 0 || problem->offset_bytes != cases[at].offset) {
            print_error("%s\n  gave %d at %zu, \"%s\": %s\n", cases[at].text, code, problem->offset_bytes,
                        problem->path, problem->text);
            wrong++;
        }
        assert_int_equal(problem->item, 0);
    }
    assert_int_equal(wrong, 0);
}

static void a_symbol_has_one_name(void **state)
{
    (void)state;
    static const char text[] = "{\"kind\":\"status\",\"instrument\":\"A-B\",\"symbol\":\"AB\",\"status\":\"trading\"}\n"
                               "{\"kind\":\"status\",\"instrument\":\"A-C\",\"symbol\":\"AB\",\"status\":\"trading\"}\n"
                               "{\"kind\":\"status\",\"venue\":\"okx\",\"instrument\":\"A-C\",\"symbol\":\"AB\","
                               "\"status\":\"trading\"}";
    sl_market_event event;
    sl_stamp stamp;
    sl_event_reader_open(reader, text, sizeof text - 1, TIME);
    assert_int_equal(sl_event_reader_next(reader, &event, &stamp), 1);
    assert_int_equal(sl_event_reader_next(reader, &event, &stamp), SL_EPROTO);
    assert_string_equal(sl_event_reader_problem(reader)->text, "the symbol \"AB\" is that of \"A-B\" already");
    assert_int_equal(sl_event_reader_problem(reader)->item, 1);
    assert_int_equal(sl_event_reader_next(reader, &event, &stamp), 1);
    assert_int_equal(event.instrument->venue, SL_VENUE_OKX);
}

static void there_is_room_for_so_many_instruments(void **state)
{
    (void)state;
    sl_market_event event;
    sl_stamp stamp;
    for (int at = 0; at <= SL_EVENT_READ_INSTRUMENTS; at++) {
        char text[128];
        int size =
            snprintf(text, sizeof text, "{\"kind\":\"status\",\"instrument\":\"I%d\",\"status\":\"trading\"}", at);
        sl_event_reader_open(reader, text, (size_t)size, TIME);
        assert_int_equal(sl_event_reader_next(reader, &event, &stamp), at < SL_EVENT_READ_INSTRUMENTS ? 1 : SL_EPROTO);
    }
    assert_string_equal(sl_event_reader_problem(reader)->text, "more than 65536 instruments");
}

/* Without memory nothing is taken, and the next attempt is as good as the first. */
static void missing_memory_is_told(void **state)
{
    (void)state;
    sl_market_event event = sample_event_of(SL_EVENT_BOOK_SNAPSHOT, 3), again;
    sl_stamp stamp;
    char *text = sl_malloc(sl_event_json_bound(&event));
    size_t size = sl_event_json_write(&event, NULL, text);
    int failed = 1;
    for (int64_t at = 0; failed; at++) {
        sl_event_reader *own = NULL;
        sl_memory_fail_after(at);
        int code = sl_event_reader_new(0, SL_VENUE_NONE, &own);
        if (code == 0) {
            sl_event_reader_open(own, text, size, TIME);
            code = sl_event_reader_next(own, &again, &stamp);
        }
        failed = sl_memory_failed();
        sl_memory_fail_after(-1);
        assert_int_equal(code, failed ? SL_ENOMEM : 1);
        if (own != NULL) {
            sl_event_reader_open(own, text, size, TIME);
            assert_int_equal(sl_event_reader_next(own, &again, &stamp), 1);
        }
        sl_event_reader_free(own);
    }
    sl_free(text);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

SL_TEST_MAIN(CASE(what_was_written_is_read_back), CASE(one_an_array_or_lines), CASE(what_is_wrong_is_said_exactly),
             CASE(a_symbol_has_one_name), CASE(there_is_room_for_so_many_instruments), CASE(missing_memory_is_told))
