/* SPDX-License-Identifier: MIT */
/* The logger: its lines, its limits, readers that do not read, secrets. */
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sl_conformance.h"
#include "sluice/json.h"
#include "sluice/log.h"
#include "sluice/scope.h"

#define TEXT_BYTES ((size_t)1 << 20)

struct world {
    sl_logger *logger;
    int read_end, write_end;
    char *text; /* what came out */
    size_t bytes;
    bool reading; /* by a thread, all the time */
    pthread_t reader;
    _Atomic int next;
};

static void read_all(struct world *world)
{
    ssize_t bytes;
    while ((bytes = read(world->read_end, world->text + world->bytes, TEXT_BYTES - 1 - world->bytes)) > 0) {
        world->bytes += (size_t)bytes;
    }
    world->text[world->bytes] = '\0';
}

static void *read_on_thread(void *arg)
{
    read_all(arg);
    return NULL;
}

static void open_world(struct world *world, struct sl_logger_options options)
{
    int ends[2];
    memset(world, 0, sizeof *world);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    world->read_end = ends[0];
    world->write_end = ends[1];
    world->text = sl_malloc(TEXT_BYTES);
    world->text[0] = '\0';
    world->bytes = 0;
    options.descriptor = ends[1];
    assert_int_equal(sl_logger_open(&options, &world->logger), 0);
}

/* One that is read while it is written. */
static void open_read_world(struct world *world, struct sl_logger_options options)
{
    open_world(world, options);
    world->reading = true;
    assert_int_equal(pthread_create(&world->reader, NULL, read_on_thread, world), 0);
}

/* Closes the logger and reads what it wrote. */
static const char *finish(struct world *world)
{
    sl_logger_close(world->logger);
    (void)close(world->write_end);
    if (world->reading) {
        (void)pthread_join(world->reader, NULL);
    } else {
        read_all(world);
    }
    return world->text;
}

static void done(struct world *world)
{
    (void)close(world->read_end);
    sl_free(world->text);
}

static void take(struct world *world, enum sl_log_level level, const void *site, const char *path, const char *message,
                 const struct sl_log_field *fields, size_t count)
{
    sl_logger_take(
        world->logger,
        &(struct sl_log_record){
            .level = level, .site = site, .path = path, .message = message, .fields = fields, .field_count = count});
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++) {
        count++;
    }
    return count;
}

/* "2026-11-21T10:18:05.123456Z" */
static bool is_time(const char *text)
{
    static const char pattern[] = "dddd-dd-ddTdd:dd:dd.ddddddZ";
    for (size_t i = 0; i < sizeof pattern - 1; i++) {
        if (pattern[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != pattern[i]) {
            return false;
        }
    }
    return true;
}

static const struct sl_log_field *all_fields(size_t *ret_count)
{
    static struct sl_log_field fields[12];
    size_t n = 0;
    fields[n++] = sl_field_text("venue", "binance");
    fields[n++] = sl_field_text("said", "a \"b\"\n\033[31m");
    fields[n++] = sl_field_text("none", NULL);
    fields[n++] = sl_field_int("below", -5);
    fields[n++] = sl_field_uint("many", UINT64_MAX);
    fields[n++] = sl_field_real("share", 0.25);
    fields[n++] = sl_field_bool("live", true);
    fields[n++] = sl_field_duration("took", SL_MILLISECONDS(1500));
    fields[n++] = sl_field_code("code", SL_EPROTO);
    fields[n++] = sl_field_secret("token");
    fields[n++] = sl_field_url("url", "redis://user:hunter2@host:1/0?x=a@b");
    fields[n++] = sl_field_text("level", "mine");
    *ret_count = n;
    return fields;
}

static void text_lines_are_readable(void **state)
{
    (void)state;
    struct world world;
    size_t count = 0;
    const struct sl_log_field *fields = all_fields(&count);
    open_world(&world, (struct sl_logger_options){.level = SL_LOG_INFO});
    take(&world, SL_LOG_WARNING, "1", "main/feed",
         "first\nsecond \033[2J \xc2\x9b"
         "1A \xff",
         fields, count);
    take(&world, SL_LOG_DEBUG, "2", "main", "not wanted", NULL, 0);
    const char *text = finish(&world);
    assert_true(is_time(text));
    assert_string_equal(text + 27, " WARN  main/feed: first\n    second \\x1b[2J \\x9b1A ? venue=binance "
                                   "said=\"a \\\"b\\\"\\n\\x1b[31m\" none=\"\" below=-5 many=18446744073709551615 "
                                   "share=0.25 live=true took=1.5s code=SL_EPROTO token=*** "
                                   "url=\"redis://***@host:1/0?x=a@b\" level=mine\n");
    done(&world);
}

static void json_lines_are_objects(void **state)
{
    (void)state;
    struct world world;
    size_t count = 0;
    const struct sl_log_field *fields = all_fields(&count);
    open_world(&world, (struct sl_logger_options){.level = SL_LOG_INFO, .format = SL_LOG_FORMAT_JSON});
    take(&world, SL_LOG_ERROR, "1", "main/feed", "first\nsecond \xff", fields, count);
    const char *text = finish(&world);
    assert_memory_equal(text, "{\"sequence\":1,\"time\":\"", 22);
    assert_true(is_time(text + 22));
    assert_string_equal(text + 49, "\",\"level\":\"error\",\"task\":\"main/feed\",\"message\":\"first\\nsecond ?\","
                                   "\"venue\":\"binance\",\"said\":\"a \\\"b\\\"\\n\\u001b[31m\",\"none\":\"\","
                                   "\"below\":-5,\"many\":18446744073709551615,\"share\":0.25,\"live\":true,"
                                   "\"took\":1.5,\"code\":\"SL_EPROTO\",\"token\":\"***\","
                                   "\"url\":\"redis://***@host:1/0?x=a@b\",\"level_\":\"mine\"}\n");
    done(&world);
}

static bool is_json(const char *line, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if ((unsigned char)line[i] < 0x20) {
            return false;
        }
    }
    return bytes > 1 && line[0] == '{' && line[bytes - 1] == '}' && sl_utf8_valid(line, bytes);
}

/* Anything may come from outside: a line stays one line of UTF-8 within its limit, and says when it was cut. */
static void any_bytes_make_one_line(void **state)
{
    (void)state;
    char *wild = sl_malloc(8000);
    for (int format = 0; format < 2; format++) {
        struct world world;
        open_read_world(&world, (struct sl_logger_options){
                                    .level = SL_LOG_INFO, .format = (enum sl_log_format)format, .site_lines = 1000});
        uint64_t random = 7;
        for (size_t i = 0; i < 200; i++) {
            size_t length = i * 40;
            for (size_t at = 0; at < length; at++) {
                random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
                wild[at] = (char)(random >> 56 == 0 ? 1 : random >> 56);
                wild[at] = i % 3 == 0 ? '\001' : i % 3 == 1 ? 'x' : wild[at];
            }
            wild[length] = '\0';
            const struct sl_log_field fields[] = {sl_field_text("a", wild), sl_field_text("b", wild),
                                                  sl_field_text("c", wild), sl_field_real("d", NAN)};
            take(&world, SL_LOG_INFO, "1", wild, wild, fields, 4);
        }
        const char *text = finish(&world);
        size_t lines = 0;
        size_t cut = 0;
        for (const char *at = text; *at != '\0';) {
            size_t bytes = strcspn(at, "\n");
            assert_true(bytes <= SL_LOG_LINE_BYTES);
            assert_true(format == 0 || is_json(at, bytes));
            assert_true(format == 1 || is_time(at) || strncmp(at, "    ", 4) == 0);
            lines += format == 1 || is_time(at) ? 1 : 0;
            cut += memmem(at, bytes, format == 1 ? "\"truncated\":true" : "...", format == 1 ? 16 : 3) != NULL ||
                           memmem(at, bytes, "(cut)", 5) != NULL
                       ? 1
                       : 0;
            at += bytes + 1;
        }
        assert_int_equal(lines, 200);
        assert_true(cut > 100);
        done(&world);
    }
    sl_free(wild);
}

static void repeats_are_merged(void **state)
{
    (void)state;
    struct world world;
    static const char site[] = "connect failed";
    static const char other[] = "other";
    open_world(&world, (struct sl_logger_options){.level = SL_LOG_INFO});
    for (int i = 0; i < 100; i++) {
        take(&world, SL_LOG_ERROR, site, "main/a", site, NULL, 0);
        take(&world, SL_LOG_INFO, other, "main/b", "between", NULL, 0);
    }
    take(&world, SL_LOG_ERROR, site, "main/c", site, NULL, 0);
    struct sl_logger_stats stats;
    sl_logger_get_stats(world.logger, &stats);
    assert_int_equal(stats.merged, 198);
    const char *text = finish(&world);
    assert_int_equal(count_of(text, "\n"), 5);
    const char *summary = strstr(text, "ERROR main/a: repeated 99 times: connect failed\n");
    assert_non_null(summary);
    assert_true(summary < strstr(text, "main/c: connect failed"));
    assert_non_null(strstr(text, "INFO  main/b: repeated 99 times: between\n"));
    done(&world);
}

static void a_place_that_logs_without_end_is_limited(void **state)
{
    (void)state;
    struct world world;
    static const char site[] = "tick";
    open_world(&world, (struct sl_logger_options){.level = SL_LOG_INFO, .site_lines = 7});
    for (int i = 0; i < 50; i++) {
        const struct sl_log_field field = sl_field_int("n", i);
        take(&world, SL_LOG_INFO, site, "", site, &field, 1);
    }
    take(&world, SL_LOG_INFO, "elsewhere", "", "is heard", NULL, 0);
    const char *text = finish(&world);
    assert_int_equal(count_of(text, "INFO  tick n="), 7);
    assert_non_null(strstr(text, "is heard"));
    assert_non_null(strstr(text, "INFO  left out 43 more lines from the place of: tick\n"));
    done(&world);
}

/* More places than the table has: what one held back is told before it makes room. */
static void many_places_lose_nothing(void **state)
{
    (void)state;
    struct world world;
    static char places[2000];
    open_read_world(&world, (struct sl_logger_options){.level = SL_LOG_INFO});
    for (size_t i = 0; i < sizeof places; i++) {
        take(&world, SL_LOG_INFO, &places[i], "", "here", NULL, 0);
        take(&world, SL_LOG_INFO, &places[i], "", "here", NULL, 0);
    }
    const char *text = finish(&world);
    assert_int_equal(count_of(text, " here\n"), 4000);
    assert_int_equal(count_of(text, "repeated 1 time: here\n"), 2000);
    done(&world);
}

static void a_reader_that_does_not_read_holds_nobody_up(void **state)
{
    (void)state;
    struct world world;
    static const char site[] = "flood";
    open_world(&world, (struct sl_logger_options){.level = SL_LOG_INFO, .queue_bytes = 65536, .site_lines = 1000000});
    sl_time before = sl_now();
    for (int i = 0; i < 20000; i++) {
        const struct sl_log_field field = sl_field_int("n", i);
        take(&world, SL_LOG_INFO, site, "", site, &field, 1);
    }
    assert_true(sl_now() - before < SL_SECONDS(5));
    struct sl_logger_stats stats;
    sl_logger_get_stats(world.logger, &stats);
    assert_true(stats.dropped > 10000 && stats.dropped < 20000);
    assert_int_equal(stats.dropped + stats.written[SL_LOG_INFO], 20000);
    before = sl_now();
    sl_logger_close(world.logger); /* though nobody reads */
    assert_true(sl_now() - before < 3 * SL_LOG_CLOSE);
    (void)close(world.write_end);
    done(&world);
}

/* The sum of what the lines about dropped lines tell. */
static uint64_t dropped_in(const char *text)
{
    static const char note[] = "WARN  lines of the log were dropped, as nobody read them lines=";
    uint64_t sum = 0;
    while ((text = strstr(text, note)) != NULL) {
        text += sizeof note - 1;
        sum += strtoull(text, NULL, 10);
    }
    return sum;
}

static void the_gap_is_told_once_somebody_reads(void **state)
{
    (void)state;
    struct world world;
    static const char site[] = "flood";
    open_world(&world, (struct sl_logger_options){.level = SL_LOG_INFO, .queue_bytes = 65536, .site_lines = 1000000});
    struct sl_logger_stats stats;
    for (int i = 0; i < 20000; i++) {
        const struct sl_log_field field = sl_field_int("n", i);
        take(&world, SL_LOG_INFO, site, "", site, &field, 1);
    }
    sl_logger_get_stats(world.logger, &stats);
    while (dropped_in(world.text) < stats.dropped) {
        ssize_t bytes = read(world.read_end, world.text + world.bytes, TEXT_BYTES - 1 - world.bytes);
        assert_true(bytes > 0);
        world.bytes += (size_t)bytes;
        world.text[world.bytes] = '\0';
    }
    assert_int_equal(dropped_in(finish(&world)), stats.dropped);
    assert_int_equal(count_of(world.text, "flood n="), stats.written[SL_LOG_INFO]);
    done(&world);
}

static void a_closed_reader_is_no_end(void **state)
{
    (void)state;
    struct world world;
    open_world(&world, (struct sl_logger_options){.level = SL_LOG_INFO, .site_lines = 1000000});
    (void)close(world.read_end);
    struct sl_logger_stats stats = {0};
    for (int i = 0; stats.dropped < 10; i++) {
        const struct sl_log_field field = sl_field_int("n", i);
        take(&world, SL_LOG_INFO, "x", "", "gone", &field, 1);
        sl_logger_get_stats(world.logger, &stats);
    }
    sl_logger_close(world.logger);
    (void)close(world.write_end);
    sl_free(world.text);
}

static size_t recent_of(sl_logger *logger, uint64_t after, enum sl_log_level level, size_t most, char *text,
                        size_t room)
{
    sl_json_writer out;
    sl_json_text found;
    sl_json_writer_init_in(&out, text, room);
    sl_logger_recent(logger, after, level, most, &out);
    assert_int_equal(sl_json_writer_finish(&out, &found), 0);
    return count_of(text, "\"sequence\":");
}

static void recent_lines_are_kept(void **state)
{
    (void)state;
    struct world world;
    char *text = sl_malloc(TEXT_BYTES);
    open_world(&world, (struct sl_logger_options){.level = SL_LOG_DEBUG, .recent_bytes = 5000, .site_lines = 1000000});
    assert_int_equal(recent_of(world.logger, 0, SL_LOG_DEBUG, 100, text, TEXT_BYTES), 0);
    assert_string_equal(text, "[]");
    uint64_t random = 3;
    for (int i = 1; i <= 3000; i++) {
        char message[300];
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        (void)snprintf(message, sizeof message, "<%d>%0*d", i, (int)(random >> 57), 0);
        take(&world, i % 5 == 0 ? SL_LOG_ERROR : SL_LOG_INFO, "1", "main", message, NULL, 0);
        char last[40];
        (void)snprintf(last, sizeof last, "\"sequence\":%d,", i);
        size_t found = recent_of(world.logger, 0, SL_LOG_DEBUG, 1000, text, TEXT_BYTES);
        assert_true(found >= (size_t)(i < 12 ? i : 12) && found < 60); /* lines of 100 to 240 bytes */
        assert_true(strlen(text) <= 5000 + 60);
        assert_non_null(strstr(text, last));
    }
    assert_int_equal(recent_of(world.logger, 2990, SL_LOG_DEBUG, 100, text, TEXT_BYTES), 10);
    assert_int_equal(recent_of(world.logger, 2990, SL_LOG_ERROR, 100, text, TEXT_BYTES), 2);
    assert_int_equal(recent_of(world.logger, 0, SL_LOG_DEBUG, 4, text, TEXT_BYTES), 4);
    assert_non_null(strstr(text, "<2997>"));
    assert_null(strstr(text, "<2996>"));
    assert_int_equal(recent_of(world.logger, 3000, SL_LOG_DEBUG, 100, text, TEXT_BYTES), 0);
    sl_logger_close(world.logger);
    (void)close(world.write_end);
    done(&world);
    sl_free(text);
}

static int fail_quietly(void *arg)
{
    (void)arg;
    return sl_fail(SL_EPROTO, "bad frame");
}

/* A scope that is left early without anybody looking at its error: the runtime logs that. */
static int log_things(void *arg)
{
    sl_logger *logger = arg;
    SL_TRY(sl_task_rename("program"));
    SL_TRY(sl_logger_attach(logger));
    sl_log(SL_LOG_INFO, "%d things", 3);
    sl_log(SL_LOG_DEBUG, "not wanted");
    sl_log_with(SL_LOG_WARNING, "with a field", sl_field_text("key", "value"), sl_field_secret("password"));
    {
        SL_SCOPE(scope);
        SL_TRY(sl_spawn(&scope, fail_quietly, NULL, .name = "child"));
        int code = sl_sleep(SL_SECONDS(5));
        CHECK_EQ(code, SL_ECANCELED);
    }
    CHECK_EQ(sl_sleep(SL_MILLISECONDS(1)), 0);
    sl_logger_close(logger);
    sl_log(SL_LOG_DEBUG, "for the hook of the options");
    return 0;
}

static void keep_text(void *context, enum sl_log_level level, const char *text)
{
    (void)level;
    (void)snprintf(context, 200, "%s", text);
}

static void a_run_logs_to_it(void **state)
{
    (void)state;
    struct world world;
    char kept[200] = "";
    open_world(&world, (struct sl_logger_options){.level = SL_LOG_INFO});
    assert_int_equal(
        sl_run(&(struct sl_run_options){.log = keep_text, .log_context = kept}, log_things, world.logger, NULL), 0);
    (void)close(world.write_end);
    read_all(&world);
    assert_non_null(strstr(world.text, " INFO  program: 3 things\n"));
    assert_non_null(strstr(world.text, " WARN  program: with a field key=value password=***\n"));
    assert_non_null(strstr(world.text, " ERROR program: uncollected error in task 'program': "));
    assert_non_null(strstr(world.text, "bad frame"));
    assert_null(strstr(world.text, "not wanted"));
    assert_string_equal(kept, "for the hook of the options");
    done(&world);
}

static int log_without_sink(void *arg)
{
    (void)arg;
    sl_log_with(SL_LOG_WARNING, "plain", sl_field_text("a", "b"), sl_field_int("n", -1), sl_field_secret("s"),
                sl_field_url("u", "http://u:p@h"), sl_field_code("c", SL_EOF), sl_field_bool("t", false),
                sl_field_uint("m", 7), sl_field_real("r", 0.5), sl_field_duration("d", SL_SECONDS(2)));
    return 0;
}

static void without_a_sink_fields_come_as_text(void **state)
{
    (void)state;
    char kept[200] = "";
    assert_int_equal(
        sl_run(&(struct sl_run_options){.log = keep_text, .log_context = kept}, log_without_sink, NULL, NULL), 0);
    assert_string_equal(kept, "plain a=b n=-1 s=*** u=*** c=SL_EOF t=false m=7 r=0.5 d=2s");
    sl_log(SL_LOG_ERROR, "nowhere"); /* outside a run */
    assert_int_equal(sl_log_sink_set(NULL, NULL, SL_LOG_INFO), SL_ENOTASK);
}

static void count_record(void *context, const struct sl_log_record *record)
{
    (void)record;
    ++*(int *)context;
}

static int log_to_sink(void *arg)
{
    CHECK_EQ(sl_log_sink_set(count_record, arg, SL_LOG_WARNING), 0);
    sl_log(SL_LOG_ERROR, "one");
    sl_log(SL_LOG_INFO, "below");
    sl_log_with(SL_LOG_WARNING, "two", sl_field_bool("b", true));
    sl_log_with(SL_LOG_INFO, "below", sl_field_bool("b", true));
    sl_log_sink_clear(&arg); /* not its context */
    sl_log(SL_LOG_WARNING, "three");
    sl_log_sink_clear(arg);
    sl_log(SL_LOG_WARNING, "for the hook");
    return 0;
}

static void a_sink_gets_what_it_asked_for(void **state)
{
    (void)state;
    char kept[200] = "";
    int records = 0;
    assert_int_equal(
        sl_run(&(struct sl_run_options){.log = keep_text, .log_context = kept}, log_to_sink, &records, NULL), 0);
    assert_int_equal(records, 3);
    assert_string_equal(kept, "for the hook");
}

static void *log_from_thread(void *arg)
{
    struct world *world = arg;
    for (int i = 0; i < 2000; i++) {
        const struct sl_log_field field = sl_field_int("n", world->next++);
        take(world, SL_LOG_INFO, world, "thread", "concurrent", &field, 1);
    }
    return NULL;
}

static void any_thread_may_log(void **state)
{
    (void)state;
    struct world world;
    pthread_t threads[4];
    open_read_world(&world, (struct sl_logger_options){
                                .level = SL_LOG_INFO, .site_lines = 1000000, .queue_bytes = (size_t)4 << 20});
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_from_thread, &world), 0);
    }
    for (int i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_int_equal(count_of(finish(&world), " INFO  thread: concurrent n="), 8000);
    done(&world);
}

static void opening_fails_whole(void **state)
{
    (void)state;
    int64_t held = sl_memory_held();
    sl_logger *logger = NULL;
    struct sl_logger_options options = {.level = SL_LOG_INFO};
    int n = 0;
    for (;; n++) {
        sl_memory_fail_after(n);
        int code = sl_logger_open(&options, &logger);
        sl_memory_fail_after(-1);
        if (code == 0) {
            break;
        }
        assert_int_equal(code, SL_ENOMEM);
        assert_int_equal(sl_memory_held(), held);
    }
    assert_int_equal(n, 4);
    sl_logger_close(logger);
    sl_logger_close(NULL);
    options.queue_bytes = 100;
    assert_int_equal(sl_logger_open(&options, &logger), SL_EINVAL);
    assert_int_equal(sl_memory_held(), held);
}

static void collects(void **state)
{
    (void)state;
    struct world world;
    sl_metrics *metrics = NULL;
    char *text = NULL;
    size_t bytes = 0;
    open_world(&world, (struct sl_logger_options){.level = SL_LOG_INFO});
    take(&world, SL_LOG_ERROR, "1", "", "x", NULL, 0);
    take(&world, SL_LOG_ERROR, "1", "", "x", NULL, 0);
    assert_int_equal(sl_metrics_open(NULL, &metrics), 0);
    assert_int_equal(sl_metrics_add(metrics, sl_logger_collect, world.logger), 0);
    assert_int_equal(sl_metrics_write(metrics, &text, &bytes), 0);
    assert_non_null(strstr(text, "sluice_log_lines_total{level=\"error\"} 1\n"));
    assert_non_null(strstr(text, "sluice_log_merged_total 1\n"));
    assert_non_null(strstr(text, "sluice_log_dropped_total 0\n"));
    sl_free(text);
    sl_metrics_free(metrics);
    (void)finish(&world);
    done(&world);
}

SL_TEST_MAIN(cmocka_unit_test(text_lines_are_readable), cmocka_unit_test(json_lines_are_objects),
             cmocka_unit_test(any_bytes_make_one_line), cmocka_unit_test(repeats_are_merged),
             cmocka_unit_test(a_place_that_logs_without_end_is_limited), cmocka_unit_test(many_places_lose_nothing),
             cmocka_unit_test(a_reader_that_does_not_read_holds_nobody_up),
             cmocka_unit_test(the_gap_is_told_once_somebody_reads), cmocka_unit_test(a_closed_reader_is_no_end),
             cmocka_unit_test(recent_lines_are_kept), cmocka_unit_test(a_run_logs_to_it),
             cmocka_unit_test(without_a_sink_fields_come_as_text), cmocka_unit_test(a_sink_gets_what_it_asked_for),
             cmocka_unit_test(any_thread_may_log), cmocka_unit_test(opening_fails_whole), cmocka_unit_test(collects))
