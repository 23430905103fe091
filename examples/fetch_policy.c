/* SPDX-License-Identifier: MIT */
/* One call retries, waits for the limit and heeds what the server asks for: the policy says how. */
#include <stdio.h>

#include "sluice/sluice.h"

static sl_time began;

/* A moody server: it fails, then it asks to wait, then it answers. */
static int answer(void *arg, sl_http_exchange *exchange)
{
    static const int statuses[] = {503, 429, 200};
    int *requests = arg;
    int status = statuses[*requests < 2 ? (*requests)++ : 2];
    const struct sl_http_field wait = {"Retry-After", "3"};
    struct sl_http_answer reply = {.status = status, .headers = &wait, .header_count = status == 429};
    printf("%4.1f s  %d\n", (double)(sl_now() - began) / 1e9, status);
    return sl_http_respond_with(exchange, &reply);
}

static int serve(void *listener)
{
    int requests = 0;
    return sl_http_serve(listener, answer, &requests);
}

static int ask(sl_http_client *client)
{
    for (int i = 0; i < 3; i++) {
        sl_auto(sl_response) *response = NULL;
        SL_TRY(sl_fetch(client, &(sl_request){.url = "http://127.0.0.1:8080/price"}, &response));
        printf("%4.1f s  an answer\n", (double)(sl_now() - began) / 1e9);
    }
    return 0;
}

static int program(void *arg __attribute__((unused)))
{
    sl_auto(sl_listener) *listener = NULL;
    sl_auto(sl_limiter) *limiter = NULL;
    sl_auto(sl_policy) *policy = NULL;
    sl_auto(sl_http_client) *client = NULL;
    const struct sl_rate rate = {.count = 2, .period = SL_SECONDS(1)};
    SL_TRY(sl_network_simulate());
    SL_TRY(sl_listener_open("127.0.0.1", 8080, &listener));
    SL_TRY(sl_limiter_create(&(struct sl_limiter_options){.rates = &rate, .rate_count = 1}, &limiter));
    SL_TRY(sl_policy_create(&(struct sl_policy_options){.retry = {.attempts = 4}, .limiters = {limiter}}, &policy));
    SL_TRY(sl_http_client_open(&(struct sl_http_client_options){.policy = policy}, &client));
    SL_SCOPE(scope);
    SL_TRY(sl_spawn(&scope, serve, listener, .daemon = true));
    began = sl_now();
    return sl_scope_close(&scope, ask(client));
}

int main(void)
{
    const struct sl_run_options options = {.simulation = &(const struct sl_simulation_options){.seed = 1}};
    return sl_run(&options, program, NULL, NULL) < 0; /* with a simulated clock; sl_main() in earnest */
}

/* Output:
 0.0 s  503
 0.5 s  429
 3.5 s  200
 3.5 s  an answer
 4.0 s  200
 4.0 s  an answer
 4.5 s  200
 4.5 s  an answer
*/
