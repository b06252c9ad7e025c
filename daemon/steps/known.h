/* known.h - whether this database may publish over what BigQuery holds.
 *
 * The newest publication and epoch there must be known here (rules, section 8): a restored PostgreSQL gives
 * old surrogates to other people. One question before each publication, begun or unfinished. What BigQuery
 * has seen is not drawn again from the moment this is found, even before the rebuild. */
#pragma once
#include "storage/star_apply.h"

/* True: go on. Class F0H, with the ledger's row `held` and its alert, when a person must decide. With
 * `target->may_replace`, a rebuild: keys and publications start above what BigQuery has seen, and a restored
 * copy becomes another database: target->epoch changes. */
bool known_check(Pg *pg, StarTarget *target, Error *err);
