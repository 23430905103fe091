/* SPDX-License-Identifier: MIT */
/*
 * Where positions are kept: a hash for each partition in Redis, or one file. Who has an older token than the one in the hash
 * is refused there: its partition is another's.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "ingest/replicas/replicas_internal.h"
#include "sluice/thread.h"

/* Pairs in one script call, below SL_REDIS_SCRIPT_PIECES_MAX. */
#define PAIRS_MAX 90

/* A group that nobody runs any more is forgotten. */
#define KEPT_FOR_MS "604800000"

#define FILE_LINE_MAX (SL_POSITION_KEY_MAX + 32)
#define FILE_MAX_BYTES ((size_t)1 << 30)

/* What is said of a lease whose holder follows the partition. */
#define OPEN "@open:"

/* ---- scripts; KEYS[1] is the hash, ARGV[1] our token ---- */

/* ARGV[2]: how long it is kept; [3]: our token of before, which this one goes on from. */
static const char open_script[] =
    "redis.call('HDEL', KEYS[1], '" OPEN "' .. ARGV[3]) redis.call('HSET', KEYS[1], '" OPEN "' .. ARGV[1], 'owned') "
    "redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1";

/* KEYS[2]: the members. Leases that are newer than ours are no business of ours. */
static const char look_script[] =
    "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) "
    "local out = redis.call('HMGET', KEYS[1], '@fence', '@live', '@seen') for i = 1, 3 do out[i] = out[i] or '0' end "
    "out[4] = redis.call('ZCOUNT', KEYS[2], '(' .. string.format('%.0f', now), '+inf') out[5] = 0 out[6] = 0 "
    "local all = redis.call('HGETALL', KEYS[1]) for i = 1, #all, 2 do local f = string.match(all[i], '^" OPEN
    "(%d+)$') "
    "if f and tonumber(f) < tonumber(ARGV[1]) then "
    "out[5] = out[5] + 1 if all[i + 1] == 'handing' then out[6] = out[6] + 1 end end end return out";

/* ARGV[2]: how long it is kept. Gives all, or nothing when a newer owner was here; those before us are accounted for. */
static const char take_script[] =
    "local f = redis.call('HGET', KEYS[1], '@fence') if f and tonumber(f) > tonumber(ARGV[1]) then return {} end "
    "local all = redis.call('HGETALL', KEYS[1]) redis.call('HSET', KEYS[1], '@fence', ARGV[1], '@seen', '0') "
    "for i = 1, #all, 2 do local o = string.match(all[i], '^" OPEN "(%d+)$') "
    "if o and tonumber(o) < tonumber(ARGV[1]) then redis.call('HDEL', KEYS[1], all[i]) end end "
    "redis.call('PEXPIRE', KEYS[1], ARGV[2]) return all";

static const char live_script[] =
    "local f = redis.call('HGET', KEYS[1], '@live') if f and tonumber(f) >= tonumber(ARGV[1]) then return 0 end "
    "redis.call('HSET', KEYS[1], '@live', ARGV[1]) return 1";

/* ARGV[2]: how it stands with us, 'left': in order; [3]: the heir. One whose word is not waited for any more says none. */
static const char tell_script[] =
    "local open = '" OPEN "' .. ARGV[1] if redis.call('HEXISTS', KEYS[1], open) == 0 then return 0 end "
    "if ARGV[2] ~= 'left' then redis.call('HSET', KEYS[1], open, ARGV[2]) return 1 end "
    "redis.call('HDEL', KEYS[1], open) "
    "if redis.call('HGET', KEYS[1], '@fence') == ARGV[1] then redis.call('HSET', KEYS[1], '@seen', ARGV[3]) end return "
    "1";

/* ARGV[2]: how long it is kept, field, value... */
static const char save_script[] =
    "local f = redis.call('HGET', KEYS[1], '@fence') if f and tonumber(f) > tonumber(ARGV[1]) then return 0 end "
    "for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end "
    "redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1";

/* A call on a partition's hash. */
static int call(const sl_replicas *replicas, uint32_t index, const char *script, const struct sl_bytes *arguments,
                size_t count, sl_redis_reply **ret_reply)
{
    char hash[96], members[96];
    (void)snprintf(hash, sizeof hash, "sluice:{%s}:position:%" PRIu32, replicas->conf->group, index);
    (void)snprintf(members, sizeof members, "sluice:{%s}:members", replicas->conf->group);
    const struct sl_bytes keys[] = {sl_redis_text(hash), sl_redis_text(members)};
    const struct sl_redis_eval eval = {.script = script,
                                       .keys = keys,
                                       .keys_count = 2,
                                       .arguments = arguments,
                                       .arguments_count = count,
                                       .timeout = replicas->conf->ttl / 3,
                                       .idempotent = true};
    return sl_redis_eval(replicas->redis, &eval, ret_reply);
}

/* A number as an argument. */
struct number {
    char text[24];
};

static struct sl_bytes put_number(int64_t value, struct number *text)
{
    (void)snprintf(text->text, sizeof text->text, "%" PRId64, value);
    return sl_redis_text(text->text);
}

static int redis_look(const sl_replicas *replicas, const struct sl__replica_part *part, struct sl__told *ret_told)
{
    struct number fence;
    int64_t open = 0, handing = 0;
    const struct sl_bytes argument = put_number(part->fence, &fence);
    sl_auto(sl_redis_reply) *reply = NULL;
    SL_TRY(call(replicas, part->index, look_script, &argument, 1, &reply));
    struct sl_redis_value all = sl_redis_reply_value(reply);
    int64_t *const numbers[] = {&ret_told->fence,   &ret_told->live, &ret_told->seen,
                                &ret_told->members, &open,           &handing};
    for (size_t at = 0; at < sizeof numbers / sizeof *numbers; at++) {
        struct sl_redis_value number = sl_redis_value_at(&all, at);
        SL_TRY(sl_redis_value_int(&number, numbers[at]));
    }
    ret_told->open = (size_t)open;
    ret_told->handing = (size_t)handing;
    return 0;
}

static int redis_take(sl_replicas *replicas, const struct sl__replica_part *part, bool seamless)
{
    struct number fence;
    const struct sl_bytes arguments[] = {put_number(part->fence, &fence), sl_redis_text(KEPT_FOR_MS)};
    sl_auto(sl_redis_reply) *reply = NULL;
    SL_TRY(call(replicas, part->index, take_script, arguments, 2, &reply));
    struct sl_redis_value all = sl_redis_reply_value(reply), key, value;
    struct sl_redis_list list = sl_redis_value_list(&all);
    while (sl_redis_list_next(&list, &key) && sl_redis_list_next(&list, &value)) {
        int64_t id = 0;
        if (key.type == SL_REDIS_STRING && key.text[0] != '@' && sl_redis_value_int(&value, &id) == 0) {
            int code = sl_positions_expect(replicas->positions, key.text, id, seamless);
            SL_TRY(code == SL_EINVAL ? 0 : code);
        }
    }
    return 0;
}

/* ---- saving to Redis ---- */

/* Pairs of one partition on their way. */
struct saving {
    sl_replicas *replicas;
    const struct sl__replica_part *part;
    char (*keys)[SL_POSITION_KEY_MAX];
    char (*ids)[24];
    size_t count;
    int code;
};

static int flush(struct saving *saving)
{
    struct number fence;
    struct sl_bytes arguments[2 + 2 * PAIRS_MAX];
    size_t count = 0;
    if (saving->count == 0) {
        return 0;
    }
    arguments[count++] = put_number(saving->part->fence, &fence);
    arguments[count++] = sl_redis_text(KEPT_FOR_MS);
    for (size_t at = 0; at < saving->count; at++) {
        arguments[count++] = sl_redis_text(saving->keys[at]);
        arguments[count++] = sl_redis_text(saving->ids[at]);
    }
    saving->count = 0;
    return call(saving->replicas, saving->part->index, save_script, arguments, count, NULL);
}

static int put(struct saving *saving, const char *key, int64_t id)
{
    if (saving->count == PAIRS_MAX) {
        SL_TRY(flush(saving));
    }
    (void)snprintf(saving->keys[saving->count], SL_POSITION_KEY_MAX, "%s", key);
    (void)snprintf(saving->ids[saving->count], sizeof saving->ids[0], "%" PRId64, id);
    saving->count++;
    return 0;
}

static int put_reached(void *arg, const char *service, const sl_instrument *instrument, sl_feed feed, int64_t id)
{
    struct saving *saving = arg;
    char key[SL_POSITION_KEY_MAX];
    if (sl__replicas_partition_of(saving->replicas, instrument) != saving->part->index) {
        return 0;
    }
    (void)sl_position_key(service, instrument, feed, key);
    return put(saving, key, id);
}

/* "SERVICE SYMBOL FEED": the symbol decides whose it is. */
static bool is_of(const sl_replicas *replicas, const char *key, uint32_t index)
{
    char symbol[SL_SYMBOL_MAX];
    const char *begin = strchr(key, ' ');
    const char *end = begin == NULL ? NULL : strchr(begin + 1, ' ');
    if (end == NULL || (size_t)(end - begin) > sizeof symbol) {
        return false;
    }
    size_t length = (size_t)(end - begin) - 1;
    memcpy(symbol, begin + 1, length);
    symbol[length] = '\0';
    return sl_partition_of(symbol, replicas->count) == index;
}

static void put_expected(void *arg, const char *key, int64_t id)
{
    struct saving *saving = arg;
    if (saving->code == 0 && is_of(saving->replicas, key, saving->part->index)) {
        saving->code = put(saving, key, id);
    }
}

static bool fits_part(void *arg, const sl_instrument *instrument)
{
    const struct saving *saving = arg;
    return sl__replicas_partition_of(saving->replicas, instrument) == saving->part->index;
}

static int save_part(struct saving *saving, bool last)
{
    SL_TRY(sl_positions_each(saving->replicas->positions, true, put_reached, saving));
    if (last) { /* behind the others: they are how the services ended */
        sl_positions_each_expected(saving->replicas->positions, put_expected, saving);
        SL_TRY(saving->code);
    }
    SL_TRY(flush(saving));
    if (!last) {
        sl_positions_stored(saving->replicas->positions, fits_part, saving);
    }
    return 0;
}

static int redis_save(sl_replicas *replicas, bool last)
{
    struct saving saving = {.replicas = replicas};
    saving.keys = sl_calloc(PAIRS_MAX, sizeof *saving.keys);
    saving.ids = sl_calloc(PAIRS_MAX, sizeof *saving.ids);
    int code = saving.keys == NULL || saving.ids == NULL ? sl_fail(SL_ENOMEM, "out of memory for positions") : 0;
    for (uint32_t at = 0; at < replicas->count && code == 0; at++) {
        const struct sl__replica_part *part = saving.part = &replicas->all[at];
        bool ours = part->state != SL__PART_AWAY && part->joined;
        saving.count = 0;
        if (last ? ours : sl__replicas_may_save(replicas, part)) {
            code = save_part(&saving, last);
        }
        if (last && code == 0 && part->state != SL__PART_AWAY) {
            code = sl__store_left(replicas, part, ours && sl__replicas_is_told(replicas, part));
        }
    }
    sl_free(saving.keys);
    sl_free(saving.ids);
    return code;
}

/* ---- the file: lines "ID KEY", and one more until a process that follows anything has ended in order ---- */

#define FILE_OPEN "0 @open\n"

struct file_text {
    const char *path;
    char *text;
    size_t size, capacity;
    int code;
};

/* Room for one more line. */
static bool reserve_line(struct file_text *file)
{
    if (file->code == 0 && file->size + FILE_LINE_MAX > file->capacity) {
        size_t capacity = 2 * file->size + (size_t)64 * 1024;
        char *text = sl_realloc(file->text, capacity);
        if (text == NULL) {
            file->code = sl_fail(SL_ENOMEM, "out of memory for positions");
            return false;
        }
        file->text = text;
        file->capacity = capacity;
    }
    return file->code == 0;
}

static void add_line(void *arg, const char *key, int64_t id)
{
    struct file_text *file = arg;
    if (!reserve_line(file)) {
        return;
    }
    int size = snprintf(file->text + file->size, file->capacity - file->size, "%" PRId64 " %s\n", id, key);
    file->size += size < 0 ? 0 : (size_t)size;
}

static int add_reached(void *arg, const char *service, const sl_instrument *instrument, sl_feed feed, int64_t id)
{
    char key[SL_POSITION_KEY_MAX];
    (void)sl_position_key(service, instrument, feed, key);
    add_line(arg, key, id);
    return ((struct file_text *)arg)->code;
}

static int count_one(void *arg, const char *service, const sl_instrument *instrument, sl_feed feed, int64_t id)
{
    (void)service;
    (void)instrument;
    (void)feed;
    (void)id;
    ++*(size_t *)arg;
    return 0;
}

/* On a thread: the old file stays whole until the new one is. */
static int write_file(void *arg)
{
    const struct file_text *file = arg;
    char path[4096];
    int size = snprintf(path, sizeof path, "%s.new", file->path);
    if (size < 0 || (size_t)size >= sizeof path) {
        return sl_fail(SL_EINVAL, "the path of the positions is too long");
    }
    int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (descriptor < 0) {
        return sl_fail(-errno, "'%s': %s", path, strerror(errno));
    }
    size_t written = 0;
    int code = 0;
    while (written < file->size && code == 0) {
        ssize_t now = write(descriptor, file->text + written, file->size - written);
        code = now < 0 && errno != EINTR ? -errno : 0;
        written += now < 0 ? 0 : (size_t)now;
    }
    code = code == 0 && fsync(descriptor) < 0 ? -errno : code;
    (void)close(descriptor);
    code = code == 0 && rename(path, file->path) < 0 ? -errno : code;
    return code == 0 ? 0 : sl_fail(code, "'%s': %s", path, strerror(-code));
}

static void add_open(struct file_text *file)
{
    if (reserve_line(file)) {
        memcpy(file->text + file->size, FILE_OPEN, sizeof FILE_OPEN - 1);
        file->size += sizeof FILE_OPEN - 1;
    }
}

/* Whether all that happened ahead of us was told, so that no more than the positions has to be known. */
static bool ends_in_order(const sl_replicas *replicas)
{
    bool in_order = true;
    for (uint32_t at = 0; at < replicas->count; at++) {
        const struct sl__replica_part *part = &replicas->all[at];
        in_order = in_order && (part->state == SL__PART_AWAY || sl__replicas_is_told(replicas, part));
    }
    return in_order;
}

/* Those that nobody has gone on from stay as they are, or (a second line on the same) are how a service ended. */
static int file_save(sl_replicas *replicas, bool last)
{
    struct file_text file = {.path = replicas->conf->positions};
    if (file.path == NULL || !replicas->file_taken) { /* what was not read is not overwritten */
        return 0;
    }
    size_t due = 0;
    SL_TRY(sl_positions_each(replicas->positions, true, count_one, &due));
    if (!last && due == 0) {
        return 0;
    }
    int noted = sl_positions_each(replicas->positions, false, add_reached, &file);
    file.code = noted < 0 ? noted : file.code;
    sl_positions_each_expected(replicas->positions, add_line, &file);
    if (!last || !ends_in_order(replicas)) {
        add_open(&file);
    }
    int code = file.code == 0 ? sl_offload(write_file, &file) : file.code;
    sl_free(file.text);
    if (code == 0 && !last) {
        sl_positions_stored(replicas->positions, NULL, NULL);
    }
    return code;
}

static int read_file(void *arg)
{
    struct file_text *file = arg;
    FILE *stream = fopen(file->path, "re");
    if (stream == NULL) {
        return errno == ENOENT ? 0 : sl_fail(-errno, "'%s': %s", file->path, strerror(errno));
    }
    int code = fseek(stream, 0, SEEK_END) < 0 ? SL_EINVAL : 0;
    long size = code == 0 ? ftell(stream) : -1;
    if (size < 0 || (size_t)size > FILE_MAX_BYTES || fseek(stream, 0, SEEK_SET) < 0) {
        code = sl_fail(SL_EINVAL, "'%s' is no file of positions", file->path);
    }
    file->text = code == 0 ? sl_calloc(1, (size_t)size + 1) : NULL;
    if (code == 0 && file->text == NULL) {
        code = sl_fail(SL_ENOMEM, "out of memory for positions");
    }
    if (code == 0) {
        file->size = fread(file->text, 1, (size_t)size, stream);
    }
    (void)fclose(stream);
    return code;
}

/* What is no line of ours is passed over: it names nothing that is followed. */
static int expect_lines(sl_replicas *replicas, char *text)
{
    for (char *line = text, *next = NULL; line != NULL && *line != '\0'; line = next) {
        next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        char *key = NULL;
        errno = 0;
        long long id = strtoll(line, &key, 10);
        if (errno == 0 && key != line && *key == ' ' && key[1] != '\0' && key[1] != '@') {
            int code = sl_positions_expect(replicas->positions, key + 1, id, false);
            SL_TRY(code == SL_EINVAL ? 0 : code);
        }
    }
    return 0;
}

/* All partitions are in the one file: it is read for the first of them. */
static int file_take(sl_replicas *replicas)
{
    struct file_text file = {.path = replicas->conf->positions};
    if (file.path == NULL || replicas->file_taken) {
        return 0;
    }
    int code = sl_offload(read_file, &file);
    code = code == 0 && file.text != NULL ? expect_lines(replicas, file.text) : code;
    sl_free(file.text);
    replicas->file_taken = code == 0;
    return code;
}

/* Whether an earlier process has not taken back that it follows something. */
static bool says_open(const struct file_text *file)
{
    const char *found = file->text == NULL ? NULL : strstr(file->text, FILE_OPEN);
    while (found != NULL && found != file->text && found[-1] != '\n') {
        found = strstr(found + 1, FILE_OPEN);
    }
    return found != NULL;
}

/* A disk that does not take it keeps nobody from following: saving positions tells of it, and tries it again. */
static int file_open(sl_replicas *replicas)
{
    struct file_text file = {.path = replicas->conf->positions};
    if (file.path == NULL || replicas->file_opened) {
        return 0;
    }
    int code = sl_offload(read_file, &file);
    if (code == 0 && says_open(&file)) {
        replicas->file_unclean = true;
    } else if (code == 0) {
        add_open(&file);
        code = file.code == 0 ? sl_offload(write_file, &file) : file.code;
    }
    sl_free(file.text);
    replicas->file_opened = code == 0;
    return code == SL_ECANCELED || code == SL_ENOMEM ? code : 0;
}

/* ---- either ---- */

/* Not the file itself: each time that it is written it is another one. */
int sl__store_lock(sl_replicas *replicas)
{
    char path[4096];
    const char *file = replicas->redis == NULL ? replicas->conf->positions : NULL;
    if (file == NULL || (size_t)snprintf(path, sizeof path, "%s.lock", file) >= sizeof path) {
        return 0;
    }
    replicas->file_lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (replicas->file_lock >= 0 && flock(replicas->file_lock, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
        return sl_fail(SL_EBUSY, "coordination.positions '%s': another process keeps its own there", file);
    }
    return 0;
}

int sl__store_open(sl_replicas *replicas, uint32_t index, int64_t fence, int64_t before)
{
    struct number texts[2];
    if (replicas->redis == NULL) {
        return file_open(replicas);
    }
    const struct sl_bytes arguments[] = {put_number(fence, &texts[0]), sl_redis_text(KEPT_FOR_MS),
                                         put_number(before, &texts[1])};
    return call(replicas, index, open_script, arguments, 3, NULL);
}

int sl__store_look(sl_replicas *replicas, const struct sl__replica_part *part, struct sl__told *ret_told)
{
    *ret_told = (struct sl__told){.open = replicas->file_unclean};
    return replicas->redis == NULL ? 0 : redis_look(replicas, part, ret_told);
}

int sl__store_take(sl_replicas *replicas, const struct sl__replica_part *part, bool seamless)
{
    return replicas->redis == NULL ? file_take(replicas) : redis_take(replicas, part, seamless);
}

int sl__store_live(sl_replicas *replicas, const struct sl__replica_part *part)
{
    struct number fence;
    const struct sl_bytes argument = put_number(part->fence, &fence);
    return replicas->redis == NULL ? 0 : call(replicas, part->index, live_script, &argument, 1, NULL);
}

static int tell(const sl_replicas *replicas, const struct sl__replica_part *part, const char *state)
{
    struct number texts[2];
    if (replicas->redis == NULL) {
        return 0;
    }
    const struct sl_bytes arguments[] = {put_number(part->fence, &texts[0]), sl_redis_text(state),
                                         put_number(part->heir, &texts[1])};
    return call(replicas, part->index, tell_script, arguments, 3, NULL);
}

int sl__store_handing(sl_replicas *replicas, const struct sl__replica_part *part)
{
    return tell(replicas, part, "handing");
}

int sl__store_left(sl_replicas *replicas, const struct sl__replica_part *part, bool in_order)
{
    return tell(replicas, part, in_order ? "left" : "gone");
}

int sl__store_save(sl_replicas *replicas)
{
    return replicas->redis == NULL ? file_save(replicas, false) : redis_save(replicas, false);
}

int sl__store_save_last(sl_replicas *replicas)
{
    return replicas->redis == NULL ? file_save(replicas, true) : redis_save(replicas, true);
}
