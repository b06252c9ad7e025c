/* sniff.c - see sniff.h. */
#include "transform/formats/sniff.h"

#include "base/own.h"

enum { ROWS_LOOKED_AT = 50, SURE_OF_HEADER = 2 };

static const struct {
    char delimiter;
    const char *name;
} CANDIDATES[] = {{',', "comma"}, {';', "semicolon"}, {'\t', "tab"}, {'|', "pipe"}};
enum { N_CANDIDATES = sizeof CANDIDATES / sizeof *CANDIDATES };

/* What a delimiter makes of the text. */
typedef struct Trial {
    size_t n_columns; /* of the first row */
    size_t n_rows, n_alike; /* and rows of as many */
    size_t n_known;   /* names of the first row that are wanted */
} Trial;

static size_t count_known(const SniffText *text, const CsvRow *row) {
    size_t n = 0;
    for (size_t i = 0; i < row->n_fields; i++)
        for (size_t j = 0; j < text->n_wanted; j++)
            if (str_equal_nocase(str_trim(row->fields[i]), str_of(text->wanted[j]))) {
                n++;
                break;
            }
    return n;
}

static CsvParser *open_head(const SniffText *text, char delimiter) {
    CsvParser *csv = csv_open(&(CsvOptions){.delimiter = delimiter, .quote = text->quote, .max_line_bytes = text->head.size + 1,
                                            .max_field_bytes = text->head.size + 1});
    csv_feed(csv, text->head);
    if (text->is_whole)
        csv_finish(csv);
    return csv;
}

static Trial try_delimiter(const SniffText *text, char delimiter) {
    CLEANUP(csv_drop) CsvParser *csv = open_head(text, delimiter);
    Trial trial = {0};
    for (CsvRow row; trial.n_rows < ROWS_LOOKED_AT && csv_next(csv, &row) == CSV_ROW; trial.n_rows++) {
        if (trial.n_rows == 0) {
            trial.n_columns = row.n_fields;
            trial.n_known = count_known(text, &row);
        }
        trial.n_alike += row.problem == CSV_FINE && row.n_fields == trial.n_columns;
    }
    return trial;
}

static bool is_possible(const SniffText *text, const Trial *trial) {
    if (text->n_columns > 0 && trial->n_columns != text->n_columns)
        return false;
    return trial->n_columns > 1;
}

/* More than 0: `a` is the better one. Names that are asked for tell most; then that all rows are alike. */
static int compare(const Trial *a, const Trial *b) {
    if (a->n_known != b->n_known)
        return a->n_known > b->n_known ? 1 : -1;
    bool is_even_a = a->n_alike == a->n_rows, is_even_b = b->n_alike == b->n_rows;
    return (int)is_even_a - (int)is_even_b;
}

SniffAnswer sniff_delimiter(const SniffText *text, char *ret_delimiter) {
    Trial best = {0};
    SniffAnswer answer = SNIFF_ONE_COLUMN;
    *ret_delimiter = ',';
    for (size_t i = 0; i < N_CANDIDATES; i++) {
        Trial trial = try_delimiter(text, CANDIDATES[i].delimiter);
        if (!is_possible(text, &trial))
            continue;
        int order = answer == SNIFF_ONE_COLUMN ? 1 : compare(&trial, &best);
        if (order == 0)
            answer = SNIFF_SEVERAL;
        if (order <= 0)
            continue;
        best = trial;
        answer = SNIFF_FOUND;
        *ret_delimiter = CANDIDATES[i].delimiter;
    }
    return answer;
}

static int64_t header_by(const SniffText *text, char delimiter) {
    CLEANUP(csv_drop) CsvParser *csv = open_head(text, delimiter);
    size_t least = text->n_wanted < SURE_OF_HEADER ? text->n_wanted : SURE_OF_HEADER;
    CsvRow row;
    for (size_t i = 0; i < ROWS_LOOKED_AT && csv_next(csv, &row) == CSV_ROW; i++)
        if (row.problem == CSV_FINE && count_known(text, &row) >= least)
            return row.line;
    return 0;
}

int64_t sniff_header(const SniffText *text, char delimiter) {
    int64_t line = delimiter ? header_by(text, delimiter) : 0;
    for (size_t i = 0; !delimiter && line == 0 && i < N_CANDIDATES; i++)
        line = header_by(text, CANDIDATES[i].delimiter);
    return line;
}

const char *sniff_delimiter_name(char delimiter) {
    for (size_t i = 0; i < N_CANDIDATES; i++)
        if (CANDIDATES[i].delimiter == delimiter)
            return CANDIDATES[i].name;
    return NULL;
}

const char *sniff_line_end(Str head) {
    for (size_t i = 0; i < head.size; i++) {
        if (head.at[i] == '\n')
            return "lf";
        if (head.at[i] == '\r')
            return i + 1 < head.size && head.at[i + 1] == '\n' ? "crlf" : "cr";
    }
    return NULL;
}
