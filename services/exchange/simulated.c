/* SPDX-License-Identifier: MIT */
/* The simulated exchange as a whole: venues, the market's pace, faults that are ordered. See simulated.h. */
#include "exchange/simulated.h"

#include <stdio.h>
#include <string.h>

#include "exchange/simulated_internal.h"
#include "sluice/runtime.h"

/* Between two looks at the clock. */
#define PACE SL_MILLISECONDS(1)
#define HEARTBEAT_LOOK SL_MILLISECONDS(100)

/* Steps in a row without a look at the clock or anybody else. */
#define STEPS_AT_ONCE 64

/* Steps that are made up for when the clock is ahead, at once. */
#define CATCH_UP ((uint64_t)1024)

/* ---- instruments ---- */

static const char *money_of(sl_venue venue)
{
    return venue == SL_VENUE_COINBASE || venue == SL_VENUE_KRAKEN || venue == SL_VENUE_BITSTAMP ? "USD" : "USDT";
}

static int define_one(sl_instruments *instruments, sl_venue venue, const char *base, const sl_instrument **ret_one)
{
    const sl_dialect *dialect = sl_dialect_of(venue);
    if (dialect == NULL) {
        return sl_fail(SL_EINVAL, "no such venue");
    }
    sl_instrument definition = {.venue = venue, .type = SL_INSTRUMENT_SPOT, .status = SL_STATUS_TRADING};
    (void)snprintf(definition.base, sizeof definition.base, "%s", base);
    (void)snprintf(definition.quote, sizeof definition.quote, "%s", money_of(venue));
    dialect->define(base, money_of(venue), &definition);
    int code = sl_instruments_add(instruments, &definition, ret_one);
    return code < 0 ? code : 0;
}

int sl_simulated_define(sl_instruments *instruments, sl_venue venue, size_t count)
{
    static const char *const names[] = {"BTC", "ETH", "SOL", "XRP", "ADA", "DOGE", "DOT", "LTC", "LINK", "AVAX"};
    for (size_t at = 0; at < count && at < 1000000; at++) {
        char base[SL_ASSET_MAX];
        (void)snprintf(base, sizeof base, "C%05u", (unsigned)at % 1000000u);
        const sl_instrument *one = NULL;
        SL_TRY(define_one(instruments, venue, at < sizeof names / sizeof *names ? names[at] : base, &one));
    }
    return 0;
}

int64_t sl__venue_wall(const struct venue *venue)
{
    return sl_now_wall() + venue->skew_ns;
}

int sl_simulated_list(sl_simulated *exchange, sl_venue venue, const char *base)
{
    const sl_instrument *one = NULL;
    if (exchange->venues[venue] == NULL) {
        return sl_fail(SL_EINVAL, "%s is not open", sl_venue_name(venue));
    }
    SL_TRY(define_one(exchange->options.instruments, venue, base, &one));
    return sl_truth_list(exchange->venues[venue]->truth, one);
}

/* ---- the market ---- */

struct board *sl__board_of(struct venue *venue, const sl_instrument *instrument)
{
    if (instrument->index >= venue->board_count) {
        size_t count = venue->board_count == 0 ? 64 : venue->board_count;
        while (count <= instrument->index) {
            count *= 2;
        }
        struct board *boards = sl_realloc(venue->boards, count * sizeof *boards);
        if (boards == NULL) {
            return NULL;
        }
        memset(boards + venue->board_count, 0, (count - venue->board_count) * sizeof *boards);
        venue->boards = boards;
        venue->board_count = count;
    }
    return &venue->boards[instrument->index];
}

static int keep_trade(struct venue *venue, const sl_market_event *event)
{
    struct board *board = sl__board_of(venue, event->instrument);
    if (board == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for trades");
    }
    size_t kept = venue->exchange->options.history == 0 ? SL_HISTORY_TRADES : venue->exchange->options.history;
    if (board->trade_count == board->trade_capacity && board->trade_capacity == 2 * kept) {
        memmove(board->trades, board->trades + kept, kept * sizeof *board->trades);
        board->trade_count = kept;
    } else if (board->trade_count == board->trade_capacity) {
        size_t capacity = board->trade_capacity == 0 ? 16 : board->trade_capacity * 2;
        capacity = capacity < 2 * kept ? capacity : 2 * kept;
        sl_market_event *trades = sl_realloc(board->trades, capacity * sizeof *trades);
        if (trades == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for %zu trades", capacity);
        }
        board->trades = trades;
        board->trade_capacity = capacity;
    }
    board->trades[board->trade_count++] = *event;
    return 0;
}

static size_t history(void *arg, const sl_instrument *instrument, int64_t from_id, size_t limit,
                      const sl_market_event **ret_events)
{
    struct venue *venue = arg;
    const struct board *board = sl__board_of(venue, instrument);
    size_t count = board == NULL ? 0 : board->trade_count;
    size_t first = count > limit ? count - limit : 0;
    if (from_id > 0) {
        for (first = 0; first < count && board->trades[first].as.trade.id < from_id; first++) {
        }
    }
    *ret_events = count == 0 ? NULL : board->trades + first;
    return count - first < limit ? count - first : limit;
}

static int tell(struct venue *venue, const sl_truth_change *change)
{
    const struct sl_simulated_options *options = &venue->exchange->options;
    if (change->event.kind == SL_EVENT_TRADE) {
        SL_TRY(keep_trade(venue, &change->event));
    }
    if (options->record != NULL) {
        SL_TRY(options->record(options->arg, &change->event));
    }
    sl__venue_publish(venue, change);
    return 0;
}

static int step(sl_simulated *exchange)
{
    struct venue *venue = exchange->list[exchange->stats.steps % exchange->venue_count];
    sl_truth_change change;
    venue->host.now_ns = sl__venue_wall(venue);
    int code = sl_truth_step(venue->truth, venue->host.now_ns, &change);
    exchange->stats.steps++;
    return code == SL_EAGAIN ? 0 : code < 0 ? code : tell(venue, &change);
}

/* Steps of one instrument until it has had one of each kind. */
static int last_steps(struct venue *venue, const sl_instrument *instrument)
{
    bool traded = false, changed = false;
    while (!traded || !changed) {
        sl_truth_change change;
        venue->host.now_ns = sl__venue_wall(venue);
        SL_TRY(sl_truth_step_of(venue->truth, instrument, venue->host.now_ns, &change));
        SL_TRY(tell(venue, &change));
        traded = traded || change.event.kind == SL_EVENT_TRADE;
        changed = changed || change.event.kind == SL_EVENT_BOOK_DELTA;
    }
    return 0;
}

int sl_simulated_end(sl_simulated *exchange)
{
    const sl_instruments *table = exchange->options.instruments;
    exchange->stats.over = true;
    for (size_t at = 0; at < sl_instruments_count(table); at++) {
        const sl_instrument *one = sl_instruments_at(table, at);
        if (one->status == SL_STATUS_TRADING) {
            SL_TRY(last_steps(exchange->venues[one->venue], one));
        }
    }
    return 0;
}

void sl_simulated_pace(sl_simulated *exchange, double rate)
{
    exchange->options.rate = rate;
    exchange->paced_from = sl_now();
    exchange->paced_steps = exchange->stats.steps;
}

static bool crowded(const sl_simulated *exchange)
{
    for (size_t at = 0; at < exchange->venue_count; at++) {
        for (const struct sl_venue_client *client = exchange->list[at]->clients; client != NULL;
             client = client->next) {
            if (!client->gone && client->outbox.size_bytes > SL_SIMULATED_PATIENCE_BYTES) {
                return true;
            }
        }
    }
    return false;
}

/* Waits until the next steps are due: how many are. */
static int pace(sl_simulated *exchange, uint64_t *ret_due)
{
    const struct sl_simulated_options *options = &exchange->options;
    if (options->rate > 0) {
        double each = (double)SL_SECONDS(1) / options->rate;
        SL_TRY(sl_sleep(each < (double)PACE ? PACE : each > (double)SL_SECONDS(1) ? SL_SECONDS(1) : (sl_time)each));
        double passed = (double)(sl_now() - exchange->paced_from) / (double)SL_SECONDS(1);
        uint64_t should = exchange->paced_steps + (uint64_t)(passed * options->rate);
        *ret_due = should > exchange->stats.steps ? should - exchange->stats.steps : 0;
    } else {
        while (crowded(exchange)) {
            sl_event_reset(&exchange->drained);
            SL_TRY(sl_event_wait(&exchange->drained));
        }
        SL_TRY(sl_checkpoint());
        *ret_due = STEPS_AT_ONCE;
    }
    *ret_due = *ret_due < CATCH_UP ? *ret_due : CATCH_UP;
    return 0;
}

/* ---- a captured session ---- */

static int record_captured(void *arg, const sl_market_event *event)
{
    sl_simulated *exchange = arg;
    struct venue *venue = exchange->venues[event->instrument->venue];
    if (venue == NULL) {
        return 0;
    }
    if (event->kind == SL_EVENT_TRADE) {
        SL_TRY(keep_trade(venue, event));
    }
    return exchange->options.record == NULL ? 0 : exchange->options.record(exchange->options.arg, event);
}

static sl_truth_state look_at_captured(void *arg, const sl_instrument *instrument)
{
    const sl_simulated *exchange = arg;
    struct sl_captured_state state = sl_captured_look(exchange->options.captured, instrument);
    return (sl_truth_state){.book = state.book, .book_id = state.book_id, .trade_id = state.trade_id};
}

/* Waits until a message of the session is due. */
static int pace_captured(sl_simulated *exchange, int64_t time_ns)
{
    if (exchange->options.speed <= 0) {
        uint64_t due = 0;
        return exchange->stats.steps % STEPS_AT_ONCE == 0 ? pace(exchange, &due) : 0;
    }
    exchange->captured_from = exchange->captured_from == 0 ? time_ns : exchange->captured_from;
    double passed = (double)(time_ns - exchange->captured_from) / exchange->options.speed;
    sl_time when = sl_time_add(exchange->paced_from, passed > 0 ? (sl_time)passed : 0);
    sl_time now = sl_now();
    return when > now ? sl_sleep(when - now) : sl_checkpoint();
}

/* The message was read before its time: books are ahead of what was sent by at most this one message. */
static int play_captured(sl_simulated *exchange)
{
    const struct sl_captured_message *message = NULL;
    int code = 0;
    exchange->options.rate = 0; /* for pace() */
    while ((code = sl_captured_next(exchange->options.captured, record_captured, exchange, &message)) > 0) {
        struct venue *venue = exchange->venues[message->venue];
        if (venue != NULL) {
            sl__venue_forward(venue, message);
            exchange->stats.steps++;
        }
        SL_TRY(pace_captured(exchange, message->time_ns));
    }
    exchange->stats.over = true;
    return code;
}

static int move(void *arg)
{
    sl_simulated *exchange = arg;
    const struct sl_simulated_options *options = &exchange->options;
    while (exchange->wishes < options->wait) {
        sl_event_reset(&exchange->somebody);
        SL_TRY(sl_event_wait(&exchange->somebody));
    }
    sl_simulated_pace(exchange, options->rate);
    if (options->captured != NULL) {
        return play_captured(exchange);
    }
    while (!exchange->stats.over && (options->steps == 0 || exchange->stats.steps < options->steps)) {
        uint64_t due = 0;
        SL_TRY(pace(exchange, &due));
        for (; due > 0 && !exchange->stats.over && (options->steps == 0 || exchange->stats.steps < options->steps);
             due--) {
            SL_TRY(step(exchange));
        }
    }
    exchange->stats.over = true;
    return 0;
}

/* What is due by the clock alone. */
static int beat(void *arg)
{
    sl_simulated *exchange = arg;
    for (;;) {
        SL_TRY(sl_sleep(HEARTBEAT_LOOK));
        for (size_t at = 0; at < exchange->venue_count; at++) {
            struct venue *venue = exchange->list[at];
            sl_time now = sl_now();
            if (venue->leave_at != 0 && venue->leave_at <= now) {
                venue->leave_at = 0;
                sl__cut_all(venue);
            }
            if (venue->halted_until != 0 && venue->halted_until <= now) {
                sl__lift_halts(venue);
            }
            if (!sl__fault_holds(venue, SL_FAULT_ACKS_LATE, NULL)) {
                sl__release_answers(venue);
            }
            sl__venue_heartbeat(venue, now);
            if (venue->candle_wishes > 0) {
                sl__candle_beat(venue);
            }
            sl__venue_ping(venue, now);
        }
    }
}

/* ---- serving ---- */

/* "/binance-usdm/public/stream?x": the venue, and what it is asked. */
static struct venue *find_venue(const sl_simulated *exchange, const char *target, char *path, size_t size_bytes,
                                struct sl_rest_question *question)
{
    for (size_t at = 0; at < exchange->venue_count && target[0] == '/'; at++) {
        const char *name = sl_venue_name(exchange->list[at]->dialect->venue);
        size_t length = strlen(name);
        if (strncmp(target + 1, name, length) != 0 || strchr("/?", target[1 + length]) == NULL) {
            continue;
        }
        const char *rest = target + 1 + length;
        size_t path_bytes = strcspn(rest, "?");
        if (path_bytes >= size_bytes) {
            return NULL;
        }
        memcpy(path, rest, path_bytes);
        path[path_bytes] = '\0';
        question->path = path;
        question->query = rest[path_bytes] == '?' ? rest + path_bytes + 1 : "";
        return exchange->list[at];
    }
    return NULL;
}

static int handle(void *arg, sl_http_exchange *request)
{
    sl_simulated *exchange = arg;
    char path[1024];
    struct sl_rest_question question;
    struct venue *venue = find_venue(exchange, sl_http_target(request->request), path, sizeof path, &question);
    if (venue == NULL) {
        return 0;
    }
    const char *upgrade = sl_http_header(request->request, "Upgrade");
    return upgrade != NULL ? sl__venue_stream(venue, request, &question) : sl__venue_rest(venue, request, &question);
}

static int serve(void *arg)
{
    sl_simulated *exchange = arg;
    struct sl_http_server_options options = {
        .handler = handle, .arg = exchange, .target_bytes_max = 16384, .stop_grace = SL_MILLISECONDS(100)};
    return sl_http_serve_with(exchange->listener, &options);
}

int sl_simulated_run(void *arg)
{
    sl_simulated *exchange = arg;
    SL_SCOPE(scope, .name = "exchange");
    SL_TRY(sl_spawn(&scope, serve, exchange));
    SL_TRY(sl_spawn(&scope, move, exchange, .name = "market"));
    SL_TRY(sl_spawn(&scope, beat, exchange, .name = "heartbeats"));
    return sl_scope_wait(&scope);
}

/* ---- made and freed ---- */

static int open_venue(sl_simulated *exchange, const sl_dialect *dialect)
{
    struct venue *venue = sl_calloc(1, sizeof *venue);
    if (venue == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a venue");
    }
    exchange->venues[dialect->venue] = venue;
    exchange->list[exchange->venue_count++] = venue;
    venue->exchange = exchange;
    venue->dialect = dialect;
    const struct sl_simulated_venue *own = &exchange->options.venues[dialect->venue];
    sl_truth_options truth = {.instruments = exchange->options.instruments,
                              .venue = dialect->venue,
                              .seed = exchange->options.seed + (uint64_t)dialect->venue,
                              .levels = own->levels == 0 ? dialect->levels : own->levels,
                              .deep = own->deep,
                              .trade_weight = exchange->options.trade_weight,
                              .timed = dialect->timed,
                              .consecutive = dialect->consecutive,
                              .uuids = dialect->uuids,
                              .arg = exchange,
                              .look = exchange->options.captured == NULL ? NULL : look_at_captured};
    SL_TRY(sl_truth_new(&truth, &venue->truth));
    SL_TRY(sl_json_new(0, &venue->json));
    venue->host = (struct sl_dialect_host){.dialect = dialect,
                                           .venue = venue,
                                           .instruments = exchange->options.instruments,
                                           .truth = venue->truth,
                                           .json = venue->json,
                                           .checksums = own->checksums,
                                           .say = sl__client_say,
                                           .wish = sl__client_wish,
                                           .path = sl__client_path,
                                           .wished = sl__client_wished,
                                           .history = history};
    return 0;
}

int sl_simulated_open(const struct sl_simulated_options *options, sl_simulated **ret_exchange)
{
    sl_auto(sl_simulated) *exchange = sl_calloc(1, sizeof *exchange);
    if (exchange == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for an exchange");
    }
    exchange->options = *options;
    sl_event_init(&exchange->somebody);
    sl_event_init(&exchange->drained);
    for (size_t at = 0; at < sl_instruments_count(options->instruments); at++) {
        sl_venue venue = sl_instruments_at(options->instruments, at)->venue;
        if (exchange->venues[venue] == NULL) {
            const sl_dialect *dialect = sl_dialect_of(venue);
            SL_TRY(dialect == NULL ? sl_fail(SL_EINVAL, "no such venue") : open_venue(exchange, dialect));
        }
    }
    if (exchange->venue_count == 0) {
        return sl_fail(SL_EINVAL, "an exchange without instruments");
    }
    SL_TRY(sl_listener_open("127.0.0.1", options->port, &exchange->listener));
    *ret_exchange = exchange;
    exchange = NULL;
    return 0;
}

static void close_venue(struct venue *venue)
{
    for (size_t at = 0; at < venue->board_count; at++) {
        sl_free(venue->boards[at].wishes);
        sl_free(venue->boards[at].trades);
        sl__write_done(&venue->boards[at].old_snapshot);
    }
    sl_free(venue->boards);
    sl_truth_free(venue->truth);
    sl_json_free(venue->json);
    sl__write_done(&venue->text);
    sl__write_done(&venue->spoiled);
    sl_free(venue);
}

void sl_simulated_close(sl_simulated *exchange)
{
    if (exchange != NULL) {
        sl_listener_close(exchange->listener);
        for (size_t at = 0; at < exchange->venue_count; at++) {
            close_venue(exchange->list[at]);
        }
        sl_free(exchange);
    }
}

int sl_simulated_port(const sl_simulated *exchange)
{
    return sl_listener_port(exchange->listener);
}

const sl_truth *sl_simulated_truth(const sl_simulated *exchange, sl_venue venue)
{
    return exchange->venues[venue] == NULL ? NULL : exchange->venues[venue]->truth;
}

const struct sl_simulated_stats *sl_simulated_get_stats(const sl_simulated *exchange)
{
    return &exchange->stats;
}
