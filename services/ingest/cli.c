/* SPDX-License-Identifier: MIT */
/* The command line by tables: commands, options, operands, help. */
#include "ingest/cli.h"

#include <stdlib.h>
#include <string.h>

#include "sluice/memory.h"

#define NAME_BYTES_MAX 32
#define NEAR 2 /* so many slips of the finger are forgiven in a hint */

/* ---- hints ---- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Letters to add, leave out, change or swap to make one of the other (optimal string alignment). */
static unsigned distance(const char *one, size_t length, const char *other, size_t other_length)
{
    unsigned rows[3][NAME_BYTES_MAX + 1];
    if (length > NAME_BYTES_MAX || other_length > NAME_BYTES_MAX) {
        return NEAR + 1;
    }
    for (size_t j = 0; j <= other_length; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= length; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *before = rows[(i + 2) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= other_length; j++) {
            row[j] = least(least(before[j], row[j - 1]) + 1, before[j - 1] + (one[i - 1] != other[j - 1]));
            if (i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1]) {
                row[j] = least(row[j], rows[(i + 1) % 3][j - 2] + 1);
            }
        }
    }
    return rows[length % 3][other_length];
}

/* Keeps the nearest of the names that it is shown. */
struct hint {
    const char *word;
    size_t length;
    const char *nearest;
    size_t nearest_length;
    unsigned distance;
};

static void consider(struct hint *hint, const char *name, size_t length)
{
    unsigned away = distance(hint->word, hint->length, name, length);
    if (away < hint->distance) {
        hint->nearest = name;
        hint->nearest_length = length;
        hint->distance = away;
    }
}

/* ---- values ---- */

/* Digits with or without a point; no sign, exponent, hexadecimal or white space. */
static bool parse_number(const char *text, double *ret_number, const char **ret_rest)
{
    size_t length = strspn(text, "0123456789.");
    char *end = NULL;
    *ret_number = length == 0 ? 0 : strtod(text, &end);
    *ret_rest = end;
    return length > 0 && end == text + length && *ret_number < 1e15;
}

static bool parse_duration(const char *text, sl_time *ret_duration)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
    double number;
    const char *rest;
    if (!parse_number(text, &number, &rest)) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(rest, units[i].unit) == 0 && number * units[i].ns < 9e18) {
            *ret_duration = (sl_time)(number * units[i].ns);
            return true;
        }
    }
    return number == 0 && *rest == '\0' && (*ret_duration = 0, true);
}

static bool in_range(const struct sl_cli_option *option, uint64_t value)
{
    return option->max == 0 || (value >= option->min && value <= option->max);
}

static const char *set_duration(const struct sl_cli_option *option, const char *text, sl_time *ret_duration)
{
    sl_time duration = 0;
    if (!parse_duration(text, &duration)) {
        return "a duration like 250ms, 10s or 5m";
    }
    *ret_duration = duration;
    return duration == 0 || in_range(option, (uint64_t)duration) ? NULL : option->range;
}

static const char *set_choice(const struct sl_cli_option *option, const char *text, int *ret_choice)
{
    for (int i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(option->choices[i], text) == 0) {
            *ret_choice = i;
            return NULL;
        }
    }
    return option->range;
}

static const char *add_text(struct sl_cli_texts *texts, const char *text)
{
    if (*text == '\0' || texts->count == SL_CLI_TEXTS_MAX) {
        return *text == '\0' ? "a text" : "less of them";
    }
    texts->items[texts->count++] = text;
    return NULL;
}

/* Sets the member. NULL, or what was expected. */
static const char *set(const struct sl_cli_option *option, void *member, const char *text)
{
    double number = 0;
    const char *rest = "";
    bool is_number = parse_number(text, &number, &rest) && *rest == '\0';
    bool whole = is_number && number == (double)(uint64_t)number && strchr(text, '.') == NULL;
    switch (option->type) {
    case SL_CLI_TEXT:
    case SL_CLI_FILE:
        *(const char **)member = text;
        return *text == '\0' ? "a text" : NULL;
    case SL_CLI_TEXTS:
        return add_text(member, text);
    case SL_CLI_COUNT:
        *(uint64_t *)member = whole ? (uint64_t)number : 0;
        return !whole ? "a whole number" : in_range(option, (uint64_t)number) ? NULL : option->range;
    case SL_CLI_PORT:
        *(int *)member = whole && number <= 65535 ? (int)number : 0;
        return whole && number <= 65535 ? NULL : "a port, 0 to 65535";
    case SL_CLI_DURATION:
        return set_duration(option, text, member);
    case SL_CLI_SPEED:
        *(double *)member = is_number ? number : 0;
        return strcmp(text, "max") == 0 || (is_number && number > 0) ? NULL : "a factor above 0, or max";
    case SL_CLI_CHOICE:
        return set_choice(option, text, member);
    case SL_CLI_FLAG:
        break;
    }
    return "no value";
}

/* ---- commands ---- */

/* How many of the words of a name argv begins with: all of them, or 0. */
static int words_of(const char *name, int argc, char **argv)
{
    int words = 0;
    for (const char *at = name; *at != '\0'; words++) {
        size_t length = strcspn(at, " ");
        if (words >= argc || strlen(argv[words]) != length || memcmp(argv[words], at, length) != 0) {
            return 0;
        }
        at += length + (at[length] == ' ');
    }
    return words;
}

/* Whether the first word of a name of two is this. */
static bool begins_with(const char *name, const char *word)
{
    size_t length = strlen(word);
    return strncmp(name, word, length) == 0 && name[length] == ' ';
}

/* Says that there is no such command, and which was meant. */
static void no_command(const struct sl_cli *cli, int argc, char **argv)
{
    struct hint hint = {argv[0], strlen(argv[0]), NULL, 0, NEAR + 1};
    struct hint second = {argc < 2 ? "" : argv[1], argc < 2 ? 0 : strlen(argv[1]), NULL, 0, NEAR + 1};
    bool family = false;
    for (size_t i = 0; i < cli->command_count; i++) {
        const char *name = cli->commands[i]->name;
        if (begins_with(name, argv[0])) {
            family = true;
            consider(&second, strchr(name, ' ') + 1, strlen(strchr(name, ' ') + 1));
        }
        consider(&hint, name, strcspn(name, " "));
    }
    consider(&hint, "help", 4);
    if (family && second.nearest != NULL) {
        (void)fprintf(stderr, "%s: no command '%s %s'; did you mean '%s %s'?\n", cli->name, argv[0], argv[1], argv[0],
                      second.nearest);
    } else if (family) {
        (void)fprintf(stderr, "%s: behind '%s' is expected:", cli->name, argv[0]);
        for (size_t i = 0; i < cli->command_count; i++) {
            if (begins_with(cli->commands[i]->name, argv[0])) {
                (void)fprintf(stderr, " %s", strchr(cli->commands[i]->name, ' ') + 1);
            }
        }
        (void)fprintf(stderr, "\n");
    } else if (hint.nearest != NULL) {
        (void)fprintf(stderr, "%s: no command '%s'; did you mean '%.*s'?\n", cli->name, argv[0],
                      (int)hint.nearest_length, hint.nearest);
    } else {
        (void)fprintf(stderr, "%s: no command '%s'; see: %s help\n", cli->name, argv[0], cli->name);
    }
}

/* The command at the beginning of argv, and how many words it took; NULL after saying what is wrong. */
static const struct sl_cli_command *command_of(const struct sl_cli *cli, int argc, char **argv, int *ret_words)
{
    for (size_t i = 0; i < cli->command_count; i++) {
        *ret_words = words_of(cli->commands[i]->name, argc, argv);
        if (*ret_words > 0) {
            return cli->commands[i];
        }
    }
    no_command(cli, argc, argv);
    return NULL;
}

/* ---- arguments ---- */

/* One command line while it is read. */
struct reading {
    const struct sl_cli *cli;
    const struct sl_cli_command *command;
    char *values; /* the command's struct */
    const char **operands;
    size_t operand_count;
    bool help;
};

static const struct sl_cli_option *option_of(const struct sl_cli_command *command, const char *name, size_t length)
{
    for (size_t i = 0; i < command->option_count; i++) {
        const char *known = command->options[i].name;
        if (strlen(known) == length && memcmp(known, name, length) == 0) {
            return &command->options[i];
        }
    }
    return NULL;
}

/* The option of that name, or NULL after saying what is wrong with the argument. */
static const struct sl_cli_option *find(const struct reading *reading, const char *argument, size_t length)
{
    const struct sl_cli_command *command = reading->command;
    const char *name = reading->cli->name;
    struct hint hint = {argument + 2, length, NULL, 0, NEAR + 1};
    const struct sl_cli_option *option = option_of(command, argument + 2, length);
    if (option != NULL) {
        return option;
    }
    for (size_t i = 0; i < reading->cli->command_count; i++) {
        if (option_of(reading->cli->commands[i], argument + 2, length) != NULL) {
            (void)fprintf(stderr, "%s: %.*s is no option of '%s'; see: %s %s --help\n", name, (int)length + 2, argument,
                          command->name, name, command->name);
            return NULL;
        }
    }
    for (size_t i = 0; i < command->option_count; i++) {
        consider(&hint, command->options[i].name, strlen(command->options[i].name));
    }
    if (hint.nearest != NULL) {
        (void)fprintf(stderr, "%s: no option '%.*s'; did you mean --%s?\n", name, (int)length + 2, argument,
                      hint.nearest);
    } else {
        (void)fprintf(stderr, "%s: no option '%.*s'; see: %s %s --help\n", name, (int)length + 2, argument, name,
                      command->name);
    }
    return NULL;
}

/* Reads the option at argv[*at], which moves to its value if that stands apart. */
static int read_option(struct reading *reading, int argc, char **argv, int *at)
{
    const char *argument = argv[*at];
    size_t length = strcspn(argument + 2, "=");
    const struct sl_cli_option *option = find(reading, argument, length);
    if (option == NULL) {
        return SL_EINVAL;
    }
    const char *value = argument[2 + length] == '=' ? argument + 3 + length : NULL;
    void *member = reading->values + option->offset;
    if (option->type == SL_CLI_FLAG && value == NULL) {
        *(bool *)member = true;
        return 0;
    }
    if (value == NULL && *at + 1 < argc) {
        value = argv[++*at];
    }
    const char *expected = value == NULL ? "a value" : set(option, member, value);
    if (expected != NULL) {
        (void)fprintf(stderr, "%s: --%s: '%s' where %s was expected\n", reading->cli->name, option->name,
                      value == NULL ? "" : value, expected);
        return SL_EINVAL;
    }
    return 0;
}

static int unexpected(const struct reading *reading, const char *argument)
{
    (void)fprintf(stderr, "%s: unexpected argument '%s'; see: %s %s --help\n", reading->cli->name, argument,
                  reading->cli->name, reading->command->name);
    return SL_EINVAL;
}

static int read_arguments(struct reading *reading, int argc, char **argv)
{
    const struct sl_cli_command *command = reading->command;
    bool options_over = false;
    for (int i = 0; i < argc; i++) {
        const char *argument = argv[i];
        if (!options_over && (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)) {
            reading->help = true;
            return 0;
        }
        if (!options_over && strcmp(argument, "--") == 0) {
            options_over = true;
        } else if (!options_over && strncmp(argument, "--", 2) == 0) {
            SL_TRY(read_option(reading, argc, argv, &i));
        } else if (reading->operand_count == command->operand_max ||
                   (!options_over && argument[0] == '-' && argument[1] != '\0')) {
            return unexpected(reading, argument);
        } else {
            reading->operands[reading->operand_count++] = argument;
        }
    }
    if (reading->operand_count < command->operand_min) {
        (void)fprintf(stderr, "%s: %s needs %s; see: %s %s --help\n", reading->cli->name, command->name,
                      command->operands, reading->cli->name, command->name);
        return SL_EINVAL;
    }
    return 0;
}

/* The defaults of the table are read as the command line is: one that cannot be read is our mistake. */
static int set_defaults(const struct reading *reading)
{
    for (size_t i = 0; i < reading->command->option_count; i++) {
        const struct sl_cli_option *option = &reading->command->options[i];
        if (option->default_text != NULL &&
            set(option, reading->values + option->offset, option->default_text) != NULL) {
            return SL_EINTERNAL;
        }
    }
    return 0;
}

static int run(struct reading *reading, int argc, char **argv)
{
    const struct sl_cli_command *command = reading->command;
    if (set_defaults(reading) < 0) {
        (void)fprintf(stderr, "%s: a default of %s is wrong\n", reading->cli->name, command->name);
        return SL_EXIT_FAILED;
    }
    if (read_arguments(reading, argc, argv) < 0) {
        return SL_EXIT_USAGE;
    }
    if (reading->help) {
        sl_cli_help(reading->cli, command, stdout);
        return SL_EXIT_DONE;
    }
    return command->run(&(struct sl_cli_arguments){reading->values, reading->operands, reading->operand_count});
}

int sl_cli_main(const struct sl_cli *cli, int argc, char **argv)
{
    int words = 0;
    bool help =
        argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0;
    if (help && argc <= 2) {
        sl_cli_help(cli, NULL, stdout);
        return SL_EXIT_DONE;
    }
    char *version[] = {"version", NULL};
    bool is_version = !help && strcmp(argv[1], "--version") == 0;
    struct reading reading = {.cli = cli};
    reading.command =
        is_version ? command_of(cli, 1, version, &words) : command_of(cli, argc - 1 - help, argv + 1 + help, &words);
    if (reading.command == NULL) {
        return SL_EXIT_USAGE;
    }
    if (help) {
        sl_cli_help(cli, reading.command, stdout);
        return SL_EXIT_DONE;
    }
    reading.values = sl_calloc(1, reading.command->size_bytes + 1);
    reading.operands = sl_calloc((size_t)argc, sizeof *reading.operands);
    int status = SL_EXIT_FAILED;
    if (reading.values != NULL && reading.operands != NULL) {
        status = run(&reading, argc - 1 - words, argv + 1 + words);
    } else {
        (void)fprintf(stderr, "%s: no memory\n", cli->name);
    }
    sl_free(reading.values);
    sl_free(reading.operands);
    return status;
}

/* ---- help ---- */

const char *sl_cli_value_name(const struct sl_cli_option *option, char buffer[SL_CLI_VALUE_BYTES])
{
    static const char *const names[] = {"",     "TEXT",     "TEXT",       "FILE",   "N",
                                        "PORT", "DURATION", "FACTOR|max", "SYMBOL", "WORD"};
    size_t used = 0;
    buffer[0] = '\0';
    if (option->value != NULL || option->type != SL_CLI_CHOICE) {
        return option->value != NULL ? option->value : names[option->type];
    }
    for (size_t i = 0; option->choices[i] != NULL && used < SL_CLI_VALUE_BYTES; i++) {
        used +=
            (size_t)snprintf(buffer + used, SL_CLI_VALUE_BYTES - used, "%s%s", i == 0 ? "" : "|", option->choices[i]);
    }
    return buffer;
}

static void help_options(const struct sl_cli_command *command, FILE *out)
{
    for (size_t i = 0; i < command->option_count; i++) {
        const struct sl_cli_option *option = &command->options[i];
        char value[SL_CLI_VALUE_BYTES];
        char left[SL_CLI_VALUE_BYTES + NAME_BYTES_MAX];
        (void)snprintf(left, sizeof left, "--%s %s", option->name, sl_cli_value_name(option, value));
        (void)fprintf(out, "  %-24s %s", left, option->help);
        (void)fprintf(out, option->default_text != NULL ? "; default %s\n" : "\n", option->default_text);
    }
    (void)fprintf(out, "  %-24s %s\n", "--help", "this text");
}

void sl_cli_help(const struct sl_cli *cli, const struct sl_cli_command *command, FILE *out)
{
    if (command != NULL) {
        (void)fprintf(out, "Usage: %s %s%s%s%s\n\n%s\n\nOptions:\n", cli->name, command->name,
                      command->option_count > 0 ? " [OPTIONS]" : "", command->operands != NULL ? " " : "",
                      command->operands != NULL ? command->operands : "",
                      command->description != NULL ? command->description : command->summary);
        help_options(command, out);
        return;
    }
    (void)fprintf(out, "%s\n\nUsage: %s COMMAND [OPTIONS]\n\nCommands (%s COMMAND --help tells more):\n", cli->summary,
                  cli->name, cli->name);
    for (size_t i = 0; i < cli->command_count; i++) {
        (void)fprintf(out, "  %-12s %s\n", cli->commands[i]->name, cli->commands[i]->summary);
    }
    (void)fprintf(out, "  %-12s %s\n\nExit status:\n", "help", "this list, or help on a command");
#define EXIT_LINE(name, status, text) (void)fprintf(out, "  %-4d %s\n", status, text);
    SL_EXITS(EXIT_LINE)
}
