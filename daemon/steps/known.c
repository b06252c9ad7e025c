/* known.c - see known.h. */
#include "steps/known.h"

/* The newest publication in BigQuery, as this database sees it. */
typedef struct Newest {
    int64_t id;             /* 0: none */
    bool is_ours, is_known; /* by its epoch; by its id */
} Newest;

static bool look_at_newest(Pg *pg, StarTarget *target, Newest *ret_newest, Error *err) {
    const char *epoch;
    Newest newest;
    TRY(star_newest(target, &newest.id, &epoch, err));
    newest.is_ours = strcmp(epoch, target->epoch) == 0;
    TRY(publication_is_known(pg, newest.id, &newest.is_known, err));
    *ret_newest = newest;
    return true;
}

static bool raise_sequences(Pg *pg, StarTarget *target, Error *err) {
    SequencePosition *positions;
    int n;
    TRY(star_sequences(target, &positions, &n, err));
    return publication_raise_sequences(pg, positions, n, err);
}

/* A publication of our epoch that we do not know: this is a restored copy. Its epoch ends here, lest the
 * database it was copied from goes on as if it were this one. */
static bool begin_anew(Pg *pg, StarTarget *target, const Newest *newest, Error *err) {
    if (newest->id != 0 && newest->is_ours && !newest->is_known)
        TRY(publication_begin_epoch(pg, target->arena, &target->epoch, err));
    return publication_start_above(pg, newest->id, err);
}

static bool hold_unknown(Pg *pg, const Newest *newest, Error *err) {
    bool has_published;
    TRY(publication_has_published(pg, &has_published, err));
    if (newest->id == 0)
        return !has_published || publication_hold(pg, "BigQuery has lost what this database published", err);
    if (!newest->is_ours)
        return publication_hold(pg, "the tables in BigQuery were published by another database, or before a restore",
                                err);
    return newest->is_known ||
           publication_hold(pg, "BigQuery holds a publication that this database does not know", err);
}

bool known_check(Pg *pg, StarTarget *target, Error *err) {
    Newest newest;
    TRY(look_at_newest(pg, target, &newest, err));
    if (newest.id != 0 && (target->may_replace || !newest.is_ours || !newest.is_known))
        TRY(raise_sequences(pg, target, err));
    return target->may_replace ? begin_anew(pg, target, &newest, err) : hold_unknown(pg, &newest, err);
}
