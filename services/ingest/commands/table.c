/* SPDX-License-Identifier: MIT */
/* Tables on a terminal. What comes over the wire cannot steer it: only printable characters get there. */
#include "ingest/commands/table.h"

#include "ingest/progress.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "sluice/memory.h"

#define DEPTH_MAX 16
#define LAST_LEAST ((size_t)24)

struct row {
    char cells[SL_TABLE_COLUMNS_MAX][SL_TABLE_CELL_BYTES];
    uint64_t id, parent;
    unsigned depth;
};

struct table {
    const struct sl_table_column *columns;
    size_t column_count;
    struct row *rows;
    size_t count, capacity;
    struct sl_table_memory *memory, next;
    sl_time now;
    bool bars;    /* it goes to a terminal */
    size_t width; /* of it; 0: whatever is needed */
    bool left_out[SL_TABLE_COLUMNS_MAX];
};

void sl_table_memory_free(struct sl_table_memory *memory)
{
    sl_free(memory->hashes);
    sl_free(memory->counts);
    *memory = (struct sl_table_memory){0};
}

void sl_table_number(enum sl_table_kind kind, double value, char cell[SL_TABLE_CELL_BYTES])
{
    static const char *const counts[] = {"", " k", " M", " G", " T"};
    static const char *const bytes[] = {" B", " KiB", " MiB", " GiB", " TiB"};
    if (kind == SL_TABLE_SECONDS) {
        bool micro = value < 1e-3;
        bool milli = !micro && value < 1;
        (void)snprintf(cell, SL_TABLE_CELL_BYTES, "%.*f %s", micro || value >= 100 ? 0 : 1,
                       micro   ? value * 1e6
                       : milli ? value * 1e3
                               : value,
                       micro   ? "us"
                       : milli ? "ms"
                               : "s");
        return;
    }
    double step = kind == SL_TABLE_BYTES ? 1024 : 1000;
    size_t unit = 0;
    while (value >= (unit == 0 && step < 1024 ? 10000 : step) && unit < 4) {
        value /= step;
        unit++;
    }
    (void)snprintf(cell, SL_TABLE_CELL_BYTES, "%.*f%s", unit == 0 ? 0 : 1, value,
                   kind == SL_TABLE_BYTES ? bytes[unit] : counts[unit]);
}

/* ---- reading ---- */

static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static void put_text(char cell[SL_TABLE_CELL_BYTES], sl_json_text text)
{
    size_t bytes = text.size_bytes < SL_TABLE_CELL_BYTES ? text.size_bytes : SL_TABLE_CELL_BYTES - 1;
    while (bytes < text.size_bytes && bytes > 0 && ((unsigned char)text.data[bytes] & 0xC0) == 0x80) {
        bytes--;
    }
    memcpy(cell, text.data, bytes);
    cell[bytes] = '\0';
    for (char *at = cell; *at != '\0'; at++) {
        bool c1 = (unsigned char)at[0] == 0xC2 && (unsigned char)at[1] < 0xA0;
        if ((unsigned char)*at < 0x20 || *at == 0x7f || c1) {
            *at = '?';
            at[c1 ? 1 : 0] = '?';
        }
    }
}

static void put_share(const struct table *table, double value, char cell[SL_TABLE_CELL_BYTES])
{
    if (table->bars) {
        char bar[SL_PROGRESS_BAR_BYTES];
        sl_progress_bar(value, bar);
        (void)snprintf(cell, SL_TABLE_CELL_BYTES, "%s", bar);
    } else {
        (void)snprintf(cell, SL_TABLE_CELL_BYTES, "%d %%", (int)(value * 100));
    }
}

static int read_cell(struct table *table, struct row *row, size_t column, sl_json *json)
{
    char *cell = row->cells[column];
    enum sl_table_kind kind = table->columns[column].kind;
    sl_json_text text;
    int type = sl_json_get_scalar(json, &text);
    if (type == SL_EPROTO) {
        return 0; /* an object or an array: skipped */
    }
    SL_TRY(type);
    if (type != SL_JSON_NUMBER || kind == SL_TABLE_TEXT || kind == SL_TABLE_TREE) {
        if (type != SL_JSON_NULL) {
            put_text(cell, text);
        }
        return 0;
    }
    char number[SL_TABLE_CELL_BYTES];
    put_text(number, text);
    double value = strtod(number, NULL);
    if (kind == SL_TABLE_RATE) {
        (void)snprintf(cell, SL_TABLE_CELL_BYTES, "%.17g", value); /* the rate comes when the row is whole */
    } else if (kind == SL_TABLE_SHARE) {
        put_share(table, value, cell);
    } else {
        sl_table_number(kind, value, cell);
    }
    return 0;
}

/* Whether `key` is the part of the wanted key before the point, or all of it; the rest behind the point. */
static bool key_is(const char *wanted, sl_json_text key, const char **ret_rest)
{
    size_t length = strcspn(wanted, ".");
    *ret_rest = wanted[length] == '.' ? wanted + length + 1 : NULL;
    return key.size_bytes == length && memcmp(wanted, key.data, length) == 0;
}

static int read_member(struct table *table, struct row *row, sl_json *json, sl_json_text key);

/* A member that is an object, of which columns want members. */
static int read_inner(struct table *table, struct row *row, sl_json *json, const char *outer, size_t outer_bytes)
{
    sl_json_text key;
    int more;
    SL_TRY(sl_json_enter_object(json));
    while ((more = sl_json_next_field(json, &key)) > 0) {
        for (size_t i = 0; i < table->column_count; i++) {
            const char *wanted = table->columns[i].key;
            if (strncmp(wanted, outer, outer_bytes) == 0 && wanted[outer_bytes] == '.' &&
                sl_json_is(key, wanted + outer_bytes + 1)) {
                SL_TRY(read_cell(table, row, i, json));
                break;
            }
        }
    }
    return more;
}

static int read_member(struct table *table, struct row *row, sl_json *json, sl_json_text key)
{
    uint64_t *number = sl_json_is(key, "id") ? &row->id : sl_json_is(key, "parent") ? &row->parent : NULL;
    if (number != NULL && sl_json_peek(json) == SL_JSON_NUMBER) {
        return sl_json_get_uint64(json, number);
    }
    for (size_t i = 0; i < table->column_count; i++) {
        const char *rest;
        if (!key_is(table->columns[i].key, key, &rest)) {
            continue;
        }
        if (rest == NULL) {
            return read_cell(table, row, i, json);
        }
        const char *outer = table->columns[i].key;
        return sl_json_peek(json) == SL_JSON_OBJECT ? read_inner(table, row, json, outer, (size_t)(rest - 1 - outer))
                                                    : 0;
    }
    return 0;
}

/* The count of that row in the table before, or -1. */
static double count_before(const struct sl_table_memory *memory, uint64_t hash)
{
    for (size_t i = 0; i < memory->count; i++) {
        if (memory->hashes[i] == hash) {
            return memory->counts[i];
        }
    }
    return -1;
}

/* Makes the rate out of the count that stands in the cell. */
static int make_rate(struct table *table, struct row *row, size_t column)
{
    char *cell = row->cells[column];
    struct sl_table_memory *next = &table->next;
    double value = strtod(cell, NULL);
    uint64_t hash = hash_of(row->cells[0]);
    double seconds = (double)(table->now - table->memory->when) / 1e9;
    double before = count_before(table->memory, hash);
    cell[0] = '\0';
    if (before >= 0 && seconds > 0 && value >= before) {
        sl_table_number(SL_TABLE_COUNT, (value - before) / seconds, cell);
    }
    if (next->hashes == NULL) {
        next->hashes = sl_calloc(SL_TABLE_ROWS_MAX, sizeof *next->hashes);
        next->counts = sl_calloc(SL_TABLE_ROWS_MAX, sizeof *next->counts);
        if (next->hashes == NULL || next->counts == NULL) {
            return sl_fail(SL_ENOMEM, "no memory for a table");
        }
    }
    next->hashes[next->count] = hash;
    next->counts[next->count++] = value;
    return 0;
}

static unsigned depth_of(const struct table *table, const struct row *row)
{
    for (size_t i = table->count; row->parent != 0 && i-- > 0;) {
        if (table->rows[i].id == row->parent) {
            return table->rows[i].depth + 1;
        }
    }
    return 0;
}

static int read_row(struct table *table, sl_json *json)
{
    if (table->count == SL_TABLE_ROWS_MAX) {
        return sl_fail(SL_EMSGSIZE, "more than %d rows", SL_TABLE_ROWS_MAX);
    }
    if (table->count == table->capacity) {
        size_t capacity = table->capacity == 0 ? 32 : table->capacity * 2;
        struct row *rows = sl_realloc(table->rows, capacity * sizeof *rows);
        if (rows == NULL) {
            return sl_fail(SL_ENOMEM, "no memory for a row");
        }
        table->rows = rows;
        table->capacity = capacity;
    }
    struct row *row = &table->rows[table->count];
    sl_json_text key;
    int more;
    memset(row, 0, sizeof *row);
    SL_TRY(sl_json_enter_object(json));
    while ((more = sl_json_next_field(json, &key)) > 0) {
        SL_TRY(read_member(table, row, json, key));
    }
    SL_TRY(more);
    row->depth = depth_of(table, row);
    for (size_t i = 0; i < table->column_count; i++) {
        if (table->columns[i].kind == SL_TABLE_RATE && table->memory != NULL) {
            SL_TRY(make_rate(table, row, i));
        }
    }
    table->count++;
    return 0;
}

/* ---- printing ---- */

static size_t indent_of(const struct table *table, const struct row *row, size_t column)
{
    unsigned depth = row->depth < DEPTH_MAX ? row->depth : DEPTH_MAX;
    return table->columns[column].kind == SL_TABLE_TREE ? (size_t)2 * depth : 0;
}

static bool is_number(enum sl_table_kind kind)
{
    return kind != SL_TABLE_TEXT && kind != SL_TABLE_TREE;
}

static void print_cell(FILE *out, const char *text, size_t indent, size_t width, bool right, bool last)
{
    size_t length = strlen(text) + indent;
    int space = width > length ? (int)(width - length) : 0;
    size_t bytes = strlen(text);
    if (length > width) {
        for (bytes = width - indent; bytes > 0 && ((unsigned char)text[bytes] & 0xC0) == 0x80;) {
            bytes--;
        }
    }
    (void)fprintf(out, "%*s%.*s%*s%s", (int)indent + (right ? space : 0), "", (int)bytes, text,
                  right || last ? 0 : space, "", last ? "\n" : "  ");
}

static bool shown(const struct table *table, size_t column)
{
    if (table->left_out[column]) {
        return false;
    }
    bool any = table->columns[column].kind != SL_TABLE_SHARE;
    for (size_t r = 0; r < table->count && !any; r++) {
        any = table->rows[r].cells[column][0] != '\0';
    }
    return any;
}

/* What is left of the terminal for a text that stands last; at least what is worth reading. */
static size_t cut_last(const struct table *table, const size_t widths[SL_TABLE_COLUMNS_MAX])
{
    size_t last = table->column_count - 1;
    size_t total = 0;
    if (table->columns[last].kind != SL_TABLE_TEXT || !shown(table, last)) {
        return widths[last];
    }
    for (size_t i = 0; i < last; i++) {
        total += shown(table, i) ? widths[i] + 2 : 0;
    }
    size_t room = table->width > total + LAST_LEAST ? table->width - total : LAST_LEAST;
    return widths[last] < room ? widths[last] : room;
}

/* The columns that there is no room for. */
static void leave_out(struct table *table, const size_t widths[SL_TABLE_COLUMNS_MAX])
{
    for (size_t dropped = 0; dropped < table->column_count; dropped++) {
        size_t total = 0;
        size_t most = table->column_count;
        for (size_t i = 0; i < table->column_count; i++) {
            if (!shown(table, i)) {
                continue;
            }
            total += (i + 1 < table->column_count ? widths[i] : cut_last(table, widths)) + (total == 0 ? 0 : 2);
            unsigned spare = table->columns[i].spare;
            most = spare > 0 && (most == table->column_count || spare > table->columns[most].spare) ? i : most;
        }
        if (total <= table->width || most == table->column_count) {
            return;
        }
        table->left_out[most] = true;
    }
}

static size_t width_of(FILE *out)
{
    struct winsize size = {.ws_col = 0};
    return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static void print_table(struct table *table, FILE *out)
{
    size_t widths[SL_TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < table->column_count; i++) {
        if (!shown(table, i)) {
            continue;
        }
        widths[i] = strlen(table->columns[i].title);
        for (size_t r = 0; r < table->count; r++) {
            size_t length = strlen(table->rows[r].cells[i]) + indent_of(table, &table->rows[r], i);
            widths[i] = length > widths[i] ? length : widths[i];
        }
    }
    if (table->width > 0) {
        leave_out(table, widths);
        widths[table->column_count - 1] = cut_last(table, widths);
    }
    size_t last = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        last = shown(table, i) ? i : last;
    }
    for (size_t i = 0; i < table->column_count; i++) {
        if (shown(table, i)) {
            print_cell(out, table->columns[i].title, 0, widths[i], is_number(table->columns[i].kind), i == last);
        }
    }
    for (size_t r = 0; r < table->count; r++) {
        const struct row *row = &table->rows[r];
        for (size_t i = 0; i < table->column_count; i++) {
            if (!shown(table, i)) {
                continue;
            }
            print_cell(out, row->cells[i][0] == '\0' ? "-" : row->cells[i], indent_of(table, row, i), widths[i],
                       is_number(table->columns[i].kind), i == last);
        }
    }
}

static int read_all(struct table *table, sl_json *json, const char *text, size_t bytes, const char *name)
{
    int more;
    SL_TRY(sl_json_open(json, text, bytes, 0));
    SL_TRY(sl_json_enter_object(json));
    SL_TRY(sl_json_find_field(json, name));
    SL_TRY(sl_json_enter_array(json));
    while ((more = sl_json_next_element(json)) > 0) {
        SL_TRY(read_row(table, json));
    }
    return more;
}

int sl_table_print(const char *text, size_t bytes, const char *name, const struct sl_table_column *columns,
                   size_t column_count, struct sl_table_memory *memory, FILE *out)
{
    struct table table = {.columns = columns,
                          .column_count = column_count,
                          .memory = memory,
                          .now = sl_now(),
                          .bars = sl_progress_wanted(fileno(out)),
                          .width = width_of(out)};
    sl_auto(sl_json) *json = NULL;
    SL_TRY(sl_json_new(0, &json));
    int code = read_all(&table, json, text, bytes, name);
    if (code == 0) {
        print_table(&table, out);
    } else if (code != SL_ENOMEM && code != SL_EMSGSIZE) {
        code = sl_fail(SL_EPROTO, "the answer has no rows '%s': %s", name, sl_json_problem(json));
    }
    if (memory != NULL) {
        sl_table_memory_free(memory);
        *memory = table.next;
        memory->when = table.now;
    }
    sl_free(table.rows);
    return code;
}
