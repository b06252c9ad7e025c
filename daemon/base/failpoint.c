/* failpoint.c - see failpoint.h. */
#include "base/failpoint.h"

#ifdef REVCYCLED_FAILPOINTS
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* True on the pass that REVCYCLED_FAILPOINT names, if it asks for this kind: "", ":stop" or ":error". */
static bool fires(const char *name, const char *kind) {
    static atomic_int passes;
    const char *spec = getenv("REVCYCLED_FAILPOINT");
    size_t length = strlen(name);
    if (!spec || strncmp(spec, name, length) != 0 || (spec[length] && spec[length] != ':'))
        return false;
    const char *rest = spec + length;
    int wanted = 1;
    if (*rest == ':' && rest[1] >= '0' && rest[1] <= '9') {
        char *end;
        wanted = (int)strtol(rest + 1, &end, 10);
        rest = end;
    }
    if (strcmp(rest, kind) != 0)
        return false;
    return atomic_fetch_add(&passes, 1) + 1 == wanted;
}

void failpoint_pass(const char *name) {
    if (fires(name, ""))
        raise(SIGKILL);
    if (fires(name, ":stop"))
        raise(SIGSTOP);
}

bool failpoint_fails(const char *name) { return fires(name, ":error"); }
#endif
