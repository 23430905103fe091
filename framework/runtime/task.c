/* SPDX-License-Identifier: MIT */
/* Tasks: their birth in a scope, their end, their names and their local values. */
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "watchdog.h"

#define RECORD_ALIGNMENT 64

/* ---- birth ---- */

static sl_task *task_make(sl_runtime *runtime, size_t stack_bytes)
{
    struct sl__stack *stack = sl__stack_get(runtime, stack_bytes);
    if (stack == NULL) {
        return NULL;
    }
    char *top = stack->base + stack->bytes - (size_t)stack->color * SL_STACK_COLOR_BYTES;
    sl_task *task = (sl_task *)(((uintptr_t)top - sizeof(sl_task)) & ~(uintptr_t)(RECORD_ALIGNMENT - 1));
    memset(task, 0, offsetof(sl_task, name_copy));
    task->magic = SL_TASK_MAGIC;
    task->runtime = runtime;
    task->stack = stack;
    task->pending_code = SL_PENDING_NONE;
    task->coop = SL_COOP_BUDGET;
    char *bottom = sl__stack_bottom(stack);
    sl__context_make(&task->context, bottom, (size_t)((char *)task - bottom), sl__task_entry, task);
    return task;
}

static void set_name(sl_task *task, const char *name, const char *literal)
{
    if (name == NULL) {
        task->name = literal == NULL ? "task" : literal;
        return;
    }
    size_t length = strnlen(name, sizeof task->name_copy - 1);
    memcpy(task->name_copy, name, length);
    task->name_copy[length] = '\0';
    task->name = task->name_copy;
}

static sl_task *task_begin(sl_runtime *runtime, sl_scope *scope, sl_task_fn fn, const struct sl_spawn_options *options)
{
    sl_task *task = task_make(runtime, options->stack_bytes == 0 ? runtime->options.stack_bytes : options->stack_bytes);
    if (task == NULL) {
        return NULL;
    }
    task->id = ++runtime->next_task_id;
    task->fn = fn;
    task->arg = options->arg;
    task->release = options->release;
    task->daemon = options->daemon;
    set_name(task, options->name, options->function);
    sl_task *spawner = runtime->current;
    if (spawner != NULL) {
        task->locals = sl__locals_ref(spawner->locals);
    }
    sl__scope_init(&task->root, task, scope);
    task->root.is_task_root = true;
    task->root.closed_to_spawn = true; /* nobody would join what is spawned here: a scope has to be opened */
    task->scope = &task->root;
    runtime->spawned++;
    if (options->ret_task != NULL) {
        *options->ret_task = sl_task_ref_of(task);
    }
    if (SL_UNLIKELY(runtime->instrument_count > 0)) {
        sl__hook_spawned(runtime, task);
    }
    sl__make_ready(task);
    return task;
}

int sl__spawn(sl_scope *scope, sl_task_fn fn, const struct sl_spawn_options *options, sl_task **ret_task)
{
    sl_runtime *runtime = sl__runtime;
    size_t stack_bytes = options->stack_bytes;
    if (stack_bytes != 0 && (stack_bytes < SL_STACK_BYTES_MIN || stack_bytes > SL_STACK_BYTES_MAX)) {
        return sl_fail(SL_EINVAL, "stack_bytes %zu is not between 16 KiB and 8 MiB", stack_bytes);
    }
    sl_task *task = task_begin(runtime, scope, fn, options);
    if (task == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for the stack of task '%s'",
                       options->name != NULL ? options->name : options->function);
    }
    if (SL_UNLIKELY(scope->ordered_stop && scope->stop_effective)) {
        task->root.stop_called = true; /* the newest is asked first: this one, now */
    }
    runtime->live_tasks++;
    if (task->daemon) {
        sl__scope_add_daemon(scope, task);
    } else {
        scope->children++;
    }
    if (ret_task != NULL) {
        *ret_task = task;
    }
    return 0;
}

int sl__spawn_system(sl_runtime *runtime, sl_task_fn fn, void *arg, const char *name)
{
    struct sl_spawn_options options = {.arg = arg, .function = name};
    sl_task *task = task_begin(runtime, &runtime->root, fn, &options);
    if (task == NULL) {
        return SL_ENOMEM;
    }
    task->system = true;
    runtime->live_system++;
    return 0;
}

int sl_spawn_with(sl_scope *scope, sl_task_fn fn, const struct sl_spawn_options *options)
{
    static const struct sl_spawn_options none = {.arg = NULL};
    options = options == NULL ? &none : options;
    if (sl__runtime == NULL) {
        return SL_ENOTASK;
    }
    if (fn == NULL) {
        return sl_fail(SL_EINVAL, "sl_spawn(): no function");
    }
    if (!sl__scope_is_open(scope) || scope->closed_to_spawn) {
        return sl__misuse(SL_ECLOSED, "sl_spawn(): the scope has ended, or was never opened");
    }
    SL_TRY(sl__scope_check_thread(scope, "sl_spawn()"));
    if (scope->strategy != SL_PROPAGATE || sl__supervised(options)) {
        return sl__supervisor_add(scope, fn, options);
    }
    return sl__spawn(scope, fn, options, NULL);
}

/* ---- end ---- */

sl_error *sl__task_take_error(sl_task *task, int code)
{
    sl_error *error = sl__error_take(task);
    if (error != NULL && sl_error_code(error) == code) {
        return error;
    }
    sl_error_unref(error);
    return sl__error_plain(task, code, NULL);
}

/* The task's function has returned: everything it left behind is settled here, still on its stack. */
static void task_finish(sl_task *task, int code)
{
    sl_runtime *runtime = task->runtime;
    sl__watchdog_step_ended(runtime, task);
    code = sl_error_resolve(code);
    sl__pending_drop(task);
    sl__mutexes_break(task);
    bool cancelled = code == SL_ECANCELED && task->root.effective;
    sl_error *error = code < 0 && !cancelled ? sl__task_take_error(task, code) : NULL;
    if (task->release != NULL && task->child == NULL) {
        task->release(task->arg);
    }
    if (SL_UNLIKELY(runtime->instrument_count > 0)) {
        sl__hook_ended(runtime, task, code);
    }
    sl_scope *scope = task->root.parent;
    sl__scope_unlink(&task->root);
    if (task->system) {
        runtime->live_system--;
    } else {
        runtime->live_tasks--;
    }
    task->state = SL_TASK_ENDED;
    if (task->start != NULL) { /* its starter reports the failure; the scope it runs under is not harmed */
        sl__start_ended(task, code, error);
        error = NULL;
        code = cancelled ? code : 0;
    }
    sl__scope_child_ended(scope, task, code, error);
    sl__scope_done(&task->root);
    sl__locals_unref(task->locals);
    sl_error_unref(task->error);
    task->error = NULL;
    task->id = 0;
    runtime->ended = task;
    sl__switch_away(task);
    sl__panic(__FILE__, __LINE__, "an ended task was resumed");
}

/*
 * The task's function returned with scopes still open in its dead frames, which are still there: they
 * are closed like scopes left early, and the task fails for misuse.
 */
static __attribute__((noinline)) int rescue_scopes(sl_task *task, volatile char *reserve)
{
    reserve[0] = 0; /* keeps the reservation from being optimised away */
    char kept[SL_TASK_NAME_BYTES];
    (void)snprintf(kept, sizeof kept, "%s", task->scope->name == NULL ? "" : task->scope->name);
    while (task->scope != &task->root) {
        sl_scope *scope = task->scope;
        sl__scope_cancel(scope, SL_CAUSE_MISNESTING, "its task ended and left it open", task, NULL, false);
        (void)sl__scope_finish(scope, 0);
    }
    return sl__misuse(SL_EMISUSE, "task '%s' ended with scope '%s' still open", task->name, kept);
}

void sl__task_entry(void *argument)
{
    sl_task *task = argument;
    sl__task_begin(task->runtime);
    int code = task->fn(task->arg);
    if (SL_UNLIKELY(task->scope != &task->root)) {
        /* Before anything is called: move the stack pointer below the lowest open scope, lest it is written over. */
        uintptr_t here = (uintptr_t)__builtin_frame_address(0);
        uintptr_t lowest = here;
        for (sl_scope *scope = task->scope; scope != &task->root; scope = scope->parent) {
            uintptr_t at = (uintptr_t)scope;
            lowest = at < lowest && at > (uintptr_t)task->stack->base ? at : lowest;
        }
        code = rescue_scopes(task, __builtin_alloca(here - lowest + 256));
    }
    task_finish(task, code);
    __builtin_unreachable();
}

void sl__task_recycle(sl_runtime *runtime, sl_task *task)
{
    sl__context_done(&task->context);
    sl__stack_put(runtime, task->stack);
}

/* ---- references, names ---- */

sl_task_ref sl_task_ref_of(sl_task *task)
{
    return (sl_task_ref){task, task == NULL ? 0 : task->id};
}

sl_task_ref sl_task_self(void)
{
    return sl_task_ref_of(sl__self());
}

static sl_task *live(sl_task_ref ref)
{
    return sl__runtime != NULL && ref.id != 0 && ref.task != NULL && ref.task->id == ref.id ? ref.task : NULL;
}

bool sl_task_alive(sl_task_ref ref)
{
    return live(ref) != NULL;
}

uint64_t sl_task_id(sl_task_ref ref)
{
    return ref.id;
}

static sl_task *parent_of(const sl_task *task)
{
    const sl_scope *scope = task->root.parent;
    return scope == NULL ? NULL : scope->task;
}

uint64_t sl_task_parent_id(sl_task_ref ref)
{
    sl_task *task = live(ref);
    sl_task *parent = task == NULL ? NULL : parent_of(task);
    return parent == NULL ? 0 : parent->id;
}

const char *sl_task_name(sl_task_ref ref)
{
    sl_task *task = live(ref);
    return task == NULL ? "" : task->name;
}

/* Written from the task upwards into place, so that it needs no recursion and no second buffer. */
size_t sl_task_path(sl_task_ref ref, char *buffer, size_t size_bytes)
{
    size_t length = 0;
    for (sl_task *task = live(ref); task != NULL; task = parent_of(task)) {
        length += strlen(task->name) + 1;
    }
    length -= length > 0;
    if (size_bytes == 0) {
        return length;
    }
    buffer[length < size_bytes ? length : size_bytes - 1] = '\0';
    size_t at = length;
    for (sl_task *task = live(ref); task != NULL; task = parent_of(task)) {
        size_t bytes = strlen(task->name);
        at -= bytes;
        if (at < size_bytes - 1) {
            memcpy(buffer + at, task->name, bytes < size_bytes - 1 - at ? bytes : size_bytes - 1 - at);
        }
        if (at > 0 && --at < size_bytes - 1) {
            buffer[at] = '/';
        }
    }
    return length;
}

int sl_task_rename(const char *name)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    set_name(task, name, NULL);
    return 0;
}

int sl_task_cancel(sl_task_ref ref, const char *reason)
{
    sl_task *task = live(ref);
    if (task == NULL) {
        return SL_ENOENT;
    }
    sl__scope_cancel(&task->root, SL_CAUSE_CALL, reason, sl__self(), NULL, false);
    return 0;
}

int sl_task_stop(sl_task_ref ref)
{
    sl_task *task = live(ref);
    if (task == NULL) {
        return SL_ENOENT;
    }
    task->root.stop_called = true;
    sl__scope_update(&task->root);
    return 0;
}

size_t sl_task_stack_used(sl_task_ref ref)
{
    sl_task *task = live(ref);
    return task == NULL ? 0 : sl__stack_used(task->stack);
}

/* ---- task-local values: a shared list, newest first; setting a value adds a node for this task only ---- */

struct sl__local {
    size_t references;
    const void *key;
    void *value;
    struct sl__local *older;
};

struct sl__local *sl__locals_ref(struct sl__local *locals)
{
    if (locals != NULL) {
        locals->references++;
    }
    return locals;
}

void sl__locals_unref(struct sl__local *locals)
{
    while (locals != NULL && --locals->references == 0) {
        struct sl__local *older = locals->older;
        sl_free(locals);
        locals = older;
    }
}

int sl_local_set(const void *key, void *value)
{
    sl_task *task = sl__self();
    if (task == NULL) {
        return SL_ENOTASK;
    }
    /* A node of this task alone, with no child that shares it, is changed in place: the list stays short. */
    for (struct sl__local *node = task->locals; node != NULL && node->references == 1; node = node->older) {
        if (node->key == key) {
            node->value = value;
            return 0;
        }
    }
    struct sl__local *node = sl_malloc(sizeof *node);
    if (node == NULL) {
        return sl_fail(SL_ENOMEM, "sl_local_set(): no memory");
    }
    *node = (struct sl__local){1, key, value, task->locals};
    task->locals = node;
    return 0;
}

void *sl_local_get(const void *key)
{
    sl_task *task = sl__self();
    struct sl__local *node = task == NULL ? NULL : task->locals;
    while (node != NULL && node->key != key) {
        node = node->older;
    }
    return node == NULL ? NULL : node->value;
}
