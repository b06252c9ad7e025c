/* refused.c - see refused.h. */
#include "steps/refused.h"

#include "base/own.h"
#include "storage/pg.h"

enum { REFUSED_MOST = 50 }; /* of a page; more than that is the mapping's fault or the store's */

typedef struct Search {
    PlaceFeed *feed;
    const RawRows *rows;
    Arena *arena;
    RawReject *rejects;
    size_t n;
} Search;

#define STATE_TOO_LARGE "54000"
enum { KEY_BYTES_MOST = 2000 }; /* a key that an index takes beside a feed and its source, however badly it compresses */

static bool is_too_large(const Error *why) { return strcmp(why->state, STATE_TOO_LARGE) == 0; }

bool refused_is_likely(const Error *why) {
    return is_too_large(why) || (error_class(why) == ERROR_DATA && strcmp(why->state, STATE_DATA) != 0);
}

const char *refused_reason(Arena *arena, const Error *why) {
    return arena_printf(arena, "PostgreSQL refuses what the row says (SQLSTATE %s)", why->state);
}

/* Of the lines that earlier readings of the file placed, those of the range. */
static FormerReading former_of(const Search *s, size_t first, size_t n) {
    FormerReading former = *s->rows->former;
    if (first > 0)
        former.first_line = s->rows->lines[first];
    if (first + n < s->rows->n_rows)
        former.end_line = s->rows->lines[first + n];
    return former;
}

/* Rolled back in any case. */
static bool try_range(const Search *s, size_t first, size_t n, Error *err) {
    FormerReading former;
    ArenaMark mark = arena_mark(s->arena);
    RawRows part = *s->rows;
    part.fields += first * s->feed->n_fields;
    part.lines += first;
    part.rejects = s->rejects + first;
    part.n_rows = n;
    if (part.former) {
        former = former_of(s, first, n);
        part.former = &former;
    }
    part.is_trial = true;
    PlaceOutcome outcome;
    bool ok = place_page(s->feed, &part, NULL, s->arena, &outcome, err);
    arena_rewind(s->arena, mark);
    return ok;
}

static bool reject_row(Search *s, size_t i, const Error *why, Error *err) {
    if (++s->n > REFUSED_MOST)
        return error_set(err, STATE_DATA, "PostgreSQL refuses more than %d rows of a page (SQLSTATE %s)", REFUSED_MOST,
                         why->state);
    const Str *fields = s->rows->fields + i * s->feed->n_fields;
    Str id = mapping_id(s->feed->mapping, fields, s->arena);
    bool is_key = !is_too_large(why) || id.size <= KEY_BYTES_MOST; /* else quarantine's index would not take it either */
    s->rejects[i] = (RawReject){RULE_ROW_REFUSED, refused_reason(s->arena, why), is_key ? id : STR_NULL};
    return true;
}

/* Halves, until one row is left: as deep as the page's rows have digits in base two. */
static bool search(Search *s, size_t first, size_t n, Error *err) {
    Error why = {0};
    if (try_range(s, first, n, &why))
        return true;
    if (!refused_is_likely(&why)) {
        *err = why;
        return false;
    }
    if (n == 1)
        return reject_row(s, first, &why, err);
    return search(s, first, n / 2, err) && search(s, first + n / 2, n - n / 2, err);
}

bool refused_find(PlaceFeed *feed, const RawRows *rows, const Error *why, Arena *page, RawReject **ret_rejects,
                  Error *err) {
    Search s = {.feed = feed, .rows = rows, .arena = page, .rejects = ARENA_ARRAY(page, RawReject, rows->n_rows)};
    if (rows->rejects)
        memcpy(s.rejects, rows->rejects, rows->n_rows * sizeof *s.rejects);
    TRY(search(&s, 0, rows->n_rows, err));
    if (s.n == 0 && is_too_large(why))
        return error_set(err, STATE_DATA, "PostgreSQL refuses a page of rows as too large (SQLSTATE %s)", why->state);
    if (s.n == 0) {
        *err = *why;
        return false;
    }
    *ret_rejects = s.rejects;
    return true;
}
