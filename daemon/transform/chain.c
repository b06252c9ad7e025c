/* chain.c - see chain.h. */
#include "transform/chain.h"

#include <stdio.h>

/* ---- what a bare name means ---- */

/* Chains of columns mapped by a bare name; other texts take `text`, other types their reader. */
typedef struct Default {
    const char *column;
    const char *cleaners[2];
} Default;
static const Default DEFAULTS[] = {
    {"first_name", {"text", "proper_case"}},
    {"middle_name", {"text", "proper_case"}},
    {"last_name", {"text", "proper_case"}},
    {"ssn", {"ssn"}},
    {"gender", {"gender"}},
    {"phone", {"phone"}},
    {"phone_extension", {"digits"}},
    {"email", {"email"}},
    {"city", {"text", "title"}},
    {"state", {"code"}},
    {"zip", {"zip"}},
    {"npi", {"npi"}},
    {"encounter_type", {"text", "title"}},
    {"visit_type", {"text", "title"}},
    {"claim_status", {"text", "title"}},
    {"procedure_code", {"code"}},
    {"diagnosis_code", {"icd10"}},
    {"group_code", {"code"}},
    {"reason_code", {"code"}},
};

static bool is_address_part(const char *column) {
    return strcmp(column, "address") == 0 || strcmp(column, "city") == 0 ||
           strcmp(column, "state") == 0 || strcmp(column, "zip") == 0;
}

bool column_is_part_of(const char *column, const char *sister) {
    if (is_address_part(column))
        return is_address_part(sister) && strcmp(column, sister) != 0;
    return strcmp(column, "phone_extension") == 0 && strcmp(sister, "phone") == 0;
}

static bool is_id(const Column *column) {
    size_t size = strlen(column->name);
    return column->role == ROLE_ID || (strncmp(column->name, "source_", 7) == 0 && size > 3 &&
                                       strcmp(column->name + size - 3, "_id") == 0);
}

static const char *reader_of(ColumnType type) {
    switch (type) {
    case TYPE_DATE: return "date";
    case TYPE_TIMESTAMP: return "timestamp";
    case TYPE_MONEY: return "cents";
    case TYPE_INT: return "integer";
    case TYPE_BIGINT: return "bigint";
    default: return "text";
    }
}

/* Two names at most; the second may be NULL. */
static void find_default(const Column *column, bool splits, const char *ret_names[2]) {
    ret_names[0] = reader_of(column->type);
    ret_names[1] = NULL;
    if (column->type != TYPE_TEXT)
        return;
    if (is_id(column)) {
        ret_names[0] = "id";
    } else if (splits) {
        ret_names[0] = is_address_part(column->name) ? "us_address" : "phone";
    } else {
        for (size_t i = 0; i < sizeof DEFAULTS / sizeof *DEFAULTS; i++)
            if (strcmp(DEFAULTS[i].column, column->name) == 0)
                memcpy(ret_names, DEFAULTS[i].cleaners, sizeof DEFAULTS[i].cleaners);
    }
}

/* ---- putting it together ---- */

/* Adds a cleaner behind a chain that makes *type so far. */
static bool add_step(const Setting *s, ColumnType *type, Step *ret_step) {
    const Cleaner *cleaner = cleaner_find(s->spec->name, s->ret_mistake);
    if (!cleaner)
        return false;
    if (*type != TYPE_TEXT) {
        snprintf(s->ret_mistake, CLEANER_MISTAKE_BYTES,
                 "cleaner `%s` works on text and must stand before the one that reads the value",
                 cleaner->name);
        return false;
    }
    const void *args = cleaner_prepare(cleaner, s);
    if (!args)
        return false;
    *ret_step = (Step){cleaner->run, cleaner->read, args, cleaner->leaves, cleaner->unread, cleaner->takes_null};
    *type = cleaner->makes;
    return true;
}

static bool makes_column(ColumnType made, ColumnType wanted) {
    return made == wanted || (made == TYPE_INT && wanted == TYPE_BIGINT);
}

/* The given cleaners, or the default's as specifications of the same form; then, if it is missing,
 * the reader of the column's type. */
static size_t list_cleaners(Arena *arena, const MapSpec *map, const Column *column, bool splits,
                            CleanerSpec **ret_list) {
    CleanerSpec *list = ARENA_ARRAY(arena, CleanerSpec, map->n_clean + 3);
    *ret_list = list;
    if (map->n_clean > 0) {
        memcpy(list, map->clean, map->n_clean * sizeof *list);
        return map->n_clean;
    }
    const char *names[2];
    size_t n = 0;
    if (map->n_from > 1)
        list[n++] = (CleanerSpec){.name = "concat", .line = map->line, .column = map->column_number};
    find_default(column, splits, names);
    for (size_t i = 0; i < 2 && names[i]; i++)
        list[n++] = (CleanerSpec){.name = names[i], .line = map->line, .column = map->column_number};
    return n;
}

bool chain_compile(Arena *arena, const MapSpec *map, const Column *column, bool splits,
                   MappingReport report, void *context, Chain *ret_chain) {
    char mistake[CLEANER_MISTAKE_BYTES];
    CleanerSpec *list;
    size_t n = list_cleaners(arena, map, column, splits, &list);
    Step *steps = ARENA_ARRAY(arena, Step, n + 1);
    ColumnType type = TYPE_TEXT;
    bool is_right = true;
    for (size_t i = 0; i < n; i++) {
        Setting setting = {arena, &list[i], column, mistake};
        if (add_step(&setting, &type, &steps[i]))
            continue;
        report(context, list[i].line, list[i].column, mistake);
        is_right = false;
    }
    CleanerSpec reader = {.name = reader_of(column->type)};
    Setting last = {arena, &reader, column, mistake};
    if (is_right && type == TYPE_TEXT && column->type != TYPE_TEXT)
        is_right = add_step(&last, &type, &steps[n++]);
    if (is_right && !makes_column(type, column->type)) {
        snprintf(mistake, sizeof mistake, "the last cleaner of `%s` does not make what the column holds, use `%s`",
                 column->name, reader.name);
        report(context, map->line, map->column_number, mistake);
        is_right = false;
    }
    *ret_chain = (Chain){steps, n};
    return is_right;
}
