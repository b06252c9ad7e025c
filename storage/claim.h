/* claim.h - claims in silver: one row per iteration, and the deliveries that do not show.
 *
 * The order: claim_look_up() asks whether anything may be stored of the page's claims, the caller cleans every row,
 * claim_decide() reads what is stored, claim by claim, derives the iterations (transform/iteration.h) and gives each row its
 * fate, claim_write() writes the difference. A claim never seen before, the common case, goes by COPY alone. A page holds
 * what it changes and one claim's deliveries, however many are stored of its claims.
 * Fates: NEW is the first of a claim, CHANGED an iteration more or a corrected one, TOUCHED a delivery that is
 * remembered but does not show, ABSORBED the same with a text its neighbour has already, SAME one that
 * is stored already.
 * The page needs file_id, period and sha256, and rows their line. In the caller's transaction. */
#pragma once
#include "storage/silver.h"

bool claim_look_up(Pg *pg, SilverPage *page, Error *err);
enum {
    CLAIM_CROWD = 20000, /* deliveries that may be stored of a page's claims, and more where that is no more a claim than: */
    CLAIM_CROWD_MEAN = 1000,
    CLAIM_CROWD_ROWS = 4, /* or where the page has fewer rows a claim: who sends all claims every day has a thousand in 3 years */
    CLAIM_DELIVERIES_MOST = 50000 /* of one claim among any */
};
/* Rows with a reject_rule, and those already ROW_SAME, are passed over. An error of the data where the page would add to claims
 * of which more is stored than can be: its file fails with that sentence, for what is read of it all is no claim's id. */
bool claim_decide(Pg *pg, SilverPage *page, Error *err);
/* Instead of claim_decide(), for rows cleaned once more from their text (`files` of the page say whose they are): those
 * of deliveries that are stored give them their content of now, the others are new. What is stored and has no row here
 * stays. Of rows whose deliveries were stored when they were read (`was_stored`, one per row) and are so no more
 * `ret_gone` is true, and they are passed over. Without news all is as it was, there is nothing to write. */
bool claim_decide_again(Pg *pg, SilverPage *page, const bool *was_stored, bool *ret_gone, bool *ret_has_news, Error *err);
bool claim_write(Pg *pg, SilverPage *page, Error *err);
