/* place_write.h - what a page writes: its rows, and what its batch leaves in the ledgers.
 *
 * In this order, for each needs what the one before it set: the batch's number, the members' keys, bronze, silver,
 * quarantine, ledgers. */
#pragma once
#include "steps/placing.h"

bool placing_draw_batch(Placing *placing, Error *err);
/* The keys of the members that rows name. A member that nobody named before is made, or fails the page. */
bool placing_make_members(Placing *placing, Error *err);
bool placing_find_members(Placing *placing, Error *err);
bool placing_write_bronze(Placing *placing, Error *err);
bool placing_write_silver(Placing *placing, Error *err);
bool placing_write_quarantine(Placing *placing, Error *err);
/* The batch with its counts, what its rules found, and its line of the audit trail. */
bool placing_write_ledgers(Placing *placing, Error *err);

/* What is written though no row is news. */
/* Entries of quarantine that earlier readings of the file made, before it is looked up what quarantine holds. */
bool placing_withdraw_entries(Placing *placing, Error *err);
/* Which entries of the page's claims count. Of a file that is read anew also where no row is news: its period, or when its sets
 * were made, may be another now. */
bool placing_decide_entries(Placing *placing, Error *err);
bool placing_count_file(Placing *placing, Error *err);
bool placing_take_spellings(Placing *placing, Error *err);
