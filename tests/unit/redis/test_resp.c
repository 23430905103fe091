/* SPDX-License-Identifier: MIT */
/* The reader of replies: every type, every split, every limit. */
#include <stdlib.h>
#include <string.h>

#include "redis/client.h"
#include "sl_test.h"

/* Feeds a copy in two pieces; the first reply, or a code. `ret_bytes` gets a copy of it. */
static int feed_split(const char *text, size_t size, size_t split, size_t max, char *out, size_t *ret_used)
{
    struct sl__resp_reader reader;
    struct sl_view reply = {NULL, 0};
    size_t used = 0, more = 0;
    char *one = memcpy(test_malloc(split + 1), text, split);
    char *two = memcpy(test_malloc(size - split + 1), text + split, size - split);
    sl__resp_init(&reader, max);
    int code = split == 0 ? 0 : sl__resp_feed(&reader, one, split, &used, &reply);
    if (code == 0 && split < size) {
        code = sl__resp_feed(&reader, two, size - split, &more, &reply);
    }
    if (code == 1) {
        memcpy(out, reply.data, reply.size_bytes);
    }
    *ret_used = used + more;
    test_free(one);
    test_free(two);
    sl__resp_done(&reader);
    return code;
}

static char room[8192];

/* The value of `text`, which must be a whole reply wherever it is split, and not before its end. */
static struct sl_redis_value value_of(const char *text, size_t size)
{
    for (size_t split = 0; split <= size; split++) {
        size_t used = 0;
        assert_int_equal(feed_split(text, size, split, 4096, room, &used), 1);
        assert_int_equal(used, size);
        assert_memory_equal(room, text, size);
        if (split > 0) {
            assert_int_equal(feed_split(text, size - 1, split - 1, 4096, room, &used), 0);
        }
    }
    memcpy(room, text, size);
    assert_ptr_equal(sl__resp_skip(room), room + size);
    return sl__resp_value(room);
}

#define VALUE(literal) value_of(literal, sizeof(literal) - 1)

static void types(void **state)
{
    (void)state;
    struct sl_redis_value value = VALUE("+OK\r\n");
    assert_int_equal(value.type, SL_REDIS_STATUS);
    assert_string_equal(value.text, "OK");
    value = VALUE("-WRONGTYPE Operation\r\n");
    assert_int_equal(value.type, SL_REDIS_ERROR);
    assert_int_equal(sl_redis_problem_of(&value), SL_REDIS_WRONGTYPE);
    value = VALUE(":-9223372036854775808\r\n");
    assert_true(value.type == SL_REDIS_INTEGER && value.integer == INT64_MIN);
    value = VALUE("$5\r\na\0\r\nb\r\n");
    assert_true(value.type == SL_REDIS_STRING && value.size_bytes == 5 && memcmp(value.text, "a\0\r\nb", 6) == 0);
    value = VALUE("$0\r\n\r\n");
    assert_true(value.type == SL_REDIS_STRING && value.size_bytes == 0);
    assert_int_equal(VALUE("$-1\r\n").type, SL_REDIS_NIL);
    assert_int_equal(VALUE("*-1\r\n").type, SL_REDIS_NIL);
    assert_int_equal(VALUE("_\r\n").type, SL_REDIS_NIL);
    value = VALUE("*0\r\n");
    assert_true(value.type == SL_REDIS_ARRAY && value.count == 0);
    value = VALUE("#t\r\n");
    assert_true(value.type == SL_REDIS_BOOLEAN && value.integer == 1);
    assert_int_equal(VALUE("#f\r\n").integer, 0);
    value = VALUE(",-3.25e2\r\n");
    assert_true(value.type == SL_REDIS_DOUBLE && value.number == -325.0);
    assert_string_equal(value.text, "-3.25e2");
    assert_true(VALUE(",0.1\r\n").number == 0.1);
    assert_true(VALUE(",inf\r\n").number > 1e308 && VALUE(",-inf\r\n").number < -1e308);
    assert_true(VALUE(",nan\r\n").number != VALUE(",nan\r\n").number);
    value = VALUE("(3492890328409238509324850943850943825024385\r\n");
    assert_int_equal(value.type, SL_REDIS_BIG_NUMBER);
    assert_string_equal(value.text, "3492890328409238509324850943850943825024385");
    value = VALUE("=7\r\ntxt:abc\r\n");
    assert_int_equal(value.type, SL_REDIS_STRING);
    assert_string_equal(value.text, "abc");
    value = VALUE("!7\r\nMOVED 1\r\n");
    assert_int_equal(sl_redis_problem_of(&value), SL_REDIS_MOVED);
    assert_int_equal(VALUE("~1\r\n:1\r\n").type, SL_REDIS_SET);
    assert_int_equal(VALUE(">1\r\n:1\r\n").type, SL_REDIS_PUSH);
}

static void nested(void **state)
{
    (void)state;
    struct sl_redis_value value = VALUE("%2\r\n+one\r\n*2\r\n:1\r\n*1\r\n$1\r\nx\r\n+two\r\n:2\r\n");
    assert_true(value.type == SL_REDIS_MAP && value.count == 4);
    struct sl_redis_value two = sl_redis_value_find(&value, "two");
    assert_int_equal(two.integer, 2);
    struct sl_redis_value one = sl_redis_value_find(&value, "one");
    assert_int_equal(one.count, 2);
    struct sl_redis_value inner = sl_redis_value_at(&one, 1);
    inner = sl_redis_value_at(&inner, 0);
    assert_true(sl_redis_value_is(&inner, "x"));
    assert_int_equal(sl_redis_value_find(&value, "three").type, SL_REDIS_NIL);
    /* Attributes belong to no value. */
    value = VALUE("*2\r\n|1\r\n+ttl\r\n:9\r\n:1\r\n:2\r\n");
    assert_int_equal(value.count, 2);
    assert_int_equal(sl_redis_value_at(&value, 0).integer, 1);
    assert_int_equal(sl_redis_value_at(&value, 1).integer, 2);
    value = VALUE("|1\r\n+ttl\r\n*1\r\n:9\r\n:7\r\n");
    assert_int_equal(value.integer, 7);
}

static int code_of(const char *text, size_t size, size_t max)
{
    int code = 0;
    for (size_t split = 0; split <= size; split++) {
        size_t used = 0;
        int this_code = feed_split(text, size, split, max, room, &used);
        assert_true(split == 0 || this_code == code);
        code = this_code;
    }
    return code;
}

#define CODE(literal) code_of(literal, sizeof(literal) - 1, 1000)

static void refused(void **state)
{
    (void)state;
    assert_int_equal(CODE("x\r\n"), SL_EPROTO);
    assert_int_equal(CODE("HTTP/1.1 400 Bad Request\r\n"), SL_EPROTO);
    assert_int_equal(CODE("\r\n"), SL_EPROTO);
    assert_int_equal(CODE("+OK\n"), SL_EPROTO);
    assert_int_equal(CODE(":12a\r\n"), SL_EPROTO);
    assert_int_equal(CODE(":\r\n"), SL_EPROTO);
    assert_int_equal(CODE(":9223372036854775808\r\n"), SL_EPROTO);
    assert_int_equal(CODE("$-2\r\n"), SL_EPROTO);
    assert_int_equal(CODE("$?\r\n"), SL_EPROTO);
    assert_int_equal(CODE("$3\r\nabcd\r\n"), SL_EPROTO);
    assert_int_equal(CODE("*-2\r\n"), SL_EPROTO);
    assert_int_equal(CODE("#x\r\n"), SL_EPROTO);
    assert_int_equal(CODE("_x\r\n"), SL_EPROTO);
    assert_int_equal(CODE("=3\r\ntxt\r\n"), SL_EPROTO);
    assert_int_equal(CODE("$1001\r\n"), SL_EMSGSIZE);
    assert_int_equal(CODE("$9223372036854775807\r\n"), SL_EMSGSIZE);
    assert_int_equal(CODE("*334\r\n"), SL_EMSGSIZE);
    assert_int_equal(CODE("%9223372036854775807\r\n"), SL_EMSGSIZE);
}

static void limits(void **state)
{
    (void)state;
    char text[2 * SL_REDIS_DEPTH_MAX * 4 + 16] = "";
    size_t used = 0;
    for (int i = 0; i < SL_REDIS_DEPTH_MAX; i++) {
        memcpy(text + (size_t)4 * (size_t)i, "*1\r\n", 4);
    }
    size_t size = (size_t)4 * SL_REDIS_DEPTH_MAX;
    memcpy(text + size, ":1\r\n", 5);
    assert_int_equal(feed_split(text, size + 4, 9, 4096, room, &used), 1);
    memcpy(text + size, "*1\r\n:1\r\n", 9);
    assert_int_equal(feed_split(text, size + 8, 9, 4096, room, &used), SL_EMSGSIZE);
    /* Many small values that go over the limit together. */
    char many[2048] = "*300\r\n";
    for (size_t at = 6; at < sizeof many - 8; at += 7) {
        memcpy(many + at, ":1234\r\n", 7);
    }
    assert_int_equal(feed_split(many, 1600, 20, 1000, room, &used), SL_EMSGSIZE);
    /* A line without an end. */
    char *line = test_malloc(2 * SL__RESP_LINE_BYTES_MAX);
    memset(line, 'a', 2 * SL__RESP_LINE_BYTES_MAX);
    line[0] = '+';
    assert_int_equal(feed_split(line, 2 * SL__RESP_LINE_BYTES_MAX, 100, 1 << 20, room, &used), SL_EMSGSIZE);
    test_free(line);
}

static void commands(void **state)
{
    (void)state;
    const struct sl_bytes pieces[] = {{"SET", 3}, {"k", 1}, {"", 0}, {"0123456789", 10}};
    static const char expected[] = "*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n$10\r\n0123456789\r\n";
    char out[128];
    assert_int_equal(sl__resp_command_bytes(pieces, 4), sizeof expected - 1);
    assert_ptr_equal(sl__resp_command_put(out, pieces, 4), out + sizeof expected - 1);
    assert_memory_equal(out, expected, sizeof expected - 1);
}

static void problems(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum sl_redis_problem problem;
        bool retryable;
        int code;
    } cases[] = {
        {"LOADING Redis is loading", SL_REDIS_LOADING, true, SL_ENOTREADY},
        {"READONLY You can't write", SL_REDIS_READONLY, true, SL_ENOTREADY},
        {"OOM command not allowed", SL_REDIS_OOM, true, SL_ENOTREADY},
        {"MASTERDOWN Link with MASTER", SL_REDIS_MASTERDOWN, true, SL_ENOTREADY},
        {"CLUSTERDOWN Hash slot", SL_REDIS_CLUSTERDOWN, true, SL_ENOTREADY},
        {"TRYAGAIN Multiple keys", SL_REDIS_TRYAGAIN, true, SL_ENOTREADY},
        {"BUSY Redis is busy", SL_REDIS_BUSY, true, SL_ENOTREADY},
        {"ERR max number of clients reached", SL_REDIS_MAXCLIENTS, true, SL_ENOTREADY},
        {"NOSCRIPT No matching", SL_REDIS_NOSCRIPT, false, SL_EREPLY},
        {"CROSSSLOT Keys in request", SL_REDIS_CROSSSLOT, false, SL_EINVAL},
        {"WRONGPASS invalid", SL_REDIS_NOAUTH, false, -EACCES},
        {"NOPERM this user", SL_REDIS_NOAUTH, false, -EACCES},
        {"ERR unknown command", SL_REDIS_OTHER, false, SL_EREPLY},
        {"BUSYGROUP Consumer", SL_REDIS_BUSYGROUP, false, SL_EREPLY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct sl_redis_value value = {.type = SL_REDIS_ERROR, .text = cases[i].text};
        enum sl_redis_problem problem = sl_redis_problem_of(&value);
        assert_int_equal(problem, cases[i].problem);
        assert_int_equal(sl_redis_problem_retryable(problem), cases[i].retryable);
        assert_int_equal(sl__redis_problem_code(problem), cases[i].code);
    }
}

static int settings_of(const char *url, struct sl__redis_settings *settings)
{
    memset(settings, 0, sizeof *settings);
    return sl__redis_parse_url(url, settings);
}

static void urls(void **state)
{
    (void)state;
    static struct sl__redis_settings settings;
    assert_int_equal(settings_of("redis://localhost", &settings), 0);
    assert_string_equal(settings.hosts[0].host, "localhost");
    assert_int_equal(settings.hosts[0].port, 6379);
    assert_int_equal(settings_of("rediss://me:p%40ss%3a@[::1]:7000/3", &settings), 0);
    assert_true(settings.encrypted && settings.database == 3 && settings.hosts[0].port == 7000);
    assert_string_equal(settings.hosts[0].host, "::1");
    assert_string_equal(settings.user, "me");
    assert_string_equal(settings.password, "p@ss:");
    assert_int_equal(settings_of("redis://:only@h", &settings), 0);
    assert_string_equal(settings.user, "");
    assert_string_equal(settings.password, "only");
    assert_int_equal(settings_of("unix:///run/redis.sock?db=2", &settings), 0);
    assert_string_equal(settings.hosts[0].host, "unix:/run/redis.sock");
    assert_int_equal(settings.database, 2);
    assert_int_equal(settings_of("redis+sentinel://a,b:7/md/1", &settings), 0);
    assert_true(settings.hosts_count == 2 && settings.hosts[0].port == 26379 && settings.hosts[1].port == 7);
    assert_string_equal(settings.master, "md");
    assert_int_equal(settings.database, 1);
    assert_int_equal(settings_of("redis+cluster://a:1,b:2,c:3", &settings), 0);
    assert_int_equal(settings.hosts_count, 3);
    static const char *const bad[] = {"http://x",
                                      "redis://",
                                      "redis://:1",
                                      "redis://h:0",
                                      "redis://h:65536",
                                      "redis://h:x",
                                      "redis://h/x",
                                      "redis://h/-1",
                                      "redis://a,b",
                                      "redis://[::1",
                                      "redis://u%zz@h",
                                      "redis://u%00@h",
                                      "redis://u%4@h",
                                      "unix://relative",
                                      "unix:///s?x=1",
                                      "redis+sentinel://h",
                                      "redis+cluster://h/1",
                                      ""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(settings_of(bad[i], &settings), SL_EINVAL);
    }
}

SL_TEST_MAIN(cmocka_unit_test(types), cmocka_unit_test(nested), cmocka_unit_test(refused), cmocka_unit_test(limits),
             cmocka_unit_test(commands), cmocka_unit_test(problems), cmocka_unit_test(urls))
