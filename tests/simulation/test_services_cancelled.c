/* SPDX-License-Identifier: MIT */
/*
 * The program with services of the kinds poll, receive, backfill and a stream that fills its gaps: cancelled after each
 * step, one of its services stopped after each step, each allocation failing. It ends, leaves nothing behind, others are
 * not harmed, and what was a job is still done by the next life.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cancel_steps.h"
#include "ingest/poll/poll.h"
#include "ingest/receive/receive.h"
#include "program_rig.h"
#include "receive_client.h"
#include "scratch_folder.h"
#include "sl_test.h"
#include "sluice/fetch.h"
#include "sluice/runtime.h"
#include "sluice/simulation.h"
#include "sluice/ws.h"

#define SINK "sinks: { out: { kind: websocket, listen: \"127.0.0.1:7001\" } }\n"

static const struct sl_simulation_options simulation = {.seed = 1};
static const struct sl_run_options run = {.simulation = &simulation, .watchdog = SL_NEVER, .log = sl_log_nothing};

/* ---- all of it, or one service of it, stopped at each step ---- */

static void cancel(const struct program_rig *of, const char *name, int64_t least)
{
    struct program_rig rig = *of;
    int64_t steps = cancel_at_each_step(&run, program_rig_play, &rig);
    print_message("%s: cancelled at each of %" PRId64 " steps\n", name, steps);
    assert_true(steps > least);
}

/* Of a run in which the service "p" is stopped, as a pause does it, after the n-th step and started again. */
struct stopping {
    int64_t steps_left;
    sl_event now;
    bool stopped;
    int (*before)(struct program_rig *rig); /* what is stopped; it may fail by that */
    int (*after)(struct program_rig *rig);  /* what goes on then */
};

static int count_step(void *context, sl_task_ref task)
{
    struct stopping *stopping = context;
    (void)task;
    if (stopping->steps_left-- == 0) {
        sl_event_set(&stopping->now);
    }
    return 0;
}

static int work_until_stopped(void *arg)
{
    struct program_rig *rig = arg;
    struct stopping *stopping = rig->arg;
    int code = stopping->before(rig);
    sl_event_set(&stopping->now);
    return code == SL_ECANCELED || code == SL_ENOMEM || !stopping->stopped ? code : 0;
}

static int stop_and_go(struct program_rig *rig)
{
    struct stopping *stopping = rig->arg;
    SL_SCOPE(scope, .name = "work");
    SL_TRY(sl_spawn(&scope, work_until_stopped, rig, .name = "work"));
    int code = sl_event_wait(&stopping->now);
    if (code < 0 || stopping->steps_left >= 0 || program_rig_service(rig, "p") == NULL) {
        return sl_scope_close(&scope, code); /* it has ended before; or not yet begun */
    }
    stopping->stopped = true;
    code = sl_program_pause(rig->parts, "p", true);
    code = code == 0 ? sl_program_pause(rig->parts, "p", false) : code;
    code = code == 0 ? stopping->after(rig) : code;
    return sl_scope_close(&scope, code);
}

/* For n = 0, 1, ... until the run ends before that. */
static void stop_one(const struct program_rig *of, const char *name, struct stopping how)
{
    int64_t held = sl_memory_held(), stops = 0;
    for (int64_t n = 0;; n++) {
        struct stopping stopping = how;
        struct program_rig rig = *of;
        stopping.steps_left = n;
        sl_event_init(&stopping.now);
        rig.arg = &stopping;
        rig.conduct = stop_and_go;
        const struct sl_hooks instrument = {.context = &stopping, .after_step = count_step};
        const struct sl_hooks *const instruments[] = {&instrument, NULL};
        struct sl_run_options own = run;
        own.instruments = instruments;
        sl_error *error = NULL;
        int code = sl_run(&own, program_rig_play, &rig, &error);
        if (code < 0) {
            char text[1024];
            (void)sl_error_print(error, text, sizeof text);
            fail_msg("%s, stopped at step %" PRId64 ": %s", name, n, text);
        }
        sl_error_unref(error);
        assert_int_equal(sl_memory_held(), held);
        stops += stopping.stopped;
        if (!stopping.stopped && stops > 0) {
            break;
        }
    }
    print_message("%s: stopped at each of %" PRId64 " steps\n", name, stops);
    assert_true(stops > 20);
}

/* ---- polling ---- */

/* So many answers more of a service. */
static int until_polled(const struct program_rig *rig, const char *name, uint64_t more)
{
    struct sl_poll_stats stats = {.answers = 0};
    for (int tries = 0; tries < 600; tries++) {
        const struct sl_program_service *service = program_rig_service(rig, name);
        if (service != NULL && sl_poll_get_stats(service, &stats) && stats.answers >= more) {
            return 0;
        }
        SL_TRY(sl_sleep(SL_MILLISECONDS(100)));
    }
    return sl_fail(SL_ETIMEDOUT, "%s has %" PRIu64 " answers", name, stats.answers);
}

static int poll_a_while(struct program_rig *rig)
{
    return until_polled(rig, "p", 5);
}

#define POLL                                                                                                           \
    "kind: poll, venue: binance-usdm, sinks: [out], instruments: [\"*\"], interval: 500ms, concurrency: 2, "           \
    "channel: open_interest"

static const struct program_rig polling = {
    .venue = SL_VENUE_BINANCE_USDM,
    .instruments = 2,
    .config = "services: { p: { " POLL ", only_changed: true } }\n" SINK "bulkheads: { one: { initial: 1 } }\n",
    .of_venue = ", bulkhead: one",
    .conduct = poll_a_while,
};

static int poll_both(struct program_rig *rig)
{
    struct sl_poll_stats other = {.answers = 0};
    (void)sl_poll_get_stats(program_rig_service(rig, "q"), &other);
    SL_TRY(until_polled(rig, "p", 3));
    return until_polled(rig, "q", other.answers + 3);
}

static void polling_is_cancelled_at_each_step(void **state)
{
    (void)state;
    cancel(&polling, "poll", 100);
}

/* What it had of the venue's one permit, and of its limit, is another one's then. */
static void who_stops_polling_harms_no_other(void **state)
{
    (void)state;
    struct program_rig rig = polling;
    rig.config = "services: { p: { " POLL " }, q: { " POLL " } }\n" SINK "bulkheads: { one: { initial: 1 } }\n";
    stop_one(&rig, "poll", (struct stopping){.before = poll_a_while, .after = poll_both});
}

/* ---- receiving ---- */

/* Each message is answered. */
static int converse(const char *event)
{
    struct receive_client_signature signature;
    char headers[200];
    SL_TRY(receive_client_sign("", &signature));
    (void)snprintf(headers, sizeof headers, "X-Timestamp: %s\r\nX-Signature: %s\r\n", signature.time, signature.text);
    sl_auto(sl_ws) *ws = NULL;
    SL_TRY(sl_ws_connect_with(
        &(struct sl_ws_options){.url = "ws://" RECEIVE_CLIENT_LISTEN "/ingest", .headers = headers}, &ws));
    struct sl_ws_message answer;
    SL_TRY(sl_ws_send(ws, SL_WS_TEXT, event, strlen(event)));
    SL_TRY(sl_ws_receive(ws, &answer));
    if (strncmp(answer.data, "{\"status\":200,", 14) != 0) {
        return sl_fail(SL_EINTERNAL, "%.*s", (int)answer.size_bytes, answer.data);
    }
    return sl_ws_close(ws, 1000, NULL);
}

/* Until it is taken: what there was no room or no memory for is sent again, as clients do. */
static int post_until(sl_http_client *http, const char *body, int wanted)
{
    int status = 0;
    for (int tries = 0; tries < 100; tries++) {
        status = receive_client_post_signed(http, body);
        if (status == wanted || status == SL_ECANCELED) {
            return status == wanted ? 0 : status;
        }
        SL_TRY(sl_sleep(SL_MILLISECONDS(100)));
    }
    return sl_fail(SL_EINTERNAL, "HTTP status %d", status);
}

/* Two posts, one of them in part no event, a signature that was used, and a message. */
static int send_all(sl_http_client *http, int first)
{
    char event[RECEIVE_CLIENT_EVENT_BYTES], other[RECEIVE_CLIENT_EVENT_BYTES], lines[400];
    SL_TRY(post_until(http, receive_client_trade(event, first), 200));
    (void)snprintf(lines, sizeof lines, "%s\n{\"kind\":7}\n%s", receive_client_trade(event, first + 1),
                   receive_client_trade(other, first + 2));
    SL_TRY(post_until(http, lines, 207));
    SL_TRY(post_until(http, lines, 409));
    int code = SL_EAGAIN;
    for (int tries = 0; tries < 100 && code < 0 && code != SL_ECANCELED; tries++) {
        code = converse(receive_client_trade(event, first + 3));
        SL_TRY(code == 0 ? 0 : sl_sleep(SL_MILLISECONDS(100)));
    }
    return code;
}

static int send_from(int first)
{
    sl_auto(sl_http_client) *http = NULL;
    SL_TRY(sl_http_client_open(&(struct sl_http_client_options){.first_byte_timeout = SL_SECONDS(5)}, &http));
    return send_all(http, first);
}

static int send_to_receiver(struct program_rig *rig)
{
    (void)rig;
    return send_from(1);
}

static int send_once_more(struct program_rig *rig)
{
    struct sl_receive_stats stats;
    SL_TRY(sl_sleep(SL_SECONDS(10))); /* the other client is through, or has given up */
    SL_TRY(send_from(101));
    if (!sl_receive_get_stats(program_rig_service(rig, "p"), &stats) || stats.sessions > 0 || stats.accepted < 4) {
        return sl_fail(SL_EINTERNAL, "what was sent is not there");
    }
    return 0;
}

static const struct program_rig receiving = {
    .venue = SL_VENUE_OKX,
    .instruments = 1,
    .config = "services: { p: { kind: receive, listen: \"" RECEIVE_CLIENT_LISTEN "\", sinks: [out], "
              "hmac: { keys: { one: " RECEIVE_CLIENT_KEY " } } } }\n" SINK,
    .conduct = send_to_receiver,
};

static void receiving_is_cancelled_at_each_step(void **state)
{
    (void)state;
    cancel(&receiving, "receive", 60);
}

static void who_stops_receiving_begins_anew(void **state)
{
    (void)state;
    stop_one(&receiving, "receive", (struct stopping){.before = send_to_receiver, .after = send_once_more});
}

/* ---- filling gaps ---- */

static int fill_a_gap(struct program_rig *rig)
{
    const struct sl_fault_order drop = {.fault = SL_FAULT_DROP_TRADE, .count = 2};
    const struct sl_program_service *service = NULL;
    uint64_t filled = 0;
    while (service == NULL || service->trades < 3) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(200)));
        service = program_rig_service(rig, "p");
    }
    filled = service->filled;
    SL_TRY(sl_simulated_order(rig->exchange, &drop));
    for (int tries = 0; tries < 600; tries++) {
        SL_TRY(sl_sleep(SL_MILLISECONDS(200)));
        if (service->filled > filled) {
            return 0;
        }
    }
    return sl_fail(SL_ETIMEDOUT, "%" PRIu64 " missing, %" PRIu64 " filled", service->missing, service->filled);
}

static const struct program_rig gap_filling = {
    .venue = SL_VENUE_COINBASE,
    .instruments = 1,
    .rate = 4,
    .config = "services: { p: { kind: stream, venue: coinbase, sinks: [out], instruments: [\"*\"] } }\n" SINK,
    .conduct = fill_a_gap,
};

static void filling_a_gap_is_cancelled_at_each_step(void **state)
{
    (void)state;
    cancel(&gap_filling, "gap fill", 100);
}

static void who_stops_filling_a_gap_fills_others(void **state)
{
    (void)state;
    stop_one(&gap_filling, "gap fill", (struct stopping){.before = fill_a_gap, .after = fill_a_gap});
}

/* ---- history ---- */

#define TRADES_MAX 1000
/* When a second life begins: at the same time it would be taken for the same one, by the stamps of its events. */
#define LATER (SL_SECONDS(1) + SL_MICROSECONDS(1))
#define HISTORY_TRADES 39 /* that there are in the time that is asked for */

/* Its jobs are in a file, what they bring in another. */
struct history {
    struct scratch_folder folder;
    char config[PROGRAM_RIG_CONFIG_BYTES];
    struct program_rig rig;
};

static int until_all_is_there(struct program_rig *rig)
{
    struct sl_service_look look = {.jobs = 0};
    for (int tries = 0; tries < 3000; tries++) {
        const struct sl_program_service *service = program_rig_service(rig, "p");
        if (service != NULL && sl_service_look(service, &look) && look.jobs > 0 && look.jobs_left == 0) {
            return 0;
        }
        SL_TRY(sl_sleep(SL_MILLISECONDS(200)));
    }
    return sl_fail(SL_ETIMEDOUT, "%" PRIu64 " jobs of %" PRIu64 " are left", look.jobs_left, look.jobs);
}

static struct history *open_history(void)
{
    struct history *history = calloc(1, sizeof *history);
    assert_non_null(history);
    history->folder = scratch_folder_make();
    const char *path = history->folder.path;
    int size = snprintf(history->config, sizeof history->config,
                        "services: { p: { kind: backfill, venue: coinbase, sinks: [out], instruments: [\"*\"], "
                        "from: \"2024-08-08T23:54:00Z\", to: \"2024-08-08T23:56:00Z\", chunk: 1m, concurrency: 2, "
                        "state: \"%s/jobs\" } }\n"
                        "sinks: { out: { kind: file, path: \"%s/out\" } }\n",
                        path, path);
    assert_in_range(size, 1, sizeof history->config - 1);
    history->rig = (struct program_rig){.venue = SL_VENUE_COINBASE,
                                        .instruments = 1,
                                        .history = SL_SECONDS(110),
                                        .config = history->config,
                                        .conduct = until_all_is_there};
    return history;
}

static void close_history(struct history *history)
{
    scratch_folder_remove(&history->folder);
    free(history);
}

static int compare_ids(const void *left, const void *right)
{
    long long a = *(const long long *)left, b = *(const long long *)right;
    return a < b ? -1 : a > b;
}

/* How many different trades are in the sink's files. */
static size_t count_trades(const struct history *history)
{
    static char line[4096];
    long long ids[TRADES_MAX];
    char command[SCRATCH_PATH_MAX + 32];
    size_t count = 0, different = 0;
    (void)snprintf(command, sizeof command, "cat %s/out*", history->folder.path);
    FILE *file = popen(command, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        const char *id = strstr(line, "\"id\":");
        assert_non_null(id);
        assert_true(count < TRADES_MAX);
        ids[count++] = strtoll(id + 5, NULL, 10);
    }
    (void)pclose(file);
    qsort(ids, count, sizeof *ids, compare_ids);
    for (size_t at = 0; at < count; at++) {
        different += at == 0 || ids[at] != ids[at - 1];
    }
    return different;
}

/* A life that is cut short at the n-th step, and one after it: all is there. */
static void what_was_a_job_is_done_by_the_next_life(void **state)
{
    (void)state;
    int64_t n = 0, cuts = 0;
    for (int cut = 1; cut == 1;) {
        struct history *history = open_history();
        cut = cancel_at_step(&run, program_rig_play, &history->rig, n);
        assert_in_range(cut, 0, 1);
        bool begun = history->rig.begun;
        if (begun || cuts == 0) {
            assert_int_equal(program_rig_run_from(&history->rig, LATER), 0);
            if (count_trades(history) != HISTORY_TRADES) {
                fail_msg("cut at step %" PRId64 ": %zu trades of %d", n, count_trades(history), HISTORY_TRADES);
            }
            cuts++;
        }
        close_history(history);
        n += begun ? 1 : 10; /* while the exchange makes its history there is nothing to be cut */
    }
    print_message("history: cancelled at each of %" PRId64 " steps\n", cuts);
    assert_true(cuts > 50);
}

/* ---- without memory ---- */

static bool run_short_at(const struct program_rig *of, const char *name, int64_t at, bool *ret_good)
{
    struct program_rig rig = *of;
    int64_t held = sl_memory_held();
    sl_error *error = NULL;
    char text[1024] = "";
    sl_memory_fail_after(at);
    int code = sl_run(&run, program_rig_play, &rig, &error);
    bool failed = sl_memory_failed();
    sl_memory_fail_after(-1);
    (void)sl_error_print(error, text, sizeof text);
    sl_error_unref(error);
    if (code != 0 && (code != SL_ENOMEM || !failed)) {
        fail_msg("%s, allocation %" PRId64 ": %s", name, at, text);
    }
    assert_int_equal(sl_memory_held(), held);
    *ret_good = code == 0;
    return failed;
}

static void run_short(const struct program_rig *of, const char *name)
{
    int64_t at = 0, count = 0;
    bool good = false;
    for (; run_short_at(of, name, at, &good); at++) {
        count += good;
    }
    print_message("%s: each of %" PRId64 " allocations fails, %" PRId64 " runs came through\n", name, at, count);
    assert_true(at > 100 && count > 20);
}

/* It may be the end of its life; the next one has all. */
static void history_without_memory(void **state)
{
    (void)state;
    bool good = false, failed = true;
    int64_t at = 0;
    for (; failed; at++) {
        struct history *history = open_history();
        failed = run_short_at(&history->rig, "history", at, &good);
        assert_int_equal(program_rig_run_from(&history->rig, LATER), 0);
        if (count_trades(history) != HISTORY_TRADES) {
            fail_msg("allocation %" PRId64 ": %zu trades of %d", at, count_trades(history), HISTORY_TRADES);
        }
        close_history(history);
    }
    print_message("history: each of %" PRId64 " allocations fails\n", at);
}

static void polling_without_memory(void **state)
{
    (void)state;
    run_short(&polling, "poll");
}

static void receiving_without_memory(void **state)
{
    (void)state;
    run_short(&receiving, "receive");
}

static void filling_a_gap_without_memory(void **state)
{
    (void)state;
    run_short(&gap_filling, "gap fill");
}

SL_TEST_MAIN(cmocka_unit_test(polling_is_cancelled_at_each_step), cmocka_unit_test(who_stops_polling_harms_no_other),
             cmocka_unit_test(polling_without_memory), cmocka_unit_test(receiving_is_cancelled_at_each_step),
             cmocka_unit_test(who_stops_receiving_begins_anew), cmocka_unit_test(receiving_without_memory),
             cmocka_unit_test(filling_a_gap_is_cancelled_at_each_step),
             cmocka_unit_test(who_stops_filling_a_gap_fills_others), cmocka_unit_test(filling_a_gap_without_memory),
             cmocka_unit_test(what_was_a_job_is_done_by_the_next_life), cmocka_unit_test(history_without_memory))
