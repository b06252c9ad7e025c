/* timeline.c - see timeline.h. */
#include "storage/timeline.h"

#include "storage/silver_row.h"

enum { VALUES_MAX_BYTES = 64 << 20 };
/* 9999-12-31T00:00:00Z */
static const int64_t OPEN_END_US = INT64_C(253402214400) * 1000000;

/* ---- columns ---- */

TimelineShape timeline_shape(SilverPage *page) {
    const Entity *entity = page->entity;
    TimelineShape shape = {.page = page};
    for (int i = 0; i < entity->n_columns; i++) {
        if (!column_is_stored(&entity->columns[i]))
            continue;
        const char *name = entity->columns[i].name;
        if (strcmp(name, "source_modified_at") == 0)
            shape.modified_at = shape.n;
        else if (strcmp(name, "source_hash") == 0)
            shape.source_hash = shape.n;
        else if (strcmp(name, "record_hash") == 0)
            shape.record_hash = shape.n;
        else if (strcmp(name, "made_by_batch") == 0)
            shape.made_by_batch = shape.n;
        shape.columns[shape.n++] = i;
    }
    return shape;
}

static const Column *column_of(const TimelineShape *shape, int s) {
    return &shape->page->entity->columns[shape->columns[s]];
}

static bool is_attribute(const TimelineShape *shape, int s) { return column_of(shape, s)->role == ROLE_ATTRIBUTE; }

static bool has_mode(const TimelineShape *shape, int s, HistoryMode mode) {
    return is_attribute(shape, s) && mapping_history(shape->page->mapping, shape->columns[s]) == mode;
}

Str *timeline_encode(const TimelineShape *shape, SilverRow *row) {
    Arena *arena = shape->page->arena;
    Buf one;
    buf_init(&one, VALUES_MAX_BYTES);
    Str *values = ARENA_ARRAY(arena, Str, (size_t)shape->n);
    silver_set_system(shape->page, row, 0);
    for (int s = 0; s < shape->n; s++) {
        const Column *column = column_of(shape, s);
        Value value = row->record.values[shape->columns[s]];
        if (!value.is_set || column->type == TYPE_UUID || column->type == TYPE_TEXTS)
            continue;
        buf_clear(&one);
        silver_put_value(&one, column->type, value);
        values[s] = arena_copy(arena, (Str){one.data + 4, one.size - 4}); /* behind its length */
    }
    buf_done(&one);
    return values;
}

static Str *copy_values(const TimelineShape *shape, const Str *values) {
    Str *copy = ARENA_ARRAY(shape->page->arena, Str, (size_t)shape->n);
    memcpy(copy, values, sizeof *copy * (size_t)shape->n);
    return copy;
}

static bool same_history(const TimelineShape *shape, const Str *a, const Str *b) {
    for (int s = 0; s < shape->n; s++)
        if (has_mode(shape, s, HISTORY_VERSION) && !str_equal(a[s], b[s]))
            return false;
    return true;
}

/* ---- counting ---- */

static void count_versions(const TimelineShape *shape, const Str *before, const Str *after) {
    for (int s = 0; s < shape->n; s++)
        if (has_mode(shape, s, HISTORY_VERSION) && !str_equal(before[s], after[s]))
            shape->page->attributes[shape->columns[s]].versions++;
}

static void count_corrected(const TimelineShape *shape, const Str *before, const Str *after) {
    for (int s = 0; s < shape->n; s++)
        if (is_attribute(shape, s) && !str_equal(before[s], after[s]))
            shape->page->attributes[shape->columns[s]].corrected++;
}

static void count_overwritten(const TimelineShape *shape, const Str *before, const Str *after) {
    for (int s = 0; s < shape->n; s++)
        if (has_mode(shape, s, HISTORY_OVERWRITE) && !str_equal(before[s], after[s]))
            shape->page->attributes[shape->columns[s]].corrected++;
}

/* ---- the list ---- */

Moment *timeline_insert(Timeline *timeline, Arena *arena, size_t place) {
    if (timeline->n == timeline->capacity) {
        timeline->capacity = timeline->capacity ? timeline->capacity * 2 : 4;
        Moment *grown = ARENA_ARRAY(arena, Moment, timeline->capacity);
        if (timeline->n)
            memcpy(grown, timeline->moments, timeline->n * sizeof *grown);
        timeline->moments = grown;
    }
    memmove(&timeline->moments[place + 1], &timeline->moments[place], (timeline->n - place) * sizeof(Moment));
    timeline->n++;
    timeline->moments[place] = (Moment){0};
    return &timeline->moments[place];
}

static Moment *last_of(Timeline *timeline) { return &timeline->moments[timeline->n - 1]; }

static Moment *append(const TimelineShape *shape, Timeline *timeline) {
    return timeline_insert(timeline, shape->page->arena, timeline->n);
}

/* ---- what a row brings, beside what was here ---- */

Str timeline_person(const TimelineShape *shape, const SilverRow *row) {
    if (!shape->persons)
        return STR_NULL;
    size_t place = (size_t)(row - shape->page->rows);
    return (Str){shape->persons + place * PERSON_ID_BYTES, PERSON_ID_BYTES};
}

/* Of somebody nobody knew. */
static void bear_person(const TimelineShape *shape, const SilverRow *row, Str *values) {
    for (int s = 0; s < shape->n; s++)
        if (column_of(shape, s)->type == TYPE_UUID)
            values[s] = timeline_person(shape, row);
}

/* Settle's columns and flags of a neighbour stand in until settle has looked. A row of the past that does not tell of
 * an attribute leaves it as it was. */
static Moment told_by(const TimelineShape *shape, SilverRow *row, const Moment *beside) {
    const SilverPage *page = shape->page;
    Str *encoded = timeline_encode(shape, row);
    Moment told = {.values = encoded, .flags = silver_join_flags(page, &row->record, beside ? beside->flags : STR_NULL),
                   .row = row, .is_made = true};
    if (!beside) {
        bear_person(shape, row, encoded);
        return told;
    }
    Str *values = copy_values(shape, encoded);
    for (int s = 0; s < shape->n; s++) {
        bool is_content = is_attribute(shape, s) || column_of(shape, s)->role == ROLE_DERIVED;
        bool is_untold = page->tells == TELLS_PAST && is_content && str_is_null(encoded[s]) &&
                         !mapping_fills(page->mapping, shape->columns[s]);
        if (column_of(shape, s)->type == TYPE_UUID || (is_untold && !beside->is_blank))
            values[s] = beside->values[s];
    }
    told.values = values;
    return told;
}

/* `overwrite` attributes are those of the newest row, in every version. True when one was another. */
static bool overwrite_all(const TimelineShape *shape, Timeline *timeline, const Str *newest) {
    bool differs = false;
    for (size_t i = 0; i < timeline->n; i++) {
        Moment *m = &timeline->moments[i];
        Str *values = NULL;
        for (int s = 0; s < shape->n && !m->is_blank; s++) {
            if (!has_mode(shape, s, HISTORY_OVERWRITE) || str_equal(m->values[s], newest[s]))
                continue;
            values = values ? values : copy_values(shape, m->values);
            values[s] = newest[s];
        }
        if (values) {
            m->values = values;
            m->is_changed = true;
            differs = true;
        }
    }
    return differs;
}

static void take_overwritten(const TimelineShape *shape, Moment *told, const Moment *newest) {
    Str *values = copy_values(shape, told->values);
    for (int s = 0; s < shape->n; s++)
        if (has_mode(shape, s, HISTORY_OVERWRITE))
            values[s] = newest->values[s];
    told->values = values;
}

/* The moment stays where it is, and says something else; it was made by whoever made it. */
static void replace(const TimelineShape *shape, Moment *m, const Moment *told) {
    count_corrected(shape, m->values, told->values);
    Str *values = copy_values(shape, told->values);
    values[shape->made_by_batch] = m->values[shape->made_by_batch];
    m->values = values;
    m->flags = told->flags;
    m->row = told->row;
    m->is_changed = true;
}

static void fill_blank(Moment *m, const Moment *told, int64_t at_us, bool is_time_inferred) {
    m->values = told->values;
    m->flags = told->flags;
    m->row = told->row;
    m->at_us = at_us;
    m->is_time_inferred = is_time_inferred;
    m->is_blank = false;
    m->is_made = m->is_changed = true;
}

/* ---- a live table: what is true now ---- */

static Value modified_of(const TimelineShape *shape, const SilverRow *row) {
    return row->record.values[shape->columns[shape->modified_at]];
}

static bool is_usable(const TimelineShape *shape, Value modified) {
    return modified.is_set && modified.number <= shape->page->source_now_us;
}

bool timeline_sees(const TimelineShape *shape, const SilverRow *row, int64_t after_us) {
    Value modified = modified_of(shape, row);
    return is_usable(shape, modified) && modified.number > after_us;
}

/* When what is true now began: `after_us` is the current version's start. */
static int64_t start_now(const TimelineShape *shape, SilverRow *row, int64_t after_us) {
    Value modified = modified_of(shape, row);
    if (is_usable(shape, modified) && modified.number > after_us)
        return modified.number;
    row->record.flags |= UINT64_C(1) << FLAG_TIME_INFERRED;
    int64_t received_us = shape->page->received_us;
    return after_us < INT64_MAX && received_us > after_us ? received_us : after_us + 1;
}

static bool time_was_inferred(const SilverRow *row) { return row->record.flags >> FLAG_TIME_INFERRED & 1; }

static void tell_next(const TimelineShape *shape, Timeline *timeline, SilverRow *row, const Moment *told) {
    const Moment *current = last_of(timeline);
    count_versions(shape, current->values, told->values);
    count_overwritten(shape, current->values, told->values);
    int64_t start_us = start_now(shape, row, current->at_us);
    Moment *next = append(shape, timeline);
    *next = *told;
    next->at_us = start_us;
    next->is_time_inferred = time_was_inferred(row);
    timeline->seen_until_us = start_us;
}

/* Nothing that makes history: what is ignored stays as the version was made with. */
static void correct_now(const TimelineShape *shape, Timeline *timeline, const SilverRow *row, const Moment *told) {
    Moment *current = last_of(timeline), corrected = *told;
    Str *values = copy_values(shape, told->values);
    for (int s = 0; s < shape->n; s++)
        if (has_mode(shape, s, HISTORY_IGNORE))
            values[s] = current->values[s];
    corrected.values = values;
    replace(shape, current, &corrected);
    if (timeline_sees(shape, row, current->at_us))
        timeline->seen_us = modified_of(shape, row).number;
}

void timeline_tell_now(const TimelineShape *shape, Timeline *timeline, SilverRow *row) {
    Moment *current = last_of(timeline);
    Moment told = told_by(shape, row, current);
    row->fate = ROW_CHANGED;
    if (current->is_blank) {
        int64_t start_us = start_now(shape, row, INT64_MIN);
        fill_blank(current, &told, start_us, time_was_inferred(row));
        return;
    }
    /* Equal text, other content: the mapping was mended (rules, section 2). */
    bool is_ours = row->known.source_hash == row->source_hash && !current->is_deleted;
    if (is_ours)
        replace(shape, current, &told);
    else if (current->is_deleted || !same_history(shape, current->values, told.values))
        tell_next(shape, timeline, row, &told);
    else
        correct_now(shape, timeline, row, &told);
    overwrite_all(shape, timeline, told.values);
}

void timeline_bury(const TimelineShape *shape, Timeline *timeline, SilverRow *row) {
    const Moment last = *last_of(timeline);
    Moment *tombstone = append(shape, timeline);
    int64_t received_us = shape->page->received_us;
    *tombstone = (Moment){.at_us = received_us > last.at_us ? received_us : last.at_us + 1, .values = last.values,
                          .flags = last.flags, .is_deleted = true, .is_time_inferred = true, .is_made = true};
    timeline->seen_until_us = tombstone->at_us;
    row->fate = ROW_GONE;
}

/* ---- what was ---- */

/* The last moment at or before an instant; n when there is none. */
static size_t moment_at(const Timeline *timeline, int64_t at_us) {
    size_t place = timeline->n;
    for (size_t i = 0; i < timeline->n && timeline->moments[i].at_us <= at_us; i++)
        place = i;
    return place;
}

/* What a live table shows next is compared with the newest row that changed something. */
static void take_hashes(const TimelineShape *shape, Moment *m, const Moment *told) {
    Str *values = copy_values(shape, m->values);
    values[shape->source_hash] = told->values[shape->source_hash];
    values[shape->record_hash] = told->values[shape->record_hash];
    m->values = values;
    m->row = told->row;
}

static void tell_same_instant(const TimelineShape *shape, Timeline *timeline, Moment *m, SilverRow *row,
                              const Moment *told) {
    bool is_newest = m == last_of(timeline);
    if (m->is_deleted || same_history(shape, m->values, told->values))
        row->fate = ROW_SAME;
    else if (m->is_seen)
        *m = (Moment){.at_us = m->at_us, .values = told->values, .flags = told->flags, .row = row, .is_made = true};
    else
        replace(shape, m, told);
    if (m->is_deleted)
        return;
    bool is_corrected = m->is_time_inferred;
    m->is_changed |= m->is_time_inferred;
    m->is_time_inferred = false;
    if (is_newest)
        is_corrected |= overwrite_all(shape, timeline, told->values);
    if (!is_corrected)
        return;
    row->fate = ROW_CHANGED;
    if (is_newest)
        take_hashes(shape, m, told);
}

static void tell_between(const TimelineShape *shape, Timeline *timeline, size_t place, int64_t at_us,
                         const Moment *told) {
    bool is_early = place < timeline->n && same_history(shape, timeline->moments[place].values, told->values);
    if (place > 0 && !is_early)
        count_versions(shape, timeline->moments[place - 1].values, told->values);
    Moment *m = timeline_insert(timeline, shape->page->arena, place);
    *m = *told;
    m->at_us = at_us;
    if (place == timeline->n - 1)
        overwrite_all(shape, timeline, told->values);
}

static void refuse_time(SilverRow *row) {
    row->fate = ROW_REJECTED;
    row->record.reject_rule = "time_missing";
    row->record.reject_reason = "a row of the past has no modification time, or one that has not come";
}

void timeline_tell_past(const TimelineShape *shape, Timeline *timeline, SilverRow *row) {
    Value modified = modified_of(shape, row);
    if (!is_usable(shape, modified)) {
        refuse_time(row);
        return;
    }
    size_t place = moment_at(timeline, modified.number);
    const Moment *beside = timeline->n == 0 ? NULL : &timeline->moments[place < timeline->n ? place : 0];
    Moment told = told_by(shape, row, beside);
    row->fate = timeline->was_empty && timeline->n == 0 ? ROW_NEW : ROW_CHANGED;
    if (timeline->n > 0 && timeline->moments[0].is_blank) {
        fill_blank(&timeline->moments[0], &told, modified.number, false);
        return;
    }
    bool is_newest = timeline->n == 0 || last_of(timeline)->at_us <= modified.number;
    if (!is_newest)
        take_overwritten(shape, &told, last_of(timeline));
    if (place < timeline->n && timeline->moments[place].at_us == modified.number)
        tell_same_instant(shape, timeline, &timeline->moments[place], row, &told);
    else
        tell_between(shape, timeline, place < timeline->n ? place + 1 : 0, modified.number, &told);
}

/* ---- what was told before, cleaned anew ---- */

void timeline_tell_again(const TimelineShape *shape, Timeline *timeline, SilverRow *row) {
    row->fate = ROW_SAME;
    for (size_t i = 0; i < timeline->n; i++) {
        Moment *m = &timeline->moments[i];
        Moment told = told_by(shape, row, m);
        bool is_its = !m->is_blank && str_equal(m->values[shape->source_hash], told.values[shape->source_hash]);
        if (!is_its || str_equal(m->values[shape->record_hash], told.values[shape->record_hash]))
            continue;
        bool is_newest = i == timeline->n - 1;
        if (!is_newest)
            take_overwritten(shape, &told, last_of(timeline));
        replace(shape, m, &told);
        if (is_newest)
            overwrite_all(shape, timeline, told.values);
        row->fate = ROW_CHANGED;
    }
}

/* ---- the versions ---- */

/* A tombstone says what the member was when it went. */
static void inherit(const TimelineShape *shape, Timeline *timeline) {
    for (size_t i = 1; i < timeline->n; i++) {
        Moment *m = &timeline->moments[i];
        const Str *before = timeline->moments[i - 1].values;
        Str *values = copy_values(shape, m->values);
        bool differs = false;
        for (int s = 0; s < shape->n; s++)
            if ((is_attribute(shape, s) || column_of(shape, s)->role == ROLE_DERIVED) && !str_equal(values[s], before[s])) {
                values[s] = before[s];
                differs = true;
            }
        if (m->is_deleted && differs) {
            m->values = values;
            m->is_changed = true;
        }
    }
}

static bool is_touched(const Moment *m) { return m->is_made || m->is_changed; }

/* Does a moment tell nothing that the one before did not? Versions that stand apart stay apart, as long as nobody tells
 * of either: what makes history may have been configured otherwise when they came. */
static bool goes_on(const TimelineShape *shape, const Moment *before, const Moment *m) {
    if (shape->page->tells != TELLS_PAST || m->is_blank || before->is_blank)
        return false;
    if (m->key && !is_touched(m) && !is_touched(before))
        return false;
    return m->is_deleted == before->is_deleted && same_history(shape, before->values, m->values);
}

static bool stands_otherwise(const Version *v) {
    const Moment *m = v->shown;
    return v->key == 0 || m->is_changed || v->first->at_us != m->at_us || v->end_us != m->end_us ||
           v->number != m->version || v->first->is_time_inferred != m->is_time_inferred;
}

/* Which moments open a version, and which content each version shows: a stored one's rather than a new one's. */
static size_t gather(const TimelineShape *shape, Timeline *timeline, Version *versions) {
    size_t n = 0;
    for (size_t i = 0; i < timeline->n; i++) {
        Moment *m = &timeline->moments[i];
        m->opens = i == 0 || !goes_on(shape, m - 1, m);
        if (m->opens) {
            if (n > 0)
                versions[n - 1].end_us = m->at_us;
            versions[n] = (Version){.shown = m, .first = m, .end_us = OPEN_END_US, .number = (int32_t)n + 1};
            n++;
        }
        Version *v = &versions[n - 1];
        v->last = m;
        m->vanishes = m->key && v->key;
        if (!m->key || v->key)
            continue;
        v->shown = m;
        v->key = m->key;
    }
    return n;
}

Version *timeline_versions(const TimelineShape *shape, Timeline *timeline, size_t *ret_n) {
    if (shape->page->tells == TELLS_PAST)
        inherit(shape, timeline);
    Version *versions = ARENA_ARRAY(shape->page->arena, Version, timeline->n + 1);
    size_t n = gather(shape, timeline, versions);
    bool is_written = false;
    for (size_t v = 0; v < n; v++) {
        versions[v].is_current = v == n - 1;
        versions[v].is_written = stands_otherwise(&versions[v]);
        is_written |= versions[v].is_written;
    }
    for (size_t i = 0; i < timeline->n; i++) {
        const Moment *m = &timeline->moments[i];
        if (m->row && m->is_made && !m->opens && !is_written)
            m->row->fate = ROW_TOUCHED;
    }
    *ret_n = n;
    return versions;
}
