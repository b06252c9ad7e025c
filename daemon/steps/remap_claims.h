/* remap_claims.h - every delivery of a claims feed cleaned again from bronze, by today's mapping (rules, sections 2, 7).
 *
 * A claim's iterations are a function of its deliveries, so they are derived anew from what those say now, in their order:
 * content is corrected in place, iterations are made, joined and renumbered where status or amounts became others, keys
 * stay with their content. Deliveries that were held and are usable now take their place among them. No file is read. */
#pragma once
#include "steps/steps.h"

bool remap_claims(RunContext *run, Error *err);
/* The claims alone whose entries in quarantine a person asked for (quarantine_ask()). */
bool replay_claims(RunContext *run, Error *err);
/* When the newest mapping was not applied to what is there yet, or a replay did not come to its end; notes the mapping as
 * seen. */
bool remap_claims_if_due(RunContext *run, Error *err);
