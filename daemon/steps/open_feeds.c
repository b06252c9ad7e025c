/* open_feeds.c - see open_feeds.h. */
#include "steps/open_feeds.h"

#include <stdlib.h>

static bool serves(const OpenFeed *open, const FilePattern *pattern, const Field *fields, size_t n) {
    if (!open->arena || open->pattern != pattern || open->place.n_fields != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (strcmp(open->place.fields[i].name, fields[i].name) != 0)
            return false;
    return true;
}

PlaceFeed *open_feeds_find(OpenFeeds *feeds, const FilePattern *pattern, const Field *fields, size_t n) {
    for (int i = 0; i < FEEDS_OPEN; i++)
        if (serves(&feeds->open[i], pattern, fields, n)) {
            feeds->open[i].used = ++feeds->n_used;
            return &feeds->open[i].place;
        }
    return NULL;
}

static void close_feed(OpenFeed *open) {
    if (!open->arena)
        return;
    place_close(&open->place);
    arena_free(open->arena);
    *open = (OpenFeed){.arena = NULL};
}

/* What place_open() makes lives in the run's arena, which for this while is the feed's own. */
static bool open_place(const OpenFeeds *feeds, OpenFeed *open, const Field *fields, size_t n, Error *err) {
    Field *kept = ARENA_ARRAY(open->arena, Field, n);
    const char **types = ARENA_ARRAY(open->arena, const char *, n);
    for (size_t i = 0; i < n; i++) {
        kept[i] = fields[i];
        kept[i].name = arena_string(open->arena, str_of(fields[i].name));
        types[i] = "text";
    }
    PlaceSource source = {
        .feed = feeds->claims->name,
        .source_system = open->pattern->source,
        .timezone = open->pattern->timezone,
        .zone = open->pattern->zone,
        .mapping = &feeds->claims->mapping,
        .fields = kept,
        .types = types,
        .n_fields = n,
    };
    Arena *runs = feeds->run->arena;
    feeds->run->arena = open->arena;
    bool ok = place_open(feeds->run, &source, &open->place, err);
    feeds->run->arena = runs;
    return ok;
}

/* A header that PostgreSQL cannot keep is its file's fault: the next one's may be another. */
static void blame_header(Error *err) {
    static const struct {
        const char *state, *sentence;
    } FAULTS[] = {
        {BRONZE_TOO_MANY, "the header's columns and those of the feed's earlier headers are together more than a view of "
                          "PostgreSQL can show"},
        {BRONZE_SAME_NAME, "two columns of the header have one name for PostgreSQL: they are alike in their first 63 bytes, or "
                           "one is called as another with `_source`"},
    };
    for (size_t i = 0; i < sizeof FAULTS / sizeof *FAULTS; i++)
        if (strcmp(err->state, FAULTS[i].state) == 0) {
            error_set(err, STATE_DATA, "%s", FAULTS[i].sentence);
            error_hint(err, "send the file with the columns that the feed's other files have");
            return;
        }
}

static OpenFeed *longest_not_used(OpenFeeds *feeds) {
    OpenFeed *found = NULL;
    for (OpenFeed *open = feeds->open; open < feeds->open + FEEDS_OPEN; open++)
        if (open->holders == 0 && (!found || open->used < found->used))
            found = open;
    if (!found)
        abort(); /* more are held than the header allows */
    return found;
}

void open_feeds_hold(PlaceFeed *feed) { ((OpenFeed *)feed)->holders++; }

void open_feeds_give(PlaceFeed *feed) { ((OpenFeed *)feed)->holders--; }

PlaceFeed *open_feeds_take(OpenFeeds *feeds, const FilePattern *pattern, const Field *fields, size_t n, Error *err) {
    PlaceFeed *found = open_feeds_find(feeds, pattern, fields, n);
    if (found) {
        open_feeds_hold(found);
        return found;
    }
    OpenFeed *open = longest_not_used(feeds);
    close_feed(open);
    *open = (OpenFeed){.arena = arena_open(), .pattern = pattern, .used = ++feeds->n_used, .holders = 1};
    if (open_place(feeds, open, fields, n, err))
        return &open->place;
    close_feed(open);
    blame_header(err);
    return NULL;
}

void open_feeds_close(OpenFeeds *feeds) {
    for (int i = 0; i < FEEDS_OPEN; i++)
        close_feed(&feeds->open[i]);
}
