/* SPDX-License-Identifier: MIT */
/* The join of snapshot and diffs: see sequence.h for the rules. */
#include "sequence.h"

#include <assert.h>
#include <string.h>

/* The buffer begins with this size and doubles. */
#define BYTES_FIRST ((size_t)64 << 10)

/* What is kept of a diff. Records lie one behind the other: this header, the raw message, padding, alignment. */
struct record {
    int64_t first_id;
    int64_t last_id;
    int64_t previous_id;
    int64_t receive_time_ns;
    size_t size_bytes;
};

struct sl_sequence {
    sl_sequence_options options;
    sl_sequence_state state;
    int64_t last_id; /* the book's; the snapshot's while `proved` is not set */
    bool proved;     /* a diff has joined the snapshot */
    char *buffer;    /* records from `head` to `tail` */
    size_t head;
    size_t tail;
    size_t capacity;
    size_t kept;
    int64_t kept_last_id; /* of the newest record */
    sl_gap gap;           /* the last one; open while it is not healed and its reason is not NONE */
    bool gap_news;
    sl_sequence_stats stats;
};

static size_t record_bytes(size_t size_bytes)
{
    size_t bytes = sizeof(struct record) + size_bytes + SL_SEQUENCE_PADDING;
    return (bytes + _Alignof(struct record) - 1) / _Alignof(struct record) * _Alignof(struct record);
}

static struct record *head_record(const sl_sequence *sequence)
{
    return (struct record *)(void *)(sequence->buffer + sequence->head);
}

static void drop_head(sl_sequence *sequence)
{
    sequence->head += record_bytes(head_record(sequence)->size_bytes);
    sequence->kept--;
    if (sequence->kept == 0) {
        sequence->head = 0;
        sequence->tail = 0;
    }
}

static void drop_all(sl_sequence *sequence)
{
    sequence->kept = 0;
    sequence->head = 0;
    sequence->tail = 0;
}

/* Drops the oldest until `bytes` more fit the limits; then at least half, so that a full buffer is rarely moved. */
static void enforce_limits(sl_sequence *sequence, size_t bytes)
{
    if (sequence->kept < sequence->options.diffs_max &&
        sequence->tail - sequence->head + bytes <= sequence->options.bytes_max) {
        return;
    }
    while (sequence->kept > 0 && (sequence->kept > sequence->options.diffs_max / 2 ||
                                  sequence->tail - sequence->head + bytes > sequence->options.bytes_max / 2)) {
        drop_head(sequence);
        sequence->stats.dropped++;
    }
}

/* Makes `bytes` free behind the tail. */
static int make_room(sl_sequence *sequence, size_t bytes)
{
    size_t used = sequence->tail - sequence->head;
    if (sequence->capacity - sequence->tail >= bytes) {
        return 0;
    }
    if (used + bytes > sequence->capacity) {
        size_t capacity = sequence->capacity == 0 ? BYTES_FIRST : sequence->capacity;
        while (capacity < used + bytes) {
            capacity *= 2;
        }
        char *buffer = sl_realloc(sequence->buffer, capacity);
        if (buffer == NULL) {
            return SL_ENOMEM;
        }
        sequence->buffer = buffer;
        sequence->capacity = capacity;
    }
    memmove(sequence->buffer, sequence->buffer + sequence->head, used);
    sequence->head = 0;
    sequence->tail = used;
    return 0;
}

/* Keeps a copy of the diff. When it cannot, those kept before would not connect to the next one and go too. */
static int keep(sl_sequence *sequence, const sl_diff *diff)
{
    size_t bytes = record_bytes(diff->size_bytes);
    int code = diff->size_bytes > sequence->options.bytes_max || bytes > sequence->options.bytes_max ? SL_EMSGSIZE : 0;
    if (code == 0) {
        enforce_limits(sequence, bytes);
        code = make_room(sequence, bytes);
    }
    if (code < 0) {
        sequence->stats.dropped += sequence->kept + 1;
        drop_all(sequence);
        return code;
    }
    struct record *record = (struct record *)(void *)(sequence->buffer + sequence->tail);
    *record = (struct record){.first_id = diff->first_id,
                              .last_id = diff->last_id,
                              .previous_id = diff->previous_id,
                              .receive_time_ns = diff->receive_time_ns,
                              .size_bytes = diff->size_bytes};
    char *raw = (char *)(record + 1);
    if (diff->size_bytes > 0) {
        memcpy(raw, diff->raw, diff->size_bytes);
    }
    memset(raw + diff->size_bytes, 0, bytes - sizeof(*record) - diff->size_bytes);
    sequence->tail += bytes;
    sequence->kept++;
    sequence->kept_last_id = diff->last_id;
    sequence->stats.kept++;
    if (sequence->state == SL_SEQUENCE_BROKEN && sequence->gap.to_id == 0) {
        sequence->gap.to_id = diff->first_id;
    }
    return 0;
}

/* Whether the diff follows one that ended at `last_id`: APPLY, IGNORE or GAP. */
static sl_sequence_action follows(sl_book_rule rule, int64_t last_id, const sl_diff *diff)
{
    if (rule == SL_BOOK_RULE_BINANCE_FUTURES && diff->previous_id == last_id) {
        return SL_SEQUENCE_APPLY;
    }
    if (diff->last_id <= last_id) {
        return SL_SEQUENCE_IGNORE;
    }
    return rule == SL_BOOK_RULE_BINANCE_SPOT && diff->first_id <= last_id + 1 ? SL_SEQUENCE_APPLY : SL_SEQUENCE_GAP;
}

/* Whether the diff joins a snapshot at `last_id`: APPLY, IGNORE (it is older) or STALE (the snapshot is). */
static sl_sequence_action joins(sl_book_rule rule, int64_t last_id, const sl_diff *diff)
{
    if (rule == SL_BOOK_RULE_BINANCE_SPOT) {
        if (last_id == -1) {
            return SL_SEQUENCE_APPLY;
        }
        if (diff->last_id <= last_id) {
            return SL_SEQUENCE_IGNORE;
        }
        return diff->first_id <= last_id + 1 ? SL_SEQUENCE_APPLY : SL_SEQUENCE_STALE;
    }
    if (diff->previous_id == last_id) {
        return SL_SEQUENCE_APPLY;
    }
    if (diff->last_id < last_id) {
        return SL_SEQUENCE_IGNORE;
    }
    return diff->first_id <= last_id ? SL_SEQUENCE_APPLY : SL_SEQUENCE_STALE;
}

static void begin_gap(sl_sequence *sequence, sl_gap_reason reason, int64_t to_id)
{
    sequence->gap = (sl_gap){.reason = reason, .from_id = sequence->last_id, .to_id = to_id};
    sequence->gap_news = true;
    sequence->stats.gaps++;
    sequence->state = SL_SEQUENCE_BROKEN;
    sequence->proved = false;
}

static bool gap_is_open(const sl_sequence *sequence)
{
    return sequence->gap.reason != SL_GAP_NONE && !sequence->gap.healed;
}

/* Decides about a diff in SL_SEQUENCE_JOINED and changes the state with it. */
static sl_sequence_action judge(sl_sequence *sequence, const sl_diff *diff)
{
    sl_book_rule rule = sequence->options.rule;
    sl_sequence_action action =
        sequence->proved ? follows(rule, sequence->last_id, diff) : joins(rule, sequence->last_id, diff);
    switch (action) {
    case SL_SEQUENCE_APPLY:
        if (!sequence->proved && gap_is_open(sequence)) {
            sequence->gap.healed = true;
            sequence->gap.healed_id = sequence->last_id; /* the snapshot's */
            sequence->gap_news = true;
            sequence->stats.healed++;
        }
        sequence->proved = true;
        sequence->last_id = diff->last_id;
        sequence->stats.applied++;
        break;
    case SL_SEQUENCE_IGNORE:
        sequence->stats.ignored++;
        break;
    case SL_SEQUENCE_STALE:
        sequence->stats.stale_snapshots++;
        sequence->state = gap_is_open(sequence) ? SL_SEQUENCE_BROKEN : SL_SEQUENCE_BUFFERING;
        break;
    default:
        begin_gap(sequence, SL_GAP_SEQUENCE, diff->first_id);
        break;
    }
    return action;
}

int sl_sequence_diff(sl_sequence *sequence, const sl_diff *diff)
{
    if (diff->first_id < 0 || diff->first_id > diff->last_id || diff->last_id == INT64_MAX) {
        return SL_EINVAL;
    }
    if (sequence->state == SL_SEQUENCE_JOINED && sequence->kept == 0) {
        sl_sequence_action action = judge(sequence, diff);
        if (action == SL_SEQUENCE_STALE || action == SL_SEQUENCE_GAP) {
            /* If it cannot be kept, the next one begins the row: the caller must hear of the gap first. */
            (void)(keep(sequence, diff) < 0);
        }
        return (int)action;
    }
    if (sequence->kept > 0) {
        sl_sequence_action action = follows(sequence->options.rule, sequence->kept_last_id, diff);
        if (action == SL_SEQUENCE_IGNORE) {
            sequence->stats.ignored++;
            return SL_SEQUENCE_IGNORE;
        }
        if (action == SL_SEQUENCE_GAP && sequence->state != SL_SEQUENCE_JOINED) {
            sequence->stats.breaks_waiting++;
            sequence->stats.dropped += sequence->kept;
            drop_all(sequence);
        }
    }
    SL_TRY(keep(sequence, diff));
    return SL_SEQUENCE_KEPT;
}

static sl_diff diff_of(const struct record *record)
{
    return (sl_diff){.first_id = record->first_id,
                     .last_id = record->last_id,
                     .previous_id = record->previous_id,
                     .receive_time_ns = record->receive_time_ns,
                     .raw = (const char *)(record + 1),
                     .size_bytes = record->size_bytes};
}

int sl_sequence_snapshot(sl_sequence *sequence, int64_t last_id)
{
    if (last_id < -1 || last_id == INT64_MAX) {
        return SL_EINVAL;
    }
    sequence->stats.snapshots++;
    if (sequence->state == SL_SEQUENCE_JOINED && sequence->proved) {
        return SL_SEQUENCE_IGNORE;
    }
    while (sequence->kept > 0) {
        sl_diff diff = diff_of(head_record(sequence));
        sl_sequence_action action = joins(sequence->options.rule, last_id, &diff);
        if (action == SL_SEQUENCE_STALE) {
            sequence->stats.stale_snapshots++;
            return SL_SEQUENCE_STALE;
        }
        if (action == SL_SEQUENCE_APPLY) {
            break;
        }
        sequence->stats.ignored++;
        drop_head(sequence);
    }
    sequence->last_id = last_id;
    sequence->proved = false;
    sequence->state = SL_SEQUENCE_JOINED;
    return SL_SEQUENCE_APPLY;
}

int sl_sequence_next(sl_sequence *sequence, sl_diff *ret_diff)
{
    while (sequence->state == SL_SEQUENCE_JOINED && sequence->kept > 0) {
        sl_diff diff = diff_of(head_record(sequence));
        sl_sequence_action action = judge(sequence, &diff);
        if (action == SL_SEQUENCE_STALE || action == SL_SEQUENCE_GAP) {
            return (int)action; /* it stays: the first of those that wait for the next snapshot */
        }
        drop_head(sequence); /* its bytes stay as they are until something is kept */
        if (action == SL_SEQUENCE_APPLY) {
            *ret_diff = diff;
            return SL_SEQUENCE_APPLY;
        }
    }
    return SL_SEQUENCE_NOTHING;
}

void sl_sequence_lost(sl_sequence *sequence)
{
    sequence->stats.dropped += sequence->kept;
    drop_all(sequence);
    if (sequence->state != SL_SEQUENCE_JOINED) {
        return;
    }
    if (!sequence->proved && gap_is_open(sequence)) {
        sequence->state = SL_SEQUENCE_BROKEN; /* the same gap goes on: the snapshot came to nothing */
    } else {
        begin_gap(sequence, SL_GAP_DISCONNECTED, 0);
    }
}

int sl_sequence_take_gap(sl_sequence *sequence, sl_gap *ret_gap)
{
    if (!sequence->gap_news) {
        return 0;
    }
    sequence->gap_news = false;
    *ret_gap = sequence->gap;
    return 1;
}

int sl_sequence_new(const sl_sequence_options *options, sl_sequence **ret_sequence)
{
    if ((options->rule != SL_BOOK_RULE_BINANCE_SPOT && options->rule != SL_BOOK_RULE_BINANCE_FUTURES) ||
        options->diffs_max > SL_SEQUENCE_DIFFS_MAX || options->bytes_max > SL_SEQUENCE_BYTES_MAX) {
        return SL_EINVAL;
    }
    sl_sequence *sequence = sl_calloc(1, sizeof(*sequence));
    if (sequence == NULL) {
        return SL_ENOMEM;
    }
    sequence->options = *options;
    if (options->diffs_max == 0) {
        sequence->options.diffs_max = SL_SEQUENCE_DIFFS_DEFAULT;
    }
    if (options->bytes_max == 0) {
        sequence->options.bytes_max = SL_SEQUENCE_BYTES_DEFAULT;
    }
    *ret_sequence = sequence;
    return 0;
}

void sl_sequence_free(sl_sequence *sequence)
{
    if (sequence != NULL) {
        sl_free(sequence->buffer);
        sl_free(sequence);
    }
}

sl_sequence_state sl_sequence_get_state(const sl_sequence *sequence)
{
    return sequence->state;
}

bool sl_sequence_wants_snapshot(const sl_sequence *sequence)
{
    return sequence->state != SL_SEQUENCE_JOINED;
}

int64_t sl_sequence_last_id(const sl_sequence *sequence)
{
    return sequence->last_id;
}

size_t sl_sequence_kept(const sl_sequence *sequence, size_t *ret_bytes)
{
    if (ret_bytes != NULL) {
        *ret_bytes = sequence->tail - sequence->head;
    }
    return sequence->kept;
}

const sl_sequence_stats *sl_sequence_get_stats(const sl_sequence *sequence)
{
    return &sequence->stats;
}

int sl_trade_track_see(sl_trade_track *track, int64_t first_id, int64_t last_id, sl_gap *ret_gap)
{
    if (first_id < 0 || first_id > last_id || last_id == INT64_MAX) {
        return SL_EINVAL;
    }
    if (track->begun && last_id <= track->last_id) {
        track->repeated++;
        return SL_SEQUENCE_IGNORE;
    }
    bool gap = track->begun && first_id > track->last_id + 1;
    if (gap) {
        *ret_gap = (sl_gap){.reason = SL_GAP_SEQUENCE, .from_id = track->last_id, .to_id = first_id};
        track->missing += (uint64_t)first_id - (uint64_t)track->last_id - 1;
        track->gaps++;
    }
    track->begun = true;
    track->last_id = last_id;
    track->received++;
    return gap ? SL_SEQUENCE_GAP : SL_SEQUENCE_APPLY;
}
