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
    const struct sl_exchange_serve_options *options;
    sl_instruments *instruments;
    sl_simulated *exchange;
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
               : sl_fail(SL_EINTERNAL, "the truth cannot be written to '%s'", served->options->truth);
}

static int define_all(const struct served *served)
{
    const struct sl_exchange_serve_options *options = served->options;
    for (size_t at = 0; at < options->venue_count; at++) {
        sl_venue venue = sl_venue_find(options->venues[at]);
        if (venue == SL_VENUE_NONE) {
            return sl_fail(SL_EINVAL, "there is no venue '%s'", options->venues[at]);
        }
        SL_TRY(sl_simulated_define(served->instruments, venue, options->instruments));
    }
    return 0;
}

/* Something goes wrong now and then: faults that a worker can heal from. */
static int trouble(void *arg)
{
    static const sl_fault faults[] = {SL_FAULT_DROP,    SL_FAULT_DUPLICATE,      SL_FAULT_REORDER, SL_FAULT_CUT,
                                      SL_FAULT_GARBAGE, SL_FAULT_HTTP_429_AFTER, SL_FAULT_UNKNOWN, SL_FAULT_DROP_TRADE,
                                      SL_FAULT_LEAVE,   SL_FAULT_SNAPSHOT_OLD};
    struct served *served = arg;
    for (;;) {
        SL_TRY(sl_sleep(served->options->fault_every));
        sl_fault fault = faults[sl_random() % (sizeof faults / sizeof *faults)];
        sl_simulated_fault(served->exchange, SL_VENUE_NONE, fault, 1, SL_SECONDS(1));
    }
}

static int stop_when_asked(void *arg)
{
    SL_TRY(sl_stop_wait());
    sl_scope_cancel_for(arg, SL_CAUSE_STOP, "stopped");
    return 0;
}

static int serve(struct served *served)
{
    SL_SCOPE(scope, .name = "exchange");
    SL_TRY(sl_spawn(&scope, stop_when_asked, &scope, .daemon = true));
    SL_TRY(sl_spawn(&scope, sl_simulated_run, served->exchange));
    if (served->options->fault_every > 0) {
        SL_TRY(sl_spawn(&scope, trouble, served, .daemon = true));
    }
    return sl_scope_wait(&scope);
}

static int open_all(struct served *served)
{
    const struct sl_exchange_serve_options *options = served->options;
    SL_TRY(define_all(served));
    struct sl_simulated_options simulated = {.instruments = served->instruments,
                                             .seed = options->seed,
                                             .rate = options->rate,
                                             .steps = options->steps,
                                             .port = options->port,
                                             .arg = served,
                                             .record = served->truth == NULL ? NULL : write_truth};
    SL_TRY(sl_simulated_open(&simulated, &served->exchange));
    printf("listening on 127.0.0.1:%d\n", sl_simulated_port(served->exchange));
    for (size_t at = 0; at < options->venue_count; at++) {
        printf("%-15s ws://127.0.0.1:%d/%s\n", options->venues[at], sl_simulated_port(served->exchange),
               options->venues[at]);
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

/* The books as they truly are in the end. */
static int write_books(struct served *served)
{
    size_t most = (size_t)2 * SL_TRUTH_LEVELS_MAX;
    sl_level *levels = sl_calloc(2 * most, sizeof *levels);
    if (levels == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for levels");
    }
    int code = 0;
    for (size_t at = 0; at < sl_instruments_count(served->instruments) && code == 0; at++) {
        const sl_instrument *instrument = sl_instruments_at(served->instruments, at);
        sl_truth_state state = sl_truth_look(sl_simulated_truth(served->exchange, instrument->venue), instrument);
        sl_market_event event = {.kind = SL_EVENT_BOOK_SNAPSHOT, .feed = SL_FEED_SNAPSHOT, .instrument = instrument};
        event.as.snapshot.last_id = state.book_id;
        event.as.snapshot.levels = (sl_levels){levels, levels + most, copy_side(state.book, SL_SIDE_BUY, levels, most),
                                               copy_side(state.book, SL_SIDE_SELL, levels + most, most)};
        code = write_truth(served, &event);
    }
    sl_free(levels);
    return code;
}

static void tell_end(const struct served *served)
{
    const struct sl_simulated_stats *stats = sl_simulated_get_stats(served->exchange);
    printf("\nsteps      %" PRIu64 "%s\n", stats->steps, stats->over ? ", all of them" : "");
    printf("sent       %" PRIu64 " messages to %" PRIu64 " connections, %" PRIu64 " requests answered\n",
           stats->messages, stats->connections, stats->requests);
}

int sl_exchange_serve(void *arg)
{
    struct served served = {.options = arg};
    int code = sl_instruments_new(0, &served.instruments);
    if (code == 0 && served.options->truth != NULL) {
        served.truth = fopen(served.options->truth, "we");
        code = served.truth == NULL ? sl_fail(SL_ENOENT, "'%s' cannot be written", served.options->truth) : 0;
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
        code = sl_fail(SL_EINTERNAL, "'%s' could not be written to its end", served.options->truth);
    }
    sl_simulated_close(served.exchange);
    sl_instruments_free(served.instruments);
    sl_free(served.line);
    return code;
}
