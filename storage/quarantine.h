/* quarantine.h - rows that could not be used, with their raw fields, rule and reason.
 *
 * One open entry per feed and id; a newer content of the row supersedes it. A row without an id is known
 * by its content alone: one open entry for that. Of claims every unusable row with an id is an entry, and of those without one
 * every content of a file; which of a claim's, or of a content's, is the open one follows from the order of its deliveries:
 * held_claims.h, held_contents.h. In the caller's transaction. */
#pragma once
#include "storage/silver.h"

/* PostgreSQL would not have the row (steps/refused.h), whatever our rules say of it. */
#define RULE_ROW_REFUSED "row_refused"

/* Fills `held` of the page's rows; a feed without entries costs one EXISTS. */
bool quarantine_look_up(Pg *pg, const char *feed, SilverPage *page, Error *err);
/* Cleaned again from bronze, before quarantine_write(): entries whose content is usable now become `replayed`, of those
 * that are held still rule and reason are today's. What was seen to is no longer `held` in the page.
 * `ret_n` counts the entries that changed. */
bool quarantine_again(Pg *pg, const char *feed, SilverPage *page, int64_t *ret_n, Error *err);
/* Rows of fate REJECTED become entries; entries of rows that are usable now are superseded. Which of a claim's counts is said
 * afterwards, by held_claims_decide(). */
bool quarantine_write(Pg *pg, const char *feed, const Field *columns, size_t n_columns,
                      const SilverPage *page, Error *err);

/* Of a file that is read anew, before quarantine_look_up(): entries of earlier readings that the page does not hold. */
bool quarantine_withdraw(Pg *pg, const char *feed, const SilverPage *page, int64_t *ret_n, Error *err);

/* What a person decides on. */
typedef struct QuarantineChoice {
    const char *feed, *rule, *file_id, *ids; /* texts, an array literal of entries; NULL: any */
    const char *never;                       /* an array literal of rules, for rows that no mapping makes usable */
} QuarantineChoice;
typedef struct QuarantineAsked {
    const char *feed;
    int64_t n;
} QuarantineAsked;
/* Open entries are noted to be cleaned again by a run of their feed; `ret_asked` in the arena, by feed. Rows kept out by
 * another row's id are not among them: that is decided at the source. Of claims the wish stands also when another entry of the
 * claim or content counts before it is done, or the entry's file does not say it any more. */
bool quarantine_ask(Pg *pg, const QuarantineChoice *choice, Arena *arena, QuarantineAsked **ret_asked, size_t *ret_n,
                    Error *err);
/* An open entry becomes `dismissed`: the row stays out until its content changes, of claims also where another file says the
 * same. `ret_state` is the one it is in now; NULL: there is no such entry. */
bool quarantine_dismiss(Pg *pg, int64_t entry, Arena *arena, const char **ret_state, Error *err);

/* Deliveries of claims, cleaned again one by one: `entries` has each row's entry, 0: none. The entry of a row that is
 * usable now ends `replayed`. Of a row that is not, an open one says why by today's mapping. */
bool quarantine_end(Pg *pg, const int64_t *entries, size_t n, Error *err);
bool quarantine_renew(Pg *pg, const SilverPage *page, const int64_t *entries, Error *err);
/* An entry for one row of the page; of a claim held_claims_decide() says afterwards whether it counts. */
bool quarantine_add(Pg *pg, const char *feed, const Field *columns, size_t n_columns, const SilverPage *page,
                    const SilverRow *row, Error *err);
