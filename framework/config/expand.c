/* SPDX-License-Identifier: MIT */
/* ${V}, ${V:-default}, ${V:?message} and $$ in scalars; !secret file:PATH and !secret env:NAME. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "internal.h"

struct expander {
    struct sl__load *load;
    struct sl__text path;
    struct sl__text out;
};

static const char *look_up(const struct expander *expander, const char *name)
{
    const struct sl_config_options *options = expander->load->options;
    return options->get_env != NULL ? options->get_env(options->env_arg, name) : getenv(name);
}

static bool is_name(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        char c = text[i];
        if (c != '_' && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return bytes > 0 && bytes <= SL_CONFIG_KEY_BYTES_MAX;
}

static void complain(struct expander *expander, struct sl__node *node, const char *what, const char *name,
                     const char *rest)
{
    sl__problem(expander->load, node->begin, &expander->path, "%s%s%s", what, name, rest);
    node->type = SL__BROKEN;
}

/* What stands between the braces. False when it was reported. */
static bool expand_variable(struct expander *expander, struct sl__node *node, const char *text, size_t bytes)
{
    char name[SL_CONFIG_KEY_BYTES_MAX + 1];
    const char *colon = memchr(text, ':', bytes);
    size_t name_bytes = colon == NULL ? bytes : (size_t)(colon - text);
    size_t rest_bytes = bytes - name_bytes; /* with the colon */
    if (!is_name(text, name_bytes) || (colon != NULL && (rest_bytes < 2 || (colon[1] != '-' && colon[1] != '?')))) {
        complain(expander, node, "the text between \"${\" and \"}\" is no variable", "",
                 "; expected ${NAME}, ${NAME:-default} or ${NAME:?message}, or $$ for a dollar sign");
        return false;
    }
    memcpy(name, text, name_bytes);
    name[name_bytes] = '\0';
    const char *value = look_up(expander, name);
    if (colon != NULL && colon[1] == '-' && memmem(colon, rest_bytes, "${", 2) != NULL) {
        complain(expander, node, "a \"${\" stands in the default of ", name, "; expected a plain text there");
        return false;
    }
    if (colon != NULL && (value == NULL || *value == '\0')) {
        if (colon[1] == '-') {
            sl__text_put(&expander->out, colon + 2, rest_bytes - 2);
            return true;
        }
        char message[256];
        size_t message_bytes = rest_bytes - 2 < sizeof message - 1 ? rest_bytes - 2 : sizeof message - 1;
        memcpy(message, colon + 2, message_bytes);
        message[message_bytes] = '\0';
        sl__problem(expander->load, node->begin, &expander->path, "the environment variable %s is not set: %s", name,
                    message);
        node->type = SL__BROKEN;
        return false;
    }
    if (value == NULL) {
        complain(expander, node, "the environment variable ", name,
                 " is not set; expected it, or a default as in ${NAME:-default}");
        return false;
    }
    sl__text_put(&expander->out, value, strnlen(value, SL_CONFIG_SCALAR_BYTES_MAX + 1));
    return true;
}

/* Whether a text from outside can be a value: UTF-8 without NUL. */
static bool is_text(const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes;) {
        size_t used = sl__utf8_bytes(text + i, bytes - i);
        if (used == 0 || text[i] == '\0') {
            return false;
        }
        i += used;
    }
    return true;
}

/* Takes expander->out as the text of the node. */
static void take(struct expander *expander, struct sl__node *node)
{
    struct sl__load *load = expander->load;
    if (expander->out.code != 0) {
        load->code = expander->out.code;
    } else if (expander->out.size_bytes > SL_CONFIG_SCALAR_BYTES_MAX) {
        sl__problem(load, node->begin, &expander->path, "more than %zu bytes when expanded; expected at most these",
                    SL_CONFIG_SCALAR_BYTES_MAX);
        node->type = SL__BROKEN;
    } else if (!is_text(sl__text_get(&expander->out), expander->out.size_bytes)) {
        complain(expander, node, "not UTF-8 when expanded; expected a UTF-8 text", "", "");
    } else {
        node->text = sl__arena_copy(load->arena, sl__text_get(&expander->out), expander->out.size_bytes);
        node->text_bytes = expander->out.size_bytes;
        if (node->text == NULL) {
            (void)sl__load_short(load);
        }
    }
}

static void expand_text(struct expander *expander, struct sl__node *node)
{
    const char *at = node->text;
    const char *end = at + node->text_bytes;
    const char *dollar = memchr(at, '$', node->text_bytes);
    if (dollar == NULL) {
        return;
    }
    sl__text_cut(&expander->out, 0);
    for (; dollar != NULL; dollar = memchr(at, '$', (size_t)(end - at))) {
        sl__text_put(&expander->out, at, (size_t)(dollar - at));
        at = dollar + 1;
        if (at == end || *at != '{') {
            sl__text_puts(&expander->out, "$");
            at += at < end && *at == '$';
            continue;
        }
        const char *close = memchr(at, '}', (size_t)(end - at));
        if (close == NULL) {
            complain(expander, node, "\"${\" is not closed", "",
                     "; expected ${NAME}, ${NAME:-default} or ${NAME:?message}, or $$ for a dollar sign");
            return;
        }
        node->from_env = true;
        if (!expand_variable(expander, node, at + 1, (size_t)(close - at) - 1)) {
            return;
        }
        at = close + 1;
        if (expander->out.size_bytes > SL_CONFIG_SCALAR_BYTES_MAX) {
            break;
        }
    }
    sl__text_put(&expander->out, at, (size_t)(end - at));
    take(expander, node);
}

/* A relative path begins at the folder of the file that has it. */
static void full_path(const struct expander *expander, const struct sl__node *node, const char *path,
                      struct sl__text *out)
{
    const struct sl__source *source =
        node->begin.source < expander->load->file_count ? &expander->load->sources[node->begin.source] : NULL;
    const char *slash = source == NULL || *path == '/' ? NULL : strrchr(source->name, '/');
    if (slash != NULL) {
        sl__text_put(out, source->name, (size_t)(slash - source->name) + 1);
    }
    sl__text_puts(out, path);
}

static void read_secret_file(struct expander *expander, struct sl__node *node, const char *name)
{
    struct sl__text path = {NULL, 0, 0, 0};
    struct sl__text quoted = {NULL, 0, 0, 0};
    char *text = NULL;
    size_t bytes = 0;
    unsigned mode = 0;
    const char *why = NULL;
    full_path(expander, node, name, &path);
    sl__quote(&quoted, sl__text_get(&path), path.size_bytes);
    int code = path.code != 0 || quoted.code != 0
                   ? SL_ENOMEM
                   : sl__read_file(sl__text_get(&path), SL_CONFIG_SECRET_BYTES_MAX, true, &text, &bytes, &mode, &why);
    if (code == SL_ENOMEM) {
        expander->load->code = code;
    } else if (code == SL_EMSGSIZE) {
        sl__problem(expander->load, node->begin, &expander->path,
                    "the secret's file %s is too large; expected at most %zu bytes", sl__text_get(&quoted),
                    SL_CONFIG_SECRET_BYTES_MAX);
        node->type = SL__BROKEN;
    } else if (code < 0) {
        sl__problem(expander->load, node->begin, &expander->path,
                    "the secret's file %s cannot be read: %s; expected a readable file", sl__text_get(&quoted),
                    why != NULL ? why : sl_strerror(code));
        node->type = SL__BROKEN;
    } else {
        if ((mode & (S_IROTH | S_IWOTH | S_IWGRP)) != 0) {
            sl__warning(expander->load, node->begin, &expander->path,
                        "others may read or change the secret's file %s (mode %03o); expected 640 or less",
                        sl__text_get(&quoted), mode & 0777);
        }
        bytes -= bytes > 0 && text[bytes - 1] == '\n';
        bytes -= bytes > 0 && text[bytes - 1] == '\r';
        sl__text_cut(&expander->out, 0);
        sl__text_put(&expander->out, text, bytes);
        if (bytes == 0) {
            sl__problem(expander->load, node->begin, &expander->path,
                        "the secret's file %s is empty; expected a secret in it", sl__text_get(&quoted));
            node->type = SL__BROKEN;
        } else {
            take(expander, node);
        }
    }
    sl_free(text);
    sl__text_free(&path);
    sl__text_free(&quoted);
}

static void read_secret(struct expander *expander, struct sl__node *node)
{
    if (strncmp(node->text, "file:", 5) == 0 && node->text[5] != '\0') {
        read_secret_file(expander, node, node->text + 5);
        return;
    }
    if (strncmp(node->text, "env:", 4) != 0 || !is_name(node->text + 4, node->text_bytes - 4)) {
        complain(expander, node, "!secret does not say where the secret is", "",
                 "; expected !secret file:PATH or !secret env:NAME");
        return;
    }
    const char *value = look_up(expander, node->text + 4);
    if (value == NULL || *value == '\0') {
        complain(expander, node, "the environment variable ", node->text + 4, " is not set; expected a secret in it");
        return;
    }
    sl__text_cut(&expander->out, 0);
    sl__text_put(&expander->out, value, strnlen(value, SL_CONFIG_SCALAR_BYTES_MAX + 1));
    take(expander, node);
}

static void walk(struct expander *expander, struct sl__node *node)
{
    if (node->type == SL__SCALAR) {
        expand_text(expander, node);
        if (node->secret_tag && node->type == SL__SCALAR && expander->load->code == 0) {
            read_secret(expander, node);
        }
    }
    for (size_t i = 0; i < node->count && expander->load->code == 0; i++) {
        size_t length = expander->path.size_bytes;
        if (node->type == SL__LIST) {
            sl__path_index(&expander->path, i);
            walk(expander, node->items[i]);
        } else if (node->type == SL__MAP) {
            sl__path_key(&expander->path, node->entries[i].key);
            walk(expander, node->entries[i].value);
        }
        sl__text_cut(&expander->path, length);
    }
}

void sl__expand(struct sl__load *load, struct sl__node *root)
{
    struct expander expander = {.load = load};
    walk(&expander, root);
    if (expander.path.code != 0) {
        load->code = expander.path.code;
    }
    sl__text_free(&expander.path);
    sl__text_free(&expander.out);
}
