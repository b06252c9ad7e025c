/* command.h - commands that need no loop: each does its work and ends with an exit code (options.h).
 *
 * Blocking, on the main thread, before any worker. What goes wrong is said on stderr. `publish` and `reconcile`
 * are runs of the daemon's own machinery, and main.c's. */
#pragma once
#include "config.h"
#include "options.h"
#include "run.h"

int command_doctor(const Options *options, Config *config);
int command_migrate(const Options *options, Config *config);
/* `plan [JOB]`: what the next run of each would do. Takes no lease: a daemon may run meanwhile. */
int command_plan(const Options *options, Config *config);
/* `token add NAME --scope read,operate`: the token stands alone on the last line, and nowhere else. */
int command_token(const Options *options, Config *config);
/* `verify [SEAL:HMAC]`: done when all is whole, failed when it is not or could not be looked at. */
int command_verify(const Options *options, Config *config);

/* Why a run failed, on stdout; nothing of one that did not. */
void command_print_failure(const Run *run);
