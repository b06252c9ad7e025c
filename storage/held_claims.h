/* held_claims.h - what quarantine holds of claims: an entry for every unusable row of a file that has an id, of which one a claim
 * counts (transform/holding.h); of rows without an id see held_contents.h. In the caller's transaction.
 *
 * An entry that counts is open, or dismissed where a person dismissed its content; all others are superseded. */
#pragma once
#include "storage/silver.h"

/* Fills `held`: of a file that is read anew of rows that an earlier reading held at their very place, and of rows without an id
 * that repeat an earlier one of their file. */
bool held_claims_look_up(Pg *pg, const char *feed, SilverPage *page, Error *err);
/* Of such a file, before anything that was held of it ends: feeds that read it before, where it failed, place no page until the
 * transaction ends, for what they hold is decided by it. */
bool held_claims_lock_former(Pg *pg, const char *feed, const SilverPage *page, Error *err);
/* Entries of the page's lines that said something else until now: they are not of their file any more. */
bool held_claims_withdraw(Pg *pg, const SilverPage *page, Error *err);
/* Once the page's rows and entries are written: which entries of its claims count, also of other feeds that read its
 * file before. A feed that holds none costs one look-up. */
bool held_claims_decide(Pg *pg, const char *feed, const SilverPage *page, Error *err);
/* The same of these claims, in any order. */
bool held_claims_decide_ids(Pg *pg, const char *feed, const char *source_system, const Str *ids, size_t n, Error *err);
/* Of these entries those that a person dismissed, or a reading of their file took back, since they were read; in the arena. */
bool held_claims_ceased(Pg *pg, const int64_t *entries, size_t n, Arena *arena, int64_t **ret_ceased, size_t *ret_n, Error *err);
