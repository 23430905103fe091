/* SPDX-License-Identifier: MIT */
/*
 * sluice replay: captured files through decoders, trackers, books and sinks, and what came of it.
 *
 * The events depend on the files alone, not on the speed. In the file that `--sink file:PATH` writes the stamps do, too:
 * their run is the time of the first line, so that a second replay into the same file adds nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ingest/commands.h"
#include "ingest/program/program.h"
#include "ingest/program/sink_watch.h"
#include "ingest/progress.h"
#include "ingest/replay.h"
#include "sinks/file.h"
#include "sluice/runtime.h"
#include "sluice/task.h"

/* After so many lines others may run, and the bar is looked at. */
#define TURN 64
#define BAR_EVERY SL_MILLISECONDS(100)

/* Sinks are looked at so often: one that cannot write makes the player wait. */
#define SINKS_EVERY SL_SECONDS(1)

/* Lines that were not used are told of so often, then only counted. */
#define BAD_TOLD 5

struct options {
    struct sl_command_files files; /* of the configuration */
    const char *venue, *sink, *config;
    double speed;
    sl_time patience;
    bool in_turn, json;
    struct sl_cli_texts symbols;
};

struct player {
    const struct options *options;
    const struct sl_cli_arguments *arguments;
    sl_config *config; /* NULL: no sinks of it */
    sl_replay *replay;
    sl_fanout *fanout;
    sl_outlet *outlets[SL_FANOUT_MAX];
    struct sl__sink_kit *kits[SL_FANOUT_MAX]; /* of the configuration's sinks */
    size_t kit_count;
    size_t outlet_count;
    sl_time began, bar_at;
    bool bar;
    uint64_t bad;
};

/* ---- while it plays ---- */

static int on_event(void *arg, const sl_market_event *event)
{
    const struct player *player = arg;
    return player->outlet_count == 0 ? 0 : sl_fanout_write(player->fanout, event);
}

static void on_bad(void *arg, const char *path, const sl_capture_line *line, int code, const char *problem)
{
    struct player *player = arg;
    if (player->bad++ < BAD_TOLD) {
        (void)fprintf(stderr, "%ssluice: %s: line %" PRIu64 ": %s: %s\n", player->bar ? "\r\033[K" : "", path,
                      line->number, sl_strerror(code), problem);
    }
}

static void draw_bar(struct player *player, sl_time now)
{
    char bar[SL_PROGRESS_BAR_BYTES];
    sl_progress_bar(sl_replay_progress(player->replay), bar);
    const sl_replay_stats *stats = sl_replay_get_stats(player->replay);
    (void)fprintf(stderr, "\r\033[K%s  %" PRIu64 " messages, %.1f s", bar, stats->messages,
                  (double)(stats->last_ns - stats->first_ns) / 1e9);
    (void)fflush(stderr);
    player->bar_at = now + BAR_EVERY;
}

/* Until it is the next line's turn, by the speed. */
static int wait_for_turn(const struct player *player, int64_t first_ns, int64_t next_ns)
{
    if (player->options->speed <= 0 || next_ns <= first_ns) {
        return 0;
    }
    double after = (double)(next_ns - first_ns) / player->options->speed;
    sl_time when = after < 1e18 ? sl_time_add(player->began, (sl_time)after) : SL_NEVER;
    return when > sl_now() ? sl_sleep_until(when) : 0;
}

static int play_all(struct player *player)
{
    int64_t first_ns = 0;
    int64_t next_ns = 0;
    player->began = sl_now();
    bool any = sl_replay_peek(player->replay, &first_ns);
    for (uint64_t lines = 1; any && sl_replay_peek(player->replay, &next_ns); lines++) {
        SL_TRY(wait_for_turn(player, first_ns, next_ns));
        int code = sl_replay_next(player->replay);
        SL_TRY(code < 0 ? code : 0);
        if (lines % TURN == 0 || player->options->speed > 0) {
            SL_TRY(sl_checkpoint());
            sl_time now = player->bar ? sl_now() : 0;
            if (player->bar && now >= player->bar_at) {
                draw_bar(player, now);
            }
        }
    }
    return sl_replay_next(player->replay); /* holes that still wait */
}

/* ---- sinks ---- */

static int add_outlet(struct player *player, sl_outlet *outlet)
{
    if (player->outlet_count == SL_FANOUT_MAX) {
        sl_outlet_free(outlet);
        return sl_fail(SL_EMSGSIZE, "more than %d sinks", SL_FANOUT_MAX);
    }
    player->outlets[player->outlet_count++] = outlet;
    return sl_fanout_attach(player->fanout, outlet);
}

/* A sink waits for a folder that is not there. Nobody means that here: it is said at once. */
static int need_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? sl_strdup(".") : sl_strdup(path);
    if (folder == NULL) {
        return sl_fail(SL_ENOMEM, "out of memory for '%s'", path);
    }
    if (slash != NULL) {
        folder[slash - path + 1] = '\0';
    }
    int code = access(folder, W_OK | X_OK) == 0 ? 0 : -errno;
    code = code == 0 ? 0 : sl_fail(code, "--sink: no files can be written into '%s'", folder);
    sl_free(folder);
    return code;
}

static int open_file(struct player *player)
{
    static const char prefix[] = "file:";
    const char *text = player->options->sink;
    if (strncmp(text, prefix, sizeof prefix - 1) != 0 || text[sizeof prefix - 1] == '\0') {
        return sl_fail(SL_EINVAL, "--sink: '%s' where file:PATH was expected", text);
    }
    SL_TRY(need_folder(text + sizeof prefix - 1));
    int64_t first_ns = 1;
    bool any = sl_replay_peek(player->replay, &first_ns);
    sl_sink *sink = NULL;
    sl_outlet *outlet = NULL;
    SL_TRY(sl_file_sink_new(&(sl_file_options){.path = text + sizeof prefix - 1}, &sink));
    sl_outlet_options options = {
        .name = "file", .when_full = SL_FULL_BLOCK, .run = any ? (uint64_t)first_ns : 1, .drain = SL_MINUTES(10)};
    SL_TRY(sl_outlet_new(&options, sink, &outlet));
    return add_outlet(player, outlet);
}

static int open_sinks(struct player *player)
{
    SL_TRY(sl_fanout_new(&player->fanout));
    if (player->options->sink != NULL) {
        SL_TRY(open_file(player));
    }
    if (player->config == NULL) {
        return 0;
    }
    const struct sl_conf *conf = sl_config_root(player->config);
    for (size_t at = 0; at < conf->sinks.count; at++) {
        sl_outlet *outlet = NULL;
        const char *name = conf->sinks.names[at];
        if (player->kit_count == SL_FANOUT_MAX) {
            return sl_fail(SL_EMSGSIZE, "more than %d sinks", SL_FANOUT_MAX);
        }
        struct sl__sink_kit **kit = &player->kits[player->kit_count];
        SL_TRY(sl__sink_kit_new(player->config, kit));
        player->kit_count++;
        SL_TRY(sl__make_outlet(*kit, name, sl_conf_sink_find(conf, name), NULL, &outlet));
        SL_TRY(add_outlet(player, outlet));
    }
    return 0;
}

/* Tells of each sink that cannot write, once. */
static int watch_sinks(void *arg)
{
    const struct player *player = arg;
    bool told[SL_FANOUT_MAX] = {false};
    for (;;) {
        SL_TRY(sl_sleep(SINKS_EVERY));
        for (size_t at = 0; at < player->outlet_count; at++) {
            const sl_outlet_stats *stats = sl_outlet_get_stats(player->outlets[at]);
            if (stats->away && !told[at]) {
                (void)fprintf(stderr, "sluice: sink %s: events wait for it: %s\n", sl_outlet_name(player->outlets[at]),
                              stats->problem);
            }
            told[at] = stats->away;
        }
    }
}

/* What no sink has is an error, with the reason. */
static int judge_sinks(const struct player *player)
{
    int code = 0;
    for (size_t at = 0; at < player->outlet_count; at++) {
        const sl_outlet_stats *stats = sl_outlet_get_stats(player->outlets[at]);
        uint64_t left = stats->queued + stats->in_batch, lost = sl_sink_lost(stats);
        if (left + lost > 0) {
            code = sl_fail(-EIO, "sink %s: %" PRIu64 " events were not written and %" PRIu64 " are lost: %s",
                           sl_outlet_name(player->outlets[at]), left, lost, stats->problem);
        }
    }
    return code;
}

/* Plays while the sinks run, then lets them deliver. */
static int play(struct player *player)
{
    SL_SCOPE(scope, .name = "sinks");
    int code = 0;
    for (size_t at = 0; at < player->outlet_count && code == 0; at++) {
        code = sl_spawn(&scope, sl_outlet_run, player->outlets[at], .name = sl_outlet_name(player->outlets[at]));
    }
    code = code == 0 ? sl_spawn(&scope, watch_sinks, player, .daemon = true) : code;
    code = code == 0 ? play_all(player) : code;
    for (size_t at = 0; at < player->outlet_count; at++) {
        sl_outlet_end(player->outlets[at]);
    }
    return sl_scope_close(&scope, code);
}

/* ---- what came of it ---- */

static void print_json(const sl_replay_stats *stats, const struct sl_program_totals *sinks, double took)
{
    (void)printf("{\"messages\":%" PRIu64 ",\"requests\":%" PRIu64 ",\"notices\":%" PRIu64 ",\"bad\":%" PRIu64
                 ",\"unknown\":%" PRIu64 ",\"unknown_symbols\":%" PRIu64 ",\"instruments\":%" PRIu64
                 ",\"added\":%" PRIu64 ",\"damaged_bytes\":%" PRIu64 ",\"events\":{",
                 stats->messages, stats->requests, stats->notices, stats->bad, stats->unknown, stats->unknown_symbols,
                 stats->instruments, stats->added, stats->damaged_bytes);
    for (int kind = 1; kind < SL_EVENT_KIND_COUNT; kind++) {
        (void)printf("%s\"%s\":{\"decoded\":%" PRIu64 ",\"given\":%" PRIu64 "}", kind == 1 ? "" : ",",
                     sl_event_kind_name((sl_event_kind)kind), stats->found[kind], stats->given[kind]);
    }
    (void)printf("},\"gaps\":%" PRIu64 ",\"healed\":%" PRIu64 ",\"missing_trades\":%" PRIu64 ",\"repeated\":%" PRIu64
                 ",\"refused\":%" PRIu64 ",\"books\":{\"all\":%" PRIu64 ",\"live\":%" PRIu64 ",\"joined\":%" PRIu64
                 ",\"applied\":%" PRIu64 ",\"stale\":%" PRIu64 ",\"stale_snapshots\":%" PRIu64 ",\"dropped\":%" PRIu64
                 ",\"crossings\":%" PRIu64 ",\"crossed\":%" PRIu64 ",\"broken\":%" PRIu64 ",\"checksums\":%" PRIu64
                 ",\"checksum_failures\":%" PRIu64 "}",
                 stats->gaps, stats->healed, stats->missing_trades, stats->repeated, stats->refused, stats->book.books,
                 stats->book.live, stats->book.joins, stats->book.applied, stats->book.repeated,
                 stats->book.stale_snapshots, stats->book.dropped, stats->book.crossings, stats->book.crossed,
                 stats->book.broken, stats->book.checksums, stats->book.checksum_failures);
    (void)printf(",\"sinks\":{\"received\":%" PRIu64 ",\"written\":%" PRIu64 ",\"repeated\":%" PRIu64
                 ",\"dropped\":%" PRIu64 ",\"left\":%" PRIu64 "},\"recorded_seconds\":%.3f,\"took_seconds\":%.3f}\n",
                 sinks->received, sinks->written, sinks->repeated, sinks->dropped, sinks->queued + sinks->spooled,
                 (double)(stats->last_ns - stats->first_ns) / 1e9, took);
}

static void print_text(const sl_replay_stats *stats, const struct sl_program_totals *sinks, double took)
{
    double recorded = (double)(stats->last_ns - stats->first_ns) / 1e9;
    (void)printf("messages   %" PRIu64 ", %" PRIu64 " answers to requests, %" PRIu64 " notices, %" PRIu64
                 " bad, %" PRIu64 " of unknown kinds\n",
                 stats->messages, stats->requests, stats->notices, stats->bad, stats->unknown);
    (void)printf("instruments %" PRIu64 ", %" PRIu64 " of them added on first sight; %" PRIu64
                 " events of others left out\n",
                 stats->instruments, stats->added, stats->unknown_symbols);
    for (int kind = 1; kind < SL_EVENT_KIND_COUNT; kind++) {
        if (stats->found[kind] + stats->given[kind] > 0) {
            (void)printf("%-15s %" PRIu64 " decoded, %" PRIu64 " given out\n", sl_event_kind_name((sl_event_kind)kind),
                         stats->found[kind], stats->given[kind]);
        }
    }
    (void)printf("gaps       %" PRIu64 ", %" PRIu64 " healed; %" PRIu64 " trades missing, %" PRIu64
                 " copies dropped, %" PRIu64 " events refused\n",
                 stats->gaps, stats->healed, stats->missing_trades, stats->repeated, stats->refused);
    (void)printf("books      %" PRIu64 " of %" PRIu64 " live, %" PRIu64 " crossed, %" PRIu64 " broken; %" PRIu64
                 " snapshots joined, %" PRIu64 " too old; %" PRIu64 " updates applied, %" PRIu64 " stale\n",
                 stats->book.live, stats->book.books, stats->book.crossed, stats->book.broken, stats->book.joins,
                 stats->book.stale_snapshots, stats->book.applied, stats->book.repeated);
    (void)printf("checksums  %" PRIu64 " of %" PRIu64 " matched\n",
                 stats->book.checksums - stats->book.checksum_failures, stats->book.checksums);
    if (sinks->sinks > 0) {
        (void)printf("sinks      %" PRIu64 " written, %" PRIu64 " repeats ignored, %" PRIu64 " dropped, %" PRIu64
                     " left\n",
                     sinks->written, sinks->repeated, sinks->dropped, sinks->queued + sinks->spooled);
    }
    if (stats->damaged_bytes > 0) {
        (void)printf("damaged    %" PRIu64 " bytes of the recordings skipped\n", stats->damaged_bytes);
    }
    (void)printf("time       %.3f s recorded, played in %.3f s: %.0f times real time\n", recorded, took,
                 took > 0 ? recorded / took : 0);
}

static void report(struct player *player)
{
    double took = (double)(sl_now() - player->began) / 1e9;
    struct sl_program_totals sinks = {.sinks = player->outlet_count};
    for (size_t at = 0; at < player->outlet_count; at++) {
        sl__program_add_outlet(&sinks, player->outlets[at]);
    }
    const sl_replay_stats *stats = sl_replay_get_stats(player->replay);
    if (player->bar) {
        (void)fputs("\r\033[K", stderr);
    }
    if (player->bad > BAD_TOLD) {
        (void)fprintf(stderr, "sluice: and %" PRIu64 " more lines that could not be used\n", player->bad - BAD_TOLD);
    }
    if (player->options->json) {
        print_json(stats, &sinks, took);
    } else {
        print_text(stats, &sinks, took);
    }
}

/* ---- the command ---- */

static int replay_all(void *arg)
{
    struct player *player = arg;
    const struct options *options = player->options;
    sl_replay_options how = {.paths = player->arguments->operands,
                             .path_count = player->arguments->operand_count,
                             .venue = options->venue == NULL ? SL_VENUE_NONE : sl_venue_find(options->venue),
                             .in_turn = options->in_turn,
                             .symbols = options->symbols.items,
                             .symbol_count = options->symbols.count,
                             .patience = options->patience,
                             .arg = player,
                             .event = on_event,
                             .bad = on_bad};
    int code = sl_replay_open(&how, &player->replay);
    code = code == 0 ? open_sinks(player) : code;
    if (code == 0) {
        code = play(player);
        report(player);
        code = code == 0 ? judge_sinks(player) : code;
    }
    sl_fanout_free(player->fanout);
    for (size_t at = 0; at < player->outlet_count; at++) {
        sl_outlet_free(player->outlets[at]);
    }
    for (size_t at = 0; at < player->kit_count; at++) {
        sl__sink_kit_free(player->kits[at]);
    }
    sl_replay_close(player->replay);
    return code;
}

static int run_replay(const struct sl_cli_arguments *arguments)
{
    const struct options *options = arguments->options;
    if (options->venue != NULL && sl_venue_find(options->venue) == SL_VENUE_NONE) {
        (void)fprintf(stderr, "sluice: --venue: '%s' is not known; `sluice venues` lists them\n", options->venue);
        return SL_EXIT_USAGE;
    }
    if (options->venue == NULL && options->symbols.count > 0) {
        (void)fprintf(stderr, "sluice: --instrument needs --venue\n");
        return SL_EXIT_USAGE;
    }
    sl_auto(sl_config) *config = NULL;
    if (options->config != NULL) {
        struct sl_cli_arguments load = {.options = options, .operands = &options->config, .operand_count = 1};
        int status = sl_command_load_or_tell(&load, &config);
        if (status != SL_EXIT_DONE) {
            return status;
        }
    }
    struct player player = {.options = options,
                            .arguments = arguments,
                            .config = config,
                            .bar = !options->json && sl_progress_wanted(STDERR_FILENO)};
    return sl_main(replay_all, &player);
}

static const struct sl_cli_option replay_options[] = {
    SL_COMMAND_SET_OPTION,
    {SL_CLI_OPTION("venue", struct options, venue), .type = SL_CLI_TEXT, .value = "NAME",
     .help = "of captures that do not say it (hftbacktest, cryptofeed)"},
    {SL_CLI_OPTION("speed", struct options, speed), .type = SL_CLI_SPEED, .default_text = "max",
     .help = "1: as it was recorded"},
    {SL_CLI_OPTION("sink", struct options, sink), .type = SL_CLI_TEXT, .value = "file:PATH",
     .help = "write the events to PATH-00000001.ndjson"},
    {SL_CLI_OPTION("config", struct options, config), .type = SL_CLI_FILE, .help = "give them to the sinks of this"},
    {SL_CLI_OPTION("instrument", struct options, symbols), .type = SL_CLI_TEXTS, .value = "SYMBOL",
     .help = "is known before; may be repeated"},
    {SL_CLI_OPTION("patience", struct options, patience), .type = SL_CLI_DURATION, .default_text = "100ms",
     .max = 60000000000, .range = "0 to 60s", .help = "that a hole has, in recorded time, before it is a gap"},
    {SL_CLI_OPTION("in-turn", struct options, in_turn), .type = SL_CLI_FLAG,
     .help = "one file after the other, not together by their times"},
    {SL_CLI_OPTION("json", struct options, json), .type = SL_CLI_FLAG, .help = "tell the figures as JSON"}};

const struct sl_cli_command sl__command_replay = {
    .name = "replay",
    .summary = "play captured files through decoders, books and sinks",
    .description =
        "Takes recordings of `sluice record` and files of hftbacktest and cryptofeed, and tells what came of\n"
        "them: messages, events, gaps, books, checksums. Several files are played together, by their times.\n"
        "The events depend on the files alone: played again, or at another speed, they are the same bytes in\n"
        "the file of --sink, and playing into a file that has them already adds nothing.",
    .operands = "FILE...",
    .operand_min = 1,
    .operand_max = SL_REPLAY_FILES_MAX,
    SL_CLI_OPTIONS(replay_options, struct options),
    .run = run_replay};
