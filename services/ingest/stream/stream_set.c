/* SPDX-License-Identifier: MIT */
/* Which subscriptions a stream has, on which of its connections: added, left, made anew; and how far they are. See stream.h. */
#include <string.h>

#include "ingest/stream/stream_internal.h"
#include "sluice/runtime.h"

/* ---- slots ---- */

unsigned sl__stream_slot(const sl_stream_service *stream, sl_feed feed, int64_t interval_ns)
{
    if (feed != SL_FEED_CANDLES) {
        return feed;
    }
    for (unsigned at = 0; at < stream->length_count; at++) {
        if (stream->lengths[at] == interval_ns) {
            return at == 0 ? SL_FEED_CANDLES : SL_FEED_COUNT + at - 1;
        }
    }
    return SL_STREAM_SLOTS;
}

sl_subscription sl__stream_slot_what(const sl_stream_service *stream, const sl_instrument *instrument, unsigned slot)
{
    bool more = slot >= SL_FEED_COUNT;
    sl_subscription what = {.feed = more ? SL_FEED_CANDLES : (sl_feed)slot, .instrument = instrument};
    what.interval_ns = what.feed == SL_FEED_CANDLES ? stream->lengths[more ? slot - SL_FEED_COUNT + 1 : 0] : 0;
    return what;
}

unsigned sl__stream_place_of(const sl_stream_service *stream, const sl_instrument *instrument, unsigned slot)
{
    if (instrument->index >= stream->place_count || slot >= sl__stream_slots(stream)) {
        return 0;
    }
    return slot < SL_FEED_COUNT ? stream->places[instrument->index].shard[slot]
                                : stream->more[instrument->index].shard[slot - SL_FEED_COUNT];
}

static void set_place(sl_stream_service *stream, const sl_subscription *what, size_t number)
{
    unsigned slot = sl__stream_slot(stream, what->feed, what->interval_ns);
    uint32_t index = what->instrument->index;
    *(slot < SL_FEED_COUNT ? &stream->places[index].shard[slot] : &stream->more[index].shard[slot - SL_FEED_COUNT]) =
        (uint16_t)number;
}

static unsigned place_of(const sl_stream_service *stream, const sl_subscription *what)
{
    return sl__stream_place_of(stream, what->instrument, sl__stream_slot(stream, what->feed, what->interval_ns));
}

/* A length of candles that nobody has wanted before gets a slot. */
static int learn_length(sl_stream_service *stream, const sl_subscription *what)
{
    if (sl__stream_slot(stream, what->feed, what->interval_ns) != SL_STREAM_SLOTS) {
        return 0;
    }
    if (stream->length_count == SL_STREAM_LENGTHS) {
        return sl_fail(SL_EMSGSIZE, "%s: candles of more than %d lengths", stream->options.name, SL_STREAM_LENGTHS);
    }
    if (stream->length_count == 1 && stream->more == NULL) {
        stream->more = sl_calloc(stream->place_count + 1, sizeof *stream->more);
        if (stream->more == NULL) {
            return sl_fail(SL_ENOMEM, "out of memory for %zu instruments", stream->place_count);
        }
    }
    stream->lengths[stream->length_count++] = what->interval_ns;
    return 0;
}

/* ---- shards ---- */

static uint32_t shard_limit(const sl_stream_service *stream)
{
    uint32_t venue = stream->options.driver->limits.per_connection;
    uint32_t ours = stream->options.per_connection;
    uint32_t limit = venue == 0 ? ours : ours == 0 || venue < ours ? venue : ours;
    return limit == 0 ? SL_SUBSCRIPTIONS_MAX : limit;
}

/* The size of the message that subscribes to it so many times. */
static size_t message_bytes(sl_stream_service *stream, const sl_subscription *what, int times)
{
    const sl_subscription both[] = {*what, *what};
    size_t size_bytes = 0;
    int count = stream->options.driver->subscribe(both, (size_t)times, false, 1, stream->scratch,
                                                  sizeof stream->scratch, &size_bytes);
    return count == times ? size_bytes : sizeof stream->scratch;
}

/* What a subscription's name takes on a connection, where the venue counts that: what a message grows by. */
static size_t name_bytes(sl_stream_service *stream, const sl_subscription *what)
{
    if (stream->options.driver->limits.connection_bytes == 0) {
        return 0;
    }
    size_t once = message_bytes(stream, what, 1), twice = message_bytes(stream, what, 2);
    return twice > once && twice < sizeof stream->scratch ? twice - once : once; /* some write a repeat once */
}

/* Whether what is there of the same instrument lets it onto the connection. */
static bool fits_its_own(const sl_stream_service *stream, const struct shard *shard, const sl_subscription *what)
{
    for (unsigned slot = 1; slot < sl__stream_slots(stream); slot++) {
        unsigned number = sl__stream_place_of(stream, what->instrument, slot);
        sl_subscription other = sl__stream_slot_what(stream, what->instrument, slot);
        if (number != 0 && stream->shards[number - 1] == shard && !stream->options.driver->together(&other, what)) {
            return false;
        }
    }
    return true;
}

/* One that has lost all its subscriptions only waits for its connections to end. */
static bool fits(const sl_stream_service *stream, const struct shard *shard, const sl_subscription *what, size_t bytes)
{
    const sl_venue_driver *driver = stream->options.driver;
    if (shard->legs == NULL || shard->count == 0 || shard->count >= shard_limit(stream) ||
        (driver->limits.connection_bytes > 0 && shard->bytes + bytes > driver->limits.connection_bytes)) {
        return false;
    }
    return driver->together == NULL || (driver->together(&shard->like, what) && fits_its_own(stream, shard, what));
}

static int new_shard(sl_stream_service *stream, const sl_subscription *like, size_t *ret_number)
{
    size_t place = 0; /* one that has lost all its subscriptions is used again */
    while (place < stream->shard_count && stream->shards[place]->legs != NULL) {
        place++;
    }
    if (place == SL_STREAM_CONNECTIONS_MAX) {
        return sl_fail(SL_EMSGSIZE, "%s: more than %d connections", stream->options.name, SL_STREAM_CONNECTIONS_MAX);
    }
    bool new = place == stream->shard_count;
    struct shard *shard = new ? sl_calloc(1, sizeof *shard) : stream->shards[place];
    if (shard == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a connection");
    }
    *shard = (struct shard){.stream = stream, .like = *like};
    for (unsigned i = 0; i < stream->options.redundancy; i++) {
        struct leg *leg = NULL;
        int code = sl__stream_new_leg(shard, &leg);
        if (code < 0) {
            while (shard->legs != NULL) {
                sl__stream_release_leg(shard->legs);
            }
            if (new) {
                sl_free(shard);
            }
            return code;
        }
    }
    stream->shards[place] = shard;
    stream->shard_count += new;
    sl_event_set(&stream->changed);
    *ret_number = place + 1;
    return 0;
}

/* Room for an instrument in the index of shards. */
static int reserve_place(sl_stream_service *stream, const sl_instrument *instrument)
{
    if (instrument->index < stream->place_count) {
        return 0;
    }
    size_t count = stream->place_count == 0 ? 64 : stream->place_count;
    while (count <= instrument->index) {
        count *= 2;
    }
    struct places *places = sl_realloc(stream->places, count * sizeof *places);
    stream->places = places == NULL ? stream->places : places;
    struct more_places *more = stream->more == NULL ? NULL : sl_realloc(stream->more, count * sizeof *more);
    stream->more = more == NULL ? stream->more : more;
    if (places == NULL || (more == NULL && stream->more != NULL)) {
        return sl_fail(SL_ENOMEM, "out of memory for %zu instruments", count);
    }
    memset(places + stream->place_count, 0, (count - stream->place_count) * sizeof *places);
    if (more != NULL) {
        memset(more + stream->place_count, 0, (count - stream->place_count) * sizeof *more);
    }
    stream->place_count = count;
    return 0;
}

static int find_room(sl_stream_service *stream, const sl_subscription *what, size_t bytes, size_t *ret_number)
{
    for (size_t at = stream->shard_count; at-- > 0;) { /* the newest has room, usually */
        if (fits(stream, stream->shards[at], what, bytes)) {
            *ret_number = at + 1;
            return 0;
        }
    }
    return new_shard(stream, what, ret_number);
}

/* Connections that carry nothing any more end. */
static void retire_empty(struct shard *shard)
{
    for (struct leg *leg = shard->legs, *next = NULL; leg != NULL && shard->count == 0; leg = next) {
        next = leg->next;
        sl__stream_retire(leg);
    }
}

int sl_stream_add(sl_stream_service *stream, const sl_subscription *what)
{
    const struct sl_stream_options *options = &stream->options;
    if ((options->driver->feeds & SL_FEED_BIT(what->feed)) == 0 ||
        (what->feed == SL_FEED_DEPTH && stream->books == NULL)) {
        return sl_fail(SL_EINVAL, "%s: %s has no stream of %s", options->name, options->driver->title,
                       sl_feed_name(what->feed));
    }
    SL_TRY(reserve_place(stream, what->instrument));
    SL_TRY(learn_length(stream, what));
    if (place_of(stream, what) != 0) {
        return 0;
    }
    size_t bytes = name_bytes(stream, what);
    size_t number = 0;
    SL_TRY(find_room(stream, what, bytes, &number));
    struct shard *shard = stream->shards[number - 1];
    for (struct leg *leg = shard->legs; leg != NULL; leg = leg->next) {
        int code = sl_connection_add(leg->connection, what);
        if (code < 0) {
            for (struct leg *undo = shard->legs; undo != leg; undo = undo->next) {
                sl_connection_remove(undo->connection, what);
            }
            retire_empty(shard);
            return code;
        }
    }
    shard->count++;
    shard->bytes += bytes;
    stream->subscriptions++;
    set_place(stream, what, number);
    return 1;
}

/* ---- the whole set ---- */

static int tell_left(sl_stream_service *stream, const sl_subscription *what, bool elsewhere)
{
    if (what->feed != SL_FEED_DEPTH || stream->books == NULL) {
        return sl_tracker_left(stream->tracker, what->instrument, what->feed, elsewhere, sl_now_wall());
    }
    return elsewhere ? sl_books_left(stream->books, what->instrument, sl_now_wall())
                     : sl_books_lost(stream->books, what->instrument, 0, true, sl_now());
}

static int tell_delisted(sl_stream_service *stream, const sl_subscription *what)
{
    sl_market_event event = {.kind = SL_EVENT_STATUS,
                             .feed = SL_FEED_STATUS,
                             .instrument = what->instrument,
                             .receive_time_ns = sl_now_wall()};
    event.as.status = what->instrument->status;
    return stream->options.event(stream->options.arg, &event);
}

/* With the mutex held: nothing of it is given out any more. */
static int close_feed(sl_stream_service *stream, const sl_subscription *what, bool elsewhere)
{
    SL_TRY(tell_left(stream, what, elsewhere));
    if (!elsewhere && what->instrument->status == SL_STATUS_DELISTED) {
        SL_TRY(tell_delisted(stream, what));
    }
    if (what->feed == SL_FEED_DEPTH && stream->books != NULL) {
        sl_books_remove(stream->books, what->instrument);
    }
    sl_tracker_forget(stream->tracker, what->instrument, what->feed, what->interval_ns);
    return 0;
}

/* The venue is told, or the connection ends when it has nothing else. */
static void unsubscribe(sl_stream_service *stream, struct shard *shard, const sl_subscription *what)
{
    size_t bytes = name_bytes(stream, what);
    shard->bytes -= bytes < shard->bytes ? bytes : shard->bytes;
    shard->count--;
    stream->subscriptions--;
    for (struct leg *leg = shard->legs; leg != NULL; leg = leg->next) {
        sl_connection_remove(leg->connection, what);
    }
    retire_empty(shard);
}

static int leave(sl_stream_service *stream, const sl_subscription *what, bool elsewhere)
{
    SL_TRY(sl__stream_lock(stream));
    unsigned number = place_of(stream, what);
    int code = number == 0 ? 0 : close_feed(stream, what, elsewhere);
    if (number != 0 && code == 0) {
        set_place(stream, what, 0);
        unsubscribe(stream, stream->shards[number - 1], what);
    }
    (void)sl_mutex_unlock(&stream->mutex);
    return code;
}

/* What is to be left: those subscribed that are not in the set, or otherwise than there. */
struct leaving {
    uint32_t *in_set; /* by place and slot: where it is in the set, from 1 */
    sl_subscription *all;
    size_t count;
};

static uint32_t *set_place_of(const sl_stream_service *stream, const struct leaving *leaving,
                              const sl_subscription *what)
{
    return &leaving->in_set[(size_t)what->instrument->index * SL_STREAM_SLOTS +
                            sl__stream_slot(stream, what->feed, what->interval_ns)];
}

static bool is_kept(const sl_stream_service *stream, const struct leaving *leaving,
                    const struct sl_stream_wanted *wanted, const sl_subscription *what)
{
    uint32_t at = *set_place_of(stream, leaving, what);
    return at != 0 && wanted->all[at - 1].depth == what->depth && wanted->all[at - 1].interval_ns == what->interval_ns;
}

/* All connections of a shard have the same subscriptions: one tells. */
static void collect_leaving(const sl_stream_service *stream, const struct sl_stream_wanted *wanted,
                            struct leaving *leaving)
{
    for (size_t number = 1; number <= stream->shard_count; number++) {
        const struct leg *leg = stream->shards[number - 1]->legs;
        const sl_subscriptions *all = leg == NULL ? NULL : sl_connection_subscriptions(leg->connection);
        for (size_t at = 0; all != NULL && at < sl_subscriptions_count(all); at++) {
            const sl_subscription *what = sl_subscriptions_at(all, at, NULL);
            bool ours = place_of(stream, what) == number && !sl_subscriptions_leaves(all, at);
            if (ours && !is_kept(stream, leaving, wanted, what) && leaving->count < stream->subscriptions) {
                leaving->all[leaving->count++] = *what;
            }
        }
    }
}

static int index_set(sl_stream_service *stream, const struct sl_stream_wanted *wanted, struct leaving *leaving)
{
    for (size_t at = 0; at < wanted->count; at++) {
        SL_TRY(reserve_place(stream, wanted->all[at].instrument));
        SL_TRY(learn_length(stream, &wanted->all[at]));
    }
    leaving->in_set = sl_calloc(stream->place_count * SL_STREAM_SLOTS + 1, sizeof *leaving->in_set);
    leaving->all = sl_calloc(stream->subscriptions + 1, sizeof *leaving->all);
    if (leaving->in_set == NULL || leaving->all == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for a set of %zu subscriptions", wanted->count);
    }
    for (size_t at = 0; at < wanted->count; at++) {
        *set_place_of(stream, leaving, &wanted->all[at]) = (uint32_t)at + 1;
    }
    return 0;
}

int sl_stream_set(sl_stream_service *stream, const struct sl_stream_wanted *wanted, struct sl_stream_change *ret_change)
{
    struct leaving leaving = {0};
    struct sl_stream_change change = {0};
    int code = index_set(stream, wanted, &leaving);
    if (code == 0) {
        collect_leaving(stream, wanted, &leaving);
    }
    for (size_t at = 0; at < leaving.count && code == 0; at++) { /* first: they make room */
        const sl_subscription *what = &leaving.all[at];
        bool elsewhere = wanted->elsewhere != NULL && wanted->elsewhere(wanted->arg, what->instrument);
        code = leave(stream, what, elsewhere);
        change.left += code == 0;
    }
    for (size_t at = 0; at < wanted->count && code >= 0; at++) {
        code = sl_stream_add(stream, &wanted->all[at]);
        change.added += code > 0;
    }
    sl_free(leaving.in_set);
    sl_free(leaving.all);
    if (ret_change != NULL) {
        *ret_change = change;
    }
    return code < 0 ? code : 0;
}

/* ---- how far it is ---- */

bool sl_stream_follows(const sl_stream_service *stream, const sl_instrument *instrument)
{
    unsigned any = 0;
    for (unsigned slot = 1; slot < sl__stream_slots(stream); slot++) {
        any |= sl__stream_place_of(stream, instrument, slot);
    }
    return any != 0;
}

static bool is_pending(const sl_stream_service *stream, const struct leg *leg, const sl_subscription *what,
                       sl_subscription_state state)
{
    if (state == SL_SUBSCRIPTION_REFUSED) {
        return false;
    }
    if (state != SL_SUBSCRIPTION_ACTIVE || !sl__stream_open_now(leg)) {
        return true;
    }
    bool stale = false;
    return what->feed == SL_FEED_DEPTH && stream->books != NULL &&
           (sl_books_find(stream->books, what->instrument, &stale) == NULL || stale);
}

void sl_stream_each_pending(const sl_stream_service *stream, void (*look)(void *arg, const sl_subscription *what),
                            void *arg)
{
    for (size_t number = 1; number <= stream->shard_count; number++) {
        for (const struct leg *leg = stream->shards[number - 1]->legs; leg != NULL; leg = leg->next) {
            const sl_subscriptions *all = sl_connection_subscriptions(leg->connection);
            for (size_t at = 0; !leg->retired && at < sl_subscriptions_count(all); at++) {
                sl_subscription_state state = SL_SUBSCRIPTION_NONE;
                const sl_subscription *what = sl_subscriptions_at(all, at, &state);
                if (place_of(stream, what) == number && !sl_subscriptions_leaves(all, at) &&
                    is_pending(stream, leg, what, state)) {
                    look(arg, what);
                }
            }
        }
    }
}

sl_time sl_stream_carried_since(const sl_stream_service *stream, const sl_subscription *what, sl_time after)
{
    unsigned number = place_of(stream, what);
    sl_time first = SL_NEVER;
    for (const struct leg *leg = number == 0 ? NULL : stream->shards[number - 1]->legs; leg != NULL; leg = leg->next) {
        sl_time since = sl__stream_carries_since(leg, what);
        first = since >= after && since < first ? since : first;
    }
    return first;
}

/* Those that can lose something. */
static const sl_feed positioned[] = {SL_FEED_TRADES, SL_FEED_AGG_TRADES, SL_FEED_DEPTH, SL_FEED_LIQUIDATIONS};

/* Who wants to know how far the feeds are. */
struct looking {
    void (*look)(void *arg, const sl_instrument *instrument, sl_feed feed, int64_t id);
    void *arg;
};

static int look_at_positions(sl_stream_service *stream, void *arg)
{
    const struct looking *looking = arg;
    for (size_t index = 0; index < stream->place_count; index++) {
        for (size_t at = 0; at < sizeof positioned / sizeof *positioned; at++) {
            sl_feed feed = positioned[at];
            if (stream->places[index].shard[feed] == 0) {
                continue;
            }
            const sl_instrument *instrument = sl_instruments_at(stream->options.instruments, index);
            int64_t id = 0;
            bool begun = feed == SL_FEED_DEPTH && stream->books != NULL
                             ? sl_books_position(stream->books, instrument, &id)
                             : sl_tracker_position(stream->tracker, instrument, feed, &id);
            if (begun) {
                looking->look(looking->arg, instrument, feed, id);
            }
        }
    }
    return 0;
}

int sl_stream_positions(sl_stream_service *stream,
                        void (*look)(void *arg, const sl_instrument *instrument, sl_feed feed, int64_t id), void *arg)
{
    struct looking looking = {look, arg};
    return sl__stream_visit(stream, look_at_positions, &looking);
}

int sl_stream_resume(sl_stream_service *stream, const sl_instrument *instrument, sl_feed feed, int64_t id,
                     bool seamless)
{
    SL_TRY(sl__stream_lock(stream));
    int code = feed == SL_FEED_DEPTH && stream->books != NULL
                   ? sl_books_resume(stream->books, instrument, id, seamless, sl_now_wall())
                   : sl_tracker_resume(stream->tracker, instrument, feed, id, seamless, sl_now_wall());
    (void)sl_mutex_unlock(&stream->mutex);
    return code;
}

/* ---- anew ---- */

static int resync_book(sl_stream_service *stream, void *instrument)
{
    return sl_books_resync(stream->books, instrument);
}

int sl_stream_resync(sl_stream_service *stream, sl_feed feed, const sl_instrument *instrument)
{
    if (feed != SL_FEED_DEPTH || stream->books == NULL) {
        return sl__stream_renew(stream, feed, instrument, 0);
    }
    return sl__stream_visit(stream, resync_book, (void *)instrument);
}

static bool renew_on(const struct shard *shard, sl_feed feed, const sl_instrument *instrument, uint32_t connection)
{
    bool found = false;
    for (struct leg *leg = shard->legs; leg != NULL; leg = leg->next) {
        if (connection == 0 || connection == sl_connection_number(leg->connection)) {
            found = sl_connection_renew(leg->connection, feed, instrument) > 0 || found;
        }
    }
    return found;
}

bool sl__stream_renew(sl_stream_service *stream, sl_feed feed, const sl_instrument *instrument, uint32_t connection)
{
    bool found = false;
    for (unsigned slot = 1; slot < sl__stream_slots(stream); slot++) { /* candles may have several */
        unsigned number = sl__stream_place_of(stream, instrument, slot);
        if (number != 0 && sl__stream_slot_what(stream, instrument, slot).feed == feed) {
            found = renew_on(stream->shards[number - 1], feed, instrument, connection) || found;
        }
    }
    return found;
}
