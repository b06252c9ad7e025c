/* doctor.h - checks everything a run needs, and says how to mend it.
 *
 * One line each: "ok", "mind" (it works, but less well or less safely than it could) or "BAD" (a run will fail), with the
 * mend beneath. Writes nothing anywhere. Blocking; for the command line. */
#pragma once
#include "config.h"

/* True when nothing is bad. */
bool doctor_run(const Config *config, FILE *out);
