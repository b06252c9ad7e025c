/* token.c - see token.h. */
#include "storage/token.h"

#include "base/own.h"
#include "sql.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>

enum { SECRET_BYTES = 32, SCOPES_TEXT_MAX = 128 };

static const char *const KNOWN_SCOPES[] = {"read", "operate", "phi", "admin"};

/* Put into the array one by one. */
static bool check_scopes(const char *scopes, Buf *array, Error *err) {
    char words[SCOPES_TEXT_MAX];
    if (snprintf(words, sizeof words, "%s", scopes) >= (int)sizeof words)
        return error_set(err, "22023", "the list of scopes is too long");
    char *rest = words;
    for (const char *word; (word = strsep(&rest, ","));) {
        size_t i = 0;
        while (i < 4 && strcmp(KNOWN_SCOPES[i], word) != 0)
            i++;
        if (i == 4) {
            error_set(err, "22023", "unknown scope \"%s\"", word);
            return error_hint(err, "scopes are read, operate, phi, admin, with commas between");
        }
        pg_array_text(array, str_of(word));
    }
    return pg_array_end(array, err) != NULL;
}

static void to_hex(const uint8_t *bytes, size_t n, char *ret_text) {
    for (size_t i = 0; i < n; i++)
        sprintf(ret_text + 2 * i, "%02x", bytes[i]);
}

/* base64 with '-' and '_' for '+' and '/', without padding: fits a header and a shell word. */
static bool make_text(char ret_text[TOKEN_TEXT_BYTES]) {
    uint8_t secret[SECRET_BYTES];
    if (RAND_bytes(secret, sizeof secret) != 1)
        return false;
    strcpy(ret_text, "rct_");
    char *text = ret_text + strlen(ret_text);
    EVP_EncodeBlock((unsigned char *)text, secret, sizeof secret);
    for (; *text && *text != '='; text++)
        *text = *text == '+' ? '-' : *text == '/' ? '_' : *text;
    *text = 0;
    return true;
}

bool token_add(Pg *pg, const char *name, const char *scopes, char ret_text[TOKEN_TEXT_BYTES],
               Error *err) {
    CLEANUP(buf_drop) Buf array = pg_array(4 * SCOPES_TEXT_MAX);
    TRY(check_scopes(scopes, &array, err));
    if (!make_text(ret_text))
        return error_set(err, STATE_BUG, "cannot make a token: no random numbers");
    uint8_t digest[SHA256_DIGEST_LENGTH];
    char hex[2 * SHA256_DIGEST_LENGTH + 1];
    SHA256((const unsigned char *)ret_text, strlen(ret_text), digest);
    to_hex(digest, sizeof digest, hex);
    return pg_exec(pg, SQL_TOKEN_ADD, PG_PARAMS(name, hex, buf_str(&array).at), NULL, err);
}

static void from_hex(const char *text, uint8_t *ret_bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned byte = 0;
        sscanf(text + 2 * i, "%2x", &byte);
        ret_bytes[i] = (uint8_t)byte;
    }
}

bool token_list(Pg *pg, Arena *arena, TokenRow **ret_tokens, size_t *ret_n, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_TOKEN_LIST, PG_NONE, err);
    TRY(rows);
    size_t n = (size_t)pg_rows(rows);
    TokenRow *tokens = ARENA_ARRAY(arena, TokenRow, n + 1);
    for (size_t i = 0; i < n; i++) {
        int row = (int)i;
        tokens[i].id = pg_int(rows, row, 0);
        tokens[i].name = arena_string(arena, pg_value(rows, row, 1));
        tokens[i].scopes = arena_string(arena, pg_value(rows, row, 2));
        if (pg_value(rows, row, 3).size == 2 * TOKEN_SHA256_BYTES)
            from_hex(pg_text(rows, row, 3), tokens[i].sha256, TOKEN_SHA256_BYTES);
    }
    *ret_tokens = tokens;
    *ret_n = n;
    return true;
}

bool token_revoke(Pg *pg, const char *name, int64_t *ret_count, Error *err) {
    return pg_exec(pg, SQL_TOKEN_REVOKE, PG_PARAMS(name), ret_count, err);
}
