/* nppes.h - what the National Plan and Provider Enumeration System says of one NPI, over http.h.
 *
 * NPPES NPI Registry API, version 2.1 (https://npiregistry.cms.hhs.gov/api-page): GET with `number`; only the number
 * leaves the house. A refusal comes with HTTP 200 and a member `Errors`; `result_count` 0 says that nobody bears the
 * number; `number` stands in an answer as a text or as a number, by version; `basic.status` is A for an active one.
 * It repeats itself after `skip` 1,000, so nothing is paged: one number is asked for, and its own entry taken.
 * Not a retrier and not a cache: see steps/reference.c. */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "storage/http.h"

#define NPPES_ENDPOINT "https://npiregistry.cms.hhs.gov/api/"

typedef enum NppesOutcome {
    NPPES_FOUND,
    NPPES_NOT_FOUND, /* or it was taken from who bore it */
    NPPES_UNCHANGED, /* since the validators' answer */
    NPPES_UNUSABLE,  /* an answer came, and says nothing of this number: `why` */
    NPPES_OUTCOMES
} NppesOutcome;
/* As ref.npi has them; "unchanged" for the third. */
const char *nppes_outcome_name(NppesOutcome outcome);

typedef struct NppesQuestion {
    const char *endpoint;
    const char *npi;                  /* ten digits */
    const char *etag, *last_modified; /* of the last answer, or NULL */
} NppesQuestion;

/* Texts live in the arena. */
typedef struct NppesAnswer {
    NppesOutcome outcome;
    bool is_organization;
    const Str *taxonomies; /* descriptions */
    size_t n_taxonomies;
    const char *etag, *last_modified; /* NULL: none were sent */
    const char *why;
    int64_t retry_after_ms; /* with a failure: as long as the service wished; -1: it said nothing */
} NppesAnswer;

/* False: the service did not answer, or with a status that is no answer; `retry_after_ms` is set in any case. */
bool nppes_ask(HttpClient *client, const NppesQuestion *question, Arena *arena, NppesAnswer *ret_answer, Error *err);
