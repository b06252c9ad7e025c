/* rows.c - see rows.h. */
#include "api/rows.h"

#include "steps/delivery.h"
#include "steps/delivery_header.h"
#include "steps/post.h"

#include <stdio.h>

enum { ROWS_MAX = 10000, MISTAKES_MAX = 20, POINTER_BYTES = 160 };

typedef struct Rows {
    const ClaimsConfig *claims;
    Arena *arena;
    Reply *reply;
    Str raw;
    const char *const *names;
    size_t n_names;
    Str *values;
    size_t n, capacity;
    int n_mistakes;
} Rows;

/* "#/17/ClaimID", RFC 6901. The member's name is the client's own; a long one is cut between its characters. */
static const char *pointer_to(Rows *rows, const char *member) {
    char text[POINTER_BYTES];
    size_t size = (size_t)snprintf(text, sizeof text, "#/%zu%s", rows->n, member ? "/" : "");
    for (; member && *member && size + 3 < sizeof text; member++) {
        if (*member == '~' || *member == '/')
            text[size++] = '~';
        text[size++] = *member == '~' ? '0' : *member == '/' ? '1' : *member;
    }
    for (; member && ((unsigned char)*member & 0xC0) == 0x80; member--)
        size--;
    text[size] = 0;
    return arena_string(rows->arena, str_of(text));
}

static void mistake(Rows *rows, const char *member, const char *detail) {
    if (rows->n_mistakes++ < MISTAKES_MAX)
        reply_input_error(rows->reply, pointer_to(rows, member), "%s", detail);
}

static bool add_row(Rows *rows) {
    if (rows->n == ROWS_MAX) {
        reply_problem(rows->reply, 413, "the body holds more than %d rows", ROWS_MAX);
        rows->n_mistakes++;
        return false;
    }
    if (rows->n == rows->capacity) {
        size_t capacity = rows->capacity ? 2 * rows->capacity : 16;
        Str *grown = ARENA_ARRAY(rows->arena, Str, capacity * rows->n_names);
        if (rows->n)
            memcpy(grown, rows->values, rows->n * rows->n_names * sizeof *grown);
        rows->values = grown;
        rows->capacity = capacity;
    }
    for (size_t i = 0; i < rows->n_names; i++)
        rows->values[rows->n * rows->n_names + i] = STR_NULL;
    return true;
}

static const char *column_of(const Rows *rows, const char *member, size_t *ret_index) {
    const char *name = header_column_name(rows->claims, str_of(member));
    for (size_t i = 0; i < rows->n_names; i++)
        if (strcmp(rows->names[i], member) == 0 || (name && strcmp(rows->names[i], name) == 0)) {
            *ret_index = i;
            return rows->names[i];
        }
    return NULL;
}

/* Text as in a file; a number with a fraction has lost its digits when it gets here. */
static const char *take_value(Rows *rows, const json_t *value, Str *ret_text) {
    Arena *arena = rows->arena;
    if (json_is_string(value))
        *ret_text = arena_copy(arena, (Str){json_string_value(value), json_string_length(value)});
    else if (json_is_integer(value))
        *ret_text = str_of(arena_printf(arena, "%lld", (long long)json_integer_value(value)));
    else if (!json_is_null(value))
        return json_is_real(value) ? "a number with a fraction is written as a string, so that no digit is lost"
                                   : "a string, a whole number or null is expected";
    return NULL;
}

static void take_row(Rows *rows, json_t *row) {
    bool *is_given = ARENA_ARRAY(rows->arena, bool, rows->n_names + 1);
    const char *member, *why;
    json_t *value;
    if (!json_is_object(row)) {
        mistake(rows, NULL, "a row is a JSON object");
        return;
    }
    json_object_foreach(row, member, value) {
        size_t i;
        if (!column_of(rows, member, &i))
            mistake(rows, member, "the feed's mapping asks for no such member");
        else if (is_given[i])
            mistake(rows, member, "this column is given twice, by two of its names");
        else if ((why = take_value(rows, value, &rows->values[rows->n * rows->n_names + i])))
            mistake(rows, member, why);
        else
            is_given[i] = true;
    }
}

static void read_array(Rows *rows) {
    json_error_t why;
    json_t *body = json_loadb(rows->raw.at, rows->raw.size, JSON_REJECT_DUPLICATES, &why), *row;
    size_t i;
    if (!body)
        reply_input_error(rows->reply, "#", "the body is not JSON: mistake at line %d, column %d", why.line, why.column);
    else if (!json_is_array(body))
        reply_input_error(rows->reply, "#", "the body is not a JSON array of rows");
    rows->n_mistakes += !json_is_array(body);
    json_array_foreach(body, i, row) {
        if (!add_row(rows))
            break;
        take_row(rows, row);
        rows->n++;
    }
    json_decref(body);
}

static void read_line(Rows *rows, Str line, size_t number) {
    json_error_t why;
    json_t *row = json_loadb(line.at, line.size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!row)
        mistake(rows, NULL, arena_printf(rows->arena, "line %zu is not JSON: mistake at column %d", number, why.column));
    else
        take_row(rows, row);
    json_decref(row);
}

/* Empty lines are none. */
static void read_lines(Rows *rows) {
    Str rest = rows->raw;
    for (size_t number = 1; rest.size > 0; number++) {
        const char *end = memchr(rest.at, '\n', rest.size);
        Str line = {rest.at, end ? (size_t)(end - rest.at) : rest.size};
        size_t taken = line.size + (end != NULL);
        rest = (Str){rest.at + taken, rest.size - taken};
        line = str_trim(line);
        if (line.size == 0)
            continue;
        if (!add_row(rows))
            return;
        read_line(rows, line, number);
        rows->n++;
    }
}

bool rows_read(Str body, RowsForm form, const ClaimsConfig *claims, Arena *arena, Reply *reply, PostedRows *ret_rows) {
    Rows rows = {.claims = claims, .arena = arena, .reply = reply, .raw = body};
    rows.names = post_columns(claims, arena, &rows.n_names);
    if (form == ROWS_LINES)
        read_lines(&rows);
    else if (body.size > 0)
        read_array(&rows);
    if (rows.n == 0 && rows.n_mistakes == 0)
        rows.n_mistakes += !reply_input_error(reply, "#", "the body holds no row");
    *ret_rows = (PostedRows){.values = rows.values, .n = rows.n};
    return rows.n_mistakes == 0;
}
