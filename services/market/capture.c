/* SPDX-License-Identifier: MIT */
/* The reader of captured sessions. See capture.h. */
#include "capture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <zlib.h>

#include "block.h"
#include "sluice/json.h"

/* What is read from the file at once, and the least room that is offered to the inflater. */
#define CHUNK_BYTES ((size_t)64 << 10)

struct sl_capture {
    FILE *file;
    size_t line_max_bytes;
    bool compressed;
    bool file_ended;  /* the file has no more bytes */
    bool stream_open; /* inside a gzip member */
    bool ended;       /* the window gets no more bytes */
    int failed;
    z_stream inflater;
    unsigned char *input; /* CHUNK_BYTES */
    char *window;         /* capacity + SL_JSON_PADDING bytes */
    size_t capacity;
    size_t head; /* the unread part of the window */
    size_t tail;
    size_t scanned; /* no line end before this place */
    uint64_t line;
    bool recorded; /* one of our own recordings: none of the above but the file */
    struct sl__block block;
    size_t record;   /* the next one in the block */
    uint64_t offset; /* of the next block */
    uint64_t damaged;
    char problem[160];
};

static int fail(sl_capture *capture, int code, const char *format, ...) SL_PRINTF(3, 4);
static int fail(sl_capture *capture, int code, const char *format, ...)
{
    int length = snprintf(capture->problem, sizeof(capture->problem), "line %" PRIu64 ": ", capture->line + 1);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(capture->problem + length, sizeof(capture->problem) - (size_t)length, format, arguments);
    va_end(arguments);
    capture->failed = code;
    return sl_fail(code, "capture: %s", capture->problem);
}

static voidpf zlib_allocate(voidpf opaque, uInt items, uInt size_bytes)
{
    (void)opaque;
    return sl_calloc(items, size_bytes);
}

static void zlib_free(voidpf opaque, voidpf memory)
{
    (void)opaque;
    sl_free(memory);
}

/* Reads a chunk into the input buffer when it is used up. */
static int read_input(sl_capture *capture)
{
    if (capture->inflater.avail_in > 0 || capture->file_ended) {
        return 0;
    }
    size_t size_bytes = fread(capture->input, 1, CHUNK_BYTES, capture->file);
    if (size_bytes == 0 && ferror(capture->file) != 0) {
        return fail(capture, errno > 0 ? -errno : SL_EINTERNAL, "cannot read the file");
    }
    capture->file_ended = size_bytes == 0;
    capture->inflater.next_in = capture->input;
    capture->inflater.avail_in = (uInt)size_bytes;
    return 0;
}

/* Inflates until the room is used or the input is. */
static int inflate_some(sl_capture *capture, size_t room)
{
    if (!capture->stream_open) {
        if (inflateReset(&capture->inflater) != Z_OK) { /* a file may have several members */
            return fail(capture, SL_EINTERNAL, "cannot restart the inflater");
        }
        capture->stream_open = true;
    }
    capture->inflater.next_out = (unsigned char *)capture->window + capture->tail;
    capture->inflater.avail_out = (uInt)room;
    int status = inflate(&capture->inflater, Z_NO_FLUSH);
    capture->tail += room - capture->inflater.avail_out;
    if (status == Z_STREAM_END) {
        capture->stream_open = false;
        return 0;
    }
    if (status == Z_MEM_ERROR) {
        return fail(capture, SL_ENOMEM, "out of memory");
    }
    if (status != Z_OK && status != Z_BUF_ERROR) {
        return fail(capture, SL_EPROTO, "damaged gzip data");
    }
    return 0;
}

/* Gets more bytes into the window, or sets `ended`. */
static int fill(sl_capture *capture)
{
    size_t room = capture->capacity - capture->tail;
    room = room < UINT32_MAX ? room : UINT32_MAX;
    SL_TRY(read_input(capture));
    if (capture->inflater.avail_in == 0 && capture->file_ended) {
        if (capture->stream_open) {
            return fail(capture, SL_EPROTO, "the file ends in the middle of its gzip data");
        }
        capture->ended = true;
        return 0;
    }
    if (capture->compressed) {
        return inflate_some(capture, room);
    }
    size_t size_bytes = capture->inflater.avail_in < room ? capture->inflater.avail_in : room;
    memcpy(capture->window + capture->tail, capture->inflater.next_in, size_bytes);
    capture->tail += size_bytes;
    capture->inflater.next_in += size_bytes;
    capture->inflater.avail_in -= (uInt)size_bytes;
    return 0;
}

/* Makes room for a chunk behind the tail: moves the unread part to the front, or doubles the window. */
static int make_room(sl_capture *capture)
{
    size_t used = capture->tail - capture->head;
    if (used > capture->line_max_bytes) {
        return fail(capture, SL_EMSGSIZE, "longer than %zu bytes", capture->line_max_bytes);
    }
    if (capture->capacity - capture->tail >= CHUNK_BYTES) {
        return 0;
    }
    if (capture->capacity - used < CHUNK_BYTES) {
        size_t capacity = capture->capacity == 0 ? 2 * CHUNK_BYTES : 2 * capture->capacity;
        char *window = sl_realloc(capture->window, capacity + SL_JSON_PADDING);
        if (window == NULL) {
            return fail(capture, SL_ENOMEM, "out of memory");
        }
        memset(window + capture->capacity, 0, capacity + SL_JSON_PADDING - capture->capacity);
        capture->window = window;
        capture->capacity = capacity;
    }
    memmove(capture->window, capture->window + capture->head, used);
    capture->scanned -= capture->head;
    capture->head = 0;
    capture->tail = used;
    return 0;
}

/* A time of whole `unit_ns` and, behind a point, their fraction; *at goes on behind it. */
static int read_time(const char *text, size_t size_bytes, int64_t unit_ns, size_t *at, int64_t *ret_time_ns)
{
    int64_t time_ns = 0;
    size_t start = *at;
    for (; *at < size_bytes && text[*at] >= '0' && text[*at] <= '9'; (*at)++) {
        if (__builtin_mul_overflow(time_ns, (int64_t)10, &time_ns) ||
            __builtin_add_overflow(time_ns, (int64_t)(text[*at] - '0'), &time_ns)) {
            return SL_ERANGE;
        }
    }
    if (*at == start) {
        return SL_EPROTO;
    }
    if (__builtin_mul_overflow(time_ns, unit_ns, &time_ns)) {
        return SL_ERANGE;
    }
    if (unit_ns > 1 && *at < size_bytes && text[*at] == '.') {
        for ((*at)++; *at < size_bytes && text[*at] >= '0' && text[*at] <= '9'; (*at)++) {
            unit_ns /= 10;
            time_ns += unit_ns * (text[*at] - '0');
        }
    }
    *ret_time_ns = time_ns;
    return 0;
}

static bool has_at(const char *text, size_t size_bytes, size_t at, const char *word)
{
    size_t length = strlen(word);
    return at <= size_bytes && size_bytes - at >= length && memcmp(text + at, word, length) == 0;
}

/* cryptofeed's `<URL> <-> <time>`, `<URL> <- <time>: <text>`, `<URL> -> <time>: <body>`. */
static int split_url(sl_capture *capture, const char *text, size_t size_bytes, sl_capture_line *ret_line)
{
    static const struct {
        const char *arrow;
        sl_capture_kind kind;
    } arrows[] = {{" <-> ", SL_CAPTURE_CONNECTED}, {" <- ", SL_CAPTURE_SENT}, {" -> ", SL_CAPTURE_RESPONSE}};
    const char *space = memchr(text, ' ', size_bytes);
    size_t url_bytes = space == NULL ? size_bytes : (size_t)(space - text);
    for (size_t arrow = 0; arrow < sizeof(arrows) / sizeof(arrows[0]); arrow++) {
        size_t at = url_bytes + strlen(arrows[arrow].arrow);
        int64_t time_ns = 0;
        if (!has_at(text, size_bytes, url_bytes, arrows[arrow].arrow) ||
            read_time(text, size_bytes, INT64_C(1000000000), &at, &time_ns) < 0) {
            continue;
        }
        bool has_text = arrows[arrow].kind != SL_CAPTURE_CONNECTED;
        if (has_text ? !has_at(text, size_bytes, at, ": ") : at != size_bytes) {
            break;
        }
        at += has_text ? 2 : 0;
        *ret_line = (sl_capture_line){.receive_time_ns = time_ns,
                                      .text = text + at,
                                      .size_bytes = size_bytes - at,
                                      .kind = arrows[arrow].kind,
                                      .url = text,
                                      .url_bytes = url_bytes};
        return 1;
    }
    return fail(capture, SL_EPROTO, "neither '<URL> <-> <time>' nor '<URL> <- <time>: <text>' nor '->'");
}

/* Takes a line apart: 1; 0: it is to be skipped. */
static int split(sl_capture *capture, const char *text, size_t size_bytes, sl_capture_line *ret_line)
{
    size_t at = 0;
    int64_t time_ns = 0;
    size_bytes -= size_bytes > 0 && text[size_bytes - 1] == '\r';
    int code = 1;
    if (size_bytes == 0 || has_at(text, size_bytes, 0, "configuration: ")) {
        code = 0;
    } else if (text[0] < '0' || text[0] > '9') {
        code = has_at(text, size_bytes, 0, "ws") || has_at(text, size_bytes, 0, "http")
                   ? split_url(capture, text, size_bytes, ret_line)
                   : fail(capture, SL_EPROTO, "not of the form '<receipt time in ns> <JSON>', nor one of cryptofeed's");
    } else {
        size_t digits = 1;
        while (digits < size_bytes && text[digits] >= '0' && text[digits] <= '9') {
            digits++;
        }
        bool seconds = digits < size_bytes && (text[digits] == '.' || text[digits] == ':');
        code = read_time(text, size_bytes, seconds ? INT64_C(1000000000) : 1, &at, &time_ns);
        if (code == SL_ERANGE) {
            return fail(capture, SL_EPROTO, "the receipt time is too large");
        }
        at += seconds;
        if (code < 0 || at + 1 >= size_bytes || text[at] != ' ' || (seconds && text[at - 1] != ':')) {
            return fail(capture, SL_EPROTO, "not of the form '<receipt time in ns> <JSON>', nor one of cryptofeed's");
        }
        *ret_line =
            (sl_capture_line){.receive_time_ns = time_ns, .text = text + at + 1, .size_bytes = size_bytes - at - 1};
        code = 1;
    }
    SL_TRY(code);
    capture->line++;
    ret_line->number = capture->line;
    return code;
}

/* The next record of a recording; damaged blocks are counted and passed over. */
static int next_record(sl_capture *capture, sl_capture_line *ret_line)
{
    for (;;) {
        int code = sl__block_next(&capture->block, &capture->record, ret_line);
        if (code < 0) {
            return fail(capture, code, "the block before byte %" PRIu64 " has a good checksum and bad records",
                        capture->offset);
        }
        if (code > 0) {
            ret_line->number = ++capture->line;
            return 1;
        }
        if (capture->ended) {
            return 0;
        }
        code = sl__block_read(&capture->block, capture->file, capture->offset, true);
        capture->record = 0;
        if (code > 0) {
            capture->offset += SL__BLOCK_HEAD_BYTES + capture->block.packed_bytes;
            continue;
        }
        capture->block.plain_bytes = 0;
        uint64_t next = 0;
        code = code < 0 ? code : sl__block_search(capture->file, capture->offset + 1, &next);
        if (code < 0) {
            return fail(capture, code, "cannot read the file");
        }
        if (fseeko(capture->file, 0, SEEK_END) == 0 && (uint64_t)ftello(capture->file) <= next) {
            capture->ended = true;
            next = (uint64_t)ftello(capture->file);
        }
        capture->damaged += next - capture->offset;
        capture->offset = next;
    }
}

uint64_t sl_capture_damaged(const sl_capture *capture)
{
    return capture->damaged;
}

int sl_capture_next(sl_capture *capture, sl_capture_line *ret_line)
{
    if (capture->failed == 0 && capture->recorded) {
        return next_record(capture, ret_line);
    }
    while (capture->failed == 0) {
        const char *start = capture->window + capture->head;
        size_t unscanned = capture->tail - capture->scanned;
        const char *end = unscanned == 0 ? NULL : memchr(capture->window + capture->scanned, '\n', unscanned);
        if (end != NULL || (capture->ended && capture->tail > capture->head)) {
            size_t size_bytes = end != NULL ? (size_t)(end - start) : capture->tail - capture->head;
            if (size_bytes > capture->line_max_bytes) {
                return fail(capture, SL_EMSGSIZE, "longer than %zu bytes", capture->line_max_bytes);
            }
            capture->head += size_bytes + (end != NULL);
            capture->scanned = capture->head;
            int code = split(capture, start, size_bytes, ret_line);
            if (code == 0) {
                continue;
            }
            return code;
        }
        if (capture->ended) {
            return 0;
        }
        capture->scanned = capture->tail;
        SL_TRY(make_room(capture));
        SL_TRY(fill(capture));
    }
    return capture->failed;
}

/* Looks at the first bytes: gzip, or plain text. */
static int begin(sl_capture *capture)
{
    SL_TRY(make_room(capture));
    SL_TRY(read_input(capture));
    if (sl__block_begins(capture->input, capture->inflater.avail_in)) {
        capture->recorded = true;
        return 0;
    }
    capture->compressed = capture->inflater.avail_in >= 2 && capture->input[0] == 0x1f && capture->input[1] == 0x8b;
    if (!capture->compressed) {
        return 0;
    }
    z_const unsigned char *next_in = capture->inflater.next_in;
    uInt avail_in = capture->inflater.avail_in;
    capture->inflater.zalloc = zlib_allocate;
    capture->inflater.zfree = zlib_free;
    if (inflateInit2(&capture->inflater, MAX_WBITS + 16) != Z_OK) { /* 16: gzip only */
        capture->compressed = false;
        return fail(capture, SL_ENOMEM, "out of memory");
    }
    capture->inflater.next_in = next_in;
    capture->inflater.avail_in = avail_in;
    return 0;
}

int sl_capture_open(const char *path, size_t line_max_bytes, sl_capture **ret_capture)
{
    if (line_max_bytes > SL_CAPTURE_LINE_MAX_BYTES) {
        return SL_EINVAL;
    }
    sl_capture *capture = sl_calloc(1, sizeof(*capture));
    if (capture == NULL) {
        return SL_ENOMEM;
    }
    int code = SL_ENOMEM;
    capture->line_max_bytes = line_max_bytes == 0 ? SL_CAPTURE_LINE_DEFAULT_BYTES : line_max_bytes;
    capture->input = sl_malloc(CHUNK_BYTES);
    if (capture->input == NULL) {
        goto out;
    }
    capture->file = fopen(path, "rbe");
    if (capture->file == NULL) {
        code = -errno;
        code = sl_fail(code, "cannot open the capture %s: %s", path, sl_strerror(code));
        goto out;
    }
    code = begin(capture);
    if (code == 0) {
        *ret_capture = capture;
        return 0;
    }
    code = code == SL_ENOMEM ? code : sl_fail(code, "cannot open the capture %s: %s", path, capture->problem);
out:
    sl_capture_close(capture);
    return code;
}

void sl_capture_close(sl_capture *capture)
{
    if (capture == NULL) {
        return;
    }
    if (capture->compressed) {
        (void)inflateEnd(&capture->inflater);
    }
    if (capture->file != NULL) {
        (void)fclose(capture->file);
    }
    sl__block_free(&capture->block);
    sl_free(capture->input);
    sl_free(capture->window);
    sl_free(capture);
}

const char *sl_capture_problem(const sl_capture *capture)
{
    return capture->problem;
}

double sl_capture_progress(const sl_capture *capture)
{
    struct stat info;
    long at = ftell(capture->file);
    if (fstat(fileno(capture->file), &info) < 0 || info.st_size <= 0 || at < 0) {
        return 1;
    }
    double part = (double)(capture->recorded ? capture->offset : (uint64_t)at) / (double)info.st_size;
    return part < 1 ? part : 1;
}
