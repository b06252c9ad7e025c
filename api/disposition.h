/* disposition.h - the file name of a Content-Disposition header (RFC 6266, RFC 8187).
 *
 * A name may tell of a patient, so an upload's stands in a header and not in its URL. Pure; any thread. */
#pragma once
#include "base/arena.h"

/* `filename*` goes before `filename`. STR_NULL: the header has none, or is not to be read. */
Str disposition_filename(Arena *arena, const char *header);
