/* table_pages.h - the pages of a table in key order, for ahead.h: each a short statement taken whole.
 *
 * The session to the source is the thread's while the Ahead is open; another may ask between two pages, holding its
 * mutex. */
#pragma once
#include "steps/ahead.h"
#include "storage/source.h"

#include <pthread.h>

typedef struct TablePage {
    MyPage read;
    RawRows rows;
    Str *last_key; /* of its last row; NULL: it has none */
} TablePage;

/* Must outlive the Ahead, with what it names. */
typedef struct TablePages {
    My *my;
    pthread_mutex_t *my_mutex; /* held while `my` is used */
    const SourceTable *table;
    SourceLimits limits;
    const Str *after_key; /* where the next page begins; NULL: at the start */
    int64_t source_now_us;
    bool is_first_load;
} TablePages;

/* AheadReader's, with a TablePages; `read` is a TablePage. */
bool table_pages_read(void *pages, AheadPage *page, Error *err);
