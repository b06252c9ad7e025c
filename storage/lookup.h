/* lookup.h - one question to a public register about one number or code, over http.h.
 *
 * Which registers there are stands in transform/reference.h; how a question is put to one and what its answer says, on
 * a page of its own (nppes.h, clinical_tables.h). Only the number or code leaves the house, and only one that has the form
 * of such. Answers are taken with their validators, and asked for by them again; a 304 is an answer only to a question that
 * had some.
 * Not a retrier and not a cache: see steps/reference.c. */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "storage/http.h"
#include "transform/reference.h"

#include <jansson.h>

typedef enum LookupOutcome {
    LOOKUP_FOUND,
    LOOKUP_NOT_FOUND, /* a number: or it was taken from who bore it */
    LOOKUP_UNCHANGED, /* since the validators' answer */
    LOOKUP_UNUSABLE,  /* an answer came, and says nothing of this code: `why` */
    LOOKUP_FURTHER    /* not in this part of the answer: the next begins at `next` */
} LookupOutcome;
/* As schema ref has the first, second and fourth: "found", "not_found", "unusable". */
const char *lookup_outcome_name(LookupOutcome outcome);

typedef struct LookupQuestion {
    const char *endpoint;
    const char *code;                 /* an NPI's ten digits, or a code as silver writes it */
    int64_t from;                     /* of an answer in parts: 0 first */
    const char *etag, *last_modified; /* of the last answer, or NULL; sent with the first part alone */
} LookupQuestion;

/* Texts live in the arena. */
typedef struct LookupAnswer {
    LookupOutcome outcome;
    bool is_organization;  /* an NPI's */
    const Str *taxonomies; /* descriptions of what the bearer of an NPI does */
    size_t n_taxonomies;
    Str description;                  /* a code's, or STR_NULL */
    int64_t next;                     /* with LOOKUP_FURTHER */
    const char *etag, *last_modified; /* NULL: none were sent, or not with the first part */
    const char *why;
    int64_t retry_after_ms; /* with a failure: as long as the service wished; -1: it said nothing */
} LookupAnswer;

void lookup_say_unusable(LookupAnswer *answer, const char *why);

/* False: the service did not answer, or with a status that is no answer; `retry_after_ms` is set in any case. */
bool lookup_ask(HttpClient *client, Reference reference, const LookupQuestion *question, Arena *arena,
                LookupAnswer *ret_answer, Error *err);
/* Whether it can be used at all: asks about a code that everybody may ask about. False with the reason. */
bool lookup_probe(HttpClient *client, Reference reference, const char *endpoint, Arena *arena, Error *err);
