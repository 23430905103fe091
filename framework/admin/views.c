/* SPDX-License-Identifier: MIT */
/* What the endpoint shows of itself, the runtime and the health of the program. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin.h"
#include "sluice/runtime.h"

#define REASON_BYTES 200

void sl__admin_tasks(void *admin, sl_json_writer *out)
{
    (void)admin;
    char *tree = sl_tree_json();
    sl_json_begin_object(out);
    sl_json_put_key_uint64(out, "time_ms", (uint64_t)(sl_now_wall() / SL_MILLISECONDS(1)));
    sl_json_put_key(out, "tasks");
    if (tree == NULL) {
        sl_json_put_null(out);
    } else {
        size_t bytes = strlen(tree);
        sl_json_put_json(out, tree, bytes > 0 && tree[bytes - 1] == '\n' ? bytes - 1 : bytes);
    }
    sl_json_end_object(out);
    sl_free(tree);
}

static void put_quantiles(sl_json_writer *out, const char *key, const struct sl_histogram *histogram)
{
    sl_json_put_key(out, key);
    sl_json_begin_object(out);
    sl_json_put_key_double(out, "p50", (double)sl_histogram_quantile(histogram, 0.5) / 1e9);
    sl_json_put_key_double(out, "p99", (double)sl_histogram_quantile(histogram, 0.99) / 1e9);
    sl_json_put_key_double(out, "max", (double)sl_histogram_quantile(histogram, 1) / 1e9);
    sl_json_end_object(out);
}

static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    char text[64] = "";
    if (file != NULL) {
        (void)!fgets(text, sizeof text, file);
        (void)fclose(file);
        const char *at = strchr(text, ' ');
        for (at = at == NULL ? "" : at + 1; *at >= '0' && *at <= '9'; at++) {
            pages = pages * 10 + (unsigned long)(*at - '0');
        }
    }
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

void sl__admin_runtime(void *arg, sl_json_writer *out)
{
    const sl_admin *admin = arg;
    struct sl_statistics now = {0};
    (void)sl_statistics_get(&now);
    sl_json_begin_object(out);
    sl_json_put_key_uint64(out, "time_ms", (uint64_t)(sl_now_wall() / SL_MILLISECONDS(1)));
    sl_json_put_key_double(out, "uptime_seconds", (double)(sl_now_wall() - admin->since) / 1e9);
    sl_json_put_key_text(out, "state", admin->draining ? "draining" : admin->started ? "running" : "starting");
    sl_json_put_key_uint64(out, "tasks", now.tasks);
    sl_json_put_key_uint64(out, "ready", now.runnable);
    sl_json_put_key_uint64(out, "timers", now.timers);
    sl_json_put_key_uint64(out, "steps", now.steps);
    sl_json_put_key_uint64(out, "restarts", now.restarts);
    sl_json_put_key_uint64(out, "hogs", now.hogs);
    sl_json_put_key_uint64(out, "stacks", now.stacks_mapped - now.stacks_pooled);
    sl_json_put_key_uint64(out, "resident_bytes", resident_bytes());
    sl_json_put_key_uint64(out, "allocations", (uint64_t)sl_memory_held());
    if (now.turns != NULL) {
        put_quantiles(out, "turn_seconds", now.turns);
        put_quantiles(out, "timer_lag_seconds", now.lateness);
    }
    sl_json_end_object(out);
}

void sl__admin_version(void *arg, sl_json_writer *out)
{
    const sl_admin *admin = arg;
    sl_json_begin_object(out);
    sl_json_put_key_text(out, "name", admin->options.name);
    sl_json_put_key_text(out, "version", admin->options.version);
    sl_json_put_key_uint64(out, "pid", (uint64_t)getpid());
    sl_json_put_key_uint64(out, "started_ms", (uint64_t)(admin->since / SL_MILLISECONDS(1)));
    sl_json_put_key_text(out, "api", "1");
    sl_json_end_object(out);
}

void sl__admin_index(void *arg, sl_json_writer *out)
{
    const sl_admin *admin = arg;
    sl_json_begin_object(out);
    sl_json_put_key(out, "views");
    sl_json_begin_array(out);
    for (size_t i = 0; i < admin->view_count; i++) {
        sl_json_put_text(out, admin->views[i].path);
    }
    sl_json_end_array(out);
    sl_json_put_key(out, "actions");
    sl_json_begin_array(out);
    for (size_t i = 0; i < admin->action_count; i++) {
        sl_json_put_text(out, admin->actions[i].path);
    }
    sl_json_end_array(out);
    sl_json_end_object(out);
}

static void put_reason(sl_json_writer *out, const char *check, const char *reason)
{
    size_t bytes = strlen(reason);
    sl_json_begin_object(out);
    sl_json_put_key_text(out, "check", check);
    sl_json_put_key(out, "reason");
    if (sl_utf8_valid(reason, bytes)) {
        sl_json_put_string(out, reason, bytes);
    } else {
        sl_json_put_text(out, "(not UTF-8)");
    }
    sl_json_end_object(out);
}

bool sl__admin_ready(const sl_admin *admin, sl_json_writer *out)
{
    bool ready = admin->started && !admin->draining;
    sl_json_begin_object(out);
    sl_json_put_key(out, "reasons");
    sl_json_begin_array(out);
    if (admin->draining) {
        put_reason(out, "drain", "the program ends");
    } else if (!admin->started) {
        put_reason(out, "start", "the program has not started yet");
    }
    for (size_t i = 0; i < admin->check_count; i++) {
        char reason[REASON_BYTES] = "";
        if (!admin->checks[i].check(admin->checks[i].arg, reason, sizeof reason)) {
            put_reason(out, admin->checks[i].name, reason);
            ready = false;
        }
    }
    sl_json_end_array(out);
    sl_json_put_key_bool(out, "ready", ready);
    sl_json_end_object(out);
    return ready;
}
