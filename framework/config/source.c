/* SPDX-License-Identifier: MIT */
/* Sources: files and texts, read, held to be UTF-8, their lines found. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define READ_BYTES ((size_t)16 * 1024)

/* Reads on until the end or one byte too many. */
static int read_all(int descriptor, size_t max_bytes, size_t expected_bytes, char **ret_text, size_t *ret_bytes)
{
    size_t capacity = expected_bytes + 2 < READ_BYTES ? READ_BYTES : expected_bytes + 2;
    size_t size = 0;
    char *text = sl_malloc(capacity);
    while (text != NULL) {
        ssize_t got = read(descriptor, text + size, capacity - size - 1);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        size += got > 0 ? (size_t)got : 0;
        if (got <= 0 || size > max_bytes) {
            text[size] = '\0';
            *ret_text = text;
            *ret_bytes = size;
            return got < 0 ? -errno : size > max_bytes ? SL_EMSGSIZE : 0;
        }
        if (size + 1 == capacity) {
            char *larger = sl_realloc(text, capacity * 2);
            if (larger == NULL) {
                break;
            }
            text = larger;
            capacity *= 2;
        }
    }
    sl_free(text);
    return SL_ENOMEM;
}

int sl__read_file(const char *path, size_t max_bytes, bool secret, char **ret_text, size_t *ret_bytes,
                  unsigned *ret_mode, const char **ret_why)
{
    struct stat status;
    *ret_text = NULL;
    *ret_bytes = 0;
    *ret_why = NULL;
    /* A pipe without a writer is empty; it must not hold us. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (secret ? O_NONBLOCK : 0));
    if (descriptor < 0) {
        return -errno;
    }
    int code = fstat(descriptor, &status) < 0 ? -errno : 0;
    if (code == 0) {
        *ret_mode = (unsigned)status.st_mode;
        bool regular = S_ISREG(status.st_mode);
        if (S_ISDIR(status.st_mode) || (secret && !regular)) {
            *ret_why = S_ISDIR(status.st_mode) ? "it is a directory" : "it is no regular file";
            code = SL_EINVAL;
        } else if (regular && (uint64_t)status.st_size > max_bytes) {
            code = SL_EMSGSIZE;
        } else {
            code = read_all(descriptor, max_bytes, regular ? (size_t)status.st_size : 0, ret_text, ret_bytes);
        }
    }
    (void)close(descriptor);
    if (code < 0) {
        sl_free(*ret_text);
        *ret_text = NULL;
    }
    return code;
}

/* Bytes of the line break at `at`, as libyaml counts lines; 0: none. */
static size_t break_bytes(const char *at, const char *end)
{
    if (*at == '\n') {
        return 1;
    }
    if (*at == '\r') {
        return at + 1 < end && at[1] == '\n' ? 2 : 1;
    }
    if (end - at >= 2 && memcmp(at, "\xc2\x85", 2) == 0) {
        return 2;
    }
    return end - at >= 3 && (memcmp(at, "\xe2\x80\xa8", 3) == 0 || memcmp(at, "\xe2\x80\xa9", 3) == 0) ? 3 : 0;
}

int sl__source_index(struct sl__source *source)
{
    const char *end = source->text + source->text_bytes;
    source->line_count = 1;
    for (int pass = 0; pass < 2; pass++) {
        size_t line = 1;
        for (const char *at = source->text; at < end;) {
            size_t bytes = break_bytes(at, end);
            at += bytes == 0 ? 1 : bytes;
            if (bytes > 0) {
                if (pass == 1) {
                    source->lines[line] = (uint32_t)(at - source->text);
                }
                line++;
            }
        }
        if (pass == 0) {
            source->line_count = line;
            source->lines = sl_calloc(line, sizeof *source->lines);
            if (source->lines == NULL) {
                return SL_ENOMEM;
            }
        }
    }
    return 0;
}

/* One character: its bytes, 0 when it is not UTF-8 (RFC 3629). */
static size_t decode(const unsigned char *at, size_t left, uint32_t *ret_character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t bytes = *at < 0x80                  ? 1
                   : *at >= 0xc2 && *at < 0xe0 ? 2
                   : *at >= 0xe0 && *at < 0xf0 ? 3
                   : *at >= 0xf0 && *at < 0xf5 ? 4
                                               : 0;
    if (bytes == 0 || bytes > left) {
        return 0;
    }
    uint32_t character = bytes == 1 ? *at : *at & (0x7fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
        character = character << 6 | (at[i] & 0x3f);
    }
    *ret_character = character;
    return character < least[bytes] || character > 0x10ffff || (character >= 0xd800 && character < 0xe000) ? 0 : bytes;
}

size_t sl__utf8_bytes(const char *at, size_t left_bytes)
{
    uint32_t character;
    return decode((const unsigned char *)at, left_bytes, &character);
}

/* Source: YAML 1.1, 5.1 (what may stand in a stream). */
static bool printable(uint32_t c)
{
    return c == 0x09 || c == 0x0a || c == 0x0d || (c >= 0x20 && c <= 0x7e) || c == 0x85 || (c >= 0xa0 && c <= 0xd7ff) ||
           (c >= 0xe000 && c <= 0xfffd && c != 0xfeff) || c >= 0x10000;
}

bool sl__source_check(struct sl__load *load, uint16_t index)
{
    struct sl__source *source = &load->sources[index];
    const unsigned char *text = (const unsigned char *)source->text;
    struct sl__place place = {1, 1, index};
    for (size_t i = 0; i < source->text_bytes;) {
        uint32_t character = 0;
        size_t bytes = decode(text + i, source->text_bytes - i, &character);
        if (bytes == 0 || !printable(character)) {
            source->unreadable = true;
            load->partial = true;
            if (bytes == 0) {
                sl__problem(load, place, NULL, "byte 0x%02x at offset %zu is not UTF-8; expected a UTF-8 text", text[i],
                            i);
            } else {
                sl__problem(load, place, NULL,
                            "the control character U+%04X; expected a text without it (quoted: \"\\x..\")",
                            (unsigned)character);
            }
            return false;
        }
        size_t line_break = break_bytes(source->text + i, source->text + source->text_bytes);
        place.line += line_break > 0;
        place.column = line_break > 0 ? 1 : place.column + 1;
        i += line_break > 0 ? line_break : bytes;
    }
    return true;
}

static void strip_mark(struct sl__source *source)
{
    if (source->text_bytes >= 3 && memcmp(source->text, "\xef\xbb\xbf", 3) == 0) {
        source->text += 3;
        source->text_bytes -= 3;
    }
}

int sl__source_read(struct sl__load *load, uint16_t index, size_t *total_bytes)
{
    struct sl__source *source = &load->sources[index];
    const struct sl_config_source *wanted = &load->options->sources[index];
    struct sl__place whole = {0, 0, index};
    unsigned mode;
    const char *why = NULL;
    int code = 0;
    if (wanted->text != NULL) {
        source->text = wanted->text;
        source->text_bytes = wanted->text_bytes;
        code = wanted->text_bytes > SL_CONFIG_FILE_BYTES_MAX ? SL_EMSGSIZE : 0;
    } else {
        code = sl__read_file(wanted->path, SL_CONFIG_FILE_BYTES_MAX, false, &source->owned, &source->text_bytes, &mode,
                             &why);
        source->text = source->owned == NULL ? "" : source->owned;
    }
    if (code == SL_ENOMEM) {
        return load->code = code;
    }
    *total_bytes += code == 0 ? source->text_bytes : 0;
    if (code == SL_EMSGSIZE || (code == 0 && *total_bytes > SL_CONFIG_TOTAL_BYTES_MAX)) {
        sl__problem(load, whole, NULL, "too large; expected at most %zu MiB a file and %zu MiB in all",
                    SL_CONFIG_FILE_BYTES_MAX >> 20, SL_CONFIG_TOTAL_BYTES_MAX >> 20);
        code = SL_EMSGSIZE;
    } else if (code < 0) {
        sl__problem(load, whole, NULL, "cannot be read: %s; expected a YAML file",
                    why != NULL ? why : sl_strerror(code));
    }
    if (code < 0) {
        load->partial = true;
        source->text = "";
        source->text_bytes = 0;
    }
    strip_mark(source);
    if (!sl__source_check(load, index)) {
        source->text_bytes = 0;
    }
    code = sl__source_index(source);
    load->code = load->code == 0 ? code : load->code;
    return load->code;
}
