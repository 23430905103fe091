/* SPDX-License-Identifier: MIT */
/* The reloader: new beside old, compared, applied on the loop; what is asked together is one reload. */
#include "internal.h"
#include "sluice/sync.h"
#include "sluice/thread.h"

/* One task in sl_config_reload(). */
struct waiter {
    struct waiter *next;
    uint64_t ticket; /* served by a reload that began at this one or later */
    sl_event served;
    int code;
    bool linked;
};

struct sl_config_reloader {
    struct sl_config_reloader_options options;
    sl_config *current;
    struct waiter *waiters;
    sl_event wanted;
    uint64_t asked, generation;
    bool running;
};

/* What the worker thread fills in. */
struct job {
    const struct sl_config_options *options;
    sl_config *config;
    sl_config_report *report;
};

int sl_config_reloader_new(const struct sl_config_reloader_options *options, sl_config *current,
                           sl_config_reloader **ret_reloader)
{
    if (options == NULL || options->apply == NULL || current == NULL || current->section != options->load.root) {
        return sl_fail(SL_EINVAL, "a reloader needs apply, and a current configuration of its table");
    }
    sl_config_reloader *reloader = sl_calloc(1, sizeof *reloader);
    if (reloader == NULL) {
        return sl_fail(SL_ENOMEM, "no memory for a reloader");
    }
    reloader->options = *options;
    reloader->current = sl_config_ref(current);
    sl_event_init(&reloader->wanted);
    *ret_reloader = reloader;
    return 0;
}

static int load_off_loop(void *arg)
{
    struct job *job = arg;
    return sl_config_load(job->options, &job->config, &job->report);
}

/* Compares and applies; the new configuration is the current one when it returns 0. */
static int apply(sl_config_reloader *reloader, sl_config *config)
{
    sl_auto(sl_config_changes) *changes = NULL;
    SL_TRY(sl_config_compare(reloader->current, config, &changes));
    if (sl_config_changes_count(changes) > 0) {
        SL_TRY(reloader->options.apply(reloader->options.arg, reloader->current, config, changes));
        reloader->generation++;
    } else if (reloader->options.unchanged != NULL) {
        reloader->options.unchanged(reloader->options.arg);
    }
    sl_config_unref(reloader->current);
    reloader->current = sl_config_ref(config);
    return 0;
}

static int reload(sl_config_reloader *reloader)
{
    struct job job = {&reloader->options.load, NULL, NULL};
    int code = sl_offload(load_off_loop, &job);
    bool loaded = code == 0;
    if (loaded) {
        code = apply(reloader, job.config);
    }
    if (code < 0 && reloader->options.refused != NULL) {
        reloader->options.refused(reloader->options.arg, code, loaded ? NULL : job.report);
    }
    sl_config_unref(job.config);
    sl_config_report_free(job.report);
    return code;
}

/* Ends the waits of all tickets up to this one. */
static void serve(sl_config_reloader *reloader, uint64_t ticket, int code)
{
    struct waiter **at = &reloader->waiters;
    while (*at != NULL) {
        struct waiter *waiter = *at;
        if (waiter->ticket > ticket) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        waiter->linked = false;
        waiter->code = code;
        sl_event_set(&waiter->served);
    }
}

int sl_config_reloader_run(void *arg)
{
    sl_config_reloader *reloader = arg;
    if (reloader->running) {
        return sl_fail(SL_EBUSY, "another task runs this reloader");
    }
    reloader->running = true;
    int code;
    while ((code = sl_event_wait(&reloader->wanted)) == 0) {
        uint64_t ticket = reloader->asked;
        sl_event_reset(&reloader->wanted);
        serve(reloader, ticket, reload(reloader));
    }
    reloader->running = false;
    serve(reloader, UINT64_MAX, SL_ECLOSED);
    return code;
}

void sl_config_reloader_request(sl_config_reloader *reloader)
{
    reloader->asked++;
    sl_event_set(&reloader->wanted);
}

int sl_config_reload(sl_config_reloader *reloader)
{
    if (!reloader->running) {
        return sl_fail(SL_ECLOSED, "no task runs this reloader");
    }
    sl_config_reloader_request(reloader);
    struct waiter waiter = {.next = reloader->waiters, .ticket = reloader->asked, .linked = true};
    sl_event_init(&waiter.served);
    reloader->waiters = &waiter;
    int code = sl_event_wait(&waiter.served);
    for (struct waiter **at = &reloader->waiters; waiter.linked; at = &(*at)->next) {
        if (*at == &waiter) {
            *at = waiter.next;
            break;
        }
    }
    return code < 0 ? code : waiter.code;
}

sl_config *sl_config_reloader_current(const sl_config_reloader *reloader)
{
    return sl_config_ref(reloader->current);
}

uint64_t sl_config_reloader_generation(const sl_config_reloader *reloader)
{
    return reloader->generation;
}

void sl_config_reloader_free(sl_config_reloader *reloader)
{
    if (reloader != NULL) {
        sl_config_unref(reloader->current);
        sl_free(reloader);
    }
}
