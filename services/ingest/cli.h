/* SPDX-License-Identifier: MIT */
/*
 * The command line by tables: a struct sl_cli_command for each command, with its options and what its operands are.
 * Parsing, help, errors, shell completion and the man page are made of them. A new command is a file in
 * services/ingest/commands/ and a line in commands.c.
 */
#ifndef SL_INGEST_CLI_H
#define SL_INGEST_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "ingest/exit.h"
#include "sluice/time.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The type of an option; behind it what the member of the command's struct is. */
enum sl_cli_type {
    SL_CLI_FLAG,     /* bool; takes no value */
    SL_CLI_TEXT,     /* const char *, not empty */
    SL_CLI_TEXTS,    /* struct sl_cli_texts: may be given again and again */
    SL_CLI_FILE,     /* const char *; completed as a file's name */
    SL_CLI_COUNT,    /* uint64_t, below 10^15 */
    SL_CLI_PORT,     /* int, 0 to 65535 */
    SL_CLI_DURATION, /* sl_time: 250ms, 10s, 5m */
    SL_CLI_SPEED,    /* double > 0, or "max" for 0 */
    SL_CLI_CHOICE    /* int: the place of the word in `choices` */
};

#define SL_CLI_TEXTS_MAX 256

struct sl_cli_texts {
    const char *items[SL_CLI_TEXTS_MAX];
    size_t count;
};

struct sl_cli_option {
    const char *name; /* without the dashes */
    enum sl_cli_type type;
    size_t offset;            /* of the member in the command's struct */
    const char *help;         /* a phrase without a point at its end */
    const char *default_text; /* as on the command line; NULL: the member stays 0 */
    const char *value;        /* what help calls the value; NULL: by the type */
    /* COUNT, DURATION (in ns): the limits and how to tell of them; `max` 0: none. A duration of 0 is always allowed. */
    uint64_t min, max;
    const char *range;
    const char *const *choices; /* NULL-terminated */
};

/* The first members of an option: {SL_CLI_OPTION("speed", struct demo, speed), SL_CLI_SPEED...}. */
#define SL_CLI_OPTION(text, struct_type, member) .name = (text), .offset = offsetof(struct_type, member)

/* Of a command: {.name = ..., SL_CLI_OPTIONS(demo_options, struct demo), ...}. */
#define SL_CLI_OPTIONS(array, struct_type)                                                                             \
    .options = (array), .option_count = sizeof(array) / sizeof((array)[0]), .size_bytes = sizeof(struct_type)

/* What a command is run with; borrowed for the call. */
struct sl_cli_arguments {
    const void *options; /* the command's struct */
    const char *const *operands;
    size_t operand_count;
};

struct sl_cli_command {
    const char *name;        /* one or two words: "config dump" */
    const char *summary;     /* a phrase, for the list */
    const char *description; /* sentences, for help and man page; NULL: the summary is all there is to say */
    const char *operands;    /* as in the usage line: "CONFIG..."; NULL: takes none */
    size_t operand_min, operand_max;
    const char *const *operand_choices; /* NULL-terminated: for completion; NULL: files */
    const struct sl_cli_option *options;
    size_t option_count;
    size_t size_bytes;                                    /* of the struct; 0: it has no options */
    int (*run)(const struct sl_cli_arguments *arguments); /* returns the exit status */
};

/* A program: what it is called and its commands. */
struct sl_cli {
    const char *name, *version, *summary;
    const struct sl_cli_command *const *commands;
    size_t command_count;
};

/*
 * Runs the command that argv names and returns the exit status. `help`, `help COMMAND`, --help, -h and --version are
 * known to every program. What is wrong is told on standard error, with the nearest known word.
 */
int sl_cli_main(const struct sl_cli *cli, int argc, char **argv);

/* Help for one command, or (NULL) the list of all. */
void sl_cli_help(const struct sl_cli *cli, const struct sl_cli_command *command, FILE *out);

/* What help calls the value of an option: "DURATION"; "" for a flag. Into `buffer` when it is made of choices. */
#define SL_CLI_VALUE_BYTES 160
const char *sl_cli_value_name(const struct sl_cli_option *option, char buffer[SL_CLI_VALUE_BYTES]);

/* A script for completion; `shell` is bash, zsh or fish. 0, or SL_EINVAL for another. */
int sl_cli_completion(const struct sl_cli *cli, const char *shell, FILE *out);

/* The manual page, in roff. */
void sl_cli_man(const struct sl_cli *cli, FILE *out);

#ifdef __cplusplus
}
#endif

#endif
