/* cleaner.h - cleaners: each a function from a field's text to a value, and the table of them.
 *
 * One table in cleaner.c: name, arguments, what it makes, function; documents read it through cleaner_next().
 * A cleaner sees text, and leaves text; a reader makes a date, a time, an amount or a number of it. NULL passes them by
 * but for those that say otherwise (default, gender). A bad value becomes NULL, and its flag is set.
 * Pure; any thread. Not how cleaners follow each other: chain.h. */
#pragma once
#include "transform/address.h"
#include "transform/mapping.h"

/* Raised when a cleaner, a derivation or a built-in rule gives another result for the same text: rows
 * cleaned before are then cleaned again from bronze (part of mapping_fingerprint()). */
#define CLEANERS_VERSION "3"

/* What the cells of one row share while it is cleaned. */
typedef struct CleanRow {
    Arena *page;
    const Zone *zone;
    uint64_t flags;          /* bits of Flag */
    const char *address_at;  /* the text `address` was parsed from: four columns ask for one */
    size_t address_size;
    Address address;
} CleanRow;

/* Where a column's text comes from. */
typedef struct CellSource {
    int field;         /* index of its first `from` column, or -1 */
    const int *others; /* the further ones, for concat */
    size_t n_others;
    FieldKind kind;
    bool folds_case;
} CellSource;

/* A field on its way through a chain. */
typedef struct Cell {
    Value *value;      /* where it ends: the record's; copying it costs more than most cleaners */
    const Str *fields; /* the row */
    const CellSource *source;
    CleanRow *row;
} Cell;

typedef void CleanFunction(Cell *cell, const void *args);
/* Of the cell's text without blanks around it; false when it cannot be read. Takes no byte that text_repair() would
 * mend: what can be read needs no look at its bytes before. */
typedef bool ReadFunction(const Cell *cell, Str text, const void *args, int64_t *ret_number);
/* True: the text is clean, and the cleaner would leave it as it is. False says nothing. */
typedef bool LeavesFunction(Str text);

/* ---- putting one to use ---- */

typedef enum ArgsKind {
    ARGS_NONE,
    ARGS_ONE,  /* exactly one, plain */
    ARGS_ANY,  /* plain ones, or none */
    ARGS_SOME, /* plain ones, at least one */
    ARGS_KEYS  /* key: value, at least one */
} ArgsKind;

/* A cleaner being put into a chain. */
enum { CLEANER_MISTAKE_BYTES = 300 };
typedef struct Setting {
    Arena *arena;
    const CleanerSpec *spec;
    const Column *column;
    char *ret_mistake; /* CLEANER_MISTAKE_BYTES */
} Setting;

typedef struct Cleaner {
    const char *name;
    ArgsKind args;
    ColumnType makes;
    CleanFunction *run; /* NULL: a reader */
    const void *(*prepare)(const Setting *setting); /* arguments as `run` or `read` wants them; NULL: as they are */
    bool takes_null;
    const char *usage; /* arguments and what it does, one line */
    ReadFunction *read;
    Flag unread; /* of what it cannot read */
    LeavesFunction *leaves; /* NULL: it is not asked */
} Cleaner;

/* In the order of the table: `previous` NULL starts, NULL ends. */
const Cleaner *cleaner_next(const Cleaner *previous);
/* NULL and a mistake that names the nearest one. `ret_mistake` as in Setting. */
const Cleaner *cleaner_find(const char *name, char *ret_mistake);
/* What `run` or `read` gets as `args`, in the setting's arena; NULL and a mistake when they mean nothing. */
const void *cleaner_prepare(const Cleaner *cleaner, const Setting *setting);
/* Reads the cell, which is not NULL; what cannot be read becomes NULL, and words for "nothing known" raise no flag. */
void cleaner_read(Cell *cell, ReadFunction *read, Flag unread, const void *args);
