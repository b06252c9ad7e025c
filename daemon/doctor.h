/* doctor.h - checks everything a run needs, and says how to mend it.
 *
 * One line each, as finding.h says: "ok", "mind" or "BAD", with the
 * mend beneath. Writes nothing anywhere. Blocking; for the command line. */
#pragma once
#include "config.h"

/* True when nothing is bad. */
bool doctor_run(const Config *config, FILE *out);
