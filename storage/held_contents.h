/* held_contents.h - what quarantine holds of rows of claims files that have no id: an entry for every file and content, of which
 * one a content counts. In the caller's transaction.
 *
 * A content is what such a row is known by. Its file's first line that says it has the entry; further lines of the file add
 * none: the entry tells how many they are (`further`) and which the first ones are (`further_lines`). Its own line begins that
 * anew when the file is read anew, and every page adds what it says, so that what a page writes is bounded, whatever the file
 * says. Of a content's entries the last counts, by the period of its file (without one is before all), and of one period by
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

/* How many lines an entry names besides its own. */
enum { HELD_LINES_MOST = 100 };

/* Of a row that becomes an entry: how many others of its page say the same, and the lines of the first as an array literal, or
 * NULL: none. Both live with it. */
typedef struct HeldFurther {
    PgNumber n;
    Buf lines;
    const char *text;
} HeldFurther;
HeldFurther held_contents_further(const SilverRow *row, Error *err);
static inline void held_further_drop(HeldFurther *further) { buf_done(&further->lines); }

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
/* Of a page whose rows and entries are written; entries of pages before it are told of its further lines. */
bool held_contents_decide_page(Pg *pg, const char *feed, const SilverPage *page, Error *err);
