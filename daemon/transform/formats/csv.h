/* csv.h - rows of a CSV file (RFC 4180), from chunks of any size.
 *
 *     while ((status = csv_next(csv, &row)) != CSV_END)
 *         if (status == CSV_MORE) feed or finish; else use row;
 *
 * Takes what senders really write: LF, CRLF or CR as line ends, a BOM, quoted fields with doubled or escaped quotes
 * and line ends inside, or no quoting at all, a last line without an end; blank lines are passed over. The rows do not depend on
 * how the file was cut into chunks. A row it cannot read is a row with a `problem`, whose only
 * field is the line's text: a stray quote costs its own line, not the rest of the file.
 * Holds one row and one chunk, never more than max_line_bytes + the chunk.
 * Pure: no I/O, no clock. Knows nothing of headers: the first row is a row. One thread at a time. */
#pragma once
#include "base/str.h"

/* As many as a view of PostgreSQL has (1,600) beside the seven that a feed's view adds (storage/bronze.c). */
enum { CSV_FIELDS_MAX = 1593 };
#define CSV_WHOLE_LINES '\n' /* as delimiter: every line is one field */

/* In the order of the configuration's choices. */
typedef enum CsvQuote {
    CSV_QUOTE_DOUBLE,   /* "say ""so""", RFC 4180 */
    CSV_QUOTE_NONE,     /* a quote is a character as any other */
    CSV_QUOTE_BACKSLASH /* "say \"so\""; behind a backslash any character stands for itself, outside of quotes too */
} CsvQuote;

typedef struct CsvOptions {
    char delimiter;         /* 0: ',' */
    CsvQuote quote;
    size_t max_line_bytes;  /* of a row, its line end not counted; 0: 1 MiB */
    size_t max_field_bytes; /* 0: 64 KiB */
} CsvOptions;

typedef enum CsvProblem {
    CSV_FINE,
    CSV_LINE_TOO_LONG,
    CSV_FIELD_TOO_LONG,
    CSV_TOO_MANY_FIELDS,
    CSV_QUOTE_OPEN,     /* a quoted field that never ends */
    CSV_QUOTE_TRAILING, /* text after a closing quote */
    CSV_NUL             /* a NUL byte, which no text may hold */
} CsvProblem;

typedef struct CsvRow {
    const Str *fields; /* valid until the next call on the parser; never NULL texts */
    size_t n_fields;
    int64_t line;   /* of the file, where the row begins; the first is 1 */
    int64_t offset; /* bytes of the file before the row */
    int64_t end;    /* bytes of the file up to and with its line end: where to resume */
    int64_t next_line;
    CsvProblem problem;
    bool has_end; /* false: the file stopped before a line end */
} CsvRow;

typedef enum CsvStatus {
    CSV_ROW,
    CSV_MORE, /* csv_feed() or csv_finish() is wanted */
    CSV_END
} CsvStatus;

typedef struct CsvParser CsvParser;

CsvParser *csv_open(const CsvOptions *options);
void csv_free(CsvParser *csv);
static inline void csv_drop(CsvParser **owner) {
    if (*owner)
        csv_free(*owner);
}
/* Before the first chunk: the chunks begin `offset` bytes into the file, at line `line`. */
void csv_resume_at(CsvParser *csv, int64_t offset, int64_t line);
/* Copies the chunk. Only at the start and after CSV_MORE. */
void csv_feed(CsvParser *csv, Str chunk);
/* The file has no more bytes. */
void csv_finish(CsvParser *csv);
CsvStatus csv_next(CsvParser *csv, CsvRow *ret_row);

/* "a quoted field never ends": half a sentence, without values. */
const char *csv_problem_text(CsvProblem problem);
/* A bit for each byte of a block that is the delimiter, CR or LF, the first byte's lowest: the inner loop (SSE2 where
 * there is). */
enum { CSV_BLOCK_BYTES = 64 };
uint64_t csv_stops(const char *block, char delimiter);
