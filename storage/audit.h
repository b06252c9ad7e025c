/* audit.h - who did what, when: append-only lines in the writer's own transaction. `details` is a JSON
 * object without row values; NULLs are allowed for request_id and details. */
#pragma once
#include "storage/pg.h"

typedef struct AuditLine {
    const char *actor;  /* token name, "pipeline", "command line" */
    const char *action; /* "page.commit", "run.trigger", … */
    const char *object; /* feed, job, route */
    const char *request_id;
    const char *outcome; /* "done", "refused", … */
    const char *details;
} AuditLine;
bool audit_write(Pg *pg, const AuditLine *line, Error *err);
