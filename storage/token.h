/* token.h - the tokens of the API. Only their SHA-256 is stored: the text is shown once, when it is
 * made, and is not to be had again. */
#pragma once
#include "storage/pg.h"

enum { TOKEN_SHA256_BYTES = 32, TOKEN_TEXT_BYTES = 64 };

typedef struct TokenRow {
    int64_t id;
    const char *name;
    const char *scopes; /* "operate,read" */
    uint8_t sha256[TOKEN_SHA256_BYTES];
} TokenRow;

/* `scopes` is "read,operate" (also phi, admin); wrong words are a 22023 that names them. Writes the
 * token's text, "rct_" and 43 letters, terminated, to `ret_text`. */
bool token_add(Pg *pg, const char *name, const char *scopes, char ret_text[TOKEN_TEXT_BYTES],
               Error *err);
/* Those in force; allocates in `arena`. */
bool token_list(Pg *pg, Arena *arena, TokenRow **ret_tokens, size_t *ret_n, Error *err);
/* How many were revoked now. */
bool token_revoke(Pg *pg, const char *name, int64_t *ret_count, Error *err);
