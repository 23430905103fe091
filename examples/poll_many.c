/* SPDX-License-Identifier: MIT */
/* Two thousand instruments, round and round, at the full rate that the venue permits; the venue counts itself. */
#include <stdio.h>

#include "sluice/sluice.h"

enum { INSTRUMENTS = 2000, TASKS = 16, WEIGHT = 2, PERMITTED = 6000 /* of weight in a minute */, MINUTES = 10 };
static sl_time times[PERMITTED / WEIGHT]; /* of the last requests: a ring */
static unsigned requests, exceeded, asked;

static int answer(void *arg __attribute__((unused)), sl_http_exchange *exchange)
{
    sl_time *then = &times[requests % (PERMITTED / WEIGHT)];
    exceeded += requests++ >= PERMITTED / WEIGHT && sl_now() - *then < SL_MINUTES(1);
    *then = sl_now();
    SL_TRY(sl_sleep(SL_MILLISECONDS(sl_random() % 80)));
    return sl_http_respond(exchange, 200, "application/json", "{}", 2);
}

static int serve(void *listener)
{
    return sl_http_serve(listener, answer, NULL);
}

static int poll(void *client) /* the next instrument; the client's policy says when it goes */
{
    for (;;) {
        char url[64];
        sl_auto(sl_response) *response = NULL;
        (void)snprintf(url, sizeof url, "http://127.0.0.1:8080/ticker/%u", asked++ % INSTRUMENTS);
        SL_TRY(sl_fetch(client, &(sl_request){.url = url, .cost = WEIGHT}, &response));
    }
}

static int program(void *arg __attribute__((unused)))
{
    const struct sl_rate rate = {.count = PERMITTED, .period = SL_MINUTES(1), .burst = 100};
    sl_auto(sl_listener) *listener = NULL;
    sl_auto(sl_limiter) *limiter = NULL;
    sl_auto(sl_policy) *policy = NULL;
    sl_auto(sl_http_client) *client = NULL;
    SL_TRY(sl_network_simulate());
    SL_TRY(sl_listener_open("127.0.0.1", 8080, &listener));
    SL_TRY(sl_limiter_create(&(struct sl_limiter_options){.rates = &rate, .rate_count = 1}, &limiter));
    SL_TRY(sl_policy_create(&(struct sl_policy_options){.limiters = {limiter}}, &policy));
    SL_TRY(sl_http_client_open(&(struct sl_http_client_options){.policy = policy}, &client));
    SL_SCOPE(scope, .timeout = SL_MINUTES(MINUTES), .move_on = true);
    SL_TRY(sl_spawn(&scope, serve, listener, .daemon = true));
    for (int i = 0; i < TASKS; i++) {
        SL_TRY(sl_spawn(&scope, poll, client));
    }
    SL_TRY(sl_scope_wait(&scope));
    return printf("%.1f %% used, exceeded %u times\n", 100.0 * WEIGHT * requests / PERMITTED / MINUTES, exceeded);
}

int main(void)
{
    return sl_run(&(struct sl_run_options){.simulation = &(struct sl_simulation_options){0}}, program, NULL, NULL) < 0;
}

/* Output:
98.5 % used, exceeded 0 times
*/
