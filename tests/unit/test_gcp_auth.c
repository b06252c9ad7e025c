#include "test.h"

#include "storage/gcp_auth.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

DEFINE_DROP(json_t, json_drop, json_decref)
DEFINE_DROP(EVP_PKEY, pkey_drop, EVP_PKEY_free)
DEFINE_DROP(EVP_MD_CTX, digest_drop, EVP_MD_CTX_free)

/* A key made for this test, written as Google's console does. */
static EVP_PKEY *write_key_file(char *path) {
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    assert_non_null(key);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    char *pem;
    long size = BIO_get_mem_data(bio, &pem);
    CLEANUP(json_drop) json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s%, s:s}", "type", "service_account", "client_email",
        "publisher@hospital.iam.gserviceaccount.com", "private_key_id", "k1", "private_key", pem,
        (size_t)size, "token_uri", "https://oauth2.googleapis.com/token");
    BIO_free(bio);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(json_dumpfd(object, fd, 0), 0);
    close(fd);
    return key;
}

static size_t decode_base64url(Str text, unsigned char *ret) {
    char padded[4096];
    size_t size = 0;
    for (; size < text.size; size++)
        padded[size] = text.at[size] == '-' ? '+' : text.at[size] == '_' ? '/' : text.at[size];
    size_t padding = (4 - size % 4) % 4;
    memset(padded + size, '=', padding);
    return (size_t)EVP_DecodeBlock(ret, (unsigned char *)padded, (int)(size + padding)) - padding;
}

static Str next_part(Str *rest) {
    const char *dot = memchr(rest->at, '.', rest->size);
    Str part = {rest->at, dot ? (size_t)(dot - rest->at) : rest->size};
    rest->at += part.size + (dot != NULL);
    rest->size -= part.size + (dot != NULL);
    return part;
}

static void openssl_verifies_the_assertion(void **state) {
    (void)state;
    char path[] = "/tmp/test_gcp_auth.XXXXXX";
    CLEANUP(pkey_drop) EVP_PKEY *key = write_key_file(path);
    Error err = {0};
    CLEANUP(gcp_auth_drop) GcpAuth *auth =
        gcp_auth_open(&(GcpAuthOptions){.kind = GCP_AUTH_KEY_FILE, .key_file = path}, &err);
    unlink(path);
    assert_non_null(auth);
    CLEANUP(buf_done) Buf jwt;
    buf_init(&jwt, 1 << 16);
    assert_true(gcp_auth_put_jwt(auth, 1700000000, &jwt, &err));

    Str rest = buf_str(&jwt);
    Str header = next_part(&rest), claims = next_part(&rest), signature = next_part(&rest);
    unsigned char bytes[4096];
    size_t size = decode_base64url(signature, bytes);
    CLEANUP(digest_drop) EVP_MD_CTX *digest = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(digest, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestVerify(digest, bytes, size, (unsigned char *)jwt.data,
                                      header.size + 1 + claims.size), 1);

    size = decode_base64url(header, bytes);
    CLEANUP(json_drop) json_t *head = json_loadb((char *)bytes, size, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(head, "alg")), "RS256");
    assert_string_equal(json_string_value(json_object_get(head, "kid")), "k1");
    size = decode_base64url(claims, bytes);
    CLEANUP(json_drop) json_t *body = json_loadb((char *)bytes, size, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(body, "iss")),
                        "publisher@hospital.iam.gserviceaccount.com");
    assert_string_equal(json_string_value(json_object_get(body, "aud")),
                        "https://oauth2.googleapis.com/token");
    assert_int_equal(json_integer_value(json_object_get(body, "exp")), 1700003600);
}

static void a_file_that_is_no_key_is_refused_without_quoting_it(void **state) {
    (void)state;
    static const char *const FILES[] = {
        "", "{", "[]", "{\"type\": \"authorized_user\"}",
        "{\"type\": \"service_account\", \"client_email\": \"a\", \"token_uri\": \"b\"}",
        ("{\"type\": \"service_account\", \"client_email\": \"a\", \"token_uri\": \"b\","
        " \"private_key\": \"s3cret\"}"),
    };
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        char path[] = "/tmp/test_gcp_auth.XXXXXX";
        int fd = mkstemp(path);
        assert_int_equal(write(fd, FILES[i], strlen(FILES[i])), (ssize_t)strlen(FILES[i]));
        close(fd);
        Error err = {0};
        GcpAuthOptions options = {.kind = GCP_AUTH_KEY_FILE, .key_file = path};
        assert_null(gcp_auth_open(&options, &err));
        unlink(path);
        assert_int_equal(error_class(&err), ERROR_CONFIGURATION);
        assert_null(strstr(err.text, "s3cret"));
    }
}

static void an_emulator_gets_no_token(void **state) {
    (void)state;
    Error err = {0};
    CLEANUP(gcp_auth_drop) GcpAuth *auth =
        gcp_auth_open(&(GcpAuthOptions){.kind = GCP_AUTH_NONE}, &err);
    const char *token = "";
    assert_true(gcp_auth_token(auth, NULL, &token, &err));
    assert_null(token);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_verifies_the_assertion),
        cmocka_unit_test(a_file_that_is_no_key_is_refused_without_quoting_it),
        cmocka_unit_test(an_emulator_gets_no_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
