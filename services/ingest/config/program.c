/* SPDX-License-Identifier: MIT */
/* The tables of venues, coordination, admin and the process, and of the whole; what only the whole can tell. */
#include <string.h>

#include "ingest/config/internal.h"

#define LIVE .reload = SL_CONFIG_LIVE
#define TASK .reload = SL_CONFIG_RESTART_TASK

#define VENUE_TEXT(name, text) text,
const char *const sl__conf_venues[SL_CONF_VENUE_COUNT] = {SL_CONF_VENUES(VENUE_TEXT)};
const char *const sl__conf_channels[SL_CONF_CHANNEL_COUNT] = {SL_CONF_CHANNELS(VENUE_TEXT)};
const struct sl_config_field sl__conf_channel = {.type = SL_CONFIG_ENUM, SL__CHOICES(sl__conf_channels)};

static const char *const stream_schemes[] = {"wss", "ws"};
static const char *const rest_schemes[] = {"https", "http"};
static const char *const proxy_schemes[] = {"http", "socks5", "socks5h"};
static const char *const redis_schemes[] = {
    "redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster", "unix"};
static const char *const backends[] = {"local", "redis"};
static const char *const losses[] = {"stop", "continue"};
static const char *const levels[] = {"error", "warning", "info", "debug"}; /* as enum sl_log_level */
static const char *const formats[] = {"auto", "text", "json"};

/* ---- TLS ---- */

static const struct sl_config_field server_tls_fields[] = {
    {SL_CONFIG_AT(struct sl_conf_server_tls, certificate), .type = SL_CONFIG_STRING, .required = true, .min = "1",
     .max = SL__CONF_TEXT_MAX, .help = "PEM file, with what leads to the authority behind it."},
    {SL_CONFIG_AT(struct sl_conf_server_tls, key), .type = SL_CONFIG_STRING, .required = true, .min = "1",
     .max = SL__CONF_TEXT_MAX, .help = "PEM file."},
    {SL_CONFIG_AT(struct sl_conf_server_tls, client_ca), .type = SL_CONFIG_STRING, .min = "1", .max = SL__CONF_TEXT_MAX,
     .help = "PEM file: clients must show a certificate that it signed."},
};
const struct sl_config_section sl__conf_server_tls = {
    SL_CONFIG_TABLE("tls", struct sl_conf_server_tls, server_tls_fields), .help = "The certificate of a server."};

static const struct sl_config_field client_tls_fields[] = {
    {SL_CONFIG_AT(struct sl_conf_client_tls, ca), .type = SL_CONFIG_STRING, .min = "1", .max = SL__CONF_TEXT_MAX,
     .help = "PEM file; none: the system's authorities."},
    {SL_CONFIG_AT(struct sl_conf_client_tls, certificate), .type = SL_CONFIG_STRING, .min = "1",
     .max = SL__CONF_TEXT_MAX, .help = "PEM file, for servers that ask for one."},
    {SL_CONFIG_AT(struct sl_conf_client_tls, key), .type = SL_CONFIG_STRING, .min = "1", .max = SL__CONF_TEXT_MAX,
     .help = "PEM file."},
    {SL_CONFIG_AT(struct sl_conf_client_tls, verify), .type = SL_CONFIG_BOOL, .default_text = "true",
     .help = "False: talk to anyone, whoever listens in; only for tests."},
};

static void check_client_tls(const void *value, sl_config_check *check)
{
    const struct sl_conf_client_tls *tls = value;
    if ((tls->certificate == NULL) != (tls->key == NULL)) {
        sl_config_reject(check, tls->key == NULL ? "certificate" : "key", "one without the other; expected %s too",
                         tls->key == NULL ? "key" : "certificate");
    }
}

const struct sl_config_section sl__conf_client_tls = {
    SL_CONFIG_TABLE("tls", struct sl_conf_client_tls, client_tls_fields), .check = check_client_tls,
    .help = "TLS of a connection that is made."};

/* ---- venues ---- */

static const struct sl_config_field address = {.type = SL_CONFIG_STRING, .min = "2", .max = "45"};

static const struct sl_config_field venue_fields[] = {
    {SL_CONFIG_AT(struct sl_conf_venue, stream), .type = SL_CONFIG_URL, SL__CHOICES(stream_schemes),
     .help = "WebSocket address in place of the venue's hosts; paths stay the venue's."},
    {SL_CONFIG_AT(struct sl_conf_venue, rest), .type = SL_CONFIG_URL, SL__CHOICES(rest_schemes),
     .help = "REST address in place of the venue's."},
    {SL_CONFIG_AT(struct sl_conf_venue, limit), .type = SL_CONFIG_STRING, .refers_to = "limits",
     .help = "Of services that name none; else the entry VENUE-rest, else what is built in."},
    {SL_CONFIG_AT(struct sl_conf_venue, retry), .type = SL_CONFIG_STRING, .refers_to = "retry",
     .help = "Of services that name none."},
    {SL_CONFIG_AT(struct sl_conf_venue, breaker), .type = SL_CONFIG_STRING, .refers_to = "breakers",
     .help = "Of services that name none."},
    {SL_CONFIG_AT(struct sl_conf_venue, bulkhead), .type = SL_CONFIG_STRING, .refers_to = "bulkheads",
     .help = "Of services that name none."},
    {SL_CONFIG_AT(struct sl_conf_venue, proxy), .type = SL_CONFIG_URL, SL__CHOICES(proxy_schemes),
     .help = "All connections go through it; socks5h: it looks names up."},
    {SL_CONFIG_AT(struct sl_conf_venue, local_addresses), .type = SL_CONFIG_LIST, .element = &address, .max = "64",
     .help = "Connections come from these in turn: venues limit by address."},
    {SL_CONFIG_AT(struct sl_conf_venue, tls), .type = SL_CONFIG_SECTION, .section = &sl__conf_client_tls,
     .help = "Whom to trust."},
};

static const struct sl_config_section venue = {SL_CONFIG_TABLE("venue", struct sl_conf_venue, venue_fields),
                                               .help = "What differs from the venue's own rules."};

#define VENUE_FIELD(id, text)                                                                                          \
    {SL_CONFIG_KEY(text, struct sl_conf_venues, at[SL_CONF_VENUE_##id]), .type = SL_CONFIG_SECTION, .section = &venue, \
     .optional = true},
static const struct sl_config_field venues_fields[] = {SL_CONF_VENUES(VENUE_FIELD)};
const struct sl_config_section sl__conf_venue_map = {SL_CONFIG_TABLE("venues", struct sl_conf_venues, venues_fields),
                                                     .help = "Addresses, proxies and defaults of each venue."};

/* ---- coordination ---- */

static const struct sl_config_field coordination_fields[] = {
    {SL_CONFIG_AT(struct sl_conf_coordination, backend), .type = SL_CONFIG_ENUM, SL__CHOICES(backends),
     .default_text = "local", .help = "local: this process alone; redis: many replicas share the work."},
    {SL_CONFIG_AT(struct sl_conf_coordination, url), .type = SL_CONFIG_URL, SL__CHOICES(redis_schemes),
     .help = "Address, with user and database: redis://user@host:6379/0."},
    {SL_CONFIG_AT(struct sl_conf_coordination, password), .type = SL_CONFIG_SECRET, .max = "1024",
     .help = "In place of one in the address."},
    {SL_CONFIG_AT(struct sl_conf_coordination, group), .type = SL_CONFIG_STRING, .default_text = "sluice", .min = "1",
     .max = "63", .help = "Replicas of one group share the work."},
    {SL_CONFIG_AT(struct sl_conf_coordination, replica), .type = SL_CONFIG_STRING, .min = "1", .max = "63",
     .help = "The name of this one; none: host name and process id."},
    {SL_CONFIG_AT(struct sl_conf_coordination, partitions), .type = SL_CONFIG_UINT, .default_text = "0", .max = "1024",
     .help = "Into which instruments are split, the same for the whole group; 0: 64 with redis, else 1."},
    {SL_CONFIG_AT(struct sl_conf_coordination, ttl), .type = SL_CONFIG_DURATION, .default_text = "10s", .min = "3s",
     .max = "10m", .help = "The work of a replica that was killed moves after so long."},
    {SL_CONFIG_AT(struct sl_conf_coordination, drain), .type = SL_CONFIG_DURATION, .default_text = "5s", .max = "10m",
     .help = "A replica that stops follows its partitions until others have all of them, for so long at most."},
    {SL_CONFIG_AT(struct sl_conf_coordination, on_loss), .type = SL_CONFIG_ENUM, SL__CHOICES(losses),
     .default_text = "stop",
     .help = "When Redis is away for longer than ttl; continue: only for sinks to which repeats are harmless."},
    {SL_CONFIG_AT(struct sl_conf_coordination, positions), .type = SL_CONFIG_STRING, .min = "1", .max = "4000",
     .help = "A file that remembers how far each feed is: what a process that starts again has missed is told as a "
             "gap. One process' own (its lock is beside it). With redis that is kept there."},
    {SL_CONFIG_AT(struct sl_conf_coordination, tls), .type = SL_CONFIG_SECTION, .section = &sl__conf_client_tls,
     .help = "Of rediss."},
};

static void check_coordination(const void *value, sl_config_check *check)
{
    const struct sl_conf_coordination *coordination = value;
    bool redis = coordination->backend == SL_CONF_BACKEND_REDIS;
    if (redis && coordination->url.text == NULL) {
        sl_config_reject(check, "url", "missing, but backend is redis; expected an address such as redis://host:6379");
    }
    if (!redis && coordination->url.text != NULL) {
        sl_config_reject(check, "url", "of no use, as backend is local; expected backend: redis");
    }
    if (strpbrk(coordination->group, "{} \r\n") != NULL) {
        sl_config_reject(check, "group", "has a brace or a space; expected a plain name");
    }
    if (coordination->replica != NULL && strpbrk(coordination->replica, "{} \r\n") != NULL) {
        sl_config_reject(check, "replica", "has a brace or a space; expected a plain name");
    }
    if (!redis && coordination->partitions > 1) {
        sl_config_reject(check, "partitions",
                         "more than one, but backend is local and there are no replicas; expected backend: redis");
    }
    sl__conf_check_tls(check, &coordination->tls, sl__conf_scheme_is(&coordination->url, "rediss"),
                       "an address of rediss");
    sl__conf_check_password(check, &coordination->url, coordination->password);
}

const struct sl_config_section sl__conf_coordination = {
    SL_CONFIG_TABLE("coordination", struct sl_conf_coordination, coordination_fields), .check = check_coordination,
    .help = "How replicas share the work."};

/* ---- admin, log, runtime and others ---- */

static const struct sl_config_field admin_fields[] = {
    {SL_CONFIG_AT(struct sl_conf_admin, enabled), .type = SL_CONFIG_BOOL, .default_text = "true",
     .help = "False: nothing listens."},
    {SL_CONFIG_AT(struct sl_conf_admin, listen), .type = SL_CONFIG_STRING, .default_text = "127.0.0.1:8080",
     .max = "256", .help = "Address and port; others than this machine's need a token."},
    {SL_CONFIG_AT(struct sl_conf_admin, token), .type = SL_CONFIG_SECRET, .min = "16", LIVE,
     .help = "Asked for as Authorization: Bearer."},
    {SL_CONFIG_AT(struct sl_conf_admin, tls), .type = SL_CONFIG_SECTION, .section = &sl__conf_server_tls,
     .optional = true, .help = "Serves https."},
    {SL_CONFIG_AT(struct sl_conf_admin, dashboard), .type = SL_CONFIG_BOOL, .default_text = "true",
     .help = "Serves the page at /."},
    {SL_CONFIG_AT(struct sl_conf_admin, max_connections), .type = SL_CONFIG_UINT, .default_text = "128", .min = "1",
     .max = "10000", .help = "At once."},
};

static void check_admin(const void *value, sl_config_check *check)
{
    const struct sl_conf_admin *admin = value;
    sl__conf_check_listen(check, "listen", admin->listen);
    if (admin->enabled) {
        sl__conf_check_guard(check, admin->listen, admin->token != NULL, "token");
    }
}

const struct sl_config_section sl__conf_admin = {SL_CONFIG_TABLE("admin", struct sl_conf_admin, admin_fields),
                                                 .check = check_admin, .help = "Health, metrics, API and dashboard."};

static const struct sl_config_field log_fields[] = {
    {SL_CONFIG_AT(struct sl_conf_log, level), .type = SL_CONFIG_ENUM, SL__CHOICES(levels), .default_text = "info",
     .help = "Less than this is not written."},
    {SL_CONFIG_AT(struct sl_conf_log, format), .type = SL_CONFIG_ENUM, SL__CHOICES(formats), .default_text = "auto",
     .help = "auto: text on a terminal, else JSON."},
    {SL_CONFIG_AT(struct sl_conf_log, merge), .type = SL_CONFIG_DURATION, .default_text = "10s", .max = "1h",
     .help = "Repeats of a line are counted so long, then told; 0: all are written."},
};
const struct sl_config_section sl__conf_log = {SL_CONFIG_TABLE("log", struct sl_conf_log, log_fields),
                                               .help = "To standard error."};

static const struct sl_config_field runtime_fields[] = {
    {SL_CONFIG_KEY("stack_size", struct sl_conf_runtime, stack_bytes), .type = SL_CONFIG_SIZE, .default_text = "0",
     .max = "8MiB", .help = "Of a task; 0: 64KiB."},
    {SL_CONFIG_AT(struct sl_conf_runtime, watchdog), .type = SL_CONFIG_DURATION, .default_text = "50ms", .max = "1m",
     .help = "A task that holds the thread for longer is named; 0: none is."},
    {SL_CONFIG_AT(struct sl_conf_runtime, spin), .type = SL_CONFIG_DURATION, .default_text = "0", .max = "100ms",
     .help =
         "Input is looked for so long before the thread sleeps: it wakes sooner and spends a core of its own; 0: not."},
    {SL_CONFIG_AT(struct sl_conf_runtime, drain), .type = SL_CONFIG_DURATION, .default_text = "20s", .max = "30m",
     .help = "From the first SIGTERM until all is cut short."},
    {SL_CONFIG_KEY("memory", struct sl_conf_runtime, memory_bytes), .type = SL_CONFIG_SIZE, .default_text = "0",
     .max = "16TiB", .help = "With more than this in use /readyz says that it is not ready; 0: no bound."},
};

static void check_runtime(const void *value, sl_config_check *check)
{
    const struct sl_conf_runtime *runtime = value;
    if (runtime->stack_bytes > 0 && runtime->stack_bytes < ((uint64_t)32 << 10)) {
        sl_config_reject(check, "stack_size", "too small; expected 0 or at least 32KiB");
    }
}

const struct sl_config_section sl__conf_runtime = {SL_CONFIG_TABLE("runtime", struct sl_conf_runtime, runtime_fields),
                                                   .check = check_runtime, .help = "Of the process."};

static const struct sl_config_field dead_letter_fields[] = {
    {SL_CONFIG_AT(struct sl_conf_dead_letter, path), .type = SL_CONFIG_STRING, .min = "1", .max = SL__CONF_TEXT_MAX,
     .help = "File for messages that could not be understood, with the reason; none: they are only counted."},
    {SL_CONFIG_KEY("max_size", struct sl_conf_dead_letter, max_bytes), .type = SL_CONFIG_SIZE, .default_text = "64MiB",
     .min = "64KiB", .max = "1TiB", .help = "Then the oldest half goes."},
};
const struct sl_config_section sl__conf_dead_letter = {
    SL_CONFIG_TABLE("dead_letter", struct sl_conf_dead_letter, dead_letter_fields),
    .help = "What could not be understood."};

static const struct sl_config_field spool_root_fields[] = {
    {SL_CONFIG_AT(struct sl_conf_spool_root, path), .type = SL_CONFIG_STRING, .default_text = "spool", .min = "1",
     .max = SL__CONF_TEXT_MAX, .help = "Folder in which each sink that spools has one of its own."},
};
const struct sl_config_section sl__conf_spool_root = {
    SL_CONFIG_TABLE("spool", struct sl_conf_spool_root, spool_root_fields),
    .help = "Where sinks spool that do not say it themselves."};

/* ---- the whole ---- */

static const struct sl_config_field service_element = {
    .type = SL_CONFIG_VARIANT, .variants = sl__conf_services, .variant_count = SL_CONF_SERVICE_KINDS};
static const struct sl_config_field limit_element = {.type = SL_CONFIG_SECTION, .section = &sl__conf_limit};
static const struct sl_config_field retry_element = {.type = SL_CONFIG_SECTION, .section = &sl__conf_retry};
static const struct sl_config_field breaker_element = {.type = SL_CONFIG_SECTION, .section = &sl__conf_breaker};
static const struct sl_config_field bulkhead_element = {.type = SL_CONFIG_SECTION, .section = &sl__conf_bulkhead};
static const struct sl_config_field sink_element = {
    .type = SL_CONFIG_VARIANT, .variants = sl__conf_sinks, .variant_count = SL_CONF_SINK_KINDS};

static const struct sl_config_field root_fields[] = {
    {SL_CONFIG_AT(struct sl_conf, services), .type = SL_CONFIG_MAP, .element = &service_element, .required = true,
     .min = "1", .max = "1024", TASK, .help = "What runs, by name."},
    {SL_CONFIG_AT(struct sl_conf, limits), .type = SL_CONFIG_MAP, .element = &limit_element, .max = "256", LIVE,
     .help = "Rate limits, by name; VENUE-rest is that of a venue."},
    {SL_CONFIG_AT(struct sl_conf, retry), .type = SL_CONFIG_MAP, .element = &retry_element, .max = "256", LIVE,
     .help = "How things are tried again, by name; default is that of all that name none."},
    {SL_CONFIG_AT(struct sl_conf, breakers), .type = SL_CONFIG_MAP, .element = &breaker_element, .max = "256", LIVE,
     .help = "Circuit breakers, by name."},
    {SL_CONFIG_AT(struct sl_conf, bulkheads), .type = SL_CONFIG_MAP, .element = &bulkhead_element, .max = "256", LIVE,
     .help = "Bounds on calls at once, by name."},
    {SL_CONFIG_AT(struct sl_conf, sinks), .type = SL_CONFIG_MAP, .element = &sink_element, .required = true, .min = "1",
     .max = "64", TASK, .help = "Where events go, by name."},
    {SL_CONFIG_AT(struct sl_conf, venues), .type = SL_CONFIG_SECTION, .section = &sl__conf_venue_map, TASK,
     .help = "What differs from the venues' own rules."},
    {SL_CONFIG_AT(struct sl_conf, coordination), .type = SL_CONFIG_SECTION, .section = &sl__conf_coordination,
     .help = "How replicas share the work."},
    {SL_CONFIG_AT(struct sl_conf, admin), .type = SL_CONFIG_SECTION, .section = &sl__conf_admin,
     .help = "Health, metrics, API and dashboard."},
    {SL_CONFIG_AT(struct sl_conf, log), .type = SL_CONFIG_SECTION, .section = &sl__conf_log, LIVE,
     .help = "What is written to standard error."},
    {SL_CONFIG_AT(struct sl_conf, runtime), .type = SL_CONFIG_SECTION, .section = &sl__conf_runtime,
     .help = "Of the process."},
    {SL_CONFIG_AT(struct sl_conf, dead_letter), .type = SL_CONFIG_SECTION, .section = &sl__conf_dead_letter,
     .help = "What could not be understood."},
    {SL_CONFIG_AT(struct sl_conf, spool), .type = SL_CONFIG_SECTION, .section = &sl__conf_spool_root,
     .help = "Where sinks spool that do not say it themselves."},
};

const struct sl_config_section sl_conf_root = {SL_CONFIG_TABLE("Sluice configuration", struct sl_conf, root_fields),
                                               .check = sl__conf_check,
                                               .help = "The files of `sluice run` and `sluice check`."};
