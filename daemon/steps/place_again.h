/* place_again.h - fates of rows that do not come from the source as they are: gone from it, cleaned again from bronze,
 * or decided upon by the step that made their page. Steps in place of some of place_fate.h's. */
#pragma once
#include "steps/placing.h"

/* A page of ids. */
SilverPage *place_gone_page(const PlaceFeed *feed, const Str *ids, size_t n, Arena *arena);
/* After the look-up: what is here, or held, goes. */
bool placing_mark_gone(Placing *placing, Error *err);

/* Of `placing->again`. Ids are what rows are known by: a mapping that makes others of them describes other rows. */
bool placing_check_ids(Placing *placing, Error *err);
bool placing_look_up_again(Placing *placing, Error *err);
bool placing_clean_again(Placing *placing, Error *err);
/* Of rows that had no id and have one by now. */
bool placing_write_texts(Placing *placing, Error *err);
/* What quarantine holds of them is renewed or ends, though no row is news. */
bool placing_renew_entries(Placing *placing, Error *err);

/* Of `placing->work`. */
bool placing_decide_work(Placing *placing, Error *err);
