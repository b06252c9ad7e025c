/* hold.c - see hold.h. */
#include "storage/hold.h"

#include "base/own.h"
#include "sql.h"
#include "storage/audit.h"

#include <stdio.h>

enum { OBJECT_BYTES = 32, DETAILS_BYTES = 64 };

/* Which hold, and of what kind: never of whom. */
static bool note(Pg *tx, const char *action, int64_t id, const char *kind, const char *actor, const char *request_id,
                 Error *err) {
    char object[OBJECT_BYTES], details[DETAILS_BYTES];
    snprintf(object, sizeof object, "hold %lld", (long long)id);
    snprintf(details, sizeof details, "{\"kind\":\"%.16s\"}", kind);
    return audit_write(tx, &(AuditLine){.actor = actor, .action = action, .object = object, .request_id = request_id,
                                        .outcome = "done", .details = *kind ? details : NULL}, err);
}

bool hold_set(Pg *pg, const HoldOrder *order, int64_t *ret_id, Error *err) {
    *ret_id = 0;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx);
    CLEANUP(pg_result_drop) PgResult *row =
        pg_query(tx, SQL_HOLD_SET, PG_PARAMS(order->kind, order->object, order->reason, order->actor), err);
    TRY(row);
    if (pg_rows(row) == 0)
        return true;
    int64_t id = pg_int(row, 0, 0);
    if (strcmp(order->kind, "person") == 0)
        TRY(pg_exec(tx, SQL_HOLD_MEMBERS, PG_PARAMS(pg_number(id).text, order->object), NULL, err));
    TRY(note(tx, "hold.set", id, order->kind, order->actor, order->request_id, err) && pg_commit(&tx, PG_FLUSHED, err));
    *ret_id = id;
    return true;
}

static bool exists(Pg *pg, int64_t id, bool *ret_exists, Error *err) {
    CLEANUP(pg_result_drop) PgResult *row = pg_query(pg, SQL_HOLD_EXISTS, PG_PARAMS(pg_number(id).text), err);
    TRY(row);
    *ret_exists = pg_bool(row, 0, 0);
    return true;
}

bool hold_release(Pg *pg, int64_t id, const char *actor, const char *request_id, HoldRelease *ret_outcome, Error *err) {
    int64_t n;
    bool is_known;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx && pg_exec(tx, SQL_HOLD_RELEASE, PG_PARAMS(pg_number(id).text, actor), &n, err) && exists(tx, id, &is_known, err));
    *ret_outcome = n > 0 ? HOLD_RELEASED : is_known ? HOLD_RELEASED_BEFORE : HOLD_UNKNOWN;
    return n == 0 || (note(tx, "hold.release", id, "", actor, request_id, err) && pg_commit(&tx, PG_FLUSHED, err));
}
