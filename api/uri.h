/* uri.h - the target of a request, taken apart strictly.
 *
 * Works on the raw, still encoded text: a NUL, a control byte, a slash or a dot segment that hides
 * behind percent signs is refused here, before anything compares paths (RFC 3986, sections 2.1,
 * 3.3, 6.2.2.3). Only the origin form "/path?query" is known. Pure; any thread. */
#pragma once
#include "base/arena.h"

enum { URI_SEGMENTS_MAX = 8, URI_PARAMS_MAX = 16 };

typedef struct UriParam {
    Str name, value; /* decoded */
} UriParam;

typedef struct Uri {
    Str segments[URI_SEGMENTS_MAX]; /* decoded; "/" alone has one, empty */
    size_t n_segments;
    UriParam params[URI_PARAMS_MAX]; /* each name at most once */
    size_t n_params;
} Uri;

/* NULL when `target` is fine and *ret_uri is written; else a sentence without any of the text. */
const char *uri_parse(Arena *arena, const char *target, Uri *ret_uri);
/* STR_NULL when there is no such parameter. */
Str uri_param(const Uri *uri, const char *name);
