/* SPDX-License-Identifier: MIT */
/* Merging and limiting, with the time given by hand. */
#include <string.h>

#include "log/log.h"
#include "sl_test.h"

static char told[4096];

static void tell(void *context, const struct sl_log_record *summary)
{
    (void)context;
    size_t length = strlen(told);
    (void)snprintf(told + length, sizeof told - length, "%s\n", summary->message);
}

static struct sl__log_filter filter;

static void reset(unsigned site_lines)
{
    memset(&filter, 0, sizeof filter);
    filter.site_lines = site_lines;
    filter.merge = SL_LOG_MERGE;
    filter.tell = tell;
    told[0] = '\0';
}

static bool take(const char *site, const char *message, sl_time now)
{
    return sl__log_filter_take(
        &filter, &(struct sl_log_record){.level = SL_LOG_INFO, .site = site, .path = "", .message = message}, now);
}

static void repeats_end_with_their_time(void **state)
{
    (void)state;
    sl_time start = SL_SECONDS(100);
    reset(20);
    assert_true(take("s", "a", start));
    assert_false(take("s", "a", start + 1));
    assert_false(take("s", "a", start + SL_LOG_MERGE - 1));
    sl__log_filter_tick(&filter, start + SL_LOG_MERGE - 1);
    assert_string_equal(told, "");
    sl__log_filter_tick(&filter, start + SL_LOG_MERGE);
    assert_string_equal(told, "repeated 2 times: a\n");
    assert_true(take("s", "a", start + SL_LOG_MERGE + 1)); /* a line again */
    assert_false(take("s", "a", start + SL_LOG_MERGE + 2));
    assert_true(take("s", "a", start + 2 * SL_LOG_MERGE + 1)); /* nobody ticked: told before it */
    assert_string_equal(told, "repeated 2 times: a\nrepeated 1 time: a\n");
}

static void the_limit_is_of_each_second(void **state)
{
    (void)state;
    sl_time now = SL_SECONDS(100);
    char message[8] = "m0";
    reset(3);
    for (int second = 0; second < 3; second++) {
        for (int i = 0; i < 8; i++) {
            message[1] = (char)('0' + i);
            assert_int_equal(take("s", message, now + i), i < 3);
            assert_int_equal(take("t", message, now + i), i < 3);
        }
        now += SL_SECONDS(1);
    }
    assert_int_equal(filter.limited, 30);
    sl__log_filter_tick(&filter, now - 1); /* the last second began 8 ns... its window is not over yet */
    assert_string_equal(told,
                        "left out 5 more lines from the place of: m2\nleft out 5 more lines from the place of: m2\n"
                        "left out 5 more lines from the place of: m2\nleft out 5 more lines from the place of: m2\n");
    sl__log_filter_tick(&filter, SL_NEVER);
    assert_int_equal(strlen(told), 6 * strlen("left out 5 more lines from the place of: m2\n"));
}

static void everything_that_is_shown_makes_the_difference(void **state)
{
    (void)state;
    struct sl_log_field field = sl_field_int("n", 1);
    struct sl_log_record record = {
        .level = SL_LOG_INFO, .site = "s", .path = "p", .message = "m", .fields = &field, .field_count = 1};
    reset(100);
    assert_true(sl__log_filter_take(&filter, &record, 1));
    assert_false(sl__log_filter_take(&filter, &record, 2));
    field = sl_field_int("n", 2);
    assert_true(sl__log_filter_take(&filter, &record, 3));
    field = sl_field_int("o", 2);
    assert_true(sl__log_filter_take(&filter, &record, 4));
    field = sl_field_text("o", "x");
    assert_true(sl__log_filter_take(&filter, &record, 5));
    field = sl_field_text("o", "y");
    assert_true(sl__log_filter_take(&filter, &record, 6));
    record.path = "q";
    assert_true(sl__log_filter_take(&filter, &record, 7));
    record.level = SL_LOG_ERROR;
    assert_true(sl__log_filter_take(&filter, &record, 8));
    record.field_count = 0;
    assert_true(sl__log_filter_take(&filter, &record, 9));
    assert_false(sl__log_filter_take(&filter, &record, 10));
}

static void without_merging_every_line_is_written(void **state)
{
    (void)state;
    reset(20);
    filter.merge = 0;
    for (int i = 0; i < 5; i++) {
        assert_true(take("s", "a", 1 + i));
    }
    sl__log_filter_tick(&filter, SL_NEVER);
    assert_string_equal(told, "");
}

static void a_long_message_is_cut_at_a_character(void **state)
{
    (void)state;
    char message[400];
    reset(20);
    for (size_t i = 0; i + 2 < sizeof message; i += 2) {
        memcpy(message + i, "\xc3\xa9", 3);
    }
    assert_true(take("s", message, 1));
    assert_false(take("s", message, 2));
    sl__log_filter_tick(&filter, SL_NEVER);
    assert_int_equal(strlen(told) % 2, strlen("repeated 1 time: \n") % 2);
    assert_true(strlen(told) > 150 && strlen(told) < 200);
}

SL_TEST_MAIN(cmocka_unit_test(repeats_end_with_their_time), cmocka_unit_test(the_limit_is_of_each_second),
             cmocka_unit_test(everything_that_is_shown_makes_the_difference),
             cmocka_unit_test(without_merging_every_line_is_written),
             cmocka_unit_test(a_long_message_is_cut_at_a_character))
