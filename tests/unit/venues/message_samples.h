/* SPDX-License-Identifier: MIT */
/* Reads messages.txt: each kind of message of each venue, with samples. For test_messages.c and test_hostile.c. */
#ifndef MESSAGE_SAMPLES_H
#define MESSAGE_SAMPLES_H

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sl_test.h"
#include "venues/venue.h"

#define SAMPLES_MAX 400
#define SAMPLE_BYTES 2048

struct sample {
    char venues[64], kind[100], outcome[40];
    char text[SAMPLE_BYTES]; /* with $A, $a and $N in it */
};

struct samples {
    struct sample all[SAMPLES_MAX];
    size_t count;
};

/* The symbols of three instruments of each venue. */
static const char *const sample_symbols[SL_VENUE_EXTERNAL][3] = {
    [SL_VENUE_BINANCE_SPOT] = {"BTCUSDT", "ETHUSDT", "SOLUSDT"},
    [SL_VENUE_BINANCE_USDM] = {"BTCUSDT", "ETHUSDT", "SOLUSDT"},
    [SL_VENUE_BINANCE_COINM] = {"BTCUSD_PERP", "ETHUSD_PERP", "SOLUSD_PERP"},
    [SL_VENUE_COINBASE] = {"BTC-USD", "ETH-USD", "SOL-USD"},
    [SL_VENUE_KRAKEN] = {"BTC/USD", "ETH/USD", "SOL/USD"},
    [SL_VENUE_BYBIT_SPOT] = {"BTCUSDT", "ETHUSDT", "SOLUSDT"},
    [SL_VENUE_BYBIT_LINEAR] = {"BTCUSDT", "ETHUSDT", "SOLUSDT"},
    [SL_VENUE_BYBIT_INVERSE] = {"BTCUSD", "ETHUSD", "SOLUSD"},
    [SL_VENUE_OKX] = {"BTC-USDT", "ETH-USDT", "SOL-USDT"},
    [SL_VENUE_BITSTAMP] = {"btcusd", "ethusd", "solusd"},
};

static inline void sample_cut(char *to, size_t size_bytes, const char *from, size_t length)
{
    while (length > 0 && from[length - 1] == ' ') {
        length--;
    }
    assert_true(length < size_bytes);
    memcpy(to, from, length);
    to[length] = '\0';
}

static inline struct samples *samples_read(void)
{
    struct samples *samples = calloc(1, sizeof *samples);
    struct sample head = {.text = ""};
    char line[SAMPLE_BYTES + 16];
    FILE *file = fopen(SL_TEST_SOURCE_DIR "/tests/unit/venues/messages.txt", "r");
    assert_non_null(samples);
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "### ", 4) == 0) {
            const char *kind = strstr(line, " | "), *outcome = strstr(kind + 3, " | ");
            assert_true(kind != NULL && outcome != NULL);
            sample_cut(head.venues, sizeof head.venues, line + 4, (size_t)(kind - line - 4));
            sample_cut(head.kind, sizeof head.kind, kind + 3, (size_t)(outcome - kind - 3));
            sample_cut(head.outcome, sizeof head.outcome, outcome + 3, strlen(outcome + 3));
        } else if (line[0] != '#' && line[0] != '\0') {
            assert_true(samples->count < SAMPLES_MAX && strlen(line) < SAMPLE_BYTES);
            samples->all[samples->count] = head;
            memcpy(samples->all[samples->count++].text, line, strlen(line) + 1);
        }
    }
    (void)fclose(file);
    return samples;
}

static inline bool sample_is_of(const struct sample *sample, sl_venue venue)
{
    const char *name = sl_venue_name(venue);
    size_t length = strlen(name);
    for (const char *at = sample->venues; (at = strstr(at, name)) != NULL; at += length) {
        if ((at == sample->venues || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

/* A number of the symbol's own, for venues whose messages name a channel by one. */
static inline unsigned sample_number(const char *symbol)
{
    unsigned number = 0;
    for (; *symbol != '\0'; symbol++) {
        number = (31 * number + (unsigned char)*symbol) % 9973;
    }
    return number;
}

/* The sample with a symbol in it; its length. */
static inline size_t sample_write(const struct sample *sample, const char *symbol, char *text, size_t size_bytes)
{
    size_t used = 0;
    for (const char *at = sample->text; *at != '\0'; at++) {
        bool lower = at[0] == '$' && at[1] == 'a';
        if (lower || (at[0] == '$' && at[1] == 'A')) {
            for (const char *c = symbol; *c != '\0' && used + 1 < size_bytes; c++) {
                text[used++] = (char)(lower ? tolower((unsigned char)*c) : *c);
            }
            at++;
        } else if (at[0] == '$' && at[1] == 'N') {
            used += (size_t)snprintf(text + used, size_bytes - used, "%04u", sample_number(symbol));
            assert_true(used < size_bytes);
            at++;
        } else {
            assert_true(used + 1 < size_bytes);
            text[used++] = *at;
        }
    }
    text[used] = '\0';
    return used;
}

#endif
