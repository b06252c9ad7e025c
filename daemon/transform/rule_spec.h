/* rule_spec.h - rules about the rows, as the configuration writes them, and THE table of their kinds.
 *
 * A rule over one row is a check (rule.h): not_null, type, range, pattern and list only write it more briefly, and are
 * compiled with the feed's mapping. A rule over several rows is settle's (storage/set_rule.h): its flag comes and goes with
 * the rows that make it. A rule over a feed is looked at when a run has ended, and from time to time (storage/feed_rule.h).
 * Pure; static tables; any thread. */
#pragma once
#include "base/arena.h"
#include "transform/entity.h"

typedef enum Severity { SEVERITY_FLAG, SEVERITY_QUARANTINE, SEVERITY_STOP } Severity;

typedef enum RuleKind {
    RULE_CHECK, /* whatever rule.h can say of one row: cross-field */
    RULE_NOT_NULL,
    RULE_TYPE,
    RULE_RANGE,
    RULE_PATTERN,
    RULE_LIST,
    RULE_UNIQUE,      /* no two rows of a source have these columns alike */
    RULE_REFERENCE,   /* the row that a column names is there */
    RULE_CROSS_ROW,   /* what rows with the same columns come to together */
    RULE_CROSS_TABLE, /* a column against one of the row that it names */
    RULE_FRESHNESS,   /* the feed's newest change is not older */
    RULE_VOLUME       /* a run of the feed brings about as many rows as those before */
} RuleKind;

typedef enum RuleScope { RULE_OF_ROW, RULE_OF_SET, RULE_OF_FEED } RuleScope;

/* What a rule tells about, for scores. */
typedef enum QualityDimension {
    DIMENSION_COMPLETENESS,
    DIMENSION_VALIDITY,
    DIMENSION_UNIQUENESS,
    DIMENSION_CONSISTENCY,
    DIMENSION_TIMELINESS,
    DIMENSION_INTEGRITY
} QualityDimension;

/* Built-in rules have the same form (table in mapping.c): a configured rule of the same name gives
 * another severity, and another check if it has one. `amount_unreadable` quarantines by default.
 * `{name: claim_before_service, entity: claims, check: "claim_date >= service_date", severity: flag}`.
 * A row breaks the rule when the check is false; NULL operands do not break it. */
typedef struct RuleSpec {
    const char *name;
    const char *entity; /* "": of a feed */
    const char *check;  /* of any rule over one row: rule_spec_check() */
    Severity severity;
    int stop_percent; /* SEVERITY_STOP: share of a page's rows */
    int line, column;
    RuleKind kind;
    const char *says; /* what holds of a good row, for people; NULL: rule_spec_sentence() */
    const char *attribute;
    const char *const *columns;
    size_t n_columns;
    const char *const *values;
    size_t n_values;
    const char *min, *max, *pattern, *form;
    const char *references;      /* an entity */
    const char *total, *compare; /* sum count distinct min max; = <> < <= > >= */
    const char *other;           /* "column", or "entity.column" of the row that this one names */
    const char *limit;
    const char *feed;
    int64_t within_ms;
    int percent; /* of the usual number of rows */
    int runs;    /* that make it usual */
} RuleSpec;

const char *rule_kind_name(RuleKind kind);
RuleScope rule_scope(RuleKind kind);
QualityDimension rule_dimension(RuleKind kind);
const char *dimension_name(QualityDimension dimension);
const char *severity_name(Severity severity);
static inline bool rule_is_of_row(const RuleSpec *rule) { return rule_scope(rule->kind) == RULE_OF_ROW; }

/* Whether a rule of the kind must have the key of the configuration, may have it, or must not. */
typedef enum RuleNeed { RULE_NEEDS_NOT, RULE_MAY, RULE_MUST } RuleNeed;
RuleNeed rule_kind_needs(RuleKind kind, const char *key);

/* What is written for a rule of another kind over one row: `zip matches '[0-9]{5}'`; NULL for the others. `check` of a
 * RULE_CHECK. The entity must be known; whether the columns are, compiling tells. */
const char *rule_spec_check(Arena *arena, const RuleSpec *rule);
/* What holds of a good row, in a sentence: as the configuration says it, or from the kind. */
const char *rule_spec_sentence(Arena *arena, const RuleSpec *rule);
/* Everything that the rule is made of, in one text: equal for equal rules. */
const char *rule_spec_definition(Arena *arena, const RuleSpec *rule);

/* The row that `other` and `references` speak of. */
typedef struct RuleOther {
    const Entity *entity; /* NULL: the row's own */
    int column;           /* COLUMN_NONE for references */
} RuleOther;
/* Of a rule over several rows: NULL when its names hold, else what is wrong with the first that does not. */
const char *rule_spec_mistake(Arena *arena, const RuleSpec *rule);
/* Of a rule without mistakes. */
RuleOther rule_spec_other(const RuleSpec *rule);
