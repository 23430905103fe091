/* SPDX-License-Identifier: MIT */
/* What captured lines are about. See lines.h. */
#include "venues/lines.h"

#include <ctype.h>
#include <string.h>

/* ---- instruments that nobody has listed ---- */

static void copy_upper(char asset[SL_ASSET_MAX], const char *text, size_t size_bytes)
{
    size_bytes = size_bytes < SL_ASSET_MAX ? size_bytes : SL_ASSET_MAX - 1;
    for (size_t at = 0; at < size_bytes; at++) {
        asset[at] = (char)toupper((unsigned char)text[at]);
    }
    asset[size_bytes] = '\0';
}

/* "BTC-USDT-SWAP", "BTC/USD", "btcusd", "BTCUSD_PERP": what is before and behind the usual money, or a separator. */
static void guess_pair(const char *symbol, sl_instrument *definition)
{
    static const char *const monies[] = {"USDT", "USDC", "FDUSD", "USD", "EUR", "GBP", "BTC", "ETH"};
    size_t length = strcspn(symbol, "_");
    const char *middle = memchr(symbol, '-', length);
    middle = middle == NULL ? memchr(symbol, '/', length) : middle;
    if (middle != NULL) {
        copy_upper(definition->base, symbol, (size_t)(middle - symbol));
        copy_upper(definition->quote, middle + 1, strcspn(middle + 1, "-_"));
        return;
    }
    for (size_t at = 0; at < sizeof monies / sizeof *monies; at++) {
        size_t money = strlen(monies[at]);
        if (length > money && strncasecmp(symbol + length - money, monies[at], money) == 0) {
            copy_upper(definition->base, symbol, length - money);
            copy_upper(definition->quote, symbol + length - money, money);
            return;
        }
    }
}

int sl_line_add_symbol(sl_instruments *instruments, sl_venue venue, const char *symbol, size_t size_bytes)
{
    sl_instrument definition = {.venue = venue};
    if (size_bytes == 0 || size_bytes >= sizeof definition.symbol) {
        return 0;
    }
    memcpy(definition.symbol, symbol, size_bytes);
    guess_pair(definition.symbol, &definition);
    int code = sl_instruments_add(instruments, &definition, NULL);
    return code == SL_EINVAL ? 0 : code;
}

/* The members that name symbols: `"s":"BTCUSDT"`. Bitstamp has them at the end of its channels' names. */
int sl_line_add_symbols(sl_instruments *instruments, sl_venue venue, const sl_capture_line *line)
{
    static const char *const members[] = {"\"s\":", "\"product_id\":", "\"instId\":", "\"symbol\":", "\"channel\":"};
    int added = 0;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        bool channel = i == sizeof members / sizeof *members - 1;
        if (channel && venue != SL_VENUE_BITSTAMP) {
            continue;
        }
        const char *at = line->text;
        const char *end = line->text + line->size_bytes;
        while ((at = memmem(at, (size_t)(end - at), members[i], strlen(members[i]))) != NULL) {
            at += strlen(members[i]);
            at += at < end && *at == ' ';
            const char *close = at < end && *at == '"' ? memchr(at + 1, '"', (size_t)(end - at - 1)) : NULL;
            if (close == NULL) {
                continue;
            }
            const char *from = at + 1;
            const char *mark = channel ? memrchr(from, '_', (size_t)(close - from)) : NULL;
            from = mark == NULL ? from : mark + 1;
            int code = sl_line_add_symbol(instruments, venue, from, (size_t)(close - from));
            SL_TRY(code);
            added += code;
            at = close;
        }
    }
    return added;
}

/* ---- answers ---- */

static const char *behind(const sl_capture_line *line, const char *word)
{
    size_t length = strlen(word);
    const char *at = line->url_bytes == 0 ? NULL : memmem(line->url, line->url_bytes, word, length);
    return at == NULL ? NULL : at + length;
}

bool sl_line_is_snapshot(const sl_capture_line *line)
{
    static const char start[] = "{\"lastUpdateId\"";
    bool starts = line->size_bytes >= sizeof start - 1 && memcmp(line->text, start, sizeof start - 1) == 0;
    bool named = line->kind == SL_CAPTURE_RESPONSE && (behind(line, "order_book/") != NULL || behind(line, "symbol="));
    return starts || named;
}

static const sl_instrument *only_one(const sl_instruments *instruments, sl_venue venue)
{
    const sl_instrument *only = NULL;
    for (size_t at = 0; at < sl_instruments_count(instruments); at++) {
        const sl_instrument *instrument = sl_instruments_at(instruments, at);
        if (instrument->venue == venue) {
            if (only != NULL) {
                return NULL;
            }
            only = instrument;
        }
    }
    return only;
}

/* A book's snapshot names its instrument in the URL: Binance's query, Bitstamp's path. */
const sl_instrument *sl_line_snapshot_of(const sl_instruments *instruments, sl_venue venue, const sl_capture_line *line)
{
    const char *at = behind(line, "symbol=");
    at = at == NULL ? behind(line, "order_book/") : at;
    if (at == NULL) {
        return only_one(instruments, venue);
    }
    size_t left = (size_t)(line->url + line->url_bytes - at);
    size_t size = 0;
    while (size < left && at[size] != '&' && at[size] != '/' && at[size] != '?') {
        size++;
    }
    return sl_instruments_find(instruments, venue, at, size);
}
