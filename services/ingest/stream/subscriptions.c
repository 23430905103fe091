/* SPDX-License-Identifier: MIT */
/* The states of a connection's subscriptions. See subscriptions.h. */
#include "ingest/stream/subscriptions.h"

#include <assert.h>
#include <string.h>

/* What one control message may carry at most, whatever the venue allows. */
#define BATCH_MAX 512

/* Of a control message about one subscription. */
#define NAMED_BYTES 512

struct record {
    sl_subscription what;
    sl_subscription_state state;
    bool again;         /* LEAVING, and to be WANTED then */
    bool leave_sent;    /* LEAVING: the message went out; only its answer is waited for */
    int64_t request_id; /* ASKED, or LEAVING and sent */
    sl_time not_before; /* WANTED: when it may be asked for; ASKED: when it is asked for again */
    sl_time answer_by;  /* LEAVING before its message went out: the question's answer was due then; 0: it was ACTIVE */
    sl_time active_since;
    unsigned attempts; /* it was asked for, since it was active last */
    struct sl_subscription_heard heard;
    bool alone;    /* asked for in a message of its own: one of those that it was asked for with may be refused */
    uint32_t next; /* another one of an instrument with the same head; NONE */
};

#define NONE UINT32_MAX

/* Those that go into one message. */
struct batch {
    sl_subscription what[BATCH_MAX];
    size_t index[BATCH_MAX];
    size_t count;
};

struct sl_subscriptions {
    const sl_venue_driver *driver;
    const sl_venue_decoder *decoder;
    struct batch batch;
    struct record *records;
    uint32_t *heads; /* as many as `capacity`: the first record of the instruments whose index ends so; NONE */
    size_t count, capacity;
    int64_t last_request_id;
    bool connected;
    bool greeted; /* the connection was told what it is told first */
    sl_rates rates;
    sl_subscriptions_stats stats;
};

/*
 * The venue counts the messages of each connection anew. Half of a burst at once: whoever used all of it might send no
 * more than one each period from then on, and tens of thousands of subscriptions are hundreds of messages.
 */
static int reset_rates(sl_subscriptions *subscriptions)
{
    const sl_venue_stream_limits *limits = &subscriptions->driver->limits;
    uint32_t burst = limits->messages_burst > 2 ? limits->messages_burst / 2 + 1 : limits->messages_burst;
    struct sl_rate rate = {.count = limits->messages, .period = limits->messages_per, .burst = burst};
    return sl_rates_init(&subscriptions->rates, &rate, limits->messages > 0 ? 1 : 0);
}

int sl_subscriptions_new(const sl_venue_driver *driver, const sl_venue_decoder *decoder,
                         sl_subscriptions **ret_subscriptions)
{
    sl_subscriptions *subscriptions = sl_calloc(1, sizeof *subscriptions);
    if (subscriptions == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for subscriptions");
    }
    subscriptions->driver = driver;
    subscriptions->decoder = decoder;
    int code = reset_rates(subscriptions);
    if (code < 0) {
        sl_free(subscriptions);
        return code;
    }
    *ret_subscriptions = subscriptions;
    return 0;
}

void sl_subscriptions_free(sl_subscriptions *subscriptions)
{
    if (subscriptions != NULL) {
        sl_free(subscriptions->records);
        sl_free(subscriptions->heads);
        sl_free(subscriptions);
    }
}

static void set_state(sl_subscriptions *subscriptions, struct record *record, sl_subscription_state state)
{
    subscriptions->stats.count[record->state]--;
    subscriptions->stats.count[state]++;
    record->state = state;
}

/* The venue took it, however it said so: what it did not answer before does not count any more. */
static void activate(sl_subscriptions *subscriptions, struct record *record, sl_time now)
{
    record->attempts = 0;
    record->alone = false;
    record->active_since = now;
    set_state(subscriptions, record, SL_SUBSCRIPTION_ACTIVE);
}

static bool same(const sl_subscription *a, const sl_subscription *b)
{
    return a->feed == b->feed && a->instrument == b->instrument && a->depth == b->depth &&
           a->interval_ns == b->interval_ns;
}

/* ---- by instrument ---- */

static uint32_t *head_of(const sl_subscriptions *subscriptions, const sl_instrument *instrument)
{
    return &subscriptions->heads[instrument->index & (subscriptions->capacity - 1)];
}

static void link_record(sl_subscriptions *subscriptions, uint32_t at)
{
    struct record *record = &subscriptions->records[at];
    uint32_t *head = head_of(subscriptions, record->what.instrument);
    record->next = *head;
    *head = at;
}

static void unlink_record(sl_subscriptions *subscriptions, uint32_t at)
{
    uint32_t *link = head_of(subscriptions, subscriptions->records[at].what.instrument);
    while (*link != at) {
        link = &subscriptions->records[*link].next;
    }
    *link = subscriptions->records[at].next;
}

static struct record *next_of(const sl_subscriptions *subscriptions, uint32_t at)
{
    return at == NONE ? NULL : &subscriptions->records[at];
}

static struct record *first_of(const sl_subscriptions *subscriptions, const sl_instrument *instrument)
{
    return subscriptions->count == 0 ? NULL : next_of(subscriptions, *head_of(subscriptions, instrument));
}

static struct record *find(const sl_subscriptions *subscriptions, const sl_subscription *what)
{
    struct record *record = first_of(subscriptions, what->instrument);
    while (record != NULL && !same(&record->what, what)) {
        record = next_of(subscriptions, record->next);
    }
    return record;
}

/* The record of a feed (any: SL_FEED_NONE) and an instrument (and a length of candles; 0: any) in a state. */
static struct record *find_channel(const sl_subscriptions *subscriptions, sl_feed feed, const sl_instrument *instrument,
                                   int64_t interval_ns, sl_subscription_state state)
{
    bool any = interval_ns == 0 || feed != SL_FEED_CANDLES;
    struct record *record = first_of(subscriptions, instrument);
    while (record != NULL &&
           (record->state != state || record->what.instrument != instrument ||
            (feed != SL_FEED_NONE && record->what.feed != feed) || (!any && record->what.interval_ns != interval_ns))) {
        record = next_of(subscriptions, record->next);
    }
    return record;
}

static void drop(sl_subscriptions *subscriptions, struct record *record)
{
    uint32_t at = (uint32_t)(record - subscriptions->records), last = (uint32_t)subscriptions->count - 1;
    subscriptions->stats.count[record->state]--;
    unlink_record(subscriptions, at);
    if (at != last) { /* the last one takes its place */
        unlink_record(subscriptions, last);
        subscriptions->records[at] = subscriptions->records[last];
        link_record(subscriptions, at);
    }
    subscriptions->count--;
}

/* Room for one more. */
static int reserve(sl_subscriptions *subscriptions)
{
    if (subscriptions->count < subscriptions->capacity) {
        return 0;
    }
    if (subscriptions->count >= SL_SUBSCRIPTIONS_MAX) {
        return sl_fail(SL_EMSGSIZE, "more than %d subscriptions of one connection", SL_SUBSCRIPTIONS_MAX);
    }
    size_t capacity = subscriptions->capacity == 0 ? 16 : subscriptions->capacity * 2; /* a power of two */
    struct record *records = sl_realloc(subscriptions->records, capacity * sizeof *records);
    subscriptions->records = records == NULL ? subscriptions->records : records;
    uint32_t *heads = records == NULL ? NULL : sl_realloc(subscriptions->heads, capacity * sizeof *heads);
    if (heads == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for %zu subscriptions", capacity);
    }
    subscriptions->heads = heads;
    subscriptions->capacity = capacity;
    memset(heads, 0xff, capacity * sizeof *heads); /* NONE */
    for (size_t at = 0; at < subscriptions->count; at++) {
        link_record(subscriptions, (uint32_t)at);
    }
    return 0;
}

/* One that was leaving is wanted after all. What the venue has not answered is no more certain than before. */
static void come_back(sl_subscriptions *subscriptions, struct record *record)
{
    if (record->leave_sent || record->again) { /* it is asked for anew in any case */
        record->again = true;
        return;
    }
    if (record->answer_by == 0) {
        set_state(subscriptions, record, SL_SUBSCRIPTION_ACTIVE);
        return;
    }
    record->not_before = record->answer_by;
    set_state(subscriptions, record, SL_SUBSCRIPTION_ASKED);
}

int sl_subscriptions_add(sl_subscriptions *subscriptions, const sl_subscription *what)
{
    struct record *record = find(subscriptions, what);
    if (record != NULL) {
        if (record->state == SL_SUBSCRIPTION_LEAVING) {
            come_back(subscriptions, record);
        }
        return 0;
    }
    SL_TRY(reserve(subscriptions));
    subscriptions->records[subscriptions->count] = (struct record){.what = *what, .state = SL_SUBSCRIPTION_WANTED};
    link_record(subscriptions, (uint32_t)subscriptions->count++);
    subscriptions->stats.count[SL_SUBSCRIPTION_WANTED]++;
    return 1;
}

/* Whether the venue is told the same of both: one channel brings them (Coinbase's "ticker", Bybit's "tickers"). */
static bool is_one_channel(const sl_subscriptions *subscriptions, const sl_subscription *a, const sl_subscription *b)
{
    char texts[2][NAMED_BYTES];
    size_t sizes[2] = {0, 0};
    bool off = subscriptions->driver->leave == NULL;
    int one = subscriptions->driver->subscribe(a, 1, off, 1, texts[0], NAMED_BYTES, &sizes[0]);
    int other = subscriptions->driver->subscribe(b, 1, off, 1, texts[1], NAMED_BYTES, &sizes[1]);
    return one == 1 && other == 1 && sizes[0] == sizes[1] && memcmp(texts[0], texts[1], sizes[0]) == 0;
}

/* Whether another one that is wanted comes by the same channel: leaving that would end both. */
static bool is_shared(const sl_subscriptions *subscriptions, const struct record *record)
{
    struct record *other = first_of(subscriptions, record->what.instrument);
    for (; other != NULL; other = next_of(subscriptions, other->next)) {
        if (other != record && other->what.instrument == record->what.instrument &&
            (other->state == SL_SUBSCRIPTION_ACTIVE || other->state == SL_SUBSCRIPTION_ASKED) &&
            is_one_channel(subscriptions, &record->what, &other->what)) {
            return true;
        }
    }
    return false;
}

void sl_subscriptions_remove(sl_subscriptions *subscriptions, const sl_subscription *what)
{
    struct record *record = find(subscriptions, what);
    if (record == NULL) {
        return;
    }
    record->again = false;
    if (record->state == SL_SUBSCRIPTION_LEAVING) {
        return;
    }
    bool known = record->state == SL_SUBSCRIPTION_ASKED || record->state == SL_SUBSCRIPTION_ACTIVE;
    if (subscriptions->connected && known && subscriptions->driver->subscribe != NULL &&
        !is_shared(subscriptions, record)) {
        record->leave_sent = false;
        record->answer_by = record->state == SL_SUBSCRIPTION_ASKED ? record->not_before : 0;
        record->not_before = 0;
        set_state(subscriptions, record, SL_SUBSCRIPTION_LEAVING);
    } else {
        drop(subscriptions, record);
    }
}

int sl_subscriptions_renew(sl_subscriptions *subscriptions, sl_feed feed, const sl_instrument *instrument)
{
    struct record *record = NULL;
    int renewed = 0;
    while (subscriptions->driver->subscribe != NULL &&
           (record = find_channel(subscriptions, feed, instrument, 0, SL_SUBSCRIPTION_ACTIVE)) != NULL) {
        record->again = true;
        record->leave_sent = false;
        record->answer_by = 0;
        record->not_before = 0;
        set_state(subscriptions, record, SL_SUBSCRIPTION_LEAVING);
        renewed = 1;
    }
    return renewed;
}

void sl_subscriptions_connected(sl_subscriptions *subscriptions, bool connected, sl_time now)
{
    subscriptions->connected = connected;
    subscriptions->greeted = false;
    int code = reset_rates(subscriptions);
    assert(code == 0); /* they were good when it was made */
    (void)code;
    for (size_t at = subscriptions->count; at-- > 0;) {
        struct record *record = &subscriptions->records[at];
        if (record->state == SL_SUBSCRIPTION_LEAVING && !record->again) { /* with the old connection it is left */
            drop(subscriptions, record);
            continue;
        }
        record->attempts = 0;
        record->again = false;
        record->alone = false;
        record->not_before = now;
        if (record->state != SL_SUBSCRIPTION_REFUSED) {
            set_state(subscriptions, record, SL_SUBSCRIPTION_WANTED);
        }
    }
}

void sl_subscriptions_forgive(sl_subscriptions *subscriptions, sl_time now)
{
    for (size_t at = 0; at < subscriptions->count; at++) {
        struct record *record = &subscriptions->records[at];
        if (record->state == SL_SUBSCRIPTION_REFUSED) {
            record->attempts = 0;
            record->not_before = now;
            set_state(subscriptions, record, SL_SUBSCRIPTION_WANTED);
        }
    }
}

/* Later, and each time later still. */
static void ask_later(sl_subscriptions *subscriptions, struct record *record, sl_time now)
{
    sl_time wait = SL_SUBSCRIPTION_RETRY;
    for (unsigned attempt = 1; attempt < record->attempts && wait < SL_SUBSCRIPTION_RETRY_MAX; attempt++) {
        wait *= 2;
    }
    record->not_before = sl_time_add(now, wait < SL_SUBSCRIPTION_RETRY_MAX ? wait : SL_SUBSCRIPTION_RETRY_MAX);
    set_state(subscriptions, record, SL_SUBSCRIPTION_WANTED);
}

/* The venue sends it no more: it is gone, or asked for anew. */
static void left(sl_subscriptions *subscriptions, struct record *record, sl_time now)
{
    if (record->again) {
        record->again = false;
        record->not_before = now;
        set_state(subscriptions, record, SL_SUBSCRIPTION_WANTED);
    } else {
        drop(subscriptions, record);
    }
}

/* The venue did not answer: an answer that never comes is asked for again. */
static void expire(sl_subscriptions *subscriptions, sl_time now)
{
    if (!subscriptions->driver->limits.acknowledges) {
        return;
    }
    for (size_t at = subscriptions->count; at-- > 0;) {
        struct record *record = &subscriptions->records[at];
        if (record->not_before > now) {
            continue;
        }
        if (record->state == SL_SUBSCRIPTION_ASKED) {
            subscriptions->stats.unanswered++;
            record->alone = record->attempts > 1; /* an error that named none of them may have been the answer */
            ask_later(subscriptions, record, now);
        } else if (record->state == SL_SUBSCRIPTION_LEAVING && record->leave_sent) {
            left(subscriptions, record, now);
        }
    }
}

static bool is_alike(const sl_subscription *a, const sl_subscription *b)
{
    return a->feed == b->feed && a->depth == b->depth && a->interval_ns == b->interval_ns;
}

/*
 * Those that one message could carry, in `state` and due; and when the next of them is. Those like the first one come
 * first: a venue may have one channel in a message, and takes of the batch what fits.
 */
static void collect(sl_subscriptions *subscriptions, sl_subscription_state state, sl_time now, sl_time *ret_when)
{
    struct batch *batch = &subscriptions->batch;
    size_t limit = subscriptions->driver->limits.per_message;
    limit = limit == 0 || limit > BATCH_MAX ? BATCH_MAX : limit;
    batch->count = 0;
    for (size_t step = 0; step < 2 * subscriptions->count && batch->count < limit; step++) {
        bool others = step >= subscriptions->count; /* the second time */
        size_t at = others ? step - subscriptions->count : step;
        const struct record *record = &subscriptions->records[at];
        if (record->state != state || (state == SL_SUBSCRIPTION_LEAVING && record->leave_sent) ||
            (batch->count == 0 ? others : is_alike(&record->what, &batch->what[0]) == others)) {
            continue;
        }
        if (batch->count > 0 && (record->alone || subscriptions->records[batch->index[0]].alone)) {
            continue;
        }
        if (record->not_before > now) {
            *ret_when = record->not_before < *ret_when ? record->not_before : *ret_when;
            continue;
        }
        batch->what[batch->count] = record->what;
        batch->index[batch->count++] = at;
    }
}

/* When the first answer is overdue. */
static void overdue_at(const sl_subscriptions *subscriptions, sl_time *ret_when)
{
    for (size_t at = 0; at < subscriptions->count && subscriptions->driver->limits.acknowledges; at++) {
        const struct record *record = &subscriptions->records[at];
        bool waits =
            record->state == SL_SUBSCRIPTION_ASKED || (record->state == SL_SUBSCRIPTION_LEAVING && record->leave_sent);
        if (waits && record->not_before < *ret_when) {
            *ret_when = record->not_before;
        }
    }
}

/* No answer to leaving will come. The batch has its own order: here the last one takes the place of one that is dropped. */
static void leave_at_once(sl_subscriptions *subscriptions, sl_time now)
{
    for (size_t at = subscriptions->count; at-- > 0;) {
        struct record *record = &subscriptions->records[at];
        if (record->state == SL_SUBSCRIPTION_LEAVING && record->leave_sent) {
            left(subscriptions, record, now);
        }
    }
}

static void mark_sent(sl_subscriptions *subscriptions, size_t sent, bool off, sl_time now)
{
    const struct batch *batch = &subscriptions->batch;
    const sl_venue_stream_limits *limits = &subscriptions->driver->limits;
    sl_time within = limits->ack_within == 0 ? SL_SECONDS(10) : limits->ack_within;
    for (size_t at = 0; at < sent; at++) {
        struct record *record = &subscriptions->records[batch->index[at]];
        record->request_id = subscriptions->last_request_id;
        record->not_before = sl_time_add(now, within);
        if (off) {
            record->leave_sent = true;
        } else {
            record->attempts++;
            record->active_since = now;
            set_state(subscriptions, record, limits->acknowledges ? SL_SUBSCRIPTION_ASKED : SL_SUBSCRIPTION_ACTIVE);
        }
    }
    if (off && !limits->acknowledges) {
        leave_at_once(subscriptions, now);
    }
}

/* The first of the batch is left by what the venue told of it; where it told nothing there is nothing to leave: 0. */
static int write_leave(sl_subscriptions *subscriptions, int64_t id, sl_time now, char *buffer, size_t capacity,
                       size_t *ret_size_bytes)
{
    const struct batch *batch = &subscriptions->batch;
    int sent =
        subscriptions->driver->leave(subscriptions->decoder, &batch->what[0], id, buffer, capacity, ret_size_bytes);
    if (sent == 0) {
        left(subscriptions, &subscriptions->records[batch->index[0]], now);
    }
    return sent;
}

/* One message for those in the batch: 1; 0: none was needed; or what the driver says against the first of them. */
static int write_message(sl_subscriptions *subscriptions, bool off, sl_time now, char *buffer, size_t capacity,
                         size_t *ret_size_bytes)
{
    const sl_venue_driver *driver = subscriptions->driver;
    const struct batch *batch = &subscriptions->batch;
    int64_t id = subscriptions->last_request_id + 1;
    bool leave = off && driver->leave != NULL;
    int sent = leave ? write_leave(subscriptions, id, now, buffer, capacity, ret_size_bytes)
                     : driver->subscribe(batch->what, batch->count, off, id, buffer, capacity, ret_size_bytes);
    if (leave && sent == 0) {
        return 0;
    }
    if (sent <= 0) {
        struct record *first = &subscriptions->records[batch->index[0]];
        subscriptions->stats.refused++;
        set_state(subscriptions, first, SL_SUBSCRIPTION_REFUSED);
        return sent < 0 ? sent : SL_EMSGSIZE;
    }
    subscriptions->last_request_id = id;
    subscriptions->stats.messages++;
    mark_sent(subscriptions, (size_t)sent, off, now);
    return 1;
}

/* What the connection is told first: 1, or what the driver says against it, once. */
static int write_hello(sl_subscriptions *subscriptions, char *buffer, size_t capacity, size_t *ret_size_bytes)
{
    subscriptions->greeted = true;
    int size = subscriptions->driver->hello(buffer, capacity);
    SL_TRY(size);
    *ret_size_bytes = (size_t)size;
    subscriptions->stats.messages++;
    return 1;
}

int sl_subscriptions_next(sl_subscriptions *subscriptions, sl_time now, char *buffer, size_t capacity,
                          size_t *ret_size_bytes, sl_time *ret_when)
{
    *ret_when = SL_NEVER;
    if (!subscriptions->connected || subscriptions->driver->subscribe == NULL) {
        return 0;
    }
    expire(subscriptions, now);
    bool off = subscriptions->stats.count[SL_SUBSCRIPTION_LEAVING] > 0;
    collect(subscriptions, off ? SL_SUBSCRIPTION_LEAVING : SL_SUBSCRIPTION_WANTED, now, ret_when);
    if (off && subscriptions->batch.count == 0) {
        off = false;
        collect(subscriptions, SL_SUBSCRIPTION_WANTED, now, ret_when);
    }
    overdue_at(subscriptions, ret_when);
    bool hello = !subscriptions->greeted && subscriptions->driver->hello != NULL;
    if (subscriptions->batch.count == 0 && !hello) {
        return 0;
    }
    sl_time when = sl_rates_when(&subscriptions->rates, 1, now);
    if (when > now) {
        *ret_when = when;
        return 0;
    }
    SL_TRY(sl_rates_try(&subscriptions->rates, 1, now, NULL));
    if (hello) {
        return write_hello(subscriptions, buffer, capacity, ret_size_bytes);
    }
    int code = write_message(subscriptions, off, now, buffer, capacity, ret_size_bytes);
    *ret_when = code == 0 ? now : *ret_when; /* there may be more to send */
    return code;
}

/* What an answer means for one subscription. */
static void answer(sl_subscriptions *subscriptions, struct record *record, const sl_venue_notice *notice, sl_time now)
{
    switch (notice->kind) {
    case SL_NOTICE_SUBSCRIBED:
        subscriptions->stats.acknowledged++;
        activate(subscriptions, record, now);
        break;
    case SL_NOTICE_UNSUBSCRIBED:
        left(subscriptions, record, now);
        break;
    case SL_NOTICE_REFUSED:
        subscriptions->stats.refused++;
        if (record->state == SL_SUBSCRIPTION_LEAVING) { /* the venue does not know it: it is left */
            left(subscriptions, record, now);
        } else if (notice->permanent) {
            set_state(subscriptions, record, SL_SUBSCRIPTION_REFUSED);
        } else { /* for now: again and again, with more and more patience */
            ask_later(subscriptions, record, now);
        }
        break;
    default:
        break;
    }
}

static bool awaits(const struct record *record, const sl_venue_notice *notice)
{
    bool leaving = record->state == SL_SUBSCRIPTION_LEAVING && record->leave_sent;
    switch (notice->kind) {
    case SL_NOTICE_SUBSCRIBED:
        return record->state == SL_SUBSCRIPTION_ASKED;
    case SL_NOTICE_UNSUBSCRIBED:
        return leaving;
    default:
        return record->state == SL_SUBSCRIPTION_ASKED || leaving;
    }
}

/* An instrument is refused, whatever was asked of it. */
static int refuse_all_of(sl_subscriptions *subscriptions, const sl_venue_notice *notice, sl_time now)
{
    int found = 0;
    for (size_t at = subscriptions->count; at-- > 0;) {
        struct record *record = &subscriptions->records[at];
        if (record->what.instrument == notice->instrument && record->state == SL_SUBSCRIPTION_ASKED) {
            answer(subscriptions, record, notice, now);
            found = 1;
        }
    }
    return found;
}

/* One message is refused for good, because of one that it named: each is asked for by itself. 0: it named only one. */
static int part(sl_subscriptions *subscriptions, const sl_venue_notice *notice, sl_time now)
{
    size_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t at = 0; at < subscriptions->count && (pass == 0 || count > 1); at++) {
            struct record *record = &subscriptions->records[at];
            if (record->request_id != notice->request_id || record->state != SL_SUBSCRIPTION_ASKED) {
                continue;
            }
            count += pass == 0;
            if (pass == 1) {
                record->alone = true;
                record->not_before = now;
                set_state(subscriptions, record, SL_SUBSCRIPTION_WANTED);
            }
        }
    }
    return count > 1;
}

/* An answer to a message of ours, known by its id. */
static int answer_request(sl_subscriptions *subscriptions, const sl_venue_notice *notice, sl_time now)
{
    int found = 0;
    if (notice->request_id == 0) {
        return 0;
    }
    if (notice->kind == SL_NOTICE_REFUSED && notice->permanent && part(subscriptions, notice, now) > 0) {
        return 1;
    }
    for (size_t at = subscriptions->count; at-- > 0;) {
        struct record *record = &subscriptions->records[at];
        sl_venue_notice said = *notice;
        if (record->state == SL_SUBSCRIPTION_LEAVING && said.kind == SL_NOTICE_SUBSCRIBED) {
            said.kind = SL_NOTICE_UNSUBSCRIBED; /* a venue may answer both alike: the id says which it was */
        }
        if (record->request_id == said.request_id && awaits(record, &said)) {
            answer(subscriptions, record, &said, now);
            found = 1;
        }
    }
    return found;
}

int sl_subscriptions_notice(sl_subscriptions *subscriptions, const sl_venue_notice *notice, sl_time now)
{
    if (notice->kind == SL_NOTICE_RATE_LIMITED) {
        for (size_t at = 0; at < subscriptions->count; at++) {
            struct record *record = &subscriptions->records[at];
            if (record->state == SL_SUBSCRIPTION_ASKED) {
                subscriptions->stats.rate_limited++;
                ask_later(subscriptions, record, now);
            }
        }
        return 1;
    }
    if (notice->kind != SL_NOTICE_SUBSCRIBED && notice->kind != SL_NOTICE_UNSUBSCRIBED &&
        notice->kind != SL_NOTICE_REFUSED) {
        return 0;
    }
    if (notice->kind == SL_NOTICE_REFUSED && notice->instrument != NULL && notice->feed == SL_FEED_NONE) {
        return refuse_all_of(subscriptions, notice, now);
    }
    if (notice->instrument != NULL) {
        bool off = notice->kind == SL_NOTICE_UNSUBSCRIBED;
        struct record *record = find_channel(subscriptions, notice->feed, notice->instrument, notice->interval_ns,
                                             off ? SL_SUBSCRIPTION_LEAVING : SL_SUBSCRIPTION_ASKED);
        if (record == NULL || !awaits(record, notice)) {
            return 0;
        }
        answer(subscriptions, record, notice, now);
        return 1;
    }
    return answer_request(subscriptions, notice, now);
}

void sl_subscriptions_seen(sl_subscriptions *subscriptions, sl_feed feed, const sl_instrument *instrument,
                           int64_t interval_ns, sl_time now)
{
    if (subscriptions->stats.count[SL_SUBSCRIPTION_ASKED] == 0) {
        return;
    }
    struct record *record = find_channel(subscriptions, feed, instrument, interval_ns, SL_SUBSCRIPTION_ASKED);
    if (record != NULL) {
        activate(subscriptions, record, now);
    }
}

void sl_subscriptions_count_event(sl_subscriptions *subscriptions, sl_feed feed, const sl_instrument *instrument,
                                  int64_t interval_ns, sl_time now)
{
    struct record *record = find_channel(subscriptions, feed, instrument, interval_ns, SL_SUBSCRIPTION_ACTIVE);
    if (record != NULL) {
        record->heard.events++;
        memmove(&record->heard.last[1], &record->heard.last[0], sizeof record->heard.last - sizeof(sl_time));
        record->heard.last[0] = now;
    }
}

struct sl_subscription_heard *sl_subscriptions_heard(const sl_subscriptions *subscriptions, const sl_subscription *what)
{
    struct record *record = find(subscriptions, what);
    return record == NULL ? NULL : &record->heard;
}

sl_time sl_subscriptions_active_since(const sl_subscriptions *subscriptions, const sl_subscription *what)
{
    const struct record *record = find(subscriptions, what);
    return record != NULL && record->state == SL_SUBSCRIPTION_ACTIVE ? record->active_since : SL_NEVER;
}

bool sl_subscriptions_settled(const sl_subscriptions *subscriptions)
{
    const size_t *count = subscriptions->stats.count;
    return count[SL_SUBSCRIPTION_WANTED] + count[SL_SUBSCRIPTION_ASKED] + count[SL_SUBSCRIPTION_LEAVING] == 0;
}

size_t sl_subscriptions_count(const sl_subscriptions *subscriptions)
{
    return subscriptions->count;
}

bool sl_subscriptions_leaves(const sl_subscriptions *subscriptions, size_t index)
{
    const struct record *record = &subscriptions->records[index];
    return record->state == SL_SUBSCRIPTION_LEAVING && !record->again;
}

const sl_subscription *sl_subscriptions_at(const sl_subscriptions *subscriptions, size_t index,
                                           sl_subscription_state *ret_state)
{
    const struct record *record = &subscriptions->records[index];
    if (ret_state != NULL) {
        *ret_state = record->state;
    }
    return &record->what;
}

const sl_subscriptions_stats *sl_subscriptions_get_stats(const sl_subscriptions *subscriptions)
{
    return &subscriptions->stats;
}
