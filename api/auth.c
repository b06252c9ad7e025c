/* auth.c - see auth.h. */
#include "api/auth.h"

#include <math.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct Auth {
    AuthToken *tokens;
    size_t n_tokens;
    double requests_per_second, burst;
};

static const struct {
    Scope scope;
    const char *name;
} SCOPES[] = {
    {SCOPE_READ, "read"},
    {SCOPE_OPERATE, "operate"},
    {SCOPE_PHI, "phi"},
    {SCOPE_ADMIN, "admin"},
};

const char *scope_name(Scope scope) {
    for (size_t i = 0; i < sizeof SCOPES / sizeof *SCOPES; i++)
        if (SCOPES[i].scope == scope)
            return SCOPES[i].name;
    return "none";
}

Scope scope_of(const char *name) {
    for (size_t i = 0; i < sizeof SCOPES / sizeof *SCOPES; i++)
        if (strcmp(SCOPES[i].name, name) == 0)
            return SCOPES[i].scope;
    return SCOPE_NONE;
}

Auth *auth_open(double requests_per_second, double burst) {
    Auth *auth = calloc(1, sizeof *auth);
    if (!auth)
        abort();
    auth->requests_per_second = requests_per_second;
    auth->burst = burst;
    return auth;
}

void auth_free(Auth *auth) {
    free(auth->tokens);
    free(auth);
}

static const AuthToken *token_by_id(const Auth *auth, int64_t id) {
    for (size_t i = 0; i < auth->n_tokens; i++)
        if (auth->tokens[i].id == id)
            return &auth->tokens[i];
    return NULL;
}

void auth_replace(Auth *auth, const AuthToken *tokens, size_t n_tokens) {
    AuthToken *fresh = calloc(n_tokens + 1, sizeof *fresh);
    if (!fresh)
        abort();
    for (size_t i = 0; i < n_tokens; i++) {
        const AuthToken *before = token_by_id(auth, tokens[i].id);
        fresh[i] = tokens[i];
        fresh[i].allowance = before ? before->allowance : auth->burst;
        fresh[i].refilled_us = before ? before->refilled_us : 0;
    }
    free(auth->tokens);
    auth->tokens = fresh;
    auth->n_tokens = n_tokens;
}

/* Looks at every token, also after a match: the time says nothing about which one it was. */
static AuthToken *find_token(Auth *auth, const char *text) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)text, strlen(text), digest);
    AuthToken *found = NULL;
    for (size_t i = 0; i < auth->n_tokens; i++)
        if (CRYPTO_memcmp(auth->tokens[i].sha256, digest, sizeof digest) == 0)
            found = &auth->tokens[i];
    return found;
}

static bool take_from_bucket(const Auth *auth, AuthToken *token, int64_t now_us,
                             int *ret_retry_after_s) {
    if (token->refilled_us) {
        double gained = (double)(now_us - token->refilled_us) / 1e6 * auth->requests_per_second;
        token->allowance = fmin(auth->burst, token->allowance + gained);
    }
    token->refilled_us = now_us;
    if (token->allowance >= 1) {
        token->allowance -= 1;
        return true;
    }
    *ret_retry_after_s = (int)ceil((1 - token->allowance) / auth->requests_per_second);
    return false;
}

AuthOutcome auth_check(Auth *auth, const char *authorization, int64_t now_us,
                       const AuthToken **ret_token, int *ret_retry_after_s) {
    static const char BEARER[] = "Bearer ";
    if (!authorization || strncasecmp(authorization, BEARER, strlen(BEARER)) != 0)
        return AUTH_NO_TOKEN;
    const char *text = authorization + strlen(BEARER);
    AuthToken *token = find_token(auth, text + strspn(text, " "));
    if (!token)
        return AUTH_BAD_TOKEN;
    *ret_token = token;
    return take_from_bucket(auth, token, now_us, ret_retry_after_s) ? AUTH_OK : AUTH_LIMITED;
}
