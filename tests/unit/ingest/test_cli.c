/* SPDX-License-Identifier: MIT */
/* The command line: every type of option, operands, words of commands; what is said about wrong ones is in tests/integration. */
#include "sl_test.h"

#include <stdlib.h>
#include <string.h>

#include "ingest/cli.h"
#include "ingest/commands.h"

struct values {
    bool flag;
    const char *text, *file;
    struct sl_cli_texts texts;
    uint64_t count;
    int port, choice;
    sl_time wait;
    double speed;
};

static struct values seen;
static const char *operands[4];
static size_t operand_count;
static int runs;

static int run(const struct sl_cli_arguments *arguments)
{
    seen = *(const struct values *)arguments->options;
    operand_count = arguments->operand_count;
    for (size_t i = 0; i < operand_count; i++) {
        operands[i] = arguments->operands[i];
    }
    return ++runs;
}

static int run_bare(const struct sl_cli_arguments *arguments)
{
    assert_int_equal(arguments->operand_count, 0);
    return 40;
}

static const char *const words[] = {"red", "green", NULL};
static const struct sl_cli_option options[] = {
    {SL_CLI_OPTION("flag", struct values, flag), .type = SL_CLI_FLAG, .help = "it's a [flag]: yes"},
    {SL_CLI_OPTION("text", struct values, text), .type = SL_CLI_TEXT, .default_text = "a b", .help = "text"},
    {SL_CLI_OPTION("file", struct values, file), .type = SL_CLI_FILE, .help = "file"},
    {SL_CLI_OPTION("texts", struct values, texts), .type = SL_CLI_TEXTS, .help = "texts"},
    {SL_CLI_OPTION("count", struct values, count), .type = SL_CLI_COUNT, .min = 2, .max = 9, .range = "2 to 9",
     .help = "count"},
    {SL_CLI_OPTION("port", struct values, port), .type = SL_CLI_PORT, .help = "port"},
    {SL_CLI_OPTION("color", struct values, choice), .type = SL_CLI_CHOICE, .choices = words, .range = "red or green",
     .default_text = "green", .help = "color"},
    {SL_CLI_OPTION("wait", struct values, wait), .type = SL_CLI_DURATION, .default_text = "1.5s", .help = "wait"},
    {SL_CLI_OPTION("speed", struct values, speed), .type = SL_CLI_SPEED, .default_text = "10", .help = "speed"},
};
static const struct sl_cli_command command = {.name = "go far",
                                              .summary = "it goes",
                                              .operands = "FILE...",
                                              .operand_min = 1,
                                              .operand_max = 3,
                                              SL_CLI_OPTIONS(options, struct values),
                                              .run = run};
static const struct sl_cli_command bare = {.name = "version", .summary = "bare", .run = run_bare};
static const struct sl_cli_command *const commands[] = {&command, &bare};
static const struct sl_cli cli = {
    .name = "prog", .version = "1", .summary = "a program", .commands = commands, .command_count = 2};

/* The line lasts for the case: what is parsed points into it. */
static char text[512];

/* Runs `prog WORDS`. */
static int line(const char *arguments)
{
    char *argv[32];
    int argc = 0;
    char *save = NULL;
    (void)snprintf(text, sizeof text, "prog %s", arguments);
    for (char *word = strtok_r(text, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
        argv[argc++] = word;
    }
    memset(&seen, 0, sizeof seen);
    runs = 0;
    return sl_cli_main(&cli, argc, argv);
}

static void defaults_are_set(void **state)
{
    (void)state;
    assert_int_equal(line("go far x"), 1);
    assert_int_equal(operand_count, 1);
    assert_string_equal(operands[0], "x");
    assert_false(seen.flag);
    assert_string_equal(seen.text, "a b");
    assert_null(seen.file);
    assert_int_equal(seen.texts.count, 0);
    assert_int_equal(seen.choice, 1);
    assert_int_equal(seen.wait, SL_MILLISECONDS(1500));
    assert_true(seen.speed > 9.9 && seen.speed < 10.1);
}

static void all_types_are_read(void **state)
{
    (void)state;
    assert_int_equal(line("go far --flag --text t x --file=f --texts a --texts=b --count 9 --port 65535 --color red "
                          "--wait 250ms --speed max y"),
                     1);
    assert_int_equal(operand_count, 2);
    assert_string_equal(operands[1], "y");
    assert_true(seen.flag);
    assert_string_equal(seen.text, "t");
    assert_string_equal(seen.file, "f");
    assert_int_equal(seen.texts.count, 2);
    assert_string_equal(seen.texts.items[1], "b");
    assert_int_equal(seen.count, 9);
    assert_int_equal(seen.port, 65535);
    assert_int_equal(seen.choice, 0);
    assert_int_equal(seen.wait, SL_MILLISECONDS(250));
    assert_true(seen.speed < 0.1);
}

static void operands_are_counted(void **state)
{
    (void)state;
    assert_int_equal(line("go far"), SL_EXIT_USAGE);
    assert_int_equal(line("go far a b c"), 1);
    assert_int_equal(line("go far a b c d"), SL_EXIT_USAGE);
    assert_int_equal(runs, 0);
    assert_int_equal(line("go far -- --flag -"), 1);
    assert_string_equal(operands[0], "--flag");
    assert_string_equal(operands[1], "-");
    assert_int_equal(line("go far - x"), 1);
    assert_int_equal(line("go far -x"), SL_EXIT_USAGE);
    assert_int_equal(line("version"), 40);
    assert_int_equal(line("--version"), 40);
    assert_int_equal(line("version x"), SL_EXIT_USAGE);
}

static void wrong_lines_do_not_run(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "go",
        "go fra x",
        "gone",
        "go far x --flag=yes",
        "go far x --text",
        "go far x --text=",
        "go far x --count 1",
        "go far x --count 10",
        "go far x --count 1e1",
        "go far x --count -3",
        "go far x --count 99999999999999999999",
        "go far x --port 65536",
        "go far x --color blue",
        "go far x --color=",
        "go far x --wait 5",
        "go far x --wait 1y",
        "go far x --speed 0",
        "go far x --speed nan",
        "go far x --nothing",
        "go far x --",
        "version --flag",
        "help nothing",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        bool fine = strcmp(wrong[i], "go far x --") == 0; /* an end of options that ends nothing */
        if (line(wrong[i]) != (fine ? 1 : SL_EXIT_USAGE)) {
            fail_msg("%s", wrong[i]);
        }
    }
    char *texts[SL_CLI_TEXTS_MAX * 2 + 8] = {"prog", "go", "far", "x"};
    for (int i = 0; i <= SL_CLI_TEXTS_MAX; i++) {
        texts[4 + i * 2] = "--texts";
        texts[5 + i * 2] = "t";
    }
    assert_int_equal(sl_cli_main(&cli, 4 + SL_CLI_TEXTS_MAX * 2, texts), 1);
    assert_int_equal(seen.texts.count, SL_CLI_TEXTS_MAX);
    assert_int_equal(sl_cli_main(&cli, 6 + SL_CLI_TEXTS_MAX * 2, texts), SL_EXIT_USAGE);
}

static void help_does_not_run(void **state)
{
    (void)state;
    static const char *const lines[] = {"", "help", "--help", "-h", "help go far", "go far --help", "go far x -h"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(line(lines[i]), 0);
        assert_int_equal(runs, 0);
    }
}

/* Each default of each command of the program can be read, each name is one that help and completion can show. */
static void the_table_of_the_program_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < sl_program.command_count; i++) {
        const struct sl_cli_command *at = sl_program.commands[i];
        assert_non_null(at->run);
        assert_int_equal(at->operands != NULL, at->operand_max > 0);
        assert_int_equal(at->option_count > 0, at->size_bytes > 0);
        assert_true(strspn(at->name, "abcdefghijklmnopqrstuvwxyz ") == strlen(at->name));
        for (size_t j = 0; j < at->option_count; j++) {
            const struct sl_cli_option *option = &at->options[j];
            assert_true(strspn(option->name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(option->name));
            assert_true(strlen(option->name) < 32);
            assert_true(option->offset < at->size_bytes);
            assert_int_equal(option->type == SL_CLI_CHOICE, option->choices != NULL);
            assert_true(option->max == 0 || option->range != NULL);
            assert_true(option->help != NULL && option->help[strlen(option->help) - 1] != '.');
        }
        char name[64];
        (void)snprintf(name, sizeof name, "%s", at->name);
        char *rest = name;
        char *argv[] = {"sluice", strsep(&rest, " "), rest == NULL ? "--help" : rest, "--help", NULL};
        assert_int_equal(sl_cli_main(&sl_program, 4, argv), 0);
    }
}

SL_TEST_MAIN(cmocka_unit_test(defaults_are_set), cmocka_unit_test(all_types_are_read),
             cmocka_unit_test(operands_are_counted), cmocka_unit_test(wrong_lines_do_not_run),
             cmocka_unit_test(help_does_not_run), cmocka_unit_test(the_table_of_the_program_is_sound))
