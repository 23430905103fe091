/* SPDX-License-Identifier: MIT */
/* The spool: order, restarts, limits, and every kind of damage. */
#include "sl_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk_sync.h"
#include "sample_events.h"
#include "scratch_folder.h"
#include "sinks/spool.h"

/* Records of these tests: a record's head with the number in its stamp, and then a text that depends on it. */
static size_t make_record(uint64_t number, uint8_t *record)
{
    size_t size = SL_RECORD_MIN_BYTES + (size_t)(number * 37 % 200);
    memset(record, (int)(number & 0xff), size);
    sl_record_set_stamp(record, (sl_stamp){1, number});
    return size;
}

static void add(struct sl__slots *slots, uint64_t number)
{
    uint8_t record[512];
    size_t size = make_record(number, record);
    if (slots->size_bytes + size + SL__SLOT_HEAD_BYTES > slots->capacity_bytes) {
        assert_int_equal(sl__slots_reserve(slots, slots->size_bytes * 2 + 1024), 0);
    }
    sl__slots_add(slots, record, size);
}

static sl_spool *open_spool(const struct scratch_folder *folder, uint64_t segment_bytes)
{
    sl_spool *spool = NULL;
    sl_spool_options options = {.folder = folder->path, .segment_bytes = segment_bytes};
    assert_int_equal(sl_spool_open(&options, &spool), 0);
    return spool;
}

/* Appends records `from` to `to` - 1 in batches of seven. */
static void append(sl_spool *spool, uint64_t from, uint64_t to)
{
    struct sl__slots slots = {0};
    while (from < to) {
        slots.size_bytes = 0;
        slots.count = 0;
        for (int count = 0; count < 7 && from < to; count++) {
            add(&slots, from++);
        }
        assert_int_equal(sl_spool_append(spool, &slots), 0);
    }
    sl__slots_free(&slots);
}

/* Checks a record against its number, which it returns. */
static uint64_t check_record(const uint8_t *record, size_t size)
{
    uint8_t expected[512];
    uint64_t number = sl__slot_stamp(record, size).number;
    assert_int_equal(make_record(number, expected), size);
    assert_memory_equal(record, expected, size);
    return number;
}

/* The number of a batch's first record. */
static uint64_t first_of(const struct sl__slots *slots)
{
    size_t at = 0;
    size_t size = 0;
    const uint8_t *record = sl__slots_next(slots, &at, &size);
    assert_non_null(record);
    return check_record(record, size);
}

/* Takes up to `count` batches; returns the number behind the last record. Records must follow each other, with holes
 * only where `holes` says so (it counts them). */
static uint64_t take(sl_spool *spool, uint64_t next, size_t count, uint64_t *holes)
{
    struct sl__slots slots = {0};
    assert_int_equal(sl__slots_reserve(&slots, 1000), 0);
    for (; count > 0; count--) {
        int code = sl_spool_read(spool, &slots);
        assert_true(code == 0 || code == 1);
        if (code == 0) {
            break;
        }
        size_t at = 0;
        size_t size = 0;
        for (const uint8_t *record = NULL; (record = sl__slots_next(&slots, &at, &size)) != NULL;) {
            uint64_t number = check_record(record, size);
            assert_true(number >= next);
            if (number > next) {
                assert_non_null(holes);
                *holes += number - next;
            }
            next = number + 1;
        }
        assert_int_equal(sl_spool_advance(spool), 0);
    }
    sl__slots_free(&slots);
    return next;
}

static void order_over_many_turns(void **state)
{
    (void)state;
    struct scratch_folder folder = scratch_folder_make();
    sl_auto(sl_spool) *spool = open_spool(&folder, 2000);
    uint64_t written = 0;
    uint64_t next = 0;
    for (int turn = 0; turn < 300; turn++) {
        append(spool, written, written + (uint64_t)(turn * 7 % 40));
        written += (uint64_t)(turn * 7 % 40);
        next = take(spool, next, (size_t)(turn % 9), NULL);
    }
    next = take(spool, next, SIZE_MAX, NULL);
    assert_int_equal(next, written);
    assert_true(sl_spool_empty(spool));
    assert_int_equal(sl_spool_get_stats(spool)->segments, 0);
    assert_int_equal(sl_spool_get_stats(spool)->bytes, 0);
    assert_int_equal(sl_spool_get_stats(spool)->taken, written);
    scratch_folder_remove(&folder);
}

static void another_life_goes_on(void **state)
{
    (void)state;
    struct scratch_folder folder = scratch_folder_make();
    uint64_t next = 0;
    for (uint64_t life = 0; life < 40; life++) {
        sl_auto(sl_spool) *spool = open_spool(&folder, 2000);
        uint64_t bytes = sl_spool_get_stats(spool)->bytes;
        assert_int_equal(bytes == 0, sl_spool_empty(spool));
        append(spool, life * 30, life * 30 + 30);
        next = take(spool, next, life % 4, NULL);
    }
    sl_auto(sl_spool) *spool = open_spool(&folder, 2000);
    assert_int_equal(take(spool, next, SIZE_MAX, NULL), 1200);
    scratch_folder_remove(&folder);
}

static void what_was_read_comes_again_until_it_is_done_with(void **state)
{
    (void)state;
    struct scratch_folder folder = scratch_folder_make();
    sl_auto(sl_spool) *spool = open_spool(&folder, 0);
    append(spool, 0, 10);
    struct sl__slots slots = {0};
    assert_int_equal(sl_spool_read(spool, &slots), 1); /* grows to one record: it has no room yet */
    assert_int_equal(slots.count, 1);
    assert_int_equal(sl_spool_read(spool, &slots), 1);
    assert_int_equal(first_of(&slots), 0);
    sl__slots_free(&slots);
    assert_int_equal(take(spool, 0, SIZE_MAX, NULL), 10);
    scratch_folder_remove(&folder);
}

static void one_process_at_a_time(void **state)
{
    (void)state;
    struct scratch_folder folder = scratch_folder_make();
    sl_spool *spool = open_spool(&folder, 0);
    sl_spool *other = NULL;
    sl_spool_options options = {.folder = folder.path};
    assert_int_equal(sl_spool_open(&options, &other), SL_EBUSY);
    options.folder = "";
    assert_int_equal(sl_spool_open(&options, &other), SL_EINVAL);
    options.folder = "/proc/nowhere/spool";
    assert_int_equal(sl_spool_open(&options, &other), SL_ENOENT);
    sl_spool_close(spool);
    scratch_folder_remove(&folder);
}

static void it_is_bounded(void **state)
{
    (void)state;
    struct scratch_folder folder = scratch_folder_make();
    sl_auto(sl_spool) *spool = NULL;
    sl_spool_options options = {.folder = folder.path, .max_bytes = 5000, .segment_bytes = 1000};
    assert_int_equal(sl_spool_open(&options, &spool), 0);
    struct sl__slots slots = {0};
    for (uint64_t number = 0; number < 7; number++) {
        add(&slots, number);
    }
    int appended = 0;
    while (sl_spool_append(spool, &slots) == 0) {
        appended++;
    }
    assert_int_equal(sl_spool_append(spool, &slots), SL_EMSGSIZE);
    assert_in_range(appended, 2, 5);
    assert_true(sl_spool_get_stats(spool)->bytes <= 5000);
    sl__slots_free(&slots);
    scratch_folder_remove(&folder);
}

/* ---- a disk that is full ---- */

static void a_full_disk_leaves_nothing_half_written(void **state)
{
    (void)state;
    struct scratch_folder folder = scratch_folder_make();
    (void)signal(SIGXFSZ, SIG_IGN);
    sl_auto(sl_spool) *spool = open_spool(&folder, 0);
    append(spool, 0, 70);
    uint64_t bytes = sl_spool_get_stats(spool)->bytes;
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit limit = {bytes + 16 + 100, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct sl__slots slots = {0};
    for (uint64_t number = 70; number < 77; number++) {
        add(&slots, number);
    }
    assert_int_equal(sl_spool_append(spool, &slots), -EFBIG);
    assert_int_equal(sl_spool_append(spool, &slots), -EFBIG);
    assert_int_equal(sl_spool_get_stats(spool)->bytes, bytes);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(sl_spool_append(spool, &slots), 0);
    sl__slots_free(&slots);
    assert_int_equal(take(spool, 0, SIZE_MAX, NULL), 77);
    scratch_folder_remove(&folder);
}

/* What an earlier life left and what this one has put behind it come apart: sinks know repeats by the run. */
static void a_batch_is_of_one_run(void **state)
{
    (void)state;
    struct scratch_folder folder = scratch_folder_make();
    sl_auto(sl_spool) *spool = open_spool(&folder, 0);
    struct sl__slots slots = {0};
    uint8_t record[4096];
    for (uint64_t run = 7; run < 9; run++) {
        slots.size_bytes = 0;
        slots.count = 0;
        for (uint64_t number = 1; number <= 5; number++) {
            size_t size = make_record(number, record);
            sl_record_set_stamp(record, (sl_stamp){run, number});
            assert_int_equal(sl__slots_reserve(&slots, slots.size_bytes + size + SL__SLOT_HEAD_BYTES), 0);
            sl__slots_add(&slots, record, size);
        }
        assert_int_equal(sl_spool_append(spool, &slots), 0);
    }
    assert_int_equal(sl__slots_reserve(&slots, 65536), 0);
    for (uint64_t run = 7; run < 9; run++) {
        size_t at = 0;
        size_t size = 0;
        assert_int_equal(sl_spool_read(spool, &slots), 1);
        assert_int_equal(slots.count, 5);
        for (const uint8_t *one = NULL; (one = sl__slots_next(&slots, &at, &size)) != NULL;) {
            assert_int_equal(sl__slot_stamp(one, size).run, run);
        }
        assert_int_equal(sl_spool_advance(spool), 0);
    }
    assert_true(sl_spool_empty(spool));
    sl__slots_free(&slots);
    scratch_folder_remove(&folder);
}

static void it_is_on_the_disk_if_that_is_asked_for(void **state)
{
    (void)state;
    for (int sync = 0; sync < 2; sync++) {
        struct scratch_folder folder = scratch_folder_make();
        sl_spool *spool = NULL;
        sl_spool_options options = {.folder = folder.path, .sync = sync == 1};
        assert_int_equal(sl_spool_open(&options, &spool), 0);
        int before = disk_syncs;
        append(spool, 0, 14);
        assert_int_equal(disk_syncs - before, 2 * sync);
        struct sl__slots slots = {0};
        add(&slots, 14);
        disk_sync_errno = EIO;
        assert_int_equal(sl_spool_append(spool, &slots), sync == 1 ? -EIO : 0);
        disk_sync_errno = 0;
        assert_int_equal(take(spool, 0, SIZE_MAX, NULL), sync == 1 ? 14 : 15);
        sl__slots_free(&slots);
        sl_spool_close(spool);
        scratch_folder_remove(&folder);
    }
}

/* ---- damage ---- */

struct image {
    uint8_t data[16384];
    size_t size;
    char path[SCRATCH_PATH_MAX + 64];
};

static void load(const struct scratch_folder *folder, const char *name, struct image *image)
{
    (void)snprintf(image->path, sizeof(image->path), "%s/%s", folder->path, name);
    int file = open(image->path, O_RDONLY);
    assert_true(file >= 0);
    ssize_t size = read(file, image->data, sizeof(image->data));
    assert_in_range(size, 1, sizeof(image->data) - 1);
    image->size = (size_t)size;
    (void)close(file);
}

static void store(const struct image *image, size_t size)
{
    int file = open(image->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, image->data, size), (ssize_t)size);
    (void)close(file);
}

/* A torn end costs the torn record alone, wherever it was torn, and the spool goes on behind it. */
static void every_torn_end(void **state)
{
    (void)state;
    struct scratch_folder folder = scratch_folder_make();
    sl_spool *spool = open_spool(&folder, 0);
    append(spool, 0, 20);
    sl_spool_close(spool);
    static struct image image;
    load(&folder, "0000000000000001.spool", &image);
    for (size_t size = 0; size <= image.size; size++) {
        store(&image, size);
        spool = open_spool(&folder, 0);
        append(spool, 100, 103);
        uint64_t holes = 0;
        assert_int_equal(take(spool, 0, SIZE_MAX, &holes), 103);
        assert_true(holes >= 80 && holes <= 100);
        assert_int_equal(sl_spool_get_stats(spool)->damaged, 0);
        sl_spool_close(spool);
        scratch_remove(folder.path);
        assert_int_equal(mkdir(folder.path, 0700), 0);
    }
    scratch_folder_remove(&folder);
}

/* A byte that flips costs one record (or, at the end, none behind it), is counted, and nothing wrong comes out. */
static void every_byte_flipped(void **state)
{
    (void)state;
    struct scratch_folder folder = scratch_folder_make();
    sl_spool *spool = open_spool(&folder, 3000); /* two segments: the first is not the last */
    append(spool, 0, 30);
    sl_spool_close(spool);
    static struct image images[2];
    load(&folder, "0000000000000001.spool", &images[0]);
    load(&folder, "0000000000000002.spool", &images[1]);
    for (size_t which = 0; which < 2; which++) {
        for (size_t at = 0; at < images[which].size; at++) {
            scratch_remove(folder.path);
            assert_int_equal(mkdir(folder.path, 0700), 0);
            images[which].data[at] ^= (uint8_t)(1 + at % 255);
            store(&images[0], images[0].size);
            store(&images[1], images[1].size);
            images[which].data[at] ^= (uint8_t)(1 + at % 255);
            spool = open_spool(&folder, 3000);
            uint64_t holes = 0;
            uint64_t next = take(spool, 0, SIZE_MAX, &holes);
            holes += 30 - next;
            assert_int_equal(holes, at < 16 ? 0 : 1); /* the head of a segment is not needed to read it */
            const sl_spool_stats *stats = sl_spool_get_stats(spool);
            assert_true(at < 16 || stats->damaged + (stats->torn_bytes > 0 ? 1 : 0) >= 1);
            assert_int_equal(stats->bytes, 0);
            sl_spool_close(spool);
        }
    }
    scratch_folder_remove(&folder);
}

/* What the cursor says is worth nothing when it is damaged: everything comes again, nothing is left out. */
static void every_damage_to_the_cursor(void **state)
{
    (void)state;
    struct scratch_folder folder = scratch_folder_make();
    sl_spool *spool = open_spool(&folder, 0);
    append(spool, 0, 30);
    uint64_t taken = take(spool, 0, 2, NULL);
    assert_in_range(taken, 2, 29);
    sl_spool_close(spool);
    static struct image cursor;
    load(&folder, "cursor", &cursor);
    for (size_t at = 0; at < cursor.size; at++) {
        cursor.data[at] ^= 0x55;
        store(&cursor, cursor.size);
        cursor.data[at] ^= 0x55;
        spool = open_spool(&folder, 0);
        assert_int_equal(sl_spool_get_stats(spool)->damaged, 0);
        struct sl__slots slots = {0};
        assert_int_equal(sl__slots_reserve(&slots, 4096), 0);
        assert_int_equal(sl_spool_read(spool, &slots), 1);
        assert_int_equal(first_of(&slots), 0);
        sl__slots_free(&slots);
        sl_spool_close(spool);
    }
    store(&cursor, cursor.size);
    spool = open_spool(&folder, 0);
    assert_int_equal(take(spool, taken, SIZE_MAX, NULL), 30);
    sl_spool_close(spool);
    scratch_folder_remove(&folder);
}

static void segments_that_vanish_are_passed_over(void **state)
{
    (void)state;
    struct scratch_folder folder = scratch_folder_make();
    sl_spool *spool = open_spool(&folder, 1500);
    append(spool, 0, 60);
    char path[SCRATCH_PATH_MAX + 64];
    (void)snprintf(path, sizeof(path), "%s/0000000000000002.spool", folder.path);
    assert_int_equal(unlink(path), 0);
    uint64_t holes = 0;
    assert_int_equal(take(spool, 0, SIZE_MAX, &holes), 60);
    assert_in_range(holes, 1, 30);
    sl_spool_close(spool);
    scratch_folder_remove(&folder);
}

/* Large records, larger than the reader's buffer and than what is searched at a time. */
static void a_large_record(void **state)
{
    (void)state;
    struct scratch_folder folder = scratch_folder_make();
    sl_spool *spool = open_spool(&folder, 0);
    struct sl__slots slots = {0};
    uint8_t *record = sl_calloc(1, SL_RECORD_MAX_BYTES);
    assert_non_null(record);
    assert_int_equal(sl__slots_reserve(&slots, SL_RECORD_MAX_BYTES + 64), 0);
    sl_record_set_stamp(record, (sl_stamp){1, 5});
    sl__slots_add(&slots, record, SL_RECORD_MAX_BYTES);
    for (int count = 0; count < 3; count++) {
        assert_int_equal(sl_spool_append(spool, &slots), 0);
    }
    sl_spool_close(spool);
    char path[SCRATCH_PATH_MAX + 64];
    (void)snprintf(path, sizeof(path), "%s/0000000000000001.spool", folder.path);
    int file = open(path, O_WRONLY); /* damage in the middle of the second */
    assert_true(file >= 0);
    assert_int_equal(pwrite(file, "x", 1, (off_t)(SL_RECORD_MAX_BYTES + SL_RECORD_MAX_BYTES / 2)), 1);
    (void)close(file);
    spool = open_spool(&folder, 0);
    sl__slots_free(&slots);
    for (int count = 0; count < 2; count++) {
        assert_int_equal(sl_spool_read(spool, &slots), 1);
        assert_int_equal(slots.count, 1);
        assert_int_equal(slots.size_bytes, SL_RECORD_MAX_BYTES + SL__SLOT_HEAD_BYTES);
        assert_int_equal(sl_spool_advance(spool), 0);
    }
    assert_int_equal(sl_spool_read(spool, &slots), 0);
    assert_true(sl_spool_get_stats(spool)->damaged >= 1);
    sl_spool_close(spool);
    sl__slots_free(&slots);
    sl_free(record);
    scratch_folder_remove(&folder);
}

static void memory_may_be_short(void **state)
{
    (void)state;
    struct scratch_folder folder = scratch_folder_make();
    sl_spool *spool = open_spool(&folder, 0);
    append(spool, 0, 30);
    sl_spool_close(spool);
    int64_t held = sl_memory_held();
    for (int64_t n = 0;; n++) {
        struct sl__slots slots = {0};
        spool = NULL;
        sl_spool_options options = {.folder = folder.path};
        sl_memory_fail_after(n);
        int code = sl_spool_open(&options, &spool);
        code = code < 0 ? code : sl_spool_read(spool, &slots);
        bool failed = sl_memory_failed() != 0;
        sl_memory_fail_after(-1);
        assert_int_equal(code, failed ? SL_ENOMEM : 1);
        sl__slots_free(&slots);
        sl_spool_close(spool);
        assert_int_equal(sl_memory_held(), held);
        if (!failed) {
            break;
        }
    }
    scratch_folder_remove(&folder);
}

SL_TEST_MAIN(cmocka_unit_test(order_over_many_turns), cmocka_unit_test(another_life_goes_on),
             cmocka_unit_test(what_was_read_comes_again_until_it_is_done_with), cmocka_unit_test(one_process_at_a_time),
             cmocka_unit_test(it_is_bounded), cmocka_unit_test(a_full_disk_leaves_nothing_half_written),
             cmocka_unit_test(it_is_on_the_disk_if_that_is_asked_for), cmocka_unit_test(a_batch_is_of_one_run),
             cmocka_unit_test(every_torn_end), cmocka_unit_test(every_byte_flipped),
             cmocka_unit_test(every_damage_to_the_cursor), cmocka_unit_test(segments_that_vanish_are_passed_over),
             cmocka_unit_test(a_large_record), cmocka_unit_test(memory_may_be_short))
