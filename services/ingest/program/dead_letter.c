/* SPDX-License-Identifier: MIT */
/* Two buffers, one that fills while the other is written. See dead_letter.h. */
#include "ingest/program/dead_letter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sluice/json_write.h"
#include "sluice/log_record.h"
#include "sluice/scope.h"
#include "sluice/thread.h"

#define PATH_BYTES 1024
#define SUFFIX ".old"

/* What may be spent on waiting for a thread that writes, also when the program ends. */
#define WRITE_BUDGET SL_SECONDS(2)

struct sl_dead_letters {
    char path[PATH_BYTES], old_path[PATH_BYTES + sizeof SUFFIX];
    uint64_t max_bytes;
    char *filling, *writing; /* SL_DEAD_LETTER_QUEUE_BYTES each */
    size_t bytes, lines;     /* in `filling` */
    size_t writing_bytes;
    bool turned;  /* by the last write */
    bool tried;   /* to write, at the start: a path that cannot be is told then, not with the first letter */
    bool failing; /* the last write failed, and that was told */
    sl_event wake;
    uint64_t problems[SL_DEAD_LETTER_PROBLEMS]; /* their hashes */
    size_t problem_count;
    struct sl_dead_letter_stats stats;
};

int sl_dead_letters_open(const char *path, uint64_t max_bytes, sl_dead_letters **ret_letters)
{
    if (path != NULL && strlen(path) >= PATH_BYTES) {
        return sl_fail(SL_EMSGSIZE, "dead_letter.path is too long");
    }
    size_t room = path == NULL ? 0 : 2 * SL_DEAD_LETTER_QUEUE_BYTES;
    sl_dead_letters *letters = sl_calloc(1, sizeof *letters + room);
    if (letters == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for dead letters");
    }
    if (path != NULL) {
        (void)snprintf(letters->path, sizeof letters->path, "%s", path);
        (void)snprintf(letters->old_path, sizeof letters->old_path, "%s%s", path, SUFFIX);
        letters->filling = (char *)(letters + 1);
        letters->writing = letters->filling + SL_DEAD_LETTER_QUEUE_BYTES;
    }
    letters->max_bytes = max_bytes;
    sl_event_init(&letters->wake);
    *ret_letters = letters;
    return 0;
}

void sl_dead_letters_close(sl_dead_letters *letters)
{
    sl_free(letters);
}

/* ---- lines ---- */

static uint64_t hash_problem(const char *service, int code, const char *problem)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)(unsigned)code;
    for (int part = 0; part < 2; part++) {
        for (const char *at = part == 0 ? service : problem; *at != '\0'; at++) {
            hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
        }
    }
    return hash;
}

/* Whether nobody was told of it yet. */
static bool is_new(sl_dead_letters *letters, uint64_t hash)
{
    for (size_t at = 0; at < letters->problem_count; at++) {
        if (letters->problems[at] == hash) {
            return false;
        }
    }
    if (letters->problem_count == SL_DEAD_LETTER_PROBLEMS) {
        return false;
    }
    letters->problems[letters->problem_count++] = hash;
    return true;
}

static void put_hex(sl_json_writer *out, const char *text, size_t size_bytes)
{
    static const char digits[] = "0123456789abcdef";
    char hex[512];
    size_t bytes = size_bytes < sizeof hex / 2 ? size_bytes : sizeof hex / 2;
    for (size_t at = 0; at < bytes; at++) {
        hex[2 * at] = digits[(unsigned char)text[at] >> 4];
        hex[2 * at + 1] = digits[(unsigned char)text[at] & 15];
    }
    sl_json_put_key(out, "hex");
    sl_json_put_string(out, hex, 2 * bytes);
}

/* One line at the end of the buffer: 0, or why not. */
static int write_line(sl_dead_letters *letters, const char *service, sl_venue venue,
                      const struct sl_bad_message *message, bool as_text)
{
    size_t size = message->size_bytes < SL_DEAD_LETTER_TEXT_BYTES ? message->size_bytes : SL_DEAD_LETTER_TEXT_BYTES;
    while (size < message->size_bytes && size > 0 && ((unsigned char)message->text[size] & 0xC0) == 0x80) {
        size--; /* not within a character */
    }
    sl_json_writer out;
    sl_json_writer_init_in(&out, letters->filling + letters->bytes, SL_DEAD_LETTER_QUEUE_BYTES - letters->bytes);
    sl_json_begin_object(&out);
    sl_json_put_key(&out, "time");
    sl_json_put_int64(&out, message->receive_time_ns);
    sl_json_put_key_text(&out, "service", service);
    sl_json_put_key_text(&out, "venue", sl_venue_name(venue));
    sl_json_put_key_uint64(&out, "connection",
                           message->connection == NULL ? 0 : sl_connection_number(message->connection));
    sl_json_put_key_text(&out, "code", sl_error_name(message->code));
    char reason[SL_VENUE_PROBLEM_MAX];
    (void)snprintf(reason, sizeof reason, "%s", message->problem);
    for (char *at = reason; !as_text && *at != '\0'; at++) { /* it may quote what came */
        *at = (unsigned char)*at < 0x80 ? *at : '?';
    }
    sl_json_put_key_text(&out, "reason", reason);
    sl_json_put_key_uint64(&out, "bytes", message->size_bytes);
    if (as_text) {
        sl_json_put_key(&out, "text");
        sl_json_put_string(&out, message->text, size);
    } else {
        put_hex(&out, message->text, size);
    }
    sl_json_end_object(&out);
    sl_json_text line;
    SL_TRY(sl_json_writer_finish(&out, &line));
    letters->bytes += line.size_bytes;
    letters->filling[letters->bytes++] = '\n'; /* where the writer's NUL was */
    letters->lines++;
    return 0;
}

bool sl_dead_letters_put(sl_dead_letters *letters, const char *service, sl_venue venue,
                         const struct sl_bad_message *message)
{
    if (letters == NULL) {
        return true;
    }
    bool unknown = message->code == SL_ENOTSUP;
    letters->stats.unknown += unknown;
    letters->stats.bad += !unknown;
    bool told = !is_new(letters,
                        hash_problem(service, message->code, message->like != NULL ? message->like : message->problem));
    if (letters->path[0] == '\0' || (unknown && told)) {
        return !told;
    }
    int code = write_line(letters, service, venue, message, true);
    if (code == SL_EINVAL) { /* no UTF-8 */
        code = write_line(letters, service, venue, message, false);
    }
    letters->stats.dropped += code < 0;
    sl_event_set(&letters->wake);
    return !told;
}

/* ---- the file ---- */

/* On a worker thread: appends all of `writing`. */
static int append(void *arg)
{
    sl_dead_letters *letters = arg;
    struct stat info;
    letters->turned = false;
    if (stat(letters->path, &info) == 0 && info.st_size > 0 &&
        (uint64_t)info.st_size + letters->writing_bytes > letters->max_bytes / 2) {
        if (rename(letters->path, letters->old_path) < 0) {
            return sl_fail(-errno, "%s cannot become %s: %s", letters->path, letters->old_path, sl_strerror(-errno));
        }
        letters->turned = true;
    }
    int file = open(letters->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0) {
        return sl_fail(-errno, "%s: %s", letters->path, sl_strerror(-errno));
    }
    int code = 0;
    off_t before = lseek(file, 0, SEEK_END);
    for (size_t done = 0; done < letters->writing_bytes && code == 0;) {
        ssize_t wrote = write(file, letters->writing + done, letters->writing_bytes - done);
        code = wrote < 0 && errno != EINTR ? -errno : 0;
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    if (code < 0 && before >= 0 && ftruncate(file, before) < 0) { /* no line without its end stays before others */
        code = -errno;
    }
    (void)close(file);
    return code < 0 ? sl_fail(code, "%s: %s", letters->path, sl_strerror(code)) : 0;
}

/* Also when it is cancelled: those are the last ones. */
static void write_out(sl_dead_letters *letters)
{
    if (letters->path[0] == '\0' || (letters->bytes == 0 && letters->tried)) {
        return;
    }
    letters->tried = true;
    char *full = letters->filling;
    size_t lines = letters->lines;
    letters->filling = letters->writing;
    letters->writing = full;
    letters->writing_bytes = letters->bytes;
    letters->bytes = letters->lines = 0;
    SL_SCOPE(shield, .name = "dead letters", .shield = true, .timeout = WRITE_BUDGET);
    int code = sl_scope_close(&shield, sl_offload(append, letters));
    letters->stats.turned += letters->turned;
    letters->stats.written += code == 0 ? lines : 0;
    if (code < 0) {
        letters->stats.dropped += lines;
        (void)snprintf(letters->stats.problem, sizeof letters->stats.problem, "%s", sl_strerror(code));
    }
    if (code < 0 && !letters->failing) { /* once, until it works again */
        sl_log_with(SL_LOG_WARNING, "dead letters could not be written", sl_field_text("path", letters->path),
                    sl_field_code("code", code));
    } else if (code == 0 && letters->failing) {
        letters->stats.problem[0] = '\0';
        sl_log_with(SL_LOG_INFO, "dead letters are written again", sl_field_text("path", letters->path),
                    sl_field_uint("dropped", letters->stats.dropped));
    }
    letters->failing = code < 0;
}

int sl_dead_letters_run(void *arg)
{
    sl_dead_letters *letters = arg;
    int code = 0;
    write_out(letters);
    while (code == 0) {
        code = sl_event_wait(&letters->wake);
        sl_event_reset(&letters->wake);
        write_out(letters);
    }
    return code;
}

const struct sl_dead_letter_stats *sl_dead_letters_get_stats(const sl_dead_letters *letters)
{
    return &letters->stats;
}
