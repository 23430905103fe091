/* SPDX-License-Identifier: MIT */
/*
 * A cluster: a connection for each node that is used, and the map of slots. A node's MOVED corrects the map at once; the
 * whole of it is asked for at the start, after a MOVED, and when a node cannot be reached, at most once a second.
 * Source: redis.io, "Redis cluster specification", redirection and resharding.
 */
#include <stdio.h>
#include <string.h>

#include "client.h"

#define REFRESH_EVERY SL_SECONDS(1)
#define REFRESH_TIMEOUT SL_SECONDS(2)
#define PATIENCE SL_MILLISECONDS(500) /* with a node that is down: by then another may serve its slots */
#define UNKNOWN UINT8_MAX

struct node {
    struct sl__redis_address address;
    sl_redis *redis;
    struct sl__redis_connection *main, *urgent;
};

struct sl__redis_cluster {
    sl_mutex refreshing;
    bool stale;
    sl_time refreshed; /* when it was tried last */
    struct node *nodes[SL__REDIS_NODES_MAX];
    size_t nodes_count;
    uint8_t slots[SL__REDIS_SLOTS];
};

static int locate(void *context, struct sl__redis_address *ret_address)
{
    const struct node *node = context;
    *ret_address = node->address;
    return 0;
}

/* The connection of a node, made when it is first used. */
static int connection_to(struct node *node, bool urgent, struct sl__redis_connection **ret_connection)
{
    sl_redis *redis = node->redis;
    struct sl__redis_connection **place = urgent ? &node->urgent : &node->main;
    if (*place == NULL) {
        const struct sl__redis_hooks hooks = {.locate = locate, .locate_context = node};
        struct sl__redis_connection *connection = sl__redis_connection_of(redis, &hooks);
        if (connection == NULL) {
            return sl_fail(SL_ENOMEM, "no memory for a connection to a node of the Redis cluster");
        }
        connection->patience = PATIENCE;
        if (redis->main->ended || sl__redis_connection_start(connection, redis->scope) < 0) {
            connection->ended = true; /* commands get one just for them */
        }
        *place = connection;
    }
    *ret_connection = *place;
    return 0;
}

static int find_node(sl_redis *redis, const char *host, size_t host_bytes, int port, size_t *ret_index)
{
    struct sl__redis_cluster *cluster = redis->cluster;
    for (size_t i = 0; i < cluster->nodes_count; i++) {
        const struct sl__redis_address *address = &cluster->nodes[i]->address;
        if (address->port == port && strlen(address->host) == host_bytes &&
            memcmp(address->host, host, host_bytes) == 0) {
            *ret_index = i;
            return 0;
        }
    }
    if (cluster->nodes_count == SL__REDIS_NODES_MAX || host_bytes >= SL__REDIS_HOST_BYTES || port < 1 || port > 65535) {
        return sl_fail(SL_EPROTO, "the Redis cluster has more than %d nodes, or one without an address",
                       SL__REDIS_NODES_MAX);
    }
    struct node *node = sl_calloc(1, sizeof *node);
    if (node == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a node of the Redis cluster");
    }
    memcpy(node->address.host, host, host_bytes);
    node->address.port = port;
    node->redis = redis;
    *ret_index = cluster->nodes_count;
    cluster->nodes[cluster->nodes_count++] = node;
    return 0;
}

int sl__redis_cluster_open(sl_redis *redis)
{
    const struct sl__redis_settings *settings = redis->settings;
    redis->cluster = sl_calloc(1, sizeof *redis->cluster);
    if (redis->cluster == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a Redis cluster");
    }
    sl_mutex_init(&redis->cluster->refreshing);
    memset(redis->cluster->slots, UNKNOWN, sizeof redis->cluster->slots);
    redis->cluster->stale = true;
    for (size_t i = 0; i < settings->hosts_count; i++) {
        size_t index = 0;
        SL_TRY(find_node(redis, settings->hosts[i].host, strlen(settings->hosts[i].host), settings->hosts[i].port,
                         &index));
    }
    return 0;
}

void sl__redis_cluster_free(struct sl__redis_cluster *cluster)
{
    for (size_t i = 0; cluster != NULL && i < cluster->nodes_count; i++) {
        sl__redis_connection_free(cluster->nodes[i]->main);
        sl__redis_connection_free(cluster->nodes[i]->urgent);
        sl_free(cluster->nodes[i]);
    }
    sl_free(cluster);
}

/* ---- the map ---- */

/* One row of CLUSTER SLOTS: first, last, [host, port, ...] of the master, replicas. */
static int take_row(sl_redis *redis, const struct node *source, const struct sl_redis_value *row)
{
    struct sl_redis_value first = sl_redis_value_at(row, 0), last = sl_redis_value_at(row, 1);
    struct sl_redis_value master = sl_redis_value_at(row, 2);
    struct sl_redis_value host = sl_redis_value_at(&master, 0), port = sl_redis_value_at(&master, 1);
    size_t index = 0;
    if (first.type != SL_REDIS_INTEGER || last.type != SL_REDIS_INTEGER || port.type != SL_REDIS_INTEGER ||
        first.integer < 0 || last.integer >= SL__REDIS_SLOTS) {
        return sl_fail(SL_EPROTO, "the Redis cluster's map of slots makes no sense");
    }
    bool same = host.size_bytes == 0; /* it does not know its own name: the one we used */
    const char *name = same ? source->address.host : host.text;
    SL_TRY(find_node(redis, name, same ? strlen(name) : host.size_bytes,
                     port.integer > 0 && port.integer <= 65535 ? (int)port.integer : 0, &index));
    for (int64_t slot = first.integer; slot <= last.integer; slot++) {
        redis->cluster->slots[slot] = (uint8_t)index;
    }
    return 0;
}

static int refresh_from(sl_redis *redis, struct node *node)
{
    static const char *const question[] = {"CLUSTER", "SLOTS", NULL};
    struct sl__redis_connection *connection = NULL;
    struct sl__redis_slot slot = {0};
    SL_TRY(connection_to(node, false, &connection));
    const struct sl_redis_request request = {.texts = question};
    int code = connection->ended
                   ? sl_fail(SL_ECLOSED, "the Redis client's scope has ended")
                   : sl__redis_perform(connection, &request, 1, &slot, sl_time_add(sl_now(), REFRESH_TIMEOUT));
    code = code == 0 ? slot.code : code;
    struct sl_redis_value value = sl_redis_reply_value(slot.reply);
    if (code == 0 && value.type == SL_REDIS_ERROR) {
        code = sl_fail(sl__redis_problem_code(sl_redis_problem_of(&value)), "Redis: %s", value.text);
    }
    struct sl_redis_list rows = sl_redis_value_list(&value);
    struct sl_redis_value row;
    while (code == 0 && sl_redis_list_next(&rows, &row)) {
        code = take_row(redis, node, &row);
    }
    sl_redis_reply_free(slot.reply);
    return code;
}

static bool is_up(const struct node *node)
{
    return node->main != NULL && node->main->up;
}

/* From nodes that are up first; then any. */
static int refresh(sl_redis *redis)
{
    struct sl__redis_cluster *cluster = redis->cluster;
    int code = SL_ENOTREADY;
    cluster->refreshed = sl_now();
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < cluster->nodes_count; i++) {
            if ((pass == 0) != is_up(cluster->nodes[i])) {
                continue;
            }
            code = refresh_from(redis, cluster->nodes[i]);
            if (code == 0) {
                cluster->stale = false;
            }
            if (code == 0 || code == SL_ECANCELED || code == -EACCES) {
                return code;
            }
        }
    }
    return code;
}

/* One task asks, the others wait for it. What is known already will do when the cluster does not answer. */
static int refresh_when_stale(sl_redis *redis, bool must)
{
    struct sl__redis_cluster *cluster = redis->cluster;
    if (!cluster->stale || (!must && sl_now() - cluster->refreshed < REFRESH_EVERY)) {
        return 0;
    }
    SL_TRY(sl_mutex_lock(&cluster->refreshing));
    int code = 0;
    if (cluster->stale && (must || sl_now() - cluster->refreshed >= REFRESH_EVERY)) {
        code = refresh(redis);
    }
    (void)sl_mutex_unlock(&cluster->refreshing);
    return must || code == SL_ECANCELED ? code : 0;
}

static bool is_down(const struct node *node, bool urgent)
{
    const struct sl__redis_connection *connection = urgent ? node->urgent : node->main;
    return connection != NULL && !connection->up && connection->problem < 0;
}

int sl__redis_cluster_route(sl_redis *redis, const struct sl_redis_request *request,
                            struct sl__redis_connection **ret_connection)
{
    struct sl__redis_cluster *cluster = redis->cluster;
    struct sl_bytes room[SL__REDIS_TEXTS_MAX], key = {0};
    const struct sl_bytes *pieces = NULL;
    size_t count = 0;
    SL_TRY(sl__redis_pieces(request, room, &pieces, &count));
    size_t index = 0;
    if (sl__redis_key_of(request, pieces, count, &key)) {
        unsigned slot = sl__redis_slot_of(key);
        index = cluster->slots[slot];
        cluster->stale = cluster->stale || (index != UNKNOWN && is_down(cluster->nodes[index], request->urgent));
        if (!redis->main->ended) {
            SL_TRY(refresh_when_stale(redis, cluster->slots[slot] == UNKNOWN));
        }
        index = cluster->slots[slot];
        if (index == UNKNOWN) {
            return sl_fail(SL_ENOTREADY, "no node of the Redis cluster serves slot %u", slot);
        }
    } else {
        for (size_t i = 0; i < cluster->nodes_count; i++) {
            index = is_up(cluster->nodes[i]) ? i : index;
        }
    }
    return connection_to(cluster->nodes[index], request->urgent, ret_connection);
}

int sl__redis_cluster_follow(sl_redis *redis, const struct sl_redis_value *error, bool urgent,
                             struct sl__redis_connection **ret_connection)
{
    const char *slot_text = strchr(error->text, ' ');
    const char *address = slot_text == NULL ? NULL : strchr(slot_text + 1, ' ');
    const char *colon = address == NULL ? NULL : strrchr(address, ':');
    int64_t slot = 0, port = 0;
    size_t index = 0;
    if (colon == NULL || !sl__resp_integer(slot_text + 1, address, &slot) || slot < 0 || slot >= SL__REDIS_SLOTS ||
        !sl__resp_integer(colon + 1, error->text + error->size_bytes, &port) || port < 1 || port > 65535) {
        return sl_fail(SL_EPROTO, "a Redis redirect that leads nowhere: %s", error->text);
    }
    if (colon == address + 1) {
        return sl_fail(SL_EPROTO, "a Redis redirect without a host: %s", error->text);
    }
    SL_TRY(find_node(redis, address + 1, (size_t)(colon - address - 1), (int)port, &index));
    if (sl_redis_problem_of(error) == SL_REDIS_MOVED) {
        redis->cluster->slots[slot] = (uint8_t)index;
        redis->cluster->stale = true;
    }
    return connection_to(redis->cluster->nodes[index], urgent, ret_connection);
}
