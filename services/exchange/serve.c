/* SPDX-License-Identifier: MIT */
/* The simulated exchange as a program. See serve.h. */
#include "exchange/serve.h"

#include <inttypes.h>
#include <stdio.h>

#include "market/event_json.h"
#include "sluice/memory.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"

struct served {
    const struct sl_scenario *scenario;
    sl_instruments *instruments;
    sl_simulated *exchange;
    sl_captured *captured;
    FILE *truth;
    char *line;
    size_t line_bytes;
};

static int write_truth(void *arg, const sl_market_event *event)
{
    struct served *served = arg;
    size_t bound = sl_event_json_bound(event) + 1;
    if (bound > served->line_bytes) {
        char *line = sl_realloc(served->line, bound);
        if (line == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for a line");
        }
        served->line = line;
        served->line_bytes = bound;
    }
    size_t size_bytes = sl_event_json_write(event, NULL, served->line);
    served->line[size_bytes++] = '\n';
    return fwrite(served->line, 1, size_bytes, served->truth) == size_bytes
               ? 0
               : sl_fail(SL_EINTERNAL, "the truth cannot be written to '%s'", served->scenario->truth);
}

static int stop_when_asked(void *arg)
{
    SL_TRY(sl_stop_wait());
    sl_scope_cancel_for(arg, SL_CAUSE_STOP, "stopped");
    return 0;
}

static int serve(struct served *served)
{
    sl_auto(sl_scenario_run) *run = NULL;
    SL_TRY(sl_scenario_begin(served->scenario, served->exchange, &run));
    SL_SCOPE(scope, .name = "exchange");
    SL_TRY(sl_spawn(&scope, stop_when_asked, &scope, .daemon = true));
    SL_TRY(sl_spawn(&scope, sl_simulated_run, served->exchange));
    SL_TRY(sl_spawn(&scope, sl_scenario_play, run, .daemon = true, .name = "scenario"));
    return sl_scope_wait(&scope);
}

static int open_all(struct served *served)
{
    struct sl_simulated_options simulated;
    SL_TRY(sl_scenario_prepare(served->scenario, served->instruments, &simulated));
    served->captured = simulated.captured;
    simulated.arg = served;
    simulated.record = served->truth == NULL ? NULL : write_truth;
    SL_TRY(sl_simulated_open(&simulated, &served->exchange));
    printf("listening on 127.0.0.1:%d\n", sl_simulated_port(served->exchange));
    for (int venue = 1; venue < SL_VENUE_COUNT; venue++) {
        if (served->scenario->venues[venue] != NULL && sl_simulated_truth(served->exchange, (sl_venue)venue) != NULL) {
            printf("%-15s ws://127.0.0.1:%d/%s\n", sl_venue_name((sl_venue)venue), sl_simulated_port(served->exchange),
                   sl_venue_name((sl_venue)venue));
        }
    }
    (void)fflush(stdout);
    return 0;
}

static size_t copy_side(const sl_book *book, sl_side side, sl_level *levels, size_t capacity)
{
    sl_book_cursor cursor = sl_book_first(book, side);
    const sl_level *level = NULL;
    size_t count = 0;
    while (count < capacity && (level = sl_book_next(&cursor)) != NULL) {
        levels[count++] = *level;
    }
    return count;
}

static int write_book(struct served *served, const sl_instrument *instrument, const sl_truth_state *state)
{
    size_t bids = sl_book_count(state->book, SL_SIDE_BUY), asks = sl_book_count(state->book, SL_SIDE_SELL);
    sl_level *levels = sl_calloc(bids + asks + 1, sizeof *levels);
    if (levels == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for %zu levels", bids + asks);
    }
    sl_market_event event = {.kind = SL_EVENT_BOOK_SNAPSHOT, .feed = SL_FEED_SNAPSHOT, .instrument = instrument};
    event.as.snapshot.last_id = state->book_id;
    event.as.snapshot.levels = (sl_levels){levels, levels + bids, copy_side(state->book, SL_SIDE_BUY, levels, bids),
                                           copy_side(state->book, SL_SIDE_SELL, levels + bids, asks)};
    int code = write_truth(served, &event);
    sl_free(levels);
    return code;
}

/* The books as they truly are in the end. */
static int write_books(struct served *served)
{
    for (size_t at = 0; at < sl_instruments_count(served->instruments); at++) {
        const sl_instrument *instrument = sl_instruments_at(served->instruments, at);
        const sl_truth *truth = sl_simulated_truth(served->exchange, instrument->venue);
        if (truth != NULL) { /* else of a captured venue that is not served */
            sl_truth_state state = sl_truth_look(truth, instrument);
            SL_TRY(write_book(served, instrument, &state));
        }
    }
    return 0;
}

static void tell_end(const struct served *served)
{
    const struct sl_simulated_stats *stats = sl_simulated_get_stats(served->exchange);
    printf("\nsteps      %" PRIu64 "%s\n", stats->steps, stats->over ? ", all of them" : "");
    printf("sent       %" PRIu64 " messages to %" PRIu64 " connections, %" PRIu64 " requests answered\n",
           stats->messages, stats->connections, stats->requests);
    if (served->captured != NULL) {
        const struct sl_captured_stats *captured = sl_captured_get_stats(served->captured);
        printf("captured   %" PRIu64 " messages, %" PRIu64 " answers, %" PRIu64 " notices, %" PRIu64 " of no use\n",
               captured->messages, captured->answers, captured->notices, captured->unused);
    }
    bool any = false;
    for (int fault = 1; fault < SL_FAULT_COUNT; fault++) {
        if (stats->faults[fault] > 0) {
            printf("%s%" PRIu64 " %s", any ? ", " : "faults     ", stats->faults[fault],
                   sl_fault_name((sl_fault)fault));
            any = true;
        }
    }
    printf("%s", any ? "\n" : "");
}

int sl_exchange_serve(void *arg)
{
    struct served served = {.scenario = arg};
    int code = sl_instruments_new(SL_INSTRUMENTS_MAX, &served.instruments);
    if (code == 0 && served.scenario->truth != NULL) {
        served.truth = fopen(served.scenario->truth, "we");
        code = served.truth == NULL ? sl_fail(SL_ENOENT, "'%s' cannot be written", served.scenario->truth) : 0;
    }
    code = code == 0 ? open_all(&served) : code;
    if (code == 0) {
        code = serve(&served);
        tell_end(&served);
    }
    if (served.truth != NULL && served.exchange != NULL && code == 0) {
        code = write_books(&served);
    }
    if (served.truth != NULL && fclose(served.truth) != 0 && code == 0) {
        code = sl_fail(SL_EINTERNAL, "'%s' could not be written to its end", served.scenario->truth);
    }
    sl_simulated_close(served.exchange);
    sl_captured_close(served.captured);
    sl_instruments_free(served.instruments);
    sl_free(served.line);
    return code;
}
