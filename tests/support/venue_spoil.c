/* SPDX-License-Identifier: MIT */
/* What has to hold of every message, however it is spoiled. See venue_kit.h. */
#include "venue_kit.h"

#include <stdlib.h>
#include <string.h>

#define RANDOM_CHANGES 300
#define SEED UINT64_C(0x51a1ce)

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t counted(const venue_kit *kit)
{
    const sl_venue_stats *stats = &kit->decoder->stats;
    return stats->decoded + stats->notices + stats->unknown + stats->bad;
}

static bool is_documented(int code, bool answer)
{
    return code == 0 || code == SL_EPROTO || code == SL_ENOTSUP || code == SL_ERANGE || code == SL_EMSGSIZE ||
           (answer && code == SL_EAGAIN);
}

/* Decodes one message and checks what has to hold; its code. */
static int check(venue_kit *kit, const sl_venue_request *request, const char *text, size_t size_bytes)
{
    uint64_t before = counted(kit);
    uint64_t events = kit->events;
    uint64_t given = kit->decoder->stats.events;
    kit->decoder->problem[0] = '\0';
    int code =
        request == NULL ? venue_kit_decode(kit, text, size_bytes) : venue_kit_answer(kit, request, text, size_bytes);
    if (!is_documented(code, request != NULL)) {
        fail_msg("%.*s\n  gave %d", (int)size_bytes, text, code);
    }
    if (code < 0 && sl_venue_problem(kit->decoder)[0] == '\0') {
        fail_msg("%.*s\n  gave %d without a text", (int)size_bytes, text, code);
    }
    assert_true(counted(kit) == before + 1);
    assert_true(kit->decoder->stats.events - given == kit->events - events);
    return code;
}

/* Cut anywhere but in white space at the end, no message is whole. */
static void cut(venue_kit *kit, const sl_venue_request *request, const char *json)
{
    size_t size_bytes = strlen(json);
    for (size_t at = 0; at < size_bytes; at++) {
        if (check(kit, request, json, at) == 0) {
            fail_msg("%.*s\n  was taken for a whole message", (int)at, json);
        }
    }
}

/* Where the value that begins at `at` ends. */
static size_t value_end(const char *json, size_t at)
{
    int depth = 0;
    if (json[at] == '"') {
        for (at++; json[at] != '"'; at += json[at] == '\\' ? 2 : 1) {
        }
        return at + 1;
    }
    do {
        char c = json[at];
        if (c == '"') {
            at = value_end(json, at);
            continue;
        }
        depth += c == '{' || c == '[' ? 1 : 0;
        depth -= c == '}' || c == ']' ? 1 : 0;
        at++;
    } while (depth > 0 || (json[at] != '\0' && strchr(",]}: \n", json[at]) == NULL));
    return at;
}

/* Puts `other` in the place of json[from..to). */
static int replaced(venue_kit *kit, const sl_venue_request *request, const char *json, size_t from, size_t to,
                    const char *other)
{
    size_t size_bytes = strlen(json);
    size_t other_bytes = strlen(other);
    char *text = malloc(size_bytes + other_bytes + 1);
    assert_non_null(text);
    memcpy(text, json, from);
    memcpy(text + from, other, other_bytes);
    memcpy(text + from + other_bytes, json + to, size_bytes - to);
    int code = check(kit, request, text, size_bytes - (to - from) + other_bytes);
    free(text);
    return code;
}

/* Each value, keys too, becomes something else. */
static void swap_values(venue_kit *kit, const sl_venue_request *request, const char *json)
{
    static const char *const others[] = {
        "null",        "true",        "-1",
        "0",           "1.5",         "99999999999999999999",
        "1e400",       "\"\"",        "\"x\"",
        "\"-1\"",      "\"\\u0041\"", "\"123456789012345678901234567890.123\"",
        "[]",          "{}",          "[[]]",
        "[{}]",        "{\"a\":1}",   "[[\"1\",\"2\"]]",
        "[1,2,3]",     "-",           "\"2023-13-45T99:99:99Z\"",
        "\"1\",\"1\"",
    };
    for (size_t at = 0; json[at] != '\0'; at++) {
        if (strchr(",:]} \n", json[at]) != NULL) {
            continue;
        }
        size_t end = value_end(json, at);
        for (size_t other = 0; other < sizeof(others) / sizeof(others[0]); other++) {
            (void)replaced(kit, request, json, at, end, others[other]);
        }
        if (json[at] != '{' && json[at] != '[') {
            at = end - 1;
        }
    }
}

static void change_bytes(venue_kit *kit, const sl_venue_request *request, const char *json, uint64_t *random)
{
    size_t size_bytes = strlen(json);
    char *text = malloc(size_bytes);
    assert_non_null(text);
    for (int times = 0; times < RANDOM_CHANGES; times++) {
        memcpy(text, json, size_bytes);
        for (uint64_t changes = 1 + next(random) % 3; changes > 0; changes--) {
            text[next(random) % size_bytes] =
                next(random) % 2 == 0 ? (char)next(random) : "\"[]{},:0-."[next(random) % 10];
        }
        (void)check(kit, request, text, size_bytes);
    }
    free(text);
}

void venue_kit_spoil(venue_kit *kit, const sl_venue_request *request, const venue_case *cases)
{
    uint64_t random = SEED;
    for (; cases->json != NULL; cases++) {
        if (cases->code != 0 || (cases->json[0] != '{' && cases->json[0] != '[')) {
            continue;
        }
        cut(kit, request, cases->json);
        swap_values(kit, request, cases->json);
        change_bytes(kit, request, cases->json, &random);
        (void)check(kit, request, cases->json,
                    strlen(cases->json)); /* those behind it find what it tells of channels */
    }
}

static void no_allocation(venue_kit *kit, const venue_case *cases)
{
    kit->silent = true;
    for (int round = 0; round < 3; round++) {
        for (const venue_case *one = cases; one->json != NULL; one++) {
            int64_t asked = sl_memory_asked();
            (void)venue_kit_decode(kit, one->json, strlen(one->json));
            if (round == 2 && sl_memory_asked() != asked) {
                fail_msg("%s\n  allocates each time", one->json);
            }
        }
    }
}

static void out_of_memory(sl_venue venue, const venue_kit_instrument *instruments, const venue_case *cases)
{
    venue_kit kit;
    bool failed = true;
    for (int64_t count = 0; failed; count++) {
        venue_kit_open(&kit, venue, instruments);
        kit.silent = true;
        sl_memory_fail_after(count);
        for (const venue_case *one = cases; one->json != NULL; one++) {
            int code = venue_kit_decode(&kit, one->json, strlen(one->json));
            if (code != one->code) {
                int again = venue_kit_decode(&kit, one->json, strlen(one->json));
                if (code != SL_ENOMEM || again != one->code) {
                    fail_msg("%s\n  gave %s without memory, then %s", one->json, sl_error_name(code),
                             sl_error_name(again));
                }
            }
        }
        failed = sl_memory_failed() != 0;
        sl_memory_fail_after(-1);
        venue_kit_close(&kit);
        assert_true(count < 1000);
    }
}

static void refused(venue_kit *kit, const venue_case *cases)
{
    kit->refuse = SL_ECANCELED;
    for (; cases->json != NULL; cases++) {
        uint64_t given = kit->events + kit->notices;
        int code = venue_kit_decode(kit, cases->json, strlen(cases->json));
        given = kit->events + kit->notices - given;
        if (given > 1 || code != (given == 1 ? SL_ECANCELED : cases->code)) {
            fail_msg("%s\n  gave %s and %d events or notices to an output that refuses", cases->json,
                     sl_error_name(code), (int)given);
        }
    }
    assert_int_equal(kit->events + kit->notices > 0, 1);
}

void venue_kit_prove(sl_venue venue, const venue_kit_instrument *instruments, const venue_case *cases)
{
    venue_kit kits[4];
    for (size_t at = 0; at < 4; at++) {
        venue_kit_open(&kits[at], venue, instruments);
    }
    venue_kit_expect(&kits[0], cases);
    venue_kit_spoil(&kits[1], NULL, cases);
    no_allocation(&kits[2], cases);
    refused(&kits[3], cases);
    for (size_t at = 0; at < 4; at++) {
        venue_kit_close(&kits[at]);
    }
    out_of_memory(venue, instruments, cases);
}

static void prove_kind(sl_venue venue, const venue_kit_instrument *instruments, const venue_kind_cases *kind)
{
    void (*const proofs[])(venue_kit * kit, const sl_venue_request *request,
                           const venue_case *cases) = {venue_kit_expect_answer, venue_kit_spoil};
    for (size_t at = 0; at < 2; at++) {
        venue_kit kit;
        venue_kit_open(&kit, venue, instruments);
        sl_venue_request request = {
            .kind = kind->kind, .instrument = sl_instruments_at(kit.instruments, 0), .interval_ns = SL_SECONDS(60)};
        proofs[at](&kit, &request, kind->cases);
        venue_kit_close(&kit);
    }
}

void venue_kit_prove_answers(sl_venue venue, const venue_kit_instrument *instruments, const venue_kind_cases *kinds)
{
    for (; kinds->cases != NULL; kinds++) {
        prove_kind(venue, instruments, kinds);
    }
}
