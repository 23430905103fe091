/* SPDX-License-Identifier: MIT */
/* What could not be decoded: each line with its reason, once for unknown kinds, in a file that stays small. */
#include "ingest/program/dead_letter.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "scratch_folder.h"
#include "sl_test.h"
#include "sluice/runtime.h"

#define MAX_BYTES ((uint64_t)64 << 10)

static struct scratch_folder folder;
static char path[SCRATCH_PATH_MAX + 16], old_path[SCRATCH_PATH_MAX + 32];
static char file[MAX_BYTES * 2];

static int set_up(void **state)
{
    (void)state;
    folder = scratch_folder_make();
    (void)snprintf(path, sizeof path, "%s/dead", folder.path);
    (void)snprintf(old_path, sizeof old_path, "%s.old", path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scratch_folder_remove(&folder);
    return 0;
}

static size_t read_file(const char *name)
{
    FILE *from = fopen(name, "r");
    size_t bytes = from == NULL ? 0 : fread(file, 1, sizeof file - 1, from);
    file[bytes] = '\0';
    return from == NULL || fclose(from) != 0 ? 0 : bytes;
}

static bool put(sl_dead_letters *letters, const char *text, size_t size_bytes, int code, const char *problem)
{
    const struct sl_bad_message message = {.text = text,
                                           .size_bytes = size_bytes,
                                           .receive_time_ns = 1700000000000000042,
                                           .code = code,
                                           .problem = problem};
    return sl_dead_letters_put(letters, "trades", SL_VENUE_KRAKEN, &message);
}

static int with_letters(void *arg, int (*body)(sl_dead_letters *letters))
{
    (void)arg;
    sl_auto(sl_dead_letters) *letters = NULL;
    SL_TRY(sl_dead_letters_open(path, MAX_BYTES, &letters));
    SL_SCOPE(scope, .name = "test");
    int code = sl_spawn(&scope, sl_dead_letters_run, letters, .daemon = true);
    code = code == 0 ? body(letters) : code;
    return sl_scope_close(&scope, code); /* writes what is left */
}

static int write_each_kind(sl_dead_letters *letters)
{
    assert_true(put(letters, "{\"a\"", 4, SL_EPROTO, "ends early"));
    assert_false(put(letters, "{\"b\"", 4, SL_EPROTO, "ends early")); /* logged no more, but kept */
    assert_true(put(letters, "\xff\n", 2, SL_EPROTO, "no UTF-8"));
    for (int at = 0; at < 1000; at++) {
        assert_true(put(letters, "{\"news\":1}", 10, SL_ENOTSUP, "the kind \"news\"") == (at == 0));
    }
    assert_int_equal(sl_dead_letters_get_stats(letters)->bad, 3);
    assert_int_equal(sl_dead_letters_get_stats(letters)->unknown, 1000);
    return 0;
}

static int each_kind(void *arg)
{
    return with_letters(arg, write_each_kind);
}

static void each_line_has_its_reason(void **state)
{
    (void)state;
    assert_int_equal(sl_run(NULL, each_kind, NULL, NULL), 0);
    assert_true(read_file(path) > 0);
    assert_string_equal(
        file, "{\"time\":1700000000000000042,\"service\":\"trades\",\"venue\":\"kraken\",\"connection\":0,\"code\":"
              "\"SL_EPROTO\",\"reason\":\"ends early\",\"bytes\":4,\"text\":\"{\\\"a\\\"\"}\n"
              "{\"time\":1700000000000000042,\"service\":\"trades\",\"venue\":\"kraken\",\"connection\":0,\"code\":"
              "\"SL_EPROTO\",\"reason\":\"ends early\",\"bytes\":4,\"text\":\"{\\\"b\\\"\"}\n"
              "{\"time\":1700000000000000042,\"service\":\"trades\",\"venue\":\"kraken\",\"connection\":0,\"code\":"
              "\"SL_EPROTO\",\"reason\":\"no UTF-8\",\"bytes\":2,\"hex\":\"ff0a\"}\n"
              "{\"time\":1700000000000000042,\"service\":\"trades\",\"venue\":\"kraken\",\"connection\":0,\"code\":"
              "\"SL_ENOTSUP\",\"reason\":\"the kind \\\"news\\\"\",\"bytes\":10,\"text\":\"{\\\"news\\\":1}\"}\n");
}

/* Far more than the file may hold, each written before the next. */
static int write_many(sl_dead_letters *letters)
{
    static char text[3 * SL_DEAD_LETTER_TEXT_BYTES];
    memset(text, 'x', sizeof text);
    for (int at = 0; at < 400; at++) {
        char problem[32];
        (void)snprintf(problem, sizeof problem, "number %d.", at);
        uint64_t before = sl_dead_letters_get_stats(letters)->written;
        (void)put(letters, text, at == 0 ? sizeof text : 1000, SL_EPROTO, problem);
        while (sl_dead_letters_get_stats(letters)->written == before) {
            SL_TRY(sl_sleep(SL_MICROSECONDS(100)));
        }
    }
    assert_true(sl_dead_letters_get_stats(letters)->turned > 5);
    assert_int_equal(sl_dead_letters_get_stats(letters)->dropped, 0);
    return 0;
}

static int many(void *arg)
{
    return with_letters(arg, write_many);
}

static void file_stays_small(void **state)
{
    (void)state;
    assert_int_equal(sl_run(NULL, many, NULL, NULL), 0);
    size_t newest = read_file(path);
    assert_true(newest > 0);
    assert_non_null(strstr(file, "number 399."));
    size_t oldest = read_file(old_path);
    assert_true(oldest > MAX_BYTES / 4 && newest + oldest <= MAX_BYTES);
    assert_null(strstr(file, "number 0."));
}

/* More at once than waits in memory: counted, not waited for. A disk that does not take them: likewise. */
static int write_too_much(sl_dead_letters *letters)
{
    static char text[SL_DEAD_LETTER_TEXT_BYTES];
    memset(text, 'x', sizeof text);
    for (int at = 0; at < 40; at++) {
        (void)put(letters, text, sizeof text, SL_EPROTO, "much");
    }
    uint64_t dropped = sl_dead_letters_get_stats(letters)->dropped;
    assert_true(dropped >= 24 && dropped < 30);
    while (sl_dead_letters_get_stats(letters)->written + sl_dead_letters_get_stats(letters)->dropped < 40) {
        SL_TRY(sl_sleep(SL_MICROSECONDS(100)));
    }
    bool disk_fails = sl_dead_letters_get_stats(letters)->problem[0] != '\0';
    assert_true(disk_fails == (strchr(path, '?') != NULL));
    return 0;
}

static int too_much(void *arg)
{
    return with_letters(arg, write_too_much);
}

static void what_has_no_room_is_counted(void **state)
{
    (void)state;
    assert_int_equal(sl_run(NULL, too_much, NULL, NULL), 0);
    (void)snprintf(path, sizeof path, "%s/none?/dead", folder.path);
    assert_int_equal(sl_run(NULL, too_much, NULL, NULL), 0);
}

/* Before there is a letter. */
static int wait_for_the_problem(sl_dead_letters *letters)
{
    while (sl_dead_letters_get_stats(letters)->problem[0] == '\0') {
        SL_TRY(sl_sleep(SL_MICROSECONDS(100)));
    }
    assert_int_equal(sl_dead_letters_get_stats(letters)->dropped, 0);
    return 0;
}

static int no_folder(void *arg)
{
    return with_letters(arg, wait_for_the_problem);
}

static void a_path_that_cannot_be_is_told_at_the_start(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof path, "%s/none/dead", folder.path);
    assert_int_equal(sl_run(NULL, no_folder, NULL, NULL), 0);
}

/* The disk is full amid a line, and then has room again. */
static int write_on_a_full_disk(sl_dead_letters *letters)
{
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = 1000, .rlim_max = before.rlim_max};
    for (uint64_t at = 0; at < 40; at++) {
        char problem[32];
        (void)snprintf(problem, sizeof problem, "line %d.", (int)at);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, at >= 4 && at < 30 ? &small : &before), 0);
        (void)put(letters, "{\"some text\": 1}", 16, SL_EPROTO, problem);
        while (sl_dead_letters_get_stats(letters)->written + sl_dead_letters_get_stats(letters)->dropped <= at) {
            SL_TRY(sl_sleep(SL_MICROSECONDS(100)));
        }
        assert_int_equal(sl_dead_letters_get_stats(letters)->problem[0] != '\0',
                         sl_dead_letters_get_stats(letters)->dropped > 0 && at < 30);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(sl_dead_letters_get_stats(letters)->dropped > 15);
    return 0;
}

static int full_disk(void *arg)
{
    return with_letters(arg, write_on_a_full_disk);
}

static unsigned warnings;

static void count_warnings(void *context, enum sl_log_level level, const char *text)
{
    (void)context;
    (void)text;
    warnings += level == SL_LOG_WARNING && strstr(text, "dead letters could not") != NULL;
}

static void a_full_disk_leaves_no_half_lines(void **state)
{
    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(sl_run(&(struct sl_run_options){.log = count_warnings}, full_disk, NULL, NULL), 0);
    assert_int_equal(warnings, 1); /* not one a line */
    assert_true(read_file(path) > 0);
    unsigned lines = 0;
    for (const char *at = file, *end; *at != '\0'; at = end + 1, lines++) {
        end = strchr(at, '\n');
        assert_non_null(end);
        assert_true(at[0] == '{' && end[-1] == '}');
        const char *second = strstr(at + 1, "{\"time\"");
        assert_true(second == NULL || second > end);
    }
    assert_in_range(lines, 14, 20);
    assert_non_null(strstr(file, "line 39."));
}

static void without_a_file(void **state)
{
    (void)state;
    sl_auto(sl_dead_letters) *letters = NULL;
    assert_int_equal(sl_dead_letters_open(NULL, 0, &letters), 0);
    assert_true(put(letters, "x", 1, SL_EPROTO, "a"));
    assert_false(put(letters, "x", 1, SL_EPROTO, "a"));
    assert_int_equal(sl_dead_letters_get_stats(letters)->bad, 2);
    for (int at = 0; at < SL_DEAD_LETTER_PROBLEMS + 10; at++) {
        char problem[32];
        (void)snprintf(problem, sizeof problem, "p%d", at);
        assert_true(put(letters, "x", 1, SL_EPROTO, problem) == (at < SL_DEAD_LETTER_PROBLEMS - 1));
    }
}

/* Whoever has his own words quoted takes no room from the problems of others. */
static void likes_are_one_problem(void **state)
{
    (void)state;
    sl_auto(sl_dead_letters) *letters = NULL;
    assert_int_equal(sl_dead_letters_open(NULL, 0, &letters), 0);
    for (int at = 0; at < SL_DEAD_LETTER_PROBLEMS + 10; at++) {
        char problem[32];
        (void)snprintf(problem, sizeof problem, "\"%d\" is no kind", at);
        struct sl_bad_message bad = {
            .text = "x", .size_bytes = 1, .code = SL_EPROTO, .problem = problem, .like = "no event"};
        assert_true(sl_dead_letters_put(letters, "in", SL_VENUE_EXTERNAL, &bad) == (at == 0));
    }
    assert_true(put(letters, "x", 1, SL_EPROTO, "of another"));
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

SL_TEST_MAIN(CASE(each_line_has_its_reason), CASE(file_stays_small), CASE(what_has_no_room_is_counted),
             CASE(a_path_that_cannot_be_is_told_at_the_start), CASE(a_full_disk_leaves_no_half_lines),
             CASE(without_a_file), CASE(likes_are_one_problem))
