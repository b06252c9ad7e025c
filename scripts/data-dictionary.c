/* data-dictionary.c - prints docs/data-dictionary.md from the entity table.
 *
 *     data_dictionary             the page
 *     data_dictionary --check F   exit 1 when F is not that page */
#include "transform/entity.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const TYPES[][2] = {
    [TYPE_TEXT] = {"text", "STRING"},
    [TYPE_DATE] = {"date", "DATE"},
    [TYPE_TIMESTAMP] = {"timestamptz", "TIMESTAMP"},
    [TYPE_MONEY] = {"numeric(14,2)", "NUMERIC"},
    [TYPE_PERCENT] = {"numeric(7,2)", "NUMERIC"},
    [TYPE_INT] = {"int", "INT64"},
    [TYPE_BIGINT] = {"bigint", "INT64"},
    [TYPE_BOOL] = {"boolean", "BOOL"},
    [TYPE_TEXTS] = {"text[]", "ARRAY<STRING>"},
    [TYPE_UUID] = {"uuid", "STRING"},
    [TYPE_BYTES] = {"bytea", "BYTES"},
};

static const char *const FILLED_BY[] = {
    [ROLE_SYSTEM] = "the daemon",   [ROLE_ID] = "the mapping",    [ROLE_SURROGATE] = "a sequence",
    [ROLE_ATTRIBUTE] = "the mapping", [ROLE_DERIVED] = "the row itself", [ROLE_SETTLE] = "settle",
    [ROLE_GOLD] = "gold only",
};

static const char *leaves(const Column *column) {
    if (column_leaves(column, PROFILE_LIMITED))
        return "limited, full";
    return column_leaves(column, PROFILE_FULL) ? "full" : "never";
}

static const char *history(const Entity *entity, const Column *column) {
    static const char *const NAMES[] = {"version", "overwrite", "-"};
    bool counts = entity->kind == ENTITY_HISTORY && column->role == ROLE_ATTRIBUTE;
    return counts ? NAMES[column->history] : "-";
}

static void print_entity(FILE *out, const Entity *entity) {
    fprintf(out, "\n## %s · %s\n\nAs `silver.%s` and `gold.%s`: %s.", entity->name, entity->gold,
            entity->name, entity->gold, entity->description);
    if (entity->partition)
        fprintf(out, " In BigQuery partitioned by month of `%s`.", entity->partition);
    fputs("\n\n| column | meaning | PostgreSQL | BigQuery | filled by | a change makes | leaves in profile |\n"
          "|---|---|---|---|---|---|---|\n", out);
    for (int i = 0; i < entity->n_columns; i++) {
        const Column *c = &entity->columns[i];
        fprintf(out, "| `%s` | %s | %s | %s | %s | %s | %s |\n", c->name, c->description, TYPES[c->type][0],
                TYPES[c->type][1], FILLED_BY[c->role], history(entity, c), leaves(c));
    }
}

static void print_page(FILE *out) {
    fputs("# Data dictionary\n\n"
          "Generated from the entity table (`daemon/transform/entity.c`) by `scripts/data-dictionary.c`; the test run\n"
          "compares the two. *A change makes*: for versioned tables, `version` opens a new version, `overwrite` corrects\n"
          "every version. *Leaves in profile*: which columns a publication to BigQuery carries; `source_hash`,\n"
          "`record_hash` and the SSN never leave. Key -1 is the unknown member of every dimension that facts have keys of.\n", out);
    for (int i = 0; i < N_ENTITIES; i++)
        print_entity(out, &ENTITIES[i]);
}

static char *page_text(size_t *ret_size) {
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_size);
    if (!out)
        abort();
    print_page(out);
    fclose(out);
    return text;
}

static int check(const char *path) {
    size_t size;
    char *wanted = page_text(&size);
    char *found = calloc(1, size + 2);
    FILE *file = fopen(path, "r");
    size_t n = file && found ? fread(found, 1, size + 1, file) : 0;
    bool is_same = n == size && memcmp(found, wanted, size) == 0;
    if (file)
        fclose(file);
    free(found);
    free(wanted);
    if (!is_same)
        fprintf(stderr, "%s is not what the entity table says: data_dictionary > %s\n", path, path);
    return is_same ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--check") == 0)
        return check(argv[2]);
    print_page(stdout);
    return 0;
}
