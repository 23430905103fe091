/* SPDX-License-Identifier: MIT */
/* The way to a venue. See access.h. */
#include "ingest/program/access.h"
#include "ingest/program/access_shared.h"
#include "ingest/program/program.h"

#include <stdio.h>
#include <string.h>

#include "sluice/log_record.h"
#include "sluice/runtime.h"

#define ORIGIN_BYTES 512
#define URL_BYTES 2048
#define WHY_BYTES 192

/* Of one answer, unpacked: a list of 50 000 instruments in Binance's form has 17 MB. */
#define ANSWER_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct sl_access {
    sl_config *config;                 /* kept: the texts are its */
    const struct sl_conf_venue *venue; /* NULL: nothing differs from the venue's own rules */
    const char *limit;                 /* the name of its entry; NULL: what is built in */
    const sl_venue_driver *driver;
    sl_instruments *instruments;
    char stream_origin[ORIGIN_BYTES];
    char rest_origin[ORIGIN_BYTES];
    sl_tls_config *tls;
    sl_limiter *limiter, *connects;
    struct sl__access_shared shared;
    sl_policy *policy;
    sl_http_client *http;
    sl_venue_decoder *decoder;
    size_t next_address;
    uint64_t revision; /* of the limits */
    uint32_t members;
    struct sl_access_stats stats;
};

sl_venue sl_access_venue(int conf_venue)
{
    return conf_venue >= 0 && conf_venue < SL_CONF_VENUE_COUNT ? sl_venue_find(sl_conf_venue_name(conf_venue))
                                                               : SL_VENUE_NONE;
}

/* ---- policies ---- */

static const void *entry(const struct sl_config_map *map, const char *name)
{
    return name == NULL ? NULL : sl_config_map_find(map, name);
}

/* The rates of the requests' limiter: as configured, or the venue's own. */
static void rates_of(const struct sl_conf *conf, const struct sl_config_variant *service, sl_venue venue,
                     struct sl_rate rates[SL_RATES_MAX], struct sl_limiter_options *options)
{
    const char *name = sl_conf_limit_of(conf, service);
    const struct sl_conf_limit *limit = entry(&conf->limits, name);
    if (limit != NULL) {
        sl_conf_limiter_options(name, limit, rates, options);
        return;
    }
    const sl_venue_driver *driver = sl_venue_driver_of(venue);
    size_t count = 0;
    while (count < SL_VENUE_RATES_MAX && driver->rates[count].count > 0) {
        rates[count] = driver->rates[count];
        count++;
    }
    *options = (struct sl_limiter_options){
        .name = sl_venue_name(venue),
        .rates = rates,
        .rate_count = count,
        .dialect = driver->limit_dialect == NULL ? NULL : sl_limit_dialect_find(driver->limit_dialect)};
}

void sl_access_policy_options(const sl_access *access, const struct sl_conf *conf,
                              const struct sl_config_variant *service, struct sl_policy_options *options)
{
    const struct sl_conf_retry *retry = entry(&conf->retry, sl_conf_retry_of(conf, service));
    const struct sl_conf_breaker *breaker = entry(&conf->breakers, sl_conf_breaker_of(conf, service));
    const struct sl_conf_bulkhead *bulkhead = entry(&conf->bulkheads, sl_conf_bulkhead_of(conf, service));
    *options = (struct sl_policy_options){
        .name = sl_venue_name(access->driver->venue), .no_breaker = breaker == NULL, .limiters = {access->limiter}};
    sl_conf_retry_policy(retry, &options->retry);
    options->no_budget = !sl_conf_retry_budget(retry, &options->budget);
    sl_conf_breaker_policy(breaker, &options->breaker);
    if (bulkhead != NULL) {
        sl_conf_bulkhead_options(bulkhead, &options->bulkhead);
    }
}

static int make_policy(sl_access *access, const struct sl_conf *conf, const struct sl_config_variant *service,
                       const struct sl_access_sharing *sharing)
{
    struct sl_rate rates[SL_RATES_MAX];
    struct sl_limiter_options limiter = {.name = sl_venue_name(access->driver->venue)};
    rates_of(conf, service, access->driver->venue, rates, &limiter);
    const struct sl_conf_limit *limit = entry(&conf->limits, access->limit);
    if (sharing != NULL && limit != NULL && limit->shared == SL_CONF_SHARED_REDIS) {
        access->members = sharing->members;
        SL_TRY(sl__access_share(&access->shared, sharing, limit, &limiter));
    }
    SL_TRY(sl_limiter_create(&limiter, &access->limiter));
    const sl_venue_stream_limits *streams = &access->driver->limits;
    if (streams->connects > 0) {
        struct sl_rate connects = {.count = streams->connects, .period = streams->connects_per};
        struct sl_limiter_options options = {.name = "connects", .rates = &connects, .rate_count = 1};
        SL_TRY(sl_limiter_create(&options, &access->connects));
    }
    struct sl_policy_options policy;
    sl_access_policy_options(access, conf, service, &policy);
    return sl_policy_create(&policy, &access->policy);
}

/* ---- whether it is still the way that the configuration wants ---- */

static bool same_text(const char *left, const char *right)
{
    return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

static bool same_texts(const struct sl_config_list *left, const struct sl_config_list *right)
{
    bool same = left->count == right->count;
    for (size_t at = 0; same && at < left->count; at++) {
        same = same_text(((const char *const *)left->items)[at], ((const char *const *)right->items)[at]);
    }
    return same;
}

static bool same_venue(const struct sl_conf_venue *left, const struct sl_conf_venue *right)
{
    static const struct sl_conf_venue nothing = {.tls = {.verify = true}};
    left = left == NULL ? &nothing : left;
    right = right == NULL ? &nothing : right;
    return same_text(left->stream.text, right->stream.text) && same_text(left->rest.text, right->rest.text) &&
           same_text(left->proxy.text, right->proxy.text) &&
           same_texts(&left->local_addresses, &right->local_addresses) && same_text(left->tls.ca, right->tls.ca) &&
           same_text(left->tls.certificate, right->tls.certificate) && same_text(left->tls.key, right->tls.key) &&
           left->tls.verify == right->tls.verify;
}

/* Rates change in place. */
static bool same_limit(const struct sl_conf_limit *left, const struct sl_conf_limit *right)
{
    if (left == NULL || right == NULL) {
        return left == right;
    }
    return left->adapt == right->adapt && same_text(left->dialect, right->dialect) && left->shared == right->shared &&
           left->max_wait == right->max_wait && left->max_waiting == right->max_waiting &&
           left->shadow == right->shadow;
}

bool sl_access_fits(const sl_access *access, const struct sl_conf *conf, const struct sl_config_variant *service)
{
    const struct sl_conf *made_of = sl_config_root(access->config);
    const struct sl_conf_market *market = sl_conf_market(service);
    const char *limit = sl_conf_limit_of(conf, service);
    return same_venue(access->venue, conf->venues.at[market->venue]) && same_text(access->limit, limit) &&
           same_limit(entry(&made_of->limits, access->limit), entry(&conf->limits, limit));
}

/* Replicas that share a limit go by the newest file: time tells which that is. */
static uint64_t next_revision(sl_access *access)
{
    uint64_t now = (uint64_t)(sl_now_wall() / SL_MILLISECONDS(1));
    access->revision = now > access->revision ? now : access->revision + 1;
    return access->revision;
}

int sl_access_change(sl_access *access, const struct sl_conf *conf, const struct sl_config_variant *service)
{
    struct sl_rate rates[SL_RATES_MAX];
    struct sl_limiter_options limiter = {.name = ""};
    rates_of(conf, service, access->driver->venue, rates, &limiter);
    struct sl_policy_options policy;
    sl_access_policy_options(access, conf, service, &policy);
    SL_TRY(sl_policy_change(access->policy, &policy));
    const struct sl_conf_limit *limit = entry(&conf->limits, access->limit);
    if (access->shared.limit != NULL && limit != NULL) {
        access->shared.on_redis_error = limit->on_redis_error;
        access->shared.safety = limit->safety;
        sl_access_set_members(access, access->members);
    }
    return sl_limiter_change(access->limiter, limiter.rates, limiter.rate_count, SL_CARRY_AS_IS, next_revision(access));
}

void sl_access_set_members(sl_access *access, uint32_t members)
{
    access->members = members;
    if (access->shared.limit != NULL && members > 0) {
        sl_shared_limit_set_share(access->shared.limit, access->shared.safety / members);
    }
}

bool sl_access_shared(const sl_access *access, bool *ret_away)
{
    struct sl_shared_limit_stats stats = {.away = false};
    if (access->shared.limit != NULL) {
        sl_shared_limit_stats_get(access->shared.limit, &stats);
    }
    *ret_away = stats.away;
    return access->shared.limit != NULL;
}

/* ---- opened and closed ---- */

/* A URL of the configuration as an origin: what the venue's paths are put behind. */
static int set_origin(char origin[ORIGIN_BYTES], const struct sl_config_url *url, const char *otherwise)
{
    const char *text = url == NULL || url->text == NULL ? otherwise : url->text;
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == '/') {
        length--;
    }
    if (length == 0 || length >= ORIGIN_BYTES) {
        return sl_fail(SL_EINVAL, "an address of %zu bytes", length);
    }
    memcpy(origin, text, length);
    origin[length] = '\0';
    return 0;
}

int sl__client_tls(const struct sl_conf_client_tls *tls, sl_tls_config **ret_tls)
{
    *ret_tls = NULL;
    if (tls == NULL || (tls->ca == NULL && tls->certificate == NULL && tls->verify)) {
        return 0;
    }
    struct sl_tls_options options = {.ca_file = tls->ca,
                                     .certificate_file = tls->certificate,
                                     .key_file = tls->key,
                                     .insecure_accept_any_certificate = !tls->verify};
    return sl_tls_config_open(&options, ret_tls);
}

int sl__server_tls(const struct sl_conf_server_tls *tls, sl_tls_config **ret_tls)
{
    struct sl_tls_options options = {.server = true,
                                     .certificate_file = tls->certificate,
                                     .key_file = tls->key,
                                     .ca_file = tls->client_ca,
                                     .client_certificates = tls->client_ca == NULL ? SL_TLS_CLIENTS_ANONYMOUS
                                                                                   : SL_TLS_CLIENTS_MUST_CERTIFY};
    return sl_tls_config_open(&options, ret_tls);
}

static int open_all(sl_access *access, const struct sl_conf *conf, const struct sl_config_variant *service,
                    const struct sl_access_sharing *sharing)
{
    const struct sl_conf_venue *venue = access->venue;
    SL_TRY(set_origin(access->stream_origin, venue == NULL ? NULL : &venue->stream, access->driver->stream_origin));
    SL_TRY(set_origin(access->rest_origin, venue == NULL ? NULL : &venue->rest, access->driver->rest_origin));
    SL_TRY(sl__client_tls(access->venue == NULL ? NULL : &access->venue->tls, &access->tls));
    SL_TRY(make_policy(access, conf, service, sharing));
    struct sl_http_client_options http = {.tls = access->tls,
                                          .policy = access->policy,
                                          .body_bytes_max = ANSWER_BYTES_MAX,
                                          .local_address = sl_access_local_address(access),
                                          .proxy = sl_access_proxy(access)};
    SL_TRY(sl_http_client_open(&http, &access->http));
    sl_venue_decoder_options decoder = {
        .venue = access->driver->venue, .instruments = access->instruments, .message_max_bytes = ANSWER_BYTES_MAX};
    return sl_venue_decoder_new(&decoder, &access->decoder);
}

int sl_access_open(sl_config *config, const struct sl_config_variant *service, sl_instruments *instruments,
                   const struct sl_access_sharing *sharing, sl_access **ret_access)
{
    const struct sl_conf *conf = sl_config_root(config);
    const struct sl_conf_market *market = sl_conf_market(service);
    const sl_venue_driver *driver = market == NULL ? NULL : sl_venue_driver_of(sl_access_venue(market->venue));
    if (market == NULL || driver == NULL) {
        return sl_fail(SL_EINVAL, "no such venue");
    }
    sl_access *access = sl_calloc(1, sizeof *access);
    if (access == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for %s", driver->title);
    }
    access->config = sl_config_ref(config);
    access->driver = driver;
    access->instruments = instruments;
    access->venue = conf->venues.at[market->venue];
    access->limit = sl_conf_limit_of(conf, service);
    int code = open_all(access, conf, service, sharing);
    if (code < 0) {
        sl_access_close(access);
        return code;
    }
    *ret_access = access;
    return 0;
}

void sl_access_close(sl_access *access)
{
    if (access != NULL) {
        sl_http_client_free(access->http);
        sl_policy_free(access->policy);
        sl_limiter_free(access->limiter);
        sl_limiter_free(access->connects);
        sl_tls_config_free(access->tls);
        sl_venue_decoder_free(access->decoder);
        sl_config_unref(access->config);
        sl_free(access);
    }
}

/* ---- the list of instruments ---- */

static int no_event(void *arg, const sl_market_event *event)
{
    (void)arg;
    (void)event;
    return 0;
}

/* A list that is being read. */
struct listing {
    sl_access *access;
    const struct sl_access_watcher *watcher; /* NULL: nobody */
    int64_t receive_time_ns;
    size_t bad_rows; /* of the page */
};

static void on_bad_row(void *arg, const char *text, size_t size_bytes, int code)
{
    struct listing *listing = arg;
    sl_access *access = listing->access;
    listing->bad_rows++;
    access->stats.bad_rows++;
    if (listing->watcher != NULL && listing->watcher->bad != NULL) {
        listing->watcher->bad(listing->watcher->arg,
                              &(struct sl_bad_message){.text = text,
                                                       .size_bytes = size_bytes,
                                                       .receive_time_ns = listing->receive_time_ns,
                                                       .code = code,
                                                       .problem = sl_venue_problem(access->decoder)});
    }
}

/* One page: how many were on it. */
static int list_page(struct listing *listing, sl_venue_request *request, bool *ret_more)
{
    sl_access *access = listing->access;
    const struct sl_access_watcher *watcher = listing->watcher;
    char url[ORIGIN_BYTES + URL_BYTES];
    int used = snprintf(url, sizeof url, "%s", access->rest_origin);
    SL_TRY(access->driver->rest_path(request, url + used, sizeof url - (size_t)used));
    sl_auto(sl_response) *response = NULL;
    uint32_t cost = sl_venue_cost(access->driver, request);
    int code = sl_fetch(access->http, &(sl_request){.url = url, .cost = cost}, &response);
    if (code < 0 && code != SL_ECANCELED && code != SL_ENOMEM) {
        char why[WHY_BYTES];
        sl__service_describe(code, why, sizeof why);
        return sl_fail(code, "the instruments of %s: %s: %s", access->driver->title, access->rest_origin, why);
    }
    SL_TRY(code);
    sl_venue_message message = {.receive_time_ns = sl_now_wall()};
    message.text = sl_response_body(response, &message.size_bytes);
    if (watcher != NULL && watcher->answer != NULL) {
        SL_TRY(watcher->answer(watcher->arg, url, message.text, message.size_bytes, message.receive_time_ns));
    }
    sl_venue_output output = {.arg = listing, .event = no_event, .bad_row = on_bad_row};
    sl_venue_answer answer = {0};
    listing->receive_time_ns = message.receive_time_ns;
    listing->bad_rows = 0;
    code = sl_venue_decode_rest(access->decoder, request, &message, &output, access->instruments, &answer);
    code = code == 0 && answer.rows == 0 && listing->bad_rows > 0 ? SL_EPROTO : code; /* it is none */
    if (code < 0) {
        return sl_fail(code, "the instruments of %s: HTTP status %d: %s", access->driver->title,
                       sl_response_status(response), sl_venue_problem(access->decoder));
    }
    *ret_more = answer.more;
    memcpy(request->cursor, answer.cursor, sizeof request->cursor);
    return (int)answer.rows;
}

int sl_access_list(sl_access *access, const struct sl_access_watcher *watcher)
{
    struct listing listing = {.access = access, .watcher = watcher};
    uint64_t bad_rows = access->stats.bad_rows;
    sl_venue_request request = {.kind = SL_REQUEST_INSTRUMENTS};
    size_t listed = 0;
    bool more = true;
    uint32_t list = sl_instruments_begin_list(access->instruments);
    const sl_instrument *clash = NULL;
    size_t clashes = sl_instruments_clashes(access->instruments, NULL);
    for (int page = 0; more && page < SL_ACCESS_PAGES_MAX; page++) {
        int rows = list_page(&listing, &request, &more);
        if (rows < 0) {
            access->stats.list_failures++;
            (void)snprintf(access->stats.problem, sizeof access->stats.problem, "%s", sl_strerror(rows));
            return rows;
        }
        listed += (size_t)rows;
    }
    access->stats.lists++;
    access->stats.listed = listed;
    if (sl_instruments_clashes(access->instruments, &clash) > clashes) {
        sl_log_with(SL_LOG_WARNING, "two instruments of a venue come to one name: one goes by its symbol",
                    sl_field_text("venue", sl_venue_name(clash->venue)), sl_field_text("symbol", clash->symbol));
    }
    if (!more && listed > 0 && access->stats.bad_rows == bad_rows) { /* all pages: what is not on them is gone */
        access->stats.delisted += sl_instruments_end_list(access->instruments, access->driver->venue, list);
    }
    return (int)listed;
}

/* ---- looking ---- */

const sl_venue_driver *sl_access_driver(const sl_access *access)
{
    return access->driver;
}

const char *sl_access_stream_origin(const sl_access *access)
{
    return access->stream_origin;
}

const char *sl_access_rest_origin(const sl_access *access)
{
    return access->rest_origin;
}

sl_http_client *sl_access_http(sl_access *access)
{
    return access->http;
}

sl_limiter *sl_access_limiter(sl_access *access)
{
    return access->limiter;
}

sl_limiter *sl_access_connects(sl_access *access)
{
    return access->connects;
}

sl_policy *sl_access_policy(sl_access *access)
{
    return access->policy;
}

sl_tls_config *sl_access_tls(sl_access *access)
{
    return access->tls;
}

const char *sl_access_proxy(const sl_access *access)
{
    return access->venue == NULL ? NULL : access->venue->proxy.text;
}

const char *sl_access_local_address(sl_access *access)
{
    if (access->venue == NULL || access->venue->local_addresses.count == 0) {
        return NULL;
    }
    const char *const *all = access->venue->local_addresses.items;
    return all[access->next_address++ % access->venue->local_addresses.count];
}

const struct sl_access_stats *sl_access_get_stats(const sl_access *access)
{
    return &access->stats;
}
