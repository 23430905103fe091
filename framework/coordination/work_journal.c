/* SPDX-License-Identifier: MIT */
/* See work_journal.h. Lines go to the system's cache at once and are small: that takes microseconds, on the loop. */
#include "work_journal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sluice/memory.h"
#include "sluice/runtime.h"

#define HEADER "sluice work queue 1"
#define LINE_BYTES (64 + 3 * ((int)SL_WORK_BODY_MAX + SL_WORK_KEY_BYTES))
#define GROWTH_BYTES ((uint64_t)1 << 20) /* beyond twice what it was, before it is written anew */
#define FILE_BYTES_MAX ((uint64_t)16 << 30)

static bool is_plain(unsigned char byte)
{
    return byte > ' ' && byte < 0x7f && byte != '%';
}

/* " text", escaped; at most 3 bytes each and one in front. */
static size_t put_text(char *at, const char *text, size_t size_bytes)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t length = 0;
    at[length++] = ' ';
    for (size_t i = 0; i < size_bytes; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (is_plain(byte)) {
            at[length++] = (char)byte;
        } else {
            at[length++] = '%';
            at[length++] = digits[byte >> 4];
            at[length++] = digits[byte & 15];
        }
    }
    return length;
}

static int write_all(struct sl__work_journal *journal, const char *bytes, size_t size_bytes)
{
    ssize_t written = write(journal->file, bytes, size_bytes);
    if (written == (ssize_t)size_bytes) {
        journal->bytes += size_bytes;
        return 0;
    }
    int code = written < 0 ? -errno : -ENOSPC;
    if (ftruncate(journal->file, (off_t)journal->bytes) < 0) {
        sl_log(SL_LOG_ERROR, "a work queue's file has a broken line");
    }
    return sl_fail(code, "a work queue's file '%s': %s", journal->path, sl_strerror(code));
}

int sl__work_journal_note(struct sl__work_journal *journal, const struct sl__work_note *note)
{
    if (journal->file < 0) {
        return 0;
    }
    size_t key_bytes = strlen(note->key);
    char *line = sl_malloc(64 + 3 * (key_bytes + note->text.size_bytes));
    if (line == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a line of a work queue's file");
    }
    size_t length = 0;
    line[length++] = note->op;
    length += put_text(line + length, note->key, key_bytes);
    length += (size_t)snprintf(line + length, 48, " %" PRId64 " %" PRId64, note->number, note->when);
    length += put_text(line + length, note->text.data, note->text.size_bytes);
    line[length++] = '\n';
    int code = write_all(journal, line, length);
    sl_free(line);
    return code;
}

/* ---- reading ---- */

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* In place; SL_EPROTO when it was not written by put_text(). */
static int unescape(char *text, size_t *ret_bytes)
{
    size_t length = 0;
    for (const char *at = text; *at != '\0'; at++) {
        bool escaped = *at == '%';
        int high = escaped ? digit_of(at[1]) : 0;
        int low = escaped && high >= 0 ? digit_of(at[2]) : 0;
        if (high < 0 || low < 0 || (!escaped && !is_plain((unsigned char)*at))) {
            return SL_EPROTO;
        }
        text[length++] = escaped ? (char)(high << 4 | low) : *at; /* not behind `at` */
        at += escaped ? 2 : 0;
    }
    text[length] = '\0';
    *ret_bytes = length;
    return 0;
}

static int read_line(char *line, struct sl__work_note *ret_note)
{
    char *fields[5], *rest = line;
    for (size_t i = 0; i < 5; i++) {
        fields[i] = strsep(&rest, " ");
        if (fields[i] == NULL) {
            return SL_EPROTO;
        }
    }
    size_t key_bytes = 0, text_bytes = 0;
    char *end_number = NULL, *end_when = NULL;
    *ret_note = (struct sl__work_note){.op = fields[0][0], .key = fields[1]};
    ret_note->number = strtoll(fields[2], &end_number, 10);
    ret_note->when = strtoll(fields[3], &end_when, 10);
    if (rest != NULL || strlen(fields[0]) != 1 || *end_number != '\0' || *end_when != '\0' ||
        unescape(fields[1], &key_bytes) < 0 || unescape(fields[4], &text_bytes) < 0 || key_bytes == 0 ||
        key_bytes >= SL_WORK_KEY_BYTES || text_bytes > SL_WORK_BODY_MAX) {
        return SL_EPROTO;
    }
    ret_note->text = (struct sl_bytes){fields[4], text_bytes};
    return 0;
}

/* 1, or 0 at the end, which is also a line that was cut off. */
static int next_line(FILE *in, char *line, const char *path)
{
    if (fgets(line, LINE_BYTES, in) == NULL) {
        return ferror(in) ? sl_fail(-EIO, "a work queue's file '%s' cannot be read", path) : 0;
    }
    size_t length = strlen(line);
    if (length == LINE_BYTES - 1) {
        return sl_fail(SL_EPROTO, "'%s' has a line that is too long for a work queue's file", path);
    }
    bool whole = line[length - 1] == '\n';
    line[length - 1] = '\0';
    return whole;
}

static int replay_lines(FILE *in, char *line, const char *path, sl__work_replay_fn replay, void *arg)
{
    int code = next_line(in, line, path);
    if (code == 1 && strcmp(line, HEADER) != 0) {
        return sl_fail(SL_EPROTO, "'%s' is no file of a work queue", path);
    }
    for (uint64_t number = 2; code == 1; number++) {
        struct sl__work_note note;
        code = next_line(in, line, path);
        if (code == 1 && read_line(line, &note) < 0) {
            return sl_fail(SL_EPROTO, "'%s', line %" PRIu64 ": no line of a work queue's file", path, number);
        }
        if (code == 1) {
            SL_TRY(replay(arg, &note));
        }
    }
    return code;
}

/* Nobody else has it, and it is not the one that another process has just replaced. */
static int take_file(const char *path, int file)
{
    struct stat here, there;
    if (flock(file, LOCK_EX | LOCK_NB) < 0 || fstat(file, &here) < 0 || stat(path, &there) < 0 ||
        here.st_ino != there.st_ino) {
        return sl_fail(SL_EBUSY, "a work queue's file '%s' belongs to another process", path);
    }
    if ((uint64_t)here.st_size > FILE_BYTES_MAX) {
        return sl_fail(SL_EMSGSIZE, "a work queue's file '%s' is too large", path);
    }
    return 0;
}

int sl__work_journal_open(struct sl__work_journal *journal, const char *path, sl__work_replay_fn replay, void *arg)
{
    if (snprintf(journal->path, sizeof journal->path, "%s", path) >= (int)sizeof journal->path) {
        return sl_fail(SL_EMSGSIZE, "a work queue's file: the path is too long");
    }
    journal->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (journal->file < 0) {
        int code = -errno;
        return sl_fail(code, "a work queue's file '%s': %s", path, sl_strerror(code));
    }
    SL_TRY(take_file(path, journal->file));
    int copy = fcntl(journal->file, F_DUPFD_CLOEXEC, 0); /* the stream closes its own */
    FILE *in = copy < 0 ? NULL : fdopen(copy, "r");
    if (in == NULL) {
        int code = -errno;
        if (copy >= 0) {
            (void)close(copy);
        }
        return sl_fail(code, "a work queue's file '%s': %s", path, sl_strerror(code));
    }
    char *line = sl_malloc((size_t)LINE_BYTES);
    int code = line == NULL ? sl_fail(SL_ENOMEM, "no memory for a line of a work queue's file")
                            : replay_lines(in, line, path, replay, arg);
    sl_free(line);
    (void)fclose(in);
    return code;
}

/* ---- writing it anew ---- */

static int write_new(struct sl__work_journal *anew, sl__work_tell_fn tell, void *arg)
{
    SL_TRY(write_all(anew, HEADER "\n", sizeof HEADER));
    SL_TRY(tell(arg, anew));
    anew->bytes_first = anew->bytes;
    return 0;
}

int sl__work_journal_renew(struct sl__work_journal *journal, sl__work_tell_fn tell, void *arg)
{
    struct sl__work_journal anew = {.file = -1};
    int length = snprintf(anew.path, sizeof anew.path, "%s.new", journal->path);
    if (length >= (int)sizeof anew.path) {
        return sl_fail(SL_EMSGSIZE, "a work queue's file: the path is too long");
    }
    anew.file = open(anew.path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    int code = anew.file < 0                             ? -errno
               : flock(anew.file, LOCK_EX | LOCK_NB) < 0 ? SL_EBUSY
                                                         : write_new(&anew, tell, arg);
    if (code == 0 && rename(anew.path, journal->path) < 0) {
        code = -errno;
    }
    if (code < 0) {
        if (anew.file >= 0) {
            (void)close(anew.file);
        }
        return sl_fail(code, "a work queue's file '%s': %s", journal->path, sl_strerror(code));
    }
    if (journal->file >= 0) {
        (void)close(journal->file);
    }
    journal->file = anew.file;
    journal->bytes = anew.bytes;
    journal->bytes_first = anew.bytes_first;
    return 0;
}

void sl__work_journal_tidy(struct sl__work_journal *journal, sl__work_tell_fn tell, void *arg)
{
    if (journal->file >= 0 && journal->bytes > 2 * journal->bytes_first + GROWTH_BYTES) {
        journal->bytes_first = journal->bytes; /* not again soon if this fails */
        if (sl__work_journal_renew(journal, tell, arg) < 0) {
            sl_log(SL_LOG_WARNING, "a work queue's file could not be written anew");
        }
    }
}

void sl__work_journal_close(struct sl__work_journal *journal)
{
    if (journal->file >= 0) {
        (void)close(journal->file);
    }
}
