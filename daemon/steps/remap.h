/* remap.h - everything cleaned again from bronze, by today's mapping (rules, section 2).
 *
 * Asked for, or due because the mapping is another than the last time: extract does it before anything else. The
 * hospital is not asked. Idempotent: a run that was cut begins again, and what is right already changes nothing. */
#pragma once
#include "steps/steps.h"

bool remap(RunContext *run, Error *err);
/* Of what quarantine holds, the entries that a person asked for (quarantine_ask()), and nothing else. */
bool replay(RunContext *run, Error *err);
/* When the newest mapping was not applied to what is there yet; else the replay that was asked for and did not come to its
 * end. `is_new`: a plan's, the mapping is not written down yet. */
bool remap_if_due(RunContext *run, bool is_new, Error *err);
