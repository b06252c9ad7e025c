/* mapping.c - see mapping.h.
 *
 * Compiling resolves every name once: columns to indices, cleaners to functions, checks to programs.
 * A row then runs through flat arrays: targets (one per mapped column), the derivation, the rules. */
#include "transform/mapping.h"

#include "base/nearest.h"
#include "transform/chain.h"
#include "transform/derive.h"
#include "transform/hash.h"
#include "transform/rule.h"
#include "transform/rule_built_in.h"
#include "transform/sheet.h"
#include "transform/text.h"

#include <stdarg.h>
#include <stdio.h>

#define BIT(flag) (UINT64_C(1) << (flag))

enum { SITE_FLAGS = FLAGS_MAX - FLAG_SITE };

/* A mapped column: where its text comes from, through what it goes, where it ends. */
typedef struct Target {
    CellSource source;
    int column;
    bool is_text;
    Chain chain;
    const char *unreadable; /* why its row is not fit for use when it cannot be read */
} Target;

typedef struct BoundRule {
    const Check *check;
    int flag;
} BoundRule;

struct Mapping {
    const Entity *entity;
    const Zone *zone;
    Target *targets;
    size_t n_targets;
    const Target *id; /* NULL when it is not mapped */
    const Derivation *derivation;
    HashPlan hash;
    HistoryMode history[ENTITY_COLUMNS_MAX];
    BoundRule rules[FLAGS_MAX];
    size_t n_rules;
    uint64_t quarantined; /* flags whose rows are not fit for use */
    const char *names[FLAGS_MAX], *reasons[FLAGS_MAX];
    const RuleSpec *stops[FLAGS_MAX];
};

/* ---- mistakes ------------------------------------------------------------------------------ */

/* Where mistakes go while a specification is read: all of them to a caller, or the first to an Error. */
typedef struct Reporter {
    MappingReport report;
    void *context;
    bool is_right;
} Reporter;

static void mistake(Reporter *reporter, int line, int column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void mistake(Reporter *reporter, int line, int column, const char *format, ...) {
    char sentence[400];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    reporter->report(reporter->context, line, column, sentence);
    reporter->is_right = false;
}

static void report_first(void *context, int line, int column, const char *sentence) {
    Error *err = context;
    (void)column;
    if (err->state[0] != '\0')
        return;
    error_set(err, STATE_CONFIG, "%s", sentence);
    if (line > 0)
        error_hint(err, "see line %d of the configuration", line);
}

/* ---- columns ------------------------------------------------------------------------------- */

static int find_column(const Entity *entity, const MapSpec *map, Reporter *reporter) {
    int column = entity_column(entity, str_of(map->column));
    if (column != COLUMN_NONE && column_is_mappable(&entity->columns[column]))
        return column;
    if (column != COLUMN_NONE) {
        mistake(reporter, map->line, map->column_number,
                "column `%s` of entity %s is kept by the daemon and cannot be mapped", map->column,
                entity->name);
        return COLUMN_NONE;
    }
    char suggestion[NEAREST_TEXT_BYTES];
    Nearest nearest = nearest_start(str_of(map->column));
    for (int i = 0; i < entity->n_columns; i++)
        if (column_is_mappable(&entity->columns[i]))
            nearest_offer(&nearest, entity->columns[i].name);
    nearest_suggest(&nearest, suggestion);
    mistake(reporter, map->line, map->column_number, "unknown column `%s` of entity %s%s", map->column,
            entity->name, suggestion);
    return COLUMN_NONE;
}

static bool is_mapped_before(const MappingSpec *spec, size_t index) {
    for (size_t i = 0; i < index; i++)
        if (strcmp(spec->columns[i].column, spec->columns[index].column) == 0)
            return true;
    return false;
}

/* True when the column and a sister of it come from one and the same source column. */
static bool splits_with_sister(const MappingSpec *spec, const MapSpec *map) {
    for (size_t i = 0; map->n_from == 1 && i < spec->n_columns; i++) {
        const MapSpec *sister = &spec->columns[i];
        if (sister->n_from == 1 && strcmp(sister->from[0], map->from[0]) == 0 &&
            column_is_part_of(map->column, sister->column))
            return true;
    }
    return false;
}

static bool has_concat(const MapSpec *map) {
    for (size_t i = 0; i < map->n_clean; i++)
        if (strcmp(map->clean[i].name, "concat") == 0)
            return true;
    return map->n_clean == 0;
}

static void compile_column(Arena *arena, const MappingSpec *spec, size_t index, Target *target,
                           Reporter *reporter) {
    const MapSpec *map = &spec->columns[index];
    target->column = find_column(spec->entity, map, reporter);
    if (target->column == COLUMN_NONE)
        return;
    if (is_mapped_before(spec, index))
        mistake(reporter, map->line, map->column_number, "column `%s` is mapped twice", map->column);
    if (map->n_from == 0 && !has_concat(map) && strcmp(map->clean[0].name, "default") != 0)
        mistake(reporter, map->line, map->column_number,
                "column `%s` names no source column: say `from:`", map->column);
    if (map->n_from > 1 && !has_concat(map))
        mistake(reporter, map->line, map->column_number,
                "column `%s` comes from %zu source columns: say how they meet, with `concat`",
                map->column, map->n_from);
    const Column *column = &spec->entity->columns[target->column];
    target->is_text = column->type == TYPE_TEXT;
    reporter->is_right &= chain_compile(arena, map, column, splits_with_sister(spec, map),
                                        reporter->report, reporter->context, &target->chain);
    const char *wanted = column->type == TYPE_MONEY ? "an amount of money" : "a whole number";
    target->unreadable = arena_printf(arena, "`%s` cannot be read as %s", map->column, wanted);
}

static bool is_id_mapped(const MappingSpec *spec) {
    for (size_t i = 0; i < spec->n_columns; i++)
        if (spec->entity->id && strcmp(spec->columns[i].column, spec->entity->id) == 0)
            return true;
    return false;
}

/* What the map says of a column's versions; only attributes of members that have versions may be told of. */
static void compile_history(const MappingSpec *spec, const MapSpec *map, Mapping *mapping, Reporter *reporter) {
    int column = entity_column(spec->entity, str_of(map->column));
    if (!map->history || column == COLUMN_NONE)
        return;
    if (spec->entity->kind != ENTITY_HISTORY || spec->entity->columns[column].role != ROLE_ATTRIBUTE)
        mistake(reporter, map->line, map->column_number,
                "column `%s` has no versions: `history` is for attributes of patients and providers", map->column);
    else if (!history_mode_find(map->history, &mapping->history[column]))
        mistake(reporter, map->line, map->column_number,
                "`history` of column `%s` is `history`, `overwrite` or `ignore`, not `%s`", map->column, map->history);
}

/* What is ignored is no part of the content: it does not make the record another one. */
static HashPlan plan_hash(const Mapping *mapping) {
    const Entity *entity = mapping->entity;
    HashPlan plan = hash_plan(entity);
    for (int i = 0; entity->kind == ENTITY_HISTORY && i < entity->n_columns; i++)
        if (entity->columns[i].role == ROLE_ATTRIBUTE && mapping->history[i] == HISTORY_IGNORE)
            hash_plan_leave_out(&plan, i);
    return plan;
}

static void compile_columns(Arena *arena, const MappingSpec *spec, Mapping *mapping,
                            Reporter *reporter) {
    mapping->entity = spec->entity;
    for (int i = 0; i < spec->entity->n_columns; i++)
        mapping->history[i] = spec->entity->columns[i].history;
    for (size_t i = 0; i < spec->n_columns; i++)
        compile_history(spec, &spec->columns[i], mapping, reporter);
    mapping->targets = ARENA_ARRAY(arena, Target, spec->n_columns + 1);
    mapping->n_targets = spec->n_columns;
    for (size_t i = 0; i < spec->n_columns; i++)
        compile_column(arena, spec, i, &mapping->targets[i], reporter);
    if (!spec->entity->id)
        mistake(reporter, 0, 0, "entity %s is made by the daemon and has no feed", spec->entity->name);
    else if (!is_id_mapped(spec))
        mistake(reporter, spec->n_columns > 0 ? spec->columns[0].line : 0,
                spec->n_columns > 0 ? spec->columns[0].column_number : 0,
                "the map of entity %s needs `%s`, the row's own id", spec->entity->name,
                spec->entity->id);
}

/* ---- rules --------------------------------------------------------------------------------- */

static bool rule_is_for(const RuleSpec *rule, const Entity *entity) {
    return rule_is_of_row(rule) && (!rule->entity || strcmp(rule->entity, entity->name) == 0);
}

static int built_in_flag(const char *name) {
    for (size_t i = 0; i < N_BUILT_IN_RULES; i++)
        if (strcmp(BUILT_IN_RULES[i].name, name) == 0)
            return BUILT_IN_RULES[i].flag;
    return NO_FLAG;
}

static bool is_built_in_for(const char *name, const Entity *entity) {
    for (size_t i = 0; i < N_BUILT_IN_RULES; i++)
        if (strcmp(BUILT_IN_RULES[i].name, name) == 0 && built_in_is_for(&BUILT_IN_RULES[i], entity))
            return true;
    return false;
}

/* The configured rule that changes a built-in one, the last if there are several. */
static const RuleSpec *find_override(const MappingSpec *spec, const char *name) {
    const RuleSpec *found = NULL;
    for (size_t i = 0; i < spec->n_rules; i++)
        if (strcmp(spec->rules[i].name, name) == 0 && rule_is_for(&spec->rules[i], spec->entity))
            found = &spec->rules[i];
    return found;
}

static void set_severity(Mapping *mapping, int flag, const RuleSpec *rule) {
    mapping->quarantined &= ~BIT(flag);
    if (rule->severity == SEVERITY_QUARANTINE)
        mapping->quarantined |= BIT(flag);
    mapping->stops[flag] = rule->severity == SEVERITY_STOP ? rule : NULL;
}

static const Check *compile_check(Arena *arena, const Entity *entity, const RuleSpec *rule,
                                  Reporter *reporter) {
    Error err = {0};
    const Check *check = check_compile(arena, entity, rule_spec_check(arena, rule), &err);
    if (!check)
        mistake(reporter, rule->line, rule->column, "rule `%s`: %s", rule->name, err.text);
    return check;
}

static bool has_check(const RuleSpec *rule) {
    return rule && (rule->kind != RULE_CHECK || (rule->check && rule->check[0] != '\0'));
}

static void bind_rule(Arena *arena, Mapping *mapping, int flag, const Check *check,
                      const RuleSpec *rule) {
    if (check)
        mapping->rules[mapping->n_rules++] = (BoundRule){check, flag};
    mapping->names[flag] = rule->name;
    mapping->reasons[flag] = rule->says || has_check(rule)
                                 ? arena_printf(arena, "the row breaks the rule %s: %s", rule->name,
                                                rule_spec_sentence(arena, rule))
                                 : arena_printf(arena, "the row is marked %s", rule->name);
}

/* In the form of a configured one. */
static const RuleSpec *spec_of(Arena *arena, const BuiltInRule *built_in) {
    RuleSpec *rule = ARENA_NEW(arena, RuleSpec);
    *rule = (RuleSpec){.name = built_in->name, .entity = built_in->entity, .check = built_in->check,
                       .severity = built_in->severity};
    return rule;
}

/* A configured rule of the same name changes the severity, or the check. A built-in check whose columns no source column
 * fills says nothing and is left out. */
static void bind_built_in(Arena *arena, const MappingSpec *spec, Mapping *mapping, const BuiltInRule *built_in,
                          const bool *is_filled, Reporter *reporter) {
    const RuleSpec *rule = spec_of(arena, built_in), *override = find_override(spec, rule->name);
    const RuleSpec *checked = has_check(override) ? override : rule;
    const Check *check = NULL;
    if (checked == override)
        check = compile_check(arena, spec->entity, checked, reporter);
    else if (has_check(rule))
        check = check_compile(arena, spec->entity, rule->check, &(Error){0});
    if (check && checked == rule && !check_reads_only(check, is_filled))
        check = NULL;
    bind_rule(arena, mapping, built_in->flag, check, checked);
    set_severity(mapping, built_in->flag, override ? override : rule);
}

static void bind_all_built_in(Arena *arena, const MappingSpec *spec, Mapping *mapping, const bool *is_filled,
                              Reporter *reporter) {
    for (size_t i = 0; i < N_BUILT_IN_RULES; i++)
        if (BUILT_IN_RULES[i].flag != NO_FLAG && built_in_is_for(&BUILT_IN_RULES[i], spec->entity))
            bind_built_in(arena, spec, mapping, &BUILT_IN_RULES[i], is_filled, reporter);
}

/* Rules under one name share a flag, also with a built-in rule of another entity. */
static int site_flag(const Mapping *mapping, const char *name, int n_site) {
    if (built_in_flag(name) >= 0)
        return built_in_flag(name);
    for (int flag = FLAG_SITE; flag < FLAG_SITE + n_site; flag++)
        if (strcmp(mapping->names[flag], name) == 0)
            return flag;
    return FLAG_SITE + n_site;
}

static void bind_site(Arena *arena, const MappingSpec *spec, Mapping *mapping, Reporter *reporter) {
    int n_site = 0;
    for (size_t i = 0; i < spec->n_rules; i++) {
        const RuleSpec *rule = &spec->rules[i];
        if (!rule_is_for(rule, spec->entity) || is_built_in_for(rule->name, spec->entity))
            continue;
        if (!has_check(rule)) {
            mistake(reporter, rule->line, rule->column,
                    "rule `%s` is not built in and needs a `check:`", rule->name);
            continue;
        }
        int flag = site_flag(mapping, rule->name, n_site);
        if (flag >= FLAGS_MAX || mapping->n_rules >= FLAGS_MAX) {
            mistake(reporter, rule->line, rule->column,
                    "rule `%s` is one too many for entity %s: %d fit", rule->name,
                    spec->entity->name, SITE_FLAGS);
            return;
        }
        n_site = flag - FLAG_SITE + 1 > n_site ? flag - FLAG_SITE + 1 : n_site;
        bind_rule(arena, mapping, flag, compile_check(arena, spec->entity, rule, reporter), rule);
        set_severity(mapping, flag, rule);
    }
}

static void compile_rules(Arena *arena, const MappingSpec *spec, Mapping *mapping,
                          Reporter *reporter) {
    bool is_filled[ENTITY_COLUMNS_MAX] = {false};
    for (size_t i = 0; i < mapping->n_targets; i++)
        if (mapping->targets[i].column != COLUMN_NONE)
            is_filled[mapping->targets[i].column] = true;
    for (int flag = 0; flag < FLAG_SITE; flag++)
        mapping->names[flag] = flag_name((Flag)flag);
    bind_all_built_in(arena, spec, mapping, is_filled, reporter);
    bind_site(arena, spec, mapping, reporter);
}

bool mapping_check(const MappingSpec *spec, MappingReport report, void *context) {
    Arena *arena = arena_open();
    Reporter reporter = {report, context, true};
    Mapping *mapping = ARENA_NEW(arena, Mapping);
    compile_columns(arena, spec, mapping, &reporter);
    compile_rules(arena, spec, mapping, &reporter);
    arena_free(arena);
    return reporter.is_right;
}

/* ---- against the source's columns ---------------------------------------------------------- */

static int find_field(const Field *fields, size_t n_fields, const char *name) {
    for (size_t i = 0; i < n_fields; i++)
        if (strcmp(fields[i].name, name) == 0)
            return (int)i;
    return -1;
}

static bool fail_field(const MapSpec *map, const char *name, const Field *fields, size_t n_fields,
                       Error *err) {
    char suggestion[NEAREST_TEXT_BYTES];
    Nearest nearest = nearest_start(str_of(name));
    for (size_t i = 0; i < n_fields; i++)
        nearest_offer(&nearest, fields[i].name);
    nearest_suggest(&nearest, suggestion);
    error_set(err, STATE_CONFIG, "the source has no column `%s`, from which `%s` is mapped%s", name,
              map->column, suggestion);
    return error_hint(err, "mend the name in the map, or take `%s` out of it", map->column);
}

static bool bind_fields(Arena *arena, const MapSpec *map, const Field *fields, size_t n_fields,
                        Target *target, Error *err) {
    target->source.field = -1;
    if (map->n_from == 0)
        return true;
    int *others = ARENA_ARRAY(arena, int, map->n_from);
    for (size_t i = 0; i < map->n_from; i++) {
        int field = find_field(fields, n_fields, map->from[i]);
        if (field < 0)
            return fail_field(map, map->from[i], fields, n_fields, err);
        others[i] = field;
        target->source.folds_case |= fields[field].folds_case;
    }
    target->source.field = others[0];
    target->source.kind = fields[others[0]].kind;
    target->source.others = others + 1;
    target->source.n_others = map->n_from - 1;
    return true;
}

static const Target *target_of(const Mapping *mapping, int column) {
    for (size_t i = 0; i < mapping->n_targets; i++)
        if (mapping->targets[i].column == column)
            return &mapping->targets[i];
    return NULL;
}

Mapping *mapping_compile(Arena *arena, const MappingSpec *spec, const Field *fields, size_t n_fields,
                         const Zone *zone, Error *err) {
    Mapping *mapping = ARENA_NEW(arena, Mapping);
    error_clear(err);
    Reporter reporter = {report_first, err, true};
    compile_columns(arena, spec, mapping, &reporter);
    compile_rules(arena, spec, mapping, &reporter);
    if (!reporter.is_right)
        return NULL;
    for (size_t i = 0; i < spec->n_columns; i++)
        TRY_NULL(bind_fields(arena, &spec->columns[i], fields, n_fields, &mapping->targets[i], err));
    mapping->zone = zone;
    mapping->id = target_of(mapping, entity_column(spec->entity, str_of(spec->entity->id)));
    mapping->derivation = derive_compile(arena, spec->entity);
    mapping->hash = plan_hash(mapping);
    return mapping;
}

/* ---- rows ---------------------------------------------------------------------------------- */

static void repair(CleanRow *row, Value *value) {
    bool is_repaired = false;
    *value = value_text(text_repair(row->page, value_str(*value), &is_repaired));
    row->flags |= is_repaired ? BIT(FLAG_TEXT_REPAIRED) : 0;
}

static void clean_target(const Target *target, const Str *fields, CleanRow *row, Value *ret_value) {
    Str text = target->source.field < 0 ? STR_NULL : fields[target->source.field];
    Cell cell = {.value = ret_value, .fields = fields, .source = &target->source, .row = row};
    if (chain_run_short(&target->chain, &cell, text))
        return;
    *ret_value = value_text(text);
    if (text.at && !text_is_clean_utf8(text))
        repair(row, ret_value);
    chain_run(&target->chain, &cell);
    if (target->is_text && ret_value->is_set && ret_value->size == 0)
        ret_value->is_set = false; /* an empty text tells nothing */
}

static void reject(Record *record, const char *rule, const char *reason) {
    record->reject_rule = rule;
    record->reject_reason = reason;
}

/* Cleans every mapped column; remembers the first one that could not be read. */
static const Target *clean_targets(const Mapping *mapping, const Str *fields, CleanRow *row,
                                   Value *values) {
    const Target *unreadable = NULL;
    for (const Target *target = mapping->targets, *end = target + mapping->n_targets; target < end; target++) {
        clean_target(target, fields, row, &values[target->column]);
        if (row->flags & BIT(FLAG_AMOUNT_UNREADABLE) && !unreadable)
            unreadable = target;
    }
    return unreadable;
}

static bool tells(const Record *record, const char *column) {
    return record->values[entity_column(record->entity, str_of(column))].is_set;
}

/* What spreadsheets make of claims: rows that are none, and ids that are not those of their claims any more. */
static bool judge_claim(const Mapping *mapping, Record *record) {
    Str id = value_str(record->values[mapping->id->column]);
    if (sheet_has_rounded(id))
        reject(record, "key_rounded", "the id was rounded, as spreadsheets do with long numbers; have its column written as text");
    else if (sheet_says_total(id) && !tells(record, "source_patient_id") && !tells(record, "service_date") && !tells(record, "claim_date"))
        reject(record, "total_row", "the row adds up others: its id says so, and it names no patient and no date");
    return record->reject_rule == NULL;
}

static void judge(const Mapping *mapping, Record *record, const Target *unreadable) {
    if (!mapping->id || !record->values[mapping->id->column].is_set) {
        reject(record, "key_missing", "the row has no id");
        return;
    }
    if (mapping->entity->kind == ENTITY_CLAIM && !judge_claim(mapping, record))
        return;
    uint64_t broken = record->flags & mapping->quarantined;
    if (!broken)
        return;
    int flag = __builtin_ctzll(broken);
    bool is_amount = flag == FLAG_AMOUNT_UNREADABLE && unreadable;
    reject(record, mapping->names[flag], is_amount ? unreadable->unreadable : mapping->reasons[flag]);
}

void mapping_clean(const Mapping *mapping, const Str *fields, int64_t source_hash, Arena *page,
                   Record *ret_record) {
    CleanRow row = {.page = page, .zone = mapping->zone};
    Record *record = ret_record;
    const Target *unreadable = clean_targets(mapping, fields, &row, record->values);
    record->entity = mapping->entity;
    record->flags = row.flags;
    record->source_hash = source_hash;
    record->reject_rule = record->reject_reason = NULL;
    derive(mapping->derivation, record);
    for (size_t i = 0; i < mapping->n_rules; i++)
        if (check_is_broken(mapping->rules[i].check, record->values))
            record->flags |= BIT(mapping->rules[i].flag);
    judge(mapping, record, unreadable);
    hash_record_by(&mapping->hash, record, record->record_hash);
}

static bool is_reader(const Mapping *mapping, const Target *target) {
    ColumnType type = mapping->entity->columns[target->column].type;
    return target->source.field >= 0 && target->source.n_others == 0 &&
           (type == TYPE_DATE || type == TYPE_TIMESTAMP || type == TYPE_MONEY);
}

size_t mapping_readers(const Mapping *mapping, MappingReader ret_readers[ENTITY_COLUMNS_MAX]) {
    size_t n = 0;
    for (size_t i = 0; i < mapping->n_targets; i++)
        if (is_reader(mapping, &mapping->targets[i]))
            ret_readers[n++] = (MappingReader){mapping->targets[i].source.field,
                                               mapping->entity->columns[mapping->targets[i].column].type};
    return n;
}

uint64_t mapping_unread(const Mapping *mapping, const Str *fields, Arena *page) {
    uint64_t unread = 0, bit = 1;
    for (size_t i = 0; i < mapping->n_targets; i++) {
        if (!is_reader(mapping, &mapping->targets[i]))
            continue;
        CleanRow row = {.page = page, .zone = mapping->zone};
        Value value = VALUE_NULL;
        clean_target(&mapping->targets[i], fields, &row, &value);
        unread |= row.flags & (BIT(FLAG_DATE_INVALID) | BIT(FLAG_AMOUNT_UNREADABLE)) ? bit : 0;
        bit <<= 1;
    }
    return unread;
}

const char *mapping_flag_name(const Mapping *mapping, int flag) {
    return flag >= 0 && flag < FLAGS_MAX ? mapping->names[flag] : NULL;
}

Str mapping_id(const Mapping *mapping, const Str *fields, Arena *page) {
    CleanRow row = {.page = page, .zone = mapping->zone};
    Value id = VALUE_NULL;
    if (mapping->id)
        clean_target(mapping->id, fields, &row, &id);
    return value_str(id);
}

int mapping_id_field(const Mapping *mapping) {
    return mapping->id && mapping->id->source.n_others == 0 ? mapping->id->source.field : -1;
}

Str mapping_fold_id(const Mapping *mapping, Str text, Arena *page) {
    return mapping->id->source.folds_case ? text_upper(page, text) : text;
}

int mapping_folded_field(const Mapping *mapping, int column) {
    const Target *target = target_of(mapping, column);
    bool is_one = target && target->source.n_others == 0;
    return is_one && target->source.folds_case ? target->source.field : -1;
}

Str mapping_spelling(const Mapping *mapping, int column, const Str *fields, Arena *page) {
    Target target = *target_of(mapping, column);
    target.source.folds_case = false;
    CleanRow row = {.page = page, .zone = mapping->zone};
    Value text = VALUE_NULL;
    clean_target(&target, fields, &row, &text);
    return value_str(text);
}

HistoryMode mapping_history(const Mapping *mapping, int column) { return mapping->history[column]; }

bool mapping_fills(const Mapping *mapping, int column) { return target_of(mapping, column) != NULL; }

const RuleSpec *mapping_stop_rule(const Mapping *mapping, int flag) {
    return flag >= 0 && flag < FLAGS_MAX ? mapping->stops[flag] : NULL;
}
