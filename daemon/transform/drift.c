/* drift.c - see drift.h. */
#include "transform/drift.h"

#include "base/str.h"

#include <stdlib.h>

static const char *const CONTRACTS[] = {
    [CONTRACT_EVOLVE] = "evolve", [CONTRACT_FREEZE] = "freeze", [CONTRACT_DISCARD] = "discard"};
static const char *const KINDS[] = {
    [DRIFT_ADDED] = "column_added",     [DRIFT_DROPPED] = "column_dropped",   [DRIFT_RENAMED] = "column_renamed",
    [DRIFT_RETYPED] = "column_retyped", [DRIFT_NARROWED] = "column_narrowed", [DRIFT_KEY] = "key_changed",
    [DRIFT_TABLE] = "table_missing",
};
static const char *const STATES[] = {
    [DRIFT_EVOLVED] = "evolved", [DRIFT_DISCARDED] = "discarded", [DRIFT_FROZEN] = "frozen"};

const char *contract_name(Contract contract) { return CONTRACTS[contract]; }
const char *drift_kind_name(DriftKind kind) { return KINDS[kind]; }
const char *drift_state_name(DriftState state) { return STATES[state]; }

/* ---- narrower ---- */

/* Types that hold the same kind of values; the rank rises with what fits. */
static const struct {
    const char *word;
    int family, rank;
} RANKS[] = {
    {"tinyint", 1, 1}, {"smallint", 1, 2}, {"mediumint", 1, 3}, {"int", 1, 4},      {"bigint", 1, 5},
    {"float", 2, 1},   {"double", 2, 2},   {"date", 3, 1},      {"datetime", 3, 2}, {"char", 4, 1},
    {"varchar", 4, 1}, {"tinytext", 4, 2}, {"text", 4, 3},      {"mediumtext", 4, 4}, {"longtext", 4, 5},
    {"binary", 5, 1},  {"varbinary", 5, 1}, {"tinyblob", 5, 2}, {"blob", 5, 3},     {"mediumblob", 5, 4},
    {"longblob", 5, 5}, {"decimal", 6, 1}, {"time", 7, 1},      {"timestamp", 8, 1}, {"bit", 9, 1},
};
enum { N_RANKS = sizeof RANKS / sizeof *RANKS };

typedef struct Capacity {
    int family, rank;
    long size, digits; /* of the parentheses; 0 without */
} Capacity;

static bool read_capacity(const char *type, Capacity *ret) {
    size_t size = strcspn(type, " (");
    for (int i = 0; i < N_RANKS; i++) {
        if (strlen(RANKS[i].word) != size || memcmp(RANKS[i].word, type, size) != 0)
            continue;
        *ret = (Capacity){RANKS[i].family, RANKS[i].rank, 0, 0};
        if (type[size] == '(') {
            char *end;
            ret->size = strtol(type + size + 1, &end, 10);
            ret->digits = *end == ',' ? strtol(end + 1, NULL, 10) : 0;
        }
        return true;
    }
    return false;
}

bool drift_is_narrower(const char *was, const char *now) {
    Capacity old, new;
    if (!read_capacity(was, &old) || !read_capacity(now, &new) || old.family != new.family)
        return false;
    if (old.rank != new.rank)
        return new.rank < old.rank;
    return new.size - new.digits < old.size - old.digits || new.digits < old.digits;
}

/* ---- judging ---- */

typedef struct Judge {
    Arena *arena;
    const DriftQuestion *question;
    DriftAnswer *answer;
} Judge;

static int find(const char *const *names, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (str_equal_nocase(str_of(names[i]), str_of(name)))
            return (int)i;
    return -1;
}

static bool is_needed(const Judge *judge, const char *name) {
    return find(judge->question->needed, judge->question->n_needed, name) >= 0;
}

static void read_on(Judge *judge, const char *name) { judge->answer->names[judge->answer->n_names++] = name; }

static void tell(Judge *judge, DriftEvent event) {
    judge->answer->events[judge->answer->n_events++] = event;
    judge->answer->is_frozen |= event.state == DRIFT_FROZEN;
    judge->answer->has_evolved |= event.state == DRIFT_EVOLVED;
}

/* What follows, as a person reads it. */
static const char *consequence(Judge *judge, DriftState state, const char *key, Contract contract, bool needed) {
    if (state == DRIFT_EVOLVED)
        return "; it is read as it is now";
    if (state == DRIFT_DISCARDED)
        return "; the feed goes on without it";
    return needed && contract != CONTRACT_FREEZE
               ? "; the feed needs it and stands still"
               : arena_printf(judge->arena, "; the feed stands still (%s: %s)", key, contract_name(contract));
}

static const DriftEvent *find_left_out(const DriftQuestion *q, const char *name) {
    for (size_t i = 0; i < q->n_standing; i++)
        if (q->standing[i].state == DRIFT_DISCARDED && strcmp(q->standing[i].column, name) == 0)
            return &q->standing[i];
    return NULL;
}

/* A column that is not agreed. One that was left out when it was retyped is still that; and what was left out as it
 * is stays so when the contract becomes freeze. */
static void judge_new(Judge *judge, const char *name, const char *type) {
    const DriftQuestion *q = judge->question;
    const DriftEvent *left_out = find_left_out(q, name);
    const DriftEvent *before = left_out && left_out->kind != DRIFT_ADDED ? left_out : NULL;
    Contract contract = before ? q->contract.on_retyped : q->contract.on_new;
    bool needed = is_needed(judge, name);
    bool stays_out = contract == CONTRACT_DISCARD || (left_out && strcmp(left_out->now, type) == 0);
    DriftState state = needed || contract == CONTRACT_EVOLVE ? DRIFT_EVOLVED
                       : stays_out                           ? DRIFT_DISCARDED
                                                             : DRIFT_FROZEN;
    const char *key = before ? "on_retyped_column" : "on_new_column";
    const char *what = before ? arena_printf(judge->arena, "column %s is %s, no longer %s", name, type, before->was)
                              : arena_printf(judge->arena, "column %s (%s) is new", name, type);
    tell(judge, (DriftEvent){
        .kind = before ? before->kind : DRIFT_ADDED, .state = state, .contract = contract, .column = name,
        .was = before ? before->was : "", .now = type,
        .sentence = arena_printf(judge->arena, "%s%s", what, consequence(judge, state, key, contract, needed))});
    if (state == DRIFT_EVOLVED)
        read_on(judge, name);
}

static void judge_gone(Judge *judge, const char *name, const char *type) {
    Contract contract = judge->question->contract.on_missing;
    bool needed = is_needed(judge, name);
    bool is_frozen = needed || contract == CONTRACT_FREEZE;
    const char *then = is_frozen ? consequence(judge, DRIFT_FROZEN, "on_missing_column", contract, needed)
                                 : "; the feed goes on without it";
    tell(judge, (DriftEvent){
        .kind = DRIFT_DROPPED, .state = is_frozen ? DRIFT_FROZEN : DRIFT_EVOLVED, .contract = contract,
        .column = name, .was = type, .now = "",
        .sentence = arena_printf(judge->arena, "column %s (%s) is gone%s", name, type, then)});
}

static void judge_retyped(Judge *judge, const char *name, const char *was, const char *now) {
    Contract contract = judge->question->contract.on_retyped;
    bool needed = is_needed(judge, name);
    DriftState state = contract == CONTRACT_EVOLVE              ? DRIFT_EVOLVED
                       : contract == CONTRACT_DISCARD && !needed ? DRIFT_DISCARDED
                                                                 : DRIFT_FROZEN;
    tell(judge, (DriftEvent){
        .kind = drift_is_narrower(was, now) ? DRIFT_NARROWED : DRIFT_RETYPED, .state = state, .contract = contract,
        .column = name, .was = was, .now = now,
        .sentence = arena_printf(judge->arena, "column %s is %s, no longer %s%s", name, now, was,
                                 consequence(judge, state, "on_retyped_column", contract, needed))});
    if (state == DRIFT_EVOLVED)
        read_on(judge, name);
    else if (state == DRIFT_DISCARDED)
        judge->answer->has_evolved = true; /* the list is a shorter one */
}

/* Another name for an agreed column: of the same type, at the same place, and neither name on both sides. */
static int find_renamed(const Judge *judge, size_t gone) {
    const TableShape *agreed = judge->question->agreed, *seen = judge->question->seen;
    if (gone >= seen->n || find(agreed->names, agreed->n, seen->names[gone]) >= 0)
        return -1;
    return strcmp(agreed->types[gone], seen->types[gone]) == 0 ? (int)gone : -1;
}

/* Both contracts have a say. A mapping that names the new name and no longer the old one has agreed. */
static bool judge_renamed(Judge *judge, size_t gone) {
    const DriftQuestion *q = judge->question;
    int index = find_renamed(judge, gone);
    if (index < 0)
        return false;
    const char *was = q->agreed->names[gone], *now = q->seen->names[index];
    bool has_agreed = is_needed(judge, now) && !is_needed(judge, was);
    bool evolves = q->contract.on_missing == CONTRACT_EVOLVE && q->contract.on_new == CONTRACT_EVOLVE;
    bool needed = is_needed(judge, was);
    DriftState state = !needed && (evolves || has_agreed) ? DRIFT_EVOLVED : DRIFT_FROZEN;
    Contract contract = q->contract.on_missing;
    if (state == DRIFT_FROZEN && !needed && contract != CONTRACT_FREEZE)
        return false; /* two differences, each by its own contract */
    tell(judge, (DriftEvent){
        .kind = DRIFT_RENAMED, .state = state, .contract = contract, .column = was, .was = was, .now = now,
        .sentence = arena_printf(judge->arena, "column %s is called %s now%s", was, now,
                                 consequence(judge, state, "on_missing_column", contract, needed))});
    if (state == DRIFT_EVOLVED)
        read_on(judge, now);
    return true;
}

static void judge_key(Judge *judge) {
    const DriftQuestion *q = judge->question;
    const char *was = q->agreed->primary_key, *now = q->seen->primary_key;
    if (strcmp(was, now) == 0)
        return;
    bool is_frozen = !q->key_is_unique || q->contract.on_retyped == CONTRACT_FREEZE;
    const char *then = !q->key_is_unique ? "; the feed's `key` allows doubles now, and the feed stands still"
                       : is_frozen      ? "; the feed stands still (on_retyped_column: freeze)"
                                        : "; the feed's `key` is still unique";
    const char *none = "none";
    tell(judge, (DriftEvent){
        .kind = DRIFT_KEY, .state = is_frozen ? DRIFT_FROZEN : DRIFT_EVOLVED, .contract = q->contract.on_retyped,
        .column = "", .was = was, .now = now,
        .sentence = arena_printf(judge->arena, "the primary key is (%s), no longer (%s)%s", *now ? now : none,
                                 *was ? was : none, then)});
}

static void judge_agreed(Judge *judge, bool *is_renamed) {
    const TableShape *agreed = judge->question->agreed, *seen = judge->question->seen;
    for (size_t i = 0; i < agreed->n; i++) {
        const char *name = agreed->names[i];
        int now = find(seen->names, seen->n, name);
        if (now < 0 && judge_renamed(judge, i))
            is_renamed[i] = true; /* at the same place */
        else if (now < 0)
            judge_gone(judge, name, agreed->types[i]);
        else if (strcmp(agreed->types[i], seen->types[now]) != 0)
            judge_retyped(judge, name, agreed->types[i], seen->types[now]);
        else
            read_on(judge, name);
    }
}

void drift_judge(Arena *arena, const DriftQuestion *question, DriftAnswer *ret_answer) {
    const TableShape *seen = question->seen, *agreed = question->agreed;
    size_t n_max = seen->n + (agreed ? agreed->n : 0) + 1;
    *ret_answer = (DriftAnswer){.events = ARENA_ARRAY(arena, DriftEvent, n_max),
                                .names = ARENA_ARRAY(arena, const char *, n_max)};
    Judge judge = {arena, question, ret_answer};
    bool *is_renamed = ARENA_ARRAY(arena, bool, n_max);
    if (agreed)
        judge_agreed(&judge, is_renamed);
    for (size_t i = 0; i < seen->n; i++) {
        if (!agreed)
            read_on(&judge, seen->names[i]);
        else if (find(agreed->names, agreed->n, seen->names[i]) < 0 && !is_renamed[i])
            judge_new(&judge, seen->names[i], seen->types[i]);
    }
    if (agreed)
        judge_key(&judge);
}
