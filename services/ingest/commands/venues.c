/* SPDX-License-Identifier: MIT */
/* sluice venues: what the drivers know of each venue. */
#include <inttypes.h>
#include <stdio.h>

#include "ingest/commands.h"
#include "sluice/json_write.h"
#include "venues/venue.h"

struct options {
    bool json;
};

static const char *const request_names[SL_REQUEST_KIND_COUNT] = {[SL_REQUEST_INSTRUMENTS] = "instruments",
                                                                 [SL_REQUEST_SNAPSHOT] = "snapshot",
                                                                 [SL_REQUEST_TRADES] = "trades",
                                                                 [SL_REQUEST_CANDLES] = "candles",
                                                                 [SL_REQUEST_OPEN_INTEREST] = "open_interest",
                                                                 [SL_REQUEST_TICKER] = "ticker",
                                                                 [SL_REQUEST_BEST] = "best",
                                                                 [SL_REQUEST_FUNDING] = "funding"};
_Static_assert(SL_REQUEST_KIND_COUNT == 9, "each kind has a name");

static double seconds(sl_time time)
{
    return (double)time / 1e9;
}

/* ---- for people ---- */

static void print_names(const sl_venue_driver *driver)
{
    (void)printf("  feeds     ");
    for (int feed = 1; feed < SL_FEED_COUNT; feed++) {
        if (driver->feeds & SL_FEED_BIT(feed)) {
            (void)printf(" %s", sl_feed_name((sl_feed)feed));
        }
    }
    (void)printf("\n  requests  ");
    for (int kind = 1; kind < SL_REQUEST_KIND_COUNT; kind++) {
        if (driver->requests & 1u << kind) {
            (void)printf(" %s", request_names[kind]);
        }
    }
    (void)printf("\n");
}

static void print_limits(const sl_venue_driver *driver)
{
    const sl_venue_stream_limits *limits = &driver->limits;
    (void)printf("  streams    %s", driver->stream_origin);
    if (limits->per_connection > 0) {
        (void)printf(", %" PRIu32 " subscriptions a connection", limits->per_connection);
    }
    if (limits->messages > 0) {
        (void)printf(", %" PRIu32 " messages in %.0f s", limits->messages, seconds(limits->messages_per));
    }
    if (limits->connects > 0) {
        (void)printf(", %" PRIu32 " connects in %.0f s", limits->connects, seconds(limits->connects_per));
    }
    if (limits->max_age > 0) {
        (void)printf(", cut after %.0f h", seconds(limits->max_age) / 3600);
    }
    (void)printf("\n  REST       %s", driver->rest_origin);
    for (size_t at = 0; at < SL_VENUE_RATES_MAX && driver->rates[at].count > 0; at++) {
        (void)printf(", %" PRIu64 " units in %.0f s", (uint64_t)driver->rates[at].count,
                     seconds(driver->rates[at].period));
    }
    (void)printf("\n");
}

static void print_text(void)
{
    for (int venue = 1; venue < SL_VENUE_COUNT; venue++) {
        const sl_venue_driver *driver = sl_venue_driver_of((sl_venue)venue);
        if (driver != NULL) {
            (void)printf("%s: %s\n", sl_venue_name(driver->venue), driver->title);
            print_names(driver);
            print_limits(driver);
        }
    }
}

/* ---- for programs ---- */

static void put_lists(sl_json_writer *out, const sl_venue_driver *driver)
{
    sl_json_put_key(out, "feeds");
    sl_json_begin_array(out);
    for (int feed = 1; feed < SL_FEED_COUNT; feed++) {
        if (driver->feeds & SL_FEED_BIT(feed)) {
            sl_json_put_text(out, sl_feed_name((sl_feed)feed));
        }
    }
    sl_json_end_array(out);
    sl_json_put_key(out, "requests");
    sl_json_begin_array(out);
    for (int kind = 1; kind < SL_REQUEST_KIND_COUNT; kind++) {
        if (driver->requests & 1u << kind) {
            sl_json_put_text(out, request_names[kind]);
        }
    }
    sl_json_end_array(out);
    sl_json_put_key(out, "rates");
    sl_json_begin_array(out);
    for (size_t at = 0; at < SL_VENUE_RATES_MAX && driver->rates[at].count > 0; at++) {
        sl_json_begin_object(out);
        sl_json_put_key_double(out, "units", (double)driver->rates[at].count);
        sl_json_put_key_double(out, "seconds", seconds(driver->rates[at].period));
        sl_json_end_object(out);
    }
    sl_json_end_array(out);
}

static void put_limits(sl_json_writer *out, const sl_venue_stream_limits *limits)
{
    sl_json_put_key(out, "limits"); /* 0: none known */
    sl_json_begin_object(out);
    sl_json_put_key_double(out, "subscriptions", limits->per_connection);
    sl_json_put_key_double(out, "subscriptions_per_message", limits->per_message);
    sl_json_put_key_double(out, "messages", limits->messages);
    sl_json_put_key_double(out, "messages_seconds", seconds(limits->messages_per));
    sl_json_put_key_double(out, "connects", limits->connects);
    sl_json_put_key_double(out, "connects_seconds", seconds(limits->connects_per));
    sl_json_put_key_double(out, "max_age_seconds", seconds(limits->max_age));
    sl_json_put_key_double(out, "ping_seconds", seconds(limits->ping_every));
    sl_json_put_key_double(out, "silence_seconds", seconds(limits->silence));
    sl_json_put_key_bool(out, "acknowledges", limits->acknowledges);
    sl_json_end_object(out);
}

static int print_json(void)
{
    sl_json_writer out;
    sl_json_writer_init(&out, 0);
    sl_json_begin_object(&out);
    sl_json_put_key(&out, "venues");
    sl_json_begin_array(&out);
    for (int venue = 1; venue < SL_VENUE_COUNT; venue++) {
        const sl_venue_driver *driver = sl_venue_driver_of((sl_venue)venue);
        if (driver != NULL) {
            sl_json_begin_object(&out);
            sl_json_put_key_text(&out, "name", sl_venue_name(driver->venue));
            sl_json_put_key_text(&out, "title", driver->title);
            sl_json_put_key_text(&out, "stream_origin", driver->stream_origin);
            sl_json_put_key_text(&out, "rest_origin", driver->rest_origin);
            put_lists(&out, driver);
            put_limits(&out, &driver->limits);
            sl_json_end_object(&out);
        }
    }
    sl_json_end_array(&out);
    sl_json_end_object(&out);
    return sl_command_print_json(&out);
}

static int run_venues(const struct sl_cli_arguments *arguments)
{
    const struct options *options = arguments->options;
    if (!options->json) {
        print_text();
        return SL_EXIT_DONE;
    }
    return print_json() < 0 ? SL_EXIT_FAILED : SL_EXIT_DONE;
}

static const struct sl_cli_option venues_options[] = {
    {SL_CLI_OPTION("json", struct options, json), .type = SL_CLI_FLAG, .help = "as JSON"}};

const struct sl_cli_command sl__command_venues = {
    .name = "venues",
    .summary = "list the venues: what they stream, what can be asked, their limits",
    SL_CLI_OPTIONS(venues_options, struct options),
    .run = run_venues};
