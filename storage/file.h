/* file.h - the ledger of claims files, ops.file.
 *
 * A file is its bytes (SHA-256) for its source: the same bytes twice are a duplicate. Its row is written when it is
 * seen, by its name alone, and goes seen -> receiving -> done or failed; done is superseded while nothing of it shows; a
 * duplicate keeps a row of its own. A failed
 * file's bytes may come again. What a row says is committed with a file's pages, or not flushed at all: lost in a crash,
 * it is found again, for the file lies where it lay. file_stored() alone is flushed when it returns, and everything
 * before it with it: then the file may be moved. */
#pragma once
#include "storage/pg.h"

#include <stdatomic.h>

#define FILE_SHA256_BYTES 32

typedef struct FileBytes {
    uint8_t sha256[FILE_SHA256_BYTES];
    int64_t size_bytes;
} FileBytes;
/* Reads the descriptor from its start to its end, in pieces; `canceled` is looked at between them. */
bool file_hash(int fd, const atomic_bool *canceled, FileBytes *ret_bytes, Error *err);

/* What is to be entered. `source_system` is "" while no pattern told. */
typedef struct FileSeen {
    const char *feed;
    const char *source_system;
    const char *name;
    const char *period;     /* NULL: none */
    const FileBytes *bytes; /* NULL: never read */
    int64_t seen_id;        /* of its row since it was seen; 0: none */
} FileSeen;

/* Enters names that wait as `seen`; those that were, keep their row. `ret_ids` in the order of the names. */
bool file_see(Pg *pg, const char *feed, const char *const *names, size_t n, int64_t *ret_ids, Error *err);
/* What waits, as the ledger has it: the next thousand at most by name, none at the end. Names live in `arena`. */
typedef struct FileWaiting {
    int64_t file_id;
    const char *name;
} FileWaiting;
bool file_waiting(Pg *pg, const char *feed, const char *after_name, Arena *arena, FileWaiting **ret_waiting, size_t *ret_n,
                  Error *err);
/* Of this name; 0: there is none. */
bool file_seen_id(Pg *pg, const char *feed, const char *name, int64_t *ret_file_id, Error *err);
/* It was seen, and is not there any more. */
bool file_gone(Pg *pg, int64_t file_id, Error *err);

/* How a file is written, as it was detected; shown with it. NULL and 0: not known. */
typedef struct FileDetected {
    const char *packing;  /* "plain", "gzip", "zip" */
    int64_t unpacked_bytes;
    const char *encoding; /* "utf-8", … */
    bool has_mark;        /* a byte order mark */
    const char *format;   /* "delimited", "fixed", "x12"; of what was posted "json" */
    const char *delimiter; /* of an X12 file's first interchange, as its other separators */
    const char *usage; /* "test", "information" or "production", as an X12 file says of itself */
    const char *component_separator, *repetition_separator, *segment_terminator;
    const char *line_end; /* "lf", "crlf", "cr" */
    bool has_header;
    const char *decimal;  /* "point", "comma"; NULL where no amount tells */
    const char *const *columns; /* of the header; names, never a row */
    size_t n_columns;
} FileDetected;

typedef enum FileAnswer {
    FILE_NEW,       /* entered as receiving */
    FILE_RECEIVING, /* was entered before a crash: go on */
    FILE_KNOWN      /* the same bytes are done */
} FileAnswer;
typedef struct FileEntry {
    FileAnswer answer;
    int64_t file_id;  /* 0: none yet */
    int32_t readings; /* how often it was put back to be read again */
} FileEntry;
/* In the transaction of its first page. */
bool file_begin(Pg *pg, const FileSeen *seen, const FileDetected *detected, FileEntry *ret_entry, Error *err);
/* The same of several files of one source that were seen and are known to be new, in the transaction of the one page that holds
 * them; an Error of class conflict when one of them is not. */
typedef struct FileBegun {
    FileSeen seen;
    const FileDetected *detected;
} FileBegun;
bool file_begin_all(Pg *pg, const FileBegun *files, size_t n, Error *err);
/* What the ledger has of the bytes; nothing is entered. `former`: other rows of them that may have placed rows of
 * theirs: this one, which is to be read again, and those that failed. It lives in `arena`, with room for one more. */
typedef struct FileLook {
    FileEntry entry;
    int64_t *former;
    size_t n_former;
} FileLook;
bool file_look(Pg *pg, const FileSeen *seen, Arena *arena, FileLook *ret_look, Error *err);
/* In the caller's transaction: its counts begin anew, as of one more reading when rows of it were read before. */
bool file_restart(Pg *pg, int64_t file_id, int32_t *ret_readings, Error *err);

/* It has not ended. False when there is no such file. */
bool file_is_open(Pg *pg, int64_t file_id, bool *ret_is_open, Error *err);

/* The same bytes, received or on their way in this feed. `ret_file_id` 0: there are none. */
bool file_same(Pg *pg, const FileSeen *seen, int64_t *ret_file_id, bool *ret_is_received, Error *err);
/* In the caller's transaction: a file that is about to be put into the drop directory is `seen`. 0: one of its name is. */
bool file_upload(Pg *pg, const FileSeen *seen, int64_t *ret_file_id, Error *err);

/* Files that have ended, to be read again. */
typedef struct FileReplay {
    int64_t file_id;
    const char *feed, *name, *state;
    const char *stored_as; /* "": nothing of it is kept in a folder */
} FileReplay;
/* False in `ret_found`: there is no such file. Texts live in `arena`. */
bool file_replayable(Pg *pg, int64_t file_id, Arena *arena, FileReplay *ret_file, bool *ret_found, Error *err);
/* Remembered until the feed's next run has put it back. */
bool file_ask_replay(Pg *pg, int64_t file_id, bool *ret_asked, Error *err);
bool file_replays(Pg *pg, const char *feed, Arena *arena, FileReplay **ret_files, size_t *ret_n, Error *err);
/* In the caller's transaction, in which its bytes are put back. False in `ret_seen`: another of its name waits, or it was
 * put back by now. */
bool file_see_again(Pg *pg, int64_t file_id, bool *ret_seen, Error *err);
/* Its row says these. */
bool file_has_bytes(Pg *pg, int64_t file_id, const FileBytes *bytes, bool *ret_has, Error *err);
bool file_forget_replay(Pg *pg, int64_t file_id, Error *err);

/* In the caller's transaction: adds a page's counts. */
typedef struct FileCounts {
    int64_t rows_read, rows_new, rows_corrected, rows_same, rows_flagged, rows_quarantined, rows_withdrawn;
} FileCounts;
bool file_count(Pg *pg, int64_t file_id, const FileCounts *counts, Error *err);

/* In the transaction of its last page. `warning`: NULL, or what is wrong with it all the same. */
bool file_done(Pg *pg, int64_t file_id, const char *warning, Error *err);
/* Files that were placed together, with all their counts; nothing is wrong with them. Which of them may say nothing that shows
 * is the caller's to ask (file_restate()). */
bool file_done_all(Pg *pg, const int64_t *file_ids, const FileCounts *counts, size_t n, Error *err);
/* In the caller's transaction: of these files, those that have ended well are `superseded` when nothing that they said of
 * their claims shows any more, else `done`; whichever was read first. A guess tells where to look first. */
typedef enum FileShows { FILE_MOSTLY_SHOWS, FILE_MOSTLY_REPLACED } FileShows;
bool file_restate(Pg *pg, const int64_t *file_ids, size_t n, FileShows shows, Error *err);
/* In the caller's transaction: that it is asked of these, by file_restate_unsure(). */
bool file_note_unsure(Pg *pg, const int64_t *file_ids, size_t n, Error *err);
/* In the caller's transaction: of a feed's files of which that was noted. */
bool file_restate_unsure(Pg *pg, const char *feed, Error *err);
bool file_failed(Pg *pg, int64_t file_id, const char *sentence, Error *err);
/* For what never was receiving: the row of when it was seen, or one of its own. `detected` may be NULL. */
bool file_reject(Pg *pg, const FileSeen *seen, const FileDetected *detected, const char *sentence, int64_t *ret_file_id,
                 Error *err);
bool file_duplicate(Pg *pg, const FileSeen *seen, int64_t of_file_id, int64_t *ret_file_id, Error *err);
/* The names that files get in done/ or failed/. Flushed. */
bool file_stored(Pg *pg, const int64_t *file_ids, const char *const *names, size_t n, Error *err);
/* Until the caller's transaction ends nobody else has them moved. */
bool file_lock(Pg *pg, const int64_t *file_ids, size_t n, Error *err);
/* For what is left where it is (a directory, no right to read): entered once for its name and sentence. */
bool file_unfit(Pg *pg, const FileSeen *seen, const char *sentence, bool *ret_is_new, Error *err);

/* A finished row of this name and these bytes, the newest: after a crash the file may not have been moved
 * yet. `ret_file_id` 0: there is none. Texts live in `arena`; `ret_stored_as` NULL: not chosen yet. */
bool file_finished(Pg *pg, const FileSeen *seen, Arena *arena, int64_t *ret_file_id,
                   const char **ret_state, const char **ret_stored_as, Error *err);
/* The reports that stand beside finished files, as JSON and for people, in the order of the ids. */
typedef struct FileReport {
    Str json, text;
} FileReport;
bool file_reports(Pg *pg, const int64_t *file_ids, size_t n, Arena *arena, FileReport *ret_reports, Error *err);
