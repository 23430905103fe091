/* SPDX-License-Identifier: MIT */
/* Books by the venue's rule, and the queue of snapshots. See books.h. */
#include "ingest/stream/books.h"

#include <stdio.h>
#include <string.h>

#include "ingest/stream/shadow.h"
#include "market/keeper.h"
#include "sluice/channel.h"
#include "sluice/runtime.h"
#include "sluice/scope.h"
#include "sluice/supervisor.h"
#include "sluice/sync.h"

/* Between two times that one book is made anew, when a snapshot fails, comes too early or does not help. */
static const struct sl_backoff retry = {.initial = SL_MILLISECONDS(100), .max = SL_SECONDS(30)};

/* A book that needed nothing for so long is helped at once when it does. */
#define STEADY SL_MINUTES(1)

/* How often holes and renewals that are due are looked at. */
#define SWEEP SL_SECONDS(1)

/* A question to begin anew may be lost, or be answered without a snapshot because the leaving was. */
#define RENEWAL_PATIENCE SL_SECONDS(20)

struct entry {
    sl_books *books;
    const sl_instrument *instrument;
    sl_keeper *keeper;
    sl_time last_at;    /* something of it came by the stream; 0: nothing yet */
    sl_shadow *shadow;  /* it is being compared; NULL */
    sl_time verify_at;  /* for the next time; 0: not known yet */
    struct entry *next; /* in the queue of snapshots */
    sl_time not_before; /* for the next request */
    sl_time expires;    /* when the keeper wants to be called; SL_NEVER */
    sl_time asked_at;   /* when it was last asked for anew; 0: never, or of a connection that is no more */
    uint32_t attempts;  /* since it was steady */
    bool queued;        /* in the queue, or being asked for */
    bool renewing;      /* the stream is to begin anew: */
    sl_time renew_at;   /* when it is asked to, or asked once more */
    bool gone;          /* not followed any more, but a fetcher still has it */
    bool busy;          /* a fetcher has it */
    bool begun;         /* the book was given out, from this id on: */
    int64_t first_id;
    bool resumed; /* what came before it is to be told, from this id on: */
    bool seamless;
    int64_t before;
};

/* Of an instrument: what a change of its book will need is found from here without a further step through memory. */
struct place {
    struct entry *entry;
    const sl_keeper *keeper;
    const sl_book *book; /* NULL: there is none yet */
};

struct sl_books {
    struct sl_books_options options;
    struct place *table; /* by the instrument's index */
    size_t capacity;
    struct entry *first, *last; /* the queue */
    sl_event news;              /* something was added to it */
    sl_mutex turn;              /* one fetcher at a time waits for what is due */
    size_t shadows;
    struct sl_books_stats stats;
    struct sl_books_stats gone; /* what those came to that are not followed any more */
};

int sl_books_new(const struct sl_books_options *options, sl_books **ret_books)
{
    if (options->event == NULL || options->mutex == NULL || options->driver->book_rule == SL_BOOK_RULE_NONE) {
        return sl_fail(SL_EINVAL, "%s has no books", options->driver->title);
    }
    sl_books *books = sl_calloc(1, sizeof *books);
    if (books == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for books");
    }
    books->options = *options;
    sl_event_init(&books->news);
    sl_mutex_init(&books->turn);
    *ret_books = books;
    return 0;
}

static void drop_shadow(struct entry *entry)
{
    entry->books->shadows -= entry->shadow != NULL;
    sl_shadow_free(entry->shadow);
    entry->shadow = NULL;
}

static void free_entry(struct entry *entry)
{
    drop_shadow(entry);
    sl_keeper_free(entry->keeper);
    sl_free(entry);
}

void sl_books_free(sl_books *books)
{
    if (books == NULL) {
        return;
    }
    for (size_t at = 0; at < books->capacity; at++) {
        if (books->table[at].entry != NULL) {
            free_entry(books->table[at].entry);
        }
    }
    sl_free(books->table);
    sl_free(books);
}

static int grow(sl_books *books, uint32_t index)
{
    size_t capacity = books->capacity == 0 ? 64 : books->capacity;
    while (capacity <= index) {
        capacity *= 2;
    }
    struct place *table = sl_realloc(books->table, capacity * sizeof *table);
    if (table == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for %zu books", capacity);
    }
    memset(table + books->capacity, 0, (capacity - books->capacity) * sizeof *table);
    books->table = table;
    books->capacity = capacity;
    return 0;
}

static struct entry *look(const sl_books *books, const sl_instrument *instrument)
{
    return instrument->index < books->capacity ? books->table[instrument->index].entry : NULL;
}

/*
 * Between another keeper's last change and this one's first snapshot: seen, and healed by that. Times as ids do not tell whether
 * anything is missing.
 */
static int tell_restart(struct entry *entry, int64_t wall_ns)
{
    const struct sl_books_options *options = &entry->books->options;
    bool ids = entry->before > 0 && entry->first_id > 0 && options->driver->book_rule != SL_BOOK_RULE_TIMED;
    if (ids ? entry->first_id <= entry->before : entry->seamless) {
        return 0;
    }
    sl_market_event event = {
        .kind = SL_EVENT_GAP, .feed = SL_FEED_DEPTH, .instrument = entry->instrument, .receive_time_ns = wall_ns};
    event.as.gap = (sl_gap){
        .reason = SL_GAP_RESTARTED, .from_id = entry->before, .to_id = entry->first_id, .seen_time_ns = wall_ns};
    SL_TRY(options->event(options->arg, &event));
    event.as.gap.healed = true;
    event.as.gap.healed_id = entry->first_id;
    return options->event(options->arg, &event);
}

static int on_event(void *arg, const sl_market_event *event)
{
    struct entry *entry = arg;
    const struct sl_books_options *options = &entry->books->options;
    if (entry->begun || event->kind != SL_EVENT_BOOK_SNAPSHOT) {
        return options->event(options->arg, event);
    }
    entry->first_id = event->as.snapshot.last_id;
    if (entry->resumed) {
        SL_TRY(tell_restart(entry, event->receive_time_ns));
    }
    SL_TRY(options->event(options->arg, event));
    entry->begun = true; /* not before it was taken: else the next life would go on behind it */
    entry->resumed = false;
    return 0;
}

static int entry_of(sl_books *books, const sl_instrument *instrument, struct entry **ret_entry)
{
    if (instrument->index >= books->capacity) {
        SL_TRY(grow(books, instrument->index));
    }
    struct place *place = &books->table[instrument->index];
    if (place->entry == NULL) {
        struct entry *entry = sl_calloc(1, sizeof *entry);
        if (entry == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for a book");
        }
        entry->books = books;
        entry->instrument = instrument;
        entry->expires = SL_NEVER;
        sl_keeper_options keeper = {.rule = books->options.driver->book_rule,
                                    .instrument = instrument,
                                    .checksum = books->options.driver->book_checksum,
                                    .patience = books->options.patience,
                                    .arg = entry,
                                    .event = on_event};
        int code = sl_keeper_new(&keeper, &entry->keeper);
        if (code < 0) {
            sl_free(entry);
            return code;
        }
        *place = (struct place){.entry = entry, .keeper = entry->keeper};
    }
    *ret_entry = place->entry;
    return 0;
}

/* ---- what a keeper wants ---- */

static void enqueue(sl_books *books, struct entry *entry, sl_time not_before)
{
    entry->queued = true;
    entry->not_before = not_before;
    entry->next = NULL;
    if (books->last == NULL) {
        books->first = entry;
    } else {
        books->last->next = entry;
    }
    books->last = entry;
    sl_event_set(&books->news);
}

/*
 * When it may be asked for: at once, unless that was done a moment ago. A book that a good snapshot does not help (a venue
 * has changed its checksum, or its numbers) would else be asked for as fast as the venue answers.
 */
static sl_time when_to_ask(struct entry *entry)
{
    sl_time now = sl_now();
    if (entry->asked_at == 0 || now - entry->asked_at > STEADY) {
        entry->attempts = 0;
        return now;
    }
    return sl_time_add(entry->asked_at, sl_backoff_delay(&retry, entry->attempts++, sl_random_unit()));
}

static void attend_renewal(struct entry *entry, uint32_t connection)
{
    if (!entry->renewing) {
        entry->renewing = true;
        entry->renew_at = when_to_ask(entry);
    }
    sl_time now = sl_now();
    if (now >= entry->renew_at) {
        entry->asked_at = now;
        entry->renew_at = sl_time_add(now, RENEWAL_PATIENCE);
        entry->books->options.renew(entry->books->options.arg, entry->instrument, connection);
    }
}

static void attend(struct entry *entry)
{
    uint32_t connection = 0;
    switch (sl_keeper_wants(entry->keeper, &connection)) {
    case SL_KEEPER_RENEWAL:
        attend_renewal(entry, connection);
        break;
    case SL_KEEPER_SNAPSHOT:
        if (!entry->queued) {
            enqueue(entry->books, entry, when_to_ask(entry));
        }
        break;
    default:
        if (entry->shadow != NULL && !entry->queued && sl_shadow_wants(entry->shadow)) {
            enqueue(entry->books, entry, when_to_ask(entry));
        }
    }
}

/* ---- whether books are right ---- */

/* Looks at what a shadow has found. */
static int judge_shadow(struct entry *entry)
{
    sl_books *books = entry->books;
    sl_shadow_verdict verdict = sl_shadow_compare(entry->shadow, entry->keeper);
    bool live = sl_keeper_get_state(entry->keeper) == SL_KEEPER_LIVE;
    if (verdict == SL_SHADOW_OPEN && live && sl_now() < sl_shadow_until(entry->shadow)) {
        return 0;
    }
    drop_shadow(entry);
    books->stats.verified += verdict != SL_SHADOW_OPEN;
    if (verdict != SL_SHADOW_DIFFERENT) {
        return 0;
    }
    books->stats.different++;
    return sl_keeper_distrust(entry->keeper, SL_GAP_DIFFERENT, sl_now());
}

static bool is_asked_for(const sl_books *books)
{
    sl_book_rule rule = books->options.driver->book_rule;
    return rule == SL_BOOK_RULE_BINANCE_SPOT || rule == SL_BOOK_RULE_BINANCE_FUTURES || rule == SL_BOOK_RULE_TIMED;
}

/*
 * A book whose turn it is. Where nothing could tell a loss, and no snapshot says how far it goes (Coinbase), it is begun
 * anew: that replaces what may have been wrong.
 */
static int verify(struct entry *entry)
{
    sl_books *books = entry->books;
    sl_time every = books->options.verify, now = sl_now();
    if (entry->verify_at == 0) { /* not all at once */
        entry->verify_at = sl_time_add(now, (sl_time)((double)every * (0.5 + sl_random_unit() / 2)));
    }
    if (now < entry->verify_at || entry->shadow != NULL || sl_keeper_get_state(entry->keeper) != SL_KEEPER_LIVE) {
        return 0;
    }
    if (is_asked_for(books) && books->shadows < SL_BOOKS_SHADOWS) {
        SL_TRY(sl_shadow_new(books->options.driver->book_rule, entry->instrument,
                             sl_time_add(now, SL_BOOKS_SHADOW_TIME), &entry->shadow));
        books->shadows++;
        entry->verify_at = sl_time_add(now, every);
    } else if (books->options.driver->book_rule == SL_BOOK_RULE_TRUSTED) {
        uint32_t connection = 0;
        (void)sl_keeper_wants(entry->keeper, &connection);
        entry->verify_at = sl_time_add(now, every);
        books->options.renew(books->options.arg, entry->instrument, connection);
        books->stats.verified++;
    }
    return 0;
}

void sl_books_prefetch(const sl_books *books, const sl_instrument *instrument)
{
    const struct place *place = instrument->index < books->capacity ? &books->table[instrument->index] : NULL;
    if (place != NULL && place->book != NULL) {
        __builtin_prefetch(place->entry);
        sl_keeper_prefetch(place->keeper);
        sl_book_prefetch(place->book);
    }
}

int sl_books_event(sl_books *books, const sl_market_event *event, sl_time now)
{
    struct entry *entry = NULL;
    SL_TRY(entry_of(books, event->instrument, &entry));
    entry->last_at = now;
    int code = sl_keeper_event(entry->keeper, event, now);
    books->table[event->instrument->index].book = sl_keeper_book(entry->keeper);
    if (code == SL_EINVAL || code == SL_EMSGSIZE) { /* the venue's message is at fault: the book is made anew */
        code = 0;
    }
    if (event->kind == SL_EVENT_BOOK_SNAPSHOT) { /* it began anew; whether that is any good is another matter */
        entry->renewing = false;
    }
    entry->expires = books->options.patience > 0 ? now : SL_NEVER;
    if (code == 0 && entry->shadow != NULL) {
        code = sl_shadow_event(entry->shadow, event, now);
        code = code == SL_EINVAL || code == SL_EMSGSIZE ? 0 : code;
        code = code == 0 ? judge_shadow(entry) : code;
    }
    attend(entry);
    return code;
}

int sl_books_lost(sl_books *books, const sl_instrument *instrument, uint32_t connection, bool last, sl_time now)
{
    struct entry *entry = look(books, instrument);
    if (entry == NULL) {
        return 0;
    }
    entry->renewing = false; /* whoever connects next subscribes anew */
    entry->asked_at = 0;
    drop_shadow(entry);
    int code = sl_keeper_lost(entry->keeper, connection, last, now);
    if (!last) {
        attend(entry);
    }
    return code;
}

bool sl_books_resync(sl_books *books, const sl_instrument *instrument)
{
    struct entry *entry = look(books, instrument);
    if (entry == NULL) {
        return false;
    }
    int code = sl_keeper_distrust(entry->keeper, SL_GAP_SEQUENCE, sl_now());
    (void)code; /* what could not be given out is counted by the one that did not take it */
    attend(entry);
    return true;
}

int sl_books_resume(sl_books *books, const sl_instrument *instrument, int64_t id, bool seamless, int64_t wall_ns)
{
    struct entry *entry = NULL;
    SL_TRY(entry_of(books, instrument, &entry));
    entry->resumed = !entry->begun;
    entry->seamless = seamless;
    entry->before = id;
    return entry->begun ? tell_restart(entry, wall_ns) : 0;
}

int sl_books_left(sl_books *books, const sl_instrument *instrument, int64_t wall_ns)
{
    const struct entry *entry = look(books, instrument);
    const struct sl_books_options *options = &books->options;
    bool ids = entry != NULL && entry->before > 0 && options->driver->book_rule != SL_BOOK_RULE_TIMED;
    if (entry == NULL || !entry->resumed || entry->seamless || ids) {
        return 0;
    }
    sl_market_event event = {
        .kind = SL_EVENT_GAP, .feed = SL_FEED_DEPTH, .instrument = instrument, .receive_time_ns = wall_ns};
    event.as.gap = (sl_gap){.reason = SL_GAP_RESTARTED, .from_id = entry->before, .seen_time_ns = wall_ns};
    return options->event(options->arg, &event);
}

bool sl_books_position(const sl_books *books, const sl_instrument *instrument, int64_t *ret_id)
{
    const struct entry *entry = look(books, instrument);
    if (entry == NULL || (!entry->begun && !entry->resumed)) {
        return false;
    }
    *ret_id = entry->begun ? sl_keeper_last_id(entry->keeper) : entry->before;
    return true;
}

static void add_counts(struct sl_books_stats *sum, const struct entry *entry)
{
    const sl_keeper_stats *stats = sl_keeper_get_stats(entry->keeper);
    sum->applied += stats->applied;
    sum->repeated += stats->repeated;
    sum->gaps += stats->gaps;
    sum->healed += stats->healed;
    sum->crossed += stats->crossed;
    sum->checksum_failures += stats->checksum_failures;
}

static void unqueue(sl_books *books, const struct entry *entry)
{
    struct entry *before = NULL;
    for (struct entry *at = books->first; at != NULL; before = at, at = at->next) {
        if (at == entry) {
            if (before == NULL) {
                books->first = at->next;
            } else {
                before->next = at->next;
            }
            books->last = books->last == at ? before : books->last;
            return;
        }
    }
}

void sl_books_remove(sl_books *books, const sl_instrument *instrument)
{
    struct entry *entry = look(books, instrument);
    if (entry == NULL) {
        return;
    }
    books->table[instrument->index] = (struct place){0};
    add_counts(&books->gone, entry);
    if (entry->busy) {
        entry->gone = true;
        return;
    }
    unqueue(books, entry);
    free_entry(entry);
}

/* ---- snapshots ---- */

struct fetcher {
    sl_books *books;
    sl_venue_decoder *decoder; /* of its own: the connections' are in use */
    struct entry *entry;
    sl_venue_message message; /* the answer that is decoded */
    char url[1024];
};

/* The answer's event goes to the keeper while the decoder still has its levels. */
static int on_snapshot(void *arg, const sl_market_event *event)
{
    struct fetcher *fetcher = arg;
    if (event->kind != SL_EVENT_BOOK_SNAPSHOT) {
        return 0;
    }
    SL_TRY(sl_mutex_lock(fetcher->books->options.mutex));
    struct entry *entry = fetcher->entry;
    const struct sl_books_options *options = &fetcher->books->options;
    int code = options->answer == NULL ? 0
                                       : options->answer(options->answer_arg, fetcher->url, fetcher->message.text,
                                                         fetcher->message.size_bytes, fetcher->message.receive_time_ns);
    code = code < 0 || entry->gone ? code : sl_keeper_snapshot(entry->keeper, event, sl_now());
    if (code == 0 && !entry->gone && entry->shadow != NULL) {
        code = sl_shadow_snapshot(entry->shadow, event, sl_now());
        code = code > 0 ? judge_shadow(entry) : code;
    }
    (void)sl_mutex_unlock(fetcher->books->options.mutex);
    return code < 0 ? code : 0;
}

static int make_url(struct fetcher *fetcher, const sl_venue_request *request)
{
    const struct sl_books_options *options = &fetcher->books->options;
    const char *origin = options->origin != NULL ? options->origin : options->driver->rest_origin;
    int used = snprintf(fetcher->url, sizeof fetcher->url, "%s", origin);
    if (used < 0 || (size_t)used >= sizeof fetcher->url) {
        return sl_fail(SL_EMSGSIZE, "the URL '%s' is too long", origin);
    }
    int code = options->driver->rest_path(request, fetcher->url + used, sizeof fetcher->url - (size_t)used);
    return code < 0 ? code : 0;
}

static int fetch(struct fetcher *fetcher, sl_response **ret_response)
{
    fetcher->message = (sl_venue_message){0};
    const struct sl_books_options *options = &fetcher->books->options;
    sl_venue_request request = {
        .kind = SL_REQUEST_SNAPSHOT, .instrument = fetcher->entry->instrument, .limit = options->depth};
    SL_TRY(make_url(fetcher, &request));
    SL_TRY(sl_fetch(options->http,
                    &(sl_request){.url = fetcher->url,
                                  .total_timeout = SL_BOOKS_SNAPSHOT_TIMEOUT,
                                  .cost = sl_venue_cost(options->driver, &request),
                                  .priority = options->priority},
                    ret_response));
    sl_venue_message message = {.receive_time_ns = sl_now_wall()};
    message.text = sl_response_body(*ret_response, &message.size_bytes);
    fetcher->message = message;
    sl_venue_answer answer = {0};
    sl_venue_output output = {.arg = fetcher, .event = on_snapshot};
    int code = options->driver->decode_rest(fetcher->decoder, &request, &message, &output, NULL, &answer);
    if (code < 0) {
        return sl_fail(code, "HTTP status %d: %s", sl_response_status(*ret_response),
                       sl_venue_problem(fetcher->decoder));
    }
    fetcher->books->stats.snapshots++;
    return 0;
}

/* Tells why a request failed, and shows the answer, if one came. */
static void note(const struct fetcher *fetcher, int code)
{
    sl_books *books = fetcher->books;
    const sl_instrument *instrument = fetcher->entry->instrument;
    const sl_error *error = sl_error_last();
    while (sl_error_count(error) > 0) {
        error = sl_error_at(error, 0);
    }
    books->stats.snapshot_failures++;
    (void)snprintf(books->stats.problem, sizeof books->stats.problem, "%s: %s", instrument->symbol,
                   error == NULL || *sl_error_message(error) == '\0' ? sl_strerror(code) : sl_error_message(error));
    if (books->options.failed != NULL) {
        books->options.failed(books->options.answer_arg, instrument, &fetcher->message, code, books->stats.problem);
    }
}

/* The first of the queue that may be asked for now; NULL and, in `ret_when`, when there is one. */
static struct entry *take(sl_books *books, sl_time now, sl_time *ret_when)
{
    *ret_when = SL_NEVER;
    for (struct entry *entry = books->first; entry != NULL; entry = entry->next) {
        if (entry->not_before <= now) {
            unqueue(books, entry);
            entry->busy = true;
            entry->asked_at = now;
            return entry;
        }
        *ret_when = entry->not_before < *ret_when ? entry->not_before : *ret_when;
    }
    return NULL;
}

/* Back from a request: done with it, or queued anew for later. */
static void give_back(sl_books *books, struct entry *entry)
{
    entry->busy = false;
    entry->queued = false;
    if (entry->gone) {
        free_entry(entry);
        return;
    }
    uint32_t connection = 0;
    if (sl_keeper_wants(entry->keeper, &connection) == SL_KEEPER_SNAPSHOT ||
        (entry->shadow != NULL && sl_shadow_wants(entry->shadow))) {
        enqueue(books, entry, sl_time_add(sl_now(), sl_backoff_delay(&retry, entry->attempts++, sl_random_unit())));
    } else {
        attend(entry);
    }
}

static int wait_for_entry(struct fetcher *fetcher)
{
    sl_books *books = fetcher->books;
    for (;;) {
        sl_time when = SL_NEVER;
        sl_event_reset(&books->news);
        fetcher->entry = take(books, sl_now(), &when);
        if (fetcher->entry != NULL) {
            return 0;
        }
        struct sl_select_clause clause = {.kind = SL_SELECT_EVENT, .event = &books->news};
        int code = sl_select(&clause, 1, when == SL_NEVER ? SL_NEVER : when - sl_now());
        SL_TRY(code == SL_ETIMEDOUT ? 0 : code);
    }
}

static int fetch_next(struct fetcher *fetcher)
{
    sl_books *books = fetcher->books;
    SL_TRY(sl_mutex_lock(&books->turn));
    int code = wait_for_entry(fetcher);
    (void)sl_mutex_unlock(&books->turn);
    SL_TRY(code);
    sl_auto(sl_response) *response = NULL;
    code = fetch(fetcher, &response);
    if (code < 0 && code != SL_ECANCELED) {
        note(fetcher, code);
        code = code == SL_ENOMEM ? code : 0;
    }
    give_back(books, fetcher->entry);
    return code;
}

static int run_fetcher(void *arg)
{
    struct fetcher fetcher = {.books = arg};
    sl_venue_decoder_options options = {.venue = fetcher.books->options.driver->venue,
                                        .instruments = fetcher.books->options.instruments};
    sl_auto(sl_venue_decoder) *decoder = NULL;
    SL_TRY(sl_venue_decoder_new(&options, &decoder));
    fetcher.decoder = decoder;
    for (;;) {
        SL_TRY(fetch_next(&fetcher));
    }
}

static int expire(struct entry *entry)
{
    sl_books *books = entry->books;
    const sl_instrument *instrument = entry->instrument;
    SL_TRY(sl_mutex_lock(books->options.mutex));
    int code = 0;
    if (look(books, instrument) == entry) {
        code = sl_keeper_expire(entry->keeper, sl_now(), &entry->expires);
        attend(entry);
    }
    (void)sl_mutex_unlock(books->options.mutex);
    return code;
}

/* Its hole's patience is over, or a renewal is due: where the market is quiet nothing else would ask for that. */
static bool is_due(const struct entry *entry)
{
    return entry->expires <= sl_now() || (entry->renewing && entry->renew_at <= sl_now());
}

/* Whoever has waited for long enough, and what the books have come to. */
static int sweep(sl_books *books)
{
    struct sl_books_stats sum = books->gone;
    for (size_t at = 0; at < books->capacity; at++) {
        struct entry *entry = books->table[at].entry;
        if (entry == NULL) {
            continue;
        }
        if (is_due(entry)) {
            SL_TRY(expire(entry));
            entry = books->table[at].entry; /* what is waited for meanwhile may remove it */
            if (entry == NULL) {
                continue;
            }
        }
        if (books->options.verify > 0) {
            SL_TRY(verify(entry));
        }
        sum.books++;
        sum.stale += sl_keeper_get_state(entry->keeper) != SL_KEEPER_LIVE;
        sum.waiting += entry->queued;
        add_counts(&sum, entry);
    }
    /* What was counted meanwhile stays. */
    sum.snapshots = books->stats.snapshots;
    sum.snapshot_failures = books->stats.snapshot_failures;
    sum.verified = books->stats.verified;
    sum.different = books->stats.different;
    memcpy(sum.problem, books->stats.problem, sizeof sum.problem);
    books->stats = sum;
    return 0;
}

int sl_books_run(void *arg)
{
    sl_books *books = arg;
    SL_SCOPE(scope, .name = "books");
    int code = 0;
    for (int i = 0; i < SL_BOOKS_FETCHERS && code == 0 && books->options.http != NULL; i++) {
        code = sl_spawn(&scope, run_fetcher, books, .name = "snapshots");
    }
    while (code == 0) {
        code = sl_sleep(SWEEP);
        code = code == 0 ? sweep(books) : code;
    }
    return sl_scope_close(&scope, code);
}

const sl_book *sl_books_find(const sl_books *books, const sl_instrument *instrument, bool *ret_stale)
{
    const struct entry *entry = look(books, instrument);
    if (entry == NULL) {
        return NULL;
    }
    if (ret_stale != NULL) {
        *ret_stale = sl_keeper_get_state(entry->keeper) != SL_KEEPER_LIVE;
    }
    return sl_keeper_book(entry->keeper);
}

sl_time sl_books_last(const sl_books *books, const sl_instrument *instrument)
{
    const struct entry *entry = look(books, instrument);
    return entry == NULL ? 0 : entry->last_at;
}

const struct sl_books_stats *sl_books_get_stats(const sl_books *books)
{
    return &books->stats;
}
