/* gcp_auth.h - access tokens for Google Cloud.
 *
 * Three ways: a service account's key file (a JWT signed with RS256 is exchanged for a token:
 * https://developers.google.com/identity/protocols/oauth2/service-account, RFC 7523), the metadata
 * server of the machine, or none, for an emulator. A token is kept until five minutes before its
 * end. Neither key nor token ever stands in an error or a log line; the key is read at open and
 * wiped at free. One thread at a time. */
#pragma once
#include "storage/http.h"

typedef enum GcpAuthKind { GCP_AUTH_NONE, GCP_AUTH_KEY_FILE, GCP_AUTH_METADATA } GcpAuthKind;

typedef struct GcpAuthOptions {
    GcpAuthKind kind;
    const char *key_file;      /* of GCP_AUTH_KEY_FILE */
    const char *metadata_host; /* NULL: metadata.google.internal */
} GcpAuthOptions;

typedef struct GcpAuth GcpAuth;

/* Reads and checks the key file, so that a wrong one is known at once. */
GcpAuth *gcp_auth_open(const GcpAuthOptions *options, Error *err);
void gcp_auth_free(GcpAuth *auth);
DEFINE_DROP(GcpAuth, gcp_auth_drop, gcp_auth_free)

/* The token, fetched through `http` when there is none that still holds; NULL for GCP_AUTH_NONE.
 * Borrowed until the next call. */
bool gcp_auth_token(GcpAuth *auth, HttpClient *http, const char **ret_token, Error *err);
/* The server did not accept it: the next call fetches another. */
void gcp_auth_forget(GcpAuth *auth);
/* Appends the signed assertion "header.claims.signature" (RFC 7519) valid for an hour from `now_s`. */
bool gcp_auth_put_jwt(const GcpAuth *auth, int64_t now_s, Buf *ret_jwt, Error *err);
