/* SPDX-License-Identifier: MIT */
/* Replies: the bytes as they came, in records that are used again, and the values in them. */
#include <string.h>

#include "client.h"

#define SMALL_BYTES 224
#define KEPT_MAX 512

struct sl_redis_reply {
    struct sl__redis_store *store;
    sl_redis_reply *next; /* while it is kept */
    size_t capacity;
    char data[];
};

struct sl__redis_store *sl__redis_store_new(void)
{
    struct sl__redis_store *store = sl_calloc(1, sizeof *store);
    if (store != NULL) {
        store->holders = 1;
    }
    return store;
}

void sl__redis_store_drop(struct sl__redis_store *store)
{
    if (store == NULL || --store->holders > 0) {
        return;
    }
    while (store->replies != NULL) {
        sl_redis_reply *reply = store->replies;
        store->replies = reply->next;
        sl_free(reply);
    }
    sl_free(store);
}

sl_redis_reply *sl__redis_reply_new(struct sl__redis_store *store, struct sl_view bytes)
{
    sl_redis_reply *reply = store->replies;
    size_t capacity = bytes.size_bytes <= SMALL_BYTES ? SMALL_BYTES : bytes.size_bytes;
    if (reply != NULL && capacity == SMALL_BYTES) {
        store->replies = reply->next;
        store->kept--;
    } else {
        reply = sl_malloc(sizeof *reply + capacity);
        if (reply == NULL) {
            return NULL;
        }
        reply->store = store;
        reply->capacity = capacity;
    }
    store->holders++;
    memcpy(reply->data, bytes.data, bytes.size_bytes);
    return reply;
}

void sl_redis_reply_free(sl_redis_reply *reply)
{
    if (reply == NULL) {
        return;
    }
    struct sl__redis_store *store = reply->store;
    if (reply->capacity == SMALL_BYTES && store->kept < KEPT_MAX) {
        reply->next = store->replies;
        store->replies = reply;
        store->kept++;
    } else {
        sl_free(reply);
    }
    sl__redis_store_drop(store);
}

struct sl_redis_value sl_redis_reply_value(const sl_redis_reply *reply)
{
    return reply == NULL ? (struct sl_redis_value){.type = SL_REDIS_NIL, .text = ""} : sl__resp_value(reply->data);
}

bool sl__redis_reply_is_error(const sl_redis_reply *reply, struct sl_redis_value *ret_error)
{
    /* Most are known by their first byte; attributes may be in front of an error. */
    if (*reply->data != '-' && *reply->data != '!' && *reply->data != '|') {
        return false;
    }
    *ret_error = sl__resp_value(reply->data);
    return ret_error->type == SL_REDIS_ERROR;
}

struct sl_redis_list sl_redis_value_list(const struct sl_redis_value *value)
{
    return (struct sl_redis_list){value->inside, value->count};
}

bool sl_redis_list_next(struct sl_redis_list *list, struct sl_redis_value *ret_value)
{
    if (list->left == 0) {
        return false;
    }
    list->left--;
    *ret_value = sl__resp_value(list->next);
    list->next = sl__resp_skip(list->next);
    return true;
}

struct sl_redis_value sl_redis_value_at(const struct sl_redis_value *value, size_t index)
{
    struct sl_redis_list list = sl_redis_value_list(value);
    struct sl_redis_value item;
    while (sl_redis_list_next(&list, &item)) {
        if (index-- == 0) {
            return item;
        }
    }
    return (struct sl_redis_value){.type = SL_REDIS_NIL, .text = ""};
}

struct sl_redis_value sl_redis_value_find(const struct sl_redis_value *value, const char *key)
{
    struct sl_redis_list list = sl_redis_value_list(value);
    struct sl_redis_value name, item;
    while (sl_redis_list_next(&list, &name) && sl_redis_list_next(&list, &item)) {
        if (sl_redis_value_is(&name, key)) {
            return item;
        }
    }
    return (struct sl_redis_value){.type = SL_REDIS_NIL, .text = ""};
}

int sl_redis_value_int(const struct sl_redis_value *value, int64_t *ret_integer)
{
    if (value->type == SL_REDIS_INTEGER || value->type == SL_REDIS_BOOLEAN) {
        *ret_integer = value->integer;
        return 0;
    }
    if ((value->type == SL_REDIS_STRING || value->type == SL_REDIS_STATUS) &&
        sl__resp_integer(value->text, value->text + value->size_bytes, ret_integer)) {
        return 0;
    }
    return sl_fail(SL_EPROTO, "Redis did not answer with a whole number");
}

bool sl_redis_value_is(const struct sl_redis_value *value, const char *text)
{
    return (value->type == SL_REDIS_STRING || value->type == SL_REDIS_STATUS) && strlen(text) == value->size_bytes &&
           memcmp(value->text, text, value->size_bytes) == 0;
}

/* ---- errors ---- */

static const struct {
    const char *word;
    enum sl_redis_problem problem;
} problems[] = {
    {"LOADING", SL_REDIS_LOADING},
    {"READONLY", SL_REDIS_READONLY},
    {"OOM", SL_REDIS_OOM},
    {"MASTERDOWN", SL_REDIS_MASTERDOWN},
    {"CLUSTERDOWN", SL_REDIS_CLUSTERDOWN},
    {"TRYAGAIN", SL_REDIS_TRYAGAIN},
    {"BUSY", SL_REDIS_BUSY},
    {"NOREPLICAS", SL_REDIS_NOREPLICAS},
    {"MISCONF", SL_REDIS_MISCONF},
    {"MOVED", SL_REDIS_MOVED},
    {"ASK", SL_REDIS_ASK},
    {"CROSSSLOT", SL_REDIS_CROSSSLOT},
    {"NOSCRIPT", SL_REDIS_NOSCRIPT},
    {"NOAUTH", SL_REDIS_NOAUTH},
    {"WRONGPASS", SL_REDIS_NOAUTH},
    {"NOPERM", SL_REDIS_NOAUTH},
    {"WRONGTYPE", SL_REDIS_WRONGTYPE},
    {"BUSYGROUP", SL_REDIS_BUSYGROUP},
    {"NOGROUP", SL_REDIS_NOGROUP},
    {"UNBLOCKED", SL_REDIS_UNBLOCKED},
};

enum sl_redis_problem sl_redis_problem_of(const struct sl_redis_value *error)
{
    size_t length = strcspn(error->text, " ");
    for (size_t i = 0; i < sizeof problems / sizeof problems[0]; i++) {
        if (strlen(problems[i].word) == length && memcmp(error->text, problems[i].word, length) == 0) {
            return problems[i].problem;
        }
    }
    static const char full[] = "ERR max number of clients";
    return strncmp(error->text, full, sizeof full - 1) == 0 ? SL_REDIS_MAXCLIENTS : SL_REDIS_OTHER;
}

bool sl_redis_problem_retryable(enum sl_redis_problem problem)
{
    return problem >= SL_REDIS_LOADING && problem <= SL_REDIS_MAXCLIENTS;
}

int sl__redis_problem_code(enum sl_redis_problem problem)
{
    return problem == SL_REDIS_NOAUTH            ? -EACCES
           : sl_redis_problem_retryable(problem) ? SL_ENOTREADY
           : problem == SL_REDIS_CROSSSLOT       ? SL_EINVAL
                                                 : SL_EREPLY;
}
