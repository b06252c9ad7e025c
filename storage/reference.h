/* reference.h - what registers answered (schema ref), and what silver says by it.
 *
 * Verbs of one step: who is to be asked for, keeping answers, telling silver. Keeping and telling happen in the
 * caller's transaction, under the placement lock, so that a publication has all of a page or nothing. Asks nobody
 * itself: see nppes.h. */
#pragma once
#include "storage/nppes.h"
#include "storage/pg.h"

/* One number nobody has a good answer for; texts live in the arena. */
typedef struct NpiPending {
    const char *npi, *etag, *last_modified; /* validators of an answer that has run out, or NULL */
} NpiPending;
/* Up to `max` of them behind `after`, in their order. */
bool reference_npi_pending(Pg *pg, const char *after, int max, Arena *arena, NpiPending **ret_pending, size_t *ret_n,
                           Error *err);

typedef struct NpiAnswer {
    const char *npi;
    NppesAnswer answer;
} NpiAnswer;
/* In a transaction: keeps them for `max_age_ms`; one that is unusable for a day at most. */
bool reference_npi_keep(Pg *pg, const NpiAnswer *answers, size_t n, int64_t max_age_ms, Error *err);
/* In a transaction: providers of these numbers, or for `answers` NULL some thousand of those whose status nobody has
 * told yet, get the status that the kept answers make; changed rows take the batch. */
bool reference_npi_tell(Pg *pg, int64_t batch_id, const NpiAnswer *answers, size_t n, int64_t *ret_changed, Error *err);
/* Whether there are such providers. */
bool reference_npi_is_untold(Pg *pg, bool *ret_is, Error *err);

/* How long a service that failed is to be left alone; 0 or less: not any more. */
bool reference_service_rest(Pg *pg, const char *service, int64_t *ret_ms, Error *err);
bool reference_service_answered(Pg *pg, const char *service, Error *err);
/* `wished_ms`: what it asked for, or less than 0. `random` is any number, for the jitter. */
bool reference_service_failed(Pg *pg, const char *service, int64_t wished_ms, const char *error, uint32_t random,
                              Error *err);
