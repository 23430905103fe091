/* SPDX-License-Identifier: MIT */
/* Completion scripts and the manual page, made of the command table. */
#include <ctype.h>
#include <string.h>

#include "ingest/cli.h"

/* ---- what all shells need ---- */

/* The second words of commands that begin with the first word of command `index`; called once a family. */
static bool first_of_family(const struct sl_cli *cli, size_t index, size_t *ret_length)
{
    const char *name = cli->commands[index]->name;
    *ret_length = strcspn(name, " ");
    for (size_t i = 0; i < index; i++) {
        if (strncmp(cli->commands[i]->name, name, *ret_length + 1) == 0) {
            return false;
        }
    }
    return true;
}

/* A text in single quotes, for all three shells. */
static void put_quoted(FILE *out, const char *text, const char *quote)
{
    for (; *text != '\0'; text++) {
        (void)fputs(*text == '\'' ? quote : (char[]){*text, '\0'}, out);
    }
}

static void put_words(FILE *out, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        (void)fprintf(out, "%s%s", i == 0 ? "" : " ", words[i]);
    }
}

/* ---- bash ---- */

static void bash_command(FILE *out, const struct sl_cli_command *command)
{
    (void)fprintf(out, "    '%s')\n        options='--help", command->name);
    for (size_t i = 0; i < command->option_count; i++) {
        (void)fprintf(out, " --%s", command->options[i].name);
    }
    (void)fprintf(out, "'\n");
    if (command->operand_choices != NULL) {
        (void)fprintf(out, "        words='");
        put_words(out, command->operand_choices);
        (void)fprintf(out, "'\n");
    } else {
        (void)fprintf(out, "        files=%d\n", command->operands != NULL);
    }
    (void)fprintf(out, "        case $previous in\n");
    for (size_t i = 0; i < command->option_count; i++) {
        const struct sl_cli_option *option = &command->options[i];
        if (option->type == SL_CLI_CHOICE) {
            (void)fprintf(out, "        --%s) options='' files=0 words='", option->name);
            put_words(out, option->choices);
            (void)fprintf(out, "' ;;\n");
        } else if (option->type != SL_CLI_FLAG) {
            (void)fprintf(out, "        --%s) options='' words='' files=%d ;;\n", option->name,
                          option->type == SL_CLI_FILE);
        }
    }
    (void)fprintf(out, "        esac\n        ;;\n");
}

static void bash_second_words(FILE *out, const struct sl_cli *cli, size_t first, size_t length)
{
    (void)fprintf(out, "    '%.*s') words='", (int)length, cli->commands[first]->name);
    for (size_t i = first; i < cli->command_count; i++) {
        const char *name = cli->commands[i]->name;
        if (strncmp(name, cli->commands[first]->name, length + 1) == 0) {
            (void)fprintf(out, "%s%s", i == first ? "" : " ", name + length + 1);
        }
    }
    (void)fprintf(out, "' ;;\n");
}

static void bash(const struct sl_cli *cli, FILE *out)
{
    size_t length;
    (void)fprintf(out, "# bash completion for %s\n_%s() {\n", cli->name, cli->name);
    (void)fprintf(out, "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
                       "    local options='' words='' files=0 name=''\n    COMPREPLY=()\n"
                       "    if ((COMP_CWORD == 1)); then\n        words='help");
    for (size_t i = 0; i < cli->command_count; i++) {
        if (first_of_family(cli, i, &length)) {
            (void)fprintf(out, " %.*s", (int)length, cli->commands[i]->name);
        }
    }
    (void)fprintf(out, "'\n    else\n        name=${COMP_WORDS[1]}\n        case $name in\n");
    for (size_t i = 0; i < cli->command_count; i++) {
        if (first_of_family(cli, i, &length) && cli->commands[i]->name[length] == ' ') {
            (void)fprintf(out, "        '%.*s') ((COMP_CWORD == 2)) || name+=\" ${COMP_WORDS[2]}\" ;;\n", (int)length,
                          cli->commands[i]->name);
        }
    }
    (void)fprintf(out, "        esac\n    fi\n    case $name in\n");
    for (size_t i = 0; i < cli->command_count; i++) {
        if (first_of_family(cli, i, &length) && cli->commands[i]->name[length] == ' ') {
            bash_second_words(out, cli, i, length);
        }
        bash_command(out, cli->commands[i]);
    }
    (void)fprintf(out,
                  "    esac\n    if [[ $current == -* ]]; then\n        words=$options\n        files=0\n    fi\n"
                  "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
                  "    if ((files)); then\n        compopt -o filenames 2>/dev/null\n"
                  "        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$current\")\n    fi\n}\n"
                  "complete -F _%s %s\n",
                  cli->name, cli->name);
}

/* ---- zsh ---- */

/* Of _arguments: text in brackets must not have any itself, nor a colon. */
static void zsh_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("[]:\\", *text) != NULL) {
            (void)fputc('\\', out);
        }
        (void)fputs(*text == '\'' ? "'\\''" : (char[]){*text, '\0'}, out);
    }
}

static void zsh_command(FILE *out, const struct sl_cli_command *command)
{
    (void)fprintf(out, "    '%s')\n        _arguments '--help[this text]'", command->name);
    for (size_t i = 0; i < command->option_count; i++) {
        const struct sl_cli_option *option = &command->options[i];
        char value[SL_CLI_VALUE_BYTES];
        (void)fprintf(out, " \\\n            '%s--%s%s[", option->type == SL_CLI_TEXTS ? "*" : "", option->name,
                      option->type == SL_CLI_FLAG ? "" : "=");
        zsh_text(out, option->help);
        (void)fprintf(out, "]");
        if (option->type == SL_CLI_CHOICE) {
            (void)fprintf(out, ":word:(");
            put_words(out, option->choices);
            (void)fprintf(out, ")");
        } else if (option->type != SL_CLI_FLAG) {
            (void)fprintf(out, ":");
            zsh_text(out, sl_cli_value_name(option, value));
            (void)fprintf(out, ":%s", option->type == SL_CLI_FILE ? "_files" : "");
        }
        (void)fprintf(out, "'");
    }
    if (command->operand_choices != NULL) {
        (void)fprintf(out, " \\\n            '*:word:(");
        put_words(out, command->operand_choices);
        (void)fprintf(out, ")'");
    } else if (command->operands != NULL) {
        (void)fprintf(out, " \\\n            '*:file:_files'");
    }
    (void)fprintf(out, "\n        ;;\n");
}

static void zsh_families(const struct sl_cli *cli, FILE *out)
{
    size_t length;
    for (size_t i = 0; i < cli->command_count; i++) {
        const char *name = cli->commands[i]->name;
        if (!first_of_family(cli, i, &length) || name[length] != ' ') {
            continue;
        }
        (void)fprintf(out,
                      "    if [[ $name == '%.*s' ]]; then\n        if ((CURRENT == 2)); then\n            "
                      "_values 'command'",
                      (int)length, name);
        for (size_t j = i; j < cli->command_count; j++) {
            if (strncmp(cli->commands[j]->name, name, length + 1) == 0) {
                (void)fprintf(out, " '%s[", cli->commands[j]->name + length + 1);
                zsh_text(out, cli->commands[j]->summary);
                (void)fprintf(out, "]'");
            }
        }
        (void)fprintf(out, "\n            return\n        fi\n        name=\"$name ${words[2]}\"\n        shift words\n"
                           "        ((CURRENT--))\n    fi\n");
    }
}

static void zsh(const struct sl_cli *cli, FILE *out)
{
    size_t length;
    (void)fprintf(out,
                  "#compdef %s\n_%s() {\n    local name\n    if ((CURRENT == 2)); then\n        _values 'command' "
                  "'help[help on a command]'",
                  cli->name, cli->name);
    for (size_t i = 0; i < cli->command_count; i++) {
        if (first_of_family(cli, i, &length)) {
            (void)fprintf(out, " '%.*s[", (int)length, cli->commands[i]->name);
            zsh_text(out, cli->commands[i]->summary);
            (void)fprintf(out, "]'");
        }
    }
    (void)fprintf(out, "\n        return\n    fi\n    shift words\n    ((CURRENT--))\n    name=${words[1]}\n");
    zsh_families(cli, out);
    (void)fprintf(out, "    case $name in\n");
    for (size_t i = 0; i < cli->command_count; i++) {
        zsh_command(out, cli->commands[i]);
    }
    (void)fprintf(out, "    esac\n}\n_%s \"$@\"\n", cli->name);
}

/* ---- fish ---- */

static void fish_options(const struct sl_cli *cli, const struct sl_cli_command *command, const char *condition,
                         FILE *out)
{
    for (size_t i = 0; i < command->option_count; i++) {
        const struct sl_cli_option *option = &command->options[i];
        (void)fprintf(out, "complete -c %s -n '%s' -l %s", cli->name, condition, option->name);
        if (option->type == SL_CLI_CHOICE) {
            (void)fprintf(out, " -x -a '");
            put_words(out, option->choices);
            (void)fprintf(out, "'");
        } else if (option->type != SL_CLI_FLAG) {
            (void)fprintf(out, option->type == SL_CLI_FILE ? " -r -F" : " -x");
        }
        (void)fprintf(out, " -d '");
        put_quoted(out, option->help, "\\'");
        (void)fprintf(out, "'\n");
    }
    if (command->operand_choices != NULL) {
        (void)fprintf(out, "complete -c %s -n '%s' -a '", cli->name, condition);
        put_words(out, command->operand_choices);
        (void)fprintf(out, "'\n");
    } else if (command->operands != NULL) {
        (void)fprintf(out, "complete -c %s -n '%s' -F\n", cli->name, condition);
    }
}

static void fish(const struct sl_cli *cli, FILE *out)
{
    (void)fprintf(out,
                  "# fish completion for %s\ncomplete -c %s -f\n"
                  "complete -c %s -n __fish_use_subcommand -a help -d 'help on a command'\n",
                  cli->name, cli->name, cli->name);
    for (size_t i = 0; i < cli->command_count; i++) {
        const struct sl_cli_command *command = cli->commands[i];
        size_t length;
        char condition[160];
        bool first = first_of_family(cli, i, &length);
        bool two = command->name[length] == ' ';
        if (first) {
            (void)fprintf(out, "complete -c %s -n __fish_use_subcommand -a %.*s -d '", cli->name, (int)length,
                          command->name);
            put_quoted(out, command->summary, "\\'");
            (void)fprintf(out, "'\n");
        }
        (void)snprintf(condition, sizeof condition, "__fish_seen_subcommand_from %.*s", (int)length, command->name);
        if (two) {
            (void)fprintf(out, "complete -c %s -n '%s' -a %s -d '", cli->name, condition, command->name + length + 1);
            put_quoted(out, command->summary, "\\'");
            (void)fprintf(out, "'\n");
            (void)snprintf(condition, sizeof condition,
                           "__fish_seen_subcommand_from %.*s; and __fish_seen_subcommand_from %s", (int)length,
                           command->name, command->name + length + 1);
        }
        fish_options(cli, command, condition, out);
    }
}

int sl_cli_completion(const struct sl_cli *cli, const char *shell, FILE *out)
{
    if (strcmp(shell, "bash") == 0) {
        bash(cli, out);
    } else if (strcmp(shell, "zsh") == 0) {
        zsh(cli, out);
    } else if (strcmp(shell, "fish") == 0) {
        fish(cli, out);
    } else {
        return SL_EINVAL;
    }
    return 0;
}

/* ---- man ---- */

/* Text of a page: no line begins with a control character, dashes and backslashes are what they are. */
static void man_text(FILE *out, const char *text)
{
    bool begin = true;
    for (; *text != '\0'; text++) {
        if (begin && (*text == '.' || *text == '\'')) {
            (void)fputs("\\&", out);
        }
        begin = *text == '\n';
        if (*text == '\\' || *text == '-') {
            (void)fputs(*text == '\\' ? "\\e" : "\\-", out);
        } else {
            (void)fputc(*text, out);
        }
    }
}

static void man_command(const struct sl_cli *cli, const struct sl_cli_command *command, FILE *out)
{
    (void)fprintf(out, ".SS ");
    man_text(out, cli->name);
    (void)fputc(' ', out);
    man_text(out, command->name);
    (void)fprintf(out, "%s%s%s\n", command->option_count > 0 ? " [OPTIONS]" : "", command->operands == NULL ? "" : " ",
                  command->operands == NULL ? "" : command->operands);
    man_text(out, command->description != NULL ? command->description : command->summary);
    (void)fputc('\n', out);
    for (size_t i = 0; i < command->option_count; i++) {
        const struct sl_cli_option *option = &command->options[i];
        char value[SL_CLI_VALUE_BYTES];
        (void)fprintf(out, ".TP\n.B \\-\\-");
        man_text(out, option->name);
        if (option->type != SL_CLI_FLAG) {
            (void)fprintf(out, " \\fI");
            man_text(out, sl_cli_value_name(option, value));
            (void)fprintf(out, "\\fP");
        }
        (void)fputc('\n', out);
        man_text(out, option->help);
        if (option->default_text != NULL) {
            (void)fprintf(out, "; default ");
            man_text(out, option->default_text);
        }
        (void)fprintf(out, ".\n");
    }
}

void sl_cli_man(const struct sl_cli *cli, FILE *out)
{
    (void)fprintf(out, ".TH ");
    for (const char *at = cli->name; *at != '\0'; at++) {
        (void)fputc(toupper((unsigned char)*at), out);
    }
    (void)fprintf(out, " 1 \"\" \"%s %s\" \"User Commands\"\n.SH NAME\n%s \\- ", cli->name, cli->version, cli->name);
    man_text(out, cli->summary);
    (void)fprintf(out, "\n.SH SYNOPSIS\n.B %s\n.I COMMAND\n[OPTIONS]\n.SH COMMANDS\n", cli->name);
    for (size_t i = 0; i < cli->command_count; i++) {
        man_command(cli, cli->commands[i], out);
    }
    (void)fprintf(out, ".SH EXIT STATUS\n");
#define EXIT_ITEM(name, status, text)                                                                                  \
    (void)fprintf(out, ".TP\n.B %d\n", status);                                                                        \
    man_text(out, text);                                                                                               \
    (void)fprintf(out, ".\n");
    SL_EXITS(EXIT_ITEM)
}
