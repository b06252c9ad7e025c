/* failpoint.h - named places where a test kills or stops the process.
 *
 * Compiled in with -Dfailpoints=true only; otherwise FAILPOINT() is nothing. The environment says
 * which one fires: REVCYCLED_FAILPOINT="page.before_commit" (first pass) or "page.before_commit:3"
 * (third pass). It kills with SIGKILL: no cleanup runs, as when the machine goes.
 * "name:stop" or "name:3:stop" stops the process there with SIGSTOP, until it is told to go on.
 * "name:error" or "name:3:error" makes failpoint_fails() return true there instead. */
#pragma once
#include <stdbool.h>

#ifdef REVCYCLED_FAILPOINTS
void failpoint_pass(const char *name);
bool failpoint_fails(const char *name);
#define FAILPOINT(name) failpoint_pass(name)
#else
#define FAILPOINT(name) ((void)0)
#endif
