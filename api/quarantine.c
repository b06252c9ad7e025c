/* quarantine.c - /v1/quarantine: how much is kept out and why; the raw row itself for who may see it. */
#include "api/resources.h"
#include "api/stored.h"

bool quarantine_counts(Call *call, struct Pg *pg, Error *err) {
    return stored_list(call, pg, REPORT_QUARANTINE, (const char *const[3]){"feed"}, err);
}

bool quarantine_get(Call *call, struct Pg *pg, Error *err) {
    call->reply.caching = REPLY_NO_STORE;
    return stored_item(call, pg, REPORT_QUARANTINED_ROW, err);
}
