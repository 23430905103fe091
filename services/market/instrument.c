/* SPDX-License-Identifier: MIT */
/*
 * Instruments of all venues in one table: see instrument.h. They lie in chunks, so that their addresses stay;
 * two hash indexes with open addressing lead to them, by symbol and by name. Nothing is ever removed.
 */
#include "instrument.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sluice/json.h"

#define CHUNK_INSTRUMENTS 256

/* An index has at least twice as many places as instruments. */
#define PLACES_FIRST 64

/* Memory is fetched by lines of so many bytes. */
#define LINE_BYTES 64

#define NS_PER_SECOND INT64_C(1000000000)

#define PLACE_TEXT_BYTES 16

/*
 * A place of an index; `instrument` NULL: free. Short texts stand in it, so that what is looked up among many touches one
 * line of memory and not the instrument's, too.
 */
struct place {
    sl_instrument *instrument;
    uint32_t hash;
    uint16_t venue, size_bytes; /* of the text */
    char text[PLACE_TEXT_BYTES];
};
_Static_assert(sizeof(struct place) == 32 && SL_VENUE_COUNT <= UINT16_MAX, "two places in a line");

struct index {
    void *memory; /* of the places, which begin at a line */
    struct place *places;
    size_t mask;
};

struct sl_instruments {
    size_t max;
    size_t count;
    sl_instrument **chunks;
    size_t chunk_count, chunk_capacity;
    struct index symbols, names;
    uint32_t list; /* the newest that was begun */
    size_t clashes;
    const sl_instrument *clash; /* the last one */
};

static const char *const venue_names[] = {"none",          "binance", "binance-usdm", "binance-coinm",
                                          "coinbase",      "kraken",  "bybit",        "bybit-linear",
                                          "bybit-inverse", "okx",     "bitstamp",     "external"};
_Static_assert(sizeof(venue_names) / sizeof(*venue_names) == SL_VENUE_COUNT, "each venue has a name");
static const char *const status_names[SL_STATUS_COUNT] = {"unknown", "trading", "halted", "delisted"};

static uint64_t load8(const char *data)
{
    uint64_t word;
    memcpy(&word, data, sizeof(word));
    return word;
}

/* Less than eight bytes as one word, which differs where they do. */
static uint64_t load_few(const char *text, size_t size_bytes)
{
    if (size_bytes >= 4) {
        uint32_t first, last;
        memcpy(&first, text, sizeof first);
        memcpy(&last, text + size_bytes - sizeof last, sizeof last);
        return (uint64_t)last << 32 | first;
    }
    const unsigned char *bytes = (const unsigned char *)text;
    return size_bytes == 0
               ? 0
               : (uint64_t)bytes[0] | (uint64_t)bytes[size_bytes / 2] << 8 | (uint64_t)bytes[size_bytes - 1] << 16;
}

/* Of short texts, eight bytes at a step; the last step overlaps the one before. */
static uint32_t hash_of(sl_venue venue, const char *text, size_t size_bytes)
{
    static const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t hash = ((uint64_t)venue << 32 | (uint32_t)size_bytes) * factor;
    if (size_bytes < 8) {
        hash = (hash ^ load_few(text, size_bytes)) * factor;
    } else {
        for (size_t at = 0; at + 8 < size_bytes; at += 8) {
            hash = (hash ^ load8(text + at)) * factor;
            hash ^= hash >> 29;
        }
        hash = (hash ^ load8(text + size_bytes - 8)) * factor;
    }
    return (uint32_t)(hash >> 32) ^ (uint32_t)hash;
}

/* Whether two texts of one length are equal, compared as they are hashed. */
static bool is_same(const char *one, const char *other, size_t size_bytes)
{
    if (size_bytes < 8) {
        return load_few(one, size_bytes) == load_few(other, size_bytes);
    }
    for (size_t at = 0; at + 8 < size_bytes; at += 8) {
        if (load8(one + at) != load8(other + at)) {
            return false;
        }
    }
    return load8(one + size_bytes - 8) == load8(other + size_bytes - 8);
}

/* The first free place from that of the hash on; there is one. */
static struct place *free_place(const struct index *index, uint32_t hash)
{
    size_t at = hash & index->mask;
    while (index->places[at].instrument != NULL) {
        at = (at + 1) & index->mask;
    }
    return &index->places[at];
}

/* Puts an instrument under one of its texts into an index that has a free place. */
static void put(struct index *index, sl_instrument *instrument, const char *text)
{
    size_t size_bytes = strlen(text);
    struct place place = {.instrument = instrument,
                          .hash = hash_of(instrument->venue, text, size_bytes),
                          .venue = (uint16_t)instrument->venue,
                          .size_bytes = (uint16_t)size_bytes};
    memcpy(place.text, text, size_bytes < sizeof(place.text) ? size_bytes : sizeof(place.text));
    *free_place(index, place.hash) = place;
}

/* Makes sure that half of the index stays free with one more instrument. */
static int reserve(struct index *index, size_t count)
{
    size_t size = index->places == NULL ? 0 : index->mask + 1;
    if ((count + 1) * 2 <= size) {
        return 0;
    }
    struct index bigger = {.mask = (size == 0 ? PLACES_FIRST : size * 2) - 1};
    bigger.memory = sl_calloc(bigger.mask + 1 + LINE_BYTES / sizeof(*bigger.places), sizeof(*bigger.places));
    if (bigger.memory == NULL) {
        return SL_ENOMEM;
    }
    size_t past = (size_t)((uintptr_t)bigger.memory % LINE_BYTES);
    bigger.places = (struct place *)(void *)((char *)bigger.memory + (past == 0 ? 0 : LINE_BYTES - past));
    for (size_t at = 0; at < size; at++) {
        if (index->places[at].instrument != NULL) {
            *free_place(&bigger, index->places[at].hash) = index->places[at];
        }
    }
    sl_free(index->memory);
    *index = bigger;
    return 0;
}

static sl_instrument *find_symbol(const sl_instruments *table, sl_venue venue, const char *symbol, size_t size_bytes)
{
    if (table->count == 0 || size_bytes == 0 || size_bytes >= SL_SYMBOL_MAX) {
        return NULL;
    }
    uint32_t hash = hash_of(venue, symbol, size_bytes);
    for (size_t at = hash & table->symbols.mask;; at = (at + 1) & table->symbols.mask) {
        const struct place *place = &table->symbols.places[at];
        if (place->instrument == NULL) {
            return NULL;
        }
        if (place->hash == hash && place->venue == (uint16_t)venue && place->size_bytes == size_bytes &&
            is_same(size_bytes <= PLACE_TEXT_BYTES ? place->text : place->instrument->symbol, symbol, size_bytes)) {
            return place->instrument;
        }
    }
}

const sl_instrument *sl_instruments_find(const sl_instruments *table, sl_venue venue, const char *symbol,
                                         size_t size_bytes)
{
    return find_symbol(table, venue, symbol, size_bytes);
}

void sl_instruments_prefetch(const sl_instruments *table, sl_venue venue, const char *symbol, size_t size_bytes)
{
    if (table->count > 0 && size_bytes < SL_SYMBOL_MAX) {
        __builtin_prefetch(&table->symbols.places[hash_of(venue, symbol, size_bytes) & table->symbols.mask]);
    }
}

const sl_instrument *sl_instruments_find_name(const sl_instruments *table, sl_venue venue, const char *name)
{
    const sl_instrument *delisted = NULL; /* a name may be used again by the venue's next instrument */
    if (table->count == 0) {
        return NULL;
    }
    uint32_t hash = hash_of(venue, name, strlen(name));
    for (size_t at = hash & table->names.mask; table->names.places[at].instrument != NULL;
         at = (at + 1) & table->names.mask) {
        const sl_instrument *instrument = table->names.places[at].instrument;
        if (table->names.places[at].hash == hash && instrument->venue == venue && strcmp(instrument->name, name) == 0) {
            if (instrument->status != SL_STATUS_DELISTED) {
                return instrument;
            }
            delisted = instrument;
        }
    }
    return delisted;
}

/* Ends in its array, and has no spaces or control characters. Binance lists symbols with Chinese characters. */
static bool is_clean(const char *text, size_t size_bytes, bool empty_is_fine)
{
    const char *end = memchr(text, '\0', size_bytes);
    if (end == NULL || (end == text && !empty_is_fine)) {
        return false;
    }
    for (const char *at = text; at < end; at++) {
        if ((unsigned char)*at <= ' ' || *at == 0x7f) {
            return false;
        }
    }
    return sl_utf8_valid(text, (size_t)(end - text));
}

static void to_upper(char *text)
{
    for (; *text != '\0'; text++) {
        if (*text >= 'a' && *text <= 'z') {
            *text = (char)(*text - 'a' + 'A');
        }
    }
}

/* BASE-QUOTE[-SETTLE[-YYYYMMDD]], or the symbol where that is not known or does not fit. */
static void make_name(sl_instrument *instrument)
{
    char name[3 * SL_ASSET_MAX + 16];
    char date[16] = "";
    bool spot = instrument->type == SL_INSTRUMENT_SPOT || instrument->settle[0] == '\0';
    time_t expiry = (time_t)(instrument->expiry_ns / NS_PER_SECOND);
    struct tm day;
    if (instrument->expiry_ns > 0 && gmtime_r(&expiry, &day) != NULL) {
        (void)strftime(date, sizeof(date), "-%Y%m%d", &day);
    }
    (void)snprintf(name, sizeof(name), "%s-%s%s%s%s", instrument->base, instrument->quote, spot ? "" : "-",
                   spot ? "" : instrument->settle, spot ? "" : date);
    bool known = instrument->base[0] != '\0' && instrument->quote[0] != '\0' && strlen(name) < sizeof(instrument->name);
    (void)snprintf(instrument->name, sizeof(instrument->name), "%.*s", SL_INSTRUMENT_NAME_MAX - 1,
                   known ? name : instrument->symbol);
    to_upper(instrument->name);
}

/* Whether another one of the venue, on the list that is read now (or there without any list), has this name. */
static bool is_taken(const sl_instruments *table, const sl_instrument *instrument)
{
    uint32_t hash = hash_of(instrument->venue, instrument->name, strlen(instrument->name));
    for (size_t at = hash & table->names.mask;
         table->names.places != NULL && table->names.places[at].instrument != NULL; at = (at + 1) & table->names.mask) {
        const sl_instrument *other = table->names.places[at].instrument;
        if (table->names.places[at].hash == hash && other->venue == instrument->venue && other->list == table->list &&
            other->status != SL_STATUS_DELISTED && strcmp(other->name, instrument->name) == 0 &&
            strcmp(other->symbol, instrument->symbol) != 0) {
            return true;
        }
    }
    return false;
}

/* Room for one more instrument; its address. */
static sl_instrument *reserve_instrument(sl_instruments *table)
{
    size_t chunk = table->count / CHUNK_INSTRUMENTS;
    if (chunk == table->chunk_capacity) {
        size_t capacity = chunk == 0 ? 16 : chunk * 2;
        sl_instrument **chunks = sl_realloc(table->chunks, capacity * sizeof(sl_instrument *));
        if (chunks == NULL) {
            return NULL;
        }
        table->chunks = chunks;
        table->chunk_capacity = capacity;
    }
    if (chunk == table->chunk_count) {
        table->chunks[chunk] = sl_calloc(CHUNK_INSTRUMENTS, sizeof(sl_instrument));
        if (table->chunks[chunk] == NULL) {
            return NULL;
        }
        table->chunk_count++;
    }
    return &table->chunks[chunk][table->count % CHUNK_INSTRUMENTS];
}

static int add_new(sl_instruments *table, const sl_instrument *definition, const sl_instrument **ret_instrument)
{
    if (table->count == table->max) {
        return sl_fail(SL_EMSGSIZE, "more than %zu instruments", table->max);
    }
    sl_instrument *instrument = reserve_instrument(table);
    if (instrument == NULL || reserve(&table->symbols, table->count) < 0 || reserve(&table->names, table->count) < 0) {
        return SL_ENOMEM;
    }
    *instrument = *definition;
    instrument->index = (uint32_t)table->count;
    instrument->list = table->list;
    bool taken = false;
    if (instrument->name[0] == '\0') {
        make_name(instrument);
        taken = is_taken(table, instrument);
    }
    if (taken) {
        memset(instrument->name, 0, sizeof(instrument->name));
        memcpy(instrument->name, instrument->symbol, strlen(instrument->symbol));
        to_upper(instrument->name);
        table->clashes++;
        table->clash = instrument;
    }
    put(&table->symbols, instrument, instrument->symbol);
    put(&table->names, instrument, instrument->name);
    table->count++;
    *ret_instrument = instrument;
    return 1;
}

static void update_text(char text[SL_ASSET_MAX], const char *news)
{
    if (news[0] != '\0') {
        memcpy(text, news, SL_ASSET_MAX);
    }
}

static void update_number(sl_decimal *number, sl_decimal news)
{
    if (news.mantissa != 0) {
        *number = news;
    }
}

/* What the definition says is taken over; what it leaves open stays. The identity stays in any case. */
static void update(sl_instrument *instrument, const sl_instrument *definition)
{
    update_text(instrument->base, definition->base);
    update_text(instrument->quote, definition->quote);
    update_text(instrument->settle, definition->settle);
    update_number(&instrument->tick, definition->tick);
    update_number(&instrument->lot, definition->lot);
    update_number(&instrument->contract_size, definition->contract_size);
    instrument->type = definition->type == SL_INSTRUMENT_UNKNOWN ? instrument->type : definition->type;
    instrument->status = definition->status == SL_STATUS_UNKNOWN ? instrument->status : definition->status;
    instrument->expiry_ns = definition->expiry_ns == 0 ? instrument->expiry_ns : definition->expiry_ns;
}

int sl_instruments_add(sl_instruments *table, const sl_instrument *definition, const sl_instrument **ret_instrument)
{
    const sl_instrument *result = NULL;
    if (definition->venue <= SL_VENUE_NONE || definition->venue >= SL_VENUE_COUNT ||
        !is_clean(definition->symbol, sizeof(definition->symbol), false) ||
        !is_clean(definition->name, sizeof(definition->name), true) ||
        !is_clean(definition->base, sizeof(definition->base), true) ||
        !is_clean(definition->quote, sizeof(definition->quote), true) ||
        !is_clean(definition->settle, sizeof(definition->settle), true)) {
        return SL_EINVAL;
    }
    sl_instrument *found = find_symbol(table, definition->venue, definition->symbol, strlen(definition->symbol));
    int code = 0;
    if (found != NULL) {
        if (found->status == SL_STATUS_DELISTED && found->list < table->list) {
            found->status = SL_STATUS_UNKNOWN; /* it is back, or the list says what it is */
        }
        update(found, definition);
        found->list = table->list;
        result = found;
    } else {
        code = add_new(table, definition, &result);
    }
    if (code >= 0 && ret_instrument != NULL) {
        *ret_instrument = result;
    }
    return code;
}

uint32_t sl_instruments_begin_list(sl_instruments *table)
{
    return ++table->list;
}

size_t sl_instruments_end_list(sl_instruments *table, sl_venue venue, uint32_t list)
{
    size_t delisted = 0;
    for (size_t at = 0; at < table->count; at++) {
        sl_instrument *instrument = &table->chunks[at / CHUNK_INSTRUMENTS][at % CHUNK_INSTRUMENTS];
        if (instrument->venue == venue && instrument->list != 0 && instrument->list < list &&
            instrument->status != SL_STATUS_DELISTED) {
            instrument->status = SL_STATUS_DELISTED;
            delisted++;
        }
    }
    return delisted;
}

void sl_instruments_set_status(sl_instruments *table, const sl_instrument *instrument, sl_instrument_status status)
{
    table->chunks[instrument->index / CHUNK_INSTRUMENTS][instrument->index % CHUNK_INSTRUMENTS].status = status;
}

size_t sl_instruments_clashes(const sl_instruments *table, const sl_instrument **ret_last)
{
    if (ret_last != NULL && table->clash != NULL) {
        *ret_last = table->clash;
    }
    return table->clashes;
}

size_t sl_instruments_count(const sl_instruments *table)
{
    return table->count;
}

const sl_instrument *sl_instruments_at(const sl_instruments *table, size_t index)
{
    return index < table->count ? &table->chunks[index / CHUNK_INSTRUMENTS][index % CHUNK_INSTRUMENTS] : NULL;
}

int sl_instruments_new(size_t max, sl_instruments **ret_table)
{
    if (max > SL_INSTRUMENTS_MAX) {
        return SL_EINVAL;
    }
    sl_instruments *table = sl_calloc(1, sizeof(*table));
    if (table == NULL) {
        return SL_ENOMEM;
    }
    table->max = max == 0 ? SL_INSTRUMENTS_DEFAULT : max;
    *ret_table = table;
    return 0;
}

void sl_instruments_free(sl_instruments *table)
{
    if (table == NULL) {
        return;
    }
    for (size_t at = 0; at < table->chunk_count; at++) {
        sl_free(table->chunks[at]);
    }
    sl_free(table->chunks);
    sl_free(table->symbols.memory);
    sl_free(table->names.memory);
    sl_free(table);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* '*' and '?' without recursion: after a mismatch the last '*' takes one character more. */
bool sl_pattern_matches(const char *pattern, const char *text)
{
    const char *star = NULL;
    const char *resume = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == '?' || lower(*pattern) == lower(*text)) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

bool sl_instrument_matches(const sl_instrument *instrument, const char *pattern)
{
    return sl_pattern_matches(pattern, instrument->name) || sl_pattern_matches(pattern, instrument->symbol);
}

const char *sl_venue_name(sl_venue venue)
{
    return (unsigned)venue < SL_VENUE_COUNT ? venue_names[venue] : "?";
}

const char *sl_instrument_status_name(sl_instrument_status status)
{
    return (unsigned)status < SL_STATUS_COUNT ? status_names[status] : "?";
}

sl_venue sl_venue_find(const char *name)
{
    for (int venue = 1; venue < SL_VENUE_COUNT; venue++) {
        if (strcmp(venue_names[venue], name) == 0) {
            return (sl_venue)venue;
        }
    }
    return SL_VENUE_NONE;
}
