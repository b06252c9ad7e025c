/* place_feed.c - see place.h: the feed, before its first page and after its last. */
#include "base/failpoint.h"
#include "base/own.h"
#include "steps/place.h"
#include "transform/fingerprint.h"

/* A plan looks up what a run would write down. */
static bool read_ledgers(RunContext *run, const PlaceSource *source, PlaceFeed *feed, Error *err) {
    uint8_t fingerprint[16];
    mapping_fingerprint(source->mapping, fingerprint);
    return state_mapping_read(run->pg, source->feed, fingerprint, &feed->mapping_version, &feed->is_mapping_new, err) &&
           state_cursor_read(run->pg, source->feed, run->arena, &feed->cursor, err);
}

static bool open_ledgers(RunContext *run, const PlaceSource *source, PlaceFeed *feed, Error *err) {
    const char **names = ARENA_ARRAY(run->arena, const char *, source->n_fields);
    for (size_t i = 0; i < source->n_fields; i++)
        names[i] = source->fields[i].name;
    int64_t schema_id;
    bool schema_is_new;
    TRY(state_source(run->pg, source->source_system, source->timezone, err));
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(run->pg, err);
    TRY(tx && state_source_hold(tx, source->source_system, err));
    TRY(state_feed(tx, source->feed, source->mapping->entity->name, source->tells == TELLS_PAST, err));
    TRY(state_schema(tx, source->feed, names, source->types, source->n_fields, &schema_id,
                     &schema_is_new, err));
    TRY(bronze_open(tx, run->arena, source->feed, schema_id, schema_is_new, source->n_fields,
                    &feed->bronze, err));
    uint8_t fingerprint[16];
    mapping_fingerprint(source->mapping, fingerprint);
    TRY(state_mapping(tx, source->feed, fingerprint, &feed->mapping_version, err));
    TRY(state_cursor_open(tx, source->feed, run->epoch, run->arena, &feed->cursor, err));
    FAILPOINT("feed.before_opened");
    return pg_commit(&tx, PG_FLUSHED, err);
}

bool place_open(RunContext *run, const PlaceSource *source, PlaceFeed *ret_feed, Error *err) {
    PlaceFeed feed = {
        .run = run,
        .pg = run->pg,
        .feed = source->feed,
        .source_system = source->source_system,
        .entity = source->mapping->entity,
        .fields = source->fields,
        .n_fields = source->n_fields,
        .tells = source->tells,
        .commit = PG_RELAXED,
    };
    feed.mapping = mapping_compile(run->arena, source->mapping, source->fields, source->n_fields,
                                   source->zone, err);
    TRY(feed.mapping);
    TRY(run->plan ? read_ledgers(run, source, &feed, err) : open_ledgers(run, source, &feed, err));
    feed.members = members_open(feed.entity, feed.source_system, run->config->fiscal_year_start_month);
    *ret_feed = feed;
    return true;
}

void place_close(PlaceFeed *feed) { members_free(TAKE(feed->members)); }
