/* SPDX-License-Identifier: MIT */
/* Errors: codes, names, and the tree of what went wrong. */
#define SL_ERROR_NO_MACROS /* they are defined here */
#include "sluice/error.h"

#include <stdio.h>
#include <string.h>

#include "internal.h"

#define MESSAGE_BYTES_MAX 512
#define PATH_BYTES_MAX 256
#define PRINT_DEPTH_MAX 64

struct sl_error {
    int references;
    int code;
    unsigned causes; /* how many sl_fail_because() has put below it */
    char *message;   /* both lie behind the record */
    char *task;
    sl_error *cause;
    sl_error **items;
    size_t count, capacity;
};

static const struct {
    int code;
    const char *name;
    const char *text;
} codes[] = {
    {0, "SL_OK", "success"},
    {SL_ECANCELED, "SL_ECANCELED", "cancelled"},
    {SL_ETIMEDOUT, "SL_ETIMEDOUT", "deadline passed"},
    {SL_ENOMEM, "SL_ENOMEM", "out of memory"},
    {SL_EINVAL, "SL_EINVAL", "invalid argument"},
    {SL_EAGAIN, "SL_EAGAIN", "would have to wait"},
    {SL_EBUSY, "SL_EBUSY", "busy"},
    {SL_ENOENT, "SL_ENOENT", "not found"},
    {SL_EEXIST, "SL_EEXIST", "exists already"},
    {SL_EPIPE, "SL_EPIPE", "the peer no longer reads"},
    {SL_ECONNRESET, "SL_ECONNRESET", "connection reset by the peer"},
    {SL_EMSGSIZE, "SL_EMSGSIZE", "larger than its limit"},
    {SL_EPROTO, "SL_EPROTO", "protocol violated"},
    {SL_ENOTSUP, "SL_ENOTSUP", "not supported here"},
    {SL_ERANGE, "SL_ERANGE", "number out of range"},
    {SL_EOF, "SL_EOF", "end of stream"},
    {SL_ECLOSED, "SL_ECLOSED", "closed"},
    {SL_EBROKEN, "SL_EBROKEN", "the other end is gone"},
    {SL_EMISUSE, "SL_EMISUSE", "misuse of the API"},
    {SL_ENOTASK, "SL_ENOTASK", "called outside a task"},
    {SL_ENOTOWNER, "SL_ENOTOWNER", "not held by the caller"},
    {SL_EALREADY, "SL_EALREADY", "done already"},
    {SL_ENOTSTARTED, "SL_ENOTSTARTED", "the task ended before it called sl_started()"},
    {SL_EIGNORE, "SL_EIGNORE", "the child opted out"},
    {SL_EINTENSITY, "SL_EINTENSITY", "restarted too often"},
    {SL_ESHUTDOWN, "SL_ESHUTDOWN", "shut down"},
    {SL_ESTUCK, "SL_ESTUCK", "budget used up"},
    {SL_ELOCKLOST, "SL_ELOCKLOST", "lock lost"},
    {SL_EINTERNAL, "SL_EINTERNAL", "internal failure"},
    {SL_ERUNNING, "SL_ERUNNING", "the child is running"},
    {SL_ERESTARTING, "SL_ERESTARTING", "the child is being restarted"},
    {SL_EINTERRUPTED, "SL_EINTERRUPTED", "interrupted by a signal"},
    {SL_ELAGGED, "SL_ELAGGED", "the subscriber fell behind and lost items"},
    {SL_ECERTIFICATE, "SL_ECERTIFICATE", "certificate refused"},
    {SL_ETLS, "SL_ETLS", "TLS failed"},
    {SL_ELIMITED, "SL_ELIMITED", "a rate limit would have to be waited for too long"},
    {SL_EBREAKER, "SL_EBREAKER", "the circuit breaker is open"},
    {SL_EGAVEUP, "SL_EGAVEUP", "all attempts failed"},
    {SL_EBUDGET, "SL_EBUDGET", "the budget for retries is used up"},
    {SL_EREPLY, "SL_EREPLY", "the server answered with an error"},
    {SL_ENOTREADY, "SL_ENOTREADY", "the server cannot serve this just now"},
#define UV_ROW(name, text) {UV_##name, "UV_" #name, text},
    UV_ERRNO_MAP(UV_ROW) /* the rest of errno's, under libuv's names */
#undef UV_ROW
};

const char *sl_strerror(int code)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i].code == code) {
            return codes[i].text;
        }
    }
    return code > 0 ? codes[0].text : "unknown error";
}

const char *sl_error_name(int code)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i].code == code) {
            return codes[i].name;
        }
    }
    return "UNKNOWN";
}

sl_error *sl__error_new(int code, const char *task_path, const char *format, va_list arguments)
{
    char message[MESSAGE_BYTES_MAX] = "";
    if (format != NULL) {
        (void)vsnprintf(message, sizeof message, format, arguments);
    }
    size_t message_bytes = strlen(message) + 1;
    size_t path_bytes = strlen(task_path) + 1;
    sl_error *error = sl_calloc(1, sizeof *error + message_bytes + path_bytes);
    if (error == NULL) {
        return NULL;
    }
    error->references = 1;
    error->code = code;
    error->message = (char *)(error + 1);
    error->task = error->message + message_bytes;
    memcpy(error->message, message, message_bytes);
    memcpy(error->task, task_path, path_bytes);
    return error;
}

SL_PRINTF(3, 0)
static sl_error *new_for(sl_task *task, int code, const char *format, va_list arguments)
{
    char path[PATH_BYTES_MAX] = "";
    (void)sl_task_path(sl_task_ref_of(task), path, sizeof path);
    return sl__error_new(code, path, format, arguments);
}

sl_error *sl__error_plain(sl_task *task, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    sl_error *error = new_for(task, code, format, arguments);
    va_end(arguments);
    return error;
}

sl_error *sl__error_take(sl_task *task)
{
    sl_error *error = task->error;
    task->error = NULL;
    return error;
}

void sl__error_put(sl_task *task, sl_error *error)
{
    sl_error_unref(task->error);
    task->error = error;
}

int sl_fail(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    sl_task *task = sl__self();
    if (task != NULL) {
        sl__error_put(task, new_for(task, code, format, arguments));
    } else {
        sl__offload_record(code, false, format, arguments);
    }
    va_end(arguments);
    return code;
}

/* The same failure without its own causes. NULL when memory is short. */
SL_PRINTF(2, 3)
static sl_error *copy_of(const sl_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    sl_error *copy = sl__error_new(error->code, error->task, format, arguments);
    va_end(arguments);
    return copy;
}

/* What the task recorded last, as a cause: a task that fails again and again must not gather causes without end. */
static sl_error *take_cause(sl_task *task)
{
    sl_error *cause = sl__error_take(task);
    if (cause != NULL && cause->causes >= SL_ERROR_CAUSES_MAX) {
        sl_error *copy = copy_of(cause, "%s", cause->message);
        sl_error_unref(cause);
        return copy;
    }
    return cause;
}

SL_PRINTF(3, 0)
static void put_because(sl_task *task, int code, const char *format, va_list arguments)
{
    sl_error *error = new_for(task, code, format, arguments);
    sl_error *cause = take_cause(task);
    if (error != NULL) {
        error->cause = cause;
        error->causes = cause == NULL ? 0 : cause->causes + 1;
    } else {
        sl_error_unref(cause);
    }
    sl__error_put(task, error);
}

int sl_fail_because(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    sl_task *task = sl__self();
    if (task != NULL) {
        put_because(task, code, format, arguments);
    } else {
        sl__offload_record(code, true, format, arguments);
    }
    va_end(arguments);
    return code;
}

const sl_error *sl_error_last(void)
{
    sl_task *task = sl__self();
    return task == NULL ? NULL : task->error;
}

int sl_error_last_code(void)
{
    return sl_error_code(sl_error_last());
}

/* A failure behind the cancellation counts in any case; success only once nothing is cancelled any more. */
int sl_error_resolve(int code)
{
    sl_task *task = sl__self();
    if (code != SL_ECANCELED || task == NULL || task->pending_code == SL_PENDING_NONE ||
        (task->pending_code >= 0 && sl__cancelled(task))) {
        return code;
    }
    sl_error_unref(task->pending_error); /* taken: the task has it as its last error too */
    task->pending_error = NULL;
    return task->pending_code;
}

int sl_error_code(const sl_error *error)
{
    return error == NULL ? 0 : error->code;
}

const char *sl_error_message(const sl_error *error)
{
    return error == NULL ? "" : error->message;
}

const char *sl_error_task(const sl_error *error)
{
    return error == NULL ? "" : error->task;
}

const sl_error *sl_error_cause(const sl_error *error)
{
    return error == NULL ? NULL : error->cause;
}

size_t sl_error_count(const sl_error *error)
{
    return error == NULL ? 0 : error->count;
}

const sl_error *sl_error_at(const sl_error *error, size_t index)
{
    return error == NULL || index >= error->count ? NULL : error->items[index];
}

const sl_error *sl_error_only(const sl_error *error)
{
    while (error != NULL && error->count == 1) {
        error = error->items[0];
    }
    return error == NULL || error->count > 1 ? NULL : error;
}

void sl__error_set_cause(sl_error *error, sl_error *cause)
{
    sl_error_unref(error->cause);
    error->cause = cause;
}

int sl__error_append(sl_error *tree, sl_error *child)
{
    if (tree->count == tree->capacity) {
        size_t capacity = tree->capacity == 0 ? 4 : tree->capacity * 2;
        sl_error **items = sl_realloc(tree->items, capacity * sizeof *items);
        if (items == NULL) {
            sl_error_unref(child);
            return SL_ENOMEM;
        }
        tree->items = items;
        tree->capacity = capacity;
    }
    tree->items[tree->count++] = child;
    return 0;
}

sl_error *sl_error_ref(const sl_error *error)
{
    sl_error *shared = (sl_error *)error;
    if (shared != NULL) {
        shared->references++;
    }
    return shared;
}

/*
 * A walk over a tree, collected errors first, then the cause, without recursion: task stacks are small.
 * Deeper than PRINT_DEPTH_MAX it does not look.
 */
struct walk {
    struct {
        const sl_error *error;
        size_t next;
    } frames[PRINT_DEPTH_MAX];
    size_t depth;
    bool cause; /* the node that walk_next() gave is a cause */
};

static void walk_start(struct walk *walk, const sl_error *top)
{
    walk->depth = 0;
    walk->cause = false;
    walk->frames[0].error = top;
    walk->frames[0].next = 0;
}

/* The next node after the top in preorder, NULL at the end. */
static const sl_error *walk_next(struct walk *walk)
{
    for (;;) {
        const sl_error *error = walk->frames[walk->depth].error;
        size_t index = walk->frames[walk->depth].next++;
        const sl_error *inner = NULL;
        if (index < error->count) {
            inner = error->items[index];
        } else if (index == error->count) {
            inner = error->cause;
        }
        if (inner != NULL && walk->depth + 1 < PRINT_DEPTH_MAX) {
            walk->cause = index == error->count;
            walk->depth++;
            walk->frames[walk->depth].error = inner;
            walk->frames[walk->depth].next = 0;
            return inner;
        }
        if (index >= error->count) {
            if (walk->depth == 0) {
                return NULL;
            }
            walk->depth--;
        }
    }
}

int sl_error_has(const sl_error *error, int code)
{
    struct walk walk;
    if (error == NULL) {
        return 0;
    }
    walk_start(&walk, error);
    for (; error != NULL; error = walk_next(&walk)) {
        if (error->code == code) {
            return 1;
        }
    }
    return 0;
}

/* Frees without recursion: children of a dying node are moved to the list of nodes still to release. */
void sl_error_unref(sl_error *error)
{
    sl_error *todo = NULL; /* dying nodes, chained by `cause` after their own cause was released */
    for (;;) {
        if (error != NULL && --error->references == 0) {
            sl_error *cause = error->cause;
            error->cause = todo;
            todo = error;
            error = cause;
            continue;
        }
        while (todo != NULL && todo->count == 0) {
            sl_error *dead = todo;
            todo = dead->cause;
            sl_free(dead->items);
            sl_free(dead);
        }
        if (todo == NULL) {
            return;
        }
        error = todo->items[--todo->count];
    }
}

struct printer {
    char *buffer;
    size_t size, length;
};

static void emit(struct printer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (out->length + 1 < out->size) {
            out->buffer[out->length] = *text;
        }
        out->length++;
    }
}

static void emit_line(struct printer *out, const sl_error *error, size_t depth, bool cause)
{
    for (size_t i = 0; i < depth; i++) {
        emit(out, "  ");
    }
    if (cause) {
        emit(out, "because ");
    }
    emit(out, sl_error_name(error->code));
    if (strcmp(sl_error_name(error->code), "UNKNOWN") == 0) {
        char number[24];
        (void)snprintf(number, sizeof number, " %d", error->code);
        emit(out, number);
    }
    emit(out, ": ");
    emit(out, error->message[0] != '\0' ? error->message : sl_strerror(error->code));
    if (error->task[0] != '\0') {
        emit(out, " [");
        emit(out, error->task);
        emit(out, "]");
    }
    emit(out, "\n");
}

size_t sl_error_print(const sl_error *error, char *buffer, size_t size_bytes)
{
    struct printer out = {buffer, size_bytes, 0};
    struct walk walk;
    if (error != NULL) {
        walk_start(&walk, error);
        for (; error != NULL; error = walk_next(&walk)) {
            emit_line(&out, error, walk.depth, walk.cause);
        }
    }
    if (size_bytes > 0) {
        buffer[out.length < size_bytes ? out.length : size_bytes - 1] = '\0';
    }
    return out.length;
}
