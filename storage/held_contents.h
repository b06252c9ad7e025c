/* held_contents.h - what quarantine holds of rows of claims files that have no id: an entry for every file and content, of which
 * one a content counts. In the caller's transaction.
 *
 * A content is what such a row is known by. Its file's first line that says it has the entry; further lines of the file add
 * none. Of a content's entries the last counts, by the period of its file (without one is before all), and of one period by
 * arrival: file, then line. That is a total order, so which counts is a function of the set; it is found in an index
 * (storage/sql/held_contents.sql), not by looking at all of them. As with claims that have an id, the one that counts is
 * open, or dismissed where a person dismissed the content; the others are superseded. What a remittance that was made
 * again has mended counts no more. */
#pragma once
#include "storage/silver.h"

/* Fills `held` of rows without an id: by their place in a file that is read anew, or as repeats of an earlier line. */
bool held_contents_look_up(Pg *pg, const char *feed, SilverPage *page, Error *err);
/* An earlier line of the row's file says the same, and has the entry. */
void held_contents_repeat(const SilverPage *page, SilverRow *row);

/* Contents whose entries changed: which of them counts is to be decided. */
typedef struct ContentList {
    Buf feeds, sources, hashes;
    size_t n;
} ContentList;
ContentList content_list_make(void);
void content_list_drop(ContentList *list);
void content_list_add(ContentList *list, Str feed, Str source_system, int64_t source_hash);
/* Rows of (feed, source_system, source_hash), the last NULL where an entry's row has an id; in either format. */
void content_list_add_rows(ContentList *list, const PgResult *rows);
/* Ends the list. */
bool held_contents_decide(Pg *pg, ContentList *list, Error *err);
/* Of a page whose rows and entries are written. */
bool held_contents_decide_page(Pg *pg, const char *feed, const SilverPage *page, Error *err);
