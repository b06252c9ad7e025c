/* person.c - see person.h. */
#include "storage/person.h"

#include "base/failpoint.h"
#include "base/own.h"
#include "sql.h"
#include "storage/audit.h"
#include "storage/state.h"
#include "storage/template.h"

/* From FOUND_MAX members on, when they are more than a fifth of all, everybody is looked at: that is one
 * scan instead of as many look-ups. */
enum { FOUND_MAX = 20000, ALL_SHARE = 5, REPEAT_MAX = 10000, RULES_MAX_BYTES = 1 << 20 };

typedef struct Linking {
    Pg *pg;
    const PersonWork *work;
    PgResult *rules; /* of PERSON_RULES */
    bool is_all, has_sides;
    PersonOutcome outcome;
} Linking;

static bool run(Linking *l, const char *sql, Error *err) { return pg_exec(l->pg, sql, PG_NONE, NULL, err); }

static const char *number(Linking *l, int64_t value) {
    return arena_printf(l->work->arena, "%lld", (long long)value);
}

static bool count(Linking *l, const char *sql, int64_t *ret_count, Error *err) {
    CLEANUP(pg_result_drop) PgResult *counted = pg_query(l->pg, sql, PG_NONE, err);
    TRY(counted);
    *ret_count = pg_int(counted, 0, 0);
    return true;
}

/* ---- the rules in force ---- */

static const char *joined(Arena *arena, const PersonRule *rule) {
    const char *text = rule->match[0];
    for (size_t i = 1; i < rule->n_match; i++)
        text = arena_printf(arena, "%s,%s", text, rule->match[i]);
    return text;
}

/* Names and attributes as two array literals. */
static bool rules_params(const PersonRule *rules, size_t n, Arena *arena, PgParams *ret_params, Error *err) {
    const char *literals[2];
    for (int which = 0; which < 2; which++) {
        CLEANUP(buf_drop) Buf list = pg_array(RULES_MAX_BYTES);
        for (size_t i = 0; i < n; i++)
            pg_array_text(&list, str_of(which == 0 ? rules[i].name : joined(arena, &rules[i])));
        const char *literal = pg_array_end(&list, err);
        TRY(literal);
        literals[which] = arena_string(arena, str_of(literal));
    }
    *ret_params = (PgParams){.values = {literals[0], literals[1]}, .n = 2};
    return true;
}

static bool compare_rules(Pg *pg, const PgParams *params, bool *ret_differ, bool *ret_all, Error *err) {
    CLEANUP(pg_result_drop) PgResult *compared = pg_query(pg, SQL_PERSON_RULES_DIFFER, params, err);
    TRY(compared);
    *ret_differ = pg_bool(compared, 0, 0);
    *ret_all = *ret_differ && pg_bool(compared, 0, 1);
    return true;
}

bool person_rules_differ(Pg *pg, const PersonRule *rules, size_t n_rules, Arena *arena, bool *ret_all, Error *err) {
    PgParams params;
    bool differ;
    return rules_params(rules, n_rules, arena, &params, err) && compare_rules(pg, &params, &differ, ret_all, err);
}

bool person_rules_set(Pg *tx, const PersonRule *rules, size_t n_rules, Arena *arena, bool *ret_all, Error *err) {
    PgParams params;
    bool differ;
    TRY(rules_params(rules, n_rules, arena, &params, err) && compare_rules(tx, &params, &differ, ret_all, err));
    if (!differ)
        return true;
    return pg_exec(tx, SQL_PERSON_RULES_FORGET, PG_NONE, NULL, err) &&
           pg_exec(tx, SQL_PERSON_RULES_WRITE, &params, NULL, err);
}

/* Columns of PERSON_RULES. */
enum { RULE_NAME, RULE_COLUMNS, RULE_INDEX_COLUMNS, RULE_KEY, RULE_KEY_EXPRESSION };

static const char *for_rule(Linking *l, const char *sql, int rule, int columns) {
    return sql_fill(l->work->arena, sql, {"columns", pg_text(l->rules, rule, columns)});
}

/* ---- who is looked at ---- */

static bool is_for_all(Linking *l, int64_t n_found, bool *ret_is_all, Error *err) {
    int64_t current;
    *ret_is_all = l->work->is_all;
    if (*ret_is_all || n_found <= FOUND_MAX)
        return true;
    TRY(count(l, SQL_PERSON_COUNT_CURRENT, &current, err));
    *ret_is_all = n_found > current / ALL_SHARE;
    return true;
}

static bool has_key(Linking *l, int rule) { return pg_text(l->rules, rule, RULE_KEY)[0] != '\0'; }

static const char *key_list(Linking *l) {
    const char *list = "";
    for (int rule = 0; rule < pg_rows(l->rules); rule++)
        if (has_key(l, rule))
            list = arena_printf(l->work->arena, "%s, %s", list, pg_text(l->rules, rule, RULE_KEY_EXPRESSION));
    return list;
}

static bool add_candidates(Linking *l, const char *key, Error *err) {
    return run(l, sql_fill(l->work->arena, SQL_PERSON_CANDIDATE_RULE, {"key", key}), err);
}

/* Everybody has evidence; members are those alone whom it concerns. */
static bool take_all(Linking *l, Error *err) {
    TRY(run(l, SQL_PERSON_SESSION_ALL, err) && run(l, SQL_PERSON_DAY, err));
    TRY(run(l, sql_fill(l->work->arena, SQL_PERSON_KEY, {"keys", key_list(l)}), err));
    TRY(run(l, SQL_PERSON_CANDIDATE, err) && add_candidates(l, "number", err));
    for (int rule = 0; rule < pg_rows(l->rules); rule++)
        TRY(!has_key(l, rule) || add_candidates(l, pg_text(l->rules, rule, RULE_KEY), err));
    return run(l, SQL_PERSON_TAKE_CANDIDATES, err);
}

static bool spread(Linking *l, int round, Error *err) {
    const PgParams *params = PG_PARAMS(number(l, round));
    TRY(run(l, SQL_PERSON_FOUND_CLEAR, err));
    TRY(pg_exec(l->pg, SQL_PERSON_SPREAD_OTHERS, params, NULL, err));
    for (int rule = 0; rule < pg_rows(l->rules); rule++)
        TRY(pg_exec(l->pg, for_rule(l, SQL_PERSON_SPREAD_RULE, rule, RULE_INDEX_COLUMNS), params, NULL, err));
    return true;
}

/* Round by round, until nobody new is found. */
static bool take_found(Linking *l, Error *err) {
    TRY(run(l, SQL_PERSON_SESSION_FEW, err));
    for (int round = 0; round < REPEAT_MAX; round++) {
        int64_t n = 0;
        TRY(pg_exec(l->pg, SQL_PERSON_TAKE, PG_PARAMS(number(l, round)), &n, err));
        if (n == 0)
            return true;
        TRY(spread(l, round, err));
    }
    return error_set(err, STATE_BUG, "persons: those who hang together have no end");
}

/* ---- groups ---- */

/* Takes out of the classes what contradicts itself, and tells it. `set`: class or root. */
static bool refuse(Linking *l, const char *set, const PgParams *rule, Error *err) {
    Arena *arena = l->work->arena;
    int64_t n = 0;
    TRY(pg_exec(l->pg, sql_fill(arena, SQL_PERSON_REFUSE, {"set", set}), PG_NONE, &n, err));
    if (n == 0)
        return true;
    TRY(pg_exec(l->pg, sql_fill(arena, SQL_PERSON_REFUSE_TELL, {"set", set}), rule, NULL, err));
    TRY(run(l, sql_fill(arena, SQL_PERSON_REFUSE_DROP, {"set", set}), err));
    return run(l, SQL_PERSON_REFUSED_CLEAR, err);
}

static bool spread_roots(Linking *l, bool *ret_have_met, Error *err) {
    *ret_have_met = false;
    for (int round = 0; round < REPEAT_MAX; round++) {
        int64_t n = 0;
        TRY(pg_exec(l->pg, SQL_PERSON_CLASS_SPREAD, PG_NONE, &n, err));
        if (n == 0)
            return true;
        *ret_have_met = true;
    }
    return error_set(err, STATE_BUG, "persons: groups do not come to rest");
}

static bool join(Linking *l, int place, Error *err) {
    return pg_exec(l->pg, SQL_PERSON_JOIN, PG_PARAMS(number(l, place)), NULL, err) &&
           run(l, SQL_PERSON_CLASS_CLEAR, err);
}

static bool apply_merges(Linking *l, Error *err) {
    int64_t n = 0;
    bool have_met;
    TRY(pg_exec(l->pg, SQL_PERSON_CLASS_MERGED, PG_NONE, &n, err));
    return n == 0 || (spread_roots(l, &have_met, err) && join(l, 0, err));
}

/* First every class by itself, then what classes with a common group come to together. */
static bool apply_rule(Linking *l, int rule, Error *err) {
    int place = rule + 1;
    const PgParams *named = PG_PARAMS(number(l, place), pg_text(l->rules, rule, RULE_NAME));
    int64_t n = 0;
    bool have_met;
    TRY(pg_exec(l->pg, for_rule(l, SQL_PERSON_CLASS_RULE, rule, RULE_COLUMNS), PG_NONE, &n, err));
    if (n == 0)
        return true;
    if (l->has_sides)
        TRY(pg_exec(l->pg, SQL_PERSON_CLASS_SIDES, named, NULL, err) && run(l, SQL_PERSON_CLASS_ALONE, err));
    TRY(refuse(l, "class", named, err));
    TRY(spread_roots(l, &have_met, err));
    if (have_met)
        TRY(refuse(l, "root", named, err));
    return join(l, place, err);
}

static bool find_evidence(Linking *l, Error *err) {
    int64_t n_sides;
    TRY(run(l, SQL_PERSON_MEMBER_ANALYZE, err));
    TRY(run(l, SQL_PERSON_SSN_FIND, err) && run(l, SQL_PERSON_SSN_SHARED, err));
    TRY(pg_exec(l->pg, SQL_PERSON_SIDE_FIND, PG_NONE, &n_sides, err));
    l->has_sides = n_sides > 0;
    return run(l, SQL_PERSON_CLASS, err) && run(l, SQL_PERSON_REFUSED, err) && run(l, SQL_PERSON_CONFLICT, err);
}

static bool find_groups(Linking *l, Error *err) {
    TRY(find_evidence(l, err));
    TRY(apply_merges(l, err));
    for (int rule = 0; rule < pg_rows(l->rules); rule++)
        TRY(apply_rule(l, rule, err));
    return true;
}

/* ---- writing ---- */

static bool write_link(Linking *l, const char *sql, Error *err) {
    int64_t n = 0;
    TRY(pg_exec(l->pg, sql, PG_PARAMS(number(l, l->work->run_id)), &n, err));
    l->outcome.n_linked += n;
    return true;
}

static bool write_links(Linking *l, Error *err) {
    TRY(run(l, SQL_PERSON_LINKED, err) && write_link(l, SQL_PERSON_LINK_NEW, err));
    TRY(write_link(l, SQL_PERSON_LINK_AGAIN, err) && run(l, SQL_PERSON_MOVE, err));
    if (!l->is_all)
        return true;
    return write_link(l, SQL_PERSON_LINK_OTHERS, err) && run(l, SQL_PERSON_MOVE_OTHERS, err) &&
           run(l, SQL_PERSON_MOVED_ANALYZE, err);
}

static bool write_persons(Linking *l, Error *err) {
    PersonOutcome *outcome = &l->outcome;
    const PgParams *run_id = PG_PARAMS(number(l, l->work->run_id));
    TRY(run(l, SQL_PERSON_OWNED, err) && run(l, SQL_PERSON_GROUP, err));
    TRY(pg_exec(l->pg, SQL_PERSON_ALIAS_FIND, PG_NONE, &outcome->n_merged, err));
    if (outcome->n_merged > 0)
        TRY(run(l, SQL_PERSON_ALIAS_AGAIN, err) && pg_exec(l->pg, SQL_PERSON_ALIAS, run_id, NULL, err) &&
            pg_exec(l->pg, SQL_PERSON_ALIAS_AUDIT, PG_PARAMS(number(l, l->work->run_id), l->work->actor), NULL, err));
    return write_links(l, err);
}

static bool write_reviews(Linking *l, Error *err) {
    return run(l, SQL_PERSON_CONFLICT_SSN, err) && run(l, SQL_PERSON_OPEN, err) &&
           run(l, SQL_PERSON_REVIEW_CLOSE, err) &&
           pg_exec(l->pg, SQL_PERSON_REVIEW_OPEN, PG_NONE, &l->outcome.n_opened, err);
}

bool person_begin(Pg *tx, Error *err) {
    static const char *const TABLES[] = {SQL_PERSON_SESSION, SQL_PERSON_BEGIN_FOUND, SQL_PERSON_BEGIN_MEMBER,
                                         SQL_PERSON_BEGIN_MOVED};
    for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; i++)
        TRY(pg_exec(tx, TABLES[i], PG_NONE, NULL, err));
    return true;
}

bool person_link(Pg *tx, const PersonWork *work, PersonOutcome *ret_outcome, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rules = pg_query(tx, SQL_PERSON_RULES, PG_NONE, err);
    Linking l = {.pg = tx, .work = work, .rules = rules};
    int64_t n_found;
    TRY(rules && count(&l, SQL_PERSON_COUNT_FOUND, &n_found, err));
    *ret_outcome = l.outcome;
    if (n_found == 0 && !work->is_all)
        return true;
    TRY(is_for_all(&l, n_found, &l.is_all, err));
    TRY(l.is_all ? take_all(&l, err) : take_found(&l, err));
    TRY(find_groups(&l, err) && write_persons(&l, err) && write_reviews(&l, err));
    *ret_outcome = l.outcome;
    return true;
}

bool person_show(Pg *pg, const char *person_id, Buf *out, bool *ret_found, Error *err) {
    CLEANUP(pg_result_drop) PgResult *rows = pg_query(pg, SQL_PERSON_SHOW, PG_PARAMS(person_id), err);
    TRY(rows);
    *ret_found = pg_rows(rows) == 1;
    if (*ret_found)
        buf_put_str(out, pg_value(rows, 0, 0));
    return true;
}

/* ---- decisions ---- */

/* In the arena, NULL when nobody bears or bore it. */
static bool find_survivor(Pg *tx, const char *id, Arena *arena, const char **ret_id, Error *err) {
    CLEANUP(pg_result_drop) PgResult *found = pg_query(tx, SQL_PERSON_SURVIVOR, PG_PARAMS(id), err);
    TRY(found);
    *ret_id = pg_rows(found) == 1 ? arena_string(arena, pg_value(found, 0, 0)) : NULL;
    return true;
}

static bool lock(Pg *tx, Error *err) {
    return pg_exec(tx, SQL_PERSON_LOCK_LIMIT, PG_NONE, NULL, err) &&
           pg_exec(tx, SQL_PLACEMENT_LOCK_EXCLUSIVE, PG_NONE, NULL, err);
}

/* Everybody of the two persons and whoever hangs together with them, in a batch of its own, so that it is
 * published. Only the persons' ids change: no fact has to be settled. */
static bool link_decided(Pg *tx, const PersonDecision *decision, const char *first, const char *second, Error *err) {
    int64_t batch_id, n_rows = 0;
    PersonOutcome outcome;
    PersonWork work = {.actor = decision->actor, .arena = decision->arena};
    TRY(state_batch_id(tx, &batch_id, err));
    const char *batch = arena_printf(decision->arena, "%lld", (long long)batch_id);
    TRY(person_begin(tx, err));
    TRY(pg_exec(tx, SQL_PERSON_FIND_DECIDED, PG_PARAMS(first, second), NULL, err));
    TRY(person_link(tx, &work, &outcome, err));
    TRY(pg_exec(tx, SQL_PERSON_WRITE, PG_PARAMS(batch), &n_rows, err));
    BatchCounts counts = {.rows_read = outcome.n_linked, .rows_changed = n_rows};
    return state_batch_write(tx, batch_id, 0, "persons", &counts, err) &&
           state_batch_settled(tx, batch_id, err);
}

static bool audit(Pg *tx, const PersonDecision *decision, const char *action, const char *person, const char *details,
                  Error *err) {
    return audit_write(tx, &(AuditLine){.actor = decision->actor, .action = action, .object = person,
                                        .outcome = "done", .details = details}, err);
}

/* Whether the members named may leave. */
static bool check_named(Pg *tx, const PersonDecision *decision, const char *person, PersonDecided *ret_decided,
                        Error *err) {
    TRY(pg_exec(tx, SQL_PERSON_NAMED_BEGIN, PG_PARAMS(decision->source_ids, decision->source_systems), NULL, err));
    CLEANUP(pg_result_drop) PgResult *counted = pg_query(tx, SQL_PERSON_NAMED_COUNT, PG_PARAMS(person), err);
    TRY(counted);
    int64_t named = pg_int(counted, 0, 0), theirs = pg_int(counted, 0, 1), members = pg_int(counted, 0, 2);
    *ret_decided = theirs < named      ? PERSON_NOT_MEMBER
                   : named == members ? PERSON_ALL_NAMED
                                      : PERSON_DECIDED;
    return true;
}

static bool person_of_named(Pg *tx, const PersonDecision *decision, const char **ret_id, Error *err) {
    CLEANUP(pg_result_drop) PgResult *found = pg_query(tx, SQL_PERSON_OF_NAMED, PG_NONE, err);
    TRY(found);
    *ret_id = arena_string(decision->arena, pg_value(found, 0, 0));
    return true;
}

bool person_split(Pg *pg, const PersonDecision *decision, PersonDecided *ret_decided, const char **ret_id, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    const char *person, *left;
    TRY(tx && lock(tx, err) && find_survivor(tx, decision->person_id, decision->arena, &person, err));
    *ret_decided = PERSON_UNKNOWN;
    if (person)
        TRY(check_named(tx, decision, person, ret_decided, err));
    if (*ret_decided != PERSON_DECIDED)
        return true;
    TRY(pg_exec(tx, SQL_PERSON_SPLIT_WRITE, PG_PARAMS(person, decision->actor), NULL, err));
    TRY(pg_exec(tx, SQL_PERSON_SPLIT_UNMERGE, PG_NONE, NULL, err));
    TRY(pg_exec(tx, SQL_PERSON_SPLIT_DISOWN, PG_NONE, NULL, err));
    FAILPOINT("person.after_decision");
    TRY(link_decided(tx, decision, person, NULL, err));
    TRY(person_of_named(tx, decision, &left, err));
    TRY(audit(tx, decision, "person.split", person,
              arena_printf(decision->arena, "{\"left\":\"%s\"}", left), err));
    FAILPOINT("person.before_commit");
    TRY(pg_commit(&tx, PG_FLUSHED, err));
    *ret_id = left;
    return true;
}

bool person_merge(Pg *pg, const PersonDecision *decision, PersonDecided *ret_decided, const char **ret_id, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    const char *person, *other, *survivor;
    TRY(tx && lock(tx, err) && find_survivor(tx, decision->person_id, decision->arena, &person, err));
    TRY(find_survivor(tx, decision->other_id, decision->arena, &other, err));
    *ret_decided = person && other ? PERSON_DECIDED : PERSON_UNKNOWN;
    *ret_id = person;
    if (!person || !other || strcmp(person, other) == 0)
        return true;
    TRY(pg_exec(tx, SQL_PERSON_MERGE_WRITE, PG_PARAMS(person, other, decision->actor), NULL, err));
    TRY(pg_exec(tx, SQL_PERSON_MERGE_UNSPLIT, PG_PARAMS(person, other), NULL, err));
    FAILPOINT("person.after_decision");
    TRY(link_decided(tx, decision, person, other, err));
    TRY(find_survivor(tx, person, decision->arena, &survivor, err));
    FAILPOINT("person.before_commit");
    TRY(pg_commit(&tx, PG_FLUSHED, err));
    *ret_id = survivor;
    return true;
}

static bool is_known_review(Pg *tx, const char *review, bool *ret_is_known, Error *err) {
    CLEANUP(pg_result_drop) PgResult *known = pg_query(tx, SQL_PERSON_REVIEW_KNOWN, PG_PARAMS(review), err);
    TRY(known);
    *ret_is_known = pg_bool(known, 0, 0);
    return true;
}

bool person_dismiss(Pg *pg, int64_t review_id, const char *actor, PersonDecided *ret_decided, Error *err) {
    char review[24];
    int64_t n_dismissed = 0;
    bool is_known = true;
    snprintf(review, sizeof review, "%lld", (long long)review_id);
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx && lock(tx, err));
    TRY(pg_exec(tx, SQL_PERSON_REVIEW_DISMISS, PG_PARAMS(review, actor), &n_dismissed, err));
    if (n_dismissed == 0)
        TRY(is_known_review(tx, review, &is_known, err));
    *ret_decided = is_known ? PERSON_DECIDED : PERSON_UNKNOWN;
    if (n_dismissed == 0)
        return true;
    TRY(audit_write(tx, &(AuditLine){.actor = actor, .action = "person.dismiss", .object = review, .outcome = "done"},
                    err));
    FAILPOINT("person.before_commit");
    return pg_commit(&tx, PG_FLUSHED, err);
}
