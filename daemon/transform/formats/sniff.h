/* sniff.h - what a text of rows shows of how it is written, where the configuration leaves it open.
 *
 * Evidence, not a guess: the delimiter is the one that finds columns which are asked for, else the one that parts all
 * first rows alike; when two do, nobody is right. Pure; any thread. */
#pragma once
#include "base/str.h"
#include "transform/formats/csv.h"

typedef enum SniffAnswer {
    SNIFF_FOUND,
    SNIFF_ONE_COLUMN, /* nothing parts the rows */
    SNIFF_SEVERAL     /* more than one does, equally well */
} SniffAnswer;

typedef struct SniffText {
    Str head;         /* UTF-8, the file's beginning */
    bool is_whole;    /* and its end */
    CsvQuote quote;
    const char *const *wanted; /* names that may stand in a header, whatever their case */
    size_t n_wanted;
    size_t n_columns; /* that every row has; 0: not known */
} SniffText;

/* Of ',', ';', tab and '|'. Without an answer ','. */
SniffAnswer sniff_delimiter(const SniffText *text, char *ret_delimiter);
/* The line of the first row that holds two wanted names (one, where there is one), parted by the delimiter, or by any when
 * that is 0: where the header stands. 0: in none of the first rows. */
int64_t sniff_header(const SniffText *text, char delimiter);
/* "," for people: "comma", "tab", … */
const char *sniff_delimiter_name(char delimiter);
/* "lf", "crlf", "cr", of the first line; NULL when there is none. */
const char *sniff_line_end(Str head);
