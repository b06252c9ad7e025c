/* kpis.c - /v1/kpis: the figures, with numerator, denominator and definition version, or what is missing. */
#include "api/resources.h"
#include "api/stored.h"
#include "base/own.h"

bool kpis_list(Call *call, struct Pg *pg, Error *err) {
    return stored_list(call, pg, REPORT_KPIS, (const char *const[3]){NULL}, err);
}

static bool date_param(Call *call, const char *name, const char **ret_date) {
    *ret_date = call_param(call, name);
    return !*ret_date || call_is_date(*ret_date) ||
           reply_input_error(&call->reply, arena_printf(call->arena, "?%s", name),
                             "must be a date like 2026-01-31");
}

bool kpis_get(Call *call, struct Pg *pg, Error *err) {
    const char *as_of, *from, *to, *name = call_segment(call, 0);
    bool fine = date_param(call, "as_of", &as_of);
    fine = date_param(call, "from", &from) && fine;
    fine = date_param(call, "to", &to) && fine;
    if (!fine)
        return true;
    CLEANUP(buf_done) Buf items;
    buf_init(&items, REPLY_MAX_BYTES);
    bool found;
    const char *answered_for;
    TRY(report_kpi(pg, name, as_of, from, to, call->arena, &items, &answered_for, &found, err));
    if (!found) {
        reply_problem(&call->reply, 404, "there is no such figure");
        return true;
    }
    json_t *figures = json_loadb(items.data, items.size, JSON_DECODE_ANY, NULL);
    if (!figures)
        return error_set(err, STATE_RESOURCES, "the figure's rows are more than an answer may hold");
    reply_json(&call->reply, 200,
               json_pack("{s:s, s:o, s:o}", "kpi", name, "as_of",
                         json_text(answered_for ? answered_for : as_of), "items", figures));
    return true;
}
