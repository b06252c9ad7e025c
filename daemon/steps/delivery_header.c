/* delivery_header.c - see delivery_header.h. */
#include "steps/delivery_header.h"

#include "transform/formats/sniff.h"
#include "transform/text.h"

#include <string.h>

/* ---- what the configuration says ---- */

bool header_is_there(const ClaimsConfig *claims) {
    return claims->header == HEADER_AUTO ? claims->n_columns == 0 : claims->header == HEADER_YES;
}

const char *const *header_wanted_names(const ClaimsConfig *claims, Arena *arena, size_t *ret_n) {
    size_t n = 0;
    for (size_t i = 0; i < claims->mapping.n_columns; i++)
        n += claims->mapping.columns[i].n_from;
    for (size_t i = 0; i < claims->n_aliases; i++)
        n += claims->aliases[i].n_others;
    const char **names = ARENA_ARRAY(arena, const char *, n + 1);
    *ret_n = 0;
    for (size_t i = 0; i < claims->mapping.n_columns; i++)
        for (size_t j = 0; j < claims->mapping.columns[i].n_from; j++)
            names[(*ret_n)++] = claims->mapping.columns[i].from[j];
    for (size_t i = 0; i < claims->n_aliases; i++)
        for (size_t j = 0; j < claims->aliases[i].n_others; j++)
            names[(*ret_n)++] = claims->aliases[i].others[j];
    return names;
}

static bool is_among(Str name, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (str_equal_nocase(name, str_of(names[i])))
            return true;
    return false;
}

const char *header_column_name(const ClaimsConfig *claims, Str name) {
    for (size_t i = 0; i < claims->n_aliases; i++)
        if (is_among(name, claims->aliases[i].others, claims->aliases[i].n_others))
            return claims->aliases[i].name;
    for (size_t i = 0; i < claims->mapping.n_columns; i++)
        for (size_t j = 0; j < claims->mapping.columns[i].n_from; j++)
            if (str_equal_nocase(name, str_of(claims->mapping.columns[i].from[j])))
                return claims->mapping.columns[i].from[j];
    return NULL;
}

/* ---- line 1 ---- */

static bool is_readable(const HeaderLine *line, Error *err) {
    if (line->cut_packing && (line->status == CSV_END || !line->row.has_end)) {
        error_set(err, STATE_DATA, "the %s file was cut within its first line", line->cut_packing);
        return error_hint(err, "send it again, whole");
    }
    if (line->status == CSV_END) {
        error_set(err, STATE_DATA, "the file has no header: it holds blank lines at most");
        return error_hint(err, "send it again, whole");
    }
    if (line->row.problem == CSV_FINE)
        return true;
    error_set(err, STATE_DATA, "the header cannot be read: %s", csv_problem_text(line->row.problem));
    return error_hint(err, "mend line 1 where the file is made, or say how it is written (`format`, `quote`)");
}

bool header_check(const ClaimsConfig *claims, const HeaderLine *line, Error *err) {
    TRY(is_readable(line, err));
    if (claims->n_columns == 0 || claims->format == FORMAT_FIXED || line->row.n_fields == claims->n_columns)
        return true;
    error_set(err, STATE_DATA, "line 1 has %zu columns, and `columns` names %zu", line->row.n_fields, claims->n_columns);
    return error_hint(err, "name the columns that the file has, in their order");
}

/* ---- names ---- */

static bool has_field(const Header *header, const char *name) {
    for (size_t i = 0; i < header->n_fields; i++)
        if (strcmp(header->fields[i].name, name) == 0)
            return true;
    return false;
}

static bool check_names(const Header *header, Error *err) {
    for (size_t i = 0; i < header->n_fields; i++)
        for (size_t j = 0; j < i; j++) {
            if (strcmp(header->fields[j].name, header->fields[i].name) != 0)
                continue;
            error_set(err, STATE_DATA, "columns %zu and %zu of the header bear one name", j + 1, i + 1);
            return error_hint(err, "name them apart where the file is made, or by `columns` with `header: true`");
        }
    return true;
}

static bool refuse_alike(size_t first, size_t second, const char *name, Error *err) {
    error_set(err, STATE_DATA, "columns %zu and %zu of the header are both called as `%s` may be", first + 1, second + 1, name);
    return error_hint(err, "take the one that is not meant out of `aliases`, or call it otherwise where the file is made");
}

/* A name that the file itself uses for another column is not taken from that one; which of two is meant is not guessed. */
static bool rename_fields(const ClaimsConfig *claims, Header *header, Arena *arena, Error *err) {
    TRY(check_names(header, err));
    bool *is_renamed = ARENA_ARRAY(arena, bool, header->n_fields);
    for (size_t i = 0; i < header->n_fields; i++) {
        const char *name = header_column_name(claims, str_of(header->fields[i].name));
        for (size_t j = 0; name && j < i; j++)
            if (is_renamed[j] && strcmp(header->fields[j].name, name) == 0)
                return refuse_alike(j, i, name, err);
        is_renamed[i] = name && !has_field(header, name);
        if (is_renamed[i])
            header->fields[i].name = name;
    }
    return true;
}

static bool name_field(const ClaimsConfig *claims, Arena *arena, Field *field, size_t i, Str text, Error *err) {
    bool is_repaired = false;
    Str name = heading_name(arena, text_repair(arena, text, &is_repaired));
    if (is_repaired && claims->encoding != DECLARED_DETECT) {
        error_set(err, STATE_DATA, "the header is not the text that `encoding` declares");
        return error_hint(err, "say `encoding: detect`, or the encoding it is in");
    }
    field->name = name.size ? arena_string(arena, name) : arena_printf(arena, "column_%zu", i + 1);
    return true;
}

/* Where line 1 holds none of the columns it is a row, and nothing of it may stand in a sentence. */
static bool check_known(const ClaimsConfig *claims, const Header *header, const HeaderLine *line, Error *err) {
    for (size_t i = 0; i < header->n_fields; i++)
        for (size_t j = 0; j < claims->mapping.n_columns; j++)
            for (size_t k = 0; k < claims->mapping.columns[j].n_from; k++)
                if (strcmp(claims->mapping.columns[j].from[k], header->fields[i].name) == 0)
                    return true;
    error_set(err, STATE_DATA, "line 1 is no header of %s: none of its columns stands there", claims->name);
    if (line->parts_better)
        return error_hint(err, "a %s parts its fields: say so by `format`, or `format: detect`", sniff_delimiter_name(line->parts_better));
    if (line->names_line > 1)
        return error_hint(err, "they stand in line %lld: have what is above them left out where the file is made",
                          (long long)line->names_line);
    return error_hint(err, "name the columns by `columns`, if the files have no header");
}

static void make_fields(const ClaimsConfig *claims, size_t n, Arena *arena, Header *ret_header) {
    ret_header->n_fields = n;
    ret_header->fields = ARENA_ARRAY(arena, Field, n);
    for (size_t i = 0; i < n; i++)
        ret_header->fields[i] = (Field){.kind = FIELD_TEXT, .folds_case = claims->fold_ids};
}

/* Names from the configuration; those of line 1, where there is one, are passed over. */
static void take_columns(const ClaimsConfig *claims, Arena *arena, Header *ret_header) {
    make_fields(claims, claims->n_columns, arena, ret_header);
    for (size_t i = 0; i < claims->n_columns; i++)
        ret_header->fields[i].name = claims->columns[i].name;
}

static bool take_names(const ClaimsConfig *claims, const HeaderLine *line, Arena *arena, Header *ret_header, Error *err) {
    make_fields(claims, line->row.n_fields, arena, ret_header);
    for (size_t i = 0; i < line->row.n_fields; i++)
        TRY(name_field(claims, arena, &ret_header->fields[i], i, line->row.fields[i], err));
    return rename_fields(claims, ret_header, arena, err) && check_known(claims, ret_header, line, err);
}

/* Line 1 once more, or the names of the configuration. */
static const Heading *make_heading(const ClaimsConfig *claims, const CsvRow *row, Arena *arena) {
    size_t n = row ? row->n_fields : claims->n_columns, n_wanted;
    Str *names = ARENA_ARRAY(arena, Str, n);
    for (size_t i = 0; i < n; i++)
        names[i] = row ? heading_name(arena, arena_copy(arena, row->fields[i])) : str_of(claims->columns[i].name);
    const char *const *wanted = header_wanted_names(claims, arena, &n_wanted);
    return heading_make(arena, names, n, wanted, n_wanted);
}

bool header_make(const ClaimsConfig *claims, const HeaderLine *line, Arena *arena, Header *ret_header, Error *err) {
    Header header = {.heading = make_heading(claims, header_is_there(claims) ? &line->row : NULL, arena)};
    if (claims->n_columns > 0)
        take_columns(claims, arena, &header);
    else
        TRY(take_names(claims, line, arena, &header, err));
    *ret_header = header;
    return true;
}
