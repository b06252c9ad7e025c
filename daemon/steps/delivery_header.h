/* delivery_header.h - the columns of a claims file: by its first line, or by the configuration where that names them.
 *
 * A line that is no header is a row: nothing of it stands in a sentence. Pure; what is made lives in the arena, or with the
 * configuration. */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "config.h"
#include "transform/formats/heading.h"
#include "transform/mapping.h"

/* Line 1, where it is a header, and what was seen around it. */
typedef struct HeaderLine {
    CsvStatus status;
    CsvRow row;
    const char *cut_packing; /* what the file was packed by, where it ends before its time; else NULL */
    char parts_better;       /* what finds more columns than the configured delimiter; 0: nothing */
    int64_t names_line;      /* where the columns' names stand first; 0: nowhere in the head */
} HeaderLine;

typedef struct Header {
    Field *fields;
    size_t n_fields;
    const Heading *heading; /* what would be a header among the rows */
} Header;

/* Line 1 is one. */
bool header_is_there(const ClaimsConfig *claims);
/* All names by which the configuration may know a column. */
const char *const *header_wanted_names(const ClaimsConfig *claims, Arena *arena, size_t *ret_n);
/* What the configuration calls a column of this name: by its aliases, or what it asks for in another case. NULL:
 * nothing. */
const char *header_column_name(const ClaimsConfig *claims, Str name);
/* False and a sentence of class data: the line cannot be read, or has another number of columns than are named. */
bool header_check(const ClaimsConfig *claims, const HeaderLine *line, Error *err);
/* `line` counts where it is there. False and a sentence of class data: its names are not those of claims. */
bool header_make(const ClaimsConfig *claims, const HeaderLine *line, Arena *arena, Header *ret_header, Error *err);
