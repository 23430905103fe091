/* SPDX-License-Identifier: MIT */
/* sluice version | completion | man: about the program itself. */
#include <stdio.h>

#include "ingest/commands.h"

/* ---- version ---- */

static int run_version(const struct sl_cli_arguments *arguments)
{
    (void)arguments;
    printf("%s %s\n", sl_program.name, sl_program.version);
    return SL_EXIT_DONE;
}

const struct sl_cli_command sl__command_version = {.name = "version", .summary = "what it is", .run = run_version};

/* ---- completion ---- */

static const char *const shells[] = {"bash", "zsh", "fish", NULL};

static int run_completion(const struct sl_cli_arguments *arguments)
{
    if (sl_cli_completion(&sl_program, arguments->operands[0], stdout) < 0) {
        (void)fprintf(stderr, "sluice: no completion for '%s'; expected bash, zsh or fish\n", arguments->operands[0]);
        return SL_EXIT_USAGE;
    }
    return SL_EXIT_DONE;
}

const struct sl_cli_command sl__command_completion = {
    .name = "completion",
    .summary = "print the completion script of a shell",
    .description = "bash: source <(sluice completion bash)\n"
                   "zsh:  sluice completion zsh >\"${fpath[1]}/_sluice\"\n"
                   "fish: sluice completion fish >~/.config/fish/completions/sluice.fish",
    .operands = "bash|zsh|fish",
    .operand_min = 1,
    .operand_max = 1,
    .operand_choices = shells,
    .run = run_completion};

/* ---- man ---- */

static int run_man(const struct sl_cli_arguments *arguments)
{
    (void)arguments;
    sl_cli_man(&sl_program, stdout);
    return SL_EXIT_DONE;
}

const struct sl_cli_command sl__command_man = {.name = "man",
                                               .summary = "print the manual page",
                                               .description = "To read it: sluice man | man -l -",
                                               .run = run_man};
