/* SPDX-License-Identifier: MIT */
/* The task tree as text and as JSON: who runs under whom, what each waits for and since when. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* The walk over scopes is iterative; indentation ends here, however deep tasks nest. */
#define INDENT_MAX 32

static const char *state_name(const sl_task *task)
{
    static const char *const names[] = {"ready", "running", "parked", "ended"};
    return names[task->state];
}

static double seconds_since(sl_runtime *runtime, sl_time since)
{
    return (double)(runtime->world->now(runtime) - since) / 1e9;
}

static uint64_t restarts_of(const sl_task *task)
{
    struct sl_child_info info;
    sl_scope *scope = task->root.parent;
    if (task->child == NULL || scope == NULL || sl__supervisor_info(task, &info) < 0) {
        return 0;
    }
    return info.restarts;
}

/* Depth in tasks, counted only as far as it is shown. */
static int depth_of(const sl_task *task)
{
    int depth = 0;
    const sl_scope *scope = task->root.parent;
    while (scope != NULL && scope->task != NULL && depth < INDENT_MAX) {
        depth++;
        scope = scope->task->root.parent;
    }
    return depth;
}

static void print_task(sl_runtime *runtime, const sl_task *task, FILE *out)
{
    (void)fprintf(out, "%*s%s #%" PRIu64 " %s", 2 * depth_of(task), "", task->name, task->id, state_name(task));
    if (task->state == SL_TASK_PARKED) {
        (void)fprintf(out, " on %s for %.3f s", task->what, seconds_since(runtime, task->since));
    }
    if (task->scope->effective) {
        (void)fprintf(out, ", cancelled");
    }
    if (task->scope->stop_effective) {
        (void)fprintf(out, ", stopping");
    }
    if (task->daemon) {
        (void)fprintf(out, ", daemon");
    }
    if (restarts_of(task) > 0) {
        (void)fprintf(out, ", %" PRIu64 " restarts", restarts_of(task));
    }
    (void)fprintf(out, ", stack %zu KiB", sl__stack_used(task->stack) / 1024);
    for (const sl_scope *scope = task->scope; scope != &task->root; scope = scope->parent) {
        (void)fprintf(out, "%s%s", scope == task->scope ? ", in scope " : " < ",
                      scope->name == NULL ? "?" : scope->name);
    }
    (void)fprintf(out, "\n");
}

static void print_string(FILE *out, const char *text)
{
    (void)fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') {
            (void)fprintf(out, "\\%c", byte);
        } else if (byte < 0x20) {
            (void)fprintf(out, "\\u%04x", byte);
        } else {
            (void)fputc(byte, out);
        }
    }
    (void)fputc('"', out);
}

static void print_task_json(sl_runtime *runtime, const sl_task *task, FILE *out)
{
    const sl_scope *host = task->root.parent;
    (void)fprintf(out, "{\"id\":%" PRIu64 ",\"parent\":%" PRIu64 ",\"name\":", task->id,
                  host != NULL && host->task != NULL ? host->task->id : 0);
    print_string(out, task->name);
    (void)fprintf(out, ",\"state\":\"%s\",\"wait\":", state_name(task));
    if (task->state == SL_TASK_PARKED) {
        print_string(out, task->what);
        (void)fprintf(out, ",\"wait_seconds\":%.6f", seconds_since(runtime, task->since));
    } else {
        (void)fprintf(out, "null,\"wait_seconds\":0");
    }
    (void)fprintf(out, ",\"scope\":");
    print_string(out, task->scope->name == NULL ? "" : task->scope->name);
    (void)fprintf(out, ",\"cancelled\":%s,\"stopping\":%s,\"daemon\":%s,\"system\":%s",
                  task->scope->effective ? "true" : "false", task->scope->stop_effective ? "true" : "false",
                  task->daemon ? "true" : "false", task->system ? "true" : "false");
    (void)fprintf(out, ",\"restarts\":%" PRIu64 ",\"stack_bytes\":%zu}", restarts_of(task),
                  sl__stack_used(task->stack));
}

static void print_all(sl_runtime *runtime, FILE *out, bool json)
{
    size_t printed = 0;
    const sl_scope *top = &runtime->root;
    (void)fprintf(out, json ? "[" : "");
    for (sl_scope *scope = sl__scope_next_in_tree(&runtime->root, top, true); scope != NULL;
         scope = sl__scope_next_in_tree(scope, top, true)) {
        if (!scope->is_task_root || ++printed > SL_TREE_TASKS_MAX) {
            continue;
        }
        if (json) {
            (void)fprintf(out, printed == 1 ? "" : ",\n");
            print_task_json(runtime, scope->task, out);
        } else {
            print_task(runtime, scope->task, out);
        }
    }
    if (!json && printed > SL_TREE_TASKS_MAX) {
        (void)fprintf(out, "... and %zu more tasks\n", printed - SL_TREE_TASKS_MAX);
    }
    (void)fprintf(out, json ? "]\n" : "");
}

void sl__tree_print(sl_runtime *runtime, FILE *stream)
{
    (void)fprintf(stream, "sluice: %zu tasks\n", runtime->live_tasks);
    print_all(runtime, stream, false);
    (void)fflush(stream);
}

/* The C library makes the text; a copy moves it behind our own door to the heap. */
static char *tree(bool json)
{
    if (sl__runtime == NULL) {
        return NULL;
    }
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL) {
        return NULL;
    }
    print_all(sl__runtime, out, json);
    char *copy = fclose(out) == 0 ? sl_strdup(text) : NULL;
    (free)(text);
    return copy;
}

char *sl_tree_text(void)
{
    return tree(false);
}

char *sl_tree_json(void)
{
    return tree(true);
}
