/* SPDX-License-Identifier: MIT */
/*
 * A venue that numbers its changes, the connections that carry them, and a naive book, driven by bytes: for random
 * tests and for the fuzzer. Whatever is lost, repeated, late or cut, the keeper's book must be one that the venue had
 * (with ids: at exactly that id), what the keeper gives out must build the same book, and in the end it heals.
 */
#ifndef KEEPER_MODEL_H
#define KEEPER_MODEL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "market/keeper.h"

#define MODEL_PRICES 12
#define MODEL_STEPS 600
#define MODEL_CONNECTIONS 2
#define MODEL_QUEUE 2048

#define MODEL_CHECK(condition)                                                                                         \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                      \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

struct model_book {
    uint8_t quantities[2][MODEL_PRICES]; /* bids and asks, best first */
};

struct model_message {
    int step;
    bool snapshot;
};

struct model_connection {
    bool up;
    struct model_message queue[MODEL_QUEUE];
    size_t head, tail;
};

struct model {
    sl_book_rule rule;
    const uint8_t *data;
    size_t size_bytes;
    sl_instrument instrument;
    sl_keeper *keeper;
    sl_time now;
    int steps; /* history[0 .. steps] */
    struct model_book history[MODEL_STEPS + 1];
    int64_t first_ids[MODEL_STEPS + 1], ids[MODEL_STEPS + 1];
    struct model_connection connections[MODEL_CONNECTIONS];
    int pending; /* the step of a REST snapshot on its way, -1: none */
    struct model_book mirror;
    bool mirrored, gap_open;
    uint64_t gaps_seen, gaps_healed;
    sl_level levels[2][MODEL_PRICES];
};

static inline uint8_t model_byte(struct model *model)
{
    if (model->size_bytes == 0) {
        return 0;
    }
    model->size_bytes--;
    return *model->data++;
}

static inline sl_decimal model_price(int side, int place)
{
    return (sl_decimal){side == 0 ? 1000 - place : 1001 + place, -1};
}

static inline int model_place(int side, sl_decimal price)
{
    return (int)(side == 0 ? 1000 - price.mantissa : price.mantissa - 1001);
}

/* A checksum of all levels; real ones are the venues' own. */
static inline uint32_t model_checksum(const sl_book *book)
{
    uint32_t sum = 7;
    for (int side = 0; side < 2; side++) {
        sl_book_cursor cursor = sl_book_first(book, side == 0 ? SL_SIDE_BUY : SL_SIDE_SELL);
        const sl_level *level = NULL;
        while ((level = sl_book_next(&cursor)) != NULL) {
            sum = sum * 31 + (uint32_t)level->price.mantissa;
            sum = sum * 31 + (uint32_t)level->quantity.mantissa;
        }
    }
    return sum;
}

static inline uint32_t model_checksum_of(const struct model_book *book)
{
    uint32_t sum = 7;
    for (int side = 0; side < 2; side++) {
        for (int place = 0; place < MODEL_PRICES; place++) {
            if (book->quantities[side][place] != 0) {
                sum = sum * 31 + (uint32_t)model_price(side, place).mantissa;
                sum = sum * 31 + book->quantities[side][place];
            }
        }
    }
    return sum;
}

static inline void model_mirror(struct model *model, const sl_levels *levels)
{
    for (size_t at = 0; at < levels->bid_count; at++) {
        model->mirror.quantities[0][model_place(0, levels->bids[at].price)] =
            (uint8_t)levels->bids[at].quantity.mantissa;
    }
    for (size_t at = 0; at < levels->ask_count; at++) {
        model->mirror.quantities[1][model_place(1, levels->asks[at].price)] =
            (uint8_t)levels->asks[at].quantity.mantissa;
    }
}

static inline int model_event(void *arg, const sl_market_event *event)
{
    struct model *model = (struct model *)arg;
    MODEL_CHECK(event->instrument == &model->instrument);
    switch (event->kind) {
    case SL_EVENT_BOOK_SNAPSHOT:
        memset(&model->mirror, 0, sizeof(model->mirror));
        model_mirror(model, &event->as.snapshot.levels);
        model->mirrored = true;
        break;
    case SL_EVENT_BOOK_DELTA:
        MODEL_CHECK(model->mirrored && !model->gap_open);
        model_mirror(model, &event->as.delta.levels);
        break;
    case SL_EVENT_GAP:
        MODEL_CHECK(event->as.gap.healed == model->gap_open);
        MODEL_CHECK(event->as.gap.reason != SL_GAP_NONE);
        model->gap_open = !event->as.gap.healed;
        model->gaps_seen += !event->as.gap.healed;
        model->gaps_healed += event->as.gap.healed;
        break;
    default:
        MODEL_CHECK(false);
    }
    return 0;
}

static inline bool model_by_rest(const struct model *model)
{
    return model->rule == SL_BOOK_RULE_BINANCE_SPOT || model->rule == SL_BOOK_RULE_BINANCE_FUTURES ||
           model->rule == SL_BOOK_RULE_TIMED;
}

static inline bool model_has_ids(const struct model *model)
{
    return model->rule != SL_BOOK_RULE_CHECKSUM && model->rule != SL_BOOK_RULE_TRUSTED;
}

/* Whether the rule can see that one message is missing. */
static inline bool model_sees_loss(const struct model *model)
{
    return model->rule != SL_BOOK_RULE_TRUSTED && model->rule != SL_BOOK_RULE_TIMED;
}

static inline void model_push(struct model_connection *connection, int step, bool snapshot)
{
    if (connection->up && connection->tail < MODEL_QUEUE) {
        connection->queue[connection->tail++] = (struct model_message){step, snapshot};
    }
}

/* The market moves. */
static inline void model_step(struct model *model)
{
    if (model->steps == MODEL_STEPS) {
        return;
    }
    int step = ++model->steps;
    struct model_book *book = &model->history[step];
    *book = model->history[step - 1];
    for (int changes = 1 + model_byte(model) % 4; changes > 0; changes--) {
        uint8_t where = model_byte(model);
        book->quantities[where % 2][where / 2 % MODEL_PRICES] = (uint8_t)(model_byte(model) % 5);
    }
    int64_t before = model->ids[step - 1];
    bool single = model->rule == SL_BOOK_RULE_CONSECUTIVE;
    int64_t skipped = model->rule == SL_BOOK_RULE_BINANCE_FUTURES ? model_byte(model) % 3 : 0;
    model->first_ids[step] = before + 1 + skipped;
    model->ids[step] = model->first_ids[step] + (single ? 0 : model_byte(model) % 3);
    for (int at = 0; at < MODEL_CONNECTIONS; at++) {
        model_push(&model->connections[at], step, false);
    }
}

/* The levels of a snapshot, or those that changed in a step. */
static inline sl_levels model_levels(struct model *model, int step, bool snapshot)
{
    size_t counts[2] = {0, 0};
    const struct model_book *book = &model->history[step];
    for (int side = 0; side < 2; side++) {
        for (int place = 0; place < MODEL_PRICES; place++) {
            uint8_t quantity = book->quantities[side][place];
            bool told = snapshot ? quantity != 0 : quantity != model->history[step - 1].quantities[side][place];
            if (told) {
                model->levels[side][counts[side]++] = (sl_level){model_price(side, place), {quantity, 0}};
            }
        }
    }
    return (sl_levels){model->levels[0], model->levels[1], counts[0], counts[1]};
}

static inline sl_market_event model_message_event(struct model *model, struct model_message message, int connection)
{
    sl_market_event event = {.kind = message.snapshot ? SL_EVENT_BOOK_SNAPSHOT : SL_EVENT_BOOK_DELTA,
                             .feed = SL_FEED_DEPTH,
                             .connection = (uint32_t)connection,
                             .instrument = &model->instrument,
                             .receive_time_ns = model->now};
    sl_levels levels = model_levels(model, message.step, message.snapshot);
    sl_book_checksum checksum = {model->rule == SL_BOOK_RULE_CHECKSUM,
                                 model_checksum_of(&model->history[message.step])};
    int64_t last_id = model_has_ids(model) ? model->ids[message.step] : 0;
    if (message.snapshot) {
        event.as.snapshot = (sl_book_snapshot){.last_id = last_id, .checksum = checksum, .levels = levels};
    } else {
        event.as.delta = (sl_book_delta){.first_id = model_has_ids(model) ? model->first_ids[message.step] : 0,
                                         .last_id = last_id,
                                         .previous_id = model_has_ids(model) ? model->ids[message.step - 1] : 0,
                                         .has_previous = true,
                                         .checksum = checksum,
                                         .levels = levels};
    }
    return event;
}

static inline bool model_same_book(const sl_book *book, const struct model_book *expected)
{
    size_t counts[2] = {0, 0};
    for (int side = 0; side < 2; side++) {
        sl_side name = side == 0 ? SL_SIDE_BUY : SL_SIDE_SELL;
        for (int place = 0; place < MODEL_PRICES; place++) {
            uint8_t quantity = expected->quantities[side][place];
            const sl_decimal *found = sl_book_find(book, name, model_price(side, place));
            counts[side] += quantity != 0;
            if (quantity == 0 ? found != NULL : found == NULL || found->mantissa != quantity) {
                return false;
            }
        }
        if (sl_book_count(book, name) != counts[side]) {
            return false;
        }
    }
    return true;
}

/* What must be true at any time. */
static inline void model_check(struct model *model)
{
    const sl_book *book = sl_keeper_book(model->keeper);
    sl_keeper_state state = sl_keeper_get_state(model->keeper);
    const sl_keeper_stats *stats = sl_keeper_get_stats(model->keeper);
    MODEL_CHECK((book == NULL) == (state == SL_KEEPER_EMPTY));
    MODEL_CHECK((state == SL_KEEPER_STALE) == model->gap_open);
    MODEL_CHECK(stats->gaps == model->gaps_seen && stats->healed == model->gaps_healed);
    if (book == NULL) {
        return;
    }
    MODEL_CHECK(sl_book_verify(book) == 0);
    MODEL_CHECK(model_same_book(book, &model->mirror));
    bool found = state != SL_KEEPER_LIVE;
    for (int step = 0; step <= model->steps && !found; step++) {
        found = (!model_has_ids(model) || model->ids[step] == sl_keeper_last_id(model->keeper)) &&
                model_same_book(book, &model->history[step]);
    }
    MODEL_CHECK(found);
}

static inline void model_deliver(struct model *model, int which, bool again)
{
    struct model_connection *connection = &model->connections[which];
    if (connection->head == connection->tail) {
        return;
    }
    struct model_message message = connection->queue[connection->head];
    connection->head += !again;
    sl_market_event event = model_message_event(model, message, which);
    MODEL_CHECK(sl_keeper_event(model->keeper, &event, model->now) == 0);
}

static inline void model_connect(struct model *model, int which)
{
    struct model_connection *connection = &model->connections[which];
    if (!connection->up) {
        connection->up = true;
        connection->head = 0;
        connection->tail = 0;
        if (!model_by_rest(model)) {
            model_push(connection, model->steps, true);
        }
    }
}

static inline void model_disconnect(struct model *model, int which)
{
    struct model_connection *connection = &model->connections[which];
    if (connection->up) {
        connection->up = false;
        connection->head = connection->tail = 0;
        bool last = !model->connections[1 - which].up;
        MODEL_CHECK(sl_keeper_lost(model->keeper, (uint32_t)which, last, model->now) == 0);
    }
}

/* Does what the keeper wants; `late`: the REST servers are behind the stream by so many steps. */
static inline void model_serve(struct model *model, int late)
{
    uint32_t connection = 0;
    sl_keeper_want want = sl_keeper_wants(model->keeper, &connection);
    MODEL_CHECK(want != SL_KEEPER_SNAPSHOT || model_by_rest(model));
    MODEL_CHECK(want != SL_KEEPER_RENEWAL || !model_by_rest(model));
    if (want == SL_KEEPER_SNAPSHOT && model->pending < 0) {
        model->pending = model->steps > late ? model->steps - late : 0;
    } else if (want == SL_KEEPER_RENEWAL && connection < MODEL_CONNECTIONS) {
        model_push(&model->connections[connection], model->steps, true);
    }
}

static inline void model_answer(struct model *model)
{
    if (model->pending < 0) {
        return;
    }
    sl_market_event event = model_message_event(model, (struct model_message){model->pending, true}, 9);
    event.feed = SL_FEED_SNAPSHOT;
    model->pending = -1;
    int code = sl_keeper_snapshot(model->keeper, &event, model->now);
    MODEL_CHECK(code == 0 || code == 1);
    /* What was kept may have gone on with a hole, or not. Live now means joined. */
    MODEL_CHECK(code == 0 || sl_keeper_get_state(model->keeper) == SL_KEEPER_LIVE);
}

static inline void model_act(struct model *model)
{
    uint8_t action = model_byte(model);
    int which = action / 16 % MODEL_CONNECTIONS;
    sl_time when = 0;
    model->now += 1 + action % 3;
    switch (action % 16) {
    case 0:
    case 1:
    case 2:
        model_step(model);
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        model_deliver(model, which, false);
        break;
    case 7:
        if (model_sees_loss(model)) {
            model->connections[which].head += model->connections[which].head < model->connections[which].tail;
        }
        break;
    case 8:
        if (model_has_ids(model)) {
            model_deliver(model, which, true);
        }
        break;
    case 9:
        if (action >= 192) {
            model_disconnect(model, which);
        }
        break;
    case 10:
        model_connect(model, which);
        break;
    case 11:
        model_serve(model, action / 16 % 4);
        break;
    case 12:
        model_answer(model);
        break;
    case 13:
        MODEL_CHECK(sl_keeper_expire(model->keeper, model->now, &when) == 0);
        break;
    case 14:
        if (action >= 240) {
            MODEL_CHECK(sl_keeper_distrust(model->keeper, SL_GAP_CROSSED, model->now) == 0);
        }
        break;
    default:
        model_step(model);
        model_deliver(model, 0, false);
        model_deliver(model, 1, false);
        break;
    }
    model_check(model);
}

/* From here on nothing is lost: the book must become whole. */
static inline void model_heal(struct model *model)
{
    sl_time when = 0;
    for (int which = 0; which < MODEL_CONNECTIONS; which++) {
        model_connect(model, which);
    }
    for (int round = 0; round < 8; round++) {
        model->steps -= model->steps == MODEL_STEPS; /* room for one more */
        for (int which = 0; which < MODEL_CONNECTIONS; which++) {
            struct model_connection *connection = &model->connections[which];
            while (connection->head < connection->tail) {
                model_deliver(model, which, false);
                model_check(model);
            }
            connection->head = connection->tail = 0;
        }
        model->now += 1000000;
        MODEL_CHECK(sl_keeper_expire(model->keeper, model->now, &when) == 0);
        model_check(model);
        model_serve(model, 0);
        model_answer(model);
        model_check(model);
        if (model->steps < MODEL_STEPS - 1) {
            model_step(model);
        }
    }
    for (int which = 0; which < MODEL_CONNECTIONS; which++) {
        while (model->connections[which].head < model->connections[which].tail) {
            model_deliver(model, which, false);
        }
    }
    model_check(model);
    if (model->steps < MODEL_STEPS - 1) {
        MODEL_CHECK(sl_keeper_get_state(model->keeper) == SL_KEEPER_LIVE);
        MODEL_CHECK(model_same_book(sl_keeper_book(model->keeper), &model->history[model->steps]));
        MODEL_CHECK(!model->gap_open);
    }
}

/* Lives through what the bytes say, then heals. */
static inline void keeper_model_run(sl_book_rule rule, const uint8_t *data, size_t size_bytes)
{
    struct model *model = (struct model *)calloc(1, sizeof(*model));
    MODEL_CHECK(model != NULL);
    model->rule = rule;
    model->data = data;
    model->size_bytes = size_bytes;
    model->instrument = (sl_instrument){.venue = SL_VENUE_BINANCE_SPOT, .symbol = "A", .name = "A"};
    model->pending = -1;
    model->now = 1;
    model->ids[0] = 100;
    for (int place = 0; place < MODEL_PRICES; place++) {
        model->history[0].quantities[0][place] = (uint8_t)(place % 3);
        model->history[0].quantities[1][place] = (uint8_t)(1 + place % 2);
    }
    sl_keeper_options options = {.rule = rule,
                                 .instrument = &model->instrument,
                                 .checksum = rule == SL_BOOK_RULE_CHECKSUM ? model_checksum : NULL,
                                 .patience = (sl_time)(model_byte(model) % 4) * 5,
                                 .deltas_max = 2 + model_byte(model) % 64,
                                 .arg = model,
                                 .event = model_event};
    MODEL_CHECK(sl_keeper_new(&options, &model->keeper) == 0);
    while (model->size_bytes > 0) {
        model_act(model);
    }
    model_heal(model);
    sl_keeper_free(model->keeper);
    free(model);
}

#endif
