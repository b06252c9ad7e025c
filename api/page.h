/* page.h - ?limit= and ?cursor= of lists.
 *
 * A cursor is the key of the last item shown, bound to its route and wrapped so that nobody builds
 * on its inside: the next page begins after that key, whatever was inserted meanwhile. */
#pragma once
#include "api/call.h"

enum { PAGE_LIMIT_DEFAULT = 100, PAGE_LIMIT_MAX = 1000 };

typedef struct Page {
    int limit;
    const char *after; /* key of the last item seen; NULL: from the start */
} Page;

/* False when a parameter is wrong; the reply says which. */
bool page_read(Call *call, Page *ret_page);
/* Of the call's arena. */
const char *page_cursor(Call *call, const char *key);
/* The key within a cursor of the same route, NULL when it is none. */
const char *page_key(Call *call, const char *cursor);
