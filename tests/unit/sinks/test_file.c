/* SPDX-License-Identifier: MIT */
/* The sink into files: lines, frames, turns, identity, what is half-written, a disk that is full. */
#include "sl_conformance.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#include "disk_sync.h"
#include "event_reader.h"
#include "sample_events.h"
#include "scratch_folder.h"
#include "sinks/file.h"
#include "sinks/slots.h"

struct place {
    struct scratch_folder folder;
    char path[SCRATCH_PATH_MAX + 16];
};

static struct place make_place(void)
{
    struct place place = {.folder = scratch_folder_make()};
    (void)snprintf(place.path, sizeof(place.path), "%s/market", place.folder.path);
    return place;
}

static sl_sink *make_sink(const struct place *place, sl_file_options options)
{
    sl_sink *sink = NULL;
    options.path = place->path;
    assert_int_equal(sl_file_sink_new(&options, &sink), 0);
    return sink;
}

/* Writes sample events `from` to `to` - 1 as one batch. */
static int write_batch(sl_sink *sink, uint64_t run, uint64_t from, uint64_t to, sl_sink_result *ret_result)
{
    struct sl__slots slots = {0};
    static uint8_t record[16384];
    sl_sink_batch batch = {.slots = &slots};
    assert_int_equal(sl_record_reader_new(&batch.reader), 0);
    assert_int_equal(sl__slots_reserve(&slots, (to - from) * 4096 + 64), 0);
    for (; from < to; from++) {
        sl_market_event event = sample_event(from);
        size_t size = sl_record_encode(&event, record);
        sl_record_set_stamp(record, (sl_stamp){run, from + 1});
        sl__slots_add(&slots, record, size);
    }
    *ret_result = (sl_sink_result){0};
    int code = sink->driver->write(sink, &batch, ret_result);
    sl_record_reader_free(batch.reader);
    sl__slots_free(&slots);
    return code;
}

static void write_and_expect(sl_sink *sink, uint64_t run, uint64_t from, uint64_t to, uint64_t written)
{
    sl_sink_result result;
    assert_int_equal(write_batch(sink, run, from, to, &result), 0);
    assert_int_equal(result.written, written);
    assert_int_equal(result.repeated, to - from - written);
}

/* All that stands in the files, in order. */
struct content {
    char *text;
    size_t size;
    int files;
};

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void add_file(struct content *content, const char *path)
{
    struct stat status;
    int file = open(path, O_RDONLY);
    assert_true(file >= 0);
    assert_int_equal(fstat(file, &status), 0);
    char *data = sl_calloc(1, (size_t)status.st_size);
    assert_non_null(data);
    assert_int_equal(read(file, data, (size_t)status.st_size), status.st_size);
    (void)close(file);
    size_t size = (size_t)status.st_size;
    bool packed = strstr(path, ".zst") != NULL;
    for (size_t at = 0; at < size;) {
        size_t frame = packed ? ZSTD_findFrameCompressedSize(data + at, size - at) : size;
        size_t plain = packed ? (size_t)ZSTD_getFrameContentSize(data + at, size - at) : size;
        assert_false(packed && ZSTD_isError(frame));
        content->text = sl_realloc(content->text, content->size + plain + 1);
        assert_non_null(content->text);
        if (packed) {
            assert_int_equal(ZSTD_decompress(content->text + content->size, plain, data + at, frame), plain);
        } else {
            memcpy(content->text + content->size, data, plain);
        }
        content->size += plain;
        at += frame;
    }
    sl_free(data);
    content->files++;
}

static struct content read_all(const struct place *place)
{
    struct content content = {0};
    struct dirent **entries = NULL;
    int count = scandir(place->folder.path, &entries, NULL, by_name);
    if (count < 0 || entries == NULL) {
        fail();
        return content;
    }
    for (int at = 0; at < count; at++) {
        char path[SCRATCH_PATH_MAX + 300];
        (void)snprintf(path, sizeof(path), "%s/%s", place->folder.path, entries[at]->d_name);
        if (strstr(entries[at]->d_name, ".ndjson") != NULL) {
            add_file(&content, path);
        }
        (free)(entries[at]);
    }
    (free)(entries);
    return content;
}

/* The files hold sample events 0 to `count` - 1, each once, in order. */
static void assert_holds(const struct place *place, uint64_t count, int files)
{
    struct content content = read_all(place);
    struct event_reader *reader = event_reader_new();
    uint64_t number = 0;
    for (size_t at = 0; at < content.size; number++) {
        const char *end = memchr(content.text + at, '\n', content.size - at);
        assert_non_null(end);
        size_t length = (size_t)(end - content.text) - at;
        sl_market_event event;
        sl_stamp stamp;
        assert_int_equal(event_reader_read(reader, content.text + at, length, &event, &stamp), 0);
        sl_market_event expected = sample_event(number);
        assert_true(sample_events_equal(&event, &expected));
        assert_int_equal(stamp.number, number + 1);
        at += length + 1;
    }
    assert_int_equal(number, count);
    if (files > 0) {
        assert_int_equal(content.files, files);
    }
    event_reader_free(reader);
    sl_free(content.text);
}

static void lines_and_their_order(bool zstd)
{
    struct place place = make_place();
    sl_sink *sink = make_sink(&place, (sl_file_options){.zstd = zstd});
    assert_int_equal(sink->driver->open(sink, NULL), 0);
    assert_int_equal(sink->driver->open(sink, NULL), 0);
    for (uint64_t from = 0; from < 1000; from += 100) {
        write_and_expect(sink, 7, from, from + 100, 100);
    }
    write_and_expect(sink, 7, 500, 1000, 0);
    write_and_expect(sink, 7, 950, 1050, 50); /* half of it is there */
    sl_sink_free(sink);
    assert_holds(&place, 1050, 1);
    sink = make_sink(&place, (sl_file_options){.zstd = zstd});
    assert_int_equal(sink->driver->open(sink, NULL), 0);
    write_and_expect(sink, 7, 1000, 1100, 50);
    write_and_expect(sink, 8, 1100, 1200, 100); /* of another life: its numbers count for themselves */
    sl_sink_free(sink);
    assert_holds(&place, 1200, 1);
    scratch_folder_remove(&place.folder);
}

static void plain_lines(void **state)
{
    (void)state;
    lines_and_their_order(false);
}

static void packed_lines(void **state)
{
    (void)state;
    lines_and_their_order(true);
}

static void files_by_size(void **state)
{
    (void)state;
    for (int zstd = 0; zstd < 2; zstd++) {
        struct place place = make_place();
        sl_file_options options = {.zstd = zstd == 1, .rotate_bytes = 5000, .sync = true};
        sl_sink *sink = make_sink(&place, options);
        assert_int_equal(sink->driver->open(sink, NULL), 0);
        for (uint64_t from = 0; from < 500; from += 50) {
            write_and_expect(sink, 7, from, from + 50, 50);
            if (from % 100 == 0) { /* known also when the newest file is not the one with the last line */
                sl_sink_free(sink);
                sink = make_sink(&place, options);
                assert_int_equal(sink->driver->open(sink, NULL), 0);
                write_and_expect(sink, 7, from, from + 50, 0);
            }
        }
        sl_sink_free(sink);
        struct content content = read_all(&place);
        assert_true(content.files >= 4);
        sl_free(content.text);
        assert_holds(&place, 500, 0);
        scratch_folder_remove(&place.folder);
    }
}

/* A new file that is still empty when the process dies does not hide what the one before ends with. */
static void an_empty_new_file(void **state)
{
    (void)state;
    struct place place = make_place();
    sl_sink *sink = make_sink(&place, (sl_file_options){0});
    assert_int_equal(sink->driver->open(sink, NULL), 0);
    write_and_expect(sink, 7, 0, 10, 10);
    sl_sink_free(sink);
    char path[SCRATCH_PATH_MAX + 64];
    (void)snprintf(path, sizeof(path), "%s-00000005.ndjson", place.path);
    int file = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(file, "{\"kind\":\"tra", 12), 12);
    (void)close(file);
    sink = make_sink(&place, (sl_file_options){0});
    assert_int_equal(sink->driver->open(sink, NULL), 0);
    write_and_expect(sink, 7, 0, 20, 10);
    sl_sink_free(sink);
    assert_holds(&place, 20, 2);
    scratch_folder_remove(&place.folder);
}

static int turn_by_age(void *arg)
{
    struct place *place = arg;
    sl_sink *sink = make_sink(place, (sl_file_options){.rotate_age = SL_SECONDS(60)});
    CHECK_EQ(sink->driver->open(sink, NULL), 0);
    for (uint64_t from = 0; from < 200; from += 10) { /* 20 batches, 10 s apart: 60 s are full at the 7th */
        write_and_expect(sink, 7, from, from + 10, 10);
        CHECK_EQ(sl_sleep(SL_SECONDS(10)), 0);
    }
    sl_sink_free(sink);
    return 0;
}

static void files_by_age(void **state)
{
    (void)state;
    struct place place = make_place();
    struct sl_simulation_options simulation = {.seed = 1};
    struct sl_run_options options = {.simulation = &simulation};
    assert_int_equal(sl_run(&options, turn_by_age, &place, NULL), 0);
    assert_holds(&place, 200, 4);
    scratch_folder_remove(&place.folder);
}

/* Torn anywhere in its last batch, or with rubbish behind it, the file loses that batch's end, and it comes again. */
static void every_torn_end(void **state)
{
    (void)state;
    for (int zstd = 0; zstd < 2; zstd++) {
        struct place place = make_place();
        sl_sink *sink = make_sink(&place, (sl_file_options){.zstd = zstd == 1});
        char path[SCRATCH_PATH_MAX + 64];
        struct stat before;
        struct stat after;
        (void)snprintf(path, sizeof(path), "%s-00000001.ndjson%s", place.path, zstd == 1 ? ".zst" : "");
        assert_int_equal(sink->driver->open(sink, NULL), 0);
        write_and_expect(sink, 7, 0, 3, 3);
        assert_int_equal(stat(path, &before), 0);
        write_and_expect(sink, 7, 3, 6, 3);
        assert_int_equal(stat(path, &after), 0);
        sl_sink_free(sink);
        for (off_t size = after.st_size; size >= before.st_size; size--) {
            assert_int_equal(truncate(path, size), 0);
            if (size % 3 == 0) { /* and zeros, as some file systems leave after a crash */
                assert_int_equal(truncate(path, size + 100), 0);
            }
            sink = make_sink(&place, (sl_file_options){.zstd = zstd == 1});
            sl_sink_result result;
            assert_int_equal(sink->driver->open(sink, NULL), 0);
            assert_int_equal(write_batch(sink, 7, 0, 6, &result), 0);
            assert_int_equal(result.written + result.repeated, 6);
            assert_true(result.repeated >= 3);
            sl_sink_free(sink);
            assert_holds(&place, 6, 1);
        }
        scratch_folder_remove(&place.folder);
    }
}

static void a_full_disk(void **state)
{
    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    for (int zstd = 0; zstd < 2; zstd++) {
        struct place place = make_place();
        sl_sink *sink = make_sink(&place, (sl_file_options){.zstd = zstd == 1});
        sl_sink_result result;
        assert_int_equal(sink->driver->open(sink, NULL), 0);
        struct rlimit old;
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
        struct rlimit limit = {9000, old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        uint64_t stored = 0;
        while (write_batch(sink, 7, stored, stored + 20, &result) == 0) {
            stored += 20;
        }
        assert_int_equal(write_batch(sink, 7, stored, stored + 20, &result), -EFBIG);
        assert_holds(&place, stored, 1);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        sink->driver->close(sink);
        assert_int_equal(sink->driver->open(sink, NULL), 0);
        write_and_expect(sink, 7, stored, stored + 20, 20);
        sl_sink_free(sink);
        assert_holds(&place, stored + 20, 1);
        scratch_folder_remove(&place.folder);
    }
}

/* What a disk says that it has not kept is not there, and comes again. */
static void a_batch_is_on_the_disk_if_that_is_asked_for(void **state)
{
    (void)state;
    for (int sync = 0; sync < 2; sync++) {
        struct place place = make_place();
        sl_sink *sink = make_sink(&place, (sl_file_options){.sync = sync == 1});
        sl_sink_result result;
        int before = disk_syncs;
        assert_int_equal(sink->driver->open(sink, NULL), 0);
        write_and_expect(sink, 7, 0, 20, 20);
        write_and_expect(sink, 7, 20, 40, 20);
        assert_int_equal(disk_syncs - before, 2 * sync);
        disk_sync_errno = sync == 1 ? EIO : 0;
        assert_int_equal(write_batch(sink, 7, 40, 60, &result), sync == 1 ? -EIO : 0);
        disk_sync_errno = 0;
        sink->driver->close(sink);
        assert_holds(&place, sync == 1 ? 40 : 60, 1);
        assert_int_equal(sink->driver->open(sink, NULL), 0);
        write_and_expect(sink, 7, 40, 60, sync == 1 ? 20 : 0);
        sl_sink_free(sink);
        assert_holds(&place, 60, 1);
        scratch_folder_remove(&place.folder);
    }
}

static void what_cannot_be_opened(void **state)
{
    (void)state;
    sl_sink *sink = NULL;
    assert_int_equal(sl_file_sink_new(&(sl_file_options){.path = ""}, &sink), SL_EINVAL);
    assert_int_equal(sl_file_sink_new(&(sl_file_options){.path = "x", .level = 20}, &sink), SL_EINVAL);
    assert_int_equal(sl_file_sink_new(&(sl_file_options){.path = "x", .rotate_age = -1}, &sink), SL_EINVAL);
    assert_int_equal(sl_file_sink_new(&(sl_file_options){.path = "/proc/nowhere/x"}, &sink), 0);
    assert_int_equal(sink->driver->open(sink, NULL), SL_ENOENT);
    sl_sink_free(sink);
    struct place place = make_place();
    char path[SCRATCH_PATH_MAX + 64];
    (void)snprintf(path, sizeof(path), "%s-00000001.ndjson", place.path);
    assert_int_equal(mkdir(path, 0700), 0);
    sink = make_sink(&place, (sl_file_options){0});
    assert_int_equal(sink->driver->open(sink, NULL), -EISDIR);
    sl_sink_free(sink);
    scratch_folder_remove(&place.folder);
}

/* Both would write at the end that they know. */
static void a_file_of_another_is_left_alone(void **state)
{
    (void)state;
    struct place place = make_place();
    sl_sink *one = make_sink(&place, (sl_file_options){.rotate_bytes = 1});
    sl_sink *other = make_sink(&place, (sl_file_options){0});
    assert_int_equal(one->driver->open(one, NULL), 0);
    write_and_expect(one, 1, 0, 3, 3);
    write_and_expect(one, 1, 3, 6, 3); /* a second file, which is locked as the first was */
    assert_int_equal(other->driver->open(other, NULL), SL_EBUSY);
    other->driver->close(other);
    write_and_expect(one, 1, 6, 9, 3);
    one->driver->close(one);
    assert_int_equal(other->driver->open(other, NULL), 0);
    write_and_expect(other, 1, 0, 12, 3);
    sl_sink_free(one);
    sl_sink_free(other);
    scratch_folder_remove(&place.folder);
}

static void memory_may_be_short(void **state)
{
    (void)state;
    struct place place = make_place();
    int64_t held = sl_memory_held();
    for (int64_t n = 0;; n++) {
        sl_sink *sink = NULL;
        struct sl__slots slots = {0};
        sl_sink_batch batch = {.slots = &slots};
        uint8_t record[4096];
        sl_market_event event = sample_event(0);
        assert_int_equal(sl_record_reader_new(&batch.reader), 0);
        assert_int_equal(sl__slots_reserve(&slots, 4096), 0);
        sl__slots_add(&slots, record, sl_record_encode(&event, record));
        sl_sink_result result = {0};
        sl_memory_fail_after(n);
        int code = sl_file_sink_new(&(sl_file_options){.path = place.path, .zstd = true}, &sink);
        code = code < 0 ? code : sink->driver->open(sink, NULL);
        code = code < 0 ? code : sink->driver->write(sink, &batch, &result);
        bool failed = sl_memory_failed() != 0;
        sl_memory_fail_after(-1);
        assert_int_equal(code, failed ? SL_ENOMEM : 0);
        sl_sink_free(sink);
        sl_record_reader_free(batch.reader);
        sl__slots_free(&slots);
        assert_int_equal(sl_memory_held(), held);
        if (!failed) {
            assert_true(n >= 3);
            break;
        }
    }
    scratch_folder_remove(&place.folder);
}

SL_TEST_MAIN(cmocka_unit_test(plain_lines), cmocka_unit_test(packed_lines), cmocka_unit_test(files_by_size),
             cmocka_unit_test(an_empty_new_file), cmocka_unit_test(files_by_age), cmocka_unit_test(every_torn_end),
             cmocka_unit_test(a_full_disk), cmocka_unit_test(a_batch_is_on_the_disk_if_that_is_asked_for),
             cmocka_unit_test(what_cannot_be_opened), cmocka_unit_test(a_file_of_another_is_left_alone),
             cmocka_unit_test(memory_may_be_short))
