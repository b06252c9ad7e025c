/* collision.c - see collision.h.
 *
 * Rows are put in order of their ids; those of one id are decided about together, by what is stored of it
 * and by what the source answers. An entry in quarantine is named by the spelling in quotes, so that blanks
 * show and no id is like it. */
#include "steps/collision.h"

#include "base/own.h"
#include "storage/bronze.h"
#include "transform/text.h"

#include <stdlib.h>

enum { ENTRY_MAX_BYTES = 1 << 20 };
#define REASON "another row of the table has the same id, blanks at its ends and case set aside"

typedef struct Named {
    Str id, text; /* the id, and how the row spells it */
    size_t row;
    bool is_itself; /* the id, but for case where the source joins it */
} Named;

/* Rows that name one id. */
typedef struct Group {
    Named *rows;
    size_t n;
    Str holder; /* the other spelling that holds the id; STR_NULL: none does */
} Group;

typedef struct Groups {
    Group *at;
    size_t n;
} Groups;

/* What the source has of the texts that were asked for. */
typedef struct Answers {
    Str *texts, *ids; /* sorted: as spelled; and those among them that are spelled as their ids, as ids */
    size_t n;
} Answers;

Collisions collisions_open(const PlaceFeed *feed, My *my, pthread_mutex_t *my_mutex,
                           const SourceTable *table) {
    int field = mapping_id_field(feed->mapping);
    bool is_text = field >= 0 && table->fields[field].kind == FIELD_TEXT && feed->tells == TELLS_NOW;
    return (Collisions){.feed = feed, .my = my, .my_mutex = my_mutex, .table = table,
                        .field = is_text ? field : -1};
}

/* ---- the page's rows by id ---- */

/* What the mapping, which may be another than once, makes of a spelling. */
static Str id_of(const Collisions *c, Arena *arena, Str text) {
    Str *fields = ARENA_ARRAY(arena, Str, c->table->n_fields);
    fields[c->field] = text;
    return mapping_id(c->feed->mapping, fields, arena);
}

static bool is_spelled_as(const Collisions *c, Arena *arena, Str text, Str id) {
    return str_equal(text, id) || str_equal(mapping_fold_id(c->feed->mapping, text, arena), id);
}

static int compare_named(const void *a, const void *b) {
    const Named *x = a, *y = b;
    int order = str_compare(x->id, y->id);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

static Named *name_rows(const Collisions *c, Arena *arena, const RawRows *rows, size_t *ret_n) {
    Named *named = NULL;
    size_t n = 0;
    for (size_t i = 0; i < rows->n_rows; i++) {
        const SilverRow *row = &rows->prepared->rows[i];
        Named name = {.id = row->id, .text = row->fields[c->field], .row = i};
        if (str_is_null(name.id))
            continue;
        name.is_itself = is_spelled_as(c, arena, name.text, name.id);
        if (name.is_itself && !c->has_spellings)
            continue;
        named = named ? named : ARENA_ARRAY(arena, Named, rows->n_rows);
        named[n++] = name;
    }
    *ret_n = n;
    return named;
}

static Groups group_rows(Arena *arena, Named *named, size_t n) {
    Groups groups = {.at = ARENA_ARRAY(arena, Group, n)};
    qsort(named, n, sizeof *named, compare_named);
    for (size_t i = 0; i < n; i++) {
        Group *last = groups.n ? &groups.at[groups.n - 1] : NULL;
        if (last && str_equal(last->rows[0].id, named[i].id))
            last->n++;
        else
            groups.at[groups.n++] = (Group){.rows = &named[i], .n = 1};
    }
    return groups;
}

/* ---- who holds an id ---- */

static int compare_group(const void *id, const void *group) {
    return str_compare(*(const Str *)id, ((const Group *)group)->rows[0].id);
}

static bool find_holders(const Collisions *c, Arena *arena, Groups *groups, Error *err) {
    if (!c->has_spellings)
        return true;
    Str *ids = arena_alloc(arena, groups->n * sizeof *ids);
    for (size_t i = 0; i < groups->n; i++)
        ids[i] = groups->at[i].rows[0].id;
    Spelling *found;
    size_t n;
    TRY(spelling_find(c->feed->run->pg, c->feed->feed, ids, groups->n, arena, &found, &n, err));
    for (size_t i = 0; i < n; i++) {
        Group *group = bsearch(&found[i].id, groups->at, groups->n, sizeof *groups->at, compare_group);
        if (group && str_equal(id_of(c, arena, found[i].text), found[i].id))
            group->holder = found[i].text;
    }
    return true;
}

static bool is_at_odds(const Group *group) {
    for (size_t i = 0; i < group->n; i++) {
        const Named *row = &group->rows[i];
        if (str_is_null(group->holder) ? !row->is_itself : !str_equal(row->text, group->holder))
            return true;
    }
    return false;
}

/* ---- what the source still has ---- */

static int compare_texts(const void *a, const void *b) { return str_compare(*(const Str *)a, *(const Str *)b); }

static bool has_text(const Str *sorted, size_t n, Str text) {
    return bsearch(&text, sorted, n, sizeof text, compare_texts) != NULL;
}

static void take_answers(const Collisions *c, Arena *arena, const MyPage *page, Answers *ret_answers) {
    Answers answers = {.texts = page->fields, .n = page->n_rows};
    answers.ids = arena_alloc(arena, (page->n_rows + 1) * sizeof(Str));
    for (size_t i = 0; i < page->n_rows; i++) {
        Str id = id_of(c, arena, page->fields[i]);
        answers.ids[i] = is_spelled_as(c, arena, page->fields[i], id) ? id : STR_NULL;
    }
    str_sort(answers.texts, answers.n);
    str_sort(answers.ids, answers.n);
    *ret_answers = answers;
}

/* Both the spelling that holds the id and the id itself, of every id that is not as it is stored. */
static bool ask_source(const Collisions *c, Arena *arena, const Groups *groups, Answers *ret_answers,
                       Error *err) {
    Str *asked = arena_alloc(arena, 2 * groups->n * sizeof *asked);
    size_t n = 0;
    for (size_t i = 0; i < groups->n; i++) {
        const Group *group = &groups->at[i];
        if (!is_at_odds(group))
            continue;
        asked[n++] = group->rows[0].id;
        if (!str_is_null(group->holder))
            asked[n++] = group->holder;
    }
    *ret_answers = (Answers){.n = 0};
    if (n == 0)
        return true;
    MyPage page;
    pthread_mutex_lock(c->my_mutex);
    bool ok = source_find_texts(c->my, c->table, c->field, asked, n, arena, &page, err);
    pthread_mutex_unlock(c->my_mutex);
    TRY(ok);
    take_answers(c, arena, &page, ret_answers);
    return true;
}

/* ---- deciding ---- */

static const Named *find_row(const Group *group, Str text) {
    for (size_t i = 0; i < group->n; i++)
        if (str_is_null(text) ? group->rows[i].is_itself : str_equal(group->rows[i].text, text))
            return &group->rows[i];
    return NULL;
}

/* STR_NULL: the row that is spelled as the id. */
static Str choose_holder(const Group *group, const Answers *answers) {
    bool is_there = !str_is_null(group->holder) && (find_row(group, group->holder) ||
                                                    has_text(answers->texts, answers->n, group->holder));
    if (is_there)
        return group->holder;
    Str id = group->rows[0].id;
    bool has_itself = find_row(group, STR_NULL) || has_text(answers->ids, answers->n, id);
    return has_itself ? STR_NULL : group->rows[0].text;
}

/* How quarantine names a row that is kept out. */
static Str entry_of(Arena *arena, Str text) {
    CLEANUP(buf_drop) Buf entry;
    buf_init(&entry, ENTRY_MAX_BYTES);
    buf_put_byte(&entry, '"');
    bronze_pack(&entry, &text, 1);
    buf_put_byte(&entry, '"');
    return arena_copy(arena, buf_str(&entry));
}

static void keep_out(Arena *arena, const Group *group, Str holder, RawRows *rows, RawReject **rejects) {
    for (size_t i = 0; i < group->n; i++) {
        const Named *row = &group->rows[i];
        if (str_is_null(holder) ? row->is_itself : str_equal(row->text, holder))
            continue;
        *rejects = *rejects ? *rejects : ARENA_ARRAY(arena, RawReject, rows->n_rows);
        (*rejects)[row->row] = (RawReject){RULE_KEY_COLLISION, REASON, entry_of(arena, row->text)};
    }
    rows->rejects = *rejects;
}

/* A holder that is not in this page changes nothing yet: it does when it is read. */
static void decide(Collisions *c, Arena *arena, const Group *group, const Answers *answers, RawRows *rows,
                   RawReject **rejects, SpellingTake *takes) {
    Str holder = choose_holder(group, answers);
    const Named *taker = find_row(group, holder);
    keep_out(arena, group, holder, rows, rejects);
    if (!taker || str_equal(holder, group->holder) || !text_is_clean_utf8(taker->text))
        return;
    takes[rows->n_takes++] = (SpellingTake){group->rows[0].id, holder, entry_of(arena, taker->text)};
    c->has_spellings = true;
}

static bool open_once(Collisions *c, Error *err) {
    if (!c->is_open)
        TRY(spelling_any(c->feed->run->pg, c->feed->feed, &c->has_spellings, err));
    c->is_open = true;
    return true;
}

bool collisions_may_be(const Collisions *c, Arena *arena, const RawRows *rows) {
    size_t n = 0;
    if (c->field >= 0 && c->is_open)
        name_rows(c, arena, rows, &n);
    return n > 0 || (c->field >= 0 && !c->is_open);
}

bool collisions_find(Collisions *c, Arena *arena, RawRows *rows, Error *err) {
    if (c->field < 0)
        return true;
    TRY(open_once(c, err));
    size_t n;
    Named *named = name_rows(c, arena, rows, &n);
    if (n == 0)
        return true;
    Groups groups = group_rows(arena, named, n);
    Answers answers;
    TRY(find_holders(c, arena, &groups, err) && ask_source(c, arena, &groups, &answers, err));
    RawReject *rejects = NULL;
    SpellingTake *takes = arena_alloc(arena, groups.n * sizeof *takes);
    rows->takes = takes;
    for (size_t i = 0; i < groups.n; i++)
        if (is_at_odds(&groups.at[i]))
            decide(c, arena, &groups.at[i], &answers, rows, &rejects, takes);
    return true;
}
