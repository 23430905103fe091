/* SPDX-License-Identifier: MIT */
/*
 * A thousand fetches are in flight all the time while two hundred configurations follow one another, some of them bad.
 * Limits, retries, breaker and places change in place: no request is lost or answered twice, each task is the
 * one that it was, nothing is left over, and the server never sees more than the limit in force allows.
 */
#include <inttypes.h>
#include <string.h>

#include "sl_conformance.h"
#include "sluice/config.h"
#include "sluice/memory.h"
#include "sluice/policy.h"
#include "sluice/simulation.h"

#define FETCHERS 1000
#define RELOADS 200
#define PERIOD SL_SECONDS(2)
#define RATE_MOST 4000
#define LOG_SLOTS 8192

/* ---- the configuration ---- */

struct values {
    struct sl_config_rate rate;
    uint64_t burst, attempts, min_calls, places;
    sl_time initial;
};

static const struct sl_config_field fields[] = {
    {SL_CONFIG_AT(struct values, rate), .type = SL_CONFIG_RATE, .required = true, .reload = SL_CONFIG_LIVE},
    {SL_CONFIG_AT(struct values, burst), .type = SL_CONFIG_UINT, .min = "1", .required = true,
     .reload = SL_CONFIG_LIVE},
    {SL_CONFIG_AT(struct values, attempts), .type = SL_CONFIG_UINT, .required = true, .reload = SL_CONFIG_LIVE},
    {SL_CONFIG_AT(struct values, min_calls), .type = SL_CONFIG_UINT, .required = true, .reload = SL_CONFIG_LIVE},
    {SL_CONFIG_AT(struct values, places), .type = SL_CONFIG_UINT, .min = "1", .required = true,
     .reload = SL_CONFIG_LIVE},
    {SL_CONFIG_AT(struct values, initial), .type = SL_CONFIG_DURATION, .required = true, .reload = SL_CONFIG_LIVE},
};
static const struct sl_config_section root = {SL_CONFIG_TABLE("root", struct values, fields)};

/* ---- all that takes part ---- */

struct fetcher {
    struct load *load;
    uint64_t task_id;
    uint64_t asked, answered;
};

struct load {
    sl_listener *listener;
    sl_limiter *limiter;
    sl_policy *policy;
    sl_http_client *client;
    sl_config_reloader *reloader;
    struct sl_config_source source;
    char text[256];
    char url[64];
    struct fetcher fetchers[FETCHERS];
    bool done;
    size_t in_flight, least_in_flight, most_in_flight;
    uint64_t served, failures, strangers, refused, applied, exceeded;
    uint64_t limit; /* in force */
    uint64_t log_at;
    sl_time log[LOG_SLOTS]; /* when requests came: a ring */
};

/* ---- the server ---- */

/* More than the limit in force within the last period, this request included? */
static void judge(struct load *load)
{
    sl_time now = sl_now();
    sl_time then = load->log[(load->log_at + LOG_SLOTS - load->limit) % LOG_SLOTS];
    load->exceeded += load->log_at >= load->limit && now - then < PERIOD;
    load->log[load->log_at++ % LOG_SLOTS] = now;
}

/* Says back who asked and for what; fails now and then. */
static int answer(void *arg, sl_http_exchange *exchange)
{
    struct load *load = arg;
    if (sl_conformance_simulated()) {
        judge(load);
    }
    SL_TRY(sl_sleep(SL_MILLISECONDS(50 + sl_random() % 400)));
    if (sl_random() % 50 == 0) {
        load->failures++;
        return sl_http_respond(exchange, 503, NULL, NULL, 0);
    }
    const char *target = sl_http_target(exchange->request);
    load->served++;
    return sl_http_respond(exchange, 200, "text/plain", target, strlen(target));
}

static int serve(void *arg)
{
    struct load *load = arg;
    return sl_http_serve(load->listener, answer, load);
}

/* ---- the fetchers ---- */

static int fetch(void *arg)
{
    struct fetcher *fetcher = arg;
    struct load *load = fetcher->load;
    fetcher->task_id = sl_task_id(sl_task_self());
    while (!load->done) {
        char url[128], wanted[64];
        sl_auto(sl_response) *response = NULL;
        (void)snprintf(wanted, sizeof wanted, "/%td/%" PRIu64, fetcher - load->fetchers, ++fetcher->asked);
        (void)snprintf(url, sizeof url, "%s%s", load->url, wanted);
        load->in_flight++;
        load->most_in_flight = load->in_flight > load->most_in_flight ? load->in_flight : load->most_in_flight;
        int code = sl_fetch(load->client, &(sl_request){.url = url}, &response);
        load->in_flight--;
        SL_TRY(code);
        bool mine = sl_response_status(response) == 200 && strcmp(sl_response_body(response, NULL), wanted) == 0;
        load->strangers += !mine;
        fetcher->answered += mine;
    }
    load->strangers += sl_task_id(sl_task_self()) != fetcher->task_id;
    return 0;
}

/* ---- the reloads ---- */

static struct sl_policy_options options_of(const struct load *load, const struct values *values)
{
    return (struct sl_policy_options){
        .retry = {.attempts = (uint32_t)values->attempts,
                  .initial = values->initial,
                  .max = values->initial * 4,
                  .total = SL_NEVER,
                  .attempt_timeout = SL_SECONDS(30)},
        .budget = {.ratio = 1},
        .breaker = {.min_calls = (uint32_t)values->min_calls, .failure_ratio = 0.9},
        .limiters = {load->limiter},
        .bulkhead = {.concurrency = {.initial = (uint32_t)values->places}, .max_wait = SL_NEVER}};
}

static struct sl_rate rate_of(const struct values *values)
{
    return (struct sl_rate){.count = values->rate.count, .period = values->rate.period, .burst = values->burst};
}

static int apply(void *arg, const sl_config *before, const sl_config *after, const sl_config_changes *changes)
{
    struct load *load = arg;
    (void)before;
    (void)changes;
    const struct values *values = sl_config_root(after);
    struct sl_rate rate = rate_of(values);
    struct sl_policy_options options = options_of(load, values);
    SL_TRY(sl_policy_change(load->policy, &options));
    SL_TRY(sl_limiter_change(load->limiter, &rate, 1, SL_CARRY_PROPORTIONAL, 0));
    load->limit = rate.count;
    load->applied++;
    return 0;
}

static void refused(void *arg, int code, const sl_config_report *report)
{
    struct load *load = arg;
    load->refused += code == SL_EINVAL && report != NULL;
}

static void write_text(struct load *load, bool bad)
{
    uint64_t rate = 1000 + sl_random() % (RATE_MOST - 1000);
    int length = snprintf(load->text, sizeof load->text,
                          "rate: %" PRIu64 "/2s\nburst: %" PRIu64 "\nattempts: %" PRIu64 "\nmin_calls: %" PRIu64
                          "\nplaces: %" PRIu64 "\n%s: %" PRIu64 "ms\n",
                          rate, 1 + sl_random() % 50, 6 + sl_random() % 10, 20 + sl_random() % 30,
                          200 + sl_random() % 1000, bad ? "initail" : "initial", 1 + sl_random() % 50);
    load->source.text_bytes = (size_t)length;
}

static int reload(struct load *load)
{
    uint64_t bad = 0;
    load->least_in_flight = FETCHERS;
    for (int i = 0; i < RELOADS; i++) {
        bool is_bad = sl_random() % 10 == 0;
        SL_TRY(sl_sleep(SL_MILLISECONDS(sl_random() % 100)));
        write_text(load, is_bad);
        bad += is_bad;
        load->least_in_flight = load->in_flight < load->least_in_flight ? load->in_flight : load->least_in_flight;
        CHECK_EQ(sl_config_reload(load->reloader), is_bad ? SL_EINVAL : 0);
    }
    CHECK_EQ(load->refused, bad);
    CHECK_EQ(load->applied, RELOADS - bad);
    CHECK_EQ(sl_config_reloader_generation(load->reloader), RELOADS - bad);
    load->done = true;
    return 0;
}

/* ---- the whole ---- */

static int open_all(struct load *load)
{
    if (sl_conformance_simulated()) {
        SL_TRY(sl_network_simulate());
    }
    write_text(load, false);
    load->source.path = "load.yaml";
    load->source.text = load->text;
    struct sl_config_reloader_options options = {.load = {.root = &root, .sources = &load->source, .source_count = 1},
                                                 .apply = apply,
                                                 .refused = refused,
                                                 .arg = load};
    sl_auto(sl_config) *config = NULL;
    SL_TRY(sl_config_load(&options.load, &config, NULL));
    SL_TRY(sl_config_reloader_new(&options, config, &load->reloader));
    const struct values *values = sl_config_root(config);
    struct sl_rate rate = rate_of(values);
    load->limit = rate.count;
    SL_TRY(sl_limiter_create(&(struct sl_limiter_options){.rates = &rate, .rate_count = 1}, &load->limiter));
    struct sl_policy_options policy = options_of(load, values);
    SL_TRY(sl_policy_create(&policy, &load->policy));
    SL_TRY(sl_http_client_open(
        &(struct sl_http_client_options){.policy = load->policy, .connections_per_origin = 1300, .idle_max = 1300},
        &load->client));
    SL_TRY(sl_listener_open("127.0.0.1", 0, &load->listener));
    (void)snprintf(load->url, sizeof load->url, "http://127.0.0.1:%d", sl_listener_port(load->listener));
    return 0;
}

static void close_all(struct load *load)
{
    sl_http_client_free(load->client);
    sl_policy_free(load->policy);
    sl_limiter_free(load->limiter);
    sl_config_reloader_free(load->reloader);
    sl_listener_close(load->listener);
}

static int run_load(struct load *load)
{
    SL_SCOPE(scope, .fail_first = true);
    SL_TRY(sl_spawn(&scope, serve, load, .daemon = true));
    SL_TRY(sl_spawn(&scope, sl_config_reloader_run, load->reloader, .daemon = true));
    uint64_t first = 0;
    for (size_t i = 0; i < FETCHERS; i++) {
        load->fetchers[i] = (struct fetcher){.load = load};
        SL_TRY(sl_spawn(&scope, fetch, &load->fetchers[i]));
    }
    SL_TRY(sl_sleep(SL_MILLISECONDS(500)));
    first = load->fetchers[0].task_id;
    CHECK(first != 0);
    SL_TRY(reload(load));
    SL_TRY(sl_scope_join(&scope, SL_NEVER));
    uint64_t asked = 0, answered = 0;
    for (size_t i = 0; i < FETCHERS; i++) {
        const struct fetcher *fetcher = &load->fetchers[i];
        asked += fetcher->asked;
        answered += fetcher->answered;
        CHECK_EQ(fetcher->asked, fetcher->answered);
        CHECK_EQ(fetcher->task_id, first + i); /* the tasks that were spawned, in their order */
    }
    struct sl_policy_info info;
    sl_policy_info(load->policy, &info);
    print_message("%" PRIu64 " fetches, %" PRIu64 " attempts, %" PRIu64 " reloads applied, %" PRIu64
                  " refused; %zu to %zu in flight at a reload\n",
                  asked, info.attempts, load->applied, load->refused, load->least_in_flight, load->most_in_flight);
    CHECK_EQ(asked, answered);
    CHECK_EQ(load->served, answered); /* none lost on the way, none twice */
    CHECK_EQ(info.calls, asked);
    CHECK_EQ(info.answered, asked);
    CHECK_EQ(info.failed + info.cancelled, 0);
    CHECK_EQ(info.attempts, load->served + load->failures);
    CHECK_EQ(info.taken, 0);
    CHECK_EQ(load->strangers, 0);
    CHECK_EQ(load->exceeded, 0);
    CHECK(load->least_in_flight >= FETCHERS - 5);
    CHECK(asked / FETCHERS > 3);
    return sl_scope_close(&scope, 0);
}

static int run_all(void *arg)
{
    struct load *load = arg;
    int code = open_all(load);
    code = code == 0 ? run_load(load) : code;
    close_all(load);
    return code;
}

C_TEST_RUNS(reload_under_load, "a thousand fetches in flight and 200 reloads: nothing is lost, restarted or left", "")
{
    static struct load load;
    bool real = options->simulation == NULL;
    if (options->shuffle_seed > (real ? 0 : 2)) {
        return 0;
    }
    int64_t held = sl_memory_held();
    load = (struct load){.done = false};
    CHECK_EQ(sl_run(options, run_all, &load, NULL), 0);
    CHECK_EQ(sl_memory_held(), held);
    return 0;
}

SL_TEST_MAIN(cmocka_unit_test(reload_under_load))
