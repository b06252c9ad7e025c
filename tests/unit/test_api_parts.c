/* The pure parts of the API: targets, routes, replies, tokens, pages, keys. */
#include "test.h"

#include "api/auth.h"
#include "api/idempotency.h"
#include "api/page.h"
#include "api/route.h"
#include "api/rows.h"
#include "api/trail.h"
#include "assets.h"
#include "base/own.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <zlib.h>

/* ---- targets ---- */

static void a_target_is_taken_apart_and_decoded(void **state) {
    (void)state;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Uri uri;
    assert_null(uri_parse(arena, "/v1/jobs/hospital_a.%70atients?limit=5&a=b%20c+d&e", &uri));
    assert_int_equal(uri.n_segments, 3);
    assert_str(uri.segments[2], "hospital_a.patients");
    assert_str(uri_param(&uri, "limit"), "5");
    assert_str(uri_param(&uri, "a"), "b c d");
    assert_str(uri_param(&uri, "e"), "");
    assert_true(str_is_null(uri_param(&uri, "x")));
}

static void targets_that_hide_something_are_refused(void **state) {
    (void)state;
    static const char *const BAD[] = {
        "",           "v1/jobs",       "http://x/v1",   "*",           "/a%00b",      "/a?b=%00",
        "/a%2fb",     "/a%2Fb",        "/a%5cb",        "/./a",        "/a/../b",     "/a/%2e%2e/b",
        "/a/.%2E/b",  "/%2e",          "/a%0ab",        "/a%7f",       "/a%",         "/a%2",
        "/a%zz",      "/a b",          "/a#b",          "/a?b=1&b=2",  "/a?b=%0d",    "/\x80",
        "/1/2/3/4/5/6/7/8/9", "/?1&2&3&4&5&6&7&8&9&10&11&12&13&14&15&16&17",
    };
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Uri uri;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        if (!uri_parse(arena, BAD[i], &uri))
            fail_msg("accepted: %s", BAD[i]);
}

/* ---- rows ---- */

/* U+00E9, two bytes, behind `n` others: the pointer ends in the middle of one of them for one of two neighbours. */
static void check_long_member(Arena *arena, int n) {
    static const char *FROM[] = {"ClaimID"};
    static MapSpec column = {.column = "source_claim_id", .from = FROM, .n_from = 1};
    const ClaimsConfig claims = {.mapping = {.columns = &column, .n_columns = 1}};
    char body[1024];
    size_t size = (size_t)snprintf(body, sizeof body, "[{\"%.*s", n, "xxxx");
    for (int i = 0; i < 200; i++, size += 2)
        memcpy(body + size, "\xc3\xa9", 2);
    size += (size_t)snprintf(body + size, sizeof body - size, "\": 1}]");
    PostedRows rows;
    Reply reply;
    reply_init(&reply, "urn:x");
    assert_false(rows_read((Str){body, size}, ROWS_ARRAY, &claims, arena, &reply, &rows));
    assert_int_equal(json_array_size(reply.errors), 1);
    const char *pointer = json_string_value(json_object_get(json_array_get(reply.errors, 0), "pointer"));
    assert_non_null(pointer);
    assert_memory_equal(pointer, "#/0/", 4);
    reply_done(&reply);
}

static void a_members_mistake_is_told_whatever_its_length(void **state) {
    (void)state;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    check_long_member(arena, 0);
    check_long_member(arena, 1);
}

/* ---- routes ---- */

static RouteOutcome find(const char *method, const char *target, const Route **ret_route,
                         Str *ret_segments, char *ret_allow) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Uri uri;
    assert_null(uri_parse(arena, target, &uri));
    return route_find(method, &uri, ret_route, ret_segments, ret_allow);
}

static void a_route_is_found_by_method_and_path(void **state) {
    (void)state;
    const Route *route;
    Str segments[2];
    char allow[ROUTE_ALLOW_BYTES];
    assert_int_equal(find("POST", "/v1/jobs/settle/runs", &route, segments, allow), ROUTE_FOUND);
    assert_string_equal(route->pattern, "/v1/jobs/{job}/runs");
    assert_int_equal(segments[0].size, strlen("settle"));
    assert_int_equal(find("HEAD", "/", &route, segments, allow), ROUTE_FOUND);
    assert_string_equal(route->pattern, "/");
    assert_int_equal(find("DELETE", "/v1/jobs", &route, segments, allow), ROUTE_WRONG_METHOD);
    assert_string_equal(allow, "GET, HEAD");
    static const char *const NOWHERE[] = {"/v1", "/v1/jobs/", "/v1/jobs//runs", "/v1/jobs/a/b",
                                          "/v1/jobs/a/runs/", "/V1/jobs", "//"};
    for (size_t i = 0; i < sizeof NOWHERE / sizeof *NOWHERE; i++)
        assert_int_equal(find("GET", NOWHERE[i], &route, segments, allow), ROUTE_NOT_FOUND);
}

static json_t *operation_of(const json_t *paths, const Route *route) {
    char method[8] = "";
    for (size_t i = 0; route->method[i]; i++)
        method[i] = (char)(route->method[i] | 0x20);
    return json_object_get(json_object_get(paths, route->pattern), method);
}

static size_t count_params(const Route *route) {
    size_t n = 0;
    while (n < ROUTE_PARAMS_MAX && route->params[n])
        n++;
    return n;
}

static void check_params_of(const json_t *operation, const Route *route) {
    size_t i, n_query = 0;
    json_t *param;
    json_array_foreach(json_object_get(operation, "parameters"), i, param) {
        if (strcmp(json_string_value(json_object_get(param, "in")), "query") != 0)
            continue;
        n_query++;
        const char *name = json_string_value(json_object_get(param, "name"));
        if (!route_knows_param(route, str_of(name)))
            fail_msg("%s does not know %s", route->pattern, name);
    }
    assert_int_equal(n_query, count_params(route));
}

static void check_scope_of(const json_t *operation, const Route *route) {
    const json_t *security = json_object_get(operation, "security");
    assert_true(json_is_array(security));
    assert_int_equal(json_array_size(security), route->scope == SCOPE_NONE ? 0 : 1);
    if (route->scope == SCOPE_NONE)
        return;
    const json_t *scopes = json_object_get(json_array_get(security, 0), "token");
    assert_string_equal(json_string_value(json_array_get(scopes, 0)), scope_name(route->scope));
}

static void the_contract_and_the_routes_say_the_same(void **state) {
    (void)state;
    json_t *contract = json_loadb(ASSET_OPENAPI_JSON.at, ASSET_OPENAPI_JSON.size, 0, NULL);
    const json_t *paths = json_object_get(contract, "paths");
    size_t n_operations = 0;
    const char *path;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)paths, path, item)
        n_operations += json_object_size(item);
    assert_int_equal(n_operations, N_ROUTES); /* none that is not a route */
    for (size_t i = 0; i < N_ROUTES; i++) {
        const json_t *operation = operation_of(paths, &ROUTES[i]);
        if (!operation)
            fail_msg("openapi.json has no %s %s", ROUTES[i].method, ROUTES[i].pattern);
        check_params_of(operation, &ROUTES[i]);
        check_scope_of(operation, &ROUTES[i]);
    }
    json_decref(contract);
}

/* ---- replies ---- */

static const char *header_of(const Reply *reply, const char *name) {
    for (size_t i = 0; i < reply->n_headers; i++)
        if (strcmp(reply->headers[i].name, name) == 0)
            return reply->headers[i].value;
    return NULL;
}

static json_t *body_of(const Reply *reply) {
    json_t *body = json_loadb(reply->body.data, reply->body.size, 0, NULL);
    assert_non_null(body);
    return body;
}

static void a_problem_has_the_members_of_rfc_9457(void **state) {
    (void)state;
    Reply reply;
    reply_init(&reply, "urn:x");
    reply_input_error(&reply, "?limit", "a number from 1 to %d", 1000);
    reply_input_error(&reply, "?cursor", "not a cursor");
    reply_finish(&reply, NULL, NULL);
    assert_int_equal(reply.status, 400);
    assert_string_equal(header_of(&reply, "Content-Type"), "application/problem+json");
    assert_string_equal(header_of(&reply, "Cache-Control"), "no-store");
    json_t *body = body_of(&reply);
    static const char *const MEMBERS[] = {"type", "title", "detail", "instance", "code"};
    for (size_t i = 0; i < sizeof MEMBERS / sizeof *MEMBERS; i++)
        assert_true(json_is_string(json_object_get(body, MEMBERS[i])));
    assert_int_equal(json_integer_value(json_object_get(body, "status")), 400);
    assert_string_equal(json_string_value(json_object_get(body, "code")), "22023");
    json_t *errors = json_object_get(body, "errors");
    assert_int_equal(json_array_size(errors), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(errors, 0), "detail")),
                        "a number from 1 to 1000");
    json_decref(body);
    reply_done(&reply);
}

static void an_error_becomes_the_status_of_its_class(void **state) {
    (void)state;
    static const struct {
        const char *state;
        int status;
        const char *retry_after;
    } CASES[] = {{"08006", 503, "5"},  {"40001", 409, NULL}, {"22P02", 422, NULL}, {"57014", 409, NULL},
                 {"42P01", 500, NULL}, {"XX000", 500, NULL}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Error err = {0};
        error_set(&err, CASES[i].state, "secret inside");
        Reply reply;
        reply_init(&reply, "urn:x");
        reply_error(&reply, &err);
        assert_int_equal(reply.status, CASES[i].status);
        assert_int_equal(header_of(&reply, "Retry-After") != NULL, CASES[i].retry_after != NULL);
        json_t *body = body_of(&reply);
        assert_string_equal(json_string_value(json_object_get(body, "code")), CASES[i].state);
        bool shows = strstr(json_string_value(json_object_get(body, "detail")), "secret") != NULL;
        assert_int_equal(shows, strcmp(CASES[i].state, "XX000") != 0);
        json_decref(body);
        reply_done(&reply);
    }
}

static void an_unchanged_resource_is_not_sent_again(void **state) {
    (void)state;
    Reply reply;
    reply_init(&reply, "urn:x");
    reply_json(&reply, 200, json_pack("{s:i}", "a", 1));
    reply_finish(&reply, NULL, NULL);
    char etag[REPLY_ETAG_BYTES];
    strcpy(etag, header_of(&reply, "ETag"));
    reply_done(&reply);

    reply_init(&reply, "urn:x");
    reply_json(&reply, 200, json_pack("{s:i}", "a", 1));
    reply_finish(&reply, NULL, etag);
    assert_int_equal(reply.status, 304);
    assert_int_equal(reply.body.size, 0);
    reply_done(&reply);

    reply_init(&reply, "urn:x");
    reply_json(&reply, 200, json_pack("{s:i}", "a", 2));
    reply_finish(&reply, NULL, etag);
    assert_int_equal(reply.status, 200);
    reply_done(&reply);
}

static void large_answers_are_compressed_for_who_takes_it(void **state) {
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text);
    static const struct {
        const char *accept;
        size_t size;
        bool packed;
    } CASES[] = {{"gzip", 5000, true},     {"br, gzip;q=0.5", 5000, true}, {"gzip;q=0", 5000, false},
                 {NULL, 5000, false},      {"br", 5000, false},            {"gzip", 100, false}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Reply reply;
        reply_init(&reply, "urn:x");
        reply_text(&reply, 200, "text/plain", (Str){text, CASES[i].size});
        reply_finish(&reply, CASES[i].accept, NULL);
        assert_int_equal(header_of(&reply, "Content-Encoding") != NULL, CASES[i].packed);
        assert_int_equal(reply.body.size < CASES[i].size, CASES[i].packed);
        if (CASES[i].packed) {
            char back[6000];
            z_stream stream = {.next_in = (Bytef *)reply.body.data, .avail_in = (uInt)reply.body.size,
                               .next_out = (Bytef *)back, .avail_out = sizeof back};
            assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
            assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
            assert_int_equal(stream.total_out, 5000);
            assert_memory_equal(back, text, 5000);
            inflateEnd(&stream);
        }
        reply_done(&reply);
    }
}

/* ---- tokens ---- */

static AuthToken token(int64_t id, const char *text, unsigned scopes) {
    AuthToken made = {.id = id, .scopes = scopes};
    snprintf(made.name, sizeof made.name, "token-%d", (int)id);
    SHA256((const unsigned char *)text, strlen(text), made.sha256);
    return made;
}

static void only_a_known_token_is_let_in(void **state) {
    (void)state;
    Auth *auth = auth_open(10, 10);
    AuthToken tokens[] = {token(1, "abc", SCOPE_READ), token(2, "def", SCOPE_ADMIN)};
    auth_replace(auth, tokens, 2);
    const AuthToken *found = NULL;
    int after;
    assert_int_equal(auth_check(auth, "Bearer def", 1, &found, &after), AUTH_OK);
    assert_int_equal(found->id, 2);
    assert_int_equal(auth_check(auth, "bearer abc", 1, &found, &after), AUTH_OK);
    assert_int_equal(found->id, 1);
    assert_int_equal(auth_check(auth, NULL, 1, &found, &after), AUTH_NO_TOKEN);
    assert_int_equal(auth_check(auth, "Basic abc", 1, &found, &after), AUTH_NO_TOKEN);
    static const char *const BAD[] = {"Bearer ", "Bearer ab", "Bearer abcd", "Bearer abc "};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_int_equal(auth_check(auth, BAD[i], 1, &found, &after), AUTH_BAD_TOKEN);
    auth_replace(auth, tokens, 1);
    assert_int_equal(auth_check(auth, "Bearer def", 1, &found, &after), AUTH_BAD_TOKEN);
    auth_free(auth);
}

static void a_token_that_asks_too_often_must_wait(void **state) {
    (void)state;
    Auth *auth = auth_open(2, 3);
    AuthToken tokens[] = {token(1, "abc", SCOPE_READ), token(2, "def", SCOPE_READ)};
    auth_replace(auth, tokens, 2);
    const AuthToken *found;
    int after = 0;
    for (int i = 0; i < 3; i++)
        assert_int_equal(auth_check(auth, "Bearer abc", 1000, &found, &after), AUTH_OK);
    assert_int_equal(auth_check(auth, "Bearer abc", 1000, &found, &after), AUTH_LIMITED);
    assert_int_equal(after, 1);
    assert_int_equal(auth_check(auth, "Bearer def", 1000, &found, &after), AUTH_OK);
    auth_replace(auth, tokens, 2); /* a refresh fills no bucket */
    assert_int_equal(auth_check(auth, "Bearer abc", 1000, &found, &after), AUTH_LIMITED);
    assert_int_equal(auth_check(auth, "Bearer abc", 501001, &found, &after), AUTH_OK);
    auth_free(auth);
}

/* ---- pages ---- */

static Call call_with(Arena *arena, const char *target, const Route *route) {
    Call call = {.arena = arena, .route = route};
    assert_null(uri_parse(arena, target, &call.uri));
    reply_init(&call.reply, "urn:x");
    return call;
}

static void a_cursor_gives_back_its_key_on_its_own_route_only(void **state) {
    (void)state;
    static const char *const KEYS[] = {"1", "42", "hospital_a.patients", "a\037b", "Ünal", "xyz"};
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Call call = call_with(arena, "/", &ROUTES[8]), other = call_with(arena, "/", &ROUTES[9]);
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        const char *cursor = page_cursor(&call, KEYS[i]);
        assert_int_equal(strspn(cursor, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
                         strlen(cursor));
        assert_string_equal(page_key(&call, cursor), KEYS[i]);
        assert_null(page_key(&other, cursor));
    }
    static const char *const BAD[] = {"", "x", "!!!", "AAAA", "MTIzNDU2Nzg6"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_null(page_key(&call, BAD[i]));
    reply_done(&call.reply);
    reply_done(&other.reply);
}

static void a_page_has_1_to_1000_items_100_by_default(void **state) {
    (void)state;
    static const struct {
        const char *target;
        int limit; /* 0: refused */
    } CASES[] = {{"/", 100}, {"/?limit=1", 1}, {"/?limit=1000", 1000}, {"/?limit=0", 0},
                 {"/?limit=1001", 0}, {"/?limit=-1", 0}, {"/?limit=ten", 0}, {"/?limit=", 0},
                 {"/?cursor=abc", 0}};
    CLEANUP(arena_drop) Arena *arena = arena_open();
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Call call = call_with(arena, CASES[i].target, &ROUTES[8]);
        Page page = {0};
        assert_int_equal(page_read(&call, &page), CASES[i].limit > 0);
        assert_int_equal(page.limit, CASES[i].limit);
        assert_int_equal(call.reply.status, CASES[i].limit ? 500 : 400);
        reply_done(&call.reply);
    }
}

/* ---- keys ---- */

static void the_same_key_repeats_the_answer_another_body_is_refused(void **state) {
    (void)state;
    Idempotency *store = idempotency_open();
    uint8_t one[IDEMPOTENCY_PRINT_BYTES], two[IDEMPOTENCY_PRINT_BYTES];
    idempotency_print("POST", "/a", STR("{}"), one);
    idempotency_print("POST", "/a", STR("{ }"), two);
    IdempotentAnswer answer;
    assert_int_equal(idempotency_begin(store, 1, "k", one, 1, &answer), IDEMPOTENCY_NEW);
    assert_int_equal(idempotency_begin(store, 1, "k", one, 1, &answer), IDEMPOTENCY_BUSY);
    idempotency_finish(store, 1, "k", &(IdempotentAnswer){202, "/v1/runs/7", STR("body"), "x/y"});
    assert_int_equal(idempotency_begin(store, 1, "k", one, 1, &answer), IDEMPOTENCY_SAME);
    assert_int_equal(answer.status, 202);
    assert_string_equal(answer.location, "/v1/runs/7");
    assert_str(answer.body, "body");
    assert_int_equal(idempotency_begin(store, 1, "k", two, 1, &answer), IDEMPOTENCY_DIFFERENT);
    assert_int_equal(idempotency_begin(store, 2, "k", two, 1, &answer), IDEMPOTENCY_NEW);
    idempotency_forget(store, 2, "k");
    assert_int_equal(idempotency_begin(store, 2, "k", one, 1, &answer), IDEMPOTENCY_NEW);
    int64_t a_day_later = 24LL * 3600 * 1000000 + 2;
    assert_int_equal(idempotency_begin(store, 1, "k", two, a_day_later, &answer), IDEMPOTENCY_NEW);
    idempotency_free(store);
}

/* ---- the trail ---- */

static void requests_without_a_token_are_one_line_a_minute(void **state) {
    (void)state;
    static const AuditLine LINE = {.actor = "a", .action = "b", .object = "c", .outcome = "done"};
    static const int64_t MINUTE_US = 60000000;
    Trail *trail = trail_open();
    trail_tick(trail, MINUTE_US);
    assert_int_equal(trail_add(trail, &LINE), 1); /* nobody came: no line */
    trail_count_anonymous(trail);
    trail_count_anonymous(trail);
    trail_tick(trail, 2 * MINUTE_US - 1);
    assert_int_equal(trail_add(trail, &LINE), 2);
    trail_tick(trail, 2 * MINUTE_US);
    assert_int_equal(trail_add(trail, &LINE), 4);
    trail_count_anonymous(trail);
    trail_tick(trail, 2 * MINUTE_US + 1);
    assert_int_equal(trail_add(trail, &LINE), 5);
    trail_tick(trail, INT64_MAX); /* the end: what was counted is not lost */
    assert_int_equal(trail_add(trail, &LINE), 7);
    trail_free(trail);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_is_taken_apart_and_decoded),
        cmocka_unit_test(targets_that_hide_something_are_refused),
        cmocka_unit_test(a_members_mistake_is_told_whatever_its_length),
        cmocka_unit_test(a_route_is_found_by_method_and_path),
        cmocka_unit_test(the_contract_and_the_routes_say_the_same),
        cmocka_unit_test(a_problem_has_the_members_of_rfc_9457),
        cmocka_unit_test(an_error_becomes_the_status_of_its_class),
        cmocka_unit_test(an_unchanged_resource_is_not_sent_again),
        cmocka_unit_test(large_answers_are_compressed_for_who_takes_it),
        cmocka_unit_test(only_a_known_token_is_let_in),
        cmocka_unit_test(a_token_that_asks_too_often_must_wait),
        cmocka_unit_test(a_cursor_gives_back_its_key_on_its_own_route_only),
        cmocka_unit_test(a_page_has_1_to_1000_items_100_by_default),
        cmocka_unit_test(requests_without_a_token_are_one_line_a_minute),
        cmocka_unit_test(the_same_key_repeats_the_answer_another_body_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
