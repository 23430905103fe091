/* SPDX-License-Identifier: MIT */
/* What servers say about their limits, through sl_fetch(): by status, by headers and in bodies, as each venue does. */
#include "policy_support.h"

#include <time.h>

#include "venues/venue.h"

#define CALLERS 20

struct limited {
    struct kit kit;
    sl_limiter *limiter;
    struct caller callers[CALLERS];
};

static int limited_open(struct limited *limited, const char *dialect, const struct sl_policy_options *options)
{
    struct sl_policy_options full = *options;
    struct sl_rate rate = {.count = 100, .period = SL_SECONDS(1), .burst = 10};
    struct sl_limiter_options limits = {.name = "rest", .rates = &rate, .rate_count = 1};
    limits.dialect = dialect == NULL ? NULL : sl_limit_dialect_find(dialect);
    CHECK(dialect == NULL || limits.dialect != NULL);
    SL_TRY(sl_limiter_create(&limits, &limited->limiter));
    full.limiters[0] = limited->limiter;
    return kit_open(&limited->kit, &full, 0);
}

static int limited_close(struct limited *limited)
{
    int code = kit_close(&limited->kit);
    sl_limiter_free(limited->limiter);
    return code;
}

/* Many fetch at once; how many were answered with `status`. */
static int fetch_all(struct limited *limited, int status, int *ret_count)
{
    SL_SCOPE(scope);
    for (size_t i = 0; i < CALLERS; i++) {
        limited->callers[i] = (struct caller){.kit = &limited->kit};
        SL_TRY(sl_spawn(&scope, caller_run, &limited->callers[i]));
    }
    SL_TRY(sl_scope_wait(&scope));
    *ret_count = 0;
    for (size_t i = 0; i < CALLERS; i++) {
        *ret_count += limited->callers[i].result == status;
    }
    return 0;
}

/* ---- by status ---- */

/* The first request is refused with `answer`; nobody may come before `wait` has passed, and then all are served. */
static int one_refusal_stops_all(const char *dialect, const struct scripted_answer *answer, sl_time wait)
{
    struct limited limited = {.limiter = NULL};
    struct sl_policy_options options = {.retry = {.total = SL_SECONDS(10000), .retry_after_max = SL_NEVER}};
    const struct scripted_answer script[] = {*answer, {.status = 200}};
    int served;
    CHECK_EQ(limited_open(&limited, dialect, &options), 0);
    scripted_server_script(&limited.kit.server, script, 2);
    SL_SCOPE(scope);
    struct caller leader = {.kit = &limited.kit};
    CHECK_EQ(sl_spawn(&scope, caller_run, &leader), 0);
    while (limited.kit.server.seen == 0) {
        CHECK_EQ(sl_sleep(MS), 0);
    }
    CHECK_EQ(sl_sleep(10 * MS), 0); /* the answer has come */
    sl_time refused = limited.kit.server.times[0];
    CHECK_EQ(fetch_all(&limited, 200, &served), 0);
    CHECK_EQ(served, CALLERS);
    CHECK_EQ(sl_scope_wait(&scope), 0);
    CHECK_EQ(leader.result, 200);
    CHECK_EQ(limited.kit.server.seen, CALLERS + 2);
    CHECK(limited.kit.server.times[1] - refused >= wait);
    CHECK(limited.kit.server.times[1] - refused <= wait + SL_SECONDS(1));
    CHECK_EQ(kit_info(&limited.kit).limited, 1);
    CHECK_EQ(kit_info(&limited.kit).breaker, SL_BREAKER_CLOSED);
    return limited_close(&limited);
}

C_TEST_SIMULATED(limits_retry_after_seconds, "given 429 with Retry-After: 7, then nobody comes for 7 s", "")
{
    return one_refusal_stops_all(NULL, &(struct scripted_answer){.status = 429, .headers = {{"Retry-After", "7"}}},
                                 SL_SECONDS(7));
}

C_TEST_SIMULATED(limits_retry_after_date, "given 429 with a date in 9 s, then nobody comes before it", "")
{
    char date[64];
    time_t second = (time_t)(sl_now_wall() / SL_SECONDS(1) + 9);
    struct tm parts;
    (void)gmtime_r(&second, &parts);
    (void)strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    sl_time wait = SL_SECONDS(second) - sl_now_wall();
    return one_refusal_stops_all(NULL, &(struct scripted_answer){.status = 429, .headers = {{"Retry-After", date}}},
                                 wait);
}

C_TEST_SIMULATED(limits_plain_429, "given 429 that says nothing, then nobody comes for a second", "")
{
    return one_refusal_stops_all(NULL, &(struct scripted_answer){.status = 429}, SL_SECONDS(1));
}

C_TEST_SIMULATED(limits_are_no_failures, "given refusals only, then the breaker stays closed", "")
{
    struct limited limited = {.limiter = NULL};
    struct sl_policy_options options = {.retry = {.attempts = 10, .total = SL_SECONDS(10000)},
                                        .breaker = {.min_calls = 2, .failure_ratio = 0.1}};
    CHECK_EQ(limited_open(&limited, "bapi", &options), 0);
    SCRIPT(&limited.kit.server, {.status = 429}, {.body = "{\"retCode\":10006}"}, {.status = 429});
    CHECK_EQ(kit_fetch(&limited.kit, &(sl_request){.cost = 1}), SL_EGAVEUP);
    CHECK_EQ(limited.kit.server.seen, 10);
    CHECK_EQ(kit_info(&limited.kit).breaker, SL_BREAKER_CLOSED);
    return limited_close(&limited);
}

C_TEST_SIMULATED(limits_503_with_a_wish, "given 503 with Retry-After, then nobody comes before", "")
{
    struct limited limited = {.limiter = NULL};
    struct sl_policy_options options = {.retry = {.total = SL_SECONDS(100)}};
    CHECK_EQ(limited_open(&limited, NULL, &options), 0);
    SCRIPT(&limited.kit.server, {.status = 503, .headers = {{"Retry-After", "5"}}}, {.status = 200});
    CHECK_EQ(kit_fetch(&limited.kit, &(sl_request){.cost = 1}), 200);
    CHECK(limited.kit.server.times[1] - limited.kit.server.times[0] >= SL_SECONDS(5));
    CHECK_EQ(kit_info(&limited.kit).limited, 0);
    return limited_close(&limited);
}

C_TEST_SIMULATED(limits_418_bans,
                 "given 418 for two hours, when others wait, then all end at once and are told until when", "")
{
    struct limited limited = {.limiter = NULL};
    struct sl_policy_options options = {.retry = {.total = SL_SECONDS(60)}};
    int stopped;
    CHECK_EQ(limited_open(&limited, "used-weight", &options), 0);
    SCRIPT(&limited.kit.server,
           {.status = 418, .headers = {{"Retry-After", "7200"}}, .body = "{\"code\":-1003,\"msg\":\"banned\"}"});
    CHECK_EQ(kit_fetch(&limited.kit, &(sl_request){.cost = 1}), SL_EGAVEUP);
    CHECK(SAYS(": 418; the server asks to wait for 7200000 ms"));
    sl_time before = sl_now();
    CHECK_EQ(fetch_all(&limited, SL_ELIMITED, &stopped), 0);
    CHECK_EQ(stopped, CALLERS);
    CHECK_EQ(sl_now(), before);
    CHECK(strstr(limited.callers[0].message, "rest: blocked for another 7200000 ms: ") != NULL);
    CHECK(strstr(limited.callers[0].message, "the server answered 418") != NULL);
    CHECK_EQ(limited.kit.server.seen, 1);
    CHECK_EQ(sl_sleep(SL_SECONDS(7200)), 0);
    SCRIPT(&limited.kit.server, {.status = 200});
    CHECK_EQ(kit_fetch(&limited.kit, &(sl_request){.cost = 1}), 200);
    return limited_close(&limited);
}

C_TEST_SIMULATED(limits_ban_reaches_those_who_wait,
                 "given callers in the queue, when a ban comes, then none of them goes", "")
{
    struct limited limited = {.limiter = NULL};
    struct sl_policy_options options = {.retry = {.total = SL_SECONDS(60)}};
    int stopped;
    CHECK_EQ(limited_open(&limited, "bapi", &options), 0);
    SCRIPT(&limited.kit.server, {.status = 403, .body = "access too frequent"}); /* no Retry-After: ten minutes */
    CHECK_EQ(fetch_all(&limited, SL_ELIMITED, &stopped), 0);
    CHECK_EQ(stopped, CALLERS);
    CHECK(limited.kit.server.seen <= SL_HTTP_CLIENT_CONNECTIONS); /* those that were under way */
    size_t told = 0; /* those that had an attempt tell of it, and have the reason as the cause */
    for (size_t i = 0; i < CALLERS; i++) {
        told += strstr(limited.callers[i].message, "the server answered 403") != NULL;
    }
    CHECK_EQ(told, CALLERS - limited.kit.server.seen);
    size_t seen = limited.kit.server.seen;
    CHECK_EQ(sl_sleep(SL_SECONDS(590)), 0);
    SCRIPT(&limited.kit.server, {.status = 200});
    CHECK_EQ(kit_fetch(&limited.kit, &(sl_request){.total_timeout = SL_SECONDS(5)}), SL_ELIMITED);
    CHECK_EQ(kit_fetch(&limited.kit, &(sl_request){.total_timeout = SL_SECONDS(60)}), 200);
    CHECK(seen > 0);
    return limited_close(&limited);
}

C_TEST_SIMULATED(limits_403_is_no_ban_elsewhere, "given 403 where it is no ban, then an answer like others", "")
{
    struct limited limited = {.limiter = NULL};
    CHECK_EQ(limited_open(&limited, "standard", &(struct sl_policy_options){0}), 0);
    SCRIPT(&limited.kit.server, {.status = 403}, {.status = 200});
    CHECK_EQ(kit_fetch(&limited.kit, &(sl_request){.cost = 1}), 403);
    CHECK_EQ(kit_fetch(&limited.kit, &(sl_request){.cost = 1}), 200);
    return limited_close(&limited);
}

C_TEST_REAL_FEW(limits_over_real_sockets, "given refusals by status and in a body, over loopback, then all wait", "")
{
    CHECK_EQ(one_refusal_stops_all(NULL, &(struct scripted_answer){.status = 429, .headers = {{"Retry-After", "1"}}},
                                   SL_SECONDS(1)),
             0);
    return one_refusal_stops_all("bapi", &(struct scripted_answer){.body = "{\"retCode\":10006}"}, SL_SECONDS(1));
}

/* ---- by headers ---- */

/* After an answer with these headers, how long until the next request goes? */
static int next_goes_after(const char *dialect, const struct scripted_answer *answer, sl_time from, sl_time to)
{
    struct limited limited = {.limiter = NULL};
    struct sl_policy_options options = {.retry = {.total = SL_SECONDS(10000)}};
    CHECK_EQ(limited_open(&limited, dialect, &options), 0);
    const struct scripted_answer script[] = {*answer, {.status = 200}};
    scripted_server_script(&limited.kit.server, script, 2);
    CHECK_EQ(kit_fetch(&limited.kit, &(sl_request){.cost = 1}), 200);
    CHECK_EQ(kit_fetch(&limited.kit, &(sl_request){.cost = 1}), 200);
    sl_time between = limited.kit.server.times[1] - limited.kit.server.times[0];
    CHECK(between >= from);
    CHECK(between <= to);
    return limited_close(&limited);
}

C_TEST_SIMULATED(limits_by_headers, "given an answer that says nothing is left, then the next waits for the reset", "")
{
    const sl_time slack = SL_SECONDS(1);
    char reset_s[24], reset_ms[24];
    CHECK_EQ(next_goes_after("standard",
                             &(struct scripted_answer){.headers = {{"RateLimit-Policy", "\"ip\";q=100;w=60"},
                                                                   {"RateLimit", "\"ip\";r=0;t=12"}}},
                             SL_SECONDS(12), SL_SECONDS(12) + slack),
             0);
    CHECK_EQ(next_goes_after(
                 "standard",
                 &(struct scripted_answer){
                     .headers = {{"RateLimit-Limit", "100"}, {"RateLimit-Remaining", "0"}, {"RateLimit-Reset", "8"}}},
                 SL_SECONDS(8), SL_SECONDS(8) + slack),
             0);
    CHECK_EQ(next_goes_after(
                 "x-ratelimit",
                 &(struct scripted_answer){.headers = {{"X-RateLimit-Remaining", "0"}, {"X-RateLimit-Reset", "6"}}},
                 SL_SECONDS(6), SL_SECONDS(6) + slack),
             0);
    (void)snprintf(reset_s, sizeof reset_s, "%lld", (long long)(sl_now_wall() / SL_SECONDS(1) + 40));
    CHECK_EQ(next_goes_after(
                 "x-ratelimit-time",
                 &(struct scripted_answer){.headers = {{"X-RateLimit-Remaining", "0"}, {"X-RateLimit-Reset", reset_s}}},
                 SL_SECONDS(39), SL_SECONDS(40) + slack),
             0);
    (void)snprintf(reset_ms, sizeof reset_ms, "%lld", (long long)(sl_now_wall() / MS + 4000));
    CHECK_EQ(next_goes_after("bapi",
                             &(struct scripted_answer){.headers = {{"X-Bapi-Limit", "50"},
                                                                   {"X-Bapi-Limit-Status", "0"},
                                                                   {"X-Bapi-Limit-Reset-Timestamp", reset_ms}}},
                             SL_SECONDS(3), SL_SECONDS(4) + slack),
             0);
    return 0;
}

C_TEST_SIMULATED(limits_used_weight, "given a used weight near the limit, then what is left of the minute is kept to",
                 "")
{
    struct kit kit;
    sl_auto(sl_limiter) *limiter = NULL;
    struct sl_rate rate = {.count = 1200, .period = SL_MINUTES(1), .burst = 100};
    struct sl_limiter_options limits = {
        .rates = &rate, .rate_count = 1, .dialect = sl_limit_dialect_find("used-weight")};
    CHECK_EQ(sl_limiter_create(&limits, &limiter), 0);
    struct sl_policy_options options = {.limiters = {limiter}, .retry = {.total = SL_SECONDS(1000)}};
    CHECK_EQ(kit_open(&kit, &options, 0), 0);
    /* Others behind our address have used 1190: two of weight 5 fit, the third comes with the next minute. */
    SCRIPT(&kit.server, {.headers = {{"X-MBX-USED-WEIGHT-1M", "1190"}}}, {.status = 200});
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(kit_fetch(&kit, &(sl_request){.cost = 5}), 200);
    }
    sl_time left = SL_MINUTES(1) - sl_now_wall() % SL_MINUTES(1);
    CHECK(kit.server.times[2] - kit.server.times[0] < SL_SECONDS(2) || left < SL_SECONDS(2));
    sl_time wall_of_fourth = sl_now_wall() - (sl_now() - kit.server.times[3]);
    CHECK(wall_of_fourth % SL_MINUTES(1) < SL_SECONDS(2)); /* in the new minute */
    return kit_close(&kit);
}

/* ---- in bodies ---- */

static int refused_in_body(const char *dialect, int status, const char *body, sl_time wait)
{
    return one_refusal_stops_all(dialect, &(struct scripted_answer){.status = status, .body = body}, wait);
}

C_TEST_SIMULATED(limits_in_bodies,
                 "given a refusal inside an answer of 200, as the venue writes it, then everybody waits", "")
{
    char throttled[96];
    long long until;
    const sl_time second = SL_SECONDS(1); /* when the answer does not say how long */
    CHECK_EQ(refused_in_body("bapi", 200, "{\"retCode\":10006,\"retMsg\":\"Too many visits!\"}", second), 0);
    CHECK_EQ(refused_in_body("error-list", 200, "{\"error\":[\"EGeneral:Too many requests\"]}", second), 0);
    CHECK_EQ(refused_in_body("error-list", 200, "{\"error\":[\"EAPI:Rate limit exceeded\"]}", second), 0);
    CHECK_EQ(refused_in_body("error-code", 200, "{\"code\":\"50011\",\"msg\":\"Too Many Requests\"}", second), 0);
    CHECK_EQ(refused_in_body("used-weight", 400, "{\"code\":-1003,\"msg\":\"Too much.\"}", second), 0);
    until = sl_now_wall() / SL_SECONDS(1) + 30;
    (void)snprintf(throttled, sizeof throttled, "{\"error\":[\"EService: Throttled: %lld\"]}", until);
    return refused_in_body("error-list", 200, throttled, SL_SECONDS(until) - sl_now_wall());
}

C_TEST_SIMULATED(limits_in_bodies_give_up, "given refusals in bodies only, when attempts are used up, then the error",
                 "")
{
    struct limited limited = {.limiter = NULL};
    CHECK_EQ(limited_open(&limited, "bapi", &(struct sl_policy_options){.retry = {.attempts = 3}}), 0);
    SCRIPT(&limited.kit.server, {.body = "{\"retCode\":10006}"});
    CHECK_EQ(kit_fetch(&limited.kit, &(sl_request){.cost = 1}), SL_EGAVEUP);
    CHECK(SAYS("no attempts left after 3 attempts in "));
    CHECK_EQ(limited.kit.server.seen, 3);
    /* What is not safe to repeat is handed on as it came, and still everybody waits. */
    SCRIPT(&limited.kit.server, {.body = "{\"retCode\":10006}"}, {.status = 200});
    CHECK_EQ(kit_fetch(&limited.kit, &(sl_request){.method = "POST"}), 200);
    CHECK_EQ(limited.kit.server.seen, 1);
    struct sl_limiter_info info;
    sl_limiter_info(limited.limiter, &info);
    CHECK(info.blocked_until > sl_now());
    CHECK_STRING(info.reason, "the server answered 200 with 10006");
    return limited_close(&limited);
}

/* ---- bodies alone ---- */

static void bodies_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *dialect, *body, *reason;
        int64_t wait_s;
    } rows[] = {
        {"bapi", "{\"retCode\":10006,\"retMsg\":\"x\"}", "10006", -1},
        {"bapi", "{\"retCode\":10018}", "10018", -1},
        {"bapi", "{\"retCode\":0,\"list\":[10006]}", NULL, 0},
        {"bapi", "{\"retCode\":100060}", NULL, 0},
        {"bapi", "{\"retCode\":\"10006\"}", "10006", -1},
        {"bapi", "{\"result\":{\"retCode\":10006},\"retCode\":0}", NULL, 0},
        {"bapi", "{\"result\":{\"retCode\":0},\"retCode\":10006}", "10006", -1},
        {"bapi", "[10006]", NULL, 0},
        {"bapi", "{\"retCode\":", NULL, 0},
        {"bapi", "{\"retCode\":null}", NULL, 0},
        {"bapi", "", NULL, 0},
        {"bapi", "{\"code\":\"50011\"}", NULL, 0},
        {"error-code", "{\"code\":\"50011\",\"data\":[]}", "50011", -1},
        {"error-code", "{\"code\":\"0\",\"data\":[]}", NULL, 0},
        {"error-list", "{\"error\":[],\"result\":{}}", NULL, 0},
        {"error-list", "{\"error\":[\"EQuery:Unknown asset pair\"]}", NULL, 0},
        {"error-list", "{\"error\":[\"EQuery:x\",\"EAPI:Rate limit exceeded\"]}", "EAPI:Rate limit exceeded", -1},
        {"error-list", "{\"error\":[\"EService: Throttled: 1700000042\"]}", "EService: Throttled: 1700000042", 42},
        {"error-list", "{\"error\":[\"EService:Throttled: 1600000000\"]}", "EService:Throttled: 1600000000", 0},
        {"error-list", "{\"error\":[\"EService: Throttled: soon\"]}", "EService: Throttled: soon", -1},
        {"error-list", "{\"error\":[\"EService: Throttled: 999999999999\"]}", "EService: Throttled: 999999999999",
         604800},
        {"error-list", "{\"error\":[1,2]}", NULL, 0},
        {"used-weight", "{\"code\":-1003,\"msg\":\"\"}", "-1003", -1},
        {"used-weight", "{\"code\":-1121,\"msg\":\"\"}", NULL, 0},
        {"standard", "{\"code\":-1003}", NULL, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sl_limit_news news;
        const struct sl_limit_dialect *dialect = sl_limit_dialect_find(rows[i].dialect);
        sl_time wall = SL_SECONDS(1700000000);
        assert_non_null(dialect);
        sl_limit_news_read(dialect, 200, NULL, NULL, wall, &news);
        sl_limit_news_read_body(dialect, rows[i].body, strlen(rows[i].body), wall, &news);
        if (news.refused != (rows[i].reason != NULL)) {
            fail_msg("%s: %s", rows[i].dialect, rows[i].body);
        }
        if (news.refused) {
            assert_string_equal(news.reason, rows[i].reason);
            assert_int_equal(news.retry_after, rows[i].wait_s < 0 ? SL_UNKNOWN : SL_SECONDS(rows[i].wait_s));
        }
    }
    /* Not at hand, too large, from a cache: nothing is said. A header's word goes before the body's. */
    struct sl_limit_news news;
    const struct sl_limit_dialect *dialect = sl_limit_dialect_find("bapi");
    static char large[SL_LIMIT_BODY_BYTES_MAX + 1] = "{\"retCode\":10006}";
    memset(large + strlen(large), ' ', sizeof large - strlen(large));
    sl_limit_news_read(dialect, 200, NULL, NULL, 0, &news);
    sl_limit_news_read_body(dialect, NULL, 5, 0, &news);
    sl_limit_news_read_body(dialect, large, sizeof large, 0, &news);
    assert_false(news.refused);
    news.status = 0;
    sl_limit_news_read_body(dialect, large, sizeof large - 1, 0, &news);
    assert_false(news.refused);
    news.status = 200;
    news.retry_after = SL_SECONDS(3);
    sl_limit_news_read_body(dialect, large, sizeof large - 1, 0, &news);
    assert_true(news.refused);
    assert_int_equal(news.retry_after, SL_SECONDS(3));
}

static void venues_have_dialects(void **state)
{
    (void)state;
    int named = 0;
    for (int venue = 0; venue < SL_VENUE_COUNT; venue++) {
        const sl_venue_driver *driver = sl_venue_driver_of((sl_venue)venue);
        const char *name = driver == NULL ? NULL : driver->limit_dialect;
        named += name != NULL;
        assert_true(name == NULL || sl_limit_dialect_find(name) != NULL);
    }
    assert_true(named >= 5);
}

SL_TEST_MAIN(cmocka_unit_test(limits_retry_after_seconds), cmocka_unit_test(limits_retry_after_date),
             cmocka_unit_test(limits_plain_429), cmocka_unit_test(limits_are_no_failures),
             cmocka_unit_test(limits_503_with_a_wish), cmocka_unit_test(limits_418_bans),
             cmocka_unit_test(limits_ban_reaches_those_who_wait), cmocka_unit_test(limits_403_is_no_ban_elsewhere),
             cmocka_unit_test(limits_over_real_sockets), cmocka_unit_test(limits_by_headers),
             cmocka_unit_test(limits_used_weight), cmocka_unit_test(limits_in_bodies),
             cmocka_unit_test(limits_in_bodies_give_up), cmocka_unit_test(bodies_are_read),
             cmocka_unit_test(venues_have_dialects))
