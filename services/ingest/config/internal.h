/* SPDX-License-Identifier: MIT */
/* What the tables of the program's configuration share. */
#ifndef SL_INGEST_CONFIG_INTERNAL_H
#define SL_INGEST_CONFIG_INTERNAL_H

#include "ingest/config.h"

#define SL__CHOICES(array) .choices = (array), .choice_count = SL_CONFIG_COUNT(array)

/* Names of entries, paths and templates are no longer than this. */
#define SL__CONF_TEXT_MAX "1024"

extern const char *const sl__conf_venues[SL_CONF_VENUE_COUNT];
extern const char *const sl__conf_channels[SL_CONF_CHANNEL_COUNT];

extern const struct sl_config_section *const sl__conf_services[SL_CONF_SERVICE_KINDS];
extern const struct sl_config_section *const sl__conf_sinks[SL_CONF_SINK_KINDS];
extern const struct sl_config_section sl__conf_limit, sl__conf_retry, sl__conf_breaker, sl__conf_bulkhead;
extern const struct sl_config_section sl__conf_venue_map, sl__conf_coordination, sl__conf_admin, sl__conf_log,
    sl__conf_runtime, sl__conf_dead_letter, sl__conf_spool_root;
extern const struct sl_config_section sl__conf_server_tls, sl__conf_client_tls;

/* A channel by its name, for lists. */
extern const struct sl_config_field sl__conf_channel;

/* What no single section can tell. */
void sl__conf_check(const void *value, sl_config_check *check);

/* Complains when a '<' begins none of `known` ("<a>, <b>"). NULL is fine. */
void sl__conf_check_template(sl_config_check *check, const char *key, const char *text, const char *known);

/* Complains when a text is no "host:port". */
void sl__conf_check_listen(sl_config_check *check, const char *key, const char *text);

/* Complains when a server that others can reach has nothing that keeps strangers out; `guards` names what would. */
void sl__conf_check_guard(sl_config_check *check, const char *listen, bool guarded, const char *guards);

/* Complains when a URL has a password and `password` is given too. */
/* What is said of TLS is of use only where it is used; `how` says how it would be. */
void sl__conf_check_tls(sl_config_check *check, const struct sl_conf_client_tls *tls, bool used, const char *how);
bool sl__conf_scheme_is(const struct sl_config_url *url, const char *scheme); /* also with "+sentinel" behind it */
void sl__conf_check_password(sl_config_check *check, const struct sl_config_url *url, const char *password);

#endif
