/* SPDX-License-Identifier: MIT */
/* From an entry of `sinks` to an outlet: the sink of its kind, and what is the same for all around it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ingest/program.h"
#include "sinks/file.h"
#include "sinks/redis.h"
#include "sinks/sqlite.h"

#define PATH_BYTES 1024

/* A path with <sink> and <replica> in it; nothing else has a mark, as check has seen. */
static int make_path(const struct sl_conf *conf, const char *name, const char *text, char buffer[PATH_BYTES])
{
    char replica[128] = "0";
    if (conf->coordination.replica != NULL) {
        (void)snprintf(replica, sizeof replica, "%s", conf->coordination.replica);
    } else {
        (void)gethostname(replica, sizeof replica - 1);
    }
    size_t used = 0;
    while (*text != '\0') {
        const char *put = NULL;
        size_t length = 1;
        if (strncmp(text, "<sink>", 6) == 0) {
            put = name;
            length = 6;
        } else if (strncmp(text, "<replica>", 9) == 0) {
            put = replica;
            length = 9;
        }
        int size = put != NULL ? snprintf(buffer + used, PATH_BYTES - used, "%s", put)
                               : snprintf(buffer + used, PATH_BYTES - used, "%c", *text);
        if (size < 0 || (size_t)size >= PATH_BYTES - used) {
            return sl_fail(SL_EINVAL, "sinks.%s.path is too long", name);
        }
        used += (size_t)size;
        text += length;
    }
    return 0;
}

static int make_file(const struct sl_conf *conf, const char *name, const struct sl_conf_file *file, sl_sink **ret_sink)
{
    char path[PATH_BYTES];
    SL_TRY(make_path(conf, name, file->path, path));
    sl_file_options options = {.path = path,
                               .zstd = file->compression == SL_CONF_COMPRESSION_ZSTD,
                               .level = (int)file->level,
                               .rotate_bytes = file->rotate_bytes,
                               .rotate_age = file->rotate,
                               .sync = file->sync};
    return sl_file_sink_new(&options, ret_sink);
}

static int make_sqlite(const struct sl_conf *conf, const char *name, const struct sl_conf_sqlite *sqlite,
                       sl_sink **ret_sink)
{
    char path[PATH_BYTES];
    SL_TRY(make_path(conf, name, sqlite->path, path));
    sl_sqlite_options options = {
        .path = path, .busy_timeout_ms = (int)(sqlite->busy_timeout / SL_MILLISECONDS(1)), .sync_full = sqlite->sync};
    return sl_sqlite_sink_new(&options, ret_sink);
}

static int make_redis(const char *name, const struct sl_conf_redis *redis, sl_sink **ret_sink)
{
    struct sl_redis_options client = {.url = redis->url.text, .password = redis->password, .name = "sluice"};
    sl_redis_sink_options options = {.client = &client,
                                     .name = name,
                                     .stream = redis->stream,
                                     .max_events = redis->max_length == 0 ? UINT64_MAX : redis->max_length};
    return sl_redis_sink_new(&options, ret_sink);
}

static int make_sink(const struct sl_conf *conf, const char *name, const struct sl_config_variant *variant,
                     sl_sink **ret_sink)
{
    switch (sl_conf_sink_kind(variant)) {
    case SL_CONF_FILE:
        return make_file(conf, name, variant->value, ret_sink);
    case SL_CONF_SQLITE:
        return make_sqlite(conf, name, variant->value, ret_sink);
    case SL_CONF_REDIS:
        return make_redis(name, variant->value, ret_sink);
    default:
        return sl_fail(SL_ENOTSUP, "sinks.%s: this kind of sink is not there yet", name);
    }
}

int sl__make_outlet(const struct sl_conf *conf, const char *name, const struct sl_config_variant *variant,
                    sl_outlet **ret_outlet)
{
    static const sl_when_full policies[] = {[SL_CONF_FULL_BLOCK] = SL_FULL_BLOCK,
                                            [SL_CONF_FULL_SPOOL] = SL_FULL_SPOOL,
                                            [SL_CONF_FULL_DROP_OLDEST] = SL_FULL_DROP_OLDEST,
                                            [SL_CONF_FULL_CONFLATE] = SL_FULL_CONFLATE};
    const struct sl_conf_sink *common = sl_conf_sink(variant);
    const struct sl_conf_retry *retry = common->retry == NULL ? NULL : sl_config_map_find(&conf->retry, common->retry);
    char folder[PATH_BYTES];
    (void)snprintf(folder, sizeof folder, "%s", common->spool.path == NULL ? "" : common->spool.path);
    if (common->spool.path == NULL) {
        (void)snprintf(folder, sizeof folder, "%s/%s", conf->spool.path == NULL ? "spool" : conf->spool.path, name);
    }
    sl_sink *sink = NULL;
    SL_TRY(make_sink(conf, name, variant, &sink));
    sl_outlet_options options = {.name = name,
                                 .queue_bytes = common->queue_bytes,
                                 .queue_events = common->queue,
                                 .when_full = policies[common->when_full],
                                 .batch_events = common->batch,
                                 .batch_bytes = common->batch_bytes,
                                 .batch_age = common->flush,
                                 .write_timeout = common->timeout == 0 ? SL_NEVER : common->timeout,
                                 .drain = common->stop_within,
                                 .spool = {.folder = folder,
                                           .max_bytes = common->spool.max_bytes,
                                           .segment_bytes = common->spool.segment_bytes,
                                           .sync = common->spool.sync}};
    if (retry != NULL) {
        options.retry =
            (struct sl_backoff){.initial = retry->initial, .max = retry->max, .multiplier = retry->multiplier};
    }
    return sl_outlet_new(&options, sink, ret_outlet);
}
