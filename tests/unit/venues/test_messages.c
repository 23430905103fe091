/* SPDX-License-Identifier: MIT */
/*
 * Each kind of message of each venue, from messages.txt: it comes to what is said there, and docs/reference/venues.md
 * has the same table. What a driver offers, and what every venue says besides, is among them.
 */
#include "message_samples.h"
#include "venue_kit.h"

#define PAGE_BYTES ((size_t)64 << 10)

static void open_kit(venue_kit *kit, sl_venue venue)
{
    venue_kit_instrument instruments[4] = {{.symbol = NULL}};
    for (size_t at = 0; at < 3; at++) {
        static const char *const bases[] = {"BTC", "ETH", "SOL"};
        instruments[at] =
            (venue_kit_instrument){.symbol = sample_symbols[venue][at], .base = bases[at], .quote = "USD"};
    }
    venue_kit_open(kit, venue, instruments);
}

/* The kinds of the lines in the order they came, each once: "ticker+best", "! refused". */
static void outcome_of(const venue_kit *kit, int code, char *outcome, size_t size_bytes)
{
    (void)snprintf(outcome, size_bytes, "%s", code == SL_ENOTSUP ? "unknown" : code < 0 ? "bad" : "");
    for (const char *line = kit->text; *line != '\0'; line = strchr(line, '\n') + 1) {
        char word[40];
        size_t length = strcspn(line, " \n");
        if (line[0] == '!') { /* two words where the second one is part of the kind */
            length = 2 + strcspn(line + 2, " \n");
            length += strncmp(line, "! rate limited", 14) == 0 ? 8 : strncmp(line, "! last trade", 12) == 0 ? 6 : 0;
        }
        (void)snprintf(word, sizeof word, "%.*s", (int)length, line);
        if (strstr(outcome, word) == NULL) {
            (void)snprintf(outcome + strlen(outcome), size_bytes - strlen(outcome), "%s%s",
                           outcome[0] == '\0' ? "" : "+", word);
        }
    }
}

static void each_kind_comes_to_what_the_table_says(void **state)
{
    (void)state;
    struct samples *samples = samples_read();
    size_t tried = 0, bad = 0;
    for (int venue = SL_VENUE_NONE + 1; venue < SL_VENUE_EXTERNAL; venue++) {
        venue_kit kit;
        open_kit(&kit, (sl_venue)venue);
        for (size_t at = 0; at < samples->count; at++) {
            char text[SAMPLE_BYTES], outcome[100];
            if (!sample_is_of(&samples->all[at], (sl_venue)venue)) {
                continue;
            }
            size_t size_bytes = sample_write(&samples->all[at], sample_symbols[venue][0], text, sizeof text);
            int code = venue_kit_decode(&kit, text, size_bytes);
            outcome_of(&kit, code, outcome, sizeof outcome);
            bool first_of_two = strcmp(samples->all[at].outcome, "! unsubscribed") == 0 && venue == SL_VENUE_COINBASE &&
                                at + 1 < samples->count &&
                                strcmp(samples->all[at].kind, samples->all[at + 1].kind) == 0;
            if (!first_of_two && strcmp(outcome, samples->all[at].outcome) != 0) {
                print_error("%s, %s: came to \"%s\", not \"%s\": %s\n  %s\n", sl_venue_name((sl_venue)venue),
                            samples->all[at].kind, outcome, samples->all[at].outcome, sl_venue_problem(kit.decoder),
                            text);
                bad++;
            }
            tried++;
        }
        venue_kit_close(&kit);
    }
    print_message("%zu samples, tried %zu times\n", samples->count, tried);
    assert_int_equal(bad, 0);
    free(samples);
}

static bool has_outcome(const struct samples *samples, sl_venue venue, const char *word)
{
    for (size_t at = 0; at < samples->count; at++) {
        if (sample_is_of(&samples->all[at], venue) && strstr(samples->all[at].outcome, word) != NULL) {
            return true;
        }
    }
    return false;
}

static void nothing_that_a_venue_offers_is_left_out(void **state)
{
    (void)state;
    static const char *const kinds[SL_FEED_COUNT] = {[SL_FEED_TRADES] = "trade",
                                                     [SL_FEED_AGG_TRADES] = "trade",
                                                     [SL_FEED_DEPTH] = "book_delta",
                                                     [SL_FEED_BEST] = "best",
                                                     [SL_FEED_TICKER] = "ticker",
                                                     [SL_FEED_CANDLES] = "candle",
                                                     [SL_FEED_FUNDING] = "funding",
                                                     [SL_FEED_LIQUIDATIONS] = "liquidation",
                                                     [SL_FEED_OPEN_INTEREST] = "open_interest",
                                                     [SL_FEED_STATUS] = "status"};
    static const char *const always[] = {"! subscribed", "! refused", "! rate limited", "unknown"};
    struct samples *samples = samples_read();
    for (int venue = SL_VENUE_NONE + 1; venue < SL_VENUE_EXTERNAL; venue++) {
        const sl_venue_driver *driver = sl_venue_driver_of((sl_venue)venue);
        bool missing = driver->ping != NULL && !has_outcome(samples, (sl_venue)venue, "! pong");
        for (size_t at = 0; at < sizeof always / sizeof *always; at++) {
            missing = missing || !has_outcome(samples, (sl_venue)venue, always[at]);
        }
        bool in_stream = driver->book_rule >= SL_BOOK_RULE_CONSECUTIVE && driver->book_rule != SL_BOOK_RULE_TIMED;
        missing = missing || (in_stream && !has_outcome(samples, (sl_venue)venue, "book_snapshot"));
        for (int feed = 1; feed < SL_FEED_COUNT; feed++) {
            bool offered = (driver->feeds & SL_FEED_BIT(feed)) != 0;
            missing =
                missing || (offered && (kinds[feed] == NULL || !has_outcome(samples, (sl_venue)venue, kinds[feed])));
        }
        if (missing) {
            fail_msg("%s: messages.txt does not have all that it sends", driver->title);
        }
    }
    free(samples);
}

/* Each kind is a row of the page, and the page has no other rows. */
static void the_page_has_the_same_table(void **state)
{
    (void)state;
    struct samples *samples = samples_read();
    char *page = calloc(1, PAGE_BYTES);
    FILE *file = fopen(SL_TEST_SOURCE_DIR "/docs/reference/venues.md", "r");
    assert_true(page != NULL && file != NULL);
    assert_true(fread(page, 1, PAGE_BYTES - 1, file) < PAGE_BYTES - 1);
    (void)fclose(file);
    size_t rows = 0, found = 0;
    for (size_t at = 0; at < samples->count; at++) {
        const struct sample *sample = &samples->all[at];
        char row[300];
        if (at > 0 && strcmp(sample->kind, sample[-1].kind) == 0 && strcmp(sample->venues, sample[-1].venues) == 0) {
            continue;
        }
        (void)snprintf(row, sizeof row, "\n| %s | %s | %s |\n", sample->venues, sample->kind, sample->outcome);
        rows++;
        if (strstr(page, row) == NULL) {
            fail_msg("docs/reference/venues.md lacks the row%s", row);
        }
    }
    const char *table = strstr(page, "| venues | message | comes to |");
    assert_non_null(table);
    for (const char *at = table; (at = strstr(at, "\n| ")) != NULL; at++) {
        found++;
    }
    assert_int_equal(found, rows + 0);
    free(page);
    free(samples);
}

SL_TEST_MAIN(cmocka_unit_test(each_kind_comes_to_what_the_table_says),
             cmocka_unit_test(nothing_that_a_venue_offers_is_left_out), cmocka_unit_test(the_page_has_the_same_table))
