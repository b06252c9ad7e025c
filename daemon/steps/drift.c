/* drift.c - see drift.h. */
#include "steps/drift.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"

#include <stdio.h>

static const char *join(Arena *arena, const char *const *names, size_t n) {
    const char *joined = "";
    for (size_t i = 0; i < n; i++)
        joined = arena_printf(arena, "%s%s%s", joined, i ? ", " : "", names[i]);
    return joined;
}

/* Columns without which no row can be made: mapped, of the key, the cursor. */
static const char *const *needed_by(const FeedConfig *feed, Arena *arena, size_t *ret_n) {
    size_t n = 0, n_max = feed->n_key + 1;
    for (size_t i = 0; i < feed->mapping.n_columns; i++)
        n_max += feed->mapping.columns[i].n_from;
    const char **needed = ARENA_ARRAY(arena, const char *, n_max);
    for (size_t i = 0; i < feed->mapping.n_columns; i++)
        for (size_t j = 0; j < feed->mapping.columns[i].n_from; j++)
            needed[n++] = feed->mapping.columns[i].from[j];
    for (size_t i = 0; i < feed->n_key; i++)
        needed[n++] = feed->key[i];
    if (feed->cursor)
        needed[n++] = feed->cursor;
    *ret_n = n;
    return needed;
}

static bool is_among(const DriftEvent *event, const DriftEvent *events, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (feed_drift_is_same(event, &events[i]))
            return true;
    return false;
}

/* ---- telling ---- */

static void raise_alarm(RunContext *run, const DriftEvent *event) {
    const char *kind = drift_kind_name(event->kind), *state = drift_state_name(event->state);
    LOG_WARN("the table of a feed changed", LOG_TEXT("alert", "schema_drift"), LOG_TEXT("feed", run->feed->name),
             LOG_TEXT("kind", kind), LOG_TEXT("state", state), LOG_TEXT("drift", event->sentence),
             LOG_INT("run", run->run_id));
    METRIC_ADD(METRIC_FEED_DRIFT, 1, run->feed->name, kind, state);
    size_t used = strlen(run->note);
    snprintf(run->note + used, sizeof run->note - used, "%s%s", used ? "; " : "", event->sentence);
    for (size_t end = sizeof run->note - 1; run->note[end - 1] & 0x80; end--)
        run->note[end - 1] = '\0'; /* a letter that was cut */
}

/* In one transaction: what is new, and what stands no more. While the feed stands still nothing evolves. */
static bool write_events(RunContext *run, Pg *tx, const FeedAgreed *agreed, const DriftAnswer *answer, Error *err) {
    for (size_t i = 0; i < answer->n_events; i++) {
        const DriftEvent *event = &answer->events[i];
        bool is_told = !answer->is_frozen || event->state == DRIFT_FROZEN;
        if (is_told && !is_among(event, agreed->standing, agreed->n_standing))
            TRY(feed_drift_add(tx, run->feed->name, run->run_id, event, err));
    }
    for (size_t i = 0; i < agreed->n_standing; i++) {
        const DriftEvent *event = &agreed->standing[i];
        bool may_end = !answer->is_frozen || event->state == DRIFT_FROZEN;
        if (may_end && !is_among(event, answer->events, answer->n_events))
            TRY(feed_drift_end(tx, run->feed->name, event, err));
    }
    return true;
}

static void tell_news(RunContext *run, const FeedAgreed *agreed, const DriftAnswer *answer) {
    for (size_t i = 0; i < answer->n_events; i++) {
        const DriftEvent *event = &answer->events[i];
        if ((!answer->is_frozen || event->state == DRIFT_FROZEN) &&
            !is_among(event, agreed->standing, agreed->n_standing))
            raise_alarm(run, event);
    }
}

static bool has_news(const FeedAgreed *agreed, const DriftAnswer *answer) {
    for (size_t i = 0; i < answer->n_events; i++)
        if (!is_among(&answer->events[i], agreed->standing, agreed->n_standing))
            return true;
    for (size_t i = 0; i < agreed->n_standing; i++)
        if (!is_among(&agreed->standing[i], answer->events, answer->n_events))
            return true;
    return false;
}

/* ---- standing still ---- */

static bool freeze(RunContext *run, const FeedAgreed *agreed, const DriftAnswer *answer, Error *err) {
    if (has_news(agreed, answer) && !run->plan) {
        CLEANUP(pg_tx_drop) Pg *tx = pg_begin(run->pg, err);
        TRY(tx && write_events(run, tx, agreed, answer, err));
        TRY(pg_commit(&tx, PG_FLUSHED, err));
        tell_news(run, agreed, answer);
    }
    size_t first = 0, n = 0;
    for (size_t i = answer->n_events; i > 0; i--)
        if (answer->events[i - 1].state == DRIFT_FROZEN) {
            first = i - 1;
            n++;
        }
    const char *more = n > 1 ? arena_printf(run->arena, " (and %zu more)", n - 1) : "";
    error_set(err, STATE_CONFIG, "the table changed: %s%s", answer->events[first].sentence, more);
    return error_hint(err, "mend the table, the mapping or the contract, then reload or trigger the feed; its "
                           "cursor is kept");
}

/* The error of the description stays; a table that was never there is a mistake of the configuration. */
static bool table_is_missing(RunContext *run, const FeedAgreed *agreed, Error *err) {
    Error ignored = {0};
    DriftEvent event = {.kind = DRIFT_TABLE, .state = DRIFT_FROZEN, .contract = CONTRACT_FREEZE, .column = "",
                        .was = run->feed->table, .now = "",
                        .sentence = arena_printf(run->arena, "table %s is not there; the feed stands still",
                                                 run->feed->table)};
    DriftAnswer answer = {.events = &event, .n_events = 1, .is_frozen = true};
    if (agreed->is_known)
        freeze(run, agreed, &answer, &ignored);
    return error_hint(err, "check `table` of the feed, and that the account may read it; then reload or trigger the "
                           "feed; its cursor is kept");
}

/* ---- the two verbs ---- */

static bool is_cursor_other(const FeedConfig *feed, const DriftAnswer *answer) {
    for (size_t i = 0; feed->cursor && i < answer->n_events; i++) {
        const DriftEvent *event = &answer->events[i];
        bool is_cursor = str_equal_nocase(str_of(event->column), str_of(feed->cursor)) ||
                         (event->kind == DRIFT_RENAMED && str_equal_nocase(str_of(event->now), str_of(feed->cursor)));
        if (is_cursor && event->state == DRIFT_EVOLVED)
            return true;
    }
    return false;
}

/* A query has no index: its key is what the configuration vouches for. */
static void take_declared_key(Arena *arena, const FeedConfig *feed, SourceColumns *columns) {
    columns->primary_key = ARENA_ARRAY(arena, const char *, feed->n_key);
    memcpy(columns->primary_key, feed->key, sizeof *feed->key * feed->n_key);
    columns->n_primary_key = feed->n_key;
}

/* The configuration has another key or cursor than rows were read by. */
static bool is_read_otherwise(const DriftLook *look) {
    return look->agreed.is_known && look->agreed.read_by[0] && strcmp(look->agreed.read_by, look->read_by) != 0;
}

bool drift_look(RunContext *run, My *my, SourceColumns *ret_columns, DriftLook *ret_look, Error *err) {
    const FeedConfig *feed = run->feed;
    DriftLook look = {.seen = ret_columns};
    TRY(feed_agreed_read(run->pg, feed->name, run->arena, &look.agreed, err));
    if (!source_columns(my, run->arena, feed->table, feed->query, ret_columns, err))
        return strcmp(err->state, STATE_MISSING) == 0 && table_is_missing(run, &look.agreed, err);
    if (feed->query)
        take_declared_key(run->arena, feed, ret_columns);
    TableShape seen = {.names = ret_columns->names, .types = ret_columns->shapes, .n = ret_columns->n,
                       .primary_key = join(run->arena, ret_columns->primary_key, ret_columns->n_primary_key)};
    DriftQuestion question = {
        .agreed = look.agreed.is_known ? &look.agreed.shape : NULL,
        .seen = &seen,
        .contract = {feed->on_new_column, feed->on_missing_column, feed->on_retyped_column},
        .standing = look.agreed.standing, .n_standing = look.agreed.n_standing,
        .key_is_unique = feed->query || source_key_is_unique(ret_columns, feed->key, feed->n_key),
    };
    question.needed = needed_by(feed, run->arena, &question.n_needed);
    drift_judge(run->arena, &question, &look.answer);
    if (look.answer.is_frozen)
        return freeze(run, &look.agreed, &look.answer, err);
    look.read_by = arena_printf(run->arena, "%s by %s", join(run->arena, feed->key, feed->n_key),
                                feed->cursor ? feed->cursor : "nothing");
    look.cursor_is_other = is_cursor_other(feed, &look.answer) || is_read_otherwise(&look);
    *ret_look = look;
    return true;
}

/* In the load phase, without a position: where following starts is found anew, and every row is read. */
static bool restart_cursor(PlaceFeed *place, Error *err) {
    CursorState next = place->cursor;
    next.is_loading = true;
    next.n_load_key = 0;
    next.load_key = NULL;
    next.position = NULL;
    return place_cursor(place, &next, PG_FLUSHED, err);
}

bool drift_agree(RunContext *run, const DriftLook *look, PlaceFeed *place, Error *err) {
    const FeedAgreed *agreed = &look->agreed;
    const SourceColumns *seen = look->seen;
    bool is_other = !agreed->is_known || agreed->schema_id != place->bronze.schema_id || look->answer.has_evolved ||
                    strcmp(agreed->read_by, look->read_by) != 0;
    if (!is_other && !has_news(agreed, &look->answer))
        return true;
    if (look->cursor_is_other)
        TRY(restart_cursor(place, err));
    if (run->plan)
        return true;
    FAILPOINT("drift.before_agreed");
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(run->pg, err);
    TRY(tx && write_events(run, tx, agreed, &look->answer, err));
    bool is_at_start = place->cursor.is_loading && place->cursor.n_load_key == 0;
    bool full_due = agreed->is_known && look->answer.has_evolved && !is_at_start;
    TRY(feed_agree(tx, run->feed->name, place->bronze.schema_id, seen->primary_key, seen->n_primary_key,
                   look->read_by, full_due, err));
    TRY(pg_commit(&tx, PG_FLUSHED, err));
    tell_news(run, agreed, &look->answer);
    return true;
}
