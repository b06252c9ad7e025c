/* reference.h - what registers answered (schema ref), and what silver says by it.
 *
 * Verbs of one step, for every kind of transform/reference.h: what is to be asked for, keeping answers, telling silver.
 * Keeping and telling happen in the caller's transaction, under the placement lock, so that a publication has all of a
 * page or nothing. Asks nobody itself: see lookup.h. */
#pragma once
#include "storage/lookup.h"
#include "storage/pg.h"

/* One number or code nobody has a good answer for; texts live in the arena. */
typedef struct ReferencePending {
    const char *code, *etag, *last_modified; /* validators of an answer that has run out, or NULL */
} ReferencePending;
/* Up to `max` of them behind `after`, in their order. */
bool reference_pending(Pg *pg, Reference reference, const char *after, int max, Arena *arena,
                       ReferencePending **ret_pending, size_t *ret_n, Error *err);

typedef struct ReferenceAnswer {
    const char *code;
    LookupAnswer answer;
} ReferenceAnswer;
/* In a transaction: keeps them for `max_age_ms`; one that is unusable for a day at most. */
bool reference_keep(Pg *pg, Reference reference, const ReferenceAnswer *answers, size_t n, int64_t max_age_ms, Error *err);
/* A file of the customer's, as it was read. */
typedef struct ReferenceList {
    const ListRow *rows;
    size_t n;
    char sha256[65]; /* of the file's bytes, hexadecimal */
} ReferenceList;
/* Whether it is what schema ref holds. */
bool reference_list_is_kept(Pg *pg, Reference reference, const ReferenceList *list, bool *ret_is, Error *err);
/* The first two lines that say different things of one code or alias (in any case), or 0 and 0. */
bool reference_list_find_conflict(Pg *pg, Reference reference, const ReferenceList *list, int64_t *ret_line,
                                  int64_t *ret_other, Error *err);
/* In a transaction: it takes the place of the one before. There must be no conflict in it. */
bool reference_list_keep(Pg *pg, Reference reference, const ReferenceList *list, Error *err);
/* In a transaction: rows of silver with these numbers or codes, or for `answers` NULL some thousand of those that do not
 * say what is known, are told; changed rows take the batch. `arena` is for a while. */
bool reference_tell(Pg *pg, Reference reference, int64_t batch_id, const ReferenceAnswer *answers, size_t n, Arena *arena,
                    int64_t *ret_changed, Error *err);
/* Whether there are rows that do not say what is known. */
bool reference_is_untold(Pg *pg, Reference reference, Arena *arena, bool *ret_is, Error *err);

/* How long a service that failed is to be left alone; 0 or less: not any more. */
bool reference_service_rest(Pg *pg, Reference reference, int64_t *ret_ms, Error *err);
bool reference_service_answered(Pg *pg, Reference reference, Error *err);
/* `wished_ms`: what it asked for, or less than 0. `random` is any number, for the jitter. */
bool reference_service_failed(Pg *pg, Reference reference, int64_t wished_ms, const char *error, uint32_t random,
                              Error *err);
