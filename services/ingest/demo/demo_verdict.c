/* SPDX-License-Identifier: MIT */
/* The demo's books and trades beside the exchange's. See demo_verdict.h. */
#include "ingest/demo/demo_verdict.h"

#include <stdio.h>
#include <string.h>

#include "sinks/sqlite_check.h"

/* Whether every level of a side is true, and near the top none is missing. */
static bool true_side(const sl_book *mine, const sl_book *truth, sl_side side)
{
    size_t count = sl_book_count(mine, side);
    size_t depth = count < SL_DEMO_DEPTH ? count : SL_DEMO_DEPTH; /* a venue may give a few levels only */
    if (count == 0 && sl_book_count(truth, side) > 0) {
        return false;
    }
    sl_book_cursor cursor = sl_book_first(mine, side);
    const sl_level *level;
    while ((level = sl_book_next(&cursor)) != NULL) {
        const sl_decimal *quantity = sl_book_find(truth, side, level->price);
        if (quantity == NULL || sl_decimal_compare(*quantity, level->quantity) != 0) {
            return false;
        }
    }
    cursor = sl_book_first(truth, side);
    for (size_t at = 0; at < depth && (level = sl_book_next(&cursor)) != NULL; at++) {
        if (sl_book_find(mine, side, level->price) == NULL) {
            return false;
        }
    }
    return true;
}

static void judge_book(const struct sl_stream_place *place, const sl_truth *truth, const sl_instrument *instrument,
                       struct sl_demo_verdict *verdict)
{
    const sl_book *theirs = truth == NULL ? NULL : sl_truth_look(truth, instrument).book;
    bool same = place->book != NULL && theirs != NULL && !place->book_stale &&
                true_side(place->book, theirs, SL_SIDE_BUY) && true_side(place->book, theirs, SL_SIDE_SELL);
    verdict->books++;
    verdict->wrong += !same;
    if (!same && verdict->first_wrong[0] == '\0') {
        (void)snprintf(verdict->first_wrong, sizeof verdict->first_wrong, "%s", instrument->symbol);
    }
}

size_t sl_demo_stale_books(sl_program_parts *parts)
{
    const sl_instruments *table = sl_program_instruments(parts);
    size_t stale = 0;
    for (const struct sl_program_service *service = sl_program_services(parts); service != NULL;
         service = service->next) {
        for (size_t at = 0; at < sl_instruments_count(table) && service->life != NULL; at++) {
            struct sl_stream_place place = {0};
            service->kind->look_at(service, sl_instruments_at(table, at), &place);
            stale += (place.feeds & SL_FEED_BIT(SL_FEED_DEPTH)) != 0 && place.book_stale;
        }
    }
    return stale;
}

/* The exchange has a table of its own. */
static const sl_instrument *theirs_of(const sl_truth *truth, const sl_instruments *theirs, const sl_instrument *ours)
{
    return truth == NULL ? NULL : sl_instruments_find(theirs, ours->venue, ours->symbol, strlen(ours->symbol));
}

void sl_demo_judge_books(const sl_simulated *exchange, const sl_instruments *theirs, sl_program_parts *parts,
                         struct sl_demo_verdict *verdict)
{
    const sl_instruments *table = sl_program_instruments(parts);
    for (const struct sl_program_service *service = sl_program_services(parts); service != NULL;
         service = service->next) {
        for (size_t at = 0; at < sl_instruments_count(table) && service->life != NULL; at++) {
            const sl_instrument *instrument = sl_instruments_at(table, at);
            struct sl_stream_place place = {0};
            service->kind->look_at(service, instrument, &place);
            const sl_truth *truth = sl_simulated_truth(exchange, instrument->venue);
            if ((place.feeds & SL_FEED_BIT(SL_FEED_DEPTH)) != 0) {
                judge_book(&place, truth, theirs_of(truth, theirs, instrument), verdict);
            }
        }
    }
}

int sl_demo_judge_trades(const char *database, const sl_instruments *theirs, const struct sl_demo_trades *trades,
                         struct sl_demo_verdict *verdict)
{
    sl_auto(sl_sqlite_check) *check = NULL;
    SL_TRY(sl_sqlite_check_open(database, &check));
    for (size_t at = 0; at < sl_instruments_count(theirs); at++) {
        const struct sl_demo_trades *sent = &trades[at];
        sl_sqlite_trades found = {0};
        if (sent->first_id == 0) {
            continue;
        }
        SL_TRY(sl_sqlite_check_trades(check, sl_instruments_at(theirs, at), sent->first_id, sent->last_id, &found));
        verdict->sent += (uint64_t)(sent->last_id - sent->first_id + 1);
        verdict->written += found.count;
        verdict->early += found.count > 0 ? (uint64_t)(found.first_id - sent->first_id) : 0;
        verdict->untold += found.untold + (found.last_id != sent->last_id); /* the last tells of those before it */
    }
    return 0;
}

bool sl_demo_verdict_good(const struct sl_demo_verdict *verdict)
{
    return verdict->wrong == 0 && verdict->books > 0 && verdict->untold == 0;
}
