/* gcp_auth.c - see gcp_auth.h. */
#include "storage/gcp_auth.h"

#include "base/clock.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define SCOPE "https://www.googleapis.com/auth/bigquery"
#define METADATA_PATH "/computeMetadata/v1/instance/service-accounts/default/token"

enum {
    KEY_FILE_BYTES_MAX = 64 * 1024,
    JWT_BYTES_MAX = 16 * 1024,
    JWT_LIFE_S = 3600,
    RENEW_BEFORE_S = 300,
    TOKEN_BYTES_MAX = 8 * 1024
};

DEFINE_DROP(json_t, json_drop, json_decref)
DEFINE_DROP(EVP_PKEY, pkey_drop, EVP_PKEY_free)
DEFINE_DROP(EVP_MD_CTX, digest_drop, EVP_MD_CTX_free)
DEFINE_DROP(BIO, bio_drop, BIO_free_all)

struct GcpAuth {
    GcpAuthKind kind;
    char *metadata_url;
    char *email, *key_id, *token_uri;
    EVP_PKEY *key;
    char token[TOKEN_BYTES_MAX];
    int64_t expires_s; /* Unix; 0: no token */
};

static void secret_done(Buf *buf) {
    if (buf->data)
        explicit_bzero(buf->data, buf->capacity);
    buf_done(buf);
}

/* ---- the key file ----------------------------------------------------------------------------- */

static bool read_key_file(const char *path, Buf *text, Error *err) {
    CLEANUP(file_drop) FILE *file = fopen(path, "re");
    if (!file)
        return error_set_errno(err, errno, "cannot open the credentials file %s", path);
    char *room = buf_reserve(text, KEY_FILE_BYTES_MAX);
    text->size = fread(room, 1, KEY_FILE_BYTES_MAX, file);
    if (ferror(file))
        return error_set_errno(err, errno, "cannot read the credentials file %s", path);
    return true;
}

static EVP_PKEY *parse_private_key(const char *pem) {
    CLEANUP(bio_drop) BIO *bio = BIO_new_mem_buf(pem, -1);
    return bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
}

static char *copy_member(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text ? strdup(text) : NULL;
}

static bool take_key(GcpAuth *auth, const char *path, Error *err) {
    CLEANUP(secret_done) Buf text;
    buf_init(&text, KEY_FILE_BYTES_MAX);
    TRY(read_key_file(path, &text, err));
    CLEANUP(json_drop) json_t *object = json_loadb(text.data, text.size, 0, NULL);
    const char *type = json_string_value(json_object_get(object, "type"));
    const char *pem = json_string_value(json_object_get(object, "private_key"));
    auth->email = copy_member(object, "client_email");
    auth->key_id = copy_member(object, "private_key_id");
    auth->token_uri = copy_member(object, "token_uri");
    if (!type || strcmp(type, "service_account") != 0 || !pem || !auth->email ||
        !auth->token_uri) {
        error_set(err, STATE_CONFIG, "%s is not a service account's key file", path);
        return error_hint(err, "create a JSON key for the service account, or leave "
                               "bigquery.credentials_file out to use the metadata server");
    }
    auth->key = parse_private_key(pem);
    if (!auth->key || !EVP_PKEY_is_a(auth->key, "RSA"))
        return error_set(err, STATE_CONFIG, "the private key in %s is not a readable RSA key", path);
    return true;
}

GcpAuth *gcp_auth_open(const GcpAuthOptions *options, Error *err) {
    CLEANUP(gcp_auth_drop) GcpAuth *auth = calloc(1, sizeof *auth);
    if (!auth) {
        error_set(err, STATE_RESOURCES, "out of memory");
        return NULL;
    }
    auth->kind = options->kind;
    const char *host = options->metadata_host;
    if (asprintf(&auth->metadata_url, "http://%s" METADATA_PATH,
                 host ? host : "metadata.google.internal") < 0)
        auth->metadata_url = NULL;
    if (auth->kind == GCP_AUTH_KEY_FILE)
        TRY_NULL(take_key(auth, options->key_file, err));
    return TAKE(auth);
}

void gcp_auth_free(GcpAuth *auth) {
    EVP_PKEY_free(auth->key);
    free(auth->metadata_url);
    free(auth->email);
    free(auth->key_id);
    free(auth->token_uri);
    explicit_bzero(auth, sizeof *auth);
    free(auth);
}

/* ---- the assertion ------------------------------------------------------------------------------ */

static void put_base64url(Buf *out, const void *bytes, size_t size) {
    char *room = buf_reserve(out, (size + 2) / 3 * 4 + 1); /* EVP_EncodeBlock ends with a NUL */
    if (!room)
        return;
    int length = EVP_EncodeBlock((unsigned char *)room, bytes, (int)size);
    for (int i = 0; i < length; i++) {
        if (room[i] == '+')
            room[i] = '-';
        else if (room[i] == '/')
            room[i] = '_';
    }
    while (length > 0 && room[length - 1] == '=')
        length--;
    out->size += (size_t)length;
}

static bool put_json(Buf *out, json_t *object) {
    CLEANUP(json_drop) json_t *owned = object;
    CLEANUP(mem_drop) char *text = owned ? json_dumps(owned, JSON_COMPACT) : NULL;
    if (text)
        put_base64url(out, text, strlen(text));
    return text != NULL;
}

static bool put_signature(const GcpAuth *auth, Buf *out) {
    CLEANUP(digest_drop) EVP_MD_CTX *digest = EVP_MD_CTX_new();
    unsigned char signature[1024]; /* RSA of up to 8192 bits */
    size_t size = sizeof signature;
    if (!digest || EVP_DigestSignInit(digest, NULL, EVP_sha256(), NULL, auth->key) != 1 ||
        EVP_DigestSign(digest, signature, &size, (unsigned char *)out->data, out->size) != 1)
        return false;
    buf_put_byte(out, '.');
    put_base64url(out, signature, size);
    return true;
}

bool gcp_auth_put_jwt(const GcpAuth *auth, int64_t now_s, Buf *ret_jwt, Error *err) {
    CLEANUP(buf_done) Buf jwt;
    buf_init(&jwt, JWT_BYTES_MAX);
    json_t *header = json_pack("{s:s, s:s, s:s*}", "alg", "RS256", "typ", "JWT", "kid",
                               auth->key_id);
    json_t *claims = json_pack("{s:s, s:s, s:s, s:I, s:I}", "iss", auth->email, "scope", SCOPE,
                               "aud", auth->token_uri, "iat", (json_int_t)now_s, "exp",
                               (json_int_t)(now_s + JWT_LIFE_S));
    bool fine = put_json(&jwt, header);
    buf_put_byte(&jwt, '.');
    fine = put_json(&jwt, claims) && fine;
    if (!fine || buf_overflowed(&jwt) || !put_signature(auth, &jwt) || buf_overflowed(&jwt))
        return error_set(err, STATE_CONFIG, "cannot sign a token request with the private key");
    buf_put_str(ret_jwt, buf_str(&jwt));
    return true;
}

/* ---- the token ---------------------------------------------------------------------------------- */

static bool keep_token(GcpAuth *auth, Str answer, int64_t now_s, Error *err) {
    CLEANUP(json_drop) json_t *object = json_loadb(answer.at, answer.size, 0, NULL);
    const char *token = json_string_value(json_object_get(object, "access_token"));
    json_int_t life_s = json_integer_value(json_object_get(object, "expires_in"));
    if (!token || strlen(token) >= sizeof auth->token)
        return error_set(err, STATE_AUTH, "the token server's answer holds no access token");
    snprintf(auth->token, sizeof auth->token, "%s", token);
    auth->expires_s = now_s + life_s;
    return true;
}

static bool request_token(GcpAuth *auth, HttpClient *http, const HttpRequest *request,
                          int64_t now_s, Error *err) {
    CLEANUP(http_reply_done) HttpReply reply = {0};
    TRY(http_send(http, request, &reply, err));
    if (reply.status == 400) /* invalid_grant: key revoked, account gone, or our clock is wrong */
        error_set(err, STATE_AUTH, "the token server refuses the service account's key");
    else if (reply.status != 200)
        http_status_error(reply.status, request->subject, err);
    if (reply.status != 200)
        return error_hint(err, "is the key still valid, and the clock of this machine right?");
    bool kept = keep_token(auth, buf_str(&reply.body), now_s, err);
    explicit_bzero(reply.body.data, reply.body.size);
    return kept;
}

static bool exchange_jwt(GcpAuth *auth, HttpClient *http, int64_t now_s, Error *err) {
    CLEANUP(secret_done) Buf form;
    buf_init(&form, JWT_BYTES_MAX + 256);
    buf_put_str(&form, STR("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
                           "&assertion="));
    TRY(gcp_auth_put_jwt(auth, now_s, &form, err));
    HttpRequest request = {.method = "POST", .url = auth->token_uri, .subject = "the token server",
                           .content_type = "application/x-www-form-urlencoded",
                           .body = buf_str(&form)};
    return request_token(auth, http, &request, now_s, err);
}

static bool ask_metadata(GcpAuth *auth, HttpClient *http, int64_t now_s, Error *err) {
    HttpRequest request = {.method = "GET", .url = auth->metadata_url,
                           .subject = "the metadata server",
                           .headers = {"Metadata-Flavor: Google"}, .body = STR_NULL};
    return request_token(auth, http, &request, now_s, err);
}

bool gcp_auth_token(GcpAuth *auth, HttpClient *http, const char **ret_token, Error *err) {
    if (auth->kind == GCP_AUTH_NONE) {
        *ret_token = NULL;
        return true;
    }
    int64_t now_s = clock_wall_us() / 1000000;
    if (now_s + RENEW_BEFORE_S >= auth->expires_s)
        TRY(auth->kind == GCP_AUTH_KEY_FILE ? exchange_jwt(auth, http, now_s, err)
                                            : ask_metadata(auth, http, now_s, err));
    *ret_token = auth->token;
    return true;
}

void gcp_auth_forget(GcpAuth *auth) {
    explicit_bzero(auth->token, sizeof auth->token);
    auth->expires_s = 0;
}
