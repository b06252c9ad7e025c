/* x12.c - see x12.h. */
#include "storage/x12.h"

#include "base/failpoint.h"
#include "base/own.h"
#include "sql.h"
#include "storage/held_contents.h"

bool x12_note(Pg *tx, const X12Notes *notes, Error *err) {
    PgNumber file = pg_number(notes->file_id);
    TRY(pg_exec(tx, SQL_X12_LOCK, PG_NONE, NULL, err));
    TRY(pg_exec(tx, SQL_X12_FORGET, PG_PARAMS(file.text), NULL, err));
    TRY(pg_exec(tx, SQL_X12_NOTE_SETS, PG_PARAMS(file.text, notes->sets_json), NULL, err));
    TRY(pg_exec(tx, SQL_X12_SUPERSEDE, PG_PARAMS(file.text, notes->source_system), NULL, err));
    TRY(pg_exec(tx, SQL_X12_NOTE_PROVIDERS, PG_PARAMS(file.text, notes->source_system, notes->provider_json), NULL, err));
    TRY(pg_exec(tx, SQL_X12_NOTE_ACKNOWLEDGEMENTS,
                PG_PARAMS(file.text, notes->source_system, notes->acknowledgements_json), NULL, err));
    TRY(pg_exec(tx, SQL_X12_NOTE_BATCHES, PG_PARAMS(file.text, notes->source_system, notes->batches_json), NULL, err));
    TRY(pg_exec(tx, SQL_X12_NOTE_INTERCHANGES, PG_PARAMS(file.text, notes->source_system, notes->interchanges_json), NULL, err));
    FAILPOINT("x12.after_note");
    return true;
}

bool x12_mend(Pg *tx, int64_t file_id, Error *err) {
    PgNumber file = pg_number(file_id);
    CLEANUP(content_list_drop) ContentList contents = content_list_make();
    CLEANUP(pg_result_drop) PgResult *ended = pg_query(tx, SQL_X12_MEND, PG_PARAMS(file.text), err);
    TRY(ended);
    content_list_add_rows(&contents, ended);
    TRY(held_contents_decide(tx, &contents, err));
    FAILPOINT("x12.after_mend");
    return true;
}
