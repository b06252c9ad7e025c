/* config_query.h - `query:` of a feed: is it one SELECT that reads, and nothing else?
 *
 * The query stands as a derived table in every statement that reads the feed. It is the site's own text and the
 * account may only read, so this guards against mistakes, not against attackers: two statements, a comment that
 * swallows what follows, a row lock in the hospital's database, an answer that is another one at every read. */
#pragma once
#include "config_mistake.h"

/* Adds a mistake at `mark` for each thing that must not be. */
void query_check(Mistakes *mistakes, Mark mark, const char *query);
