/* rule_book.h - the rules in force, as the store keeps them (dq.rule): for settle, scores, and people who ask.
 *
 * Those built in stand there once for each entity of a source, changed where the configuration changes them; two rules of
 * one name for one entity are one, with both checks. Settle writes, in its transaction. */
#pragma once
#include "storage/pg.h"
#include "transform/rule_spec.h"

typedef struct RuleBook RuleBook;
/* In the arena. */
RuleBook *rule_book_make(Arena *arena, const RuleSpec *rules, size_t n_rules, Error *err);
/* Does the store have others? */
bool rule_book_differs(const RuleBook *book, Pg *pg, bool *ret_differs, Error *err);
/* Rules over several rows that the book has no more: subject and name of each. */
PgResult *rule_book_gone(const RuleBook *book, Pg *pg, Error *err);
/* Whether rows bear, or may come to bear, the flag of a rule over several rows: of the book, or of one that is gone. */
bool rule_book_marks_rows(const RuleBook *book, Pg *pg, bool *ret_marks, Error *err);
/* Whether the store has the rule as it is; before rule_book_write(). */
bool rule_book_knows(Pg *pg, const RuleSpec *rule, Arena *arena, bool *ret_knows, Error *err);
bool rule_book_write(const RuleBook *book, Pg *tx, Error *err);
