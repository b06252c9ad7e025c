/* auth.h - who asks, and may they.
 *
 * The tokens in force are kept here as SHA-256 of their text, with their scopes; the store is asked
 * every few seconds and auth_replace() takes the new list. A presented token is hashed and compared
 * with every known one in constant time. Each token has a bucket of requests that refills evenly.
 * Scopes stand beside each other: admin does not include phi. Loop thread only. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum Scope {
    SCOPE_NONE = 0, /* asks for no token */
    SCOPE_READ = 1 << 0,
    SCOPE_OPERATE = 1 << 1,
    SCOPE_PHI = 1 << 2,
    SCOPE_ADMIN = 1 << 3
} Scope;

const char *scope_name(Scope scope); /* of one scope */
/* SCOPE_NONE for a word that is no scope. */
Scope scope_of(const char *name);

enum { AUTH_SHA256_BYTES = 32, AUTH_NAME_BYTES = 64 };

typedef struct AuthToken {
    int64_t id;
    char name[AUTH_NAME_BYTES];
    uint8_t sha256[AUTH_SHA256_BYTES];
    unsigned scopes; /* of Scope */
    double allowance; /* requests left in the bucket; auth.c's */
    int64_t refilled_us;
} AuthToken;

typedef enum AuthOutcome {
    AUTH_OK,
    AUTH_NO_TOKEN,  /* no Authorization, or not Bearer */
    AUTH_BAD_TOKEN, /* unknown or revoked */
    AUTH_LIMITED    /* known, but too many requests */
} AuthOutcome;

typedef struct Auth Auth;

Auth *auth_open(double requests_per_second, double burst);
void auth_free(Auth *auth);
/* Copies; a token that stays keeps its bucket. */
void auth_replace(Auth *auth, const AuthToken *tokens, size_t n_tokens);
/* `authorization` is the header's value or NULL. With AUTH_OK and AUTH_LIMITED *ret_token is
 * borrowed until the next auth_replace(); with AUTH_LIMITED *ret_retry_after_s says when. */
AuthOutcome auth_check(Auth *auth, const char *authorization, int64_t now_us,
                       const AuthToken **ret_token, int *ret_retry_after_s);
