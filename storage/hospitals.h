/* hospitals.h - which sources there are, were, and what they are called: ops.source against the configuration.
 *
 * A source that leaves the configuration is retired: its jobs are nobody's any more, its rows stay, and
 * when it comes back it goes on where it stood. One that is renamed keeps everything but its name; nobody can read
 * under the old name by mistake, for then one hospital's history would go two ways. */
#pragma once
#include "storage/pg.h"

typedef struct Hospital {
    const char *name, *timezone;
    const char *renamed_from; /* NULL: it always had this name */
} Hospital;

typedef struct RetiredHospital {
    const char *name;
    int64_t retired_us; /* since 1970 */
} RetiredHospital;

/* Renames, registers and retires in one transaction, and frees the jobs of this owner that are not among `jobs`.
 * No run of this daemon's may be under way. False with class 42 or F0 when a name cannot be had, 55 when
 * another daemon reads what is to be renamed. */
bool hospitals_take(Pg *pg, const char *owner, const Hospital *hospitals, size_t n, const char *const *jobs,
                    size_t n_jobs, Error *err);
bool hospitals_retired(Pg *pg, Arena *arena, RetiredHospital **ret_retired, size_t *ret_n, Error *err);
