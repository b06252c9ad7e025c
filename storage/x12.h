/* x12.h - what is kept of an X12 file beside its claims: ops.x12_set and what goes with it.
 *
 * Arrays of objects as steps/x12_survey.h makes them: amounts are cents in quotes. In the caller's
 * transaction, with the file's first page and its last. What an earlier reading of the same file kept goes before. */
#pragma once
#include "storage/pg.h"

typedef struct X12Notes {
    int64_t file_id;
    const char *source_system;
    const char *sets_json, *provider_json, *acknowledgements_json, *batches_json, *interchanges_json;
} X12Notes;
bool x12_note(Pg *tx, const X12Notes *notes, Error *err);
/* When the file's claims are placed: what quarantine holds of remittances that this file, or one before it, tells rightly is
 * `superseded`. */
bool x12_mend(Pg *tx, int64_t file_id, Error *err);
