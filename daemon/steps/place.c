/* place.c - see place.h. The order of steps is that of rules section 3. */
#include "steps/place.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/metrics.h"
#include "base/own.h"
#include "storage/audit.h"
#include "storage/claim.h"
#include "storage/file.h"
#include "storage/history.h"
#include "steps/plan.h"
#include "storage/quarantine.h"
#include "storage/run_store.h"
#include "transform/fingerprint.h"
#include "transform/hash.h"

#include <xxhash.h>

enum { ATTEMPTS_MAX = 10 }; /* at one page, in a run */

/* Which verbs serve which kind of entity. */
typedef struct Kind {
    bool (*look_up)(Pg *pg, SilverPage *page, Error *err);
    /* after cleaning, where a row's fate depends on more than its hash; or NULL */
    bool (*decide)(Pg *pg, SilverPage *page, Error *err);
    bool (*write)(Pg *pg, SilverPage *page, Error *err);
    bool last_counts; /* the same id twice in a page: the last one alone counts */
} Kind;
static const Kind KINDS[] = {
    [ENTITY_HISTORY] = {history_look_up, history_decide, history_write, true},
    [ENTITY_MEMBER] = {silver_look_up, NULL, silver_write, true},
    [ENTITY_FACT] = {silver_look_up, NULL, silver_write, true},
    [ENTITY_CLAIM] = {claim_look_up, claim_decide, claim_write, false},
};

/* ---- opening a feed ---- */

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
    feed.members = members_open(feed.entity, feed.source_system, run->config->fiscal_year_start_month,
                                feed.cursor.is_loading);
    *ret_feed = feed;
    return true;
}

void place_close(PlaceFeed *feed) { members_free(TAKE(feed->members)); }

/* ---- from raw rows to a page ---- */

static bool is_rejected(const RawRows *rows, size_t i) {
    return rows->rejects && rows->rejects[i].rule;
}

SilverPage *place_new_page(const PlaceFeed *feed, size_t n_rows, Arena *arena) {
    SilverPage *page = ARENA_NEW(arena, SilverPage);
    *page = (SilverPage){
        .entity = feed->entity,
        .system = silver_system_columns(feed->entity),
        .mapping = feed->mapping,
        .source_system = feed->source_system,
        .rows = ARENA_ARRAY(arena, SilverRow, n_rows),
        .n_rows = n_rows,
        .received_us = feed->clock_us ? feed->clock_us : clock_wall_us(),
        .mapping_version = feed->mapping_version,
        .tells = feed->tells,
        .memory = feed->run->plan && feed->entity->kind == ENTITY_CLAIM ? plan_claims(feed->run->plan) : NULL,
        .arena = arena,
    };
    return page;
}

static SilverPage *tell_origin(SilverPage *page, const RawRows *rows) {
    page->file_id = rows->file_id;
    page->files = rows->files;
    page->period = rows->period;
    page->sha256 = rows->sha256;
    page->source_now_us = rows->source_now_us;
    page->former = rows->former;
    return page;
}

static SilverPage *make_page(const PlaceFeed *feed, const RawRows *rows, Arena *arena) {
    SilverPage *page = tell_origin(place_new_page(feed, rows->n_rows, arena), rows);
    for (size_t i = 0; i < rows->n_rows; i++) {
        SilverRow *row = &page->rows[i];
        row->fields = rows->fields + i * feed->n_fields;
        row->line = rows->lines ? rows->lines[i] : 0;
        row->id = is_rejected(rows, i) ? STR_NULL : mapping_id(feed->mapping, row->fields, arena);
        row->source_hash = hash_source(feed->fields, row->fields, feed->n_fields);
    }
    return page;
}

static void clean_record(const PlaceFeed *feed, SilverPage *page, SilverRow *row) {
    row->record.values = ARENA_ARRAY(page->arena, Value, (size_t)feed->entity->n_columns);
    mapping_clean(feed->mapping, row->fields, row->source_hash, page->arena, &row->record);
}

SilverPage *place_prepare(const PlaceFeed *feed, const RawRows *rows, Arena *arena) {
    SilverPage *page = make_page(feed, rows, arena);
    for (size_t i = 0; rows->is_mostly_new && i < page->n_rows; i++)
        if (!is_rejected(rows, i))
            clean_record(feed, page, &page->rows[i]);
    return page;
}

/* Rows that were found unfit after they were prepared lose what they had. */
static void mark_rejected(const RawRows *rows, SilverPage *page) {
    for (size_t i = 0; rows->rejects && i < page->n_rows; i++)
        if (is_rejected(rows, i)) {
            page->rows[i].id = rows->rejects[i].entry;
            page->rows[i].record = (Record){.reject_rule = rows->rejects[i].rule,
                                            .reject_reason = rows->rejects[i].reason};
        }
}

/* When the source says that a row was changed; of rows that cannot be cleaned, unknown. */
static Value modified_of(const PlaceFeed *feed, const RawRows *rows, SilverPage *page, SilverRow *row) {
    int column = entity_column(feed->entity, STR("source_modified_at"));
    size_t i = (size_t)(row - page->rows);
    if (column == COLUMN_NONE || !rows->n_rows || is_rejected(rows, i))
        return VALUE_NULL;
    if (!row->record.values)
        clean_record(feed, page, row);
    return row->record.values[column];
}

static bool is_newer(Value a, Value b) { return a.is_set && (!b.is_set || a.number > b.number); }

/* The same id twice: the newest counts, of equally new ones the last; the others are passed over. */
static void mark_repeated(const PlaceFeed *feed, const RawRows *rows, SilverPage *page) {
    RowIndex *newest = row_index_make(page->arena, page); /* later rows replace earlier ones */
    for (size_t i = page->n_rows; i-- > 0;) {
        SilverRow *row = &page->rows[i], *other = str_is_null(row->id) ? row : row_index_find(newest, row->id);
        if (other == row)
            continue;
        bool is_row = is_newer(modified_of(feed, rows, page, row), modified_of(feed, rows, page, other));
        (is_row ? other : row)->fate = ROW_REPEATED;
        if (is_row)
            row_index_prefer(newest, row);
    }
}

/* What quarantine would hold of a planned claim by now. */
static void hold_planned(const PlaceFeed *feed, SilverPage *page) {
    const Plan *plan = feed->run->plan;
    for (size_t i = 0; i < page->n_rows; i++) {
        SilverRow *row = &page->rows[i];
        Held held = {.is_found = true, .source_hash = row->source_hash, .mapping_version = page->mapping_version};
        PlannedEntry entry = str_is_null(row->id) ? ENTRY_AS_STORED
                                                  : plan_entry(plan, page->source_system, row->id, &held.source_hash);
        bool is_open = entry == ENTRY_OPEN || (str_is_null(row->id) && plan_has(plan, STR_NULL, row->source_hash));
        if (is_open || entry == ENTRY_NONE)
            row->held = is_open ? held : (Held){.is_found = false};
    }
}

static bool look_up(PlaceFeed *feed, const RawRows *rows, SilverPage *page, Error *err) {
    const Kind *kind = &KINDS[feed->entity->kind];
    if (kind->last_counts && feed->tells == TELLS_NOW)
        mark_repeated(feed, rows, page);
    if (!rows->is_first_load || feed->entity->kind != ENTITY_FACT)
        TRY(kind->look_up(feed->pg, page, err));
    TRY(quarantine_look_up(feed->pg, feed->feed, page, err));
    if (page->memory)
        hold_planned(feed, page);
    return true;
}

/* What is cleaned anew counts for as long as it is the newest that was received; versions see to that themselves. */
static bool is_outdated(const PlaceFeed *feed, const SilverRow *row) {
    return feed->tells == TELLS_AGAIN && feed->entity->kind != ENTITY_HISTORY && row->known.is_found &&
           (row->known.is_deleted || row->known.source_hash != row->source_hash);
}

/* An entry in quarantine is the row's last content, so its hash goes before the silver row's. */
static bool is_known(const SilverPage *page, const SilverRow *row) {
    if (page->tells != TELLS_NOW)
        return false; /* what counts is where its time belongs, or the clean form */
    if (row->held.is_found) /* what PostgreSQL refused before is tried anew, until it is found to be refused again */
        return row->held.source_hash == row->source_hash && row->held.mapping_version == page->mapping_version &&
               (!row->held.was_refused || row->record.reject_rule);
    return row->known.is_found && !row->known.is_deleted && !row->known.is_inferred &&
           row->known.source_hash == row->source_hash;
}

static RowFate fate_of(const SilverRow *row) {
    if (row->record.reject_rule)
        return ROW_REJECTED;
    if (!row->known.is_found)
        return ROW_NEW;
    bool is_equal = memcmp(row->known.record_hash, row->record.record_hash, 16) == 0;
    return is_equal && !row->known.is_deleted && !row->known.is_inferred ? ROW_TOUCHED : ROW_CHANGED;
}

static void clean_row(const PlaceFeed *feed, const RawRows *rows, size_t i, SilverPage *page) {
    SilverRow *row = &page->rows[i];
    if (!is_rejected(rows, i) && !row->record.values)
        clean_record(feed, page, row);
    row->fate = fate_of(row);
}

static void count_row(const SilverRow *row, PlaceOutcome *outcome) {
    bool is_passed = row->fate == ROW_SAME || row->fate == ROW_REPEATED;
    outcome->rows_new += row->fate == ROW_NEW;
    outcome->rows_changed += row->fate == ROW_CHANGED;
    outcome->rows_same += is_passed || row->fate == ROW_TOUCHED || row->fate == ROW_ABSORBED;
    outcome->rows_quarantined += row->fate == ROW_REJECTED;
    outcome->rows_deleted += row->fate == ROW_GONE;
    outcome->rows_flagged += !is_passed && row->fate != ROW_REJECTED && row->record.flags != 0;
}

void place_count(const SilverRow *rows, size_t n, PlaceOutcome *outcome) {
    for (size_t i = 0; i < n; i++)
        count_row(&rows[i], outcome);
}

static bool decide_fates(const PlaceFeed *feed, SilverPage *page, PlaceOutcome *outcome, Error *err) {
    const Kind *kind = &KINDS[feed->entity->kind];
    TRY(!kind->decide || kind->decide(feed->pg, page, err));
    place_count(page->rows, page->n_rows, outcome);
    outcome->rows_deleted += (int64_t)page->n_withdrawn;
    return true;
}

static void clean_rows(const PlaceFeed *feed, const RawRows *rows, SilverPage *page) {
    for (size_t i = 0; i < page->n_rows; i++) {
        SilverRow *row = &page->rows[i];
        if (row->fate != ROW_REPEATED && (is_known(page, row) || is_outdated(feed, row)))
            row->fate = ROW_SAME;
        else if (row->fate != ROW_REPEATED)
            clean_row(feed, rows, i, page);
    }
}

/* ---- counts ---- */

/* The record's own flags, then those of settle that place could tell. */
enum { FLAGS_COUNTED = FLAGS_MAX + SETTLE_FLAGS };
typedef struct FlagCounts {
    RuleCount rules[FLAGS_COUNTED];
    size_t n;
} FlagCounts;

static void count_bits(uint64_t bits, int64_t *counts) {
    for (; bits; bits &= bits - 1)
        counts[__builtin_ctzll(bits)]++;
}

static const char *counted_name(const PlaceFeed *feed, int flag) {
    return flag < FLAGS_MAX ? mapping_flag_name(feed->mapping, flag)
                            : settle_flag_name((SettleFlag)(flag - FLAGS_MAX));
}

static void count_flags(const PlaceFeed *feed, const SilverPage *page, FlagCounts *ret) {
    int64_t counts[FLAGS_COUNTED] = {0};
    for (size_t i = 0; i < page->n_rows; i++) {
        const SilverRow *row = &page->rows[i];
        if (row->fate != ROW_NEW && row->fate != ROW_CHANGED)
            continue;
        count_bits(row->record.flags, counts);
        count_bits(row->record.settle_flags, counts + FLAGS_MAX);
    }
    ret->n = 0;
    for (int flag = 0; flag < FLAGS_COUNTED; flag++)
        if (counts[flag])
            ret->rules[ret->n++] = (RuleCount){counted_name(feed, flag), counts[flag]};
}

/* `stop` rules: a page that breaks one too often is not placed at all. */
static bool check_rows(const PlaceFeed *feed, const SilverRow *rows, size_t n, Error *err) {
    for (int flag = 0; flag < FLAGS_MAX; flag++) {
        const RuleSpec *rule = mapping_stop_rule(feed->mapping, flag);
        if (!rule)
            continue;
        size_t n_broken = 0;
        for (size_t i = 0; i < n; i++)
            n_broken += rows[i].record.flags >> flag & 1;
        if (n_broken * 100 <= (size_t)rule->stop_percent * n)
            continue;
        error_set(err, STATE_DATA, "feed %s: %zu of %zu rows of a page break rule %s, above its share of %d %%",
                  feed->feed, n_broken, n, rule->name, rule->stop_percent);
        return error_hint(err, "look at the source; mend the data, the mapping or the rule");
    }
    return true;
}

static bool check_stops(const PlaceFeed *feed, const SilverPage *page, Error *err) {
    return check_rows(feed, page->rows, page->n_rows, err);
}

/* Of several files each is as a page of its own. */
static bool check_stops_of_files(const PlaceFeed *feed, const SilverPage *page, Error *err) {
    for (size_t first = 0, end; first < page->n_rows; first = end) {
        end = first + 1;
        while (end < page->n_rows && page->files[end].file_id == page->files[first].file_id)
            end++;
        TRY(check_rows(feed, &page->rows[first], end - first, err));
    }
    return true;
}

static uint64_t hash_of_keys(const SilverPage *page) {
    uint64_t hash = 0;
    for (size_t i = 0; i < page->n_rows; i++)
        if (page->rows[i].fate != ROW_SAME && !str_is_null(page->rows[i].id))
            hash = XXH3_64bits_withSeed(page->rows[i].id.at, page->rows[i].id.size, hash);
    return hash;
}

/* Which attributes made versions, and which were corrected. */
static bool write_attributes(Pg *pg, const SilverPage *page, Error *err) {
    AttributeChange changes[ENTITY_COLUMNS_MAX];
    size_t n = 0;
    for (int i = 0; page->attributes && i < page->entity->n_columns; i++)
        if (page->attributes[i].versions + page->attributes[i].corrected > 0)
            changes[n++] = (AttributeChange){page->entity->columns[i].name, page->attributes[i].versions,
                                             page->attributes[i].corrected};
    return state_attributes_write(pg, page->batch_id, changes, n, err);
}

static int64_t rows_written(const PlaceOutcome *outcome) {
    return outcome->rows_new + outcome->rows_changed + outcome->rows_deleted;
}

/* Once something of it is committed a run is known, or one that is killed would never have been. */
static bool note_run(const RunContext *run, Error *err) {
    RunRow row = {.id = run->run_id, .job = run->job, .mode = run->mode_name, .trigger = run->trigger};
    bool is_known = run->run_id == 0 || run->counts.batches > 0 || !run->trigger;
    return is_known || run_begun(run->pg, &row, err);
}

static bool write_ledgers(const PlaceFeed *feed, const SilverPage *page, const PlaceOutcome *outcome,
                          Error *err) {
    Pg *pg = feed->pg;
    BatchCounts counts = {
        .rows_read = (int64_t)page->n_rows,
        .rows_changed = rows_written(outcome),
        .rows_new = outcome->rows_new,
        .rows_flagged = outcome->rows_flagged,
        .rows_quarantined = outcome->rows_quarantined,
    };
    TRY(note_run(feed->run, err));
    TRY(state_batch_write(pg, page->batch_id, feed->run->run_id, feed->feed, &counts, err));
    FlagCounts flags;
    count_flags(feed, page, &flags);
    TRY(write_attributes(pg, page, err));
    int64_t n_checked = outcome->rows_new + outcome->rows_changed;
    TRY(state_result_write(pg, page->batch_id, feed->feed, n_checked, flags.rules, flags.n, err));
    const char *details = arena_printf(
        page->arena,
        "{\"batch\":\"%lld\",\"read\":%lld,\"changed\":%lld,\"deleted\":%lld,\"quarantined\":%lld,%s\"keys\":\"%016llx\"}",
        (long long)page->batch_id, (long long)counts.rows_read, (long long)counts.rows_changed,
        (long long)outcome->rows_deleted, (long long)counts.rows_quarantined,
        page->former ? arena_printf(page->arena, "\"read_anew\":\"%lld\",", (long long)page->file_id) : "",
        (unsigned long long)hash_of_keys(page));
    return audit_write(pg, &(AuditLine){.actor = "pipeline", .action = "page.commit", .object = feed->feed,
                                        .outcome = "done", .details = details}, err);
}

static void count_metrics(const PlaceFeed *feed, const SilverPage *page, const PlaceOutcome *outcome) {
    if (feed->run->plan)
        return;
    METRIC_ADD(METRIC_FEED_ROWS_CHANGED, outcome->rows_new, feed->feed, "insert");
    METRIC_ADD(METRIC_FEED_ROWS_CHANGED, outcome->rows_changed, feed->feed, "update");
    METRIC_ADD(METRIC_FEED_ROWS_CHANGED, outcome->rows_deleted, feed->feed, "delete");
    FlagCounts flags;
    count_flags(feed, page, &flags);
    for (size_t i = 0; i < flags.n; i++)
        METRIC_ADD(METRIC_FEED_ROWS_FLAGGED, flags.rules[i].failed, feed->feed, flags.rules[i].rule);
    for (size_t i = 0; i < page->n_rows; i++)
        if (page->rows[i].fate == ROW_REJECTED)
            METRIC_ADD(METRIC_FEED_ROWS_QUARANTINED, 1, feed->feed, page->rows[i].record.reject_rule);
}

static void count_attribute(RunCounts *counts, const char *name, const AttributeCount *found) {
    int i = 0;
    while (i < counts->n_attributes && strcmp(counts->attributes[i].name, name) != 0)
        i++;
    if (i == RUN_ATTRIBUTES_MAX)
        return;
    if (i == counts->n_attributes)
        counts->attributes[counts->n_attributes++] = (RunAttribute){.name = name};
    counts->attributes[i].versions += found->versions;
    counts->attributes[i].corrected += found->corrected;
}

static void count_attributes(RunCounts *counts, const SilverPage *page) {
    for (int i = 0; page->attributes && i < page->entity->n_columns; i++)
        if (page->attributes[i].versions + page->attributes[i].corrected > 0)
            count_attribute(counts, page->entity->columns[i].name, &page->attributes[i]);
}

static void count_run(PlaceFeed *feed, const SilverPage *page, const PlaceOutcome *outcome) {
    RunCounts *counts = &feed->run->counts;
    counts->rows_read += (int64_t)page->n_rows;
    counts->rows_new += outcome->rows_new;
    counts->rows_changed += rows_written(outcome);
    count_attributes(counts, page);
    counts->rows_flagged += outcome->rows_flagged;
    counts->rows_quarantined += outcome->rows_quarantined;
    counts->pages++;
    if (!feed->run->plan)
        METRIC_ADD(METRIC_FEED_ROWS_READ, page->n_rows, feed->feed);
}

/* ---- the transaction ---- */

static bool lock_page(PlaceFeed *feed, Error *err) {
    if (feed->run->plan)
        return true;
    TRY(state_placement_lock_shared(feed->pg, err));
    return state_cursor_lock(feed->pg, feed->feed, feed->run->epoch, feed->cursor.page, err);
}

static bool enter_file(const PlaceFeed *feed, const RawRows *rows, SilverPage *page, Error *err) {
    const PlaceEntry *entry = rows->entry;
    return feed->run->plan || !entry || !entry->enter || entry->enter(entry->ctx, feed->pg, &page->file_id, err);
}

static bool enter(PlaceFeed *feed, const RawRows *rows, SilverPage *page, Error *err) {
    const PlaceEntry *entry = rows->entry;
    if (!entry || !entry->is_beside)
        TRY(lock_page(feed, err));
    else
        TRY(state_placement_lock_shared(feed->pg, err) &&
            state_cursor_lock_beside(feed->pg, feed->feed, feed->run->epoch, err));
    return enter_file(feed, rows, page, err);
}

static bool conclude(const PlaceFeed *feed, const RawRows *rows, const SilverPage *page, Error *err) {
    const PlaceEntry *entry = rows->entry;
    return !entry || !entry->conclude || entry->conclude(entry->ctx, feed->pg, page, err);
}

static bool write_rows(const PlaceFeed *feed, MembersWay way, SilverPage *page, Error *err) {
    Pg *pg = feed->pg;
    TRY(state_batch_id(pg, &page->batch_id, err));
    TRY(members_resolve(feed->members, pg, way, page, err));
    FAILPOINT("page.after_members");
    TRY(bronze_write(pg, &feed->bronze, page, err));
    FAILPOINT("page.after_bronze");
    TRY(KINDS[feed->entity->kind].write(pg, page, err));
    FAILPOINT("page.after_silver");
    return true;
}

static bool write_page(PlaceFeed *feed, SilverPage *page, const PlaceOutcome *outcome, Error *err) {
    return write_rows(feed, MEMBERS_MAKE, page, err) &&
           quarantine_write(feed->pg, feed->feed, feed->fields, feed->n_fields, page, err) &&
           write_ledgers(feed, page, outcome, err);
}

static bool count_file(const PlaceFeed *feed, const SilverPage *page, const PlaceOutcome *outcome,
                       Error *err) {
    FileCounts counts = {
        .rows_read = (int64_t)page->n_rows,
        .rows_new = outcome->rows_new,
        .rows_corrected = outcome->rows_changed,
        .rows_same = outcome->rows_same,
        .rows_flagged = outcome->rows_flagged,
        .rows_quarantined = outcome->rows_quarantined,
        .rows_withdrawn = (int64_t)page->n_withdrawn,
    };
    return file_count(feed->pg, page->file_id, &counts, err);
}

static bool write_cursor(PlaceFeed *feed, const CursorState *next, CursorState *ret_moved, Error *err) {
    CursorState moved = next ? *next : feed->cursor;
    moved.page = feed->cursor.page;
    TRY(state_cursor_write(feed->pg, feed->feed, &moved, err));
    *ret_moved = moved;
    return true;
}

static bool commit_beside(PlaceFeed *feed, Pg **tx, bool has_news, PlaceOutcome *outcome, Error *err) {
    TRY(pg_commit(tx, feed->commit, err));
    outcome->is_committed = true;
    feed->run->counts.batches += has_news;
    return true;
}

static bool commit_page(PlaceFeed *feed, Pg **tx, const CursorState *next, bool has_news,
                        PlaceOutcome *outcome, Error *err) {
    CursorState moved;
    TRY(write_cursor(feed, next, &moved, err));
    FAILPOINT("page.before_commit");
    TRY(pg_commit(tx, feed->commit, err));
    FAILPOINT("page.after_commit");
    outcome->is_committed = true;
    feed->run->counts.batches += has_news;
    feed->cursor = moved;
    return true;
}

/* ---- a plan: what earlier pages would have placed is known, and nothing is written ---- */

static void know_planned(const PlaceFeed *feed, SilverPage *page) {
    bool looks = feed->run->plan && !page->memory; /* of a claim every delivery counts, whatever its content */
    for (size_t i = 0; looks && i < page->n_rows; i++)
        if (page->rows[i].fate != ROW_REPEATED &&
            plan_has(feed->run->plan, page->rows[i].id, page->rows[i].source_hash))
            page->rows[i].fate = ROW_SAME;
}

static bool is_entry(const SilverRow *row) {
    return row->held.lacked_id || (row->held.is_found && row->held.source_hash == row->source_hash);
}

/* As quarantine_write() does: an entry ends with any news of its claim, the last unusable row has one. */
static void plan_entries(Plan *plan, const SilverPage *page) {
    for (size_t i = 0; i < page->n_rows; i++)
        if (page->rows[i].fate != ROW_SAME && page->rows[i].held.is_found && !str_is_null(page->rows[i].id))
            plan_release(plan, page->source_system, page->rows[i].id);
    for (size_t i = 0; i < page->n_rows; i++) {
        const SilverRow *row = &page->rows[i];
        if (row->fate == ROW_REJECTED && str_is_null(row->id))
            plan_add(plan, row->id, row->source_hash);
        else if (row->fate == ROW_REJECTED)
            plan_hold(plan, page->source_system, row->id, row->source_hash);
    }
}

static void plan_rows(Plan *plan, const SilverPage *page) {
    for (size_t i = 0; i < page->n_rows; i++) {
        const SilverRow *row = &page->rows[i];
        if (row->fate != ROW_REPEATED && (row->fate != ROW_SAME || is_entry(row)))
            plan_add(plan, row->id, row->source_hash);
    }
}

static void plan_page(PlaceFeed *feed, const SilverPage *page, const CursorState *next, const PlaceOutcome *outcome) {
    (page->memory ? plan_entries : plan_rows)(feed->run->plan, page);
    if (next)
        feed->cursor = *next;
    count_run(feed, page, outcome);
}

/* Before it is looked up what quarantine holds: what goes is held no more. */
static bool withdraw_entries(const PlaceFeed *feed, const SilverPage *page, int64_t *ret_n, Error *err) {
    if (!page->former || feed->run->plan)
        return true;
    TRY(quarantine_withdraw(feed->pg, page, ret_n, err));
    FAILPOINT("page.after_withdrawn");
    return true;
}

static bool place_once(PlaceFeed *feed, const RawRows *rows, const CursorState *next, Arena *arena,
                       PlaceOutcome *ret_outcome, Error *err) {
    SilverPage *page = rows->prepared ? tell_origin(rows->prepared, rows) : make_page(feed, rows, arena);
    PlaceOutcome outcome = {0};
    int64_t n_entries = 0;
    mark_rejected(rows, page);
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(feed->pg, err);
    TRY(tx && enter(feed, rows, page, err));
    FAILPOINT("page.after_lock");
    TRY(withdraw_entries(feed, page, &n_entries, err) && look_up(feed, rows, page, err));
    clean_rows(feed, rows, page);
    know_planned(feed, page);
    TRY(decide_fates(feed, page, &outcome, err));
    TRY((rows->files ? check_stops_of_files : check_stops)(feed, page, err));
    *ret_outcome = outcome;
    if (feed->run->plan) {
        plan_page(feed, page, next, &outcome);
        return true;
    }
    bool has_news = outcome.rows_same < (int64_t)page->n_rows || outcome.rows_deleted > 0 || n_entries > 0 ||
                    silver_count(page, ROW_TOUCHED) + silver_count(page, ROW_ABSORBED) > 0;
    if (has_news)
        TRY(write_page(feed, page, &outcome, err));
    if (page->file_id)
        TRY(count_file(feed, page, &outcome, err));
    TRY(spelling_take(feed->pg, feed->feed, rows->takes, rows->n_takes, err));
    if (rows->is_trial)
        return true;
    TRY(conclude(feed, rows, page, err));
    if (rows->entry && rows->entry->is_beside)
        TRY(commit_beside(feed, &tx, has_news, &outcome, err));
    else if (has_news || next || rows->n_takes)
        TRY(commit_page(feed, &tx, next, has_news, &outcome, err));
    count_run(feed, page, &outcome);
    count_metrics(feed, page, &outcome);
    *ret_outcome = outcome;
    return true;
}

bool place_page(PlaceFeed *feed, const RawRows *rows, const CursorState *next, Arena *page,
                PlaceOutcome *ret_outcome, Error *err) {
    RawRows again = *rows;
    for (int attempt = 1; !place_once(feed, &again, next, page, ret_outcome, err); attempt++) {
        /* A first load looks nothing up, and facts that are placed meanwhile may make a member: a row that is
         * there all the same is a unique violation, once for each of those that were committed in between. */
        if (strcmp(err->state, "23505") != 0 || attempt == ATTEMPTS_MAX)
            return false;
        error_clear(err);
        again.is_first_load = false;
        again.prepared = NULL;
    }
    return true;
}

/* ---- before its turn ---- */

/* Whose rows others may wait for waits for nobody long: the run, which may be canceled, waits for it. Shorter than until
 * PostgreSQL looks for a circle (deadlock_timeout, 1 s): this page can come in its turn, and whoever it stands in the way of
 * seldom has to fail. For the cursor, whose holder may wait for these rows, it does not wait at all. */
static const char PATIENCE[] = "800ms";

bool place_may_be_early(const RawRows *rows) {
    bool is_plain = rows->prepared && rows->n_rows > 0 && !rows->former && !rows->files && rows->n_takes == 0;
    for (size_t i = 0; is_plain && i < rows->n_rows; i++)
        is_plain = !is_rejected(rows, i);
    return is_plain;
}

static bool is_all_new(const SilverPage *page) {
    for (size_t i = 0; i < page->n_rows; i++)
        if (page->rows[i].fate != ROW_NEW || page->rows[i].held.is_found || page->rows[i].held.lacked_id)
            return false;
    return true;
}

bool place_early(PlaceFeed *feed, const RawRows *rows, EarlyPage *ret_early) {
    Error ignored = {0}; /* whatever it is, the page's turn tells it */
    EarlyPage early = {.page = tell_origin(rows->prepared, rows)};
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(feed->pg, &ignored);
    TRY(tx && state_patience(feed->pg, PATIENCE, &ignored) && state_placement_lock_shared(feed->pg, &ignored));
    TRY(look_up(feed, rows, early.page, &ignored));
    clean_rows(feed, rows, early.page);
    TRY(decide_fates(feed, early.page, &early.outcome, &ignored) && is_all_new(early.page));
    TRY(check_stops(feed, early.page, &ignored) && write_rows(feed, MEMBERS_KNOWN, early.page, &ignored));
    FAILPOINT("page.early");
    early.tx = TAKE(tx);
    *ret_early = early;
    return true;
}

void early_page_drop(EarlyPage *early) {
    pg_tx_drop(&early->tx);
    early->tx = NULL;
}

bool place_in_turn(PlaceFeed *feed, EarlyPage *early, const RawRows *rows, const CursorState *next, PlaceOutcome *ret_outcome,
                   Error *err) {
    PlaceFeed lane = *feed;
    lane.pg = early->tx;
    SilverPage *page = early->page;
    PlaceOutcome outcome = early->outcome;
    TRY(state_cursor_lock_now(lane.pg, lane.feed, lane.run->epoch, lane.cursor.page, err) && enter_file(&lane, rows, page, err));
    FAILPOINT("page.in_turn");
    TRY(write_ledgers(&lane, page, &outcome, err));
    TRY(!page->file_id || count_file(&lane, page, &outcome, err));
    TRY(conclude(&lane, rows, page, err) && commit_page(&lane, &early->tx, next, true, &outcome, err));
    feed->cursor = lane.cursor;
    count_run(feed, page, &outcome);
    count_metrics(feed, page, &outcome);
    *ret_outcome = outcome;
    return true;
}

/* ---- rows that are no longer at the source ---- */

/* Of a row that is gone only its id is known. */
static SilverPage *make_gone_page(const PlaceFeed *feed, const Str *ids, size_t n, Arena *arena) {
    Str *fields = arena_alloc(arena, n * feed->n_fields * sizeof *fields);
    int id_field = mapping_id_field(feed->mapping);
    for (size_t i = 0; i < n * feed->n_fields; i++)
        fields[i] = (int)(i % feed->n_fields) == id_field ? ids[i / feed->n_fields] : STR_NULL;
    SilverPage *page = make_page(feed, &(RawRows){.fields = fields, .n_rows = n}, arena);
    for (size_t i = 0; i < n; i++)
        page->rows[i].id = ids[i];
    return page;
}

static void mark_gone(SilverPage *page) {
    for (size_t i = 0; i < page->n_rows; i++) {
        SilverRow *row = &page->rows[i];
        bool is_here = known_can_go(&row->known) || row->held.is_found;
        if (row->fate != ROW_REPEATED)
            row->fate = is_here ? ROW_GONE : ROW_SAME;
        row->source_hash = row->held.is_found ? row->held.source_hash : row->known.source_hash;
    }
}

bool place_gone(PlaceFeed *feed, const Str *ids, size_t n, Arena *arena, PlaceOutcome *ret_outcome, Error *err) {
    SilverPage *page = make_gone_page(feed, ids, n, arena);
    PlaceOutcome outcome = {0};
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(feed->pg, err);
    TRY(tx && lock_page(feed, err));
    FAILPOINT("page.after_lock");
    TRY(look_up(feed, &(RawRows){0}, page, err));
    mark_gone(page);
    TRY(decide_fates(feed, page, &outcome, err));
    if (outcome.rows_deleted > 0) {
        TRY(write_page(feed, page, &outcome, err));
        TRY(commit_page(feed, &tx, NULL, true, &outcome, err));
    }
    count_run(feed, page, &outcome);
    count_metrics(feed, page, &outcome);
    *ret_outcome = outcome;
    return true;
}

/* ---- rows cleaned again from bronze ---- */

/* Ids are what rows are known by: a mapping that makes others of them describes other rows. */
static bool check_ids(const PlaceFeed *feed, const AgainRows *again, const SilverPage *page, Error *err) {
    for (size_t i = 0; again->ids && i < page->n_rows; i++)
        if (!str_equal(page->rows[i].id, again->ids[i])) {
            error_set(err, STATE_CONFIG, "feed %s: the mapping makes other ids of rows that are known by theirs",
                      feed->feed);
            return error_hint(err, "keep the mapping of %s, or name the feed anew", feed->entity->id);
        }
    return true;
}

/* A version that is not the current one: no entry is about it. */
static bool is_past(const PlaceFeed *feed, const SilverRow *row) {
    return feed->entity->kind == ENTITY_HISTORY && feed->tells == TELLS_AGAIN && row->known.is_found &&
           row->known.source_hash != row->source_hash;
}

static bool look_up_again(PlaceFeed *feed, const AgainRows *again, SilverPage *page, Error *err) {
    if (again->kind == AGAIN_HELD)
        return look_up(feed, &again->rows, page, err);
    TRY(KINDS[feed->entity->kind].look_up(feed->pg, page, err));
    for (size_t i = 0; i < page->n_rows; i++)
        page->rows[i].fate = is_past(feed, &page->rows[i]) ? ROW_REPEATED : ROW_SAME;
    TRY(quarantine_look_up(feed->pg, feed->feed, page, err));
    for (size_t i = 0; i < page->n_rows; i++)
        page->rows[i].fate = ROW_SAME;
    return true;
}

static RowFate fate_again(const PlaceFeed *feed, AgainKind kind, const SilverRow *row) {
    bool is_held = row->held.is_found || row->held.lacked_id;
    if (row->record.reject_rule) /* one entry a row, and a newer content has it already */
        return is_held || is_past(feed, row) ? ROW_SAME : ROW_REJECTED;
    if (kind == AGAIN_STORED && is_outdated(feed, row))
        return ROW_SAME;
    RowFate fate = fate_of(row);
    return kind == AGAIN_STORED && feed->entity->kind != ENTITY_HISTORY && fate != ROW_CHANGED ? ROW_SAME : fate;
}

static bool decide_again(const PlaceFeed *feed, AgainKind kind, SilverPage *page, PlaceOutcome *outcome, Error *err) {
    for (size_t i = 0; i < page->n_rows; i++) {
        SilverRow *row = &page->rows[i];
        if (!row->record.values)
            clean_record(feed, page, row);
        if (row->fate != ROW_REPEATED)
            row->fate = fate_again(feed, kind, row);
        if (kind == AGAIN_STORED && row->held.source_hash != row->source_hash)
            row->held = (Held){.is_found = false};
    }
    know_planned(feed, page);
    return decide_fates(feed, page, outcome, err);
}

static bool write_again(PlaceFeed *feed, SilverPage *page, const PlaceOutcome *outcome, Error *err) {
    Pg *pg = feed->pg;
    TRY(state_batch_id(pg, &page->batch_id, err));
    TRY(members_resolve(feed->members, pg, MEMBERS_MAKE, page, err));
    FAILPOINT("page.after_members");
    TRY(KINDS[feed->entity->kind].write(pg, page, err));
    FAILPOINT("page.after_silver");
    TRY(quarantine_write(pg, feed->feed, feed->fields, feed->n_fields, page, err));
    return write_ledgers(feed, page, outcome, err);
}

bool place_again(PlaceFeed *feed, const AgainRows *again, Arena *arena, PlaceOutcome *ret_outcome, Error *err) {
    SilverPage *page = make_page(feed, &again->rows, arena);
    PlaceOutcome outcome = {0};
    TRY(check_ids(feed, again, page, err));
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(feed->pg, err);
    TRY(tx && lock_page(feed, err));
    FAILPOINT("page.after_lock");
    TRY(look_up_again(feed, again, page, err));
    TRY(decide_again(feed, again->kind, page, &outcome, err));
    TRY(check_stops(feed, page, err));
    *ret_outcome = outcome;
    if (feed->run->plan) {
        plan_page(feed, page, NULL, &outcome);
        return true;
    }
    int64_t n_entries = 0;
    TRY(quarantine_again(feed->pg, feed->feed, page, &n_entries, err));
    bool has_news = outcome.rows_same < (int64_t)page->n_rows || silver_count(page, ROW_TOUCHED) > 0;
    if (has_news)
        TRY(write_again(feed, page, &outcome, err));
    if (has_news || n_entries > 0)
        TRY(commit_page(feed, &tx, NULL, has_news, &outcome, err));
    count_run(feed, page, &outcome);
    count_metrics(feed, page, &outcome);
    *ret_outcome = outcome;
    return true;
}

/* ---- pages of other steps ---- */

static bool write_work(PlaceFeed *feed, SilverPage *page, const PlaceWork *work, const PlaceOutcome *outcome, Error *err) {
    Pg *pg = feed->pg;
    TRY(state_batch_id(pg, &page->batch_id, err));
    TRY(members_resolve(feed->members, pg, MEMBERS_MAKE, page, err));
    FAILPOINT("page.after_members");
    TRY(work->write(work->ctx, page, err));
    FAILPOINT("page.after_silver");
    return write_ledgers(feed, page, outcome, err);
}

bool place_work(PlaceFeed *feed, SilverPage *page, const PlaceWork *work, PlaceOutcome *ret_outcome, Error *err) {
    PlaceOutcome outcome = {0};
    bool has_news;
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(feed->pg, err);
    TRY(tx && lock_page(feed, err));
    FAILPOINT("page.after_lock");
    TRY(work->decide(work->ctx, page, &has_news, err));
    place_count(page->rows, page->n_rows, &outcome);
    TRY(check_stops(feed, page, err));
    if (has_news && !feed->run->plan)
        TRY(write_work(feed, page, work, &outcome, err) && commit_page(feed, &tx, NULL, true, &outcome, err));
    count_run(feed, page, &outcome);
    count_metrics(feed, page, &outcome);
    *ret_outcome = outcome;
    return true;
}

bool place_cursor(PlaceFeed *feed, const CursorState *next, PgCommit commit, Error *err) {
    if (feed->run->plan) {
        feed->cursor = *next;
        return true;
    }
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(feed->pg, err);
    TRY(tx && lock_page(feed, err));
    CursorState moved;
    TRY(write_cursor(feed, next, &moved, err));
    TRY(pg_commit(&tx, commit, err));
    feed->cursor = moved;
    return true;
}
