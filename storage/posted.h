/* posted.h - claims that were posted: their entry in the ledger of files, and the answers that were given.
 *
 * A post is a file of one page: its entry is made, and done, in the transaction that places its rows. So is the
 * answer to one that bears an Idempotency-Key: when the answer is lost, the same question finds it for a day, also
 * after a restart or at another daemon. In the caller's transaction, under the feed's lock. */
#pragma once
#include "storage/file.h"

enum { POSTED_HASH_BYTES = 32 };
typedef struct PostedKey {
    int64_t token_id;
    uint8_t key[POSTED_HASH_BYTES];     /* SHA-256 of the Idempotency-Key */
    uint8_t request[POSTED_HASH_BYTES]; /* of what is asked */
} PostedKey;

/* The entry of `seen`, done. */
bool posted_enter(Pg *pg, const FileSeen *seen, int64_t *ret_file_id, Error *err);

typedef enum PostedAnswer { POSTED_UNKNOWN, POSTED_SAME, POSTED_OTHER /* the key was used for something else */ } PostedAnswer;
/* `ret_file_id` and `ret_answer`, in `arena`, with POSTED_SAME alone. */
bool posted_find(Pg *pg, const char *feed, const PostedKey *key, Arena *arena, PostedAnswer *ret_found,
                 int64_t *ret_file_id, Str *ret_answer, Error *err);
/* And forgets those of yesterday. `answer` is terminated. */
bool posted_keep(Pg *pg, const char *feed, const PostedKey *key, int64_t file_id, const char *answer, Error *err);
