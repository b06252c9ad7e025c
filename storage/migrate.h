/* migrate.h - the numbered SQL files of storage/sql/migrations, each applied once.
 *
 * In the order of their names, each in one transaction, under an advisory lock, by the owner's
 * connection. A file that was applied and differs now is an error: a landed migration never changes. */
#pragma once
#include "storage/pg.h"

/* Applies what is missing; `ret_applied` counts. */
bool migrate_apply(Pg *owner, int *ret_applied, Error *err);
/* True when everything is applied; false and an error with the mend when not. For the daemon's start,
 * with its own role. */
bool migrate_check(Pg *pg, Error *err);
