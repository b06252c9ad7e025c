/* put_back.h - files that have ended and are to be read again (POST /v1/files/{id}/replay).
 *
 * Each goes back from done/ or failed/ to where it waited, by its name and with its row of the ledger, and is `seen` once
 * more. Moved under a lock of that row by who has the lease; a crash in between leaves the file where it waits and the
 * request in the ledger. */
#pragma once
#include "steps/drop.h"
#include "steps/steps.h"

/* Of the run's feed, those that were asked for by now. A plan puts none back. */
bool put_back_asked(RunContext *run, const Drop *drop, Error *err);
