/* ledgers.c - /v1/publications, /v1/reconciliations, /v1/quality, /v1/rules: what went out, whether it arrived, how good
 * it was and by which rules. */
#include "api/resources.h"
#include "api/stored.h"

bool publications_list(Call *call, struct Pg *pg, Error *err) {
    return stored_list(call, pg, REPORT_PUBLICATIONS, (const char *const[3]){NULL}, err);
}

bool reconciliations_list(Call *call, struct Pg *pg, Error *err) {
    return stored_list(call, pg, REPORT_RECONCILIATIONS, (const char *const[3]){NULL}, err);
}

bool rules_list(Call *call, struct Pg *pg, Error *err) {
    return stored_list(call, pg, REPORT_RULES, (const char *const[3]){NULL}, err);
}

bool orphans_list(Call *call, struct Pg *pg, Error *err) {
    const char *state = call_param(call, "state");
    if (state && strcmp(state, "open") != 0 && strcmp(state, "resolved") != 0) {
        reply_input_error(&call->reply, "?state", "must be open or resolved");
        return true;
    }
    return stored_list(call, pg, REPORT_ORPHANS, (const char *const[3]){"entity", "orphan", "state"}, err);
}

bool quality_get(Call *call, struct Pg *pg, Error *err) {
    return stored_list(call, pg, REPORT_QUALITY, (const char *const[3]){NULL}, err);
}
