/* mapping.h - how a feed's rows become records.
 *
 * A MappingSpec is what the configuration says, in names. mapping_compile() resolves it against the
 * columns the source really has; mapping_clean() then turns one row of text fields into a Record.
 * Both are pure. A compiled Mapping is immutable and may be shared by threads. */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "transform/record.h"
#include "transform/rule_spec.h"
#include "transform/zone.h"

/* `phone`, `{date: "MM/DD/YYYY"}`, `{date: [ISO, "MM/DD/YYYY"]}`, `{map: {1: Paid, 2: Denied}}`: name,
 * and for the last forms arguments; a plain argument has key NULL. */
typedef struct CleanerArg {
    const char *key;
    const char *value;
} CleanerArg;
typedef struct CleanerSpec {
    const char *name;
    const CleanerArg *args;
    size_t n_args;
    int line, column; /* where in the configuration, for sentences */
} CleanerSpec;

/* One CDM column: `first_name: {from: FirstName, clean: [trim, proper_case]}`. Several `from` columns
 * meet in the first cleaner that takes several (concat). A bare name, `city: City`, takes the
 * cleaners its column's type has by default (transform/chain.h). */
typedef struct MapSpec {
    const char *column;
    const char *const *from;
    size_t n_from;
    const CleanerSpec *clean;
    size_t n_clean;
    const char *history; /* "history", "overwrite", "ignore"; NULL: as the entity has it by default */
    int line, column_number;
} MapSpec;


typedef struct MappingSpec {
    const Entity *entity;
    const MapSpec *columns;
    size_t n_columns;
    const RuleSpec *rules; /* of every entity; those of others, and those over several rows, are passed over */
    size_t n_rules;
} MappingSpec;

/* A column as the source has it. */
typedef enum FieldKind {
    FIELD_TEXT,
    FIELD_NUMBER,
    FIELD_CIVIL,   /* date or time without zone: civil time of the source */
    FIELD_INSTANT, /* rendered in UTC */
    FIELD_BINARY   /* hex */
} FieldKind;
typedef struct Field {
    const char *name;
    FieldKind kind;
    bool folds_case; /* the collation treats 'abc' and 'ABC' as equal */
} Field;

typedef struct Mapping Mapping;

/* NULL and an error that names the column, the nearest name and the mend when a `from` column does
 * not exist, a cleaner is unknown, or a check does not parse. Allocates in `arena`. */
Mapping *mapping_compile(Arena *arena, const MappingSpec *spec, const Field *fields,
                         size_t n_fields, const Zone *zone, Error *err);

/* Checks what can be checked without the source's columns: CDM columns, cleaners and their
 * arguments, rules. Calls `report` for each mistake; returns true when there was none. */
typedef void (*MappingReport)(void *context, int line, int column, const char *sentence);
bool mapping_check(const MappingSpec *spec, MappingReport report, void *context);

/* Cleans one row: values, flags, derived columns, source_hash, record_hash, verdict. `fields` are the
 * texts in the order given to mapping_compile(). Texts made on the way live in `page`; others
 * point into `fields`. Never fails: what cannot be used is said in the record.
 * `ret_record->values` is the caller's, zeroed, one per column of the entity.
 * `source_hash` is given by the caller (hash_source()), who has needed it already. */
void mapping_clean(const Mapping *mapping, const Str *fields, int64_t source_hash, Arena *page,
                   Record *ret_record);

/* The columns that read a date, a time or an amount from one field: how many, and of each its field and what it makes. */
typedef struct MappingReader {
    int field;
    ColumnType type;
} MappingReader;
size_t mapping_readers(const Mapping *mapping, MappingReader ret_readers[ENTITY_COLUMNS_MAX]);
/* Of a row: a bit for each of them that says something and cannot be read. */
uint64_t mapping_unread(const Mapping *mapping, const Str *fields, Arena *page);

/* Name of a flag bit, built in or the mapping's own. */
const char *mapping_flag_name(const Mapping *mapping, int flag);
/* Index of the field that is the row's id, and the id as place keeps it (trimmed, folded). Returns
 * STR_NULL when it is missing. Cheap: used for the look-up before cleaning. */
Str mapping_id(const Mapping *mapping, const Str *fields, Arena *page);
/* Index of the one field that the row's id comes from; -1 when there are several. */
int mapping_id_field(const Mapping *mapping);
/* That field's text with the case of ids: a row that is spelled as its id has the id here. */
Str mapping_fold_id(const Mapping *mapping, Str text, Arena *page);
/* The field that a column of ids folds, or -1: when it is not mapped, or from several fields, or its source tells
 * case apart. */
int mapping_folded_field(const Mapping *mapping, int column);
/* What stands there, trimmed and repaired but not folded; STR_NULL when it tells nothing. */
Str mapping_spelling(const Mapping *mapping, int column, const Str *fields, Arena *page);
/* What a change of a column means to the versions of its member: as the map says, or by default. */
HistoryMode mapping_history(const Mapping *mapping, int column);
/* Does the map fill the column? */
bool mapping_fills(const Mapping *mapping, int column);
/* Which rules with SEVERITY_STOP a page broke: share in percent, or NULL. */
const RuleSpec *mapping_stop_rule(const Mapping *mapping, int flag);
