/* SPDX-License-Identifier: MIT */
/* The keeper of one book. See keeper.h; the venues' rules are in sequence.h. */
#include "keeper.h"

#include <string.h>

#include "kept.h"

/*
 * A connection never goes back by itself: after so many old messages in a row the venue has begun to count anew, and
 * all that follows would be ignored for ever. One that is repeated is nothing.
 */
#define OLD_RUN_MAX 10

/* Memory is fetched by lines of so many bytes. */
#define LINE_BYTES 64

/* Behind a snapshot that was asked for, messages that are older than it are usual: as many as may have waited. */
#define OLD_RUN_ASKED_MAX 10000

/*
 * Another connection that stands by to take over, for venues whose ids do not tell that one is missing. Without ids
 * it has a book of its own; by time it is known how far it has come.
 */
struct standby {
    bool known; /* a connection besides the one that is served has said something */
    bool whole;
    uint32_t connection;
    sl_book *book;
    int64_t last_id;
};

/* Connections of which it is known that they have come to where the venue's numbers began anew, at most. */
#define TURNED_MAX 4

struct sl_keeper {
    sl_keeper_options options;
    sl_keeper_state state;
    sl_book *book;
    int64_t last_id;
    bool proved;         /* a change has followed the snapshot */
    uint32_t connection; /* that the book's last message came by */
    bool served;         /* there is one */
    uint32_t old_run;    /* messages one after the other by this connection that told nothing new */
    bool renew;          /* the stream has to begin anew: nothing else would heal the book */
    /* The venue's numbers have begun anew: who has not come there yet tells of what is past, with higher ids. */
    bool turn;
    uint32_t turned[TURNED_MAX];
    size_t turned_count;
    struct standby standby;
    struct sl__kept kept;
    sl_time hole_until;      /* when the hole before what is kept is a gap; SL_NEVER: there is none */
    sl_gap gap;              /* the last one; open while it has a reason and is not healed */
    bool gap_told;           /* that it was seen */
    int64_t receive_time_ns; /* of the last message */
    sl_keeper_stats stats;
};

enum verdict { FOLLOWS, OLD, HOLE };

static bool has_ids(const sl_keeper *keeper)
{
    return keeper->options.rule != SL_BOOK_RULE_CHECKSUM && keeper->options.rule != SL_BOOK_RULE_TRUSTED;
}

/* Whether snapshots are asked for by REST; else the stream begins with one. */
static bool by_rest(const sl_keeper *keeper)
{
    sl_book_rule rule = keeper->options.rule;
    return rule == SL_BOOK_RULE_BINANCE_SPOT || rule == SL_BOOK_RULE_BINANCE_FUTURES || rule == SL_BOOK_RULE_TIMED;
}

static bool gap_is_open(const sl_keeper *keeper)
{
    return keeper->gap.reason != SL_GAP_NONE && !keeper->gap.healed;
}

/* ---- numbers that begin anew ---- */

static bool may_turn(const sl_keeper *keeper)
{
    return keeper->options.rule == SL_BOOK_RULE_LINKED || keeper->options.rule == SL_BOOK_RULE_CONSECUTIVE;
}

static bool has_turned(const sl_keeper *keeper, uint32_t connection)
{
    for (size_t at = 0; at < keeper->turned_count; at++) {
        if (keeper->turned[at] == connection) {
            return true;
        }
    }
    return !keeper->turn;
}

static void note_turned(sl_keeper *keeper, uint32_t connection)
{
    if (!has_turned(keeper, connection) && keeper->turned_count < TURNED_MAX) {
        keeper->turned[keeper->turned_count++] = connection;
    }
}

/* The id that the book has from now on, by a message of the stream. */
static void set_last_id(sl_keeper *keeper, int64_t last_id, uint32_t connection)
{
    if (may_turn(keeper) && keeper->state != SL_KEEPER_EMPTY && last_id < keeper->last_id) {
        keeper->turn = true;
        keeper->turned_count = 0;
        keeper->turned[keeper->turned_count++] = connection;
    }
    keeper->last_id = last_id;
}

/* ---- giving out ---- */

static int give(const sl_keeper *keeper, const sl_market_event *event)
{
    return keeper->options.event(keeper->options.arg, event);
}

/* As it is seen, or (once it is healed at `healed_id`) healed. */
static int give_gap(const sl_keeper *keeper, bool healed, int64_t healed_id)
{
    sl_market_event event = {.kind = SL_EVENT_GAP,
                             .feed = SL_FEED_DEPTH,
                             .connection = keeper->connection,
                             .instrument = keeper->options.instrument,
                             .receive_time_ns = keeper->receive_time_ns};
    event.as.gap = keeper->gap;
    event.as.gap.healed = healed;
    event.as.gap.healed_id = healed ? healed_id : 0;
    return give(keeper, &event);
}

static void open_gap(sl_keeper *keeper, sl_gap_reason reason, int64_t to_id)
{
    keeper->state = SL_KEEPER_STALE;
    keeper->hole_until = SL_NEVER;
    keeper->stats.gaps++;
    keeper->gap =
        (sl_gap){.reason = reason, .from_id = keeper->last_id, .to_id = to_id, .seen_time_ns = keeper->receive_time_ns};
    keeper->gap_told = false;
}

/* That it was seen is told once; what nobody took is told when it is healed. */
static int tell_gap(sl_keeper *keeper)
{
    int code = keeper->gap_told ? 0 : give_gap(keeper, false, 0);
    keeper->gap_told = keeper->gap_told || code == 0;
    return code;
}

/*
 * The book is wrong, or not known, from now on. The first cause is the one that is told; where nobody took that, calling
 * this again tells it.
 */
static int begin_gap(sl_keeper *keeper, sl_gap_reason reason, int64_t to_id)
{
    if (keeper->state == SL_KEEPER_LIVE) {
        open_gap(keeper, reason, to_id);
    }
    return gap_is_open(keeper) ? tell_gap(keeper) : 0;
}

/*
 * A change or a snapshot is in the book, but nobody took it (whoever brought it is cancelled while a sink makes it wait):
 * who applies what was given out has the book as of `last_id`. It is joined anew, from there.
 */
static int not_given(sl_keeper *keeper, int64_t last_id, int code)
{
    keeper->last_id = last_id;
    keeper->renew = true;
    if (keeper->state == SL_KEEPER_LIVE) {
        open_gap(keeper, SL_GAP_DISCONNECTED, 0);
    }
    return code;
}

/* The book is whole as of its last id. */
static int heal(sl_keeper *keeper)
{
    if (gap_is_open(keeper)) {
        SL_TRY(tell_gap(keeper));
        SL_TRY(give_gap(keeper, true, keeper->last_id));
        keeper->gap.healed = true;
        keeper->gap.healed_id = keeper->last_id;
        keeper->stats.healed++;
    }
    keeper->state = SL_KEEPER_LIVE;
    keeper->renew = false;
    return 0;
}

/* ---- the rules ---- */

/* Whether the change follows `last_id`. `strict`: it comes by the connection of the one before. */
static enum verdict judge(sl_book_rule rule, int64_t last_id, const sl_book_delta *delta, bool strict)
{
    switch (rule) {
    case SL_BOOK_RULE_BINANCE_SPOT:
        if (last_id == -1) {
            return FOLLOWS;
        }
        return delta->last_id <= last_id ? OLD : delta->first_id <= last_id + 1 ? FOLLOWS : HOLE;
    case SL_BOOK_RULE_BINANCE_FUTURES:
        if (delta->previous_id == last_id) {
            return FOLLOWS;
        }
        if (delta->last_id <= last_id) {
            return OLD;
        }
        /* It tells of all changes after `previous_id`: by another connection, or after a snapshot, it may overlap. */
        return !strict && (delta->previous_id < last_id || delta->first_id <= last_id) ? FOLLOWS : HOLE;
    case SL_BOOK_RULE_CONSECUTIVE:
        return delta->last_id <= last_id ? OLD : delta->last_id == last_id + 1 ? FOLLOWS : HOLE;
    case SL_BOOK_RULE_LINKED:
        if (!delta->has_previous && delta->last_id == 0) {
            return FOLLOWS; /* recorded before the venue had ids: the checksum is the proof */
        }
        if (delta->previous_id == last_id) {
            /* Nothing new, the venue only says that it is there; after a maintenance ids may begin anew. */
            return delta->last_id == last_id ? OLD : FOLLOWS;
        }
        /* One with which the venue began anew, behind another one than ours, is not old for its low id. */
        return delta->last_id <= last_id && delta->last_id >= delta->previous_id ? OLD : HOLE;
    case SL_BOOK_RULE_TIMED:
        return delta->last_id <= last_id ? OLD : FOLLOWS;
    default:
        return FOLLOWS;
    }
}

static bool ids_are_fine(const sl_keeper *keeper, const sl_market_event *event)
{
    bool snapshot = event->kind == SL_EVENT_BOOK_SNAPSHOT;
    int64_t last_id = snapshot ? event->as.snapshot.last_id : event->as.delta.last_id;
    bool binance =
        keeper->options.rule == SL_BOOK_RULE_BINANCE_SPOT || keeper->options.rule == SL_BOOK_RULE_BINANCE_FUTURES;
    if (!has_ids(keeper)) {
        return true;
    }
    if (last_id < (snapshot ? -1 : 0) || last_id == INT64_MAX) {
        return false;
    }
    return snapshot || !binance || (event->as.delta.first_id >= 0 && event->as.delta.first_id <= last_id);
}

/* ---- the book ---- */

/* Whether the book has the checksum that a message says it must have; true where nothing is said. */
static bool checksum_fits(sl_keeper *keeper, const sl_book *book, const sl_book_checksum *checksum)
{
    if (!checksum->given || keeper->options.checksum == NULL) {
        return true;
    }
    keeper->stats.checksums++;
    bool fits = keeper->options.checksum(book) == checksum->value;
    keeper->stats.checksum_failures += !fits;
    return fits;
}

static int wrong(sl_keeper *keeper, sl_gap_reason reason);

/* Puts a change that follows into the book and looks whether it still is right. */
static int apply(sl_keeper *keeper, const sl_market_event *event)
{
    const sl_book_delta *delta = &event->as.delta;
    int64_t before = keeper->last_id;
    bool crossed = sl_book_crossed(keeper->book);
    int code = sl_book_apply(keeper->book, &delta->levels);
    if (code < 0) {
        keeper->renew = true;
        int told = begin_gap(keeper, SL_GAP_SEQUENCE, delta->first_id);
        return told < 0 ? told : code;
    }
    if (delta->depth > 0) {
        sl_book_cut(keeper->book, delta->depth);
    }
    set_last_id(keeper, delta->last_id, event->connection);
    keeper->connection = event->connection;
    keeper->served = true;
    keeper->proved = true;
    keeper->old_run = 0;
    keeper->stats.applied++;
    code = give(keeper, event);
    if (code < 0) {
        return not_given(keeper, before, code);
    }
    if (!checksum_fits(keeper, keeper->book, &delta->checksum)) {
        return wrong(keeper, SL_GAP_CHECKSUM);
    }
    /* A book that the venue itself sends crossed (in an auction) is not doubted again and again. */
    if (!crossed && sl_book_crossed(keeper->book)) {
        keeper->stats.crossed++;
        return wrong(keeper, SL_GAP_CROSSED);
    }
    return 0;
}

/* Applies what is kept and follows; a hole that is left is waited for. */
static int drain(sl_keeper *keeper, sl_time now)
{
    const sl_market_event *event = NULL;
    size_t before = keeper->kept.count;
    while (keeper->state == SL_KEEPER_LIVE && (event = sl__kept_first(&keeper->kept)) != NULL) {
        enum verdict verdict = judge(keeper->options.rule, keeper->last_id, &event->as.delta, false);
        if (verdict == HOLE) {
            break;
        }
        int code = verdict == FOLLOWS ? apply(keeper, event) : 0;
        keeper->stats.repeated += verdict == OLD;
        sl__kept_drop(&keeper->kept, 1);
        SL_TRY(code);
    }
    if (keeper->kept.count == 0 || keeper->state != SL_KEEPER_LIVE) {
        keeper->hole_until = SL_NEVER;
    } else if (keeper->kept.count != before || keeper->hole_until == SL_NEVER) {
        keeper->hole_until = sl_time_add(now, keeper->options.patience); /* another hole than before */
    }
    return 0;
}

/* Replaces the book by a snapshot and goes on with what is kept. `stream`: it came by a connection of the stream. */
static int join(sl_keeper *keeper, const sl_market_event *event, bool stream, sl_time now)
{
    const sl_book_snapshot *snapshot = &event->as.snapshot;
    int64_t before = keeper->last_id;
    int code = sl_book_set(keeper->book, &snapshot->levels);
    if (code < 0) {
        keeper->renew = true;
        int told = begin_gap(keeper, SL_GAP_SEQUENCE, snapshot->last_id);
        return told < 0 ? told : code;
    }
    if (snapshot->depth > 0) {
        sl_book_cut(keeper->book, snapshot->depth);
    }
    if (stream) {
        set_last_id(keeper, snapshot->last_id, event->connection);
        keeper->connection = event->connection;
        keeper->served = true;
    }
    keeper->last_id = snapshot->last_id;
    keeper->proved = false;
    keeper->stats.snapshots++;
    keeper->old_run = 0;
    bool fits = checksum_fits(keeper, keeper->book, &snapshot->checksum);
    code = give(keeper, event);
    if (code < 0) {
        return not_given(keeper, before, code);
    }
    if (!fits) {
        keeper->state = keeper->state == SL_KEEPER_EMPTY ? SL_KEEPER_LIVE : keeper->state; /* so that the gap is told */
        return wrong(keeper, SL_GAP_CHECKSUM);
    }
    SL_TRY(heal(keeper));
    keeper->stats.crossed += sl_book_crossed(keeper->book);
    if (stream) {
        /* What was kept came before, or comes again behind it: on its own connection nothing is missing. */
        keeper->stats.dropped += keeper->kept.count;
        sl__kept_clear(&keeper->kept);
        keeper->hole_until = SL_NEVER;
    }
    return drain(keeper, now);
}

/* ---- a second connection, where there are no ids ---- */

/* The book that stood by is served from now on: a snapshot of it is given out. */
static int take_over(sl_keeper *keeper)
{
    struct standby *standby = &keeper->standby;
    size_t bids = sl_book_count(standby->book, SL_SIDE_BUY);
    size_t asks = sl_book_count(standby->book, SL_SIDE_SELL);
    sl_level *levels = sl_malloc((bids + asks) * sizeof(*levels));
    if (levels == NULL) {
        return SL_ENOMEM;
    }
    size_t count = 0;
    for (int side = SL_SIDE_BUY; side <= SL_SIDE_SELL; side++) {
        sl_book_cursor cursor = sl_book_first(standby->book, (sl_side)side);
        const sl_level *level = NULL;
        while ((level = sl_book_next(&cursor)) != NULL) {
            levels[count++] = *level;
        }
    }
    sl_book *book = keeper->book;
    uint32_t connection = keeper->connection;
    keeper->book = standby->book;
    keeper->connection = standby->connection;
    keeper->last_id = 0;
    keeper->stats.snapshots++;
    *standby = (struct standby){.known = true, .connection = connection, .book = book};
    sl_market_event event = {.kind = SL_EVENT_BOOK_SNAPSHOT,
                             .feed = SL_FEED_DEPTH,
                             .connection = keeper->connection,
                             .instrument = keeper->options.instrument,
                             .receive_time_ns = keeper->receive_time_ns};
    event.as.snapshot.levels = (sl_levels){levels, levels + bids, bids, asks};
    int code = give(keeper, &event);
    sl_free(levels);
    return code < 0 ? not_given(keeper, 0, code) : heal(keeper);
}

/* The served book is not right. Where another one stands by it takes over, else the book has to be joined anew. */
static int wrong(sl_keeper *keeper, sl_gap_reason reason)
{
    bool live = keeper->state == SL_KEEPER_LIVE;
    SL_TRY(begin_gap(keeper, reason, 0));
    if (live && keeper->standby.whole && keeper->standby.book != NULL) {
        return take_over(keeper);
    }
    keeper->renew = true;
    return 0;
}

/* A message by another connection than the served one. */
static int take_standby(sl_keeper *keeper, const sl_market_event *event)
{
    struct standby *standby = &keeper->standby;
    bool snapshot = event->kind == SL_EVENT_BOOK_SNAPSHOT;
    const sl_levels *levels = snapshot ? &event->as.snapshot.levels : &event->as.delta.levels;
    uint32_t depth = snapshot ? event->as.snapshot.depth : event->as.delta.depth;
    if (standby->book == NULL) {
        SL_TRY(sl_book_new(keeper->options.levels_max, &standby->book));
    }
    if (standby->connection != event->connection || !standby->known) {
        standby->whole = standby->whole && standby->known && standby->connection == event->connection;
        standby->known = true;
        standby->connection = event->connection;
    }
    if (!snapshot && !standby->whole) {
        keeper->stats.dropped++;
        return 0;
    }
    int code = snapshot ? sl_book_set(standby->book, levels) : sl_book_apply(standby->book, levels);
    if (code == 0 && depth > 0) {
        sl_book_cut(standby->book, depth);
    }
    keeper->stats.repeated++;
    standby->whole = code == 0 && checksum_fits(keeper, standby->book,
                                                snapshot ? &event->as.snapshot.checksum : &event->as.delta.checksum);
    return code;
}

/* ---- what comes ---- */

/* Keeps a change that does not follow. */
static int keep(sl_keeper *keeper, const sl_market_event *event, sl_time now)
{
    uint64_t dropped = keeper->kept.dropped;
    int code = sl__kept_add(&keeper->kept, event);
    keeper->stats.dropped += keeper->kept.dropped - dropped;
    if (code < 0) {
        /* Those kept before would not connect to the next one. */
        keeper->stats.dropped += keeper->kept.count + 1;
        sl__kept_clear(&keeper->kept);
        int told = begin_gap(keeper, SL_GAP_SEQUENCE, event->as.delta.first_id);
        return told < 0 ? told : code;
    }
    keeper->stats.kept += code == 1;
    keeper->stats.repeated += code == 0;
    if (keeper->state == SL_KEEPER_STALE && gap_is_open(keeper) && keeper->gap.to_id == 0) {
        keeper->gap.to_id = event->as.delta.first_id;
    }
    if (keeper->state == SL_KEEPER_LIVE && keeper->hole_until == SL_NEVER) {
        keeper->hole_until = sl_time_add(now, keeper->options.patience);
    }
    return 0;
}

static int take_delta(sl_keeper *keeper, const sl_market_event *event, sl_time now)
{
    const sl_book_delta *delta = &event->as.delta;
    if (!keeper->served && keeper->options.rule == SL_BOOK_RULE_TIMED) {
        keeper->served = true;
        keeper->connection = event->connection;
    }
    if (keeper->state != SL_KEEPER_LIVE) {
        if (has_ids(keeper)) {
            return keep(keeper, event, now);
        }
        keeper->renew = true; /* the stream should have begun with a snapshot */
        keeper->connection = event->connection;
        keeper->stats.dropped++;
        return 0;
    }
    if (!has_turned(keeper, event->connection)) {
        if (delta->has_previous && delta->last_id < delta->previous_id) {
            note_turned(keeper, event->connection);
        }
        keeper->stats.repeated++;
        return 0;
    }
    bool strict = keeper->proved && event->connection == keeper->connection;
    if (keeper->options.rule == SL_BOOK_RULE_CONSECUTIVE && delta->last_id == 1 && keeper->last_id > 1) {
        return wrong(keeper, SL_GAP_SEQUENCE); /* the venue has restarted; a snapshot should have come with it */
    }
    switch (judge(keeper->options.rule, keeper->last_id, delta, strict)) {
    case FOLLOWS:
        SL_TRY(apply(keeper, event));
        return keeper->kept.count == 0 ? 0 : drain(keeper, now);
    case OLD:
        keeper->stats.repeated++;
        keeper->old_run += event->connection == keeper->connection && delta->last_id < keeper->last_id;
        return keeper->old_run < (keeper->proved || !by_rest(keeper) ? OLD_RUN_MAX : OLD_RUN_ASKED_MAX)
                   ? 0
                   : wrong(keeper, SL_GAP_SEQUENCE);
    default:
        SL_TRY(keep(keeper, event, now));
        return keeper->options.patience == 0 ? begin_gap(keeper, SL_GAP_SEQUENCE, delta->first_id) : 0;
    }
}

/* By the stream. With ids the first copy counts; a connection's own further one always does. */
static int take_snapshot(sl_keeper *keeper, const sl_market_event *event, sl_time now)
{
    bool other = keeper->served && event->connection != keeper->connection;
    note_turned(keeper, event->connection); /* it begins where the venue is now */
    if (keeper->state == SL_KEEPER_LIVE && other && has_ids(keeper) && event->as.snapshot.last_id <= keeper->last_id) {
        keeper->stats.repeated++;
        return 0;
    }
    return join(keeper, event, true, now);
}

int sl_keeper_event(sl_keeper *keeper, const sl_market_event *event, sl_time now)
{
    if (event->kind != SL_EVENT_BOOK_DELTA && event->kind != SL_EVENT_BOOK_SNAPSHOT) {
        return SL_EINVAL;
    }
    keeper->receive_time_ns = event->receive_time_ns;
    if (!ids_are_fine(keeper, event)) {
        SL_TRY(wrong(keeper, SL_GAP_SEQUENCE));
        return SL_EINVAL;
    }
    if (!has_ids(keeper) && keeper->state == SL_KEEPER_LIVE && event->connection != keeper->connection) {
        return take_standby(keeper, event);
    }
    if (keeper->options.rule == SL_BOOK_RULE_TIMED && event->kind == SL_EVENT_BOOK_DELTA && keeper->served &&
        event->connection != keeper->connection) {
        keeper->standby = (struct standby){
            .known = true, .whole = true, .connection = event->connection, .last_id = event->as.delta.last_id};
        keeper->stats.repeated++;
        return 0;
    }
    return event->kind == SL_EVENT_BOOK_DELTA ? take_delta(keeper, event, now) : take_snapshot(keeper, event, now);
}

/*
 * Whether what is kept goes on from a snapshot without a hole; what lies before a hole, or before the snapshot, is
 * dropped.
 */
static bool kept_follow(sl_keeper *keeper, int64_t last_id)
{
    if (keeper->options.rule == SL_BOOK_RULE_TIMED) {
        /* Only a change as old as the snapshot proves that none is missing between. */
        return keeper->kept.count > 0 && sl__kept_first(&keeper->kept)->as.delta.last_id <= last_id;
    }
    size_t start = 0; /* of what has no hole in it */
    int64_t at = last_id;
    for (size_t place = 0; place < keeper->kept.count; place++) {
        const sl_book_delta *delta = &sl__kept_at(&keeper->kept, place)->as.delta;
        enum verdict verdict = judge(keeper->options.rule, at, delta, false);
        start = verdict == HOLE ? place : start;
        at = verdict == OLD ? at : delta->last_id;
    }
    bool follow =
        start == 0 && (keeper->kept.count == 0 ||
                       judge(keeper->options.rule, last_id, &sl__kept_at(&keeper->kept, 0)->as.delta, false) != HOLE);
    if (!follow) {
        keeper->stats.dropped += start;
        sl__kept_drop(&keeper->kept, start);
    }
    return follow;
}

int sl_keeper_snapshot(sl_keeper *keeper, const sl_market_event *event, sl_time now)
{
    if (event->kind != SL_EVENT_BOOK_SNAPSHOT || !ids_are_fine(keeper, event)) {
        return SL_EINVAL;
    }
    if (keeper->state == SL_KEEPER_LIVE) {
        return 0;
    }
    keeper->receive_time_ns = event->receive_time_ns;
    if (!kept_follow(keeper, event->as.snapshot.last_id)) {
        keeper->stats.stale_snapshots++;
        return 0;
    }
    SL_TRY(join(keeper, event, false, now));
    return keeper->state == SL_KEEPER_LIVE;
}

/* Times do not tell what is missing: another connection goes on only if it has not come further than this one. */
static int lost_timed(sl_keeper *keeper)
{
    struct standby standby = keeper->standby;
    keeper->standby.known = false;
    if (keeper->state == SL_KEEPER_LIVE && standby.known && standby.last_id <= keeper->last_id) {
        keeper->connection = standby.connection;
        return 0;
    }
    keeper->stats.dropped += keeper->kept.count;
    sl__kept_clear(&keeper->kept);
    keeper->served = false; /* the next one that says something */
    return begin_gap(keeper, SL_GAP_DISCONNECTED, 0);
}

int sl_keeper_lost(sl_keeper *keeper, uint32_t connection, bool last, sl_time now)
{
    (void)now;
    struct standby *standby = &keeper->standby;
    keeper->turn = false; /* who is left is heard again */
    keeper->turned_count = 0;
    if (standby->known && standby->connection == connection && (!keeper->served || connection != keeper->connection)) {
        standby->known = false;
        standby->whole = false;
    }
    if (last) {
        keeper->stats.dropped += keeper->kept.count;
        sl__kept_clear(&keeper->kept);
        keeper->renew = false; /* the next subscription begins anew by itself */
        keeper->served = false;
        standby->known = false;
        standby->whole = false;
        return begin_gap(keeper, SL_GAP_DISCONNECTED, 0);
    }
    if (keeper->options.rule == SL_BOOK_RULE_TIMED && keeper->served && connection == keeper->connection) {
        return lost_timed(keeper);
    }
    if (has_ids(keeper) || !keeper->served || connection != keeper->connection) {
        return 0;
    }
    SL_TRY(wrong(keeper, SL_GAP_DISCONNECTED));
    if (keeper->state == SL_KEEPER_LIVE) {
        standby->known = false; /* that was the lost one */
    } else if (standby->known) {
        keeper->connection = standby->connection; /* the one to subscribe anew on */
    }
    return 0;
}

int sl_keeper_distrust(sl_keeper *keeper, sl_gap_reason reason, sl_time now)
{
    (void)now;
    if (reason <= SL_GAP_NONE || reason >= SL_GAP_REASON_COUNT) {
        return SL_EINVAL;
    }
    return keeper->state == SL_KEEPER_LIVE ? wrong(keeper, reason) : 0;
}

int sl_keeper_expire(sl_keeper *keeper, sl_time now, sl_time *ret_when)
{
    int code = 0;
    if (keeper->hole_until != SL_NEVER && now >= keeper->hole_until && keeper->kept.count > 0) {
        code = begin_gap(keeper, SL_GAP_SEQUENCE, sl__kept_first(&keeper->kept)->as.delta.first_id);
    }
    *ret_when = keeper->hole_until;
    return code;
}

sl_keeper_want sl_keeper_wants(const sl_keeper *keeper, uint32_t *ret_connection)
{
    bool standby_broken = keeper->standby.known && !keeper->standby.whole;
    *ret_connection = keeper->connection;
    if (keeper->state == SL_KEEPER_LIVE) {
        *ret_connection = standby_broken ? keeper->standby.connection : keeper->connection;
        return standby_broken ? SL_KEEPER_RENEWAL : SL_KEEPER_NOTHING;
    }
    if (by_rest(keeper)) {
        return keeper->kept.count > 0 ? SL_KEEPER_SNAPSHOT : SL_KEEPER_NOTHING;
    }
    if (keeper->kept.count > 0 && !keeper->served) {
        *ret_connection = sl__kept_first(&keeper->kept)->connection;
    }
    return keeper->renew || keeper->kept.count > 0 ? SL_KEEPER_RENEWAL : SL_KEEPER_NOTHING;
}

/* ---- the whole ---- */

int sl_keeper_new(const sl_keeper_options *options, sl_keeper **ret_keeper)
{
    if (options->rule <= SL_BOOK_RULE_NONE || options->rule > SL_BOOK_RULE_TIMED || options->event == NULL ||
        options->instrument == NULL || options->patience < 0) {
        return SL_EINVAL;
    }
    sl_keeper *keeper = sl_calloc(1, sizeof(*keeper));
    if (keeper == NULL) {
        return SL_ENOMEM;
    }
    keeper->options = *options;
    keeper->kept.count_max = options->deltas_max == 0 ? SL_KEEPER_DELTAS_DEFAULT : options->deltas_max;
    keeper->kept.bytes_max = options->bytes_max == 0 ? SL_KEEPER_BYTES_DEFAULT : options->bytes_max;
    keeper->hole_until = SL_NEVER;
    int code = sl_book_new(options->levels_max, &keeper->book);
    if (code < 0) {
        sl_keeper_free(keeper);
        return code;
    }
    *ret_keeper = keeper;
    return 0;
}

void sl_keeper_free(sl_keeper *keeper)
{
    if (keeper != NULL) {
        sl__kept_clear(&keeper->kept);
        sl_book_free(keeper->book);
        sl_book_free(keeper->standby.book);
        sl_free(keeper);
    }
}

void sl_keeper_prefetch(const sl_keeper *keeper)
{
    for (size_t at = 0; at < sizeof *keeper; at += LINE_BYTES) {
        __builtin_prefetch((const char *)keeper + at, 1, 3);
    }
}

const sl_book *sl_keeper_book(const sl_keeper *keeper)
{
    return keeper->state == SL_KEEPER_EMPTY ? NULL : keeper->book;
}

int64_t sl_keeper_last_id(const sl_keeper *keeper)
{
    return keeper->last_id;
}

sl_keeper_state sl_keeper_get_state(const sl_keeper *keeper)
{
    return keeper->state;
}

const sl_keeper_stats *sl_keeper_get_stats(const sl_keeper *keeper)
{
    return &keeper->stats;
}
