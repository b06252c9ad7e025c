/* place_tool - pages placed as the daemon places them, with clocks of the test's own.
 *
 *     place_tool DSN < COMMANDS
 *
 * One command a line, its words parted by tabs; \N is NULL. Every command is answered by one line.
 *     feed NAME SOURCE ENTITY TELLS COLUMN...      opens a feed that tells `now`, `past` or `again`; the mapping takes
 *                                                  every column by its own name; COLUMN may end in :overwrite, …
 *     page NAME RECEIVED_US SOURCE_NOW_US N        N lines of fields follow
 *     gone NAME RECEIVED_US ID...                  place_gone()
 *     settle
 * Answers: "ok", for pages "ok NEW CHANGED SAME QUARANTINED DELETED"; or "failed STATE SENTENCE". */
#include "base/own.h"
#include "steps/place.h"
#include "storage/settle.h"

#include <stdio.h>
#include <stdlib.h>

enum { WORDS_MAX = 1 << 16, FEEDS_MAX = 256 };

typedef struct Words {
    Str at[WORDS_MAX];
    size_t n;
} Words;

typedef struct Tool {
    RunContext run;
    const Zone *zone;
    PlaceFeed feeds[FEEDS_MAX];
    size_t n_feeds;
    Words words;
    char *line;
    size_t line_size;
} Tool;

static bool read_line(Tool *tool) {
    ssize_t length = getline(&tool->line, &tool->line_size, stdin);
    if (length < 0)
        return false;
    if (length > 0 && tool->line[length - 1] == '\n')
        tool->line[--length] = 0;
    tool->words.n = 0;
    for (char *at = tool->line, *tab; at && tool->words.n < WORDS_MAX; at = tab) {
        tab = strchr(at, '\t');
        if (tab)
            *tab++ = 0;
        tool->words.at[tool->words.n++] = strcmp(at, "\\N") == 0 ? STR_NULL : str_of(at);
    }
    return true;
}

static const char *word(const Tool *tool, size_t i) { return i < tool->words.n ? tool->words.at[i].at : ""; }
static int64_t number(const Tool *tool, size_t i) { return strtoll(word(tool, i), NULL, 10); }
static char *kept(const Tool *tool, size_t i) { return arena_string(tool->run.arena, str_of(word(tool, i))); }

static PlaceFeed *find_feed(Tool *tool, const char *name) {
    for (size_t i = tool->n_feeds; i-- > 0;) /* opened again, the last one counts */
        if (strcmp(tool->feeds[i].feed, name) == 0)
            return &tool->feeds[i];
    fprintf(stderr, "no feed %s\n", name);
    exit(2);
}

static bool open_feed(Tool *tool, Error *err) {
    Arena *arena = tool->run.arena;
    static const char *const TELLS[] = {"now", "past", "again"};
    size_t n = tool->words.n - 5;
    Field *fields = ARENA_ARRAY(arena, Field, n);
    const char **types = ARENA_ARRAY(arena, const char *, n);
    MapSpec *columns = ARENA_ARRAY(arena, MapSpec, n);
    for (size_t i = 0; i < n; i++) {
        const char **from = ARENA_ARRAY(arena, const char *, 1);
        char *name = kept(tool, 5 + i), *mode = strchr(name, ':');
        if (mode)
            *mode++ = 0;
        *from = fields[i].name = name;
        types[i] = "text";
        columns[i] = (MapSpec){.column = name, .from = from, .n_from = 1, .history = mode};
    }
    MappingSpec *mapping = ARENA_NEW(arena, MappingSpec);
    *mapping = (MappingSpec){.entity = entity_find(str_of(word(tool, 3))), .columns = columns, .n_columns = n};
    PlaceSource source = {.feed = kept(tool, 1), .source_system = kept(tool, 2), .timezone = "UTC", .zone = tool->zone,
                          .mapping = mapping, .fields = fields, .types = types, .n_fields = n};
    for (size_t i = 0; i < sizeof TELLS / sizeof *TELLS; i++)
        if (strcmp(word(tool, 4), TELLS[i]) == 0)
            source.tells = (Tells)i;
    if (tool->n_feeds == FEEDS_MAX)
        return error_set(err, STATE_BUG, "too many feeds");
    PlaceFeed *feed = &tool->feeds[tool->n_feeds];
    TRY(place_open(&tool->run, &source, feed, err));
    if (feed->cursor.is_loading)
        members_expect_many(feed->members);
    tool->n_feeds++;
    return true;
}

static bool read_rows(Tool *tool, const PlaceFeed *feed, size_t n, Arena *arena, RawRows *ret_rows, Error *err) {
    Str *fields = ARENA_ARRAY(arena, Str, n * feed->n_fields + 1);
    for (size_t i = 0; i < n; i++) {
        if (!read_line(tool) || tool->words.n != feed->n_fields)
            return error_set(err, STATE_BUG, "a row of %zu words, not %zu", tool->words.n, feed->n_fields);
        for (size_t f = 0; f < feed->n_fields; f++) {
            Str text = tool->words.at[f];
            fields[i * feed->n_fields + f] = str_is_null(text) ? STR_NULL : arena_copy(arena, text);
        }
    }
    *ret_rows = (RawRows){.fields = fields, .n_rows = n};
    return true;
}

static bool place(Tool *tool, Arena *arena, PlaceOutcome *outcome, Error *err) {
    PlaceFeed *feed = find_feed(tool, word(tool, 1));
    feed->clock_us = number(tool, 2);
    int64_t source_now_us = number(tool, 3);
    RawRows rows;
    TRY(read_rows(tool, feed, (size_t)number(tool, 4), arena, &rows, err));
    rows.source_now_us = source_now_us;
    return place_page(feed, &rows, NULL, arena, outcome, err);
}

static bool remove_gone(Tool *tool, Arena *arena, PlaceOutcome *outcome, Error *err) {
    PlaceFeed *feed = find_feed(tool, word(tool, 1));
    feed->clock_us = number(tool, 2);
    return place_gone(feed, tool->words.at + 3, tool->words.n - 3, arena, outcome, err);
}

static bool settle_now(Tool *tool, Arena *arena, Error *err) {
    SettleOptions options = {.fiscal_year_start_month = 10, .person_rules = PERSON_RULES,
                             .n_person_rules = N_PERSON_RULES, .arena = arena};
    SettleOutcome outcome;
    return settle(tool->run.pg, &options, &outcome, err);
}

static bool obey(Tool *tool, Arena *arena, PlaceOutcome *outcome, Error *err) {
    const char *verb = word(tool, 0);
    if (strcmp(verb, "feed") == 0)
        return open_feed(tool, err);
    if (strcmp(verb, "page") == 0)
        return place(tool, arena, outcome, err);
    if (strcmp(verb, "gone") == 0)
        return remove_gone(tool, arena, outcome, err);
    return strcmp(verb, "settle") == 0 ? settle_now(tool, arena, err) : error_set(err, STATE_BUG, "unknown: %s", verb);
}

int main(int argc, char **argv) {
    Error err = {0};
    static Tool tool;
    Config config = {.fiscal_year_start_month = 10};
    CLEANUP(arena_drop) Arena *arena = arena_open();
    CLEANUP(arena_drop) Arena *page = arena_open();
    CLEANUP(pg_drop) Pg *pg = argc == 2 ? pg_open(argv[1], "place_tool", 0, &err) : NULL;
    atomic_bool canceled = false;
    tool.run = (RunContext){.config = &config, .pg = pg, .arena = arena, .canceled = &canceled};
    tool.zone = zone_utc();
    if (!pg) {
        fprintf(stderr, "%s %s\n%s\n", err.state, err.text, err.hint);
        return 1;
    }
    while (read_line(&tool)) {
        PlaceOutcome outcome = {0};
        ArenaMark mark = arena_mark(page);
        error_clear(&err);
        if (obey(&tool, page, &outcome, &err))
            printf("ok %lld %lld %lld %lld %lld\n", (long long)outcome.rows_new, (long long)outcome.rows_changed,
                   (long long)outcome.rows_same, (long long)outcome.rows_quarantined, (long long)outcome.rows_deleted);
        else
            printf("failed %s %s\n", err.state, err.text);
        fflush(stdout);
        arena_rewind(page, mark);
    }
    for (size_t i = 0; i < tool.n_feeds; i++)
        place_close(&tool.feeds[i]);
    free(tool.line);
    return 0;
}
