/* SPDX-License-Identifier: MIT */
/* What people tell a running program: follow an instrument or leave it, rest, go on, connect anew, end. See program.h. */
#include <string.h>

#include "ingest/program/program_internal.h"
#include "sluice/log_record.h"
#include "sluice/supervisor.h"

/* ---- what is said by word of mouth ---- */

bool sl__program_asks_for(const struct sl_program_service *service, const sl_instrument *instrument, bool otherwise)
{
    signed char word = instrument->index < service->word_count ? service->words[instrument->index] : 0;
    return word == 0 ? otherwise : word > 0;
}

static int keep_word(struct sl_program_service *service, uint32_t index, bool follow)
{
    size_t count = service->word_count == 0 ? 64 : service->word_count;
    while (count <= index) {
        count *= 2;
    }
    if (count > service->word_count) {
        signed char *words = sl_realloc(service->words, count);
        if (words == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for %zu instruments", count);
        }
        memset(words + service->word_count, 0, count - service->word_count);
        service->words = words;
        service->word_count = count;
    }
    service->words[index] = follow ? 1 : -1;
    sl_event_set(&service->changed);
    return 0;
}

static const sl_instrument *find_instrument(const sl_program_parts *parts, const struct sl_program_service *service,
                                            const char *name)
{
    sl_venue venue = sl_access_venue(sl_conf_market(service->variant)->venue);
    const sl_instrument *found = sl_instruments_find(parts->instruments, venue, name, strlen(name));
    return found != NULL ? found : sl_instruments_find_name(parts->instruments, venue, name);
}

int sl_program_follow(sl_program_parts *parts, const char *name, const char *instrument_name, bool follow)
{
    struct sl_program_service *service = sl__program_service(parts, name);
    if (service == NULL || sl_conf_market(service->variant) == NULL || service->kind == NULL) {
        return sl_fail(SL_ENOENT, "there is no service '%s' with instruments", name);
    }
    const sl_instrument *instrument = find_instrument(parts, service, instrument_name);
    if (instrument == NULL) {
        return sl_fail(SL_ENOENT, "the venue of '%s' has no instrument '%s'", name, instrument_name);
    }
    if (sl__service_elsewhere(service, instrument)) {
        return sl_fail(SL_ENOTSUP, "another replica has '%s': ask that one", instrument_name);
    }
    return keep_word(service, instrument->index, follow);
}

/* ---- rest, begin anew, end ---- */

static int find_running(const sl_program_parts *parts, const char *name, struct sl_program_service **ret_service)
{
    *ret_service = sl__program_service(parts, name);
    if (*ret_service == NULL || parts->services_scope == NULL) {
        return sl_fail(SL_ENOENT, "there is no service '%s'", name);
    }
    return 0;
}

int sl_program_pause(sl_program_parts *parts, const char *name, bool paused)
{
    struct sl_program_service *service = NULL;
    SL_TRY(find_running(parts, name, &service));
    if (service->paused == paused) {
        return sl_fail(SL_EALREADY, paused ? "'%s' is paused already" : "'%s' is not paused", name);
    }
    service->paused = paused;
    sl_log_with(SL_LOG_INFO, paused ? "paused" : "resumed", sl_field_text("service", name));
    if (service->kind->pause == NULL) {
        return paused ? sl_child_stop(parts->services_scope, name) : sl_child_start(parts->services_scope, name);
    }
    if (service->life != NULL) { /* else its next life looks at it */
        service->kind->pause(service, paused);
    }
    return 0;
}

int sl_program_restart(sl_program_parts *parts, const char *name)
{
    struct sl_program_service *service = NULL;
    SL_TRY(find_running(parts, name, &service));
    if (service->paused) {
        return sl_fail(SL_EBUSY, "'%s' is paused", name);
    }
    if (service->kind->restart == NULL || service->life == NULL) {
        return sl_child_restart(parts->services_scope, name);
    }
    service->kind->restart(service);
    return 0;
}

int sl_program_stop(sl_program_parts *parts)
{
    if (parts->services_scope == NULL) {
        return sl_fail(SL_ECLOSED, "nothing runs");
    }
    sl_event_set(&parts->stopped);
    return 0;
}

/* Of an instrument, or (NULL) of all of the venue's that the service follows: how many. */
static int resync(const sl_program_parts *parts, struct sl_program_service *service, const char *name)
{
    sl_venue venue = sl_access_driver(service->access)->venue;
    int renewed = 0;
    if (name != NULL) {
        const sl_instrument *found = find_instrument(parts, service, name);
        return found == NULL ? 0 : service->kind->resync(service, found);
    }
    for (size_t at = 0; at < sl_instruments_count(parts->instruments) && service->life != NULL; at++) {
        const sl_instrument *instrument = sl_instruments_at(parts->instruments, at);
        if (instrument->venue == venue) {
            int code = service->kind->resync(service, instrument);
            SL_TRY(code);
            renewed += code;
        }
    }
    return renewed;
}

int sl_program_resync(sl_program_parts *parts, const char *name, const char *instrument)
{
    struct sl_program_service *service = NULL;
    SL_TRY(find_running(parts, name, &service));
    if (service->life == NULL || service->kind->resync == NULL) {
        return sl_fail(SL_ENOTSUP, "'%s' has nothing that could be made anew just now", name);
    }
    int renewed = resync(parts, service, instrument);
    SL_TRY(renewed);
    return renewed > 0 ? 0
                       : sl_fail(SL_ENOENT, "'%s' does not follow %s", name, instrument == NULL ? "any" : instrument);
}
