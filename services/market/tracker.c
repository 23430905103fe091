/* SPDX-License-Identifier: MIT */
/* First copies and holes. See tracker.h. */
#include "tracker.h"
#include "tracker_hash.h"
#include "tracker_marks.h"
#include "tracker_window.h"

#include <string.h>

#include "sluice/memory.h"

/* Channels that are allocated together. */
#define CHUNK_CHANNELS 64

#define TABLES (SL_FEED_COUNT + SL_TRACKER_LENGTHS - 1)

/* A share of each new interval in the usual one: 1 / 2^3. */
#define PULSE_SHIFT 3

/* Ids that only can be compared. */
struct recent {
    struct sl__tracker_marks marks;
    uint64_t hashes[SL_TRACKER_RECENT];
    uint32_t at, count;
    int64_t first_id;
    bool begun;     /* something came here */
    bool resumed;   /* what came before the first is to be told as missing, */
    bool continued; /* nothing is: who had it before has ended only after this had begun, */
    int64_t before; /* from this id on, or to it */
};

/* One feed of one instrument. An event of a trade that follows touches no more than the first members. */
struct channel {
    sl_tracker_pulse pulse;
    int64_t high;                 /* consecutive trades: the newest id; 0: none yet */
    int64_t high_time_ns;         /* the venue's time of it */
    bool begun;                   /* one of them was given out, and nothing before it is to be told of any more */
    struct window *window;        /* of them */
    struct recent *recent;        /* other trades, liquidations */
    struct sl__tracker_last last; /* state: what was given out last */
};

/* The channels of one feed, by the instrument's index, in chunks: those of neighbours lie side by side. */
struct table {
    struct channel **chunks;
    size_t count;
};

struct sl_tracker {
    sl_tracker_options options;
    struct table tables[TABLES];         /* by feed, and of candles of further lengths */
    int64_t lengths[SL_TRACKER_LENGTHS]; /* of candles, in the order they came in; 0: none yet */
    const sl_instrument **with_holes;    /* instruments that may have holes */
    size_t hole_count, hole_capacity;
    sl_tracker_stats stats;
};

int sl_tracker_new(const sl_tracker_options *options, sl_tracker **ret_tracker)
{
    if (options->event == NULL || options->patience < 0) {
        return sl_fail(SL_EINVAL, "a tracker needs somewhere to give events to, and a patience of 0 or more");
    }
    sl_tracker *tracker = sl_calloc(1, sizeof *tracker);
    if (tracker == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a tracker");
    }
    tracker->options = *options;
    *ret_tracker = tracker;
    return 0;
}

static void free_table(struct table *table)
{
    for (size_t chunk = 0; chunk < table->count; chunk++) {
        for (size_t at = 0; table->chunks[chunk] != NULL && at < CHUNK_CHANNELS; at++) {
            sl_free(table->chunks[chunk][at].window);
            sl_free(table->chunks[chunk][at].recent);
        }
        sl_free(table->chunks[chunk]);
    }
    sl_free(table->chunks);
}

void sl_tracker_free(sl_tracker *tracker)
{
    if (tracker == NULL) {
        return;
    }
    for (int at = 0; at < TABLES; at++) {
        free_table(&tracker->tables[at]);
    }
    sl_free(tracker->with_holes);
    sl_free(tracker);
}

/* ---- the place of a channel ---- */

static int grow_table(struct table *table, size_t chunk)
{
    size_t count = table->count == 0 ? 16 : table->count;
    while (count <= chunk) {
        count *= 2;
    }
    struct channel **chunks = sl_realloc(table->chunks, count * sizeof(struct channel *));
    if (chunks == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for %zu instruments", count * CHUNK_CHANNELS);
    }
    memset(chunks + table->count, 0, (count - table->count) * sizeof(struct channel *));
    table->chunks = chunks;
    table->count = count;
    return 0;
}

/* The place of a length of candles: where it was first seen, or the next free one, or the last. */
static unsigned place_of(const sl_tracker *tracker, int64_t interval_ns)
{
    unsigned at = 0;
    while (at < SL_TRACKER_LENGTHS - 1 && tracker->lengths[at] != interval_ns && tracker->lengths[at] != 0) {
        at++;
    }
    return at;
}

/* The table of a feed. Candles of the first length are in that of their feed. */
static unsigned table_of(const sl_tracker *tracker, sl_feed feed, int64_t interval_ns)
{
    unsigned place = feed == SL_FEED_CANDLES ? place_of(tracker, interval_ns) : 0;
    return place == 0 ? (unsigned)feed : SL_FEED_COUNT + place - 1;
}

static int channel_of(sl_tracker *tracker, const sl_instrument *instrument, unsigned place,
                      struct channel **ret_channel)
{
    struct table *table = &tracker->tables[place];
    size_t chunk = instrument->index / CHUNK_CHANNELS;
    if (chunk >= table->count) {
        SL_TRY(grow_table(table, chunk));
    }
    if (table->chunks[chunk] == NULL) {
        table->chunks[chunk] = sl_calloc(CHUNK_CHANNELS, sizeof(struct channel));
        if (table->chunks[chunk] == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for instruments");
        }
    }
    *ret_channel = &table->chunks[chunk][instrument->index % CHUNK_CHANNELS];
    return 0;
}

static struct channel *look(const sl_tracker *tracker, const sl_instrument *instrument, unsigned place)
{
    const struct table *table = &tracker->tables[place];
    size_t chunk = instrument->index / CHUNK_CHANNELS;
    return chunk >= table->count || table->chunks[chunk] == NULL
               ? NULL
               : &table->chunks[chunk][instrument->index % CHUNK_CHANNELS];
}

static void beat(struct channel *channel, sl_time now)
{
    sl_tracker_pulse *pulse = &channel->pulse;
    if (pulse->events++ > 0) {
        sl_time passed = now - pulse->last;
        pulse->usual = pulse->events == 2 ? passed : pulse->usual + ((passed - pulse->usual) >> PULSE_SHIFT);
    }
    pulse->last = now;
}

/* ---- giving out ---- */

static int give(sl_tracker *tracker, const sl_market_event *event)
{
    SL_TRY(tracker->options.event(tracker->options.arg, event));
    tracker->stats.events++;
    return 1;
}

/* `after_ns`: all that is missing happened after it, by the venue's clock; 0: the ids tell. */
static int give_gap_after(sl_tracker *tracker, const sl_market_event *like, const sl_gap *gap, int64_t after_ns)
{
    sl_market_event event = {.kind = SL_EVENT_GAP,
                             .feed = like->feed,
                             .connection = like->connection,
                             .instrument = like->instrument,
                             .venue_time_ns = after_ns,
                             .receive_time_ns = like->receive_time_ns};
    event.as.gap = *gap;
    event.as.gap.seen_time_ns = like->receive_time_ns;
    SL_TRY(tracker->options.event(tracker->options.arg, &event));
    tracker->stats.gaps++;
    return 0;
}

static int give_gap(sl_tracker *tracker, const sl_market_event *like, const sl_gap *gap)
{
    return give_gap_after(tracker, like, gap, 0);
}

/* ---- consecutive ids ---- */

/* The window with the bits of all ids up to the newest. */
static struct window *settle(const struct channel *channel)
{
    struct window *window = channel->window;
    int64_t high = channel->high;
    int64_t from = high - window->settled >= SL_TRACKER_WINDOW ? high - SL_TRACKER_WINDOW + 1 : window->settled + 1;
    for (int64_t id = from; id <= high; id++) {
        mark(window, id, true);
    }
    window->settled = high;
    return window;
}

/* Makes `last` the newest id; of those up to it only first..last have come. */
static void advance(struct channel *channel, int64_t first, int64_t last)
{
    struct window *window = settle(channel);
    if (channel->high == 0 || last - channel->high >= SL_TRACKER_WINDOW) {
        memset(window->seen, channel->high == 0 ? 0xff : 0, sizeof window->seen);
    } else {
        for (int64_t id = channel->high + 1; id < first; id++) {
            mark(window, id, false);
        }
    }
    int64_t from = last - first >= SL_TRACKER_WINDOW ? last - SL_TRACKER_WINDOW + 1 : first;
    for (int64_t id = from; id <= last; id++) {
        mark(window, id, true);
    }
    channel->high = last;
    window->settled = last;
}

/* Tells those of the ids from..to that have not come, as one gap from the last id before them to the first after. */
static int tell_hole(sl_tracker *tracker, const struct channel *channel, const struct hole *hole,
                     const sl_instrument *instrument, sl_feed feed)
{
    const struct window *window = settle(channel);
    int64_t from = hole->from, to = hole->to;
    int64_t oldest = channel->high - SL_TRACKER_WINDOW + 1;
    while (from <= to && from >= oldest && seen(window, from)) {
        from++;
    }
    while (to >= from && to >= oldest && seen(window, to)) {
        to--;
    }
    if (from > to) {
        return 0;
    }
    uint64_t missing = 0;
    for (int64_t id = from > oldest ? from : oldest; id <= to; id++) {
        missing += !seen(window, id);
    }
    missing += from < oldest ? (uint64_t)((to < oldest ? to + 1 : oldest) - from) : 0;
    sl_market_event like = {
        .feed = feed, .connection = hole->connection, .instrument = instrument, .receive_time_ns = hole->wall_ns};
    sl_gap gap = {.reason = hole->reason, .from_id = from - 1, .to_id = to + 1};
    SL_TRY(give_gap(tracker, &like, &gap));
    tracker->stats.missing += missing;
    return 0;
}

static int remember_instrument(sl_tracker *tracker, const sl_instrument *instrument)
{
    if (tracker->hole_count == tracker->hole_capacity) {
        size_t capacity = tracker->hole_capacity == 0 ? 16 : tracker->hole_capacity * 2;
        const sl_instrument **all = sl_realloc(tracker->with_holes, capacity * sizeof *all);
        if (all == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for %zu holes", capacity);
        }
        tracker->with_holes = all;
        tracker->hole_capacity = capacity;
    }
    tracker->with_holes[tracker->hole_count++] = instrument;
    return 0;
}

/* Forgets the holes that have been filled. */
static void drop_filled(const struct channel *channel)
{
    struct window *window = settle(channel);
    size_t kept = 0;
    for (size_t at = 0; at < window->hole_count; at++) {
        const struct hole *hole = &window->holes[at];
        bool open = hole->from <= channel->high - SL_TRACKER_WINDOW;
        for (int64_t id = hole->from; id <= hole->to && !open; id++) {
            open = !seen(window, id);
        }
        if (open) {
            window->holes[kept++] = *hole;
        }
    }
    window->hole_count = kept;
}

/* Ids are missing before an event: told at once, or kept for another connection's copy. */
static int open_hole(sl_tracker *tracker, const struct channel *channel, const struct hole *hole,
                     const sl_instrument *instrument, sl_feed feed)
{
    struct window *window = channel->window;
    bool listed = window->hole_count > 0; /* among those with holes */
    if (window->hole_count == SL_TRACKER_HOLES_MAX) {
        drop_filled(channel);
    }
    bool wait = tracker->options.patience > 0 && window->hole_count < SL_TRACKER_HOLES_MAX &&
                hole->to - hole->from < SL_TRACKER_WINDOW / 2;
    if (!wait) {
        return tell_hole(tracker, channel, hole, instrument, feed);
    }
    if (!listed) {
        SL_TRY(remember_instrument(tracker, instrument));
    }
    window->holes[window->hole_count++] = *hole;
    return 0;
}

static int need_window(struct channel *channel)
{
    if (channel->window == NULL) {
        channel->window = sl_calloc(1, sizeof *channel->window);
        if (channel->window == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for a sequence");
        }
    }
    return 0;
}

/*
 * Ids that are older by millions, or of later trades, are no late copies: one of the venue's was far too high, or it
 * counts anew. All that follows would be taken for repeats. What is missing between is not known.
 */
static int begin_anew(sl_tracker *tracker, struct channel *channel, const sl_market_event *event)
{
    struct window *window = channel->window;
    while (window->hole_count > 0) {
        SL_TRY(tell_hole(tracker, channel, &window->holes[window->hole_count - 1], event->instrument, event->feed));
        window->hole_count--;
    }
    sl_gap gap = {.reason = SL_GAP_SEQUENCE, .from_id = channel->high, .seen_time_ns = event->receive_time_ns};
    SL_TRY(give_gap(tracker, event, &gap));
    *window = (struct window){0};
    channel->high = channel->high_time_ns = 0;
    channel->begun = false;
    return 0;
}

/* Whether an id is one too many that is far older than the newest, or was given to a trade that is later than it. */
static bool is_astray(const struct channel *channel, int64_t id, int64_t time_ns)
{
    struct window *window = channel->window;
    bool later = channel->high_time_ns != 0 && time_ns - SL_TRACKER_LATER > channel->high_time_ns;
    if (channel->high - id < SL_TRACKER_FAR && !later) {
        return false;
    }
    window->strays = window->strayed_from == channel->high ? window->strays + 1 : 1;
    window->strayed_from = channel->high;
    return window->strays >= SL_TRACKER_STRAYS;
}

/* The ids that one event stands for. */
struct ids {
    int64_t first, last;
};

static struct ids ids_of(const sl_tracker *tracker, const sl_market_event *event)
{
    const sl_trade *trade = &event->as.trade;
    bool range = (tracker->options.trade_ranges & SL_FEED_BIT(event->feed)) != 0;
    return (struct ids){range ? trade->first_id : trade->id, range ? trade->last_id : trade->id};
}

/* An id, or several of an aggregate, at or before the newest. */
static int see_late(sl_tracker *tracker, const struct channel *channel, const sl_market_event *event, struct ids ids)
{
    struct window *window = settle(channel);
    int64_t oldest = channel->high - SL_TRACKER_WINDOW + 1;
    int64_t first = ids.first > oldest ? ids.first : oldest, id = first;
    while (id <= ids.last && seen(window, id)) {
        id++;
    }
    if (id > ids.last) {
        tracker->stats.repeated++;
        return 0;
    }
    SL_TRY(give(tracker, event));
    for (id = first; id <= ids.last; id++) {
        mark(window, id, true);
    }
    tracker->stats.late++;
    return 1;
}

/* Goes over a hole: its last id becomes the newest. On an error nothing has changed. */
static int skip_to(sl_tracker *tracker, struct channel *channel, const struct hole *hole,
                   const sl_instrument *instrument, sl_feed feed)
{
    struct window old = *settle(channel);
    int64_t high = channel->high;
    advance(channel, hole->to, hole->to);
    channel->high_time_ns = 0; /* nobody has seen that trade */
    mark(channel->window, hole->to, false);
    int code = open_hole(tracker, channel, hole, instrument, feed);
    if (code < 0) {
        *channel->window = old;
        channel->high = high;
    }
    return code;
}

/* Any other than one that follows the newest. */
static int see_unexpected(sl_tracker *tracker, struct channel *channel, const sl_market_event *event, sl_time now)
{
    struct ids ids = ids_of(tracker, event);
    if (ids.first <= 0 || ids.last < ids.first || ids.last == INT64_MAX) {
        return sl_fail(SL_EINVAL, "trade ids from %lld to %lld", (long long)ids.first, (long long)ids.last);
    }
    SL_TRY(need_window(channel));
    struct window *window = channel->window;
    bool resumed = window->resumed;
    if (window->unknown && channel->high == 0) {
        SL_TRY(give_gap(tracker, event, &(sl_gap){.reason = SL_GAP_RESTARTED, .to_id = ids.first}));
        window->unknown = false;
    }
    if (resumed && ids.last <= channel->high) { /* who had it before was ahead, or the venue counts anew */
        *window = (struct window){0};
        channel->high = 0;
    }
    if (channel->high != 0 && ids.last <= channel->high && is_astray(channel, ids.last, event->venue_time_ns)) {
        SL_TRY(begin_anew(tracker, channel, event));
    }
    if (channel->high != 0 && ids.last <= channel->high) {
        return see_late(tracker, channel, event, ids);
    }
    if (channel->high != 0 && ids.first > channel->high + 1) {
        struct hole hole = {.from = channel->high + 1,
                            .to = ids.first - 1,
                            .until = sl_time_add(now, tracker->options.patience),
                            .wall_ns = event->receive_time_ns,
                            .connection = event->connection,
                            .reason = resumed ? SL_GAP_RESTARTED : SL_GAP_SEQUENCE};
        SL_TRY(skip_to(tracker, channel, &hole, event->instrument, event->feed));
    }
    int64_t before = channel->high;
    advance(channel, ids.first, ids.last);
    int code = give(tracker, event);
    if (code < 0) { /* it comes again, or is missed */
        channel->high = window->settled = ids.first > before ? ids.first - 1 : before;
        return code;
    }
    window->resumed = false;
    window->first = window->first == 0 ? ids.first : window->first;
    channel->begun = true;
    channel->high_time_ns = event->venue_time_ns;
    return code;
}

static int see_consecutive(sl_tracker *tracker, struct channel *channel, const sl_market_event *event, sl_time now)
{
    struct ids ids = ids_of(tracker, event);
    if (!channel->begun || ids.last < ids.first || ids.first <= channel->high || ids.first - channel->high != 1 ||
        ids.last == INT64_MAX) {
        return see_unexpected(tracker, channel, event, now);
    }
    channel->high = ids.last; /* its bit is set when somebody looks */
    channel->high_time_ns = event->venue_time_ns;
    int code = give(tracker, event);
    channel->high = code < 0 ? ids.first - 1 : channel->high; /* it comes again, or is missed */
    return code;
}

/* ---- ids that only can be compared ---- */

static int recent_of(struct channel *channel, struct recent **ret_recent)
{
    if (channel->recent == NULL) {
        channel->recent = sl_calloc(1, sizeof *channel->recent);
        if (channel->recent == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for recent trades");
        }
    }
    *ret_recent = channel->recent;
    return 0;
}

/* Nobody was there from an earlier life's last event to the first one here. */
static int tell_restart(sl_tracker *tracker, struct recent *recent, const sl_market_event *like, int64_t before)
{
    sl_gap gap = {.reason = SL_GAP_RESTARTED, .from_id = before, .to_id = recent->first_id};
    SL_TRY(give_gap(tracker, like, &gap));
    recent->resumed = false;
    return 0;
}

static int see_recent(sl_tracker *tracker, struct channel *channel, const sl_market_event *event)
{
    struct recent *recent = NULL;
    SL_TRY(recent_of(channel, &recent));
    if (!recent->begun) {
        recent->first_id = event->kind == SL_EVENT_TRADE ? event->as.trade.id : 0;
        if (recent->resumed) {
            SL_TRY(tell_restart(tracker, recent, event, recent->before));
        }
    }
    uint64_t hash = sl__tracker_identity(event);
    for (uint32_t at = 0; at < recent->count; at++) {
        if (recent->hashes[at] == hash) {
            tracker->stats.repeated++;
            return 0;
        }
    }
    SL_TRY(give(tracker, event));
    recent->hashes[recent->at] = hash;
    recent->at = (recent->at + 1) % SL_TRACKER_RECENT;
    recent->count += recent->count < SL_TRACKER_RECENT;
    sl__tracker_mark(&recent->marks, event, channel->pulse.last);
    recent->begun = true;
    return 1;
}

/* ---- state: only what is newer ---- */

static int see_state(sl_tracker *tracker, struct channel *channel, const sl_market_event *event)
{
    struct sl__tracker_last news;
    if (!sl__tracker_is_news(&channel->last, event, &news)) {
        tracker->stats.repeated++;
        return 0;
    }
    SL_TRY(give(tracker, event));
    channel->last = news;
    return 1;
}

void sl_tracker_prefetch(const sl_tracker *tracker, const sl_instrument *instrument, sl_feed feed)
{
    __builtin_prefetch(look(tracker, instrument, feed), 1, 3); /* of nothing, too */
}

int sl_tracker_event(sl_tracker *tracker, const sl_market_event *event, sl_time now)
{
    struct channel *channel = NULL;
    unsigned place = event->feed;
    if (event->kind == SL_EVENT_CANDLE) {
        int64_t *length = &tracker->lengths[place_of(tracker, event->as.candle.interval_ns)];
        place = table_of(tracker, SL_FEED_CANDLES, event->as.candle.interval_ns);
        *length = *length == 0 ? event->as.candle.interval_ns : *length;
    }
    SL_TRY(channel_of(tracker, event->instrument, place, &channel));
    beat(channel, now);
    switch (event->kind) {
    case SL_EVENT_TRADE:
        return tracker->options.consecutive_trades ? see_consecutive(tracker, channel, event, now)
                                                   : see_recent(tracker, channel, event);
    case SL_EVENT_LIQUIDATION:
        return see_recent(tracker, channel, event);
    case SL_EVENT_BEST:
    case SL_EVENT_TICKER:
    case SL_EVENT_CANDLE:
    case SL_EVENT_FUNDING:
    case SL_EVENT_OPEN_INTEREST:
    case SL_EVENT_STATUS:
        return see_state(tracker, channel, event);
    default:
        return sl_fail(SL_EINVAL, "a tracker takes no %s", sl_event_kind_name(event->kind));
    }
}

/* ---- losses ---- */

static bool is_trades(sl_feed feed)
{
    return feed == SL_FEED_TRADES || feed == SL_FEED_AGG_TRADES;
}

static int give_disconnected(sl_tracker *tracker, const sl_instrument *instrument, sl_feed feed,
                             const struct sl__tracker_mark *from, int64_t wall_ns)
{
    sl_market_event like = {.feed = feed, .instrument = instrument, .receive_time_ns = wall_ns};
    return give_gap_after(tracker, &like, &(sl_gap){.reason = SL_GAP_DISCONNECTED, .from_id = from->id},
                          from->venue_time_ns);
}

int sl_tracker_lost(sl_tracker *tracker, const sl_instrument *instrument, sl_feed feed, sl_time since, int64_t wall_ns)
{
    const struct channel *channel = look(tracker, instrument, feed);
    if (channel == NULL || (is_trades(feed) && tracker->options.consecutive_trades) ||
        (!is_trades(feed) && feed != SL_FEED_LIQUIDATIONS)) {
        return 0;
    }
    const struct recent *recent = channel->recent;
    if (channel->pulse.events == 0 && (recent == NULL || !recent->continued)) {
        return 0;
    }
    struct sl__tracker_mark from = {.id = recent == NULL ? 0 : recent->before};
    from = recent != NULL && recent->begun ? sl__tracker_mark_at(&recent->marks, since) : from;
    return give_disconnected(tracker, instrument, feed, &from, wall_ns);
}

int sl_tracker_last_trade(sl_tracker *tracker, const sl_instrument *instrument, int64_t id, sl_time now,
                          int64_t wall_ns)
{
    struct channel *channel = NULL;
    SL_TRY(channel_of(tracker, instrument, SL_FEED_TRADES, &channel));
    if (channel->high == 0 || id <= channel->high || id == INT64_MAX || !tracker->options.consecutive_trades) {
        return 0;
    }
    struct hole hole = {.from = channel->high + 1,
                        .to = id,
                        .until = sl_time_add(now, tracker->options.patience),
                        .wall_ns = wall_ns,
                        .reason = SL_GAP_SEQUENCE};
    return skip_to(tracker, channel, &hole, instrument, SL_FEED_TRADES);
}

/* Ids are known from the first one here on: what is missing before it is told at once. */
static int resume_consecutive(sl_tracker *tracker, struct channel *channel, const sl_market_event *like, int64_t id)
{
    SL_TRY(need_window(channel));
    if (id <= 0 && channel->high == 0) {
        channel->window->unknown = true;
        return 0;
    }
    if (channel->high == 0) {
        advance(channel, id, id);
        channel->window->resumed = true;
        return 0;
    }
    const struct window *window = channel->window;
    if (id + 1 >= window->first) {
        return 0;
    }
    sl_gap gap = {.reason = SL_GAP_RESTARTED, .from_id = id, .to_id = window->first};
    SL_TRY(give_gap(tracker, like, &gap));
    tracker->stats.missing += id == 0 ? 0 : (uint64_t)(window->first - id - 1);
    return 0;
}

int sl_tracker_resume(sl_tracker *tracker, const sl_instrument *instrument, sl_feed feed, int64_t id, bool seamless,
                      int64_t wall_ns)
{
    sl_market_event like = {.feed = feed, .instrument = instrument, .receive_time_ns = wall_ns};
    struct channel *channel = NULL;
    struct recent *recent = NULL;
    if (!is_trades(feed) && feed != SL_FEED_LIQUIDATIONS) {
        return 0;
    }
    SL_TRY(channel_of(tracker, instrument, feed, &channel));
    if (is_trades(feed) && tracker->options.consecutive_trades) {
        if (seamless && id <= 0) { /* there is nothing to compare with */
            return 0;
        }
        return resume_consecutive(tracker, channel, &like, id < 0 || id == INT64_MAX ? 0 : id);
    }
    SL_TRY(recent_of(channel, &recent));
    if (recent->begun) {
        return seamless ? 0 : tell_restart(tracker, recent, &like, id);
    }
    recent->continued = seamless;
    recent->resumed = !seamless;
    recent->before = id;
    return 0;
}

bool sl_tracker_position(const sl_tracker *tracker, const sl_instrument *instrument, sl_feed feed, int64_t *ret_id)
{
    const struct channel *channel = look(tracker, instrument, feed);
    if (channel != NULL && channel->window != NULL && channel->high != 0) {
        const struct window *window = channel->window;
        *ret_id = window->hole_count > 0 ? window->holes[0].from - 1 : channel->high;
        return true;
    }
    if (channel != NULL && channel->window != NULL && channel->window->unknown) {
        *ret_id = 0;
        return true;
    }
    const struct recent *recent = channel == NULL ? NULL : channel->recent;
    if (recent != NULL && (recent->begun || recent->resumed || recent->continued)) {
        *ret_id = recent->begun ? recent->marks.last.id : recent->before;
        return true;
    }
    return false;
}

/* The holes of one feed whose time has come. */
static int expire_holes(sl_tracker *tracker, const struct channel *channel, const sl_instrument *instrument,
                        sl_feed feed, sl_time now, sl_time *ret_when)
{
    struct window *window = channel->window;
    while (window->hole_count > 0 && window->holes[0].until <= now) {
        SL_TRY(tell_hole(tracker, channel, &window->holes[0], instrument, feed));
        window->hole_count--;
        memmove(window->holes, window->holes + 1, window->hole_count * sizeof *window->holes);
    }
    if (window->hole_count > 0 && window->holes[0].until < *ret_when) {
        *ret_when = window->holes[0].until;
    }
    return 0;
}

int sl_tracker_expire(sl_tracker *tracker, sl_time now, sl_time *ret_when)
{
    *ret_when = SL_NEVER;
    for (size_t at = tracker->hole_count; at-- > 0;) {
        const sl_instrument *instrument = tracker->with_holes[at];
        size_t left = 0;
        for (int feed = SL_FEED_TRADES; feed <= SL_FEED_AGG_TRADES; feed++) {
            const struct channel *channel = look(tracker, instrument, (sl_feed)feed);
            if (channel != NULL && channel->window != NULL) {
                SL_TRY(expire_holes(tracker, channel, instrument, (sl_feed)feed, now, ret_when));
                left += channel->window->hole_count;
            }
        }
        if (left == 0) {
            tracker->with_holes[at] = tracker->with_holes[--tracker->hole_count];
        }
    }
    return 0;
}

int sl_tracker_left(sl_tracker *tracker, const sl_instrument *instrument, sl_feed feed, bool elsewhere, int64_t wall_ns)
{
    int64_t id = 0;
    const struct channel *channel = look(tracker, instrument, feed);
    if (channel != NULL && channel->window != NULL && channel->window->unknown) {
        sl_market_event like = {.feed = feed, .instrument = instrument, .receive_time_ns = wall_ns};
        SL_TRY(give_gap(tracker, &like, &(sl_gap){.reason = SL_GAP_RESTARTED}));
        channel->window->unknown = false; /* not before it was taken */
        return 0;
    }
    if (channel == NULL || !sl_tracker_position(tracker, instrument, feed, &id)) {
        return 0;
    }
    if (channel->recent != NULL && channel->recent->resumed) {
        sl_market_event like = {.feed = feed, .instrument = instrument, .receive_time_ns = wall_ns};
        return tell_restart(tracker, channel->recent, &like, channel->recent->before);
    }
    if (elsewhere) {
        return 0;
    }
    if (channel->window != NULL) {
        sl_time when = SL_NEVER;
        SL_TRY(expire_holes(tracker, channel, instrument, feed, SL_NEVER - 1, &when));
        id = channel->high;
    }
    const struct recent *recent = channel->recent;
    struct sl__tracker_mark from = {
        .id = id, .venue_time_ns = recent != NULL && recent->begun ? recent->marks.last.venue_time_ns : 0};
    return give_disconnected(tracker, instrument, feed, &from, wall_ns);
}

void sl_tracker_forget(sl_tracker *tracker, const sl_instrument *instrument, sl_feed feed, int64_t interval_ns)
{
    struct channel *channel = look(tracker, instrument, table_of(tracker, feed, interval_ns));
    if (channel != NULL) {
        sl_free(channel->window);
        sl_free(channel->recent);
        *channel = (struct channel){0};
    }
}

sl_tracker_pulse sl_tracker_get_pulse(const sl_tracker *tracker, const sl_instrument *instrument, sl_feed feed,
                                      int64_t interval_ns)
{
    const struct channel *channel = look(tracker, instrument, table_of(tracker, feed, interval_ns));
    return channel == NULL ? (sl_tracker_pulse){0} : channel->pulse;
}

int64_t sl_tracker_last_id(const sl_tracker *tracker, const sl_instrument *instrument, sl_feed feed)
{
    const struct channel *channel = look(tracker, instrument, feed);
    const struct recent *recent = channel == NULL ? NULL : channel->recent;
    return channel != NULL && channel->window != NULL ? channel->high : recent != NULL ? recent->marks.last.id : 0;
}

const sl_tracker_stats *sl_tracker_get_stats(const sl_tracker *tracker)
{
    return &tracker->stats;
}
