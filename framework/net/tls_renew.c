/* SPDX-License-Identifier: MIT */
/*
 * Certificates that are renewed while a server runs: their files are looked at when a client comes, and used when they have
 * changed. Whoever is connected keeps what it has; files that cannot be used change nothing.
 */
#include <openssl/crypto.h>
#include <string.h>
#include <sys/stat.h>

#include "../runtime/internal.h"
#include "sluice/log_record.h"
#include "sluice/thread.h"
#include "tls.h"

/* What tells one state of the files from another; 0 where one is missing. */
static uint64_t look(const struct sl__tls_files *files)
{
    const char *const paths[] = {files->certificate, files->key, files->ca};
    uint64_t state = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct stat found = {.st_size = 0};
        if (paths[i] != NULL && stat(paths[i], &found) != 0) {
            return 0;
        }
        const uint64_t parts[] = {(uint64_t)found.st_ino, (uint64_t)found.st_size, (uint64_t)found.st_mtim.tv_sec,
                                  (uint64_t)found.st_mtim.tv_nsec};
        for (size_t j = 0; j < sizeof parts / sizeof *parts; j++) {
            state = (state ^ parts[j]) * UINT64_C(0x100000001b3);
        }
    }
    return state;
}

int sl__tls_files_keep(struct sl__tls_files *files, const struct sl_tls_options *options)
{
    if (!options->server || options->certificate_file == NULL || options->key_file == NULL || options->ca_pem != NULL) {
        return 0;
    }
    files->certificate = sl_strdup(options->certificate_file);
    files->key = sl_strdup(options->key_file);
    files->ca = options->ca_file == NULL ? NULL : sl_strdup(options->ca_file);
    if (files->certificate == NULL || files->key == NULL || (options->ca_file != NULL && files->ca == NULL)) {
        return sl_fail(SL_ENOMEM, "no memory for a TLS configuration");
    }
    files->clients = options->client_certificates;
    files->oldest = options->min_version;
    files->state = look(files);
    files->looked_at = sl_now();
    return 0;
}

void sl__tls_files_free(struct sl__tls_files *files)
{
    sl_free(files->certificate);
    sl_free(files->key);
    sl_free(files->ca);
}

/* On a worker thread. 1: other files are used from now on. */
static int renew(void *arg)
{
    sl_tls_config *config = arg;
    struct sl__tls_files *files = &config->files;
    uint64_t state = look(files);
    if (state == 0 || state == files->state) {
        return 0;
    }
    files->state = state; /* these are tried once */
    const struct sl_tls_options options = {.server = true,
                                           .certificate_file = files->certificate,
                                           .key_file = files->key,
                                           .ca_file = files->ca,
                                           .client_certificates = files->clients,
                                           .min_version = files->oldest};
    SSL_CTX *context = NULL;
    int code = sl__tls_context_new(config, &options, &context);
    if (code == 0) {
        (void)pthread_mutex_lock(&config->lock);
        SSL_CTX *before = config->context;
        config->context = context;
        (void)pthread_mutex_unlock(&config->lock);
        SSL_CTX_free(before); /* connections keep theirs */
    }
    OPENSSL_thread_stop();
    return code < 0 ? code : 1;
}

/* Others that come meanwhile do not wait for it. */
static bool is_due(sl_tls_config *config)
{
    (void)pthread_mutex_lock(&config->lock);
    bool due = config->files.certificate != NULL && !config->files.looking &&
               sl_now() - config->files.looked_at >= SL_TLS_RENEW_CHECK;
    config->files.looking = config->files.looking || due;
    (void)pthread_mutex_unlock(&config->lock);
    return due;
}

int sl__tls_renew(sl_tls_config *config)
{
    if (!is_due(config)) {
        return 0;
    }
    int code = sl_offload(renew, config);
    (void)pthread_mutex_lock(&config->lock);
    config->files.looking = false;
    config->files.looked_at = sl_now();
    (void)pthread_mutex_unlock(&config->lock);
    if (code == SL_ECANCELED) {
        return code;
    }
    if (code > 0) {
        sl_log_with(SL_LOG_INFO, "a renewed certificate is used from now on",
                    sl_field_text("certificate", config->files.certificate));
    } else if (code < 0) {
        sl_log_with(SL_LOG_WARNING, "a renewed certificate cannot be used, the old one stays",
                    sl_field_text("certificate", config->files.certificate), sl_field_code("code", code),
                    sl_field_text("problem", sl_error_message(sl_error_last())));
    }
    return 0;
}
