/* audit.c - see audit.h. */
#include "storage/audit.h"

#include "sql.h"

bool audit_write(Pg *pg, const AuditLine *line, Error *err) {
    return pg_exec(pg, SQL_AUDIT_WRITE,
                   PG_PARAMS(line->actor, line->action, line->object, line->request_id, line->outcome,
                             line->details ? line->details : "{}"),
                   NULL, err);
}
