/* SPDX-License-Identifier: MIT */
/* Agreeing on permessage-deflate. Sources: RFC 6455, section 9.1; RFC 7692, sections 5 and 7.1. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "deflate.h"

#define WINDOW_BITS_MIN 8
#define WINDOW_BITS_MAX 15
#define NO_VALUE 0

enum { SERVER_RESET, CLIENT_RESET, SERVER_BITS, CLIENT_BITS, PARAMETERS };

static const char *const names[PARAMETERS] = {"server_no_context_takeover", "client_no_context_takeover",
                                              "server_max_window_bits", "client_max_window_bits"};

/* One extension of a header. */
struct extension {
    bool deflate;          /* it is permessage-deflate */
    bool bad;              /* with a parameter that is unknown, repeated or has no proper value */
    bool has[PARAMETERS];  /* of permessage-deflate */
    int value[PARAMETERS]; /* NO_VALUE: given without one */
};

/* ---- reading ---- */

static void skip_space(const char **at)
{
    *at += strspn(*at, " \t");
}

static size_t token_bytes(const char *text)
{
    return strspn(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

/* A window's size: 8 to 15 without leading zeros; -1 for anything else. */
static int bits_of(const char *text, size_t length)
{
    bool one = length == 1 && (text[0] == '8' || text[0] == '9');
    bool two = length == 2 && text[0] == '1' && text[1] >= '0' && text[1] <= '5';
    return one ? text[0] - '0' : two ? 10 + text[1] - '0' : -1;
}

static void note(struct extension *extension, const char *name, size_t name_bytes, int value)
{
    for (int i = 0; i < PARAMETERS; i++) {
        if (strlen(names[i]) == name_bytes && strncasecmp(names[i], name, name_bytes) == 0) {
            bool wrong = i <= CLIENT_RESET ? value != NO_VALUE : value < 0;
            extension->bad |= extension->has[i] || wrong || (i == SERVER_BITS && value == NO_VALUE);
            extension->has[i] = true;
            extension->value[i] = value;
            return;
        }
    }
    extension->bad = true;
}

/* ["=" value], the value perhaps in quotes. False when it is malformed. */
static bool read_value(const char **at, int *ret_value)
{
    *ret_value = NO_VALUE;
    skip_space(at);
    if (**at != '=') {
        return true;
    }
    (*at)++;
    skip_space(at);
    bool quoted = **at == '"';
    *at += quoted;
    size_t length = token_bytes(*at);
    *ret_value = bits_of(*at, length);
    *at += length;
    if (length == 0 || (quoted && **at != '"')) {
        return false;
    }
    *at += quoted;
    return true;
}

/* 1 with the next extension, 0 at the end, SL_EPROTO. */
static int next_extension(const char **at, struct extension *ret_extension)
{
    *at += strspn(*at, " \t,"); /* lists may have empty elements */
    if (**at == '\0') {
        return 0;
    }
    struct extension extension = {0};
    static const char name[] = "permessage-deflate";
    size_t length = token_bytes(*at);
    extension.deflate = length == sizeof name - 1 && strncasecmp(*at, name, length) == 0;
    *at += length;
    skip_space(at);
    bool proper = length > 0;
    while (proper && **at == ';') {
        (*at)++;
        skip_space(at);
        const char *parameter = *at;
        size_t parameter_bytes = token_bytes(*at);
        int value = NO_VALUE;
        *at += parameter_bytes;
        proper = parameter_bytes > 0 && read_value(at, &value);
        note(&extension, parameter, parameter_bytes, value);
        skip_space(at);
    }
    if (!proper || (**at != ',' && **at != '\0')) {
        return SL_EPROTO;
    }
    *ret_extension = extension;
    return 1;
}

/* ---- agreeing ---- */

static int bits_or_max(int bits)
{
    return bits == 0 ? WINDOW_BITS_MAX : bits;
}

static int smaller(int one, int other)
{
    return one < other ? one : other;
}

void sl__ws_offer(const struct sl_ws_deflate *wanted, char text[SL__WS_EXTENSION_BYTES])
{
    char client_bits[16] = "";
    char server_bits[48] = "";
    if (wanted->client_max_window_bits != 0) {
        (void)snprintf(client_bits, sizeof client_bits, "=%d", wanted->client_max_window_bits);
    }
    if (wanted->server_max_window_bits != 0) {
        (void)snprintf(server_bits, sizeof server_bits, "; %s=%d", names[SERVER_BITS], wanted->server_max_window_bits);
    }
    (void)snprintf(text, SL__WS_EXTENSION_BYTES, "permessage-deflate; %s%s%s%s%s", names[CLIENT_BITS], client_bits,
                   server_bits, wanted->client_no_context_takeover ? "; client_no_context_takeover" : "",
                   wanted->server_no_context_takeover ? "; server_no_context_takeover" : "");
}

static void grant(const struct sl_ws_deflate *able, const struct extension *offer, struct sl__ws_agreed *ret_agreed,
                  char text[SL__WS_EXTENSION_BYTES])
{
    struct sl__ws_agreed agreed = {
        .on = true,
        .client_no_context_takeover = able->client_no_context_takeover || offer->has[CLIENT_RESET],
        .server_no_context_takeover = able->server_no_context_takeover || offer->has[SERVER_RESET],
        .client_max_window_bits = WINDOW_BITS_MAX,
        .server_max_window_bits =
            smaller(bits_or_max(able->server_max_window_bits), bits_or_max(offer->value[SERVER_BITS])),
    };
    char client_bits[48] = "";
    char server_bits[48] = "";
    if (offer->has[CLIENT_BITS]) { /* else the client would not understand a limit */
        agreed.client_max_window_bits =
            smaller(bits_or_max(able->client_max_window_bits), bits_or_max(offer->value[CLIENT_BITS]));
        if (agreed.client_max_window_bits < WINDOW_BITS_MAX) {
            (void)snprintf(client_bits, sizeof client_bits, "; %s=%d", names[CLIENT_BITS],
                           agreed.client_max_window_bits);
        }
    }
    if (offer->has[SERVER_BITS] || agreed.server_max_window_bits < WINDOW_BITS_MAX) {
        (void)snprintf(server_bits, sizeof server_bits, "; %s=%d", names[SERVER_BITS], agreed.server_max_window_bits);
    }
    (void)snprintf(text, SL__WS_EXTENSION_BYTES, "permessage-deflate%s%s%s%s", client_bits, server_bits,
                   agreed.client_no_context_takeover ? "; client_no_context_takeover" : "",
                   agreed.server_no_context_takeover ? "; server_no_context_takeover" : "");
    *ret_agreed = agreed;
}

int sl__ws_grant(const struct sl_ws_deflate *able, const char *offers, struct sl__ws_agreed *ret_agreed,
                 char text[SL__WS_EXTENSION_BYTES])
{
    struct extension offer;
    int more;
    bool granted = false;
    while ((more = next_extension(&offers, &offer)) > 0) {
        if (able->on && !granted && offer.deflate && !offer.bad) {
            grant(able, &offer, ret_agreed, text);
            granted = true;
        }
    }
    return more < 0 ? more : granted;
}

/* Whether the answer keeps within what was asked for: RFC 7692, 7.1.1 and 7.1.2. */
static const char *problem_of(const struct sl_ws_deflate *wanted, const struct extension *answer)
{
    if (!wanted->on || !answer->deflate) {
        return "the server agreed to an extension that was not offered";
    }
    if (answer->bad || (answer->has[CLIENT_BITS] && answer->value[CLIENT_BITS] == NO_VALUE)) {
        return "a parameter of the extension is not known, repeated or without a proper value";
    }
    if (wanted->server_no_context_takeover && !answer->has[SERVER_RESET]) {
        return "the server did not agree to server_no_context_takeover";
    }
    if (wanted->server_max_window_bits != 0 &&
        (!answer->has[SERVER_BITS] || answer->value[SERVER_BITS] > wanted->server_max_window_bits)) {
        return "the server did not agree to server_max_window_bits";
    }
    if (answer->value[CLIENT_BITS] > bits_or_max(wanted->client_max_window_bits)) {
        return "the server wants more than client_max_window_bits";
    }
    return NULL;
}

int sl__ws_check_grant(const struct sl_ws_deflate *wanted, const char *answer, struct sl__ws_agreed *ret_agreed)
{
    struct extension extension;
    struct extension second;
    int more = next_extension(&answer, &extension);
    if (more == 0) {
        return 0;
    }
    if (more < 0 || next_extension(&answer, &second) != 0) {
        return sl_fail(SL_EPROTO, "the server's extensions are malformed or more than one");
    }
    const char *problem = problem_of(wanted, &extension);
    if (problem != NULL) {
        return sl_fail(SL_EPROTO, "%s", problem);
    }
    *ret_agreed = (struct sl__ws_agreed){
        .on = true,
        .client_no_context_takeover = wanted->client_no_context_takeover || extension.has[CLIENT_RESET],
        .server_no_context_takeover = extension.has[SERVER_RESET],
        .client_max_window_bits =
            smaller(bits_or_max(wanted->client_max_window_bits), bits_or_max(extension.value[CLIENT_BITS])),
        .server_max_window_bits = bits_or_max(extension.value[SERVER_BITS]),
    };
    return 0;
}
