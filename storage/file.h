/* file.h - the ledger of claims files, ops.file.
 *
 * A file is its bytes (SHA-256) for its source: the same bytes twice are a duplicate. A row is written when
 * the bytes are known, and goes receiving -> done or failed; a duplicate is a row of its own. A failed
 * file's bytes may come again. Each verb but file_count() commits, flushed, before it returns: the
 * file is moved only after that. */
#pragma once
#include "storage/pg.h"

#define FILE_SHA256_BYTES 32

typedef struct FileBytes {
    uint8_t sha256[FILE_SHA256_BYTES];
    int64_t size_bytes;
} FileBytes;
/* Reads the descriptor from its start to its end, in pieces. */
bool file_hash(int fd, FileBytes *ret_bytes, Error *err);

/* What is to be entered. `source_system` is "" while no pattern told. */
typedef struct FileSeen {
    const char *feed;
    const char *source_system;
    const char *name;
    const char *period;     /* NULL: none */
    const FileBytes *bytes; /* NULL: never read */
} FileSeen;

typedef enum FileAnswer {
    FILE_NEW,       /* entered as receiving */
    FILE_RECEIVING, /* was entered before a crash: go on */
    FILE_KNOWN      /* the same bytes are done */
} FileAnswer;
bool file_begin(Pg *pg, const FileSeen *seen, FileAnswer *ret_answer, int64_t *ret_file_id, Error *err);

/* How a file is written, as it was detected; shown with it. NULL and 0: not known. */
typedef struct FileDetected {
    const char *packing;  /* "plain", "gzip", "zip" */
    int64_t unpacked_bytes;
    const char *encoding; /* "utf-8", … */
    bool has_mark;        /* a byte order mark */
    const char *format;   /* "delimited", "fixed" */
    const char *delimiter;
    const char *line_end; /* "lf", "crlf", "cr" */
    bool has_header;
    const char *decimal;  /* "point", "comma"; NULL where no amount tells */
    const char *const *columns; /* of the header; names, never a row */
    size_t n_columns;
} FileDetected;
bool file_detected(Pg *pg, int64_t file_id, const FileDetected *detected, Error *err);

/* The same, and nothing is entered: of what is new there is no id. */
bool file_look(Pg *pg, const FileSeen *seen, FileAnswer *ret_answer, int64_t *ret_file_id, Error *err);

/* In the caller's transaction: adds a page's counts. */
typedef struct FileCounts {
    int64_t rows_read, rows_new, rows_corrected, rows_same, rows_flagged, rows_quarantined;
} FileCounts;
bool file_count(Pg *pg, int64_t file_id, const FileCounts *counts, Error *err);

/* `stored_as` is the name the file gets in done/ or failed/. */
bool file_done(Pg *pg, int64_t file_id, const char *stored_as, const char *warning, Error *err);
bool file_failed(Pg *pg, int64_t file_id, const char *stored_as, const char *sentence, Error *err);
/* For what never was receiving: a row of its own, failed. */
bool file_reject(Pg *pg, const FileSeen *seen, const char *stored_as, const char *sentence,
                 int64_t *ret_file_id, Error *err);
bool file_duplicate(Pg *pg, const FileSeen *seen, const char *stored_as, int64_t of_file_id,
                    int64_t *ret_file_id, Error *err);
/* For what is left where it is (a directory, no right to read): entered once for its name and sentence. */
bool file_unfit(Pg *pg, const FileSeen *seen, const char *sentence, bool *ret_is_new, Error *err);

/* A finished row of this name and these bytes, the newest: after a crash the file may not have been moved
 * yet. `ret_file_id` 0: there is none. `ret_stored_as` lives in `arena`. */
bool file_finished(Pg *pg, const FileSeen *seen, Arena *arena, int64_t *ret_file_id,
                   const char **ret_state, const char **ret_stored_as, Error *err);
/* The report that stands beside a finished file, as JSON and for people. */
bool file_report(Pg *pg, int64_t file_id, Arena *arena, Str *ret_json, Str *ret_text, Error *err);
