/* settle.h - a settle of a run; what it would do, for its own plan and for that of a publication, which settles first. */
#pragma once
#include "steps/steps.h"
#include "storage/settle.h"

SettleOptions settle_options(const RunContext *run);
/* Into the run's counts, and whether there was something to settle. */
void settle_count(RunContext *run, const SettleOutcome *outcome);
/* Counts, undoes all; `look`, unless NULL, sees the settled rows meanwhile. */
bool settle_plan(RunContext *run, SettleLook look, Error *err);
