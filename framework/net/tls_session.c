/* SPDX-License-Identifier: MIT */
/* The sessions a client may resume: the last one of each server, a bounded number, least recently used first out. */
#include <stdio.h>
#include <string.h>

#include "../runtime/internal.h"
#include "tls.h"

struct sl__tls_session *sl__tls_session_new(const char *name, const sl_stream *inner)
{
    char address[SL_ADDRESS_TEXT_BYTES];
    char key[SL_TLS_NAME_BYTES_MAX + SL_ADDRESS_TEXT_BYTES];
    sl_stream_peer(inner, address, sizeof address);
    const char *colon = strrchr(address, ':');
    int length = snprintf(key, sizeof key, "%s%s", name, colon == NULL ? "" : colon);
    SL_ASSERT(length >= 0 && (size_t)length < sizeof key);
    struct sl__tls_session *record = sl_calloc(1, sizeof *record + (size_t)length + 1);
    if (record != NULL) {
        memcpy(record->key, key, (size_t)length + 1);
    }
    return record;
}

void sl__tls_session_free(struct sl__tls_session *session)
{
    if (session != NULL) {
        SSL_SESSION_free(session->session);
        sl_free(session);
    }
}

/* Takes the record of a key out of the list. With the lock held. */
static struct sl__tls_session *take(sl_tls_config *config, const char *key)
{
    for (struct sl__tls_session **at = &config->sessions; *at != NULL; at = &(*at)->next) {
        struct sl__tls_session *record = *at;
        if (strcmp(record->key, key) == 0) {
            *at = record->next;
            config->session_count--;
            return record;
        }
    }
    return NULL;
}

static void put_first(sl_tls_config *config, struct sl__tls_session *record)
{
    record->next = config->sessions;
    config->sessions = record;
    config->session_count++;
}

SSL_SESSION *sl__tls_session_find(sl_tls_config *config, const char *key)
{
    SSL_SESSION *session = NULL;
    (void)pthread_mutex_lock(&config->lock);
    struct sl__tls_session *record = take(config, key);
    if (record != NULL) {
        put_first(config, record);
        session = record->session;
        (void)SSL_SESSION_up_ref(session);
    }
    (void)pthread_mutex_unlock(&config->lock);
    return session;
}

/* The last of the list, which is longer than allowed. */
static struct sl__tls_session *take_oldest(sl_tls_config *config)
{
    struct sl__tls_session **at = &config->sessions;
    while ((*at)->next != NULL) {
        at = &(*at)->next;
    }
    struct sl__tls_session *oldest = *at;
    *at = NULL;
    config->session_count--;
    return oldest;
}

void sl__tls_session_keep(sl_tls_config *config, struct sl__tls_session **record, SSL_SESSION *session)
{
    struct sl__tls_session *dropped = NULL;
    (void)pthread_mutex_lock(&config->lock);
    struct sl__tls_session *kept = take(config, (*record)->key);
    if (kept == NULL) {
        kept = *record;
        *record = NULL;
    }
    SSL_SESSION *before = kept->session;
    kept->session = session;
    put_first(config, kept);
    if (config->session_count > config->sessions_max) {
        dropped = take_oldest(config);
    }
    (void)pthread_mutex_unlock(&config->lock);
    SSL_SESSION_free(before);
    sl__tls_session_free(dropped);
}

void sl__tls_session_forget(sl_tls_config *config, const char *key)
{
    (void)pthread_mutex_lock(&config->lock);
    struct sl__tls_session *record = take(config, key);
    (void)pthread_mutex_unlock(&config->lock);
    sl__tls_session_free(record);
}
