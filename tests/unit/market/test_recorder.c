/* SPDX-License-Identifier: MIT */
/* Recordings: what is written is read, after kills, damage, full disks and in pieces. */
#include "sl_test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "market/recorder.h"
#include "sluice/json.h"

struct file {
    char path[64];
};

static struct file new_file(void)
{
    struct file file = {"/tmp/sluice-recorder-XXXXXX"};
    int fd = mkstemp(file.path);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    return file;
}

static sl_recorder *open_recorder(const struct file *file, size_t block_bytes)
{
    sl_recorder *recorder = NULL;
    assert_int_equal(
        sl_recorder_open(&(sl_recorder_options){.path = file->path, .block_bytes = block_bytes}, &recorder), 0);
    return recorder;
}

/* The n-th record of a session: all kinds, texts of all lengths. */
static sl_capture_line record_of(uint64_t number, char text[4096])
{
    static const char url[] = "wss://fstream.binance.com/public/stream";
    size_t size_bytes = number * 37 % 3000;
    for (size_t at = 0; at < size_bytes; at++) {
        text[at] = (char)('a' + (at + number) % 26);
    }
    sl_capture_line record = {.receive_time_ns = (int64_t)(number * 1000003) - 5,
                              .text = text,
                              .size_bytes = size_bytes,
                              .kind = (sl_capture_kind)(number % SL_CAPTURE_KIND_COUNT),
                              .venue = (sl_venue)(number % SL_VENUE_COUNT),
                              .connection = (uint32_t)(number * 7919),
                              .status = number % 3 == 0 ? 200 : -1};
    if (number % 2 == 0) {
        record.url = url;
        record.url_bytes = sizeof(url) - 1;
    }
    return record;
}

static void add(sl_recorder *recorder, uint64_t number)
{
    char text[4096];
    sl_capture_line record = record_of(number, text);
    int code = sl_recorder_add(recorder, &record);
    assert_true(code >= 0);
    assert_int_equal(code == 1 ? sl_recorder_flush(recorder) : 0, 0);
}

static void assert_record(const sl_capture_line *line, uint64_t number)
{
    char text[4096];
    sl_capture_line expected = record_of(number, text);
    assert_true(line->receive_time_ns == expected.receive_time_ns);
    assert_int_equal(line->kind, expected.kind);
    assert_int_equal(line->venue, expected.venue);
    assert_int_equal(line->connection, expected.connection);
    assert_int_equal(line->status, expected.status);
    assert_int_equal(line->url_bytes, expected.url_bytes);
    assert_memory_equal(line->url, expected.url_bytes > 0 ? expected.url : "", expected.url_bytes);
    assert_int_equal(line->size_bytes, expected.size_bytes);
    assert_memory_equal(line->text, expected.text, expected.size_bytes);
    unsigned sum = 0;
    for (size_t at = 0; at < SL_JSON_PADDING; at++) { /* readable */
        sum += (unsigned char)line->text[line->size_bytes + at];
    }
    assert_true(sum <= 255 * SL_JSON_PADDING);
}

/* Reads the file: how many records, all as they must be from `first` on. */
static uint64_t read_all(const struct file *file, uint64_t first, uint64_t *ret_damaged)
{
    sl_auto(sl_capture) *capture = NULL;
    sl_capture_line line;
    uint64_t count = 0;
    int code = 0;
    assert_int_equal(sl_capture_open(file->path, 0, &capture), 0);
    while ((code = sl_capture_next(capture, &line)) > 0) {
        assert_record(&line, first + count);
        assert_int_equal(line.number, count + 1);
        count++;
    }
    assert_int_equal(code, 0);
    *ret_damaged = sl_capture_damaged(capture);
    return count;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct file file = new_file();
    uint64_t damaged = 0;
    uint64_t number = 1;
    for (int opened = 0; opened < 3; opened++) { /* gone on with twice */
        sl_recorder *recorder = open_recorder(&file, opened == 0 ? 0 : 5000);
        assert_int_equal(sl_recorder_get_stats(recorder)->removed_bytes, 0);
        for (int at = 0; at < 500; at++) {
            add(recorder, number++);
        }
        assert_int_equal(sl_recorder_flush(recorder), 0);
        assert_int_equal(sl_recorder_flush(recorder), 0); /* nothing more */
        assert_int_equal(sl_recorder_pending(recorder), 0);
        assert_int_equal(sl_recorder_get_stats(recorder)->records, 500);
        assert_true(sl_recorder_get_stats(recorder)->file_bytes < sl_recorder_get_stats(recorder)->plain_bytes / 2);
        sl_recorder_close(recorder);
    }
    assert_int_equal(read_all(&file, 1, &damaged), 1500);
    assert_int_equal(damaged, 0);
    (void)unlink(file.path);
}

static size_t read_file(const struct file *file, char *bytes, size_t capacity)
{
    FILE *in = fopen(file->path, "rb");
    assert_non_null(in);
    size_t size_bytes = fread(bytes, 1, capacity, in);
    assert_true(size_bytes < capacity);
    assert_int_equal(fclose(in), 0);
    return size_bytes;
}

static void write_file(const struct file *file, const char *bytes, size_t size_bytes)
{
    FILE *out = fopen(file->path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, size_bytes, out), size_bytes);
    assert_int_equal(fclose(out), 0);
}

/* Cut off at any byte: all blocks before it are there, and what is written next follows them. */
static void a_kill_costs_only_what_was_not_flushed(void **state)
{
    (void)state;
    enum { CAPACITY = 200000, BLOCKS = 4, EACH = 5 };
    struct file file = new_file();
    char *bytes = test_malloc(CAPACITY);
    size_t ends[BLOCKS + 1] = {0};
    sl_recorder *recorder = open_recorder(&file, 0);
    for (uint64_t number = 1; number <= (uint64_t)BLOCKS * EACH; number++) {
        add(recorder, number);
        if (number % EACH == 0) {
            assert_int_equal(sl_recorder_flush(recorder), 0);
            ends[number / EACH] = sl_recorder_get_stats(recorder)->file_bytes;
        }
    }
    sl_recorder_close(recorder);
    size_t size_bytes = read_file(&file, bytes, CAPACITY);
    assert_int_equal(size_bytes, ends[BLOCKS]);
    for (size_t cut = 4; cut <= size_bytes; cut += cut % 7 == 0 ? 13 : 1) {
        size_t whole = BLOCKS;
        uint64_t damaged = 0;
        while (ends[whole] > cut) {
            whole--;
        }
        write_file(&file, bytes, cut);
        assert_int_equal(read_all(&file, 1, &damaged), whole * EACH);
        assert_int_equal(damaged, cut - ends[whole]);
        recorder = open_recorder(&file, 0);
        assert_int_equal(sl_recorder_get_stats(recorder)->removed_bytes, cut - ends[whole]);
        add(recorder, whole * EACH + 1);
        assert_int_equal(sl_recorder_flush(recorder), 0);
        sl_recorder_close(recorder);
        assert_int_equal(read_all(&file, 1, &damaged), whole * EACH + 1);
        assert_int_equal(damaged, 0);
    }
    test_free(bytes);
    (void)unlink(file.path);
}

/* Any byte changed: its block is lost and counted, the others are there. */
static void damage_costs_its_block(void **state)
{
    (void)state;
    enum { CAPACITY = 100000 };
    struct file file = new_file();
    char *bytes = test_malloc(CAPACITY);
    sl_recorder *recorder = open_recorder(&file, 0);
    size_t ends[4] = {0};
    for (uint64_t number = 1; number <= 3; number++) {
        add(recorder, number);
        assert_int_equal(sl_recorder_flush(recorder), 0);
        ends[number] = sl_recorder_get_stats(recorder)->file_bytes;
    }
    sl_recorder_close(recorder);
    size_t size_bytes = read_file(&file, bytes, CAPACITY);
    for (size_t at = 0; at < size_bytes; at++) {
        size_t block = at < ends[1] ? 1 : at < ends[2] ? 2 : 3;
        bytes[at] ^= 0x10;
        write_file(&file, bytes, size_bytes);
        sl_auto(sl_capture) *capture = NULL;
        sl_capture_line line;
        assert_int_equal(sl_capture_open(file.path, 0, &capture), 0);
        if (at >= 4) { /* else it is not known as a recording any more */
            for (uint64_t number = 1; number <= 3; number++) {
                if (number != block) {
                    assert_int_equal(sl_capture_next(capture, &line), 1);
                    assert_record(&line, number);
                }
            }
            assert_int_equal(sl_capture_next(capture, &line), 0);
            assert_int_equal(sl_capture_damaged(capture), ends[block] - ends[block - 1]);
        } else {
            assert_int_equal(sl_capture_next(capture, &line), SL_EPROTO);
        }
        bytes[at] ^= 0x10;
    }
    test_free(bytes);
    (void)unlink(file.path);
}

/* Whatever lies between two blocks, and however long it is, the next one is found. */
static void the_next_block_is_found(void **state)
{
    (void)state;
    enum { CAPACITY = 20000 };
    struct file file = new_file();
    char *bytes = test_malloc(CAPACITY);
    char *torn = test_malloc(CAPACITY);
    sl_recorder *recorder = open_recorder(&file, 0);
    add(recorder, 1);
    assert_int_equal(sl_recorder_flush(recorder), 0);
    size_t first = sl_recorder_get_stats(recorder)->file_bytes;
    add(recorder, 2);
    assert_int_equal(sl_recorder_flush(recorder), 0);
    sl_recorder_close(recorder);
    size_t size_bytes = read_file(&file, bytes, CAPACITY);
    for (size_t gap = 1; gap<4200; gap += gap> 2030 && gap < 2060 ? 1 : 97) {
        uint64_t damaged = 0;
        memcpy(torn, bytes, first);
        memset(torn + first, 'S', gap);
        memcpy(torn + first + gap, bytes + first, size_bytes - first);
        write_file(&file, torn, size_bytes + gap);
        assert_int_equal(read_all(&file, 1, &damaged), 2);
        assert_int_equal(damaged, gap);
    }
    test_free(bytes);
    test_free(torn);
    (void)unlink(file.path);
}

static void a_full_disk_is_told_and_survived(void **state)
{
    (void)state;
    struct file file = new_file();
    struct rlimit found;
    uint64_t damaged = 0;
    uint64_t number = 1;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &found), 0);
    struct rlimit small = {5000, found.rlim_max};
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    sl_recorder *recorder = open_recorder(&file, 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int code = 0;
    while (code == 0) {
        char text[4096];
        sl_capture_line record = record_of(number++, text);
        assert_int_equal(sl_recorder_add(recorder, &record), 0);
        code = sl_recorder_flush(recorder);
        assert_true(number < 1000);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &found), 0);
    assert_int_equal(code, -EFBIG);
    assert_int_equal(read_all(&file, 1, &damaged), number - 2);
    assert_int_equal(damaged, 0);
    assert_int_equal(sl_recorder_flush(recorder), 0); /* there is room again */
    sl_recorder_close(recorder);
    assert_int_equal(read_all(&file, 1, &damaged), number - 1);
    (void)unlink(file.path);
}

static void limits_and_strangers(void **state)
{
    (void)state;
    struct file file = new_file();
    sl_recorder *recorder = NULL;
    static const sl_recorder_options wrong[] = {{.path = NULL},
                                                {.path = "/tmp/x", .level = 20},
                                                {.path = "/tmp/x", .level = -1},
                                                {.path = "/tmp/x", .block_bytes = SL_RECORDER_BLOCK_MAX_BYTES + 1}};
    for (size_t at = 0; at < sizeof(wrong) / sizeof(wrong[0]); at++) {
        assert_int_equal(sl_recorder_open(&wrong[at], &recorder), SL_EINVAL);
    }
    assert_int_equal(sl_recorder_open(&(sl_recorder_options){.path = "/nonexistent/x"}, &recorder), SL_ENOENT);
    write_file(&file, "1 {}\n", 5);
    assert_int_equal(sl_recorder_open(&(sl_recorder_options){.path = file.path}, &recorder), SL_EEXIST);
    char bytes[16];
    assert_int_equal(read_file(&file, bytes, sizeof(bytes)), 5); /* untouched */
    write_file(&file, "", 0);
    recorder = open_recorder(&file, 0);
    sl_capture_line record = {.text = "", .kind = SL_CAPTURE_KIND_COUNT};
    assert_int_equal(sl_recorder_add(recorder, &record), SL_EINVAL);
    record = (sl_capture_line){.text = "", .venue = SL_VENUE_COUNT};
    assert_int_equal(sl_recorder_add(recorder, &record), SL_EINVAL);
    record = (sl_capture_line){.text = "", .url = "", .url_bytes = 65536};
    assert_int_equal(sl_recorder_add(recorder, &record), SL_EINVAL);
    record = (sl_capture_line){.text = "", .size_bytes = SL_RECORDER_BLOCK_MAX_BYTES};
    assert_int_equal(sl_recorder_add(recorder, &record), SL_EMSGSIZE);
    sl_recorder_close(recorder);
    sl_recorder_close(NULL);
    (void)unlink(file.path);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    struct file file = new_file();
    int64_t held = sl_memory_held();
    bool done = false;
    for (int64_t n = 0; !done; n++) {
        sl_recorder *recorder = NULL;
        sl_capture *capture = NULL;
        sl_capture_line line;
        char text[4096];
        sl_capture_line record = record_of(3, text);
        sl_memory_fail_after(n);
        int code = sl_recorder_open(&(sl_recorder_options){.path = file.path}, &recorder);
        code = code < 0 ? code : sl_recorder_add(recorder, &record);
        code = code < 0 ? code : sl_recorder_flush(recorder);
        code = code < 0 ? code : sl_capture_open(file.path, 0, &capture);
        code = code < 0 ? code : sl_capture_next(capture, &line);
        sl_memory_fail_after(-1);
        done = code == 1;
        assert_true(done || code == SL_ENOMEM);
        sl_recorder_close(recorder);
        sl_capture_close(capture);
        assert_int_equal(sl_memory_held(), held);
        assert_true(n < 100);
    }
    (void)unlink(file.path);
}

SL_TEST_MAIN(cmocka_unit_test(what_is_written_is_read), cmocka_unit_test(a_kill_costs_only_what_was_not_flushed),
             cmocka_unit_test(damage_costs_its_block), cmocka_unit_test(the_next_block_is_found),
             cmocka_unit_test(a_full_disk_is_told_and_survived), cmocka_unit_test(limits_and_strangers),
             cmocka_unit_test(survives_every_failed_allocation))
