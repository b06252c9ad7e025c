/* file.c - see file.h. */
#define OPENSSL_SUPPRESS_DEPRECATED /* as in transform/hash.c */
#include "storage/file.h"

#include "base/own.h"
#include "sql.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>

enum { PIECE_BYTES = 256 * 1024, COLUMNS_MAX_BYTES = 16 << 20, NAMES_MAX_BYTES = 1 << 20 };

bool file_hash(int fd, const atomic_bool *canceled, FileBytes *ret_bytes, Error *err) {
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
        if (atomic_load(canceled))
            return error_set(err, STATE_CANCELED, "the run was canceled while a file was hashed");
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

/* ---- seen ---- */

static int64_t id_of(const PgResult *rows, const char *name) {
    for (int r = 0; r < pg_rows(rows); r++)
        if (strcmp(pg_text(rows, r, 1), name) == 0)
            return pg_int(rows, r, 0);
    return 0;
}

bool file_see(Pg *pg, const char *feed, const char *const *names, size_t n, int64_t *ret_ids, Error *err) {
    CLEANUP(buf_drop) Buf list = pg_array(NAMES_MAX_BYTES);
    pg_array_names(&list, names, n);
    const char *array = pg_array_end(&list, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_FILE_SEE, PG_PARAMS(feed, array), err);
    TRY(rows);
    for (size_t i = 0; i < n; i++)
        ret_ids[i] = id_of(rows, names[i]);
    return true;
}

bool file_waiting(Pg *pg, const char *feed, const char *after_name, Arena *arena, FileWaiting **ret_waiting, size_t *ret_n,
                  Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_FILE_WAITING, PG_PARAMS(feed, after_name), err);
    TRY(rows);
    size_t n = (size_t)pg_rows(rows);
    FileWaiting *waiting = ARENA_ARRAY(arena, FileWaiting, n + 1);
    for (size_t i = 0; i < n; i++)
        waiting[i] = (FileWaiting){pg_int(rows, (int)i, 0), arena_string(arena, pg_value(rows, (int)i, 1))};
    *ret_waiting = waiting;
    *ret_n = n;
    return true;
}

bool file_seen_id(Pg *pg, const char *feed, const char *name, int64_t *ret_file_id, Error *err) {
    CLEANUP(pg_result_drop) PgResult *found = pg_query(pg, SQL_FILE_SEEN_ID, PG_PARAMS(feed, name), err);
    TRY(found);
    *ret_file_id = pg_rows(found) > 0 ? pg_int(found, 0, 0) : 0;
    return true;
}

bool file_gone(Pg *pg, int64_t file_id, Error *err) {
    return pg_exec(pg, SQL_FILE_GONE, PG_PARAMS(pg_number(file_id).text), NULL, err);
}

/* ---- what it is ---- */

static const char *put_text(Buf *out, const char *comma, const char *name, const char *value) {
    if (!value)
        return comma;
    buf_printf(out, "%s\"%s\":", comma, name);
    buf_put_json(out, value);
    return ",";
}

/* As JSON, terminated; NULL and an error when it is beyond measure. */
static const char *put_detected(Buf *out, const FileDetected *d, Error *err) {
    if (!d)
        return "{}";
    buf_printf(out, "{\"unpacked_bytes\":%lld,\"byte_order_mark\":%s,\"header\":%s", (long long)d->unpacked_bytes,
               d->has_mark ? "true" : "false", d->has_header ? "true" : "false");
    const struct {
        const char *name, *value;
    } TEXTS[] = {{"packing", d->packing}, {"encoding", d->encoding}, {"format", d->format}, {"delimiter", d->delimiter},
                 {"usage", d->usage}, {"component_separator", d->component_separator}, {"repetition_separator", d->repetition_separator},
                 {"segment_terminator", d->segment_terminator}, {"line_end", d->line_end}, {"decimal", d->decimal}};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        put_text(out, ",", TEXTS[i].name, TEXTS[i].value);
    buf_put_str(out, STR(",\"columns\":["));
    for (size_t i = 0; i < d->n_columns; i++) {
        buf_put_str(out, i ? STR(",") : STR(""));
        buf_put_json(out, d->columns[i]);
    }
    buf_put(out, "]}", sizeof "]}");
    if (!buf_overflowed(out))
        return out->data;
    error_set(err, STATE_DATA, "the header of the file is beyond measure");
    return NULL;
}

static FileEntry entry_of(const PgResult *rows, int row) {
    const char *word = pg_text(rows, row, 1);
    return (FileEntry){.file_id = pg_int(rows, row, 0), .readings = (int32_t)pg_int(rows, row, 2),
                       .answer = strcmp(word, "new") == 0 ? FILE_NEW : strcmp(word, "known") == 0 ? FILE_KNOWN : FILE_RECEIVING};
}

bool file_look(Pg *pg, const FileSeen *seen, Arena *arena, FileLook *ret_look, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows =
        pg_query(pg, SQL_FILE_LOOK, PG_PARAMS(hex_of(seen->bytes).text, seen->source_system, pg_number(seen->seen_id).text), err);
    TRY(rows);
    FileLook look = {.entry = {.answer = FILE_NEW}, .former = ARENA_ARRAY(arena, int64_t, (size_t)pg_rows(rows) + 1)};
    for (int r = 0; r < pg_rows(rows); r++)
        if (strcmp(pg_text(rows, r, 1), "former") == 0)
            look.former[look.n_former++] = pg_int(rows, r, 0);
        else
            look.entry = entry_of(rows, r);
    *ret_look = look;
    return true;
}

/* Another feed of the source may have the same bytes at the same time. */
static bool tell_moved(const FileSeen *seen, Error *err) {
    return error_set(err, STATE_CONFLICT, "feed %s: a file's entry moved meanwhile", seen->feed);
}

bool file_begin(Pg *pg, const FileSeen *seen, const FileDetected *detected, FileEntry *ret_entry, Error *err) {
    Hex hex = hex_of(seen->bytes);
    CLEANUP(buf_drop) Buf json;
    buf_init(&json, COLUMNS_MAX_BYTES);
    const char *text = put_detected(&json, detected, err);
    TRY(text);
    CLEANUP(pg_result_drop) PgResult *entry = pg_query(
        pg, SQL_FILE_BEGIN, PG_PARAMS(seen->source_system, seen->feed, seen->name, seen->period, hex.text,
                                      pg_number(seen->bytes->size_bytes).text, pg_number(seen->seen_id).text, text), err);
    if (!entry)
        return strcmp(err->state, "23505") == 0 && tell_moved(seen, err);
    if (pg_rows(entry) == 0)
        return tell_moved(seen, err);
    *ret_entry = entry_of(entry, 0);
    return true;
}

/* A list of JSON objects, terminated; NULL and an error when it is beyond measure. */
static const char *list_end(Buf *list, Error *err) {
    buf_put(list, "]", sizeof "]");
    if (!buf_overflowed(list))
        return list->data;
    error_set(err, STATE_DATA, "the headers of some files are together beyond measure");
    return NULL;
}

static bool put_begun(Buf *list, const FileBegun *file, Error *err) {
    CLEANUP(buf_drop) Buf json;
    buf_init(&json, COLUMNS_MAX_BYTES);
    const char *detected = put_detected(&json, file->detected, err);
    TRY(detected);
    buf_printf(list, "%s{\"file_id\":%lld,\"sha256\":\"%s\",\"size_bytes\":%lld", list->size > 1 ? "," : "",
               (long long)file->seen.seen_id, hex_of(file->seen.bytes).text, (long long)file->seen.bytes->size_bytes);
    put_text(list, ",", "period", file->seen.period);
    buf_put_str(list, STR(",\"detected\":"));
    buf_put_str(list, str_of(detected));
    buf_put_byte(list, '}');
    return true;
}

bool file_begin_all(Pg *pg, const FileBegun *files, size_t n, Error *err) {
    CLEANUP(buf_drop) Buf list;
    int64_t n_begun = 0;
    buf_init(&list, COLUMNS_MAX_BYTES);
    buf_put_byte(&list, '[');
    for (size_t i = 0; i < n; i++)
        TRY(put_begun(&list, &files[i], err));
    const char *text = list_end(&list, err);
    TRY(text);
    if (!pg_exec(pg, SQL_FILE_BEGIN_ALL, PG_PARAMS(files[0].seen.source_system, text), &n_begun, err))
        return strcmp(err->state, "23505") == 0 && tell_moved(&files[0].seen, err);
    return n_begun == (int64_t)n || tell_moved(&files[0].seen, err);
}

bool file_restart(Pg *pg, int64_t file_id, int32_t *ret_readings, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, SQL_FILE_RESTART, PG_PARAMS(pg_number(file_id).text), err);
    TRY(row);
    if (pg_rows(row) > 0)
        *ret_readings = (int32_t)pg_int(row, 0, 0);
    return true;
}

/* ---- uploads, and files that are read again ---- */

bool file_is_open(Pg *pg, int64_t file_id, bool *ret_is_open, Error *err) {
    CLEANUP(pg_result_drop) PgResult *found = pg_query(pg, SQL_FILE_IS_OPEN, PG_PARAMS(pg_number(file_id).text), err);
    TRY(found);
    *ret_is_open = pg_rows(found) > 0;
    return true;
}

bool file_same(Pg *pg, const FileSeen *seen, int64_t *ret_file_id, bool *ret_is_received, Error *err) {
    CLEANUP(pg_result_drop) PgResult *found =
        pg_query(pg, SQL_FILE_SAME, PG_PARAMS(hex_of(seen->bytes).text, seen->source_system, seen->feed), err);
    TRY(found);
    *ret_file_id = pg_rows(found) > 0 ? pg_int(found, 0, 0) : 0;
    const char *state = *ret_file_id ? pg_text(found, 0, 1) : "";
    *ret_is_received = strcmp(state, "done") == 0 || strcmp(state, "superseded") == 0;
    return true;
}

bool file_upload(Pg *pg, const FileSeen *seen, int64_t *ret_file_id, Error *err) {
    Hex hex = hex_of(seen->bytes);
    CLEANUP(pg_result_drop) PgResult *made =
        pg_query(pg, SQL_FILE_UPLOAD, PG_PARAMS(seen->source_system, seen->feed, seen->name, seen->period, hex.text,
                                                pg_number(seen->bytes->size_bytes).text), err);
    TRY(made);
    *ret_file_id = pg_rows(made) > 0 ? pg_int(made, 0, 0) : 0;
    return true;
}

bool file_replayable(Pg *pg, int64_t file_id, Arena *arena, FileReplay *ret_file, bool *ret_found, Error *err) {
    CLEANUP(pg_result_drop) PgResult *found =
        pg_query(pg, SQL_FILE_REPLAYABLE, PG_PARAMS(pg_number(file_id).text), err);
    TRY(found);
    *ret_found = pg_rows(found) == 1;
    if (*ret_found)
        *ret_file = (FileReplay){.file_id = file_id, .state = arena_string(arena, pg_value(found, 0, 0)),
                                 .stored_as = arena_string(arena, str_of(pg_text(found, 0, 1))),
                                 .feed = arena_string(arena, pg_value(found, 0, 2)),
                                 .name = arena_string(arena, pg_value(found, 0, 3))};
    return true;
}

bool file_ask_replay(Pg *pg, int64_t file_id, bool *ret_asked, Error *err) {
    int64_t n = 0;
    TRY(pg_exec(pg, SQL_FILE_ASK_REPLAY, PG_PARAMS(pg_number(file_id).text), &n, err));
    *ret_asked = n > 0;
    return true;
}

bool file_replays(Pg *pg, const char *feed, Arena *arena, FileReplay **ret_files, size_t *ret_n, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_FILE_REPLAYS, PG_PARAMS(feed), err);
    TRY(rows);
    size_t n = (size_t)pg_rows(rows);
    FileReplay *files = ARENA_ARRAY(arena, FileReplay, n + 1);
    for (size_t i = 0; i < n; i++)
        files[i] = (FileReplay){.file_id = pg_int(rows, (int)i, 0), .feed = feed,
                                .name = arena_string(arena, pg_value(rows, (int)i, 1)),
                                .state = arena_string(arena, pg_value(rows, (int)i, 2)),
                                .stored_as = arena_string(arena, pg_value(rows, (int)i, 3))};
    *ret_files = files;
    *ret_n = n;
    return true;
}

bool file_see_again(Pg *pg, int64_t file_id, bool *ret_seen, Error *err) {
    int64_t n = 0;
    TRY(pg_exec(pg, SQL_FILE_SEE_AGAIN, PG_PARAMS(pg_number(file_id).text), &n, err));
    *ret_seen = n > 0;
    return true;
}

bool file_has_bytes(Pg *pg, int64_t file_id, const FileBytes *bytes, bool *ret_has, Error *err) {
    Hex hex = hex_of(bytes);
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_FILE_HAS_BYTES, PG_PARAMS(pg_number(file_id).text, hex.text), err);
    TRY(rows);
    *ret_has = pg_rows(rows) > 0;
    return true;
}

bool file_forget_replay(Pg *pg, int64_t file_id, Error *err) {
    return pg_exec(pg, SQL_FILE_FORGET_REPLAY, PG_PARAMS(pg_number(file_id).text), NULL, err);
}

/* ---- pages ---- */

bool file_count(Pg *pg, int64_t file_id, const FileCounts *counts, Error *err) {
    return pg_exec(pg, SQL_FILE_COUNT,
                   PG_PARAMS(pg_number(file_id).text, pg_number(counts->rows_read).text,
                             pg_number(counts->rows_new).text, pg_number(counts->rows_corrected).text,
                             pg_number(counts->rows_same).text, pg_number(counts->rows_flagged).text,
                             pg_number(counts->rows_quarantined).text, pg_number(counts->rows_withdrawn).text), NULL, err);
}

/* ---- its end ---- */

bool file_done(Pg *pg, int64_t file_id, const char *warning, Error *err) {
    PgNumber id = pg_number(file_id);
    TRY(pg_exec(pg, SQL_FILE_DONE, PG_PARAMS(id.text, warning), NULL, err) &&
        file_restate(pg, &file_id, 1, FILE_MOSTLY_SHOWS, err));
    return !warning || pg_exec(pg, SQL_FILE_ALERT, PG_PARAMS(id.text, warning), NULL, err);
}

bool file_done_all(Pg *pg, const int64_t *file_ids, const FileCounts *counts, size_t n, Error *err) {
    CLEANUP(buf_drop) Buf list;
    int64_t n_done = 0;
    buf_init(&list, COLUMNS_MAX_BYTES);
    for (size_t i = 0; i < n; i++)
        buf_printf(&list, "%c{\"file_id\":%lld,\"rows_read\":%lld,\"rows_new\":%lld,\"rows_corrected\":%lld,\"rows_same\":%lld,"
                   "\"rows_flagged\":%lld,\"rows_quarantined\":%lld}", i ? ',' : '[', (long long)file_ids[i],
                   (long long)counts[i].rows_read, (long long)counts[i].rows_new, (long long)counts[i].rows_corrected,
                   (long long)counts[i].rows_same, (long long)counts[i].rows_flagged, (long long)counts[i].rows_quarantined);
    const char *text = list_end(&list, err);
    TRY(text && pg_exec(pg, SQL_FILE_DONE_ALL, PG_PARAMS(text), &n_done, err));
    return n_done == (int64_t)n || error_set(err, STATE_CONFLICT, "files ended that were being received");
}

bool file_restate(Pg *pg, const int64_t *file_ids, size_t n, FileShows shows, Error *err) {
    CLEANUP(buf_drop) Buf ids = pg_array(NAMES_MAX_BYTES);
    pg_array_ints(&ids, file_ids, n);
    const char *array = pg_array_end(&ids, err);
    return array && pg_exec(pg, SQL_FILE_RESTATE, PG_PARAMS(array, shows == FILE_MOSTLY_SHOWS ? "true" : "false"), NULL, err);
}

bool file_note_unsure(Pg *pg, const int64_t *file_ids, size_t n, Error *err) {
    CLEANUP(buf_drop) Buf ids = pg_array(NAMES_MAX_BYTES);
    pg_array_ints(&ids, file_ids, n);
    const char *array = pg_array_end(&ids, err);
    return array && pg_exec(pg, SQL_FILE_NOTE_UNSURE, PG_PARAMS(array), NULL, err);
}

bool file_restate_unsure(Pg *pg, const char *feed, Error *err) {
    CLEANUP(pg_result_drop) PgResult *unsure = pg_query(pg, SQL_FILE_TAKE_UNSURE, PG_PARAMS(feed), err);
    TRY(unsure);
    return str_is_null(pg_value(unsure, 0, 0)) ||
           pg_exec(pg, SQL_FILE_RESTATE, PG_PARAMS(pg_text(unsure, 0, 0), "false"), NULL, err);
}

bool file_failed(Pg *pg, int64_t file_id, const char *sentence, Error *err) {
    return pg_exec(pg, SQL_FILE_FAILED, PG_PARAMS(pg_number(file_id).text, sentence), NULL, err);
}

static bool end_unread(Pg *pg, const FileSeen *seen, const FileDetected *detected, const char *state, const char *sentence,
                       int64_t *ret_file_id, Error *err) {
    Hex hex = hex_of(seen->bytes);
    PgNumber size = pg_number(seen->bytes ? seen->bytes->size_bytes : 0);
    CLEANUP(buf_drop) Buf json;
    buf_init(&json, COLUMNS_MAX_BYTES);
    const char *text = put_detected(&json, detected, err);
    TRY(text);
    CLEANUP(pg_result_drop) PgResult *made = pg_query(
        pg, SQL_FILE_END_UNREAD,
        PG_PARAMS(seen->source_system, seen->feed, seen->name, seen->period, seen->bytes ? hex.text : NULL,
                  seen->bytes ? size.text : NULL, state, sentence, text, pg_number(seen->seen_id).text), err);
    TRY(made);
    *ret_file_id = pg_int(made, 0, 0);
    return true;
}

bool file_reject(Pg *pg, const FileSeen *seen, const FileDetected *detected, const char *sentence, int64_t *ret_file_id,
                 Error *err) {
    return end_unread(pg, seen, detected, "failed", sentence, ret_file_id, err);
}

bool file_duplicate(Pg *pg, const FileSeen *seen, int64_t of_file_id, int64_t *ret_file_id, Error *err) {
    char sentence[80];
    snprintf(sentence, sizeof sentence, "the same bytes as file %lld of this source: nothing to do",
             (long long)of_file_id);
    return end_unread(pg, seen, NULL, "duplicate", sentence, ret_file_id, err);
}

bool file_stored(Pg *pg, const int64_t *file_ids, const char *const *names, size_t n, Error *err) {
    CLEANUP(buf_drop) Buf ids = pg_array(NAMES_MAX_BYTES), list = pg_array(NAMES_MAX_BYTES);
    pg_array_ints(&ids, file_ids, n);
    pg_array_names(&list, names, n);
    const char *id_array = pg_array_end(&ids, err), *name_array = pg_array_end(&list, err);
    return id_array && name_array && pg_exec(pg, SQL_FILE_STORED, PG_PARAMS(id_array, name_array), NULL, err);
}

bool file_lock(Pg *pg, const int64_t *file_ids, size_t n, Error *err) {
    CLEANUP(buf_drop) Buf ids = pg_array(NAMES_MAX_BYTES);
    pg_array_ints(&ids, file_ids, n);
    const char *array = pg_array_end(&ids, err);
    return array && pg_exec(pg, SQL_FILE_LOCK, PG_PARAMS(array), NULL, err);
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
    bool is_stored = is_found && !str_is_null(pg_value(found, 0, 2));
    *ret_stored_as = is_stored ? arena_string(arena, pg_value(found, 0, 2)) : NULL;
    return true;
}

bool file_reports(Pg *pg, const int64_t *file_ids, size_t n, Arena *arena, FileReport *ret_reports, Error *err) {
    CLEANUP(buf_drop) Buf ids = pg_array(NAMES_MAX_BYTES);
    pg_array_ints(&ids, file_ids, n);
    const char *array = pg_array_end(&ids, err);
    TRY(array);
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_FILE_REPORTS, PG_PARAMS(array), err);
    TRY(rows);
    if ((size_t)pg_rows(rows) != n)
        return error_set(err, STATE_BUG, "of %zu files %d have an entry", n, pg_rows(rows));
    for (size_t i = 0; i < n; i++)
        ret_reports[i] = (FileReport){arena_copy(arena, pg_value(rows, (int)i, 1)), arena_copy(arena, pg_value(rows, (int)i, 2))};
    return true;
}
