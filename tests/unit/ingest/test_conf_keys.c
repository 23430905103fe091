/* SPDX-License-Identifier: MIT */
/*
 * Every key of every section of the program's configuration, by walking the tables: it is read into its member, what
 * is below its min, above its max or of another type gives the exact error, and a change of it has its class.
 */
#include "conf_support.h"

#include <inttypes.h>

#include "config/internal.h"
#include "ingest/config/internal.h"

#define PATH_BYTES 256
#define VALUE_BYTES 16384
#define MESSAGE_BYTES 4096

/* One entry of each kind and section, and two of each map, so that names can be changed. */
static const char base[] =
    "sinks:\n"
    "  one: {kind: sqlite, path: one.db}\n"
    "  two: {kind: sqlite, path: two.db}\n"
    "  file: {kind: file, path: f}\n"
    "  sqlite: {kind: sqlite, path: three.db}\n"
    "  redis: {kind: redis, url: 'rediss://h', tls: {certificate: c, key: k}}\n"
    "  rabbitmq: {kind: rabbitmq, url: 'amqps://h', exchange: e, tls: {certificate: c, key: k}}\n"
    "  kafka: {kind: kafka, brokers: ['h:1'], encrypted: true, sasl: plain, user: u, password: p, tls: {certificate: "
    "c, key: k}}\n"
    "  postgresql: {kind: postgresql, url: 'postgresql://h/d', tls: {certificate: c, key: k}}\n"
    "  websocket: {kind: websocket, listen: '127.0.0.1:1001', tls: {certificate: c, key: k}}\n"
    "services:\n"
    "  stream: {kind: stream, venue: okx, instruments: [A], sinks: [one]}\n"
    "  book: {kind: book, venue: kraken, instruments: [A], sinks: [one]}\n"
    "  poll: {kind: poll, venue: bybit, instruments: [A], sinks: [one], channel: candles}\n"
    "  backfill: {kind: backfill, venue: binance-usdm, instruments: [A], sinks: [one], from: 2020-01-01}\n"
    "  receive:\n"
    "    {kind: receive, listen: '127.0.0.1:1002', sinks: [one], hmac: {keys: {a: 0123456789abcdef}},\n"
    "     tls: {certificate: c, key: k}}\n"
    "limits: {one: {rates: [{rate: 100/1s}]}, two: {rates: [{rate: 100/1s}]}}\n"
    "retry: {one: {budget: {}}, two: {}}\n"
    "breakers: {one: {}, two: {}}\n"
    "bulkheads: {one: {}, two: {}}\n"
    "venues:\n"
    "  binance: {tls: {certificate: c, key: k}}\n"
    "coordination: {backend: redis, url: 'rediss://h', tls: {certificate: c, key: k}}\n"
    "admin: {token: 0123456789abcdef, tls: {certificate: c, key: k}}\n"
    "log: {}\n";

/* Values that keep to what sections check as a whole; the others come from the tables. The longest end that fits counts. */
static const struct {
    const char *end, *value;
} fitting[] = {
    {"listen", "127.0.0.1:7777"},
    {"path", "/elsewhere"},
    {"local_addresses", "['127.0.0.2']"},
    {"url", "/y"},
    {"from", "2021-02-28"},
    {"to", "2022-02-28"},
    {"limits.one.dialect", "bapi"},
    {"limits.one.shared", "redis"},
    {"retry.one.initial", "201ms"},
    {"retry.one.max", "11s"},
    {"retry.one.total", "61s"},
    {"retry.one.attempt_timeout", "11s"},
    {"breakers.one.open_for", "6s"},
    {"breakers.one.open_max", "61s"},
    {"breakers.one.window_calls", "1000"},
    {"breakers.one.min_calls", "21"},
    {"bulkheads.one.initial", "21"},
    {"rates[0].burst", "11"},
    {"rates[0].rate", "200/1s"},
    {"batch", "999"},
    {"acks", "all"},
    {"idempotent", "false"},
    {"brokers", "['g:2']"},
    {"user", "v"},
    {"sasl", "scram-sha-512"},
    {"segment", "1MiB"},
    {"max_size", "3GiB"},
    {"rotate_size", "1MiB"},
    {"stream.channels", "[best]"},
    {"backfill.channels", "[candles]"},
    {"mandatory", "true"},
    {"rabbitmq.confirm", "true"},
    {"depth", "100"},
    {"backend", "redis"},
    {"coordination.url", "rediss://g"},
    {"sinks.redis.url", "rediss://g"},
    {"sinks.kafka.encrypted", "true"},
    {"sinks.rabbitmq.url", "amqps://g"},
    {"receive.post", "false"},
    {"poll.intervals", "{a: 1s}"},
    {"poll.headers", "{a: b}"},
    {"hmac.keys", "{a: fedcba9876543210}"},
    {"poll.channel", "book"},
    {"poll.candle", "5m"},
    {"poll.bulk", "never"},
    {"kafka.properties", "{a: b}"},
};

/* These cannot be changed in the base without changing others: they are read, but their change is not looked at. */
static const char *const fixed[] = {"sinks.kafka.acks", "sinks.kafka.encrypted", "sinks.rabbitmq.confirm",
                                    "coordination.backend", "services.poll.bulk"};

static size_t walked, bounded;

/* ---- loading ---- */

static int load_with(const char *set, sl_config **config, sl_config_report **report)
{
    return conf_load(base, &set, set == NULL ? 0 : 1, config, report);
}

/* `path=value` must be refused with exactly this message at the path, once. */
static void expect_refused(const char *path, const char *value, const char *message)
{
    char set[PATH_BYTES + VALUE_BYTES];
    sl_config *config = NULL;
    sl_auto(sl_config_report) *report = NULL;
    (void)snprintf(set, sizeof set, "%s=%s", path, value);
    int code = load_with(set, &config, &report);
    const struct sl_config_problem *problem;
    size_t found = 0;
    size_t other = 0;
    for (size_t i = 0; (problem = sl_config_report_at(report, i)) != NULL; i++) {
        if (strcmp(problem->path, path) == 0) {
            found += strcmp(problem->message, message) == 0;
            other += strcmp(problem->message, message) != 0;
        }
    }
    if (code != SL_EINVAL || found != 1 || other > 0) {
        fail_msg("%s: expected \"%s\", got:\n%s", set, message, sl_config_report_text(report));
    }
}

/* ---- what messages say of a field: written again here, so that a change there is seen ---- */

static void expected_text(const struct sl_config_field *field, char out[MESSAGE_BYTES])
{
    static const struct {
        const char *noun, *example, *unit;
    } words[] = {
        [SL_CONFIG_BOOL] = {"true or false", "", ""},
        [SL_CONFIG_INT] = {"an integer", " such as 12", ""},
        [SL_CONFIG_UINT] = {"an integer", "", ""},
        [SL_CONFIG_DOUBLE] = {"a number", " such as 1.5", ""},
        [SL_CONFIG_STRING] = {"a text", "", "byte"},
        [SL_CONFIG_SECRET] = {"a secret", ", best as !secret file:PATH or !secret env:NAME", "byte"},
        [SL_CONFIG_DURATION] = {"a duration", " such as 250ms or 1m30s", ""},
        [SL_CONFIG_SIZE] = {"a size", " such as 64KiB or 10MB", ""},
        [SL_CONFIG_RATE] = {"a rate", " such as 1200/1m or 5/s", ""},
        [SL_CONFIG_PERCENT] = {"a percentage", " such as 20%", ""},
        [SL_CONFIG_URL] = {"a URL", "", ""},
        [SL_CONFIG_LIST] = {"a list", "", "item"},
        [SL_CONFIG_MAP] = {"a map", "", "entry"},
        [SL_CONFIG_SECTION] = {"a map", "", ""},
    };
    const char *unit = words[field->type].unit == NULL ? "" : words[field->type].unit;
    const char *min = field->min == NULL && field->type == SL_CONFIG_UINT ? "0" : field->min;
    const char *last = field->max != NULL ? field->max : min;
    bool one = last != NULL && strcmp(last, "1") == 0;
    char things[16] = "";
    if (*unit != '\0') {
        (void)snprintf(things, sizeof things, " %s",
                       one            ? unit
                       : *unit == 'e' ? "entries"
                       : *unit == 'i' ? "items"
                                      : "bytes");
    }
    size_t length = 0;
    if (field->refers_to != NULL) {
        (void)snprintf(out, MESSAGE_BYTES, "the name of an entry of %s", field->refers_to);
    } else if (field->choice_count > 0) {
        bool url = field->type == SL_CONFIG_URL;
        length = (size_t)snprintf(out, MESSAGE_BYTES, "%s", url ? "a URL that begins with " : "");
        for (size_t i = 0; i < field->choice_count; i++) {
            length += (size_t)snprintf(out + length, MESSAGE_BYTES - length, "%s%s%s",
                                       i == 0                         ? ""
                                       : i + 1 == field->choice_count ? " or "
                                                                      : ", ",
                                       field->choices[i], url ? "://" : "");
        }
    } else if (field->type != SL_CONFIG_BOOL && min != NULL && field->max != NULL) {
        (void)snprintf(out, MESSAGE_BYTES, "%s %s %s to %s%s", words[field->type].noun, *unit == '\0' ? "from" : "of",
                       min, field->max, things);
    } else if (field->type != SL_CONFIG_BOOL && (min != NULL || field->max != NULL)) {
        (void)snprintf(out, MESSAGE_BYTES, "%s of at %s %s%s", words[field->type].noun, min != NULL ? "least" : "most",
                       min != NULL ? min : field->max, things);
    } else {
        (void)snprintf(out, MESSAGE_BYTES, "%s%s", words[field->type].noun, words[field->type].example);
    }
}

static void refuse(const struct sl_config_field *field, const char *path, const char *value, const char *what)
{
    char expected[MESSAGE_BYTES];
    char message[MESSAGE_BYTES + 256];
    expected_text(field, expected);
    (void)snprintf(message, sizeof message, "%s; expected %s", what, expected);
    expect_refused(path, value, message);
}

/* ---- types ---- */

static void check_type(const struct sl_config_field *field, const char *path)
{
    char what[64] = "\"what?\" is not ";
    static const char *const nouns[] = {
        [SL_CONFIG_BOOL] = "a boolean",  [SL_CONFIG_INT] = "an integer",      [SL_CONFIG_UINT] = "an integer",
        [SL_CONFIG_DOUBLE] = "a number", [SL_CONFIG_DURATION] = "a duration", [SL_CONFIG_SIZE] = "a size",
        [SL_CONFIG_RATE] = "a rate",     [SL_CONFIG_PERCENT] = "a percentage"};
    switch (field->type) {
    case SL_CONFIG_LIST:
        refuse(field, path, "{a: b}", "a map stands here");
        refuse(field, path, "what?", "a text stands here");
        return;
    case SL_CONFIG_MAP:
    case SL_CONFIG_SECTION:
        refuse(field, path, "[a]", "a list stands here");
        refuse(field, path, "what?", "a text stands here");
        return;
    case SL_CONFIG_ENUM:
        refuse(field, path, "what?", "\"what?\" is not known");
        break;
    case SL_CONFIG_URL:
        refuse(field, path, "what?", "\"what?\" has no scheme");
        refuse(field, path, "gopher://h", "\"gopher://h\" has another scheme");
        break;
    case SL_CONFIG_STRING:
    case SL_CONFIG_SECRET:
        break;
    default:
        (void)snprintf(what + strlen(what), sizeof what - strlen(what), "%s", nouns[field->type]);
        refuse(field, path, "what?", what);
    }
    refuse(field, path, "[a]", "a list stands here");
    refuse(field, path, "{a: b}", "a map stands here");
}

/* ---- bounds ---- */

static bool is_number(enum sl_config_type type)
{
    return type == SL_CONFIG_INT || type == SL_CONFIG_UINT || type == SL_CONFIG_DURATION || type == SL_CONFIG_SIZE ||
           type == SL_CONFIG_DOUBLE || type == SL_CONFIG_PERCENT;
}

/* The number of a bound, in units of the struct. */
static double number_of(const struct sl_config_field *field, const char *text)
{
    union {
        int64_t integer;
        uint64_t natural;
        double number;
    } value = {0};
    const char *why;
    struct sl__arena arena = {.limit_bytes = 65536};
    assert_int_equal(sl__value_read(&arena, field, text, strlen(text), &value, &why), 0);
    sl__arena_free(&arena);
    return field->type == SL_CONFIG_DOUBLE || field->type == SL_CONFIG_PERCENT ? value.number
           : field->type == SL_CONFIG_UINT || field->type == SL_CONFIG_SIZE    ? (double)value.natural
                                                                               : (double)value.integer;
}

/* Written as a value of the field. */
static void number_text(const struct sl_config_field *field, double number, char out[64])
{
    switch (field->type) {
    case SL_CONFIG_DURATION:
        (void)snprintf(out, 64, "%.0fns", number);
        break;
    case SL_CONFIG_SIZE:
        (void)snprintf(out, 64, "%.0fB", number);
        break;
    case SL_CONFIG_PERCENT:
        (void)snprintf(out, 64, "%.6g%%", number * 100);
        break;
    case SL_CONFIG_DOUBLE:
        (void)snprintf(out, 64, "%.6g", number);
        break;
    default:
        (void)snprintf(out, 64, "%.0f", number);
    }
}

/* The value itself is inside; nothing may be said of its range, whatever the section as a whole thinks of it. */
static void expect_no_range(const char *path, const char *value)
{
    char set[PATH_BYTES + VALUE_BYTES];
    sl_config *config = NULL;
    sl_auto(sl_config_report) *report = NULL;
    (void)snprintf(set, sizeof set, "%s=%s", path, value);
    (void)load_with(set, &config, &report);
    const struct sl_config_problem *problem;
    for (size_t i = 0; (problem = sl_config_report_at(report, i)) != NULL; i++) {
        if (strstr(problem->message, " is too ") != NULL || strstr(problem->message, " bytes;") != NULL ||
            strstr(problem->message, " items;") != NULL) {
            fail_msg("%s: %s", set, problem->message);
        }
    }
    sl_config_unref(config);
}

static void check_number(const struct sl_config_field *field, const char *path, const char *bound, bool upper)
{
    char value[64];
    char what[128];
    double step = field->type == SL_CONFIG_PERCENT ? 0.001 : field->type == SL_CONFIG_DOUBLE ? 0.01 : 1;
    double number = number_of(field, bound);
    expect_no_range(path, bound);
    if (!upper && number <= 0 && field->type != SL_CONFIG_INT) {
        return;
    }
    /* Far numbers are further apart than one. */
    double off = number + (upper ? 1 : -1) * (number > 1e15 ? number / 1e3 : step);
    number_text(field, off, value);
    (void)snprintf(what, sizeof what, "\"%s\" is too %s", value, upper ? "large" : "small");
    refuse(field, path, value, what);
    bounded++;
}

static void check_length(const struct sl_config_field *field, const char *path, const char *bound, bool upper)
{
    char value[VALUE_BYTES + 64];
    char what[VALUE_BYTES];
    size_t bytes = (size_t)strtoull(bound, NULL, 10);
    if ((!upper && bytes == 0) || bytes + 1 >= VALUE_BYTES) {
        return;
    }
    bytes = upper ? bytes + 1 : bytes - 1;
    size_t used = (size_t)snprintf(value, sizeof value, "'");
    memset(value + used, 'x', bytes);
    (void)snprintf(value + used + bytes, sizeof value - used - bytes, "'");
    if (field->type == SL_CONFIG_SECRET) {
        (void)snprintf(what, sizeof what, "the secret has %zu bytes", bytes);
    } else if (bytes <= 60) {
        (void)snprintf(what, sizeof what, "\"%.*s\" has %zu bytes", (int)bytes, value + 1, bytes);
    } else { /* long texts are cut */
        (void)snprintf(what, sizeof what, "\"%.60s...\" has %zu bytes", value + 1, bytes);
    }
    refuse(field, path, value, what);
    bounded++;
}

/* A map that is laid over the base keeps the entries of it. */
static void check_count(const struct sl_config_field *field, const char *path, const void *at, const char *bound,
                        bool upper)
{
    static char value[VALUE_BYTES];
    char what[64];
    bool list = field->type == SL_CONFIG_LIST;
    size_t count = (size_t)strtoull(bound, NULL, 10) + (upper ? 1 : (size_t)-1);
    size_t there = list ? 0 : ((const struct sl_config_map *)at)->count;
    if (count > 300 || count < there) {
        return; /* the base would not be small any more */
    }
    size_t used = (size_t)snprintf(value, sizeof value, "%s", list ? "[" : "{");
    for (size_t i = there; i < count; i++) {
        const char *item = field->element->type == SL_CONFIG_ENUM               ? field->element->choices[0]
                           : field->element->type == SL_CONFIG_DURATION         ? "1h"
                           : field->element->type == SL_CONFIG_SECRET           ? "0123456789abcdef"
                           : field->element->section == &sl__conf_limit         ? "{rates: [{rate: 1/s}]}"
                           : field->element->type != SL_CONFIG_SECTION          ? "xy"
                           : strcmp(field->element->section->name, "rate") == 0 ? "{rate: 1/s}"
                                                                                : "{}";
        item = field->element->refers_to != NULL ? "one" : item;
        used += list ? (size_t)snprintf(value + used, sizeof value - used, "%s, ", item)
                     : (size_t)snprintf(value + used, sizeof value - used, "k%zu: %s, ", i, item);
    }
    (void)snprintf(value + used, sizeof value - used, "%s", list ? "]" : "}");
    (void)snprintf(what, sizeof what, "it has %zu %s", count, list ? "items" : "entries");
    if (used < sizeof value - 16) {
        refuse(field, path, value, what);
        bounded++;
    }
}

static void check_bounds(const struct sl_config_field *field, const char *path, const void *at)
{
    for (int upper = 0; upper < 2; upper++) {
        const char *bound = upper ? field->max : field->min;
        if (bound == NULL && !upper && field->type == SL_CONFIG_UINT) {
            refuse(field, path, "-1", "\"-1\" is negative");
        } else if (bound == NULL || field->refers_to != NULL) {
            continue;
        } else if (is_number(field->type)) {
            check_number(field, path, bound, upper);
        } else if (field->type == SL_CONFIG_STRING || field->type == SL_CONFIG_SECRET) {
            check_length(field, path, bound, upper);
        } else if (strcmp(path, "services") != 0 && strcmp(path, "sinks") != 0) {
            check_count(field, path, at, bound, upper);
        }
    }
}

/* ---- reading and reloading ---- */

static bool ends_with(const char *path, const char *end)
{
    size_t bytes = strlen(end);
    size_t length = strlen(path);
    return length >= bytes && strcmp(path + length - bytes, end) == 0 &&
           (length == bytes || path[length - bytes - 1] == '.');
}

/* A value other than that of the base, which fits. */
static void other_value(const struct sl_config_field *field, const char *path, const void *at, char out[VALUE_BYTES])
{
    const char *best = NULL;
    char number[64];
    for (size_t i = 0; i < sizeof fitting / sizeof fitting[0]; i++) {
        if (ends_with(path, fitting[i].end) && (best == NULL || strlen(fitting[i].end) > strlen(best))) {
            bool text = field->type == SL_CONFIG_STRING || *fitting[i].value != '/'; /* no path for a URL */
            best = text ? fitting[i].end : best;
            if (text) {
                (void)snprintf(out, VALUE_BYTES, "%s", fitting[i].value);
            }
        }
    }
    if (best != NULL) {
        return;
    }
    switch (field->type) {
    case SL_CONFIG_BOOL:
        (void)snprintf(out, VALUE_BYTES, "%s", *(const bool *)at ? "false" : "true");
        break;
    case SL_CONFIG_ENUM:
        (void)snprintf(out, VALUE_BYTES, "%s", field->choices[*(const int *)at == 0]);
        break;
    case SL_CONFIG_STRING:
    case SL_CONFIG_SECRET:
        (void)snprintf(out, VALUE_BYTES, "%s", field->refers_to != NULL ? "two" : "another-text-of-24-bytes");
        break;
    case SL_CONFIG_URL:
        (void)snprintf(out, VALUE_BYTES, "%s://127.0.0.1:99", field->choices[0]);
        break;
    case SL_CONFIG_RATE:
        (void)snprintf(out, VALUE_BYTES, "77/2s");
        break;
    case SL_CONFIG_LIST:
        (void)snprintf(out, VALUE_BYTES, "[%s]",
                       field->element->refers_to != NULL            ? "two"
                       : field->element->type == SL_CONFIG_ENUM     ? field->element->choices[1]
                       : field->element->type == SL_CONFIG_DURATION ? "2h"
                                                                    : "other");
        break;
    default: { /* a number: the least or the most */
        double least = field->min == NULL ? 0 : number_of(field, field->min);
        double most = field->max == NULL ? 1000 : number_of(field, field->max);
        double now = field->type == SL_CONFIG_DOUBLE || field->type == SL_CONFIG_PERCENT ? *(const double *)at
                                                                                         : (double)*(const int64_t *)at;
        number_text(field, now < most && now + 0.001 < most ? most : least, number);
        (void)snprintf(out, VALUE_BYTES, "%s", number);
    }
    }
}

/* Whether the member has what the text says, by another reading of it. */
static bool has_value(const struct sl_config_field *field, const void *at, const char *text)
{
    union {
        bool flag;
        int64_t integer;
        double number;
        const char *text;
        struct sl_config_rate rate;
        struct sl_config_url url;
        int word;
    } value;
    const char *why;
    struct sl__arena arena = {.limit_bytes = 65536};
    const struct sl_config_list *list = at;
    const struct sl_config_map *map = at;
    if (field->type == SL_CONFIG_LIST || field->type == SL_CONFIG_MAP) { /* one item, between brackets */
        bool pair = field->type == SL_CONFIG_MAP;
        char item[64];
        const char *begin = text + (pair ? 4 : 1);
        begin += *begin == '\'';
        (void)snprintf(item, sizeof item, "%.*s", (int)strcspn(begin, "'}]"), begin);
        return pair ? map->count == 1 && strcmp(map->names[0], "a") == 0 &&
                          has_value(field->element, sl_config_map_at(map, 0), item)
                    : list->count == 1 && has_value(field->element, sl_config_list_at(list, 0), item);
    }
    memset(&value, 0, sizeof value);
    bool good =
        sl__value_read(&arena, field, text, strlen(text), &value, &why) == 0 && sl__value_equal(field, &value, at);
    sl__arena_free(&arena);
    return good;
}

/* Where the value of the same path is in another configuration: walked again from its root. */
struct target {
    const char *path;
    const struct sl_config_field *field;
    const void *at;
};

typedef void (*visit_fn)(void *arg, const struct sl_config_field *field, const char *path, const char *change,
                         const void *at, enum sl_config_reload reload);

static void walk(const struct sl_config_section *section, const char *path, const char *change, const void *value,
                 enum sl_config_reload around, visit_fn visit, void *arg);

/* A field, and what is inside of it. `change`: the path that a change of it is reported under; NULL: its own. */
static void walk_field(const struct sl_config_field *field, const char *path, const char *change, const void *at,
                       enum sl_config_reload around, visit_fn visit, void *arg)
{
    char inner[PATH_BYTES];
    enum sl_config_reload reload = field->reload == SL_CONFIG_AS_AROUND ? around : field->reload;
    const struct sl_config_map *map = at;
    const struct sl_config_list *list = at;
    const struct sl_config_variant *variant = at;
    if (field->type == SL_CONFIG_VARIANT) {
        walk(variant->kind, path, change, variant->value, reload, visit, arg);
        return;
    }
    visit(arg, field, path, change == NULL ? path : change, at, reload);
    if (field->type == SL_CONFIG_SECTION) {
        const void *value = field->optional ? *(const void *const *)at : at;
        if (value != NULL) {
            walk(field->section, path, change, value, reload, visit, arg);
        }
    } else if (field->type == SL_CONFIG_MAP && !sl__value_is_scalar(field->element->type)) {
        for (size_t i = 0; i < map->count; i++) {
            if (strcmp(map->names[i], "two") != 0) {
                (void)snprintf(inner, sizeof inner, "%s.%s", path, map->names[i]);
                walk_field(field->element, inner, change, sl_config_map_at(map, i), reload, visit, arg);
            }
        }
    } else if (field->type == SL_CONFIG_LIST && field->element->type == SL_CONFIG_SECTION) {
        (void)snprintf(inner, sizeof inner, "%s[0]", path);
        walk_field(field->element, inner, path, sl_config_list_at(list, 0), reload, visit, arg);
    }
}

static void walk(const struct sl_config_section *section, const char *path, const char *change, const void *value,
                 enum sl_config_reload around, visit_fn visit, void *arg)
{
    char inner[PATH_BYTES];
    for (size_t i = 0; i < section->field_count; i++) {
        const struct sl_config_field *field = &section->fields[i];
        (void)snprintf(inner, sizeof inner, "%s%s%s", path, *path == '\0' ? "" : ".", field->key);
        walk_field(field, inner, change, (const char *)value + field->offset, around, visit, arg);
    }
}

static void look_for(void *arg, const struct sl_config_field *field, const char *path, const char *change,
                     const void *at, enum sl_config_reload reload)
{
    struct target *target = arg;
    (void)field;
    (void)change;
    (void)reload;
    if (strcmp(path, target->path) == 0) {
        target->at = at;
    }
}

static void check_change(const sl_config *before, const sl_config *after, const char *change,
                         enum sl_config_reload reload)
{
    sl_auto(sl_config_changes) *changes = NULL;
    assert_int_equal(sl_config_compare(before, after, &changes), 0);
    const struct sl_config_change *first = sl_config_changes_at(changes, 0);
    if (sl_config_changes_count(changes) != 1 || strncmp(first->path, change, strlen(change)) != 0 ||
        first->reload != reload) {
        fail_msg("%s: %zu changes, the first: %s, class %d; expected %d", change, sl_config_changes_count(changes),
                 first == NULL ? "none" : first->path, first == NULL ? -1 : (int)first->reload, (int)reload);
    }
}

static void visit_read(void *arg, const struct sl_config_field *field, const char *path, const char *change,
                       const void *at, enum sl_config_reload reload)
{
    const sl_config *before = arg;
    char value[VALUE_BYTES];
    char set[PATH_BYTES + VALUE_BYTES];
    sl_auto(sl_config) *after = NULL;
    sl_auto(sl_config_report) *report = NULL;
    bool inner =
        field->type == SL_CONFIG_SECTION || (field->element != NULL && !sl__value_is_scalar(field->element->type));
    if (inner) {
        return; /* its keys are visited */
    }
    other_value(field, path, at, value);
    (void)snprintf(set, sizeof set, "%s=%s", path, value);
    if (load_with(set, &after, &report) != 0) {
        fail_msg("%s: %s", set, sl_config_report_text(report));
    }
    struct target target = {path, field, NULL};
    walk(&sl_conf_root, "", NULL, sl_config_root(after), SL_CONFIG_RESTART_PROCESS, look_for, &target);
    if (target.at == NULL || !has_value(field, target.at, value)) {
        fail_msg("%s: the member has something else", set);
    }
    walked++;
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (strcmp(path, fixed[i]) == 0) {
            return;
        }
    }
    check_change(before, after, change, reload);
}

static void visit_bounds(void *arg, const struct sl_config_field *field, const char *path, const char *change,
                         const void *at, enum sl_config_reload reload)
{
    (void)arg;
    (void)change;
    (void)reload;
    check_type(field, path);
    check_bounds(field, path, at);
    walked++;
}

/* A key's name is known, and one like it is not. */
static void visit_names(void *arg, const struct sl_config_field *field, const char *path, const char *change,
                        const void *at, enum sl_config_reload reload)
{
    char other[PATH_BYTES];
    char message[PATH_BYTES];
    (void)arg;
    (void)change;
    (void)at;
    (void)reload;
    if (field->key == NULL) {
        return;
    }
    (void)snprintf(other, sizeof other, "%sq", path);
    (void)snprintf(message, sizeof message, "unknown key; did you mean \"%s\"?", field->key);
    if (strlen(field->key) > 3) { /* of shorter ones nothing is near enough for sure */
        expect_refused(other, "1", message);
        walked++;
    }
}

static void visit_all(visit_fn visit)
{
    sl_auto(sl_config) *config = conf_loaded(base);
    walked = 0;
    walk(&sl_conf_root, "", NULL, sl_config_root(config), SL_CONFIG_RESTART_PROCESS, visit, config);
}

static void every_key_is_read_and_reloaded(void **state)
{
    (void)state;
    visit_all(visit_read);
    print_message("%zu keys read and reloaded\n", walked);
    assert_true(walked > 300);
}

static void every_key_is_bounded(void **state)
{
    (void)state;
    visit_all(visit_bounds);
    print_message("%zu keys with their types, %zu bounds\n", walked, bounded);
    assert_true(walked > 300 && bounded > 300);
}

static void every_key_has_one_name(void **state)
{
    (void)state;
    visit_all(visit_names);
    print_message("%zu names\n", walked);
    assert_true(walked > 200);
}

SL_TEST_MAIN(cmocka_unit_test(every_key_is_read_and_reloaded), cmocka_unit_test(every_key_is_bounded),
             cmocka_unit_test(every_key_has_one_name))
