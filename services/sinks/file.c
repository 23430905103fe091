/* SPDX-License-Identifier: MIT */
/* The sink into files: see file.h. */
#include "file.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zstd.h>

#include "market/event_json.h"

#define DIGITS 8
#define NUMBER_MAX 99999999
#define NAME_EXTRA 32

/* The longest line that is looked through for its stamp, from its end. */
#define STAMP_SEARCH 256

/* A frame's content that is unpacked to find its last line: a batch, which is bounded by the outlet. */
#define FRAME_MAX ((size_t)1 << 30)

struct text {
    char *data;
    size_t size_bytes, capacity_bytes;
};

typedef struct sl_file_sink {
    sl_sink sink;
    sl_file_options options;
    char path[SL_FILE_PATH_MAX];
    int file; /* -1: none is open */
    uint64_t number;
    uint64_t size;
    sl_time since; /* the first batch was written; 0: none was */
    bool known;    /* `last` was read from the files */
    sl_stamp last;
    struct text lines, packed;
    ZSTD_CCtx *packer;
} sl_file_sink;

static int reserve(struct text *text, size_t more)
{
    size_t needed = text->size_bytes + more;
    if (needed <= text->capacity_bytes) {
        return 0;
    }
    size_t capacity = text->capacity_bytes == 0 ? 65536 : text->capacity_bytes;
    while (capacity < needed) {
        capacity *= 2;
    }
    char *data = sl_realloc(text->data, capacity);
    if (data == NULL) {
        return SL_ENOMEM;
    }
    text->data = data;
    text->capacity_bytes = capacity;
    return 0;
}

static const char *suffix_of(const sl_file_sink *sink)
{
    return sink->options.zstd ? ".ndjson.zst" : ".ndjson";
}

static void name_of(const sl_file_sink *sink, uint64_t number, char name[SL_FILE_PATH_MAX + NAME_EXTRA])
{
    (void)snprintf(name, SL_FILE_PATH_MAX + NAME_EXTRA, "%s-%0*" PRIu64 "%s", sink->path, DIGITS, number,
                   suffix_of(sink));
}

static int fail(const sl_file_sink *sink, const char *what)
{
    int code = -errno;
    char name[SL_FILE_PATH_MAX + NAME_EXTRA];
    name_of(sink, sink->number, name);
    return sl_fail(code, "cannot %s '%s': %s", what, name, strerror(-code));
}

/* ---- what is there ---- */

/* The number in a name of ours, 0 for any other. */
static uint64_t number_in(const sl_file_sink *sink, const char *base, const char *name)
{
    size_t length = strlen(base);
    uint64_t number = 0;
    if (strncmp(name, base, length) != 0 || name[length] != '-') {
        return 0;
    }
    name += length + 1;
    for (int digit = 0; digit < DIGITS; digit++, name++) {
        if (*name < '0' || *name > '9') {
            return 0;
        }
        number = number * 10 + (uint64_t)(*name - '0');
    }
    return strcmp(name, suffix_of(sink)) == 0 ? number : 0;
}

/* The highest number below `limit`, 0 when there is none. */
static int find_highest(sl_file_sink *sink, uint64_t limit, uint64_t *ret_number)
{
    char folder[SL_FILE_PATH_MAX];
    char *slash = strrchr(sink->path, '/');
    const char *base = slash == NULL ? sink->path : slash + 1;
    (void)snprintf(folder, sizeof(folder), "%.*s", slash == NULL ? 1 : (int)(slash - sink->path + 1),
                   slash == NULL ? "." : sink->path);
    DIR *listing = opendir(folder);
    if (listing == NULL) {
        int code = -errno;
        return sl_fail(code, "cannot list the folder '%s': %s", folder, strerror(-code));
    }
    uint64_t highest = 0;
    for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        uint64_t number = number_in(sink, base, entry->d_name);
        highest = number > highest && number < limit ? number : highest;
    }
    (void)closedir(listing);
    *ret_number = highest;
    return 0;
}

/* The stamp of the last whole line, if it has one. */
static bool stamp_at_end(const char *data, size_t size_bytes, sl_stamp *ret_stamp)
{
    static const char mark[] = "\"stamp\":\"";
    if (size_bytes == 0) {
        return false;
    }
    size_t from = size_bytes > STAMP_SEARCH ? size_bytes - STAMP_SEARCH : 0;
    const char *found = NULL;
    for (const char *at = data + from;
         (at = memmem(at, (size_t)(data + size_bytes - at), mark, sizeof(mark) - 1)) != NULL;) {
        at += sizeof(mark) - 1;
        found = at;
    }
    const char *end = found == NULL ? NULL : memchr(found, '"', (size_t)(data + size_bytes - found));
    return end != NULL && sl_stamp_parse(found, (size_t)(end - found), ret_stamp) == 0;
}

/* The end of the whole lines. */
static size_t end_of_lines(const char *data, size_t size_bytes)
{
    const char *newline = size_bytes == 0 ? NULL : memrchr(data, '\n', size_bytes);
    return newline == NULL ? 0 : (size_t)(newline - data) + 1;
}

/* The end of the whole frames, and where the last of them begins. */
static size_t end_of_frames(const char *data, size_t size_bytes, size_t *ret_last)
{
    size_t end = 0;
    *ret_last = 0;
    while (end < size_bytes) {
        size_t frame = ZSTD_findFrameCompressedSize(data + end, size_bytes - end);
        if (ZSTD_isError(frame) != 0) {
            break;
        }
        *ret_last = end;
        end += frame;
    }
    return end;
}

/* Unpacks a frame for the stamp of its last line. Whether it is whole: its check is right. */
static int stamp_in_frame(sl_file_sink *sink, const char *data, size_t size_bytes, bool *ret_whole, bool *ret_known)
{
    unsigned long long content = ZSTD_getFrameContentSize(data, size_bytes);
    *ret_whole = content != ZSTD_CONTENTSIZE_UNKNOWN && content != ZSTD_CONTENTSIZE_ERROR && content <= FRAME_MAX;
    if (!*ret_whole) {
        return 0;
    }
    sink->lines.size_bytes = 0;
    SL_TRY(reserve(&sink->lines, (size_t)content));
    size_t size = ZSTD_decompress(sink->lines.data, (size_t)content, data, size_bytes);
    *ret_whole = ZSTD_isError(size) == 0;
    *ret_known = *ret_whole && stamp_at_end(sink->lines.data, size, &sink->last);
    return 0;
}

/* The end of the frames, the last of which is whole: one whose end was never written can look as if it were. */
static int inspect_frames(sl_file_sink *sink, const char *data, size_t size_bytes, uint64_t *ret_end, bool *ret_known)
{
    size_t last = 0;
    bool whole = false;
    size_t end = end_of_frames(data, size_bytes, &last);
    while (end > 0 && !whole) {
        SL_TRY(stamp_in_frame(sink, data + last, end - last, &whole, ret_known));
        end = whole ? end : end_of_frames(data, last, &last);
    }
    *ret_end = end;
    return 0;
}

/* Looks where a file's whole batches end, and for the last stamp in it. */
static int inspect(sl_file_sink *sink, int file, uint64_t size, uint64_t *ret_end, bool *ret_known)
{
    *ret_end = 0;
    *ret_known = false;
    if (size == 0) {
        return 0;
    }
    char *data = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, file, 0);
    if (data == MAP_FAILED) {
        return fail(sink, "read");
    }
    int code = 0;
    if (sink->options.zstd) {
        code = inspect_frames(sink, data, (size_t)size, ret_end, ret_known);
    } else {
        *ret_end = end_of_lines(data, (size_t)size);
        *ret_known = stamp_at_end(data, (size_t)*ret_end, &sink->last);
    }
    (void)munmap(data, (size_t)size);
    return code;
}

/* The last stamp of a file that does not grow any more. */
static int read_last(sl_file_sink *sink, uint64_t number)
{
    char name[SL_FILE_PATH_MAX + NAME_EXTRA];
    struct stat status;
    uint64_t end = 0;
    name_of(sink, number, name);
    int file = open(name, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) < 0) {
        int code = fail(sink, "look into");
        (void)(file >= 0 && close(file));
        return code;
    }
    int code = inspect(sink, file, (uint64_t)status.st_size, &end, &sink->known);
    (void)close(file);
    return code;
}

/* Two that write to one file write over each other's lines. A file system without locks holds nobody up. */
static int lock_file(const sl_file_sink *sink)
{
    char name[SL_FILE_PATH_MAX + NAME_EXTRA];
    if (flock(sink->file, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
        return 0;
    }
    name_of(sink, sink->number, name);
    return sl_fail(SL_EBUSY, "'%s': another sink or process writes to it", name);
}

/* Opens the file that grows, cut to its whole batches. */
static int open_file(sl_file_sink *sink, uint64_t number)
{
    char name[SL_FILE_PATH_MAX + NAME_EXTRA];
    struct stat status;
    uint64_t end = 0;
    bool known = false;
    sink->number = number;
    name_of(sink, number, name);
    sink->file = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (sink->file < 0) {
        return fail(sink, "open");
    }
    SL_TRY(lock_file(sink));
    if (fstat(sink->file, &status) < 0) {
        return fail(sink, "open");
    }
    SL_TRY(inspect(sink, sink->file, (uint64_t)status.st_size, &end, &known));
    if (end < (uint64_t)status.st_size && ftruncate(sink->file, (off_t)end) < 0) {
        return fail(sink, "cut");
    }
    sink->known = sink->known || known;
    sink->size = end;
    sink->since = 0;
    return 0;
}

/* ---- the driver ---- */

static void file_close(sl_sink *base)
{
    sl_file_sink *sink = (sl_file_sink *)base;
    if (sink->file >= 0) {
        (void)close(sink->file);
        sink->file = -1;
    }
}

static int file_open(sl_sink *base, sl_scope *scope)
{
    sl_file_sink *sink = (sl_file_sink *)base;
    uint64_t highest = 0;
    (void)scope;
    if (sink->file >= 0) {
        return 0;
    }
    sink->known = false;
    SL_TRY(find_highest(sink, UINT64_MAX, &highest));
    SL_TRY(open_file(sink, highest == 0 ? 1 : highest));
    for (uint64_t before = sink->number; !sink->known && before > 1;) { /* it may have just begun */
        SL_TRY(find_highest(sink, before, &before));
        if (before == 0) {
            break;
        }
        SL_TRY(read_last(sink, before));
    }
    return 0;
}

static int rotate(sl_file_sink *sink)
{
    bool large = sink->options.rotate_bytes != 0 && sink->size >= sink->options.rotate_bytes;
    bool old = sink->options.rotate_age != 0 && sink->since != 0 && sl_now() - sink->since >= sink->options.rotate_age;
    if (sink->size == 0 || !(large || old)) {
        return 0;
    }
    if (sink->number == NUMBER_MAX) {
        return sl_fail(SL_EMSGSIZE, "'%s': no more numbers for files", sink->path);
    }
    file_close(&sink->sink);
    return open_file(sink, sink->number + 1);
}

static int add_lines(sl_file_sink *sink, sl_sink_batch *batch, sl_sink_result *result, sl_stamp *ret_last)
{
    sl_market_event event;
    sl_stamp stamp;
    bool known = sink->known;
    *ret_last = sink->last;
    sink->lines.size_bytes = 0;
    for (;;) {
        int code = sl_sink_batch_next(batch, &event, &stamp);
        if (code <= 0) {
            return code;
        }
        if (known && stamp.run == ret_last->run && stamp.number <= ret_last->number) {
            result->repeated++;
            continue;
        }
        SL_TRY(reserve(&sink->lines, sl_event_json_bound(&event) + 1));
        char *at = sink->lines.data + sink->lines.size_bytes;
        size_t length = sl_event_json_write(&event, &stamp, at);
        at[length] = '\n';
        sink->lines.size_bytes += length + 1;
        result->written++;
        *ret_last = stamp;
        known = true;
    }
}

/* What is to be written: the lines, or a frame of them. */
static int pack(sl_file_sink *sink, const struct text **ret_text)
{
    *ret_text = &sink->lines;
    if (!sink->options.zstd) {
        return 0;
    }
    sink->packed.size_bytes = 0;
    SL_TRY(reserve(&sink->packed, ZSTD_compressBound(sink->lines.size_bytes)));
    size_t size = ZSTD_compress2(sink->packer, sink->packed.data, sink->packed.capacity_bytes, sink->lines.data,
                                 sink->lines.size_bytes);
    if (ZSTD_isError(size) != 0) {
        return sl_fail(SL_ENOMEM, "cannot compress: %s", ZSTD_getErrorName(size));
    }
    sink->packed.size_bytes = size;
    *ret_text = &sink->packed;
    return 0;
}

static int append(sl_file_sink *sink, const struct text *text)
{
    for (size_t done = 0; done < text->size_bytes;) {
        ssize_t count = pwrite(sink->file, text->data + done, text->size_bytes - done, (off_t)(sink->size + done));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            int code = fail(sink, "write to");
            (void)(ftruncate(sink->file, (off_t)sink->size) < 0); /* if not, it is cut when it is opened again */
            return code;
        }
        done += (size_t)count;
    }
    if (sink->options.sync && fdatasync(sink->file) < 0) {
        int code = fail(sink, "sync");
        (void)(ftruncate(sink->file, (off_t)sink->size) < 0); /* nobody is to believe that it is there */
        return code;
    }
    sink->size += text->size_bytes;
    return 0;
}

static int file_write(sl_sink *base, sl_sink_batch *batch, sl_sink_result *result)
{
    sl_file_sink *sink = (sl_file_sink *)base;
    sl_stamp last;
    const struct text *text = NULL;
    SL_TRY(rotate(sink));
    SL_TRY(add_lines(sink, batch, result, &last));
    if (result->written == 0) {
        return 0;
    }
    SL_TRY(pack(sink, &text));
    SL_TRY(append(sink, text));
    sink->last = last;
    sink->known = true;
    sink->since = sink->since == 0 ? sl_now() : sink->since;
    return 0;
}

static void file_free(sl_sink *base)
{
    sl_file_sink *sink = (sl_file_sink *)base;
    file_close(base);
    (void)ZSTD_freeCCtx(sink->packer);
    sl_free(sink->lines.data);
    sl_free(sink->packed.data);
    sl_free(sink);
}

int sl_file_sink_new(const sl_file_options *options, sl_sink **ret_sink)
{
    static const sl_sink_driver driver = {"file", true, file_open, file_write, file_close, file_free};
    if (options->path == NULL || options->path[0] == '\0' || strlen(options->path) >= SL_FILE_PATH_MAX ||
        options->level < 0 || options->level > 19 || options->rotate_age < 0) {
        return sl_fail(SL_EINVAL, "sink file: the path, level or age is out of range");
    }
    sl_file_sink *sink = sl_calloc(1, sizeof(*sink));
    if (sink == NULL) {
        return SL_ENOMEM;
    }
    sink->sink.driver = &driver;
    sink->options = *options;
    sink->file = -1;
    memcpy(sink->path, options->path, strlen(options->path) + 1);
    sink->options.path = sink->path;
    if (options->zstd) {
        sink->packer = ZSTD_createCCtx();
        if (sink->packer == NULL) {
            file_free(&sink->sink);
            return SL_ENOMEM;
        }
        int level = options->level == 0 ? SL_FILE_ZSTD_LEVEL_DEFAULT : options->level;
        (void)ZSTD_CCtx_setParameter(sink->packer, ZSTD_c_compressionLevel, level);
        (void)ZSTD_CCtx_setParameter(sink->packer, ZSTD_c_checksumFlag, 1);
    }
    *ret_sink = &sink->sink;
    return 0;
}
