/* SPDX-License-Identifier: MIT */
/* What the tests of policies share: a scripted server, a client with a policy, and fetches in tasks. */
#ifndef SL_TESTS_POLICY_SUPPORT_H
#define SL_TESTS_POLICY_SUPPORT_H

#include <string.h>

#include "scripted_server.h"
#include "sluice/memory.h"
#include "sluice/policy.h"

#define MS SL_MILLISECONDS(1)

struct kit {
    struct scripted_server server;
    sl_policy *policy;
    sl_http_client *client;
};

static inline int kit_open(struct kit *kit, const struct sl_policy_options *options, size_t connections)
{
    kit->policy = NULL;
    kit->client = NULL;
    SL_TRY(scripted_server_start(&kit->server));
    SL_TRY(sl_policy_create(options, &kit->policy));
    struct sl_http_client_options http = {.policy = kit->policy, .connections_per_origin = connections};
    return sl_http_client_open(&http, &kit->client);
}

/* Also after an opening that failed. */
static inline int kit_close(struct kit *kit)
{
    sl_http_client_free(kit->client);
    sl_policy_free(kit->policy);
    return scripted_server_stop(&kit->server);
}

static inline struct sl_policy_info kit_info(const struct kit *kit)
{
    struct sl_policy_info info;
    sl_policy_info(kit->policy, &info);
    return info;
}

/* The status of an answer, or a negative code. */
static inline int kit_fetch(struct kit *kit, const sl_request *request)
{
    sl_response *response = NULL;
    sl_request full = *request;
    full.url = full.url == NULL ? kit->server.url : full.url;
    SL_TRY(sl_fetch(kit->client, &full, &response));
    int status = sl_response_status(response);
    sl_response_free(response);
    return status;
}

/* A fetch in a task of its own. */
struct caller {
    struct kit *kit;
    sl_request request;
    int result;
    sl_time ended;
    char message[512];
};

static inline int caller_run(void *arg)
{
    struct caller *caller = arg;
    caller->result = kit_fetch(caller->kit, &caller->request);
    caller->ended = sl_now();
    (void)snprintf(caller->message, sizeof caller->message, "%s",
                   caller->result < 0 ? sl_error_message(sl_error_last()) : "");
    return 0;
}

#define SAYS(text) (strstr(sl_error_message(sl_error_last()), (text)) != NULL)

#endif
