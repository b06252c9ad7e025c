/* file.c - see file.h. */
#define OPENSSL_SUPPRESS_DEPRECATED /* as in transform/hash.c */
#include "storage/file.h"

#include "base/own.h"
#include "sql.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>

enum { PIECE_BYTES = 256 * 1024, COLUMNS_MAX_BYTES = 16 * 1024 * 1024 };

bool file_hash(int fd, FileBytes *ret_bytes, Error *err) {
    CLEANUP(mem_drop) char *piece = malloc(PIECE_BYTES);
    if (!piece)
        return error_set_errno(err, errno, "cannot hash a file");
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    SHA256_CTX sha;
    SHA256_Init(&sha);
    FileBytes bytes = {.size_bytes = 0};
    for (ssize_t n; (n = pread(fd, piece, PIECE_BYTES, bytes.size_bytes)) != 0;) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "cannot read a file");
        SHA256_Update(&sha, piece, (size_t)n);
        bytes.size_bytes += n;
    }
    SHA256_Final(bytes.sha256, &sha);
    *ret_bytes = bytes;
    return true;
}

typedef struct Hex {
    char text[2 * FILE_SHA256_BYTES + 1];
} Hex;
static Hex hex_of(const FileBytes *bytes) {
    Hex hex = {""};
    for (int i = 0; bytes && i < FILE_SHA256_BYTES; i++)
        snprintf(hex.text + 2 * i, 3, "%02x", bytes->sha256[i]);
    return hex;
}

bool file_look(Pg *pg, const FileSeen *seen, FileAnswer *ret_answer, int64_t *ret_file_id, Error *err) {
    Hex hex = hex_of(seen->bytes);
    CLEANUP(pg_result_drop) PgResult *known =
        pg_query(pg, SQL_FILE_KNOWN, PG_PARAMS(hex.text, seen->source_system), err);
    TRY(known);
    bool is_here = pg_rows(known) > 0;
    *ret_file_id = is_here ? pg_int(known, 0, 0) : 0;
    *ret_answer = !is_here ? FILE_NEW : pg_bool(known, 0, 1) ? FILE_RECEIVING : FILE_KNOWN;
    return true;
}

bool file_begin(Pg *pg, const FileSeen *seen, FileAnswer *ret_answer, int64_t *ret_file_id, Error *err) {
    Hex hex = hex_of(seen->bytes);
    CLEANUP(pg_result_drop) PgResult *made = pg_query(
        pg, SQL_FILE_BEGIN, PG_PARAMS(seen->source_system, seen->feed, seen->name, seen->period, hex.text,
                                      pg_number(seen->bytes->size_bytes).text), err);
    TRY(made);
    if (pg_rows(made) == 1) {
        *ret_file_id = pg_int(made, 0, 0);
        *ret_answer = FILE_NEW;
        return true;
    }
    TRY(file_look(pg, seen, ret_answer, ret_file_id, err));
    return *ret_answer != FILE_NEW ||
           error_set(err, STATE_CONFLICT, "feed %s: a file's entry moved meanwhile", seen->feed);
}

bool file_detected(Pg *pg, int64_t file_id, const FileDetected *detected, Error *err) {
    CLEANUP(buf_drop) Buf columns = pg_array(COLUMNS_MAX_BYTES);
    pg_array_names(&columns, detected->columns, detected->n_columns);
    const char *names = pg_array_end(&columns, err);
    return names && pg_exec(pg, SQL_FILE_DETECTED,
                            PG_PARAMS(pg_number(file_id).text, detected->packing,
                                      pg_number(detected->unpacked_bytes).text, detected->encoding,
                                      detected->has_mark ? "true" : "false", names, detected->format,
                                      detected->delimiter, detected->line_end,
                                      detected->has_header ? "true" : "false", detected->decimal), NULL, err);
}

bool file_count(Pg *pg, int64_t file_id, const FileCounts *counts, Error *err) {
    return pg_exec(pg, SQL_FILE_COUNT,
                   PG_PARAMS(pg_number(file_id).text, pg_number(counts->rows_read).text,
                             pg_number(counts->rows_new).text, pg_number(counts->rows_corrected).text,
                             pg_number(counts->rows_same).text, pg_number(counts->rows_flagged).text,
                             pg_number(counts->rows_quarantined).text), NULL, err);
}

bool file_done(Pg *pg, int64_t file_id, const char *stored_as, const char *warning, Error *err) {
    PgNumber id = pg_number(file_id);
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx && pg_exec(tx, SQL_FILE_DONE, PG_PARAMS(id.text, stored_as, warning), NULL, err));
    if (warning)
        TRY(pg_exec(tx, SQL_FILE_ALERT, PG_PARAMS(id.text, warning), NULL, err));
    return pg_commit(&tx, PG_FLUSHED, err);
}

bool file_failed(Pg *pg, int64_t file_id, const char *stored_as, const char *sentence, Error *err) {
    return pg_exec(pg, SQL_FILE_FAILED, PG_PARAMS(pg_number(file_id).text, stored_as, sentence), NULL, err);
}

static bool insert_finished(Pg *pg, const FileSeen *seen, const char *state, const char *stored_as,
                            const char *sentence, int64_t *ret_file_id, Error *err) {
    Hex hex = hex_of(seen->bytes);
    PgNumber size = pg_number(seen->bytes ? seen->bytes->size_bytes : 0);
    CLEANUP(pg_result_drop) PgResult *made = pg_query(
        pg, SQL_FILE_INSERT_FINISHED,
        PG_PARAMS(seen->source_system, seen->feed, seen->name, seen->period,
                  seen->bytes ? hex.text : NULL, seen->bytes ? size.text : NULL, state, sentence,
                  stored_as), err);
    TRY(made);
    *ret_file_id = pg_int(made, 0, 0);
    return true;
}

bool file_reject(Pg *pg, const FileSeen *seen, const char *stored_as, const char *sentence,
                 int64_t *ret_file_id, Error *err) {
    return insert_finished(pg, seen, "failed", stored_as, sentence, ret_file_id, err);
}

bool file_duplicate(Pg *pg, const FileSeen *seen, const char *stored_as, int64_t of_file_id,
                    int64_t *ret_file_id, Error *err) {
    char sentence[80];
    snprintf(sentence, sizeof sentence, "the same bytes as file %lld of this source: nothing to do",
             (long long)of_file_id);
    return insert_finished(pg, seen, "duplicate", stored_as, sentence, ret_file_id, err);
}

bool file_unfit(Pg *pg, const FileSeen *seen, const char *sentence, bool *ret_is_new, Error *err) {
    int64_t n = 0;
    TRY(pg_exec(pg, SQL_FILE_UNFIT, PG_PARAMS(seen->source_system, seen->feed, seen->name, sentence), &n,
                err));
    *ret_is_new = n > 0;
    return true;
}

bool file_finished(Pg *pg, const FileSeen *seen, Arena *arena, int64_t *ret_file_id,
                   const char **ret_state, const char **ret_stored_as, Error *err) {
    CLEANUP(pg_result_drop) PgResult *found =
        pg_query(pg, SQL_FILE_FINISHED, PG_PARAMS(seen->feed, seen->name, hex_of(seen->bytes).text), err);
    TRY(found);
    bool is_found = pg_rows(found) == 1;
    *ret_file_id = is_found ? pg_int(found, 0, 0) : 0;
    *ret_state = is_found ? arena_string(arena, pg_value(found, 0, 1)) : NULL;
    *ret_stored_as = is_found ? arena_string(arena, str_of(pg_text(found, 0, 2))) : NULL;
    return true;
}

bool file_report(Pg *pg, int64_t file_id, Arena *arena, Str *ret_json, Str *ret_text, Error *err) {
    CLEANUP(pg_result_drop) PgResult *report =
        pg_query(pg, SQL_FILE_REPORT, PG_PARAMS(pg_number(file_id).text), err);
    TRY(report);
    if (pg_rows(report) == 0)
        return error_set(err, STATE_BUG, "file %lld has no entry", (long long)file_id);
    *ret_json = arena_copy(arena, pg_value(report, 0, 0));
    *ret_text = arena_copy(arena, pg_value(report, 0, 1));
    return true;
}
