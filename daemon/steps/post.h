/* post.h - claims that are posted: rows as of a file, placed at once, beside the feed's run.
 *
 * The same mapping, rules and history as for files. A post is one page: all of it is placed, or nothing. Its period is
 * the instant it was posted, so that its rows are the newest of their claims unless they say otherwise themselves.
 * With an Idempotency-Key its answer is committed with its rows (storage/posted.h): the same question again, after a
 * crash too, gets the same answer and places nothing. On a worker; the feed's lease must be held, and its
 * configuration stay, until it returns. */
#pragma once
#include "config.h"
#include "storage/posted.h"

typedef struct Post {
    const Config *config;
    const ClaimsConfig *claims;
    const char *source_system; /* one that the feed's patterns name */
    int64_t epoch;             /* of the feed's lease */
    const Str *values;         /* row-major, in the order of post_columns(); STR_NULL: null, or not there */
    size_t n_rows;
    int64_t posted_us;
    FileBytes bytes;           /* of the request; distinguishes it from any other */
    const PostedKey *key;      /* NULL: none */
} Post;

/* The columns that the feed's mapping asks for, each once. In `arena`. */
const char *const *post_columns(const ClaimsConfig *claims, Arena *arena, size_t *ret_n);

typedef enum PostOutcome {
    POST_PLACED,
    POST_ANSWERED,  /* before, for the same key */
    POST_KEY_TAKEN, /* by another request */
    POST_NOT_READY  /* what the feed has is to be cleaned by its new mapping first: its next run's work */
} PostOutcome;
typedef struct PostResult {
    PostOutcome outcome;
    int64_t file_id; /* PLACED, ANSWERED: its entry in the ledger of files */
    Str answer;      /* likewise, JSON: counts, and the outcome of every row, without a value */
    bool has_news;   /* settle has something to do */
} PostResult;
/* Flushed when it returns true. `answer` lives in `arena`. */
bool post_claims(const Post *post, struct Pg *pg, Arena *arena, PostResult *ret_result, Error *err);
