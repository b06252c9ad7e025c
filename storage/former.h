/* former.h - whose claims earlier readings of a file made of its lines, or held of them, in the order of its lines.
 *
 * Asked once a reading, for no table of claims is found by a line: what a page asked by itself would read the file's rows once
 * for every page. PostgreSQL keeps the answer while the session has it open, a page's worth of it is here. It stays true while
 * the reading goes on: only the feed's run moves what these files placed, and only of lines that it has passed. */
#pragma once
#include "storage/pg.h"

typedef struct FormerClaims {
    Pg *pg; /* NULL: not open */
    Arena *arena;
    int64_t *lines; /* fetched, and not taken yet */
    Str *ids;
    size_t n, at;
    bool is_end;
} FormerClaims;

/* What these rows of the ledger placed or hold from this line on. One reading at a time has it open on a connection. */
bool former_open(Pg *pg, const int64_t *file_ids, size_t n, const char *source_system, int64_t first_line,
                 FormerClaims *ret_claims, Error *err);
/* Zeroed or open; for CLEANUP. */
void former_close(FormerClaims *claims);
/* The ids of the claims of the next lines up to before `end_line`, in `arena`; one may be there several times. */
bool former_take(FormerClaims *claims, int64_t end_line, Arena *arena, Str **ret_ids, size_t *ret_n, Error *err);
