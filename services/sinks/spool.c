/* SPDX-License-Identifier: MIT */
/* The spool: see spool.h. A segment is a head of 16 bytes (magic, number) and slots. */
#include "spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#define HEAD_BYTES 16
#define HEAD_MAGIC UINT64_C(0x314c4f4f50534c53) /* "SLSPOOL1" */
#define CURSOR_MAGIC UINT64_C(0x3152535255434c53)

/* Searching for the next whole slot behind a damaged place reads at most so much at a time. */
#define SEARCH_BYTES (SL_RECORD_MAX_BYTES + ((size_t)1 << 20))

/* A segment's number is its name; they follow each other, from `first` to `last`. */
struct sl_spool {
    sl_spool_options options;
    char folder[SL_SPOOL_PATH_MAX];
    int lock, cursor;
    int writer;           /* the last segment, or -1 */
    uint64_t write_end;   /* its size */
    int reader;           /* the segment of read_number, or -1 */
    uint64_t first, last; /* there are segments when first <= last */
    uint64_t read_number, read_at;
    uint64_t next_number; /* of the next segment */
    uint64_t next_at;     /* where the reader stands after sl_spool_advance() */
    size_t read_count;
    sl_spool_stats stats;
};

/* What the cursor's file holds. */
struct cursor {
    uint64_t magic, number, at, check;
};

static uint64_t cursor_check(const struct cursor *cursor)
{
    return crc32(0, (const Bytef *)cursor, offsetof(struct cursor, check));
}

static void path_of(const sl_spool *spool, uint64_t number, char path[SL_SPOOL_PATH_MAX + 32])
{
    (void)snprintf(path, SL_SPOOL_PATH_MAX + 32, "%s/%016" PRIx64 ".spool", spool->folder, number);
}

static int fail(const sl_spool *spool, const char *what)
{
    int code = -errno;
    return sl_fail(code, "spool '%s': cannot %s: %s", spool->folder, what, strerror(-code));
}

static int write_all(int file, const void *data, size_t size_bytes, uint64_t offset)
{
    for (size_t done = 0; done < size_bytes;) {
        ssize_t count = pwrite(file, (const char *)data + done, size_bytes - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return count == 0 ? -ENOSPC : -errno;
        }
        done += (size_t)count;
    }
    return 0;
}

/* Reads up to `size_bytes`; less only at the end of the file. */
static ssize_t read_some(int file, void *data, size_t size_bytes, uint64_t offset)
{
    size_t done = 0;
    while (done < size_bytes) {
        ssize_t count = pread(file, (char *)data + done, size_bytes - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return -errno;
        }
        if (count == 0) {
            break;
        }
        done += (size_t)count;
    }
    return (ssize_t)done;
}

/* ---- opening ---- */

/* The number of a segment's name, or false. */
static bool number_of(const char *name, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (size_t at = 0; at < 16; at++) {
        const char *digits = "0123456789abcdef";
        const char *digit = name[at] == '\0' ? NULL : strchr(digits, name[at]);
        if (digit == NULL) {
            return false;
        }
        number = number << 4 | (uint64_t)(digit - digits);
    }
    *ret_number = number;
    return strcmp(name + 16, ".spool") == 0;
}

/* Finds the segments that are there. Holes between them are passed over when they are read. */
static int list(sl_spool *spool)
{
    DIR *folder = opendir(spool->folder);
    if (folder == NULL) {
        return fail(spool, "list the folder");
    }
    uint64_t first = UINT64_MAX;
    uint64_t last = 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        uint64_t number = 0;
        char path[SL_SPOOL_PATH_MAX + 32];
        struct stat status;
        if (number_of(entry->d_name, &number) && number != 0 && number != UINT64_MAX) {
            first = number < first ? number : first;
            last = number > last ? number : last;
            path_of(spool, number, path);
            if (stat(path, &status) == 0 && status.st_size > HEAD_BYTES) {
                spool->stats.bytes += (uint64_t)status.st_size - HEAD_BYTES;
            }
            spool->stats.segments++;
        }
    }
    (void)closedir(folder);
    if (first <= last && last - first < SL_SPOOL_SEGMENTS_MAX) {
        spool->first = first;
        spool->last = last;
    } else if (first <= last) {
        return sl_fail(SL_EMSGSIZE, "spool '%s': its segments' numbers are too far apart", spool->folder);
    }
    return 0;
}

/* Behind the last whole slot of a segment. */
static int find_end(int file, uint64_t size, uint64_t *ret_end)
{
    uint64_t end = HEAD_BYTES;
    size_t capacity = size - HEAD_BYTES < SEARCH_BYTES ? (size_t)(size - HEAD_BYTES) : SEARCH_BYTES;
    uint8_t *data = sl_malloc(capacity);
    if (data == NULL) {
        return SL_ENOMEM;
    }
    int code = 0;
    for (uint64_t from = HEAD_BYTES; from < size;) {
        ssize_t count = read_some(file, data, capacity, from);
        if (count <= 0) {
            code = (int)count;
            break;
        }
        size_t at = 0;
        size_t slot = 0;
        size_t slot_end = 0;
        while (sl__slots_find(data, (size_t)count, at, true, &slot, &slot_end)) {
            at = slot_end;
            end = from + slot_end;
        }
        /* A slot may begin near the end of what was read: look again from behind the last one, but always go on. */
        uint64_t next = from + at;
        if (at == 0) {
            next = (size_t)count < capacity ? size : from + (size_t)count - SL_RECORD_MAX_BYTES;
        }
        from = next > from ? next : size;
    }
    sl_free(data);
    *ret_end = end;
    return code;
}

/* Cuts what a process that died left half-written at the end of the last segment, and goes on writing behind it. */
static int open_last(sl_spool *spool)
{
    char path[SL_SPOOL_PATH_MAX + 32];
    path_of(spool, spool->last, path);
    int file = open(path, O_RDWR | O_CLOEXEC);
    struct stat status;
    if (file < 0 || fstat(file, &status) < 0) {
        int code = fail(spool, "open the last segment");
        (void)(file >= 0 && close(file));
        return code;
    }
    uint64_t size = (uint64_t)status.st_size;
    uint64_t end = HEAD_BYTES;
    int code = size <= HEAD_BYTES ? 0 : find_end(file, size, &end);
    if (code == 0 && size > end) {
        spool->stats.torn_bytes += size - end;
        spool->stats.bytes -= size > HEAD_BYTES ? size - end : 0;
        code = ftruncate(file, (off_t)end) < 0 ? fail(spool, "cut the last segment") : 0;
    }
    if (code < 0 || size < HEAD_BYTES) { /* with half a head it is as good as full: the next record begins another */
        (void)close(file);
        return code;
    }
    spool->writer = file;
    spool->write_end = end;
    return 0;
}

/* Where reading goes on: at the cursor, or at the beginning. */
static int open_cursor(sl_spool *spool)
{
    char path[SL_SPOOL_PATH_MAX + 32];
    (void)snprintf(path, sizeof(path), "%s/cursor", spool->folder);
    spool->cursor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (spool->cursor < 0) {
        return fail(spool, "open the cursor");
    }
    struct cursor cursor = {0};
    ssize_t count = read_some(spool->cursor, &cursor, sizeof(cursor), 0);
    bool good =
        count == (ssize_t)sizeof(cursor) && cursor.magic == CURSOR_MAGIC && cursor.check == cursor_check(&cursor);
    spool->read_number = spool->first;
    spool->read_at = HEAD_BYTES;
    if (good && cursor.number >= spool->first && cursor.number <= spool->last && cursor.at >= HEAD_BYTES) {
        spool->read_number = cursor.number;
        spool->read_at = cursor.at;
    } else if (good && cursor.number >= spool->next_number) {
        spool->next_number = cursor.number + 1; /* never a number that the cursor is behind of */
    }
    return 0;
}

static void count_taken(sl_spool *spool);

static int set_up(sl_spool *spool)
{
    char path[SL_SPOOL_PATH_MAX + 32];
    if (mkdir(spool->folder, 0700) < 0 && errno != EEXIST) {
        return fail(spool, "make the folder");
    }
    (void)snprintf(path, sizeof(path), "%s/lock", spool->folder);
    spool->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (spool->lock < 0) {
        return fail(spool, "open the lock");
    }
    if (flock(spool->lock, LOCK_EX | LOCK_NB) < 0) {
        return sl_fail(SL_EBUSY, "spool '%s': another process has it", spool->folder);
    }
    SL_TRY(list(spool));
    if (spool->first <= spool->last) {
        SL_TRY(open_last(spool));
    }
    spool->next_number = spool->last + 1;
    SL_TRY(open_cursor(spool));
    count_taken(spool);
    return 0;
}

int sl_spool_open(const sl_spool_options *options, sl_spool **ret_spool)
{
    if (options->folder == NULL || options->folder[0] == '\0' || strlen(options->folder) >= SL_SPOOL_PATH_MAX) {
        return sl_fail(SL_EINVAL, "a spool needs a folder, of less than %d characters", SL_SPOOL_PATH_MAX);
    }
    sl_spool *spool = sl_calloc(1, sizeof(*spool));
    if (spool == NULL) {
        return SL_ENOMEM;
    }
    spool->options = *options;
    spool->options.max_bytes = options->max_bytes == 0 ? SL_SPOOL_MAX_DEFAULT_BYTES : options->max_bytes;
    spool->options.segment_bytes =
        options->segment_bytes == 0 ? SL_SPOOL_SEGMENT_DEFAULT_BYTES : options->segment_bytes;
    memcpy(spool->folder, options->folder, strlen(options->folder) + 1);
    spool->lock = spool->cursor = spool->writer = spool->reader = -1;
    spool->first = 1; /* none are there: from 1 to 0 */
    int code = set_up(spool);
    if (code < 0) {
        sl_spool_close(spool);
        return code;
    }
    *ret_spool = spool;
    return 0;
}

static void close_file(int *file)
{
    if (*file >= 0) {
        (void)close(*file);
    }
    *file = -1;
}

void sl_spool_close(sl_spool *spool)
{
    if (spool != NULL) {
        close_file(&spool->reader);
        close_file(&spool->writer);
        close_file(&spool->cursor);
        close_file(&spool->lock);
        sl_free(spool);
    }
}

/* ---- segments ---- */

static void remove_segment(sl_spool *spool, uint64_t number)
{
    char path[SL_SPOOL_PATH_MAX + 32];
    path_of(spool, number, path);
    if (unlink(path) == 0 && spool->stats.segments > 0) {
        spool->stats.segments--;
    }
}

/* Removes the segments before the reader's. */
static void remove_read(sl_spool *spool)
{
    while (spool->first <= spool->last && spool->first < spool->read_number) {
        remove_segment(spool, spool->first++);
    }
}

/* When the spool is opened: what lies before the cursor does not wait. */
static void count_taken(sl_spool *spool)
{
    char path[SL_SPOOL_PATH_MAX + 32];
    struct stat status;
    for (uint64_t number = spool->first; number <= spool->read_number && number <= spool->last; number++) {
        path_of(spool, number, path);
        uint64_t size = stat(path, &status) == 0 && status.st_size > HEAD_BYTES ? (uint64_t)status.st_size : HEAD_BYTES;
        uint64_t end = number < spool->read_number || spool->read_at > size ? size : spool->read_at;
        uint64_t taken = end - HEAD_BYTES;
        spool->stats.bytes -= taken < spool->stats.bytes ? taken : spool->stats.bytes;
    }
    remove_read(spool);
}

static int begin_segment(sl_spool *spool)
{
    char path[SL_SPOOL_PATH_MAX + 32];
    uint64_t head[2] = {HEAD_MAGIC, spool->next_number};
    path_of(spool, spool->next_number, path);
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) {
        return fail(spool, "begin a segment");
    }
    int code = write_all(file, head, sizeof(head), 0);
    if (code < 0) {
        (void)close(file);
        (void)unlink(path);
        return sl_fail(code, "spool '%s': cannot begin a segment: %s", spool->folder, strerror(-code));
    }
    close_file(&spool->writer);
    spool->writer = file;
    spool->write_end = HEAD_BYTES;
    if (spool->first > spool->last) { /* the only one */
        spool->first = spool->next_number;
        spool->read_number = spool->first;
        spool->read_at = HEAD_BYTES;
        close_file(&spool->reader);
    }
    spool->last = spool->next_number++;
    spool->stats.segments++;
    return 0;
}

int sl_spool_append(sl_spool *spool, struct sl__slots *slots)
{
    if (slots->size_bytes == 0) {
        return 0;
    }
    if (spool->stats.bytes + slots->size_bytes > spool->options.max_bytes) {
        return sl_fail(SL_EMSGSIZE, "spool '%s' is full: %" PRIu64 " bytes", spool->folder, spool->options.max_bytes);
    }
    if (spool->writer < 0 || spool->write_end >= spool->options.segment_bytes) {
        if (spool->first <= spool->last && spool->last - spool->first + 1 >= SL_SPOOL_SEGMENTS_MAX) {
            return sl_fail(SL_EMSGSIZE, "spool '%s' has too many segments", spool->folder);
        }
        SL_TRY(begin_segment(spool));
    }
    sl__slots_seal(slots);
    int code = write_all(spool->writer, slots->data, slots->size_bytes, spool->write_end);
    if (code == 0 && spool->options.sync && fdatasync(spool->writer) < 0) {
        code = -errno;
    }
    if (code < 0) {
        (void)(ftruncate(spool->writer, (off_t)spool->write_end) < 0); /* the next write goes to the same place */
        return sl_fail(code, "spool '%s': cannot write: %s", spool->folder, strerror(-code));
    }
    spool->write_end += slots->size_bytes;
    spool->stats.bytes += slots->size_bytes;
    spool->stats.appended += slots->count;
    return 0;
}

/* ---- reading ---- */

bool sl_spool_empty(const sl_spool *spool)
{
    return spool->first > spool->last ||
           (spool->read_number == spool->last && spool->writer >= 0 && spool->read_at >= spool->write_end);
}

static void note_damage(sl_spool *spool, uint64_t bytes)
{
    spool->stats.damaged++;
    spool->stats.damaged_bytes += bytes;
    spool->stats.bytes -= bytes < spool->stats.bytes ? bytes : spool->stats.bytes;
}

/* Leaves the reader's segment for the next one. */
static void next_segment(sl_spool *spool)
{
    close_file(&spool->reader);
    spool->read_number++;
    spool->read_at = HEAD_BYTES;
    if (spool->read_number > spool->last) { /* somebody took the last one's name away: what goes there is lost */
        close_file(&spool->writer);
    }
    remove_read(spool);
}

/* The size up to which the reader's segment is to be read; 0 when it cannot be opened. */
static uint64_t open_reader(sl_spool *spool)
{
    struct stat status;
    if (spool->reader < 0) {
        char path[SL_SPOOL_PATH_MAX + 32];
        path_of(spool, spool->read_number, path);
        spool->reader = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (spool->read_number == spool->last && spool->writer >= 0) {
        return spool->write_end;
    }
    return spool->reader >= 0 && fstat(spool->reader, &status) == 0 ? (uint64_t)status.st_size : 0;
}

/* Keeps the whole slots at the front of what was read, as far as they are of one run; notes where the next ones begin. */
static void keep_whole(sl_spool *spool, struct sl__slots *slots, size_t read_bytes)
{
    size_t end = 0;
    size_t slot = 0;
    slots->count = 0;
    slots->size_bytes = 0;
    uint64_t run = 0;
    while (sl__slots_find(slots->data, read_bytes, slots->size_bytes, false, &slot, &end)) {
        slot += SL__SLOT_HEAD_BYTES;
        uint64_t its_run = sl__slot_stamp(slots->data + slot, end - slot).run;
        if (slots->count > 0 && its_run != run) {
            break;
        }
        run = its_run;
        slots->size_bytes = end;
        slots->count++;
    }
    spool->next_at = spool->read_at + slots->size_bytes;
}

/* Passes over a damaged place: to the next whole slot, or as far as it was looked for. */
static int skip_damage(sl_spool *spool, struct sl__slots *slots, uint64_t size)
{
    uint64_t left = size - spool->read_at;
    size_t window = left < SEARCH_BYTES ? (size_t)left : SEARCH_BYTES;
    SL_TRY(sl__slots_reserve(slots, window));
    ssize_t count = read_some(spool->reader, slots->data, window, spool->read_at);
    if (count < 0) {
        return (int)count;
    }
    size_t at = 0;
    size_t end = 0;
    if (!sl__slots_find(slots->data, (size_t)count, 0, true, &at, &end)) {
        at = window == left ? window : window - SL_RECORD_MAX_BYTES;
    }
    note_damage(spool, at);
    spool->read_at += at;
    return 0;
}

/* One try at the reader's place: 1 something was read, 0 it moved on. */
static int read_here(sl_spool *spool, struct sl__slots *slots)
{
    uint64_t size = open_reader(spool);
    if (spool->reader < 0 || size <= spool->read_at) {
        next_segment(spool);
        return 0;
    }
    uint64_t left = size - spool->read_at;
    size_t wanted = left < slots->capacity_bytes ? (size_t)left : slots->capacity_bytes;
    ssize_t count = read_some(spool->reader, slots->data, wanted, spool->read_at);
    if (count < 0) {
        return sl_fail((int)count, "spool '%s': cannot read: %s", spool->folder, strerror((int)-count));
    }
    keep_whole(spool, slots, (size_t)count);
    if (slots->count > 0) {
        return 1;
    }
    struct sl__slot_head head = {0};
    if ((size_t)count >= SL__SLOT_HEAD_BYTES) {
        memcpy(&head, slots->data, SL__SLOT_HEAD_BYTES);
    }
    size_t whole = SL__SLOT_HEAD_BYTES + head.length;
    if (head.magic == SL__SLOT_MAGIC && head.length <= SL_RECORD_MAX_BYTES && whole > slots->capacity_bytes &&
        whole <= left) { /* perhaps only larger than the buffer */
        SL_TRY(sl__slots_reserve(slots, whole));
        return 0;
    }
    return skip_damage(spool, slots, size);
}

int sl_spool_read(sl_spool *spool, struct sl__slots *slots)
{
    SL_TRY(sl__slots_reserve(slots, SL__SLOT_HEAD_BYTES));
    slots->size_bytes = 0;
    slots->count = 0;
    while (!sl_spool_empty(spool) && spool->read_number <= spool->last) {
        int code = read_here(spool, slots);
        if (code != 0) {
            spool->read_count = code > 0 ? slots->count : 0;
            return code;
        }
    }
    return 0;
}

/* Everything was taken: the files are not needed any more. */
static void clear(sl_spool *spool)
{
    close_file(&spool->reader);
    close_file(&spool->writer);
    while (spool->first <= spool->last) {
        remove_segment(spool, spool->first++);
    }
    spool->read_number = spool->first;
    spool->read_at = HEAD_BYTES;
    spool->stats.bytes = 0;
}

int sl_spool_advance(sl_spool *spool)
{
    if (spool->read_count == 0) {
        return 0;
    }
    uint64_t bytes = spool->next_at - spool->read_at;
    spool->read_at = spool->next_at;
    spool->stats.taken += spool->read_count;
    spool->stats.bytes -= bytes < spool->stats.bytes ? bytes : spool->stats.bytes;
    spool->read_count = 0;
    struct cursor cursor = {.magic = CURSOR_MAGIC, .number = spool->read_number, .at = spool->read_at};
    cursor.check = cursor_check(&cursor);
    int code = write_all(spool->cursor, &cursor, sizeof(cursor), 0);
    if (sl_spool_empty(spool)) {
        clear(spool);
    }
    return code;
}

const sl_spool_stats *sl_spool_get_stats(const sl_spool *spool)
{
    return &spool->stats;
}
