/* member.h - what a page's rows name of other tables, as far as place can see it (rules, section 3, step 6).
 *
 * Fills in the keys of patients, providers, departments, payers, procedures and diagnoses, a transaction's
 * payment status and age, and settle's flags, so that most facts need no second write. Payers, codes and
 * dates that nobody named before are made; a payer without a feed is called as its facts spell it. What
 * cannot be told yet, a patient that has not arrived, stays NULL: that is how settle knows which rows of a
 * batch it must look at (storage/sql/settle.sql).
 *
 * Members are remembered over the pages of a run (member_cache.h); only committed ones, and only those whose
 * key is the same on every day. A member that changes after it was remembered is put right by settle, which
 * looks at all facts of changed members; once a settle has done that, what was remembered before it is
 * forgotten. Names that were nobody's are not asked for again for some pages; whoever comes meanwhile is found by settle, as
 * a name is that nobody bears yet.
 * One Members belongs to one run; its threads take turns, also while one of them reads patients ahead. Not a resolver of facts' keys: gold joins for those. */
#pragma once
#include "storage/silver.h"

typedef struct Members Members;

Members *members_open(const Entity *entity, const char *source_system, int fiscal_year_start_month);
/* Many patients will be named, by a first load or a large file: they are read once, as many as can be remembered, some with
 * every page from the second on. Before its first page. */
void members_expect_many(Members *members);
void members_free(Members *members);

/* Whether there are patients to be read ahead, and no thread is reading some. Any thread, as the next. */
bool members_are_to_read(Members *members);
/* Reads some of them: for who has nothing else to do. In a transaction that holds the placement lock. */
bool members_read_ahead(Members *members, Pg *pg, Error *err);

typedef enum MembersWay {
    MEMBERS_MAKE,
    MEMBERS_KNOWN /* nothing may be made or learned: where that is due it is a conflict */
} MembersWay;
/* In the page's transaction, which holds the placement lock; `page->batch_id` is set. Works on rows of fate
 * NEW and CHANGED; how payers are spelled is learned from those of fate TOUCHED too. */
bool members_resolve(Members *members, Pg *pg, MembersWay way, SilverPage *page, Error *err);
