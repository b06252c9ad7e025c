/* fuzz_rows - any bytes as the body of POST /v1/claims, and as a request's target: no crash, rows or a problem with its
 * places that is JSON itself, and no byte outside the body.
 *
 * Built and run by scripts/fuzz. The first byte chooses the form; the second is one by which other targets choose. */
#include "api/rows.h"
#include "api/uri.h"
#include "base/own.h"

#include <stdlib.h>

static const char *CLAIM_ID[] = {"ClaimID"}, *STATUS[] = {"ClaimStatus", "Status"}, *OTHERS[] = {"claim_no", "Claim Number"};
static MapSpec COLUMNS[] = {{.column = "source_claim_id", .from = CLAIM_ID, .n_from = 1},
                            {.column = "claim_status", .from = STATUS, .n_from = 2}};
static const ColumnAlias ALIASES[] = {{"ClaimID", OTHERS, 2}};
enum { N_NAMES = 3 };

static void check_rows(const PostedRows *rows, Str body) {
    if (rows->n == 0)
        abort();
    for (size_t i = 0; i < rows->n * N_NAMES; i++)
        if (rows->values[i].size > body.size)
            abort();
}

static void check_problem(Reply *reply) {
    reply_finish(reply, NULL, NULL);
    HttpAnswer answer = reply_answer(reply);
    json_t *problem = json_loadb(answer.body.at, answer.body.size, JSON_REJECT_DUPLICATES, NULL);
    bool is_told = reply->status == 413 || json_array_size(json_object_get(problem, "errors")) > 0;
    if (reply->status < 400 || !is_told)
        abort();
    json_decref(problem);
}

static void parse_target(Arena *arena, Str text) {
    Uri uri;
    uri_parse(arena, arena_string(arena, text), &uri);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    ClaimsConfig claims = {.mapping = {.columns = COLUMNS, .n_columns = 2}, .aliases = ALIASES, .n_aliases = 1};
    Str body = {(const char *)data + 2, size - 2};
    PostedRows rows;
    Reply reply;
    reply_init(&reply, "urn:revcycled:request:1");
    if (rows_read(body, data[0] % 2 ? ROWS_LINES : ROWS_ARRAY, &claims, arena, &reply, &rows))
        check_rows(&rows, body);
    else
        check_problem(&reply);
    reply_done(&reply);
    parse_target(arena, body);
    return 0;
}
